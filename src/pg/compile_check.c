/*
 * compile_check.c: the SQL of nodes, checked.  See flow.h.
 *
 * What a node writes is parsed, checked and planned as soon as it is written,
 * so that an error is the node's own: over what the nodes before it give, so
 * that a chain of nodes takes a time that is linear in its length.  The lane as
 * a whole is planned when it is written; only when that fails it is looked for
 * which node it is.
 */
#include "postgres.h"

#include "pg/flow.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/exprcheck.h"
#include "pg/guard.h"
#include "pg/node.h"

/* ---- findings ------------------------------------------------------------------ */

typedef struct NodeWork { Compiler *compiler; const GraphNode *node; void (*work) (Compiler *, const GraphNode *); } NodeWork;

static void
work_on_node(void *arg)
{
    NodeWork *work = arg;

    work->work(work->compiler, work->node);
}

/*
 * Where in the expression, as it stands in the SQL between "(\n" and "\n)", the
 * position is, in characters from 1; 0 when outside.  The parentheses count as
 * its first character, and as the one behind its last.
 */
static int
position_within(const char *sql, const char *expression, int position)
{
    const char *written = psprintf("(\n%s\n)", expression);

    for (const char *found = strstr(sql, written); found; found = strstr(found + 1, written))
    {
        int within = position - pg_mbstrlen_with_len(sql, found - sql), length = pg_mbstrlen(expression);

        if (within >= 1 && within <= pg_mbstrlen(written) + 1)
            return Min(Max(within - (int) strlen("(\n"), 1), length + 1);
    }
    return 0;
}

/* Where in a user's expression an error was found; 0 when that is not known. */
static int
expression_position(const Compiler *c, const ErrorData *error, bool *at_end)
{
    /* what runs SQL around us takes the position for one in its own text */
    int position = error->cursorpos > 0 ? error->cursorpos : error->internalpos, within = 0;
    ListCell *lc;

    foreach(lc, c->expressions)
    {
        if (position == 0 || within > 0)
            continue;
        within = position_within(c->checked, lfirst(lc), position);
        *at_end = within > pg_mbstrlen(lfirst(lc));
    }
    return within;
}

/* Of a value in a node's config that is none of the type it is wanted in, PostgreSQL says no more. */
static const char *
hint_of(const ErrorData *error)
{
    switch (error->sqlerrcode)
    {
        case ERRCODE_INVALID_TEXT_REPRESENTATION:
        case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
        case ERRCODE_INVALID_DATETIME_FORMAT:
        case ERRCODE_DATETIME_VALUE_OUT_OF_RANGE:
            return error->hint ? error->hint : "Write a value of that type; a field is given another by a cast node in front.";
        default:
            return error->hint;
    }
}

static bool complain_of_parts(Compiler *c, const GraphNode *node);

/* An error becomes the node's finding, which names the part of it. */
static void
complain_of_error(Compiler *c, const GraphNode *node, const char *part, const ErrorData *error)
{
    const char *prefix = part ? psprintf("%s: ", part) : "";
    bool at_end = false;
    int position;

    if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
        graph_complain(c->findings, node->id, "permission_denied", error->hint, "%s", error->message);
    else if (error->sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX)
        graph_complain(c->findings, node->id, "too_complex", error->hint, "%s", error->message);
    /* of an aggregate the parser says that all other fields are not grouped by */
    else if (error->sqlerrcode == ERRCODE_GROUPING_ERROR)
        graph_complain(c->findings, node->id, "invalid_expression", "An aggregate node has them.", "%san aggregate is not allowed in a pipeline's expression", prefix);
    else if ((position = expression_position(c, error, &at_end)) > 0 && at_end && error->sqlerrcode == ERRCODE_SYNTAX_ERROR)
        graph_complain(c->findings, node->id, "invalid_expression", "It is one whole expression, for example price * quantity.",
                       "%ssyntax error at the end of the expression", prefix);
    else if (position > 0)
        graph_complain(c->findings, node->id, "invalid_expression", error->hint, "%s%s, at character %d of the expression", prefix, error->message, position);
    else
        graph_complain(c->findings, node->id, "invalid_expression", hint_of(error), "%s%s", prefix, error->message);
}

