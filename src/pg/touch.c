/*
 * touch.c: the trigger that keeps updated_at of a ds_ table current.
 *
 * Each table has it BEFORE UPDATE FOR EACH ROW; inserts never meet it, so
 * loads do not either.  It is a C function of the extension and not one beside
 * the tables, because a trigger runs with the rights of whoever writes: nobody
 * but a superuser can replace this one.  The triggers are marked as depending
 * on the extension (ALTER TRIGGER ... DEPENDS ON EXTENSION), so DROP EXTENSION
 * takes them along and leaves the tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#define TOUCHED_COLUMN "updated_at"

extern PGDLLEXPORT Datum kaireon_touch_updated_at(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_touch_updated_at);

/* The column to keep current; 0 when somebody has renamed, retyped or dropped it. */
static AttrNumber
touched_column(TupleDesc desc)
{
    for (int i = desc->natts - 1; i >= 0; i--)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (!att->attisdropped && att->atttypid == TIMESTAMPTZOID && att->attgenerated == '\0' &&
            strcmp(NameStr(att->attname), TOUCHED_COLUMN) == 0)
            return att->attnum;
    }
    return 0;
}

static bool
same_value(TupleTableSlot *a, TupleTableSlot *b, int i)
{
    Form_pg_attribute att = TupleDescAttr(a->tts_tupleDescriptor, i);

    if (a->tts_isnull[i] || b->tts_isnull[i])
        return a->tts_isnull[i] && b->tts_isnull[i];
    return datum_image_eq(a->tts_values[i], b->tts_values[i], att->attbyval, att->attlen);
}

/* Is a column other than updated_at another than before?  Generated ones are not computed yet, and follow from the rest. */
static bool
row_changed(TupleTableSlot *old, TupleTableSlot *new)
{
    TupleDesc desc = old->tts_tupleDescriptor;

    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (!att->attisdropped && att->attgenerated == '\0' && !same_value(old, new, i))
            return true;
    }
    return false;
}

Datum
kaireon_touch_updated_at(PG_FUNCTION_ARGS)
{
    TriggerData *trigger = (TriggerData *) fcinfo->context;
    TupleTableSlot *old, *new;
    int column;
    Datum now;
    bool null = false;

    if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
        !TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("function \"touch_updated_at\" must be called by a trigger"),
                        errdetail("It sets updated_at of the row that an UPDATE changes."),
                        errhint("It is for triggers BEFORE UPDATE ... FOR EACH ROW.")));
    column = touched_column(RelationGetDescr(trigger->tg_relation));
    if (column == 0)
        return PointerGetDatum(trigger->tg_newtuple);
    old = trigger->tg_trigslot;
    new = trigger->tg_newslot;
    slot_getallattrs(old);
    slot_getallattrs(new);
    /* a stamp that the statement gives itself stays */
    if (!same_value(old, new, column - 1) || !row_changed(old, new))
        return PointerGetDatum(trigger->tg_newtuple);
    now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
    return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_newtuple, RelationGetDescr(trigger->tg_relation), 1, &column, &now, &null));
}
