/*
 * run.c: the worker of one run.
 *
 * Three phases.  Start: one short transaction reads the pipeline, compiles it
 * and marks the run as running.  Waiting: the reader is started, the source
 * listed and the first message awaited, with no transaction open.  Loading:
 * one transaction takes every batch and ends with the file ledger, the
 * rejects, the counters and the run's row: all of it commits, or none.
 * Between batches no snapshot is held.
 *
 * Whatever fails, a further transaction writes how the run ended.  If this
 * process dies before, its supervisor does.
 */
#include "postgres.h"

#include "pg/run.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/catalog.h"
#include "pg/cells.h"
#include "pg/compat.h"
#include "pg/control.h"
#include "pg/encoding.h"
#include "pg/errors.h"
#include "pg/fetch.h"
#include "pg/json.h"
#include "pg/link.h"
#include "pg/load.h"
#include "pg/node.h"
#include "pg/reject.h"
#include "pg/rights.h"
#include "pg/settings.h"
#include "pg/stage.h"
#include "pg/worker.h"

typedef struct Run
{
    RunSlot *slot;
    MemoryContext context;
    PipelineSpec *spec;
    Graph *graph;
    Program *program;
    Link *link;
    int64 epoch;             /* of the lease */
    Rejects *rejects;
    /* while loading */
    Relation target;
    Cells *cells;
    Stage *stage;
    Loader *loader;
    bool *present;           /* columns of the split being read */
    bool *stage_present;     /* columns the stage was compiled for */
    FetchObject *split;      /* being read; NULL between splits */
    List *splits;            /* FetchObject *: read whole */
    int nfiles;              /* asked for: so many splits must come, unless a row limit ends the reading */
    RunCounts counts;
    int64 *filtered_by;
    int64 done_bytes;        /* of the splits before this one */
    instr_time waiting, evaluating, loading;
} Run;

static void
report(const char *what)
{
    pgstat_report_activity(STATE_RUNNING, what);
}

static void
enter_stage(Run *run, RunStage stage)
{
    pg_atomic_write_u32(&run->slot->stage, stage);
}

/* ---- start ------------------------------------------------------------------- */

static Validation
fallback_validation(const PipelineSpec *spec)
{
    return spec->error_skip ? VALIDATION_SKIP : VALIDATION_STRICT;
}

pg_noreturn static void
no_pipeline(void)
{
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the pipeline or its version does not exist any more"),
                    errdetail("It was deleted after the run was asked for."),
                    errhint("The view kaireon.pipelines has those there are.")));
    pg_unreachable();
}

static void
mark_running(Run *run)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID, UUIDOID, INT4OID, TEXTOID};
    Datum values[4];
    bool null;

    values[0] = UUIDPGetDatum(&run->slot->run_id);
    values[1] = UUIDPGetDatum(&run->spec->id);
    values[2] = Int32GetDatum(MyProcPid);
    values[3] = CStringGetTextDatum("append");
    /* whoever is dropping it is waited for */
    if (catalog_execute("SELECT FROM kaireon_internal.pipeline WHERE id = $2 FOR KEY SHARE", 2, types, values, NULL, SPI_OK_SELECT) != 1)
        no_pipeline();
    if (catalog_execute("UPDATE kaireon_internal.run SET status = 'running', started_at = clock_timestamp(), worker_pid = $3, "
                        "loading_strategy = $4 WHERE run_id = $1 AND status = 'queued'",
                        4, types, values, NULL, SPI_OK_UPDATE) != 1)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the run is not queued any more")));
    if (catalog_execute("INSERT INTO kaireon_internal.lease AS l (pipeline_id, epoch, run_id) VALUES ($2, 1, $1) "
                        "ON CONFLICT (pipeline_id) DO UPDATE SET epoch = l.epoch + 1, run_id = excluded.run_id RETURNING epoch",
                        2, types, values, NULL, SPI_OK_INSERT_RETURNING) != 1)
        elog(ERROR, "could not take the lease");
    run->epoch = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    catalog_end(scope);
}

