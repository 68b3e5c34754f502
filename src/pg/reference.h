/*
 * reference.h: a secret that stands elsewhere: {"file": "/path"}, or {"env":
 * "NAME"} for a variable of the server's environment.
 *
 * What is configured, stored and shown is the reference; the secret is read
 * when it is used.
 */
#ifndef KAIREON_REFERENCE_H
#define KAIREON_REFERENCE_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "pg/secret.h"

/* Bytes of what is referred to. */
#define REFERENCE_MAX_BYTES (64 * 1024)

/* The values are stored: see auth.c. */
typedef enum ReferenceKind { REFERENCE_FILE = 'f', REFERENCE_ENV = 'e' } ReferenceKind;

/* Is this value a reference?  *name then is the string in it. */
extern bool reference_parse(const JsonbValue *value, ReferenceKind *kind, JsonbValue *name);

/* May the role refer to files; and to the variable, if it may refer to any or that is listed in kaireon.credential_env? */
extern bool reference_may_files(Oid role);
extern bool reference_may_env(bool any, const char *name);

/*
 * What is referred to, text in UTF-8 without a line end at its end; the
 * caller's to free.  NULL when it can't be had, with a sentence in *problem.
 * The caller has seen to the right to it.  Needs no transaction.
 */
extern Secret *reference_read(ReferenceKind kind, const char *name, char **problem);

#endif
