/*
 * stage.c: evaluating a row stage.  See stage.h.
 *
 * Data flow of a batch: wire rejects and rows in source order; for a row and a
 * lane, pending cells the conditions read are settled, the conditions
 * evaluated, pending cells of what the lane makes settled, that made in the
 * sink's slot, not-null and check constraints tested.  Datums live in the
 * batch's contexts until the sink has flushed.  What expressions leave is not
 * taken away after each row, which would need a copy of what stays: the batch
 * is flushed early where it is much.
 */
#include "postgres.h"

#include "pg/stage.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/exprbound.h"
#include "pg/link.h"
#include "pg/row_watch.h"

/* A batch being evaluated. */
typedef struct StageBatch
{
    const Rows *rows;
    RowState at;             /* .row: the next */
    uint32 wire_left;        /* rows the reader could not split, and the next of them */
    bool have_wire;
    WireReject wire;
} StageBatch;

/* ROW_AGAIN: coerce wants a second try of the row. */
typedef enum Verdict { ROW_DONE, ROW_FILTERED, ROW_BAD, ROW_AGAIN } Verdict;

/* Evaluates, in the current memory context. */
static inline Datum
evaluate(Stage *stage, RowState *at, StageExpr *e, bool *null)
{
    at->running = e;
    return ExecEvalExpr(e->state, stage->econtext, null);
}

static bool
settle_cells(Stage *stage, const Rows *rows, const Bitmapset *columns, RowState *at)
{
    int column = -1;

    while ((column = bms_next_member(columns, column)) >= 0)
    {
        CellError error;

        if (stage->settled[column] || !cells_is_pending(rows->cells, at->row, column))
            continue;
        at->column = column;
        if (!cells_resolve(rows->cells, at->row, column, bms_is_member(column, at->retried), &error))
        {
            stage_bad_cell(stage, rows, at, error.sqlstate, error.message);
            return false;
        }
        stage->settled[column] = true;
    }
    at->column = -1;
    return true;
}

/* The null in a not-null column: a default when coerce finds one, else a reject. */
static bool
mend_null(Stage *stage, StageLane *lane, TupleTableSlot *slot, StageNotNull *not_null, RowState *at)
{
    AttrNumber attnum = not_null->attnum;

    if (not_null->fallback.expr)
        slot->tts_values[attnum - 1] = evaluate(stage, at, &not_null->fallback, &slot->tts_isnull[attnum - 1]);
    if (!slot->tts_isnull[attnum - 1])
        return true;
    stage_bad_row(stage, at, REJECT_VALIDATION, lane->lane->nsteps - 1, ERRCODE_NOT_NULL_VIOLATION,
                  psprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                           NameStr(TupleDescAttr(lane->desc, attnum - 1)->attname), get_rel_name(lane->lane->target->schema->relid)));
    at->reject.field = NameStr(TupleDescAttr(lane->desc, attnum - 1)->attname);
    return false;
}

static bool
test_constraints(Stage *stage, StageLane *lane, TupleTableSlot *slot, RowState *at)
{
    for (int i = 0; i < lane->nnot_null; i++)
    {
        if (slot->tts_isnull[lane->not_null[i].attnum - 1] && !mend_null(stage, lane, slot, &lane->not_null[i], at))
            return false;
    }
    for (int i = 0; i < lane->nchecks; i++)
    {
        bool null;
        Datum result;

        stage->econtext->ecxt_scantuple = slot;
        result = evaluate(stage, at, &lane->checks[i].condition, &null);
        stage->econtext->ecxt_scantuple = stage->row_slot;
        if (!null && !DatumGetBool(result))
        {
            stage_bad_row(stage, at, REJECT_OTHER, lane->lane->nsteps - 1, ERRCODE_CHECK_VIOLATION,
                          psprintf("new row for relation \"%s\" violates check constraint \"%s\"",
                                   RelationGetRelationName(lane->target), lane->checks[i].name));
            at->reject.constraint = lane->checks[i].name;
            return false;
        }
    }
    return true;
}

