/*
 * codec_zstd.c: Zstandard, by libzstd; see codec.h.
 *
 * Several frames one behind the other are one content; the library passes over
 * those that are to be skipped.  It forgets what it unpacked before a fault, so
 * it is given one block at a time.
 */
#include "format/codec.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/* The largest window a frame may ask for: 128 MB, below the reader's usual memory limit. */
#define WINDOW_LOG 27
/* What is wanted first: the magic number and a byte that says how long the frame's header is. */
#define FIRST 5
/* Behind a block's bytes the library would like the header of the next one too. */
#define BLOCK_HEADER 3

typedef struct Zstd
{
    CodecInput *in;
    ZSTD_DCtx *zstd;
    size_t next;            /* bytes to the end of the block that is being read */
    bool in_frame, any, finished;
} Zstd;

static void
zstd_close(void *state)
{
    Zstd *z = state;

    if (z != NULL)
        ZSTD_freeDCtx(z->zstd);
    free(z);
}

static bool
zstd_open(CodecInput *in, void **state, Status *st)
{
    Zstd *z = calloc(1, sizeof(*z));

    if (z == NULL)
        return status_out_of_memory(st, sizeof(*z));
    z->in = in;
    z->next = FIRST;
    z->zstd = ZSTD_createDCtx();
    if (z->zstd == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
    {
        zstd_close(z);
        return status_out_of_memory(st, 0);
    }
    *state = z;
    return true;
}

/* What the library says, in our words. */
static bool
zstd_error(const Zstd *z, size_t result, Status *st)
{
    switch (ZSTD_getErrorCode(result))
    {
        case ZSTD_error_memory_allocation:
            return status_out_of_memory(st, 0);
        case ZSTD_error_frameParameter_windowTooLarge:
            codec_fail(z->in, "zstd", "needs more memory than is allowed", st);
            memcpy(st->sqlstate, STATUS_LIMIT, sizeof(st->sqlstate));
            return status_hint(st, "Compress it with a window of at most %d MB (no --long above %d).",
                               1 << (WINDOW_LOG - 20), WINDOW_LOG);
        case ZSTD_error_dictionary_wrong:
            return codec_fail(z->in, "zstd", "needs a dictionary", st);
        case ZSTD_error_prefix_unknown:
            if (!z->in_frame)
                return codec_fail(z->in, "zstd", z->any ? "is followed by something else" : "is missing", st);
            break;
        default:
            break;
    }
    return codec_corrupt(z->in, "zstd", ZSTD_getErrorName(result), st);
}

static bool
zstd_read(void *state, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Zstd *z = state;
    CodecInput *in = z->in;

    *got = 0;
    while (*got == 0 && !z->finished)
    {
        ZSTD_outBuffer to = {out, size, 0};
        ZSTD_inBuffer from;
        size_t result, before;

        if (codec_left(in) == 0 && !codec_fill(in, st))
            return false;
        if (codec_left(in) == 0 && !z->in_frame)
        {
            z->finished = true;
            break;
        }
        from = (ZSTD_inBuffer) {codec_bytes(in), codec_left(in) < z->next ? codec_left(in) : z->next, 0};
        before = in->at;
        result = ZSTD_decompressStream(z->zstd, &to, &from);
        in->at += from.pos;
        in->given += to.pos;
        *got = to.pos;
        if (ZSTD_isError(result))
            return zstd_error(z, result, st);
        z->in_frame = result != 0;
        z->any = true;
        z->next = !z->in_frame ? FIRST : result > BLOCK_HEADER ? result - BLOCK_HEADER : result;
        if (z->in_frame && *got == 0 && in->at == before && in->at_end)
            return codec_fail(in, "zstd", "ends early", st);
    }
    return true;
}

const Codec codec_zstd = {"zstd", zstd_open, zstd_close, zstd_read, NULL};
