/*
 * hostkey.c: which keys an SSH server may have.
 *
 * A key is known by its hash, or by a line of a known_hosts file as sshd(8)
 * describes it: names with * and ?, "!" in front of one that is not meant,
 * [name]:port, and hashed names (HMAC-SHA1 under a salt).  Lines with
 * @cert-authority are passed over; a key marked @revoked is never accepted.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../connectors/sftp/sftp.h"
#include "net/base64.h"

#define HASH_TEXT 43    /* characters of a SHA-256 in base64 without padding */

/* A line of known_hosts; the parts are not ended by zeros. */
typedef struct KnownLine
{
    bool revoked, authority;
    const char *names, *type, *key;
    size_t nnames, ntype, nkey;
} KnownLine;

/* ---- lines ---------------------------------------------------------------- */

/* The next word of a line. */
static const char *
next_word(const char **at, size_t *n)
{
    const char *word = *at + strspn(*at, " \t");

    *n = strcspn(word, " \t\r\n");
    *at = word + *n;
    return word;
}

/* Reads the line at *at and goes behind it; false for one that says nothing. */
static bool
read_line(const char **at, KnownLine *line)
{
    const char *p = *at, *end = p + strcspn(p, "\n"), *word;
    size_t n;

    *at = end + (*end == '\n');
    memset(line, 0, sizeof(*line));
    word = next_word(&p, &n);
    if (n == 0 || *word == '#')
        return false;
    if (*word == '@')
    {
        line->revoked = n == 8 && strncmp(word, "@revoked", n) == 0;
        line->authority = !line->revoked;
        word = next_word(&p, &n);
    }
    line->names = word;
    line->nnames = n;
    line->type = next_word(&p, &line->ntype);
    line->key = next_word(&p, &line->nkey);
    return line->nkey > 0;
}

/* Base64 of which padding may be missing, to be freed; NULL when it is none. */
static uint8_t *
decode(const char *text, size_t length, size_t *n)
{
    size_t padded = (length + 3) / 4 * 4;
    char *copy = malloc(padded + 1);
    uint8_t *bytes;

    if (copy == NULL)
        return NULL;
    memset(copy, '=', padded);
    memcpy(copy, text, length);
    copy[padded] = '\0';
    bytes = base64_decode(copy, n);
    free(copy);
    return bytes;
}

/* "|1|salt|hash" stands for this name. */
static bool
hashed_name_is(const char *text, size_t length, const char *name)
{
    const char *salt = text + 3, *bar = length > 3 ? memchr(salt, '|', length - 3) : NULL;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int ndigest = 0;
    size_t nsalt = 0, nhash = 0;
    uint8_t *salt_bytes, *hash;
    bool same;

    if (bar == NULL)
        return false;
    salt_bytes = decode(salt, (size_t) (bar - salt), &nsalt);
    hash = decode(bar + 1, length - (size_t) (bar + 1 - text), &nhash);
    same = salt_bytes != NULL && hash != NULL &&
        HMAC(EVP_sha1(), salt_bytes, (int) nsalt, (const unsigned char *) name, strlen(name), digest, &ndigest) != NULL &&
        nhash == ndigest && memcmp(hash, digest, nhash) == 0;
    free(salt_bytes);
    free(hash);
    return same;
}

