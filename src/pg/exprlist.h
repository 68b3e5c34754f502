/*
 * exprlist.h: what a pipeline's expressions may call, and what it is good for.
 *
 * One table is both the check's (exprcheck.c) and the users' (view
 * kaireon.expression_functions).
 */
#ifndef KAIREON_EXPRLIST_H
#define KAIREON_EXPRLIST_H

#include "postgres.h"
#include "fmgr.h"

/* May a function of pg_catalog be called by this name? */
extern bool exprlist_function(const char *name);

/* May a value be of this type: a built-in one that holds nothing but the value?  Arrays of such are. */
extern bool exprlist_type(Oid type);

/* kaireon_internal.expression_functions(): name, kind, category, description, example. */
extern PGDLLEXPORT Datum kaireon_expression_functions(PG_FUNCTION_ARGS);

#endif
