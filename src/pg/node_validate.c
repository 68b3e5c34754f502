/*
 * node_validate.c: the node that holds rows to rules.  See rule.h; rules about
 * all rows are in node_validate_all.c, checks on all together in
 * node_validate_dataset.c.
 *
 * A rule is a word, with what it needs behind a colon ("between:1,10") or in
 * the key "value" (a JSON scalar or array, for values with commas in them).
 * Comparisons are those of filters, so text is compared with a number as one.
 * Null passes every rule but not_null.
 */
#include "postgres.h"

#include <ctype.h>
#include <limits.h>

#include "pg/rule.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "pg/condition.h"
#include "pg/guard.h"
#include "pg/node.h"
#include "pg/validate.h"

/* In the order of RuleOnFail. */
static const char *const on_fail_values[] = {"fail", "skip", "quarantine", "warn", NULL};

const JsonKey validate_keys[] = {{"rules", JSON_ARRAY, false, NULL}, {"dataset", JSON_ARRAY, false, NULL}, {NULL, 0, false, NULL}};
static const JsonKey rule_keys[] = {
    {"field", JSON_STRING, false, NULL}, {"rule", JSON_STRING, true, NULL}, {"value", JSON_SCALAR | JSON_ARRAY, false, NULL},
    {"schema", JSON_STRING, false, NULL}, {"schemaField", JSON_STRING, false, NULL}, {"onFail", JSON_STRING, false, on_fail_values}, {NULL, 0, false, NULL}};

static const RuleKind kinds[] = {
    {"not_null", TAKES_NOTHING, NULL, NULL, false, "not_null"},
    {"gt", TAKES_ONE, ">", NULL, false, "gt:0"},
    {"gte", TAKES_ONE, ">=", NULL, false, "gte:0"},
    {"lt", TAKES_ONE, "<", NULL, false, "lt:100"},
    {"lte", TAKES_ONE, "<=", NULL, false, "lte:100"},
    {"between", TAKES_TWO, "between", NULL, false, "between:1,10"},
    {"in", TAKES_SOME, "in", NULL, false, "in:new,open,closed"},
    {"regex", TAKES_TEXT, NULL, NULL, false, "regex:^[A-Z]{2}[0-9]+$"},
    {"length", TAKES_BOUNDS, NULL, NULL, false, "length:2,40"},
    {"email", TAKES_NOTHING, NULL, "^[^@\\s]+@[^@\\s.]+(\\.[^@\\s.]+)+$", false, "email"},
    {"url", TAKES_NOTHING, NULL, "^https?://[^\\s/?#]+\\S*$", false, "url"},
    {"uuid", TAKES_NOTHING, NULL, "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", false, "uuid"},
    {"unique", TAKES_NOTHING, NULL, NULL, true, "unique"},
    {"reference", TAKES_FIELD, NULL, NULL, true, "reference"},
    {"expression", TAKES_TEXT, NULL, NULL, false, "expression:price * quantity < 1000"}};

/* ---- reading a rule ----------------------------------------------------------------- */

static const RuleKind *
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
argument(char *rule)
{
    char *colon = strchr(rule, ':');

    return colon ? colon + 1 : NULL;
}

/* As PostgreSQL reads numbers, which JSON does not take all for such: .5, 5. and 1.e5, too; but not 01, which is a code. */
static bool
is_number(const char *item)
{
    const char *digits = item[0] == '-' ? item + 1 : item;
    char *end;

    (void) strtod(item, &end);
    return (isdigit((unsigned char) digits[0]) || digits[0] == '.') && *end == '\0' && strspn(digits, "+-.0123456789eE") == strlen(digits) &&
           !(digits[0] == '0' && isdigit((unsigned char) digits[1]));
}

static Datum
read_number(const char *item)
{
    return DirectFunctionCall3(numeric_in, CStringGetDatum(item), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
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
            appendStringInfoString(&out, DatumGetCString(DirectFunctionCall1(numeric_out, read_number(lfirst(lc)))));
        else
            json_append_string(&out, lfirst(lc));
    }
    appendStringInfoString(&out, array ? (items ? "]" : "[]") : "");
    return out.data;
}

