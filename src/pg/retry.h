/*
 * retry.h: runs that failed for something that may be over soon: "retry" of
 * execution_config.
 *
 * Whoever ends a run as failed (its worker, or the supervisor for a worker that
 * is gone) asks in the same transaction whether it is to be tried again; then
 * its row is queued once more, and the supervisor starts it when its time has
 * come.  So a pause takes no worker slot, and outlasts a restart of the server.
 */
#ifndef KAIREON_RETRY_H
#define KAIREON_RETRY_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Appends a finding (graph.h) for each thing that is wrong with the key of an execution_config, which is an object or absent. */
extern void retry_check(Jsonb *config, List **findings);

/*
 * Between catalog_begin and catalog_end, when the run's row says that it failed
 * with that SQLSTATE: queues its next attempt, if the error is one that passes
 * and the pipeline has attempts left.  False: it is over.
 */
extern bool retry_run(const pg_uuid_t *run_id, int sqlstate);

/* Has a run with such an execution_config attempts left behind this one? */
extern bool retry_has_attempts(Jsonb *config, int attempt);

/* A run that is queued once more. */
typedef struct RetryPause
{
    int begun;               /* so often a worker has begun it */
    TimestampTz looks_at;    /* when it looks for files again; 0: it waits for its next attempt */
} RetryPause;

/* The same: is the run queued again by a worker that is gone, before which `before` had begun it? */
extern bool retry_waits(const pg_uuid_t *run_id, int before, RetryPause *pause);

/* How many ms until a run of this database is to be tried again, or to look for files; -1: none is.  Outside of a transaction. */
extern long retry_due(void);

#endif
