/*
 * codec_zip.c: zip archives, read from front to back; see codec.h.
 *
 * A member is a local header, its bytes (stored, or deflated: zlib unpacks
 * them) and, where the header did not know them yet, a descriptor with its
 * checksum and sizes.  What the header or the descriptor says must be so, or
 * the member is corrupt; as members are read where they lie, none can share
 * bytes with another.  Behind the members comes the archive's directory: it
 * must be whole and list the same members, else the file was cut or holds
 * members that were taken out of it.  Both are told apart by a sum over all
 * members, so memory does not depend on their number.  ZIP64 is understood;
 * encryption, other methods and archives of several files are refused.
 */
#include "format/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "format/convert.h"

#define SIGN_MEMBER 0x04034b50U
#define SIGN_DESCRIPTOR 0x08074b50U
#define SIGN_ENTRY 0x02014b50U
#define SIGN_SIGNATURE 0x05054b50U
#define SIGN_END64 0x06064b50U
#define SIGN_LOCATOR64 0x07064b50U
#define SIGN_END 0x06054b50U

#define MEMBER_BYTES 30
#define ENTRY_BYTES 46
#define END_BYTES 22
#define LOCATOR64_BYTES 20
#define DESCRIPTOR_MAX 24

#define FLAG_ENCRYPTED 0x0001
#define FLAG_DESCRIPTOR 0x0008
#define FLAG_PATCHES 0x0020
#define FLAG_HEADERS_ENCRYPTED 0x2000

#define METHOD_STORED 0
#define METHOD_DEFLATED 8

#define EXTRA_ZIP64 1
#define IN_EXTRA 0xffffffffU
#define NAME_MAX_BYTES 1000

/* What headers say of a member. */
typedef struct Sizes { uint64_t packed, plain; uint32_t crc; } Sizes;

typedef struct Zip
{
    CodecInput *in;
    z_stream zlib;
    char name[NAME_MAX_BYTES + 1];  /* of the member at hand */
    uint32_t flags, method;
    Sizes said, seen;
    bool data_end, in_member, finished;
    uint64_t members, listed;       /* how many there were, and are in the directory */
    uint64_t sum, listed_sum;
} Zip;

static bool
zip_open(CodecInput *in, void **state, Status *st)
{
    Zip *z = calloc(1, sizeof(*z));

    if (z == NULL)
        return status_out_of_memory(st, sizeof(*z));
    z->in = in;
    if (inflateInit2(&z->zlib, -15) != Z_OK)
    {
        free(z);
        return status_out_of_memory(st, 0);
    }
    *state = z;
    return true;
}

static void
zip_close(void *state)
{
    Zip *z = state;

    if (z != NULL)
        inflateEnd(&z->zlib);
    free(z);
}

static bool
cut_off(const Zip *z, Status *st)
{
    return codec_fail(z->in, "zip", "ends early", st);
}

/* At least n bytes, or the archive is cut. */
static bool
demand(Zip *z, size_t n, Status *st)
{
    return codec_need(z->in, n, st) && (codec_left(z->in) >= n || cut_off(z, st));
}

static bool
pass(Zip *z, uint64_t n, Status *st)
{
    bool whole;

    return codec_skip(z->in, n, &whole, st) && (whole || cut_off(z, st));
}

/* A member's part of the sum; the order of members does not matter. */
static uint64_t
digest(const Sizes *s)
{
    uint64_t h = s->packed * 0x9e3779b97f4a7c15U ^ (s->plain + s->crc) * 0xbf58476d1ce4e5b9U ^ (uint64_t) s->crc << 32;

    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9U;
    return h ^ h >> 31;
}

/* ---- headers ------------------------------------------------------------- */

/* Passes over `n` bytes of extra fields; sizes that did not fit the header are in one of them. */
static bool
read_extra(Zip *z, size_t n, Sizes *sizes, Status *st)
{
    while (n >= 4)
    {
        uint32_t kind, size;
        size_t at = 0;

        if (!demand(z, 4, st))
            return false;
        kind = codec_u16(codec_bytes(z->in));
        size = codec_u16(codec_bytes(z->in) + 2);
        z->in->at += 4;
        n -= 4;
        if (size > n)
            return codec_corrupt(z->in, "zip", "an extra field is longer than all of them", st);
        n -= size;
        if (kind == EXTRA_ZIP64)
        {
            if (!demand(z, size < 16 ? size : 16, st))
                return false;
            if (sizes->plain == IN_EXTRA && size >= 8)
                sizes->plain = codec_u64(codec_bytes(z->in)), at = 8;
            if (sizes->packed == IN_EXTRA && size >= at + 8)
                sizes->packed = codec_u64(codec_bytes(z->in) + at);
        }
        if (!pass(z, size, st))
            return false;
    }
    return pass(z, n, st);
}

