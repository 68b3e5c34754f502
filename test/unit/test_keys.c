/*
 * test_keys.c: what resources mean in stores that have keys instead of folders.
 *
 * A store of a few keys that answers listings of a prefix, and fails when it is told to.
 */
#include "tap.h"

#include <stdlib.h>

#include "store/keys.h"
#include "store/xml.h"

typedef struct Fake
{
    const char *const *keys;
    int calls, fails_at;    /* the call that fails, from 1 on; 0: none */
} Fake;

static bool
list_fake(void *context, const char *prefix, bool flat, KeyEmit emit, void *emit_context, Status *st)
{
    Fake *fake = context;
    size_t n = strlen(prefix);
    bool stop = false;

    if (++fake->calls == fake->fails_at)
        return status_fail(st, STATUS_IO, "the connection broke");
    for (const char *const *key = fake->keys; *key != NULL && !stop; key++)
    {
        const DriverEntry entry = {*key, 7, 1700000000000000, (*key)[0] == 'e' ? "" : *key};
        const char *slash = strncmp(*key, prefix, n) == 0 ? strchr(*key + n, '/') : NULL;

        if (strncmp(*key, prefix, n) != 0 || (flat && slash != NULL && slash[1] != '\0'))
            continue;
        if (!emit(emit_context, &entry, &stop, st))
            return false;
    }
    return true;
}

typedef struct Found { char text[700]; bool whole; } Found;

static bool
on_entry(void *context, const DriverEntry *entry, Status *st)
{
    Found *found = context;
    size_t n = strlen(found->text);

    (void) st;
    snprintf(found->text + n, sizeof(found->text) - n, "%s%s", n > 0 ? " " : "", entry->path);
    found->whole = found->whole && entry->size == 7 && entry->mtime == 1700000000000000 &&
        strcmp(entry->etag, entry->path[0] == 'e' ? "" : entry->path) == 0;
    return true;
}

/* What the store lists for a resource: paths, or "SQLSTATE message". */
static void
check(Fake *fake, const char *resource, const char *expected, const char *what)
{
    const KeyLister lister = {list_fake, fake};
    Found found = {"", true};
    Status st;

    status_clear(&st);
    fake->calls = 0;
    if (!keys_list(&lister, resource, on_entry, &found, &st))
        snprintf(found.text, sizeof(found.text), "%s %s", st.sqlstate, st.message);
    is_str(found.text, expected, "%s", what);
    ok(found.whole, "with size, time and etag");
}

static bool
on_count(void *context, const DriverEntry *entry, Status *st)
{
    (void) entry;
    (void) st;
    ++*(int *) context;
    return true;
}

/* Names that can't be listed stop the listing, and are told. */
static void
check_refused(void)
{
    static char longest[4097 + 6];
    const char *keys[] = {"a.csv", longest, NULL};
    const char *const odd[] = {"a.csv", "b\xff/c.csv", NULL};
    Fake fake = {keys, 0, 0};
    const KeyLister lister = {list_fake, &fake};
    Found found = {"", true};
    int n = 0;
    Status st;

    memset(longest, 'n', 4096);
    status_clear(&st);
    ok(keys_list(&lister, "n*", on_count, &n, &st) && n == 1, "a name of 4096 bytes is one");
    memcpy(longest + 4096, "/x.csv", 6);
    memcpy(longest, "long/", 5);
    fake.keys = keys;
    status_clear(&st);
    ok(!keys_list(&lister, "**", on_entry, &found, &st), "a longer one is none");
    is_str(st.message, "the name of an object has 4102 bytes, more than 4096", "which is said");
    ok(strncmp(st.detail, "The name is \"long/nnn", 21) == 0 && strstr(st.detail, "nnn\" and so on.") != NULL, "with its beginning");
    fake.keys = odd;
    status_clear(&st);
    ok(!keys_list(&lister, "**", on_entry, &found, &st), "nor is one that is not UTF-8");
    is_str(st.detail, "The name is \"b\\xff/c.csv\".", "which is shown as far as it can be");
}

/* How many pages come of a listing that begins with `lead` marks of its own and then goes around `circle` others; at most `max`. */
static int
pages_until_refused(int lead, int circle, bool has_keys, int max)
{
    KeyPages pages = {0};

    for (int n = 0; n < max; n++)
    {
        char mark[20];

        snprintf(mark, sizeof(mark), "m%d", n < lead ? -n - 1 : (n - lead) % circle);
        if (keys_endless(&pages, has_keys, mark))
            return n;
    }
    return max;
}