static void
start(Run *run)
{
    List *findings = NIL;

    worker_begin();
    MemoryContextSwitchTo(run->context);
    run->spec = catalog_load_pipeline(&run->slot->pipeline_id, run->slot->version);
    if (run->spec == NULL)
        no_pipeline();
    rights_require_runnable(&run->slot->pipeline_id);
    mark_running(run);
    run->graph = graph_parse(run->spec->nodes, run->spec->edges, &findings);
    if (run->graph == NULL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", ((Finding *) linitial(findings))->message)));
    run->program = compile_program(run->graph, run->spec->relid, run->spec->fields, run->spec->nfields,
                                   fallback_validation(run->spec), NULL, NULL);
    run->rejects = rejects_create(run->spec->name, run->graph, run->program->validation == VALIDATION_STRICT,
                                  run->spec->error_given ? !run->spec->error_skip : run->program->validation == VALIDATION_STRICT);
    run->filtered_by = palloc0(sizeof(int64) * run->graph->nnodes);
    run->cells = cells_create(run->program);
    encoding_prepare();
    run->present = palloc0(sizeof(bool) * Max(run->program->ncolumns, 1));
    run->stage_present = palloc0(sizeof(bool) * Max(run->program->ncolumns, 1));
    worker_commit();
    MemoryContextSwitchTo(run->context);
}

/* ---- waiting ----------------------------------------------------------------- */

/* Files of the listing that the ledger does not have; a transaction of its own. */
static List *
new_files(Run *run, List *listed)
{
    List *fresh = NIL;
    ListCell *lc;
    CatalogScope scope;
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID};

    worker_begin();
    MemoryContextSwitchTo(run->context);
    scope = catalog_begin();
    foreach(lc, listed)
    {
        FetchObject *file = lfirst(lc);
        Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(run->graph->nodes[0].id),
                          CStringGetTextDatum(file->path), Int64GetDatum(file->size), TimestampTzGetDatum(file->modified)};

        if (catalog_execute("SELECT FROM kaireon_internal.source_file WHERE pipeline_id = $1 AND node_id = $2 AND md5(path) = md5($3) AND path = $3 "
                            "AND size = $4 AND modified_at = $5", 5, types, values, NULL, SPI_OK_SELECT) == 0)
        {
            MemoryContext old = MemoryContextSwitchTo(run->context);

            fresh = lappend(fresh, file);
            MemoryContextSwitchTo(old);
        }
        SPI_freetuptable(SPI_tuptable);
    }
    catalog_end(scope);
    worker_commit();
    MemoryContextSwitchTo(run->context);
    return fresh;
}

static void
open_source(Run *run)
{
    List *listed, *files;
    ListCell *lc;
    int64 total = 0;

    report("opening the source");
    enter_stage(run, STAGE_LISTING);
    run->link = link_open();
    run->slot->reader_pid = link_pid(run->link);
    listed = fetch_list(run->link, run->spec, run->graph);
    files = fetch_is_incremental(run->graph) ? new_files(run, listed) : listed;
    foreach(lc, files)
        total += ((FetchObject *) lfirst(lc))->size;
    run->nfiles = list_length(files);
    pg_atomic_write_u64(&run->slot->bytes_total, total);
    enter_stage(run, STAGE_OPENING);
    fetch_read(run->link, run->spec, run->program, files, 0);
}

/* ---- loading ------------------------------------------------------------------ */

static bool
same_columns(const Program *a, const Program *b)
{
    if (a->ncolumns != b->ncolumns)
        return false;
    for (int i = 0; i < a->ncolumns; i++)
    {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 || a->columns[i].type != b->columns[i].type ||
            a->columns[i].typmod != b->columns[i].typmod)
            return false;
    }
    return true;
}

static void
drop_stage(Run *run)
{
    if (run->stage == NULL)
        return;
    run->counts.filtered += run->stage->filtered;
    for (int i = 0; i < run->graph->nnodes; i++)
        run->filtered_by[i] += run->stage->filtered_by[i];
    stage_destroy(run->stage);
    run->stage = NULL;
}

