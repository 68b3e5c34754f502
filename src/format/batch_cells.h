/*
 * batch_cells.h: one column's cells into its arrays; the inner part of the
 * batch builder, split from it because it is what takes the time.
 *
 * batch_builder.c owns the memory and the order of calls; here are only the
 * loops, one for each kind of column.
 */
#ifndef KAIREON_BATCH_CELLS_H
#define KAIREON_BATCH_CELLS_H

#include "format/batch_builder.h"

/* What is known of cells: nothing, that they are text, that what is none in them was said by strings of JSON. */
typedef enum CellsAre { CELLS_UNKNOWN, CELLS_CLEAN, CELLS_OF_JSON } CellsAre;

/*
 * Converts n cells into rows column->filled .. +n of the column's arrays and
 * raises `filled`.  Fails as batch_cells does.
 */
STATUS_CHECK bool cells_append(BatchColumn *column, const Cell *cells, uint32_t n, CellsAre are, Status *st);

/*
 * The text of row column->filled, written where it will lie: room for `most`
 * bytes (NULL: out of memory, or 54000), and then its length.
 */
uint8_t *cells_text_room(BatchColumn *column, size_t most, Status *st);
void cells_text_take(BatchColumn *column, size_t n);

#endif
