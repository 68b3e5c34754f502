/*
 * compile_set.c: the compiler's second walk at a set node.  See flow.h.
 *
 * The node's NodeOp writes a query over its inputs.  What that query needs of
 * them, fields and keys, is what the lanes that lead there are made to give;
 * so their statements are finished here.  The types of what the query gives are
 * those PostgreSQL finds.
 */
#include "postgres.h"

#include "pg/compile_set.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/exprcheck.h"
#include "pg/node.h"
#include "pg/rights.h"

/* ---- for node types ----------------------------------------------------------------- */

static bool
is_taken(const Feed *feed, int side, const char *name)
{
    ListCell *lc;

    foreach(lc, feed->needed[side])
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    foreach(lc, feed->columns)
    {
        if (strcmp(((SetColumn *) lfirst(lc))->column->name, name) == 0)
            return true;
    }
    return false;
}

/* A name for a column of the compiler's own that no field of the input or of the result has. */
static char *
own_name(const Feed *feed, int side, const char *base)
{
    char *name = pstrdup(base);

    while (is_taken(feed, side, name))
        name = psprintf("#%s", name);
    return name;
}

const char *
set_ordinal(Compiler *c, int side)
{
    return sql_name(own_name(c->set, side, "#ordinal"));
}

const char *
set_origin(Compiler *c, int side)
{
    return sql_name(own_name(c->set, side, "#origin"));
}

/* A field of an input, as its lane gives it; NULL when it does not. */
static FlowColumn *
find_input_column(const Feed *feed, int side, const char *name)
{
    ListCell *lc;

    foreach(lc, feed->inputs[side]->columns)
    {
        FlowColumn *column = lfirst(lc);

        if (strcmp(column->name, name) == 0)
            return column;
    }
    return NULL;
}

static FlowColumn *
input_column(const Feed *feed, int side, const char *name)
{
    FlowColumn *column = find_input_column(feed, side, name);

    if (column == NULL)
        elog(ERROR, "field \"%s\" does not reach node \"%s\"", name, feed->node->id);
    return column;
}

Oid
set_type(Compiler *c, int side, const char *name)
{
    return flow_type(c, input_column(c->set, side, name));
}

char *
set_cast(Compiler *c, int side, const char *name, Oid type)
{
    return sql_cast(c, input_column(c->set, side, name), type, -1);
}

Oid
set_common_type(Oid one, Oid other)
{
    if (one == other || (sql_is_text(one) && sql_is_text(other)))
        return one;
    if (sql_is_text(one))
        return other;
    if (sql_is_text(other))
        return one;
    if (can_coerce_type(1, &one, &other, COERCION_IMPLICIT))
        return other;
    return can_coerce_type(1, &other, &one, COERCION_IMPLICIT) ? one : InvalidOid;
}

const char *
set_key(Compiler *c, int side, const char *name, Oid type)
{
    Feed *feed = c->set;
    Oid is = set_type(c, side, name);
    SetKey *key;

    if (is == type || (sql_is_text(is) && sql_is_text(type)))
        return sql_name(name);
    key = palloc(sizeof(SetKey));
    key->side = side;
    key->field = pstrdup(name);
    key->type = type;
    key->column = own_name(feed, side, psprintf("#key%d", list_length(feed->keys) + 1));
    feed->keys = lappend(feed->keys, key);
    return sql_name(key->column);
}

const char *
set_group_key(Compiler *c, int side, const char *name)
{
    return sql_is_text(set_type(c, side, name)) ? psprintf("%s COLLATE pg_catalog.\"C\"", sql_name(name)) : sql_name(name);
}

const char *
set_mark(Compiler *c, const char *name)
{
    char *mark = own_name(c->set, 0, name);

    c->set->marks = lappend(c->set->marks, mark);
    return sql_name(mark);
}

/* ---- inputs ----------------------------------------------------------------------------- */

static void
append_column(StringInfo list, ProgramInput *input, int *natts, const char *expression, const char *name, Oid type)
{
    appendStringInfo(list, "%s%s", list->len ? ", " : "", expression);
    if (strcmp(expression, sql_name(name)) != 0)
        appendStringInfo(list, " AS %s", sql_name(name));
    TupleDescInitEntry(input->desc, ++*natts, sql_identifier(name), type, -1, 0);
}

