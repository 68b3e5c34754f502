/*
 * node.h: what a node type is: one NodeOp a type.
 *
 * A type's NodeOp stands in the file of its family (node_fields.c, node_mask.c
 * ...) and in the sorted table of node.c; nothing else knows it.  So a new
 * transform is a file (or a few functions in its family's) and a line of the
 * table.  flow.h has what `walk` and `write` work with.
 */
#ifndef KAIREON_NODE_H
#define KAIREON_NODE_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "pg/graph.h"
#include "pg/json.h"

struct Compiler;

/* What the engine does with a node; says nothing of its config. */
typedef enum NodeKind
{
    NODE_SOURCE,             /* gives rows */
    NODE_ROW,                /* works row by row: fused with its neighbours into one row stage */
    NODE_BRANCH,             /* sends each row along one of its edges: part of a row stage too */
    NODE_SET,                /* needs all rows of its inputs before it gives the first: a query over them */
    NODE_TARGET              /* takes rows */
} NodeKind;

typedef struct NodeOp
{
    const char *name;        /* as in the surface: "add_field" */
    NodeKind kind;
    int inputs;              /* of a set node: how many edges lead to it */
    bool keeps_fields;       /* what goes out has the fields that came in, and they are the same */
    const JsonKey *keys;     /* of its config; NULL: `check` looks at all of it */
    const char *const *reads; /* of these, those that name no field which the node makes or changes; NULL: none */

    const char *output;      /* of a row node: the key that names the one field it makes; where that is left out, "field" does.  NULL: none, or several */

    /*
     * What the table of keys can't say: keys that exclude or need one another.
     * Of what that found wrong, and of keys that are missing, it says nothing:
     * GraphNode.config has what is right (where `keys` is NULL, all there is),
     * GraphNode.given all that was given.  Complains with graph_complain.
     * NULL: nothing.
     */
    void (*check) (const GraphNode *node, List **findings);
    bool forgiving;          /* what `check` complains of, `walk` and `write` leave out: they are called all the same */

    /*
     * The op of a node whose kind depends on its config, which may still be
     * wrong.  NULL: it is this one.
     */
    const struct NodeOp *(*variant) (const GraphNode *node);

    /*
     * Called when the edges are known and their number is right: complains of
     * labels that mean nothing, and puts the node's edges into the order they
     * mean (graph_order_edges).  NULL: labels are only written on drawings.
     */
    void (*edges) (Graph *graph, const GraphNode *node, List **findings);

    /*
     * First walk: which fields the node uses (flow_use), changes, makes
     * (flow_make) and takes away; of a set node, set_use and its like.  The
     * config has been checked.  Errors raised become the node's finding.
     */
    void (*walk) (struct Compiler *c, const GraphNode *node);

    /*
     * Second walk: wraps the SELECT so far (sql_wrap and its like) and leaves
     * the flow as the node's rows are.  Every field that `walk` used is there,
     * and its type is known (flow_type).  A set node writes its query.
     */
    void (*write) (struct Compiler *c, const GraphNode *node);

    /*
     * What the node does, in one line, for drawings: "balance > 0".  The config
     * of a draft may lack anything.
     */
    void (*describe) (const GraphNode *node, StringInfo out);
} NodeOp;

/* NULL when there is no such type. */
extern const NodeOp *node_find(const char *name);

/* What a node is taken for whose type there is not, while the rest of the graph is checked: rows go through. */
extern const NodeOp node_unknown;

/* "source, filter, ...": the types there are, for a hint. */
extern char *node_list(void);

/* For describe: a scalar as it reads best: numbers as they are, strings in quotes, so that '0' and 0 differ. */
extern void node_describe_value(StringInfo out, const JsonbValue *value);
/* A list of char * with ", " between. */
extern void node_describe_list(StringInfo out, List *texts);

/* The types; each in the file of its family. */
extern const NodeOp node_add_field;
extern const NodeOp node_aggregate;
extern const NodeOp node_archive;
extern const NodeOp node_branch;
extern const NodeOp node_cast;
extern const NodeOp node_deduplicate;
extern const NodeOp node_drop;
extern const NodeOp node_enrich;
extern const NodeOp node_expression;
extern const NodeOp node_filter;
extern const NodeOp node_hash;
extern const NodeOp node_join;
extern const NodeOp node_lookup_join;
extern const NodeOp node_map_values;
extern const NodeOp node_mask_pii;
extern const NodeOp node_merge;
extern const NodeOp node_rename;
extern const NodeOp node_source;
extern const NodeOp node_split;
extern const NodeOp node_summarize;
extern const NodeOp node_target;
extern const NodeOp node_validate;
extern const NodeOp node_validate_all; /* a validate node with rules about all rows */

#endif
