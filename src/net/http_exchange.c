/*
 * http_exchange.c: one attempt of an exchange, and what becomes of it.  See http.h.
 *
 * The answer's head is judged before the first byte of its body is kept: only
 * then is it known whether the body is what was asked for, the whole object
 * where a range was wanted, or an error's explanation.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "net/http_state.h"
#include "net/url.h"

/* Bytes that count as progress, after which the attempts begin anew. */
#define PROGRESS (1U << 20)
#define FIRST_PAUSE_MS 200
#define LONGEST_PAUSE_MS 20000

/* ---- the head of an answer -------------------------------------------------- */

/* A header's value into a field of fixed size; one that is too long counts as none. */
static void
keep_header(const HttpExchange *exchange, const char *name, char *out, size_t size)
{
    const char *value = http_response_header(&exchange->response, name);

    if (value != NULL && strlen(value) < size)
        snprintf(out, size, "%s", value);
    else
        out[0] = '\0';
}

static bool
read_u64(const char **at, uint64_t *out)
{
    char *end;

    if (!isdigit((unsigned char) **at))
        return false;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return true;
}

static bool
spoil(HttpExchange *exchange)
{
    exchange->spoilt = true;
    return false;
}

/* What tells versions apart: a strong etag, or the time when it was changed. */
static bool
is_version(const HttpExchange *exchange, const char *etag, const char *modified)
{
    if (strcmp(etag, exchange->etag) != 0)
        return false;
    return etag[0] != '\0' && strncmp(etag, "W/", 2) != 0 ? true : strcmp(modified, exchange->modified) == 0;
}

/* The first answer to a part: it belongs to the others. */
static bool
is_wanted_version(const HttpExchange *exchange)
{
    const HttpRequest *request = exchange->request;

    if (request->modified != NULL && strcmp(exchange->modified, request->modified) != 0)
        return false;
    /* Some servers answer with another etag than they were asked for. */
    return request->if_match == NULL || exchange->etag[0] == '\0' || strcmp(request->if_match, exchange->etag) == 0;
}

/* What the bytes of another version would be mixed with: what came before. */
static bool
is_same_object(HttpExchange *exchange, int64_t total)
{
    char etag[sizeof(exchange->etag)], modified[sizeof(exchange->modified)], subject[600];

    keep_header(exchange, exchange->request->version != NULL ? exchange->request->version : "etag", etag, sizeof(etag));
    keep_header(exchange, "last-modified", modified, sizeof(modified));
    if (!exchange->known)
    {
        memcpy(exchange->etag, etag, sizeof(etag));
        memcpy(exchange->modified, modified, sizeof(modified));
        exchange->total = total;
        exchange->known = true;
        if (is_wanted_version(exchange))
            return true;
    }
    else if (is_version(exchange, etag, modified) && total == exchange->total)
        return true;
    status_fail(&exchange->failure, STATUS_IO, "%s was changed while it was read", http_subject(exchange, subject, sizeof(subject)));
    status_detail(&exchange->failure, "The server sends another version of it now.");
    return spoil(exchange);
}

/* "bytes 0-99/1234"; the total may be "*". */
static bool
read_content_range(const char *value, uint64_t *from, uint64_t *last, int64_t *total)
{
    uint64_t all;

    if (strncasecmp(value, "bytes ", 6) != 0)
        return false;
    value += 6;
    if (!read_u64(&value, from) || *value++ != '-' || !read_u64(&value, last) || *value++ != '/' || *last < *from)
        return false;
    *total = -1;
    if (*value == '*')
        return true;
    if (!read_u64(&value, &all) || all <= *last || all > INT64_MAX)
        return false;
    *total = (int64_t) all;
    return true;
}

