/*
 * positions.c: where rows came from, for those that wait in a set node.  See positions.h.
 *
 * An entry is the source's number and the line in one word, the offset in
 * another.  Entries do not cross the temporary file's blocks or segments.
 */
#include "postgres.h"

#include "pg/positions.h"

#include "storage/buffile.h"
#include "utils/memutils.h"

#define LINE_BITS 40
#define SEGMENT_BYTES (INT64CONST(1) << 30) /* of a BufFile */

typedef struct Entry { uint64 source_and_line; uint64 offset; } Entry;

struct Positions
{
    MemoryContext context;
    BufFile *file;
    int64 count;
    bool at_end;             /* the file is where the next entry goes */
    int nsources;
    char **sources;
};

Positions *
positions_create(void)
{
    Positions *positions = palloc0(sizeof(Positions));

    positions->context = CurrentMemoryContext;
    positions->file = BufFileCreateTemp(false);
    positions->at_end = true;
    return positions;
}

/* The number of a source; splits come one after another. */
static uint64
source_number(Positions *positions, const char *source)
{
    MemoryContext old;

    if (positions->nsources > 0 && strcmp(positions->sources[positions->nsources - 1], source) == 0)
        return positions->nsources - 1;
    old = MemoryContextSwitchTo(positions->context);
    if (positions->nsources == 0)
        positions->sources = palloc(sizeof(char *));
    else if ((positions->nsources & (positions->nsources - 1)) == 0)
        positions->sources = repalloc_huge(positions->sources, sizeof(char *) * positions->nsources * 2);
    positions->sources[positions->nsources] = pstrdup(source);
    MemoryContextSwitchTo(old);
    return positions->nsources++;
}

static void
seek(Positions *positions, int64 number)
{
    int64 at = number * (int64) sizeof(Entry);

    if (BufFileSeek(positions->file, (int) (at / SEGMENT_BYTES), (off_t) (at % SEGMENT_BYTES), SEEK_SET) != 0)
        elog(ERROR, "could not find a row's position");
}

void
positions_close(Positions *positions)
{
    BufFileClose(positions->file);
}

int64
positions_add(Positions *positions, const RowPosition *at)
{
    Entry entry;

    entry.source_and_line = source_number(positions, at->source) << LINE_BITS | (at->line & ((UINT64CONST(1) << LINE_BITS) - 1));
    entry.offset = at->offset;
    if (!positions->at_end)
        seek(positions, positions->count);
    positions->at_end = true;
    BufFileWrite(positions->file, &entry, sizeof(entry));
    return positions->count++;
}

RowPosition
positions_get(Positions *positions, int64 number)
{
    RowPosition at;
    Entry entry;

    if (number < 0 || number >= positions->count)
        elog(ERROR, "a row has no position");
    seek(positions, number);
    positions->at_end = false;
    if (BufFileRead(positions->file, &entry, sizeof(entry)) != sizeof(entry))
        elog(ERROR, "could not read a row's position");
    at.source = positions->sources[entry.source_and_line >> LINE_BITS];
    at.line = entry.source_and_line & ((UINT64CONST(1) << LINE_BITS) - 1);
    at.offset = entry.offset;
    return at;
}
