/*
 * process.h: what kaireon-reader does to its own process.
 *
 * It parses hostile bytes, so it gives up what it does not need before the
 * first of them is read, and limits its memory for each request.
 */
#ifndef KAIREON_PROCESS_H
#define KAIREON_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * For a reader that a worker started: closes every descriptor but the standard
 * ones and `keep`, empties the environment, resets signals (SIGPIPE ignored),
 * dies with its parent, writes no core and can't be traced, offers itself first
 * to the out-of-memory killer, works in "/".  What the system refuses is left.
 */
void process_harden(int keep);

/*
 * Allows the process `more` bytes of address space over what it uses now.
 * Returns false when the system refuses.
 */
bool process_limit_memory(uint64_t more);

/* Takes that limit away: the next request is taken in before it sets its own. */
void process_unlimit_memory(void);

#endif
