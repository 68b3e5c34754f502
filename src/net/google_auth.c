/*
 * google_auth.c: see google_auth.h.
 *
 * After Google's "Using OAuth 2.0 for Server to Server Applications" and
 * AIP-4110 to AIP-4115 (application default credentials).
 */
#include "net/google_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_fields.h"
#include "core/secret.h"
#include "net/ambient.h"
#include "net/jwt.h"
#include "net/url.h"

#define TOKEN_URI "https://oauth2.googleapis.com/token"
#define METADATA_HOST "169.254.169.254"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"
#define JWT_SECONDS 3600
#define PRIVATE_KEY "private_key of the service account's key"
#define KEY_FILE_MAX (64U << 10)

static bool
copy(const char *text, char **out, Status *st)
{
    *out = text == NULL ? NULL : strdup(text);
    return text == NULL || *out != NULL || status_out_of_memory(st, strlen(text));
}

void
google_auth_free(GoogleAuth *auth)
{
    oauth2_free(&auth->holder);
    free(auth->scope);
    free(auth->email);
    secret_free(auth->key);
    free(auth->key_id);
    free(auth->client);
    secret_free(auth->secret);
    secret_free(auth->refresh);
    free(auth->token_uri);
    free(auth->metadata);
    memset(auth, 0, sizeof(*auth));
}

const HttpSigner *
google_auth_signer(const GoogleAuth *auth)
{
    return auth->signer.sign == NULL ? NULL : &auth->signer;
}

/* ---- service accounts ---------------------------------------------------------- */

/* The claims that a token is asked for with. */
static json_t *
make_claims(const GoogleAuth *auth, time_t now)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", auth->email, "scope", auth->scope, "aud", auth->token_uri, "iat", (json_int_t) now, "exp",
                     (json_int_t) now + JWT_SECONDS);
}