const RuleKind *
validate_kind(JsonbContainer *rule)
{
    return find_kind(json_get_text(rule, "rule"));
}

/* The values of a rule that has some, as JSON text: a scalar, or an array where it takes several. */
static char *
values_json(JsonbContainer *object, const RuleKind *kind)
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

/* A number at *text, which moves behind it; false when there is none, or no text is so long. */
static bool
take_length(const char **text, int *length)
{
    char *end;
    long number;

    if (!isdigit((unsigned char) **text))
        return false;
    errno = 0;
    number = strtol(*text, &end, 10);
    *text = end;
    *length = (int) number;
    return errno == 0 && number <= INT_MAX;
}

/* Two bounds of a length, each -1 when it is open; false when they make no sense. */
static bool
length_bounds(const char *text, int *least, int *most)
{
    *least = *most = -1;
    if (*text != ',')
    {
        if (!take_length(&text, least))
            return false;
        *most = *least;
        if (*text == '\0')
            return true;
        *most = -1;
    }
    if (*text++ != ',' || (*text != '\0' && !take_length(&text, most)))
        return false;
    return *text == '\0' && (*least >= 0 || *most >= 0) && (*most < 0 || *least <= *most);
}

int
validate_count(const GraphNode *node)
{
    return json_count(node->config, "rules");
}

JsonbContainer *
validate_rule(const GraphNode *node, int place)
{
    return json_get_object(node->config, "rules", place);
}

/* The comparison a rule is, as a filter's condition. */
static JsonbContainer *
comparison(JsonbContainer *object, const RuleKind *kind)
{
    StringInfoData json;

    initStringInfo(&json);
    appendStringInfoString(&json, "{\"field\": ");
    json_append_string(&json, json_get_text(object, "field"));
    appendStringInfo(&json, ", \"operator\": \"%s\", \"value\": %s}", kind->operator, values_json(object, kind));
    return &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)))->root;
}

/* A rule as it is shown: what it refers to stands in keys of its own. */
static char *
shown_rule(JsonbContainer *object)
{
    char *rule = json_get_text(object, "rule"), *schema = json_get_text(object, "schema"), *field = json_get_text(object, "schemaField");

    return rule && schema && field ? psprintf("%s:%s.%s", rule, schema, field) : rule;
}

/* ---- checking ------------------------------------------------------------------------ */

/* Only a reference names a schema and a field of it. */
static void
check_referred(JsonbContainer *object, const char *what, const RuleKind *kind, const GraphNode *node, List **findings)
{
    static const char *const keys[] = {"schema", "schemaField"};

    for (size_t i = 0; i < lengthof(keys); i++)
    {
        bool given = json_get(object, keys[i]) != NULL;

        if (given && kind->takes != TAKES_FIELD)
            graph_complain(findings, node->id, "wrong_value", "Leave it out: only a reference names a schema.", "%s: \"%s\" takes no key \"%s\"", what, kind->name, keys[i]);
        else if (!given && kind->takes == TAKES_FIELD)
            graph_complain(findings, node->id, "missing_key", "For example \"schema\": \"customers\", \"schemaField\": \"customer_id\".",
                           "%s needs key \"%s\"", what, keys[i]);
    }
}

/* Is it of a kind that a rule may have?  If not, that has been said. */
static bool
has_values(const JsonbValue *value)
{
    return value->type != jbvBinary || JsonContainerIsArray(value->val.binary.data);
}

static void
try_number(void *arg)
{
    (void) read_number(arg);
}

/* The first of the values behind the colon that is spelled as a number, but larger or finer than any; NULL: none is. */
static char *
find_no_number(const char *text, bool several)
{
    char *copy = pstrdup(text), *save = NULL;

    for (char *item = several ? strtok_r(copy, ",", &save) : copy; item; item = several ? strtok_r(NULL, ",", &save) : NULL)
    {
        if (is_number(item) && guard_try(try_number, item, CurrentMemoryContext))
            return item;
    }
    return NULL;
}

