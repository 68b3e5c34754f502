/*
 * new_files.c: files of relations that a run makes, and that a crash would leave
 * behind.  See new_files.h.
 *
 * Nothing may be deleted that is somebody's.  The number of a file is not given
 * again while there is the file, and the list is written while it is there; nor
 * is the transaction's number, since the log has it on disk before the list is.
 */
#include "postgres.h"

#include "pg/new_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "catalog/pg_class.h"
#include "catalog/pg_tablespace.h"
#include "catalog/storage.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/procarray.h"
#include "storage/smgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/xid8.h"

#include "pg/compat.h"
#include "pg/injection.h"
#include "pg/worker.h"

#define FOLDER "kaireon_new_files"
#define UNFINISHED ".tmp"        /* behind the name of a list that is being written */

/* ---- writing a list ---------------------------------------------------------------- */

static bool
failed(const char *doing, const char *path)
{
    ereport(WARNING, (errcode_for_file_access(), errmsg("could not %s \"%s\": %m", doing, path),
                      errdetail("Should the server crash now, files that this run has made stay in the data directory.")));
    return false;
}

static bool
make_folder(void)
{
    if (MakePGDirectory(FOLDER) == 0)
        fsync_fname(".", true);
    else if (errno != EEXIST)
        return failed("create directory", FOLDER);
    return true;
}

static bool
write_list(const char *path, const CompatStorage *files, int count)
{
    FILE *out = AllocateFile(path, PG_BINARY_W);

    if (out == NULL)
        return failed("create file", path);
    for (int i = 0; i < count; i++)
        fprintf(out, "%u %u\n", compat_storage_space(&files[i]), compat_storage_number(&files[i]));
    fputs("end\n", out);
    if (ferror(out) || fflush(out) != 0)
    {
        failed("write file", path);
        FreeFile(out);
        return false;
    }
    return FreeFile(out) == 0 || failed("close file", path);
}

void
new_files_list(void)
{
    CompatStorage *files;
    int count = smgrGetPendingDeletes(false, &files);
    char *path;

    if (count == 0 || !make_folder())
        return;
    XLogFlush(XactLastRecEnd);
    path = psprintf(FOLDER "/%u." UINT64_FORMAT, MyDatabaseId, U64FromFullTransactionId(GetTopFullTransactionId()));
    if (write_list(psprintf("%s" UNFINISHED, path), files, count))
        (void) durable_rename(psprintf("%s" UNFINISHED, path), path, WARNING);
    pfree(files);
}

/* ---- reading one ------------------------------------------------------------------- */

/* Of a list: what its name says. */
typedef struct ListName
{
    Oid database;
    FullTransactionId xid;
    bool unfinished;
} ListName;

static bool
parse_name(const char *file, ListName *name)
{
    unsigned long long xid;
    int end = 0;

    if (sscanf(file, "%u.%llu%n", &name->database, &xid, &end) != 2 || end == 0)
        return false;
    name->xid = FullTransactionIdFromU64(xid);
    name->unfinished = strcmp(file + end, UNFINISHED) == 0;
    return (name->unfinished || file[end] == '\0') && FullTransactionIdIsNormal(name->xid);
}

/* The files; NULL when there is one line that is none of such a list. */
static CompatStorage *
read_list(const char *path, int *count)
{
    FILE *in = AllocateFile(path, PG_BINARY_R);
    CompatStorage *files = palloc(sizeof(CompatStorage));
    char line[64], more[2];
    bool ended = false, good = true;

    if (in == NULL)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path)));
    for (*count = 0; good && fgets(line, sizeof(line), in) != NULL;)
    {
        Oid space, number;

        good = !ended;
        ended = strcmp(line, "end\n") == 0;
        if (ended)
            continue;
        good = good && sscanf(line, "%u %u%1[\n]", &space, &number, more) == 3 && OidIsValid(space) && space != GLOBALTABLESPACE_OID &&
               number >= FirstNormalObjectId;
        if (!good)
            continue;
        files = repalloc(files, sizeof(CompatStorage) * (*count + 1));
        files[(*count)++] = (CompatStorage) {space, MyDatabaseId, number};
    }
    FreeFile(in);
    return good && ended ? files : NULL;
}

/* ---- what became of the transaction -------------------------------------------------- */

/* As pg_xact_status says it; "unknown" for one that is long past.  Raises when there has been no such transaction. */
static const char *
transaction_status(FullTransactionId xid)
{
    LOCAL_FCINFO(call, 1);
    Datum status;

    InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
    call->args[0].value = FullTransactionIdGetDatum(xid);
    call->args[0].isnull = false;
    status = pg_xact_status(call);
    return call->isnull ? "unknown" : text_to_cstring(DatumGetTextPP(status));
}

