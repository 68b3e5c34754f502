/*
 * run.c: the worker of one run.
 *
 * Three phases.  Start: one short transaction reads the pipeline, compiles it
 * and marks the run as running.  Waiting: readers are started, the sources
 * listed and the first message awaited, with no transaction open.  Loading:
 * one transaction takes every batch and ends with the file ledger, the
 * rejects, the counters and the run's row: all of it commits, or none.
 * Between batches no snapshot is held.  Where the pipeline commits before its
 * run's end (run_commit.c), there are several such transactions.
 *
 * Whatever fails, a further transaction writes how the run ended.  If this
 * process dies before, its supervisor does.
 */
#include "postgres.h"

#include "pg/run.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/dead_letter.h"
#include "pg/encoding.h"
#include "pg/guard.h"
#include "pg/guc.h"
#include "pg/injection.h"
#include "pg/new_files.h"
#include "pg/node.h"
#include "pg/outbox.h"
#include "pg/retry.h"
#include "pg/rights.h"
#include "pg/row_watch.h"
#include "pg/rule.h"
#include "pg/run_state.h"
#include "pg/settings.h"
#include "pg/target.h"
#include "pg/worker.h"

void
run_report(const char *what)
{
    pgstat_report_activity(STATE_RUNNING, what);
}

void
run_enter(Run *run, RunStage stage)
{
    pg_atomic_write_u32(&run->slot->stage, stage);
}

LoadStrategy
run_strategy(const Run *run, int target)
{
    LoadStrategy strategy = run->program->targets[target].strategy;

    /* dead letters are the rest of what was loaded */
    return run->replay && target_is_full_refresh(strategy) ? LOAD_APPEND : strategy;
}

/* ---- start ------------------------------------------------------------------- */

static void
set_input(Run *run, Graph *graph)
{
    run->input.graph = graph;
    run->input.schema = &run->spec->schema;
    run->input.fallback = error_policy_validation(&run->spec->errors);
}

/* In a replay no row stops the run: one that is bad again stays a dead letter. */
static void
create_rejects(Run *run)
{
    DeadLetterRun letters = {&run->spec->id, &run->slot->run_id, run->spec->version, run->replay != NULL};

    run->rejects = rejects_create(run->spec->name, run->program, run->replay ? NULL : &run->spec->errors);
    if (run->replay)
        run->rejects->keeps_all = true;
    if (run->replay || run->spec->errors.handling == ERRORS_DLQ || rule_quarantines(run->input.graph))
        run->rejects->letters = dead_letters_create(&letters);
}

static void
start(Run *run)
{
    List *findings = NIL;
    CatalogScope scope;
    Graph *graph;

    worker_begin();
    MemoryContextSwitchTo(run->context);
    run->spec = catalog_load_pipeline(&run->slot->pipeline_id, run->slot->version);
    if (run->spec == NULL)
        record_no_pipeline();
    rights_require_runnable(run->spec, NULL);
    scope = catalog_begin();
    record_running(run);
    catalog_end(scope);
    injection_point("run-marked");
    graph = graph_parse(run->spec->nodes, run->spec->edges, &findings);
    if (graph == NULL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", ((Finding *) linitial(findings))->message),
                        errdetail("The pipeline was saved by another version of kaireon."),
                        errhint("kaireon.validate_pipeline says all that is wrong with it.")));
    rights_require_runnable(run->spec, graph);
    set_input(run, graph);
    run->program = compile_program(&run->input, NULL, NULL);
    create_rejects(run);
    run_restore(run);
    scope = catalog_begin();
    record_strategies(run);
    catalog_end(scope);
    run->policy = run->replay || run->dry ? COMMIT_RUN : commit_policy(run->spec->execution_config);
    run->sources = palloc0(sizeof(RunSource) * run->program->nsources);
    for (int i = 0; i < run->program->nsources; i++)
    {
        RunSource *source = &run->sources[i];

        source->asked = &run->program->sources[i];
        source->passing_at = -1;
        source->cells = cells_create(source->asked, run->rejects->letters != NULL);
        source->present = palloc0(sizeof(bool) * Max(source->asked->ncolumns, 1));
    }
    encoding_prepare();
    if (run->replay)
        replay_prepare(run);
    worker_commit();
    injection_point("run-started");
    MemoryContextSwitchTo(run->context);
    run_show_progress(run);
}

