/*
 * decompress.h: the byte stage between an object and its format.
 *
 * A stage reads the object as stored through a ByteSource and offers the
 * plain bytes through another.  It works in fixed buffers, whatever the
 * compressed data claims; limits say how much may come out of it, those on
 * fields, rows and row counts are the format's.  Codecs (codec.h): none; gzip;
 * zstd (a window of at most 128 MB); bzip2; LZ4 frames; snappy's framing format;
 * and zip, whose members are one content each.  Of the others several streams
 * one behind the other are one content.
 */
#ifndef KAIREON_DECOMPRESS_H
#define KAIREON_DECOMPRESS_H

#include "core/byte_source.h"

typedef enum Compression
{
    COMPRESSION_AUTO = 0, COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD, COMPRESSION_BZIP2, COMPRESSION_LZ4,
    COMPRESSION_SNAPPY, COMPRESSION_ZIP
} Compression;

/* How much may come out of a compressed object; 0: no limit. */
typedef struct DecompressLimits
{
    uint64_t bytes;     /* in all */
    uint64_t ratio;     /* bytes for each stored one, looked at behind the first DECOMPRESS_FREE */
} DecompressLimits;

/* Small objects may be as empty of meaning as they like. */
#define DECOMPRESS_FREE (UINT64_C(256) << 20)

typedef struct Decompress Decompress;

/*
 * Makes a stage over `stored`, which must outlive it.  AUTO looks at the
 * object's first bytes.  Fails with 53200, with 0A000 where AUTO sees a kind of
 * file that can't be read, or as `stored` does.
 */
STATUS_CHECK bool decompress_open(Decompress **out, Compression compression, const DecompressLimits *limits, ByteSource stored, Status *st);

void decompress_close(Decompress *d);   /* NULL is allowed */

/*
 * Begins the next content; needed before the first byte.  *more is false behind
 * the last.  What was not read of the one before is passed over, and checked.
 * Every object has one content; an archive has one for each member but folders
 * and hidden ones, and an empty one when it has no member.  *name is the
 * member's, only to be shown: valid UTF-8, as long as that content; NULL: of no
 * archive's member.  Fails as a read does, and with 0A000 for a member that
 * can't be read.
 */
STATUS_CHECK bool decompress_next(Decompress *d, const char **name, bool *more, Status *st);

/*
 * The plain bytes of the content that has begun.  A read fails with 22P04 when
 * the compressed data is corrupt or ends early, with 54000 when it asks for more
 * memory than is allowed or a limit is passed; all bytes before the fault were given before.  The status' offset is
 * that of the content, the detail names the one in the stored object.
 */
ByteSource decompress_source(Decompress *d);

/* What was found or chosen: never AUTO. */
Compression decompress_kind(const Decompress *d);

/* Bytes of the stored object used so far. */
uint64_t decompress_stored(const Decompress *d);

/* "auto", "none", "gzip"... */
const char *compression_name(Compression compression);

/* The names of all, "auto, none, ...", for hints. */
const char *compression_names(void);

/* The compression of this name, in *out; false when there is none. */
bool compression_find(const char *name, Compression *out);

#endif
