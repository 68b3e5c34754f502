/*
 * pseudo.h: what pseudo-columns (_line, _modified_at...) hold, as text; it then
 * goes through the column's converter as a field's would.
 */
#ifndef KAIREON_PSEUDO_H
#define KAIREON_PSEUDO_H

#include <stddef.h>
#include <stdint.h>

#include "format/format.h"

/* Bytes that a number takes at most, and a time. */
#define PSEUDO_MAX 24
#define PSEUDO_TIME_MAX 64

/* A line or an offset; the bytes written. */
size_t pseudo_number(char *out, uint64_t value);

/* Microseconds since 1970 as a timestamptz in UTC; the bytes written. */
size_t pseudo_time(char *out, int64_t micros);

/*
 * What the pseudo-column FIELD_... holds for a row, in `out`: the bytes of the path, PSEUDO_TIME_MAX or
 * PSEUDO_MAX at most.  Null: a time that is not known.
 */
Cell pseudo_cell(char *out, int which, const char *path, int64_t mtime, uint64_t line, uint64_t offset);

#endif
