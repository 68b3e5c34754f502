/*
 * link.c: a kaireon-reader process and the socket to it.  See link.h.
 *
 * The reader is started with an empty environment (child.h), and dies with the
 * worker by itself.
 */
#include "postgres.h"

#include "pg/link.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/child.h"
#include "pg/compat.h"
#include "pg/encoding.h"
#include "pg/errors.h"
#include "pg/guc.h"
#include "pg/json.h"

#define READER_PROGRAM "kaireon-reader"
/* Messages a reader may have under way; the socket's buffer holds about as much. */
#define FIRST_CREDIT 32
/* What a reader may write to the server's log. */
#define MAX_LOGGED 100
#define MAX_LOG_BYTES 1000
/* How long a reader that closed its socket is given to be gone. */
#define END_WAIT_MS 2000

struct Link
{
    int fd;
    pid_t pid;
    WaitEventSet *events;
    MemoryContext context;
    MemoryContextCallback cleanup;
    WireHeader header;
    size_t have;             /* bytes of the current message received, header included */
    uint8 *body;
    size_t body_size;
    uint32 used_credit;
    bool answering;          /* a request's last message has not come yet */
    bool blames_file;        /* the last request failed at one */
    int logged;
};

static void
link_cleanup(void *arg)
{
    Link *link = arg;

    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    child_end(link->pid); /* nothing it could still do is wanted */
    link->pid = 0;
    /* it holds a descriptor of its own, which nothing else closes after an error */
    if (link->events)
        FreeWaitEventSet(link->events);
    link->events = NULL;
}

/* The program lies beside this library. */
static char *
reader_path(void)
{
    Dl_info info;
    char path[MAXPGPATH];

    if (dladdr((void *) reader_path, &info) == 0 || info.dli_fname == NULL)
        elog(ERROR, "could not find where the library kaireon was loaded from");
    strlcpy(path, info.dli_fname, sizeof(path));
    get_parent_directory(path);
    return psprintf("%s/%s", path, READER_PROGRAM);
}

static void
start_reader(Link *link, int their_end)
{
    char *path = reader_path();
    char program[] = READER_PROGRAM;
    char *argv[] = {program, NULL};
    char *envp[] = {NULL};

    link->pid = child_start(path, argv, envp, their_end, WIRE_READER_FD);
    if (link->pid == 0)
    {
        int failed = errno;

        close(their_end);
        errno = failed;
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not start \"%s\": %m", path),
                        errdetail("Sources are read by that program."), errhint("make install puts it beside the library.")));
    }
}

