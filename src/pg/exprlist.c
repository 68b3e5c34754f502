/*
 * exprlist.c: what a pipeline's expressions may call.  See exprlist.h.
 *
 * A function is on the list when it is of use for a row, gives the same for
 * the same (or, like now(), for one load), and neither looks at nor changes
 * anything but its arguments.  Those whose result may be much larger than
 * their arguments are in exprbound.c too.
 */
#include "postgres.h"

#include "pg/exprlist.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

typedef struct ExprEntry { const char *name; const char *category; const char *description; const char *example; } ExprEntry;

/* Functions of pg_catalog, in strcmp order. */
static const ExprEntry functions[] = {
    {"abs", "numeric", "without its sign", "abs(-2.5)"},
    {"age", "date/time", "interval between two times", "age(timestamp '2024-03-01', timestamp '2024-01-15')"},
    {"array_length", "array", "number of elements in a dimension", "array_length(string_to_array('a,b', ','), 1)"},
    {"array_position", "array", "where an element is, from 1", "array_position(string_to_array('a,b', ','), 'b')"},
    {"array_to_string", "array", "elements put together with a separator", "array_to_string(string_to_array('a,b', ','), '; ')"},
    {"ascii", "string", "code of the first character", "ascii('A')"},
    {"bool", "cast", "as boolean", "bool('yes'::text)"},
    {"btrim", "string", "takes given characters off both ends", "btrim('xxaxx', 'x')"},
    {"cardinality", "array", "number of elements", "cardinality(string_to_array('a,b', ','))"},
    {"cbrt", "numeric", "cube root", "cbrt(27)"},
    {"ceil", "numeric", "rounded up", "ceil(1.2)"},
    {"ceiling", "numeric", "rounded up", "ceiling(1.2)"},
    {"char_length", "string", "number of characters", "char_length('café')"},
    {"character_length", "string", "number of characters", "character_length('café')"},
    {"chr", "string", "the character of a code", "chr(65)"},
    {"concat", "string", "texts put together; nulls are left out", "concat('a', 1, NULL, 'b')"},
    {"concat_ws", "string", "texts put together with a separator; nulls are left out", "concat_ws(', ', 'a', NULL, 'b')"},
    {"convert_from", "hashing", "bytes in an encoding as text", "convert_from('\\x616263', 'UTF8')"},
    {"convert_to", "hashing", "a text's bytes in an encoding", "convert_to('abc', 'UTF8')"},
    {"date", "cast", "as date", "date('2024-05-06'::text)"},
    {"date_bin", "date/time", "the start of the interval a time is in", "date_bin('15 minutes', timestamp '2024-01-01 10:37', timestamp '2024-01-01')"},
    {"date_part", "date/time", "one part of a time, as a number", "date_part('year', date '2024-05-06')"},
    {"date_trunc", "date/time", "cut to year, month, day, hour and so on", "date_trunc('month', timestamp '2024-05-06 07:08')"},
    {"decode", "hashing", "bytes of hex or base64 text", "decode('616263', 'hex')"},
    {"degrees", "numeric", "radians in degrees", "degrees(pi())"},
    {"div", "numeric", "whole quotient", "div(9, 4)"},
    {"encode", "hashing", "bytes as hex or base64 text", "encode('abc'::bytea, 'base64')"},
    {"exp", "numeric", "e to a power", "exp(0.0)"},
    {"extract", "date/time", "one part of a time", "extract(year from date '2024-05-06')"},
    {"float4", "cast", "as real", "float4(1)"},
    {"float8", "cast", "as double precision", "float8(1)"},
    {"floor", "numeric", "rounded down", "floor(-1.2)"},
    {"gcd", "numeric", "greatest common divisor", "gcd(12, 18)"},
    {"hashtext", "hashing", "a 32-bit hash of a text, for spreading", "hashtext('abc') is not null"},
    {"initcap", "string", "each word with a capital", "initcap('ada LOVELACE')"},
    {"int2", "cast", "as smallint", "int2(7.6)"},
    {"int4", "cast", "as integer", "int4(7.6)"},
    {"int8", "cast", "as bigint", "int8(7.6)"},
    {"isfinite", "date/time", "is it no infinity", "isfinite(date 'infinity')"},
    {"json_array_length", "json", "number of elements", "json_array_length('[1, 2]')"},
    {"jsonb_array_length", "json", "number of elements", "jsonb_array_length('[1, 2]')"},
    {"jsonb_build_array", "json", "an array of values", "jsonb_build_array(1, 'a')"},
    {"jsonb_build_object", "json", "an object of keys and values", "jsonb_build_object('a', 1)"},
    {"jsonb_extract_path", "json", "what lies at a path", "jsonb_extract_path('{\"a\": {\"b\": 1}}', 'a', 'b')"},
    {"jsonb_extract_path_text", "json", "what lies at a path, as text", "jsonb_extract_path_text('{\"a\": \"x\"}', 'a')"},
    {"jsonb_strip_nulls", "json", "without keys that are null", "jsonb_strip_nulls('{\"a\": null, \"b\": 1}')"},
    {"jsonb_typeof", "json", "object, array, string, number, boolean or null", "jsonb_typeof('[1]')"},
    {"justify_days", "date/time", "30 days as a month", "justify_days(interval '35 days')"},
    {"justify_hours", "date/time", "24 hours as a day", "justify_hours(interval '27 hours')"},
    {"justify_interval", "date/time", "both", "justify_interval(interval '1 month -1 hour')"},
    {"lcm", "numeric", "least common multiple", "lcm(4, 6)"},
    {"left", "string", "the first characters; negative: all but the last", "left('abcdef', 2)"},
    {"length", "string", "number of characters", "length('café')"},
    {"ln", "numeric", "natural logarithm", "ln(1.0)"},
    {"log", "numeric", "logarithm to base 10, or to a given base", "log(100)"},
    {"log10", "numeric", "logarithm to base 10", "log10(1000)"},
    {"lower", "string", "in lower case", "lower('ABC')"},
    {"lpad", "string", "filled up on the left to a length, or cut", "lpad('7', 3, '0')"},
    {"ltrim", "string", "takes given characters off the start", "ltrim('007', '0')"},
    {"make_date", "date/time", "a date of year, month and day", "make_date(2024, 5, 6)"},
    {"make_interval", "date/time", "an interval of its parts", "make_interval(days => 10)"},
    {"make_time", "date/time", "a time of day of its parts", "make_time(8, 15, 0)"},
    {"make_timestamp", "date/time", "a timestamp of its parts", "make_timestamp(2024, 5, 6, 7, 8, 0)"},
    {"make_timestamptz", "date/time", "a timestamp in UTC of its parts", "make_timestamptz(2024, 5, 6, 7, 8, 0)"},
    {"md5", "hashing", "MD5 in hexadecimal", "md5('abc')"},
    {"mod", "numeric", "remainder", "mod(9, 4)"},
    {"now", "date/time", "the start of the load's transaction", "now() > timestamptz '2024-01-01'"},
    {"numeric", "cast", "as numeric", "pg_catalog.numeric(7)"},
    {"octet_length", "string", "number of bytes", "octet_length('café')"},
    {"overlay", "string", "a part replaced", "overlay('abcdef' placing 'XX' from 2 for 3)"},
    {"pi", "numeric", "3.14159...", "pi()"},
    {"position", "string", "where a text is in another, from 1; 0: nowhere", "position('c' in 'abc')"},
    {"power", "numeric", "to a power", "power(2, 10)"},
    {"quote_ident", "string", "as an SQL name", "quote_ident('a b')"},
    {"quote_literal", "string", "as an SQL literal", "quote_literal('it''s')"},
    {"radians", "numeric", "degrees in radians", "radians(180)"},
    {"regexp_count", "regex", "how often a pattern is found", "regexp_count('a1b22', '[0-9]+')"},
    {"regexp_like", "regex", "is a pattern found", "regexp_like('Ada', '^a', 'i')"},
    {"regexp_match", "regex", "the first match and its groups, as an array", "regexp_match('k=v', '(.)=(.)')"},
    {"regexp_replace", "regex", "matches replaced", "regexp_replace('a1b22', '[0-9]+', '#', 'g')"},
    {"regexp_substr", "regex", "the first match", "regexp_substr('order 4711', '[0-9]+')"},
    {"repeat", "string", "repeated", "repeat('ab', 3)"},
    {"replace", "string", "all occurrences replaced", "replace('a-b-c', '-', '/')"},
    {"reverse", "string", "the characters backwards", "reverse('abc')"},
    {"right", "string", "the last characters; negative: all but the first", "right('abcdef', 2)"},
    {"round", "numeric", "rounded, to decimals if given", "round(2.345, 2)"},
    {"rpad", "string", "filled up on the right to a length, or cut", "rpad('ab', 4, '.')"},
    {"rtrim", "string", "takes given characters off the end", "rtrim('abc...', '.')"},
    {"scale", "numeric", "number of decimals", "scale(1.50)"},
    {"sha224", "hashing", "SHA-224, bytes", "encode(sha224('abc'), 'hex')"},
    {"sha256", "hashing", "SHA-256, bytes", "encode(sha256('abc'), 'hex')"},
    {"sha384", "hashing", "SHA-384, bytes", "left(encode(sha384('abc'), 'hex'), 16)"},
    {"sha512", "hashing", "SHA-512, bytes", "left(encode(sha512('abc'), 'hex'), 16)"},
    {"sign", "numeric", "-1, 0 or 1", "sign(-7)"},
    {"split_part", "string", "one of the parts between separators, from 1", "split_part('a,b,c', ',', 2)"},
    {"sqrt", "numeric", "square root", "sqrt(2.25)"},
    {"starts_with", "string", "does it begin with a text", "starts_with('abc', 'ab')"},
    {"string_to_array", "array", "parts between separators, as an array", "(string_to_array('a,b,c', ','))[2]"},
    {"strpos", "string", "where a text is in another, from 1; 0: nowhere", "strpos('abc', 'c')"},
    {"substr", "string", "a part, by first character and length", "substr('abcdef', 2, 3)"},
    {"substring", "string", "a part, by first character and length, or by a regular expression", "substring('abc123' from '[0-9]+')"},
    {"text", "cast", "as text", "text('a'::char)"},
    {"timezone", "date/time", "a time in another zone: at time zone", "timezone('Asia/Tokyo', timestamptz '2024-01-01 00:00Z')"},
    {"to_char", "date/time", "as text, by a pattern", "to_char(date '2024-05-06', 'DD.MM.YYYY')"},
    {"to_date", "date/time", "a date of text, by a pattern", "to_date('06.05.2024', 'DD.MM.YYYY')"},
    {"to_hex", "string", "in hexadecimal", "to_hex(255)"},
    {"to_jsonb", "json", "a value as JSON", "to_jsonb(1.5)"},
    {"to_number", "date/time", "a number of text, by a pattern", "to_number('1,234.5', '9,999.9')"},
    {"to_timestamp", "date/time", "a timestamp of text by a pattern, or of seconds since 1970", "to_timestamp(0)"},
    {"translate", "string", "characters replaced one by one", "translate('1.234,5', '.,', ',.')"},
    {"trim", "string", "takes spaces or given characters off the ends", "trim(both 'x' from 'xax')"},
    {"trim_scale", "numeric", "without zeros at the end", "trim_scale(1.500)"},
    {"trunc", "numeric", "cut, to decimals if given", "trunc(2.345, 2)"},
    {"upper", "string", "in upper case", "upper('abc')"},
    {"varchar", "cast", "as varchar", "pg_catalog.varchar('abc'::varchar, 6, true)"},
    {"width_bucket", "numeric", "the number of the equal part of a range a value is in", "width_bucket(35, 0, 100, 10)"},
};

