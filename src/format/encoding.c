/*
 * encoding.c: see encoding.h.
 *
 * One input buffer.  A step takes as many characters from it as the caller's
 * memory surely holds (three bytes of UTF-8 at most for each of the one-byte
 * encodings' and of UTF-16's units, four for a pair), so no character is ever
 * split on the way out; a unit or pair that the input cuts waits for more.
 * Runs of ASCII are copied sixteen bytes at a time.
 */
#include "format/encoding.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define INPUT_SIZE 65536
/* A caller with less room than one character gets it through here. */
#define SPILL_SIZE 4

struct EncodingStage
{
    ByteSource source;
    Encoding kind;
    uint8_t *input;
    size_t at, end;         /* unused input: [at, end) */
    bool source_end;
    uint64_t taken;         /* bytes of input used up */
    uint8_t spill[SPILL_SIZE];
    size_t spill_at, spill_end;
};

static const struct { const char *name; Encoding encoding; } names[] = {
    {"UTF-8", ENCODING_UTF8}, {"LATIN1", ENCODING_LATIN1}, {"WINDOWS-1252", ENCODING_WINDOWS_1252},
    {"UTF-16", ENCODING_UTF16}, {"UTF-16LE", ENCODING_UTF16LE}, {"UTF-16BE", ENCODING_UTF16BE},
    {"UTF8", ENCODING_UTF8}, {"ISO-8859-1", ENCODING_LATIN1}, {"CP1252", ENCODING_WINDOWS_1252},
};

/* Windows-1252 from 0x80 to 0x9f; 0: not defined. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0,
    0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
};

bool
encoding_find(const char *name, Encoding *out)
{
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(names[i].name, name) == 0)
        {
            *out = names[i].encoding;
            return true;
        }
    return false;
}

const char *
encoding_name(Encoding encoding)
{
    return names[encoding].name;
}

const char *
encoding_names(void)
{
    return "UTF-8, LATIN1, WINDOWS-1252, UTF-16, UTF-16LE, UTF-16BE";
}

static bool
fill(EncodingStage *e, Status *st)
{
    size_t got;

    if (e->source_end)
        return true;
    memmove(e->input, e->input + e->at, e->end - e->at);
    e->end -= e->at;
    e->at = 0;
    if (!byte_source_read(e->source, e->input + e->end, INPUT_SIZE - e->end, &got, st))
        return false;
    e->source_end = got == 0;
    e->end += got;
    return true;
}

/* Writes a code point (or a lone surrogate, as if it were one). */
static uint8_t *
put(uint8_t *out, uint32_t c)
{
    if (c < 0x80)
        *out++ = (uint8_t) c;
    else if (c < 0x800)
    {
        *out++ = (uint8_t) (0xC0 | c >> 6);
        *out++ = (uint8_t) (0x80 | (c & 0x3F));
    }
    else if (c < 0x10000)
    {
        *out++ = (uint8_t) (0xE0 | c >> 12);
        *out++ = (uint8_t) (0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t) (0x80 | (c & 0x3F));
    }
    else
    {
        *out++ = (uint8_t) (0xF0 | c >> 18);
        *out++ = (uint8_t) (0x80 | (c >> 12 & 0x3F));
        *out++ = (uint8_t) (0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t) (0x80 | (c & 0x3F));
    }
    return out;
}

/* How many of the n bytes are ASCII from the start; they are copied (16 more bytes of `out` may be written, never past n). */
static size_t
copy_ascii(uint8_t *out, const uint8_t *in, size_t n)
{
    size_t i = 0;

#if defined(__SSE2__)
    for (; i + 16 <= n; i += 16)
    {
        __m128i bytes = _mm_loadu_si128((const __m128i *) (in + i));

        if (_mm_movemask_epi8(bytes) != 0)
            break;
        _mm_storeu_si128((__m128i *) (out + i), bytes);
    }
#endif
    for (; i < n && in[i] < 0x80; i++)
        out[i] = in[i];
    return i;
}

/* One-byte encodings.  Returns the end of what was written. */
static uint8_t *
step_bytes(EncodingStage *e, uint8_t *out, const uint8_t *out_end)
{
    const uint8_t *in = e->input + e->at, *end = e->input + e->end;

    while (in < end && out_end - out >= 3)
    {
        size_t room = (size_t) (out_end - out), left = (size_t) (end - in);
        size_t n = copy_ascii(out, in, left < room ? left : room);
        uint8_t c;

        in += n;
        out += n;
        if (in == end || out_end - out < 3)
            break;
        c = *in++;
        if (c < 0x80)
            *out++ = c;
        else if (e->kind == ENCODING_LATIN1 || c >= 0xA0)
            out = put(out, c);
        else if (windows_1252[c - 0x80] != 0)
            out = put(out, windows_1252[c - 0x80]);
        else
            *out++ = c;     /* alone it is no UTF-8 */
    }
    e->taken += (size_t) (in - (e->input + e->at));
    e->at = (size_t) (in - e->input);
    return out;
}

