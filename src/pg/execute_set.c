/*
 * execute_set.c: a set node at work.  See execute_set.h.
 *
 * An input is a tuplestore, which spills by itself; each row gets its place in
 * it and its origin (positions.h).  When all inputs are there, the node's query
 * runs over them as ephemeral relations, a batch of its rows at a time: it is
 * suspended while the stage behind it works on a batch.
 *
 * A node that asks a connector does so first (execute_ask.h): for all rows, or
 * for as many as a preview wants to show, whose query then runs over these.
 *
 * The query does not see what this run has loaded: whether a table it looks up
 * is loaded by the same run, and how far, would show otherwise.
 */
#include "postgres.h"

#include "pg/execute_set.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/compat.h"
#include "pg/execute_ask.h"

/* A batch of rows: so many, or as few as take this much. */
#define BATCH_ROWS 1000
#define BATCH_BYTES (16 * 1024 * 1024)

typedef struct SetInput
{
    RowSink sink;            /* first, so that a sink is its input */
    Execution *execution;
    const ProgramInput *compiled;
    Tuplestorestate *store;
    TupleTableSlot *slot;
    const Rows *rows;        /* the batch that comes in */
    int64 count;
} SetInput;

struct SetNode
{
    DestReceiver receiver;   /* first, so that a receiver is its node */
    Execution *execution;
    const ProgramStage *compiled;
    MemoryContext context;
    SetInput inputs[SET_INPUTS];
    bool started;
    SetQuery query;          /* once it is */
    MemoryContext batch;     /* of the rows */
    Rows rows;
    int64 bytes;             /* they take */
    bool full;               /* as much as a batch may */
    bool done;               /* the query has given all */
    int64 out, refused;
    /* one that asks a connector */
    AskNode *ask;
    int64 asked;             /* rows of its input that it has asked for */
    int64 window_rows;       /* the latest of these, over which the query runs: */
    Tuplestorestate *window; /* a copy of them; NULL: all of the input */
    TupleTableSlot *copy;
};

/* ---- inputs ------------------------------------------------------------------------------- */

static void
begin_input(RowSink *sink, const Rows *rows)
{
    ((SetInput *) sink)->rows = rows;
}

static TupleTableSlot *
next_input(RowSink *sink, const StageLane *lane)
{
    return ((SetInput *) sink)->slot;
}

static void
accept_input(RowSink *sink, int row)
{
    SetInput *input = (SetInput *) sink;
    const Rows *rows = input->rows;
    TupleTableSlot *slot = input->slot;
    int natts = slot->tts_tupleDescriptor->natts;
    int64 origin;

    if (rows->cells)
    {
        RowPosition at = rows_position(rows, row);

        origin = positions_add(input->execution->positions, &at);
    }
    else
        origin = rows_origin(rows, row);
    slot->tts_values[natts - 2] = Int64GetDatum(input->count++);
    slot->tts_values[natts - 1] = Int64GetDatum(origin);
    tuplestore_puttupleslot(input->store, slot);
}

static void
flush_input(RowSink *sink)
{
    ExecClearTuple(((SetInput *) sink)->slot);
}

RowSink *
set_node_input(SetNode *node, int side)
{
    return &node->inputs[side].sink;
}

/* ---- rows of the query -------------------------------------------------------------------- */

static void
startup_receiver(DestReceiver *self, int operation, TupleDesc desc)
{
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
    SetNode *node = (SetNode *) self;
    TupleDesc desc = node->compiled->desc;
    Datum *values = &node->rows.values[node->rows.nrows * desc->natts];
    bool *nulls = &node->rows.nulls[node->rows.nrows * desc->natts];
    MemoryContext old = MemoryContextSwitchTo(node->batch);

    slot_getallattrs(slot);
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        nulls[i] = slot->tts_isnull[i];
        if (nulls[i])
            continue;
        if (node->ask && i == node->compiled->set->ask->output)
            values[i] = ask_node_answer(node->ask, slot->tts_values[i]);
        else
            values[i] = datumCopy(slot->tts_values[i], att->attbyval, att->attlen);
        /* also of an answer that several rows have: what is made of it is in memory for each of them */
        if (!att->attbyval)
            node->bytes += datumGetSize(values[i], att->attbyval, att->attlen);
    }
    node->rows.nrows++;
    node->full = node->bytes >= BATCH_BYTES;
    MemoryContextSwitchTo(old);
    return !node->full;
}

