/*
 * load_upsert.c: rows into any table with a unique key by INSERT ... ON
 * CONFLICT.  See load_state.h.
 *
 * Rows that have the same key are merged beforehand (load_key.h), since one
 * statement updates no row twice: the last one stands for all, and the one
 * before it takes its place when it can't be loaded.  What the clause is
 * depends on the columns that a row's lane delivers, so rows may take several
 * statements.  All of them are in one subtransaction; when it fails, what can be
 * loaded is found by trying (load_range.c).
 *
 * Rows of many batches wait until they fill kaireon.work_mem.  Where nobody can
 * tell the difference they are loaded in the order of their keys: pages of index
 * and table are then visited one after another, each once.
 *
 * The executor is run directly, because it counts what SPI does not tell: how
 * many rows were in conflict, and how many of these the clause left as they are.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include "access/genam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "parser/parse_func.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/dead_letter.h"
#include "pg/guc.h"
#include "pg/load_key.h"
#include "pg/positions.h"
#include "pg/row_form.h"
#include "pg/target_key.h"

/* At first no more rows wait: whether all rows of a run are bad is to be known soon (rejects_check_all_bad). */
#define ROWS_AT_ONCE 1000

/* A statement has at most so many rows, which its tuplestore can hold in memory. */
#define STATEMENT_ROWS 10000

/* A row is fetched into the processor's cache so many rows before it is needed. */
#define ROWS_AHEAD 8

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
    TupleTableSlot *slot;
    RowForm *form;
    LoadRows range;
    bool by_key;             /* rows may be loaded in another order than they came */
    bool singly;             /* a statement a row, because triggers make away with some */
    bool unclear;            /* the counts of a statement do not say what became of its rows */
    int first;               /* of those that the statement at hand has */
    bool begun;              /* the first rows have been loaded */
    /* those that wait: */
    MemoryContext context;
    Positions *positions;    /* NULL: none does */
    int nrows, capacity;
    KeyedRow *rows;
    int nordered;
    int *order;              /* of those that are to be loaded */
} Upsert;

static TupleTableSlot *
make_slot(Relation rel)
{
    return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
}

/* Does a trigger see, or make, a difference when rows come in another order? */
static bool
minds_order(const TriggerDesc *triggers, Oid relid)
{
    Oid touch = LookupFuncName(list_make2(makeString("kaireon"), makeString("touch_updated_at")), 0, NULL, true);

    for (int i = 0; triggers && i < triggers->numtriggers; i++)
    {
        const Trigger *trigger = &triggers->triggers[i];

        if (trigger->tgfoid != touch && (!OidIsValid(trigger->tgconstrrelid) || trigger->tgconstrrelid == relid))
            return true;
    }
    return false;
}

/* May rows be loaded in the order of their keys?  Not where one can stand in another's way: by a second key, or a trigger. */
static bool
may_sort(const Loader *loader)
{
    bool alone = true;
    ListCell *lc;

    foreach(lc, RelationGetIndexList(loader->rel))
    {
        Relation index = index_open(lfirst_oid(lc), AccessShareLock);

        if (RelationGetRelid(index) != loader->compiled->key->index && (index->rd_index->indisunique || index->rd_index->indisexclusion))
            alone = false;
        index_close(index, NoLock);
    }
    return alone && !minds_order(loader->rel->trigdesc, RelationGetRelid(loader->rel));
}

