/*
 * csv_guess.h: cuts a sample into rows for a guessed delimiter and quote.
 *
 * Not the reader's parser (csv.h): that one is fast and knows the dialect;
 * this one takes any bytes, never fails, and counts what would have been an
 * error.  Used by csv_detect.c and its parts alone.
 */
#ifndef KAIREON_CSV_GUESS_H
#define KAIREON_CSV_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/csv_detect.h"

#define GUESS_CELLS 128     /* fields of a row that are kept; all are counted */

/* A field in the sample: without its quotes, doubled ones as they stand. */
typedef struct GuessCell
{
    const char *s;
    uint32_t n;
    bool quoted;
} GuessCell;

typedef struct GuessRows
{
    const char *sample;
    size_t n, at;
    bool whole;
    const char *delimiter;
    uint8_t length;
    char quote, escape;
    const char *comment;
    size_t ncomment;
    char line_end;          /* LF; CR where the sample has no LF */
    uint32_t line;          /* physical lines before `at`; set it to begin elsewhere */
    size_t unclosed;        /* bytes behind a quote that never closes */
    /* the row guess_next found */
    size_t row_at;
    uint32_t row_line;
    bool blank;             /* a blank line stands before it */
    uint32_t quoted;        /* its fields properly in quotes */
    uint32_t needed;        /* of those: with a delimiter, a line end or a quote in them */
    uint32_t bad_quotes;    /* quotes where strict reading takes none */
    uint32_t nfields;
    GuessCell cells[GUESS_CELLS];
} GuessRows;

/* The guess: a delimiter and a quote (0 for none); escape and comment are as the dialect says. */
typedef struct GuessPair
{
    const char *delimiter;
    uint8_t length;
    char quote;
    const CsvDialect *given;
} GuessPair;

/* Begins at sample; everything is borrowed but the pair itself. */
void guess_begin(GuessRows *g, const char *sample, size_t n, bool whole, const GuessPair *pair);

/*
 * The next row that is neither blank nor a comment; false at the end.  Unless
 * the sample is whole, its last row is left out: it may be cut.
 */
bool guess_next(GuessRows *g);

#endif
