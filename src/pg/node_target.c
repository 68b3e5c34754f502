/*
 * node_target.c: the node that loads into a schema's table.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/transam.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "pg/flow.h"
#include "pg/hook.h"
#include "pg/node.h"
#include "pg/target.h"
#include "pg/target_key.h"

/* By LoadStrategy. */
static const char *const strategies[] = {"append", "upsert", "incremental_watermark", "truncate_and_load", "blue_green", NULL};
static const char *const validations[] = {"strict", "skip", "coerce", NULL};

static const JsonKey target_keys[] = {
    {"schema", JSON_STRING, false, NULL},
    {"loadingStrategy", JSON_STRING, false, strategies},
    {"keyFields", JSON_STRINGS, false, NULL},
    {"watermarkField", JSON_STRING, false, NULL},
    {"validation", JSON_STRING, false, validations},
    {"fieldMapping", JSON_OBJECT, false, NULL},
    {"allowEmptySource", JSON_BOOL, false, NULL},
    {"swapPublished", JSON_BOOL, false, NULL},
    {"preHook", JSON_STRING | JSON_ARRAY | JSON_OBJECT, false, NULL},
    {"postHook", JSON_STRING | JSON_ARRAY | JSON_OBJECT, false, NULL},
    {NULL, 0, false, NULL}};

const char *
target_strategy_name(LoadStrategy strategy)
{
    return strategies[strategy];
}

LoadStrategy
target_strategy(const GraphNode *node)
{
    char *name = json_get_text(node->config, "loadingStrategy");

    for (int i = 0; name && strategies[i]; i++)
    {
        if (strcmp(strategies[i], name) == 0)
            return i;
    }
    return LOAD_APPEND;
}

bool
target_updates(const GraphNode *node)
{
    LoadStrategy strategy = target_strategy(node);

    return strategy == LOAD_UPSERT || (strategy == LOAD_WATERMARK && json_get(node->config, "keyFields"));
}

bool
target_is_full_refresh(LoadStrategy strategy)
{
    return strategy == LOAD_TRUNCATE || strategy == LOAD_BLUE_GREEN;
}

/* A key that says something of a full refresh only. */
static void
check_refresh_key(const GraphNode *node, const char *key, List **findings)
{
    if (json_get(node->config, key) && !target_is_full_refresh(target_strategy(node)))
        graph_complain(findings, node->id, "wrong_value", "Write \"loadingStrategy\": \"truncate_and_load\" or \"blue_green\", or leave it out.",
                       "%s is for loading strategies truncate_and_load and blue_green", key);
}

