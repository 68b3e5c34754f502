/*
 * csv_pair.h: how well a delimiter and a quote cut a sample into a table.
 *
 * A pair is good when most rows have the same number of fields, when the
 * fields look like numbers, dates and words (cell_kind.h), when a column holds
 * one kind of them, and when no quote stands where it can't.  One pass over
 * the sample a pair.  Used by csv_detect.c and csv_table.c.
 */
#ifndef KAIREON_CSV_PAIR_H
#define KAIREON_CSV_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/csv_detect.h"
#include "format/csv_guess.h"

#define PAIR_ROWS 4096      /* rows that are looked at */
#define PAIR_FIELDS 1024    /* more are counted as that many */
#define PAIR_COLUMNS 64     /* columns whose kind is kept: a bit each */

/* What was seen of a row. */
typedef struct PairRow
{
    uint64_t typed;     /* columns with a number, a time or a truth value */
    uint64_t words;     /* columns with anything else that is no null */
    uint32_t at;        /* byte in the sample */
    uint32_t line;      /* physical lines before it */
    uint16_t fields;
    uint16_t filled;    /* of the fields looked at: not empty */
    uint16_t width;     /* of the fields looked at: up to the last that is not empty */
    uint16_t bare;      /* of the fields looked at: words without quotes */
    uint32_t quoted, needed, bad_quotes; /* as in GuessRows */
    float looks;        /* mean plausibility of the fields looked at, 0 to 1 */
    bool blank;         /* a blank line stands before it */
    bool spaced;        /* every field behind the first begins with a space, as in prose */
} PairRow;

/* What the score is made of: each is 1 for a perfect table, less for one with a fault of this sort. */
typedef enum PairFactor
{
    PAIR_ALIKE,         /* rows have the same number of fields */
    PAIR_MANY,          /* fields */
    PAIR_LOOKS,         /* fields look like numbers, times and words */
    PAIR_KINDS,         /* a column holds one kind of them */
    PAIR_QUOTES,        /* no quote stands where it can't */
    PAIR_USUAL,         /* the delimiter */
    PAIR_FACTORS
} PairFactor;

/* A pair, and how it did. */
typedef struct Pair
{
    const char *delimiter;
    const char *name;
    double prior;       /* how usual the delimiter is */
    uint8_t length;
    char quote;         /* 0: none */
    double score;       /* 0 to 1: the product of the factors */
    double factors[PAIR_FACTORS];
    uint32_t nrows;
    uint32_t fields;    /* of most rows */
    uint32_t same;      /* rows with that many */
    uint32_t first, last; /* the first and the last of those rows */
    uint32_t least, most; /* fields of any row between them */
    bool cut;           /* rows were left out at the end */
    double swallowed;   /* part of the sample behind a quote that never closes */
} Pair;

/* The part of a sample that is looked at. */
typedef struct PairSample
{
    const char *s;
    size_t n;
    bool whole;         /* s[0..n) is all there is, else the last row does not count */
    uint32_t line;      /* physical lines before it */
    const CsvDialect *given; /* escape and comment */
} PairSample;

/*
 * Cuts the sample with pair's delimiter and quote; fills the rest of pair but
 * name and prior, and rows[0..pair->nrows), which has room for PAIR_ROWS.
 */
void pair_try(Pair *pair, const PairSample *sample, PairRow *rows);

/*
 * Columns that hold numbers or times in nearly all rows of the table's second
 * half, where titles and headers don't reach: a bit each.
 */
uint64_t pair_typed_columns(const Pair *pair, const PairRow *rows);

/* The field of the table, behind its header, that looks the least like one; as it stands in the sample. */
GuessCell pair_worst_field(const Pair *pair, const PairSample *sample);

#endif
