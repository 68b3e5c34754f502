/*
 * csv.c: the CSV format: header, fields, and filling the batch builder.
 *
 * csv_rows.c offers rows one by one; here they are taken a segment at a time
 * (some hundred rows that lie in the window together).  For each of the
 * builder's columns the segment's fields are cut into cells, unquoted only
 * where needed, and handed over: so each converter runs over many fields in
 * one go, and fields that no column asks for are never touched.
 *
 * Whether the text is valid UTF-8 is asked once for a segment (and not at all
 * when the scanner saw only ASCII); cells are looked at one by one only in a
 * segment that fails.
 */
#include "format/csv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/convert.h"

/* Bytes of a pseudo-column's text for one row. */
#define PSEUDO_MAX 24

/* ---- header ------------------------------------------------------------ */

/* Where csv_rows_next stands, to take a row back. */
typedef struct Place { size_t row, inner, bad; uint64_t line; } Place;

static bool
first_row(Csv *csv, CsvRow *row, bool *found, Place *before, Status *st)
{
    CsvRowKind kind;

    for (;;)
    {
        *before = (Place) {csv->next_row, csv->next_inner, csv->next_bad, csv->line};
        kind = csv_rows_next(csv, row);
        if (kind != CSV_ROW_NONE)
            break;
        if (!csv_rows_fill(csv, st))
            return false;
    }
    *found = kind == CSV_ROW_FINE;
    if (kind != CSV_ROW_REJECT)
        return true;
    status_fail(st, csv->problem.sqlstate, "header can't be read: %s", csv->problem.message);
    st->line = csv->problem.line;
    st->offset = csv->problem.offset;
    return false;
}

static bool
allocate_names(Csv *csv, size_t n, size_t bytes, Status *st)
{
    csv->names = calloc(n + 1, sizeof(*csv->names));
    csv->names_text = malloc(bytes + 1);
    if (csv->names == NULL || csv->names_text == NULL)
        return status_out_of_memory(st, n * sizeof(*csv->names) + bytes);
    csv->nnames = n;
    return true;
}

static bool
names_from_header(Csv *csv, const CsvRow *row, Status *st)
{
    size_t at = 0;
    uint32_t i;
    bool quoted;

    if (!allocate_names(csv, row->nfields, (size_t) (row->end - row->start) + row->nfields, st))
        return false;
    for (i = 0; i < row->nfields; i++)
    {
        Cell cell = csv_field(csv, row, i, &quoted);
        size_t n = cell.n;

        if (!convert_utf8_valid(cell.s, cell.n))
        {
            status_fail(st, STATUS_BAD_ENCODING, "name of field %" PRIu32 " in the header is not valid UTF-8", i + 1);
            st->line = row->line;
            st->offset = csv->base + row->start;
            return false;
        }
        if (quoted)
            n = csv_unescape(csv->options, cell, csv->names_text + at);
        else
            memcpy(csv->names_text + at, cell.s, n);
        csv->names[i] = csv->names_text + at;
        csv->names_text[at + n] = '\0';
        at += n + 1;
    }
    return true;
}

/* Neither a header nor `columns`: the fields are column1, column2, ... */
static bool
names_by_number(Csv *csv, uint32_t n, Status *st)
{
    uint32_t i;

    if (!allocate_names(csv, n, (size_t) n * PSEUDO_MAX, st))
        return false;
    for (i = 0; i < n; i++)
    {
        csv->names[i] = csv->names_text + (size_t) i * PSEUDO_MAX;
        snprintf(csv->names_text + (size_t) i * PSEUDO_MAX, PSEUDO_MAX, "column%" PRIu32, i + 1);
    }
    return true;
}

static bool
find_names(Csv *csv, Status *st)
{
    const CsvOptions *o = csv->options;
    bool listed = o->columns != NULL, found = false;
    CsvRow row;
    Place before;

    csv->has_header = o->header == CSV_HEADER_YES || (o->header == CSV_HEADER_AUTO && !listed);
    if (csv->has_header || !listed)
    {
        if (!first_row(csv, &row, &found, &before, st))
            return false;
    }
    if (listed)
    {
        csv->names = o->columns;
        csv->nnames = o->ncolumns;
    }
    else if (found && csv->has_header)
    {
        if (!names_from_header(csv, &row, st))
            return false;
    }
    else if (found)
    {
        if (!names_by_number(csv, row.nfields, st))
            return false;
        csv->next_row = before.row;
        csv->next_inner = before.inner;
        csv->next_bad = before.bad;
        csv->line = before.line;
    }
    csv->expected = csv->nnames;
    return true;
}

/* ---- opening ----------------------------------------------------------- */

static void
csv_close(void *state)
{
    Csv *csv = state;

    if (csv == NULL)
        return;
    if (csv->names != csv->options->columns)
        free(csv->names);
    free(csv->names_text);
    free(csv->rows);
    free(csv->cells);
    csv_rows_free(csv);
    free(csv);
}

