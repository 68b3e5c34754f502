/*
 * retry.c: runs that are tried again.  See retry.h; the times are kaireon_internal.retry_run's.
 */
#include "postgres.h"

#include "pg/retry.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "pg/catalog.h"
#include "pg/errors.h"
#include "pg/graph.h"
#include "pg/json.h"
#include "pg/worker.h"

#define MAX_ATTEMPTS 100
#define DEFAULT_ATTEMPTS 3 /* as kaireon_internal.retry_run has it */
#define MAX_PAUSE 86400

static const char *const backoffs[] = {"exponential", "constant", NULL};
static const JsonKey keys[] = {
    {"maxAttempts", JSON_INTEGER, false, NULL}, {"backoff", JSON_STRING, false, backoffs}, {"pauseSeconds", JSON_INTEGER, false, NULL}, {NULL, 0, false, NULL}};

static void
complain(void *arg, const char *code, const char *message, const char *hint)
{
    graph_complain(arg, NULL, code, hint, "%s", message);
}

static void
check_range(JsonbContainer *retry, const char *key, int64 least, int64 most, List **findings)
{
    int64 value = json_get_int(retry, key, least);

    if (value < least || value > most)
        graph_complain(findings, NULL, "wrong_value", psprintf("Valid values are " INT64_FORMAT " to " INT64_FORMAT ".", least, most),
                       "%s " INT64_FORMAT " is out of range", key, value);
}

void
retry_check(Jsonb *config, List **findings)
{
    JsonbContainer *retry = json_get_container(&config->root, "retry");

    if (retry == NULL || !json_check(retry, keys, "retry", complain, findings))
        return;
    check_range(retry, "maxAttempts", 1, MAX_ATTEMPTS, findings);
    check_range(retry, "pauseSeconds", 0, MAX_PAUSE, findings);
}

/* What another try may have more luck with: a lock, a connection, room on a disk, a process that ended; never what rows or the configuration are like. */
static bool
passes(int sqlstate)
{
    switch (sqlstate)
    {
        case ERRCODE_T_R_SERIALIZATION_FAILURE:
        case ERRCODE_T_R_DEADLOCK_DETECTED:
        case ERRCODE_LOCK_NOT_AVAILABLE:
        case ERRCODE_TOO_MANY_CONNECTIONS:
        case ERRCODE_DISK_FULL:
        case ERRCODE_ADMIN_SHUTDOWN:
        case ERRCODE_CRASH_SHUTDOWN:
        case ERRCODE_CANNOT_CONNECT_NOW:
        case ERRCODE_KAIREON_READER_ENDED:
        case ERRCODE_KAIREON_RUN_ORPHANED:
            return true;
        default:
            return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_CONNECTION_EXCEPTION;
    }
}

bool
retry_run(const pg_uuid_t *run_id, int sqlstate)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(run_id)};
    char *pause;

    if (!passes(sqlstate))
        return false;
    catalog_execute("SELECT to_char(extract(epoch FROM kaireon_internal.retry_run($1)), 'FM999990.0')", 1, types, values, NULL, SPI_OK_SELECT);
    pause = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (pause)
        ereport(LOG, (errcode(sqlstate), errmsg("kaireon will try run %s again in %s s", DatumGetCString(DirectFunctionCall1(uuid_out, values[0])), pause)));
    return pause != NULL;
}

bool
retry_has_attempts(Jsonb *config, int attempt)
{
    JsonbContainer *retry = json_get_container(&config->root, "retry");

    return retry && attempt < json_get_int(retry, "maxAttempts", DEFAULT_ATTEMPTS);
}

bool
retry_waits(const pg_uuid_t *run_id, int before, RetryPause *pause)
{
    Oid types[] = {UUIDOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(run_id), Int32GetDatum(before)};
    bool null;

    /* where a run waits for its next attempt, its row has why the last one failed */
    if (catalog_execute("SELECT attempt + looks, CASE WHEN error_code IS NULL THEN retry_at END FROM kaireon_internal.run "
                        "WHERE run_id = $1 AND status = 'queued' AND attempt + looks > $2", 2, types, values, NULL, SPI_OK_SELECT) == 0)
        return false;
    pause->begun = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    pause->looks_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
    return true;
}

long
retry_due(void)
{
    CatalogScope scope;
    long wait;
    bool none;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("SELECT ceil(extract(epoch FROM min(retry_at) - clock_timestamp()) * 1000)::int8 FROM kaireon_internal.run "
                    "WHERE status = 'queued' AND retry_at > clock_timestamp()", 0, NULL, NULL, NULL, SPI_OK_SELECT);
    wait = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &none));
    wait = none ? -1 : Max(wait, 0);
    catalog_end(scope);
    worker_commit();
    return wait;
}
