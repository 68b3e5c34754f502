/*
 * csv_cells.c: cutting fields out of rows.
 *
 * A segment's rows (csv->rows) and a field's number become cells in csv->cells:
 * pointers into the window, or into csv->scratch where quotes had to be undone.
 * The usual case has a loop of its own; trimming and rows of other lengths have
 * another.  Pseudo-columns become text here too.
 */
#include <string.h>

#include "format/csv.h"
#include "format/pseudo.h"

Cell
csv_trim(Cell cell)
{
    while (cell.n > 0 && (cell.s[0] == ' ' || cell.s[0] == '\t'))
        cell.s++, cell.n--;
    while (cell.n > 0 && (cell.s[cell.n - 1] == ' ' || cell.s[cell.n - 1] == '\t'))
        cell.n--;
    return cell;
}

size_t
csv_unescape(const CsvOptions *options, Cell cell, char *out)
{
    char quote = (char) options->dialect.quote, escape = (char) options->dialect.escape;
    size_t i, n = 0;

    for (i = 0; i < cell.n; i++)
    {
        /* An escape counts only before a quote or an escape. */
        if (cell.s[i] == escape && i + 1 < cell.n && (cell.s[i + 1] == quote || cell.s[i + 1] == escape))
            i++;
        out[n++] = cell.s[i];
    }
    return n;
}

static inline bool
is_null(const CsvOptions *o, const char *s, size_t n)
{
    size_t i;

    if (o->only_empty_is_null)
        return n == 0;
    for (i = 0; i < o->nnulls; i++)
        if (strlen(o->nulls[i]) == n && memcmp(o->nulls[i], s, n) == 0)
            return true;
    return false;
}

/* Every row has this field, and nothing is trimmed. */
static void
cut_plain(Csv *csv, uint32_t n, uint32_t field)
{
    const CsvOptions *o = csv->options;
    const char *data = (const char *) csv->window.data;
    const uint32_t *seps = csv->scan.seps + field;
    uint8_t quote = o->dialect.quote, escape = o->dialect.escape;
    bool last = field + 1 == csv->expected;
    char *scratch = (char *) csv->scratch.data;
    uint32_t tail = csv->tail, i;

    for (i = 0; i < n; i++)
    {
        const CsvRow *row = &csv->rows[i];
        uint32_t start = seps[row->first] + 1;
        uint32_t end = last ? row->end : seps[row->first + 1] - tail;
        Cell cell = {data + start, end - start};

        if (cell.n >= 2 && (uint8_t) cell.s[0] == quote && quote != 0)
        {
            cell.s++;
            cell.n -= 2;
            if (memchr(cell.s, escape, cell.n) != NULL)
            {
                cell.n = csv_unescape(o, cell, scratch);
                cell.s = scratch;
                scratch += cell.n;
            }
        }
        else if (is_null(o, cell.s, cell.n))
            cell.s = NULL, cell.n = 0;
        csv->cells[i] = cell;
    }
}

/*
 * The cell of one field of a row, which the row need not have.  Text whose
 * quotes had to be undone lies at *scratch, which moves behind it.
 */
static inline Cell
cut_cell(const Csv *csv, const CsvRow *row, uint32_t field, char **scratch)
{
    const CsvOptions *o = csv->options;
    Cell cell;
    bool quoted;

    if (field >= row->nfields)
        return (Cell) {NULL, 0};
    cell = csv_field(csv, row, field, &quoted);
    if (quoted && memchr(cell.s, o->dialect.escape, cell.n) != NULL)
    {
        cell.n = csv_unescape(o, cell, *scratch);
        cell.s = *scratch;
        *scratch += cell.n;
    }
    if (o->trim == CSV_TRIM_ALL || (o->trim == CSV_TRIM_UNQUOTED && !quoted))
        cell = csv_trim(cell);
    if (!quoted && is_null(o, cell.s, cell.n))
        return (Cell) {NULL, 0};
    return cell;
}

/* The same for trimmed fields and rows of any length. */
static void
cut_ragged(Csv *csv, uint32_t n, uint32_t field)
{
    char *scratch = (char *) csv->scratch.data;
    uint32_t i;

    for (i = 0; i < n; i++)
        csv->cells[i] = cut_cell(csv, &csv->rows[i], field, &scratch);
}

void
csv_cut_field(Csv *csv, uint32_t n, uint32_t field)
{
    if (csv->ragged || csv->options->trim != CSV_TRIM_NONE)
        cut_ragged(csv, n, field);
    else
        cut_plain(csv, n, field);
}

/* ---- whole records -------------------------------------------------------- */

bool
csv_cut_records(Csv *csv, BatchBuilder *builder, uint32_t n, Status *st)
{
    uint32_t i, field;

    for (i = 0; i < n; i++)
    {
        const CsvRow *row = &csv->rows[i];
        uint8_t *room = batch_record_room(builder, row->end - row->start + csv->nnames * BATCH_FIELD_ROOM, st), *to = room;
        char *scratch = (char *) csv->scratch.data;

        if (room == NULL)
            return false;
        for (field = 0; field < csv->nnames; field++)
            to = batch_record_field(to, cut_cell(csv, row, field, &scratch));
        batch_record_take(builder, (size_t) (to - room));
    }
    return true;
}

/* ---- pseudo-columns ------------------------------------------------------ */

void
csv_cut_pseudo(Csv *csv, const FormatSplit *split, uint32_t n, int which)
{
    char *scratch = (char *) csv->scratch.data;
    Cell cell = {scratch, 0};
    uint32_t i;

    for (i = 0; i < n; i++)
    {
        /* of a source all rows have the same */
        if (i == 0 || which == FIELD_LINE || which == FIELD_OFFSET)
        {
            scratch += cell.n;
            cell = pseudo_cell(scratch, which, split->path, split->mtime, csv->rows[i].line, csv->base + csv->rows[i].start);
        }
        csv->cells[i] = cell;
    }
}