static void
end_receiver(DestReceiver *self)
{
}

/* A snapshot that sees what was committed when the query begins, and nothing of this transaction. */
static void
push_outside_snapshot(void)
{
    PushCopiedSnapshot(GetTransactionSnapshot());
    GetActiveSnapshot()->curcid = FirstCommandId;
}

void
set_query_begin(SetQuery *query, const ProgramSet *set, const char *sql, void *const *stores, const double *rows, DestReceiver *receiver)
{
    QueryEnvironment *env = compile_set_environment(set, stores, rows);
    PlannedStmt *plan;

    push_outside_snapshot();
    plan = compile_plan_set(set, sql, env);
    query->snapshot = RegisterSnapshot(GetActiveSnapshot());
    query->desc = CreateQueryDesc(plan, sql, query->snapshot, InvalidSnapshot, receiver, NULL, env, 0);
    ExecutorStart(query->desc, 0);
    PopActiveSnapshot();
}

void
set_query_run(SetQuery *query, uint64 count)
{
    PushActiveSnapshot(query->snapshot);
    compat_executor_run(query->desc, count);
    PopActiveSnapshot();
}

void
set_query_end(SetQuery *query)
{
    ExecutorFinish(query->desc);
    ExecutorEnd(query->desc);
    FreeQueryDesc(query->desc);
    UnregisterSnapshot(query->snapshot);
}

static void
start_query(SetNode *node)
{
    const ProgramSet *set = node->compiled->set;
    void *stores[SET_INPUTS + 1] = {NULL};
    double rows[SET_INPUTS + 1] = {0};

    for (int i = 0; i < set->ninputs; i++)
    {
        stores[i] = node->inputs[i].store;
        rows[i] = Max(node->inputs[i].count, 1);
    }
    if (node->window)
    {
        stores[0] = node->window;
        rows[0] = node->window_rows;
    }
    if (node->ask)
        stores[set->ninputs] = ask_node_answers(node->ask, &rows[set->ninputs]);
    set_query_begin(&node->query, set, set->sql, stores, rows, &node->receiver);
    node->started = true;
}

static void
end_query(SetNode *node)
{
    if (node->started)
        set_query_end(&node->query);
    node->started = node->done = false;
}

/* The next batch of the query's rows. */
static void
fetch_rows(SetNode *node)
{
    int natts = node->compiled->desc->natts;

    MemoryContextReset(node->batch);
    node->rows.nrows = 0;
    node->rows.ncolumns = natts;
    node->rows.values = MemoryContextAlloc(node->batch, sizeof(Datum) * BATCH_ROWS * natts);
    node->rows.nulls = MemoryContextAlloc(node->batch, sizeof(bool) * BATCH_ROWS * natts);
    node->rows.positions = node->execution->positions;
    node->rows.stage = node->compiled;
    node->bytes = 0;
    node->full = false;
    if (node->ask)
        ask_node_begin_batch(node->ask);
    set_query_run(&node->query, BATCH_ROWS);
    node->done = node->rows.nrows < BATCH_ROWS && !node->full;
}

/* Takes out the rows whose key has no answer because something was wrong. */
static void
refuse_rows(SetNode *node)
{
    Rows *rows = &node->rows;
    int kept = 0;

    for (int row = 0; row < rows->nrows; row++)
    {
        if (ask_node_refuses(node->ask, rows, row))
            continue;
        if (kept < row)
        {
            memcpy(&rows->values[kept * rows->ncolumns], &rows->values[row * rows->ncolumns], sizeof(Datum) * rows->ncolumns);
            memcpy(&rows->nulls[kept * rows->ncolumns], &rows->nulls[row * rows->ncolumns], sizeof(bool) * rows->ncolumns);
        }
        kept++;
    }
    node->refused += rows->nrows - kept;
    rows->nrows = kept;
}

