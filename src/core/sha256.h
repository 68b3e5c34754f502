/*
 * sha256.h: a hash as text, over OpenSSL's.
 */
#ifndef KAIREON_SHA256_H
#define KAIREON_SHA256_H

#include <stddef.h>

#include "core/status.h"

/* The lower-case hex form of n bytes' hash into `hex`, which has room for 65.  Fails with 53200. */
STATUS_CHECK bool sha256_hex(const void *data, size_t n, char *hex, Status *st);

#endif
