/*
 * driver.h: what a connector type's driver offers the reader.
 *
 * A driver lists objects and reads them as stored, in order.  It knows
 * nothing of formats, batches or the socket.  Its folder is connectors/<type>;
 * its one const Driver stands in the table of drivers.c.
 *
 * One session belongs to one request; its objects are closed before it.
 */
#ifndef KAIREON_DRIVER_H
#define KAIREON_DRIVER_H

#include <jansson.h>

#include "core/byte_source.h"
#include "wire/wire.h"

#define DRIVER_LOOK_MAX 1000

/* One object of a listing; strings are the caller's to copy. */
typedef struct DriverEntry
{
    const char *path;   /* relative to the connector's base */
    uint64_t size;      /* bytes */
    int64_t mtime;      /* microseconds since 1970-01-01 UTC; WIRE_NO_TIME: it is not known */
    const char *etag;   /* "" where there is none */
} DriverEntry;

/* What the request says to a driver; borrowed. */
typedef struct DriverConfig
{
    const json_t *config;       /* object, may be NULL */
    const char *auth_method;    /* "none" when it was not given */
    const json_t *auth;         /* object, may be NULL; only while open() runs */
    const char *const *roots;   /* local files: directories that may be read */
    size_t nroots;
    const char *const *forbidden;
    size_t nforbidden;
    bool moves;                 /* objects will be moved: the roots are those in which they may be */
    bool claims;                /* and each to a name that nothing else has: what is there is the object, moved before */
    bool checks;                /* nothing but what is said is looked at: open() connects to nothing, and does without credentials that it is not told */
    bool calls;                 /* something will be called, once: whoever asks tries again by himself */
    const char *const *egress;  /* rules of net/egress.h: where connections may go beside public addresses */
    size_t negress;
    const json_t *ambient;      /* object: what the machine's environment says of its own credentials; NULL: they may not be used */
} DriverConfig;

/* What opening an object found; strings live as long as the object. */
typedef struct DriverInfo
{
    uint64_t size;
    int64_t mtime;
    const char *etag;
    char head_hash[65]; /* sha256 of the first 64 kB as stored, lower-case hex */
} DriverInfo;

/* What is sent to a server; borrowed. */
typedef struct DriverCall
{
    const char *path;       /* below the connector's base; "": the base */
    const char *method;
    const json_t *headers;  /* object of strings, may be NULL */
    const char *body;       /* without zero bytes */
} DriverCall;

typedef struct DriverAnswer
{
    unsigned status;        /* of HTTP */
    unsigned wait;          /* seconds that the server asks to be left alone for; 0: it does not say */
    char said[1300];        /* the beginning of what it says of an error, printable */
} DriverAnswer;

/* Receives listed objects in order; false stops the listing with its status. */
typedef bool (*DriverEmit)(void *context, const DriverEntry *entry, Status *st);

typedef struct Driver
{
    const char *type;

    /* Checks the configuration and connects.  On success *session is the caller's to close. */
    bool (*open)(const DriverConfig *config, void **session, Status *st);
    void (*close)(void *session);   /* NULL is allowed */

    /*
     * Lists what `resource` names: an object, a folder or a pattern, sorted by
     * path.  NULL or "" is the base.  A pattern that matches nothing lists
     * nothing; a plain name that does not exist is an error (58P01).
     */
    bool (*list)(void *session, const char *resource, DriverEmit emit, void *context, Status *st);

    /*
     * Tells what stands at the base itself: objects, and folders with a slash at the end of
     * their path; after a look at DRIVER_LOOK_MAX of them "/", for there may be more.  For a
     * person, in no order.  NULL: there is nothing before it is handed over.
     */
    bool (*look)(void *session, DriverEmit emit, void *context, Status *st);

    /*
     * Opens an object.  `listed`: the entry has its size, time and etag; else only
     * its path.  On success *object is the caller's to close.
     */
    bool (*object_open)(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st);

    /*
     * The object's bytes from its beginning, as ByteSource.read says.  An object that
     * changes while it is read is an error (58030).
     */
    bool (*object_read)(void *object, uint8_t *out, size_t size, size_t *got, Status *st);
    void (*object_close)(void *object); /* NULL is allowed */

    /*
     * This listed object will be opened after those that were told before; it may be
     * fetched already.  NULL: this type gains nothing by knowing.  What fails is told
     * when it is opened.
     */
    void (*object_expect)(void *session, const DriverEntry *entry);

    /*
     * Moves an object, which still must have the entry's size and time (55000),
     * to the path `to`, making folders.  Where there is something already, it
     * is to.1, to.2..., shortened where that is too long: nothing is overwritten.  *place, of `size` bytes, gets
     * the path.  True as well when it was moved there before.  NULL: objects of
     * this type can't be moved.
     */
    bool (*move)(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

    /*
     * Sends a call, once, and waits for the answer, whatever its status; what
     * comes behind a good status does not matter.  Fails when none is had.
     * NULL: there is nothing to call.
     */
    bool (*call)(void *session, const DriverCall *call, DriverAnswer *answer, Status *st);
} Driver;

/* What a look tells when it has seen enough. */
extern const DriverEntry driver_look_more;

/* The driver of a connector type, or NULL. */
const Driver *driver_find(const char *type);

/* All types, "local_fs, ...", for hints. */
const char *driver_types(void);

#endif
