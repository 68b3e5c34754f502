/*
 * oauth2.c: see oauth2.h.
 */
#include "net/oauth2.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/secret.h"
#include "net/url.h"

#define ANSWER_MAX (256U << 10)
#define FORM_MAX (64U << 10)
#define TOKEN_MAX 16384     /* bytes */
#define EARLY 300           /* seconds before its end, or the last quarter of its life if that is shorter */
#define UNKNOWN_LIFE 900    /* seconds, of a token of which nobody said when it ends */
#define FAILED_SECONDS 10   /* requests that wait for a token all fail for the same reason */

static void
forget(OAuth2 *holder)
{
    secret_free(holder->token);
    holder->token = NULL;
    holder->until = 0;
}

void
oauth2_free(OAuth2 *holder)
{
    forget(holder);
}

/* What RFC 6750 lets a token consist of, and what else a header can carry. */
static bool
is_token(const char *token)
{
    for (const char *at = token; *at != '\0'; at++)
        if ((unsigned char) *at <= ' ' || (unsigned char) *at >= 0x7f)
            return false;
    return token[0] != '\0' && strlen(token) <= TOKEN_MAX;
}

bool
oauth2_set(OAuth2 *holder, const char *token, int64_t seconds, Status *st)
{
    int64_t life = seconds < 0 ? UNKNOWN_LIFE : seconds;

    if (!is_token(token))
        return status_fail(st, STATUS_PROTOCOL, "the access token is none that can be sent");
    forget(holder);
    holder->token = strdup(token);
    holder->until = time(NULL) + life - (life / 4 < EARLY ? life / 4 : EARLY);
    return holder->token != NULL || status_out_of_memory(st, strlen(token));
}

bool
oauth2_take(OAuth2 *holder, const char *answer, size_t n, const char *what, Status *st)
{
    json_t *json = json_loadb(answer, n, 0, NULL);
    const char *token = json_string_value(json_object_get(json, "access_token")), *type = json_string_value(json_object_get(json, "token_type"));
    double life = json_is_number(json_object_get(json, "expires_in")) ? json_number_value(json_object_get(json, "expires_in")) : -1;
    bool fine;

    if (token == NULL)
        fine = status_fail(st, STATUS_PROTOCOL, "%s has no access token in it", what);
    else if (type != NULL && strcasecmp(type, "bearer") != 0)
        fine = status_fail(st, STATUS_PROTOCOL, "%s has a token of type \"%.50s\" in it, not Bearer", what, type);
    else
        fine = oauth2_set(holder, token, life >= 0 && life < 1e9 ? (int64_t) life : -1, st);
    json_decref(json);
    return fine;
}

/* ---- token endpoints --------------------------------------------------------- */

/*
 * 400 is how they say that they do not accept what they were given.  404 is not that a file
 * does not exist, which is no error everywhere.
 */
static bool
refused(const HttpExchange *exchange, const char *url, Status *st)
{
    char detail[sizeof(st->detail)];
    unsigned status = http_response(exchange)->status;
    bool accepted = status != 400 && status != 401 && status != 403;
    Url parsed;

    (void) http_refused(exchange, st);
    if (status >= 500 || status == 429 || !url_parse(&parsed, url, "the token endpoint", st))
        return false;
    snprintf(detail, sizeof(detail), "%s", st->detail);
    status_fail(st, accepted ? STATUS_PROTOCOL : STATUS_UNKNOWN_USER, "\"%s\" gives no access token for these credentials", parsed.host);
    status_detail(st, "%s", detail);
    url_free(&parsed);
    return false;
}

static bool
post_form(OAuth2 *holder, Http *http, const char *url, const Buf *form, Status *st)
{
    const HttpHeader headers[] = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
    HttpRequest request = {.method = "POST", .url = url, .headers = headers, .nheaders = 2, .body = form->data, .nbody = form->used,
                           .what = "an access token", .body_max = ANSWER_MAX};
    HttpExchange *exchange;
    const HttpResponse *response;
    bool fine;

    if (!http_call(http, &request, &exchange, st))
        return false;
    response = http_response(exchange);
    fine = response->status >= 200 && response->status < 300
        ? oauth2_take(holder, (const char *) response->body.data, response->body.used, "the token endpoint's answer", st) : refused(exchange, url, st);
    if (response->body.data != NULL)
        explicit_bzero(response->body.data, response->body.used);
    http_free(exchange);
    return fine;
}

bool
oauth2_ask(OAuth2 *holder, const HttpSettings *settings, const char *url, const HttpHeader *form, size_t nform, Status *st)
{
    Http *http = NULL;
    bool fine = true;
    Buf text;

    buf_init(&text, FORM_MAX);
    /* Its memory does not move while it is filled: no copy of a secret is left behind. */
    fine = buf_reserve(&text, FORM_MAX, st);
    for (size_t i = 0; i < nform && fine; i++)
        fine = url_add_parameter(&text, i == 0 ? "" : "&", form[i].name, form[i].value, st);
    fine = fine && http_open(&http, settings, st) && post_form(holder, http, url, &text, st);
    http_close(http);
    for (size_t i = 0; i < nform && !fine; i++)
        secret_hide(st, form[i].value);
    if (text.data != NULL)
        explicit_bzero(text.data, text.used);
    buf_free(&text);
    return fine;
}

/* ---- signing ------------------------------------------------------------------- */

static bool
renew(OAuth2 *holder, Status *st)
{
    time_t now = time(NULL);

    if (now < holder->failed_until)
    {
        *st = holder->failure;
        return false;
    }
    if (holder->source(holder->context, holder, st))
        return true;
    holder->failure = *st;
    holder->failed_until = now + FAILED_SECONDS;
    return false;
}

static bool
sign(void *context, const HttpSigned *request, HttpHeaders *headers, Status *st)
{
    OAuth2 *holder = context;
    size_t size;
    char *value;
    bool fine;

    (void) request;
    if (holder->source != NULL && (holder->token == NULL || time(NULL) >= holder->until) && !renew(holder, st))
        return false;
    size = strlen(holder->token) + sizeof("Bearer ");
    value = malloc(size);
    if (value == NULL)
        return status_out_of_memory(st, size);
    snprintf(value, size, "Bearer %s", holder->token);
    fine = http_header_add(headers, "Authorization", value, st);
    secret_free(value);
    return fine;
}

/* A token may be revoked, or the clocks differ. */
static bool
stale(void *context, unsigned status, const char *body, size_t n)
{
    OAuth2 *holder = context;

    (void) body;
    (void) n;
    if (status != 401 || holder->source == NULL)
        return false;
    forget(holder);
    return true;
}

HttpSigner
oauth2_signer(OAuth2 *holder)
{
    return (HttpSigner) {sign, stale, holder};
}
