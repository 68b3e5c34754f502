/*
 * csv_options.c: the request's "format" object for CSV and TSV.
 *
 * One table has all keys; what they mean is written in csv.h and wire.h.  A
 * value that is not understood, or that contradicts another, is refused here
 * by name, so that everything behind works with checked values.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_fields.h"
#include "format/csv.h"

#define FIELD_LIMIT (16 << 20)
#define ROW_LIMIT (64 << 20)
#define SKIP_MAX 1000000
#define FOOTER_MAX 10000
#define HEADER_MAX 100

/* The values as they stand in the JSON, with their defaults. */
typedef struct Given
{
    const char *delimiter, *quote, *escape, *newline, *comment;
    const char *trim, *blank_lines, *short_rows, *long_rows, *quotes, *decimal, *thousands;
    json_t *header, *skip_lines, *columns, *nulls;
    int64_t header_lines, footer_lines, max_field, max_row;
} Given;

static bool
bad_value(const char *key, const char *value, const char *want, Status *st)
{
    status_fail(st, STATUS_INVALID_VALUE, "invalid value \"%s\" for format option \"%s\"", value, key);
    return status_hint(st, "Valid: %s.", want);
}

/* The place of `value` among the words of `list` (NULL ends it), in *out. */
static bool
one_of(const char *key, const char *value, const char *const *list, const char *want, int *out, Status *st)
{
    int i;

    for (i = 0; list[i] != NULL; i++)
        if (strcmp(list[i], value) == 0)
        {
            *out = i;
            return true;
        }
    return bad_value(key, value, want, st);
}

/* One ASCII character that can't be mistaken for part of a line end. */
static bool
plain_byte(const char *s)
{
    return strlen(s) == 1 && (unsigned char) s[0] < 0x80 && s[0] != '\n' && s[0] != '\r';
}

/* ---- the dialect --------------------------------------------------------- */

static bool
parse_quote(CsvOptions *o, const char *quote, const char *escape, Status *st)
{
    o->find_quote = strcmp(quote, "auto") == 0;
    if (o->find_quote)
        quote = "\"";
    if (quote[0] != '\0' && !plain_byte(quote))
        return bad_value("quote", quote, "one ASCII character other than a line end, \"\" for none, or \"auto\"", st);
    o->escape_given = escape != NULL && escape[0] != '\0';
    if (escape != NULL && escape[0] != '\0' && !plain_byte(escape))
        return bad_value("escape", escape, "one ASCII character other than a line end, or \"\" for none", st);
    o->dialect.quote = (uint8_t) quote[0];
    o->dialect.escape = o->escape_given ? (uint8_t) escape[0] : o->dialect.quote;
    return true;
}

static bool
parse_delimiter(CsvOptions *o, const char *delimiter, Status *st)
{
    size_t n = strlen(delimiter);

    o->find_delimiter = strcmp(delimiter, "auto") == 0;
    if (o->find_delimiter)
        delimiter = ",", n = 1;
    if (n == 0 || n > CSV_DELIMITER_BYTES || strpbrk(delimiter, "\r\n") != NULL)
        return bad_value("delimiter", delimiter, "one to eight bytes without a line end, or \"auto\"", st);
    memcpy(o->dialect.delimiter, delimiter, n);
    o->dialect.delimiter_length = (uint8_t) n;
    if (o->find_delimiter || o->find_quote || o->dialect.quote == 0)
        return true;
    if (strchr(delimiter, o->dialect.quote) != NULL || strchr(delimiter, o->dialect.escape) != NULL)
        return status_fail(st, STATUS_INVALID_VALUE,
                           "format option \"delimiter\" must differ from \"quote\" and \"escape\"");
    return true;
}

static bool
parse_comment(CsvOptions *o, const char *comment, Status *st)
{
    size_t n = strlen(comment);

    if (n > CSV_COMMENT_BYTES || strpbrk(comment, "\r\n") != NULL)
        return bad_value("comment", comment, "up to 15 bytes without a line end, or \"\" for none", st);
    memcpy(o->dialect.comment, comment, n);
    o->dialect.comment_length = (uint8_t) n;
    return true;
}

