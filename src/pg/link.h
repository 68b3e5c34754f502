/*
 * link.h: a kaireon-reader process and the socket to it.
 *
 * The one place where the server waits for a source: messages are received
 * here, and the wait notices cancels, the postmaster's death and the reader's
 * end.  The process and the descriptor belong to a memory context: whatever
 * ends it, closes the one and ends the other.
 */
#ifndef KAIREON_LINK_H
#define KAIREON_LINK_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "pg/auth.h"
#include "pg/compat.h"
#include "wire/wire.h"

typedef struct Link Link;

typedef struct LinkMessage
{
    WireType type;
    uint8 *body;             /* 8-byte aligned; valid until the next link_receive */
    uint32 length;
} LinkMessage;

/* Starts a reader; its life ends with the current memory context or link_close. */
extern Link *link_open(void);
extern void link_close(Link *link);
extern pid_t link_pid(const Link *link);


/*
 * Waits for the next message.  LOG messages are logged and passed over; an
 * ERROR message is raised as the error it describes; the reader's end without
 * a word is raised as KA001.  With wait false: returns false when no whole
 * message is there yet.
 */
extern bool link_receive(Link *link, LinkMessage *message, bool wait);

/* Was the last error of that kind about a file? */
extern bool link_blames_file(const Link *link);

/* A text the reader sent, as the server's: palloc'd; one that is not UTF-8 is replaced by a note of that. */
extern char *link_text(WireStr text);

/* A SQLSTATE the reader sent; KA002 for one it has no business to send. */
extern int link_sqlstate(const char *state);

/* Raises KA002: the reader sent what the protocol does not allow; message is a format. */
pg_noreturn extern void link_misbehaved(const char *message,...) pg_attribute_printf(1, 2);

/* What is asked of a reader; see wire.h.  JSON texts are put in as they are. */
typedef struct LinkRequest
{
    const char *operation;   /* "read", "list"...; "move": local files where the administrator lets them be moved */
    const char *connector_type; /* NULL: of a replay, which needs no connector, nor what belongs to it */
    const char *config;      /* JSON */
    const Auth *auth;        /* opened when the request is sent, and wiped */
    const char *resource;
    bool missing_ok;         /* a resource that does not exist has no objects */
    const char *files;       /* JSON array, or NULL: what the source lists */
    const char *call;        /* JSON object: of a call; else NULL */
    const char *format;      /* JSON; of a read */
    const char *columns;     /* JSON array; of a read */
    bool records;            /* of a read: rows come with their records */
    const char *replayed;    /* JSON array: of a replay; else NULL */
    int64 row_limit;         /* 0: none */
    int batch_rows;
} LinkRequest;

extern void link_request(Link *link, const LinkRequest *request);

/* Has the reader answered the last request whole, or told that it failed?  Then it takes another. */
extern bool link_is_idle(const Link *link);

#endif
