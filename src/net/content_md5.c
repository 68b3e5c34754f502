/*
 * content_md5.c: see content_md5.h.
 */
#define _GNU_SOURCE     /* strcasestr */
#include "net/content_md5.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base64.h"

#define BYTES 16

static bool
from_base64(const char *text, size_t length, uint8_t *out)
{
    char *copy = strndup(text, length);
    size_t n = 0;
    uint8_t *bytes = copy == NULL ? NULL : base64_decode(copy, &n);
    bool fine = bytes != NULL && n == BYTES;

    if (fine)
        memcpy(out, bytes, BYTES);
    free(bytes);
    free(copy);
    return fine;
}

/* 32 hexadecimal digits in quotes: an object that was uploaded in parts has "-" and their number behind them. */
static bool
from_etag(const HttpResponse *response, uint8_t *out)
{
    const char *etag = http_response_header(response, "etag"), *encrypted = http_response_header(response, "x-amz-server-side-encryption");

    if (etag == NULL || strlen(etag) != 2 * BYTES + 2 || etag[0] != '"' || etag[2 * BYTES + 1] != '"' ||
        strspn(etag + 1, "0123456789abcdefABCDEF") != 2 * BYTES || (encrypted != NULL && strncmp(encrypted, "aws:kms", 7) == 0) ||
        http_response_header(response, "x-amz-server-side-encryption-customer-algorithm") != NULL)
        return false;
    for (size_t i = 0; i < BYTES; i++)
    {
        char digits[3] = {etag[1 + 2 * i], etag[2 + 2 * i]};

        out[i] = (uint8_t) strtoul(digits, NULL, 16);
    }
    return true;
}

/* The one of a list "crc32c=...,md5=...", or of several such headers. */
static bool
from_hashes(const HttpResponse *response, uint8_t *out)
{
    static const char name[] = "x-goog-hash:";
    const Buf *headers = &response->headers;

    for (size_t at = 0; at < headers->used; at += strlen((const char *) headers->data + at) + 1)
    {
        const char *line = (const char *) headers->data + at, *md5;

        if (strncasecmp(line, name, sizeof(name) - 1) != 0)
            continue;
        md5 = strcasestr(line, "md5=");
        if (md5 != NULL && strchr(":, ", md5[-1]) != NULL)
            return from_base64(md5 + 4, strcspn(md5 + 4, ", "), out);
    }
    return false;
}

static bool
find_wanted(ContentMd5 *md5, const HttpResponse *response, bool etag)
{
    const char *whole = http_response_header(response, "x-ms-blob-content-md5");

    md5->of_etag = false;

    if (whole == NULL && response->status == 200)
        whole = http_response_header(response, "content-md5");
    if (whole != NULL)
        return from_base64(whole, strlen(whole), md5->wanted);
    if (from_hashes(response, md5->wanted))
        return true;
    md5->of_etag = etag && from_etag(response, md5->wanted);
    return md5->of_etag;
}

void
content_md5_begin(ContentMd5 *md5, const HttpResponse *response, bool etag)
{
    content_md5_free(md5);
    if (!find_wanted(md5, response, etag))
        return;
    md5->sum = EVP_MD_CTX_new();
    if (md5->sum != NULL && EVP_DigestInit_ex(md5->sum, EVP_md5(), NULL) != 1)
        content_md5_free(md5);
}

void
content_md5_add(ContentMd5 *md5, const void *data, size_t n)
{
    if (md5->sum != NULL && EVP_DigestUpdate(md5->sum, data, n) != 1)
        content_md5_free(md5);
}

static void
hex(const uint8_t *bytes, char *out)
{
    for (size_t i = 0; i < BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

bool
content_md5_end(ContentMd5 *md5, const char *name, Status *st)
{
    uint8_t got[EVP_MAX_MD_SIZE];
    char wanted_hex[2 * BYTES + 1], got_hex[2 * BYTES + 1];
    bool fine = md5->sum == NULL || EVP_DigestFinal_ex(md5->sum, got, NULL) != 1 || memcmp(got, md5->wanted, BYTES) == 0;

    content_md5_free(md5);
    if (fine)
        return true;
    hex(md5->wanted, wanted_hex);
    hex(got, got_hex);
    status_fail(st, STATUS_IO, "file \"%.500s\" was damaged on its way", name);
    status_detail(st, "The server says that its MD5 sum is %s, and that of what came is %s.", wanted_hex, got_hex);
    return status_hint(st, "Try again, and use https, which protects what is on its way.%s",
                       md5->of_etag ? "  Where the store's ETags are no MD5 sums, give the connector \"verifyEtag\": false." : "");
}

void
content_md5_free(ContentMd5 *md5)
{
    EVP_MD_CTX_free(md5->sum);
    md5->sum = NULL;
}
