/*
 * auth.c: a connector's credentials on their way.  See auth.h.
 *
 * What is sealed is not JSON but a list of fields, so that opening needs no
 * parser, which would leave copies in memory.  Each field:
 *
 *    1 byte   kind: 's' text, 'j' JSON, 'f' the name of a file, 'e' of a variable
 *    2 bytes  length of the key, 4 bytes  length of the value; little endian
 *    the key, the value; both UTF-8
 */
#include "postgres.h"

#include "pg/auth.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/compat.h"
#include "pg/encoding.h"
#include "pg/errors.h"
#include "pg/json.h"
#include "pg/redact.h"
#include "pg/reference.h"
#include "pg/vault.h"

PG_FUNCTION_INFO_V1(kaireon_seal_auth);
PG_FUNCTION_INFO_V1(kaireon_public_auth);

#define MAX_AUTH_BYTES (256 * 1024)
/* A byte of a jsonb makes at most so many of UTF-8 (4) as a JSON string (6). */
#define GROWTH 24
#define FIELD_HEADER 7

typedef enum FieldKind { FIELD_TEXT = 's', FIELD_JSON = 'j', FIELD_FILE = REFERENCE_FILE, FIELD_ENV = REFERENCE_ENV } FieldKind;

/* One field of what is sealed; points into it. */
typedef struct Field { FieldKind kind; const char *key; size_t key_length; const char *value; size_t length; } Field;

static AuthCall *current = NULL;

/* ---- references -------------------------------------------------------------------------- */

static void
require_files(bool may, const char *key)
{
    if (!may)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to take key \"%s\" from a file", key),
                        errdetail("Who makes a connector whose credentials refer to files, and its owner, must have the rights of "
                                  "pg_read_server_files."),
                        errhint("Let an administrator grant that role, or give the value itself.")));
}

static void
require_env(bool may, const char *key, const char *name)
{
    if (!may)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("permission denied to take key \"%s\" from environment variable \"%s\"", key, name),
                        errdetail("Unless the connector's owner is a superuser, the variable must be listed in \"kaireon.credential_env\"."),
                        errhint("Let an administrator add it there, or give the value itself.")));
}

/* ---- packing ------------------------------------------------------------------------------- */

/* Appends text of the server's encoding as UTF-8, as a JSON string or as it is. */
static void
append_text(Secret *out, const char *text, size_t length, bool quoted)
{
    char *utf8 = pg_server_to_any(text, length, PG_UTF8);
    size_t size = utf8 == text ? length : strlen(utf8);

    if (quoted)
        secret_append_json(out, utf8, size);
    else
        secret_append(out, utf8, size);
    if (utf8 != text)
    {
        explicit_bzero(utf8, size);
        pfree(utf8);
    }
}

static void append_json(Secret *out, const JsonbValue *value);

static void
append_container(Secret *out, JsonbContainer *container)
{
    JsonbIterator *it = JsonbIteratorInit(container);
    JsonbIteratorToken token;
    JsonbValue item;
    bool first = true;

    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if ((token == WJB_KEY || token == WJB_ELEM) && !first)
            secret_append(out, ",", 1);
        switch (token)
        {
            case WJB_BEGIN_OBJECT:
            case WJB_BEGIN_ARRAY:
                secret_append(out, token == WJB_BEGIN_OBJECT ? "{" : "[", 1);
                break;
            case WJB_END_OBJECT:
            case WJB_END_ARRAY:
                secret_append(out, token == WJB_END_OBJECT ? "}" : "]", 1);
                break;
            case WJB_KEY:
                append_text(out, item.val.string.val, item.val.string.len, true);
                secret_append(out, ":", 1);
                first = false;
                break;
            default:
                append_json(out, &item);
                first = false;
                break;
        }
    }
}

static void
append_json(Secret *out, const JsonbValue *value)
{
    char *text;

    check_stack_depth();
    if (value->type == jbvBinary)
        append_container(out, value->val.binary.data);
    else if (value->type == jbvString)
        append_text(out, value->val.string.val, value->val.string.len, true);
    else
    {
        text = json_scalar_text(value);
        secret_append(out, text ? text : "null", text ? strlen(text) : 4);
    }
}

