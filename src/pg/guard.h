/*
 * guard.h: doing something in a subtransaction of its own: that may raise an error, or that leaves no lock.
 */
#ifndef KAIREON_GUARD_H
#define KAIREON_GUARD_H

#include "postgres.h"

/*
 * Runs work(arg) inside an internal subtransaction, with `context` as the
 * current memory context.  NULL when it returned; else the error it raised,
 * copied into `context`, and everything it did in the database is undone.
 * Errors that must not become data (cancel, shutdown, exhausted resources) are
 * raised on.  Context and resource owner are the caller's again in any case.
 * What work leaves in memory must not depend on how far it got.
 */
extern ErrorData *guard_try(void (*work) (void *arg), void *arg, MemoryContext context);

/* The same, but what it did in the database is undone also when it returned: whether it could be done. */
extern ErrorData *guard_rehearse(void (*work) (void *arg), void *arg, MemoryContext context);

/* The same as guard_try with another opinion on which errors are raised on, by SQLSTATE. */
extern ErrorData *guard_try_but(void (*work) (void *arg), void *arg, MemoryContext context, bool (*must_pass) (int sqlerrcode));

/* The same, and none is: for what goes on whatever happened.  Who may be cancelled meanwhile holds that off. */
extern ErrorData *guard_try_all(void (*work) (void *arg), void *arg, MemoryContext context);

/*
 * Runs work(arg) the same way, but undoes what it did in the database also when
 * it returns: the locks it took are given back before the transaction ends.
 * All errors are raised on.
 */
extern void guard_look(void (*work) (void *arg), void *arg, MemoryContext context);

#endif
