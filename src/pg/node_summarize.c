/*
 * node_summarize.c: the node that writes the summary of a collection.
 *
 * Rows go through it as they are.  What it does comes after the load and before
 * the commit: the statements that are written here take the rows of the
 * collection's table, those of this run among them, and make one row of the
 * summary for each customer.  summary.h runs them, and says for which customers.
 *
 * A customer is a value of the join fields, whether or not the customer schema
 * has it.  A row with a null among them belongs to nobody.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/flow.h"
#include "pg/node.h"

static const char *const functions[] = {"count", "sum", "max", "min", "avg", "bool_or", NULL};

static const JsonKey summarize_keys[] = {
    {"collectionSchemaId", JSON_STRING, true, NULL},
    {"customerSchemaId", JSON_STRING, false, NULL},
    {"joinKey", JSON_STRING | JSON_STRINGS, false, NULL},
    {"aggregations", JSON_ARRAY, false, NULL},
    {NULL, 0, false, NULL}};

/* ---- config ------------------------------------------------------------------------------ */

static int
count_aggregations(const GraphNode *node)
{
    return json_count(node->config, "aggregations");
}

/* The i-th aggregation; NULL when it is no object. */
static JsonbContainer *
get_aggregation(const GraphNode *node, int i)
{
    return json_get_object(node->config, "aggregations", i);
}

