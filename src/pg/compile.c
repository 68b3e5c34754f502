/*
 * compile.c: from a graph to SQL.  See compile.h.
 *
 * Two walks: the first goes over the nodes in topological order and finds the
 * sources' fields and their types (compile_fields.c), the second goes along
 * each lane of each stage and writes the SQL (compile_sql.c).  What a node does
 * in them is in its NodeOp; what is here brings them together.  The SQL is
 * checked node by node (compile_check.c).
 */
#include "postgres.h"

#include "pg/compile.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"

#include "pg/catalog.h"
#include "pg/compile_set.h"
#include "pg/flow.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/target.h"
#include "pg/target_key.h"

static const struct { const char *name; Oid type; } field_types[] = {
    {"string", TEXTOID}, {"text", TEXTOID}, {"varchar", VARCHAROID}, {"integer", INT4OID}, {"bigint", INT8OID},
    {"smallint", INT2OID}, {"numeric", NUMERICOID}, {"decimal", NUMERICOID}, {"float", FLOAT4OID},
    {"real", FLOAT4OID}, {"double", FLOAT8OID}, {"boolean", BOOLOID}, {"date", DATEOID},
    {"timestamp", TIMESTAMPOID}, {"timestamptz", TIMESTAMPTZOID}, {"json", JSONBOID}, {"uuid", UUIDOID}};

Oid
compile_field_type(const char *name)
{
    for (size_t i = 0; i < lengthof(field_types); i++)
    {
        if (strcmp(field_types[i].name, name) == 0)
            return field_types[i].type;
    }
    return InvalidOid;
}

const char *
compile_field_type_list(void)
{
    return "string, varchar, text, integer, bigint, smallint, numeric, decimal, float, real, double, boolean, date, "
           "timestamp, timestamptz, json, uuid";
}

/* ---- lanes ------------------------------------------------------------------- */

/* Adds the lane of these steps to the stage. */
static void
add_lane(Compiler *c, ProgramStage *stage, const LaneStep *steps, int nsteps)
{
    Program *p = c->program;
    Lane *lane;

    if (stage->nlanes == 0)
        stage->lanes = palloc(sizeof(Lane));
    else
        stage->lanes = repalloc(stage->lanes, sizeof(Lane) * (stage->nlanes + 1));
    lane = &stage->lanes[stage->nlanes++];
    memset(lane, 0, sizeof(Lane));
    lane->nsteps = nsteps;
    lane->steps = palloc(sizeof(LaneStep) * nsteps);
    memcpy(lane->steps, steps, sizeof(LaneStep) * nsteps);
    for (int i = 0; i < p->ntargets; i++)
    {
        if (p->targets[i].node == steps[nsteps - 1].node)
            lane->target = &p->targets[i];
    }
}

/* All ways on from the last of the steps, in the order of branches' routes. */
static void
find_lanes(Compiler *c, ProgramStage *stage, LaneStep *steps, int nsteps)
{
    const Graph *graph = c->program->graph;
    LaneStep *last = &steps[nsteps - 1];
    List *edges = graph_edges_from(graph, last->node);
    ListCell *lc;

    CHECK_FOR_INTERRUPTS();
    if ((last->node == c->shown && last->node->op->kind != NODE_BRANCH) || last->node->op->kind == NODE_TARGET ||
        (last->node->op->kind == NODE_SET && nsteps > 1) || edges == NIL)
    {
        add_lane(c, stage, steps, nsteps);
        return;
    }
    foreach(lc, edges)
    {
        const GraphEdge *edge = lfirst(lc);

        last->route = last->node->op->kind == NODE_BRANCH ? edge->label : NULL;
        if (last->node == c->shown)
        {
            add_lane(c, stage, steps, nsteps);
            continue;
        }
        memset(&steps[nsteps], 0, sizeof(LaneStep));
        steps[nsteps].node = &graph->nodes[edge->to];
        find_lanes(c, stage, steps, nsteps + 1);
    }
}

