/*
 * secret.h: text that must not stay in memory.
 */
#ifndef KAIREON_SECRET_H
#define KAIREON_SECRET_H

#include "core/status.h"

/* Overwrites the text and frees it.  NULL is allowed. */
void secret_free(char *text);

/*
 * Puts asterisks in place of the text in a failure's message and detail, whatever the case of
 * letters, also where only its beginning is there: servers repeat what they were sent.
 */
void secret_hide(Status *st, const char *text);

#endif
