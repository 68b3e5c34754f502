/*
 * masterkey.c: where the master key comes from.  See masterkey.h.
 *
 * A file must be as private as a server's TLS key: its owner is the server's
 * user, and nobody else may read it; or root, and at most the group may.  A
 * command is run as the server runs ssl_passphrase_command, with a limit on
 * time and output.  Whatever was read lives in Secrets, which are wiped.
 */
#include "postgres.h"

#include "pg/masterkey.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "miscadmin.h"
#include "port.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/child.h"
#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/guc.h"

/* More than any form of a key, with its line end. */
#define MAX_TEXT 256
#define HOW_TO_MAKE "Make one, for example, with: (umask 077; openssl rand -hex 32 > FILE)."
#define FORMS "A key has 32 random bytes: as they are, as 64 hexadecimal digits, or in base64; text on one line."

/* The settings of a use. */
typedef struct Source { char **file; char **command; const char *prefix; } Source;

static Source
source_of(MasterKeyUse use)
{
    if (use == MASTER_KEY_CURRENT)
        return (Source) {&guc_master_key_file, &guc_master_key_command, "kaireon."};
    return (Source) {&guc_previous_master_key_file, &guc_previous_master_key_command, "kaireon.previous_"};
}

static bool
is_set(char *const *setting)
{
    return *setting && (*setting)[0] != '\0';
}

bool
masterkey_configured(MasterKeyUse use)
{
    Source source = source_of(use);

    return is_set(source.file) || is_set(source.command);
}

/* ---- the forms of a key ----------------------------------------------------------- */

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
decode_hex(const Secret *text, Secret *key)
{
    for (int i = 0; i < MASTER_KEY_BYTES; i++)
    {
        int high = hex_value(text->data[2 * i]), low = hex_value(text->data[2 * i + 1]);
        char byte;

        if (high < 0 || low < 0)
            return false;
        byte = high << 4 | low;
        secret_append(key, &byte, 1);
    }
    return true;
}

/* 44 characters of base64 are 33 bytes, the last of which the padding takes away. */
static bool
decode_base64(const Secret *text, Secret *key)
{
    Secret *bytes;
    bool good;

    if (text->data[43] != '=' || text->data[42] == '=')
        return false;
    bytes = secret_create(48);
    good = EVP_DecodeBlock((unsigned char *) bytes->data, (const unsigned char *) text->data, 44) == MASTER_KEY_BYTES + 1;
    if (good)
        secret_append(key, bytes->data, MASTER_KEY_BYTES);
    secret_free(bytes);
    return good;
}

/* What was read as a key; NULL when it is none, with what it is instead in *wrong. */
static Secret *
decode(Secret *text, const char **wrong)
{
    Secret *key = secret_create(MASTER_KEY_BYTES);
    bool good, full = text->length == text->size;

    if (text->length == MASTER_KEY_BYTES)
    {
        secret_append(key, text->data, MASTER_KEY_BYTES);
        good = true;
    }
    else
    {
        secret_chomp(text);
        good = (text->length == 64 && decode_hex(text, key)) || (text->length == 44 && decode_base64(text, key));
    }
    if (!good)
        *wrong = text->length == 0 ? "It is empty."
                 : full ? psprintf("It has more than %d bytes.", MAX_TEXT - 1)
                 : psprintf("It has %zu bytes, and is in none of the forms of a key.", text->length);
    for (int i = 1; good && i <= MASTER_KEY_BYTES; i++)
    {
        if (i == MASTER_KEY_BYTES)
        {
            *wrong = "All of its bytes are the same, so it is not random.";
            good = false;
        }
        else if (key->data[i] != key->data[0])
            break;
    }
    if (good)
        return key;
    secret_free(key);
    return NULL;
}

/* ---- a file -------------------------------------------------------------------------- */

static bool
in_data_directory(const char *path)
{
    char *real = realpath(path, NULL), *data = realpath(DataDir, NULL);
    bool inside = real && data && path_is_prefix_of_path(data, real);

    free(real);
    free(data);
    return inside;
}

int
masterkey_open_file(const char *path, const char **reason)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *reason = NULL;
    if (fd < 0)
        return -1;
    if (fstat(fd, &info) != 0)
    {
        int failed = errno;

        close(fd);
        errno = failed;
        return -1;
    }
    if (!S_ISREG(info.st_mode))
        *reason = S_ISDIR(info.st_mode) ? "is a directory" : "is not a regular file";
    else if (in_data_directory(path))
        *reason = "lies in the data directory";
    if (*reason == NULL)
        return fd;
    close(fd);
    return -1;
}

/* As a TLS key's: see be-secure-common.c of the server. */
static const char *
too_open(int fd)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return "can't be looked at";
    if (info.st_uid != geteuid() && info.st_uid != 0)
        return "belongs to another user";
    if (info.st_uid == 0 && geteuid() != 0)
        return info.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO) ? "can be read or written by others" : NULL;
    return info.st_mode & (S_IRWXG | S_IRWXO) ? "can be read or written by others" : NULL;
}