/* ---- loading ------------------------------------------------------------------ */

/* The tables, for a message: "a" or "b". */
static char *
list_targets(const Run *run)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < run->program->ntargets; i++)
        appendStringInfo(&out, "%s\"%s\"", i ? " or " : "", RelationGetRelationName(run->targets[i]));
    return out.data;
}

/* When somebody else may have changed what the run works with, for a message. */
static const char *
began_or_went_on(const Run *run)
{
    return run->committed.commits ? "went on" : "began";
}

/*
 * A target, locked; it may have gone while the source was waited for.  Of runs
 * that replace its rows as a whole one waits for the other here, where it has
 * nothing of the table yet.
 */
static Relation
open_target(const Run *run, const SchemaSpec *schema, LoadStrategy strategy)
{
    Relation relation = try_table_open(schema->relid, target_is_full_refresh(strategy) ? ShareUpdateExclusiveLock : RowExclusiveLock);

    if (relation == NULL)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the table of schema \"%s\" was dropped while the run %s", schema->name, began_or_went_on(run)),
                        errdetail("It was there when the run was started."),
                        errhint("kaireon.validate_pipeline says what the pipeline needs.")));
    if (target_is_full_refresh(strategy))
        LockRelationOid(schema->relid, RowExclusiveLock);
    /* whoever may change a partition waits, as for the table itself: what it calls is looked at once */
    if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
        list_free(find_all_inheritors(RelationGetRelid(relation), RowExclusiveLock, NULL));
    return relation;
}

/* The summaries that will be written; their tables are locked as the targets are. */
static void
begin_summaries(Run *run, const Program *program)
{
    for (int i = 0; i < program->nsummaries; i++)
    {
        Summary *summary = summary_create(&program->summaries[i]);

        run->summaries = lappend(run->summaries, summary);
        for (int t = 0; t < program->ntargets; t++)
        {
            if (program->targets[t].schema->relid == program->summaries[i].relid)
                loader_summarise(run->loaders[t], summary);
        }
    }
}

