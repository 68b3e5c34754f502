/*
 * exprbound.h: results of expressions have a size.
 *
 * lpad(x, 1000000000) is an honest expression of one row that takes a gigabyte
 * of the server.  So in a user's expression every call that gives a value of
 * variable length is put into a call of one of these functions of schema
 * kaireon, which raise 54000 for a result larger than kaireon.max_field_bytes:
 *
 *   bounded_size(anyelement)   measures a result: for functions and operators
 *                              whose result is a small multiple of what they get
 *   bounded_lpad, bounded_rpad, bounded_repeat, bounded_replace,
 *   bounded_regexp_replace     calculate before they work: few bytes in, any number out
 *
 * One call after another makes many such results, which are all there until the
 * row is done: so these functions also raise 54000 where there are too many.
 *
 * They run in any backend, are IMMUTABLE and PARALLEL SAFE, and are reached
 * through rewritten expressions only.
 */
#ifndef KAIREON_EXPRBOUND_H
#define KAIREON_EXPRBOUND_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"

/* What expressions of earlier rows may have left in the memory they are evaluated in. */
#define EXPRBOUND_ROWS_BYTES (16 * 1024 * 1024)

/*
 * Puts the bounds into an analysed query's target list and conditions, at all
 * levels.  The query is changed; what the compiler itself wrote (functions of
 * schema kaireon) is left alone.
 */
extern void exprbound_query(Query *query);

/* What a call of bounded_size measures; NULL when the expression is no such call. */
extern Node *exprbound_measured(Node *expr);

extern PGDLLEXPORT Datum kaireon_bounded_size(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_lpad(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_rpad(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_repeat(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_replace(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_regexp_replace(PG_FUNCTION_ARGS);

#endif
