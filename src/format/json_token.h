/*
 * json_token.h: white space, strings, numbers and words of JSON.
 *
 * Private to the JSON format.  The text is a window that may end anywhere; the
 * JS_SLACK bytes behind it are zero, which no JSON has, so that loops need not
 * look for the end: only who meets a byte that does not fit asks whether it is
 * the window's end.  MORE is answered when the rest must be seen to know.
 *
 * Strings are searched 16 bytes at once with SSE2, or 8 in a machine word.
 */
#ifndef KAIREON_JSON_TOKEN_H
#define KAIREON_JSON_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes behind the text that are zero; BUF_SLACK. */
#define JS_SLACK 64

typedef enum JsResult { JS_FINE, JS_MORE, JS_BAD } JsResult;

typedef struct JsText
{
    const uint8_t *p;       /* the next byte */
    const uint8_t *end;
    bool last;              /* nothing comes behind `end` */
    bool lines;             /* a line feed is no white space */
    bool portable;          /* without SSE2 */
    bool foreign;           /* bytes that are not ASCII were seen in strings; never cleared here */
    const char *problem;    /* BAD: what is wrong ... */
    const uint8_t *bad;     /* ... and where */
} JsText;

static inline JsResult
js_fail(JsText *t, const uint8_t *at, const char *problem)
{
    t->problem = problem;
    t->bad = at;
    return JS_BAD;
}

/* A byte at `at` does not fit: or the text is not all there yet. */
static inline JsResult
js_unexpected(JsText *t, const uint8_t *at, const char *problem)
{
    if (at >= t->end)
        return t->last ? js_fail(t, t->end, "the text ends too early") : JS_MORE;
    return js_fail(t, at, problem);
}

static inline void
js_space(JsText *t)
{
    const uint8_t *p = t->p;

    while (*p == ' ' || *p == '\t' || *p == '\r' || (*p == '\n' && !t->lines))
        p++;
    t->p = p;
}

static inline uint64_t
js_word(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The first quote, backslash or control character at or behind p; there is one, if only the slack. */
static inline const uint8_t *
js_string_stop(JsText *t, const uint8_t *p)
{
    const uint64_t low = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);

#ifdef __SSE2__
    while (!t->portable)
    {
        __m128i bytes = _mm_loadu_si128((const __m128i *) p);
        __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                                    _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
        unsigned int mask = (unsigned int) _mm_movemask_epi8(stop);

        t->foreign |= _mm_movemask_epi8(bytes) != 0;
        if (mask != 0)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    for (;; p += 8)
    {
        uint64_t word = js_word(p), quote = word ^ low * '"', slash = word ^ low * '\\';
        /* a byte that is not ASCII may be taken for a stop only behind a true one */
        uint64_t stop = (((quote - low) & ~quote) | ((slash - low) & ~slash) | ((word - low * 0x20) & ~word)) & high;

        t->foreign |= (word & high) != 0;
        if (stop != 0)
            return p + __builtin_ctzll(stop) / 8;
    }
}

static inline int
js_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The escape at t->p, which is its backslash. */
static inline JsResult
js_escape(JsText *t)
{
    const uint8_t *p = t->p + 1;
    int i;

    if (*p == 'u')
    {
        for (i = 1; i <= 4; i++)
            if (js_hex(p[i]) < 0)
                return js_unexpected(t, p + i, "\\u needs four hexadecimal digits");
        t->p = p + 5;
        return JS_FINE;
    }
    if (*p == 0 || strchr("\"\\/bfnrt", *p) == NULL)
        return js_unexpected(t, p, "there is no such escape");
    t->p = p + 1;
    return JS_FINE;
}

/* The string whose first byte behind the quote is t->p; t->p is then behind its closing quote. */
static inline JsResult
js_string(JsText *t, bool *escaped)
{
    *escaped = false;
    for (;;)
    {
        JsResult result;

        t->p = js_string_stop(t, t->p);
        if (t->p >= t->end)
            return js_unexpected(t, t->p, "");
        if (*t->p == '"')
        {
            t->p++;
            return JS_FINE;
        }
        if (*t->p != '\\')
            return js_fail(t, t->p, *t->p == '\n' ? "a string is not closed at the line's end" : "a control character in a string must be escaped");
        *escaped = true;
        result = js_escape(t);
        if (result != JS_FINE)
            return result;
    }
}

static inline bool
js_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The number at t->p. */
static inline JsResult
js_number(JsText *t)
{
    const uint8_t *p = t->p;

    if (*p == '-')
        p++;
    if (*p == '0')
        p++;
    else if (js_digit(*p))
        while (js_digit(*p))
            p++;
    else
        return js_unexpected(t, p, "a number needs a digit here");
    if (js_digit(*p))
        return js_fail(t, p, "a number has no leading zeros");
    if (*p == '.')
    {
        if (!js_digit(*++p))
            return js_unexpected(t, p, "a number needs a digit behind its point");
        while (js_digit(*p))
            p++;
    }
    if (*p == 'e' || *p == 'E')
    {
        p++;
        if (*p == '+' || *p == '-')
            p++;
        if (!js_digit(*p))
            return js_unexpected(t, p, "a number needs a digit in its exponent");
        while (js_digit(*p))
            p++;
    }
    /* There may be more of it. */
    if (p >= t->end && !t->last)
        return JS_MORE;
    t->p = p;
    return JS_FINE;
}

/* One of true, false, null at t->p. */
static inline JsResult
js_literal(JsText *t, const char *literal)
{
    size_t i;

    for (i = 0; literal[i] != '\0'; i++)
        if (t->p[i] != (uint8_t) literal[i])
            return js_unexpected(t, t->p + i, "a value is expected");
    t->p += i;
    return JS_FINE;
}

/* A number, true, false or null at t->p; anything else is BAD. */
static inline JsResult
js_scalar(JsText *t)
{
    switch (*t->p)
    {
        case 't':
            return js_literal(t, "true");
        case 'f':
            return js_literal(t, "false");
        case 'n':
            return js_literal(t, "null");
        case '-':
        case '0': case '1': case '2': case '3': case '4':
        case '5': case '6': case '7': case '8': case '9':
            return js_number(t);
        default:
            return js_unexpected(t, t->p, "a value is expected");
    }
}

#endif
