/*
 * dataset.c: adds up what validate nodes demand of all rows.  See dataset.h.
 *
 * Sums are numeric, so they are exact.  Of distinct values the sort keeps 64
 * bits of a hash each: two of a billion values are taken for one with a chance
 * of three in a hundred, of ten million with one in 300,000.
 */
#include "postgres.h"

#include "pg/dataset.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "pg/compat.h"

/* What one check has seen. */
typedef struct Seen
{
    DatasetCheck check;
    int64 values;            /* not null */
    int64 nulls;
    Numeric total;           /* NULL: of no value */
    TimestampTz latest;
    Tuplesortstate *hashes;  /* NULL: of no value */
} Seen;

struct Dataset
{
    MemoryContext context;
    int nchecks;
    Seen *checks;
};

Dataset *
dataset_create(const GraphNode *node)
{
    int count = dataset_count(node);
    Dataset *dataset;

    if (count == 0)
        return NULL;
    dataset = palloc(sizeof(Dataset));
    dataset->context = CurrentMemoryContext;
    dataset->nchecks = count;
    dataset->checks = palloc0(sizeof(Seen) * count);
    for (int i = 0; i < count; i++)
        dataset->checks[i].check = dataset_check_of(node, i);
    return dataset;
}

/* ---- taking values ----------------------------------------------------------------- */

static void
add_total(Dataset *dataset, Seen *seen, const Datum *values, const bool *nulls, int count)
{
    Datum total = seen->total ? NumericGetDatum(seen->total) : (Datum) 0;
    bool any = seen->total != NULL;
    MemoryContext old;

    for (int i = 0; i < count; i++)
    {
        if (nulls[i])
            continue;
        total = any ? DirectFunctionCall2(numeric_add, total, values[i]) : values[i];
        any = true;
    }
    if (!any)
        return;
    old = MemoryContextSwitchTo(dataset->context);
    total = NumericGetDatum(DatumGetNumericCopy(total));
    if (seen->total)
        pfree(seen->total);
    seen->total = DatumGetNumeric(total);
    MemoryContextSwitchTo(old);
}

static void
add_hashes(Dataset *dataset, Seen *seen, Oid type, const Datum *values, const bool *nulls, int count)
{
    TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
    MemoryContext old = CurrentMemoryContext;

    if (seen->hashes == NULL)
    {
        MemoryContextSwitchTo(dataset->context);
        seen->hashes = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);
        MemoryContextSwitchTo(old);
    }
    for (int i = 0; i < count; i++)
    {
        if (!nulls[i])
            tuplesort_putdatum(seen->hashes, FunctionCall2Coll(&entry->hash_extended_proc_finfo, C_COLLATION_OID, values[i], Int64GetDatum(0)), false);
    }
}

static void
add_latest(Seen *seen, const Datum *values, const bool *nulls, int count)
{
    bool any = seen->values > 0;

    for (int i = 0; i < count; i++)
    {
        if (nulls[i])
            continue;
        if (!any || DatumGetTimestampTz(values[i]) > seen->latest)
            seen->latest = DatumGetTimestampTz(values[i]);
        any = true;
    }
}

void
dataset_take(Dataset *dataset, int place, Oid type, const Datum *values, const bool *nulls, int count)
{
    Seen *seen = &dataset->checks[place];

    switch (seen->check.measure)
    {
        case DATASET_SUM:
        case DATASET_AVG:
            add_total(dataset, seen, values, nulls, count);
            break;
        case DATASET_DISTINCT_SHARE:
            add_hashes(dataset, seen, type, values, nulls, count);
            break;
        case DATASET_FRESHNESS:
            add_latest(seen, values, nulls, count);
            break;
        default:
            break;
    }
    for (int i = 0; i < count; i++)
    {
        seen->values += !nulls[i];
        seen->nulls += nulls[i];
    }
}

/* ---- judging --------------------------------------------------------------------------- */

static int64
count_distinct(Tuplesortstate *hashes)
{
    Datum now, before = 0;
    int64 count = 0;

    tuplesort_performsort(hashes);
    while (compat_tuplesort_getdatum(hashes, &now))
    {
        count += count == 0 || DatumGetInt64(now) != DatumGetInt64(before);
        before = now;
        CHECK_FOR_INTERRUPTS();
    }
    tuplesort_end(hashes);
    return count;
}

