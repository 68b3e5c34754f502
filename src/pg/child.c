/*
 * child.c: starting and ending a program beside the server.  See child.h.
 *
 * posix_spawn makes no copy of the server's page tables, which a large
 * shared_buffers would make dear.
 *
 * SIGKILL ends no process that waits in the kernel, for a disk or a file
 * server that is gone.  Nobody waits for one for long: it is left behind, and
 * looked after whenever this process starts or ends another child.
 */
#include "postgres.h"

#include "pg/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

/* How long a child that was sent SIGKILL is waited for. */
#define END_WAIT_MS 3000
/* More children than that are waited for without limit. */
#define MAX_LEFT 16

static pid_t left_behind[MAX_LEFT];
static int nleft;

/* The child has ended; there is nothing more to wait for. */
static bool
is_gone(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) != 0;
}

static void
look_after_left(void)
{
    for (int i = nleft - 1; i >= 0; i--)
    {
        if (is_gone(left_behind[i]))
            left_behind[i] = left_behind[--nleft];
    }
}

static void
wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/*
 * When this process exits, its children become those of process 1.  A
 * postmaster that is process 1, as in a container, takes one that was killed
 * for a crashed backend and restarts; so its backends, which hold nothing of
 * the server any more at this point, stay until their children are gone.
 */
static void
wait_for_left(int code, Datum arg)
{
    for (; PostmasterPid == 1 && nleft > 0; nleft--)
        wait_for(left_behind[nleft - 1]);
}

static void
leave_behind(pid_t pid)
{
    static bool registered;

    if (!registered)
        on_proc_exit(wait_for_left, 0);
    registered = true;
    left_behind[nleft++] = pid;
    ereport(LOG, (errmsg("child process %d was killed %d seconds ago and is still there", (int) pid, END_WAIT_MS / 1000),
                  errdetail("Nothing waits for it any longer."),
                  errhint("Perhaps it waits for a disk or a file server, and ends when that answers.")));
}

pid_t
child_start(const char *path, char *const argv[], char *const envp[], int fd, int target)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    pid_t pid;
    int failed;

    look_after_left();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fd, target);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    posix_spawn_file_actions_addclosefrom_np(&actions, Max(target, STDERR_FILENO) + 1);
#endif
    posix_spawnattr_init(&attributes);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    failed = posix_spawn(&pid, path, &actions, &attributes, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    errno = failed;
    return failed ? 0 : pid;
}

void
child_end(pid_t pid)
{
    TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), END_WAIT_MS);
    long pause = 50;

    if (pid <= 0)
        return;
    look_after_left();
    kill(-pid, SIGKILL); /* its process group: children of its own */
    kill(pid, SIGKILL);
    /* microseconds, as a rule; a latch would be of no use, and interrupts are for who called */
    for (; !is_gone(pid); pause = Min(2 * pause, 10000))
    {
        if (nleft == MAX_LEFT)
            wait_for(pid);
        else if (GetCurrentTimestamp() < until)
            pg_usleep(pause);
        else
        {
            leave_behind(pid);
            return;
        }
    }
}
