/*
 * names.c: a resolver that changes its mind, for the tests (rebinding.t).
 *
 * Preloaded into the reader.  The directory KAIREON_NAMES has a file for each
 * name that there is, with one answer a line, of one or more addresses: the
 * first time that the name is asked for it gets the first, and so on; the last
 * line stays; "wait" is none for ten minutes.  <name>.asked has a byte for each time.
 *
 * No packet leaves the machine: 1.1.1.1, a public address, is the machine
 * itself, and nobody answers at the others.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory;    /* the reader empties its environment */

static void __attribute__((constructor))
begin(void)
{
    directory = strdup(getenv("KAIREON_NAMES"));
}

/* How often this name was asked for before; questions for IPv6 alone, which some versions of libcurl ask besides, have a count of their own. */
static long
count(const char *name, int six)
{
    char path[4096];
    struct stat info = {.st_size = 0};
    int fd;

    snprintf(path, sizeof(path), "%s/%s.asked%s", directory, name, six ? "6" : "");
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &info) != 0 || write(fd, ".", 1) != 1)
        abort();
    close(fd);
    return info.st_size;
}

/* The answer to the next question for a name; false: there is no such name. */
static int
answer(const char *name, int six, char *line, int size)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "r");
    if (file == NULL)
        return 0;
    for (long left = count(name, six); fgets(line, size, file) != NULL && left > 0; left--)
        ;
    fclose(file);
    return 1;
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **)) dlsym(RTLD_NEXT, "getaddrinfo");
    struct in6_addr address;
    char line[1000] = "", *rest = line, *each;

    if (inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1)
        return real(name, service, hints, found);
    if (!answer(name, hints != NULL && hints->ai_family == AF_INET6, line, sizeof(line)))
        return EAI_NONAME;
    *found = NULL;
    if (strncmp(line, "wait", 4) == 0)
        sleep(600);
    while ((each = strtok_r(rest, " \n", &rest)) != NULL)
    {
        struct addrinfo **end = found;

        while (*end != NULL)
            end = &(*end)->ai_next;
        if (real(each, service, hints, end) != 0)
            *end = NULL;
    }
    return *found == NULL ? EAI_NONAME : 0;
}

int
connect(int fd, const struct sockaddr *to, socklen_t size)
{
    int (*real)(int, const struct sockaddr *, socklen_t) = (int (*)(int, const struct sockaddr *, socklen_t)) dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in here;

    if (to->sa_family != AF_INET && to->sa_family != AF_INET6)
        return real(fd, to, size);
    if (to->sa_family == AF_INET)
    {
        memcpy(&here, to, sizeof(here));
        if (here.sin_addr.s_addr == inet_addr("1.1.1.1"))
            here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (here.sin_addr.s_addr == htonl(INADDR_LOOPBACK))
            return real(fd, (const struct sockaddr *) &here, sizeof(here));
    }
    errno = ECONNREFUSED;
    return -1;
}
