/*
 * json.h: reading configuration out of jsonb, table-driven.
 *
 * A table of JsonKey says which keys an object may have, of which kind, and
 * which values; json_check reports everything that is wrong.  The json_get_*
 * functions then read checked objects and give a default for what is absent.
 * All strings are palloc'd copies in the current context.
 */
#ifndef KAIREON_JSON_H
#define KAIREON_JSON_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* Kinds of value, or'ed together. */
#define JSON_STRING 1
#define JSON_NUMBER 2
#define JSON_BOOL 4
#define JSON_ARRAY 8
#define JSON_OBJECT 16
#define JSON_NULL 32
#define JSON_SCALAR (JSON_STRING | JSON_NUMBER | JSON_BOOL | JSON_NULL)
#define JSON_STRINGS 64 /* an array of strings, not empty */
#define JSON_INTEGER 128 /* a whole number of 32 bits */

typedef struct JsonKey
{
    const char *name;
    int kinds;
    bool required;
    const char *const *values; /* NULL, or the strings allowed, ended by NULL */
} JsonKey;

/* Called for each thing wrong: `code` as in validate_pipeline, hint may be NULL. */
typedef void (*JsonComplain) (void *arg, const char *code, const char *message, const char *hint);

/* Checks an object against a table ended by a NULL name.  True when nothing was wrong. */
extern bool json_check(JsonbContainer *object, const JsonKey *keys, const char *what,
                       JsonComplain complain, void *arg);

/* What of an object is right by such a table: without keys that are unknown, or whose value is wrong. */
extern JsonbContainer *json_sound(JsonbContainer *object, const JsonKey *keys);
/* Has it all keys that it must have? */
extern bool json_is_complete(JsonbContainer *object, const JsonKey *keys);

/* The value of a key, or NULL.  Points into the object. */
extern JsonbValue *json_get(JsonbContainer *object, const char *key);
extern char *json_get_text(JsonbContainer *object, const char *key);   /* scalar as text; NULL when absent or null */
extern bool json_get_bool(JsonbContainer *object, const char *key, bool fallback);
extern int64 json_get_int(JsonbContainer *object, const char *key, int64 fallback);
extern List *json_get_texts(JsonbContainer *object, const char *key);  /* of char *; NIL when absent */
extern JsonbContainer *json_get_container(JsonbContainer *object, const char *key); /* NULL when absent or scalar */

/* Of the array under a key: how many elements it has (of anything else: 0), and the i-th; NULL when that is no object. */
extern int json_count(JsonbContainer *object, const char *key);
/* Is there an array or object under the key, with nothing in it? */
extern bool json_is_empty(JsonbContainer *object, const char *key);
extern JsonbContainer *json_get_object(JsonbContainer *object, const char *key, int i);

/* All strings in an object that are values, however deep (char *), but for those under some of its keys (ended by NULL; or NULL). */
extern List *json_all_texts(JsonbContainer *object, const char *const *but);

/* Is the text spelled as a number in JSON? */
extern bool json_spells_number(const char *text);

/* A scalar as text; NULL for JSON null. */
extern char *json_scalar_text(const JsonbValue *value);

/* Quotes a C string as a JSON string and appends it. */
extern void json_append_string(StringInfo out, const char *s);
/* Appends any value as JSON text. */
extern void json_append_value(StringInfo out, JsonbValue *value);

#endif
