/*
 * path_pattern.c: see path_pattern.h.
 */
#include "core/path_pattern.h"

#include <stdlib.h>
#include <string.h>

#include "core/glob.h"

static bool
add_component(PathPattern *pattern, const char *s, size_t n, Status *st)
{
    bool deep = glob_is_deep(s, n);

    /* "**" twice is "**" once. */
    if (deep && pattern->ncomponents > 0 && pattern->components[pattern->ncomponents - 1].deep)
        return true;
    if (pattern->ncomponents == PATH_DEPTH)
        return status_fail(st, STATUS_LIMIT, "pattern has more than %d components", PATH_DEPTH);
    pattern->components[pattern->ncomponents++] = (PathComponent) {s, n, deep};
    return true;
}

bool
path_pattern_parse(PathPattern *pattern, const char *text, Status *st)
{
    pattern->ncomponents = 0;
    while (*text != '\0')
    {
        size_t n = strcspn(text, "/");

        if (!add_component(pattern, text, n, st))
            return false;
        text += n + (text[n] == '/' ? 1 : 0);
    }
    if (pattern->ncomponents == 0 || pattern->components[pattern->ncomponents - 1].deep)
        return add_component(pattern, "*", 1, st);
    return true;
}

/* "**" may stand for no folder at all. */
static PathNext
with_skipped(const PathPattern *pattern, PathNext next)
{
    for (size_t i = 0; i + 1 < pattern->ncomponents; i++)
        if (pattern->components[i].deep && (next >> i & 1) != 0)
            next |= (PathNext) 1 << (i + 1);
    return next;
}

PathNext
path_pattern_begin(const PathPattern *pattern)
{
    return with_skipped(pattern, 1);
}

PathNext
path_pattern_step(const PathPattern *pattern, PathNext next, const char *name, bool *whole)
{
    PathNext below = 0;

    *whole = false;
    for (size_t i = 0; i < pattern->ncomponents; i++)
    {
        const PathComponent *c = &pattern->components[i];

        if ((next >> i & 1) == 0)
            continue;
        if (c->deep)
            below |= name[0] == '.' ? 0 : (PathNext) 1 << i;
        else if (!glob_match(c->s, c->n, name))
            continue;
        else if (i + 1 == pattern->ncomponents)
            *whole = true;
        else
            below |= (PathNext) 1 << (i + 1);
    }
    return with_skipped(pattern, below);
}

bool
path_pattern_match(const PathPattern *pattern, const char *path)
{
    PathNext next = path_pattern_begin(pattern);
    bool whole = false;

    while (next != 0)
    {
        size_t n = strcspn(path, "/");
        char name[PATH_NAME_MAX + 1];

        if (n >= sizeof(name))
            return false;
        memcpy(name, path, n);
        name[n] = '\0';
        next = path_pattern_step(pattern, next, name, &whole);
        if (path[n] == '\0')
            return whole;
        path += n + 1;
    }
    return false;
}

size_t
path_plain_length(const char *pattern)
{
    size_t n = 0;

    while (pattern[n] != '\0')
    {
        size_t length = strcspn(pattern + n, "/");

        if (glob_is_pattern(pattern + n, length))
            return n;
        n += length + (pattern[n + length] == '/');
    }
    return n;
}

bool
path_matches_itself(const char *pattern)
{
    size_t n;
    bool same = true;

    for (; same && *pattern != '\0'; pattern += n + (pattern[n] == '/'))
    {
        char *name;

        n = strcspn(pattern, "/");
        name = strndup(pattern, n);
        same = name != NULL && glob_match(pattern, n, name);
        free(name);
    }
    return same;
}

bool
path_goes_up(const char *path)
{
    size_t n;

    for (; *path != '\0'; path += n + (path[n] == '/' ? 1 : 0))
    {
        n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.')
            return true;
    }
    return false;
}

char *
path_clean(const char *path)
{
    char *clean = malloc(strlen(path) + 2), *to = clean;

    while (clean != NULL && *path != '\0')
    {
        size_t n = strcspn(path, "/");

        if (n > 0 && !(n == 1 && *path == '.'))
        {
            memcpy(to, path, n);
            to += n;
            *to++ = '/';
        }
        path += n + (path[n] == '/');
    }
    if (clean != NULL)
        to[to > clean ? -1 : 0] = '\0';
    return clean;
}
