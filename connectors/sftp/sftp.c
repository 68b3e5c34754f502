/*
 * sftp.c: see sftp.h.
 */
#include "../connectors/sftp/sftp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_fields.h"
#include "core/path_pattern.h"
#include "core/secret.h"
#include "reader/listing.h"

/* ---- paths ------------------------------------------------------------------ */

bool
sftp_full_path(const Sftp *sftp, const char *path, char *out, size_t size, Status *st)
{
    bool root = strcmp(sftp->base, "/") == 0;
    int n;

    if (path[0] == '\0')
        n = snprintf(out, size, "%s", sftp->base[0] == '\0' ? "." : sftp->base);
    else
        n = snprintf(out, size, "%s%s%s", sftp->base, sftp->base[0] == '\0' || root ? "" : "/", path);
    return n < (int) size || status_fail(st, STATUS_LIMIT, "path \"%s\" is too long", path);
}

char *
sftp_relative(const Sftp *sftp, const char *path, Status *st)
{
    char *clean;

    if (path_goes_up(path))
        return status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", path), NULL;
    if (path[0] == '/' && (sftp->base[0] != '/' || !listing_lies_below(path, sftp->base)))
    {
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" does not lie below basePath \"%s\"", path, sftp->base);
        status_hint(st, "Give the path relative to basePath; without that, paths begin at the folder where the user logs in.");
        return NULL;
    }
    clean = path_clean(path[0] == '/' ? path + strlen(sftp->base) : path);
    if (clean == NULL)
        status_out_of_memory(st, strlen(path));
    return clean;
}

bool
sftp_is_file(const LIBSSH2_SFTP_ATTRIBUTES *info)
{
    return (info->flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) != 0 && LIBSSH2_SFTP_S_ISREG(info->permissions);
}

bool
sftp_is_folder(const LIBSSH2_SFTP_ATTRIBUTES *info)
{
    return (info->flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) != 0 && LIBSSH2_SFTP_S_ISDIR(info->permissions);
}

int64_t
sftp_mtime(const LIBSSH2_SFTP_ATTRIBUTES *info)
{
    return (info->flags & LIBSSH2_SFTP_ATTR_ACMODTIME) != 0 ? (int64_t) info->mtime * 1000000 : WIRE_NO_TIME;
}

int
sftp_stat(Sftp *sftp, const char *full, bool link, LIBSSH2_SFTP_ATTRIBUTES *info)
{
    int rc;

    memset(info, 0, sizeof(*info));
    SFTP_CALL(sftp, rc, libssh2_sftp_stat_ex(sftp->files, full, (unsigned int) strlen(full), link ? LIBSSH2_SFTP_LSTAT : LIBSSH2_SFTP_STAT, info));
    return rc;
}

/* ---- sessions --------------------------------------------------------------- */

static void
sftp_close(void *session)
{
    Sftp *sftp = session;

    if (sftp == NULL)
        return;
    sftp_disconnect(sftp);
    hostkeys_close(&sftp->keys);
    egress_close(&sftp->egress);
    secret_free(sftp->password);
    secret_free(sftp->private_key);
    secret_free(sftp->passphrase);
    free(sftp->user);
    free(sftp->host);
    free(sftp->name);
    free(sftp->base);
    free(sftp);
}

/* A copy in *to, of what is there. */
static bool
keep(char **to, const char *text, Status *st)
{
    *to = text == NULL ? NULL : strdup(text);
    return text == NULL || *to != NULL || status_out_of_memory(st, strlen(text));
}

static bool
set_host(Sftp *sftp, const char *host, int64_t port, Status *st)
{
    size_t n = strlen(host), size = n + 20;
    bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';

    sftp->port = (uint16_t) port;
    sftp->host = bracketed ? strndup(host + 1, n - 2) : strdup(host);
    sftp->name = malloc(size);
    if (sftp->host == NULL || sftp->name == NULL)
        return status_out_of_memory(st, size);
    if (sftp->host[0] == '\0' || strpbrk(sftp->host, "/@ \t\r\n[]") != NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "\"%s\" is not the name or address of a host", host);
        return status_hint(st, "Give the host alone; port, user name and folder have fields of their own.");
    }
    if (sftp->port == SFTP_PORT)
        snprintf(sftp->name, size, "%s", sftp->host);
    else
        snprintf(sftp->name, size, "[%s]:%u", sftp->host, sftp->port);
    return true;
}

