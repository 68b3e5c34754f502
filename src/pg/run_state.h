/*
 * run_state.h: what a run consists of; private to run*.c.
 *
 * run.c is the process and its phases, run_source.c reads the sources,
 * run_watermark.c knows which rows are new, run_summary.c summarises what was
 * loaded, run_judge.c decides whether that may be committed, run_hooks.c calls
 * the targets' hooks, run_dry.c undoes what is only to be tried, run_archive.c
 * says what becomes of the files, run_files.c which of them are read, run_staging.c moves them
 * out of the way before that, run_wait.c waits for some,
 * run_left_out.c goes on without those that fail, run_commit.c commits before the end and goes on from such a commit, and run_record.c writes what became of it all into the
 * catalog.
 */
#ifndef KAIREON_RUN_STATE_H
#define KAIREON_RUN_STATE_H

#include "postgres.h"
#include "portability/instr_time.h"
#include "utils/rel.h"

#include "pg/catalog.h"
#include "pg/cells.h"
#include "pg/commit_policy.h"
#include "pg/compile.h"
#include "pg/control.h"
#include "pg/execute.h"
#include "pg/fetch.h"
#include "pg/hook.h"
#include "pg/link.h"
#include "pg/load.h"
#include "pg/reject.h"
#include "pg/summary.h"

/* A source node and its reader. */
typedef struct RunSource
{
    const ProgramSource *asked;
    Link *link;
    Cells *cells;
    bool any_listed;         /* whatever it was */
    List *listed;            /* FetchObject *: what its pattern finds, but for what was archived */
    List *files;             /* FetchObject *: asked for; so many splits must come, unless a row limit ends the reading */
    bool *present;           /* columns of the split being read */
    FetchObject *split;      /* being read; NULL between splits */
    List *splits;            /* FetchObject *: read whole */
    int recorded;            /* of these, which the ledger has by a commit */
    int earlier;             /* and those that earlier attempts of the run have committed */
    int members;             /* of archives among them, behind the first of each */
    bool part_committed;     /* of the split being read */
    int passing_at;          /* so many files were read when one was left out for what may be over soon; -1: none was */
    instr_time waiting;
    struct ReplaySource *replayed; /* of a replay: the dead letters that take the place of files; NULL: none do */
} RunSource;

/* What a run that replays dead letters is asked for. */
typedef struct Replay
{
    Jsonb *filter;           /* which letters */
} Replay;

/* What a run has committed: in the transactions before the one that is open, and in earlier attempts. */
typedef struct RunCommitted
{
    int commits;
    RunCounts counts;
    int64 done_bytes;
    NodeCounts *nodes;       /* by GraphNode.ordinal; of a target, out is what its table got */
    double *times;           /* the same: ms of earlier attempts */
} RunCommitted;

typedef struct Run
{
    RunSlot *slot;
    MemoryContext context;
    PipelineSpec *spec;
    CompileInput input;
    Program *program;
    TimestampTz asked_at;    /* when it was asked for: the time that dates in patterns are of, in all attempts */
    int64 epoch;             /* of the lease */
    Replay *replay;          /* NULL: it reads its sources */
    bool dry;                /* all that it does is undone */
    int attempt;
    CommitPolicy policy;
    RunCommitted committed;
    Jsonb *earlier;          /* of a run that is resumed: how far it came (run_commit.c); NULL: it begins */
    MemoryContext load_context; /* of what belongs to the load's transaction */
    Rejects *rejects;
    RunSource *sources;      /* by place in program->sources */
    RunSource *reading;      /* the one being read, or NULL */
    /* while loading; by place in program->targets */
    bool loading;
    Relation *targets;
    Loader **loaders;
    instr_time *swapped;     /* since when each target that is exchanged is locked; NULL: it was not yet */
    List *summaries;         /* Summary *: of summarize nodes */
    Execution *execution;
    NodeCounts *nodes;       /* what happened at each node, once it is known */
    const GraphNode *hooked; /* the node whose hook is being run, or NULL */
    const Hook *hook;        /* and that hook */
    const GraphNode *judged; /* the node whose check on all rows failed the run, or NULL */
    RunCounts counts;
    int64 done_bytes;        /* of the splits before the one being read */
    int left_out;            /* files that failed, in this attempt */
    ErrorData *first_left_out; /* why the first of them did, */
    const GraphNode *left_out_at; /* and at which node a row of it; NULL: it was no row */
    bool all_left_out;       /* that has failed the run */
} Run;

/* ---- run.c ---------------------------------------------------------------------------- */

/* What pg_stat_activity shows, and the slot's stage. */
extern void run_report(const char *what);
extern void run_enter(Run *run, RunStage stage);

/* How a target is loaded, by its place in program->targets. */
extern LoadStrategy run_strategy(const Run *run, int target);

/* Begins the load's transaction. */
extern void run_begin_load(Run *run);

/* Ends it: everything that was read is committed; `last`: and with it the run. */
extern void run_end_load(Run *run, bool last);

/* The counters so far into the slot. */
extern void run_show_progress(Run *run);

/* ---- run_source.c ----------------------------------------------------------------------- */

