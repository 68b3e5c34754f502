/*
 * json.h: JSON (RFC 8259) and JSON Lines, with the options of the request.
 *
 * json_options.c reads the options, wire/json_path.c the paths in them,
 * json_token.h has strings, numbers and white space, json_skip.c values that
 * nobody asked for and the ends of broken ones, json_keys.c knows which key of
 * an object is which field, json_row.c makes cells of a row, json_walk.c finds
 * the rows in the window over the input, json_error.c says where and what is
 * wrong, json.c feeds the batch builder.
 *
 * Rules:
 *   - JSON Lines: a value a line; empty lines are passed over, a line that is
 *     no value is a reject (22P04).  JSON: the elements of an array, or one
 *     object; recordPath says which value of the document.  Where the path ends
 *     in an array its elements are the rows, with or without [*]
 *   - a row is an object, unless "columns" gives paths; else it is a reject
 *   - of a key that comes twice in an object the last one counts
 *   - null is null, and so is a key that a row lacks.  Numbers and booleans are
 *     the bytes they are written with, strings what they say; arrays and objects
 *     are their JSON text as it stands in the source.  For json columns strings
 *     are JSON text, too
 *   - \u0000 and half a surrogate pair (22P05) and bytes that are not UTF-8 (22021)
 *     make a bad cell of the field they are in
 *   - in an array a broken element is a reject when its brackets and quotes still
 *     show where it ends; else it ends the file with an error
 *   - nesting deeper than JS_MAX_DEPTH is an error of the row
 *   - a byte order mark is passed over
 *   - fields are the keys of the first rows (JS_SAMPLE_ROWS, in JS_SAMPLE bytes)
 *     in the order in which they come; others are read where they are asked for
 */
#ifndef KAIREON_JSON_H
#define KAIREON_JSON_H

#include <jansson.h>

#include "core/buf.h"
#include "core/byte_source.h"
#include "format/batch_builder.h"
#include "format/format.h"
#include "format/json_token.h"
#include "wire/json_path.h"

#define JS_CHUNK (256U << 10)
#define JS_SAMPLE (256U << 10)
#define JS_SAMPLE_ROWS 1000
#define JS_SAMPLE_MOST (4U << 20)   /* when not even one row is in JS_SAMPLE */
#define JS_MAX_FIELDS JSON_PATH_ELEMENTS
#define JS_MAX_DEPTH 1000
#define JS_MAX_STEPS JSON_PATH_STEPS    /* of a path, and levels of flatten */
#define JS_SEGMENT 256      /* rows that are cut and converted together, at most */

/* ---- options (json_options.c) ------------------------------------------- */

typedef struct JsOptions
{
    bool lines;         /* JSON Lines */
    JsonPath record;      /* recordPath */
    const char *record_text;    /* as given; "$" */
    uint32_t flatten;
    JsonPath *paths;      /* of `columns`; NULL: the fields are the rows' keys */
    const char **columns;       /* their names; borrowed */
    size_t ncolumns;
    const char **nulls; /* nullStrings */
    size_t nnulls;
    uint32_t max_field, max_row;    /* bytes */
    bool portable;      /* tests choose; else false: the fastest that this machine has */
} JsOptions;

/* As Format.options_parse and options_free. */
bool json_format_options_parse(const json_t *json, void **options, Status *st);
bool jsonl_format_options_parse(const json_t *json, void **options, Status *st);
void json_format_options_free(void *options);

/* ---- values nobody asked for (json_skip.c) ------------------------------ */

/* A value being passed over; a new one is all zeros.  Can go on where the window ended. */
typedef struct JsSkip
{
    uint64_t objects[(JS_MAX_DEPTH + 63) / 64]; /* bit i: what is open at depth i is an object */
    uint32_t depth;
    uint32_t outer;     /* levels around it, which count */
    uint8_t state;
} JsSkip;

/* Passes over the rest of the value at text->p.  MORE: text->p is where to go on. */
JsResult js_skip(JsText *text, JsSkip *skip);

/* Makes js_skip pass over the key at text->p, which is its quote, and its value. */
void js_skip_member(JsText *text, JsSkip *skip);

/* Where a broken value ends: by its brackets and quotes alone. */
typedef struct JsExtent
{
    uint64_t objects[(JS_MAX_DEPTH + 63) / 64];
    uint32_t depth;
    bool string, escape;
} JsExtent;

/*
 * Goes on to the byte that ends the value (a comma or closing bracket that is
 * not its own); MORE as js_skip.  BAD: brackets do not match, so that there is no telling.
 */
JsResult js_extent(JsText *text, JsExtent *extent);

/* ---- keys (json_keys.c) -------------------------------------------------- */

typedef struct JsLevel JsLevel;

typedef struct JsKey
{
    uint64_t word[2], mask[2];  /* the key and its closing quote, to be compared at once */
    const char *text;           /* key and closing quote */
    uint32_t n;                 /* of the key */
    bool plain;                 /* written in JSON as it is */
    int field;                  /* its number; -1: none */
    int text_slot, json_slot;   /* where its cells go; -1: nowhere */
    uint64_t seen;              /* the row it was in last */
    struct JsKey *next;         /* the key that came behind it last */
    struct JsKey *chain;        /* of its hash */
    struct JsKey *made;         /* all keys, to be freed */
    JsLevel *level;             /* of what is in it; NULL: that is not looked at */
} JsKey;

