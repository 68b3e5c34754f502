/*
 * session.h: carrying out one request.
 *
 * The session joins driver, decompression and format and hands what comes out
 * to a Sink: the socket to the worker (wire_sink.c) or a person's terminal
 * (debug_sink.c).
 */
#ifndef KAIREON_SESSION_H
#define KAIREON_SESSION_H

#include <sys/uio.h>

#include "reader/request.h"
#include "wire/wire.h"

/* Where a session's output goes.  Each function fails with its status, which ends the session. */
typedef struct Sink
{
    void *context;
    bool (*object)(void *context, const DriverEntry *entry, Status *st);
    /* A split begins; its batches have these columns. */
    bool (*split)(void *context, const WireSplit *split, const ColumnSpec *columns, Status *st);
    /* A whole BATCH message in pieces, its header first. */
    bool (*batch)(void *context, const struct iovec *pieces, int npieces, Status *st);
    bool (*split_end)(void *context, uint32_t split, uint64_t rows, uint64_t bytes, Status *st);
    bool (*answer)(void *context, const DriverAnswer *answer, Status *st);
} Sink;

/* Carries out a request.  Fails with what stopped it; the path is filled in where there is one. */
STATUS_CHECK bool session_run(const Request *request, const Sink *sink, Status *st);

#endif
