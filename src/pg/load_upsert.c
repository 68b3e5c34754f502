/*
 * load_upsert.c: rows into any table with a unique key by INSERT ... ON
 * CONFLICT over the batch.  See load_state.h.
 *
 * Rows of a batch that have the same key are merged beforehand (load_key.h),
 * since one statement updates no row twice: the last one stands for all, and
 * the one before it takes its place when it can't be loaded.  What the clause
 * is depends on the columns that a row's lane delivers, so a batch may take
 * several statements.  All of them are in one subtransaction, which is halved
 * until the failing row is alone.
 *
 * The executor is run directly, because it counts what SPI does not tell: how
 * many rows were in conflict, and how many of these the clause left as they are.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/load_key.h"
#include "pg/target_key.h"

/* The statement of one clause. */
typedef struct UpsertForm
{
    char *clause;
    bool updates;            /* DO UPDATE */
    SPIPlanPtr plan;
} UpsertForm;

/* Loader.own */
typedef struct Upsert
{
    LoadStaged *staged;      /* NULL: nothing has come yet */
    LoadKey *key;
    List *forms;             /* UpsertForm * */
    SPIPlanPtr lock;         /* with summaries: finds whose rows will be updated, and locks them; NULL: their join fields stay */
    bool singly;             /* a statement a row, because triggers make away with some */
    bool unclear;            /* the counts of a statement do not say what became of its rows */
    int nrows;               /* of the batch that are to be loaded: */
    int *rows;               /* their slots */
    int *earlier;            /* by slot: the one that it is in place of; -1: none */
} Upsert;

static TupleTableSlot *
make_slot(Relation rel)
{
    return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
}

static void
open_upsert(Loader *loader)
{
    Upsert *upsert = palloc0(sizeof(Upsert));

    upsert->key = load_key_open(loader->rel, loader->compiled->key->index);
    loader->own = upsert;
}

/* ---- statements ------------------------------------------------------------------- */

static UpsertForm *
find_form(Loader *loader, const char *clause)
{
    Upsert *upsert = loader->own;
    UpsertForm *form;
    MemoryContext old;
    ListCell *lc;

    foreach(lc, upsert->forms)
    {
        form = lfirst(lc);
        if (strcmp(form->clause, clause) == 0)
            return form;
    }
    old = MemoryContextSwitchTo(loader->context);
    form = palloc0(sizeof(UpsertForm));
    form->clause = pstrdup(clause);
    form->updates = strstr(clause, " DO UPDATE SET ") != NULL;
    upsert->forms = lappend(upsert->forms, form);
    MemoryContextSwitchTo(old);
    form->plan = load_staged_insert(loader, upsert->staged, " AS stored", clause);
    return form;
}

/* Can an update give a row to another customer? */
static bool
moves_between_summaries(const Loader *loader)
{
    const ProgramSummary *summary = load_summary_keys(loader);

    for (int i = 0; summary && i < summary->keys->natts; i++)
    {
        if (!bms_is_member(summary->attnums[i], loader->compiled->key->columns))
            return true;
    }
    return false;
}

static void
prepare(Loader *loader)
{
    Upsert *upsert = loader->own;
    const TargetKey *key = loader->compiled->key;

    upsert->staged = load_staged_create(loader);
    if (moves_between_summaries(loader))
        upsert->lock = load_staged_prepare(upsert->staged,
                           psprintf("SELECT %s FROM %s AS stored WHERE (%s) IN (SELECT %s FROM %s)%s%s FOR NO KEY UPDATE OF stored",
                                    load_staged_join_fields(loader), load_staged_table(loader, upsert->staged), key->expressions, key->expressions,
                                    STAGED_RELATION, key->predicate ? " AND " : "", key->predicate ? key->predicate : ""));
}

/* Takes the join fields that a statement gives back. */
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

/* What the executor counted of a statement over so many rows. */
static void
count(Loader *loader, const UpsertForm *form, int64 rows, int64 written, const Instrumentation *counted)
{
    Upsert *upsert = loader->own;
    LoadCounts *counts = &loader->counts;
    int64 conflicts = (int64) counted->ntuples2;
    int64 unchanged = form->updates ? (int64) counted->nfiltered1 : conflicts;
    int64 suppressed = rows - written - unchanged, inserted = rows - conflicts, updated = conflicts - unchanged;

    if (suppressed > 0 && inserted > 0 && updated > 0)
    {
        upsert->unclear = true;
        ereport(ERROR, (errcode(ERRCODE_CARDINALITY_VIOLATION), errmsg("it is not known which rows were suppressed")));
    }
    counts->loaded += inserted > 0 ? inserted - suppressed : 0;
    counts->updated += inserted > 0 ? updated : updated - suppressed;
    counts->unchanged += unchanged;
    counts->suppressed += suppressed;
}

/* Executes the statement over what is staged; gives how many rows of the table were in conflict. */
static int64
execute(Loader *loader, UpsertForm *form, int64 rows)
{
    const Upsert *upsert = loader->own;
    Receiver receiver = {{receive, receive_begin, receive_end, receive_end, DestNone}, loader};
    QueryEnvironment *env = compile_environment(STAGED_RELATION, upsert->staged->desc, upsert->staged->store);
    CachedPlan *plan;
    QueryDesc *query;
    int64 conflicts;

    load_staged_connect(upsert->staged);
    plan = SPI_plan_get_cached_plan(form->plan);
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
    query = CreateQueryDesc(linitial_node(PlannedStmt, plan->stmt_list), "", GetActiveSnapshot(), InvalidSnapshot,
                            loader->summaries ? &receiver.as : None_Receiver, NULL, env, INSTRUMENT_ROWS);
    ExecutorStart(query, 0);
    compat_executor_run(query, 0);
    ExecutorFinish(query);
    conflicts = (int64) query->planstate->instrument->ntuples2;
    count(loader, form, rows, query->estate->es_processed, query->planstate->instrument);
    ExecutorEnd(query);
    FreeQueryDesc(query);
    PopActiveSnapshot();
    CommandCounterIncrement();
    ReleaseCachedPlan(plan, CurrentResourceOwner);
    SPI_finish();
    return conflicts;
}

