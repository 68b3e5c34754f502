/*
 * test_content_md5.c: the sums that servers say, in all the ways they do.
 */
#include "net/content_md5.h"
#include "tap.h"

/* MD5 of "hello": 5d41402abc4b2a76b9719d911017c592. */
#define BASE64 "XUFAKrxLKna5cZ2REBfFkg=="
#define LARGE "b7db30c3b98204e0e2b3fd1132ab151f"
#define HEX "5d41402abc4b2a76b9719d911017c592"

/* What comes of an answer with these headers, one a line, and these bytes: "" when they are taken. */
static const char *
compared(unsigned status, const char *lines, bool etag, const char *bytes)
{
    static Status st;
    HttpResponse response = {.status = status};
    ContentMd5 md5 = {0};
    bool fine;

    buf_init(&response.headers, 4096);
    for (; *lines != '\0'; lines += strcspn(lines, "\n"), lines += *lines == '\n')
        if (!buf_append(&response.headers, lines, strcspn(lines, "\n"), &st) || !buf_append(&response.headers, "", 1, &st))
            return "no memory";
    content_md5_begin(&md5, &response, etag);
    content_md5_add(&md5, bytes, strlen(bytes) / 2);
    content_md5_add(&md5, bytes + strlen(bytes) / 2, strlen(bytes) - strlen(bytes) / 2);
    status_clear(&st);
    fine = content_md5_end(&md5, "a.csv", &st) && content_md5_end(&md5, "a.csv", &st);
    content_md5_free(&md5);
    buf_free(&response.headers);
    return fine ? "" : st.sqlstate;
}

static void
check(unsigned status, const char *lines, bool etag, bool told, const char *what)
{
    is_str(compared(status, lines, etag, "hello"), "", "%s", what);
    is_str(compared(status, lines, etag, "hallo"), told ? STATUS_IO : "", told ? "  of which other bytes are told" : "  which is no sum of the object");
}

/* Three million bytes, in pieces that do not fit a round number, so that a thread takes part; `wrong`: one is another. */
static const char *
large(const char *sum, size_t piece, bool wrong)
{
    static uint8_t bytes[3000000];
    static Status st;
    HttpResponse response = {.status = 206};
    ContentMd5 md5 = {0};
    char line[80];
    bool fine;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t) (i * 7 + i / 1000);
    bytes[2500000] ^= wrong;
    snprintf(line, sizeof(line), "ETag: \"%s\"", sum);
    buf_init(&response.headers, 4096);
    if (!buf_append(&response.headers, line, strlen(line) + 1, &st))
        return "no memory";
    content_md5_begin(&md5, &response, true);
    for (size_t at = 0; at < sizeof(bytes); at += piece)
        content_md5_add(&md5, bytes + at, sizeof(bytes) - at < piece ? sizeof(bytes) - at : piece);
    status_clear(&st);
    fine = content_md5_end(&md5, "a.csv", &st);
    /* one that is given up in the middle leaves no thread */
    content_md5_begin(&md5, &response, true);
    content_md5_add(&md5, bytes, sizeof(bytes));
    content_md5_free(&md5);
    buf_free(&response.headers);
    return fine ? "" : st.sqlstate;
}

int
main(void)
{
    for (size_t piece = 777; piece < 10000000; piece *= 11)
    {
        is_str(large(LARGE, piece, false), "", "a large object in pieces of %zu bytes", piece);
        is_str(large(LARGE, piece, true), STATUS_IO, "  one of which is another");
    }

    check(206, "x-goog-hash: crc32c=mnG7TA==,md5=" BASE64, false, true, "Google's, in one line");
    check(206, "x-goog-hash: crc32c=mnG7TA==\nx-goog-hash: md5=" BASE64, false, true, "Google's, in a line each");
    check(206, "x-goog-hash: crc32c=mnG7TA==", false, false, "Google's, of a composed object");
    check(206, "x-ms-blob-content-md5: " BASE64, false, true, "Azure's");
    check(200, "Content-MD5: " BASE64, false, true, "that of RFC 1864");
    check(206, "Content-MD5: " BASE64, false, false, "that of a part");
    check(206, "ETag: \"" HEX "\"", true, true, "an ETag of S3");
    check(206, "ETag: \"" HEX "\"", false, false, "an ETag of anybody");
    check(206, "ETag: \"" HEX "-2\"", true, false, "of what was uploaded in parts");
    check(206, "ETag: \"" HEX "\"\nx-amz-server-side-encryption: aws:kms", true, false, "of what was encrypted with a key of its own");
    check(206, "ETag: \"" HEX "\"\nx-amz-server-side-encryption: AES256", true, true, "or with the store's");
    check(206, "ETag: \"" HEX "\"\nx-amz-server-side-encryption-customer-algorithm: AES256", true, false, "or with the reader's");
    check(200, "Content-MD5: nonsense", false, false, "what is no base64");
    check(200, "", true, false, "nothing");
    return done();
}
