/*
 * run_left_out.c: files that fail and do not stop a run ("onFileError": "skip").  See run_state.h.
 *
 * Such a pipeline commits after each file.  When a file fails its transaction is
 * aborted, so that nothing of it stays; the run is then where its last commit
 * was, and goes on with the files behind.  A dry run commits nothing: it begins
 * again without the file, since what it would load depends on all files before.
 * Nothing is kept of the file in the ledger, so the next run tries it again.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "pg/compat.h"
#include "pg/dead_letter.h"
#include "pg/errors.h"
#include "pg/injection.h"
#include "pg/json.h"
#include "pg/retry.h"
#include "pg/worker.h"

static bool
leaves_out(const Run *run)
{
    for (int i = 0; run->replay == NULL && i < run->program->nsources; i++)
    {
        if (fetch_skips_failing(run->program->sources[i].node))
            return true;
    }
    return false;
}

/* ---- whether -------------------------------------------------------------------------------- */

/*
 * An error that may be over soon: the run's own attempts come first.  Without any
 * left the file is left out, but not two of them in succession: then it is about
 * the connection.
 */
static bool
is_last_try(const Run *run, RunSource *source)
{
    if (retry_has_attempts(run->spec->execution_config, run->attempt) || source->passing_at == list_length(source->splits))
        return false;
    source->passing_at = list_length(source->splits);
    return true;
}

/* Is it the file at hand that makes the run fail? */
static bool
is_about_file(const Run *run, RunSource *source, int sqlstate)
{
    int category = ERRCODE_TO_CATEGORY(sqlstate);

    if (sqlstate == ERRCODE_KAIREON_READER_ENDED)
        return is_last_try(run, source);
    if (source->link && link_blames_file(source->link))
        return category != ERRCODE_CONNECTION_EXCEPTION || is_last_try(run, source);
    if (!run->loading || run->hooked)
        return false;
    return run->rejects->failure || category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
           sqlstate == ERRCODE_KAIREON_ALL_BAD || sqlstate == ERRCODE_KAIREON_TOO_MANY_BAD || sqlstate == ERRCODE_KAIREON_EXPRESSION_TIMEOUT;
}

/* The place among its source's files of the one that failed; -1: no file did. */
static int
failed_file(const Run *run, const ErrorData *error)
{
    RunSource *source = run->reading;
    int place;

    if (source == NULL || !fetch_skips_failing(source->asked->node))
        return -1;
    /* one that was read whole fails when it is committed */
    place = run->dry ? list_length(source->splits) : source->recorded;
    return place < list_length(source->files) && is_about_file(run, source, error->sqlerrcode) ? place : -1;
}

/* ---- undoing ------------------------------------------------------------------------------------ */

/* The run is as its last commit left it. */
static void
go_back(Run *run)
{
    RunSource *source = run->reading;

    if (source->link)
        link_close(source->link);
    source->link = NULL;
    for (int i = 0; i < run->program->nsources; i++)
    {
        run->sources[i].splits = list_truncate(run->sources[i].splits, run->sources[i].recorded);
        run->sources[i].split = NULL;
        run->sources[i].part_committed = false;
    }
    rejects_go_back(run->rejects);
    dead_letters_discard(run->rejects->letters);
    run->counts = run->committed.counts;
    run->done_bytes = run->committed.done_bytes;
    run->nodes = run->committed.nodes;
    run->execution = NULL;
    run->reading = NULL;
    run->loading = false;
}

/* Rows that were read of the file; they count as failed. */
static int64
rows_read_of(const Run *run)
{
    const RunSource *source = run->reading;

    if (!run->dry)
        return run->counts.read - run->committed.counts.read;
    return source->split ? source->split->rows : 0;
}

/* ---- telling ------------------------------------------------------------------------------------ */

/* What run_errors has of it: the row that it failed for, or the file. */
static Reject *
describe_failure(Run *run, const GraphNode *node, const FetchObject *file, const ErrorData *error)
{
    const Reject *row = run->rejects->failure;
    Reject *reject = palloc0(sizeof(Reject));
    FetchObject *split = palloc0(sizeof(FetchObject));

    if (row)
        *reject = *row;
    else
    {
        reject->node = node;
        split->place = file->path;
        reject->at.split = split;
    }
    reject->kind = REJECT_OTHER;
    reject->sqlstate = error->sqlerrcode;
    reject->reason = psprintf("the file was left out: %s%s%s", error->message, error->detail && row == NULL ? ". " : "", error->detail && row == NULL ? error->detail : "");
    return reject;
}

