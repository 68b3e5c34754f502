/*
 * read.c: reading a file in order.
 *
 * libssh2 asks for several times as much as a read has room for, and so is
 * ahead of what is read.  When the connection breaks it is made again, and the
 * file goes on where it was if it still has the size and time it had; no bytes
 * behind the first size are read, and both are compared again at the end, as
 * local_fs does.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/sftp/sftp.h"
#include "core/sha256.h"

/* Room of a read: libssh2 asks for four times as much, which is what OpenSSH lets be under way. */
#define ROOM (512 * 1024)
#define HEAD_BYTES 65536

/* Connections that may break without a byte in between. */
#define BREAKS_MAX 3

typedef struct SftpFile
{
    Sftp *sftp;
    char *path;             /* as listed, for messages */
    char full[SFTP_PATH_MAX];
    LIBSSH2_SFTP_HANDLE *handle;
    uint64_t connection;    /* the handle's */
    uint64_t size;          /* as they were at the open */
    int64_t mtime;
    uint8_t *room;
    size_t nroom;           /* bytes it can hold */
    size_t ask;             /* bytes to ask for at once: more each time, up to all of it */
    size_t have, used;      /* bytes in it, and of these given away */
    uint64_t at;            /* bytes fetched, all in all */
    bool finished;          /* the end was reached and compared */
} SftpFile;

static void
close_handle(SftpFile *file)
{
    Sftp *sftp = file->sftp;
    int rc;

    if (file->handle != NULL && sftp->files != NULL && file->connection == sftp->connection)
    {
        if (sftp->broken)
            (void) libssh2_sftp_close_handle(file->handle);
        else
            SFTP_CALL(sftp, rc, libssh2_sftp_close_handle(file->handle));
    }
    file->handle = NULL;
}

/* ---- opening ---------------------------------------------------------------- */

/* The connection is there; `known`: it was a regular file when it was listed. */
static bool
open_once(SftpFile *file, bool known, LIBSSH2_SFTP_ATTRIBUTES *info, Status *st)
{
    Sftp *sftp = file->sftp;
    int rc = known ? 0 : sftp_stat(sftp, file->full, false, info);

    if (rc != 0)
        return sftp_path_fail(sftp, rc, "read", "file", file->path, st);
    /* Opening a FIFO would wait for whoever writes into it. */
    if (!known && !sftp_is_file(info))
    {
        status_fail(st, STATUS_WRONG_KIND, "\"%s\" is not a regular file", file->path);
        return sftp_is_folder(info) ? status_hint(st, "It is a directory: name it as the resource to read its files, or use a pattern.") : false;
    }
    SFTP_CALL_POINTER(sftp, file->handle, libssh2_sftp_open_ex(sftp->files, file->full, (unsigned int) strlen(file->full), LIBSSH2_FXF_READ, 0, LIBSSH2_SFTP_OPENFILE));
    if (file->handle == NULL)
        return sftp_path_fail(sftp, libssh2_session_last_errno(sftp->ssh), "read", "file", file->path, st);
    file->connection = sftp->connection;
    memset(info, 0, sizeof(*info));
    SFTP_CALL(sftp, rc, libssh2_sftp_fstat_ex(file->handle, info, 0));
    return rc == 0 || sftp_path_fail(sftp, rc, "read", "file", file->path, st);
}

/* Makes a connection where there is none, and opens the file. */
static bool
open_file(SftpFile *file, bool known, LIBSSH2_SFTP_ATTRIBUTES *info, Status *st)
{
    for (int i = 0; i < BREAKS_MAX && !file->sftp->over; i++)
    {
        close_handle(file);
        status_clear(st);
        if (!sftp_ready(file->sftp, st))
            return false;
        if (open_once(file, known, info, st))
            return true;
        if (!file->sftp->broken)
            return false;
    }
    return false;
}

static bool
changed(const SftpFile *file, uint64_t size, Status *st)
{
    status_fail(st, STATUS_IO, "file \"%s\" changed while it was read", file->path);
    status_detail(st, "It had %" PRIu64 " bytes when it was opened, and has %" PRIu64 " now; %" PRIu64 " were read.", file->size, size, file->at);
    return status_hint(st, "Write files under another name and rename them when they are complete.");
}

static bool
same(const SftpFile *file, const LIBSSH2_SFTP_ATTRIBUTES *info)
{
    return info->filesize == file->size && sftp_mtime(info) == file->mtime;
}

/* ---- bytes ------------------------------------------------------------------ */