/* What the lane makes of the row, in the slot. */
static void
make_row(Stage *stage, StageLane *lane, TupleTableSlot *slot, RowState *at)
{
    const TupleTableSlot *row = stage->row_slot;

    ExecClearTuple(slot);
    for (int i = 0; i < lane->ncopies; i++)
    {
        slot->tts_values[lane->copies[i].to] = row->tts_values[lane->copies[i].from];
        slot->tts_isnull[lane->copies[i].to] = row->tts_isnull[lane->copies[i].from];
    }
    for (int i = 0; i < lane->nconstants; i++)
    {
        slot->tts_values[lane->constants[i].to] = lane->constants[i].value;
        slot->tts_isnull[lane->constants[i].to] = lane->constants[i].null;
    }
    for (int i = 0; i < lane->nentries; i++)
    {
        StageEntry *entry = &lane->entries[i];
        Datum value = 0;
        bool null = true;

        at->entry = entry;
        if (entry->value.expr)
            value = evaluate(stage, at, &entry->value, &null);
        if (entry->assignment.expr)
        {
            stage->econtext->caseValue_datum = value;
            stage->econtext->caseValue_isNull = null;
            value = evaluate(stage, at, &entry->assignment, &null);
        }
        slot->tts_values[entry->to] = value;
        slot->tts_isnull[entry->to] = null;
    }
    at->entry = NULL;
    ExecStoreVirtualTuple(slot);
}

/* ---- checks on all rows -------------------------------------------------------------- */

static void
begin_observers(Stage *stage, const Rows *rows)
{
    ListCell *lc;

    foreach(lc, stage->observers)
    {
        StageObserver *observer = lfirst(lc);

        observer->count = 0;
        observer->values = palloc(sizeof(Datum) * Max(rows->nrows, 1));
        observer->nulls = palloc(sizeof(bool) * Max(rows->nrows, 1));
    }
}

/* The row gives no value until it is evaluated, perhaps once more. */
static inline void
forget_observed(const Stage *stage)
{
    ListCell *lc;

    foreach(lc, stage->observers)
        ((StageObserver *) lfirst(lc))->pending = false;
}

/* The row has come to its end: those values stay that belong to nodes it went out of. */
static inline void
keep_observed(const Stage *stage, const RowState *at)
{
    ListCell *lc;

    foreach(lc, stage->observers)
    {
        StageObserver *observer = lfirst(lc);

        observer->count += observer->pending && at->ended > observer->step;
    }
}

static void
flush_observers(Stage *stage)
{
    ListCell *lc;

    if (stage->datasets == NULL)
        return;
    foreach(lc, stage->observers)
    {
        StageObserver *observer = lfirst(lc);

        dataset_take(stage->datasets[observer->node->ordinal], observer->place, observer->type, observer->values, observer->nulls, observer->count);
    }
}

/* ---- rows ------------------------------------------------------------------------------ */

/* The first condition from `step` on that the row does not meet; NULL: it meets all.  *bad: a cell is bad. */
static StageClause *
refusing_clause(Stage *stage, StageLane *lane, const Rows *rows, int step, RowState *at, bool *bad)
{
    for (int i = 0; i < lane->nclauses; i++)
    {
        StageClause *clause = &lane->clauses[i];
        bool null;
        Datum passes;

        if (clause->step < step) /* the lane before met it */
            continue;
        if (rows_are_pending(rows, at->row) && !settle_cells(stage, rows, clause->columns, at))
        {
            *bad = true;
            return clause;
        }
        at->clause = clause;
        passes = evaluate(stage, at, &clause->condition, &null);
        at->clause = NULL;
        if (clause->observer)
        {
            clause->observer->values[clause->observer->count] = passes;
            clause->observer->nulls[clause->observer->count] = null;
            clause->observer->pending = true;
            continue;
        }
        if (clause->rule ? null || DatumGetBool(passes) : !null && DatumGetBool(passes))
            continue;
        if (clause->rule == NULL || clause->rule->on_fail != RULE_WARN)
            return clause;
        at->warned = lappend(at->warned, clause);
    }
    return NULL;
}

/* The row broke a rule. */
static Verdict
broken_row(const Stage *stage, const Rows *rows, RowState *at, const StageClause *clause)
{
    stage_bad_row(stage, at, stage_rule_kind(clause->rule), clause->step, ERRCODE_CHECK_VIOLATION, NULL);
    stage_broken_rule(stage, rows, at, clause, &at->reject);
    return ROW_BAD;
}

