/*
 * list.c: listings of a bucket, page by page (ListObjectsV2).
 */
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/amazon_s3/s3.h"
#include "net/url.h"
#include "store/keys.h"
#include "store/xml.h"

/* Parameters in the order of their names, as they are signed. */
static bool
page_url(const S3 *s3, const char *prefix, bool flat, const char *token, Buf *url, Status *st)
{
    size_t size = strlen(s3->prefix) + strlen(prefix) + 1;
    char *whole = malloc(size);
    bool fine;

    if (whole == NULL)
        return status_out_of_memory(st, size);
    snprintf(whole, size, "%s%s", s3->prefix, prefix);
    fine = buf_append(url, s3->base, strlen(s3->base), st) && buf_append(url, "/?", 2, st) &&
        (token == NULL || (url_add_parameter(url, "", "continuation-token", token, st) && buf_append(url, "&", 1, st))) &&
        (!flat || (url_add_parameter(url, "", "delimiter", "/", st) && buf_append(url, "&", 1, st))) &&
        url_add_parameter(url, "", "list-type", "2", st) && url_add_parameter(url, "&", "prefix", whole, st) && buf_append(url, "", 1, st);
    free(whole);
    return fine;
}

/* One object of a page. */
static bool
take_object(const S3 *s3, const xmlNode *contents, KeyEmit emit, void *context, bool *stop, Status *st)
{
    char *key = store_xml_text(contents->children, "Key"), *size = store_xml_text(contents->children, "Size"),
         *time = store_xml_text(contents->children, "LastModified"), *etag = store_xml_text(contents->children, "ETag");
    size_t skip = strlen(s3->prefix);
    DriverEntry entry = {.etag = ""};
    char plain[300];
    bool fine = true;

    if (key == NULL || size == NULL || time == NULL || !store_iso_time(time, &entry.mtime) || !store_size(size, &entry.size))
        fine = status_fail(st, STATUS_PROTOCOL, "a listing of bucket \"%s\" has an object without key, size or time", s3->bucket);
    else if (strncmp(key, s3->prefix, skip) == 0)
    {
        store_plain_etag(etag, plain, sizeof(plain));
        entry.path = key + skip;
        entry.etag = plain;
        fine = emit(context, &entry, stop, st);
    }
    xmlFree(key);
    xmlFree(size);
    xmlFree(time);
    xmlFree(etag);
    return fine;
}

static bool
take_page(const S3 *s3, const Buf *body, KeyEmit emit, void *context, bool *stop, char **token, KeyPages *pages, Status *st)
{
    xmlDoc *doc = store_xml_parse(body, "the listing", st);
    const xmlNode *root, *each;
    char *next = NULL, *truncated;
    bool fine = true;

    if (doc == NULL)
        return false;
    root = xmlDocGetRootElement(doc);
    if (strcmp((const char *) root->name, "ListBucketResult") != 0)
        fine = status_fail(st, STATUS_PROTOCOL, "the answer to a listing of bucket \"%s\" is no listing", s3->bucket);
    for (each = fine ? store_xml_find(root->children, "Contents") : NULL; each != NULL && fine && !*stop; each = store_xml_find(each->next, "Contents"))
        fine = take_object(s3, each, emit, context, stop, st);
    truncated = store_xml_text(root->children, "IsTruncated");
    if (fine && !*stop && truncated != NULL && strcmp(truncated, "true") == 0)
    {
        next = store_xml_text(root->children, "NextContinuationToken");
        if (next == NULL || keys_endless(pages, store_xml_find(root->children, "Contents") != NULL, next))
            fine = status_fail(st, STATUS_PROTOCOL, "the listing of bucket \"%s\" does not go on", s3->bucket);
    }
    xmlFree(truncated);
    xmlFree(*token);
    *token = next;
    xmlFreeDoc(doc);
    return fine;
}

static bool
list_prefix(void *context, const char *prefix, bool flat, KeyEmit emit, void *emit_context, Status *st)
{
    S3 *s3 = context;
    char *token = NULL;
    bool stop = false, fine;
    KeyPages pages = {0};

    do
    {
        HttpExchange *exchange = NULL;
        HttpRequest request = {.headers = s3->headers, .nheaders = s3->nheaders, .signer = &s3->signer, .what = "bucket", .name = s3->bucket,
                               .body_max = S3_XML_MAX};
        Buf url;

        buf_init(&url, URL_MAX);
        fine = page_url(s3, prefix, flat, token, &url, st);
        request.url = (const char *) url.data;
        fine = fine && store_call(&s3->store, &request, 0, &exchange, st) &&
            take_page(s3, &http_response(exchange)->body, emit, emit_context, &stop, &token, &pages, st);
        http_free(exchange);
        buf_free(&url);
    }
    while (fine && token != NULL && !stop);
    xmlFree(token);
    return fine;
}

bool
s3_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    const KeyLister lister = {list_prefix, session};

    http_operation(((S3 *) session)->store.http);
    return keys_list(&lister, resource, emit, context, st);
}

bool
s3_look(void *session, DriverEmit emit, void *context, Status *st)
{
    const KeyLister lister = {list_prefix, session};

    http_operation(((S3 *) session)->store.http);
    return keys_look(&lister, emit, context, st);
}
