/*
 * explain.c: what a pipeline compiles to, and with "analyze" what its nodes do.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "portability/instr_time.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/compat.h"
#include "pg/hook.h"
#include "pg/inspect.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/preview.h"

extern PGDLLEXPORT Datum kaireon_explain_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_explain_pipeline);

static void
put_lines(ReturnSetInfo *result, const char *indent, const char *text)
{
    char *copy = pstrdup(text), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
    {
        Datum value = CStringGetTextDatum(psprintf("%s%s", indent, line));
        bool null = false;

        tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
    }
}

/* The plan of a statement; what it would read is empty. */
static void
put_plan(ReturnSetInfo *result, const char *sql, PlannedStmt *plan, QueryEnvironment *env)
{
    ExplainState *es = NewExplainState();
    QueryDesc *desc;

    es->verbose = true;
    es->costs = false;
    desc = CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, NULL, env, 0);
    ExecutorStart(desc, EXEC_FLAG_EXPLAIN_ONLY);
    ExplainBeginOutput(es);
    ExplainPrintPlan(es, desc);
    ExplainEndOutput(es);
    ExecutorEnd(desc);
    FreeQueryDesc(desc);
    put_lines(result, "    ", es->str->data);
}

/* The same of one that is not planned yet; `tables` as in compile_analyze. */
static void
put_statement(ReturnSetInfo *result, const char *sql, List *tables, QueryEnvironment *env)
{
    List *rewritten = pg_rewrite_query(compile_analyze(sql, env, tables));

    put_plan(result, sql, pg_plan_query(linitial_node(Query, rewritten), sql, 0, NULL), env);
}

/* A lane's statement, and a set node's. */
static void
put_lane(ReturnSetInfo *result, const Inspected *inspected, const ProgramStage *stage, const Lane *lane)
{
    Tuplestorestate *empty = tuplestore_begin_heap(false, false, 64);
    RightsScope scope;

    put_lines(result, "", "  SQL:");
    put_lines(result, "    ", lane->sql);
    put_lines(result, "", "  Plan:");
    scope = inspect_as(inspected->spec->owner);
    put_statement(result, lane->sql, lane->target ? list_make1_oid(lane->target->schema->relid) : NIL, compile_environment(stage->relation, stage->desc, empty));
    rights_resume(scope);
    tuplestore_end(empty);
}

/* What a set node asks whom, and how it finds what to ask for. */
static void
put_ask(ReturnSetInfo *result, const GraphNode *node, const ProgramAsk *ask)
{
    put_lines(result, "", "  Asks:");
    put_lines(result, "    ", psprintf("connector \"%s\" for \"%s\", once for each value of %s, at most " INT64_FORMAT " times",
                                       json_get_text(node->config, "connector"), json_get_text(node->config, "resource"), ask->shown, ask->max_calls));
    put_lines(result, "", "  Keys:");
    put_lines(result, "    ", ask->keys_sql);
}

static void
put_set(ReturnSetInfo *result, const Inspected *inspected, const ProgramSet *set)
{
    Tuplestorestate *empty = tuplestore_begin_heap(false, false, 64);
    void *stores[SET_INPUTS + 1] = {empty, empty, empty};
    double rows[SET_INPUTS + 1] = {1000, 1000, 1000};
    QueryEnvironment *env = compile_set_environment(set, stores, rows);
    RightsScope scope;

    put_lines(result, "", "  SQL:");
    put_lines(result, "    ", set->sql);
    put_lines(result, "", "  Plan:");
    scope = inspect_as(inspected->spec->owner);
    put_plan(result, set->sql, compile_plan_set(set, set->sql, env), env);
    rights_resume(scope);
    tuplestore_end(empty);
}

/* "read -> split (es) -> load" */
static char *
lane_nodes(const Lane *lane)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < lane->nsteps; i++)
    {
        appendStringInfo(&out, "%s%s", i ? " -> " : "", lane->steps[i].node->id);
        if (lane->steps[i].node->op->kind == NODE_BRANCH)
            appendStringInfo(&out, " (%s)", lane->steps[i].route);
    }
    return out.data;
}

static void
put_columns(ReturnSetInfo *result, const ProgramSource *source)
{
    put_lines(result, "", "  Source columns:");
    for (int i = 0; i < source->ncolumns; i++)
    {
        const SourceColumn *column = &source->columns[i];

        put_lines(result, "    ", psprintf("%s %s%s", quote_identifier(column->name), format_type_with_typemod(column->type, column->typmod),
                                           column->required ? "" : " (default when the source lacks it)"));
    }
}

static void
put_stage(ReturnSetInfo *result, const Inspected *inspected, const ProgramStage *stage, int *number)
{
    if (stage->set)
    {
        put_lines(result, "", psprintf("Stage %d (set stage): %s", (*number)++, stage->feed->id));
        if (stage->set->ask)
            put_ask(result, stage->feed, stage->set->ask);
        put_set(result, inspected, stage->set);
    }
    if (stage->nlanes == 1)
        put_lines(result, "", psprintf("Stage %d (row stage): %s", (*number)++, lane_nodes(&stage->lanes[0])));
    else
        put_lines(result, "", psprintf("Stage %d (row stage): %s, %d lanes", (*number)++, stage->feed->id, stage->nlanes));
    if (stage->source)
        put_columns(result, stage->source);
    for (int i = 0; i < stage->nlanes; i++)
    {
        if (stage->nlanes > 1)
            put_lines(result, "", psprintf("  Lane %d: %s", i + 1, lane_nodes(&stage->lanes[i])));
        put_lane(result, inspected, stage, &stage->lanes[i]);
    }
}

