/*
 * csv_detect.c: finding out how a CSV is written; see csv_detect.h.
 *
 * The sample is cut into rows with every delimiter and quote that may be
 * meant, and with none (csv_pair.h).  The best pair wins; how far the best one
 * with another delimiter is behind is the confidence.  Then the table's first
 * row is found, and whether it names the columns (csv_table.h).
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
#include "format/convert.h"
#include "format/csv_guess.h"
#include "format/csv_pair.h"
#include "format/csv_table.h"

static const Pair usual[] = {
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

/* The most confidence in one column that spaces would split. */
#define SPACES_LEAVE 0.4

/* Bytes of a field that a reason shows. */
#define SHOWN_FIELD 24

/* A delimiter that no text has: every line is one field. */
static const Pair no_delimiter = {.delimiter = "\x1e\x1e", .name = "no delimiter", .prior = 1, .length = 2};

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

/* ---- lines before the table that are told ------------------------------- */

/* "sep=;", perhaps in quotes, is how spreadsheets are told: the delimiter, and the line's bytes; 0 without one. */
static size_t
sep_line(const char *sample, size_t n, char *delimiter)
{
    size_t quoted = n > 0 && sample[0] == '"', at = quoted + 5;

    if (n < at + quoted + 1 || strncasecmp(sample + quoted, "sep=", 4) != 0 || (quoted && sample[at] != '"'))
        return 0;
    *delimiter = sample[quoted + 4];
    at += quoted;
    if (sample[at] == '\r')
        at++;
    if (at < n && sample[at] == '\n')
        at++;
    return at > 2 * quoted + 5 && *delimiter != '\r' && *delimiter != '\n' ? at : 0;
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

/* ---- delimiter and quote ------------------------------------------------ */

typedef struct Search
{
    PairSample sample;
    CsvDetectAsk ask;
    CsvDialect *dialect;
    PairRow *rows;
    Pair best, second;      /* second: with another delimiter */
    Pair single;            /* with none */
    bool values;            /* each line is a number or a time as it stands */
    uint32_t spaces;        /* spaces cut nearly every line into as many words, more than one; else 0 */
} Search;

static bool
occurs(const Search *s, const Pair *pair)
{
    return memmem(s->sample.s, s->sample.n, pair->delimiter, pair->length) != NULL;
}

/* The quote or the escape is given and is this byte. */
static bool
is_quote(const CsvDetectAsk *ask, const CsvDialect *d, char c)
{
    return (!ask->quote && d->quote == c) || (d->escape != 0 && d->escape != d->quote && d->escape == c);
}

/* It may be meant: it is in the sample and is not the given quote or escape. */
static bool
possible(const Search *s, const Pair *pair)
{
    return !is_quote(&s->ask, s->dialect, pair->delimiter[0]) && occurs(s, pair);
}

/* The best of the pairs with this delimiter. */
static Pair
try_quotes(Search *s, Pair pair)
{
    const char quotes[] = {'"', '\'', 0};
    Pair best = {.score = -1};

    for (int q = 0; q < 3; q++)
    {
        pair.quote = s->ask.quote ? quotes[q] : s->dialect->quote;
        if (s->ask.quote && pair.quote != 0 && memchr(pair.delimiter, pair.quote, pair.length) != NULL)
            continue;
        if (best.length > 0 && (!s->ask.quote || memchr(s->sample.s, pair.quote ? pair.quote : '"', s->sample.n) == NULL))
            continue;
        pair_try(&pair, &s->sample, s->rows);
        if (pair.score > best.score)
            best = pair;
    }
    return best;
}

static void
try_delimiter(Search *s, const Pair *delimiter)
{
    Pair pair = try_quotes(s, *delimiter);

    if (pair.score > s->best.score)
    {
        s->second = s->best;
        s->best = pair;
    }
    else if (pair.score > s->second.score)
        s->second = pair;
}

/* Fills best, second and single; a given delimiter has no rivals. */
static void
rank(Search *s)
{
    Pair given = {.delimiter = s->dialect->delimiter, .name = "the given delimiter", .prior = 1,
                  .length = s->dialect->delimiter_length};

    s->best.score = s->second.score = s->single.score = -1;
    for (size_t i = 0; i < USUAL; i++)
    {
        if (s->ask.delimiter && possible(s, &usual[i]))
            try_delimiter(s, &usual[i]);
        if (usual[i].length == given.length && memcmp(usual[i].delimiter, given.delimiter, given.length) == 0)
            given.name = usual[i].name;
    }
    if (s->ask.delimiter)
        s->single = try_quotes(s, no_delimiter);
    else
        try_delimiter(s, &given);
}

/* ---- one column? -------------------------------------------------------- */

/* What the lines are, uncut. */
typedef struct Lines
{
    uint32_t n;
    uint32_t words, alike;  /* words of the first line, by spaces; behind it: lines of as many */
    uint32_t values, times; /* behind the first: numbers and times as they stand; times alone */
    bool first_value;
    bool first_split;       /* the best delimiter occurs in the first line */
    uint32_t split;         /* behind the first: lines it occurs in */
    /* numbers with a decimal comma, or two columns of numbers? */
    uint32_t zeros;         /* two digits or more behind the last comma, the first of them 0 */
    uint32_t grouped;       /* another separator as well: 1.234,56 */
    uint32_t least, most;   /* digits behind the last comma */
    uint32_t shortest, longest; /* bytes before it */
} Lines;

/* A line that is a number: what it says about its last comma. */
static void
see_comma(Lines *lines, const GuessCell *cell)
{
    uint32_t at = cell->n, digits = 0;
    bool group = false;

    while (at > 0 && cell->s[at - 1] != ',')
        at--;
    if (at == 0)
        return;
    while (at + digits < cell->n && cell->s[at + digits] >= '0' && cell->s[at + digits] <= '9')
        digits++;
    for (uint32_t i = 0; i + 1 < at; i++)
        group |= cell->s[i] == '.' || cell->s[i] == '\'';
    lines->zeros += digits > 1 && cell->s[at] == '0';
    lines->grouped += group;
    lines->least = digits < lines->least ? digits : lines->least;
    lines->most = digits > lines->most ? digits : lines->most;
    lines->shortest = at < lines->shortest ? at : lines->shortest;
    lines->longest = at > lines->longest ? at : lines->longest;
}

/* What spaces cut a line into. */
static uint32_t
count_words(const GuessCell *cell)
{
    uint32_t words = 0;

    for (uint32_t i = 0; i < cell->n; i++)
        words += cell->s[i] != ' ' && (i == 0 || cell->s[i - 1] == ' ');
    return words;
}

static Lines
see_lines(const Search *s)
{
    Lines lines = {.least = UINT32_MAX, .shortest = UINT32_MAX};
    const Pair *best = &s->best;
    GuessRows guess;

    guess_begin(&guess, s->sample.s, s->sample.n, s->sample.whole,
                &(GuessPair) {no_delimiter.delimiter, no_delimiter.length, s->single.quote, s->dialect});
    for (; lines.n < PAIR_ROWS && guess_next(&guess); lines.n++)
    {
        const GuessCell *cell = &guess.cells[0];
        CellKind kind = cell_kind(cell->s, cell->n);
        bool value = kind == CELL_NUMBER || kind == CELL_TIME;
        bool split = best->length > 0 && memmem(cell->s, cell->n, best->delimiter, best->length) != NULL;

        if (kind == CELL_NUMBER)
            see_comma(&lines, cell);
        if (lines.n > 0)
            lines.alike += count_words(cell) == lines.words;
        else
        {
            lines.words = count_words(cell);
            lines.first_value = value;
            lines.first_split = split;
            continue;
        }
        lines.values += value;
        lines.times += kind == CELL_TIME;
        lines.split += split;
    }
    return lines;
}

/*
 * What the lines as they stand say for one column, beyond its score: above 1
 * for, below 1 against.  "1,50" is a price or two numbers; a name of the
 * column without a comma, a leading zero behind it or digits of a constant
 * number say a price.
 */
static double
single_odds(Search *s)
{
    Lines l = see_lines(s);

    s->values = l.n > 1 && l.first_value && l.values * 10 >= (l.n - 1) * 9;
    if (l.n > 1 && l.words > 1 && l.alike * 10 >= (l.n - 1) * 9 && l.values * 10 < (l.n - 1) * 9)
        s->spaces = l.words;

    if (l.n < 2)
        return 1;
    if (l.values * 10 < (l.n - 1) * 9)
    {
        /* "name", then "Doe, John" in every line */
        bool names = s->best.fields == 2 && !l.first_split && l.split == l.n - 1;

        return names && pair_typed_columns(&s->best, s->rows) == 0 ? 1.3 : 1;
    }
    if (!l.first_value)
        return l.first_split ? 0.2 : 3;
    /* 1.250,99 in every line may be 1.250 and 99, too */
    if (l.times * 2 > l.n || (l.grouped > 0 && l.grouped < l.n) || l.zeros > 0)
        return 3;
    return l.n > 2 && l.least > 1 && l.least == l.most && l.shortest < l.longest ? 1.6 : 1.2;
}

/* One column: a delimiter that will split nothing. */
static void
take_single(Search *s)
{
    static const uint8_t order[] = {0, 2, 1, 3, 7};
    size_t i = 0;
    Pair pair;

    while (i + 1 < sizeof(order) && (occurs(s, &usual[order[i]]) || is_quote(&s->ask, s->dialect, usual[order[i]].delimiter[0])))
        i++;
    pair = usual[order[i]];
    pair.quote = s->single.quote;
    s->best = pair;
}

/* ---- the answer --------------------------------------------------------- */

/* In what the best pair is the furthest ahead of the other one. */
static PairFactor
deciding_factor(const Pair *best, const Pair *other)
{
    PairFactor deciding = PAIR_ALIKE;

    for (PairFactor i = PAIR_ALIKE; i < PAIR_FACTORS; i++)
        if (best->factors[i] * other->factors[deciding] > best->factors[deciding] * other->factors[i])
            deciding = i;
    return deciding;
}

/* A field of a pair that loses by its fields' looks. */
static void
say_field(CsvDialect *dialect, GuessCell cell)
{
    char shown[2 * SHOWN_FIELD + 1];
    size_t used = 0;
    uint32_t n = cell.n <= SHOWN_FIELD ? cell.n : SHOWN_FIELD, i;

    while (n < cell.n && n > 0 && ((unsigned char) cell.s[n] & 0xC0) == 0x80)
        n--;
    for (i = 0; i < n; i++)
    {
        if (cell.s[i] == '\t')
            shown[used++] = '\\';
        shown[used++] = cell.s[i] == '\t' ? 't' : (unsigned char) cell.s[i] < ' ' ? '?' : cell.s[i];
    }
    shown[used] = '\0';
    say(dialect, ", but less plain fields");
    /* a reason can be shown, whatever the sample was */
    if (n == 0 || !convert_utf8_valid(cell.s, n))
        return;
    dialect->excerpt_at = (uint16_t) strlen(dialect->reason);
    say(dialect, ", like \"%s%s\"", shown, n < cell.n ? "..." : "");
    dialect->excerpt_end = (uint16_t) strlen(dialect->reason);
}

/* What the runner-up would give, and what decided against it. */
static void
say_second(const Search *s)
{
    static const char *const faults[] = {
        [PAIR_MANY] = "fewer fields", [PAIR_KINDS] = "columns of mixed kinds", [PAIR_QUOTES] = "quotes in wrong places",
        [PAIR_USUAL] = "is less usual",
    };
    const Pair *o = &s->second;
    PairFactor deciding = deciding_factor(&s->best, o);

    say(s->dialect, "; %s would give %u", o->name, o->least);
    if (o->least != o->most)
        say(s->dialect, " to %u", o->most);
    if (s->best.score <= o->score)
        say(s->dialect, " just as well");
    else if (deciding == PAIR_ALIKE)
        say(s->dialect, ", but only %u of %u rows alike", o->same, o->nrows);
    else if (deciding == PAIR_LOOKS)
        say_field(s->dialect, pair_worst_field(o, &s->sample));
    else
        say(s->dialect, ", but %s", faults[deciding]);
}

static void
say_pair(const Search *s, bool single)
{
    const Pair *b = &s->best;

    if (single)
    {
        say(s->dialect, "one column: %s (%s is set, which %s)",
            s->values ? "each line is one value as it stands" : "no delimiter splits the lines alike", b->name,
            occurs(s, b) ? "splits some" : "does not occur");
        if (s->spaces > 0)
            say(s->dialect, "; spaces would give %u: perhaps \"delimiter\": \" \"", s->spaces);
    }
    else
        say(s->dialect, "%s: %u of %u rows have %u field%s%s", b->name, b->same, b->nrows, b->fields, b->fields == 1 ? "" : "s",
            s->values ? ", but each line may be one value" : "");
    if (!single && s->ask.delimiter && s->second.score > 0)
        say_second(s);
    if (s->ask.quote && b->quote == '\'')
        say(s->dialect, "; single quotes");
    else if (s->ask.quote && b->quote == 0)
        say(s->dialect, "; no quotes: they stand inside fields");
}

/* Delimiter and quote into the dialect; returns the confidence in them. */
static double
settle_pair(Search *s)
{
    CsvDialect *d = s->dialect;
    double confidence = 1, single = -1;
    bool is_single = false;

    if (s->ask.delimiter && s->single.nrows > 0)
    {
        if (s->best.length > 0)
            pair_try(&s->best, &s->sample, s->rows);
        single = s->single.score * single_odds(s);
        is_single = single > s->best.score;
    }
    if (is_single)
    {
        double best = s->best.score;

        take_single(s);
        /* lines without any delimiter leave no doubt about the lines, only about what is meant */
        confidence = best < 0 ? 0.5 : (single - best) / single;
        if (s->spaces > 0 && confidence > SPACES_LEAVE)
            confidence = SPACES_LEAVE;
    }
    else if (s->ask.delimiter)
    {
        double other = s->second.score > single ? s->second.score : single;

        confidence = 2 * (s->best.score - other) / s->best.score;
        confidence *= (double) s->best.same / (s->best.same + 0.5);
    }
    if (s->best.length == 0)
        return 0;
    pair_try(&s->best, &s->sample, s->rows);
    if (s->ask.quote)
    {
        bool doubled = d->escape == d->quote;

        d->quote = s->best.quote;
        if (doubled || d->quote == 0)
            d->escape = d->quote;
    }
    if (s->ask.delimiter)
    {
        memcpy(d->delimiter, s->best.delimiter, s->best.length);
        d->delimiter_length = s->best.length;
    }
    say_pair(s, is_single);
    return confidence > 1 ? 1 : confidence;
}

static void
search(Search *s)
{
    CsvDialect *d = s->dialect;
    TableBegin begin = {0, 1};
    TableHeader header = {.sure = 1};
    double confidence;
    uint32_t behind;

    rank(s);
    confidence = settle_pair(s);
    if (s->best.nrows == 0)
        return;
    if (s->ask.skip_lines)
        begin = table_begin(&s->best, &s->sample, s->rows);
    if (s->ask.skip_lines && (begin.row > 0 || s->sample.line > 0))
    {
        d->skip_lines = begin.row > 0 ? s->rows[begin.row].line : s->sample.line;
        say(d, "; the table begins on line %u", d->skip_lines + 1);
    }
    behind = s->best.nrows - 1 - s->best.last;
    if (behind > 0 && !s->best.cut && s->best.fields > 1)
        say(d, "; %u row%s behind it %s another shape", behind, behind == 1 ? "" : "s", behind == 1 ? "has" : "have");
    if (s->ask.header)
    {
        header = table_header(&s->best, &s->sample, s->rows[begin.row].at);
        d->header = header.header;
        d->header_evidence = header.evidence;
        say(d, ". %s: %s", d->header ? "Header" : "No header", header.why);
    }
    confidence = confidence < header.sure ? confidence : header.sure;
    confidence = confidence < begin.sure ? confidence : begin.sure;
    d->confidence = confidence > 0 ? confidence : 0;
}

/* What stands until something is found. */
static void
set_defaults(const CsvDetectAsk *ask, CsvDialect *dialect)
{
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
    dialect->excerpt_at = dialect->excerpt_end = 0;
}

void
csv_detect(const char *sample, size_t n, bool whole, const CsvDetectAsk *ask, CsvDialect *dialect)
{
    Search s = {.ask = *ask, .dialect = dialect};
    size_t told = 0, from;
    char delimiter = 0;

    set_defaults(ask, dialect);
    if (n > CSV_DETECT_SAMPLE)
    {
        n = CSV_DETECT_SAMPLE;
        whole = false;
    }
    if (ask->delimiter)
        told = sep_line(sample, n, &delimiter);
    if (told > 0 && !is_quote(ask, dialect, delimiter))
    {
        s.ask.delimiter = false;
        dialect->delimiter[0] = delimiter;
        say(dialect, "the first line says so: ");
    }
    from = ask->skip_lines ? told : skip_given(sample, n, dialect->skip_lines);
    s.sample = (PairSample) {.s = sample + from, .n = n - from, .whole = whole, .given = dialect};
    s.sample.line = ask->skip_lines ? told > 0 : dialect->skip_lines;
    s.rows = s.sample.n > 0 ? malloc(PAIR_ROWS * sizeof(*s.rows)) : NULL;
    if (s.rows != NULL)
        search(&s);
    else if (s.sample.n > 0)
        say(dialect, "no memory to look closer: the defaults");
    free(s.rows);
    if (dialect->reason[0] == '\0')
        say(dialect, "there is nothing to look at: the defaults");
}
