/*
 * stage_plan.c: what a row stage evaluates, of what PostgreSQL planned.  See stage.h.
 *
 * Of a lane's plan are taken the conditions, put into the order of the steps
 * that wrote them, and the target list: columns that go on as they are,
 * constants, and what is computed.  The target's not-null and check
 * constraints come from the catalog.
 */
#include "postgres.h"

#include "pg/stage.h"

#include "access/xlog.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/compat.h"
#include "pg/exprbound.h"
#include "pg/node.h"

void
stage_columns(Node *expr, Bitmapset **columns)
{
    List *vars = pull_var_clause(expr, 0);
    ListCell *lc;

    foreach(lc, vars)
        *columns = bms_add_member(*columns, castNode(Var, lfirst(lc))->varattno - 1);
}

void
stage_init_expr(Stage *stage, StageExpr *e)
{
    MemoryContext old;

    if (e->expr == NULL)
        return;
    if (e->context == NULL)
        e->context = AllocSetContextCreate(stage->context, "kaireon expression", ALLOCSET_SMALL_SIZES);
    MemoryContextReset(e->context);
    old = MemoryContextSwitchTo(e->context);
    e->state = ExecInitExpr(e->expr, NULL);
    MemoryContextSwitchTo(old);
}

static void
add_expr(Stage *stage, StageExpr *e, Expr *expr)
{
    e->expr = expr;
    stage_init_expr(stage, e);
}

/* ---- conditions ----------------------------------------------------------------- */

/* An expression of a plan in terms of what the plan below gives. */
static Node *
replace_outer(Node *node, List *below)
{
    if (node && IsA(node, Var) && ((Var *) node)->varno == OUTER_VAR)
        return (Node *) copyObject(list_nth_node(TargetEntry, below, ((Var *) node)->varattno - 1)->expr);
    return expression_tree_mutator(node, replace_outer, below);
}

/* Can no row meet it? */
static bool
is_never(const Node *condition)
{
    return IsA(condition, Const) && (((const Const *) condition)->constisnull || !DatumGetBool(((const Const *) condition)->constvalue));
}

/*
 * A plan's parts: the target list, and the conditions of its scan; *never: no
 * row can pass.  Conditions that read no column are a step above the scan,
 * which PostgreSQL would take once; here they are like all others.
 */
static Plan *
open_plan(PlannedStmt *statement, List **target_list, List **quals, bool *never)
{
    Plan *plan = statement->planTree;

    *quals = NIL;
    *never = false;
    if (IsA(plan, ModifyTable))
        plan = outerPlan(plan);
    *target_list = plan->targetlist;
    if (IsA(plan, Result))
    {
        List *once = (List *) ((Result *) plan)->resconstantqual;
        ListCell *lc;

        foreach(lc, once)
            *never |= is_never(lfirst(lc));
        if (*never)
            return plan;
        plan = outerPlan(plan);
        if (plan == NULL)
            elog(ERROR, "unexpected plan of a row stage");
        *target_list = (List *) replace_outer((Node *) *target_list, plan->targetlist);
        *quals = list_copy(once);
    }
    if (!IsA(plan, NamedTuplestoreScan) || statement->subplans != NIL)
        elog(ERROR, "unexpected plan of a row stage: node %d", (int) nodeTag(plan));
    *quals = list_concat(*quals, plan->qual);
    return plan;
}

static PlannedStmt *
plan_sql(const Stage *stage, const char *sql, const ProgramTarget *target)
{
    QueryEnvironment *env = compile_environment(stage->compiled->relation, stage->compiled->desc, NULL);
    List *rewritten = pg_rewrite_query(compile_analyze(sql, env, target ? list_make1_oid(target->schema->relid) : NIL));

    if (list_length(rewritten) != 1)
        elog(ERROR, "a lane's statement became %d statements", list_length(rewritten));
    return pg_plan_query(linitial_node(Query, rewritten), sql, CURSOR_OPT_FAST_PLAN, NULL);
}

/* By step; the rules of a step in their own order, and then what checks look at. */
static bool
comes_before(const StageClause *a, const StageClause *b)
{
    return a->step < b->step || (a->step == b->step && a->rule && (b->observer || (b->rule && a->rule->place < b->rule->place)));
}

static StageObserver *
add_observer(Stage *stage, const StageLane *lane, Expr *value, int place, int step)
{
    StageObserver *observer = palloc0(sizeof(StageObserver));

    observer->node = lane->lane->steps[step].node;
    observer->place = place;
    observer->step = step;
    observer->type = exprType((Node *) value);
    stage->observers = lappend(stage->observers, observer);
    return observer;
}

