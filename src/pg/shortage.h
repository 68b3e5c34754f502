/*
 * shortage.h: runs that can't begin because the server has no process for them.
 */
#ifndef KAIREON_SHORTAGE_H
#define KAIREON_SHORTAGE_H

#include "postgres.h"

#include "pg/control.h"

/* What a session that waits for a run has found so far; at first {0}. */
typedef struct ShortageLooks
{
    int unlaunched;          /* how often there was no launcher */
    bool told;               /* the session has been told that there is no worker slot */
} ShortageLooks;

/*
 * For a session that has waited for its run for a while: tells it once, in a
 * notice, that the run waits for a worker slot; raises 53400 when no launcher
 * has come since the server was started, so that none will.
 */
extern void shortage_look(const RunSlot *slot, ShortageLooks *looks);

/* For a session that has queued a run: tells it what may keep the run from beginning. */
extern void shortage_tell(const char *pipeline);

#endif
