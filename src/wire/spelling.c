/*
 * spelling.c: numbers written with other separators than the server's.  See spelling.h.
 */
#include "wire/spelling.h"

#include <stdbool.h>
#include <string.h>

static inline bool
digit(const char *s, const char *end)
{
    return s < end && *s >= '0' && *s <= '9';
}

static const char *
copy_digits(const char *s, const char *end, char **out)
{
    while (digit(s, end))
        *(*out)++ = *s++;
    return s;
}

/*
 * The whole part: digits, or one to three digits and then groups of three.
 * Returns where it ends, NULL when the groups are wrong.
 */
static const char *
whole_part(const char *s, const char *end, const char *thousands, char **out)
{
    size_t length = strlen(thousands);
    const char *from = s;
    bool first = true;

    for (;;)
    {
        s = copy_digits(from, end, out);
        if (!first && s - from != 3)
            return NULL;
        if (length == 0 || (size_t) (end - s) < length || memcmp(s, thousands, length) != 0 ||
            !digit(s + length, end))
            return s;
        if (first && (s - from < 1 || s - from > 3))
            return NULL;
        first = false;
        from = s + length;
    }
}

/* It has one of the characters that separators are made of. */
static bool
has_separator(const char *s, size_t n, char decimal, const char *thousands)
{
    return memchr(s, decimal, n) != NULL || memchr(s, '.', n) != NULL || (thousands[0] != '\0' && memchr(s, thousands[0], n) != NULL);
}

static inline bool
blank(char c)
{
    return c == ' ' || c == '\t';
}

Spelling
spelling_of_number(const char *s, size_t n, char decimal, const char *thousands, char *out, size_t *written)
{
    const char *end = s + n;
    char *to = out;

    *written = 0;
    if (!has_separator(s, n, decimal, thousands))
        return SPELLING_SAME;
    while (s < end && blank(*s))
        s++;
    while (s < end && blank(end[-1]))
        end--;
    /* Only spaces, and a space is the separator. */
    if (s == end)
        return SPELLING_SAME;
    if (*s == '+' || *s == '-')
        *to++ = *s++;
    s = whole_part(s, end, thousands, &to);
    if (s != NULL && s < end && *s == decimal)
    {
        *to++ = '.';
        s = copy_digits(s + 1, end, &to);
    }
    if (s != NULL && s < end && (*s == 'e' || *s == 'E'))
    {
        *to++ = *s++;
        if (s < end && (*s == '+' || *s == '-'))
            *to++ = *s++;
        s = copy_digits(s, end, &to);
    }
    if (s != end)
        return SPELLING_BAD;
    *written = (size_t) (to - out);
    return SPELLING_NEW;
}
