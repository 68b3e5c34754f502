/*
 * load.c: finished rows into the target table: the sink, and what all ways of
 * writing have in common.  See load.h and load_state.h.
 *
 * Slots are kept from batch to batch.  Rows are flushed once a batch, while
 * the message their text lies in is still there; a way whose rows wait for
 * others copies them.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rls.h"

#include "pg/errors.h"
#include "pg/foreign_keys.h"
#include "pg/replace.h"
#include "pg/target.h"

/* Slots for a whole batch; made outside of the stage's subtransactions, whose end would take them. */
static void
make_slots(Loader *loader, int count)
{
    MemoryContext old;

    if (count <= loader->capacity)
        return;
    old = MemoryContextSwitchTo(loader->context);
    if (loader->slots)
    {
        loader->slots = repalloc(loader->slots, sizeof(TupleTableSlot *) * count);
        loader->rows = repalloc(loader->rows, sizeof(int) * count);
        loader->clauses = repalloc(loader->clauses, sizeof(char *) * count);
        loader->rejected = repalloc(loader->rejected, sizeof(bool) * count);
    }
    else
    {
        loader->slots = palloc(sizeof(TupleTableSlot *) * count);
        loader->rows = palloc(sizeof(int) * count);
        loader->clauses = palloc(sizeof(char *) * count);
        loader->rejected = palloc(sizeof(bool) * count);
    }
    for (int i = loader->capacity; i < count; i++)
        loader->slots[i] = loader->way->make_slot(loader->rel);
    loader->capacity = count;
    MemoryContextSwitchTo(old);
}

static void
begin_batch(RowSink *sink, const Rows *rows)
{
    Loader *loader = (Loader *) sink;

    loader->batch_rows = rows;
    loader->count = 0;
    make_slots(loader, rows->nrows);
}

static TupleTableSlot *
next_slot(RowSink *sink, const StageLane *lane)
{
    Loader *loader = (Loader *) sink;

    loader->clauses[loader->count] = lane->lane->on_conflict;
    return loader->slots[loader->count];
}

static void
accept_slot(RowSink *sink, int row)
{
    Loader *loader = (Loader *) sink;

    loader->rejected[loader->count] = false;
    loader->rows[loader->count++] = row;
}

static void
flush(RowSink *sink)
{
    Loader *loader = (Loader *) sink;
    MemoryContext old = MemoryContextSwitchTo(loader->batch);

    if (loader->mark)
        load_mark_filter(loader);
    if (loader->count > 0)
        loader->way->flush(loader);
    if (loader->mark && loader->way->drain == NULL)
        load_mark_advance(loader);
    for (int i = 0; i < loader->count; i++)
        ExecClearTuple(loader->slots[i]);
    loader->count = 0;
    MemoryContextReset(loader->batch);
    MemoryContextSwitchTo(old);
}

/* Triggers that only fire on updates and deletes, as that of updated_at, are of no concern to a load. */
static bool
fires_on_insert(const TriggerDesc *triggers)
{
    return triggers && (triggers->trig_insert_before_row || triggers->trig_insert_after_row || triggers->trig_insert_instead_row ||
                        triggers->trig_insert_before_statement || triggers->trig_insert_after_statement ||
                        triggers->trig_insert_new_table);
}

/* Can rows go to table_multi_insert without anything of the table being missed? */
static bool
takes_fast_way(Relation rel)
{
    TupleDesc desc = RelationGetDescr(rel);
    bool computed = false;
    ListCell *lc;

    /* an index's expression or predicate can fail for a row, which only a subtransaction contains */
    foreach(lc, RelationGetIndexList(rel))
    {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);

        computed |= RelationGetIndexExpressions(index) != NIL || RelationGetIndexPredicate(index) != NIL;
        index_close(index, NoLock);
    }
    return !computed && rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition && !fires_on_insert(rel->trigdesc) &&
           !(desc->constr && desc->constr->has_generated_stored) &&
           check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

/* How rows get into the table, which is made ready for them. */
static const LoadWay *
choose_way(Relation *table, const ProgramTarget *compiled, LoadStrategy strategy, Rejects *rejects)
{
    if (target_is_full_refresh(strategy) && replace_begin(table, compiled, rejects))
        return &load_swap;
    if (compiled->key)
        return &load_upsert;
    return takes_fast_way(*table) ? &load_fast : &load_slow;
}

Loader *
loader_create(Relation *table, const ProgramTarget *compiled, LoadStrategy strategy, Rejects *rejects)
{
    Loader *loader = palloc0(sizeof(Loader));
    char relkind = (*table)->rd_rel->relkind;

    if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE && relkind != RELKIND_FOREIGN_TABLE)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a table", RelationGetRelationName(*table)),
                        errdetail("A pipeline loads into tables, partitioned and foreign ones too."),
                        errhint("Delete the schema and create it again.")));
    loader->sink.begin = begin_batch;
    loader->sink.next = next_slot;
    loader->sink.accept = accept_slot;
    loader->sink.flush = flush;
    loader->way = choose_way(table, compiled, strategy, rejects);
    loader->rel = *table;
    loader->compiled = compiled;
    loader->strategy = strategy;
    loader->rejects = rejects;
    loader->context = CurrentMemoryContext;
    loader->batch = AllocSetContextCreate(loader->context, "kaireon flush", ALLOCSET_DEFAULT_SIZES);
    loader->way->open(loader);
    return loader;
}

RowSink *
loader_sink(Loader *loader)
{
    return &loader->sink;
}

