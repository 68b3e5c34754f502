/*
 * infer.h: which type a column of texts has.
 *
 * A Guess is fed a column's values one by one and then says which field type
 * holds all of them.  It promises that each value it has seen loads into that
 * field, so it is careful: what is ambiguous is text.  The choices, in order:
 *
 *   no values                          text
 *   8-4-4-4-12 hex digits              uuid
 *   true, false, yes, no, 0, 1         boolean; with digits alone only if both occur,
 *                                      else integer (a column of ones says nothing)
 *   digits, perhaps with a minus       integer, or bigint, or numeric, by value
 *   leading zeros or a plus sign       text: codes and telephone numbers lose by conversion
 *   decimals                           numeric; scale the largest seen, at least 2,
 *                                      precision with room for four more whole digits;
 *                                      with exponents: numeric without bounds
 *   YYYY-MM-DD, real days only         date
 *   the same with a time or zone       timestamptz; dates in between are fine
 *   as dateFormat, timestampFormat     date, timestamptz, if writing the value by the format gives
 *                                      the same text again; ISO spellings are then text
 *   JSON objects and arrays            json
 *   the same finer than microseconds, or with a key twice: text, and a notice
 *   null-like words (N/A, null, -)     text, and a notice which nullStrings would help
 *   numbers with a decimal comma       text, and a notice which decimalSeparator would help
 *   up to 255 characters               varchar, twice the longest, of 16, 32, 64, 128 or 255
 *   else                               text
 */
#ifndef KAIREON_INFER_H
#define KAIREON_INFER_H

#include "postgres.h"

/* How numbers and times are written; from a source's options. */
typedef struct GuessRules
{
    char decimal;            /* '.' by default */
    char thousands;          /* 0: none */
    char *date_format;       /* dateFormat, or NULL: ISO dates */
    char *time_format;       /* timestampFormat, or NULL */
} GuessRules;

typedef struct Guess
{
    const GuessRules *rules;
    MemoryContext context;   /* of what is kept of values */
    int64 values;            /* that are not null */
    bool uuid, boolean, integer, number, date, time, json; /* all values so far could be */
    bool zero, one, word;    /* seen among booleans */
    bool clock;              /* a time of day was seen */
    bool finer;              /* one of them is finer than a microsecond */
    bool repeats;            /* a JSON object has a key twice, of which one would be lost */
    bool own_date, own_time; /* all values could be written as date_format, time_format say */
    bool exponent, comma;    /* seen among numbers; comma: with the separators changed */
    bool foreign_number;     /* all could be numbers with a decimal comma */
    int whole, scale;        /* most digits before and after the point */
    bool beyond_int4, beyond_int8;
    int characters;          /* of the longest value */
    int64 null_like;         /* values that look like a null */
    char *null_word;         /* the first of them */
} Guess;

typedef struct GuessType
{
    const char *name;        /* a field type */
    int length, precision, scale; /* 0, 0, 0: none; scale counts only with precision */
} GuessType;

/* What the guess keeps of values lives in the current context; it is of bounded size. */
extern void guess_begin(Guess *guess, const GuessRules *rules);

/* Takes one value that is not null, in the server's encoding.  Leaves garbage in the current context. */
extern void guess_add(Guess *guess, const char *value);

/* The type of all values so far; as if the null-like ones were null when `without_nulls`. */
extern GuessType guess_type(const Guess *guess, bool without_nulls);

#endif
