/*
 * load.c: finished rows into the target table.  See load.h.
 *
 * Slots are kept from batch to batch.  Rows are flushed once a batch, while
 * the message their text lies in is still there.
 */
#include "postgres.h"

#include "pg/load.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/compat.h"
#include "pg/guard.h"

#define STAGED_RELATION "staged"

struct Loader
{
    RowSink sink;            /* first, so that a sink is its loader */
    Relation rel;
    const GraphNode *node;
    Rejects *rejects;
    MemoryContext context;
    MemoryContext batch;     /* what one flush needs */
    bool slow;
    EState *estate;
    ResultRelInfo *info;
    BulkInsertState bulk;
    const Rows *batch_rows;  /* that are being loaded */
    int capacity;
    int count;               /* slots accepted */
    TupleTableSlot **slots;
    int *rows;               /* which row of the batch each is */
    int64 loaded;
    int64 suppressed;        /* rows a trigger of the table made away with */
    List *summaries;         /* Summary *: of the table, which is a collection */
    /* the slow way */
    Tuplestorestate *staged;
    TupleDesc staged_desc;
    SPIPlanPtr plan;
    char *namespace;         /* the plan's name for the table's schema */
};

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
    }
    else
    {
        loader->slots = palloc(sizeof(TupleTableSlot *) * count);
        loader->rows = palloc(sizeof(int) * count);
    }
    for (int i = loader->capacity; i < count; i++)
        loader->slots[i] = loader->slow ? MakeSingleTupleTableSlot(RelationGetDescr(loader->rel), &TTSOpsVirtual)
                                        : table_slot_create(loader->rel, NULL);
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

    return loader->slots[loader->count];
}

static void
accept_slot(RowSink *sink, int row)
{
    Loader *loader = (Loader *) sink;

    loader->rows[loader->count++] = row;
}

static void flush(RowSink *sink);

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

Loader *
loader_create(Relation target, const GraphNode *target_node, Rejects *rejects)
{
    Loader *loader = palloc0(sizeof(Loader));

    if (target->rd_rel->relkind != RELKIND_RELATION && target->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
        target->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a table", RelationGetRelationName(target)),
                        errdetail("A pipeline loads into tables, partitioned and foreign ones too."),
                        errhint("Delete the schema and create it again.")));
    loader->sink.begin = begin_batch;
    loader->sink.next = next_slot;
    loader->sink.accept = accept_slot;
    loader->sink.flush = flush;
    loader->rel = target;
    loader->node = target_node;
    loader->rejects = rejects;
    loader->context = CurrentMemoryContext;
    loader->batch = AllocSetContextCreate(loader->context, "kaireon flush", ALLOCSET_DEFAULT_SIZES);
    loader->slow = !takes_fast_way(target);
    if (loader->slow)
        return loader;
    loader->estate = CreateExecutorState();
    loader->info = makeNode(ResultRelInfo);
    InitResultRelInfo(loader->info, target, 1, NULL, 0);
    ExecOpenIndices(loader->info, true);
    loader->bulk = GetBulkInsertState();
    return loader;
}

RowSink *
loader_sink(Loader *loader)
{
    return &loader->sink;
}

int64
loader_loaded(const Loader *loader)
{
    return loader->loaded;
}

int64
loader_suppressed(const Loader *loader)
{
    return loader->suppressed;
}

static void
reject_slot(Loader *loader, int i, Reject *reject)
{
    reject->kind = REJECT_OTHER;
    reject->node = loader->node;
    reject->at = rows_position(loader->batch_rows, loader->rows[i]);
    rejects_add(loader->rejects, reject);
}

/* ---- summaries -------------------------------------------------------------- */