static bool
csv_open(const void *options, ByteSource source, void **state, Status *st)
{
    Csv *csv = calloc(1, sizeof(*csv));
    bool fine;

    *state = NULL;
    if (csv == NULL)
        return status_out_of_memory(st, sizeof(*csv));
    fine = csv_rows_init(csv, options, source, st);
    csv->rows = malloc(CSV_SEGMENT * sizeof(*csv->rows));
    csv->cells = malloc(CSV_SEGMENT * sizeof(*csv->cells));
    if (fine && (csv->rows == NULL || csv->cells == NULL))
        fine = status_out_of_memory(st, CSV_SEGMENT * sizeof(*csv->rows));
    if (!fine || !find_names(csv, st))
    {
        csv_close(csv);
        return false;
    }
    *state = csv;
    return true;
}

static void
csv_fields(const void *state, const char *const **names, size_t *n)
{
    const Csv *csv = state;

    *names = csv->names;
    *n = csv->nnames;
}

static bool
csv_describe(const void *state, json_t *dialect)
{
    const Csv *csv = state;
    char delimiter[2] = {(char) csv->options->delimiter, 0};
    char quote[2] = {(char) csv->options->quote, 0};
    char escape[2] = {(char) csv->options->escape, 0};
    json_t *names = json_array();
    size_t i;

    for (i = 0; i < csv->nnames; i++)
        json_array_append_new(names, json_string(csv->names[i]));
    return json_object_set_new(dialect, "delimiter", json_string(delimiter)) == 0 &&
        json_object_set_new(dialect, "quote", json_string(quote)) == 0 &&
        json_object_set_new(dialect, "escape", json_string(escape)) == 0 &&
        json_object_set_new(dialect, "header", json_boolean(csv->has_header)) == 0 &&
        json_object_set_new(dialect, "fields", names) == 0;
}

/* ---- cells ------------------------------------------------------------- */

static inline bool
is_null(const CsvOptions *o, const char *s, size_t n)
{
    size_t i;

    if (o->only_empty_is_null)
        return n == 0;
    for (i = 0; i < o->nnulls; i++)
        if (strlen(o->nulls[i]) == n && memcmp(o->nulls[i], s, n) == 0)
            return true;
    return false;
}

/* Cuts one field out of n rows into csv->cells.  scratch has room for all their bytes. */
static void
cut_field(Csv *csv, uint32_t n, uint32_t field)
{
    const CsvOptions *o = csv->options;
    const char *data = (const char *) csv->window.data;
    const uint32_t *seps = csv->scan.seps + field;
    bool last = field + 1 == csv->expected;
    char *scratch = (char *) csv->scratch.data;
    uint32_t i;

    for (i = 0; i < n; i++)
    {
        const CsvRow *row = &csv->rows[i];
        uint32_t start = seps[row->first] + 1;
        uint32_t end = last ? row->end : seps[row->first + 1];
        Cell cell = {data + start, end - start};

        if (cell.n >= 2 && (uint8_t) cell.s[0] == o->quote && o->quote != 0)
        {
            cell.s++;
            cell.n -= 2;
            if (memchr(cell.s, o->escape, cell.n) != NULL)
            {
                cell.n = csv_unescape(o, cell, scratch);
                cell.s = scratch;
                scratch += cell.n;
            }
        }
        else if (is_null(o, cell.s, cell.n))
            cell.s = NULL, cell.n = 0;
        csv->cells[i] = cell;
    }
}

