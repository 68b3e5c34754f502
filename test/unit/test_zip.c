/*
 * test_zip.c: zip archives: members, what is refused, headers that lie, cuts.
 */
#include "tap.h"

#include "drain.h"
#include "pack.h"

/* A member as it is written, right or wrong. */
typedef struct Member
{
    const char *name, *text;
    int method;             /* 0 or 8; another is written as if it were 0 */
    int flags;
    bool zip64;             /* sizes in an extra field */
    int descriptor;         /* bytes of its sizes: 4 or 8; 0: none */
    bool unsigned_one;      /* a descriptor without its sign */
    int wrong;              /* 1: checksum; 2: size; 3: packed size is less; 4: is more */
    bool unlisted;          /* not in the directory */
} Member;

static uint8_t zip[1 << 16], out[1 << 17];
static size_t size, directory;  /* of the archive; where its directory begins */

static size_t
put(uint8_t *at, const char *widths, const uint64_t *values)
{
    size_t used = 0;

    for (size_t i = 0; widths[i] != '\0'; i++)
    {
        put_number(at + used, (size_t) (widths[i] - '0'), values[i]);
        used += (size_t) (widths[i] - '0');
    }
    return used;
}

static size_t
deflate_raw(const char *text, uint8_t *to, size_t room)
{
    z_stream z = {0};
    size_t n;

    deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *) (uintptr_t) text;
    z.avail_in = (uInt) strlen(text);
    z.next_out = to;
    z.avail_out = (uInt) room;
    deflate(&z, Z_FINISH);
    n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* Writes the archive into `zip`. */
static void
build(const Member *members_of, size_t n)
{
    static uint8_t entries[1 << 15], body[1 << 15];
    size_t used = 0, listed = 0, count = 0;

    for (size_t i = 0; i < n; i++)
    {
        const Member *m = &members_of[i];
        uint64_t plain = strlen(m->text), packed = plain, crc = crc32(0, (const Bytef *) m->text, (uInt) plain), told_packed, told_plain;
        uint64_t flags = (uint64_t) m->flags | (m->descriptor > 0 ? 8U : 0U), name = strlen(m->name), extra = m->zip64 ? 20 : 0;
        size_t begin = used;

        if (m->method == 8)
            packed = deflate_raw(m->text, body, sizeof(body));
        else
            memcpy(body, m->text, plain);
        crc ^= m->wrong == 1;
        told_plain = plain + (m->wrong == 2);
        told_packed = packed - (m->wrong == 3) + (m->wrong == 4);
        used += put(zip + used, "42222244422", (uint64_t[]) {0x04034b50, 20, flags, (uint64_t) m->method, 0, 0,
                    m->descriptor > 0 ? 0 : crc, m->descriptor > 0 ? 0 : m->zip64 ? 0xffffffff : told_packed,
                    m->descriptor > 0 ? 0 : m->zip64 ? 0xffffffff : told_plain, name, extra});
        memcpy(zip + used, m->name, name);
        used += name;
        if (m->zip64)
            used += put(zip + used, "2288", (uint64_t[]) {1, 16, told_plain, told_packed});
        memcpy(zip + used, body, packed);
        used += packed;
        if (m->descriptor > 0 && !m->unsigned_one)
            used += put(zip + used, "4", (uint64_t[]) {0x08074b50});
        if (m->descriptor > 0)
            used += put(zip + used, m->descriptor == 8 ? "488" : "444", (uint64_t[]) {crc, told_packed, told_plain});
        if (m->unlisted)
            continue;
        listed += put(entries + listed, "42222224442222244", (uint64_t[]) {0x02014b50, 20, 20, flags, (uint64_t) m->method, 0, 0, crc,
                      m->zip64 ? 0xffffffff : told_packed, m->zip64 ? 0xffffffff : told_plain, name, extra, 0, 0, 0, 0, begin});
        memcpy(entries + listed, m->name, name);
        listed += name;
        if (m->zip64)
            listed += put(entries + listed, "2288", (uint64_t[]) {1, 16, told_plain, told_packed});
        count++;
    }
    directory = used;
    memcpy(zip + used, entries, listed);
    used += listed;
    used += put(zip + used, "422224423", (uint64_t[]) {0x06054b50, 0, 0, count, count, listed, directory, 3, 0x21696821});
    size = used;
}

static int64_t
read_all(Compression kind, Status *st)
{
    return drain(zip, size, 100, kind, out, sizeof(out), st);
}

/* One member, alone; the message it is refused with. */
static const char *
refused(Member m)
{
    static Status st;

    build(&m, 1);
    if (read_all(COMPRESSION_ZIP, &st) >= 0)
        return "it is read";
    return st.message;
}

#define A "id,name\n1,Ada\n"
#define B "id,name\n2,Bruno\n"

