/*
 * walk.c: from names to open directories and files.
 *
 * All access goes through local_fs_enter() and open_last(): openat with
 * O_NOFOLLOW on one component, from a directory that was reached the same way.
 * A component swapped for a symbolic link between two calls is therefore
 * refused, not followed.  What is no regular file is not opened; O_NONBLOCK
 * keeps the open of a FIFO that has just taken a file's place from waiting, and
 * it is closed again at once.
 *
 * A forbidden directory is known by device and inode, and so are the
 * directories in it and those that links in it lead to (a data directory's WAL
 * and tablespaces): none of them is entered, under whatever name or mount.
 */
#define _GNU_SOURCE     /* O_PATH */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectors/local_fs/local_fs.h"
#include "reader/listing.h"

int64_t
local_fs_mtime(const struct stat *info)
{
    return (int64_t) info->st_mtim.tv_sec * 1000000 + info->st_mtim.tv_nsec / 1000;
}

bool
local_fs_os_fail(const char *what, const char *path, int error, Status *st)
{
    switch (error)
    {
        case ENOENT:
            status_fail(st, STATUS_NO_FILE, "%s \"%s\" does not exist", what, path);
            return status_hint(st, "Names are relative to the connector's basePath and exact in upper and lower case.");
        case ELOOP:
            status_fail(st, STATUS_FORBIDDEN, "\"%s\" is or goes through a symbolic link", path);
            return status_hint(st, "Links are not followed; name the file itself.");
        case ENOTDIR:
            return status_fail(st, STATUS_WRONG_KIND, "\"%s\" goes through something that is not a directory", path);
        case EACCES:
        case EPERM:
            status_fail(st, STATUS_FORBIDDEN, "no permission to read %s \"%s\"", what, path);
            return status_hint(st, "The server's operating system user must be able to read it.");
        case LOCAL_FS_FORBIDDEN:
            return status_fail(st, STATUS_FORBIDDEN, "\"%s\" lies in a directory that must not be read", path);
        case ENXIO:
            return status_fail(st, STATUS_WRONG_KIND, "\"%s\" is not a regular file", path);
        default:
            return status_fail(st, STATUS_IO, "could not open %s \"%s\": %s", what, path, strerror(error));
    }
}

/* ---- directories ------------------------------------------------------- */

bool
local_fs_is_forbidden(const LocalFs *fs, const struct stat *info)
{
    size_t i;

    for (i = 0; i < fs->nforbidden; i++)
        if (fs->forbidden[i].device == info->st_dev && fs->forbidden[i].inode == info->st_ino)
            return true;
    return false;
}

