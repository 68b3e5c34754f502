/*
 * json.c: the JSON and JSON Lines formats: opening, describing, filling the batch builder.
 *
 * Rows are cut into cells a segment at a time, as csv.c does it, so that each
 * converter runs over many cells in one go.  The first rows are read twice: at
 * opening, to know which fields there are.
 */
#include "format/json.h"

#include <stdlib.h>
#include <string.h>

#include "format/convert.h"
#include "format/pseudo.h"

/* Cells of a segment, at most: more columns, fewer rows. */
#define SEGMENT_CELLS 65536
#define SEGMENT_MIN 16

/* ---- opening ------------------------------------------------------------- */

static void
js_close(void *state)
{
    Json *js = state;

    if (js == NULL)
        return;
    js_keys_free(js);
    js_names_free(&js->fields);
    buf_free(&js->window);
    buf_free(&js->scratch);
    buf_free(&js->key);
    free(js->same);
    free(js->slots);
    free(js->cells);
    free(js->pseudo);
    free(js->rows);
    free(js);
}

/* What every state has, before anything is read; NULL: out of memory. */
static Json *
js_new(const JsOptions *options, ByteSource source, Status *st)
{
    Json *js = calloc(1, sizeof(*js));
    int number;

    if (js == NULL)
    {
        status_out_of_memory(st, sizeof(*js));
        return NULL;
    }
    js->options = options;
    js->source = source;
    js->line = 1;
    js->text.lines = options->lines;
    js->text.portable = options->portable;
    buf_init(&js->window, (size_t) options->max_row + 4 * JS_CHUNK);
    buf_init(&js->scratch, (size_t) options->max_row + (16U << 20));
    buf_init(&js->key, (size_t) options->max_row + (16U << 20));
    for (size_t i = 0; i < options->ncolumns; i++)
        if (!js_names_add(&js->fields, options->columns[i], strlen(options->columns[i]), &number, st))
            goto failed;
    js->nsampled = options->ncolumns;
    js->same = calloc(options->ncolumns + 1, sizeof(*js->same));
    if (js->same != NULL)
        return js;
    status_out_of_memory(st, options->ncolumns * sizeof(*js->same));
failed:
    js_close(js);
    return NULL;
}

/* Where reading begins again behind the sample. */
typedef struct Start { size_t at; uint64_t line, line_start, counted; JsWalk walk; } Start;

static Start
start_here(const Json *js)
{
    return (Start) {(size_t) (js->text.p - js->window.data), js->line, js->line_start, js->counted, js->walk};
}

/* Reads the first rows for their keys; they stay to be read.  Of what is in front of them nothing has to stay. */
static bool
sample(Json *js, Status *st)
{
    Start start = start_here(js);
    JsFound found = JS_ROW_FINE;
    JsRow row;

    if (!js_keys_begin(js, true, st))
        return false;
    while (js->sampled < JS_SAMPLE_ROWS && (found == JS_ROW_FINE || found == JS_ROW_REJECT || found == JS_ROW_MORE))
    {
        if (found == JS_ROW_MORE)
        {
            if (js->sampled == 0)
            {
                js_forget(js);
                start = start_here(js);
            }
            if (js->sampled > 0 || js->window.used >= JS_SAMPLE_MOST || js->window.used == js->window.max)
                break;
            if (!js_fill(js, true, st))
                return false;
        }
        found = js_next_row(js, 0, &row);
        js->sampled += found == JS_ROW_FINE || found == JS_ROW_REJECT;
        js->bad_sampled += found == JS_ROW_REJECT;
        if (js->failed)
            return status_out_of_memory(st, sizeof(JsKey));
    }
    if (js->options->paths == NULL)
        js->nsampled = js->fields.n;
    js->discarding = false;
    js->walk = start.walk;
    js->line = start.line;
    js->line_start = start.line_start;
    js->counted = start.counted;
    js->text.p = js->window.data + start.at;
    return true;
}

static bool
begin(Json *js, Status *st)
{
    while (js->window.used < JS_SAMPLE && !js->eof)
        if (!js_fill(js, true, st))
            return false;
    if (js->window.used >= 3 && memcmp(js->window.data, "\xEF\xBB\xBF", 3) == 0)
    {
        js->text.p += 3;
        js->line_start = js->counted = 3;
    }
    return sample(js, st);
}

static bool
js_open(const void *options, ByteSource source, void **state, Status *st)
{
    Json *js = js_new(options, source, st);

    *state = NULL;
    if (js == NULL)
        return false;
    if (!begin(js, st))
    {
        js_close(js);
        return false;
    }
    *state = js;
    return true;
}

