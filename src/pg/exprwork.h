/*
 * exprwork.h: calls of expressions take a time.
 *
 * Some functions of PostgreSQL compare all of one argument with all of another,
 * and look for no interrupt meanwhile: strpos() of texts of some hundred
 * kilobytes runs for a minute, and neither a cancel nor the row's timeout ends
 * it.  So calls of these are put into calls of functions of the same arguments
 * in schema kaireon (exprbound.h rewrites them).  Where the sizes promise that
 * it does not take long, they are PostgreSQL's own.  Else
 *
 *   bounded_strpos, bounded_position, bounded_replace, bounded_[n][i]like
 *                search in a time that grows with the sum of the sizes;
 *   the others   raise 54000, as a LIKE does that has a long text with _ to find
 *
 * They run in any backend, are IMMUTABLE and PARALLEL SAFE, and are reached
 * through rewritten expressions only.
 */
#ifndef KAIREON_EXPRWORK_H
#define KAIREON_EXPRWORK_H

#include "postgres.h"
#include "fmgr.h"

/*
 * The name of the function in schema kaireon that stands for one of PostgreSQL's;
 * NULL: none does.  LIKE over an array has the same name, with a third argument:
 * any of the patterns, or all?
 */
extern const char *exprwork_function(Oid function);

/* replace(), in a time that grows with the sum of the sizes where they are large. */
extern Datum exprwork_replace(FunctionCallInfo fcinfo);

extern PGDLLEXPORT Datum kaireon_bounded_strpos(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_position(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_like(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_nlike(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_ilike(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_nilike(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_bytea_like(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_bytea_nlike(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_string_to_array(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_split_part(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_translate(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_btrim(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_ltrim(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_rtrim(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_bytea_btrim(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_bytea_ltrim(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_bytea_rtrim(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_contains(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_contained(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_overlaps(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_jsonb_contains(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_jsonb_contained(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_jsonb_without(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_jsonb_has_any(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_bounded_jsonb_has_all(PG_FUNCTION_ARGS);

#endif
