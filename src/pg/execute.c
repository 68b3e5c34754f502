/*
 * execute.c: a program at work.  See execute.h.
 *
 * A stage is planned when its first batch comes, and again when a batch comes
 * of a split that has other columns: target columns that a split lacks take
 * their default.  Behind a set node, whose rows may be of several splits, those
 * do that all splits lack.
 */
#include "postgres.h"

#include "pg/execute.h"

#include "utils/memutils.h"

#include "pg/execute_set.h"
#include "pg/keyed_hash.h"
#include "pg/node.h"

Execution *
execution_create(const CompileInput *input, const Program *program, Rejects *rejects, RowSink **sinks, Relation *targets)
{
    Execution *execution = palloc0(sizeof(Execution));

    execution->context = CurrentMemoryContext;
    execution->input = input;
    execution->program = program;
    execution->rejects = rejects;
    execution->sinks = sinks;
    execution->targets = targets;
    execution->stages = palloc0(sizeof(ExecutionStage) * program->nstages);
    execution->nodes = palloc0(sizeof(NodeCounts) * program->graph->nnodes);
    execution->seen = palloc0(sizeof(bool *) * program->nsources);
    keyed_hash_begin(program->graph);
    if (targets)
    {
        execution->datasets = palloc0(sizeof(Dataset *) * program->graph->nnodes);
        for (int i = 0; i < program->graph->nnodes; i++)
            execution->datasets[i] = dataset_create(&program->graph->nodes[i]);
    }
    for (int i = 0; i < program->nstages; i++)
    {
        if (program->stages[i].set && execution->positions == NULL)
            execution->positions = positions_create(rejects->letters != NULL);
        if (program->stages[i].set)
            execution->stages[i].set = set_node_create(execution, &program->stages[i]);
    }
    return execution;
}

/* ---- counting ------------------------------------------------------------------------ */

/*
 * Adds what a stage's lanes have counted.  A set node's rows are counted where
 * they come in and are made; what it leaves out itself, before and behind, is
 * counted here.
 */
static void
add_stage_counts(const Stage *stage, NodeCounts *nodes)
{
    nodes[stage->compiled->feed->ordinal].in += stage->unreadable;
    for (int i = 0; i < stage->nlanes; i++)
    {
        const StageLane *lane = &stage->lanes[i];
        int64 rows = lane->taken;

        /* a row that came to a step has passed those before */
        for (int step = lane->lane->nsteps - 1; step >= 0; step--)
        {
            const GraphNode *node = lane->lane->steps[step].node;
            NodeCounts *counts = &nodes[node->ordinal];

            counts->filtered += lane->filtered[step];
            if (node->op->kind != NODE_SET)
                counts->out += rows;
            else if (step == 0)
                counts->out -= lane->ended[step];
            else
                counts->in += lane->refused;
            rows += lane->ended[step];
            if (node->op->kind != NODE_SET)
                counts->in += rows;
        }
    }
}

static void
add_set_counts(const Execution *execution, int number, NodeCounts *nodes)
{
    const SetNode *set = execution->stages[number].set;
    NodeCounts *counts = &nodes[execution->program->stages[number].feed->ordinal];

    if (set == NULL)
        return;
    counts->in += set_node_in(set);
    counts->out += set_node_out(set);
}

NodeCounts *
execution_counts(const Execution *execution)
{
    int nnodes = execution->program->graph->nnodes;
    NodeCounts *nodes = palloc(sizeof(NodeCounts) * nnodes);

    memcpy(nodes, execution->nodes, sizeof(NodeCounts) * nnodes);
    for (int i = 0; i < execution->program->nstages; i++)
    {
        if (execution->stages[i].stage)
            add_stage_counts(execution->stages[i].stage, nodes);
        add_set_counts(execution, i, nodes);
    }
    return nodes;
}

int64
execution_filtered(const Execution *execution)
{
    int64 filtered = 0;

    for (int i = 0; i < execution->program->graph->nnodes; i++)
        filtered += execution->nodes[i].filtered;
    for (int s = 0; s < execution->program->nstages; s++)
    {
        const Stage *stage = execution->stages[s].stage;

        for (int i = 0; stage && i < stage->nlanes; i++)
        {
            for (int step = 0; step < stage->lanes[i].lane->nsteps; step++)
                filtered += stage->lanes[i].filtered[step];
        }
    }
    return filtered;
}

