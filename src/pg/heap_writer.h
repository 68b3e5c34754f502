/*
 * heap_writer.h: rows into a heap that nobody else can see yet.
 *
 * Pages are made in private memory and written once, past the shared buffers,
 * with the WAL that CREATE INDEX writes: whole pages, many in a record.  Rows
 * are frozen, pages all-visible.  What is large goes to the heap's TOAST table
 * in the ordinary way.
 */
#ifndef KAIREON_HEAP_WRITER_H
#define KAIREON_HEAP_WRITER_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "storage/block.h"
#include "utils/rel.h"

typedef struct HeapWriter HeapWriter;

/* The heap is empty, of access method heap, and was made in this transaction.  Lives in the current context. */
extern HeapWriter *heap_writer_begin(Relation heap);

/* Writes the slot's row and says where it is; until heap_writer_end it can't be read.  Leaves memory in the current context. */
extern void heap_writer_put(HeapWriter *writer, TupleTableSlot *slot);

/* Writes what is left; all pages are there and safe once the transaction commits.  Gives their number. */
extern BlockNumber heap_writer_end(HeapWriter *writer);

#endif
