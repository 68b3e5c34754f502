/*
 * run_row.h: what a supervisor writes into the rows of runs: requests, and the
 * ends that no worker could write.
 */
#ifndef KAIREON_RUN_ROW_H
#define KAIREON_RUN_ROW_H

#include "postgres.h"

#include "pg/control.h"

/* Makes the row of a session's request, which may be cancelled by now (gone).  Where it can't, the slot is refused and has why; raises nothing. */
extern void run_row_make(RunSlot *slot, bool gone);

/* Ends a run's row if it is not final; else false.  One that failed may be tried again (retry.h).  In a transaction, as the next. */
extern bool run_row_end(const pg_uuid_t *run_id, const char *status, int sqlstate, const char *message, const char *hint);

/* The same of a run whose worker is gone.  What can be done comes behind the hint. */
extern void run_row_end_orphan(const pg_uuid_t *run_id, int sqlstate, const char *message, const char *hint);

/* Ends those that a server crash or restart left behind; in a copy they are its original's. */
extern void run_row_recover(void);

#endif
