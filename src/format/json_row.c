/*
 * json_row.c: from a row's text to cells.
 *
 * One pass: a key is compared with the one that came behind its predecessor in
 * the row before, and where it is the same, which it nearly always is, its
 * field is known by one comparison of two words.  Values nobody asked for are
 * checked and passed over.  No cell is copied but strings with escapes.
 */
#include "format/json.h"

/* ---- strings ---------------------------------------------------------------- */

static uint32_t
hex4(const uint8_t *p)
{
    return (uint32_t) (js_hex(p[0]) << 12 | js_hex(p[1]) << 8 | js_hex(p[2]) << 4 | js_hex(p[3]));
}

/* Surrogates that have no partner are written as they are: no UTF-8, to be seen by whoever checks. */
static uint8_t *
put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80)
        *out++ = (uint8_t) c;
    else if (c < 0x800)
    {
        *out++ = (uint8_t) (0xC0 | c >> 6);
        *out++ = (uint8_t) (0x80 | (c & 0x3F));
    }
    else
    {
        if (c < 0x10000)
            *out++ = (uint8_t) (0xE0 | c >> 12);
        else
        {
            *out++ = (uint8_t) (0xF0 | c >> 18);
            *out++ = (uint8_t) (0x80 | (c >> 12 & 0x3F));
        }
        *out++ = (uint8_t) (0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t) (0x80 | (c & 0x3F));
    }
    return out;
}

