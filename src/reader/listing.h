/*
 * listing.h: what drivers have in common when they list: how a resource is
 * understood, and the sorted list of files.  Stores that have keys instead of
 * folders come here by store/keys.h.
 *
 * A resource is a file, a folder or a pattern.  What exists under exactly the
 * name that was given is meant, unless the name is a pattern that matches
 * itself (a file called "*.csv" must not hide the others from "*.csv") or one
 * whose wildcards were escaped (nor a file called "\*" the one called "*").
 */
#ifndef KAIREON_LISTING_H
#define KAIREON_LISTING_H

#include "reader/driver.h"

#define LISTING_FILES_MAX 1000000
#define LISTING_FOLDERS_MAX 100000

typedef struct ListedFile
{
    char *path;
    uint64_t size;
    int64_t mtime;
    char *etag;             /* NULL: none */
} ListedFile;

/* All zero to begin with. */
typedef struct Listing
{
    ListedFile *files;
    size_t nfiles, size;
} Listing;

/* How a driver looks; both are given the context. */
typedef struct ListingWays
{
    /*
     * Adds the file, or the files of the folder, of exactly this name; *exists says whether it is
     * either, and is true where that could not be found out: then the failure stands.
     */
    bool (*exact)(void *context, const char *name, bool *exists, Status *st);
    /* Adds the files below `folder` that the pattern stands for; of slashes alone only where `resource` begins with them. */
    bool (*pattern)(void *context, const char *folder, const char *pattern, Status *st);
} ListingWays;

/* Copies the entry.  Fails with 54000 when there are too many. */
STATUS_CHECK bool listing_add(Listing *listing, const DriverEntry *entry, Status *st);

/* One more folder is entered, at this depth; *folders counts.  Fails with 54000. */
STATUS_CHECK bool listing_enter(size_t *folders, int depth, Status *st);

/* Finds what `resource` names below the base: of drivers with folders a path without "." and empty components. */
STATUS_CHECK bool listing_resolve(const ListingWays *ways, void *context, const char *resource, Status *st);

/* Emits all, sorted by path and each path once, when `fine`; frees the list.  Returns whether all went well. */
bool listing_finish(Listing *listing, bool fine, DriverEmit emit, void *context, Status *st);

/* True when `path` equals `root` or lies below it; both absolute, without a slash at the end. */
bool listing_lies_below(const char *path, const char *root);

#endif
