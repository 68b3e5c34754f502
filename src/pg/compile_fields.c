/*
 * compile_fields.c: the compiler's first walk: which source fields, of which type.
 *
 * Symbolic: it follows each field from its source through renames and casts to
 * the targets.  A source's fields are not known before it is read, so a name
 * that no node has made or taken away is a source field.
 */
#include "postgres.h"

#include "pg/flow.h"

#include "catalog/pg_type.h"

#include "pg/catalog.h"
#include "pg/exprcheck.h"
#include "pg/json.h"
#include "pg/lineage.h"
#include "pg/node.h"
#include "wire/wire.h"

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

static FlowColumn *
find_column(const Flow *flow, const char *name)
{
    ListCell *lc;

    foreach(lc, flow->columns)
    {
        FlowColumn *column = lfirst(lc);

        if (strcmp(column->name, name) == 0)
            return column;
    }
    return NULL;
}

static bool
has_name(const List *names, const char *name)
{
    ListCell *lc;

    foreach(lc, names)
    {
        if (strcmp(lfirst(lc), name) == 0)
            return true;
    }
    return false;
}

static void
forget_name(List **names, const char *name)
{
    ListCell *lc;

    foreach(lc, *names)
    {
        if (strcmp(lfirst(lc), name) == 0)
            *names = foreach_delete_current(*names, lc);
    }
}

FlowColumn *
flow_add(Compiler *c, const char *name, SourceColumn *source, Oid type)
{
    FlowColumn *column = palloc0(sizeof(FlowColumn));

    column->name = pstrdup(name);
    column->source = source;
    column->type = type;
    c->flow->columns = lappend(c->flow->columns, column);
    forget_name(&c->flow->unknown, name);
    return column;
}

Oid
flow_type(Compiler *c, const FlowColumn *column)
{
    return column->source ? column->source->type : column->type;
}

static GoneName *
find_gone(const Flow *flow, const char *name)
{
    ListCell *lc;

    foreach(lc, flow->gone)
    {
        GoneName *gone = lfirst(lc);

        if (strcmp(gone->name, name) == 0)
            return gone;
    }
    return NULL;
}

/* From here on the name means no field, because of `by`. */
static void
set_gone(Compiler *c, const GraphNode *by, const char *name)
{
    GoneName *gone = palloc(sizeof(GoneName));

    gone->name = pstrdup(name);
    gone->by = by;
    c->flow->gone = lappend(c->flow->gone, gone);
}

/* ---- which type a source column is wanted in ---------------------------------- */

static Trail *
new_trail(Compiler *c, Trail *before, ColumnUse *use)
{
    Trail *trail = palloc0(sizeof(Trail));

    trail->before = before;
    trail->use = use;
    trail->wanted = before && before->wanted;
    c->trails = lappend(c->trails, trail);
    return trail;
}

static void
want_type(Trail *trail, Oid type, int32 typmod, const GraphNode *by)
{
    ColumnUse *use = trail->use;

    if (use->fixed)
        return;
    for (Trail *t = trail; t; t = t->before)
        t->wanted = true;
    if (!OidIsValid(use->type))
    {
        use->type = type;
        use->typmod = typmod;
        use->by = by;
    }
    else if (use->type != type)
        use->mixed = true;
    else if (use->typmod != typmod)
        use->typmod = -1;
}

/* ---- the feeds' fields ---------------------------------------------------------- */

void
flow_begin(Compiler *c, const GraphNode *node)
{
    Feed *feed = c->feeds[node->ordinal];
    Program *p = c->program;

    feed->declared = node->wrong_config ? NIL : json_get_texts(node->config, "columns");
    feed->known = c->fields ? c->fields[node->ordinal] : NIL;
    feed->source = &p->sources[p->nsources++];
    feed->source->node = node;
    if (json_get(node->config, "connector") && !node->wrong_config)
        feed->source->connector = catalog_find_connector(json_get_text(node->config, "connector"), node->id, c->findings);
    feed->source->columns = palloc0(sizeof(SourceColumn) * WIRE_MAX_FIELDS);
    feed->uses = palloc0(sizeof(ColumnUse) * WIRE_MAX_FIELDS);
    c->flow = palloc0(sizeof(Flow));
    c->flow->feed = feed;
}

static bool
is_declared(const Feed *feed, const char *name)
{
    return feed->declared == NIL || OidIsValid(compile_pseudo_type(name)) || has_name(feed->declared, name);
}

