/*
 * content_md5.c: see content_md5.h.
 */
#define _GNU_SOURCE     /* strcasestr */
#include "net/content_md5.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/base64.h"

#define BYTES 16
/* So much is summed up where it is read, before a thread is begun. */
#define INLINE_BYTES (1U << 20)
/* Bytes that wait for the thread, and so many for which it is woken. */
#define RING_BYTES (1U << 20)
#define WAKE_BYTES (RING_BYTES / 4)
#define STACK_BYTES (128U << 10)

typedef struct Md5Sum
{
    EVP_MD_CTX *context;
    uint64_t added;         /* bytes */
    bool failed;            /* it can't be had */

    /* the thread, and what it takes from */
    bool threaded, unthreaded;  /* there is one; there can't be */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint8_t *ring;
    size_t head, used;      /* where the first byte is, and how many there are */
    bool waits;             /* who has more waits for room */
    bool ended;             /* no more will come */
} Md5Sum;

/* ---- the thread --------------------------------------------------------------- */

static void *
sum_up(void *arg)
{
    Md5Sum *sum = arg;

    pthread_mutex_lock(&sum->lock);
    for (;;)
    {
        size_t n = sum->used;

        if (n == 0 && sum->ended)
            break;
        if (n < WAKE_BYTES && !sum->ended)
        {
            pthread_cond_wait(&sum->changed, &sum->lock);
            continue;
        }
        if (n > RING_BYTES - sum->head)
            n = RING_BYTES - sum->head;
        pthread_mutex_unlock(&sum->lock);
        if (EVP_DigestUpdate(sum->context, sum->ring + sum->head, n) != 1)
            sum->failed = true;
        pthread_mutex_lock(&sum->lock);
        sum->head = (sum->head + n) % RING_BYTES;
        sum->used -= n;
        if (sum->waits)
            pthread_cond_signal(&sum->changed);
    }
    pthread_mutex_unlock(&sum->lock);
    return NULL;
}

/* Where there can be none the bytes are summed up as before. */
static void
begin_thread(Md5Sum *sum)
{
    pthread_attr_t attributes;

    sum->ring = malloc(RING_BYTES);
    sum->unthreaded = sum->ring == NULL || pthread_attr_init(&attributes) != 0;
    if (sum->unthreaded)
        return;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_mutex_init(&sum->lock, NULL);
    pthread_cond_init(&sum->changed, NULL);
    sum->threaded = pthread_create(&sum->thread, &attributes, sum_up, sum) == 0;
    sum->unthreaded = !sum->threaded;
    pthread_attr_destroy(&attributes);
    if (sum->threaded)
        return;
    pthread_cond_destroy(&sum->changed);
    pthread_mutex_destroy(&sum->lock);
}

static void
hand_over(Md5Sum *sum, const uint8_t *data, size_t n)
{
    pthread_mutex_lock(&sum->lock);
    while (n > 0)
    {
        size_t tail = (sum->head + sum->used) % RING_BYTES, room = RING_BYTES - sum->used, piece = n < room ? n : room;

        if (piece == 0)
        {
            sum->waits = true;
            pthread_cond_wait(&sum->changed, &sum->lock);
            sum->waits = false;
            continue;
        }
        if (piece > RING_BYTES - tail)
            piece = RING_BYTES - tail;
        memcpy(sum->ring + tail, data, piece);
        sum->used += piece;
        data += piece;
        n -= piece;
        if (sum->used >= WAKE_BYTES)
            pthread_cond_signal(&sum->changed);
    }
    pthread_mutex_unlock(&sum->lock);
}

/* All that was handed over is summed up. */
static void
end_thread(Md5Sum *sum)
{
    if (!sum->threaded)
        return;
    pthread_mutex_lock(&sum->lock);
    sum->ended = true;
    pthread_cond_signal(&sum->changed);
    pthread_mutex_unlock(&sum->lock);
    pthread_join(sum->thread, NULL);
    pthread_cond_destroy(&sum->changed);
    pthread_mutex_destroy(&sum->lock);
    sum->threaded = false;
}

/* ---- what a server says ---------------------------------------------------------- */

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

/* ---- comparing --------------------------------------------------------------------- */

void
content_md5_begin(ContentMd5 *md5, const HttpResponse *response, bool etag)
{
    content_md5_free(md5);
    if (!find_wanted(md5, response, etag))
        return;
    md5->sum = calloc(1, sizeof(*md5->sum));
    if (md5->sum == NULL)
        return;
    md5->sum->context = EVP_MD_CTX_new();
    md5->sum->failed = md5->sum->context == NULL || EVP_DigestInit_ex(md5->sum->context, EVP_md5(), NULL) != 1;
}

void
content_md5_add(ContentMd5 *md5, const void *data, size_t n)
{
    Md5Sum *sum = md5->sum;

    if (sum == NULL || n == 0)
        return;
    sum->added += n;
    if (!sum->threaded && !sum->unthreaded && !sum->failed && sum->added > INLINE_BYTES)
        begin_thread(sum);
    if (sum->threaded)
        hand_over(sum, data, n);
    else if (!sum->failed)
        sum->failed = EVP_DigestUpdate(sum->context, data, n) != 1;
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
    bool fine = true;

    if (md5->sum != NULL)
    {
        end_thread(md5->sum);
        fine = md5->sum->failed || EVP_DigestFinal_ex(md5->sum->context, got, NULL) != 1 || memcmp(got, md5->wanted, BYTES) == 0;
    }
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
    if (md5->sum == NULL)
        return;
    end_thread(md5->sum);
    EVP_MD_CTX_free(md5->sum->context);
    free(md5->sum->ring);
    free(md5->sum);
    md5->sum = NULL;
}