/* ---- the walks ------------------------------------------------------------------ */

static Validation
target_validation(const GraphNode *target, Validation fallback)
{
    char *text = json_get_text(target->config, "validation");

    if (text == NULL)
        return fallback;
    return strcmp(text, "strict") == 0 ? VALIDATION_STRICT : strcmp(text, "skip") == 0 ? VALIDATION_SKIP : VALIDATION_COERCE;
}

/* The program's targets and the nodes that give rows, before the first walk. */
static void
begin_program(Compiler *c, const CompileInput *input)
{
    Program *p = c->program;
    const Graph *graph = p->graph;

    p->sources = palloc0(sizeof(ProgramSource) * graph->nnodes);
    p->targets = palloc0(sizeof(ProgramTarget) * graph->nnodes);
    p->stages = palloc0(sizeof(ProgramStage) * graph->nnodes);
    p->summaries = palloc0(sizeof(ProgramSummary) * graph->nnodes);
    c->feeds = palloc0(sizeof(Feed *) * graph->nnodes);
    c->edge_flows = palloc0(sizeof(Flow *) * Max(graph->nedges, 1));
    c->notes = palloc0(sizeof(NodeNotes) * graph->nnodes);
    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        ProgramTarget *target;

        if (node->op->kind == NODE_SOURCE || node->op->kind == NODE_SET)
        {
            c->feeds[i] = palloc0(sizeof(Feed));
            c->feeds[i]->node = node;
        }
        if (node->op->kind != NODE_TARGET)
            continue;
        target = &p->targets[p->ntargets++];
        target->node = node;
        target->validation = target_validation(node, input->fallback);
        target->strategy = node->wrong_config ? LOAD_APPEND : target_strategy(node);
        target->schema = input->schema;
        if (json_get(node->config, "schema") && !node->wrong_config)
            target->schema = catalog_find_schema(json_get_text(node->config, "schema"), input->schema->relid, c->collect, node, "key \"schema\"", c->findings);
        target_resolve(target, c->findings);
        if (target->schema)
            target->origins = palloc0(sizeof(List *) * Max(target->schema->nfields, 1));
    }
}

/* A flow of which nothing is known. */
static Flow *
vague_flow(void)
{
    Flow *flow = palloc0(sizeof(Flow));

    flow->vague = true;
    return flow;
}

/* Where a node is wrong, what follows from that is not complained of behind it. */
static void
walk(Compiler *c, const GraphNode *node)
{
    bool can_walk = node->op->kind == NODE_SOURCE || !(node->wrong_config || (c->set && c->set->ninputs < node->op->inputs));
    int before = graph_count_errors(*c->findings, node);
    NodeNotes *notes = &c->notes[node->ordinal];

    c->used = NIL;
    notes->in_parts = 0;
    if (can_walk)
        check_with_findings(c, node, node->op->walk);
    if (node == c->shown && node->op->kind != NODE_TARGET)
        flow_reach_all(c);
    notes->failed |= graph_count_errors(*c->findings, node) - before > notes->in_parts;
    if (can_walk && !c->notes[node->ordinal].doubtful && !graph_is_wrong(*c->findings, node))
        return;
    flow_doubt(c, node);
    if (c->set)
        c->set->open |= !can_walk || !node->op->keeps_fields;
}

static void
walk_set(Compiler *c, const GraphNode *node)
{
    Feed *feed = c->feeds[node->ordinal];
    const Graph *graph = c->program->graph;
    ListCell *lc;

    foreach(lc, graph_edges_to(graph, node))
        feed->inputs[feed->ninputs++] = c->edge_flows[(GraphEdge *) lfirst(lc) - graph->edges];
    if (feed->ninputs == 0)
        feed->inputs[0] = vague_flow();
    c->set = feed;
    c->flow = palloc0(sizeof(Flow));
    c->flow->feed = feed;
    walk(c, node);
    c->set = NULL;
}

