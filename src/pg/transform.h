/*
 * transform.h: the SQL functions behind map_values and split nodes, and behind
 * casts of what a source spells its own way.
 *
 *   kaireon.map_value(value text, mappings jsonb)
 *   kaireon.map_value(value text, mappings jsonb, fallback text)
 *       What the object `mappings` has under the key `value`: a string without
 *       its quotes, any other scalar as its text, JSON null as null.  Else the
 *       fallback; without that argument the value as it is.
 *   kaireon.split_field(value text, separator text, part int, parts int)
 *       Part `part` (from 1) of `parts` that the separator makes of the value;
 *       the last one is all that is left, separators included.  Null when the
 *       value has fewer parts.
 *   kaireon.plain_number(value text, decimal text, thousands text)
 *       A number that is written with these separators as the server writes
 *       it (spelling.h); raises 22P02 where they are in the wrong places.
 *
 * All are IMMUTABLE and PARALLEL SAFE, null for a null value, and give a new
 * text in the current memory context.  Only the compiler calls them, so the
 * other arguments are what it has checked; still, a wrong one is an error.
 */
#ifndef KAIREON_TRANSFORM_H
#define KAIREON_TRANSFORM_H

#include "postgres.h"
#include "fmgr.h"

extern PGDLLEXPORT Datum kaireon_map_value(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_split_field(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum kaireon_plain_number(PG_FUNCTION_ARGS);

#endif