static void
open_upsert(Loader *loader)
{
    Upsert *upsert = palloc0(sizeof(Upsert));

    upsert->key = load_key_open(loader->rel, loader->compiled->key->index);
    upsert->slot = MakeSingleTupleTableSlot(RelationGetDescr(loader->rel), &TTSOpsMinimalTuple);
    upsert->form = row_form_create(RelationGetDescr(loader->rel));
    /* rows lie in it one behind the other: it is not for what is freed singly */
    upsert->context = GenerationContextCreate(loader->context, "kaireon upsert", ALLOCSET_DEFAULT_SIZES);
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
    QueryEnvironment *env = compile_environment(STAGED_RELATION, upsert->staged->desc, upsert->staged->store);
    CachedPlan *plan;
    QueryDesc *query;
    int64 conflicts;

    load_staged_connect(upsert->staged);
    plan = SPI_plan_get_cached_plan(form->plan);
    CommandCounterIncrement();
    PushActiveSnapshot(GetTransactionSnapshot());
    query = CreateQueryDesc(linitial_node(PlannedStmt, plan->stmt_list), "", GetActiveSnapshot(), InvalidSnapshot,
                            loader->summaries ? load_touch_receiver(loader) : None_Receiver, NULL, env, INSTRUMENT_ROWS);
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

/* Its beginning: most are not longer. */
static inline void
prefetch_tuple(const char *tuple)
{
    for (int at = 0; at < 192; at += 64)
        __builtin_prefetch(tuple + at);
}

/* Rows of one clause, in one statement. */
static void
load_rows(Loader *loader, int from, int to)
{
    Upsert *upsert = loader->own;
    UpsertForm *form = find_form(loader, upsert->rows[upsert->order[from]].clause);
    int64 locked = 0, conflicts;
    ListCell *lc;

    upsert->first = from;
    load_staged_clear(upsert->staged);
    for (int i = from; i < to; i++)
    {
        /* in the order of keys they are anywhere in memory */
        if (i + 2 * ROWS_AHEAD < to)
            __builtin_prefetch(&upsert->rows[upsert->order[i + 2 * ROWS_AHEAD]]);
        if (i + ROWS_AHEAD < to)
            prefetch_tuple((const char *) upsert->rows[upsert->order[i + ROWS_AHEAD]].tuple);
        ExecStoreMinimalTuple(upsert->rows[upsert->order[i]].tuple, upsert->slot, false);
        tuplestore_puttupleslot(upsert->staged->store, upsert->slot);
    }
    ExecClearTuple(upsert->slot);
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
        const char *clause = upsert->rows[upsert->order[from]].clause;
        int most = upsert->singly ? 1 : STATEMENT_ROWS, end = from + 1;

        while (end < to && end - from < most && upsert->rows[upsert->order[end]].clause == clause)
            end++;
        load_rows(loader, from, end);
        from = end;
    }
}

/* ---- rows that fail ----------------------------------------------------------------- */

static void
reject_row(Loader *loader, int row, Reject *reject)
{
    const Upsert *upsert = loader->own;

    upsert->rows[row].bad = true;
    load_reject_at(loader, positions_get(upsert->positions, upsert->rows[row].position), reject);
    dead_letters_bound(loader->rejects->letters);
}

/* The same of one that others were merged into: it stands for none of them any more. */
static void
reject_last(Loader *loader, int row, Reject *reject)
{
    const Upsert *upsert = loader->own;

    if (upsert->rows[row].earlier >= 0)
        loader->counts.merged--;
    reject_row(loader, row, reject);
}

static int
failed_at(Loader *loader)
{
    Upsert *upsert = loader->own;

    if (!upsert->unclear)
        return load_staged_failed_at(upsert->staged, upsert->first);
    upsert->unclear = false;
    upsert->singly = true;
    return LOAD_AGAIN;
}

/* The one that it is in place of may be loaded. */
static int
refuse(Loader *loader, int i, bool *again)
{
    const Upsert *upsert = loader->own;
    int row = upsert->order[i];

    *again = upsert->rows[row].earlier >= 0;
    if (*again)
        upsert->order[i] = upsert->rows[row].earlier;
    return row;
}

static void
restore(Loader *loader, int i, int row)
{
    const Upsert *upsert = loader->own;

    upsert->order[i] = row;
}

/* Is a row that can't be loaded always the one that was just read? */
static bool
fails_at_once(const Loader *loader)
{
    const TriggerDesc *triggers = loader->rel->trigdesc;

    return loader->rel->rd_rel->relkind == RELKIND_RELATION && loader->summaries == NIL &&
           !(triggers && (triggers->trig_insert_after_row || triggers->trig_insert_after_statement || triggers->trig_insert_new_table ||
                          triggers->trig_update_after_row || triggers->trig_update_after_statement || triggers->trig_update_new_table ||
                          triggers->trig_update_old_table));
}

/* ---- batches ------------------------------------------------------------------------ */

