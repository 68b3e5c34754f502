/*
 * new_heap.c: a table's heap and indexes, made anew beside it.  See new_heap.h.
 */
#include "postgres.h"

#include "pg/new_heap.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "commands/cluster.h"
#include "commands/tablecmds.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "pg/compat.h"

/* What keeps all others from changing the table, its indexes and its TOAST table, or vacuuming them, but not from using them. */
#define MAKING_LOCK ShareUpdateExclusiveLock

/* ---- making it -------------------------------------------------------------------- */

static void
copy_index(NewHeap *heap, Oid original)
{
    NewIndex *index = &heap->indexes[heap->nindexes++];
    Relation from = index_open(original, MAKING_LOCK);
    Oid copy = index_concurrently_create_copy(heap->heap, original, from->rd_rel->reltablespace, psprintf("pg_temp_%u", original));

    index->original = original;
    index->unique = from->rd_index->indisunique;
    index_close(from, NoLock);
    CommandCounterIncrement();
    index->relid = copy;
    index->copy = index_open(copy, AccessExclusiveLock);
    index->info = BuildIndexInfo(index->copy);
    if (!index->unique)
        return;
    index_build(heap->heap, index->copy, index->info, false, false); /* of nothing, so far */
    BuildSpeculativeIndexInfo(index->copy, index->info);
}

NewHeap *
new_heap_create(Relation table)
{
    NewHeap *heap = palloc0(sizeof(NewHeap));
    List *indexes = RelationGetIndexList(table);
    ListCell *lc;

    if (OidIsValid(table->rd_rel->reltoastrelid))
        LockRelationOid(table->rd_rel->reltoastrelid, MAKING_LOCK);
    heap->table = RelationGetRelid(table);
    heap->relid = make_new_heap(heap->table, table->rd_rel->reltablespace, table->rd_rel->relam, table->rd_rel->relpersistence, MAKING_LOCK);
    heap->heap = table_open(heap->relid, AccessExclusiveLock);
    heap->indexes = palloc0(sizeof(NewIndex) * Max(list_length(indexes), 1));
    foreach(lc, indexes)
        copy_index(heap, lfirst_oid(lc));
    return heap;
}

void
new_heap_complete(NewHeap *heap, BlockNumber pages)
{
    CommandCounterIncrement();
    for (int i = 0; i < heap->nindexes; i++)
    {
        NewIndex *index = &heap->indexes[i];

        if (!index->unique)
            index_build(heap->heap, index->copy, index->info, false, true);
    }
    heap->pages = pages;
}

/* ---- exchanging ------------------------------------------------------------------- */

static void
exchange_oids(Oid *a, Oid *b)
{
    Oid c = *a;

    *a = *b;
    *b = c;
}

static void
exchange_xids(TransactionId *a, TransactionId *b)
{
    TransactionId c = *a;

    *a = *b;
    *b = c;
}

/* Exchanges what pg_class says of the storage of two relations.  `pages` and `rows`: what is in the one relid gets. */
static void
exchange_storage(Relation pg_class, Oid relid, Oid other, BlockNumber pages, int64 rows)
{
    HeapTuple tuples[2] = {SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid)), SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(other))};
    Form_pg_class forms[2];
    Relation rel, from;

    for (int i = 0; i < 2; i++)
    {
        if (!HeapTupleIsValid(tuples[i]))
            elog(ERROR, "cache lookup failed for relation %u", i ? other : relid);
        forms[i] = (Form_pg_class) GETSTRUCT(tuples[i]);
    }
    exchange_oids(&forms[0]->relfilenode, &forms[1]->relfilenode);
    exchange_oids(&forms[0]->reltoastrelid, &forms[1]->reltoastrelid);
    exchange_xids(&forms[0]->relfrozenxid, &forms[1]->relfrozenxid);
    exchange_xids(&forms[0]->relminmxid, &forms[1]->relminmxid);
    forms[0]->relpages = (int32) pages;
    forms[0]->reltuples = (float4) rows;
    compat_set_all_visible(forms[0], forms[0]->relkind == RELKIND_RELATION ? pages : 0);
    for (int i = 0; i < 2; i++)
    {
        CatalogTupleUpdate(pg_class, &tuples[i]->t_self, tuples[i]);
        heap_freetuple(tuples[i]);
    }
    rel = relation_open(relid, NoLock);
    from = relation_open(other, NoLock);
    compat_take_storage(rel, from);
    relation_close(rel, NoLock);
    relation_close(from, NoLock);
}

static void
depend_on(Oid toast, Oid table)
{
    ObjectAddress object, on;

    if (!OidIsValid(toast))
        return;
    if (deleteDependencyRecordsFor(RelationRelationId, toast, false) != 1)
        elog(ERROR, "a TOAST table has not one dependency");
    ObjectAddressSet(object, RelationRelationId, toast);
    ObjectAddressSet(on, RelationRelationId, table);
    recordDependencyOn(&object, &on, DEPENDENCY_INTERNAL);
}

/* TOAST tables are called after their table. */
static void
rename_toast(Oid toast, Oid table)
{
    if (!OidIsValid(toast))
        return;
    RenameRelationInternal(toast, psprintf("pg_toast_%u", table), true, false);
    RenameRelationInternal(toast_get_valid_index(toast, NoLock), psprintf("pg_toast_%u_index", table), true, true);
    CommandCounterIncrement();
    ResetRelRewrite(toast);
}

/* For statistics it is as a TRUNCATE and as many INSERTs, so that autovacuum comes and looks. */
static void
count_rows(Relation table, int64 rows)
{
    pgstat_count_truncate(table);
    pgstat_count_heap_insert(table, rows);
}

void
new_heap_swap(NewHeap *heap, int64 rows)
{
    Relation pg_class, table = table_open(heap->table, NoLock);
    Oid old_toast = table->rd_rel->reltoastrelid, new_toast = heap->heap->rd_rel->reltoastrelid;
    ObjectAddress dropped;
    List *sizes = NIL;
    ListCell *lc;

    for (int i = 0; i < heap->nindexes; i++)
    {
        LockRelationOid(heap->indexes[i].original, AccessExclusiveLock);
        sizes = lappend_int(sizes, (int) RelationGetNumberOfBlocks(heap->indexes[i].copy));
        index_close(heap->indexes[i].copy, NoLock);
        heap->indexes[i].copy = NULL;
    }
    table_close(heap->heap, NoLock);
    heap->heap = NULL;
    if (OidIsValid(old_toast))
        LockRelationOid(old_toast, AccessExclusiveLock);
    CheckTableForSerializableConflictIn(table);
    TransferPredicateLocksToHeapRelation(table);
    count_rows(table, rows);
    table_close(table, NoLock);
    pg_class = table_open(RelationRelationId, RowExclusiveLock);
    exchange_storage(pg_class, heap->table, heap->relid, heap->pages, rows);
    lc = list_head(sizes);
    for (int i = 0; i < heap->nindexes; i++, lc = lnext(sizes, lc))
        exchange_storage(pg_class, heap->indexes[i].original, heap->indexes[i].relid, (BlockNumber) lfirst_int(lc), rows);
    depend_on(new_toast, heap->table);
    depend_on(old_toast, heap->relid);
    table_close(pg_class, NoLock);
    CommandCounterIncrement();
    ObjectAddressSet(dropped, RelationRelationId, heap->relid);
    performDeletion(&dropped, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
    CommandCounterIncrement();
    rename_toast(new_toast, heap->table);
}