static Datum
optional_text(const char *text, char *null)
{
    *null = text ? ' ' : 'n';
    return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
write_failure(const Run *run, const GraphNode *node, const FetchObject *file, const ErrorData *error)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(node->id), CStringGetTextDatum(file->path), Int64GetDatum(file->size),
                      TimestampTzGetDatum(file->modified), CStringGetTextDatum(file->etag), UUIDPGetDatum(&run->slot->run_id),
                      CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)), CStringGetTextDatum(error->message), 0};
    char nulls[] = "          ";

    values[9] = optional_text(error->detail, &nulls[9]);
    catalog_execute("INSERT INTO kaireon_internal.file_failure AS f (pipeline_id, node_id, path, size, modified_at, etag, run_id, error_code, error_message, error_detail) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (pipeline_id, node_id, md5(path)) DO UPDATE SET "
                    "failures = CASE WHEN f.size = excluded.size AND f.modified_at = excluded.modified_at AND f.etag = excluded.etag THEN f.failures + 1 ELSE 1 END, "
                    "size = excluded.size, modified_at = excluded.modified_at, etag = excluded.etag, run_id = excluded.run_id, failed_at = excluded.failed_at, "
                    "error_code = excluded.error_code, error_message = excluded.error_message, error_detail = excluded.error_detail",
                    lengthof(types), types, values, nulls, SPI_OK_INSERT);
}

/* In a transaction of its own. */
static void
record_failure(Run *run, RunSource *source, const FetchObject *file, const ErrorData *error)
{
    CatalogScope scope;

    worker_begin();
    scope = catalog_begin();
    record_check_lease(run);
    write_failure(run, source->asked->node, file, error);
    archive_left_out(run, source, file, error->sqlerrcode);
    catalog_end(scope);
    injection_point("file-left-out");
    worker_commit();
    MemoryContextSwitchTo(run->context);
}

void
left_out_loaded(const Run *run, const GraphNode *node, const FetchObject *file)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(node->id), CStringGetTextDatum(file->path)};

    if (fetch_skips_failing(node))
        catalog_execute("DELETE FROM kaireon_internal.file_failure WHERE pipeline_id = $1 AND node_id = $2 AND md5(path) = md5($3) AND path = $3",
                        lengthof(types), types, values, NULL, SPI_OK_DELETE);
}

/* ---- going on ------------------------------------------------------------------------------------ */

/* The run goes on without the file at that place. */
static void
leave_out(Run *run, int place, ErrorData *error)
{
    RunSource *source = run->reading;
    const FetchObject *file = list_nth(source->files, place);
    Reject *reject = describe_failure(run, source->asked->node, file, error);
    const Reject *bad_row = run->rejects->failure;
    int64 rows = rows_read_of(run);

    ereport(LOG, (errcode(error->sqlerrcode), errmsg("kaireon leaves out file \"%s\" of pipeline \"%s\": %s", file->path, run->spec->name, error->message),
                  error->detail ? errdetail_internal("%s", error->detail) : 0));
    AbortOutOfAnyTransaction();
    MemoryContextSwitchTo(run->context);
    go_back(run);
    run->counts.read += rows;
    run->counts.failed += rows;
    run->done_bytes += file->size;
    run->committed.counts = run->counts;
    run->committed.done_bytes = run->done_bytes;
    source->files = list_delete_nth_cell(source->files, place);
    rejects_note(run->rejects, reject);
    rejects_committed(run->rejects, false);
    if (run->left_out++ == 0)
    {
        run->first_left_out = error;
        run->left_out_at = bad_row ? bad_row->node : NULL;
    }
    if (!run->dry)
        record_failure(run, source, file, error);
    run_show_progress(run);
}

/* Loads what there is to load; NULL when it came to its end. */
static ErrorData *
try_load(Run *run, void (*load) (Run *run))
{
    ErrorData *volatile error = NULL;

    PG_TRY();
    {
        load(run);
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(run->context);
        error = CopyErrorData();
        FlushErrorState();
    }
    PG_END_TRY();
    return error;
}

void
run_load_files(Run *run, void (*load) (Run *run))
{
    ErrorData *error;

    if (!leaves_out(run))
    {
        load(run);
        return;
    }
    while ((error = try_load(run, load)) != NULL)
    {
        int place = failed_file(run, error);

        if (place < 0)
            ReThrowError(error);
        leave_out(run, place, error);
    }
    if (run->left_out > 0)
    {
        int loaded = 0;

        for (int i = 0; i < run->program->nsources; i++)
            loaded += run->sources[i].earlier + list_length(run->sources[i].splits);
        run->all_left_out = loaded == 0;
        if (run->all_left_out)
            ReThrowError(run->first_left_out);
    }
    if (!run->loading)
        run_begin_load(run);
}
