/*
 * move.c: moving a file to another folder of the server, below the base.
 *
 * SSH_FXP_RENAME does not overwrite; the names that are taken are looked for
 * all the same, as there are servers that do.  A move that was made already is
 * found by the file's size and time, so that it can be asked for again; or, where
 * the name is the file's alone, by that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../connectors/sftp/sftp.h"
#include "core/numbered.h"

/* So many files of one name in one folder. */
#define NAMES_MAX 10000

/* What a name leads to. */
typedef enum Found { FOUND_NOTHING, FOUND_IT, FOUND_OTHER, FOUND_LINK } Found;

typedef struct Move
{
    Sftp *sftp;
    const DriverEntry *entry;
    char from[SFTP_PATH_MAX], to[SFTP_PATH_MAX];    /* full */
    Status *st;
} Move;

static bool
look(const Move *move, const char *full, Found *found)
{
    LIBSSH2_SFTP_ATTRIBUTES info;
    int rc = sftp_stat(move->sftp, full, true, &info);

    *found = FOUND_NOTHING;
    if (rc != 0)
        return sftp_answered(move->sftp, rc, LIBSSH2_FX_NO_SUCH_FILE) || sftp_answered(move->sftp, rc, LIBSSH2_FX_NO_SUCH_PATH) ||
            sftp_path_fail(move->sftp, rc, "move", "file", move->entry->path, move->st);
    if (LIBSSH2_SFTP_S_ISLNK(info.permissions))
        *found = FOUND_LINK;
    else
        *found = sftp_is_file(&info) && info.filesize == move->entry->size && sftp_mtime(&info) == move->entry->mtime ? FOUND_IT : FOUND_OTHER;
    return true;
}

/* Makes the folders above a full path that are missing, with the mode of the one above each. */
static bool
make_folders(const Move *move, const char *full)
{
    Sftp *sftp = move->sftp;
    LIBSSH2_SFTP_ATTRIBUTES info;
    long mode = 0755;
    char folder[SFTP_PATH_MAX];
    int rc;

    for (const char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
    {
        snprintf(folder, sizeof(folder), "%.*s", (int) (slash - full), full);
        rc = sftp_stat(sftp, folder, false, &info);
        if (sftp_answered(sftp, rc, LIBSSH2_FX_NO_SUCH_FILE))
        {
            SFTP_CALL(sftp, rc, libssh2_sftp_mkdir_ex(sftp->files, folder, (unsigned int) strlen(folder), mode));
            /* or somebody else was quicker */
            if (rc != 0 && sftp_stat(sftp, folder, false, &info) != 0)
                return sftp_path_fail(sftp, rc, "make", "directory", folder, move->st);
        }
        else if (rc != 0)
            return sftp_path_fail(sftp, rc, "move a file to", "directory", folder, move->st);
        else if (!sftp_is_folder(&info))
            return status_fail(move->st, STATUS_WRONG_KIND, "\"%s\" is not a directory", folder);
        else
            mode = (long) (info.permissions & 0777);
    }
    return true;
}

static bool
wrong_source(const Move *move, Found source)
{
    const char *path = move->entry->path;
    Status *st = move->st;

    if (source == FOUND_NOTHING)
        return status_fail(st, STATUS_NO_FILE, "file \"%s\" does not exist", path);
    if (source == FOUND_LINK)
    {
        status_fail(st, STATUS_WRONG_KIND, "\"%s\" is a symbolic link, which is not moved", path);
        return status_hint(st, "Name the folder that holds the file itself.");
    }
    status_fail(st, STATUS_CHANGED, "file \"%s\" is not the one that was read", path);
    status_detail(st, "The one that was read had %" PRIu64 " bytes.", move->entry->size);
    return status_hint(st, "Another has come in its place, which the next run reads; this one was left where it is.");
}

/* Tries one name, a full path; *done when the file is there. */
static bool
try_name(const Move *move, const char *full, Found source, bool *done)
{
    Sftp *sftp = move->sftp;
    Found target;
    int rc;

    if (!look(move, full, &target))
        return false;
    *done = move->sftp->claims ? target != FOUND_NOTHING : target == FOUND_IT && source != FOUND_IT;   /* it was moved before */
    if (*done || target != FOUND_NOTHING)
        return true;
    if (source != FOUND_IT)
        return wrong_source(move, source);
    SFTP_CALL(sftp, rc, libssh2_sftp_rename_ex(sftp->files, move->from, (unsigned int) strlen(move->from), full, (unsigned int) strlen(full), 0));
    *done = rc == 0;
    if (*done)
        return true;
    (void) sftp_path_fail(sftp, rc, "move", "file", move->entry->path, move->st);
    if (sftp->broken || strcmp(move->st->sqlstate, STATUS_IO) != 0)
        return false;
    /* The server does not say that the name is taken: has it been, since? */
    if (!look(move, full, &target))
        return false;
    if (target != FOUND_NOTHING)
    {
        status_clear(move->st);
        return true;
    }
    return status_hint(move->st, "Both folders must lie on the same file system of the server, and its user must be able to write both.");
}

static bool
move_to(const Move *move, const char *to, char *place, size_t size)
{
    bool done = false;
    Found source;

    if (!look(move, move->from, &source))
        return false;
    for (int i = 0; i < NAMES_MAX && !done; i++)
    {
        char full[SFTP_PATH_MAX];

        if (!numbered_path(move->to, i, NUMBERED_NAME_MAX, full, sizeof(full)) || !numbered_path(to, i, NUMBERED_NAME_MAX, place, size))
            return status_fail(move->st, STATUS_LIMIT, "path \"%s\" is too long", to);
        if (!try_name(move, full, source, &done))
            return false;
    }
    return done || status_fail(move->st, STATUS_LIMIT, "there are %d files \"%s\" already", NAMES_MAX, to);
}

bool
sftp_move(void *session, const DriverEntry *entry, const char *to, char *place, size_t size, Status *st)
{
    Move move = {.sftp = session, .entry = entry, .st = st};
    char *from = sftp_relative(session, entry->path, st), *target = from == NULL ? NULL : sftp_relative(session, to, st);
    bool fine;

    sftp_operation(session);
    fine = target != NULL && sftp_full_path(session, from, move.from, sizeof(move.from), st) &&
        sftp_full_path(session, target, move.to, sizeof(move.to), st) && sftp_ready(session, st) &&
        make_folders(&move, move.to) && move_to(&move, target, place, size);
    free(from);
    free(target);
    return fine;
}
