/*
 * date_tokens.h: texts with parts of a time in braces, as in "orders_{YYYYMMDD}.csv".
 */
#ifndef KAIREON_DATE_TOKENS_H
#define KAIREON_DATE_TOKENS_H

#include "postgres.h"
#include "pgtime.h"
#include "utils/timestamp.h"

/* The tokens there are, for hints. */
#define DATE_TOKENS "{YYYY}, {MM}, {DD}, {HH}, {mm}, {ss}, {YYYY-MM-DD} or {YYYYMMDD}"

/* The length of the token that begins there; 0: none does. */
extern int date_token_length(const char *at);

/* What to show of a brace that begins none: up to its closing brace. */
extern char *date_token_shown(const char *at);

/*
 * The text with each token replaced by what it stands for at that time; `zone`
 * NULL: in UTC.  A "\" and what stands behind it are left as they are.
 */
extern char *date_tokens_expand(const char *text, TimestampTz at, pg_tz *zone);

#endif
