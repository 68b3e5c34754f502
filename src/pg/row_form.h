/*
 * row_form.h: a row's values laid out as a heap keeps them.
 *
 * Byte for byte what heap_form_tuple makes, which takes three times as long: in
 * builds by GCC it copies each value by an instruction that takes 30 cycles to
 * begin, and most values are shorter than what it copies meanwhile.
 */
#ifndef KAIREON_ROW_FORM_H
#define KAIREON_ROW_FORM_H

#include "postgres.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"

typedef struct RowForm RowForm;

/* Of a table's rows; in the current context. */
extern RowForm *row_form_create(TupleDesc desc);

/* How long the row in the slot will be, with its header; 0: a value lies elsewhere, and only heap_form_tuple knows. */
extern Size row_form_measure(RowForm *form, TupleTableSlot *slot);

/* Lays out the row that was measured last, in as many bytes, which are zero.  What tells transactions and its place is the caller's. */
extern void row_form_fill(const RowForm *form, const TupleTableSlot *slot, HeapTupleHeader row);

/* The row as a tuple, in the current context, also when a value lies elsewhere. */
extern HeapTuple row_form_tuple(RowForm *form, TupleTableSlot *slot);
extern MinimalTuple row_form_minimal(RowForm *form, TupleTableSlot *slot);

#endif
