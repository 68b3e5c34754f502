/*
 * encoding.h: the byte stage between decompression and format that makes UTF-8.
 *
 * A byte order mark decides, else the encoding that was asked for.  UTF-8
 * passes as it is (its mark and its bad bytes are the format's to see);
 * everything else is written as UTF-8.  What has no character is never
 * replaced: it is written as bytes that are not UTF-8, so that the field it is
 * in becomes a bad cell (22021) that shows them as \xNN:
 *
 *   - bytes that Windows-1252 does not define: themselves
 *   - half of a surrogate pair in UTF-16: three bytes, as CESU-8 has it
 *   - U+0000: a zero byte, which no text may hold
 *
 * Offsets of rows and errors behind this stage count bytes of the UTF-8.
 */
#ifndef KAIREON_ENCODING_H
#define KAIREON_ENCODING_H

#include "core/byte_source.h"

typedef enum Encoding
{
    ENCODING_UTF8 = 0, ENCODING_LATIN1, ENCODING_WINDOWS_1252,
    ENCODING_UTF16,     /* by its mark, else by where the first character has its zero byte, else little endian */
    ENCODING_UTF16LE, ENCODING_UTF16BE
} Encoding;

typedef struct EncodingStage EncodingStage;

/* The encoding of this name (also UTF8, ISO-8859-1, CP1252; in any case); false when there is none. */
bool encoding_find(const char *name, Encoding *out);

/* "UTF-8", "LATIN1", ... */
const char *encoding_name(Encoding encoding);

/* All names, for hints. */
const char *encoding_names(void);

/*
 * Makes a stage over `source`, which must outlive it, and reads its first bytes.
 * Fails with 53200 or as `source` does.
 */
STATUS_CHECK bool encoding_open(EncodingStage **out, Encoding encoding, ByteSource source, Status *st);

void encoding_close(EncodingStage *stage);  /* NULL is allowed */

/*
 * The UTF-8.  A read fails as `source` does, or with 22021 when UTF-16 ends
 * within a character; the status' offset is that of the text as it was.
 */
ByteSource encoding_source(EncodingStage *stage);

/* What is read: never ENCODING_UTF16. */
Encoding encoding_kind(const EncodingStage *stage);

#endif
