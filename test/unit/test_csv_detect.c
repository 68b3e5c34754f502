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
    {"address_lines.csv", ",", '"', 1, 2, SURE},
    {"apostrophes_names.csv", ",", '"', 1, 0, UNSURE},
    {"apostrophes_semicolon.csv", ";", '"', 1, 0, SURE},
    {"apostrophes_text.csv", ",", '"', 1, 0, SURE},
    {"apostrophes_thousands.csv", ";", '"', 1, 0, SURE},
    {"bank_ch_formulas.csv", ";", '"', 1, 6, SURE},
    {"bank_ch_statement.csv", ";", '"', 1, 9, SURE},
    {"bank_de_prose_head.csv", ";", '"', 1, 13, SURE},
    {"bank_de_statement.csv", ";", '"', 1, 6, SURE},
    {"bank_fr_statement.csv", ";", '"', 1, 7, SURE},
    {"blank_after_header.csv", ";", '"', 1, 0, SURE},
    {"booleans.csv", ",", '"', 0, 0, SURE},
    {"config_lines.txt", "\t", '"', -1, 0, UNSURE},
    {"coordinates.csv", ";", '"', 1, 0, SURE},
    {"cross_table.csv", ",", '"', 1, 0, SURE},
    {"dates_only.csv", ";", '"', 0, 0, SURE},
    {"hash_comments.csv", ",", '"', 1, 6, ANY},
    {"header_only_semicolon.csv", ";", '"', 1, 0, UNSURE},
    {"header_wider.csv", ",", '"', 1, 0, SURE},
    {"ids_only.csv", ",", '"', 0, 0, ANY},
    {"inches.tsv", "\t", 0, 1, 0, SURE},
    {"indicators.csv", ",", '"', 1, 4, SURE},
    {"json_column.tsv", "\t", 0, 1, 0, SURE},
    {"json_column_semicolon.csv", ";", 0, 1, 0, SURE},
    {"key_values_two_columns.csv", ";", '"', 1, 4, SURE},
    {"last_field_left_out.tsv", "\t", '"', 0, 0, ANY},
    {"log_pipe.txt", "|", '"', 0, 0, SURE},
    {"log_semicolon_millis.txt", ";", '"', 1, 0, SURE},
    {"log_tab.txt", "\t", 0, 0, 0, SURE},
    {"mails_quoted.csv", ",", '"', 1, 0, SURE},
    {"measurements_tab.txt", "\t", '"', 1, 4, ANY},
    {"money_us.csv", ",", '"', 1, 0, SURE},
    {"notes_pipe.csv", "|", 0, 1, 0, SURE},
    {"notes_semicolon.csv", ";", '"', 1, 0, ANY},
    {"notes_semicolon_even.csv", ";", '"', 1, 0, ANY},
    {"notes_with_delimiters.csv", ",", '"', 1, 0, SURE},
    {"nulls.csv", ",", '"', 1, 0, SURE},
    {"numbers_eu_footer.csv", ";", '"', 1, 0, SURE},
    {"numbers_fr_spaces.csv", ";", '"', 1, 0, SURE},
    {"one_column_comma_prices.txt", "\t", '"', 0, 0, ANY},
    {"one_column_full_names.txt", "\t", '"', 1, 0, UNSURE},
    {"one_column_thousands.txt", "\t", '"', 1, 0, ANY},
    {"one_column_urls.txt", ",", '"', 0, 0, ANY},
    {"payments_comma.csv", ",", '"', 1, 0, SURE},
    {"phones.csv", ";", '"', 1, 0, SURE},
    {"quoted_decimal_commas.csv", ",", '"', 0, 0, SURE},
    {"repeated_header.csv", ",", '"', 1, 0, SURE},
    {"sep_quoted.csv", "|", '"', 1, 1, SURE},
    {"sep_title.csv", ";", '"', 1, 3, SURE},
    {"short_header.csv", ";", '"', 1, 0, SURE},
    {"single_quotes_all.csv", ",", '\'', 1, 0, ANY},
    {"sparse_tab.tsv", "\t", '"', 1, 0, SURE},
    {"survey_spaces.csv", ",", '"', 1, 0, ANY},
    {"text_with_header.csv", ";", '"', 1, 0, ANY},
    {"text_without_header.csv", ";", '"', 0, 0, ANY},
    {"title_blanks_header.csv", ";", '"', 1, 3, SURE},
    {"title_centred.csv", ";", '"', 1, 2, SURE},
    {"title_same_width.csv", ",", '"', 1, 1, SURE},
    {"title_same_width_numbers.csv", ",", '"', 1, 1, UNSURE},
    {"title_same_width_text.csv", ",", '"', 1, 2, ANY},
    {"title_two_columns.csv", ",", '"', 1, 1, SURE},
    {"total_footer.csv", ";", '"', 1, 0, SURE},
    {"two_columns_small.csv", ",", '"', 0, 0, UNSURE},
    {"two_columns_zeros.csv", ",", '"', 0, 0, UNSURE},
    {"two_header_rows.csv", ",", '"', 1, 0, SURE},
    {"two_lines.csv", ";", '"', 1, 0, SURE},
    {"two_lines_text.csv", ",", '"', 1, 0, UNSURE},
    {"weather_padded.txt", ";", '"', 1, 0, SURE},
    {"years_alone.csv", ",", '"', 1, 0, SURE},
    {"years_by_five.csv", ",", '"', 1, 0, SURE},
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
test_sep(void)
{
    static const char text[] = "sep=|\na|b;c\n1|2;3\n";
    CsvDetectAsk ask = {.delimiter = true};
    CsvDialect given = defaults, d;

    given.skip_lines = 1;
    d = detect(text, strlen(text), true, &ask, &given);
    ok(d.delimiter[0] == '|' && d.skip_lines == 1, "sep= below a number of lines that was given");
    ask = (CsvDetectAsk) {.skip_lines = true};
    d = detect(text, strlen(text), true, &ask, &defaults);
    ok(d.delimiter[0] == ',', "a given delimiter is kept");
    d = detect("sep=;", 5, true, &everything, &defaults);
    ok(d.delimiter_length == 1, "nothing but sep=");
    d = detect("sep=\n;\n", 7, true, &everything, &defaults);
    ok(d.delimiter[0] != '\n', "a line end is no delimiter");
}