static bool
parse_words(CsvOptions *o, const Given *g, Status *st)
{
    static const char *const newlines[] = {"auto", "lf", "crlf", "cr", NULL};
    static const char *const trims[] = {"none", "unquoted", "all", NULL};
    static const char *const blanks[] = {"skip", "rows", NULL};
    static const char *const shorts[] = {"reject", "pad", NULL};
    static const char *const longs[] = {"reject", "truncate", "truncateEmpty", NULL};
    static const char *const quotes[] = {"strict", "lenient", NULL};
    int newline, trim, blank_rows, pad, long_rows, lenient;

    if (!one_of("newline", g->newline, newlines, "auto, lf, crlf, cr", &newline, st) ||
        !one_of("trim", g->trim, trims, "none, unquoted, all", &trim, st) ||
        !one_of("blankLines", g->blank_lines, blanks, "skip, rows", &blank_rows, st) ||
        !one_of("shortRows", g->short_rows, shorts, "reject, pad", &pad, st) ||
        !one_of("longRows", g->long_rows, longs, "reject, truncate, truncateEmpty", &long_rows, st) ||
        !one_of("quotes", g->quotes, quotes, "strict, lenient", &lenient, st))
        return false;
    o->dialect.newline = (uint8_t) newline;
    o->dialect.lenient = lenient != 0;
    o->trim = (CsvTrim) trim;
    o->blank_rows = blank_rows != 0;
    o->pad = pad != 0;
    o->long_rows = (CsvLongRows) long_rows;
    return true;
}

/* ---- numbers, header, lists ---------------------------------------------- */

/* Something that can't be part of a number otherwise. */
static bool
number_separator(const char *s)
{
    return strpbrk(s, "0123456789+-eE\r\n") == NULL;
}

static bool
parse_separators(CsvOptions *o, const char *decimal, const char *thousands, Status *st)
{
    size_t n = strlen(thousands);

    if (!plain_byte(decimal) || !number_separator(decimal) || decimal[0] == ' ')
        return bad_value("decimalSeparator", decimal, "one ASCII character that no number has, such as \",\"", st);
    if (n > CSV_SEPARATOR_BYTES || !number_separator(thousands) || (n > 1 && (unsigned char) thousands[0] < 0x80))
        return bad_value("thousandsSeparator", thousands, "one character that no number has, or \"\" for none", st);
    if (strcmp(decimal, thousands) == 0)
        return status_fail(st, STATUS_INVALID_VALUE,
                           "format option \"thousandsSeparator\" must differ from \"decimalSeparator\"");
    o->decimal = decimal[0];
    memcpy(o->thousands, thousands, n + 1);
    o->respell = o->decimal != '.' || n > 0;
    return true;
}

static bool
parse_skip(CsvOptions *o, const json_t *skip, Status *st)
{
    if (skip == NULL)
    {
        o->find_skip = o->find_delimiter;
        return true;
    }
    if (json_is_string(skip) && strcmp(json_string_value(skip), "auto") == 0)
    {
        o->find_skip = true;
        return true;
    }
    if (!json_is_integer(skip) || json_integer_value(skip) < 0 || json_integer_value(skip) > SKIP_MAX)
        return status_fail(st, STATUS_INVALID_VALUE,
                           "format option \"skipLines\" must be \"auto\" or a whole number from 0 to %d", SKIP_MAX);
    o->skip_lines = (uint32_t) json_integer_value(skip);
    return true;
}

static bool
parse_header(CsvOptions *o, const json_t *header, Status *st)
{
    if (header == NULL || (json_is_string(header) && strcmp(json_string_value(header), "auto") == 0))
        o->header = CSV_HEADER_AUTO;
    else if (json_is_boolean(header))
        o->header = json_is_true(header) ? CSV_HEADER_YES : CSV_HEADER_NO;
    else if (json_is_string(header))
        return bad_value("header", json_string_value(header), "true, false, \"auto\"", st);
    else
        return status_fail(st, STATUS_INVALID_VALUE, "format option \"header\" must be true, false or \"auto\", not %s",
                           json_kind_name(header));
    /* Who knows of several header lines knows of a header. */
    if (o->header == CSV_HEADER_AUTO && o->header_lines > 1)
        o->header = CSV_HEADER_YES;
    return true;
}

