/*
 * test_session.c: the program kaireon-reader over a socket pair, as a worker
 * uses it.
 *
 * Run from the root directory after build/kaireon-reader was made (its
 * makefile rule sees to that).  Every wait has an end: the alarm fails the
 * test when the reader hangs.
 */
#define _GNU_SOURCE     /* memmem */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire/wire.h"

static char top[] = "/tmp/kaireon-test-XXXXXX";
static int fd = -1;
static pid_t reader;
static uint8_t *body;
static uint64_t error_line; /* of what is_error saw */
static WireHeader header;

static void
start(void)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    reader = fork();
    if (reader == 0)
    {
        /* dup2 onto itself would keep close-on-exec. */
        if (pair[1] == WIRE_READER_FD)
            fcntl(pair[1], F_SETFD, 0);
        else
            dup2(pair[1], WIRE_READER_FD);
        execl("build/kaireon-reader", "kaireon-reader", (char *) NULL);
        _exit(127);
    }
    close(pair[1]);
    fd = pair[0];
}

/* Closes the socket; the reader's exit code, or minus its signal. */
static int
stop(void)
{
    int status;

    if (fd >= 0)
        close(fd);
    fd = -1;
    waitpid(reader, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
put(WireType type, const void *data, size_t n)
{
    WireHeader h = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = (uint8_t) type, .length = (uint32_t) n};

    if (write(fd, &h, sizeof(h)) != (ssize_t) sizeof(h) || write(fd, data, n) != (ssize_t) n)
        perror("# write");
}

static void
credit(uint32_t n)
{
    put(WIRE_CREDIT, &n, sizeof(n));
}

static bool
get_bytes(void *out, size_t n)
{
    size_t have = 0;

    while (have < n)
    {
        ssize_t got = read(fd, (char *) out + have, n - have);

        if (got <= 0)
            return false;
        have += (size_t) got;
    }
    return true;
}

/* Receives a message into header and body; its type, 0 at the end of the connection. */
static int
get(void)
{
    if (!get_bytes(&header, sizeof(header)) || wire_header_check(&header) != NULL)
        return 0;
    free(body);
    body = malloc(header.length + 8);
    return get_bytes(body, header.length) ? header.type : 0;
}

static bool
silent(void)
{
    uint8_t byte;

    usleep(50000);
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void
ask(const char *rest)
{
    char json[2000];

    snprintf(json, sizeof(json), "{\"connector\":{\"type\":\"local_fs\",\"config\":{\"basePath\":\"%s\"}},\"roots\":[\"%s\"]%s}",
             top, top, rest);
    put(WIRE_REQUEST, json, strlen(json));
}

static void
is_error(const char *sqlstate, const char *message, const char *label)
{
    WireReader r;
    WireFailure failure;
    char text[700] = "(no error message)";

    error_line = 0;
    if (get() == WIRE_ERROR)
    {
        r = (WireReader) {body, header.length, 0, false};
        if (wire_get_failure(&r, &failure))
            error_line = failure.line;
        if (!r.bad)
            snprintf(text, sizeof(text), "%s %.*s", failure.sqlstate, (int) failure.message.length, failure.message.data);
    }
    is_int(strncmp(text, sqlstate, 5), 0, "%s: %s", label, text);
    ok(strstr(text, message) != NULL, "%s: says \"%s\"", label, message);
}

static void
write_file(const char *name, size_t rows)
{
    char path[300];
    FILE *f;
    size_t i;

    snprintf(path, sizeof(path), "%s/%s", top, name);
    f = fopen(path, "w");
    fputs("id,name\n", f);
    for (i = 0; i < rows; i++)
        fprintf(f, "%zu,name %zu\n", i, i);
    if (fclose(f) != 0)
        abort();
}

#define COLUMNS ",\"columns\":[{\"name\":\"id\",\"type\":\"int8\"},{\"name\":\"name\"}]"

static void
check_read(void)
{
    static const uint8_t types[] = {WIRE_INT, WIRE_TEXT};
    uint64_t rows = 0, sum = 0;
    uint32_t batches = 0, i;
    WireReader r;
    WireSplit split;
    WireBatch batch;
    int type;

    ask(",\"resource\":\"a.csv\",\"credit\":2" COLUMNS);
    is_int(get(), WIRE_SPLIT, "a split begins");
    r = (WireReader) {body, header.length, 0, false};
    ok(wire_get_split(&r, &split) && split.ncols == 2 && split.present[0] == 1 && split.path.length == 5, "its message");
    ok(strstr((char *) split.dialect.data, "\"compression\":\"none\"") != NULL, "its dialect");
    while ((type = get()) == WIRE_BATCH)
    {
        const char *wrong = wire_batch_open(body, header.length, types, 2, &batch);

        if (wrong != NULL)
            break;
        for (i = 0; i < batch.header->nrows; i++)
            sum += ((const uint64_t *) (batch.body + batch.columns[0].values_at))[i];
        rows += batch.header->nrows;
        if (++batches == 2)
            ok(silent(), "no batch without credit");
        if (batches >= 2)
            credit(1);
    }
    is_int(type, WIRE_SPLIT_END, "then the split's end");
    is_int((int64_t) rows, 5000, "all rows");
    is_int((int64_t) sum, 5000 * 4999 / 2, "their values");
    is_int(get(), WIRE_END, "then the end");
}

static void
check_requests(void)
{
    ask(",\"operation\":\"list\",\"credit\":10");
    is_int(get(), WIRE_OBJECT, "a listing's first object");
    is_int(get(), WIRE_OBJECT, "a listing's second object");
    is_int(get(), WIRE_END, "its end");
    ask(",\"resource\":\"none.csv\"" COLUMNS);
    is_error("58P01", "file \"none.csv\" does not exist", "missing file");
    ask(",\"resource\":\"none.csv\",\"missingOk\":true,\"operation\":\"list\"");
    is_int(get(), WIRE_END, "a missing file that may be: no objects");
    ask(",\"resource\":\"none/x.csv\",\"missingOk\":true" COLUMNS);
    is_int(get(), WIRE_END, "nor rows, also where its folder is missing");
    ask(",\"resource\":\"../x.csv\",\"missingOk\":true" COLUMNS);
    is_error("42501", "contains \"..\"", "what must not be read is an error all the same");
    ask(",\"files\":[{\"path\":\"b.csv\"},{\"path\":\"a.csv\"}],\"operation\":\"describe\"");
    is_int(get(), WIRE_SPLIT, "the first of the files that are named is described");
    ok(memmem(body, header.length, "b.csv", 5) != NULL, "which it is");
    is_int(get(), WIRE_END, "and no other");
    ask(",\"resource\":\"a.csv\",\"columns\":[{\"name\":\"Id\"}]");
    is_error("42703", "source has no field \"Id\"", "missing field");
    ask(",\"colums\":[]");
    is_error("22023", "unknown key \"colums\"", "bad request");
    ask(",\"files\":[{\"path\":\"a.csv\",\"size\":1,\"mtime\":2}]" COLUMNS);
    is_error("58030", "no longer as it was listed", "changed file");
    ask(",\"resource\":\"a.csv\",\"rowLimit\":3" COLUMNS);
    is_int(get(), WIRE_SPLIT, "row limit: split");
    is_int(get(), WIRE_BATCH, "row limit: one batch");
    is_int(((WireBatchHeader *) body)->nrows, 3, "row limit: its rows");
    is_int(get(), WIRE_SPLIT_END, "row limit: split end");
    is_int(get(), WIRE_END, "row limit: end");
}

static void
write_text(const char *name, const char *text)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", top, name);
    f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

/* What a file of the test is, as a request has it. */
static const char *
describe_file(const char *name)
{
    static char json[400];
    char path[300];
    struct stat info;

    snprintf(path, sizeof(path), "%s/%s", top, name);
    if (stat(path, &info) != 0)
        abort();
    snprintf(json, sizeof(json), "{\"path\":\"%s\",\"size\":%lld,\"mtime\":%lld}", name, (long long) info.st_size,
             (long long) info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000);
    return json;
}

/* A file that is elsewhere by now. */
static void
check_elsewhere(void)
{
    char request[1000];
    WireReader r;
    WireSplit split;

    snprintf(request, sizeof(request), ",\"files\":[{\"path\":\"was.tsv\",\"size\":7,\"mtime\":8,\"etag\":\"e\",\"at\":%s}],\"format\":{\"format\":\"csv\"}" COLUMNS, describe_file("b.csv"));
    ask(request);
    is_int(get(), WIRE_SPLIT, "a file that is elsewhere");
    r = (WireReader) {body, header.length, 0, false};
    ok(wire_get_split(&r, &split) && split.size == 7 && split.mtime == 8 && strncmp(split.path.data, "was.tsv", 7) == 0 && strncmp(split.etag.data, "e", split.etag.length) == 0,
       "is told of as what it was");
    is_int(get(), WIRE_SPLIT_END, "its end");
    is_int(get(), WIRE_END, "the end");
    ask(",\"files\":[{\"path\":\"b.csv\",\"size\":7,\"mtime\":8,\"at\":{\"path\":\"a.csv\",\"size\":7,\"mtime\":8}}]" COLUMNS);
    is_error("58030", "file \"a.csv\" is no longer as it was listed", "one that has changed there");
}

/* Files that are moved, of which some have gone. */
static void
check_moves(void)
{
    char request[2000], file[500];
    WireReader r;
    WireObject object;
    const char *place[] = {"", "m/moved.csv", ""};

    write_text("moving.csv", "id\n");
    snprintf(file, sizeof(file), "%s", describe_file("moving.csv"));
    file[strlen(file) - 1] = '\0';
    snprintf(request, sizeof(request), ",\"operation\":\"move\",\"missingOk\":true,\"files\":[{\"path\":\"none.csv\",\"size\":1,\"mtime\":2,\"to\":\"m/n.csv\"},"
             "%s,\"to\":\"m/moved.csv\"},{\"path\":\"a.csv\",\"size\":1,\"mtime\":2,\"to\":\"m/a.csv\"}]", file);
    ask(request);
    for (int i = 0; i < 3; i++)
    {
        is_int(get(), WIRE_OBJECT, "moves: an answer for each");
        r = (WireReader) {body, header.length, 0, false};
        ok(wire_get_object(&r, &object) && object.path.length == strlen(place[i]) && strncmp(object.path.data, place[i], strlen(place[i])) == 0, "moves: \"%s\"", place[i]);
    }
    is_int(get(), WIRE_END, "moves: the end");
    ask(",\"operation\":\"move\",\"files\":[{\"path\":\"none.csv\",\"size\":1,\"mtime\":2,\"to\":\"m/n.csv\"}]");
    is_error("58P01", "file \"none.csv\" does not exist", "moves: what has gone is an error where that was not said");
}

/* Rows, rejects and the first line of what a file has behind a byte; -1: nothing. */
static void
rows_from(uint64_t from, int64_t *rows, int64_t *rejects, int64_t *line)
{
    char rest[200];

    *rows = *rejects = 0;
    *line = -1;
    snprintf(rest, sizeof(rest), ",\"files\":[{\"path\":\"f.csv\",\"from\":%llu}],\"batchRows\":2" COLUMNS, (unsigned long long) from);
    ask(rest);
    is_int(get(), WIRE_SPLIT, "from %d: the split begins", (int) from);
    while (get() == WIRE_BATCH)
    {
        const WireBatchHeader *batch = (const WireBatchHeader *) body;

        *rows += batch->nrows;
        *rejects += batch->nrejects;
        if (*line < 0)
            *line = (int64_t) batch->first_line;
        credit(1);
    }
    is_int(get(), WIRE_END, "from %d: the end", (int) from);
}

static void
check_from(void)
{
    /* rows at 8, 12, 27 (two lines) and 39; rejects at 16 and 37 */
    static const struct { uint64_t from; int64_t rows, rejects, line; } cases[] = {
        {0, 4, 2, 2}, {8, 4, 2, 2}, {9, 3, 2, 3}, {13, 2, 2, 4}, {17, 2, 1, 5}, {29, 1, 1, 7}, {39, 1, 0, 8}, {43, 0, 0, -1}, {1000, 0, 0, -1}};
    size_t i;

    write_text("f.csv", "id,name\n1,a\n2,b\nx,too,many\n\"3\",\"c\nc\"\n4\n5,e\n");
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    {
        int64_t rows, rejects, line;

        rows_from(cases[i].from, &rows, &rejects, &line);
        is_int(rows, cases[i].rows, "from %d: rows", (int) cases[i].from);
        is_int(rejects, cases[i].rejects, "from %d: rejects", (int) cases[i].from);
        is_int(line, cases[i].line, "from %d: the line", (int) cases[i].from);
    }
    ask(",\"files\":[{\"path\":\"f.csv\",\"from\":-1}]" COLUMNS);
    is_error("22023", "\"from\"", "a file from before its beginning");
}

/* The dialect of the next message, a SPLIT; "" when it is something else. */
static const char *
get_dialect(void)
{
    static char text[3000];
    WireReader r;
    WireSplit split;

    text[0] = '\0';
    if (get() != WIRE_SPLIT)
        return text;
    r = (WireReader) {body, header.length, 0, false};
    if (wire_get_split(&r, &split))
        snprintf(text, sizeof(text), "%.*s", (int) split.dialect.length, split.dialect.data);
    return text;
}

static void
is_start(const char *got, const char *want, const char *label)
{
    if (!ok(strncmp(got, want, strlen(want)) == 0, "%s", label))
        printf("#   got: %s\n#  want: %s...\n", got, want);
}

static void
check_describe(void)
{
    write_text("t.tsv", "a\tb,c\n1\t2\n");
    write_text("l.txt", "Report\n\ng;\xF6;g\n1;2,5;x\n2;3,5;y\n3;4,5;z\n");
    ask(",\"resource\":\"t.tsv\",\"operation\":\"describe\"");
    is_start(get_dialect(), "{\"format\":\"tsv\",\"compression\":\"none\",\"encoding\":\"UTF-8\",\"delimiter\":\"\\t\","
           "\"quote\":\"\\\"\",\"escape\":\"\\\"\",\"newline\":\"auto\",\"header\":true,\"skipLines\":0,\"fields\":[\"a\",\"b,c\"],\"confidence\":",
           "describe: TSV by its name");
    is_int(get(), WIRE_END, "describe: nothing else");
    ask(",\"resource\":\"l.txt\",\"operation\":\"describe\",\"format\":{\"encoding\":\"LATIN1\",\"delimiter\":\"auto\"}");
    {
        const char *dialect = get_dialect();

        ok(strstr(dialect, "\"encoding\":\"LATIN1\",\"delimiter\":\";\"") != NULL &&
           strstr(dialect, "\"fields\":[\"g\",\"ö\",\"g_2\"],\"confidence\":") != NULL && strstr(dialect, "\"reason\":\"") != NULL,
           "describe: found out: %s", dialect);
    }
    is_int(get(), WIRE_END, "describe: nothing else");
    ask(",\"resource\":\"t.tsv\",\"operation\":\"describe\",\"format\":{\"columns\":[\"A\",\"b,C\"]}");
    {
        const char *dialect = get_dialect();

        ok(strstr(dialect, "\"header\":true") != NULL && strstr(dialect, "; it has the names in \\\"columns\\\", so it is a header\"") != NULL,
           "describe: says why columns go with a header: %s", dialect);
    }
    is_int(get(), WIRE_END, "describe: nothing else");
    ask(",\"resource\":\"*.none\",\"operation\":\"describe\"");
    is_int(get(), WIRE_END, "describe: nothing to describe");
    ask(",\"resource\":\"t.tsv\",\"columns\":[{\"name\":\"b,c\"}]");
    ok(strstr(get_dialect(), "\"fields\"") == NULL, "read: a run's record has no fields");
    is_int(get(), WIRE_BATCH, "read: TSV by its name");
    is_int(get(), WIRE_SPLIT_END, "its end");
    is_int(get(), WIRE_END, "the end");
    write_text("cut.csv.gz", "\x1F\x8B\x08");
    ask(",\"resource\":\"cut.csv.gz\",\"columns\":[]");
    is_error("22P04", "gzip data ends early", "compressed data that ends at once");
    is_int((int64_t) error_line, 1, "is wrong on the first line");
    ask(",\"resource\":\"t.tsv\",\"columns\":[],\"format\":{\"encoding\":\"EBCDIC\"}");
    is_error("22023", "invalid value \"EBCDIC\" for format option \"encoding\"", "unknown encoding");
}

/* A field larger than the memory allowed. */
static void
check_memory(void)
{
    char path[300];
    FILE *f;
    int i;

    snprintf(path, sizeof(path), "%s/huge.csv", top);
    f = fopen(path, "w");
    fputs("id,name\n1,\"", f);
    for (i = 0; i < 20 << 20; i++)
        putc('x', f);
    fputs("\"\n", f);
    fclose(f);
    ask(",\"resource\":\"huge.csv\",\"memoryLimit\":16777216,\"format\":{\"maxFieldBytes\":60000000}" COLUMNS);
    is_int(get(), WIRE_SPLIT, "memory limit: the split begins");
    is_error("53200", "reader is out of memory", "memory limit");
    ask(",\"resource\":\"a.csv\",\"rowLimit\":1" COLUMNS);
    is_int(get(), WIRE_SPLIT, "it goes on after that");
    while (get() != WIRE_END && header.type != 0)
        continue;
    is_int(header.type, WIRE_END, "and ends");
    remove(path);
}

static void
check_process(void)
{
    char name[100], buffer[4096];
    FILE *f;
    size_t n;

    snprintf(name, sizeof(name), "/proc/%d/oom_score_adj", (int) reader);
    f = fopen(name, "r");
    n = f == NULL ? 0 : fread(buffer, 1, sizeof(buffer) - 1, f);
    buffer[n] = '\0';
    if (f != NULL)
        fclose(f);
    is_int(atoi(buffer), 1000, "it is the first to be killed");
    snprintf(name, sizeof(name), "/proc/%d/fd/7", (int) reader);
    ok(access(name, F_OK) != 0, "a descriptor it should not have is closed");
}

int
main(void)
{
    char command[100];

    signal(SIGPIPE, SIG_IGN);
    alarm(60);
    if (mkdtemp(top) == NULL || dup2(0, 7) != 7)
        abort();
    write_file("a.csv", 5000);
    write_file("b.csv", 0);
    start();
    check_read();
    check_requests();
    check_elsewhere();
    check_moves();
    check_from();
    check_describe();
    check_memory();
    check_process();
    is_int(stop(), 0, "it ends when the socket closes");

    start();
    ask(",\"resource\":\"a.csv\",\"credit\":0" COLUMNS);
    is_int(get(), WIRE_SPLIT, "waiting for credit");
    is_int(stop(), 0, "it ends when the socket closes while it waits");

    start();
    ask(",\"resource\":\"a.csv\",\"credit\":1000000,\"batchRows\":1" COLUMNS);
    is_int(get(), WIRE_SPLIT, "writing");
    is_int(stop(), 0, "it ends when the socket closes while it writes");

    start();
    put(WIRE_BATCH, "x", 1);
    is_int(get(), 0, "nonsense closes the connection");
    is_int(stop(), 1, "and is an exit code");
    free(body);
    snprintf(command, sizeof(command), "rm -r '%s'", top);
    return system(command) != 0 || done();
}
