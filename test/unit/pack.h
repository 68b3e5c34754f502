/*
 * pack.h: compressing bytes in memory, for tests.
 *
 * All return the bytes written to `out`, which must be large enough.
 */
#ifndef KAIREON_TEST_PACK_H
#define KAIREON_TEST_PACK_H

#include <bzlib.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* One gzip member. */
__attribute__((unused)) static size_t
pack_gzip(const void *data, size_t n, uint8_t *out, size_t size)
{
    z_stream z = {0};

    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *) data;
    z.avail_in = (uInt) n;
    z.next_out = out;
    z.avail_out = (uInt) size;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* One zstd frame with a checksum, written as a stream: it says its window and not its size.  window_log 0: as usual. */
__attribute__((unused)) static size_t
pack_zstd(const void *data, size_t n, uint8_t *out, size_t size, int window_log)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer from = {data, n, 0};
    ZSTD_outBuffer to = {out, size, 0};

    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    if (window_log > 0)
        ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
    ZSTD_compressStream2(c, &to, &from, ZSTD_e_flush);
    if (ZSTD_compressStream2(c, &to, &from, ZSTD_e_end) != 0)
        abort();
    ZSTD_freeCCtx(c);
    return to.pos;
}

/* One bzip2 stream. */
__attribute__((unused)) static size_t
pack_bzip2(const void *data, size_t n, uint8_t *out, size_t size)
{
    unsigned made = (unsigned) size;

    if (BZ2_bzBuffToBuffCompress((char *) out, &made, (char *) (uintptr_t) data, (unsigned) n, 1, 0, 0) != BZ_OK)
        abort();
    return made;
}

/* One LZ4 frame with checksums of blocks and content. */
__attribute__((unused)) static size_t
pack_lz4(const void *data, size_t n, uint8_t *out, size_t size)
{
    LZ4F_preferences_t how = {0};

    how.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    how.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
    n = LZ4F_compressFrame(out, size, data, n, &how);
    if (LZ4F_isError(n))
        abort();
    return n;
}

/* The masked CRC-32C of snappy's framing, bit by bit. */
__attribute__((unused)) static uint32_t
snappy_checksum(const uint8_t *data, size_t n)
{
    uint32_t crc = ~0U;

    for (size_t i = 0; i < n; i++)
    {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

__attribute__((unused)) static void
put_number(uint8_t *out, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t) (value >> 8 * i);
}

/* A snappy stream: its identifier, then blocks of `block` bytes, every other one not compressed. */
__attribute__((unused)) static size_t
pack_snappy(const void *data, size_t n, uint8_t *out, size_t size, size_t block)
{
    const uint8_t *at = data;
    size_t used = 10, number = 0;

    memcpy(out, "\xff\x06\0\0sNaPpY", 10);
    for (; n > 0; number++)
    {
        size_t some = n < block ? n : block, made = size - used - 8;

        put_number(out + used + 4, 4, snappy_checksum(at, some));
        if (number % 2 == 1)
            memcpy(out + used + 8, at, made = some);
        else if (snappy_compress((const char *) at, some, (char *) out + used + 8, &made) != SNAPPY_OK)
            abort();
        out[used] = number % 2;
        put_number(out + used + 1, 3, made + 4);
        used += 8 + made;
        at += some;
        n -= some;
    }
    return used;
}

#endif
