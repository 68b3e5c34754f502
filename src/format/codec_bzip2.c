/*
 * codec_bzip2.c: bzip2, by libbz2; see codec.h.
 *
 * Several streams one behind the other are one content, as pbzip2 writes it;
 * zero bytes behind the last are padding, anything else is an error.  The
 * library says how much it unpacked before a fault.  It takes 4 MB at most.
 */
#include "format/codec.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bzip2
{
    CodecInput *in;
    bz_stream bz;
    bool in_stream, any, finished;
} Bzip2;

static bool
bzip2_open(CodecInput *in, void **state, Status *st)
{
    Bzip2 *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return status_out_of_memory(st, sizeof(*b));
    b->in = in;
    *state = b;
    return true;
}

static void
bzip2_close(void *state)
{
    Bzip2 *b = state;

    if (b != NULL && b->in_stream)
        BZ2_bzDecompressEnd(&b->bz);
    free(b);
}

/* Starts the next stream, or ends. */
static bool
begin_stream(Bzip2 *b, Status *st)
{
    CodecInput *in = b->in;
    bool more;

    if (!codec_next_stream(in, "bzip2", 'B', b->any, &more, st))
        return false;
    b->finished = !more;
    if (!more)
        return true;
    memset(&b->bz, 0, sizeof(b->bz));
    if (BZ2_bzDecompressInit(&b->bz, 0, 0) != BZ_OK)
        return status_out_of_memory(st, 0);
    b->in_stream = b->any = true;
    return true;
}

static bool
bunzip_some(Bzip2 *b, uint8_t *out, size_t size, size_t *got, Status *st)
{
    CodecInput *in = b->in;
    int result;

    if (size > 1U << 30)
        size = 1U << 30;
    b->bz.next_in = (char *) in->data + in->at;
    b->bz.avail_in = (unsigned) codec_left(in);
    b->bz.next_out = (char *) out;
    b->bz.avail_out = (unsigned) size;
    result = BZ2_bzDecompress(&b->bz);
    in->at = in->end - b->bz.avail_in;
    *got = size - b->bz.avail_out;
    in->given += *got;
    switch (result)
    {
        case BZ_OK:
            return true;
        case BZ_STREAM_END:
            BZ2_bzDecompressEnd(&b->bz);
            b->in_stream = false;
            return true;
        case BZ_MEM_ERROR:
            return status_out_of_memory(st, 0);
        case BZ_DATA_ERROR_MAGIC:
            return codec_corrupt(in, "bzip2", "a stream does not begin as one does", st);
        default:
            return codec_corrupt(in, "bzip2", NULL, st);
    }
}

static bool
bzip2_read(void *state, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Bzip2 *b = state;

    *got = 0;
    while (*got == 0 && !b->finished)
    {
        if (!b->in_stream)
        {
            if (!begin_stream(b, st))
                return false;
            continue;
        }
        if (codec_left(b->in) == 0 && !codec_fill(b->in, st))
            return false;
        /* At the end the library may still hold output that needed no more input. */
        if (!bunzip_some(b, out, size, got, st))
            return false;
        if (*got == 0 && b->in_stream && b->in->at_end && codec_left(b->in) == 0)
            return codec_fail(b->in, "bzip2", "ends early", st);
    }
    return true;
}

const Codec codec_bzip2 = {"bzip2", bzip2_open, bzip2_close, bzip2_read, NULL};
