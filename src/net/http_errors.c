/*
 * http_errors.c: what went wrong with an exchange, for people.  See http.h.
 *
 * A URL is shown without its query, which may hold a secret; what a server
 * says is shown as far as it is printable.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "format/convert.h"
#include "net/http_state.h"
#include "net/url.h"

/* Bytes of a server's explanation that are shown. */
#define SHOWN 300

const char *
http_subject(const HttpExchange *exchange, char *out, size_t size)
{
    const HttpRequest *request = exchange->request;

    if (request->name == NULL)
        snprintf(out, size, "%s", request->what == NULL ? "the answer" : request->what);
    else
        snprintf(out, size, "%s \"%.500s\"", request->what == NULL ? "file" : request->what, request->name);
    return out;
}

/* Whether the request goes to a proxy that hands it on, not through one. */
static bool
is_forwarded(const HttpExchange *exchange)
{
    return exchange->http->proxy_host != NULL && strncmp(exchange->url, "http:", 5) == 0;
}

static bool
explain_proxy_login(const HttpExchange *exchange, Status *st)
{
    status_fail(st, STATUS_UNKNOWN_USER, "proxy \"%s\" wants credentials", exchange->http->proxy_host);
    return status_hint(st, "Credentials for a proxy can't be given: let it know this machine by its address.");
}

/* It did not connect to the server. */
static void
explain_proxy(const HttpExchange *exchange, Status *st)
{
    const char *proxy = exchange->http->proxy_host;

    if (exchange->proxy_status == 407)
    {
        explain_proxy_login(exchange, st);
        return;
    }
    if (exchange->proxy_status == 403)
        status_fail(st, STATUS_FORBIDDEN, "proxy \"%s\" does not allow connections to \"%s\"", proxy, exchange->host);
    else
        status_fail(st, STATUS_UNREACHABLE, "proxy \"%s\" could not connect to \"%s\"", proxy, exchange->host);
    status_detail(st, "It answered with status %u.", exchange->proxy_status);
}

/* Who was too slow, or did not listen; fills `why` with more about it. */
static void
explain_late(const HttpExchange *exchange, const char *subject, char *why, size_t size, Status *st)
{
    const HttpSettings *settings = &exchange->http->settings;
    const char *proxy = exchange->http->proxy_host;

    why[0] = '\0';
    if (exchange->late == HTTP_LATE_TOTAL || exchange->late == HTTP_LATE_REQUEST)
    {
        bool total = exchange->late == HTTP_LATE_TOTAL;

        status_fail(st, STATUS_BROKEN, "\"%s\" took longer than %u seconds to send %s", exchange->host, total ? settings->total_seconds : HTTP_CALL_TOTAL, subject);
        if (total)
            status_hint(st, "The connector's totalTimeoutSeconds says how long an operation may take in all; 0 is without a bound.");
    }
    else if (exchange->connected)
    {
        status_fail(st, STATUS_BROKEN, "\"%s\" was too slow to send %s", exchange->host, subject);
        if (exchange->late == HTTP_LATE_ANSWER)
            snprintf(why, size, "The answer was not whole within %u seconds. ", exchange->request->seconds > 0 ? exchange->request->seconds : HTTP_CALL_SECONDS);
        else
            snprintf(why, size, "Fewer than %u bytes came within %u seconds (idleTimeoutSeconds). ", HTTP_SLOWEST * settings->idle_seconds, settings->idle_seconds);
    }
    else
    {
        status_fail(st, STATUS_UNREACHABLE, "could not connect to \"%s\"%s%s%s", exchange->host, proxy == NULL ? "" : " through proxy \"",
                    proxy == NULL ? "" : proxy, proxy == NULL ? "" : "\"");
        snprintf(why, size, "There was no connection within %u seconds (connectTimeoutSeconds). ", settings->connect_seconds);
    }
}

static void
explain_untrusted(const HttpExchange *exchange, const char *why, Status *st)
{
    status_fail(st, STATUS_UNREACHABLE, "the TLS connection to %s\"%s\" can't be trusted", exchange->proxy_untrusted ? "proxy " : "",
                exchange->proxy_untrusted ? exchange->http->proxy_host : exchange->host);
    status_detail(st, "%s.", why);
    status_hint(st, "Where the server's certificate is from an authority of your own, give that in caCert.");
}

/* How far it came. */
static void
explain_progress(const HttpExchange *exchange, const char *why, Status *st)
{
    unsigned attempts = exchange->attempts > 0 ? exchange->attempts : 1;
    const HttpRequest *request = exchange->request;
    char where[80];

    if (!request->ranged)
        snprintf(where, sizeof(where), ", %" PRIu64 " bytes had come", exchange->received);
    else if (exchange->total < 0)
        snprintf(where, sizeof(where), ", the last at byte %" PRIu64, request->from + exchange->received);
    else
        snprintf(where, sizeof(where), ", the last at byte %" PRIu64 " of %" PRId64, request->from + exchange->received, exchange->total);
    status_detail(st, "%s%u attempt%s failed%s.", why, attempts, attempts == 1 ? "" : "s", where);
    if (request->ranged && exchange->given && !http_knows_rest(exchange) && st->hint[0] == '\0')
        status_hint(st, "The server says neither ETag nor Last-Modified, so that the rest could be that of another version.");
}