/* Behind what the room holds: fetches more; nothing only where the file ends. */
static bool
fetch(SftpFile *file, Status *st)
{
    Sftp *sftp = file->sftp;
    LIBSSH2_SFTP_ATTRIBUTES info;
    size_t size = file->nroom - file->have < file->ask ? file->nroom - file->have : file->ask;

    /* libssh2 asks for four times as much in advance: who takes ten rows of a large file wants little. */
    if (file->ask < ROOM)
        file->ask *= 2;
    for (int breaks = 0;; breaks++)
    {
        ssize_t n;

        SFTP_CALL(sftp, n, libssh2_sftp_read(file->handle, (char *) file->room + file->have, size));
        if (n >= 0)
        {
            if ((uint64_t) n > file->size - file->at)
                n = (ssize_t) (file->size - file->at);
            file->have += (size_t) n;
            file->at += (uint64_t) n;
            return true;
        }
        (void) sftp_path_fail(sftp, (int) n, "read", "file", file->path, st);
        if (!sftp->broken || breaks == BREAKS_MAX || !open_file(file, true, &info, st))
            return false;
        if (!same(file, &info))
            return changed(file, info.filesize, st);
        libssh2_sftp_seek64(file->handle, file->at);
    }
}

/* The head is fetched at the open, and hashed. */
static bool
fetch_head(SftpFile *file, char *hex, Status *st)
{
    size_t wanted = file->size < HEAD_BYTES ? (size_t) file->size : HEAD_BYTES, had = SIZE_MAX;

    while (file->have < wanted && file->have != had)
    {
        had = file->have;
        if (!fetch(file, st))
            return false;
    }
    return sha256_hex(file->room, file->have < wanted ? file->have : wanted, hex, st);
}

bool
sftp_object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    SftpFile *file = calloc(1, sizeof(*file));
    LIBSSH2_SFTP_ATTRIBUTES found;
    char *relative;
    bool fine;

    *object = NULL;
    sftp_operation(session);
    if (file == NULL)
        return status_out_of_memory(st, sizeof(*file));
    file->sftp = session;
    file->path = strdup(entry->path);
    relative = sftp_relative(session, entry->path, st);
    fine = relative != NULL && (file->path != NULL || status_out_of_memory(st, 0)) &&
        sftp_full_path(session, relative, file->full, sizeof(file->full), st) && open_file(file, listed, &found, st);
    free(relative);
    if (fine)
    {
        file->size = found.filesize;
        file->mtime = sftp_mtime(&found);
        /* Small files get a small room: what is asked for behind their end has to be answered too. */
        file->nroom = file->size < ROOM ? (size_t) file->size + 1 : ROOM;
        file->ask = HEAD_BYTES / 2;
        file->room = malloc(file->nroom);
        fine = file->room != NULL ? fetch_head(file, info->head_hash, st) : status_out_of_memory(st, file->nroom);
    }
    if (!fine)
    {
        sftp_object_close(file);
        return false;
    }
    info->size = file->size;
    info->mtime = file->mtime;
    info->etag = "";
    *object = file;
    return true;
}

/* The end: the file must be what it was when it was opened. */
static bool
compare_end(SftpFile *file, Status *st)
{
    LIBSSH2_SFTP_ATTRIBUTES now = {.flags = 0};
    int rc;

    SFTP_CALL(file->sftp, rc, libssh2_sftp_fstat_ex(file->handle, &now, 0));
    if (rc != 0)
    {
        (void) sftp_path_fail(file->sftp, rc, "read", "file", file->path, st);
        if (!file->sftp->broken || !open_file(file, true, &now, st))
            return false;
    }
    if (!same(file, &now) || file->at != file->size)
        return changed(file, now.filesize, st);
    file->finished = true;
    return true;
}

bool
sftp_object_read(void *object, uint8_t *out, size_t size, size_t *got, Status *st)
{
    SftpFile *file = object;

    *got = 0;
    if (file->finished)
        return true;
    if (file->used == file->have)
    {
        file->used = file->have = 0;
        if (file->at < file->size && !fetch(file, st))
            return false;
        if (file->have == 0)
            return compare_end(file, st);
    }
    *got = file->have - file->used < size ? file->have - file->used : size;
    memcpy(out, file->room + file->used, *got);
    file->used += *got;
    return true;
}

void
sftp_object_close(void *object)
{
    SftpFile *file = object;

    if (file == NULL)
        return;
    close_handle(file);
    free(file->room);
    free(file->path);
    free(file);
}
