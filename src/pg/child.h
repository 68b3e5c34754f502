/*
 * child.h: starting and ending a program beside the server.
 *
 * A child gets a process group of its own (the postmaster's signals are not for
 * it, and what it starts ends with it), default signals, /dev/null as standard
 * input, and one descriptor.  Who starts it must see to its end, with a
 * MemoryContextCallback that is registered before.  Any backend or worker.
 */
#ifndef KAIREON_CHILD_H
#define KAIREON_CHILD_H

#include "postgres.h"

/*
 * Starts the program at `path`.  `fd` becomes descriptor `target` of the child
 * and stays the caller's; standard output is /dev/null unless it is the target.
 * Returns its pid, or 0 with errno set.
 */
extern pid_t child_start(const char *path, char *const argv[], char *const envp[], int fd, int target);

/*
 * Ends it at once, with its process group, and waits for it; 0 is allowed.
 * One that does not end within seconds is left behind, which the log says.
 */
extern void child_end(pid_t pid);

#endif
