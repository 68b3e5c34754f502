/*
 * batch_builder.h: collects rows and makes the batch message of wire.h.
 *
 * A format cuts its input into cells (pointers into its own memory) and hands
 * over a column's cells for some hundred rows at a time; the builder converts
 * them (convert.h), lays text out in the column's arena and keeps states only
 * as far as they are needed.  It knows nothing about CSV, files or sockets.
 * Once full, batch_finish gives the message as a list of pieces to be written
 * with writev: nothing is copied.  All memory is used again for the next batch.
 *
 * Order of calls: batch_init; then again and again batch_row for some rows,
 * batch_cells once for every column with as many cells, batch_reject between;
 * batch_finish, write the pieces, batch_reset; at last batch_free.
 */
#ifndef KAIREON_BATCH_BUILDER_H
#define KAIREON_BATCH_BUILDER_H

#include <string.h>
#include <sys/uio.h>

#include "core/buf.h"
#include "wire/wire.h"

/* A reject's raw text is cut here (bytes), unless whole records are wanted. */
#define BATCH_RAW_MAX 65536

typedef enum ColumnKind
{
    COLUMN_TEXT = 0, COLUMN_VARCHAR, COLUMN_BOOL, COLUMN_INT2, COLUMN_INT4, COLUMN_INT8,
    COLUMN_NUMERIC, COLUMN_FLOAT4, COLUMN_FLOAT8, COLUMN_DATE, COLUMN_TIMESTAMP, COLUMN_TIMESTAMPTZ, COLUMN_RAW,
    COLUMN_JSON,        /* as RAW; a format that knows JSON gives every value as its text */
    COLUMN_RECORD,      /* whole records; the last column */
    COLUMN_KINDS
} ColumnKind;

/* A column as the request asks for it. */
typedef struct ColumnSpec
{
    const char *name;   /* the source's field; borrowed */
    ColumnKind kind;
    int length;         /* varchar: characters */
    int precision;      /* numeric: 0 when unconstrained */
    int scale;
    bool coerce;
    bool required;
} ColumnSpec;

/*
 * One field.  s NULL means null.  BUF_SLACK bytes behind s + n can be read
 * (their content does not matter).
 */
typedef struct Cell
{
    const char *s;
    size_t n;
} Cell;

typedef struct BatchColumn
{
    ColumnSpec spec;
    uint8_t *states;
    uint64_t *values;
    uint8_t *scales;    /* WIRE_DECIMAL only */
    uint32_t filled;    /* rows that have their cell */
    bool any_state;     /* some state is not WIRE_VALUE */
    Buf arena;
} BatchColumn;

typedef struct BatchBuilder
{
    BatchColumn *columns;
    uint32_t ncols;
    BatchColumn *record;    /* the column of kind COLUMN_RECORD, or NULL */
    uint32_t max_rows;
    size_t max_bytes;   /* full when the text grows past this */
    uint32_t nrows;
    uint32_t nrejects;
    bool started;       /* first_line and first_offset are set */
    uint64_t first_line, first_offset;
    uint32_t *lines, *offsets;
    Buf rejects;
    Buf head;           /* WireHeader, WireBatchHeader, WireColumnHeader[] */
    struct iovec *pieces;
} BatchBuilder;

/* The tag on the wire of a column of this kind. */
WireColumnType column_wire_type(ColumnKind kind);

/*
 * Makes a builder for these columns (copied; the names stay borrowed), of at
 * most max_rows rows (1 to WIRE_MAX_ROWS).  On failure (53200) nothing is left
 * to free.
 */
STATUS_CHECK bool batch_init(BatchBuilder *b, const ColumnSpec *specs, uint32_t ncols,
                             uint32_t max_rows, size_t max_bytes, Status *st);
void batch_free(BatchBuilder *b);

/* Empties the builder; memory stays. */
void batch_reset(BatchBuilder *b);

/* True when the batch should be sent before anything is added. */
bool batch_full(const BatchBuilder *b);