void
check_with_findings(Compiler *c, const GraphNode *node, void (*work) (Compiler *, const GraphNode *))
{
    NodeWork node_work = {c, node, work};
    ErrorData *error;

    if (!c->collect)
    {
        work(c, node);
        return;
    }
    c->part = NULL;
    c->parts = NIL;
    error = guard_try(work_on_node, &node_work, CurrentMemoryContext);
    if (error && !complain_of_parts(c, node))
        complain_of_error(c, node, c->part, error);
    c->part = NULL;
    c->parts = NIL;
}

/* ---- parts of a node ---------------------------------------------------------------- */

typedef struct PartWalk { Compiler *compiler; const GraphNode *node; int place; void (*work) (Compiler *, const GraphNode *, int); } PartWalk;

static void
work_on_part(void *arg)
{
    PartWalk *walk = arg;

    walk->work(walk->compiler, walk->node, walk->place);
}

bool
check_part(Compiler *c, const GraphNode *node, int place, void (*work) (Compiler *, const GraphNode *, int place), const char *name)
{
    PartWalk walk = {c, node, place, work};
    NodeNotes *notes = &c->notes[node->ordinal];
    int errors = graph_count_errors(*c->findings, node), uses = list_length(notes->uses), found;
    ErrorData *error;

    if (!c->collect)
    {
        work(c, node, place);
        return true;
    }
    c->part = name;
    error = guard_try(work_on_part, &walk, CurrentMemoryContext);
    if (error)
        complain_of_error(c, node, name, error);
    c->part = NULL;
    found = graph_count_errors(*c->findings, node) - errors;
    if (found == 0)
        return true;
    notes->in_parts += found;
    notes->wrong_parts = bms_add_member(notes->wrong_parts, place);
    notes->uses = list_truncate(notes->uses, uses);
    return false;
}

bool
check_is_wrong_part(const Compiler *c, const GraphNode *node, int place)
{
    return bms_is_member(place, c->notes[node->ordinal].wrong_parts);
}

/* ---- nodes ---------------------------------------------------------------------- */

/* What the node made has the type that PostgreSQL finds it has. */
static void
take_types(Compiler *c, const Query *query)
{
    int nentries = list_length(query->targetList), at = 0;
    ListCell *lc;

    foreach(lc, c->flow->columns)
    {
        FlowColumn *column = lfirst(lc);
        const char *name = sql_identifier(column->name);

        /* both lists are in the same order */
        for (int i = 0; i < nentries && !column->source; i++)
        {
            const TargetEntry *te = list_nth_node(TargetEntry, query->targetList, (at + i) % nentries);

            if (te->resname == NULL || strcmp(te->resname, name) != 0)
                continue;
            column->type = exprType((Node *) te->expr);
            at += i + 1;
            break;
        }
    }
}

static TupleDesc
desc_of(const Query *query)
{
    TupleDesc desc = CreateTemplateTupleDesc(list_length(query->targetList));
    ListCell *lc;

    foreach(lc, query->targetList)
    {
        const TargetEntry *te = lfirst_node(TargetEntry, lc);

        TupleDescInitEntry(desc, te->resno, te->resname, exprType((Node *) te->expr), exprTypmod((Node *) te->expr), 0);
        TupleDescInitEntryCollation(desc, te->resno, exprCollation((Node *) te->expr));
    }
    return desc;
}

