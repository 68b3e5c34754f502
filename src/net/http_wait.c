/*
 * http_wait.c: how long an exchange is waited for.  See http_step in http.h.
 *
 * Until there is a connection libcurl looks at the clock itself, because it shares the time
 * among the addresses of a host.  That clock goes on while nobody asks: http_note_hold.
 */
#include "net/http_state.h"

/* Nobody asked for so long: what is on its way may have been given up, on either side. */
#define HOLD_MS 2000

void
http_operation(Http *http)
{
    http->waited = 0;
}

void
http_note_hold(Http *http)
{
    if (http->stepped == 0 || http_now() - http->stepped < HOLD_MS)
        return;
    for (HttpExchange *each = http->first; each != NULL; each = each->next)
        each->held |= each->added;
}

/* Looks at what came since it was looked at last. */
static void
look_at_traffic(HttpExchange *exchange)
{
    curl_off_t sent = 0;
    uint64_t seen;

    curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    seen = exchange->traffic + (uint64_t) sent;
    if (seen != exchange->seen || exchange->window_at < 0)
        exchange->seen_at = exchange->patience;
    exchange->seen = seen;
    if (exchange->window_at >= 0)
        return;
    exchange->window_at = exchange->patience;
    exchange->window_from = seen;
}

/* Is the attempt, which has a connection, too slow? */
static HttpLate
judge_attempt(HttpExchange *exchange)
{
    const HttpRequest *request = exchange->request;
    int64_t idle = (int64_t) exchange->http->settings.idle_seconds * 1000;
    int64_t answer = (int64_t) (request->seconds > 0 ? request->seconds : HTTP_CALL_SECONDS) * 1000;

    look_at_traffic(exchange);
    if (!request->ranged && exchange->patience >= answer)
        return HTTP_LATE_ANSWER;
    if (exchange->patience - exchange->seen_at >= idle)
        return HTTP_LATE_IDLE;
    if (exchange->patience - exchange->window_at < idle)
        return HTTP_IN_TIME;
    if (exchange->seen - exchange->window_from < (uint64_t) HTTP_SLOWEST * exchange->http->settings.idle_seconds)
        return HTTP_LATE_IDLE;
    exchange->window_at = exchange->patience;
    exchange->window_from = exchange->seen;
    return HTTP_IN_TIME;
}

/* Nor will another attempt help. */
static void
give_up(HttpExchange *exchange, HttpLate late)
{
    exchange->late = late;
    http_explain(exchange, CURLE_OPERATION_TIMEDOUT);
    http_end_attempt(exchange);
    exchange->phase = HTTP_FAILED;
}

void
http_waited(HttpExchange *exchange, int64_t ms)
{
    const HttpSettings *settings = &exchange->http->settings;
    bool failed;

    exchange->http->waited += ms;
    exchange->waited += ms;
    if (http_finished(exchange, &failed))
        return;
    if (settings->total_seconds > 0 && exchange->http->waited >= (int64_t) settings->total_seconds * 1000)
        give_up(exchange, HTTP_LATE_TOTAL);
    else if (!exchange->request->ranged && exchange->waited >= HTTP_CALL_TOTAL * 1000)
        give_up(exchange, HTTP_LATE_REQUEST);
    else if (exchange->added && exchange->connected)
    {
        exchange->patience += ms;
        exchange->late = judge_attempt(exchange);
        if (exchange->late != HTTP_IN_TIME)
            http_judge(exchange, CURLE_OPERATION_TIMEDOUT);
    }
}
