/*
 * csv_open.c: the beginning of a CSV object.
 *
 * Reads up to CSV_SAMPLE bytes into the window, no more than is needed, and
 * finds out from them what the options leave open: line ends, and through
 * csv_detect delimiter, quote, header and lines before the header.  The sample
 * stays in the window and is then scanned like everything else, so nothing is
 * read twice.  What is found depends on the bytes alone, not on the pieces they
 * came in.
 *
 * csv_detect wants valid UTF-8 with LF: where the sample is something else, it
 * gets a copy in which bad bytes are question marks and CR is LF.
 */
#include <stdlib.h>
#include <string.h>

#include "format/convert.h"
#include "format/csv.h"
#include "format/csv_detect.h"

/* Enough rows to tell a header from data. */
#define HEADER_SAMPLE (16U << 10)

static CsvDetectAsk
questions(const CsvOptions *o)
{
    return (CsvDetectAsk) {
        .delimiter = o->find_delimiter,
        .quote = o->find_quote,
        .header = o->header == CSV_HEADER_AUTO,
        .skip_lines = o->find_skip,
    };
}

static bool
skip_mark(Csv *csv, Status *st)
{
    while (csv->window.used < 3 && !csv->eof)
        if (!csv_rows_read(csv, CSV_SAMPLE - csv->window.used, st))
            return false;
    if (csv->window.used >= 3 && memcmp(csv->window.data, "\xEF\xBB\xBF", 3) == 0)
    {
        buf_drop_front(&csv->window, 3);
        csv->base = 3;
    }
    return true;
}

/* Reads `least` bytes, when line ends are to be found out HEADER_SAMPLE, and for a LF up to CSV_SAMPLE when line ends are to be found out. */
static bool
read_sample(Csv *csv, size_t least, Status *st)
{
    bool newline = csv->own.dialect.newline == CSV_NEWLINE_AUTO;
    size_t seen = 0;

    if (newline && least < HEADER_SAMPLE)
        least = HEADER_SAMPLE;

    while (csv->window.used < CSV_SAMPLE && !csv->eof)
    {
        if (newline && memchr(csv->window.data + seen, '\n', csv->window.used - seen) != NULL)
            newline = false;
        if (!newline && csv->window.used >= least)
            return true;
        seen = csv->window.used;
        if (!csv_rows_read(csv, CSV_SAMPLE - csv->window.used, st))
            return false;
    }
    return true;
}

/*
 * Whether CRs alone end lines in a sample that has LFs: the lines before and
 * behind them have as many delimiters, for most of them.  Where the delimiter
 * is to be found out, one is enough.
 */
static bool
cr_ends_lines(const Csv *csv, size_t n)
{
    const CsvOptions *o = &csv->own;
    const uint8_t *data = csv->window.data;
    uint8_t quote = o->find_quote ? '"' : o->dialect.quote;
    uint32_t delimiters = 0, before = 0, fitting = 0, others = 0;
    bool quoted = false, behind_cr = false;
    size_t i;

    for (i = 0; i < n; i++)
    {
        if (quote != 0 && data[i] == quote)
            quoted = !quoted;
        if (quoted)
            continue;
        delimiters += !o->find_delimiter && data[i] == o->dialect.delimiter[0];
        if (!csv_ends_any_line(data, i, csv->window.used) && i + 1 < csv->window.used)
            continue;
        if (behind_cr)
            *(before == delimiters ? &fitting : &others) += 1;
        if (data[i] == '\n' && i > 1 && data[i - 1] == '\r' && data[i - 2] == '\r')
            fitting++;
        behind_cr = data[i] == '\r';
        before = delimiters;
        delimiters = 0;
    }
    return fitting > 0 && fitting >= others;
}

void
csv_find_newline(Csv *csv)
{
    const uint8_t *data = csv->window.data;
    size_t n = csv->window.used;

    /* The LF of the last CR may be the next byte. */
    if (n > 0 && !csv->eof && data[n - 1] == '\r')
        n--;
    if (n == 0 || memchr(data, '\r', n) == NULL)
        return;
    /* What is looked at must not depend on how much came at once. */
    if (n > HEADER_SAMPLE - 2 && memchr(data, '\n', n) != NULL)
        n = HEADER_SAMPLE - 2;
    if (memchr(data, '\n', csv->window.used) == NULL || cr_ends_lines(csv, n))
        csv->own.dialect.newline = CSV_NEWLINE_ANY;
}

/* Copies n bytes of the window for csv_detect; returns the copy's length. */
static size_t
clean_sample(const Csv *csv, char *out, size_t n, bool valid)
{
    const char *s = (const char *) csv->window.data;
    bool any = csv->own.dialect.newline == CSV_NEWLINE_ANY || csv->own.dialect.newline == CSV_NEWLINE_CR;
    size_t used = 0, i;

    for (i = 0; i < n; i++)
    {
        if (any && csv_ends_line(csv, i))
            out[used++] = '\n';
        else if (csv->own.dialect.newline == CSV_NEWLINE_ANY && s[i] == '\r')
            continue;
        else
            out[used++] = !valid && (s[i] == '\0' || (unsigned char) s[i] >= 0x80) ? '?' : s[i];
    }
    return used;
}

