/*
 * csv_pair.c: how well a delimiter and a quote cut a sample; see csv_pair.h.
 *
 * The score is a product: each factor is 1 for a perfect table and falls with
 * what speaks against it, so that a pair must be good in all respects.  The
 * file of one column is such a pair, too: its delimiter occurs nowhere.
 */
#include "format/csv_pair.h"

#include <string.h>

#include "format/cell_kind.h"

#define TORN_FIELDS 8       /* fields that a torn one may be in */
#define CUT_FIELD 4096      /* bytes of a field in quotes that the sample's end may cut */

/* ---- the looks of a field ----------------------------------------------- */

static bool
digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What a separator at s[i] of an unquoted text costs: nearly nothing in prose and numbers, much between words. */
static double
separator_cost(const char *s, uint32_t n, uint32_t i)
{
    bool prose = i + 1 < n && s[i + 1] == ' ';

    switch (s[i])
    {
        case ',':
            if (i + 1 == n || prose)
                return 0.02;
            return i > 0 && digit(s[i - 1]) && digit(s[i + 1]) ? 0.05 : 0.3;
        case ';':
            return prose ? 0.1 : 1;
        case '|':
        case '\t':
        case '^':
            return 1;
        default:
            return 0;
    }
}

/* Plain text of an unquoted field: other delimiters in it make it less likely to be one field. */
static double
text_looks(const GuessCell *cell, char quote, double best)
{
    char first = cell->s[0];

    for (uint32_t i = 0; i < cell->n && best > 0.3; i++)
        best -= separator_cost(cell->s, cell->n, i);
    if (best < 0.3)
        return 0.3;
    if (cell->n >= 2 && quote != first && cell->s[cell->n - 1] == first)
    {
        if (first == '"')
            return 0.3;
        if (first == '\'')
            return best - 0.15;
    }
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
    if (cell->quoted)
        return looks;
    /* cell_kind takes a tab for a space */
    if (kind != CELL_EMPTY && memchr(cell->s, '\t', cell->n) != NULL)
        return 0.3;
    /* "a, b" is prose more often than two fields */
    return cell->n > 1 && cell->s[0] == ' ' ? looks * 0.8 : looks;
}

/*
 * Do the fields from i on look like one in quotes that this pair tears: a
 * quote at the beginning of one, and at the end of another?
 */
static bool
torn(const GuessRows *rows, uint32_t i, uint32_t n)
{
    const GuessCell *cell = &rows->cells[i];
    char quote = cell->n > 0 ? cell->s[0] : 0;

    if (cell->quoted || (quote != '"' && quote != '\'') || (cell->n > 1 && cell->s[cell->n - 1] == quote))
        return false;
    for (uint32_t end = i + 1; end < n && end <= i + TORN_FIELDS; end++)
    {
        cell = &rows->cells[end];
        if (!cell->quoted && cell->n > 0 && cell->s[cell->n - 1] == quote)
            return cell->n == 1 || cell->s[0] != quote;
    }
    return false;
}

/* The same for field i of the n that are kept of a row. */
static double
field_looks(const GuessRows *rows, uint32_t i, uint32_t n, CellKind kind, char quote)
{
    return cell_looks(&rows->cells[i], kind, quote) - (torn(rows, i, n) ? 1 : 0);
}

/* ---- rows --------------------------------------------------------------- */

static void
see_cell(PairRow *row, const GuessCell *cell, CellKind kind, uint32_t i)
{
    if (kind != CELL_EMPTY)
    {
        row->filled++;
        row->width = (uint16_t) (i + 1);
    }
    if (i > 0 && kind != CELL_EMPTY && (cell->quoted || cell->s[0] != ' '))
        row->spaced = false;
    if (i >= PAIR_COLUMNS)
        return;
    if (kind == CELL_NUMBER || kind == CELL_TIME || kind == CELL_BOOL)
        row->typed |= (uint64_t) 1 << i;
    else if (kind >= CELL_TOKEN)
        row->words |= (uint64_t) 1 << i;
}

static void
see_row(const Pair *pair, const GuessRows *rows, PairRow *row)
{
    uint32_t n = rows->nfields < GUESS_CELLS ? rows->nfields : GUESS_CELLS;
    double looks = 0;

    memset(row, 0, sizeof(*row));
    row->at = (uint32_t) rows->row_at;
    row->line = rows->row_line;
    row->blank = rows->blank;
    row->fields = (uint16_t) (rows->nfields < PAIR_FIELDS ? rows->nfields : PAIR_FIELDS);
    row->quoted = rows->quoted;
    row->needed = rows->needed;
    row->bad_quotes = rows->bad_quotes;
    row->spaced = n > 1;
    for (uint32_t i = 0; i < n; i++)
    {
        const GuessCell *cell = &rows->cells[i];
        CellKind kind = cell_kind(cell->s, cell->n);

        looks += field_looks(rows, i, n, kind, pair->quote);
        see_cell(row, cell, kind, i);
        row->bare += kind >= CELL_TOKEN && !cell->quoted;
    }
    row->spaced &= row->width > 1;
    row->looks = (float) (looks > 0 && n > 0 ? looks / n : 0);
}