const LoadCounts *
loader_counts(const Loader *loader)
{
    return &loader->counts;
}

int
loader_waiting(const Loader *loader)
{
    return loader->waiting;
}

void
load_reject_at(Loader *loader, RowPosition at, Reject *reject)
{
    reject->kind = REJECT_OTHER;
    reject->node = loader->compiled->node;
    reject->at = at;
    rejects_add(loader->rejects, reject);
}

void
load_reject(Loader *loader, int i, Reject *reject)
{
    loader->rejected[i] = true;
    load_reject_at(loader, rows_position(loader->batch_rows, loader->rows[i]), reject);
}

Reject
load_reject_of(const ErrorData *error)
{
    Reject reject = {.sqlstate = error->sqlerrcode, .reason = error->message, .field = error->column_name, .value = error->detail,
                     .constraint = error->constraint_name};

    return reject;
}

void
load_reject_conflict(Loader *loader, int i, Relation index, const IndexInfo *info, Datum *values, bool *nulls)
{
    bool exclusion = info->ii_ExclusionOps != NULL;
    Reject reject = {.constraint = RelationGetRelationName(index)};

    reject.value = BuildIndexValueDescription(index, values, nulls);
    if (info->ii_NumIndexKeyAttrs == 1 && info->ii_IndexAttrNumbers[0] > 0)
        reject.field = NameStr(TupleDescAttr(RelationGetDescr(loader->rel), info->ii_IndexAttrNumbers[0] - 1)->attname);
    reject.sqlstate = exclusion ? ERRCODE_EXCLUSION_VIOLATION : ERRCODE_UNIQUE_VIOLATION;
    reject.reason = psprintf(exclusion ? "conflicting key value violates exclusion constraint \"%s\""
                                       : "duplicate key value violates unique constraint \"%s\"", RelationGetRelationName(index));
    load_reject(loader, i, &reject);
}

/* ---- summaries -------------------------------------------------------------- */

/* Does an INSERT ... RETURNING say what came into the table: is it that INSERT, and may its rows be seen? */
static bool
is_told_what_came(Relation rel)
{
    return rel->rd_rules == NULL && check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

void
loader_summarise(Loader *loader, Summary *summary)
{
    if (target_is_full_refresh(loader->strategy) || (loader->way != &load_fast && !is_told_what_came(loader->rel)))
        summary_touch_all(summary);
    else
        loader->summaries = lappend(loader->summaries, summary);
}

const ProgramSummary *
load_summary_keys(const Loader *loader)
{
    return loader->summaries ? summary_compiled(linitial(loader->summaries)) : NULL;
}

void
load_touch(const Loader *loader, Datum *keys, bool *nulls)
{
    ListCell *lc;

    if (loader->rehearses)
        return;
    foreach(lc, loader->summaries)
        summary_touch(lfirst(lc), keys, nulls);
}

/* Of some of them it will turn out that they can't be loaded, which does no harm. */
void
load_touch_slots(const Loader *loader)
{
    const ProgramSummary *summary = load_summary_keys(loader);
    Datum keys[INDEX_MAX_KEYS];  /* a summary has a primary key */
    bool nulls[INDEX_MAX_KEYS];

    for (int i = 0; summary && i < loader->count; i++)
    {
        for (int k = 0; k < summary->keys->natts; k++)
            keys[k] = slot_getattr(loader->slots[i], summary->attnums[k], &nulls[k]);
        load_touch(loader, keys, nulls);
    }
}

/* ---------------------------------------------------------------------------- */

/* Who would empty a table by mistake is told. */
static void
check_not_empty(const Loader *loader)
{
    if (loader->counts.loaded > 0 || loader->counts.suppressed > 0 || !target_is_full_refresh(loader->strategy) || loader->compiled->allow_empty)
        return;
    ereport(ERROR, (errcode(ERRCODE_KAIREON_NOTHING_TO_LOAD), errmsg("there is nothing to load into table \"%s\"", RelationGetRelationName(loader->rel)),
                    errdetail("No row reached target node \"%s\", and its loading strategy %s would leave the table empty.",
                              loader->compiled->node->id, target_strategy_name(loader->strategy)),
                    errhint("If that is meant, say \"allowEmptySource\": true in the node.")));
}

void
loader_finish(Loader *loader)
{
    flush(&loader->sink);
    if (loader->way->drain)
        loader->way->drain(loader);
    check_not_empty(loader);
    loader->way->finish(loader);
    for (int i = 0; i < loader->capacity; i++)
        ExecDropSingleTupleTableSlot(loader->slots[i]);
    loader->capacity = 0;
}

bool
loader_swaps(const Loader *loader)
{
    return loader->way->swap != NULL;
}

Oid
load_storage_of(const void *arg, Oid table)
{
    const Loader *any = arg;

    for (int i = 0; i < any->nall; i++)
    {
        const Loader *loader = any->all[i];

        if (loader->way->storage && loader->compiled->schema->relid == table)
            return loader->way->storage(loader);
    }
    return table;
}

void
loader_introduce(Loader **loaders, int count)
{
    for (int i = 0; i < count; i++)
    {
        loaders[i]->all = loaders;
        loaders[i]->nall = count;
    }
}

void
loader_check_references(Loader *loader)
{
    if (loader->way->storage)
        foreign_keys_check_all(loader->compiled->schema->relid, load_storage_of, loader);
}

void
loader_swap(Loader *loader)
{
    loader->way->swap(loader);
}
