/*
 * secret.h: text that must not stay in memory.
 */
#ifndef KAIREON_SECRET_H
#define KAIREON_SECRET_H

/* Overwrites the text and frees it.  NULL is allowed. */
void secret_free(char *text);

#endif
