/*
 * output.c: see output.h.
 */
#include "reader/output.h"

#include <stdlib.h>
#include <string.h>

bool
output_open(Output *output, const Request *request, const ColumnSpec *columns, uint32_t ncolumns, Status *st)
{
    ColumnSpec *specs;

    if (output->open)
        return true;
    specs = calloc(ncolumns + 1, sizeof(*specs));
    if (specs == NULL)
        return status_out_of_memory(st, (ncolumns + 1) * sizeof(*specs));
    if (ncolumns > 0)
        memcpy(specs, columns, ncolumns * sizeof(*specs));
    specs[ncolumns].kind = COLUMN_RECORD;
    output->open = batch_init(&output->builder, specs, ncolumns + (request->records ? 1 : 0), request->batch_rows,
                              request->batch_bytes, st);
    free(specs);
    return output->open;
}

bool
output_send(Output *output, uint64_t bytes_read, uint32_t *rows, Status *st)
{
    BatchBuilder *b = &output->builder;
    struct iovec *pieces;
    int npieces;

    *rows = b->nrows;
    if (b->nrows == 0 && b->nrejects == 0)
        return true;
    if (!batch_finish(b, output->split, bytes_read, &pieces, &npieces, st) ||
        !output->sink->batch(output->sink->context, pieces, npieces, st))
        return false;
    batch_reset(b);
    return true;
}

void
output_clear(Output *output)
{
    if (output->open)
        batch_reset(&output->builder);
}

void
output_close(Output *output)
{
    if (output->open)
        batch_free(&output->builder);
    output->open = false;
}
