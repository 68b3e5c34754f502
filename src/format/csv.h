/*
 * csv.h: CSV as RFC 4180 has it, with the options of the request.
 *
 * csv_options.c reads the options, csv_open.c looks at the object's beginning
 * (dialect, skipped lines), csv_scan*.c find separators, csv_rows.c moves the
 * window over the input and judges rows, csv_header.c names the fields,
 * csv_cells.c cuts fields out, csv_numbers.c respells numbers, csv_record.c
 * takes a record that was read before, csv.c feeds the batch builder;
 * csv_survey.c looks at the first rows for people.
 *
 * Rules beyond RFC 4180 (defaults; the options change them):
 *   - lines end with LF or CR LF; CRs before the LF that ends a row, one or two,
 *     are no data.  A CR alone ends lines as well when the first CSV_SAMPLE
 *     bytes have a CR and no LF, or the first HEADER_SAMPLE show that it does;
 *     else one that is not in quotes makes its row a reject (22P04)
 *   - a byte order mark is skipped; empty lines are skipped (and counted).  With
 *     blankLines "rows" those that no header follows are rows of one empty field
 *   - lines are counted as an editor does: every LF (and CR where that ends
 *     lines), also in quotes, comments, skipped and header lines
 *   - a row with another number of fields than the header is a reject (22P04)
 *   - a quote in an unquoted field, or text behind a closing quote, is a
 *     reject (22P04); the offending field ends at the next delimiter or line
 *     end, fields behind it are read as usual, so quotes there still keep line
 *     ends; the next row begins where that reading ends the row
 *   - quotes not closed at the end of the object are one reject (22P04), also
 *     when lenient, that begins at the row's first line and names the line the
 *     quotes were opened on; what they hold is not read again
 *   - a reject of several lines says which, so that it shows what open quotes took
 *   - a field or row longer than its limit, or a row of more than
 *     CSV_MAX_FIELDS fields, is a reject (54000) whose raw text ends where the
 *     limit was passed; it is skipped to its end without being kept
 *   - fields equal to one of nullStrings (after trimming) are null unless they
 *     were quoted; an extra field counts as empty without text, quoted or not
 *   - a field without a name in the header is columnN; the second field of a
 *     name is name_2 (or the next number that no other field has)
 *   - footerLines are lines as an editor shows them, whatever quotes they are
 *     in; they never reach the scanner, and neither do skipLines
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
/* What is looked at to find out the dialect: bytes behind the byte order mark. */
#define CSV_SAMPLE (256U << 10)
/* Rows that are cut and converted together: their cells stay in the nearest cache. */
#define CSV_SEGMENT 512

typedef enum CsvHeader { CSV_HEADER_AUTO, CSV_HEADER_YES, CSV_HEADER_NO } CsvHeader;

typedef enum CsvTrim { CSV_TRIM_NONE, CSV_TRIM_UNQUOTED, CSV_TRIM_ALL } CsvTrim;
typedef enum CsvLongRows { CSV_LONG_REJECT, CSV_LONG_TRUNCATE, CSV_LONG_TRUNCATE_EMPTY } CsvLongRows;

#define CSV_SEPARATOR_BYTES 4

typedef struct CsvOptions
{
    CsvScanDialect dialect;
    /* "auto": by csv_detect; with the delimiter, what is not given of the others is found too */
    bool find_delimiter, find_quote, find_skip;
    bool escape_given;
    CsvHeader header;
    uint32_t header_lines;  /* from 1 */
    uint32_t skip_lines, footer_lines;
    CsvTrim trim;
    bool blank_rows;        /* blankLines */
    bool pad;               /* shortRows */
    CsvLongRows long_rows;
    char decimal;           /* decimalSeparator */
    char thousands[CSV_SEPARATOR_BYTES + 1];    /* thousandsSeparator; "" for none */
    bool respell;           /* numbers are written another way than the server's */
    const char **columns;   /* borrowed strings; they stand in for a header's; NULL: from the header */
    size_t ncolumns;
    const char **nulls;
    size_t nnulls;
    bool only_empty_is_null;
    uint32_t max_field, max_row;    /* bytes */
    CsvScanPath path;       /* tests choose; else AUTO */
} CsvOptions;