/* ---- the table ---------------------------------------------------------- */

/*
 * The number of fields that most rows have, or, with `cells`, that most fields
 * stand in rows of; two or more where a fifth of the rows agree on it.
 */
static uint32_t
usual_fields(const PairRow *rows, uint32_t n, bool cells)
{
    uint32_t counts[PAIR_FIELDS + 1] = {0}, best = 1;

    for (uint32_t i = 0; i < n; i++)
        counts[rows[i].fields]++;
    for (uint32_t f = 2; f <= PAIR_FIELDS; f++)
    {
        uint32_t weight = cells ? f : 1, weight_best = cells ? best : 1;

        if (counts[f] == 0 || counts[f] * 5 < n || (cells && counts[f] == 1))
            continue;
        if (best == 1 || counts[f] * weight > counts[best] * weight_best)
            best = f;
    }
    /* a few rows that chance to agree are no table among many that have one field */
    if (best > 1 && counts[best] < 3 && counts[1] > counts[best] && n > 8)
        best = 1;
    return best;
}

/* How often each column has a value of a type, and a word, in rows[from..to) that have the usual fields. */
static void
count_kinds(const Pair *pair, const PairRow *rows, uint32_t from, uint32_t to, uint32_t *typed, uint32_t *words)
{
    memset(typed, 0, PAIR_COLUMNS * sizeof(*typed));
    memset(words, 0, PAIR_COLUMNS * sizeof(*words));
    for (uint32_t i = from; i < to; i++)
    {
        if (rows[i].fields != pair->fields)
            continue;
        for (uint64_t bits = rows[i].typed; bits != 0; bits &= bits - 1)
            typed[__builtin_ctzll(bits)]++;
        for (uint64_t bits = rows[i].words; bits != 0; bits &= bits - 1)
            words[__builtin_ctzll(bits)]++;
    }
}

/* 1 when every column holds values of one kind, 0.5 when they are mixed in all. */
static double
purity(const Pair *pair, const PairRow *rows, uint32_t from)
{
    uint32_t typed[PAIR_COLUMNS], words[PAIR_COLUMNS], columns = 0;
    double sum = 0;

    count_kinds(pair, rows, from, pair->last + 1, typed, words);
    for (int i = 0; i < PAIR_COLUMNS; i++)
        if (typed[i] + words[i] > 0)
        {
            columns++;
            sum += (double) (typed[i] > words[i] ? typed[i] : words[i]) / (typed[i] + words[i]);
        }
    return columns > 0 ? sum / columns : 1;
}

uint64_t
pair_typed_columns(const Pair *pair, const PairRow *rows)
{
    uint32_t typed[PAIR_COLUMNS], words[PAIR_COLUMNS], n = pair->last - pair->first + 1;
    uint64_t found = 0;

    if (pair->same == 0)
        return 0;
    count_kinds(pair, rows, pair->first + (n < 5 ? n : n + 1) / 2, pair->last + 1, typed, words);
    for (int i = 0; i < PAIR_COLUMNS; i++)
        if (typed[i] >= 2 * words[i] && typed[i] > 0)
            found |= (uint64_t) 1 << i;
    return found;
}

/* Quotes in the rows of the table and between them; titles and notes are free to have any. */
typedef struct Quotes
{
    uint32_t quoted, needed, bad, bare;
} Quotes;

static Quotes
count_quotes(const Pair *pair, const PairRow *rows)
{
    Quotes q = {0};

    for (uint32_t i = pair->first; i <= pair->last; i++)
    {
        q.quoted += rows[i].quoted;
        q.needed += rows[i].needed;
        q.bad += rows[i].bad_quotes;
        /* a header may go without them */
        q.bare += i > pair->first ? rows[i].bare : 0;
    }
    return q;
}

/*
 * What the quotes do to the score.  Is ' a quote, or is it an apostrophe?  Who
 * writes quotes writes them where they are needed or around every text, and
 * doubles those inside.
 */
