/*
 * row_form.c: a row's values laid out as a heap keeps them.  See row_form.h.
 */
#include "postgres.h"

#include "pg/row_form.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"

typedef struct FormColumn
{
    int16 length;            /* -1: varlena, -2: a C string */
    bool by_value;
    bool packs;              /* a varlena takes a header of one byte where it can */
    uint8 align;             /* bytes */
} FormColumn;

struct RowForm
{
    TupleDesc desc;
    /* of the row that was measured last: */
    Size header;             /* where its values begin */
    bool nulls;
    FormColumn columns[FLEXIBLE_ARRAY_MEMBER];
};

RowForm *
row_form_create(TupleDesc desc)
{
    RowForm *form = palloc0(offsetof(RowForm, columns) + sizeof(FormColumn) * desc->natts);

    form->desc = desc;
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        form->columns[i].length = att->attlen;
        form->columns[i].by_value = att->attbyval;
        form->columns[i].packs = att->attlen == -1 && att->attstorage != TYPSTORAGE_PLAIN;
        form->columns[i].align = (uint8) att_align_nominal(1, att->attalign);
    }
    return form;
}

static inline bool
gets_short(const FormColumn *column, const void *value)
{
    return column->packs && VARATT_CAN_MAKE_SHORT(value);
}

Size
row_form_measure(RowForm *form, TupleTableSlot *slot)
{
    Size at = 0;

    slot_getallattrs(slot);
    form->nulls = false;
    for (int i = 0; i < form->desc->natts; i++)
    {
        const FormColumn *column = &form->columns[i];
        const void *value = DatumGetPointer(slot->tts_values[i]);

        if (slot->tts_isnull[i])
            form->nulls = true;
        else if (column->length > 0)
            at = TYPEALIGN(column->align, at) + column->length;
        else if (column->length == -2)
            at += strlen(value) + 1;
        else if (VARATT_IS_EXTERNAL(value))
            return 0;
        else if (VARATT_IS_SHORT(value))
            at += VARSIZE_SHORT(value);
        else if (gets_short(column, value))
            at += VARATT_CONVERTED_SHORT_SIZE(value);
        else
            at = TYPEALIGN(column->align, at) + VARSIZE(value);
    }
    form->header = MAXALIGN(SizeofHeapTupleHeader + (form->nulls ? BITMAPLEN(form->desc->natts) : 0));
    return form->header + at;
}

/* memcpy, in steps of known length: compilers may make of others the instruction that takes long to begin. */
static inline void
copy(char *to, const char *from, Size n)
{
    if (n >= 16)
    {
        for (Size i = 0; i < n - 16; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    }
    else if (n >= 8)
    {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    }
    else
    {
        for (Size i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/* A value of varying length goes to `at`; gives where it ends. */
static inline char *
put_varying(const FormColumn *column, char *at, const char *value)
{
    Size length;

    if (column->length == -2)
        length = strlen(value) + 1;
    else if (VARATT_IS_SHORT(value))
        length = VARSIZE_SHORT(value);
    else if (gets_short(column, value))
    {
        length = VARATT_CONVERTED_SHORT_SIZE(value);
        copy(at + 1, VARDATA(value), length - 1);
        SET_VARSIZE_SHORT(at, length);
        return at + length;
    }
    else
    {
        at = (char *) TYPEALIGN(column->align, at);
        length = VARSIZE(value);
    }
    copy(at, value, length);
    return at + length;
}

void
row_form_fill(const RowForm *form, const TupleTableSlot *slot, HeapTupleHeader row)
{
    char *at = (char *) row + form->header;

    HeapTupleHeaderSetNatts(row, form->desc->natts);
    row->t_hoff = form->header;
    row->t_infomask |= form->nulls ? HEAP_HASNULL : 0;
    for (int i = 0; i < form->desc->natts; i++)
    {
        const FormColumn *column = &form->columns[i];
        Datum value = slot->tts_values[i];

        if (slot->tts_isnull[i])
            continue;
        if (form->nulls)
            row->t_bits[i / BITS_PER_BYTE] |= 1 << i % BITS_PER_BYTE;
        if (column->length < 0)
        {
            row->t_infomask |= HEAP_HASVARWIDTH;
            at = put_varying(column, at, DatumGetPointer(value));
            continue;
        }
        at = (char *) TYPEALIGN(column->align, at);
        if (column->by_value)
            store_att_byval(at, value, column->length);
        else
            copy(at, DatumGetPointer(value), column->length);
        at += column->length;
    }
}

HeapTuple
row_form_tuple(RowForm *form, TupleTableSlot *slot)
{
    Size length = row_form_measure(form, slot);
    HeapTuple tuple;

    if (length == 0)
        return heap_form_tuple(form->desc, slot->tts_values, slot->tts_isnull);
    tuple = palloc0(HEAPTUPLESIZE + length);
    tuple->t_len = length;
    ItemPointerSetInvalid(&tuple->t_self);
    tuple->t_tableOid = InvalidOid;
    tuple->t_data = (HeapTupleHeader) ((char *) tuple + HEAPTUPLESIZE);
    ItemPointerSetInvalid(&tuple->t_data->t_ctid);
    row_form_fill(form, slot, tuple->t_data);
    return tuple;
}

MinimalTuple
row_form_minimal(RowForm *form, TupleTableSlot *slot)
{
    Size length = row_form_measure(form, slot);
    MinimalTuple tuple;

    if (length == 0)
        return ExecCopySlotMinimalTuple(slot);
    tuple = palloc0(length - MINIMAL_TUPLE_OFFSET);
    row_form_fill(form, slot, (HeapTupleHeader) ((char *) tuple - MINIMAL_TUPLE_OFFSET));
    tuple->t_len = length - MINIMAL_TUPLE_OFFSET;
    return tuple;
}
