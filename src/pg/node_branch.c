/*
 * node_branch.c: the node that sends each row along one of several edges.
 *
 * Its routes are conditions with a label; the first that holds takes the row
 * along the edge of that label, the edge "otherwise" takes the rest.  A row
 * that no route takes is filtered, at this node.
 */
#include "postgres.h"

#include "pg/condition.h"
#include "pg/node.h"

#define OTHERWISE "otherwise"

static const JsonKey branch_keys[] = {{"routes", JSON_ARRAY, true, NULL}, {NULL, 0, false, NULL}};

/* The routes, by place; NULL for what is no object. */
static JsonbContainer *
get_route(const GraphNode *node, int i)
{
    return json_get_object(node->config, "routes", i);
}

static int
count_routes(const GraphNode *node)
{
    return json_count(node->config, "routes");
}

/* A route's label; NULL when what should be one is none. */
static char *
get_label(const GraphNode *node, int i)
{
    JsonbContainer *route = get_route(node, i);
    char *label = route ? json_get_text(route, "label") : NULL;

    return label && label[0] != '\0' && strcmp(label, OTHERWISE) != 0 ? label : NULL;
}

/* The place of the route with that label, the number of routes for "otherwise", -1 for another. */
static int
find_route(const GraphNode *node, const char *label)
{
    int count = count_routes(node);

    if (strcmp(label, OTHERWISE) == 0)
        return count;
    for (int i = 0; i < count; i++)
    {
        char *other = get_label(node, i);

        if (other && strcmp(other, label) == 0)
            return i;
    }
    return -1;
}

static void
branch_check(const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {{"label", JSON_STRING, true, NULL}, CONDITION_KEYS, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, node->id};
    List *labels = NIL;

    if (json_is_empty(node->config, "routes"))
        graph_complain(findings, node->id, "wrong_value", "For example {\"label\": \"big\", \"field\": \"amount\", \"operator\": \">\", \"value\": 1000}.", "\"routes\" must not be empty");
    for (int i = 0; i < count_routes(node); i++)
    {
        JsonbContainer *route = get_route(node, i);
        char *name = psprintf("route %d", i + 1), *label;
        ListCell *lc;

        if (route == NULL)
        {
            graph_complain(findings, node->id, "wrong_type", "For example {\"label\": \"big\", \"field\": \"amount\", \"operator\": \">\", \"value\": 1000}.", "%s must be an object", name);
            continue;
        }
        json_check(route, keys, name, graph_complain_config, &complaint);
        label = json_get_text(route, "label");
        if (label && (label[0] == '\0' || strcmp(label, OTHERWISE) == 0))
            graph_complain(findings, node->id, "wrong_value", "An edge with the label \"" OTHERWISE "\" takes what no route takes.",
                           "%s can't have the label \"%s\"", name, label);
        foreach(lc, labels)
        {
            if (label && strcmp(lfirst(lc), label) == 0)
                graph_complain(findings, node->id, "wrong_value", "The edge of a route carries its label, so each needs its own.", "there are two routes with the label \"%s\"", label);
        }
        if (label)
            labels = lappend(labels, label);
        condition_check(route, label ? psprintf("route \"%s\"", label) : name, node, findings);
    }
}

/* The labels there are, for a hint. */
static char *
list_labels(const GraphNode *node)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < count_routes(node); i++)
    {
        if (get_label(node, i))
            appendStringInfo(&out, "%s, ", get_label(node, i));
    }
    appendStringInfoString(&out, OTHERWISE);
    return out.data;
}

/* Each route needs an edge, each edge a route; the edges are put into the order of the routes. */
static void
branch_edges(Graph *graph, const GraphNode *node, List **findings)
{
    int count = count_routes(node);
    GraphEdge **taken = palloc0(sizeof(GraphEdge *) * (count + 1));
    List *ordered = NIL;
    ListCell *lc;

    if (node->wrong_config)      /* which labels there are is not known */
        return;
    foreach(lc, graph_edges_from(graph, node))
    {
        GraphEdge *edge = lfirst(lc);
        int route = find_route(node, edge->label);

        if (route < 0)
            graph_complain(findings, node->id, "unknown_label", psprintf("Valid labels are: %s.", list_labels(node)),
                           "the edge from \"%s\" to \"%s\" has the label \"%s\", which is no route's", node->id,
                           graph->nodes[edge->to].id, edge->label);
        else if (taken[route])
            graph_complain(findings, node->id, "wrong_edges", "A route has one edge.", "there are two edges from \"%s\" with the label \"%s\"", node->id,
                           edge->label);
        else
            taken[route] = edge;
    }
    for (int i = 0; i <= count; i++)
    {
        if (taken[i])
            ordered = lappend(ordered, taken[i]);
        else if (i < count && get_label(node, i) && !node->loose)
            graph_complain(findings, node->id, "wrong_edges", "A route has one edge, which carries its label.", "no edge from \"%s\" has the label \"%s\" of its route", node->id,
                           get_label(node, i));
    }
    if (list_length(ordered) == list_length(graph_edges_from(graph, node)))
        graph_order_edges(graph, ordered);
}

static void
branch_walk(Compiler *c, const GraphNode *node)
{
    for (int i = 0; i < count_routes(node); i++)
        condition_walk(c, node, get_route(node, i));
}

/*
 * The lane's route as a condition that is one clause and stays one: IS TRUE
 * keeps the planner from merging it with others.
 */
static void
branch_write(Compiler *c, const GraphNode *node)
{
    int route = find_route(node, c->lane->steps[c->step].route);
    char *condition;

    if (route >= count_routes(node))
        return;
    c->part = psprintf("route \"%s\"", get_label(node, route));
    condition = condition_sql(c, node, get_route(node, route));
    c->part = NULL;
    sql_wrap(c, node, "*", psprintf("\nWHERE (%s) IS TRUE", condition));
}

static void
branch_describe(const GraphNode *node, StringInfo out)
{
    for (int i = 0; i < count_routes(node); i++)
    {
        char *label = get_label(node, i);

        if (label == NULL)
            continue;
        appendStringInfo(out, "%s%s: ", out->len ? "; " : "", label);
        condition_describe(out, get_route(node, i));
    }
}

const NodeOp node_branch = {
    .name = "branch",
    .kind = NODE_BRANCH,
    .keeps_fields = true,
    .keys = branch_keys,
    .check = branch_check,
    .edges = branch_edges,
    .walk = branch_walk,
    .write = branch_write,
    .describe = branch_describe,
};
