/*
 * rows.h: a batch of rows that a stage works on, and where each came from.
 */
#ifndef KAIREON_ROWS_H
#define KAIREON_ROWS_H

#include "postgres.h"

#include "pg/cells.h"
#include "pg/positions.h"

typedef struct Rows
{
    int nrows;
    int ncolumns;            /* of the stage's relation */
    Datum *values;           /* [row * ncolumns + column] */
    bool *nulls;
    /* of a source */
    Cells *cells;            /* some may be pending */
    const char *source;      /* path of the split they were read from */
    /* of a set node: the last column is the row's origin */
    Positions *positions;
} Rows;

/* A loaded batch of a source as rows; they live as long as the batch. */
static inline Rows
rows_of_cells(Cells *cells, const char *source)
{
    Rows rows = {cells->nrows, cells->ncolumns, cells->values, cells->nulls, cells, source, NULL};

    return rows;
}

/* The origin of a row of a set node. */
static inline int64
rows_origin(const Rows *rows, int row)
{
    return DatumGetInt64(rows->values[row * rows->ncolumns + rows->ncolumns - 1]);
}

/* Where a row came from; source lives as long as the rows. */
static inline RowPosition
rows_position(const Rows *rows, int row)
{
    RowPosition at;

    if (rows->cells == NULL)
        return positions_get(rows->positions, rows_origin(rows, row));
    at.source = rows->source;
    at.line = cells_line(rows->cells, row);
    at.offset = cells_offset(rows->cells, row);
    return at;
}

/* Has the row cells that cells_resolve must settle? */
static inline bool
rows_are_pending(const Rows *rows, int row)
{
    return rows->cells && rows->cells->pending[row];
}

#endif