/* Locks the targets and makes sure they still are what the pipeline was compiled for. */
void
run_begin_load(Run *run)
{
    int ntargets = run->program->ntargets;
    MemoryContext before = run->load_context; /* has what the program was compiled for */
    RowSink **sinks;
    PipelineSpec *spec;
    Program *program;

    run_enter(run, STAGE_LOADING); /* from here on it waits for the table, not for the source */
    run_report("loading");
    worker_begin();
    run->load_context = AllocSetContextCreate(run->context, "kaireon load", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(run->load_context);
    run->summaries = NIL;
    /* before the targets are open, so that a hook may do with them what it likes */
    if (run->replay == NULL && run->committed.commits == 0 && run->earlier == NULL && run_has_hooks(run, HOOK_PRE))
    {
        rights_require_runnable(run->spec, run->input.graph);
        run_call_hooks(run, HOOK_PRE);
        injection_point("hooks-before");
    }
    run->targets = palloc0(sizeof(Relation) * ntargets);
    run->loaders = palloc0(sizeof(Loader *) * ntargets);
    sinks = palloc0(sizeof(RowSink *) * ntargets);
    for (int i = 0; i < ntargets; i++)
        run->targets[i] = open_target(run, run->program->targets[i].schema, run_strategy(run, i));
    for (int i = 0; i < run->program->nsummaries; i++)
        LockRelationOid(run->program->summaries[i].summary_relid, RowExclusiveLock);
    rights_require_runnable(run->spec, run->input.graph); /* once more: it may have waited for long */
    spec = catalog_load_pipeline(&run->slot->pipeline_id, run->spec->version);
    if (spec == NULL)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the pipeline was changed while its run %s", began_or_went_on(run)),
                        errdetail("It was deleted, or its version is not there any more."), errhint("Run the pipeline again.")));
    run->spec->schema = spec->schema;
    program = compile_program(&run->input, NULL, NULL);
    if (!compile_same(program, run->program))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("table %s was changed while the run %s", list_targets(run), began_or_went_on(run)),
                        errdetail("The run was compiled for other columns than it found once it had the table."),
                        errhint("%s", run->committed.commits ? "kaireon.resume_run goes on with the table as it is now." : "Run the pipeline again.")));
    for (int i = 0; i < ntargets; i++)
    {
        run->loaders[i] = loader_create(&run->targets[i], &run->program->targets[i], run_strategy(run, i), run->rejects);
        sinks[i] = loader_sink(run->loaders[i]);
    }
    new_files_list();
    loader_introduce(run->loaders, ntargets);
    run->swapped = NULL;
    begin_summaries(run, program);
    if (run->replay == NULL)
    {
        CatalogScope scope = catalog_begin();

        watermark_read(run);
        catalog_end(scope);
    }
    run->execution = execution_create(&run->input, program, run->rejects, sinks, run->targets);
    run->loading = true;
    MemoryContextSwitchTo(run->context);
    if (before)
        MemoryContextDelete(before);
    injection_point("load-begun");
}

/* What became of the rows so far, at the nodes and at the tables; in the transactions before too. */
static void
count_rows(Run *run)
{
    const RunCounts *before = &run->committed.counts;
    RunCounts *counts = &run->counts;

    counts->loaded = before->loaded;
    counts->updated = before->updated;
    counts->filtered = before->filtered;
    counts->merged = before->merged;
    counts->skipped = run->rejects->count;
    if (run->execution == NULL)
        return;
    counts->filtered += execution_filtered(run->execution);
    counts->merged += execution_merged(run->execution);
    for (int i = 0; i < run->program->ntargets; i++)
    {
        const LoadCounts *at = loader_counts(run->loaders[i]);

        counts->loaded += at->loaded;
        counts->updated += at->updated;
        counts->merged += at->merged;
        counts->filtered += at->suppressed + at->unchanged + at->behind;
    }
}

void
run_show_progress(Run *run)
{
    RunSlot *slot = run->slot;

    count_rows(run);
    pg_atomic_write_u64(&slot->rows_read, run->counts.read);
    pg_atomic_write_u64(&slot->rows_loaded, run->counts.loaded);
    pg_atomic_write_u64(&slot->rows_updated, run->counts.updated);
    pg_atomic_write_u64(&slot->rows_skipped, run->counts.skipped);
    pg_atomic_write_u64(&slot->rows_filtered, run->counts.filtered);
    pg_atomic_write_u64(&slot->bytes_read, run->counts.bytes);
}

/* A set node asks a connector, while no snapshot is held. */
static void
ask_connector(Run *run, int stage)
{
    RightsScope scope;

    run_enter(run, STAGE_ENRICHING);
    run_report("asking a connector");
    PopActiveSnapshot();
    scope = rights_assume(run->slot->owner, 0);
    (void) execution_ask(run->execution, stage, PG_INT64_MAX);
    rights_resume(scope);
    PushActiveSnapshot(GetTransactionSnapshot());
    run_enter(run, STAGE_LOADING);
    run_report("loading");
}

/* The rows of a set node. */
static void
load_set(Run *run, int stage)
{
    bool more;

    if (run->program->stages[stage].set->ask)
        ask_connector(run, stage);
    do
    {
        RightsScope scope = rights_assume(run->slot->owner, 0);

        more = execution_set(run->execution, stage);
        rights_resume(scope);
        dead_letters_flush(run->rejects->letters);
        run_show_progress(run);
        injection_point("set-batch-loaded");
    } while (more);
}

