/*
 * http_pull.c: files behind http and https URLs.
 *
 * A resource is a path below baseUrl, or a whole URL.  There is nothing to
 * list: a server has no listing that all would agree on.  So a listing is one
 * HEAD request (or a GET of the first byte, where HEAD is refused).
 */
#include "../connectors/http_pull/http_pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/path_pattern.h"
#include "core/secret.h"
#include "net/base64.h"
#include "net/url.h"
#include "store/store.h"

#define MAX_HEADERS 100
/* Within which a call must be answered. */
#define CALL_SECONDS 30

typedef struct HttpPull
{
    Store store;
    char *base;             /* URL without a slash at its end; NULL: none */
    HttpHeader headers[MAX_HEADERS + 1];    /* strings are ours */
    size_t nheaders;
    bool anonymous;         /* auth_method none */
} HttpPull;

static void
pull_close(void *session)
{
    HttpPull *pull = session;

    if (pull == NULL)
        return;
    store_close(&pull->store);
    for (size_t i = 0; i < pull->nheaders; i++)
    {
        explicit_bzero((char *) pull->headers[i].value, strlen(pull->headers[i].value));
        free((char *) pull->headers[i].name);
        free((char *) pull->headers[i].value);
    }
    free(pull->base);
    free(pull);
}

/* Headers that libcurl makes, or that would change what is asked for. */
static bool
is_ours(const char *name)
{
    static const char *const ours[] = {"host", "range", "if-match", "content-length", "transfer-encoding", "connection", "accept-encoding"};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strcasecmp(ours[i], name) == 0)
            return true;
    return false;
}

static bool
check_header(const char *name, Status *st)
{
    if (name[0] == '\0' || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] != '\0' || is_ours(name))
    {
        status_fail(st, STATUS_INVALID_VALUE, "header \"%.100s\" can't be set", name);
        return status_hint(st, "A name has letters, digits, - and _; Host, Range and other headers of the connection itself are set for each request.");
    }
    return true;
}

static bool
add_header(HttpPull *pull, const char *name, const char *value, Status *st)
{
    HttpHeader *header = &pull->headers[pull->nheaders];

    if (!check_header(name, st) || !http_header_check(name, value, st))
        return false;
    if (pull->nheaders == MAX_HEADERS)
        return status_fail(st, STATUS_LIMIT, "there are more than %d headers", MAX_HEADERS);
    header->name = strdup(name);
    header->value = strdup(value);
    if (header->name == NULL || header->value == NULL)
    {
        free((char *) header->name);
        free((char *) header->value);
        return status_out_of_memory(st, strlen(value));
    }
    pull->nheaders++;
    return true;
}

static bool
add_configured(HttpPull *pull, json_t *headers, Status *st)
{
    const char *name;
    json_t *value;

    json_object_foreach(headers, name, value)
    {
        if (!json_is_string(value))
            return status_fail(st, STATUS_INVALID_VALUE, "header \"%.100s\" must be a string, not %s", name, json_kind_name(value));
        if (!add_header(pull, name, json_string_value(value), st))
            return false;
    }
    return true;
}

/* "Authorization: <scheme> <value>". */
static bool
add_authorization(HttpPull *pull, const char *scheme, const char *value, Status *st)
{
    size_t size = strlen(scheme) + strlen(value) + 2;
    char *text = malloc(size);
    bool fine;

    if (text == NULL)
        return status_out_of_memory(st, size);
    snprintf(text, size, "%s %s", scheme, value);
    fine = add_header(pull, "Authorization", text, st);
    explicit_bzero(text, size);
    free(text);
    return fine;
}

static bool
add_basic(HttpPull *pull, const char *username, const char *password, Status *st)
{
    size_t size = strlen(username) + strlen(password) + 2;
    char *plain = malloc(size), *encoded = NULL;
    bool fine = false;

    if (strchr(username, ':') != NULL)
        status_fail(st, STATUS_INVALID_VALUE, "the user name has a colon in it");
    else if (plain != NULL)
    {
        snprintf(plain, size, "%s:%s", username, password);
        encoded = base64_encode(plain, size - 1);
        explicit_bzero(plain, size);
    }
    if (encoded != NULL)
    {
        fine = add_authorization(pull, "Basic", encoded, st);
        explicit_bzero(encoded, strlen(encoded));
    }
    else if (st->sqlstate[0] == '\0')
        status_out_of_memory(st, size);
    free(plain);
    free(encoded);
    return fine;
}

