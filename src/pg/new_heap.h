/*
 * new_heap.h: a table's heap and indexes, made anew beside it and put in their place.
 *
 * As CLUSTER and REFRESH MATERIALIZED VIEW do it: a relation that nobody else
 * sees gets a heap, a TOAST table and copies of the table's indexes; at the end
 * the storage of the two is exchanged in pg_class, and the relation is dropped
 * with what was the table's.  The table's OID and all that hangs on it stay.
 * Unlike there the indexes are built before the table is locked, and exchanged
 * as well.
 */
#ifndef KAIREON_NEW_HEAP_H
#define KAIREON_NEW_HEAP_H

#include "postgres.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

/* An index of the table and its copy. */
typedef struct NewIndex
{
    Oid original;
    Oid relid;               /* of copy */
    Relation copy;           /* NULL: it has been exchanged */
    IndexInfo *info;         /* of the copy */
    bool unique;             /* filled while rows come; the others are built at the end */
} NewIndex;

typedef struct NewHeap
{
    Oid table;
    Oid relid;               /* of heap */
    Relation heap;           /* NULL: it has been exchanged */
    int nindexes;
    NewIndex *indexes;
    BlockNumber pages;       /* once it is complete */
} NewHeap;

/*
 * For a plain table without exclusion constraints that is locked against other
 * changes of its definition.  Lives in the current context.
 */
extern NewHeap *new_heap_create(Relation table);

/* All rows are there, on so many pages: builds the indexes that are not unique. */
extern void new_heap_complete(NewHeap *heap, BlockNumber pages);

/* The other's storage becomes the table's.  The caller has the table locked for itself alone, and does not use it any more. */
extern void new_heap_swap(NewHeap *heap, int64 rows);

#endif
