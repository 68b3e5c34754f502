/*
 * node_lookup.c: the nodes that add fields of a table: lookup_join, and enrich
 * from a schema or a summary.
 *
 * A LEFT JOIN with the table as it is when the node's inputs are complete, read
 * with the rights of the pipeline's owner.  A key that is none of the table's
 * type is a bad row.  What is looked up in a table elsewhere is compared the
 * same way: lookup.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "pg/catalog.h"
#include "pg/enrich.h"
#include "pg/flow.h"
#include "pg/lineage.h"
#include "pg/lookup.h"
#include "pg/node.h"
#include "pg/select_fields.h"

static const JsonKey lookup_keys[] = {
    {"lookupSchema", JSON_STRING, true, NULL},
    {"joinField", JSON_STRING, true, NULL},
    {"lookupField", JSON_STRING, true, NULL},
    {"selectFields", JSON_ARRAY, true, NULL},
    {NULL, 0, false, NULL}};

static const JsonKey enrich_keys[] = {
    {"schema", JSON_STRING, false, NULL},
    {"summary", JSON_STRING, false, NULL},
    {"joinField", JSON_STRING, true, NULL},
    {"lookupField", JSON_STRING, true, NULL},
    {"selectFields", JSON_ARRAY, true, NULL},
    {NULL, 0, false, NULL}};

static const NodeOp *
enrich_variant(const GraphNode *node)
{
    return json_get(node->config, "connector") ? &node_enrich_ask : &node_enrich;
}

static void
enrich_check(const GraphNode *node, List **findings)
{
    static const char *const places[] = {"schema", "summary", "connector"};
    GraphComplaint complaint = {findings, node->id};
    int given = 0;

    for (size_t i = 0; i < lengthof(places); i++)
        given += json_get(node->config, places[i]) != NULL;
    if (given != 1)
        graph_complain(findings, node->id, given ? "wrong_value" : "missing_key",
                       "It is where the fields come from: \"summary\" is the summary table of a collection.",
                       "an enrich node takes one of \"schema\", \"summary\" and \"connector\"");
    else if (enrich_variant(node) != &node_enrich)
        node_enrich_ask.check(node, findings);
    if (enrich_variant(node) != &node_enrich)
        return;
    json_check(node->config, enrich_keys, "config of an enrich node", graph_complain_config, &complaint);
    select_fields_check(node, findings);
}

/* ---- the table ------------------------------------------------------------------------ */

/* The table a node names, which whoever compiles may read; NULL with a finding. */
static SchemaSpec *
find_table(Compiler *c, const GraphNode *node)
{
    char *name = json_get_text(node->config, node->op == &node_lookup_join ? "lookupSchema" : "schema");
    char *summary = node->op == &node_enrich ? json_get_text(node->config, "summary") : NULL;
    const char *key = node->op == &node_lookup_join ? "key \"lookupSchema\"" : "key \"schema\"";

    return summary ? catalog_find_summary(summary, node->id, c->findings) : catalog_find_schema(name, InvalidOid, c->collect, node, key, c->findings);
}

static const TargetField *
find_field(const SchemaSpec *schema, const char *name)
{
    for (int i = 0; i < schema->nfields; i++)
    {
        if (strcmp(schema->fields[i].name, name) == 0)
            return &schema->fields[i];
    }
    return NULL;
}

const TargetField *
lookup_field(Compiler *c, const GraphNode *node, const SchemaSpec *schema, const char *name)
{
    const TargetField *field = find_field(schema, name);
    StringInfoData valid;

    if (field && getBaseType(field->type) < FirstNormalObjectId)
        return field;
    if (field)
    {
        graph_complain(c->findings, node->id, "schema_drift", "Take another field, or give the column a type that fields have.",
                       "field \"%s\" of schema \"%s\" is of type %s, which no field can be", name, schema->name, format_type_be(field->type));
        return NULL;
    }
    initStringInfo(&valid);
    for (int i = 0; i < schema->nfields; i++)
        appendStringInfo(&valid, "%s%s", i ? ", " : "", schema->fields[i].name);
    graph_complain(c->findings, node->id, "missing_column", psprintf("Its fields are: %s.", valid.data), "schema \"%s\" has no field \"%s\"",
                   schema->name, name);
    return NULL;
}

Oid
lookup_type(const TargetField *field)
{
    Oid base = getBaseType(field->type);

    return sql_is_text(base) ? TEXTOID : base;
}

bool
lookup_is_unique(const SchemaSpec *schema, const TargetField *field)
{
    Relation rel = try_table_open(schema->relid, AccessShareLock);
    bool unique = false;
    ListCell *lc;

    if (rel == NULL)             /* said already */
        return false;
    foreach(lc, RelationGetIndexList(rel))
    {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);
        Form_pg_index form = index->rd_index;

        /* its predicate is not asked for, which would evaluate a part of it */
        unique |= form->indisunique && form->indisvalid && form->indimmediate && form->indnkeyatts == 1 &&
                  form->indkey.values[0] == field->attnum && heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
        index_close(index, AccessShareLock);
    }
    table_close(rel, NoLock);
    return unique;
}

/* Would reading it run what its owner wrote: a view, a policy, a foreign data wrapper? */
static bool
runs_code(Relation rel)
{
    char kind = rel->rd_rel->relkind;

    return (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW) || rel->rd_rel->relrowsecurity;
}

