/*
 * transfer.c: see transfer.h.
 *
 * Whenever something is waited for, parts are begun in the order in which they
 * will be read, as far as `allowed` and TRANSFER_AHEAD go.  `allowed` is how
 * many bytes may be under way: it doubles with each part that was read to its end.
 */
#include "net/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/content_md5.h"

/* Parts of one object at a time. */
#define PARTS 8

typedef struct Part
{
    HttpRequest request;    /* points at the transfer's strings */
    HttpExchange *exchange;
    size_t size;            /* bytes reserved for it */
} Part;

struct Transfer
{
    Transfers *all;
    Transfer *next;         /* in the order of reading */
    char *url, *name;
    TransferObject object;
    char etag[300];         /* "" until it is known */
    char modified[100];     /* Last-Modified, where the etag says too little; else "" */
    int64_t size;           /* -1: not known */
    int64_t mtime;
    bool has_time;
    bool opened;            /* the first part was answered */
    bool whole;             /* all comes in the first part */
    bool single;            /* there is one part, as long as the object */
    uint64_t asked;         /* bytes that have parts */
    uint64_t read;          /* bytes given */
    ContentMd5 md5;         /* of them */
    Part *parts[PARTS];     /* the first is being read */
    size_t nparts;
};

struct Transfers
{
    Http *http;
    Transfer *first;
    Transfer *reading;      /* the one that is waited for */
    size_t under_way;       /* bytes of all parts */
    size_t allowed;
};

bool
transfers_open(Transfers **all, Http *http, Status *st)
{
    *all = calloc(1, sizeof(**all));
    if (*all == NULL)
        return status_out_of_memory(st, sizeof(**all));
    (*all)->http = http;
    (*all)->allowed = TRANSFER_LEAST_PART;
    return true;
}

void
transfers_close(Transfers *all)
{
    if (all == NULL)
        return;
    while (all->first != NULL)
        transfer_close(all->first);
    free(all);
}

bool
transfer_begin(Transfers *all, const TransferObject *object, Transfer **out, Status *st)
{
    Transfer *transfer = calloc(1, sizeof(*transfer)), **last = &all->first;

    *out = NULL;
    if (transfer == NULL)
        return status_out_of_memory(st, sizeof(*transfer));
    transfer->all = all;
    transfer->object = *object;
    transfer->url = strdup(object->url);
    transfer->name = strdup(object->name);
    transfer->size = object->size;
    snprintf(transfer->etag, sizeof(transfer->etag), "%s", object->etag == NULL || strlen(object->etag) >= sizeof(transfer->etag) ? "" : object->etag);
    while (*last != NULL)
        last = &(*last)->next;
    *last = transfer;
    if (transfer->url == NULL || transfer->name == NULL)
    {
        transfer_close(transfer);
        return status_out_of_memory(st, strlen(object->url));
    }
    *out = transfer;
    return true;
}

/* ---- parts ------------------------------------------------------------------ */

static void
drop_part(Transfer *transfer)
{
    http_free(transfer->parts[0]->exchange);
    transfer->all->under_way -= transfer->parts[0]->size;
    free(transfer->parts[0]);
    transfer->nparts--;
    memmove(transfer->parts, transfer->parts + 1, transfer->nparts * sizeof(transfer->parts[0]));
}

/* The next part's bytes; 0: there is none, or it is not its turn. */
static size_t
next_part(const Transfer *transfer)
{
    const Transfers *all = transfer->all;
    size_t size = all->allowed / 2, room = all->allowed > all->under_way ? all->allowed - all->under_way : 0;
    uint64_t left = transfer->size < 0 ? UINT64_MAX : (uint64_t) transfer->size - transfer->asked;

    if (transfer->nparts == PARTS || transfer->whole || left == 0 || (transfer->asked > 0 && !transfer->opened))
        return transfer->size == 0 && !transfer->opened && transfer->nparts == 0 ? 1 : 0;
    if (size < TRANSFER_LEAST_PART)
        size = TRANSFER_LEAST_PART;
    if (size > TRANSFER_LARGEST_PART)
        size = TRANSFER_LARGEST_PART;
    if (size > left)
        size = (size_t) left;
    /* Who is read now always gets a part. */
    return size <= room || (transfer == all->reading && transfer->nparts == 0) ? size : 0;
}

