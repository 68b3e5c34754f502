/*
 * graph.c: a pipeline's nodes and edges, parsed and checked.  See graph.h.
 *
 * One pass reads the nodes, of whose config their NodeOp knows the keys, one
 * the edges, then the nodes are put into topological order and the shape is
 * checked: how many edges a node may have follows from its kind.
 */
#include "postgres.h"

#include "pg/graph.h"

#include "pg/json.h"
#include "pg/node.h"

#include "utils/fmgrprotos.h"

static void
add_finding(List **findings, const char *severity, const char *node_id, const char *code, const char *hint, char *message)
{
    Finding *f;
    ListCell *lc;

    /* a target of several edges is looked at for each of them */
    foreach(lc, *findings)
    {
        f = lfirst(lc);
        if (strcmp(f->message, message) == 0 && strcmp(f->code, code) == 0 && (f->node_id == NULL) == (node_id == NULL) &&
            (node_id == NULL || strcmp(f->node_id, node_id) == 0))
            return;
    }
    f = palloc0(sizeof(Finding));
    f->node_id = node_id ? pstrdup(node_id) : NULL;
    f->severity = severity;
    f->code = code;
    f->message = message;
    f->hint = hint ? pstrdup(hint) : NULL;
    *findings = lappend(*findings, f);
}

void
graph_complain(List **findings, const char *node_id, const char *code, const char *hint, const char *message,...)
{
    StringInfoData text;
    va_list args;
    int needed;

    initStringInfo(&text);
    do
    {
        va_start(args, message);
        needed = appendStringInfoVA(&text, message, args);
        va_end(args);
        if (needed)
            enlargeStringInfo(&text, needed);
    } while (needed);
    add_finding(findings, "error", node_id, code, hint, text.data);
}

void
graph_warn(List **findings, const char *node_id, const char *code, const char *hint, char *message)
{
    add_finding(findings, "warning", node_id, code, hint, message);
}

const Finding *
graph_first_error(List *findings)
{
    ListCell *lc;

    foreach(lc, findings)
    {
        if (strcmp(((Finding *) lfirst(lc))->severity, "error") == 0)
            return lfirst(lc);
    }
    return NULL;
}

bool
graph_has_errors(List *findings)
{
    return graph_first_error(findings) != NULL;
}

void
graph_complain_config(void *arg, const char *code, const char *message, const char *hint)
{
    GraphComplaint *c = arg;

    graph_complain(c->findings, c->node_id, code, hint, "%s", message);
}

static const char *
article(const char *type)
{
    return strchr("aeiou", type[0]) ? "an" : "a";
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
         json_check(node->config, node->op->keys, psprintf("config of %s %s node", article(type), type), graph_complain_config, &complaint)) &&
        node->op->check)
        node->op->check(node, findings);
    if (node->op->variant)
        node->op = node->op->variant(node);
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

List *
graph_edges_from(const Graph *graph, const GraphNode *node)
{
    List *edges = NIL;

    for (int e = 0; e < graph->nedges; e++)
    {
        if (graph->edges[e].from == node->ordinal)
            edges = lappend(edges, &graph->edges[e]);
    }
    return edges;
}

List *
graph_edges_to(const Graph *graph, const GraphNode *node)
{
    List *edges = NIL;

    for (int e = 0; e < graph->nedges; e++)
    {
        if (graph->edges[e].to == node->ordinal)
            edges = lappend(edges, &graph->edges[e]);
    }
    return edges;
}

bool
graph_leads_to(const Graph *graph, const GraphNode *from, const GraphNode *to)
{
    bool *reached = palloc0(sizeof(bool) * graph->nnodes);
    bool leads;

    /* nodes are in topological order, and so is what can be reached */
    reached[from->ordinal] = true;
    for (int i = from->ordinal; i < to->ordinal; i++)
    {
        ListCell *lc;

        if (!reached[i])
            continue;
        foreach(lc, graph_edges_from(graph, &graph->nodes[i]))
            reached[((GraphEdge *) lfirst(lc))->to] = true;
    }
    leads = from->ordinal <= to->ordinal && reached[to->ordinal];
    pfree(reached);
    return leads;
}

static int
compare_pointers(const ListCell *a, const ListCell *b)
{
    return lfirst(a) < lfirst(b) ? -1 : lfirst(a) > lfirst(b);
}

void
graph_order_edges(Graph *graph, List *edges)
{
    GraphEdge *copies = palloc(sizeof(GraphEdge) * Max(list_length(edges), 1));
    List *places = list_copy(edges);
    int i = 0;
    ListCell *lc;

    foreach(lc, edges)
        copies[i++] = *(GraphEdge *) lfirst(lc);
    list_sort(places, compare_pointers);
    i = 0;
    foreach(lc, places)
        *(GraphEdge *) lfirst(lc) = copies[i++];
}

/* How many edges a node takes, in words; false when `count` is another number. */
static bool
takes_edges(const GraphNode *node, bool incoming, int count, const char **words)
{
    NodeKind kind = node->op->kind;

    if (incoming && kind == NODE_SOURCE)
        *words = "no";
    else if (!incoming && kind == NODE_TARGET)
        *words = "no";
    else if (incoming ? kind == NODE_TARGET : kind == NODE_BRANCH)
        *words = "at least one";
    else
        *words = incoming && kind == NODE_SET && node->op->inputs == 2 ? "two" : "one";
    return **words == 'n' ? count == 0 : **words == 'a' ? count >= 1 : count == (**words == 't' ? 2 : 1);
}

static void
check_shape(Graph *graph, List **findings)
{
    int sources = 0, targets = 0;

    for (int i = 0; i < graph->nnodes; i++)
    {
        GraphNode *node = &graph->nodes[i];
        int in = list_length(graph_edges_to(graph, node)), out = list_length(graph_edges_from(graph, node));
        const char *words;
        bool good = true;

        sources += node->op->kind == NODE_SOURCE;
        targets += node->op->kind == NODE_TARGET;
        if (!takes_edges(node, true, in, &words))
        {
            good = false;
            graph_complain(findings, node->id, "wrong_edges", NULL, "%s %s node takes %s incoming edge%s, but \"%s\" has %d",
                           article(node->op->name), node->op->name, words, strcmp(words, "two") == 0 ? "s" : "", node->id, in);
        }
        if (!takes_edges(node, false, out, &words))
        {
            good = false;
            graph_complain(findings, node->id, "wrong_edges", out > 1 ? "A branch node sends rows along several edges." : NULL,
                           "%s %s node takes %s outgoing edge, but \"%s\" has %d", article(node->op->name), node->op->name, words, node->id, out);
        }
        if (good && node->op->edges)
            node->op->edges(graph, node, findings);
    }
    if (sources == 0)
        graph_complain(findings, NULL, "wrong_shape", NULL, "a pipeline needs a source node");
    if (targets == 0)
        graph_complain(findings, NULL, "wrong_shape", NULL, "a pipeline needs a target node");
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
