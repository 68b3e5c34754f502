/*
 * source_options.c: the keys of a source.  See source_options.h.
 *
 * What the values mean is the reader's business (wire.h, src/format); here
 * they are checked, so that a mistake is found when a pipeline is made and not
 * when it runs at night.
 */
#include "postgres.h"

#include "pg/source_options.h"

#include "catalog/pg_collation.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pg/file_pattern.h"
#include "pg/guard.h"
#include "pg/wait_policy.h"
#include "wire/json_path.h"

static const char *const formats[] = {"auto", "csv", "tsv", "json", "jsonl", NULL};
static const char *const compressions[] = {"auto", "none", "gzip", "zstd", "bzip2", "lz4", "snappy", "zip", NULL};
static const char *const encodings[] = {"UTF-8", "LATIN1", "WINDOWS-1252", "UTF-16", "UTF-16LE", "UTF-16BE", NULL};
static const char *const automatic[] = {"auto", NULL}; /* beside values of another kind */
static const char *const newlines[] = {"auto", "lf", "crlf", "cr", NULL};
static const char *const trims[] = {"none", "unquoted", "all", NULL};
static const char *const blank_lines[] = {"skip", "rows", NULL};
static const char *const short_rows[] = {"reject", "pad", NULL};
static const char *const long_rows[] = {"reject", "truncate", "truncateEmpty", NULL};
static const char *const quote_rules[] = {"strict", "lenient", NULL};
static const char *const error_rules[] = {"fail", "null", "skip", NULL};
static const char *const results[] = {"first", "all", NULL};
static const char *const orderings[] = {"fifo_by_name", "lexicographic", "process_all", "latest_by_mtime", "oldest_by_mtime", NULL};

static const char *const file_errors[] = {"fail", "skip", NULL};
static const char *const changes[] = {"reload", "ignore", "fail", NULL};

/* Entries of "nullStrings", at most. */
#define NULL_STRINGS 1000

/* What no separator of a number may be. */
#define NUMBER_CHARACTERS "0123456789+-eE\r\n"

/* What is said about how bytes are read: passed to the reader as it is. */
#define FORMAT_KEYS \
    {"format", JSON_STRING, false, formats}, \
    {"delimiter", JSON_STRING, false, NULL}, \
    {"quote", JSON_STRING, false, NULL}, \
    {"escape", JSON_STRING, false, NULL}, \
    {"newline", JSON_STRING, false, newlines}, \
    {"header", JSON_BOOL | JSON_STRING, false, automatic}, \
    {"headerLines", JSON_NUMBER, false, NULL}, \
    {"columns", JSON_STRINGS | JSON_OBJECT, false, NULL}, \
    {"recordPath", JSON_STRING, false, NULL}, \
    {"flatten", JSON_NUMBER, false, NULL}, \
    {"skipLines", JSON_NUMBER | JSON_STRING, false, automatic}, \
    {"footerLines", JSON_NUMBER, false, NULL}, \
    {"comment", JSON_STRING, false, NULL}, \
    {"nullStrings", JSON_ARRAY, false, NULL}, \
    {"trim", JSON_STRING, false, trims}, \
    {"blankLines", JSON_STRING, false, blank_lines}, \
    {"shortRows", JSON_STRING, false, short_rows}, \
    {"longRows", JSON_STRING, false, long_rows}, \
    {"quotes", JSON_STRING, false, quote_rules}, \
    {"decimalSeparator", JSON_STRING, false, NULL}, \
    {"thousandsSeparator", JSON_STRING, false, NULL}, \
    {"encoding", JSON_STRING, false, encodings}, \
    {"compression", JSON_STRING, false, compressions}, \
    {"maxDecompressedBytes", JSON_NUMBER, false, NULL}, \
    {"maxCompressionRatio", JSON_NUMBER, false, NULL}, \
    {"maxFieldBytes", JSON_NUMBER, false, NULL}, \
    {"maxRowBytes", JSON_NUMBER, false, NULL}

