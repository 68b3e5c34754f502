/*
 * json_fields.h: strict reading of a JSON object by a table of its keys.
 *
 * The table says which keys there are, of what type, and where the values go;
 * anything else in the object is an error that names the key and lists the
 * known ones.  Defaults are what the caller put into the places before.
 * Strings and sub-objects are borrowed from the JSON tree.
 */
#ifndef KAIREON_JSON_FIELDS_H
#define KAIREON_JSON_FIELDS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef enum JsonKind
{
    JSON_FIELD_TEXT,    /* const char ** */
    JSON_FIELD_BOOL,    /* bool * */
    JSON_FIELD_INT,     /* int64_t *, between min and max */
    JSON_FIELD_OBJECT,  /* json_t ** */
    JSON_FIELD_ARRAY,   /* json_t ** */
    JSON_FIELD_ANY      /* json_t ** */
} JsonKind;

typedef struct JsonField
{
    const char *name;
    JsonKind kind;
    bool required;
    void *out;
    int64_t min, max;
} JsonField;

/*
 * Reads `object` by the table.  `where` names it in errors ("request",
 * "format", "columns[3]").  Fails with 22023.
 */
STATUS_CHECK bool json_fields_read(const json_t *object, const char *where,
                                   const JsonField *fields, size_t nfields, Status *st);

/*
 * An array of strings as a new array of borrowed pointers (free() it), with at
 * most `max` entries.  NULL `array` gives none.  Fails with 22023 or 53200.
 */
STATUS_CHECK bool json_strings(const json_t *array, const char *where, size_t max,
                               const char ***out, size_t *nout, Status *st);

/* "a string", "an object" and so on: what a value is, for messages. */
const char *json_kind_name(const json_t *value);

#endif
