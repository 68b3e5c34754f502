/*
 * node_set.c: the nodes that make fewer rows of one input: deduplicate and
 * aggregate.
 *
 * Both keep the order of their input.  Keys are compared as PostgreSQL's
 * DISTINCT and GROUP BY do: nulls equal one another.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "pg/flow.h"
#include "pg/node.h"

/* ---- deduplicate ----------------------------------------------------------------- */

static const JsonKey deduplicate_keys[] = {{"keyFields", JSON_STRINGS, true, NULL}, {NULL, 0, false, NULL}};

static void
deduplicate_walk(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "keyFields"))
        set_use(c, node, 0, lfirst(lc));
    set_pass(c);
}

/* The first row of each key, then these in the order in which they came. */
static void
deduplicate_write(Compiler *c, const GraphNode *node)
{
    StringInfoData keys, fields;
    const char *ordinal = set_ordinal(c, 0), *origin = set_origin(c, 0);
    ListCell *lc;

    initStringInfo(&keys);
    initStringInfo(&fields);
    foreach(lc, json_get_texts(node->config, "keyFields"))
        appendStringInfo(&keys, "%s%s", keys.len ? ", " : "", set_group_key(c, 0, lfirst(lc)));
    foreach(lc, c->set->columns)
        appendStringInfo(&fields, "%s, ", sql_name(((SetColumn *) lfirst(lc))->field));
    set_keeps_rows(c, false);
    appendStringInfo(c->sql, "SELECT %s%s\nFROM (SELECT DISTINCT ON (%s) %s%s, %s FROM input ORDER BY %s, %s) AS %s\nORDER BY %s",
                     fields.data, origin, keys.data, fields.data, origin, ordinal, keys.data, ordinal, sql_name(node->id), ordinal);
}

static void
deduplicate_describe(const GraphNode *node, StringInfo out)
{
    appendStringInfoString(out, "first of each ");
    node_describe_list(out, json_get_texts(node->config, "keyFields"));
}

const NodeOp node_deduplicate = {
    .name = "deduplicate",
    .kind = NODE_SET,
    .inputs = 1,
    .keeps_fields = true,
    .keys = deduplicate_keys,
    .walk = deduplicate_walk,
    .write = deduplicate_write,
    .describe = deduplicate_describe,
};

/* ---- aggregate --------------------------------------------------------------------- */

static const char *const aggregate_functions[] = {"sum", "count", "avg", "min", "max", NULL};

static const JsonKey aggregate_keys[] = {
    {"groupByFields", JSON_STRINGS, false, NULL}, {"aggregations", JSON_ARRAY, true, NULL}, {NULL, 0, false, NULL}};

static int
count_aggregations(const GraphNode *node)
{
    return json_count(node->config, "aggregations");
}

/* The i-th aggregation; NULL when it is no object. */
static JsonbContainer *
get_aggregation(const GraphNode *node, int i)
{
    return json_get_object(node->config, "aggregations", i);
}

static bool
is_star(JsonbContainer *aggregation)
{
    char *field = json_get_text(aggregation, "field");

    return field == NULL || strcmp(field, "*") == 0;
}

/* What the result is called: the alias, else "sum_amount", "count". */
static char *
result_name(JsonbContainer *aggregation)
{
    char *alias = json_get_text(aggregation, "alias");
    char *function = json_get_text(aggregation, "function");

    if (alias)
        return alias;
    return is_star(aggregation) ? function : psprintf("%s_%s", function, json_get_text(aggregation, "field"));
}

