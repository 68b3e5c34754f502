/*
 * csv_numbers.c: numbers written with other separators than the server's.
 *
 * With decimalSeparator or thousandsSeparator the cells of number columns are
 * respelled before they go to the batch builder: "1.234,50" becomes "1234.50".
 * Which cells are numbers at all is still the converter's to say: a cell
 * without any separator passes as it is.  A cell with separators in other
 * places than the options say would be another number to the server
 * ("1.234" where the point means thousands): it is bad syntax, and stays so.
 * What a reject shows is the cell as it was read.
 */
#include <string.h>

#include "format/convert.h"
#include "format/csv.h"
#include "wire/spelling.h"

/* Gives a row's cell a state and its text as read.  As in wire.h: room for the length word in front. */
static bool
set_cell(BatchColumn *column, uint32_t row, uint8_t state, Cell cell, Status *st)
{
    Buf *arena = &column->arena;
    uint32_t room = wire_text_room((uint32_t) cell.n), at;

    if (!buf_reserve(arena, cell.n + 8, st))
        return false;
    at = (uint32_t) arena->used;
    if (room > 1)
        at = (at + 3) & ~(uint32_t) 3;
    memset(arena->data + arena->used, WIRE_ROOM_FILL, at + room - arena->used);
    memcpy(arena->data + at + room, cell.s, cell.n);
    arena->used = (size_t) at + room + cell.n;
    column->values[row] = (uint64_t) cell.n << 32 | at;
    column->states[row] = state;
    column->any_state = true;
    if (column->scales != NULL)
        column->scales[row] = 0;
    return true;
}

bool
csv_number_cells(Csv *csv, BatchBuilder *builder, uint32_t column, uint32_t n, bool clean, Status *st)
{
    BatchColumn *target = &builder->columns[column];
    uint32_t first = target->filled, i;
    size_t bytes = 0;
    char *out;

    for (i = 0; i < n; i++)
        bytes += csv->cells[i].n;
    csv->digits.used = 0;
    if (!buf_reserve(&csv->digits, bytes, st))
        return false;
    out = (char *) csv->digits.data;
    for (i = 0; i < n; i++)
    {
        Cell cell = csv->cells[i];
        Spelling spelling = SPELLING_SAME;
        size_t written;

        if (cell.s != NULL)
            spelling = spelling_of_number(cell.s, cell.n, csv->options->decimal, csv->options->thousands, out, &written);
        if (spelling == SPELLING_NEW)
        {
            cell = (Cell) {out, written};
            out += written;
        }
        /* A place to be filled below; bytes that are not UTF-8 are the builder's to find. */
        else if (spelling == SPELLING_BAD && (clean || convert_utf8_valid(cell.s, cell.n)))
            cell = (Cell) {NULL, 0};
        csv->respelled[i] = cell;
    }
    if (!batch_cells(builder, column, csv->respelled, n, clean, st))
        return false;
    for (i = 0; i < n; i++)
    {
        Cell as_read = csv->cells[i], given = csv->respelled[i];
        uint8_t state = target->states[first + i];

        if (as_read.s == given.s)
            continue;
        if (given.s == NULL)
            state = WIRE_BAD_SYNTAX;
        if (state > WIRE_RAW && !set_cell(target, first + i, state, as_read, st))
            return false;
    }
    return true;
}