/* Starts the readers, lists the sources and leaves out what the ledger has.  Outside of a transaction. */
extern void run_open_sources(Run *run);

/*
 * Of a listing (FetchObject *), the files that `keep` keeps; within
 * catalog_begin.  The query is asked of many files at once.  It gives one row
 * at most for each, in their order, whose first column is the file's place,
 * from 1 on; `keep` gets a file with its row (in SPI_tuptable), or NULL.  The
 * query's parameters: pipeline, node, arrays of paths, sizes, times and etags;
 * the run, whether it goes on from an earlier attempt, whether the source is
 * incremental, `versions`.
 */
typedef bool (*RunKeepFile)(void *arg, FetchObject *file, HeapTuple row);
extern List *run_ask_files(Run *run, const GraphNode *node, List *listed, const char *query, bool versions, RunKeepFile keep, void *arg);

/* So many files are asked for at once. */
#define RUN_FILES_AT_ONCE 10000

/* Paths, sizes, times and etags of files (FetchObject *) from a place of the list on, as arrays; returns how many. */
extern int run_file_arrays(List *listed, int first, Datum *arrays);

/* The connector that a source reads. */
extern const ConnectorSpec *run_connector(const Run *run, const RunSource *source);

/* Reads a source to its end; the first message of the first begins the load. */
extern void run_read_source(Run *run, RunSource *source);

/* Takes what a reader answers to one request, to the END of it. */
extern void run_take_answer(Run *run, RunSource *source);

/* What can be done about a run that failed after a commit. */
#define RUN_UPLOAD_HINT "What it has committed stays; call kaireon.upload_csv again with the rest."
#define RUN_RESUME_HINT "What it has committed stays; kaireon.resume_run goes on behind that."

/* ---- run_commit.c ----------------------------------------------------------------------- */

/* Where a batch was read, or a file to its end: commits, where the policy says so. */
extern void run_batch_done(Run *run, RunSource *source);
extern void run_file_done(Run *run);

/* What happened at each node, in the transactions before too; palloc'd. */
extern NodeCounts *run_count_nodes(const Run *run);

/* In the load's transaction, between catalog_begin and catalog_end: how far the run came.  Raises KA004 when somebody has ended it. */
extern void run_record_commit(Run *run);
/* That transaction has committed. */
extern void run_committed(Run *run);

/* At the start of an attempt: goes on from what earlier ones have committed, if anything; the counters first. */
extern void run_restore_counts(Run *run);
extern void run_restore(Run *run);

/* ---- run_files.c ------------------------------------------------------------------------ */

/*
 * Of a listing, the files that are left to be read, and from where on: without
 * those that the ledger has, or that the run has committed before.  In a
 * transaction.  Raises 55000 when a file of which the run has a part is not as
 * it was, or where one has changed that was loaded and must not.
 */
extern List *run_files_left(Run *run, RunSource *source, List *listed);

/* Raises 55000: the file, of which a part was committed, can't be read on. */
pg_noreturn extern void run_refuse_file(const Run *run, const char *path, const char *what);

/* A split begins: the rows of the file that were committed before count, and it must be the same file (else 55000). */
extern void run_begin_file(Run *run, RunSource *source);

/* ---- run_staging.c ---------------------------------------------------------------------- */

/* Outside of a transaction: the source's files that were claimed by earlier runs, and by earlier attempts of this one, in the order in which they are read. */
extern List *staging_claimed(Run *run, RunSource *source);

/*
 * Outside of a transaction, once all sources are listed: raises 55000 when a
 * source with a staging folder would take files away from another one.  Claims
 * that no source reads are told of in run_errors.
 */
extern void staging_check(Run *run);

/* Of a listing, what those are not: a new file of the same path waits for the next run. */
extern List *staging_leave_out(List *claimed, List *listed);

/*
 * In a transaction: files that were claimed and that the ledger keeps from being
 * read ("changedFiles": "ignore") go to the archive as they are.  What a run that
 * goes on leaves out is the next one's.
 */
extern void staging_let_go(Run *run, RunSource *source, List *claimed);

/*
 * Outside of a transaction: claims the files that are about to be read, where
 * their source wants that, and has them moved to its staging folder.  Leaves out
 * those that somebody else was faster to take.  Raises 58P01 when one that was
 * moved there before has gone.
 */
extern void run_stage_files(Run *run);

/* Between catalog_begin and catalog_end: the source's file is not claimed any more, and goes to the path `to` after the commit; NULL: it stays where it is. */
extern void staging_end(const Run *run, const RunSource *source, const FetchObject *file, const char *to);

/* ---- run_left_out.c --------------------------------------------------------------------- */

/*
 * Loads the sources by `load`, which goes on where it is called again: without
 * files that fail, where their source node says so.  Raises the first error when
 * that leaves none.  Afterwards the load's transaction is open.
 */
extern void run_load_files(Run *run, void (*load) (Run *run));

/* In the transaction that has loaded the file, between catalog_begin and catalog_end: it does not fail any more. */
extern void left_out_loaded(const Run *run, const GraphNode *node, const FetchObject *file);

