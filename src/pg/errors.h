/*
 * errors.h: Kaireon's own SQLSTATEs, all of class KA.
 *
 * Whatever PostgreSQL has a code for uses that; these are for what only this
 * extension knows.  README lists them.
 */
#ifndef KAIREON_ERRORS_H
#define KAIREON_ERRORS_H

#include "utils/elog.h"

/*
 * The domain of errors that are raised where this is included: by it the log's
 * hook (redact.c) knows messages that show no value of a credential.
 */
#undef TEXTDOMAIN
#define TEXTDOMAIN "kaireon"

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
/* All of a run's first rows are bad. */
#define ERRCODE_KAIREON_ALL_BAD MAKE_SQLSTATE('K', 'A', '0', '0', '6')
/* More of a run's rows are bad than maxErrors allows. */
#define ERRCODE_KAIREON_TOO_MANY_BAD MAKE_SQLSTATE('K', 'A', '0', '0', '7')

/* A validate node's check on all rows together failed. */
#define ERRCODE_KAIREON_DATASET MAKE_SQLSTATE('K', 'A', '0', '0', '8')

/* The evaluation of a row took longer than kaireon.expression_timeout. */
#define ERRCODE_KAIREON_EXPRESSION_TIMEOUT MAKE_SQLSTATE('K', 'A', '0', '0', '9')

/* The key that credentials are encrypted with is not configured or can't be had. */
#define ERRCODE_KAIREON_NO_KEY MAKE_SQLSTATE('K', 'A', '0', '1', '0')
/* Credentials were encrypted with a key that is not configured. */
#define ERRCODE_KAIREON_OTHER_KEY MAKE_SQLSTATE('K', 'A', '0', '1', '1')
/* Encrypted credentials are damaged, or were encrypted for another connector. */
#define ERRCODE_KAIREON_BAD_SEAL MAKE_SQLSTATE('K', 'A', '0', '1', '2')
/* A file or variable that credentials refer to can't be had. */
#define ERRCODE_KAIREON_NO_CREDENTIAL MAKE_SQLSTATE('K', 'A', '0', '1', '3')
/* Nothing came for a target whose table would be emptied. */
#define ERRCODE_KAIREON_NOTHING_TO_LOAD MAKE_SQLSTATE('K', 'A', '0', '1', '4')
/* A source has waited in vain for a file. */
#define ERRCODE_KAIREON_NO_FILE MAKE_SQLSTATE('K', 'A', '0', '1', '5')

#endif
