/*
 * read.h: reading a source row by row in the calling session.
 *
 * A ReadSource is a connector and what is read of it, looked up and checked
 * with the calling role's rights.  A Reading is one pass over its rows: it owns
 * a reader process through its memory context, holds one batch at a time, and
 * ends the process when it is closed or its context goes.
 *
 * Used by the custom scan behind kaireon.read (scan.h), by previews and by
 * type inference.  What a row is used for is theirs.
 */
#ifndef KAIREON_READ_H
#define KAIREON_READ_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "pg/catalog.h"
#include "pg/cells.h"
#include "pg/fetch.h"
#include "pg/graph.h"
#include "pg/link.h"

/* What a bad cell or row does; option "onError". */
typedef enum ReadOnError { READ_FAIL, READ_NULL, READ_SKIP } ReadOnError;

typedef struct ReadSource
{
    char *name;              /* of the connector */
    pg_uuid_t connector_id;
    ConnectorSpec connector;
    GraphNode node;          /* a source node: resource and options */
    ReadOnError on_error;
} ReadSource;

typedef struct Reading
{
    MemoryContext context;   /* everything below, and the reader process */
    ReadSource *source;
    ProgramSource asked;     /* the columns */
    Link *link;              /* NULL once the source has ended */
    bool shared;             /* it is the caller's, and stays open */
    Cells *cells;
    MemoryContext split_context;
    FetchObject *split;      /* the file that is being read */
    bool *present;
    bool loaded;             /* cells hold a batch */
    int row;                 /* the row reading_next found, in cells */
    int next;
    int *settled;            /* by row of the batch: cells made null, or -1 for a row that is left out; NULL: none of these */
    WireReject reject;       /* the next row of the batch that is no row */
    bool have_reject;
    uint32 rejects_left;
    int64 rows;              /* rows given */
    int64 left_out;          /* rows left out */
    int64 nulled;            /* cells made null */
    int64 bytes;             /* read of the source, as stored, with the current batch */
    int64 bytes_before;      /* of files that are done */
    int64 reader_kb;         /* see reading_peak */
    char *first_problem;     /* what the first row left out or cell made null was about */
} Reading;

/*
 * Looks a connector up by name and checks that the current user may use it.
 * Raises 42704 for a name that is not there, 42501 without the right, 22004
 * for NULL.  Result in the current context; credentials are not part of it.
 */
extern ReadSource *read_connector(const char *name);

/* Raises 0A000 unless connectors of the source's type can be read. */
extern void read_require_ready(const ReadSource *source);

/* As read_connector, requires a type that can be read, checks the options (NULL: none) and adds the resource (NULL: the base). */
extern ReadSource *read_source(const char *connector, const char *resource, Jsonb *options);

/* Adds resource and options to a source: raises 22023 for what is wrong with them. */
extern void read_set_options(ReadSource *source, const char *resource, Jsonb *options);

/*
 * Starts a reader and asks for the rows; columns' names, types and typmods are
 * the caller's (pattern and required are set here) and must live as long.
 * row_limit 0: as the options say.  Lives in the current context.
 */
extern Reading *reading_open(ReadSource *source, SourceColumn *columns, int ncolumns, int64 row_limit);

/*
 * The same of one file of the source (FetchObject), through a reader that is the
 * caller's.  Read to its end it leaves the reader ready for the next request;
 * whatever else ends it, an error of the source too, leaves it in the middle of
 * an answer.
 */
extern Reading *reading_open_file(Link *link, ReadSource *source, FetchObject *file, SourceColumn *columns, int ncolumns, int64 row_limit);

/*
 * Finds the next row: its Datums are cells->values[row * ncolumns], valid until
 * the next call.  False at the end.  Waits for the reader, noticing cancels.
 */
extern bool reading_next(Reading *reading);

/* Ends the reader and says, in a NOTICE, what was left out; the counters stay.  May be called twice. */
extern void reading_close(Reading *reading);

/* The most memory the reader had at once, in kB; 0 when the kernel does not say. */
extern int64 reading_peak(const Reading *reading);

#endif
