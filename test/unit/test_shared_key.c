/*
 * test_shared_key.c: what is signed for Azure Storage, against the examples of
 * Microsoft's "Authorize with Shared Key", and the order of names that its
 * service was seen to expect.
 */
#include <curl/curl.h>

#include "net/shared_key.h"
#include "tap.h"

#define DATE "Fri, 26 Jun 2015 23:39:12 GMT"
#define DATE_SECONDS 1435361952
#define VERSION {"x-ms-version", "2015-02-21"}

static void
check(const char *what, const HttpSigned *request, const char *want)
{
    Buf text;
    Status st;

    status_clear(&st);
    buf_init(&text, 1U << 16);
    if (ok(shared_key_text(request, "myaccount", DATE, &text, &st), "%s: there is a text %s", what, st.message))
        is_str((const char *) text.data, want, "%s", what);
    buf_free(&text);
}

static void
test_examples(void)
{
    const HttpHeader headers[] = {VERSION};
    const HttpSigned metadata = {.method = "GET", .url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20", .headers = headers, .nheaders = 1};
    const HttpSigned list = {.method = "GET", .headers = headers, .nheaders = 1,
                             .url = "https://myaccount.blob.core.windows.net/container?restype=container&comp=list&include=snapshots&include=metadata&include=uncommittedblobs"};
    const HttpSigned secondary = {.method = "GET", .headers = headers, .nheaders = 1, .url = "https://myaccount-secondary.blob.core.windows.net/mycontainer/myblob"};

    check("metadata of a container", &metadata,
          "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
    check("a parameter that comes several times", &list,
          "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n/myaccount/container\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nrestype:container");
    check("a secondary location", &secondary, "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n/myaccount/mycontainer/myblob");
}

static void
test_requests(void)
{
    const HttpHeader plain[] = {VERSION}, copy[] = {{"If-None-Match", "*"}, {"X-Ms-Copy-Source", " http://h/a b\t"}, VERSION, {"Content-Type", "a/b"}};
    const HttpSigned range = {.method = "GET", .url = "http://127.0.0.1:10000/myaccount/c/a%20b%3F?prefix=a%2Fb&Comp=x&marker=", .headers = plain, .nheaders = 1, .range = "bytes=0-9", .if_match = "\"0x1\""};
    const HttpSigned put = {.method = "PUT", .url = "http://h/c/d", .headers = copy, .nheaders = 4, .body = "", .nbody = 0};
    const HttpSigned form = {.method = "PUT", .url = "http://h/", .headers = plain, .nheaders = 1, .body = "abc", .nbody = 3};

    check("an account in the path, a range, parameters that are encoded", &range,
          "GET\n\n\n\n\n\n\n\n\"0x1\"\n\n\nbytes=0-9\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n/myaccount/myaccount/c/a%20b%3F\ncomp:x\nmarker:\nprefix:a/b");
    check("a length of zero, headers with spaces around them", &put,
          "PUT\n\n\n\n\na/b\n\n\n\n*\n\n\nx-ms-copy-source:http://h/a b\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n/myaccount/c/d");
    check("a body of which libcurl says the type", &form,
          "PUT\n\n\n3\n\napplication/x-www-form-urlencoded\n\n\n\n\n\n\nx-ms-date:" DATE "\nx-ms-version:2015-02-21\n/myaccount/");
}

/* Hyphens count last, and an underscore comes before digits and letters. */
static void
test_order(void)
{
    static const char *const names[] = {"test", "test-", "test--", "test_-", "test-_", "test__", "test_0", "test_a", "test_a-", "test-_a", "test_a_", "test_a-_", "test_z", "test0", "test-a"};
    HttpHeader headers[15];
    char all[15][40], want[1000] = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" DATE "\n";

    for (int i = 0; i < 15; i++)
    {
        snprintf(all[i], sizeof(all[i]), "x-ms-meta-%s", names[i]);
        headers[(i * 7) % 15] = (HttpHeader) {all[i], "v"};
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s:v\n", all[i]);
    }
    snprintf(want + strlen(want), sizeof(want) - strlen(want), "/myaccount/c");
    check("names of metadata", &(HttpSigned) {.method = "GET", .url = "http://h/c", .headers = headers, .nheaders = 15}, want);
}

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
test_signature(void)
{
    const HttpHeader plain[] = {VERSION};
    const HttpSigned metadata = {.method = "GET", .url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20", .headers = plain, .nheaders = 1};
    const SharedKey key = {"myaccount", (const uint8_t *) "0123456789abcdef", 16};
    HttpHeaders headers = {NULL};
    Status st;

    status_clear(&st);
    ok(shared_key_sign(&metadata, &key, DATE_SECONDS, &headers, &st), "a request is signed %s", st.message);
    is_str(header_of(&headers, "x-ms-date"), DATE, "with its time");
    is_str(header_of(&headers, "Authorization"), "SharedKey myaccount:qN+w4DH2Z0eIswxyglB15ZUPn9tSJtHnql0GJQ63rtM=", "by HMAC-SHA256");
    http_headers_free(&headers);
}

int
main(void)
{
    test_examples();
    test_requests();
    test_order();
    test_signature();
    return done();
}
