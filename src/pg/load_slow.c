/*
 * load_slow.c: rows into any table by INSERT ... SELECT over the batch.  See
 * load_state.h.
 *
 * Inside a subtransaction, which is halved until the failing row is alone.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Loader.own */
typedef struct SlowLoad
{
    LoadStaged *staged;
    SPIPlanPtr plan;         /* NULL: nothing has come yet */
} SlowLoad;

static TupleTableSlot *
make_slot(Relation rel)
{
    return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
}

static void
open_slow(Loader *loader)
{
    loader->own = palloc0(sizeof(SlowLoad));
}

/* Rows that an INSERT ... RETURNING of the join fields has told of. */
static void
touch_returned(const Loader *loader)
{
    Datum keys[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];

    for (uint64 i = 0; i < SPI_processed; i++)
    {
        heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, keys, nulls);
        load_touch(loader, keys, nulls);
    }
}

static void
insert_range(Loader *loader, int from, int to)
{
    SlowLoad *slow = loader->own;
    int result, expected = loader->summaries ? SPI_OK_INSERT_RETURNING : SPI_OK_INSERT;

    tuplestore_clear(slow->staged->store);
    for (int i = from; i < to; i++)
        tuplestore_puttupleslot(slow->staged->store, loader->slots[i]);
    load_staged_connect(slow->staged);
    result = SPI_execute_plan(slow->plan, NULL, NULL, false, 0);
    if (result != expected)
        elog(ERROR, "could not load: %s", SPI_result_code_string(result));
    if (loader->summaries)
        touch_returned(loader);
    loader->counts.loaded += SPI_processed;
    loader->counts.suppressed += (to - from) - (int64) SPI_processed;
    SPI_finish();
}

static void
bisect(Loader *loader, int from, int to)
{
    ErrorData *error;
    int middle = from + (to - from) / 2;

    check_stack_depth();
    if (from >= to || (error = load_try(loader, insert_range, from, to)) == NULL)
        return;
    if (to - from == 1)
    {
        Reject reject = load_reject_of(error);

        load_reject(loader, from, &reject);
        return;
    }
    bisect(loader, from, middle);
    bisect(loader, middle, to);
}

static void
flush_slow(Loader *loader)
{
    SlowLoad *slow = loader->own;

    if (slow->plan == NULL)
    {
        slow->staged = load_staged_create(loader);
        slow->plan = load_staged_insert(loader, slow->staged, "", "");
    }
    PushActiveSnapshot(GetTransactionSnapshot());
    load_staged_check(loader, slow->staged, slow->plan);
    bisect(loader, 0, loader->count);
    PopActiveSnapshot();
}

static void
finish_slow(Loader *loader)
{
    SlowLoad *slow = loader->own;

    if (slow->plan == NULL)
        return;
    SPI_freeplan(slow->plan);
    load_staged_destroy(slow->staged);
}

const LoadWay load_slow = {
    .make_slot = make_slot,
    .open = open_slow,
    .flush = flush_slow,
    .finish = finish_slow,
};
