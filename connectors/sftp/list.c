/*
 * list.c: the files that a resource names.
 *
 * How a resource is understood stands in reader/listing.h.  Folders are read
 * by SSH_FXP_READDIR, a hundred names an answer, with sizes and times.
 * A link to a file is that file; one to a folder is not gone into by a pattern
 * (there may be circles), but may be named.  What is neither, what is gone
 * between two looks, and hidden names that the pattern does not spell out are
 * left out; a folder that can't be read is an error, because its files would be missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/sftp/sftp.h"
#include "core/path_pattern.h"
#include "format/convert.h"
#include "reader/listing.h"

typedef struct Walk
{
    Sftp *sftp;
    PathPattern pattern;
    Listing listing;
    size_t folders;             /* entered so far */
    char name[SFTP_PATH_MAX];   /* of the entry that is looked at */
    char path[SFTP_PATH_MAX], full[SFTP_PATH_MAX];
    Status *st;
} Walk;

static bool
is_link(const LIBSSH2_SFTP_ATTRIBUTES *info)
{
    return LIBSSH2_SFTP_S_ISLNK(info->permissions);
}

/* Follows a link, and asks for what the listing did not say.  *gone: it leads nowhere. */
static bool
complete(Walk *walk, LIBSSH2_SFTP_ATTRIBUTES *info, bool *gone)
{
    const unsigned long needed = LIBSSH2_SFTP_ATTR_PERMISSIONS | LIBSSH2_SFTP_ATTR_SIZE;
    bool link = (info->flags & LIBSSH2_SFTP_ATTR_PERMISSIONS) != 0 && is_link(info);
    int rc;

    *gone = false;
    if (!link && (info->flags & needed) == needed)
        return true;
    if (!sftp_full_path(walk->sftp, walk->path, walk->full, sizeof(walk->full), walk->st))
        return false;
    rc = sftp_stat(walk->sftp, walk->full, false, info);
    *gone = rc == LIBSSH2_ERROR_SFTP_PROTOCOL || (rc == 0 && link && sftp_is_folder(info));
    return rc == 0 || *gone || sftp_path_fail(walk->sftp, rc, "read", "file", walk->path, walk->st);
}

static bool
add_file(Walk *walk, const char *path, const LIBSSH2_SFTP_ATTRIBUTES *info)
{
    const DriverEntry entry = {path, info->filesize, sftp_mtime(info), ""};

    return listing_add(&walk->listing, &entry, walk->st);
}

/* One entry of a folder, which matched; folders go into `below`. */
static bool
walk_entry(Walk *walk, const char *folder, LIBSSH2_SFTP_ATTRIBUTES *info, bool whole, PathNext next, Listing *below)
{
    bool gone;

    if (strchr(walk->name, '/') != NULL)
        return status_fail(walk->st, STATUS_PROTOCOL, "\"%s\" lists a name in \"%s\" that has a slash in it", walk->sftp->host, folder);
    if (snprintf(walk->path, sizeof(walk->path), "%s%s%s", folder, folder[0] == '\0' ? "" : "/", walk->name) >= (int) sizeof(walk->path))
        return status_fail(walk->st, STATUS_LIMIT, "a path in \"%s\" is too long", folder);
    if (!complete(walk, info, &gone))
        return false;
    if (gone || (sftp_is_file(info) ? !whole : !sftp_is_folder(info) || next == 0))
        return true;
    /* Names become text of the database: leaving one out silently would lose a file. */
    if (!convert_utf8_valid(walk->name, strlen(walk->name)))
    {
        status_fail(walk->st, STATUS_BAD_ENCODING, "a file name in \"%s\" is not valid UTF-8", folder);
        return status_hint(walk->st, "Rename the file, or use a pattern that does not match it.");
    }
    if (sftp_is_file(info))
        return add_file(walk, walk->path, info);
    return listing_add(below, &(DriverEntry) {walk->path, next, 0, ""}, walk->st);
}