static void
append_field(Secret *out, const JsonbValue *key, const JsonbValue *value, bool any_file, bool any_env)
{
    char *name = pnstrdup(key->val.string.val, key->val.string.len), header[FIELD_HEADER];
    size_t at = out->length, key_end;
    FieldKind kind = FIELD_JSON;
    ReferenceKind referred;
    JsonbValue text = *value;

    secret_append(out, header, FIELD_HEADER); /* filled in below */
    append_text(out, name, strlen(name), false);
    key_end = out->length;
    if (value->type == jbvString)
        kind = FIELD_TEXT;
    else if (reference_parse(value, &referred, &text))
    {
        kind = (FieldKind) referred;
        if (kind == FIELD_FILE)
            require_files(any_file, name);
        else
        {
            char *variable = pnstrdup(text.val.string.val, text.val.string.len);

            require_env(reference_may_env(any_env, variable), name, variable);
        }
        if (kind == FIELD_FILE && (text.val.string.len == 0 || text.val.string.val[0] != '/'))
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the file of key \"%s\" must be an absolute path", name),
                            errdetail("The path it names is relative."), errhint("Write {\"file\": \"/path\"}.")));
    }
    if (kind == FIELD_JSON)
        append_json(out, value);
    else
        append_text(out, text.val.string.val, text.val.string.len, false);
    if (key_end - at - FIELD_HEADER > PG_UINT16_MAX)
        elog(ERROR, "a key of auth_config is too long");
    out->data[at] = kind;
    for (int i = 0; i < 2; i++)
        out->data[at + 1 + i] = (key_end - at - FIELD_HEADER) >> (8 * i);
    for (int i = 0; i < 4; i++)
        out->data[at + 3 + i] = (out->length - key_end) >> (8 * i);
}

static Secret *
pack(Jsonb *auth_config, bool references, bool any_file, bool any_env)
{
    JsonbIterator *it = JsonbIteratorInit(&auth_config->root);
    JsonbIteratorToken token;
    JsonbValue key, value, name;
    ReferenceKind kind;
    Secret *packed;

    if (VARSIZE(auth_config) > MAX_AUTH_BYTES)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("auth_config is too large"),
                        errdetail("It has %d bytes.", (int) VARSIZE(auth_config)), errhint("It may have %d.", MAX_AUTH_BYTES)));
    packed = secret_create((size_t) VARSIZE(auth_config) * GROWTH + 1024);
    while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
    {
        if (token != WJB_KEY)
            continue;
        (void) JsonbIteratorNext(&it, &value, true);
        if (value.type != jbvNull && (references || !reference_parse(&value, &kind, &name)))
            append_field(packed, &key, &value, any_file, any_env);
    }
    return packed;
}

Secret *
auth_pack(Jsonb *auth_config, Oid caller, Oid owner)
{
    return pack(auth_config, true, reference_may_files(caller) && reference_may_files(owner), superuser_arg(caller) && superuser_arg(owner));
}

Secret *
auth_pack_values(Jsonb *auth_config)
{
    return pack(auth_config, false, false, false);
}

/* ---- opening ----------------------------------------------------------------------------- */

static size_t
read_number(const char *data, int bytes)
{
    size_t number = 0;

    for (int i = 0; i < bytes; i++)
        number |= (size_t) (uint8) data[i] << (8 * i);
    return number;
}

/* The field at *at, which moves behind it; false at the end.  What was authenticated may be relied on, but is checked. */
static bool
next_field(const Secret *packed, size_t *at, Field *field)
{
    const char *data = packed->data + *at;
    size_t left = packed->length - *at;

    if (left == 0)
        return false;
    if (left < FIELD_HEADER || left - FIELD_HEADER < read_number(data + 1, 2) ||
        left - FIELD_HEADER - read_number(data + 1, 2) < read_number(data + 3, 4))
        elog(ERROR, "opened credentials are not well formed");
    field->kind = data[0];
    field->key = data + FIELD_HEADER;
    field->key_length = read_number(data + 1, 2);
    field->value = field->key + field->key_length;
    field->length = read_number(data + 3, 4);
    *at += FIELD_HEADER + field->key_length + field->length;
    return true;
}