/* The column of that name in the stage's relation. */
static int
column_of(const Stage *stage, const char *name)
{
    TupleDesc desc = stage->compiled->desc;
    int column = desc->natts - 1;

    while (column >= 0 && strcmp(NameStr(TupleDescAttr(desc, column)->attname), name) != 0)
        column--;
    return column;
}

/* Adds a condition behind those of its step and of the steps before, in PostgreSQL's order among equals. */
static void
add_clause(Stage *stage, StageLane *lane, Expr *condition, int step)
{
    StageClause clause = {.step = step};
    int at = lane->nclauses++, place;
    Expr *of_rule = rule_condition(condition, &place), *of_check = of_rule ? NULL : dataset_observed(condition, &place);

    if (of_rule)
    {
        clause.rule = rule_of(lane->lane->steps[step].node, place);
        condition = of_rule;
    }
    else if (of_check)
    {
        clause.observer = add_observer(stage, lane, of_check, place, step);
        condition = of_check;
    }
    add_expr(stage, &clause.condition, condition);
    stage_columns((Node *) condition, &clause.columns);
    clause.shown = clause.rule && clause.rule->of_all ? column_of(stage, clause.rule->column) : bms_next_member(clause.columns, -1);
    for (; at > 0 && comes_before(&clause, &lane->clauses[at - 1]); at--)
        lane->clauses[at] = lane->clauses[at - 1];
    lane->clauses[at] = clause;
}

static void
add_clauses(Stage *stage, StageLane *lane, List *quals, int at)
{
    ListCell *lc;

    lane->clauses = palloc0(sizeof(StageClause) * (list_length(quals) + 1));
    foreach(lc, quals)
    {
        int step = compile_step_of(lane->lane, at, lfirst(lc)), place;

        /* of the feed's own there are only rules and checks */
        if (step <= 0 && !(step == 0 && (rule_condition(lfirst(lc), &place) || dataset_observed(lfirst(lc), &place))))
            step = lane->lane->nsteps - 1;
        add_clause(stage, lane, lfirst(lc), step);
    }
}

/*
 * No row passes: PostgreSQL saw that a condition is false for all of them, and
 * forgot the others.  The rows are still counted at the node that keeps them
 * out: so the conditions are those of the nodes before the first that makes
 * it so, and that one's, which never holds.
 */
static void
add_clauses_of_never(Stage *stage, StageLane *lane)
{
    const Lane *compiled = lane->lane;
    List *quals = NIL, *before = NIL, *ignored;
    bool never = false;
    int step = -1, at = 0, at_before = 0;

    while (step < compiled->nsteps - 2 && !never)
    {
        PlannedStmt *plan = plan_sql(stage, compiled->steps[++step].sql, compiled->target);

        before = quals;
        at_before = at;
        /* a step's statement stands where it begins within the whole */
        if (compiled->steps[step].end > compiled->steps[step].begin)
            at = -compiled->steps[step].begin;
        (void) open_plan(plan, &ignored, &quals, &never);
    }
    add_clauses(stage, lane, before, at_before);
    add_clause(stage, lane, (Expr *) makeBoolConst(false, false), never ? step : compiled->nsteps - 1);
}

/* ---- what a lane makes -------------------------------------------------------------- */

/* A cast's argument, with its form and place; NULL when the expression is no cast. */
static Node *
cast_argument(Node *expr, CoercionForm *form, int *location)
{
    switch (nodeTag(expr))
    {
        case T_FuncExpr:
            *form = ((FuncExpr *) expr)->funcformat;
            *location = ((FuncExpr *) expr)->location;
            return ((FuncExpr *) expr)->args == NIL ? NULL : linitial(((FuncExpr *) expr)->args);
        case T_RelabelType:
            *form = ((RelabelType *) expr)->relabelformat;
            *location = ((RelabelType *) expr)->location;
            return (Node *) ((RelabelType *) expr)->arg;
        case T_CoerceViaIO:
            *form = ((CoerceViaIO *) expr)->coerceformat;
            *location = ((CoerceViaIO *) expr)->location;
            return (Node *) ((CoerceViaIO *) expr)->arg;
        case T_CoerceToDomain:
            *form = ((CoerceToDomain *) expr)->coercionformat;
            *location = ((CoerceToDomain *) expr)->location;
            return (Node *) ((CoerceToDomain *) expr)->arg;
        default:
            return NULL;
    }
}

/*
 * What is left of an expression without what only assigns it to the target's
 * column: implicit casts, the casts that the lane's last step has written, and
 * what bounds the size of their results.
 */
static Node *
strip_assignment(const StageLane *lane, Node *expr)
{
    for (;;)
    {
        Node *measured = exprbound_measured(expr);
        CoercionForm form;
        int location;
        Node *inner = cast_argument(measured ? measured : expr, &form, &location);

        if (inner == NULL || (form != COERCE_IMPLICIT_CAST &&
                              (form != COERCE_EXPLICIT_CAST || compile_step_at(lane->lane, lane->at, location) != lane->lane->nsteps - 1)))
            return expr;
        expr = inner;
    }
}

