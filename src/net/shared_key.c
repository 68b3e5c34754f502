/*
 * shared_key.c: see shared_key.h.
 */
#include "net/shared_key.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base64.h"
#include "net/url.h"

/* Bytes of a request's text that is signed. */
#define TEXT_MAX (64U << 10)
#define MAX_PARAMETERS 100
/* What libcurl says of a body when the request does not. */
#define DEFAULT_TYPE "application/x-www-form-urlencoded"

typedef struct Parameter
{
    char *name, *value;     /* decoded; the name in lower case */
} Parameter;

static bool
append(Buf *buf, const char *text, Status *st)
{
    return buf_append(buf, text, strlen(text), st);
}

/* The value of a header of the request, or "". */
static const char *
header_value(const HttpSigned *request, const char *name)
{
    for (size_t i = 0; i < request->nheaders; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return "";
}

/* ---- the headers that have a line each, named or not ------------------------ */

static bool
add_standard_headers(const HttpSigned *request, Buf *text, Status *st)
{
    const char *type = header_value(request, "Content-Type");
    char length[24] = "";
    const char *values[] = {header_value(request, "Content-Encoding"),
                            header_value(request, "Content-Language"),
                            length,
                            header_value(request, "Content-MD5"),
                            type[0] == '\0' && request->body != NULL ? DEFAULT_TYPE : type,
                            "",     /* Date: x-ms-date has it */
                            header_value(request, "If-Modified-Since"),
                            request->if_match == NULL ? header_value(request, "If-Match") : request->if_match,
                            header_value(request, "If-None-Match"),
                            header_value(request, "If-Unmodified-Since"),
                            request->range == NULL ? "" : request->range};

    /* A length of zero is left empty. */
    if (request->nbody > 0)
        snprintf(length, sizeof(length), "%zu", request->nbody);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (!append(text, values[i], st) || !append(text, "\n", st))
            return false;
    return true;
}

/* ---- the headers that begin with x-ms- ----------------------------------------- */

/* Where a character comes in the service's order: an underscore before digits, digits before letters. */
static int
weight(char c)
{
    return c == '\0' ? 0 : c == '_' ? 1 : tolower((unsigned char) c);
}

/*
 * The service sorts names as dictionaries do, not by bytes: hyphens count only where all the
 * rest is equal.  Metadata may have any name, so that this matters.
 */
static int
compare_headers(const void *x, const void *y)
{
    const char *a = ((const HttpHeader *) x)->name, *b = ((const HttpHeader *) y)->name, *at = a, *bt = b;

    for (;;)
    {
        at += strspn(at, "-");
        bt += strspn(bt, "-");
        if (weight(*at) != weight(*bt))
            return weight(*at) - weight(*bt);
        if (*at == '\0')
            break;
        at++;
        bt++;
    }
    while (*a != '\0' && tolower((unsigned char) *a) == tolower((unsigned char) *b))
    {
        a++;
        b++;
    }
    return (*a == '-') - (*b == '-');
}

/* "name:value", the name in lower case, no spaces around the value. */
static bool
add_header_line(Buf *text, const HttpHeader *header, Status *st)
{
    const char *value = header->value + strspn(header->value, " \t");
    size_t n = strlen(value);

    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    for (const char *at = header->name; *at != '\0'; at++)
    {
        char c = (char) tolower((unsigned char) *at);

        if (!buf_append(text, &c, 1, st))
            return false;
    }
    return append(text, ":", st) && buf_append(text, value, n, st) && append(text, "\n", st);
}

static bool
add_own_headers(const HttpSigned *request, const char *date, Buf *text, Status *st)
{
    HttpHeader *own = malloc((request->nheaders + 1) * sizeof(*own));
    size_t n = 0;
    bool fine = true;

    if (own == NULL)
        return status_out_of_memory(st, 0);
    own[n++] = (HttpHeader) {"x-ms-date", date};
    for (size_t i = 0; i < request->nheaders; i++)
        if (strncasecmp(request->headers[i].name, "x-ms-", 5) == 0)
            own[n++] = request->headers[i];
    qsort(own, n, sizeof(own[0]), compare_headers);
    for (size_t i = 0; i < n && fine; i++)
        fine = add_header_line(text, &own[i], st);
    free(own);
    return fine;
}

/* ---- what the request is about --------------------------------------------------- */

static int
compare_parameters(const void *x, const void *y)
{
    const Parameter *a = x, *b = y;
    int order = strcmp(a->name, b->name);

    return order != 0 ? order : strcmp(a->value, b->value);
}

/* A line "name:value" for each parameter, sorted; values of the same name with commas in between. */
static bool
add_parameters(char *query, Buf *text, Status *st)
{
    Parameter parameters[MAX_PARAMETERS];
    char *save = NULL;
    size_t n = 0;
    bool fine = true;

    for (char *part = strtok_r(query, "&", &save); part != NULL; part = strtok_r(NULL, "&", &save))
    {
        char *equals = strchr(part, '=');

        if (n == MAX_PARAMETERS)
            return status_fail(st, STATUS_LIMIT, "the query of a URL has too many parameters to be signed");
        if (equals != NULL)
            *equals = '\0';
        parameters[n] = (Parameter) {part, equals == NULL ? part + strlen(part) : equals + 1};
        url_decode(parameters[n].name);
        url_decode(parameters[n].value);
        for (char *at = part; *at != '\0'; at++)
            *at = (char) tolower((unsigned char) *at);
        n++;
    }
    qsort(parameters, n, sizeof(parameters[0]), compare_parameters);
    for (size_t i = 0; i < n && fine; i++)
    {
        if (i > 0 && strcmp(parameters[i].name, parameters[i - 1].name) == 0)
            fine = append(text, ",", st) && append(text, parameters[i].value, st);
        else
            fine = append(text, "\n", st) && append(text, parameters[i].name, st) && append(text, ":", st) && append(text, parameters[i].value, st);
    }
    return fine;
}

bool
shared_key_text(const HttpSigned *request, const char *account, const char *date, Buf *text, Status *st)
{
    Url url;
    bool fine;

    if (!url_parse(&url, request->url, "the address", st))
        return false;
    fine = append(text, request->method, st) && append(text, "\n", st) && add_standard_headers(request, text, st) &&
        add_own_headers(request, date, text, st) && append(text, "/", st) && append(text, account, st) && append(text, url.path, st) &&
        add_parameters(url.query, text, st) && buf_append(text, "", 1, st);
    url_free(&url);
    return fine;
}

bool
shared_key_sign(const HttpSigned *request, const SharedKey *key, time_t now, HttpHeaders *headers, Status *st)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char date[40], value[400], *signature = NULL;
    struct tm utc;
    bool fine;
    Buf text;

    if (gmtime_r(&now, &utc) == NULL || strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &utc) == 0)
        return status_fail(st, STATUS_IO, "the machine's clock can't be read");
    buf_init(&text, TEXT_MAX);
    fine = shared_key_text(request, key->account, date, &text, st);
    if (fine && HMAC(EVP_sha256(), key->key, (int) key->nkey, text.data, text.used - 1, digest, &n) != NULL)
        signature = base64_encode(digest, n);
    if (fine && signature == NULL)
        fine = status_out_of_memory(st, 0);
    if (fine)
        snprintf(value, sizeof(value), "SharedKey %.200s:%s", key->account, signature);
    fine = fine && http_header_add(headers, "x-ms-date", date, st) && http_header_add(headers, "Authorization", value, st);
    free(signature);
    buf_free(&text);
    return fine;
}
