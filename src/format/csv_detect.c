/*
 * csv_detect.c: finding out how a CSV is written; see csv_detect.h.
 *
 * The sample is cut into rows with every delimiter and quote that may be
 * meant (csv_guess_rows).  A pair is good when most rows have the same number
 * of fields, when the fields look like numbers, dates and words (cell_kind.h)
 * and when no quote stands where it can't.  The best pair wins; how far the
 * best one with another delimiter is behind is the confidence.  Then the
 * table's first row is found, and whether it names the columns.
 *
 * Each pair costs one pass over the sample.  The only memory is one array of
 * rows, bounded; without it the defaults stand.
 */
#define _GNU_SOURCE /* memmem */
#include "format/csv_detect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "format/cell_kind.h"
#include "format/csv_guess.h"

#define ROWS_MAX 4096
#define FIELDS_MAX 1024     /* more are counted as that many */
#define HEADER_ROWS 1000    /* rows that a header is compared with */

/* What was seen of a row. */
typedef struct Row
{
    uint32_t at;        /* byte in the sample */
    uint32_t line;      /* physical lines before it */
    uint16_t fields;
    uint16_t filled;    /* of the fields looked at: not empty */
    float looks;        /* sum of its fields' plausibility over their number */
    bool typed;         /* a number or a time is among the fields */
    bool lone;          /* words in the first field and nothing in the others */
} Row;

/* A pair of delimiter and quote, and how it did. */
typedef struct Candidate
{
    const char *delimiter;
    const char *name;
    double prior;       /* how usual it is */
    uint8_t length;
    char quote;
    double score;
    uint32_t nrows;
    uint32_t fields;    /* of most rows */
    uint32_t same;      /* rows with that many */
    uint32_t first, last; /* the first and the last of those rows */
    uint32_t least, most; /* fields of any row between them */
    uint32_t quoted;    /* fields properly in quotes */
    uint32_t bad_quotes;
    bool cut;           /* rows were left out at the end */
} Candidate;

static const Candidate usual[] = {
    {.delimiter = ",", .name = "comma", .prior = 1, .length = 1},
    {.delimiter = ";", .name = "semicolon", .prior = 1, .length = 1},
    {.delimiter = "\t", .name = "tab", .prior = 1, .length = 1},
    {.delimiter = "|", .name = "pipe", .prior = 0.98, .length = 1},
    {.delimiter = "^", .name = "caret", .prior = 0.9, .length = 1},
    {.delimiter = "~", .name = "tilde", .prior = 0.9, .length = 1},
    {.delimiter = "\x01", .name = "control-A", .prior = 1, .length = 1},
    {.delimiter = "\x1f", .name = "unit separator", .prior = 1, .length = 1},
    {.delimiter = "||", .name = "two pipes", .prior = 0.98, .length = 2},
    {.delimiter = "::", .name = "two colons", .prior = 0.85, .length = 2},
    {.delimiter = ":", .name = "colon", .prior = 0.6, .length = 1},
};
#define USUAL (sizeof(usual) / sizeof(usual[0]))

/* Appends to the reason; what does not fit is left out. */
__attribute__((format(printf, 2, 3))) static void
say(CsvDialect *dialect, const char *fmt, ...)
{
    size_t used = strlen(dialect->reason);
    va_list args;

    va_start(args, fmt);
    vsnprintf(dialect->reason + used, sizeof(dialect->reason) - used, fmt, args);
    va_end(args);
}

/* ---- one pair ---------------------------------------------------------- */

/* Plain text of an unquoted field: other delimiters in it make it less likely to be one field. */
static double
text_looks(const GuessCell *cell, char quote, double best)
{
    for (uint32_t i = 0; i < cell->n; i++)
    {
        char c = cell->s[i];

        if (c == ';' || c == '|' || c == '\t' || c == '^')
            best = best < 0.3 ? best : 0.3;
        else if (c == ',' && i + 1 < cell->n)
            best = cell->s[i + 1] == ' ' ? best - 0.02 : best - 0.3;
        if (best < 0.3)
            return 0.3;
    }
    if (cell->n >= 2 && quote != cell->s[0] && (cell->s[0] == '"' || cell->s[0] == '\'') && cell->s[cell->n - 1] == cell->s[0])
        return cell->s[0] == '"' ? 0.3 : best - 0.3;
    return best;
}

