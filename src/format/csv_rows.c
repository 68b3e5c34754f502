/*
 * csv_rows.c: the window over a CSV object, and what its rows are.
 *
 * The window holds the rows that are not taken yet, whole ones first and then
 * the beginning of one.  csv_rows_fill throws the taken rows away, reads a
 * chunk behind the rest and lets the scanner find separators in it; so a row
 * is never scanned twice and the window grows only for a row longer than it.
 * csv_rows_next walks over the row ends the scanner found.
 *
 * A row that passes a limit is rejected as soon as the limit is passed, with
 * the bytes before it as raw text.  Then `discarding` is set: its further
 * bytes are scanned (to find its end) and thrown away.  Which limit is passed
 * first is a matter of byte positions alone, so it makes no difference whether
 * the row's end was in the window already.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/csv.h"

bool
csv_rows_init(Csv *csv, const CsvOptions *options, ByteSource source, Status *st)
{
    memset(csv, 0, sizeof(*csv));
    csv->options = options;
    csv->source = source;
    csv->line = 1;
    csv_scan_init(&csv->scan, options->delimiter, options->quote, options->escape, options->path);
    buf_init(&csv->window, (size_t) options->max_row + 4 * CSV_CHUNK);
    buf_init(&csv->scratch, (size_t) options->max_row + (16U << 20));
    return csv_scan_reserve(&csv->scan, 0, st);
}

void
csv_rows_free(Csv *csv)
{
    csv_scan_free(&csv->scan);
    buf_free(&csv->window);
    buf_free(&csv->scratch);
}

/* ---- reading ----------------------------------------------------------- */

/* Window position where the next row begins. */
static uint32_t
next_start(const Csv *csv)
{
    const CsvScan *scan = &csv->scan;

    return scan->seps[csv->next_row == 0 ? 0 : scan->rows[csv->next_row - 1]] + 1;
}

static void
forget_taken(Csv *csv)
{
    uint32_t start = next_start(csv);

    csv_scan_forget(&csv->scan, csv->next_row, start);
    csv->next_row = csv->next_inner = csv->next_bad = 0;
    if (csv->discarding)
    {
        /* Of the row that is skipped only its line ends matter. */
        csv->line += csv->scan.ninner;
        csv->scan.ninner = csv->scan.nbad = 0;
        csv->scan.nseps = 1;
        csv->scan.dirty_from = csv->scan.dirty_to = 0;
        start = csv->scanned;
    }
    buf_drop_front(&csv->window, start);
    csv->scanned -= start;
    csv->base += start;
}

/* Skips the byte order mark; false while too few bytes are there to tell. */
static bool
skip_mark(Csv *csv)
{
    if (csv->base > 0 || csv->scanned > 0)
        return true;
    if (csv->window.used < 3 && !csv->eof)
        return false;
    if (csv->window.used >= 3 && memcmp(csv->window.data, "\xEF\xBB\xBF", 3) == 0)
    {
        buf_drop_front(&csv->window, 3);
        csv->base = 3;
    }
    return true;
}

/* The last row has no line end: it gets one behind the last byte, unless quotes are open. */
static void
close_last_row(Csv *csv)
{
    CsvScan *scan = &csv->scan;
    uint32_t start = scan->seps[scan->nrows == 0 ? 0 : scan->rows[scan->nrows - 1]] + 1;

    if (start >= csv->window.used || scan->state == CSV_QUOTED || scan->state == CSV_ESCAPED)
        return;
    scan->seps[scan->nseps++] = (uint32_t) csv->window.used;
    scan->rows[scan->nrows++] = (uint32_t) scan->nseps - 1;
    scan->state = CSV_FIELD_START;
}

bool
csv_rows_fill(Csv *csv, Status *st)
{
    size_t got;

    forget_taken(csv);
    do
    {
        if (!buf_reserve(&csv->window, CSV_CHUNK, st) ||
            !byte_source_read(csv->source, csv->window.data + csv->window.used, CSV_CHUNK, &got, st))
        {
            if (st->line == 0)
                st->line = csv->line;
            return false;
        }
        csv->window.used += got;
        csv->eof = got == 0;
    } while (!skip_mark(csv));
    if (!csv_scan_reserve(&csv->scan, csv->window.used - csv->scanned, st))
        return false;
    csv->scanned = csv_scan(&csv->scan, csv->window.data, csv->scanned, (uint32_t) csv->window.used, csv->eof);
    if (csv->eof)
        close_last_row(csv);
    return true;
}

/* ---- judging ----------------------------------------------------------- */

static CsvRowKind
problem(Csv *csv, const CsvRow *row, const char *sqlstate, uint32_t raw_end)
{
    csv->problem.sqlstate = sqlstate;
    csv->problem.line = row->line;
    csv->problem.offset = csv->base + row->start;
    csv->problem.start = row->start;
    csv->problem.length = raw_end - row->start;
    return CSV_ROW_REJECT;
}

/*
 * Looks for the first limit that the row's bytes up to `stop` pass; `last` is
 * the index in seps of the last separator to look at.  True: the problem is set.
 */