/* A stage for the columns this split has; target columns it lacks take their default. */
static void
ensure_stage(Run *run)
{
    Program *program;
    MemoryContext old;

    if (run->stage && memcmp(run->stage_present, run->present, sizeof(bool) * run->program->ncolumns) == 0)
        return;
    drop_stage(run);
    old = MemoryContextSwitchTo(run->context);
    program = compile_program(run->graph, run->spec->relid, run->spec->fields, run->spec->nfields,
                              fallback_validation(run->spec), run->present, NULL);
    if (!same_columns(program, run->program))
        elog(ERROR, "compilation of pipeline \"%s\" is not stable", run->spec->name);
    run->stage = stage_create(program, run->target);
    memcpy(run->stage_present, run->present, sizeof(bool) * run->program->ncolumns);
    MemoryContextSwitchTo(old);
}

/* Locks the target and makes sure it still is what the pipeline was compiled for. */
static void
begin_load(Run *run)
{
    PipelineSpec *spec;
    Program *program;

    enter_stage(run, STAGE_LOADING); /* from here on it waits for the table, not for the source */
    report("loading");
    worker_begin();
    MemoryContextSwitchTo(run->context);
    run->target = table_open(run->spec->relid, RowExclusiveLock);
    rights_require_runnable(&run->slot->pipeline_id); /* once more: it may have waited for long */
    spec = catalog_load_pipeline(&run->slot->pipeline_id, run->spec->version);
    if (spec == NULL || spec->relid != run->spec->relid)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the pipeline was changed while its run began")));
    program = compile_program(run->graph, spec->relid, spec->fields, spec->nfields, fallback_validation(spec), NULL, NULL);
    if (!same_columns(program, run->program))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("table \"%s\" was changed while the run began", RelationGetRelationName(run->target)),
                        errhint("Run the pipeline again.")));
    run->spec->fields = spec->fields;
    run->spec->nfields = spec->nfields;
    run->loader = loader_create(run->target, &run->graph->nodes[run->graph->nnodes - 1], run->rejects);
}

static void
show_progress(Run *run)
{
    RunSlot *slot = run->slot;
    int64 filtered = run->counts.filtered + (run->stage ? run->stage->filtered : 0) + loader_suppressed(run->loader);

    pg_atomic_write_u64(&slot->rows_read, run->counts.read);
    pg_atomic_write_u64(&slot->rows_loaded, loader_loaded(run->loader));
    pg_atomic_write_u64(&slot->rows_skipped, run->rejects->count);
    pg_atomic_write_u64(&slot->rows_filtered, filtered);
    pg_atomic_write_u64(&slot->bytes_read, run->counts.bytes);
}

static void
add_since(instr_time *total, instr_time *since)
{
    instr_time now;

    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_ACCUM_DIFF(*total, now, *since);
    *since = now;
}

static void
load_batch(Run *run, const LinkMessage *message)
{
    instr_time since;
    RightsScope scope;

    if (run->split == NULL)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_PROTOCOL), errmsg("kaireon-reader sent rows outside of a split")));
    INSTR_TIME_SET_CURRENT(since);
    /* the table's own code runs in here: no role it takes and no setting it makes outlasts the batch */
    scope = rights_assume(run->slot->owner, 0);
    ensure_stage(run);
    cells_load(run->cells, message->body, message->length);
    run->counts.read += run->cells->nrows + run->cells->batch.header->nrejects;
    run->split->rows += run->cells->nrows + run->cells->batch.header->nrejects;
    run->counts.bytes = run->done_bytes + (int64) run->cells->batch.header->bytes_read;
    loader_batch(run->loader, run->cells, run->split->path);
    stage_run(run->stage, run->cells, run->rejects, run->split->path, loader_sink(run->loader));
    add_since(&run->evaluating, &since);
    loader_flush(run->loader);
    rights_resume(scope);
    add_since(&run->loading, &since);
    show_progress(run);
}

static void
begin_split(Run *run, const LinkMessage *message)
{
    MemoryContext old = MemoryContextSwitchTo(run->context);

    if (run->split || list_length(run->splits) >= run->nfiles)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_PROTOCOL), errmsg("kaireon-reader began a split that was not asked for")));
    run->split = fetch_split(message, run->program->ncolumns, run->present);
    MemoryContextSwitchTo(old);
}

static void
end_split(Run *run)
{
    MemoryContext old = MemoryContextSwitchTo(run->context);

    if (run->split == NULL)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_PROTOCOL), errmsg("kaireon-reader ended a split that did not begin")));
    run->splits = lappend(run->splits, run->split);
    run->done_bytes += run->split->size;
    run->counts.bytes = run->done_bytes;
    run->split = NULL;
    MemoryContextSwitchTo(old);
}

