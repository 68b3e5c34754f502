/*
 * instance.c: tells a database from its copies.  See instance.h.
 *
 * What is compared: the cluster's system identifier (initdb and pg_upgrade make
 * a new one), the database's OID (a copy in the same cluster has another), the
 * extension's (a dump restored into the same database), the data directory and
 * the machine (a base backup, a clone).  The last two also change when a standby
 * takes over, which must not stop anything: there the administrator gives all
 * of the servers one kaireon.instance_name, which then stands for both.
 *
 * Nothing here looks at tables, so that the view kaireon.instance can call it
 * with the rights of whoever selects.
 */
#include "postgres.h"

#include "pg/instance.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/catalog.h"
#include "pg/errors.h"
#include "pg/guc.h"

PG_FUNCTION_INFO_V1(kaireon_this_instance);
PG_FUNCTION_INFO_V1(kaireon_instance_differences);
extern PGDLLEXPORT Datum kaireon_this_instance(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_instance_differences(PG_FUNCTION_ARGS);

#define MACHINE_FILE "/etc/machine-id"
#define MACHINE_ID 32        /* hexadecimal digits in that file */
#define MACHINE_SHOWN 16     /* bytes of its hash that are kept */

/* The data directory, without links: who moves a link does not copy. */
static char *
data_directory(void)
{
    char path[PATH_MAX];

    return pstrdup(realpath(DataDir, path) ? path : DataDir);
}

/*
 * The machine: a hash of what machine-id(5) says, which is not to be shown
 * itself.  Empty where there is none, as in most containers.
 */
static char *
machine(void)
{
    char id[MACHINE_ID + 1];
    uint8 hash[PG_SHA256_DIGEST_LENGTH];
    char *shown;
    pg_cryptohash_ctx *context;
    int fd = OpenTransientFile(MACHINE_FILE, O_RDONLY | PG_BINARY);
    ssize_t length;

    if (fd < 0)
        return pstrdup("");
    length = read(fd, id, MACHINE_ID);
    CloseTransientFile(fd);
    id[MACHINE_ID] = '\0';
    if (length != MACHINE_ID || strspn(id, "0123456789abcdef") != MACHINE_ID)
        return pstrdup("");
    context = pg_cryptohash_create(PG_SHA256);
    if (context == NULL || pg_cryptohash_init(context) < 0 || pg_cryptohash_update(context, (const uint8 *) "kaireon", 7) < 0 ||
        pg_cryptohash_update(context, (const uint8 *) id, MACHINE_ID) < 0 || pg_cryptohash_final(context, hash, sizeof(hash)) < 0)
        elog(ERROR, "could not compute the machine's hash");
    pg_cryptohash_free(context);
    shown = palloc0(2 * MACHINE_SHOWN + 1);
    (void) hex_encode((const char *) hash, MACHINE_SHOWN, shown);
    return shown;
}

/* Where this database is now, as kaireon_internal.instance keeps it. */
Datum
kaireon_this_instance(PG_FUNCTION_ARGS)
{
    TupleDesc desc;
    Datum values[6];
    bool nulls[6] = {0};

    if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    values[0] = Int64GetDatum((int64) GetSystemIdentifier());
    values[1] = ObjectIdGetDatum(MyDatabaseId);
    values[2] = ObjectIdGetDatum(get_extension_oid("kaireon", false));
    values[3] = CStringGetTextDatum(data_directory());
    values[4] = CStringGetTextDatum(machine());
    values[5] = CStringGetTextDatum(guc_instance_name);
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* What of the place that the arguments describe is not true here, in words. */
Datum
kaireon_instance_differences(PG_FUNCTION_ARGS)
{
    char *name = text_to_cstring(PG_GETARG_TEXT_PP(5));
    bool named = name[0] != '\0' && guc_instance_name[0] != '\0';
    Datum words[5];
    int count = 0;

    if (PG_GETARG_INT64(0) != (int64) GetSystemIdentifier())
        words[count++] = CStringGetTextDatum("system identifier");
    if (PG_GETARG_OID(1) != MyDatabaseId)
        words[count++] = CStringGetTextDatum("database");
    else if (PG_GETARG_OID(2) != get_extension_oid("kaireon", false))
        words[count++] = CStringGetTextDatum("extension");
    if (named && strcmp(name, guc_instance_name) != 0)
        words[count++] = CStringGetTextDatum("kaireon.instance_name");
    if (!named && strcmp(text_to_cstring(PG_GETARG_TEXT_PP(3)), data_directory()) != 0)
        words[count++] = CStringGetTextDatum("data directory");
    if (!named && strcmp(text_to_cstring(PG_GETARG_TEXT_PP(4)), machine()) != 0)
        words[count++] = CStringGetTextDatum("machine");
    PG_RETURN_ARRAYTYPE_P(construct_array(words, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Why pipelines may not run here; NULL when they may. */
static char *
held_reason(MemoryContext context)
{
    CatalogScope scope = catalog_begin();
    char *reason = NULL;

    if (catalog_execute("SELECT reason FROM kaireon.instance WHERE NOT is_confirmed", 0, NULL, NULL, NULL, SPI_OK_SELECT) > 0)
        reason = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
    catalog_end(scope);
    return reason;
}

bool
instance_confirmed(void)
{
    return held_reason(CurrentMemoryContext) == NULL;
}

void
instance_require(void)
{
    char *reason = held_reason(CurrentMemoryContext);

    if (reason)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_INSTANCE_HELD), errmsg("pipelines are held: this database is a copy"),
                        errdetail("%s", reason),
                        errhint("When its original does not run them any more, call kaireon.confirm_instance().")));
}

void
instance_follow(void)
{
    CatalogScope scope = catalog_begin();

    catalog_execute("UPDATE kaireon_internal.instance AS i SET data_directory = t.data_directory, machine = t.machine, "
                    "name = coalesce(nullif(t.name, ''), i.name) FROM kaireon_internal.this_instance() AS t "
                    "WHERE (i.data_directory, i.machine, i.name) IS DISTINCT FROM "
                    "(t.data_directory, t.machine, coalesce(nullif(t.name, ''), i.name))", 0, NULL, NULL, NULL, SPI_OK_UPDATE);
    catalog_end(scope);
}
