/*
 * move.c: moving an object within its bucket, after store/move.h.
 *
 * The copy asks for the etag that was listed, so what was written since is not
 * moved.  It has another time than its original, but the same etag, which tells
 * that it was made already.
 */
#define _GNU_SOURCE     /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/amazon_s3/s3.h"
#include "net/url.h"
#include "store/move.h"

/* A copy has the etag of its original. */
static bool
look(void *context, const DriverEntry *entry, const char *path, bool copied, StoreFound *found, Status *st)
{
    S3 *s3 = context;
    HttpRequest request = {.method = "HEAD", .headers = s3->headers, .nheaders = s3->nheaders, .signer = &s3->signer, .what = "file", .name = path,
                           .body_max = S3_XML_MAX};
    HttpExchange *exchange = NULL;
    char etag[300];
    const char *length;
    bool fine;
    Buf url;

    (void) copied;
    buf_init(&url, URL_MAX);
    fine = s3_key_url(s3, path, &url, st);
    request.url = (const char *) url.data;
    fine = fine && store_call(&s3->store, &request, 404, &exchange, st);
    *found = STORE_NOTHING;
    if (fine && http_response(exchange)->status != 404)
    {
        store_plain_etag(http_response_header(http_response(exchange), "etag"), etag, sizeof(etag));
        length = http_response_header(http_response(exchange), "content-length");
        *found = length != NULL && strtoull(length, NULL, 10) == entry->size && strcmp(etag, entry->etag) == 0 ? STORE_IT : STORE_OTHER;
    }
    http_free(exchange);
    buf_free(&url);
    return fine;
}

/* A request without an answer worth reading. */
static bool
send_request(S3 *s3, const char *method, const char *path, const HttpHeader *headers, size_t nheaders, unsigned also, Status *st)
{
    HttpRequest request = {.method = method, .headers = headers, .nheaders = nheaders, .signer = &s3->signer, .what = "file", .name = path,
                           .body = strcmp(method, "PUT") == 0 ? "" : NULL, .body_max = S3_XML_MAX};
    HttpExchange *exchange = NULL;
    bool fine;
    Buf url;

    buf_init(&url, URL_MAX);
    fine = s3_key_url(s3, path, &url, st);
    request.url = (const char *) url.data;
    fine = fine && store_call(&s3->store, &request, also, &exchange, st);
    /* A copy may fail after its answer has begun, with 200. */
    if (fine && http_response(exchange)->body.used > 0 && memmem(http_response(exchange)->body.data, http_response(exchange)->body.used, "<Error>", 7) != NULL)
        fine = status_fail(st, STATUS_BROKEN, "file \"%s\" could not be copied", path);
    http_free(exchange);
    buf_free(&url);
    return fine;
}

static bool
copy_object(void *context, const DriverEntry *entry, const char *to, bool *taken, Status *st)
{
    S3 *s3 = context;
    char etag[310];
    HttpHeader headers[4] = {{"x-amz-copy-source", NULL}, {"x-amz-copy-source-if-match", etag}};
    size_t n = 2;
    bool fine;
    Buf source;

    *taken = false;
    snprintf(etag, sizeof(etag), "\"%.300s\"", entry->etag);
    buf_init(&source, URL_MAX);
    fine = buf_append(&source, "/", 1, st) && buf_append(&source, s3->bucket, strlen(s3->bucket), st) && buf_append(&source, "/", 1, st) &&
        url_encode(&source, s3->prefix, strlen(s3->prefix), true, st) && url_encode(&source, entry->path, strlen(entry->path), true, st) &&
        buf_append(&source, "", 1, st);
    headers[0].value = (const char *) source.data;
    if (s3->requester_pays)
        headers[n++] = (HttpHeader) {"x-amz-request-payer", "requester"};
    fine = fine && send_request(s3, "PUT", to, headers, n, 0, st);
    buf_free(&source);
    return fine;
}

static bool
remove_object(void *context, const DriverEntry *entry, Status *st)
{
    S3 *s3 = context;

    return send_request(s3, "DELETE", entry->path, s3->headers, s3->nheaders, 404, st);
}

bool
s3_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    const StoreMover mover = {look, copy_object, remove_object, session};

    http_operation(((S3 *) session)->store.http);
    return store_move(&mover, entry, to, place, size, st);
}
