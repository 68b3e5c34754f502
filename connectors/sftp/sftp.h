/*
 * sftp.h: the driver for files of SSH servers, over libssh2.
 *
 * connect.c makes connections, hostkey.c says which keys a server may have,
 * login.c logs in, list.c finds the files that a resource names, read.c reads
 * them, move.c moves them; sftp.c holds them together.
 *
 * All calls of libssh2 are non-blocking, by SFTP_CALL: one that does not come
 * to its end within the idle timeout breaks the connection off.  A connection
 * that broke is made again where that is safe: sftp_ready().
 *
 * What may be read is the server's decision, by the rights of the user that
 * logs in: basePath is where paths begin, not a wall.
 */
#ifndef KAIREON_SFTP_H
#define KAIREON_SFTP_H

#include <libssh2.h>
#include <libssh2_sftp.h>

#include "net/egress.h"
#include "reader/driver.h"

extern const Driver driver_sftp;

#define SFTP_PORT 22
#define SFTP_PATH_MAX 4096

/* Which keys the server may have; see hostkey.c. */
typedef struct HostKeys
{
    bool has_hash;
    uint8_t hash[32];
    char *known;        /* lines of a known_hosts file; NULL: none */
} HostKeys;

typedef struct Sftp
{
    char *host;         /* without brackets */
    char *name;         /* as known_hosts files have it: host or [host]:port */
    uint16_t port;
    char *base;         /* without a slash at the end; "": the login folder */
    int64_t connect_seconds, idle_seconds, total_seconds;
    HostKeys keys;
    char *user, *password, *private_key, *passphrase;   /* wiped when they are freed; NULL where there is none */
    Egress egress;

    int fd;             /* -1: not connected */
    LIBSSH2_SESSION *ssh;
    LIBSSH2_SFTP *files;
    uint64_t connection;    /* counts them: handles are of one */
    int64_t deadline;   /* of the call that is made, in milliseconds of the monotonic clock */
    bool broken;        /* the connection is of no use any more */
    bool silent;        /* because the server said nothing */
    int64_t waited;     /* milliseconds, in this operation */
    bool claims;        /* DriverConfig.claims */
    bool over;          /* that is longer than total_seconds: it is not tried again */
} Sftp;

/* ---- connect.c ---------------------------------------------------------- */

/*
 * Makes `rc` the result of `call`, which is made again while it has to wait.
 * It is LIBSSH2_ERROR_EAGAIN in the end only when the server was silent.
 */
#define SFTP_CALL(sftp, rc, call) \
    for (sftp_begin(sftp); ((rc) = (call)) == LIBSSH2_ERROR_EAGAIN && sftp_wait(sftp); )

/* The same for calls that give a pointer. */
#define SFTP_CALL_POINTER(sftp, pointer, call) \
    for (sftp_begin(sftp); ((pointer) = (call)) == NULL && \
         libssh2_session_last_errno((sftp)->ssh) == LIBSSH2_ERROR_EAGAIN && sftp_wait(sftp); )

/* What is waited for from now on belongs to another operation: a listing, a move, a file that is read. */
void sftp_operation(Sftp *sftp);

void sftp_begin(Sftp *sftp);
bool sftp_wait(Sftp *sftp);

/* Connects, checks the server's key, logs in.  Fails with 08001, 08006, 42501, 28000 or 22023. */
STATUS_CHECK bool sftp_connect(Sftp *sftp, Status *st);
void sftp_disconnect(Sftp *sftp);

/* There is a connection that is not known to be broken; makes one, in several attempts, where it is. */
STATUS_CHECK bool sftp_ready(Sftp *sftp, Status *st);

/* What the last call's error `rc` says about the connection (marking it broken): 08006 or 08P01.  Returns false. */
bool sftp_link_fail(Sftp *sftp, int rc, const char *what, Status *st);

/*
 * What it says about `path`: 58P01, 42501, 58030, or as sftp_link_fail.  Returns
 * false.  `verb`: "read", "move"...; `what`: "file" or "directory".
 */
bool sftp_path_fail(Sftp *sftp, int rc, const char *verb, const char *what, const char *path, Status *st);

/* The server's answer to the last call was this LIBSSH2_FX_ code. */
bool sftp_answered(Sftp *sftp, int rc, unsigned long code);

/* ---- hostkey.c ---------------------------------------------------------- */

/* From the config's fields, either may be NULL; neither is refused.  `name` as in Sftp.  Fails with 22023. */
STATUS_CHECK bool hostkeys_open(HostKeys *keys, const char *hash, const char *known, const Sftp *sftp, Status *st);
/* Whether the server could be known: without a hash, a line is about it.  Fails with 22023. */
STATUS_CHECK bool hostkeys_name(const Sftp *sftp, Status *st);
void hostkeys_close(HostKeys *keys);

/*
 * The methods to ask for, as libssh2_session_method_pref wants them, of types that are known and are not among
 * `tried` (names with spaces around).  False when there is none.
 */
bool hostkeys_methods(const Sftp *sftp, const char *tried, char *out, size_t size);

/*
 * Whether the key that the server offered is a known one.  *type is its type's name, to be added to `tried`;
 * *again: the server may have a known one of another type.  Fails with 42501.
 */
STATUS_CHECK bool hostkeys_check(const Sftp *sftp, char *type, size_t size, bool *again, Status *st);

/* ---- login.c ------------------------------------------------------------ */

/* Whether a private key has a form that is understood; its passphrase may not be known yet.  Fails with 22023, which shows nothing of it. */
STATUS_CHECK bool sftp_check_key(const char *key, Status *st);

/* Fails with 28000, 08006 or 22023. */
STATUS_CHECK bool sftp_login(Sftp *sftp, Status *st);

/* ---- sftp.c, list.c, read.c, move.c ---------------------------------------- */

/* The path that the server knows: `path`, which is relative, below the base.  Fails with 54000. */
STATUS_CHECK bool sftp_full_path(const Sftp *sftp, const char *path, char *out, size_t size, Status *st);

/*
 * A path below the base without "." and empty components, to be freed.  Fails with
 * 42501 for what lies elsewhere; returns NULL.
 */
char *sftp_relative(const Sftp *sftp, const char *path, Status *st);

/* A stat (links followed) or lstat of a full path: libssh2's result. */
int sftp_stat(Sftp *sftp, const char *full, bool link, LIBSSH2_SFTP_ATTRIBUTES *info);

bool sftp_is_file(const LIBSSH2_SFTP_ATTRIBUTES *info);
bool sftp_is_folder(const LIBSSH2_SFTP_ATTRIBUTES *info);

/* Microseconds since 1970, or WIRE_NO_TIME. */
int64_t sftp_mtime(const LIBSSH2_SFTP_ATTRIBUTES *info);

STATUS_CHECK bool sftp_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st);
STATUS_CHECK bool sftp_look(void *session, DriverEmit emit, void *context, Status *st);
STATUS_CHECK bool sftp_object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st);
STATUS_CHECK bool sftp_object_read(void *object, uint8_t *out, size_t size, size_t *got, Status *st);
void sftp_object_close(void *object);
STATUS_CHECK bool sftp_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

#endif
