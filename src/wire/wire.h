/*
 * wire.h: the protocol between a worker and kaireon-reader.
 *
 * The only header both sides include, so it may use neither the server's
 * headers nor the reader's.  A connection is one socket pair between two
 * processes of one machine: integers are in native byte order, and one
 * WIRE_VERSION covers everything below; a peer that speaks another is refused.
 *
 * The worker does not trust the reader: everything is checked on receipt, by
 * wire_batch_open for the shape of a batch and by the worker's column loops for
 * each cell.  The reader checks what the worker sends as well.
 *
 *   worker -> reader   REQUEST (JSON), CREDIT, closing the socket (cancels)
 *   reader -> worker   LOG, OBJECT, SPLIT, BATCH, SPLIT_END, ANSWER, END, ERROR
 *
 * A reader answers one request after another: each ends with one END or one
 * ERROR.  BATCH and OBJECT messages each use up one credit; the reader waits
 * for more when it has none.  Before the first batch of a split (a file) comes
 * its SPLIT, after its last its SPLIT_END; splits do not interleave.
 *
 * No function here allocates; buffers belong to the caller.
 */
#ifndef KAIREON_WIRE_H
#define KAIREON_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC 0x3145524bU /* "KRE1" read as little endian */
#define WIRE_VERSION 1
/* The reader's end of the socket pair, as the worker leaves it. */
#define WIRE_READER_FD 3

#define WIRE_MAX_REQUEST (256U << 20)           /* "replay", whose records are rows; others: */
#define WIRE_MAX_OTHER_REQUEST (64U << 20)
#define WIRE_MAX_MESSAGE (256U << 20)
#define WIRE_MAX_FIELDS 1600                    /* columns of a request */
#define WIRE_MAX_COLUMNS (WIRE_MAX_FIELDS + 1)  /* of a batch: these, and the record */
#define WIRE_MAX_ROWS 65536

typedef enum WireType
{
    WIRE_REQUEST = 1, /* JSON text, see "The request" below */
    WIRE_CREDIT = 2,  /* u32 how many more messages may be sent */
    WIRE_LOG = 16,    /* u8 level (WireLogLevel), str message */
    WIRE_OBJECT = 17, /* WireObject: one entry of a listing */
    WIRE_SPLIT = 18,  /* WireSplit: a file (or partition) begins */
    WIRE_BATCH = 19,  /* see "The batch" below */
    WIRE_SPLIT_END = 20, /* u32 split, u64 rows, u64 bytes read of the object */
    WIRE_END = 21,    /* empty: the request is answered whole */
    WIRE_ERROR = 22,  /* WireFailure: the request failed */
    WIRE_ANSWER = 23  /* WireAnswer: what a server answered to a call */
} WireType;

typedef enum WireLogLevel { WIRE_LOG_DEBUG = 0, WIRE_LOG_INFO = 1, WIRE_LOG_WARNING = 2 } WireLogLevel;

/* Every message: this header, then `length` bytes. */
typedef struct WireHeader
{
    uint32_t magic;
    uint8_t version;
    uint8_t type;
    uint16_t reserved; /* zero */
    uint32_t length;
    uint32_t reserved2; /* zero; keeps a batch's body 8-byte aligned behind its header */
} WireHeader;

/*
 * Checks a received header: magic, version, a known type, reserved fields,
 * length within the limit of its type.  Returns NULL, or what is wrong (static text).
 */
const char *wire_header_check(const WireHeader *header);

/* ---- primitive fields -------------------------------------------------- */

/*
 * Appends to a caller's buffer.  A write that does not fit sets `overflow`
 * and writes nothing; check it once at the end.
 */
typedef struct WireWriter { uint8_t *data; size_t size; size_t used; bool overflow; } WireWriter;
/* Reads fields one after another.  A read past the end sets `bad` and yields zero or the empty string. */
typedef struct WireReader { const uint8_t *data; size_t size; size_t at; bool bad; } WireReader;
/* A string inside a received message: not terminated, valid as long as the message. */
typedef struct WireStr { const char *data; uint32_t length; } WireStr;

void wire_put_u8(WireWriter *w, uint8_t v);
void wire_put_u32(WireWriter *w, uint32_t v);
void wire_put_u64(WireWriter *w, uint64_t v);
void wire_put_str(WireWriter *w, const char *data, size_t length); /* u32 length, bytes */
uint8_t wire_get_u8(WireReader *r);
uint32_t wire_get_u32(WireReader *r);
uint64_t wire_get_u64(WireReader *r);
WireStr wire_get_str(WireReader *r);

