/*
 * stage.c: the row stage.  See stage.h.
 *
 * Data flow of a batch: wire rejects and rows in source order; for a row,
 * pending cells the conditions read are settled, the conditions evaluated,
 * pending cells the target list reads settled, the target list projected into
 * the sink's slot, not-null and check constraints tested.  Datums live in the
 * batch's contexts until the sink has flushed.
 */
#include "postgres.h"

#include "pg/stage.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/compat.h"
#include "pg/guard.h"
#include "pg/link.h"
#include "pg/node.h"

/* ROW_AGAIN: coerce wants a second try of the row. */
typedef enum Verdict { ROW_DONE, ROW_FILTERED, ROW_BAD, ROW_AGAIN } Verdict;

/* Where evaluation of a row is: tells what an error was about. */
typedef struct RowState
{
    int row;
    int column;              /* the cell being settled, or -1 */
    int clause;              /* the condition being evaluated, or -1 */
    Bitmapset *retried;      /* cells of the row that coerce tries a second time */
    Reject reject;           /* filled for ROW_BAD */
} RowState;

/* ---- planning ------------------------------------------------------------ */

static void
collect_vars(Node *expr, Bitmapset **columns)
{
    List *vars = pull_var_clause(expr, 0);
    ListCell *lc;

    foreach(lc, vars)
        *columns = bms_add_member(*columns, castNode(Var, lfirst(lc))->varattno - 1);
}

static void
add_clauses(Stage *stage, List *quals)
{
    ListCell *lc;

    stage->clauses = palloc0(sizeof(StageClause) * Max(list_length(quals), 1));
    foreach(lc, quals)
    {
        StageClause *clause = &stage->clauses[stage->nclauses++];

        clause->expr = lfirst(lc);
        clause->node = compile_node_at(stage->program, exprLocation((Node *) clause->expr));
        collect_vars((Node *) clause->expr, &clause->columns);
        if (clause->node == NULL || clause->node->op != &node_filter)
        {
            const Graph *graph = stage->program->graph;

            clause->node = NULL;
            for (int i = 0; i < graph->nnodes && clause->node == NULL; i++)
            {
                if (graph->nodes[i].op == &node_filter)
                    clause->node = &graph->nodes[i];
            }
        }
    }
}

/*
 * A preview shows the schema's fields as the INSERT would assign them, and
 * leaves out what the table adds (defaults: a sequence must not advance).
 */
static void
keep_fields(Stage *stage)
{
    List *kept = NIL;
    ListCell *lc;

    foreach(lc, stage->target_list)
    {
        TargetEntry *te = lfirst_node(TargetEntry, lc);
        const TargetField *field = NULL;

        for (int i = 0; i < stage->program->nfields && field == NULL; i++)
        {
            if (stage->program->fields[i].attnum == te->resno)
                field = &stage->program->fields[i];
        }
        if (field == NULL || field->left_out)
            continue;
        te = flatCopyTargetEntry(te);
        te->resno = list_length(kept) + 1;
        te->resname = field->name;
        kept = lappend(kept, te);
    }
    stage->target_list = kept;
}

static void
plan_program(Stage *stage)
{
    /* a standby can't lock the table as an INSERT does: there a preview has the SELECT's values */
    bool insert = stage->target != NULL || !RecoveryInProgress();
    const char *sql = insert ? stage->program->sql : stage->program->select_sql;
    QueryEnvironment *env = compile_environment(SOURCE_RELATION, stage->source_desc, NULL);
    Query *query = compile_analyze(sql, env);
    List *rewritten = pg_rewrite_query(query);
    Plan *plan;

    if (list_length(rewritten) != 1)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("table \"%s\" has rules, which a pipeline can't load through", get_rel_name(stage->program->relid))));
    stage->plan = pg_plan_query(linitial_node(Query, rewritten), sql, CURSOR_OPT_FAST_PLAN, NULL);
    compat_check_permissions(stage->plan);
    plan = stage->plan->planTree;
    if (IsA(plan, ModifyTable))
        plan = outerPlan(plan);
    stage->target_list = plan->targetlist;
    if (insert && stage->target == NULL)
        keep_fields(stage);
    if (IsA(plan, Result))
    {
        List *constant = (List *) ((Result *) plan)->resconstantqual;

        if (outerPlan(plan) == NULL && constant == NIL)
            elog(ERROR, "unexpected plan of a row stage");
        if (outerPlan(plan) == NULL || !DatumGetBool(((Const *) linitial(constant))->constvalue))
        {
            stage->nothing_passes = true;
            add_clauses(stage, NIL);
            return;
        }
        plan = outerPlan(plan);
    }
    if (!IsA(plan, NamedTuplestoreScan) || stage->plan->subplans != NIL)
        elog(ERROR, "unexpected plan of a row stage: node %d", (int) nodeTag(plan));
    add_clauses(stage, plan->qual);
}