/* Does the slow way's INSERT say what came into the table: is it that INSERT, and may its rows be seen? */
static bool
is_told_what_came(Relation rel)
{
    return rel->rd_rules == NULL && check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

void
loader_summarise(Loader *loader, Summary *summary)
{
    if (loader->slow && !is_told_what_came(loader->rel))
        summary_touch_all(summary);
    else
        loader->summaries = lappend(loader->summaries, summary);
}

/* The join fields: the same for all summaries of a table. */
static const ProgramSummary *
summary_keys(const Loader *loader)
{
    return loader->summaries ? summary_compiled(linitial(loader->summaries)) : NULL;
}

static void
touch(const Loader *loader, Datum *keys, bool *nulls)
{
    ListCell *lc;

    foreach(lc, loader->summaries)
        summary_touch(lfirst(lc), keys, nulls);
}

/* Rows of the batch that are about to be loaded; of some it will turn out that they can't be, which does no harm. */
static void
touch_slots(const Loader *loader)
{
    const ProgramSummary *summary = summary_keys(loader);
    Datum keys[INDEX_MAX_KEYS];  /* a summary has a primary key */
    bool nulls[INDEX_MAX_KEYS];

    for (int i = 0; summary && i < loader->count; i++)
    {
        for (int k = 0; k < summary->keys->natts; k++)
            keys[k] = slot_getattr(loader->slots[i], summary->attnums[k], &nulls[k]);
        touch(loader, keys, nulls);
    }
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
        touch(loader, keys, nulls);
    }
}

/* ---- the fast way ---------------------------------------------------------- */

static IndexInfo *
index_info(Loader *loader, Oid index, Relation *rel)
{
    for (int i = 0; i < loader->info->ri_NumIndices; i++)
    {
        if (RelationGetRelid(loader->info->ri_IndexRelationDescs[i]) == index)
        {
            *rel = loader->info->ri_IndexRelationDescs[i];
            return loader->info->ri_IndexRelationInfo[i];
        }
    }
    elog(ERROR, "index %u is not open", index);
}

static void
reject_conflict(Loader *loader, int i, Oid index)
{
    Relation rel;
    IndexInfo *info = index_info(loader, index, &rel);
    ExprContext *econtext = GetPerTupleExprContext(loader->estate);
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    bool exclusion = info->ii_ExclusionOps != NULL;
    Reject reject = {.constraint = RelationGetRelationName(rel)};

    econtext->ecxt_scantuple = loader->slots[i];
    FormIndexDatum(info, loader->slots[i], loader->estate, values, nulls);
    reject.value = BuildIndexValueDescription(rel, values, nulls);
    if (info->ii_NumIndexKeyAttrs == 1 && info->ii_IndexAttrNumbers[0] > 0)
        reject.field = NameStr(TupleDescAttr(RelationGetDescr(loader->rel), info->ii_IndexAttrNumbers[0] - 1)->attname);
    reject.sqlstate = exclusion ? ERRCODE_EXCLUSION_VIOLATION : ERRCODE_UNIQUE_VIOLATION;
    reject.reason = psprintf(exclusion ? "conflicting key value violates exclusion constraint \"%s\""
                                       : "duplicate key value violates unique constraint \"%s\"", RelationGetRelationName(rel));
    reject_slot(loader, i, &reject);
}

/*
 * Rows that hit another's key were inserted all the same (their index says
 * "perhaps"): take them out, then look again, waiting for others' transactions.
 */
