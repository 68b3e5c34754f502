/*
 * node_validate_dataset.c: the checks of validate nodes on all rows together,
 * as configured and compiled.  See dataset.h.
 */
#include "postgres.h"

#include "pg/validate.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "pg/dataset.h"
#include "pg/node.h"
#include "pg/rule.h"

/* That row_count_change compares with. */
#define MAX_RUNS 1000

static const char *const dataset_on_fail[] = {"fail", "warn", NULL};

/* What a check takes, and the type its field is looked at in; NULL: as it is. */
static const struct DatasetKind { const char *name; DatasetMeasure measure; bool takes_field; const char *cast; const char *example; } kinds[] = {
    {"row_count", DATASET_ROW_COUNT, false, NULL, "{\"check\": \"row_count\", \"min\": 1000}"},
    {"row_count_change", DATASET_ROW_COUNT_CHANGE, false, NULL, "{\"check\": \"row_count_change\", \"min\": -20, \"max\": 50}"},
    {"null_share", DATASET_NULL_SHARE, true, NULL, "{\"check\": \"null_share\", \"field\": \"email\", \"max\": 0.05}"},
    {"distinct_share", DATASET_DISTINCT_SHARE, true, NULL, "{\"check\": \"distinct_share\", \"field\": \"customer\", \"min\": 0.9}"},
    {"sum", DATASET_SUM, true, "numeric", "{\"check\": \"sum\", \"field\": \"amount\", \"max\": 1000000}"},
    {"avg", DATASET_AVG, true, "numeric", "{\"check\": \"avg\", \"field\": \"amount\", \"min\": 5, \"max\": 10}"},
    {"freshness", DATASET_FRESHNESS, true, "timestamptz", "{\"check\": \"freshness\", \"field\": \"updated\", \"maxAge\": \"1 day\"}"}};

static const char *const check_names[] = {"row_count", "row_count_change", "null_share", "distinct_share", "sum", "avg", "freshness", NULL};

static const JsonKey check_keys[] = {
    {"check", JSON_STRING, true, check_names}, {"field", JSON_STRING, false, NULL}, {"min", JSON_NUMBER, false, NULL},
    {"max", JSON_NUMBER, false, NULL}, {"maxAge", JSON_STRING, false, NULL}, {"runs", JSON_INTEGER, false, NULL}, {"onFail", JSON_STRING, false, dataset_on_fail},
    {NULL, 0, false, NULL}};

static const struct DatasetKind *
find_kind(const char *name)
{
    for (size_t i = 0; i < lengthof(kinds); i++)
    {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

static JsonbContainer *
check_object(const GraphNode *node, int place)
{
    return json_get_object(node->config, "dataset", place);
}

/* A bound; NULL when there is none. */
static Numeric
bound(JsonbContainer *object, const char *key)
{
    JsonbValue *value = json_get(object, key);

    return value ? value->val.numeric : NULL;
}

int
dataset_count(const GraphNode *node)
{
    return strcmp(node->op->name, "validate") == 0 ? json_count(node->config, "dataset") : 0;
}

DatasetCheck
dataset_check_of(const GraphNode *node, int place)
{
    JsonbContainer *object = check_object(node, place);
    const struct DatasetKind *kind = find_kind(json_get_text(object, "check"));
    char *on_fail = json_get_text(object, "onFail");
    DatasetCheck check;

    check.name = kind->name;
    check.measure = kind->measure;
    check.field = json_get_text(object, "field");
    check.min = bound(object, "min");
    check.max = bound(object, "max");
    check.max_age = json_get_text(object, "maxAge");
    check.runs = (int) json_get_int(object, "runs", 1);
    check.warns = on_fail && strcmp(on_fail, "warn") == 0;
    return check;
}

/* ---- checking ------------------------------------------------------------------------ */

static void
check_one(JsonbContainer *object, const char *what, const GraphNode *node, List **findings)
{
    const struct DatasetKind *kind = find_kind(json_get_text(object, "check"));
    char *example = psprintf("For example %s.", kind->example);
    bool fresh = kind->measure == DATASET_FRESHNESS;
    Numeric min = bound(object, "min"), max = bound(object, "max");
    int64 runs = json_get_int(object, "runs", 1);

    if (kind->takes_field && json_get_text(object, "field") == NULL)
        graph_complain(findings, node->id, "missing_key", example, "%s needs key \"field\"", what);
    if (!kind->takes_field && json_get(object, "field"))
        graph_complain(findings, node->id, "wrong_value", example, "check \"%s\" takes no key \"field\"", kind->name);
    if (fresh != (json_get(object, "maxAge") != NULL))
        graph_complain(findings, node->id, fresh ? "missing_key" : "wrong_value", example, fresh ? "check \"%s\" needs key \"maxAge\"" : "check \"%s\" takes no key \"maxAge\"", kind->name);
    if (json_get(object, "runs") && kind->measure != DATASET_ROW_COUNT_CHANGE)
        graph_complain(findings, node->id, "wrong_value", example, "check \"%s\" takes no key \"runs\"", kind->name);
    else if (runs < 1 || runs > MAX_RUNS)
        graph_complain(findings, node->id, "wrong_value", psprintf("Valid values are 1 to %d.", MAX_RUNS), "\"runs\" of %s is out of range", what);
    if (fresh && (min || max))
        graph_complain(findings, node->id, "wrong_value", example, "check \"%s\" takes neither \"min\" nor \"max\"", kind->name);
    if (!fresh && min == NULL && max == NULL)
        graph_complain(findings, node->id, "missing_key", example, "%s needs key \"min\" or \"max\"", what);
    if (min && max && DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(min), NumericGetDatum(max))) > 0)
        graph_complain(findings, node->id, "wrong_value", "The lower bound is min.", "\"min\" of %s is more than its \"max\"", what);
}

