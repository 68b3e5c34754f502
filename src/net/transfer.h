/*
 * transfer.h: objects behind URLs, read in order while what follows is on its way.
 *
 * An object is fetched in parts by Range, several of them at a time, and parts
 * of the objects that are read next as well, so that neither the way to the
 * server nor its pauses are waited for once for each.  How much is fetched
 * ahead grows with what is really read: who takes ten rows of a large object has
 * fetched little of it.  The memory of all parts together is bounded.
 *
 * The parts are of one version: each but the first asks for the etag that the
 * first had, or must have its Last-Modified (http.h).  A server that says
 * neither is asked for the whole object in one answer, and one that does not know
 * ranges sends it so: it is taken as it comes.  Without TLS an object's bytes are
 * compared with the sum that the server says, once all of it was read.
 */
#ifndef KAIREON_TRANSFER_H
#define KAIREON_TRANSFER_H

#include "net/http.h"

/* Bytes of all parts that are there or on their way. */
#define TRANSFER_AHEAD (32U << 20)
/* Bytes that come before it is opened: whoever does that looks at them first. */
#define TRANSFER_HEAD (64U << 10)
#define TRANSFER_LEAST_PART (128U << 10)
#define TRANSFER_LARGEST_PART (8U << 20)

typedef struct Transfers Transfers;
typedef struct Transfer Transfer;

/* What is known of an object.  Strings are copied. */
typedef struct TransferObject
{
    const char *url;
    const char *name;           /* for messages */
    const HttpHeader *headers;  /* borrowed until it is closed, as the signer is */
    size_t nheaders;
    bool secret_headers;        /* as of HttpRequest */
    const HttpSigner *signer;
    bool follow;                /* redirections */
    const char *etag;           /* that it must have, as the server writes it; NULL or "": any */
    const char *version;        /* borrowed; as in HttpRequest */
    int64_t size;               /* bytes; -1: not known */
    bool etag_md5;              /* its etag may be an MD5 sum: content_md5.h */
} TransferObject;

/* What the server said of an opened object. */
typedef struct TransferInfo
{
    int64_t size;               /* bytes; -1: not known */
    bool has_time;
    int64_t mtime;              /* microseconds since 1970 */
    const char *etag;           /* "" for none; lives as long as the transfer */
} TransferInfo;

/* For the objects of one session; the client must outlive it. */
STATUS_CHECK bool transfers_open(Transfers **all, Http *http, Status *st);
void transfers_close(Transfers *all);   /* after its transfers; NULL is allowed */

/*
 * Gets an object ready that will be read after those before it.  Nothing is
 * waited for: its parts are fetched when their turn comes.
 */
STATUS_CHECK bool transfer_begin(Transfers *all, const TransferObject *object, Transfer **transfer, Status *st);

/* Waits for the beginning of the object: TRANSFER_HEAD bytes, or all of it.  Fails as http_failure and http_refused do. */
STATUS_CHECK bool transfer_open(Transfer *transfer, TransferInfo *info, Status *st);

/* As ByteSource.read, of an opened one. */
STATUS_CHECK bool transfer_read(void *transfer, uint8_t *out, size_t size, size_t *got, Status *st);

/* Ends it, read or not.  NULL is allowed. */
void transfer_close(Transfer *transfer);

#endif
