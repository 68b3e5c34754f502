/*
 * test_decompress.c: the byte stage: plain, gzip, zstd, members, damage.  The others: test_codecs.c, test_zip.c.
 */
#include "tap.h"

#include <stdlib.h>

#include "drain.h"
#include "pack.h"

static void
check_damage(const uint8_t *packed, size_t n)
{
    static uint8_t out[1 << 16], copy[1 << 12];
    Status st;
    size_t cut, silent = 0;
    int64_t got;

    for (cut = 1; cut < n; cut++)
        if (drain(packed, cut, 100, COMPRESSION_GZIP, out, sizeof(out), &st) >= 0)
            silent++;
    is_int((int64_t) silent, 0, "gzip cut at every byte is an error");
    is_str(st.sqlstate, "22P04", "its code");
    is_str(st.message, "gzip data ends early", "its message");
    ok(strstr(st.detail, "At byte") != NULL, "%s", st.detail);
    for (cut = 0, silent = 0; cut < n; cut++)
    {
        memcpy(copy, packed, n);
        copy[cut] ^= 0x55;
        got = drain(copy, n, 100, COMPRESSION_GZIP, out, sizeof(out), &st);
        /* The header's time, level and system are not protected. */
        if (got >= 0 && (cut < 4 || cut > 9))
            silent++;
    }
    is_int((int64_t) silent, 0, "gzip with one byte changed is an error");
    memcpy(copy, packed, n);
    memcpy(copy + n, "junk", 4);
    is_int(drain(copy, n + 4, 100, COMPRESSION_GZIP, out, sizeof(out), &st), -1, "text behind the last member");
    is_str(st.message, "gzip data is followed by something else", "its message");
    memset(copy + n, 0, 50);
    ok(drain(copy, n + 50, 7, COMPRESSION_GZIP, out, sizeof(out), &st) >= 0, "zeros behind the last member are padding");
    is_int(drain((const uint8_t *) "plain", 5, 100, COMPRESSION_GZIP, out, sizeof(out), &st), -1, "not gzip at all");
    is_str(st.message, "gzip data is missing", "its message");
}

static void
check_zstd_damage(const uint8_t *packed, size_t n)
{
    static uint8_t out[1 << 16], copy[1 << 12];
    Status st;
    size_t cut, silent = 0;

    for (cut = 1; cut < n; cut++)
        if (drain(packed, cut, 100, COMPRESSION_ZSTD, out, sizeof(out), &st) >= 0)
            silent++;
    is_int((int64_t) silent, 0, "zstd cut at every byte is an error");
    is_str(st.message, "zstd data ends early", "its message");
    is_str(st.sqlstate, "22P04", "its code");
    ok(strstr(st.detail, "At byte") != NULL, "%s", st.detail);
    for (cut = 0, silent = 0; cut < n; cut++)
    {
        memcpy(copy, packed, n);
        copy[cut] ^= 0x55;
        /* How large the window is may be said in several ways. */
        if (drain(copy, n, 100, COMPRESSION_ZSTD, out, sizeof(out), &st) >= 0 && cut != 4 && cut != 5)
            silent++;
    }
    is_int((int64_t) silent, 0, "zstd with one byte changed is an error");
    memcpy(copy, packed, n);
    memcpy(copy + n, "junk", 4);
    is_int(drain(copy, n + 4, 100, COMPRESSION_ZSTD, out, sizeof(out), &st), -1, "text behind the last frame");
    is_str(st.message, "zstd data is followed by something else", "its message");
    is_int(drain((const uint8_t *) "plain", 5, 100, COMPRESSION_ZSTD, out, sizeof(out), &st), -1, "not zstd at all");
    is_str(st.message, "zstd data is missing", "its message");
}

