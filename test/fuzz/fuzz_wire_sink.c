/*
 * fuzz_wire_sink.c: bytes as what a worker sends to the reader.
 *
 * They go through a socket pair to the code that takes requests and credit.
 * Each request that can be read is answered with small messages of every kind,
 * as far as the credit goes, without opening anything it names.  Whatever came
 * in, what went out must be messages that the server's side takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reader/request.h"
#include "reader/wire_sink.h"
#include "wire/wire.h"

/* What the worker would have received. */
static uint8_t received[16 << 20];
static size_t nreceived;

/* Empties the socket, so that the sink never waits for a worker to read. */
static void
drain(int fd)
{
    ssize_t got;

    while ((got = recv(fd, received + nreceived, sizeof(received) - nreceived, MSG_DONTWAIT)) > 0)
        nreceived += (size_t) got;
    if (nreceived == sizeof(received))
        abort();
}

static void
check_message(const WireHeader *header, const uint8_t *body)
{
    WireReader r = {body, header->length, 0, false};
    WireObject object;
    WireSplit split;
    WireFailure failure;

    switch (header->type)
    {
        case WIRE_OBJECT:
            wire_get_object(&r, &object);
            break;
        case WIRE_SPLIT:
            wire_get_split(&r, &split);
            break;
        case WIRE_ERROR:
            wire_get_failure(&r, &failure);
            break;
        case WIRE_SPLIT_END:
            wire_get_u32(&r);
            wire_get_u64(&r);
            wire_get_u64(&r);
            break;
        case WIRE_ANSWER:
            wire_get_answer(&r, &(WireAnswer) {0});
            break;
        case WIRE_END:
            break;
        default:
            abort();
    }
    if (r.bad || r.at != r.size)
        abort();
}

static void
check_received(void)
{
    size_t at = 0;
    WireHeader header;

    while (nreceived - at >= sizeof(header))
    {
        memcpy(&header, received + at, sizeof(header));
        at += sizeof(header);
        if (wire_header_check(&header) != NULL || header.type < WIRE_LOG || header.length > nreceived - at)
            abort();
        check_message(&header, received + at);
        at += header.length;
    }
    if (at != nreceived)
        abort();
}

/* Answers a request with some objects and an empty split. */
static bool
answer(const Request *request, const Sink *sink, int worker, Status *st)
{
    WireSplit split = {.path = {"a.csv", 5}, .dialect = {"{}", 2}, .ncols = request->ncolumns};
    uint8_t *present = calloc(request->ncolumns + 1, 1);
    uint32_t i;
    bool fine = true;

    if (present == NULL)
        abort();
    split.present = present;
    for (i = 0; fine && i < request->nfiles && i < 100; i++)
    {
        DriverEntry entry = request->files[i].entry;

        fine = sink->object(sink->context, &entry, st);
        drain(worker);
    }
    fine = fine && sink->split(sink->context, &split, request->columns, st) && sink->split_end(sink->context, 0, 1, 2, st);
    free(present);
    return fine;
}

/* Takes requests until the bytes end or are nonsense. */
static void
serve(int reader, int worker)
{
    Request request;
    WireSink wire;
    Buf json;
    Status st;
    bool fine = true;

    wire_sink_init(&wire, reader);
    buf_init(&json, WIRE_MAX_REQUEST);
    status_clear(&st);
    while (fine && wire_sink_request(&wire, &json, &st))
    {
        Status failure;

        status_clear(&failure);
        if (!request_parse(&request, (const char *) json.data, json.used, false, &failure))
            fine = wire_sink_error(&wire, &failure, &st);
        else
        {
            Sink sink = wire_sink_begin(&wire, request.credit);

            fine = answer(&request, &sink, worker, &st) && wire_sink_end(&wire, &st);
            request_free(&request);
        }
        drain(worker);
    }
    if (strcmp(st.sqlstate, STATUS_CLOSED) != 0 && strcmp(st.sqlstate, STATUS_NONSENSE) != 0 && strcmp(st.sqlstate, STATUS_OUT_OF_MEMORY) != 0)
        abort();
    buf_free(&json);
    wire_sink_free(&wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];

    /* What fits the socket at once. */
    if (size > 65536)
        return 0;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || send(pair[0], data, size, MSG_DONTWAIT) != (ssize_t) size ||
        shutdown(pair[0], SHUT_WR) != 0)
        abort();
    nreceived = 0;
    serve(pair[1], pair[0]);
    drain(pair[0]);
    check_received();
    close(pair[0]);
    close(pair[1]);
    return 0;
}
