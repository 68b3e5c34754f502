/*
 * json_options.c: the request's "format" object for JSON and JSON Lines.
 *
 * What the keys mean is written in json.h and wire.h.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_fields.h"
#include "format/json.h"

#define FIELD_LIMIT (16 << 20)
#define ROW_LIMIT (64 << 20)

static void
free_path(JsonPath *path)
{
    free(path->keys);
    path->keys = NULL;
}

/* The values as they stand in the JSON, with their defaults. */
typedef struct Given
{
    const char *record_path;
    json_t *columns, *nulls;
    int64_t flatten, max_field, max_row;
} Given;

static bool
read_json(const json_t *json, bool lines, Given *g, Status *st)
{
    json_t *nowhere;
    const JsonField fields[] = {
        FORMAT_SESSION_KEYS(nowhere),
        {"columns", JSON_FIELD_OBJECT, false, &g->columns, 0, 0},
        {"flatten", JSON_FIELD_INT, false, &g->flatten, 0, JS_MAX_STEPS},
        {"nullStrings", JSON_FIELD_ARRAY, false, &g->nulls, 0, 0},
        {"maxFieldBytes", JSON_FIELD_INT, false, &g->max_field, 1, 128 << 20},
        {"maxRowBytes", JSON_FIELD_INT, false, &g->max_row, 1, 256 << 20},
        {"recordPath", JSON_FIELD_TEXT, false, &g->record_path, 0, 0},  /* the last: not of lines */
    };
    size_t n = sizeof(fields) / sizeof(fields[0]);

    return json_fields_read(json, "format", fields, lines ? n - 1 : n, st);
}

/* Fails with 22023 and leaves nothing to free; `option` names it in errors. */
static bool
parse_path(JsonPath *path, const char *text, bool record, const char *option, Status *st)
{
    const char *wrong;
    int at;

    path->keys = malloc(strlen(text) + 2);
    if (path->keys == NULL)
        return status_out_of_memory(st, strlen(text) + 2);
    wrong = json_path_read(path, text, record, &at);
    if (wrong == NULL)
        return true;
    free_path(path);
    status_fail(st, STATUS_INVALID_VALUE, "invalid path \"%s\" for format option \"%s\": at character %d %s", text, option, at, wrong);
    return status_hint(st, "%s", record ? JSON_PATH_HINT_RECORD : JSON_PATH_HINT_FIELD);
}

static bool
parse_columns(JsOptions *o, json_t *columns, Status *st)
{
    size_t n = json_object_size(columns);
    const char *name;
    json_t *path;

    if (columns == NULL)
        return true;
    if (n == 0 || n > JS_MAX_FIELDS)
        return status_fail(st, STATUS_INVALID_VALUE, n == 0 ? "format option \"columns\" is empty" : "format option \"columns\" has more than %d columns",
                           JS_MAX_FIELDS);
    o->paths = calloc(n, sizeof(*o->paths));
    o->columns = calloc(n, sizeof(*o->columns));
    if (o->paths == NULL || o->columns == NULL)
        return status_out_of_memory(st, n * (sizeof(*o->paths) + sizeof(*o->columns)));
    json_object_foreach(columns, name, path)
    {
        if (!json_is_string(path))
        {
            status_fail(st, STATUS_INVALID_VALUE, "format option \"columns\" needs a path for \"%s\", not %s", name, json_kind_name(path));
            return status_hint(st, "For example {\"city\": \"$.address.city\"}.");
        }
        if (!parse_path(&o->paths[o->ncolumns], json_string_value(path), false, "columns", st))
            return false;
        o->columns[o->ncolumns++] = name;
    }
    return true;
}

static bool
parse(const json_t *json, JsOptions *o, Status *st)
{
    Given g = {.record_path = "$", .max_field = FIELD_LIMIT, .max_row = ROW_LIMIT};

    if (!read_json(json, o->lines, &g, st))
        return false;
    if (g.columns != NULL && json_object_get(json, "flatten") != NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "format options \"columns\" and \"flatten\" contradict each other");
        return status_hint(st, "Paths reach into objects by themselves.");
    }
    if (json_object_get(json, "maxRowBytes") != NULL && json_object_get(json, "maxFieldBytes") != NULL && g.max_field > g.max_row)
    {
        status_fail(st, STATUS_INVALID_VALUE, "format options \"maxFieldBytes\" and \"maxRowBytes\" contradict each other");
        return status_hint(st, "A field can't be longer than its row.");
    }
    o->flatten = (uint32_t) g.flatten;
    o->max_field = (uint32_t) g.max_field;
    o->max_row = (uint32_t) g.max_row;
    o->record_text = g.record_path;
    return parse_path(&o->record, g.record_path, true, "recordPath", st) &&
        parse_columns(o, g.columns, st) &&
        json_strings(g.nulls, "format option \"nullStrings\"", 1000, &o->nulls, &o->nnulls, st);
}

static bool
options_parse(const json_t *json, bool lines, void **options, Status *st)
{
    JsOptions *o = calloc(1, sizeof(*o));

    *options = NULL;
    if (o == NULL)
        return status_out_of_memory(st, sizeof(*o));
    o->lines = lines;
    if (!parse(json, o, st))
    {
        json_format_options_free(o);
        return false;
    }
    *options = o;
    return true;
}

bool
json_format_options_parse(const json_t *json, void **options, Status *st)
{
    return options_parse(json, false, options, st);
}

bool
jsonl_format_options_parse(const json_t *json, void **options, Status *st)
{
    return options_parse(json, true, options, st);
}

void
json_format_options_free(void *options)
{
    JsOptions *o = options;

    if (o == NULL)
        return;
    for (size_t i = 0; i < o->ncolumns; i++)
        free_path(&o->paths[i]);
    free_path(&o->record);
    free(o->paths);
    free(o->columns);
    free(o->nulls);
    free(o);
}
