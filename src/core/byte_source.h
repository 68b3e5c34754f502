/*
 * byte_source.h: bytes in order, from wherever they come.
 *
 * The stages between a connector and a format (a file, its decompression)
 * are chained by this one function.  A stage owns its context; the source is
 * two words to be passed by value, and lives as long as its context.
 */
#ifndef KAIREON_BYTE_SOURCE_H
#define KAIREON_BYTE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct ByteSource
{
    /*
     * Puts 1 to `size` bytes into `out` and their number into *got; 0 only at
     * the end, and then again at every further call.
     */
    bool (*read)(void *context, uint8_t *out, size_t size, size_t *got, Status *st);
    void *context;
} ByteSource;

STATUS_CHECK static inline bool
byte_source_read(ByteSource source, uint8_t *out, size_t size, size_t *got, Status *st)
{
    *got = 0;
    return source.read(source.context, out, size, got, st);
}

#endif