/* True when every row has its cell in every column: only then may the batch be sent. */
bool batch_complete(const BatchBuilder *b);

/* Rows that may still be added. */
static inline uint32_t
batch_room(const BatchBuilder *b)
{
    return b->max_rows - b->nrows;
}

/*
 * True when a row or reject at this place fits the batch's 32-bit distances;
 * false: send the batch first.  Places must not go backwards.
 */
static inline bool
batch_place_fits(const BatchBuilder *b, uint64_t line, uint64_t offset)
{
    return !b->started || (line - b->first_line <= UINT32_MAX && offset - b->first_offset <= UINT32_MAX);
}

/* Adds a row's place; its cells follow by batch_cells.  There must be room, and the place must fit. */
static inline void
batch_row(BatchBuilder *b, uint64_t line, uint64_t offset)
{
    if (!b->started)
    {
        b->started = true;
        b->first_line = line;
        b->first_offset = offset;
    }
    b->lines[b->nrows] = (uint32_t) (line - b->first_line);
    b->offsets[b->nrows] = (uint32_t) (offset - b->first_offset);
    b->nrows++;
}

/*
 * Adds one column's cells for the next n rows that lack them.  `clean`: all
 * cells are known to be valid UTF-8 without zero bytes.  Fails with 53200, or
 * 54000 when the arena would pass what a message can hold.
 */
STATUS_CHECK bool batch_cells(BatchBuilder *b, uint32_t column, const Cell *cells, uint32_t n,
                              bool clean, Status *st);

/* The same of values of JSON, some of which say by escapes what no text has (WIRE_BAD_ESCAPE). */
STATUS_CHECK bool batch_cells_json(BatchBuilder *b, uint32_t column, const Cell *cells, uint32_t n, Status *st);

/* Adds n nulls to a column (one the split does not have). */
void batch_nulls(BatchBuilder *b, uint32_t column, uint32_t n);

/*
 * The record of the next row that lacks it: room for `most` bytes (NULL: fails
 * as batch_cells does), into which it is written, and then its length.
 */
uint8_t *batch_record_room(BatchBuilder *b, size_t most, Status *st);
void batch_record_take(BatchBuilder *b, size_t n);

/* What stands for the records of the next n rows that lack it; fails as batch_cells does. */
STATUS_CHECK bool batch_record_name(BatchBuilder *b, uint32_t n, const char *name, Status *st);

/* Appends a field to a record that is being written.  The room is for BATCH_FIELD_ROOM bytes more than the text. */
#define BATCH_FIELD_ROOM 5
static inline uint8_t *
batch_record_field(uint8_t *to, Cell cell)
{
    uint32_t length = (uint32_t) cell.n;

    if (cell.s == NULL)
    {
        *to++ = WIRE_NULL_FIELD;
        return to;
    }
    if (length < WIRE_LONG_FIELD)
        *to++ = (uint8_t) length;
    else
    {
        *to++ = WIRE_LONG_FIELD;
        memcpy(to, &length, sizeof(length));
        to += sizeof(length);
    }
    /* Both sides have room for more, and most fields are short. */
    if (length <= 16)
        memcpy(to, cell.s, 16);
    else
        memcpy(to, cell.s, length);
    return to + length;
}

/*
 * Adds a reject that stood before the next row to be added.  raw is the record
 * as read, `cut` says that it is not all of it.  Without a column for records
 * at most BATCH_RAW_MAX bytes are kept, made valid UTF-8.
 */
STATUS_CHECK bool batch_reject(BatchBuilder *b, uint64_t line, uint64_t offset, const char *sqlstate,
                               const char *message, Cell raw, bool cut, Status *st);

/*
 * Makes the message: *pieces (owned by the builder, valid until batch_reset)
 * with *npieces entries, beginning with the WireHeader.  Fails with 54000 when
 * the message would be longer than WIRE_MAX_MESSAGE.
 */
STATUS_CHECK bool batch_finish(BatchBuilder *b, uint32_t split, uint64_t bytes_read,
                               struct iovec **pieces, int *npieces, Status *st);

#endif
