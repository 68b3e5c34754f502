/*
 * login.c: logging in to an SSH server, by password or by key.
 *
 * A server that takes passwords in a dialogue only (keyboard-interactive) is
 * answered with the password wherever it asks for something hidden.
 */
#define _GNU_SOURCE     /* memmem */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/sftp/sftp.h"
#include "net/base64.h"

/* ---- passwords -------------------------------------------------------------- */

static void
answer_prompts(const char *name, int name_len, const char *instruction, int instruction_len, int nprompts,
               const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts, LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **context)
{
    const Sftp *sftp = *context;

    (void) name;
    (void) name_len;
    (void) instruction;
    (void) instruction_len;
    for (int i = 0; i < nprompts; i++)
    {
        /* Freed by libssh2. */
        responses[i].text = strdup(prompts[i].echo ? "" : sftp->password);
        responses[i].length = responses[i].text == NULL ? 0 : (unsigned int) strlen(responses[i].text);
    }
}

/* The methods that the server offers the user hold this one. */
static bool
offers(const char *methods, const char *method)
{
    size_t length = strlen(method), n;

    for (; *methods != '\0'; methods += n + (methods[n] == ','))
    {
        n = strcspn(methods, ",");
        if (n == length && strncmp(methods, method, n) == 0)
            return true;
    }
    return false;
}

static bool
is_refusal(int rc)
{
    return rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED || rc == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;
}

static bool
login_by_password(Sftp *sftp, const char *methods, Status *st)
{
    unsigned int nuser = (unsigned int) strlen(sftp->user);
    int rc = LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;

    if (offers(methods, "password"))
        SFTP_CALL(sftp, rc, libssh2_userauth_password_ex(sftp->ssh, sftp->user, nuser, sftp->password, (unsigned int) strlen(sftp->password), NULL));
    if (is_refusal(rc) && offers(methods, "keyboard-interactive"))
        SFTP_CALL(sftp, rc, libssh2_userauth_keyboard_interactive_ex(sftp->ssh, sftp->user, nuser, answer_prompts));
    if (rc == 0)
        return true;
    if (rc == LIBSSH2_ERROR_PASSWORD_EXPIRED)
        return status_fail(st, STATUS_UNKNOWN_USER, "the password of user \"%s\" on \"%s\" has expired", sftp->user, sftp->host);
    if (!is_refusal(rc))
        return sftp_link_fail(sftp, rc, "log in", st);
    status_fail(st, STATUS_UNKNOWN_USER, "\"%s\" does not accept the password of user \"%s\"", sftp->host, sftp->user);
    status_detail(st, "It offers: %.300s.", methods);
    return offers(methods, "password") || offers(methods, "keyboard-interactive") ? false :
        status_hint(st, "It takes no passwords at all; use the method ssh_key.");
}

/* ---- keys ------------------------------------------------------------------- */

/* An OpenSSH private key's public half, which is not encrypted, names this type. */
static bool
openssh_key_names(const char *key, const char *type)
{
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    const char *at = strstr(key, begin);
    char head[401];
    uint8_t *bytes;
    size_t used = 0, n = 0;
    bool found = false;

    if (at == NULL)
        return false;
    for (at += sizeof(begin) - 1; *at != '\0' && *at != '-' && *at != '=' && used < 400; at++)
        if (*at > ' ')
            head[used++] = *at;
    head[used / 4 * 4] = '\0';
    bytes = base64_decode(head, &n);
    if (bytes != NULL)
        found = memmem(bytes, n, type, strlen(type)) != NULL;
    explicit_bzero(head, sizeof(head));
    if (bytes != NULL)
        explicit_bzero(bytes, n);
    free(bytes);
    return found;
}

bool
sftp_check_key(const char *key, Status *st)
{
    const char *begin = strstr(key, "-----BEGIN "), *end = begin == NULL ? NULL : strstr(begin + 11, "-----END ");
    const char *kind = begin == NULL ? NULL : strstr(begin, "PRIVATE KEY-----");

    if (kind != NULL && end != NULL && kind < end && strstr(end, "PRIVATE KEY-----") != NULL)
        return true;
    if (strncmp(key, "PuTTY-User-Key-File", 19) == 0)
    {
        status_fail(st, STATUS_INVALID_VALUE, "privateKey is a key file of PuTTY's");
        return status_hint(st, "PuTTYgen exports it as an OpenSSH key (Conversions).");
    }
    if (strncmp(key, "ssh-", 4) == 0 || strncmp(key, "ecdsa-", 6) == 0 || strstr(key, "BEGIN PUBLIC KEY") != NULL || strstr(key, "BEGIN SSH2 PUBLIC KEY") != NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "privateKey is the public half of a key");
        return status_hint(st, "The private half is in the file without \".pub\".");
    }
    status_fail(st, STATUS_INVALID_VALUE, "privateKey is no private key in PEM or OpenSSH form");
    return status_hint(st, "Give the whole text of the key's file, with its BEGIN and END lines, or refer to it by {\"file\": \"/path\"}.");
}