static bool
set_base(Sftp *sftp, const char *base, Status *st)
{
    bool absolute = base != NULL && base[0] == '/';
    char *clean;

    if (base == NULL)
        base = "";
    if (path_goes_up(base))
        return status_fail(st, STATUS_FORBIDDEN, "basePath \"%s\" contains \"..\"", base);
    clean = path_clean(base);
    sftp->base = clean == NULL ? NULL : malloc(strlen(clean) + 2);
    if (sftp->base == NULL)
    {
        free(clean);
        return status_out_of_memory(st, strlen(base));
    }
    sprintf(sftp->base, "%s%s", absolute ? "/" : "", clean);
    free(clean);
    return true;
}

static bool
set_credentials(Sftp *sftp, const DriverConfig *config, Status *st)
{
    const json_t *auth = config->auth;
    const char *user = NULL, *password = NULL, *key = NULL, *passphrase = NULL;
    const JsonField fields[] = {
        {"username", JSON_FIELD_TEXT, !config->checks, &user, 0, 0},
        {"password", JSON_FIELD_TEXT, false, &password, 0, 0},
        {"privateKey", JSON_FIELD_TEXT, false, &key, 0, 0},
        {"passphrase", JSON_FIELD_TEXT, false, &passphrase, 0, 0},
    };

    if (auth == NULL)
    {
        status_fail(st, STATUS_INVALID_VALUE, "connector type \"sftp\" needs a user name and a password or private key");
        return status_hint(st, "Give auth_config with username and password, or username and privateKey.");
    }
    if (!json_fields_read(auth, "auth_config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if (key != NULL && !sftp_check_key(key, st))
        return false;
    if ((password == NULL) == (key == NULL) && !config->checks)
        return status_fail(st, STATUS_INVALID_VALUE, "auth_config must have either password or privateKey");
    return keep(&sftp->user, user, st) && keep(&sftp->password, password, st) && keep(&sftp->private_key, key, st) &&
        keep(&sftp->passphrase, passphrase, st);
}

static bool
sftp_open(const DriverConfig *config, void **session, Status *st)
{
    const char *host = NULL, *base = NULL, *hash = NULL, *known = NULL;
    int64_t port = SFTP_PORT, connect_seconds = 10, idle_seconds = 30, total_seconds = 0;
    const JsonField fields[] = {
        {"host", JSON_FIELD_TEXT, true, &host, 0, 0},
        {"port", JSON_FIELD_INT, false, &port, 1, 65535},
        {"basePath", JSON_FIELD_TEXT, false, &base, 0, 0},
        {"hostKeySha256", JSON_FIELD_TEXT, false, &hash, 0, 0},
        {"knownHosts", JSON_FIELD_TEXT, false, &known, 0, 0},
        {"connectTimeoutSeconds", JSON_FIELD_INT, false, &connect_seconds, 1, 600},
        {"idleTimeoutSeconds", JSON_FIELD_INT, false, &idle_seconds, 1, 3600},
        {"totalTimeoutSeconds", JSON_FIELD_INT, false, &total_seconds, 0, 2592000},
    };
    Sftp *sftp;

    *session = NULL;
    if (config->config == NULL)
        return status_fail(st, STATUS_INVALID_VALUE, "connector config has no host");
    if (!json_fields_read(config->config, "connector config", fields, sizeof(fields) / sizeof(fields[0]), st))
        return false;
    if (libssh2_init(0) != 0)
        return status_out_of_memory(st, 0);
    sftp = calloc(1, sizeof(*sftp));
    if (sftp == NULL)
        return status_out_of_memory(st, sizeof(*sftp));
    sftp->fd = -1;
    sftp->claims = config->claims;
    sftp->connect_seconds = connect_seconds;
    sftp->idle_seconds = idle_seconds;
    sftp->total_seconds = total_seconds;
    if (set_host(sftp, host, port, st) && set_base(sftp, base, st) && set_credentials(sftp, config, st) &&
        hostkeys_open(&sftp->keys, hash, known, sftp, st) && egress_open(&sftp->egress, config->egress, config->negress, st) &&
        (config->checks ? hostkeys_name(sftp, st) : sftp_connect(sftp, st)))
    {
        *session = sftp;
        return true;
    }
    sftp_close(sftp);
    return false;
}

const Driver driver_sftp = {
    .type = "sftp",
    .open = sftp_open,
    .close = sftp_close,
    .list = sftp_list,
    .look = sftp_look,
    .object_open = sftp_object_open,
    .object_read = sftp_object_read,
    .object_close = sftp_object_close,
    .move = sftp_move,
};
