/*
 * file_pattern.h: which files a source reads: its resource, and the pattern beside it.
 *
 * With a "pattern" the resource is the folder that the pattern is about.  A
 * glob and a dateGlob become a resource of the reader's.  A regex is matched
 * here, over what the reader lists: PostgreSQL's expressions can be interrupted
 * however long they take, and mean the same as everywhere else in a pipeline.
 */
#ifndef KAIREON_FILE_PATTERN_H
#define KAIREON_FILE_PATTERN_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "pg/json.h"

/* Complains of what is wrong with the pattern of a source's config, which has only keys that are right in themselves. */
extern void file_pattern_check(JsonbContainer *config, JsonComplain complain, void *arg);

/* Has it a pattern with dates? */
extern bool file_pattern_has_dates(JsonbContainer *config);

/* What the reader is asked to list, dates as of that time; "" is the connector's base. */
extern char *file_pattern_resource(JsonbContainer *config, TimestampTz at);

/* Is it no mistake when the folder that this resource names is not there, because its name has a date? */
extern bool file_pattern_may_miss(JsonbContainer *config);

/* Of a listing (FetchObject *), what the pattern wants.  In a transaction.  Raises KA009 when a regex takes too long. */
extern List *file_pattern_select(JsonbContainer *config, List *listed);

/* For people; "" where nothing is said.  `at` NULL: with dates as they are written. */
extern char *file_pattern_shown(JsonbContainer *config, const TimestampTz *at);

#endif
