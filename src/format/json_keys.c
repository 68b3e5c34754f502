/*
 * json_keys.c: which key of an object is which field.
 *
 * Keys are a tree as the rows have it, made as keys are met: of each object
 * that is looked into, a table of its keys by hash.  A key that no field is made
 * of is remembered, too, so that it is known the next time at once; of those
 * no more than UNUSED_MAX an object, since a source may have a new one in every
 * row.  With flatten the name of a field is made of the keys that lead to it;
 * fields that have paths have their branches made beforehand.
 */
#include <stdlib.h>
#include <string.h>

#include "format/json.h"

#define UNUSED_MAX 1024
#define UNUSED_BYTES 256

static uint64_t
hash_text(const char *text, size_t n)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ n;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (uint8_t) text[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

/* ---- names of fields ------------------------------------------------------- */

/* The place of a name in the table, or the free one where it would be. */
static size_t
name_place(const JsNames *names, const char *name, size_t n)
{
    size_t at = hash_text(name, n) & (names->table_size - 1);

    while (names->table[at] != 0)
    {
        const char *other = names->names[names->table[at] - 1];

        if (strncmp(other, name, n) == 0 && other[n] == '\0')
            break;
        at = (at + 1) & (names->table_size - 1);
    }
    return at;
}

int
js_names_find(const JsNames *names, const char *name, size_t n)
{
    if (names->n == 0)
        return -1;
    return (int) names->table[name_place(names, name, n)] - 1;
}

static bool
names_grow(JsNames *names, Status *st)
{
    size_t size = names->size * 2 + 16, table_size = 4 * 16, i;
    char **grown = realloc(names->names, size * sizeof(*grown));
    uint32_t *table;

    while (table_size < 2 * size)
        table_size *= 2;
    table = calloc(table_size, sizeof(*table));
    if (grown != NULL)
        names->names = grown;
    if (grown == NULL || table == NULL)
    {
        free(table);
        return status_out_of_memory(st, size * sizeof(*grown));
    }
    free(names->table);
    names->table = table;
    names->table_size = table_size;
    names->size = size;
    for (i = 0; i < names->n; i++)
        table[name_place(names, grown[i], strlen(grown[i]))] = (uint32_t) i + 1;
    return true;
}

bool
js_names_add(JsNames *names, const char *name, size_t n, int *number, Status *st)
{
    char *copy;

    if (names->n == names->size && !names_grow(names, st))
        return false;
    copy = strndup(name, n);
    if (copy == NULL)
        return status_out_of_memory(st, n + 1);
    names->table[name_place(names, name, n)] = (uint32_t) names->n + 1;
    names->names[names->n] = copy;
    *number = (int) names->n++;
    return true;
}

void
js_names_free(JsNames *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
    free(names->table);
    *names = (JsNames) {0};
}

/* ---- keys and levels --------------------------------------------------------- */

void
js_keys_free(Json *js)
{
    JsKey *key, *next;

    for (size_t i = 0; i < js->nlevels; i++)
    {
        free(js->levels[i]->table);
        free(js->levels[i]->prefix);
        free(js->levels[i]->elements);
        free(js->levels[i]);
    }
    free(js->levels);
    for (key = js->made; key != NULL; key = next)
    {
        next = key->made;
        free(key);
    }
    js->levels = NULL;
    js->nlevels = 0;
    js->root = js->made = NULL;
}

/* NULL: no memory. */
static JsLevel *
make_level(Json *js, const char *prefix, uint32_t depth)
{
    JsLevel *level = calloc(1, sizeof(*level));
    JsLevel **levels = realloc(js->levels, (js->nlevels + 1) * sizeof(*levels));

    if (levels != NULL)
        js->levels = levels;
    if (level != NULL)
    {
        level->depth = depth;
        level->size = 16;
        level->table = calloc(level->size, sizeof(*level->table));
        level->prefix = prefix == NULL ? NULL : strdup(prefix);
        if (levels != NULL && level->table != NULL && (prefix == NULL || level->prefix != NULL))
        {
            levels[js->nlevels++] = level;
            return level;
        }
        free(level->table);
        free(level->prefix);
    }
    free(level);
    return NULL;
}

/* Can the text only stand in JSON as it is, and is it valid UTF-8 for sure? */
static bool
is_plain(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t) text[i] < 0x20 || (uint8_t) text[i] >= 0x80 || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

/* A key outside of any table; NULL: no memory. */
static JsKey *
make_key(Json *js, const char *text, size_t n)
{
    JsKey *key = calloc(1, sizeof(*key) + n + 17);
    char *copy;
    int i;

    if (key == NULL)
        return NULL;
    copy = (char *) (key + 1);
    memcpy(copy, text, n);
    copy[n] = '"';
    key->text = copy;
    key->n = (uint32_t) n;
    key->plain = is_plain(text, n);
    for (i = 0; i < 2; i++)
    {
        size_t left = n + 1 > 8 * (size_t) i ? n + 1 - 8 * (size_t) i : 0;

        key->word[i] = js_word((const uint8_t *) copy + 8 * i);
        key->mask[i] = left >= 8 ? ~UINT64_C(0) : (UINT64_C(1) << (8 * left)) - 1;
        key->word[i] &= key->mask[i];
    }
    key->field = key->text_slot = key->json_slot = -1;
    key->made = js->made;
    js->made = key;
    return key;
}

static JsKey *
level_find(const JsLevel *level, const char *text, size_t n)
{
    JsKey *key = level->table[hash_text(text, n) & (level->size - 1)];

    while (key != NULL && (key->n != n || memcmp(key->text, text, n) != 0))
        key = key->chain;
    return key;
}

static void
level_link(JsLevel *level, JsKey *key)
{
    JsKey **place = &level->table[hash_text(key->text, key->n) & (level->size - 1)];

    key->chain = *place;
    *place = key;
}

static bool
level_grow(JsLevel *level)
{
    JsKey **old = level->table, *key, *next;
    uint32_t size = level->size, i;

    level->table = calloc(2 * (size_t) size, sizeof(*old));
    if (level->table == NULL)
    {
        level->table = old;
        return false;
    }
    level->size = 2 * size;
    for (i = 0; i < size; i++)
        for (key = old[i]; key != NULL; key = next)
        {
            next = key->chain;
            level_link(level, key);
        }
    free(old);
    return true;
}

/* NULL: no memory. */
static JsKey *
level_add(Json *js, JsLevel *level, const char *text, size_t n)
{
    JsKey *key = level->count < level->size || level_grow(level) ? make_key(js, text, n) : NULL;

    if (key == NULL)
        return NULL;
    level_link(level, key);
    level->count++;
    return key;
}

static void
key_is_field(Json *js, JsKey *key, int field)
{
    key->field = field;
    if (field >= 0 && js->slots != NULL)
    {
        key->text_slot = js->slots[field].text;
        key->json_slot = js->slots[field].json;
    }
}

/* ---- keys that are met --------------------------------------------------------- */

/* Does a field begin with the name and _? */
static bool
leads_on(const Json *js, const char *name, size_t n)
{
    for (size_t i = 0; i < js->fields.n; i++)
        if (strncmp(js->fields.names[i], name, n) == 0 && js->fields.names[i][n] == '_')
            return true;
    return false;
}

JsKey *
js_keys_find(Json *js, JsLevel *level, const char *text, size_t n, bool *failed)
{
    JsKey *key = level_find(level, text, n);
    size_t prefix;
    bool inside;
    int field;
    char *name;

    if (key != NULL)
        return key;
    if (level->prefix == NULL)
        return level->count < UNUSED_MAX && n <= UNUSED_BYTES ? level_add(js, level, text, n) : NULL;
    prefix = strlen(level->prefix);
    name = malloc(prefix + n + 2);
    *failed = name == NULL;
    if (*failed)
        return NULL;
    memcpy(name, level->prefix, prefix);
    memcpy(name + prefix, text, n);
    name[prefix + n] = '\0';
    /* no name has a zero byte in it */
    field = memchr(text, '\0', n) == NULL ? js_names_find(&js->fields, name, prefix + n) : -1;
    inside = level->depth < js->options->flatten && strlen(name) == prefix + n && (js->discover || leads_on(js, name, prefix + n));
    if (field >= 0 || inside || (js->discover ? level->count < JS_MAX_FIELDS : level->count < UNUSED_MAX && n <= UNUSED_BYTES))
    {
        key = level_add(js, level, text, n);
        *failed = key == NULL;
        if (key != NULL)
            key_is_field(js, key, field);
    }
    if (key != NULL && inside)
    {
        strcpy(name + prefix + n, "_");
        key->level = make_level(js, name, level->depth + 1);
        *failed = key->level == NULL;
    }
    free(name);
    return *failed ? NULL : key;
}

void
js_keys_again(Json *js, const JsKey *key)
{
    uint32_t i;

    if (key->text_slot >= 0)
        js->cells[(size_t) key->text_slot * js->segment + js->place] = (Cell) {NULL, 0};
    if (key->json_slot >= 0)
        js->cells[(size_t) key->json_slot * js->segment + js->place] = (Cell) {NULL, 0};
    if (key->level == NULL)
        return;
    for (i = 0; i < key->level->size; i++)
        for (const JsKey *inner = key->level->table[i]; inner != NULL; inner = inner->chain)
            js_keys_again(js, inner);
    for (i = 0; i < key->level->nelements; i++)
        if (key->level->elements[i] != NULL)
            js_keys_again(js, key->level->elements[i]);
}

/* ---- fields that have paths ------------------------------------------------------ */

/* The key of an element of an array; NULL: no memory. */
static JsKey *
find_element(Json *js, JsLevel *level, uint32_t index)
{
    if (index >= level->nelements)
    {
        JsKey **grown = realloc(level->elements, (index + 1) * sizeof(*grown));

        if (grown == NULL)
            return NULL;
        memset(grown + level->nelements, 0, (index + 1 - level->nelements) * sizeof(*grown));
        level->elements = grown;
        level->nelements = index + 1;
    }
    if (level->elements[index] == NULL)
        level->elements[index] = make_key(js, "", 0);
    return level->elements[index];
}

static JsKey *
follow_path(Json *js, const JsonPath *path)
{
    JsKey *key = js->root;

    for (uint32_t i = 0; key != NULL && i < path->nsteps; i++)
    {
        const JsonStep *step = &path->steps[i];
        JsLevel *level = key->level != NULL ? key->level : (key->level = make_level(js, NULL, 0));

        if (level == NULL)
            return NULL;
        if (step->kind == JSON_STEP_INDEX)
            key = find_element(js, level, step->index);
        else if ((key = level_find(level, step->key, step->n)) == NULL)
            key = level_add(js, level, step->key, step->n);
    }
    return key;
}

bool
js_keys_begin(Json *js, bool discover, Status *st)
{
    const JsOptions *o = js->options;
    bool fine;

    js_keys_free(js);
    js->discover = discover;
    js->root = make_key(js, "", 0);
    fine = js->root != NULL;
    if (fine && o->paths == NULL)
        fine = (js->root->level = make_level(js, "", 0)) != NULL;
    for (size_t i = 0; fine && i < o->ncolumns; i++)
    {
        JsKey *key = follow_path(js, &o->paths[i]);

        fine = key != NULL;
        if (!fine)
            break;
        js->same[i] = key->field < 0 ? (int) i : key->field;
        if (key->field < 0)
            key_is_field(js, key, (int) i);
    }
    return fine || status_out_of_memory(st, sizeof(JsKey));
}