/* ---- small messages ---------------------------------------------------- */

/* In place of the time of an object of which nobody says when it was changed. */
#define WIRE_NO_TIME (INT64_MIN + 1)

/* One object of a listing. */
typedef struct WireObject
{
    WireStr path;     /* as the source names it, relative to the connector's base */
    uint64_t size;    /* bytes */
    int64_t mtime;    /* microseconds since 1970-01-01 UTC, or WIRE_NO_TIME */
    WireStr etag;     /* empty where the source has none */
} WireObject;

/*
 * A split begins: an object, or the next member of an archive, whose split goes
 * on with it under the same number: its lines and offsets begin anew.
 */
typedef struct WireSplit
{
    uint32_t split;   /* its number, from 0 */
    WireStr path;
    WireStr place;    /* the path as messages and _source have it: of an archive's member, with the member's name */
    uint64_t base;    /* bytes of decompressed content before it, in the members that came before */
    uint64_t size;    /* bytes; 0 when not known */
    int64_t mtime;    /* microseconds since 1970-01-01 UTC, or WIRE_NO_TIME */
    WireStr etag;
    WireStr head_hash; /* sha256, lower-case hex, of the object's first 64 kB (as stored, not decompressed) */
    WireStr dialect;  /* JSON object: how the object is read (delimiter, header, ...) */
    WireStr fields;   /* JSON array: the names of a record's fields, in order; {} when a record is one JSON text; empty unless records were asked for, [] in a replay */
    uint32_t ncols;   /* columns of the request */
    const uint8_t *present; /* ncols bytes: 1 where this split has the column */
} WireSplit;

/* A request failed. */
typedef struct WireFailure
{
    char sqlstate[6]; /* five characters and a zero */
    WireStr message;  /* primary message in PostgreSQL's style */
    WireStr detail;
    WireStr hint;
    WireStr path;     /* where: empty when not at an object */
    uint64_t line;    /* from 1; 0 when not known */
    uint64_t offset;  /* bytes from the object's (decompressed) beginning */
} WireFailure;

/* A server's answer to a call. */
typedef struct WireAnswer
{
    uint32_t status;  /* of HTTP */
    uint32_t wait;    /* seconds that it asks to be left alone for; 0: it does not say */
    WireStr said;     /* the beginning of what it says of an error, printable */
} WireAnswer;

void wire_put_object(WireWriter *w, const WireObject *v);
bool wire_get_object(WireReader *r, WireObject *out);
void wire_put_split(WireWriter *w, const WireSplit *v);
bool wire_get_split(WireReader *r, WireSplit *out);
void wire_put_failure(WireWriter *w, const WireFailure *v);
bool wire_get_failure(WireReader *r, WireFailure *out);
void wire_put_answer(WireWriter *w, const WireAnswer *v);
bool wire_get_answer(WireReader *r, WireAnswer *out);

/* ---- the batch --------------------------------------------------------- */

/*
 * A batch is columnar.  Body:
 *
 *   WireBatchHeader
 *   WireColumnHeader[ncols]           at columns_at
 *   u32[nrows]                        at lines_at: line of each row minus first_line
 *   u32[nrows]                        at offsets_at: byte of each row minus first_offset
 *   per column: states, values, scales, arena (see WireColumnHeader)
 *   reject records                    at rejects_at (wire_get_reject)
 *
 * All *_at are byte distances from the body's start and multiples of 8.  The
 * arrays lie in the order listed, columns one after another, and share no byte.
 *
 * Every cell has an 8-byte slot in `values`, by column type:
 *   WIRE_BOOL         0 or 1
 *   WIRE_INT          int64
 *   WIRE_DECIMAL      int64 unscaled; its scale (digits after the point, 0..18) in scales[row]
 *   WIRE_FLOAT        the bits of a double; of a float4 column, one that is a float
 *   WIRE_DATE         int64 days since 2000-01-01
 *   WIRE_TIMESTAMP    int64 microseconds since 2000-01-01 00:00 (no zone)
 *   WIRE_TIMESTAMPTZ  int64 microseconds since 2000-01-01 00:00 UTC
 *   WIRE_TEXT         low 32 bits: where the cell starts in the arena;
 *                     high 32 bits: its length in bytes
 * and every cell whose state is RAW or BAD has, whatever the column's type,
 * a WIRE_TEXT slot with the field as it was read.
 *
 * A request with "record" gets one column more, the last, with the whole
 * record of each row: a WIRE_TEXT column of values whose bytes are no text but
 * the record's fields one after another (wire_get_field), as many as the split
 * has "fields".  Nobody has checked their encoding.  Where "fields" is {} the
 * record is the text of one JSON object.
 *
 * A text cell in the arena is preceded by room for the receiver's length word,
 * so that it can be used where it lies: the slot points at the room, not at
 * the text.  The room is 1 byte when length <= WIRE_SHORT_MAX, else 4 bytes
 * at a multiple of 4 (from the arena's start, itself 8-aligned).  Room and
 * padding are filled with spaces: so a whole arena is valid UTF-8 without NUL
 * if each of its cells is, and the receiver checks it in one pass.
 */