static bool
parse_lists(CsvOptions *o, const json_t *columns, const json_t *nulls, Status *st)
{
    static const char *const empty[] = {""};

    if (!json_strings(columns, "format option \"columns\"", CSV_MAX_FIELDS, &o->columns, &o->ncolumns, st))
        return false;
    if (columns != NULL && o->ncolumns == 0)
        return status_fail(st, STATUS_INVALID_VALUE, "format option \"columns\" is empty");
    if (nulls == NULL)
    {
        o->nulls = malloc(sizeof(*o->nulls));
        if (o->nulls == NULL)
            return status_out_of_memory(st, sizeof(*o->nulls));
        o->nulls[0] = empty[0];
        o->nnulls = 1;
    }
    else if (!json_strings(nulls, "format option \"nullStrings\"", 1000, &o->nulls, &o->nnulls, st))
        return false;
    o->only_empty_is_null = o->nnulls == 1 && o->nulls[0][0] == '\0';
    return true;
}

/* ---- together ------------------------------------------------------------ */

/* `one` would do nothing beside `other`. */
static bool
contradict(const char *one, const char *other, const char *hint, Status *st)
{
    status_fail(st, STATUS_INVALID_VALUE, "format options \"%s\" and \"%s\" contradict each other", one, other);
    return status_hint(st, "%s", hint);
}

/* A separator can't be in any field: it is the quote, or the delimiter of fields that can't be quoted. */
static bool
check_separator(const CsvOptions *o, const char *name, const char *separator, Status *st)
{
    const char *delimiter = (const char *) o->dialect.delimiter;

    if (separator[0] == '\0' || o->find_quote)
        return true;
    if (o->dialect.quote != 0 && (uint8_t) separator[0] == o->dialect.quote)
        return contradict(name, "quote", "No number can have the quote in it.", st);
    if (o->dialect.quote == 0 && !o->find_delimiter && strncmp(separator, delimiter, o->dialect.delimiter_length) == 0)
        return contradict(name, "delimiter", "Without quotes no number can have the delimiter in it.", st);
    return true;
}

/* Options that would have no effect beside others are mistakes. */
static bool
check_together(const CsvOptions *o, const json_t *json, Status *st)
{
    const char decimal[2] = {o->decimal, '\0'};
    bool unquoted = o->dialect.quote == 0 && !o->find_quote;

    if (o->header == CSV_HEADER_NO && json_object_get(json, "headerLines") != NULL)
        return contradict("headerLines", "header", "Lines that are no header are left out by \"skipLines\".", st);
    if (unquoted && o->escape_given)
        return contradict("escape", "quote", "An escape is for quotes inside quoted fields, and \"quote\" is \"\".", st);
    if (unquoted && o->dialect.lenient)
        return contradict("quotes", "quote", "Without a quote there is nothing to be lenient about.", st);
    if (json_object_get(json, "maxRowBytes") != NULL && json_object_get(json, "maxFieldBytes") != NULL &&
        o->max_field > o->max_row)
        return contradict("maxFieldBytes", "maxRowBytes", "A field can't be longer than its row.", st);
    return check_separator(o, "decimalSeparator", decimal, st) &&
        check_separator(o, "thousandsSeparator", o->thousands, st);
}

/* ---- all of it ----------------------------------------------------------- */

