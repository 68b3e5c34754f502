/*
 * move.c: moving an object within its bucket, after store/move.h.
 *
 * The copy asks for the etag that was listed, so what was written since is not
 * moved.  It has another time than its original, but mostly the same etag, which
 * tells that it was made already.  Of an object that was uploaded in parts, or
 * encrypted with a key of the bucket's, the answer says the copy's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/amazon_s3/s3.h"
#include "net/url.h"
#include "store/move.h"
#include "store/xml.h"

/* Enough for any etag. */
#define ETAG_MAX 300

typedef struct Moving
{
    S3 *s3;
    char copy[ETAG_MAX];        /* etag of the copy that was made, "": none was */
} Moving;

static bool
look(void *context, const DriverEntry *entry, const char *path, bool copied, StoreFound *found, Status *st)
{
    const Moving *moving = context;
    S3 *s3 = moving->s3;
    HttpRequest request = {.method = "HEAD", .headers = s3->headers, .nheaders = s3->nheaders, .signer = &s3->signer, .what = "file", .name = path,
                           .body_max = S3_XML_MAX};
    HttpExchange *exchange = NULL;
    char etag[ETAG_MAX];
    const char *length;
    bool fine, same;
    Buf url;

    buf_init(&url, URL_MAX);
    fine = s3_key_url(s3, path, &url, st);
    request.url = (const char *) url.data;
    fine = fine && store_call(&s3->store, &request, 404, &exchange, st);
    *found = STORE_NOTHING;
    if (fine && http_response(exchange)->status != 404)
    {
        store_plain_etag(http_response_header(http_response(exchange), "etag"), etag, sizeof(etag));
        length = http_response_header(http_response(exchange), "content-length");
        same = strcmp(etag, entry->etag) == 0 || (copied && etag[0] != '\0' && strcmp(etag, moving->copy) == 0);
        *found = length != NULL && strtoull(length, NULL, 10) == entry->size && same ? STORE_IT : STORE_OTHER;
    }
    http_free(exchange);
    buf_free(&url);
    return fine;
}

/* Sends a request; *exchange has its answer, to be freed in any case. */
static bool
send_request(S3 *s3, const char *method, const char *path, const HttpHeader *headers, size_t nheaders, unsigned also, HttpExchange **exchange, Status *st)
{
    HttpRequest request = {.method = method, .headers = headers, .nheaders = nheaders, .signer = &s3->signer, .what = "file", .name = path,
                           .body = strcmp(method, "PUT") == 0 ? "" : NULL, .body_max = S3_XML_MAX};
    bool fine;
    Buf url;

    *exchange = NULL;
    buf_init(&url, URL_MAX);
    fine = s3_key_url(s3, path, &url, st);
    request.url = (const char *) url.data;
    fine = fine && store_call(&s3->store, &request, also, exchange, st);
    buf_free(&url);
    return fine;
}

/* What the answer says of the copy.  A copy may fail after its answer has begun, with 200. */
static bool
take_copy(Moving *moving, const HttpExchange *exchange, const char *path, Status *st)
{
    xmlDoc *doc = store_xml_parse(&http_response(exchange)->body, "the answer to a copy", st);
    const xmlNode *root = doc == NULL ? NULL : xmlDocGetRootElement(doc);
    bool fine = root != NULL && strcmp((const char *) root->name, "CopyObjectResult") == 0, failed = root != NULL && strcmp((const char *) root->name, "Error") == 0;
    char *etag = fine ? store_xml_text(root->children, "ETag") : NULL, *said = failed ? store_xml_text(root->children, "Code") : NULL;

    moving->copy[0] = '\0';
    if (etag != NULL)
        store_plain_etag(etag, moving->copy, sizeof(moving->copy));
    if (doc != NULL && !fine)
        status_fail(st, failed ? STATUS_BROKEN : STATUS_PROTOCOL, "the store did not copy file \"%s\"%s%.100s", path, said != NULL ? ": " : "", said != NULL ? said : "");
    free(etag);
    free(said);
    xmlFreeDoc(doc);
    return fine;
}

static bool
copy_object(void *context, const DriverEntry *entry, const char *to, bool *taken, Status *st)
{
    Moving *moving = context;
    S3 *s3 = moving->s3;
    char etag[ETAG_MAX + 10];
    HttpExchange *exchange = NULL;
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
    fine = fine && send_request(s3, "PUT", to, headers, n, 0, &exchange, st) && take_copy(moving, exchange, entry->path, st);
    http_free(exchange);
    buf_free(&source);
    return fine;
}

static bool
remove_object(void *context, const DriverEntry *entry, Status *st)
{
    S3 *s3 = ((Moving *) context)->s3;
    HttpExchange *exchange;
    bool fine = send_request(s3, "DELETE", entry->path, s3->headers, s3->nheaders, 404, &exchange, st);

    http_free(exchange);
    return fine;
}

bool
s3_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    Moving moving = {.s3 = session};
    const StoreMover mover = {look, copy_object, remove_object, &moving, store_move_room(moving.s3->prefix)};

    http_operation(moving.s3->store.http);
    return store_move(&mover, entry, to, place, size, st);
}