static bool
judge_partial(HttpExchange *exchange)
{
    const char *value = http_response_header(&exchange->response, "content-range");
    uint64_t wanted = exchange->request->from + exchange->received, from, last;
    int64_t total;
    char subject[600];

    if (value != NULL && read_content_range(value, &from, &last, &total) && from == wanted && last < exchange->request->to)
        return is_same_object(exchange, total);
    status_fail(&exchange->failure, STATUS_PROTOCOL, "the server sent other bytes of %s than were asked for",
                http_subject(exchange, subject, sizeof(subject)));
    status_detail(&exchange->failure, "Asked for bytes from %" PRIu64 " on, it answered with content-range \"%.100s\".", wanted,
                  value == NULL ? "" : value);
    return spoil(exchange);
}

/* The whole object, where a part of it was asked for: what is not wanted of it is passed over. */
static bool
judge_whole(HttpExchange *exchange)
{
    const char *length = http_response_header(&exchange->response, "content-length");
    uint64_t all = 0;

    exchange->discard = exchange->request->from + exchange->received;
    exchange->whole |= !exchange->known && exchange->request->from == 0;
    if (length == NULL || !read_u64(&length, &all) || all > INT64_MAX)
        return is_same_object(exchange, -1);
    return is_same_object(exchange, (int64_t) all);
}

/* All headers are there; false: nothing of the body is wanted. */
static bool
judge_head(HttpExchange *exchange)
{
    unsigned status = exchange->response.status;

    exchange->head_done = true;
    exchange->window_at = -1;
    exchange->wanted = status >= 200 && status < 300;
    if (!exchange->wanted || !exchange->request->ranged)
        return true;
    return status == 206 ? judge_partial(exchange) : judge_whole(exchange);
}

/* ---- libcurl's callbacks ------------------------------------------------------ */

static size_t
on_header(char *line, size_t one, size_t n, void *context)
{
    HttpExchange *exchange = context;
    Buf *headers = &exchange->response.headers;
    size_t length = n * one;
    Status ignored;
    char *colon;

    exchange->traffic += length;
    exchange->head_bytes += length;
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (strncmp(line, "HTTP/", 5) == 0)
    {
        headers->used = 0; /* those of an interim answer */
        return n * one;
    }
    colon = memchr(line, ':', length);
    if (colon == NULL)
        return n * one;
    for (char *at = line; at < colon; at++)
        *at = (char) tolower((unsigned char) *at);
    /* A zero byte in it would make two of one.  Interim answers may follow each other without end. */
    if (exchange->head_bytes > HTTP_HEADERS_MAX || memchr(line, '\0', length) != NULL || !buf_append(headers, line, length, &ignored) || !buf_append(headers, "", 1, &ignored))
    {
        status_fail(&exchange->failure, STATUS_PROTOCOL, "the server sent headers that can't be taken");
        exchange->spoilt = true;
        return 0;
    }
    return n * one;
}

/* What of an answer that is kept whole does not fit. */
static size_t
too_large(HttpExchange *exchange)
{
    char subject[600];

    status_fail(&exchange->failure, STATUS_LIMIT, "the answer to the request for %s is longer than %zu bytes",
                http_subject(exchange, subject, sizeof(subject)), exchange->request->body_max);
    exchange->spoilt = true;
    return 0;
}

