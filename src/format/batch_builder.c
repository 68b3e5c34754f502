/*
 * batch_builder.c: memory of a batch and its message; see batch_builder.h.
 *
 * A column's arrays have their final form and size from the start; only the
 * arenas grow.  The message is therefore a list of pieces: the headers, built
 * at the end because they hold the distances, then each array where it lies,
 * with zeros between so that each begins at a multiple of 8.  Every array is
 * allocated with room for those zeros.
 */
#include "format/batch_builder.h"

#include <stdlib.h>
#include <string.h>

#include "format/batch_cells.h"
#include "format/convert.h"

/* Headers; lines, offsets; per column states, values, scales, arena; rejects. */
#define PIECES(ncols) (3 + 4 * (size_t) (ncols) + 1)
/* How much longer than the text of the columns that of the records may become. */
#define RECORD_SHARE 4
#define HEAD_MAX (sizeof(WireHeader) + sizeof(WireBatchHeader) + WIRE_MAX_COLUMNS * sizeof(WireColumnHeader))

WireColumnType
column_wire_type(ColumnKind kind)
{
    static const uint8_t types[COLUMN_KINDS] = {
        [COLUMN_TEXT] = WIRE_TEXT, [COLUMN_VARCHAR] = WIRE_TEXT, [COLUMN_RAW] = WIRE_TEXT, [COLUMN_JSON] = WIRE_TEXT, [COLUMN_RECORD] = WIRE_TEXT,
        [COLUMN_BOOL] = WIRE_BOOL, [COLUMN_INT2] = WIRE_INT, [COLUMN_INT4] = WIRE_INT,
        [COLUMN_INT8] = WIRE_INT, [COLUMN_NUMERIC] = WIRE_DECIMAL, [COLUMN_FLOAT4] = WIRE_FLOAT, [COLUMN_FLOAT8] = WIRE_FLOAT,
        [COLUMN_DATE] = WIRE_DATE, [COLUMN_TIMESTAMP] = WIRE_TIMESTAMP,
        [COLUMN_TIMESTAMPTZ] = WIRE_TIMESTAMPTZ,
    };

    return (WireColumnType) types[kind];
}

static bool
allocate(void *out, size_t n, size_t element, Status *st)
{
    void *memory = calloc(n + 8, element);

    if (memory == NULL)
        return status_out_of_memory(st, (n + 8) * element);
    *(void **) out = memory;
    return true;
}

static bool
init_column(BatchColumn *column, const ColumnSpec *spec, uint32_t max_rows, Status *st)
{
    column->spec = *spec;
    buf_init(&column->arena, WIRE_MAX_MESSAGE);
    if (!allocate(&column->states, max_rows, 1, st) || !allocate(&column->values, max_rows, 8, st))
        return false;
    return column_wire_type(spec->kind) != WIRE_DECIMAL || allocate(&column->scales, max_rows, 1, st);
}

bool
batch_init(BatchBuilder *b, const ColumnSpec *specs, uint32_t ncols,
           uint32_t max_rows, size_t max_bytes, Status *st)
{
    uint32_t i;
    bool fine;

    memset(b, 0, sizeof(*b));
    b->max_rows = max_rows;
    b->max_bytes = max_bytes;
    buf_init(&b->rejects, WIRE_MAX_MESSAGE);
    buf_init(&b->head, HEAD_MAX);
    fine = allocate(&b->columns, ncols, sizeof(BatchColumn), st) &&
        allocate(&b->lines, max_rows, sizeof(uint32_t), st) &&
        allocate(&b->offsets, max_rows, sizeof(uint32_t), st) &&
        allocate(&b->pieces, PIECES(ncols), sizeof(struct iovec), st);
    for (i = 0; fine && i < ncols; i++)
    {
        b->ncols = i + 1;
        fine = init_column(&b->columns[i], &specs[i], max_rows, st);
    }
    if (!fine)
        batch_free(b);
    else if (ncols > 0 && specs[ncols - 1].kind == COLUMN_RECORD)
        b->record = &b->columns[ncols - 1];
    return fine;
}

void
batch_free(BatchBuilder *b)
{
    uint32_t i;

    for (i = 0; i < b->ncols; i++)
    {
        free(b->columns[i].states);
        free(b->columns[i].values);
        free(b->columns[i].scales);
        buf_free(&b->columns[i].arena);
    }
    free(b->columns);
    free(b->lines);
    free(b->offsets);
    free(b->pieces);
    buf_free(&b->rejects);
    buf_free(&b->head);
    memset(b, 0, sizeof(*b));
}

