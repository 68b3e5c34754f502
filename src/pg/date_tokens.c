/*
 * date_tokens.c: see date_tokens.h.
 */
#include "postgres.h"

#include "pg/date_tokens.h"

#include "lib/stringinfo.h"
#include "utils/datetime.h"

/* So many parts of a time, from year, month, day, hour, minute, second on. */
static const struct { const char *token; int first, count; const char *between; } tokens[] = {
    {"{YYYY-MM-DD}", 0, 3, "-"}, {"{YYYYMMDD}", 0, 3, ""}, {"{YYYY}", 0, 1, ""}, {"{MM}", 1, 1, ""},
    {"{DD}", 2, 1, ""}, {"{HH}", 3, 1, ""}, {"{mm}", 4, 1, ""}, {"{ss}", 5, 1, ""},
};

/* The token that begins there; -1: none. */
static int
find_token(const char *at)
{
    for (size_t i = 0; i < lengthof(tokens); i++)
    {
        if (strncmp(at, tokens[i].token, strlen(tokens[i].token)) == 0)
            return (int) i;
    }
    return -1;
}

int
date_token_length(const char *at)
{
    int token = find_token(at);

    return token < 0 ? 0 : (int) strlen(tokens[token].token);
}

char *
date_token_shown(const char *at)
{
    return pnstrdup(at, strcspn(at, "}") + (strchr(at, '}') != NULL));
}

static void
append_token(StringInfo out, int token, const struct pg_tm *tm)
{
    const int parts[] = {tm->tm_year, tm->tm_mon, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec};

    for (int i = 0; i < tokens[token].count; i++)
    {
        int part = tokens[token].first + i;

        appendStringInfo(out, "%s%0*d", i > 0 ? tokens[token].between : "", part == 0 ? 4 : 2, parts[part]);
    }
}

char *
date_tokens_expand(const char *text, TimestampTz at, pg_tz *zone)
{
    struct pg_tm tm;
    fsec_t fraction;
    int offset;
    StringInfoData out;

    if (timestamp2tm(at, zone ? &offset : NULL, &tm, &fraction, NULL, zone) != 0)
        elog(ERROR, "timestamp out of range");
    initStringInfo(&out);
    while (*text)
    {
        int token = find_token(text);

        if (token >= 0)
        {
            append_token(&out, token, &tm);
            text += strlen(tokens[token].token);
            continue;
        }
        if (*text == '\\' && text[1])
            appendStringInfoChar(&out, *text++);
        appendStringInfoChar(&out, *text++);
    }
    return out.data;
}