/* n characters with * and ?, without regard to case. */
static bool
name_matches(const char *pattern, size_t n, const char *name)
{
    const char *end = pattern + n, *star = NULL, *retry = NULL;

    while (*name != '\0')
    {
        if (pattern < end && *pattern == '*')
        {
            star = ++pattern;
            retry = name;
        }
        else if (pattern < end && (*pattern == '?' || strncasecmp(pattern, name, 1) == 0))
        {
            pattern++;
            name++;
        }
        else if (star != NULL)
        {
            /* The last * takes one character more. */
            pattern = star;
            name = ++retry;
        }
        else
            return false;
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

static bool
line_names(const KnownLine *line, const char *name)
{
    const char *at = line->names, *end = at + line->nnames;
    bool named = false;

    if (line->nnames > 3 && strncmp(at, "|1|", 3) == 0)
        return hashed_name_is(at, line->nnames, name);
    while (at < end)
    {
        const char *comma = memchr(at, ',', (size_t) (end - at));
        size_t n = (size_t) ((comma == NULL ? end : comma) - at);
        bool no = n > 0 && *at == '!';

        if (name_matches(at + no, n - no, name))
        {
            if (no)
                return false;
            named = true;
        }
        at += n + 1;
    }
    return named;
}

static bool
line_has_key(const KnownLine *line, const char *key, size_t n)
{
    size_t nbytes = 0;
    uint8_t *bytes = decode(line->key, line->nkey, &nbytes);
    bool same = bytes != NULL && nbytes == n && memcmp(bytes, key, n) == 0;

    free(bytes);
    return same;
}

/* ---- methods ---------------------------------------------------------------- */

/* The type of key that a method signs with; false for one that is about certificates. */
static bool
type_of_method(const char *method, char *out, size_t size)
{
    if (strstr(method, "-cert-") != NULL)
        return false;
    snprintf(out, size, "%s", strncmp(method, "rsa-sha2-", 9) == 0 ? "ssh-rsa" : method);
    return true;
}

/* The known hosts have a key of this type for the server. */
static bool
known_type(const Sftp *sftp, const char *type)
{
    const char *at = sftp->keys.known;
    KnownLine line;

    while (at != NULL && *at != '\0')
        if (read_line(&at, &line) && !line.revoked && !line.authority && line.ntype == strlen(type) &&
            strncmp(line.type, type, line.ntype) == 0 && line_names(&line, sftp->name))
            return true;
    return false;
}

static bool
known_host(const Sftp *sftp)
{
    const char *at = sftp->keys.known;
    KnownLine line;

    while (at != NULL && *at != '\0')
        if (read_line(&at, &line) && !line.revoked && !line.authority && line_names(&line, sftp->name))
            return true;
    return false;
}

bool
hostkeys_methods(const Sftp *sftp, const char *tried, char *out, size_t size)
{
    const char **methods = NULL;
    int n = libssh2_session_supported_algs(sftp->ssh, LIBSSH2_METHOD_HOSTKEY, &methods);
    bool choosy = !sftp->keys.has_hash && known_host(sftp);
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < n; i++)
    {
        char type[100], word[102];

        if (!type_of_method(methods[i], type, sizeof(type)) || (choosy && !known_type(sftp, type)))
            continue;
        snprintf(word, sizeof(word), " %.98s ", type);
        if (strstr(tried, word) == NULL && used + strlen(methods[i]) + 2 < size)
            used += (size_t) snprintf(out + used, size - used, "%s%s", used > 0 ? "," : "", methods[i]);
    }
    if (n > 0)
        libssh2_free(sftp->ssh, methods);
    return used > 0;
}

/* ---- checking --------------------------------------------------------------- */

/* The name in front of a key, which says its type; printable. */
static void
type_of_key(const char *key, size_t n, char *out, size_t size)
{
    size_t length = n < 4 ? 0 : (size_t) ((unsigned char) key[2] << 8 | (unsigned char) key[3]);

    snprintf(out, size, "%.*s", length <= n - 4 && n >= 4 ? (int) length : 0, key + 4);
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char) *c <= ' ' || (unsigned char) *c > '~')
            *c = '?';
}

static bool
refuse_key(const Sftp *sftp, const char *problem, const char *type, const uint8_t *hash, Status *st)
{
    char *text = base64_encode(hash, 32);

    status_fail(st, STATUS_FORBIDDEN, problem, sftp->host);
    status_detail(st, "The server showed the %s key SHA256:%.*s.", type, HASH_TEXT, text == NULL ? "" : text);
    free(text);
    return status_hint(st, "Somebody else may have answered in its place. If its keys are new or were never given, see what ssh-keyscan -p %u %s prints, make sure with whoever runs the server that it is right, and give it as knownHosts.",
                       sftp->port, sftp->host);
}

