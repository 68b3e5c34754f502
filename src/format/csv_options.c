/*
 * csv_options.c: the request's "format" object for CSV.
 *
 * What is not supported is refused here, naming the key and the value; a value
 * that is accepted works.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_fields.h"
#include "format/csv.h"

#define FIELD_LIMIT (16 << 20)
#define ROW_LIMIT (64 << 20)

static bool
bad_value(const char *key, const char *value, const char *want, Status *st)
{
    status_fail(st, STATUS_INVALID_VALUE, "invalid value \"%s\" for format option \"%s\"", value, key);
    return status_hint(st, "Valid: %s.", want);
}

/* One ASCII character that can't be mistaken for part of a line end. */
static bool
plain_byte(const char *s)
{
    return strlen(s) == 1 && (unsigned char) s[0] < 0x80 && s[0] != '\n' && s[0] != '\r';
}

static bool
parse_dialect(CsvOptions *o, const char *delimiter, const char *quote, const char *escape, Status *st)
{
    if (!plain_byte(delimiter))
        return bad_value("delimiter", delimiter, "one ASCII character other than a line end", st);
    if (quote[0] != '\0' && !plain_byte(quote))
        return bad_value("quote", quote, "one ASCII character other than a line end, or \"\" for none", st);
    if (escape == NULL)
        escape = quote;
    if (escape[0] != '\0' && !plain_byte(escape))
        return bad_value("escape", escape, "one ASCII character other than a line end, or \"\" for none", st);
    o->delimiter = (uint8_t) delimiter[0];
    o->quote = (uint8_t) quote[0];
    o->escape = escape[0] == '\0' ? o->quote : (uint8_t) escape[0];
    if (o->delimiter == o->quote || (o->quote != 0 && o->delimiter == o->escape))
        return status_fail(st, STATUS_INVALID_VALUE,
                           "format option \"delimiter\" must differ from \"quote\" and \"escape\"");
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

static bool
parse(const json_t *json, CsvOptions *o, Status *st)
{
    const char *format = "csv", *compression = "auto", *delimiter = ",", *quote = "\"", *escape = NULL;
    const char *encoding = "UTF-8";
    json_t *header = NULL, *columns = NULL, *nulls = NULL;
    int64_t max_field = FIELD_LIMIT, max_row = ROW_LIMIT;
    const JsonField fields[] = {
        {"format", JSON_FIELD_TEXT, false, &format, 0, 0},
        {"delimiter", JSON_FIELD_TEXT, false, &delimiter, 0, 0},
        {"quote", JSON_FIELD_TEXT, false, &quote, 0, 0},
        {"escape", JSON_FIELD_TEXT, false, &escape, 0, 0},
        {"header", JSON_FIELD_ANY, false, &header, 0, 0},
        {"columns", JSON_FIELD_ARRAY, false, &columns, 0, 0},
        {"nullStrings", JSON_FIELD_ARRAY, false, &nulls, 0, 0},
        {"compression", JSON_FIELD_TEXT, false, &compression, 0, 0},
        {"encoding", JSON_FIELD_TEXT, false, &encoding, 0, 0},
        {"maxFieldBytes", JSON_FIELD_INT, false, &max_field, 1, 128 << 20},
        {"maxRowBytes", JSON_FIELD_INT, false, &max_row, 1, 256 << 20},
    };

    if (!json_fields_read(json, "format", fields, sizeof(fields) / sizeof(fields[0]), st) ||
        !parse_dialect(o, delimiter, quote, escape, st) ||
        !parse_header(o, header, st) ||
        !parse_lists(o, columns, nulls, st))
        return false;
    if (strcmp(encoding, "UTF-8") != 0 && strcmp(encoding, "UTF8") != 0 && strcmp(encoding, "utf-8") != 0)
        return bad_value("encoding", encoding, "UTF-8", st);
    o->max_field = (uint32_t) max_field;
    o->max_row = (uint32_t) max_row;
    return true;
}

bool
csv_options_parse(const json_t *json, void **options, Status *st)
{
    CsvOptions *o = calloc(1, sizeof(*o));

    *options = NULL;
    if (o == NULL)
        return status_out_of_memory(st, sizeof(*o));
    if (!parse(json, o, st))
    {
        csv_options_free(o);
        return false;
    }
    *options = o;
    return true;
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
