/*
 * csv.c: the CSV and TSV formats: opening, describing, filling the batch builder.
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
#include "format/pseudo.h"

/* ---- opening ----------------------------------------------------------- */

static void
csv_close(void *state)
{
    Csv *csv = state;

    if (csv == NULL)
        return;
    if (csv->names != csv->options->columns)
        free(csv->names);
    free(csv->rows);
    free(csv->cells);
    free(csv->respelled);
    csv_rows_free(csv);
    free(csv);
}

/* What every state has, before anything is read; NULL: out of memory. */
static Csv *
csv_new(const CsvOptions *options, ByteSource source, Status *st)
{
    Csv *csv = calloc(1, sizeof(*csv));

    if (csv != NULL)
    {
        csv_rows_init(csv, options, source);
        csv->rows = malloc(CSV_SEGMENT * sizeof(*csv->rows));
        csv->cells = malloc(CSV_SEGMENT * sizeof(*csv->cells));
        csv->respelled = malloc(CSV_SEGMENT * sizeof(*csv->respelled));
    }
    if (csv != NULL && csv->rows != NULL && csv->cells != NULL && csv->respelled != NULL)
        return csv;
    csv_close(csv);
    status_out_of_memory(st, sizeof(*csv) + CSV_SEGMENT * sizeof(*csv->rows));
    return NULL;
}

static bool
csv_open(const void *options, ByteSource source, void **state, Status *st)
{
    Csv *csv = csv_new(options, source, st);

    *state = NULL;
    if (csv == NULL)
        return false;
    if (!csv_open_begin(csv, st) || !csv_header_read(csv, st))
    {
        csv_close(csv);
        return false;
    }
    *state = csv;
    return true;
}

