/*
 * load.h: finished rows into the target table.
 *
 * The loader is the stage's sink.  Plain tables take the fast way: slots of a
 * batch go to table_multi_insert, indexes after, as COPY does.  A row that
 * meets a unique conflict is taken out again and rejected; its neighbours
 * stay.  Tables with triggers, row security, partitions, generated columns or
 * foreign storage take the ordinary INSERT ... SELECT over the rows of many
 * batches inside a subtransaction; when it fails, what can be loaded is found by
 * trying (load_range.c).  So do upserts, with ON CONFLICT.  Strategies that replace all rows of a table write into a new heap
 * beside it, where they can (replace.h).
 */
#ifndef KAIREON_LOAD_H
#define KAIREON_LOAD_H

#include "postgres.h"
#include "utils/rel.h"

#include "pg/reject.h"
#include "pg/stage.h"
#include "pg/summary.h"

typedef struct Loader Loader;

typedef struct LoadCounts
{
    int64 loaded;            /* new in the table */
    int64 updated;           /* in place of one with the same key */
    int64 unchanged;         /* the table had such a row already */
    int64 merged;            /* another row of the batch, with the same key, came after it */
    int64 behind;            /* their watermark is not greater than the mark */
    int64 suppressed;        /* a trigger of the table (one that returns null) made away with it */
} LoadCounts;

/*
 * Inside a transaction; the current user has been checked by the stage.  The
 * table is open once and locked, and may be opened anew.  `strategy` may be
 * another than the target's.
 */
extern Loader *loader_create(Relation *table, const ProgramTarget *compiled, LoadStrategy strategy, Rejects *rejects);
/* All loaders of a run, each of which is to know of the others; before the first row. */
extern void loader_introduce(Loader **loaders, int count);
/* From the first row on: tells the summary of the table whose rows come into it. */
extern void loader_summarise(Loader *loader, Summary *summary);
/*
 * Of a target with a watermark, before the first row: only rows with a greater
 * value than that are loaded; NULL: all are.  And the greatest value of those
 * that were, in the current context; NULL: none was.
 */
extern void loader_set_mark(Loader *loader, const char *mark);
extern char *loader_mark(const Loader *loader);
/* The same for all lanes that lead to the target. */
extern RowSink *loader_sink(Loader *loader);
/* What became of the rows so far, but for those that were rejected. */
extern const LoadCounts *loader_counts(const Loader *loader);
/* Of how many rows that it was given it is not yet known whether they can be loaded. */
extern int loader_waiting(const Loader *loader);
/* Ends the load; what it opened is closed.  Raises KA014 when nothing came that could replace what there is. */
extern void loader_finish(Loader *loader);

/* Then: are the rows in a new heap beside the table? */
extern bool loader_swaps(const Loader *loader);
/* Raises 23503 when a foreign key, its own or another table's, would not hold; all loaders have finished. */
extern void loader_check_references(Loader *loader);
/* Puts them in the table's place, which the caller has locked for itself alone and does not use. */
extern void loader_swap(Loader *loader);

#endif
