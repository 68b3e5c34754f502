/*
 * encoding.h: the reader's UTF-8 and the database's encoding.
 *
 * A source may have characters that a database of another encoding than UTF-8
 * has no place for.  A value with one is a bad value, not the end of the
 * batch; in a message such a character is shown as a question mark.
 *
 * A run talks to its reader while it has no transaction, where PostgreSQL's own
 * conversions refuse to work because they look a function up.  Here it is
 * looked up once.
 */
#ifndef KAIREON_ENCODING_H
#define KAIREON_ENCODING_H

#include "postgres.h"

/* Looks the conversion functions up; in a transaction, before any of the others is called outside of one. */
extern void encoding_prepare(void);

/* Verified UTF-8 as the database's text, palloc'd; NULL when a character of it has no equivalent there. */
extern char *encoding_text(const char *utf8, size_t length);

/* The same for a message: never NULL. */
extern char *encoding_shown(const char *utf8, size_t length);

/* Text of the database for the reader; may be `text` itself. */
extern const char *encoding_utf8(const char *text);

/* What is said about a text that has none: `value has a character with no equivalent in encoding "LATIN1"`; what: "value". */
extern char *encoding_complaint(const char *what);

#endif
