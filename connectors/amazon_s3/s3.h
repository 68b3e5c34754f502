/*
 * s3.h: the driver for objects in an S3 bucket.
 *
 * s3.c is the driver, list.c asks for listings, credentials.c gets the keys
 * that requests are signed with, move.c copies and deletes.
 */
#ifndef KAIREON_S3_H
#define KAIREON_S3_H

#include <time.h>

#include "net/sigv4.h"
#include "store/store.h"

extern const Driver driver_amazon_s3;

/* Bytes of an answer in XML: a page of a listing has a thousand keys. */
#define S3_XML_MAX (8U << 20)

/* Where keys come from. */
typedef enum S3Source
{
    S3_ANONYMOUS,
    S3_STATIC,          /* accessKeyId and secretAccessKey */
    S3_AMBIENT          /* the machine's own: web identity, container, instance */
} S3Source;

/* Keys that requests are signed with.  Texts are ours, and overwritten when they are freed. */
typedef struct S3Keys
{
    char *id, *secret, *token;  /* token: NULL of keys that do not expire */
    time_t expires;             /* 0: never */
} S3Keys;

typedef struct S3Credentials
{
    S3Source source;
    S3Keys own;                 /* S3_STATIC: as configured; S3_AMBIENT: as last got */
    char *role, *external_id, *session_name;    /* a role that is assumed with those; NULL: none */
    S3Keys assumed;
    json_t *ambient;            /* what the environment says; NULL: it must not be used */
} S3Credentials;

typedef struct S3
{
    Store store;
    char *bucket, *prefix;      /* the prefix is "" or ends in a slash */
    char *region;
    char *base;                 /* URL of the bucket, without a slash at its end */
    char *sts;                  /* URL of the token service */
    bool requester_pays;
    HttpHeader headers[2];
    size_t nheaders;
    HttpSigner signer, sts_signer;
    S3Credentials credentials;
} S3;

/* ---- credentials.c -------------------------------------------------------------- */

/* Reads auth_config; fails with 22023.  Does not connect. */
STATUS_CHECK bool s3_credentials_read(S3 *s3, const DriverConfig *config, Status *st);
void s3_credentials_free(S3Credentials *credentials);

/* The keys of the moment, got anew when they are about to expire; *key is borrowed until the next call.  *none: anonymous. */
STATUS_CHECK bool s3_credentials_get(S3 *s3, Sigv4Key *key, bool *none, Status *st);

/* Forgets temporary keys; false when there are none. */
bool s3_credentials_forget(S3Credentials *credentials);

/* ---- list.c -------------------------------------------------------------------- */

/* As Driver.list. */
STATUS_CHECK bool s3_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st);

/* As Driver.look. */
STATUS_CHECK bool s3_look(void *session, DriverEmit emit, void *context, Status *st);

/* ---- move.c -------------------------------------------------------------------- */

/* As Driver.move: a copy and a deletion. */
STATUS_CHECK bool s3_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

/* The URL of a key below the prefix, with its zero byte. */
STATUS_CHECK bool s3_key_url(const S3 *s3, const char *path, Buf *url, Status *st);

#endif