/* Rows before the table are left out only when that is asked for. */
static void
test_title_unasked(void)
{
    static const char text[] = "Report, generated, by, me\nid,name,qty,price\n1,apple,3,1.5\n2,pear,7,2.5\n";
    CsvDetectAsk ask = {true, true, true, false};
    CsvDialect d = detect(text, strlen(text), true, &ask, &defaults);

    ok(d.skip_lines == 0 && d.header, "lines before the header are not asked for");
}

static void
test_cut(void)
{
    static const char text[] = "id,name\n1,Anna\n2,Bob\n3,\"Cem\nand";
    char mail[2048];
    size_t wrong = 0, from, n;
    CsvDialect d = detect(text, strlen(text), false, &everything, &defaults);

    ok(d.delimiter[0] == ',' && d.quote == '"' && d.header, "a sample that ends inside quotes");
    ok(strstr(d.reason, "3 of 3 rows") != NULL, "its last row does not count: %s", d.reason);
    d = detect("id,na", 5, false, &everything, &defaults);
    ok(d.delimiter[0] == ',' && d.confidence == 0, "less than one row");
    from = n = (size_t) sprintf(mail, "id;note\n1;\"a\"\n2;\"b\"\n");
    for (int row = 3; row < 100; row++)
        n += (size_t) sprintf(mail + n, "%d;\"%s\"\n", row, row % 7 == 0 ? "x, y" : "said \"\"no\"\"");
    n += (size_t) sprintf(mail + n, "100;\"Hello,\n\nx,y,z\n1,2,3\n4,5,6\n7,8,9\n");
    for (; from <= n; from++)
    {
        d = detect(mail, from, false, &everything, &defaults);
        wrong += d.delimiter[0] != ';' || d.quote != '"' || !d.header || d.skip_lines != 0;
    }
    is_int((int64_t) wrong, 0, "cut anywhere, also in a quoted field whose lines look like a table");
}

/* ---- tables written in several ways ---------------------------------------- */

#define COLUMNS 4
#define ROWS 5

