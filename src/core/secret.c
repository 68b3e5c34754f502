/*
 * secret.c: see secret.h.
 */
#include "core/secret.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* So many characters of a secret are not shown any more. */
#define SECRET_LEAST 6

bool
secret_check(const char *text, const char *name, Status *st)
{
    size_t n = strlen(text);
    bool control = false;

    for (const char *at = text; *at != '\0'; at++)
        control = control || (unsigned char) *at < ' ' || *at == 0x7f;
    if (n > 0 && !control && text[0] != ' ' && text[n - 1] != ' ')
        return true;
    status_fail(st, STATUS_INVALID_VALUE, n == 0 ? "%s is empty" : control ? "%s has a line end or control character in it" : "%s has a blank at its beginning or end", name);
    return status_hint(st, "Give it alone, without what stands around it where it was copied from.");
}

void
secret_free(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* The same of one text. */
static void
hide(char *text, const char *secret)
{
    size_t n;

    for (char *at = text; *at != '\0'; at++)
    {
        for (n = 0; secret[n] != '\0' && tolower((unsigned char) at[n]) == tolower((unsigned char) secret[n]); n++)
            ;
        if (n >= SECRET_LEAST || (n > 0 && secret[n] == '\0'))
            memset(at, '*', n);
    }
}

void
secret_hide(Status *st, const char *text)
{
    hide(st->message, text);
    hide(st->detail, text);
}
