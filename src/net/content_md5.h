/*
 * content_md5.h: the MD5 sum that a server says an object has, compared with that of what came.
 *
 * TLS notices what is changed on its way, plain HTTP does not.  So where there is no TLS
 * the bytes are summed up as they are read, if the server says a sum of the whole object:
 *
 *   x-goog-hash: crc32c=...,md5=BASE64     Google Cloud Storage
 *   x-ms-blob-content-md5: BASE64          Azure, of a range as well
 *   Content-MD5: BASE64                    RFC 1864, of an answer that is the whole object
 *   ETag: "HEX"                            S3, unless it was encrypted with another's key or uploaded in parts
 *
 * That takes a third of the time of decoding, so a thread does it for all but small objects.
 */
#ifndef KAIREON_CONTENT_MD5_H
#define KAIREON_CONTENT_MD5_H

#include "net/http.h"

typedef struct ContentMd5
{
    struct Md5Sum *sum;     /* so far; NULL: there is nothing to compare */
    uint8_t wanted[16];
    bool of_etag;           /* it is the ETag */
} ContentMd5;

/* From an answer about the object, before its first byte; `etag`: the ETag is one.  Where MD5 is not to be had nothing is compared. */
void content_md5_begin(ContentMd5 *md5, const HttpResponse *response, bool etag);

/* The next bytes. */
void content_md5_add(ContentMd5 *md5, const void *data, size_t n);

/* The object's end: fails (58030) when it was another sum. */
STATUS_CHECK bool content_md5_end(ContentMd5 *md5, const char *name, Status *st);

/* May be called at any time, again too. */
void content_md5_free(ContentMd5 *md5);

#endif