/* Syntax that is no call of a function by name. */
static const ExprEntry syntax[] = {
    {"case", "conditional", "one of several values, by conditions", "case when 1 > 2 then 'a' else 'b' end"},
    {"coalesce", "conditional", "the first that is not null", "coalesce(NULL, 'b')"},
    {"nullif", "conditional", "null when two are equal", "nullif(0, 0)"},
    {"greatest", "conditional", "the largest; nulls are left out", "greatest(1, 3, 2)"},
    {"least", "conditional", "the smallest; nulls are left out", "least(1, 3, 2)"},
    {"cast", "cast", "a value as another type, also written value::type", "cast('12' as integer)"},
    {"at time zone", "date/time", "a time in another zone", "timestamptz '2024-01-01 00:00Z' at time zone 'Asia/Tokyo'"},
    {"current_date", "date/time", "the day the load's transaction began, in UTC", "current_date > date '2024-01-01'"},
    {"current_timestamp", "date/time", "the start of the load's transaction", "current_timestamp > timestamptz '2024-01-01'"},
    {"like", "string", "does a pattern of % and _ match", "'abc' like 'a%'"},
    {"ilike", "string", "the same without regard to case", "'ABC' ilike 'a%'"},
    {"similar to", "regex", "does an SQL regular expression match", "'abc' similar to '(a|x)%'"},
    {"in", "conditional", "is it one of a list", "2 in (1, 2)"},
    {"between", "conditional", "is it in a range, ends included", "2 between 1 and 3"},
    {"is null", "conditional", "is it null", "NULL is null"},
    {"is distinct from", "conditional", "are two different, where null is a value", "1 is distinct from NULL"},
};

