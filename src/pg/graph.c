/*
 * graph.c: a pipeline's nodes and edges, parsed and checked.  See graph.h.
 *
 * One table row a node type says which config keys it takes; one pass reads
 * the nodes, one the edges, then the nodes are put into topological order and
 * the shape is checked: one source, one target, every node on the way between.
 */
#include "postgres.h"

#include "pg/graph.h"

#include "pg/json.h"
#include "pg/source_options.h"

#include "utils/fmgrprotos.h"

static const char *const operators[] = {
    "=", "!=", ">", "<", ">=", "<=", "like", "starts_with", "starts with", "ends_with", "ends with",
    "contains", "in", "not_in", "not in", "is_null", "is null", "is_not_null", "is not null", "between", NULL};
static const char *const matches[] = {"all", "any", NULL};
static const char *const mask_types[] = {"ssn", "email", "phone", "credit_card", NULL};
static const char *const strategies[] = {"append", NULL};
static const char *const validations[] = {"strict", "skip", "coerce", NULL};

static const JsonKey filter_keys[] = {
    {"field", JSON_STRING, false, NULL},
    {"operator", JSON_STRING, false, operators},
    {"value", JSON_SCALAR | JSON_ARRAY, false, NULL},
    {"conditions", JSON_ARRAY, false, NULL},
    {"match", JSON_STRING, false, matches},
    {NULL, 0, false, NULL}};
