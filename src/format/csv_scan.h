/*
 * csv_scan.h: finds where the fields and rows of CSV end.
 *
 * The scanner reads bytes once, in order, and knows nothing but the dialect's
 * delimiter, quote and escape.  It answers with positions: of every delimiter
 * and line end outside quotes, of line ends inside quotes (for line numbers),
 * and of the first offence of a row against the quoting rules.  Cutting fields
 * out, unquoting and judging rows is csv.c's.
 *
 * What a byte means depends only on the bytes before it, so the answer does
 * not depend on where one call ends and the next begins.  The rules are those
 * of the state machine in csv_scan.c (csv_scan_bytes); blocks of 64 bytes that
 * keep them are read by masks instead (AVX2, or its portable twin), which give
 * the same positions.
 *
 * Quoting: a field whose first byte is the quote is quoted; in it a quote
 * written twice (or escaped) is a quote.  A quote inside an unquoted field and
 * any byte but a delimiter or line end after a closing quote are offences: the
 * field then runs, as plain text, to the next delimiter or line end, and the
 * fields after it are read as usual.
 */
#ifndef KAIREON_CSV_SCAN_H
#define KAIREON_CSV_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef enum CsvState
{
    CSV_FIELD_START = 0,
    CSV_UNQUOTED,
    CSV_QUOTED,
    CSV_AFTER_QUOTE,    /* behind a quote that closes, unless another follows */
    CSV_AFTER_QUOTE_CR, /* the same and a CR: only a LF may follow */
    CSV_ESCAPED         /* behind an escape that is not the quote */
} CsvState;

typedef enum CsvOffence { CSV_STRAY_QUOTE = 1, CSV_TEXT_AFTER_QUOTE = 2 } CsvOffence;

/* The first offence of a row. */
typedef struct CsvBad
{
    uint32_t row;   /* index in `rows` of the row's end, once that is found */
    uint32_t at;    /* position of the offending byte */
    uint8_t kind;   /* CsvOffence */
} CsvBad;

typedef enum CsvScanPath { CSV_SCAN_AUTO, CSV_SCAN_PORTABLE, CSV_SCAN_AVX2 } CsvScanPath;

typedef struct CsvScan CsvScan;
typedef void (*CsvBlocksFn)(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end);

/* Positions are relative to the window's start and below 2^31. */
struct CsvScan
{
    uint8_t delimiter;
    uint8_t quote;      /* 0: no quoting */
    uint8_t escape;     /* equal to quote unless another was chosen */
    uint8_t state;      /* CsvState */
    bool row_bad;       /* the row that is being scanned has its CsvBad already */
    CsvBlocksFn blocks; /* NULL: only the state machine (another escape) */

    uint32_t *seps;     /* delimiters and row ends; [0] is the end of the row before the first */
    size_t nseps;
    uint32_t *rows;     /* index in seps of each row end */
    size_t nrows;
    uint32_t *inner;    /* line ends inside quotes */
    size_t ninner;
    CsvBad *bad;
    size_t nbad;
    uint32_t dirty_from, dirty_to; /* every byte that is zero or not ASCII lies in [from, to) */

    size_t seps_size, rows_size, inner_size, bad_size;
};

/* Sets the dialect and empties everything; quote 0 for none.  AUTO takes AVX2 where the processor has it. */
void csv_scan_init(CsvScan *scan, uint8_t delimiter, uint8_t quote, uint8_t escape, CsvScanPath path);

/* True when this processor (and build) has the AVX2 path. */
bool csv_scan_has_avx2(void);

/* Frees the arrays. */
void csv_scan_free(CsvScan *scan);

/* Makes room for the positions of n more bytes, before csv_scan.  Fails with 53200. */
STATUS_CHECK bool csv_scan_reserve(CsvScan *scan, size_t n, Status *st);

/*
 * Scans data[at, end), the bytes behind those of the last call.  Unless `last`
 * the scan stops at a multiple of 64 bytes from `at`.  Returns where it stopped.
 */
uint32_t csv_scan(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end, bool last);

/*
 * Forgets the rows before index `row` of `rows` (row <= nrows) and subtracts
 * `shift` bytes from what is left: the window was moved.  seps[0] becomes the
 * end of the last forgotten row.
 */
void csv_scan_forget(CsvScan *scan, size_t row, uint32_t shift);

#endif
