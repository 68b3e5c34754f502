/*
 * move.c: moving an object within its bucket: a copy, then a deletion.
 *
 * The copy asks for the etag that was listed, so what was written since is not
 * moved, and it overwrites nothing: a key that is taken gets ".1", ".2"... behind it.
 * A copy has another time than its original, but the etag tells that it was made
 * already, so that a move can be asked for again after a crash.
 */
#define _GNU_SOURCE     /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/amazon_s3/s3.h"
#include "net/url.h"

#define NAMES_MAX 10000

/* What is under a key. */
typedef enum Found { FOUND_NOTHING, FOUND_IT, FOUND_OTHER } Found;

static bool
look(S3 *s3, const char *path, const DriverEntry *entry, Found *found, Status *st)
{
    HttpRequest request = {.method = "HEAD", .headers = s3->headers, .nheaders = s3->nheaders, .signer = &s3->signer, .what = "file", .name = path,
                           .body_max = S3_XML_MAX};
    HttpExchange *exchange = NULL;
    char etag[300];
    const char *length;
    bool fine;
    Buf url;

    buf_init(&url, URL_MAX);
    fine = s3_key_url(s3, path, &url, st);
    request.url = (const char *) url.data;
    fine = fine && store_call(&s3->store, &request, 404, &exchange, st);
    *found = FOUND_NOTHING;
    if (fine && http_response(exchange)->status != 404)
    {
        store_plain_etag(http_response_header(http_response(exchange), "etag"), etag, sizeof(etag));
        length = http_response_header(http_response(exchange), "content-length");
        *found = length != NULL && strtoull(length, NULL, 10) == entry->size && strcmp(etag, entry->etag) == 0 ? FOUND_IT : FOUND_OTHER;
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
copy_object(S3 *s3, const DriverEntry *entry, const char *to, Status *st)
{
    char etag[310];
    HttpHeader headers[4] = {{"x-amz-copy-source", NULL}, {"x-amz-copy-source-if-match", etag}};
    size_t n = 2;
    bool fine;
    Buf source;

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

/* The next free name for `to`, or the one where the object is already. */
static bool
find_place(S3 *s3, const DriverEntry *entry, const char *to, char *place, size_t size, Found *found, Status *st)
{
    for (int i = 0; i < NAMES_MAX; i++)
    {
        int n = i == 0 ? snprintf(place, size, "%s", to) : snprintf(place, size, "%s.%d", to, i);

        if (n < 0 || (size_t) n >= size)
            return status_fail(st, STATUS_LIMIT, "the name \"%.200s...\" is too long", to);
        if (!look(s3, place, entry, found, st))
            return false;
        if (*found != FOUND_OTHER)
            return true;
    }
    return status_fail(st, STATUS_LIMIT, "there are %d files called \"%s\" already", NAMES_MAX, to);
}

bool
s3_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    S3 *s3 = session;
    Found here, there;

    if (!look(s3, entry->path, entry, &here, st) || !find_place(s3, entry, to, place, size, &there, st))
        return false;
    if (here == FOUND_NOTHING)
        return there == FOUND_IT || status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", entry->path);
    if (here == FOUND_OTHER)
    {
        status_fail(st, STATUS_CHANGED, "file \"%s\" is no longer as it was loaded", entry->path);
        return status_detail(st, "It was written since, and stays where it is.");
    }
    /* The same content may be there for another reason; then it is there, and the original can go. */
    if (there != FOUND_IT && !copy_object(s3, entry, place, st))
        return false;
    return send_request(s3, "DELETE", entry->path, s3->headers, s3->nheaders, 404, st);
}
