/*
 * decompress.c: see decompress.h.
 *
 * One input buffer, filled from the stored object.  For AUTO its first bytes
 * decide and then stay in it as the first input.  Plain data is read directly
 * into the caller's memory once that first part has been handed out.
 *
 * What was unpacked before a fault is handed out before the fault is reported,
 * so that a reader knows the line it had come to.
 */
#include "format/decompress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec.h"

struct Decompress
{
    CodecInput in;
    DecompressLimits limits;
    Compression kind;
    const Codec *codec;     /* NULL: plain */
    void *state;
    bool begun;             /* a content has */
    bool empty;             /* the one of an archive without members */
    uint64_t total;         /* bytes unpacked */
    Status failure;         /* to be reported when what came before it has been handed out */
};

/* By Compression. */
static const Codec *const codecs[] = {NULL, NULL, &codec_gzip, &codec_zstd, &codec_bzip2, &codec_lz4, &codec_snappy, &codec_zip};

#define COMPRESSIONS (sizeof(codecs) / sizeof(codecs[0]))

/* ---- reading --------------------------------------------------------------- */

static bool
read_plain(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Decompress *d = context;
    CodecInput *in = &d->in;

    if (codec_left(in) > 0)
    {
        *got = codec_left(in) < size ? codec_left(in) : size;
        memcpy(out, codec_bytes(in), *got);
        in->at += *got;
        return true;
    }
    *got = 0;
    if (in->at_end)
        return true;
    if (!byte_source_read(in->stored, out, size, got, st))
        return false;
    in->at_end = *got == 0;
    in->read += *got;
    return true;
}

static bool
refuse_bomb(const Decompress *d, uint64_t limit, const char *what, const char *option, Status *st)
{
    const char *name = d->codec->name;

    codec_fail(&d->in, name, "unpacks to more than is allowed", st);
    memcpy(st->sqlstate, STATUS_LIMIT, sizeof(st->sqlstate));
    return status_hint(st, "At most %" PRIu64 " %s are allowed. If the data is what it should be, allow more with \"%s\" (0: no limit).",
                       limit, what, option);
}

/* Notes that n bytes more were unpacked; false when that is too much. */
static bool
within_limits(Decompress *d, size_t n, Status *st)
{
    const DecompressLimits *limits = &d->limits;

    d->total += n;
    if (limits->bytes > 0 && d->total > limits->bytes)
        return refuse_bomb(d, limits->bytes, "bytes of content", "maxDecompressedBytes", st);
    if (limits->ratio > 0 && d->total > DECOMPRESS_FREE && d->total / limits->ratio > decompress_stored(d))
        return refuse_bomb(d, limits->ratio, "bytes of content for each stored one", "maxCompressionRatio", st);
    return true;
}

static bool
read_packed(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Decompress *d = context;

    *got = 0;
    if (d->empty)
        return true;
    if (d->failure.sqlstate[0] != '\0')
    {
        *st = d->failure;
        return false;
    }
    if (d->codec->read(d->state, out, size, got, st))
        return within_limits(d, *got, st);
    if (*got == 0)
        return false;
    d->failure = *st;
    status_clear(st);
    return within_limits(d, *got, st);
}

/* Reads the rest of a content for its faults alone. */
static bool
pass_rest(Decompress *d, Status *st)
{
    uint8_t nowhere[16384];
    size_t got;

    do
        if (!read_packed(d, nowhere, sizeof(nowhere), &got, st))
            return false;
    while (got > 0);
    return true;
}

bool
decompress_next(Decompress *d, const char **name, bool *more, Status *st)
{
    bool first = !d->begun;
    CodecMember member = {NULL, false};

    *name = NULL;
    *more = first;
    d->begun = true;
    if (d->codec == NULL || d->codec->next == NULL || d->empty)
        return true;
    do
        if ((!first || member.skip) && !pass_rest(d, st))
            return false;
        else if (!d->codec->next(d->state, &member, more, st))
            return false;
    while (*more && member.skip);
    *name = member.name;
    if (*more || !first)
        return true;
    *name = NULL;
    *more = d->empty = true;
    return true;
}

