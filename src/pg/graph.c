/*
 * graph.c: a pipeline's nodes and edges, parsed and checked.  See graph.h.
 *
 * One pass reads the nodes, of whose config their NodeOp knows the keys, one
 * the edges, then the nodes are put into topological order and the shape is
 * checked: one source, one target, every node on the way between.
 */
#include "postgres.h"

#include "pg/graph.h"

#include "pg/json.h"
#include "pg/node.h"

#include "utils/fmgrprotos.h"

void
graph_complain(List **findings, const char *node_id, const char *code, const char *hint, const char *message,...)
{
    Finding *f = palloc0(sizeof(Finding));
    StringInfoData text;
    va_list args;

    initStringInfo(&text);
    for (;;)
    {
        int needed;

        va_start(args, message);
        needed = appendStringInfoVA(&text, message, args);
        va_end(args);
        if (needed == 0)
            break;
        enlargeStringInfo(&text, needed);
    }
    f->node_id = node_id ? pstrdup(node_id) : NULL;
    f->severity = "error";
    f->code = code;
    f->message = text.data;
    f->hint = hint ? pstrdup(hint) : NULL;
    *findings = lappend(*findings, f);
}

bool
graph_has_errors(List *findings)
{
    ListCell *lc;

    foreach(lc, findings)
    {
        if (strcmp(((Finding *) lfirst(lc))->severity, "error") == 0)
            return true;
    }
    return false;
}

void
graph_complain_config(void *arg, const char *code, const char *message, const char *hint)
{
    GraphComplaint *c = arg;

    graph_complain(c->findings, c->node_id, code, hint, "%s", message);
}

static bool
parse_node(JsonbValue *item, int ordinal, GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {
        {"id", JSON_STRING, true, NULL},       {"type", JSON_STRING, true, NULL},
        {"label", JSON_STRING | JSON_NULL, false, NULL}, {"config", JSON_OBJECT, false, NULL},
        {"position", JSON_OBJECT | JSON_NULL, false, NULL}, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, NULL};
    char *type;

    if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
    {
        graph_complain(findings, NULL, "wrong_type", NULL, "node %d must be an object", ordinal + 1);
        return false;
    }
    complaint.node_id = node->id = json_get_text(item->val.binary.data, "id");
    if (!json_check(item->val.binary.data, keys, psprintf("node %d", ordinal + 1), graph_complain_config, &complaint))
        return false;
    type = json_get_text(item->val.binary.data, "type");
    node->op = node_find(type);
    if (node->op == NULL)
    {
        graph_complain(findings, node->id, "unknown_node_type", psprintf("Valid types are: %s.", node_list()),
                       "unknown node type \"%s\"", type);
        return false;
    }
    node->label = json_get_text(item->val.binary.data, "label");
    if (node->label == NULL)
        node->label = "";
    node->config = json_get_container(item->val.binary.data, "config");
    if (node->config == NULL)
        node->config = &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")))->root;
    if ((node->op->keys == NULL ||
         json_check(node->config, node->op->keys, psprintf("config of a %s node", type), graph_complain_config, &complaint)) &&
        node->op->check)
        node->op->check(node, findings);
    return true;
}

static int
find_node(const Graph *graph, const char *id)
{
    for (int i = 0; i < graph->nnodes; i++)
    {
        if (strcmp(graph->nodes[i].id, id) == 0)
            return i;
    }
    return -1;
}

