/*
 * test_encoding.c: the byte stage that makes UTF-8.
 *
 * Against iconv for every byte of the one-byte encodings and for every code
 * point in UTF-16; in pieces of all sizes, into memory of all sizes; what has
 * no character.
 */
#include "tap.h"

#include <iconv.h>
#include <stdlib.h>

#include "format/convert.h"
#include "format/encoding.h"
#include "memory_source.h"

/* All of it, `step` bytes in and at most `room` out at once; the bytes or -1. */
static int64_t
convert(Encoding encoding, const void *data, size_t n, size_t step, size_t room, uint8_t *out, Status *st)
{
    Memory m = {data, n, 0, step};
    EncodingStage *stage;
    size_t used = 0, got = 1;
    bool fine;

    status_clear(st);
    fine = encoding_open(&stage, encoding, (ByteSource) {memory_read, &m}, st);
    while (fine && got > 0)
    {
        fine = byte_source_read(encoding_source(stage), out + used, room, &got, st);
        used += got;
    }
    if (stage != NULL)
        encoding_close(stage);
    return fine ? (int64_t) used : -1;
}

static size_t
by_iconv(const char *from, const void *data, size_t n, uint8_t *out, size_t size)
{
    iconv_t cd = iconv_open("UTF-8", from);
    char *in = (char *) data, *to = (char *) out;
    size_t left = n, room = size;

    if (cd == (iconv_t) -1 || iconv(cd, &in, &left, &to, &room) == (size_t) -1)
        return 0;
    iconv_close(cd);
    return size - room;
}

static uint8_t in[5 << 20], want[8 << 20], out[8 << 20];

/* The same answer whatever the pieces. */
static void
check_pieces(Encoding encoding, size_t n, size_t length, const char *label)
{
    size_t step, room, wrong = 0;
    Status st;

    for (step = 1; step < 70; step += step < 8 ? 1 : 13)
        for (room = 1; room < 70; room += room < 8 ? 1 : 11)
            if (convert(encoding, in, n, step, room, out, &st) != (int64_t) length || memcmp(out, want, length) != 0)
                wrong++;
    is_int((int64_t) wrong, 0, "%s: in pieces of all sizes", label);
}

static void
check_bytes(Encoding encoding, const char *iconv_name)
{
    size_t n = 0, length;
    Status st;
    int i, round;

    for (round = 0; round < 4; round++)
        for (i = 1; i < 256; i++)
        {
            if (encoding == ENCODING_WINDOWS_1252 && (i == 0x81 || i == 0x8D || i == 0x8F || i == 0x90 || i == 0x9D))
                continue;
            in[n++] = (uint8_t) i;
            if (round > 1)
            {
                memset(in + n, 'x', (size_t) i % 40);
                n += (size_t) i % 40;
            }
        }
    length = by_iconv(iconv_name, in, n, want, sizeof(want));
    ok(length > n, "iconv knows %s", iconv_name);
    is_int(convert(encoding, in, n, 1000000, 1000000, out, &st), (int64_t) length, "%s: length", iconv_name);
    ok(memcmp(out, want, length) == 0, "%s: bytes", iconv_name);
    check_pieces(encoding, n, length, iconv_name);
}

static void
put_unit(size_t *n, uint32_t unit, bool little)
{
    in[*n + (little ? 0 : 1)] = (uint8_t) unit;
    in[*n + (little ? 1 : 0)] = (uint8_t) (unit >> 8);
    *n += 2;
}

static void
check_utf16(Encoding encoding, const char *iconv_name, uint32_t every)
{
    bool little = encoding == ENCODING_UTF16LE;
    size_t n = 0, length;
    uint32_t c;
    Status st;

    for (c = 1; c < 0x110000; c += every)
    {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        if (c >= 0x10000)
            put_unit(&n, 0xD800 + ((c - 0x10000) >> 10), little);
        put_unit(&n, c >= 0x10000 ? 0xDC00 + (c & 0x3FF) : c, little);
    }
    length = by_iconv(iconv_name, in, n, want, sizeof(want));
    is_int(convert(encoding, in, n, 1000000, 1000000, out, &st), (int64_t) length, "%s: length", iconv_name);
    ok(length > 0 && memcmp(out, want, length) == 0, "%s: bytes", iconv_name);
    if (every > 1)
        check_pieces(encoding, n, length, iconv_name);
}

/* What has no character stays visible as bytes that are not UTF-8. */
static void
check_nothing(Encoding encoding, const char *data, size_t n, const char *expected, const char *label)
{
    Status st;
    int64_t length = convert(encoding, data, n, 1, 100, out, &st);

    is_int(length, (int64_t) strlen(expected), "%s: length", label);
    ok(memcmp(out, expected, strlen(expected)) == 0 && !convert_utf8_valid((char *) out, (size_t) length),
       "%s: is not UTF-8", label);
}

int
main(void)
{
    Encoding encoding;
    Status st;

    check_bytes(ENCODING_LATIN1, "ISO-8859-1");
    check_bytes(ENCODING_WINDOWS_1252, "CP1252");
    check_utf16(ENCODING_UTF16LE, "UTF-16LE", 1);
    check_utf16(ENCODING_UTF16BE, "UTF-16BE", 1);
    check_utf16(ENCODING_UTF16LE, "UTF-16LE", 4001);
    check_utf16(ENCODING_UTF16BE, "UTF-16BE", 4001);
    check_nothing(ENCODING_WINDOWS_1252, "\xE9\x81\xE9", 3, "\xC3\xA9\x81\xC3\xA9", "undefined in Windows-1252");
    check_nothing(ENCODING_WINDOWS_1252, "a\x8D\x8F\x90\x9D" "b", 6, "a\x8D\x8F\x90\x9D" "b", "the other four");
    check_nothing(ENCODING_UTF16BE, "\xD8\x3D\0a", 4, "\xED\xA0\xBD" "a", "first half alone");
    check_nothing(ENCODING_UTF16BE, "\xDE\0\0a", 4, "\xED\xB8\x80" "a", "second half alone");
    check_nothing(ENCODING_UTF16BE, "\xDE\0\xD8\x3D", 4, "\xED\xB8\x80\xED\xA0\xBD", "halves in the wrong order");
    check_nothing(ENCODING_UTF16LE, "a\0\x3D\xD8", 4, "a\xED\xA0\xBD", "first half at the end");
    is_int(convert(ENCODING_UTF16LE, "a\0b", 3, 1, 100, out, &st), -1, "half a unit at the end");
    is_str(st.sqlstate, "22021", "its code");
    is_int((int64_t) st.offset, 2, "its place");
    is_int(convert(ENCODING_UTF8, "\xFF\xFE" "a\0", 4, 1, 100, out, &st), 1, "a mark of UTF-16LE decides");
    is_int(convert(ENCODING_LATIN1, "\xFE\xFF\0a", 4, 1, 100, out, &st), 1, "a mark of UTF-16BE decides");
    is_int(convert(ENCODING_LATIN1, "\xEF\xBB\xBF\xC3\xA4", 5, 1, 100, out, &st), 5, "a mark of UTF-8 decides, and is the format's");
    is_int(convert(ENCODING_UTF8, "\x80\0z", 3, 1, 1, out, &st), 3, "UTF-8 passes as it is");
    is_int(convert(ENCODING_UTF16, "", 0, 1, 1, out, &st), 0, "nothing");
    ok(encoding_find("latin1", &encoding) && encoding == ENCODING_LATIN1 && encoding_find("cp1252", &encoding) &&
       encoding == ENCODING_WINDOWS_1252 && !encoding_find("EBCDIC", &encoding), "names");
    return done();
}