#define WIRE_SHORT_MAX 126
#define WIRE_ROOM_FILL 0x20
static inline uint32_t wire_text_room(uint32_t length) { return length <= WIRE_SHORT_MAX ? 1 : 4; }

typedef enum WireColumnType
{
    WIRE_TEXT = 1, WIRE_BOOL, WIRE_INT, WIRE_DECIMAL, WIRE_FLOAT,
    WIRE_DATE, WIRE_TIMESTAMP, WIRE_TIMESTAMPTZ,
    WIRE_COLUMN_TYPE_LAST = WIRE_TIMESTAMPTZ
} WireColumnType;

/* What a cell is. */
typedef enum WireState
{
    WIRE_VALUE = 0,
    WIRE_NULL = 1,
    WIRE_RAW = 2,            /* a spelling the reader does not decide: the server's input function does */
    WIRE_BAD_SYNTAX = 3,     /* 22P02 */
    WIRE_BAD_RANGE = 4,      /* 22003: out of the type's range */
    WIRE_BAD_LENGTH = 5,     /* 22001: longer than varchar(n) */
    WIRE_BAD_PRECISION = 6,  /* 22003: does not fit numeric(p,s) */
    WIRE_BAD_ENCODING = 7,   /* 22021: not UTF-8, or a zero byte; the slot has it with such bytes as \xNN */
    WIRE_BAD_ESCAPE = 8,     /* 22P05: \u0000 or half of a surrogate pair in JSON; the slot has it as escapes, too */
    WIRE_STATE_LAST = WIRE_BAD_ESCAPE
} WireState;

typedef struct WireBatchHeader
{
    uint32_t split;
    uint32_t nrows;      /* may be 0 when there are only rejects */
    uint32_t ncols;
    uint32_t nrejects;
    uint64_t first_line; /* from 1 */
    uint64_t first_offset; /* of the decompressed object */
    uint64_t bytes_read; /* of the object as stored, up to the end of this batch */
    uint32_t columns_at;
    uint32_t lines_at;
    uint32_t offsets_at;
    uint32_t rejects_at;
    uint32_t rejects_length;
    uint32_t reserved;
} WireBatchHeader;

typedef struct WireColumnHeader
{
    uint32_t type;       /* WireColumnType */
    uint32_t states_at;  /* u8[nrows] of WireState; 0 when every cell is WIRE_VALUE */
    uint32_t values_at;  /* u64[nrows] */
    uint32_t scales_at;  /* u8[nrows], WIRE_DECIMAL only, else 0 */
    uint32_t arena_at;   /* text of the column's cells; 0 when arena_length is 0 */
    uint32_t arena_length;
} WireColumnHeader;

/* One row that could not be split into fields (too many, too few, a stray quote...). */
typedef struct WireReject
{
    uint32_t before_row; /* it stood before this row of the batch (nrows: after the last) */
    uint64_t line;       /* the line it begins on, from 1 */
    uint64_t offset;     /* in the decompressed object */
    char sqlstate[6];
    WireStr message;
    bool cut;            /* raw is not all of the record: the reader gave up where it passed a limit */
    WireStr raw;         /* the record as read: with "record" its bytes; else cut at 64 kB, made valid UTF-8 as for WIRE_BAD_ENCODING */
} WireReject;

