/*
 * move.c: moving an object within its bucket, after store/move.h.
 *
 * A copy has a generation of its own, so that it is marked: its metadata say of which
 * generation of which object it was made.  The rest of the metadata is the original's.
 * The service checks that the original is still of that generation, and that there is
 * nothing yet where the copy goes (generation 0).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/google_cloud_storage/gcs.h"
#include "net/url.h"
#include "store/move.h"

#define MARK "kaireon_source"
/* What a copy that is given metadata does not get by itself. */
#define KEPT "contentType,contentEncoding,contentDisposition,contentLanguage,cacheControl,storageClass,customTime,metadata"
/* A large object is copied in several calls, of a gigabyte or so each; so many in a row that copy nothing are one too many. */
#define IDLE_CALLS_MAX 10

/* An object's metadata; *json is NULL when there is none. */
static bool
ask_object(Gcs *gcs, const char *path, json_t **json, Status *st)
{
    HttpRequest request = {.what = "file", .name = path};
    bool fine;
    Buf url;

    *json = NULL;
    buf_init(&url, URL_MAX);
    fine = gcs_url(gcs, path, &url, st) && url_add_parameter(&url, "?", "fields", "generation,size," KEPT, st) && gcs_url_end(gcs, &url, st);
    request.url = (const char *) url.data;
    fine = fine && gcs_call(gcs, &request, 404, json, st);
    buf_free(&url);
    return fine;
}

static bool
is_text(const json_t *json, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(json, key));

    return value != NULL && strcmp(value, text) == 0;
}

static bool
look(void *context, const DriverEntry *entry, const char *path, bool copied, StoreFound *found, Status *st)
{
    char mark[65], size[21];
    json_t *json;
    bool it;

    if (!store_move_mark(entry, mark, st) || !ask_object(context, path, &json, st))
        return false;
    snprintf(size, sizeof(size), "%llu", (unsigned long long) entry->size);
    it = copied ? is_text(json_object_get(json, "metadata"), MARK, mark) : is_text(json, "generation", entry->etag) && is_text(json, "size", size);
    *found = json == NULL ? STORE_NOTHING : it ? STORE_IT : STORE_OTHER;
    json_decref(json);
    return true;
}

/* ---- copying ------------------------------------------------------------------ */

/* The copy's metadata, to be freed: those of the original, and the mark. */
static bool
make_metadata(Gcs *gcs, const DriverEntry *entry, char **text, Status *st)
{
    char mark[65];
    json_t *json = NULL, *own;
    bool fine;

    *text = NULL;
    if (!store_move_mark(entry, mark, st) || !ask_object(gcs, entry->path, &json, st))
        return false;
    if (json == NULL)
        return status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", entry->path);
    own = json_object_get(json, "metadata");
    /* these are not for the asking */
    (void) json_object_del(json, "generation");
    (void) json_object_del(json, "size");
    fine = (json_is_object(own) || json_object_set_new(json, "metadata", json_object()) == 0) &&
        json_object_set_new(json_object_get(json, "metadata"), MARK, json_string(mark)) == 0;
    *text = fine ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *text != NULL || status_out_of_memory(st, 0);
}

/* Where a rewrite of the object to `to` is asked for; `token` goes on with one that was begun. */
static bool
rewrite_url(const Gcs *gcs, const DriverEntry *entry, const char *to, const char *token, Buf *url, Status *st)
{
    return gcs_url(gcs, entry->path, url, st) && buf_append(url, "/rewriteTo/b/", 13, st) && url_encode(url, gcs->bucket, strlen(gcs->bucket), false, st) &&
        buf_append(url, "/o/", 3, st) && url_encode(url, gcs->prefix, strlen(gcs->prefix), false, st) && url_encode(url, to, strlen(to), false, st) &&
        url_add_parameter(url, "?", "ifGenerationMatch", "0", st) && url_add_parameter(url, "&", "ifSourceGenerationMatch", entry->etag, st) &&
        url_add_parameter(url, "&", "fields", "done,rewriteToken,totalBytesRewritten", st) && (token == NULL || url_add_parameter(url, "&", "rewriteToken", token, st)) &&
        gcs_url_end(gcs, url, st);
}

