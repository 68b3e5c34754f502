/*
 * local_fs.h: the driver for files of the server's own machine.
 *
 * local_fs.c reads files, walk.c opens directories and files, list.c finds the
 * files that a resource names, move.c moves them.  Nothing outside the allowed roots can be named:
 * every path is walked one component at a time from a root, without following
 * symbolic links and without "..", and a directory the request forbids (the
 * data directory) is known by its device and inode, whatever the path to it.
 */
#ifndef KAIREON_LOCAL_FS_H
#define KAIREON_LOCAL_FS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "core/path_pattern.h"
#include "reader/driver.h"

extern const Driver driver_local_fs;

#define LOCAL_FS_DEPTH PATH_DEPTH

/* A directory, whatever its name. */
typedef struct LocalFsId { dev_t device; ino_t inode; } LocalFsId;

typedef struct LocalFs
{
    int base;           /* descriptor of the base directory */
    char *base_path;    /* as given, without a slash at the end; for messages */
    LocalFsId *forbidden;
    size_t nforbidden;
    bool claims;        /* DriverConfig.claims */
} LocalFs;

/*
 * Opens the base directory: basePath (NULL: the only root), which must equal or
 * lie below a root.  Fails with 42501, 58P01, 42809 or 22023.
 */
STATUS_CHECK bool local_fs_open_base(LocalFs *fs, const DriverConfig *config, const char *base_path, Status *st);

/*
 * Opens the regular file `path` below the base.  *fd is the caller's to close.
 * Fails with 58P01 (missing), 42809 (not a regular file), 42501 (a link, "..",
 * forbidden, or the operating system's own refusal).
 */
STATUS_CHECK bool local_fs_open_file(const LocalFs *fs, const char *path, int *fd, struct stat *info, Status *st);

/* As Driver.list.  Patterns are those of core/glob.h, component by component, with "**" for folders of any depth. */
STATUS_CHECK bool local_fs_list(LocalFs *fs, const char *resource, DriverEmit emit, void *context, Status *st);

/* As Driver.look. */
STATUS_CHECK bool local_fs_look(void *session, DriverEmit emit, void *context, Status *st);

/* As Driver.move. */
STATUS_CHECK bool local_fs_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st);

/* `path` without the base when it begins with it, and without slashes at its ends; may be "". */
const char *local_fs_relative(const LocalFs *fs, const char *path);

/* ---- between walk.c and list.c --------------------------------------------- */

/* Beside errno: the directory is forbidden. */
#define LOCAL_FS_FORBIDDEN (-1)

/* What `error` (an errno, or FORBIDDEN) says about `path`, a file, a directory.., as a status.  Returns false. */
bool local_fs_os_fail(const char *what, const char *path, int error, Status *st);

bool local_fs_is_forbidden(const LocalFs *fs, const struct stat *info);

/*
 * Opens directory `name`, one component, in directory `at`; no link is followed.
 * The descriptor is the caller's; -1 with *error on failure (ELOOP: a link).
 */
int local_fs_enter(const LocalFs *fs, int at, const char *name, int *error);

/*
 * Walks from directory `fd`, which it closes, along `rest`; `path` is the whole,
 * for messages.  The last directory's descriptor is the caller's; -1 on failure.
 */
int local_fs_walk_down(const LocalFs *fs, int fd, const char *rest, const char *path, Status *st);

/*
 * The base once more, under a descriptor to be closed, or -1 with errno.  Not dup:
 * copies share the place where a listing of the directory stands.
 */
int local_fs_open_base_again(const LocalFs *fs);

/* The same, and makes the directories that are missing. */
int local_fs_make_down(const LocalFs *fs, int fd, const char *rest, const char *path, Status *st);

/* Modification time in microseconds since 1970. */
int64_t local_fs_mtime(const struct stat *info);

#endif
