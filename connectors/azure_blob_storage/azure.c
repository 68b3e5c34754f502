/*
 * azure.c: the driver for Azure Blob Storage.  See azure.h.
 *
 * After Microsoft's reference of the Blob service's REST API (Get Blob, List
 * Blobs, Copy Blob, Delete Blob).  An account is a host of its own; with
 * `endpoint` it is whatever URL the containers' names stand behind.
 */
#include "../connectors/azure_blob_storage/azure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/url.h"
#include "store/keys.h"
#include "store/xml.h"

/* The first version that escapes names which XML can't hold is 2021-02-12. */
#define API_VERSION "2021-12-02"

static void
azure_close(void *session)
{
    Azure *azure = session;

    if (azure == NULL)
        return;
    store_close(&azure->store);
    azure_credentials_free(&azure->auth);
    free(azure->account);
    free(azure->container);
    free(azure->prefix);
    free(azure->base);
    free(azure);
}

static bool
sign(void *context, const HttpSigned *request, HttpHeaders *headers, Status *st)
{
    const Azure *azure = context;
    const SharedKey key = {azure->account, azure->auth.key, azure->auth.nkey};

    return shared_key_sign(request, &key, time(NULL), headers, st);
}

const HttpSigner *
azure_signer(const Azure *azure)
{
    return azure->auth.key == NULL ? NULL : &azure->signer;
}

/* ---- addresses ---------------------------------------------------------------- */

bool
azure_add_signature(const Azure *azure, const char *before, Buf *url, Status *st)
{
    const char *sas = azure->auth.sas;

    return sas == NULL || (buf_append(url, before, strlen(before), st) && buf_append(url, sas, strlen(sas), st));
}

bool
azure_blob_url(const Azure *azure, const char *path, Buf *url, Status *st)
{
    return buf_append(url, azure->base, strlen(azure->base), st) && buf_append(url, "/", 1, st) &&
        url_encode(url, azure->prefix, strlen(azure->prefix), true, st) && url_encode(url, path, strlen(path), true, st) &&
        azure_add_signature(azure, "?", url, st) && buf_append(url, "", 1, st);
}

static bool
object_url(void *driver, const DriverEntry *entry, Buf *url, Status *st)
{
    if (!azure_blob_url(driver, entry->path, url, st))
        return false;
    url->used--;
    return true;
}

static bool
make_base(Azure *azure, const char *endpoint, Status *st)
{
    char own[300];
    size_t size, path;
    Url url;

    /* The config's own word counts more than what a connection string has for all who use it. */
    if (endpoint == NULL)
        endpoint = azure->auth.endpoint;
    snprintf(own, sizeof(own), "%s://%s.blob.%.200s", azure->auth.plain_http ? "http" : "https", azure->account == NULL ? "account" : azure->account,
             azure->auth.suffix == NULL ? "core.windows.net" : azure->auth.suffix);
    if (!url_parse(&url, endpoint == NULL ? own : endpoint, "endpoint", st))
        return false;
    if (url.query[0] != '\0')
    {
        url_free(&url);
        status_fail(st, STATUS_INVALID_VALUE, "endpoint must be a URL without a query");
        return status_hint(st, "Container and prefix are fields of their own, and a signature belongs in auth_config.");
    }
    path = strlen(url.path);
    while (path > 0 && url.path[path - 1] == '/')
        path--;
    size = strlen(url.origin) + path + strlen(azure->container) + 2;
    azure->base = malloc(size);
    if (azure->base != NULL)
        snprintf(azure->base, size, "%s%.*s/%s", url.origin, (int) path, url.path, azure->container);
    url_free(&url);
    return azure->base != NULL || status_out_of_memory(st, size);
}

/* ---- what the config says ------------------------------------------------------ */

typedef struct Config
{
    const char *account, *container, *prefix, *endpoint;
    StoreSettings settings;
} Config;

bool
azure_check_account(const char *account, Status *st)
{
    size_t n = strlen(account);

    if (n >= 3 && n <= 24 && account[strspn(account, "abcdefghijklmnopqrstuvwxyz0123456789")] == '\0')
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "\"%.100s\" is not the name of a storage account", account);
    return status_hint(st, "It has 3 to 24 lower-case letters and digits.");
}

