/*
 * node_validate.c: the node that holds rows to rules.  See rule.h.
 *
 * A rule is a word, with what it needs behind a colon ("between:1,10") or in
 * the key "value" (a JSON scalar or array, for values with commas in them).
 * Comparisons are those of filters, so text is compared with a number as one.
 * Null passes every rule but not_null.
 */
#include "postgres.h"

#include <ctype.h>

#include "pg/rule.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "pg/condition.h"
#include "pg/exprcheck.h"
#include "pg/flow.h"
#include "pg/node.h"

static const char *const on_fail_values[] = {"fail", "skip", "warn", NULL};

static const JsonKey validate_keys[] = {{"rules", JSON_ARRAY, true, NULL}, {NULL, 0, false, NULL}};
static const JsonKey rule_keys[] = {
    {"field", JSON_STRING, false, NULL}, {"rule", JSON_STRING, true, NULL}, {"value", JSON_SCALAR | JSON_ARRAY, false, NULL},
    {"onFail", JSON_STRING, false, on_fail_values}, {NULL, 0, false, NULL}};

/* How many values a rule takes. */
typedef enum RuleTakes { TAKES_NOTHING, TAKES_ONE, TAKES_TWO, TAKES_SOME, TAKES_BOUNDS, TAKES_TEXT } RuleTakes;

static const struct RuleKind { const char *name; RuleTakes takes; const char *operator; const char *pattern; const char *example; } kinds[] = {
    {"not_null", TAKES_NOTHING, NULL, NULL, "not_null"},
    {"gt", TAKES_ONE, ">", NULL, "gt:0"},
    {"gte", TAKES_ONE, ">=", NULL, "gte:0"},
    {"lt", TAKES_ONE, "<", NULL, "lt:100"},
    {"lte", TAKES_ONE, "<=", NULL, "lte:100"},
    {"between", TAKES_TWO, "between", NULL, "between:1,10"},
    {"in", TAKES_SOME, "in", NULL, "in:new,open,closed"},
    {"regex", TAKES_TEXT, NULL, NULL, "regex:^[A-Z]{2}[0-9]+$"},
    {"length", TAKES_BOUNDS, NULL, NULL, "length:2,40"},
    {"email", TAKES_NOTHING, NULL, "^[^@\\s]+@[^@\\s.]+(\\.[^@\\s.]+)+$", "email"},
    {"url", TAKES_NOTHING, NULL, "^https?://[^\\s/?#]+\\S*$", "url"},
    {"uuid", TAKES_NOTHING, NULL, "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", "uuid"},
    {"expression", TAKES_TEXT, NULL, NULL, "expression:price * quantity < 1000"}};

/* ---- reading a rule ----------------------------------------------------------------- */

static const struct RuleKind *
find_kind(const char *rule)
{
    size_t length = strcspn(rule, ":");

    for (size_t i = 0; i < lengthof(kinds); i++)
    {
        if (strlen(kinds[i].name) == length && strncmp(kinds[i].name, rule, length) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* What stands behind the colon; NULL when there is none. */
static char *
argument(const char *rule)
{
    char *colon = strchr(rule, ':');

    return colon ? colon + 1 : NULL;
}

/* Is it spelled as a number in JSON? */
static bool
is_number(const char *text)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end;

    (void) strtod(text, &end);
    return isdigit((unsigned char) digits[0]) && !(digits[0] == '0' && isdigit((unsigned char) digits[1])) && *end == '\0' &&
           strspn(digits, "+-.0123456789eE") == strlen(digits) && end[-1] != '.';
}

/* Values between commas, as JSON: numbers when all of them are. */
static char *
list_json(char *text, bool array)
{
    StringInfoData out;
    List *items = NIL;
    bool numbers = true;
    char *save = NULL;
    ListCell *lc;

    for (char *item = array ? strtok_r(text, ",", &save) : text; item; item = array ? strtok_r(NULL, ",", &save) : NULL)
    {
        items = lappend(items, item);
        numbers &= is_number(item);
    }
    initStringInfo(&out);
    foreach(lc, items)
    {
        appendStringInfoString(&out, lc == list_head(items) ? (array ? "[" : "") : ", ");
        if (numbers)
            appendStringInfoString(&out, lfirst(lc));
        else
            json_append_string(&out, lfirst(lc));
    }
    appendStringInfoString(&out, array ? (items ? "]" : "[]") : "");
    return out.data;
}

/* The values of a rule that has some, as JSON text: a scalar, or an array where it takes several. */
static char *
values_json(JsonbContainer *object, const struct RuleKind *kind)
{
    JsonbValue *value = json_get(object, "value");
    char *text = argument(json_get_text(object, "rule"));
    StringInfoData out;

    if (value == NULL)
        return list_json(pstrdup(text), kind->takes != TAKES_ONE);
    initStringInfo(&out);
    json_append_value(&out, value);
    return out.data;
}

/* Two bounds of a length, each -1 when it is open; false when they make no sense. */
static bool
length_bounds(const char *text, int *least, int *most)
{
    char *end;

    *least = *most = -1;
    if (text[0] != ',')
    {
        if (!isdigit((unsigned char) text[0]))
            return false;
        *least = *most = (int) strtol(text, &end, 10);
        if (*end == '\0')
            return true;
        text = end;
    }
    if (*text != ',' || (text[1] != '\0' && !isdigit((unsigned char) text[1])))
        return false;
    *most = text[1] ? (int) strtol(text + 1, &end, 10) : -1;
    return (text[1] == '\0' || *end == '\0') && (*least >= 0 || *most >= 0) && (*most < 0 || *least <= *most);
}

static JsonbContainer *
rule_object(const GraphNode *node, int place)
{
    return getIthJsonbValueFromContainer(json_get_container(node->config, "rules"), place)->val.binary.data;
}

/* The comparison a rule is, as a filter's condition. */
static JsonbContainer *
comparison(JsonbContainer *object, const struct RuleKind *kind)
{
    StringInfoData json;

    initStringInfo(&json);
    appendStringInfoString(&json, "{\"field\": ");
    json_append_string(&json, json_get_text(object, "field"));
    appendStringInfo(&json, ", \"operator\": \"%s\", \"value\": %s}", kind->operator, values_json(object, kind));
    return &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)))->root;
}

