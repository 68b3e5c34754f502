/*
 * debug_sink.c: see debug_sink.h.
 *
 * Typed cells are printed as what they are: numbers as JSON numbers, dates and
 * times as ISO strings, cells that the server would decide as their text, bad
 * cells as {"_bad": why, "text": ...}.
 */
#include "reader/debug_sink.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY INT64_C(86400000000)
/* 2000-01-01 in days since 1970-01-01. */
#define EPOCH_DAYS 10957

static void
print_string(FILE *out, const char *s, size_t n)
{
    size_t i;

    putc('"', out);
    for (i = 0; i < n; i++)
    {
        unsigned char c = (unsigned char) s[i];

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\u%04x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

static void
print_text_slot(const DebugSink *sink, const WireBatch *batch, const WireColumnHeader *column, uint64_t slot)
{
    uint32_t at = (uint32_t) slot, length = (uint32_t) (slot >> 32);

    if (wire_text_slot_ok(slot, column->arena_length))
        print_string(sink->out, (const char *) batch->body + column->arena_at + at + wire_text_room(length), length);
    else
        fputs("\"<broken slot>\"", sink->out);
}

static void
print_date(FILE *out, int64_t days)
{
    int64_t z = days + EPOCH_DAYS + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2 ? 1 : 0);

    fprintf(out, "%04" PRId64 "-%02d-%02d", year, (int) month, (int) (doy - (153 * mp + 2) / 5 + 1));
}

static void
print_timestamp(FILE *out, int64_t micros, const char *zone)
{
    int64_t days = micros / DAY, rest = micros % DAY;

    if (rest < 0)
        rest += DAY, days--;
    putc('"', out);
    print_date(out, days);
    fprintf(out, " %02d:%02d:%02d", (int) (rest / INT64_C(3600000000)), (int) (rest / 60000000 % 60),
            (int) (rest / 1000000 % 60));
    if (rest % 1000000 != 0)
        fprintf(out, ".%06d", (int) (rest % 1000000));
    fprintf(out, "%s\"", zone);
}

static void
print_decimal(FILE *out, int64_t value, int scale)
{
    char digits[32];
    uint64_t magnitude = value < 0 ? 0 - (uint64_t) value : (uint64_t) value;
    int n = snprintf(digits, sizeof(digits), "%0*" PRIu64, scale + 1, magnitude);

    fprintf(out, "%s%.*s", value < 0 ? "-" : "", n - scale, digits);
    if (scale > 0)
        fprintf(out, ".%s", digits + n - scale);
}

static void
print_float(FILE *out, uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    if (isfinite(value))
        fprintf(out, "%.17g", value);
    else
        fputs(isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"", out);
}

static void
print_value(const DebugSink *sink, const WireBatch *batch, const WireColumnHeader *column, uint32_t row)
{
    uint64_t slot = ((const uint64_t *) (batch->body + column->values_at))[row];
    FILE *out = sink->out;

    switch (column->type)
    {
        case WIRE_BOOL:
            fputs(slot != 0 ? "true" : "false", out);
            break;
        case WIRE_INT:
            fprintf(out, "%" PRId64, (int64_t) slot);
            break;
        case WIRE_DECIMAL:
            print_decimal(out, (int64_t) slot, batch->body[column->scales_at + row]);
            break;
        case WIRE_FLOAT:
            print_float(out, slot);
            break;
        case WIRE_DATE:
            putc('"', out);
            print_date(out, (int64_t) slot);
            putc('"', out);
            break;
        case WIRE_TIMESTAMP:
        case WIRE_TIMESTAMPTZ:
            print_timestamp(out, (int64_t) slot, column->type == WIRE_TIMESTAMPTZ ? "+00" : "");
            break;
        default:
            print_text_slot(sink, batch, column, slot);
    }
}

static void
print_cell(const DebugSink *sink, const WireBatch *batch, const WireColumnHeader *column, uint32_t row)
{
    static const char *const bad[] = {
        [WIRE_BAD_SYNTAX] = "syntax", [WIRE_BAD_RANGE] = "range", [WIRE_BAD_LENGTH] = "length",
        [WIRE_BAD_PRECISION] = "precision", [WIRE_BAD_ENCODING] = "encoding", [WIRE_BAD_ESCAPE] = "escape",
    };
    uint64_t slot = ((const uint64_t *) (batch->body + column->values_at))[row];
    uint8_t state = column->states_at == 0 ? WIRE_VALUE : batch->body[column->states_at + row];

    if (state == WIRE_VALUE)
        print_value(sink, batch, column, row);
    else if (state == WIRE_NULL)
        fputs("null", sink->out);
    else if (state == WIRE_RAW)
        print_text_slot(sink, batch, column, slot);
    else
    {
        fprintf(sink->out, "{\"_bad\":\"%s\",\"text\":", bad[state]);
        print_text_slot(sink, batch, column, slot);
        putc('}', sink->out);
    }
}

/* The record's fields as read: ["a", null]; its id in a replay. */
static void
print_record(const DebugSink *sink, const WireBatch *batch, uint32_t row)
{
    const WireColumnHeader *column = &batch->columns[sink->ncolumns];
    uint64_t slot = ((const uint64_t *) (batch->body + column->values_at))[row];
    uint32_t at = (uint32_t) slot, length = (uint32_t) (slot >> 32);
    WireReader r = {batch->body + column->arena_at + at + wire_text_room(length), length, 0, false};
    WireStr field;
    bool first = true;

    fputs("\"_record\":", sink->out);
    if (sink->replayed)
    {
        print_text_slot(sink, batch, column, slot);
        putc(',', sink->out);
        return;
    }
    putc('[', sink->out);
    while (wire_text_slot_ok(slot, column->arena_length) && r.at < r.size && wire_get_field(&r, &field))
    {
        fputs(first ? "" : ",", sink->out);
        first = false;
        if (field.data == NULL)
            fputs("null", sink->out);
        else
            print_string(sink->out, field.data, field.length);
    }
    fputs("],", sink->out);
}

static void
print_row(const DebugSink *sink, const WireBatch *batch, uint32_t row)
{
    uint32_t i;

    putc('{', sink->out);
    for (i = 0; i < sink->ncolumns; i++)
    {
        print_string(sink->out, sink->columns[i].name, strlen(sink->columns[i].name));
        putc(':', sink->out);
        print_cell(sink, batch, &batch->columns[i], row);
        putc(',', sink->out);
    }
    if (sink->records)
        print_record(sink, batch, row);
    fputs("\"_source\":", sink->out);
    print_string(sink->out, sink->path, strlen(sink->path));
    fprintf(sink->out, ",\"_line\":%" PRIu64 "}\n", batch->header->first_line + batch->lines[row]);
}

static void
print_reject(const DebugSink *sink, const WireReject *reject)
{
    fprintf(sink->out, "{\"_reject\":{\"sqlstate\":\"%s\",\"message\":", reject->sqlstate);
    print_string(sink->out, reject->message.data, reject->message.length);
    fprintf(sink->out, ",\"offset\":%" PRIu64 ",\"raw\":", reject->offset);
    print_string(sink->out, reject->raw.data, reject->raw.length);
    fputs("},\"_source\":", sink->out);
    print_string(sink->out, sink->path, strlen(sink->path));
    fprintf(sink->out, ",\"_line\":%" PRIu64 "}\n", reject->line);
}

/* ---- the sink ---------------------------------------------------------- */

static bool
print_object(void *context, const DriverEntry *entry, Status *st)
{
    DebugSink *sink = context;

    (void) st;
    fputs("{\"path\":", sink->out);
    print_string(sink->out, entry->path, strlen(entry->path));
    fprintf(sink->out, ",\"size\":%" PRIu64 ",\"mtime\":%" PRId64 "}\n", entry->size, entry->mtime);
    return true;
}

static bool
begin_split(void *context, const WireSplit *split, const ColumnSpec *columns, Status *st)
{
    DebugSink *sink = context;
    uint32_t i;

    free(sink->path);
    free(sink->types);
    sink->path = strndup(split->place.data, split->place.length);
    sink->types = malloc(split->ncols + 1);
    sink->records = split->fields.length > 0;
    sink->replayed = split->fields.length == 2;
    if (sink->path == NULL || sink->types == NULL)
        return status_out_of_memory(st, 0);
    sink->columns = columns;
    sink->ncolumns = split->ncols;
    for (i = 0; i < split->ncols; i++)
        sink->types[i] = (uint8_t) column_wire_type(columns[i].kind);
    sink->types[i] = WIRE_TEXT;
    return true;
}

static bool
print_batch(void *context, const struct iovec *pieces, int npieces, Status *st)
{
    DebugSink *sink = context;
    const char *wrong;
    WireReject reject;
    WireBatch batch;
    uint32_t row, left;
    int i;

    sink->body.used = 0;
    for (i = 0; i < npieces; i++)
        if (!buf_append(&sink->body, pieces[i].iov_base, pieces[i].iov_len, st))
            return false;
    wrong = wire_header_check((const WireHeader *) sink->body.data);
    if (wrong == NULL)
        wrong = wire_batch_open(sink->body.data + sizeof(WireHeader), sink->body.used - sizeof(WireHeader),
                                sink->types, sink->ncolumns + sink->records, &batch);
    if (wrong != NULL)
        return status_fail(st, "XX000", "the reader made a broken batch: %s", wrong);
    left = batch.header->nrejects;
    if (left > 0)
        wire_get_reject(&batch.rejects, &reject);
    for (row = 0; row <= batch.header->nrows; row++)
    {
        while (left > 0 && reject.before_row == row)
        {
            print_reject(sink, &reject);
            if (--left > 0)
                wire_get_reject(&batch.rejects, &reject);
        }
        if (row < batch.header->nrows)
            print_row(sink, &batch, row);
    }
    if (ferror(sink->out))
        return status_fail(st, STATUS_IO, "could not write the output");
    return true;
}

static bool
end_split(void *context, uint32_t split, uint64_t rows, uint64_t bytes, Status *st)
{
    (void) context, (void) split, (void) rows, (void) bytes, (void) st;
    return true;
}

static bool
print_answer(void *context, const DriverAnswer *answer, Status *st)
{
    DebugSink *sink = context;

    (void) st;
    fprintf(sink->out, "{\"status\":%u,\"wait\":%u,\"said\":", answer->status, answer->wait);
    print_string(sink->out, answer->said, strlen(answer->said));
    fputs("}\n", sink->out);
    return true;
}

void
debug_sink_init(DebugSink *sink, FILE *out)
{
    memset(sink, 0, sizeof(*sink));
    sink->out = out;
    buf_init(&sink->body, (size_t) WIRE_MAX_MESSAGE + sizeof(WireHeader));
}

void
debug_sink_free(DebugSink *sink)
{
    buf_free(&sink->body);
    free(sink->path);
    free(sink->types);
}

Sink
debug_sink_begin(DebugSink *sink)
{
    return (Sink) {sink, print_object, begin_split, print_batch, end_split, print_answer};
}