/* A header, then rows. */
static const char *const tables[][ROWS + 1][COLUMNS] = {
    {{"id", "customer", "remark", "since"}, {"1", "O'Brien", "called on Monday, no answer", "2024-01-31"},
     {"2", "Smith", "it's fine; don't call", "2024-02-01"}, {"3", "L'Hermite", "", "2023-12-24"},
     {"4", "Jones", "rock 'n' roll", "2022-07-01"}, {"5", "Ay", "tall, dark", "2021-03-15"}},
    {{"Filiale", "Umsatz", "Anteil", "Datum"}, {"Köln", "1.234,56", "12,5 %", "31.12.2024"},
     {"Bonn", "987,00", "7 %", "30.12.2024"}, {"Aachen", "12.001,25", "80,5 %", "29.12.2024"},
     {"Trier", "0,05", "0 %", "28.12.2024"}, {"Mainz", "-3,10", "0 %", "27.12.2024"}},
    {{"time", "level", "code", "took"}, {"2024-01-31 10:00:00,123", "INFO", "A-1001", "0.52"},
     {"2024-01-31 10:00:01,456", "WARN", "A-1002", "12.07"}, {"2024-01-31 10:00:02,789", "INFO", "B-2001", "0.01"},
     {"2024-01-31 10:00:04,012", "INFO", "B-2002", "1.5"}, {"2024-01-31 10:00:09,345", "ERROR", "C-3001", "7"}},
    {{"name", "height", "married", "mail"}, {"Doe, John", "1.85", "true", "john@example.com"},
     {"Roe, Jane", "1.62", "false", "jane@example.com"}, {"Poe, Edgar", "1.73", "true", "ed@example.org"},
     {"Moe, Curly", "1.70", "false", "moe@example.net"}, {"Coe, Sue", "1.68", "true", "sue@example.net"}},
};

/* How a writer quotes: where it must, or all; 'n': no quotes, for what needs none. */
static size_t
write_field(char *to, const char *text, char delimiter, char quote, bool all)
{
    size_t n = 0;

    if (!all && strchr(text, delimiter) == NULL && strchr(text, quote) == NULL)
        return (size_t) sprintf(to, "%s", text);
    to[n++] = quote;
    for (; *text != '\0'; text++)
    {
        if (*text == quote)
            to[n++] = quote;
        to[n++] = *text;
    }
    to[n++] = quote;
    return n;
}

