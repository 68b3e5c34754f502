/*
 * graph.c: a pipeline's nodes and edges, parsed and checked.  See graph.h.
 *
 * One pass reads the nodes, of whose config their NodeOp knows the keys, one
 * the edges, then the nodes are put into topological order and the shape is
 * checked: how many edges a node may have follows from its kind.  Each pass
 * goes on behind what is wrong, and leaves a mended graph to the next.
 */
#include "postgres.h"

#include "pg/graph.h"

#include <limits.h>

#include "miscadmin.h"

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

void
graph_tell(List **findings, const char *node_id, const char *code, char *message)
{
    add_finding(findings, "info", node_id, code, NULL, message);
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

int
graph_count_errors(List *findings, const GraphNode *node)
{
    int count = 0;
    ListCell *lc;

    foreach(lc, findings)
    {
        const Finding *f = lfirst(lc);

        if (f->node_id && strcmp(f->node_id, node->id) == 0 && strcmp(f->severity, "error") == 0)
            count++;
    }
    return count;
}

bool
graph_is_wrong(List *findings, const GraphNode *node)
{
    return graph_count_errors(findings, node) > 0;
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

/* The text of a key that must be a string; NULL when it is none. */
static char *
get_string(JsonbContainer *object, const char *key)
{
    JsonbValue *value = json_get(object, key);

    return value && value->type == jbvString ? json_scalar_text(value) : NULL;
}

static bool
is_object(const JsonbValue *value)
{
    return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

/* Does what is right of a config do without the rest? */
static bool
stands_alone(const GraphNode *node)
{
    GraphNode alone = *node;
    List *findings = NIL;

    alone.given = alone.config;
    if (node->op->check && !node->op->forgiving)
        node->op->check(&alone, &findings);
    return json_is_complete(node->config, node->op->keys) && !graph_has_errors(findings);
}

/* The node's type and config, checked. */
static void
parse_config(JsonbContainer *object, GraphNode *node, List **findings)
{
    GraphComplaint complaint = {findings, node->id};
    JsonbValue *config = json_get(object, "config");
    char *type = get_string(object, "type");
    bool known, given = config && is_object(config);
    int before = graph_count_errors(*findings, node), checked;

    node->given = given ? config->val.binary.data : &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")))->root;
    node->config = node->given;
    node->op = type ? node_find(type) : NULL;
    if (type && node->op == NULL)
        graph_complain(findings, node->id, "unknown_node_type", psprintf("Valid types are: %s.", node_list()),
                       "unknown node type \"%s\"", type);
    known = node->op && (config == NULL || given); /* else it has been said */
    if (node->op == NULL)
        node->op = &node_unknown;
    if (known && node->op->keys &&
        !json_check(node->given, node->op->keys, psprintf("config of %s %s node", article(type), type), graph_complain_config, &complaint))
    {
        node->config = json_sound(node->given, node->op->keys);
        known = stands_alone(node);
    }
    checked = graph_count_errors(*findings, node);
    if (node->op != &node_unknown && node->op->check && (config == NULL || given))
        node->op->check(node, findings);
    if (node->op->variant)
        node->op = node->op->variant(node);
    node->wrong_config = !known || (graph_count_errors(*findings, node) > checked && !node->op->forgiving);
    node->flawed = graph_count_errors(*findings, node) > before;
}

/* False when there is nothing that edges could lead to. */
static bool
parse_node(JsonbValue *item, int ordinal, GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {
        {"id", JSON_STRING, true, NULL},       {"type", JSON_STRING, true, NULL},
        {"label", JSON_STRING | JSON_NULL, false, NULL}, {"config", JSON_OBJECT, false, NULL},
        {"position", JSON_OBJECT | JSON_NULL, false, NULL}, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, NULL};
    JsonbContainer *object;

    memset(node, 0, sizeof(GraphNode));
    if (!is_object(item))
    {
        graph_complain(findings, NULL, "wrong_type", "For example {\"id\": \"read\", \"type\": \"source\"}.", "node %d must be an object", ordinal + 1);
        return false;
    }
    object = item->val.binary.data;
    complaint.node_id = node->id = json_get_text(object, "id");
    json_check(object, keys, psprintf("node %d", ordinal + 1), graph_complain_config, &complaint);
    node->label = json_get_text(object, "label");
    if (node->label == NULL)
        node->label = "";
    parse_config(object, node, findings);
    return get_string(object, "id") != NULL;
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

/* Nodes and edges that could not be read: what else is missing may be because of them. */
typedef struct Lost
{
    bool nodes;              /* without an id: edges may lead to them */
    bool kinds;              /* there may be a source or target among them, or among the second nodes of an id */
    bool from, to;           /* edges that come from, lead to nobody knows which node */
} Lost;

/* The nodes there are, for a hint. */
static char *
list_nodes(const Graph *graph)
{
    StringInfoData out;
    List *ids = NIL;

    for (int i = 0; i < graph->nnodes; i++)
        ids = lappend(ids, graph->nodes[i].id);
    initStringInfo(&out);
    node_describe_list(&out, ids);
    return out.data;
}

static void
parse_edge(JsonbValue *item, int ordinal, Graph *graph, Lost *lost, List **findings)
{
    static const JsonKey keys[] = {
        {"sourceNodeId", JSON_STRING, true, NULL}, {"targetNodeId", JSON_STRING, true, NULL},
        {"label", JSON_STRING | JSON_NULL, false, NULL}, {"id", JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};
    JsonbContainer *object = is_object(item) ? item->val.binary.data : NULL;
    char *from = object ? get_string(object, "sourceNodeId") : NULL, *to = object ? get_string(object, "targetNodeId") : NULL;
    GraphComplaint complaint = {findings, NULL};
    GraphEdge *edge = &graph->edges[graph->nedges];

    if (object == NULL)
        graph_complain(findings, NULL, "wrong_type", "For example {\"sourceNodeId\": \"read\", \"targetNodeId\": \"load\"}.", "edge %d must be an object", ordinal + 1);
    else if (!lost->nodes || (from && to)) /* the nodes may be a chain, and one without an id */
        json_check(object, keys, psprintf("edge %d", ordinal + 1), graph_complain_config, &complaint);
    edge->from = from ? find_node(graph, from) : -1;
    edge->to = to ? find_node(graph, to) : -1;
    if (from && edge->from < 0 && !lost->nodes)
        graph_complain(findings, NULL, "dangling_edge", psprintf("Nodes are: %s.", list_nodes(graph)), "edge %d names node \"%s\", which does not exist", ordinal + 1, from);
    if (to && edge->to < 0 && !lost->nodes)
        graph_complain(findings, NULL, "dangling_edge", psprintf("Nodes are: %s.", list_nodes(graph)), "edge %d names node \"%s\", which does not exist", ordinal + 1, to);
    lost->from |= edge->from < 0;
    lost->to |= edge->to < 0;
    if (edge->from < 0 || edge->to < 0)
    {
        if (edge->from >= 0 || edge->to >= 0)
            graph->nodes[Max(edge->from, edge->to)].loose = true;
        return;
    }
    if (edge->from == edge->to && graph->nodes[edge->from].loose) /* between the two nodes of one id */
        return;
    edge->label = get_string(object, "label");
    if (edge->label == NULL)
        edge->label = "";
    graph->nedges++;
}

static void
remove_edge(Graph *graph, int place)
{
    memmove(&graph->edges[place], &graph->edges[place + 1], sizeof(GraphEdge) * (graph->nedges - place - 1));
    graph->nedges--;
}

/*
 * The edges of the shortest way from a node back to it (const GraphEdge *),
 * before the nodes are in order; NIL when there is none.
 */
static List *
find_way_back(const Graph *graph, int node)
{
    const GraphEdge **by = palloc0(sizeof(GraphEdge *) * graph->nnodes);
    List *reached = list_make1_int(node), *way = NIL;

    for (int i = 0; i < list_length(reached) && by[node] == NULL; i++)
    {
        CHECK_FOR_INTERRUPTS();
        for (int e = 0; e < graph->nedges; e++)
        {
            const GraphEdge *edge = &graph->edges[e];

            if (edge->from != list_nth_int(reached, i) || by[edge->to])
                continue;
            by[edge->to] = edge;
            reached = lappend_int(reached, edge->to);
        }
    }
    for (const GraphEdge *edge = by[node]; edge; edge = edge->from == node ? NULL : by[edge->from])
        way = lcons((void *) edge, way);
    return way;
}

/* Complains of the cycle of the first node that is in one, and removes its last edge; gives where that led to. */
static int
break_cycle(Graph *graph, List **findings)
{
    StringInfoData cycle;
    List *way = NIL;
    int node = 0;
    ListCell *lc;

    while ((way = find_way_back(graph, node)) == NIL)
    {
        node++;
        Assert(node < graph->nnodes);
    }
    initStringInfo(&cycle);
    foreach(lc, way)
        appendStringInfo(&cycle, "\"%s\" -> ", graph->nodes[((const GraphEdge *) lfirst(lc))->from].id);
    graph_complain(findings, graph->nodes[node].id, "cycle", "Rows go one way: leave out one of these edges.",
                   "the edges form a cycle: %s\"%s\"", cycle.data, graph->nodes[node].id);
    graph->nodes[((const GraphEdge *) llast(way))->from].loose = graph->nodes[node].loose = true;
    remove_edge(graph, (const GraphEdge *) llast(way) - graph->edges);
    return node;
}

/* Puts the nodes into topological order (stable: given order where free).  Edges that close a cycle go. */
static void
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
            waiting[break_cycle(graph, findings)]--;
            continue;
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
    memcpy(graph->nodes, sorted, sizeof(GraphNode) * n);
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

/* What to do about too many edges on one side of a node, or too few. */
static const char *
edges_hint(const GraphNode *node, bool incoming, int count)
{
    if (incoming && node->op->kind == NODE_SOURCE)
        return "Rows begin at a source; a join node puts those of two together.";
    if (!incoming && node->op->kind == NODE_TARGET)
        return "Rows end at a target; a branch node in front of it sends rows along several edges.";
    if (count > 1)
        return incoming ? "A join node puts two flows together." : "A branch node sends rows along several edges.";
    return incoming ? "Let an edge lead to it." : "Let an edge lead from it to the next node.";
}

/* Complains unless the node takes that many edges on one side; `lost`: there may have been more. */
static void
check_count(GraphNode *node, bool incoming, int count, bool lost, List **findings)
{
    const char *words;

    if (takes_edges(node, incoming, count, &words))
        return;
    node->wrong_edges = true;
    if (node->loose || node->op == &node_unknown || (lost && (count == 0 || strcmp(words, "two") == 0)))
        return;
    graph_complain(findings, node->id, "wrong_edges", edges_hint(node, incoming, count),
                   "%s %s node takes %s %s edge%s, but \"%s\" has %d", article(node->op->name), node->op->name, words, incoming ? "incoming" : "outgoing",
                   strcmp(words, "two") == 0 ? "s" : "", node->id, count);
}

static void
check_shape(Graph *graph, const Lost *lost, List **findings)
{
    bool sources = lost->kinds, targets = lost->kinds;

    for (int i = 0; i < graph->nnodes; i++)
    {
        GraphNode *node = &graph->nodes[i];
        int before = list_length(*findings);

        sources |= node->op->kind == NODE_SOURCE || node->op == &node_unknown;
        targets |= node->op->kind == NODE_TARGET || node->op == &node_unknown;
        check_count(node, true, list_length(graph_edges_to(graph, node)), lost->nodes || lost->to, findings);
        check_count(node, false, list_length(graph_edges_from(graph, node)), lost->nodes || lost->from, findings);
        node->loose |= lost->nodes || lost->from || lost->to;
        if (!node->wrong_edges && node->op->edges)
            node->op->edges(graph, node, findings);
        node->wrong_edges |= list_length(*findings) > before;
    }
    if (!sources)
        graph_complain(findings, NULL, "wrong_shape", "For example {\"id\": \"read\", \"type\": \"source\", \"config\": {\"resource\": \"in.csv\"}}.", "a pipeline needs a source node");
    if (!targets)
        graph_complain(findings, NULL, "wrong_shape", "For example {\"id\": \"load\", \"type\": \"target\"}.", "a pipeline needs a target node");
}

/* How many edges a node can do something with. */
static int
most_edges(const GraphNode *node, bool incoming)
{
    if (incoming)
        return node->op->kind == NODE_SOURCE ? 0 : node->op->kind == NODE_SET ? node->op->inputs : node->op->kind == NODE_TARGET ? INT_MAX : 1;
    return node->op->kind == NODE_TARGET ? 0 : node->op->kind == NODE_BRANCH ? INT_MAX : 1;
}

/* Takes away the edges of a node that are too many. */
static void
drop_extra_edges(Graph *graph)
{
    int *in = palloc0(sizeof(int) * Max(graph->nnodes, 1)), *out = palloc0(sizeof(int) * Max(graph->nnodes, 1));
    int e = 0;

    while (e < graph->nedges)
    {
        const GraphEdge *edge = &graph->edges[e];

        if (in[edge->to] == most_edges(&graph->nodes[edge->to], true) || out[edge->from] == most_edges(&graph->nodes[edge->from], false))
        {
            remove_edge(graph, e);
            continue;
        }
        in[edge->to]++;
        out[edge->from]++;
        e++;
    }
}

Graph *
graph_mend(Jsonb *nodes, Jsonb *edges, List **findings)
{
    Graph *graph = palloc0(sizeof(Graph));
    Lost lost = {0};
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
        int twin;

        if (!parse_node(getIthJsonbValueFromContainer(&nodes->root, i), i, node, findings))
        {
            lost.nodes = lost.kinds = true;
            continue;
        }
        twin = find_node(graph, node->id);
        if (twin < 0)
        {
            node->ordinal = graph->nnodes++;
            continue;
        }
        graph_complain(findings, node->id, "duplicate_id", "Give one of them another id.", "there are two nodes with the id \"%s\"", node->id);
        graph->nodes[twin].loose = lost.kinds = true;
    }
    for (int i = 0; i < nedges; i++)
        parse_edge(getIthJsonbValueFromContainer(&edges->root, i), i, graph, &lost, findings);
    sort_nodes(graph, findings);
    check_shape(graph, &lost, findings);
    drop_extra_edges(graph);
    return graph->nnodes > 0 ? graph : NULL;
}

Graph *
graph_parse(Jsonb *nodes, Jsonb *edges, List **findings)
{
    Graph *graph = graph_mend(nodes, edges, findings);

    return graph_has_errors(*findings) ? NULL : graph;
}
