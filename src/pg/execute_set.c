/*
 * execute_set.c: a set node at work.  See execute_set.h.
 *
 * An input is a tuplestore, which spills by itself; each row gets its place in
 * it and its origin (positions.h).  When all inputs are there, the node's query
 * runs over them as ephemeral relations, a batch of its rows at a time: it is
 * suspended while the stage behind it works on a batch.
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

#define BATCH_ROWS 1000

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
    QueryDesc *query;        /* NULL: not started */
    Snapshot snapshot;
    MemoryContext batch;     /* of the rows */
    Rows rows;
    bool done;               /* the query has given all */
    int64 out;
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
        if (!nulls[i])
            values[i] = datumCopy(slot->tts_values[i], att->attbyval, att->attlen);
    }
    node->rows.nrows++;
    MemoryContextSwitchTo(old);
    return true;
}

static void
end_receiver(DestReceiver *self)
{
}

/* A snapshot that sees what was committed when the query begins, and nothing of this transaction. */
static Snapshot
outside_snapshot(void)
{
    PushCopiedSnapshot(GetTransactionSnapshot());
    GetActiveSnapshot()->curcid = FirstCommandId;
    return GetActiveSnapshot();
}

static void
start_query(SetNode *node)
{
    const ProgramSet *set = node->compiled->set;
    void *stores[SET_INPUTS] = {NULL};
    double rows[SET_INPUTS] = {0};
    QueryEnvironment *env;
    PlannedStmt *plan;

    for (int i = 0; i < set->ninputs; i++)
    {
        stores[i] = node->inputs[i].store;
        rows[i] = Max(node->inputs[i].count, 1);
    }
    env = compile_set_environment(set, stores, rows);
    plan = compile_plan_set(set, env);
    node->snapshot = RegisterSnapshot(outside_snapshot());
    PopActiveSnapshot();
    node->query = CreateQueryDesc(plan, set->sql, node->snapshot, InvalidSnapshot, &node->receiver, NULL, env, 0);
    ExecutorStart(node->query, 0);
}

const Rows *
set_node_rows(SetNode *node)
{
    MemoryContext old = MemoryContextSwitchTo(node->context);
    int natts = node->compiled->desc->natts;

    node->execution->querying = node->compiled->feed;
    if (node->query == NULL)
        start_query(node);
    MemoryContextReset(node->batch);
    node->rows.nrows = 0;
    node->rows.ncolumns = natts;
    node->rows.values = MemoryContextAlloc(node->batch, sizeof(Datum) * BATCH_ROWS * natts);
    node->rows.nulls = MemoryContextAlloc(node->batch, sizeof(bool) * BATCH_ROWS * natts);
    node->rows.positions = node->execution->positions;
    PushActiveSnapshot(node->snapshot);
    if (!node->done)
        compat_executor_run(node->query, BATCH_ROWS);
    PopActiveSnapshot();
    node->done = node->rows.nrows < BATCH_ROWS;
    node->out += node->rows.nrows;
    node->execution->querying = NULL;
    MemoryContextSwitchTo(old);
    return node->rows.nrows > 0 ? &node->rows : NULL;
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

void
set_node_end(SetNode *node)
{
    if (node->query)
    {
        ExecutorFinish(node->query);
        ExecutorEnd(node->query);
        FreeQueryDesc(node->query);
        UnregisterSnapshot(node->snapshot);
    }
    for (int i = 0; i < node->compiled->set->ninputs; i++)
    {
        tuplestore_end(node->inputs[i].store);
        ExecDropSingleTupleTableSlot(node->inputs[i].slot);
    }
    MemoryContextDelete(node->context);
}
