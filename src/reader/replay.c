/*
 * replay.c: see replay.h.
 *
 * A record comes either cut into fields, or as the bytes that could not be cut.
 * The first kind goes field by field to the columns; the second is opened by
 * its format as a split of its own.  Records that stood in one object and have
 * the same fields share a split.
 */
#include "reader/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_fields.h"
#include "format/pseudo.h"
#include "reader/columns.h"
#include "reader/output.h"

/* Bytes of one record's cells, with what is written for pseudo-columns. */
#define SCRATCH_MAX (256U << 20)

typedef struct Record
{
    const char *id, *path;
    int64_t mtime, line, offset;
    json_t *fields, *raw, *layout;
    const char *const *names;   /* of its fields */
    size_t nnames;
} Record;

typedef struct Replay
{
    const Request *request;
    Output output;
    const char *path;       /* of the split that is open; NULL: none is */
    int64_t mtime;
    uint64_t rows;          /* of the split */
    const char **names;     /* of its fields; the strings lie in `text` */
    size_t nnames;
    Buf text;
    const char **keys;      /* of the record's fields, and their values; room for `nkeys` */
    json_t **values;
    size_t nkeys;
    int *map;               /* by column */
    uint8_t *present;
    Status wrong;           /* with the split's fields: each of its records is rejected */
    const Format *format;
    const void *options;
    void *cells;            /* the format's state for cells; NULL: not made yet */
    Buf scratch;
} Replay;

/* ---- splits ------------------------------------------------------------ */

static bool
send_rows(Replay *replay, Status *st)
{
    uint32_t rows;

    if (!output_send(&replay->output, 0, &rows, st))
        return false;
    replay->rows += rows;
    return true;
}

static void
forget_split(Replay *replay)
{
    if (replay->cells != NULL)
        replay->format->close(replay->cells);
    free(replay->names);
    replay->cells = NULL;
    replay->names = NULL;
    replay->nnames = 0;
    replay->text.used = 0;
    replay->path = NULL;
}

static bool
end_split(Replay *replay, Status *st)
{
    const Sink *sink = replay->output.sink;

    if (replay->path == NULL)
        return true;
    if (!send_rows(replay, st) || !sink->split_end(sink->context, replay->output.split, replay->rows, 0, st))
        return false;
    forget_split(replay);
    replay->output.split++;
    replay->rows = 0;
    return true;
}

/* Copies the record's names for its split. */
static bool
take_names(Replay *replay, const Record *record, Status *st)
{
    size_t total = 0, i;

    replay->names = calloc(record->nnames + 1, sizeof(*replay->names));
    if (replay->names == NULL)
        return status_out_of_memory(st, (record->nnames + 1) * sizeof(*replay->names));
    for (i = 0; i < record->nnames; i++)
        total += strlen(record->names[i]) + 1;
    /* They must not move when there are more. */
    if (!buf_reserve(&replay->text, total, st))
        return false;
    for (i = 0; i < record->nnames; i++)
    {
        replay->names[i] = (const char *) replay->text.data + replay->text.used;
        if (!buf_append(&replay->text, record->names[i], strlen(record->names[i]) + 1, st))
            return false;
    }
    replay->nnames = record->nnames;
    return true;
}

/* Which field goes into which column: of the split's names, or of a format's rows, which have what fields they like. */
static void
map_fields(Replay *replay, bool strict, const Format *format, void *state)
{
    const Request *request = replay->request;
    uint32_t i;

    status_clear(&replay->wrong);
    for (i = 0; i < request->ncolumns; i++)
    {
        Status wrong;
        bool fine;

        replay->map[i] = FIELD_ABSENT;
        fine = state != NULL && format->add_field != NULL ? column_field(format, state, &request->columns[i], strict, &replay->map[i], &wrong)
            : column_find(replay->names, replay->nnames, &request->columns[i], strict, &replay->map[i], &wrong);
        if (!fine && replay->wrong.sqlstate[0] == '\0')
            replay->wrong = wrong;
        /* such a row may have any field, also where this record has none */
        replay->present[i] = replay->map[i] != FIELD_ABSENT || (state == NULL && format != NULL && format->add_field != NULL);
    }
    replay->map[i] = FIELD_RECORD;
}

/* Does the record belong into the split that is open? */
static bool
continues(const Replay *replay, const Record *record)
{
    size_t i;

    if (replay->path == NULL || strcmp(replay->path, record->path) != 0 || replay->mtime != record->mtime ||
        record->nnames != replay->nnames)
        return false;
    for (i = 0; i < replay->nnames; i++)
        if (strcmp(replay->names[i], record->names[i]) != 0)
            return false;
    return true;
}