static const JsonKey format_keys[] = {FORMAT_KEYS, {NULL, 0, false, NULL}};
static const JsonKey node_keys[] = {
    {"connector", JSON_STRING, false, NULL}, {"resource", JSON_STRING, false, NULL}, {"path", JSON_STRING, false, NULL}, {"pattern", JSON_OBJECT, false, NULL}, FORMAT_KEYS,
    {"dateFormat", JSON_STRING, false, NULL}, {"timestampFormat", JSON_STRING, false, NULL},
    {"ordering", JSON_STRING, false, orderings}, {"incremental", JSON_BOOL, false, NULL}, {"changedFiles", JSON_STRING, false, changes}, {"onFileError", JSON_STRING, false, file_errors},
    {"waitPolicy", JSON_OBJECT, false, NULL}, {"atomicity", JSON_OBJECT, false, NULL},
    {"rowLimit", JSON_NUMBER, false, NULL}, {NULL, 0, false, NULL}};
static const JsonKey read_keys[] = {
    {"pattern", JSON_OBJECT, false, NULL}, FORMAT_KEYS, {"dateFormat", JSON_STRING, false, NULL}, {"timestampFormat", JSON_STRING, false, NULL},
    {"ordering", JSON_STRING, false, orderings}, {"rowLimit", JSON_NUMBER, false, NULL},
    {"onError", JSON_STRING, false, error_rules}, {NULL, 0, false, NULL}};
static const JsonKey ask_keys[] = {
    {"connector", JSON_STRING, true, NULL}, {"resource", JSON_STRING, true, NULL}, {"params", JSON_OBJECT, false, NULL},
    {"outputField", JSON_STRING, true, NULL}, {"result", JSON_STRING, false, results}, {"maxCalls", JSON_NUMBER, false, NULL},
    FORMAT_KEYS, {"ordering", JSON_STRING, false, orderings}, {NULL, 0, false, NULL}};

/*
 * Options that are text: of so many bytes of UTF-8, as the reader counts them,
 * without the characters in `never`; "auto" where it says so.
 */
static const struct { const char *name; int min; int max; bool ascii; bool automatic; const char *never; const char *rule; } texts[] = {
    {"delimiter", 1, 8, false, true, "\r\n", "one to eight bytes without a line end, or \"auto\""},
    {"quote", 0, 1, true, true, "\r\n", "one ASCII character other than a line end, \"\" for none, or \"auto\""},
    {"escape", 0, 1, true, false, "\r\n", "one ASCII character other than a line end, or \"\" for none"},
    {"comment", 1, 15, false, false, "\r\n", "one to 15 bytes without a line end"},
    {"decimalSeparator", 1, 1, true, false, NUMBER_CHARACTERS " ", "one ASCII character that no number has otherwise"},
    {"thousandsSeparator", 0, 4, false, false, NUMBER_CHARACTERS, "one character that no number has otherwise, or \"\" for none"}};

static const struct { const char *name; int64 min; int64 max; } numbers[] = {
    {"headerLines", 1, 100}, {"skipLines", 0, 1000000}, {"footerLines", 0, 10000}, {"maxFieldBytes", 1, 128 << 20},
    {"maxRowBytes", 1, 256 << 20}, {"flatten", 0, 32}, {"maxDecompressedBytes", 0, PG_INT64_MAX}, {"maxCompressionRatio", 0, PG_INT64_MAX}, {"rowLimit", 0, PG_INT64_MAX}, {"maxCalls", 1, 1000000}};

/* A text option as the reader gets it; NULL when it is absent. */
static char *
get_utf8(JsonbContainer *config, const char *name)
{
    char *value = json_get_text(config, name);

    return value ? pg_server_to_any(value, strlen(value), PG_UTF8) : NULL;
}

static bool
is_auto(const char *value)
{
    return value && strcmp(value, "auto") == 0;
}

static void
check_texts(JsonbContainer *config, JsonComplain complain, void *arg)
{
    for (size_t i = 0; i < lengthof(texts); i++)
    {
        char *value = get_utf8(config, texts[i].name);
        int length = value ? (int) strlen(value) : 0;

        if (value == NULL || (texts[i].automatic && is_auto(value)))
            continue;
        if (length < texts[i].min || length > texts[i].max || strpbrk(value, texts[i].never) ||
            (texts[i].ascii && length > 0 && IS_HIGHBIT_SET(value[0])) ||
            (strcmp(texts[i].name, "thousandsSeparator") == 0 && length > 0 && pg_encoding_mblen(PG_UTF8, value) != length))
            complain(arg, "wrong_value", psprintf("\"%s\" must be %s", texts[i].name, texts[i].rule), psprintf("It has %d byte%s.", length, length == 1 ? "" : "s"));
    }
}

