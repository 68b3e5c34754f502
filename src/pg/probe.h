/*
 * probe.h: looking at a source: what it has, whether it can be reached.
 *
 * The functions list_objects, test_connector, describe and preview are in
 * probe.c; what infer_fields shares with them is here.
 */
#ifndef KAIREON_PROBE_H
#define KAIREON_PROBE_H

#include "postgres.h"
#include "fmgr.h"

#include "pg/read.h"

/* What a source's first file looks like; path is NULL when there is no file. */
typedef struct ProbeDescription
{
    char *path;
    Jsonb *dialect;          /* how it is read, as the reader says; NULL without a file */
    List *fields;            /* of char *, in the file's order */
} ProbeDescription;

/* Asks a reader, which has ended when this returns.  Result in the current context; raises the reader's errors. */
extern ProbeDescription probe_describe(ReadSource *source);

/*
 * A source from the usual first arguments of a function that is not strict:
 * connector, resource, options.  `on_error` is for options that do not say.
 */
extern ReadSource *probe_arguments(FunctionCallInfo fcinfo, ReadOnError on_error);

/*
 * A count from argument n, called `name` in the errors: 22023 for null and what is below 1.
 */
extern int64 probe_count(FunctionCallInfo fcinfo, int n, const char *name);

/* The fields that can be asked for: those that have a name of their own; a NOTICE for each name that is left out. */
extern List *probe_readable(List *fields);

/* Says, in a NOTICE each, which rows of the file's beginning have too few or too many fields, and which options help. */
extern void probe_advise(const ProbeDescription *description);

/* Opens a reading of all fields as text; the columns live in the current context. */
extern Reading *probe_open(ReadSource *source, List *fields, int64 row_limit);

/* The columns alone: of text, under the names of the fields. */
extern SourceColumn *probe_columns(List *fields);

/* The current row of a reading of texts becomes an object of what is being built in *state; as pushJsonbValue. */
extern JsonbValue *probe_push_row(JsonbParseState **state, const Reading *reading);

#endif
