/*
 * move.c: moving a blob within its container, after store/move.h.
 *
 * A copy has an etag of its own, so that it is marked: its metadata say of which
 * version of which blob it was made.  The rest of the metadata is the
 * original's.  Large copies go on after the request was answered; they are
 * waited for, a while, and found again by who asks once more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../connectors/azure_blob_storage/azure.h"
#include "net/url.h"
#include "store/move.h"

#define METADATA "x-ms-meta-"
#define MARK METADATA "kaireon_source"
#define ANSWER_MAX (64U << 10)
/* Seconds that a copy is waited for, and the longest pause between looking, in milliseconds. */
#define COPY_SECONDS 60
#define LONGEST_PAUSE 2000

/* An etag as requests have it. */
static const char *
quoted(const DriverEntry *entry, char *out, size_t size)
{
    snprintf(out, size, "\"%.300s\"", entry->etag);
    return out;
}

/* Sends a request about a blob; `also` as for store_call. */
static bool
send_request(Azure *azure, HttpRequest *request, const char *path, unsigned also, HttpExchange **exchange, Status *st)
{
    bool fine;
    Buf url;

    buf_init(&url, URL_MAX);
    fine = azure_blob_url(azure, path, &url, st);
    request->url = (const char *) url.data;
    request->signer = azure_signer(azure);
    request->what = "file";
    request->body_max = ANSWER_MAX;
    *exchange = NULL;
    fine = fine && store_call(&azure->store, request, also, exchange, st);
    buf_free(&url);
    return fine;
}

/* What the head of an answer says of a blob; *response is NULL when there is none. */
static bool
ask_head(Azure *azure, const char *path, HttpExchange **exchange, const HttpResponse **response, Status *st)
{
    HttpRequest request = {.method = "HEAD", .headers = azure->headers, .nheaders = 1, .name = path};

    if (!send_request(azure, &request, path, 404, exchange, st))
        return false;
    *response = http_response(*exchange)->status == 404 ? NULL : http_response(*exchange);
    return true;
}

/* Deletes a blob of that version, with its etag in quotes. */
static bool
delete_blob(Azure *azure, const char *path, const char *etag, Status *st)
{
    HttpRequest request = {.method = "DELETE", .headers = azure->headers, .nheaders = 1, .name = path, .if_match = etag};
    HttpExchange *exchange;
    const char *code;
    unsigned status;
    bool fine;

    if (!send_request(azure, &request, path, STORE_ANY, &exchange, st))
        return false;
    status = http_response(exchange)->status;
    code = http_response_header(http_response(exchange), "x-ms-error-code");
    fine = (status >= 200 && status < 300) || status == 404 || store_refused(&azure->store, exchange, st);
    /* A lease, snapshots, a policy: it may be copied, and stays. */
    if (!fine && code != NULL && (status == 409 || (status == 412 && strncmp(code, "Lease", 5) == 0)))
        status_fail(st, STATUS_IO, "the store does not let file \"%s\" be deleted: %.100s", path, code);
    http_free(exchange);
    return fine;
}

/* ---- what is there ---------------------------------------------------------------- */

static bool
look_at_original(Azure *azure, const DriverEntry *entry, StoreFound *found, Status *st)
{
    HttpExchange *exchange;
    const HttpResponse *response;
    const char *length;
    char etag[300];

    if (!ask_head(azure, entry->path, &exchange, &response, st))
        return false;
    *found = STORE_NOTHING;
    if (response != NULL)
    {
        length = http_response_header(response, "content-length");
        store_plain_etag(http_response_header(response, "etag"), etag, sizeof(etag));
        *found = length != NULL && strtoull(length, NULL, 10) == entry->size && strcmp(etag, entry->etag) == 0 ? STORE_IT : STORE_OTHER;
    }
    http_free(exchange);
    return true;
}

/* Looks at a place once; *pending: a copy of ours that goes on.  One that came to nothing is taken away. */
static bool
look_once(Azure *azure, const char *mark, const char *path, StoreFound *found, bool *pending, Status *st)
{
    HttpExchange *exchange;
    const HttpResponse *response;
    const char *value;
    bool fine = true;

    *pending = false;
    *found = STORE_NOTHING;
    if (!ask_head(azure, path, &exchange, &response, st))
        return false;
    if (response != NULL)
    {
        value = http_response_header(response, MARK);
        *found = value != NULL && strcmp(value, mark) == 0 ? STORE_IT : STORE_OTHER;
        value = http_response_header(response, "x-ms-copy-status");
        *pending = *found == STORE_IT && value != NULL && strcmp(value, "pending") == 0;
        if (*found == STORE_IT && value != NULL && !*pending && strcmp(value, "success") != 0)
        {
            *found = STORE_NOTHING;
            fine = delete_blob(azure, path, http_response_header(response, "etag"), st);
        }
    }
    http_free(exchange);
    return fine;
}

