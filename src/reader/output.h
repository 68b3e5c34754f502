/*
 * output.h: the batches of a request on their way to its sink.
 *
 * The batch builder lives as long as the request, so its memory is used for
 * all splits.
 */
#ifndef KAIREON_READER_OUTPUT_H
#define KAIREON_READER_OUTPUT_H

#include "reader/session.h"

typedef struct Output
{
    const Sink *sink;
    uint32_t split;         /* number of the split that is being read */
    bool open;
    BatchBuilder builder;
} Output;

/* Makes the builder, unless there is one; the record's column comes last, where the request wants records. */
STATUS_CHECK bool output_open(Output *output, const Request *request, const ColumnSpec *columns, uint32_t ncolumns, Status *st);

/* Sends what the builder has, if anything, and empties it; *rows: how many rows that were. */
STATUS_CHECK bool output_send(Output *output, uint64_t bytes_read, uint32_t *rows, Status *st);

/* Forgets what was not sent. */
void output_clear(Output *output);

void output_close(Output *output);

#endif
