/*
 * condition.c: conditions on a row's fields, as filters have them.  See condition.h.
 */
#include "postgres.h"

#include "pg/condition.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pg/iso.h"
#include "pg/node.h"

const char *const condition_operators[] = {
    "=", "!=", ">", "<", ">=", "<=", "like", "starts_with", "starts with", "ends_with", "ends with",
    "contains", "in", "not_in", "not in", "is_null", "is null", "is_not_null", "is not null", "between", NULL};
const char *const condition_matches[] = {"all", "any", NULL};

/* ---- checking -------------------------------------------------------------- */

/* Values that are compared with must be of one kind. */
static void
check_array(JsonbContainer *array, const char *op, const char *what, const char *node_id, List **findings)
{
    JsonbValue *first = getIthJsonbValueFromContainer(array, 0);
    const JsonbValue *second = getIthJsonbValueFromContainer(array, 1);

    for (int i = 0; i < (int) JsonContainerSize(array); i++)
    {
        JsonbValue *item = getIthJsonbValueFromContainer(array, i);

        if (item->type == jbvNull || item->type == jbvBinary || item->type != first->type)
        {
            graph_complain(findings, node_id, "wrong_type", "To find nulls use is_null or is_not_null.",
                           "operator \"%s\" of %s takes an array of strings, of numbers or of booleans", op, what);
            return;
        }
    }
    if (strcmp(op, "between") == 0 && first->type == jbvNumeric &&
        DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(first->val.numeric), NumericGetDatum(second->val.numeric))) > 0)
        graph_complain(findings, node_id, "wrong_value", "The lower bound comes first; otherwise no value is between them.",
                       "operator \"between\" of %s has a first value that is more than the second", what);
}

static void
check_one(JsonbContainer *object, const char *what, const char *node_id, List **findings)
{
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    bool is_array = value && value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
    const char *const *known;
    bool wants_array = op && (strcmp(op, "in") == 0 || strncmp(op, "not", 3) == 0 || strcmp(op, "between") == 0);
    bool wants_none = op && strncmp(op, "is", 2) == 0;

    if (json_get(object, "field") == NULL)
        graph_complain(findings, node_id, "missing_key", "For example {\"field\": \"amount\", \"operator\": \">\", \"value\": 0}.", "%s needs key \"field\"", what);
    if (json_get(object, "operator") == NULL)
        graph_complain(findings, node_id, "missing_key", "For example {\"field\": \"amount\", \"operator\": \">\", \"value\": 0}.", "%s needs key \"operator\"", what);
    if (op == NULL)
        return;
    for (known = condition_operators; *known && strcmp(*known, op) != 0; known++)
        ;
    if (*known == NULL || (value && value->type == jbvBinary && !is_array)) /* the table of keys says so */
        return;
    if (wants_none)
    {
        if (value != NULL && value->type != jbvNull)
            graph_complain(findings, node_id, "wrong_value", "Leave it out.", "operator \"%s\" of %s takes no \"value\"", op, what);
        return;
    }
    if (value == NULL || value->type == jbvNull)
        graph_complain(findings, node_id, "missing_key", "To find nulls use is_null or is_not_null.",
                       "operator \"%s\" of %s needs key \"value\"", op, what);
    else if (wants_array != is_array)
        graph_complain(findings, node_id, "wrong_type", wants_array ? "For example [1, 10]." : "Operator in takes several.", "operator \"%s\" of %s takes %s as \"value\"", op, what,
                       wants_array ? "an array" : "a single value");
    else if (strcmp(op, "between") == 0 && JsonContainerSize(value->val.binary.data) != 2)
        graph_complain(findings, node_id, "wrong_value", "For example [1, 10].", "operator \"between\" of %s takes an array of two values", what);
    else if (wants_array && JsonContainerSize(value->val.binary.data) == 0)
        graph_complain(findings, node_id, "wrong_value", "For example [\"new\", \"open\"].", "operator \"%s\" of %s takes an array that is not empty", op, what);
    else if (wants_array)
        check_array(value->val.binary.data, op, what, node_id, findings);
}

/* A group in another; true when it is one. */
static bool
check_group(JsonbContainer *object, const char *what, const GraphNode *node, List **findings)
{
    if (json_get(object, "conditions") == NULL)
    {
        if (json_get(object, "match"))
            graph_complain(findings, node->id, "wrong_value", "It says whether all or any of several conditions have to hold.", "key \"match\" of %s needs key \"conditions\"", what);
        return false;
    }
    if (json_get(object, "field") || json_get(object, "operator") || json_get(object, "value"))
        graph_complain(findings, node->id, "wrong_value", "Conditions beside one another stand in \"conditions\", each with its own field.",
                       "%s takes either \"field\", \"operator\" and \"value\" or \"conditions\", not both", what);
    if (json_is_empty(object, "conditions"))
        graph_complain(findings, node->id, "wrong_value", "For example [{\"field\": \"amount\", \"operator\": \">\", \"value\": 0}].", "\"conditions\" must not be empty");
    return true;
}

