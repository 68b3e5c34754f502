/*
 * infer.c: which type a column of texts has.  See infer.h for the choices.
 *
 * Values are looked at as bytes; nothing here knows the session's settings.
 * Only JSON and dates of a given format are asked of the server, in a
 * subtransaction, because it raises.  Reading the sample and naming the fields is in infer_fields.c.
 */
#include "postgres.h"

#include "pg/infer.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "pg/guard.h"
#include "pg/settings.h"

#define WHOLE_ROOM 4         /* digits a numeric has room for beyond what was seen */
#define SCALE_MIN 2
#define VARCHAR_MAX 255
#define NUMBER_MAX 200       /* bytes of a number that is still looked at */

void
guess_begin(Guess *guess, const GuessRules *rules)
{
    memset(guess, 0, sizeof(*guess));
    guess->rules = rules;
    guess->context = CurrentMemoryContext;
    guess->uuid = guess->boolean = guess->integer = guess->number = guess->json = true;
    guess->foreign_number = rules->decimal == '.' && rules->thousands == 0;
    guess->date = rules->date_format == NULL;
    guess->time = rules->time_format == NULL;
    guess->own_date = !guess->date;
    guess->own_time = !guess->time;
}

/* Words people write where they have no value. */
static bool
is_null_like(const char *value)
{
    static const char *const words[] = {"null", "none", "nil", "n/a", "#n/a", "na", "nan", "-", "--", "?", "\\N", "(null)"};

    for (size_t i = 0; i < lengthof(words); i++)
    {
        if (pg_strcasecmp(value, words[i]) == 0)
            return true;
    }
    return false;
}

static bool
is_uuid(const char *s, size_t length)
{
    if (length != 36)
        return false;
    for (int i = 0; i < 36; i++)
    {
        if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !isxdigit((unsigned char) s[i]))
            return false;
    }
    return true;
}

static int
digits_at(const char *s)
{
    int n = 0;

    while (s[n] >= '0' && s[n] <= '9')
        n++;
    return n;
}

/* A number's parts, with separators taken out. */
typedef struct Number { int whole; int scale; bool exponent; bool negative; char digits[NUMBER_MAX + 1]; } Number;

/* The whole part, in groups of three where there are separators. */
static const char *
read_whole(const char *s, char thousands, Number *out)
{
    int n = digits_at(s);

    memcpy(out->digits, s, n);
    out->whole = n;
    s += n;
    if (thousands == 0 || n == 0 || n > 3)
        return s;
    while (*s == thousands && digits_at(s + 1) == 3)
    {
        memcpy(out->digits + out->whole, s + 1, 3);
        out->whole += 3;
        s += 4;
    }
    return s;
}

/* Is the text a number that nothing is lost of when it becomes one? */
static bool
read_number(const char *s, char decimal, char thousands, Number *out)
{
    memset(out, 0, offsetof(Number, digits));
    if (strlen(s) > NUMBER_MAX)
        return false;
    out->negative = *s == '-';
    s = read_whole(s + out->negative, thousands, out);
    if (out->whole > 1 && out->digits[0] == '0')
        return false;
    if (*s == decimal)
    {
        out->scale = digits_at(s + 1);
        if (out->whole + out->scale == 0)
            return false;
        s += 1 + out->scale;
    }
    else if (out->whole == 0)
        return false;
    out->digits[out->whole] = '\0';
    if (*s == 'e' || *s == 'E')
    {
        const char *power = s + 1 + (s[1] == '+' || s[1] == '-');
        int n = digits_at(power);

        if (n < 1 || n > 3)
            return false;
        out->exponent = true;
        s = power + n;
    }
    return *s == '\0';
}

/* Is a whole number beyond the limit, given without sign? */
static bool
is_beyond(const Number *number, const char *limit)
{
    int length = strlen(limit);

    return number->whole > length || (number->whole == length && strcmp(number->digits, limit) > 0);
}

static void
add_number(Guess *guess, const char *value)
{
    Number number;

    if (guess->foreign_number)
    {
        guess->foreign_number = read_number(value, ',', '.', &number) && !number.exponent;
        guess->comma |= guess->foreign_number && (strchr(value, ',') || strchr(value, '.'));
    }
    if (!read_number(value, guess->rules->decimal, guess->rules->thousands, &number))
    {
        guess->integer = guess->number = false;
        return;
    }
    guess->whole = Max(guess->whole, number.whole);
    guess->scale = Max(guess->scale, number.scale);
    guess->exponent |= number.exponent;
    if (strchr(value, guess->rules->decimal) || number.exponent)
        guess->integer = false;
    guess->beyond_int4 |= is_beyond(&number, number.negative ? "2147483648" : "2147483647");
    guess->beyond_int8 |= is_beyond(&number, number.negative ? "9223372036854775808" : "9223372036854775807");
}