/* The source's column of that name, asked for from now on. */
static ColumnUse *
source_column(Feed *feed, const char *name)
{
    ProgramSource *source = feed->source;
    SourceColumn *column;
    ColumnUse *use;

    for (int i = 0; i < source->ncolumns; i++)
    {
        if (strcmp(source->columns[i].name, name) == 0)
            return &feed->uses[i];
    }
    if (source->ncolumns >= WIRE_MAX_FIELDS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("the pipeline uses more than %d fields of its source", WIRE_MAX_FIELDS),
                        errdetail("Each that is used is a column, of which PostgreSQL takes no more."),
                        errhint("Fields that no node names and no field of the schema takes do not count.")));
    column = &source->columns[source->ncolumns];
    use = &feed->uses[source->ncolumns++];
    use->column = column;
    column->name = pstrdup(name);
    column->type = TEXTOID;
    column->typmod = -1;
    column->blame = feed->node;
    if (OidIsValid(compile_pseudo_type(name)))
        column->type = compile_pseudo_type(name);
    use->fixed = column->type != TEXTOID;
    return use;
}

static SetColumn *
find_set_column(const Feed *feed, const char *name)
{
    ListCell *lc;

    foreach(lc, feed->columns)
    {
        SetColumn *column = lfirst(lc);

        if (strcmp(column->column->name, name) == 0)
            return column;
    }
    return NULL;
}

/* Could the flow have a field of that name, if somebody asked?  `named`: has somebody already? */
static bool
may_have(const Flow *flow, const char *name, bool named)
{
    const Feed *feed = flow->feed;

    if (find_column(flow, name))
        return true;
    if (feed == NULL || find_gone(flow, name) || has_name(flow->unknown, name))
        return false;
    if (feed->source)
        return !named && is_declared(feed, name);
    return find_set_column(feed, name) != NULL || (feed->open && may_have(feed->inputs[0], name, named));
}

static FlowColumn *
copy_column(Compiler *c, const FlowColumn *column, const char *name)
{
    FlowColumn *copy = palloc(sizeof(FlowColumn));

    *copy = *column;
    copy->name = pstrdup(name);
    if (column->source)
        copy->trail = new_trail(c, column->trail, column->trail->use);
    return copy;
}

static void
need_field(Feed *feed, int side, const char *name)
{
    if (!has_name(feed->needed[side], name))
        feed->needed[side] = lappend(feed->needed[side], pstrdup(name));
}

static void
add_set_column(Feed *feed, FlowColumn *column, int side, const char *field)
{
    SetColumn *added = palloc(sizeof(SetColumn));

    column->seen = true;
    added->column = column;
    added->side = side;
    added->field = field ? pstrdup(field) : NULL;
    feed->columns = lappend(feed->columns, added);
    if (side >= 0)
        need_field(feed, side, field);
}

/* The field of that name, which comes into the flow if it has not been named yet; NULL when there is none. */
static FlowColumn *
reach(Compiler *c, Flow *flow, const char *name, bool required)
{
    FlowColumn *column = find_column(flow, name);
    Feed *feed = flow->feed;

    if (column == NULL && may_have(flow, name, false))
    {
        if (feed->source)
        {
            ColumnUse *use;

            /* what only a target would take, if it were there */
            if (!required && feed->known != NIL && !has_name(feed->known, name) && !OidIsValid(compile_pseudo_type(name)))
                return NULL;
            use = source_column(feed, name);

            column = palloc0(sizeof(FlowColumn));
            column->name = pstrdup(name);
            column->source = use->column;
            column->trail = new_trail(c, NULL, use);
            column->origins = lineage_of_column(feed->node, NULL, name);
        }
        else
        {
            if (find_set_column(feed, name) == NULL)
            {
                FlowColumn *given = reach(c, feed->inputs[0], name, required);

                if (given == NULL)
                    return NULL;
                add_set_column(feed, copy_column(c, given, name), 0, name);
            }
            column = copy_column(c, find_set_column(feed, name)->column, name);
        }
        flow->columns = lappend(flow->columns, column);
    }
    if (column && column->source)
        column->source->required |= required;
    return column;
}

