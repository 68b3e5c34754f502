/*
 * json_walk.c: the window over a JSON object, and where its rows are.
 *
 * The window holds what is not taken yet.  The walk goes through the document
 * as far as recordPath leads, and passes over what is beside it piece by piece,
 * so that the window only grows for a row that is longer than it.  A row that
 * the window cuts is read again when more is there, which is twice as much each
 * time; so it costs no more than reading it twice.
 *
 * What becomes of a row depends on its bytes alone, not on the pieces they
 * come in: one that is longer than maxRowBytes is too long, whatever is wrong with it.
 */
#include "format/json.h"

/* ---- reading ------------------------------------------------------------- */

uint64_t
js_count_lines(Json *js, const uint8_t *to)
{
    const uint8_t *p = js->window.data + (js->counted - js->base);

    while (p < to && (p = memchr(p, '\n', (size_t) (to - p))) != NULL)
    {
        p++;
        js->line++;
        js->line_start = js->base + (uint64_t) (p - js->window.data);
    }
    if (js->base + (uint64_t) (to - js->window.data) > js->counted)
        js->counted = js->base + (uint64_t) (to - js->window.data);
    return js->line;
}

/* Nothing of it can be forgotten, and there is no room for more: a number beside the rows, say, of that many digits. */
static bool
too_long(Json *js, Status *st)
{
    status_fail(st, STATUS_LIMIT, "a value is longer than %zu bytes", js->window.used);
    st->line = js_count_lines(js, js->text.p);
    st->offset = js->base + (uint64_t) (js->text.p - js->window.data);
    return status_hint(st, "Raise \"maxRowBytes\" if that is no mistake.");
}

void
js_forget(Json *js)
{
    size_t at = js->window.data == NULL ? 0 : (size_t) (js->text.p - js->window.data);

    if (at == 0)
        return;
    js_count_lines(js, js->text.p);
    buf_drop_front(&js->window, at);
    memset(js->window.data + js->window.used, 0, JS_SLACK);
    js->base += at;
    js->text.p = js->window.data;
    js->text.end = js->window.data + js->window.used;
}

bool
js_fill(Json *js, bool keep, Status *st)
{
    size_t at, least, most, got;

    if (!keep)
        js_forget(js);
    at = js->window.data == NULL ? 0 : (size_t) (js->text.p - js->window.data);
    least = js->window.used;
    most = least > JS_CHUNK ? least : JS_CHUNK;
    /* What is found in a sample must not depend on the pieces it came in. */
    if (keep)
        least = most = least < JS_SAMPLE ? JS_SAMPLE - least : least;
    if (most > js->window.max - js->window.used)
        most = js->window.max - js->window.used;
    if (most == 0 && !js->eof)
        return too_long(js, st);
    if (!buf_reserve(&js->window, most, st))
        return false;
    while (!js->eof && most > 0)
    {
        if (!byte_source_read(js->source, js->window.data + js->window.used, most, &got, st))
        {
            if (st->line == 0)
                st->line = js_count_lines(js, js->window.data + js->window.used);
            return false;
        }
        js->eof = got == 0;
        js->window.used += got;
        most -= got;
        if (got >= least)
            break;
        least -= got;
    }
    memset(js->window.data + js->window.used, 0, JS_SLACK);
    js->text.p = js->window.data + at;
    js->text.end = js->window.data + js->window.used;
    js->text.last = js->eof;
    return true;
}

/* ---- the way to the next row ------------------------------------------------ */

typedef enum Found { FOUND_ROW, FOUND_MORE, FOUND_END, FOUND_BAD } Found;

static Found
found(JsResult result)
{
    return result == JS_MORE ? FOUND_MORE : FOUND_BAD;
}

static Found
find_line(JsText *t)
{
    for (;; t->p++)
    {
        js_space(t);
        if (*t->p != '\n')
            break;
    }
    if (t->p < t->end)
        return FOUND_ROW;
    return t->last ? FOUND_END : FOUND_MORE;
}