static bool
authenticate(HttpPull *pull, const DriverConfig *config, Status *st)
{
    const char *header = NULL, *value = NULL, *token = NULL, *username = NULL, *password = NULL;
    const JsonField fields[] = {
        {"header", JSON_FIELD_TEXT, false, &header, 0, 0},
        {"value", JSON_FIELD_TEXT, false, &value, 0, 0},
        {"token", JSON_FIELD_TEXT, false, &token, 0, 0},
        {"username", JSON_FIELD_TEXT, false, &username, 0, 0},
        {"password", JSON_FIELD_TEXT, false, &password, 0, 0},
    };

    if (config->auth != NULL && !json_fields_read(config->auth, "auth_config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if (header != NULL && (!check_header(header, st) || (value != NULL && !secret_check(value, "value", st))))
        return false;
    if (header != NULL && value != NULL)
        return add_header(pull, header, value, st);
    if (token != NULL)
        return secret_check(token, "token", st) && add_authorization(pull, "Bearer", token, st);
    if (username != NULL && password != NULL)
        return add_basic(pull, username, password, st);
    return true;
}

static bool
set_base(HttpPull *pull, const char *base, Status *st)
{
    Url url;
    size_t n;

    if (base == NULL)
        return true;
    if (!url_parse(&url, base, "baseUrl", st))
        return false;
    url_free(&url);
    pull->base = strdup(base);
    if (pull->base == NULL)
        return status_out_of_memory(st, strlen(base));
    n = strlen(pull->base);
    if (n > 0 && pull->base[n - 1] == '/')
        pull->base[n - 1] = '\0';
    return true;
}

/* A path with what has a meaning in URLs, "?" and "%xx", left as it is: it is part of one. */
static bool
add_path(Buf *url, const char *path, Status *st)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *path != '\0'; path++)
    {
        unsigned char c = (unsigned char) *path;
        char text[3] = {'%', digits[c >> 4], digits[c & 15]};
        bool encoded = c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}#", c) != NULL;

        if (!buf_append(url, encoded ? text : path, encoded ? 3 : 1, st))
            return false;
    }
    return true;
}

/* Some part of the path is "..", however a server may read it. */
static bool
goes_up(const char *path, bool *up, Status *st)
{
    char *plain = strndup(path, strcspn(path, "?"));

    *up = false;
    if (plain == NULL)
        return status_out_of_memory(st, strlen(path));
    for (char *zero = plain; (zero = strstr(zero, "%00")) != NULL; )
        memcpy(zero, "///", 3);
    url_decode(plain);
    for (char *at = plain; *at != '\0'; at++)
        if (*at == '\\')
            *at = '/';
    *up = path_goes_up(plain);
    free(plain);
    return true;
}

static bool
pull_url(void *driver, const DriverEntry *entry, Buf *url, Status *st)
{
    HttpPull *pull = driver;
    const char *path = entry->path;
    bool up;

    if (strncmp(path, "http://", 7) == 0 || strncmp(path, "https://", 8) == 0)
    {
        Url parsed;

        if (!url_parse(&parsed, path, "resource", st))
            return false;
        url_free(&parsed);
        if (pull->base != NULL && pull->nheaders > 0 && !url_same_origin(pull->base, path))
        {
            status_fail(st, STATUS_FORBIDDEN, "the resource is on another server than baseUrl");
            return status_hint(st, "Credentials and headers are for the server of baseUrl; make a connector for the other one.");
        }
        return buf_append(url, path, strlen(path), st);
    }
    if (!goes_up(path, &up, st))
        return false;
    if (up)
        return status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", path);
    if (pull->base == NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "a resource that is not a whole URL needs baseUrl");
        return status_hint(st, "Give the connector a baseUrl, or the resource as https://host/path.");
    }
    if (!buf_append(url, pull->base, strlen(pull->base), st))
        return false;
    if (path[0] == '\0')
        return true;
    return (path[0] == '/' || path[0] == '?' || buf_append(url, "/", 1, st)) && add_path(url, path, st);
}

