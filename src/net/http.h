/*
 * http.h: an HTTP client for connectors: requests that are tried again, several at a time.
 *
 * A client (Http) belongs to one driver session.  An exchange is one request
 * until it is answered for good: a connection that fails, an answer that asks
 * to come again later (408, 425, 429, 500, 502, 503, 504) and a body that ends too
 * early are tried again, after a pause that grows and that the server may
 * name (Retry-After).  A body that was cut goes on where it ended.
 *
 * Nothing runs in the background: http_step moves all exchanges on, and what
 * the network brings meanwhile waits in the kernel.  One thread, one client.
 *
 * Connections go where egress.h allows.  TLS is verified.  There is no proxy
 * but a configured one, no cookie, no .netrc, no scheme but http and https.
 *
 * Whoever is slow is given up: see http_step.
 *
 * http.c moves exchanges on, http_exchange.c makes one attempt and judges it,
 * http_wait.c says when one is waited for no longer, http_errors.c what went wrong.
 */
#ifndef KAIREON_HTTP_H
#define KAIREON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/status.h"
#include "net/egress.h"

typedef struct Http Http;
typedef struct HttpExchange HttpExchange;

/* Strings are borrowed until http_close. */
typedef struct HttpSettings
{
    const Egress *egress;
    const char *ca_cert;        /* PEM; NULL: the system's authorities */
    const char *client_cert, *client_key;   /* PEM; NULL: none */
    const char *proxy;          /* URL; NULL: none */
    unsigned connect_seconds;   /* until there is a connection, TLS and proxy included */
    unsigned idle_seconds;      /* without a byte, or with less than HTTP_SLOWEST bytes a second */
    unsigned total_seconds;     /* of an operation (http_operation); 0: no bound */
    unsigned attempts;          /* of one request, without progress in between */
    unsigned connections;       /* to one host */
} HttpSettings;

#define HTTP_SLOWEST 100        /* bytes a second; less is as good as nothing */
#define HTTP_CALL_SECONDS 120   /* for an answer that is kept whole, an attempt */
#define HTTP_CALL_TOTAL 900     /* the same, with all attempts and the pauses between them */
#define HTTP_LONGEST_WAIT 120   /* seconds that a server may ask to wait */
#define HTTP_REDIRECTS 5
#define HTTP_CHUNK (256U << 10) /* bytes that come at once, at most */
#define HTTP_DEFAULTS {.connect_seconds = 10, .idle_seconds = 30, .attempts = 5, .connections = 8}

typedef struct HttpHeader
{
    const char *name, *value;
} HttpHeader;

/* Headers that are being put together; names and values are copied, and overwritten when they are freed. */
typedef struct HttpHeaders
{
    struct curl_slist *list;
} HttpHeaders;

/* Whether it can be the value of a header.  Fails with 22023, which does not show it. */
STATUS_CHECK bool http_header_check(const char *name, const char *value, Status *st);
STATUS_CHECK bool http_header_add(HttpHeaders *headers, const char *name, const char *value, Status *st);
void http_headers_free(HttpHeaders *headers);

/* What a request is, for who signs it. */
typedef struct HttpSigned
{
    const char *method, *url;
    const HttpHeader *headers;
    size_t nheaders;
    const char *range, *if_match;   /* values of these headers; NULL: not sent */
    const void *body;
    size_t nbody;
} HttpSigned;

/* Who proves that a request may be made: adds headers, for each attempt anew. */
typedef struct HttpSigner
{
    bool (*sign)(void *context, const HttpSigned *request, HttpHeaders *headers, Status *st);

    /*
     * The server refused the request with this answer.  True: that may be because the
     * credentials are stale, and they were forgotten: the request is signed
     * and sent once more.  NULL: they are never stale.
     */
    bool (*stale)(void *context, unsigned status, const char *body, size_t n);
    void *context;
} HttpSigner;

/* Borrowed, with all it points at, until the exchange is freed. */
typedef struct HttpRequest
{
    const char *method;         /* NULL: GET */
    const char *url;            /* whole, encoded */
    const HttpHeader *headers;  /* not sent to another origin when redirected */
    size_t nheaders;
    bool secret_headers;        /* an answer that repeats the value of one is not shown */
    const void *body;           /* NULL: none */
    size_t nbody;
    const HttpSigner *signer;   /* NULL: none; not used for another origin */
    const char *what;           /* what is asked for, for messages: "file", "listing" */
    const char *name;           /* its name, or NULL */
    unsigned seconds;           /* an answer that is kept whole must be there after so many; 0: HTTP_CALL_SECONDS */
    bool status_only;           /* the status is enough of an answer: what comes behind it may be cut */
    bool once;                  /* never tried again once it may have been carried out */
    bool follow;                /* redirections, of GET and HEAD */
    bool ranged;                /* only bytes from `from` to before `to` */
    uint64_t from, to;
    const char *if_match;       /* an etag as the server wrote it: something else is an error; NULL: whatever it is */
    const char *modified;       /* Last-Modified of what is wanted, where it has no etag: something else is an error; NULL: whatever it is */
    const char *version;        /* the name of a header of answers that takes the place of the etag, which the URL asks for; NULL: none */
    size_t body_max;            /* bytes of answer that are kept; a ranged request, of at least HTTP_CHUNK, stops there until they are taken */
} HttpRequest;

