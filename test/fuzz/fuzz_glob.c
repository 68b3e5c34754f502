/*
 * fuzz_glob.c: bytes as a pattern and a name.
 *
 * The first zero byte is between the two.  Matches are compared with a slow
 * twin that tries everything, and what is quoted must stand for itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/glob.h"
#include "format/convert.h"

/* Bytes of the character there; a byte that begins none is one of its own. */
static size_t
character(const char *s)
{
    uint8_t first = (uint8_t) *s;
    size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1, i;

    for (i = 1; i < size; i++)
        if (((uint8_t) s[i] & 0xC0) != 0x80)
            return 1;
    /* Behind 0xED there may be half of a pair: no UTF-8, but it is taken as a character. */
    return first == 0xED || convert_utf8_valid(s, size) ? size : 1;
}

/* The next place in a name at which a character begins or which is its end; `length` + 1 behind that. */
static size_t
next_place(const char *name, size_t place, size_t length)
{
    return place + (place < length ? character(name + place) : 1);
}

/*
 * Tries every length for the pattern's first star, and so on for what is behind
 * it; what is before it has none and is glob_match's.  For patterns without sets.
 */
static bool
slow_match(const char *pattern, size_t n, const char *name, size_t length)
{
    size_t star = 0, i, rest;
    bool found = false;

    while (star < n && pattern[star] != '*')
        star += pattern[star] == '\\' ? 2 : 1;
    for (i = 0; !found && i <= length; i = next_place(name, i, length))
    {
        char *part = strndup(name, i);

        if (part == NULL)
            abort();
        found = (star < n || i == length) && glob_match(pattern, star < n ? star : n, part);
        free(part);
        if (found && star < n)
            for (found = false, rest = i; !found && rest <= length; rest = next_place(name, rest, length))
                found = slow_match(pattern + star + 1, n - star - 1, name + rest, length - rest);
    }
    return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t n = zero == NULL ? size : (size_t) (zero - data), i, quoted = 0;
    char *pattern = strndup((const char *) data, n), *plain = malloc(n + 1), *escaped = malloc(2 * n + 1);
    char *name = zero == NULL ? strdup("") : strndup((const char *) zero + 1, size - n - 1);

    if (pattern == NULL || plain == NULL || escaped == NULL || name == NULL)
        abort();
    (void) glob_match(pattern, n, name);
    if (!glob_is_pattern(pattern, n))
    {
        glob_unescape(pattern, n, plain);
        /* A pattern comes as UTF-8: no backslash stands inside a character. */
        if (strlen(plain) > n || (convert_utf8_valid(pattern, n) && strchr(pattern, '/') == NULL && !glob_match(pattern, n, plain)))
            abort();
    }
    if (!glob_has_pattern(pattern, n) && glob_match(pattern, n, name) != (strcmp(pattern, name) == 0))
        abort();
    for (i = 0; i < n; i++)
    {
        escaped[quoted++] = '\\';
        escaped[quoted++] = pattern[i];
    }
    /* Bytes of one character can't be quoted one by one. */
    for (i = 0; i < n && (uint8_t) pattern[i] < 0x80; i++)
        continue;
    if (i == n && glob_match(escaped, quoted, name) != (strcmp(pattern, name) == 0))
        abort();
    /* Sets may hold stars, and dots are hidden: the twin is for the rest. */
    if (n < 10 && strlen(name) < 8 && strchr(pattern, '[') == NULL && strchr(name, '.') == NULL && i == n &&
        glob_match(pattern, n, name) != slow_match(pattern, n, name, strlen(name)))
        abort();
    free(pattern);
    free(plain);
    free(escaped);
    free(name);
    return 0;
}
