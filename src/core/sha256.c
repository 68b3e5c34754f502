/*
 * sha256.c: see sha256.h.
 */
#include "core/sha256.h"

#include <openssl/evp.h>
#include <stdio.h>

bool
sha256_hex(const void *data, size_t n, char *hex, Status *st)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;

    if (EVP_Digest(data, n, digest, &size, EVP_sha256(), NULL) != 1)
        return status_out_of_memory(st, 0);
    for (unsigned int i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return true;
}