/* ---- records that were read before ------------------------------------------ */

static bool
nothing_more(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    (void) context, (void) out, (void) size, (void) st;
    *got = 0;
    return true;
}

static bool
take_record(Json *js, const FormatRecord *record, Status *st)
{
    JsFound found;
    JsRow row;
    size_t rows = 0;

    js->single = true;
    /* such a row may have been written anew, on several lines */
    js->text.lines = false;
    js->line = record->line;
    js->base = js->counted = js->line_start = record->offset;
    if (record->raw == NULL)
        return true;
    if (!buf_append(&js->window, record->raw, record->n, st))
        return false;
    js->text.p = js->window.data;
    if (!js_fill(js, true, st) || !js_keys_begin(js, false, st))
        return false;
    while ((found = js_next_row(js, 0, &row)) == JS_ROW_FINE || found == JS_ROW_REJECT)
        rows++;
    if (js->failed)
        return status_out_of_memory(st, sizeof(JsKey));
    js->walk = (JsWalk) {0};
    js->discarding = false;
    js->line = record->line;
    js->counted = js->line_start = record->offset;
    js->text.p = js->window.data;
    if (found == JS_ROW_BROKEN)
        return status_fail(st, STATUS_BAD_FORMAT, "%s", js->problem.message);
    return rows == 1 || status_fail(st, STATUS_BAD_FORMAT, "record is empty");
}

static bool
js_open_record(const void *options, const FormatRecord *record, void **state, Status *st)
{
    Json *js = js_new(options, (ByteSource) {nothing_more, NULL}, st);

    *state = NULL;
    if (js == NULL)
        return false;
    if (!take_record(js, record, st))
    {
        js_close(js);
        return false;
    }
    *state = js;
    return true;
}

/* ---- describing ---------------------------------------------------------------- */

static void
js_fields(const void *state, const char *const **names, size_t *n)
{
    const Json *js = state;

    *names = (const char *const *) js->fields.names;
    *n = js->nsampled;
}

static bool
js_add_field(void *state, const char *name, int *field, Status *st)
{
    Json *js = state;
    size_t n = strlen(name);

    *field = js_names_find(&js->fields, name, n);
    if (*field >= 0 || js->options->paths != NULL)
        return true;
    return js_names_add(&js->fields, name, n, field, st);
}

static bool
js_describe(const void *state, bool contents, json_t *dialect)
{
    const Json *js = state;
    json_t *names;

    if (!js->options->lines && json_object_set_new(dialect, "recordPath", json_string(js->options->record_text)) != 0)
        return false;
    if (js->options->flatten > 0 && json_object_set_new(dialect, "flatten", json_integer(js->options->flatten)) != 0)
        return false;
    if (!contents)
        return true;
    names = json_array();
    for (size_t i = 0; i < js->nsampled; i++)
        json_array_append_new(names, json_string(js->fields.names[i]));
    return json_object_set_new(dialect, "fields", names) == 0;
}

static bool
js_survey(void *state, json_t *dialect)
{
    const Json *js = state;
    json_t *sample = json_object();

    if (sample != NULL && json_object_set_new(sample, "rows", json_integer((json_int_t) js->sampled)) == 0 &&
        (js->bad_sampled == 0 || json_object_set_new(sample, "badRows", json_integer((json_int_t) js->bad_sampled)) == 0))
        return json_object_set_new(dialect, "sample", sample) == 0;
    json_decref(sample);
    return false;
}

/* ---- segments ------------------------------------------------------------------- */

/* Gives the fields that columns take their slots. */
static bool
assign_slots(Json *js, const BatchBuilder *builder, const int *map, Status *st)
{
    js->slots = malloc((js->fields.n + 1) * sizeof(*js->slots));
    if (js->slots == NULL)
        return status_out_of_memory(st, js->fields.n * sizeof(*js->slots));
    for (size_t i = 0; i < js->fields.n; i++)
        js->slots[i] = (JsSlots) {-1, -1};
    for (uint32_t i = 0; i < builder->ncols; i++)
    {
        JsSlots *slots;
        int *slot;

        if (map[i] < 0)
            continue;
        slots = &js->slots[js->options->paths != NULL ? js->same[map[i]] : map[i]];
        slot = builder->columns[i].spec.kind == COLUMN_JSON ? &slots->json : &slots->text;
        if (*slot < 0)
            *slot = (int) js->nslots++;
    }
    return true;
}