int
local_fs_enter(const LocalFs *fs, int at, const char *name, int *error)
{
    struct stat info;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
    {
        *error = errno;
        /* With O_DIRECTORY a link is "not a directory": tell the two apart. */
        if (*error == ENOTDIR && fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
            *error = ELOOP;
        return -1;
    }
    *error = fstat(fd, &info) != 0 ? errno : local_fs_is_forbidden(fs, &info) ? LOCAL_FS_FORBIDDEN : 0;
    if (*error == 0)
        return fd;
    close(fd);
    return -1;
}

/* Opens directory `name` (n bytes) below `at`; `path` is the whole, for messages.  -1 on failure. */
static int
enter(const LocalFs *fs, int at, const char *name, size_t n, const char *path, Status *st)
{
    char component[256];
    int fd, error;

    if (n >= sizeof(component))
        return local_fs_os_fail("directory", path, ENAMETOOLONG, st), -1;
    memcpy(component, name, n);
    component[n] = '\0';
    if (strcmp(component, "..") == 0)
    {
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", path);
        return -1;
    }
    fd = local_fs_enter(fs, at, component, &error);
    if (fd < 0)
        local_fs_os_fail("directory", path, error, st);
    return fd;
}

/* ---- the base ---------------------------------------------------------- */

static char *
without_end_slash(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return strndup(path, n);
}

/* Makes directory `name` (n bytes) below `at`, with its parent's mode, if it is not there; what fails is seen when it is entered. */
static void
make(int at, const char *name, size_t n)
{
    char component[256];
    struct stat info;

    if (n >= sizeof(component) || fstat(at, &info) != 0)
        return;
    memcpy(component, name, n);
    component[n] = '\0';
    (void) mkdirat(at, component, info.st_mode & 0777);
}

/* Walks down; `missing`: directories that are not there are made. */
static int
walk(const LocalFs *fs, int fd, const char *rest, const char *path, bool missing, Status *st)
{
    int depth = 0;

    while (*rest != '\0' && fd >= 0)
    {
        size_t n = strcspn(rest, "/");

        if (n > 0 && !(n == 1 && rest[0] == '.'))
        {
            int next;

            if (missing && depth < LOCAL_FS_DEPTH)
                make(fd, rest, n);
            next = ++depth > LOCAL_FS_DEPTH ? -1 : enter(fs, fd, rest, n, path, st);
            if (depth > LOCAL_FS_DEPTH)
                status_fail(st, STATUS_LIMIT, "path \"%s\" has more than %d components", path, LOCAL_FS_DEPTH);
            close(fd);
            fd = next;
        }
        rest += n + (rest[n] == '/' ? 1 : 0);
    }
    return fd;
}

int
local_fs_walk_down(const LocalFs *fs, int fd, const char *rest, const char *path, Status *st)
{
    return walk(fs, fd, rest, path, false, st);
}

int
local_fs_make_down(const LocalFs *fs, int fd, const char *rest, const char *path, Status *st)
{
    return walk(fs, fd, rest, path, true, st);
}

/* Whether directory `fd` or one above it is forbidden; true also when that can't be found out. */
static bool
lies_in_forbidden(const LocalFs *fs, int fd)
{
    struct stat info, above;
    bool forbidden = fstat(fd, &info) != 0 || local_fs_is_forbidden(fs, &info);

    fd = forbidden ? -1 : dup(fd);
    while (!forbidden)
    {
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0)
            close(fd);
        fd = up;
        if (fd < 0 || fstat(fd, &above) != 0 || local_fs_is_forbidden(fs, &above))
            forbidden = true;
        else if (above.st_dev == info.st_dev && above.st_ino == info.st_ino)
            break;
        info = above;
    }
    if (fd >= 0)
        close(fd);
    return forbidden;
}

/*
 * Opens a root.  Its path is the administrator's, so links in it are followed;
 * it must not lie inside a forbidden directory.
 */
static int
open_root(const LocalFs *fs, const char *root, Status *st)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return local_fs_os_fail("root directory", root, errno, st), -1;
    if (!lies_in_forbidden(fs, fd))
        return fd;
    close(fd);
    status_fail(st, STATUS_FORBIDDEN, "root directory \"%s\" lies in a directory that must not be read", root);
    return -1;
}

static bool
note(LocalFs *fs, const struct stat *info, Status *st)
{
    LocalFsId *grown;

    if (local_fs_is_forbidden(fs, info))
        return true;
    grown = realloc(fs->forbidden, (fs->nforbidden + 1) * sizeof(*grown));
    if (grown == NULL)
        return status_out_of_memory(st, 0);
    fs->forbidden = grown;
    fs->forbidden[fs->nforbidden++] = (LocalFsId) {info->st_dev, info->st_ino};
    return true;
}

/* Notes the directories in forbidden directory `fd`, which it closes; deeper ones only when a link leads there. */
static bool
note_below(LocalFs *fs, int fd, bool deep, Status *st)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    struct stat info;
    bool fine = true;

    if (dir == NULL)
    {
        close(fd);
        return true;
    }
    while (fine && (entry = readdir(dir)) != NULL)
    {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || entry->d_type == DT_REG ||
            (deep && entry->d_type == DT_DIR) || fstatat(dirfd(dir), entry->d_name, &info, 0) != 0 || !S_ISDIR(info.st_mode))
            continue;
        fine = note(fs, &info, st);
        fd = deep || !fine ? -1 : openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            fine = note_below(fs, fd, true, st);
    }
    closedir(dir);
    return fine;
}

