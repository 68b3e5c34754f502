/*
 * csv.h: CSV as RFC 4180 has it, with the options of the request.
 *
 * csv_options.c reads the options, csv_scan.c finds separators, csv_rows.c
 * moves the window over the input and judges rows, csv.c cuts fields out and
 * feeds the batch builder.
 *
 * Rules beyond RFC 4180:
 *   - lines end with LF or CR LF; a CR before the LF that ends a row is no data
 *   - a byte order mark is skipped; empty lines are skipped (and counted)
 *   - a row with another number of fields than the header is a reject (22P04)
 *   - a quote in an unquoted field, or text behind a closing quote, is a
 *     reject (22P04); the offending field ends at the next delimiter or line
 *     end, fields behind it are read as usual, so quotes there still keep line
 *     ends; the next row begins where that reading ends the row
 *   - quotes not closed at the end of the object are a reject (22P04) that
 *     begins at the row's first line
 *   - a field or row longer than its limit, or a row of more than
 *     CSV_MAX_FIELDS fields, is a reject (54000) whose raw text ends where the
 *     limit was passed; it is skipped to its end without being kept
 *   - fields equal to one of nullStrings are null unless they were quoted
 */
#ifndef KAIREON_CSV_H
#define KAIREON_CSV_H

#include <jansson.h>

#include "core/buf.h"
#include "core/byte_source.h"
#include "format/batch_builder.h"
#include "format/csv_scan.h"
#include "format/format.h"

#define CSV_MAX_FIELDS 16384
#define CSV_CHUNK (256U << 10)
/* Rows that are cut and converted together: their cells stay in the nearest cache. */
#define CSV_SEGMENT 512

typedef enum CsvHeader { CSV_HEADER_AUTO, CSV_HEADER_YES, CSV_HEADER_NO } CsvHeader;

typedef struct CsvOptions
{
    uint8_t delimiter;
    uint8_t quote;          /* 0: none */
    uint8_t escape;
    CsvHeader header;
    const char **columns;   /* borrowed strings; NULL: from the header */
    size_t ncolumns;
    const char **nulls;
    size_t nnulls;
    bool only_empty_is_null;
    uint32_t max_field, max_row;    /* bytes */
    CsvScanPath path;       /* tests choose; else AUTO */
} CsvOptions;

/* As Format.options_parse and options_free. */
bool csv_options_parse(const json_t *json, void **options, Status *st);
void csv_options_free(void *options);

/* ---- rows (csv_rows.c) -------------------------------------------------- */

typedef struct Csv Csv;

/* One row in the window. */
typedef struct CsvRow
{
    uint32_t first;     /* index in scan.seps of the separator before its first field */
    uint32_t nfields;
    uint32_t start, end;    /* window positions of its bytes, without its line end */
    uint64_t line;
} CsvRow;

typedef enum CsvRowKind
{
    CSV_ROW_NONE,       /* the window has no whole row left: read on */
    CSV_ROW_FINE,
    CSV_ROW_REJECT,     /* csv->problem says why */
    CSV_ROW_END         /* nothing is left */
} CsvRowKind;

typedef struct CsvProblem
{
    const char *sqlstate;
    char message[200];
    uint64_t line, offset;
    uint32_t start, length; /* raw bytes, in the window */
} CsvProblem;

struct Csv
{
    const CsvOptions *options;
    ByteSource source;
    CsvScan scan;
    Buf window;
    uint32_t scanned;       /* window bytes the scanner has seen */
    uint64_t base;          /* offset in the object of the window's first byte */
    bool eof;
    bool discarding;        /* the row at the window's start is too long: skip to its end */
    bool closed_last;       /* the row that ends with the file has been closed */

    size_t next_row;        /* index in scan.rows of the next row */
    size_t next_inner, next_bad;
    uint64_t line;          /* of the next row */
    size_t expected;        /* fields a row must have; 0: not known yet */
    CsvProblem problem;

    const char **names;     /* of the fields */
    size_t nnames;
    char *names_text;       /* memory of names from a header */
    bool has_header;        /* a header line was read */
    Buf scratch;            /* unquoted text of one column of a segment */
    CsvRow *rows;           /* CSV_SEGMENT */
    Cell *cells;            /* CSV_SEGMENT */
};

/* Window, scanner and counters for a new object; reads nothing. */
STATUS_CHECK bool csv_rows_init(Csv *csv, const CsvOptions *options, ByteSource source, Status *st);
void csv_rows_free(Csv *csv);

/*
 * Takes the next row.  Empty lines are passed over.  After FINE or REJECT the
 * row's bytes stay in the window until csv_rows_fill.
 */
CsvRowKind csv_rows_next(Csv *csv, CsvRow *row);

/* Reads and scans more input; forgets the rows taken.  Fails as the source does, or with 53200. */
STATUS_CHECK bool csv_rows_fill(Csv *csv, Status *st);

/*
 * Field `field` of a FINE row: its bytes without quotes, still with doubled
 * quotes or escapes inside when *escaped.  *quoted: it stood in quotes.
 */
static inline Cell
csv_field(const Csv *csv, const CsvRow *row, uint32_t field, bool *quoted)
{
    const uint32_t *seps = csv->scan.seps + row->first + field;
    uint32_t start = seps[0] + 1;
    uint32_t end = field + 1 == row->nfields ? row->end : seps[1];
    Cell cell = {(const char *) csv->window.data + start, end - start};

    *quoted = cell.n >= 2 && csv->options->quote != 0 && (uint8_t) cell.s[0] == csv->options->quote;
    if (*quoted)
    {
        cell.s++;
        cell.n -= 2;
    }
    return cell;
}

/*
 * Copies a quoted field's content to `out` without doubled quotes or escapes;
 * out has room for cell.n bytes.  Returns the bytes written.
 */
size_t csv_unescape(const CsvOptions *options, Cell cell, char *out);

#endif
