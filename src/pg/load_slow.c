/*
 * load_slow.c: rows into any table by INSERT ... SELECT.  See load_state.h.
 *
 * Rows of many batches wait for one statement, the more of them the more there
 * were, since each statement costs a transaction ID (load_range.c).
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/dead_letter.h"
#include "pg/guc.h"
#include "pg/positions.h"

/*
 * So many rows wait, at first no more: whether all rows of a run are bad is to
 * be known soon (rejects_check_all_bad).  Then it is half as many as there were:
 * 25 statements for 10 million rows.
 */
#define LEAST_ROWS 1000
#define MOST_ROWS 100000000

/* Read pointers of SlowLoad.waiting. */
enum { READ, MARK };

/* Loader.own */
typedef struct SlowLoad
{
    LoadStaged *staged;
    SPIPlanPtr plan;         /* NULL: nothing has come yet */
    LoadRows rows;
    int64 taken;             /* rows so far, but for those that wait */
    /* those that wait: */
    MemoryContext context;
    Tuplestorestate *waiting; /* NULL: none does */
    Positions *positions;
    int marked;              /* the row at which MARK is */
    bool *bad;               /* with a watermark: which could not be loaded */
    TupleTableSlot *slot;
    int first;               /* of those that the statement at hand has */
} SlowLoad;

static TupleTableSlot *
make_slot(Relation rel)
{
    return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
}

static void
open_slow(Loader *loader)
{
    SlowLoad *slow = palloc0(sizeof(SlowLoad));

    slow->context = AllocSetContextCreate(loader->context, "kaireon waiting rows", ALLOCSET_DEFAULT_SIZES);
    slow->slot = MakeSingleTupleTableSlot(RelationGetDescr(loader->rel), &TTSOpsMinimalTuple);
    loader->own = slow;
}

/* ---- loading what waits ------------------------------------------------------------- */

/* Copies rows that wait to where the statement reads them. */
static void
stage_rows(SlowLoad *slow, int from, int to)
{
    load_staged_clear(slow->staged);
    if (from < slow->marked)
    {
        tuplestore_select_read_pointer(slow->waiting, MARK);
        tuplestore_rescan(slow->waiting);
        slow->marked = 0;
    }
    tuplestore_copy_read_pointer(slow->waiting, MARK, READ);
    tuplestore_select_read_pointer(slow->waiting, READ);
    if (from > slow->marked)
        (void) tuplestore_skiptuples(slow->waiting, from - slow->marked, true);
    tuplestore_copy_read_pointer(slow->waiting, READ, MARK);
    slow->marked = from;
    for (int i = from; i < to; i++)
    {
        CHECK_FOR_INTERRUPTS();
        if (!tuplestore_gettupleslot(slow->waiting, true, false, slow->slot))
            elog(ERROR, "a row that waited is gone");
        tuplestore_puttupleslot(slow->staged->store, slow->slot);
    }
    ExecClearTuple(slow->slot);
}

static void
insert_range(Loader *loader, int from, int to)
{
    SlowLoad *slow = loader->own;
    SPIExecuteOptions options = {.dest = loader->summaries ? load_touch_receiver(loader) : NULL};
    int result, expected = loader->summaries ? SPI_OK_INSERT_RETURNING : SPI_OK_INSERT;

    slow->first = from;
    if (to - from == loader->waiting)
    {
        slow->staged->reads = slow->waiting;
        tuplestore_select_read_pointer(slow->waiting, READ);
        tuplestore_rescan(slow->waiting);
    }
    else
    {
        slow->staged->reads = slow->staged->store;
        stage_rows(slow, from, to);
    }
    load_staged_connect(slow->staged);
    result = SPI_execute_plan_extended(slow->plan, &options);
    if (result != expected)
        elog(ERROR, "could not load: %s", SPI_result_code_string(result));
    loader->counts.loaded += SPI_processed;
    loader->counts.suppressed += (to - from) - (int64) SPI_processed;
    SPI_finish();
}

static int
failed_at(Loader *loader)
{
    const SlowLoad *slow = loader->own;

    /* with rules there are several statements */
    return loader->rel->rd_rules ? LOAD_AT_UNKNOWN : load_staged_failed_at(slow->staged, slow->first);
}

