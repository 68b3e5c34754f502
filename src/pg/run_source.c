/*
 * run_source.c: how a run reads its sources.  See run_state.h.
 *
 * All sources are listed before the load's transaction begins.  They are read
 * one after another; no snapshot is held while one is waited for.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/archive.h"
#include "pg/dead_letter.h"
#include "pg/errors.h"
#include "pg/file_pattern.h"
#include "pg/injection.h"
#include "pg/json.h"
#include "pg/rights.h"
#include "pg/upload.h"
#include "pg/worker.h"

/* ---- opening ---------------------------------------------------------------------------- */

int
run_file_arrays(List *listed, int first, Datum *arrays)
{
    int count = Min(list_length(listed) - first, RUN_FILES_AT_ONCE);
    Datum *paths = palloc(sizeof(Datum) * count), *sizes = palloc(sizeof(Datum) * count), *times = palloc(sizeof(Datum) * count);
    Datum *etags = palloc(sizeof(Datum) * count);

    for (int i = 0; i < count; i++)
    {
        const FetchObject *file = list_nth(listed, first + i);

        paths[i] = CStringGetTextDatum(file->path);
        sizes[i] = Int64GetDatum(file->size);
        times[i] = TimestampTzGetDatum(file->modified);
        etags[i] = CStringGetTextDatum(file->etag);
    }
    arrays[0] = PointerGetDatum(construct_array(paths, count, TEXTOID, -1, false, TYPALIGN_INT));
    arrays[1] = PointerGetDatum(construct_array(sizes, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
    arrays[2] = PointerGetDatum(construct_array(times, count, TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
    arrays[3] = PointerGetDatum(construct_array(etags, count, TEXTOID, -1, false, TYPALIGN_INT));
    return count;
}

/* Of `count` files from a place on, those that `keep` keeps, behind those in `left`.  The query's rows are in SPI_tuptable. */
static List *
keep_files(Run *run, List *listed, int first, int count, List *left, RunKeepFile keep, void *arg)
{
    uint64 next = 0;
    MemoryContext old = MemoryContextSwitchTo(run->context);

    for (int i = 0; i < count; i++)
    {
        FetchObject *file = list_nth(listed, first + i);
        HeapTuple row = next < SPI_processed ? SPI_tuptable->vals[next] : NULL;
        bool null;

        if (row && DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null)) != i + 1)
            row = NULL;
        next += row != NULL;
        if (keep(arg, file, row))
            left = lappend(left, file);
    }
    MemoryContextSwitchTo(old);
    return left;
}

List *
run_ask_files(Run *run, const GraphNode *node, List *listed, const char *query, bool versions, RunKeepFile keep, void *arg)
{
    MemoryContext chunk = AllocSetContextCreate(CurrentMemoryContext, "kaireon listing", ALLOCSET_DEFAULT_SIZES);
    Oid types[] = {UUIDOID, TEXTOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, UUIDOID, BOOLOID, BOOLOID, BOOLOID};
    List *left = NIL;
    int count;

    for (int first = 0; first < list_length(listed); first += count)
    {
        MemoryContext old = MemoryContextSwitchTo(chunk);
        Datum values[lengthof(types)] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(node->id), 0, 0, 0, 0, UUIDPGetDatum(&run->slot->run_id),
                                         BoolGetDatum(run->earlier != NULL), BoolGetDatum(fetch_is_incremental(node)), BoolGetDatum(versions)};

        count = run_file_arrays(listed, first, &values[2]);
        MemoryContextSwitchTo(old);
        catalog_execute(query, lengthof(types), types, values, NULL, SPI_OK_SELECT);
        left = keep_files(run, listed, first, count, left, keep, arg);
        SPI_freetuptable(SPI_tuptable);
        MemoryContextReset(chunk);
        CHECK_FOR_INTERRUPTS();
    }
    MemoryContextDelete(chunk);
    return left;
}

const ConnectorSpec *
run_connector(const Run *run, const RunSource *source)
{
    const ConnectorSpec *connector = source->asked->connector ? source->asked->connector : &run->spec->connector;

    return run->slot->upload[0] ? upload_connector(connector, run->slot->upload) : connector;
}

static void
open_source(Run *run, RunSource *source)
{
    const GraphNode *node = source->asked->node;
    List *listed, *claimed;
    CatalogScope scope;

    claimed = staging_claimed(run, source);
    source->link = link_open();
    run->slot->reader_pid = link_pid(source->link);
    listed = fetch_list(source->link, run_connector(run, source), node, run->asked_at, claimed != NIL);
    worker_begin();
    MemoryContextSwitchTo(run->context);
    listed = file_pattern_select(node->config, listed);
    source->any_listed = listed != NIL;
    source->listed = archive_leave_out(run->input.graph, node, listed);
    listed = archive_not_waiting(run, source, source->listed);
    source->files = run_files_left(run, source, list_concat_copy(claimed, staging_leave_out(claimed, listed)));
    scope = catalog_begin();
    staging_let_go(run, source, claimed);
    catalog_end(scope);
    worker_commit();
    MemoryContextSwitchTo(run->context);
}

void
run_open_sources(Run *run)
{
    int64 total;

    run_report("opening the source");
    run_enter(run, STAGE_LISTING);
    for (int i = 0; i < run->program->nsources; i++)
        open_source(run, &run->sources[i]);
    injection_point("source-listed");
    staging_check(run);
    run_stage_files(run);
    total = run->done_bytes;     /* of earlier attempts */
    for (int i = 0; i < run->program->nsources; i++)
    {
        ListCell *lc;

        foreach(lc, run->sources[i].files)
            total += ((FetchObject *) lfirst(lc))->size;
    }
    run->committed.done_bytes = run->done_bytes;
    pg_atomic_write_u64(&run->slot->bytes_total, total);
    run_enter(run, STAGE_OPENING);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The next message, whose waiting holds no snapshot; the load begins with the first of a run, and anew with the first behind a commit. */
static void
receive(Run *run, RunSource *source, LinkMessage *message)
{
    instr_time since, now;

    if (run->loading)
    {
        /* the transaction's ID remains */
        PopActiveSnapshot();
    }
    INSTR_TIME_SET_CURRENT(since);
    (void) link_receive(source->link, message, true);
    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_ACCUM_DIFF(source->waiting, now, since);
    if (run->loading)
        PushActiveSnapshot(GetTransactionSnapshot());
    else
        run_begin_load(run);
}

/* The next member of the archive that is being read: what is counted is counted on. */
static void
next_member(RunSource *source, FetchObject *split)
{
    const FetchObject *before = source->split;

    if (strcmp(before->path, split->path) != 0)
        link_misbehaved("kaireon-reader began a split that was not asked for");
    split->number = before->number + 1;
    split->from = before->from;
    split->rows = before->rows;
    split->at = before->at;
    split->claim = before->claim;
    source->members++;
}

static void
begin_split(Run *run, RunSource *source, const LinkMessage *message)
{
    MemoryContext old = MemoryContextSwitchTo(run->context);
    FetchObject *before = source->split ? source->split : source->splits != NIL ? llast(source->splits) : NULL;
    FetchObject *split = fetch_split(message, source->asked->ncolumns, source->present);

    split->source = source->asked->node;
    if (source->split && run->replay == NULL)
        next_member(source, split);
    else if (source->split || (run->replay == NULL && list_length(source->splits) >= list_length(source->files)))
        link_misbehaved("kaireon-reader began a split that was not asked for");
    else
    {
        split->number = list_length(source->splits) + source->members;
        source->split = split;
        if (run->replay == NULL)
            run_begin_file(run, source);
    }
    /* files of one kind share their fields */
    if (before && strcmp(before->fields, split->fields) == 0)
        split->fields = before->fields;
    /* in a replay there is a split whenever the fields change */
    source->split = run->replay && before && strcmp(before->path, split->path) == 0 ? before : split;
    MemoryContextSwitchTo(old);
}

/* Rows of which it is not yet known whether they can be loaded. */
static int64
rows_waiting(const Run *run)
{
    int64 rows = 0;

    for (int i = 0; i < run->program->ntargets; i++)
        rows += loader_waiting(run->loaders[i]);
    return rows;
}

static void
take_batch(Run *run, RunSource *source, const LinkMessage *message)
{
    RightsScope scope;
    int64 rows;

    if (source->split == NULL)
        link_misbehaved("kaireon-reader sent rows outside of a split");
    /* the tables' own code runs in here: no role it takes and no setting it makes outlasts the batch */
    scope = rights_assume(run->slot->owner, 0);
    cells_load(source->cells, message->body, message->length);
    if (run->replay)
        replay_check_batch(run, source);
    rows = source->cells->nrows + source->cells->batch.header->nrejects;
    run->counts.read += rows;
    source->split->rows += rows;
    run->counts.bytes = run->done_bytes + (int64) source->cells->batch.header->bytes_read;
    execution_batch(run->execution, source - run->sources, source->cells, source->split, source->present);
    rights_resume(scope);
    dead_letters_flush(run->rejects->letters);
    run_show_progress(run);
    if (run->replay == NULL)     /* letters are known to be bad */
        rejects_check_all_bad(run->rejects, run->counts.read - run->counts.failed - rows_waiting(run));
    run_batch_done(run, source);
}

static void
end_split(Run *run, RunSource *source)
{
    MemoryContext old = MemoryContextSwitchTo(run->context);

    if (source->split == NULL)
        link_misbehaved("kaireon-reader ended a split that did not begin");
    if (source->splits == NIL || llast(source->splits) != source->split)
        source->splits = lappend(source->splits, source->split);
    run->done_bytes += source->split->size;
    run->counts.bytes = run->done_bytes;
    source->split = NULL;
    MemoryContextSwitchTo(old);
    run_file_done(run);
}

void
run_take_answer(Run *run, RunSource *source)
{
    LinkMessage message;

    for (;;)
    {
        receive(run, source, &message);
        if (message.type == WIRE_END)
            break;
        if (message.type == WIRE_SPLIT)
        {
            begin_split(run, source, &message);
            injection_point("split-begun");
        }
        else if (message.type == WIRE_BATCH)
        {
            take_batch(run, source, &message);
            injection_point("batch-loaded");
        }
        else if (message.type == WIRE_SPLIT_END)
        {
            end_split(run, source);
            injection_point("split-ended");
        }
        else
            link_misbehaved("kaireon-reader sent an unexpected message of type %d", message.type);
    }
}

void
run_read_source(Run *run, RunSource *source)
{
    FetchLimits limits = {0, json_get_int(&run->spec->execution_config->root, "batchSize", 0),
                          run->rejects->letters != NULL};
    List *files = list_copy_tail(source->files, list_length(source->splits));

    if (source->link == NULL)
    {
        /* a file behind which the run goes on was left out */
        if (files == NIL)
            return;
        source->link = link_open();
    }
    run->reading = source;
    run->slot->reader_pid = link_pid(source->link);
    fetch_read(source->link, run_connector(run, source), source->asked, files, &limits);
    run_take_answer(run, source);
    if (source->split || (list_length(source->splits) < list_length(source->files) && fetch_row_limit(source->asked->node) == 0))
        link_misbehaved("kaireon-reader ended before it had read everything");
    link_close(source->link);
    source->link = NULL;
    run->reading = NULL;
}
