/*
 * full_disk.c: a disk that is full, for the tests (FullDisk.pm).
 *
 * Preloaded into the server, it lets files grow as ever, but for those whose
 * path has in it what the file KAIREON_FULL_DISK begins with: those fail with
 * ENOSPC, as on a disk without room.  What is there can be read and written,
 * and files can be made.  The test changes that file while the server runs.
 */
#define _GNU_SOURCE
/* The functions have their own names here, and both of them. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CONTROL_BYTES 4096

static const char *full;     /* "" when no disk is full */

static void __attribute__((constructor))
begin(void)
{
    const char *path = getenv("KAIREON_FULL_DISK");
    int fd = path ? open(path, O_RDONLY) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, CONTROL_BYTES, PROT_READ, MAP_SHARED, fd, 0);

    if (fd >= 0)
        close(fd);
    full = map == MAP_FAILED ? "" : map;
}

/* Would the file of fd be larger than it is, with its end there, on a disk that is full? */
static int
refused(int fd, off_t end)
{
    char link[64], path[4096];
    struct stat st;
    ssize_t length;

    if (full[0] == '\0')
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return strstr(path, full) != NULL && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && end > st.st_size;
}

static off_t
bytes(const struct iovec *parts, int count)
{
    off_t sum = 0;

    for (int i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

/* The function that this one stands in front of. */
#define NEXT(name) ({ static __typeof__(&name) next; if (next == NULL) next = (__typeof__(&name)) dlsym(RTLD_NEXT, #name); next; })

#define GROWS(fd, end, fail, call) \
    if (refused(fd, end)) \
    { \
        fail; \
    } \
    return call

ssize_t
write(int fd, const void *data, size_t length)
{
    GROWS(fd, lseek(fd, 0, SEEK_CUR) + (off_t) length, errno = ENOSPC; return -1, NEXT(write)(fd, data, length));
}

ssize_t
pwrite(int fd, const void *data, size_t length, off_t at)
{
    GROWS(fd, at + (off_t) length, errno = ENOSPC; return -1, NEXT(pwrite)(fd, data, length, at));
}

ssize_t
pwrite64(int fd, const void *data, size_t length, off64_t at)
{
    GROWS(fd, at + (off_t) length, errno = ENOSPC; return -1, NEXT(pwrite64)(fd, data, length, at));
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    GROWS(fd, at + bytes(parts, count), errno = ENOSPC; return -1, NEXT(pwritev)(fd, parts, count, at));
}

ssize_t
pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    GROWS(fd, at + bytes(parts, count), errno = ENOSPC; return -1, NEXT(pwritev64)(fd, parts, count, at));
}

int
posix_fallocate(int fd, off_t at, off_t length)
{
    GROWS(fd, at + length, return ENOSPC, NEXT(posix_fallocate)(fd, at, length));
}

int
posix_fallocate64(int fd, off64_t at, off64_t length)
{
    GROWS(fd, at + length, return ENOSPC, NEXT(posix_fallocate64)(fd, at, length));
}