static double
cell_looks(const GuessCell *cell, CellKind kind, char quote)
{
    double looks;

    switch (kind)
    {
        case CELL_EMPTY:
            looks = 0.7;
            break;
        case CELL_NULLISH:
            looks = 0.9;
            break;
        case CELL_TOKEN:
            looks = cell->quoted ? 0.95 : text_looks(cell, quote, 0.92);
            break;
        case CELL_TEXT:
            looks = cell->quoted ? 0.95 : text_looks(cell, quote, 0.85);
            break;
        case CELL_ODD:
            looks = 0.1;
            break;
        default:
            looks = 1;
            break;
    }
    /* "a, b" is prose more often than two fields */
    return !cell->quoted && cell->n > 1 && cell->s[0] == ' ' ? looks * 0.8 : looks;
}

static void
see_row(const GuessRows *rows, char quote, Row *row)
{
    uint32_t n = rows->nfields < GUESS_CELLS ? rows->nfields : GUESS_CELLS;
    double looks = 0;

    row->at = (uint32_t) rows->row_at;
    row->line = rows->row_line;
    row->fields = (uint16_t) (rows->nfields < FIELDS_MAX ? rows->nfields : FIELDS_MAX);
    row->filled = 0;
    row->typed = false;
    for (uint32_t i = 0; i < n; i++)
    {
        CellKind kind = cell_kind(rows->cells[i].s, rows->cells[i].n);

        looks += cell_looks(&rows->cells[i], kind, quote);
        row->filled += kind != CELL_EMPTY;
        row->typed |= kind == CELL_NUMBER || kind == CELL_TIME;
    }
    row->looks = (float) (looks / (n > 0 ? n : 1));
    row->lone = row->filled == 1 && cell_kind(rows->cells[0].s, rows->cells[0].n) >= CELL_TOKEN;
}

/* The number of fields that most rows have; two or more where a fifth of the rows agree on it. */
static uint32_t
usual_fields(const Row *rows, uint32_t n)
{
    uint32_t counts[FIELDS_MAX + 1] = {0}, best = 1;

    for (uint32_t i = 0; i < n; i++)
        counts[rows[i].fields]++;
    for (uint32_t f = 2; f <= FIELDS_MAX; f++)
        if (counts[f] * 5 >= n && (best == 1 || counts[f] > counts[best]))
            best = f;
    /* a few rows that chance to agree are no table among many that have one field */
    if (best > 1 && counts[best] < 3 && counts[1] > counts[best] && n > 8)
        best = 1;
    return best;
}

/* What the rows say about the candidate. */
static void
judge(Candidate *c, const Row *rows)
{
    double looks = 0, inside, credit = 0, covered, spoilt;
    uint32_t f = c->fields = usual_fields(rows, c->nrows), skip;

    c->first = c->nrows;
    c->same = 0;
    for (uint32_t i = 0; i < c->nrows; i++)
    {
        if (rows[i].fields != f)
            continue;
        c->first = c->same == 0 ? i : c->first;
        c->last = i;
        c->same++;
    }
    c->least = c->most = f;
    /* the header's words say little, so it is left out where there is more */
    skip = c->same > 1 ? c->first + 1 : c->first;
    inside = 0;
    for (uint32_t i = skip; i <= c->last && i < c->nrows; i++)
    {
        inside++;
        c->least = rows[i].fields < c->least ? rows[i].fields : c->least;
        c->most = rows[i].fields > c->most ? rows[i].fields : c->most;
        /* rows cut short at their end are half right, as long as they have a delimiter */
        if (rows[i].fields == f)
        {
            credit += 1;
            looks += (double) rows[i].looks;
        }
        else if (rows[i].fields > 1 && rows[i].fields < f)
            credit += 0.5;
    }
    if (inside == 0 || c->nrows == 0)
        return;
    looks /= c->same > 1 ? c->same - 1 : 1;
    covered = (double) c->same / c->nrows;
    credit /= inside;
    spoilt = 1 / (1 + 4.0 * c->bad_quotes / c->nrows);
    c->score = credit * credit * (0.4 + 0.6 * covered) * (1 - 1.0 / (f + 1)) * looks * looks * c->prior * spoilt;
    if (c->quote == 0)
        c->score *= 0.97;
    else if (c->quote == '\'')
        c->score *= c->quoted > 4 * c->bad_quotes ? 0.95 : 0;
}

