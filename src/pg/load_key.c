/*
 * load_key.c: the key by which an upsert finds rows, and rows of a batch that
 * have the same.  See load_key.h.
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
    /* of the batch, by row: */
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
    index_close(key->index, NoLock);
    FreeExecutorState(key->estate);
}

void
load_key_reset(LoadKey *key)
{
    ResetPerTupleExprContext(key->estate);
}

/* ---- keys ------------------------------------------------------------------------ */

typedef struct KeyWork { LoadKey *key; const Loader *loader; int row; bool *keyless; } KeyWork;

/* The keys of rows from work->row on. */
static void
compute_keys(void *arg)
{
    KeyWork *work = arg;
    LoadKey *key = work->key;
    ExprContext *econtext = GetPerTupleExprContext(key->estate);

    for (; work->row < work->loader->count; work->row++)
    {
        TupleTableSlot *slot = work->loader->slots[work->row];
        bool null;

        econtext->ecxt_scantuple = slot;
        if (key->predicate)
        {
            bool meets = DatumGetBool(ExecEvalExprSwitchContext(key->predicate_state, econtext, &null));

            work->keyless[work->row] = null || !meets;
            if (work->keyless[work->row])
                continue;
        }
        for (int i = 0; i < key->nparts; i++)
        {
            int place = work->row * key->nparts + i;

            if (key->parts[i].attnum != 0)
                key->values[place] = slot_getattr(slot, key->parts[i].attnum, &key->nulls[place]);
            else
                key->values[place] = ExecEvalExprSwitchContext(key->parts[i].state, econtext, &key->nulls[place]);
        }
    }
}

/* Fills in the keys; a row for which that fails is rejected, and gone. */
static void
fill_keys(LoadKey *key, Loader *loader, bool *keyless, bool *gone)
{
    KeyWork work = {key, loader, 0, keyless};
    ErrorData *error;

    if (!key->computed)
        compute_keys(&work);
    else while ((error = guard_try(compute_keys, &work, CurrentMemoryContext)) != NULL)
    {
        MemoryContext old = MemoryContextSwitchTo(loader->context);

        init_states(key);    /* the error may have left them half-way */
        MemoryContextSwitchTo(old);
        load_reject_error(loader, work.row, error);
        gone[work.row++] = true;
    }
}

/* A null in the key, where nulls are all different: rejects the row. */
static bool
reject_null(const LoadKey *key, Loader *loader, int row)
{
    Reject reject = {.sqlstate = ERRCODE_NOT_NULL_VIOLATION, .constraint = RelationGetRelationName(key->index)};

    for (int i = 0; i < key->nparts && !key->index->rd_index->indnullsnotdistinct; i++)
    {
        if (!key->nulls[row * key->nparts + i])
            continue;
        if (key->parts[i].attnum != 0)
            reject.field = NameStr(TupleDescAttr(RelationGetDescr(key->rel), key->parts[i].attnum - 1)->attname);
        reject.reason = psprintf("null value in key \"%s\" by which rows of table \"%s\" are found", RelationGetRelationName(key->index),
                                 RelationGetRelationName(key->rel));
        load_reject(loader, row, &reject);
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

/* Rows with a key, in the order of that; returns how many. */
static int
sort_rows(const LoadKey *key, const Loader *loader, const bool *keyless, const bool *gone, int *rows)
{
    bool sorted = true;
    int count = 0;

    for (int i = 0; i < loader->count; i++)
    {
        if (gone[i] || keyless[i])
            continue;
        rows[count++] = i;
        sorted = sorted && (count == 1 || compare_keys(key, rows[count - 2], i) <= 0);
    }
    if (!sorted)
        qsort_arg(rows, count, sizeof(int), compare_rows, unconstify(LoadKey *, key));
    return count;
}

void
load_key_merge(LoadKey *key, Loader *loader, int *earlier, bool *gone)
{
    bool *keyless = palloc0(sizeof(bool) * loader->count);
    int *rows = palloc(sizeof(int) * loader->count), count;

    key->values = palloc(sizeof(Datum) * loader->count * key->nparts);
    key->nulls = palloc(sizeof(bool) * loader->count * key->nparts);
    fill_keys(key, loader, keyless, gone);
    for (int i = 0; i < loader->count; i++)
    {
        earlier[i] = -1;
        if (!gone[i] && !keyless[i])
            gone[i] = reject_null(key, loader, i);
    }
    count = sort_rows(key, loader, keyless, gone, rows);
    for (int i = 1; i < count; i++)
    {
        int before = rows[i - 1], row = rows[i];

        if (compare_keys(key, before, row) != 0 || strcmp(loader->clauses[before], loader->clauses[row]) != 0)
            continue;
        earlier[row] = before;
        gone[before] = true;
        loader->counts.merged++;
    }
}
