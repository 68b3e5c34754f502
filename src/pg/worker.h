/*
 * worker.h: what Kaireon's background workers have in common.
 */
#ifndef KAIREON_WORKER_H
#define KAIREON_WORKER_H

#include "postgres.h"
#include "postmaster/bgworker.h"

/*
 * Starts a worker of this library: `function` is its entry, `type` what
 * pg_stat_activity shows, `name` what the log shows, `arg` its argument.  The
 * caller's latch is set when it starts and ends.  The handle is the caller's to
 * pfree.  NULL when there is no worker slot left, which the log then says.
 */
extern BackgroundWorkerHandle *worker_start(const char *function, const char *type, const char *name, int arg);

/*
 * Settings of a worker that has connected: whose rights it has, which triggers
 * fire, whether it can work at all.  What ALTER ROLE and ALTER DATABASE made of
 * them for sessions does not count; nor do timeouts: a run ends when it is done,
 * fails or is cancelled.
 */
extern void worker_fix_settings(void);

/*
 * Is the database there, and does it allow connections, which workers need?  In
 * a transaction.  Not by a cache: who wakes a worker at its commit does so
 * before others are told what has changed.
 */
extern bool worker_can_connect(Oid database);

/* Is this process the worker of a run? */
extern bool worker_is_run(void);

/* A transaction of a worker, READ COMMITTED and with an active snapshot, and its end. */
extern void worker_begin(void);
extern void worker_commit(void);

#endif
