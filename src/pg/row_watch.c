/*
 * row_watch.c: a row whose evaluation takes too long.  See row_watch.h.
 *
 * Regular expressions look for a cancel now and then, and for nothing else
 * that an extension can set, so an interrupt is a cancel request of our own.
 * `fired` tells the two apart.  In a session, where the handler of cancels is
 * the server's, one that comes between our request and its being served, which
 * takes less than a millisecond, is lost.
 */
#include "postgres.h"

#include "pg/row_watch.h"

#include <signal.h>
#include <time.h>

#include "miscadmin.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/guc.h"

/* The timer ticks so often within the time a row has. */
#define TICKS 4

/* What is watched; read and written by the timer's handler. */
static const volatile int *volatile watched = NULL; /* NULL: nothing is */
static volatile bool seen = false;                  /* by a tick: */
static volatile int seen_row;
static volatile int64 seen_at;                      /* ms of the process's own time */
static volatile int64 limit;                        /* ms */
static volatile sig_atomic_t fired = false;
static volatile int fired_row;
static volatile sig_atomic_t cancelled = false;

static int64
own_time(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The timer's handler, in a signal's. */
static void
tick(void)
{
    int row;

    if (watched == NULL || fired)
        return;
    row = *watched;
    if (!seen || row != seen_row)
    {
        seen = true;
        seen_row = row;
        seen_at = own_time();
        return;
    }
    if (QueryCancelPending || own_time() - seen_at < limit)
        return;
    fired = true;
    fired_row = row;
    QueryCancelPending = true;
    InterruptPending = true;
}

void
row_watch_cancelled(void)
{
    cancelled = true;
}

/* ---- watching --------------------------------------------------------------------- */

static TimeoutId
timer(void)
{
    static TimeoutId id = MAX_TIMEOUTS;

    if (id == MAX_TIMEOUTS)
        id = RegisterTimeout(USER_TIMEOUT, tick);
    return id;
}

static void
begin(const int *row)
{
    int period = Max(guc_expression_timeout / TICKS, 1);

    limit = guc_expression_timeout;
    seen = false;
    fired = false;
    cancelled = false;
    watched = row;
    enable_timeout_every(timer(), TimestampTzPlusMilliseconds(GetCurrentTimestamp(), period), period);
}

/* An interrupt that nothing has met any more is taken back. */
static void
end(void)
{
    watched = NULL;
    disable_timeout(timer(), false);
    if (!fired || !QueryCancelPending || cancelled)
        return;
    QueryCancelPending = false;
    if (cancelled)               /* just now */
        InterruptPending = QueryCancelPending = true;
}

/* Only what is not ours is raised on. */
static bool
must_pass(int sqlerrcode)
{
    return compat_error_must_pass(sqlerrcode) && !(sqlerrcode == ERRCODE_QUERY_CANCELED && fired && !cancelled);
}

ErrorData *
row_watch_try(void (*work) (void *arg), void *arg, MemoryContext context, const int *row, bool *innocent)
{
    ErrorData *volatile error = NULL;

    *innocent = false;
    if (guc_expression_timeout == 0)
        return guard_try(work, arg, context);
    begin(row);
    PG_TRY();
    {
        error = guard_try_but(work, arg, context, must_pass);
    }
    PG_FINALLY();
    {
        end();
    }
    PG_END_TRY();
    if (error == NULL || error->sqlerrcode != ERRCODE_QUERY_CANCELED)
        return error;
    *innocent = *row != fired_row;
    error->sqlerrcode = ERRCODE_KAIREON_EXPRESSION_TIMEOUT;
    error->message = psprintf("the row took longer than kaireon.expression_timeout (%d ms)", guc_expression_timeout);
    return error;
}
