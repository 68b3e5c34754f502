/*
 * csv_guess.c: rows of a sample under a guess; see csv_guess.h.
 *
 * One pass, byte by byte.  A quote opens a field at its beginning only, and
 * closes it only before a delimiter or the line's end; every other one is kept
 * as text and counted as a surprise.
 */
#include "format/csv_guess.h"

#include <string.h>

void
guess_begin(GuessRows *g, const char *sample, size_t n, bool whole, const GuessPair *pair)
{
    const CsvDialect *given = pair->given;

    memset(g, 0, offsetof(GuessRows, cells));
    g->sample = sample;
    g->n = n;
    g->whole = whole;
    g->delimiter = pair->delimiter;
    g->length = pair->length;
    g->quote = pair->quote;
    /* an escape that is the quote goes with whichever quote is tried */
    g->escape = given->escape == given->quote || pair->quote == 0 ? pair->quote : given->escape;
    g->comment = given->comment;
    g->ncomment = strlen(given->comment);
    g->line_end = memchr(sample, '\n', n) != NULL ? '\n' : '\r';
}

static inline bool
at_delimiter(const GuessRows *g, size_t at)
{
    if (g->sample[at] != g->delimiter[0])
        return false;
    return g->length == 1 || (g->n - at >= g->length && memcmp(g->sample + at, g->delimiter, g->length) == 0);
}

/* Does a line end at `at`: CR LF, LF, or CR in a sample without LF? */
static inline bool
at_line_end(const GuessRows *g, size_t at)
{
    if (g->sample[at] == g->line_end)
        return true;
    return g->sample[at] == '\r' && at + 1 < g->n && g->sample[at + 1] == '\n';
}

static void
add_cell(GuessRows *g, size_t from, size_t to, bool quoted)
{
    if (g->nfields < GUESS_CELLS)
        g->cells[g->nfields] = (GuessCell) {g->sample + from, (uint32_t) (to - from), quoted};
    g->nfields++;
}

/* From behind an opening quote to its end; false when it never closes. */
static bool
quoted_field(GuessRows *g)
{
    size_t from = g->at, bad = 0;
    uint32_t lines = 0;
    bool needed = false;

    for (; g->at < g->n; g->at++)
    {
        char c = g->sample[g->at];
        size_t next = g->at + 1;

        lines += c == g->line_end;
        needed |= c == g->line_end || at_delimiter(g, g->at);
        if (c == g->escape && g->escape != g->quote && next < g->n)
        {
            g->at++;
            continue;
        }
        if (c != g->quote)
            continue;
        if (next >= g->n || at_delimiter(g, next) || at_line_end(g, next))
        {
            add_cell(g, from, g->at, true);
            g->at = next;
            g->quoted++;
            g->needed += needed;
            g->bad_quotes += (uint32_t) bad;
            g->line += lines;
            return true;
        }
        if (g->sample[next] == g->quote && g->escape == g->quote)
        {
            g->at++;
            needed = true;
        }
        else
            bad++;
    }
    add_cell(g, from, g->n, true);
    g->line += lines;
    g->bad_quotes += (uint32_t) bad + 1;
    g->unclosed = g->n - from;
    return false;
}

static void
plain_field(GuessRows *g)
{
    size_t from = g->at;

    for (; g->at < g->n && !at_delimiter(g, g->at) && !at_line_end(g, g->at); g->at++)
        g->bad_quotes += g->quote != 0 && g->sample[g->at] == g->quote;
    add_cell(g, from, g->at, false);
}

/* Moves behind the line end at `at`, if there is one. */
static void
pass_line_end(GuessRows *g)
{
    if (g->at < g->n && g->sample[g->at] == '\r' && g->line_end == '\n')
        g->at++;
    if (g->at < g->n && g->sample[g->at] == g->line_end)
    {
        g->at++;
        g->line++;
    }
}

/* Passes a blank line or a comment; false when there is a row. */
static bool
pass_no_row(GuessRows *g)
{
    size_t end = g->at;
    const char *p;

    if (g->ncomment > 0 && g->n - g->at >= g->ncomment && memcmp(g->sample + g->at, g->comment, g->ncomment) == 0)
    {
        p = memchr(g->sample + g->at, g->line_end, g->n - g->at);
        g->at = p != NULL ? (size_t) (p - g->sample) : g->n;
        pass_line_end(g);
        return true;
    }
    while (end < g->n && g->sample[end] == ' ')
        end++;
    if (end < g->n && !at_line_end(g, end))
        return false;
    g->at = end;
    g->blank = true;
    pass_line_end(g);
    return true;
}

bool
guess_next(GuessRows *g)
{
    bool more = true;

    g->blank = false;
    while (g->at < g->n && pass_no_row(g))
        ;
    if (g->at >= g->n)
        return false;
    g->row_at = g->at;
    g->row_line = g->line;
    g->nfields = g->quoted = g->needed = g->bad_quotes = 0;
    while (more)
    {
        if (g->at < g->n && g->quote != 0 && g->sample[g->at] == g->quote)
        {
            g->at++;
            quoted_field(g);
        }
        else
            plain_field(g);
        more = g->at < g->n && at_delimiter(g, g->at);
        if (more)
            g->at += g->length;
    }
    if (g->at >= g->n)
        return g->whole;
    pass_line_end(g);
    return true;
}
