/*
 * http_state.h: what a client and an exchange consist of; private to http*.c.
 */
#ifndef KAIREON_HTTP_STATE_H
#define KAIREON_HTTP_STATE_H

#include <curl/curl.h>

#include "net/http.h"

/* Bytes of headers of an answer, and of an error's body that are kept. */
#define HTTP_HEADERS_MAX (256U << 10)
#define HTTP_ERROR_MAX (64U << 10)

typedef enum HttpPhase
{
    HTTP_WAITING,       /* for its turn, or until `not_before` */
    HTTP_RUNNING,
    HTTP_DONE,
    HTTP_FAILED
} HttpPhase;

/* How an exchange was too slow. */
typedef enum HttpLate
{
    HTTP_IN_TIME,
    HTTP_LATE_IDLE,     /* hardly anything came */
    HTTP_LATE_ANSWER,   /* the attempt did not come to its end */
    HTTP_LATE_REQUEST,  /* nor did the request, with all its attempts */
    HTTP_LATE_TOTAL     /* nor the operation that it belongs to */
} HttpLate;

struct Http
{
    HttpSettings settings;
    CURLM *multi;
    int64_t waited;         /* milliseconds, in this operation */
    int64_t stepped;        /* when the last step ended, of http_now; 0: there was none */
    char *proxy_host;       /* where all connections go; NULL: to where requests go */
    HttpExchange *first;    /* all exchanges */
};

struct HttpExchange
{
    Http *http;
    HttpExchange *next;
    const HttpRequest *request;
    HttpPhase phase;
    char *url;              /* where it is now */
    char *host;             /* of that */
    unsigned redirects;
    unsigned attempts;      /* since the last progress */
    bool renewed;           /* its credentials */
    int64_t not_before;     /* milliseconds, of the clock of http_now */
    int64_t waited;         /* milliseconds that somebody waited for it, in all attempts and pauses */

    HttpResponse response;
    size_t taken;           /* bytes of response.body */
    uint64_t received;      /* bytes of what is wanted, of all attempts */
    bool given;             /* some of them to who asked */
    uint64_t at_start;      /* the same, when this attempt began */

    /* of the attempt */
    CURL *easy;
    bool added;             /* to the multi */
    bool connected;         /* the request is being sent, or was */
    bool held;              /* nobody asked for a while */
    unsigned proxy_status;  /* what a proxy answered that was to connect; 0: none did */
    bool proxy_untrusted;   /* its certificate is that of nobody known */
    HttpLate late;
    int64_t patience;       /* milliseconds that somebody waited for this attempt */
    uint64_t traffic;       /* bytes of headers and body that came */
    uint64_t head_bytes;    /* those of headers, interim answers' too */
    uint64_t seen;          /* bytes in both directions, when they were last looked at */
    int64_t seen_at;        /* `patience` when they became more */
    int64_t window_at;      /* the same, where the bytes of idle_seconds began to be counted; -1: they begin now */
    uint64_t window_from;   /* `seen` then */
    HttpHeaders headers;
    char range[64];
    bool head_done;         /* the status line and headers have been judged */
    bool wanted;            /* the body is what was asked for, not an error's */
    bool paused;
    uint64_t discard;       /* bytes that come before those that are wanted */
    bool enough;            /* of an error's body: the rest is not waited for */
    bool spoilt;            /* `failure` says why nothing more is taken */
    char why[CURL_ERROR_SIZE];
    EgressVerdict verdict;
    struct sockaddr_storage refused;

    /* what the first answer said of the object */
    bool known;
    bool whole;             /* ranges are not known there: all of it is taken from one answer */
    char etag[300];
    char modified[100];
    int64_t total;          /* bytes; -1: not known */

    Status failure;
};

/* The host that connections of the exchange go to. */
const char *http_peer(const HttpExchange *exchange);

/* Milliseconds of a clock that only goes on. */
int64_t http_now(void);

/* ---- http_headers.c ---- */

/* A header that libcurl would add by itself is left out. */
STATUS_CHECK bool http_header_omit(HttpHeaders *headers, const char *name, Status *st);

/* ---- http_wait.c ---- */

/* A step begins: what of the attempts was not looked after for a while? */
void http_note_hold(Http *http);

/* So many milliseconds somebody waited for the exchange: it may be too slow, which ends its attempt or itself. */
void http_waited(HttpExchange *exchange, int64_t ms);

/* ---- http_exchange.c ---- */

/* Makes the exchange's next attempt and adds it to the multi; on failure its phase is HTTP_FAILED. */
void http_attempt(HttpExchange *exchange);

/* The attempt is over as `result` says: the exchange is done, has failed, or waits for its next one. */
void http_judge(HttpExchange *exchange, CURLcode result);

/* Would the rest of what came be known to belong to it? */
bool http_knows_rest(const HttpExchange *exchange);

/* Takes the attempt out of the multi and frees what is its. */
void http_end_attempt(HttpExchange *exchange);

/* ---- http_errors.c ---- */

/* Fills `failure` from what libcurl says. */
void http_explain(HttpExchange *exchange, CURLcode result);

/* "file \"a.csv\"", of at most `size` bytes. */
const char *http_subject(const HttpExchange *exchange, char *out, size_t size);

#endif
