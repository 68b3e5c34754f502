/*
 * move.c: see move.h.
 */
#include "store/move.h"

#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/numbered.h"
#include "core/sha256.h"

/* So many objects of one name in one folder. */
#define NAMES_MAX 10000
/* Bytes of a key. */
#define KEY_MAX 1024
/* So often may a name be free when it is looked at, and taken when it is written. */
#define TAKEN_MAX 20

bool
store_move_mark(const DriverEntry *entry, char *mark, Status *st)
{
    size_t size = strlen(entry->etag) + 1 + strlen(entry->path);
    Buf text;
    bool fine;

    buf_init(&text, size);
    fine = buf_append(&text, entry->etag, strlen(entry->etag) + 1, st) && buf_append(&text, entry->path, strlen(entry->path), st) &&
        sha256_hex(text.data, text.used, mark, st);
    buf_free(&text);
    return fine;
}

size_t
store_move_room(const char *prefix)
{
    size_t length = strlen(prefix);

    return length < KEY_MAX ? KEY_MAX - length : 0;
}

/* The first of to, to.1, to.2... that is free, or where the copy, or the object itself, is already. */
static bool
find_place(const StoreMover *mover, const DriverEntry *entry, const char *to, char *place, size_t size, StoreFound *found, Status *st)
{
    for (int i = 0; i < NAMES_MAX; i++)
    {
        size_t room = i > 0 && mover->path_max < size ? mover->path_max + 1 : size;

        if (!numbered_path(to, i, mover->path_max, place, room))
            return status_fail(st, STATUS_LIMIT, "the name \"%.200s...\" is too long", to);
        *found = STORE_NOTHING;
        if (strcmp(place, entry->path) == 0)
            return true;
        if (!mover->look(mover->context, entry, place, true, found, st))
            return false;
        if (*found != STORE_OTHER)
            return true;
    }
    return status_fail(st, STATUS_LIMIT, "there are %d files called \"%s\" already", NAMES_MAX, to);
}

/* Is the copy there that the store says it has made?  The original is deleted on that. */
static bool
check_copy(const StoreMover *mover, const DriverEntry *entry, const char *place, Status *st)
{
    StoreFound there;

    if (!mover->look(mover->context, entry, place, true, &there, st))
        return false;
    if (there == STORE_IT)
        return true;
    status_fail(st, STATUS_PROTOCOL, "the store says that it has copied file \"%s\", but there is %s", entry->path,
                there == STORE_NOTHING ? "no copy" : "another file in its place");
    return status_detail(st, "The copy was to be at \"%s\".  The file stays where it is.", place);
}

/* Has the copy made, at *place. */
static bool
have_copy(const StoreMover *mover, const DriverEntry *entry, const char *to, char *place, size_t size, StoreFound here, Status *st)
{
    for (int i = 0; i < TAKEN_MAX; i++)
    {
        StoreFound there;
        bool taken = false;

        if (!find_place(mover, entry, to, place, size, &there, st))
            return false;
        if (there == STORE_IT || (strcmp(place, entry->path) == 0 && here == STORE_IT))
            return true;
        if (here == STORE_NOTHING)
            return status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", entry->path);
        if (here == STORE_OTHER)
        {
            status_fail(st, STATUS_CHANGED, "file \"%s\" is no longer as it was loaded", entry->path);
            return status_detail(st, "It was written since, and stays where it is.");
        }
        if (!mover->copy(mover->context, entry, place, &taken, st))
            return false;
        if (!taken)
            return check_copy(mover, entry, place, st);
    }
    return status_fail(st, STATUS_IO, "something else was written to \"%s\" each time that file \"%s\" was about to be copied there", place, entry->path);
}

bool
store_move(const StoreMover *mover, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    StoreFound here;

    if (!mover->look(mover->context, entry, entry->path, false, &here, st) || !have_copy(mover, entry, to, place, size, here, st))
        return false;
    /*
     * What was written under the old name after the copy was made is another object.  Whether one that
     * is gone by now was taken by another, or by this deletion, whose first answer was lost, can't be
     * told: the copy stays, as it may be the only one.
     */
    return here != STORE_IT || strcmp(place, entry->path) == 0 || mover->remove(mover->context, entry, st);
}
