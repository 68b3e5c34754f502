/*
 * row_watch.h: a row whose evaluation takes longer than kaireon.expression_timeout.
 *
 * A regular expression may run for ages over one value.  While rows are
 * evaluated a timer ticks; when the row at hand has been the same for as much
 * of the process's own time as the setting allows, it is interrupted like a
 * statement that is cancelled, and only that row: the error is data.  A row
 * pays nothing for being watched, a batch two clock readings.  What can't be
 * cancelled can't be interrupted either.
 */
#ifndef KAIREON_ROW_WATCH_H
#define KAIREON_ROW_WATCH_H

#include "postgres.h"

/*
 * guard_try (guard.h) with the row watched whose number `work` keeps in *row:
 * a row that was interrupted is an error KA009.  *innocent: the interrupt hit
 * another row than the one that took so long, which had ended by itself; so
 * nothing is wrong with either, and the row at hand is to be evaluated again.
 */
extern ErrorData *row_watch_try(void (*work) (void *arg), void *arg, MemoryContext context, const int *row, bool *innocent);

/* In the handler of a signal that cancels what the process does: a cancel is not taken for an interrupt of ours. */
extern void row_watch_cancelled(void);

#endif
