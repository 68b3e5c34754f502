/*
 * node_enrich.c: enrich from a connector: a field gets what the connector has
 * for the row's key.
 *
 * A key is the values of the fields that the resource names.  Each is asked for
 * once, when all rows are there, and the answers are a relation (ProgramAsk)
 * that the rows are joined with, in their order; execute_ask.h asks.  A null
 * among the values is no key, and gets null.
 */
#include "postgres.h"

#include "pg/enrich.h"

#include "catalog/pg_type.h"

#include "pg/ability.h"
#include "pg/catalog.h"
#include "pg/flow.h"
#include "pg/json.h"
#include "pg/source_options.h"

#define DEFAULT_MAX_CALLS 1000

/* ---- config ------------------------------------------------------------------------------ */

Resource *
enrich_resource(const GraphNode *node)
{
    const char *problem;

    return resource_parse(json_get_text(node->config, "resource"), &problem);
}

/* The field whose value stands for a name of the resource. */
static char *
named_field(const GraphNode *node, const char *name)
{
    JsonbContainer *params = json_get_container(node->config, "params");
    char *field = params ? json_get_text(params, name) : NULL;

    return field ? field : pstrdup(name);
}

static bool
is_named(const Resource *resource, const char *name)
{
    ListCell *lc;

    foreach(lc, resource->names)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    return false;
}