void
condition_check(JsonbContainer *object, const char *what, const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {CONDITION_KEYS, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, node->id};

    check_stack_depth();
    if (!check_group(object, what, node, findings))
    {
        check_one(object, what, node->id, findings);
        return;
    }
    for (int i = 0; i < json_count(object, "conditions"); i++)
    {
        JsonbContainer *condition = json_get_object(object, "conditions", i);
        char *name = psprintf("condition %d", i + 1);

        if (condition == NULL)
        {
            graph_complain(findings, node->id, "wrong_type", "For example {\"field\": \"amount\", \"operator\": \">\", \"value\": 0}.", "%s must be an object", name);
            continue;
        }
        json_check(condition, keys, name, graph_complain_config, &complaint);
        condition_check(condition, name, node, findings);
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

/*
 * What the values are as dates and times: DATEOID when all are dates, else that
 * of the one that says most; InvalidOid when one is neither.
 */
static Oid
time_type(const JsonbValue *value)
{
    Oid found = DATEOID;

    if (value->type == jbvString)
        return iso_type(json_scalar_text(value));
    if (value->type != jbvBinary)
        return InvalidOid;
    for (int i = 0; i < (int) JsonContainerSize(value->val.binary.data); i++)
    {
        Oid one = time_type(getIthJsonbValueFromContainer(value->val.binary.data, i));

        if (!OidIsValid(one))
            return InvalidOid;
        if (found != TIMESTAMPTZOID && one != DATEOID)
            found = one;
    }
    return found;
}

/* A date or time is compared with what a text stands for: to the moment, where one of them has more than a date or a zone. */
static Oid
compared_time_type(Oid type, const JsonbValue *value)
{
    Oid said = time_type(value);

    if (value->type != jbvString && value->type != jbvBinary)
        return type;
    if (!OidIsValid(said))
        ereport(ERROR, (errcode(ERRCODE_INVALID_DATETIME_FORMAT),
                        errmsg("\"value\" must be a date or time as ISO 8601 writes them, the field is of type %s", format_type_be(type)),
                        errdetail("Words such as now would mean another time with every run."), errhint("For example 2024-01-31 or 2024-01-31T10:30:00Z.")));
    return said == TIMESTAMPTZOID || (type == DATEOID && said != DATEOID) ? TIMESTAMPTZOID : type;
}

/*
 * Text is compared as what it is compared with: a number, a boolean; and where
 * there is an order, a moment.  A cell that can't be one is then the row's error.
 */
static Oid
compared_type(Oid type, const char *op, const JsonbValue *value)
{
    bool ordered = op[0] == '<' || op[0] == '>' || strcmp(op, "between") == 0;
    const JsonbValue *first = value->type == jbvBinary ? getIthJsonbValueFromContainer(value->val.binary.data, 0) : value;

    if (type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID)
        return compared_time_type(type, value);
    if (!sql_is_text(type))
        return type;
    if (first->type == jbvNumeric)
        return NUMERICOID;
    if (first->type == jbvBool)
        return BOOLOID;
    return ordered && OidIsValid(time_type(value)) ? TIMESTAMPTZOID : TEXTOID;
}

/* A field's value in the type in which it is compared. */
static char *
compared_sql(Compiler *c, const FlowColumn *field, Oid type, const JsonbValue *value)
{
    bool text = sql_is_text(flow_type(c, field));
    Oid said = text && type == TIMESTAMPTZOID ? time_type(value) : InvalidOid;

    if (flow_type(c, field) == type || (text && sql_is_text(type)))
        return pstrdup(sql_name(field->name));
    if (!OidIsValid(said))
        return sql_cast(c, field, type, -1);
    /* a source may write dates, or times, its own way */
    if (sql_is_spelled(c, field, said == DATEOID ? DATEOID : TIMESTAMPTZOID))
        return sql_cast(c, field, said == DATEOID ? DATEOID : TIMESTAMPTZOID, -1);
    return psprintf("kaireon.iso_time(%s)", sql_name(field->name));
}

/* Is there a real for the number?  One beyond them all is compared as it is. */
static bool
fits_real(const char *number)
{
    double value = fabs(strtod(number, NULL));

    return value == 0 || (value >= FLT_MIN && value <= FLT_MAX);
}

/* A JSON scalar as a literal to compare with a value of `type`; a real is compared with the real that the number is read as. */
static char *
literal_sql(const JsonbValue *value, Oid type)
{
    char *text = json_scalar_text(value);

    if (value->type == jbvNumeric && type == FLOAT4OID && fits_real(text))
        return psprintf("CAST(%s AS real)", text);
    if (value->type == jbvNumeric)
        return text[0] == '-' ? psprintf("(%s)", text) : text;
    if (value->type == jbvBool)
        return text;
    return psprintf("CAST(%s AS %s)", sql_literal(text), sql_type(type));
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

/* in, not_in and between */
static char *
array_sql(const char *op, const char *column, Oid type, JsonbContainer *array)
{
    StringInfoData items;
    bool between = strcmp(op, "between") == 0;

    initStringInfo(&items);
    for (int i = 0; i < (int) JsonContainerSize(array); i++)
        appendStringInfo(&items, "%s%s", i == 0 ? "" : between ? " AND " : ", ",
                         literal_sql(getIthJsonbValueFromContainer(array, i), type));
    if (between)
        return psprintf("%s BETWEEN %s", column, items.data);
    return psprintf("%s %s (%s)", column, strcmp(op, "in") == 0 ? "IN" : "NOT IN", items.data);
}

/* Text is put in order as text, though it may be meant as a number. */
static void
warn_of_text(Compiler *c, const GraphNode *node, const char *op, const JsonbValue *value)
{
    if (op[0] != '<' && op[0] != '>' && strcmp(op, "between") != 0)
        return;
    if (value->type == jbvBinary)
        value = getIthJsonbValueFromContainer(value->val.binary.data, 0);
    if (value->type != jbvString || !json_spells_number(json_scalar_text(value)))
        return;
    graph_warn(c->findings, node->id, "compared_as_text", psprintf("Write %s without quotes, to compare numbers.", json_scalar_text(value)),
               psprintf("%soperator \"%s\" compares with \"%s\" as text: \"9\" is more than \"10\"", c->part ? psprintf("%s: ", c->part) : "", op,
                        json_scalar_text(value)));
}

static char *
one_sql(Compiler *c, const GraphNode *node, JsonbContainer *object)
{
    FlowColumn *field = flow_find(c, json_get_text(object, "field"));
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    char *column = pstrdup(sql_name(field->name));
    Oid type = flow_type(c, field), compared;

    if (strncmp(op, "is", 2) == 0)
        return psprintf("%s %s", column, strstr(op, "not") ? "IS NOT NULL" : "IS NULL");
    if (strcmp(op, "like") == 0 || strncmp(op, "starts", 6) == 0 || strncmp(op, "ends", 4) == 0 || strcmp(op, "contains") == 0)
        return pattern_sql(op, column, type, value);
    compared = compared_type(type, op, value);
    column = compared_sql(c, field, compared, value);
    if (sql_is_text(compared))
    {
        compared = TEXTOID;
        warn_of_text(c, node, op, value);
    }
    if (value->type == jbvBinary)
        return array_sql(op, column, compared, value->val.binary.data);
    return psprintf("%s %s %s", column, strcmp(op, "!=") == 0 ? "<>" : op, literal_sql(value, compared));
}

char *
condition_sql(Compiler *c, const GraphNode *node, JsonbContainer *object)
{
    JsonbContainer *conditions = json_get_container(object, "conditions");
    char *match = json_get_text(object, "match");
    const char *part = c->part;
    StringInfoData out;

    if (conditions == NULL)
    {
        char *sql = one_sql(c, node, object);

        check_note_part(c, part, sql, NULL);
        return sql;
    }
    initStringInfo(&out);
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
    {
        c->part = psprintf("%s%scondition %d", part ? part : "", part ? ", " : "", i + 1);
        appendStringInfo(&out, "%s(%s)", i == 0 ? "" : match && strcmp(match, "any") == 0 ? " OR " : " AND ",
                         condition_sql(c, node, getIthJsonbValueFromContainer(conditions, i)->val.binary.data));
    }
    c->part = part;
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

/* A group within a group stands in parentheses. */
static void
describe_part(StringInfo out, JsonbContainer *object)
{
    bool group = json_get_container(object, "conditions") != NULL;

    appendStringInfoString(out, group ? "(" : "");
    condition_describe(out, object);
    appendStringInfoString(out, group ? ")" : "");
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
            describe_part(out, item->val.binary.data);
    }
}