/* Warns when the name is one of those that the source of input 0 declares: nobody has named it yet, and now nobody can. */
static void
warn_of_hidden(Compiler *c, const GraphNode *node, const char *name)
{
    const Flow *flow = c->set->inputs[0];
    const Feed *feed;

    if (!may_have(flow, name, false))
        return;
    for (feed = flow->feed; feed && feed->source == NULL; feed = feed->open ? feed->inputs[0]->feed : NULL)
        ;
    if (feed && has_name(feed->declared, name))
        graph_warn(c->findings, node->id, "hidden_column", psprintf("To have both, select it with an alias: {\"field\": \"%s\", \"alias\": \"other_%s\"}.", name, name),
                   psprintf("field \"%s\" takes the place of the one that source \"%s\" has", name, feed->node->id));
}

/* Names of fields that the flow may have; some of them more than once. */
static List *
names_of(const Flow *flow)
{
    const Feed *feed = flow->feed;
    List *names = NIL;
    ListCell *lc;

    foreach(lc, flow->columns)
        names = lappend(names, ((FlowColumn *) lfirst(lc))->name);
    if (feed == NULL)
        return names;
    foreach(lc, feed->columns)
        names = lappend(names, ((SetColumn *) lfirst(lc))->column->name);
    if (feed->source)
        return list_concat(names, feed->known);
    return feed->open ? list_concat(names, names_of(feed->inputs[0])) : names;
}

void
flow_reach_all(Compiler *c)
{
    /* what goes on from here has no more fields than otherwise: a node may make one of the same name */
    Flow *shown = flow_fork(c, c->flow);
    ListCell *lc;

    foreach(lc, names_of(shown))
    {
        if (may_have(shown, lfirst(lc), false))
            (void) reach(c, shown, lfirst(lc), false);
    }
}

/* ---- behind what is wrong -------------------------------------------------------- */

static bool
is_unknown(const Flow *flow, const char *name)
{
    const Feed *feed = flow->feed;

    if (find_column(flow, name) || find_gone(flow, name))
        return false;
    if (flow->vague || has_name(flow->unknown, name))
        return true;
    return feed && feed->source == NULL && find_set_column(feed, name) == NULL && feed->open && is_unknown(feed->inputs[0], name);
}

bool
flow_is_unknown(Compiler *c, const char *name)
{
    return is_unknown(c->flow, name);
}

/* A node whose type or keys are wrong may make fields of any name; of a set node, the names it makes are not all in its config. */
void
flow_doubt(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    if (node->op->keeps_fields)
        return;
    foreach(lc, json_all_texts(node->given, node->op->reads))
    {
        FlowColumn *column = find_column(c->flow, lfirst(lc));

        if (column)
            c->flow->columns = list_delete_ptr(c->flow->columns, column);
        c->flow->unknown = lappend(c->flow->unknown, lfirst(lc));
    }
    if (!node->wrong_config && !node->flawed && node->op->kind != NODE_SET)
        return;
    c->flow->vague = true;
    c->flow->gone = NIL;
}

/* What a set node is known to give. */
static char *
list_columns(const Feed *feed)
{
    StringInfoData names;
    List *given = NIL;
    ListCell *lc;

    foreach(lc, feed->columns)
        given = lappend(given, ((const SetColumn *) lfirst(lc))->column->name);
    initStringInfo(&names);
    node_describe_list(&names, given);
    return names.data;
}

/* Why a flow has no field of that name. */
static void
complain_missing(Compiler *c, const GraphNode *node, const Flow *flow, const char *name)
{
    const GoneName *gone = find_gone(flow, name);
    const Feed *feed = flow->feed;
    const char *part = c->part ? psprintf("%s: ", c->part) : "";

    if (is_unknown(flow, name))
    {
        c->notes[node->ordinal].doubtful = true;
        return;
    }
    while (gone == NULL && feed && feed->source == NULL && feed->open)
    {
        gone = find_gone(feed->inputs[0], name);
        feed = feed->inputs[0]->feed;
    }
    if (gone)
        graph_complain(c->findings, node->id, "missing_column", "Use it before that node does.", "%sfield \"%s\" is gone: node \"%s\" (%s) took it away",
                       part, name, gone->by->id, gone->by->op->name);
    else if (feed && feed->source == NULL)
        graph_complain(c->findings, node->id, "missing_column", psprintf("It gives: %s.", list_columns(feed)), "%sthere is no field \"%s\": node \"%s\" (%s) does not give it", part, name,
                       feed->node->id, feed->node->op->name);
    else
    {
        StringInfoData declared;

        initStringInfo(&declared);
        node_describe_list(&declared, feed ? feed->declared : NIL);
        graph_complain(c->findings, node->id, "missing_column", psprintf("They are: %s.", declared.data),
                       "%sthere is no field \"%s\": the source's \"columns\" do not list it", part, name);
    }
}