/* The member's name; what can't be shown becomes a question mark. */
static bool
read_name(Zip *z, size_t n, Status *st)
{
    bool valid;

    if (n > NAME_MAX_BYTES)
    {
        codec_fail(z->in, "zip", "has a member whose name is too long", st);
        memcpy(st->sqlstate, STATUS_LIMIT, sizeof(st->sqlstate));
        return status_hint(st, "At most %d bytes are allowed.", NAME_MAX_BYTES);
    }
    if (!demand(z, n, st))
        return false;
    memcpy(z->name, codec_bytes(z->in), n);
    z->name[n] = '\0';
    z->in->at += n;
    valid = convert_utf8_valid(z->name, n);
    for (size_t i = 0; i < n; i++)
    {
        unsigned char c = (unsigned char) z->name[i];

        if (c < ' ' || c == 0x7f || (c >= 0x80 && !valid))
            z->name[i] = '?';
    }
    return true;
}

static bool
is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* A folder, or what a file manager hides there.  "." and ".." hide nothing. */
static bool
is_unwanted(const char *name)
{
    size_t n = strlen(name), i;

    if ((n > 0 && is_slash(name[n - 1])) || (strncmp(name, "__MACOSX", 8) == 0 && is_slash(name[8])))
        return true;
    for (i = 0; i < n; i++)
        if (name[i] == '.' && (i == 0 || is_slash(name[i - 1])) && name[i + 1] != '\0' && !is_slash(name[i + 1]) &&
            !(name[i + 1] == '.' && (name[i + 2] == '\0' || is_slash(name[i + 2]))))
            return true;
    return false;
}

static bool
begins(const char *name, const char *start)
{
    return strncmp(name, start, strlen(start)) == 0;
}

/* Workbooks and documents are zip archives; their parts are nothing that anybody wants as rows. */
static bool
is_document(const char *name)
{
    return strcmp(name, "[Content_Types].xml") == 0 || strcmp(name, "mimetype") == 0 || begins(name, "_rels/") ||
        begins(name, "docProps/") || begins(name, "xl/") || begins(name, "word/") || begins(name, "META-INF/");
}

static bool
refuse_member(const Zip *z, const char *what, const char *hint, Status *st)
{
    codec_fail(z->in, "zip", "can't be read", st);
    memcpy(st->sqlstate, STATUS_NOT_SUPPORTED, sizeof(st->sqlstate));
    snprintf(st->message, sizeof(st->message), "member \"%.400s\" of the archive %s, which can't be read in this version", z->name, what);
    return status_hint(st, "%s", hint);
}

