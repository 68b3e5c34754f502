/*
 * condition.c: conditions on a row's fields, as filters have them.  See condition.h.
 */
#include "postgres.h"

#include "pg/condition.h"

#include "catalog/pg_type.h"

#include "pg/node.h"

const char *const condition_operators[] = {
    "=", "!=", ">", "<", ">=", "<=", "like", "starts_with", "starts with", "ends_with", "ends with",
    "contains", "in", "not_in", "not in", "is_null", "is null", "is_not_null", "is not null", "between", NULL};
const char *const condition_matches[] = {"all", "any", NULL};

/* ---- checking -------------------------------------------------------------- */

static void
check_one(JsonbContainer *object, const char *what, const char *node_id, List **findings)
{
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    bool is_array = value && value->type == jbvBinary;
    bool wants_array = op && (strcmp(op, "in") == 0 || strncmp(op, "not", 3) == 0 || strcmp(op, "between") == 0);
    bool wants_none = op && strncmp(op, "is", 2) == 0;

    if (json_get_text(object, "field") == NULL)
        graph_complain(findings, node_id, "missing_key", NULL, "%s needs key \"field\"", what);
    if (op == NULL)
    {
        graph_complain(findings, node_id, "missing_key", NULL, "%s needs key \"operator\"", what);
        return;
    }
    if (wants_none)
    {
        if (value != NULL && value->type != jbvNull)
            graph_complain(findings, node_id, "wrong_value", NULL, "operator \"%s\" takes no \"value\"", op);
        return;
    }
    if (value == NULL || value->type == jbvNull)
        graph_complain(findings, node_id, "missing_key", "To find nulls use is_null or is_not_null.",
                       "operator \"%s\" needs key \"value\"", op);
    else if (wants_array != is_array)
        graph_complain(findings, node_id, "wrong_type", NULL, "operator \"%s\" takes %s as \"value\"", op,
                       wants_array ? "an array" : "a single value");
    else if (strcmp(op, "between") == 0 && JsonContainerSize(value->val.binary.data) != 2)
        graph_complain(findings, node_id, "wrong_value", NULL, "operator \"between\" takes an array of two values");
    else if (wants_array && (!JsonContainerIsArray(value->val.binary.data) || JsonContainerSize(value->val.binary.data) == 0))
        graph_complain(findings, node_id, "wrong_value", NULL, "operator \"%s\" takes an array that is not empty", op);
}

void
condition_check(JsonbContainer *object, const char *what, const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {
        {"field", JSON_STRING, true, NULL}, {"operator", JSON_STRING, true, condition_operators},
        {"value", JSON_SCALAR | JSON_ARRAY, false, NULL}, {NULL, 0, false, NULL}};
    JsonbContainer *conditions = json_get_container(object, "conditions");
    GraphComplaint complaint = {findings, node->id};

    if (conditions == NULL)
    {
        check_one(object, what, node->id, findings);
        return;
    }
    if (json_get(object, "field") || json_get(object, "operator") || json_get(object, "value"))
        graph_complain(findings, node->id, "wrong_value", NULL,
                       "%s takes either \"field\", \"operator\" and \"value\" or \"conditions\", not both", what);
    if (JsonContainerSize(conditions) == 0)
        graph_complain(findings, node->id, "wrong_value", NULL, "\"conditions\" must not be empty");
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
    {
        JsonbValue *item = getIthJsonbValueFromContainer(conditions, i);
        char *name = psprintf("condition %d", i + 1);

        if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
            graph_complain(findings, node->id, "wrong_type", NULL, "%s must be an object", name);
        else if (json_check(item->val.binary.data, keys, name, graph_complain_config, &complaint))
            check_one(item->val.binary.data, name, node->id, findings);
    }
}

void
condition_walk(Compiler *c, const GraphNode *node, JsonbContainer *object)
{
    JsonbContainer *conditions = json_get_container(object, "conditions");

    if (conditions == NULL)
    {
        flow_use(c, node, json_get_text(object, "field"), false);
        return;
    }
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
        condition_walk(c, node, getIthJsonbValueFromContainer(conditions, i)->val.binary.data);
}

/* ---- SQL --------------------------------------------------------------------- */

/* A JSON scalar as a literal to compare a column of `type` with; *column_sql may get a cast. */
static char *
literal_sql(const JsonbValue *value, Oid type, char **column_sql)
{
    char *text = json_scalar_text(value);

    if (value->type == jbvNumeric)
    {
        if (sql_is_text(type))
            *column_sql = psprintf("CAST(%s AS pg_catalog.numeric)", *column_sql);
        return text[0] == '-' ? psprintf("(%s)", text) : text;
    }
    if (value->type == jbvBool)
    {
        if (sql_is_text(type))
            *column_sql = psprintf("CAST(%s AS pg_catalog.bool)", *column_sql);
        return text;
    }
    return psprintf("CAST(%s AS %s)", sql_literal(text), sql_type(sql_is_text(type) ? TEXTOID : type));
}

