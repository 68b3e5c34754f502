/*
 * listing.c: see listing.h.
 */
#include "reader/listing.h"

#include <stdlib.h>
#include <string.h>

#include "core/glob.h"
#include "core/path_pattern.h"

bool
listing_add(Listing *listing, const DriverEntry *entry, Status *st)
{
    ListedFile *file;

    if (listing->nfiles == LISTING_FILES_MAX)
        return status_fail(st, STATUS_LIMIT, "the listing has more than %d files", LISTING_FILES_MAX);
    if (listing->nfiles == listing->size)
    {
        size_t room = listing->size * 2 + 64;
        ListedFile *grown = realloc(listing->files, room * sizeof(*grown));

        if (grown == NULL)
            return status_out_of_memory(st, room * sizeof(*grown));
        listing->files = grown;
        listing->size = room;
    }
    file = &listing->files[listing->nfiles++];
    *file = (ListedFile) {strdup(entry->path), entry->size, entry->mtime, NULL};
    if (entry->etag[0] != '\0')
        file->etag = strdup(entry->etag);
    return (file->path != NULL && (file->etag != NULL || entry->etag[0] == '\0')) || status_out_of_memory(st, strlen(entry->path));
}

bool
listing_enter(size_t *folders, int depth, Status *st)
{
    if (depth > PATH_DEPTH)
        return status_fail(st, STATUS_LIMIT, "folders are nested more than %d deep", PATH_DEPTH);
    if (++*folders <= LISTING_FOLDERS_MAX)
        return true;
    status_fail(st, STATUS_LIMIT, "the listing goes through more than %d folders", LISTING_FOLDERS_MAX);
    return status_hint(st, "Name a folder or a pattern that has fewer.");
}

bool
listing_resolve(const ListingWays *ways, void *context, const char *resource, Status *st)
{
    size_t plain = path_plain_length(resource);
    bool is_name = !glob_has_pattern(resource, strlen(resource)), exists, fine;
    char *folder;

    if (resource[0] == '\0')
        return ways->pattern(context, "", "", st);
    if (is_name || (!path_matches_itself(resource) && !glob_has_escape(resource, strlen(resource))))
    {
        fine = ways->exact(context, resource, &exists, st);
        if (exists || is_name)
            return fine;
        status_clear(st);
    }
    folder = malloc(plain + 1);
    if (folder == NULL)
        return status_out_of_memory(st, plain);
    glob_unescape(resource, plain, folder);
    if (resource[plain] == '\0')
        fine = ways->exact(context, folder, &exists, st);
    else
    {
        size_t n = strlen(folder);

        if (strspn(folder, "/") < n)
            folder[n - 1] = '\0';
        fine = ways->pattern(context, folder, resource + plain, st);
    }
    free(folder);
    return fine;
}

static int
compare_files(const void *a, const void *b)
{
    return strcmp(((const ListedFile *) a)->path, ((const ListedFile *) b)->path);
}

bool
listing_finish(Listing *listing, bool fine, DriverEmit emit, void *context, Status *st)
{
    if (fine && listing->nfiles > 1)
        qsort(listing->files, listing->nfiles, sizeof(*listing->files), compare_files);
    for (size_t i = 0; i < listing->nfiles; i++)
    {
        ListedFile *file = &listing->files[i];
        DriverEntry entry = {file->path, file->size, file->mtime, file->etag == NULL ? "" : file->etag};

        /* one that pages of a listing have twice is one file; reading it finds out which version there is */
        if (i == 0 || strcmp(file->path, listing->files[i - 1].path) != 0)
            fine = fine && emit(context, &entry, st);
    }
    for (size_t i = 0; i < listing->nfiles; i++)
    {
        free(listing->files[i].path);
        free(listing->files[i].etag);
    }
    free(listing->files);
    *listing = (Listing) {.files = NULL};
    return fine;
}

bool
listing_lies_below(const char *path, const char *root)
{
    size_t n = strlen(root);

    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/' || (n > 0 && root[n - 1] == '/'));
}