/* Two fields for one of the schema: one of them would be lost. */
static void
check_mapping(const GraphNode *node, List **findings)
{
    JsonbContainer *mapping = json_get_container(node->config, "fieldMapping");
    JsonbIterator *it = mapping ? JsonbIteratorInit(mapping) : NULL;
    List *fields = NIL, *targets = NIL;
    JsonbIteratorToken token;
    JsonbValue item;

    while (it && (token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
            fields = lappend(fields, json_scalar_text(&item));
        else if (token == WJB_VALUE)
            targets = lappend(targets, item.type == jbvString ? json_scalar_text(&item) : NULL);
    }
    for (int i = 0; i < list_length(targets); i++)
    {
        for (int j = 0; list_nth(targets, i) && j < i; j++)
        {
            if (list_nth(targets, j) == NULL || strcmp(list_nth(targets, i), list_nth(targets, j)) != 0)
                continue;
            graph_complain(findings, node->id, "duplicate_column", "A field of the schema takes one field. A merge node makes one of several.",
                           "fieldMapping maps both \"%s\" and \"%s\" to \"%s\"", (char *) list_nth(fields, j), (char *) list_nth(fields, i),
                           (char *) list_nth(targets, i));
            break;
        }
    }
}

static void
target_check(const GraphNode *node, List **findings)
{
    LoadStrategy strategy = target_strategy(node);
    bool has_watermark = json_get(node->given, "watermarkField") != NULL;

    check_mapping(node, findings);
    hook_check(node, findings);
    if (json_get(node->given, "loadingStrategy") && !json_get(node->config, "loadingStrategy")) /* nobody knows which is meant */
        return;
    if (json_get(node->config, "keyFields") && strategy != LOAD_UPSERT && strategy != LOAD_WATERMARK)
        graph_complain(findings, node->id, "wrong_value", "Write \"loadingStrategy\": \"upsert\", or leave keyFields out.",
                       "keyFields is for loading strategies upsert and incremental_watermark");
    if (strategy == LOAD_WATERMARK && !has_watermark)
        graph_complain(findings, node->id, "missing_key", "Name a field that is greater in every row that is new, as the time of the last change.",
                       "loading strategy incremental_watermark needs key \"watermarkField\"");
    else if (strategy != LOAD_WATERMARK && has_watermark)
        graph_complain(findings, node->id, "wrong_value", "Write \"loadingStrategy\": \"incremental_watermark\", or leave watermarkField out.",
                       "watermarkField is for loading strategy incremental_watermark");
    check_refresh_key(node, "allowEmptySource", findings);
    check_refresh_key(node, "swapPublished", findings);
}

/* The field that says which rows are new; -1, with a complaint, when there is none. */
static int
find_watermark(const SchemaSpec *schema, const GraphNode *node, List **findings)
{
    char *name = json_get_text(node->config, "watermarkField");
    int field = target_key_field(schema, name);

    if (field < 0)
        graph_complain(findings, node->id, "missing_column", psprintf("Fields of the schema: %s.", target_key_fields(schema)),
                       "watermarkField names \"%s\", which is no field of the schema", name);
    return field;
}

void
target_resolve(ProgramTarget *target, List **findings)
{
    List *keys = json_get_texts(target->node->config, "keyFields");

    target->watermark = -1;
    if (!target->node->wrong_config)
        hook_resolve(target->node, findings);
    if (target->schema == NULL || target->node->wrong_config)
        return;
    if (target_updates(target->node))
        target->key = target_key_find(target->schema, keys, target->node, findings);
    if (target->strategy == LOAD_WATERMARK && json_get(target->node->config, "watermarkField"))
        target->watermark = find_watermark(target->schema, target->node, findings);
    target->allow_empty = json_get_bool(target->node->config, "allowEmptySource", false);
    target->swap_published = json_get_bool(target->node->config, "swapPublished", false);
}

/* What one target loads, another must not replace. */
static void
check_alone(Compiler *c, const ProgramTarget *target)
{
    for (const ProgramTarget *other = c->program->targets; other < target; other++)
    {
        if (other->schema && other->schema->relid == target->schema->relid &&
            (target_is_full_refresh(other->strategy) || target_is_full_refresh(target->strategy)))
            graph_complain(c->findings, target->node->id, "wrong_value", "Let several edges lead to one target.",
                           "node \"%s\" loads table \"%s\", too, whose rows are replaced as a whole", other->node->id,
                           get_rel_name(target->schema->relid));
    }
}

static const ProgramTarget *
find_target(const Program *p, const GraphNode *node)
{
    for (int i = 0; i < p->ntargets; i++)
    {
        if (p->targets[i].node == node)
            return &p->targets[i];
    }
    elog(ERROR, "node \"%s\" is no target of the program", node->id);
}

/* What fieldMapping says: the pipeline's field for each field of the schema. */
static void
walk_mapping(Compiler *c, const GraphNode *node, const SchemaSpec *schema, char **wanted)
{
    JsonbIterator *it;
    JsonbValue item;
    JsonbIteratorToken token;
    char *from = NULL;

    if (json_get_container(node->config, "fieldMapping") == NULL)
        return;
    it = JsonbIteratorInit(json_get_container(node->config, "fieldMapping"));
    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
            from = pnstrdup(item.val.string.val, item.val.string.len);
        else if (token == WJB_VALUE)
        {
            char *to = json_scalar_text(&item);
            int i = 0;

            while (i < schema->nfields && (to == NULL || strcmp(schema->fields[i].name, to) != 0))
                i++;
            if (i == schema->nfields)
                graph_complain(c->findings, node->id, "missing_column", "fieldMapping maps the pipeline's fields to the schema's.",
                               "fieldMapping maps \"%s\" to \"%s\", which is no field of the schema", from, to ? to : "null");
            else if (flow_use(c, node, from, false))
                wanted[i] = from;
        }
    }
}