/* False when the value is no whole number, or none that an int64 holds. */
static bool
whole_number(JsonbValue *value, int64 *number)
{
    char *text = json_scalar_text(value), *end;

    errno = 0;
    *number = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static void
check_numbers(JsonbContainer *config, JsonComplain complain, void *arg)
{
    for (size_t i = 0; i < lengthof(numbers); i++)
    {
        JsonbValue *value = json_get(config, numbers[i].name);
        int64 number;

        if (value == NULL || value->type != jbvNumeric)
            continue;
        if (!whole_number(value, &number) || number < numbers[i].min || number > numbers[i].max)
            complain(arg, "wrong_value", psprintf("\"%s\" must be a whole number from " INT64_FORMAT " to " INT64_FORMAT,
                                                  numbers[i].name, numbers[i].min, numbers[i].max), psprintf("It is %s.", json_scalar_text(value)));
    }
}

/* Writes a moment by a pattern, and reads that; all its parts have two digits, so that they are told apart without separators. */
static void
try_pattern(void *arg)
{
    Datum pattern = CStringGetTextDatum((const char *) arg), moment, text;

    moment = DirectFunctionCall3(timestamptz_in, CStringGetDatum("2026-11-28 11:34:56.123456+00"), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
    text = OidFunctionCall2Coll(F_TO_CHAR_TIMESTAMPTZ_TEXT, C_COLLATION_OID, moment, pattern);
    (void) OidFunctionCall2Coll(F_TO_TIMESTAMP_TEXT_TEXT, C_COLLATION_OID, text, pattern);
}

/* to_date takes nearly any text for a pattern. */
static void
check_patterns(JsonbContainer *config, JsonComplain complain, void *arg)
{
    static const char *const names[] = {"dateFormat", "timestampFormat"};

    for (size_t i = 0; i < lengthof(names); i++)
    {
        char *pattern = json_get_text(config, names[i]);
        ErrorData *error;

        if (pattern == NULL)
            continue;
        /* without a year PostgreSQL makes every date one of the year 1 BC */
        if (strpbrk(pattern, "YyJ") == NULL)
        {
            complain(arg, "wrong_value", psprintf("\"%s\" needs a year", names[i]),
                     "Patterns are those of to_date and to_timestamp, for example DD.MM.YYYY.");
            continue;
        }
        error = guard_try(try_pattern, pattern, CurrentMemoryContext);
        if (error && (error->sqlerrcode == ERRCODE_INVALID_DATETIME_FORMAT || error->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED))
            complain(arg, "wrong_value", psprintf("no date can be read with \"%s\": %s", names[i], error->message),
                     error->hint ? error->hint : "Patterns are those of to_date and to_timestamp, for example DD.MM.YYYY.");
    }
}

/* A path of JSON; `what` is its option, with a column's name. */
static void
check_path(JsonbValue *value, bool record, const char *what, JsonComplain complain, void *arg)
{
    const char *hint = record ? JSON_PATH_HINT_RECORD : JSON_PATH_HINT_FIELD, *wrong;
    char *text, *utf8;
    JsonPath path;
    int at;

    if (value->type != jbvString)
    {
        complain(arg, "wrong_type", psprintf("%s must be a path", what), hint);
        return;
    }
    text = json_scalar_text(value);
    utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);
    path.keys = palloc(strlen(utf8) + 2);
    wrong = json_path_read(&path, utf8, record, &at);
    if (wrong)
        complain(arg, "wrong_value", psprintf("invalid path \"%s\" for %s: at character %d %s", text, what, at, wrong), hint);
}

static void
check_paths(JsonbContainer *config, JsonComplain complain, void *arg)
{
    JsonbValue *record = json_get(config, "recordPath"), name, path;
    JsonbContainer *columns = json_get_container(config, "columns");
    JsonbIterator *next;
    int n = 0;

    if (record && record->type == jbvString)
        check_path(record, true, "\"recordPath\"", complain, arg);
    if (columns == NULL || !JsonContainerIsObject(columns))
        return;
    next = JsonbIteratorInit(columns);
    (void) JsonbIteratorNext(&next, &path, false);
    for (; JsonbIteratorNext(&next, &name, true) == WJB_KEY; n++)
    {
        (void) JsonbIteratorNext(&next, &path, true);
        check_path(&path, false, psprintf("\"%s\" of \"columns\"", json_scalar_text(&name)), complain, arg);
    }
    if (n == 0)
        complain(arg, "wrong_value", pstrdup("\"columns\" must not be empty"), "For example {\"city\": \"$.address.city\"}; without it, the fields are the keys of the rows.");
}

/* The dialect as far as it is known: "" for what is found out, or is none. */
typedef struct Dialect
{
    const char *delimiters;  /* every byte that may be part of the delimiter */
    bool by_name;            /* each of them may be the delimiter */
    const char *quote, *escape;
    bool no_quote;           /* fields can't be quoted */
} Dialect;

static Dialect
known_dialect(JsonbContainer *config)
{
    char *format = json_get_text(config, "format"), *delimiter = get_utf8(config, "delimiter");
    char *quote = get_utf8(config, "quote"), *escape = get_utf8(config, "escape");
    Dialect dialect = {"", delimiter == NULL, quote ? quote : "\"", escape ? escape : "", quote && quote[0] == '\0'};

    if (is_auto(quote))
        dialect.quote = "";
    if (delimiter && !is_auto(delimiter))
        dialect.delimiters = delimiter;
    else if (delimiter == NULL)
        /* by their names, files may be either */
        dialect.delimiters = format == NULL || is_auto(format) ? ",\t" : strcmp(format, "tsv") == 0 ? "\t" : ",";
    return dialect;
}

static bool
shares_byte(const char *a, const char *b)
{
    return a[0] != '\0' && strpbrk(b, a) != NULL;
}

/* Characters that must differ from one another. */
static void
check_clashes(JsonbContainer *config, JsonComplain complain, void *arg)
{
    Dialect dialect = known_dialect(config);
    char *decimal = get_utf8(config, "decimalSeparator"), *thousands = get_utf8(config, "thousandsSeparator");
    char *comment = get_utf8(config, "comment");

    if (comment && comment[0] && ((is_auto(get_utf8(config, "delimiter")) ? strchr(",;\t|", comment[0]) : strchr(dialect.delimiters, comment[0])) ||
                                  comment[0] == dialect.quote[0]))
        complain(arg, "wrong_value", pstrdup("\"comment\" must not begin with the delimiter or the quote"),
                 "Rows whose first field is empty or quoted would be taken for comments.");
    if (shares_byte(dialect.quote, dialect.delimiters))
        complain(arg, "wrong_value", pstrdup("\"quote\" must not be part of \"delimiter\""), "A delimiter that is part of a quoted field could not be told from one that ends it.");
    if (shares_byte(dialect.escape, dialect.delimiters))
        complain(arg, "wrong_value", pstrdup("\"escape\" must not be part of \"delimiter\""), "Another character is needed to escape quotes.");
    if (thousands && thousands[0] && strcmp(thousands, decimal ? decimal : ".") == 0)
        complain(arg, "wrong_value", pstrdup("\"thousandsSeparator\" must differ from \"decimalSeparator\""), "For example \"decimalSeparator\": \",\", \"thousandsSeparator\": \".\".");
}

static void
contradict(JsonComplain complain, void *arg, const char *one, const char *other, const char *hint)
{
    complain(arg, "contradiction", psprintf("\"%s\" and \"%s\" contradict each other", one, other), hint);
}

/* Which formats an option is for: all of them, CSV and TSV, JSON and JSON Lines, JSON alone. */
typedef enum OptionFamily { OPTION_OF_ALL, OPTION_OF_CSV, OPTION_OF_JSON, OPTION_OF_DOCUMENT } OptionFamily;

static OptionFamily
option_family(const char *name)
{
    static const char *const of_csv[] = {"delimiter", "quote", "escape", "newline", "header", "headerLines", "skipLines", "footerLines", "comment", "trim",
                                         "blankLines", "shortRows", "longRows", "quotes", "decimalSeparator", "thousandsSeparator"};

    if (strcmp(name, "recordPath") == 0)
        return OPTION_OF_DOCUMENT;
    if (strcmp(name, "flatten") == 0)
        return OPTION_OF_JSON;
    for (size_t i = 0; i < lengthof(of_csv); i++)
    {
        if (strcmp(name, of_csv[i]) == 0)
            return OPTION_OF_CSV;
    }
    return OPTION_OF_ALL;
}

static bool
is_json(const char *format)
{
    return strcmp(format, "json") == 0 || strcmp(format, "jsonl") == 0;
}

/* Has the format the option? */
static bool
option_fits(const char *name, const char *format)
{
    switch (option_family(name))
    {
        case OPTION_OF_CSV:
            return !is_json(format);
        case OPTION_OF_JSON:
            return is_json(format);
        case OPTION_OF_DOCUMENT:
            return strcmp(format, "json") == 0;
        default:
            return true;
    }
}

static char *
options_of(const char *format)
{
    StringInfoData out;

    initStringInfo(&out);
    for (const JsonKey *key = format_keys; key->name; key++)
    {
        if (option_fits(key->name, format))
            appendStringInfo(&out, "%s%s", out.len ? ", " : "", key->name);
    }
    return out.data;
}

/* An option of another format would do nothing; with options of two formats no file could be read. */
static void
check_format(JsonbContainer *config, JsonComplain complain, void *arg)
{
    char *format = json_get_text(config, "format");
    JsonbContainer *columns = json_get_container(config, "columns");
    bool known = format && !is_auto(format), paths = columns && JsonContainerIsObject(columns);
    const char *of_csv = columns && !paths ? "columns" : NULL, *of_json = paths ? "columns" : NULL;

    for (const JsonKey *key = format_keys; key->name; key++)
    {
        OptionFamily family = option_family(key->name);

        if (json_get(config, key->name) == NULL || family == OPTION_OF_ALL)
            continue;
        if (known && !option_fits(key->name, format))
            complain(arg, "wrong_value", psprintf("\"%s\" is no option of format %s", key->name, format),
                     psprintf("Options of %s: %s.", format, options_of(format)));
        *(family == OPTION_OF_CSV ? &of_csv : &of_json) = key->name;
    }
    if (!known && of_csv && of_json)
        contradict(complain, arg, of_csv, of_json, "One is an option of CSV, the other of JSON: no file could be read with both.");
    if (known && columns && paths != is_json(format))
        complain(arg, "wrong_type", psprintf("\"columns\" of format %s must be %s", format, paths ? "an array of names" : "an object of names and paths"),
                 paths ? "For example [\"id\", \"city\"]." : "For example {\"city\": \"$.address.city\"}.");
    if (paths && json_get(config, "flatten"))
        contradict(complain, arg, "columns", "flatten", "Paths reach into objects by themselves.");
}

/* Options of which one would do nothing beside the other, as csv_options.c refuses them. */
static void
check_together(JsonbContainer *config, JsonComplain complain, void *arg)
{
    static const char *const separators[] = {"decimalSeparator", "thousandsSeparator"};
    Dialect dialect = known_dialect(config);
    JsonbValue *header = json_get(config, "header"), *field = json_get(config, "maxFieldBytes"), *row = json_get(config, "maxRowBytes");
    char *rules = json_get_text(config, "quotes");

    if (header && header->type == jbvBool && !header->val.boolean && json_get(config, "headerLines"))
        contradict(complain, arg, "headerLines", "header", "Lines that are no header are left out by \"skipLines\".");
    if (dialect.no_quote && dialect.escape[0])
        contradict(complain, arg, "escape", "quote", "An escape is for quotes inside quoted fields, and \"quote\" is \"\".");
    if (dialect.no_quote && rules && strcmp(rules, "lenient") == 0)
        contradict(complain, arg, "quotes", "quote", "Without a quote there is nothing to be lenient about.");
    if (field && row && field->type == jbvNumeric && row->type == jbvNumeric &&
        DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(field->val.numeric), NumericGetDatum(row->val.numeric))))
        contradict(complain, arg, "maxFieldBytes", "maxRowBytes", "A field can't be longer than its row.");
    for (size_t i = 0; i < lengthof(separators); i++)
    {
        char *separator = get_utf8(config, separators[i]);

        if (separator == NULL || separator[0] == '\0')
            continue;
        if (separator[0] == dialect.quote[0])
            contradict(complain, arg, separators[i], "quote", "No number can have the quote in it.");
        if (dialect.no_quote && (dialect.by_name ? strchr(dialect.delimiters, separator[0]) != NULL : strcmp(separator, dialect.delimiters) == 0))
            contradict(complain, arg, separators[i], "delimiter", "Without quotes no number can have the delimiter in it.");
    }
}