/* ---- what it is ------------------------------------------------------------ */

/* Bytes to tell a file's kind by. */
#define KIND_BYTES 64

/* Files that are no text, and that nothing here can read. */
static const struct Foreign { const char *magic; uint8_t length; bool letters; const char *what; } foreign[] = {
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, false, "an old Office file, perhaps an .xls workbook"},
    {"\xFD" "7zXZ\0", 6, false, "xz data"},
    {"\x02\x21\x4C\x18", 4, false, "LZ4 data of the old form without frames"},
    {"PK\x07\x08PK", 6, false, "one part of a zip archive of several"},
    {"7z\xBC\xAF\x27\x1C", 6, false, "a 7z archive"},
    {"PAR1", 4, true, "a Parquet file"},
    {"ORC", 3, true, "an ORC file"},
    {"Obj\x01", 4, false, "an Avro file"},
    {"%PDF-", 5, false, "a PDF file"},
};

/* Where the magic is made of letters, a byte that no text has must be near. */
static bool
is_foreign(const Decompress *d, const struct Foreign *kind)
{
    size_t n = d->in.end < KIND_BYTES ? d->in.end : KIND_BYTES, i;
    bool binary = !kind->letters;

    if (n < kind->length || memcmp(d->in.data, kind->magic, kind->length) != 0)
        return false;
    for (i = kind->length; !binary && i < n; i++)
        binary = d->in.data[i] < '\t' || (d->in.data[i] > '\r' && d->in.data[i] < ' ');
    return binary;
}

/* Do the first bytes allow for one of them?  Only then is it worth while to read on before the text begins. */
static bool
may_be_foreign(const Decompress *d)
{
    size_t i;

    for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (d->in.end >= 4 && memcmp(d->in.data, foreign[i].magic, foreign[i].length < 4 ? foreign[i].length : 4) == 0)
            return true;
    return false;
}

static bool
refuse_foreign(const Decompress *d, Status *st)
{
    size_t i;

    for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (is_foreign(d, &foreign[i]))
        {
            status_fail(st, STATUS_NOT_SUPPORTED, "file looks like %s, which can't be read in this version", foreign[i].what);
            return status_hint(st, "If it is text, say \"compression\": \"none\".");
        }
    return true;
}

static bool
starts_with(const CodecInput *in, size_t at, const char *magic, size_t n)
{
    return in->end - at >= n && memcmp(in->data + at, magic, n) == 0;
}

/* A frame to be skipped, as zstd and LZ4 may both have in front; *n: how long it is. */
static bool
skipped_frame(const CodecInput *in, size_t at, uint64_t *n)
{
    const uint8_t *p = in->data + at;

    if (in->end - at < 8 || (p[0] & 0xf0) != 0x50 || memcmp(p + 1, "\x2a\x4d\x18", 3) != 0)
        return false;
    *n = 8 + (uint64_t) codec_u32(p + 4);
    return true;
}

/* What comes behind frames to be skipped; as far as the buffer shows it, else it is taken for zstd. */
static bool
detect_framed(CodecInput *in, Compression *kind, Status *st)
{
    uint64_t n;
    size_t at = 0;

    while (skipped_frame(in, at, &n))
    {
        *kind = COMPRESSION_ZSTD;
        if (n > CODEC_INPUT_SIZE - 8 - at)
            return true;
        at += (size_t) n;
        if (!codec_need(in, at + 8, st))
            return false;
        if (in->end < at)
            return true;
    }
    if (starts_with(in, at, "\x28\xb5\x2f\xfd", 4))
        *kind = COMPRESSION_ZSTD;
    else if (starts_with(in, at, "\x04\x22\x4d\x18", 4))
        *kind = COMPRESSION_LZ4;
    return true;
}