static inline uint32_t
unit(const EncodingStage *e, const uint8_t *in)
{
    return e->kind == ENCODING_UTF16LE ? in[0] | (uint32_t) in[1] << 8 : in[1] | (uint32_t) in[0] << 8;
}

static uint8_t *
step_utf16(EncodingStage *e, uint8_t *out, const uint8_t *out_end)
{
    const uint8_t *in = e->input + e->at, *end = e->input + e->end;

    while (end - in >= 2 && out_end - out >= 4)
    {
        uint32_t c = unit(e, in), low;

        if (c >= 0xD800 && c < 0xDC00)
        {
            /* The other half may still come. */
            if (end - in < 4 && !e->source_end)
                break;
            low = end - in < 4 ? 0 : unit(e, in + 2);
            if (low >= 0xDC00 && low < 0xE000)
            {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                in += 2;
            }
        }
        in += 2;
        out = put(out, c);
    }
    e->taken += (size_t) (in - (e->input + e->at));
    e->at = (size_t) (in - e->input);
    return out;
}

static uint8_t *
step(EncodingStage *e, uint8_t *out, const uint8_t *out_end)
{
    return e->kind >= ENCODING_UTF16LE ? step_utf16(e, out, out_end) : step_bytes(e, out, out_end);
}

static bool
read_converted(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    EncodingStage *e = context;
    bool small = size < SPILL_SIZE;

    *got = 0;
    while (e->spill_at == e->spill_end)
    {
        uint8_t *to = small ? e->spill : out;
        size_t n = (size_t) (step(e, to, to + (small ? SPILL_SIZE : size)) - to);

        if (n > 0 && !small)
        {
            *got = n;
            return true;
        }
        e->spill_at = 0;
        e->spill_end = n;
        if (n > 0)
            break;
        if (e->source_end && e->at == e->end)
            return true;
        if (e->source_end)
        {
            status_fail(st, STATUS_BAD_ENCODING, "text ends in the middle of a character");
            st->offset = e->taken;
            return status_detail(st, "It is read as %s and has an odd number of bytes.", encoding_name(e->kind));
        }
        if (!fill(e, st))
            return false;
    }
    *got = e->spill_end - e->spill_at < size ? e->spill_end - e->spill_at : size;
    memcpy(out, e->spill + e->spill_at, *got);
    e->spill_at += *got;
    return true;
}

/* UTF-8: what was read to look for a mark, then straight from the source. */
static bool
read_plain(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    EncodingStage *e = context;

    if (e->at == e->end)
        return byte_source_read(e->source, out, size, got, st);
    *got = e->end - e->at < size ? e->end - e->at : size;
    memcpy(out, e->input + e->at, *got);
    e->at += *got;
    return true;
}

/* Settles the encoding by the first bytes. */
static bool
look_at_mark(EncodingStage *e, Status *st)
{
    const uint8_t *in = e->input;

    while (e->end < 3 && !e->source_end)
        if (!fill(e, st))
            return false;
    if (e->end >= 3 && memcmp(in, "\xEF\xBB\xBF", 3) == 0)
        e->kind = ENCODING_UTF8;
    else if (e->end >= 2 && ((in[0] == 0xFF && in[1] == 0xFE) || (in[0] == 0xFE && in[1] == 0xFF)))
    {
        e->kind = in[0] == 0xFF ? ENCODING_UTF16LE : ENCODING_UTF16BE;
        e->at = 2;
        e->taken = 2;
    }
    else if (e->kind == ENCODING_UTF16)
        e->kind = e->end >= 2 && in[0] == 0 && in[1] != 0 ? ENCODING_UTF16BE : ENCODING_UTF16LE;
    return true;
}

bool
encoding_open(EncodingStage **out, Encoding encoding, ByteSource source, Status *st)
{
    EncodingStage *e = calloc(1, sizeof(*e));

    *out = NULL;
    if (e == NULL)
        return status_out_of_memory(st, sizeof(*e));
    e->source = source;
    e->kind = encoding;
    e->input = malloc(INPUT_SIZE);
    if (e->input == NULL || !look_at_mark(e, st))
    {
        if (e->input == NULL)
            status_out_of_memory(st, INPUT_SIZE);
        encoding_close(e);
        return false;
    }
    *out = e;
    return true;
}

void
encoding_close(EncodingStage *stage)
{
    if (stage == NULL)
        return;
    free(stage->input);
    free(stage);
}

ByteSource
encoding_source(EncodingStage *stage)
{
    return (ByteSource) {stage->kind == ENCODING_UTF8 ? read_plain : read_converted, stage};
}

Encoding
encoding_kind(const EncodingStage *stage)
{
    return stage->kind;
}
