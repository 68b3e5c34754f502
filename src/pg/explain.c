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
#include "pg/inspect.h"
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

static void
put_plan(ReturnSetInfo *result, const ProgramStage *stage, const char *sql)
{
    Tuplestorestate *empty = tuplestore_begin_heap(false, false, 64);
    QueryEnvironment *env = compile_environment(stage->relation, stage->desc, empty);
    List *rewritten = pg_rewrite_query(compile_analyze(sql, env));
    PlannedStmt *plan = pg_plan_query(linitial_node(Query, rewritten), sql, 0, NULL);
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
    tuplestore_end(empty);
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
    put_lines(result, "", "  Measured (read and evaluated, not loaded):");
    for (int i = 0; i < graph->nnodes; i++)
        put_lines(result, "    ", psprintf("%s: rows in " INT64_FORMAT ", out " INT64_FORMAT ", rejected " INT64_FORMAT,
                                           graph->nodes[i].id, preview.counts[i].in, preview.counts[i].out, preview.rejects->per_node[i]));
    put_lines(result, "    ", psprintf("time: %.3f ms", INSTR_TIME_GET_MILLISEC(taken)));
}

/* The nodes of a lane; from the second lane of a stage on, only from the last branch they share. */
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
put_stage(ReturnSetInfo *result, const Inspected *inspected, int number)
{
    const ProgramStage *stage = &inspected->program->stages[number];

    for (int i = 0; i < stage->nlanes; i++)
    {
        const Lane *lane = &stage->lanes[i];
        RightsScope scope;

        put_lines(result, "", i == 0 ? psprintf("Stage %d (row stage): %s", number + 1, lane_nodes(lane)) : psprintf("  else: %s", lane_nodes(lane)));
        if (i == 0)
            put_lines(result, "", "  Source columns:");
        for (int c = 0; i == 0 && c < stage->source->ncolumns; c++)
        {
            const SourceColumn *column = &stage->source->columns[c];

            put_lines(result, "    ", psprintf("%s %s%s", quote_identifier(column->name), format_type_with_typemod(column->type, column->typmod),
                                               column->required ? "" : " (default when the source lacks it)"));
        }
        put_lines(result, "", "  SQL:");
        put_lines(result, "    ", lane->sql);
        put_lines(result, "", "  Plan:");
        scope = inspect_as(inspected->spec->owner);
        put_plan(result, stage, lane->sql);
        rights_resume(scope);
    }
}

Datum
kaireon_explain_pipeline(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    Inspected *inspected = inspect_load(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);

    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    for (int i = 0; i < inspected->program->nstages; i++)
        put_stage(result, inspected, i);
    if (PG_GETARG_BOOL(1))
        put_measured(result, inspected);
    return (Datum) 0;
}
