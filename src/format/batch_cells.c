/*
 * batch_cells.c: the loops that turn fields into typed cells.
 *
 * One loop a kind of column, so that each is a tight run over some hundred
 * fields with one converter.  A loop first reserves the arena for all of its
 * text at once and then writes without further checks.  Cells that are not
 * known to be clean are looked at one by one before anything else: invalid
 * bytes never reach a converter or, unescaped, an arena.
 */
#include "format/batch_cells.h"

#include <string.h>

#include "format/convert.h"

/* What a text cell takes in the arena over its own bytes: padding and room. */
#define TEXT_OVERHEAD 8

/* Short texts are most of all: two fixed copies beat a call with a length. */
static inline void
copy_text(uint8_t *to, const char *from, size_t n)
{
    if (n <= 16)
        memcpy(to, from, 16);
    else if (n <= 32)
    {
        memcpy(to, from, 16);
        memcpy(to + 16, from + 16, 16);
    }
    else
        memcpy(to, from, n);
}

/* Puts text into the arena, which has room for it, and returns its slot. */
static inline uint64_t
put_text(Buf *arena, const char *s, size_t n)
{
    uint32_t at = (uint32_t) arena->used;

    if (n <= WIRE_SHORT_MAX)
    {
        arena->data[at] = WIRE_ROOM_FILL;
        copy_text(arena->data + at + 1, s, n);
        arena->used = (size_t) at + 1 + n;
    }
    else
    {
        memset(arena->data + at, WIRE_ROOM_FILL, 8);
        at = (at + 3) & ~(uint32_t) 3;
        memcpy(arena->data + at + 4, s, n);
        arena->used = (size_t) at + 4 + n;
    }
    return (uint64_t) n << 32 | at;
}

static bool
reserve_text(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    size_t total = (size_t) n * TEXT_OVERHEAD;
    uint32_t i;

    for (i = 0; i < n; i++)
        total += cells[i].n;
    return buf_reserve(&column->arena, total, st);
}

/* A cell that is not VALUE: its state, and its text unless it is null. */
static inline void
set_state(BatchColumn *column, uint32_t row, uint8_t state)
{
    column->states[row] = state;
    column->any_state = true;
}

static inline void
set_null(BatchColumn *column, uint32_t row)
{
    column->values[row] = 0;
    set_state(column, row, WIRE_NULL);
}

/*
 * What the converter did not decide.  Under `coerce` the server may try to
 * mend what is wrong, so it gets the cell as raw.
 */
static bool
set_text_state(BatchColumn *column, uint32_t row, uint8_t state, const Cell *cell, Status *st)
{
    if (column->spec.coerce && state != WIRE_BAD_ENCODING)
        state = WIRE_RAW;
    if (!buf_reserve(&column->arena, cell->n + TEXT_OVERHEAD, st))
        return false;
    column->values[row] = put_text(&column->arena, cell->s, cell->n);
    set_state(column, row, state);
    return true;
}

/* Where a text begins whose length is not known yet: behind the largest room. */
static inline uint32_t
open_text(const Buf *arena)
{
    return ((uint32_t) arena->used + 3) & ~(uint32_t) 3;
}

uint8_t *
cells_text_room(BatchColumn *column, size_t most, Status *st)
{
    if (!buf_reserve(&column->arena, most + TEXT_OVERHEAD, st))
        return NULL;
    return column->arena.data + open_text(&column->arena) + 4;
}

void
cells_text_take(BatchColumn *column, size_t n)
{
    Buf *arena = &column->arena;
    uint32_t at = open_text(arena);

    memset(arena->data + arena->used, WIRE_ROOM_FILL, at + 4 - arena->used);
    if (n <= WIRE_SHORT_MAX)
        at += 3;
    column->values[column->filled] = (uint64_t) n << 32 | at;
    arena->used = (size_t) at + wire_text_room((uint32_t) n) + n;
}

/* What a text takes at most once it is escaped: a zero byte becomes six, any other that is not ASCII up to four. */
static size_t
escaped_size(const Cell *cell)
{
    size_t size = cell->n + 1;

    for (size_t i = 0; i < cell->n; i++)
        size += cell->s[i] == '\0' ? 5 : (uint8_t) cell->s[i] >= 0x80 ? 3 : 0;
    return size;
}

static bool
set_bad_text(BatchColumn *column, const Cell *cell, bool json, Status *st)
{
    size_t most = escaped_size(cell);
    char *room = (char *) cells_text_room(column, most, st);
    bool escapes = false;

    if (room == NULL)
        return false;
    cells_text_take(column, json ? convert_json_escape(cell->s, cell->n, room, most, &escapes) : convert_utf8_escape(cell->s, cell->n, room, most));
    set_state(column, column->filled, escapes ? WIRE_BAD_ESCAPE : WIRE_BAD_ENCODING);
    return true;
}

/* ---- text -------------------------------------------------------------- */

static bool
append_text(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;
    bool raw = column->spec.kind == COLUMN_RAW || column->spec.kind == COLUMN_JSON;

    if (!reserve_text(column, cells, n, st))
        return false;
    for (i = 0; i < n; i++, row++)
    {
        if (cells[i].s == NULL)
            set_null(column, row);
        else
        {
            column->values[row] = put_text(&column->arena, cells[i].s, cells[i].n);
            if (raw)
                set_state(column, row, WIRE_RAW);
        }
    }
    return true;
}

