/*
 * wire_sink.h: the reader's end of the socket pair.
 *
 * Receives requests and credit, sends everything else.  The descriptor is
 * blocking: a worker that does not read stops the reader, and closing the
 * other end makes the next call fail with STATUS_CLOSED, on which the reader
 * simply ends.
 */
#ifndef KAIREON_WIRE_SINK_H
#define KAIREON_WIRE_SINK_H

#include "core/buf.h"
#include "reader/session.h"

typedef struct WireSink
{
    int fd;
    uint32_t credit;
    Buf message;    /* small messages are built here */
} WireSink;

void wire_sink_init(WireSink *sink, int fd);
void wire_sink_free(WireSink *sink);

/*
 * Waits for the next request; its JSON is put into `out` (emptied before).
 * Credit that comes between requests belongs to the one before and is dropped.
 * Fails with STATUS_CLOSED when the worker is gone, STATUS_NONSENSE when it speaks nonsense.
 */
STATUS_CHECK bool wire_sink_request(WireSink *sink, Buf *out, Status *st);

/* The Sink of a session; `credit` messages may be sent at once. */
Sink wire_sink_begin(WireSink *sink, uint32_t credit);

/* Ends a request: END, or ERROR with `failure` (made valid UTF-8).  Fails with STATUS_CLOSED. */
STATUS_CHECK bool wire_sink_end(WireSink *sink, Status *st);
STATUS_CHECK bool wire_sink_error(WireSink *sink, const Status *failure, Status *st);

#endif
