/*
 * test_oauth2.c: holders of access tokens: when they ask for another one, and what they send.
 */
#include <curl/curl.h>
#include <stdlib.h>

#include "net/oauth2.h"
#include "tap.h"

/* A source that counts how often it was asked. */
typedef struct Source
{
    int asked;
    int64_t life;
    bool fails;
} Source;

static bool
give(void *context, OAuth2 *holder, Status *st)
{
    Source *source = context;
    char token[20];

    snprintf(token, sizeof(token), "token-%d", ++source->asked);
    return source->fails ? status_fail(st, STATUS_UNKNOWN_USER, "failure %d", source->asked) : oauth2_set(holder, token, source->life, st);
}

/* The header that a request gets, or the message of the failure. */
static const char *
sign(OAuth2 *holder)
{
    static char got[700];
    HttpSigner signer = oauth2_signer(holder);
    HttpSigned request = {.method = "GET", .url = "https://example.com/"};
    HttpHeaders headers = {NULL};
    Status st;

    status_clear(&st);
    if (signer.sign(signer.context, &request, &headers, &st))
        snprintf(got, sizeof(got), "%s", headers.list->data);
    else
        snprintf(got, sizeof(got), "%s: %s", st.sqlstate, st.message);
    http_headers_free(&headers);
    return got;
}

static bool
stale(OAuth2 *holder, unsigned status)
{
    HttpSigner signer = oauth2_signer(holder);

    return signer.stale(signer.context, status, "", 0);
}

static void
test_renewal(void)
{
    Source source = {.life = 3600};
    OAuth2 holder = {.source = give, .context = &source};

    is_str(sign(&holder), "Authorization: Bearer token-1", "the first request gets a token");
    is_str(sign(&holder), "Authorization: Bearer token-1", "and so does the second, the same");
    ok(!stale(&holder, 403), "being forbidden something is no matter of the token");
    ok(stale(&holder, 401), "not being accepted may be");
    is_str(sign(&holder), "Authorization: Bearer token-2", "another one is got then");
    holder.until = time(NULL);
    is_str(sign(&holder), "Authorization: Bearer token-3", "and when the end is near");
    ok(holder.until > time(NULL) + 3000 && holder.until <= time(NULL) + 3300, "five minutes before");
    source.life = 100;
    holder.until = 1;
    is_str(sign(&holder), "Authorization: Bearer token-4", "a token of short life");
    ok(holder.until > time(NULL) + 50 && holder.until <= time(NULL) + 75, "is used for three quarters of it");
    source.life = -1;
    holder.until = 1;
    is_str(sign(&holder), "Authorization: Bearer token-5", "one of unknown life");
    ok(holder.until > time(NULL) + 500 && holder.until < time(NULL) + 900, "for a while");
    oauth2_free(&holder);
}

static void
test_failures(void)
{
    Source source = {.fails = true};
    OAuth2 holder = {.source = give, .context = &source};

    is_str(sign(&holder), "28000: failure 1", "why there is no token");
    is_str(sign(&holder), "28000: failure 1", "is what the next request is told as well");
    is_int(source.asked, 1, "without asking again at once");
    holder.failed_until = 0;
    is_str(sign(&holder), "28000: failure 2", "but later");
    oauth2_free(&holder);
}

static void
test_fixed(void)
{
    OAuth2 holder = {.source = NULL};
    Status st;

    status_clear(&st);
    ok(oauth2_set(&holder, "ya29.abc-_~+/=", -1, &st), "a token that is given");
    holder.until = 1;
    is_str(sign(&holder), "Authorization: Bearer ya29.abc-_~+/=", "is sent as it is, whenever");
    ok(!stale(&holder, 401), "and there is no other");
    for (const char *const *bad = (const char *const[]) {"", "a b", "a\r\nX-Evil: 1", "\xc3\xbc", NULL}; *bad != NULL; bad++)
    {
        ok(!oauth2_set(&holder, *bad, -1, &st), "what is no token is refused");
        is_str(st.sqlstate, "08P01", "with a SQLSTATE");
    }
    is_str(sign(&holder), "Authorization: Bearer ya29.abc-_~+/=", "and the one before is kept");
    oauth2_free(&holder);
}

/* What a token endpoint answers, and what becomes of it. */
static void
taken(const char *answer, const char *want)
{
    OAuth2 holder = {.source = NULL};
    Status st;

    status_clear(&st);
    if (oauth2_take(&holder, answer, strlen(answer), "the answer", &st))
        is_str(holder.token, want, "%s", answer);
    else
        is_str(st.message, want, "%s", answer);
    oauth2_free(&holder);
}

static void
test_answers(void)
{
    taken("{\"access_token\": \"abc\", \"expires_in\": 3599, \"token_type\": \"Bearer\"}", "abc");
    taken("{\"access_token\": \"abc\", \"expires_in\": \"soon\"}", "abc");
    taken("{\"access_token\": \"abc\", \"expires_in\": 1e300, \"token_type\": \"bearer\"}", "abc");
    taken("{\"access_token\": \"abc\", \"expires_in\": -5}", "abc");
    taken("{\"access_token\": \"abc\", \"token_type\": \"mac\"}", "the answer has a token of type \"mac\" in it, not Bearer");
    taken("{\"access_token\": \"a\\nb\"}", "the access token is none that can be sent");
    taken("{\"access_token\": 1}", "the answer has no access token in it");
    taken("[]", "the answer has no access token in it");
    taken("", "the answer has no access token in it");
    taken("{\"access_token\": \"abc\"", "the answer has no access token in it");
}

int
main(void)
{
    test_renewal();
    test_failures();
    test_fixed();
    test_answers();
    return done();
}
