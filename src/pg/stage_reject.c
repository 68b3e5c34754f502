/*
 * stage_reject.c: what an error of a row was about.  See stage.h.
 *
 * RowState says what was being evaluated.  Where several nodes' work was fused
 * into one expression, its parts are evaluated on their own, the earlier nodes'
 * first, until one fails.
 */
#include "postgres.h"

#include "pg/stage.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "pg/node.h"
#include "pg/row_watch.h"

static int
last_step(const Stage *stage, const RowState *at)
{
    return stage->lanes[at->lane].lane->nsteps - 1;
}

/* Who decides about what is wrong at a node: its validation, if it is a target. */
static RejectKind
kind_at(const GraphNode *node)
{
    return node->op->kind == NODE_TARGET ? REJECT_VALIDATION : REJECT_OTHER;
}

void
stage_bad_row(const Stage *stage, RowState *at, RejectKind kind, int step, int sqlstate, char *reason)
{
    at->reject.kind = kind;
    at->reject.node = stage->lanes[at->lane].lane->steps[step].node;
    at->reject.sqlstate = sqlstate;
    at->reject.reason = reason;
    at->ended = step;
    stage->lanes[at->lane].ended[step]++;
}

/* What the node works with, for a person. */
static char *
node_words(const GraphNode *node)
{
    char *expression = json_get_text(node->config, "expression");
    StringInfoData out;

    if (expression != NULL || node->op->kind != NODE_ROW || node->op->describe == NULL)
        return expression;
    initStringInfo(&out);
    node->op->describe(node, &out);
    return out.data;
}

/*
 * A cell's error is the target's validation unless a cast node asked for the
 * type.  Where that node is on no way that the row could take, it is the
 * lane's last.
 */
void
stage_bad_cell(const Stage *stage, const Rows *rows, RowState *at, int sqlstate, char *reason)
{
    const Lane *lane = stage->lanes[at->lane].lane;
    const SourceColumn *column = &stage->compiled->source->columns[at->column];
    int step = 0, last = lane->nsteps - 1;
    const GraphNode *node;

    while (step < last && lane->steps[step].node != column->blame)
        step++;
    node = lane->steps[step].node;
    if (step == last && graph_leads_to(stage->program->graph, node, column->blame))
        node = column->blame;    /* behind the set node */
    stage_bad_row(stage, at, kind_at(node), step, sqlstate, reason);
    at->reject.node = node;
    at->reject.field = column->name;
    at->reject.expression = node_words(node);
    at->reject.value = cells_raw_text(rows->cells, at->row, at->column);
}

/* ---- fused expressions -------------------------------------------------------------- */

typedef struct Trial { Stage *stage; Expr *expr; } Trial;

static void
evaluate_part(void *arg)
{
    Trial *trial = arg;
    /* not beside what the whole has left, which may have been too much; after an error it goes with that */
    MemoryContext own = AllocSetContextCreate(CurrentMemoryContext, "kaireon part", ALLOCSET_DEFAULT_SIZES), old = MemoryContextSwitchTo(own);
    bool null;

    (void) ExecEvalExpr(ExecInitExpr(trial->expr, NULL), trial->stage->econtext, &null);
    MemoryContextSwitchTo(old);
    MemoryContextDelete(own);
}

typedef struct Parts { const StageLane *lane; Node *whole; int step; List *found; } Parts;

/* The largest parts of an expression that earlier steps wrote, not counting the feed's columns. */
static bool
find_parts(Node *node, Parts *parts)
{
    if (node == NULL)
        return false;
    if (node != parts->whole && !IsA(node, List))
    {
        int step = compile_step_of(parts->lane->lane, parts->lane->at, node);

        if (step < parts->step)
        {
            if (step > 0)
                parts->found = lappend(parts->found, node);
            return false;
        }
    }
    return expression_tree_walker(node, find_parts, parts);
}

/* A part of an expression, and the step that wrote it. */
typedef struct Culprit { Node *part; int step; } Culprit;

/* The part that raises this error for the row, and contains no earlier step's that does. */
static Culprit
find_culprit(Stage *stage, const StageLane *lane, Expr *expr, const ErrorData *error)
{
    Parts parts = {lane, (Node *) expr, compile_step_of(lane->lane, lane->at, (Node *) expr), NIL};
    static const int only_row = 0;
    bool ignored;
    ListCell *lc;

    check_stack_depth();
    find_parts((Node *) expr, &parts);
    foreach(lc, parts.found)
    {
        Trial trial = {stage, lfirst(lc)};
        ErrorData *again = row_watch_try(evaluate_part, &trial, stage->econtext->ecxt_per_tuple_memory, &only_row, &ignored);

        if (again && again->sqlerrcode == error->sqlerrcode && strcmp(again->message, error->message) == 0)
            return find_culprit(stage, lane, lfirst(lc), error);
    }
    return (Culprit) {(Node *) expr, parts.step};
}

/* ---- errors --------------------------------------------------------------------------- */