static double
quote_factor(const Pair *pair, const PairRow *rows)
{
    Quotes q = count_quotes(pair, rows);
    double spoilt = (1 - pair->swallowed) / (1 + 4.0 * q.bad / (pair->nrows + q.quoted));

    if (pair->quote == 0)
        return 0.97;
    if (pair->quote != '\'')
        return spoilt;
    if (q.quoted <= 4 * q.bad || (q.needed == 0 && q.quoted < 4 * q.bare))
        return 0;
    return q.needed > 0 && q.bad == 0 ? 1.01 : spoilt * 0.95;
}

/* What the rows say about the pair when a table of f fields is meant. */
static void
judge(Pair *pair, const PairRow *rows, uint32_t f)
{
    double looks = 0, inside = 0, credit = 0;
    uint64_t cells = 0;
    uint32_t skip;

    pair->fields = f;
    pair->same = 0;
    pair->first = pair->nrows;
    for (uint32_t i = 0; i < pair->nrows; i++)
    {
        cells += rows[i].fields;
        if (rows[i].fields != f)
            continue;
        pair->first = pair->same == 0 ? i : pair->first;
        pair->last = i;
        pair->same++;
    }
    pair->least = pair->most = f;
    /* the header's words say little, so it is left out where there is more */
    skip = pair->same > 1 ? pair->first + 1 : pair->first;
    for (uint32_t i = skip; i <= pair->last && i < pair->nrows; i++)
    {
        inside++;
        pair->least = rows[i].fields < pair->least ? rows[i].fields : pair->least;
        pair->most = rows[i].fields > pair->most ? rows[i].fields : pair->most;
        /* rows cut short at their end are half right, as long as they have a delimiter */
        if (rows[i].fields == f)
        {
            credit += 1;
            looks += (double) rows[i].looks;
        }
        else if (rows[i].fields > 1 && rows[i].fields < f)
            credit += 0.5;
    }
    if (inside == 0)
        return;
    looks /= pair->same > 1 ? pair->same - 1 : 1;
    credit /= inside;
    pair->factors[PAIR_ALIKE] = credit * credit * (0.4 + 0.6 * pair->same * f / cells);
    pair->factors[PAIR_MANY] = 1 - 1.0 / (f + 1);
    pair->factors[PAIR_LOOKS] = looks * looks;
    pair->factors[PAIR_KINDS] = 0.8 + 0.2 * purity(pair, rows, skip);
    pair->factors[PAIR_QUOTES] = quote_factor(pair, rows);
    pair->factors[PAIR_USUAL] = pair->prior;
    pair->score = 1;
    for (int i = 0; i < PAIR_FACTORS; i++)
        pair->score *= pair->factors[i];
}

static void
begin_rows(GuessRows *guess, const Pair *pair, const PairSample *sample)
{
    guess_begin(guess, sample->s, sample->n, sample->whole,
                &(GuessPair) {pair->delimiter, pair->length, pair->quote, sample->given});
    guess->line = sample->line;
}

GuessCell
pair_worst_field(const Pair *pair, const PairSample *sample)
{
    GuessCell worst = {"", 0, false};
    double least = 2;
    GuessRows guess;

    begin_rows(&guess, pair, sample);
    for (uint32_t row = 0; row <= pair->last && guess_next(&guess); row++)
    {
        uint32_t n = guess.nfields < GUESS_CELLS ? guess.nfields : GUESS_CELLS;

        for (uint32_t i = 0; guess.nfields == pair->fields && (row > pair->first || pair->same == 1) && i < n; i++)
        {
            const GuessCell *cell = &guess.cells[i];
            double looks = field_looks(&guess, i, n, cell_kind(cell->s, cell->n), pair->quote);

            if (looks < least)
            {
                least = looks;
                worst = *cell;
            }
        }
    }
    return worst;
}

void
pair_try(Pair *pair, const PairSample *sample, PairRow *rows)
{
    GuessRows guess;
    uint32_t most, wide;

    begin_rows(&guess, pair, sample);
    pair->nrows = pair->same = 0;
    pair->score = 0;
    while (pair->nrows < PAIR_ROWS && guess_next(&guess))
        see_row(pair, &guess, &rows[pair->nrows++]);
    pair->cut = !sample->whole || pair->nrows == PAIR_ROWS;
    /* a field that the sample's end cuts is no surprise, unless it is long */
    pair->swallowed = guess.unclosed > (sample->whole ? 0 : CUT_FIELD) ? (double) guess.unclosed / (double) sample->n : 0;
    if (pair->nrows == 0)
        return;
    /* a statement of three rows may stand below ten lines of "name: value" */
    most = usual_fields(rows, pair->nrows, false);
    wide = usual_fields(rows, pair->nrows, true);
    judge(pair, rows, most);
    if (wide != most)
    {
        Pair other = *pair;

        judge(&other, rows, wide);
        if (other.score > pair->score)
            *pair = other;
    }
}
