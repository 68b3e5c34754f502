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

typedef enum Spelling { SPELLING_SAME, SPELLING_NEW, SPELLING_BAD } Spelling;

static inline bool
digit(const char *s, const char *end)
{
    return s < end && *s >= '0' && *s <= '9';
}

static const char *
copy_digits(const char *s, const char *end, char **out)
{
    while (digit(s, end))
        *(*out)++ = *s++;
    return s;
}

/*
 * The whole part: digits, or one to three digits and then groups of three.
 * Returns where it ends, NULL when the groups are wrong.
 */
static const char *
whole_part(const char *s, const char *end, const char *thousands, char **out)
{
    size_t length = strlen(thousands);
    const char *from = s;
    bool first = true;

    for (;;)
    {
        s = copy_digits(from, end, out);
        if (!first && s - from != 3)
            return NULL;
        if (length == 0 || (size_t) (end - s) < length || memcmp(s, thousands, length) != 0 ||
            !digit(s + length, end))
            return s;
        if (first && (s - from < 1 || s - from > 3))
            return NULL;
        first = false;
        from = s + length;
    }
}

/* The cell has one of the characters that separators are made of. */
static bool
has_separator(const CsvOptions *o, Cell cell)
{
    return memchr(cell.s, o->decimal, cell.n) != NULL || memchr(cell.s, '.', cell.n) != NULL ||
        (o->thousands[0] != '\0' && memchr(cell.s, o->thousands[0], cell.n) != NULL);
}

/* out has room for cell.n bytes; *n: how many were written. */
static Spelling
respell(const CsvOptions *o, Cell cell, char *out, size_t *n)
{
    const char *s, *end;
    char *to = out;

    *n = 0;
    if (!has_separator(o, cell))
        return SPELLING_SAME;
    cell = csv_trim(cell);
    s = cell.s;
    end = s + cell.n;
    /* Only spaces, and a space is the separator. */
    if (s == end)
        return SPELLING_SAME;
    if (*s == '+' || *s == '-')
        *to++ = *s++;
    s = whole_part(s, end, o->thousands, &to);
    if (s != NULL && s < end && *s == o->decimal)
    {
        *to++ = '.';
        s = copy_digits(s + 1, end, &to);
    }
    if (s != NULL && s < end && (*s == 'e' || *s == 'E'))
    {
        *to++ = *s++;
        if (s < end && (*s == '+' || *s == '-'))
            *to++ = *s++;
        s = copy_digits(s, end, &to);
    }
    if (s != end)
        return SPELLING_BAD;
    *n = (size_t) (to - out);
    return SPELLING_NEW;
}

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
            spelling = respell(csv->options, cell, out, &written);
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
