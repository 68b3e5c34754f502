/*
 * keys.h: resources of stores that have keys, not folders.
 *
 * A key is a path whose folders exist only in name.  What a resource means is
 * the same as for files (reader/listing.h): the object of exactly that key,
 * else the objects of that folder, else a pattern with *, ?, [..] and **.
 * Keys that end in a slash stand for folders and are no objects.
 */
#ifndef KAIREON_KEYS_H
#define KAIREON_KEYS_H

#include "reader/driver.h"

/* Receives keys below the base, as they come; sets *stop when no more are wanted.  False: fails. */
typedef bool (*KeyEmit)(void *context, const DriverEntry *entry, bool *stop, Status *st);

typedef struct KeyLister
{
    /*
     * Gives all objects whose keys begin with `prefix`, in ascending order where the store has
     * one; `flat`: none with a slash behind that.
     */
    bool (*list)(void *context, const char *prefix, bool flat, KeyEmit emit, void *emit_context, Status *st);
    void *context;
} KeyLister;

/* A prefix as keys begin with it: "" or with a slash at its end, and none at its beginning; to be freed.  NULL: no memory. */
char *keys_folder(const char *prefix);

/* The pages of a listing that have come; all zero before the first. */
typedef struct KeyPages
{
    unsigned empty;             /* in a row without a key */
    unsigned since, until;      /* pages since a mark was kept, and until the next is */
    uint64_t mark;              /* a hash of that */
} KeyPages;

/*
 * Would a listing that goes on with the mark `next` (NULL: it does not) never end?  Marks
 * come again, the same or several in a circle, or too many pages in a row had no key.
 */
bool keys_endless(KeyPages *pages, bool has_keys, const char *next);

/* As Driver.list. */
STATUS_CHECK bool keys_list(const KeyLister *lister, const char *resource, DriverEmit emit, void *context, Status *st);

/* As Driver.look: of the first keys there are, which cost one request. */
STATUS_CHECK bool keys_look(const KeyLister *lister, DriverEmit emit, void *context, Status *st);

#endif