/* Cuts the sample with the candidate's pair; fills its numbers and `rows`. */
static void
try_pair(Candidate *c, const char *sample, size_t n, bool whole, const CsvDialect *given, uint32_t line, Row *rows)
{
    GuessRows guess;

    guess_begin(&guess, sample, n, whole, &(GuessPair) {c->delimiter, c->length, c->quote, given});
    guess.line = line;
    c->nrows = 0;
    while (c->nrows < ROWS_MAX && guess_next(&guess))
        see_row(&guess, c->quote, &rows[c->nrows++]);
    c->cut = !whole || c->nrows == ROWS_MAX;
    c->quoted = guess.quoted;
    c->bad_quotes = guess.bad_quotes;
    c->score = 0;
    if (c->nrows > 0)
        judge(c, rows);
}

/*
 * What speaks for a file of one column: no delimiter agrees, or the lines are
 * values as they stand, and so is the first unless `best` splits it not.
 * Below 0 when there is no row at all.
 */
static double
single_score(const char *sample, size_t n, bool whole, const CsvDialect *given, const Candidate *best)
{
    GuessRows guess;
    uint32_t typed = 0, rows = 0;
    bool title = false;

    /* a delimiter that no text has: every line is one field */
    guess_begin(&guess, sample, n, whole, &(GuessPair) {"\x1e\x1e", 2, '"', given});
    for (; rows < ROWS_MAX && guess_next(&guess); rows++)
    {
        const GuessCell *cell = &guess.cells[0];
        CellKind kind = cell_kind(cell->s, cell->n);
        /* quoted as a whole: text behind the closing quote means that there are more fields */
        bool value = kind == CELL_NUMBER || kind == CELL_TIME || (cell->quoted && guess.bad_quotes == 0);

        if (rows > 0)
            typed += value;
        else if (!value && best->length > 0)
            title = memmem(cell->s, cell->n, best->delimiter, best->length) != NULL;
    }
    if (rows < 2)
        return rows == 0 ? -1 : 0.3;
    return 0.4 + (title ? 0 : 0.3 * typed / (rows - 1));
}

/* ---- the header -------------------------------------------------------- */

/* What a column's cells below its first look like. */
typedef struct Column
{
    GuessCell head;
    CellKind kind;
    uint32_t kinds[CELL_KINDS];
    uint32_t repeats;       /* cells equal to the head */
    uint32_t shortest, longest;
    uint32_t years;
} Column;

static bool
same_text(const GuessCell *a, const GuessCell *b)
{
    return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

static void
see_column(Column *column, const GuessCell *cell)
{
    CellKind kind = cell_kind(cell->s, cell->n);

    column->kinds[kind]++;
    if (kind == CELL_EMPTY)
        return;
    column->repeats += same_text(&column->head, cell);
    column->years += cell_year(cell->s, cell->n) > 0;
    column->shortest = cell->n < column->shortest ? cell->n : column->shortest;
    column->longest = cell->n > column->longest ? cell->n : column->longest;
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
        "year", "month", "day", "gender", "age", "lat", "lon", "artikel", "preis", "menge", "kunde", "region", NULL};
    uint32_t at = 0, n;

    while (at < cell->n)
    {
        for (n = 0; at + n < cell->n && strchr(" _-./()#", cell->s[at + n]) == NULL; n++)
            ;
        for (int i = 0; words[i] != NULL && n > 0; i++)
            if (strlen(words[i]) == n && strncasecmp(cell->s + at, words[i], n) == 0)
                return true;
        at += n + 1;
    }
    return false;
}