/* Takes messages until the source is read whole. */
static void
load(Run *run)
{
    LinkMessage message;
    instr_time since;
    bool first = true;

    INSTR_TIME_SET_CURRENT(since);
    (void) link_receive(run->link, &message, true);
    add_since(&run->waiting, &since);
    begin_load(run);
    for (;; first = false)
    {
        if (!first)
        {
            /* no snapshot is held while the source is slow; the transaction's ID remains */
            PopActiveSnapshot();
            InvalidateCatalogSnapshotConditionally();
            INSTR_TIME_SET_CURRENT(since);
            (void) link_receive(run->link, &message, true);
            add_since(&run->waiting, &since);
            PushActiveSnapshot(GetTransactionSnapshot());
        }
        if (message.type == WIRE_END)
            break;
        if (message.type == WIRE_SPLIT)
            begin_split(run, &message);
        else if (message.type == WIRE_BATCH)
            load_batch(run, &message);
        else if (message.type == WIRE_SPLIT_END)
            end_split(run);
        else
            ereport(ERROR, (errcode(ERRCODE_KAIREON_PROTOCOL), errmsg("kaireon-reader sent an unexpected message of type %d", message.type)));
    }
    if (run->split || (list_length(run->splits) < run->nfiles && fetch_row_limit(run->graph) == 0))
        ereport(ERROR, (errcode(ERRCODE_KAIREON_PROTOCOL), errmsg("kaireon-reader ended before it had read everything")));
}

/* ---- the end ------------------------------------------------------------------- */

static void
write_ledger(Run *run)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, INT8OID};
    ListCell *lc;

    foreach(lc, run->splits)
    {
        FetchObject *file = lfirst(lc);
        Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(run->graph->nodes[0].id),
                          CStringGetTextDatum(file->path), Int64GetDatum(file->size), TimestampTzGetDatum(file->modified),
                          CStringGetTextDatum(file->etag), CStringGetTextDatum(file->head_hash),
                          CStringGetTextDatum(file->dialect), UUIDPGetDatum(&run->slot->run_id), Int64GetDatum(file->rows)};

        catalog_execute("INSERT INTO kaireon_internal.source_file (pipeline_id, node_id, path, size, modified_at, etag, head_hash, "
                        "dialect, run_id, rows_read) VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, '')::jsonb, $9, $10) "
                        "ON CONFLICT (pipeline_id, node_id, md5(path), size, modified_at, head_hash) DO UPDATE SET run_id = excluded.run_id, "
                        "rows_read = excluded.rows_read, dialect = excluded.dialect, loaded_at = now()",
                        10, types, values, NULL, SPI_OK_INSERT);
    }
}