/* How far a rewrite has come. */
typedef struct Rewrite
{
    char *token;        /* goes on with it; NULL: it has not begun, or is done */
    uint64_t bytes;     /* copied */
    int idle;           /* calls in a row that copied nothing */
    bool refused;       /* 412: the one object or the other is not what it should be */
} Rewrite;

/* What an answer says of it. */
static bool
take_progress(Rewrite *rewrite, const json_t *json, const DriverEntry *entry, Status *st)
{
    const char *next = json_string_value(json_object_get(json, "rewriteToken")), *bytes = json_string_value(json_object_get(json, "totalBytesRewritten"));
    uint64_t copied = bytes == NULL ? 0 : strtoull(bytes, NULL, 10);

    if (json_is_true(json_object_get(json, "done")))
        return true;
    rewrite->idle = copied > rewrite->bytes ? 0 : rewrite->idle + 1;
    rewrite->bytes = copied > rewrite->bytes ? copied : rewrite->bytes;
    rewrite->token = next == NULL || rewrite->idle > IDLE_CALLS_MAX ? NULL : strdup(next);
    if (rewrite->token != NULL)
        return true;
    return status_fail(st, STATUS_PROTOCOL, "the copy of file \"%s\" does not go on at byte %llu of %llu", entry->path, (unsigned long long) rewrite->bytes,
                       (unsigned long long) entry->size);
}

/* One call of a rewrite. */
static bool
call_rewrite(Gcs *gcs, const DriverEntry *entry, const char *to, const char *metadata, Rewrite *rewrite, Status *st)
{
    const HttpHeader headers[] = {{"Content-Type", "application/json"}};
    HttpRequest request = {.method = "POST", .headers = headers, .nheaders = 1, .body = metadata, .nbody = strlen(metadata), .what = "file", .name = entry->path};
    json_t *json = NULL;
    bool fine;
    Buf url;

    buf_init(&url, 2 * URL_MAX);
    fine = rewrite_url(gcs, entry, to, rewrite->token, &url, st);
    request.url = (const char *) url.data;
    fine = fine && gcs_call(gcs, &request, 412, &json, st);
    buf_free(&url);
    free(rewrite->token);
    rewrite->token = NULL;
    rewrite->refused = json == NULL;
    fine = fine && (json == NULL || take_progress(rewrite, json, entry, st));
    json_decref(json);
    return fine;
}

static bool
copy_object(void *context, const DriverEntry *entry, const char *to, bool *taken, Status *st)
{
    Gcs *gcs = context;
    char *metadata = NULL;
    bool fine = make_metadata(gcs, entry, &metadata, st);
    StoreFound found = STORE_NOTHING;
    Rewrite rewrite = {.token = NULL};

    *taken = false;
    do
        fine = fine && call_rewrite(gcs, entry, to, metadata, &rewrite, st);
    while (fine && rewrite.token != NULL);
    free(metadata);
    if (!fine || !rewrite.refused)
        return fine;
    /* It is the original that is another one now, or there is something at `to`. */
    if (!look(gcs, entry, entry->path, false, &found, st))
        return false;
    *taken = found == STORE_IT;
    return *taken || status_fail(st, STATUS_CHANGED, "file \"%s\" is no longer as it was loaded", entry->path);
}

/* ---- deleting ------------------------------------------------------------------ */

static bool
remove_object(void *context, const DriverEntry *entry, Status *st)
{
    Gcs *gcs = context;
    HttpRequest request = {.method = "DELETE", .what = "file", .name = entry->path};
    bool fine;
    Buf url;

    buf_init(&url, URL_MAX);
    fine = gcs_url(gcs, entry->path, &url, st) && url_add_parameter(&url, "?", "ifGenerationMatch", entry->etag, st) && gcs_url_end(gcs, &url, st);
    request.url = (const char *) url.data;
    fine = fine && gcs_call(gcs, &request, 404, NULL, st);
    buf_free(&url);
    return fine;
}

bool
gcs_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    const StoreMover mover = {look, copy_object, remove_object, session, store_move_room(((Gcs *) session)->prefix)};

    http_operation(((Gcs *) session)->store.http);
    return store_move(&mover, entry, to, place, size, st);
}
