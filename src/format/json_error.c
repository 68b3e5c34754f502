/*
 * json_error.c: what is wrong in a JSON object, and where.
 *
 * Line and column are as an editor shows them, the path is that of JSONPath:
 * of the document as the walk knows it, and within the row by looking at its
 * text again up to the fault.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "format/convert.h"
#include "format/json.h"

#define SHOWN_LEVELS 32
#define SHOWN_BYTES 300
#define SHOWN_KEY 60

typedef struct Shown { char text[SHOWN_BYTES + 4]; size_t n; bool cut; } Shown;

static void
show(Shown *path, const char *text, size_t n)
{
    if (path->cut || path->n + n > SHOWN_BYTES)
    {
        path->cut = true;
        return;
    }
    memcpy(path->text + path->n, text, n);
    path->n += n;
}

static void
show_key(Shown *path, const char *key, size_t n)
{
    bool simple = n > 0 && n <= SHOWN_KEY;
    char shown[SHOWN_KEY];
    size_t length = convert_utf8_escape(key, n, shown, sizeof(shown));

    for (size_t i = 0; simple && i < n; i++)
        simple = (key[i] >= 'a' && key[i] <= 'z') || (key[i] >= 'A' && key[i] <= 'Z') || key[i] == '_' || (i > 0 && key[i] >= '0' && key[i] <= '9');
    if (simple)
        show(path, ".", 1);
    else
        show(path, "[\"", 2);
    for (size_t i = 0; i < length; i++)
        if ((uint8_t) shown[i] < 0x20 || shown[i] == 0x7F)
            shown[i] = '?';
    show(path, shown, length);
    if (!simple)
        show(path, n > SHOWN_KEY ? "...\"]" : "\"]", n > SHOWN_KEY ? 5 : 2);
}

static void
show_index(Shown *path, uint64_t index)
{
    char text[32];

    show(path, text, (size_t) snprintf(text, sizeof(text), "[%" PRIu64 "]", index));
}

/* What the walk stands in; with `inner` the row that it has found. */
static void
show_walk(const Json *js, Shown *path)
{
    const JsWalk *w = &js->walk;

    show(path, "$", 1);
    for (uint32_t i = 0; i < w->depth; i++)
    {
        bool last = i + 1 == w->depth;

        /* between two values it is in the container alone */
        if (last && (w->at == JS_AT_FIRST || w->at == JS_AT_NEXT || w->at == JS_AT_KEY || w->at == JS_AT_SKIP))
            return;
        if (w->frames[i].array)
            show_index(path, w->frames[i].index);
        else
            show_key(path, js->options->record.steps[i].key, js->options->record.steps[i].n);
    }
}

/* One level of the row's text. */
typedef struct Level { bool array, wants_key; const char *key; size_t n; uint64_t index; } Level;

/* The byte behind the string that begins at p. */
static const uint8_t *
string_end(const uint8_t *p, const uint8_t *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

static void
show_inside(Shown *path, const uint8_t *p, const uint8_t *end)
{
    Level levels[SHOWN_LEVELS];
    uint32_t depth = 0;

    while (p < end)
    {
        Level *level = depth > 0 && depth <= SHOWN_LEVELS ? &levels[depth - 1] : NULL;
        uint8_t c = *p;

        if (c == '"')
        {
            const uint8_t *behind = string_end(p, end);

            if (level != NULL && !level->array && level->wants_key && behind < end)
            {
                level->key = (const char *) p + 1;
                level->n = (size_t) (behind - p) - 2;
                level->wants_key = false;
            }
            p = behind;
            continue;
        }
        if (c == '{' || c == '[')
        {
            if (depth < SHOWN_LEVELS)
                levels[depth] = (Level) {.array = c == '[', .wants_key = true};
            depth++;
        }
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == ',' && level != NULL)
        {
            level->wants_key = true;
            level->key = NULL;
            level->index++;
        }
        p++;
    }
    for (uint32_t i = 0; i < depth && i < SHOWN_LEVELS; i++)
    {
        if (levels[i].array)
            show_index(path, levels[i].index);
        else if (levels[i].key != NULL)
            show_key(path, levels[i].key, levels[i].n);
    }
}

/* Characters between the beginning of the line and the byte, and one. */
static uint64_t
column_of(const Json *js, uint64_t line_start, const uint8_t *at)
{
    const uint8_t *data = js->window.data, *p = data;
    uint64_t offset = js->base + (uint64_t) (at - data), column;

    column = offset - line_start + 1;
    if (line_start > js->base)
        p += line_start - js->base;
    for (; p < at; p++)
        column -= (*p & 0xC0) == 0x80;
    return column;
}

/* A line that ends within its value lacks more than the next token. */
static const char *
what_is_wrong(const JsText *t)
{
    return t->lines && t->bad < t->end && *t->bad == '\n' && strstr(t->problem, "line") == NULL ? "the line ends too early" : t->problem;
}

void
js_bad(Json *js, const uint8_t *start, bool row)
{
    JsProblem *problem = &js->problem;
    const uint8_t *bad = js->text.bad, *p = start;
    uint64_t line = js_count_lines(js, start), line_start = js->line_start;
    Shown path = {.n = 0};

    *problem = (JsProblem) {.sqlstate = STATUS_BAD_FORMAT, .line = line, .offset = js->base + (uint64_t) (start - js->window.data),
                            .start = (uint32_t) (start - js->window.data)};
    while ((p = memchr(p, '\n', (size_t) (bad - p))) != NULL)
    {
        line++;
        p++;
        line_start = js->base + (uint64_t) (p - js->window.data);
    }
    show_walk(js, &path);
    if (row)
        show_inside(&path, start, bad);
    problem->bad_line = line;
    problem->bad_offset = js->base + (uint64_t) (bad - js->window.data);
    snprintf(problem->message, sizeof(problem->message), "invalid JSON at line %" PRIu64 ", column %" PRIu64 ", path %.*s%s: %s",
             line, column_of(js, line_start, bad), (int) path.n, path.text, path.cut ? "..." : "", what_is_wrong(&js->text));
}

void
js_problem(Json *js, const char *sqlstate, const uint8_t *start, size_t n, const char *fmt, ...)
{
    va_list args;

    js->problem = (JsProblem) {.sqlstate = sqlstate, .line = js_count_lines(js, start),
                               .offset = js->base + (uint64_t) (start - js->window.data),
                               .start = (uint32_t) (start - js->window.data), .length = (uint32_t) n};
    va_start(args, fmt);
    vsnprintf(js->problem.message, sizeof(js->problem.message), fmt, args);
    va_end(args);
}
