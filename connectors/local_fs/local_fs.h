/*
 * local_fs.h: the driver for files of the server's own machine.
 *
 * local_fs.c opens and reads files, walk.c finds directories and lists them.
 * Nothing outside the allowed roots can be named: every path is walked one
 * component at a time from a root, without following symbolic links and
 * without "..", and a directory the request forbids (the data directory) is
 * known by its device and inode, whatever the path to it.
 */
#ifndef KAIREON_LOCAL_FS_H
#define KAIREON_LOCAL_FS_H

#include <sys/stat.h>
#include <sys/types.h>

#include "reader/driver.h"

extern const Driver driver_local_fs;

#define LOCAL_FS_DEPTH 64       /* components of a path */
#define LOCAL_FS_LIST_MAX 1000000

/* A directory, whatever its name. */
typedef struct LocalFsId { dev_t device; ino_t inode; } LocalFsId;

typedef struct LocalFs
{
    int base;           /* descriptor of the base directory */
    char *base_path;    /* as given, without a slash at the end; for messages */
    LocalFsId *forbidden;
    size_t nforbidden;
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

/* As Driver.list. */
STATUS_CHECK bool local_fs_list(LocalFs *fs, const char *resource, DriverEmit emit, void *context, Status *st);

/* `path` without the base when it begins with it, and without slashes at its ends; may be "". */
const char *local_fs_relative(const LocalFs *fs, const char *path);

/* Modification time in microseconds since 1970. */
int64_t local_fs_mtime(const struct stat *info);

#endif
