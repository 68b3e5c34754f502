/*
 * csv_record.c: a record of a CSV object that was read before, by itself.
 *
 * It is cut into fields as it would be where it stood: by the options, and by
 * what was found out for its object where they leave that open.  The header's
 * names come from there too, and lines and offsets are those of the object.
 */
#include <stdlib.h>
#include <string.h>

#include "format/csv.h"

/* A character of the layout; 0 when it has none. */
static uint8_t
layout_character(const json_t *layout, const char *key)
{
    const char *text = json_string_value(json_object_get(layout, key));

    return text == NULL ? 0 : (uint8_t) text[0];
}

/* Leaves nothing open of how the record is written. */
static void
settle_dialect(CsvOptions *o, const json_t *layout)
{
    const char *delimiter = json_string_value(json_object_get(layout, "delimiter"));

    if (o->find_delimiter && delimiter != NULL && delimiter[0] != '\0' && strlen(delimiter) <= sizeof(o->dialect.delimiter))
    {
        o->dialect.delimiter_length = (uint8_t) strlen(delimiter);
        memcpy(o->dialect.delimiter, delimiter, o->dialect.delimiter_length);
    }
    if (o->find_quote)
    {
        o->dialect.quote = layout_character(layout, "quote");
        if (!o->escape_given || o->dialect.quote == 0)
            o->dialect.escape = layout_character(layout, "escape");
    }
    o->find_delimiter = o->find_quote = o->find_skip = false;
    o->header = CSV_HEADER_NO;
    o->skip_lines = o->footer_lines = 0;
}

static bool
take_names(Csv *csv, const json_t *layout, Status *st)
{
    const CsvOptions *o = csv->options;
    const json_t *fields = json_object_get(layout, "fields");
    size_t i;

    if (o->columns != NULL)
    {
        csv->names = o->columns;
        csv->nnames = o->ncolumns;
    }
    else
    {
        size_t n = json_array_size(fields);

        csv->names = calloc(n + 1, sizeof(*csv->names));
        if (csv->names == NULL)
            return status_out_of_memory(st, (n + 1) * sizeof(*csv->names));
        for (i = 0; i < n; i++)
        {
            csv->names[i] = json_string_value(json_array_get(fields, i));
            if (csv->names[i] == NULL)
                return status_fail(st, STATUS_INVALID_VALUE, "a field's name in the layout of a record is no string");
        }
        csv->nnames = n;
    }
    csv->expected = csv->nnames;
    return true;
}

/* The record's bytes into the window. */
static bool
take_bytes(Csv *csv, const FormatRecord *record, Status *st)
{
    if (!buf_append(&csv->window, record->raw, record->n, st))
        return false;
    csv->eof = true;
    csv->tail = csv->own.dialect.delimiter_length - 1U;
    csv_scan_init(&csv->scan, &csv->own.dialect, csv->own.path);
    return csv_scan_reserve(&csv->scan, 0, st) && csv_rows_scan(csv, st);
}

static bool
is_one_row(Csv *csv, Status *st)
{
    Csv before = *csv;
    size_t rows = 0;
    CsvRowKind kind;
    CsvRow row;

    while ((kind = csv_rows_next(csv, &row)) == CSV_ROW_FINE || kind == CSV_ROW_REJECT)
        rows++;
    *csv = before;
    if (rows == 1)
        return true;
    return status_fail(st, STATUS_BAD_FORMAT, rows == 0 ? "record is empty" : "record has more than one row");
}

bool
csv_record_begin(Csv *csv, const FormatRecord *record, Status *st)
{
    settle_dialect(&csv->own, record->layout);
    csv->line = record->line;
    csv->base = record->offset;
    if (record->raw == NULL)
        return true;
    return take_names(csv, record->layout, st) && take_bytes(csv, record, st) && is_one_row(csv, st);
}