static void
load(Run *run)
{
    for (int i = 0; i < run->program->nstages; i++)
    {
        const ProgramStage *stage = &run->program->stages[i];

        if (stage->source && run->replay)
            replay_source(run, &run->sources[stage->source - run->program->sources]);
        else if (stage->source)
            run_read_source(run, &run->sources[stage->source - run->program->sources]);
        else
            load_set(run, i);
    }
}

/* ---- the end ------------------------------------------------------------------- */

/* What the next run goes on from. */
static void
record_state(Run *run, bool last)
{
    CatalogScope scope = catalog_begin();

    record_check_lease(run);
    if (run->replay)
        replay_end(run);
    else
    {
        record_ledger(run);
        watermark_write(run);
        archive_loaded(run);
    }
    if (last && !run->dry)
    {
        record_expiry(run);
        record_superseded(run);
    }
    catalog_end(scope);
}

/* What became of the rows, and at last of the run. */
static void
record_rows(Run *run, bool last)
{
    CatalogScope scope = catalog_begin();

    record_nodes(run, false);
    rejects_write(run->rejects, &run->slot->run_id);
    if (last)
    {
        record_end(run, run->rejects->count > 0 || run->left_out > 0 ? "partial" : "success", NULL, NULL);
        outbox_want_webhooks(&run->slot->run_id);
    }
    else
        run_record_commit(run);
    catalog_end(scope);
}

/* Tables that are replaced are the new ones from the commit on. */
static void
exchange(Run *run)
{
    CatalogScope scope;

    run_swap(run);
    injection_point("load-exchanged");
    scope = catalog_begin();
    record_locks(run);
    catalog_end(scope);
}

void
run_end_load(Run *run, bool last)
{
    RightsScope rights;

    run_enter(run, STAGE_COMMITTING);
    run_report("committing");
    injection_point("load-ended");
    MemoryContextSwitchTo(run->load_context);
    execution_end(run->execution);
    run->nodes = run_count_nodes(run);
    rights = rights_assume(run->slot->owner, 0);
    for (int i = 0; i < run->program->ntargets; i++)
    {
        loader_finish(run->loaders[i]);
        table_close(run->targets[i], NoLock);
    }
    rights_resume(rights);
    run_check_references(run);
    if (run->replay == NULL)     /* its rows are not all rows of anything */
        run_judge(run);
    if (run->summaries || (last && run_has_hooks(run, HOOK_POST))) /* they see what the table has, so it is locked meanwhile */
        run_swap(run);
    run_summarise(run);
    if (last)
        run_call_hooks(run, HOOK_POST);
    injection_point("hooks-after");
    count_rows(run);
    if (last)
        rejects_check_share(run->rejects, run->counts.read - run->counts.failed);
    dead_letters_flush(run->rejects->letters);
    injection_point("load-finished");
    record_state(run, last);
    if (run->dry)
        run_undo(run);
    record_rows(run, last);
    injection_point("load-recorded");
    if (!run->dry)
        exchange(run);
    worker_commit();
    injection_point("load-committed");
    if (!run->dry)
        run_tell_locks(run);
    run_committed(run);
    MemoryContextSwitchTo(run->context);
}

/* How a run failed. */
typedef struct Failure
{
    Run *run;
    ErrorData *error;
    const char *node;        /* where, or NULL; "": in code, it is not known at which */
} Failure;

/* What an error's context ends with. */
#define RUN_CONTEXT "run of pipeline"


/* Somebody has asked for that; a trigger may choose the same SQLSTATE. */
static volatile sig_atomic_t cancel_asked = false;

static bool
was_cancelled(const ErrorData *error)
{
    return error->sqlerrcode == ERRCODE_QUERY_CANCELED && cancel_asked;
}