static bool
csv_open_record(const void *options, const FormatRecord *record, void **state, Status *st)
{
    Csv *csv = csv_new(options, (ByteSource) {0}, st);

    *state = NULL;
    if (csv == NULL)
        return false;
    if (!csv_record_begin(csv, record, st))
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

/* Why the dialect is taken to be what it is, with what the file has in it or without. */
static json_t *
get_reason(const Csv *csv, bool contents)
{
    char text[sizeof(csv->reason)];
    size_t at = contents ? csv->excerpt_end : csv->excerpt_at;

    memcpy(text, csv->reason, at);
    strcpy(text + at, csv->reason + csv->excerpt_end);
    return json_string(text);
}

static json_t *
get_names(const Csv *csv)
{
    json_t *names = json_array();

    for (size_t i = 0; i < csv->nnames; i++)
        json_array_append_new(names, json_string(csv->names[i]));
    return names;
}

/* What people write into the options, so that it can be copied from a run into them. */
static bool
csv_describe(const void *state, bool contents, json_t *dialect)
{
    static const char *const newlines[] = {"auto", "lf", "crlf", "cr", "auto"};
    const Csv *csv = state;
    const CsvScanDialect *d = &csv->options->dialect;
    char quote[2] = {(char) d->quote, 0}, escape[2] = {(char) d->escape, 0};

    if (json_object_set_new(dialect, "delimiter", json_stringn((const char *) d->delimiter, d->delimiter_length)) != 0 ||
        json_object_set_new(dialect, "quote", json_string(quote)) != 0 ||
        json_object_set_new(dialect, "escape", json_string(escape)) != 0 ||
        json_object_set_new(dialect, "newline", json_string(newlines[d->newline])) != 0 ||
        json_object_set_new(dialect, "header", json_boolean(csv->has_header)) != 0 ||
        json_object_set_new(dialect, "skipLines", json_integer(csv->options->skip_lines)) != 0 ||
        (contents && json_object_set_new(dialect, "fields", get_names(csv)) != 0))
        return false;
    return !csv->detected ||
        (json_object_set_new(dialect, "confidence", json_real((int) (csv->confidence * 100 + 1e-9) / 100.0)) == 0 &&
         json_object_set_new(dialect, "reason", get_reason(csv, contents)) == 0);
}

/* ---- segments ---------------------------------------------------------- */

static bool
add_problem(Csv *csv, const FormatSplit *split, BatchBuilder *builder, Status *st)
{
    const CsvProblem *p = &csv->problem;
    Cell raw = {(const char *) csv->window.data + p->start, p->length};

    /* Where a limit is passed the record has no end that is known. */
    bool cut = strcmp(p->sqlstate, STATUS_LIMIT) == 0;

    if (split->record != NULL)
        raw = (Cell) {split->record, strlen(split->record)};
    /* What comes later can't appear in the reject: each byte becomes at least one. */
    if (raw.n > BATCH_RAW_MAX && (builder->record == NULL || cut))
        raw.n = BATCH_RAW_MAX;
    return batch_reject(builder, p->line, p->offset, p->sqlstate, p->message, raw, cut, st);
}

/*
 * Takes rows from the window into csv->rows, and their places and the rejects
 * between them into the builder.  *n: how many; *kind: why it stopped
 * (CSV_ROW_FINE: the segment is long enough).
 */
static bool
take_segment(Csv *csv, const FormatSplit *split, BatchBuilder *builder, uint64_t limit, uint32_t *n, CsvRowKind *kind, Status *st)
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
        if (*kind == CSV_ROW_FINE && csv->base + row->start < split->from)
            continue;
        if (*kind == CSV_ROW_FINE)
        {
            batch_row(builder, row->line, csv->base + row->start);
            bytes += row->end - row->start;
            (*n)++;
        }
        else if (*kind != CSV_ROW_REJECT)
            return true;
        else if (csv->problem.offset >= split->from && !add_problem(csv, split, builder, st))
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
is_number(ColumnKind kind)
{
    return kind == COLUMN_INT2 || kind == COLUMN_INT4 || kind == COLUMN_INT8 || kind == COLUMN_NUMERIC ||
        kind == COLUMN_FLOAT4 || kind == COLUMN_FLOAT8;
}

/* A column's cells of fields, which are in csv->cells. */
static bool
field_cells(Csv *csv, BatchBuilder *builder, uint32_t column, uint32_t n, bool clean, Status *st)
{
    if (csv->options->respell && is_number(builder->columns[column].spec.kind))
        return csv_number_cells(csv, builder, column, n, clean, st);
    return batch_cells(builder, column, csv->cells, n, clean, st);
}

static bool
convert_segment(Csv *csv, const FormatSplit *split, BatchBuilder *builder, const int *map,
                uint32_t n, Status *st)
{
    bool clean = segment_clean(csv, n);
    size_t bytes = csv->rows[n - 1].end - csv->rows[0].start;
    uint32_t i;

    csv->scratch.used = 0;
    if (!buf_reserve(&csv->scratch, bytes + (size_t) n * PSEUDO_MAX + strlen(split->path) + PSEUDO_TIME_MAX, st))
        return false;
    for (i = 0; i < builder->ncols; i++)
    {
        /* A field may go into several columns; its cells are cut once when they are neighbours. */
        if (map[i] == FIELD_ABSENT)
        {
            batch_nulls(builder, i, n);
            continue;
        }
        if (map[i] == FIELD_RECORD)
            return split->record != NULL ? batch_record_name(builder, n, split->record, st) : csv_cut_records(csv, builder, n, st);
        if (map[i] >= 0 && (i == 0 || map[i - 1] != map[i]))
            csv_cut_field(csv, n, (uint32_t) map[i]);
        else if (map[i] < 0)
            csv_cut_pseudo(csv, split, n, map[i]);
        if (map[i] >= 0 ? !field_cells(csv, builder, i, n, clean, st)
            : !batch_cells(builder, i, csv->cells, n, map[i] != FIELD_SOURCE, st))
            return false;
    }
    return true;
}

static bool
csv_field_cells(void *state, BatchBuilder *builder, uint32_t column, const Cell *cells, uint32_t n, Status *st)
{
    Csv *csv = state;
    uint32_t done, some;

    for (done = 0; done < n; done += some)
    {
        some = n - done < CSV_SEGMENT ? n - done : CSV_SEGMENT;
        memcpy(csv->cells, cells + done, some * sizeof(*cells));
        if (!field_cells(csv, builder, column, some, false, st))
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
        csv->ragged = false;
        if (!take_segment(csv, split, builder, row_limit, &n, &kind, st))
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
    .survey = csv_survey,
    .next = csv_next,
    .open_record = csv_open_record,
    .cells = csv_field_cells,
};

const Format format_tsv = {
    .name = "tsv",
    .options_parse = tsv_options_parse,
    .options_free = csv_options_free,
    .open = csv_open,
    .close = csv_close,
    .fields = csv_fields,
    .describe = csv_describe,
    .survey = csv_survey,
    .next = csv_next,
    .open_record = csv_open_record,
    .cells = csv_field_cells,
};
