/*
 * main.c: kaireon-reader.
 *
 * A worker starts it with a socket pair on WIRE_READER_FD and then sends
 * requests; credentials come in them, never by arguments or environment.  The
 * program answers one after another until the socket closes.  A failed
 * request is an ERROR message, and the program goes on; only a worker that
 * breaks the protocol ends it with an exit code.
 *
 * A person starts it with --request FILE: one request, rows as JSON lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/convert.h"
#include "reader/debug_sink.h"
#include "reader/process.h"
#include "reader/request.h"
#include "reader/session.h"
#include "reader/wire_sink.h"
#include "wire/wire.h"

#ifndef KAIREON_VERSION
#define KAIREON_VERSION "0.1.0"
#endif

#define EXIT_USAGE 2
/* A few batches fit, so that decoding goes on while the worker inserts. */
#define SOCKET_BUFFER (4 << 20)

static const char usage[] =
    "kaireon-reader reads a source and hands its rows to a Kaireon worker.\n"
    "\n"
    "Usage:\n"
    "  kaireon-reader --request FILE   carry out the request in FILE (- for standard\n"
    "                                  input), print rows as JSON lines\n"
    "  kaireon-reader --version\n"
    "  kaireon-reader --help\n"
    "\n"
    "The smallest request reads a CSV file with all its columns as text:\n"
    "  {\"connector\": {\"type\": \"local_fs\", \"config\": {\"basePath\": \"/srv/data\"}},\n"
    "   \"resource\": \"customers.csv\"}\n";

/* ---- for a worker ------------------------------------------------------ */

static bool
answer(WireSink *wire, Buf *json, Status *st)
{
    Status failure;
    Request request;
    bool fine;

    status_clear(&failure);
    fine = request_parse(&request, (const char *) json->data, json->used, false, &failure);
    explicit_bzero(json->data, json->used); /* it held credentials */
    if (fine)
    {
        Sink sink = wire_sink_begin(wire, request.credit);

        if (!process_limit_memory(request.memory_limit))
            fine = status_fail(&failure, STATUS_IO, "reader could not limit its memory");
        else
            fine = session_run(&request, &sink, &failure);
        request_free(&request);
    }
    if (fine)
        return wire_sink_end(wire, st);
    if (strcmp(failure.sqlstate, STATUS_CLOSED) == 0 || strcmp(failure.sqlstate, STATUS_NONSENSE) == 0)
    {
        *st = failure;
        return false;
    }
    return wire_sink_error(wire, &failure, st);
}

static int
serve(int fd)
{
    int size = SOCKET_BUFFER;
    WireSink wire;
    Buf json;
    Status st;

    process_harden(fd);
    request_wipe_memory();
    (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    wire_sink_init(&wire, fd);
    buf_init(&json, WIRE_MAX_REQUEST);
    status_clear(&st);
    while (wire_sink_request(&wire, &json, &st) && answer(&wire, &json, &st))
        process_unlimit_memory();  /* jansson does not survive being out of memory */
    buf_free(&json);
    wire_sink_free(&wire);
    if (strcmp(st.sqlstate, STATUS_CLOSED) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "kaireon-reader: %s\n", st.message);
    return EXIT_FAILURE;
}

/* ---- for a person ------------------------------------------------------ */

static void
print_failure(const Status *st)
{
    fprintf(stderr, "kaireon-reader: ERROR %s: %s\n", st->sqlstate, st->message);
    if (st->path[0] != '\0')
    {
        fprintf(stderr, "WHERE: %s", st->path);
        if (st->line > 0)
            fprintf(stderr, ", line %llu", (unsigned long long) st->line);
        if (st->offset > 0)
            fprintf(stderr, ", byte %llu", (unsigned long long) st->offset);
        fputc('\n', stderr);
    }
    if (st->detail[0] != '\0')
        fprintf(stderr, "DETAIL: %s\n", st->detail);
    if (st->hint[0] != '\0')
        fprintf(stderr, "HINT: %s\n", st->hint);
}

static bool
read_whole(const char *name, Buf *out, Status *st)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    bool fine = true;
    size_t n = 1;

    if (file == NULL)
        return status_fail(st, STATUS_NO_FILE, "could not open request file \"%s\"", name);
    while (fine && n > 0)
    {
        fine = buf_reserve(out, 65536, st);
        n = fine ? fread(out->data + out->used, 1, 65536, file) : 0;
        out->used += n;
    }
    if (fine && ferror(file))
        fine = status_fail(st, STATUS_IO, "could not read request file \"%s\"", name);
    if (file != stdin)
        fclose(file);
    return fine;
}

static int
debug(const char *name)
{
    DebugSink out;
    Request request;
    Status st;
    Buf json;
    bool fine;

    status_clear(&st);
    buf_init(&json, WIRE_MAX_REQUEST);
    debug_sink_init(&out, stdout);
    fine = read_whole(name, &json, &st) &&
        request_parse(&request, (const char *) json.data, json.used, true, &st);
    if (fine)
    {
        Sink sink = debug_sink_begin(&out);

        if (!process_limit_memory(request.memory_limit))
            fprintf(stderr, "kaireon-reader: memory is not limited\n");
        fine = session_run(&request, &sink, &st);
        request_free(&request);
    }
    if (fflush(stdout) != 0 && fine)
        fine = status_fail(&st, STATUS_IO, "could not write the output");
    if (!fine)
        print_failure(&st);
    debug_sink_free(&out);
    buf_free(&json);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
    struct stat info;

    if (argc == 3 && strcmp(argv[1], "--request") == 0)
        return debug(argv[2]);
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
    {
        printf("kaireon-reader %s (protocol %d)\n", KAIREON_VERSION, WIRE_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
    {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc == 1 && fstat(WIRE_READER_FD, &info) == 0 && S_ISSOCK(info.st_mode))
        return serve(WIRE_READER_FD);
    fputs(usage, stderr);
    return EXIT_USAGE;
}
