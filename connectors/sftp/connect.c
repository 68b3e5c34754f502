/*
 * connect.c: connections to an SSH server, and how calls of libssh2 wait.
 *
 * libssh2's memory is overwritten before it is given back: passwords, keys
 * and what is derived from them go through it.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../connectors/sftp/sftp.h"
#include "net/lookup.h"

/* Attempts to make a broken connection again, with pauses that double from the first. */
#define ATTEMPTS 6
#define FIRST_PAUSE_MS 200

/* Kinds of host keys that a server may have, at most. */
#define KINDS_TRIED 8

/* ---- waiting ------------------------------------------------------------ */

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the socket; false when `deadline` has passed. */
static bool
poll_socket(int fd, short events, int64_t deadline)
{
    struct pollfd ready = {.fd = fd, .events = events};
    int64_t left;
    int n;

    do
    {
        left = deadline - now_ms();
        if (left <= 0)
            return false;
        n = poll(&ready, 1, left > 1000000 ? 1000000 : (int) left);
    } while (n == 0 || (n < 0 && errno == EINTR));
    return true;
}

/* The same, as long as the operation may last. */
static bool
wait_socket(Sftp *sftp, int fd, short events, int64_t deadline)
{
    int64_t from = now_ms(), last = sftp->total_seconds == 0 ? INT64_MAX : from - sftp->waited + sftp->total_seconds * 1000;
    bool ready = poll_socket(fd, events, deadline < last ? deadline : last);

    sftp->waited += now_ms() - from;
    sftp->over = !ready && last <= deadline;
    return ready;
}

void
sftp_operation(Sftp *sftp)
{
    sftp->waited = 0;
    sftp->over = false;
}

void
sftp_begin(Sftp *sftp)
{
    sftp->deadline = now_ms() + sftp->idle_seconds * 1000;
}

bool
sftp_wait(Sftp *sftp)
{
    int directions = libssh2_session_block_directions(sftp->ssh);
    short events = 0;

    if ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0)
        events |= POLLOUT;
    if ((directions & LIBSSH2_SESSION_BLOCK_INBOUND) != 0 || events == 0)
        events |= POLLIN;
    if (wait_socket(sftp, sftp->fd, events, sftp->deadline))
        return true;
    sftp->broken = sftp->silent = true;
    return false;
}

/* ---- what went wrong ------------------------------------------------------ */

/* libssh2's own words, printable. */
static void
last_words(const Sftp *sftp, char *out, size_t size)
{
    char *text = NULL;
    int n = 0;

    (void) libssh2_session_last_error(sftp->ssh, &text, &n, 0);
    snprintf(out, size, "%.*s", n > 200 ? 200 : n, text == NULL ? "" : text);
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char) *c < ' ' || (unsigned char) *c > '~')
            *c = '?';
}

bool
sftp_link_fail(Sftp *sftp, int rc, const char *what, Status *st)
{
    char words[300];

    sftp->broken = true;
    /* What is called to free something must not wait. */
    (void) shutdown(sftp->fd, SHUT_RDWR);
    if (rc == LIBSSH2_ERROR_ALLOC)
        return status_out_of_memory(st, 0);
    if (sftp->over)
    {
        status_fail(st, STATUS_BROKEN, "\"%s\" took longer than %lld seconds to %s", sftp->host, (long long) sftp->total_seconds, what);
        return status_hint(st, "The connector's totalTimeoutSeconds says how long an operation may take in all; 0 is without a bound.");
    }
    if (sftp->silent)
    {
        status_fail(st, STATUS_BROKEN, "\"%s\" was too slow to %s", sftp->host, what);
        return status_detail(st, "It did not answer within %lld seconds (idleTimeoutSeconds).", (long long) sftp->idle_seconds);
    }
    last_words(sftp, words, sizeof(words));
    if (rc == LIBSSH2_ERROR_PROTO || rc == LIBSSH2_ERROR_INVALID_MAC || rc == LIBSSH2_ERROR_DECRYPT || rc == LIBSSH2_ERROR_BANNER_RECV)
        status_fail(st, STATUS_PROTOCOL, "\"%s\" does not speak SSH as it should", sftp->host);
    else
        status_fail(st, STATUS_BROKEN, "the connection to \"%s\" broke when it was to %s", sftp->host, what);
    return status_detail(st, "%s.", words[0] == '\0' ? "There is no more about it" : words);
}

bool
sftp_answered(Sftp *sftp, int rc, unsigned long code)
{
    return rc == LIBSSH2_ERROR_SFTP_PROTOCOL && sftp->files != NULL && libssh2_sftp_last_error(sftp->files) == code;
}