/* What is known of the keys of one object. */
struct JsLevel
{
    JsKey *first;               /* the one that came first last */
    JsKey **table;              /* by hash */
    uint32_t size, count;
    char *prefix;               /* in front of its keys' names: "a_b_"; NULL: its fields have paths */
    uint32_t depth;             /* of flattening */
    JsKey **elements;           /* by index, when it may be an array: the last is the highest asked for */
    uint32_t nelements;
};

/* Names of fields to their numbers. */
typedef struct JsNames
{
    char **names;
    size_t n, size;
    uint32_t *table;            /* number + 1; 0: free */
    size_t table_size;
} JsNames;

/* The number of the field, -1: there is none. */
int js_names_find(const JsNames *names, const char *name, size_t n);
/* The number of a new field, in *number; fails with 53200. */
STATUS_CHECK bool js_names_add(JsNames *names, const char *name, size_t n, int *number, Status *st);
void js_names_free(JsNames *names);

typedef struct Json Json;

/* Makes the keys anew: for finding the fields out, or for reading those that have slots.  Fails with 53200. */
STATUS_CHECK bool js_keys_begin(Json *js, bool discover, Status *st);
void js_keys_free(Json *js);

/*
 * The key of a level that is written text[0..n) (unescaped); NULL: nobody wants
 * it.  Fails with 53200: *failed.
 */
JsKey *js_keys_find(Json *js, JsLevel *level, const char *text, size_t n, bool *failed);

/* Forgets the cells of a key's fields in the row, since the key came again. */
void js_keys_again(Json *js, const JsKey *key);

/* ---- rows (json_row.c) ---------------------------------------------------- */

/* Where a field's cells go. */
typedef struct JsSlots { int text, json; } JsSlots;

typedef struct JsRow { uint64_t line, offset; uint32_t start, end; } JsRow;

/* What is wrong with a row or with the document. */
typedef struct JsProblem
{
    const char *sqlstate;
    char message[700];
    uint64_t line, offset;      /* of the row */
    uint64_t bad_line, bad_offset;  /* of the fault, where the text is no JSON */
    uint32_t start, length;     /* raw bytes, in the window */
    bool cut;
} JsProblem;

typedef struct JsFrame { uint64_t index; bool array, record; } JsFrame;

typedef enum JsAt { JS_AT_VALUE, JS_AT_FIRST, JS_AT_NEXT, JS_AT_KEY, JS_AT_SKIP, JS_AT_END } JsAt;


/* Where in the document the next thing is. */
typedef struct JsWalk
{
    JsAt at;
    JsFrame frames[JS_MAX_STEPS + 1];
    uint32_t depth;
    JsSkip skip;
    bool reached;               /* recordPath led to something */
} JsWalk;

struct Json
{
    const JsOptions *options;
    ByteSource source;
    Buf window;
    JsText text;                /* over the window */
    uint64_t base;              /* offset in the object of the window's first byte */
    bool eof;
    uint64_t line;              /* of text.p's byte at `counted` */
    uint64_t line_start;        /* offset of that line's first byte */
    uint64_t counted;           /* offset up to which line ends were counted */
    JsWalk walk;
    bool discarding;            /* a row that is too long: its rest is passed over */
    JsExtent extent;
    bool single;                /* the window is one row that was read before */

    JsNames fields;
    size_t nsampled;            /* fields that the sample has */
    uint64_t sampled, bad_sampled;  /* its rows */
    int *same;                  /* of `columns`: the first field of the same path */
    JsSlots *slots;             /* by field */
    uint32_t nslots;
    Cell *cells;                /* by slot, `segment` each */
    uint32_t segment;
    Cell *pseudo;               /* `segment` */
    JsRow *rows;                /* `segment` */

    JsKey *root;                /* the row itself */
    JsKey *made;
    JsLevel **levels;           /* all of them */
    size_t nlevels;
    bool discover;
    uint64_t row;               /* number of the row in hand */
    uint32_t place;             /* of its cells in the slots */
    Buf scratch;                /* unescaped text; does not move while a segment is cut */
    Buf key;                    /* an unescaped key, or a name */
    bool bad_text;              /* something in scratch is no text */
    bool too_long;              /* a field of the row in hand is */
    bool failed;                /* no memory */
    JsProblem problem;
};

/*
 * Reads the row at text.p: its cells go to place `at` of each slot.  FINE:
 * text.p is behind it.  BAD: text.problem and text.bad; MORE: nothing happened
 * that counts.  failed is set when there was no memory.
 */
JsResult js_row(Json *js, uint32_t at);

/* ---- the window (json_walk.c) --------------------------------------------- */

typedef enum JsFound { JS_ROW_FINE, JS_ROW_REJECT, JS_ROW_MORE, JS_ROW_END, JS_ROW_BROKEN } JsFound;

/* Forgets what lies before text.p. */
void js_forget(Json *js);

/* Reads more behind the window, and forgets what lies before text.p; with `keep` for a sample, not.  Fails as the source does. */
STATUS_CHECK bool js_fill(Json *js, bool keep, Status *st);

/*
 * The next row, cut into cells of place `at`; *row says where it is.  REJECT,
 * BROKEN (nothing can follow): js->problem.
 */
JsFound js_next_row(Json *js, uint32_t at, JsRow *row);

/* Counts lines up to a window position; the line it is on. */
uint64_t js_count_lines(Json *js, const uint8_t *to);

/* ---- errors (json_error.c) ------------------------------------------------- */

/* js->problem: bad JSON at text.bad of the row or document that begins at `start`. */
void js_bad(Json *js, const uint8_t *start, bool row);

/* js->problem: something else is wrong with the row that begins there, of n bytes. */
void js_problem(Json *js, const char *sqlstate, const uint8_t *start, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