/* Was it within a function or a statement, so that its text may be about a row, whatever its SQLSTATE says? */
static bool
was_in_code(const ErrorData *error)
{
    return error->context && strncmp(error->context, RUN_CONTEXT, strlen(RUN_CONTEXT)) != 0;
}

/* What the server says too little about. */
static char *
resource_hint(const ErrorData *error)
{
    if (error->hint)
        return error->hint;
    if (error->sqlerrcode == ERRCODE_DISK_FULL)
        return pstrdup("Make room on the disk that the file is on, then run the pipeline again.");
    if (error->sqlerrcode == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED && strstr(error->message, "temp_file_limit"))
        return pstrdup("A superuser can raise it for the pipeline's owner (ALTER ROLE ... SET temp_file_limit).");
    return NULL;
}

/* What is known about it; the counters are those of the run's end. */
static void
examine_failure(Failure *failure)
{
    Run *run = failure->run;
    ErrorData *error = failure->error;
    const char *node = NULL;

    if (run->epoch == 0)
    {
        CatalogScope scope = catalog_begin();

        record_earlier(run);
        catalog_end(scope);
    }
    if (run->rejects && run->rejects->failure)
        node = run->rejects->failure->node->id;
    if (run->all_left_out && run->left_out_at)
        node = run->left_out_at->id;
    if (run->judged)
        node = run->judged->id;
    run->counts.filtered = run->committed.counts.filtered;
    run->counts.merged = run->committed.counts.merged;
    if (run->hooked)
    {
        node = run->hooked->id;
        run_blame_hook(run, error);
    }
    if (run->execution)
    {
        run->nodes = run_count_nodes(run);
        run->counts.filtered += execution_filtered(run->execution);
        run->counts.merged += execution_merged(run->execution);
        if (run->execution->querying)
        {
            node = run->execution->querying->id;
            if (error->detail == NULL)
                error->detail = psprintf("It happened in node \"%s\" (%s).", node, run->execution->querying->op->name);
        }
    }
    run->counts.loaded = run->committed.counts.loaded;
    run->counts.updated = run->committed.counts.updated;
    run->counts.skipped = run->committed.counts.skipped;
    run->counts.failed = run->counts.read - run->counts.loaded - run->counts.updated - run->counts.skipped - run->counts.filtered - run->counts.merged;
    if (was_cancelled(error))
        error->message = "the run was cancelled";
    error->hint = resource_hint(error);
    if (run->committed.commits > 0 || run->earlier)
        error->hint = psprintf("%s%s%s", error->hint ? error->hint : "", error->hint ? " " : "", run->slot->upload[0] ? RUN_UPLOAD_HINT : RUN_RESUME_HINT);
    failure->node = node == NULL && was_in_code(error) ? "" : node;
}

/* The run's row. */
static void
write_failure(const Failure *failure)
{
    record_end(failure->run, was_cancelled(failure->error) ? "cancelled" : "failed", failure->error, failure->node);
    if (!was_cancelled(failure->error))
        (void) retry_run(&failure->run->slot->run_id, failure->error->sqlerrcode);
}

static void
write_all_of_failure(void *arg)
{
    const Failure *failure = arg;
    Run *run = failure->run;
    CatalogScope scope = catalog_begin();

    if (run->replay == NULL && !run->dry)
        archive_failed(run, failure->error->sqlerrcode);
    if (run->rejects)
    {
        if (!run->dry)
            record_expiry(run);
        record_nodes(run, true);
        rejects_write(run->rejects, &run->slot->run_id);
    }
    write_failure(failure);
    catalog_end(scope);
}

/*
 * A transaction of its own that says how the run failed.  Nothing was loaded
 * since the last commit.  Where not all of it can be written, as on a full
 * disk, the run's row is: it has room (sql/10-catalog.sql).
 */