static void
plan_statement(Query *query, const char *sql)
{
    MemoryContext planning = AllocSetContextCreate(CurrentMemoryContext, "kaireon check", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(planning);

    (void) pg_plan_query(query, sql, 0, NULL);
    MemoryContextSwitchTo(old);
    MemoryContextDelete(planning);
}

void
check_begin_parts(Compiler *c, const char *from, const char *relation, TupleDesc desc)
{
    c->parts = NIL;
    c->parts_from = from;
    c->parts_relation = relation;
    c->parts_desc = desc;
}

void
check_note_part(Compiler *c, const char *name, const char *sql, const char *boolean)
{
    NodePart *part;

    if (!c->collect)
        return;
    part = palloc(sizeof(NodePart));
    part->name = name;
    part->sql = sql;
    part->boolean = boolean;
    c->parts = lappend(c->parts, part);
}

typedef struct PartCheck { Compiler *compiler; const char *sql; Oid type; bool analysed; } PartCheck;

/* Parses, checks and plans a part alone; its type. */
static void
check_sql(void *arg)
{
    PartCheck *check = arg;
    Compiler *c = check->compiler;
    char *sql = psprintf("SELECT %s\nFROM (%s) AS \"_\"", check->sql, c->parts_from);
    Query *query;

    c->checked = sql;
    query = compile_analyze(sql, compile_environment(c->parts_relation, c->parts_desc, NULL), NIL);
    check->type = exprType((Node *) linitial_node(TargetEntry, query->targetList)->expr);
    exprcheck_query(query, sql);
    check->analysed = true;
    plan_statement(query, sql);
}

typedef struct Folding { Node *node; } Folding;

static void
fold(void *arg)
{
    (void) eval_const_expressions(NULL, copyObject(((Folding *) arg)->node));
}

/* The innermost constant expression that has no value, by its location: the planner does not say which one it was. */
static bool
find_failing(Node *node, int *location)
{
    Folding folding = {node};

    if (node == NULL)
        return false;
    if (expression_tree_walker(node, find_failing, location))
        return true;
    if ((!IsA(node, FuncExpr) && !IsA(node, OpExpr) && !IsA(node, CoerceViaIO)) || contain_var_clause(node) ||
        guard_try(fold, &folding, CurrentMemoryContext) == NULL)
        return false;
    *location = exprLocation(node);
    return true;
}

/* Gives an error of the planner the position of what it is about. */
static void
locate(ErrorData *error, const Compiler *c)
{
    Query *query;
    int location = -1;

    if (error->cursorpos > 0 || error->internalpos > 0)
        return;
    query = compile_analyze(c->checked, compile_environment(c->parts_relation, c->parts_desc, NULL), NIL);
    if (find_failing((Node *) query->targetList, &location) && location >= 0)
        error->cursorpos = pg_mbstrlen_with_len(c->checked, location) + 1;
}

/* Which parts of a node that could not be written are wrong on their own; false when none is. */
static bool
complain_of_parts(Compiler *c, const GraphNode *node)
{
    List *parts = c->parts;
    bool found = false;
    ListCell *lc;

    foreach(lc, parts)
    {
        const NodePart *part = lfirst(lc);
        PartCheck check = {c, part->sql, InvalidOid, false}, inner = {c, psprintf("(\n%s\n)", part->boolean ? part->boolean : "NULL"), BOOLOID, false};
        ErrorData *error = guard_try(check_sql, &check, CurrentMemoryContext);
        const char *name = part->name, *checked = c->checked;

        if (error == NULL)
            continue;
        found = true;
        if (name == NULL)
            name = ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION ? "key \"value\"" : "key \"operator\"";
        if (part->boolean && error->sqlerrcode == ERRCODE_DATATYPE_MISMATCH && guard_try(check_sql, &inner, CurrentMemoryContext) == NULL &&
            inner.type != BOOLOID)
        {
            graph_complain(c->findings, node->id, "invalid_expression", "For example: price * quantity < 1000.",
                           "%s: the expression must be of type boolean, not %s", name, format_type_be(inner.type));
            continue;
        }
        c->checked = checked;
        if (check.analysed)
            locate(error, c);
        complain_of_error(c, node, name, error);
    }
    return found;
}

/* The planner puts the nodes' expressions into one another: what becomes of that must have an end. */
static void
require_size(Compiler *c, const GraphNode *node, double size)
{
    if (size <= EXPRSIZE_LIMIT || c->oversized)
        return;
    c->oversized = true;         /* with more nodes it is not less */
    ereport(ERROR, (errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
                    errmsg("put into one another, the expressions up to node \"%s\" have %.0f parts, %d are allowed", node->id, size, EXPRSIZE_LIMIT),
                    errdetail("Where an expression names a field, it has the expression in it that makes the field."),
                    errhint("Name fields that nodes have made less often, or put a deduplicate node by the key of the rows in between: "
                            "it keeps values, so that expressions end there.")));
}

/* The node's statement over a relation instead of what stood there before: `length` bytes from `at` on. */
static char *
statement_over_relation(const char *sql, int at, int length)
{
    StringInfoData own;

    initStringInfo(&own);
    appendBinaryStringInfo(&own, sql, at);
    appendStringInfoString(&own, "SELECT * FROM " SOURCE_RELATION);
    appendStringInfoString(&own, sql + at + length);
    return own.data;
}

void
check_node(Compiler *c, const GraphNode *node, const StringInfoData *before)
{
    bool target = node->op->kind == NODE_TARGET;
    bool whole = c->behind == NULL; /* it is the first, or behind a feed that is wrong */
    const char *sql = target ? c->lane->select_sql : c->sql->data;
    QueryEnvironment *env;
    ExprSizes sizes;
    TupleDesc desc;
    Query *query;

    if (!whole && !target && c->sql == before)
        return;
    if (whole)
        env = compile_environment(c->stage->relation, c->stage->desc, NULL);
    else
    {
        env = compile_environment(SOURCE_RELATION, c->behind, NULL);
        sql = statement_over_relation(sql, target ? c->lane->select_at : c->before_at, before->len);
    }
    c->checked = sql;
    query = compile_analyze(sql, env, NIL);
    sizes = exprsize_query(query, whole ? NULL : &c->sizes);
    desc = desc_of(query);
    if (!target)
        take_types(c, query);
    if (!c->shared)
    {
        exprcheck_query(query, sql);
        require_size(c, node, target || node == c->shown ? exprsize_total(&sizes) : exprsize_largest(&sizes));
        plan_statement(query, sql);
    }
    c->behind = desc;
    c->sizes = sizes;
}

void
check_size(Compiler *c, const GraphNode *node, const Query *query)
{
    ExprSizes sizes = exprsize_query(query, NULL);

    require_size(c, node, exprsize_total(&sizes));
}

/* ---- lanes ---------------------------------------------------------------------- */

/* A statement that is too large is left alone: that is said where it is known which columns are used. */
static void
plan_sql(Compiler *c, const char *sql)
{
    Query *query = compile_analyze(sql, compile_environment(c->stage->relation, c->stage->desc, NULL), NIL);
    ExprSizes sizes = exprsize_query(query, NULL);

    c->checked = sql;
    if (exprsize_total(&sizes) <= EXPRSIZE_LIMIT)
        plan_statement(query, sql);
}

/* The lane up to the current step. */
static void
plan_step(Compiler *c, const GraphNode *node)
{
    plan_sql(c, c->lane->steps[c->step].sql);
}

/* What of the lane is right. */
static void
plan_lane(Compiler *c, const GraphNode *end)
{
    bool target = end->op->kind == NODE_TARGET && c->lane->select_sql && !graph_is_wrong(*c->findings, end);

    plan_sql(c, target ? c->lane->select_sql : c->sql->data);
}

typedef struct LaneWork { Compiler *compiler; const GraphNode *end; } LaneWork;

static void
work_on_lane(void *arg)
{
    LaneWork *work = arg;

    plan_lane(work->compiler, work->end);
}

void
check_lane(Compiler *c)
{
    const Lane *lane = c->lane;
    LaneWork work = {c, lane->steps[lane->nsteps - 1].node};

    if (c->behind == NULL)
        return;
    if (!c->collect)
        plan_lane(c, work.end);
    if (!c->collect || guard_try(work_on_lane, &work, CurrentMemoryContext) == NULL)
        return;
    for (c->step = 0; c->step < lane->nsteps; c->step++)
    {
        const GraphNode *node = lane->steps[c->step].node;

        if (lane->steps[c->step].sql == NULL || graph_is_wrong(*c->findings, node))
            continue;            /* it has been left out */
        check_with_findings(c, node, plan_step);
        if (graph_is_wrong(*c->findings, node))
            return;
    }
    check_with_findings(c, work.end, plan_lane);
}
