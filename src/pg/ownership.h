/*
 * ownership.h: what PostgreSQL's own statements about roles and tables mean for ours.
 */
#ifndef KAIREON_OWNERSHIP_H
#define KAIREON_OWNERSHIP_H

#include "postgres.h"
#include "fmgr.h"

/*
 * From _PG_init: after REASSIGN OWNED, DROP OWNED, DROP ROLE, and whatever
 * drops a table, the catalog of this database follows, in the same
 * transaction (sql/42-owners.sql).
 */
extern void ownership_install_hooks(void);

/*
 * kaireon_internal.require_can_become(caller regrole, role regrole): raises
 * 42501 unless the caller could SET ROLE to the role, 42704 when there is no
 * such role; else it can't be dropped before this transaction ends.
 */
extern PGDLLEXPORT Datum kaireon_require_can_become(PG_FUNCTION_ARGS);

#endif