/* Is the row, or was it at any time, or may it come to be? */
static bool
row_counts(const HeapTupleHeaderData *row)
{
    TransactionId inserted = HeapTupleHeaderGetXmin(row);

    return TransactionIdIsInProgress(inserted) || TransactionIdDidCommit(inserted);
}

/*
 * Takes those away that a row of pg_class has, or that are mapped; how many are
 * left.  Rows that are not there any more count too: one that is changed
 * meanwhile may be in two places, or has been looked for where it is now before
 * it was there.  Of the transaction itself there are rows that never came to be.
 */
static int
leave_out_known(CompatStorage *files, int count)
{
    Relation pg_class = table_open(RelationRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan(pg_class, SnapshotAny, 0, NULL);
    HeapTuple tuple;

    for (int i = 0; i < count;)
    {
        if (OidIsValid(compat_mapped_relation(compat_storage_number(&files[i]))))
            files[i] = files[--count];
        else
            i++;
    }
    while (count > 0 && (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
    {
        Oid number = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;

        for (int i = 0; i < count; i++)
        {
            if (compat_storage_number(&files[i]) == number && row_counts(tuple->t_data))
                files[i--] = files[--count];
        }
    }
    table_endscan(scan);
    table_close(pg_class, AccessShareLock);
    return count;
}

/* At the commit, which standbys follow. */
static void
drop_files(const CompatStorage *files, int count)
{
    int dropped = 0;

    for (int i = 0; i < count; i++)
    {
        Relation rel = CreateFakeRelcacheEntry(files[i]);

        if (smgrexists(RelationGetSmgr(rel), MAIN_FORKNUM))
        {
            dropped += smgrnblocks(RelationGetSmgr(rel), MAIN_FORKNUM) > 0;
            (void) GetCurrentTransactionId(); /* without one nothing can be dropped */
            RelationDropStorage(rel);
        }
        RelationCloseSmgr(rel);
        FreeFakeRelcacheEntry(rel);
    }
    if (dropped > 0)
        ereport(LOG, (errmsg_plural("the file of %d relation that a crash had left is removed", "the files of %d relations that a crash had left are removed",
                                    dropped, dropped)));
}

/* ---- going through them -------------------------------------------------------------- */

static void
complain(const char *path, const char *why)
{
    ereport(WARNING, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("\"%s\" is no list of new files", path), errdetail("%s", why),
                      errhint("Nothing is deleted; the file can be removed.")));
}

/* In a transaction; at its commit files are dropped.  True: then the list is done with. */
static bool
settle(const char *file, const char *path, bool complains)
{
    ListName name;
    const char *status;
    CompatStorage *files;
    int count;

    if (!parse_name(file, &name))
    {
        if (complains)
            complain(path, "Lists have a name of two numbers: a database's and a transaction's.");
        return false;
    }
    if (name.database != MyDatabaseId)
        return !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(name.database));
    status = transaction_status(name.xid);
    if (strcmp(status, "in progress") == 0)
        return false;
    if (name.unfinished || strcmp(status, "aborted") != 0)
        return true;
    files = read_list(path, &count);
    if (files == NULL && complains)
        complain(path, "A line of it is not that of such a list, or its end is not there.");
    if (files == NULL)
        return false;
    drop_files(files, leave_out_known(files, count));
    return true;
}

static void
settle_safely(const char *file, bool complains)
{
    MemoryContext context = CurrentMemoryContext;
    char *path = psprintf(FOLDER "/%s", file);
    volatile bool done = false;

    PG_TRY();
    {
        worker_begin();
        done = settle(file, path, complains);
        worker_commit();
    }
    PG_CATCH();
    {
        ErrorData *error;

        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        AbortOutOfAnyTransaction();
        done = false;
        ereport(WARNING, (errcode(error->sqlerrcode), errmsg("what \"%s\" lists could not be looked after: %s", path, error->message),
                          errdetail("Files that a crash has left may stay in the data directory.")));
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    injection_point("files-settled");
    if (done && unlink(path) != 0 && errno != ENOENT)
        ereport(WARNING, (errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", path)));
}

void
new_files_settle(bool complains)
{
    MemoryContext old = CurrentMemoryContext, context = AllocSetContextCreate(old, "kaireon new files", ALLOCSET_SMALL_SIZES);
    struct dirent *entry;
    List *files = NIL;
    ListCell *lc;
    DIR *folder;

    MemoryContextSwitchTo(context);
    folder = AllocateDir(FOLDER);
    while (folder != NULL && (entry = ReadDirExtended(folder, FOLDER, LOG)) != NULL)
    {
        if (entry->d_name[0] != '.')
            files = lappend(files, pstrdup(entry->d_name));
    }
    if (folder != NULL)
        FreeDir(folder);
    foreach(lc, files)
        settle_safely(lfirst(lc), complains);
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
}
