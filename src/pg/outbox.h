/*
 * outbox.h: what is done outside of the database once a run has committed.
 *
 * What a run wants done is written in the transaction that makes it true, so it
 * is wanted exactly when that commits.  Then the run's worker does it; what
 * fails, or what a crash left, the supervisor has done again later.  So an
 * action may be done twice and must not mind.
 */
#ifndef KAIREON_OUTBOX_H
#define KAIREON_OUTBOX_H

#include "postgres.h"
#include "utils/uuid.h"

/*
 * Does what is due of a pipeline, outside of a transaction, as the pipeline's
 * owner.  Failures are noted in the outbox and not raised; a cancel ends it
 * early and stays pending.
 */
extern void outbox_work(const pg_uuid_t *pipeline);

#endif