/* Values that a rule takes, or does not. */
static void
check_values(JsonbContainer *object, const char *what, const RuleKind *kind, const GraphNode *node, List **findings)
{
    char *text = argument(json_get_text(object, "rule")), *example = psprintf("For example \"%s\".", kind->example);
    JsonbValue *value = json_get(object, "value");
    bool takes_none = kind->takes == TAKES_NOTHING || kind->takes == TAKES_FIELD;
    char *no_number = kind->operator && text ? find_no_number(text, kind->takes != TAKES_ONE) : NULL;
    int least, most;

    if (value && text)
        graph_complain(findings, node->id, "wrong_value", example, "%s has values both in \"rule\" and in \"value\"", what);
    else if (takes_none && (text || value))
        graph_complain(findings, node->id, "wrong_value", example, "%s: \"%s\" takes no value", what, kind->name);
    else if (!takes_none && (text == NULL || text[0] == '\0') && (value == NULL || value->type == jbvNull))
        graph_complain(findings, node->id, "wrong_value", example, "%s: \"%s\" needs a value", what, kind->name);
    else if ((kind->takes == TAKES_TEXT || kind->takes == TAKES_BOUNDS) && value)
        graph_complain(findings, node->id, "wrong_value", example, "%s: \"%s\" takes no key \"value\"", what, kind->name);
    else if (kind->takes == TAKES_BOUNDS && !length_bounds(text, &least, &most))
        graph_complain(findings, node->id, "wrong_value", "It is a number of characters, or the least and the most, one of which may be left out: length:2,40.",
                       "%s: \"%s\" is no length", what, text);
    else if (no_number)
        graph_complain(findings, node->id, "wrong_value", "Numbers have up to 131,072 digits before the decimal point and 16,383 behind it.",
                       "%s: number \"%s\" is out of range", what, no_number);
    else if (kind->operator && json_get_text(object, "field") && (value == NULL || has_values(value)))
        condition_check(comparison(object, kind), what, node, findings);
}

static void
check_rule(JsonbContainer *object, const char *what, const GraphNode *node, List **findings)
{
    JsonbValue *given = json_get(object, "rule");
    char *rule = given && given->type == jbvString ? json_scalar_text(given) : NULL;
    const RuleKind *kind = rule ? find_kind(rule) : NULL;

    if (rule == NULL)            /* which has been said */
        return;
    if (kind == NULL)
    {
        StringInfoData valid;

        initStringInfo(&valid);
        for (size_t i = 0; i < lengthof(kinds); i++)
            appendStringInfo(&valid, "%s%s", i ? ", " : "", kinds[i].example);
        graph_complain(findings, node->id, "wrong_value", psprintf("Rules are, for example: %s.", valid.data), "%s has no rule \"%s\"", what, rule);
        return;
    }
    if (json_get(object, "field") == NULL && strcmp(kind->name, "expression") != 0)
        graph_complain(findings, node->id, "missing_key", "For example {\"field\": \"amount\", \"rule\": \"gt:0\"}.", "%s needs key \"field\"", what);
    check_referred(object, what, kind, node, findings);
    check_values(object, what, kind, node, findings);
}

const char *
validate_name(int place)
{
    return psprintf("rule %d", place + 1);
}

static void
check_place(const GraphNode *node, int place, List **findings)
{
    GraphComplaint complaint = {findings, node->id};
    JsonbContainer *object = validate_rule(node, place);

    if (object == NULL)
    {
        graph_complain(findings, node->id, "wrong_type", "For example {\"field\": \"amount\", \"rule\": \"gt:0\"}.", "%s must be an object", validate_name(place));
        return;
    }
    json_check(object, rule_keys, validate_name(place), graph_complain_config, &complaint);
    check_rule(object, validate_name(place), node, findings);
}

