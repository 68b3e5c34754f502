/*
 * s3.c: the driver for S3.  See s3.h.
 *
 * After the Amazon S3 API reference (GetObject, ListObjectsV2, CopyObject,
 * DeleteObject).  Other stores that speak the protocol are named by `endpoint`;
 * with it buckets stand in the path unless pathStyle is false.
 */
#define _GNU_SOURCE     /* memmem */
#include "../connectors/amazon_s3/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/url.h"
#include "store/keys.h"

static void
s3_close(void *session)
{
    S3 *s3 = session;

    if (s3 == NULL)
        return;
    store_close(&s3->store);
    s3_credentials_free(&s3->credentials);
    free(s3->bucket);
    free(s3->prefix);
    free(s3->region);
    free(s3->base);
    free(s3->sts);
    free(s3);
}

/* ---- signing ---------------------------------------------------------------- */

static bool
sign(void *context, const HttpSigned *request, HttpHeaders *headers, Status *st)
{
    S3 *s3 = context;
    Sigv4Scope scope = {s3->region, "s3", true, true};
    Sigv4Key key;
    bool none;

    if (!s3_credentials_get(s3, &key, &none, st))
        return false;
    return none || sigv4_sign(request, &key, &scope, time(NULL), headers, st);
}

/* Temporary keys may end before their time; then the store says so in its own words. */
static bool
stale(void *context, unsigned status, const char *body, size_t n)
{
    S3 *s3 = context;

    (void) status;
    return (memmem(body, n, "ExpiredToken", 12) != NULL || memmem(body, n, "InvalidToken", 12) != NULL) &&
        s3_credentials_forget(&s3->credentials);
}

/* ---- addresses ---------------------------------------------------------------- */

bool
s3_key_url(const S3 *s3, const char *path, Buf *url, Status *st)
{
    return buf_append(url, s3->base, strlen(s3->base), st) && buf_append(url, "/", 1, st) &&
        url_encode(url, s3->prefix, strlen(s3->prefix), true, st) && url_encode(url, path, strlen(path), true, st) &&
        buf_append(url, "", 1, st);
}

static bool
object_url(void *driver, const DriverEntry *entry, Buf *url, Status *st)
{
    if (!s3_key_url(driver, entry->path, url, st))
        return false;
    url->used--;
    return true;
}