static void
check_pages(void)
{
    KeyPages pages = {0};

    ok(!keys_endless(&pages, true, "a") && !keys_endless(&pages, true, "b") && !keys_endless(&pages, false, NULL), "a listing that goes on, and comes to its end");
    is_int(pages_until_refused(0, 1, true, 10), 1, "one that stands still");
    is_int(pages_until_refused(0, 2, true, 10), 2, "one that goes to and fro");
    ok(pages_until_refused(1000, 7, true, 100000) < 3100, "one that goes around, later");
    is_int(pages_until_refused(100000, 1, true, 100000), 100000, "long ones go on");
    is_int(pages_until_refused(100000, 1, false, 100000), 10000, "but not without keys");
}

static void
check_time(const char *text, int64_t seconds)
{
    int64_t micros = 0;
    bool fine = store_iso_time(text, &micros);

    is_int(fine ? micros / 1000000 : -1, seconds, "%s", text);
}

static void
check_times(void)
{
    check_time("2024-05-01T10:20:30.123Z", 1714558830);
    check_time("2024-02-29T23:59:59Z", 1709251199);
    check_time("2016-12-31T23:59:60Z", 1483228800);
    check_time("2023-02-29T00:00:00Z", -1);
    check_time("2024-99-99T99:99:99Z", -1);
    check_time("2024-04-31T10:00:00Z", -1);
    check_time("2024-05-01T10:20:30+02:00", -1);
}

int
main(void)
{
    static const char *const keys[] = {"/lead.csv", "a.csv", "a/", "a/b.csv", "a/c.csv", "a/d/e.csv", "d1/x.csv", "d2/y.csv", "empty-etag.csv",
                                       "v1.csv", "v[1].csv", "w1.csv", "z/", NULL};
    static const char *const unsorted[] = {"b/2.csv", "a/9.csv", "b/1.csv", "a/9.csv", NULL};
    Fake fake = {keys, 0, 0}, mixed = {unsorted, 0, 0};

    check(&fake, NULL, "a.csv empty-etag.csv v1.csv v[1].csv w1.csv", "the base, without folders and what is in them");
    check(&fake, "a.csv", "a.csv", "a key");
    check(&fake, "/a.csv", "a.csv", "a slash in front means the base");
    check(&fake, "a", "a/b.csv a/c.csv", "a folder");
    check(&fake, "a/", "a/b.csv a/c.csv", "with its slash");
    check(&fake, "a/**", "a/b.csv a/c.csv a/d/e.csv", "and all below it");
    check(&fake, "*/*.csv", "/lead.csv a/b.csv a/c.csv d1/x.csv d2/y.csv", "a pattern over folders, one of which has an empty name");
    check(&fake, "v[1].csv", "v[1].csv", "the key of that very name goes before the pattern");
    check(&fake, "v\\[1\\].csv", "v[1].csv", "an escaped name");
    check(&fake, "w[1].csv", "w1.csv", "a pattern where there is no such key");
    check(&fake, "//*.csv", "/lead.csv", "keys may begin with a slash");
    check(&fake, "//lead.csv", "/lead.csv", "by name, too");
    check(&mixed, "**/*.csv", "a/9.csv b/1.csv b/2.csv", "what comes unsorted is sorted, what comes twice is there once");
    check(&fake, "nothing.csv", "58P01 file \"nothing.csv\" does not exist", "a name that is not there");
    check(&fake, "no/", "58P01 folder \"no/\" does not exist", "nor is a folder");
    check(&fake, "no*", "", "a pattern finds nothing");
    check(&fake, "a/../b", "42501 \"a/../b\" contains \"..\"", "no way up");

    fake.fails_at = 1;
    check(&fake, "v[1].csv", "58030 the connection broke", "when the name can't be asked for, the pattern is not tried instead");
    check(&fake, "a", "58030 the connection broke", "nor for a plain name");
    fake.fails_at = 2;
    check(&fake, "w[1].csv", "58030 the connection broke", "nor where its folder can't be listed");
    is_int(fake.calls, 2, "no further request");

    check_refused();

    check_pages();
    check_times();
    return done();
}