static Secret *
key_from_file(const char *path, const char *setting)
{
    Secret *text;
    const char *reason;
    int fd = masterkey_open_file(path, &reason);

    if (fd < 0 && reason == NULL)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("could not open the file of \"%s\": %m", setting),
                        errdetail("Credentials of connectors are encrypted with the key in it."),
                        errhint("The server's user must be able to read it. " HOW_TO_MAKE)));
    if (fd >= 0)
        reason = too_open(fd);
    if (reason)
    {
        if (fd >= 0)
            close(fd);
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("the file of \"%s\" %s", setting, reason),
                        errdetail("A key is kept out of the database and its backups, and read by nobody but the server."),
                        errhint("It must be a regular file outside of the data directory that belongs to the server's user with "
                                "permissions 0600 or less, or to root with 0640 or less.")));
    }
    text = secret_create(MAX_TEXT);
    if (!secret_read(text, fd))
    {
        int failed = errno;

        close(fd);
        errno = failed;
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("could not read the file of \"%s\": %m", setting),
                        errdetail("Credentials of connectors are encrypted with the key in it."), errhint("Check the file system.")));
    }
    close(fd);
    return text;
}

/* ---- a command ------------------------------------------------------------------------ */

typedef struct Command
{
    pid_t pid;
    int fd;                  /* its output */
    MemoryContextCallback cleanup;
} Command;

static void
command_cleanup(void *arg)
{
    Command *command = arg;

    if (command->fd >= 0)
        close(command->fd);
    command->fd = -1;
    child_end(command->pid);
    command->pid = 0;
}

static Command *
command_start(const char *text, const char *setting)
{
    Command *command = palloc0(sizeof(Command));
    char shell[] = "/bin/sh", option[] = "-c";
    char *argv[] = {shell, option, pstrdup(text), NULL};
    int ends[2];

    command->fd = -1;
    command->cleanup.func = command_cleanup;
    command->cleanup.arg = command;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, &command->cleanup);
    if (pipe2(ends, O_CLOEXEC) != 0)
        ereport(ERROR, (errcode_for_file_access(), errmsg("could not create a pipe: %m")));
    command->fd = ends[0];
    command->pid = child_start(shell, argv, environ, ends[1], STDOUT_FILENO);
    if (command->pid == 0)
    {
        int failed = errno;

        close(ends[1]);
        errno = failed;
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("could not start the command of \"%s\": %m", setting),
                        errdetail("It is run by /bin/sh."), errhint("Check that the server's user may start programs.")));
    }
    close(ends[1]);
    (void) fcntl(command->fd, F_SETFL, O_NONBLOCK);
    return command;
}

pg_noreturn static void
command_failed(const char *setting, const char *detail)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("the command of \"%s\" gave no key", setting),
                    errdetail_internal("%s", detail),
                    errhint("It must print the key and end with status 0; what it writes to standard error is in the server's log.")));
    pg_unreachable();
}

/* Reads what it prints until it closes its output; false when time is up. */
static bool
command_read(Command *command, Secret *text)
{
    TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) guc_master_key_timeout * 1000);

    while (text->length < text->size)
    {
        long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
        ssize_t got = read(command->fd, text->data + text->length, text->size - text->length);

        if (got == 0)
            break;
        if (got > 0)
            text->length += got;
        else if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
            break;
        else if (left <= 0)
            return false;
        else
            (void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_SOCKET_READABLE | WL_TIMEOUT,
                                     command->fd, left, compat_wait_event("KaireonMasterKey"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
    return true;
}

/* Waits for the end of a command that has closed its output; false when time is up. */
static bool
command_wait(Command *command, int *status)
{
    for (int waited = 0; waited < guc_master_key_timeout * 1000; waited += 10)
    {
        pid_t gone = waitpid(command->pid, status, WNOHANG);

        if (gone == command->pid)
        {
            command->pid = 0;
            return true;
        }
        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, compat_wait_event("KaireonMasterKey"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
    return false;
}

static Secret *
key_from_command(const char *text, const char *setting)
{
    Command *command = command_start(text, setting);
    Secret *output = secret_create(MAX_TEXT);
    int status = 0;
    bool done;

    done = command_read(command, output) && (output->length == output->size || command_wait(command, &status));
    command_cleanup(command);
    if (!done)
        command_failed(setting, psprintf("It was ended after %d seconds, see \"kaireon.master_key_timeout\".", guc_master_key_timeout));
    if (status != 0)
        command_failed(setting, psprintf("It ended with: %s.", wait_result_to_str(status)));
    return output;
}

/* ---- both ------------------------------------------------------------------------------ */

Secret *
masterkey_load(MasterKeyUse use)
{
    Source source = source_of(use);
    char *file = psprintf("%smaster_key_file", source.prefix), *command = psprintf("%smaster_key_command", source.prefix);
    const char *wrong = NULL, *setting = is_set(source.file) ? file : command;
    Secret *text, *key;

    if (!masterkey_configured(use))
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("no master key is configured"),
                        errdetail("Credentials of connectors are encrypted with a key that is kept outside of the database."),
                        errhint("Set \"%s\" to a file that holds one, or \"%s\" to a command that prints one, and reload the server. "
                                HOW_TO_MAKE, file, command)));
    if (is_set(source.file) && is_set(source.command))
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY), errmsg("two master keys are configured"),
                        errdetail("Both \"%s\" and \"%s\" are set.", file, command), errhint("Set one of them to the empty string.")));
    text = is_set(source.file) ? key_from_file(*source.file, file) : key_from_command(*source.command, command);
    key = decode(text, &wrong);
    secret_free(text);
    if (key == NULL)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_NO_KEY),
                        setting == file ? errmsg("the file of \"%s\" holds no key", setting)
                                        : errmsg("the command of \"%s\" printed no key", setting),
                        errdetail_internal("%s", wrong), errhint(FORMS)));
    return key;
}
