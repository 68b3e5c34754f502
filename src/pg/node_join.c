/*
 * node_join.c: the node that joins two flows on equal fields.
 *
 * The left flow is that of the edge labelled "left", else the first; its fields
 * go through, of the right one those that are selected.  Null equals nothing.
 * Keys of different types are compared in one that both have a cast to, text
 * in the other's; a key that is none is a bad row of its side.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "pg/flow.h"
#include "pg/node.h"
#include "pg/select_fields.h"

static const char *const join_types[] = {"inner", "left", "right", "full", NULL};

static const JsonKey join_keys[] = {
    {"joinType", JSON_STRING, false, join_types},
    {"on", JSON_ARRAY, true, NULL},
    {"selectFields", JSON_ARRAY, false, NULL},
    {NULL, 0, false, NULL}};

static const char *
join_type(const GraphNode *node)
{
    char *type = json_get_text(node->config, "joinType");

    return type ? type : "inner";
}

/* May rows come out that only the right side had? */
static bool
keeps_right(const GraphNode *node)
{
    return strcmp(join_type(node), "right") == 0 || strcmp(join_type(node), "full") == 0;
}

static int
count_pairs(const GraphNode *node)
{
    return json_count(node->config, "on");
}

/* The i-th pair of keys; NULL when it is no object. */
static JsonbContainer *
get_pair(const GraphNode *node, int i)
{
    return json_get_object(node->config, "on", i);
}

