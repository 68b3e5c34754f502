/*
 * lineage.h: which source columns and nodes made a field.
 *
 * The compiler's first walk (compile_fields.c) carries along with each field
 * its origins, a list.  A node that makes a field of others gives it theirs,
 * and itself.  Origins are never changed, so fields share them.
 */
#ifndef KAIREON_LINEAGE_H
#define KAIREON_LINEAGE_H

#include "postgres.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"

#include "pg/graph.h"

typedef struct Origin
{
    const GraphNode *node;   /* that gives the value: a source, or a node that looks it up; NULL: no row's, a constant */
    const char *schema;      /* in whose table it is looked up; NULL: in none */
    const char *column;      /* of a node that asks a connector: the resource */
    Bitmapset *made_by;      /* GraphNode.ordinal of the nodes that made the field of it; so in topological order */
} Origin;

/* A column of a source node; with `schema` a column of the table that a node looks up. */
extern List *lineage_of_column(const GraphNode *node, const char *schema, const char *column);

/* What pipeline_columns calls the summary table of a collection. */
extern char *lineage_summary(const char *collection);

/* A value that nobody gives: a default, or what a node makes by itself. */
extern List *lineage_of_nothing(void);

/* Adds origins to a list; of what is in both, the nodes are put together.  Gives the list. */
extern List *lineage_add(List *origins, const List *more);

/* The origins of a field that a node makes of fields with these; of none: a constant. */
extern List *lineage_made(const List *origins, const GraphNode *node);

#endif