/* The escape \u at s, of which s + *n is behind its digits; *bad when it is no text. */
static uint8_t *
put_unicode(const uint8_t *s, const uint8_t *end, uint8_t *out, size_t *n, bool *bad)
{
    uint32_t c = hex4(s + 2);

    *n = 6;
    if (c >= 0xD800 && c < 0xDC00 && end - s >= 12 && s[6] == '\\' && s[7] == 'u')
    {
        uint32_t low = hex4(s + 8);

        if (low >= 0xDC00 && low < 0xE000)
        {
            *n = 12;
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    *bad |= c == 0 || (c >= 0xD800 && c < 0xE000);
    return put_utf8(out, c);
}

/* Writes what the checked string s[0..n) says, which is never longer; returns the bytes written. */
static size_t
unescape(const uint8_t *s, size_t n, uint8_t *out, bool *bad)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const uint8_t *end = s + n;
    uint8_t *start = out;
    size_t used;

    while (s < end)
    {
        const uint8_t *stop = memchr(s, '\\', (size_t) (end - s));

        used = (size_t) ((stop == NULL ? end : stop) - s);
        memcpy(out, s, used);
        out += used;
        s += used;
        if (stop == NULL)
            break;
        if (s[1] == 'u')
            out = put_unicode(s, end, out, &used, bad);
        else
        {
            *out++ = (uint8_t) meanings[strchr(names, s[1]) - names];
            used = 2;
        }
        s += used;
    }
    return (size_t) (out - start);
}

/* ---- cells -------------------------------------------------------------------- */

static bool
is_null_string(const JsOptions *o, Cell cell)
{
    for (size_t i = 0; i < o->nnulls; i++)
        if (strlen(o->nulls[i]) == cell.n && memcmp(o->nulls[i], cell.s, cell.n) == 0)
            return true;
    return false;
}

/* A field of the first rows, which has no number yet. */
static void
discover(Json *js, JsKey *key, const JsLevel *level)
{
    Status st;
    size_t prefix = strlen(level->prefix);

    if (js->fields.n >= JS_MAX_FIELDS || memchr(key->text, '\0', key->n) != NULL)
        return;
    js->key.used = 0;
    if (!buf_reserve(&js->key, prefix + key->n + 1, &st) || !buf_append(&js->key, level->prefix, prefix, &st) || !buf_append(&js->key, key->text, key->n, &st))
        js->failed = true;
    else if ((key->field = js_names_find(&js->fields, (const char *) js->key.data, js->key.used)) < 0 &&
             !js_names_add(&js->fields, (const char *) js->key.data, js->key.used, &key->field, &st))
        js->failed = true;
}

static inline Cell *
cell_of(Json *js, int slot)
{
    return &js->cells[(size_t) slot * js->segment + js->place];
}

/* The value in the text from `start` to t->p, which is no string. */
static inline void
set_value(Json *js, const JsKey *key, const uint8_t *start, const uint8_t *end)
{
    Cell cell = {(const char *) start, (size_t) (end - start)};

    js->too_long |= cell.n > js->options->max_field;
    if (*start == 'n')
        cell = (Cell) {NULL, 0};
    if (key->text_slot >= 0)
        *cell_of(js, key->text_slot) = cell;
    if (key->json_slot >= 0)
        *cell_of(js, key->json_slot) = cell;
}

/* The string in the text from `start`, its first quote, to `end`. */
static void
set_string(Json *js, const JsKey *key, const uint8_t *start, const uint8_t *end, bool escaped)
{
    Cell text = {(const char *) start + 1, (size_t) (end - start) - 2}, cell = text;
    bool null;

    js->too_long |= cell.n > js->options->max_field;
    if (escaped)
    {
        cell.s = (const char *) js->scratch.data + js->scratch.used;
        cell.n = unescape(start + 1, text.n, js->scratch.data + js->scratch.used, &js->bad_text);
        js->scratch.used += cell.n;
    }
    null = js->options->nnulls > 0 && is_null_string(js->options, cell);
    if (key->text_slot >= 0)
        *cell_of(js, key->text_slot) = null ? (Cell) {NULL, 0} : cell;
    if (key->json_slot >= 0)
        *cell_of(js, key->json_slot) = null ? (Cell) {NULL, 0} : (Cell) {(const char *) start, (size_t) (end - start)};
}

/* ---- values --------------------------------------------------------------------- */

static JsResult row_object(Json *js, JsLevel *level, uint32_t depth);
static JsResult row_array(Json *js, const JsLevel *level, uint32_t depth);

static inline bool
is_wanted(const JsKey *key)
{
    return key != NULL && (key->text_slot >= 0 || key->json_slot >= 0);
}

/* What is not read: checked, within what the levels around it leave of the depth. */
static JsResult
pass_over(JsText *t, uint32_t depth)
{
    JsSkip skip;

    skip.depth = 0;
    skip.outer = depth;
    skip.state = 0;
    return js_skip(t, &skip);
}

/* The value at t->p, of `key` (NULL: nobody's). */
static JsResult
row_value(Json *js, JsKey *key, uint32_t depth)
{
    JsText *t = &js->text;
    const uint8_t *start = t->p;
    JsResult result;
    bool escaped;

    if (*start == '"')
    {
        t->p++;
        result = js_string(t, &escaped);
        if (result == JS_FINE && is_wanted(key))
            set_string(js, key, start, t->p, escaped);
        return result;
    }
    if (*start == '{' && key != NULL && key->level != NULL)
        result = row_object(js, key->level, depth);
    else if (*start == '[' && key != NULL && key->level != NULL && key->level->nelements > 0)
        result = row_array(js, key->level, depth);
    else if (*start == '{' || *start == '[')
        result = pass_over(t, depth);
    else
        result = js_scalar(t);
    if (result == JS_FINE && is_wanted(key))
        set_value(js, key, start, t->p);
    return result;
}

static inline bool
is_key(const JsKey *key, const JsText *t)
{
    uint64_t differ = ((js_word(t->p) & key->mask[0]) ^ key->word[0]) | ((js_word(t->p + 8) & key->mask[1]) ^ key->word[1]);

    /* word by word as far as they go; a zero byte ends the text, and no plain key has one */
    return differ == 0 && key->plain &&
        (key->n < 16 || ((size_t) (t->end - t->p) > key->n && memcmp(t->p, key->text, key->n + 1) == 0));
}

/* The key at t->p, behind its quote; t->p is then behind the other one.  *key NULL: one that nobody wants. */
static JsResult
read_key(Json *js, JsLevel *level, JsKey *before, JsKey **key)
{
    JsText *t = &js->text;
    JsKey *guess = before != NULL ? before->next : level->first;
    const uint8_t *start = t->p;
    const char *text = (const char *) start;
    size_t n;
    JsResult result;
    bool escaped, ignored = false;
    Status st;

    /* the next one, or the one behind it where that is missing in this row */
    if (guess != NULL && !is_key(guess, t))
        guess = guess->next != NULL && is_key(guess->next, t) ? guess->next : NULL;
    if (guess != NULL)
    {
        t->p += guess->n + 1;
        *key = guess;
        return JS_FINE;
    }
    result = js_string(t, &escaped);
    if (result != JS_FINE)
        return result;
    n = (size_t) (t->p - start) - 1;
    if (escaped)
    {
        js->key.used = 0;
        if (!buf_reserve(&js->key, n, &st))
        {
            js->failed = true;
            return JS_BAD;
        }
        n = unescape(start, n, js->key.data, &ignored);
        text = (const char *) js->key.data;
    }
    *key = js_keys_find(js, level, text, n, &js->failed);
    if (*key != NULL)
        *(before != NULL ? &before->next : &level->first) = *key;
    return js->failed ? JS_BAD : JS_FINE;
}

/* Is the value at p one whose key is a field of its own? */
static inline bool
is_leaf(const JsKey *key, uint8_t c)
{
    return key->level == NULL || c != '{';
}

static JsResult
row_object(Json *js, JsLevel *level, uint32_t depth)
{
    JsText *t = &js->text;
    JsKey *before = NULL, *key;
    JsResult result;

    t->p++;
    js_space(t);
    if (*t->p == '}')
    {
        t->p++;
        return JS_FINE;
    }
    for (;;)
    {
        if (*t->p != '"')
            return js_unexpected(t, t->p, before == NULL ? "a key in quotes or } is expected" : "a key in quotes is expected");
        t->p++;
        result = read_key(js, level, before, &key);
        if (result != JS_FINE)
            return result;
        js_space(t);
        if (*t->p != ':')
            return js_unexpected(t, t->p, "a colon is expected");
        t->p++;
        js_space(t);
        if (key != NULL)
        {
            if (key->seen == js->row)
                js_keys_again(js, key);
            key->seen = js->row;
            before = key;
            if (js->discover && level->prefix != NULL && key->field < 0 && is_leaf(key, *t->p))
                discover(js, key, level);
        }
        result = row_value(js, key, depth + 1);
        if (result != JS_FINE)
            return result;
        js_space(t);
        if (*t->p == '}')
        {
            t->p++;
            return JS_FINE;
        }
        if (*t->p != ',')
            return js_unexpected(t, t->p, "a comma or } is expected");
        t->p++;
        js_space(t);
        if (*t->p != '"')
            return js_unexpected(t, t->p, "a key in quotes is expected");
    }
}

/* An array of which some elements are fields. */
static JsResult
row_array(Json *js, const JsLevel *level, uint32_t depth)
{
    JsText *t = &js->text;
    JsResult result;
    uint32_t i;

    t->p++;
    js_space(t);
    if (*t->p == ']')
    {
        t->p++;
        return JS_FINE;
    }
    for (i = 0;; i++)
    {
        result = row_value(js, i < level->nelements ? level->elements[i] : NULL, depth + 1);
        if (result != JS_FINE)
            return result;
        js_space(t);
        if (*t->p == ']')
        {
            t->p++;
            return JS_FINE;
        }
        if (*t->p != ',')
            return js_unexpected(t, t->p, "a comma or ] is expected");
        t->p++;
        js_space(t);
    }
}

JsResult
js_row(Json *js, uint32_t at)
{
    js->place = at;
    js->row++;
    js->too_long = false;
    return row_value(js, js->root, 0);
}