static void
record_failure(Run *run, ErrorData *error)
{
    Failure failure = {run, error, NULL};
    ErrorData *unwritten;

    worker_begin();
    MemoryContextSwitchTo(run->context);
    examine_failure(&failure);
    unwritten = guard_try_all(write_all_of_failure, &failure, run->context);
    if (unwritten)
    {
        CatalogScope scope = catalog_begin();

        error->detail = psprintf("%s%sThe run's bad rows and counts by node could not be recorded: %s.", error->detail ? error->detail : "",
                                 error->detail ? " " : "", unwritten->message);
        write_failure(&failure);
        catalog_end(scope);
    }
    outbox_try_webhooks(&run->slot->run_id);
    injection_point("failure-recorded");
    worker_commit();
}

/* ---- the process ----------------------------------------------------------------- */

static void
run_context(void *arg)
{
    Run *run = arg;

    const RunSource *source = run->reading;

    if (source && source->split && source->cells->nrows > 0)
        errcontext(RUN_CONTEXT " \"%s\", file \"%s\", lines " UINT64_FORMAT " and on", run->slot->pipeline, source->split->place,
                   source->cells->batch.header->first_line);
    else
        errcontext(RUN_CONTEXT " \"%s\"", run->slot->pipeline);
}

static void
perform(Run *run)
{
    ErrorContextCallback callback = {error_context_stack, run_context, run};

    PG_TRY();
    {
        error_context_stack = &callback;
        start(run);
        if (run->replay)
            replay_begin(run);
        else
            run_open_sources(run);
        if (!run_waits(run))
        {
            run_load_files(run, load);
            run_end_load(run, true);
        }
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
        for (int i = 0; run->sources && i < run->program->nsources; i++)
        {
            if (run->sources[i].link)
                link_close(run->sources[i].link);
        }
        MemoryContextSwitchTo(run->context);
        record_failure(run, error);
        QueryCancelPending = false;
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
}

/* ---- what ends the process before it could say so: the slot keeps it, for the supervisor ---- */

static RunSlot *failing = NULL;
static emit_log_hook_type previous_log = NULL;

/* The first error says why.  Once it is connected, one that is fatal is somebody's who ended it. */
static void
keep_failure(ErrorData *error)
{
    if (error->elevel >= ERROR && failing->failure_code == 0 && (!failing->connected || error->elevel == ERROR))
    {
        strlcpy(failing->failure, error->message ? error->message : "", CONTROL_FAILURE);
        failing->failure_code = error->sqlerrcode;
    }
    if (previous_log)
        previous_log(error);
}

static void
connect_as_owner(RunSlot *slot)
{
    failing = slot;
    previous_log = emit_log_hook;
    emit_log_hook = keep_failure;
    BackgroundWorkerInitializeConnectionByOid(slot->database, slot->owner, COMPAT_WORKER_FLAGS);
    slot->connected = true;
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

static void
cancel(SIGNAL_ARGS)
{
    cancel_asked = true;
    row_watch_cancelled();
    StatementCancelHandler(postgres_signal_arg);
}

void
kaireon_run_main(Datum arg)
{
    RunSlot *slot = &control->runs[DatumGetInt32(arg)];
    MemoryContext context;
    Run *run;

    pqsignal(SIGTERM, die);
    pqsignal(SIGINT, cancel);
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
    injection_point("worker-begun");
    connect_as_owner(slot);
    pgstat_report_appname(psprintf("kaireon: %s", slot->pipeline));
    settings_fix_session();
    worker_fix_settings();
    context = AllocSetContextCreate(TopMemoryContext, "kaireon run", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    run = palloc0(sizeof(Run));
    run->slot = slot;
    run->context = context;
    if (!slot->cancel)
        outbox_work(&slot->pipeline_id, slot->outbox ? OUTBOX_ALL : OUTBOX_MOVES); /* what runs before have left */
    if (!slot->outbox)
    {
        if (slot->cancel)
            cancel_asked = QueryCancelPending = InterruptPending = true;
        perform(run);
        outbox_work(&slot->pipeline_id, OUTBOX_ALL);
    }
    proc_exit(0);
}