Link *
link_open(void)
{
    Link *link = palloc0(sizeof(Link));
    int ends[2], size = 4 << 20;

    link->fd = -1;
    link->context = CurrentMemoryContext;
    link->cleanup.func = link_cleanup;
    link->cleanup.arg = link;
    MemoryContextRegisterResetCallback(link->context, &link->cleanup);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        ereport(ERROR, (errcode_for_socket_access(), errmsg("could not create a socket pair: %m")));
    link->fd = ends[0];
    (void) fcntl(link->fd, F_SETFL, O_NONBLOCK);
    (void) setsockopt(link->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    start_reader(link, ends[1]);
    close(ends[1]);
    link->events = compat_wait_event_set(link->context, 3);
    AddWaitEventToSet(link->events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
    AddWaitEventToSet(link->events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
    AddWaitEventToSet(link->events, WL_SOCKET_READABLE, link->fd, NULL, NULL);
    return link;
}

void
link_close(Link *link)
{
    link_cleanup(link);
}

pid_t
link_pid(const Link *link)
{
    return link->pid;
}

static void
wait_for(Link *link, uint32 what)
{
    WaitEvent event;

    /* whatever was looked up before: nobody needs it meanwhile, and vacuum would wait for it */
    InvalidateCatalogSnapshotConditionally();
    ModifyWaitEvent(link->events, 2, what, NULL);
    (void) WaitEventSetWait(link->events, -1, &event, 1, compat_wait_event("KaireonReader"));
    if (event.events & WL_LATCH_SET)
    {
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

/* How the reader ended, as an error. */
pg_noreturn static void
reader_ended(Link *link)
{
    int status = 0, waited = 0;
    pid_t gone;

    while ((gone = waitpid(link->pid, &status, WNOHANG)) == 0 && waited < END_WAIT_MS)
    {
        (void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, compat_wait_event("KaireonReader"));
        waited += 10;
    }
    if (gone > 0)
        link->pid = 0;
    /* a cancel signals the backend's process group, which a reader is in before it runs its program */
    CHECK_FOR_INTERRUPTS();
    if (gone > 0 && WIFSIGNALED(status))
        ereport(ERROR, (errcode(ERRCODE_KAIREON_READER_ENDED),
                        errmsg("the reader process was ended by signal %d: %s", WTERMSIG(status), strsignal(WTERMSIG(status))),
                        errdetail("kaireon-reader decodes the source's data in a process of its own, so the server is not affected."),
                        WTERMSIG(status) == SIGKILL ? errhint("Look for the kernel's out-of-memory messages, or who sent the signal.")
                                                    : errhint("Please report this with the file that was read.")));
    ereport(ERROR, (errcode(ERRCODE_KAIREON_READER_ENDED),
                    gone > 0 ? errmsg("the reader process ended with exit code %d without a message", WEXITSTATUS(status))
                             : errmsg("the reader process closed its connection"),
                    errdetail("kaireon-reader reads the source in a process of its own, so the server is not affected."),
                    errhint("The server's log may have what it wrote to standard error.")));
    pg_unreachable();
}

void
link_misbehaved(const char *message,...)
{
    StringInfoData text;
    va_list args;
    int more;

    initStringInfo(&text);
    do
    {
        va_start(args, message);
        more = appendStringInfoVA(&text, message, args);
        va_end(args);
        if (more > 0)
            enlargeStringInfo(&text, more);
    } while (more > 0);
    ereport(ERROR, (errcode(ERRCODE_KAIREON_PROTOCOL), errmsg_internal("%s", text.data), errdetail("Nothing of what it sent then was used."),
                    errhint("Library and program must be of the same installation: run make install, and connect anew.")));
    pg_unreachable();
}

static void
send_all(Link *link, const void *data, size_t length)
{
    const char *at = data;

    while (length > 0)
    {
        ssize_t sent = send(link->fd, at, length, MSG_NOSIGNAL);

        if (sent > 0)
        {
            at += sent;
            length -= sent;
        }
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            wait_for(link, WL_SOCKET_WRITEABLE);
        else if (errno != EINTR)
            reader_ended(link);
    }
}

static void
send_message(Link *link, WireType type, const void *body, uint32 length)
{
    WireHeader header = {WIRE_MAGIC, WIRE_VERSION, type, 0, length, 0};

    send_all(link, &header, sizeof(header));
    send_all(link, body, length);
}

static void
grant_credit(Link *link, uint32 messages)
{
    send_message(link, WIRE_CREDIT, &messages, sizeof(messages));
}

/* Reads what is there up to `want` bytes of the message.  False: not there yet. */
static bool
read_some(Link *link, void *base, size_t offset, size_t want)
{
    while (link->have < want)
    {
        ssize_t got = recv(link->fd, (char *) base + (link->have - offset), want - link->have, 0);

        if (got > 0)
            link->have += got;
        else if (got == 0)
            reader_ended(link);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return false;
        else if (errno == ECONNRESET)
            reader_ended(link);
        else if (errno != EINTR)
            ereport(ERROR, (errcode_for_socket_access(), errmsg("could not receive from the reader: %m")));
    }
    return true;
}

static bool
read_message(Link *link)
{
    const char *wrong;

    if (!read_some(link, &link->header, 0, sizeof(WireHeader)))
        return false;
    wrong = wire_header_check(&link->header);
    if (wrong || link->header.type < WIRE_LOG)
        link_misbehaved("kaireon-reader sent a message that breaks the protocol: %s", wrong ? wrong : "not a reader's message");
    if (link->header.length > link->body_size)
    {
        if (link->body)
            pfree(link->body);
        link->body = NULL;
        link->body_size = Max(link->header.length, 256 * 1024);
        link->body = MemoryContextAllocExtended(link->context, link->body_size, MCXT_ALLOC_HUGE);
    }
    return read_some(link, link->body, sizeof(WireHeader), sizeof(WireHeader) + link->header.length);
}

char *
link_text(WireStr text)
{
    char *copy = pnstrdup(text.data, text.length);

    if (!pg_verify_mbstr(PG_UTF8, copy, strlen(copy), true))
        return pstrdup("(not UTF-8)");
    return encoding_shown(copy, strlen(copy));
}

int
link_sqlstate(const char *state)
{
    for (int i = 0; i < 5; i++)
    {
        if (!((state[i] >= '0' && state[i] <= '9') || (state[i] >= 'A' && state[i] <= 'Z')))
            return ERRCODE_KAIREON_PROTOCOL;
    }
    /* success and warnings are no errors; cancels and shutdowns are the server's own */
    if ((state[0] == '0' && state[1] <= '2') || (state[0] == '5' && state[1] == '7'))
        return ERRCODE_KAIREON_PROTOCOL;
    return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

pg_noreturn static void
raise_failure(const WireFailure *failure)
{
    StringInfoData where;

    initStringInfo(&where);
    if (failure->path.length > 0)
    {
        appendStringInfo(&where, "File \"%s\"", link_text(failure->path));
        if (failure->line > 0)
            appendStringInfo(&where, ", line " UINT64_FORMAT, failure->line);
        if (failure->offset > 0)
            appendStringInfo(&where, ", byte " UINT64_FORMAT, failure->offset);
        appendStringInfoChar(&where, '.');
    }
    if (failure->detail.length > 0)
        appendStringInfo(&where, "%s%s", where.len ? " " : "", link_text(failure->detail));
    ereport(ERROR, (errcode(link_sqlstate(failure->sqlstate)), errmsg("%s", link_text(failure->message)),
                    where.len ? errdetail("%s", where.data) : 0,
                    failure->hint.length ? errhint("%s", link_text(failure->hint)) : 0));
    pg_unreachable();
}

static void
log_message(Link *link, WireReader *r)
{
    uint8 level = wire_get_u8(r);
    WireStr text = wire_get_str(r);
    char *copy;

    if (r->bad || ++link->logged > MAX_LOGGED)
        return;
    text.length = Min(text.length, MAX_LOG_BYTES);
    copy = link_text(text);
    elog(level >= WIRE_LOG_WARNING ? LOG : DEBUG1, "kaireon-reader: %s", copy);
    pfree(copy);
}

bool
link_blames_file(const Link *link)
{
    return link->blames_file;
}

bool
link_receive(Link *link, LinkMessage *message, bool wait)
{
    for (;;)
    {
        WireReader r;
        WireFailure failure;

        while (!read_message(link))
        {
            if (!wait)
                return false;
            wait_for(link, WL_SOCKET_READABLE);
        }
        /* a reader that always has something to send is never waited for */
        CHECK_FOR_INTERRUPTS();
        link->have = 0;
        r = (WireReader){link->body, link->header.length, 0, false};
        switch (link->header.type)
        {
            case WIRE_LOG:
                log_message(link, &r);
                continue;
            case WIRE_END:
                link->answering = false;
                break;
            case WIRE_ERROR:
                link->answering = false;
                if (!wire_get_failure(&r, &failure))
                    link_misbehaved("kaireon-reader failed and sent an error that can't be read");
                link->blames_file = failure.path.length > 0;
                raise_failure(&failure);
            case WIRE_BATCH:
            case WIRE_OBJECT:
                /* half used up: grant it again, so that the reader never waits for us to ask */
                if (++link->used_credit >= FIRST_CREDIT / 2)
                {
                    grant_credit(link, link->used_credit);
                    link->used_credit = 0;
                }
                break;
            default:
                break;
        }
        message->type = link->header.type;
        message->body = link->body;
        message->length = link->header.length;
        return true;
    }
}

/* A setting that is a list separated by commas, as a JSON array without its end. */
static void
append_list(StringInfo out, const char *key, const char *setting)
{
    char *copy = pstrdup(setting), *save = NULL;
    bool first = true;

    appendStringInfo(out, ",\"%s\":[", key);
    for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save))
    {
        int length;

        while (isspace((unsigned char) *item) || *item == '"')
            item++;
        length = strlen(item);
        while (length > 0 && (isspace((unsigned char) item[length - 1]) || item[length - 1] == '"'))
            item[--length] = '\0';
        if (length == 0)
            continue;
        appendStringInfoString(out, first ? "" : ",");
        json_append_string(out, item);
        first = false;
    }
}

/* What the environment says of the machine's own credentials, in the names that the clouds' own libraries use. */
static void
append_ambient(StringInfo out)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST",
        "STORAGE_EMULATOR_HOST"};
    bool first = true;

    appendStringInfoString(out, ",\"ambient\":{");
    for (int i = 0; i < lengthof(names); i++)
    {
        const char *value = getenv(names[i]);

        /* JSON takes UTF-8 alone */
        if (value == NULL || !pg_verify_mbstr(PG_UTF8, value, strlen(value), true))
            continue;
        appendStringInfo(out, "%s\"%s\":", first ? "" : ",", names[i]);
        json_append_string(out, value);
        first = false;
    }
    appendStringInfoChar(out, '}');
}

/* What a connector may reach: directories, and the network. */
static void
append_reach(StringInfo out, const LinkRequest *request)
{
    bool moves = strcmp(request->operation, "move") == 0;

    append_list(out, "roots", moves ? guc_local_fs_archive_roots : guc_local_fs_roots);
    appendStringInfoChar(out, ']');
    append_list(out, "egress", guc_egress_allow);
    appendStringInfoString(out, "],\"forbidden\":[");
    json_append_string(out, DataDir);
    appendStringInfoChar(out, ']');
    if (guc_instance_credentials && strcmp(request->operation, "check") != 0)
        append_ambient(out);
}

/* What comes before the credentials in a request, and what after. */
static void
append_before(StringInfo out, const LinkRequest *request)
{
    appendStringInfo(out, "{\"version\":%d,\"operation\":\"%s\"", WIRE_VERSION, request->operation);
    if (request->connector_type == NULL)
        return;
    appendStringInfoString(out, ",\"connector\":{\"type\":");
    json_append_string(out, request->connector_type);
    appendStringInfo(out, ",\"config\":%s,\"authMethod\":", request->config);
    json_append_string(out, request->auth->method);
    appendStringInfoString(out, ",\"auth\":");
}

static void
append_after(StringInfo out, const LinkRequest *request)
{
    if (request->connector_type)
    {
        appendStringInfoChar(out, '}');
        append_reach(out, request);
        appendStringInfoString(out, ",\"resource\":");
        json_append_string(out, request->resource);
    }
    if (request->replayed)
        appendStringInfo(out, ",\"records\":%s", request->replayed);
    if (request->missing_ok)
        appendStringInfoString(out, ",\"missingOk\":true");
    if (request->files)
        appendStringInfo(out, ",\"files\":%s", request->files);
    if (request->call)
        appendStringInfo(out, ",\"call\":%s", request->call);
    if (request->columns)
        appendStringInfo(out, ",\"format\":%s,\"columns\":%s,\"record\":%s,\"rowLimit\":" INT64_FORMAT ",\"batchRows\":%d", request->format,
                         request->columns, request->records ? "true" : "false", request->row_limit, request->batch_rows);
    appendStringInfo(out, ",\"memoryLimit\":" INT64_FORMAT ",\"credit\":%d}", (int64) guc_reader_memory_limit * 1024 * 1024, FIRST_CREDIT);
}

void
link_request(Link *link, const LinkRequest *request)
{
    StringInfoData before, after;
    WireHeader header = {WIRE_MAGIC, WIRE_VERSION, WIRE_REQUEST, 0, 0, 0};
    const char *first, *last;
    size_t length, limit = request->replayed ? WIRE_MAX_REQUEST : WIRE_MAX_OTHER_REQUEST;
    Secret *auth = NULL;

    initStringInfo(&before);
    initStringInfo(&after);
    append_before(&before, request);
    append_after(&after, request);
    first = encoding_utf8(before.data);
    last = encoding_utf8(after.data);
    link->used_credit = 0;
    link->answering = true;
    if (request->connector_type)
        auth = auth_open(request->auth);
    length = strlen(first) + (auth ? auth->length : 0) + strlen(last);
    if (length > limit)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("what the reader is asked for takes %zu bytes, more than the limit of %zu", length, limit),
                        request->replayed ? errdetail("It has a dead letter whose record is too large.")
                                          : errdetail("It has the source's options and the path of each file."),
                        request->replayed ? errhint("Leave it out by a filter.")
                                          : errhint("Name a folder or a pattern that holds fewer files, or give shorter options.")));
    header.length = length;
    send_all(link, &header, sizeof(header));
    send_all(link, first, strlen(first));
    if (auth)
    {
        send_all(link, auth->data, auth->length);
        secret_free(auth);
    }
    send_all(link, last, strlen(last));
}

bool
link_is_idle(const Link *link)
{
    return !link->answering;
}
