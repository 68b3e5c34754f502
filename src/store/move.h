/*
 * move.h: moving an object of a store that can only copy and delete.
 *
 * The order is what makes a move safe to ask for again after a crash: the copy
 * is there before the original goes, nothing is overwritten, and what was
 * written since it was listed stays where it is.
 */
#ifndef KAIREON_STORE_MOVE_H
#define KAIREON_STORE_MOVE_H

#include "reader/driver.h"

/* What is at a place. */
typedef enum StoreFound
{
    STORE_NOTHING,
    STORE_IT,
    STORE_OTHER
} StoreFound;

typedef struct StoreMover
{
    /*
     * What is at `path`, measured against `entry`: the object as it was listed; with `copied`,
     * a copy that `copy` made of that.
     */
    bool (*look)(void *context, const DriverEntry *entry, const char *path, bool copied, StoreFound *found, Status *st);

    /*
     * Copies the object, as it was listed, to `to`.  True once the copy is whole, which look()
     * is asked to find there; or with *taken when something has come there meanwhile.  A store
     * that can't tell overwrites it.
     */
    bool (*copy)(void *context, const DriverEntry *entry, const char *to, bool *taken, Status *st);

    /* Deletes the object, where the store can tell only as it was listed; what is gone already is fine. */
    bool (*remove)(void *context, const DriverEntry *entry, Status *st);
    void *context;
    size_t path_max;    /* bytes that a path may have, so that its key is not too long */
} StoreMover;

/* What a prefix leaves of the 1024 bytes that keys may have in all stores. */
size_t store_move_room(const char *prefix);

/*
 * What a copy is marked with, where it has a version of its own: which version of which object
 * it was made of.  Lower-case hex, for which `mark` has room for 65.
 */
STATUS_CHECK bool store_move_mark(const DriverEntry *entry, char *mark, Status *st);

/* As Driver.move.  An object that is asked to be moved to where it is stays there. */
STATUS_CHECK bool store_move(const StoreMover *mover, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

#endif
