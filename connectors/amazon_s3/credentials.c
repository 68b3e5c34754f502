/*
 * credentials.c: the keys that requests to S3 are signed with.
 *
 * access_key has them.  iam_role takes the machine's own, where an administrator
 * allows it, in the order of Amazon's SDKs: keys in the environment, a web
 * identity, a container's endpoint, the instance's metadata service (version
 * 2 only); a roleArn is assumed with those, or with keys of access_key's own.
 * Temporary keys are got anew five minutes before they expire.
 */
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/amazon_s3/s3.h"
#include "core/secret.h"
#include "net/ambient.h"
#include "net/url.h"
#include "store/xml.h"

#define EARLY 300               /* seconds before the end */
#define METADATA "http://169.254.169.254"
#define CONTAINER "http://169.254.170.2"

static const Sigv4Scope *sts_scope(const S3 *s3, Sigv4Scope *scope);

/* ---- keys -------------------------------------------------------------------- */

static void
keys_clear(S3Keys *keys)
{
    secret_free(keys->id);
    secret_free(keys->secret);
    secret_free(keys->token);
    memset(keys, 0, sizeof(*keys));
}

void
s3_credentials_free(S3Credentials *credentials)
{
    keys_clear(&credentials->own);
    keys_clear(&credentials->assumed);
    free(credentials->role);
    free(credentials->external_id);
    free(credentials->session_name);
    json_decref(credentials->ambient);
}

static bool
keys_set(S3Keys *keys, const char *id, const char *secret, const char *token, Status *st)
{
    keys_clear(keys);
    keys->id = strdup(id);
    keys->secret = strdup(secret);
    keys->token = token == NULL || token[0] == '\0' ? NULL : strdup(token);
    return (keys->id != NULL && keys->secret != NULL && (keys->token != NULL || token == NULL || token[0] == '\0')) || status_out_of_memory(st, 0);
}

static bool
keys_fresh(const S3Keys *keys)
{
    return keys->id != NULL && (keys->expires == 0 || time(NULL) < keys->expires - EARLY);
}

static time_t
expiration(const char *text)
{
    int64_t micros;

    /* Who does not say so is asked again in a quarter of an hour. */
    return text != NULL && store_iso_time(text, &micros) ? (time_t) (micros / 1000000) : time(NULL) + 900 + EARLY;
}

/* ---- what the configuration says ------------------------------------------------ */

static bool
copy(const char *text, char **out, Status *st)
{
    if (text == NULL || text[0] == '\0')
        return true;
    *out = strdup(text);
    return *out != NULL || status_out_of_memory(st, strlen(text));
}

/* Amazon's rules, which other token services share: "arn:", partition, "iam", and behind the account "role/". */
static bool
check_role(const char *role, const char *external, const char *session, Status *st)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    const char *name = role == NULL ? NULL : strstr(role, ":role/");

    if (role != NULL && role[0] != '\0' && (strncmp(role, "arn:", 4) != 0 || name == NULL || name[6] == '\0' || strpbrk(role, " \t\r\n") != NULL))
    {
        status_fail(st, STATUS_INVALID_VALUE, "roleArn is not the ARN of a role");
        return status_hint(st, "It is like arn:aws:iam::123456789012:role/reader.");
    }
    if (session != NULL && session[0] != '\0' && (strlen(session) < 2 || strlen(session) > 64 || session[strspn(session, allowed)] != '\0'))
    {
        status_fail(st, STATUS_INVALID_VALUE, "sessionName can't be the name of a session");
        return status_hint(st, "It has 2 to 64 letters, digits and characters of _+=,.@-");
    }
    return external == NULL || external[0] == '\0' || secret_check(external, "externalId", st);
}

