/*
 * ambient.h: credentials of the machine's own, as its environment offers them.
 *
 * Metadata services and credential endpoints have addresses that no connector
 * may reach (egress.h).  They are asked here, by a client of its own that may
 * reach nothing else, and only when an administrator has allowed that
 * (kaireon.instance_credentials); what is asked for is fixed.
 */
#ifndef KAIREON_AMBIENT_H
#define KAIREON_AMBIENT_H

#include <jansson.h>

#include "net/http.h"

/* Fails with 42501: an administrator has not allowed it.  Returns false. */
bool ambient_forbidden(Status *st);

/* The value of a variable of the server's environment, or NULL. */
const char *ambient_value(const json_t *ambient, const char *name);

/*
 * Asks `url` and puts the answer into `body`, with a zero byte behind it.  Fails with
 * the status in the message when that is not 2xx.
 */
STATUS_CHECK bool ambient_ask(const char *method, const char *url, const HttpHeader *headers, size_t nheaders, Buf *body, Status *st);

/* The content of a file that a variable names, without line ends behind it; to be freed.  NULL on failure. */
char *ambient_file(const char *path, Status *st);

#endif
