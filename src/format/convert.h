/*
 * convert.h: from a field's bytes to a typed cell.
 *
 * The rule: a converter that answers WIRE_VALUE gives exactly the value that
 * PostgreSQL's input function gives for these bytes; one that answers
 * WIRE_BAD_* is sure that the input function refuses them with that SQLSTATE;
 * for everything else it answers WIRE_RAW and the server decides.  So the
 * fast path never changes what a value means, and being wrong about speed is
 * the only mistake allowed.  Settings that could change a meaning are fixed:
 * DateStyle is ISO, MDY (spellings it decides are RAW), the zone of a
 * timestamptz without one is UTC.
 *
 * Pure functions: no state, no allocation, no clock; fields are not
 * zero-terminated.  They never read before s or at or behind s + n.
 */
#ifndef KAIREON_CONVERT_H
#define KAIREON_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

/* int2, int4, int8: min and max are the type's range. */
uint8_t convert_int(const char *s, size_t n, int64_t min, int64_t max, int64_t *value);

/* numeric without precision: the scale is the number of digits written after the point (1.50 has 2). */
uint8_t convert_decimal(const char *s, size_t n, int64_t *unscaled, uint8_t *scale);

/* numeric(precision, scale): rounded half away from zero to `scale`, BAD_PRECISION when it does not fit. */
uint8_t convert_decimal_to(const char *s, size_t n, int precision, int scale, int64_t *unscaled);

uint8_t convert_bool(const char *s, size_t n, int64_t *value);
uint8_t convert_float8(const char *s, size_t n, double *value);
/* real: *value is the float, as a double; rounded once from the digits, not from a double. */
uint8_t convert_float4(const char *s, size_t n, double *value);
uint8_t convert_date(const char *s, size_t n, int64_t *days);
uint8_t convert_timestamp(const char *s, size_t n, int64_t *micros);
uint8_t convert_timestamptz(const char *s, size_t n, int64_t *micros);

/*
 * varchar(max_chars): *length becomes how many bytes to keep (spaces beyond the
 * limit fall away, as PostgreSQL does); BAD_LENGTH when other characters would.
 * With `coerce` they are cut too.  s must be valid UTF-8.
 */
uint8_t convert_varchar(const char *s, size_t n, size_t max_chars, bool coerce, size_t *length);

/* True when s[0..n) is valid UTF-8 as PostgreSQL defines it (no surrogates, no overlong, at most U+10FFFF) and has no zero byte. */
bool convert_utf8_valid(const char *s, size_t n);

/*
 * Copies s into out, with each byte that is zero or not part of a valid UTF-8
 * sequence written as \xNN.  Stops before `size` would be passed.  Returns the bytes written.
 */
size_t convert_utf8_escape(const char *s, size_t n, char *out, size_t size);

/*
 * The same of what a string of JSON says: zero bytes and halves of surrogate
 * pairs, which come from escapes, are written as these.  *escapes: there were some.
 */
size_t convert_json_escape(const char *s, size_t n, char *out, size_t size, bool *escapes);

#endif
