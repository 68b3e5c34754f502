/*
 * keys.c: see keys.h.
 */
#include "store/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/glob.h"
#include "core/path_pattern.h"
#include "format/convert.h"

typedef struct Search
{
    const KeyLister *lister;
    PathPattern pattern;
    const char *exact;      /* the one key that is looked for; else: */
    size_t skip;            /* bytes of keys in front of what the pattern is about */
    DriverEntry *found;     /* strings are ours */
    size_t nfound, size;
} Search;

static bool
add_found(Search *search, const DriverEntry *entry, Status *st)
{
    DriverEntry *copy;

    if (search->nfound == KEYS_MAX)
        return status_fail(st, STATUS_LIMIT, "the listing has more than %d objects", KEYS_MAX);
    if (search->nfound == search->size)
    {
        size_t size = search->size * 2 + 64;
        DriverEntry *grown = realloc(search->found, size * sizeof(*grown));

        if (grown == NULL)
            return status_out_of_memory(st, size * sizeof(*grown));
        search->found = grown;
        search->size = size;
    }
    copy = &search->found[search->nfound++];
    *copy = *entry;
    copy->path = strdup(entry->path);
    copy->etag = strdup(entry->etag);
    return (copy->path != NULL && copy->etag != NULL) || status_out_of_memory(st, strlen(entry->path));
}

/* The key itself comes first of all that begin with it, where the store sorts. */
static bool
on_exact(void *context, const DriverEntry *entry, bool *stop, Status *st)
{
    Search *search = context;

    if (strcmp(entry->path, search->exact) != 0)
        return true;
    *stop = true;
    return add_found(search, entry, st);
}

static bool
on_key(void *context, const DriverEntry *entry, bool *stop, Status *st)
{
    Search *search = context;
    size_t n = strlen(entry->path);

    (void) stop;
    if (n == 0 || entry->path[n - 1] == '/' || n < search->skip || !path_pattern_match(&search->pattern, entry->path + search->skip))
        return true;
    if (!convert_utf8_valid(entry->path, n))
        return status_fail(st, STATUS_BAD_ENCODING, "the name of an object is not valid UTF-8");
    return add_found(search, entry, st);
}

/* The objects that `pattern`, below the folder `folder` ("a/b/" or ""), stands for. */
static bool
search_pattern(Search *search, const char *folder, const char *pattern, Status *st)
{
    /* The first name's plain beginning narrows it down as well. */
    size_t plain = strcspn(pattern, "*?[\\/"), size = strlen(folder) + plain + 1;
    bool flat, fine = path_pattern_parse(&search->pattern, pattern, st);
    char *prefix = malloc(size);

    if (prefix == NULL)
        return status_out_of_memory(st, size);
    snprintf(prefix, size, "%s%.*s", folder, (int) plain, pattern);
    flat = search->pattern.ncomponents == 1;
    search->skip = strlen(folder);
    fine = fine && search->lister->list(search->lister->context, prefix, flat, on_key, search, st);
    free(prefix);
    return fine;
}

/* An object, or those of a folder, of exactly this name. */
static bool
search_exact(Search *search, const char *name, bool *exists, Status *st)
{
    size_t size = strlen(name) + 2;
    char *folder;
    bool fine;

    if (size > 2 && name[size - 3] == '/')
    {
        *exists = true;
        return search_pattern(search, name, "", st) &&
            (search->nfound > 0 || status_fail(st, STATUS_NO_FILE, "folder \"%s\" does not exist", name));
    }
    search->exact = name;
    if (!search->lister->list(search->lister->context, name, true, on_exact, search, st))
        return false;
    *exists = search->nfound > 0;
    if (*exists)
        return true;
    folder = malloc(size);
    if (folder == NULL)
        return status_out_of_memory(st, size);
    snprintf(folder, size, "%s/", name);
    fine = search_pattern(search, folder, "", st);
    free(folder);
    *exists = search->nfound > 0;
    return fine;
}

static bool
search_resource(Search *search, const char *resource, Status *st)
{
    size_t plain = path_plain_length(resource);
    bool is_name = !glob_has_pattern(resource, strlen(resource)), exists = false, fine = true;
    char *folder;

    if (resource[0] == '\0')
        return search_pattern(search, "", "", st);
    if (is_name || (!path_matches_itself(resource) && !glob_has_escape(resource, strlen(resource))))
        fine = search_exact(search, resource, &exists, st);
    if (!fine || exists)
        return fine;
    if (is_name)
        return status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", resource);
    folder = malloc(plain + 1);
    if (folder == NULL)
        return status_out_of_memory(st, plain);
    glob_unescape(resource, plain, folder);
    if (resource[plain] != '\0')
        fine = search_pattern(search, folder, resource + plain, st);
    else
    {
        fine = search_exact(search, folder, &exists, st);
        if (fine && !exists)
            fine = status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", folder);
    }
    free(folder);
    return fine;
}

static int
compare_found(const void *a, const void *b)
{
    return strcmp(((const DriverEntry *) a)->path, ((const DriverEntry *) b)->path);
}

bool
keys_list(const KeyLister *lister, const char *resource, DriverEmit emit, void *context, Status *st)
{
    Search search = {.lister = lister};
    bool fine;

    if (resource == NULL)
        resource = "";
    if (path_goes_up(resource))
        return status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", resource);
    fine = search_resource(&search, resource + (resource[0] == '/'), st);
    if (fine && search.nfound > 1)
        qsort(search.found, search.nfound, sizeof(*search.found), compare_found);
    for (size_t i = 0; i < search.nfound; i++)
    {
        fine = fine && emit(context, &search.found[i], st);
        free((char *) search.found[i].path);
        free((char *) search.found[i].etag);
    }
    free(search.found);
    return fine;
}
