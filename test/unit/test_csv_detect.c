/*
 * test_csv_detect.c: what is found out about messy files.
 *
 * Each fixture in test/data/detect stands in a table with the answer a person
 * would give.  A low confidence is part of the answer where people would
 * hesitate as well.  Below it: what was given is kept, cut samples, all sizes
 * of a sample (nothing is read behind it), and the sentences.
 */
#include <stdlib.h>

#include "format/convert.h"
#include "format/csv_detect.h"
#include "tap.h"

enum { SURE = 1, UNSURE = 2, ANY = 3 };

typedef struct Fixture
{
    const char *file;
    const char *delimiter;
    char quote;             /* 0: none */
    int header;             /* -1: either will do */
    unsigned skip_lines;
    int sure;               /* SURE: at least 0.5; UNSURE: below */
} Fixture;

static const Fixture fixtures[] = {
    {"comma.csv", ",", '"', 1, 0, SURE},
    {"semicolon_decimal_comma.csv", ";", '"', 1, 0, ANY},
    {"semicolon_all_decimals.csv", ";", '"', 0, 0, ANY},
    {"thousands_de.csv", ";", '"', 1, 0, ANY},
    {"thousands_us.csv", ",", '"', 1, 0, SURE},
    {"tab.tsv", "\t", '"', 1, 0, SURE},
    {"pipe.txt", "|", '"', 0, 0, ANY},
    {"two_pipes.txt", "||", '"', 1, 0, ANY},
    {"caret.txt", "^", '"', 0, 0, SURE},
    {"control_a.txt", "\x01", '"', 0, 0, SURE},
    {"colon_times.csv", ",", '"', 1, 0, SURE},
    {"passwd.txt", ":", '"', 0, 0, ANY},
    {"times_one_column.txt", ",", '"', 0, 0, ANY},
    {"quoted_delimiters.csv", ";", '"', 1, 0, SURE},
    {"quoted_newlines.csv", ",", '"', 1, 0, SURE},
    {"doubled_quotes.csv", ",", '"', 1, 0, ANY},
    {"single_quotes.csv", ",", '\'', 1, 0, ANY},
    {"no_quotes.txt", ",", 0, 1, 0, ANY},
    {"apostrophes.csv", ",", '"', 1, 0, SURE},
    {"no_header_text.csv", ",", '"', -1, 0, UNSURE},
    {"no_header_numbers.csv", ",", '"', 0, 0, SURE},
    {"header_text.csv", ",", '"', 1, 0, ANY},
    {"units.csv", ",", '"', 1, 0, SURE},
    {"years.csv", ";", '"', 1, 0, ANY},
    {"title.csv", ",", '"', 1, 1, SURE},
    {"title_padded.csv", ";", '"', 1, 2, ANY},
    {"report_head.csv", ";", '"', 1, 6, ANY},
    {"notes_behind.csv", ",", '"', 1, 0, ANY},
    {"head_and_notes.csv", "\t", '"', 1, 2, ANY},
    {"sep_line.csv", ";", '"', 1, 1, SURE},
    {"dates_slash.csv", ",", '"', 0, 0, SURE},
    {"currency.csv", ";", '"', 1, 0, ANY},
    {"one_column.csv", ",", '"', 1, 0, ANY},
    {"one_column_prices.csv", "\t", '"', 1, 0, ANY},
    {"one_column_prose.txt", "\t", '"', -1, 0, ANY},
    {"one_row.csv", ",", '"', 0, 0, UNSURE},
    {"header_only.csv", ",", '"', 1, 0, UNSURE},
    {"empty.csv", ",", '"', 1, 0, UNSURE},
    {"blank.csv", ",", '"', 1, 0, UNSURE},
    {"crlf.csv", ";", '"', 1, 0, SURE},
    {"cr.csv", ";", '"', 1, 0, SURE},
    {"cr_title.csv", ";", '"', 1, 1, SURE},
    {"comments.csv", ",", '"', 1, 2, ANY},
    {"long_lines.csv", ",", '"', 1, 0, SURE},
    {"utf8.csv", ",", '"', 1, 0, SURE},
    {"chinese.csv", ",", '"', 1, 0, SURE},
    {"ragged.csv", ",", '"', 1, 0, ANY},
    {"trailing_delimiter.csv", ",", '"', 1, 0, ANY},
    {"json_cells.csv", "|", 0, 1, 0, ANY},
    {"json_quoted.csv", ",", '"', 1, 0, SURE},
    {"log.txt", NULL, '"', -1, 0, UNSURE},
    {"urls.csv", ",", '"', 1, 0, SURE},
    {"empty_columns.csv", ",", '"', 1, 0, ANY},
    {"stray_quote.csv", ",", '"', 1, 0, ANY},
    {"blank_lines.csv", ",", '"', 1, 0, ANY},
    {"space_after_comma.csv", ",", '"', 1, 0, ANY},
    {"sensor.csv", ";", '"', 0, 0, ANY},
    {"emails.csv", ";", '"', -1, 0, ANY},
    {"sparse_first_row.csv", ";", '"', 0, 0, ANY},
    {"title_with_comma.csv", ",", '"', 1, 2, ANY},
    {"codes.csv", ",", '"', 1, 0, ANY},
};