static bool
begin_part(Transfer *transfer, size_t size, Status *st)
{
    Part *part = calloc(1, sizeof(*part));

    if (part == NULL)
        return status_out_of_memory(st, sizeof(*part));
    part->size = transfer->single ? HTTP_CHUNK : size;
    part->request = (HttpRequest) {
        .url = transfer->url, .headers = transfer->object.headers, .nheaders = transfer->object.nheaders, .secret_headers = transfer->object.secret_headers,
        .signer = transfer->object.signer, .what = "file", .name = transfer->name, .follow = transfer->object.follow,
        .ranged = transfer->size != 0, .from = transfer->asked, .to = transfer->asked + size,
        .if_match = transfer->etag[0] == '\0' ? NULL : transfer->etag, .modified = transfer->modified[0] == '\0' ? NULL : transfer->modified,
        .version = transfer->object.version, .body_max = part->size < HTTP_CHUNK ? HTTP_CHUNK : part->size};
    if (!http_start(transfer->all->http, &part->request, &part->exchange, st))
    {
        free(part);
        return false;
    }
    transfer->asked += size;
    transfer->all->under_way += part->size;
    transfer->parts[transfer->nparts++] = part;
    return true;
}

static bool
begin_parts_of(Transfer *transfer, Status *st)
{
    size_t size;

    while ((size = next_part(transfer)) > 0)
        if (!begin_part(transfer, size, st))
            return false;
    return true;
}

/* Begins the parts whose turn it is. */
static bool
begin_parts(Transfers *all, Status *st)
{
    if (!begin_parts_of(all->reading, st))
        return false;
    for (Transfer *each = all->first; each != NULL; each = each->next)
    {
        if (all->under_way >= all->allowed)
            break;
        if (!begin_parts_of(each, st))
            return false;
    }
    return true;
}

static bool
step(Transfers *all, Status *st)
{
    return begin_parts(all, st) && http_step(all->http, NULL, st);
}

/* ---- the beginning ------------------------------------------------------------ */

/* An empty object has no range, not even one from 0: its content-range, if it is told, is "bytes", a star and "/0". */
static bool
is_empty(const HttpResponse *response)
{
    const char *range = http_response_header(response, "content-range");

    return response->status == 416 && (range == NULL || strcmp(range, "bytes *" "/0") == 0);
}

static void
learn(Transfer *transfer, const HttpResponse *response)
{
    const char *etag = http_response_header(response, transfer->object.version != NULL ? transfer->object.version : "etag");
    const char *modified = http_response_header(response, "last-modified");
    int64_t total = http_total(transfer->parts[0]->exchange);

    transfer->opened = true;
    transfer->has_time = http_response_time(response, "last-modified", &transfer->mtime);
    if (etag != NULL && strlen(etag) < sizeof(transfer->etag))
        snprintf(transfer->etag, sizeof(transfer->etag), "%s", etag);
    if (modified != NULL && strlen(modified) < sizeof(transfer->modified) && (transfer->etag[0] == '\0' || strncmp(transfer->etag, "W/", 2) == 0))
        snprintf(transfer->modified, sizeof(transfer->modified), "%s", modified);
    if (total >= 0)
        transfer->size = total;
    transfer->whole = response->status != 206;
    if (is_empty(response))
        transfer->size = 0;
    if (strncasecmp(transfer->url, "http:", 5) == 0)
        content_md5_begin(&transfer->md5, response, transfer->object.etag_md5);
}

/* Nothing tells whether parts are of one version: the object is asked for anew, all of it in one answer. */
static bool
begin_single(Transfer *transfer, Status *st)
{
    drop_part(transfer);
    transfer->asked = 0;
    transfer->opened = false;
    transfer->single = true;
    return begin_part(transfer, (size_t) transfer->size, st);
}

static bool
needs_single(const Transfer *transfer)
{
    return !transfer->single && !transfer->whole && transfer->etag[0] == '\0' && transfer->modified[0] == '\0' && transfer->size >= 0 &&
        (uint64_t) transfer->size > transfer->asked;
}

