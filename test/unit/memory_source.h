/*
 * memory_source.h: bytes in memory as a ByteSource, at most `step` of them at once, for tests.
 */
#ifndef KAIREON_TEST_MEMORY_SOURCE_H
#define KAIREON_TEST_MEMORY_SOURCE_H

#include <string.h>

#include "core/status.h"

typedef struct Memory { const uint8_t *data; size_t n, at, step; } Memory;

__attribute__((unused)) static bool
memory_read(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Memory *m = context;

    (void) st;
    *got = size < m->step ? size : m->step;
    if (*got > m->n - m->at)
        *got = m->n - m->at;
    memcpy(out, m->data + m->at, *got);
    m->at += *got;
    return true;
}

#endif