/* How one column votes: above 0 for a header. */
static double
column_vote(const Column *c, bool years)
{
    uint32_t filled = 0, typed = c->kinds[CELL_NUMBER] + c->kinds[CELL_TIME] + c->kinds[CELL_BOOL];
    bool head_typed = c->kind == CELL_NUMBER || c->kind == CELL_TIME || c->kind == CELL_BOOL;

    for (int k = CELL_NULLISH; k < CELL_KINDS; k++)
        filled += c->kinds[k];
    if (head_typed)
        return years && cell_year(c->head.s, c->head.n) && c->years * 2 <= filled ? 1 : -2;
    if (c->kind == CELL_EMPTY || c->kind == CELL_NULLISH)
        return -0.4;
    if (filled > 0 && typed * 10 >= filled * 6)
        return 2;
    if (c->repeats > 0)
        return -1;
    if (name_word(&c->head))
        return 0.6;
    if (memchr(c->head.s, '_', c->head.n) != NULL && c->kind == CELL_TOKEN)
        return 0.4;
    /* codes of one length below a word of another */
    if (filled >= 3 && c->shortest == c->longest)
        return c->head.n != c->shortest ? 0.7 : -0.5;
    if (c->head.n > 60 || memchr(c->head.s, '@', c->head.n) != NULL)
        return -0.5;
    return 0;
}

/* Two years or more, one after the other: names of columns. */
static bool
heads_are_years(const Column *columns, uint32_t n)
{
    int before = 0, steps = 0;

    for (uint32_t i = 0; i < n; i++)
    {
        int year = cell_year(columns[i].head.s, columns[i].head.n);

        if (year > 0 && before > 0 && (year == before + 1 || year == before - 1))
            steps++;
        before = year;
    }
    return steps > 0;
}

/* Decides about the header of the table that begins with the sample; returns the confidence. */
static double
find_header(const Candidate *c, const char *sample, size_t n, bool whole, CsvDialect *dialect, const char **why)
{
    Column columns[GUESS_CELLS];
    GuessRows guess;
    uint32_t width, rows = 0, blanks = 0;
    double votes = 0;

    dialect->header = true;
    *why = "no row to look at";
    guess_begin(&guess, sample, n, whole, &(GuessPair) {c->delimiter, c->length, c->quote, dialect});
    if (!guess_next(&guess))
        return 0;
    width = guess.nfields < GUESS_CELLS ? guess.nfields : GUESS_CELLS;
    memset(columns, 0, sizeof(columns[0]) * width);
    for (uint32_t i = 0; i < width; i++)
    {
        columns[i].head = guess.cells[i];
        columns[i].kind = cell_kind(guess.cells[i].s, guess.cells[i].n);
        columns[i].shortest = UINT32_MAX;
        blanks += columns[i].kind == CELL_EMPTY;
        for (uint32_t j = 0; j < i && i < 100; j++)
            votes -= columns[i].kind >= CELL_TOKEN && same_text(&columns[i].head, &columns[j].head) ? 0.5 : 0;
    }
    while (rows < HEADER_ROWS && guess_next(&guess))
    {
        if (guess.nfields != c->fields && c->fields > 1)
            continue;
        rows++;
        for (uint32_t i = 0; i < width && i < guess.nfields; i++)
            see_column(&columns[i], &guess.cells[i]);
    }
    for (uint32_t i = 0; i < width; i++)
        votes += column_vote(&columns[i], heads_are_years(columns, width));
    if (blanks * 2 > width)
        votes -= 1;
    dialect->header = votes > -0.3;
    dialect->header_evidence = rows > 0 ? votes : 0;
    if (votes >= 1.5 || votes <= -1.5)
        *why = dialect->header ? "the first row names what is below it" : "the first row looks like the others";
    else
        *why = dialect->header ? "the first row may be names or data, taken as names" : "the first row is probably data";
    votes = votes < 0 ? -votes : votes;
    return rows == 0 ? (votes > 0 ? 0.3 : 0.1) : votes >= 2 ? 1 : 0.1 + 0.45 * votes;
}

