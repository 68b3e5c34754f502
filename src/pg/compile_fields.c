/*
 * compile_fields.c: the compiler's first walk: which source fields, of which type.
 *
 * Symbolic: it follows each field from the source through renames and casts to
 * the target.  A source's fields are not known before it is read, so a name
 * that no node has made or taken away is a source field.
 */
#include "postgres.h"

#include "pg/flow.h"

#include "catalog/pg_type.h"

#include "pg/exprcheck.h"
#include "pg/json.h"

/* Columns every source offers beside its own. */
static const struct { const char *name; Oid type; } pseudo_columns[] = {
    {"_source", TEXTOID}, {"_line", INT8OID}, {"_offset", INT8OID}, {"_modified_at", TIMESTAMPTZOID}};

static GoneName *
find_gone(Compiler *c, const char *name)
{
    ListCell *lc;

    foreach(lc, c->gone)
    {
        GoneName *gone = lfirst(lc);

        if (strcmp(gone->name, name) == 0)
            return gone;
    }
    return NULL;
}

static bool
is_declared(Compiler *c, const char *name)
{
    ListCell *lc;

    for (size_t i = 0; i < lengthof(pseudo_columns); i++)
    {
        if (strcmp(pseudo_columns[i].name, name) == 0)
            return true;
    }
    if (c->declared == NIL)
        return true;
    foreach(lc, c->declared)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    return false;
}

static void
mark_gone(Compiler *c, const char *name, const GraphNode *by)
{
    GoneName *gone = palloc(sizeof(GoneName));

    gone->name = pstrdup(name);
    gone->by = by;
    c->gone = lappend(c->gone, gone);
}

/* The source field of that name comes into the flow. */
static FlowColumn *
add_source(Compiler *c, const char *name, bool required)
{
    Program *p = c->program;
    SourceColumn *column;

    if (p->ncolumns >= WIRE_MAX_COLUMNS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("the pipeline uses more than %d fields of its source", WIRE_MAX_COLUMNS),
                        errhint("Fields that no node names and no field of the schema takes do not count.")));
    column = &p->columns[p->ncolumns];
    column->name = pstrdup(name);
    column->type = TEXTOID;
    column->typmod = -1;
    column->required = required;
    column->blame = &p->graph->nodes[0];
    for (size_t i = 0; i < lengthof(pseudo_columns); i++)
    {
        if (strcmp(pseudo_columns[i].name, name) == 0)
            column->type = pseudo_columns[i].type;
    }
    return flow_add(c, name, p->ncolumns++, InvalidOid);
}

/* The field a node names; complains and gives NULL when there can be none. */
static FlowColumn *
use_field(Compiler *c, const GraphNode *node, const char *name, bool as_read)
{
    FlowColumn *column = flow_find(c, name);
    GoneName *gone;

    if (column == NULL && (gone = find_gone(c, name)) != NULL)
    {
        graph_complain(c->findings, node->id, "missing_column", NULL, "field \"%s\" is gone: node \"%s\" (%s) took it away",
                       name, gone->by->id, gone->by->type_name);
        return NULL;
    }
    if (column == NULL && !is_declared(c, name))
    {
        graph_complain(c->findings, node->id, "missing_column", NULL, "there is no field \"%s\": the source's \"columns\" do not list it", name);
        return NULL;
    }
    if (column == NULL)
        column = add_source(c, name, true);
    if (column->source >= 0)
    {
        ColumnUse *use = &c->uses[column->source];

        c->program->columns[column->source].required = true;
        use->used = true;
        if (as_read && use->cast == NULL)
            use->text_before = true;
    }
    return column;
}

/* A field a node makes; its name must be free. */
static void
make_field(Compiler *c, const GraphNode *node, const char *name, Oid type)
{
    if (flow_find(c, name))
    {
        graph_complain(c->findings, node->id, "duplicate_column", "Drop or rename it first.",
                       "there is a field \"%s\" already", name);
        return;
    }
    flow_add(c, name, -1, type);
}

static void
walk_filter(Compiler *c, const GraphNode *node)
{
    JsonbContainer *conditions = json_get_container(node->config, "conditions");

    if (conditions == NULL)
    {
        use_field(c, node, json_get_text(node->config, "field"), false);
        return;
    }
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
        use_field(c, node, json_get_text(getIthJsonbValueFromContainer(conditions, i)->val.binary.data, "field"), false);
}

static void
walk_rename(Compiler *c, const GraphNode *node)
{
    char *from = json_get_text(node->config, "sourceField");
    char *to = json_get_text(node->config, "targetField");
    FlowColumn *column;

    if (strcmp(from, to) == 0)
        return;
    column = use_field(c, node, from, false);
    if (column == NULL)
        return;
    if (flow_find(c, to))
    {
        graph_complain(c->findings, node->id, "duplicate_column", "Drop or rename it first.", "there is a field \"%s\" already", to);
        return;
    }
    column->name = to;
    mark_gone(c, from, node);
}