static void
check_params(const GraphNode *node, const Resource *resource, List **findings)
{
    JsonbContainer *params = json_get_container(node->config, "params");
    JsonbIterator *it = params ? JsonbIteratorInit(params) : NULL;
    JsonbIteratorToken token;
    JsonbValue item;
    char *name = NULL;
    StringInfoData names;

    initStringInfo(&names);
    node_describe_list(&names, resource->names);
    while (it && (token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
            name = json_scalar_text(&item);
        if (token == WJB_KEY && !is_named(resource, name))
            graph_complain(findings, node->id, "unknown_key", psprintf("It names: %s.", names.data),
                           "\"params\" has \"%s\", which \"resource\" does not name", name);
        else if (token == WJB_VALUE && (item.type != jbvString || item.val.string.len == 0))
            graph_complain(findings, node->id, "wrong_type", "For example {\"id\": \"customer_id\"}.",
                           "\"%s\" in \"params\" must be the name of a field", name);
    }
}

static void
ask_check(const GraphNode *node, List **findings)
{
    GraphComplaint complaint = {findings, node->id};
    char *text = json_get_text(node->config, "resource");
    const char *problem = NULL;
    Resource *resource = text ? resource_parse(text, &problem) : NULL;

    source_check(node->config, SOURCE_OF_ASK, "config of an enrich node with a connector", graph_complain_config, &complaint);
    if (problem)
        graph_complain(findings, node->id, "wrong_value", "A field's name stands in braces, as in \"orders/{id}.csv\"; {{ and }} are braces.",
                       "\"resource\" %s", problem);
    else if (resource && resource->names == NIL)
        graph_complain(findings, node->id, "wrong_value", "A field's name stands in braces, as in \"orders/{id}.csv\".",
                       "\"resource\" names no field");
    else if (resource)
        check_params(node, resource, findings);
    text = json_get_text(node->config, "outputField");
    if (text && text[0] == '\0')
        graph_complain(findings, node->id, "wrong_value", "It names the field that takes the answer.", "\"outputField\" must not be empty");
}

/* ---- the walks --------------------------------------------------------------------------- */

static void
ask_walk(Compiler *c, const GraphNode *node)
{
    const Resource *resource = enrich_resource(node);
    ProgramAsk *ask = palloc0(sizeof(ProgramAsk));
    StringInfoData shown;
    ListCell *lc;

    set_pass(c);
    ask->connector = catalog_find_connector(json_get_text(node->config, "connector"), node->id, c->findings);
    if (ask->connector)
        ability_check_ask(node, ask->connector->type, c->findings);
    ask->max_calls = json_get_int(node->config, "maxCalls", DEFAULT_MAX_CALLS);
    ask->fields = palloc(sizeof(char *) * list_length(resource->names));
    initStringInfo(&shown);
    foreach(lc, resource->names)
    {
        char *field = named_field(node, lfirst(lc));

        appendStringInfo(&shown, "%s%s", shown.len ? ", " : "", field);
        (void) set_use(c, node, 0, field);
        ask->fields[ask->nkeys++] = field;
    }
    ask->shown = shown.data;
    c->set->ask = ask;
    flow_use_table(c, node, NULL, json_get_text(node->config, "resource"));
    set_make(c, node, json_get_text(node->config, "outputField"), true);
}

/* A key's value as text. */
static char *
key_sql(Compiler *c, const char *field)
{
    const char *key = set_key(c, 0, field, TEXTOID);

    return psprintf(set_type(c, 0, field) == BPCHAROID ? "CAST(i.%s AS pg_catalog.text)" : "i.%s", key);
}

/* What the node has of its own: the relations that hold keys and answers. */
static void
describe_relations(ProgramAsk *ask)
{
    ask->keys_desc = CreateTemplateTupleDesc(ask->nkeys + 1);
    ask->desc = CreateTemplateTupleDesc(ask->nkeys + 2);
    for (int i = 1; i <= ask->nkeys; i++)
    {
        TupleDescInitEntry(ask->keys_desc, i, psprintf("key%d", i), TEXTOID, -1, 0);
        TupleDescInitEntry(ask->desc, i, psprintf("key%d", i), TEXTOID, -1, 0);
    }
    TupleDescInitEntry(ask->keys_desc, ask->nkeys + 1, "origin", INT8OID, -1, 0);
    TupleDescInitEntry(ask->desc, ask->nkeys + 1, "answer", JSONBOID, -1, 0);
    TupleDescInitEntry(ask->desc, ask->nkeys + 2, "problem", TEXTARRAYOID, -1, 0);
}

static void
ask_write(Compiler *c, const GraphNode *node)
{
    ProgramAsk *ask = c->set->ask;
    const char *ordinal = set_ordinal(c, 0), *origin = set_origin(c, 0);
    StringInfoData keys, match, known;
    ListCell *lc;

    initStringInfo(&keys);
    initStringInfo(&match);
    initStringInfo(&known);
    for (int i = 0; i < ask->nkeys; i++)
    {
        char *key = key_sql(c, ask->fields[i]);

        appendStringInfo(&keys, "%s%s COLLATE pg_catalog.\"C\"", i ? ", " : "", key);
        appendStringInfo(&match, "%s%s = a.key%d", i ? " AND " : "", key, i + 1);
        appendStringInfo(&known, "%s IS NOT NULL AND ", key);
    }
    set_keeps_rows(c, true);
    ask->keys_sql = psprintf("SELECT %s, min(i.%s)\nFROM input AS i LEFT JOIN %s AS a ON %s\nWHERE %sa.key1 IS NULL\nGROUP BY %s\nORDER BY min(i.%s)",
                             keys.data, origin, ANSWERS_RELATION, match.data, known.data, keys.data, ordinal);
    describe_relations(ask);
    appendStringInfoString(c->sql, "SELECT ");
    foreach(lc, c->set->columns)
    {
        const SetColumn *column = lfirst(lc);

        if (column->side >= 0)
            appendStringInfo(c->sql, "i.%s, ", sql_name(column->field));
        else
        {
            appendStringInfo(c->sql, "a.answer AS %s, ", sql_name(column->column->name));
            ask->output = foreach_current_index(lc);
        }
    }
    appendStringInfo(c->sql, "a.problem AS %s, i.%s\nFROM input AS i LEFT JOIN %s AS a ON %s\nORDER BY i.%s", set_mark(c, "#problem"), origin,
                     ANSWERS_RELATION, match.data, ordinal);
}

static void
ask_describe(const GraphNode *node, StringInfo out)
{
    char *output = json_get_text(node->config, "outputField"), *connector = json_get_text(node->config, "connector");
    char *resource = json_get_text(node->config, "resource");

    appendStringInfo(out, "%s from %s: %s", output ? output : "?", connector ? connector : "?", resource ? resource : "?");
}

static const char *const ask_reads[] = {"connector", "resource", "params", NULL};

const NodeOp node_enrich_ask = {
    .name = "enrich",
    .kind = NODE_SET,
    .inputs = 1,
    .reads = ask_reads,
    .check = ask_check,
    .walk = ask_walk,
    .write = ask_write,
    .describe = ask_describe,
};
