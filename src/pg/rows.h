/*
 * rows.h: a batch of rows that a stage works on, and where each came from.
 */
#ifndef KAIREON_ROWS_H
#define KAIREON_ROWS_H

#include "postgres.h"

#include "pg/cells.h"

typedef struct Rows
{
    int nrows;
    int ncolumns;            /* of the stage's relation */
    Datum *values;           /* [row * ncolumns + column] */
    bool *nulls;
    Cells *cells;            /* of a source: some may be pending */
    const char *source;      /* path of the split they were read from */
} Rows;

/* Where a row came from; source points into Rows. */
typedef struct RowPosition { const char *source; uint64 line; uint64 offset; } RowPosition;

/* A loaded batch of a source as rows; they live as long as the batch. */
static inline Rows
rows_of_cells(Cells *cells, const char *source)
{
    Rows rows = {cells->nrows, cells->ncolumns, cells->values, cells->nulls, cells, source};

    return rows;
}

static inline RowPosition
rows_position(const Rows *rows, int row)
{
    RowPosition at = {rows->source, cells_line(rows->cells, row), cells_offset(rows->cells, row)};

    return at;
}

/* Has the row cells that cells_resolve must settle? */
static inline bool
rows_are_pending(const Rows *rows, int row)
{
    return rows->cells->pending[row];
}

#endif
