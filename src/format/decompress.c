/*
 * decompress.c: see decompress.h.
 *
 * One input buffer, filled from the stored object.  For AUTO its first bytes
 * decide and then stay in it as the first input.  Plain data is read directly
 * into the caller's memory once that first part has been handed out.
 *
 * What was unpacked before a fault is handed out before the fault is reported,
 * so that a reader knows the line it had come to.  zlib says how much that is;
 * zstd forgets it, so it is given one block at a time.
 */
#include "format/decompress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define INPUT_SIZE 65536
/* A stage reads gzip members or plain bytes; 15 bits is the largest window, +16 asks for gzip. */
#define GZIP_WINDOW (15 + 16)
/* The largest window a zstd frame may ask for: 128 MB, below the reader's usual memory limit. */
#define ZSTD_WINDOW_LOG 27
/* What zstd wants first: the magic number and a byte that says how long the frame's header is. */
#define ZSTD_FIRST 5
/* Behind a block's bytes it would like the header of the next one too. */
#define ZSTD_BLOCK_HEADER 3

struct Decompress
{
    ByteSource stored;
    Compression kind;
    uint8_t *input;
    size_t at, end;         /* unused input: [at, end) */
    bool stored_end;
    uint64_t stored_read;   /* bytes taken from `stored` */
    uint64_t plain;         /* bytes given out */
    bool zlib_open, in_member, finished;
    z_stream zlib;
    ZSTD_DCtx *zstd;
    size_t zstd_next;       /* bytes to the end of the block that is being read */
    Status failure;         /* to be reported when what came before it has been handed out */
};

static bool
fill(Decompress *d, Status *st)
{
    size_t got;

    if (d->stored_end)
        return true;
    if (d->at == d->end)
        d->at = d->end = 0;
    if (!byte_source_read(d->stored, d->input + d->end, INPUT_SIZE - d->end, &got, st))
        return false;
    d->stored_end = got == 0;
    d->end += got;
    d->stored_read += got;
    return true;
}

/* What a library says, in our words. */
static bool
fail(Decompress *d, const char *form, const char *what, Status *st)
{
    status_fail(st, STATUS_BAD_FORMAT, "%s data %s", form, what);
    st->offset = d->plain;
    return status_detail(st, "At byte %" PRIu64 " of the compressed object, after %" PRIu64 " bytes of content.",
                         decompress_stored(d), d->plain);
}

/*
 * Between two members: skips padding, and starts the next one or ends.
 * *more says which.
 */
static bool
next_member(Decompress *d, bool *more, Status *st)
{
    for (;;)
    {
        while (d->at < d->end && d->input[d->at] == 0 && d->plain + d->zlib.total_in > 0)
            d->at++;
        if (d->at < d->end || d->stored_end)
            break;
        if (!fill(d, st))
            return false;
    }
    *more = d->at < d->end;
    if (!*more)
        return true;
    if (d->input[d->at] != 0x1f)
        return fail(d, "gzip", d->zlib.total_in > 0 ? "is followed by something else" : "is missing", st);
    if (inflateReset(&d->zlib) != Z_OK)
        return fail(d, "gzip", "can't be read", st);
    d->in_member = true;
    return true;
}

static bool
inflate_some(Decompress *d, uint8_t *out, size_t size, size_t *got, Status *st)
{
    int result;

    d->zlib.next_in = d->input + d->at;
    d->zlib.avail_in = (uInt) (d->end - d->at);
    d->zlib.next_out = out;
    d->zlib.avail_out = size > (1U << 30) ? 1U << 30 : (uInt) size;
    size = d->zlib.avail_out;
    result = inflate(&d->zlib, Z_NO_FLUSH);
    d->at = d->end - d->zlib.avail_in;
    *got = size - d->zlib.avail_out;
    d->plain += *got;
    switch (result)
    {
        case Z_STREAM_END:
            d->in_member = false;
            return true;
        case Z_OK:
        case Z_BUF_ERROR:
            return true;
        case Z_MEM_ERROR:
            return status_out_of_memory(st, 0);
        case Z_NEED_DICT:
            return fail(d, "gzip", "needs a dictionary", st);
        default:
            /* zlib's reason is a short constant such as "invalid block type". */
            fail(d, "gzip", "is corrupt", st);
            if (d->zlib.msg != NULL)
                status_hint(st, "The decompressor says: %s.", d->zlib.msg);
            return false;
    }
}

