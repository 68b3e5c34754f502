/*
 * codec_gzip.c: gzip, by zlib; see codec.h.
 *
 * Several members one behind the other are one content, as `cat a.gz b.gz`
 * makes them; zero bytes behind the last are padding, anything else is an error.
 * zlib says how much it unpacked before a fault.
 */
#include "format/codec.h"

#include <stdlib.h>
#include <zlib.h>

/* 15 bits is the largest window, +16 asks for gzip. */
#define GZIP_WINDOW (15 + 16)

typedef struct Gzip
{
    CodecInput *in;
    z_stream zlib;
    bool in_member, any, finished;
} Gzip;

static bool
gzip_open(CodecInput *in, void **state, Status *st)
{
    Gzip *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return status_out_of_memory(st, sizeof(*g));
    g->in = in;
    if (inflateInit2(&g->zlib, GZIP_WINDOW) != Z_OK)
    {
        free(g);
        return status_out_of_memory(st, 0);
    }
    *state = g;
    return true;
}

static void
gzip_close(void *state)
{
    Gzip *g = state;

    if (g != NULL)
        inflateEnd(&g->zlib);
    free(g);
}

/* Starts the next member, or ends. */
static bool
begin_member(Gzip *g, Status *st)
{
    CodecInput *in = g->in;
    bool more;

    if (!codec_next_stream(in, "gzip", 0x1f, g->any, &more, st))
        return false;
    g->finished = !more;
    if (!more)
        return true;
    if (inflateReset(&g->zlib) != Z_OK)
        return codec_fail(in, "gzip", "can't be read", st);
    g->in_member = g->any = true;
    return true;
}

static bool
inflate_some(Gzip *g, uint8_t *out, size_t size, size_t *got, Status *st)
{
    CodecInput *in = g->in;
    int result;

    if (size > 1U << 30)
        size = 1U << 30;
    g->zlib.next_in = in->data + in->at;
    g->zlib.avail_in = (uInt) codec_left(in);
    g->zlib.next_out = out;
    g->zlib.avail_out = (uInt) size;
    result = inflate(&g->zlib, Z_NO_FLUSH);
    in->at = in->end - g->zlib.avail_in;
    *got = size - g->zlib.avail_out;
    in->given += *got;
    switch (result)
    {
        case Z_STREAM_END:
            g->in_member = false;
            return true;
        case Z_OK:
        case Z_BUF_ERROR:
            return true;
        case Z_MEM_ERROR:
            return status_out_of_memory(st, 0);
        case Z_NEED_DICT:
            return codec_fail(in, "gzip", "needs a dictionary", st);
        default:
            return codec_corrupt(in, "gzip", g->zlib.msg, st);
    }
}

static bool
gzip_read(void *state, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Gzip *g = state;

    *got = 0;
    while (*got == 0 && !g->finished)
    {
        if (!g->in_member)
        {
            if (!begin_member(g, st))
                return false;
            continue;
        }
        if (codec_left(g->in) == 0 && !codec_fill(g->in, st))
            return false;
        /* At the end zlib may still hold output that needed no more input. */
        if (!inflate_some(g, out, size, got, st))
            return false;
        if (*got == 0 && g->in_member && g->in->at_end && codec_left(g->in) == 0)
            return codec_fail(g->in, "gzip", "ends early", st);
    }
    return true;
}

const Codec codec_gzip = {"gzip", gzip_open, gzip_close, gzip_read, NULL};