static Numeric
numeric_of(int64 value)
{
    return int64_to_numeric(value);
}

static Numeric
quotient(Numeric dividend, Numeric divisor)
{
    return DatumGetNumeric(DirectFunctionCall2(numeric_div, NumericGetDatum(dividend), NumericGetDatum(divisor)));
}

/* What a check with bounds has seen; NULL: nothing that could be judged. */
static Numeric
measured(Seen *seen, int64 rows, DatasetBefore before, void *arg)
{
    int64 rows_before;

    switch (seen->check.measure)
    {
        case DATASET_ROW_COUNT:
            return numeric_of(rows);
        case DATASET_ROW_COUNT_CHANGE:
            rows_before = before(arg, seen->check.runs);
            return rows_before ? quotient(numeric_of((rows - rows_before) * 100), numeric_of(rows_before)) : NULL;
        case DATASET_NULL_SHARE:
            return seen->nulls + seen->values ? quotient(numeric_of(seen->nulls), numeric_of(seen->nulls + seen->values)) : NULL;
        case DATASET_DISTINCT_SHARE:
            return seen->values ? quotient(numeric_of(count_distinct(seen->hashes)), numeric_of(seen->values)) : NULL;
        case DATASET_SUM:
            return seen->total;
        case DATASET_AVG:
            return seen->total ? quotient(seen->total, numeric_of(seen->values)) : NULL;
        default:
            return NULL;
    }
}

/* A number as people write it, without zeros at the end of its fraction. */
static char *
number_text(Numeric value)
{
    return DatumGetCString(DirectFunctionCall1(numeric_out, DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(value))));
}

static bool
is_more(Numeric one, Numeric other)
{
    return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(one), NumericGetDatum(other))) > 0;
}

static DatasetFailure *
failure_of(const DatasetCheck *check, char *seen, const char *how, const char *bound)
{
    DatasetFailure *failure = palloc(sizeof(DatasetFailure));

    failure->field = check->field;
    failure->seen = seen;
    failure->warns = check->warns;
    failure->reason = psprintf("dataset check \"%s\"%s failed: %s is %s %s", check->name,
                               check->field ? psprintf(" of field \"%s\"", check->field) : "", seen, how, bound);
    return failure;
}

static DatasetFailure *
judge_age(const Seen *seen)
{
    Datum now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), age, oldest;

    if (seen->values == 0)
        return NULL;
    age = DirectFunctionCall3(interval_in, CStringGetDatum(seen->check.max_age), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    oldest = DirectFunctionCall2(timestamptz_mi_interval, now, age);
    if (seen->latest >= DatumGetTimestampTz(oldest))
        return NULL;
    return failure_of(&seen->check, DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(seen->latest))), "older than",
                      seen->check.max_age);
}

static DatasetFailure *
judge_bounds(Seen *seen, int64 rows, DatasetBefore before, void *arg)
{
    Numeric value = measured(seen, rows, before, arg);
    const DatasetCheck *check = &seen->check;

    if (value == NULL)
        return NULL;
    /* it is in no order with numbers, though PostgreSQL sorts it behind them */
    if (numeric_is_nan(value) && (check->min || check->max))
        return failure_of(check, number_text(value), "not", "a number");
    if (check->min && is_more(check->min, value))
        return failure_of(check, number_text(value), "less than", number_text(check->min));
    if (check->max && is_more(value, check->max))
        return failure_of(check, number_text(value), "more than", number_text(check->max));
    return NULL;
}

List *
dataset_judge(Dataset *dataset, int64 rows, DatasetBefore before, void *arg)
{
    List *failures = NIL;

    for (int i = 0; i < dataset->nchecks; i++)
    {
        Seen *seen = &dataset->checks[i];
        DatasetFailure *failure = seen->check.measure == DATASET_FRESHNESS ? judge_age(seen) : judge_bounds(seen, rows, before, arg);

        if (failure)
            failures = lappend(failures, failure);
    }
    return failures;
}