/* A preview's rows are the SELECT's: the schema's required fields among its columns. */
static void
read_preview_nulls(Stage *stage)
{
    for (int i = 0; i < stage->target_desc->natts; i++)
    {
        for (int f = 0; f < stage->program->nfields; f++)
        {
            const TargetField *field = &stage->program->fields[f];

            if (field->not_null && !(field->has_default && stage->program->validation == VALIDATION_COERCE) &&
                strcmp(field->name, NameStr(TupleDescAttr(stage->target_desc, i)->attname)) == 0)
                stage->not_null[stage->nnot_null++] = i + 1;
        }
    }
}

/* Not-null columns, their defaults for coerce, and check constraints of the target. */
static void
read_constraints(Stage *stage)
{
    TupleDesc desc = stage->target_desc;
    TupleConstr *constr = desc->constr;

    stage->not_null = palloc(sizeof(AttrNumber) * desc->natts);
    stage->defaults = palloc0(sizeof(ExprState *) * desc->natts);
    if (stage->target == NULL)
    {
        read_preview_nulls(stage);
        return;
    }
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (!att->attnotnull || att->attisdropped || att->attgenerated)
            continue;
        if (stage->program->validation == VALIDATION_COERCE && att->atthasdef)
        {
            Node *value = build_column_default(stage->target, i + 1);

            if (value)
                stage->defaults[stage->nnot_null] = ExecInitExpr(expression_planner((Expr *) value), NULL);
        }
        stage->not_null[stage->nnot_null++] = i + 1;
    }
    if (constr && constr->num_check > 0)
    {
        stage->checks = palloc0(sizeof(*stage->checks) * constr->num_check);
        for (int i = 0; i < constr->num_check; i++)
        {
            stage->checks[stage->nchecks].name = pstrdup(constr->check[i].ccname);
            stage->checks[stage->nchecks++].expr = expression_planner(stringToNode(constr->check[i].ccbin));
        }
    }
}

/* Expression states; made anew after an error, since one may be left half-way. */
static void
init_expressions(Stage *stage)
{
    MemoryContext old = MemoryContextSwitchTo(stage->estate->es_query_cxt);

    for (int i = 0; i < stage->nclauses; i++)
        stage->clauses[i].state = ExecInitExpr(stage->clauses[i].expr, NULL);
    stage->projection = ExecBuildProjectionInfo(stage->target_list, stage->econtext, NULL, NULL, stage->source_desc);
    for (int i = 0; i < stage->nchecks; i++)
        stage->checks[i].state = ExecInitExpr(stage->checks[i].expr, NULL);
    MemoryContextSwitchTo(old);
}

Stage *
stage_create(const Program *program, Relation target)
{
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kaireon stage", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    Stage *stage = palloc0(sizeof(Stage));

    stage->context = context;
    stage->program = program;
    stage->target = target;
    stage->source_desc = compile_source_desc(program);
    stage->source_slot = MakeSingleTupleTableSlot(stage->source_desc, &TTSOpsVirtual);
    stage->filtered_by = palloc0(sizeof(int64) * program->graph->nnodes);
    stage->estate = CreateExecutorState();
    stage->econtext = CreateExprContext(stage->estate);
    plan_program(stage);
    if (target)
        stage->target_desc = RelationGetDescr(target);
    else
        stage->target_desc = ExecTypeFromTL(stage->target_list);
    for (ListCell *lc = list_head(stage->target_list); lc; lc = lnext(stage->target_list, lc))
        collect_vars((Node *) ((TargetEntry *) lfirst(lc))->expr, &stage->target_columns);
    read_constraints(stage);
    init_expressions(stage);
    MemoryContextSwitchTo(old);
    return stage;
}

