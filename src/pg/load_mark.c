/*
 * load_mark.c: targets with a watermark: which rows are new, and how far the
 * mark moves.  See load.h and load_state.h.
 *
 * Rows are compared with the mark as it was when the run began, in whatever
 * order they come.
 */
#include "postgres.h"

#include "pg/load_state.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

typedef struct LoadMark
{
    const char *field;
    AttrNumber attnum;
    Form_pg_attribute att;
    FmgrInfo *compare;
    bool known;              /* there is a mark */
    Datum stored;
    bool moved;              /* rows were loaded */
    Datum greatest;          /* of these */
} LoadMark;

void
loader_set_mark(Loader *loader, const char *mark)
{
    MemoryContext old = MemoryContextSwitchTo(loader->context);
    const TargetField *field = &loader->compiled->schema->fields[loader->compiled->watermark];
    LoadMark *m = palloc0(sizeof(LoadMark));

    m->field = field->name;
    m->attnum = field->attnum;
    m->att = TupleDescAttr(RelationGetDescr(loader->rel), field->attnum - 1);
    m->compare = &lookup_type_cache(field->type, TYPECACHE_CMP_PROC_FINFO)->cmp_proc_finfo;
    if (!OidIsValid(m->compare->fn_oid)) /* no type of a field is such */
        elog(ERROR, "values of type %s have no order", format_type_be(field->type));
    if (mark)
    {
        Oid input, param;

        getTypeInputInfo(field->type, &input, &param);
        m->stored = OidInputFunctionCall(input, pstrdup(mark), param, -1);
        m->known = true;
    }
    loader->mark = m;
    MemoryContextSwitchTo(old);
}

char *
loader_mark(const Loader *loader)
{
    const LoadMark *m = loader->mark;
    Oid output;
    bool varlena;

    if (m == NULL || !m->moved)
        return NULL;
    getTypeOutputInfo(m->att->atttypid, &output, &varlena);
    return OidOutputFunctionCall(output, m->greatest);
}

static int
compare(const LoadMark *m, Datum a, Datum b)
{
    return DatumGetInt32(FunctionCall2Coll(m->compare, m->att->attcollation, a, b));
}

/* The value of row i, which must have one. */
static Datum
value_of(const Loader *loader, int i)
{
    bool null;

    return slot_getattr(loader->slots[i], loader->mark->attnum, &null);
}

/* A value that none is greater than: a mark there would keep out all that ever comes. */
static bool
is_endless(const LoadMark *m, Datum value)
{
    switch (m->att->atttypid)
    {
        case FLOAT4OID: return isnan(DatumGetFloat4(value)) || DatumGetFloat4(value) == HUGE_VALF;
        case FLOAT8OID: return isnan(DatumGetFloat8(value)) || DatumGetFloat8(value) == HUGE_VAL;
        case NUMERICOID: return numeric_is_nan(DatumGetNumeric(value)) || numeric_is_inf(DatumGetNumeric(value));
        case DATEOID: return DATE_IS_NOEND(DatumGetDateADT(value));
        case TIMESTAMPOID:
        case TIMESTAMPTZOID: return TIMESTAMP_IS_NOEND(DatumGetTimestamp(value));
        default: return false;
    }
}

static void
reject_value(Loader *loader, int i, int sqlstate, const char *what)
{
    Reject reject = {.sqlstate = sqlstate, .field = unconstify(char *, loader->mark->field)};

    reject.reason = psprintf("%s in field \"%s\", which is the watermark", what, loader->mark->field);
    load_reject(loader, i, &reject);
}

/* Is the row to be loaded? */
static bool
is_new(Loader *loader, int i)
{
    const LoadMark *m = loader->mark;
    bool null;
    Datum value = slot_getattr(loader->slots[i], m->attnum, &null);

    if (null)
        reject_value(loader, i, ERRCODE_NOT_NULL_VIOLATION, "null value");
    else if (is_endless(m, value))
        reject_value(loader, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "endless value");
    else if (m->known && compare(m, value, m->stored) <= 0)
        loader->counts.behind++;
    else
        return true;
    return false;
}

void
load_mark_filter(Loader *loader)
{
    int kept = 0;

    for (int i = 0; i < loader->count; i++)
    {
        TupleTableSlot *slot = loader->slots[i];

        if (!is_new(loader, i))
        {
            ExecClearTuple(slot);
            continue;
        }
        loader->slots[i] = loader->slots[kept];
        loader->slots[kept] = slot;
        loader->rows[kept] = loader->rows[i];
        loader->clauses[kept] = loader->clauses[i];
        loader->rejected[kept++] = false;
    }
    loader->count = kept;
}

void
load_mark_advance(Loader *loader)
{
    const LoadMark *m = loader->mark;
    int best = -1;

    for (int i = 0; i < loader->count; i++)
    {
        if (!loader->rejected[i] && (best < 0 || compare(m, value_of(loader, i), value_of(loader, best)) > 0))
            best = i;
    }
    if (best >= 0)
        load_mark_see(loader, loader->slots[best]);
}

void
load_mark_see(Loader *loader, TupleTableSlot *slot)
{
    LoadMark *m = loader->mark;
    bool null;
    Datum value = slot_getattr(slot, m->attnum, &null);
    MemoryContext old;

    if (m->moved && compare(m, value, m->greatest) <= 0)
        return;
    old = MemoryContextSwitchTo(loader->context);
    if (m->moved && !m->att->attbyval)
        pfree(DatumGetPointer(m->greatest));
    m->greatest = datumCopy(value, m->att->attbyval, m->att->attlen);
    m->moved = true;
    MemoryContextSwitchTo(old);
}