typedef struct Replacement { Node *what; Node *by; } Replacement;

static Node *
replace_node(Node *node, Replacement *replacement)
{
    if (node == NULL)
        return NULL;
    if (node == replacement->what)
        return copyObject(replacement->by);
    return expression_tree_mutator(node, replace_node, replacement);
}

/* A computed column: its value, and its assignment over that, which reads it as CASE's test value. */
static void
add_entry(Stage *stage, StageLane *lane, int to, Expr *expr)
{
    StageEntry *entry = &lane->entries[lane->nentries++];
    Node *inner = strip_assignment(lane, (Node *) expr);

    entry->to = to;
    if (inner == (Node *) expr && compile_step_of(lane->lane, lane->at, inner) < lane->lane->nsteps - 1)
        add_expr(stage, &entry->value, expr);
    else if (IsA(inner, Var) || inner == (Node *) expr)
        add_expr(stage, &entry->assignment, expr);
    else
    {
        CaseTestExpr *value = makeNode(CaseTestExpr);
        Replacement replacement = {inner, (Node *) value};

        value->typeId = exprType(inner);
        value->typeMod = exprTypmod(inner);
        value->collation = exprCollation(inner);
        add_expr(stage, &entry->value, (Expr *) inner);
        add_expr(stage, &entry->assignment, (Expr *) replace_node((Node *) expr, &replacement));
    }
}

static void
add_target_list(Stage *stage, StageLane *lane, List *target_list)
{
    int count = list_length(target_list);
    ListCell *lc;

    lane->copies = palloc(sizeof(*lane->copies) * Max(count, 1));
    lane->constants = palloc(sizeof(*lane->constants) * Max(count, 1));
    lane->entries = palloc0(sizeof(StageEntry) * Max(count, 1));
    foreach(lc, target_list)
    {
        TargetEntry *te = lfirst_node(TargetEntry, lc);
        Node *expr = (Node *) te->expr;
        int to = te->resno - 1;

        stage_columns(expr, &lane->columns);
        while (IsA(expr, RelabelType)) /* the same value by another type's name */
            expr = (Node *) ((RelabelType *) expr)->arg;
        if (IsA(expr, Var))
        {
            lane->copies[lane->ncopies].from = ((Var *) expr)->varattno - 1;
            lane->copies[lane->ncopies++].to = to;
        }
        else if (IsA(expr, Const))
        {
            lane->constants[lane->nconstants].to = to;
            lane->constants[lane->nconstants].value = ((Const *) expr)->constvalue;
            lane->constants[lane->nconstants++].null = ((Const *) expr)->constisnull;
        }
        else
            add_entry(stage, lane, to, te->expr);
    }
}

/*
 * A preview shows the schema's fields as the INSERT would assign them, and
 * leaves out what the table adds (defaults: a sequence must not advance).
 */
static List *
keep_fields(const StageLane *lane, List *target_list)
{
    const SchemaSpec *schema = lane->lane->target->schema;
    List *kept = NIL;
    ListCell *lc;

    foreach(lc, target_list)
    {
        TargetEntry *te = lfirst_node(TargetEntry, lc);
        int field = 0;

        while (field < schema->nfields && schema->fields[field].attnum != te->resno)
            field++;
        if (field == schema->nfields || lane->lane->left_out[field])
            continue;
        te = flatCopyTargetEntry(te);
        te->resno = list_length(kept) + 1;
        te->resname = schema->fields[field].name;
        kept = lappend(kept, te);
    }
    return kept;
}

/* ---- the target's constraints ------------------------------------------------------- */

/* A preview's rows are the SELECT's: the schema's required fields among its columns. */
static void
read_preview_nulls(StageLane *lane)
{
    const ProgramTarget *target = lane->lane->target;

    for (int i = 0; i < lane->desc->natts; i++)
    {
        for (int f = 0; f < target->schema->nfields; f++)
        {
            const TargetField *field = &target->schema->fields[f];

            if (field->not_null && !(field->has_default && target->validation == VALIDATION_COERCE) &&
                strcmp(field->name, NameStr(TupleDescAttr(lane->desc, i)->attname)) == 0)
                lane->not_null[lane->nnot_null++].attnum = i + 1;
        }
    }
}

