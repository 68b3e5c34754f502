/*
 * gcs.h: the driver for objects in a bucket of Google Cloud Storage, over its JSON API.
 *
 * gcs.c is the driver, list.c asks for listings, move.c copies and deletes.
 * Credentials are those of all of Google's APIs: net/google_auth.h.
 *
 * A version of an object is its generation.  It stands in the place of the etag, which
 * changes with the metadata as well.
 */
#ifndef KAIREON_GCS_H
#define KAIREON_GCS_H

#include "net/google_auth.h"
#include "store/store.h"

extern const Driver driver_google_cloud_storage;

/* Bytes of an answer: a page of a listing has a thousand objects. */
#define GCS_JSON_MAX (8U << 20)

typedef struct Gcs
{
    Store store;
    char *bucket, *prefix;      /* the prefix is "" or ends in a slash */
    char *base;                 /* URL of the service, without a slash at its end */
    char *project;              /* that pays; NULL: nobody said */
    HttpHeader headers[1];      /* of requests for objects' bytes */
    GoogleAuth auth;
} Gcs;

/* The URL of a key below the prefix, without a zero byte; path NULL: of the bucket's objects. */
STATUS_CHECK bool gcs_url(const Gcs *gcs, const char *path, Buf *url, Status *st);

/* Ends a URL of which the part behind `?` is at least one parameter: who pays, and the zero byte. */
STATUS_CHECK bool gcs_url_end(const Gcs *gcs, Buf *url, Status *st);

/*
 * Sends a request, whose body_max and signer are set here, and takes its answer apart: *json is
 * the caller's to free, NULL of an answer with status `also` or without a body.  json NULL: what
 * the answer says does not matter.
 */
STATUS_CHECK bool gcs_call(Gcs *gcs, HttpRequest *request, unsigned also, json_t **json, Status *st);

/* ---- list.c -------------------------------------------------------------------- */

/* As Driver.list. */
STATUS_CHECK bool gcs_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st);

/* As Driver.look. */
STATUS_CHECK bool gcs_look(void *session, DriverEmit emit, void *context, Status *st);

/* ---- move.c -------------------------------------------------------------------- */

/* As Driver.move: a rewrite and a deletion. */
STATUS_CHECK bool gcs_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

#endif
