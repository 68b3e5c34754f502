/*
 * vault.c: credentials of connectors, encrypted.  See vault.h.
 *
 * The ciphers are OpenSSL's.  Keys and plaintext live in Secrets; OpenSSL wipes
 * its own contexts.  A nonce is random: at 96 bits two of a key's first 2^32
 * seals are the same with a chance of 2^-33, and a rotation begins anew.
 */
#include "postgres.h"

#include "pg/vault.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/masterkey.h"

PG_FUNCTION_INFO_V1(kaireon_rotate_master_key);

#define VERSION 1
#define KEY_ID_BYTES 8
#define NONCE_BYTES 12
#define TAG_BYTES 16

typedef struct SealHeader
{
    char magic[3];
    uint8 version;
    uint8 key_id[KEY_ID_BYTES];
    uint8 nonce[NONCE_BYTES];
} SealHeader;

/* The authenticated part of the header. */
#define BOUND_BYTES offsetof(SealHeader, nonce)

static const char magic[3] = {'K', 'R', 'V'};

pg_noreturn static void
cipher_failed(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    elog(ERROR, "could not %s credentials: %s", what, reason ? reason : "OpenSSL does not say why");
    pg_unreachable();
}

static void
key_id(const Secret *key, uint8 *id)
{
    static const char label[] = "kaireon master key id";
    uint8 digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, label, sizeof(label)) == 1 &&
                EVP_DigestUpdate(context, key->data, key->length) == 1 && EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context);
    if (!good)
        cipher_failed("name the key of");
    memcpy(id, digest, KEY_ID_BYTES);
}

/* ---- one value ----------------------------------------------------------------------- */

static bool
encrypt(EVP_CIPHER_CTX *context, const Secret *key, const SealHeader *header, const pg_uuid_t *connector, const Secret *plain,
        uint8 *out)
{
    int length;

    return context && EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, (uint8 *) key->data, header->nonce) == 1 &&
           EVP_EncryptUpdate(context, NULL, &length, (const uint8 *) header, BOUND_BYTES) == 1 &&
           EVP_EncryptUpdate(context, NULL, &length, connector->data, UUID_LEN) == 1 &&
           EVP_EncryptUpdate(context, out, &length, (uint8 *) plain->data, plain->length) == 1 &&
           EVP_EncryptFinal_ex(context, out + length, &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + plain->length) == 1;
}

static bool
decrypt(EVP_CIPHER_CTX *context, const Secret *key, const SealHeader *header, const pg_uuid_t *connector, const uint8 *in,
        Secret *plain)
{
    int length;

    return context && EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, (uint8 *) key->data, header->nonce) == 1 &&
           EVP_DecryptUpdate(context, NULL, &length, (const uint8 *) header, BOUND_BYTES) == 1 &&
           EVP_DecryptUpdate(context, NULL, &length, connector->data, UUID_LEN) == 1 &&
           EVP_DecryptUpdate(context, (uint8 *) plain->data, &length, in, plain->length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, unconstify(uint8 *, in) + plain->length) == 1 &&
           EVP_DecryptFinal_ex(context, (uint8 *) plain->data + length, &length) == 1;
}

static bytea *
seal_with(const Secret *key, const Secret *plain, const pg_uuid_t *connector)
{
    bytea *sealed = palloc(VARHDRSZ + sizeof(SealHeader) + plain->length + TAG_BYTES);
    SealHeader *header = (SealHeader *) VARDATA(sealed);
    EVP_CIPHER_CTX *context;
    bool good;

    SET_VARSIZE(sealed, VARHDRSZ + sizeof(SealHeader) + plain->length + TAG_BYTES);
    memcpy(header->magic, magic, sizeof(magic));
    header->version = VERSION;
    key_id(key, header->key_id);
    if (!pg_strong_random(header->nonce, NONCE_BYTES))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bytes")));
    context = EVP_CIPHER_CTX_new();
    good = encrypt(context, key, header, connector, plain, (uint8 *) (header + 1));
    EVP_CIPHER_CTX_free(context);
    if (!good)
        cipher_failed("encrypt");
    return sealed;
}

/* The header of a sealed value, and the length of what is sealed; raises KA012 for something else. */
static const SealHeader *
check_header(const bytea *sealed, const char *name, size_t *length)
{
    const SealHeader *header = (const SealHeader *) VARDATA_ANY(sealed);
    size_t size = VARSIZE_ANY_EXHDR(sealed);

    if (size < sizeof(SealHeader) + TAG_BYTES || memcmp(header->magic, magic, sizeof(magic)) != 0)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_BAD_SEAL), errmsg("the credentials of connector \"%s\" are damaged", name),
                        errdetail("What is stored is not something this extension has encrypted."),
                        errhint("Give them anew: kaireon.update_connector(name, auth_config => ...).")));
    if (header->version != VERSION)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_BAD_SEAL),
                        errmsg("the credentials of connector \"%s\" were encrypted by another version of the extension", name),
                        errdetail("They are in form %d; this version knows form %d.", header->version, VERSION),
                        errhint("Install the newer version, or give them anew: kaireon.update_connector(name, auth_config => ...).")));
    *length = size - sizeof(SealHeader) - TAG_BYTES;
    return header;
}

/* The configured key a value was sealed with; NULL: neither. */
static Secret *
find_key(const SealHeader *header, MasterKeyUse *use)
{
    /* without a current key it says so, whatever the previous one is */
    for (*use = MASTER_KEY_CURRENT; *use <= MASTER_KEY_PREVIOUS; (*use)++)
    {
        Secret *key;
        uint8 id[KEY_ID_BYTES];

        if (*use == MASTER_KEY_PREVIOUS && !masterkey_configured(*use))
            break;
        key = masterkey_load(*use);
        key_id(key, id);
        if (memcmp(id, header->key_id, KEY_ID_BYTES) == 0)
            return key;
        secret_free(key);
    }
    return NULL;
}