/* What is known when the first batch is asked for: which columns take what. */
static bool
start(Json *js, const BatchBuilder *builder, const int *map, Status *st)
{
    /* finds out which paths are the same */
    if (!js_keys_begin(js, false, st) || !assign_slots(js, builder, map, st))
        return false;
    js->segment = SEGMENT_CELLS / (js->nslots + 1);
    if (js->segment > JS_SEGMENT)
        js->segment = JS_SEGMENT;
    if (js->segment < SEGMENT_MIN)
        js->segment = SEGMENT_MIN;
    js->cells = calloc((size_t) js->nslots * js->segment + 1, sizeof(*js->cells));
    js->pseudo = calloc(js->segment, sizeof(*js->pseudo));
    js->rows = calloc(js->segment, sizeof(*js->rows));
    if (js->cells == NULL || js->pseudo == NULL || js->rows == NULL)
        return status_out_of_memory(st, (size_t) js->nslots * js->segment * sizeof(*js->cells));
    return js_keys_begin(js, false, st);
}

static bool
add_problem(Json *js, const FormatSplit *split, BatchBuilder *builder, Status *st)
{
    const JsProblem *p = &js->problem;
    Cell raw = {(const char *) js->window.data + p->start, p->length};

    if (split->record != NULL)
        raw = (Cell) {split->record, strlen(split->record)};
    /* What comes later can't appear in the reject: each byte becomes at least one. */
    if (raw.n > BATCH_RAW_MAX && (builder->record == NULL || p->cut))
        raw.n = BATCH_RAW_MAX;
    return batch_reject(builder, p->line, p->offset, p->sqlstate, p->message, raw, p->cut, st);
}

/* Takes rows from the window, their places and the rejects between them into the builder; *found: why it stopped. */
static bool
take_segment(Json *js, const FormatSplit *split, BatchBuilder *builder, uint64_t limit, uint32_t *n, JsFound *found, Status *st)
{
    uint32_t most = batch_room(builder);
    size_t bytes = 0;

    if (most > js->segment)
        most = js->segment;
    if (most > limit)
        most = (uint32_t) limit;
    *n = 0;
    *found = JS_ROW_FINE;
    js->scratch.used = 0;
    js->bad_text = js->text.foreign = false;
    memset(js->cells, 0, (size_t) js->nslots * js->segment * sizeof(*js->cells));
    /* No text is longer than what it is written with. */
    if (!buf_reserve(&js->scratch, js->window.used + js->segment * PSEUDO_MAX + strlen(split->path) + PSEUDO_TIME_MAX, st))
        return false;
    while (*n < most && bytes <= builder->max_bytes && builder->nrejects < builder->max_rows &&
           builder->rejects.used <= builder->max_bytes)
    {
        JsRow *row = &js->rows[*n];

        *found = js_next_row(js, *n, row);
        if (*found == JS_ROW_FINE && row->offset < split->from)
        {
            for (uint32_t slot = 0; slot < js->nslots; slot++)
                js->cells[(size_t) slot * js->segment + *n] = (Cell) {NULL, 0};
            continue;
        }
        if (*found == JS_ROW_FINE)
        {
            batch_row(builder, row->line, row->offset);
            bytes += row->end - row->start;
            (*n)++;
        }
        else if (*found != JS_ROW_REJECT)
            return true;
        else if (js->problem.offset >= split->from && !add_problem(js, split, builder, st))
            return false;
    }
    *found = JS_ROW_FINE;
    return true;
}

/* A pseudo-column's cells, into js->pseudo. */
static void
cut_pseudo(Json *js, const FormatSplit *split, uint32_t n, int which)
{
    char *out = (char *) js->scratch.data + js->scratch.used;
    Cell cell = {out, 0};

    for (uint32_t i = 0; i < n; i++)
    {
        /* of a source all rows have the same */
        if (i == 0 || which == FIELD_LINE || which == FIELD_OFFSET)
        {
            out += cell.n;
            cell = pseudo_cell(out, which, split->path, split->mtime, js->rows[i].line, js->rows[i].offset);
        }
        js->pseudo[i] = cell;
    }
}

static bool
cut_records(const Json *js, const FormatSplit *split, BatchBuilder *builder, uint32_t n, Status *st)
{
    if (split->record != NULL)
        return batch_record_name(builder, n, split->record, st);
    for (uint32_t i = 0; i < n; i++)
    {
        size_t length = js->rows[i].end - js->rows[i].start;
        uint8_t *room = batch_record_room(builder, length, st);

        if (room == NULL)
            return false;
        memcpy(room, js->window.data + js->rows[i].start, length);
        batch_record_take(builder, length);
    }
    return true;
}

