/*
 * outbox.h: what is done outside of the database once a run has committed.
 *
 * There are kinds of action (outbox.c): files are moved, webhooks are called.
 * What a run wants done is written in the transaction that makes it true, so it
 * is wanted exactly when that commits.  Then the run's worker does it; what
 * fails, or what a crash left, the supervisor has done again later.  So an
 * action may be done twice and must not mind.  The same table has the files that
 * runs have claimed before they read them: run_staging.c.
 */
#ifndef KAIREON_OUTBOX_H
#define KAIREON_OUTBOX_H

#include "postgres.h"
#include "utils/uuid.h"

/* What keeps a run waiting: servers that are called may be slow, files are moved at once. */
typedef enum OutboxPatience { OUTBOX_MOVES, OUTBOX_ALL } OutboxPatience;

/*
 * Does what is due of a pipeline, outside of a transaction, as the pipeline's
 * owner.  Failures are noted in the outbox and not raised; a cancel ends it
 * early and stays pending.
 */
extern void outbox_work(const pg_uuid_t *pipeline, OutboxPatience patience);

/*
 * Between catalog_begin and catalog_end, in the transaction that ends a run,
 * when its row says how: puts the webhooks for that into the outbox.
 */
extern void outbox_want_webhooks(const pg_uuid_t *run_id);

/* The same, where the run's end must be written whatever happens, as on a full disk: what fails is logged. */
extern void outbox_try_webhooks(const pg_uuid_t *run_id);

#endif