static const CsvDetectAsk everything = {true, true, true, true};
static const CsvDialect defaults = {.delimiter = ",", .delimiter_length = 1, .quote = '"', .escape = '"', .header = true};

static char *
load(const char *name, size_t *n)
{
    char path[256], *data;
    FILE *f;

    snprintf(path, sizeof(path), "test/data/detect/%s", name);
    f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    data = malloc(CSV_DETECT_SAMPLE + 1);
    *n = fread(data, 1, CSV_DETECT_SAMPLE, f);
    fclose(f);
    return data;
}

/* The sample at the end of its own memory, so that a sanitizer sees reads behind it. */
static CsvDialect
detect(const char *data, size_t n, bool whole, const CsvDetectAsk *ask, const CsvDialect *given)
{
    CsvDialect dialect = *given;
    char *exact = malloc(n > 0 ? n : 1);

    memcpy(exact, data, n);
    csv_detect(exact, n, whole, ask, &dialect);
    free(exact);
    return dialect;
}

static void
test_fixture(const Fixture *f)
{
    size_t n = 0;
    char *data = load(f->file, &n);
    CsvDialect d;
    bool right;

    if (!ok(data != NULL, "%s can be read", f->file))
        return;
    d = detect(data, n, true, &everything, &defaults);
    right = (f->delimiter == NULL || (d.delimiter_length == strlen(f->delimiter) && memcmp(d.delimiter, f->delimiter, d.delimiter_length) == 0)) &&
        d.quote == f->quote && (f->header < 0 || d.header == f->header) && d.skip_lines == f->skip_lines &&
        d.confidence >= 0 && d.confidence <= 1 && (f->sure == ANY || (d.confidence >= 0.5) == (f->sure == SURE));
    ok(right, "%s", f->file);
    if (!right || getenv("SHOW"))
        printf("#   %s: delimiter %.*s, quote %c, header %d, skip %u, confidence %.2f\n#   %s\n", f->file, d.delimiter_length,
            d.delimiter, d.quote ? d.quote : '0', d.header, d.skip_lines, d.confidence, d.reason);
    ok(d.reason[0] != '\0' && strlen(d.reason) < sizeof(d.reason) && convert_utf8_valid(d.reason, strlen(d.reason)),
        "%s: a reason", f->file);
    free(data);
}

/* Any part of any fixture gives some answer within the contract. */
static void
test_parts(void)
{
    size_t n, wrong = 0;

    for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++)
    {
        char *data = load(fixtures[i].file, &n);

        for (size_t part = 0; data != NULL && part <= n && part < 400; part++)
            for (int whole = 0; whole < 2; whole++)
            {
                CsvDialect d = detect(data, part, whole, &everything, &defaults);

                wrong += d.delimiter_length < 1 || d.confidence < 0 || d.confidence > 1 || d.skip_lines > 50;
            }
        free(data);
    }
    is_int((int64_t) wrong, 0, "parts of the fixtures");
}