static void
reject_row(Loader *loader, int row, Reject *reject)
{
    const SlowLoad *slow = loader->own;

    load_reject_at(loader, positions_get(slow->positions, row), reject);
    dead_letters_bound(loader->rejects->letters);
    if (slow->bad)
        slow->bad[row] = true;
}

/* Rows that were loaded move the mark. */
static void
advance_mark(Loader *loader)
{
    const SlowLoad *slow = loader->own;

    tuplestore_select_read_pointer(slow->waiting, READ);
    tuplestore_rescan(slow->waiting);
    for (int i = 0; tuplestore_gettupleslot(slow->waiting, true, false, slow->slot); i++)
    {
        if (!slow->bad[i])
            load_mark_see(loader, slow->slot);
    }
    ExecClearTuple(slow->slot);
}

/* Is a row that the statement can't load always the one that it has just read?  Not where something happens at its end. */
static bool
fails_at_once(Relation rel)
{
    const TriggerDesc *triggers = rel->trigdesc;

    return rel->rd_rel->relkind == RELKIND_RELATION &&
           !(triggers && (triggers->trig_insert_after_row || triggers->trig_insert_after_statement || triggers->trig_insert_new_table));
}

static void
prepare(Loader *loader)
{
    SlowLoad *slow = loader->own;

    slow->staged = load_staged_create(loader);
    slow->plan = load_staged_insert(loader, slow->staged, "", "");
    slow->rows = (LoadRows) {.load = insert_range, .failed_at = failed_at, .reject = reject_row, .at_once = fails_at_once(loader->rel), .piece = PG_INT32_MAX};
}

/* As the current context is: what is needed meanwhile. */
static void
load_waiting(Loader *loader)
{
    SlowLoad *slow = loader->own;

    if (loader->waiting == 0)
        return;
    if (slow->plan == NULL)
        prepare(loader);
    PushActiveSnapshot(GetTransactionSnapshot());
    load_staged_check(loader, slow->staged, slow->plan);
    slow->marked = 0;
    if (loader->mark)
        slow->bad = MemoryContextAllocExtended(slow->context, loader->waiting, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
    load_good_rows(loader, &slow->rows, loader->waiting);
    if (loader->mark)
        advance_mark(loader);
    PopActiveSnapshot();
    slow->taken += loader->waiting;
    loader->waiting = 0;
    tuplestore_end(slow->waiting);
    slow->waiting = NULL;
    positions_close(slow->positions);
    MemoryContextReset(slow->context);
}

/* ---- batches ------------------------------------------------------------------------ */

/* Do as many rows wait as should? */
static bool
wait_enough(const Loader *loader)
{
    const SlowLoad *slow = loader->own;

    /* loaders of one run share its transaction */
    return loader->waiting >= Min(Max(slow->taken / 2 * Max(loader->nall, 1), LEAST_ROWS), MOST_ROWS);
}

static void
flush_slow(Loader *loader)
{
    SlowLoad *slow = loader->own;
    MemoryContext batch = MemoryContextSwitchTo(slow->context);

    if (slow->waiting == NULL)
    {
        slow->waiting = tuplestore_begin_heap(false, false, guc_work_mem);
        (void) tuplestore_alloc_read_pointer(slow->waiting, EXEC_FLAG_REWIND);
        slow->positions = positions_create(loader->rejects->letters != NULL);
    }
    MemoryContextSwitchTo(batch);
    for (int i = 0; i < loader->count; i++)
    {
        RowPosition at = rows_position(loader->batch_rows, loader->rows[i]);

        tuplestore_puttupleslot(slow->waiting, loader->slots[i]);
        (void) positions_add(slow->positions, &at);
    }
    loader->waiting += loader->count;
    if (wait_enough(loader))
        load_waiting(loader);
}

static void
drain_slow(Loader *loader)
{
    MemoryContext old = MemoryContextSwitchTo(loader->batch);

    load_waiting(loader);
    MemoryContextSwitchTo(old);
}

static void
finish_slow(Loader *loader)
{
    SlowLoad *slow = loader->own;

    ExecDropSingleTupleTableSlot(slow->slot);
    if (slow->plan == NULL)
        return;
    SPI_freeplan(slow->plan);
    load_staged_destroy(slow->staged);
}

const LoadWay load_slow = {
    .make_slot = make_slot,
    .open = open_slow,
    .flush = flush_slow,
    .drain = drain_slow,
    .finish = finish_slow,
};
