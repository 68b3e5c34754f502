/*
 * heap_writer.c: rows into a heap that nobody else can see yet.  See heap_writer.h.
 *
 * A page is filled where it will be written from: a row's values are laid out
 * in it, without a tuple of their own.
 */
#include "postgres.h"

#include "pg/heap_writer.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/visibilitymapdefs.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/storage_xlog.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/smgr.h"

#include "pg/compat.h"
#include "pg/row_form.h"

/* Pages that are written together: as many as a WAL record takes. */
#define PAGES_AT_ONCE XLR_MAX_BLOCK_ID

/* What a page of the visibility map holds, as visibilitymap.c has it. */
#define MAP_BYTES (BLCKSZ - MAXALIGN(SizeOfPageHeaderData))
#define MAP_BLOCKS_PER_BYTE (BITS_PER_BYTE / BITS_PER_HEAPBLOCK)
#define MAP_BLOCKS_PER_PAGE (MAP_BYTES * MAP_BLOCKS_PER_BYTE)

/* What toasted values are written with. */
#define TOAST_OPTIONS (HEAP_INSERT_SKIP_FSM | HEAP_INSERT_FROZEN | HEAP_INSERT_NO_LOGICAL)

/* Pages of a fork on their way into it. */
typedef struct PageWriter
{
    Relation rel;
    ForkNumber fork;
    bool standard;           /* a hole between pd_lower and pd_upper */
    bool logged;
    XLogRecPtr redo;         /* where recovery would have begun when the first page was logged */
    BlockNumber written;     /* in the file */
    int count;               /* complete, not yet written */
    char *pages[PAGES_AT_ONCE];
} PageWriter;

struct HeapWriter
{
    PageWriter out;
    Page page;               /* the one being filled; NULL: none */
    TransactionId xid;
    Size spare;              /* room to leave, by fillfactor */
    RowForm *form;
};

/* ---- pages ---------------------------------------------------------------------- */

static void
begin_pages(PageWriter *out, Relation rel, ForkNumber fork, bool standard)
{
    char *space = palloc(PAGES_AT_ONCE * BLCKSZ + PG_IO_ALIGN_SIZE);

    space = (char *) TYPEALIGN(PG_IO_ALIGN_SIZE, space);
    out->rel = rel;
    out->fork = fork;
    out->standard = standard;
    out->logged = RelationNeedsWAL(rel);
    out->redo = GetRedoRecPtr();
    for (int i = 0; i < PAGES_AT_ONCE; i++)
        out->pages[i] = space + i * BLCKSZ;
}

static void
write_pages(PageWriter *out)
{
    BlockNumber numbers[PAGES_AT_ONCE];

    if (out->count == 0)
        return;
    CHECK_FOR_INTERRUPTS();
    for (int i = 0; i < out->count; i++)
        numbers[i] = out->written + i;
    if (out->logged)
        log_newpages(compat_storage(out->rel), out->fork, out->count, numbers, out->pages, out->standard);
    for (int i = 0; i < out->count; i++)
    {
        PageSetChecksumInplace(out->pages[i], numbers[i]);
        smgrextend(RelationGetSmgr(out->rel), out->fork, numbers[i], out->pages[i], false);
    }
    out->written += out->count;
    out->count = 0;
}

/* The next page, to be filled: it is written when another is asked for, or at the end. */
static Page
next_page(PageWriter *out)
{
    Page page;

    if (out->count == PAGES_AT_ONCE)
        write_pages(out);
    page = out->pages[out->count++];
    PageInit(page, BLCKSZ, 0);
    return page;
}

static BlockNumber
current_block(const PageWriter *out)
{
    return out->written + out->count - 1;
}

/*
 * The next checkpoint brings the pages to disk, as smgrextend has asked for;
 * until then recovery makes them from the WAL.  Unless a checkpoint has begun
 * meanwhile: recovery would not see what was logged before it, and it may not
 * have seen what was written since.
 */
static void
end_pages(PageWriter *out)
{
    write_pages(out);
    if (out->logged && out->redo != GetRedoRecPtr())
        smgrimmedsync(RelationGetSmgr(out->rel), out->fork);
}

/* ---- rows ----------------------------------------------------------------------- */

HeapWriter *
heap_writer_begin(Relation heap)
{
    HeapWriter *writer = palloc0(sizeof(HeapWriter));

    begin_pages(&writer->out, heap, MAIN_FORKNUM, true);
    writer->xid = GetCurrentTransactionId();
    writer->spare = RelationGetTargetPageFreeSpace(heap, HEAP_DEFAULT_FILLFACTOR);
    writer->form = row_form_create(RelationGetDescr(heap));
    return writer;
}

