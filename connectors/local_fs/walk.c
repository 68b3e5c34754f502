/*
 * walk.c: from names to open directories and files, and listings.
 *
 * All access goes through enter() and open_last(): openat with O_NOFOLLOW on
 * one component, from a directory that was reached the same way.  A component
 * swapped for a symbolic link between two calls is therefore refused, not
 * followed.  O_NONBLOCK keeps the open of a FIFO from waiting; what is no
 * regular file is closed again at once.
 *
 * A pattern is matched component by component (fnmatch, where * and ? don't
 * match a leading dot).  A listing leaves out what is no regular file, links,
 * and hidden names that the pattern does not spell out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../connectors/local_fs/local_fs.h"
#include "format/convert.h"

int64_t
local_fs_mtime(const struct stat *info)
{
    return (int64_t) info->st_mtim.tv_sec * 1000000 + info->st_mtim.tv_nsec / 1000;
}

/* What the operating system said about `path`, as a status. */
static bool
os_fail(const char *what, const char *path, int error, Status *st)
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
        case ENXIO:
            return status_fail(st, STATUS_WRONG_KIND, "\"%s\" is not a regular file", path);
        default:
            return status_fail(st, STATUS_IO, "could not open %s \"%s\": %s", what, path, strerror(error));
    }
}

static bool
is_forbidden(const LocalFs *fs, const struct stat *info)
{
    size_t i;

    for (i = 0; i < fs->nforbidden; i++)
        if (fs->forbidden[i].device == info->st_dev && fs->forbidden[i].inode == info->st_ino)
            return true;
    return false;
}