static size_t
write_number(char *out, uint64_t value)
{
    char digits[PSEUDO_MAX];
    size_t n = 0, i;

    do
        digits[n++] = (char) ('0' + value % 10);
    while ((value /= 10) != 0);
    for (i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

/* Microseconds since 1970 as a timestamptz in UTC; out has 64 bytes. */
static size_t
write_time(char *out, int64_t micros)
{
    int64_t seconds = micros / 1000000, days, z, era, doe, yoe, doy, mp, y, m;
    int fraction = (int) (micros % 1000000);

    if (fraction < 0)
        fraction += 1000000, seconds--;
    days = seconds / 86400;
    if (seconds % 86400 < 0)
        days--;
    seconds -= days * 86400;
    /* Days to year, month, day: eras of 400 years that begin on 1 March. */
    z = days + 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    doe = z - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    m = mp < 10 ? mp + 3 : mp - 9;
    y = yoe + era * 400 + (m <= 2 ? 1 : 0);
    return (size_t) snprintf(out, 64, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", (int) y, (int) m,
                             (int) (doy - (153 * mp + 2) / 5 + 1), (int) (seconds / 3600),
                             (int) (seconds / 60 % 60), (int) (seconds % 60), fraction);
}

/* Cells of a pseudo-column: its text, which then goes through the column's converter. */
static void
cut_pseudo(Csv *csv, const FormatSplit *split, uint32_t n, int which)
{
    char *scratch = (char *) csv->scratch.data;
    size_t length = strlen(split->path);
    uint32_t i;

    if (which == FIELD_SOURCE)
        memcpy(scratch, split->path, length);
    else if (which == FIELD_MODIFIED_AT)
        length = write_time(scratch, split->mtime);
    for (i = 0; i < n; i++)
    {
        if (which == FIELD_LINE || which == FIELD_OFFSET)
        {
            length = write_number(scratch, which == FIELD_LINE ? csv->rows[i].line
                                  : csv->base + csv->rows[i].start);
            csv->cells[i] = (Cell) {scratch, length};
            scratch += length;
        }
        else
            csv->cells[i] = (Cell) {scratch, length};
    }
}

/* ---- segments ---------------------------------------------------------- */

static bool
add_problem(Csv *csv, BatchBuilder *builder, Status *st)
{
    const CsvProblem *p = &csv->problem;
    Cell raw = {(const char *) csv->window.data + p->start, p->length};

    /* What comes later can't appear in the reject: each byte becomes at least one. */
    if (raw.n > BATCH_RAW_MAX)
        raw.n = BATCH_RAW_MAX;
    return batch_reject(builder, p->line, p->offset, p->sqlstate, p->message, raw, st);
}

/*
 * Takes rows from the window into csv->rows, and their places and the rejects
 * between them into the builder.  *n: how many; *kind: why it stopped
 * (CSV_ROW_FINE: the segment is long enough).
 */
static bool
take_segment(Csv *csv, BatchBuilder *builder, uint64_t limit, uint32_t *n, CsvRowKind *kind, Status *st)
{
    uint32_t most = batch_room(builder);
    size_t bytes = 0;

    if (most > CSV_SEGMENT)
        most = CSV_SEGMENT;
    if (most > limit)
        most = (uint32_t) limit;
    *n = 0;
    *kind = CSV_ROW_FINE;
    while (*n < most && bytes <= builder->max_bytes && builder->nrejects < builder->max_rows &&
           builder->rejects.used <= builder->max_bytes)
    {
        CsvRow *row = &csv->rows[*n];

        *kind = csv_rows_next(csv, row);
        if (*kind == CSV_ROW_FINE)
        {
            batch_row(builder, row->line, csv->base + row->start);
            bytes += row->end - row->start;
            (*n)++;
        }
        else if (*kind != CSV_ROW_REJECT)
            return true;
        else if (!add_problem(csv, builder, st))
            return false;
    }
    *kind = CSV_ROW_FINE;
    return true;
}

/* Every cell between these rows is valid UTF-8 without zero bytes. */
static bool
segment_clean(const Csv *csv, uint32_t n)
{
    uint32_t from = csv->rows[0].start, to = csv->rows[n - 1].end;

    if (csv->scan.dirty_to <= from || csv->scan.dirty_from >= to)
        return true;
    return convert_utf8_valid((const char *) csv->window.data + from, to - from);
}

static bool
convert_segment(Csv *csv, const FormatSplit *split, BatchBuilder *builder, const int *map,
                uint32_t n, Status *st)
{
    bool clean = segment_clean(csv, n);
    size_t bytes = csv->rows[n - 1].end - csv->rows[0].start;
    uint32_t i;

    csv->scratch.used = 0;
    if (!buf_reserve(&csv->scratch, bytes + (size_t) n * PSEUDO_MAX + strlen(split->path) + 64, st))
        return false;
    for (i = 0; i < builder->ncols; i++)
    {
        /* A field may go into several columns; its cells are cut once when they are neighbours. */
        if (map[i] == FIELD_ABSENT)
        {
            batch_nulls(builder, i, n);
            continue;
        }
        if (map[i] >= 0 && (i == 0 || map[i - 1] != map[i]))
            cut_field(csv, n, (uint32_t) map[i]);
        else if (map[i] < 0)
            cut_pseudo(csv, split, n, map[i]);
        if (!batch_cells(builder, i, csv->cells, n, map[i] >= 0 ? clean : map[i] != FIELD_SOURCE, st))
            return false;
    }
    return true;
}

static bool
csv_next(void *state, const FormatSplit *split, BatchBuilder *builder, const int *map,
         uint64_t row_limit, bool *end, Status *st)
{
    Csv *csv = state;
    CsvRowKind kind;
    uint32_t n;

    *end = false;
    while (row_limit > 0 && !batch_full(builder))
    {
        /* What the window holds must fit the batch's 32-bit distances. */
        if (!batch_place_fits(builder, csv->line, csv->base + csv->window.used))
            return true;
        if (!take_segment(csv, builder, row_limit, &n, &kind, st))
            return false;
        row_limit -= n;
        if (n > 0 && !convert_segment(csv, split, builder, map, n, st))
        {
            if (st->line == 0)
                st->line = csv->rows[0].line;
            return false;
        }
        if (kind == CSV_ROW_END)
        {
            *end = true;
            return true;
        }
        if (kind == CSV_ROW_NONE && !csv_rows_fill(csv, st))
            return false;
    }
    *end = row_limit == 0;
    return true;
}

const Format format_csv = {
    .name = "csv",
    .options_parse = csv_options_parse,
    .options_free = csv_options_free,
    .open = csv_open,
    .close = csv_close,
    .fields = csv_fields,
    .describe = csv_describe,
    .next = csv_next,
};
