/*
 * local_fs.c: reading files of the server's own machine.
 *
 * walk.c decides what may be opened; here a file is read in order with plain
 * reads (no mapping: a file that shrinks would kill the process, and mappings
 * count against the reader's memory limit).  A file that is changed while it
 * is read gives an error instead of rows of two versions: size and time are
 * compared with those at the open when the end is reached, and no byte behind
 * the first size is read.
 */
#include "../connectors/local_fs/local_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json_fields.h"
#include "core/path_pattern.h"
#include "core/sha256.h"

#define HEAD_BYTES 65536

typedef struct LocalFile
{
    int fd;
    char *path;
    struct stat opened; /* as it was at the open */
    uint64_t at;        /* bytes read */
    bool finished;      /* the end was reached and compared */
} LocalFile;

static void
fs_close(void *session)
{
    LocalFs *fs = session;

    if (fs == NULL)
        return;
    if (fs->base >= 0)
        close(fs->base);
    free(fs->base_path);
    free(fs->forbidden);
    free(fs);
}

/* Where it lies, and whether it is there, may change until it is read. */
static bool
check_base(const char *base_path, Status *st)
{
    if (base_path == NULL || !path_goes_up(base_path))
        return true;
    status_fail(st, STATUS_FORBIDDEN, "basePath \"%s\" contains \"..\"", base_path);
    return status_hint(st, "Give the path of the directory itself.");
}

static bool
fs_open(const DriverConfig *config, void **session, Status *st)
{
    const char *base_path = NULL;
    const JsonField config_fields[] = {{"basePath", JSON_FIELD_TEXT, false, &base_path, 0, 0}};
    LocalFs *fs;

    *session = NULL;
    if (config->config != NULL && !json_fields_read(config->config, "connector config", config_fields, 1, st))
        return false;
    if (config->auth != NULL && json_object_size(config->auth) > 0)
        return status_fail(st, STATUS_INVALID_VALUE, "connector type \"local_fs\" takes no authentication");
    fs = calloc(1, sizeof(*fs));
    if (fs == NULL)
        return status_out_of_memory(st, sizeof(*fs));
    fs->base = -1;
    if (config->checks ? !check_base(base_path, st) : !local_fs_open_base(fs, config, base_path, st))
    {
        fs_close(fs);
        return false;
    }
    fs->claims = config->claims;
    *session = fs;
    return true;
}

static bool
fs_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    return local_fs_list(session, resource, emit, context, st);
}

/* ---- files ------------------------------------------------------------- */

static bool
read_fail(const LocalFile *file, int error, Status *st)
{
    return status_fail(st, STATUS_IO, "could not read file \"%s\": %s", file->path, strerror(error));
}

/* sha256 of the first 64 kB; the file's position stays where it is. */
static bool
hash_head(LocalFile *file, char *hex, Status *st)
{
    uint8_t *head = malloc(HEAD_BYTES);
    size_t have = 0;
    ssize_t n;
    bool fine;

    if (head == NULL)
        return status_out_of_memory(st, HEAD_BYTES);
    while (have < HEAD_BYTES && (n = pread(file->fd, head + have, HEAD_BYTES - have, (off_t) have)) != 0)
    {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
        {
            free(head);
            return read_fail(file, errno, st);
        }
        have += (size_t) n;
    }
    fine = sha256_hex(head, have, hex, st);
    free(head);
    return fine;
}

static void
file_close(void *object)
{
    LocalFile *file = object;

    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file);
}

static bool
file_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    LocalFs *fs = session;
    LocalFile *file = calloc(1, sizeof(*file));
    const char *path = entry->path;

    (void) listed; /* the session compares */
    *object = NULL;
    if (file == NULL)
        return status_out_of_memory(st, sizeof(*file));
    file->fd = -1;
    file->path = strdup(path);
    if (file->path == NULL)
        status_out_of_memory(st, strlen(path));
    else if (local_fs_open_file(fs, local_fs_relative(fs, path), &file->fd, &file->opened, st) &&
             hash_head(file, info->head_hash, st))
    {
        /* Only a wish; the file is read the same without. */
        (void) posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        info->size = (uint64_t) file->opened.st_size;
        info->mtime = local_fs_mtime(&file->opened);
        info->etag = "";
        *object = file;
        return true;
    }
    file_close(file);
    return false;
}

/* The end: the file must be what it was when it was opened. */
static bool
compare_end(LocalFile *file, Status *st)
{
    struct stat now;

    if (fstat(file->fd, &now) != 0)
        return read_fail(file, errno, st);
    if (now.st_size == file->opened.st_size && local_fs_mtime(&now) == local_fs_mtime(&file->opened) &&
        file->at == (uint64_t) file->opened.st_size)
    {
        file->finished = true;
        return true;
    }
    status_fail(st, STATUS_IO, "file \"%s\" changed while it was read", file->path);
    status_detail(st, "It had %" PRIu64 " bytes when it was opened, and has %" PRIu64 " now; %" PRIu64 " were read.",
                  (uint64_t) file->opened.st_size, (uint64_t) now.st_size, file->at);
    return status_hint(st, "Write files under another name and rename them when they are complete.");
}

static bool
file_read(void *object, uint8_t *out, size_t size, size_t *got, Status *st)
{
    LocalFile *file = object;
    uint64_t left = (uint64_t) file->opened.st_size - file->at;
    ssize_t n;

    *got = 0;
    if (file->finished)
        return true;
    if (left == 0)
        return compare_end(file, st);
    if (size > left)
        size = (size_t) left;
    do
        n = read(file->fd, out, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return read_fail(file, errno, st);
    if (n == 0)
        return compare_end(file, st);
    file->at += (uint64_t) n;
    *got = (size_t) n;
    return true;
}

const Driver driver_local_fs = {
    .type = "local_fs",
    .open = fs_open,
    .close = fs_close,
    .list = fs_list,
    .look = local_fs_look,
    .object_open = file_open,
    .object_read = file_read,
    .object_close = file_close,
    .move = local_fs_move,
};
