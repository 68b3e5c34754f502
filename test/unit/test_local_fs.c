/*
 * test_local_fs.c: what the local file driver lists, opens and refuses.
 */
#define _GNU_SOURCE     /* unshare */
#include "tap.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "../connectors/local_fs/local_fs.h"

static char top[] = "/tmp/kaireon-test-XXXXXX";
static char path[500];

static const char *
at(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static void
put(const char *name, const char *content)
{
    FILE *f = fopen(at(name), "w");

    if (f == NULL || fputs(content, f) < 0 || fclose(f) != 0)
        abort();
}

static bool
collect(void *context, const DriverEntry *entry, Status *st)
{
    strcat(context, entry->path);
    strcat(context, " ");
    (void) st;
    return true;
}

/* Opens a session; `base` and `root` are below the test's directory (NULL: not given). */
static void *
session(const char *base, const char *root, const char *forbidden, Status *st)
{
    char root_path[300], forbidden_path[300];
    const char *roots[] = {root_path}, *forbids[] = {forbidden_path};
    DriverConfig config = {.roots = roots, .nroots = root != NULL, .forbidden = forbids, .nforbidden = forbidden != NULL};
    json_t *json = json_object();
    void *s = NULL;

    snprintf(root_path, sizeof(root_path), "%s%s", top, root == NULL ? "" : root);
    snprintf(forbidden_path, sizeof(forbidden_path), "%s%s", top, forbidden == NULL ? "" : forbidden);
    if (base != NULL)
        json_object_set_new(json, "basePath", json_string(base[0] == '/' ? (at(base + 1), path) : base));
    config.config = json;
    status_clear(st);
    if (!driver_local_fs.open(&config, &s, st))
        s = NULL;
    json_decref(json);
    return s;
}

static void
lists(void *s, const char *resource, const char *want)
{
    char got[1000] = "";
    Status st;

    status_clear(&st);
    if (!driver_local_fs.list(s, resource, collect, got, &st))
        snprintf(got, sizeof(got), "%s %s", st.sqlstate, st.message);
    is_str(got, want, "list %s", resource == NULL ? "(all)" : resource);
}

static void
opens(void *s, const char *name, const char *want)
{
    DriverInfo info;
    void *object;
    char got[1200] = "fine";
    Status st;

    status_clear(&st);
    if (driver_local_fs.object_open(s, &(DriverEntry) {.path = name, .etag = ""}, false, &object, &info, &st))
        driver_local_fs.object_close(object);
    else
        snprintf(got, sizeof(got), "%s %s", st.sqlstate, st.message);
    is_str(got, want, "open %s", name);
}

/* ---- what may be read ---------------------------------------------------- */

static void
check_base(void)
{
    void *s;
    Status st;

    s = session("/data/sub", "/data", NULL, &st);
    ok(s != NULL, "a base below a root (%s)", st.message);
    driver_local_fs.close(s);
    s = session(NULL, "/data", NULL, &st);
    ok(s != NULL, "no base: the only root");
    driver_local_fs.close(s);
    s = session("/data//sub/./", "/data", NULL, &st);
    ok(s != NULL, "slashes and dots");
    driver_local_fs.close(s);
    ok(session("/data2", "/data", NULL, &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "%s", st.message);
    ok(strstr(st.hint, "kaireon.local_fs_roots") != NULL, "the hint lists the roots");
    ok(session("/data/../secret", "/data", NULL, &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "%s", st.message);
    ok(session("/data/link", "/data", NULL, &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "%s", st.message);
    ok(session("/data/none", "/data", NULL, &st) == NULL && strcmp(st.sqlstate, "58P01") == 0, "%s", st.message);
    ok(session("/data/a.csv", "/data", NULL, &st) == NULL && strcmp(st.sqlstate, "42809") == 0, "%s", st.message);
    ok(session("relative", "/data", NULL, &st) == NULL && strcmp(st.sqlstate, "22023") == 0, "%s", st.message);
    ok(session("/data", NULL, NULL, &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "no roots: %s", st.message);
    ok(session(NULL, NULL, NULL, &st) == NULL && strcmp(st.sqlstate, "22023") == 0, "no roots, no base: %s", st.message);
    ok(session("/data", "/data", "/data", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "%s", st.message);
    ok(session("/data", "/data", "", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "%s", st.message);
    ok(session("/data/sub", "/data", "/data/sub", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "%s", st.message);
    /* Links in the path of a root are followed; what it leads to counts. */
    s = session("/rootlink/sub", "/rootlink", NULL, &st);
    ok(s != NULL, "a root by a link (%s)", st.message);
    driver_local_fs.close(s);
    ok(session("/rootlink/pg", "/rootlink", "/data/pg", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "another path to what is forbidden: %s", st.message);
    ok(session("/pglink", "/pglink", "/data/pg", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "a root that leads into it: %s", st.message);
    ok(session("/walllink", "/walllink", "/data/pg", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "a root that leads deeper into it: %s", st.message);
    ok(session("/space", "/space", "/data/pg", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "a root that a link in it leads to: %s", st.message);
    ok(session("/space/sub", "/space/sub", "/data/pg", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "a root below that: %s", st.message);
    ok(session("/wal", "/", "/data/pg", &st) == NULL && strcmp(st.sqlstate, "42501") == 0, "a base that a link in it leads to: %s", st.message);
    s = session("/", "/", "/data/pg", &st);
    lists(s, "**/in_*", "");
    lists(s, "space/in_space", "42501 \"space/in_space\" lies in a directory that must not be read");
    driver_local_fs.close(s);
}

static void
check_names(void)
{
    Status st;
    char absolute[300], want[300];
    void *s = session("/data", "/data", "/data/pg", &st);

    lists(s, NULL, "a.csv b.csv c.txt ");
    lists(s, "", "a.csv b.csv c.txt ");
    lists(s, ".", "a.csv b.csv c.txt ");
    lists(s, "*.csv", "a.csv b.csv ");
    lists(s, "[bc].*", "b.csv c.txt ");
    lists(s, "?.txt", "c.txt ");
    lists(s, ".h*", ".hidden ");
    lists(s, "a.csv", "a.csv ");
    lists(s, "sub", "sub/d.csv sub/e.csv ");
    lists(s, "sub/", "sub/d.csv sub/e.csv ");
    lists(s, "s*/e*", "sub/e.csv ");
    lists(s, "*/*.csv", "sub/d.csv sub/e.csv ");
    lists(s, "sub/none*", "");
    lists(s, "none.csv", "58P01 file \"none.csv\" does not exist");
    lists(s, "none/*.csv", "58P01 directory \"none\" does not exist");
    lists(s, "../secret/*", "42501 \"../secret/*\" contains \"..\"");
    lists(s, "*/../../secret", "42501 \"*/../../secret\" contains \"..\"");
    lists(s, "link", "42501 \"link\" is or goes through a symbolic link");
    lists(s, "link/*", "42501 \"link\" is or goes through a symbolic link");
    lists(s, "fifo", "42809 \"fifo\" is not a regular file");
    lists(s, "pg/*", "42501 \"pg\" lies in a directory that must not be read");
    lists(s, "p*/*", "");
    snprintf(absolute, sizeof(absolute), "%s/data/sub/d.csv", top);
    lists(s, absolute, "sub/d.csv ");
    lists(s, "/etc/passwd", (snprintf(want, sizeof(want),
          "42501 \"/etc/passwd\" does not lie below basePath \"%s/data\"", top), want));
    put("data/x\xFF", "x");
    lists(s, "x*", "22021 a file name in \"\" is not valid UTF-8");
    lists(s, "a*", "a.csv ");
    remove(at("data/x\xFF"));
    opens(s, "a.csv", "fine");
    opens(s, "sub/d.csv", "fine");
    opens(s, "sub", "42809 \"sub\" is not a regular file");
    opens(s, "fifo", "42809 \"fifo\" is not a regular file");
    opens(s, "socket", "42809 \"socket\" is not a regular file");
    lists(s, "socket", "42809 \"socket\" is not a regular file");
    lists(s, "[fs]*", "");
    opens(s, "link.csv", "42501 \"link.csv\" is or goes through a symbolic link");
    opens(s, "link/x.csv", "42501 \"link/x.csv\" is or goes through a symbolic link");
    opens(s, "sub/../a.csv", "42501 \"sub/../a.csv\" contains \"..\"");
    opens(s, "..", "42501 \"..\" contains \"..\"");
    opens(s, "pg/PG_VERSION", "42501 \"pg/PG_VERSION\" lies in a directory that must not be read");
    opens(s, "a.csv/x", "42809 \"a.csv/x\" goes through something that is not a directory");
    opens(s, "", "58P01 file \"\" does not exist");
    driver_local_fs.close(s);
}

/* "**", names that look like patterns, and ways to name them. */
static void
check_patterns(void)
{
    Status st;
    char deep[400] = "deep", nested[400], want[200];
    void *s = session("/pat", "/pat", NULL, &st);
    int i;

    lists(s, "a/**/b.csv", "a/b.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "**/b.csv", "a/b.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "a/**", "a/b.csv a/c.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "a/**/", "a/b.csv a/c.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "a/**/**/b.csv", "a/b.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "**/x/**/*.csv", "a/x/b.csv a/x/y/b.csv ");
    lists(s, "**/*/**/b.csv", "a/b.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "**/y/b.csv", "a/x/y/b.csv ");
    lists(s, "**/?/?.csv", "a/b.csv a/c.csv a/x/b.csv a/x/y/b.csv ");
    lists(s, "a/x/**/b.csv", "a/x/b.csv a/x/y/b.csv ");
    lists(s, "**/.h/*", "a/.h/b.csv ");
    lists(s, "a/**.csv", "a/b.csv a/c.csv ");
    lists(s, "**/none", "");
    lists(s, "none/**", "58P01 directory \"none\" does not exist");
    lists(s, "a/link/**", "42501 \"a/link\" is or goes through a symbolic link");
    lists(s, "./a/.//**/y/*", "a/x/y/b.csv ");
    lists(s, "./a/.//x/", "a/x/b.csv ");
    lists(s, ".//a/./b.csv", "a/b.csv ");

    lists(s, "odd/v[1].csv", "odd/v[1].csv ");
    lists(s, "odd/v[12].csv", "odd/v1.csv ");
    lists(s, "odd/v\\[1\\].csv", "odd/v[1].csv ");
    lists(s, "odd/v\\[*", "odd/v[1].csv ");
    lists(s, "odd/*", "odd/* odd/?.csv odd/a\\b.csv odd/v1.csv odd/v[1].csv odd/{x,y}.csv ");
    lists(s, "odd/\\*", "odd/* ");
    lists(s, "odd/\\?.csv", "odd/?.csv ");
    lists(s, "odd/?.csv", "odd/?.csv ");
    lists(s, "odd/???.csv", "odd/a\\b.csv ");
    lists(s, "odd/[?].csv", "odd/?.csv ");
    lists(s, "odd/a\\b.csv", "odd/a\\b.csv ");
    lists(s, "odd/a\\\\b.csv", "odd/a\\b.csv ");
    lists(s, "odd\\/v1.csv", "58P01 directory \"odd\\/v1.csv\" does not exist");
    lists(s, "odd/{x,y}.csv", "odd/{x,y}.csv ");
    lists(s, "odd/\\{x*", "odd/{x,y}.csv ");
    lists(s, "dir[1]", "dir[1]/in.csv ");
    lists(s, "dir[1]/in.csv", "dir[1]/in.csv ");
    lists(s, "dir[1]/*.csv", "dir1/in.csv ");
    lists(s, "dir\\[1\\]/*.csv", "dir[1]/in.csv ");
    lists(s, "dir\\[1\\]", "dir[1]/in.csv ");
    lists(s, "odd/v\\[2\\].csv", "58P01 file \"odd/v[2].csv\" does not exist");
    lists(s, "a/\\.\\./odd/v1.csv", "42501 \"a/../odd/v1.csv\" contains \"..\"");
    lists(s, "a/\\.\\./odd/*", "42501 \"a/../odd\" contains \"..\"");
    lists(s, "\\a/\\*.csv", "58P01 file \"a/*.csv\" does not exist");
    lists(s, "esc/\\*", "esc/* ");
    lists(s, "esc/\\\\\\*", "esc/\\* ");
    opens(s, "odd/v[1].csv", "fine");
    opens(s, "odd/*", "fine");
    opens(s, "odd/a\\b.csv", "fine");

    /* As deep as is allowed, and one more. */
    for (i = 0; i < LOCAL_FS_DEPTH; i++)
    {
        snprintf(nested, sizeof(nested), "pat/%s", deep);
        if (mkdir(at(nested), 0700) != 0)
            abort();
        strcat(deep, "/d");
        if (i == LOCAL_FS_DEPTH - 1)
            lists(s, "deep/**", "");
    }
    snprintf(nested, sizeof(nested), "pat/%s", deep);
    if (mkdir(at(nested), 0700) != 0)
        abort();
    snprintf(want, sizeof(want), "54000 folders are nested more than %d deep", LOCAL_FS_DEPTH);
    lists(s, "deep/**", want);
    lists(s, "**/v1.csv", want);
    lists(s, "odd/**/v1.csv", "odd/v1.csv ");
    for (i = 0, nested[0] = '\0'; i <= LOCAL_FS_DEPTH; i++)
        strcat(nested, "*/");
    snprintf(want, sizeof(want), "54000 pattern has more than %d components", LOCAL_FS_DEPTH);
    lists(s, nested, want);
    driver_local_fs.close(s);
}

/* In a mount namespace of its own: 0 when all is refused, 77 when there is none to be had. */
static int
in_mounts(void)
{
    Status st;
    char source[300], target[300];
    int wrong = 0, i;
    /* The directory itself, one in it, and one above it, each under another path. */
    static const char *const mounts[][2] = {{"data/pg", "data/bind"}, {"data/pg/base", "data/bind2"}, {"data", "other"}};
    void *s;

    if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return 77;
    for (i = 0; i < 3; i++)
    {
        snprintf(source, sizeof(source), "%s/%s", top, mounts[i][0]);
        snprintf(target, sizeof(target), "%s/%s", top, mounts[i][1]);
        if (mount(source, target, NULL, MS_BIND, NULL) != 0)
            return 77;
    }
    s = session("/data", "/data", "/data/pg", &st);
    if (s == NULL)
        return 1;
    for (i = 0; i < 2; i++)
    {
        static const char *const names[] = {"bind/PG_VERSION", "bind2/in_base"};
        DriverInfo info;
        void *object;
        char got[100] = "";

        wrong += driver_local_fs.object_open(s, &(DriverEntry) {.path = names[i], .etag = ""}, false, &object, &info, &st) || strcmp(st.sqlstate, "42501") != 0;
        wrong += !driver_local_fs.list(s, "b*/**", collect, got, &st) || got[0] != '\0';
    }
    driver_local_fs.close(s);
    wrong += session("/data/bind", "/data/bind", "/data/pg", &st) != NULL;
    wrong += session("/data/bind2", "/data/bind2", "/data/pg", &st) != NULL;
    wrong += session("/other/pg/base", "/other/pg/base", "/data/pg", &st) != NULL;
    wrong += session("/other/pg/base/5", "/other/pg/base/5", "/data/pg", &st) != NULL;
    return wrong;
}

static void
check_mounts(void)
{
    int status;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0)
        _exit(in_mounts());
    if (waitpid(child, &status, 0) != child)
        abort();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip("what is forbidden through a bind mount", "no mounts can be made here");
    else
        is_int(status, 0, "what is forbidden through a bind mount");
}

/* Devices are not opened; as root, they could be. */
static void
check_devices(void)
{
    const char *roots[] = {"/dev"};
    DriverConfig config = {.roots = roots, .nroots = 1};
    void *s = NULL;
    Status st;

    if (!driver_local_fs.open(&config, &s, &st))
        abort();
    opens(s, "null", "42809 \"null\" is not a regular file");
    opens(s, "zero", "42809 \"zero\" is not a regular file");
    lists(s, "nul*", "");
    driver_local_fs.close(s);
}

/* ---- reading ------------------------------------------------------------- */

/* Reads a.csv, with `change` done to it in the middle; returns the SQLSTATE. */
static const char *
read_changed(void *s, void (*change)(void), Status *st)
{
    uint8_t out[4];
    DriverInfo info;
    void *object;
    size_t got = 1;
    bool fine;

    put("data/a.csv", "0123456789");
    status_clear(st);
    fine = driver_local_fs.object_open(s, &(DriverEntry) {.path = "a.csv", .etag = ""}, false, &object, &info, st) &&
        driver_local_fs.object_read(object, out, sizeof(out), &got, st);
    if (change != NULL)
        change();
    while (fine && got > 0)
        fine = driver_local_fs.object_read(object, out, sizeof(out), &got, st);
    driver_local_fs.object_close(object);
    return st->sqlstate;
}

static void
shrink(void)
{
    if (truncate(at("data/a.csv"), 2) != 0)
        abort();
}

static void
extend(void)
{
    put("data/a.csv", "0123456789abc");
}

static void
touch(void)
{
    struct timespec times[2] = {{1, 0}, {1, 0}};

    if (utimensat(AT_FDCWD, at("data/a.csv"), times, 0) != 0)
        abort();
}

static void
check_reading(void)
{
    Status st;
    DriverInfo info;
    void *object, *s = session("/data", "/data", NULL, &st);

    is_str(read_changed(s, NULL, &st), "", "read to the end");
    is_str(read_changed(s, shrink, &st), "58030", "a file that shrinks");
    ok(strstr(st.detail, "had 10 bytes") != NULL && strstr(st.detail, "has 2 now") != NULL, "%s", st.detail);
    is_str(read_changed(s, extend, &st), "58030", "a file that grows");
    is_str(read_changed(s, touch, &st), "58030", "a file that is written");
    put("data/a.csv", "abc");
    ok(driver_local_fs.object_open(s, &(DriverEntry) {.path = "a.csv", .etag = ""}, false, &object, &info, &st), "open");
    is_str(info.head_hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "hash of the head");
    is_int((int64_t) info.size, 3, "size");
    driver_local_fs.object_close(object);
    driver_local_fs.close(s);
}

static void
make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", at(name));
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0)
        abort();
    close(fd);
}

/* ---- moving --------------------------------------------------------------- */

/* Moves a file as it is (`older`: as it was some time before); `want` is its place, or SQLSTATE and message. */
static void
moves(void *s, const char *name, const char *to, bool older, const char *want)
{
    static struct stat moved;   /* the last file that was there */
    char place[500], got[1200], below[300];
    struct stat info;
    DriverEntry entry = {.path = name};
    Status st;

    status_clear(&st);
    snprintf(below, sizeof(below), "move/%s", name);
    if (stat(at(below), &info) == 0)
        moved = info;
    entry.size = (uint64_t) moved.st_size;
    entry.mtime = local_fs_mtime(&moved) - older;
    if (driver_local_fs.move(s, &entry, to, place, sizeof(place), &st))
        snprintf(got, sizeof(got), "%s", place);
    else
        snprintf(got, sizeof(got), "%s %s", st.sqlstate, st.message);
    is_str(got, want, "move %s to %s", name, to);
}

static void
check_moving(void)
{
    Status st;
    void *s = session("/move", "/move", "/move/pg", &st);

    moves(s, "in/a.csv", "done/2026/11/a.csv", false, "done/2026/11/a.csv");
    ok(access(at("move/done/2026/11/a.csv"), F_OK) == 0 && access(at("move/in/a.csv"), F_OK) != 0, "it is there, and not here");
    moves(s, "in/a.csv", "done/2026/11/a.csv", false, "done/2026/11/a.csv");
    ok(access(at("move/done/2026/11/a.csv.1"), F_OK) != 0, "once more: nothing happens");
    put("move/in/a.csv", "another");
    moves(s, "in/a.csv", "done/2026/11/a.csv", true, "55000 file \"in/a.csv\" is not the one that was read");
    moves(s, "in/a.csv", "done/2026/11/a.csv", false, "done/2026/11/a.csv.1");
    moves(s, "in/a.csv", "done/2026/11/a.csv", false, "done/2026/11/a.csv.1");
    moves(s, "in/none.csv", "done/none.csv", false, "58P01 file \"in/none.csv\" does not exist");
    moves(s, "in/b.csv", "in/b.csv", false, "in/b.csv.1");
    moves(s, "in/c.csv", "../c.csv", false, "42501 \"../c.csv\" contains \"..\"");
    moves(s, "in/c.csv", "pg/c.csv", false, "42501 \"pg/c.csv\" lies in a directory that must not be read");
    moves(s, "in/c.csv", "link/c.csv", false, "42501 \"link/c.csv\" is or goes through a symbolic link");
    moves(s, "in/c.csv", "done/", false, "22023 \"done/\" does not name a file");
    moves(s, "in/c.csv", "in/c.csv/c.csv", false, "42809 \"in/c.csv/c.csv\" goes through something that is not a directory");
    moves(s, "link/c.csv", "c.csv", false, "42501 \"link/c.csv\" is or goes through a symbolic link");
    ok(access(at("move/in/c.csv"), F_OK) == 0, "a file whose move failed is where it was");
    driver_local_fs.close(s);
}

/* Names with 255 bytes, taken. */
static void
check_long_names(void)
{
    char name[270], from[280], to[280], second[280];
    Status st;
    void *s = session("/move", "/move", "/move/pg", &st);

    snprintf(name, sizeof(name), "%0251d", 7);
    snprintf(second, sizeof(second), "long/%s\xc3\xa4.1", name);
    strcat(name, "\xc3\xa4\xc3\xa4");
    snprintf(from, sizeof(from), "in/%s", name);
    snprintf(to, sizeof(to), "long/%s", name);
    for (int i = 0; i < 2; i++)
    {
        char below[300];

        snprintf(below, sizeof(below), "move/%s", from);
        put(below, i == 0 ? "first" : "another");
        moves(s, from, to, false, i == 0 ? to : second);
    }
    driver_local_fs.close(s);
}

/* What was claimed has a name of its own. */
static void
check_claims(void)
{
    struct stat info;
    Status st;
    void *s = session("/move", "/move", "/move/pg", &st);

    ((LocalFs *) s)->claims = true;
    put("move/in/own.csv", "own");
    moves(s, "in/own.csv", "work/own.csv", false, "work/own.csv");
    put("move/in/own.csv", "new");
    if (stat(at("move/work/own.csv"), &info) != 0 || utimensat(AT_FDCWD, at("move/in/own.csv"), (const struct timespec[]) {info.st_atim, info.st_mtim}, 0) != 0)
        abort();
    moves(s, "in/own.csv", "work/own.csv", false, "work/own.csv");
    ok(access(at("move/in/own.csv"), F_OK) == 0, "a file that has come in its place stays there, also one of the same size and time");
    put("move/work/own.csv", "written since");
    moves(s, "in/own.csv", "work/own.csv", false, "work/own.csv");
    unlink(at("move/in/own.csv"));
    if (linkat(open(at("move/work"), O_RDONLY), "own.csv", open(at("move/in"), O_RDONLY), "own.csv", 0) != 0)
        abort();
    moves(s, "in/own.csv", "work/own.csv", false, "work/own.csv");
    ok(access(at("move/in/own.csv"), F_OK) != 0, "a file with both names, which a crash has left, loses the old one");
    driver_local_fs.close(s);
}

static void
make_folders(void)
{
    static const char *const folders[] = {"data", "data/sub", "data/pg", "data/pg/base", "data/pg/base/5", "data/pg/tblspc", "data/bind", "data/bind2", "other",
        "secret", "data2", "move", "move/in", "move/pg", "wal", "space", "space/sub", "pat", "pat/a", "pat/a/x", "pat/a/x/y", "pat/a/.h", "pat/odd", "pat/esc", "pat/dir[1]", "pat/dir1"};
    static const char *const links[][2] = {{"../secret", "data/link"}, {"b.csv", "data/link.csv"}, {"../secret", "move/link"}, {"data", "rootlink"}, {"data/pg", "pglink"},
        {"data/pg/base/5", "walllink"}, {"../../wal", "data/pg/wal"}, {"../../../space", "data/pg/tblspc/1"}, {"../../secret", "pat/a/link"}};
    size_t i;

    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(at(folders[i]), 0700) != 0)
            abort();
    for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        if (symlink(links[i][0], at(links[i][1])) != 0)
            abort();
    if (mkfifo(at("data/fifo"), 0600) != 0)
        abort();
    make_socket("data/socket");
}

int
main(void)
{
    char command[100];

    if (mkdtemp(top) == NULL)
        abort();
    make_folders();
    put("data/b.csv", "b");
    put("data/a.csv", "a");
    put("data/c.txt", "c");
    put("data/.hidden", "h");
    put("data/sub/e.csv", "e");
    put("data/sub/d.csv", "d");
    put("data/pg/PG_VERSION", "15");
    put("secret/x.csv", "x");
    put("data/pg/base/in_base", "x");
    put("space/in_space", "x");
    put("wal/in_wal", "x");
    put("move/in/a.csv", "a");
    put("move/in/b.csv", "b");
    put("move/in/c.csv", "c");
    put("pat/a/b.csv", "b");
    put("pat/a/c.csv", "c");
    put("pat/a/x/b.csv", "b");
    put("pat/a/x/y/b.csv", "b");
    put("pat/a/.h/b.csv", "b");
    put("pat/odd/v1.csv", "1");
    put("pat/odd/v[1].csv", "1");
    put("pat/odd/*", "*");
    put("pat/odd/?.csv", "?");
    put("pat/odd/a\\b.csv", "ab");
    put("pat/odd/{x,y}.csv", "xy");
    put("pat/esc/*", "*");
    put("pat/esc/\\*", "escaped");
    put("pat/dir[1]/in.csv", "in");
    put("pat/dir1/in.csv", "in");
    check_base();
    check_names();
    check_patterns();
    check_mounts();
    check_devices();
    check_reading();
    check_moving();
    check_long_names();
    check_claims();
    snprintf(command, sizeof(command), "rm -r '%s'", top);
    return system(command) != 0 || done();
}
