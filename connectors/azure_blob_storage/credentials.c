/*
 * credentials.c: an account's key, or a shared access signature, alone or in a
 * connection string.
 *
 * What is wrong with them is said without showing any of it: even the name of
 * a part may be a piece of a key that was pasted into the wrong field.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../connectors/azure_blob_storage/azure.h"
#include "core/secret.h"
#include "net/base64.h"
#include "net/url.h"

/* Longest name of a part that is shown: no key is that short. */
#define NAME_MAX_SHOWN 30
#define PARTS "AccountName, AccountKey, SharedAccessSignature, BlobEndpoint, EndpointSuffix, DefaultEndpointsProtocol"

void
azure_credentials_free(AzureAuth *auth)
{
    if (auth->key != NULL)
        explicit_bzero(auth->key, auth->nkey);
    free(auth->key);
    secret_free(auth->sas);
    secret_free(auth->signature);
    secret_free(auth->plain_signature);
    free(auth->endpoint);
    free(auth->suffix);
}

/* ---- a key ---------------------------------------------------------------------- */

static bool
take_key(AzureAuth *auth, const char *text, Status *st)
{
    auth->key = base64_decode(text, &auth->nkey);
    if (auth->key != NULL && auth->nkey > 0)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "the account key is not base64");
    return status_hint(st, "Copy it as the portal shows it, with the \"==\" at its end.");
}

/* ---- a signature ------------------------------------------------------------------ */

/* A copy of a parameter's value, as it stands there; NULL: it is not there, or no memory. */
static char *
find_parameter(const char *sas, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = sas;; at++)
    {
        if (strncmp(at, name, n) == 0 && at[n] == '=')
            return strndup(at + n + 1, strcspn(at + n + 1, "&"));
        at += strcspn(at, "&");
        if (*at == '\0')
            return NULL;
    }
}

/* When it expires, if that is a time that can be shown. */
static void
take_end(AzureAuth *auth)
{
    char *until = find_parameter(auth->sas, "se");

    if (until != NULL)
        url_decode(until);
    if (until != NULL && strlen(until) < sizeof(auth->until) && until[strspn(until, "0123456789-:.TZ")] == '\0')
        snprintf(auth->until, sizeof(auth->until), "%s", until);
    free(until);
}

static bool
take_sas(AzureAuth *auth, const char *text, Status *st)
{
    text += text[0] == '?';
    for (const char *at = text; *at != '\0'; at++)
        if (!isalnum((unsigned char) *at) && strchr("%&=-._~:/+,!$'()*;@", *at) == NULL)
        {
            status_fail(st, STATUS_INVALID_VALUE, "the shared access signature has a character in it that no URL has");
            return status_hint(st, "Give what stands behind the question mark of a URL that it is for, as it is there.");
        }
    auth->sas = strdup(text);
    auth->signature = find_parameter(text, "sig");
    if (auth->signature == NULL || auth->signature[0] == '\0')
    {
        status_fail(st, STATUS_INVALID_VALUE, "the shared access signature has no parameter \"sig\"");
        return status_hint(st, "It looks like sv=...&se=...&sr=c&sp=rl&sig=...");
    }
    auth->plain_signature = strdup(auth->signature);
    if (auth->sas == NULL || auth->plain_signature == NULL)
        return status_out_of_memory(st, strlen(text));
    url_decode(auth->plain_signature);
    take_end(auth);
    return true;
}

/* ---- a connection string ------------------------------------------------------------ */

typedef struct Parts
{
    const char *account, *key, *sas, *endpoint, *suffix, *protocol, *development;
} Parts;

static bool
unknown_part(const char *name, Status *st)
{
    bool plain = strlen(name) <= NAME_MAX_SHOWN;

    for (const char *at = name; *at != '\0'; at++)
        plain = plain && isalpha((unsigned char) *at);
    if (plain && name[0] != '\0')
        status_fail(st, STATUS_INVALID_VALUE, "unknown part \"%s\" in connectionString", name);
    else
        status_fail(st, STATUS_INVALID_VALUE, "connectionString is not a connection string");
    return status_hint(st, "It consists of NAME=VALUE with semicolons in between. Names that are understood: " PARTS ".");
}

/* Where the value of a part goes; NULL: there is no such part.  Those of other services go nowhere. */
static const char **
find_part(Parts *parts, const char *name)
{
    static const char *ignored;
    const struct { const char *name; const char **out; } known[] = {
        {"AccountName", &parts->account}, {"AccountKey", &parts->key}, {"SharedAccessSignature", &parts->sas}, {"BlobEndpoint", &parts->endpoint},
        {"EndpointSuffix", &parts->suffix}, {"DefaultEndpointsProtocol", &parts->protocol}, {"UseDevelopmentStorage", &parts->development},
        {"BlobSecondaryEndpoint", &ignored}, {"QueueEndpoint", &ignored}, {"QueueSecondaryEndpoint", &ignored}, {"TableEndpoint", &ignored},
        {"TableSecondaryEndpoint", &ignored}, {"FileEndpoint", &ignored}, {"FileSecondaryEndpoint", &ignored},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcasecmp(known[i].name, name) == 0)
            return known[i].out;
    return NULL;
}

/* A text without spaces and line ends around it; cuts it. */
static char *
trim(char *text)
{
    size_t n;

    text += strspn(text, " \t\r\n");
    n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
        n--;
    text[n] = '\0';
    return text;
}