/* As Format.options_parse and options_free. */
bool csv_options_parse(const json_t *json, void **options, Status *st);
/* The same for TSV: the delimiter is a tab by default. */
bool tsv_options_parse(const json_t *json, void **options, Status *st);
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

/* How a row that was rejected for the number of its fields differs from the header. */
typedef enum CsvMisfit { CSV_NO_MISFIT, CSV_SHORT, CSV_LONG, CSV_LONG_EMPTY } CsvMisfit;

typedef struct CsvProblem
{
    CsvMisfit misfit;   /* LONG_EMPTY: longRows "truncateEmpty" would take it */
    const char *sqlstate;
    char message[256];
    uint64_t line, offset;
    uint32_t start, length; /* raw bytes, in the window */
} CsvProblem;

struct Csv
{
    const CsvOptions *options;  /* &own */
    CsvOptions own;         /* as given, with what was found out for this object */
    bool detected;
    double confidence;      /* of what was detected */
    bool header_found;      /* own.header is what csv_detect said ... */
    double header_evidence; /* ... on this evidence */
    char reason[512];
    uint16_t excerpt_at, excerpt_end;   /* as in CsvDialect */
    ByteSource source;
    CsvScan scan;
    Buf window;
    uint32_t scanned;       /* window bytes the scanner has seen */
    uint32_t tail;          /* bytes of the delimiter before its last one */
    uint64_t base;          /* offset in the object of the window's first byte */
    bool eof;
    bool discarding;        /* the row at the window's start is too long: skip to its end */
    bool closed_last;       /* the row that ends with the file has been closed */
    bool stray_cr;          /* newline is AUTO, and there was a CR without a LF */

    size_t next_row;        /* index in scan.rows of the next row */
    size_t next_inner, next_bad;
    uint64_t line;          /* of the next row */
    size_t expected;        /* fields a row must have; 0: not known yet */
    bool blank_rows;        /* an empty line is a row; not while the header is looked for */
    bool ragged;            /* a row of another length was FINE since this was cleared */
    CsvProblem problem;

    const char **names;     /* of the fields */
    size_t nnames;
    Buf names_text;         /* memory of names from a header */
    bool has_header;        /* a header line was read, or passed over for `columns` */
    Buf scratch;            /* unquoted text of one column of a segment */
    CsvRow *rows;           /* CSV_SEGMENT */
    Cell *cells;            /* CSV_SEGMENT */
    Cell *respelled;        /* CSV_SEGMENT; csv_numbers.c */
    Buf digits;             /* text of respelled cells */
};

/* Window and counters for a new object; reads nothing. */
void csv_rows_init(Csv *csv, const CsvOptions *options, ByteSource source);
void csv_rows_free(Csv *csv);

/*
 * Reads up to `most` more bytes into the window; sets eof.  Fails as the source
 * does, with the line it had come to, or with 53200 and the line of the row.
 */
STATUS_CHECK bool csv_rows_read(Csv *csv, size_t most, Status *st);

/* Lets the scanner see what was read, but for the footer.  csv->own must have the dialect. */
STATUS_CHECK bool csv_rows_scan(Csv *csv, Status *st);

/* A line ends with the byte at `at` of the window. */
static inline bool
csv_ends_line(const Csv *csv, size_t at)
{
    const uint8_t *data = csv->window.data;

    if (csv->own.dialect.newline == CSV_NEWLINE_ANY)
        return csv_ends_any_line(data, at, csv->window.used);
    return data[at] == (csv->own.dialect.newline == CSV_NEWLINE_CR ? '\r' : '\n');
}

/* The window's length without CRs at its end, which may belong to a LF that was not read yet. */
static inline size_t
csv_decided(const Csv *csv)
{
    const uint8_t *data = csv->window.data;
    size_t n = csv->window.used, i;

    for (i = 0; i < 2 && n > 0 && data[n - 1] == '\r' && csv->own.dialect.newline == CSV_NEWLINE_ANY && !csv->eof; i++)
        n--;
    return n;
}