/* First walk, one node: with the flow of each edge that leads to it; each edge out of it gets a flow. */
static void
walk_node(Compiler *c, const GraphNode *node)
{
    const Graph *graph = c->program->graph;
    List *edges = graph_edges_from(graph, node);
    ListCell *lc;

    c->flow = NULL;
    if (node->op->kind == NODE_SOURCE)
        walk(c, node);
    else if (node->op->kind == NODE_SET)
        walk_set(c, node);
    else
    {
        foreach(lc, graph_edges_to(graph, node))
        {
            c->flow = c->edge_flows[(GraphEdge *) lfirst(lc) - graph->edges];
            walk(c, node);
        }
    }
    if (c->flow == NULL)         /* an edge that should lead to it is missing */
    {
        c->flow = vague_flow();
        walk(c, node);
    }
    foreach(lc, edges)
    {
        const GraphEdge *edge = lfirst(lc);

        c->edge_flows[edge - graph->edges] = list_length(edges) > 1 ? flow_fork(c, c->flow) : c->flow;
    }
}

/* Which input of the set node at its end the lane fills. */
static int
input_side(const Compiler *c, const Lane *lane)
{
    const Graph *graph = c->program->graph;
    const LaneStep *end = &lane->steps[lane->nsteps - 1], *before = end - 1;
    int side = 0;
    ListCell *lc;

    foreach(lc, graph_edges_to(graph, end->node))
    {
        const GraphEdge *edge = lfirst(lc);

        if (&graph->nodes[edge->from] == before->node && (before->route == NULL || strcmp(before->route, edge->label) == 0))
            return side;
        side++;
    }
    elog(ERROR, "lane leads to no input of node \"%s\"", end->node->id);
}

/* Is the node's work needed: always, but for a preview of another node's rows? */
static bool
is_needed(const Compiler *c, const GraphNode *node)
{
    return c->shown == NULL || graph_leads_to(c->program->graph, node, c->shown);
}

/* The lane goes no further: its statement is the SELECT so far. */
static void
leave(Compiler *c)
{
    c->lane->sql = c->lane->select_sql = c->sql->data;
}

/* The lane has come to a set node: its statement is finished with the node's query. */
static void
leave_to_set(Compiler *c)
{
    Feed *feed = c->feeds[c->lane->steps[c->step].node->ordinal];
    int side = input_side(c, c->lane);

    if (!is_needed(c, feed->node))
    {
        leave(c);
        return;
    }
    feed->inputs[side] = c->flow;
    feed->mended |= c->mended;
    feed->lanes[side] = c->lane;
    feed->lane_stages[side] = c->stage;
    feed->lane_sql[side] = c->sql->data;
}

/* The node's SQL, checked. */
static void
write_node(Compiler *c, const GraphNode *node)
{
    LaneStep *step = &c->lane->steps[c->step];
    StringInfo before = c->sql;
    int errors = graph_count_errors(*c->findings, node);

    c->before_at = 0;
    if (c->behind)
        check_begin_parts(c, "SELECT * FROM " SOURCE_RELATION, SOURCE_RELATION, c->behind);
    else
        check_begin_parts(c, before->data, c->stage->relation, c->stage->desc);
    if (node->op->kind == NODE_SET)
        compile_write_result(c);
    else
        node->op->write(c, node);
    if (graph_count_errors(*c->findings, node) > errors)
        return;
    if (c->step == 0 || c->sql != before)
        step->end = c->sql->len;
    step->sql = c->sql->data;
    if (node == c->shown && node->op->kind != NODE_TARGET)
        leave(c);
    check_node(c, node, before);
}

/* Is it known what the node does, and are the fields there that it uses? */
static bool
can_be_written(Compiler *c, const GraphNode *node)
{
    ListCell *lc;

    /* of a target the fields are looked at one by one */
    if (node->op->kind == NODE_TARGET)
        return !node->wrong_config && c->lane->target->schema;
    if (node->wrong_config || (node->wrong_edges && node->op->kind == NODE_BRANCH) || c->notes[node->ordinal].doubtful ||
        c->notes[node->ordinal].failed)
        return false;
    foreach(lc, c->notes[node->ordinal].uses)
    {
        if (flow_find(c, lfirst(lc)) == NULL)
            return false;
    }
    return true;
}