int64
execution_merged(const Execution *execution)
{
    int64 merged = 0;

    for (int i = 0; i < execution->program->graph->nnodes; i++)
        merged += execution->nodes[i].merged;
    return merged;
}

/* The node at which a stage's time is shown: its rows are evaluated as one, so the first behind the feed stands for all. */
static NodeCounts *
time_node(Execution *execution, const ProgramStage *stage)
{
    const Lane *lane = &stage->lanes[0];

    return &execution->nodes[lane->steps[Min(1, lane->nsteps - 1)].node->ordinal];
}

static void
add_since(instr_time *total, instr_time *since)
{
    instr_time now;

    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_ACCUM_DIFF(*total, now, *since);
    *since = now;
}

/* ---- stages --------------------------------------------------------------------------- */

static void
drop_stage(Execution *execution, ExecutionStage *at)
{
    if (at->stage == NULL)
        return;
    add_stage_counts(at->stage, execution->nodes);
    stage_destroy(at->stage);
    at->stage = NULL;
    if (at->context)
        MemoryContextDelete(at->context);
    at->context = NULL;
}

static bool
same_flags(const bool *a, const bool *b, int count)
{
    return a == b || (a && b && memcmp(a, b, sizeof(bool) * count) == 0);
}

/* Was the stage compiled for these columns? */
static bool
compiled_for(const Execution *execution, const ExecutionStage *at, const bool *const *present)
{
    for (int i = 0; i < execution->program->nsources; i++)
    {
        if (!same_flags(at->present[i], present[i], execution->program->sources[i].ncolumns))
            return false;
    }
    return true;
}

/* The sink of a lane. */
static RowSink *
find_sink(Execution *execution, const Program *program, const Lane *lane)
{
    if (lane->target)
        return execution->sinks[lane->target - program->targets];
    if (lane->input == NULL)
        return execution->sinks[program->ntargets];
    return set_node_input(execution->stages[lane->input->stage].set, lane->input->side);
}

/* Flags that are all true say nothing: NULL. */
static const bool *
useful_flags(const bool *flags, int count)
{
    for (int i = 0; flags && i < count; i++)
    {
        if (!flags[i])
            return flags;
    }
    return NULL;
}

/* The stage, planned for splits with these columns, by source (NULL: with all). */
static void
open_stage(Execution *execution, int number, const bool *const *present)
{
    ExecutionStage *at = &execution->stages[number];
    const Program *program = execution->program;
    bool whole = true;
    MemoryContext old;

    if (at->stage && compiled_for(execution, at, present))
        return;
    drop_stage(execution, at);
    at->context = AllocSetContextCreate(execution->context, "kaireon program", ALLOCSET_DEFAULT_SIZES);
    old = MemoryContextSwitchTo(at->context);
    at->present = palloc0(sizeof(bool *) * program->nsources);
    for (int i = 0; i < program->nsources; i++)
    {
        if (present[i] == NULL)
            continue;
        whole = false;
        at->present[i] = memcpy(palloc(sizeof(bool) * program->sources[i].ncolumns), present[i], sizeof(bool) * program->sources[i].ncolumns);
    }
    if (!whole)
        program = compile_program(execution->input, present, NULL);
    if (!compile_same(program, execution->program))
        elog(ERROR, "compilation of a pipeline is not stable");
    at->stage = stage_create(program, &program->stages[number], execution->targets);
    at->stage->datasets = execution->datasets;
    for (int i = 0; i < at->stage->nlanes; i++)
        at->stage->lanes[i].sink = find_sink(execution, program, at->stage->lanes[i].lane);
    MemoryContextSwitchTo(old);
}

/* Has the sinks that the stage's lanes lead to do something, each once. */
static void
begin_sinks(const Stage *stage, const Rows *rows)
{
    for (int i = 0; i < stage->nlanes; i++)
    {
        RowSink *sink = stage->lanes[i].sink;
        int first = 0;

        while (stage->lanes[first].sink != sink)
            first++;
        if (first == i)
            sink->begin(sink, rows);
    }
}

