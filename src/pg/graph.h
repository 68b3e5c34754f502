/*
 * graph.h: a pipeline's nodes and edges, parsed and checked.
 *
 * From the normalised jsonb of a version (every node has id, type, label,
 * config, position; edges fill in for a chain) to C structs in topological
 * order.  What is wrong is collected as findings, all of them at once.  What
 * types of nodes there are is not here: see node.h; nor what they mean: compile.h.
 */
#ifndef KAIREON_GRAPH_H
#define KAIREON_GRAPH_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef struct GraphNode
{
    char *id;
    const struct NodeOp *op; /* its type: node.h */
    char *label;             /* may be empty */
    JsonbContainer *config;  /* of a mended graph: what is right of it by its op's keys */
    JsonbContainer *given;   /* the config as it was given */
    int ordinal;             /* place in Graph.nodes, which is topological order */
    /* only in a mended graph: */
    bool wrong_config;       /* its type or config is wrong, so that nothing can be made of it */
    bool flawed;             /* its config is wrong somewhere: the rest of it is looked at, and what it makes is unknown */
    bool wrong_edges;        /* it has too many edges or too few, or they mean nothing to it */
    bool loose;              /* edges of it are missing that there may have been: nobody complains of their number */
} GraphNode;

typedef struct GraphEdge
{
    int from;                /* ordinals */
    int to;
    char *label;             /* may be empty */
} GraphEdge;

typedef struct Graph
{
    int nnodes;
    GraphNode *nodes;
    int nedges;
    GraphEdge *edges;
} Graph;

/* Something wrong (severity "error"), doubtful ("warning") or good to know ("info") about a pipeline. */
typedef struct Finding
{
    char *node_id;           /* NULL: the pipeline as a whole */
    const char *severity;
    const char *code;        /* short, stable, snake_case: unknown_key, missing_column, ... */
    char *message;
    char *hint;              /* or NULL */
} Finding;

/*
 * Parses and checks.  Findings (Finding *) are appended to *findings.
 * Returns NULL when there are errors among them.
 */
extern Graph *graph_parse(Jsonb *nodes, Jsonb *edges, List **findings);

/*
 * The same for finding all that is wrong at once: a graph with errors is mended
 * so that the rest of it can be checked without complaining of what follows
 * from them.  What has no place in a graph (edges that dangle, nodes without an
 * id, the second of an id, an edge of each cycle) is left out, a type that is
 * unknown is node_unknown's.  NULL when nothing is left.
 */
extern Graph *graph_mend(Jsonb *nodes, Jsonb *edges, List **findings);

/* The edges out of a node and into it (GraphEdge *), in the graph's order: of a branch, that of its routes. */
extern List *graph_edges_from(const Graph *graph, const GraphNode *node);
extern List *graph_edges_to(const Graph *graph, const GraphNode *node);

/* Does a way lead from one node to the other? */
extern bool graph_leads_to(const Graph *graph, const GraphNode *from, const GraphNode *to);

/* Puts some edges of the graph into another order among themselves: `edges` lists them in the order wanted. */
extern void graph_order_edges(Graph *graph, List *edges);

/* Appends a finding of severity error, unless it is there already; message is a format. */
extern void graph_complain(List **findings, const char *node_id, const char *code,
                           const char *hint, const char *message,...) pg_attribute_printf(5, 6);

/* The same of severity warning: something that works, but perhaps not as meant. */
extern void graph_warn(List **findings, const char *node_id, const char *code, const char *hint, char *message);

/* The same of severity info: nothing is wrong. */
extern void graph_tell(List **findings, const char *node_id, const char *code, char *message);

/* A JsonComplain (json.h) that makes findings of a node; its arg. */
typedef struct GraphComplaint { List **findings; const char *node_id; } GraphComplaint;

extern void graph_complain_config(void *arg, const char *code, const char *message, const char *hint);

/* The first finding of severity error; NULL when there is none. */
extern const Finding *graph_first_error(List *findings);
extern bool graph_has_errors(List *findings);
/* How many of them are about the node; is one? */
extern int graph_count_errors(List *findings, const GraphNode *node);
extern bool graph_is_wrong(List *findings, const GraphNode *node);

#endif
