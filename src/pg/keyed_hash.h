/*
 * keyed_hash.h: the keys of hash nodes that have a "keySecret".
 *
 * The config refers to the key (reference.h).  An execution reads the keys of
 * all its nodes when it begins and holds them until it ends; the compiled SQL
 * calls kaireon.keyed_hash(value, node), so that neither the key nor where it
 * stands is part of a statement.  Anywhere else, and to others than the
 * pipeline's owner, the function gives null, so nobody can try values with it.
 */
#ifndef KAIREON_KEYED_HASH_H
#define KAIREON_KEYED_HASH_H

#include "postgres.h"
#include "fmgr.h"

#include "pg/graph.h"

/* What a hash node's config says of its key; false when it has none. */
extern bool keyed_hash_configured(const GraphNode *node);

/*
 * Complains of a reference that is none, and of one that the current user has
 * no right to.  With `collect` a key that can't be had now is a warning.
 */
extern void keyed_hash_check(const GraphNode *node, List **findings);
extern void keyed_hash_check_rights(const GraphNode *node, bool collect, List **findings);

/*
 * Reads the keys of a graph's nodes, in the current context, with which they go
 * at the latest; the current user is the pipeline's owner.  Raises KA013 when one can't be had.
 */
extern void keyed_hash_begin(const Graph *graph);
extern void keyed_hash_end(void);

/* keyed_hash(value text, node text): HMAC of the value's UTF-8 by that node's algorithm, in hexadecimal. */
extern PGDLLEXPORT Datum kaireon_keyed_hash(PG_FUNCTION_ARGS);

#endif