/* "*" counts rows, as no field does. */
static char *
source_field(JsonbContainer *aggregation)
{
    char *field = json_get_text(aggregation, "sourceField");

    return field && strcmp(field, "*") == 0 ? NULL : field;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void
summarize_check(const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {
        {"sourceField", JSON_STRING | JSON_NULL, false, NULL}, {"function", JSON_STRING, true, functions},
        {"outputField", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, node->id};
    List *outputs = NIL;

    if (json_is_empty(node->config, "aggregations"))
        graph_complain(findings, node->id, "wrong_value", "Without the key all summary columns of the collection are written.",
                       "\"aggregations\" must not be empty");
    for (int i = 0; i < count_aggregations(node); i++)
    {
        JsonbContainer *aggregation = get_aggregation(node, i);
        char *what = psprintf("aggregation %d", i + 1), *output;
        ListCell *lc;

        if (aggregation == NULL)
            graph_complain(findings, node->id, "wrong_type", "For example {\"sourceField\": \"balance\", \"function\": \"sum\", \"outputField\": \"total\"}.", "%s must be an object", what);
        if (aggregation == NULL || !json_check(aggregation, keys, what, graph_complain_config, &complaint))
            continue;
        output = json_get_text(aggregation, "outputField");
        foreach(lc, outputs)
        {
            if (strcmp(lfirst(lc), output) == 0)
                graph_complain(findings, node->id, "duplicate_column", "Each column is named once.", "\"aggregations\" makes \"%s\" twice", output);
        }
        outputs = lappend(outputs, output);
    }
}

/* ---- the collection ------------------------------------------------------------------------ */

/* "sum(balance)" */
static char *
describe_field(const char *function, const char *source)
{
    return psprintf("%s(%s)", function, source ? source : "*");
}

/* The summary's columns for a hint, or its keys. */
static char *
list_fields(const SummarySpec *summary, bool keys)
{
    StringInfoData out;
    ListCell *lc;

    initStringInfo(&out);
    foreach(lc, summary->fields)
    {
        const SummaryField *field = lfirst(lc);

        if (field->is_key != keys)
            continue;
        appendStringInfo(&out, "%s%s", out.len ? ", " : "", field->name);
        if (!keys)
            appendStringInfo(&out, " = %s", describe_field(field->function, field->source));
    }
    return out.data;
}

static SummaryField *
find_field(const SummarySpec *summary, const char *name, bool key)
{
    ListCell *lc;

    foreach(lc, summary->fields)
    {
        SummaryField *field = lfirst(lc);

        if (field->is_key == key && strcmp(field->name, name) == 0)
            return field;
    }
    return NULL;
}

/* False when there is no summary to write; a table that was dropped is a finding already. */
static bool
check_collection(Compiler *c, const GraphNode *node, const SchemaSpec *collection, const SummarySpec *summary)
{
    if (summary->fields == NIL)
        graph_complain(c->findings, node->id, "missing_summary",
                       "Give it linked_schema, join_mapping and summary_columns with kaireon.update_schema; its schema_type must be \"collection\".",
                       "\"collectionSchemaId\": schema \"%s\" has no summary", collection->name);
    return summary->fields != NIL && OidIsValid(summary->relid);
}

static void
check_customer(Compiler *c, const GraphNode *node, const SchemaSpec *collection, const SummarySpec *summary)
{
    if (summary->other_customer)
        graph_complain(c->findings, node->id, "wrong_value", "Leave the key out, or change linked_schema of the collection with kaireon.update_schema.",
                       "\"customerSchemaId\": schema \"%s\" is linked to \"%s\", not to \"%s\"", collection->name, summary->customer,
                       json_get_text(node->config, "customerSchemaId"));
}

/* A summary has one key: the join fields, all of them. */
static void
check_join_key(Compiler *c, const GraphNode *node, const SchemaSpec *collection, const SummarySpec *summary)
{
    char *single = json_get_text(node->config, "joinKey");
    List *names = single ? list_make1(single) : json_get_texts(node->config, "joinKey");
    char *hint = psprintf("It is joined by: %s.", list_fields(summary, true));
    bool known = true;
    int keys = 0;
    ListCell *lc;

    foreach(lc, names)
    {
        if (find_field(summary, lfirst(lc), true))
            continue;
        known = false;
        graph_complain(c->findings, node->id, "wrong_value", hint, "\"joinKey\": schema \"%s\" is not joined by \"%s\"", collection->name,
                       (char *) lfirst(lc));
    }
    foreach(lc, summary->fields)
        keys += ((SummaryField *) lfirst(lc))->is_key;
    if (names != NIL && known && list_length(names) != keys)
        graph_complain(c->findings, node->id, "wrong_value", hint, "\"joinKey\" must name each join field of schema \"%s\" once", collection->name);
}

/* The columns to write (SummaryField *): those that aggregations name, which must be what the collection says; else all. */
static List *
choose_columns(Compiler *c, const GraphNode *node, const SchemaSpec *collection, const SummarySpec *summary)
{
    List *columns = NIL;
    ListCell *lc;

    for (int i = 0; i < count_aggregations(node); i++)
    {
        JsonbContainer *aggregation = get_aggregation(node, i);
        char *output = json_get_text(aggregation, "outputField"), *function = json_get_text(aggregation, "function");
        SummaryField *field = find_field(summary, output, false);

        if (field == NULL)
            graph_complain(c->findings, node->id, "missing_column",
                           psprintf("It has: %s. kaireon.update_schema changes its summary_columns.", list_fields(summary, false)),
                           "\"aggregations\": the summary of schema \"%s\" has no column \"%s\"", collection->name, output);
        else if (strcmp(field->function, function) != 0 || !same_text(field->source, source_field(aggregation)))
            graph_complain(c->findings, node->id, "wrong_value", "Change one of them: kaireon.update_schema changes summary_columns.",
                           "\"aggregations\": column \"%s\" of the summary of schema \"%s\" is %s, not %s", output, collection->name,
                           describe_field(field->function, field->source), describe_field(function, source_field(aggregation)));
        else
            columns = lappend(columns, field);
    }
    foreach(lc, summary->fields)
    {
        if (count_aggregations(node) == 0 && !((SummaryField *) lfirst(lc))->is_key)
            columns = lappend(columns, lfirst(lc));
    }
    return columns;
}

/* What the pipeline's owner, who compiles, must be allowed. */
static void
check_rights(Compiler *c, const GraphNode *node, const SchemaSpec *collection, const SummarySpec *summary)
{
    const AclMode needed = ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE;
    const char *role = GetUserNameFromId(GetUserId(), false);

    /* a name may have become another's since; the pipeline's own schema is known by its id */
    if (collection->relid != c->own->relid && !catalog_may_act(GetUserId(), summary->owner))
        graph_complain(c->findings, node->id, "permission_denied", psprintf("GRANT %s TO %s, or make it the pipeline's own schema.",
                                                                            GetUserNameFromId(summary->owner, false), role),
                       "permission denied for schema \"%s\"", collection->name);
    else if (pg_class_aclmask(summary->relid, GetUserId(), needed, ACLMASK_ALL) != needed)
        graph_complain(c->findings, node->id, "permission_denied",
                       psprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s.", sql_table(summary->relid), role),
                       "permission denied for table %s", get_rel_name(summary->relid));
    else if (pg_class_aclmask(collection->relid, GetUserId(), ACL_SELECT, ACLMASK_ANY) == 0)
        graph_complain(c->findings, node->id, "permission_denied", psprintf("GRANT SELECT ON %s TO %s.", sql_table(collection->relid), role),
                       "permission denied for table %s", get_rel_name(collection->relid));
    if (summary->code_owner)
        graph_complain(c->findings, node->id, "permission_denied", "Give the pipeline to a role that is no superuser with kaireon.change_owner.",
                       "a superuser's pipeline does not write a summary that calls code of role %s", summary->code_owner);
}

/* ---- the statements --------------------------------------------------------------------------- */

/* The join fields, each behind `before` and `alias`, with `between`: "c.a, c.b"; with `other` compared: "c.a = t.a AND c.b = t.b". */
static char *
keys_sql(const SummarySpec *summary, const char *alias, const char *other, const char *between)
{
    StringInfoData out;
    ListCell *lc;

    initStringInfo(&out);
    foreach(lc, summary->fields)
    {
        const SummaryField *field = lfirst(lc);

        if (!field->is_key)
            continue;
        appendStringInfo(&out, "%s%s%s", out.len ? between : "", alias, sql_name(field->name));
        if (other)
            appendStringInfo(&out, " = %s%s", other, sql_name(field->name));
    }
    return out.data;
}

static void
write_remove(ProgramSummary *s, const SummarySpec *summary)
{
    const char *table = sql_table(s->summary_relid), *collection = sql_table(s->relid);

    s->remove = psprintf("DELETE FROM %s AS s\nUSING " TOUCHED_RELATION " AS t\nWHERE %s\n  AND NOT EXISTS (SELECT FROM %s AS c WHERE %s)", table,
                         keys_sql(summary, "s.", "t.", " AND "), collection, keys_sql(summary, "c.", "t.", " AND "));
    s->remove_all = psprintf("DELETE FROM %s AS s\nWHERE NOT EXISTS (SELECT FROM %s AS c WHERE %s)", table, collection,
                             keys_sql(summary, "c.", "s.", " AND "));
}

/* Rows that would stay as they are, are not written. */
static char *
write_sql(const ProgramSummary *s, const SummarySpec *summary, List *columns, const char *where)
{
    StringInfoData names, values, changes, old, new;
    ListCell *lc;

    initStringInfo(&names);
    initStringInfo(&values);
    initStringInfo(&changes);
    initStringInfo(&old);
    initStringInfo(&new);
    foreach(lc, columns)
    {
        const SummaryField *field = lfirst(lc);
        const char *name = sql_name(field->name);

        appendStringInfo(&names, ", %s", name);
        appendStringInfo(&values, ", %s", field->aggregate);
        appendStringInfo(&changes, "%s = excluded.%s, ", name, name);
        appendStringInfo(&old, "%ss.%s", old.len ? ", " : "", name);
        appendStringInfo(&new, "%sexcluded.%s", new.len ? ", " : "", name);
    }
    return psprintf("INSERT INTO %s AS s (%s%s)\nSELECT %s%s\nFROM %s AS c\nWHERE %s\nGROUP BY %s\n"
                    "ON CONFLICT (%s) DO UPDATE SET %supdated_at = now()\nWHERE ROW(%s) IS DISTINCT FROM ROW(%s)",
                    sql_table(s->summary_relid), keys_sql(summary, "", NULL, ", "), names.data, keys_sql(summary, "c.", NULL, ", "), values.data,
                    sql_table(s->relid), where, keys_sql(summary, "c.", NULL, ", "), keys_sql(summary, "", NULL, ", "), changes.data, old.data,
                    new.data);
}

/* The columns of TOUCHED_RELATION. */
static void
describe_keys(ProgramSummary *s, const SummarySpec *summary, Relation collection)
{
    TupleDesc desc = RelationGetDescr(collection);
    int nkeys = 0;
    ListCell *lc;

    s->attnums = palloc(sizeof(AttrNumber) * list_length(summary->fields));
    foreach(lc, summary->fields)
    {
        const SummaryField *field = lfirst(lc);

        if (field->is_key)
            s->attnums[nkeys++] = get_attnum(s->relid, field->name);
    }
    s->keys = CreateTemplateTupleDesc(nkeys);
    for (int i = 0; i < nkeys; i++)
        TupleDescCopyEntry(s->keys, i + 1, desc, s->attnums[i]);
}

/* Parses and plans what is read; that the owner may read it, too. */
static void
check_read(const SchemaSpec *collection, List *columns)
{
    StringInfoData sql;
    Query *query;
    ListCell *lc;

    initStringInfo(&sql);
    foreach(lc, columns)
        appendStringInfo(&sql, "%s %s", sql.len ? "," : "SELECT", ((SummaryField *) lfirst(lc))->aggregate);
    appendStringInfo(&sql, " FROM %s", sql_table(collection->relid));
    query = linitial_node(Query, pg_rewrite_query(compile_analyze(sql.data, NULL, list_make1_oid(collection->relid))));
    compat_check_permissions(pg_plan_query(query, sql.data, 0, NULL));
}

static bool
is_loaded(const Program *p, Oid relid)
{
    for (int i = 0; i < p->ntargets; i++)
    {
        if (p->targets[i].schema && p->targets[i].schema->relid == relid)
            return true;
    }
    return false;
}

static void
add_summary(Compiler *c, const GraphNode *node, const SchemaSpec *collection, const SummarySpec *summary, List *columns)
{
    ProgramSummary *s = &c->program->summaries[c->program->nsummaries++];
    Relation rel = table_open(collection->relid, AccessShareLock);
    ListCell *lc;

    s->node = node;
    s->collection = collection->name;
    s->relid = collection->relid;
    s->summary_relid = summary->relid;
    s->loaded = is_loaded(c->program, collection->relid);
    foreach(lc, columns)
        s->columns = lappend(s->columns, ((SummaryField *) lfirst(lc))->name);
    foreach(lc, summary->fields)
    {
        if (((SummaryField *) lfirst(lc))->is_key)
            s->fields = lappend(s->fields, lfirst(lc));
    }
    s->fields = list_concat(s->fields, columns);
    describe_keys(s, summary, rel);
    table_close(rel, NoLock);
    write_remove(s, summary);
    s->write = write_sql(s, summary, columns, psprintf("(%s) IN (SELECT %s FROM " TOUCHED_RELATION " AS t)", keys_sql(summary, "c.", NULL, ", "),
                                                       keys_sql(summary, "t.", NULL, ", ")));
    s->write_all = write_sql(s, summary, columns, psprintf("%s IS NOT NULL", keys_sql(summary, "c.", NULL, " IS NOT NULL AND ")));
}

/* ---- the node ------------------------------------------------------------------------------------ */

static void
summarize_walk(Compiler *c, const GraphNode *node)
{
    const SchemaSpec *collection = catalog_find_schema(json_get_text(node->config, "collectionSchemaId"), c->own->relid, c->collect, node, "key \"collectionSchemaId\"", c->findings);
    const SummarySpec *summary;
    List *columns;

    if (collection == NULL)
        return;
    summary = catalog_load_summary(collection->relid, json_get_text(node->config, "customerSchemaId"), node->id, c->findings);
    if (!check_collection(c, node, collection, summary))
        return;
    check_customer(c, node, collection, summary);
    check_join_key(c, node, collection, summary);
    columns = choose_columns(c, node, collection, summary);
    check_rights(c, node, collection, summary);
    if (graph_is_wrong(*c->findings, node))
        return;
    check_read(collection, columns);
    add_summary(c, node, collection, summary, columns);
    if (!is_loaded(c->program, collection->relid))
        graph_warn(c->findings, node->id, "not_loaded", "What a target of the pipeline loads is summarised for the customers it loads rows of.",
                   psprintf("no target loads schema \"%s\": each run summarises all of it", collection->name));
}

/* Rows go through. */
static void
summarize_write(Compiler *c, const GraphNode *node)
{
}

static void
summarize_describe(const GraphNode *node, StringInfo out)
{
    char *collection = json_get_text(node->config, "collectionSchemaId");

    for (int i = 0; i < count_aggregations(node); i++)
    {
        JsonbContainer *aggregation = get_aggregation(node, i);
        char *function = aggregation ? json_get_text(aggregation, "function") : NULL;

        if (function)
            appendStringInfo(out, "%s%s", out->len ? ", " : "", describe_field(function, source_field(aggregation)));
    }
    if (collection)
        appendStringInfo(out, "%s of %s", out->len ? "" : "summary", collection);
}

const NodeOp node_summarize = {
    .name = "summarize",
    .kind = NODE_ROW,
    .keeps_fields = true,
    .keys = summarize_keys,
    .check = summarize_check,
    .walk = summarize_walk,
    .write = summarize_write,
    .describe = summarize_describe,
};
