/*
 * node_target.c: the node that loads into a schema's table.
 */
#include "postgres.h"

#include "parser/parse_coerce.h"
#include "utils/builtins.h"

#include "pg/flow.h"
#include "pg/node.h"

static const char *const strategies[] = {"append", NULL};
static const char *const validations[] = {"strict", "skip", "coerce", NULL};

static const JsonKey target_keys[] = {
    {"schema", JSON_STRING, false, NULL},
    {"loadingStrategy", JSON_STRING, false, strategies},
    {"validation", JSON_STRING, false, validations},
    {"fieldMapping", JSON_OBJECT, false, NULL},
    {NULL, 0, false, NULL}};

static void
target_walk(Compiler *c, const GraphNode *node)
{
    Program *p = c->program;
    JsonbContainer *mapping = json_get_container(node->config, "fieldMapping");
    char **wanted = palloc0(sizeof(char *) * Max(p->nfields, 1));

    for (int i = 0; i < p->nfields; i++)
        wanted[i] = p->fields[i].name;
    if (mapping)
    {
        JsonbIterator *it = JsonbIteratorInit(mapping);
        JsonbValue item;
        JsonbIteratorToken token;
        char *from = NULL;

        while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
        {
            if (token == WJB_KEY)
                from = pnstrdup(item.val.string.val, item.val.string.len);
            else if (token == WJB_VALUE)
            {
                char *to = json_scalar_text(&item);
                int i = 0;

                while (i < p->nfields && (to == NULL || strcmp(p->fields[i].name, to) != 0))
                    i++;
                if (i == p->nfields)
                    graph_complain(c->findings, node->id, "missing_column", "fieldMapping maps the pipeline's fields to the schema's.",
                                   "fieldMapping maps \"%s\" to \"%s\", which is no field of the schema", from, to ? to : "null");
                else if (flow_use(c, node, from, false))
                    wanted[i] = from;
            }
        }
    }
    for (int i = 0; i < p->nfields; i++)
    {
        TargetField *field = &p->fields[i];
        FlowColumn *column = flow_find(c, wanted[i]);
        bool needed = field->not_null && !field->has_default;

        field->source = -1;
        if (column == NULL)
            column = flow_reach(c, wanted[i], needed);
        if (column == NULL && needed)
            graph_complain(c->findings, node->id, "missing_column",
                           "Rename or map a field to it, add it with an add_field node, or give the column a default.",
                           "field \"%s\" of the schema is required, but no field of the pipeline reaches it", field->name);
        if (column && column->source >= 0)
        {
            field->source = column->source;
            flow_assign(c, node, column, field, needed);
        }
    }
}

/* How a value of the flow gets into a target column; NULL when it can't. */
static char *
assign_sql(Compiler *c, FlowColumn *column, const TargetField *field)
{
    Oid from = flow_type(c, column);
    const char *name = sql_name(column->name);
    Oid function;

    if (c->program->validation == VALIDATION_COERCE)
    {
        if (from == field->type && (column->source < 0 || field->typmod == c->program->columns[column->source].typmod))
            return pstrdup(name);
        if (!sql_is_text(from) && find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
            return NULL;
        return psprintf("CAST(%s AS %s)", name, sql_type_with_typmod(field->type, field->typmod));
    }
    if (from == field->type || (sql_is_text(from) && sql_is_text(field->type)))
        return pstrdup(name);
    if (sql_is_text(from))
        return psprintf("CAST(%s AS %s)", name, sql_type(field->type));
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

static void
target_write(Compiler *c, const GraphNode *node)
{
    Program *p = c->program;
    JsonbContainer *mapping = json_get_container(node->config, "fieldMapping");
    StringInfo insert = makeStringInfo(), names = makeStringInfo(), values = makeStringInfo(), labelled = makeStringInfo();

    for (int i = 0; i < p->nfields; i++)
    {
        TargetField *field = &p->fields[i];
        FlowColumn *column = NULL;
        char *value;
        ListCell *lc;

        foreach(lc, c->flow)
        {
            FlowColumn *candidate = lfirst(lc);
            char *mapped = mapping ? json_get_text(mapping, candidate->name) : NULL;

            if (mapped && strcmp(mapped, field->name) == 0)
                column = candidate;
            else if (mapped == NULL && column == NULL && strcmp(candidate->name, field->name) == 0)
                column = candidate;
        }
        field->left_out = column == NULL || (c->present && column->source >= 0 && !c->present[column->source]);
        if (field->left_out)
            continue;
        value = assign_sql(c, column, field);
        if (value == NULL)
        {
            graph_complain(c->findings, node->id, "type_mismatch", "Add a cast or expression node before the target.",
                           "field \"%s\" of type %s can't be stored in the schema's field \"%s\" of type %s", column->name,
                           format_type_be(flow_type(c, column)), field->name, format_type_be(field->type));
            continue;
        }
        appendStringInfo(names, "%s%s", names->len ? ", " : "", sql_name(field->name));
        appendStringInfo(values, "%s%s", values->len ? ", " : "", value);
        appendStringInfo(labelled, "%s%s AS %s", labelled->len ? ", " : "", value, sql_name(field->name));
    }
    appendStringInfo(insert, "INSERT INTO %s (%s)\nSELECT %s\nFROM (%s) AS %s",
                     sql_table(p->relid),
                     names->data, values->data, c->sql->data, sql_name(node->id));
    if (names->len == 0)
        graph_complain(c->findings, node->id, "missing_column", NULL, "no field of the pipeline reaches a field of the schema");
    p->sql = insert->data;
    p->select_sql = psprintf("SELECT %s\nFROM (%s) AS %s", labelled->data, c->sql->data, sql_name(node->id));
}

static void
target_describe(const GraphNode *node, StringInfo out)
{
    char *strategy = json_get_text(node->config, "loadingStrategy");
    char *schema = json_get_text(node->config, "schema");
    char *validation = json_get_text(node->config, "validation");

    appendStringInfoString(out, strategy ? strategy : "append");
    if (schema)
        appendStringInfo(out, " to %s", schema);
    if (validation && strcmp(validation, "strict") != 0)
        appendStringInfo(out, " (%s)", validation);
}

const NodeOp node_target = {
    .name = "target",
    .kind = NODE_TARGET,
    .keys = target_keys,
    .walk = target_walk,
    .write = target_write,
    .describe = target_describe,
};
