/*
 * codec_lz4.c: LZ4's frame format, by liblz4; see codec.h.
 *
 * Several frames one behind the other are one content; the library passes over
 * those that are to be skipped.  It forgets what it unpacked before a fault, so
 * it is given one block at a time.  Blocks are 4 MB at most.
 */
#include "format/codec.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

/* The magic number and the flags. */
#define FIRST LZ4F_MIN_SIZE_TO_KNOW_HEADER_LENGTH
#define FLAG_DICTIONARY 0x01
/* Behind a block's bytes the library would like the header of the next one too. */
#define BLOCK_HEADER 4

typedef struct Lz4
{
    CodecInput *in;
    LZ4F_dctx *lz4;
    size_t next;            /* bytes to the end of the block that is being read */
    bool in_frame, any, finished;
} Lz4;

static bool
lz4_open(CodecInput *in, void **state, Status *st)
{
    Lz4 *z = calloc(1, sizeof(*z));

    if (z == NULL)
        return status_out_of_memory(st, sizeof(*z));
    z->in = in;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&z->lz4, LZ4F_VERSION)))
    {
        free(z);
        return status_out_of_memory(st, 0);
    }
    *state = z;
    return true;
}

static void
lz4_close(void *state)
{
    Lz4 *z = state;

    if (z != NULL)
        LZ4F_freeDecompressionContext(z->lz4);
    free(z);
}

/* Looks at the beginning of the next frame; sets `finished` where there is none. */
static bool
begin_frame(Lz4 *z, Status *st)
{
    static const uint8_t magic[] = {0x04, 0x22, 0x4d, 0x18};
    CodecInput *in = z->in;
    const uint8_t *bytes;
    size_t n;
    bool skipped, frame;

    if (!codec_need(in, FIRST, st))
        return false;
    bytes = codec_bytes(in);
    n = codec_left(in) < sizeof(magic) ? codec_left(in) : sizeof(magic);
    z->finished = n == 0;
    if (z->finished)
        return true;
    skipped = (bytes[0] & 0xf0) == 0x50 && memcmp(bytes + 1, "\x2a\x4d\x18", n - 1) == 0;
    frame = memcmp(bytes, magic, n) == 0;
    if (!frame && !skipped)
        return codec_fail(in, "lz4", z->any ? "is followed by something else" : "is missing", st);
    if (codec_left(in) < FIRST)
        return codec_fail(in, "lz4", "ends early", st);
    if (frame && (bytes[FIRST - 1] & FLAG_DICTIONARY) != 0)
        return codec_fail(in, "lz4", "needs a dictionary", st);
    z->in_frame = z->any = true;
    z->next = FIRST;
    return true;
}

static bool
lz4_read(void *state, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Lz4 *z = state;
    CodecInput *in = z->in;

    *got = 0;
    while (*got == 0 && !z->finished)
    {
        size_t result, used, made = size;

        if (!z->in_frame)
        {
            if (!begin_frame(z, st))
                return false;
            continue;
        }
        if (codec_left(in) == 0 && !codec_fill(in, st))
            return false;
        used = codec_left(in) < z->next ? codec_left(in) : z->next;
        result = LZ4F_decompress(z->lz4, out, &made, codec_bytes(in), &used, NULL);
        if (LZ4F_isError(result))
            return strstr(LZ4F_getErrorName(result), "allocation") != NULL ? status_out_of_memory(st, 0)
                : codec_corrupt(in, "lz4", LZ4F_getErrorName(result), st);
        in->at += used;
        in->given += made;
        *got = made;
        z->in_frame = result != 0;
        z->next = result > BLOCK_HEADER ? result - BLOCK_HEADER : result;
        if (z->in_frame && made == 0 && used == 0 && in->at_end && codec_left(in) == 0)
            return codec_fail(in, "lz4", "ends early", st);
    }
    return true;
}

const Codec codec_lz4 = {"lz4", lz4_open, lz4_close, lz4_read, NULL};