static void
check_size(JsonbContainer *config, const char *name, int most, JsonComplain complain, void *arg)
{
    JsonbContainer *list = json_get_container(config, name);

    if (list && (int) JsonContainerSize(list) > most)
        complain(arg, "wrong_value", psprintf("\"%s\" must have at most %d entries", name, most), psprintf("It has %d.", (int) JsonContainerSize(list)));
}

void
source_check(JsonbContainer *config, SourceUse use, const char *what, JsonComplain complain, void *arg)
{
    static const JsonKey *const keys[] = {[SOURCE_OF_NODE] = node_keys, [SOURCE_OF_READ] = read_keys, [SOURCE_OF_ASK] = ask_keys};
    JsonbContainer *nulls;
    JsonbValue *limit;
    int64 rows;

    if (!json_check(config, keys[use], what, complain, arg))
        config = json_sound(config, keys[use]);
    /* a file that the limit cuts would be taken for loaded */
    limit = json_get(config, "rowLimit");
    if (json_get_bool(config, "incremental", false) && limit && limit->type == jbvNumeric && whole_number(limit, &rows) && rows > 0)
        complain(arg, "wrong_value", psprintf("%s takes \"incremental\" or \"rowLimit\", not both", what), "A file that the limit cuts would be taken for loaded.");
    if (json_get(config, "changedFiles") && !json_get_bool(config, "incremental", false))
        complain(arg, "wrong_value", pstrdup("\"changedFiles\" needs \"incremental\": true"), "A source that is not incremental reads all files in each run.");
    if (json_get(config, "resource") && json_get(config, "path"))
        complain(arg, "wrong_value", psprintf("%s takes \"resource\" or \"path\", not both", what), "They mean the same: leave out one.");
    file_pattern_check(config, complain, arg);
    wait_policy_check(config, complain, arg);
    check_texts(config, complain, arg);
    check_numbers(config, complain, arg);
    check_patterns(config, complain, arg);
    check_paths(config, complain, arg);
    check_clashes(config, complain, arg);
    check_together(config, complain, arg);
    check_format(config, complain, arg);
    check_size(config, "columns", JSON_PATH_ELEMENTS, complain, arg);
    check_size(config, "nullStrings", NULL_STRINGS, complain, arg);
    nulls = json_get_container(config, "nullStrings");
    for (int i = 0; nulls && i < (int) JsonContainerSize(nulls); i++)
    {
        if (getIthJsonbValueFromContainer(nulls, i)->type != jbvString)
            complain(arg, "wrong_type", pstrdup("\"nullStrings\" must be an array of strings"), "For example [\"\", \"NULL\"].");
    }
}

