/*
 * csv_cells.c: cutting fields out of rows.
 *
 * A segment's rows (csv->rows) and a field's number become cells in csv->cells:
 * pointers into the window, or into csv->scratch where quotes had to be undone.
 * The usual case has a loop of its own; trimming and rows of other lengths have
 * another.  Pseudo-columns become text here too.
 */
#include <stdio.h>
#include <string.h>

#include "format/csv.h"

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

/* The same for trimmed fields and rows of any length. */
static void
cut_ragged(Csv *csv, uint32_t n, uint32_t field)
{
    const CsvOptions *o = csv->options;
    char *scratch = (char *) csv->scratch.data;
    uint32_t i;

    for (i = 0; i < n; i++)
    {
        const CsvRow *row = &csv->rows[i];
        Cell cell = {NULL, 0};
        bool quoted = false;

        if (field < row->nfields)
        {
            cell = csv_field(csv, row, field, &quoted);
            if (quoted && memchr(cell.s, o->dialect.escape, cell.n) != NULL)
            {
                cell.n = csv_unescape(o, cell, scratch);
                cell.s = scratch;
                scratch += cell.n;
            }
            if (o->trim == CSV_TRIM_ALL || (o->trim == CSV_TRIM_UNQUOTED && !quoted))
                cell = csv_trim(cell);
            if (!quoted && is_null(o, cell.s, cell.n))
                cell = (Cell) {NULL, 0};
        }
        csv->cells[i] = cell;
    }
}

void
csv_cut_field(Csv *csv, uint32_t n, uint32_t field)
{
    if (csv->ragged || csv->options->trim != CSV_TRIM_NONE)
        cut_ragged(csv, n, field);
    else
        cut_plain(csv, n, field);
}

/* ---- pseudo-columns ------------------------------------------------------ */

static size_t
write_number(char *out, uint64_t value)
{
    char digits[CSV_PSEUDO_MAX];
    size_t n = 0, i;

    do
        digits[n++] = (char) ('0' + value % 10);
    while ((value /= 10) != 0);
    for (i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

/* Microseconds since 1970 as a timestamptz in UTC; out has 64 bytes. */
static size_t
write_time(char *out, int64_t micros)
{
    int64_t seconds = micros / 1000000, days, z, era, doe, yoe, doy, mp, y, m;
    int fraction = (int) (micros % 1000000);

    if (fraction < 0)
        fraction += 1000000, seconds--;
    days = seconds / 86400;
    if (seconds % 86400 < 0)
        days--;
    seconds -= days * 86400;
    /* Days to year, month, day: eras of 400 years that begin on 1 March. */
    z = days + 719468;
    era = (z >= 0 ? z : z - 146096) / 146097;
    doe = z - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    m = mp < 10 ? mp + 3 : mp - 9;
    y = yoe + era * 400 + (m <= 2 ? 1 : 0);
    return (size_t) snprintf(out, 64, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", (int) y, (int) m,
                             (int) (doy - (153 * mp + 2) / 5 + 1), (int) (seconds / 3600),
                             (int) (seconds / 60 % 60), (int) (seconds % 60), fraction);
}

void
csv_cut_pseudo(Csv *csv, const FormatSplit *split, uint32_t n, int which)
{
    char *scratch = (char *) csv->scratch.data;
    size_t length = strlen(split->path);
    uint32_t i;

    if (which == FIELD_SOURCE)
        memcpy(scratch, split->path, length);
    else if (which == FIELD_MODIFIED_AT)
        length = write_time(scratch, split->mtime);
    for (i = 0; i < n; i++)
    {
        if (which == FIELD_LINE || which == FIELD_OFFSET)
        {
            length = write_number(scratch, which == FIELD_LINE ? csv->rows[i].line
                                  : csv->base + csv->rows[i].start);
            csv->cells[i] = (Cell) {scratch, length};
            scratch += length;
        }
        else
            csv->cells[i] = (Cell) {scratch, length};
    }
}
