/*
 * exprsize.h: how large the expressions of a nested statement become.
 *
 * PostgreSQL's planner puts sub-selects into the query around them: wherever a
 * field of one is named, the expression that makes it is copied to.  A chain of
 * nodes each of which names the field of the one before twice so doubles with
 * each node, and forty of them would take all memory there is.
 */
#ifndef KAIREON_EXPRSIZE_H
#define KAIREON_EXPRSIZE_H

#include "postgres.h"
#include "nodes/parsenodes.h"

/*
 * What a statement may have: planning it then takes about a second and 150 MB.
 * Fifteen hundred columns of sixty parts each are less.
 */
#define EXPRSIZE_LIMIT 100000

/*
 * Of a statement whose sub-selects have been put into it: the parts (nodes of
 * expression trees) of each column it gives, and of all its conditions.
 */
typedef struct ExprSizes { int ncolumns; double *columns; double conditions; } ExprSizes;

/*
 * The sizes of an analysed query.  `relation`: those of what the ephemeral
 * relation in it stands for, NULL when it is one.  Time is linear in the query
 * as it stands.
 */
extern ExprSizes exprsize_query(const Query *query, const ExprSizes *relation);

/* All of it, and the least of it that is planned whichever columns are used. */
extern double exprsize_total(const ExprSizes *sizes);
extern double exprsize_largest(const ExprSizes *sizes);

#endif
