/*
 * debug_sink.h: a session's output for a person: JSON lines.
 *
 * Rows become objects with their columns, "_source" and "_line"; rejects
 * {"_reject": {...}}; entries of a listing {"path", "size", "mtime"}.
 */
#ifndef KAIREON_DEBUG_SINK_H
#define KAIREON_DEBUG_SINK_H

#include <stdio.h>

#include "core/buf.h"
#include "reader/session.h"

typedef struct DebugSink
{
    FILE *out;
    Buf body;                   /* the batch, in one piece */
    char *path;                 /* of the split */
    const ColumnSpec *columns;  /* of the split */
    uint32_t ncolumns;
    bool records;               /* each row has its record ... */
    bool replayed;              /* ... by its id */
    uint8_t *types;
} DebugSink;

void debug_sink_init(DebugSink *sink, FILE *out);
void debug_sink_free(DebugSink *sink);

/* The Sink of a session.  Batches go through wire_batch_open, as at a worker. */
Sink debug_sink_begin(DebugSink *sink);

#endif