static void
aggregate_check(const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {
        {"field", JSON_STRING, false, NULL}, {"function", JSON_STRING, true, aggregate_functions},
        {"alias", JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, node->id};

    if (json_is_empty(node->config, "aggregations"))
        graph_complain(findings, node->id, "wrong_value", "For example [{\"field\": \"amount\", \"function\": \"sum\", \"alias\": \"total\"}].",
                       "\"aggregations\" must not be empty");
    for (int i = 0; i < count_aggregations(node); i++)
    {
        JsonbContainer *aggregation = get_aggregation(node, i);
        char *name = psprintf("aggregation %d", i + 1);

        if (aggregation == NULL)
            graph_complain(findings, node->id, "wrong_type", "For example {\"field\": \"amount\", \"function\": \"sum\", \"alias\": \"total\"}.", "%s must be an object", name);
        else if (json_check(aggregation, keys, name, graph_complain_config, &complaint) && is_star(aggregation) &&
                 strcmp(json_get_text(aggregation, "function"), "count") != 0)
            graph_complain(findings, node->id, "missing_key", "Only count takes \"*\", which counts rows.", "%s needs key \"field\"", name);
    }
}

/* Does the function calculate, so that its field must be a number? */
static bool
calculates(JsonbContainer *aggregation)
{
    char *function = json_get_text(aggregation, "function");

    return strcmp(function, "sum") == 0 || strcmp(function, "avg") == 0;
}

static void
aggregate_walk(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "groupByFields"))
    {
        if (set_use(c, node, 0, lfirst(lc)))
            set_take(c, node, 0, lfirst(lc), lfirst(lc));
    }
    c->used = NIL;               /* an aggregate is not made of what it is grouped by */
    for (int i = 0; i < count_aggregations(node); i++)
    {
        JsonbContainer *aggregation = get_aggregation(node, i);
        FlowColumn *column = is_star(aggregation) ? NULL : set_use(c, node, 0, json_get_text(aggregation, "field"));

        if (column && calculates(aggregation))
            set_want(node, column, NUMERICOID);
        set_make(c, node, result_name(aggregation), false);
    }
}

static char *
aggregation_sql(Compiler *c, JsonbContainer *aggregation)
{
    char *function = json_get_text(aggregation, "function");
    char *field = json_get_text(aggregation, "field");

    if (is_star(aggregation))
        return pstrdup("count(*)");
    if (calculates(aggregation) && sql_is_text(set_type(c, 0, field)))
        return psprintf("%s(%s)", function, set_key(c, 0, field, NUMERICOID));
    return psprintf("%s(%s)", function, sql_name(field));
}

/* Groups in the order in which their first rows came; no rows, no group. */
static void
aggregate_write(Compiler *c, const GraphNode *node)
{
    const char *ordinal = set_ordinal(c, 0), *origin = set_origin(c, 0);
    StringInfoData keys;
    ListCell *lc;

    initStringInfo(&keys);
    appendStringInfoString(c->sql, "SELECT ");
    foreach(lc, json_get_texts(node->config, "groupByFields"))
    {
        const char *key = set_group_key(c, 0, lfirst(lc)), *name = sql_name(lfirst(lc));

        appendStringInfo(&keys, "%s%s", keys.len ? ", " : "", key);
        appendStringInfo(c->sql, strcmp(key, name) == 0 ? "%s, " : "%s AS %s, ", key, name);
    }
    for (int i = 0; i < count_aggregations(node); i++)
        appendStringInfo(c->sql, "%s AS %s, ", aggregation_sql(c, get_aggregation(node, i)), sql_name(result_name(get_aggregation(node, i))));
    appendStringInfo(c->sql, "min(%s) AS %s\nFROM input", origin, origin);
    if (keys.len)
        appendStringInfo(c->sql, "\nGROUP BY %s", keys.data);
    appendStringInfo(c->sql, "\nHAVING count(*) > 0\nORDER BY min(%s)", ordinal);
}

static void
aggregate_describe(const GraphNode *node, StringInfo out)
{
    List *groups = json_get_texts(node->config, "groupByFields");

    for (int i = 0; i < count_aggregations(node); i++)
    {
        JsonbContainer *aggregation = get_aggregation(node, i);

        if (aggregation == NULL || json_get_text(aggregation, "function") == NULL)
            continue;
        appendStringInfo(out, "%s%s(%s)", out->len ? ", " : "", json_get_text(aggregation, "function"),
                         is_star(aggregation) ? "*" : json_get_text(aggregation, "field"));
    }
    if (groups == NIL)
        return;
    appendStringInfoString(out, " by ");
    node_describe_list(out, groups);
}

const NodeOp node_aggregate = {
    .name = "aggregate",
    .kind = NODE_SET,
    .inputs = 1,
    .keys = aggregate_keys,
    .check = aggregate_check,
    .walk = aggregate_walk,
    .write = aggregate_write,
    .describe = aggregate_describe,
};