static void
flush_sinks(Execution *execution, const Stage *stage, instr_time *since)
{
    for (int i = 0; i < stage->nlanes; i++)
    {
        const StageLane *lane = &stage->lanes[i];
        int first = 0;

        while (stage->lanes[first].sink != lane->sink)
            first++;
        if (first != i)
            continue;
        lane->sink->flush(lane->sink);
        if (lane->lane->target)
            add_since(&execution->nodes[lane->lane->target->node->ordinal].time, since);
    }
}

static void
run_stage(Execution *execution, int number, const Rows *rows)
{
    Stage *stage = execution->stages[number].stage;
    instr_time since;
    bool more;

    INSTR_TIME_SET_CURRENT(since);
    begin_sinks(stage, rows);
    stage_begin(stage, rows, execution->rejects);
    do
    {
        more = stage_run(stage);
        add_since(&time_node(execution, stage->compiled)->time, &since);
        flush_sinks(execution, stage, &since);
    } while (more);
}

/* Notes the columns of a split: one that no split had is left to its default behind a set node too. */
static void
note_seen(Execution *execution, int source, const bool *present)
{
    int ncolumns = execution->program->sources[source].ncolumns;

    if (execution->seen[source] == NULL)
        execution->seen[source] = MemoryContextAllocZero(execution->context, sizeof(bool) * Max(ncolumns, 1));
    for (int i = 0; i < ncolumns; i++)
        execution->seen[source][i] |= present[i];
}

void
execution_batch(Execution *execution, int source, Cells *cells, const FetchObject *split, const bool *present)
{
    const Program *program = execution->program;
    const bool **flags = palloc0(sizeof(bool *) * program->nsources);
    Rows rows = rows_of_cells(cells, split);
    int number = 0;

    while (program->stages[number].source != &program->sources[source])
        number++;
    flags[source] = useful_flags(present, program->sources[source].ncolumns);
    note_seen(execution, source, present);
    open_stage(execution, number, flags);
    run_stage(execution, number, &rows);
    pfree(flags);
}

/* A set node's stage, when its inputs are complete. */
static void
open_set_stage(Execution *execution, int number)
{
    const Program *program = execution->program;
    const bool **flags = palloc0(sizeof(bool *) * program->nsources);

    for (int i = 0; i < program->nsources; i++)
        flags[i] = useful_flags(execution->seen[i], program->sources[i].ncolumns);
    open_stage(execution, number, flags);
}

/* A set node has given all: its counts stay. */
static void
drop_set(Execution *execution, int number)
{
    if (execution->stages[number].set == NULL)
        return;
    add_set_counts(execution, number, execution->nodes);
    execution->nodes[execution->program->stages[number].feed->ordinal].merged =
        set_node_in(execution->stages[number].set) - set_node_out(execution->stages[number].set) -
        set_node_refused(execution->stages[number].set);
    set_node_end(execution->stages[number].set);
    execution->stages[number].set = NULL;
}

bool
execution_ask(Execution *execution, int number, int64 rows)
{
    SetNode *set = execution->stages[number].set;
    instr_time since;

    if (set == NULL)
        return false;
    INSTR_TIME_SET_CURRENT(since);
    set_node_ask(set, rows);
    add_since(&execution->nodes[execution->program->stages[number].feed->ordinal].time, &since);
    return set_node_has_more(set);
}

bool
execution_set(Execution *execution, int number)
{
    ExecutionStage *at = &execution->stages[number];
    const Rows *rows;
    instr_time since;

    if (at->stage == NULL)
        open_set_stage(execution, number);
    INSTR_TIME_SET_CURRENT(since);
    rows = set_node_rows(at->set);
    add_since(&execution->nodes[execution->program->stages[number].feed->ordinal].time, &since);
    if (rows == NULL)
    {
        if (!set_node_has_more(at->set))
            drop_set(execution, number);
        return false;
    }
    run_stage(execution, number, rows);
    return true;
}

void
execution_end(Execution *execution)
{
    for (int i = 0; i < execution->program->nstages; i++)
    {
        drop_stage(execution, &execution->stages[i]);
        drop_set(execution, i);
    }
    keyed_hash_end();
    if (execution->positions)
        positions_close(execution->positions);
    execution->positions = NULL;
}