static bool
exchange_jwt(void *context, OAuth2 *holder, Status *st)
{
    GoogleAuth *auth = context;
    json_t *claims = make_claims(auth, time(NULL));
    char *jwt = NULL;
    bool fine = claims != NULL ? jwt_sign(claims, auth->key, auth->key_id, PRIVATE_KEY, &jwt, st) : status_out_of_memory(st, 0);
    const HttpHeader form[] = {{"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, {"assertion", jwt}};

    fine = fine && oauth2_ask(holder, auth->settings, auth->token_uri, form, 2, st);
    secret_free(jwt);
    json_decref(claims);
    return fine;
}

/* ---- users ------------------------------------------------------------------------ */

static bool
refresh(void *context, OAuth2 *holder, Status *st)
{
    GoogleAuth *auth = context;
    const HttpHeader form[] = {{"grant_type", "refresh_token"}, {"client_id", auth->client}, {"client_secret", auth->secret}, {"refresh_token", auth->refresh}};

    return oauth2_ask(holder, auth->settings, auth->token_uri, form, 4, st);
}

/* ---- the metadata server ---------------------------------------------------------- */

static bool
ask_metadata(void *context, OAuth2 *holder, Status *st)
{
    GoogleAuth *auth = context;
    const HttpHeader flavor[] = {{"Metadata-Flavor", "Google"}};
    bool fine;
    Buf body;

    buf_init(&body, 1U << 20);
    fine = ambient_ask("GET", auth->metadata, flavor, 1, &body, st) &&
        oauth2_take(holder, (const char *) body.data, body.used - 1, "the answer of the machine's metadata server", st);
    if (body.data != NULL)
        explicit_bzero(body.data, body.used);
    buf_free(&body);
    return fine;
}

static bool
use_metadata(GoogleAuth *auth, const json_t *ambient, Status *st)
{
    const char *host = ambient_value(ambient, "GCE_METADATA_HOST");
    char base[400];
    bool fine;
    Buf url;

    snprintf(base, sizeof(base), "http://%.300s" METADATA_PATH, host == NULL ? METADATA_HOST : host);
    buf_init(&url, URL_MAX);
    fine = buf_append(&url, base, strlen(base), st) && url_add_parameter(&url, "?", "scopes", auth->scope, st) && buf_append(&url, "", 1, st) && copy((const char *) url.data, &auth->metadata, st);
    buf_free(&url);
    auth->holder.source = ask_metadata;
    return fine;
}

/* ---- key files --------------------------------------------------------------------- */

/* A text of a key file, copied; `needed`: it must be there. */
static bool
take_text(const json_t *file, const char *what, const char *name, bool needed, char **out, Status *st)
{
    const char *text = json_string_value(json_object_get(file, name));

    if (text != NULL && text[0] != '\0')
        return copy(text, out, st);
    return !needed || status_fail(st, STATUS_INVALID_VALUE, "%s has no text \"%s\" in it", what, name);
}

static bool
take_token_uri(GoogleAuth *auth, const json_t *file, const char *what, Status *st)
{
    Url url;

    if (!take_text(file, what, "token_uri", false, &auth->token_uri, st) || (auth->token_uri == NULL && !copy(TOKEN_URI, &auth->token_uri, st)) ||
        !url_parse(&url, auth->token_uri, "token_uri", st))
        return false;
    url_free(&url);
    return true;
}

/* The content of a key file; `users`: it may be that of a user. */
static bool
take_file(GoogleAuth *auth, const json_t *file, const char *what, bool users, Status *st)
{
    const char *type = json_string_value(json_object_get(file, "type"));

    if (type == NULL || (strcmp(type, "service_account") != 0 && !(users && strcmp(type, "authorized_user") == 0)))
    {
        if (type == NULL)
            status_fail(st, STATUS_INVALID_VALUE, "%s has no text \"type\" in it", what);
        else
            status_fail(st, STATUS_NOT_SUPPORTED, "%s is of type \"%.100s\"", what, type);
        return status_hint(st, users ? "Known types: service_account, authorized_user." : "It must be of type service_account.");
    }
    if (!take_token_uri(auth, file, what, st))
        return false;
    if (strcmp(type, "authorized_user") == 0)
    {
        auth->holder.source = refresh;
        return take_text(file, what, "client_id", true, &auth->client, st) && take_text(file, what, "client_secret", true, &auth->secret, st) &&
            take_text(file, what, "refresh_token", true, &auth->refresh, st);
    }
    auth->holder.source = exchange_jwt;
    if (!take_text(file, what, "client_email", true, &auth->email, st) || !take_text(file, what, "private_key", true, &auth->key, st) ||
        !take_text(file, what, "private_key_id", false, &auth->key_id, st) || !jwt_check_key(auth->key, PRIVATE_KEY, st))
        return false;
    return auth->email[strcspn(auth->email, " \t\r\n")] == '\0' && strchr(auth->email, '@') != NULL ? true
        : status_fail(st, STATUS_INVALID_VALUE, "client_email of %s is not an address", what);
}

/* The same as text. */
static bool
take_file_text(GoogleAuth *auth, const char *text, const char *what, bool users, Status *st)
{
    json_t *file = strlen(text) > KEY_FILE_MAX ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool fine = json_is_object(file) ? take_file(auth, file, what, users, st) : status_fail(st, STATUS_INVALID_VALUE, "%s is no JSON object", what);

    json_decref(file);
    return fine;
}

static bool
use_machine(GoogleAuth *auth, const json_t *ambient, Status *st)
{
    const char *path = ambient_value(ambient, "GOOGLE_APPLICATION_CREDENTIALS");
    char *text;
    bool fine;

    if (path == NULL)
        return use_metadata(auth, ambient, st);
    text = ambient_file(path, st);
    fine = text != NULL && take_file_text(auth, text, "the file that GOOGLE_APPLICATION_CREDENTIALS names", true, st);
    secret_free(text);
    return fine;
}

/* ---- all of them --------------------------------------------------------------------- */

static bool
use_method(GoogleAuth *auth, const GoogleAuthConfig *config, Status *st)
{
    const char *token = NULL;
    json_t *file = NULL;
    const JsonField fields[] = {{"json", JSON_FIELD_ANY, false, &file, 0, 0}, {"accessToken", JSON_FIELD_TEXT, false, &token, 0, 0}};
    static const char what[] = "the service account's key";

    if (config->auth != NULL && !json_fields_read(config->auth, "auth_config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if (strcmp(config->method, "iam_role") == 0)
        return config->ambient == NULL && config->checks ? true : config->ambient != NULL ? use_machine(auth, config->ambient, st) : ambient_forbidden(st);
    if (config->checks && token == NULL && file == NULL)
        return true;
    if (strcmp(config->method, "token") == 0)
        return token == NULL ? status_fail(st, STATUS_INVALID_VALUE, "auth_method token needs an accessToken")
            : secret_check(token, "accessToken", st) && oauth2_set(&auth->holder, token, -1, st);
    return json_is_string(file) ? take_file_text(auth, json_string_value(file), what, false, st) : json_is_object(file) ? take_file(auth, file, what, false, st)
        : status_fail(st, STATUS_INVALID_VALUE, "auth_method service_account_json needs json, the key file as an object or as text");
}

bool
google_auth_open(GoogleAuth *auth, const GoogleAuthConfig *config, Status *st)
{
    auth->settings = config->settings;
    if (strcmp(config->method, "none") == 0)
        return true;
    auth->holder.context = auth;
    auth->signer = oauth2_signer(&auth->holder);
    return copy(config->scope, &auth->scope, st) && use_method(auth, config, st);
}

bool
google_auth_may_send(const json_t *ambient, const char *variable, const char *url)
{
    static const char google[] = ".googleapis.com";
    const char *emulator = ambient_value(ambient, variable);
    Status ignored;
    Url parsed;
    size_t n;
    bool may;

    if (emulator != NULL && url_same_origin(url, emulator))
        return true;
    if (!url_parse(&parsed, url, "URL", &ignored))
        return false;
    n = strlen(parsed.host);
    may = strcmp(parsed.scheme, "https") == 0 && n > strlen(google) && strcmp(parsed.host + n - strlen(google), google) == 0;
    url_free(&parsed);
    return may;
}
