/*
 * csv_rows.c: the window over a CSV object, and what its rows are.
 *
 * The window holds the rows that are not taken yet, whole ones first and then
 * the beginning of one.  csv_rows_fill throws the taken rows away, reads a
 * chunk behind the rest and lets the scanner find separators in it; so a row
 * is never scanned twice (of the footer only what surely lies before it is
 * scanned) and the window grows only for a row longer than it.
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

void
csv_rows_init(Csv *csv, const CsvOptions *options, ByteSource source)
{
    memset(csv, 0, sizeof(*csv));
    csv->own = *options;
    csv->options = &csv->own;
    csv->source = source;
    csv->line = 1;
    buf_init(&csv->window, (size_t) options->max_row + 4 * CSV_CHUNK);
    buf_init(&csv->scratch, (size_t) options->max_row + (16U << 20));
    buf_init(&csv->digits, 2 * ((size_t) options->max_row + (16U << 20)));
    buf_init(&csv->names_text, (size_t) options->max_row + (16U << 20));
}

void
csv_rows_free(Csv *csv)
{
    csv_scan_free(&csv->scan);
    buf_free(&csv->window);
    buf_free(&csv->scratch);
    buf_free(&csv->digits);
    buf_free(&csv->names_text);
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
        csv->scan.mid_row = true;
        csv->scan.dirty_from = csv->scan.dirty_to = 0;
        start = csv->scanned;
    }
    buf_drop_front(&csv->window, start);
    csv->scanned -= start;
    csv->base += start;
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

/* The source failed behind what is in the window: says on which line, and at which byte unless the source has. */
static bool
source_failed(Csv *csv, Status *st)
{
    bool begun = csv->scan.seps != NULL;
    size_t i;

    csv->eof = true;
    if (!begun && csv->own.dialect.newline == CSV_NEWLINE_AUTO)
        csv_find_newline(csv);
    st->line = csv->line;
    for (i = 0; i < csv->window.used; i++)
        st->line += csv_ends_line(csv, i);
    if (st->offset == 0)
        st->offset = csv->base + csv->window.used;
    return false;
}

bool
csv_rows_read(Csv *csv, size_t most, Status *st)
{
    size_t got;

    if (!buf_reserve(&csv->window, most, st))
    {
        st->line = csv->line;
        return false;
    }
    if (!byte_source_read(csv->source, csv->window.data + csv->window.used, most, &got, st))
        return source_failed(csv, st);
    csv->window.used += got;
    csv->eof = got == 0;
    return true;
}

/*
 * Where the last footerLines lines begin, if nothing followed: what lies before
 * is no footer, whatever follows.  Not before `scanned`.
 */
static uint32_t
footer_start(const Csv *csv)
{
    size_t from = csv->scanned, end = csv_decided(csv);
    uint32_t left = csv->options->footer_lines;

    if (end > from && csv_ends_line(csv, end - 1))
        end--;
    for (; left > 0; left--)
    {
        while (end > from && !csv_ends_line(csv, end - 1))
            end--;
        if (end <= from)
            return (uint32_t) from;
        end--;
    }
    return (uint32_t) end + 1;
}

/* Whether a CR that no LF follows lies among window bytes from `at` to the scanner's place. */
static bool
has_stray_cr(const Csv *csv, uint32_t at)
{
    const uint8_t *data = csv->window.data, *found;

    while (at < csv->scanned && (found = memchr(data + at, '\r', csv->scanned - at)) != NULL)
    {
        at = (uint32_t) (found - data) + 1;
        if (at < csv->window.used && data[at] != '\n')
            return true;
    }
    return false;
}