static void
test_given(void)
{
    static const char text[] = "title\n'a';1,5\n'b';2,5\n'c';3,5\n";
    CsvDetectAsk ask = {false, false, false, false};
    CsvDialect given = defaults, d;

    given.header = false;
    given.skip_lines = 7;
    given.quote = '"';
    d = detect(text, strlen(text), true, &ask, &given);
    ok(d.delimiter[0] == ',' && d.quote == '"' && !d.header && d.skip_lines == 7, "nothing asked, nothing changed");
    ask.quote = true;
    given.skip_lines = 1;
    given.delimiter[0] = ';';
    d = detect(text, strlen(text), true, &ask, &given);
    ok(d.delimiter[0] == ';' && d.quote == '\'' && d.escape == '\'', "the quote alone; the escape follows it");
    ask = (CsvDetectAsk) {true, false, true, false};
    given = defaults;
    given.skip_lines = 1;
    d = detect(text, strlen(text), true, &ask, &given);
    ok(d.delimiter[0] == ';' && d.skip_lines == 1, "lines to leave out are left out");
    given = defaults;
    strcpy(given.delimiter, "<>");
    given.delimiter_length = 2;
    ask = (CsvDetectAsk) {false, true, true, true};
    d = detect("a report\nid<>name<>n\n1<>x<>2\n2<>y<>3\n", 38, true, &ask, &given);
    ok(d.delimiter_length == 2 && d.header && d.skip_lines == 1, "a given delimiter of two bytes");
    /* What is given as quote or escape is no delimiter, and the reverse. */
    ask = (CsvDetectAsk) {true, false, false, false};
    given = defaults;
    given.quote = given.escape = ';';
    d = detect(";a;,b\n;1;,2\n;4;,5\n", 18, true, &ask, &given);
    ok(d.delimiter[0] == ',', "the quote is no delimiter");
    d = detect("a;b\n1;2\n4;5\n", 12, true, &ask, &given);
    ok(d.delimiter[0] != ';', "not even when nothing else is there");
    d = detect("sep=;\na;b,c\n1;2,3\n", 18, true, &everything, &given);
    ok(d.quote != d.delimiter[0], "nor when the first line says so");
    given.quote = given.escape = ',';
    d = detect("", 0, true, &ask, &given);
    ok(d.delimiter[0] == ';', "nor by default");
    given.quote = '"';
    d = detect("a,b;c\n1,2;3\n4,5;6\n", 18, true, &ask, &given);
    ok(d.delimiter[0] == ';', "the escape is no delimiter");
    ask = (CsvDetectAsk) {false, true, false, false};
    given = defaults;
    given.delimiter[0] = '"';
    d = detect("a\"b\"c\n1\"2\"3\n", 12, true, &ask, &given);
    ok(d.quote == 0, "the delimiter is no quote");
    d = detect("a\n1\n", 4, true, &ask, &given);
    ok(d.quote != '"', "not even when it is not there");
    given = defaults;
    strcpy(given.comment, "//");
    d = detect("// a;b;c\n// d;e;f\nid,n\n1,2\n3,4\n", 32, true, &everything, &given);
    ok(d.delimiter[0] == ',' && d.header && d.skip_lines == 0, "comments are no rows and no title");
}

static void
test_cut(void)
{
    static const char text[] = "id,name\n1,Anna\n2,Bob\n3,\"Cem\nand";
    CsvDialect d = detect(text, strlen(text), false, &everything, &defaults);

    ok(d.delimiter[0] == ',' && d.quote == '"' && d.header, "a sample that ends inside quotes");
    ok(strstr(d.reason, "3 of 3 rows") != NULL, "its last row does not count: %s", d.reason);
    d = detect("id,na", 5, false, &everything, &defaults);
    ok(d.delimiter[0] == ',' && d.confidence == 0, "less than one row");
}

static void
test_reason(void)
{
    CsvDialect d = detect("a;b\n1,5;2\n2,5;3\n", 16, true, &everything, &defaults);

    ok(strstr(d.reason, "semicolon: 3 of 3 rows have 2 fields; comma would give 2") == d.reason, "%s", d.reason);
    d = detect("a,b,c\n1,2,x\n3,4,y\n\nbye\n", 23, true, &everything, &defaults);
    ok(strstr(d.reason, "1 row behind it has another shape") != NULL, "%s", d.reason);
}

/* A large sample of each hostile kind takes one pass a pair. */
static void
test_large(void)
{
    static const char *const units[] = {",", "\"", "'\"", "a;", "\n", "\r", ",\n", "||", "1,\"x\n", "\"\",", NULL};
    size_t n = CSV_DETECT_SAMPLE + 1000, at;
    char *data = malloc(n);

    for (int i = 0; units[i] != NULL; i++)
    {
        CsvDialect d;

        for (at = 0; at < n; at++)
            data[at] = units[i][at % strlen(units[i])];
        d = detect(data, n, false, &everything, &defaults);
        ok(d.confidence >= 0 && d.confidence <= 1, "a sample full of %zu special bytes", strlen(units[i]));
    }
    free(data);
}

int
main(void)
{
    for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++)
        test_fixture(&fixtures[i]);
    test_parts();
    test_given();
    test_cut();
    test_reason();
    test_large();
    return done();
}
