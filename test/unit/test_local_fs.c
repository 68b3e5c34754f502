/*
 * test_local_fs.c: what the local file driver lists, opens and refuses.
 */
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "../connectors/local_fs/local_fs.h"

static char top[] = "/tmp/kaireon-test-XXXXXX";
static char path[300];

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
    if (driver_local_fs.object_open(s, name, &object, &info, &st))
        driver_local_fs.object_close(object);
    else
        snprintf(got, sizeof(got), "%s %s", st.sqlstate, st.message);
    is_str(got, want, "open %s", name);
}

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
    opens(s, "link.csv", "42501 \"link.csv\" is or goes through a symbolic link");
    opens(s, "link/x.csv", "42501 \"link/x.csv\" is or goes through a symbolic link");
    opens(s, "sub/../a.csv", "42501 \"sub/../a.csv\" contains \"..\"");
    opens(s, "..", "42501 \"..\" contains \"..\"");
    opens(s, "pg/PG_VERSION", "42501 \"pg/PG_VERSION\" lies in a directory that must not be read");
    opens(s, "a.csv/x", "42809 \"a.csv/x\" goes through something that is not a directory");
    opens(s, "", "58P01 file \"\" does not exist");
    driver_local_fs.close(s);
}

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
    fine = driver_local_fs.object_open(s, "a.csv", &object, &info, st) &&
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
    ok(driver_local_fs.object_open(s, "a.csv", &object, &info, &st), "open");
    is_str(info.head_hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "hash of the head");
    is_int((int64_t) info.size, 3, "size");
    driver_local_fs.object_close(object);
    driver_local_fs.close(s);
}

int
main(void)
{
    char command[100];

    if (mkdtemp(top) == NULL || mkdir(at("data"), 0700) != 0 || mkdir(at("data/sub"), 0700) != 0 ||
        mkdir(at("data/pg"), 0700) != 0 || mkdir(at("secret"), 0700) != 0 || mkdir(at("data2"), 0700) != 0 ||
        mkfifo(at("data/fifo"), 0600) != 0)
        abort();
    put("data/b.csv", "b");
    put("data/a.csv", "a");
    put("data/c.txt", "c");
    put("data/.hidden", "h");
    put("data/sub/e.csv", "e");
    put("data/sub/d.csv", "d");
    put("data/pg/PG_VERSION", "15");
    put("secret/x.csv", "x");
    if (symlink("../secret", at("data/link")) != 0 || symlink("b.csv", at("data/link.csv")) != 0)
        abort();
    check_base();
    check_names();
    check_reading();
    snprintf(command, sizeof(command), "rm -r '%s'", top);
    return system(command) != 0 || done();
}