static bool
passes_limit(Csv *csv, const CsvRow *row, size_t last, uint32_t stop)
{
    const CsvOptions *o = csv->options;
    const uint32_t *seps = csv->scan.seps;
    uint64_t at = UINT64_MAX, field_start;
    char *message = csv->problem.message;
    size_t size = sizeof(csv->problem.message), i;

    if (stop - row->start > o->max_row)
    {
        at = (uint64_t) row->start + o->max_row;
        snprintf(message, size, "row is longer than maxRowBytes (%" PRIu32 ")", o->max_row);
    }
    for (i = row->first; i <= last && i < (size_t) row->first + CSV_MAX_FIELDS; i++)
    {
        uint64_t end = i == last ? stop : seps[i + 1];

        field_start = (uint64_t) (uint32_t) (seps[i] + 1);
        if (end > field_start && end - field_start > o->max_field && field_start + o->max_field < at)
        {
            at = field_start + o->max_field;
            snprintf(message, size, "field %zu is longer than maxFieldBytes (%" PRIu32 ")",
                     i - row->first + 1, o->max_field);
            break;
        }
    }
    if (last - row->first >= CSV_MAX_FIELDS && seps[row->first + CSV_MAX_FIELDS] < at)
    {
        at = seps[row->first + CSV_MAX_FIELDS];
        snprintf(message, size, "row has more than %d fields", CSV_MAX_FIELDS);
    }
    if (at == UINT64_MAX)
        return false;
    problem(csv, row, STATUS_LIMIT, (uint32_t) at);
    return true;
}

/* The row's quoting is wrong at bad->at. */
static CsvRowKind
bad_quoting(Csv *csv, const CsvRow *row, const CsvBad *bad)
{
    uint32_t field = 1;

    while (field < row->nfields && csv->scan.seps[row->first + field] < bad->at)
        field++;
    snprintf(csv->problem.message, sizeof(csv->problem.message),
             bad->kind == CSV_STRAY_QUOTE ? "quote inside unquoted field %" PRIu32
             : "text after the closing quote of field %" PRIu32, field);
    return problem(csv, row, STATUS_BAD_FORMAT, row->end);
}

/* What is left in the window has no end (yet). */
static CsvRowKind
judge_rest(Csv *csv, CsvRow *row)
{
    CsvScan *scan = &csv->scan;
    uint64_t line = csv->line;
    uint32_t field;
    size_t i;

    if (csv->closed_last)
        return CSV_ROW_END;
    row->first = csv->next_row == 0 ? 0 : scan->rows[csv->next_row - 1];
    row->start = scan->seps[row->first] + 1;
    row->line = csv->line;
    if (!csv->discarding && csv->scanned > row->start &&
        passes_limit(csv, row, scan->nseps - 1, csv->scanned))
    {
        csv->discarding = true;
        return CSV_ROW_REJECT;
    }
    if (!csv->eof)
        return CSV_ROW_NONE;
    csv->closed_last = true;
    if (csv->discarding || scan->state == CSV_FIELD_START || row->start >= csv->window.used)
        return CSV_ROW_END;
    field = scan->seps[scan->nseps - 1] + 1;
    for (i = csv->next_inner; i < scan->ninner && scan->inner[i] < field; i++)
        line++;
    snprintf(csv->problem.message, sizeof(csv->problem.message),
             "quotes opened on line %" PRIu64 " are not closed by the end of the file", line);
    return problem(csv, row, STATUS_BAD_FORMAT, (uint32_t) csv->window.used);
}

CsvRowKind
csv_rows_next(Csv *csv, CsvRow *row)
{
    CsvScan *scan = &csv->scan;
    uint32_t limit = csv->options->max_field < csv->options->max_row ? csv->options->max_field
        : csv->options->max_row;

    while (csv->next_row < scan->nrows)
    {
        size_t index = csv->next_row++;
        uint32_t last = scan->rows[index], end = scan->seps[last];
        const CsvBad *bad = NULL;

        row->first = index == 0 ? 0 : scan->rows[index - 1];
        row->nfields = last - row->first;
        row->start = scan->seps[row->first] + 1;
        row->line = csv->line++;
        for (; csv->next_inner < scan->ninner && scan->inner[csv->next_inner] < end; csv->next_inner++)
            csv->line++;
        if (csv->next_bad < scan->nbad && scan->bad[csv->next_bad].row == index)
            bad = &scan->bad[csv->next_bad++];
        if (csv->discarding)
        {
            csv->discarding = false;
            continue;
        }
        row->end = end > row->start && csv->window.data[end - 1] == '\r' ? end - 1 : end;
        if (row->end == row->start)
            continue;
        /* With the CR: the limits must not depend on whether the LF was seen yet. */
        if ((end - row->start > limit || row->nfields > CSV_MAX_FIELDS) &&
            passes_limit(csv, row, last - 1, end))
            return CSV_ROW_REJECT;
        if (bad != NULL)
            return bad_quoting(csv, row, bad);
        if (row->nfields != csv->expected && csv->expected != 0)
        {
            snprintf(csv->problem.message, sizeof(csv->problem.message),
                     "row has %" PRIu32 " field%s, expected %zu", row->nfields,
                     row->nfields == 1 ? "" : "s", csv->expected);
            return problem(csv, row, STATUS_BAD_FORMAT, row->end);
        }
        return CSV_ROW_FINE;
    }
    return judge_rest(csv, row);
}

size_t
csv_unescape(const CsvOptions *options, Cell cell, char *out)
{
    char quote = (char) options->quote, escape = (char) options->escape;
    size_t i, n = 0;

    for (i = 0; i < cell.n; i++)
    {
        /* An escape counts only before a quote or an escape. */
        if (cell.s[i] == escape && i + 1 < cell.n && (cell.s[i + 1] == quote || cell.s[i + 1] == escape))
            i++;
        out[n++] = cell.s[i];
    }
    return n;
}
