/*
 * fetch.h: what a pipeline asks its reader for.
 *
 * Turns a source node, its columns and perhaps a list of files into requests on
 * a link.  Used by runs and by previews.
 */
#ifndef KAIREON_FETCH_H
#define KAIREON_FETCH_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "pg/catalog.h"
#include "pg/compile.h"
#include "pg/graph.h"
#include "pg/link.h"

/* One object of a listing; the same struct describes a split that is or was read. */
/* In place of a time that is not known; people see null. */
#define FETCH_NO_TIME DT_NOBEGIN

typedef struct FetchObject
{
    char *path;
    char *place;             /* only of a split: the path for people, with the member of an archive that is being read */
    int64 base;              /* only of a split: bytes of content before it, in members read before */
    int64 size;
    TimestampTz modified;    /* FETCH_NO_TIME: nobody says */
    char *etag;
    char *head_hash;         /* only of a split */
    char *dialect;           /* only of a split: JSON */
    int64 rows;              /* only of a split: read so far */
    struct FetchObject *at;  /* where it is now, and what it is there; NULL: where and what it was when it was listed */
    struct FileClaim *claim; /* of a run that has claimed it, see run_staging.c; else NULL */
    int64 from;              /* rows that begin before this byte are not asked for; counted over all members */
    char *fields;            /* only of a split whose rows come with their records: JSON, as in wire.h */
    const GraphNode *source; /* the node that reads it, and its place in the run's reading from 0; set by the reader of splits */
    int number;
} FetchObject;

extern bool fetch_is_incremental(const GraphNode *source);
extern bool fetch_skips_failing(const GraphNode *source); /* a file that fails is left out */
extern int64 fetch_row_limit(const GraphNode *source); /* the source node's; 0: none */

/*
 * Lists the source's objects (FetchObject *), in the order its "ordering" says;
 * dates of a pattern are as of `at`.  `may_miss`: it is no mistake when the
 * resource does not exist, whatever the node says.  What file_pattern_select would leave out
 * is among them: it needs a transaction, this does not.
 */
extern List *fetch_list(Link *link, const ConnectorSpec *connector, const GraphNode *source, TimestampTz at, bool may_miss);

/* Puts objects, which are by path, in the order that the source's "ordering" says. */
extern void fetch_order(List *objects, const GraphNode *source);

/* The objects right in a folder, by path; none where there is no such folder. */
extern List *fetch_list_folder(Link *link, const ConnectorSpec *connector, const char *folder);

/* In a statement: the same as of now, without that. */
extern List *fetch_list_now(Link *link, const ConnectorSpec *connector, const GraphNode *source);

/* Of a source without a pattern; a resource that does not exist has none. */
extern List *fetch_find(Link *link, const ConnectorSpec *connector, const GraphNode *source);

/* How much is read, beside what the source node says; 0: no further limit.  With their records? */
typedef struct FetchLimits { int64 rows; int64 batch_rows; bool records; } FetchLimits;

/* Asks for the rows of these files (FetchObject *), in this order. */
extern void fetch_read(Link *link, const ConnectorSpec *connector, const ProgramSource *source, List *files, const FetchLimits *limits);

/* Asks for rows of records that were read before, a JSON array as wire.h has it. */
extern void fetch_replay(Link *link, const ProgramSource *source, const char *records, int64 batch_rows);

/* A time as requests have it. */
extern int64 fetch_reader_time(TimestampTz time);

/* A SPLIT message as an object; *present gets one flag a column. */
extern FetchObject *fetch_split(const LinkMessage *message, int ncolumns, bool *present);

/* Has a file, as it was listed or read, moved to the path `to`; where it is then: see Driver.move. */
extern char *fetch_move(Link *link, const ConnectorSpec *connector, const FetchObject *file, const char *to);

/* The same of many files (FetchObject *) and paths (char *); for one that has gone, or has become another, the answer has NULL.  No path is any other file's. */
extern List *fetch_move_all(Link *link, const ConnectorSpec *connector, List *files, List *to);

/* What a server answered to a call: the status of HTTP, how many seconds it asks to be left alone for (0: it does not say), and what it says of an error. */
typedef struct FetchAnswer { int status; int wait; char *said; } FetchAnswer;

/* Sends a call to a path below the connector's base, once: see Driver.call.  Raises an error when there is no answer. */
extern void fetch_call(Link *link, const ConnectorSpec *connector, const char *path, const char *call, FetchAnswer *answer);

/* What stands at the connector's base (FetchObject *), folders with a slash at their end: see Driver.look. */
extern List *fetch_look(Link *link, const ConnectorSpec *connector);

/* Raises an error when the connector's config and credentials, as far as these are given, can't be right.  Connects to nothing. */
extern void fetch_check(Link *link, const ConnectorSpec *connector);

/*
 * What an object of the source looks like (its dialect has "fields"), or the
 * source's first where it is NULL; NULL when there is none.
 */
extern FetchObject *fetch_describe(Link *link, const ConnectorSpec *connector, const GraphNode *source, const FetchObject *object);

#endif
