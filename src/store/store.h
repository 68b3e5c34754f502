/*
 * store.h: what the drivers of object stores behind HTTP have in common.
 *
 * A driver knows how a path becomes a URL, how a listing is asked for and how a
 * request is signed.  The rest is here: the client with its settings, objects
 * that are opened, read ahead and compared with what was listed.
 */
#ifndef KAIREON_STORE_H
#define KAIREON_STORE_H

#include "core/json_fields.h"
#include "net/transfer.h"
#include "reader/driver.h"

typedef struct StoreObject StoreObject;

typedef struct Store
{
    Egress egress;
    HttpSettings settings;      /* of the client, for others that go where it may go */
    Http *http;
    Transfers *transfers;
    StoreObject *expected;      /* those that were told, in their order */
    char *ca_cert, *client_cert, *client_key, *proxy;

    /* ---- set by the driver, before the first object ---- */
    void *driver;
    /* The URL of an object, appended to an empty buffer, without its zero byte. */
    bool (*url)(void *driver, const DriverEntry *entry, Buf *url, Status *st);
    const HttpSigner *signer;
    const HttpHeader *headers;
    size_t nheaders;
    bool secret_headers;        /* as of HttpRequest */
    bool follow;                /* redirections */
    bool unsized;               /* a listed size of 0 may mean that it is not known */
    bool etags;                 /* a listed etag is what the store answers with, in quotes */
    bool etag_md5;              /* and may be an MD5 sum: content_md5.h */
    const char *version;        /* a listed etag is what the store answers with in this header, and part of the URL */
    const char *hint;           /* for who is refused */
    char *const *secrets[2];    /* where texts are that requests have in them and no failure shows, whatever a server repeats; NULL: none */
} Store;

/*
 * Keys of every store's config, for a driver's own table of JsonFields:
 *
 *   JsonField fields[] = {{"bucket", ...}, STORE_FIELDS(settings)};
 */
typedef struct StoreSettings
{
    const char *ca_cert, *client_cert, *proxy;
    int64_t connect_seconds, idle_seconds, total_seconds, attempts;
} StoreSettings;

#define STORE_DEFAULTS {.connect_seconds = 10, .idle_seconds = 30, .attempts = 5}
#define STORE_FIELDS(settings) \
    {"caCert", JSON_FIELD_TEXT, false, &(settings).ca_cert, 0, 0}, \
    {"proxy", JSON_FIELD_TEXT, false, &(settings).proxy, 0, 0}, \
    {"connectTimeoutSeconds", JSON_FIELD_INT, false, &(settings).connect_seconds, 1, 600}, \
    {"idleTimeoutSeconds", JSON_FIELD_INT, false, &(settings).idle_seconds, 1, 3600}, \
    {"totalTimeoutSeconds", JSON_FIELD_INT, false, &(settings).total_seconds, 0, 2592000}, \
    {"maxAttempts", JSON_FIELD_INT, false, &(settings).attempts, 1, 100}

/* Gets the client ready.  In any case to be closed. */
STATUS_CHECK bool store_open(Store *store, const DriverConfig *config, const StoreSettings *settings, Status *st);
void store_close(Store *store);

/* As the functions of a Driver, with the store in place of the session. */
STATUS_CHECK bool store_object_open(Store *store, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st);
STATUS_CHECK bool store_object_read(void *object, uint8_t *out, size_t size, size_t *got, Status *st);
void store_object_close(void *object);
void store_object_expect(Store *store, const DriverEntry *entry);

/*
 * Sends a request and keeps its whole answer, of at most body_max bytes.  Fails as
 * http_call does, and as store_refused when the status is neither 2xx nor `also`
 * (STORE_ANY: whatever it is).
 */
#define STORE_ANY 1
STATUS_CHECK bool store_call(Store *store, const HttpRequest *request, unsigned also, HttpExchange **exchange, Status *st);

/* http_refused, with the hint for it, and without secrets.  Returns false. */
bool store_refused(const Store *store, const HttpExchange *exchange, Status *st);

/* An etag without its quotes, into `out`; "" for none. */
void store_plain_etag(const char *etag, char *out, size_t size);

#endif
