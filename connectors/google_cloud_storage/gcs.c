/*
 * gcs.c: the driver for Google Cloud Storage.  See gcs.h.
 *
 * After the reference of its JSON API, version 1 (Objects: get, list, rewrite,
 * delete).  What is asked for is the generation that was listed; the answers
 * say which one they are of.
 */
#include "../connectors/google_cloud_storage/gcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/url.h"
#include "store/keys.h"

#define SERVICE "https://storage.googleapis.com"
#define SCOPE "https://www.googleapis.com/auth/devstorage."

static void
gcs_close(void *session)
{
    Gcs *gcs = session;

    if (gcs == NULL)
        return;
    store_close(&gcs->store);
    google_auth_free(&gcs->auth);
    free(gcs->bucket);
    free(gcs->prefix);
    free(gcs->base);
    free(gcs->project);
    free(gcs);
}

/* ---- requests ------------------------------------------------------------------ */

bool
gcs_url(const Gcs *gcs, const char *path, Buf *url, Status *st)
{
    return buf_append(url, gcs->base, strlen(gcs->base), st) && buf_append(url, "/storage/v1/b/", 14, st) &&
        url_encode(url, gcs->bucket, strlen(gcs->bucket), false, st) && buf_append(url, "/o", 2, st) &&
        (path == NULL || (buf_append(url, "/", 1, st) && url_encode(url, gcs->prefix, strlen(gcs->prefix), false, st) &&
                          url_encode(url, path, strlen(path), false, st)));
}

bool
gcs_url_end(const Gcs *gcs, Buf *url, Status *st)
{
    return (gcs->project == NULL || url_add_parameter(url, "&", "userProject", gcs->project, st)) && buf_append(url, "", 1, st);
}

static bool
object_url(void *driver, const DriverEntry *entry, Buf *url, Status *st)
{
    const Gcs *gcs = driver;
    const char *generation = entry->etag != NULL && entry->etag[0] != '\0' ? entry->etag : NULL;

    if (!gcs_url(gcs, entry->path, url, st) || !url_add_parameter(url, "?", "alt", "media", st) ||
        (generation != NULL && !url_add_parameter(url, "&", "ifGenerationMatch", generation, st)) || !gcs_url_end(gcs, url, st))
        return false;
    url->used--;
    return true;
}

bool
gcs_call(Gcs *gcs, HttpRequest *request, unsigned also, json_t **json, Status *st)
{
    HttpExchange *exchange;
    const Buf *body;
    bool fine = true;

    if (json != NULL)
        *json = NULL;
    request->signer = google_auth_signer(&gcs->auth);
    request->body_max = GCS_JSON_MAX;
    if (!store_call(&gcs->store, request, also, &exchange, st))
        return false;
    body = &http_response(exchange)->body;
    if (json != NULL && http_response(exchange)->status != also && body->used > 0)
    {
        *json = json_loadb((const char *) body->data, body->used, 0, NULL);
        if (!json_is_object(*json))
        {
            fine = status_fail(st, STATUS_PROTOCOL, "the answer about %s \"%.200s\" is no JSON that can be read", request->what, request->name);
            status_hint(st, "Check the endpoint: something else may have answered.");
            json_decref(*json);
            *json = NULL;
        }
    }
    http_free(exchange);
    return fine;
}

/* ---- sessions -------------------------------------------------------------------- */

static bool
check_bucket(const char *bucket, Status *st)
{
    size_t n = strlen(bucket);

    /* With dots in it, up to 222. */
    if (n >= 3 && n <= 222 && bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-_")] == '\0')
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "\"%.100s\" is not the name of a bucket", bucket);
    if (strchr(bucket, '/') != NULL)
        return status_hint(st, "Give the name alone; a folder in it is the prefix.");
    return status_hint(st, "It has 3 to 222 lower-case letters, digits, dots, hyphens and underscores.");
}

static bool
make_base(Gcs *gcs, const char *endpoint, Status *st)
{
    Url url;
    bool fine;

    if (!url_parse(&url, endpoint, "endpoint", st))
        return false;
    fine = strcmp(url.path, "/") == 0 && url.query[0] == '\0';
    if (fine)
    {
        gcs->base = url.origin;
        url.origin = NULL;
    }
    else
    {
        status_fail(st, STATUS_INVALID_VALUE, "endpoint must be a URL without a path");
        status_hint(st, "The bucket is a field of its own.");
    }
    url_free(&url);
    return fine;
}

/* What the config says; only names, nothing is asked yet. */
typedef struct Config
{
    const char *bucket, *prefix, *project, *endpoint;
    StoreSettings settings;
} Config;

