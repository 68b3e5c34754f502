/*
 * store.c: see store.h.
 */
#include "store/store.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret.h"
#include "core/sha256.h"
#include "net/url.h"

/* What identifies the content of an object: see DriverInfo. */
#define HEAD_BYTES TRANSFER_HEAD

struct StoreObject
{
    Store *store;
    StoreObject *next;      /* that is expected */
    char *path;             /* of one that is expected */
    Transfer *transfer;
    uint8_t *head;          /* its first bytes, which were read to be hashed */
    size_t nhead, at;       /* of them, and those given */
    char etag[300];
};

/* A copy, or NULL of none; false: no memory. */
static bool
copy_text(const char *text, char **out, Status *st)
{
    *out = text == NULL ? NULL : strdup(text);
    return text == NULL || *out != NULL || status_out_of_memory(st, strlen(text));
}

/* Certificates that can be read, of which there must be one. */
static bool
check_ca_cert(const char *pem, Status *st)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    int n = 0;
    bool ended;

    while (in != NULL && (certificate = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
    {
        X509_free(certificate);
        n++;
    }
    /* What else is in the text is no mistake, but a certificate that is cut off is. */
    ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(in);
    if (n > 0 && ended)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "caCert %s", n > 0 ? "has a certificate in it that can't be read" : "is no certificate in PEM form");
    return status_hint(st, "Give the text of a file that has lines \"-----BEGIN CERTIFICATE-----\" and \"-----END CERTIFICATE-----\", not the file's name.");
}

/* The host and port of an HTTP proxy, and no more. */
static bool
check_proxy(const char *proxy, Status *st)
{
    Url url;
    bool bare;

    if (!url_parse(&url, proxy, "proxy", st))
        return false;
    bare = strcmp(url.path, "/") == 0 && url.query[0] == '\0';
    url_free(&url);
    if (bare)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "proxy must be a URL without a path");
    return status_hint(st, "For example http://proxy.example.com:3128.");
}

bool
store_open(Store *store, const DriverConfig *config, const StoreSettings *settings, Status *st)
{
    HttpSettings *http = &store->settings;

    if ((settings->ca_cert != NULL && !check_ca_cert(settings->ca_cert, st)) || (settings->proxy != NULL && !check_proxy(settings->proxy, st)))
        return false;
    *http = (HttpSettings) HTTP_DEFAULTS;
    if (!copy_text(settings->ca_cert, &store->ca_cert, st) || !copy_text(settings->proxy, &store->proxy, st) ||
        !egress_open(&store->egress, config->egress, config->negress, st))
        return false;
    http->egress = &store->egress;
    http->ca_cert = store->ca_cert;
    http->proxy = store->proxy;
    http->connect_seconds = (unsigned) settings->connect_seconds;
    http->idle_seconds = (unsigned) settings->idle_seconds;
    http->total_seconds = (unsigned) settings->total_seconds;
    http->attempts = (unsigned) settings->attempts;
    return http_open(&store->http, http, st) && transfers_open(&store->transfers, store->http, st);
}

void
store_close(Store *store)
{
    while (store->expected != NULL)
    {
        StoreObject *object = store->expected;

        store->expected = object->next;
        store_object_close(object);
    }
    transfers_close(store->transfers);
    http_close(store->http);
    egress_close(&store->egress);
    free(store->ca_cert);
    free(store->proxy);
}

/*
 * Finishes a failure, and returns false.  Who was refused, or asked at the wrong place, is
 * told what to look at.
 */
static bool
failed(const Store *store, Status *st)
{
    for (size_t i = 0; i < sizeof(store->secrets) / sizeof(store->secrets[0]); i++)
        if (store->secrets[i] != NULL && *store->secrets[i] != NULL)
            secret_hide(st, *store->secrets[i]);
    if (store->hint != NULL && st->hint[0] == '\0' && (strcmp(st->sqlstate, STATUS_FORBIDDEN) == 0 || strcmp(st->sqlstate, STATUS_UNKNOWN_USER) == 0 ||
                                                      strcmp(st->sqlstate, STATUS_PROTOCOL) == 0))
        (void) status_hint(st, "%s", store->hint);
    return false;
}

bool
store_call(Store *store, const HttpRequest *request, unsigned also, HttpExchange **exchange, Status *st)
{
    unsigned status;

    if (!http_call(store->http, request, exchange, st))
        return failed(store, st);
    status = http_response(*exchange)->status;
    if ((status >= 200 && status < 300) || status == also || also == STORE_ANY)
        return true;
    (void) store_refused(store, *exchange, st);
    /* a bucket or container is looked for by more than its name */
    if (request->what != NULL && store->hint != NULL && st->hint[0] == '\0' && strcmp(st->sqlstate, STATUS_NO_FILE) == 0)
        (void) status_hint(st, "%s", store->hint);
    http_free(*exchange);
    *exchange = NULL;
    return false;
}