static size_t
on_body(char *data, size_t one, size_t n, void *context)
{
    HttpExchange *exchange = context;
    Buf *body = &exchange->response.body;
    const HttpRequest *request = exchange->request;
    size_t all = n * one, length = all;
    uint64_t end;

    exchange->traffic += all;
    if (!exchange->head_done)
    {
        long status = 0;

        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
        exchange->response.status = (unsigned) status;
        if (!judge_head(exchange))
            return 0;
    }
    if (request->status_only && exchange->wanted)
        return 0;
    if (!exchange->wanted)
    {
        Buf *error = &exchange->response.error;

        if (length > HTTP_ERROR_MAX - error->used)
            length = HTTP_ERROR_MAX - error->used;
        /* Enough is said, however long it goes on. */
        exchange->enough = length == 0;
        if (exchange->enough)
            return 0;
        exchange->spoilt = !buf_append(error, data, length, &exchange->failure);
        return exchange->spoilt ? 0 : all;
    }
    if (exchange->discard > 0)
    {
        size_t skipped = length < exchange->discard ? length : (size_t) exchange->discard;

        exchange->discard -= skipped;
        data += skipped;
        length -= skipped;
    }
    if (request->ranged)
    {
        end = exchange->whole ? UINT64_MAX : request->to - request->from;
        /* What a whole object has behind the range. */
        if (length > end - exchange->received && exchange->response.status != 206)
            length = (size_t) (end - exchange->received);
        if (length > end - exchange->received)
        {
            status_fail(&exchange->failure, STATUS_PROTOCOL, "the server sent more bytes than were asked for");
            exchange->spoilt = true;
            return 0;
        }
        if (body->used + length > request->body_max && body->used > 0)
        {
            exchange->paused = true;
            exchange->traffic -= all; /* it will come again */
            return CURL_WRITEFUNC_PAUSE;
        }
        /* At once as large as it gets: growing would copy what came. */
        if (body->size == 0 && !buf_reserve(body, end < request->body_max ? (size_t) end : request->body_max, &exchange->failure))
        {
            exchange->spoilt = true;
            return 0;
        }
    }
    else if (body->used + length > request->body_max)
        return too_large(exchange);
    if (!buf_append(body, data, length, &exchange->failure))
    {
        exchange->spoilt = true;
        return 0;
    }
    exchange->received += length;
    return all;
}

const char *
http_peer(const HttpExchange *exchange)
{
    return exchange->http->proxy_host != NULL ? exchange->http->proxy_host : exchange->host;
}

