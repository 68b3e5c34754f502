/*
 * node_fields.c: the nodes about fields as such: rename, drop, cast, add_field.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "pg/flow.h"
#include "pg/node.h"

/* ---- rename -------------------------------------------------------------------- */

static const JsonKey rename_keys[] = {
    {"sourceField", JSON_STRING, true, NULL}, {"targetField", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};

static void
rename_walk(Compiler *c, const GraphNode *node)
{
    char *from = json_get_text(node->config, "sourceField");
    char *to = json_get_text(node->config, "targetField");
    FlowColumn *column;

    if (strcmp(from, to) == 0)
        return;
    column = flow_carry(c, node, from);
    if (column == NULL || !flow_name_is_free(c, node, to))
        return;
    flow_rename(c, node, column, to);
}

static void
rename_write(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_find(c, json_get_text(node->config, "sourceField"));
    char *to = json_get_text(node->config, "targetField");
    StringInfoData list;
    ListCell *lc;

    if (column == NULL || strcmp(column->name, to) == 0)
        return;
    sql_hide(c, to);
    initStringInfo(&list);
    foreach(lc, c->flow->columns)
    {
        FlowColumn *other = lfirst(lc);

        appendStringInfo(&list, "%s%s", list.len ? ", " : "", sql_name(other->name));
        if (other == column)
            appendStringInfo(&list, " AS %s", sql_name(to));
    }
    sql_wrap(c, node, list.data, "");
    column->name = to;
}

static void
rename_describe(const GraphNode *node, StringInfo out)
{
    char *from = json_get_text(node->config, "sourceField");
    char *to = json_get_text(node->config, "targetField");

    if (from && to)
        appendStringInfo(out, "%s -> %s", from, to);
}

const NodeOp node_rename = {
    .name = "rename",
    .kind = NODE_ROW,
    .keys = rename_keys,
    .walk = rename_walk,
    .write = rename_write,
    .describe = rename_describe,
};

/* ---- drop ---------------------------------------------------------------------- */

static const JsonKey drop_keys[] = {{"fields", JSON_STRINGS, true, NULL}, {NULL, 0, false, NULL}};

static void
drop_walk(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "fields"))
        flow_drop(c, node, lfirst(lc));
}

static void
drop_write(Compiler *c, const GraphNode *node)
{
    StringInfoData list;
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "fields"))
        sql_hide(c, lfirst(lc));
    initStringInfo(&list);
    sql_columns(c, &list, NULL, NULL);
    sql_wrap(c, node, list.data, "");
}

static void
drop_describe(const GraphNode *node, StringInfo out)
{
    appendStringInfoString(out, "drop ");
    node_describe_list(out, json_get_texts(node->config, "fields"));
}

const NodeOp node_drop = {
    .name = "drop",
    .kind = NODE_ROW,
    .keys = drop_keys,
    .walk = drop_walk,
    .write = drop_write,
    .describe = drop_describe,
};

/* ---- cast ---------------------------------------------------------------------- */

static const JsonKey cast_keys[] = {
    {"field", JSON_STRING, true, NULL}, {"targetType", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};

static void
cast_walk(Compiler *c, const GraphNode *node)
{
    char *type_name = json_get_text(node->config, "targetType");
    Oid type = compile_field_type(type_name);
    FlowColumn *column = flow_carry(c, node, json_get_text(node->config, "field"));

    if (!OidIsValid(type))
        graph_complain(c->findings, node->id, "wrong_value", psprintf("Valid types are: %s.", compile_field_type_list()),
                       "key \"targetType\": \"%s\" is not a type a field can be cast to", type_name);
    else if (column)
        flow_cast(c, node, column, type);
}

static void
cast_write(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_find(c, json_get_text(node->config, "field"));
    Oid type = compile_field_type(json_get_text(node->config, "targetType"));
    char *cast;

    /* mostly it is read in that type: then there is nothing to do */
    if (flow_type(c, column) == type)
        return;
    cast = sql_cast(c, column, type, -1);
    check_note_part(c, "key \"targetType\"", cast, NULL);
    sql_replace(c, node, column, cast, type);
}

static void
cast_describe(const GraphNode *node, StringInfo out)
{
    char *field = json_get_text(node->config, "field");
    char *type = json_get_text(node->config, "targetType");

    if (field && type)
        appendStringInfo(out, "%s as %s", field, type);
}

static const char *const cast_reads[] = {"targetType", NULL};

const NodeOp node_cast = {
    .name = "cast",
    .kind = NODE_ROW,
    .keys = cast_keys,
    .reads = cast_reads,
    .output = "field",
    .walk = cast_walk,
    .write = cast_write,
    .describe = cast_describe,
};

/* ---- add_field ----------------------------------------------------------------- */

static const JsonKey add_field_keys[] = {
    {"fieldName", JSON_STRING, true, NULL},
    {"fieldType", JSON_STRING, true, NULL},
    {"defaultValue", JSON_SCALAR, false, NULL},
    {"expression", JSON_STRING, false, NULL},
    {NULL, 0, false, NULL}};

static void
add_field_check(const GraphNode *node, List **findings)
{
    if (json_get(node->config, "expression") && json_get(node->config, "defaultValue"))
        graph_complain(findings, node->id, "wrong_value", "Leave out one of them.",
                       "an add_field node takes \"defaultValue\" or \"expression\", not both");
}

static void
add_field_walk(Compiler *c, const GraphNode *node)
{
    char *type_name = json_get_text(node->config, "fieldType");
    char *expression = json_get_text(node->config, "expression");
    Oid type = compile_field_type(type_name);

    if (!OidIsValid(type))
        graph_complain(c->findings, node->id, "wrong_value", psprintf("Valid types are: %s.", compile_field_type_list()),
                       "key \"fieldType\": \"%s\" is not a field type", type_name);
    if (expression)
        flow_use_expression(c, node, expression);
    flow_make(c, node, json_get_text(node->config, "fieldName"), OidIsValid(type) ? type : TEXTOID);
}

static void
add_field_write(Compiler *c, const GraphNode *node)
{
    char *expression = json_get_text(node->config, "expression");
    char *value = json_get_text(node->config, "defaultValue");
    Oid type = compile_field_type(json_get_text(node->config, "fieldType"));

    if (expression)
        expression = psprintf("CAST((\n%s\n) AS %s)", expression, sql_type(type));
    else
        expression = psprintf("CAST(%s AS %s)", value ? sql_literal(value) : "NULL", sql_type(type));
    check_note_part(c, json_get(node->config, "expression") ? "key \"expression\"" : "key \"defaultValue\"", expression, NULL);
    sql_add(c, node, json_get_text(node->config, "fieldName"), expression, type);
}

static void
add_field_describe(const GraphNode *node, StringInfo out)
{
    char *name = json_get_text(node->config, "fieldName");
    char *expression = json_get_text(node->config, "expression");
    JsonbValue *value = json_get(node->config, "defaultValue");

    if (name == NULL)
        return;
    appendStringInfoString(out, name);
    if (expression)
        appendStringInfo(out, " = %s", expression);
    else if (value)
    {
        appendStringInfoString(out, " = ");
        node_describe_value(out, value);
    }
}

static const char *const add_field_reads[] = {"fieldType", "defaultValue", "expression", NULL};

const NodeOp node_add_field = {
    .name = "add_field",
    .kind = NODE_ROW,
    .keys = add_field_keys,
    .reads = add_field_reads,
    .output = "fieldName",
    .check = add_field_check,
    .walk = add_field_walk,
    .write = add_field_write,
    .describe = add_field_describe,
};