/* A name that DNS takes as part of a host: else it must stand in the path. */
static bool
is_host_part(const char *bucket)
{
    return bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* The domain of a region's services: most have Amazon's own, those kept apart from them others. */
static const char *
region_domain(const char *region)
{
    static const struct
    {
        const char *prefix, *domain;
    } apart[] = {{"cn-", "amazonaws.com.cn"}, {"eusc-", "amazonaws.eu"}, {"us-iso-", "c2s.ic.gov"}, {"us-isob-", "sc2s.sgov.gov"},
                 {"us-isof-", "csp.hci.ic.gov"}, {"eu-isoe-", "cloud.adc-e.uk"}};

    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
        if (strncmp(region, apart[i].prefix, strlen(apart[i].prefix)) == 0)
            return apart[i].domain;
    return "amazonaws.com";
}

/* Amazon's own address of a service in the region. */
static void
amazon(const S3 *s3, const char *service, char *out, size_t size)
{
    snprintf(out, size, "https://%s.%s.%s", service, s3->region, region_domain(s3->region));
}

static bool
make_base(S3 *s3, const char *endpoint, const char *sts_endpoint, bool path_style, Status *st)
{
    char own[200];
    size_t size;
    Url url;

    amazon(s3, "s3", own, sizeof(own));
    if (!url_parse(&url, endpoint == NULL ? own : endpoint, "endpoint", st))
        return false;
    if (strcmp(url.path, "/") != 0 || url.query[0] != '\0')
    {
        url_free(&url);
        status_fail(st, STATUS_INVALID_VALUE, "endpoint must be a URL without a path");
        return status_hint(st, "The bucket is a field of its own.");
    }
    size = strlen(url.origin) + strlen(s3->bucket) + 3;
    s3->base = malloc(size);
    if (s3->base != NULL && path_style)
        snprintf(s3->base, size, "%s/%s", url.origin, s3->bucket);
    else if (s3->base != NULL)
        snprintf(s3->base, size, "%s://%s.%s", url.scheme, s3->bucket, url.origin + strlen(url.scheme) + 3);
    url_free(&url);
    if (sts_endpoint != NULL && !url_parse(&url, sts_endpoint, "stsEndpoint", st))
        return false;
    url_free(&url);
    amazon(s3, "sts", own, sizeof(own));
    s3->sts = strdup(sts_endpoint != NULL ? sts_endpoint : own);
    return (s3->base != NULL && s3->sts != NULL) || status_out_of_memory(st, size);
}

static bool
check_bucket(const char *bucket, Status *st)
{
    size_t n = strlen(bucket);

    /* Amazon's oldest have up to 255; what else a store allows is its own. */
    if (n >= 3 && n <= 255 && bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0')
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "\"%.100s\" is not the name of a bucket", bucket);
    if (strchr(bucket, '/') != NULL)
        return status_hint(st, "Give the name alone; a folder in it is the prefix, and the store's address the endpoint.");
    return status_hint(st, strncmp(bucket, "arn:", 4) == 0 ? "Give the name alone; of an access point its alias." : "It has 3 to 63 letters, digits, dots and hyphens.");
}

static bool
check_region(const char *region, Status *st)
{
    size_t n = strlen(region);

    if (n >= 1 && n <= 40 && region[strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0')
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "\"%.100s\" is not the name of a region", region);
    return status_hint(st, "Regions are called like eu-central-1.");
}

/* What the config says; only names, nothing is asked yet. */
typedef struct Config
{
    const char *bucket, *prefix, *region, *endpoint, *sts_endpoint;
    bool path_style, path_style_given, requester_pays, verify_etag;
    StoreSettings settings;
} Config;

static bool
read_config(Config *c, const json_t *json, Status *st)
{
    const JsonField fields[] = {
        {"bucket", JSON_FIELD_TEXT, true, &c->bucket, 0, 0},
        {"prefix", JSON_FIELD_TEXT, false, &c->prefix, 0, 0},
        {"region", JSON_FIELD_TEXT, false, &c->region, 0, 0},
        {"endpoint", JSON_FIELD_TEXT, false, &c->endpoint, 0, 0},
        {"stsEndpoint", JSON_FIELD_TEXT, false, &c->sts_endpoint, 0, 0},
        {"pathStyle", JSON_FIELD_BOOL, false, &c->path_style, 0, 0},
        {"requesterPays", JSON_FIELD_BOOL, false, &c->requester_pays, 0, 0},
        {"verifyEtag", JSON_FIELD_BOOL, false, &c->verify_etag, 0, 0},
        STORE_FIELDS(c->settings),
    };

    if (json == NULL)
        return status_fail(st, STATUS_INVALID_VALUE, "key \"bucket\" is missing in connector config");
    if (!json_fields_read(json, "connector config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    c->path_style_given = json_object_get(json, "pathStyle") != NULL;
    return check_bucket(c->bucket, st) && check_region(c->region, st);
}

static bool
open_session(S3 *s3, const DriverConfig *config, const Config *c, Status *st)
{
    bool path_style = c->path_style_given ? c->path_style : c->endpoint != NULL || !is_host_part(c->bucket);

    s3->bucket = strdup(c->bucket);
    s3->region = strdup(c->region);
    s3->prefix = keys_folder(c->prefix);
    if (s3->bucket == NULL || s3->region == NULL || s3->prefix == NULL)
        return status_out_of_memory(st, 0);
    s3->signer = (HttpSigner) {sign, stale, s3};
    if (c->requester_pays)
        s3->headers[s3->nheaders++] = (HttpHeader) {"x-amz-request-payer", "requester"};
    s3->store.driver = s3;
    s3->store.url = object_url;
    s3->store.signer = &s3->signer;
    s3->store.headers = s3->headers;
    s3->store.nheaders = s3->nheaders;
    s3->store.etags = true;
    s3->store.etag_md5 = c->verify_etag;
    s3->store.hint = config->moves ? "Check credentials; to move objects the policy must allow s3:GetObject, s3:PutObject and s3:DeleteObject."
                                   : "Check bucket, region, endpoint and credentials; the policy must allow s3:ListBucket and s3:GetObject.";
    return make_base(s3, c->endpoint, c->sts_endpoint, path_style, st) && s3_credentials_read(s3, config, st) &&
        store_open(&s3->store, config, &c->settings, st);
}

static bool
s3_open(const DriverConfig *config, void **session, Status *st)
{
    Config c = {.prefix = "", .region = "us-east-1", .verify_etag = true, .settings = STORE_DEFAULTS};
    S3 *s3;

    *session = NULL;
    if (!read_config(&c, config->config, st))
        return false;
    s3 = calloc(1, sizeof(*s3));
    if (s3 == NULL)
        return status_out_of_memory(st, sizeof(*s3));
    if (!open_session(s3, config, &c, st))
    {
        s3_close(s3);
        return false;
    }
    *session = s3;
    return true;
}

static bool
s3_object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    return store_object_open(&((S3 *) session)->store, entry, listed, object, info, st);
}

static void
s3_object_expect(void *session, const DriverEntry *entry)
{
    store_object_expect(&((S3 *) session)->store, entry);
}

const Driver driver_amazon_s3 = {
    .type = "amazon_s3",
    .open = s3_open,
    .close = s3_close,
    .list = s3_list,
    .look = s3_look,
    .object_open = s3_object_open,
    .object_read = store_object_read,
    .object_close = store_object_close,
    .object_expect = s3_object_expect,
    .move = s3_move,
};