static const JsonKey rename_keys[] = {
    {"sourceField", JSON_STRING, true, NULL}, {"targetField", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};
static const JsonKey cast_keys[] = {
    {"field", JSON_STRING, true, NULL}, {"targetType", JSON_STRING, true, NULL}, {NULL, 0, false, NULL}};
static const JsonKey drop_keys[] = {{"fields", JSON_STRINGS, true, NULL}, {NULL, 0, false, NULL}};
static const JsonKey add_field_keys[] = {
    {"fieldName", JSON_STRING, true, NULL},
    {"fieldType", JSON_STRING, true, NULL},
    {"defaultValue", JSON_SCALAR, false, NULL},
    {"expression", JSON_STRING, false, NULL},
    {NULL, 0, false, NULL}};
static const JsonKey mask_keys[] = {
    {"field", JSON_STRING, true, NULL},
    {"maskType", JSON_STRING, true, mask_types},
    {"preserveLength", JSON_BOOL, false, NULL},
    {NULL, 0, false, NULL}};
static const JsonKey target_keys[] = {
    {"schema", JSON_STRING, false, NULL},
    {"loadingStrategy", JSON_STRING, false, strategies},
    {"validation", JSON_STRING, false, validations},
    {"fieldMapping", JSON_OBJECT, false, NULL},
    {NULL, 0, false, NULL}};

static const struct { const char *name; NodeType type; const JsonKey *keys; } node_types[] = {
    {"source", NODE_SOURCE, NULL},
    {"filter", NODE_FILTER, filter_keys},
    {"rename", NODE_RENAME, rename_keys},
    {"cast", NODE_CAST, cast_keys},
    {"drop", NODE_DROP, drop_keys},
    {"add_field", NODE_ADD_FIELD, add_field_keys},
    {"mask_pii", NODE_MASK_PII, mask_keys},
    {"target", NODE_TARGET, target_keys}};

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

typedef struct Complaint { List **findings; const char *node_id; } Complaint;

static void
complain_config(void *arg, const char *code, const char *message, const char *hint)
{
    Complaint *c = arg;

    graph_complain(c->findings, c->node_id, code, hint, "%s", message);
}

/* A filter is one condition in the config itself, or several under "conditions". */
static void
check_condition(JsonbContainer *object, const char *what, const char *node_id, List **findings)
{
    char *op = json_get_text(object, "operator");
    JsonbValue *value = json_get(object, "value");
    bool is_array = value && value->type == jbvBinary;
    bool wants_array = op && (strcmp(op, "in") == 0 || strncmp(op, "not", 3) == 0 || strcmp(op, "between") == 0);
    bool wants_none = op && strncmp(op, "is", 2) == 0;

    if (json_get_text(object, "field") == NULL)
        graph_complain(findings, node_id, "missing_key", NULL, "%s needs key \"field\"", what);
    if (op == NULL)
    {
        graph_complain(findings, node_id, "missing_key", NULL, "%s needs key \"operator\"", what);
        return;
    }
    if (wants_none)
    {
        if (value != NULL && value->type != jbvNull)
            graph_complain(findings, node_id, "wrong_value", NULL, "operator \"%s\" takes no \"value\"", op);
        return;
    }
    if (value == NULL || value->type == jbvNull)
        graph_complain(findings, node_id, "missing_key", "To find nulls use is_null or is_not_null.",
                       "operator \"%s\" needs key \"value\"", op);
    else if (wants_array != is_array)
        graph_complain(findings, node_id, "wrong_type", NULL, "operator \"%s\" takes %s as \"value\"", op,
                       wants_array ? "an array" : "a single value");
    else if (strcmp(op, "between") == 0 && JsonContainerSize(value->val.binary.data) != 2)
        graph_complain(findings, node_id, "wrong_value", NULL, "operator \"between\" takes an array of two values");
    else if (wants_array && (!JsonContainerIsArray(value->val.binary.data) || JsonContainerSize(value->val.binary.data) == 0))
        graph_complain(findings, node_id, "wrong_value", NULL, "operator \"%s\" takes an array that is not empty", op);
}

static void
check_filter(GraphNode *node, List **findings)
{
    static const JsonKey condition_keys[] = {
        {"field", JSON_STRING, true, NULL}, {"operator", JSON_STRING, true, operators},
        {"value", JSON_SCALAR | JSON_ARRAY, false, NULL}, {NULL, 0, false, NULL}};
    JsonbContainer *conditions = json_get_container(node->config, "conditions");
    Complaint complaint = {findings, node->id};

    if (conditions == NULL)
    {
        check_condition(node->config, "a filter node", node->id, findings);
        return;
    }
    if (json_get(node->config, "field") || json_get(node->config, "operator") || json_get(node->config, "value"))
        graph_complain(findings, node->id, "wrong_value", NULL,
                       "a filter node takes either \"field\", \"operator\" and \"value\" or \"conditions\", not both");
    if (JsonContainerSize(conditions) == 0)
        graph_complain(findings, node->id, "wrong_value", NULL, "\"conditions\" must not be empty");
    for (int i = 0; i < (int) JsonContainerSize(conditions); i++)
    {
        JsonbValue *item = getIthJsonbValueFromContainer(conditions, i);
        char *what = psprintf("condition %d", i + 1);

        if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
            graph_complain(findings, node->id, "wrong_type", NULL, "%s must be an object", what);
        else if (json_check(item->val.binary.data, condition_keys, what, complain_config, &complaint))
            check_condition(item->val.binary.data, what, node->id, findings);
    }
}

/* What the tables can't say: keys that exclude or need one another. */
static void
check_node(GraphNode *node, List **findings)
{
    switch (node->type)
    {
        case NODE_FILTER:
            check_filter(node, findings);
            break;
        case NODE_ADD_FIELD:
            if (json_get(node->config, "expression") && json_get(node->config, "defaultValue"))
                graph_complain(findings, node->id, "wrong_value", NULL,
                               "an add_field node takes \"defaultValue\" or \"expression\", not both");
            break;
        default:
            break;
    }
}

static bool
parse_node(JsonbValue *item, int ordinal, GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {
        {"id", JSON_STRING, true, NULL},       {"type", JSON_STRING, true, NULL},
        {"label", JSON_STRING | JSON_NULL, false, NULL}, {"config", JSON_OBJECT, false, NULL},
        {"position", JSON_OBJECT | JSON_NULL, false, NULL}, {NULL, 0, false, NULL}};
    Complaint complaint = {findings, NULL};
    char *type;
    size_t i;

    if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
    {
        graph_complain(findings, NULL, "wrong_type", NULL, "node %d must be an object", ordinal + 1);
        return false;
    }
    complaint.node_id = node->id = json_get_text(item->val.binary.data, "id");
    if (!json_check(item->val.binary.data, keys, psprintf("node %d", ordinal + 1), complain_config, &complaint))
        return false;
    type = json_get_text(item->val.binary.data, "type");
    for (i = 0; i < lengthof(node_types) && strcmp(node_types[i].name, type) != 0; i++)
        ;
    if (i == lengthof(node_types))
    {
        StringInfoData valid;

        initStringInfo(&valid);
        for (i = 0; i < lengthof(node_types); i++)
            appendStringInfo(&valid, "%s%s", i ? ", " : "Valid types are: ", node_types[i].name);
        graph_complain(findings, node->id, "unknown_node_type", psprintf("%s.", valid.data), "unknown node type \"%s\"", type);
        return false;
    }
    node->type = node_types[i].type;
    node->type_name = node_types[i].name;
    node->label = json_get_text(item->val.binary.data, "label");
    if (node->label == NULL)
        node->label = "";
    node->config = json_get_container(item->val.binary.data, "config");
    if (node->config == NULL)
        node->config = &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")))->root;
    if (node->type == NODE_SOURCE)
        source_check(node->config, SOURCE_OF_NODE, "config of a source node", complain_config, &complaint);
    else if (json_check(node->config, node_types[i].keys, psprintf("config of a %s node", type), complain_config, &complaint))
        check_node(node, findings);
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
    Complaint complaint = {findings, NULL};
    int at[2];
    GraphEdge *edge = &graph->edges[graph->nedges];

    if (item->type != jbvBinary || !JsonContainerIsObject(item->val.binary.data))
    {
        graph_complain(findings, NULL, "wrong_type", NULL, "edge %d must be an object", ordinal + 1);
        return false;
    }
    if (!json_check(item->val.binary.data, keys, psprintf("edge %d", ordinal + 1), complain_config, &complaint))
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
        sources += node->type == NODE_SOURCE;
        targets += node->type == NODE_TARGET;
        if (in != (node->type == NODE_SOURCE ? 0 : 1))
            graph_complain(findings, node->id, "wrong_edges", NULL, "a %s node takes %s incoming edge, but \"%s\" has %d",
                           node->type_name, node->type == NODE_SOURCE ? "no" : "one", node->id, in);
        if (out != (node->type == NODE_TARGET ? 0 : 1))
            graph_complain(findings, node->id, "wrong_edges", NULL, "a %s node takes %s outgoing edge, but \"%s\" has %d",
                           node->type_name, node->type == NODE_TARGET ? "no" : "one", node->id, out);
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
