/*
 * replace.h: a table whose rows are replaced as a whole: truncate_and_load, blue_green.
 *
 * Where it can be, the rows are written beside the table, whose storage is then
 * exchanged (new_heap.h, load_swap.c): readers see the old rows until then, and
 * are kept out for as long as the exchange takes.  Where it can't, the table is
 * emptied first, in the same transaction, and takes rows as under append: by
 * TRUNCATE under truncate_and_load, by DELETE under blue_green, whose readers
 * never wait.  A published table is always emptied by TRUNCATE, which
 * subscribers can follow at once.
 */
#ifndef KAIREON_REPLACE_H
#define KAIREON_REPLACE_H

#include "postgres.h"
#include "portability/instr_time.h"
#include "utils/rel.h"

#include "pg/compile.h"
#include "pg/reject.h"

/*
 * Gets the table, which this transaction has open once and locked, ready to take
 * new rows.  True: the rows go into a new heap.  False: the table is empty, and
 * *table has been opened anew; why is noted in the run.  Raises what PostgreSQL
 * does, 42501 without the right to empty it, 0A000 when others refer to it.
 */
extern bool replace_begin(Relation *table, const ProgramTarget *target, Rejects *rejects);

/* As the pipeline's owner: complains where the right for that lacks. */
extern void replace_check(const ProgramTarget *target, List **findings);

/*
 * Locks the table for this transaction alone: others have kaireon.swap_lock_timeout
 * to leave it, and are let through before it is tried again.  Raises 55P03 after
 * many times.  *since is when it was locked.
 */
extern void replace_lock(Oid table, Oid owner, instr_time *since);

/* Of a table that is locked: raises 40001 when it was published meanwhile, for which its schema or all tables can be. */
extern void replace_recheck(const ProgramTarget *target);

#endif