static bool
pull_open(const DriverConfig *config, void **session, Status *st)
{
    const char *base = NULL;
    json_t *headers = NULL;
    StoreSettings settings = STORE_DEFAULTS;
    const JsonField fields[] = {
        {"baseUrl", JSON_FIELD_TEXT, false, &base, 0, 0},
        {"headers", JSON_FIELD_OBJECT, false, &headers, 0, 0},
        STORE_FIELDS(settings),
    };
    HttpPull *pull;

    *session = NULL;
    if (config->config != NULL && !json_fields_read(config->config, "connector config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if (config->calls)
        settings.attempts = 1;
    pull = calloc(1, sizeof(*pull));
    if (pull == NULL)
        return status_out_of_memory(st, sizeof(*pull));
    if (!store_open(&pull->store, config, &settings, st) || !set_base(pull, base, st) || !authenticate(pull, config, st) ||
        !add_configured(pull, headers, st))
    {
        pull_close(pull);
        return false;
    }
    pull->anonymous = strcmp(config->auth_method, "none") == 0;
    pull->store.driver = pull;
    pull->store.url = pull_url;
    pull->store.headers = pull->headers;
    pull->store.nheaders = pull->nheaders;
    pull->store.secret_headers = true;
    pull->store.follow = true;
    pull->store.unsized = true;
    *session = pull;
    return true;
}

/* ---- the listing ------------------------------------------------------------ */

/* A request about a file, and its answer, which borrows the rest. */
typedef struct Question
{
    Buf url;
    HttpRequest request;
    HttpExchange *exchange;
} Question;

static bool
ask(HttpPull *pull, Question *question, const char *name, const char *method, Status *st)
{
    bool head = strcmp(method, "HEAD") == 0;

    http_free(question->exchange);
    question->exchange = NULL;
    question->request = (HttpRequest) {.method = method, .url = (const char *) question->url.data, .headers = pull->headers, .nheaders = pull->nheaders,
                                       .secret_headers = true, .what = name[0] == '\0' ? "what is at" : NULL,
                                       .name = name[0] == '\0' ? "baseUrl" : name, .follow = true, .ranged = !head, .from = 0, .to = 1, .body_max = HTTP_CHUNK};
    return http_call(pull->store.http, &question->request, &question->exchange, st);
}

static int64_t
length_of(const HttpExchange *exchange)
{
    const char *length = http_response_header(http_response(exchange), "content-length");

    if (http_total(exchange) >= 0)
        return http_total(exchange);
    return length == NULL ? 0 : strtoll(length, NULL, 10);
}

/* Asks about a path, by HEAD or, where that is refused, GET; the answer's status may be any.  In any case to be ended. */
static bool
ask_about(HttpPull *pull, const DriverEntry *entry, Question *question, Status *st)
{
    unsigned status;

    http_operation(pull->store.http);
    question->exchange = NULL;
    buf_init(&question->url, URL_MAX);
    if (!pull_url(pull, entry, &question->url, st) || !buf_append(&question->url, "", 1, st) || !ask(pull, question, entry->path, "HEAD", st))
        return false;
    status = http_response(question->exchange)->status;
    /* Some servers answer GET only, and presigned URLs are for one method. */
    return status < 400 || status == 404 || status == 410 || ask(pull, question, entry->path, "GET", st);
}

static void
end_question(Question *question)
{
    http_free(question->exchange);
    buf_free(&question->url);
}

/* Tells of the file that was asked about, unless the server refuses it. */
static bool
tell_file(const HttpExchange *exchange, DriverEntry *entry, DriverEmit emit, void *context, Status *st)
{
    unsigned status = http_response(exchange)->status;
    char etag[300];
    bool fine = status < 300 || status == 416 || http_refused(exchange, st);

    if (fine)
    {
        store_plain_etag(http_response_header(http_response(exchange), "etag"), etag, sizeof(etag));
        entry->etag = etag;
        entry->size = (uint64_t) length_of(exchange);
        if (!http_response_time(http_response(exchange), "last-modified", &entry->mtime))
            entry->mtime = WIRE_NO_TIME;
        fine = emit(context, entry, st);
    }
    return fine;
}

static bool
pull_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    DriverEntry entry = {.path = resource == NULL ? "" : resource, .etag = ""};
    Question question;
    bool fine = ask_about(session, &entry, &question, st) && tell_file(question.exchange, &entry, emit, context, st);

    end_question(&question);
    return fine;
}

/* Does this answer about the base say nothing of what is below it? */
static bool
says_nothing(const HttpPull *pull, unsigned status)
{
    return status == 404 || status == 405 || status == 410 || (status == 403 && pull->anonymous);
}

/* A server that answers is there, though the base itself need be no file, nor be shown to who has not said who he is. */
static bool
pull_look(void *session, DriverEmit emit, void *context, Status *st)
{
    HttpPull *pull = session;
    DriverEntry entry = {.path = "", .etag = ""};
    Question question;
    bool fine;

    if (pull->base == NULL)
        return true;
    fine = ask_about(pull, &entry, &question, st) &&
        (says_nothing(pull, http_response(question.exchange)->status) || tell_file(question.exchange, &entry, emit, context, st));
    end_question(&question);
    return fine;
}

static bool
pull_object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    return store_object_open(&((HttpPull *) session)->store, entry, listed, object, info, st);
}

