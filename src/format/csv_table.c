/*
 * csv_table.c: where the table begins, and whether it has a header; see csv_table.h.
 *
 * Lines before a table are told by their shape where they have one: fewer
 * fields, or most of them empty.  A title that chances to have as many
 * delimiters as the table has fields is told by what follows it: a row that
 * can be a header where the data are numbers, and that names columns, or from
 * which a blank line parts it, while the title is written like prose.  Without
 * such a sign a row belongs to the table: nothing is left out on a guess.
 */
#include "format/csv_table.h"

#include <string.h>
#include <strings.h>

#include "format/cell_kind.h"
#include "format/csv_guess.h"

#define HEADER_ROWS 1000    /* rows that a header is compared with */
#define TITLE_ROWS 5        /* titles of the table's own shape */
#define SECTION_ROWS 30     /* "name: value" lines of the table's own shape */

static bool
same_text(const GuessCell *a, const GuessCell *b)
{
    return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

/* Words that are names of columns and rarely values; parts of a name count too. */
static bool
name_word(const GuessCell *cell)
{
    static const char *const words[] = {
        "id", "name", "date", "time", "timestamp", "email", "city", "country", "state", "address", "street", "zip", "phone",
        "price", "amount", "total", "quantity", "qty", "status", "type", "code", "value", "description", "comment", "notes",
        "created", "updated", "title", "category", "url", "first", "last", "user", "key", "number", "no", "datum", "betrag",
        "ort", "plz", "nombre", "fecha", "ciudad", "nom", "prix", "ville", "product", "customer", "account", "currency",
        "year", "month", "day", "gender", "age", "lat", "lon", "artikel", "preis", "menge", "kunde", "region", "nummer",
        "vorname", "nachname", "straße", "strasse", "telefon", "saldo", "umsatz", "anzahl", "bezeichnung", "währung",
        "prénom", "adresse", "montant", "libellé", "pays", "apellido", "precio", "cantidad", "importe", "cliente", "producto",
        "cognome", "prezzo", "naam", NULL};
    uint32_t at = 0, n;

    while (at < cell->n)
    {
        for (n = 0; at + n < cell->n && strchr(" _-./()#", cell->s[at + n]) == NULL; n++)
            ;
        for (int i = 0; words[i] != NULL && n > 0; i++)
        {
            uint32_t length = (uint32_t) strlen(words[i]), from = length > 4 && n > length ? n - length : 0;

            /* also at the end of a compound: "Buchungsdatum" */
            if (n - from == length && strncasecmp(cell->s + at + from, words[i], length) == 0)
                return true;
        }
        at += n + 1;
    }
    return false;
}

/* ---- where the table begins --------------------------------------------- */

typedef struct Beginning
{
    const Pair *pair;
    const PairSample *sample;
    const PairRow *rows;
    uint64_t typed;     /* columns of numbers and times */
    bool spaced;        /* the table itself has spaces behind its delimiters */
    uint32_t blanks;    /* rows from the table's first that have a blank line before them */
    double sure;
} Beginning;

static inline int
bits(uint64_t mask)
{
    return __builtin_popcountll(mask);
}

/* Hardly anything in as many fields as the table has. */
static bool
sparse(const Beginning *b, const PairRow *row)
{
    return row->filled == 0 || (row->filled == 1 && b->pair->fields > 1) || (b->pair->fields >= 4 && row->filled * 2 <= b->pair->fields);
}

/* Could row i name the columns?  Words stand where the data are numbers; row numbers have no name often. */
static bool
fits_header(const Beginning *b, uint32_t i)
{
    const PairRow *row = &b->rows[i];
    uint64_t typed = row->typed & b->typed, words = row->words & b->typed;
    bool corner = ((row->words | row->typed) & 1) == 0;

    if (words == 0 || i > b->pair->last || row->fields != b->pair->fields || (sparse(b, row) && !(corner && row->fields == 2)))
        return false;
    words |= corner ? b->typed & 1 : 0;
    return bits(typed) * 10 <= bits(b->typed) * 3 && bits(words) * 10 >= bits(b->typed) * 7;
}

/* Does row i look like the data, as far as it goes? */
static bool
fits_data(const Beginning *b, uint32_t i)
{
    const PairRow *row = &b->rows[i];
    uint64_t typed = row->fields < PAIR_COLUMNS ? b->typed & (((uint64_t) 1 << row->fields) - 1) : b->typed;

    return typed != 0 && bits(row->typed & typed) * 10 >= bits(typed) * 7;
}

/* How many fields of row i are names of columns. */
static uint32_t
names_in(const Beginning *b, uint32_t i)
{
    const PairSample *sample = b->sample;
    size_t at = b->rows[i].at;
    uint32_t names = 0;
    GuessRows guess;

    guess_begin(&guess, sample->s + at, sample->n - at, true,
                &(GuessPair) {b->pair->delimiter, b->pair->length, b->pair->quote, sample->given});
    if (!guess_next(&guess))
        return 0;
    for (uint32_t c = 0; c < guess.nfields && c < GUESS_CELLS; c++)
        names += cell_kind(guess.cells[c].s, guess.cells[c].n) >= CELL_TOKEN && name_word(&guess.cells[c]);
    return names;
}

/* Past titles that were filled up with delimiters to the table's width; `from` when there are none. */
static uint32_t
past_padded_titles(Beginning *b, uint32_t from)
{
    const Pair *pair = b->pair;
    uint64_t filled = 0;
    uint32_t i = from;
    bool parted = false;

    for (; i < pair->last && !fits_header(b, i) && (sparse(b, &b->rows[i]) || b->rows[i].fields != pair->fields); i++)
        parted = b->rows[i].filled == 0;
    if (i == from || i == pair->last)
        return from;
    /* a title, then a row of delimiters alone */
    if (parted && b->rows[from].filled == 1 && b->rows[from].words == 1)
        return i;
    for (uint32_t row = 0; row < pair->nrows; row++)
        filled += b->rows[row].fields == pair->fields ? b->rows[row].filled : 0;
    /* in a table with many empty fields, such a row may be data */
    if (filled * 10 < (uint64_t) pair->same * pair->fields * 6)
        return from;
    /* what follows a title is a header, and that has no numbers */
    return fits_header(b, i) || (b->typed == 0 && pair->fields > 2 && b->rows[i].typed == 0) ? i : from;
}

/* One of the two rows below i may have a value that is none of its column's kind. */
static bool
data_follows(const Beginning *b, uint32_t i)
{
    return fits_data(b, i + 1) || (i + 2 <= b->pair->last && fits_data(b, i + 2));
}

/*
 * Past "name: value" lines that have the table's number of fields; a blank
 * line parts them from its header, or, when they are several, from its data.
 */
static uint32_t
past_sections(Beginning *b, uint32_t from)
{
    uint32_t found = from, data = 0, before = 0;

    for (uint32_t i = from; i < b->pair->last && i <= from + SECTION_ROWS; i++)
    {
        if (i > from && b->rows[i].blank)
        {
            /* one before the notes behind the table is no surprise */
            bool rare = b->blanks - ++before <= 1 + (b->pair->nrows - i) / 10;
            bool header = fits_header(b, i) && data_follows(b, i) && data * 2 < i - from;
            bool bare = found == from && i > from + 1 && data == 0 && fits_data(b, i) && fits_data(b, i + 1);

            if (rare && (header || bare))
            {
                found = i;
                b->sure = header ? 0.8 : 0.4;
            }
        }
        data += fits_data(b, i);
    }
    return found;
}

/* Is row i a title, and row `below`, the next of its shape, what it stands above? */
static bool
title_by_chance(const Beginning *b, uint32_t i, uint32_t below)
{
    const PairRow *row = &b->rows[i], *next = &b->rows[below];
    bool prose = row->spaced && !next->spaced && !b->spaced, parted = next->blank && b->blanks <= 2 + b->pair->nrows / 10;
    uint32_t names, more;

    if (b->typed != 0 && !fits_header(b, below))
        return false;
    if (below > i + 1)
        return b->typed != 0 && !fits_data(b, i);
    if (prose && (b->typed != 0 || parted))
        return true;
    /* names of columns below a row without any */
    names = names_in(b, i);
    more = names_in(b, below);
    if (prose || parted)
        return more > names;
    return b->typed != 0 && more >= names + 2 && more * 3 >= b->pair->fields && !fits_data(b, i);
}

static uint32_t
past_chance_titles(Beginning *b, uint32_t from)
{
    uint32_t i = from;

    for (int titles = 0; titles < TITLE_ROWS; titles++)
    {
        uint32_t below = i + 1;

        while (below < b->pair->last && b->rows[below].fields != b->pair->fields)
            below++;
        if (below >= b->pair->last || !title_by_chance(b, i, below))
            break;
        i = below;
    }
    if (i > from)
        b->sure = 0.7;
    return i;
}

/* Fields up to the last column that is not always empty. */
static uint32_t
used_width(const Beginning *b)
{
    uint32_t width = 0;

    for (uint32_t i = b->pair->first; i <= b->pair->last; i++)
        if (b->rows[i].fields == b->pair->fields && b->rows[i].width > width)
            width = b->rows[i].width;
    return width;
}

/*
 * A header that has not as many fields as the rows below it: one less or more,
 * none for columns that are always empty, or all of those that the rows leave out.
 */
static bool
odd_header(const Beginning *b, uint32_t i)
{
    const PairRow *row = &b->rows[i], *next = &b->rows[i + 1];
    uint32_t f = b->pair->fields, used;

    if (row->typed != 0 || next->typed == 0 || (row->spaced && !b->spaced) || row->fields < 2 || row->line + 1 != next->line)
        return false;
    if (row->fields > f + 1)
        return row->filled == row->fields && row->fields >= b->pair->most;
    used = used_width(b);
    return (row->fields + 1U >= f || row->fields >= used) && row->filled + 1U >= (used < f ? used : f);
}

/*
 * Back over rows of another length than most, one that others in the table
 * have as well: where rows leave out their last fields, the first may.
 */
static uint32_t
back_over_uneven(const Beginning *b, uint32_t from)
{
    uint32_t counts[PAIR_FIELDS + 1] = {0}, row = from;

    for (uint32_t i = b->pair->first; i <= b->pair->last; i++)
        counts[b->rows[i].fields]++;
    while (row > 0 && !b->rows[row].blank && b->rows[row - 1].fields > 1 && !sparse(b, &b->rows[row - 1]) &&
           counts[b->rows[row - 1].fields] > 1 && counts[b->rows[row - 1].fields] * 10 >= b->pair->last - b->pair->first &&
           (b->typed == 0 || fits_data(b, row - 1)))
        row--;
    return row;
}

TableBegin
table_begin(const Pair *pair, const PairSample *sample, const PairRow *rows)
{
    Beginning b = {.pair = pair, .sample = sample, .rows = rows, .typed = pair_typed_columns(pair, rows), .sure = 1};
    uint32_t spaced = 0, row = pair->first;

    /* rows before a table of one column, or most of the file, are no title */
    if (pair->fields < 2)
        return (TableBegin) {0, 1};
    for (uint32_t i = pair->first; i <= pair->last; i++)
    {
        spaced += rows[i].fields == pair->fields && rows[i].spaced;
        b.blanks += i > pair->first && rows[i].blank;
    }
    b.spaced = spaced * 4 > pair->same;
    row = past_padded_titles(&b, row);
    row = past_sections(&b, row);
    row = past_chance_titles(&b, row);
    if (row == pair->first)
    {
        row = back_over_uneven(&b, row);
        if (row > 0 && pair->fields > 2 && odd_header(&b, row - 1))
            row--;
    }
    if (row > 0 && row * 2 > pair->nrows && pair->same < 2)
        return (TableBegin) {0, 1};
    /* like the title of a table without a header */
    if (rows[row].spaced && !b.spaced && names_in(&b, row) * 2 < pair->fields)
        b.sure = 0.4;
    for (uint32_t i = 0; i < row; i++)
        if (rows[i].fields > 1 && fits_data(&b, i))
            b.sure = 0.4;
    return (TableBegin) {row, b.sure};
}

/* ---- the header --------------------------------------------------------- */

enum { MARK_DIGIT, MARK_AT, MARK_URL, MARKS };

/* What a column's cells below its first look like. */
typedef struct Column
{
    GuessCell head, next;   /* next: the first below it */
    CellKind kind;
    uint32_t kinds[CELL_KINDS];
    uint32_t repeats;       /* cells equal to the head */
    uint32_t again;         /* cells equal to next */
    uint32_t shortest, longest;
    uint32_t years;
    uint32_t marks[MARKS];  /* cells that have it */
} Column;

/* What a text may have in it that tells what it is. */
static unsigned
marks_of(const GuessCell *cell)
{
    unsigned marks = 0;

    for (uint32_t i = 0; i < cell->n; i++)
    {
        char c = cell->s[i];

        if (c >= '0' && c <= '9')
            marks |= 1U << MARK_DIGIT;
        else if (c == '@')
            marks |= 1U << MARK_AT;
        else if (c == ':' && cell->n - i > 2 && memcmp(cell->s + i, "://", 3) == 0)
            marks |= 1U << MARK_URL;
    }
    return marks;
}

static void
see_column(Column *column, const GuessCell *cell)
{
    CellKind kind = cell_kind(cell->s, cell->n);

    column->kinds[kind]++;
    if (kind == CELL_EMPTY)
        return;
    if (column->next.s == NULL)
        column->next = *cell;
    else
        column->again += same_text(&column->next, cell);
    column->repeats += same_text(&column->head, cell);
    column->years += cell_year(cell->s, cell->n) > 0;
    for (unsigned marks = marks_of(cell), i = 0; i < MARKS; i++)
        column->marks[i] += marks >> i & 1;
    column->shortest = cell->n < column->shortest ? cell->n : column->shortest;
    column->longest = cell->n > column->longest ? cell->n : column->longest;
}

/* Article numbers, telephones, mail addresses and links below a word, or below one of their kind? */
static double
marks_vote(const Column *c, uint32_t filled)
{
    unsigned head = marks_of(&c->head);
    double vote = 0;

    for (int i = 0; i < MARKS; i++)
    {
        if (c->marks[i] * 10 < filled * 9)
            continue;
        if ((head >> i & 1) == 0)
            return filled > 1 ? 1 : 0.5;
        if (i != MARK_DIGIT || (c->head.n >= c->shortest && c->head.n <= c->longest))
            vote = -0.5;
    }
    return vote;
}

/* How a column of words votes. */
static double
words_vote(const Column *c, uint32_t filled)
{
    double vote = 0, marks;

    if (c->repeats > 0)
        return -1;
    if (filled == 0)
        return name_word(&c->head) ? 0.6 : 0;
    marks = marks_vote(c, filled);
    if (marks > 0 || (marks == 0 && name_word(&c->head)))
        return marks > 0.6 ? marks : 0.6;
    if (marks < 0)
        return marks;
    /* the same few values again and again, and the head is none of them */
    if (filled >= 5 && c->again * 5 >= filled)
        vote = 0.5;
    if (memchr(c->head.s, '_', c->head.n) != NULL && c->kind == CELL_TOKEN)
        return vote + 0.4;
    /* codes of one length below a word of another */
    if (filled >= 3 && c->shortest == c->longest)
        return c->head.n != c->shortest ? 0.7 : vote - 0.5;
    if (c->head.n > 60 || memchr(c->head.s, '@', c->head.n) != NULL)
        return -0.5;
    return vote;
}

/* How one column votes: above 0 for a header. */
static double
column_vote(const Column *c, bool years, bool scale)
{
    uint32_t filled = 0, typed = c->kinds[CELL_NUMBER] + c->kinds[CELL_TIME] + c->kinds[CELL_BOOL];

    for (int k = CELL_NULLISH; k < CELL_KINDS; k++)
        filled += c->kinds[k];
    if (scale)
        return 1;
    if (c->kind == CELL_NUMBER || c->kind == CELL_TIME || c->kind == CELL_BOOL)
        return years && cell_year(c->head.s, c->head.n) && c->years * 2 <= filled ? 1 : -3;
    if (c->kind == CELL_EMPTY || c->kind == CELL_NULLISH)
        return -0.4;
    if (filled > 0 && typed * 10 >= filled * 6)
        return 2;
    return words_vote(c, filled);
}

/* A number without groups; what it is for others does not matter. */
static double
plain_number(const GuessCell *cell)
{
    double value = 0, place = 0;

    for (uint32_t i = 0; i < cell->n; i++)
    {
        if (cell->s[i] >= '0' && cell->s[i] <= '9')
        {
            value = value * 10 + (cell->s[i] - '0');
            place *= 10;
        }
        else if (cell->s[i] == '.' || cell->s[i] == ',')
            place = 1;
    }
    value /= place > 0 ? place : 1;
    return cell->n > 0 && cell->s[0] == '-' ? -value : value;
}

/* Two years or more, one after the other, or more of them in equal steps: names of columns. */
static bool
heads_are_years(const Column *columns, uint32_t n)
{
    int before = 0, step = 0, equal = 0;

    for (uint32_t i = 0; i < n; i++)
    {
        int year = cell_year(columns[i].head.s, columns[i].head.n);
        int next = year > 0 && before > 0 ? year - before : 0;

        if (next == 1 || next == -1 || (next != 0 && next == step))
            equal++;
        step = next;
        before = year;
    }
    return equal > 0;
}

/* Numbers that rise from cell to cell. */
static bool
rises(const GuessCell *before, const GuessCell *cell)
{
    return before->n > 0 && cell->n > 0 && cell_kind(before->s, before->n) == CELL_NUMBER &&
        cell_kind(cell->s, cell->n) == CELL_NUMBER && plain_number(cell) > plain_number(before);
}

/*
 * Numbers that rise through the whole first row, three or more, and not
 * through the second: what a cross table has as its heads.
 */
static bool
heads_are_scale(const Column *columns, uint32_t n)
{
    uint32_t from = columns[0].kind == CELL_EMPTY;
    bool same = true;

    if (n < from + 3)
        return false;
    for (uint32_t i = from + 1; i < n; i++)
    {
        if (!rises(&columns[i - 1].head, &columns[i].head))
            return false;
        same &= rises(&columns[i - 1].next, &columns[i].next);
    }
    return !same;
}

/* The head of each column, and what speaks against them as names from the start. */
static double
see_heads(Column *columns, const GuessCell *cells, uint32_t width)
{
    uint32_t blanks = 0;
    double votes = 0;

    memset(columns, 0, sizeof(columns[0]) * width);
    for (uint32_t i = 0; i < width; i++)
    {
        columns[i].head = cells[i];
        columns[i].kind = cell_kind(cells[i].s, cells[i].n);
        columns[i].shortest = UINT32_MAX;
        blanks += columns[i].kind == CELL_EMPTY;
        for (uint32_t j = 0; j < i && i < 100; j++)
            votes -= columns[i].kind >= CELL_TOKEN && same_text(&columns[i].head, &columns[j].head) ? 0.5 : 0;
    }
    return blanks * 2 > width ? votes - 1 : votes;
}

TableHeader
table_header(const Pair *pair, const PairSample *sample, size_t at)
{
    Column columns[GUESS_CELLS];
    GuessRows guess;
    TableHeader answer = {.header = true, .why = "no row to look at"};
    uint32_t width, rows = 0;
    double votes;
    bool years, scale, corner;

    guess_begin(&guess, sample->s + at, sample->n - at, sample->whole,
                &(GuessPair) {pair->delimiter, pair->length, pair->quote, sample->given});
    if (!guess_next(&guess))
        return answer;
    width = guess.nfields < GUESS_CELLS ? guess.nfields : GUESS_CELLS;
    votes = see_heads(columns, guess.cells, width);
    while (rows < HEADER_ROWS && guess_next(&guess))
    {
        if (guess.nfields != pair->fields && pair->fields > 1)
            continue;
        rows++;
        for (uint32_t i = 0; i < width && i < guess.nfields; i++)
            see_column(&columns[i], &guess.cells[i]);
    }
    years = heads_are_years(columns, width);
    scale = heads_are_scale(columns, width);
    /* an empty corner above filled cells leaves no doubt */
    corner = columns[0].kind == CELL_EMPTY && columns[0].kinds[CELL_EMPTY] == 0 && rows > 1;
    for (uint32_t i = 0; i < width; i++)
        votes += column_vote(&columns[i], years, scale && corner);
    answer.header = votes > -0.3;
    answer.evidence = rows > 0 ? votes : 0;
    if (scale && !answer.header && votes < -0.5)
        votes = -0.5;
    if (votes >= 1.5 || votes <= -1.5)
        answer.why = answer.header ? "the first row names what is below it" : "the first row looks like the others";
    else
        answer.why = answer.header ? "the first row may be names or data, taken as names" : "the first row is probably data";
    votes = votes < 0 ? -votes : votes;
    answer.sure = rows == 0 ? (votes > 0 ? 0.3 : 0.1) : votes >= 2 ? 1 : 0.1 + 0.45 * votes;
    return answer;
}
