/*
 * instance.h: is this database the one its pipelines were set up in, or a copy?
 *
 * A dump that was restored, a cloned data directory, a base backup and what
 * pg_upgrade made all have the pipelines of their original.  Were both to run
 * them, every file would be loaded twice and every message taken away from the
 * other.  kaireon_internal.instance keeps where the database was confirmed; it
 * is compared with where it is.  The view kaireon.instance says what came of it.
 */
#ifndef KAIREON_INSTANCE_H
#define KAIREON_INSTANCE_H

#include "postgres.h"

/* May pipelines run in this database?  Needs a transaction. */
extern bool instance_confirmed(void);
/* Raises KA005 where they may not. */
extern void instance_require(void);
/* A confirmed database has been given a name, or by its name has another place: that becomes what is compared next time. */
extern void instance_follow(void);

#endif