static bool
check_container(const char *container, Status *st)
{
    size_t n = strlen(container);

    if ((n >= 3 && n <= 63 && container[strspn(container, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0' && container[0] != '-' &&
         container[n - 1] != '-' && strstr(container, "--") == NULL) ||
        strcmp(container, "$root") == 0 || strcmp(container, "$web") == 0 || strcmp(container, "$logs") == 0 || strcmp(container, "$blobchangefeed") == 0)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "\"%.100s\" is not the name of a container", container);
    if (strchr(container, '/') != NULL)
        return status_hint(st, "Give the name alone; a folder in it is the prefix.");
    return status_hint(st, "It has 3 to 63 lower-case letters, digits and hyphens, of which none stands at an end or beside another, or is $root, $web or $logs.");
}

static bool
read_config(Config *c, const json_t *json, Status *st)
{
    const JsonField fields[] = {
        {"storageAccount", JSON_FIELD_TEXT, false, &c->account, 0, 0},
        {"container", JSON_FIELD_TEXT, true, &c->container, 0, 0},
        {"prefix", JSON_FIELD_TEXT, false, &c->prefix, 0, 0},
        {"endpoint", JSON_FIELD_TEXT, false, &c->endpoint, 0, 0},
        STORE_FIELDS(c->settings),
    };

    if (json == NULL)
        return status_fail(st, STATUS_INVALID_VALUE, "key \"container\" is missing in connector config");
    return json_fields_read(json, "connector config", fields, sizeof(fields) / sizeof(fields[0]), st) &&
        (c->account == NULL || azure_check_account(c->account, st)) && check_container(c->container, st);
}

/* What to look at for who is refused. */
static void
make_hint(Azure *azure)
{
    const AzureAuth *auth = &azure->auth;
    int64_t until;

    if (auth->sas == NULL)
        snprintf(azure->hint, sizeof(azure->hint), "Check storageAccount, container, endpoint and the account's key.");
    else if (store_iso_time(auth->until, &until) && until / 1000000 < time(NULL))
        snprintf(azure->hint, sizeof(azure->hint), "The shared access signature expired at %s.", auth->until);
    else
        snprintf(azure->hint, sizeof(azure->hint),
                 "Check storageAccount, container, endpoint and the shared access signature: it must hold now and allow reading and listing (sp=rl).");
}

/* Without a name an account can't be signed for, nor its host be known; a signature at an address that is given needs none. */
static bool
require_account(const Azure *azure, const DriverConfig *config, const char *endpoint, Status *st)
{
    bool in_string = strcmp(config->auth_method, "connection_string") == 0;
    bool unknown = config->checks && azure->auth.key == NULL && azure->auth.sas == NULL;

    if (azure->account != NULL || (in_string && (unknown || (azure->auth.key == NULL && (endpoint != NULL || azure->auth.endpoint != NULL)))))
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "key \"storageAccount\" is missing in connector config");
    return status_hint(st, in_string ? "connectionString has no AccountName either." : "Only a connection string says which account it is for.");
}

static bool
open_session(Azure *azure, const DriverConfig *config, const Config *c, Status *st)
{
    azure->account = c->account == NULL ? NULL : strdup(c->account);
    azure->container = strdup(c->container);
    azure->prefix = keys_folder(c->prefix);
    if ((c->account != NULL && azure->account == NULL) || azure->container == NULL || azure->prefix == NULL)
        return status_out_of_memory(st, 0);
    if (!azure_credentials_read(azure, config, st) || !require_account(azure, config, c->endpoint, st) || !make_base(azure, c->endpoint, st))
        return false;
    make_hint(azure);
    azure->signer = (HttpSigner) {sign, NULL, azure};
    azure->headers[0] = (HttpHeader) {"x-ms-version", API_VERSION};
    azure->store.driver = azure;
    azure->store.url = object_url;
    azure->store.signer = azure_signer(azure);
    azure->store.headers = azure->headers;
    azure->store.nheaders = 1;
    azure->store.etags = true;
    azure->store.hint = azure->hint;
    azure->store.secrets[0] = &azure->auth.signature;
    azure->store.secrets[1] = &azure->auth.plain_signature;
    return store_open(&azure->store, config, &c->settings, st);
}

static bool
azure_open(const DriverConfig *config, void **session, Status *st)
{
    Config c = {.prefix = "", .settings = STORE_DEFAULTS};
    Azure *azure;

    *session = NULL;
    if (!read_config(&c, config->config, st))
        return false;
    azure = calloc(1, sizeof(*azure));
    if (azure == NULL)
        return status_out_of_memory(st, sizeof(*azure));
    if (!open_session(azure, config, &c, st))
    {
        azure_close(azure);
        return false;
    }
    *session = azure;
    return true;
}

static bool
azure_object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    return store_object_open(&((Azure *) session)->store, entry, listed, object, info, st);
}

static void
azure_object_expect(void *session, const DriverEntry *entry)
{
    store_object_expect(&((Azure *) session)->store, entry);
}

const Driver driver_azure_blob_storage = {
    .type = "azure_blob_storage",
    .open = azure_open,
    .close = azure_close,
    .list = azure_list,
    .look = azure_look,
    .object_open = azure_object_open,
    .object_read = store_object_read,
    .object_close = store_object_close,
    .object_expect = azure_object_expect,
    .move = azure_move,
};