/* Room for a row of that length, zeroed, at its place; *tid is that place. */
static HeapTupleHeader
take_room(HeapWriter *writer, Size length, ItemPointer tid)
{
    PageHeader page = (PageHeader) writer->page;
    Size aligned = MAXALIGN(length);
    OffsetNumber offset;

    if (aligned > MaxHeapTupleSize)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("row is too big: size %zu, maximum size %zu", aligned, MaxHeapTupleSize)));
    if (page == NULL || (aligned + writer->spare > PageGetHeapFreeSpace(writer->page) && PageGetMaxOffsetNumber(writer->page) > 0))
    {
        writer->page = next_page(&writer->out);
        PageSetAllVisible(writer->page);
        page = (PageHeader) writer->page;
    }
    offset = PageGetMaxOffsetNumber(writer->page) + 1;
    page->pd_lower += sizeof(ItemIdData);
    page->pd_upper -= aligned;
    ItemIdSetNormal(PageGetItemId(writer->page, offset), page->pd_upper, length);
    ItemPointerSet(tid, current_block(&writer->out), offset);
    return (HeapTupleHeader) ((char *) page + page->pd_upper);
}

/* What all rows have in common; the rest of the header is there. */
static void
finish_header(const HeapWriter *writer, HeapTupleHeader row, const ItemPointerData *tid)
{
    row->t_infomask &= ~HEAP_XACT_MASK;
    row->t_infomask2 &= ~HEAP2_XACT_MASK;
    row->t_infomask |= HEAP_XMAX_INVALID;
    HeapTupleHeaderSetXmin(row, writer->xid);
    HeapTupleHeaderSetXminFrozen(row);
    HeapTupleHeaderSetCmin(row, FirstCommandId);
    HeapTupleHeaderSetXmax(row, InvalidTransactionId);
    row->t_ctid = *tid;
}

/* A row that is long, or has values that lie elsewhere. */
static void
put_long(HeapWriter *writer, TupleTableSlot *slot)
{
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(writer->out.rel), slot->tts_values, slot->tts_isnull);
    HeapTupleHeader row;

    if (HeapTupleHasExternal(tuple) || tuple->t_len > TOAST_TUPLE_THRESHOLD)
        tuple = heap_toast_insert_or_update(writer->out.rel, tuple, NULL, TOAST_OPTIONS);
    row = take_room(writer, tuple->t_len, &slot->tts_tid);
    memcpy(row, tuple->t_data, tuple->t_len);
    finish_header(writer, row, &slot->tts_tid);
}

void
heap_writer_put(HeapWriter *writer, TupleTableSlot *slot)
{
    Size length = row_form_measure(writer->form, slot);
    HeapTupleHeader row;

    if (length == 0 || length > TOAST_TUPLE_THRESHOLD)
    {
        put_long(writer, slot);
        return;
    }
    row = take_room(writer, length, &slot->tts_tid);
    row_form_fill(writer->form, slot, row);
    finish_header(writer, row, &slot->tts_tid);
}

/* ---- the end -------------------------------------------------------------------- */

/* All rows of these blocks are visible to everybody, and frozen. */
static void
write_visibility_map(Relation heap, BlockNumber nblocks)
{
    PageWriter out = {0};

    smgrcreate(RelationGetSmgr(heap), VISIBILITYMAP_FORKNUM, false);
    if (RelationNeedsWAL(heap))
        log_smgrcreate(compat_storage(heap), VISIBILITYMAP_FORKNUM);
    begin_pages(&out, heap, VISIBILITYMAP_FORKNUM, false);
    for (BlockNumber first = 0; first < nblocks; first += MAP_BLOCKS_PER_PAGE)
    {
        uint8 *map = (uint8 *) PageGetContents(next_page(&out));

        for (BlockNumber i = 0; i < MAP_BLOCKS_PER_PAGE && first + i < nblocks; i++)
            map[i / MAP_BLOCKS_PER_BYTE] |= VISIBILITYMAP_VALID_BITS << (i % MAP_BLOCKS_PER_BYTE * BITS_PER_HEAPBLOCK);
    }
    end_pages(&out);
}

BlockNumber
heap_writer_end(HeapWriter *writer)
{
    end_pages(&writer->out);
    writer->page = NULL;
    if (writer->out.written > 0)
        write_visibility_map(writer->out.rel, writer->out.written);
    return writer->out.written;
}