void
batch_reset(BatchBuilder *b)
{
    uint32_t i;

    for (i = 0; i < b->ncols; i++)
    {
        BatchColumn *column = &b->columns[i];

        if (column->any_state)
            memset(column->states, 0, column->filled);
        column->any_state = false;
        column->filled = 0;
        column->arena.used = 0;
        /* One huge field should not hold its memory for the rest of the file. */
        if (column->arena.size > (8U << 20))
            buf_free(&column->arena);
    }
    b->nrows = 0;
    b->nrejects = 0;
    b->rejects.used = 0;
    b->started = false;
    b->first_line = b->first_offset = 0;
}

bool
batch_full(const BatchBuilder *b)
{
    size_t text = b->rejects.used;
    uint32_t i;

    if (b->nrows >= b->max_rows || b->nrejects >= b->max_rows)
        return true;
    for (i = 0; i < b->ncols; i++)
        text += b->columns[i].arena.used;
    if (b->record == NULL)
        return text > b->max_bytes;
    /* Records make no batch smaller, unless they have much that no column takes. */
    text -= b->record->arena.used;
    return text > b->max_bytes || b->record->arena.used > RECORD_SHARE * b->max_bytes;
}

bool
batch_complete(const BatchBuilder *b)
{
    uint32_t i;

    for (i = 0; i < b->ncols; i++)
        if (b->columns[i].filled != b->nrows)
            return false;
    return true;
}

bool
batch_cells(BatchBuilder *b, uint32_t column, const Cell *cells, uint32_t n, bool clean, Status *st)
{
    return cells_append(&b->columns[column], cells, n, clean ? CELLS_CLEAN : CELLS_UNKNOWN, st);
}

bool
batch_cells_json(BatchBuilder *b, uint32_t column, const Cell *cells, uint32_t n, Status *st)
{
    return cells_append(&b->columns[column], cells, n, CELLS_OF_JSON, st);
}

uint8_t *
batch_record_room(BatchBuilder *b, size_t most, Status *st)
{
    return cells_text_room(b->record, most, st);
}

void
batch_record_take(BatchBuilder *b, size_t n)
{
    cells_text_take(b->record, n);
    b->record->filled++;
}

bool
batch_record_name(BatchBuilder *b, uint32_t n, const char *name, Status *st)
{
    size_t length = strlen(name);

    for (; n > 0; n--)
    {
        uint8_t *room = batch_record_room(b, length, st);

        if (room == NULL)
            return false;
        memcpy(room, name, length);
        batch_record_take(b, length);
    }
    return true;
}

void
batch_nulls(BatchBuilder *b, uint32_t column, uint32_t n)
{
    BatchColumn *c = &b->columns[column];

    if (n == 0)
        return;
    memset(c->states + c->filled, WIRE_NULL, n);
    memset(c->values + c->filled, 0, n * sizeof(uint64_t));
    if (c->scales != NULL)
        memset(c->scales + c->filled, 0, n);
    c->any_state = true;
    c->filled += n;
}

bool
batch_reject(BatchBuilder *b, uint64_t line, uint64_t offset, const char *sqlstate,
             const char *message, Cell raw, bool cut, Status *st)
{
    WireWriter w = {0};
    WireReject reject = {0};
    size_t length = strlen(message), raw_max = raw.n * 4 < BATCH_RAW_MAX ? raw.n * 4 : BATCH_RAW_MAX;
    size_t record = 4 + 8 + 8 + 5 + 4 + length + 1 + 4, written;

    if (b->record != NULL)
        raw_max = raw.n;

    if (!buf_reserve(&b->rejects, record + raw_max + 8, st))
        return false;
    if (!b->started)
    {
        b->started = true;
        b->first_line = line;
        b->first_offset = offset;
    }
    /* The raw text is escaped where it will lie: right behind its length. */
    if (b->record != NULL)
        memcpy(b->rejects.data + b->rejects.used + record, raw.s, written = raw.n);
    else
        written = convert_utf8_escape(raw.s, raw.n, (char *) b->rejects.data + b->rejects.used + record, raw_max);
    reject.before_row = b->nrows;
    reject.line = line;
    reject.offset = offset;
    memcpy(reject.sqlstate, sqlstate, 5);
    reject.message = (WireStr) {message, (uint32_t) length};
    reject.cut = cut;
    reject.raw = (WireStr) {"", 0};
    w.data = b->rejects.data + b->rejects.used;
    w.size = record;
    wire_put_reject(&w, &reject);
    memcpy(b->rejects.data + b->rejects.used + record - 4, &(uint32_t) {(uint32_t) written}, 4);
    b->rejects.used += record + written;
    b->nrejects++;
    return true;
}