static const ExprEntry operators[] = {
    {"+", "numeric", "sum; date plus days; time plus interval", "date '2024-01-31' + 1"},
    {"-", "numeric", "difference; date minus date in days", "date '2024-03-01' - date '2024-02-01'"},
    {"*", "numeric", "product", "2 * 3.5"},
    {"/", "numeric", "quotient; of whole numbers a whole number", "7 / 2"},
    {"%", "numeric", "remainder", "7 % 4"},
    {"^", "numeric", "power", "2 ^ 3"},
    {"||", "string", "texts, arrays or JSON put together", "'a' || 1"},
    {"=, <>, <, <=, >, >=", "conditional", "comparison", "1 <> 2"},
    {"and, or, not", "conditional", "logic", "true and not false"},
    {"~, ~*, !~, !~*", "regex", "does a regular expression match; * without regard to case", "'Ada' ~* '^a'"},
    {"->, ->>", "json", "what a key or place holds, as JSON or as text", "'{\"a\": 1}'::jsonb ->> 'a'"},
    {"#>, #>>", "json", "what lies at a path, as JSON or as text", "'{\"a\": [5]}'::jsonb #>> '{a,0}'"},
    {"?", "json", "is it a key", "'{\"a\": 1}'::jsonb ? 'a'"},
    {"@>", "json", "does it contain", "'{\"a\": 1, \"b\": 2}'::jsonb @> '{\"a\": 1}'"},
};