static void
settle_conflicts(Loader *loader, List *conflicts, Oid *indexes)
{
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
            ResetPerTupleExprContext(loader->estate);
            if (!compat_check_index_constraints(loader->info, slot, loader->estate, &other))
            {
                reject_conflict(loader, i, index);
                break;
            }
            /* the other row is gone: in with this one */
            table_tuple_insert(loader->rel, slot, GetCurrentCommandId(true), 0, NULL);
            again = compat_insert_index_tuples(loader->info, slot, loader->estate, true, NULL);
            if (again == NIL)
            {
                loader->loaded++;
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
    MemoryContext old;
    List *conflicts = NIL;
    Oid *indexes = NULL;

    old = MemoryContextSwitchTo(GetPerTupleMemoryContext(loader->estate));
    table_multi_insert(loader->rel, loader->slots, loader->count, GetCurrentCommandId(true), 0, loader->bulk);
    MemoryContextSwitchTo(old);
    loader->loaded += loader->count;
    if (loader->info->ri_NumIndices > 0)
    {
        for (int i = 0; i < loader->count; i++)
        {
            List *unsure;

            unsure = compat_insert_index_tuples(loader->info, loader->slots[i], loader->estate, true, NULL);
            if (unsure != NIL)
            {
                if (indexes == NULL)
                    indexes = palloc0(sizeof(Oid) * loader->count);
                indexes[i] = linitial_oid(unsure);
                conflicts = lappend_int(conflicts, i);
            }
            ResetPerTupleExprContext(loader->estate);
        }
    }
    if (conflicts != NIL)
    {
        PushCopiedSnapshot(GetActiveSnapshot());
        UpdateActiveSnapshotCommandId();
        loader->loaded -= list_length(conflicts);
        settle_conflicts(loader, conflicts, indexes);
        PopActiveSnapshot();
        list_free(conflicts);
        pfree(indexes);
    }
    ResetPerTupleExprContext(loader->estate);
}

/* ---- the slow way ---------------------------------------------------------- */

/* SPI with the relation "staged"; several loaders take turns, so none keeps it. */
static void
connect_slow(Loader *loader)
{
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = STAGED_RELATION;
    enr->md.tupdesc = loader->staged_desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = 1000;
    enr->reldata = loader->staged;
    if (SPI_connect() != SPI_OK_CONNECT || SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not prepare the load");
}

/* INSERT INTO target (all columns that take a value) SELECT them FROM staged; with summaries it gives back the join fields. */
static void
prepare_slow(Loader *loader)
{
    TupleDesc desc = RelationGetDescr(loader->rel);
    const ProgramSummary *summary = summary_keys(loader);
    StringInfoData names, sql;

    initStringInfo(&names);
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (!att->attisdropped && !att->attgenerated)
            appendStringInfo(&names, "%s%s", names.len ? ", " : "", quote_identifier(NameStr(att->attname)));
    }
    initStringInfo(&sql);
    loader->namespace = get_namespace_name(RelationGetNamespace(loader->rel));
    appendStringInfo(&sql, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s",
                     quote_qualified_identifier(loader->namespace, RelationGetRelationName(loader->rel)),
                     names.data, names.data, STAGED_RELATION);
    for (int i = 0; summary && i < summary->keys->natts; i++)
        appendStringInfo(&sql, "%s %s", i ? "," : " RETURNING", quote_identifier(NameStr(TupleDescAttr(desc, summary->attnums[i] - 1)->attname)));
    loader->staged = tuplestore_begin_heap(false, false, work_mem);
    loader->staged_desc = CreateTupleDescCopy(desc);
    connect_slow(loader);
    loader->plan = SPI_prepare(sql.data, 0, NULL);
    if (loader->plan == NULL || SPI_keepplan(loader->plan) != 0)
        elog(ERROR, "could not prepare the load: %s", SPI_result_code_string(SPI_result));
    SPI_finish();
}

/*
 * The statement names the table, and a schema can be renamed while a table in
 * it is locked.  Asked before it is planned anew, and of what was planned then.
 */
static void
check_name(Loader *loader)
{
    Oid relid = RelationGetRelid(loader->rel);
    Oid named = get_relname_relid(RelationGetRelationName(loader->rel), get_namespace_oid(loader->namespace, true));

    if (named == relid)
    {
        CachedPlan *plan;
        const PlannedStmt *statement;

        connect_slow(loader);
        plan = SPI_plan_get_cached_plan(loader->plan);
        statement = linitial_node(PlannedStmt, plan->stmt_list);
        named = rt_fetch(linitial_int(statement->resultRelations), statement->rtable)->relid;
        ReleaseCachedPlan(plan, CurrentResourceOwner);
        SPI_finish();
    }
    if (named != relid)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the schema of table \"%s\" was renamed while it was loaded", RelationGetRelationName(loader->rel)),
                        errdetail("What has its name now is something else."), errhint("Run the pipeline again.")));
}