static bool
read_gzip(Decompress *d, uint8_t *out, size_t size, size_t *got, Status *st)
{
    bool more;

    *got = 0;
    while (*got == 0 && !d->finished)
    {
        if (!d->in_member)
        {
            if (!next_member(d, &more, st))
                return false;
            if (!more)
                d->finished = true;
            continue;
        }
        if (d->at == d->end)
        {
            if (!fill(d, st))
                return false;
            if (d->at == d->end)
            {
                /* zlib may still hold output that needed no more input. */
                if (!inflate_some(d, out, size, got, st))
                    return false;
                if (*got == 0 && d->in_member)
                    return fail(d, "gzip", "ends early", st);
                continue;
            }
        }
        if (!inflate_some(d, out, size, got, st))
            return false;
    }
    return true;
}

static bool
read_plain(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Decompress *d = context;

    if (d->at < d->end)
    {
        *got = d->end - d->at < size ? d->end - d->at : size;
        memcpy(out, d->input + d->at, *got);
        d->at += *got;
        d->plain += *got;
        return true;
    }
    *got = 0;
    if (d->stored_end)
        return true;
    if (!byte_source_read(d->stored, out, size, got, st))
        return false;
    d->stored_end = *got == 0;
    d->stored_read += *got;
    d->plain += *got;
    return true;
}

/* ---- zstd ---------------------------------------------------------------- */

/* What the library says, in our words. */
static bool
zstd_error(Decompress *d, size_t result, bool at_frame, Status *st)
{
    switch (ZSTD_getErrorCode(result))
    {
        case ZSTD_error_memory_allocation:
            return status_out_of_memory(st, 0);
        case ZSTD_error_frameParameter_windowTooLarge:
            fail(d, "zstd", "needs more memory than is allowed", st);
            memcpy(st->sqlstate, STATUS_LIMIT, sizeof(st->sqlstate));
            return status_hint(st, "Compress it with a window of at most %d MB (no --long above %d).",
                               1 << (ZSTD_WINDOW_LOG - 20), ZSTD_WINDOW_LOG);
        case ZSTD_error_dictionary_wrong:
            return fail(d, "zstd", "needs a dictionary", st);
        case ZSTD_error_prefix_unknown:
            if (at_frame)
                return fail(d, "zstd", d->plain > 0 || d->stored_read > d->end ? "is followed by something else"
                                 : "is missing", st);
            break;
        default:
            break;
    }
    fail(d, "zstd", "is corrupt", st);
    return status_hint(st, "The decompressor says: %s.", ZSTD_getErrorName(result));
}

/* Frames one behind the other; the library passes over those that are to be skipped. */
static bool
read_zstd(Decompress *d, uint8_t *out, size_t size, size_t *got, Status *st)
{
    *got = 0;
    while (*got == 0 && !d->finished)
    {
        ZSTD_outBuffer to = {out, size, 0};
        ZSTD_inBuffer from;
        bool at_frame = !d->in_member;
        size_t result, before;

        if (d->at == d->end && !fill(d, st))
            return false;
        if (d->at == d->end && at_frame)
        {
            d->finished = true;
            break;
        }
        from = (ZSTD_inBuffer) {d->input + d->at, d->end - d->at < d->zstd_next ? d->end - d->at : d->zstd_next, 0};
        before = d->at;
        result = ZSTD_decompressStream(d->zstd, &to, &from);
        d->at += from.pos;
        d->plain += to.pos;
        *got = to.pos;
        if (ZSTD_isError(result))
            return zstd_error(d, result, at_frame, st);
        d->in_member = result != 0;
        d->zstd_next = !d->in_member ? ZSTD_FIRST : result > ZSTD_BLOCK_HEADER ? result - ZSTD_BLOCK_HEADER : result;
        if (d->in_member && *got == 0 && d->at == before && d->stored_end)
            return fail(d, "zstd", "ends early", st);
    }
    return true;
}