static size_t
write_table(char *to, const char *const table[ROWS + 1][COLUMNS], int from, char delimiter, char quote, bool all)
{
    size_t n = 0;

    for (int row = from; row <= ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
        {
            n += write_field(to + n, table[row][column], delimiter, quote, all);
            to[n++] = column + 1 < COLUMNS ? delimiter : '\n';
        }
    return n;
}

/* The same table, whatever it is written with and whatever stands around it. */
static void
test_written(void)
{
    static const char *const titles[] = {"", "Report of May 2024\n", "Report, all branches\nmade on 31.12.2024\n\n", "Konto;DE12 3456\nVon;01.01.2024\n\n"};
    static const char *const notes[] = {"", "\nSource: office, table 7; revised\n"};
    static const char delimiters[] = ",;\t|", quotes[] = "\"'";
    static const unsigned skipped[] = {0, 1, 3, 3};
    char text[4096];
    size_t wrong = 0, all = 0;

    /* one bit or two of the number for each choice */
    for (unsigned way = 0; way < 4 * 4 * 4 * 2 * 2 * 2 * 2; way++)
    {
        unsigned table = way & 3, title = way >> 2 & 3;
        char delimiter = delimiters[way >> 4 & 3], quote = quotes[way >> 6 & 1];
        bool header = way >> 7 & 1, quoted;
        size_t n = (size_t) sprintf(text, "%s", titles[title]), body = n;
        CsvDialect d;

        n += write_table(text + n, tables[table], header ? 0 : 1, delimiter, quote, way >> 8 & 1);
        quoted = memchr(text + body, quote, n - body) != NULL;
        n += (size_t) sprintf(text + n, "%s", notes[way >> 9 & 1]);
        d = detect(text, n, true, &everything, &defaults);
        all++;
        if (d.delimiter[0] == delimiter && d.quote == (quoted ? quote : '"') && d.header == header && d.skip_lines == skipped[title])
            continue;
        if (wrong++ < 5)
            printf("# table %u, title %u, '%c', %c, header %d, way %u: '%s', %c, header %d, skip %u, confidence %.2f\n", table, title,
                   delimiter, quote, header, way, d.delimiter, d.quote ? d.quote : '0', d.header, d.skip_lines, d.confidence);
    }
    is_int((int64_t) wrong, 0, "%zu ways to write a table", all);
}

static CsvDialect
detect_text(const char *text)
{
    return detect(text, strlen(text), true, &everything, &defaults);
}

static void
test_reason(void)
{
    CsvDialect d = detect("a;b\n1,5;2\n2,5;3\n", 16, true, &everything, &defaults);

    ok(strstr(d.reason, "semicolon: 3 of 3 rows have 2 fields; comma would give 2, but less plain fields, like \"5;3\".") == d.reason, "%s", d.reason);
    ok(strncmp(d.reason + d.excerpt_at, ", like \"5;3\".", 13) == 0 && d.excerpt_end == d.excerpt_at + 12, "what of it is in the file");
    d = detect_text("x;9,5\n\tää;1,5\n\tää;2,5\n");
    ok(strstr(d.reason, "comma: 3 of 3 rows have 2 fields; semicolon would give 2 just as well.") == d.reason && d.confidence == 0, "%s", d.reason);
    d = detect_text("a;1;9,5\n\täääääääääääää;1;1,5\n\täääääääääääää;1;2,5\n");
    ok(strstr(d.reason, "fields, like \"\\täääääääääää...\"") != NULL,
       "cut between characters: %s", d.reason);
    d = detect_text("u,v\nhttp://a.b/?x;y,1\nhttp://a.b/,2\nhttp://c.d/,3\n");
    ok(strstr(d.reason, "comma: 4 of 4 rows have 2 fields; semicolon would give 2, but only 1 of 4 rows alike.") == d.reason, "%s", d.reason);
    d = detect_text("a:b,c\n1:2,3\n4:5,6\n");
    ok(strstr(d.reason, "comma: 3 of 3 rows have 2 fields; colon would give 2, but is less usual.") == d.reason, "%s", d.reason);
    ok(d.excerpt_end == 0, "nothing of it is in the file");
    d = detect("0,0\n1,0\n0,1\n", 12, true, &everything, &defaults);
    ok(strstr(d.reason, "comma: 3 of 3 rows have 2 fields, but each line may be one value") == d.reason, "%s", d.reason);
    d = detect("1.250,99\n2.375,12\n3.125,7\n", 26, true, &everything, &defaults);
    ok(d.confidence < 0.5, "decimals and whole numbers, or thousands: %s", d.reason);
    d = detect("1,05\n22,75\n3,10\n", 16, true, &everything, &defaults);
    ok(strstr(d.reason, "one column: each line is one value as it stands (tab is set, which does not occur)") == d.reason, "%s", d.reason);
    d = detect("id name city\n1 ann rome\n2 bob oslo\n", 35, true, &everything, &defaults);
    ok(d.confidence < 0.5 && strstr(d.reason, "; spaces would give 3: perhaps \"delimiter\": \" \"") != NULL, "%s", d.reason);
    d = detect("id   name\n1    ann\n22   bob\n", 28, true, &everything, &defaults);
    ok(d.confidence < 0.5 && strstr(d.reason, "; spaces would give 2") != NULL, "%s", d.reason);
    d = detect("seen at\n2024-01-01 10:20\n2024-01-02 11:20\n", 42, true, &everything, &defaults);
    ok(strstr(d.reason, "spaces") == NULL, "a space within times: %s", d.reason);
    d = detect("a,b,c\n1,2,x\n3,4,y\n\nbye\n", 23, true, &everything, &defaults);
    ok(strstr(d.reason, "1 row behind it has another shape") != NULL, "%s", d.reason);
}

/* A large sample of each hostile kind takes one pass a pair. */
static void
test_large(void)
{
    static const char *const units[] = {",", "\"", "'\"", "a;", "\n", "\r", ",\n", "||", "1,\"x\n", "\"\",", "\"a,b',", " ,", "1,5;2|3\n", NULL};
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
    test_sep();
    test_title_unasked();
    test_cut();
    test_written();
    test_reason();
    test_large();
    return done();
}
