/*
 * load_key.c: the key by which an upsert finds rows, and rows that have the
 * same.  See load_key.h.
 */
#include "postgres.h"

#include "pg/load_key.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/sortsupport.h"

#include "pg/guard.h"
#include "pg/load_state.h"

/* A part of the key. */
typedef struct KeyPart
{
    AttrNumber attnum;       /* the column; 0: */
    Expr *expression;        /* of the index, or of a generated column */
    ExprState *state;
    SortSupportData order;
} KeyPart;

struct LoadKey
{
    Relation rel;
    Relation index;
    EState *estate;
    bool computed;           /* a part is an expression, or there is a predicate */
    Expr *predicate;         /* rows that do not meet it have no key; NULL: all do */
    ExprState *predicate_state;
    int nparts;
    KeyPart *parts;
    TupleTableSlot *slot;
    /* by row: */
    Datum *values;           /* [row * nparts + part] */
    bool *nulls;
};

static void
init_states(LoadKey *key)
{
    for (int i = 0; i < key->nparts; i++)
        key->parts[i].state = key->parts[i].expression ? ExecInitExpr(key->parts[i].expression, NULL) : NULL;
    key->predicate_state = key->predicate ? ExecInitExpr(key->predicate, NULL) : NULL;
}

LoadKey *
load_key_open(Relation rel, Oid index)
{
    LoadKey *key = palloc0(sizeof(LoadKey));
    List *expressions, *predicate;
    ListCell *next;

    key->rel = rel;
    key->index = index_open(index, RowExclusiveLock);
    key->estate = CreateExecutorState();
    key->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsMinimalTuple);
    key->nparts = IndexRelationGetNumberOfKeyAttributes(key->index);
    key->parts = palloc0(sizeof(KeyPart) * key->nparts);
    expressions = RelationGetIndexExpressions(key->index);
    next = list_head(expressions);
    for (int i = 0; i < key->nparts; i++)
    {
        KeyPart *part = &key->parts[i];
        AttrNumber attnum = key->index->rd_index->indkey.values[i];

        if (attnum == 0)
        {
            part->expression = expression_planner(lfirst(next));
            next = lnext(expressions, next);
        }
        else if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated)
            part->expression = expression_planner((Expr *) build_column_default(rel, attnum));
        else
            part->attnum = attnum;
        part->order.ssup_cxt = CurrentMemoryContext;
        part->order.ssup_collation = key->index->rd_indcollation[i];
        part->order.ssup_attno = i + 1;
        PrepareSortSupportFromIndexRel(key->index, BTLessStrategyNumber, &part->order);
        key->computed |= part->expression != NULL;
    }
    predicate = RelationGetIndexPredicate(key->index);
    if (predicate != NIL)
        key->predicate = expression_planner(make_ands_explicit(predicate));
    key->computed |= key->predicate != NULL;
    init_states(key);
    return key;
}

void
load_key_close(LoadKey *key)
{
    ExecDropSingleTupleTableSlot(key->slot);
    index_close(key->index, NoLock);
    FreeExecutorState(key->estate);
}

void
load_key_reset(LoadKey *key)
{
    ResetPerTupleExprContext(key->estate);
}

/* ---- keys ------------------------------------------------------------------------ */

typedef struct KeyWork
{
    LoadKey *key;
    const KeyedRow *rows;
    int count;
    int at;                  /* the row whose key is computed */
    bool *keyless;           /* rows that the index leaves out */
} KeyWork;

static void
compute_key(KeyWork *work, ExprContext *econtext)
{
    LoadKey *key = work->key;
    bool null;

    if (key->predicate)
    {
        bool meets = DatumGetBool(ExecEvalExprSwitchContext(key->predicate_state, econtext, &null));

        work->keyless[work->at] = null || !meets;
        if (work->keyless[work->at])
            return;
    }
    for (int i = 0; i < key->nparts; i++)
    {
        int place = work->at * key->nparts + i;

        if (key->parts[i].attnum != 0)
            key->values[place] = slot_getattr(key->slot, key->parts[i].attnum, &key->nulls[place]);
        else
            key->values[place] = ExecEvalExprSwitchContext(key->parts[i].state, econtext, &key->nulls[place]);
    }
}

/* The keys of rows from work->at on. */
static void
compute_keys(void *arg)
{
    KeyWork *work = arg;
    LoadKey *key = work->key;
    ExprContext *econtext = GetPerTupleExprContext(key->estate);

    econtext->ecxt_scantuple = key->slot;
    for (; work->at < work->count; work->at++)
    {
        ExecStoreMinimalTuple(work->rows[work->at].tuple, key->slot, false);
        compute_key(work, econtext);
    }
    ExecClearTuple(key->slot);
}

