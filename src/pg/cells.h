/*
 * cells.h: a batch's cells as Datums.
 *
 * Takes a batch that wire_batch_open has checked for its shape, checks every
 * cell against its column (the reader is not trusted: place, length, encoding,
 * range, precision) and lays the Datums out row by row.  Text Datums point
 * into the message, so they live as long as it does.  Cells the reader left
 * raw or found bad, and nulls of a domain, are settled one by one by
 * cells_resolve, only when a row needs them.
 */
#ifndef KAIREON_CELLS_H
#define KAIREON_CELLS_H

#include "postgres.h"
#include "fmgr.h"

#include "pg/compile.h"
#include "pg/record.h"
#include "pg/settings.h"
#include "wire/wire.h"

/* Beside the states of wire.h: text that the database's encoding has no place for. */
#define CELL_UNTRANSLATABLE (WIRE_STATE_LAST + 1)

typedef struct CellColumn
{
    Oid type;
    int32 typmod;
    uint8 wire;              /* WireColumnType the reader must send */
    bool always_raw;         /* the reader has no converter for the type, or must not use it */
    bool coerce;             /* a cell that is no value is tried a second time */
    Datum pattern;           /* text for to_date or to_timestamp; 0: the input function reads it */
    SettingsNeed need;       /* of reading a value */
    bool by_value;
    int16 length;            /* pg_type.typlen */
    bool judges_null;        /* the input function takes nulls: a domain may refuse them */
    FmgrInfo input;
    Oid ioparam;
} CellColumn;

typedef struct Cells
{
    int ncolumns;
    bool records;            /* the batch has one column more: the records */
    CellColumn *columns;
    uint8 *expected;         /* wire type of each column, for wire_batch_open */
    MemoryContext context;   /* of one batch; reset by cells_load */
    MemoryContext scratch;   /* of one call of an input function */
    WireBatch batch;
    int nrows;
    uint8 **states;          /* by column: each row's WireState, or CELL_UNTRANSLATABLE; NULL: all are values */
    Datum *values;           /* [row * ncolumns + column] */
    bool *nulls;
    bool *pending;           /* a row has cells that cells_resolve must settle */
} Cells;

/* What a cell that is no value is reported as. */
typedef struct CellError { int sqlstate; char *message; } CellError;

/* Lives in the current context.  `records`: rows come with their records, as was asked of the reader. */
extern Cells *cells_create(const ProgramSource *source, bool records);

/* The columns of a request, as JSON (wire.h), appended to out. */
extern void cells_request(const ProgramSource *source, StringInfo out);

/* Opens and checks a batch message; raises KA002 when it is not what the reader promised. */
extern void cells_load(Cells *cells, uint8 *body, size_t length);

/* Does cells_resolve have to be called for this cell? */
extern bool cells_is_pending(const Cells *cells, int row, int column);

/*
 * Settles such a cell.  False with *error filled when it is bad for
 * sure.  Raises whatever the type's input function raises: the caller catches
 * it.  `attempt` 1 is the second try of coerce: blank becomes null, a decimal
 * without a fraction becomes an integer.
 */
extern bool cells_resolve(Cells *cells, int row, int column, int attempt, CellError *error);

/* Makes a pending cell a null, which is pending itself where the type is a domain. */
extern void cells_make_null(Cells *cells, int row, int column);

/* A row's record, which lives as long as the message; of kind RECORD_NONE when rows come without. */
extern RowRecord cells_record(const Cells *cells, int row);

/* The cell as it was read, to be shown, palloc'd; NULL for a null or a cell that arrived converted. */
extern char *cells_raw_text(const Cells *cells, int row, int column);

static inline uint64
cells_line(const Cells *cells, int row)
{
    return cells->batch.header->first_line + cells->batch.lines[row];
}

static inline uint64
cells_offset(const Cells *cells, int row)
{
    return cells->batch.header->first_offset + cells->batch.offsets[row];
}

#endif
