/*
 * http.c: clients, and the steps that move their exchanges on.  See http.h.
 */
#include "net/http_state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/url.h"

/* Longest sleep of a step: whoever waits looks around now and then. */
#define STEP_MS 1000

int64_t
http_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The host of the configured proxy: it is judged in place of the one that a request is for. */
static bool
find_proxy_host(Http *http, Status *st)
{
    Url url;

    if (http->settings.proxy == NULL)
        return true;
    if (!url_parse(&url, http->settings.proxy, "proxy", st))
        return false;
    http->proxy_host = url.host;
    url.host = NULL;
    url_free(&url);
    return true;
}

bool
http_open(Http **out, const HttpSettings *settings, Status *st)
{
    static bool ready = false;
    Http *http;

    *out = NULL;
    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return status_fail(st, STATUS_OUT_OF_MEMORY, "could not start libcurl");
    ready = true;
    http = calloc(1, sizeof(*http));
    if (http == NULL)
        return status_out_of_memory(st, sizeof(*http));
    http->settings = *settings;
    http->multi = curl_multi_init();
    if (http->multi == NULL || !find_proxy_host(http, st))
    {
        bool fine = http->multi == NULL && status_out_of_memory(st, 0);

        http_close(http);
        return fine;
    }
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long) settings->connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long) settings->connections + 2);
    *out = http;
    return true;
}

void
http_close(Http *http)
{
    if (http == NULL)
        return;
    while (http->first != NULL)
        http_free(http->first);
    curl_multi_cleanup(http->multi);
    free(http->proxy_host);
    free(http);
}

bool
http_start(Http *http, const HttpRequest *request, HttpExchange **out, Status *st)
{
    HttpExchange *exchange = calloc(1, sizeof(*exchange)), **last = &http->first;

    *out = NULL;
    if (exchange != NULL)
        exchange->url = strdup(request->url);
    if (exchange == NULL || exchange->url == NULL)
    {
        free(exchange);
        return status_out_of_memory(st, sizeof(*exchange));
    }
    exchange->http = http;
    exchange->request = request;
    exchange->total = -1;
    buf_init(&exchange->response.headers, HTTP_HEADERS_MAX);
    buf_init(&exchange->response.body, request->body_max);
    buf_init(&exchange->response.error, HTTP_ERROR_MAX);
    while (*last != NULL)
        last = &(*last)->next;
    *last = exchange;
    *out = exchange;
    return true;
}

void
http_free(HttpExchange *exchange)
{
    HttpExchange **at;

    if (exchange == NULL)
        return;
    http_end_attempt(exchange);
    for (at = &exchange->http->first; *at != exchange; at = &(*at)->next)
        ;
    *at = exchange->next;
    buf_free(&exchange->response.headers);
    buf_free(&exchange->response.body);
    buf_free(&exchange->response.error);
    free(exchange->url);
    free(exchange->host);
    free(exchange);
}

/* Begins what may begin; milliseconds until the next one may, at most STEP_MS. */
static int
begin_due(Http *http)
{
    int64_t now = http_now(), least = STEP_MS;

    for (HttpExchange *each = http->first; each != NULL; each = each->next)
    {
        if (each->phase != HTTP_WAITING)
            continue;
        if (each->not_before <= now)
            http_attempt(each);
        else if (each->not_before - now < least)
            least = each->not_before - now;
        if (each->phase == HTTP_FAILED)
            least = 0;
    }
    return (int) least;
}

/* Judges the attempts that have ended; whether there were any. */
static bool
judge_ended(Http *http)
{
    CURLMsg *message;
    bool any = false;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
    {
        CURLcode result = message->data.result;
        HttpExchange *exchange = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &exchange);
        http_judge(exchange, result);
        any = true;
    }
    return any;
}

/* Sleeps until something happens, at most `pause` milliseconds, and moves what it happened to. */
static CURLMcode
wait_step(Http *http, int pause)
{
    int running;
    CURLMcode code = curl_multi_poll(http->multi, NULL, 0, pause, NULL);

    if (code == CURLM_OK)
        code = curl_multi_perform(http->multi, &running);
    if (code == CURLM_OK)
        (void) judge_ended(http);
    return code;
}

bool
http_step(Http *http, HttpExchange *wait_for, Status *st)
{
    int running, pause;
    int64_t from = http_now();
    CURLMcode code;

    http_note_hold(http);
    pause = begin_due(http);
    code = curl_multi_perform(http->multi, &running);
    if (code == CURLM_OK && !judge_ended(http) && wait_for != NULL && pause > 0)
        code = wait_step(http, pause);
    http->stepped = http_now();
    /* Moving counts as well: of a server that is always ready nothing else would. */
    if (code == CURLM_OK && wait_for != NULL)
        http_waited(wait_for, http->stepped - from);
    if (code == CURLM_OK)
        return true;
    if (code == CURLM_OUT_OF_MEMORY)
        return status_out_of_memory(st, 0);
    return status_fail(st, STATUS_IO, "could not use the network: %s", curl_multi_strerror(code));
}

bool
http_call(Http *http, const HttpRequest *request, HttpExchange **exchange, Status *st)
{
    bool failed = false, fine = http_start(http, request, exchange, st);

    while (fine && !http_finished(*exchange, &failed))
        fine = http_step(http, *exchange, st);
    if (fine && failed)
        fine = http_failure(*exchange, st);
    if (!fine)
    {
        http_free(*exchange);
        *exchange = NULL;
    }
    return fine;
}

const HttpResponse *
http_response(const HttpExchange *exchange)
{
    return &exchange->response;
}

bool
http_answered(const HttpExchange *exchange)
{
    return exchange->phase == HTTP_DONE || (exchange->head_done && exchange->wanted);
}

int64_t
http_total(const HttpExchange *exchange)
{
    return exchange->total;
}

bool
http_finished(const HttpExchange *exchange, bool *failed)
{
    *failed = exchange->phase == HTTP_FAILED;
    return exchange->phase == HTTP_DONE || exchange->phase == HTTP_FAILED;
}

bool
http_failure(const HttpExchange *exchange, Status *st)
{
    *st = exchange->failure;
    return false;
}

size_t
http_ready(const HttpExchange *exchange)
{
    return exchange->response.body.used - exchange->taken;
}

size_t
http_take(HttpExchange *exchange, uint8_t *out, size_t size)
{
    Buf *body = &exchange->response.body;
    size_t n = http_ready(exchange);

    if (n > size)
        n = size;
    if (n == 0)
        return 0;
    memcpy(out, body->data + exchange->taken, n);
    exchange->taken += n;
    exchange->given = true;
    if (exchange->taken == body->used)
    {
        body->used = exchange->taken = 0;
        if (exchange->paused)
        {
            exchange->paused = false;
            curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
        }
    }
    return n;
}