static bool
begin_split(Replay *replay, const Record *record, bool strict, const Format *format, void *state, Status *st)
{
    const Request *request = replay->request;
    const Sink *sink = replay->output.sink;
    WireSplit message = {
        .split = replay->output.split,
        .path = {record->path, (uint32_t) strlen(record->path)},
        .place = {record->path, (uint32_t) strlen(record->path)},
        .mtime = record->mtime,
        .dialect = {"{}", 2},
        .fields = {"[]", 2},
        .ncols = request->ncolumns,
        .present = replay->present,
    };

    if (!end_split(replay, st) || !take_names(replay, record, st))
        return false;
    replay->path = record->path;
    replay->mtime = record->mtime;
    map_fields(replay, strict, format, state);
    return sink->split(sink->context, &message, request->columns, st);
}

/* ---- records ----------------------------------------------------------- */

/* Room in the batch for a row or reject of the record. */
static bool
make_room(Replay *replay, const Record *record, Status *st)
{
    const BatchBuilder *b = &replay->output.builder;

    if (!batch_full(b) && batch_place_fits(b, (uint64_t) record->line, (uint64_t) record->offset))
        return true;
    return send_rows(replay, st);
}

static bool
reject(Replay *replay, const Record *record, const Status *wrong, Status *st)
{
    Cell id = {record->id, strlen(record->id)};

    return make_room(replay, record, st) &&
        batch_reject(&replay->output.builder, (uint64_t) record->line, (uint64_t) record->offset, wrong->sqlstate,
                     wrong->message, id, false, st);
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A text, or bytes as {"hex": "..."}; *cell lies in the scratch, which must have room for it. */
static bool
take_value(Replay *replay, const json_t *value, Cell *cell, Status *st)
{
    const char *hex = json_string_value(json_object_get(value, "hex"));
    char *out = (char *) replay->scratch.data + replay->scratch.used;
    size_t n, i;

    *cell = (Cell) {NULL, 0};
    if (json_is_null(value))
        return true;
    if (json_is_string(value))
    {
        n = json_string_length(value);
        memcpy(out, json_string_value(value), n);
    }
    else
    {
        n = hex == NULL ? 1 : strlen(hex);
        for (i = 0; n % 2 == 0 && i < n; i += 2)
        {
            if (hex_digit(hex[i]) < 0 || hex_digit(hex[i + 1]) < 0)
                n = 1;
            else
                out[i / 2] = (char) (hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1]));
        }
        if (n % 2 != 0)
            return status_fail(st, STATUS_INVALID_VALUE, "a value of a record must be a string, null or {\"hex\": digits}");
        n /= 2;
    }
    *cell = (Cell) {out, n};
    replay->scratch.used += n;
    return true;
}

/* Bytes that take_value needs at most. */
static size_t
value_room(const json_t *value)
{
    return json_is_string(value) ? json_string_length(value) : json_string_length(json_object_get(value, "hex"));
}

static bool
add_cells(Replay *replay, const Record *record, Status *st)
{
    BatchBuilder *b = &replay->output.builder;
    uint32_t i;
    Cell cell;

    for (i = 0; i < replay->request->ncolumns; i++)
    {
        int field = replay->map[i];

        replay->scratch.used = 0;
        if (!buf_reserve(&replay->scratch, (field >= 0 ? value_room(replay->values[field]) : strlen(record->path)) + PSEUDO_TIME_MAX, st))
            return false;
        if (field == FIELD_ABSENT)
            batch_nulls(b, i, 1);
        else if (field < 0)
        {
            cell = pseudo_cell((char *) replay->scratch.data, field, record->path, record->mtime, (uint64_t) record->line, (uint64_t) record->offset);
            if (!batch_cells(b, i, &cell, 1, false, st))
                return false;
        }
        else if (!take_value(replay, replay->values[field], &cell, st) ||
                 !replay->format->cells(replay->cells, b, i, &cell, 1, st))
            return false;
    }
    return batch_record_name(b, 1, record->id, st);
}

/* The names and values of a record whose fields are known; in the same order for the same names. */
static bool
take_fields(Replay *replay, Record *record, Status *st)
{
    size_t n = json_object_size(record->fields), i = 0;
    const char *name;
    json_t *value;

    if (n > replay->nkeys || replay->keys == NULL)
    {
        free(replay->keys);
        free(replay->values);
        replay->keys = calloc(n + 1, sizeof(*replay->keys));
        replay->values = calloc(n + 1, sizeof(*replay->values));
        replay->nkeys = n;
        if (replay->keys == NULL || replay->values == NULL)
            return status_out_of_memory(st, (n + 1) * sizeof(*replay->keys));
    }
    json_object_foreach(record->fields, name, value)
    {
        replay->keys[i] = name;
        replay->values[i++] = value;
    }
    record->names = replay->keys;
    record->nnames = n;
    return true;
}

static bool
add_fields(Replay *replay, Record *record, Status *st)
{
    const FormatRecord none = {0};

    if (!take_fields(replay, record, st) || (!continues(replay, record) && !begin_split(replay, record, true, NULL, NULL, st)))
        return false;
    if (replay->wrong.sqlstate[0] != '\0')
        return reject(replay, record, &replay->wrong, st);
    if (replay->cells == NULL)
    {
        if (!request_format(replay->request, record->path, NULL, &replay->format, &replay->options, st) ||
            !replay->format->open_record(replay->options, &none, &replay->cells, st))
            return false;
    }
    if (!make_room(replay, record, st))
        return false;
    batch_row(&replay->output.builder, (uint64_t) record->line, (uint64_t) record->offset);
    return add_cells(replay, record, st);
}

