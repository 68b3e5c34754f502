/*
 * path_pattern.h: paths with wildcards (glob.h), component by component.
 *
 * What may match next, below the components of a path seen so far, is a set,
 * so a tree is searched once whatever the pattern is, and "**" costs no more
 * than the folders there are.
 */
#ifndef KAIREON_PATH_PATTERN_H
#define KAIREON_PATH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#define PATH_NAME_MAX 4096  /* bytes between two slashes of a path that may match */
#define PATH_DEPTH 64   /* components of a pattern, and folders one in another */

typedef struct PathComponent { const char *s; size_t n; bool deep; } PathComponent;

typedef struct PathPattern
{
    PathComponent components[PATH_DEPTH];   /* borrowed from the pattern's text; the last is not deep */
    size_t ncomponents;
} PathPattern;

/* Components that may match next, bit by bit. */
typedef uint64_t PathNext;

/* Cuts a pattern into components; "" is all files of the folder.  Fails with 54000. */
STATUS_CHECK bool path_pattern_parse(PathPattern *pattern, const char *text, Status *st);

/* What may match before anything has. */
PathNext path_pattern_begin(const PathPattern *pattern);

/* What may match below the folder `name`, when `next` may match it; *whole: it is the last component's. */
PathNext path_pattern_step(const PathPattern *pattern, PathNext next, const char *name, bool *whole);

/* Whether a whole path is what the pattern stands for. */
bool path_pattern_match(const PathPattern *pattern, const char *path);

/* The length of the beginning of a pattern that has no wildcard: whole components. */
size_t path_plain_length(const char *pattern);

/* Each component of the pattern is one of the names it stands for. */
bool path_matches_itself(const char *pattern);

/* Some component of the path is "..". */
bool path_goes_up(const char *path);

/* A copy without "." and empty components, to be freed: one file, one path.  NULL without memory. */
char *path_clean(const char *path);

#endif