static bool
note_forbidden(LocalFs *fs, const DriverConfig *config, Status *st)
{
    struct stat info;
    size_t i;
    int fd;

    for (i = 0; i < config->nforbidden; i++)
    {
        if (stat(config->forbidden[i], &info) != 0)
            continue;
        if (!note(fs, &info, st))
            return false;
        fd = open(config->forbidden[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && !note_below(fs, fd, false, st))
            return false;
    }
    return true;
}

static bool
list_roots(const DriverConfig *config, Status *st)
{
    char list[900];
    size_t used = 0, i;

    list[0] = '\0';
    for (i = 0; i < config->nroots && used < sizeof(list) - 1; i++)
        used += (size_t) snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", config->roots[i]);
    if (config->nroots == 0 && config->moves)
        return status_hint(st, "In no directory may files be moved: kaireon.local_fs_archive_roots is empty.");
    if (config->nroots == 0)
        return status_hint(st, "No directory may be read: kaireon.local_fs_roots is empty.");
    return status_hint(st, "kaireon.local_fs_%sroots allows: %s.", config->moves ? "archive_" : "", list);
}

/* Says of a failure that it is about the base. */
static bool
base_fail(Status *st)
{
    if (strcmp(st->sqlstate, STATUS_NO_FILE) == 0 || strcmp(st->sqlstate, STATUS_WRONG_KIND) == 0)
        (void) status_hint(st, "It is the connector's basePath, which has to be a directory; upper and lower case count.");
    return false;
}

bool
local_fs_open_base(LocalFs *fs, const DriverConfig *config, const char *base_path, Status *st)
{
    size_t i;
    int fd;

    if (!note_forbidden(fs, config, st))
        return false;
    if (base_path == NULL || base_path[0] == '\0')
    {
        if (config->nroots != 1)
        {
            status_fail(st, STATUS_INVALID_VALUE, "connector has no basePath, and there is not exactly one root");
            return list_roots(config, st);
        }
        base_path = config->roots[0];
    }
    if (base_path[0] != '/')
        return status_fail(st, STATUS_INVALID_VALUE, "basePath \"%s\" is not an absolute path", base_path);
    fs->base_path = without_end_slash(base_path);
    if (fs->base_path == NULL)
        return status_out_of_memory(st, strlen(base_path));
    for (i = 0; i < config->nroots; i++)
    {
        char *root = without_end_slash(config->roots[i]);

        if (root != NULL && root[0] == '/' && listing_lies_below(fs->base_path, root))
        {
            const char *rest = fs->base_path + strlen(root);

            fd = open_root(fs, root, st);
            fs->base = fd < 0 ? -1 : local_fs_walk_down(fs, fd, rest, fs->base_path, st);
            free(root);
            return fs->base >= 0 || base_fail(st);
        }
        free(root);
    }
    status_fail(st, STATUS_FORBIDDEN, "basePath \"%s\" lies in no directory %s", base_path,
                config->moves ? "whose files may be moved" : "that may be read");
    return list_roots(config, st);
}

const char *
local_fs_relative(const LocalFs *fs, const char *path)
{
    if (path[0] == '/' && listing_lies_below(path, fs->base_path))
        path += strlen(fs->base_path);
    while (*path == '/')
        path++;
    return path;
}

int
local_fs_open_base_again(const LocalFs *fs)
{
    return openat(fs->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- one file ---------------------------------------------------------- */

/* Opens `name` in directory `at` if it is a regular file. */
static bool
open_last(int at, const char *name, const char *path, int *fd, struct stat *info, Status *st)
{
    /* Opening a device may do something to it. */
    if (fstatat(at, name, info, AT_SYMLINK_NOFOLLOW) != 0)
        return local_fs_os_fail("file", path, errno, st);
    if (S_ISREG(info->st_mode) || S_ISLNK(info->st_mode))
    {
        *fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (*fd < 0)
            return local_fs_os_fail("file", path, errno, st);
        if (fstat(*fd, info) == 0 && S_ISREG(info->st_mode))
            return true;
        close(*fd);
        *fd = -1;
    }
    status_fail(st, STATUS_WRONG_KIND, "\"%s\" is not a regular file", path);
    if (S_ISDIR(info->st_mode))
        status_hint(st, "It is a directory: name it as the resource to read its files, or use a pattern.");
    return false;
}

bool
local_fs_open_file(const LocalFs *fs, const char *path, int *fd, struct stat *info, Status *st)
{
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    char *folder = strndup(path, (size_t) (name - path));
    int at;
    bool fine;

    *fd = -1;
    if (folder == NULL)
        return status_out_of_memory(st, 0);
    at = local_fs_open_base_again(fs);
    if (at < 0)
    {
        free(folder);
        return local_fs_os_fail("directory", fs->base_path, errno, st);
    }
    at = local_fs_walk_down(fs, at, folder, path, st);
    free(folder);
    if (at < 0)
        return false;
    if (strcmp(name, "..") == 0)
        fine = status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", path);
    else
        fine = open_last(at, name, path, fd, info, st);
    close(at);
    return fine;
}