static void
push(JsWalk *w, bool array, bool record)
{
    w->frames[w->depth++] = (JsFrame) {.array = array, .record = record};
    w->at = JS_AT_FIRST;
}

static void
begin_skip(JsWalk *w)
{
    memset(&w->skip, 0, sizeof(w->skip));
    w->at = JS_AT_SKIP;
}

/* A value begins at t->p: true when it is a row. */
static bool
meet_value(Json *js)
{
    const JsonPath *path = &js->options->record;
    JsWalk *w = &js->walk;
    uint32_t nsteps = js->single ? 0 : path->nsteps;
    bool all = nsteps > 0 && path->steps[nsteps - 1].kind == JSON_STEP_ALL;
    uint8_t c = *js->text.p;

    if (w->depth < nsteps)
    {
        bool array = path->steps[w->depth].kind == JSON_STEP_ALL;

        if (c == (array ? '[' : '{'))
        {
            js->text.p++;
            push(w, array, false);
            return false;
        }
        w->reached |= c == 'n';
        begin_skip(w);
        return false;
    }
    w->reached = true;
    if (w->depth > nsteps || all || js->single || (c != '[' && (c != 'n' || nsteps == 0)))
        return true;
    if (c == '[')
    {
        js->text.p++;
        push(w, true, true);
    }
    else
        begin_skip(w);
    return false;
}

/* The first or next thing of a container. */
static JsResult
meet_member(JsText *t, JsWalk *w)
{
    JsFrame *frame = &w->frames[w->depth - 1];
    bool first = w->at == JS_AT_FIRST;

    if (*t->p == (frame->array ? ']' : '}'))
    {
        w->reached |= first && frame->array;
        w->depth--;
        w->at = JS_AT_NEXT;
        t->p++;
        return JS_FINE;
    }
    if (!first && *t->p != ',')
        return js_unexpected(t, t->p, frame->array ? "a comma or ] is expected" : "a comma or } is expected");
    if (first && t->p >= t->end)
        return js_unexpected(t, t->p, "");
    if (!first)
    {
        t->p++;
        frame->index++;
    }
    w->at = frame->array ? JS_AT_VALUE : JS_AT_KEY;
    return JS_FINE;
}

