/*
 * csv_dump.h: reads CSV (or another format) from memory through the real format and writes what
 * came out as text, so that a test compares one string.
 *
 * Output: one line a row, "<line>@<offset> [cell][cell]"; null is <null>, a
 * bad or raw cell is followed by !state; a reject is "<line>@<offset>
 * REJECT <sqlstate> <message> {raw}"; a failure "ERROR <sqlstate> <message>".
 * Every batch goes through wire_batch_open, as at a worker.  The input can be
 * handed over in pieces of any size, and compressed.  Used by unit tests and
 * fuzz targets.
 */
#ifndef KAIREON_TEST_CSV_DUMP_H
#define KAIREON_TEST_CSV_DUMP_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "format/csv.h"
#include "format/decompress.h"
#include "format/encoding.h"
#include "format/json.h"

/* Memory that comes in a first piece of `first` bytes and then pieces of `step`. */
typedef struct Pieces
{
    const char *data;
    size_t n, at, first, step;
} Pieces;

__attribute__((unused)) static bool
pieces_read(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Pieces *p = context;
    size_t n = p->at < p->first ? p->first - p->at : p->step;

    (void) st;
    if (n > size)
        n = size;
    if (n > p->n - p->at)
        n = p->n - p->at;
    memcpy(out, p->data + p->at, n);
    p->at += n;
    *got = n;
    return true;
}

__attribute__((unused, format(printf, 2, 3))) static void
say(Buf *out, const char *fmt, ...)
{
    Status st;
    va_list args;
    int n;

    if (!buf_reserve(out, 70000, &st))
        abort();
    va_start(args, fmt);
    n = vsnprintf((char *) out->data + out->used, 70000, fmt, args);
    va_end(args);
    out->used += n > 69999 ? 69999 : (size_t) n;
}

__attribute__((unused)) static void
dump_reject(Buf *out, const WireReject *r)
{
    say(out, "%" PRIu64 "@%" PRIu64 " REJECT %s %.*s {%.*s}\n", r->line, r->offset, r->sqlstate,
        (int) r->message.length, r->message.data, (int) r->raw.length, r->raw.data);
}

__attribute__((unused)) static void
dump_cell(Buf *out, const WireBatch *batch, const WireColumnHeader *column, uint32_t row)
{
    uint64_t slot = ((const uint64_t *) (batch->body + column->values_at))[row];
    uint8_t state = column->states_at == 0 ? 0 : batch->body[column->states_at + row];

    if (state == WIRE_NULL)
        say(out, "<null>");
    else if (column->type == WIRE_TEXT || state >= WIRE_RAW)
    {
        uint32_t at = (uint32_t) slot, n = (uint32_t) (slot >> 32);

        if (!wire_text_slot_ok(slot, column->arena_length))
            abort();
        say(out, "[%.*s]", (int) n, batch->body + column->arena_at + at + wire_text_room(n));
        if (state != WIRE_VALUE)
            say(out, "!%d", state);
    }
    else if (column->type == WIRE_DECIMAL)
        say(out, "[%" PRId64 "e-%d]", (int64_t) slot, batch->body[column->scales_at + row]);
    else
        say(out, "[%" PRId64 "]", (int64_t) slot);
}

__attribute__((unused)) static void
dump_batch(Buf *out, uint8_t *body, size_t length, const uint8_t *types, uint32_t ncols)
{
    WireBatch batch;
    const char *wrong = wire_batch_open(body, length, types, ncols, &batch);
    uint32_t row, left, i;
    WireReject reject;

    if (wrong != NULL)
    {
        fprintf(stderr, "broken batch: %s\n", wrong);
        abort();
    }
    left = batch.header->nrejects;
    if (left > 0)
        wire_get_reject(&batch.rejects, &reject);
    for (row = 0; row <= batch.header->nrows; row++)
    {
        for (; left > 0 && reject.before_row == row; left--)
        {
            dump_reject(out, &reject);
            if (left > 1)
                wire_get_reject(&batch.rejects, &reject);
        }
        if (row == batch.header->nrows)
            break;
        say(out, "%" PRIu64 "@%" PRIu64 " ", batch.header->first_line + batch.lines[row],
            batch.header->first_offset + batch.offsets[row]);
        for (i = 0; i < ncols; i++)
            dump_cell(out, &batch, &batch.columns[i], row);
        say(out, "\n");
    }
}

/* The body of the builder's message, to be freed, with its columns' types; empties the builder. */
__attribute__((unused)) static uint8_t *
take_message(BatchBuilder *b, uint8_t *types, size_t *length)
{
    struct iovec *pieces;
    uint8_t *message;
    size_t at = 0;
    int n, i;
    uint32_t c;
    Status st;

    if (!batch_complete(b) || !batch_finish(b, 0, 0, &pieces, &n, &st))
        abort();
    *length = 0;
    for (i = 0; i < n; i++)
        *length += pieces[i].iov_len;
    message = malloc(*length);
    for (i = 0; i < n; i++)
    {
        memcpy(message + at, pieces[i].iov_base, pieces[i].iov_len);
        at += pieces[i].iov_len;
    }
    *length -= sizeof(WireHeader);
    if (wire_header_check((WireHeader *) message) != NULL || ((WireHeader *) message)->length != *length)
        abort();
    for (c = 0; c < b->ncols; c++)
        types[c] = (uint8_t) column_wire_type(b->columns[c].spec.kind);
    batch_reset(b);
    memmove(message, message + sizeof(WireHeader), *length);
    return message;
}

