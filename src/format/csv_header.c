/*
 * csv_header.c: the names of a CSV's fields.
 *
 * They come from the header (one row or several, joined by a space), from the
 * option `columns`, or are numbers.  Names from a header are completed: one
 * that is empty becomes columnN, and one that stood before gets a number, so
 * that every field can be asked for.  csv_rows.c gives the rows; what is left
 * of the object afterwards are data.
 *
 * With `columns` the first row of a file whose header is to be found out is a
 * header when it has these very names, or when it surely is one; else it is
 * data, because a header that is loaded shows, and a row that is not does not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/convert.h"
#include "format/csv.h"

/* Bytes of "column" and a number. */
#define NUMBERED_MAX 40

/*
 * What speaks for a header (CsvDialect.header_evidence) and makes it certain
 * even though `columns` are given: more than one column.
 */
#define CERTAIN_EVIDENCE 2.5

/* Where csv_rows_next stands, to put a row back. */
typedef struct Place { size_t row, inner, bad; uint64_t line; bool discarding, closed_last; } Place;

/* Takes the next row, reading as much as it needs; *kind is not NONE. */
static bool
take_row(Csv *csv, CsvRow *row, CsvRowKind *kind, Place *before, Status *st)
{
    for (;;)
    {
        *before = (Place) {csv->next_row, csv->next_inner, csv->next_bad, csv->line, csv->discarding, csv->closed_last};
        *kind = csv_rows_next(csv, row);
        if (*kind != CSV_ROW_NONE)
            return true;
        if (!csv_rows_fill(csv, st))
            return false;
    }
}

static void
put_back(Csv *csv, const Place *before)
{
    csv->next_row = before->row;
    csv->next_inner = before->inner;
    csv->next_bad = before->bad;
    csv->line = before->line;
    csv->discarding = before->discarding;
    csv->closed_last = before->closed_last;
}

static bool
unreadable(const char *what, const CsvProblem *problem, Status *st)
{
    status_fail(st, problem->sqlstate, "%s can't be read: %s", what, problem->message);
    st->line = problem->line;
    st->offset = problem->offset;
    return false;
}

/* Makes csv->names point at the n names that lie in names_text, one behind the other. */
static bool
point_at_names(Csv *csv, size_t n, Status *st)
{
    const char *at = (const char *) csv->names_text.data;
    size_t i;

    free(csv->names);
    csv->names = calloc(n + 1, sizeof(*csv->names));
    if (csv->names == NULL)
        return status_out_of_memory(st, n * sizeof(*csv->names));
    for (i = 0; i < n; i++, at += strlen(at) + 1)
        csv->names[i] = at;
    csv->nnames = n;
    return true;
}

/* ---- from header rows ---------------------------------------------------- */

/* One field of a header row without its quotes; what had to be unescaped is in csv->scratch. */
static bool
cut_name(Csv *csv, const CsvRow *row, uint32_t field, Cell *cell, Status *st)
{
    const CsvOptions *o = csv->options;
    bool quoted;

    *cell = csv_field(csv, row, field, &quoted);
    csv->scratch.used = 0;
    if (!buf_reserve(&csv->scratch, cell->n, st))
        return false;
    if (quoted)
    {
        cell->n = csv_unescape(o, *cell, (char *) csv->scratch.data);
        cell->s = (const char *) csv->scratch.data;
    }
    if (o->header_lines > 1 || o->trim == CSV_TRIM_ALL || (o->trim == CSV_TRIM_UNQUOTED && !quoted))
        *cell = csv_trim(*cell);
    return true;
}

/* The same, where it has to be a name. */
static bool
header_cell(Csv *csv, const CsvRow *row, uint32_t field, Cell *cell, Status *st)
{
    if (!cut_name(csv, row, field, cell, st))
        return false;
    if (convert_utf8_valid(cell->s, cell->n))
        return true;
    status_fail(st, STATUS_BAD_ENCODING, "name of field %" PRIu32 " in the header has bytes that are no characters in the encoding of the file", field + 1);
    status_hint(st, "Say how it is encoded, for instance \"encoding\": \"WINDOWS-1252\" or \"LATIN1\".");
    st->line = row->line;
    st->offset = csv->base + row->start;
    return false;
}

