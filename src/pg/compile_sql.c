/*
 * compile_sql.c: the compiler's second walk: SQL.
 *
 * Each node wraps the SELECT of the node before it.  Every name and literal is
 * quoted here, and nowhere else.
 */
#include "postgres.h"

#include "pg/flow.h"

#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/json.h"

static Oid
flow_type(Compiler *c, const FlowColumn *column)
{
    return column->source >= 0 ? c->program->columns[column->source].type : column->type;
}

static const char *
type_sql(Oid type)
{
    return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

static bool
is_text(Oid type)
{
    return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/* A JSON scalar as a literal to compare a column of `type` with; *column_sql may get a cast. */
static char *
literal_sql(const JsonbValue *value, Oid type, char **column_sql)
{
    char *text = json_scalar_text(value);

    if (value->type == jbvNumeric)
    {
        if (is_text(type))
            *column_sql = psprintf("CAST(%s AS pg_catalog.numeric)", *column_sql);
        return text[0] == '-' ? psprintf("(%s)", text) : text;
    }
    if (value->type == jbvBool)
    {
        if (is_text(type))
            *column_sql = psprintf("CAST(%s AS pg_catalog.bool)", *column_sql);
        return text;
    }
    return psprintf("CAST(%s AS %s)", quote_literal_cstr(text), type_sql(is_text(type) ? TEXTOID : type));
}

static char *
pattern_sql(const char *op, const char *column, Oid type, const JsonbValue *value)
{
    char *literal = quote_literal_cstr(json_scalar_text(value));
    const char *text = is_text(type) ? column : psprintf("CAST(%s AS pg_catalog.text)", column);

    if (strcmp(op, "like") == 0)
        return psprintf("%s LIKE %s", text, literal);
    if (strncmp(op, "starts", 6) == 0)
        return psprintf("starts_with(%s, %s)", text, literal);
    if (strncmp(op, "ends", 4) == 0)
        return psprintf("right(%s, length(%s)) = %s", text, literal, literal);
    return psprintf("strpos(%s, %s) > 0", text, literal);
}

/* in, not_in and between: each item's literal, the column cast once for all. */
static char *
array_sql(const char *op, char *column, Oid type, JsonbContainer *array)
{
    StringInfoData items;
    char *cast = column;
    bool between = strcmp(op, "between") == 0;

    initStringInfo(&items);
    for (int i = 0; i < (int) JsonContainerSize(array); i++)
    {
        cast = column;
        appendStringInfo(&items, "%s%s", i == 0 ? "" : between ? " AND " : ", ",
                         literal_sql(getIthJsonbValueFromContainer(array, i), type, &cast));
    }
    if (between)
        return psprintf("%s BETWEEN %s", cast, items.data);
    return psprintf("%s %s (%s)", cast, strcmp(op, "in") == 0 ? "IN" : "NOT IN", items.data);
}

static char *
condition_sql(Compiler *c, JsonbContainer *object)
{
    FlowColumn *field = flow_find(c, json_get_text(object, "field"));
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    char *column = pstrdup(quote_identifier(field->name));
    Oid type = flow_type(c, field);
    char *literal;

    if (strncmp(op, "is", 2) == 0)
        return psprintf("%s %s", column, strstr(op, "not") ? "IS NOT NULL" : "IS NULL");
    if (value->type == jbvBinary)
        return array_sql(op, column, type, value->val.binary.data);
    if (strcmp(op, "like") == 0 || strncmp(op, "starts", 6) == 0 || strncmp(op, "ends", 4) == 0 || strcmp(op, "contains") == 0)
        return pattern_sql(op, column, type, value);
    literal = literal_sql(value, type, &column);
    return psprintf("%s %s %s", column, strcmp(op, "!=") == 0 ? "<>" : op, literal);
}

static char *
filter_sql(Compiler *c, const GraphNode *node)
{
    JsonbContainer *conditions = json_get_container(node->config, "conditions");
    char *match = json_get_text(node->config, "match");
    StringInfoData out;

    if (conditions == NULL)
        return condition_sql(c, node->config);
    initStringInfo(&out);
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
        appendStringInfo(&out, "%s(%s)", i == 0 ? "" : match && strcmp(match, "any") == 0 ? " OR " : " AND ",
                         condition_sql(c, getIthJsonbValueFromContainer(conditions, i)->val.binary.data));
    return out.data;
}

/* Every flow column as it is, but `except` (NULL: all) as `replacement`. */
static void
append_columns(Compiler *c, StringInfo out, const char *except, const char *replacement)
{
    ListCell *lc;
    bool first = true;

    foreach(lc, c->flow)
    {
        FlowColumn *column = lfirst(lc);

        appendStringInfoString(out, first ? "" : ", ");
        first = false;
        if (except && strcmp(column->name, except) == 0)
            appendStringInfo(out, "%s AS %s", replacement, quote_identifier(column->name));
        else
            appendStringInfoString(out, quote_identifier(column->name));
    }
    if (first)
        appendStringInfoString(out, "NULL AS \"_\"");
}

/* Puts `SELECT <list> FROM (` before what there is and `) AS id <tail>` behind it. */
static void
wrap(Compiler *c, const GraphNode *node, const char *list, const char *tail)
{
    StringInfo outer = makeStringInfo();

    appendStringInfo(outer, "SELECT %s\nFROM (%s) AS %s%s", list, c->sql->data, quote_identifier(node->id), tail);
    c->sql = outer;
}

static void
write_source(Compiler *c)
{
    Program *p = c->program;

    c->flow = NIL;
    for (int i = 0; i < p->ncolumns; i++)
        flow_add(c, p->columns[i].name, i, InvalidOid);
    appendStringInfoString(c->sql, "SELECT ");
    append_columns(c, c->sql, NULL, NULL);
    appendStringInfo(c->sql, " FROM %s", SOURCE_RELATION);
}

static void
write_add_field(Compiler *c, const GraphNode *node)
{
    char *name = json_get_text(node->config, "fieldName");
    char *expression = json_get_text(node->config, "expression");
    char *value = json_get_text(node->config, "defaultValue");
    Oid type = compile_field_type(json_get_text(node->config, "fieldType"));
    StringInfoData list;

    initStringInfo(&list);
    append_columns(c, &list, NULL, NULL);
    if (expression)
        appendStringInfo(&list, ", CAST((\n%s\n) AS %s) AS %s", expression, type_sql(type), quote_identifier(name));
    else
        appendStringInfo(&list, ", CAST(%s AS %s) AS %s", value ? quote_literal_cstr(value) : "NULL", type_sql(type),
                         quote_identifier(name));
    wrap(c, node, list.data, "");
    flow_add(c, name, -1, type);
}

/* A cast or mask replaces a field by an expression over it. */
static void
write_replaced(Compiler *c, const GraphNode *node, FlowColumn *column, const char *expression, Oid type)
{
    StringInfoData list;

    initStringInfo(&list);
    append_columns(c, &list, column->name, expression);
    wrap(c, node, list.data, "");
    column->source = -1;
    column->type = type;
}

static void
write_mask(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_find(c, json_get_text(node->config, "field"));
    const char *name = quote_identifier(column->name);

    write_replaced(c, node, column,
                   psprintf("kaireon.mask_%s(%s, %s)", json_get_text(node->config, "maskType"),
                            is_text(flow_type(c, column)) ? name : psprintf("CAST(%s AS pg_catalog.text)", name),
                            json_get_bool(node->config, "preserveLength", false) ? "true" : "false"),
                   TEXTOID);
}

static void
write_rename(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_find(c, json_get_text(node->config, "sourceField"));
    char *to = json_get_text(node->config, "targetField");
    StringInfoData list;
    ListCell *lc;

    if (column == NULL || strcmp(column->name, to) == 0)
        return;
    /* a source field of the new name would be hidden: it is not carried on */
    initStringInfo(&list);
    foreach(lc, c->flow)
    {
        FlowColumn *other = lfirst(lc);

        appendStringInfo(&list, "%s%s", list.len ? ", " : "", quote_identifier(other->name));
        if (other == column)
            appendStringInfo(&list, " AS %s", quote_identifier(to));
    }
    wrap(c, node, list.data, "");
    column->name = to;
}

static void
write_drop(Compiler *c, const GraphNode *node)
{
    StringInfoData list;
    ListCell *lc;

    foreach(lc, json_get_texts(node->config, "fields"))
    {
        FlowColumn *column = flow_find(c, lfirst(lc));

        if (column)
            c->flow = list_delete_ptr(c->flow, column);
    }
    initStringInfo(&list);
    append_columns(c, &list, NULL, NULL);
    wrap(c, node, list.data, "");
}

/* How a value of the flow gets into a target column; NULL when it can't. */
static char *
assign_sql(Compiler *c, FlowColumn *column, const TargetField *field)
{
    Oid from = flow_type(c, column);
    const char *name = quote_identifier(column->name);
    Oid function;

    if (c->program->validation == VALIDATION_COERCE)
    {
        if (from == field->type && (column->source < 0 || field->typmod == c->program->columns[column->source].typmod))
            return pstrdup(name);
        if (!is_text(from) && find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
            return NULL;
        return psprintf("CAST(%s AS %s)", name, format_type_extended(field->type, field->typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
    }
    if (from == field->type || (is_text(from) && is_text(field->type)))
        return pstrdup(name);
    if (is_text(from))
        return psprintf("CAST(%s AS %s)", name, type_sql(field->type));
    switch (find_coercion_pathway(field->type, from, COERCION_ASSIGNMENT, &function))
    {
        case COERCION_PATH_NONE:
            if (find_coercion_pathway(field->type, from, COERCION_EXPLICIT, &function) == COERCION_PATH_NONE)
                return NULL;
            return psprintf("CAST(%s AS %s)", name, type_sql(field->type));
        default:
            return pstrdup(name);
    }
}

static void
write_target(Compiler *c, const GraphNode *node, const bool *present)
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
        field->left_out = column == NULL || (present && column->source >= 0 && !present[column->source]);
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
        appendStringInfo(names, "%s%s", names->len ? ", " : "", quote_identifier(field->name));
        appendStringInfo(values, "%s%s", values->len ? ", " : "", value);
        appendStringInfo(labelled, "%s%s AS %s", labelled->len ? ", " : "", value, quote_identifier(field->name));
    }
    appendStringInfo(insert, "INSERT INTO %s (%s)\nSELECT %s\nFROM (%s) AS %s",
                     quote_qualified_identifier(get_namespace_name(get_rel_namespace(p->relid)), get_rel_name(p->relid)),
                     names->data, values->data, c->sql->data, quote_identifier(node->id));
    if (names->len == 0)
        graph_complain(c->findings, node->id, "missing_column", NULL, "no field of the pipeline reaches a field of the schema");
    p->sql = insert->data;
    p->select_sql = psprintf("SELECT %s\nFROM (%s) AS %s", labelled->data, c->sql->data, quote_identifier(node->id));
}

void
sql_write(Compiler *c, const GraphNode *node, const bool *present)
{
    switch (node->type)
    {
        case NODE_SOURCE:
            write_source(c);
            break;
        case NODE_FILTER:
            wrap(c, node, "*", psprintf("\nWHERE %s", filter_sql(c, node)));
            break;
        case NODE_RENAME:
            write_rename(c, node);
            break;
        case NODE_CAST:
        {
            FlowColumn *column = flow_find(c, json_get_text(node->config, "field"));
            Oid type = compile_field_type(json_get_text(node->config, "targetType"));

            if (flow_type(c, column) != type)
                write_replaced(c, node, column, psprintf("CAST(%s AS %s)", quote_identifier(column->name), type_sql(type)), type);
            break;
        }
        case NODE_DROP:
            write_drop(c, node);
            break;
        case NODE_ADD_FIELD:
            write_add_field(c, node);
            break;
        case NODE_MASK_PII:
            write_mask(c, node);
            break;
        case NODE_TARGET:
            write_target(c, node, present);
            break;
    }
}