static bool
open_zstd(Decompress *d, Status *st)
{
    d->zstd = ZSTD_createDCtx();
    if (d->zstd == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
        return status_out_of_memory(st, 0);
    d->zstd_next = ZSTD_FIRST;
    return true;
}

static bool
open_gzip(Decompress *d, Status *st)
{
    if (inflateInit2(&d->zlib, GZIP_WINDOW) != Z_OK)
        return status_out_of_memory(st, 0);
    d->zlib_open = true;
    return true;
}

/* ---- the outside ----------------------------------------------------------- */

static bool
read_packed(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Decompress *d = context;

    if (d->failure.sqlstate[0] != '\0')
    {
        *st = d->failure;
        return false;
    }
    if (d->kind == COMPRESSION_GZIP ? read_gzip(d, out, size, got, st) : read_zstd(d, out, size, got, st))
        return true;
    if (*got == 0)
        return false;
    d->failure = *st;
    status_clear(st);
    return true;
}

/* A zstd frame, or one to be skipped. */
static bool
zstd_magic(const uint8_t *in)
{
    return (in[0] == 0x28 && in[1] == 0xb5 && in[2] == 0x2f && in[3] == 0xfd) ||
        ((in[0] & 0xf0) == 0x50 && in[1] == 0x2a && in[2] == 0x4d && in[3] == 0x18);
}

/* Bytes to tell a file's kind by. */
#define KIND_BYTES 64

/* Files that are no text, and that nothing here can read. */
static const struct Foreign { const char *magic; uint8_t length; bool letters; const char *what; } foreign[] = {
    {"PK\x03\x04", 4, false, "a zip archive, or an .xlsx or .ods workbook"},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8, false, "an old Office file, perhaps an .xls workbook"},
    {"BZh", 3, true, "bzip2 data"},
    {"\xFD" "7zXZ\0", 6, false, "xz data"},
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
    size_t n = d->end < KIND_BYTES ? d->end : KIND_BYTES, i;
    bool binary = !kind->letters;

    if (n < kind->length || memcmp(d->input, kind->magic, kind->length) != 0)
        return false;
    for (i = kind->length; !binary && i < n; i++)
        binary = d->input[i] < '\t' || (d->input[i] > '\r' && d->input[i] < ' ');
    return binary;
}

/* Do the first bytes allow for one of them?  Only then is it worth while to read on before the text begins. */
static bool
may_be_foreign(const Decompress *d)
{
    size_t i;

    for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (d->end >= 4 && memcmp(d->input, foreign[i].magic, foreign[i].length < 4 ? foreign[i].length : 4) == 0)
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

/* Reads until the magic bytes are there, then names the codec. */
static bool
detect(Decompress *d, Status *st)
{
    while ((d->end < 4 || (d->end < KIND_BYTES && may_be_foreign(d))) && !d->stored_end)
        if (!fill(d, st))
            return false;
    if (d->end >= 2 && d->input[0] == 0x1f && d->input[1] == 0x8b)
        d->kind = COMPRESSION_GZIP;
    else
        d->kind = d->end >= 4 && zstd_magic(d->input) ? COMPRESSION_ZSTD : COMPRESSION_NONE;
    return d->kind != COMPRESSION_NONE || refuse_foreign(d, st);
}

bool
decompress_open(Decompress **out, Compression compression, ByteSource stored, Status *st)
{
    Decompress *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return status_out_of_memory(st, sizeof(*d));
    d->stored = stored;
    d->kind = compression;
    d->input = calloc(1, INPUT_SIZE);
    if (d->input == NULL)
    {
        decompress_close(d);
        return status_out_of_memory(st, INPUT_SIZE);
    }
    if (compression == COMPRESSION_AUTO && !detect(d, st))
    {
        decompress_close(d);
        return false;
    }
    if ((d->kind == COMPRESSION_GZIP && !open_gzip(d, st)) || (d->kind == COMPRESSION_ZSTD && !open_zstd(d, st)))
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
    if (d->zlib_open)
        inflateEnd(&d->zlib);
    ZSTD_freeDCtx(d->zstd);
    free(d->input);
    free(d);
}

ByteSource
decompress_source(Decompress *d)
{
    return (ByteSource) {d->kind == COMPRESSION_NONE ? read_plain : read_packed, d};
}

Compression
decompress_kind(const Decompress *d)
{
    return d->kind;
}

uint64_t
decompress_stored(const Decompress *d)
{
    return d->stored_read - (d->end - d->at);
}

static const char *const names[] = {"auto", "none", "gzip", "zstd"};

const char *
compression_name(Compression compression)
{
    return names[compression];
}

bool
compression_find(const char *name, Compression *out)
{
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
        {
            *out = (Compression) i;
            return true;
        }
    return false;
}