static bool
append_varchar(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;
    size_t limit = (size_t) column->spec.length;

    if (!reserve_text(column, cells, n, st))
        return false;
    for (i = 0; i < n; i++, row++)
    {
        size_t keep = cells[i].n;
        uint8_t state = WIRE_VALUE;

        if (cells[i].s == NULL)
        {
            set_null(column, row);
            continue;
        }
        /* As many bytes as characters allowed: it can't be too long. */
        if (keep > limit)
            state = convert_varchar(cells[i].s, cells[i].n, limit, column->spec.coerce, &keep);
        if (state != WIRE_VALUE)
        {
            keep = cells[i].n;
            set_state(column, row, state);
        }
        column->values[row] = put_text(&column->arena, cells[i].s, keep);
    }
    return true;
}

/* ---- everything else --------------------------------------------------- */

/*
 * The loop around a converter: CALL sets `state` from cell `c` and, for a
 * value, column->values[row].  A macro, so that each loop has its converter's
 * call and nothing else in it.
 */
#define CONVERT_LOOP(CALL) \
    for (i = 0; i < n; i++, row++) \
    { \
        const Cell *c = &cells[i]; \
        uint8_t state; \
        if (c->s == NULL) \
        { \
            set_null(column, row); \
            continue; \
        } \
        CALL; \
        if (__builtin_expect(state != WIRE_VALUE, 0) && !set_text_state(column, row, state, c, st)) \
            return false; \
    } \
    return true

static bool
append_int(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;
    int64_t min = INT64_MIN, max = INT64_MAX;

    if (column->spec.kind == COLUMN_INT4)
        min = INT32_MIN, max = INT32_MAX;
    else if (column->spec.kind == COLUMN_INT2)
        min = INT16_MIN, max = INT16_MAX;
    CONVERT_LOOP(state = convert_int(c->s, c->n, min, max, (int64_t *) &column->values[row]));
}

static bool
append_bool(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;

    CONVERT_LOOP(state = convert_bool(c->s, c->n, (int64_t *) &column->values[row]));
}

static bool
append_date(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;

    CONVERT_LOOP(state = convert_date(c->s, c->n, (int64_t *) &column->values[row]));
}

static bool
append_timestamp(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;

    CONVERT_LOOP(state = convert_timestamp(c->s, c->n, (int64_t *) &column->values[row]));
}

static bool
append_timestamptz(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;

    CONVERT_LOOP(state = convert_timestamptz(c->s, c->n, (int64_t *) &column->values[row]));
}

static bool
append_float8(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;
    double value = 0;

    CONVERT_LOOP(state = convert_float8(c->s, c->n, &value);
                 memcpy(&column->values[row], &value, sizeof(value)));
}

static bool
append_float4(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;
    double value = 0;

    CONVERT_LOOP(state = convert_float4(c->s, c->n, &value);
                 memcpy(&column->values[row], &value, sizeof(value)));
}

static bool
append_numeric(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    uint32_t row = column->filled, i;
    int precision = column->spec.precision, scale = column->spec.scale;

    memset(column->scales + row, 0, n);
    if (precision == 0)
    {
        CONVERT_LOOP(state = convert_decimal(c->s, c->n, (int64_t *) &column->values[row],
                                             &column->scales[row]);
                     if (state != WIRE_VALUE) column->scales[row] = 0);
    }
    /* A scale that a decimal cell can't have: the server reads the digits. */
    if (scale < 0 || scale > 18)
    {
        CONVERT_LOOP(state = WIRE_RAW);
    }
    memset(column->scales + row, scale, n);
    CONVERT_LOOP(state = convert_decimal_to(c->s, c->n, precision, scale,
                                            (int64_t *) &column->values[row]));
}

static bool
append_kind(BatchColumn *column, const Cell *cells, uint32_t n, Status *st)
{
    switch (column->spec.kind)
    {
        case COLUMN_VARCHAR:
            return append_varchar(column, cells, n, st);
        case COLUMN_BOOL:
            return append_bool(column, cells, n, st);
        case COLUMN_INT2:
        case COLUMN_INT4:
        case COLUMN_INT8:
            return append_int(column, cells, n, st);
        case COLUMN_NUMERIC:
            return append_numeric(column, cells, n, st);
        case COLUMN_FLOAT4:
            return append_float4(column, cells, n, st);
        case COLUMN_FLOAT8:
            return append_float8(column, cells, n, st);
        case COLUMN_DATE:
            return append_date(column, cells, n, st);
        case COLUMN_TIMESTAMP:
            return append_timestamp(column, cells, n, st);
        case COLUMN_TIMESTAMPTZ:
            return append_timestamptz(column, cells, n, st);
        default:
            return append_text(column, cells, n, st);
    }
}

bool
cells_append(BatchColumn *column, const Cell *cells, uint32_t n, CellsAre are, Status *st)
{
    uint32_t i;

    if (are == CELLS_CLEAN)
    {
        if (!append_kind(column, cells, n, st))
            return false;
        column->filled += n;
        return true;
    }
    for (i = 0; i < n; i++)
    {
        if (cells[i].s != NULL && !convert_utf8_valid(cells[i].s, cells[i].n))
        {
            if (!set_bad_text(column, &cells[i], are == CELLS_OF_JSON, st))
                return false;
            if (column->scales != NULL)
                column->scales[column->filled] = 0;
        }
        else if (!append_kind(column, &cells[i], 1, st))
            return false;
        column->filled++;
    }
    return true;
}
