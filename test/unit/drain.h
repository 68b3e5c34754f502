/*
 * drain.h: all that comes out of a compressed object in memory, for tests.
 */
#ifndef KAIREON_TEST_DRAIN_H
#define KAIREON_TEST_DRAIN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/decompress.h"
#include "memory_source.h"

__attribute__((unused)) static DecompressLimits limits;
__attribute__((unused)) static char members[4096];     /* the names of an archive's, a line each */
__attribute__((unused)) static size_t drained;          /* bytes that came, with or without a fault */

/* Reads all; returns the bytes or -1, with the status. */
__attribute__((unused)) static int64_t
drain(const uint8_t *data, size_t n, size_t step, Compression kind, uint8_t *out, size_t size, Status *st)
{
    Memory m = {data, n, 0, step};
    Decompress *d = NULL;
    size_t used = 0, got = 0;
    const char *name;
    bool fine, more = true;

    status_clear(st);
    members[0] = '\0';
    fine = decompress_open(&d, kind, &limits, (ByteSource) {memory_read, &m}, st);
    while (fine && more && used < size)
    {
        if (got == 0)
        {
            fine = decompress_next(d, &name, &more, st);
            if (fine && more && name != NULL)
                snprintf(members + strlen(members), sizeof(members) - strlen(members), "%s\n", name);
            if (!fine || !more)
                break;
        }
        fine = byte_source_read(decompress_source(d), out + used, size - used > step ? step : size - used, &got, st);
        used += got;
    }
    drained = used;
    if (fine && decompress_stored(d) != n)
        printf("# %zu of %zu stored bytes used\n", (size_t) decompress_stored(d), n);
    decompress_close(d);
    return fine ? (int64_t) used : -1;
}

#endif