void
stage_destroy(Stage *stage)
{
    FreeExecutorState(stage->estate);
    ExecDropSingleTupleTableSlot(stage->source_slot);
    MemoryContextDelete(stage->context);
}

/* ---- evaluation ------------------------------------------------------------ */

static void
bad_row(RowState *at, RejectKind kind, const GraphNode *node, int sqlstate, char *reason)
{
    at->reject.kind = kind;
    at->reject.node = node;
    at->reject.sqlstate = sqlstate;
    at->reject.reason = reason;
}

static const GraphNode *
target_node(const Stage *stage)
{
    return &stage->program->graph->nodes[stage->program->graph->nnodes - 1];
}

/* A cell's error is the target's validation unless a cast node asked for the type. */
static RejectKind
cell_kind(const Stage *stage, int column)
{
    return stage->program->columns[column].blame == target_node(stage) ? REJECT_VALIDATION : REJECT_OTHER;
}

static bool
settle_cells(Stage *stage, Cells *cells, const Bitmapset *columns, RowState *at)
{
    int column = -1;

    while ((column = bms_next_member(columns, column)) >= 0)
    {
        CellError error;

        if (!cells_is_pending(cells, at->row, column))
            continue;
        at->column = column;
        if (!cells_resolve(cells, at->row, column, bms_is_member(column, at->retried), &error))
        {
            bad_row(at, cell_kind(stage, column), stage->program->columns[column].blame, error.sqlstate, error.message);
            at->reject.field = stage->program->columns[column].name;
            at->reject.value = cells_raw_text(cells, at->row, column);
            return false;
        }
    }
    at->column = -1;
    return true;
}

/* The null in a not-null column: a default when coerce finds one, else a reject. */
static bool
mend_null(Stage *stage, TupleTableSlot *slot, int i, RowState *at)
{
    AttrNumber attnum = stage->not_null[i];

    if (stage->defaults[i])
        slot->tts_values[attnum - 1] = ExecEvalExprSwitchContext(stage->defaults[i], stage->econtext, &slot->tts_isnull[attnum - 1]);
    if (!slot->tts_isnull[attnum - 1])
        return true;
    bad_row(at, REJECT_VALIDATION, target_node(stage), ERRCODE_NOT_NULL_VIOLATION,
            psprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                     NameStr(TupleDescAttr(stage->target_desc, attnum - 1)->attname), get_rel_name(stage->program->relid)));
    at->reject.field = NameStr(TupleDescAttr(stage->target_desc, attnum - 1)->attname);
    return false;
}

static bool
test_constraints(Stage *stage, TupleTableSlot *slot, RowState *at)
{
    for (int i = 0; i < stage->nnot_null; i++)
    {
        if (slot->tts_isnull[stage->not_null[i] - 1] && !mend_null(stage, slot, i, at))
            return false;
    }
    for (int i = 0; i < stage->nchecks; i++)
    {
        bool null;
        Datum result;

        stage->econtext->ecxt_scantuple = slot;
        result = ExecEvalExprSwitchContext(stage->checks[i].state, stage->econtext, &null);
        stage->econtext->ecxt_scantuple = stage->source_slot;
        if (!null && !DatumGetBool(result))
        {
            bad_row(at, REJECT_OTHER, target_node(stage), ERRCODE_CHECK_VIOLATION,
                    psprintf("new row for relation \"%s\" violates check constraint \"%s\"",
                             RelationGetRelationName(stage->target), stage->checks[i].name));
            return false;
        }
    }
    return true;
}

