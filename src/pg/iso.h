/*
 * iso.h: dates and times as ISO 8601 writes them.
 *
 * Conditions compare texts with dates and times.  What PostgreSQL takes for one
 * besides ("now", "tomorrow", "02/01/2024") is none there: a cell must not mean
 * another day with every run.
 *
 *   kaireon.iso_time(value text) returns timestamptz
 *       The moment that such a text stands for, a date for its first; UTC where
 *       it has no zone.  Raises 22007 for any other text.  IMMUTABLE, PARALLEL
 *       SAFE, null for null; only the compiler calls it.
 */
#ifndef KAIREON_ISO_H
#define KAIREON_ISO_H

#include "postgres.h"
#include "fmgr.h"

/*
 * What the text is: a date (DATEOID), with a time (TIMESTAMPOID), with a zone
 * too (TIMESTAMPTZOID); else InvalidOid.  "2024-01-31", "2024-01-31 10:30",
 * "2024-01-31T10:30:00.5+02:00", "...Z"; spaces around it do not count.
 */
extern Oid iso_type(const char *text);

extern PGDLLEXPORT Datum kaireon_iso_time(PG_FUNCTION_ARGS);

#endif