bool
sftp_path_fail(Sftp *sftp, int rc, const char *verb, const char *what, const char *path, Status *st)
{
    char doing[700];
    unsigned long code;

    if (rc != LIBSSH2_ERROR_SFTP_PROTOCOL || sftp->files == NULL)
    {
        snprintf(doing, sizeof(doing), "%s %s \"%.600s\"", verb, what, path);
        return sftp_link_fail(sftp, rc, doing, st);
    }
    code = libssh2_sftp_last_error(sftp->files);
    switch (code)
    {
        case LIBSSH2_FX_NO_SUCH_FILE:
        case LIBSSH2_FX_NO_SUCH_PATH:
            status_fail(st, STATUS_NO_FILE, "%s \"%s\" does not exist", what, path);
            return status_hint(st, "Names are relative to the connector's basePath and exact in upper and lower case.");
        case LIBSSH2_FX_PERMISSION_DENIED:
        case LIBSSH2_FX_WRITE_PROTECT:
            status_fail(st, STATUS_FORBIDDEN, "no permission to %s %s \"%s\"", verb, what, path);
            return status_hint(st, "The user that logs in must have that right on the server.");
        case LIBSSH2_FX_NOT_A_DIRECTORY:
            return status_fail(st, STATUS_WRONG_KIND, "\"%s\" goes through something that is not a directory", path);
        case LIBSSH2_FX_NO_CONNECTION:
        case LIBSSH2_FX_CONNECTION_LOST:
            return sftp_link_fail(sftp, LIBSSH2_ERROR_SOCKET_DISCONNECT, verb, st);
        default:
            status_fail(st, STATUS_IO, "could not %s %s \"%s\"", verb, what, path);
            return status_detail(st, "The server refused it with code %lu of SFTP%s.", code, code == LIBSSH2_FX_FAILURE ? ", which says no more" : "");
    }
}

/* ---- sockets ------------------------------------------------------------ */

/* A socket that is connected to one address; -1 with *error. */
static int
connect_to(Sftp *sftp, const struct addrinfo *to, int64_t deadline, int *error)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, idle = 30;
    socklen_t n = sizeof(*error);

    if (fd < 0)
    {
        *error = errno;
        return -1;
    }
    *error = connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
    if (*error == EINPROGRESS)
    {
        *error = ETIMEDOUT;
        if (wait_socket(sftp, fd, POLLOUT, deadline) && getsockopt(fd, SOL_SOCKET, SO_ERROR, error, &n) != 0)
            *error = errno;
    }
    if (*error != 0)
    {
        close(fd);
        return -1;
    }
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    return fd;
}

/* Tries the host's addresses, those that may be connected to, one after another. */
static bool
open_socket(Sftp *sftp, Status *st)
{
    struct addrinfo *list = NULL, *each;
    int64_t from = now_ms(), deadline = from + sftp->connect_seconds * 1000;
    int error = 0, found;
    char port[8];

    snprintf(port, sizeof(port), "%u", sftp->port);
    found = lookup_host(sftp->host, port, deadline - from, &list);
    sftp->waited += now_ms() - from;
    if (found != 0)
    {
        status_fail(st, STATUS_UNREACHABLE, "could not find the address of host \"%s\"", sftp->host);
        if (found == LOOKUP_LATE)
            return status_detail(st, "There was no answer within %lld seconds (connectTimeoutSeconds).", (long long) sftp->connect_seconds);
        return status_detail(st, "%s.", found == EAI_SYSTEM ? strerror(errno) : gai_strerror(found));
    }
    for (each = list; each != NULL && sftp->fd < 0; each = each->ai_next)
    {
        EgressVerdict verdict = egress_judge(&sftp->egress, sftp->host, each->ai_addr, SFTP_PORT);

        if (verdict == EGRESS_ALLOWED)
            sftp->fd = connect_to(sftp, each, deadline, &error);
        else if (error == 0)
            egress_refuse(verdict, sftp->host, each->ai_addr, st);
    }
    freeaddrinfo(list);
    if (sftp->fd >= 0)
    {
        status_clear(st);
        return true;
    }
    if (error == 0)
        return false;
    status_fail(st, STATUS_UNREACHABLE, "could not connect to \"%s\", port %u", sftp->host, sftp->port);
    return status_detail(st, "%s.", strerror(error));
}

/* ---- sessions ------------------------------------------------------------- */

static void *
ssh_alloc(size_t size, void **context)
{
    (void) context;
    return malloc(size);
}