static Verdict
evaluate_row(Stage *stage, Cells *cells, RowSink *sink, RowState *at)
{
    TupleTableSlot *source = stage->source_slot, *slot;

    if (stage->nothing_passes)
        return ROW_FILTERED;
    source->tts_values = &cells->values[at->row * cells->ncolumns];
    source->tts_isnull = &cells->nulls[at->row * cells->ncolumns];
    source->tts_nvalid = cells->ncolumns;
    source->tts_flags &= ~TTS_FLAG_EMPTY;
    stage->econtext->ecxt_scantuple = source;
    for (int i = 0; i < stage->nclauses; i++)
    {
        bool null;
        Datum passes;

        at->clause = i;
        if (cells->pending[at->row] && !settle_cells(stage, cells, stage->clauses[i].columns, at))
            return ROW_BAD;
        passes = ExecEvalExprSwitchContext(stage->clauses[i].state, stage->econtext, &null);
        if (null || !DatumGetBool(passes))
        {
            if (stage->clauses[i].node)
                stage->filtered_by[stage->clauses[i].node->ordinal]++;
            return ROW_FILTERED;
        }
    }
    at->clause = -1;
    if (cells->pending[at->row] && !settle_cells(stage, cells, stage->target_columns, at))
        return ROW_BAD;
    slot = sink->next(sink);
    stage->projection->pi_state.resultslot = slot;
    ExecProject(stage->projection);
    if (!test_constraints(stage, slot, at))
        return ROW_BAD;
    sink->accept(sink, at->row);
    return ROW_DONE;
}

/* Rows of a batch to be evaluated, and what came of it. */
typedef struct RowsWork
{
    Stage *stage;
    Cells *cells;
    int end;
    RowSink *sink;
    RowState *at;
    Verdict verdict;
} RowsWork;

/* Rows from at->row on, until the end of the range or a bad row. */
static void
evaluate_rows(void *arg)
{
    RowsWork *work = arg;
    RowState *at = work->at;

    for (; at->row < work->end; at->row++)
    {
        at->column = at->clause = -1;
        work->verdict = evaluate_row(work->stage, work->cells, work->sink, at);
        if (work->verdict == ROW_BAD)
            return;
        if (work->verdict == ROW_FILTERED)
            work->stage->filtered++;
        at->retried = NULL;
        if ((at->row & 255) == 0)
            CHECK_FOR_INTERRUPTS();
    }
    work->verdict = ROW_DONE;
}

/* What failed in a target list: which entry, and whether only its assignment to the column did. */
typedef struct Culprit { Stage *stage; TargetEntry *entry; bool assignment; } Culprit;

/* Evaluates the entries one by one until one fails; the culprit is then the one. */
static void
find_culprit(void *arg)
{
    Culprit *culprit = arg;
    Stage *stage = culprit->stage;
    ListCell *lc;

    foreach(lc, stage->target_list)
    {
        TargetEntry *te = lfirst(lc);
        Node *inner = strip_implicit_coercions((Node *) te->expr);
        bool null;

        if (IsA(te->expr, Var) || IsA(te->expr, Const))
            continue;
        culprit->entry = te;
        culprit->assignment = false;
        (void) ExecEvalExprSwitchContext(ExecInitExpr((Expr *) inner, NULL), stage->econtext, &null);
        culprit->assignment = true;
        (void) ExecEvalExprSwitchContext(ExecInitExpr(te->expr, NULL), stage->econtext, &null);
    }
    culprit->entry = NULL;
}

/* The row's error came from the target list. */
static void
blame_target_list(Stage *stage, RowState *at, int *field)
{
    Culprit culprit = {stage, NULL, false};
    const GraphNode *node = NULL;
    Bitmapset *used = NULL;

    (void) guard_try(find_culprit, &culprit, stage->econtext->ecxt_per_tuple_memory);
    if (culprit.entry == NULL)
        return;
    if (!culprit.assignment)
        node = compile_node_at(stage->program, exprLocation((Node *) culprit.entry->expr));
    if (node && node->op->kind != NODE_TARGET)
    {
        at->reject.node = node;
        at->reject.kind = REJECT_OTHER;
    }
    at->reject.field = NameStr(TupleDescAttr(stage->target_desc, culprit.entry->resno - 1)->attname);
    collect_vars((Node *) culprit.entry->expr, &used);
    *field = bms_next_member(used, -1);
}

