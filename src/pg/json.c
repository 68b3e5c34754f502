/*
 * json.c: reading configuration out of jsonb, table-driven.  See json.h.
 *
 * Everything here works on parsed jsonb that PostgreSQL has validated; it
 * leaves what the values mean to the callers.
 */
#include "postgres.h"

#include "pg/json.h"

#include <ctype.h>

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/numeric.h"

static int
value_kind(const JsonbValue *value)
{
    switch (value->type)
    {
        case jbvNull:
            return JSON_NULL;
        case jbvString:
            return JSON_STRING;
        case jbvNumeric:
            return JSON_NUMBER;
        case jbvBool:
            return JSON_BOOL;
        case jbvBinary:
            if (JsonContainerIsArray(value->val.binary.data))
                return JSON_ARRAY;
            return JSON_OBJECT;
        default:
            return 0;
    }
}

static const char *
kinds_text(int kinds)
{
    StringInfoData out;
    static const struct { int kind; const char *name; } names[] = {
        {JSON_STRING, "a string"}, {JSON_NUMBER, "a number"}, {JSON_INTEGER, "a whole number of 32 bits"}, {JSON_BOOL, "a boolean"},
        {JSON_ARRAY, "an array"}, {JSON_STRINGS, "an array of strings"}, {JSON_OBJECT, "an object"},
        {JSON_NULL, "null"}};

    initStringInfo(&out);
    for (size_t i = 0; i < lengthof(names); i++)
    {
        if (kinds & names[i].kind)
            appendStringInfo(&out, "%s%s", out.len ? " or " : "", names[i].name);
    }
    return out.data;
}

static bool
is_string_array(const JsonbValue *value)
{
    JsonbIterator *it;
    JsonbValue item;
    JsonbIteratorToken token;
    int count = 0;

    if (value_kind(value) != JSON_ARRAY)
        return false;
    it = JsonbIteratorInit(value->val.binary.data);
    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_ELEM)
        {
            if (item.type != jbvString)
                return false;
            count++;
        }
    }
    return count > 0;
}

static bool
is_integer(const JsonbValue *value)
{
    bool failed = value->type != jbvNumeric;

    if (!failed)
    {
        Datum number = NumericGetDatum(value->val.numeric);
        int32 whole = numeric_int4_opt_error(value->val.numeric, &failed);

        failed = failed || !DatumGetBool(DirectFunctionCall2(numeric_eq, number, NumericGetDatum(int64_to_numeric(whole))));
    }
    return !failed;
}

static char *
key_list(const JsonKey *keys)
{
    StringInfoData out;

    initStringInfo(&out);
    for (const JsonKey *k = keys; k->name; k++)
        appendStringInfo(&out, "%s%s", out.len ? ", " : "", k->name);
    return out.data;
}

static bool
has_kind(const JsonKey *key, const JsonbValue *value)
{
    return (key->kinds & value_kind(value)) || ((key->kinds & JSON_STRINGS) && is_string_array(value)) ||
           ((key->kinds & JSON_INTEGER) && is_integer(value));
}

/* Is it one of the texts? */
static bool
is_among(const JsonbValue *value, const char *const *texts)
{
    for (; texts && *texts; texts++)
    {
        if (strlen(*texts) == (size_t) value->val.string.len && memcmp(*texts, value->val.string.val, value->val.string.len) == 0)
            return true;
    }
    return false;
}

static bool
has_value(const JsonKey *key, const JsonbValue *value)
{
    return key->values == NULL || value->type != jbvString || is_among(value, key->values);
}

/* The row of the table; NULL when there is none. */
static const JsonKey *
find_key(const JsonKey *keys, const JsonbValue *name)
{
    for (; keys->name; keys++)
    {
        if (strlen(keys->name) == (size_t) name->val.string.len && memcmp(keys->name, name->val.string.val, name->val.string.len) == 0)
            return keys;
    }
    return NULL;
}

/* One key's value against its row of the table. */
static bool
check_value(const JsonKey *key, JsonbValue *value, const char *what, JsonComplain complain, void *arg)
{
    StringInfoData valid;

    if (!has_kind(key, value))
    {
        complain(arg, "wrong_type", psprintf("key \"%s\" of %s must be %s", key->name, what, kinds_text(key->kinds)), psprintf("It is %s.", kinds_text(value_kind(value))));
        return false;
    }
    if (has_value(key, value))
        return true;
    initStringInfo(&valid);
    if (key->kinds & JSON_BOOL)
        appendStringInfoString(&valid, "true, false");
    if (key->kinds & JSON_NUMBER)
        appendStringInfo(&valid, "%sa number", valid.len ? ", " : "");
    for (const char *const *v = key->values; *v; v++)
        appendStringInfo(&valid, "%s%s", valid.len ? ", " : "", *v);
    complain(arg, "wrong_value",
             psprintf("\"%.*s\" is not a valid value of key \"%s\" of %s", value->val.string.len,
                      value->val.string.val, key->name, what),
             psprintf("Valid values are: %s.", valid.data));
    return false;
}

bool
json_check(JsonbContainer *object, const JsonKey *keys, const char *what, JsonComplain complain, void *arg)
{
    JsonbIterator *it = JsonbIteratorInit(object);
    JsonbValue item;
    JsonbIteratorToken token;
    bool good = true;
    const JsonKey *key = NULL;

    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
        {
            key = find_key(keys, &item);
            if (key == NULL)
            {
                complain(arg, "unknown_key",
                         psprintf("unknown key \"%.*s\" in %s", item.val.string.len, item.val.string.val, what),
                         psprintf("Valid keys are: %s.", key_list(keys)));
                good = false;
            }
        }
        else if (token == WJB_VALUE && key)
            good = check_value(key, &item, what, complain, arg) && good;
    }
    for (key = keys; key->name; key++)
    {
        JsonbValue *value = json_get(object, key->name);

        if (key->required && (value == NULL || value->type == jbvNull))
        {
            complain(arg, "missing_key", psprintf("%s needs key \"%s\"", what, key->name),
                     psprintf("Valid keys are: %s.", key_list(keys)));
            good = false;
        }
    }
    return good;
}

