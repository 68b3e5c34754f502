/*
 * base64.h: RFC 4648, over OpenSSL's.
 */
#ifndef KAIREON_BASE64_H
#define KAIREON_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With padding; to be freed.  NULL: no memory. */
char *base64_encode(const void *data, size_t n);

/* The alphabet for URLs, without padding; to be freed.  NULL: no memory. */
char *base64url_encode(const void *data, size_t n);

/* The bytes of padded text, to be freed; NULL when it is not base64 or without memory. */
uint8_t *base64_decode(const char *text, size_t *n);

#endif
