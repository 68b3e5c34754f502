/*
 * positions.h: where rows came from, for those that wait in a set node.
 *
 * A row that goes into a relation keeps one number, its origin; what that
 * stands for is written to a temporary file, 16 bytes a row, and only looked
 * up for rows that are rejected later.  So a hundred million waiting rows need
 * no memory for their positions.
 */
#ifndef KAIREON_POSITIONS_H
#define KAIREON_POSITIONS_H

#include "postgres.h"

/* Where a row came from; source is a split's path. */
typedef struct RowPosition { const char *source; uint64 line; uint64 offset; } RowPosition;

typedef struct Positions Positions;

/* Lives in the current context and the current resource owner. */
extern Positions *positions_create(void);

/* Keeps a position; its number. */
extern int64 positions_add(Positions *positions, const RowPosition *at);

/* Gives the file back. */
extern void positions_close(Positions *positions);

/* The position of that number; source lives as long as positions do. */
extern RowPosition positions_get(Positions *positions, int64 number);

#endif
