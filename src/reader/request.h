/*
 * request.h: a parsed and checked request; its JSON is described in wire.h.
 *
 * Everything that can be wrong with a request without looking at the source
 * is found here; the session works with checked values only.
 */
#ifndef KAIREON_REQUEST_H
#define KAIREON_REQUEST_H

#include <jansson.h>

#include "format/batch_builder.h"
#include "format/decompress.h"
#include "format/encoding.h"
#include "format/format.h"
#include "reader/driver.h"

/* One entry of "files". */
typedef struct RequestFile
{
    DriverEntry entry;
    bool known;     /* all of it was given, not only the path */
    DriverEntry at; /* of a read: where it is now, and what it is there; path NULL: where and what it was */
    const char *to; /* of a move */
    uint64_t from;  /* of a read: where the first row that is wanted begins, at the earliest */
} RequestFile;

/* What the request's "format" means to a format. */
typedef struct RequestFormat
{
    void *options;
    char *wrong;    /* the options are none of this format's: why, and what would be right; NULL: they are */
    char *hint;
} RequestFormat;

typedef struct Request
{
    json_t *root;           /* owns every string below */
    bool list;              /* operation "list" */
    bool describe;          /* operation "describe" */
    bool move;              /* operation "move" */
    bool call;              /* operation "call" */
    bool check;             /* operation "check" */
    bool look;              /* operation "look" */
    DriverCall called;      /* of it */
    bool replay;            /* operation "replay"; none of them: "read" */
    const json_t *replayed; /* array: the records of a replay */
    const Driver *driver;   /* NULL: of a replay */
    DriverConfig config;
    const char **roots, **forbidden, **egress;  /* the arrays of `config` */
    char *own_root;         /* debug mode: the root that was not given */
    const char *resource;   /* NULL: none given */
    bool missing_ok;        /* a resource that does not exist has no objects; of a move: a file may have gone, and targets are the files' alone */
    RequestFile *files;     /* NULL: what `resource` lists */
    size_t nfiles;
    const Format *format;   /* NULL: each file's name, or what is in it, decides */
    RequestFormat formats[FORMAT_COUNT];    /* as format_list has them */
    Compression compression;
    DecompressLimits limits;
    Encoding encoding;
    ColumnSpec *columns;
    uint32_t ncolumns;
    bool records;           /* each row comes with its record, in a replay with the record's id */
    bool all_columns;       /* debug mode and describe: no columns given, take the source's */
    uint32_t batch_rows;
    size_t batch_bytes;
    uint64_t row_limit;     /* 0: none */
    uint64_t memory_limit;  /* bytes */
    uint32_t credit;
} Request;

/* True when the first bytes of the object of this path are needed to know its format. */
bool request_wants_head(const Request *request, const char *path);

/*
 * The format of an object of this path and its options; `found` is what its
 * bytes look like (NULL: not known), which counts when the name says nothing.
 * Fails with 22023 when the request's options are not of this format.
 */
STATUS_CHECK bool request_format(const Request *request, const char *path, const Format *found,
                                 const Format **format, const void **options, Status *st);

/*
 * From here on memory of parsed JSON is overwritten when it is freed: requests
 * hold credentials.  Once, at the program's start.
 */
void request_wipe_memory(void);

/* Frees the credentials, which only a driver's open() needs. */
void request_forget_auth(const Request *request);

/*
 * Parses `length` bytes of JSON.  `debug`: a person wrote it; "roots" may be
 * absent (the base path, else the working directory) and so may "columns".
 * Fails with 22023 or 53200, and then leaves nothing to free.
 */
STATUS_CHECK bool request_parse(Request *request, const char *text, size_t length, bool debug, Status *st);
void request_free(Request *request);

#endif