/* An answer.  Belongs to its exchange. */
typedef struct HttpResponse
{
    unsigned status;            /* 0: none yet */
    Buf headers;                /* "name: value", each ended by a zero byte; names in lower case */
    Buf body;                   /* of a 2xx answer; what `error` is of others */
    Buf error;
} HttpResponse;

/* The value of a header, or NULL. */
const char *http_response_header(const HttpResponse *response, const char *name);

/* "Sat, 01 Jun 2024 12:00:00 GMT" in microseconds since 1970; false: it is none. */
bool http_time(const char *text, int64_t *micros);

/* The time a header says (Last-Modified), in microseconds since 1970; false: it is not there. */
bool http_response_time(const HttpResponse *response, const char *name, int64_t *micros);

STATUS_CHECK bool http_open(Http **http, const HttpSettings *settings, Status *st);
void http_close(Http *http);    /* after its exchanges; NULL is allowed */

/* ---- one at a time -------------------------------------------------------- */

/*
 * Sends a request and waits for the whole answer, whatever its status.  Fails
 * when none can be had.  On success *exchange, with its response, is the caller's to
 * free.
 */
STATUS_CHECK bool http_call(Http *http, const HttpRequest *request, HttpExchange **exchange, Status *st);

/*
 * What is waited for from now on belongs to another operation: a listing, a move, an object
 * that is read.  total_seconds is for each of them.
 */
void http_operation(Http *http);

/* ---- several at a time ------------------------------------------------------ */

/* Gets an exchange ready; it begins with the next step. */
STATUS_CHECK bool http_start(Http *http, const HttpRequest *request, HttpExchange **exchange, Status *st);

/*
 * Moves all exchanges on; with `wait_for` (else NULL), which is not finished, not before
 * something has happened.
 *
 * An exchange is too slow when it is waited for in vain.  Only time in which a step waits for it
 * counts: not that in which nobody asks, nor that in which others are waited for.  An
 * attempt ends when nothing came for idle_seconds, or fewer bytes than HTTP_SLOWEST for each of
 * these seconds, headers and body alike; there may be another then.  An operation that is over
 * total_seconds fails.  What breaks in a connection after nobody has asked for a while is
 * not counted as an attempt.
 */
STATUS_CHECK bool http_step(Http *http, HttpExchange *wait_for, Status *st);

const HttpResponse *http_response(const HttpExchange *exchange);

/* A ranged request was answered with its bytes, of which the first have come or will come; or with an error. */
bool http_answered(const HttpExchange *exchange);

/* The bytes of the whole object, as an answer to a ranged request told; -1: none did. */
int64_t http_total(const HttpExchange *exchange);

/* Nothing will happen any more: the answer is whole, or *failed. */
bool http_finished(const HttpExchange *exchange, bool *failed);

/* Why it failed: 08001 (no connection), 08006 (it broke, or was too slow), 08P01, 42501, 58030.. */
bool http_failure(const HttpExchange *exchange, Status *st);

/* Bytes of the body that have come and were not taken. */
size_t http_ready(const HttpExchange *exchange);

/* Takes up to `size` bytes of the body that has come, from its beginning. */
size_t http_take(HttpExchange *exchange, uint8_t *out, size_t size);

/* Ends it, wherever it is.  NULL is allowed. */
void http_free(HttpExchange *exchange);

/* ---- answers that are errors -------------------------------------------------- */

/*
 * An answer that is not 2xx as a failure: 58P01 (404, 410), 28000 (401), 42501
 * (403), 58030 (412), 08006 (429, 503..), 08P01.  Shows what the body says
 * of it: an XML or JSON message, else its beginning.  Returns false.
 */
bool http_refused(const HttpExchange *exchange, Status *st);

/* What the body of such an answer says, printable, into `out`; "" when that is nothing for people. */
void http_said(const HttpExchange *exchange, char *out, size_t size);

/* Seconds that the server asks to wait (Retry-After); 0: it does not say. */
unsigned http_asked_wait(const HttpExchange *exchange);

#endif