/* The row was taken, and broke rules that only warn. */
static void
warn_of_row(const Stage *stage, const Rows *rows, RowState *at)
{
    RowPosition position = rows_position(rows, at->row);
    ListCell *lc;

    foreach(lc, at->warned)
    {
        const StageClause *clause = lfirst(lc);
        Reject warning = {.kind = REJECT_WARNS, .node = stage->lanes[at->lane].lane->steps[clause->step].node, .at = position,
                          .sqlstate = ERRCODE_CHECK_VIOLATION};

        stage_broken_rule(stage, rows, at, clause, &warning);
        rejects_warn(at->rejects, &warning);
    }
}

static Verdict
evaluate_row(Stage *stage, const Rows *rows, RowState *at)
{
    TupleTableSlot *row = stage->row_slot, *slot;
    StageLane *lane = &stage->lanes[0];
    StageClause *refused;
    int step = 0;
    bool bad = false;

    row->tts_values = &rows->values[at->row * rows->ncolumns];
    row->tts_isnull = &rows->nulls[at->row * rows->ncolumns];
    row->tts_nvalid = rows->ncolumns;
    row->tts_flags &= ~TTS_FLAG_EMPTY;
    stage->econtext->ecxt_scantuple = row;
    at->lane = 0;
    at->ended = INT_MAX;
    at->warned = NIL;
    forget_observed(stage);
    if (rows_are_pending(rows, at->row))
        memset(stage->settled, 0, sizeof(bool) * rows->ncolumns);
    while ((refused = refusing_clause(stage, lane, rows, step, at, &bad)) != NULL)
    {
        if (bad)
            return ROW_BAD;
        if (refused->rule)
            return broken_row(stage, rows, at, refused);
        step = refused->step;
        if (lane->next[step] < 0)
        {
            lane->ended[step]++;
            lane->filtered[step]++;
            at->ended = step;
            return ROW_FILTERED;
        }
        at->lane = lane->next[step];
        lane = &stage->lanes[at->lane];
    }
    if (rows_are_pending(rows, at->row) && !settle_cells(stage, rows, lane->columns, at))
        return ROW_BAD;
    slot = lane->sink->next(lane->sink, lane);
    make_row(stage, lane, slot, at);
    if (!test_constraints(stage, lane, slot, at))
        return ROW_BAD;
    lane->sink->accept(lane->sink, at->row);
    lane->taken++;
    if (at->warned != NIL)
        warn_of_row(stage, rows, at);
    return ROW_DONE;
}

static inline bool
is_memory_full(const Stage *stage)
{
    return stage->econtext->ecxt_per_tuple_memory->mem_allocated > EXPRBOUND_ROWS_BYTES;
}

/* Rows of a batch to be evaluated, and what came of it. */
typedef struct RowsWork
{
    Stage *stage;
    const Rows *rows;
    int end;
    RowState *at;
    Verdict verdict;
} RowsWork;

/* Rows from at->row on, until the end of the range or a bad row, or one after which memory is full. */
static void
evaluate_rows(void *arg)
{
    RowsWork *work = arg;
    RowState *at = work->at;

    while (at->row < work->end)
    {
        at->column = -1;
        at->clause = NULL;
        at->entry = NULL;
        at->running = NULL;
        /* not behind a row that is done: an interrupt may be ours (row_watch.h), and the row at hand evaluated again */
        if ((at->row & 255) == 0)
            CHECK_FOR_INTERRUPTS();
        work->verdict = evaluate_row(work->stage, work->rows, at);
        if (work->verdict == ROW_BAD)
            return;
        keep_observed(work->stage, at);
        at->retried = NULL;
        at->row++;
        if (is_memory_full(work->stage))
            break;
    }
    work->verdict = ROW_DONE;
}

/* After an error: another try where nothing is wrong with the row, a second one for coerce, else the row is bad. */
static Verdict
failed_row(Stage *stage, const Rows *rows, RowState *at, const ErrorData *error, bool innocent)
{
    MemoryContext old = MemoryContextSwitchTo(stage->econtext->ecxt_per_tuple_memory);
    Verdict verdict = ROW_BAD;

    stage->econtext->ecxt_scantuple = stage->row_slot;
    if (at->running)
        stage_init_expr(stage, at->running);
    if (innocent)
        verdict = ROW_AGAIN;
    else if (at->column >= 0 && rows->cells->columns[at->column].coerce && !bms_is_member(at->column, at->retried))
    {
        at->retried = bms_add_member(at->retried, at->column);
        verdict = ROW_AGAIN;
    }
    else
        stage_error_to_reject(stage, rows, at, error);
    MemoryContextSwitchTo(old);
    return verdict;
}

