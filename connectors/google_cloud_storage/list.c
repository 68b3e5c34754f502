/*
 * list.c: listings of a bucket, page by page (Objects: list).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/google_cloud_storage/gcs.h"
#include "net/url.h"
#include "store/keys.h"
#include "store/xml.h"

static bool
page_url(const Gcs *gcs, const char *prefix, bool flat, const char *token, Buf *url, Status *st)
{
    size_t size = strlen(gcs->prefix) + strlen(prefix) + 1;
    char *whole = malloc(size);
    bool fine;

    if (whole == NULL)
        return status_out_of_memory(st, size);
    snprintf(whole, size, "%s%s", gcs->prefix, prefix);
    fine = gcs_url(gcs, NULL, url, st) && url_add_parameter(url, "?", "prefix", whole, st) && url_add_parameter(url, "&", "maxResults", "1000", st) &&
        url_add_parameter(url, "&", "fields", "nextPageToken,items(name,size,generation,timeCreated)", st) &&
        (!flat || url_add_parameter(url, "&", "delimiter", "/", st)) && (token == NULL || url_add_parameter(url, "&", "pageToken", token, st)) &&
        gcs_url_end(gcs, url, st);
    free(whole);
    return fine;
}

/*
 * One object of a page.  Its time is when this generation was made: "updated" changes with the
 * metadata.
 */
static bool
take_object(const Gcs *gcs, const json_t *item, KeyEmit emit, void *context, bool *stop, Status *st)
{
    const char *key = json_string_value(json_object_get(item, "name")), *size = json_string_value(json_object_get(item, "size")),
               *time = json_string_value(json_object_get(item, "timeCreated")), *generation = json_string_value(json_object_get(item, "generation"));
    size_t skip = strlen(gcs->prefix);
    DriverEntry entry = {.etag = generation};

    if (key == NULL || size == NULL || generation == NULL || time == NULL || !store_iso_time(time, &entry.mtime) || !store_size(size, &entry.size))
        return status_fail(st, STATUS_PROTOCOL, "a listing of bucket \"%s\" has an object without name, size, generation or time", gcs->bucket);
    if (strncmp(key, gcs->prefix, skip) != 0)
        return true;
    entry.path = key + skip;
    return emit(context, &entry, stop, st);
}

/* The objects of a page; *token becomes that of the next one, to be freed, or NULL. */
static bool
take_page(const Gcs *gcs, const json_t *page, KeyEmit emit, void *context, bool *stop, char **token, KeyPages *pages, Status *st)
{
    const json_t *items = json_object_get(page, "items"), *item;
    const char *next = json_string_value(json_object_get(page, "nextPageToken"));
    bool fine = true;
    size_t i;

    if (page == NULL || (items != NULL && !json_is_array(items)))
        return status_fail(st, STATUS_PROTOCOL, "the answer to a listing of bucket \"%s\" is no listing", gcs->bucket);
    json_array_foreach(items, i, item)
    {
        fine = take_object(gcs, item, emit, context, stop, st);
        if (!fine || *stop)
            break;
    }
    if (fine && keys_endless(pages, json_array_size(items) > 0, next))
        fine = status_fail(st, STATUS_PROTOCOL, "the listing of bucket \"%s\" does not go on", gcs->bucket);
    free(*token);
    *token = fine && next != NULL && next[0] != '\0' ? strdup(next) : NULL;
    return fine && (*token != NULL || next == NULL || next[0] == '\0' || status_out_of_memory(st, strlen(next)));
}

static bool
list_prefix(void *context, const char *prefix, bool flat, KeyEmit emit, void *emit_context, Status *st)
{
    Gcs *gcs = context;
    char *token = NULL;
    bool stop = false, fine;
    KeyPages pages = {0};

    do
    {
        HttpRequest request = {.what = "bucket", .name = gcs->bucket};
        json_t *page = NULL;
        Buf url;

        buf_init(&url, URL_MAX);
        fine = page_url(gcs, prefix, flat, token, &url, st);
        request.url = (const char *) url.data;
        fine = fine && gcs_call(gcs, &request, 0, &page, st) && take_page(gcs, page, emit, emit_context, &stop, &token, &pages, st);
        json_decref(page);
        buf_free(&url);
    }
    while (fine && token != NULL && !stop);
    free(token);
    return fine;
}

bool
gcs_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    const KeyLister lister = {list_prefix, session};

    http_operation(((Gcs *) session)->store.http);
    return keys_list(&lister, resource, emit, context, st);
}

bool
gcs_look(void *session, DriverEmit emit, void *context, Status *st)
{
    const KeyLister lister = {list_prefix, session};

    http_operation(((Gcs *) session)->store.http);
    return keys_look(&lister, emit, context, st);
}