bool
transfer_open(Transfer *transfer, TransferInfo *info, Status *st)
{
    const HttpResponse *response;
    HttpExchange *exchange;
    bool failed = false;

    transfer->all->reading = transfer;
    http_operation(transfer->all->http);
    if (!step(transfer->all, st))
        return false;
    for (;;)
    {
        exchange = transfer->parts[0]->exchange;
        response = http_response(exchange);
        if (http_finished(exchange, &failed) && failed)
            return http_failure(exchange, st);
        if (http_finished(exchange, &failed) && response->status >= 300 && !is_empty(response))
            return http_refused(exchange, st);
        if (http_answered(exchange) && !transfer->opened)
            learn(transfer, response);
        if (transfer->opened && needs_single(transfer) && !begin_single(transfer, st))
            return false;
        if (transfer->opened && (http_finished(exchange, &failed) || http_ready(exchange) >= TRANSFER_HEAD))
            break;
        exchange = transfer->parts[0]->exchange;
        if (!begin_parts(transfer->all, st) || !http_step(transfer->all->http, exchange, st))
            return false;
    }
    /* It was asked for more than once. */
    if (http_total(exchange) >= 0 && http_total(exchange) != transfer->size)
        return status_fail(st, STATUS_IO, "file \"%.500s\" was changed while it was read", transfer->name);
    *info = (TransferInfo) {transfer->size, transfer->has_time, transfer->mtime, transfer->etag};
    return true;
}

/* ---- the bytes -------------------------------------------------------------- */

/* More may be fetched ahead from now on. */
static void
grow(Transfers *all)
{
    if (all->allowed < TRANSFER_AHEAD)
        all->allowed *= 2;
}

/* An answer that tells neither its length nor its end may have been cut. */
static bool
is_all(const Transfer *transfer, Status *st)
{
    if (transfer->object.size < 0 || transfer->read == (uint64_t) transfer->object.size)
        return true;
    status_fail(st, STATUS_IO, "file \"%.500s\" is no longer as it was listed", transfer->name);
    return status_detail(st, "It had %" PRId64 " bytes, and the server sent %" PRIu64 ".", transfer->object.size, transfer->read);
}

static bool
read_some(Transfer *transfer, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Transfers *all = transfer->all;
    bool failed = false, finished;

    *got = 0;
    all->reading = transfer;
    for (;;)
    {
        HttpExchange *exchange;

        if (!transfer->whole && transfer->size >= 0 && transfer->read >= (uint64_t) transfer->size)
            return true;
        /* What came meanwhile is fetched, and more is asked for, whether it is needed yet or not. */
        if (!step(all, st))
            return false;
        exchange = transfer->parts[0]->exchange;
        *got = http_take(exchange, out, size);
        transfer->read += *got;
        if (*got > 0)
            return true;
        finished = http_finished(exchange, &failed);
        if (failed)
            return http_failure(exchange, st);
        if (finished && http_response(exchange)->status >= 300)
            return is_empty(http_response(exchange)) || http_refused(exchange, st);
        if (finished && transfer->whole)
            return is_all(transfer, st);
        if (finished)
        {
            drop_part(transfer);
            grow(all);
        }
        else if (!http_step(all->http, exchange, st))
            return false;
    }
}

bool
transfer_read(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Transfer *transfer = context;

    if (!read_some(transfer, out, size, got, st))
        return false;
    content_md5_add(&transfer->md5, out, *got);
    return *got > 0 || content_md5_end(&transfer->md5, transfer->name, st);
}

void
transfer_close(Transfer *transfer)
{
    Transfers *all;
    Transfer **at;

    if (transfer == NULL)
        return;
    all = transfer->all;
    if (transfer->opened && transfer->read > 0 && transfer->read == (uint64_t) transfer->size)
        grow(all);
    while (transfer->nparts > 0)
        drop_part(transfer);
    for (at = &all->first; *at != transfer; at = &(*at)->next)
        ;
    *at = transfer->next;
    content_md5_free(&transfer->md5);
    free(transfer->url);
    free(transfer->name);
    free(transfer);
}
