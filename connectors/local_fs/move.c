/*
 * move.c: moving a file to another folder below the base.
 *
 * Both folders are reached as walk.c reaches them.  Nothing that is there is
 * ever overwritten: a name that is taken gets ".1", ".2"... behind it.  A move
 * that was made already is found by the file's size and time, so that it can be
 * asked for again after a crash; or, where the name is the file's alone, by that.
 */
#define _GNU_SOURCE     /* renameat2 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectors/local_fs/local_fs.h"
#include "core/numbered.h"

/* So many files of one name in one folder. */
#define LOCAL_FS_NAMES_MAX 10000

/* A file to be moved, and where to. */
typedef struct Move
{
    const DriverEntry *entry;
    int from, to;           /* its folders */
    const char *name;
    const char *target;     /* its path there, without a number */
    const char *target_name;
    bool own;               /* nothing else has that name */
} Move;

/* What a name leads to. */
typedef enum Found { FOUND_NOTHING, FOUND_IT, FOUND_OTHER } Found;

static Found
look(const Move *move, int at, const char *name)
{
    struct stat info;

    if (fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? FOUND_NOTHING : FOUND_OTHER;
    return S_ISREG(info.st_mode) && (uint64_t) info.st_size == move->entry->size && local_fs_mtime(&info) == move->entry->mtime
        ? FOUND_IT : FOUND_OTHER;
}

/* Opens the folder of `path`, making what is missing when `make`; *name is its last component. */
static int
open_folder(const LocalFs *fs, const char *path, bool make, const char **name, Status *st)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    int fd;

    *name = slash == NULL ? path : slash + 1;
    if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
        return status_fail(st, STATUS_INVALID_VALUE, "\"%s\" does not name a file", path), -1;
    folder = strndup(path, (size_t) (*name - path));
    if (folder == NULL)
        return status_out_of_memory(st, 0), -1;
    fd = local_fs_open_base_again(fs);
    if (fd < 0)
        local_fs_os_fail("directory", fs->base_path, errno, st);
    else
        fd = make ? local_fs_make_down(fs, fd, folder, path, st) : local_fs_walk_down(fs, fd, folder, path, st);
    free(folder);
    return fd;
}

/* Renames without overwriting; errno says why not. */
static bool
rename_once(const Move *move, const char *name)
{
    if (renameat2(move->from, move->name, move->to, name, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    /* a file system without that flag: a second name, which fails where there is one */
    return linkat(move->from, move->name, move->to, name, 0) == 0 && unlinkat(move->from, move->name, 0) == 0;
}

static bool
move_fail(const Move *move, int error, Status *st)
{
    status_fail(st, error == EACCES || error == EPERM || error == EROFS ? STATUS_FORBIDDEN : STATUS_IO,
                "could not move file \"%s\" to \"%s\": %s", move->entry->path, move->target, strerror(error));
    if (error == EXDEV)
        return status_hint(st, "Both folders must lie on the same file system.");
    return status_hint(st, "The server's operating system user must be able to write both folders.");
}

static bool
changed_fail(const Move *move, Status *st)
{
    status_fail(st, STATUS_CHANGED, "file \"%s\" is not the one that was read", move->entry->path);
    status_detail(st, "The one that was read had %" PRIu64 " bytes.", move->entry->size);
    return status_hint(st, "Another has come in its place, which the next run reads; this one was left where it is.");
}

/* What has the file's own name is the file, whatever has come to its old one since. */
static bool
was_moved(const Move *move, bool *done, Status *st)
{
    struct stat there, here;

    if (!move->own || fstatat(move->to, move->target_name, &there, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    *done = true;
    if (fstatat(move->from, move->name, &here, AT_SYMLINK_NOFOLLOW) != 0 || here.st_ino != there.st_ino || here.st_dev != there.st_dev)
        return true;
    /* rename_once was stopped between its two steps */
    return unlinkat(move->from, move->name, 0) == 0 || move_fail(move, errno, st);
}

/* Tries one name; *done when the file is there. */
static bool
try_name(const Move *move, const char *name, Found source, bool *done, Status *st)
{
    Found target = look(move, move->to, name);

    *done = target == FOUND_IT && source != FOUND_IT;   /* it was moved before */
    if (*done || target != FOUND_NOTHING)
        return true;
    if (source == FOUND_OTHER)
        return changed_fail(move, st);
    if (source == FOUND_NOTHING)
        return local_fs_os_fail("file", move->entry->path, ENOENT, st);
    *done = rename_once(move, name);
    return *done || errno == EEXIST || move_fail(move, errno, st);
}

static bool
move_between(const Move *move, char *place, size_t size, Status *st)
{
    Found source = look(move, move->from, move->name);
    bool done = false;
    int i;

    if (!was_moved(move, &done, st))
        return false;
    if (done)
        return numbered_path(move->target, 0, NUMBERED_NAME_MAX, place, size) || status_fail(st, STATUS_LIMIT, "path \"%s\" is too long", move->target);
    for (i = 0; i < LOCAL_FS_NAMES_MAX && !done; i++)
    {
        const char *name = place + (move->target_name - move->target);

        if (!numbered_path(move->target, i, NUMBERED_NAME_MAX, place, size) || strlen(name) > NAME_MAX)
            return status_fail(st, STATUS_LIMIT, "path \"%s\" is too long", move->target);
        if (!try_name(move, name, source, &done, st))
            return false;
    }
    return done || status_fail(st, STATUS_LIMIT, "there are %d files \"%s\" already", LOCAL_FS_NAMES_MAX, move->target);
}

bool
local_fs_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    LocalFs *fs = session;
    Move move = {.entry = entry, .from = -1, .to = -1, .target = to, .own = fs->claims};
    bool fine = false;

    move.from = open_folder(fs, local_fs_relative(fs, entry->path), false, &move.name, st);
    if (move.from >= 0)
        move.to = open_folder(fs, to, true, &move.target_name, st);
    if (move.from >= 0 && move.to >= 0)
        fine = move_between(&move, place, size, st);
    if (move.from >= 0)
        close(move.from);
    if (move.to >= 0)
        close(move.to);
    return fine;
}
