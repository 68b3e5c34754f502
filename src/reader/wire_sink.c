/*
 * wire_sink.c: see wire_sink.h.
 *
 * A batch goes out as the pieces the builder made, with writev: the kernel
 * copies them into the socket, nobody else does.
 */
#include "reader/wire_sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "format/convert.h"

/* The kernel takes this many pieces at once (IOV_MAX). */
#define PIECES_AT_ONCE 1024

void
wire_sink_init(WireSink *sink, int fd)
{
    sink->fd = fd;
    sink->credit = 0;
    buf_init(&sink->message, WIRE_MAX_MESSAGE);
}

void
wire_sink_free(WireSink *sink)
{
    buf_free(&sink->message);
}

/* ---- bytes ------------------------------------------------------------- */

static bool
closed(Status *st)
{
    return status_fail(st, STATUS_CLOSED, "worker closed the connection");
}

static bool
write_pieces(int fd, struct iovec *pieces, int n, Status *st)
{
    while (n > 0)
    {
        ssize_t done = writev(fd, pieces, n > PIECES_AT_ONCE ? PIECES_AT_ONCE : n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return closed(st);
        while (n > 0 && (size_t) done >= pieces->iov_len)
        {
            done -= (ssize_t) pieces->iov_len;
            pieces++;
            n--;
        }
        if (n > 0)
        {
            pieces->iov_base = (char *) pieces->iov_base + done;
            pieces->iov_len -= (size_t) done;
        }
    }
    return true;
}

static bool
read_exactly(int fd, void *out, size_t n, Status *st)
{
    size_t have = 0;

    while (have < n)
    {
        ssize_t got = read(fd, (char *) out + have, n - have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return closed(st);
        have += (size_t) got;
    }
    return true;
}

static bool
read_header(int fd, WireHeader *header, Status *st)
{
    const char *wrong;

    if (!read_exactly(fd, header, sizeof(*header), st))
        return false;
    wrong = wire_header_check(header);
    if (wrong != NULL)
        return status_fail(st, STATUS_NONSENSE, "bad message from the worker: %s", wrong);
    return true;
}

static bool
read_credit(int fd, uint32_t *credit, Status *st)
{
    uint32_t more;

    if (!read_exactly(fd, &more, sizeof(more), st))
        return false;
    *credit = more > UINT32_MAX - *credit ? UINT32_MAX : *credit + more;
    return true;
}

bool
wire_sink_request(WireSink *sink, Buf *out, Status *st)
{
    WireHeader header;
    uint32_t dropped = 0;

    out->used = 0;
    for (;;)
    {
        if (!read_header(sink->fd, &header, st))
            return false;
        if (header.type == WIRE_REQUEST)
            break;
        if (header.type != WIRE_CREDIT)
            return status_fail(st, STATUS_NONSENSE, "message of type %d from the worker, expected a request", header.type);
        if (!read_credit(sink->fd, &dropped, st))
            return false;
    }
    if (!buf_reserve(out, header.length, st) || !read_exactly(sink->fd, out->data, header.length, st))
        return false;
    out->used = header.length;
    return true;
}

/* Takes one message's credit, waiting for the worker to give some. */
static bool
take_credit(WireSink *sink, Status *st)
{
    WireHeader header;

    while (sink->credit == 0)
    {
        if (!read_header(sink->fd, &header, st))
            return false;
        if (header.type != WIRE_CREDIT)
            return status_fail(st, STATUS_NONSENSE, "message of type %d from the worker, expected credit", header.type);
        if (!read_credit(sink->fd, &sink->credit, st))
            return false;
    }
    sink->credit--;
    return true;
}

/* ---- messages ---------------------------------------------------------- */

/* Begins a message with a body of at most `size` bytes; the writer is for the body. */
static bool
begin(WireSink *sink, size_t size, WireWriter *w, Status *st)
{
    sink->message.used = 0;
    if (!buf_reserve(&sink->message, sizeof(WireHeader) + size, st))
        return false;
    *w = (WireWriter) {.data = sink->message.data + sizeof(WireHeader), .size = size};
    return true;
}

static bool
finish(WireSink *sink, WireType type, const WireWriter *w, Status *st)
{
    WireHeader header = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = (uint8_t) type};
    struct iovec piece;

    if (w->overflow)
        return status_fail(st, "XX000", "message of type %d does not fit its buffer", type);
    header.length = (uint32_t) w->used;
    memcpy(sink->message.data, &header, sizeof(header));
    piece.iov_base = sink->message.data;
    piece.iov_len = sizeof(header) + w->used;
    return write_pieces(sink->fd, &piece, 1, st);
}

static bool
send_object(void *context, const DriverEntry *entry, Status *st)
{
    WireSink *sink = context;
    WireObject object = {
        .path = {entry->path, (uint32_t) strlen(entry->path)},
        .size = entry->size,
        .mtime = entry->mtime,
        .etag = {entry->etag, (uint32_t) strlen(entry->etag)},
    };
    WireWriter w;

    if (!take_credit(sink, st) || !begin(sink, 64 + object.path.length + object.etag.length, &w, st))
        return false;
    wire_put_object(&w, &object);
    return finish(sink, WIRE_OBJECT, &w, st);
}

static bool
send_split(void *context, const WireSplit *split, const ColumnSpec *columns, Status *st)
{
    WireSink *sink = context;
    WireWriter w;

    (void) columns;
    if (!begin(sink, 128 + split->path.length + split->place.length + split->etag.length + split->head_hash.length +
               split->dialect.length + split->fields.length + split->ncols, &w, st))
        return false;
    wire_put_split(&w, split);
    return finish(sink, WIRE_SPLIT, &w, st);
}

static bool
send_batch(void *context, const struct iovec *pieces, int npieces, Status *st)
{
    WireSink *sink = context;
    size_t size = (size_t) npieces * sizeof(*pieces);
    bool fine;
    struct iovec *copy;

    if (!take_credit(sink, st))
        return false;
    /* write_pieces moves along the pieces as they go out. */
    copy = malloc(size);
    if (copy == NULL)
        return status_out_of_memory(st, size);
    memcpy(copy, pieces, size);
    fine = write_pieces(sink->fd, copy, npieces, st);
    free(copy);
    return fine;
}

static bool
send_split_end(void *context, uint32_t split, uint64_t rows, uint64_t bytes, Status *st)
{
    WireSink *sink = context;
    WireWriter w;

    if (!begin(sink, 32, &w, st))
        return false;
    wire_put_u32(&w, split);
    wire_put_u64(&w, rows);
    wire_put_u64(&w, bytes);
    return finish(sink, WIRE_SPLIT_END, &w, st);
}

static bool
send_answer(void *context, const DriverAnswer *answer, Status *st)
{
    WireSink *sink = context;
    WireAnswer message = {answer->status, answer->wait, {answer->said, (uint32_t) strlen(answer->said)}};
    WireWriter w;

    if (!begin(sink, 16 + message.said.length, &w, st))
        return false;
    wire_put_answer(&w, &message);
    return finish(sink, WIRE_ANSWER, &w, st);
}

Sink
wire_sink_begin(WireSink *sink, uint32_t credit)
{
    sink->credit = credit;
    return (Sink) {sink, send_object, send_split, send_batch, send_split_end, send_answer};
}

bool
wire_sink_end(WireSink *sink, Status *st)
{
    WireWriter w;

    return begin(sink, 0, &w, st) && finish(sink, WIRE_END, &w, st);
}

/* A text of a status as valid UTF-8: names of files need not be. */
static WireStr
clean_text(const char *text, char *out, size_t size)
{
    return (WireStr) {out, (uint32_t) convert_utf8_escape(text, strlen(text), out, size)};
}

bool
wire_sink_error(WireSink *sink, const Status *failure, Status *st)
{
    /* On the stack: the failure may be that there is no memory. */
    char message[sizeof(failure->message) * 2], detail[sizeof(failure->detail) * 2];
    char hint[sizeof(failure->hint) * 2], path[sizeof(failure->path) * 2];
    uint8_t body[sizeof(message) + sizeof(detail) + sizeof(hint) + sizeof(path) + 128];
    WireWriter w = {.data = body, .size = sizeof(body)};
    WireHeader header = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_ERROR};
    struct iovec pieces[2];
    WireFailure out = {
        .message = clean_text(failure->message, message, sizeof(message)),
        .detail = clean_text(failure->detail, detail, sizeof(detail)),
        .hint = clean_text(failure->hint, hint, sizeof(hint)),
        .path = clean_text(failure->path, path, sizeof(path)),
        .line = failure->line,
        .offset = failure->offset,
    };

    memcpy(out.sqlstate, failure->sqlstate[0] == '\0' ? "XX000" : failure->sqlstate, sizeof(out.sqlstate));
    wire_put_failure(&w, &out);
    header.length = (uint32_t) w.used;
    pieces[0] = (struct iovec) {&header, sizeof(header)};
    pieces[1] = (struct iovec) {body, w.used};
    return write_pieces(sink->fd, pieces, 2, st);
}
