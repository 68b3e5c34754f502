/*
 * json_skip.c: passing over values.
 *
 * A value that nobody asked for is checked as strictly as one that is read;
 * what is open is a bit a level, so that depth costs nothing, and the window
 * may end at any token, and within a string.  A broken value has only its brackets and quotes to
 * show where it ends.
 */
#include "format/json.h"

enum { SKIP_VALUE, SKIP_FIRST, SKIP_STRING, SKIP_FIRST_KEY, SKIP_KEY, SKIP_KEY_STRING, SKIP_COLON, SKIP_NEXT };

/* ---- whole values -------------------------------------------------------- */

static inline bool
in_object(const uint64_t *objects, uint32_t depth)
{
    return depth > 0 && (objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1) != 0;
}

static inline void
open_level(uint64_t *objects, uint32_t depth, bool object)
{
    uint64_t bit = UINT64_C(1) << (depth % 64);

    if (object)
        objects[depth / 64] |= bit;
    else
        objects[depth / 64] &= ~bit;
}

/* The rest of a string, behind its quote; MORE: as far as it is there. */
static JsResult
skip_string(JsText *t, JsSkip *skip, uint8_t behind)
{
    bool escaped;
    JsResult result = js_string(t, &escaped);

    if (result == JS_FINE)
        skip->state = behind;
    return result;
}

static JsResult
skip_value(JsText *t, JsSkip *skip)
{
    uint8_t c = *t->p;
    JsResult result;

    if (c == '{' || c == '[')
    {
        if (skip->outer + skip->depth >= JS_MAX_DEPTH)
            return js_fail(t, t->p, "it is nested deeper than 1000 levels");
        open_level(skip->objects, skip->depth++, c == '{');
        skip->state = c == '{' ? SKIP_FIRST_KEY : SKIP_FIRST;
        t->p++;
        return JS_FINE;
    }
    if (c == '"')
    {
        t->p++;
        skip->state = SKIP_STRING;
        return skip_string(t, skip, SKIP_NEXT);
    }
    result = js_scalar(t);
    if (result == JS_FINE)
        skip->state = SKIP_NEXT;
    return result;
}

static JsResult
skip_key(JsText *t, JsSkip *skip, bool first)
{
    if (*t->p == '"')
    {
        t->p++;
        skip->state = SKIP_KEY_STRING;
        return skip_string(t, skip, SKIP_COLON);
    }
    if (first && *t->p == '}')
    {
        t->p++;
        skip->depth--;
        skip->state = SKIP_NEXT;
        return JS_FINE;
    }
    return js_unexpected(t, t->p, first ? "a key in quotes or } is expected" : "a key in quotes is expected");
}

static JsResult
skip_next(JsText *t, JsSkip *skip)
{
    bool object = in_object(skip->objects, skip->depth);

    if (*t->p == ',')
        skip->state = object ? SKIP_KEY : SKIP_VALUE;
    else if (*t->p == (object ? '}' : ']'))
        skip->depth--;
    else
        return js_unexpected(t, t->p, object ? "a comma or } is expected" : "a comma or ] is expected");
    t->p++;
    return JS_FINE;
}

JsResult
js_skip(JsText *t, JsSkip *skip)
{
    for (;;)
    {
        JsResult result = JS_FINE;

        if (skip->state == SKIP_NEXT && skip->depth == 0)
            return JS_FINE;
        if (skip->state != SKIP_STRING && skip->state != SKIP_KEY_STRING)
            js_space(t);
        switch (skip->state)
        {
            case SKIP_STRING:
                result = skip_string(t, skip, SKIP_NEXT);
                break;
            case SKIP_KEY_STRING:
                result = skip_string(t, skip, SKIP_COLON);
                break;
            case SKIP_FIRST:
                if (*t->p == ']')
                {
                    t->p++;
                    skip->depth--;
                    skip->state = SKIP_NEXT;
                    break;
                }
                /* FALLTHROUGH */
            case SKIP_VALUE:
                result = skip_value(t, skip);
                break;
            case SKIP_FIRST_KEY:
            case SKIP_KEY:
                result = skip_key(t, skip, skip->state == SKIP_FIRST_KEY);
                break;
            case SKIP_COLON:
                if (*t->p != ':')
                    return js_unexpected(t, t->p, "a colon is expected");
                t->p++;
                skip->state = SKIP_VALUE;
                break;
            default:
                result = skip_next(t, skip);
        }
        if (result != JS_FINE)
            return result;
    }
}

void
js_skip_member(JsText *t, JsSkip *skip)
{
    memset(skip, 0, sizeof(*skip));
    skip->state = SKIP_KEY_STRING;
    t->p++;
}

/* ---- broken values --------------------------------------------------------- */

/* A byte in a string; a line end closes it, since none can be in one. */
static void
extent_in_string(JsExtent *extent, uint8_t c)
{
    if (extent->escape)
        extent->escape = false;
    else if (c == '\\')
        extent->escape = true;
    else
        extent->string = c != '"' && c != '\n';
}

JsResult
js_extent(JsText *t, JsExtent *extent)
{
    for (; t->p < t->end; t->p++)
    {
        uint8_t c = *t->p;

        if (extent->string)
            extent_in_string(extent, c);
        else if (c == '"')
            extent->string = true;
        else if (c == '{' || c == '[')
        {
            if (extent->depth == JS_MAX_DEPTH)
                return JS_BAD;
            open_level(extent->objects, extent->depth++, c == '{');
        }
        else if (c == ',' && extent->depth == 0)
            return JS_FINE;
        else if (c == '}' || c == ']')
        {
            if (extent->depth == 0)
                return JS_FINE;
            if (in_object(extent->objects, extent->depth) != (c == '}'))
                return JS_BAD;
            extent->depth--;
        }
    }
    if (!t->last)
        return JS_MORE;
    return extent->depth == 0 && !extent->string ? JS_FINE : JS_BAD;
}
