/*
 * summary.h: the summary of a collection, written by the run that loads it.
 *
 * While rows come into the collection's table its loader notes whose they are
 * (load.h), in a tuplestore, which spills.  When all rows are there the rows of
 * the summary are made anew for just these customers, in the transaction of the
 * load; of all customers where it is not known whose rows came, or where the
 * summary was not complete before.  node_summarize.c writes the statements.
 */
#ifndef KAIREON_SUMMARY_H
#define KAIREON_SUMMARY_H

#include "postgres.h"

#include "pg/compile.h"

typedef struct Summary Summary;

/* Lives in the current context, as the argument must.  In the load's transaction. */
extern Summary *summary_create(const ProgramSummary *compiled);
extern const ProgramSummary *summary_compiled(const Summary *summary);

/* A row of that customer has come or gone: the join fields, as in ProgramSummary.keys. */
extern void summary_touch(Summary *summary, Datum *keys, bool *nulls);

/* Rows have come or gone, nobody knows whose. */
extern void summary_touch_all(Summary *summary);

/*
 * Writes it; `incomplete`: some of it lacked rows before this run.  As the
 * pipeline's owner, when the collection is loaded.  Raises what PostgreSQL does.
 */
extern void summary_write(Summary *summary, bool incomplete);

#endif