/* Flattens the builder's message and dumps it; empties the builder. */
__attribute__((unused)) static void
dump_builder(Buf *out, BatchBuilder *b)
{
    uint8_t types[WIRE_MAX_COLUMNS], *body;
    size_t length;

    body = take_message(b, types, &length);
    dump_batch(out, body, length, types, b->ncols);
    free(body);
}

typedef struct DumpHow
{
    const Format *format;   /* NULL: CSV */

    const char *options;    /* JSON, NULL for {} */
    CsvScanPath path;
    size_t first, step;     /* sizes of the pieces */
    bool packed;            /* the input is compressed */
    uint32_t batch_rows;
    size_t batch_bytes;
    const ColumnSpec *specs;    /* NULL: every field as text */
    const int *map;
    uint32_t ncols;
    bool survey;            /* no rows, but what the first ones are like, as JSON */
    bool needs_field;       /* no rows when there is no field: `map` has the first one */
} DumpHow;

__attribute__((unused)) static void
dump_rows(Buf *out, void *state, const DumpHow *how)
{
    const Format *format = how->format ? how->format : &format_csv;
    FormatSplit split = {.path = "dir/file.csv", .mtime = INT64_C(86400000001)};
    const char *const *names;
    ColumnSpec *specs;
    BatchBuilder builder;
    size_t n, i;
    int *map;
    bool end = false;
    Status st;

    format->fields(state, &names, &n);
    if (n > WIRE_MAX_COLUMNS)
        n = WIRE_MAX_COLUMNS;
    specs = calloc(n + 1, sizeof(*specs));
    map = calloc(n + 1, sizeof(*map));
    for (i = 0; i < n; i++)
    {
        say(out, "%s(%s)", i > 0 ? " " : "", names[i]);
        specs[i].name = names[i];
        map[i] = (int) i;
    }
    say(out, "\n");
    end = how->needs_field && n == 0;
    if (!batch_init(&builder, how->specs ? how->specs : specs, how->specs ? how->ncols : (uint32_t) n,
                    how->batch_rows ? how->batch_rows : 1000, how->batch_bytes ? how->batch_bytes : 131072, &st))
        abort();
    while (!end)
    {
        if (!format->next(state, &split, &builder, how->map ? how->map : map, UINT64_MAX, &end, &st))
        {
            dump_builder(out, &builder);
            say(out, "ERROR %s %s\n", st.sqlstate, st.message);
            break;
        }
        dump_builder(out, &builder);
    }
    batch_free(&builder);
    free(specs);
    free(map);
}

__attribute__((unused)) static void
dump_survey(Buf *out, void *state, const Format *format)
{
    json_t *dialect = json_object();
    char *text;

    if (!format->survey(state, dialect))
        abort();
    text = json_dumps(json_object_get(dialect, "sample"), JSON_COMPACT);
    say(out, "%s", text);
    free(text);
    json_decref(dialect);
}

/* What stands between the bytes and the rows, as in a session. */
typedef struct Stages
{
    const Format *format;
    json_t *json;
    void *options, *state;
    Decompress *plain;
    EncodingStage *text;
} Stages;

__attribute__((unused)) static bool
stages_open(Stages *s, ByteSource source, const DumpHow *how, Status *st)
{
    const char *encoding = json_string_value(json_object_get(s->json, "encoding"));
    Encoding kind = ENCODING_UTF8;

    if (how->format == NULL)
        ((CsvOptions *) s->options)->path = how->path;
    else
        ((JsOptions *) s->options)->portable = how->path == CSV_SCAN_PORTABLE;
    status_clear(st);
    if (encoding != NULL && !encoding_find(encoding, &kind))
        abort();
    static const DecompressLimits none;
    const char *name;
    bool more;

    return (!how->packed || (decompress_open(&s->plain, COMPRESSION_AUTO, &none, source, st) && decompress_next(s->plain, &name, &more, st))) &&
        encoding_open(&s->text, kind, how->packed ? decompress_source(s->plain) : source, st) &&
        s->format->open(s->options, encoding_source(s->text), &s->state, st);
}

__attribute__((unused)) static void
stages_close(Stages *s)
{
    s->format->close(s->state);
    encoding_close(s->text);
    decompress_close(s->plain);
    s->format->options_free(s->options);
    json_decref(s->json);
}

/* The dump of n bytes of CSV, to be freed. */
__attribute__((unused)) static char *
csv_dump(const char *data, size_t n, const DumpHow *how)
{
    Pieces pieces = {data, n, 0, how->first ? how->first : n, how->step ? how->step : n + 1};
    Stages s = {.format = how->format ? how->format : &format_csv, .json = json_loads(how->options ? how->options : "{}", 0, NULL)};
    Buf out;
    Status st;
    char *text;

    buf_init(&out, SIZE_MAX / 2);
    if (s.json == NULL)
        abort();
    if (!s.format->options_parse(s.json, &s.options, &st))
        say(&out, "OPTIONS %s %s\n", st.sqlstate, st.message);
    else if (!stages_open(&s, (ByteSource) {pieces_read, &pieces}, how, &st))
        say(&out, "ERROR %s %s\n", st.sqlstate, st.message);
    else if (how->survey)
        dump_survey(&out, s.state, s.format);
    else
        dump_rows(&out, s.state, how);
    stages_close(&s);
    say(&out, "%s", "");
    text = strndup((char *) out.data, out.used);
    buf_free(&out);
    return text;
}

#endif
