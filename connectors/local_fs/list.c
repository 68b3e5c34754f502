/*
 * list.c: the files that a resource names.
 *
 * How a resource is understood stands in reader/listing.h.  Of a pattern
 * the components without wildcards are walked first, and the folders below them
 * are searched once each, carrying the set of components that may match next:
 * so "**" costs no more than the folders there are, and no file is found twice.
 *
 * A listing leaves out what is no regular file, links, forbidden directories,
 * and hidden names that the pattern does not spell out.  What is gone or has
 * become something else between two looks is left out as well; a folder that
 * can't be read is an error, because its files would be missed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectors/local_fs/local_fs.h"
#include "core/path_pattern.h"
#include "format/convert.h"
#include "reader/listing.h"

typedef struct Walk
{
    const LocalFs *fs;
    PathPattern pattern;
    Listing listing;
    size_t folders;         /* entered so far */
    Status *st;
} Walk;

static bool
add_found(Walk *walk, const char *path, const struct stat *info)
{
    const DriverEntry entry = {path, (uint64_t) info->st_size, local_fs_mtime(info), ""};

    return listing_add(&walk->listing, &entry, walk->st);
}

/* ---- folders ----------------------------------------------------------- */

static bool walk_folder(Walk *walk, int at, const char *folder, PathNext next, int depth);

/* One entry of a folder, which matched. */
static bool
walk_entry(Walk *walk, int at, const char *folder, const char *name, PathNext below, bool whole, int depth)
{
    size_t length = strlen(folder) + strlen(name) + 2;
    struct stat info;
    char *path;
    bool fine = true;
    int fd, error;

    if (fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return true;    /* gone since the directory was read */
    if (S_ISREG(info.st_mode) ? !whole : !S_ISDIR(info.st_mode) || below == 0 || local_fs_is_forbidden(walk->fs, &info))
        return true;
    /* Names become text of the database: leaving one out silently would lose a file. */
    if (!convert_utf8_valid(name, strlen(name)))
    {
        status_fail(walk->st, STATUS_BAD_ENCODING, "a file name in \"%s\" is not valid UTF-8", folder);
        return status_hint(walk->st, "Rename the file, or use a pattern that does not match it.");
    }
    path = malloc(length);
    if (path == NULL)
        return status_out_of_memory(walk->st, length);
    snprintf(path, length, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name);
    if (S_ISREG(info.st_mode))
        fine = add_found(walk, path, &info);
    else
    {
        fd = local_fs_enter(walk->fs, at, name, &error);
        if (fd >= 0)
            fine = walk_folder(walk, fd, path, below, depth + 1);
        else if (error != ENOENT && error != ENOTDIR && error != ELOOP && error != LOCAL_FS_FORBIDDEN)
            fine = local_fs_os_fail("directory", path, error, walk->st);
    }
    free(path);
    return fine;
}

/* Finds files in directory `at`, which it closes, and below it. */
static bool
walk_folder(Walk *walk, int at, const char *folder, PathNext next, int depth)
{
    struct dirent *entry;
    bool fine = true;
    DIR *dir;

    if (!listing_enter(&walk->folders, depth, walk->st))
    {
        close(at);
        return false;
    }
    dir = fdopendir(at);
    if (dir == NULL)
    {
        close(at);
        return local_fs_os_fail("directory", folder, errno, walk->st);
    }
    while (fine && (entry = readdir(dir)) != NULL)
    {
        bool whole;
        PathNext below;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        below = path_pattern_step(&walk->pattern, next, entry->d_name, &whole);
        if (below != 0 || whole)
            fine = walk_entry(walk, dirfd(dir), folder, entry->d_name, below, whole, depth);
    }
    closedir(dir);
    return fine;
}

static bool
walk_pattern(void *context, const char *folder, const char *pattern, Status *st)
{
    Walk *walk = context;
    int at, depth = folder[0] != '\0';
    const char *p;

    if (!path_pattern_parse(&walk->pattern, pattern, st))
        return false;
    at = local_fs_open_base_again(walk->fs);
    if (at < 0)
        return local_fs_os_fail("directory", walk->fs->base_path, errno, st);
    at = local_fs_walk_down(walk->fs, at, folder, folder, st);
    for (p = folder; *p != '\0'; p++)
        depth += *p == '/';
    return at >= 0 && walk_folder(walk, at, folder, path_pattern_begin(&walk->pattern), depth);
}

/* ---- resources --------------------------------------------------------- */

static bool
walk_exact(void *context, const char *name, bool *exists, Status *st)
{
    Walk *walk = context;
    struct stat info = {.st_mode = 0};
    int fd;

    *exists = true;
    if (local_fs_open_file(walk->fs, name, &fd, &info, st))
    {
        close(fd);
        return add_found(walk, name, &info);
    }
    if (S_ISDIR(info.st_mode))
        return walk_pattern(walk, name, "", st);
    *exists = false;
    return false;
}

bool
local_fs_list(LocalFs *fs, const char *resource, DriverEmit emit, void *context, Status *st)
{
    static const ListingWays ways = {walk_exact, walk_pattern};
    Walk walk = {.fs = fs, .st = st};
    char *relative;
    bool fine;

    if (resource == NULL)
        resource = "";
    if (path_goes_up(resource))
        return status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", resource);
    if (resource[0] == '/' && !listing_lies_below(resource, fs->base_path))
    {
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" does not lie below basePath \"%s\"", resource, fs->base_path);
        return status_hint(st, "Give the path relative to basePath.");
    }
    relative = path_clean(local_fs_relative(fs, resource));
    if (relative == NULL)
        return status_out_of_memory(st, strlen(resource));
    fine = listing_resolve(&ways, &walk, relative, st);
    free(relative);
    return listing_finish(&walk.listing, fine, emit, context, st);
}

/* One entry of the base; what is neither file nor folder, or hidden, is passed over. */
static bool
look_at(const LocalFs *fs, int at, const char *name, DriverEmit emit, void *context, Status *st)
{
    struct stat info;
    char folder[300];

    if (name[0] == '.' || !convert_utf8_valid(name, strlen(name)) || fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    if (S_ISREG(info.st_mode))
        return emit(context, &(DriverEntry) {name, (uint64_t) info.st_size, local_fs_mtime(&info), ""}, st);
    snprintf(folder, sizeof(folder), "%s/", name);
    return !S_ISDIR(info.st_mode) || local_fs_is_forbidden(fs, &info) || emit(context, &(DriverEntry) {folder, 0, 0, ""}, st);
}

bool
local_fs_look(void *session, DriverEmit emit, void *context, Status *st)
{
    const LocalFs *fs = session;
    int at = local_fs_open_base_again(fs), left = DRIVER_LOOK_MAX;
    DIR *dir = at < 0 ? NULL : fdopendir(at);
    struct dirent *entry;
    bool fine = true;

    if (dir == NULL)
    {
        (void) local_fs_os_fail("directory", fs->base_path, errno, st);
        if (at >= 0)
            close(at);
        return false;
    }
    while (fine && left >= 0 && (entry = readdir(dir)) != NULL)
    {
        left -= entry->d_name[0] != '.';
        fine = left >= 0 ? look_at(fs, at, entry->d_name, emit, context, st) : emit(context, &driver_look_more, st);
    }
    closedir(dir);
    return fine;
}