static void
check_zstd(const uint8_t *plain)
{
    static uint8_t packed[1 << 16], out[1 << 17];
    static const uint8_t skipped[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3};
    size_t n = pack_zstd(plain, 5000, packed, sizeof(packed), 0), step, wrong = 0, all;
    Status st;

    for (step = 1; step < 300; step++)
        if (drain(packed, n, step, COMPRESSION_AUTO, out, sizeof(out), &st) != 5000 || memcmp(out, plain, 5000) != 0)
            wrong++;
    is_int((int64_t) wrong, 0, "zstd in pieces of 1 to 299 bytes");
    memcpy(packed + n, skipped, sizeof(skipped));
    all = n + sizeof(skipped);
    all += pack_zstd("", 0, packed + all, sizeof(packed) - all, 0);
    all += pack_zstd(plain + 5000, 20000, packed + all, sizeof(packed) - all, 0);
    is_int(drain(packed, all, 777, COMPRESSION_AUTO, out, sizeof(out), &st), 25000, "several frames, one empty, one to be skipped");
    ok(memcmp(out, plain, 25000) == 0, "their bytes");
    is_int(drain(packed, 0, 1, COMPRESSION_ZSTD, out, sizeof(out), &st), 0, "nothing, said to be zstd");
    n = pack_zstd(plain, 500, packed, sizeof(packed), 0);
    check_zstd_damage(packed, n);
    n = pack_zstd(plain, 500, packed, sizeof(packed), 28);
    is_int(drain(packed, n, 100, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "a window that is too large");
    is_str(st.sqlstate, "54000", "its code");
    is_str(st.message, "zstd data needs more memory than is allowed", "its message");
    n = pack_zstd(plain, 500, packed, sizeof(packed), 27);
    is_int(drain(packed, n, 100, COMPRESSION_AUTO, out, sizeof(out), &st), 500, "the largest window");
}

int
main(void)
{
    static uint8_t plain[1 << 15], packed[1 << 16], out[1 << 17], zeros[1 << 16];
    size_t n, n2, step, wrong = 0;
    uint32_t seed = 1, i;
    Status st;

    for (i = 0; i < sizeof(plain); i++)
    {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (uint8_t) "abcdefgh,\n"[(seed >> 20) % 10];
    }
    is_int(drain(plain, sizeof(plain), 1000, COMPRESSION_AUTO, out, sizeof(out), &st), sizeof(plain), "plain");
    ok(memcmp(plain, out, sizeof(plain)) == 0, "its bytes");
    is_int(drain((const uint8_t *) "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, 1, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "an old workbook");
    is_str(st.message, "file looks like an old Office file, perhaps an .xls workbook, which can't be read in this version", "is refused");
    is_int(drain((const uint8_t *) "PK\x03\x04", 4, 1, COMPRESSION_NONE, out, sizeof(out), &st), 4, "unless it is said to be plain");
    is_int(drain((const uint8_t *) "PAR1\x15\x04", 6, 1, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "a Parquet file");
    is_int(drain((const uint8_t *) "PAR1,PAR2\r\n", 11, 1, COMPRESSION_AUTO, out, sizeof(out), &st), 11, "a header that begins like one");
    is_int(drain(plain, 1, 1, COMPRESSION_AUTO, out, sizeof(out), &st), 1, "one plain byte");
    is_int(drain(plain, 0, 1, COMPRESSION_AUTO, out, sizeof(out), &st), 0, "nothing");
    is_int(drain(plain, 0, 1, COMPRESSION_GZIP, out, sizeof(out), &st), 0, "nothing, said to be gzip");

    n = pack_gzip(plain, 5000, packed, sizeof(packed));
    for (step = 1; step < 300; step++)
        if (drain(packed, n, step, COMPRESSION_AUTO, out, sizeof(out), &st) != 5000 || memcmp(out, plain, 5000) != 0)
            wrong++;
    is_int((int64_t) wrong, 0, "gzip in pieces of 1 to 299 bytes");
    n2 = n + pack_gzip("", 0, packed + n, sizeof(packed) - n);
    n2 += pack_gzip(plain + 5000, 20000, packed + n2, sizeof(packed) - n2);
    is_int(drain(packed, n2, 777, COMPRESSION_AUTO, out, sizeof(out), &st), 25000, "three members, one empty");
    ok(memcmp(out, plain, 25000) == 0, "their bytes");
    is_int(drain(packed, n2, 777, COMPRESSION_NONE, out, sizeof(out), &st), (int64_t) n2, "gzip read as it is");
    n = pack_gzip(plain, 500, packed, sizeof(packed));
    check_damage(packed, n);
    check_zstd(plain);

    n = pack_gzip(zeros, sizeof(zeros), packed, sizeof(packed));
    is_int(drain(packed, n, 1 << 20, COMPRESSION_AUTO, out, sizeof(zeros) / 2, &st), sizeof(zeros) / 2,
           "output stops where the caller stops, not where the data wants to");
    return done();
}