/* ---- run_wait.c ------------------------------------------------------------------------- */

/*
 * Once the sources are listed: true when there is nothing to be loaded now.  A
 * source with a "waitPolicy" has found nothing, and the run is queued again for
 * later, or it ends here as the policy says.  Raises KA015 when it fails.
 */
extern bool run_waits(Run *run);

/* ---- run_replay.c ----------------------------------------------------------------------- */

/*
 * At the start, in a transaction: which of the letters can be replayed by the
 * program, of whose sources.  Those that can't are told of in run_errors;
 * raises 0A000 when none can.
 */
extern void replay_prepare(Run *run);

/* Begins the load and finds the letters. */
extern void replay_begin(Run *run);

/* Loads a source's letters. */
extern void replay_source(Run *run, RunSource *source);

/* A batch of a source: raises KA002 unless its rows are the letters that were sent, in their order. */
extern void replay_check_batch(Run *run, RunSource *source);

/* In the load's transaction, between catalog_begin and catalog_end: letters that were loaded are letters no more. */
extern void replay_end(Run *run);

/* ---- run_archive.c: inside a transaction; the first two between catalog_begin and catalog_end --- */

/* What was loaded goes to the folders that archive nodes name, after the commit. */
extern void archive_loaded(Run *run);
/* So does the file whose rows failed the run. */
extern void archive_failed(Run *run, int sqlstate);
/* And one that was left out. */
extern void archive_left_out(Run *run, const RunSource *source, const FetchObject *file, int sqlstate);
/* And one that was claimed and needs not be read. */
extern void archive_not_read(Run *run, const RunSource *source, const FetchObject *file);
/* Of a listing, what does not wait to be moved: it was loaded. */
extern List *archive_not_waiting(Run *run, const RunSource *source, List *listed);

/* ---- run_summary.c ---------------------------------------------------------------------- */

/* After all rows are loaded, in the load's transaction: writes the summaries. */
extern void run_summarise(Run *run);

/* ---- run_watermark.c: inside the load's transaction, between catalog_begin and catalog_end; not of a replay ---- */

/* Tells the loaders where the marks are; raises 55000 when the pipeline has one that it does not use. */
extern void watermark_read(Run *run);

/* Moves the marks to the greatest values that were loaded. */
extern void watermark_write(Run *run);

/* ---- run_dry.c -------------------------------------------------------------------------- */

/*
 * At the end of the load of a dry run: what a commit would still check is
 * checked, and the transaction is rolled back.  Begins the one that the report
 * is written in.
 */
extern void run_undo(Run *run);

/* ---- run_hooks.c: in the load's transaction ---------------------------------------------- */

/* Is there any for the transaction to do? */
extern bool run_has_hooks(const Run *run, HookKind kind);
/* Those of all targets, in their order, but for webhooks. */
extern void run_call_hooks(Run *run, HookKind kind);
/* The error was raised while a hook was being run: its detail says which, and where. */
extern void run_blame_hook(const Run *run, ErrorData *error);

/* ---- run_judge.c ------------------------------------------------------------------------ */

/* At the end of the load: raises KA008 when a check on all rows fails; one that only warns is noted. */
extern void run_judge(Run *run);

/* ---- run_swap.c: in the load's transaction, after the loaders have finished ----------------- */

/* Raises 23503 when new rows would break a foreign key. */
extern void run_check_references(Run *run);
/* Locks the tables that are replaced and exchanges them, once; what is left to do until the commit keeps others waiting. */
extern void run_swap(Run *run);
/* How long they have been locked so far, into run_nodes; between catalog_begin and catalog_end. */
extern void record_locks(Run *run);
/* After the commit: the same, in the log. */
extern void run_tell_locks(const Run *run);

/* ---- run_record.c: inside a transaction, between catalog_begin and catalog_end ------------- */

/* Raises 42704: the pipeline has gone. */
pg_noreturn extern void record_no_pipeline(void);

/* Raises KA004: the run's row is final. */
pg_noreturn extern void record_ended_by_other(void);

/* How far earlier attempts of the run came. */
extern void record_earlier(Run *run);

/* The run's row is running, and the lease its own. */
extern void record_running(Run *run);

/* The strategies of its targets. */
extern void record_strategies(Run *run);

/* Raises KA004 unless the lease still is the run's. */
extern void record_check_lease(Run *run);

/* The files that were read since the last commit, and what was read of another. */
extern void record_ledger(Run *run);

/* Time of a node in ms: where it was spent. */
extern double record_node_time(const Run *run, const GraphNode *node);

/* Rows and time of each node. */
extern void record_nodes(Run *run, bool failed);

/*
 * Rows that went out of a node of that name in the last runs, so many, that
 * ended well and in which any did: the median; 0: there is none.  Not within
 * catalog_begin.
 */
extern int64 record_rows_before(Run *run, const GraphNode *node, int runs);

/* Throws away dead letters that are older than the pipeline keeps them. */
extern void record_expiry(Run *run);
extern void record_superseded(Run *run);

/* How the run ended; error and node may be NULL. */
extern void record_end(Run *run, const char *status, const ErrorData *error, const char *node);

#endif
