/*
 * status.c: filling a Status.
 *
 * Only formatting into the fixed fields; what is cut is cut silently, because
 * a shortened message is better than none.  A cut may fall inside a UTF-8
 * sequence: whoever sends the text out makes it valid (session, debug output).
 */
#include "core/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
status_clear(Status *st)
{
    st->sqlstate[0] = '\0';
    st->line = 0;
    st->offset = 0;
    st->message[0] = '\0';
    st->detail[0] = '\0';
    st->hint[0] = '\0';
    st->path[0] = '\0';
}

bool
status_fail(Status *st, const char *sqlstate, const char *fmt, ...)
{
    va_list args;

    status_clear(st);
    memcpy(st->sqlstate, sqlstate, 5);
    st->sqlstate[5] = '\0';
    va_start(args, fmt);
    vsnprintf(st->message, sizeof(st->message), fmt, args);
    va_end(args);
    return false;
}

bool
status_detail(Status *st, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(st->detail, sizeof(st->detail), fmt, args);
    va_end(args);
    return false;
}

bool
status_hint(Status *st, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(st->hint, sizeof(st->hint), fmt, args);
    va_end(args);
    return false;
}

bool
status_out_of_memory(Status *st, uint64_t size)
{
    status_fail(st, STATUS_OUT_OF_MEMORY, "reader is out of memory");
    if (size > 0)
        status_detail(st, "Failed on a request of %" PRIu64 " bytes.", size);
    return status_hint(st, "Raise kaireon.reader_memory_limit, or lower maxRowBytes.");
}