/* libcurl before 8.6 says of a line of headers longer than it takes (100 kB) that there is no memory for it. */
static bool
has_memory(void)
{
    void *probe = malloc(1U << 20);

    free(probe);
    return probe != NULL;
}

void
http_explain(HttpExchange *exchange, CURLcode result)
{
    Status *st = &exchange->failure;
    const char *words = exchange->why[0] != '\0' ? exchange->why : curl_easy_strerror(result);
    char subject[600], why[CURL_ERROR_SIZE + 8];

    http_subject(exchange, subject, sizeof(subject));
    snprintf(why, sizeof(why), "%s%s", words, words[0] != '\0' && words[strlen(words) - 1] == '.' ? " " : ". ");
    if (exchange->verdict != EGRESS_ALLOWED)
    {
        egress_refuse(exchange->verdict, http_peer(exchange), (const struct sockaddr *) &exchange->refused, st);
        return;
    }
    if (exchange->proxy_status >= 300)
    {
        explain_proxy(exchange, st);
        return;
    }
    switch (result)
    {
#if LIBCURL_VERSION_NUM >= 0x080600
        case CURLE_TOO_LARGE:
#endif
        case CURLE_OUT_OF_MEMORY:
            if (!exchange->head_done && has_memory())
            {
                status_fail(st, STATUS_PROTOCOL, "\"%s\" sent a header of its answer that is too long", exchange->host);
                break;
            }
            status_out_of_memory(st, 0);
            return;
        case CURLE_COULDNT_RESOLVE_HOST:
            status_fail(st, STATUS_UNREACHABLE, "could not find the address of host \"%s\"", exchange->host);
            break;
        case CURLE_COULDNT_RESOLVE_PROXY:
            status_fail(st, STATUS_UNREACHABLE, "could not find the address of proxy \"%s\"", http_peer(exchange));
            break;
        case CURLE_COULDNT_CONNECT:
            status_fail(st, STATUS_UNREACHABLE, "could not connect to %s\"%s\"", exchange->http->proxy_host == NULL ? "" : "proxy ", http_peer(exchange));
            break;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
            explain_untrusted(exchange, words, st);
            return;
        case CURLE_SSL_CONNECT_ERROR:
            status_fail(st, STATUS_UNREACHABLE, "could not begin a TLS connection to \"%s\"", exchange->host);
            if (strstr(words, "wrong version number") != NULL)
                status_hint(st, "There is a server, but perhaps none that speaks TLS: is it http:// that is meant, or another port?");
            break;
        case CURLE_OPERATION_TIMEDOUT:
            explain_late(exchange, subject, why, sizeof(why), st);
            break;
        default:
            status_fail(st, STATUS_BROKEN, "the connection to \"%s\" broke while it sent %s", exchange->host, subject);
            break;
    }
    explain_progress(exchange, why, st);
}