/* ---- checking ------------------------------------------------------------------------ */

static void
check_rule(JsonbContainer *object, const char *what, const GraphNode *node, List **findings)
{
    char *rule = json_get_text(object, "rule");
    const struct RuleKind *kind = find_kind(rule);
    char *text = argument(rule);
    JsonbValue *value = json_get(object, "value");
    int least, most;

    if (kind == NULL)
    {
        StringInfoData valid;

        initStringInfo(&valid);
        for (size_t i = 0; i < lengthof(kinds); i++)
            appendStringInfo(&valid, "%s%s", i ? ", " : "", kinds[i].example);
        graph_complain(findings, node->id, "wrong_value", psprintf("Rules are, for example: %s.", valid.data), "%s has no rule \"%s\"", what, rule);
        return;
    }
    if (json_get_text(object, "field") == NULL && strcmp(kind->name, "expression") != 0)
        graph_complain(findings, node->id, "missing_key", NULL, "%s needs key \"field\"", what);
    if (value && text)
        graph_complain(findings, node->id, "wrong_value", NULL, "%s has values both in \"rule\" and in \"value\"", what);
    else if (kind->takes == TAKES_NOTHING && (text || value))
        graph_complain(findings, node->id, "wrong_value", NULL, "rule \"%s\" takes no value", kind->name);
    else if (kind->takes != TAKES_NOTHING && (text == NULL || text[0] == '\0') && (value == NULL || value->type == jbvNull))
        graph_complain(findings, node->id, "wrong_value", psprintf("For example \"%s\".", kind->example), "rule \"%s\" needs a value", kind->name);
    else if ((kind->takes == TAKES_TEXT || kind->takes == TAKES_BOUNDS) && value)
        graph_complain(findings, node->id, "wrong_value", psprintf("For example \"%s\".", kind->example), "rule \"%s\" takes no key \"value\"", kind->name);
    else if (kind->takes == TAKES_BOUNDS && !length_bounds(text, &least, &most))
        graph_complain(findings, node->id, "wrong_value", "It is a number of characters, or the least and the most, one of which may be left out: length:2,40.",
                       "\"%s\" is no length", text);
    else if (kind->operator && json_get_text(object, "field"))
        condition_check(comparison(object, kind), what, node, findings);
}

static void
validate_check(const GraphNode *node, List **findings)
{
    JsonbContainer *rules = json_get_container(node->config, "rules");
    GraphComplaint complaint = {findings, node->id};

    if (JsonContainerSize(rules) == 0)
        graph_complain(findings, node->id, "wrong_value", NULL, "\"rules\" must not be empty");
    for (int i = 0; i < (int) JsonContainerSize(rules); i++)
    {
        JsonbValue *item = getIthJsonbValueFromContainer(rules, i);
        char *what = psprintf("rule %d", i + 1);

        if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
            graph_complain(findings, node->id, "wrong_type", NULL, "%s must be an object", what);
        else if (json_check(item->val.binary.data, rule_keys, what, graph_complain_config, &complaint))
            check_rule(item->val.binary.data, what, node, findings);
    }
}

/* ---- compiling ------------------------------------------------------------------------- */