static void
join_check(const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {{"left", JSON_STRING, true, NULL}, {"right", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, node->id};

    if (json_is_empty(node->config, "on"))
        graph_complain(findings, node->id, "wrong_value", "For example [{\"left\": \"customer\", \"right\": \"id\"}].", "\"on\" must not be empty");
    for (int i = 0; i < count_pairs(node); i++)
    {
        char *name = psprintf("entry %d of \"on\"", i + 1);

        if (get_pair(node, i) == NULL)
            graph_complain(findings, node->id, "wrong_type", "For example {\"left\": \"customer\", \"right\": \"id\"}.", "%s must be an object", name);
        else
            json_check(get_pair(node, i), keys, name, graph_complain_config, &complaint);
    }
    select_fields_check(node, findings);
}

/* Of the two edges the left one comes first. */
static void
join_edges(Graph *graph, const GraphNode *node, List **findings)
{
    List *edges = graph_edges_to(graph, node);
    const GraphEdge *first = linitial(edges), *second = lsecond(edges);

    if (first->label[0] && strcmp(first->label, second->label) == 0 && (strcmp(first->label, "left") == 0 || strcmp(first->label, "right") == 0))
        graph_complain(findings, node->id, "wrong_edges", "The edges of a join are labelled \"left\" and \"right\".",
                       "both edges into \"%s\" have the label \"%s\"", node->id, first->label);
    if (strcmp(second->label, "left") == 0 || strcmp(first->label, "right") == 0)
        graph_order_edges(graph, list_make2((void *) second, (void *) first));
}

/* The type a key is known to have before types are settled; InvalidOid when it is not. */
static Oid
known_type(const FlowColumn *column)
{
    if (column->source)
        return column->cast ? column->cast_type : InvalidOid;
    return column->type;
}

static void
join_walk(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    set_pass(c);
    for (int i = 0; i < count_pairs(node); i++)
    {
        char *field = json_get_text(get_pair(node, i), "left");
        FlowColumn *left = set_use(c, node, 0, field);
        FlowColumn *right = set_use(c, node, 1, json_get_text(get_pair(node, i), "right"));

        if (left && right && OidIsValid(known_type(left)))
            set_want(node, right, known_type(left));
        /* where the node makes the key, nobody behind it says what the left side's is to be */
        if (left && right && OidIsValid(known_type(right)) && !keeps_right(node))
            set_want(node, left, known_type(right));
        /* a row that only the right side has, has its key there */
        if (left && keeps_right(node))
            set_make(c, node, field, true);
    }
    foreach(lc, select_fields(node))
    {
        const SelectedField *selected = lfirst(lc);

        set_take(c, node, 1, selected->field, selected->alias);
    }
}

/* The type both are compared in; InvalidOid, with a complaint, when there is none. */
static Oid
common_type(Compiler *c, const GraphNode *node, const char *left, const char *right)
{
    Oid one = set_type(c, 0, left), other = set_type(c, 1, right);
    Oid common = set_common_type(one, other);

    if (!OidIsValid(common))
        graph_complain(c->findings, node->id, "type_mismatch", "Cast one of them before the join.",
                       "field \"%s\" of type %s and field \"%s\" of type %s can't be compared", left, format_type_be(one), right,
                       format_type_be(other));
    return common;
}

typedef struct KeyPair { const char *field; const char *left; const char *right; const char *value; } KeyPair;

/* The key of a row that both sides may have: the left side's as it is there, also where it is compared as another type. */
static char *
key_value(Compiler *c, const KeyPair *key, const char *right)
{
    char *left;

    if (!sql_is_text(set_type(c, 0, key->field)) || sql_is_text(set_type(c, 1, right)))
        return psprintf("coalesce(%s, %s)", key->left, key->right);
    left = pstrdup(sql_name(key->field));
    return psprintf("coalesce(l.%s, CAST(r.%s AS pg_catalog.text))", left, sql_name(right));
}

/* Where the keys are in the two relations. */
static KeyPair *
find_keys(Compiler *c, const GraphNode *node)
{
    KeyPair *keys = palloc(sizeof(KeyPair) * count_pairs(node));

    for (int i = 0; i < count_pairs(node); i++)
    {
        char *left = json_get_text(get_pair(node, i), "left"), *right = json_get_text(get_pair(node, i), "right");
        Oid type = common_type(c, node, left, right);

        if (!OidIsValid(type))
            return NULL;
        keys[i].field = left;
        keys[i].left = psprintf("l.%s", set_key(c, 0, left, type));
        keys[i].right = psprintf("r.%s", set_key(c, 1, right, type));
        keys[i].value = key_value(c, &keys[i], right);
    }
    return keys;
}

/* A field that the node gives. */
static char *
column_sql(const GraphNode *node, const SetColumn *column, const KeyPair *keys)
{
    if (column->side >= 0)
        return psprintf("%s.%s", column->side == 0 ? "l" : "r", sql_name(column->field));
    for (int i = 0; i < count_pairs(node); i++)
    {
        if (strcmp(keys[i].field, column->column->name) == 0)
            return pstrdup(keys[i].value);
    }
    elog(ERROR, "node \"%s\" makes no field \"%s\"", node->id, column->column->name);
}

static void
join_write(Compiler *c, const GraphNode *node)
{
    static const char *const words[] = {"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"};
    KeyPair *keys = find_keys(c, node);
    int type = 0;
    ListCell *lc;

    if (keys == NULL)
        return;
    while (strcmp(join_types[type], join_type(node)) != 0)
        type++;
    appendStringInfoString(c->sql, "SELECT ");
    foreach(lc, c->set->columns)
    {
        const SetColumn *column = lfirst(lc);

        appendStringInfo(c->sql, "%s AS %s, ", column_sql(node, column, keys), sql_name(column->column->name));
    }
    appendStringInfo(c->sql, "coalesce(l.%s, r.%s) AS %s\nFROM \"left\" AS l %s \"right\" AS r ON ", set_origin(c, 0), set_origin(c, 1),
                     set_origin(c, 0), words[type]);
    for (int i = 0; i < count_pairs(node); i++)
        appendStringInfo(c->sql, "%s%s = %s", i ? " AND " : "", keys[i].left, keys[i].right);
    appendStringInfo(c->sql, "\nORDER BY l.%s, r.%s", set_ordinal(c, 0), set_ordinal(c, 1));
}

static void
join_describe(const GraphNode *node, StringInfo out)
{
    appendStringInfo(out, "%s on ", join_type(node));
    for (int i = 0; i < count_pairs(node); i++)
    {
        JsonbContainer *pair = get_pair(node, i);
        char *left = pair ? json_get_text(pair, "left") : NULL, *right = pair ? json_get_text(pair, "right") : NULL;

        if (left && right)
            appendStringInfo(out, "%s%s = %s", i ? " and " : "", left, right);
    }
}

static const char *const join_reads[] = {"joinType", "on", NULL};

const NodeOp node_join = {
    .name = "join",
    .kind = NODE_SET,
    .inputs = 2,
    .keys = join_keys,
    .reads = join_reads,
    .check = join_check,
    .edges = join_edges,
    .walk = join_walk,
    .write = join_write,
    .describe = join_describe,
};