static const char *
method_name(uint32_t method)
{
    static const struct { uint32_t method; const char *name; } methods[] = {
        {1, "shrink"}, {6, "implode"}, {9, "deflate64"}, {12, "bzip2"}, {14, "LZMA"}, {93, "zstd"}, {95, "xz"},
        {98, "PPMd"},
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (methods[i].method == method)
            return methods[i].name;
    return NULL;
}

/* Refuses what can't be read; unwanted members too, since what lies behind them is found by reading them. */
static bool
check_member(const Zip *z, Status *st)
{
    char what[100];

    if ((z->flags & (FLAG_ENCRYPTED | FLAG_HEADERS_ENCRYPTED)) != 0)
        return refuse_member(z, "is encrypted", "Write the archive without a password.", st);
    if ((z->flags & FLAG_PATCHES) != 0)
        return refuse_member(z, "is a patch of another file", "Write the archive with the whole files.", st);
    if (z->method == METHOD_STORED || z->method == METHOD_DEFLATED)
        return true;
    if (method_name(z->method) != NULL)
        snprintf(what, sizeof(what), "is compressed by %s", method_name(z->method));
    else
        snprintf(what, sizeof(what), "is compressed by method %u", z->method);
    return refuse_member(z, what, "Write the archive with its usual method, deflate, or without compression.", st);
}

static bool
begin_member(Zip *z, Status *st)
{
    const uint8_t *h;
    size_t name, extra;

    if (!demand(z, MEMBER_BYTES, st))
        return false;
    h = codec_bytes(z->in);
    z->flags = codec_u16(h + 6);
    z->method = codec_u16(h + 8);
    z->said = (Sizes) {codec_u32(h + 18), codec_u32(h + 22), codec_u32(h + 14)};
    z->seen = (Sizes) {0, 0, (uint32_t) crc32(0, NULL, 0)};
    name = codec_u16(h + 26);
    extra = codec_u16(h + 28);
    z->in->at += MEMBER_BYTES;
    if (!read_name(z, name, st) || !read_extra(z, extra, &z->said, st))
        return false;
    if (z->in->found && z->members == 0 && is_document(z->name))
        return status_fail(st, STATUS_NOT_SUPPORTED, "file looks like an .xlsx or .ods workbook or another document, which can't be read in this version") ||
            status_hint(st, "If it is an archive of files with rows, say \"compression\": \"zip\".");
    if (!check_member(z, st))
        return false;
    if (inflateReset(&z->zlib) != Z_OK)
        return codec_fail(z->in, "zip", "can't be read", st);
    z->in->given = 0;
    z->in_member = true;
    z->data_end = false;
    z->members++;
    return true;
}

/* ---- the directory ------------------------------------------------------- */

static bool
read_entry(Zip *z, Status *st)
{
    const uint8_t *h;
    Sizes sizes;
    uint32_t name, extra, comment;

    if (!demand(z, ENTRY_BYTES, st))
        return false;
    h = codec_bytes(z->in);
    sizes = (Sizes) {codec_u32(h + 20), codec_u32(h + 24), codec_u32(h + 16)};
    name = codec_u16(h + 28);
    extra = codec_u16(h + 30);
    comment = codec_u16(h + 32);
    z->in->at += ENTRY_BYTES;
    if (!pass(z, name, st) || !read_extra(z, extra, &sizes, st) || !pass(z, comment, st))
        return false;
    z->listed++;
    z->listed_sum += digest(&sizes);
    return true;
}

/* The last record; nothing may come behind it. */
static bool
read_end(Zip *z, Status *st)
{
    const uint8_t *h;
    uint32_t disk, entries, comment;

    if (!demand(z, END_BYTES, st))
        return false;
    h = codec_bytes(z->in);
    disk = codec_u16(h + 4);
    entries = codec_u16(h + 10);
    comment = codec_u16(h + 20);
    z->in->at += END_BYTES;
    if (disk != 0 && disk != 0xffff)
        return status_fail(st, STATUS_NOT_SUPPORTED, "zip archive is one of several parts, which can't be read in this version");
    if (z->members != z->listed || z->sum != z->listed_sum || (entries != (z->members & 0xffff) && entries != 0xffff))
    {
        codec_fail(z->in, "zip", "is corrupt", st);
        return status_hint(st, "The archive's directory lists other members than the archive holds.");
    }
    if (!pass(z, comment, st) || !codec_need(z->in, 1, st))
        return false;
    z->finished = true;
    return codec_left(z->in) == 0 || codec_fail(z->in, "zip", "is followed by something else", st);
}

/* Behind the members. */
static bool
read_directory(Zip *z, Status *st)
{
    z->in->given = 0;
    while (!z->finished)
    {
        uint32_t sign;
        bool fine;

        if (!demand(z, 4, st))
            return false;
        sign = codec_u32(codec_bytes(z->in));
        if (sign == SIGN_ENTRY)
            fine = read_entry(z, st);
        else if (sign == SIGN_END)
            fine = read_end(z, st);
        else if (sign == SIGN_END64)
            fine = demand(z, 12, st) && pass(z, codec_u64(codec_bytes(z->in) + 4), st) && pass(z, 12, st);
        else if (sign == SIGN_LOCATOR64)
            fine = pass(z, LOCATOR64_BYTES, st);
        else if (sign == SIGN_SIGNATURE)
            fine = demand(z, 6, st) && pass(z, 6 + codec_u16(codec_bytes(z->in) + 4), st);
        else
            return codec_fail(z->in, "zip", z->members == 0 && z->listed == 0 ? "is missing" : "is corrupt", st);
        if (!fine)
            return false;
    }
    return true;
}

static bool
zip_next(void *state, CodecMember *member, bool *more, Status *st)
{
    Zip *z = state;

    *more = false;
    if (z->finished)
        return true;
    if (!codec_need(z->in, 4, st))
        return false;
    if (codec_left(z->in) == 0 && codec_place(z->in) == 0)
    {
        z->finished = true;
        return true;
    }
    if (codec_left(z->in) < 4 || codec_u32(codec_bytes(z->in)) != SIGN_MEMBER)
        return read_directory(z, st);
    *more = true;
    if (!begin_member(z, st))
        return false;
    *member = (CodecMember) {z->name, is_unwanted(z->name)};
    return true;
}

/* ---- content ------------------------------------------------------------- */

/* Of one of four forms: with a sign or without, sizes of eight bytes or of four; it must be one that is true. */
static bool
read_descriptor(Zip *z, Status *st)
{
    const uint8_t *p;
    size_t left;

    if (!codec_need(z->in, DESCRIPTOR_MAX, st))
        return false;
    p = codec_bytes(z->in);
    left = codec_left(z->in);
    for (int form = 0; form < 4; form++)
    {
        size_t sign = form < 2 ? 4 : 0, width = form % 2 == 0 ? 8 : 4;

        if (left < sign + 4 + 2 * width || (sign > 0 && codec_u32(p) != SIGN_DESCRIPTOR) || codec_u32(p + sign) != z->seen.crc)
            continue;
        if (width == 8 ? codec_u64(p + sign + 4) == z->seen.packed && codec_u64(p + sign + 12) == z->seen.plain
            : codec_u32(p + sign + 4) == (uint32_t) z->seen.packed && codec_u32(p + sign + 8) == (uint32_t) z->seen.plain)
        {
            z->in->at += sign + 4 + 2 * width;
            return true;
        }
    }
    if (left < DESCRIPTOR_MAX - 8)
        return cut_off(z, st);
    /* No size in front, and not that of an empty member: where it ends can't be known. */
    if (z->method == METHOD_STORED && z->said.packed == 0)
        return refuse_member(z, "is stored without its size in front", "Write the archive to a file, not through a pipe, or with compression.", st);
    return codec_corrupt(z->in, "zip", "a member has another size or checksum than it should", st);
}

/* What was read is what was said. */
static bool
end_member(Zip *z, Status *st)
{
    if ((z->flags & FLAG_DESCRIPTOR) != 0)
    {
        if (!read_descriptor(z, st))
            return false;
    }
    else if (z->seen.crc != z->said.crc)
        return codec_corrupt(z->in, "zip", "a member has another checksum than it should", st);
    else if (z->seen.plain != z->said.plain || z->seen.packed != z->said.packed)
        return codec_corrupt(z->in, "zip", "a member has another size than it should", st);
    z->sum += digest(&z->seen);
    z->in_member = false;
    return true;
}

/* Sizes are known before, unless a descriptor comes behind. */
static bool
is_bounded(const Zip *z)
{
    return (z->flags & FLAG_DESCRIPTOR) == 0 || z->method == METHOD_STORED;
}

/* The next bytes of the input that are the member's. */
static size_t
packed_left(const Zip *z)
{
    uint64_t left = is_bounded(z) ? z->said.packed - z->seen.packed : UINT64_MAX;

    return codec_left(z->in) < left ? codec_left(z->in) : (size_t) left;
}

static bool
copy_some(Zip *z, uint8_t *out, size_t size, size_t *got)
{
    if (size > 1U << 30)
        size = 1U << 30;
    *got = packed_left(z) < size ? packed_left(z) : size;
    memcpy(out, codec_bytes(z->in), *got);
    z->in->at += *got;
    z->seen.packed += *got;
    return true;
}

static bool
inflate_some(Zip *z, uint8_t *out, size_t size, size_t *got, Status *st)
{
    size_t n = packed_left(z);
    int result;

    if (size > 1U << 30)
        size = 1U << 30;
    z->zlib.next_in = z->in->data + z->in->at;
    z->zlib.avail_in = (uInt) n;
    z->zlib.next_out = out;
    z->zlib.avail_out = (uInt) size;
    result = inflate(&z->zlib, Z_NO_FLUSH);
    z->in->at += n - z->zlib.avail_in;
    z->seen.packed += n - z->zlib.avail_in;
    *got = size - z->zlib.avail_out;
    z->data_end = result == Z_STREAM_END;
    if (result == Z_STREAM_END || result == Z_OK)
        return true;
    if (result == Z_MEM_ERROR)
        return status_out_of_memory(st, 0);
    if (result == Z_BUF_ERROR)
        return !(is_bounded(z) && z->seen.packed == z->said.packed) ||
            codec_corrupt(z->in, "zip", "a member's content does not end where it should", st);
    return codec_corrupt(z->in, "zip", z->zlib.msg, st);
}

static bool
zip_read(void *state, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Zip *z = state;
    bool fine = true;

    *got = 0;
    while (*got == 0 && fine && z->in_member)
    {
        if (z->data_end || (z->method == METHOD_STORED && z->seen.packed == z->said.packed))
            return end_member(z, st);
        if (packed_left(z) == 0 && !codec_fill(z->in, st))
            return false;
        /* At the end zlib may still hold output that needed no more input. */
        fine = z->method == METHOD_STORED ? copy_some(z, out, size, got) : inflate_some(z, out, size, got, st);
        z->seen.crc = (uint32_t) crc32(z->seen.crc, out, (uInt) *got);
        z->seen.plain += *got;
        z->in->given += *got;
        if (fine && *got == 0 && !z->data_end && z->in->at_end && codec_left(z->in) == 0)
            return cut_off(z, st);
    }
    return fine;
}

const Codec codec_zip = {"zip", zip_open, zip_close, zip_read, zip_next};