bool
s3_credentials_read(S3 *s3, const DriverConfig *config, Status *st)
{
    S3Credentials *c = &s3->credentials;
    const char *id = NULL, *secret = NULL, *token = NULL, *role = NULL, *external = NULL, *session = NULL;
    const JsonField fields[] = {
        {"accessKeyId", JSON_FIELD_TEXT, false, &id, 0, 0},
        {"secretAccessKey", JSON_FIELD_TEXT, false, &secret, 0, 0},
        {"sessionToken", JSON_FIELD_TEXT, false, &token, 0, 0},
        {"roleArn", JSON_FIELD_TEXT, false, &role, 0, 0},
        {"externalId", JSON_FIELD_TEXT, false, &external, 0, 0},
        {"sessionName", JSON_FIELD_TEXT, false, &session, 0, 0},
    };

    if (config->auth != NULL && !json_fields_read(config->auth, "auth_config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if ((id != NULL && !secret_check(id, "accessKeyId", st)) || (secret != NULL && !secret_check(secret, "secretAccessKey", st)) ||
        (token != NULL && token[0] != '\0' && !secret_check(token, "sessionToken", st)) || !check_role(role, external, session, st))
        return false;
    if (!copy(role, &c->role, st) || !copy(external, &c->external_id, st) || !copy(session, &c->session_name, st))
        return false;
    if (strcmp(config->auth_method, "iam_role") == 0)
    {
        c->source = S3_AMBIENT;
        if (config->ambient == NULL)
            return config->checks || ambient_forbidden(st);
        c->ambient = json_deep_copy(config->ambient);
        return c->ambient != NULL || status_out_of_memory(st, 0);
    }
    if (strcmp(config->auth_method, "none") == 0)
        return true;
    c->source = S3_STATIC;
    if (id == NULL || secret == NULL)
        return config->checks || status_fail(st, STATUS_INVALID_VALUE, "auth_method access_key needs accessKeyId and secretAccessKey");
    return keys_set(&c->own, id, secret, token, st);
}

/* ---- the token service ------------------------------------------------------------ */

static bool
sign_own(void *context, const HttpSigned *request, HttpHeaders *headers, Status *st)
{
    S3 *s3 = context;
    const S3Keys *own = &s3->credentials.own;
    Sigv4Key key = {own->id, own->secret, own->token};
    Sigv4Scope scope;

    return sigv4_sign(request, &key, sts_scope(s3, &scope), time(NULL), headers, st);
}

static const Sigv4Scope *
sts_scope(const S3 *s3, Sigv4Scope *scope)
{
    *scope = (Sigv4Scope) {s3->region, "sts", false, false};
    return scope;
}

static bool
add_field(Buf *form, const char *name, const char *value, Status *st)
{
    return value == NULL || url_add_parameter(form, "&", name, value, st);
}

/* The keys in an answer of the token service. */
static bool
take_sts_answer(const Buf *body, S3Keys *keys, Status *st)
{
    xmlDoc *doc = store_xml_parse(body, "the answer of the token service", st);
    const xmlNode *found = doc == NULL ? NULL : store_xml_anywhere(xmlDocGetRootElement(doc), "Credentials");
    char *id, *secret, *token, *until;
    bool fine = false;

    if (doc == NULL)
        return false;
    id = found == NULL ? NULL : store_xml_text(found->children, "AccessKeyId");
    secret = found == NULL ? NULL : store_xml_text(found->children, "SecretAccessKey");
    token = found == NULL ? NULL : store_xml_text(found->children, "SessionToken");
    until = found == NULL ? NULL : store_xml_text(found->children, "Expiration");
    if (id == NULL || secret == NULL || token == NULL)
        status_fail(st, STATUS_PROTOCOL, "the token service answered without credentials");
    else
        fine = keys_set(keys, id, secret, token, st);
    keys->expires = expiration(until);
    xmlFree(id);
    secret_free(secret);
    secret_free(token);
    xmlFree(until);
    xmlFreeDoc(doc);
    return fine;
}

/* AssumeRole, signed with our own keys, or with a web identity's token in their place. */
static bool
assume(S3 *s3, const char *role, const char *identity, S3Keys *keys, Status *st)
{
    const S3Credentials *c = &s3->credentials;
    const HttpHeader type[] = {{"Content-Type", "application/x-www-form-urlencoded"}};
    HttpSigner signer = {sign_own, NULL, s3};
    HttpRequest request = {.method = "POST", .url = s3->sts, .headers = type, .nheaders = 1, .what = "credentials of role", .name = role,
                           .signer = identity == NULL ? &signer : NULL, .body_max = S3_XML_MAX};
    const char *action = identity == NULL ? "Action=AssumeRole" : "Action=AssumeRoleWithWebIdentity";
    HttpExchange *exchange = NULL;
    bool fine;
    Buf form;

    buf_init(&form, 256U << 10);
    fine = buf_append(&form, action, strlen(action), st) && add_field(&form, "Version", "2011-06-15", st) && add_field(&form, "RoleArn", role, st) &&
        add_field(&form, "RoleSessionName", c->session_name == NULL ? "kaireon" : c->session_name, st) &&
        add_field(&form, "ExternalId", identity == NULL ? c->external_id : NULL, st) && add_field(&form, "WebIdentityToken", identity, st);
    request.body = form.data;
    request.nbody = form.used;
    fine = fine && store_call(&s3->store, &request, 0, &exchange, st) && take_sts_answer(&http_response(exchange)->body, keys, st);
    http_free(exchange);
    if (form.data != NULL)
        explicit_bzero(form.data, form.used);
    buf_free(&form);
    return fine;
}

/* ---- the machine's own -------------------------------------------------------------- */

/* The keys in an answer of a credentials' endpoint, in JSON. */
static bool
take_json(const Buf *body, S3Keys *keys, Status *st)
{
    json_t *json = json_loads((const char *) body->data, 0, NULL);
    const char *id = json_string_value(json_object_get(json, "AccessKeyId")), *secret = json_string_value(json_object_get(json, "SecretAccessKey")),
               *token = json_string_value(json_object_get(json, "Token"));
    bool fine = id != NULL && secret != NULL ? keys_set(keys, id, secret, token, st)
                                             : status_fail(st, STATUS_PROTOCOL, "the machine's metadata service answered without credentials");

    keys->expires = expiration(json_string_value(json_object_get(json, "Expiration")));
    json_decref(json);
    return fine;
}

static bool
ask_container(const S3Credentials *c, S3Keys *keys, Status *st)
{
    const char *full = ambient_value(c->ambient, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
               *relative = ambient_value(c->ambient, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
               *file = ambient_value(c->ambient, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    char *token = file != NULL ? ambient_file(file, st) : NULL, url[2100];
    HttpHeader headers[] = {{"Authorization", token != NULL ? token : ambient_value(c->ambient, "AWS_CONTAINER_AUTHORIZATION_TOKEN")}};
    bool fine = file == NULL || token != NULL;
    Buf body;

    snprintf(url, sizeof(url), "%s%.2000s", relative != NULL ? CONTAINER : "", relative != NULL ? relative : full);
    buf_init(&body, 1U << 20);
    fine = fine && ambient_ask("GET", url, headers, headers[0].value == NULL ? 0 : 1, &body, st) && take_json(&body, keys, st);
    buf_free(&body);
    secret_free(token);
    return fine;
}

static bool
ask_instance(const S3Credentials *c, S3Keys *keys, Status *st)
{
    const char *base = ambient_value(c->ambient, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const HttpHeader ttl[] = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    HttpHeader token[] = {{"X-aws-ec2-metadata-token", NULL}};
    char url[2100];
    Buf session, role, answer;
    bool fine;
    int n;

    if (base == NULL)
        base = METADATA;
    for (n = strlen(base) > 1700 ? 1700 : (int) strlen(base); n > 0 && base[n - 1] == '/'; n--)
        ;
    buf_init(&session, 64U << 10);
    buf_init(&role, 64U << 10);
    buf_init(&answer, 1U << 20);
    snprintf(url, sizeof(url), "%.*s/latest/api/token", n, base);
    fine = ambient_ask("PUT", url, ttl, 1, &session, st);
    token[0].value = (const char *) session.data;
    snprintf(url, sizeof(url), "%.*s/latest/meta-data/iam/security-credentials/", n, base);
    fine = fine && ambient_ask("GET", url, token, 1, &role, st);
    if (fine && strlen((const char *) role.data) != strcspn((const char *) role.data, " \r\n/?#"))
        role.data[strcspn((const char *) role.data, " \r\n/?#")] = '\0';
    if (fine)
        snprintf(url, sizeof(url), "%.*s/latest/meta-data/iam/security-credentials/%.200s", n, base, (const char *) role.data);
    fine = fine && ambient_ask("GET", url, token, 1, &answer, st) && take_json(&answer, keys, st);
    buf_free(&session);
    buf_free(&role);
    buf_free(&answer);
    return fine;
}

static bool
ask_machine(S3 *s3, S3Keys *keys, Status *st)
{
    const S3Credentials *c = &s3->credentials;
    const char *id = ambient_value(c->ambient, "AWS_ACCESS_KEY_ID"), *secret = ambient_value(c->ambient, "AWS_SECRET_ACCESS_KEY"),
               *identity = ambient_value(c->ambient, "AWS_WEB_IDENTITY_TOKEN_FILE"), *role = ambient_value(c->ambient, "AWS_ROLE_ARN");

    if (id != NULL && secret != NULL)
        return keys_set(keys, id, secret, ambient_value(c->ambient, "AWS_SESSION_TOKEN"), st);
    if (identity != NULL && role != NULL)
    {
        char *token = ambient_file(identity, st);
        bool fine = token != NULL && assume(s3, role, token, keys, st);

        secret_free(token);
        return fine;
    }
    if (ambient_value(c->ambient, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL || ambient_value(c->ambient, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL)
        return ask_container(c, keys, st);
    return ask_instance(c, keys, st);
}

/* ---- the keys of the moment ------------------------------------------------------------ */

bool
s3_credentials_get(S3 *s3, Sigv4Key *key, bool *none, Status *st)
{
    S3Credentials *c = &s3->credentials;
    S3Keys *keys = c->role != NULL ? &c->assumed : &c->own;

    *none = c->source == S3_ANONYMOUS;
    if (*none || keys_fresh(keys))
    {
        *key = (Sigv4Key) {keys->id, keys->secret, keys->token};
        return true;
    }
    if (c->source == S3_AMBIENT && !keys_fresh(&c->own) && !ask_machine(s3, &c->own, st))
        return false;
    if (c->role != NULL && !assume(s3, c->role, NULL, &c->assumed, st))
        return false;
    *key = (Sigv4Key) {keys->id, keys->secret, keys->token};
    return true;
}

bool
s3_credentials_forget(S3Credentials *credentials)
{
    bool any = credentials->source == S3_AMBIENT || credentials->role != NULL;

    if (credentials->source == S3_AMBIENT)
        keys_clear(&credentials->own);
    keys_clear(&credentials->assumed);
    return any;
}
