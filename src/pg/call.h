/*
 * call.h: what the SQL modules need from C: changing the catalog on behalf of
 * a caller, acting with the caller's own rights, and raising errors.
 *
 * The catalog belongs to the extension's owner.  A public function that
 * changes it is LANGUAGE c with the symbol kaireon_call and runs like this:
 *
 *   kaireon.f(args)                       C, as the invoker
 *     kaireon_internal.f(caller, args)    PL/pgSQL, as the extension's owner
 *       kaireon_internal.as_role(caller, 'CREATE TABLE ...')   as the invoker
 *
 * This is not SECURITY DEFINER because that would hide who calls; and the
 * internal functions can't be called past it, since nobody else has rights on
 * schema kaireon_internal.
 *
 * All functions are reached through SQL only and run in any backend.
 */
#ifndef KAIREON_CALL_H
#define KAIREON_CALL_H

#include "postgres.h"
#include "fmgr.h"

/*
 * Any public function: calls the function of the same name in kaireon_internal
 * whose arguments are (caller regrole, then the same types), as the owner of
 * that schema.  Nulls are passed through; the result is the called function's,
 * in the current context.  An error raised inside keeps its fields but loses
 * the lines of context from inside, unless it is an internal one (XX000).
 * While it runs, values mean what they mean in a run (settings.h) and a lock is
 * waited for at most kaireon.ddl_lock_timeout.
 * On a standby it raises 25006: all of these functions write.
 * Does not work for functions that return sets.  An argument named auth_config
 * holds credentials: the called function gets its shape only (auth.h).
 */
extern PGDLLEXPORT Datum kaireon_call(PG_FUNCTION_ARGS);

/*
 * A statement that calls a function of kaireon_internal, for the server's side
 * itself: as the extension's owner; errors as those of kaireon_call.  Gives
 * what it returns as text; NULL: null.
 */
extern char *call_internal(const char *sql, int nargs, Oid *types, Datum *values);

/*
 * kaireon_internal.as_role(role regrole, sql text) RETURNS text: runs one or
 * more statements as that role.  Gives the first column of the first row the
 * last statement returned, or NULL.  The statements can't change the role; all
 * of them see what was committed when the function was called.
 * Raises 42501 for a role whose rights the one that kaireon_call serves has not.
 */
extern PGDLLEXPORT Datum kaireon_as_role(PG_FUNCTION_ARGS);

/*
 * kaireon_internal.fail(sqlstate text, message text, detail text, hint text):
 * raises that error; detail and hint may be null, which RAISE does not allow.
 */
extern PGDLLEXPORT Datum kaireon_fail(PG_FUNCTION_ARGS);

/*
 * kaireon_internal.closest(word text, candidates text[]) RETURNS text: the
 * candidate with the fewest letters changed, if it is near enough to be what
 * was meant, else NULL.  Letter case does not count.
 */
extern PGDLLEXPORT Datum kaireon_closest(PG_FUNCTION_ARGS);

#endif
