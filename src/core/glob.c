/*
 * glob.c: see glob.h.
 *
 * Only the last star is ever gone back to, so a match costs at most the product
 * of the two lengths, whatever the pattern.
 */
#include "core/glob.h"

#include <stdint.h>
#include <string.h>

bool
glob_has_pattern(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (strchr("*?[\\", s[i]) != NULL && s[i] != '\0')
            return true;
    return false;
}

bool
glob_is_pattern(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
    {
        if (s[i] == '\\')
            i++;
        else if (s[i] == '*' || s[i] == '?' || s[i] == '[')
            return true;
    }
    return false;
}

bool
glob_has_escape(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i + 1 < n; i++)
        if (s[i] == '\\' && s[i + 1] != '\0' && strchr("*?[]\\", s[i + 1]) != NULL)
            return true;
    return false;
}

bool
glob_is_deep(const char *s, size_t n)
{
    return n == 2 && s[0] == '*' && s[1] == '*';
}

void
glob_unescape(const char *s, size_t n, char *out)
{
    size_t i;

    for (i = 0; i < n; i++)
    {
        if (s[i] == '\\' && i + 1 < n && s[i + 1] != '/')
            i++;
        *out++ = s[i];
    }
    *out = '\0';
}

/* The character at s, which ends before `end`, and behind it; a byte that begins none is taken alone. */
static uint32_t
take_character(const char **s, const char *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};  /* of a character of so many bytes more */
    const uint8_t *p = (const uint8_t *) *s;
    size_t more = *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC0 ? 1 : 0, i;
    uint32_t c = more == 0 ? *p : *p & (0x7FU >> more);  /* from 0xF8 on more than any character */

    for (i = 1; i <= more && i < (size_t) (end - *s) && (p[i] & 0xC0) == 0x80; i++)
        c = c << 6 | (p[i] & 0x3FU);
    if (i <= more || c < least[more] || c > 0x10FFFF || (more == 0 && c >= 0x80))
    {
        (*s)++;
        /* Above all characters, so that it is only equal to itself. */
        return 0x110000U + *p;
    }
    *s += 1 + more;
    return c;
}

/* One character of a set, escapes undone. */
static uint32_t
take_member(const char **p, const char *end)
{
    if (**p == '\\' && *p + 1 < end)
        (*p)++;
    return take_character(p, end);
}

/*
 * *p is behind a "[".  Moves it behind the set and says in *in whether c is in
 * it; false, with *p where it was, when the set is not closed.
 */
static bool
take_set(const char **p, const char *end, uint32_t c, bool *in)
{
    const char *at = *p;
    bool none_of = at < end && (*at == '!' || *at == '^'), found = false, first = true;

    if (none_of)
        at++;
    for (; at < end && (*at != ']' || first); first = false)
    {
        uint32_t from = take_member(&at, end), to = from;

        if (at + 1 < end && at[0] == '-' && at[1] != ']')
        {
            at++;
            to = take_member(&at, end);
        }
        found |= from <= c && c <= to;
    }
    if (at >= end)
        return false;
    *p = at + 1;
    *in = found != none_of;
    return true;
}

/* One element of the pattern that is no star against one character of the name; both move behind it. */
static bool
match_one(const char **p, const char *end, const char **s, const char *s_end)
{
    uint32_t c = take_character(s, s_end);
    bool in;

    if (**p == '?')
    {
        (*p)++;
        return true;
    }
    if (**p == '[')
    {
        const char *set = *p + 1;

        if (take_set(&set, end, c, &in))
        {
            *p = set;
            return in;
        }
    }
    return take_member(p, end) == c;
}

bool
glob_match(const char *pattern, size_t n, const char *name)
{
    const char *p = pattern, *end = pattern + n, *s = name, *s_end = name + strlen(name);
    const char *star = NULL, *star_s = NULL;

    if (*s == '.' && n > 0 && (*p == '*' || *p == '?' || *p == '['))
        return false;
    while (s < s_end)
    {
        if (p < end && *p == '*')
        {
            star = ++p;
            star_s = s;
        }
        else if (p == end || !match_one(&p, end, &s, s_end))
        {
            if (star == NULL)
                return false;
            p = star;
            s = star_s;
            take_character(&s, s_end);
            star_s = s;
        }
    }
    while (p < end && *p == '*')
        p++;
    return p == end;
}
