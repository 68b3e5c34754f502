/*
 * json_fields.c: see json_fields.h.
 */
#include "core/json_fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
json_kind_name(const json_t *value)
{
    switch (json_typeof(value))
    {
        case JSON_OBJECT:
            return "an object";
        case JSON_ARRAY:
            return "an array";
        case JSON_STRING:
            return "a string";
        case JSON_INTEGER:
        case JSON_REAL:
            return "a number";
        case JSON_TRUE:
        case JSON_FALSE:
            return "a boolean";
        default:
            return "null";
    }
}

static bool
wrong_type(const JsonField *field, const char *where, const char *want, const json_t *value, Status *st)
{
    return status_fail(st, STATUS_INVALID_VALUE, "key \"%s\" of %s must be %s, not %s",
                       field->name, where, want, json_kind_name(value));
}

static bool
read_value(const JsonField *field, const char *where, json_t *value, Status *st)
{
    switch (field->kind)
    {
        case JSON_FIELD_TEXT:
            if (!json_is_string(value))
                return wrong_type(field, where, "a string", value, st);
            *(const char **) field->out = json_string_value(value);
            return true;
        case JSON_FIELD_BOOL:
            if (!json_is_boolean(value))
                return wrong_type(field, where, "true or false", value, st);
            *(bool *) field->out = json_is_true(value);
            return true;
        case JSON_FIELD_INT:
            if (!json_is_integer(value))
                return wrong_type(field, where, "a whole number", value, st);
            if (json_integer_value(value) < field->min || json_integer_value(value) > field->max)
                return status_fail(st, STATUS_INVALID_VALUE,
                                   "key \"%s\" of %s must be between %" PRId64 " and %" PRId64 ", not %" PRId64,
                                   field->name, where, field->min, field->max,
                                   (int64_t) json_integer_value(value));
            *(int64_t *) field->out = json_integer_value(value);
            return true;
        case JSON_FIELD_OBJECT:
            if (!json_is_object(value))
                return wrong_type(field, where, "an object", value, st);
            break;
        case JSON_FIELD_ARRAY:
            if (!json_is_array(value))
                return wrong_type(field, where, "an array", value, st);
            break;
        case JSON_FIELD_ANY:
            break;
    }
    *(json_t **) field->out = value;
    return true;
}

static bool
unknown_key(const char *key, const char *where, const JsonField *fields, size_t nfields, Status *st)
{
    char list[800];
    size_t used = 0, i;

    list[0] = '\0';
    for (i = 0; i < nfields && used < sizeof(list) - 1; i++)
    {
        int n = snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", fields[i].name);

        used += n < 0 ? 0 : (size_t) n;
    }
    status_fail(st, STATUS_INVALID_VALUE, "unknown key \"%s\" in %s", key, where);
    return status_hint(st, "Known keys: %s.", list);
}

bool
json_fields_read(const json_t *object, const char *where,
                 const JsonField *fields, size_t nfields, Status *st)
{
    const char *key;
    json_t *value;
    size_t i;

    if (!json_is_object(object))
        return status_fail(st, STATUS_INVALID_VALUE, "%s must be an object, not %s", where, json_kind_name(object));
    json_object_foreach((json_t *) object, key, value)
    {
        for (i = 0; i < nfields && strcmp(fields[i].name, key) != 0; i++)
            continue;
        if (i == nfields)
            return unknown_key(key, where, fields, nfields, st);
        if (!read_value(&fields[i], where, value, st))
            return false;
    }
    for (i = 0; i < nfields; i++)
        if (fields[i].required && json_object_get(object, fields[i].name) == NULL)
            return status_fail(st, STATUS_INVALID_VALUE, "key \"%s\" is missing in %s", fields[i].name, where);
    return true;
}

bool
json_strings(const json_t *array, const char *where, size_t max,
             const char ***out, size_t *nout, Status *st)
{
    size_t n = array == NULL ? 0 : json_array_size(array), i;
    const char **strings;

    *out = NULL;
    *nout = 0;
    if (n > max)
        return status_fail(st, STATUS_INVALID_VALUE, "%s has %zu entries, at most %zu are allowed", where, n, max);
    if (n == 0)
        return true;
    strings = malloc(n * sizeof(*strings));
    if (strings == NULL)
        return status_out_of_memory(st, n * sizeof(*strings));
    for (i = 0; i < n; i++)
    {
        const json_t *value = json_array_get(array, i);

        if (!json_is_string(value))
        {
            free(strings);
            return status_fail(st, STATUS_INVALID_VALUE, "%s must hold strings, but entry %zu is %s",
                               where, i + 1, json_kind_name(value));
        }
        strings[i] = json_string_value(value);
    }
    *out = strings;
    *nout = n;
    return true;
}
