/*
 * status.h: how a function of the reader's side says what went wrong.
 *
 * A function that can fail returns bool (STATUS_CHECK: the result may not be
 * ignored) and, on false, has filled the caller's Status.  A Status is plain
 * memory of fixed size, so that being out of memory can be reported too.
 * Nothing here aborts, logs or keeps state; the session turns a Status into an
 * ERROR message, main's debug mode into text.  Texts follow the server's
 * style: the message begins in lower case and has no full stop, the detail and
 * the hint are sentences.
 */
#ifndef KAIREON_STATUS_H
#define KAIREON_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define STATUS_CHECK __attribute__((warn_unused_result))

#define STATUS_NOT_SUPPORTED "0A000"
#define STATUS_INVALID_VALUE "22023"
#define STATUS_BAD_FORMAT "22P04"
#define STATUS_BAD_ENCODING "22021"
#define STATUS_OUT_OF_MEMORY "53200"
#define STATUS_LIMIT "54000"
#define STATUS_IO "58030"
#define STATUS_NO_FILE "58P01"
#define STATUS_CHANGED "55000"
#define STATUS_WRONG_KIND "42809"
#define STATUS_FORBIDDEN "42501"
#define STATUS_NO_COLUMN "42703"
#define STATUS_DUPLICATE_COLUMN "42701"
#define STATUS_AMBIGUOUS_COLUMN "42702"
#define STATUS_UNREACHABLE "08001"      /* no connection to a source */
#define STATUS_BROKEN "08006"           /* it ended, or is too slow */
#define STATUS_PROTOCOL "08P01"         /* a source that breaks its protocol */
#define STATUS_UNKNOWN_USER "28000"     /* a source does not accept the credentials */
#define STATUS_CLOSED "KR001"           /* the worker is gone; ends the reader */
#define STATUS_NONSENSE "KR002"         /* the worker breaks the protocol of wire.h; the same */

typedef struct Status
{
    char sqlstate[6];   /* five characters and a zero; empty while nothing failed */
    uint64_t line;      /* from 1; 0: not at a line */
    uint64_t offset;    /* bytes from the object's decompressed beginning */
    char message[600];
    char detail[2000];
    char hint[1000];
    char path[1000];    /* the object; empty: not at one */
} Status;

/* Makes `st` say that nothing failed. */
void status_clear(Status *st);

/*
 * Fills `st` with a failure; detail, hint and place become empty.  Text that
 * does not fit is cut.  Always returns false: `return status_fail(st, ...);`.
 */
bool status_fail(Status *st, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds the detail or the hint to a failure; both return false, as status_fail does. */
bool status_detail(Status *st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool status_hint(Status *st, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* An allocation of `size` bytes failed: 53200 with the hint that names the setting.  Returns false. */
bool status_out_of_memory(Status *st, uint64_t size);

#endif
