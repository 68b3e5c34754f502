/*
 * test_sigv4.c: signatures against the examples that Amazon publishes.
 *
 * The requests of "Signature Calculations for the Authorization Header" (S3)
 * and of the general test suite: get-vanilla, get-vanilla-query-order-key-case,
 * post-vanilla, get-header-value-trim, post-x-www-form-urlencoded.
 */
#include <curl/curl.h>
#include <stdlib.h>

#include "net/sigv4.h"
#include "tap.h"

#define S3_ID "AKIAIOSFODNN7EXAMPLE"
#define S3_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define SUITE_ID "AKIDEXAMPLE"
#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static const Sigv4Scope s3 = {"us-east-1", "s3", true, true};
static const Sigv4Scope suite = {"us-east-1", "service", false, false};

/* 2013-05-24 00:00:00 and 2015-08-30 12:36:00, UTC. */
#define S3_TIME 1369353600
#define SUITE_TIME 1440938160

static const char *
header_of(const HttpHeaders *headers, const char *name)
{
    size_t n = strlen(name);

    for (const struct curl_slist *each = headers->list; each != NULL; each = each->next)
        if (strncmp(each->data, name, n) == 0 && each->data[n] == ':')
            return each->data + n + 2;
    return "";
}

static void
check(const char *what, const HttpSigned *request, const Sigv4Key *key, const Sigv4Scope *scope, time_t now, const char *names, const char *signature)
{
    HttpHeaders headers = {NULL};
    char tail[400];
    const char *got;
    Status st;

    status_clear(&st);
    if (!ok(sigv4_sign(request, key, scope, now, &headers, &st), "%s: is signed %s", what, st.message))
        return;
    snprintf(tail, sizeof(tail), ",SignedHeaders=%s,Signature=%s", names, signature);
    got = strstr(header_of(&headers, "Authorization"), ",SignedHeaders=");
    is_str(got == NULL ? "" : got, tail, "%s", what);
    http_headers_free(&headers);
}

static void
test_s3(void)
{
    const Sigv4Key key = {S3_ID, S3_SECRET, NULL};
    HttpSigned list = {.method = "GET", .url = "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J"};
    HttpSigned lifecycle = {.method = "GET", .url = "https://examplebucket.s3.amazonaws.com/?lifecycle"};

    check("GET bucket (list objects)", &list, &key, &s3, S3_TIME, "host;x-amz-content-sha256;x-amz-date",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    check("GET bucket lifecycle", &lifecycle, &key, &s3, S3_TIME, "host;x-amz-content-sha256;x-amz-date",
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void
test_suite(void)
{
    const Sigv4Key key = {SUITE_ID, SUITE_SECRET, NULL};
    HttpSigned vanilla = {.method = "GET", .url = "https://example.amazonaws.com/"};
    HttpSigned order = {.method = "GET", .url = "https://example.amazonaws.com/?Param2=value2&Param1=value1"};
    HttpSigned post = {.method = "POST", .url = "https://example.amazonaws.com/"};
    HttpHeader form[] = {{"Content-Type", "application/x-www-form-urlencoded"}};
    HttpSigned posted = {.method = "POST", .url = "https://example.amazonaws.com/", .headers = form, .nheaders = 1, .body = "Param1=value1", .nbody = 13};

    check("get-vanilla", &vanilla, &key, &suite, SUITE_TIME, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    check("get-vanilla-query-order-key-case", &order, &key, &suite, SUITE_TIME, "host;x-amz-date",
          "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    check("post-vanilla", &post, &key, &suite, SUITE_TIME, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    check("post-x-www-form-urlencoded", &posted, &key, &suite, SUITE_TIME, "content-type;host;x-amz-date",
          "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
}

int
main(void)
{
    test_s3();
    test_suite();
    return done();
}
