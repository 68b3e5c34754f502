/*
 * codec.h: what one way of compressing offers to the byte stage (decompress.h).
 *
 * A codec reads the stored object from a CodecInput and hands out plain bytes.
 * It works in buffers of fixed size, whatever the data claims; what it unpacked
 * before a fault it hands out before it reports the fault.  How much may come
 * out in all is the stage's to watch.
 *
 * Add a codec: write its Codec, add it to the table in decompress.c.
 */
#ifndef KAIREON_CODEC_H
#define KAIREON_CODEC_H

#include "core/byte_source.h"

/* The stored object, through one buffer. */
typedef struct CodecInput
{
    ByteSource stored;
    uint8_t *data;
    size_t at, end;     /* unused input: [at, end) */
    bool at_end;        /* nothing comes behind it */
    bool found;         /* the codec was found out by the first bytes, nobody asked for it */
    uint64_t read;      /* bytes taken from `stored` */
    uint64_t given;     /* bytes of content handed out; of an archive, of the member at hand */
} CodecInput;

#define CODEC_INPUT_SIZE 65536

/* Reads more behind what is there, if the buffer has room and there is more. */
STATUS_CHECK bool codec_fill(CodecInput *in, Status *st);

/* Sees to it that `n` bytes (at most CODEC_INPUT_SIZE) are there; fewer only at the end. */
STATUS_CHECK bool codec_need(CodecInput *in, size_t n, Status *st);

/* Passes over `n` bytes; *whole: so many were there. */
STATUS_CHECK bool codec_skip(CodecInput *in, uint64_t n, bool *whole, Status *st);

/*
 * Between two streams that are one content: passes over zero bytes, which are
 * padding, when there was `any` before.  *more is false at the end.  Fails when
 * what comes does not begin with `first`.
 */
STATUS_CHECK bool codec_next_stream(CodecInput *in, const char *name, uint8_t first, bool any, bool *more, Status *st);

static inline size_t codec_left(const CodecInput *in) { return in->end - in->at; }
static inline const uint8_t *codec_bytes(const CodecInput *in) { return in->data + in->at; }

/* Where in the stored object reading is. */
static inline uint64_t codec_place(const CodecInput *in) { return in->read - codec_left(in); }

static inline uint32_t codec_u16(const uint8_t *p) { return p[0] | (uint32_t) p[1] << 8; }
static inline uint32_t codec_u32(const uint8_t *p) { return codec_u16(p) | codec_u16(p + 2) << 16; }
static inline uint64_t codec_u64(const uint8_t *p) { return codec_u32(p) | (uint64_t) codec_u32(p + 4) << 32; }

/* "<name> data <what>", 22P04, with its place.  Returns false. */
bool codec_fail(const CodecInput *in, const char *name, const char *what, Status *st);

/* The same for data that is corrupt, with what the library says, a short constant; NULL: nothing. */
bool codec_corrupt(const CodecInput *in, const char *name, const char *reason, Status *st);

/* A member of an archive, as it begins. */
typedef struct CodecMember
{
    const char *name;   /* valid UTF-8 without control characters, only to be shown; NULL: there is no member */
    bool skip;          /* a folder or a hidden one: nobody wants its content */
} CodecMember;

typedef struct Codec
{
    const char *name;   /* as option "compression" has it */

    /* `in` outlives the state.  Fails with 53200. */
    bool (*open)(CodecInput *in, void **state, Status *st);
    void (*close)(void *state);     /* NULL is allowed */

    /* As ByteSource.read; of an archive, to the end of the member. *got may be more than 0 when it fails. */
    bool (*read)(void *state, uint8_t *out, size_t size, size_t *got, Status *st);

    /*
     * NULL: not an archive.  Begins the next member, the one before having been
     * read to its end; *more is false behind the last.
     */
    bool (*next)(void *state, CodecMember *member, bool *more, Status *st);
} Codec;

extern const Codec codec_gzip, codec_zstd, codec_bzip2, codec_lz4, codec_snappy, codec_zip;

#endif