JsonbContainer *
json_sound(JsonbContainer *object, const JsonKey *keys)
{
    JsonbIterator *it = JsonbIteratorInit(object);
    JsonbParseState *state = NULL;
    JsonbIteratorToken token;
    JsonbValue item, name;

    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        const JsonKey *key;

        if (token == WJB_KEY)
            name = item;
        if (token != WJB_VALUE)
            continue;
        key = find_key(keys, &name);
        if (key == NULL || !has_kind(key, &item) || !has_value(key, &item))
            continue;
        pushJsonbValue(&state, WJB_KEY, &name);
        pushJsonbValue(&state, WJB_VALUE, &item);
    }
    return &JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL))->root;
}

bool
json_is_complete(JsonbContainer *object, const JsonKey *keys)
{
    for (const JsonKey *key = keys; key->name; key++)
    {
        JsonbValue *value = json_get(object, key->name);

        if (key->required && (value == NULL || value->type == jbvNull))
            return false;
    }
    return true;
}

/* Behind digits, of which there is one at least; else NULL. */
static const char *
skip_digits(const char *text)
{
    size_t count = strspn(text, "0123456789");

    return count > 0 ? text + count : NULL;
}

bool
json_spells_number(const char *text)
{
    const char *digits = text[0] == '-' ? text + 1 : text, *end = skip_digits(digits);

    if (end == NULL || (digits[0] == '0' && end > digits + 1))
        return false;
    if (*end == '.' && (end = skip_digits(end + 1)) == NULL)
        return false;
    if (*end == 'e' || *end == 'E')
    {
        end++;
        end = skip_digits(end + (*end == '+' || *end == '-'));
    }
    return end && *end == '\0';
}

JsonbValue *
json_get(JsonbContainer *object, const char *key)
{
    return getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
}

char *
json_scalar_text(const JsonbValue *value)
{
    switch (value->type)
    {
        case jbvString:
            return pnstrdup(value->val.string.val, value->val.string.len);
        case jbvNumeric:
            return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
        case jbvBool:
            return pstrdup(value->val.boolean ? "true" : "false");
        default:
            return NULL;
    }
}

char *
json_get_text(JsonbContainer *object, const char *key)
{
    JsonbValue *value = json_get(object, key);

    return value ? json_scalar_text(value) : NULL;
}

bool
json_get_bool(JsonbContainer *object, const char *key, bool fallback)
{
    JsonbValue *value = json_get(object, key);

    return value && value->type == jbvBool ? value->val.boolean : fallback;
}

int64
json_get_int(JsonbContainer *object, const char *key, int64 fallback)
{
    JsonbValue *value = json_get(object, key);

    if (value == NULL || value->type != jbvNumeric)
        return fallback;
    return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

List *
json_get_texts(JsonbContainer *object, const char *key)
{
    JsonbContainer *array = json_get_container(object, key);
    JsonbIterator *it;
    JsonbValue item;
    JsonbIteratorToken token;
    List *out = NIL;

    if (array == NULL)
        return NIL;
    it = JsonbIteratorInit(array);
    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_ELEM && item.type == jbvString)
            out = lappend(out, pnstrdup(item.val.string.val, item.val.string.len));
    }
    return out;
}

JsonbContainer *
json_get_container(JsonbContainer *object, const char *key)
{
    JsonbValue *value = json_get(object, key);

    return value && value->type == jbvBinary ? value->val.binary.data : NULL;
}

int
json_count(JsonbContainer *object, const char *key)
{
    JsonbContainer *list = json_get_container(object, key);

    return list && JsonContainerIsArray(list) ? JsonContainerSize(list) : 0;
}

bool
json_is_empty(JsonbContainer *object, const char *key)
{
    JsonbContainer *list = json_get_container(object, key);

    return list && JsonContainerSize(list) == 0;
}

JsonbContainer *
json_get_object(JsonbContainer *object, const char *key, int i)
{
    JsonbValue *item = getIthJsonbValueFromContainer(json_get_container(object, key), i);

    return item->type == jbvBinary && JsonContainerIsObject(item->val.binary.data) ? item->val.binary.data : NULL;
}

List *
json_all_texts(JsonbContainer *object, const char *const *but)
{
    JsonbIterator *it = JsonbIteratorInit(object);
    JsonbIteratorToken token;
    JsonbValue item;
    int depth = 0;
    bool left_out = false;
    List *out = NIL;

    while ((token = JsonbIteratorNext(&it, &item, false)) != WJB_DONE)
    {
        depth += (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY) - (token == WJB_END_OBJECT || token == WJB_END_ARRAY);
        if (token == WJB_KEY && depth == 1)
            left_out = is_among(&item, but);
        if ((token == WJB_VALUE || token == WJB_ELEM) && item.type == jbvString && !left_out)
            out = lappend(out, json_scalar_text(&item));
    }
    return out;
}

void
json_append_string(StringInfo out, const char *s)
{
    escape_json(out, s);
}

void
json_append_value(StringInfo out, JsonbValue *value)
{
    if (value->type == jbvString)
        escape_json(out, json_scalar_text(value));
    else if (value->type == jbvBinary)
        appendStringInfoString(out, JsonbToCString(NULL, value->val.binary.data, value->val.binary.len));
    else if (value->type == jbvNull)
        appendStringInfoString(out, "null");
    else
        appendStringInfoString(out, json_scalar_text(value));
}
