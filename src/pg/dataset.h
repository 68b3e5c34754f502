/*
 * dataset.h: what validate nodes demand of all rows together.
 *
 * A check {check, field, min, max, maxAge, onFail} is about the rows that go
 * out of its node.  For a check of a field the compiler writes a condition that
 * every row meets, kaireon.observe(place, value), whose first argument is the
 * check's place in the node's config; the stage takes the call apart and hands
 * the values of each batch over.  At the end of the load the run asks what
 * failed.  Memory does not grow with the rows: what distinct values need, spills.
 *
 * node_validate_dataset.c knows the config and compiles, dataset.c adds up.
 */
#ifndef KAIREON_DATASET_H
#define KAIREON_DATASET_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "pg/graph.h"

typedef enum DatasetMeasure
{
    DATASET_ROW_COUNT,
    DATASET_ROW_COUNT_CHANGE, /* in percent of the rows of runs before */
    DATASET_NULL_SHARE,
    DATASET_DISTINCT_SHARE,   /* of the values that are not null */
    DATASET_SUM,
    DATASET_AVG,
    DATASET_FRESHNESS         /* the latest value */
} DatasetMeasure;

/* One check of a node, whose config has been checked. */
typedef struct DatasetCheck
{
    const char *name;        /* "null_share" */
    DatasetMeasure measure;
    char *field;             /* NULL: of the rows */
    Numeric min, max;        /* NULL: no bound */
    char *max_age;           /* of freshness, as it was given */
    int runs;                /* of row_count_change: how many runs before it compares with */
    bool warns;
} DatasetCheck;

/* How many checks a node has: 0 for all but validate nodes.  And the i-th, in the current context. */
extern int dataset_count(const GraphNode *node);
extern DatasetCheck dataset_check_of(const GraphNode *node, int place);

/* The value in a planned call of kaireon.observe, and the check's place; NULL when the expression is no such call. */
extern Expr *dataset_observed(Expr *expr, int *place);

/* ---- at run time ------------------------------------------------------------------- */

/* What the checks of one node have seen. */
typedef struct Dataset Dataset;

/* Lives in the current context and resource owner; NULL for a node without checks. */
extern Dataset *dataset_create(const GraphNode *node);

/* Values of a type that go to a check: those of rows that went out of the node.  What is computed meanwhile is left in the current context. */
extern void dataset_take(Dataset *dataset, int place, Oid type, const Datum *values, const bool *nulls, int count);

/* A check that failed. */
typedef struct DatasetFailure
{
    char *field;             /* or NULL */
    char *reason;            /* dataset check "avg" of field "price" failed: 12.5 is more than 10 */
    char *seen;              /* 12.5 */
    bool warns;
} DatasetFailure;

/* How many rows went out of the node in so many runs before, of several the median; 0: there is nothing to compare with. */
typedef int64 (*DatasetBefore) (void *arg, int runs);

/*
 * Which checks fail (DatasetFailure *), in the order of the config.  `rows` went
 * out of the node.  Ends what dataset_take has begun: call it once.
 */
extern List *dataset_judge(Dataset *dataset, int64 rows, DatasetBefore before, void *arg);

/* observe(place int, value anyelement): never called but when a plan is explained by running it. */
extern PGDLLEXPORT Datum kaireon_observe(PG_FUNCTION_ARGS);

#endif