/* Once for each edge that leads to it. */
static void
target_walk(Compiler *c, const GraphNode *node)
{
    const ProgramTarget *target = find_target(c->program, node);
    const SchemaSpec *schema = target->schema;
    char **wanted;

    if (schema == NULL)          /* it names one that does not exist */
        return;
    check_alone(c, target);
    if (schema->has_insert_rules) /* they rewrite the INSERT as a whole: it could not be told which row is bad */
        graph_complain(c->findings, node->id, "table_has_rules", "Drop those for INSERT, or use a trigger.",
                       "table \"%s\" has rules, which a pipeline can't load through", get_rel_name(schema->relid));
    else if (target->key && schema->has_update_rules)
        graph_complain(c->findings, node->id, "table_has_rules", "Drop those for UPDATE, or use a trigger.",
                       "table \"%s\" has rules, which an upsert can't load through", get_rel_name(schema->relid));
    wanted = palloc0(sizeof(char *) * Max(schema->nfields, 1));
    for (int i = 0; i < schema->nfields; i++)
        wanted[i] = schema->fields[i].name;
    walk_mapping(c, node, schema, wanted);
    for (int i = 0; i < schema->nfields; i++)
    {
        const TargetField *field = &schema->fields[i];
        bool is_key = target->key && bms_is_member(i, target->key->fields);
        bool needed = is_key || i == target->watermark || (field->not_null && !field->has_default);
        FlowColumn *column = flow_reach(c, wanted[i], needed);

        if (column == NULL && is_key && !flow_is_unknown(c, wanted[i]))
            graph_complain(c->findings, node->id, "missing_column", "Rename or map a field to it, or name another key in keyFields.",
                           "rows are found by field \"%s\" of the schema, but no field of the pipeline reaches it", field->name);
        else if (column == NULL && i == target->watermark && !flow_is_unknown(c, wanted[i]))
            graph_complain(c->findings, node->id, "missing_column", "Rename or map a field to it, or name another field.",
                           "field \"%s\" of the schema is the watermark, but no field of the pipeline reaches it", field->name);
        else if (column == NULL && needed && !flow_is_unknown(c, wanted[i]))
            graph_complain(c->findings, node->id, "missing_column",
                           "Rename or map a field to it, add it with an add_field node, or give the column a default.",
                           "field \"%s\" of the schema is required, but no field of the pipeline reaches it", field->name);
        if (column && column->source)
            flow_assign(node, column, field);
        flow_arrive(target, i, column);
    }
}

