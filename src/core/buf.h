/*
 * buf.h: a growing byte buffer that cannot be made without a maximum.
 *
 * What comes from outside decides how much is stored, so every place that
 * stores says how much it is ready to take.  A Buf keeps its memory when it is
 * emptied, to be used again for the next batch.  BUF_SLACK bytes behind `used`
 * are always allocated, so that short copies may be done in fixed sizes.
 */
#ifndef KAIREON_BUF_H
#define KAIREON_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#define BUF_SLACK 64

typedef struct Buf
{
    uint8_t *data;  /* NULL until the first reserve */
    size_t used;    /* bytes */
    size_t size;    /* bytes allocated, without the slack */
    size_t max;     /* `used` never passes this */
} Buf;

/* Makes an empty buffer that will never hold more than `max` bytes.  Allocates nothing. */
void buf_init(Buf *buf, size_t max);

/* Gives the memory back; the buffer is as after buf_init. */
void buf_free(Buf *buf);

/*
 * Makes room for `more` bytes behind `used`.  Fails with 54000 when the
 * maximum would be passed, with 53200 when there is no memory; the content
 * stays as it was.
 */
STATUS_CHECK bool buf_reserve_slow(Buf *buf, size_t more, Status *st);

STATUS_CHECK static inline bool
buf_reserve(Buf *buf, size_t more, Status *st)
{
    if (buf->data != NULL && buf->size - buf->used >= more)
        return true;
    return buf_reserve_slow(buf, more, st);
}

/* Appends n bytes; fails as buf_reserve does. */
STATUS_CHECK bool buf_append(Buf *buf, const void *data, size_t n, Status *st);

/* Forgets the first n bytes (n <= used) and moves the rest to the front. */
void buf_drop_front(Buf *buf, size_t n);

#endif