/* A batch after wire_batch_open: pointers into the message. */
typedef struct WireBatch
{
    const WireBatchHeader *header;
    const WireColumnHeader *columns;
    const uint32_t *lines;
    const uint32_t *offsets;
    WireReader rejects;  /* for header->nrejects calls of wire_get_reject */
    uint8_t *body;
    size_t length;
} WireBatch;

/*
 * Checks the whole shape of a received batch: every array lies inside the body,
 * is aligned and lies behind the one before, the columns have the types of
 * `expected` (WireColumnType each), states are known values, scales are <= 18,
 * rejects parse and are in order.  It does not look at slots: a receiver checks
 * the place and length of a text slot where it uses it (wire_text_slot).
 * `body` must be 8-byte aligned.  Returns NULL, or what is wrong (static text).
 */
const char *wire_batch_open(uint8_t *body, size_t length, const uint8_t *expected,
                            uint32_t ncols, WireBatch *out);

/* True when a text slot lies inside an arena of arena_length bytes, with its room and alignment. */
static inline bool
wire_text_slot_ok(uint64_t slot, uint32_t arena_length)
{
    uint32_t at = (uint32_t) slot, length = (uint32_t) (slot >> 32), room = wire_text_room(length);

    return (uint64_t) at + room + length <= arena_length && (room == 1 || at % 4 == 0);
}

void wire_put_reject(WireWriter *w, const WireReject *v);
bool wire_get_reject(WireReader *r, WireReject *out);

/* In front of each field of a record: its length in one byte, or that it is null, or that the length follows as u32. */
#define WIRE_NULL_FIELD 0xFF
#define WIRE_LONG_FIELD 0xFE

/* The next field of a record: *out, whose data is NULL for a null; false when the record is broken. */
bool wire_get_field(WireReader *r, WireStr *out);