Jsonb *
source_ask_options(JsonbContainer *config)
{
    JsonbParseState *state = NULL;

    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    for (const JsonKey *key = read_keys; key->name; key++)
    {
        JsonbValue *value = json_get(config, key->name), name;

        if (value == NULL || value->type == jbvNull)
            continue;
        name.type = jbvString;
        name.val.string.val = unconstify(char *, key->name);
        name.val.string.len = strlen(key->name);
        pushJsonbValue(&state, WJB_KEY, &name);
        pushJsonbValue(&state, WJB_VALUE, value);
    }
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

char *
source_format(JsonbContainer *config)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfoChar(&out, '{');
    for (const JsonKey *key = format_keys; key->name; key++)
    {
        JsonbValue *value = json_get(config, key->name);

        if (value == NULL || value->type == jbvNull)
            continue;
        appendStringInfo(&out, "%s\"%s\":", out.len > 1 ? "," : "", key->name);
        json_append_value(&out, value);
    }
    if (json_get(config, SOURCE_IF_CSV))
    {
        appendStringInfo(&out, "%s\"" SOURCE_IF_CSV "\":", out.len > 1 ? "," : "");
        json_append_value(&out, json_get(config, SOURCE_IF_CSV));
    }
    appendStringInfoChar(&out, '}');
    return out.data;
}
