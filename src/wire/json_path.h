/*
 * json_path.h: paths in options of JSON: $.data.items[*], $["a b"][0].c.
 *
 * The part of JSONPath that names one place: keys behind a point or in brackets
 * and quotes, where a backslash takes the next character as it is, numbers of
 * elements, and for rows [*].  The server checks paths when a pipeline is
 * saved, the reader follows them; both by this grammar.
 */
#ifndef KAIREON_JSON_PATH_H
#define KAIREON_JSON_PATH_H

#include <stdbool.h>
#include <stdint.h>

#define JSON_PATH_STEPS 32
#define JSON_PATH_ELEMENTS 16384    /* numbers of elements are below that */

#define JSON_PATH_HINT_RECORD "A path is $ and up to 32 steps, each of them .key, [\"key\"] or [*]; for example $.data.items[*]."
#define JSON_PATH_HINT_FIELD "A path is $ and up to 32 steps, each of them .key, [\"key\"] or [0]; for example $.address.city."

typedef enum JsonStepKind { JSON_STEP_KEY, JSON_STEP_INDEX, JSON_STEP_ALL } JsonStepKind;

typedef struct JsonStep
{
    JsonStepKind kind;
    const char *key;    /* zero-terminated; lies in the path's keys */
    uint32_t n;         /* its length */
    uint32_t index;
} JsonStep;

typedef struct JsonPath
{
    char *keys;         /* the caller's memory */
    JsonStep steps[JSON_PATH_STEPS];
    uint32_t nsteps;
} JsonPath;

/*
 * Reads a path, of UTF-8, into steps; path->keys has room for two bytes more
 * than the text.  `record`: the path of rows, with keys and [*]; else that of a
 * field, with keys and numbers.  NULL, or what is wrong with it, and in *at with
 * which of its characters, from 1.
 */
extern const char *json_path_read(JsonPath *path, const char *text, bool record, int *at);

#endif
