/*
 * test_jwt.c: tokens that are signed here, taken apart and verified with OpenSSL.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "core/secret.h"
#include "net/base64.h"
#include "net/jwt.h"
#include "tap.h"

/* A new private key; bits 0: of an elliptic curve. */
static EVP_PKEY *
make_key(int bits)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(bits == 0 ? EVP_PKEY_EC : EVP_PKEY_RSA, NULL);
    EVP_PKEY *key = NULL;

    if (EVP_PKEY_keygen_init(context) != 1 ||
        (bits == 0 ? EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) : EVP_PKEY_CTX_set_rsa_keygen_bits(context, bits)) != 1 ||
        EVP_PKEY_keygen(context, &key) != 1)
        abort();
    EVP_PKEY_CTX_free(context);
    return key;
}

/* In PEM form, to be freed; with a password or NULL. */
static char *
to_pem(EVP_PKEY *key, const char *password)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *data, *pem;
    long n;

    if (PEM_write_bio_PKCS8PrivateKey(out, key, password == NULL ? NULL : EVP_aes_128_cbc(), password, password == NULL ? 0 : (int) strlen(password), NULL, NULL) != 1)
        abort();
    n = BIO_get_mem_data(out, &data);
    pem = strndup(data, (size_t) n);
    BIO_free(out);
    return pem;
}

/* Bytes of base64url, with a zero byte behind them, to be freed. */
static char *
decode(const char *text, size_t n, size_t *size)
{
    size_t padded = (n + 3) / 4 * 4;
    char *copy = malloc(padded + 1);
    uint8_t *bytes;

    memset(copy, '=', padded);
    memcpy(copy, text, n);
    copy[padded] = '\0';
    for (char *at = copy; *at != '\0'; at++)
        *at = (char) (*at == '-' ? '+' : *at == '_' ? '/' : *at);
    bytes = base64_decode(copy, size);
    free(copy);
    if (bytes == NULL)
        return NULL;
    copy = malloc(*size + 1);
    memcpy(copy, bytes, *size);
    copy[*size] = '\0';
    free(bytes);
    return copy;
}

static bool
verifies(EVP_PKEY *key, const char *token)
{
    const char *dot = strrchr(token, '.');
    size_t n;
    char *signature = decode(dot + 1, strlen(dot + 1), &n);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool fine = signature != NULL && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(context, (unsigned char *) signature, n, (const unsigned char *) token, (size_t) (dot - token)) == 1;

    EVP_MD_CTX_free(context);
    free(signature);
    return fine;
}

/* The n-th part of a token as JSON in a fixed order, to be freed. */
static char *
part(const char *token, int n)
{
    size_t size;
    char *text, *sorted;
    json_t *json;

    while (n-- > 0)
        token = strchr(token, '.') + 1;
    text = decode(token, strcspn(token, "."), &size);
    json = json_loads(text, 0, NULL);
    sorted = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    free(text);
    return sorted;
}

static void
is_part(const char *token, int n, const char *want, const char *what)
{
    char *got = part(token, n);

    is_str(got, want, "%s", what);
    free(got);
}

static void
test_signed(EVP_PKEY *key)
{
    json_t *claims = json_pack("{s:s, s:s, s:I, s:I}", "iss", "me@example.com", "aud", "https://example.com/token?\xc3\xbc", "iat",
                               (json_int_t) 1700000000, "exp", (json_int_t) 1700003600);
    EVP_PKEY *other = make_key(JWT_KEY_BITS);
    char *pem = to_pem(key, NULL), *token = NULL;
    Status st;

    status_clear(&st);
    ok(jwt_sign(claims, pem, "key-1", "the key", &token, &st), "a token is signed %s", st.message);
    is_part(token, 0, "{\"alg\":\"RS256\",\"kid\":\"key-1\",\"typ\":\"JWT\"}", "its header");
    is_part(token, 1, "{\"aud\":\"https://example.com/token?\xc3\xbc\",\"exp\":1700003600,\"iat\":1700000000,\"iss\":\"me@example.com\"}", "its claims");
    ok(strpbrk(token, "+/=\n") == NULL, "nothing in it that a URL must encode");
    ok(verifies(key, token), "its signature is right");
    ok(!verifies(other, token), "and another key's would not be");
    token[strcspn(token, ".") + 5] ^= 1;
    ok(!verifies(key, token), "nor is it of other claims");
    secret_free(token);
    ok(jwt_sign(claims, pem, NULL, "the key", &token, &st), "and without the key's name");
    is_part(token, 0, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", "which is left out");
    secret_free(token);
    json_decref(claims);
    EVP_PKEY_free(other);
    free(pem);
}

/* A key that is refused, and not shown. */
static void
refused(const char *pem, const char *detail, const char *what)
{
    json_t *claims = json_object();
    char *token = NULL;
    Status st;

    status_clear(&st);
    ok(!jwt_sign(claims, pem, NULL, "the key", &token, &st) && token == NULL, "%s is refused", what);
    is_str(st.sqlstate, "22023", "%s: SQLSTATE", what);
    is_str(st.message, "the key can't be used", "%s: message", what);
    is_str(st.detail, detail, "%s: detail", what);
    json_decref(claims);
}

static void
test_refused(EVP_PKEY *key)
{
    static const char none[] = "It is not a private key in PEM form without a password.", weak[] = "It must be an RSA key of at least 2048 bits.";
    EVP_PKEY *small = make_key(1024), *curve = make_key(0);
    char *pem[] = {to_pem(key, "a password"), to_pem(small, NULL), to_pem(curve, NULL), to_pem(key, NULL)};

    refused("", none, "nothing");
    refused("-----BEGIN PRIVATE KEY-----\nxyz\n-----END PRIVATE KEY-----\n", none, "nonsense");
    pem[3][strlen(pem[3]) / 2] = '\0';
    refused(pem[3], none, "half a key");
    refused(pem[0], none, "one with a password");
    refused(pem[1], weak, "a weak one");
    refused(pem[2], weak, "one of another kind");
    for (size_t i = 0; i < sizeof(pem) / sizeof(pem[0]); i++)
        free(pem[i]);
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
}

int
main(void)
{
    EVP_PKEY *key = make_key(JWT_KEY_BITS);

    test_signed(key);
    test_refused(key);
    EVP_PKEY_free(key);
    return done();
}
