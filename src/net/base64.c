/*
 * base64.c: see base64.h.
 */
#include "net/base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

char *
base64_encode(const void *data, size_t n)
{
    char *out;

    if (n > INT_MAX / 2)
        return NULL;
    out = malloc((n + 2) / 3 * 4 + 1);
    if (out != NULL)
        (void) EVP_EncodeBlock((unsigned char *) out, data, (int) n);
    return out;
}

char *
base64url_encode(const void *data, size_t n)
{
    char *out = base64_encode(data, n), *at;

    for (at = out; out != NULL && *at != '\0' && *at != '='; at++)
        *at = (char) (*at == '+' ? '-' : *at == '/' ? '_' : *at);
    if (out != NULL)
        *at = '\0';
    return out;
}

uint8_t *
base64_decode(const char *text, size_t *n)
{
    size_t length = strlen(text);
    uint8_t *out;
    int got;

    if (length % 4 != 0 || length > INT_MAX / 2)
        return NULL;
    out = malloc(length / 4 * 3 + 1);
    got = out == NULL ? -1 : EVP_DecodeBlock(out, (const unsigned char *) text, (int) length);
    if (got < 0)
    {
        free(out);
        return NULL;
    }
    /* The padding counts as bytes. */
    *n = (size_t) got - (length > 0 && text[length - 1] == '=') - (length > 1 && text[length - 2] == '=');
    return out;
}