/* The statement of the lane that fills an input, and the input's relation. */
static void
finish_input(Compiler *c, ProgramSet *set, int side)
{
    static const char *const names[][SET_INPUTS] = {{"input", NULL}, {"left", "right"}};
    Feed *feed = c->set;
    Lane *lane = feed->lanes[side];
    ProgramInput *input = &set->inputs[side];
    StringInfo list = makeStringInfo(), select = makeStringInfo();
    int natts = 0, nkeys = 0;
    ListCell *lc;

    input->stage = feed->stage - c->program->stages;
    input->side = side;
    input->relation = names[feed->ninputs - 1][side];
    foreach(lc, feed->keys)
        nkeys += ((const SetKey *) lfirst(lc))->side == side;
    input->desc = CreateTemplateTupleDesc(list_length(feed->needed[side]) + nkeys + 2);
    input->fields = palloc0(sizeof(char *) * input->desc->natts);
    foreach(lc, feed->needed[side])
    {
        input->fields[natts] = lfirst(lc);
        append_column(list, input, &natts, sql_name(lfirst(lc)), lfirst(lc), set_type(c, side, lfirst(lc)));
    }
    foreach(lc, feed->keys)
    {
        const SetKey *key = lfirst(lc);

        if (key->side != side)
            continue;
        input->fields[natts] = key->field;
        append_column(list, input, &natts, set_cast(c, side, key->field, key->type), key->column, key->type);
    }
    append_column(list, input, &natts, "CAST(0 AS pg_catalog.int8)", own_name(feed, side, "#ordinal"), INT8OID);
    append_column(list, input, &natts, "CAST(0 AS pg_catalog.int8)", own_name(feed, side, "#origin"), INT8OID);
    appendStringInfo(select, "SELECT %s\nFROM (", list->data);
    lane->sql_at = lane->select_at = select->len;
    appendStringInfo(select, "%s) AS %s", feed->lane_sql[side], sql_name(feed->node->id));
    if (feed->input_where[side])
        appendStringInfo(select, "\nWHERE %s", feed->input_where[side]);
    lane->sql = lane->select_sql = select->data;
    lane->input = input;
}

/* Parses, checks and plans an input's statement: a key may have no cast to its type, a condition be one that is not allowed. */
static void
check_input(Compiler *c, const ProgramStage *stage, const Lane *lane)
{
    QueryEnvironment *env = compile_environment(stage->relation, stage->desc, NULL);
    Query *query;

    c->checked = lane->sql;
    query = compile_analyze(lane->sql, env, NIL);
    exprcheck_query(query, lane->sql);
    check_size(c, c->set->node, query);
    (void) pg_plan_query(query, lane->sql, 0, NULL);
}

/* ---- the query ---------------------------------------------------------------------------- */

QueryEnvironment *
compile_set_environment(const ProgramSet *set, void *const *stores, const double *rows)
{
    QueryEnvironment *env = NULL;

    for (int i = 0; i < set->ninputs; i++)
    {
        const ProgramInput *input = &set->inputs[i];

        if (env == NULL)
            env = compile_environment(input->relation, input->desc, NULL);
        else
            compile_add_relation(env, input->relation, input->desc, NULL, 1000);
        if (stores)
        {
            EphemeralNamedRelation relation = get_ENR(env, input->relation);

            relation->reldata = stores[i];
            relation->md.enrtuples = rows[i];
        }
    }
    if (set->ask)
        compile_add_relation(env, ANSWERS_RELATION, set->ask->desc, stores ? stores[set->ninputs] : NULL, rows ? rows[set->ninputs] : 1000);
    return env;
}

static Oid
table_owner(Oid relid)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    Oid owner;

    if (!HeapTupleIsValid(tuple)) /* compile_analyze has found it */
        elog(ERROR, "table %u is missing", relid);
    owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