/* What a summarize node writes when the rows are loaded. */
static void
put_summary(ReturnSetInfo *result, const Inspected *inspected, const ProgramSummary *summary, int *number)
{
    Tuplestorestate *empty = tuplestore_begin_heap(false, false, 64);
    const char *statements[] = {summary->loaded ? summary->remove : summary->remove_all, summary->loaded ? summary->write : summary->write_all};

    put_lines(result, "", psprintf("Stage %d (summary): %s: %s", (*number)++, summary->node->id,
                                   summary->loaded ? "the customers whose rows were loaded; all, when it was empty or incomplete" : "all customers"));
    for (size_t i = 0; i < lengthof(statements); i++)
    {
        RightsScope scope;

        put_lines(result, "", "  SQL:");
        put_lines(result, "    ", statements[i]);
        put_lines(result, "", "  Plan:");
        scope = inspect_as(inspected->spec->owner);
        put_statement(result, statements[i], list_make2_oid(summary->relid, summary->summary_relid), compile_environment(TOUCHED_RELATION, summary->keys, empty));
        rights_resume(scope);
    }
    tuplestore_end(empty);
}

/* Hooks of targets before the first row, or after the last. */
static void
put_hooks(ReturnSetInfo *result, const Inspected *inspected, HookKind kind)
{
    for (int i = 0; i < inspected->program->ntargets; i++)
    {
        const GraphNode *node = inspected->program->targets[i].node;
        ListCell *lc;

        foreach(lc, hook_list(node, kind))
        {
            const Hook *hook = lfirst(lc);
            const char *when = hook->type == HOOK_WEBHOOK ? "After the run" : kind == HOOK_PRE ? "Before the first row" : "After the last row";

            put_lines(result, "", psprintf("%s (%s): %s", when, hook->label, node->id));
            put_lines(result, "", hook->type == HOOK_WEBHOOK ? "  Call:" : "  SQL:");
            put_lines(result, "    ", hook_shown(hook));
        }
    }
}

/* ---- analyze -------------------------------------------------------------------------- */

/* The node whose time is that of the row stage the node is part of; NULL for one that has its own. */
static const GraphNode *
timed_with(const Program *program, const GraphNode *node)
{
    for (int s = 0; s < program->nstages; s++)
    {
        const ProgramStage *stage = &program->stages[s];

        for (int i = 0; i < stage->nlanes; i++)
        {
            for (int step = 1; step < stage->lanes[i].nsteps; step++)
            {
                if (stage->lanes[i].steps[step].node == node && node->op->kind != NODE_SET && node != stage->lanes[0].steps[1].node)
                    return stage->lanes[0].steps[1].node;
            }
        }
    }
    return NULL;
}

/* Reads all sources, loads nothing, and says what each node did. */
static void
put_measured(ReturnSetInfo *result, const Inspected *inspected)
{
    Preview preview = {.spec = inspected->spec, .input = &inspected->input, .program = inspected->program, .left = PG_INT64_MAX};
    const Graph *graph = inspected->program->graph;
    instr_time started, taken;

    INSTR_TIME_SET_CURRENT(started);
    preview_read(&preview);
    INSTR_TIME_SET_CURRENT(taken);
    INSTR_TIME_SUBTRACT(taken, started);
    put_lines(result, "", "Measured (read and evaluated, not loaded):");
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        const GraphNode *with = timed_with(inspected->program, node);

        put_lines(result, "  ", psprintf("%s: rows in " INT64_FORMAT ", out " INT64_FORMAT ", rejected " INT64_FORMAT ", %s", node->id,
                                         preview.counts[i].in, preview.counts[i].out, preview.rejects->per_node[i],
                                         with ? psprintf("time with %s", with->id)
                                              : psprintf("time %.3f ms", INSTR_TIME_GET_MILLISEC(preview.counts[i].time))));
    }
    put_lines(result, "  ", psprintf("all: time %.3f ms", INSTR_TIME_GET_MILLISEC(taken)));
}

Datum
kaireon_explain_pipeline(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    Inspected *inspected = inspect_load(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
    int number = 1;

    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    put_hooks(result, inspected, HOOK_PRE);
    for (int i = 0; i < inspected->program->nstages; i++)
        put_stage(result, inspected, &inspected->program->stages[i], &number);
    for (int i = 0; i < inspected->program->nsummaries; i++)
        put_summary(result, inspected, &inspected->program->summaries[i], &number);
    put_hooks(result, inspected, HOOK_POST);
    if (PG_GETARG_BOOL(1))
        put_measured(result, inspected);
    return (Datum) 0;
}