/*
 * Takes the next row.  Comments and, unless blank_rows, empty lines are passed over.  After FINE or REJECT the
 * row's bytes stay in the window until csv_rows_fill.
 */
CsvRowKind csv_rows_next(Csv *csv, CsvRow *row);

/* Reads and scans more input; forgets the rows taken.  Fails as csv_rows_read does. */
STATUS_CHECK bool csv_rows_fill(Csv *csv, Status *st);

/* ---- the beginning (csv_open.c) ----------------------------------------- */

/*
 * Reads the object's beginning, finds out what of the dialect is open, skips
 * the lines to be skipped and starts the scanner.  Fails as csv_rows_read does.
 */
STATUS_CHECK bool csv_open_begin(Csv *csv, Status *st);

/* Looks at the window for what ends lines; newline, which is AUTO, becomes ANY when CRs alone do. */
void csv_find_newline(Csv *csv);

/* ---- names (csv_header.c) ------------------------------------------------ */

/*
 * Sets names, nnames and expected, from the header or `columns`; the next row
 * is then the first of data.  Fails with what is wrong with the header.
 */
STATUS_CHECK bool csv_header_read(Csv *csv, Status *st);

/* ---- what the first rows are like (csv_survey.c) ------------------------ */

/* As Format.survey. */
bool csv_survey(void *state, json_t *dialect);

/* ---- fields (csv_cells.c) ------------------------------------------------ */

/*
 * Field `field` (below row->nfields) of a row: its bytes without quotes, still with doubled
 * quotes or escapes inside when *escaped.  *quoted: it stood in quotes.
 */
static inline Cell
csv_field(const Csv *csv, const CsvRow *row, uint32_t field, bool *quoted)
{
    const uint32_t *seps = csv->scan.seps + row->first + field;
    uint32_t start = seps[0] + 1;
    uint32_t end = field + 1 == row->nfields ? row->end : seps[1] - csv->tail;
    Cell cell = {(const char *) csv->window.data + start, end - start};

    *quoted = cell.n >= 2 && csv->options->dialect.quote != 0 &&
        (uint8_t) cell.s[0] == csv->options->dialect.quote;
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

/* The cell without the spaces and tabs around it. */
Cell csv_trim(Cell cell);

/* Cuts one field out of the first n of csv->rows into csv->cells.  scratch has room for all their bytes. */
void csv_cut_field(Csv *csv, uint32_t n, uint32_t field);

/*
 * The records of the first n of csv->rows into the builder's column for them.
 * scratch has room for all their bytes; csv->cells must not be needed any more.
 */
STATUS_CHECK bool csv_cut_records(Csv *csv, BatchBuilder *builder, uint32_t n, Status *st);

/*
 * The cells of a pseudo-column (FIELD_SOURCE...): its text, which then goes
 * through the column's converter.  scratch has room for n * PSEUDO_MAX
 * bytes, PSEUDO_TIME_MAX more and the path.
 */
void csv_cut_pseudo(Csv *csv, const FormatSplit *split, uint32_t n, int which);

/* ---- records that were read before (csv_record.c) ------------------------- */

/*
 * Gets ready for csv_rows_next to give the record, once; without raw bytes
 * there is no row.  Fails with 22P04 when it is not one row, or as
 * csv_rows_read does.
 */
STATUS_CHECK bool csv_record_begin(Csv *csv, const FormatRecord *record, Status *st);

/* ---- numbers (csv_numbers.c) --------------------------------------------- */

/*
 * batch_cells for a number column whose source writes numbers with other
 * separators: csv->cells are respelled for the converter.  A cell that uses
 * separators in another way is BAD_SYNTAX, also under `coerce`: the server
 * would read another number.  BAD cells keep their text as read.
 */
STATUS_CHECK bool csv_number_cells(Csv *csv, BatchBuilder *builder, uint32_t column, uint32_t n,
                                   bool clean, Status *st);

#endif
