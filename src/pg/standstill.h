/*
 * standstill.h: a session that waits for a run, which waits for the session.
 *
 * The server finds no such deadlock: that a session waits for a run is known to
 * the run slots, not to its lock manager.
 */
#ifndef KAIREON_STANDSTILL_H
#define KAIREON_STANDSTILL_H

#include "postgres.h"

#include "pg/control.h"

/*
 * Waits on the latch until it is set or it is time to look for a standstill;
 * raises 40P01 when two looks one after the other have found one.  `found`
 * counts them: the caller's between calls, at first 0.  True when it was time.
 */
extern bool standstill_wait(const RunSlot *slot, int *found);

#endif