/* The sample's length without a character that its end cuts. */
static size_t
whole_characters(const char *s, size_t n)
{
    size_t cut = 0;

    while (cut < 3 && cut < n && ((unsigned char) s[n - 1 - cut] & 0xC0) == 0x80)
        cut++;
    if (cut < n && (unsigned char) s[n - 1 - cut] >= 0xC0 && !convert_utf8_valid(s + n - 1 - cut, cut + 1))
        return n - 1 - cut;
    return n;
}

static void
take_answer(Csv *csv, const CsvDetectAsk *ask, const CsvDialect *found)
{
    CsvOptions *o = &csv->own;

    if (ask->delimiter)
    {
        memcpy(o->dialect.delimiter, found->delimiter, found->delimiter_length);
        o->dialect.delimiter_length = found->delimiter_length;
    }
    if (ask->quote)
    {
        o->dialect.quote = (uint8_t) found->quote;
        if (!o->escape_given || found->quote == 0)
            o->dialect.escape = o->dialect.quote;
    }
    if (ask->header)
    {
        o->header = found->header ? CSV_HEADER_YES : CSV_HEADER_NO;
        csv->header_found = true;
        csv->header_evidence = found->header_evidence;
    }
    if (ask->skip_lines)
        o->skip_lines = found->skip_lines;
    csv->detected = true;
    csv->confidence = found->confidence;
    memcpy(csv->reason, found->reason, sizeof(csv->reason));
    csv->excerpt_at = found->excerpt_at;
    csv->excerpt_end = found->excerpt_end;
}

static bool
detect(Csv *csv, const CsvDetectAsk *ask, size_t most, Status *st)
{
    const CsvOptions *o = &csv->own;
    const char *sample = (const char *) csv->window.data;
    bool whole = csv->eof && csv->window.used <= most;
    size_t n = whole ? csv->window.used : whole_characters(sample, csv->window.used < most ? csv->window.used : most);
    bool valid = convert_utf8_valid(sample, n);
    char *copy = NULL;
    CsvDialect dialect = {
        .delimiter_length = o->dialect.delimiter_length, .quote = (char) o->dialect.quote,
        .escape = (char) o->dialect.escape, .header = true, .skip_lines = o->skip_lines,
    };

    memcpy(dialect.delimiter, o->dialect.delimiter, o->dialect.delimiter_length);
    memcpy(dialect.comment, o->dialect.comment, o->dialect.comment_length);
    if (!valid || o->dialect.newline >= CSV_NEWLINE_CR)
    {
        copy = malloc(n + 1);
        if (copy == NULL)
            return status_out_of_memory(st, n + 1);
        n = clean_sample(csv, copy, n, valid);
        sample = copy;
    }
    csv_detect(sample, n, whole, ask, &dialect);
    take_answer(csv, ask, &dialect);
    free(copy);
    return true;
}

/* Drops the lines before the header. */
static bool
skip_lines(Csv *csv, Status *st)
{
    uint32_t left = csv->own.skip_lines;
    size_t at = 0;

    while (left > 0)
    {
        size_t end = csv_decided(csv);

        while (at < end && !csv_ends_line(csv, at))
            at++;
        if (at < end)
        {
            at++;
            csv->line++;
            left--;
            continue;
        }
        buf_drop_front(&csv->window, at);
        csv->base += at;
        at = 0;
        if (csv->eof)
            return true;
        if (!csv_rows_read(csv, CSV_CHUNK, st))
            return false;
    }
    if (at > 0)
        buf_drop_front(&csv->window, at);
    csv->base += at;
    return true;
}

bool
csv_open_begin(Csv *csv, Status *st)
{
    CsvDetectAsk ask = questions(&csv->own);
    bool asked = ask.delimiter || ask.quote || ask.header || ask.skip_lines;
    /* Every file is asked for its header, so that must cost nothing; the rest is asked for by option. */
    size_t sample = ask.delimiter || ask.quote || ask.skip_lines ? CSV_SAMPLE : asked ? HEADER_SAMPLE : 0;

    if (!skip_mark(csv, st) || !read_sample(csv, sample, st))
        return false;
    if (csv->own.dialect.newline == CSV_NEWLINE_AUTO)
        csv_find_newline(csv);
    if (asked && !detect(csv, &ask, sample, st))
        return false;
    if (!skip_lines(csv, st))
        return false;
    csv->tail = csv->own.dialect.delimiter_length - 1U;
    csv_scan_init(&csv->scan, &csv->own.dialect, csv->own.path);
    return csv_scan_reserve(&csv->scan, 0, st) && csv_rows_scan(csv, st);
}