static void
validate_walk(Compiler *c, const GraphNode *node)
{
    JsonbContainer *rules = json_get_container(node->config, "rules");

    for (int i = 0; i < (int) JsonContainerSize(rules); i++)
    {
        JsonbContainer *object = rule_object(node, i);
        const struct RuleKind *kind = find_kind(json_get_text(object, "rule"));
        char *field = json_get_text(object, "field"), *text = argument(json_get_text(object, "rule"));

        if (field)
            flow_use(c, node, field, kind->pattern != NULL || kind->takes == TAKES_BOUNDS || strcmp(kind->name, "regex") == 0);
        if (strcmp(kind->name, "expression") == 0)
        {
            ListCell *lc;

            foreach(lc, exprcheck_parse(text))
                flow_use(c, node, lfirst(lc), false);
        }
        /* a pattern that is none fails here, and not at the first row */
        else if (strcmp(kind->name, "regex") == 0)
            (void) DirectFunctionCall2Coll(textregexeq, DEFAULT_COLLATION_OID, PointerGetDatum(cstring_to_text("")), PointerGetDatum(cstring_to_text(text)));
    }
}

static char *
rule_sql(Compiler *c, JsonbContainer *object)
{
    const struct RuleKind *kind = find_kind(json_get_text(object, "rule"));
    char *field = json_get_text(object, "field"), *text = argument(json_get_text(object, "rule"));
    const FlowColumn *column = field ? flow_find(c, field) : NULL;
    int least, most;

    if (kind->operator)
        return condition_sql(c, comparison(object, kind));
    if (strcmp(kind->name, "expression") == 0)
        return psprintf("(\n%s\n)", text);
    if (strcmp(kind->name, "not_null") == 0)
        return psprintf("%s IS NOT NULL", sql_name(column->name));
    if (kind->takes != TAKES_BOUNDS)
        return psprintf("%s ~ %s", sql_as_text(c, column), sql_literal(kind->pattern ? kind->pattern : text));
    (void) length_bounds(text, &least, &most);
    if (most < 0)
        return psprintf("length(%s) >= %d", sql_as_text(c, column), least);
    return psprintf("length(%s) BETWEEN %d AND %d", sql_as_text(c, column), Max(least, 0), most);
}

static void
validate_write(Compiler *c, const GraphNode *node)
{
    JsonbContainer *rules = json_get_container(node->config, "rules");
    StringInfoData tail;

    initStringInfo(&tail);
    for (int i = 0; i < (int) JsonContainerSize(rules); i++)
        appendStringInfo(&tail, "\n%s kaireon.rule(%d, %s)", i ? "  AND" : "WHERE", i, rule_sql(c, rule_object(node, i)));
    sql_wrap(c, node, "*", tail.data);
}

static void
validate_describe(const GraphNode *node, StringInfo out)
{
    JsonbContainer *rules = json_get_container(node->config, "rules");

    for (int i = 0; rules && i < (int) JsonContainerSize(rules); i++)
    {
        JsonbValue *item = getIthJsonbValueFromContainer(rules, i);
        char *field, *rule;

        if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
            continue;
        field = json_get_text(item->val.binary.data, "field");
        rule = json_get_text(item->val.binary.data, "rule");
        if (rule)
            appendStringInfo(out, "%s%s%s%s", out->len ? ", " : "", field ? field : "", field ? " " : "", rule);
    }
}

const NodeOp node_validate = {
    .name = "validate",
    .kind = NODE_ROW,
    .keys = validate_keys,
    .check = validate_check,
    .walk = validate_walk,
    .write = validate_write,
    .describe = validate_describe,
};

/* ---- in a stage ------------------------------------------------------------------------- */

PG_FUNCTION_INFO_V1(kaireon_rule);

Datum
kaireon_rule(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(PG_ARGISNULL(1) || PG_GETARG_BOOL(1));
}

Expr *
rule_condition(Expr *expr, int *place)
{
    FuncExpr *call = (FuncExpr *) expr;
    char *schema;

    if (!IsA(expr, FuncExpr) || list_length(call->args) != 2 || !IsA(linitial(call->args), Const))
        return NULL;
    schema = get_namespace_name(get_func_namespace(call->funcid));
    if (schema == NULL || strcmp(schema, "kaireon") != 0 || strcmp(get_func_name(call->funcid), "rule") != 0)
        return NULL;
    *place = DatumGetInt32(linitial_node(Const, call->args)->constvalue);
    return lsecond(call->args);
}

Rule *
rule_of(const GraphNode *node, int place)
{
    JsonbContainer *object = rule_object(node, place);
    char *on_fail = json_get_text(object, "onFail");
    Rule *rule = palloc(sizeof(Rule));

    rule->field = json_get_text(object, "field");
    rule->rule = json_get_text(object, "rule");
    rule->place = place;
    rule->on_fail = on_fail == NULL || strcmp(on_fail, "fail") == 0 ? RULE_FAIL : strcmp(on_fail, "skip") == 0 ? RULE_SKIP : RULE_WARN;
    return rule;
}