/* ---- the message ------------------------------------------------------- */

typedef struct Layout
{
    struct iovec *pieces;
    int npieces;
    uint64_t at;    /* length of the body so far */
} Layout;

/* Adds an array (which has 8 spare bytes) and returns its place; 0 when it is empty. */
static uint32_t
add_piece(Layout *layout, void *data, size_t n)
{
    uint64_t at = layout->at;
    size_t padded = (n + 7) & ~(size_t) 7;

    if (n == 0)
        return 0;
    memset((uint8_t *) data + n, 0, padded - n);
    layout->pieces[layout->npieces].iov_base = data;
    layout->pieces[layout->npieces].iov_len = padded;
    layout->npieces++;
    layout->at += padded;
    return (uint32_t) at;
}

static void
add_column(Layout *layout, BatchColumn *column, uint32_t nrows, WireColumnHeader *header)
{
    header->type = column_wire_type(column->spec.kind);
    header->states_at = column->any_state ? add_piece(layout, column->states, nrows) : 0;
    header->values_at = add_piece(layout, column->values, (size_t) nrows * 8);
    header->scales_at = header->type == WIRE_DECIMAL ? add_piece(layout, column->scales, nrows) : 0;
    header->arena_at = add_piece(layout, column->arena.data, column->arena.used);
    header->arena_length = (uint32_t) column->arena.used;
}

bool
batch_finish(BatchBuilder *b, uint32_t split, uint64_t bytes_read,
             struct iovec **pieces, int *npieces, Status *st)
{
    size_t body_head = sizeof(WireBatchHeader) + b->ncols * sizeof(WireColumnHeader);
    Layout layout = {b->pieces, 1, body_head};
    WireHeader *header;
    WireBatchHeader *batch;
    uint32_t i, end;

    b->head.used = 0;
    if (!buf_reserve(&b->head, sizeof(WireHeader) + body_head, st))
        return false;
    header = (WireHeader *) b->head.data;
    batch = (WireBatchHeader *) (b->head.data + sizeof(WireHeader));
    memset(header, 0, sizeof(*header));
    memset(batch, 0, sizeof(*batch));
    batch->split = split;
    batch->nrows = b->nrows;
    batch->ncols = b->ncols;
    batch->nrejects = b->nrejects;
    batch->first_line = b->started ? b->first_line : 1;
    batch->first_offset = b->first_offset;
    batch->bytes_read = bytes_read;
    batch->columns_at = sizeof(WireBatchHeader);
    batch->lines_at = add_piece(&layout, b->lines, b->nrows * sizeof(uint32_t));
    batch->offsets_at = add_piece(&layout, b->offsets, b->nrows * sizeof(uint32_t));
    for (i = 0; i < b->ncols; i++)
        add_column(&layout, &b->columns[i], b->nrows, (WireColumnHeader *) (batch + 1) + i);
    batch->rejects_at = add_piece(&layout, b->rejects.data, b->rejects.used);
    batch->rejects_length = (uint32_t) b->rejects.used;
    if (layout.at > WIRE_MAX_MESSAGE)
        return status_fail(st, STATUS_LIMIT, "a batch of %llu bytes is longer than a message may be (%u)",
                           (unsigned long long) layout.at, WIRE_MAX_MESSAGE);
    /* Empty arrays still need a place inside the body. */
    end = (uint32_t) layout.at;
    if (b->nrows == 0)
        batch->lines_at = batch->offsets_at = end;
    if (b->rejects.used == 0)
        batch->rejects_at = end;
    header->magic = WIRE_MAGIC;
    header->version = WIRE_VERSION;
    header->type = WIRE_BATCH;
    header->length = (uint32_t) layout.at;
    b->pieces[0].iov_base = b->head.data;
    b->pieces[0].iov_len = sizeof(WireHeader) + body_head;
    *pieces = b->pieces;
    *npieces = layout.npieces;
    return true;
}
