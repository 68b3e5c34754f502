/*
 * glob.h: names with wildcards, one component of a path at a time.
 *
 *   *        any characters; alone as "**" it stands for any depth of folders,
 *            which is the caller's business (glob_is_deep)
 *   ?        one character
 *   [a-z_]   one character of these; [!a-z] or [^a-z] one that is none of them
 *   \x       x itself, whatever it is
 *
 * Characters are those of UTF-8; a byte that is none counts as one.  A "[" that
 * is not closed and a "\" at the end are themselves.  Nothing but a dot matches
 * a dot at the beginning, so hidden files have to be asked for.
 */
#ifndef KAIREON_GLOB_H
#define KAIREON_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* The n bytes hold a character that has a meaning of its own here. */
bool glob_has_pattern(const char *s, size_t n);

/* They do, and what is meant is not one name that glob_unescape gives. */
bool glob_is_pattern(const char *s, size_t n);

/* A "\" stands before a character that has a meaning of its own: a name was made a pattern on purpose. */
bool glob_has_escape(const char *s, size_t n);

/* They are "**". */
bool glob_is_deep(const char *s, size_t n);

/* Whether `name` is what the n bytes of the pattern stand for. */
bool glob_match(const char *pattern, size_t n, const char *name);

/* Writes the name or path that n bytes without wildcards stand for; `out` has room for n + 1. */
void glob_unescape(const char *s, size_t n, char *out);

#endif