/*
 * evaluate_rows inside a subtransaction.  ROW_BAD: at->reject says why, and
 * at->row is the row.  ROW_AGAIN: call it again, the row gets a second try.
 */
static Verdict
guarded_rows(Stage *stage, const Rows *rows, int end, RowState *at)
{
    RowsWork work = {stage, rows, end, at, ROW_DONE};
    bool innocent;
    ErrorData *error = row_watch_try(evaluate_rows, &work, stage->econtext->ecxt_per_tuple_memory, &at->row, &innocent);

    return error ? failed_row(stage, rows, at, error, innocent) : work.verdict;
}

static void
add_wire_reject(Stage *stage, const WireReject *wire, Rejects *rejects, const Rows *rows)
{
    Reject reject = {0};

    stage->unreadable++;
    reject.kind = REJECT_OTHER;
    reject.node = stage->compiled->feed;
    reject.at.split = rows->split;
    reject.at.line = wire->line;
    reject.at.offset = wire->offset;
    if (rows->cells->records)
        reject.at.record = (RowRecord) {wire->cut ? RECORD_CUT : RECORD_RAW, wire->raw.data, wire->raw.length};
    reject.sqlstate = link_sqlstate(wire->sqlstate);
    reject.reason = link_text(wire->message);
    reject.value = record_shown(wire->raw.data, wire->raw.length, REJECT_TEXT_BYTES);
    rejects_add(rejects, &reject);
}

static void
next_wire_reject(StageBatch *batch)
{
    batch->have_wire = batch->wire_left > 0 && wire_get_reject(&batch->rows->cells->batch.rejects, &batch->wire);
    if (batch->have_wire)
        batch->wire_left--;
}

static void
add_row_reject(Stage *stage, RowState *at, const Rows *rows, Rejects *rejects)
{
    StageLane *lane = &stage->lanes[at->lane];

    at->reject.at = rows_position(rows, at->row);
    lane->refused += lane->lane->input && at->reject.node == lane->lane->steps[lane->lane->nsteps - 1].node;
    rejects_add(rejects, &at->reject);
    memset(&at->reject, 0, sizeof(at->reject));
}

void
stage_begin(Stage *stage, const Rows *rows, Rejects *rejects)
{
    StageBatch *batch = stage->batch;

    if (batch == NULL)
        batch = stage->batch = MemoryContextAlloc(stage->context, sizeof(StageBatch));
    memset(batch, 0, sizeof(*batch));
    batch->rows = rows;
    batch->at.rejects = rejects;
    batch->wire_left = rows->cells ? rows->cells->batch.header->nrejects : 0;
    next_wire_reject(batch);
}

bool
stage_run(Stage *stage)
{
    StageBatch *batch = stage->batch;
    RowState *at = &batch->at;
    const Rows *rows = batch->rows;
    MemoryContext old;
    bool full = false;

    /* what a batch needs goes with it; what is kept of rejects is copied */
    ResetExprContext(stage->econtext);
    old = MemoryContextSwitchTo(stage->econtext->ecxt_per_tuple_memory);
    begin_observers(stage, rows);
    for (;;)
    {
        int end = batch->have_wire ? (int) batch->wire.before_row : rows->nrows;

        /* the second try of a row needs what the first has left */
        while (at->row < end && !(full = at->retried == NULL && is_memory_full(stage)))
        {
            if (guarded_rows(stage, rows, end, at) == ROW_BAD)
            {
                keep_observed(stage, at);
                add_row_reject(stage, at, rows, at->rejects);
                at->row++;
                at->retried = NULL;
            }
        }
        if (full || !batch->have_wire)
            break;
        add_wire_reject(stage, &batch->wire, at->rejects, rows);
        next_wire_reject(batch);
    }
    flush_observers(stage);
    MemoryContextSwitchTo(old);
    return full;
}