pg_noreturn static void
reference_failed(const Auth *auth, const char *key, const char *detail)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_CREDENTIAL),
                    errmsg("key \"%s\" of the credentials of connector \"%s\" can't be had", key, auth->name),
                    errdetail_internal("%s", detail),
                    errhint("Mend what it refers to, or give it anew: kaireon.update_connector(name, auth_config => ...).")));
    pg_unreachable();
}

static void
append_referred(Secret *out, const Auth *auth, const char *key, ReferenceKind kind, const char *name)
{
    char *problem;
    Secret *text;

    if (kind == REFERENCE_FILE)
        require_files(auth->may_files, key);
    else
        require_env(reference_may_env(auth->may_env, name), key, name);
    text = reference_read(kind, name, &problem);
    if (text == NULL)
        reference_failed(auth, key, problem);
    secret_append_json(out, text->data, text->length);
    secret_free(text);
}

static void
append_opened(Secret *out, const Auth *auth, const Field *field)
{
    char *key = encoding_shown(field->key, field->key_length);

    secret_append(out, out->length > 1 ? "," : "", out->length > 1 ? 1 : 0);
    secret_append_json(out, field->key, field->key_length);
    secret_append(out, ":", 1);
    switch (field->kind)
    {
        case FIELD_TEXT:
            secret_append_json(out, field->value, field->length);
            break;
        case FIELD_JSON:
            secret_append(out, field->value, field->length);
            break;
        case FIELD_FILE:
        case FIELD_ENV:
            append_referred(out, auth, key, (ReferenceKind) field->kind, pnstrdup(field->value, field->length));
            break;
        default:
            elog(ERROR, "opened credentials have a field of unknown kind");
    }
}

/* Room for the JSON of opened credentials. */
static size_t
opened_size(const Secret *packed)
{
    size_t size = 16, at = 0;
    Field field;

    while (next_field(packed, &at, &field))
        size += 6 * (field.key_length + (field.kind == FIELD_TEXT || field.kind == FIELD_JSON ? field.length : REFERENCE_MAX_BYTES)) + 8;
    return size;
}

Secret *
auth_open(const Auth *auth)
{
    Secret *packed = auth->packed, *out;
    size_t at = 0;
    Field field;

    if (packed == NULL && auth->sealed)
        packed = vault_open(auth->sealed, &auth->connector, auth->name);
    out = secret_create(packed ? opened_size(packed) : 2);
    secret_append(out, "{", 1);
    while (packed && next_field(packed, &at, &field))
        append_opened(out, auth, &field);
    secret_append(out, "}", 1);
    if (packed != auth->packed)
        secret_free(packed);
    return out;
}

void
auth_set_owner(Auth *auth, Oid owner)
{
    auth->may_files = reference_may_files(owner);
    auth->may_env = superuser_arg(owner);
}

/* ---- calls that carry credentials ---------------------------------------------------------- */

/* A value without what it is: of the same type, so that the check of types goes by it. */
static JsonbValue
without_value(const JsonbValue *value)
{
    JsonbValue empty = *value, name;
    ReferenceKind kind;

    if (value->type == jbvString || reference_parse(value, &kind, &name))
    {
        empty.type = jbvString;
        empty.val.string.val = "";
        empty.val.string.len = 0;
    }
    else if (value->type == jbvNumeric)
        empty.val.numeric = DatumGetNumeric(DirectFunctionCall1(int4_numeric, Int32GetDatum(0)));
    else if (value->type == jbvBinary)
    {
        char *text = JsonContainerIsArray(value->val.binary.data) ? "[]" : "{}";
        Jsonb *nothing = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));

        empty.val.binary.data = &nothing->root;
        empty.val.binary.len = VARSIZE(nothing) - VARHDRSZ;
    }
    return empty;
}