static bool
parse_edge(JsonbValue *item, int ordinal, Graph *graph, List **findings)
{
    static const JsonKey keys[] = {
        {"sourceNodeId", JSON_STRING, true, NULL}, {"targetNodeId", JSON_STRING, true, NULL},
        {"label", JSON_STRING | JSON_NULL, false, NULL}, {"id", JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};
    static const char *const ends[] = {"sourceNodeId", "targetNodeId"};
    GraphComplaint complaint = {findings, NULL};
    int at[2];
    GraphEdge *edge = &graph->edges[graph->nedges];

    if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
    {
        graph_complain(findings, NULL, "wrong_type", NULL, "edge %d must be an object", ordinal + 1);
        return false;
    }
    if (!json_check(item->val.binary.data, keys, psprintf("edge %d", ordinal + 1), graph_complain_config, &complaint))
        return false;
    for (int i = 0; i < 2; i++)
    {
        char *id = json_get_text(item->val.binary.data, ends[i]);

        at[i] = find_node(graph, id);
        if (at[i] < 0)
        {
            graph_complain(findings, NULL, "dangling_edge", NULL, "edge %d names node \"%s\", which does not exist",
                           ordinal + 1, id);
            return false;
        }
    }
    edge->from = at[0];
    edge->to = at[1];
    edge->label = json_get_text(item->val.binary.data, "label");
    if (edge->label == NULL)
        edge->label = "";
    graph->nedges++;
    return true;
}

/* Puts the nodes into topological order (stable: given order where free).  False when there is a cycle. */
static bool
sort_nodes(Graph *graph, List **findings)
{
    int n = graph->nnodes;
    int *waiting = palloc0(sizeof(int) * n);
    int *place = palloc(sizeof(int) * n);
    GraphNode *sorted = palloc(sizeof(GraphNode) * n);
    int done = 0;

    for (int e = 0; e < graph->nedges; e++)
        waiting[graph->edges[e].to]++;
    while (done < n)
    {
        int next = 0;

        while (next < n && waiting[next] != 0)
            next++;
        if (next == n)
        {
            for (int i = 0; i < n; i++)
            {
                if (waiting[i] > 0)
                {
                    graph_complain(findings, graph->nodes[i].id, "cycle", NULL, "node \"%s\" is part of a cycle",
                                   graph->nodes[i].id);
                    break;
                }
            }
            return false;
        }
        waiting[next] = -1;
        place[next] = done;
        sorted[done] = graph->nodes[next];
        sorted[done].ordinal = done;
        done++;
        for (int e = 0; e < graph->nedges; e++)
        {
            if (graph->edges[e].from == next)
                waiting[graph->edges[e].to]--;
        }
    }
    for (int e = 0; e < graph->nedges; e++)
    {
        graph->edges[e].from = place[graph->edges[e].from];
        graph->edges[e].to = place[graph->edges[e].to];
    }
    graph->nodes = sorted;
    return true;
}

/* One source, one target, each other node with one edge in and one out. */
static void
check_shape(Graph *graph, List **findings)
{
    int sources = 0, targets = 0;

    for (int i = 0; i < graph->nnodes; i++)
    {
        GraphNode *node = &graph->nodes[i];
        int in = 0, out = 0;

        for (int e = 0; e < graph->nedges; e++)
        {
            in += graph->edges[e].to == i;
            out += graph->edges[e].from == i;
        }
        sources += node->op->kind == NODE_SOURCE;
        targets += node->op->kind == NODE_TARGET;
        if (in != (node->op->kind == NODE_SOURCE ? 0 : 1))
            graph_complain(findings, node->id, "wrong_edges", NULL, "a %s node takes %s incoming edge, but \"%s\" has %d",
                           node->op->name, node->op->kind == NODE_SOURCE ? "no" : "one", node->id, in);
        if (out != (node->op->kind == NODE_TARGET ? 0 : 1))
            graph_complain(findings, node->id, "wrong_edges", NULL, "a %s node takes %s outgoing edge, but \"%s\" has %d",
                           node->op->name, node->op->kind == NODE_TARGET ? "no" : "one", node->id, out);
    }
    if (sources != 1)
        graph_complain(findings, NULL, "wrong_shape", NULL, "a pipeline has one source node, this has %d", sources);
    if (targets != 1)
        graph_complain(findings, NULL, "wrong_shape", NULL, "a pipeline has one target node, this has %d", targets);
}

Graph *
graph_parse(Jsonb *nodes, Jsonb *edges, List **findings)
{
    Graph *graph = palloc0(sizeof(Graph));
    bool whole = true;
    int count, nedges;

    if (!JB_ROOT_IS_ARRAY(nodes) || JB_ROOT_IS_SCALAR(nodes) || !JB_ROOT_IS_ARRAY(edges) || JB_ROOT_IS_SCALAR(edges))
    {
        graph_complain(findings, NULL, "wrong_type", NULL, "nodes and edges must be arrays");
        return NULL;
    }
    count = JB_ROOT_COUNT(nodes);
    nedges = JB_ROOT_COUNT(edges);
    graph->nodes = palloc0(sizeof(GraphNode) * Max(count, 1));
    graph->edges = palloc0(sizeof(GraphEdge) * Max(nedges, 1));
    for (int i = 0; i < count; i++)
    {
        GraphNode *node = &graph->nodes[graph->nnodes];

        if (!parse_node(getIthJsonbValueFromContainer(&nodes->root, i), i, node, findings))
        {
            whole = false;
            continue;
        }
        if (find_node(graph, node->id) >= 0)
        {
            graph_complain(findings, node->id, "duplicate_id", NULL, "there are two nodes with the id \"%s\"", node->id);
            whole = false;
            continue;
        }
        node->ordinal = graph->nnodes++;
    }
    if (!whole)
        return NULL;             /* edges would complain about nodes that are only mistyped */
    for (int i = 0; i < nedges; i++)
        whole &= parse_edge(getIthJsonbValueFromContainer(&edges->root, i), i, graph, findings);
    if (!whole || !sort_nodes(graph, findings))
        return NULL;
    check_shape(graph, findings);
    return graph_has_errors(*findings) ? NULL : graph;
}
