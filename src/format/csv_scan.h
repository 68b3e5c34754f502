/*
 * csv_scan.h: finds where the fields and rows of CSV end.
 *
 * The scanner reads bytes once, in order, and knows nothing but the dialect
 * (CsvScanDialect).  It answers with positions: of every delimiter
 * and line end outside quotes, of line ends inside quotes (for line numbers),
 * and of the first offence of a row against the quoting rules.  Cutting fields
 * out, unquoting and judging rows is csv.c's.
 *
 * What a byte means depends only on the bytes before it, so the answer does
 * not depend on where one call ends and the next begins.  The rules are those
 * of the state machine in csv_scan_step.h; blocks of 64 bytes that keep them
 * are read by masks instead (AVX2, or its portable twin), which give the same
 * positions.  Most files have a delimiter of one byte, doubled quotes, LF or
 * CR LF: csv_scan.c reads those; csv_scan_general.c reads everything else.
 *
 * Quoting: a field whose first byte is the quote is quoted; in it a quote
 * written twice (or escaped) is a quote.  A quote inside an unquoted field and
 * any byte but a delimiter or line end after a closing quote are offences: the
 * field then runs, as plain text, to the next delimiter or line end, and the
 * fields after it are read as usual.  Lenient: a quote inside an unquoted field
 * is text, and one inside a quoted field closes it only before a delimiter, a
 * line end or the end; nothing is an offence.
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
    CSV_ESCAPED,        /* behind an escape that is not the quote */
    CSV_COMMENT         /* in a line that begins with the comment prefix: to its end */
} CsvState;

typedef enum CsvNewline
{
    CSV_NEWLINE_AUTO,   /* to the scanner: LF, also behind a CR */
    CSV_NEWLINE_LF,     /* a CR is data */
    CSV_NEWLINE_CRLF,   /* a LF or CR alone is data */
    CSV_NEWLINE_CR,     /* a LF is data */
    CSV_NEWLINE_ANY     /* LF, CR LF, CR CR LF and CR alone: what AUTO becomes for a file that has CRs alone */
} CsvNewline;

/* CSV_NEWLINE_ANY: a line ends with data[at]; bytes from `end` on are not there. */
static inline bool
csv_ends_any_line(const uint8_t *data, size_t at, size_t end)
{
    if (data[at] != '\r')
        return data[at] == '\n';
    if (end - at > 1 && data[at + 1] == '\n')
        return false;
    return end - at < 3 || data[at + 1] != '\r' || data[at + 2] != '\n';
}

#define CSV_DELIMITER_BYTES 8
#define CSV_COMMENT_BYTES 15
/* How far the general scanner looks ahead of a byte. */
#define CSV_LOOKAHEAD 16

/* No delimiter holds the quote, the escape, a CR or a LF; no comment prefix a CR or a LF. */
typedef struct CsvScanDialect
{
    uint8_t delimiter[CSV_DELIMITER_BYTES];
    uint8_t delimiter_length;
    uint8_t quote;      /* 0: no quoting */
    uint8_t escape;     /* equal to quote unless another was chosen */
    uint8_t newline;    /* CsvNewline */
    bool lenient;
    uint8_t comment_length; /* 0: none */
    uint8_t comment[CSV_COMMENT_BYTES];
} CsvScanDialect;

typedef enum CsvOffence { CSV_STRAY_QUOTE = 1, CSV_TEXT_AFTER_QUOTE = 2 } CsvOffence;

/* The first offence of a row. */
typedef struct CsvBad
{
    uint32_t row;   /* index in `rows` of the row's end, once that is found */
    uint32_t at;    /* position of the offending byte */
    uint8_t kind;   /* CsvOffence */
} CsvBad;

/* BYTES: the state machine alone, for tests to compare with. */
typedef enum CsvScanPath { CSV_SCAN_AUTO, CSV_SCAN_PORTABLE, CSV_SCAN_AVX2, CSV_SCAN_BYTES } CsvScanPath;

typedef struct CsvScan CsvScan;
typedef void (*CsvBlocksFn)(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end);

/* Positions are relative to the window's start and below 2^31. */
struct CsvScan
{
    CsvScanDialect dialect;
    uint8_t state;      /* CsvState */
    bool row_bad;       /* the row that is being scanned has its CsvBad already */
    bool general;       /* csv_scan_general.c reads it */
    bool mid_row;       /* the row being scanned has lost its separators (general only) */
    bool cr;            /* the byte before was a CR (general only) */
    uint8_t skip;       /* bytes that still belong to the delimiter before (general only) */
    CsvBlocksFn blocks;

    uint32_t *seps;     /* last bytes of delimiters, and row ends; [0] is the end of the row before the first */
    size_t nseps;
    uint32_t *rows;     /* index in seps of each row end */
    size_t nrows;
    uint32_t *inner;    /* line ends that end no row: inside quotes, or a LF that is data */
    size_t ninner;
    CsvBad *bad;
    size_t nbad;
    uint32_t dirty_from, dirty_to; /* every byte that is zero or not ASCII lies in [from, to) */

    size_t seps_size, rows_size, inner_size, bad_size;
};

/* Copies the dialect and empties everything.  AUTO takes AVX2 where the processor has it. */
void csv_scan_init(CsvScan *scan, const CsvScanDialect *dialect, CsvScanPath path);

/* True when this processor (and build) has the AVX2 path. */
bool csv_scan_has_avx2(void);

/* Frees the arrays. */
void csv_scan_free(CsvScan *scan);

/* Makes room for the positions of n more bytes, before csv_scan.  Fails with 53200. */
STATUS_CHECK bool csv_scan_reserve(CsvScan *scan, size_t n, Status *st);

/*
 * Scans data[at, end), the bytes behind those of the last call.  Unless `last`
 * the scan stops at a multiple of 64 bytes from `at`, and CSV_LOOKAHEAD before
 * `end` where that is needed.  Returns where it stopped.  BUF_SLACK bytes
 * behind `end` can be read.
 */
uint32_t csv_scan(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end, bool last);

/*
 * Forgets the rows before index `row` of `rows` (row <= nrows) and subtracts
 * `shift` bytes from what is left: the window was moved.  seps[0] becomes the
 * end of the last forgotten row.
 */
void csv_scan_forget(CsvScan *scan, size_t row, uint32_t shift);

#endif