bool
csv_rows_scan(Csv *csv, Status *st)
{
    uint32_t end = (uint32_t) csv->window.used, before = csv->scanned;

    if (csv->options->footer_lines > 0)
        end = footer_start(csv);
    if (csv->eof)
        csv->window.used = end;
    if (!csv_scan_reserve(&csv->scan, end - csv->scanned, st))
        return false;
    csv->scanned = csv_scan(&csv->scan, csv->window.data, csv->scanned, end, csv->eof);
    if (csv->own.dialect.newline == CSV_NEWLINE_AUTO && !csv->stray_cr)
        csv->stray_cr = has_stray_cr(csv, before > 0 ? before - 1 : 0);
    if (csv->eof)
        close_last_row(csv);
    return true;
}

bool
csv_rows_fill(Csv *csv, Status *st)
{
    forget_taken(csv);
    return csv_rows_read(csv, CSV_CHUNK, st) && csv_rows_scan(csv, st);
}

/* ---- judging ----------------------------------------------------------- */

/* The line that the byte at window position `at` of the row stands on. */
static uint64_t
line_at(const Csv *csv, const CsvRow *row, uint32_t at)
{
    uint64_t line = row->line;
    uint32_t i;

    for (i = row->start; i < at; i++)
        line += csv_ends_line(csv, i);
    return line;
}

/* csv->problem.message says what is wrong with the row, of which the bytes before raw_end are known, or are `all`. */
static CsvRowKind
problem(Csv *csv, const CsvRow *row, const char *sqlstate, uint32_t raw_end, bool all)
{
    CsvProblem *p = &csv->problem;
    uint64_t last = raw_end > row->start ? line_at(csv, row, raw_end - 1) : row->line;
    size_t used = strlen(p->message);

    if (last > row->line && all)
        snprintf(p->message + used, sizeof(p->message) - used, "; the row takes lines %" PRIu64 " to %" PRIu64, row->line, last);
    else if (last > row->line)
        snprintf(p->message + used, sizeof(p->message) - used, "; the row reaches line %" PRIu64, last);
    p->misfit = CSV_NO_MISFIT;
    p->sqlstate = sqlstate;
    p->line = row->line;
    p->offset = csv->base + row->start;
    p->start = row->start;
    p->length = raw_end - row->start;
    return CSV_ROW_REJECT;
}

/* The field is longer than its limit: in quotes that is often because they are not closed. */
static void
describe_long_field(Csv *csv, const CsvRow *row, size_t number, uint32_t start)
{
    uint8_t quote = csv->options->dialect.quote;
    char *message = csv->problem.message;
    size_t size = sizeof(csv->problem.message), used;

    used = (size_t) snprintf(message, size, "field %zu is longer than maxFieldBytes (%" PRIu32 ")", number, csv->options->max_field);
    if (quote != 0 && csv->window.data[start] == quote)
        snprintf(message + used, size - used, ", in quotes opened on line %" PRIu64 " that are perhaps not closed",
                 line_at(csv, row, start));
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
            describe_long_field(csv, row, i - row->first + 1, (uint32_t) field_start);
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
    problem(csv, row, STATUS_LIMIT, (uint32_t) at, false);
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
    return problem(csv, row, STATUS_BAD_FORMAT, row->end, true);
}

/* newline is AUTO: a CR that ends no line and stands in no quotes.  False: the row has none. */
static bool
bad_cr(Csv *csv, const CsvRow *row)
{
    uint32_t field;
    bool quoted;

    if (memchr(csv->window.data + row->start, '\r', row->end - row->start) == NULL)
        return false;
    for (field = 0; field < row->nfields; field++)
    {
        Cell cell = csv_field(csv, row, field, &quoted);

        if (quoted || memchr(cell.s, '\r', cell.n) == NULL)
            continue;
        snprintf(csv->problem.message, sizeof(csv->problem.message),
                 "unquoted carriage return in field %" PRIu32 ", which ends no line here (with \"newline\": \"lf\" it is data)",
                 field + 1);
        problem(csv, row, STATUS_BAD_FORMAT, row->end, true);
        return true;
    }
    return false;
}

