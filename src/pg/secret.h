/*
 * secret.h: memory for what must not stay in memory.
 *
 * A Secret is a buffer of a fixed size that is overwritten when it is freed and
 * when its memory context goes, whichever is first: so also after an error.  It
 * never grows, because growing leaves copies behind.
 */
#ifndef KAIREON_SECRET_H
#define KAIREON_SECRET_H

#include "postgres.h"

typedef struct Secret
{
    char *data;              /* NULL once freed */
    size_t length;           /* bytes in use */
    size_t size;
    MemoryContextCallback wipe;
} Secret;

/* An empty one with room for `size` bytes, in the current context. */
extern Secret *secret_create(size_t size);

/* Overwrites and frees the bytes; NULL is allowed.  The struct goes with its context. */
extern void secret_free(Secret *secret);

/* Appends bytes; more than there is room for is an internal error. */
extern void secret_append(Secret *secret, const void *data, size_t length);

/* Appends text as a JSON string, quotes included: at most 6 bytes for each and 2. */
extern void secret_append_json(Secret *secret, const char *text, size_t length);

/*
 * Reads from a descriptor until its end or until the buffer is full.  Returns
 * false with errno when reading fails.
 */
extern bool secret_read(Secret *secret, int fd);

/* Leaves out one line end (LF or CR LF) at the end. */
extern void secret_chomp(Secret *secret);

#endif