/* A table that is reached by way of the one that is looked up must not run what its owner wrote, either. */
static void
check_parts(const PlannedStmt *plan)
{
    ListCell *lc;

    foreach(lc, plan->rtable)
    {
        const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
        Oid owner;

        if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_FOREIGN_TABLE)
            continue;
        owner = table_owner(rte->relid);
        if (!catalog_may_trust(GetUserId(), owner))
            ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                            errmsg("foreign table \"%s\" belongs to role %s", get_rel_name(rte->relid), GetUserNameFromId(owner, true)),
                            errdetail("Its server would be asked with the rights of the pipeline's owner."),
                            errhint("Look up a table that has no foreign one among its partitions or children.")));
    }
}

/* The owner of the tables that are of nobody the current user trusts; InvalidOid when there is none. */
static Oid
other_owner(const ProgramSet *set)
{
    Oid other = InvalidOid;
    ListCell *lc;

    foreach(lc, set->lookups)
    {
        Oid owner = table_owner(lfirst_oid(lc));

        if (catalog_may_trust(GetUserId(), owner))
            continue;
        if (OidIsValid(other) && owner != other)
            ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                            errmsg("one node looks up tables of roles %s and %s", GetUserNameFromId(other, true), GetUserNameFromId(owner, true)),
                            errdetail("What one of them wrote would run with the rights of the other."),
                            errhint("Use a node for the tables of each.")));
        other = owner;
    }
    return other;
}

/*
 * Planning a query calls functions that the indexes and statistics of tables
 * are made of: of tables of somebody else, with that one's rights.
 */
static PlannedStmt *
plan_set(const ProgramSet *set, const char *sql, Query *query)
{
    List *rewritten = pg_rewrite_query(query);
    Oid owner = other_owner(set);
    PlannedStmt *plan;
    RightsScope scope;

    if (!OidIsValid(owner))
        return pg_plan_query(linitial_node(Query, rewritten), sql, 0, NULL);
    scope = rights_assume(owner, SECURITY_RESTRICTED_OPERATION);
    plan = pg_plan_query(linitial_node(Query, rewritten), sql, 0, NULL);
    rights_resume(scope);
    check_parts(plan);
    return plan;
}

PlannedStmt *
compile_plan_set(const ProgramSet *set, const char *sql, QueryEnvironment *env)
{
    return plan_set(set, sql, compile_analyze(sql, env, set->lookups));
}

/* Parses and plans the query, and takes the types of what it gives. */
static void
check_query(Feed *feed, const ProgramSet *set)
{
    Query *query = compile_analyze(set->sql, compile_set_environment(set, NULL, NULL), set->lookups);
    ListCell *lc, *column = list_head(feed->columns);

    foreach(lc, query->targetList)
    {
        const TargetEntry *te = lfirst_node(TargetEntry, lc);

        if (te->resjunk || column == NULL) /* behind them: marks and the origin */
            continue;
        ((SetColumn *) lfirst(column))->column->type = exprType((Node *) te->expr);
        column = lnext(feed->columns, column);
    }
    compat_check_permissions(plan_set(set, set->sql, query));
}

/* The relation that the node's result stands in. */
static void
describe_result(Feed *feed, ProgramSet *set)
{
    TupleDesc desc = CreateTemplateTupleDesc(list_length(feed->columns) + list_length(feed->marks) + 1);
    char *origin = "#origin";
    int natts = 0;
    ListCell *lc;

    foreach(lc, feed->columns)
    {
        const FlowColumn *column = ((SetColumn *) lfirst(lc))->column;

        TupleDescInitEntry(desc, ++natts, sql_identifier(column->name), column->source ? column->source->type : column->type, -1, 0);
        if (strcmp(column->name, origin) == 0)
            origin = psprintf("#%s", origin);
    }
    foreach(lc, feed->marks)
        TupleDescInitEntry(desc, ++natts, lfirst(lc), set->ask ? TEXTARRAYOID : BOOLOID, -1, 0);
    TupleDescInitEntry(desc, ++natts, origin, INT8OID, -1, 0);
    set->nfields = list_length(feed->columns);
    feed->stage->relation = SET_RELATION;
    feed->stage->desc = desc;
}

/* What goes through is what the lane gives: a cast may have been written on its way. */
static void
take_input_columns(Compiler *c)
{
    ListCell *lc;

    foreach(lc, c->set->columns)
    {
        SetColumn *column = lfirst(lc);
        FlowColumn *given;

        if (column->side < 0)
            continue;
        given = input_column(c->set, column->side, column->field);
        column->column->source = given->source;
        column->column->type = given->type;
    }
}