static bool
read_config(Config *c, const json_t *json, Status *st)
{
    const JsonField fields[] = {
        {"bucket", JSON_FIELD_TEXT, true, &c->bucket, 0, 0},
        {"prefix", JSON_FIELD_TEXT, false, &c->prefix, 0, 0},
        {"projectId", JSON_FIELD_TEXT, false, &c->project, 0, 0},
        {"endpoint", JSON_FIELD_TEXT, false, &c->endpoint, 0, 0},
        STORE_FIELDS(c->settings),
    };

    if (json == NULL)
        return status_fail(st, STATUS_INVALID_VALUE, "key \"bucket\" is missing in connector config");
    return json_fields_read(json, "connector config", fields, sizeof(fields) / sizeof(fields[0]), st) && check_bucket(c->bucket, st);
}

/*
 * The machine's tokens go to Google only: not to an address of the connector's choice, nor to
 * who could pose as Google with an authority of the connector's.
 */
static bool
check_machine(const Gcs *gcs, const DriverConfig *config, const Config *c, Status *st)
{
    if (strcmp(config->auth_method, "iam_role") != 0 || config->ambient == NULL)
        return true;
    if (google_auth_may_send(config->ambient, "STORAGE_EMULATOR_HOST", gcs->base) && c->settings.ca_cert == NULL &&
        (c->settings.proxy == NULL || strncmp(gcs->base, "https:", 6) == 0))
        return true;
    status_fail(st, STATUS_FORBIDDEN, "the machine's own credentials go nowhere but to Google");
    status_detail(st, "With auth_method iam_role, endpoint must be a host of googleapis.com over https, and caCert can't be given.");
    return status_hint(st, "An administrator names another endpoint by STORAGE_EMULATOR_HOST in the server's environment.");
}

static bool
open_session(Gcs *gcs, const DriverConfig *config, const Config *c, Status *st)
{
    const GoogleAuthConfig auth = {config->auth_method, config->auth, config->ambient, config->moves ? SCOPE "read_write" : SCOPE "read_only",
                                   &gcs->store.settings, config->checks};
    bool payer = c->project != NULL && c->project[0] != '\0';

    gcs->bucket = strdup(c->bucket);
    gcs->prefix = keys_folder(c->prefix);
    gcs->project = payer ? strdup(c->project) : NULL;
    if (gcs->bucket == NULL || gcs->prefix == NULL || (payer && gcs->project == NULL))
        return status_out_of_memory(st, 0);
    if (!make_base(gcs, c->endpoint, st) || !check_machine(gcs, config, c, st) || !google_auth_open(&gcs->auth, &auth, st))
        return false;
    /* Bytes as they are stored: what has Content-Encoding gzip is otherwise unpacked there, and has no ranges. */
    gcs->headers[0] = (HttpHeader) {"Accept-Encoding", "gzip"};
    gcs->store.driver = gcs;
    gcs->store.url = object_url;
    gcs->store.signer = google_auth_signer(&gcs->auth);
    gcs->store.headers = gcs->headers;
    gcs->store.nheaders = 1;
    gcs->store.secrets[0] = &gcs->auth.holder.token;
    gcs->store.version = "x-goog-generation";
    gcs->store.hint = config->moves ? "Check credentials; to move objects they must allow storage.objects.get, storage.objects.create and storage.objects.delete."
                                    : "Check bucket, endpoint and credentials; they must allow storage.objects.list and storage.objects.get.";
    return store_open(&gcs->store, config, &c->settings, st);
}

static bool
gcs_open(const DriverConfig *config, void **session, Status *st)
{
    Config c = {.prefix = "", .endpoint = SERVICE, .settings = STORE_DEFAULTS};
    Gcs *gcs;

    *session = NULL;
    if (!read_config(&c, config->config, st))
        return false;
    gcs = calloc(1, sizeof(*gcs));
    if (gcs == NULL)
        return status_out_of_memory(st, sizeof(*gcs));
    if (!open_session(gcs, config, &c, st))
    {
        gcs_close(gcs);
        return false;
    }
    *session = gcs;
    return true;
}

static bool
gcs_object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    return store_object_open(&((Gcs *) session)->store, entry, listed, object, info, st);
}

static void
gcs_object_expect(void *session, const DriverEntry *entry)
{
    store_object_expect(&((Gcs *) session)->store, entry);
}

const Driver driver_google_cloud_storage = {
    .type = "google_cloud_storage",
    .open = gcs_open,
    .close = gcs_close,
    .list = gcs_list,
    .look = gcs_look,
    .object_open = gcs_object_open,
    .object_read = store_object_read,
    .object_close = store_object_close,
    .object_expect = gcs_object_expect,
    .move = gcs_move,
};