static void
add_row(Loader *loader, int i)
{
    Upsert *upsert = loader->own;
    RowPosition at = rows_position(loader->batch_rows, loader->rows[i]);
    KeyedRow *row;

    if (upsert->nrows == upsert->capacity)
    {
        upsert->capacity = Max(upsert->capacity * 2, ROWS_AT_ONCE);
        upsert->rows = upsert->rows ? repalloc_huge(upsert->rows, sizeof(KeyedRow) * upsert->capacity)
                                    : MemoryContextAllocHuge(upsert->context, sizeof(KeyedRow) * upsert->capacity);
    }
    row = &upsert->rows[upsert->nrows++];
    row->tuple = row_form_minimal(upsert->form, loader->slots[i]);
    row->clause = find_form(loader, loader->clauses[i])->clause;
    row->position = positions_add(upsert->positions, &at);
    row->gone = row->bad = false;
}

static int
compare_places(const void *a, const void *b)
{
    return *(const int *) a - *(const int *) b;
}

/* Rows that were loaded move the mark, and those that others came after. */
static void
advance_mark(Loader *loader)
{
    const Upsert *upsert = loader->own;

    for (int i = 0; i < upsert->nrows; i++)
    {
        if (upsert->rows[i].bad)
            continue;
        ExecStoreMinimalTuple(upsert->rows[i].tuple, upsert->slot, false);
        load_mark_see(loader, upsert->slot);
    }
    ExecClearTuple(upsert->slot);
}

/* Loads the rows that wait. */
static void
load_waiting(Loader *loader)
{
    Upsert *upsert = loader->own;

    if (upsert->nrows == 0)
        return;
    PushActiveSnapshot(GetTransactionSnapshot());
    MemoryContextSwitchTo(upsert->context);
    load_staged_check(loader, upsert->staged, ((UpsertForm *) linitial(upsert->forms))->plan);
    upsert->order = palloc_extended(sizeof(int) * upsert->nrows, MCXT_ALLOC_HUGE);
    upsert->nordered = load_key_merge(upsert->key, loader, upsert->rows, upsert->nrows, upsert->order, reject_row);
    if (!upsert->by_key)
        qsort(upsert->order, upsert->nordered, sizeof(int), compare_places);
    MemoryContextSwitchTo(loader->batch);
    load_good_rows(loader, &upsert->range, upsert->nordered);
    if (loader->mark)
        advance_mark(loader);
    load_key_reset(upsert->key);
    PopActiveSnapshot();
    positions_close(upsert->positions);
    upsert->positions = NULL;
    upsert->rows = NULL;
    upsert->nrows = upsert->capacity = loader->waiting = 0;
    upsert->begun = true;
    MemoryContextReset(upsert->context);
}

static void
flush_upsert(Loader *loader)
{
    Upsert *upsert = loader->own;

    if (upsert->staged == NULL)
    {
        upsert->by_key = may_sort(loader);
        upsert->range = (LoadRows) {.load = load_range, .failed_at = failed_at, .reject = reject_last, .refuse = refuse, .restore = restore,
                                    .at_once = fails_at_once(loader), .piece = PG_INT32_MAX};
        prepare(loader);
    }
    MemoryContextSwitchTo(upsert->context);
    if (upsert->positions == NULL)
        upsert->positions = positions_create(loader->rejects->letters != NULL);
    for (int i = 0; i < loader->count; i++)
        add_row(loader, i);
    MemoryContextSwitchTo(loader->batch);
    loader->waiting = upsert->nrows;
    if ((!upsert->begun && upsert->nrows >= ROWS_AT_ONCE) || MemoryContextMemAllocated(upsert->context, true) >= guc_work_mem * (Size) 1024)
        load_waiting(loader);
}

static void
drain_upsert(Loader *loader)
{
    MemoryContext old = MemoryContextSwitchTo(loader->batch);

    load_waiting(loader);
    MemoryContextSwitchTo(old);
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
    ExecDropSingleTupleTableSlot(upsert->slot);
    load_key_close(upsert->key);
}

const LoadWay load_upsert = {
    .make_slot = make_slot,
    .open = open_upsert,
    .flush = flush_upsert,
    .drain = drain_upsert,
    .finish = finish_upsert,
};