/* An error raised while evaluating a row becomes the row's reject. */
static void
error_to_reject(Stage *stage, Cells *cells, RowState *at, const ErrorData *error)
{
    const SourceColumn *columns = stage->program->columns;
    int field = at->column;

    if (at->column >= 0)
    {
        bad_row(at, cell_kind(stage, at->column), columns[at->column].blame, error->sqlerrcode, error->message);
        at->reject.field = columns[at->column].name;
    }
    else if (at->clause >= 0)
    {
        bad_row(at, REJECT_OTHER, stage->clauses[at->clause].node, error->sqlerrcode, error->message);
        field = bms_next_member(stage->clauses[at->clause].columns, -1);
        at->reject.field = field >= 0 ? columns[field].name : NULL;
    }
    else
    {
        bad_row(at, REJECT_VALIDATION, target_node(stage), error->sqlerrcode, error->message);
        blame_target_list(stage, at, &field);
    }
    if (field >= 0)
        at->reject.value = cells_raw_text(cells, at->row, field);
    if (field >= 0 && at->reject.value == NULL && !cells->nulls[at->row * cells->ncolumns + field])
    {
        Oid output;
        bool varlena;

        getTypeOutputInfo(columns[field].type, &output, &varlena);
        at->reject.value = OidOutputFunctionCall(output, cells->values[at->row * cells->ncolumns + field]);
    }
}

/* After an error: a second try for coerce, else the row is bad. */
static Verdict
failed_row(Stage *stage, Cells *cells, RowState *at, const ErrorData *error)
{
    MemoryContext old = MemoryContextSwitchTo(stage->econtext->ecxt_per_tuple_memory);
    Verdict verdict = ROW_BAD;

    init_expressions(stage);
    if (cells->coerce && at->column >= 0 && !bms_is_member(at->column, at->retried))
    {
        at->retried = bms_add_member(at->retried, at->column);
        verdict = ROW_AGAIN;
    }
    else
        error_to_reject(stage, cells, at, error);
    MemoryContextSwitchTo(old);
    return verdict;
}

/*
 * evaluate_rows inside a subtransaction.  ROW_BAD: at->reject says why, and
 * at->row is the row.  ROW_AGAIN: call it again, the row gets a second try.
 */
static Verdict
guarded_rows(Stage *stage, Cells *cells, int end, RowSink *sink, RowState *at)
{
    RowsWork work = {stage, cells, end, sink, at, ROW_DONE};
    ErrorData *error = guard_try(evaluate_rows, &work, stage->econtext->ecxt_per_tuple_memory);

    return error ? failed_row(stage, cells, at, error) : work.verdict;
}

static void
add_wire_reject(const WireReject *wire, const Stage *stage, Rejects *rejects, const char *source)
{
    Reject reject = {0};

    reject.kind = REJECT_OTHER;
    reject.node = &stage->program->graph->nodes[0];
    reject.source = source;
    reject.line = wire->line;
    reject.offset = wire->offset;
    reject.sqlstate = link_sqlstate(wire->sqlstate);
    reject.reason = link_text(wire->message);
    reject.value = link_text(wire->raw);
    rejects_add(rejects, &reject);
}

static void
add_row_reject(RowState *at, const Cells *cells, Rejects *rejects, const char *source)
{
    at->reject.source = source;
    at->reject.line = cells_line(cells, at->row);
    at->reject.offset = cells_offset(cells, at->row);
    rejects_add(rejects, &at->reject);
    memset(&at->reject, 0, sizeof(at->reject));
}

void
stage_run(Stage *stage, Cells *cells, Rejects *rejects, const char *source, RowSink *sink)
{
    RowState at = {0};
    uint32 left = cells->batch.header->nrejects;
    WireReject wire;
    bool have = left > 0 && wire_get_reject(&cells->batch.rejects, &wire);
    MemoryContext old;

    /* what a batch needs goes with it; what is kept of rejects is copied */
    ResetExprContext(stage->econtext);
    old = MemoryContextSwitchTo(stage->econtext->ecxt_per_tuple_memory);
    for (;;)
    {
        int end = have ? (int) wire.before_row : cells->nrows;

        while (at.row < end)
        {
            if (guarded_rows(stage, cells, end, sink, &at) == ROW_BAD)
            {
                add_row_reject(&at, cells, rejects, source);
                at.row++;
                at.retried = NULL;
            }
        }
        if (!have)
            break;
        add_wire_reject(&wire, stage, rejects, source);
        left--;
        have = left > 0 && wire_get_reject(&cells->batch.rejects, &wire);
    }
    MemoryContextSwitchTo(old);
}
