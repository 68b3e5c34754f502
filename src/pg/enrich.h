/*
 * enrich.h: the two kinds of enrich nodes, by their config: from a table
 * (node_lookup.c), and from a connector (node_enrich.c).
 */
#ifndef KAIREON_ENRICH_H
#define KAIREON_ENRICH_H

#include "postgres.h"

#include "pg/node.h"
#include "pg/resource.h"

/* The kind that has the key "connector". */
extern const NodeOp node_enrich_ask;

/* What such a node reads, its config checked; in the current context. */
extern Resource *enrich_resource(const GraphNode *node);

#endif