/* All entries of an open folder. */
static bool
walk_entries(Walk *walk, LIBSSH2_SFTP_HANDLE *handle, const char *folder, PathNext next, Listing *below)
{
    LIBSSH2_SFTP_ATTRIBUTES info;
    int rc;

    for (;;)
    {
        PathNext deeper;
        bool whole;

        memset(&info, 0, sizeof(info));
        SFTP_CALL(walk->sftp, rc, libssh2_sftp_readdir_ex(handle, walk->name, sizeof(walk->name), NULL, 0, &info));
        if (rc == 0)
            return true;
        if (rc < 0)
            return sftp_path_fail(walk->sftp, rc, "read", "directory", folder, walk->st);
        walk->name[(size_t) rc < sizeof(walk->name) ? (size_t) rc : sizeof(walk->name) - 1] = '\0';
        if (strcmp(walk->name, ".") == 0 || strcmp(walk->name, "..") == 0)
            continue;
        deeper = path_pattern_step(&walk->pattern, next, walk->name, &whole);
        if ((deeper != 0 || whole) && !walk_entry(walk, folder, &info, whole, deeper, below))
            return false;
    }
}

/* Finds files in a folder and below it. */
static bool
walk_folder(Walk *walk, const char *folder, PathNext next, int depth, bool named)
{
    Sftp *sftp = walk->sftp;
    LIBSSH2_SFTP_HANDLE *handle;
    Listing below = {.files = NULL};
    bool fine;
    int rc;

    if (!listing_enter(&walk->folders, depth, walk->st) || !sftp_full_path(sftp, folder, walk->full, sizeof(walk->full), walk->st))
        return false;
    SFTP_CALL_POINTER(sftp, handle, libssh2_sftp_open_ex(sftp->files, walk->full, (unsigned int) strlen(walk->full), 0, 0, LIBSSH2_SFTP_OPENDIR));
    if (handle == NULL)
    {
        rc = libssh2_session_last_errno(sftp->ssh);
        /* gone since its own folder was read */
        return (!named && sftp_answered(sftp, rc, LIBSSH2_FX_NO_SUCH_FILE)) ||
            sftp_path_fail(sftp, rc, "read", "directory", folder[0] == '\0' ? walk->full : folder, walk->st);
    }
    fine = walk_entries(walk, handle, folder, next, &below);
    SFTP_CALL(sftp, rc, libssh2_sftp_close_handle(handle));
    for (size_t i = 0; i < below.nfiles; i++)
    {
        fine = fine && walk_folder(walk, below.files[i].path, below.files[i].size, depth + 1, false);
        free(below.files[i].path);
    }
    free(below.files);
    return fine;
}

static bool
walk_pattern(void *context, const char *folder, const char *pattern, Status *st)
{
    Walk *walk = context;
    int depth = folder[0] != '\0';

    for (const char *p = folder; *p != '\0'; p++)
        depth += *p == '/';
    return path_pattern_parse(&walk->pattern, pattern, st) && walk_folder(walk, folder, path_pattern_begin(&walk->pattern), depth, true);
}

static bool
walk_exact(void *context, const char *name, bool *exists, Status *st)
{
    Walk *walk = context;
    LIBSSH2_SFTP_ATTRIBUTES info;
    int rc;

    *exists = false;
    if (!sftp_full_path(walk->sftp, name, walk->full, sizeof(walk->full), st))
        return false;
    rc = sftp_stat(walk->sftp, walk->full, false, &info);
    if (rc != 0)
    {
        /* A broken connection says nothing about the name. */
        *exists = rc != LIBSSH2_ERROR_SFTP_PROTOCOL;
        return sftp_path_fail(walk->sftp, rc, "read", "file", name, st);
    }
    *exists = sftp_is_file(&info) || sftp_is_folder(&info);
    if (sftp_is_file(&info))
        return add_file(walk, name, &info);
    if (sftp_is_folder(&info))
        return walk_pattern(walk, name, "", st);
    return status_fail(st, STATUS_WRONG_KIND, "\"%s\" is not a regular file", name);
}

