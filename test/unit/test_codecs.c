/*
 * test_codecs.c: bzip2, LZ4 and snappy, alike; and the limits on what comes out.
 */
#include "tap.h"

#include "drain.h"
#include "pack.h"

#define PLAIN (200 << 10)

static uint8_t plain[PLAIN], packed[PLAIN * 2], out[PLAIN * 3], copy[8192];

typedef struct Kind
{
    Compression kind;
    size_t (*pack)(const void *data, size_t n, uint8_t *out, size_t size);
    int64_t unseen; /* cuts that can't be seen: a snappy stream may end behind any chunk */
} Kind;

static size_t
pack_blocks(const void *data, size_t n, uint8_t *to, size_t size)
{
    return pack_snappy(data, n, to, size, 65536);
}

static size_t
pack_small_blocks(const void *data, size_t n, uint8_t *to, size_t size)
{
    return pack_snappy(data, n, to, size, 100);
}

static void
check_whole(const Kind *k)
{
    const char *name = compression_name(k->kind);
    size_t steps[] = {1, 7, 100, 4096, 65536, 1 << 20}, n = k->pack(plain, PLAIN, packed, sizeof(packed)), wrong = 0, all;
    Status st;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (drain(packed, n, steps[i], COMPRESSION_AUTO, out, sizeof(out), &st) != PLAIN || memcmp(out, plain, PLAIN) != 0)
            wrong++;
    is_int((int64_t) wrong, 0, "%s in pieces", name);
    all = n + k->pack("", 0, packed + n, sizeof(packed) - n);
    all += k->pack(plain, 5000, packed + all, sizeof(packed) - all);
    is_int(drain(packed, all, 777, k->kind, out, sizeof(out), &st), PLAIN + 5000, "%s: three streams, one empty", name);
    ok(memcmp(out, plain, PLAIN) == 0 && memcmp(out + PLAIN, plain, 5000) == 0, "%s: their bytes", name);
    is_int(drain(packed, 0, 1, k->kind, out, sizeof(out), &st), 0, "%s: nothing", name);
    is_int(drain((const uint8_t *) "plain,text\n", 11, 3, k->kind, out, sizeof(out), &st), -1, "%s: no such thing", name);
    snprintf((char *) copy, sizeof(copy), "%s data is missing", name);
    is_str(st.message, (char *) copy, "%s: its message", name);
}