void
lookup_check_table(Compiler *c, const GraphNode *node, const SchemaSpec *schema)
{
    Relation rel = try_table_open(schema->relid, AccessShareLock);

    if (rel == NULL)
        return;
    if (runs_code(rel) && !catalog_may_trust(GetUserId(), rel->rd_rel->relowner))
        graph_complain(c->findings, node->id, "permission_denied", "Use a table that is neither, or a schema of the pipeline's owner.",
                       "schema \"%s\" is a view or has row security of role %s, which would run with the rights of the pipeline's owner",
                       schema->name, GetUserNameFromId(rel->rd_rel->relowner, true));
    table_close(rel, NoLock);
}

Oid
lookup_common_type(Compiler *c, const GraphNode *node, const char *name, const TargetField *field)
{
    Oid is = lookup_type(field), type = sql_is_text(is) ? is : set_common_type(set_type(c, 0, name), is);

    if (!OidIsValid(type))
        graph_complain(c->findings, node->id, "type_mismatch", "Cast it before the node.",
                       "field \"%s\" of type %s can't be compared with field \"%s\" of type %s", name, format_type_be(set_type(c, 0, name)),
                       field->name, format_type_be(is));
    return type;
}

/* ---- the walks -------------------------------------------------------------------------- */

static void
lookup_walk(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = set_use(c, node, 0, json_get_text(node->config, "joinField"));
    SchemaSpec *schema = find_table(c, node);
    const TargetField *key;
    ListCell *lc;

    set_pass(c);
    c->set->lookups = list_make1(schema);
    if (schema == NULL)
        return;
    key = lookup_field(c, node, schema, json_get_text(node->config, "lookupField"));
    if (column && key)
        set_want(node, column, lookup_type(key));
    lookup_check_table(c, node, schema);
    if (key && !lookup_is_unique(schema, key))
        graph_warn(c->findings, node->id, "not_unique", "Rows with a key that the table has several times come out as often.",
                   psprintf("field \"%s\" of schema \"%s\" is not unique", key->name, schema->name));
    foreach(lc, select_fields(node))
    {
        const SelectedField *selected = lfirst(lc);

        if (lookup_field(c, node, schema, selected->field) == NULL)
            continue;
        flow_use_table(c, node, json_get(node->config, "summary") ? lineage_summary(schema->name) : schema->name, selected->field);
        set_make(c, node, selected->alias, false);
    }
}

/* The table's field for a field that the node makes; of a domain's type its value, without the checks. */
static const char *
selected_sql(const GraphNode *node, const SchemaSpec *schema, const char *name)
{
    ListCell *lc;

    foreach(lc, select_fields(node))
    {
        const SelectedField *selected = lfirst(lc);
        Oid type, base;

        if (strcmp(selected->alias, name) != 0)
            continue;
        type = find_field(schema, selected->field)->type;
        base = getBaseType(type);
        return type == base ? psprintf("t.%s", sql_name(selected->field)) : psprintf("CAST(t.%s AS %s)", sql_name(selected->field), sql_type(base));
    }
    elog(ERROR, "node \"%s\" makes no field \"%s\"", node->id, name);
}

static void
lookup_write(Compiler *c, const GraphNode *node)
{
    const SchemaSpec *schema = linitial(c->set->lookups);
    char *field = json_get_text(node->config, "joinField"), *other = json_get_text(node->config, "lookupField");
    Oid type = lookup_common_type(c, node, field, find_field(schema, other));
    const char *key;
    ListCell *lc;

    if (!OidIsValid(type))
        return;
    key = set_key(c, 0, field, type);
    set_keeps_rows(c, lookup_is_unique(schema, find_field(schema, other)));
    appendStringInfoString(c->sql, "SELECT ");
    foreach(lc, c->set->columns)
    {
        const SetColumn *column = lfirst(lc);

        if (column->side >= 0)
            appendStringInfo(c->sql, "i.%s, ", sql_name(column->field));
        else
            appendStringInfo(c->sql, "%s AS %s, ", selected_sql(node, schema, column->column->name), sql_name(column->column->name));
    }
    appendStringInfo(c->sql, "i.%s\nFROM input AS i LEFT JOIN %s AS t ON i.%s = t.%s\nORDER BY i.%s", set_origin(c, 0), sql_table(schema->relid),
                     key, sql_name(other), set_ordinal(c, 0));
}

static void
lookup_describe(const GraphNode *node, StringInfo out)
{
    char *schema = json_get_text(node->config, node->op == &node_lookup_join ? "lookupSchema" : "schema");

    if (schema == NULL && node->op == &node_enrich)
        schema = json_get_text(node->config, "summary");
    select_fields_describe(out, node);
    if (schema)
        appendStringInfo(out, " of %s", schema);
}

static const char *const lookup_join_reads[] = {"lookupSchema", "joinField", "lookupField", NULL};

const NodeOp node_lookup_join = {
    .name = "lookup_join",
    .kind = NODE_SET,
    .inputs = 1,
    .keys = lookup_keys,
    .reads = lookup_join_reads,
    .check = select_fields_check,
    .walk = lookup_walk,
    .write = lookup_write,
    .describe = lookup_describe,
};

static const char *const enrich_reads[] = {"schema", "summary", "joinField", "lookupField", NULL};

const NodeOp node_enrich = {
    .name = "enrich",
    .kind = NODE_SET,
    .inputs = 1,
    .reads = enrich_reads,
    .check = enrich_check,
    .variant = enrich_variant,
    .walk = lookup_walk,
    .write = lookup_write,
    .describe = lookup_describe,
};
