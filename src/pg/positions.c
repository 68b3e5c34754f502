/*
 * positions.c: where rows came from, for those that wait in a set node.  See positions.h.
 *
 * An entry is the split's number and the line in one word, the offset in
 * another; with records, where the record lies in its file, and of what kind
 * and how long it is, in two more.  Entries do not cross the temporary file's blocks or segments.
 */
#include "postgres.h"

#include "pg/positions.h"

#include "storage/buffile.h"
#include "utils/memutils.h"

#define LINE_BITS 40
#define LENGTH_BITS 56
#define LOW_BITS(word, bits) ((word) & ((UINT64CONST(1) << (bits)) - 1))
#define SEGMENT_BYTES (INT64CONST(1) << 30) /* of a BufFile */

typedef struct Entry { uint64 split_and_line; uint64 offset; uint64 record_at; uint64 kind_and_length; } Entry;
#define ENTRY_WITHOUT_RECORD offsetof(Entry, record_at)

/* A temporary file that is written at its end and read anywhere. */
typedef struct Spill
{
    BufFile *file;
    int64 end;
    bool at_end;             /* the file is where the next bytes go */
} Spill;

struct Positions
{
    MemoryContext context;
    Spill entries;
    Spill records;           /* file NULL: none are kept */
    size_t entry_bytes;
    int64 count;
    int nsplits;
    const struct FetchObject **splits;
};

/* ---- files -------------------------------------------------------------------------------- */

static void
open_spill(Spill *spill)
{
    spill->file = BufFileCreateTemp(false);
    spill->at_end = true;
}

static void
seek(Spill *spill, int64 at)
{
    if (BufFileSeek(spill->file, (int) (at / SEGMENT_BYTES), (off_t) (at % SEGMENT_BYTES), SEEK_SET) != 0)
        elog(ERROR, "could not find a row's position");
}

static void
append(Spill *spill, const void *data, size_t length)
{
    if (!spill->at_end)
        seek(spill, spill->end);
    spill->at_end = true;
    BufFileWrite(spill->file, unconstify(void *, data), length);
    spill->end += length;
}

static void
read_at(Spill *spill, int64 at, void *data, size_t length)
{
    seek(spill, at);
    spill->at_end = false;
    if (BufFileRead(spill->file, data, length) != length)
        elog(ERROR, "could not read a row's position");
}

/* ---- positions ------------------------------------------------------------------------------ */

Positions *
positions_create(bool with_records)
{
    Positions *positions = palloc0(sizeof(Positions));

    positions->context = CurrentMemoryContext;
    positions->entry_bytes = with_records ? sizeof(Entry) : ENTRY_WITHOUT_RECORD;
    open_spill(&positions->entries);
    if (with_records)
        open_spill(&positions->records);
    return positions;
}

/* The number of a split; they come one after another. */
static uint64
split_number(Positions *positions, const struct FetchObject *split)
{
    MemoryContext old;

    if (positions->nsplits > 0 && positions->splits[positions->nsplits - 1] == split)
        return positions->nsplits - 1;
    old = MemoryContextSwitchTo(positions->context);
    if (positions->nsplits == 0)
        positions->splits = palloc(sizeof(*positions->splits));
    else if ((positions->nsplits & (positions->nsplits - 1)) == 0)
        positions->splits = repalloc_huge(positions->splits, sizeof(*positions->splits) * positions->nsplits * 2);
    positions->splits[positions->nsplits] = split;
    MemoryContextSwitchTo(old);
    return positions->nsplits++;
}

void
positions_close(Positions *positions)
{
    BufFileClose(positions->entries.file);
    if (positions->records.file)
        BufFileClose(positions->records.file);
}

int64
positions_add(Positions *positions, const RowPosition *at)
{
    Entry entry;

    entry.split_and_line = split_number(positions, at->split) << LINE_BITS | LOW_BITS(at->line, LINE_BITS);
    entry.offset = at->offset;
    if (positions->records.file)
    {
        entry.record_at = positions->records.end;
        entry.kind_and_length = (uint64) at->record.kind << LENGTH_BITS | LOW_BITS(at->record.length, LENGTH_BITS);
        append(&positions->records, at->record.data, at->record.length);
    }
    append(&positions->entries, &entry, positions->entry_bytes);
    return positions->count++;
}

RowPosition
positions_get(Positions *positions, int64 number)
{
    RowPosition at = {0};
    Entry entry;
    size_t length;
    char *record;

    if (number < 0 || number >= positions->count)
        elog(ERROR, "a row has no position");
    read_at(&positions->entries, number * (int64) positions->entry_bytes, &entry, positions->entry_bytes);
    at.split = positions->splits[entry.split_and_line >> LINE_BITS];
    at.line = LOW_BITS(entry.split_and_line, LINE_BITS);
    at.offset = entry.offset;
    if (positions->records.file == NULL)
        return at;
    length = LOW_BITS(entry.kind_and_length, LENGTH_BITS);
    record = MemoryContextAllocHuge(CurrentMemoryContext, length + 1);
    read_at(&positions->records, (int64) entry.record_at, record, length);
    record[length] = '\0';
    at.record = (RowRecord) {(RecordKind) (entry.kind_and_length >> LENGTH_BITS), record, length};
    return at;
}