/* Joins a header row to the names of the rows before it. */
static bool
add_header_row(Csv *csv, const CsvRow *row, Status *st)
{
    size_t n = row->nfields > csv->nnames ? row->nfields : csv->nnames, i;
    Buf joined;
    bool fine = true;

    buf_init(&joined, csv->names_text.max);
    for (i = 0; fine && i < n; i++)
    {
        const char *before = i < csv->nnames ? csv->names[i] : "";
        Cell cell = {"", 0};

        fine = (i >= row->nfields || header_cell(csv, row, (uint32_t) i, &cell, st)) &&
            buf_append(&joined, before, strlen(before), st) &&
            (before[0] == '\0' || cell.n == 0 || buf_append(&joined, " ", 1, st)) &&
            buf_append(&joined, cell.s, cell.n, st) && buf_append(&joined, "", 1, st);
    }
    if (!fine)
    {
        buf_free(&joined);
        return false;
    }
    buf_free(&csv->names_text);
    csv->names_text = joined;
    return point_at_names(csv, n, st);
}

/* ---- completing ---------------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
    const char *const *x = *(const char *const *const *) a, *const *y = *(const char *const *const *) b;
    int order = strcmp(*x, *y);

    /* Equal names in the order of their fields. */
    return order != 0 ? order : x < y ? -1 : x > y;
}

/* occurrence[i]: how many fields before i have its name. */
static bool
count_occurrences(const Csv *csv, uint32_t *occurrence, bool *any, Status *st)
{
    const char *const **order = malloc((csv->nnames + 1) * sizeof(*order));
    size_t i;

    if (order == NULL)
        return status_out_of_memory(st, csv->nnames * sizeof(*order));
    for (i = 0; i < csv->nnames; i++)
        order[i] = &csv->names[i];
    qsort(order, csv->nnames, sizeof(*order), by_name);
    *any = false;
    for (i = 1; i < csv->nnames; i++)
        if (strcmp(*order[i], *order[i - 1]) == 0)
        {
            occurrence[order[i] - csv->names] = occurrence[order[i - 1] - csv->names] + 1;
            *any = true;
        }
    free(order);
    return true;
}

