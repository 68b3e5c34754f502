/*
 * keys.c: see keys.h.
 *
 * A key is looked for by a listing of what begins with it, which sees a folder
 * of that name in the same way as one that somebody made.
 */
#include "store/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/path_pattern.h"
#include "format/convert.h"
#include "reader/listing.h"

/* Bytes of a key: Azure's have 1024 characters, others fewer. */
#define KEY_BYTES_MAX 4096
/* What of one that can't be taken is shown. */
#define SHOWN 200

/* So many pages in a row without a key are no listing. */
#define EMPTY_PAGES 10000

typedef struct Search
{
    const KeyLister *lister;
    PathPattern pattern;
    const char *exact;      /* the one key that is looked for; else: */
    size_t skip;            /* bytes of keys in front of what the pattern is about */
    Listing listing;
} Search;

char *
keys_folder(const char *prefix)
{
    size_t n;
    char *copy;

    prefix += strspn(prefix, "/");
    n = strlen(prefix);
    copy = malloc(n + 2);
    if (copy != NULL)
        snprintf(copy, n + 2, "%s%s", prefix, n > 0 && prefix[n - 1] != '/' ? "/" : "");
    return copy;
}

/* The key itself comes first of all that begin with it, where the store sorts. */
static bool
on_exact(void *context, const DriverEntry *entry, bool *stop, Status *st)
{
    Search *search = context;

    if (strcmp(entry->path, search->exact) != 0)
        return true;
    *stop = true;
    return listing_add(&search->listing, entry, st);
}

/* The object can't be listed: where it is. */
static bool
refuse_key(const char *path, Status *st)
{
    char shown[4 * SHOWN + 1];
    size_t n = strlen(path), length = convert_utf8_escape(path, n < SHOWN ? n : SHOWN, shown, sizeof(shown) - 1);

    shown[length] = '\0';
    status_detail(st, "The name is \"%s\"%s.", shown, n < SHOWN ? "" : " and so on");
    return status_hint(st, "Rename it, or name a folder or prefix without it.");
}

static bool
on_key(void *context, const DriverEntry *entry, bool *stop, Status *st)
{
    Search *search = context;
    size_t n = strlen(entry->path);

    (void) stop;
    if (n > KEY_BYTES_MAX)
    {
        status_fail(st, STATUS_LIMIT, "the name of an object has %zu bytes, more than %d", n, KEY_BYTES_MAX);
        return refuse_key(entry->path, st);
    }
    if (n == 0 || entry->path[n - 1] == '/' || n < search->skip || !path_pattern_match(&search->pattern, entry->path + search->skip))
        return true;
    if (!convert_utf8_valid(entry->path, n))
    {
        status_fail(st, STATUS_BAD_ENCODING, "the name of an object is not valid UTF-8");
        return refuse_key(entry->path, st);
    }
    return listing_add(&search->listing, entry, st);
}

/* The objects that the pattern stands for, below `folder`: "a/b", "" or slashes alone. */
static bool
search_pattern(void *context, const char *folder, const char *pattern, Status *st)
{
    Search *search = context;
    bool slash = folder[strspn(folder, "/")] != '\0', flat, fine;
    /* The first name's plain beginning narrows it down as well. */
    size_t plain = strcspn(pattern, "*?[\\/"), size = strlen(folder) + plain + 2;
    char *prefix = malloc(size);

    if (prefix == NULL)
        return status_out_of_memory(st, size);
    snprintf(prefix, size, "%s%s%.*s", folder, slash ? "/" : "", (int) plain, pattern);
    search->skip = strlen(folder) + slash;
    fine = path_pattern_parse(&search->pattern, pattern, st);
    flat = search->pattern.ncomponents == 1;
    fine = fine && search->lister->list(search->lister->context, prefix, flat, on_key, search, st);
    free(prefix);
    return fine;
}

/* An object, or those of a folder, of exactly this name. */
static bool
search_exact(void *context, const char *name, bool *exists, Status *st)
{
    Search *search = context;
    size_t n = strlen(name);
    bool is_folder = n > 0 && name[n - 1] == '/', fine = true;
    char *folder;

    *exists = true; /* a listing that fails says nothing about the name */
    search->exact = name;
    if (!is_folder && !search->lister->list(search->lister->context, name, true, on_exact, search, st))
        return false;
    if (search->listing.nfiles > 0)
        return true;
    folder = strndup(name, is_folder && name[strspn(name, "/")] != '\0' ? n - 1 : n);
    if (folder == NULL)
        return status_out_of_memory(st, n);
    fine = search_pattern(search, folder, "", st);
    free(folder);
    if (!fine || search->listing.nfiles > 0)
        return fine;
    *exists = false;
    status_fail(st, STATUS_NO_FILE, "%s \"%s\" does not exist", is_folder ? "folder" : "file", name);
    return status_hint(st, "Names are relative to the connector's prefix and exact in upper and lower case.");
}

/* FNV-1a. */
static uint64_t
hash_mark(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t) *text) * UINT64_C(1099511628211);
    return hash;
}

/* A circle of marks is found as Brent does it: by one that is kept for twice as long as the one before. */
bool
keys_endless(KeyPages *pages, bool has_keys, const char *next)
{
    uint64_t mark = next == NULL ? 0 : hash_mark(next);

    pages->empty = has_keys ? 0 : pages->empty + 1;
    if (next == NULL)
        return false;
    if (pages->empty > EMPTY_PAGES || (pages->until > 0 && mark == pages->mark))
        return true;
    if (pages->since++ == pages->until)
    {
        pages->mark = mark;
        pages->until = pages->until == 0 ? 1 : pages->until * 2;
        pages->since = 0;
    }
    return false;
}

bool
keys_list(const KeyLister *lister, const char *resource, DriverEmit emit, void *context, Status *st)
{
    static const ListingWays ways = {search_exact, search_pattern};
    Search search = {.lister = lister};

    if (resource == NULL)
        resource = "";
    if (path_goes_up(resource))
        return status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", resource);
    return listing_finish(&search.listing, listing_resolve(&ways, &search, resource + (resource[0] == '/'), st), emit, context, st);
}

/* ---- the base itself ---------------------------------------------------------- */

typedef struct Look { DriverEmit emit; void *context; char folder[1200]; size_t seen; } Look;

/* Keys of one folder come one after another where the store sorts. */
static bool
on_look(void *context, const DriverEntry *entry, bool *stop, Status *st)
{
    Look *look = context;
    const char *slash = strchr(entry->path, '/');
    char folder[sizeof(look->folder)];

    *stop = ++look->seen > DRIVER_LOOK_MAX;
    if (*stop)
        return look->emit(look->context, &driver_look_more, st);
    if (entry->path[0] == '\0' || !convert_utf8_valid(entry->path, strlen(entry->path)))
        return true;
    if (slash == NULL)
        return look->emit(look->context, entry, st);
    snprintf(folder, sizeof(folder), "%.*s", (int) (slash + 1 - entry->path), entry->path);
    if (strcmp(folder, look->folder) == 0)
        return true;
    memcpy(look->folder, folder, sizeof(folder));
    return look->emit(look->context, &(DriverEntry) {folder, 0, 0, ""}, st);
}

bool
keys_look(const KeyLister *lister, DriverEmit emit, void *context, Status *st)
{
    Look look = {.emit = emit, .context = context};

    return lister->list(lister->context, "", false, on_look, &look, st);
}