const Rows *
set_node_rows(SetNode *node)
{
    MemoryContext old = MemoryContextSwitchTo(node->context);

    node->execution->querying = node->compiled->feed;
    if (!node->started)
        start_query(node);
    node->rows.nrows = 0;
    while (node->rows.nrows == 0 && !node->done)
    {
        fetch_rows(node);
        if (node->ask)
            refuse_rows(node);
    }
    node->out += node->rows.nrows;
    node->execution->querying = NULL;
    MemoryContextSwitchTo(old);
    return node->rows.nrows > 0 ? &node->rows : NULL;
}

/* ---- asking --------------------------------------------------------------------------------- */

/* The next rows of the input: where they are all of it, without a copy. */
static void
take_window(SetNode *node, int64 rows)
{
    SetInput *input = &node->inputs[0];

    node->window_rows = Min(rows, input->count - node->asked);
    if (node->window_rows < input->count && node->window == NULL)
    {
        node->window = tuplestore_begin_heap(false, false, work_mem);
        node->copy = MakeSingleTupleTableSlot(input->compiled->desc, &TTSOpsMinimalTuple);
    }
    if (node->window)
        tuplestore_clear(node->window);
    for (int64 i = 0; node->window && i < node->window_rows; i++)
    {
        if (!tuplestore_gettupleslot(input->store, true, false, node->copy))
            elog(ERROR, "a set node's input has fewer rows than went into it");
        tuplestore_puttupleslot(node->window, node->copy);
    }
    node->asked += node->window_rows;
}

void
set_node_ask(SetNode *node, int64 rows)
{
    MemoryContext old;

    if (node->ask == NULL)
        return;
    old = MemoryContextSwitchTo(node->context);
    node->execution->querying = node->compiled->feed;
    end_query(node);
    take_window(node, rows);
    ask_node_ask(node->ask, node->window ? node->window : node->inputs[0].store, Max(node->window_rows, 1));
    node->execution->querying = NULL;
    MemoryContextSwitchTo(old);
}

bool
set_node_has_more(const SetNode *node)
{
    return node->ask && node->asked < node->inputs[0].count;
}

/* ---- the node ------------------------------------------------------------------------------- */

SetNode *
set_node_create(Execution *execution, const ProgramStage *stage)
{
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kaireon set node", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    SetNode *node = palloc0(sizeof(SetNode));

    node->receiver.receiveSlot = receive_row;
    node->receiver.rStartup = startup_receiver;
    node->receiver.rShutdown = end_receiver;
    node->receiver.rDestroy = end_receiver;
    node->receiver.mydest = DestNone;
    node->execution = execution;
    node->compiled = stage;
    node->context = context;
    node->batch = AllocSetContextCreate(context, "kaireon set batch", ALLOCSET_DEFAULT_SIZES);
    for (int i = 0; i < stage->set->ninputs; i++)
    {
        SetInput *input = &node->inputs[i];

        input->sink = (RowSink) {begin_input, next_input, accept_input, flush_input};
        input->execution = execution;
        input->compiled = &stage->set->inputs[i];
        input->store = tuplestore_begin_heap(false, false, work_mem);
        input->slot = MakeSingleTupleTableSlot(input->compiled->desc, &TTSOpsVirtual);
    }
    if (stage->set->ask)
        node->ask = ask_node_create(execution, stage);
    MemoryContextSwitchTo(old);
    return node;
}

int64
set_node_in(const SetNode *node)
{
    int64 in = 0;

    for (int i = 0; i < node->compiled->set->ninputs; i++)
        in += node->inputs[i].count;
    return in;
}

int64
set_node_out(const SetNode *node)
{
    return node->out;
}

int64
set_node_refused(const SetNode *node)
{
    return node->refused;
}

void
set_node_end(SetNode *node)
{
    end_query(node);
    if (node->ask)
        ask_node_end(node->ask);
    if (node->window)
    {
        tuplestore_end(node->window);
        ExecDropSingleTupleTableSlot(node->copy);
    }
    for (int i = 0; i < node->compiled->set->ninputs; i++)
    {
        tuplestore_end(node->inputs[i].store);
        ExecDropSingleTupleTableSlot(node->inputs[i].slot);
    }
    MemoryContextDelete(node->context);
}