/* Is it the key that the path has here?  `text` as it is written. */
static bool
is_step(const JsonStep *step, const char *text, size_t n, bool escaped)
{
    json_t *string;
    bool same;

    if (!escaped)
        return n == step->n && memcmp(text, step->key, n) == 0;
    /* with its quotes it is a JSON text; this is rare */
    string = json_loadb(text - 1, n + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    same = string != NULL && json_string_length(string) == step->n && memcmp(json_string_value(string), step->key, step->n) == 0;
    json_decref(string);
    return same;
}

/* Of one byte. */
#define LONGEST_ESCAPE 6

static JsResult
meet_key(const JsonPath *path, JsText *t, JsWalk *w)
{
    const uint8_t *start = t->p;
    JsResult result;
    bool escaped, same = false;

    if (*t->p != '"')
        return js_unexpected(t, t->p, "a key in quotes is expected");
    t->p++;
    result = js_string(t, &escaped);
    if (result == JS_FINE)
    {
        same = is_step(&path->steps[w->depth - 1], (const char *) start + 1, (size_t) (t->p - start) - 2, escaped);
        js_space(t);
        result = *t->p == ':' ? JS_FINE : js_unexpected(t, t->p, "a colon is expected");
    }
    if (result != JS_FINE)
    {
        t->p = start;
        /* longer than the path's however that is written: it need not be there all at once */
        if (result == JS_MORE && !same && (size_t) (t->end - start) > LONGEST_ESCAPE * ((size_t) path->steps[w->depth - 1].n + 2))
        {
            w->at = JS_AT_SKIP;
            js_skip_member(t, &w->skip);
            return JS_FINE;
        }
        return result;
    }
    t->p++;
    if (same)
        w->at = JS_AT_VALUE;
    else
        begin_skip(w);
    return JS_FINE;
}

/* Behind the document; or before it, when there is none. */
static Found
find_end(Json *js)
{
    JsText *t = &js->text;

    if (t->p < t->end)
    {
        js_fail(t, t->p, "nothing may stand behind the value");
        return FOUND_BAD;
    }
    return t->last ? FOUND_END : FOUND_MORE;
}

static Found
find_row(Json *js)
{
    JsText *t = &js->text;
    JsWalk *w = &js->walk;

    for (;;)
    {
        JsResult result = JS_FINE;

        js_space(t);
        if (w->at == JS_AT_NEXT && w->depth == 0)
            w->at = JS_AT_END;
        switch (w->at)
        {
            case JS_AT_VALUE:
                if (t->p >= t->end)
                {
                    if (w->depth == 0)
                        return find_end(js);
                    result = js_unexpected(t, t->p, "");
                }
                else if (meet_value(js))
                    return FOUND_ROW;
                break;
            case JS_AT_SKIP:
                result = js_skip(t, &w->skip);
                if (result == JS_FINE)
                    w->at = JS_AT_NEXT;
                break;
            case JS_AT_KEY:
                result = meet_key(&js->options->record, t, w);
                break;
            case JS_AT_FIRST:
            case JS_AT_NEXT:
                result = meet_member(t, w);
                break;
            default:
                return find_end(js);
        }
        if (result != JS_FINE)
            return found(result);
    }
}

/* ---- rows ------------------------------------------------------------------- */

/* Behind a row in its line. */
static JsResult
end_line(JsText *t)
{
    js_space(t);
    if (t->p >= t->end)
        return t->last ? JS_FINE : JS_MORE;
    if (*t->p != '\n')
        return js_fail(t, t->p, "nothing may stand behind the value of a line");
    return JS_FINE;
}

static JsFound
row_too_long(Json *js, const uint8_t *start)
{
    js_problem(js, STATUS_LIMIT, start, js->options->max_row, "row is longer than %u bytes (maxRowBytes)", js->options->max_row);
    js->problem.cut = true;
    js->discarding = true;
    js->extent.depth = 0;
    js->extent.string = js->extent.escape = false;
    js->text.p = start;
    js->walk.at = JS_AT_NEXT;
    return JS_ROW_REJECT;
}

/* Goes to the end of a broken row, or as far as a row may go. */
static JsResult
find_row_end(Json *js, const uint8_t *start)
{
    JsText *t = &js->text, limited = *t;
    size_t most = (size_t) js->options->max_row + 1;
    JsExtent extent;
    JsResult result;

    if ((size_t) (t->end - start) > most)
    {
        limited.end = start + most;
        limited.last = false;
    }
    limited.p = start;
    if (t->lines)
    {
        const uint8_t *end = memchr(start, '\n', (size_t) (limited.end - start));

        t->p = end != NULL ? end : limited.end;
        return end != NULL || limited.last ? JS_FINE : JS_MORE;
    }
    extent.depth = 0;
    extent.string = extent.escape = false;
    result = js_extent(&limited, &extent);
    t->p = limited.p;
    return result;
}

/* The row's text is not JSON. */
static JsFound
bad_row(Json *js, const uint8_t *start)
{
    JsText *t = &js->text;
    JsResult result = find_row_end(js, start);

    if ((size_t) (t->p - start) > js->options->max_row)
        return row_too_long(js, start);
    if (result == JS_MORE)
    {
        t->p = start;
        return JS_ROW_MORE;
    }
    js_bad(js, start, true);
    if (result == JS_BAD)
        return JS_ROW_BROKEN;
    while (t->p > start && (t->p[-1] == ' ' || t->p[-1] == '\t' || t->p[-1] == '\r' || t->p[-1] == '\n'))
        t->p--;
    js->problem.length = (uint32_t) (t->p - start);
    js->walk.at = JS_AT_NEXT;
    return JS_ROW_REJECT;
}

static const char *
kind_of(uint8_t c)
{
    return c == '"' ? "a string" : c == '[' ? "an array" : c == 't' || c == 'f' ? "a boolean" : c == 'n' ? "null" : "a number";
}

/* A row that was read whole: is it one? */
static JsFound
judge_row(Json *js, const uint8_t *start, const uint8_t *end, JsRow *row)
{
    size_t n = (size_t) (end - start);

    js->walk.at = JS_AT_NEXT;
    if (n > js->options->max_row)
        return row_too_long(js, start);
    if (js->too_long)
        js_problem(js, STATUS_LIMIT, start, n, "a field is longer than %u bytes (maxFieldBytes)", js->options->max_field);
    else if (js->options->paths == NULL && *start != '{')
        js_problem(js, STATUS_BAD_FORMAT, start, n, "row is %s, not an object%s", kind_of(*start),
                   js->text.lines && *start == '[' ? " (of \"format\": \"json\" its elements would be rows)" : "");
    else
    {
        row->line = js_count_lines(js, start);
        row->offset = js->base + (uint64_t) (start - js->window.data);
        row->start = (uint32_t) (start - js->window.data);
        row->end = row->start + (uint32_t) n;
        return JS_ROW_FINE;
    }
    return JS_ROW_REJECT;
}

static JsFound
take_row(Json *js, uint32_t at, JsRow *row)
{
    JsText *t = &js->text;
    const uint8_t *start = t->p, *end;
    size_t used = js->scratch.used;
    JsResult result = js_row(js, at);
    JsFound what;

    end = t->p;
    if (result == JS_FINE && t->lines)
        result = end_line(t);
    if (js->failed)
        return JS_ROW_BROKEN;
    if (result == JS_FINE)
        what = judge_row(js, start, end, row);
    else if (result == JS_BAD)
        what = bad_row(js, start);
    else if ((size_t) (t->end - start) > js->options->max_row)
        what = row_too_long(js, start);
    else
    {
        what = JS_ROW_MORE;
        t->p = start;
    }
    if (what == JS_ROW_FINE)
        return what;
    for (uint32_t slot = 0; slot < js->nslots; slot++)
        js->cells[(size_t) slot * js->segment + at] = (Cell) {NULL, 0};
    js->scratch.used = used;
    return what;
}

/* The rest of a row that is too long. */
static JsResult
discard(Json *js)
{
    JsText *t = &js->text;
    JsResult result;

    if (t->lines)
    {
        const uint8_t *end = memchr(t->p, '\n', (size_t) (t->end - t->p));

        t->p = end != NULL ? end : t->end;
        result = end != NULL || t->last ? JS_FINE : JS_MORE;
    }
    else if ((result = js_extent(t, &js->extent)) == JS_BAD)
        js_fail(t, t->p, t->p < t->end ? "brackets do not match" : "the text ends too early");
    js->discarding = result == JS_MORE;
    return result;
}

JsFound
js_next_row(Json *js, uint32_t at, JsRow *row)
{
    if (js->discarding)
    {
        JsResult result = discard(js);

        if (result == JS_MORE)
            return JS_ROW_MORE;
        if (result == JS_BAD)
        {
            js_bad(js, js->text.bad, false);
            return JS_ROW_BROKEN;
        }
    }
    switch (js->text.lines ? find_line(&js->text) : find_row(js))
    {
        case FOUND_ROW:
            return take_row(js, at, row);
        case FOUND_MORE:
            return JS_ROW_MORE;
        case FOUND_BAD:
            js_bad(js, js->text.bad, false);
            return JS_ROW_BROKEN;
        default:
            return JS_ROW_END;
    }
}