static const char *
check_name(int place)
{
    return psprintf("dataset check %d", place + 1);
}

static void
check_place(const GraphNode *node, int place, List **findings)
{
    GraphComplaint complaint = {findings, node->id};
    JsonbContainer *object = check_object(node, place);

    if (object == NULL)
        graph_complain(findings, node->id, "wrong_type", "For example {\"check\": \"row_count\", \"min\": 1}.", "%s must be an object", check_name(place));
    else if (json_check(object, check_keys, check_name(place), graph_complain_config, &complaint))
        check_one(object, check_name(place), node, findings);
}

void
dataset_check(const GraphNode *node, List **findings)
{
    for (int i = 0; i < json_count(node->config, "dataset"); i++)
        check_place(node, i, findings);
}

/* Is the check right as such?  One that is not is left out when the rest of the node is looked at. */
static bool
is_sound(const GraphNode *node, int place)
{
    List *findings = NIL;

    if (node->flawed)
        check_place(node, place, &findings);
    return findings == NIL;
}

/* ---- compiling ------------------------------------------------------------------------- */

static void
walk_check(Compiler *c, const GraphNode *node, int part)
{
    DatasetCheck check = dataset_check_of(node, part - validate_count(node));

    if (check.field)
        (void) flow_use(c, node, check.field, false);
    /* an age that is none fails here, and not at the end of a run */
    if (check.max_age)
        (void) DirectFunctionCall3(interval_in, CStringGetDatum(check.max_age), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

void
dataset_walk(Compiler *c, const GraphNode *node)
{
    for (int i = 0; i < dataset_count(node); i++)
    {
        if (is_sound(node, i))
            (void) check_part(c, node, validate_count(node) + i, walk_check, check_name(i));
    }
}

static void
require_hash(Compiler *c, const GraphNode *node, const FlowColumn *column)
{
    Oid type = flow_type(c, column);

    if (!OidIsValid(lookup_type_cache(type, TYPECACHE_HASH_EXTENDED_PROC)->hash_extended_proc))
        graph_complain(c->findings, node->id, "type_mismatch", "Cast it before the node.", "values of field \"%s\" of type %s can't be told apart",
                       column->name, format_type_be(type));
}

void
dataset_conditions(Compiler *c, const GraphNode *node, StringInfo out)
{
    for (int i = 0; i < dataset_count(node); i++)
    {
        bool written = is_sound(node, i) && !check_is_wrong_part(c, node, validate_count(node) + i);
        DatasetCheck check = written ? dataset_check_of(node, i) : (DatasetCheck) {0};
        const FlowColumn *column = check.field ? flow_find(c, check.field) : NULL;
        const char *cast, *value;

        if (column == NULL)
            continue;
        cast = find_kind(check.name)->cast;
        if (check.measure == DATASET_DISTINCT_SHARE)
            require_hash(c, node, column);
        value = sql_name(column->name);
        if (cast)
            value = sql_cast(c, column, compile_field_type(cast), -1);
        check_note_part(c, check_name(i), value, NULL);
        appendStringInfo(out, "%skaireon.observe(%d, %s)", out->len ? "\n  AND " : "", i, value);
    }
}

void
dataset_describe(const GraphNode *node, StringInfo out)
{
    for (int i = 0; i < json_count(node->config, "dataset"); i++)
    {
        JsonbContainer *object = check_object(node, i);
        char *field = object ? json_get_text(object, "field") : NULL, *check = object ? json_get_text(object, "check") : NULL;

        if (check)
            appendStringInfo(out, "%s%s%s%s", out->len ? ", " : "", check, field ? " of " : "", field ? field : "");
    }
}

/* ---- in a stage ------------------------------------------------------------------------- */

PG_FUNCTION_INFO_V1(kaireon_observe);

Datum
kaireon_observe(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(true);
}

Expr *
dataset_observed(Expr *expr, int *place)
{
    return rule_call(expr, "observe", place);
}