bool
store_refused(const Store *store, const HttpExchange *exchange, Status *st)
{
    (void) http_refused(exchange, st);
    return failed(store, st);
}

void
store_plain_etag(const char *etag, char *out, size_t size)
{
    size_t n = etag == NULL ? 0 : strlen(etag);

    if (n >= 2 && etag[0] == '"' && etag[n - 1] == '"')
    {
        etag++;
        n -= 2;
    }
    snprintf(out, size, "%.*s", n < size ? (int) n : 0, n == 0 ? "" : etag);
}

/* ---- objects -------------------------------------------------------------- */

void
store_object_close(void *context)
{
    StoreObject *object = context;

    if (object == NULL)
        return;
    transfer_close(object->transfer);
    free(object->head);
    free(object->path);
    free(object);
}

static bool
is_sized(const Store *store, const DriverEntry *entry, bool listed)
{
    return listed && (entry->size > 0 || !store->unsized);
}

static bool
begin(Store *store, const DriverEntry *entry, bool listed, StoreObject **out, Status *st)
{
    StoreObject *object = calloc(1, sizeof(*object));
    TransferObject what = {.name = entry->path, .headers = store->headers, .nheaders = store->nheaders, .secret_headers = store->secret_headers, .signer = store->signer,
                           .follow = store->follow, .version = store->version, .etag_md5 = store->etag_md5, .size = is_sized(store, entry, listed) ? (int64_t) entry->size : -1};
    char etag[302];
    bool fine;
    Buf url;

    *out = NULL;
    if (object == NULL)
        return status_out_of_memory(st, sizeof(*object));
    object->store = store;
    buf_init(&url, URL_MAX);
    fine = copy_text(entry->path, &object->path, st) && store->url(store->driver, entry, &url, st) && buf_append(&url, "", 1, st);
    if (listed && store->etags && entry->etag[0] != '\0')
    {
        snprintf(etag, sizeof(etag), "\"%.298s\"", entry->etag);
        what.etag = etag;
    }
    else if (listed && store->version != NULL)
        what.etag = entry->etag;
    what.url = (const char *) url.data;
    fine = fine && transfer_begin(store->transfers, &what, &object->transfer, st);
    buf_free(&url);
    if (fine)
        *out = object;
    else
        store_object_close(object);
    return fine;
}

void
store_object_expect(Store *store, const DriverEntry *entry)
{
    StoreObject **last = &store->expected;
    Status ignored;

    while (*last != NULL)
        last = &(*last)->next;
    (void) (begin(store, entry, true, last, &ignored) || (*last = NULL) != NULL);
}

/* The object that was expected under this path, taken out of the list; or NULL. */
static StoreObject *
take_expected(Store *store, const char *path)
{
    for (StoreObject **at = &store->expected; *at != NULL; at = &(*at)->next)
    {
        StoreObject *object = *at;

        if (strcmp(object->path, path) != 0)
            continue;
        *at = object->next;
        object->next = NULL;
        return object;
    }
    return NULL;
}

/* Reads the object's beginning and hashes it. */
static bool
read_head(StoreObject *object, char *hex, Status *st)
{
    size_t got = 1;

    object->head = malloc(HEAD_BYTES);
    if (object->head == NULL)
        return status_out_of_memory(st, HEAD_BYTES);
    while (object->nhead < HEAD_BYTES && got > 0)
    {
        if (!transfer_read(object->transfer, object->head + object->nhead, HEAD_BYTES - object->nhead, &got, st))
            return false;
        object->nhead += got;
    }
    return sha256_hex(object->head, object->nhead, hex, st);
}

bool
store_object_open(Store *store, const DriverEntry *entry, bool listed, void **out, DriverInfo *info, Status *st)
{
    StoreObject *object = take_expected(store, entry->path);
    TransferInfo found;
    bool fine = (object != NULL || begin(store, entry, listed, &object, st)) && transfer_open(object->transfer, &found, st) &&
        read_head(object, info->head_hash, st);

    *out = NULL;
    if (!fine)
    {
        store_object_close(object);
        return failed(store, st);
    }
    if (listed)
        snprintf(object->etag, sizeof(object->etag), "%s", entry->etag);
    else
        store_plain_etag(found.etag, object->etag, sizeof(object->etag));
    info->etag = object->etag;
    /* A time in an answer's head has whole seconds. */
    info->mtime = listed ? entry->mtime : found.has_time ? found.mtime : WIRE_NO_TIME;
    info->size = found.size >= 0 && !(listed && !is_sized(store, entry, listed)) ? (uint64_t) found.size : entry->size;
    *out = object;
    return true;
}

bool
store_object_read(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    StoreObject *object = context;
    size_t n = object->nhead - object->at;

    if (n == 0)
    {
        free(object->head);
        object->head = NULL;
        object->nhead = object->at = 0;
        return transfer_read(object->transfer, out, size, got, st) || failed(object->store, st);
    }
    *got = n < size ? n : size;
    memcpy(out, object->head + object->at, *got);
    object->at += *got;
    return true;
}
