/*
 * load_staged.c: statements over rows that are to be loaded, which stand in a
 * relation "staged".  See load_state.h.
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

LoadStaged *
load_staged_create(Loader *loader)
{
    MemoryContext old = MemoryContextSwitchTo(loader->context);
    TupleDesc desc = RelationGetDescr(loader->rel);
    LoadStaged *staged = palloc0(sizeof(LoadStaged));
    StringInfoData columns;

    initStringInfo(&columns);
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (!att->attisdropped && !att->attgenerated)
            appendStringInfo(&columns, "%s%s", columns.len ? ", " : "", quote_identifier(NameStr(att->attname)));
    }
    staged->columns = columns.data;
    staged->namespace = get_namespace_name(RelationGetNamespace(loader->rel));
    staged->context = loader->context;
    staged->owner = CurrentResourceOwner;
    staged->store = staged->reads = tuplestore_begin_heap(false, false, work_mem);
    staged->desc = CreateTupleDescCopy(desc);
    MemoryContextSwitchTo(old);
    return staged;
}

void
load_staged_destroy(LoadStaged *staged)
{
    tuplestore_end(staged->store);
}

/* Each statement leaves a read pointer in the store, and each row that is put there looks at all of them. */
#define CLEARED_MOST 16

void
load_staged_clear(LoadStaged *staged)
{
    MemoryContext context;
    ResourceOwner owner = CurrentResourceOwner;

    if (++staged->cleared < CLEARED_MOST)
    {
        tuplestore_clear(staged->store);
        return;
    }
    context = MemoryContextSwitchTo(staged->context);
    CurrentResourceOwner = staged->owner;
    tuplestore_end(staged->store);
    staged->store = staged->reads = tuplestore_begin_heap(false, false, work_mem);
    staged->cleared = 0;
    CurrentResourceOwner = owner;
    MemoryContextSwitchTo(context);
}

char *
load_staged_table(const Loader *loader, const LoadStaged *staged)
{
    return quote_qualified_identifier(staged->namespace, RelationGetRelationName(loader->rel));
}

void
load_staged_connect(const LoadStaged *staged)
{
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = STAGED_RELATION;
    enr->md.tupdesc = staged->desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = 1000;
    enr->reldata = staged->reads;
    if (SPI_connect() != SPI_OK_CONNECT || SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not prepare the load");
}

int
load_staged_failed_at(const LoadStaged *staged, int first)
{
    int64 rows = tuplestore_tuple_count(staged->reads), left = 0;

    if (rows == 1)
        return first;
    if (tuplestore_ateof(staged->reads))
        return LOAD_AT_UNKNOWN;
    while (tuplestore_advance(staged->reads, true))
    {
        CHECK_FOR_INTERRUPTS();
        left++;
    }
    return left < rows ? first + (int) (rows - left) - 1 : LOAD_AT_UNKNOWN;
}

SPIPlanPtr
load_staged_prepare(const LoadStaged *staged, const char *sql)
{
    SPIPlanPtr plan;

    load_staged_connect(staged);
    plan = SPI_prepare(sql, 0, NULL);
    if (plan == NULL || SPI_keepplan(plan) != 0)
        elog(ERROR, "could not prepare the load: %s", SPI_result_code_string(SPI_result));
    SPI_finish();
    return plan;
}

SPIPlanPtr
load_staged_insert(const Loader *loader, const LoadStaged *staged, const char *alias, const char *tail)
{
    char *sql = psprintf("INSERT INTO %s%s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s%s", load_staged_table(loader, staged),
                         alias, staged->columns, staged->columns, STAGED_RELATION, tail);

    if (loader->summaries)
        sql = psprintf("%s RETURNING %s", sql, load_staged_join_fields(loader));
    return load_staged_prepare(staged, sql);
}

/* Asked before it is planned anew, and of what was planned then. */
void
load_staged_check(const Loader *loader, const LoadStaged *staged, SPIPlanPtr insert)
{
    Oid relid = RelationGetRelid(loader->rel);
    Oid named = get_relname_relid(RelationGetRelationName(loader->rel), get_namespace_oid(staged->namespace, true));

    if (named == relid)
    {
        CachedPlan *plan;
        const PlannedStmt *statement;

        load_staged_connect(staged);
        plan = SPI_plan_get_cached_plan(insert);
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

char *
load_staged_join_fields(const Loader *loader)
{
    const ProgramSummary *summary = load_summary_keys(loader);
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; summary && i < summary->keys->natts; i++)
        appendStringInfo(&out, "%s%s", i ? ", " : "",
                         quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(loader->rel), summary->attnums[i] - 1)->attname)));
    return out.data;
}

/* ---- what a statement gives back ---------------------------------------------------- */

typedef struct Receiver { DestReceiver as; const Loader *loader; } Receiver;

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
    slot_getallattrs(slot);
    load_touch(((Receiver *) self)->loader, slot->tts_values, slot->tts_isnull);
    return true;
}

static void
receive_begin(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receive_end(DestReceiver *self)
{
}

DestReceiver *
load_touch_receiver(const Loader *loader)
{
    Receiver *receiver = palloc(sizeof(Receiver));

    *receiver = (Receiver) {{receive, receive_begin, receive_end, receive_end, DestNone}, loader};
    return &receiver->as;
}