bool
validate_is_sound(const GraphNode *node, int place)
{
    List *findings = NIL;

    if (node->flawed)
        check_place(node, place, &findings);
    return findings == NIL;
}

bool
validate_is_written(const Compiler *c, const GraphNode *node, int place)
{
    return validate_is_sound(node, place) && !check_is_wrong_part(c, node, place);
}

void
validate_check(const GraphNode *node, List **findings)
{
    bool given = json_get(node->given, "rules") || json_get(node->given, "dataset");
    bool said = json_get(node->given, "rules") && !json_get(node->config, "rules");

    said |= json_get(node->given, "dataset") && !json_get(node->config, "dataset");
    if (validate_count(node) == 0 && json_count(node->config, "dataset") == 0 && !said)
        graph_complain(findings, node->id, given ? "wrong_value" : "missing_key", "For example {\"rules\": [{\"field\": \"amount\", \"rule\": \"gt:0\"}]}.",
                       "a validate node needs \"rules\" or \"dataset\", and one of them not empty");
    for (int i = 0; i < validate_count(node); i++)
        check_place(node, i, findings);
    dataset_check(node, findings);
}

const NodeOp *
validate_variant(const GraphNode *node)
{
    for (int i = 0; i < validate_count(node); i++)
    {
        JsonbContainer *object = validate_rule(node, i);
        char *rule = object ? json_get_text(object, "rule") : NULL;
        const RuleKind *kind = rule ? find_kind(rule) : NULL;

        if (kind && kind->of_all)
            return &node_validate_all;
    }
    return &node_validate;
}

/* ---- compiling ------------------------------------------------------------------------- */

static void
walk_rule(Compiler *c, const GraphNode *node, int place)
{
    JsonbContainer *object = validate_rule(node, place);
    const RuleKind *kind = validate_kind(object);
    char *field = json_get_text(object, "field"), *text = argument(json_get_text(object, "rule"));

    if (field)
        flow_use(c, node, field, kind->pattern != NULL || kind->takes == TAKES_BOUNDS || strcmp(kind->name, "regex") == 0);
    if (strcmp(kind->name, "expression") == 0)
        flow_use_expression(c, node, text);
    /* a pattern that is none fails here, and not at the first row */
    else if (strcmp(kind->name, "regex") == 0)
        (void) DirectFunctionCall2Coll(textregexeq, DEFAULT_COLLATION_OID, PointerGetDatum(cstring_to_text("")), PointerGetDatum(cstring_to_text(text)));
}

void
validate_walk_rows(Compiler *c, const GraphNode *node)
{
    for (int i = 0; i < validate_count(node); i++)
    {
        if (validate_is_sound(node, i) && !validate_kind(validate_rule(node, i))->of_all)
            (void) check_part(c, node, i, walk_rule, validate_name(i));
    }
}

static char *
rule_sql(Compiler *c, const GraphNode *node, JsonbContainer *object)
{
    const RuleKind *kind = validate_kind(object);
    char *field = json_get_text(object, "field"), *text = argument(json_get_text(object, "rule"));
    const FlowColumn *column = field ? flow_find(c, field) : NULL;
    int least, most;

    if (kind->operator)
        return condition_sql(c, node, comparison(object, kind));
    if (strcmp(kind->name, "expression") == 0)
        return psprintf("(\n%s\n) IS NOT FALSE", text);
    if (strcmp(kind->name, "not_null") == 0)
        return psprintf("%s IS NOT NULL", sql_name(column->name));
    if (kind->takes != TAKES_BOUNDS)
        return psprintf("%s ~ %s", sql_as_text(c, column), sql_literal(kind->pattern ? kind->pattern : text));
    (void) length_bounds(text, &least, &most);
    if (most < 0)
        return psprintf("length(%s) >= %d", sql_as_text(c, column), least);
    return psprintf("length(%s) BETWEEN %d AND %d", sql_as_text(c, column), Max(least, 0), most);
}