/* ---- the request -------------------------------------------------------
 *
 * JSON, so that `kaireon-reader --request FILE` takes what a worker sends.
 * Unknown keys are errors.  Keys with a default may be left out.
 *
 * {
 *   "version": 1,
 *   "operation": "read",              "read"; "list": OBJECT messages, then END; "describe": the SPLIT of the
 *                                     first object alone, its dialect with "fields" (all its fields' names
 *                                     in order), how it was found out ("confidence", "reason") and what the
 *                                     first rows are like ("sample"), then END;
 *                                     "move": an OBJECT for each of "files", where it is now, then END;
 *                                     "call": the ANSWER to "call", whatever its status, then END;
 *                                     "look": an OBJECT for each thing at the connector's base, folders with
 *                                     a slash at the end of their path, "/" for what was not looked at, then END;
 *                                     "check": whether the connector's config and "auth" could be right, connecting to nothing
 *                                     ("auth" may lack what is known only when it is used), then END;
 *                                     or "replay": rows of "records", which were read before; no connector
 *   "connector": { "type": "local_fs", "config": {"basePath": "..."},
 *                  "authMethod": "none", "auth": {} },   opened credentials: the type's auth fields
 *   "roots": ["/srv/data"],           local_fs: directories that may be read; "move": whose files may be moved
 *   "forbidden": ["/var/lib/..."],    local_fs: directories that may not (the data directory)
 *   "egress": ["10.0.0.0/8:443"],     where connections may go beside public addresses (net/egress.h)
 *   "ambient": {"AWS_ROLE_ARN": ".."}, what the server's environment says of credentials of the machine's own;
 *                                     without it these may not be used
 *   "resource": "daily/c-?.csv",       path or glob (* ? [..] **) below basePath
 *   "missingOk": false,               a resource that does not exist has no objects, instead of being an error (58P01);
 *                                     "move": a file that has gone, or has become another, gets an OBJECT without a
 *                                     path, instead of being an error (58P01, 55000)
 *   "files": [ {"path": "...", "size": 1, "mtime": 2, "etag": ""} ],
 *                                     "read": exactly these, in this order, an error (58030) when
 *                                     one is no longer as listed; without it: everything listed;
 *                                     "describe": the first of these;
 *                                     "read": a file may have "from": 1234, where the first row that is wanted
 *                                     begins: rows and rejects before that byte of the decompressed file are left out
 *                                     (of an archive: of all its members' content, base and offset together);
 *                                     "read": a file may have "at": {"path", "size", "mtime", "etag"}, where it is
 *                                     now and what it is there: that is read, and told of as what it was
 *                                     "move": these, each with "to": "archive/2026/a.csv"
 *   "call": {"method": "POST", "headers": {"a": "b"}, "body": "..."},
 *                                     "call": what is sent to "resource", a path below the connector's base
 *   "format": {                       sql-surface's format options under their names; what is absent has its default
 *     "format": "auto",               csv, tsv, json, jsonl, or auto: by name, else by the first bytes
 *     "ifCsv": {"delimiter": "auto"}, of CSV and TSV, what is not said beside it
 *     "delimiter": ",",               one to eight bytes, or "auto": then quote and skipLines are, too, unless given
 *     "quote": "\"", "escape": "\"",   one character, "" for none; quote may be "auto"
 *     "newline": "auto",              auto, lf, crlf, cr
 *     "header": "auto" | true | false, "headerLines": 1, "columns": ["a", "b"],
 *     "skipLines": 0 | "auto", "footerLines": 0, "comment": "#",
 *     "nullStrings": [""], "trim": "none",   none, unquoted, all
 *     "blankLines": "skip",           skip, rows
 *     "shortRows": "reject",          reject, pad
 *     "longRows": "reject",           reject, truncate, truncateEmpty
 *     "quotes": "strict",             strict, lenient
 *     "decimalSeparator": ".", "thousandsSeparator": "",   for the cells of number columns
 *     "encoding": "UTF-8",            UTF-8, LATIN1, WINDOWS-1252, UTF-16, UTF-16LE, UTF-16BE; a BOM decides
 *     "compression": "auto",          auto, none, gzip, zstd, bzip2, lz4, snappy, zip
 *     "maxDecompressedBytes": n,      bytes that may come out of a compressed file
 *     "maxCompressionRatio": 1000,    and for each stored one, looked at behind the first 256 MB; 0: no limit
 *     "maxFieldBytes": n, "maxRowBytes": n,   of all formats, as encoding, compression and nullStrings; the others above are of CSV and TSV
 *     "recordPath": "$",              json: which value has the rows (json.h)
 *     "flatten": 0,                   json, jsonl: so many levels of objects become fields of their own, a_b
 *     "columns": {"name": "$.a[0].b"} },   json, jsonl: the fields and their paths
 *   "columns": [                      in batch order; the same "name" may come several times
 *     {"name": "balance",             the source's field (a CSV header), or _source, _line, _offset, _modified_at
 *      "type": "numeric",             text, varchar, bool, int2, int4, int8, numeric, float4, float8,
 *                                     date, timestamp, timestamptz, raw (WIRE_TEXT, every cell RAW), or json
 *                                     (as raw; of a JSON source every cell is JSON text)
 *      "length": 255,                 varchar: characters
 *      "precision": 12, "scale": 2,   numeric: absent when unconstrained
 *      "coerce": false,               varchar: cut instead of BAD_LENGTH; others: RAW in place of any BAD_*
 *                                     but BAD_ENCODING, so that the server may try to mend it
 *      "required": true} ],           a split without it is an error (42703) that lists what it has;
 *                                     else its cells are NULL and `present` says 0
 *   "records": [                      "replay": in this order; "record" is then true, and what comes as a row's
 *                                     record, or as raw of a reject, is the id
 *     {"id": "17",
 *      "path": "a.csv", "mtime": 1,   of the object it was read from, for SPLIT and the pseudo-columns; a SPLIT
 *                                     begins where these or the names of the fields change
 *      "line": 2, "offset": 10,       where in it the record begins
 *      "fields": {"a": "x", "b": null, "c": {"hex": "ff"}},   hex: bytes that are no text; or, of one that
 *                                     could not be cut into fields:
 *      "raw": "x,y,z" | {"hex": "ff"},
 *      "layout": {"fields": ["a"], "delimiter": ","}} ],      what "describe" says of the object
 *   "record": false,                  each row and reject comes with its whole record (see "The batch")
 *   "batchRows": 1000,                rows in a batch at most
 *   "batchBytes": 131072,             a batch is sent when its text grows past this
 *   "rowLimit": 0,                    rows in all; 0: no limit
 *   "memoryLimit": 268435456,         bytes of address space the reader may take over what it starts with
 *   "credit": 8                       messages that may be sent at once
 * }
 */

#endif
