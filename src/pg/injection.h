/*
 * injection.h: the places at which a test lets something die.
 *
 * Only in a server built with `make INJECTION=1`, which test/torture makes for
 * itself; elsewhere nothing is left of them.  There is one at each change of a
 * run's state.  A test writes "POINT PASS ACTION" to the file
 * kaireon_injection in the data directory.  The process that passes the point
 * for the PASSth time takes the file away, so that it happens once, and acts;
 * kaireon_injection.next, if there is one, takes its place:
 *
 *   kill-reader kill-worker kill-supervisor   SIGKILL
 *   stop-server                               SIGQUIT to the postmaster: an immediate shutdown
 *   terminate-worker cancel-worker            SIGTERM, SIGINT
 *   error                                     raises XX000 there
 */
#ifndef KAIREON_INJECTION_H
#define KAIREON_INJECTION_H

#ifdef KAIREON_INJECTION
extern void injection_point(const char *name);
#else
#define injection_point(name) ((void) 0)
#endif

#endif