pg_noreturn static void
other_key(const char *name)
{
    bool two = masterkey_configured(MASTER_KEY_PREVIOUS);

    ereport(ERROR, (errcode(ERRCODE_KAIREON_OTHER_KEY),
                    errmsg("the credentials of connector \"%s\" were encrypted with another master key", name),
                    two ? errdetail("Neither the current nor the previous master key is that one.")
                        : errdetail("The current master key is not that one, and no previous one is configured."),
                    errhint("Set \"kaireon.previous_master_key_file\" to that key and call kaireon.rotate_master_key(), or give the "
                            "credentials anew: kaireon.update_connector(name, auth_config => ...).")));
    pg_unreachable();
}

/* NULL when it does not open. */
static Secret *
open_with(const Secret *key, const SealHeader *header, size_t length, const pg_uuid_t *connector)
{
    Secret *plain = secret_create(length);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool good;

    plain->length = length;
    good = decrypt(context, key, header, connector, (const uint8 *) (header + 1), plain);
    EVP_CIPHER_CTX_free(context);
    ERR_clear_error();
    if (good)
        return plain;
    secret_free(plain);
    return NULL;
}

pg_noreturn static void
bad_seal(const char *name)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_BAD_SEAL), errmsg("the credentials of connector \"%s\" do not open", name),
                    errdetail("They were changed, or were encrypted for another connector."),
                    errhint("Give them anew: kaireon.update_connector(name, auth_config => ...).")));
    pg_unreachable();
}

bytea *
vault_seal(const Secret *plain, const pg_uuid_t *connector)
{
    Secret *key = masterkey_load(MASTER_KEY_CURRENT);
    bytea *sealed = seal_with(key, plain, connector);

    secret_free(key);
    return sealed;
}

Secret *
vault_open(bytea *sealed, const pg_uuid_t *connector, const char *name)
{
    size_t length;
    const SealHeader *header = check_header(sealed, name, &length);
    MasterKeyUse use;
    Secret *key = find_key(header, &use), *plain;

    if (key == NULL)
        other_key(name);
    plain = open_with(key, header, length, connector);
    secret_free(key);
    if (plain == NULL)
        bad_seal(name);
    return plain;
}

/* ---- rotation ------------------------------------------------------------------------- */

/* The keys of a rotation; the previous one may be missing as long as nothing is sealed with it. */
typedef struct Keys { Secret *current; Secret *previous; uint8 current_id[KEY_ID_BYTES]; uint8 previous_id[KEY_ID_BYTES]; } Keys;

/* Seals one value anew; NULL when it is sealed with the current key. */
static bytea *
rotate_value(const Keys *keys, bytea *sealed, const pg_uuid_t *connector, const char *name)
{
    size_t length;
    const SealHeader *header = check_header(sealed, name, &length);
    Secret *plain;
    bytea *result;

    if (memcmp(header->key_id, keys->current_id, KEY_ID_BYTES) == 0)
        return NULL;
    if (keys->previous == NULL || memcmp(header->key_id, keys->previous_id, KEY_ID_BYTES) != 0)
        other_key(name);
    plain = open_with(keys->previous, header, length, connector);
    if (plain == NULL)
        bad_seal(name);
    result = seal_with(keys->current, plain, connector);
    secret_free(plain);
    return result;
}

static int
rotate_all(const Keys *keys)
{
    SPITupleTable *rows;
    uint64 count, done = 0;

    /* What another session changes at this moment it seals with the current key; runs only look, and are not kept waiting. */
    count = catalog_execute("SELECT id, name, auth_sealed FROM kaireon_internal.connector WHERE auth_sealed IS NOT NULL "
                            "ORDER BY id FOR NO KEY UPDATE", 0, NULL, NULL, NULL, SPI_OK_SELECT);
    rows = SPI_tuptable;
    for (uint64 i = 0; i < count; i++)
    {
        bool null;
        Datum id = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null);
        char *name = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);
        bytea *old = DatumGetByteaPP(SPI_getbinval(rows->vals[i], rows->tupdesc, 3, &null));
        bytea *fresh = rotate_value(keys, old, DatumGetUUIDP(id), name);
        Oid types[] = {UUIDOID, BYTEAOID};
        Datum values[] = {id, PointerGetDatum(fresh)};

        if (fresh == NULL)
            continue;
        catalog_execute("UPDATE kaireon_internal.connector SET auth_sealed = $2 WHERE id = $1", 2, types, values, NULL, SPI_OK_UPDATE);
        done++;
    }
    return done;
}

Datum
kaireon_rotate_master_key(PG_FUNCTION_ARGS)
{
    Keys keys = {0};
    CatalogScope scope;
    int count;

    catalog_require_primary("rotate_master_key");
    keys.current = masterkey_load(MASTER_KEY_CURRENT);
    key_id(keys.current, keys.current_id);
    if (masterkey_configured(MASTER_KEY_PREVIOUS))
    {
        keys.previous = masterkey_load(MASTER_KEY_PREVIOUS);
        key_id(keys.previous, keys.previous_id);
    }
    scope = catalog_begin();
    count = rotate_all(&keys);
    catalog_end(scope);
    secret_free(keys.current);
    secret_free(keys.previous);
    PG_RETURN_INT32(count);
}