/* What a node wants of a field that it uses. */
typedef enum UseKind { USE_CARRY, USE_VALUE, USE_TEXT } UseKind;

static FlowColumn *
use_of(Compiler *c, const GraphNode *node, Flow *flow, const char *name, UseKind kind)
{
    FlowColumn *column = reach(c, flow, name, true);

    c->notes[node->ordinal].uses = lappend(c->notes[node->ordinal].uses, pstrdup(name));
    if (column == NULL)
        complain_missing(c, node, flow, name);
    else
        c->used = lineage_add(c->used, column->origins);
    if (column == NULL || column->source == NULL)
        return column;
    column->trail->used = column->trail->use->used = true;
    column->seen |= kind != USE_CARRY;
    if (kind == USE_TEXT && column->cast == NULL)
        want_type(column->trail, TEXTOID, -1, column->source->blame);
    return column;
}

Flow *
flow_fork(Compiler *c, const Flow *flow)
{
    Flow *copy = palloc(sizeof(Flow));
    ListCell *lc;

    *copy = *flow;
    copy->columns = NIL;
    copy->gone = list_copy(flow->gone);
    copy->unknown = list_copy(flow->unknown);
    foreach(lc, flow->columns)
        copy->columns = lappend(copy->columns, copy_column(c, lfirst(lc), ((FlowColumn *) lfirst(lc))->name));
    return copy;
}

/* ---- what nodes do with fields ------------------------------------------------ */

FlowColumn *
flow_find(Compiler *c, const char *name)
{
    return may_have(c->flow, name, true) ? reach(c, c->flow, name, false) : NULL;
}

FlowColumn *
flow_reach(Compiler *c, const char *name, bool required)
{
    return reach(c, c->flow, name, required);
}

FlowColumn *
flow_use(Compiler *c, const GraphNode *node, const char *name, bool as_read)
{
    return use_of(c, node, c->flow, name, as_read ? USE_TEXT : USE_VALUE);
}

FlowColumn *
flow_carry(Compiler *c, const GraphNode *node, const char *name)
{
    return use_of(c, node, c->flow, name, USE_CARRY);
}

void
flow_use_expression(Compiler *c, const GraphNode *node, const char *expression)
{
    const char *part = c->part;
    ListCell *lc;

    c->expressions = lappend(c->expressions, pstrdup(expression));
    c->checked = psprintf("SELECT (\n%s\n)", expression);
    if (part == NULL)
        c->part = "key \"expression\"";
    foreach(lc, exprcheck_parse(expression))
        (void) flow_use(c, node, lfirst(lc), false);
    c->part = part;
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
    FlowColumn *column = flow_name_is_free(c, node, name) ? flow_add(c, name, NULL, type) : NULL;

    if (column)
        column->origins = lineage_made(c->used, node);
    return column;
}

static void
change_type(FlowColumn *column, Oid type)
{
    column->source = NULL;
    column->trail = NULL;
    column->type = type;
}

void
flow_change(Compiler *c, const GraphNode *node, FlowColumn *column, Oid type)
{
    change_type(column, type);
    column->origins = lineage_made(c->used, node);
}

void
flow_rename(Compiler *c, const GraphNode *node, FlowColumn *column, const char *name)
{
    set_gone(c, node, column->name);
    column->name = pstrdup(name);
    column->origins = lineage_made(column->origins, node);
}

void
flow_use_table(Compiler *c, const GraphNode *node, const char *schema, const char *column)
{
    c->used = lineage_of_column(node, schema, column);
}

void
flow_cast(Compiler *c, const GraphNode *node, FlowColumn *column, Oid type)
{
    /* beyond what a preview shows, a cast has not been there yet */
    if (column->source && column->cast == NULL && !column->seen && (c->shown == NULL || graph_leads_to(c->program->graph, node, c->shown)))
    {
        want_type(column->trail, type, -1, node);
        column->cast = node;
        column->cast_type = type;
    }
    else if (column->source == NULL || column->cast_type != type)
        change_type(column, type);
    column->origins = lineage_made(column->origins, node);
}

