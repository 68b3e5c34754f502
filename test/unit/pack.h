/*
 * pack.h: compressing bytes in memory, for tests.
 *
 * Both return the bytes written to `out`, which must be large enough.
 */
#ifndef KAIREON_TEST_PACK_H
#define KAIREON_TEST_PACK_H

#include <stdint.h>
#include <stdlib.h>
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

#endif