void
set_keeps_rows(Compiler *c, bool row_by_row)
{
    c->set->stage->set->of_input = true;
    c->set->stage->set->row_by_row = row_by_row;
}

void
compile_write_set(Compiler *c, const GraphNode *node)
{
    Feed *feed = c->set;
    ProgramSet *set = palloc0(sizeof(ProgramSet));
    int errors = graph_count_errors(*c->findings, node);
    ListCell *lc;

    feed->stage->set = set;
    set->ninputs = feed->ninputs;
    foreach(lc, feed->lookups)
    {
        if (lfirst(lc))
            set->lookups = lappend_oid(set->lookups, ((const SchemaSpec *) lfirst(lc))->relid);
    }
    take_input_columns(c);
    c->sql = makeStringInfo();
    check_begin_parts(c, feed->lane_sql[0], feed->lane_stages[0]->relation, feed->lane_stages[0]->desc);
    node->op->write(c, node);
    if (graph_count_errors(*c->findings, node) > errors)
        return;
    set->sql = c->sql->data;
    set->ask = feed->ask;
    feed->stage->of_source = set->of_input;
    for (int side = 0; side < set->ninputs; side++)
    {
        feed->stage->of_source &= feed->lane_stages[side]->of_source;
        finish_input(c, set, side);
        check_input(c, feed->lane_stages[side], feed->lanes[side]);
    }
    c->checked = set->sql;
    check_query(feed, set);
    describe_result(feed, set);
}

bool
compile_set_is_whole(const Feed *feed)
{
    ListCell *lc;

    for (int side = 0; side < feed->ninputs; side++)
    {
        foreach(lc, feed->needed[side])
        {
            if (find_input_column(feed, side, lfirst(lc)) == NULL)
                return false;
        }
    }
    return true;
}

/* Leaves out what the node needs or gives and its inputs do not have, and what it makes. */
static void
drop_missing(Feed *feed)
{
    ListCell *lc;

    for (int side = 0; side < feed->ninputs; side++)
    {
        foreach(lc, feed->needed[side])
        {
            if (find_input_column(feed, side, lfirst(lc)) == NULL)
                feed->needed[side] = foreach_delete_current(feed->needed[side], lc);
        }
    }
    foreach(lc, feed->columns)
    {
        const SetColumn *column = lfirst(lc);

        if (column->side != 0 || find_input_column(feed, 0, column->field) == NULL)
            feed->columns = foreach_delete_current(feed->columns, lc);
    }
}

void
compile_mend_set(Compiler *c, const GraphNode *node)
{
    Feed *feed = c->set;
    ProgramSet *set = palloc0(sizeof(ProgramSet));
    StringInfo sql = makeStringInfo();
    ListCell *lc;

    feed->stage->set = set;
    feed->mended = true;
    feed->keys = feed->marks = NIL;
    feed->input_where[0] = feed->input_where[1] = feed->result_where = NULL;
    set->ninputs = feed->ninputs;
    drop_missing(feed);
    take_input_columns(c);
    for (int side = 0; side < set->ninputs; side++)
        finish_input(c, set, side);
    foreach(lc, feed->columns)
        appendStringInfo(sql, "%s%s", lc == list_head(feed->columns) ? "SELECT " : ", ", sql_name(((SetColumn *) lfirst(lc))->field));
    appendStringInfo(sql, "%s%s FROM %s", feed->columns ? ", " : "SELECT ", set_origin(c, 0), sql_name(set->inputs[0].relation));
    set->sql = sql->data;
    describe_result(feed, set);
}

void
compile_write_result(Compiler *c)
{
    ListCell *lc;

    foreach(lc, c->set->columns)
    {
        const FlowColumn *column = ((SetColumn *) lfirst(lc))->column;

        flow_add(c, column->name, column->source, column->type);
    }
    appendStringInfoString(c->sql, "SELECT ");
    sql_columns(c, c->sql, NULL, NULL);
    appendStringInfo(c->sql, " FROM %s", SET_RELATION);
    if (c->set->result_where)
        appendStringInfo(c->sql, "\nWHERE %s", c->set->result_where);
}