/* ---- where the table begins -------------------------------------------- */

/* Past titles that were filled up with delimiters to the table's width; `from` when there are none. */
static uint32_t
past_padded_titles(const Candidate *c, const Row *rows, uint32_t from)
{
    uint64_t filled = 0;
    uint32_t i = from;
    bool title = false;

    for (uint32_t row = 0; row < c->nrows; row++)
        filled += rows[row].fields == c->fields ? rows[row].filled : 0;
    /* in a table with many empty fields, such a row may be data */
    if (c->fields < 3 || filled * 10 < (uint64_t) c->same * c->fields * 6)
        return from;
    while (i < c->last && (rows[i].lone || rows[i].filled == 0 || rows[i].fields != c->fields))
        title |= rows[i++].lone;
    /* what follows a title is a header, and that has no numbers */
    return title && i < c->last && !rows[i].typed ? i : from;
}

/*
 * The row the table begins with: the first with as many fields as most have
 * and more than a title in it, or the one before when it is a header that has
 * a field more or less.
 */
static uint32_t
first_row(const Candidate *c, const Row *rows)
{
    uint32_t i = past_padded_titles(c, rows, c->first);

    if (i > 0 && c->fields > 2 && i == c->first && rows[i].typed && !rows[i - 1].typed && rows[i - 1].fields + 1U >= c->fields &&
        rows[i - 1].fields <= c->fields + 1U && rows[i - 1].filled + 1U >= c->fields && rows[i - 1].line + 1 == rows[i].line)
        i--;
    /* rows before a table of one column, or most of the file, are no title */
    return c->fields < 2 || (i > 0 && i * 2 > c->nrows && c->same < 2) ? 0 : i;
}

/* "sep=;" is how spreadsheets are told: the delimiter, and the bytes to leave out. */
static size_t
sep_line(const char *sample, size_t n, char *delimiter)
{
    size_t at = 5;

    if (n < 6 || strncasecmp(sample, "sep=", 4) != 0)
        return 0;
    *delimiter = sample[4];
    if (sample[at] == '\r')
        at++;
    if (at < n && sample[at] == '\n')
        at++;
    return at > 5 ? at : 0;
}

/* The byte behind the first `lines` physical lines. */
static size_t
skip_given(const char *sample, size_t n, uint32_t lines)
{
    char end = memchr(sample, '\n', n) != NULL ? '\n' : '\r';
    size_t at = 0;

    for (; lines > 0 && at < n; lines--)
    {
        const char *p = memchr(sample + at, end, n - at);

        at = p != NULL ? (size_t) (p - sample) + 1 : n;
    }
    return at;
}

/* ---- the answer -------------------------------------------------------- */

typedef struct Search
{
    const char *sample;
    size_t n;
    bool whole;
    uint32_t line;          /* physical lines before sample */
    const CsvDetectAsk *ask;
    CsvDialect *dialect;
    Row *rows;
    Candidate best, second; /* second: with another delimiter */
} Search;

static bool
occurs(const Search *s, const Candidate *c)
{
    return memmem(s->sample, s->n, c->delimiter, c->length) != NULL;
}

/* The quote or the escape is given and is this byte. */
static bool
is_quote(const CsvDetectAsk *ask, const CsvDialect *d, char c)
{
    return (!ask->quote && d->quote == c) || (d->escape != 0 && d->escape != d->quote && d->escape == c);
}

/* It may be meant: it is in the sample and is not the given quote or escape. */
static bool
possible(const Search *s, const Candidate *c)
{
    return !is_quote(s->ask, s->dialect, c->delimiter[0]) && occurs(s, c);
}

