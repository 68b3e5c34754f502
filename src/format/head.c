/*
 * head.c: see head.h.
 */
#include "format/head.h"

#include <stdlib.h>
#include <string.h>

struct Head
{
    ByteSource source;
    uint8_t bytes[HEAD_BYTES];
    size_t n, at;
};

bool
head_open(Head **out, ByteSource source, Status *st)
{
    Head *head = malloc(sizeof(*head));
    size_t got = 1;

    *out = head;
    if (head == NULL)
        return status_out_of_memory(st, sizeof(*head));
    head->source = source;
    head->n = head->at = 0;
    while (got > 0 && head->n < HEAD_BYTES)
    {
        if (!byte_source_read(source, head->bytes + head->n, HEAD_BYTES - head->n, &got, st))
            return false;
        head->n += got;
    }
    return true;
}

void
head_close(Head *head)
{
    free(head);
}

const uint8_t *
head_bytes(const Head *head, size_t *n)
{
    *n = head->n;
    return head->bytes;
}

static bool
head_read(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Head *head = context;

    if (head->at == head->n)
        return byte_source_read(head->source, out, size, got, st);
    *got = size < head->n - head->at ? size : head->n - head->at;
    memcpy(out, head->bytes + head->at, *got);
    head->at += *got;
    return true;
}

ByteSource
head_source(Head *head)
{
    return (ByteSource) {head_read, head};
}
