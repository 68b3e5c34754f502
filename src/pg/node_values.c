/*
 * node_values.c: the nodes that make one field's value of others': expression,
 * map_values, split, merge, hash.
 *
 * A field one of them names as its output is made, or replaced when it is
 * there.  Null in, null out; merge leaves nulls out and is null when all are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "pg/flow.h"
#include "pg/keyed_hash.h"
#include "pg/node.h"

/* First walk: the output of that name; what was there is replaced. */
static void
put_walk(Compiler *c, const GraphNode *node, const char *name, Oid type)
{
    FlowColumn *column = flow_find(c, name);

    if (column)
        flow_change(c, node, column, type);
    else
        flow_make(c, node, name, type);
}

/* Second walk. */
static void
put_write(Compiler *c, const GraphNode *node, const char *name, const char *expression, Oid type)
{
    FlowColumn *column = flow_find(c, name);

    if (column)
        sql_replace(c, node, column, expression, type);
    else
        sql_add(c, node, name, expression, type);
}

/* ---- expression ---------------------------------------------------------------- */

static const JsonKey expression_keys[] = {
    {"outputField", JSON_STRING, true, NULL}, {"expression", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};

static void
expression_walk(Compiler *c, const GraphNode *node)
{
    flow_use_expression(c, node, json_get_text(node->config, "expression"));
    /* its type is found when the SQL is checked, once the fields' types are known */
    put_walk(c, node, json_get_text(node->config, "outputField"), TEXTOID);
}

static void
expression_write(Compiler *c, const GraphNode *node)
{
    char *expression = psprintf("(\n%s\n)", json_get_text(node->config, "expression"));

    check_note_part(c, "key \"expression\"", expression, NULL);
    put_write(c, node, json_get_text(node->config, "outputField"), expression, TEXTOID);
}

static void
expression_describe(const GraphNode *node, StringInfo out)
{
    char *name = json_get_text(node->config, "outputField");
    char *expression = json_get_text(node->config, "expression");

    if (name && expression)
        appendStringInfo(out, "%s = %s", name, expression);
}

static const char *const expression_reads[] = {"expression", NULL};

const NodeOp node_expression = {
    .name = "expression",
    .kind = NODE_ROW,
    .keys = expression_keys,
    .reads = expression_reads,
    .output = "outputField",
    .walk = expression_walk,
    .write = expression_write,
    .describe = expression_describe,
};

/* ---- map_values ---------------------------------------------------------------- */

static const JsonKey map_keys[] = {
    {"field", JSON_STRING, true, NULL}, {"mappings", JSON_OBJECT, true, NULL},
    {"defaultValue", JSON_SCALAR, false, NULL}, {NULL, 0, false, NULL}};

/* The object's values must be scalars: a field has room for nothing else. */
static void
map_check(const GraphNode *node, List **findings)
{
    JsonbContainer *mappings = json_get_container(node->config, "mappings");
    JsonbIterator *it = mappings ? JsonbIteratorInit(mappings) : NULL;
    JsonbIteratorToken token;
    JsonbValue item;
    char *key = NULL;

    if (json_is_empty(node->config, "mappings"))
        graph_complain(findings, node->id, "wrong_value", "For example {\"M\": \"Male\", \"F\": \"Female\"}.", "\"mappings\" must not be empty");
    while (it && (token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
            key = pnstrdup(item.val.string.val, item.val.string.len);
        else if (token == WJB_VALUE && item.type == jbvBinary)
            graph_complain(findings, node->id, "wrong_type", "For example {\"M\": \"Male\", \"F\": \"Female\"}.", "the mapping of \"%s\" must be a single value", key);
    }
}

static void
map_walk(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_use(c, node, json_get_text(node->config, "field"), true);

    if (column)
        flow_change(c, node, column, TEXTOID);
}

static void
map_write(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_find(c, json_get_text(node->config, "field"));
    JsonbValue *fallback = json_get(node->config, "defaultValue");
    StringInfoData mappings;
    char *rest = "";

    initStringInfo(&mappings);
    json_append_value(&mappings, json_get(node->config, "mappings"));
    if (fallback)
        rest = psprintf(", %s", fallback->type == jbvNull ? "NULL" : sql_literal(json_scalar_text(fallback)));
    sql_replace(c, node, column,
                psprintf("kaireon.map_value(%s, %s%s)", sql_as_text(c, column), sql_literal(mappings.data), rest), TEXTOID);
}

static void
map_describe(const GraphNode *node, StringInfo out)
{
    char *field = json_get_text(node->config, "field");
    JsonbContainer *mappings = json_get_container(node->config, "mappings");

    if (field && mappings)
        appendStringInfo(out, "%s: %d values", field, (int) JsonContainerSize(mappings));
}

static const char *const map_values_reads[] = {"mappings", "defaultValue", NULL};

const NodeOp node_map_values = {
    .name = "map_values",
    .kind = NODE_ROW,
    .keys = map_keys,
    .reads = map_values_reads,
    .output = "field",
    .check = map_check,
    .walk = map_walk,
    .write = map_write,
    .describe = map_describe,
};

/* ---- split --------------------------------------------------------------------- */

#define SPLIT_CALL "kaireon.split_field(%s, %s, %d, %d)"

static const JsonKey split_keys[] = {
    {"sourceField", JSON_STRING, true, NULL}, {"separator", JSON_STRING, true, NULL},
    {"outputFields", JSON_STRINGS, true, NULL}, {NULL, 0, false, NULL}};

static void
split_check(const GraphNode *node, List **findings)
{
    List *outputs = json_get_texts(node->config, "outputFields");
    char *separator = json_get_text(node->config, "separator");

    if (separator && separator[0] == '\0')
        graph_complain(findings, node->id, "wrong_value", "For example \",\".", "\"separator\" must not be empty");
    for (int i = 0; i < list_length(outputs); i++)
    {
        for (int j = 0; j < i; j++)
        {
            if (strcmp(list_nth(outputs, i), list_nth(outputs, j)) == 0)
                graph_complain(findings, node->id, "duplicate_column", "Each part is a field of its own.", "\"outputFields\" names \"%s\" twice", (char *) list_nth(outputs, i));
        }
    }
}

static void
split_walk(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    flow_use(c, node, json_get_text(node->config, "sourceField"), true);
    foreach(lc, json_get_texts(node->config, "outputFields"))
        put_walk(c, node, lfirst(lc), TEXTOID);
}

/* The place of an output of that name; -1: there is none. */
static int
find_output(const List *outputs, const char *name)
{
    for (int i = 0; i < list_length(outputs); i++)
    {
        if (strcmp(list_nth(outputs, i), name) == 0)
            return i;
    }
    return -1;
}

/* All outputs on one level: the planner's work grows with fields times levels. */
static void
split_write(Compiler *c, const GraphNode *node)
{
    List *outputs = json_get_texts(node->config, "outputFields");
    const char *value = sql_as_text(c, flow_find(c, json_get_text(node->config, "sourceField")));
    char *separator = sql_literal(json_get_text(node->config, "separator"));
    bool *replaces = palloc0(sizeof(bool) * list_length(outputs));
    StringInfoData list;
    ListCell *lc;

    initStringInfo(&list);
    foreach(lc, c->flow->columns)
    {
        FlowColumn *column = lfirst(lc);
        int part = find_output(outputs, column->name);

        appendStringInfoString(&list, list.len ? ", " : "");
        if (part >= 0)
        {
            appendStringInfo(&list, SPLIT_CALL " AS ", value, separator, part + 1, list_length(outputs));
            replaces[part] = true;
            column->source = NULL;
            column->type = TEXTOID;
        }
        appendStringInfoString(&list, sql_name(column->name));
    }
    for (int i = 0; i < list_length(outputs); i++)
    {
        if (!replaces[i])
            appendStringInfo(&list, "%s" SPLIT_CALL " AS %s", list.len ? ", " : "", value, separator, i + 1, list_length(outputs), sql_name(list_nth(outputs, i)));
    }
    sql_wrap(c, node, list.data, "");
    for (int i = 0; i < list_length(outputs); i++)
    {
        if (!replaces[i])
            flow_add(c, list_nth(outputs, i), NULL, TEXTOID);
    }
}

static void
split_describe(const GraphNode *node, StringInfo out)
{
    char *field = json_get_text(node->config, "sourceField");

    if (field == NULL)
        return;
    appendStringInfo(out, "%s -> ", field);
    node_describe_list(out, json_get_texts(node->config, "outputFields"));
}

static const char *const split_reads[] = {"sourceField", "separator", NULL};

const NodeOp node_split = {
    .name = "split",
    .kind = NODE_ROW,
    .keys = split_keys,
    .reads = split_reads,
    .check = split_check,
    .walk = split_walk,
    .write = split_write,
    .describe = split_describe,
};

/* ---- merge --------------------------------------------------------------------- */

static const JsonKey merge_keys[] = {
    {"sourceFields", JSON_STRINGS, true, NULL}, {"separator", JSON_STRING, false, NULL},
    {"outputField", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};

static void
merge_walk(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "sourceFields"))
        flow_use(c, node, lfirst(lc), true);
    put_walk(c, node, json_get_text(node->config, "outputField"), TEXTOID);
}

static void
merge_write(Compiler *c, const GraphNode *node)
{
    char *separator = json_get_text(node->config, "separator");
    StringInfoData fields;
    ListCell *lc;

    initStringInfo(&fields);
    foreach(lc, json_get_texts(node->config, "sourceFields"))
        appendStringInfo(&fields, "%s%s", fields.len ? ", " : "", sql_as_text(c, flow_find(c, lfirst(lc))));
    put_write(c, node, json_get_text(node->config, "outputField"),
              psprintf("CASE WHEN COALESCE(%s) IS NOT NULL THEN concat_ws(%s, %s) END", fields.data,
                       sql_literal(separator ? separator : ""), fields.data), TEXTOID);
}

static void
merge_describe(const GraphNode *node, StringInfo out)
{
    char *output = json_get_text(node->config, "outputField");

    node_describe_list(out, json_get_texts(node->config, "sourceFields"));
    if (output)
        appendStringInfo(out, " -> %s", output);
}

static const char *const merge_reads[] = {"sourceFields", "separator", NULL};

const NodeOp node_merge = {
    .name = "merge",
    .kind = NODE_ROW,
    .keys = merge_keys,
    .reads = merge_reads,
    .output = "outputField",
    .walk = merge_walk,
    .write = merge_write,
    .describe = merge_describe,
};

/* ---- hash ---------------------------------------------------------------------- */

static const char *const algorithms[] = {"sha256", "md5", NULL};

static const JsonKey hash_keys[] = {
    {"field", JSON_STRING, true, NULL}, {"algorithm", JSON_STRING, false, algorithms},
    {"outputField", JSON_STRING, false, NULL}, {"keySecret", JSON_OBJECT | JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};

static const char *
hash_output(const GraphNode *node)
{
    char *output = json_get_text(node->config, "outputField");

    return output ? output : json_get_text(node->config, "field");
}

static const char *
hash_algorithm(const GraphNode *node)
{
    char *algorithm = json_get_text(node->config, "algorithm");

    return algorithm ? algorithm : "sha256";
}

static void
hash_walk(Compiler *c, const GraphNode *node)
{
    if (keyed_hash_configured(node))
        keyed_hash_check_rights(node, c->collect, c->findings);
    if (flow_use(c, node, json_get_text(node->config, "field"), true))
        put_walk(c, node, hash_output(node), TEXTOID);
}

/* Of the text's UTF-8, in hexadecimal: what sha256sum and md5sum print. */
static void
hash_write(Compiler *c, const GraphNode *node)
{
    const char *value = sql_as_text(c, flow_find(c, json_get_text(node->config, "field")));
    bool md5 = strcmp(hash_algorithm(node), "md5") == 0;

    if (keyed_hash_configured(node))
        put_write(c, node, hash_output(node), psprintf("kaireon.keyed_hash(%s, %s)", value, sql_literal(node->id)), TEXTOID);
    else
        put_write(c, node, hash_output(node),
                  psprintf(md5 ? "md5(convert_to(%s, 'UTF8'))" : "encode(sha256(convert_to(%s, 'UTF8')), 'hex')", value), TEXTOID);
}

static void
hash_describe(const GraphNode *node, StringInfo out)
{
    char *field = json_get_text(node->config, "field");

    if (field == NULL)
        return;
    appendStringInfo(out, "%s%s of %s", keyed_hash_configured(node) ? "keyed " : "", hash_algorithm(node), field);
    if (strcmp(hash_output(node), field) != 0)
        appendStringInfo(out, " -> %s", hash_output(node));
}

static const char *const hash_reads[] = {"algorithm", "keySecret", NULL};

const NodeOp node_hash = {
    .name = "hash",
    .kind = NODE_ROW,
    .keys = hash_keys,
    .reads = hash_reads,
    .output = "outputField",
    .check = keyed_hash_check,
    .walk = hash_walk,
    .write = hash_write,
    .describe = hash_describe,
};
