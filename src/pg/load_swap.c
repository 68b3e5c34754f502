/*
 * load_swap.c: rows that take the place of all that the table has, in a new heap
 * beside it.  See load_state.h and new_heap.h.
 *
 * Unique indexes are filled row by row, since a row whose key is there already
 * is rejected.  Nobody else writes here and nothing is ever deleted, so to look
 * for the key in the index is enough; the heap, whose last pages are not yet in
 * the file, is not needed for it.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/foreign_keys.h"
#include "pg/heap_writer.h"
#include "pg/new_heap.h"

/* A unique index while rows come. */
typedef struct UniqueIndex
{
    NewIndex *index;
    int nkeys;
    ScanKeyData *keys;
    IndexScanDesc scan;      /* of a batch */
    Datum values[INDEX_MAX_KEYS]; /* of the row at hand */
    bool nulls[INDEX_MAX_KEYS];
} UniqueIndex;

/* Loader.own */
typedef struct SwapLoad
{
    NewHeap *heap;
    HeapWriter *writer;
    ForeignKeys *foreign_keys;
    EState *estate;
    int nuniques;
    UniqueIndex *uniques;
} SwapLoad;

static TupleTableSlot *
make_slot(Relation rel)
{
    return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
}

static void
begin_unique(UniqueIndex *unique, NewIndex *index)
{
    const IndexInfo *info = index->info;

    unique->index = index;
    unique->nkeys = info->ii_NumIndexKeyAttrs;
    unique->keys = palloc0(sizeof(ScanKeyData) * unique->nkeys);
    for (int i = 0; i < unique->nkeys; i++)
        ScanKeyEntryInitialize(&unique->keys[i], 0, i + 1, info->ii_UniqueStrats[i], InvalidOid, index->copy->rd_indcollation[i],
                               info->ii_UniqueProcs[i], (Datum) 0);
}

static void
open_swap(Loader *loader)
{
    SwapLoad *swap = palloc0(sizeof(SwapLoad));

    swap->heap = new_heap_create(loader->rel);
    swap->writer = heap_writer_begin(swap->heap->heap);
    swap->foreign_keys = foreign_keys_create(loader->rel, load_storage_of, loader);
    swap->estate = CreateExecutorState();
    swap->uniques = palloc0(sizeof(UniqueIndex) * Max(swap->heap->nindexes, 1));
    for (int i = 0; i < swap->heap->nindexes; i++)
    {
        if (swap->heap->indexes[i].unique)
            begin_unique(&swap->uniques[swap->nuniques++], &swap->heap->indexes[i]);
    }
    loader->own = swap;
}

/* ---- rows ----------------------------------------------------------------------- */

/* Does the new heap have a row with the values? */
static bool
has_key(UniqueIndex *unique)
{
    for (int i = 0; i < unique->nkeys; i++)
    {
        if (unique->nulls[i] && !unique->index->info->ii_NullsNotDistinct)
            return false;
        unique->keys[i].sk_flags = unique->nulls[i] ? SK_ISNULL | SK_SEARCHNULL : 0;
        unique->keys[i].sk_argument = unique->values[i];
    }
    index_rescan(unique->scan, unique->keys, unique->nkeys, NULL, 0);
    return index_getnext_tid(unique->scan, ForwardScanDirection) != NULL;
}

/* The unique index in which the row's key is already; NULL: it is new. */
static UniqueIndex *
find_conflict(SwapLoad *swap, TupleTableSlot *slot)
{
    for (int i = 0; i < swap->nuniques; i++)
    {
        UniqueIndex *unique = &swap->uniques[i];

        FormIndexDatum(unique->index->info, slot, swap->estate, unique->values, unique->nulls);
        if (has_key(unique))
            return unique;
    }
    return NULL;
}

static void
put_row(Loader *loader, SwapLoad *swap, TupleTableSlot *slot)
{
    heap_writer_put(swap->writer, slot);
    for (int i = 0; i < swap->nuniques; i++)
    {
        UniqueIndex *unique = &swap->uniques[i];

        index_insert(unique->index->copy, unique->values, unique->nulls, &slot->tts_tid, swap->heap->heap, UNIQUE_CHECK_NO, false,
                     unique->index->info);
    }
    loader->counts.loaded++;
}

static void
reject_conflict(Loader *loader, int i, UniqueIndex *unique)
{
    Relation original = index_open(unique->index->original, NoLock);

    load_reject_conflict(loader, i, original, unique->index->info, unique->values, unique->nulls);
    index_close(original, NoLock);
}

static void
reject_row(void *arg, int i, Reject *reject)
{
    load_reject(arg, i, reject);
}

static void
flush_swap(Loader *loader)
{
    SwapLoad *swap = loader->own;
    MemoryContext row = GetPerTupleMemoryContext(swap->estate);
    bool *bad = palloc0(sizeof(bool) * loader->count);

    foreign_keys_check_batch(swap->foreign_keys, loader->slots, loader->count, bad, reject_row, loader);
    for (int i = 0; i < swap->nuniques; i++)
        swap->uniques[i].scan = compat_index_beginscan(swap->heap->heap, swap->uniques[i].index->copy, SnapshotAny, swap->uniques[i].nkeys);
    for (int i = 0; i < loader->count; i++)
    {
        MemoryContext old;
        UniqueIndex *conflict;

        if (bad[i])
            continue;
        old = MemoryContextSwitchTo(row);
        conflict = find_conflict(swap, loader->slots[i]);
        if (conflict == NULL)
            put_row(loader, swap, loader->slots[i]);
        MemoryContextSwitchTo(old);
        if (conflict)
            reject_conflict(loader, i, conflict);
        ResetPerTupleExprContext(swap->estate);
    }
    for (int i = 0; i < swap->nuniques; i++)
        index_endscan(swap->uniques[i].scan);
}

/* ---- the end -------------------------------------------------------------------- */

static void
finish_swap(Loader *loader)
{
    SwapLoad *swap = loader->own;

    new_heap_complete(swap->heap, heap_writer_end(swap->writer));
    foreign_keys_end(swap->foreign_keys);
    FreeExecutorState(swap->estate);
}

static Oid
storage_of(const Loader *loader)
{
    return ((SwapLoad *) loader->own)->heap->relid;
}

static void
swap_in(Loader *loader)
{
    new_heap_swap(((SwapLoad *) loader->own)->heap, loader->counts.loaded);
}

const LoadWay load_swap = {
    .make_slot = make_slot,
    .open = open_swap,
    .flush = flush_swap,
    .finish = finish_swap,
    .storage = storage_of,
    .swap = swap_in,
};