/* Opens directory `name` (n bytes) below `at`; `path` is the whole, for messages.  -1 on failure. */
static int
enter(const LocalFs *fs, int at, const char *name, size_t n, const char *path, Status *st)
{
    char component[256];
    struct stat info;
    int fd;

    if (n >= sizeof(component))
        return os_fail("directory", path, ENAMETOOLONG, st), -1;
    memcpy(component, name, n);
    component[n] = '\0';
    if (strcmp(component, "..") == 0)
    {
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", path);
        return -1;
    }
    fd = openat(at, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
    {
        int error = errno;

        /* With O_DIRECTORY a link is "not a directory": tell the two apart. */
        if (error == ENOTDIR && fstatat(at, component, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
            error = ELOOP;
        os_fail("directory", path, error, st);
        return -1;
    }
    if (fstat(fd, &info) != 0 || is_forbidden(fs, &info))
    {
        close(fd);
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" lies in a directory that must not be read", path);
        return -1;
    }
    return fd;
}

/* ---- the base ---------------------------------------------------------- */

/* True when `path` equals `root` or lies below it; both absolute, without a slash at the end. */
static bool
lies_below(const char *path, const char *root)
{
    size_t n = strlen(root);

    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/' || (n > 0 && root[n - 1] == '/'));
}

static char *
without_end_slash(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return strndup(path, n);
}

/* Walks from directory `fd` (which is closed) along `rest`; -1 on failure. */
static int
walk_down(const LocalFs *fs, int fd, const char *rest, const char *path, Status *st)
{
    int depth = 0;

    while (*rest != '\0' && fd >= 0)
    {
        size_t n = strcspn(rest, "/");

        if (n > 0 && !(n == 1 && rest[0] == '.'))
        {
            int next = ++depth > LOCAL_FS_DEPTH ? -1 : enter(fs, fd, rest, n, path, st);

            if (depth > LOCAL_FS_DEPTH)
                status_fail(st, STATUS_LIMIT, "path \"%s\" has more than %d components", path, LOCAL_FS_DEPTH);
            close(fd);
            fd = next;
        }
        rest += n + (rest[n] == '/' ? 1 : 0);
    }
    return fd;
}

/*
 * Opens a root.  Its path is the administrator's, so links in it are followed;
 * it must not lie inside a forbidden directory.
 */
static int
open_root(const LocalFs *fs, const DriverConfig *config, const char *root, Status *st)
{
    char *real = realpath(root, NULL), *forbidden;
    struct stat info;
    bool inside = false;
    size_t i;
    int fd;

    if (real == NULL)
        return os_fail("root directory", root, errno, st), -1;
    for (i = 0; i < config->nforbidden; i++)
    {
        forbidden = realpath(config->forbidden[i], NULL);
        if (forbidden != NULL && lies_below(real, forbidden))
            inside = true;
        free(forbidden);
    }
    fd = inside ? -1 : open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (inside)
        status_fail(st, STATUS_FORBIDDEN, "root directory \"%s\" lies in a directory that must not be read", root);
    else if (fd < 0)
        os_fail("root directory", root, errno, st);
    else if (fstat(fd, &info) != 0 || is_forbidden(fs, &info))
    {
        close(fd);
        fd = -1;
        status_fail(st, STATUS_FORBIDDEN, "root directory \"%s\" must not be read", root);
    }
    free(real);
    return fd;
}

static bool
note_forbidden(LocalFs *fs, const DriverConfig *config, Status *st)
{
    struct stat info;
    size_t i;

    fs->forbidden = calloc(config->nforbidden + 1, sizeof(*fs->forbidden));
    if (fs->forbidden == NULL)
        return status_out_of_memory(st, 0);
    for (i = 0; i < config->nforbidden; i++)
    {
        if (stat(config->forbidden[i], &info) != 0)
            continue;
        fs->forbidden[fs->nforbidden].device = info.st_dev;
        fs->forbidden[fs->nforbidden++].inode = info.st_ino;
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
    if (config->nroots == 0)
        return status_hint(st, "No directory may be read: kaireon.local_fs_roots is empty.");
    return status_hint(st, "kaireon.local_fs_roots allows: %s.", list);
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

        if (root != NULL && root[0] == '/' && lies_below(fs->base_path, root))
        {
            const char *rest = fs->base_path + strlen(root);

            fd = open_root(fs, config, root, st);
            fs->base = fd < 0 ? -1 : walk_down(fs, fd, rest, fs->base_path, st);
            free(root);
            return fs->base >= 0;
        }
        free(root);
    }
    status_fail(st, STATUS_FORBIDDEN, "basePath \"%s\" lies in no directory that may be read", base_path);
    return list_roots(config, st);
}

const char *
local_fs_relative(const LocalFs *fs, const char *path)
{
    if (path[0] == '/' && lies_below(path, fs->base_path))
        path += strlen(fs->base_path);
    while (*path == '/')
        path++;
    return path;
}

/*
 * The base once more, under a descriptor to be closed.  Not dup: copies share
 * the place where a listing of the directory stands.
 */
static int
open_base_again(const LocalFs *fs)
{
    return openat(fs->base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- one file ---------------------------------------------------------- */

/* Opens `name` in directory `at` if it is a regular file. */
static bool
open_last(int at, const char *name, const char *path, int *fd, struct stat *info, Status *st)
{
    *fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0)
        return os_fail("file", path, errno, st);
    if (fstat(*fd, info) == 0 && S_ISREG(info->st_mode))
        return true;
    close(*fd);
    *fd = -1;
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
    at = open_base_again(fs);
    if (at < 0)
    {
        free(folder);
        return os_fail("directory", fs->base_path, errno, st);
    }
    at = walk_down(fs, at, folder, path, st);
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

/* ---- listing ----------------------------------------------------------- */

typedef struct Found { char *path; uint64_t size; int64_t mtime; } Found;

typedef struct Walk
{
    LocalFs *fs;
    Found *found;
    size_t nfound, size;
    Status *st;
} Walk;

static bool
add_found(Walk *walk, const char *folder, const char *name, const struct stat *info)
{
    size_t length = strlen(folder) + strlen(name) + 2;
    Found *f;

    if (walk->nfound == LOCAL_FS_LIST_MAX)
        return status_fail(walk->st, STATUS_LIMIT, "the listing has more than %d files", LOCAL_FS_LIST_MAX);
    if (walk->nfound == walk->size)
    {
        size_t size = walk->size * 2 + 64;
        Found *grown = realloc(walk->found, size * sizeof(*grown));

        if (grown == NULL)
            return status_out_of_memory(walk->st, size * sizeof(*grown));
        walk->found = grown;
        walk->size = size;
    }
    f = &walk->found[walk->nfound];
    f->path = malloc(length);
    if (f->path == NULL)
        return status_out_of_memory(walk->st, length);
    snprintf(f->path, length, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name);
    f->size = (uint64_t) info->st_size;
    f->mtime = local_fs_mtime(info);
    walk->nfound++;
    return true;
}

static bool
is_pattern(const char *s, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (s[i] == '*' || s[i] == '?' || s[i] == '[')
            return true;
    return false;
}

static bool walk_pattern(Walk *walk, int at, const char *folder, const char *pattern, int depth);

/* One name of a directory against the pattern's first component; `rest` is what follows it. */
static bool
walk_name(Walk *walk, int at, const char *folder, const char *name, const char *rest, int depth)
{
    struct stat info;
    char *path;
    size_t length;
    bool fine;
    int fd;

    if (fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return true;    /* gone since the directory was read */
    /* Names become text of the database: leaving one out silently would lose a file. */
    if (!convert_utf8_valid(name, strlen(name)))
    {
        status_fail(walk->st, STATUS_BAD_ENCODING, "a file name in \"%s\" is not valid UTF-8", folder);
        return status_hint(walk->st, "Rename the file, or use a pattern that does not match it.");
    }
    if (rest == NULL)
        return !S_ISREG(info.st_mode) || add_found(walk, folder, name, &info);
    if (!S_ISDIR(info.st_mode) || is_forbidden(walk->fs, &info))
        return true;
    length = strlen(folder) + strlen(name) + 2;
    path = malloc(length);
    if (path == NULL)
        return status_out_of_memory(walk->st, length);
    snprintf(path, length, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", name);
    fd = enter(walk->fs, at, name, strlen(name), path, walk->st);
    fine = fd >= 0 && walk_pattern(walk, fd, path, rest, depth + 1);
    free(path);
    return fine;
}

/* Lists directory `at`, which it closes, by `pattern`: "a?/b*.csv". */
static bool
walk_pattern(Walk *walk, int at, const char *folder, const char *pattern, int depth)
{
    size_t n = strcspn(pattern, "/");
    const char *rest = pattern + n;
    char component[256];
    struct dirent *entry;
    bool fine = true;
    DIR *dir;

    while (*rest == '/')
        rest++;
    if (n >= sizeof(component) || depth > LOCAL_FS_DEPTH)
    {
        close(at);
        return status_fail(walk->st, STATUS_LIMIT, "pattern is too long or too deep");
    }
    memcpy(component, pattern, n);
    component[n] = '\0';
    dir = fdopendir(at);
    if (dir == NULL)
    {
        close(at);
        return os_fail("directory", folder, errno, walk->st);
    }
    while (fine && (entry = readdir(dir)) != NULL)
    {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fnmatch(component, entry->d_name, FNM_PERIOD | FNM_NOESCAPE) != 0)
            continue;
        fine = walk_name(walk, dirfd(dir), folder, entry->d_name, *rest == '\0' ? NULL : rest, depth);
    }
    closedir(dir);
    return fine;
}

static int
compare_found(const void *a, const void *b)
{
    return strcmp(((const Found *) a)->path, ((const Found *) b)->path);
}

/*
 * Splits a resource into the folder named plainly and the pattern after it;
 * "a/b" without a pattern character is a folder or a file.
 */
static bool
walk_resource(Walk *walk, const char *resource)
{
    size_t plain = 0, next;
    const char *name;
    struct stat info;
    char *folder;
    bool fine;
    int at, fd;

    while (resource[plain] != '\0' && !is_pattern(resource + plain, strcspn(resource + plain, "/")))
    {
        next = plain + strcspn(resource + plain, "/");
        while (resource[next] == '/')
            next++;
        plain = next;
    }
    if (resource[plain] == '\0' && plain > 0)
    {
        info.st_mode = 0;
        if (local_fs_open_file(walk->fs, resource, &fd, &info, walk->st))
        {
            close(fd);
            return add_found(walk, "", resource, &info);
        }
        if (!S_ISDIR(info.st_mode))
            return false;
    }
    at = open_base_again(walk->fs);
    folder = strndup(resource, plain);
    if (at < 0 || folder == NULL)
    {
        int error = errno;

        if (at >= 0)
            close(at);
        free(folder);
        return at < 0 ? os_fail("directory", walk->fs->base_path, error, walk->st) : status_out_of_memory(walk->st, 0);
    }
    while (plain > 0 && folder[plain - 1] == '/')
        folder[--plain] = '\0';
    at = walk_down(walk->fs, at, folder, folder, walk->st);
    name = resource + strlen(folder);
    while (*name == '/')
        name++;
    fine = at >= 0 && walk_pattern(walk, at, folder, *name == '\0' ? "*" : name, 0);
    free(folder);
    return fine;
}

/* Some component of the path is "..". */
static bool
goes_up(const char *path)
{
    size_t n;

    for (; *path != '\0'; path += n + (path[n] == '/' ? 1 : 0))
    {
        n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.')
            return true;
    }
    return false;
}

bool
local_fs_list(LocalFs *fs, const char *resource, DriverEmit emit, void *context, Status *st)
{
    Walk walk = {fs, NULL, 0, 0, st};
    char *relative;
    bool fine;
    size_t i;

    if (resource == NULL)
        resource = "";
    if (goes_up(resource))
        return status_fail(st, STATUS_FORBIDDEN, "\"%s\" contains \"..\"", resource);
    if (resource[0] == '/' && !lies_below(resource, fs->base_path))
    {
        status_fail(st, STATUS_FORBIDDEN, "\"%s\" does not lie below basePath \"%s\"", resource, fs->base_path);
        return status_hint(st, "Give the path relative to basePath.");
    }
    relative = without_end_slash(local_fs_relative(fs, resource));
    if (relative == NULL)
        return status_out_of_memory(st, strlen(resource));
    fine = walk_resource(&walk, strcmp(relative, ".") == 0 ? "" : relative);
    free(relative);
    if (fine && walk.nfound > 1)
        qsort(walk.found, walk.nfound, sizeof(*walk.found), compare_found);
    for (i = 0; i < walk.nfound; i++)
    {
        DriverEntry entry = {walk.found[i].path, walk.found[i].size, walk.found[i].mtime, ""};

        fine = fine && emit(context, &entry, st);
        free(walk.found[i].path);
    }
    free(walk.found);
    return fine;
}