static bool
read_json(const json_t *json, Given *g, Status *st)
{
    json_t *nowhere;
    const JsonField fields[] = {
        FORMAT_SESSION_KEYS(nowhere),
        {"delimiter", JSON_FIELD_TEXT, false, &g->delimiter, 0, 0},
        {"quote", JSON_FIELD_TEXT, false, &g->quote, 0, 0},
        {"escape", JSON_FIELD_TEXT, false, &g->escape, 0, 0},
        {"newline", JSON_FIELD_TEXT, false, &g->newline, 0, 0},
        {"header", JSON_FIELD_ANY, false, &g->header, 0, 0},
        {"headerLines", JSON_FIELD_INT, false, &g->header_lines, 1, HEADER_MAX},
        {"columns", JSON_FIELD_ARRAY, false, &g->columns, 0, 0},
        {"skipLines", JSON_FIELD_ANY, false, &g->skip_lines, 0, 0},
        {"footerLines", JSON_FIELD_INT, false, &g->footer_lines, 0, FOOTER_MAX},
        {"comment", JSON_FIELD_TEXT, false, &g->comment, 0, 0},
        {"nullStrings", JSON_FIELD_ARRAY, false, &g->nulls, 0, 0},
        {"trim", JSON_FIELD_TEXT, false, &g->trim, 0, 0},
        {"blankLines", JSON_FIELD_TEXT, false, &g->blank_lines, 0, 0},
        {"shortRows", JSON_FIELD_TEXT, false, &g->short_rows, 0, 0},
        {"longRows", JSON_FIELD_TEXT, false, &g->long_rows, 0, 0},
        {"quotes", JSON_FIELD_TEXT, false, &g->quotes, 0, 0},
        {"decimalSeparator", JSON_FIELD_TEXT, false, &g->decimal, 0, 0},
        {"thousandsSeparator", JSON_FIELD_TEXT, false, &g->thousands, 0, 0},
        {"maxFieldBytes", JSON_FIELD_INT, false, &g->max_field, 1, 128 << 20},
        {"maxRowBytes", JSON_FIELD_INT, false, &g->max_row, 1, 256 << 20},
    };

    return json_fields_read(json, "format", fields, sizeof(fields) / sizeof(fields[0]), st);
}

static bool
parse(const json_t *json, const char *delimiter, CsvOptions *o, Status *st)
{
    Given g = {
        .delimiter = delimiter, .newline = "auto", .comment = "",
        .trim = "none", .blank_lines = "skip", .short_rows = "reject", .long_rows = "reject", .quotes = "strict",
        .decimal = ".", .thousands = "",
        .header_lines = 1, .max_field = FIELD_LIMIT, .max_row = ROW_LIMIT,
    };

    if (!read_json(json, &g, st))
        return false;
    /* who does not know the delimiter does not know the rest either */
    if (g.quote == NULL)
        g.quote = strcmp(g.delimiter, "auto") == 0 ? "auto" : "\"";
    o->header_lines = (uint32_t) g.header_lines;
    o->footer_lines = (uint32_t) g.footer_lines;
    o->max_field = (uint32_t) g.max_field;
    o->max_row = (uint32_t) g.max_row;
    return parse_quote(o, g.quote, g.escape, st) &&
        parse_delimiter(o, g.delimiter, st) &&
        parse_comment(o, g.comment, st) &&
        parse_words(o, &g, st) &&
        parse_separators(o, g.decimal, g.thousands, st) &&
        parse_skip(o, g.skip_lines, st) &&
        parse_header(o, g.header, st) &&
        parse_lists(o, g.columns, g.nulls, st) &&
        check_together(o, json, st);
}

static bool
options_parse(const json_t *json, const char *delimiter, void **options, Status *st)
{
    CsvOptions *o = calloc(1, sizeof(*o));

    *options = NULL;
    if (o == NULL)
        return status_out_of_memory(st, sizeof(*o));
    if (!parse(json, delimiter, o, st))
    {
        csv_options_free(o);
        return false;
    }
    *options = o;
    return true;
}

bool
csv_options_parse(const json_t *json, void **options, Status *st)
{
    return options_parse(json, ",", options, st);
}

bool
tsv_options_parse(const json_t *json, void **options, Status *st)
{
    return options_parse(json, "\t", options, st);
}

void
csv_options_free(void *options)
{
    CsvOptions *o = options;

    if (o == NULL)
        return;
    free(o->columns);
    free(o->nulls);
    free(o);
}
