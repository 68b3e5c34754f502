/*
 * node_validate_all.c: a validate node with rules about all rows: unique, and
 * reference to a schema's field.  See validate.h.
 *
 * Its query marks each row with what it finds.  References come first, by joins
 * with the tables as they were before the run; then one level for each unique
 * rule, which counts the rows of a value in the order in which they came: a row
 * that is left out by a rule before is no first of its value.  Sorts and joins
 * spill, so memory is that of kaireon.work_mem, however many values there are.
 */
#include "postgres.h"

#include "pg/validate.h"

#include "utils/builtins.h"

#include "pg/catalog.h"
#include "pg/lookup.h"
#include "pg/node.h"
#include "pg/rule.h"

static bool
is_reference(const GraphNode *node, int place)
{
    return validate_kind(validate_rule(node, place))->takes == TAKES_FIELD;
}

static bool
is_unique(const GraphNode *node, int place)
{
    return validate_kind(validate_rule(node, place))->of_all && !is_reference(node, place);
}

static char *
rule_field(const GraphNode *node, int place)
{
    return json_get_text(validate_rule(node, place), "field");
}

/* ---- first walk --------------------------------------------------------------------- */

/* The schema and field a rule refers to; the schema is kept for the second walk. */
static void
walk_reference(Compiler *c, const GraphNode *node, int place)
{
    JsonbContainer *rule = validate_rule(node, place);
    SchemaSpec *schema;

    c->set->lookups = lappend(c->set->lookups, NULL);
    schema = catalog_find_schema(json_get_text(rule, "schema"), InvalidOid, c->collect, node, validate_name(place), c->findings);
    if (schema == NULL)
        return;
    llast(c->set->lookups) = schema;
    (void) lookup_field(c, node, schema, json_get_text(rule, "schemaField"));
    lookup_check_table(c, node, schema);
}

static void
walk_rule_of_all(Compiler *c, const GraphNode *node, int place)
{
    if (set_use(c, node, 0, rule_field(node, place)))
        (void) flow_use(c, node, rule_field(node, place), false); /* it goes on: an error shows its value */
    if (is_reference(node, place))
        walk_reference(c, node, place);
}

static void
validate_all_walk(Compiler *c, const GraphNode *node)
{
    Flow *given = c->flow;

    set_pass(c);
    c->flow = c->set->inputs[0];
    validate_walk_rows(c, node);
    c->flow = given;
    for (int i = 0; i < validate_count(node); i++)
    {
        if (validate_is_sound(node, i) && validate_kind(validate_rule(node, i))->of_all)
            (void) check_part(c, node, i, walk_rule_of_all, validate_name(i));
    }
    dataset_walk(c, node);
}

/* ---- second walk ---------------------------------------------------------------------- */

/* What is being written. */
typedef struct Writing
{
    StringInfoData joins;    /* behind FROM */
    StringInfoData found;    /* what references found, behind the input's columns */
    StringInfoData passed;   /* rules so far that leave rows out, put together by AND */
    StringInfoData input;    /* conditions on the way in */
    StringInfoData result;   /* and out */
} Writing;

/* A rule's mark, which is tested on the way out. */
static const char *
add_mark(Compiler *c, const GraphNode *node, Writing *query, int place)
{
    const char *mark = set_mark(c, psprintf("#rule%d", place + 1));

    validate_add_condition(&query->result, place, mark);
    return mark;
}

/* Rows that break the rule are out for the rules behind it. */
static void
add_passed(const GraphNode *node, Writing *query, int place, const char *mark)
{
    if (rule_of(node, place)->on_fail != RULE_WARN)
        appendStringInfo(&query->passed, "%s%s", query->passed.len ? " AND " : "", mark);
}

/* A value that can't be one of the table's breaks the rule on the way in. */
static void
add_castable(Compiler *c, const char *name, Oid type, int place, Writing *query)
{
    validate_add_condition(&query->input, place, psprintf("(%s IS NULL OR %s IS NOT NULL)", sql_name(name), set_cast(c, 0, name, type)));
}