/* The record is none that could be cut into fields. */
static bool
reject_raw(Replay *replay, Record *record, const Format *format, const Status *wrong, Status *st)
{
    if (strcmp(wrong->sqlstate, STATUS_OUT_OF_MEMORY) == 0)
    {
        *st = *wrong;
        return false;
    }
    return (continues(replay, record) || begin_split(replay, record, false, format, NULL, st)) && reject(replay, record, wrong, st);
}

/* The row or reject that the format's state gives. */
static bool
add_opened(Replay *replay, Record *record, const Format *format, void *state, Status *st)
{
    FormatSplit where = {.path = record->path, .mtime = record->mtime, .record = record->id};
    bool end = false;

    format->fields(state, &record->names, &record->nnames);
    if (!continues(replay, record) && !begin_split(replay, record, true, format, state, st))
        return false;
    /* each record has a state, and fields, of its own */
    if (format->add_field != NULL)
        map_fields(replay, true, format, state);
    if (replay->wrong.sqlstate[0] != '\0')
        return reject(replay, record, &replay->wrong, st);
    if (!make_room(replay, record, st))
        return false;
    while (!end)
    {
        if (!format->next(state, &where, &replay->output.builder, replay->map, UINT64_MAX, &end, st) ||
            (!end && !send_rows(replay, st)))
            return false;
    }
    return true;
}

/* A record that has still to be cut into fields. */
static bool
add_raw(Replay *replay, Record *record, Status *st)
{
    const char *name = json_string_value(json_object_get(record->layout, "format"));
    const Format *format, *found = name == NULL ? NULL : format_find(name);
    const void *options;
    FormatRecord raw = {.layout = record->layout, .line = (uint64_t) record->line, .offset = (uint64_t) record->offset};
    Cell bytes;
    void *state = NULL;
    Status wrong;
    bool fine;

    replay->scratch.used = 0;
    if (!request_format(replay->request, record->path, found, &format, &options, st) ||
        !buf_reserve(&replay->scratch, value_room(record->raw), st) || !take_value(replay, record->raw, &bytes, st))
        return false;
    raw.raw = bytes.s;
    raw.n = bytes.n;
    if (!format->open_record(options, &raw, &state, &wrong))
        return reject_raw(replay, record, format, &wrong, st);
    fine = add_opened(replay, record, format, state, st);
    format->close(state);
    return fine;
}

static bool
replay_record(Replay *replay, const json_t *json, size_t number, Status *st)
{
    Record record = {0};
    const JsonField fields[] = {
        {"id", JSON_FIELD_TEXT, true, &record.id, 0, 0},
        {"path", JSON_FIELD_TEXT, true, &record.path, 0, 0},
        {"mtime", JSON_FIELD_INT, true, &record.mtime, INT64_MIN, INT64_MAX},
        {"line", JSON_FIELD_INT, true, &record.line, 0, INT64_MAX},
        {"offset", JSON_FIELD_INT, true, &record.offset, 0, INT64_MAX},
        {"fields", JSON_FIELD_OBJECT, false, &record.fields, 0, 0},
        {"raw", JSON_FIELD_ANY, false, &record.raw, 0, 0},
        {"layout", JSON_FIELD_OBJECT, false, &record.layout, 0, 0},
    };
    char where[40];

    snprintf(where, sizeof(where), "records[%zu]", number);
    if (!json_fields_read(json, where, fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if ((record.fields == NULL) == (record.raw == NULL))
        return status_fail(st, STATUS_INVALID_VALUE, "%s needs either \"fields\" or \"raw\"", where);
    return record.fields != NULL ? add_fields(replay, &record, st) : add_raw(replay, &record, st);
}

bool
replay_run(const Request *request, const Sink *sink, Status *st)
{
    Replay replay = {.request = request, .output = {.sink = sink}};
    bool fine = true;
    size_t i;

    buf_init(&replay.scratch, SCRATCH_MAX);
    buf_init(&replay.text, SCRATCH_MAX);
    replay.map = calloc(request->ncolumns + 1, sizeof(*replay.map));
    replay.present = calloc(request->ncolumns + 1, 1);
    if (replay.map == NULL || replay.present == NULL)
        fine = status_out_of_memory(st, 0);
    fine = fine && output_open(&replay.output, request, request->columns, request->ncolumns, st);
    for (i = 0; fine && i < json_array_size(request->replayed); i++)
        fine = replay_record(&replay, json_array_get(request->replayed, i), i, st);
    fine = fine && end_split(&replay, st);
    forget_split(&replay);
    output_close(&replay.output);
    buf_free(&replay.scratch);
    buf_free(&replay.text);
    free(replay.keys);
    free(replay.values);
    free(replay.map);
    free(replay.present);
    return fine;
}