/* What is left in the window has no end (yet). */
static CsvRowKind
judge_rest(Csv *csv, CsvRow *row)
{
    CsvScan *scan = &csv->scan;

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
    snprintf(csv->problem.message, sizeof(csv->problem.message),
             "quotes opened on line %" PRIu64 " are not closed by the end of the file",
             line_at(csv, row, scan->seps[scan->nseps - 1] + 1));
    return problem(csv, row, STATUS_BAD_FORMAT, (uint32_t) csv->window.used, true);
}

/* The scanner found no quotes in it for the same reason. */
static bool
is_comment(const Csv *csv, const CsvRow *row)
{
    const CsvScanDialect *d = &csv->options->dialect;

    return row->end - row->start >= d->comment_length &&
        memcmp(csv->window.data + row->start, d->comment, d->comment_length) == 0;
}

/* The fields of a long row behind those that have names are empty. */
static bool
further_empty(const Csv *csv, const CsvRow *row)
{
    const CsvOptions *o = csv->options;
    uint32_t field;
    bool quoted;

    for (field = (uint32_t) csv->expected; field < row->nfields; field++)
    {
        Cell cell = csv_field(csv, row, field, &quoted);

        if (o->trim == CSV_TRIM_ALL || (o->trim == CSV_TRIM_UNQUOTED && !quoted))
            cell = csv_trim(cell);
        if (cell.n > 0)
            return false;
    }
    return true;
}

/* shortRows or longRows take a row of another length. */
static bool
length_allowed(Csv *csv, const CsvRow *row)
{
    const CsvOptions *o = csv->options;
    bool allowed;

    if (row->nfields < csv->expected)
        allowed = o->pad;
    else
        allowed = o->long_rows == CSV_LONG_TRUNCATE || (o->long_rows == CSV_LONG_TRUNCATE_EMPTY && further_empty(csv, row));
    csv->ragged |= allowed;
    return allowed;
}

static CsvRowKind
wrong_length(Csv *csv, const CsvRow *row)
{
    snprintf(csv->problem.message, sizeof(csv->problem.message), "row has %" PRIu32 " field%s, expected %zu", row->nfields,
             row->nfields == 1 ? "" : "s", csv->expected);
    problem(csv, row, STATUS_BAD_FORMAT, row->end, true);
    csv->problem.misfit = row->nfields < csv->expected ? CSV_SHORT : further_empty(csv, row) ? CSV_LONG_EMPTY : CSV_LONG;
    return CSV_ROW_REJECT;
}

CsvRowKind
csv_rows_next(Csv *csv, CsvRow *row)
{
    CsvScan *scan = &csv->scan;
    const CsvScanDialect *d = &csv->options->dialect;
    /* CRs before a row's LF that are no data; two are a known corruption */
    int crs = d->newline == CSV_NEWLINE_CRLF ? 1 : d->newline == CSV_NEWLINE_AUTO || d->newline == CSV_NEWLINE_ANY ? 2 : 0;
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
        row->end = end;
        for (int i = 0; i < crs && row->end > row->start && csv->window.data[row->end - 1] == '\r'; i++)
            row->end--;
        if (row->end == row->start && !csv->blank_rows)
            continue;
        /* With the CR: the limits must not depend on whether the LF was seen yet. */
        if ((end - row->start > limit || row->nfields > CSV_MAX_FIELDS) &&
            passes_limit(csv, row, last - 1, end))
            return CSV_ROW_REJECT;
        if (d->comment_length > 0 && is_comment(csv, row))
            continue;
        if (bad != NULL)
            return bad_quoting(csv, row, bad);
        if (csv->stray_cr && bad_cr(csv, row))
            return CSV_ROW_REJECT;
        if (row->nfields != csv->expected && csv->expected != 0 && !length_allowed(csv, row))
            return wrong_length(csv, row);
        return CSV_ROW_FINE;
    }
    return judge_rest(csv, row);
}