/* Not-null columns, their defaults for coerce, and check constraints of the target. */
static void
read_constraints(Stage *stage, StageLane *lane)
{
    TupleDesc desc = lane->desc;
    TupleConstr *constr = desc->constr;

    lane->not_null = palloc0(sizeof(StageNotNull) * Max(desc->natts, 1));
    if (lane->target == NULL)
    {
        read_preview_nulls(lane);
        return;
    }
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        StageNotNull *not_null = &lane->not_null[lane->nnot_null];

        if (!att->attnotnull || att->attisdropped || att->attgenerated)
            continue;
        lane->nnot_null++;
        not_null->attnum = i + 1;
        if (lane->lane->target->validation == VALIDATION_COERCE && att->atthasdef)
        {
            Node *value = build_column_default(lane->target, i + 1);

            if (value)
                add_expr(stage, &not_null->fallback, expression_planner((Expr *) value));
        }
    }
    if (constr == NULL || constr->num_check == 0)
        return;
    lane->checks = palloc0(sizeof(StageCheck) * constr->num_check);
    for (int i = 0; i < constr->num_check; i++)
    {
        lane->checks[lane->nchecks].name = pstrdup(constr->check[i].ccname);
        add_expr(stage, &lane->checks[lane->nchecks++].condition, expression_planner(stringToNode(constr->check[i].ccbin)));
    }
}

/* ---- stages --------------------------------------------------------------------------- */

static void
plan_lane(Stage *stage, StageLane *lane)
{
    /* a standby can't lock the table as an INSERT does: there a preview has the SELECT's values */
    bool insert = lane->lane->target && (lane->target != NULL || !RecoveryInProgress());
    PlannedStmt *plan = plan_sql(stage, insert ? lane->lane->sql : lane->lane->select_sql, lane->lane->target);
    List *target_list, *quals;
    bool never;

    compat_check_permissions(plan);
    lane->at = insert ? lane->lane->sql_at : lane->lane->select_at;
    (void) open_plan(plan, &target_list, &quals, &never);
    if (insert && lane->target == NULL)
        target_list = keep_fields(lane, target_list);
    lane->desc = lane->target ? RelationGetDescr(lane->target) : ExecTypeFromTL(target_list);
    add_target_list(stage, lane, target_list);
    if (never)
        add_clauses_of_never(stage, lane);
    else
        add_clauses(stage, lane, quals, lane->at);
    if (lane->lane->target)
        read_constraints(stage, lane);
}

static bool
same_way(const Lane *a, const Lane *b, int nsteps)
{
    for (int i = 0; i < nsteps; i++)
    {
        const LaneStep *x = &a->steps[i], *y = &b->steps[i];

        if (x->node != y->node || (x->route != NULL && strcmp(x->route, y->route) != 0))
            return false;
    }
    return true;
}

/* The lane to try when a branch refuses: the next that came as far on the same way, and goes on by another route. */
static void
link_lanes(Stage *stage, int from)
{
    StageLane *lane = &stage->lanes[from];
    const Lane *way = lane->lane;

    lane->next = palloc(sizeof(int) * way->nsteps);
    for (int step = 0; step < way->nsteps; step++)
    {
        lane->next[step] = -1;
        for (int to = from + 1; to < stage->nlanes && lane->next[step] < 0 && way->steps[step].node->op->kind == NODE_BRANCH; to++)
        {
            const Lane *other = stage->lanes[to].lane;

            if (other->nsteps > step && other->steps[step].node == way->steps[step].node && same_way(way, other, step) &&
                strcmp(other->steps[step].route, way->steps[step].route) != 0)
                lane->next[step] = to;
        }
    }
}

Stage *
stage_create(const Program *program, const ProgramStage *compiled, Relation *targets)
{
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kaireon stage", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    Stage *stage = palloc0(sizeof(Stage));

    stage->context = context;
    stage->program = program;
    stage->compiled = compiled;
    stage->row_slot = MakeSingleTupleTableSlot(compiled->desc, &TTSOpsVirtual);
    stage->settled = palloc0(sizeof(bool) * compiled->desc->natts);
    stage->estate = CreateExecutorState();
    stage->econtext = CreateExprContext(stage->estate);
    stage->nlanes = compiled->nlanes;
    stage->lanes = palloc0(sizeof(StageLane) * stage->nlanes);
    for (int i = 0; i < stage->nlanes; i++)
    {
        StageLane *lane = &stage->lanes[i];

        lane->lane = &compiled->lanes[i];
        if (targets && lane->lane->target)
            lane->target = targets[lane->lane->target - program->targets];
        lane->ended = palloc0(sizeof(int64) * lane->lane->nsteps);
        lane->filtered = palloc0(sizeof(int64) * lane->lane->nsteps);
        plan_lane(stage, lane);
    }
    for (int i = 0; i < stage->nlanes; i++)
        link_lanes(stage, i);
    MemoryContextSwitchTo(old);
    return stage;
}

void
stage_destroy(Stage *stage)
{
    FreeExecutorState(stage->estate);
    ExecDropSingleTupleTableSlot(stage->row_slot);
    MemoryContextDelete(stage->context);
}