/* Names that SQL's own syntax gives to functions above: trim(both ...), overlay, position. */
static const char *const aliases[] = {"btrim", "date_part", "extract", "like_escape", "ltrim", "overlay", "position", "rtrim",
                                      "similar_to_escape", "substring", "timezone"};

static const Oid types[] = {BOOLOID, BYTEAOID, INT8OID, INT2OID, INT4OID, TEXTOID, JSONOID, FLOAT4OID, FLOAT8OID, UNKNOWNOID,
                            BPCHAROID, VARCHAROID, DATEOID, TIMEOID, TIMESTAMPOID, TIMESTAMPTZOID, INTERVALOID, TIMETZOID,
                            NUMERICOID, UUIDOID, JSONBOID, CHAROID, NAMEOID};

static int
compare_names(const void *name, const void *entry)
{
    return strcmp(name, ((const ExprEntry *) entry)->name);
}

bool
exprlist_function(const char *name)
{
    if (bsearch(name, functions, lengthof(functions), sizeof(ExprEntry), compare_names))
        return true;
    for (size_t i = 0; i < lengthof(aliases); i++)
    {
        if (strcmp(aliases[i], name) == 0)
            return true;
    }
    return false;
}

bool
exprlist_type(Oid type)
{
    Oid element = get_element_type(type);

    for (size_t i = 0; i < lengthof(types); i++)
    {
        if (types[i] == type || types[i] == element)
            return true;
    }
    return false;
}

static void
put_entries(ReturnSetInfo *result, const ExprEntry *entries, int count, const char *kind)
{
    for (int i = 0; i < count; i++)
    {
        Datum values[] = {CStringGetTextDatum(entries[i].name), CStringGetTextDatum(kind), CStringGetTextDatum(entries[i].category),
                          CStringGetTextDatum(entries[i].description), CStringGetTextDatum(entries[i].example)};
        bool nulls[lengthof(values)] = {0};

        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
}

PG_FUNCTION_INFO_V1(kaireon_expression_functions);

Datum
kaireon_expression_functions(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

    InitMaterializedSRF(fcinfo, 0);
    put_entries(result, functions, lengthof(functions), "function");
    put_entries(result, syntax, lengthof(syntax), "syntax");
    put_entries(result, operators, lengthof(operators), "operator");
    return (Datum) 0;
}