static void
pull_expect(void *session, const DriverEntry *entry)
{
    store_object_expect(&((HttpPull *) session)->store, entry);
}

/* ---- calls -------------------------------------------------------------------- */

/* Does the connector say itself what the header is? */
static bool
has_header(const HttpPull *pull, const char *name)
{
    for (size_t i = 0; i < pull->nheaders; i++)
        if (strcasecmp(pull->headers[i].name, name) == 0)
            return true;
    return false;
}

/* The connector's headers, and behind them the call's, into `all`, which has room for both; borrowed. */
static bool
collect_headers(const HttpPull *pull, const json_t *headers, HttpHeader *all, size_t *n, Status *st)
{
    const char *name;
    json_t *value;

    for (*n = 0; *n < pull->nheaders; (*n)++)
        all[*n] = pull->headers[*n];
    json_object_foreach((json_t *) headers, name, value)
    {
        if (!json_is_string(value))
            return status_fail(st, STATUS_INVALID_VALUE, "header \"%.100s\" must be a string, not %s", name, json_kind_name(value));
        if (!check_header(name, st))
            return false;
        if (!has_header(pull, name))
            all[(*n)++] = (HttpHeader) {name, json_string_value(value)};
    }
    return true;
}

static bool
send_call(HttpPull *pull, const DriverCall *call, const HttpHeader *headers, size_t nheaders, DriverAnswer *answer, Status *st)
{
    DriverEntry entry = {.path = call->path, .etag = ""};
    HttpRequest request = {.method = call->method, .headers = headers, .nheaders = nheaders, .secret_headers = true, .body = call->body, .nbody = strlen(call->body),
                           .what = "the answer to", .name = call->path, .seconds = CALL_SECONDS, .status_only = true};
    HttpExchange *exchange = NULL;
    bool fine;
    Buf url;

    buf_init(&url, URL_MAX);
    fine = pull_url(pull, &entry, &url, st) && buf_append(&url, "", 1, st);
    request.url = (const char *) url.data;
    fine = fine && http_call(pull->store.http, &request, &exchange, st);
    if (fine)
    {
        answer->status = http_response(exchange)->status;
        answer->wait = http_asked_wait(exchange);
        http_said(exchange, answer->said, sizeof(answer->said));
    }
    http_free(exchange);
    buf_free(&url);
    return fine;
}

static bool
pull_call(void *session, const DriverCall *call, DriverAnswer *answer, Status *st)
{
    HttpPull *pull = session;
    size_t most = pull->nheaders + json_object_size(call->headers), n = 0;
    HttpHeader *headers = calloc(most + 1, sizeof(*headers));
    bool fine;

    if (headers == NULL)
        return status_out_of_memory(st, most * sizeof(*headers));
    fine = collect_headers(pull, call->headers, headers, &n, st) && send_call(pull, call, headers, n, answer, st);
    free(headers);
    return fine;
}

const Driver driver_http_pull = {
    .type = "http_pull",
    .open = pull_open,
    .close = pull_close,
    .list = pull_list,
    .look = pull_look,
    .object_open = pull_object_open,
    .object_read = store_object_read,
    .object_close = store_object_close,
    .object_expect = pull_expect,
    .call = pull_call,
};
