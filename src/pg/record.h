/*
 * record.h: a source's record, as it is kept of a row that could not be loaded.
 *
 * The reader sends records as they were read, in bytes that nobody has
 * checked; here they become jsonb: an object of the fields, each a text, null,
 * or {"hex": digits} where its bytes are no text of the database.
 */
#ifndef KAIREON_RECORD_H
#define KAIREON_RECORD_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef enum RecordKind
{
    RECORD_NONE,             /* nobody keeps records */
    RECORD_FIELDS,           /* wire.h: the fields one after another */
    RECORD_RAW,              /* the bytes of one that could not be cut into fields */
    RECORD_CUT,              /* the first of such bytes: the reader gave up */
    RECORD_ROW               /* JSON: a row that is no single row of a source any more */
} RecordKind;

typedef struct RowRecord
{
    RecordKind kind;
    const char *data;
    size_t length;
} RowRecord;

/* The names in a split's "fields" (char *); raises KA002 when that is no list of texts. */
extern List *record_names(const char *fields);

/* A record of kind RECORD_FIELDS; raises KA002 unless it has exactly these fields. */
extern Jsonb *record_object(const RowRecord *record, List *names);

/* Is the record of a split with these "fields" one JSON text? */
extern bool record_is_whole(const char *fields);

/* Such a record as jsonb; NULL when jsonb can't hold it (half a surrogate pair, bytes that are no text...). */
extern Jsonb *record_whole(const RowRecord *record);

/*
 * Bytes as jsonb: a string to look at, and *exact is NULL when it has all there
 * is to know, else the bytes (bytea).
 */
extern Jsonb *record_string(const RowRecord *record, bytea **exact);

/* The first `most` of so many bytes as text of the database; those that are none as \xNN. */
extern char *record_shown(const char *bytes, size_t length, size_t most);

#endif