/* What XML needs to be written otherwise in a text, and quotes, put back in place. */
static void
unescape_xml(char *text)
{
    static const struct { const char *written; char meant; } names[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#34;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}, {"&amp;", '&'}};
    char *out = text;

    while (*text != '\0')
    {
        size_t i = 0, n = 0;

        for (; i < sizeof(names) / sizeof(names[0]) && n == 0; i++)
            n = strncmp(text, names[i].written, strlen(names[i].written)) == 0 ? strlen(names[i].written) : 0;
        *out++ = n > 0 ? names[i - 1].meant : *text;
        text += n > 0 ? n : 1;
    }
    *out = '\0';
}

/* The text between <tag> and </tag>, printable; false: there is none. */
static bool
find_element(const char *body, const char *tag, char *out, size_t size)
{
    char open[40], close[40];
    const char *from, *to;

    snprintf(open, sizeof(open), "<%s>", tag);
    snprintf(close, sizeof(close), "</%s>", tag);
    from = strstr(body, open);
    to = from == NULL ? NULL : strstr(from, close);
    if (to == NULL)
        return false;
    from += strlen(open);
    snprintf(out, size, "%.*s", (int) (to - from > SHOWN ? SHOWN : to - from), from);
    unescape_xml(out);
    return true;
}

/* The short name of an error as the JSON APIs of clouds put it: Google's reason or status, that of OAuth; NULL: there is none. */
static const char *
find_reason(const json_t *root, const json_t *error)
{
    const char *reason = json_string_value(json_object_get(json_array_get(json_object_get(error, "errors"), 0), "reason"));

    if (reason == NULL)
        reason = json_string_value(json_object_get(error, "status"));
    return reason != NULL || json_object_get(root, "error_description") == NULL ? reason : json_string_value(error);
}

/* The name and message of such an error; false: there is none. */
static bool
find_json(const char *body, char *out, size_t size)
{
    json_t *root = json_loads(body, 0, NULL), *error = json_object_get(root, "error");
    const char *text = json_string_value(json_object_get(json_is_object(error) ? error : root, "message")), *reason = find_reason(root, error);

    if (text == NULL)
        text = json_string_value(json_object_get(root, "error_description"));
    if (text == NULL)
        text = json_string_value(error);
    if (text != NULL)
        snprintf(out, size, "%.*s%s%.*s", SHOWN, reason == NULL ? "" : reason, reason == NULL ? "" : ": ", SHOWN, text);
    json_decref(root);
    return text != NULL;
}

/*
 * The secret header of the request that the text repeats, or the first bytes of; NULL: none.
 */
static const char *
repeated_header(const HttpExchange *exchange, const char *text)
{
    for (size_t i = 0; exchange->request->secret_headers && i < exchange->request->nheaders; i++)
    {
        const HttpHeader *header = &exchange->request->headers[i];
        const char *space = strchr(header->value, ' ');
        char secret[17];

        snprintf(secret, sizeof(secret), "%s", space == NULL ? header->value : space + 1);
        if (strlen(secret) >= 4 && strstr(text, secret) != NULL)
            return header->name;
    }
    return NULL;
}

/* What the body says; "" when that is nothing for people. */
static void
explain_body(const HttpExchange *exchange, char *out, size_t size)
{
    const Buf *body = &exchange->response.error;
    const char *repeated;
    char copy[SHOWN * 8], code[SHOWN + 1], message[SHOWN + 1], found[2 * SHOWN + 4] = "";
    size_t n = body->used < sizeof(copy) - 1 ? body->used : sizeof(copy) - 1;

    if (n > 0)
        memcpy(copy, body->data, n);
    copy[n] = '\0';
    repeated = repeated_header(exchange, copy);
    if (repeated != NULL)
        snprintf(found, sizeof(found), "(what it says has header \"%.100s\" in it)", repeated);
    else if (find_element(copy, "Code", code, sizeof(code)))
        snprintf(found, sizeof(found), "%s%s%s", code, find_element(copy, "Message", message, sizeof(message)) ? ": " : "",
                 find_element(copy, "Message", message, sizeof(message)) ? message : "");
    else if (!find_json(copy, found, sizeof(found)) && copy[strspn(copy, " \r\n\t")] != '<')
        snprintf(found, sizeof(found), "%.*s", SHOWN, copy);
    for (char *at = found; *at != '\0'; at++)
        if ((unsigned char) *at < ' ' || *at == 0x7f)
            *at = ' ';
    n = convert_utf8_escape(found, strlen(found), out, size - 1);
    out[n] = '\0';
}

void
http_said(const HttpExchange *exchange, char *out, size_t size)
{
    explain_body(exchange, out, size);
}

/* S3 answers with 400 where a session's token is what it does not accept. */
static bool
blames_token(const char *said)
{
    static const char *const codes[] = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strncmp(said, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

/* S3 says of a bucket that it is in another region, and in which. */
static void
name_region(const HttpExchange *exchange, Status *st)
{
    const char *region = http_response_header(&exchange->response, "x-amz-bucket-region");
    unsigned status = exchange->response.status;

    if (region != NULL && (status == 301 || status == 307 || status == 400) && strlen(region) <= 40 &&
        region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0')
        status_hint(st, "The bucket is in region \"%s\"; give the connector that region.", region);
}

bool
http_refused(const HttpExchange *exchange, Status *st)
{
    unsigned status = exchange->response.status;
    const char *code = http_response_header(&exchange->response, "x-ms-error-code");
    char subject[600], said[SHOWN * 4];

    http_subject(exchange, subject, sizeof(subject));
    explain_body(exchange, said, sizeof(said));
    /* The answer to HEAD has no body; Azure's has the error's name in a header. */
    if (said[0] == '\0' && code != NULL)
        snprintf(said, sizeof(said), "%.100s", code);
    switch (status == 400 && blames_token(said) ? 401 : status)
    {
        case 404:
        case 410:
            status_fail(st, STATUS_NO_FILE, "%s does not exist", subject);
            break;
        case 401:
            status_fail(st, STATUS_UNKNOWN_USER, "\"%s\" does not accept the credentials", exchange->host);
            break;
        case 403:
            status_fail(st, STATUS_FORBIDDEN, "\"%s\" does not allow access to %s", exchange->host, subject);
            break;
        case 407:
            if (is_forwarded(exchange))
                return explain_proxy_login(exchange, st);
            status_fail(st, STATUS_PROTOCOL, "\"%s\" did not send %s", exchange->host, subject);
            break;
        case 412:
            status_fail(st, STATUS_IO, "%s is no longer as it was listed", subject);
            break;
        case 429:
            status_fail(st, STATUS_BROKEN, "\"%s\" has had too many requests", exchange->host);
            break;
        default:
            status_fail(st, status >= 500 || status == 408 ? STATUS_BROKEN : STATUS_PROTOCOL, "\"%s\" did not send %s", exchange->host, subject);
            break;
    }
    name_region(exchange, st);
    return status_detail(st, "The server%s answered with status %u%s%s", is_forwarded(exchange) ? ", or the proxy," : "", status, said[0] == '\0' ? "." : ": ", said);
}
