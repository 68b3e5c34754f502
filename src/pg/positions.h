/*
 * positions.h: where rows came from, for those that wait in a set node.
 *
 * A row that goes into a relation keeps one number, its origin; what that
 * stands for is written to a temporary file, 16 bytes a row, and only looked
 * up for rows that are rejected later.  So a hundred million waiting rows need
 * no memory for their positions.  Where records are kept, they are in another
 * such file.
 */
#ifndef KAIREON_POSITIONS_H
#define KAIREON_POSITIONS_H

#include "postgres.h"

#include "pg/record.h"

struct FetchObject;

/* Where a row came from, and what it was there. */
typedef struct RowPosition
{
    const struct FetchObject *split; /* lives as long as the run */
    uint64 line;
    uint64 offset;
    RowRecord record;
} RowPosition;

typedef struct Positions Positions;

/* Lives in the current context and the current resource owner. */
extern Positions *positions_create(bool with_records);

/* Keeps a position; its number. */
extern int64 positions_add(Positions *positions, const RowPosition *at);

/* Gives the files back. */
extern void positions_close(Positions *positions);

/* The position of that number; its record is palloc'd. */
extern RowPosition positions_get(Positions *positions, int64 number);

#endif