/* Locks the rows that will be updated, and notes whose they are now; gives how many there are. */
static int64
lock_stored(Loader *loader)
{
    const Upsert *upsert = loader->own;
    Datum keys[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    int64 found;

    load_staged_connect(upsert->staged);
    if (SPI_execute_plan(upsert->lock, NULL, NULL, false, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not look for the rows to update: %s", SPI_result_code_string(SPI_result));
    found = SPI_processed;
    for (int64 i = 0; i < found; i++)
    {
        heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, keys, nulls);
        load_touch(loader, keys, nulls);
    }
    SPI_finish();
    return found;
}

/* Rows of one lane, in one statement. */
static void
load_rows(Loader *loader, int from, int to)
{
    const Upsert *upsert = loader->own;
    UpsertForm *form = find_form(loader, loader->clauses[upsert->rows[from]]);
    int64 locked = 0, conflicts;
    ListCell *lc;

    tuplestore_clear(upsert->staged->store);
    for (int i = from; i < to; i++)
        tuplestore_puttupleslot(upsert->staged->store, loader->slots[upsert->rows[i]]);
    if (upsert->lock)
        locked = lock_stored(loader);
    tuplestore_rescan(upsert->staged->store);
    conflicts = execute(loader, form, to - from);
    /* others have inserted some in between, for whom nobody knows */
    if (upsert->lock && conflicts > locked)
    {
        foreach(lc, loader->summaries)
            summary_touch_all(lfirst(lc));
    }
}

static void
load_range(Loader *loader, int from, int to)
{
    const Upsert *upsert = loader->own;

    while (from < to)
    {
        const char *clause = loader->clauses[upsert->rows[from]];
        int end = from + 1;

        while (end < to && !upsert->singly && strcmp(loader->clauses[upsert->rows[end]], clause) == 0)
            end++;
        load_rows(loader, from, end);
        from = end;
    }
}

/* ---- batches ---------------------------------------------------------------------- */

/* The row can't be loaded; the one that it is in place of may. */
static void
reject_row(Loader *loader, int i, const ErrorData *error)
{
    Upsert *upsert = loader->own;

    for (;;)
    {
        int slot = upsert->rows[i];

        load_reject_error(loader, slot, error);
        if (upsert->earlier[slot] < 0)
            return;
        upsert->rows[i] = upsert->earlier[slot];
        loader->counts.merged--;
        error = load_try(loader, load_range, i, i + 1);
        if (error == NULL)
            return;
    }
}

static void
bisect(Loader *loader, int from, int to)
{
    Upsert *upsert = loader->own;
    ErrorData *error;
    int middle = from + (to - from) / 2;

    check_stack_depth();
    if (from >= to)
        return;
    error = load_try(loader, load_range, from, to);
    if (error && upsert->unclear)
    {
        upsert->unclear = false;
        upsert->singly = true;
        error = load_try(loader, load_range, from, to);
    }
    if (error && to - from == 1)
        reject_row(loader, from, error);
    if (error == NULL || to - from == 1)
        return;
    bisect(loader, from, middle);
    bisect(loader, middle, to);
}

/* Which rows of the batch are to be loaded. */
static void
choose_rows(Loader *loader)
{
    Upsert *upsert = loader->own;
    bool *gone = palloc0(sizeof(bool) * loader->count);

    upsert->earlier = palloc(sizeof(int) * loader->count);
    upsert->rows = palloc(sizeof(int) * loader->count);
    upsert->nrows = 0;
    load_key_merge(upsert->key, loader, upsert->earlier, gone);
    for (int i = 0; i < loader->count; i++)
    {
        if (!gone[i])
            upsert->rows[upsert->nrows++] = i;
    }
}

static void
flush_upsert(Loader *loader)
{
    Upsert *upsert = loader->own;

    if (upsert->staged == NULL)
        prepare(loader);
    PushActiveSnapshot(GetTransactionSnapshot());
    choose_rows(loader);
    for (int i = 0; i < upsert->nrows; i++)
        (void) find_form(loader, loader->clauses[upsert->rows[i]]);
    if (upsert->forms != NIL)
        load_staged_check(loader, upsert->staged, ((UpsertForm *) linitial(upsert->forms))->plan);
    bisect(loader, 0, upsert->nrows);
    load_key_reset(upsert->key);
    PopActiveSnapshot();
}

static void
finish_upsert(Loader *loader)
{
    Upsert *upsert = loader->own;
    ListCell *lc;

    foreach(lc, upsert->forms)
        SPI_freeplan(((UpsertForm *) lfirst(lc))->plan);
    if (upsert->lock)
        SPI_freeplan(upsert->lock);
    if (upsert->staged)
        load_staged_destroy(upsert->staged);
    load_key_close(upsert->key);
}

const LoadWay load_upsert = {
    .make_slot = make_slot,
    .open = open_upsert,
    .flush = flush_upsert,
    .finish = finish_upsert,
};