typedef struct RangeWork { Loader *loader; int from; int to; } RangeWork;

static void
insert_range(void *arg)
{
    RangeWork *work = arg;
    Loader *loader = work->loader;
    int result, expected = loader->summaries ? SPI_OK_INSERT_RETURNING : SPI_OK_INSERT;

    tuplestore_clear(loader->staged);
    for (int i = work->from; i < work->to; i++)
        tuplestore_puttupleslot(loader->staged, loader->slots[i]);
    connect_slow(loader);
    result = SPI_execute_plan(loader->plan, NULL, NULL, false, 0);
    if (result != expected)
        elog(ERROR, "could not load: %s", SPI_result_code_string(result));
    if (loader->summaries)
        touch_returned(loader);
    loader->loaded += SPI_processed;
    loader->suppressed += (work->to - work->from) - (int64) SPI_processed;
    SPI_finish();
}

/* NULL when [from, to) went in; else why not, and nothing of it is left. */
static ErrorData *
try_range(Loader *loader, int from, int to)
{
    RangeWork work = {loader, from, to};
    int64 loaded = loader->loaded, suppressed = loader->suppressed;
    ErrorData *error = guard_try(insert_range, &work, CurrentMemoryContext);

    if (error)
    {
        loader->loaded = loaded;
        loader->suppressed = suppressed;
    }
    return error;
}

static void
bisect(Loader *loader, int from, int to)
{
    ErrorData *error;
    int middle = from + (to - from) / 2;

    check_stack_depth();
    if (from >= to || (error = try_range(loader, from, to)) == NULL)
        return;
    if (to - from == 1)
    {
        Reject reject = {.sqlstate = error->sqlerrcode, .reason = error->message, .field = error->column_name, .value = error->detail,
                         .constraint = error->constraint_name};

        reject_slot(loader, from, &reject);
        return;
    }
    bisect(loader, from, middle);
    bisect(loader, middle, to);
}

/* ---------------------------------------------------------------------------- */

static void
flush(RowSink *sink)
{
    Loader *loader = (Loader *) sink;
    MemoryContext old = MemoryContextSwitchTo(loader->batch);

    if (loader->count > 0 && loader->slow)
    {
        if (loader->plan == NULL)
        {
            MemoryContextSwitchTo(loader->context);
            prepare_slow(loader);
            MemoryContextSwitchTo(loader->batch);
        }
        PushActiveSnapshot(GetTransactionSnapshot());
        check_name(loader);
        bisect(loader, 0, loader->count);
        PopActiveSnapshot();
    }
    else if (loader->count > 0)
    {
        touch_slots(loader);
        flush_fast(loader);
    }
    for (int i = 0; i < loader->count; i++)
        ExecClearTuple(loader->slots[i]);
    loader->count = 0;
    MemoryContextReset(loader->batch);
    MemoryContextSwitchTo(old);
}

void
loader_finish(Loader *loader)
{
    flush(&loader->sink);
    if (loader->slow)
    {
        if (loader->plan)
        {
            SPI_freeplan(loader->plan);
            tuplestore_end(loader->staged);
        }
    }
    else
    {
        FreeBulkInsertState(loader->bulk);
        table_finish_bulk_insert(loader->rel, 0);
        ExecCloseIndices(loader->info);
        ExecResetTupleTable(loader->estate->es_tupleTable, false);
        FreeExecutorState(loader->estate);
    }
    for (int i = 0; i < loader->capacity; i++)
        ExecDropSingleTupleTableSlot(loader->slots[i]);
}