static Flow *
copy_flow(const Flow *flow)
{
    Flow *copy = palloc(sizeof(Flow));
    ListCell *lc;

    copy->columns = NIL;
    copy->gone = list_copy(flow->gone);
    copy->feed = flow->feed;
    copy->unknown = list_copy(flow->unknown);
    copy->vague = flow->vague;
    foreach(lc, flow->columns)
    {
        FlowColumn *column = palloc(sizeof(FlowColumn));

        *column = *(FlowColumn *) lfirst(lc);
        copy->columns = lappend(copy->columns, column);
    }
    return copy;
}

/* Second walk, one step of the lane; what is wrong is left out. */
static void
write_step(Compiler *c)
{
    const GraphNode *node = c->lane->steps[c->step].node;
    StringInfo sql = c->sql;
    int errors = graph_count_errors(*c->findings, node);
    Flow *flow;

    if (node->op->kind == NODE_SET && c->step > 0)
    {
        leave_to_set(c);
        return;
    }
    if (!c->collect || c->step == 0)
    {
        check_with_findings(c, node, write_node);
        return;
    }
    flow = copy_flow(c->flow);
    if (can_be_written(c, node))
    {
        check_with_findings(c, node, write_node);
        if (!graph_is_wrong(*c->findings, node))
            return;
        c->notes[node->ordinal].failed |= graph_count_errors(*c->findings, node) > errors;
    }
    c->sql = sql;
    c->flow = flow;
    c->mended = true;
    flow_doubt(c, node);
}

static bool
same_step(const LaneStep *a, const LaneStep *b)
{
    return a->node == b->node && (a->route == b->route || (a->route && b->route && strcmp(a->route, b->route) == 0));
}

static void
write_lane(Compiler *c, int number)
{
    const Lane *earlier = number > 0 ? &c->stage->lanes[number - 1] : NULL;

    c->shared = earlier != NULL;
    c->mended = c->set->mended;
    c->lane = &c->stage->lanes[number];
    c->flow = palloc0(sizeof(Flow));
    c->sql = makeStringInfo();
    c->behind = NULL;
    c->oversized = false;
    for (c->step = 0; c->step < c->lane->nsteps; c->step++)
    {
        c->shared = c->shared && c->step < earlier->nsteps && same_step(&c->lane->steps[c->step], &earlier->steps[c->step]);
        write_step(c);
        if (!c->collect && graph_has_errors(*c->findings))
            return;
    }
    check_lane(c);
}

static TupleDesc
source_desc(const ProgramSource *source)
{
    TupleDesc desc = CreateTemplateTupleDesc(Max(source->ncolumns, 1));

    for (int i = 0; i < source->ncolumns; i++)
        TupleDescInitEntry(desc, i + 1, sql_identifier(source->columns[i].name), source->columns[i].type, source->columns[i].typmod, 0);
    if (source->ncolumns == 0)   /* a pipeline of constants still counts rows */
        TupleDescInitEntry(desc, 1, "_", TEXTOID, -1, 0);
    return desc;
}

/* A set node's query, or one in its place; false when what comes behind it can't be checked. */
static bool
write_set(Compiler *c, const GraphNode *node)
{
    Feed *feed = c->set;

    for (int side = 0; side < Max(feed->ninputs, 1); side++)
    {
        if (feed->lanes[side] == NULL)
            return false;
    }
    if (!node->wrong_config && feed->ninputs == node->op->inputs && !c->notes[node->ordinal].doubtful &&
        !c->notes[node->ordinal].failed && compile_set_is_whole(feed))
        check_with_findings(c, node, compile_write_set);
    if (c->collect && (feed->stage->desc == NULL || graph_is_wrong(*c->findings, node)))
        check_with_findings(c, node, compile_mend_set);
    return feed->stage->desc != NULL;
}