static char *
pattern_sql(const char *op, const char *column, Oid type, const JsonbValue *value)
{
    char *literal = sql_literal(json_scalar_text(value));
    const char *text = sql_is_text(type) ? column : psprintf("CAST(%s AS pg_catalog.text)", column);

    if (strcmp(op, "like") == 0)
        return psprintf("%s LIKE %s", text, literal);
    if (strncmp(op, "starts", 6) == 0)
        return psprintf("starts_with(%s, %s)", text, literal);
    if (strncmp(op, "ends", 4) == 0)
        return psprintf("right(%s, length(%s)) = %s", text, literal, literal);
    return psprintf("strpos(%s, %s) > 0", text, literal);
}

/* in, not_in and between: each item's literal, the column cast once for all. */
static char *
array_sql(const char *op, char *column, Oid type, JsonbContainer *array)
{
    StringInfoData items;
    char *cast = column;
    bool between = strcmp(op, "between") == 0;

    initStringInfo(&items);
    for (int i = 0; i < (int) JsonContainerSize(array); i++)
    {
        cast = column;
        appendStringInfo(&items, "%s%s", i == 0 ? "" : between ? " AND " : ", ",
                         literal_sql(getIthJsonbValueFromContainer(array, i), type, &cast));
    }
    if (between)
        return psprintf("%s BETWEEN %s", cast, items.data);
    return psprintf("%s %s (%s)", cast, strcmp(op, "in") == 0 ? "IN" : "NOT IN", items.data);
}

static char *
one_sql(Compiler *c, JsonbContainer *object)
{
    FlowColumn *field = flow_find(c, json_get_text(object, "field"));
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    char *column = pstrdup(sql_name(field->name));
    Oid type = flow_type(c, field);
    char *literal;

    if (strncmp(op, "is", 2) == 0)
        return psprintf("%s %s", column, strstr(op, "not") ? "IS NOT NULL" : "IS NULL");
    if (value->type == jbvBinary)
        return array_sql(op, column, type, value->val.binary.data);
    if (strcmp(op, "like") == 0 || strncmp(op, "starts", 6) == 0 || strncmp(op, "ends", 4) == 0 || strcmp(op, "contains") == 0)
        return pattern_sql(op, column, type, value);
    literal = literal_sql(value, type, &column);
    return psprintf("%s %s %s", column, strcmp(op, "!=") == 0 ? "<>" : op, literal);
}

char *
condition_sql(Compiler *c, JsonbContainer *object)
{
    JsonbContainer *conditions = json_get_container(object, "conditions");
    char *match = json_get_text(object, "match");
    StringInfoData out;

    if (conditions == NULL)
        return one_sql(c, object);
    initStringInfo(&out);
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
        appendStringInfo(&out, "%s(%s)", i == 0 ? "" : match && strcmp(match, "any") == 0 ? " OR " : " AND ",
                         one_sql(c, getIthJsonbValueFromContainer(conditions, i)->val.binary.data));
    return out.data;
}

/* ---- words ------------------------------------------------------------------- */

static void
describe_one(StringInfo out, JsonbContainer *condition)
{
    char *field = json_get_text(condition, "field");
    char *operator = json_get_text(condition, "operator");
    JsonbValue *value = json_get(condition, "value");
    bool between;

    if (field == NULL || operator == NULL)
        return;
    between = strcmp(operator, "between") == 0;
    for (char *p = operator; *p; p++)
    {
        if (*p == '_')
            *p = ' ';
    }
    appendStringInfo(out, "%s %s", field, operator);
    if (value == NULL || value->type == jbvNull)
        return;
    appendStringInfoChar(out, ' ');
    if (value->type != jbvBinary)
        node_describe_value(out, value);
    else if (JsonContainerIsArray(value->val.binary.data))
    {
        JsonbContainer *array = value->val.binary.data;

        appendStringInfoString(out, between ? "" : "(");
        for (int i = 0; i < (int) JsonContainerSize(array); i++)
        {
            if (i > 0)
                appendStringInfoString(out, between ? " and " : ", ");
            node_describe_value(out, getIthJsonbValueFromContainer(array, i));
        }
        appendStringInfoString(out, between ? "" : ")");
    }
}

void
condition_describe(StringInfo out, JsonbContainer *object)
{
    JsonbContainer *conditions = json_get_container(object, "conditions");
    char *match = json_get_text(object, "match");

    if (conditions == NULL)
    {
        describe_one(out, object);
        return;
    }
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
    {
        JsonbValue *item = getIthJsonbValueFromContainer(conditions, i);

        if (i > 0)
            appendStringInfoString(out, match && strcmp(match, "any") == 0 ? " or " : " and ");
        if (item->type == jbvBinary && JsonContainerIsObject(item->val.binary.data))
            describe_one(out, item->val.binary.data);
    }
}
