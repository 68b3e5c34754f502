/*
 * rows.h: a batch of rows that a stage works on, and where each came from.
 */
#ifndef KAIREON_ROWS_H
#define KAIREON_ROWS_H

#include "postgres.h"

#include "pg/cells.h"
#include "pg/compile.h"
#include "pg/fetch.h"
#include "pg/positions.h"

typedef struct Rows
{
    int nrows;
    int ncolumns;            /* of the stage's relation */
    Datum *values;           /* [row * ncolumns + column] */
    bool *nulls;
    /* of a source */
    Cells *cells;            /* some may be pending */
    const FetchObject *split; /* that they were read from */
    /* of a set node: the last column is the row's origin */
    Positions *positions;
    const ProgramStage *stage;
} Rows;

/* A loaded batch of a source as rows; they live as long as the batch. */
static inline Rows
rows_of_cells(Cells *cells, const FetchObject *split)
{
    Rows rows = {cells->nrows, cells->ncolumns, cells->values, cells->nulls, cells, split, NULL, NULL};

    return rows;
}

/* The origin of a row of a set node. */
static inline int64
rows_origin(const Rows *rows, int row)
{
    return DatumGetInt64(rows->values[row * rows->ncolumns + rows->ncolumns - 1]);
}

/* Where a row came from; with its record, where records are kept.  Lives as long as the rows, or is palloc'd. */
extern RowPosition rows_position(const Rows *rows, int row);

/* Has the row cells that cells_resolve must settle? */
static inline bool
rows_are_pending(const Rows *rows, int row)
{
    return rows->cells && rows->cells->pending[row];
}

#endif