static Jsonb *
shape(Jsonb *auth_config)
{
    JsonbParseState *state = NULL;
    JsonbIterator *it = JsonbIteratorInit(&auth_config->root);
    JsonbValue item, *result = NULL;
    JsonbIteratorToken token;

    if (!JB_ROOT_IS_OBJECT(auth_config) && !JB_ROOT_IS_SCALAR(auth_config))
        return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("[]")));
    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_VALUE || token == WJB_ELEM)
            item = without_value(&item);
        result = pushJsonbValue(&state, token, token < WJB_BEGIN_ARRAY || (token == WJB_BEGIN_ARRAY && item.val.array.rawScalar) ? &item : NULL);
    }
    return JsonbValueToJsonb(result);
}

Jsonb *
auth_begin(AuthCall *call, Jsonb *auth_config)
{
    Jsonb *result = shape(auth_config);

    if (!JB_ROOT_IS_OBJECT(auth_config) || JB_ROOT_COUNT(auth_config) > 0)
        redact_statement();
    call->auth_config = auth_config;
    call->outer = current;
    current = call;
    return result;
}

void
auth_end(AuthCall *call)
{
    current = call->outer;
}

Jsonb *
auth_under_way(void)
{
    return current ? current->auth_config : NULL;
}

/* References that lead nowhere are told, no more: what they refer to may come later. */
static void
warn_of_missing(Jsonb *auth_config)
{
    JsonbIterator *it = JsonbIteratorInit(&auth_config->root);
    JsonbIteratorToken token;
    JsonbValue key, value, name;
    ReferenceKind kind;

    while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
    {
        char *problem;
        Secret *secret;

        if (token != WJB_KEY)
            continue;
        (void) JsonbIteratorNext(&it, &value, true);
        if (!reference_parse(&value, &kind, &name))
            continue;
        secret = reference_read(kind, pnstrdup(name.val.string.val, name.val.string.len), &problem);
        if (secret == NULL)
            ereport(WARNING, (errcode(ERRCODE_KAIREON_NO_CREDENTIAL), errmsg("key \"%s\" of auth_config can't be had now", pnstrdup(key.val.string.val, key.val.string.len)),
                              errdetail_internal("%s", problem), errhint("It is read each time the connector is used.")));
        secret_free(secret);
    }
}

Datum
kaireon_seal_auth(PG_FUNCTION_ARGS)
{
    Secret *packed;
    bytea *sealed;

    if (current == NULL)
        elog(ERROR, "no call with credentials is under way");
    packed = auth_pack(current->auth_config, PG_GETARG_OID(1), PG_GETARG_OID(2));
    sealed = vault_seal(packed, PG_GETARG_UUID_P(0));
    secret_free(packed);
    warn_of_missing(current->auth_config);
    PG_RETURN_BYTEA_P(sealed);
}

Datum
kaireon_public_auth(PG_FUNCTION_ARGS)
{
    JsonbParseState *state = NULL;
    Datum *keys;
    bool *nulls;
    int count;

    if (current == NULL)
        elog(ERROR, "no call with credentials is under way");
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &keys, &nulls, &count);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    for (int i = 0; i < count && JB_ROOT_IS_OBJECT(current->auth_config); i++)
    {
        JsonbValue key, *value = nulls[i] ? NULL : json_get(&current->auth_config->root, TextDatumGetCString(keys[i]));

        if (value == NULL || value->type == jbvBinary)
            continue;
        key.type = jbvString;
        key.val.string.val = VARDATA_ANY(DatumGetTextPP(keys[i]));
        key.val.string.len = VARSIZE_ANY_EXHDR(DatumGetTextPP(keys[i]));
        pushJsonbValue(&state, WJB_KEY, &key);
        pushJsonbValue(&state, WJB_VALUE, value);
    }
    PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