static void
write_reference(Compiler *c, const GraphNode *node, int place, const SchemaSpec *schema, Writing *query)
{
    char *name = rule_field(node, place), *other = json_get_text(validate_rule(node, place), "schemaField");
    const TargetField *field = lookup_field(c, node, schema, other);
    Oid type = lookup_common_type(c, node, name, field);
    const char *alias = psprintf("t%d", place + 1), *table = sql_table(schema->relid), *key, *mark;

    if (!OidIsValid(type))
        return;
    key = set_key(c, 0, name, type);
    if (strcmp(key, sql_name(name)) != 0)
        add_castable(c, name, type, place, query);
    mark = add_mark(c, node, query, place);
    if (!lookup_is_unique(schema, field))
        table = psprintf("(SELECT DISTINCT %s FROM %s)", sql_name(other), table);
    appendStringInfo(&query->joins, "\n  LEFT JOIN %s AS %s ON %s.%s = i.%s", table, alias, alias, sql_name(other), key);
    appendStringInfo(&query->found, ", (i.%s IS NULL OR %s.%s IS NOT NULL) AS %s", key, alias, sql_name(other), mark);
    add_passed(node, query, place, mark);
}

/* The query so far becomes a subquery of one that has the rule's mark. */
static void
write_unique(Compiler *c, const GraphNode *node, int place, Writing *query)
{
    const char *name = sql_name(rule_field(node, place)), *key = set_group_key(c, 0, rule_field(node, place));
    const char *mark = add_mark(c, node, query, place);
    StringInfo outer = makeStringInfo();

    appendStringInfo(outer, "SELECT *, (%s IS NULL", name);
    if (query->passed.len)
        appendStringInfo(outer, " OR NOT (%s)", query->passed.data);
    appendStringInfoString(outer, " OR row_number() OVER (PARTITION BY ");
    if (query->passed.len)
        appendStringInfo(outer, "(%s), ", query->passed.data);
    appendStringInfo(outer, "%s ORDER BY %s) = 1) AS %s\nFROM (%s) AS %s", key, set_ordinal(c, 0), mark, c->sql->data, sql_name(node->id));
    c->sql = outer;
    add_passed(node, query, place, mark);
}

/* The columns that go out, of what stands so far. */
static void
write_result(Compiler *c, const GraphNode *node)
{
    StringInfo outer = makeStringInfo();
    ListCell *lc;

    appendStringInfoString(outer, "SELECT ");
    foreach(lc, c->set->columns)
        appendStringInfo(outer, "%s, ", sql_name(((SetColumn *) lfirst(lc))->field));
    foreach(lc, c->set->marks)
        appendStringInfo(outer, "%s, ", sql_name(lfirst(lc)));
    appendStringInfo(outer, "%s\nFROM (%s) AS %s\nORDER BY %s", set_origin(c, 0), c->sql->data, sql_name(node->id), set_ordinal(c, 0));
    c->sql = outer;
}

static void
validate_all_write(Compiler *c, const GraphNode *node)
{
    Writing query;
    int reference = 0;
    bool counts = false;

    initStringInfo(&query.joins);
    initStringInfo(&query.found);
    initStringInfo(&query.passed);
    initStringInfo(&query.input);
    initStringInfo(&query.result);
    c->flow = c->set->inputs[0];
    validate_row_conditions(c, node, &query.input);
    for (int i = 0; i < validate_count(node); i++)
    {
        const SchemaSpec *schema = NULL;

        if (validate_is_sound(node, i) && is_reference(node, i))
            schema = list_nth(c->set->lookups, reference++);
        if (schema && validate_is_written(c, node, i))
            write_reference(c, node, i, schema, &query);
    }
    appendStringInfo(c->sql, "SELECT i.*%s\nFROM input AS i%s", query.found.data, query.joins.data);
    for (int i = 0; i < validate_count(node); i++)
    {
        if (!validate_is_written(c, node, i) || !is_unique(node, i))
            continue;
        write_unique(c, node, i, &query);
        counts = true;
    }
    set_keeps_rows(c, !counts);
    write_result(c, node);
    dataset_conditions(c, node, &query.result);
    c->set->input_where[0] = query.input.len ? query.input.data : NULL;
    c->set->result_where = query.result.data;
}

const NodeOp node_validate_all = {
    .name = "validate",
    .kind = NODE_SET,
    .inputs = 1,
    .keeps_fields = true,
    .keys = validate_keys,
    .check = validate_check,
    .forgiving = true,
    .variant = validate_variant,
    .walk = validate_all_walk,
    .write = validate_all_write,
    .describe = validate_describe,
};