static void
write_stage(Compiler *c, const GraphNode *feed)
{
    Program *p = c->program;
    LaneStep *steps = palloc0(sizeof(LaneStep) * (p->graph->nnodes + 1));

    c->set = c->feeds[feed->ordinal];
    c->stage = c->set->stage = &p->stages[p->nstages++];
    c->stage->feed = feed;
    c->stage->source = c->set->source;
    c->stage->of_source = true;
    if (c->stage->source)
    {
        c->stage->relation = SOURCE_RELATION;
        c->stage->desc = source_desc(c->stage->source);
    }
    else if (!write_set(c, feed))
        return;
    steps[0].node = feed;
    find_lanes(c, c->stage, steps, 1);
    for (int i = 0; i < c->stage->nlanes; i++)
    {
        write_lane(c, i);
        if (!c->collect && graph_has_errors(*c->findings))
            return;
    }
}

/* With findings it goes on behind an error, to find them all. */
static bool
compile(Compiler *c)
{
    const Graph *graph = c->program->graph;

    for (int i = 0; i < graph->nnodes; i++)
        walk_node(c, &graph->nodes[i]);
    if (!c->collect && graph_has_errors(*c->findings))
        return false;
    fields_settle(c);
    for (int i = 0; i < graph->nnodes; i++)
    {
        if (c->feeds[i] && is_needed(c, &graph->nodes[i]))
            write_stage(c, &graph->nodes[i]);
        if (!c->collect && graph_has_errors(*c->findings))
            return false;
    }
    return !graph_has_errors(*c->findings);
}

Program *
compile_program(const CompileInput *input, const bool *const *present, List **findings)
{
    Compiler *c = palloc0(sizeof(Compiler));
    List *found = NIL;
    const Finding *f;

    c->program = palloc0(sizeof(Program));
    c->program->graph = input->graph;
    c->findings = findings ? findings : &found;
    c->collect = findings != NULL;
    c->own = input->schema;
    c->shown = input->shown;
    c->fields = input->fields;
    c->present = present;
    begin_program(c, input);
    if (compile(c))
        return c->program;
    if (findings)
        return NULL;
    f = graph_first_error(found);
    ereport(ERROR, (errcode(strcmp(f->code, "permission_denied") == 0 ? ERRCODE_INSUFFICIENT_PRIVILEGE : ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("node \"%s\": %s", f->node_id ? f->node_id : "", f->message),
                    errdetail("What the pipeline names is otherwise than when it was saved, or its owner may not use it any more."),
                    f->hint ? errhint("%s", f->hint) : errhint("kaireon.validate_pipeline says all that is wrong with it.")));
}

static bool
same_source(const ProgramSource *a, const ProgramSource *b)
{
    if (a->ncolumns != b->ncolumns)
        return false;
    for (int i = 0; i < a->ncolumns; i++)
    {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 || a->columns[i].type != b->columns[i].type ||
            a->columns[i].typmod != b->columns[i].typmod)
            return false;
    }
    return true;
}

static bool
same_key(const TargetKey *a, const TargetKey *b)
{
    return a == b || (a && b && a->index == b->index && strcmp(a->arbiter, b->arbiter) == 0);
}

bool
compile_same(const Program *a, const Program *b)
{
    for (int i = 0; i < a->nsources; i++)
    {
        if (!same_source(&a->sources[i], &b->sources[i]))
            return false;
    }
    for (int i = 0; i < a->ntargets; i++)
    {
        if (a->targets[i].schema->relid != b->targets[i].schema->relid || a->targets[i].watermark != b->targets[i].watermark ||
            !same_key(a->targets[i].key, b->targets[i].key))
            return false;
    }
    for (int i = 0; i < a->nsummaries; i++)
    {
        if (a->summaries[i].relid != b->summaries[i].relid || a->summaries[i].summary_relid != b->summaries[i].summary_relid)
            return false;
    }
    return true;
}
