/*
 * test_local_fs_race.c: links swapped in while files are looked for and opened.
 *
 * A child exchanges a folder and a file with symbolic links to secrets outside
 * the root, as fast as it can.  Whatever the driver meets, it may list and read
 * nothing outside; refusing is as good as succeeding.  The number of rounds is
 * bounded; how often either happened is only shown.
 */
#define _GNU_SOURCE     /* renameat2 */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../connectors/local_fs/local_fs.h"

#define ROUNDS 4000

static char top[] = "/tmp/kaireon-test-XXXXXX";
static int leaks, listed, read_well, refused;

static const char *
at(const char *name)
{
    static char path[2][300];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
    return path[turn];
}

static void
put(const char *name, const char *content)
{
    FILE *f = fopen(at(name), "w");

    if (f == NULL || fputs(content, f) < 0 || fclose(f) != 0)
        abort();
}

/* Until it is killed. */
static void
swap_for_ever(void)
{
    for (;;)
        if (renameat2(AT_FDCWD, at("root/in/sub"), AT_FDCWD, at("root/aside/sub"), RENAME_EXCHANGE) != 0 ||
            renameat2(AT_FDCWD, at("root/in/file.csv"), AT_FDCWD, at("root/aside/file.csv"), RENAME_EXCHANGE) != 0)
            _exit(1);
}

/* Counts what is listed; a secret's name is a leak. */
static bool
see(void *context, const DriverEntry *entry, Status *st)
{
    (void) context;
    (void) st;
    listed++;
    leaks += strstr(entry->path, "secret") != NULL || strstr(entry->path, "aside") != NULL;
    return true;
}

static void
list(void *s, const char *resource)
{
    Status st;

    status_clear(&st);
    if (!driver_local_fs.list(s, resource, see, NULL, &st))
    {
        refused++;
        leaks += strcmp(st.sqlstate, "42501") != 0 && strcmp(st.sqlstate, "58P01") != 0 && strcmp(st.sqlstate, "42809") != 0;
    }
}

static void
read_file(void *s, const char *path)
{
    uint8_t out[100];
    DriverInfo info;
    void *object;
    size_t got;
    Status st;

    if (!driver_local_fs.object_open(s, &(DriverEntry) {.path = path, .etag = ""}, false, &object, &info, &st))
    {
        refused++;
        return;
    }
    if (driver_local_fs.object_read(object, out, sizeof(out), &got, &st))
    {
        read_well++;
        leaks += got != 4 || memcmp(out, "good", 4) != 0;
    }
    driver_local_fs.object_close(object);
}

int
main(void)
{
    static const char *const folders[] = {"root", "root/in", "root/in/sub", "root/aside", "secret"};
    const char *roots[] = {at("root")};
    DriverConfig config = {.roots = roots, .nroots = 1};
    char command[100];
    void *s = NULL;
    size_t i;
    Status st;
    pid_t child;
    int round;

    if (mkdtemp(top) == NULL)
        abort();
    roots[0] = strdup(at("root"));
    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(at(folders[i]), 0700) != 0)
            abort();
    put("root/in/sub/x.csv", "good");
    put("root/in/file.csv", "good");
    put("secret/x.csv", "secret");
    put("secret/secret.csv", "secret");
    if (symlink(at("secret"), at("root/aside/sub")) != 0 || symlink(at("secret/x.csv"), at("root/aside/file.csv")) != 0 ||
        !driver_local_fs.open(&config, &s, &st))
        abort();
    fflush(stdout);
    child = fork();
    if (child == 0)
        swap_for_ever();
    for (round = 0; round < ROUNDS || (round < 10 * ROUNDS && (listed == 0 || read_well == 0)); round++)
    {
        list(s, "in/**");
        list(s, "in/*/*.csv");
        list(s, "in/s*/s*");
        list(s, "in/sub");
        read_file(s, "in/sub/x.csv");
        read_file(s, "in/sub/secret.csv");
        read_file(s, "in/file.csv");
    }
    ok(kill(child, 0) == 0 && waitpid(child, NULL, WNOHANG) == 0, "links were swapped in all the time");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("# %d rounds: %d files listed, %d read, %d times refused\n", round, listed, read_well, refused);
    is_int(leaks, 0, "nothing outside the root was listed or read, whatever was swapped in");
    ok(listed > 0 && read_well > 0 && refused > 0, "there were files, and there were refusals");
    driver_local_fs.close(s);
    free((char *) roots[0]);
    snprintf(command, sizeof(command), "rm -r '%s'", top);
    return system(command) != 0 || done();
}
