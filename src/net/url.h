/*
 * url.h: http and https URLs, as people write them into a configuration.
 */
#ifndef KAIREON_URL_H
#define KAIREON_URL_H

#include <stddef.h>

#include "core/buf.h"
#include "core/status.h"

/* Longest URL that is taken or made. */
#define URL_MAX 8192

/* The parts of a URL, all to be freed by url_free. */
typedef struct Url
{
    char *scheme;   /* "http" or "https" */
    char *host;     /* lower case; an IPv6 address without brackets */
    char *port;     /* always there */
    char *origin;   /* scheme://host:port, without the port that is the scheme's own */
    char *path;     /* as it goes over the wire; at least "/" */
    char *query;    /* without the "?"; "" for none */
} Url;

/*
 * Takes a URL apart.  Fails with 22023 when it is not a whole http or https
 * URL, has a user name or password in it, or a control character.  `what`
 * names it in the message; the URL itself is shown without its query.
 */
STATUS_CHECK bool url_parse(Url *url, const char *text, const char *what, Status *st);
void url_free(Url *url);

/* Where `reference`, absolute or not, leads from `base`: to be freed; NULL: nowhere, with 22023 or 53200. */
char *url_resolve(const char *base, const char *reference, Status *st);

/*
 * Appends n bytes with all but the unreserved characters of RFC 3986 as %XX;
 * with `slashes` a slash stays as well.
 */
STATUS_CHECK bool url_encode(Buf *out, const char *s, size_t n, bool slashes, Status *st);

/* Takes each %XX out of a text, in place. */
void url_decode(char *text);

/* Appends `before` ("?", "&" or ""), and name=value with the value encoded. */
STATUS_CHECK bool url_add_parameter(Buf *out, const char *before, const char *name, const char *value, Status *st);

/* Whether two URLs go to the same scheme, host and port. */
bool url_same_origin(const char *a, const char *b);

#endif