/* Rows in and out of each node; time where it was spent: reading, the fused row stage, the table. */
static void
write_nodes(Run *run, bool failed)
{
    Oid types[] = {UUIDOID, INT4OID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, FLOAT8OID};
    int64 rows = run->counts.read;

    for (int i = 0; i < run->graph->nnodes; i++)
    {
        const GraphNode *node = &run->graph->nodes[i];
        int64 in = rows;
        bool target = node->op->kind == NODE_TARGET;
        double time = 0;
        Datum values[8];

        rows -= run->filtered_by[i] + run->rejects->per_node[i];
        if (node->op->kind == NODE_SOURCE)
            time = INSTR_TIME_GET_MILLISEC(run->waiting);
        else if (target)
            time = INSTR_TIME_GET_MILLISEC(run->loading);
        else if (i == 1)
            time = INSTR_TIME_GET_MILLISEC(run->evaluating);
        if (run->graph->nnodes == 2 && target)
            time += INSTR_TIME_GET_MILLISEC(run->evaluating);
        values[0] = UUIDPGetDatum(&run->slot->run_id);
        values[1] = Int32GetDatum(i + 1);
        values[2] = CStringGetTextDatum(node->id);
        values[3] = CStringGetTextDatum(node->op->name);
        values[4] = Int64GetDatum(in);
        values[5] = Int64GetDatum(target ? (failed ? 0 : run->counts.loaded) : rows);
        values[6] = Int64GetDatum(run->rejects->per_node[i]);
        values[7] = Float8GetDatum(time);
        catalog_execute("INSERT INTO kaireon_internal.run_node (run_id, ordinal, node_id, node_type, rows_in, rows_out, rows_rejected, duration_ms) "
                        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", 8, types, values, NULL, SPI_OK_INSERT);
    }
}

static Datum
optional_text(const char *text, char *null)
{
    *null = text ? ' ' : 'n';
    return text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
write_run(Run *run, const char *status, const ErrorData *error, const char *node)
{
    Oid types[] = {UUIDOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID,
                   INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
    Datum values[15];
    char nulls[16] = "               ";
    const RunCounts *c = &run->counts;

    values[0] = UUIDPGetDatum(&run->slot->run_id);
    values[1] = CStringGetTextDatum(status);
    values[2] = Int64GetDatum(c->read);
    values[3] = Int64GetDatum(c->loaded);
    values[4] = Int64GetDatum(c->updated);
    values[5] = Int64GetDatum(c->failed);
    values[6] = Int64GetDatum(c->skipped);
    values[7] = Int64GetDatum(c->filtered);
    values[8] = Int64GetDatum(c->merged);
    values[9] = Int64GetDatum(c->bytes);
    values[10] = optional_text(error ? unpack_sql_state(error->sqlerrcode) : NULL, &nulls[10]);
    values[11] = optional_text(error ? error->message : NULL, &nulls[11]);
    values[12] = optional_text(error ? error->detail : NULL, &nulls[12]);
    values[13] = optional_text(error ? error->hint : NULL, &nulls[13]);
    values[14] = optional_text(node, &nulls[14]);
    if (catalog_execute("UPDATE kaireon_internal.run SET status = $2, finished_at = clock_timestamp(), rows_read = $3, rows_loaded = $4, "
                        "rows_updated = $5, rows_failed = $6, rows_skipped = $7, rows_filtered = $8, rows_merged = $9, bytes_read = $10, "
                        "error_code = $11, error_message = $12, error_detail = $13, error_hint = $14, error_node = $15 "
                        "WHERE run_id = $1 AND status IN ('queued', 'running')",
                        15, types, values, nulls, SPI_OK_UPDATE) != 1)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_LEASE_LOST), errmsg("the run was ended by somebody else")));
}

static void
check_lease(Run *run)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id)};
    bool null;

    if (catalog_execute("SELECT epoch FROM kaireon_internal.lease WHERE pipeline_id = $1 FOR UPDATE", 1, types, values, NULL, SPI_OK_SELECT) != 1 ||
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)) != run->epoch)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_LEASE_LOST), errmsg("another run of pipeline \"%s\" has taken over", run->spec->name)));
}

static void
finish_load(Run *run)
{
    RightsScope rights;
    CatalogScope scope;

    enter_stage(run, STAGE_COMMITTING);
    report("committing");
    rights = rights_assume(run->slot->owner, 0);
    loader_finish(run->loader);
    rights_resume(rights);
    run->counts.loaded = loader_loaded(run->loader);
    drop_stage(run);
    run->counts.filtered += loader_suppressed(run->loader);
    run->counts.skipped = run->rejects->count;
    table_close(run->target, NoLock);
    link_close(run->link);
    scope = catalog_begin();
    check_lease(run);
    write_ledger(run);
    write_nodes(run, false);
    rejects_write(run->rejects, &run->slot->run_id);
    write_run(run, run->rejects->count > 0 ? "partial" : "success", NULL, NULL);
    catalog_end(scope);
    worker_commit();
}