bool
hostkeys_check(const Sftp *sftp, char *type, size_t size, bool *again, Status *st)
{
    const HostKeys *keys = &sftp->keys;
    const char *at = keys->known;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int nhash = 0;
    bool known = false, revoked = false;
    KnownLine line;
    size_t n = 0;
    const char *key = libssh2_session_hostkey(sftp->ssh, &n, NULL);

    *again = false;
    if (key == NULL || EVP_Digest(key, n, hash, &nhash, EVP_sha256(), NULL) != 1)
        return status_fail(st, STATUS_PROTOCOL, "\"%s\" showed no key", sftp->host);
    type_of_key(key, n, type, size);
    if (keys->has_hash)
        known = memcmp(hash, keys->hash, sizeof(keys->hash)) == 0;
    while (at != NULL && *at != '\0')
    {
        if (!read_line(&at, &line) || line.authority || !line_names(&line, sftp->name) || !line_has_key(&line, key, n))
            continue;
        known = true;
        revoked = revoked || line.revoked;
    }
    if (revoked)
        return refuse_key(sftp, "the key of \"%s\" is marked as revoked in knownHosts", type, hash, st);
    *again = !known;
    if (known)
        return true;
    if (keys->has_hash || known_host(sftp))
        return refuse_key(sftp, "\"%s\" has another key than the known one", type, hash, st);
    *again = false;
    return refuse_key(sftp, "\"%s\" is not among the knownHosts", type, hash, st);
}

/* ---- opening ---------------------------------------------------------------- */

static bool
read_hash(HostKeys *keys, const char *text, Status *st)
{
    size_t length, n = 0;
    uint8_t *bytes;

    text += strspn(text, " \t");
    if (strncasecmp(text, "SHA256:", 7) == 0)
        text += 7;
    length = strcspn(text, "= \t\r\n");
    bytes = length == HASH_TEXT && text[length + strspn(text + length, "= \t\r\n")] == '\0' ? decode(text, length, &n) : NULL;
    keys->has_hash = bytes != NULL && n == sizeof(keys->hash);
    if (keys->has_hash)
        memcpy(keys->hash, bytes, n);
    free(bytes);
    if (keys->has_hash)
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "hostKeySha256 is not the SHA-256 hash of a key");
    return status_hint(st, "Give the %d characters that ssh-keygen -l prints behind \"SHA256:\".", HASH_TEXT);
}

bool
hostkeys_open(HostKeys *keys, const char *hash, const char *known, const Sftp *sftp, Status *st)
{
    bool has_known = known != NULL && known[strspn(known, " \t\r\n")] != '\0';

    if (hash == NULL && !has_known)
    {
        status_fail(st, STATUS_INVALID_VALUE, "connector has neither hostKeySha256 nor knownHosts: the server could not be told from another");
        return status_hint(st, "ssh-keyscan -p %u %s prints the server's keys as lines for knownHosts; make sure with whoever runs it that they are right.", sftp->port, sftp->host);
    }
    if (has_known)
    {
        keys->known = strdup(known);
        if (keys->known == NULL)
            return status_out_of_memory(st, strlen(known));
    }
    return hash == NULL || read_hash(keys, hash, st);
}

/* Every line that says something must be one of a known_hosts file. */
static bool
check_lines(const char *known, Status *st)
{
    int number = 0;

    for (const char *at = known; *at != '\0';)
    {
        const char *begin = at, *first = at + strspn(at, " \t\r");
        KnownLine line;
        size_t n = 0;
        uint8_t *key;

        number++;
        if (!read_line(&at, &line) && (*first == '#' || *first == '\n' || *first == '\0'))
            continue;
        key = line.nkey > 0 ? decode(line.key, line.nkey, &n) : NULL;
        free(key);
        if (n >= 4 + line.ntype && key != NULL)
            continue;
        status_fail(st, STATUS_INVALID_VALUE, "line %d of knownHosts is none of a known_hosts file", number);
        status_detail(st, "It begins with \"%.*s\".", (int) (strcspn(begin, " \t\r\n") > 60 ? 60 : strcspn(begin, " \t\r\n")), begin);
        return status_hint(st, "A line has a name, the type of the key and the key in base64, as ssh-keyscan prints it.");
    }
    return true;
}

bool
hostkeys_name(const Sftp *sftp, Status *st)
{
    if (sftp->keys.known != NULL && !check_lines(sftp->keys.known, st))
        return false;
    if (sftp->keys.has_hash || known_host(sftp))
        return true;
    status_fail(st, STATUS_INVALID_VALUE, "knownHosts has no line for \"%s\"", sftp->name);
    return status_hint(st, "Servers are known by the name that the connector has in \"host\"%s. ssh-keyscan -p %u %s prints lines for it.",
                       sftp->port == SFTP_PORT ? "" : ", with the port as in [host]:port", sftp->port, sftp->host);
}

void
hostkeys_close(HostKeys *keys)
{
    free(keys->known);
    keys->known = NULL;
}