static void
ssh_free(void *memory, void **context)
{
    (void) context;
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static void *
ssh_realloc(void *memory, size_t size, void **context)
{
    size_t had = memory == NULL ? 0 : malloc_usable_size(memory);
    void *grown = malloc(size);

    if (grown == NULL || memory == NULL)
        return grown;
    memcpy(grown, memory, had < size ? had : size);
    ssh_free(memory, context);
    return grown;
}

void
sftp_disconnect(Sftp *sftp)
{
    int rc;

    /* A farewell that can't be said at once is not said; a session without a socket would say it to descriptor 0. */
    if (sftp->files != NULL && !sftp->broken)
        (void) libssh2_session_disconnect(sftp->ssh, "done");
    /* From here on nothing waits: every call fails, and frees what it has. */
    if (sftp->fd >= 0)
        (void) shutdown(sftp->fd, SHUT_RDWR);
    for (int i = 0; sftp->files != NULL && i < 10; i++)
    {
        rc = libssh2_sftp_shutdown(sftp->files);
        if (rc != LIBSSH2_ERROR_EAGAIN)
            break;
    }
    for (int i = 0; sftp->ssh != NULL && i < 10; i++)
    {
        rc = libssh2_session_free(sftp->ssh);
        if (rc != LIBSSH2_ERROR_EAGAIN)
            break;
    }
    if (sftp->fd >= 0)
        close(sftp->fd);
    sftp->fd = -1;
    sftp->ssh = NULL;
    sftp->files = NULL;
    sftp->broken = sftp->silent = false;
}

/* The two sides have no method in common: most likely it is about the host key. */
static bool
methods_fail(const Sftp *sftp, const char *methods, Status *st)
{
    status_fail(st, STATUS_UNREACHABLE, "\"%s\" has no key of a type that is known", sftp->host);
    status_detail(st, "It was asked for: %s.", methods);
    if (strstr(methods, "ssh-rsa") != NULL && libssh2_version(0x010b00) == NULL)
        return status_hint(st, "libssh2 %s knows RSA keys with SHA-1 only, which most servers refuse: add the server's ed25519 or ecdsa key, as ssh-keyscan -t ed25519,ecdsa -p %u %s prints it.",
                           libssh2_version(0), sftp->port, sftp->host);
    return status_hint(st, "ssh-keyscan -p %u %s prints the keys that it has.", sftp->port, sftp->host);
}

/* One attempt to begin SSH and know the server; *again as in hostkeys_check. */
static bool
handshake(Sftp *sftp, char *tried, size_t size, bool *again, Status *st)
{
    char methods[600], type[100];
    size_t used = strlen(tried);
    int rc;

    *again = false;
    if (!hostkeys_methods(sftp, tried, methods, sizeof(methods)) || !open_socket(sftp, st))
        return st->sqlstate[0] == '\0' ? methods_fail(sftp, "nothing", st) : false;
    sftp->connection++;
    libssh2_session_set_blocking(sftp->ssh, 0);
    (void) libssh2_session_method_pref(sftp->ssh, LIBSSH2_METHOD_HOSTKEY, methods);
    SFTP_CALL(sftp, rc, libssh2_session_handshake(sftp->ssh, sftp->fd));
    if (rc == LIBSSH2_ERROR_KEX_FAILURE || rc == LIBSSH2_ERROR_METHOD_NONE)
        return methods_fail(sftp, methods, st);
    if (rc != 0)
        return sftp_link_fail(sftp, rc, "begin a session", st);
    if (hostkeys_check(sftp, type, sizeof(type), again, st))
        return true;
    snprintf(tried + used, size - used, "%s ", type);
    return false;
}

static bool
new_session(Sftp *sftp, Status *st)
{
    sftp_disconnect(sftp);
    sftp->ssh = libssh2_session_init_ex(ssh_alloc, ssh_free, ssh_realloc, sftp);
    return sftp->ssh != NULL || status_out_of_memory(st, 0);
}

/* A server has keys of several types and shows one: where that is not the known one, it is asked for the others. */
static bool
know_server(Sftp *sftp, Status *st)
{
    char tried[600] = " ";
    bool again = true;
    Status next;

    if (!new_session(sftp, st))
        return false;
    if (handshake(sftp, tried, sizeof(tried), &again, st))
        return true;
    for (int i = 1; i < KINDS_TRIED && again; i++)
    {
        status_clear(&next);
        if (!new_session(sftp, &next))
            break;
        if (handshake(sftp, tried, sizeof(tried), &again, &next))
        {
            status_clear(st);
            return true;
        }
    }
    return false;   /* what was wrong with the first key it showed */
}

bool
sftp_connect(Sftp *sftp, Status *st)
{
    int rc;

    if (!know_server(sftp, st) || !sftp_login(sftp, st))
    {
        sftp_disconnect(sftp);
        return false;
    }
    SFTP_CALL_POINTER(sftp, sftp->files, libssh2_sftp_init(sftp->ssh));
    if (sftp->files != NULL)
        return true;
    rc = libssh2_session_last_errno(sftp->ssh);
    if (rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED || rc == LIBSSH2_ERROR_CHANNEL_FAILURE)
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" does not let user \"%s\" use SFTP", sftp->host, sftp->user);
    else
        sftp_link_fail(sftp, rc, "begin SFTP", st);
    sftp_disconnect(sftp);
    return false;
}

bool
sftp_ready(Sftp *sftp, Status *st)
{
    if (sftp->files != NULL && !sftp->broken)
        return true;
    for (int i = 0; i < ATTEMPTS; i++)
    {
        int ms = FIRST_PAUSE_MS << i;
        struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};

        status_clear(st);
        if (sftp_connect(sftp, st))
            return true;
        /* Only what may be over soon is tried again. */
        if (strncmp(st->sqlstate, "08", 2) != 0 || i + 1 == ATTEMPTS || sftp->over)
            return false;
        (void) nanosleep(&pause, NULL);
        sftp->waited += ms;
    }
    return false;
}
