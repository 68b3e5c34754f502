/*
 * jwt.c: see jwt.h.
 */
#include "net/jwt.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret.h"
#include "net/base64.h"

/* Nobody is asked for the password of an encrypted key. */
static int
no_password(char *out, int size, int writing, void *context)
{
    (void) out;
    (void) size;
    (void) writing;
    (void) context;
    return -1;
}

static EVP_PKEY *
read_key(const char *pem, const char *what, Status *st)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);

    BIO_free(in);
    ERR_clear_error();
    if (key != NULL && EVP_PKEY_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_bits(key) >= JWT_KEY_BITS)
        return key;
    status_fail(st, STATUS_INVALID_VALUE, "%s can't be used", what);
    if (key == NULL)
        status_detail(st, "It is not a private key in PEM form without a password.");
    else
        status_detail(st, "It must be an RSA key of at least %d bits.", JWT_KEY_BITS);
    EVP_PKEY_free(key);
    return NULL;
}

bool
jwt_check_key(const char *key, const char *what, Status *st)
{
    EVP_PKEY *read = read_key(key, what, st);

    EVP_PKEY_free(read);
    return read != NULL;
}

/* JSON in base64url; to be freed by secret_free. */
static char *
encode_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT), *encoded = text == NULL ? NULL : base64url_encode(text, strlen(text));

    secret_free(text);
    return encoded;
}

static char *
encode_header(const char *key_id)
{
    json_t *header = json_pack("{s:s, s:s}", "alg", "RS256", "typ", "JWT");
    char *encoded = NULL;

    if (header != NULL && (key_id == NULL || json_object_set_new(header, "kid", json_string(key_id)) == 0))
        encoded = encode_json(header);
    json_decref(header);
    return encoded;
}

/* The signature of a text in base64url, to be freed; NULL: it can't be made. */
static char *
sign_text(EVP_PKEY *key, const char *text)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t size = (size_t) EVP_PKEY_size(key);
    unsigned char *signature = malloc(size);
    char *encoded = NULL;

    if (context != NULL && signature != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, signature, &size, (const unsigned char *) text, strlen(text)) == 1)
        encoded = base64url_encode(signature, size);
    free(signature);
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return encoded;
}

/* a.b; to be freed by secret_free; NULL: no memory, or one of them is NULL. */
static char *
join(const char *a, const char *b)
{
    size_t size = a == NULL || b == NULL ? 0 : strlen(a) + strlen(b) + 2;
    char *joined = size == 0 ? NULL : malloc(size);

    if (joined != NULL)
        snprintf(joined, size, "%s.%s", a, b);
    return joined;
}

bool
jwt_sign(const json_t *claims, const char *pem, const char *key_id, const char *what, char **token, Status *st)
{
    EVP_PKEY *key = read_key(pem, what, st);
    char *header, *payload, *text, *signature;

    *token = NULL;
    if (key == NULL)
        return false;
    header = encode_header(key_id);
    payload = encode_json(claims);
    text = join(header, payload);
    signature = text == NULL ? NULL : sign_text(key, text);
    *token = join(text, signature);
    free(header);
    secret_free(payload);
    secret_free(text);
    free(signature);
    EVP_PKEY_free(key);
    return *token != NULL || status_out_of_memory(st, 0);
}