/* bzip2's magic is text, but not with that of its first block, or of its end, behind it. */
static bool
is_bzip2(const CodecInput *in)
{
    return starts_with(in, 0, "BZh", 3) && in->end >= 10 && in->data[3] >= '1' && in->data[3] <= '9' &&
        (starts_with(in, 4, "\x31\x41\x59\x26\x53\x59", 6) || starts_with(in, 4, "\x17\x72\x45\x38\x50\x90", 6));
}

/* Reads until the magic bytes are there, then names the codec. */
static bool
detect(Decompress *d, Status *st)
{
    CodecInput *in = &d->in;

    if (!codec_need(in, 4, st))
        return false;
    d->kind = COMPRESSION_NONE;
    /* Only where the first bytes allow for it is it worth while to read on before the text begins. */
    if ((starts_with(in, 0, "BZh", 3) || starts_with(in, 0, "\xff\x06\0", 3) || (in->end > 0 && (in->data[0] & 0xf0) == 0x50)) &&
        !codec_need(in, 10, st))
        return false;
    if (may_be_foreign(d) && !codec_need(in, KIND_BYTES, st))
        return false;
    if (starts_with(in, 0, "\x1f\x8b", 2))
        d->kind = COMPRESSION_GZIP;
    else if (is_bzip2(in))
        d->kind = COMPRESSION_BZIP2;
    else if (starts_with(in, 0, "\xff\x06\0\0sNaPpY", 10))
        d->kind = COMPRESSION_SNAPPY;
    else if (starts_with(in, 0, "PK\3\4", 4) || starts_with(in, 0, "PK\5\6", 4))
        d->kind = COMPRESSION_ZIP;
    else if (!detect_framed(in, &d->kind, st))
        return false;
    return d->kind != COMPRESSION_NONE || refuse_foreign(d, st);
}

/* ---- the outside ----------------------------------------------------------- */

bool
decompress_open(Decompress **out, Compression compression, const DecompressLimits *limits, ByteSource stored, Status *st)
{
    Decompress *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return status_out_of_memory(st, sizeof(*d));
    d->in.stored = stored;
    d->in.found = compression == COMPRESSION_AUTO;
    d->in.data = calloc(1, CODEC_INPUT_SIZE);
    d->limits = *limits;
    d->kind = compression;
    if (d->in.data == NULL)
    {
        decompress_close(d);
        return status_out_of_memory(st, CODEC_INPUT_SIZE);
    }
    if (compression == COMPRESSION_AUTO && !detect(d, st))
    {
        decompress_close(d);
        return false;
    }
    d->codec = codecs[d->kind];
    if (d->codec != NULL && !d->codec->open(&d->in, &d->state, st))
    {
        decompress_close(d);
        return false;
    }
    *out = d;
    return true;
}

void
decompress_close(Decompress *d)
{
    if (d == NULL)
        return;
    if (d->codec != NULL)
        d->codec->close(d->state);
    free(d->in.data);
    free(d);
}

ByteSource
decompress_source(Decompress *d)
{
    return (ByteSource) {d->codec == NULL ? read_plain : read_packed, d};
}

Compression
decompress_kind(const Decompress *d)
{
    return d->kind;
}

uint64_t
decompress_stored(const Decompress *d)
{
    return codec_place(&d->in);
}

const char *
compression_name(Compression compression)
{
    return codecs[compression] != NULL ? codecs[compression]->name : compression == COMPRESSION_AUTO ? "auto" : "none";
}

const char *
compression_names(void)
{
    return "auto, none, gzip, zstd, bzip2, lz4, snappy, zip";
}

bool
compression_find(const char *name, Compression *out)
{
    for (size_t i = 0; i < COMPRESSIONS; i++)
        if (strcmp(compression_name((Compression) i), name) == 0)
        {
            *out = (Compression) i;
            return true;
        }
    return false;
}
