/*
 * sigv4.h: AWS Signature Version 4, in the Authorization header.
 *
 * After "Authenticating Requests (AWS Signature Version 4)" in Amazon's API
 * reference of S3, and the test suite published with the general one.
 */
#ifndef KAIREON_SIGV4_H
#define KAIREON_SIGV4_H

#include <time.h>

#include "net/http.h"

typedef struct Sigv4Key
{
    const char *id, *secret;
    const char *token;          /* of temporary credentials; NULL: none */
} Sigv4Key;

typedef struct Sigv4Scope
{
    const char *region, *service;
    bool path_once;             /* S3: the path is encoded once, and as it is; else twice and without "." and ".." */
    bool payload_header;        /* S3: sends x-amz-content-sha256 */
} Sigv4Scope;

/*
 * Adds Authorization, x-amz-date and, where they belong, x-amz-security-token
 * and x-amz-content-sha256 to `headers`.  Signs the host, these, and those of
 * the request's headers that begin with "x-amz-" or are the content type.
 */
STATUS_CHECK bool sigv4_sign(const HttpSigned *request, const Sigv4Key *key, const Sigv4Scope *scope, time_t now,
                             HttpHeaders *headers, Status *st);

#endif
