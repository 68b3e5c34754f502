/*
 * load_slow.c: rows into any table by INSERT ... SELECT over the batch.  See
 * load_state.h.
 *
 * Inside a subtransaction, which is halved until the failing row is alone.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/compat.h"
#include "pg/guard.h"

#define STAGED_RELATION "staged"

/* Loader.own */
typedef struct SlowLoad
{
    Tuplestorestate *staged;
    TupleDesc staged_desc;
    SPIPlanPtr plan;         /* NULL: nothing has come yet */
    char *namespace;         /* the plan's name for the table's schema */
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

/* SPI with the relation "staged"; several loaders take turns, so none keeps it. */
static void
connect_slow(const SlowLoad *slow)
{
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = STAGED_RELATION;
    enr->md.tupdesc = slow->staged_desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = 1000;
    enr->reldata = slow->staged;
    if (SPI_connect() != SPI_OK_CONNECT || SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not prepare the load");
}

/* INSERT INTO target (all columns that take a value) SELECT them FROM staged; with summaries it gives back the join fields. */
static void
prepare_slow(Loader *loader)
{
    SlowLoad *slow = loader->own;
    TupleDesc desc = RelationGetDescr(loader->rel);
    const ProgramSummary *summary = load_summary_keys(loader);
    StringInfoData names, sql;

    initStringInfo(&names);
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (!att->attisdropped && !att->attgenerated)
            appendStringInfo(&names, "%s%s", names.len ? ", " : "", quote_identifier(NameStr(att->attname)));
    }
    initStringInfo(&sql);
    slow->namespace = get_namespace_name(RelationGetNamespace(loader->rel));
    appendStringInfo(&sql, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s",
                     quote_qualified_identifier(slow->namespace, RelationGetRelationName(loader->rel)),
                     names.data, names.data, STAGED_RELATION);
    for (int i = 0; summary && i < summary->keys->natts; i++)
        appendStringInfo(&sql, "%s %s", i ? "," : " RETURNING", quote_identifier(NameStr(TupleDescAttr(desc, summary->attnums[i] - 1)->attname)));
    slow->staged = tuplestore_begin_heap(false, false, work_mem);
    slow->staged_desc = CreateTupleDescCopy(desc);
    connect_slow(slow);
    slow->plan = SPI_prepare(sql.data, 0, NULL);
    if (slow->plan == NULL || SPI_keepplan(slow->plan) != 0)
        elog(ERROR, "could not prepare the load: %s", SPI_result_code_string(SPI_result));
    SPI_finish();
}

/*
 * The statement names the table, and a schema can be renamed while a table in
 * it is locked.  Asked before it is planned anew, and of what was planned then.
 */
static void
check_name(const Loader *loader)
{
    SlowLoad *slow = loader->own;
    Oid relid = RelationGetRelid(loader->rel);
    Oid named = get_relname_relid(RelationGetRelationName(loader->rel), get_namespace_oid(slow->namespace, true));

    if (named == relid)
    {
        CachedPlan *plan;
        const PlannedStmt *statement;

        connect_slow(slow);
        plan = SPI_plan_get_cached_plan(slow->plan);
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

typedef struct RangeWork { Loader *loader; int from; int to; } RangeWork;

static void
insert_range(void *arg)
{
    RangeWork *work = arg;
    Loader *loader = work->loader;
    SlowLoad *slow = loader->own;
    int result, expected = loader->summaries ? SPI_OK_INSERT_RETURNING : SPI_OK_INSERT;

    tuplestore_clear(slow->staged);
    for (int i = work->from; i < work->to; i++)
        tuplestore_puttupleslot(slow->staged, loader->slots[i]);
    connect_slow(slow);
    result = SPI_execute_plan(slow->plan, NULL, NULL, false, 0);
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

        load_reject(loader, from, &reject);
        return;
    }
    bisect(loader, from, middle);
    bisect(loader, middle, to);
}

static void
flush_slow(Loader *loader)
{
    if (((SlowLoad *) loader->own)->plan == NULL)
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

static void
finish_slow(Loader *loader)
{
    SlowLoad *slow = loader->own;

    if (slow->plan == NULL)
        return;
    SPI_freeplan(slow->plan);
    tuplestore_end(slow->staged);
}

const LoadWay load_slow = {
    .make_slot = make_slot,
    .open = open_slow,
    .flush = flush_slow,
    .finish = finish_slow,
};
