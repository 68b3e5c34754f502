/*
 * redact_text.h: finding and blanking out what is secret in a statement's text.
 *
 * Text is looked at as the lexer would, not parsed: it may be wrong, or not SQL
 * at all.  When in doubt it counts as secret.
 */
#ifndef KAIREON_REDACT_TEXT_H
#define KAIREON_REDACT_TEXT_H

#include "postgres.h"

/*
 * May this text carry credentials: does it call a function that takes
 * auth_config, with an argument of that name or so many that one may be it, or
 * has it a name whose escapes (U&"...") may hide one?  NULL does not.
 */
extern bool redact_mentions(const char *text);

/*
 * Puts asterisks over everything that is quoted (strings of any kind, names in
 * double quotes other than those of our functions and "auth_config") and over comments, in place;
 * the text keeps its length, its lines and its tokens.  True when it changed.
 */
extern bool redact_blank(char *text);

/* The same for text that may not be well formed: everything from the first quote to the last. */
extern bool redact_blank_quoted(char *text);

/* The same for a statement that may not be well formed: everything from the first quote on. */
extern bool redact_blank_rest(char *text);

/*
 * The name that stands at the beginning of the text, behind white space and
 * comments; NULL when there is none, and when it can't be told (U&"...", which
 * is unescaped by any character): then `unknown` is true.
 */
extern char *redact_name(const char *text, bool *unknown);

#endif