/* The pairs with this delimiter; the better one of them stands in the ranking. */
static void
try_delimiter(Search *s, Candidate c)
{
    const char quotes[] = {'"', '\'', 0};
    Candidate best = {.score = -1};

    for (int q = 0; q < 3; q++)
    {
        c.quote = s->ask->quote ? quotes[q] : s->dialect->quote;
        if (s->ask->quote && c.quote != 0 && memchr(c.delimiter, c.quote, c.length) != NULL)
            continue;
        if (best.length > 0 && (!s->ask->quote || (memchr(s->sample, c.quote ? c.quote : '"', s->n) == NULL)))
            continue;
        try_pair(&c, s->sample, s->n, s->whole, s->dialect, s->line, s->rows);
        if (c.score > best.score)
            best = c;
    }
    if (best.score > s->best.score)
    {
        s->second = s->best;
        s->best = best;
    }
    else if (best.score > s->second.score)
        s->second = best;
}

static void
rank(Search *s, char told)
{
    char own[2] = {told, 0};
    Candidate given = {.delimiter = s->dialect->delimiter, .name = "the given delimiter", .prior = 1,
        .length = s->dialect->delimiter_length};

    s->best.score = s->second.score = -1;
    if (told != 0)
    {
        given.delimiter = own;
        given.length = 1;
    }
    for (size_t i = 0; i < USUAL; i++)
    {
        bool same = usual[i].length == given.length && memcmp(usual[i].delimiter, given.delimiter, given.length) == 0;

        if (same)
        {
            given.name = usual[i].name;
            given.delimiter = usual[i].delimiter;
        }
        if (s->ask->delimiter && told == 0 && possible(s, &usual[i]))
            try_delimiter(s, usual[i]);
    }
    if (!s->ask->delimiter || told != 0)
        try_delimiter(s, given);
    if (given.delimiter == own)
        s->best.delimiter = s->dialect->delimiter;
}

/* One column: a delimiter that will split nothing. */
static void
take_single(Search *s)
{
    static const uint8_t order[] = {0, 2, 1, 3, 7};
    size_t i = 0;
    Candidate c;

    while (i + 1 < sizeof(order) &&
           (occurs(s, &usual[order[i]]) || is_quote(s->ask, s->dialect, usual[order[i]].delimiter[0])))
        i++;
    c = usual[order[i]];
    c.quote = s->ask->quote ? '"' : s->dialect->quote;
    try_pair(&c, s->sample, s->n, s->whole, s->dialect, s->line, s->rows);
    s->best = c;
}

static void
say_pattern(const Search *s, bool single)
{
    const Candidate *b = &s->best, *o = &s->second;

    if (single)
        say(s->dialect, "one column: no delimiter splits the lines alike (%s is set, which %s)", b->name,
            occurs(s, b) ? "splits some" : "does not occur");
    else
        say(s->dialect, "%s: %u of %u rows have %u field%s", b->name, b->same, b->nrows, b->fields, b->fields == 1 ? "" : "s");
    if (!single && s->ask->delimiter && o->score > 0)
    {
        if (o->least == o->most)
            say(s->dialect, "; %s would give %u", o->name, o->most);
        else
            say(s->dialect, "; %s would give %u to %u", o->name, o->least, o->most);
    }
    if (s->ask->quote && b->quote == '\'')
        say(s->dialect, "; single quotes");
    else if (s->ask->quote && b->quote == 0)
        say(s->dialect, "; no quotes: they stand inside fields");
}