static bool
convert_segment(Json *js, const FormatSplit *split, BatchBuilder *builder, const int *map, uint32_t n, Status *st)
{
    const uint8_t *data = js->window.data;
    bool clean = !js->bad_text &&
        (!js->text.foreign || convert_utf8_valid((const char *) data + js->rows[0].start, js->rows[n - 1].end - js->rows[0].start));

    for (uint32_t i = 0; i < builder->ncols; i++)
    {
        if (map[i] == FIELD_RECORD)
            return cut_records(js, split, builder, n, st);
        if (map[i] == FIELD_ABSENT)
            batch_nulls(builder, i, n);
        else if (map[i] < 0)
        {
            cut_pseudo(js, split, n, map[i]);
            if (!batch_cells(builder, i, js->pseudo, n, map[i] != FIELD_SOURCE, st))
                return false;
        }
        else
        {
            const JsSlots *slots = &js->slots[js->options->paths != NULL ? js->same[map[i]] : map[i]];
            int slot = builder->columns[i].spec.kind == COLUMN_JSON ? slots->json : slots->text;

            const Cell *cells = js->cells + (size_t) slot * js->segment;

            if (!(js->bad_text ? batch_cells_json(builder, i, cells, n, st) : batch_cells(builder, i, cells, n, clean, st)))
                return false;
        }
    }
    return true;
}

/* The end of the object: was there anything where recordPath leads? */
static bool
check_end(const Json *js, Status *st)
{
    if (js->options->lines || js->single || js->walk.reached || (js->walk.at == JS_AT_VALUE && js->walk.depth == 0))
        return true;
    status_fail(st, STATUS_BAD_FORMAT, "there is nothing at recordPath \"%s\"", js->options->record_text);
    return status_hint(st, "A path names keys and elements from the top of the file: $.data.items[*]; upper and lower case count.");
}

/* Ends the object with what is wrong with its text. */
static bool
fail_broken(const Json *js, Status *st)
{
    if (js->failed)
        return status_out_of_memory(st, sizeof(JsKey));
    status_fail(st, STATUS_BAD_FORMAT, "%s", js->problem.message);
    st->line = js->problem.bad_line;
    st->offset = js->problem.bad_offset;
    if (js->text.bad == js->text.end)
        return status_hint(st, "The file has been cut, or is still being written.");
    if (js->walk.at == JS_AT_END)
        return status_hint(st, "A file with a value a line is JSON Lines: say \"format\": \"jsonl\".");
    return status_hint(st, "Nothing behind this place can be read, since there is no telling where the next row begins.");
}

static bool
js_next(void *state, const FormatSplit *split, BatchBuilder *builder, const int *map,
        uint64_t row_limit, bool *end, Status *st)
{
    Json *js = state;
    JsFound found;
    uint32_t n;

    *end = false;
    if (js->cells == NULL && !start(js, builder, map, st))
        return false;
    while (row_limit > 0 && !batch_full(builder))
    {
        /* What the window holds must fit the batch's 32-bit distances. */
        if (!batch_place_fits(builder, js->line, js->base + js->window.used))
            return true;
        if (!take_segment(js, split, builder, row_limit, &n, &found, st))
            return false;
        row_limit -= n;
        if (n > 0 && !convert_segment(js, split, builder, map, n, st))
        {
            if (st->line == 0)
                st->line = js->rows[0].line;
            return false;
        }
        if (found == JS_ROW_BROKEN)
            return fail_broken(js, st);
        if (found == JS_ROW_END)
        {
            *end = true;
            return check_end(js, st);
        }
        if (found == JS_ROW_MORE && !js_fill(js, false, st))
            return false;
    }
    *end = row_limit == 0;
    return true;
}

static bool
js_cells(void *state, BatchBuilder *builder, uint32_t column, const Cell *cells, uint32_t n, Status *st)
{
    (void) state;
    return batch_cells(builder, column, cells, n, false, st);
}

const Format format_json = {
    .name = "json",
    .options_parse = json_format_options_parse,
    .options_free = json_format_options_free,
    .open = js_open,
    .close = js_close,
    .fields = js_fields,
    .add_field = js_add_field,
    .whole_records = true,
    .describe = js_describe,
    .survey = js_survey,
    .next = js_next,
    .open_record = js_open_record,
    .cells = js_cells,
};

const Format format_jsonl = {
    .name = "jsonl",
    .options_parse = jsonl_format_options_parse,
    .options_free = json_format_options_free,
    .open = js_open,
    .close = js_close,
    .fields = js_fields,
    .add_field = js_add_field,
    .whole_records = true,
    .describe = js_describe,
    .survey = js_survey,
    .next = js_next,
    .open_record = js_open_record,
    .cells = js_cells,
};
