/*
 * codec_snappy.c: Snappy's framing format; see codec.h.
 *
 * The framing is ours, after its specification; libsnappy unpacks the blocks in
 * it.  An object is a row of chunks: one byte says of what kind, three how
 * long.  A chunk of data is 64 kB of content at most, with a checksum (CRC-32C)
 * that is looked at before any of it is handed out.  Streams that are written
 * one behind the other are one content, each beginning with its identifier.
 */
#include "format/codec.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 65536
#define CHECKSUM 4
/* What snappy makes of a block that it can't compress. */
#define COMPRESSED_MAX (32 + BLOCK + BLOCK / 6)

enum { CHUNK_COMPRESSED = 0x00, CHUNK_PLAIN = 0x01, CHUNK_MAY_SKIP = 0x80, CHUNK_IDENTIFIER = 0xff };

static const uint8_t identifier[] = {CHUNK_IDENTIFIER, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

typedef struct Snappy
{
    CodecInput *in;
    bool any, finished;
    size_t at, end;                 /* of `plain`: not handed out yet */
    uint8_t plain[BLOCK];
    uint8_t chunk[CHECKSUM + COMPRESSED_MAX];
    uint32_t table[8][256];         /* of the checksum, eight bytes at a time */
} Snappy;

/* ---- the checksum -------------------------------------------------------- */

static void
make_table(uint32_t table[8][256])
{
    for (uint32_t i = 0; i < 256; i++)
    {
        table[0][i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[0][i] = table[0][i] >> 1 ^ ((table[0][i] & 1) != 0 ? 0x82f63b78U : 0);
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t i = 0; i < 256; i++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

/* Masked, as the format has it. */
static uint32_t
checksum(uint32_t table[8][256], const uint8_t *data, size_t n)
{
    uint32_t crc = 0xffffffffU;

    for (; n >= 8; n -= 8, data += 8)
    {
        uint32_t low = crc ^ codec_u32(data);

        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
            table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
    }
    for (; n > 0; n--, data++)
        crc = crc >> 8 ^ table[0][(crc ^ *data) & 0xff];
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

/* ---- chunks -------------------------------------------------------------- */

static bool
snappy_open(CodecInput *in, void **state, Status *st)
{
    Snappy *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return status_out_of_memory(st, sizeof(*s));
    s->in = in;
    make_table(s->table);
    *state = s;
    return true;
}

static void
snappy_close(void *state)
{
    free(state);
}

/* Copies a chunk's `n` bytes out of the input. */
static bool
take_chunk(Snappy *s, size_t n, Status *st)
{
    CodecInput *in = s->in;
    size_t have = 0;

    while (have < n)
    {
        size_t some = codec_left(in) < n - have ? codec_left(in) : n - have;

        memcpy(s->chunk + have, codec_bytes(in), some);
        in->at += some;
        have += some;
        if (have == n)
            break;
        if (!codec_fill(in, st))
            return false;
        if (codec_left(in) == 0 && in->at_end)
            return codec_fail(in, "snappy", "ends early", st);
    }
    return true;
}

/* A chunk of data, whose `n` bytes are taken. */
static bool
unpack_chunk(Snappy *s, bool compressed, size_t n, Status *st)
{
    const char *block = (const char *) s->chunk + CHECKSUM;
    size_t size = n - CHECKSUM;

    if (compressed)
    {
        size_t packed = size;

        /* The size first: the library must have room for what the block claims. */
        size = 0;
        if (snappy_uncompressed_length(block, packed, &size) != SNAPPY_OK || size > sizeof(s->plain) ||
            snappy_uncompress(block, packed, (char *) s->plain, &size) != SNAPPY_OK)
            return codec_corrupt(s->in, "snappy", NULL, st);
    }
    else
        memcpy(s->plain, block, size);
    if (checksum(s->table, s->plain, size) != codec_u32(s->chunk))
        return codec_corrupt(s->in, "snappy", "a block has another checksum than it should", st);
    s->at = 0;
    s->end = size;
    return true;
}

/* Before the first chunk and between chunks: the stream's identifier. */
static bool
begin_stream(Snappy *s, Status *st)
{
    CodecInput *in = s->in;
    size_t n;

    if (!codec_need(in, sizeof(identifier), st))
        return false;
    n = codec_left(in) < sizeof(identifier) ? codec_left(in) : sizeof(identifier);
    if (memcmp(codec_bytes(in), identifier, n) != 0)
    {
        codec_fail(in, "snappy", s->any ? "is corrupt" : "is missing", st);
        return s->any ? false : status_hint(st, "It is read in snappy's framing format (what begins with the bytes FF 06 00 00 73 4E 61 50 70 59), "
                                                "not as blocks without frames or in Hadoop's.");
    }
    if (n < sizeof(identifier))
        return codec_fail(in, "snappy", "ends early", st);
    in->at += n;
    s->any = true;
    return true;
}

static bool
next_chunk(Snappy *s, Status *st)
{
    CodecInput *in = s->in;
    uint8_t kind;
    size_t n;
    bool whole;

    if (!codec_need(in, 4, st))
        return false;
    s->finished = codec_left(in) == 0;
    if (s->finished)
        return true;
    kind = *codec_bytes(in);
    if (!s->any || kind == CHUNK_IDENTIFIER)
        return begin_stream(s, st);
    if (codec_left(in) < 4)
        return codec_fail(in, "snappy", "ends early", st);
    n = codec_u32(codec_bytes(in)) >> 8;
    if (kind > CHUNK_PLAIN && kind < CHUNK_MAY_SKIP)
        return codec_fail(in, "snappy", "is corrupt or followed by something else", st);
    if (kind <= CHUNK_PLAIN && (n < CHECKSUM || n - CHECKSUM > (kind == CHUNK_PLAIN ? BLOCK : COMPRESSED_MAX)))
        return codec_corrupt(in, "snappy", "a chunk has a length that none can have", st);
    in->at += 4;
    if (kind <= CHUNK_PLAIN)
        return take_chunk(s, n, st) && unpack_chunk(s, kind == CHUNK_COMPRESSED, n, st);
    return codec_skip(in, n, &whole, st) && (whole || codec_fail(in, "snappy", "ends early", st));
}

static bool
snappy_read(void *state, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Snappy *s = state;

    *got = 0;
    while (s->at == s->end && !s->finished)
        if (!next_chunk(s, st))
            return false;
    *got = s->end - s->at < size ? s->end - s->at : size;
    memcpy(out, s->plain + s->at, *got);
    s->at += *got;
    s->in->given += *got;
    return true;
}

const Codec codec_snappy = {"snappy", snappy_open, snappy_close, snappy_read, NULL};