/* Cuts the text into its parts, which stay in it. */
static bool
read_parts(char *text, Parts *parts, Status *st)
{
    char *save = NULL;

    for (char *part = strtok_r(text, ";", &save); part != NULL; part = strtok_r(NULL, ";", &save))
    {
        char *equals = strchr(part, '='), *name;
        const char **out;

        if (equals != NULL)
            *equals = '\0';
        name = trim(part);
        if (equals == NULL && name[0] == '\0')
            continue;
        out = equals == NULL ? NULL : find_part(parts, name);
        if (out == NULL)
            return unknown_part(equals == NULL ? "" : name, st);
        *out = trim(equals + 1);
    }
    return true;
}

static bool
check_suffix(const char *suffix, Status *st)
{
    size_t n = strlen(suffix);

    return (n > 0 && n <= 200 && suffix[strspn(suffix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] == '\0') ||
        status_fail(st, STATUS_INVALID_VALUE, "EndpointSuffix in connectionString is not the end of a host's name");
}

static bool
keep(const char *text, char **out, Status *st)
{
    if (text == NULL)
        return true;
    *out = strdup(text);
    return *out != NULL || status_out_of_memory(st, strlen(text));
}

/* The account that Azure's own host of an endpoint is named after, to be freed; NULL: it is another's host. */
static char *
endpoint_account(const char *endpoint)
{
    const char *host = strstr(endpoint, "://");
    size_t n;

    if (host == NULL)
        return NULL;
    host += 3;
    n = strcspn(host, "./");
    return strncasecmp(host + n, ".blob.", 6) == 0 ? strndup(host, n) : NULL;
}

/* Which account it is: the connection string says it by its name, or by the host it is at. */
static bool
take_account(Azure *azure, const Parts *parts, Status *st)
{
    char *found = parts->account != NULL ? strdup(parts->account) : parts->endpoint != NULL ? endpoint_account(parts->endpoint) : NULL;

    if (parts->account != NULL && found == NULL)
        return status_out_of_memory(st, strlen(parts->account));
    if (azure->account == NULL)
    {
        azure->account = found;
        return found == NULL || azure_check_account(found, st);
    }
    if (found != NULL && strcmp(found, azure->account) != 0)
    {
        free(found);
        status_fail(st, STATUS_INVALID_VALUE, "connectionString is for another account than storageAccount \"%s\"", azure->account);
        return status_hint(st, "Leave storageAccount out: the connection string says which it is.");
    }
    free(found);
    return true;
}

static bool
take_parts(Azure *azure, const Parts *parts, Status *st)
{
    AzureAuth *auth = &azure->auth;

    if (parts->development != NULL && strcasecmp(parts->development, "false") != 0)
    {
        status_fail(st, STATUS_INVALID_VALUE, "connectionString asks for UseDevelopmentStorage, which is not supported");
        return status_hint(st, "Write the emulator's AccountName, AccountKey and BlobEndpoint out.");
    }
    if (!take_account(azure, parts, st))
        return false;
    if ((parts->key == NULL) == (parts->sas == NULL))
    {
        status_fail(st, STATUS_INVALID_VALUE, parts->key == NULL ? "connectionString has neither AccountKey nor SharedAccessSignature"
                                                                 : "connectionString has both AccountKey and SharedAccessSignature");
        return status_hint(st, "Give one of them.");
    }
    if (parts->protocol != NULL && strcasecmp(parts->protocol, "http") != 0 && strcasecmp(parts->protocol, "https") != 0)
        return status_fail(st, STATUS_INVALID_VALUE, "DefaultEndpointsProtocol in connectionString must be http or https");
    auth->plain_http = parts->protocol != NULL && strcasecmp(parts->protocol, "http") == 0;
    if (parts->suffix != NULL && !check_suffix(parts->suffix, st))
        return false;
    return keep(parts->endpoint, &auth->endpoint, st) && keep(parts->suffix, &auth->suffix, st) &&
        (parts->key != NULL ? take_key(auth, parts->key, st) : take_sas(auth, parts->sas, st));
}

static bool
take_connection_string(Azure *azure, const char *text, Status *st)
{
    char *copy = strdup(text);
    size_t size = strlen(text);
    Parts parts = {.account = NULL};
    bool fine;

    if (copy == NULL)
        return status_out_of_memory(st, size);
    fine = read_parts(copy, &parts, st) && take_parts(azure, &parts, st);
    explicit_bzero(copy, size);
    free(copy);
    return fine;
}

bool
azure_credentials_read(Azure *azure, const DriverConfig *config, Status *st)
{
    const char *connection = NULL, *key = NULL, *sas = NULL, *method = config->auth_method;
    const JsonField fields[] = {
        {"connectionString", JSON_FIELD_TEXT, false, &connection, 0, 0},
        {"accountKey", JSON_FIELD_TEXT, false, &key, 0, 0},
        {"sasToken", JSON_FIELD_TEXT, false, &sas, 0, 0},
    };

    if (config->auth != NULL && !json_fields_read(config->auth, "auth_config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if (strcmp(method, "connection_string") == 0 && connection != NULL)
        return take_connection_string(azure, connection, st);
    if (strcmp(method, "access_key") == 0 && key != NULL)
        return take_key(&azure->auth, key, st);
    if (strcmp(method, "token") == 0 && sas != NULL)
        return take_sas(&azure->auth, sas, st);
    if (config->checks)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "azure_blob_storage has no credentials");
    return status_hint(st, "auth_method is connection_string with connectionString, access_key with accountKey, or token with sasToken.");
}
