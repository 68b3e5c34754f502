/*
 * guard.c: doing something that may raise an error, and going on after it.  See guard.h.
 *
 * The one place of the server's side that catches errors to go on; all others
 * clean up and pass them.  No subtransaction per row: callers do as many rows
 * as they can at once.
 */
#include "postgres.h"

#include "pg/guard.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "pg/compat.h"

/* What all of them do; `keep`: what work did in the database is kept when it returned. */
static ErrorData *
attempt(void (*work) (void *arg), void *arg, MemoryContext context, bool (*must_pass) (int sqlerrcode), bool keep)
{
    MemoryContext volatile outer = CurrentMemoryContext;
    ResourceOwner volatile owner = CurrentResourceOwner;
    ErrorData *volatile error = NULL;
    bool volatile passes = false;

    BeginInternalSubTransaction(NULL);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        work(arg);
        if (keep)
            ReleaseCurrentSubTransaction();
        else
            RollbackAndReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        passes = must_pass(geterrcode());
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(outer);
    CurrentResourceOwner = owner;
    /* only now: an error that leaves the subtransaction open would leave the session in it */
    if (passes)
        ReThrowError(error);
    return error;
}

ErrorData *
guard_try(void (*work) (void *arg), void *arg, MemoryContext context)
{
    return attempt(work, arg, context, compat_error_must_pass, true);
}

ErrorData *
guard_rehearse(void (*work) (void *arg), void *arg, MemoryContext context)
{
    return attempt(work, arg, context, compat_error_must_pass, false);
}

ErrorData *
guard_try_but(void (*work) (void *arg), void *arg, MemoryContext context, bool (*must_pass) (int sqlerrcode))
{
    return attempt(work, arg, context, must_pass, true);
}

static bool
never_pass(int sqlerrcode)
{
    return false;
}

ErrorData *
guard_try_all(void (*work) (void *arg), void *arg, MemoryContext context)
{
    return attempt(work, arg, context, never_pass, true);
}

static bool
always_pass(int sqlerrcode)
{
    return true;
}

void
guard_look(void (*work) (void *arg), void *arg, MemoryContext context)
{
    (void) attempt(work, arg, context, always_pass, false);
}