static void
check_members(void)
{
    static const Member all[] = {
        {.name = "folder/", .text = ""}, {.name = "folder/a.csv", .text = A, .method = 8}, {.name = "b.csv", .text = B},
        {.name = "__MACOSX/b.csv", .text = "junk", .method = 8}, {.name = "x/.DS_Store", .text = "junk"}, {.name = "..\\.x", .text = "junk"},
        {.name = "b.csv", .text = A, .method = 8, .zip64 = true}, {.name = "/etc/passwd", .text = B, .method = 8, .descriptor = 4},
        {.name = "../../up.csv", .text = A, .method = 8, .descriptor = 8, .zip64 = true}, {.name = "n\x01\xff.csv", .text = B, .zip64 = true},
        {.name = "empty.csv", .text = "", .method = 8, .descriptor = 4, .unsigned_one = true}, {.name = "nothing.csv", .text = "", .descriptor = 4},
        {.name = "last.csv", .text = A, .method = 8, .descriptor = 8, .unsigned_one = true},
    };
    size_t n = sizeof(all) / sizeof(all[0]), wrong = 0, silent = 0;
    Status st;

    build(all, n);
    for (size_t step = 1; step < 200; step++)
        if (drain(zip, size, step, COMPRESSION_AUTO, out, sizeof(out), &st) != 4 * sizeof(A) + 3 * sizeof(B) - 7 ||
            memcmp(out, A B A B A B A, 4 * sizeof(A) + 3 * sizeof(B) - 7) != 0)
            wrong++;
    is_int((int64_t) wrong, 0, "members in pieces: %s", st.message);
    is_str(members, "folder/a.csv\nb.csv\nb.csv\n/etc/passwd\n../../up.csv\nn??.csv\nempty.csv\nnothing.csv\nlast.csv\n",
           "their names; no folders, nothing hidden");
    for (size_t cut = 1; cut < size; cut++)
        if (drain(zip, cut, 100, COMPRESSION_ZIP, out, sizeof(out), &st) >= 0 || strcmp(st.sqlstate, "22P04") != 0)
            silent++;
    is_int((int64_t) silent, 0, "cut anywhere it is an error");
    is_int(drain(zip, directory, 100, COMPRESSION_ZIP, out, sizeof(out), &st), -1, "without its directory");
    is_str(st.message, "zip data ends early", "its message");
    is_int((int64_t) drained, 4 * sizeof(A) + 3 * sizeof(B) - 7, "what came before it");
    zip[size] = 'x';
    size++;
    is_int(read_all(COMPRESSION_ZIP, &st), -1, "something behind it");
    is_str(st.message, "zip data is followed by something else", "its message");
    build(NULL, 0);
    is_int(read_all(COMPRESSION_AUTO, &st), 0, "an archive without members");
    build(all, 1);
    is_int(read_all(COMPRESSION_AUTO, &st), 0, "one of a folder alone");
    size = 0;
    is_int(read_all(COMPRESSION_ZIP, &st), 0, "nothing at all");
    is_int(drain((const uint8_t *) "text", 4, 1, COMPRESSION_ZIP, out, sizeof(out), &st), -1, "no archive");
    is_str(st.message, "zip data is missing", "its message");
}

static void
check_lies(void)
{
    Member two[] = {{.name = "a.csv", .text = A, .method = 8}, {.name = "gone.csv", .text = B, .unlisted = true}};
    size_t silent = 0;
    Status st;

    for (int wrong = 1; wrong <= 4; wrong++)
        for (int how = 0; how < 6; how++)
        {
            Member m = {.name = "a.csv", .text = A, .method = how % 2 == 0 ? 8 : 0, .zip64 = how / 2 == 1, .descriptor = how == 4 ? 8 : 0,
                .wrong = wrong};

            build(&m, 1);
            if (read_all(COMPRESSION_ZIP, &st) >= 0 || strcmp(st.sqlstate, "22P04") != 0)
                silent++, printf("# wrong %d, how %d\n", wrong, how);
        }
    is_int((int64_t) silent, 0, "headers and descriptors that lie");
    build(two, 2);
    is_int(read_all(COMPRESSION_ZIP, &st), -1, "a member that the directory does not list");
    ok(strstr(st.hint, "directory lists other members") != NULL, "%s", st.hint);
    for (size_t at = 0; at < size; at++)
    {
        two[1].unlisted = false;
        build(two, 2);
        zip[at] ^= 0x55;
        if (read_all(COMPRESSION_ZIP, &st) >= 0 && (drained != sizeof(A) + sizeof(B) - 2 || memcmp(out, A B, drained) != 0) &&
            strstr(members, ".csv\n") == NULL)
            silent++;
    }
    is_int((int64_t) silent, 0, "one byte changed gives nothing wrong in silence");
}

static void
check_refused(void)
{
    char name[2000];
    Status st;

    is_str(refused((Member) {.name = "a.csv", .text = A, .method = 8, .flags = 1}),
           "member \"a.csv\" of the archive is encrypted, which can't be read in this version", "encrypted");
    is_str(refused((Member) {.name = "a.csv", .text = A, .method = 12}),
           "member \"a.csv\" of the archive is compressed by bzip2, which can't be read in this version", "another method");
    is_str(refused((Member) {.name = "a.csv", .text = A, .method = 77}),
           "member \"a.csv\" of the archive is compressed by method 77, which can't be read in this version", "one without a name");
    is_str(refused((Member) {.name = "a.csv", .text = A, .descriptor = 4}),
           "member \"a.csv\" of the archive is stored without its size in front, which can't be read in this version", "no size in front");
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    is_str(refused((Member) {.name = name, .text = A}), "zip data has a member whose name is too long", "a long name");
    build(&(Member) {.name = "[Content_Types].xml", .text = A}, 1);
    is_int(read_all(COMPRESSION_AUTO, &st), -1, "a workbook");
    is_str(st.sqlstate, "0A000", "is refused");
    is_int(read_all(COMPRESSION_ZIP, &st), sizeof(A) - 1, "unless it is said to be an archive");
    build(&(Member) {.name = "a.csv", .text = A}, 1);
    zip[size - 3 - 22 + 4] = 1;
    is_int(read_all(COMPRESSION_AUTO, &st), -1, "one part of several");
    is_str(st.sqlstate, "0A000", "is refused");
}

int
main(void)
{
    check_members();
    check_lies();
    check_refused();
    return done();
}