/* A column's value as it was read, else as PostgreSQL prints it. */
static char *
value_text(const Stage *stage, const Rows *rows, int row, int column)
{
    char *text = rows->cells ? cells_raw_text(rows->cells, row, column) : NULL;
    Oid output;
    bool varlena;

    if (text != NULL || rows->nulls[row * rows->ncolumns + column])
        return text;
    getTypeOutputInfo(TupleDescAttr(stage->compiled->desc, column)->atttypid, &output, &varlena);
    return OidOutputFunctionCall(output, rows->values[row * rows->ncolumns + column]);
}

/* A source's names may be longer than those of its relation. */
static char *
column_name(const Stage *stage, int column)
{
    const ProgramSource *source = stage->compiled->source;

    return source ? source->columns[column].name : NameStr(TupleDescAttr(stage->compiled->desc, column)->attname);
}

RejectKind
stage_rule_kind(const Rule *rule)
{
    switch (rule->on_fail)
    {
        case RULE_FAIL:
            return REJECT_STOPS;
        case RULE_QUARANTINE:
            return REJECT_QUARANTINED;
        case RULE_WARN:
            return REJECT_WARNS;
        default:
            return REJECT_SKIPPED;
    }
}

void
stage_broken_rule(const Stage *stage, const Rows *rows, const RowState *at, const StageClause *clause, Reject *reject)
{
    reject->field = clause->rule->field;
    reject->reason = psprintf("row breaks rule \"%s\"", clause->rule->rule);
    if (clause->shown >= 0)
        reject->value = value_text(stage, rows, at->row, clause->shown);
}

/* What went into the part of the expression: a column's value, or "a=1, b=2" of several. */
static char *
input_text(const Stage *stage, const Rows *rows, int row, Node *part)
{
    Bitmapset *columns = NULL;
    StringInfoData out;
    int column = -1;

    stage_columns(part, &columns);
    if (bms_num_members(columns) < 2)
        return bms_is_empty(columns) ? NULL : value_text(stage, rows, row, bms_singleton_member(columns));
    initStringInfo(&out);
    while ((column = bms_next_member(columns, column)) >= 0 && out.len < REJECT_TEXT_BYTES)
    {
        char *value = value_text(stage, rows, row, column);

        appendStringInfo(&out, "%s%s=%s", out.len ? ", " : "", column_name(stage, column), value ? reject_shown(value) : "null");
    }
    return out.data;
}

/* The field that a node makes; `reached`: where that arrives in the end. */
static char *
made_field(const GraphNode *node, char *reached)
{
    char *field = node->op->output ? json_get_text(node->config, node->op->output) : NULL;

    if (field == NULL && node->op->output)
        field = json_get_text(node->config, "field");
    return field ? field : reached;
}

static void
condition_error(Stage *stage, const Rows *rows, RowState *at, const ErrorData *error)
{
    const StageLane *lane = &stage->lanes[at->lane];
    const StageClause *clause = at->clause;
    Culprit culprit = find_culprit(stage, lane, clause->condition.expr, error);
    bool own = culprit.step <= 0 || culprit.step == clause->step;
    int step = culprit.step > 0 ? culprit.step : clause->step;
    char *shown = clause->shown >= 0 ? column_name(stage, clause->shown) : NULL;
    RejectKind kind = REJECT_OTHER;

    /* a value that can't even be looked at breaks the rule too */
    if (clause->rule && clause->rule->on_fail != RULE_WARN && own)
        kind = stage_rule_kind(clause->rule);
    stage_bad_row(stage, at, kind, step, error->sqlerrcode, error->message);
    at->reject.field = own ? shown : made_field(lane->lane->steps[step].node, shown);
    at->reject.expression = own && clause->rule ? clause->rule->rule : node_words(lane->lane->steps[step].node);
    at->reject.value = input_text(stage, rows, at->row, culprit.part);
}

static void
entry_error(Stage *stage, const Rows *rows, RowState *at, const ErrorData *error)
{
    const StageLane *lane = &stage->lanes[at->lane];
    const StageEntry *entry = at->entry;
    int last = last_step(stage, at);
    Culprit culprit = {(Node *) (entry->value.expr ? entry->value.expr : entry->assignment.expr), last};
    const ProgramInput *input = lane->lane->input;
    char *reached = input ? input->fields[entry->to] : NameStr(TupleDescAttr(lane->desc, entry->to)->attname);
    const GraphNode *node;

    if (at->running == &entry->value)
        culprit = find_culprit(stage, lane, entry->value.expr, error);
    if (culprit.step <= 0)
        culprit.step = last;
    node = lane->lane->steps[culprit.step].node;
    stage_bad_row(stage, at, kind_at(node), culprit.step, error->sqlerrcode, error->message);
    at->reject.field = culprit.step < last ? made_field(node, reached) : reached;
    at->reject.expression = node_words(node);
    at->reject.value = input_text(stage, rows, at->row, culprit.part);
}

void
stage_error_to_reject(Stage *stage, const Rows *rows, RowState *at, const ErrorData *error)
{
    if (at->column >= 0)
        stage_bad_cell(stage, rows, at, error->sqlerrcode, error->message);
    else if (at->clause)
        condition_error(stage, rows, at, error);
    else if (at->entry)
        entry_error(stage, rows, at, error);
    else
        stage_bad_row(stage, at, REJECT_VALIDATION, last_step(stage, at), error->sqlerrcode, error->message);
}
