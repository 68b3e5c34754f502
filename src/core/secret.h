/*
 * secret.h: text that must not stay in memory.
 */
#ifndef KAIREON_SECRET_H
#define KAIREON_SECRET_H

#include "core/status.h"

/* Whether it could be a key or token: some text without control characters and blanks at its ends.  Fails with 22023, which shows nothing of it but its name. */
STATUS_CHECK bool secret_check(const char *text, const char *name, Status *st);

/* Overwrites the text and frees it.  NULL is allowed. */
void secret_free(char *text);

/*
 * Puts asterisks in place of the text in a failure's message and detail, whatever the case of
 * letters, also where only its beginning is there: servers repeat what they were sent.
 */
void secret_hide(Status *st, const char *text);

#endif
