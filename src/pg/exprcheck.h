/*
 * exprcheck.h: which expressions a pipeline may contain.
 *
 * A user's expression is PostgreSQL's own, so it is checked after parse
 * analysis, when every name has become an OID: only functions and operators of
 * pg_catalog that are on the list, nothing volatile, no sub-select, aggregate,
 * window function, set-returning function, system column or whole row.
 */
#ifndef KAIREON_EXPRCHECK_H
#define KAIREON_EXPRCHECK_H

#include "postgres.h"
#include "nodes/parsenodes.h"

/*
 * Checks that `text` is one expression and nothing more, before it is put into
 * a statement.  Raises 42601 or 0A000.  Returns the names of the columns it
 * mentions (char *, no duplicates).
 */
extern List *exprcheck_parse(const char *text);

/*
 * Checks the target list and conditions of an analysed query (its own level,
 * not its sub-selects).  Raises 0A000 with the location as error position.
 */
extern void exprcheck_query(Query *query, const char *sql);

#endif