/* How a value of the flow gets into a target column; NULL when it can't. */
static char *
assign_sql(Compiler *c, FlowColumn *column, const TargetField *field)
{
    Oid from = flow_type(c, column);
    const char *name = sql_name(column->name);
    Oid function;

    if (c->lane->target->validation == VALIDATION_COERCE)
    {
        if (from == field->type && (column->source == NULL || field->typmod == column->source->typmod))
            return pstrdup(name);
        if (!sql_is_text(from) && find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
            return NULL;
        return sql_cast(c, column, field->type, field->typmod);
    }
    if (from == field->type || (sql_is_text(from) && sql_is_text(field->type)))
        return pstrdup(name);
    if (sql_is_text(from))
        return sql_cast(c, column, field->type, -1);
    switch (find_coercion_pathway(field->type, from, COERCION_ASSIGNMENT, &function))
    {
        case COERCION_PATH_NONE:
            if (find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
                return NULL;
            return psprintf("CAST(%s AS %s)", name, sql_type(field->type));
        default:
            return pstrdup(name);
    }
}

/* The field of the flow that goes into a field of the schema; NULL when there is none. */
static FlowColumn *
find_assigned(Compiler *c, JsonbContainer *mapping, const TargetField *field)
{
    FlowColumn *column = NULL;
    ListCell *lc;

    foreach(lc, c->flow->columns)
    {
        FlowColumn *candidate = lfirst(lc);
        char *mapped = mapping ? json_get_text(mapping, candidate->name) : NULL;

        if (mapped && strcmp(mapped, field->name) == 0)
            column = candidate;
        else if (mapped == NULL && column == NULL && strcmp(candidate->name, field->name) == 0)
            column = candidate;
    }
    return column;
}

static bool
is_absent(Compiler *c, const SourceColumn *column)
{
    const ProgramSource *source = sql_source(c, column);
    const bool *present = c->present ? c->present[source - c->program->sources] : NULL;

    return present && !present[column - source->columns];
}

/* Are equal values of the column the same to the last byte?  Not 1.0 and 1.00, nor some texts of some collations. */
static bool
equal_is_same(const TargetField *field)
{
    TypeCacheEntry *type = lookup_type_cache(field->type, TYPECACHE_BTREE_OPFAMILY);
    Oid same = InvalidOid;

    if (field->type < FirstNormalObjectId && OidIsValid(type->btree_opf))
        same = get_opfamily_proc(type->btree_opf, type->btree_opintype, type->btree_opintype, BTEQUALIMAGE_PROC);
    return OidIsValid(same) && DatumGetBool(OidFunctionCall1Coll(same, field->collation, ObjectIdGetDatum(type->btree_opintype)));
}

/* " stored.a, stored.b" and " excluded.a, excluded.b": columns that are compared in one way. */
typedef struct Compared { StringInfoData stored, excluded; } Compared;

static void
add_compared(Compared *compared, const char *name)
{
    const char *comma = compared->stored.len ? ", " : "";

    appendStringInfo(&compared->stored, "%sstored.%s", comma, name);
    appendStringInfo(&compared->excluded, "%sexcluded.%s", comma, name);
}

/*
 * What an upsert does where the key is there already: it updates the columns
 * that this lane delivers, where one of them is not the same to the last byte.
 */
static char *
conflict_clause(Compiler *c, const GraphNode *node)
{
    const Lane *lane = c->lane;
    const SchemaSpec *schema = lane->target->schema;
    const TargetKey *key = lane->target->key;
    StringInfo set = makeStringInfo(), differs = makeStringInfo();
    Compared equal, bytes;

    initStringInfo(&equal.stored);
    initStringInfo(&equal.excluded);
    initStringInfo(&bytes.stored);
    initStringInfo(&bytes.excluded);
    for (int i = 0; i < schema->nfields; i++)
    {
        const TargetField *field = &schema->fields[i];
        const char *name = sql_name(field->name);

        /* an identity that is always generated can't be updated */
        if (lane->left_out[i] || bms_is_member(field->attnum, key->columns) || field->always_identity)
            continue;
        appendStringInfo(set, "%s%s = excluded.%s", set->len ? ", " : "", name, name);
        add_compared(equal_is_same(field) ? &equal : &bytes, name);
    }
    if (equal.stored.len > 0)
        appendStringInfo(differs, "(%s) IS DISTINCT FROM (%s)", equal.stored.data, equal.excluded.data);
    if (bytes.stored.len > 0)
        appendStringInfo(differs, "%sROW(%s)::record OPERATOR(pg_catalog.*<>) ROW(%s)::record", differs->len ? " OR " : "",
                         bytes.stored.data, bytes.excluded.data);
    if (set->len > 0)
        return psprintf("\nON CONFLICT %s DO UPDATE SET %s\nWHERE %s", key->arbiter, set->data, differs->data);
    /* a file without the other columns has nothing to update */
    if (c->present == NULL && !c->mended && !graph_is_wrong(*c->findings, node))
        graph_complain(c->findings, node->id, "nothing_to_update", "Deliver further fields, or use loading strategy append.",
                       "all fields that the pipeline delivers are part of the key: an upsert would have nothing to update");
    return psprintf("\nON CONFLICT %s DO NOTHING", key->arbiter);
}

static void
target_write(Compiler *c, const GraphNode *node)
{
    Lane *lane = c->lane;
    const SchemaSpec *schema = lane->target->schema;
    JsonbContainer *mapping = json_get_container(node->config, "fieldMapping");
    StringInfo insert = makeStringInfo(), select = makeStringInfo();
    StringInfo names = makeStringInfo(), values = makeStringInfo(), labelled = makeStringInfo();
    bool overrides = false;      /* an identity: what is loaded is kept, as COPY does */

    lane->left_out = palloc0(sizeof(bool) * Max(schema->nfields, 1));
    for (int i = 0; i < schema->nfields; i++)
    {
        const TargetField *field = &schema->fields[i];
        FlowColumn *column = find_assigned(c, mapping, field);
        char *value;

        lane->left_out[i] = column == NULL || (column->source && is_absent(c, column->source));
        if (lane->left_out[i])
            continue;
        value = assign_sql(c, column, field);
        if (value == NULL)
        {
            graph_complain(c->findings, node->id, "type_mismatch", "Add a cast or expression node before the target.",
                           "field \"%s\" of type %s can't be stored in the schema's field \"%s\" of type %s", column->name,
                           format_type_be(flow_type(c, column)), field->name, format_type_be(field->type));
            continue;
        }
        overrides |= field->always_identity;
        appendStringInfo(names, "%s%s", names->len ? ", " : "", sql_name(field->name));
        appendStringInfo(values, "%s%s", values->len ? ", " : "", value);
        appendStringInfo(labelled, "%s%s AS %s", labelled->len ? ", " : "", value, sql_name(field->name));
    }
    if (names->len == 0 && !c->mended && !graph_is_wrong(*c->findings, node))
        graph_complain(c->findings, node->id, "missing_column", "Rename fields to the schema's, or map them with fieldMapping.", "no field of the pipeline reaches a field of the schema");
    appendStringInfo(insert, "INSERT INTO %s%s (%s)%s\nSELECT %s\nFROM (", sql_table(schema->relid), lane->target->key ? " AS stored" : "", names->data,
                     overrides ? " OVERRIDING SYSTEM VALUE" : "", values->data);
    lane->sql_at = insert->len;
    appendStringInfo(insert, "%s) AS %s", c->sql->data, sql_name(node->id));
    if (lane->target->key)
    {
        lane->on_conflict = conflict_clause(c, node);
        appendStringInfoString(insert, lane->on_conflict);
    }
    appendStringInfo(select, "SELECT %s\nFROM (", labelled->data);
    lane->select_at = select->len;
    appendStringInfo(select, "%s) AS %s", c->sql->data, sql_name(node->id));
    lane->sql = insert->data;
    lane->select_sql = select->data;
}

static void
target_describe(const GraphNode *node, StringInfo out)
{
    char *schema = json_get_text(node->config, "schema");
    char *validation = json_get_text(node->config, "validation");
    List *keys = json_get_texts(node->config, "keyFields");

    appendStringInfoString(out, target_strategy_name(target_strategy(node)));
    if (json_get_text(node->config, "watermarkField"))
        appendStringInfo(out, " of %s", json_get_text(node->config, "watermarkField"));
    if (keys != NIL)
    {
        appendStringInfoString(out, " by ");
        node_describe_list(out, keys);
    }
    if (schema)
        appendStringInfo(out, " to %s", schema);
    if (validation && strcmp(validation, "strict") != 0)
        appendStringInfo(out, " (%s)", validation);
}

const NodeOp node_target = {
    .name = "target",
    .kind = NODE_TARGET,
    .keeps_fields = true,
    .keys = target_keys,
    .check = target_check,
    .forgiving = true,
    .walk = target_walk,
    .write = target_write,
    .describe = target_describe,
};