static void
check_damage(const Kind *k)
{
    const char *name = compression_name(k->kind);
    char early[60];
    size_t n = k->pack(plain, 500, packed, sizeof(packed)), all = n + k->pack(plain, 300, packed + n, sizeof(packed) - n);
    size_t silent = 0, other = 0, lost = 0;
    Status st;

    snprintf(early, sizeof(early), "%s data ends early", name);
    for (size_t cut = 1; cut < all; cut++)
    {
        if (cut == n || drain(packed, cut, 100, k->kind, out, sizeof(out), &st) < 0)
        {
            other += cut != n && strcmp(st.message, early) != 0;
            lost += cut != n && (cut > n && drained < 500);
        }
        else
            silent++;
    }
    is_int((int64_t) silent, k->unseen, "%s cut anywhere is an error", name);
    is_int((int64_t) other, 0, "%s: that it ends early", name);
    is_int((int64_t) lost, 0, "%s: what came before it is given", name);
    silent = 0;
    for (size_t at = 0; at < n; at++)
    {
        memcpy(copy, packed, n);
        copy[at] ^= 0x55;
        if (drain(copy, n, 100, k->kind, out, sizeof(out), &st) >= 0 && memcmp(out, plain, 500) != 0)
            silent++;
        else if (drained > 0 && memcmp(out, plain, drained < 500 ? drained : 500) != 0)
            silent += k->kind == COMPRESSION_SNAPPY;
    }
    is_int((int64_t) silent, 0, "%s with one byte changed gives nothing wrong in silence", name);
    memcpy(copy, packed, n);
    memcpy(copy + n, "junk", 4);
    is_int(drain(copy, n + 4, 100, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "%s with text behind it", name);
    is_int((int64_t) drained, 500, "%s: what came before it", name);
    ok(strstr(st.message, "followed by something else") != NULL, "%s: %s", name, st.message);
    snprintf((char *) copy + 4096, 100, "At byte %zu of the compressed object, after 500 bytes of content.", n);
    is_str(st.detail, (char *) copy + 4096, "%s: its place", name);
}

static void
check_special(void)
{
    size_t n = pack_bzip2(plain, 500, packed, sizeof(packed));
    Status st;

    memset(packed + n, 0, 60);
    is_int(drain(packed, n + 60, 7, COMPRESSION_AUTO, out, sizeof(out), &st), 500, "zeros behind bzip2 are padding");
    is_int(drain((const uint8_t *) "BZh9,id\n1,2\n", 12, 5, COMPRESSION_AUTO, out, sizeof(out), &st), 12, "text that begins like bzip2");

    memcpy(packed, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
    n = 11 + pack_lz4(plain, 500, packed + 11, sizeof(packed) - 11);
    is_int(drain(packed, n, 3, COMPRESSION_AUTO, out, sizeof(out), &st), 500, "a frame to be skipped in front of LZ4's");
    n = 11 + pack_zstd(plain, 500, packed + 11, sizeof(packed) - 11, 0);
    is_int(drain(packed, n, 3, COMPRESSION_AUTO, out, sizeof(out), &st), 500, "and of zstd's");
    is_int(drain(packed, 11, 3, COMPRESSION_AUTO, out, sizeof(out), &st), 0, "and of none");
    n = pack_lz4(plain, 500, packed, sizeof(packed));
    packed[4] |= 1;
    is_int(drain(packed, n, 3, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "LZ4 with a dictionary");
    is_str(st.message, "lz4 data needs a dictionary", "its message");
    is_int(drain((const uint8_t *) "\x02\x21\x4c\x18....", 8, 3, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "LZ4 without frames");
    is_str(st.sqlstate, "0A000", "is refused");

    n = pack_snappy(plain, 500, packed, sizeof(packed), 500);
    memcpy(packed + n, "\xfe\x02\0\0..\x80\x01\0\0.", 11);
    is_int(drain(packed, n + 11, 2, COMPRESSION_AUTO, out, sizeof(out), &st), 500, "snappy's padding and chunks to be skipped");
    packed[n + 6] = 0x7f;
    is_int(drain(packed, n + 11, 2, COMPRESSION_AUTO, out, sizeof(out), &st), -1, "a chunk that must not be skipped");
    ok(strstr(st.hint, "framing format") == NULL, "%s", st.message);
    is_int(drain((const uint8_t *) "plain", 5, 2, COMPRESSION_SNAPPY, out, sizeof(out), &st), -1, "no snappy");
    ok(strstr(st.hint, "framing format") != NULL, "%s", st.hint);
    /* What the specification's neighbours say of nine digits. */
    is_int(snappy_checksum((const uint8_t *) "123456789", 9), (uint32_t) ((0xe3069283U >> 15 | 0xe3069283U << 17) + 0xa282ead8U), "the checksum");
}

/* A member's worth of zeros, again and again, as one object. */
typedef struct Bomb { const uint8_t *data; size_t n, at; } Bomb;

static bool
bomb_read(void *context, uint8_t *to, size_t size, size_t *got, Status *st)
{
    Bomb *b = context;

    (void) st;
    *got = b->n - b->at < size ? b->n - b->at : size;
    memcpy(to, b->data + b->at, *got);
    b->at = (b->at + *got) % b->n;
    return true;
}

/* How far it comes; -1: on and on. */
static int64_t
blast(Bomb bomb, DecompressLimits how, Status *st)
{
    Decompress *d = NULL;
    int64_t total = 0;
    const char *name;
    size_t got = 1;
    bool more, fine;

    status_clear(st);
    fine = decompress_open(&d, COMPRESSION_AUTO, &how, (ByteSource) {bomb_read, &bomb}, st) && decompress_next(d, &name, &more, st);
    while (fine && got > 0 && total < (INT64_C(3) << 27))
    {
        fine = byte_source_read(decompress_source(d), out, sizeof(out), &got, st);
        total += (int64_t) got;
    }
    decompress_close(d);
    return fine ? -1 : total;
}

static void
check_limits(void)
{
    static uint8_t zeros[1 << 20], small[1 << 16];
    size_t n = pack_gzip(zeros, sizeof(zeros), small, sizeof(small));
    Bomb bomb = {small, n, 0};
    int64_t came;
    Status st;

    is_int(blast(bomb, (DecompressLimits) {0, 0}, &st), -1, "no limits");
    came = blast(bomb, (DecompressLimits) {0, 900}, &st);
    ok(came >= (int64_t) DECOMPRESS_FREE && came < (int64_t) DECOMPRESS_FREE + (2 << 20), "a bomb ends behind what is free, at %lld", (long long) came);
    is_str(st.sqlstate, "54000", "its code");
    is_str(st.message, "gzip data unpacks to more than is allowed", "its message");
    ok(strstr(st.hint, "\"maxCompressionRatio\"") != NULL, "%s", st.hint);
    is_int(blast(bomb, (DecompressLimits) {0, 1100}, &st), -1, "a ratio that is allowed");
    came = blast(bomb, (DecompressLimits) {1 << 20, 0}, &st);
    ok(came <= (1 << 20) + (int64_t) sizeof(out), "too many bytes, at %lld", (long long) came);
    ok(strstr(st.hint, "\"maxDecompressedBytes\"") != NULL, "%s", st.hint);
    n = pack_gzip(plain, 1000, packed, sizeof(packed));
    limits = (DecompressLimits) {1000, 1};
    is_int(drain(packed, n, 100, COMPRESSION_AUTO, out, sizeof(out), &st), 1000, "as many bytes as are allowed");
    is_int(drain(plain, 2000, 100, COMPRESSION_AUTO, out, sizeof(out), &st), 2000, "limits are for what is compressed");
    limits = (DecompressLimits) {0, 0};
}

int
main(void)
{
    static const Kind kinds[] = {
        {COMPRESSION_BZIP2, pack_bzip2, 0}, {COMPRESSION_LZ4, pack_lz4, 0}, {COMPRESSION_SNAPPY, pack_blocks, 2},
        {COMPRESSION_SNAPPY, pack_small_blocks, 8},
    };
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof(plain); i++)
    {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (uint8_t) "abcdefgh,\n"[(seed >> 20) % 10];
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
    {
        check_whole(&kinds[i]);
        check_damage(&kinds[i]);
    }
    check_special();
    check_limits();
    return done();
}
