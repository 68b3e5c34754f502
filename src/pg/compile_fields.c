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

#include "pg/json.h"
#include "pg/node.h"

/* Columns every source offers beside its own. */
static const struct { const char *name; Oid type; } pseudo_columns[] = {
    {"_source", TEXTOID}, {"_line", INT8OID}, {"_offset", INT8OID}, {"_modified_at", TIMESTAMPTZOID}};

Oid
compile_pseudo_type(const char *name)
{
    for (size_t i = 0; i < lengthof(pseudo_columns); i++)
    {
        if (strcmp(pseudo_columns[i].name, name) == 0)
            return pseudo_columns[i].type;
    }
    return InvalidOid;
}

/* ---- columns between nodes ------------------------------------------------ */

FlowColumn *
flow_find(Compiler *c, const char *name)
{
    ListCell *lc;

    foreach(lc, c->flow)
    {
        FlowColumn *column = lfirst(lc);

        if (strcmp(column->name, name) == 0)
            return column;
    }
    return NULL;
}

FlowColumn *
flow_add(Compiler *c, const char *name, int source, Oid type)
{
    FlowColumn *column = palloc0(sizeof(FlowColumn));

    column->name = pstrdup(name);
    column->source = source;
    column->type = type;
    c->flow = lappend(c->flow, column);
    return column;
}

Oid
flow_type(Compiler *c, const FlowColumn *column)
{
    return column->source >= 0 ? c->program->columns[column->source].type : column->type;
}

/* ---- the source's fields ---------------------------------------------------- */

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

    if (c->declared == NIL || OidIsValid(compile_pseudo_type(name)))
        return true;
    foreach(lc, c->declared)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    return false;
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
    if (OidIsValid(compile_pseudo_type(name)))
        column->type = compile_pseudo_type(name);
    return flow_add(c, name, p->ncolumns++, InvalidOid);
}

/* ---- what nodes do with fields ------------------------------------------------ */

FlowColumn *
flow_use(Compiler *c, const GraphNode *node, const char *name, bool as_read)
{
    FlowColumn *column = flow_find(c, name);
    GoneName *gone;

    if (column == NULL && (gone = find_gone(c, name)) != NULL)
    {
        graph_complain(c->findings, node->id, "missing_column", NULL, "field \"%s\" is gone: node \"%s\" (%s) took it away",
                       name, gone->by->id, gone->by->op->name);
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

bool
flow_name_is_free(Compiler *c, const GraphNode *node, const char *name)
{
    if (flow_find(c, name) == NULL)
        return true;
    graph_complain(c->findings, node->id, "duplicate_column", "Drop or rename it first.", "there is a field \"%s\" already", name);
    return false;
}

FlowColumn *
flow_make(Compiler *c, const GraphNode *node, const char *name, Oid type)
{
    return flow_name_is_free(c, node, name) ? flow_add(c, name, -1, type) : NULL;
}

void
flow_change(FlowColumn *column, Oid type)
{
    column->source = -1;
    column->type = type;
}

void
flow_cast(Compiler *c, const GraphNode *node, FlowColumn *column, Oid type)
{
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
    flow_change(column, type);
}

void
flow_gone(Compiler *c, const GraphNode *by, const char *name)
{
    GoneName *gone = palloc(sizeof(GoneName));

    gone->name = pstrdup(name);
    gone->by = by;
    c->gone = lappend(c->gone, gone);
}

void
flow_drop(Compiler *c, const GraphNode *node, const char *name)
{
    FlowColumn *column = flow_find(c, name);

    if (column)
        c->flow = list_delete_ptr(c->flow, column);
    else if (!is_declared(c, name) || find_gone(c, name))
        flow_use(c, node, name, false);
    flow_gone(c, node, name);
}

FlowColumn *
flow_reach(Compiler *c, const char *name, bool required)
{
    return find_gone(c, name) || !is_declared(c, name) ? NULL : add_source(c, name, required);
}

void
flow_assign(Compiler *c, const GraphNode *target, FlowColumn *column, const TargetField *field, bool needed)
{
    SourceColumn *source = &c->program->columns[column->source];
    ColumnUse *use = &c->uses[column->source];

    source->required |= needed;
    if (use->cast || use->text_before || source->type != TEXTOID)
        return;
    source->blame = target;
    source->type = field->type;
    /* only when nobody else sees the value may the reader cut or round it to the column's measure */
    source->typmod = use->used ? -1 : field->typmod;
    if (use->used && field->type == VARCHAROID)
        source->type = TEXTOID;
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
