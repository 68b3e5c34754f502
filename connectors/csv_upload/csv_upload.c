/*
 * csv_upload.c: reads the one temporary file of a call.  See csv_upload.h.
 */
#include "../connectors/csv_upload/csv_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/json_fields.h"
#include "core/sha256.h"

#define HEAD_BYTES 65536
/* What messages, the ledger and run_errors call it; its end says how it is read. */
#define NAME "upload"   /* which says nothing about its format: the first bytes do */

typedef struct Upload
{
    int fd;
    DriverEntry entry;
} Upload;

static bool
fail(const char *what, int error, Status *st)
{
    return status_fail(st, STATUS_IO, "could not %s the uploaded text: %s", what, strerror(error));
}

static void
upload_close(void *session)
{
    Upload *upload = session;

    if (upload == NULL)
        return;
    if (upload->fd >= 0)
        close(upload->fd);
    free(upload);
}

static bool
open_file(Upload *upload, const char *path, Status *st)
{
    struct stat found;

    if (path == NULL)
    {
        status_fail(st, STATUS_CHANGED, "nothing was uploaded");
        status_detail(st, "A connector of type \"csv_upload\" has the text of one call, while that call lasts.");
        return status_hint(st, "Load text with kaireon.upload_csv.");
    }
    upload->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (upload->fd < 0 || fstat(upload->fd, &found) != 0)
        return fail("open", errno, st);
    upload->entry.path = NAME;
    upload->entry.size = (uint64_t) found.st_size;
    upload->entry.mtime = (int64_t) found.st_mtim.tv_sec * 1000000 + found.st_mtim.tv_nsec / 1000;
    upload->entry.etag = "";
    return true;
}

static bool
upload_open(const DriverConfig *config, void **session, Status *st)
{
    const char *path = NULL, *delimiter = NULL;
    bool header = false;
    const JsonField fields[] = {{"file", JSON_FIELD_TEXT, false, &path, 0, 0}, {"delimiter", JSON_FIELD_TEXT, false, &delimiter, 0, 0},
                                {"header", JSON_FIELD_BOOL, false, &header, 0, 0}}; /* the server has put the last two into the format */
    Upload *upload;

    *session = NULL;
    if (config->config != NULL && !json_fields_read(config->config, "connector config", fields, 3, st))
        return false;
    upload = calloc(1, sizeof(*upload));
    if (upload == NULL)
        return status_out_of_memory(st, sizeof(*upload));
    upload->fd = -1;
    if (!config->checks && !open_file(upload, path, st))
    {
        upload_close(upload);
        return false;
    }
    *session = upload;
    return true;
}

static bool
upload_list(void *session, const char *resource, DriverEmit emit, void *context, Status *st)
{
    const Upload *upload = session;

    if (resource != NULL && resource[0] != '\0')
    {
        status_fail(st, STATUS_INVALID_VALUE, "connectors of type \"csv_upload\" have no resources");
        return status_hint(st, "Leave \"resource\" out of the source node.");
    }
    return emit(context, &upload->entry, st);
}

/* The bytes from `from` on, until `size` of them or the end; false with errno in the status. */
static bool
read_at(const Upload *upload, uint64_t from, uint8_t *out, size_t size, size_t *got, Status *st)
{
    ssize_t n;

    *got = 0;
    while (*got < size && (n = pread(upload->fd, out + *got, size - *got, (off_t) (from + *got))) != 0)
    {
        if (n < 0 && errno != EINTR)
            return fail("read", errno, st);
        if (n > 0)
            *got += (size_t) n;
    }
    return true;
}

/* An object is a place in the session's file. */
typedef struct UploadObject { const Upload *upload; uint64_t at; } UploadObject;

static bool
object_open(void *session, const DriverEntry *entry, bool listed, void **object, DriverInfo *info, Status *st)
{
    const Upload *upload = session;
    UploadObject *opened;
    uint8_t *head;
    size_t have;
    bool fine;

    (void) listed;
    *object = NULL;
    if (strcmp(entry->path, NAME) != 0)
        return status_fail(st, STATUS_NO_FILE, "there is no file \"%s\" in what was uploaded", entry->path);
    head = malloc(HEAD_BYTES);
    opened = malloc(sizeof(*opened));
    fine = head != NULL && opened != NULL ? read_at(upload, 0, head, HEAD_BYTES, &have, st) && sha256_hex(head, have, info->head_hash, st)
                                          : status_out_of_memory(st, HEAD_BYTES);
    free(head);
    if (!fine)
    {
        free(opened);
        return false;
    }
    *opened = (UploadObject){upload, 0};
    info->size = upload->entry.size;
    info->mtime = upload->entry.mtime;
    info->etag = "";
    *object = opened;
    return true;
}

static bool
object_read(void *object, uint8_t *out, size_t size, size_t *got, Status *st)
{
    UploadObject *opened = object;

    if (!read_at(opened->upload, opened->at, out, size, got, st))
        return false;
    opened->at += *got;
    return true;
}

static void
object_close(void *object)
{
    free(object);
}

const Driver driver_csv_upload = {
    .type = "csv_upload",
    .open = upload_open,
    .close = upload_close,
    .list = upload_list,
    .object_open = object_open,
    .object_read = object_read,
    .object_close = object_close,
};