static void
add_boolean(Guess *guess, const char *value)
{
    static const char *const words[] = {"true", "false", "yes", "no"};

    if (strcmp(value, "0") == 0 || strcmp(value, "1") == 0)
    {
        guess->zero |= value[0] == '0';
        guess->one |= value[0] == '1';
        return;
    }
    for (size_t i = 0; i < lengthof(words); i++)
    {
        if (pg_strcasecmp(value, words[i]) == 0)
        {
            guess->word = true;
            return;
        }
    }
    guess->boolean = false;
}

/* Reads `count` digits into *out; moves the text on. */
static bool
take_digits(const char **s, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*s)++)
    {
        if (**s < '0' || **s > '9')
            return false;
        *out = *out * 10 + (**s - '0');
    }
    return true;
}

/* YYYY-MM-DD of the calendar; moves the text behind it. */
static bool
take_date(const char **s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    bool leap;

    if (!take_digits(s, 4, &year) || *(*s)++ != '-' || !take_digits(s, 2, &month) || *(*s)++ != '-' || !take_digits(s, 2, &day))
        return false;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

/* HH:MM[:SS[.fraction]][zone] up to the end.  Sets *finer when it would be rounded to microseconds. */
static bool
is_time(const char *s, bool *finer)
{
    int hour, minute, second = 0, zone_hour = 0, zone_minute = 0;

    if (!take_digits(&s, 2, &hour) || *s++ != ':' || !take_digits(&s, 2, &minute))
        return false;
    if (*s == ':')
    {
        s++;
        if (!take_digits(&s, 2, &second))
            return false;
        if (*s == '.')
        {
            int n = digits_at(s + 1);

            if (n < 1 || n > 9)
                return false;
            *finer |= n > 6 && strspn(s + 7, "0") < n - 6;
            s += 1 + n;
        }
    }
    if (*s == 'Z')
        s++;
    else if (*s == '+' || *s == '-')
    {
        s++;
        if (!take_digits(&s, 2, &zone_hour))
            return false;
        s += *s == ':';
        if (*s != '\0' && !take_digits(&s, 2, &zone_minute))
            return false;
    }
    return *s == '\0' && hour < 24 && minute < 60 && second < 60 && zone_hour < 15 && zone_minute < 60;
}

static void
add_moment(Guess *guess, const char *value)
{
    const char *s = value;

    if (!take_date(&s))
        guess->date = guess->time = false;
    else if (*s != '\0')
    {
        guess->date = false;
        guess->clock = true;
        if ((*s != ' ' && *s != 'T') || !is_time(s + 1, &guess->finer))
            guess->time = false;
    }
}

typedef bool (*Reads) (const char *value, const char *format);

static bool
reads_json(const char *value, const char *format)
{
    (void) DirectFunctionCall1(jsonb_in, CStringGetDatum(value));
    return true;
}

/* Whether an object in valid JSON has a key twice: then fewer keys are kept than colons stand outside strings. */
static bool
repeats_keys(const char *value)
{
    Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(value)));
    JsonbIterator *it = JsonbIteratorInit(&json->root);
    JsonbIteratorToken token;
    JsonbValue item;
    bool string = false;
    int64 keys = 0;

    for (const char *s = value; *s; s++)
    {
        if (*s == '"')
            string = !string;
        else if (string && *s == '\\')
            s++;
        keys += !string && *s == ':';
    }
    while (keys > 0 && (token = JsonbIteratorNext(&it, &item, false)) != WJB_DONE)
        keys -= token == WJB_KEY;
    return keys > 0;
}

/* to_date takes much for a date: it is one if it comes out as it went in. */
static bool
reads_date(const char *value, const char *format)
{
    Datum pattern = CStringGetTextDatum(format);
    Datum date = OidFunctionCall2Coll(F_TO_DATE, C_COLLATION_OID, CStringGetTextDatum(value), pattern);
    Datum back = OidFunctionCall2Coll(F_TO_CHAR_TIMESTAMP_TEXT, C_COLLATION_OID, DirectFunctionCall1(date_timestamp, date), pattern);

    return strcmp(TextDatumGetCString(back), value) == 0;
}

