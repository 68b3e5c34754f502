/*
 * columns.h: which field of a source goes into which column of a request.
 */
#ifndef KAIREON_READER_COLUMNS_H
#define KAIREON_READER_COLUMNS_H

#include "format/format.h"

/*
 * What a column takes, as Format.next wants it: the number of one of the
 * fields, or FIELD_...; FIELD_ABSENT when there is no such field.  With `strict`
 * that fails where the column is required, with 42703; a name that stands for
 * several things fails in any case where it is used.
 */
STATUS_CHECK bool column_find(const char *const *names, size_t nnames, const ColumnSpec *column, bool strict,
                              int *field, Status *st);

/*
 * The same for a format's state: where its rows may have other fields than it
 * says, the column gets a field of its own.
 */
STATUS_CHECK bool column_field(const Format *format, void *state, const ColumnSpec *column, bool strict, int *field, Status *st);

#endif