void
validate_add_condition(StringInfo out, int place, const char *condition)
{
    appendStringInfo(out, "%skaireon.rule(%d, %s)", out->len ? "\n  AND " : "", place, condition);
}

void
validate_row_conditions(Compiler *c, const GraphNode *node, StringInfo out)
{
    for (int i = 0; i < validate_count(node); i++)
    {
        JsonbContainer *object = validate_is_written(c, node, i) ? validate_rule(node, i) : NULL;
        char *condition;

        if (object == NULL || validate_kind(object)->of_all)
            continue;
        c->part = validate_name(i);
        condition = rule_sql(c, node, object);
        c->part = NULL;
        check_note_part(c, validate_name(i), condition, strcmp(validate_kind(object)->name, "expression") == 0 ? argument(json_get_text(object, "rule")) : NULL);
        validate_add_condition(out, i, condition);
    }
}

static void
validate_walk(Compiler *c, const GraphNode *node)
{
    validate_walk_rows(c, node);
    dataset_walk(c, node);
}

static void
validate_write(Compiler *c, const GraphNode *node)
{
    StringInfoData conditions;

    initStringInfo(&conditions);
    validate_row_conditions(c, node, &conditions);
    dataset_conditions(c, node, &conditions);
    if (conditions.len)          /* the number of rows is counted anyway */
        sql_wrap(c, node, "*", psprintf("\nWHERE %s", conditions.data));
}

void
validate_describe(const GraphNode *node, StringInfo out)
{
    for (int i = 0; i < validate_count(node); i++)
    {
        JsonbContainer *object = validate_rule(node, i);
        char *field = object ? json_get_text(object, "field") : NULL, *rule = object ? shown_rule(object) : NULL;

        if (rule)
            appendStringInfo(out, "%s%s%s%s", out->len ? ", " : "", field ? field : "", field ? " " : "", rule);
    }
    dataset_describe(node, out);
}

const NodeOp node_validate = {
    .name = "validate",
    .kind = NODE_ROW,
    .keeps_fields = true,
    .keys = validate_keys,
    .check = validate_check,
    .forgiving = true,
    .variant = validate_variant,
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
rule_call(Expr *expr, const char *name, int *place)
{
    FuncExpr *call = (FuncExpr *) expr;
    char *schema;

    if (!IsA(expr, FuncExpr) || list_length(call->args) != 2 || !IsA(linitial(call->args), Const))
        return NULL;
    schema = get_namespace_name(get_func_namespace(call->funcid));
    if (schema == NULL || strcmp(schema, "kaireon") != 0 || strcmp(get_func_name(call->funcid), name) != 0)
        return NULL;
    *place = DatumGetInt32(linitial_node(Const, call->args)->constvalue);
    return lsecond(call->args);
}

Expr *
rule_condition(Expr *expr, int *place)
{
    return rule_call(expr, "rule", place);
}

static RuleOnFail
rule_on_fail(JsonbContainer *object)
{
    char *on_fail = json_get_text(object, "onFail");

    for (int i = 0; on_fail && on_fail_values[i]; i++)
    {
        if (strcmp(on_fail_values[i], on_fail) == 0)
            return (RuleOnFail) i;
    }
    return RULE_FAIL;
}

Rule *
rule_of(const GraphNode *node, int place)
{
    JsonbContainer *object = validate_rule(node, place);
    Rule *rule = palloc(sizeof(Rule));

    rule->field = json_get_text(object, "field");
    rule->rule = shown_rule(object);
    rule->of_all = validate_kind(object)->of_all;
    rule->column = rule->of_all ? sql_identifier(rule->field) : NULL;
    rule->place = place;
    rule->on_fail = rule_on_fail(object);
    return rule;
}

bool
rule_quarantines(const Graph *graph)
{
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        bool validates = strcmp(node->op->name, node_validate.name) == 0;

        for (int place = 0; validates && place < validate_count(node); place++)
        {
            if (rule_on_fail(validate_rule(node, place)) == RULE_QUARANTINE)
                return true;
        }
    }
    return false;
}
