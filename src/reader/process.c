/*
 * process.c: see process.h.
 */
#define _GNU_SOURCE
#include "reader/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void
reset_signals(void)
{
    sigset_t none;
    int number;

    for (number = 1; number < NSIG; number++)
        (void) signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
close_others(int keep)
{
    if (keep > STDERR_FILENO + 1)
        (void) close_range(STDERR_FILENO + 1, (unsigned) keep - 1, 0);
    if (close_range((unsigned) keep + 1, ~0U, 0) != 0)
    {
        /* An old kernel: one by one. */
        struct rlimit files;
        rlim_t fd, end = 65536;

        if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < end)
            end = files.rlim_cur;
        for (fd = (rlim_t) keep + 1; fd < end; fd++)
            close((int) fd);
    }
}

static void
first_to_be_killed(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, "1000", 4) < 0)
    {
        /* Only a wish. */
    }
    close(fd);
}

void
process_harden(int keep)
{
    struct rlimit no_core = {0, 0};

    close_others(keep);
    reset_signals();
    first_to_be_killed();
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) prctl(PR_SET_DUMPABLE, 0);
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void) setrlimit(RLIMIT_CORE, &no_core);
    clearenv();
    umask(077);
    if (chdir("/") != 0)
    {
        /* Paths are absolute or below a descriptor anyway. */
    }
}

/* What program and libraries take at the start, roughly: where /proc is not mounted, as in a bare chroot. */
#define ADDRESS_SPACE_GUESS (64ULL << 20)

/* Address space in use, in bytes. */
static uint64_t
address_space(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long pages = 0;

    if (file == NULL)
        return ADDRESS_SPACE_GUESS;
    if (fscanf(file, "%llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages > 0 ? pages * (uint64_t) sysconf(_SC_PAGESIZE) : ADDRESS_SPACE_GUESS;
}

bool
process_limit_memory(uint64_t more)
{
    struct rlimit limit;
    uint64_t now = address_space();

    /* A thread's own arena would take 64 MB of it, used or not. */
    (void) mallopt(M_ARENA_MAX, 1);
    if (getrlimit(RLIMIT_AS, &limit) != 0)
        return false;
    /* Only the soft limit: see process_unlimit_memory. */
    limit.rlim_cur = now + more;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_AS, &limit) == 0;
}

void
process_unlimit_memory(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) == 0)
    {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_AS, &limit);
    }
}
