/*
 * convert_text.c: booleans, character limits and UTF-8; see convert.h.
 *
 * UTF-8 is checked for every text cell, so ASCII is skipped a word at a time;
 * only where a word has something else is one sequence looked at by its
 * bytes, after which words go on.  The rules are those of PostgreSQL's
 * pg_utf8_islegal, with zero bytes refused too, since no text value holds one.
 * That a varchar's text is valid is for the caller to know.
 */
#include <stdio.h>

#include "format/convert.h"

#include "format/convert_swar.h"

/* ---- booleans ---------------------------------------------------------- */

#define WORD(a, b, c, d, e) \
    ((uint64_t) (a) | (uint64_t) (b) << 8 | (uint64_t) (c) << 16 | (uint64_t) (d) << 24 | \
     (uint64_t) (e) << 32)
#define WORD_TRUE WORD('t', 'r', 'u', 'e', 0)
#define WORD_FALSE WORD('f', 'a', 'l', 's', 'e')
#define WORD_YES WORD('y', 'e', 's', 0, 0)
#define WORD_NO WORD('n', 'o', 0, 0, 0)
#define WORD_ON WORD('o', 'n', 0, 0, 0)
#define WORD_OFF WORD('o', 'f', 'f', 0, 0)

uint8_t
convert_bool(const char *s, size_t n, int64_t *value)
{
    const char *p = s, *end = s + n;
    uint64_t w, prefix;
    size_t length;

    while (p < end && is_space(*p))
        p++;
    while (end > p && is_space(end[-1]))
        end--;
    length = (size_t) (end - p);
    if (length - 1 >= 5)
        goto refuse;

    w = swar_load(p, length);
    /* makes letters small; no other byte becomes a letter */
    w |= (w & SWAR_EACH(0x40)) >> 1;
    prefix = ((uint64_t) 1 << (8 * length)) - 1;
    if (w == (WORD_TRUE & prefix) || w == (WORD_YES & prefix) || w == WORD_ON || w == '1')
        *value = 1;
    else if (w == (WORD_FALSE & prefix) || w == (WORD_NO & prefix) || w == '0' ||
             (length >= 2 && w == (WORD_OFF & prefix)))
        *value = 0;
    else
        goto refuse;
    /* a word longer than its pattern would have had to end in zero bytes */
    if (w >> (8 * (length - 1)) == 0)
        goto refuse;
    return WIRE_VALUE;

refuse:
    return convert_utf8_valid(s, n) ? WIRE_BAD_SYNTAX : WIRE_RAW;
}

/* ---- character limits -------------------------------------------------- */

uint8_t
convert_varchar(const char *s, size_t n, size_t max_chars, bool coerce, size_t *length)
{
    size_t chars = 0, at, cut;

    *length = n;
    if (n <= max_chars)
        return WIRE_VALUE;
    /* the first byte of the character after the last allowed one */
    for (cut = 0; cut < n; cut++)
    {
        if (((uint8_t) s[cut] & 0xc0) != 0x80 && chars++ == max_chars)
            break;
    }
    if (cut == n)
        return WIRE_VALUE;
    if (!coerce)
    {
        for (at = cut; at < n; at++)
        {
            if (s[at] != ' ')
                return WIRE_BAD_LENGTH;
        }
    }
    *length = cut;
    return WIRE_VALUE;
}

/* ---- UTF-8 ------------------------------------------------------------- */

static inline bool
continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the valid sequence at p, of which `left` (at least 1) bytes are there; 0 when it is not valid. */
static inline size_t
sequence_length(const uint8_t *p, size_t left)
{
    uint8_t first = p[0];

    if (first < 0x80)
        return first != 0;
    if (first < 0xe0)
        return first >= 0xc2 && left >= 2 && continues(p[1]) ? 2 : 0;
    if (first < 0xf0)
    {
        if (left < 3 || !continues(p[1]) || !continues(p[2]))
            return 0;
        /* overlong, and the surrogates */
        if ((first == 0xe0 && p[1] < 0xa0) || (first == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (first > 0xf4 || left < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3]))
        return 0;
    if ((first == 0xf0 && p[1] < 0x90) || (first == 0xf4 && p[1] > 0x8f))
        return 0;
    return 4;
}

/* The high bit of each byte that is 1 to 127; exact up to and with the lowest that is not. */
static inline uint64_t
ascii_bits(uint64_t w)
{
    return ~w & (w + SWAR_EACH(0x7f)) & SWAR_HIGH;
}

bool
convert_utf8_valid(const char *s, size_t n)
{
    const char *p = s, *end = s + n;

    while (p < end)
    {
        size_t left = (size_t) (end - p), step;
        uint64_t good;

        while (left >= 32 &&
               (ascii_bits(swar_load8(p)) & ascii_bits(swar_load8(p + 8)) &
                ascii_bits(swar_load8(p + 16)) & ascii_bits(swar_load8(p + 24))) == SWAR_HIGH)
        {
            p += 32;
            left -= 32;
        }
        if (left == 0)
            return true;
        if (left >= 8)
            good = ascii_bits(swar_load8(p));
        else
            good = ascii_bits(swar_load(p, left) | SWAR_EACH(0x01) << (8 * left));
        if (good == SWAR_HIGH)
        {
            p += left < 8 ? left : 8;
            continue;
        }
        p += (size_t) __builtin_ctzll(good ^ SWAR_HIGH) / 8;
        /* letters outside ASCII often stand together */
        do
        {
            step = sequence_length((const uint8_t *) p, (size_t) (end - p));
            if (step == 0)
                return false;
            p += step;
        } while (p < end && (uint8_t) *p >= 0x80);
    }
    return true;
}

size_t
convert_utf8_escape(const char *s, size_t n, char *out, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *) s, *end = p + n;
    size_t used = 0;

    while (p < end)
    {
        size_t step = sequence_length(p, (size_t) (end - p));

        if (size - used < (step > 0 ? step : 4))
            break;
        if (step > 0)
        {
            memcpy(out + used, p, step);
            used += step;
            p += step;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[*p >> 4];
        out[used++] = hex[*p & 15];
        p++;
    }
    return used;
}

size_t
convert_json_escape(const char *s, size_t n, char *out, size_t size, bool *escapes)
{
    const uint8_t *p = (const uint8_t *) s, *end = p + n, *from = p;
    size_t used = 0;

    *escapes = false;
    while (p < end)
    {
        bool half = end - p >= 3 && p[0] == 0xed && p[1] >= 0xa0 && continues(p[1]) && continues(p[2]);

        if (!half && *p != 0)
        {
            p++;
            continue;
        }
        used += convert_utf8_escape((const char *) from, (size_t) (p - from), out + used, size - used);
        if (size - used <= 6)
            return used;
        used += (size_t) snprintf(out + used, size - used, "\\u%04x", half ? (p[0] & 15U) << 12 | (p[1] & 63U) << 6 | (p[2] & 63U) : 0);
        p += half ? 3 : 1;
        from = p;
        *escapes = true;
    }
    return used + convert_utf8_escape((const char *) from, (size_t) (p - from), out + used, size - used);
}