static bool
look_at_copy(Azure *azure, const DriverEntry *entry, const char *path, StoreFound *found, Status *st)
{
    time_t until = time(NULL) + COPY_SECONDS;
    long pause = 50;
    char mark[65];
    bool pending;

    if (!store_move_mark(entry, mark, st))
        return false;
    for (;;)
    {
        struct timespec rest;

        if (!look_once(azure, mark, path, found, &pending, st))
            return false;
        if (!pending)
            return true;
        if (time(NULL) >= until)
            break;
        rest = (struct timespec) {pause / 1000, pause % 1000 * 1000000};
        nanosleep(&rest, NULL);
        pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
    }
    status_fail(st, STATUS_BROKEN, "the store has not copied file \"%s\" yet", entry->path);
    return status_detail(st, "It was waited for %d seconds, and goes on.", COPY_SECONDS);
}

static bool
look(void *context, const DriverEntry *entry, const char *path, bool copied, StoreFound *found, Status *st)
{
    return copied ? look_at_copy(context, entry, path, found, st) : look_at_original(context, entry, found, st);
}

/* ---- copying ------------------------------------------------------------------------ */

/* Headers of a request for a copy; `text` holds the metadata's names and values. */
typedef struct CopyHeaders
{
    HttpHeader *list;
    size_t n;
    char *text;
} CopyHeaders;

/* Adds the metadata of the original: a copy that is given any of its own does not get them by itself. */
static bool
add_metadata(CopyHeaders *headers, const HttpResponse *original, Status *st)
{
    const Buf *lines = &original->headers;
    size_t n = 0;

    for (size_t at = 0; at < lines->used; at += strlen((const char *) lines->data + at) + 1)
        n++;
    headers->list = calloc(n + 8, sizeof(headers->list[0]));
    headers->text = malloc(lines->used + 1);
    if (headers->list == NULL || headers->text == NULL)
        return status_out_of_memory(st, lines->used);
    memcpy(headers->text, lines->data, lines->used);
    for (size_t at = 0, size; at < lines->used; at += size)
    {
        char *line = headers->text + at, *colon = strchr(line, ':');

        size = strlen(line) + 1;
        if (colon == NULL || strncasecmp(line, METADATA, strlen(METADATA)) != 0)
            continue;
        *colon = '\0';
        if (strcmp(line, MARK) != 0)
            headers->list[headers->n++] = (HttpHeader) {line, colon + 1 + strspn(colon + 1, " \t")};
    }
    return true;
}

/* Asks for the copy, which may not be whole when that is answered. */
static bool
ask_copy(Azure *azure, const DriverEntry *entry, const char *to, const HttpResponse *original, Status *st)
{
    CopyHeaders headers = {.n = 0};
    HttpRequest request = {.method = "PUT", .body = "", .name = entry->path};
    HttpExchange *exchange = NULL;
    char etag[310], mark[65];
    bool fine;
    Buf source;

    buf_init(&source, URL_MAX);
    fine = add_metadata(&headers, original, st) && store_move_mark(entry, mark, st) && azure_blob_url(azure, entry->path, &source, st);
    if (fine)
    {
        headers.list[headers.n++] = azure->headers[0];
        headers.list[headers.n++] = (HttpHeader) {"Content-Type", "application/octet-stream"};
        headers.list[headers.n++] = (HttpHeader) {"If-None-Match", "*"};
        headers.list[headers.n++] = (HttpHeader) {"x-ms-copy-source", (const char *) source.data};
        headers.list[headers.n++] = (HttpHeader) {"x-ms-source-if-match", quoted(entry, etag, sizeof(etag))};
        headers.list[headers.n++] = (HttpHeader) {MARK, mark};
        request.headers = headers.list;
        request.nheaders = headers.n;
    }
    fine = fine && send_request(azure, &request, to, 0, &exchange, st);
    http_free(exchange);
    buf_free(&source);
    free(headers.list);
    free(headers.text);
    return fine;
}

static bool
copy_blob(void *context, const DriverEntry *entry, const char *to, bool *taken, Status *st)
{
    Azure *azure = context;
    HttpExchange *exchange;
    const HttpResponse *original;
    StoreFound found = STORE_NOTHING;
    Status other;
    bool asked;

    *taken = false;
    if (!ask_head(azure, entry->path, &exchange, &original, st))
        return false;
    asked = original == NULL ? status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", entry->path) : ask_copy(azure, entry, to, original, st);
    http_free(exchange);
    if (!asked)
    {
        /* Was it that something is there?  It may be this copy, of which the first answer was lost. */
        status_clear(&other);
        *taken = look_at_copy(azure, entry, to, &found, &other) && found != STORE_NOTHING;
        return *taken;
    }
    if (!look_at_copy(azure, entry, to, &found, st))
        return false;
    return found == STORE_IT || status_fail(st, STATUS_BROKEN, "the store could not copy file \"%s\"", entry->path);
}

static bool
remove_blob(void *context, const DriverEntry *entry, Status *st)
{
    char etag[310];

    return delete_blob(context, entry->path, quoted(entry, etag, sizeof(etag)), st);
}

bool
azure_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    const StoreMover mover = {look, copy_blob, remove_blob, session, store_move_room(((Azure *) session)->prefix)};

    http_operation(((Azure *) session)->store.http);
    return store_move(&mover, entry, to, place, size, st);
}