/* The one place where a connection is allowed: this is the address that will be used. */
static curl_socket_t
on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    HttpExchange *exchange = context;
    const Egress *egress = exchange->http->settings.egress;

    exchange->verdict = purpose == CURLSOCKTYPE_IPCXN ? egress_judge(egress, http_peer(exchange), &address->addr, 0) : EGRESS_FAMILY;
    if (exchange->verdict != EGRESS_ALLOWED)
    {
        memcpy(&exchange->refused, &address->addr, address->addrlen < sizeof(exchange->refused) ? address->addrlen : sizeof(exchange->refused));
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* There is a connection: the request goes out. */
static int
on_connected(void *context, char *remote, char *local, int remote_port, int local_port)
{
    HttpExchange *exchange = context;

    (void) remote;
    (void) local;
    (void) remote_port;
    (void) local_port;
    exchange->connected = true;
    exchange->window_at = -1;
    return CURL_PREREQFUNC_OK;
}

/* ---- an attempt ------------------------------------------------------------ */

static bool
is_own_origin(const HttpExchange *exchange)
{
    return exchange->redirects == 0 || url_same_origin(exchange->url, exchange->request->url);
}

static bool
add_headers(HttpExchange *exchange, Status *st)
{
    const HttpRequest *request = exchange->request;
    bool own = is_own_origin(exchange), fine = true;
    const char *if_match = exchange->etag[0] != '\0' ? exchange->etag : request->if_match;
    HttpSigned what = {.method = request->method == NULL ? "GET" : request->method, .url = exchange->url,
                       .headers = request->headers, .nheaders = request->nheaders, .body = request->body, .nbody = request->nbody};

    for (size_t i = 0; i < request->nheaders && own && fine; i++)
        fine = http_header_add(&exchange->headers, request->headers[i].name, request->headers[i].value, st);
    if (request->ranged)
    {
        snprintf(exchange->range, sizeof(exchange->range), "bytes=%" PRIu64 "-%" PRIu64, request->from + exchange->received, request->to - 1);
        what.range = exchange->range;
        fine = fine && http_header_add(&exchange->headers, "Range", exchange->range, st);
    }
    /* A weak etag never matches. */
    if (if_match != NULL && request->version == NULL && strncmp(if_match, "W/", 2) != 0)
    {
        what.if_match = if_match;
        fine = fine && http_header_add(&exchange->headers, "If-Match", if_match, st);
    }
    /* No answer is waited for before the body is sent: libcurl leaves that header out. */
    fine = fine && (request->body == NULL || http_header_omit(&exchange->headers, "Expect", st));
    return fine && (request->signer == NULL || !own || request->signer->sign(request->signer->context, &what, &exchange->headers, st));
}

static void
set_blob(CURL *easy, CURLoption option, const char *pem)
{
    struct curl_blob blob = {.data = (void *) pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY};

    curl_easy_setopt(easy, option, &blob);
}

static void
set_options(HttpExchange *exchange)
{
    const HttpSettings *settings = &exchange->http->settings;
    const HttpRequest *request = exchange->request;
    CURL *easy = exchange->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    /* Nothing else says what proxy there is, not even the environment: no_proxy would be asked. */
    curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy == NULL ? "" : settings->proxy);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->why);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "kaireon");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long) HTTP_CHUNK);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long) settings->connect_seconds);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A lookup that takes too long is not waited for when it is given up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers.list);
    if (settings->ca_cert != NULL)
    {
        set_blob(easy, CURLOPT_CAINFO_BLOB, settings->ca_cert);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* else the system's are trusted besides */
        set_blob(easy, CURLOPT_PROXY_CAINFO_BLOB, settings->ca_cert);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
    }
    if (settings->client_cert != NULL)
        set_blob(easy, CURLOPT_SSLCERT_BLOB, settings->client_cert);
    if (settings->client_key != NULL)
        set_blob(easy, CURLOPT_SSLKEY_BLOB, settings->client_key);
    if (request->method != NULL && strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (request->body != NULL)
    {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->nbody);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    }
    if (request->method != NULL && strcmp(request->method, "HEAD") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static bool
make_attempt(HttpExchange *exchange, Status *st)
{
    Url url;
    bool fine;

    if (!url_parse(&url, exchange->url, "the address", st))
        return false;
    free(exchange->host);
    exchange->host = url.host;
    url.host = NULL;
    fine = exchange->http->proxy_host == NULL || egress_allow_by_proxy(exchange->http->settings.egress, exchange->host, (uint16_t) atoi(url.port), st);
    url_free(&url);
    if (!fine)
        return false;
    exchange->easy = curl_easy_init();
    if (exchange->easy == NULL)
        return status_out_of_memory(st, 0);
    if (!add_headers(exchange, st))
        return false;
    set_options(exchange);
    exchange->added = curl_multi_add_handle(exchange->http->multi, exchange->easy) == CURLM_OK;
    return exchange->added || status_out_of_memory(st, 0);
}

void
http_attempt(HttpExchange *exchange)
{
    exchange->response.headers.used = exchange->response.error.used = 0;
    exchange->response.status = 0;
    if (!exchange->request->ranged)
        exchange->response.body.used = exchange->received = 0;
    exchange->head_done = exchange->wanted = exchange->paused = exchange->spoilt = exchange->enough = false;
    exchange->discard = 0;
    exchange->why[0] = '\0';
    exchange->verdict = EGRESS_ALLOWED;
    exchange->at_start = exchange->received;
    exchange->connected = exchange->held = false;
    exchange->late = HTTP_IN_TIME;
    exchange->proxy_status = 0;
    exchange->proxy_untrusted = false;
    exchange->patience = exchange->seen_at = 0;
    exchange->window_at = -1;
    exchange->traffic = exchange->seen = exchange->head_bytes = 0;
    exchange->attempts++;
    status_clear(&exchange->failure);
    exchange->phase = HTTP_RUNNING;
    if (make_attempt(exchange, &exchange->failure))
        return;
    http_end_attempt(exchange);
    exchange->phase = HTTP_FAILED;
}

void
http_end_attempt(HttpExchange *exchange)
{
    if (exchange->easy != NULL)
    {
        curl_multi_remove_handle(exchange->http->multi, exchange->easy);
        curl_easy_cleanup(exchange->easy);
    }
    exchange->easy = NULL;
    exchange->added = false;
    http_headers_free(&exchange->headers);
}

/* ---- what becomes of it ------------------------------------------------------- */

/* Whether the server asks to come again. */
static bool
comes_again(unsigned status)
{
    return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* How long the server asks to wait, in milliseconds; -1: it does not say. */
static int64_t
asked_wait(const HttpExchange *exchange)
{
    const char *value = http_response_header(&exchange->response, "retry-after");
    uint64_t seconds;
    time_t then;

    if (value == NULL)
        return -1;
    if (read_u64(&value, &seconds))
        return seconds > 1000000 ? INT64_C(1000000000) : (int64_t) seconds * 1000;
    then = curl_getdate(value, NULL);
    if (then == -1)
        return -1;
    return then > time(NULL) ? (int64_t) (then - time(NULL)) * 1000 : 0;
}

unsigned
http_asked_wait(const HttpExchange *exchange)
{
    int64_t wait = asked_wait(exchange);

    return wait < 0 ? 0 : (unsigned) ((wait + 999) / 1000);
}

bool
http_knows_rest(const HttpExchange *exchange)
{
    return exchange->received == 0 || exchange->etag[0] != '\0' || exchange->modified[0] != '\0';
}

/*
 * Part of an answer came, and nothing tells whether the rest of the next one belongs to it: all of it is
 * asked for again, as long as nobody has seen any of it.
 */
static bool
may_go_on(HttpExchange *exchange)
{
    if (http_knows_rest(exchange))
        return true;
    if (exchange->given)
        return false;
    exchange->received = exchange->at_start = exchange->response.body.used = 0;
    exchange->known = exchange->whole = false;
    exchange->total = -1;
    return true;
}

/* Waits for the next attempt, if there may be one; false: there may not. */
static bool
try_again(HttpExchange *exchange)
{
    const HttpSettings *settings = &exchange->http->settings;
    int64_t pause = FIRST_PAUSE_MS, asked = exchange->head_done || exchange->response.status != 0 ? asked_wait(exchange) : -1;

    if (exchange->received - exchange->at_start >= PROGRESS)
        exchange->attempts = 1;
    /* A server need not wait for who does not ask. */
    if (exchange->held)
        exchange->attempts--;
    if (exchange->attempts >= settings->attempts || asked > HTTP_LONGEST_WAIT * 1000)
        return false;
    for (unsigned i = 1; i < exchange->attempts && pause < LONGEST_PAUSE_MS; i++)
        pause *= 2;
    /* Half of it at random: those that failed together shall not come back together. */
    pause = pause / 2 + random() % (pause / 2 + 1);
    exchange->not_before = http_now() + (asked > pause ? asked : pause);
    exchange->phase = HTTP_WAITING;
    return true;
}

static bool
is_redirection(const HttpExchange *exchange)
{
    unsigned status = exchange->response.status;
    const char *method = exchange->request->method;

    return exchange->request->follow && (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
        (method == NULL || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) &&
        http_response_header(&exchange->response, "location") != NULL;
}

/* Goes on at another place, which is checked as the first was. */
static void
redirect(HttpExchange *exchange)
{
    char subject[600], *url = NULL;

    if (++exchange->redirects > HTTP_REDIRECTS)
        status_fail(&exchange->failure, STATUS_PROTOCOL, "%s is redirected more than %d times",
                    http_subject(exchange, subject, sizeof(subject)), HTTP_REDIRECTS);
    else
        url = url_resolve(exchange->url, http_response_header(&exchange->response, "location"), &exchange->failure);
    if (url != NULL && strncmp(exchange->url, "https:", 6) == 0 && strncmp(url, "https:", 6) != 0)
    {
        status_fail(&exchange->failure, STATUS_FORBIDDEN, "%s is redirected from https to something else",
                    http_subject(exchange, subject, sizeof(subject)));
        free(url);
        url = NULL;
    }
    exchange->phase = url != NULL ? HTTP_WAITING : HTTP_FAILED;
    if (url == NULL)
        return;
    free(exchange->url);
    exchange->url = url;
    exchange->attempts--;
    exchange->not_before = 0;
}

/* A whole answer is there. */
static void
judge_answer(HttpExchange *exchange)
{
    const HttpSigner *signer = exchange->request->signer;
    const HttpResponse *response = &exchange->response;
    unsigned status = response->status;

    if (is_redirection(exchange))
        redirect(exchange);
    else if (comes_again(status) && !exchange->request->once && try_again(exchange))
        ; /* later */
    else if (status >= 400 && status < 500 && signer != NULL && signer->stale != NULL && !exchange->renewed &&
             signer->stale(signer->context, status, (const char *) response->error.data, response->error.used))
    {
        exchange->renewed = true;
        exchange->not_before = 0;
        exchange->phase = HTTP_WAITING;
    }
    else
        exchange->phase = HTTP_DONE;
}

/* A part of an object has all its bytes. */
static bool
is_complete(const HttpExchange *exchange)
{
    const HttpRequest *request = exchange->request;
    uint64_t end = request->to;

    if (!request->ranged || !exchange->wanted)
        return true;
    if (exchange->total < 0)
        return true;
    if (exchange->whole || end > (uint64_t) exchange->total)
        end = (uint64_t) exchange->total;
    return request->from + exchange->received >= end;
}

/* All bytes of a part came, however the answer ends: its Content-Length may be wrong. */
static bool
has_all(const HttpExchange *exchange)
{
    const HttpRequest *request = exchange->request;
    uint64_t at = request->from + exchange->received;

    if (!request->ranged || !exchange->head_done || !exchange->wanted || exchange->whole)
        return false;
    return at >= request->to || (exchange->total >= 0 && at >= (uint64_t) exchange->total);
}

/* May the same be tried again after that? */
static bool
is_passing(const HttpExchange *exchange, CURLcode result)
{
    if (exchange->spoilt || exchange->verdict != EGRESS_ALLOWED)
        return false;
    if (exchange->proxy_status >= 300)
        return comes_again(exchange->proxy_status);
    switch (result)
    {
        case CURLE_COULDNT_CONNECT:
            return true;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_PARTIAL_FILE:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
        case CURLE_WEIRD_SERVER_REPLY:
        case CURLE_OK: /* but not complete */
            return !exchange->request->once;
        case CURLE_SSL_CONNECT_ERROR:
            return true;
        default:
            return false;
    }
}

void
http_judge(HttpExchange *exchange, CURLcode result)
{
    long status = 0, proxy = 0, untrusted = 0;
    bool fine;

    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_CONNECTCODE, &proxy);
    curl_easy_getinfo(exchange->easy, CURLINFO_PROXY_SSL_VERIFYRESULT, &untrusted);
    exchange->response.status = (unsigned) status;
    exchange->proxy_status = exchange->connected ? 0 : (unsigned) proxy;
    exchange->proxy_untrusted = untrusted != 0;
    if (((exchange->request->status_only && status >= 200) || exchange->enough || has_all(exchange)) && !exchange->spoilt)
        result = CURLE_OK;
    /* Nothing came behind the head. */
    fine = exchange->head_done || result != CURLE_OK || judge_head(exchange);
    http_end_attempt(exchange);
    if (fine && result == CURLE_OK && !exchange->spoilt && is_complete(exchange))
        judge_answer(exchange);
    else if (!is_passing(exchange, result) || !may_go_on(exchange) || !try_again(exchange))
    {
        if (!exchange->spoilt)
            http_explain(exchange, result);
        exchange->phase = HTTP_FAILED;
    }
}