static void
walk_cast(Compiler *c, const GraphNode *node)
{
    char *type_name = json_get_text(node->config, "targetType");
    Oid type = compile_field_type(type_name);
    FlowColumn *column = use_field(c, node, json_get_text(node->config, "field"), false);

    if (!OidIsValid(type))
    {
        graph_complain(c->findings, node->id, "wrong_value", psprintf("Valid types are: %s.", compile_field_type_list()),
                       "\"%s\" is not a type a field can be cast to", type_name);
        return;
    }
    if (column == NULL)
        return;
    if (column->source >= 0)
    {
        ColumnUse *use = &c->uses[column->source];

        if (use->cast == NULL && !use->text_before)
        {
            use->cast = node;
            use->cast_type = type;
            return;              /* it is read in that type: nothing to do */
        }
        if (use->cast && use->cast_type == type)
            return;
    }
    column->source = -1;
    column->type = type;
}

static void
walk_add_field(Compiler *c, const GraphNode *node)
{
    char *type_name = json_get_text(node->config, "fieldType");
    char *expression = json_get_text(node->config, "expression");
    Oid type = compile_field_type(type_name);

    if (!OidIsValid(type))
        graph_complain(c->findings, node->id, "wrong_value", psprintf("Valid types are: %s.", compile_field_type_list()),
                       "\"%s\" is not a field type", type_name);
    if (expression)
    {
        ListCell *lc;

        foreach(lc, exprcheck_parse(expression))
            use_field(c, node, lfirst(lc), false);
    }
    make_field(c, node, json_get_text(node->config, "fieldName"), OidIsValid(type) ? type : TEXTOID);
}

static void
walk_target(Compiler *c, const GraphNode *node)
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
                else if (use_field(c, node, from, false))
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
        if (column == NULL && !find_gone(c, wanted[i]) && is_declared(c, wanted[i]))
            column = add_source(c, wanted[i], needed);
        if (column == NULL && needed)
            graph_complain(c->findings, node->id, "missing_column",
                           "Rename or map a field to it, add it with an add_field node, or give the column a default.",
                           "field \"%s\" of the schema is required, but no field of the pipeline reaches it", field->name);
        if (column && column->source >= 0)
        {
            SourceColumn *source = &p->columns[column->source];
            ColumnUse *use = &c->uses[column->source];

            source->required |= needed;
            field->source = column->source;
            if (use->cast == NULL && !use->text_before && source->type == TEXTOID)
            {
                source->blame = node;
                source->type = field->type;
                /* only when nobody else sees the value may the reader cut or round it to the column's measure */
                source->typmod = use->used ? -1 : field->typmod;
                if (use->used && field->type == VARCHAROID)
                    source->type = TEXTOID;
            }
        }
    }
}

void
fields_walk(Compiler *c, const GraphNode *node)
{
    switch (node->type)
    {
        case NODE_SOURCE:
            c->declared = json_get_texts(node->config, "columns");
            break;
        case NODE_FILTER:
            walk_filter(c, node);
            break;
        case NODE_RENAME:
            walk_rename(c, node);
            break;
        case NODE_CAST:
            walk_cast(c, node);
            break;
        case NODE_DROP:
        {
            ListCell *lc;

            foreach(lc, json_get_texts(node->config, "fields"))
            {
                FlowColumn *column = flow_find(c, lfirst(lc));

                if (column)
                    c->flow = list_delete_ptr(c->flow, column);
                else if (!is_declared(c, lfirst(lc)) || find_gone(c, lfirst(lc)))
                    use_field(c, node, lfirst(lc), false);
                mark_gone(c, lfirst(lc), node);
            }
            break;
        }
        case NODE_ADD_FIELD:
            walk_add_field(c, node);
            break;
        case NODE_MASK_PII:
        {
            FlowColumn *column = use_field(c, node, json_get_text(node->config, "field"), true);

            if (column)
            {
                column->source = -1;
                column->type = TEXTOID;
            }
            break;
        }
        case NODE_TARGET:
            walk_target(c, node);
            break;
    }
}

void
fields_settle(Compiler *c)
{
    JsonbContainer *source = c->program->graph->nodes[0].config;

    for (int i = 0; i < c->program->ncolumns; i++)
    {
        SourceColumn *column = &c->program->columns[i];

        if (c->uses[i].cast)
        {
            column->type = c->uses[i].cast_type;
            column->typmod = -1;
            column->blame = c->uses[i].cast;
        }
        if (strcmp(column->name, "_modified_at") == 0)
            continue;
        if (column->type == DATEOID)
            column->pattern = json_get_text(source, "dateFormat");
        else if (column->type == TIMESTAMPOID || column->type == TIMESTAMPTZOID)
            column->pattern = json_get_text(source, "timestampFormat");
        if (column->pattern)
            column->typmod = -1; /* what the pattern gives is measured at the target */
    }
}