/* A transaction of its own that says how the run failed.  Nothing was loaded. */
static void
record_failure(Run *run, ErrorData *error)
{
    bool cancelled = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
    const char *node = NULL;
    CatalogScope scope;

    worker_begin();
    if (run->rejects)
    {
        if (run->stage)
        {
            run->counts.filtered += run->stage->filtered;
            for (int i = 0; i < run->graph->nnodes; i++)
                run->filtered_by[i] += run->stage->filtered_by[i];
        }
        run->counts.skipped = run->rejects->count - (run->rejects->failure != NULL);
        if (run->rejects->failure)
            node = run->rejects->failure->node ? run->rejects->failure->node->id : run->rejects->source_node;
    }
    run->counts.loaded = 0;
    run->counts.failed = run->counts.read - run->counts.skipped - run->counts.filtered;
    if (cancelled)
        error->message = "the run was cancelled";
    scope = catalog_begin();
    write_run(run, cancelled ? "cancelled" : "failed", error, node);
    if (run->rejects)
    {
        write_nodes(run, true);
        rejects_write(run->rejects, &run->slot->run_id);
    }
    catalog_end(scope);
    worker_commit();
}

/* ---- the process ----------------------------------------------------------------- */

static void
run_context(void *arg)
{
    Run *run = arg;

    if (run->split && run->cells && run->cells->nrows > 0)
        errcontext("run of pipeline \"%s\", file \"%s\", lines " UINT64_FORMAT " and on", run->slot->pipeline, run->split->path,
                   run->cells->batch.header->first_line);
    else
        errcontext("run of pipeline \"%s\"", run->slot->pipeline);
}

static void
perform(Run *run)
{
    ErrorContextCallback callback = {error_context_stack, run_context, run};

    PG_TRY();
    {
        error_context_stack = &callback;
        start(run);
        open_source(run);
        load(run);
        finish_load(run);
        error_context_stack = callback.previous;
    }
    PG_CATCH();
    {
        ErrorData *error;

        error_context_stack = callback.previous;
        MemoryContextSwitchTo(run->context);
        error = CopyErrorData();
        EmitErrorReport();
        FlushErrorState();
        HOLD_INTERRUPTS();       /* a second cancel must not keep the end from being written */
        AbortOutOfAnyTransaction(); /* also out of the stage's or the loader's subtransaction */
        if (run->link)
            link_close(run->link);
        MemoryContextSwitchTo(run->context);
        record_failure(run, error);
        QueryCancelPending = false;
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
}

/* ---- connecting: what is refused there ends the process, so the slot keeps why ---- */

static RunSlot *connecting = NULL;
static emit_log_hook_type previous_log = NULL;

static void
keep_failure(ErrorData *error)
{
    if (connecting && error->elevel >= FATAL)
    {
        connecting->failure_code = error->sqlerrcode;
        strlcpy(connecting->failure, error->message ? error->message : "", CONTROL_FAILURE);
    }
    if (previous_log)
        previous_log(error);
}

static void
connect_as_owner(RunSlot *slot)
{
    previous_log = emit_log_hook;
    emit_log_hook = keep_failure;
    connecting = slot;
    BackgroundWorkerInitializeConnectionByOid(slot->database, slot->owner, COMPAT_WORKER_FLAGS);
    connecting = NULL;
    emit_log_hook = previous_log;
}

static void
end_slot(int code, Datum arg)
{
    RunSlot *slot = (RunSlot *) DatumGetPointer(arg);

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot->worker = NULL;
    slot->worker_pid = slot->reader_pid = 0;
    LWLockRelease(control->lock);
    (void) control_wake(slot->database);
}

void
kaireon_run_main(Datum arg)
{
    RunSlot *slot = &control->runs[DatumGetInt32(arg)];
    MemoryContext context;
    Run *run;

    pqsignal(SIGTERM, die);
    pqsignal(SIGINT, StatementCancelHandler);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    if (slot->state != SLOT_STARTING)
    {
        LWLockRelease(control->lock);
        proc_exit(0);
    }
    slot->worker = MyLatch;
    slot->worker_pid = MyProcPid;
    slot->started_at = GetCurrentTimestamp();
    slot->state = SLOT_RUNNING;
    LWLockRelease(control->lock);
    before_shmem_exit(end_slot, PointerGetDatum(slot));
    connect_as_owner(slot);
    pgstat_report_appname(psprintf("kaireon: %s", slot->pipeline));
    settings_fix_session();
    worker_fix_settings();
    context = AllocSetContextCreate(TopMemoryContext, "kaireon run", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    run = palloc0(sizeof(Run));
    run->slot = slot;
    run->context = context;
    if (slot->cancel)
        QueryCancelPending = InterruptPending = true;
    perform(run);
    proc_exit(0);
}
