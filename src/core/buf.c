/*
 * buf.c: see buf.h.
 *
 * Growth is by half, not by doubling: the reader lives under an address space
 * limit, and large blocks are moved by the kernel without a copy anyway.
 */
#include "core/buf.h"

#include <stdlib.h>
#include <string.h>

void
buf_init(Buf *buf, size_t max)
{
    buf->data = NULL;
    buf->used = 0;
    buf->size = 0;
    buf->max = max;
}

void
buf_free(Buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->max);
}

bool
buf_reserve_slow(Buf *buf, size_t more, Status *st)
{
    size_t want, size;
    uint8_t *data;

    if (more > buf->max - buf->used)
    {
        status_fail(st, STATUS_LIMIT, "a buffer of the reader would pass its limit of %zu bytes", buf->max);
        return status_detail(st, "It holds %zu bytes and would take %zu more.", buf->used, more);
    }
    want = buf->used + more;
    size = buf->size + buf->size / 2;
    if (size < want)
        size = want;
    if (size < 256)
        size = 256;
    if (size > buf->max)
        size = buf->max;
    if (size > SIZE_MAX - BUF_SLACK)
        return status_out_of_memory(st, size);
    data = realloc(buf->data, size + BUF_SLACK);
    if (data == NULL)
        return status_out_of_memory(st, size + BUF_SLACK);
    buf->data = data;
    buf->size = size;
    return true;
}

bool
buf_append(Buf *buf, const void *data, size_t n, Status *st)
{
    if (n == 0)
        return true;
    if (!buf_reserve(buf, n, st))
        return false;
    memcpy(buf->data + buf->used, data, n);
    buf->used += n;
    return true;
}

void
buf_drop_front(Buf *buf, size_t n)
{
    if (n == 0)
        return;
    buf->used -= n;
    if (buf->used > 0)
        memmove(buf->data, buf->data + n, buf->used);
}