bool
sftp_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    static const ListingWays ways = {walk_exact, walk_pattern};
    Walk *walk = calloc(1, sizeof(*walk));
    char *relative;
    bool fine;

    if (walk == NULL)
        return status_out_of_memory(st, sizeof(*walk));
    walk->sftp = session;
    walk->st = st;
    sftp_operation(session);
    relative = sftp_relative(session, resource == NULL ? "" : resource, st);
    fine = relative != NULL && sftp_ready(session, st) && listing_resolve(&ways, walk, relative, st);
    free(relative);
    fine = listing_finish(&walk->listing, fine, emit, context, st);
    free(walk);
    return fine;
}

/* The entries of the open base that are no hidden names, and not neither files nor folders. */
static bool
look_around(Walk *walk, LIBSSH2_SFTP_HANDLE *handle, DriverEmit emit, void *context)
{
    LIBSSH2_SFTP_ATTRIBUTES info;
    bool fine = true;
    int rc;

    for (int left = DRIVER_LOOK_MAX; fine;)
    {
        bool gone;

        memset(&info, 0, sizeof(info));
        SFTP_CALL(walk->sftp, rc, libssh2_sftp_readdir_ex(handle, walk->name, sizeof(walk->name) - 2, NULL, 0, &info));
        if (rc <= 0)
            return rc == 0 || sftp_path_fail(walk->sftp, rc, "read", "directory", walk->full, walk->st);
        walk->name[(size_t) rc < sizeof(walk->name) - 2 ? (size_t) rc : sizeof(walk->name) - 2] = '\0';
        if (walk->name[0] == '.' || strchr(walk->name, '/') != NULL || !convert_utf8_valid(walk->name, strlen(walk->name)))
            continue;
        if (left-- == 0)
            return emit(context, &driver_look_more, walk->st);
        snprintf(walk->path, sizeof(walk->path), "%s", walk->name);
        if (!complete(walk, &info, &gone))
            return false;
        if (gone || !(sftp_is_file(&info) || sftp_is_folder(&info)))
            continue;
        if (sftp_is_folder(&info))
            strcat(walk->name, "/");
        fine = emit(context, &(DriverEntry) {walk->name, sftp_is_file(&info) ? info.filesize : 0, sftp_mtime(&info), ""}, walk->st);
    }
    return fine;
}

bool
sftp_look(void *session, DriverEmit emit, void *context, Status *st)
{
    Sftp *sftp = session;
    Walk *walk = calloc(1, sizeof(*walk));
    LIBSSH2_SFTP_HANDLE *handle;
    bool fine;
    int rc;

    if (walk == NULL)
        return status_out_of_memory(st, sizeof(*walk));
    walk->sftp = sftp;
    walk->st = st;
    sftp_operation(sftp);
    fine = sftp_ready(sftp, st) && sftp_full_path(sftp, "", walk->full, sizeof(walk->full), st);
    if (fine)
    {
        SFTP_CALL_POINTER(sftp, handle, libssh2_sftp_open_ex(sftp->files, walk->full, (unsigned int) strlen(walk->full), 0, 0, LIBSSH2_SFTP_OPENDIR));
        if (handle == NULL)
        {
            fine = sftp_path_fail(sftp, libssh2_session_last_errno(sftp->ssh), "read", "directory", walk->full, st);
            if (strcmp(st->sqlstate, STATUS_NO_FILE) == 0)
                (void) status_hint(st, "It is the connector's basePath, which has to be a directory; upper and lower case count.");
        }
        else
        {
            fine = look_around(walk, handle, emit, context);
            SFTP_CALL(sftp, rc, libssh2_sftp_close_handle(handle));
        }
    }
    free(walk);
    return fine;
}
