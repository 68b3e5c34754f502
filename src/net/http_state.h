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

struct Http
{
    HttpSettings settings;
    CURLM *multi;
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
    int64_t began;          /* the same: this attempt */

    HttpResponse response;
    size_t taken;           /* bytes of response.body */
    uint64_t received;      /* bytes of what is wanted, of all attempts */
    uint64_t at_start;      /* the same, when this attempt began */

    /* of the attempt */
    CURL *easy;
    HttpHeaders headers;
    char range[64];
    bool head_done;         /* the status line and headers have been judged */
    bool wanted;            /* the body is what was asked for, not an error's */
    bool paused;
    uint64_t discard;       /* bytes that come before those that are wanted */
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

/* Makes the exchange's next attempt and adds it to the multi; on failure its phase is HTTP_FAILED. */
void http_attempt(HttpExchange *exchange);

/* The attempt is over as `result` says: the exchange is done, has failed, or waits for its next one. */
void http_judge(HttpExchange *exchange, CURLcode result);

/* Takes the attempt out of the multi and frees what is its. */
void http_end_attempt(HttpExchange *exchange);

/* Fills `failure` from what libcurl says. */
void http_explain(HttpExchange *exchange, CURLcode result);

/* "file \"a.csv\"", of at most `size` bytes. */
const char *http_subject(const HttpExchange *exchange, char *out, size_t size);

#endif