static bool
taken(const Csv *csv, const char *name, const Buf *done)
{
    const char *at = (const char *) done->data, *end = at + done->used;
    size_t i;

    for (i = 0; i < csv->nnames; i++)
        if (strcmp(csv->names[i], name) == 0)
            return true;
    for (; at < end; at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

/* Appends name_2 (name_3...), the first that no field has. */
static bool
append_numbered(const Csv *csv, const char *name, uint32_t number, Buf *out, Status *st)
{
    size_t n = strlen(name), size = n + NUMBERED_MAX;
    char *text = malloc(size);
    bool fine;

    if (text == NULL)
        return status_out_of_memory(st, size);
    do
        snprintf(text, size, "%s_%" PRIu32, name, number++);
    while (taken(csv, text, out));
    fine = buf_append(out, text, strlen(text) + 1, st);
    free(text);
    return fine;
}

/* Names for the fields without one. */
static bool
fill_empty(Csv *csv, Status *st)
{
    Buf named;
    char text[NUMBERED_MAX];
    size_t i;
    bool fine = true;

    buf_init(&named, csv->names_text.max);
    for (i = 0; fine && i < csv->nnames; i++)
    {
        const char *name = csv->names[i];

        if (name[0] == '\0')
        {
            snprintf(text, sizeof(text), "column%zu", i + 1);
            name = text;
        }
        fine = buf_append(&named, name, strlen(name) + 1, st);
    }
    buf_free(&csv->names_text);
    csv->names_text = named;
    return fine && point_at_names(csv, csv->nnames, st);
}

static bool
make_unique(Csv *csv, Status *st)
{
    uint32_t *occurrence = calloc(csv->nnames + 1, sizeof(*occurrence));
    bool any = false, fine;
    size_t i;
    Buf unique;

    if (occurrence == NULL)
        return status_out_of_memory(st, csv->nnames * sizeof(*occurrence));
    buf_init(&unique, csv->names_text.max);
    fine = count_occurrences(csv, occurrence, &any, st);
    for (i = 0; fine && any && i < csv->nnames; i++)
    {
        const char *name = csv->names[i];

        if (occurrence[i] > 0)
            fine = append_numbered(csv, name, occurrence[i] + 1, &unique, st);
        else
            fine = buf_append(&unique, name, strlen(name) + 1, st);
    }
    free(occurrence);
    if (!fine || !any)
    {
        buf_free(&unique);
        return fine;
    }
    buf_free(&csv->names_text);
    csv->names_text = unique;
    return point_at_names(csv, csv->nnames, st);
}

/* ---- all of it ----------------------------------------------------------- */

/* Reads the header's rows; `keep` says whether their names count. */
static bool
read_header(Csv *csv, bool keep, Status *st)
{
    uint32_t line;
    bool some = false;
    CsvRowKind kind = CSV_ROW_FINE;
    CsvRow row;
    Place before;

    for (line = 0; kind == CSV_ROW_FINE && line < csv->options->header_lines; line++)
    {
        if (!take_row(csv, &row, &kind, &before, st))
            return false;
        if (kind == CSV_ROW_REJECT)
            return unreadable("header", &csv->problem, st);
        if (kind == CSV_ROW_FINE && keep && !add_header_row(csv, &row, st))
            return false;
        some |= kind == CSV_ROW_FINE;
    }
    return !keep || !some || (fill_empty(csv, st) && make_unique(csv, st));
}

/*
 * How many fields the first row has that can be read; 0 when there is none.
 * Takes no row.  Rows before it that can't be read are for the rows' reader to
 * reject, as long as they are not more than CSV_SAMPLE bytes: how far is looked
 * does not depend on the pieces the object comes in.
 */
static bool
count_fields(Csv *csv, uint32_t *nfields, Status *st)
{
    CsvProblem problem;
    CsvRowKind kind;
    CsvRow row;
    Place first;

    *nfields = 0;
    if (!take_row(csv, &row, &kind, &first, st))
        return false;
    problem = csv->problem;
    while (kind == CSV_ROW_REJECT || kind == CSV_ROW_NONE)
    {
        if (kind == CSV_ROW_NONE)
        {
            /* The scanner may stop a little before what was read. */
            if (csv->window.used - problem.start > CSV_SAMPLE + 4096)
                return unreadable("first row", &problem, st);
            if (!csv_rows_read(csv, CSV_CHUNK, st) || !csv_rows_scan(csv, st))
                return false;
        }
        kind = csv_rows_next(csv, &row);
        if (kind == CSV_ROW_FINE && row.start > problem.start && row.end - problem.start > CSV_SAMPLE)
            return unreadable("first row", &problem, st);
    }
    if (kind == CSV_ROW_FINE)
        *nfields = row.nfields;
    put_back(csv, &first);
    return true;
}

/* Neither a header nor `columns`: the fields are column1, column2, ... */
static bool
names_by_number(Csv *csv, Status *st)
{
    uint32_t nfields, i;
    char text[NUMBERED_MAX];

    if (!count_fields(csv, &nfields, st))
        return false;
    for (i = 0; i < nfields; i++)
    {
        snprintf(text, sizeof(text), "column%" PRIu32, i + 1);
        if (!buf_append(&csv->names_text, text, strlen(text) + 1, st))
            return false;
    }
    return point_at_names(csv, nfields, st);
}

/* The row's fields are the names in `columns`, whatever their case and the blanks around them. */
static bool
has_listed_names(Csv *csv, const CsvRow *row, bool *same, Status *st)
{
    const CsvOptions *o = csv->options;
    uint32_t i;

    *same = row->nfields == o->ncolumns;
    for (i = 0; *same && i < row->nfields; i++)
    {
        Cell cell;

        if (!cut_name(csv, row, i, &cell, st))
            return false;
        cell = csv_trim(cell);
        *same = strlen(o->columns[i]) == cell.n && strncasecmp(o->columns[i], cell.s, cell.n) == 0;
    }
    return true;
}

/* Whether the first row is a header although `columns` are given; takes no row. */
static bool
settle_header(Csv *csv, Status *st)
{
    bool same = false, certain;
    size_t used = strlen(csv->reason);
    CsvRowKind kind;
    CsvRow row;
    Place before;

    if (!take_row(csv, &row, &kind, &before, st) ||
        (kind == CSV_ROW_FINE && !has_listed_names(csv, &row, &same, st)))
        return false;
    put_back(csv, &before);
    certain = kind == CSV_ROW_FINE && csv->own.header == CSV_HEADER_YES && csv->header_evidence >= CERTAIN_EVIDENCE;
    if (same)
        snprintf(csv->reason + used, sizeof(csv->reason) - used, "; it has the names in \"columns\", so it is a header");
    else if (csv->own.header == CSV_HEADER_YES && !certain)
        snprintf(csv->reason + used, sizeof(csv->reason) - used,
                 "; with \"columns\" that is not certain enough, so it is data");
    csv->own.header = same || certain ? CSV_HEADER_YES : CSV_HEADER_NO;
    return true;
}

bool
csv_header_read(Csv *csv, Status *st)
{
    const CsvOptions *o = csv->options;
    bool listed = o->columns != NULL;

    csv->blank_rows = o->blank_rows;
    if (listed && csv->header_found && !settle_header(csv, st))
        return false;
    csv->has_header = o->header != CSV_HEADER_NO;
    if (csv->has_header)
    {
        csv->blank_rows = false;
        if (!read_header(csv, !listed, st))
            return false;
        csv->blank_rows = o->blank_rows;
    }
    else if (!listed && !names_by_number(csv, st))
        return false;
    if (listed)
    {
        csv->names = o->columns;
        csv->nnames = o->ncolumns;
    }
    csv->expected = csv->nnames;
    return true;
}
