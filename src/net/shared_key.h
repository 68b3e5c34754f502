/*
 * shared_key.h: requests to Azure Storage, signed with an account's key.
 *
 * After "Authorize with Shared Key" in Microsoft's reference of the storage
 * services' REST API, in the form for versions from 2015-02-21 on.
 */
#ifndef KAIREON_SHARED_KEY_H
#define KAIREON_SHARED_KEY_H

#include <time.h>

#include "net/http.h"

typedef struct SharedKey
{
    const char *account;
    const uint8_t *key;
    size_t nkey;
} SharedKey;

/*
 * What is signed, appended with a zero byte behind it.  `date` is the value of x-ms-date; the
 * request's own headers have x-ms-version.  Where the account stands in the
 * URL's path as well, it comes twice.
 */
STATUS_CHECK bool shared_key_text(const HttpSigned *request, const char *account, const char *date, Buf *text, Status *st);

/* Adds Authorization and x-ms-date to `headers`. */
STATUS_CHECK bool shared_key_sign(const HttpSigned *request, const SharedKey *key, time_t now, HttpHeaders *headers, Status *st);

#endif
