/*
 * redact_text.c: finding and blanking out what is secret in a statement's text.
 * See redact_text.h.
 */
#include "postgres.h"

#include "pg/redact_text.h"

#include <ctype.h>

#include "parser/parser.h"
#include "parser/scansup.h"

/* Functions with an argument auth_config, which comes fourth at the earliest. */
static const char *const functions[] = {"create_connector", "update_connector", "test_connector"};
#define COMMON_PART "_connector"
#define COMMAS_BEFORE 3

/* Is there a name U&"..." that may be unescaped to another?  Asterisks are what is left of one that was blanked out. */
static bool
hides_name(const char *text)
{
    for (const char *at = text; (at = strstr(at, "&\"")) != NULL; at += 2)
    {
        if (at > text && (at[-1] == 'u' || at[-1] == 'U') && (strpbrk(at, "\\*") || strcasestr(at, "uescape")))
            return true;
    }
    return false;
}

bool
redact_mentions(const char *text)
{
    /* almost every text has nothing of the kind: two passes */
    if (text == NULL)
        return false;
    if (hides_name(text))
        return true;
    if (strcasestr(text, COMMON_PART) == NULL)
        return false;
    for (size_t i = 0; i < lengthof(functions); i++)
    {
        const char *found = strcasestr(text, functions[i]);
        int commas = 0;

        if (found == NULL)
            continue;
        if (strcasestr(found, "auth"))
            return true;
        for (; *found; found++)
            commas += *found == ',';
        if (commas >= COMMAS_BEFORE)
            return true;
    }
    return false;
}

static bool
is_name_char(unsigned char c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

/* Covers [from, to), all but line ends. */
static bool
cover(char *from, const char *to)
{
    bool changed = false;

    for (; from < to; from++)
    {
        if (*from == '\n' || *from == '\r' || *from == '*')
            continue;
        *from = '*';
        changed = true;
    }
    return changed;
}

/* Behind the content of a quoted token that begins at `at` (behind its quote): its closing quote or the end. */
static char *
quoted_end(char *at, char quote, bool escapes)
{
    while (*at)
    {
        if (escapes && *at == '\\' && at[1])
            at += 2;
        else if (*at == quote && at[1] == quote)
            at += 2;
        else if (*at == quote)
            break;
        else
            at++;
    }
    return at;
}

/* What redact_mentions looks for stays, so that a prepared statement's text still tells. */
static bool
is_our_name(const char *from, const char *to)
{
    static const char argument[] = "auth_config";

    if (strlen(argument) == to - from && strncmp(argument, from, to - from) == 0)
        return true;
    for (size_t i = 0; i < lengthof(functions); i++)
    {
        if (strlen(functions[i]) == to - from && strncmp(functions[i], from, to - from) == 0)
            return true;
    }
    return false;
}

/* The length of a dollar quote's tag at `at`, both dollars included; 0: it is none. */
static size_t
dollar_tag(const char *at)
{
    const char *end = at + 1;

    if (isdigit((unsigned char) *end))
        return 0;
    while (is_name_char(*end) && *end != '$')
        end++;
    return *end == '$' ? end + 1 - at : 0;
}

/* Covers a dollar-quoted string; *at moves behind it. */
static bool
blank_dollar(char **at, size_t tag)
{
    char *from = *at + tag, *to = from;

    while (*to && strncmp(to, *at, tag) != 0)
        to++;
    *at = *to ? to + tag : to;
    return cover(from, to);
}

static bool
is_comment(const char *at)
{
    return (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

/* Behind what a comment that begins at `at` says: where it is closed, or its line or the text ends. */
static const char *
comment_end(const char *at)
{
    int depth = 1;

    if (*at == '-')
        return at + strcspn(at, "\r\n");
    for (at += 2; *at; at++)
    {
        if (at[0] == '/' && at[1] == '*')
        {
            depth++;
            at++;
        }
        else if (at[0] == '*' && at[1] == '/')
        {
            if (--depth == 0)
                break;
            at++;
        }
    }
    return at;
}

/* Behind a comment's closing mark, too. */
static const char *
comment_behind(const char *at)
{
    const char *end = comment_end(at);

    return *at == '/' && *end ? end + 2 : end;
}

static bool
blank_comment(char **at)
{
    char *from = *at;

    *at = unconstify(char *, comment_behind(from));
    return cover(from + 2, comment_end(from));
}

bool
redact_blank(char *text)
{
    bool changed = false;
    char *at = text;

    while (*at)
    {
        char before = at > text ? at[-1] : ' ';

        if (*at == '\'')
        {
            bool escapes = (before == 'e' || before == 'E') && !(at > text + 1 && is_name_char(at[-2]));
            char *end = quoted_end(at + 1, '\'', escapes || !standard_conforming_strings);

            changed |= cover(at + 1, end);
            at = *end ? end + 1 : end;
        }
        else if (*at == '"')
        {
            char *end = quoted_end(at + 1, '"', false);

            if (!is_our_name(at + 1, end))
                changed |= cover(at + 1, end);
            at = *end ? end + 1 : end;
        }
        else if (*at == '$' && !is_name_char(before) && dollar_tag(at) > 0)
            changed |= blank_dollar(&at, dollar_tag(at));
        else if (is_comment(at))
            changed |= blank_comment(&at);
        else
            at++;
    }
    return changed;
}

char *
redact_name(const char *text, bool *unknown)
{
    const char *end;

    while (scanner_isspace(*text) || is_comment(text))
        text = is_comment(text) ? comment_behind(text) : text + 1;
    *unknown = (text[0] == 'u' || text[0] == 'U') && text[1] == '&' && text[2] == '"';
    if (*text == '"')
    {
        char *name, *to;

        end = quoted_end(unconstify(char *, text + 1), '"', false);
        name = to = palloc(end - text);
        for (text++; text < end; text += *text == '"' ? 2 : 1)
            *to++ = *text;
        *to = '\0';
        truncate_identifier(name, to - name, false);
        return name;
    }
    for (end = text; is_name_char(*end); end++)
        ;
    return end > text && !*unknown ? downcase_truncate_identifier(text, end - text, false) : NULL;
}

bool
redact_blank_quoted(char *text)
{
    char *from = strpbrk(text, "'\"$"), *to = NULL;

    for (char *at = from; at && (at = strpbrk(at, "'\"$")) != NULL; at++)
        to = at;
    return from && cover(from + 1, to);
}

bool
redact_blank_rest(char *text)
{
    char *from = strpbrk(text, "'\"$");

    return from && cover(from + 1, from + strlen(from));
}