/* Delimiter and quote into the dialect; returns the confidence in them. */
static double
settle_pair(Search *s, char told)
{
    CsvDialect *d = s->dialect;
    double confidence = 1, single = s->ask->delimiter && told == 0 ? single_score(s->sample, s->n, s->whole, d, &s->best) : 0;
    bool is_single = single > s->best.score;

    if (single < 0)
        return 0;
    if (is_single)
    {
        double best = s->best.score;

        take_single(s);
        /* lines without any delimiter leave no doubt about the lines, only about what is meant */
        confidence = best < 0 ? 0.5 : (single - best) / single;
    }
    else if (s->ask->delimiter && told == 0)
    {
        /* lines that one delimiter splits alike are hardly single values */
        double other = s->second.score > 0.75 * single ? s->second.score : 0.75 * single;

        confidence = 2 * (s->best.score - other) / s->best.score;
        confidence *= (double) s->best.same / (s->best.same + 0.5);
    }
    try_pair(&s->best, s->sample, s->n, s->whole, d, s->line, s->rows);
    if (s->ask->quote)
    {
        bool doubled = d->escape == d->quote;

        d->quote = s->best.quote;
        if (doubled || d->quote == 0)
            d->escape = d->quote;
    }
    if (s->ask->delimiter)
    {
        /* told by a sep= line: the candidate points into the dialect, which gets it here */
        if (told != 0)
            d->delimiter[0] = told;
        else
            memcpy(d->delimiter, s->best.delimiter, s->best.length);
        d->delimiter_length = s->best.length;
    }
    say_pattern(s, is_single);
    return confidence > 1 ? 1 : confidence;
}

static void
search(Search *s, char told)
{
    CsvDialect *d = s->dialect;
    uint32_t first, behind;
    double confidence, header = 1;
    size_t at;
    const char *why;

    rank(s, told);
    if (told != 0)
        say(d, "the first line says so: ");
    confidence = settle_pair(s, told);
    if (s->best.nrows == 0)
        return;
    first = s->ask->skip_lines ? first_row(&s->best, s->rows) : 0;
    at = s->rows[first].at;
    if (s->ask->skip_lines && (first > 0 || s->line > 0))
    {
        d->skip_lines = first > 0 ? s->rows[first].line : s->line;
        say(d, "; the table begins on line %u", d->skip_lines + 1);
    }
    behind = s->best.nrows - 1 - s->best.last;
    if (behind > 0 && !s->best.cut && s->best.fields > 1)
        say(d, "; %u row%s behind it %s another shape", behind, behind == 1 ? "" : "s", behind == 1 ? "has" : "have");
    if (s->ask->header)
    {
        header = find_header(&s->best, s->sample + at, s->n - at, s->whole, d, &why);
        say(d, ". %s: %s", d->header ? "Header" : "No header", why);
    }
    d->confidence = confidence < header ? confidence : header;
    if (d->confidence < 0)
        d->confidence = 0;
}

void
csv_detect(const char *sample, size_t n, bool whole, const CsvDetectAsk *ask, CsvDialect *dialect)
{
    Search s = {.ask = ask, .dialect = dialect};
    char told = 0;
    size_t from;

    if (ask->delimiter)
    {
        memset(dialect->delimiter, 0, sizeof(dialect->delimiter));
        dialect->delimiter[0] = is_quote(ask, dialect, ',') ? ';' : ',';
        dialect->delimiter_length = 1;
    }
    if (ask->quote)
    {
        dialect->escape = dialect->escape == dialect->quote ? '"' : dialect->escape;
        dialect->quote = '"';
    }
    if (ask->header)
        dialect->header = true;
    if (ask->skip_lines)
        dialect->skip_lines = 0;
    dialect->confidence = dialect->header_evidence = 0;
    dialect->reason[0] = '\0';
    if (n > CSV_DETECT_SAMPLE)
    {
        n = CSV_DETECT_SAMPLE;
        whole = false;
    }
    from = ask->skip_lines ? (ask->delimiter ? sep_line(sample, n, &told) : 0) : skip_given(sample, n, dialect->skip_lines);
    if (is_quote(ask, dialect, told))
        told = 0;
    s.sample = sample + from;
    s.n = n - from;
    s.whole = whole;
    s.line = ask->skip_lines ? from > 0 : dialect->skip_lines;
    s.rows = s.n > 0 ? malloc(ROWS_MAX * sizeof(Row)) : NULL;
    if (s.rows == NULL)
    {
        say(dialect, s.n == 0 ? "there is nothing to look at: the defaults" : "no memory to look closer: the defaults");
        return;
    }
    search(&s, told);
    free(s.rows);
    if (dialect->reason[0] == '\0')
        say(dialect, "there is nothing to look at: the defaults");
}
