/*
 * errors.h: Kaireon's own SQLSTATEs, all of class KA.
 *
 * Whatever PostgreSQL has a code for uses that; these are for what only this
 * extension knows.  README lists them.
 */
#ifndef KAIREON_ERRORS_H
#define KAIREON_ERRORS_H

#include "utils/elog.h"

/* The reader ended without saying why (killed, crashed, out of memory). */
#define ERRCODE_KAIREON_READER_ENDED MAKE_SQLSTATE('K', 'A', '0', '0', '1')
/* What the reader sent is not what the protocol allows. */
#define ERRCODE_KAIREON_PROTOCOL MAKE_SQLSTATE('K', 'A', '0', '0', '2')
/* The run's worker ended without finishing it: crash, restart, terminate. */
#define ERRCODE_KAIREON_RUN_ORPHANED MAKE_SQLSTATE('K', 'A', '0', '0', '3')
/* Another run holds the pipeline's lease. */
#define ERRCODE_KAIREON_LEASE_LOST MAKE_SQLSTATE('K', 'A', '0', '0', '4')
/* The database is a restored or cloned copy; its pipelines are held. */
#define ERRCODE_KAIREON_INSTANCE_HELD MAKE_SQLSTATE('K', 'A', '0', '0', '5')

#endif