static bool
reads_time(const char *value, const char *format)
{
    Datum pattern = CStringGetTextDatum(format);
    Datum moment = OidFunctionCall2Coll(F_TO_TIMESTAMP_TEXT_TEXT, C_COLLATION_OID, CStringGetTextDatum(value), pattern);
    Datum back = OidFunctionCall2Coll(F_TO_CHAR_TIMESTAMPTZ_TEXT, C_COLLATION_OID, moment, pattern);

    return strcmp(TextDatumGetCString(back), value) == 0;
}

typedef struct Question { Reads reads; const char *value; const char *format; bool answer; } Question;

static void
put_question(void *arg)
{
    Question *question = arg;

    question->answer = question->reads(question->value, question->format);
}

static void
put_under_fixed_settings(void *arg)
{
    Question *question = arg;

    settings_fixed(question->format ? settings_need(DATEOID, question->format) : SETTINGS_NONE, put_question, arg);
}

/* What the server says to a value; an error is a no. */
static bool
asks_server(Reads reads, const char *value, const char *format)
{
    Question question = {reads, value, format, false};

    return guard_try(put_under_fixed_settings, &question, CurrentMemoryContext) == NULL && question.answer;
}

void
guess_add(Guess *guess, const char *value)
{
    guess->values++;
    guess->characters = Max(guess->characters, pg_mbstrlen(value));
    if (is_null_like(value))
    {
        if (guess->null_like++ == 0)
            guess->null_word = MemoryContextStrdup(guess->context, value);
        return;
    }
    if (guess->uuid)
        guess->uuid = is_uuid(value, strlen(value));
    if (guess->boolean)
        add_boolean(guess, value);
    if (guess->number || guess->foreign_number)
        add_number(guess, value);
    if (guess->date || guess->time)
        add_moment(guess, value);
    if (guess->json)
        guess->json = (value[0] == '{' || value[0] == '[') && asks_server(reads_json, value, NULL);
    if (guess->json && !guess->repeats)
        guess->repeats = repeats_keys(value);
    if (guess->own_date)
        guess->own_date = asks_server(reads_date, value, guess->rules->date_format);
    if (guess->own_time)
        guess->own_time = asks_server(reads_time, value, guess->rules->time_format);
}

static GuessType
number_type(const Guess *guess)
{
    GuessType type = {"numeric", 0, 0, 0};

    if (guess->integer && !guess->beyond_int8)
        type.name = guess->beyond_int4 ? "bigint" : "integer";
    else if (!guess->exponent)
    {
        type.scale = guess->scale == 0 ? 0 : Max(guess->scale, SCALE_MIN);
        type.precision = guess->whole + type.scale + WHOLE_ROOM;
    }
    return type;
}

static GuessType
text_type(const Guess *guess)
{
    static const int lengths[] = {16, 32, 64, 128, VARCHAR_MAX};
    GuessType type = {"text", 0, 0, 0};

    if (guess->characters > VARCHAR_MAX)
        return type;
    type.name = "varchar";
    type.length = VARCHAR_MAX;
    for (size_t i = 0; i < lengthof(lengths); i++)
    {
        if (lengths[i] >= 2 * guess->characters)
        {
            type.length = lengths[i];
            break;
        }
    }
    return type;
}

GuessType
guess_type(const Guess *guess, bool without_nulls)
{
    if (guess->values == 0)
        return (GuessType){"text", 0, 0, 0};
    if (guess->null_like == guess->values || (guess->null_like > 0 && !without_nulls))
        return text_type(guess);
    if (guess->uuid)
        return (GuessType){"uuid", 0, 0, 0};
    if (guess->own_date)
        return (GuessType){"date", 0, 0, 0};
    if (guess->own_time)
        return (GuessType){"timestamptz", 0, 0, 0};
    if (guess->boolean && (guess->word || (guess->zero && guess->one)))
        return (GuessType){"boolean", 0, 0, 0};
    if (guess->number)
        return number_type(guess);
    if (guess->date)
        return (GuessType){"date", 0, 0, 0};
    if (guess->time && guess->clock && !guess->finer)
        return (GuessType){"timestamptz", 0, 0, 0};
    if (guess->json && !guess->repeats)
        return (GuessType){"json", 0, 0, 0};
    return text_type(guess);
}
