/*
 * execute.c: a program at work.  See execute.h.
 *
 * A stage is planned when its first batch comes, and again when a batch comes
 * of a split that has other columns: target columns that a split lacks take
 * their default.
 */
#include "postgres.h"

#include "pg/execute.h"

#include "utils/memutils.h"

typedef struct ExecutionStage
{
    Stage *stage;            /* NULL: not yet */
    MemoryContext context;   /* of the program it was compiled to, if that is its own */
    bool *present;           /* columns it was compiled for */
} ExecutionStage;

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
    return execution;
}

/* ---- counting ------------------------------------------------------------------------ */

/* Adds what a stage's lanes have counted. */
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
            NodeCounts *node = &nodes[lane->lane->steps[step].node->ordinal];

            node->out += rows;
            rows += lane->ended[step];
            node->in += rows;
            node->filtered += lane->filtered[step];
        }
    }
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

/* The node at which a stage's time is shown: its rows are evaluated as one, so the first behind the feed stands for all. */
static NodeCounts *
time_node(Execution *execution, const ProgramStage *stage)
{
    return &execution->nodes[stage->lanes[0].steps[1].node->ordinal];
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
all_present(const bool *present, int count)
{
    for (int i = 0; i < count; i++)
    {
        if (!present[i])
            return false;
    }
    return true;
}

/* The program for a split that lacks columns; in the current context. */
static const Program *
program_for(const Execution *execution, int source, const bool *present)
{
    const Program *program = execution->program;
    const bool **flags = palloc0(sizeof(bool *) * program->nsources);

    if (all_present(present, program->sources[source].ncolumns))
        return program;
    flags[source] = present;
    return compile_program(execution->input, flags, NULL);
}

static void
open_stage(Execution *execution, int number, int source, const bool *present)
{
    ExecutionStage *at = &execution->stages[number];
    int ncolumns = execution->program->sources[source].ncolumns;
    const Program *program;
    MemoryContext old;

    if (at->stage && memcmp(at->present, present, sizeof(bool) * ncolumns) == 0)
        return;
    drop_stage(execution, at);
    at->context = AllocSetContextCreate(execution->context, "kaireon program", ALLOCSET_DEFAULT_SIZES);
    old = MemoryContextSwitchTo(at->context);
    program = program_for(execution, source, present);
    if (!compile_same(program, execution->program))
        elog(ERROR, "compilation of a pipeline is not stable");
    at->present = palloc(sizeof(bool) * Max(ncolumns, 1));
    memcpy(at->present, present, sizeof(bool) * ncolumns);
    at->stage = stage_create(program, &program->stages[number], execution->targets);
    for (int i = 0; i < at->stage->nlanes; i++)
        at->stage->lanes[i].sink = execution->sinks[at->stage->lanes[i].lane->target - program->targets];
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
        add_since(&execution->nodes[lane->lane->target->node->ordinal].time, since);
    }
}

static int
stage_of_source(const Execution *execution, int source)
{
    int number = 0;

    while (execution->program->stages[number].source != &execution->program->sources[source])
        number++;
    return number;
}

void
execution_batch(Execution *execution, int source, Cells *cells, const char *path, const bool *present)
{
    int number = stage_of_source(execution, source);
    Rows rows = rows_of_cells(cells, path);
    Stage *stage;
    instr_time since;

    INSTR_TIME_SET_CURRENT(since);
    open_stage(execution, number, source, present);
    stage = execution->stages[number].stage;
    begin_sinks(stage, &rows);
    stage_run(stage, &rows, execution->rejects);
    add_since(&time_node(execution, stage->compiled)->time, &since);
    flush_sinks(execution, stage, &since);
}

void
execution_end(Execution *execution)
{
    for (int i = 0; i < execution->program->nstages; i++)
        drop_stage(execution, &execution->stages[i]);
}