static bool
key_is_rsa(const Sftp *sftp)
{
    const char *key = sftp->private_key;
    bool rsa = false;
    BIO *bio;
    EVP_PKEY *parsed;

    if (strstr(key, "BEGIN RSA PRIVATE KEY") != NULL || openssh_key_names(key, "ssh-rsa"))
        return true;
    bio = BIO_new_mem_buf(key, (int) strlen(key));
    /* A passphrase in the last argument, even an empty one, keeps OpenSSL from asking for it. */
    parsed = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, sftp->passphrase == NULL ? "" : sftp->passphrase);
    if (parsed != NULL)
        rsa = EVP_PKEY_base_id(parsed) == EVP_PKEY_RSA;
    EVP_PKEY_free(parsed);
    BIO_free(bio);
    return rsa;
}

static bool
key_refused(const Sftp *sftp, const char *methods, Status *st)
{
    status_fail(st, STATUS_UNKNOWN_USER, "\"%s\" does not accept the private key of user \"%s\"", sftp->host, sftp->user);
    status_detail(st, "It offers: %.300s.", methods);
    if (key_is_rsa(sftp) && libssh2_version(0x010b00) == NULL)
        return status_hint(st, "It is an RSA key, and libssh2 %s signs with SHA-1 only, which most servers refuse: use an ed25519 or ecdsa key.", libssh2_version(0));
    return status_hint(st, "The public half of the key must be among that user's authorized keys on the server.");
}

static bool
login_by_key(Sftp *sftp, const char *methods, Status *st)
{
    /* Never NULL: libssh2 1.10 takes its length when a key is encrypted. */
    const char *passphrase = sftp->passphrase == NULL ? "" : sftp->passphrase;
    int rc;

    SFTP_CALL(sftp, rc, libssh2_userauth_publickey_frommemory(sftp->ssh, sftp->user, strlen(sftp->user), NULL, 0, sftp->private_key,
                                                             strlen(sftp->private_key), passphrase));
    if (rc == 0)
        return true;
    if (is_refusal(rc))
        return key_refused(sftp, methods, st);
    if (rc != LIBSSH2_ERROR_FILE && rc != LIBSSH2_ERROR_KEYFILE_AUTH_FAILED && rc != LIBSSH2_ERROR_METHOD_NONE &&
        rc != LIBSSH2_ERROR_PROTO)    /* what libssh2 says of PEM that it can't decode */
        return sftp_link_fail(sftp, rc, "log in", st);
    status_fail(st, STATUS_UNKNOWN_USER, "privateKey can't be opened%s", sftp->passphrase == NULL ? "" : " with the passphrase");
    return status_hint(st, "Give a whole ed25519 or ecdsa key in PEM or OpenSSH form, with its BEGIN and END lines, and its passphrase if it has one.");
}

bool
sftp_login(Sftp *sftp, Status *st)
{
    char *list, *methods;
    bool fine;

    SFTP_CALL_POINTER(sftp, list, libssh2_userauth_list(sftp->ssh, sftp->user, (unsigned int) strlen(sftp->user)));
    if (list == NULL && libssh2_userauth_authenticated(sftp->ssh))
        return true;    /* the server wants no credentials */
    if (list == NULL)
        return sftp_link_fail(sftp, libssh2_session_last_errno(sftp->ssh), "log in", st);
    methods = strdup(list);     /* the list is libssh2's, and of its last answer */
    if (methods == NULL)
        return status_out_of_memory(st, 0);
    for (char *c = methods; *c != '\0'; c++)
        if ((unsigned char) *c <= ' ' || (unsigned char) *c > '~')
            *c = '?';
    fine = sftp->private_key != NULL ? login_by_key(sftp, methods, st) : login_by_password(sftp, methods, st);
    free(methods);
    return fine;
}
