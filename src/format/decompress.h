/*
 * decompress.h: the byte stage between an object and its format.
 *
 * A stage reads the object as stored through a ByteSource and offers the
 * plain bytes through another.  It works in fixed buffers, whatever the
 * compressed data claims, so that a small file that unpacks to a huge one
 * costs time but no memory; limits on fields, rows and row counts are the
 * format's.  Codecs: none; gzip (several members, as `cat a.gz b.gz` makes
 * them; zero bytes behind the last are padding, anything else is an error);
 * zstd (several frames; a window of at most 128 MB).
 */
#ifndef KAIREON_DECOMPRESS_H
#define KAIREON_DECOMPRESS_H

#include "core/byte_source.h"

typedef enum Compression { COMPRESSION_AUTO = 0, COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD } Compression;

typedef struct Decompress Decompress;

/*
 * Makes a stage over `stored`, which must outlive it.  AUTO looks at the
 * object's first bytes.  Fails with 53200 or as `stored` does.
 */
STATUS_CHECK bool decompress_open(Decompress **out, Compression compression, ByteSource stored, Status *st);

void decompress_close(Decompress *d);   /* NULL is allowed */

/*
 * The plain bytes.  A read fails with 22P04 when the compressed data is
 * corrupt or ends early, with 54000 when it asks for more memory than is
 * allowed; all bytes before the fault were given before.  The status' offset is
 * that of the plain bytes, the detail names the one in the stored object.
 */
ByteSource decompress_source(Decompress *d);

/* What was found or chosen: never AUTO. */
Compression decompress_kind(const Decompress *d);

/* Bytes of the stored object used so far. */
uint64_t decompress_stored(const Decompress *d);

/* "auto", "none", "gzip", "zstd". */
const char *compression_name(Compression compression);

/* The compression of this name, in *out; false when there is none. */
bool compression_find(const char *name, Compression *out);

#endif
