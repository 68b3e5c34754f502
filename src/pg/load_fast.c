/*
 * load_fast.c: rows into a plain table as COPY does: table_multi_insert, then
 * the indexes.  See load_state.h.
 *
 * A row that meets a unique conflict is taken out again and rejected; its
 * neighbours stay.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/row_form.h"

/* Loader.own */
typedef struct FastLoad
{
    EState *estate;
    ResultRelInfo *info;
    BulkInsertState bulk;
    RowForm *form;           /* NULL: the table's access method is not heap, and makes of rows what it likes */
} FastLoad;

static bool
is_heap(Relation rel)
{
    return rel->rd_tableam == GetHeapamTableAmRoutine();
}

static TupleTableSlot *
make_slot(Relation rel)
{
    return is_heap(rel) ? MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple) : table_slot_create(rel, NULL);
}

static void
open_fast(Loader *loader)
{
    FastLoad *fast = palloc0(sizeof(FastLoad));

    fast->estate = CreateExecutorState();
    fast->info = makeNode(ResultRelInfo);
    InitResultRelInfo(fast->info, loader->rel, 1, NULL, 0);
    ExecOpenIndices(fast->info, true);
    fast->bulk = GetBulkInsertState();
    fast->form = is_heap(loader->rel) ? row_form_create(RelationGetDescr(loader->rel)) : NULL;
    loader->own = fast;
}

static IndexInfo *
index_info(const FastLoad *fast, Oid index, Relation *rel)
{
    for (int i = 0; i < fast->info->ri_NumIndices; i++)
    {
        if (RelationGetRelid(fast->info->ri_IndexRelationDescs[i]) == index)
        {
            *rel = fast->info->ri_IndexRelationDescs[i];
            return fast->info->ri_IndexRelationInfo[i];
        }
    }
    elog(ERROR, "index %u is not open", index);
}

static void
reject_conflict(Loader *loader, int i, Oid index)
{
    FastLoad *fast = loader->own;
    Relation rel;
    IndexInfo *info = index_info(fast, index, &rel);
    ExprContext *econtext = GetPerTupleExprContext(fast->estate);
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];

    econtext->ecxt_scantuple = loader->slots[i];
    FormIndexDatum(info, loader->slots[i], fast->estate, values, nulls);
    load_reject_conflict(loader, i, rel, info, values, nulls);
}

/*
 * Rows that hit another's key were inserted all the same (their index says
 * "perhaps"): take them out, then look again, waiting for others' transactions.
 */
static void
settle_conflicts(Loader *loader, List *conflicts, Oid *indexes)
{
    FastLoad *fast = loader->own;
    ListCell *lc;

    CommandCounterIncrement();
    foreach(lc, conflicts)
        simple_table_tuple_delete(loader->rel, &loader->slots[lfirst_int(lc)]->tts_tid, GetActiveSnapshot());
    foreach(lc, conflicts)
    {
        int i = lfirst_int(lc);
        TupleTableSlot *slot = loader->slots[i];
        ItemPointerData other;

        for (;;)
        {
            List *again;
            Oid index = indexes[i];

            CommandCounterIncrement();
            ResetPerTupleExprContext(fast->estate);
            if (!compat_check_index_constraints(fast->info, slot, fast->estate, &other))
            {
                reject_conflict(loader, i, index);
                break;
            }
            /* the other row is gone: in with this one */
            table_tuple_insert(loader->rel, slot, GetCurrentCommandId(true), 0, NULL);
            again = compat_insert_index_tuples(fast->info, slot, fast->estate, true, NULL);
            if (again == NIL)
            {
                loader->counts.loaded++;
                break;
            }
            CommandCounterIncrement();
            simple_table_tuple_delete(loader->rel, &slot->tts_tid, GetActiveSnapshot());
        }
    }
}

static void
flush_fast(Loader *loader)
{
    FastLoad *fast = loader->own;
    MemoryContext old;
    List *conflicts = NIL;
    Oid *indexes = NULL;

    load_touch_slots(loader);
    for (int i = 0; i < loader->count && fast->form; i++)
        ExecStoreHeapTuple(row_form_tuple(fast->form, loader->slots[i]), loader->slots[i], true);
    old = MemoryContextSwitchTo(GetPerTupleMemoryContext(fast->estate));
    table_multi_insert(loader->rel, loader->slots, loader->count, GetCurrentCommandId(true), 0, fast->bulk);
    MemoryContextSwitchTo(old);
    loader->counts.loaded += loader->count;
    if (fast->info->ri_NumIndices > 0)
    {
        for (int i = 0; i < loader->count; i++)
        {
            List *unsure;

            unsure = compat_insert_index_tuples(fast->info, loader->slots[i], fast->estate, true, NULL);
            if (unsure != NIL)
            {
                if (indexes == NULL)
                    indexes = palloc0(sizeof(Oid) * loader->count);
                indexes[i] = linitial_oid(unsure);
                conflicts = lappend_int(conflicts, i);
            }
            ResetPerTupleExprContext(fast->estate);
        }
    }
    if (conflicts != NIL)
    {
        PushCopiedSnapshot(GetActiveSnapshot());
        UpdateActiveSnapshotCommandId();
        loader->counts.loaded -= list_length(conflicts);
        settle_conflicts(loader, conflicts, indexes);
        PopActiveSnapshot();
        list_free(conflicts);
        pfree(indexes);
    }
    ResetPerTupleExprContext(fast->estate);
}

static void
finish_fast(Loader *loader)
{
    FastLoad *fast = loader->own;

    FreeBulkInsertState(fast->bulk);
    table_finish_bulk_insert(loader->rel, 0);
    ExecCloseIndices(fast->info);
    ExecResetTupleTable(fast->estate->es_tupleTable, false);
    FreeExecutorState(fast->estate);
}

const LoadWay load_fast = {
    .make_slot = make_slot,
    .open = open_fast,
    .flush = flush_fast,
    .finish = finish_fast,
};