/* Fills in the keys; a row for which that fails is rejected, and gone. */
static void
fill_keys(Loader *loader, KeyWork *work, KeyedRow *rows, KeyReject reject)
{
    ErrorData *error;

    if (!work->key->computed)
    {
        compute_keys(work);
        return;
    }
    while ((error = guard_try(compute_keys, work, CurrentMemoryContext)) != NULL)
    {
        MemoryContext old = MemoryContextSwitchTo(loader->context);
        Reject bad = load_reject_of(error);

        init_states(work->key); /* the error may have left them half-way */
        MemoryContextSwitchTo(old);
        rows[work->at].gone = true;
        reject(loader, work->at++, &bad);
    }
}

/* A null in the key, where nulls are all different: rejects the row. */
static bool
reject_null(const LoadKey *key, Loader *loader, int row, KeyReject reject)
{
    Reject bad = {.sqlstate = ERRCODE_NOT_NULL_VIOLATION, .constraint = RelationGetRelationName(key->index)};

    for (int i = 0; i < key->nparts && !key->index->rd_index->indnullsnotdistinct; i++)
    {
        if (!key->nulls[row * key->nparts + i])
            continue;
        if (key->parts[i].attnum != 0)
            bad.field = NameStr(TupleDescAttr(RelationGetDescr(key->rel), key->parts[i].attnum - 1)->attname);
        bad.reason = psprintf("null value in key \"%s\" by which rows of table \"%s\" are found", RelationGetRelationName(key->index),
                              RelationGetRelationName(key->rel));
        reject(loader, row, &bad);
        return true;
    }
    return false;
}

/* ---- equal keys -------------------------------------------------------------------- */

static int
compare_keys(const LoadKey *key, int a, int b)
{
    for (int i = 0; i < key->nparts; i++)
    {
        int x = a * key->nparts + i, y = b * key->nparts + i;
        int order = ApplySortComparator(key->values[x], key->nulls[x], key->values[y], key->nulls[y], &key->parts[i].order);

        if (order != 0)
            return order;
    }
    return 0;
}

/* By key, equal ones in the order they came. */
static int
compare_rows(const void *a, const void *b, void *key)
{
    int x = *(const int *) a, y = *(const int *) b, order = compare_keys(key, x, y);

    return order ? order : x - y;
}

/* The rows that are left, those with a key behind the others and in the order of it; *keyed: where these begin. */
static int
sort_rows(LoadKey *key, const KeyWork *work, int *order, int *keyed)
{
    bool sorted = true;
    int count = 0;

    for (int i = 0; i < work->count; i++)
    {
        if (work->keyless[i])
            order[count++] = i;
    }
    *keyed = count;
    for (int i = 0; i < work->count; i++)
    {
        if (work->rows[i].gone || work->keyless[i])
            continue;
        order[count++] = i;
        sorted = sorted && (count == *keyed + 1 || compare_keys(key, order[count - 2], i) <= 0);
    }
    if (!sorted)
        qsort_arg(order + *keyed, count - *keyed, sizeof(int), compare_rows, key);
    return count;
}

int
load_key_merge(LoadKey *key, Loader *loader, KeyedRow *rows, int count, int *order, KeyReject reject)
{
    KeyWork work = {key, rows, count, 0, palloc0(sizeof(bool) * count)};
    int sorted, keyed, kept = 0;

    key->values = palloc_extended(sizeof(Datum) * count * key->nparts, MCXT_ALLOC_HUGE);
    key->nulls = palloc_extended(sizeof(bool) * count * key->nparts, MCXT_ALLOC_HUGE);
    fill_keys(loader, &work, rows, reject);
    for (int i = 0; i < count; i++)
    {
        rows[i].earlier = -1;
        if (!rows[i].gone && !work.keyless[i])
            rows[i].gone = reject_null(key, loader, i, reject);
    }
    sorted = sort_rows(key, &work, order, &keyed);
    for (int i = keyed + 1; i < sorted; i++)
    {
        KeyedRow *before = &rows[order[i - 1]], *row = &rows[order[i]];

        if (before->clause != row->clause || compare_keys(key, order[i - 1], order[i]) != 0)
            continue;
        row->earlier = order[i - 1];
        before->gone = true;
        loader->counts.merged++;
    }
    for (int i = 0; i < sorted; i++)
    {
        if (!rows[order[i]].gone)
            order[kept++] = order[i];
    }
    return kept;
}
