/*
 * sigv4.c: see sigv4.h.
 */
#include "net/sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/url.h"

#define HASH 32
#define MAX_SIGNED 50
/* Bytes of a request's text that is signed. */
#define TEXT_MAX (64U << 10)

typedef struct Signing
{
    const HttpSigned *request;
    Url url;
    char date[17];              /* 20130524T000000Z */
    char payload[2 * HASH + 1];
    HttpHeader headers[MAX_SIGNED];     /* in lower case, in order */
    size_t nheaders;
    Buf names;                  /* "host;x-amz-date" */
    Buf text;
} Signing;

static void
to_hex(const uint8_t *bytes, char *out)
{
    for (size_t i = 0; i < HASH; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool
hash(const void *data, size_t n, char *hex, Status *st)
{
    uint8_t out[EVP_MAX_MD_SIZE];

    if (EVP_Digest(data == NULL ? "" : data, n, out, NULL, EVP_sha256(), NULL) != 1)
        return status_out_of_memory(st, 0);
    to_hex(out, hex);
    return true;
}

static bool
hmac(const void *key, size_t nkey, const char *text, uint8_t *out, Status *st)
{
    return HMAC(EVP_sha256(), key, (int) nkey, (const unsigned char *) text, strlen(text), out, NULL) != NULL || status_out_of_memory(st, 0);
}

static bool
append(Buf *buf, const char *text, Status *st)
{
    return buf_append(buf, text, strlen(text), st);
}

/* ---- the canonical request --------------------------------------------------- */

/* The path of a URL, each component encoded once more where the service wants it. */
static bool
add_path(Signing *s, const Sigv4Scope *scope, Status *st)
{
    return scope->path_once ? append(&s->text, s->url.path, st) : url_encode(&s->text, s->url.path, strlen(s->url.path), true, st);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The parameters of the query, which are encoded, in order; one without "=" gets one. */
static bool
add_query(Signing *s, Status *st)
{
    char *copy = strdup(s->url.query), *parts[1000], *save = NULL;
    size_t n = 0;
    bool fine = copy != NULL || status_out_of_memory(st, 0);

    for (char *part = fine ? strtok_r(copy, "&", &save) : NULL; part != NULL && fine; part = strtok_r(NULL, "&", &save))
    {
        if (n == sizeof(parts) / sizeof(parts[0]))
            fine = status_fail(st, STATUS_LIMIT, "the query of a URL has too many parameters to be signed");
        else
            parts[n++] = part;
    }
    qsort(parts, n, sizeof(parts[0]), compare_texts);
    for (size_t i = 0; i < n && fine; i++)
        fine = (i == 0 || append(&s->text, "&", st)) && append(&s->text, parts[i], st) &&
            (strchr(parts[i], '=') != NULL || append(&s->text, "=", st));
    free(copy);
    return fine;
}

static int
compare_headers(const void *a, const void *b)
{
    return strcasecmp(((const HttpHeader *) a)->name, ((const HttpHeader *) b)->name);
}

static bool
add_signed_header(Signing *s, const char *name, const char *value, Status *st)
{
    if (s->nheaders == MAX_SIGNED)
        return status_fail(st, STATUS_LIMIT, "a request has too many headers to be signed");
    s->headers[s->nheaders++] = (HttpHeader) {name, value};
    return true;
}

static bool
choose_headers(Signing *s, const Sigv4Key *key, const Sigv4Scope *scope, const char *host, Status *st)
{
    bool fine = add_signed_header(s, "host", host, st) && add_signed_header(s, "x-amz-date", s->date, st) &&
        (!scope->payload_header || add_signed_header(s, "x-amz-content-sha256", s->payload, st)) &&
        (key->token == NULL || add_signed_header(s, "x-amz-security-token", key->token, st));

    for (size_t i = 0; i < s->request->nheaders && fine; i++)
    {
        const HttpHeader *header = &s->request->headers[i];

        if (strncasecmp(header->name, "x-amz-", 6) == 0 || strcasecmp(header->name, "content-type") == 0)
            fine = add_signed_header(s, header->name, header->value, st);
    }
    qsort(s->headers, s->nheaders, sizeof(s->headers[0]), compare_headers);
    return fine;
}

/* A value without spaces around it, runs of spaces as one. */
static bool
add_value(Buf *text, const char *value, Status *st)
{
    bool space = false, any = false;

    for (; *value != '\0'; value++)
    {
        if (*value == ' ')
        {
            space = any;
            continue;
        }
        if ((space && !append(text, " ", st)) || !buf_append(text, value, 1, st))
            return false;
        space = false;
        any = true;
    }
    return true;
}

static bool
add_name(Buf *text, const char *name, Status *st)
{
    for (; *name != '\0'; name++)
    {
        char c = (char) tolower((unsigned char) *name);

        if (!buf_append(text, &c, 1, st))
            return false;
    }
    return true;
}

static bool
add_headers(Signing *s, Status *st)
{
    for (size_t i = 0; i < s->nheaders; i++)
        if (!add_name(&s->text, s->headers[i].name, st) || !append(&s->text, ":", st) || !add_value(&s->text, s->headers[i].value, st) ||
            !append(&s->text, "\n", st) || (i > 0 && !append(&s->names, ";", st)) || !add_name(&s->names, s->headers[i].name, st))
            return false;
    return append(&s->text, "\n", st) && buf_append(&s->text, s->names.data, s->names.used, st) && buf_append(&s->names, "", 1, st);
}

static bool
write_request(Signing *s, const Sigv4Key *key, const Sigv4Scope *scope, const char *host, Status *st)
{
    return hash(s->request->body, s->request->nbody, s->payload, st) && choose_headers(s, key, scope, host, st) &&
        append(&s->text, s->request->method, st) && append(&s->text, "\n", st) && add_path(s, scope, st) && append(&s->text, "\n", st) &&
        add_query(s, st) && append(&s->text, "\n", st) && add_headers(s, st) && append(&s->text, "\n", st) &&
        append(&s->text, s->payload, st);
}

/* ---- the signature ------------------------------------------------------------ */

static bool
sign_text(const Signing *s, const Sigv4Key *key, const Sigv4Scope *scope, char *signature, Status *st)
{
    char day[9], request_hash[2 * HASH + 1], text[600], first[300];
    uint8_t k[HASH];
    bool fine;

    snprintf(day, sizeof(day), "%.8s", s->date);
    snprintf(first, sizeof(first), "AWS4%.290s", key->secret);
    fine = hash(s->text.data, s->text.used, request_hash, st) && hmac(first, strlen(first), day, k, st) &&
        hmac(k, HASH, scope->region, k, st) && hmac(k, HASH, scope->service, k, st) && hmac(k, HASH, "aws4_request", k, st);
    explicit_bzero(first, sizeof(first));
    snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", s->date, day, scope->region, scope->service, request_hash);
    fine = fine && hmac(k, HASH, text, k, st);
    to_hex(k, signature);
    explicit_bzero(k, sizeof(k));
    return fine;
}

static bool
sign(Signing *s, const Sigv4Key *key, const Sigv4Scope *scope, HttpHeaders *headers, Status *st)
{
    char signature[2 * HASH + 1], value[2000];
    size_t scheme = strlen(s->url.scheme) + 3;

    if (strlen(key->secret) > 256 || strlen(key->id) > 256 || strlen(scope->region) > 100 || s->url.origin[scheme] == '\0')
        return status_fail(st, STATUS_INVALID_VALUE, "the access key or the region is too long");
    if (!write_request(s, key, scope, s->url.origin + scheme, st) || !sign_text(s, key, scope, signature, st))
        return false;
    snprintf(value, sizeof(value), "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/%s/aws4_request,SignedHeaders=%s,Signature=%s", key->id, s->date,
             scope->region, scope->service, (const char *) s->names.data, signature);
    return http_header_add(headers, "Authorization", value, st) && http_header_add(headers, "x-amz-date", s->date, st) &&
        (!scope->payload_header || http_header_add(headers, "x-amz-content-sha256", s->payload, st)) &&
        (key->token == NULL || http_header_add(headers, "x-amz-security-token", key->token, st));
}

bool
sigv4_sign(const HttpSigned *request, const Sigv4Key *key, const Sigv4Scope *scope, time_t now, HttpHeaders *headers, Status *st)
{
    Signing s = {.request = request};
    struct tm utc;
    bool fine;

    if (gmtime_r(&now, &utc) == NULL || strftime(s.date, sizeof(s.date), "%Y%m%dT%H%M%SZ", &utc) == 0)
        return status_fail(st, STATUS_IO, "the machine's clock can't be read");
    if (!url_parse(&s.url, request->url, "the address", st))
        return false;
    buf_init(&s.names, TEXT_MAX);
    buf_init(&s.text, TEXT_MAX);
    fine = sign(&s, key, scope, headers, st);
    buf_free(&s.names);
    buf_free(&s.text);
    url_free(&s.url);
    return fine;
}
