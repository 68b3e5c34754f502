/*
 * cell_kind.h: what a field of an unknown file looks like to a person.
 *
 * For csv_detect: a delimiter is right when the fields it makes are numbers,
 * dates and words, and wrong when they are "5;2" or half a time.  Numbers and
 * dates are recognised in all regional spellings, so this says nothing about
 * what PostgreSQL accepts; that is convert.h's.
 */
#ifndef KAIREON_CELL_KIND_H
#define KAIREON_CELL_KIND_H

#include <stddef.h>

typedef enum CellKind
{
    CELL_EMPTY = 0,     /* nothing but spaces */
    CELL_NULLISH,       /* n/a, NULL, -, ... */
    CELL_NUMBER,        /* also 1.234,56 and 1,234.56, (12), $12, 12 %, 1e5 */
    CELL_TIME,          /* a date, a time or both, in any common order */
    CELL_BOOL,          /* true, false, yes, no (not 0 and 1) */
    CELL_TOKEN,         /* one word: a name, a code, an address */
    CELL_TEXT,          /* words */
    CELL_ODD,           /* control characters */
    CELL_KINDS
} CellKind;

/* What s[0..n) looks like; linear in n, reads nothing outside. */
CellKind cell_kind(const char *s, size_t n);

/* A number of four digits from 1900 to 2099, else 0: header cells like 2021 are names. */
int cell_year(const char *s, size_t n);

#endif