void
flow_drop(Compiler *c, const GraphNode *node, const char *name)
{
    FlowColumn *column = find_column(c->flow, name);

    if (column)
        c->flow->columns = list_delete_ptr(c->flow->columns, column);
    else if (!may_have(c->flow, name, false))
        complain_missing(c, node, c->flow, name);
    forget_name(&c->flow->unknown, name);
    set_gone(c, node, name);
}

void
flow_assign(const GraphNode *target, FlowColumn *column, const TargetField *field)
{
    if (column->cast == NULL)
        want_type(column->trail, field->type, field->typmod, target);
}

void
flow_arrive(const ProgramTarget *target, int place, const FlowColumn *column)
{
    target->origins[place] = lineage_add(target->origins[place], column ? column->origins : lineage_of_nothing());
}

/* ---- what set nodes do with fields --------------------------------------------- */

FlowColumn *
set_use(Compiler *c, const GraphNode *node, int side, const char *name)
{
    /* its set_want is part of the same look */
    FlowColumn *column = use_of(c, node, c->set->inputs[side], name, USE_CARRY);

    if (column)
        need_field(c->set, side, name);
    return column;
}

void
set_want(const GraphNode *node, FlowColumn *column, Oid type)
{
    if (column->source && column->cast == NULL && !column->seen)
        want_type(column->trail, type, -1, node);
}

void
set_take(Compiler *c, const GraphNode *node, int side, const char *field, const char *name)
{
    FlowColumn *column = reach(c, c->set->inputs[side], field, true);

    if (column == NULL)
        complain_missing(c, node, c->set->inputs[side], field);
    else if (flow_name_is_free(c, node, name))
    {
        FlowColumn *taken = copy_column(c, column, name);

        if (side > 0 || strcmp(field, name) != 0)
            taken->origins = lineage_made(column->origins, node);
        if (side > 0 && c->set->open)
            warn_of_hidden(c, node, name);
        add_set_column(c->set, taken, side, field);
    }
}

void
set_make(Compiler *c, const GraphNode *node, const char *name, bool instead)
{
    FlowColumn *column = palloc0(sizeof(FlowColumn));

    if (!instead && !flow_name_is_free(c, node, name))
        return;
    if (!instead && c->set->open)
        warn_of_hidden(c, node, name);
    column->name = pstrdup(name);
    column->type = TEXTOID;
    column->origins = lineage_made(c->used, node);
    c->used = NIL;
    add_set_column(c->set, column, -1, NULL);
}

void
set_pass(Compiler *c)
{
    c->set->open = true;
}

/* ---- the types ------------------------------------------------------------------- */

static bool
coerces(const Compiler *c, const GraphNode *node)
{
    const Program *p = c->program;
    bool all = true;

    for (int i = 0; i < p->ntargets; i++)
    {
        if (p->targets[i].node == node)
            return p->targets[i].validation == VALIDATION_COERCE;
        all &= p->targets[i].validation == VALIDATION_COERCE;
    }
    return all && p->ntargets > 0;
}

static void
settle_column(Compiler *c, const Feed *feed, const ColumnUse *use)
{
    SourceColumn *column = use->column;

    if (OidIsValid(use->type) && !use->mixed)
    {
        column->blame = use->by;
        column->type = use->type;
        /* only when nobody else sees the value may the reader cut or round it to a target's measure */
        column->typmod = use->used ? -1 : use->typmod;
        if (use->used && use->type == VARCHAROID && use->by->op->kind == NODE_TARGET)
            column->type = TEXTOID;
    }
    column->coerce = coerces(c, column->blame);
    if (strcmp(column->name, "_modified_at") == 0)
        return;
    if (column->type == DATEOID)
        column->pattern = json_get_text(feed->node->config, "dateFormat");
    else if (column->type == TIMESTAMPOID || column->type == TIMESTAMPTZOID)
        column->pattern = json_get_text(feed->node->config, "timestampFormat");
    if (column->pattern)
        column->typmod = -1;     /* what the pattern gives is measured at the target */
}

void
fields_settle(Compiler *c)
{
    ListCell *lc;

    foreach(lc, c->trails)
    {
        Trail *trail = lfirst(lc);

        if (trail->used && !trail->wanted)
            want_type(trail, TEXTOID, -1, trail->use->column->blame);
    }
    for (int i = 0; i < c->program->graph->nnodes; i++)
    {
        const Feed *feed = c->feeds[i];

        for (int s = 0; feed && feed->source && s < feed->source->ncolumns; s++)
            settle_column(c, feed, &feed->uses[s]);
    }
}
