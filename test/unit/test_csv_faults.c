/*
 * test_csv_faults.c: a source that fails is reported where reading had come to.
 *
 * Compressed data that is cut or damaged, text that ends within a character,
 * a file that can't be read to its end: the status must have the line, and the
 * byte of the content, up to which everything was there, wherever that falls
 * among samples, chunks, blocks and quotes.
 */
#include "csv_dump.h"
#include "pack.h"
#include "tap.h"

#define ROWS 60000

static uint8_t plain[4 << 20], packed[4 << 20];

/* Bytes that end in a failure. */
typedef struct Broken
{
    const uint8_t *data;
    size_t n, at, step;
} Broken;

static bool
broken_read(void *context, uint8_t *out, size_t size, size_t *got, Status *st)
{
    Broken *b = context;

    *got = b->n - b->at < b->step ? b->n - b->at : b->step;
    *got = *got < size ? *got : size;
    if (*got == 0)
        return status_fail(st, STATUS_IO, "no more");
    memcpy(out, b->data + b->at, *got);
    b->at += *got;
    return true;
}

/* Reads all rows; the status of the failure, with nothing in it when there was none. */
static Status
read_all(ByteSource source, const char *options)
{
    static const int map[] = {0};
    static const ColumnSpec spec = {.name = "a"};
    FormatSplit split = {.path = "a.csv"};
    Stages s = {.format = &format_csv, .json = json_loads(options, 0, NULL)};
    DumpHow how = {.packed = true};
    BatchBuilder builder;
    bool end = false, fine;
    Status st;

    status_clear(&st);
    if (!format_csv.options_parse(s.json, &s.options, &st) || !batch_init(&builder, &spec, 1, 1000, 131072, &st))
        abort();
    fine = stages_open(&s, source, &how, &st);
    while (fine && !end)
    {
        fine = format_csv.next(s.state, &split, &builder, map, UINT64_MAX, &end, &st);
        batch_reset(&builder);
    }
    batch_free(&builder);
    stages_close(&s);
    return st;
}

static size_t
line_of(const uint8_t *data, size_t n, char line_end)
{
    size_t line = 1, i;

    for (i = 0; i < n; i++)
        line += data[i] == (uint8_t) line_end;
    return line;
}

/* Rows of three lines each; returns their bytes. */
static size_t
write_plain(char line_end)
{
    size_t n = (size_t) sprintf((char *) plain, "a,b%c", line_end), i;

    for (i = 0; i < ROWS; i++)
        n += (size_t) sprintf((char *) plain + n, "%zu,\"name%c\"\"%zu\"\"%c\"%c", i * 7919, line_end, i * i, line_end, line_end);
    return n;
}

static void
is_place(const Status *st, const char *message, size_t line, size_t offset, const char *label)
{
    is_str(st->message, message, "%s", label);
    is_int((int64_t) st->line, (int64_t) line, "%s: line", label);
    is_int((int64_t) st->offset, (int64_t) offset, "%s: byte", label);
}

/* A plain source that fails behind `n` bytes. */
static void
check_io(char line_end, const char *options, const char *label)
{
    static const size_t places[] = {4, 5, 20, 1000, 16384, 70000, 262143, 262144, 262145, 600000, 1234567};
    size_t wrong = 0, i, steps;

    write_plain(line_end);
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (steps = 0; steps < 2; steps++)
        {
            Broken b = {plain, places[i], 0, steps == 0 ? 1 << 20 : 777};
            Status st = read_all((ByteSource) {broken_read, &b}, options);

            if (strcmp(st.sqlstate, STATUS_IO) == 0 && st.line == line_of(plain, b.n, line_end) && st.offset == b.n)
                continue;
            wrong++;
            printf("# %zu bytes: line %" PRIu64 ", byte %" PRIu64 ", should be line %zu\n", b.n, st.line, st.offset,
                   line_of(plain, b.n, line_end));
        }
    is_int((int64_t) wrong, 0, "a source that fails: %s", label);
}

/* The bytes that zlib gets out of the first n bytes of one gzip member. */
static size_t
inflated(const uint8_t *data, size_t n)
{
    static uint8_t out[4 << 20];
    z_stream z = {.next_in = (Bytef *) data, .avail_in = (uInt) n, .next_out = out, .avail_out = sizeof(out)};

    inflateInit2(&z, 15 + 16);
    inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return z.total_out;
}

static void
check_gzip(void)
{
    size_t n = write_plain('\n'), size = pack_gzip(plain, n, packed, sizeof(packed)), cut, wrong = 0, content;
    Pieces all;
    Status st;

    for (cut = 300; cut < size; cut += size / 37)
    {
        all = (Pieces) {(char *) packed, cut, 0, 1, 5000};
        content = inflated(packed, cut);
        st = read_all((ByteSource) {pieces_read, &all}, "{}");
        if (strcmp(st.message, "gzip data ends early") != 0 || st.line != line_of(plain, content, '\n') || st.offset != content)
        {
            wrong++;
            printf("# %zu of %zu bytes: %s, line %" PRIu64 ", byte %" PRIu64 " of %zu\n", cut, size, st.message, st.line, st.offset, content);
        }
    }
    is_int((int64_t) wrong, 0, "gzip that is cut: the line and byte it goes to");

    packed[size - 6] ^= 1;
    all = (Pieces) {(char *) packed, size, 0, size, size};
    st = read_all((ByteSource) {pieces_read, &all}, "{}");
    is_place(&st, "gzip data is corrupt", 3 * ROWS + 2, n, "gzip with a wrong checksum");
    ok(strstr(st.hint, "incorrect data check") != NULL, "%s", st.hint);
}

/* gzip whose next block, behind `content` bytes, is no block; the bytes are all in one piece. */
static void
check_gzip_block(size_t content)
{
    z_stream z = {.next_in = plain, .avail_in = (uInt) content, .next_out = packed, .avail_out = sizeof(packed)};
    Pieces all;
    Status st;
    char label[60];

    snprintf(label, sizeof(label), "gzip with a corrupt block at byte %zu", content);
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    deflate(&z, Z_FULL_FLUSH);
    memset(packed + z.total_out, 0xff, 100);
    all = (Pieces) {(char *) packed, z.total_out + 100, 0, z.total_out + 100, 1};
    deflateEnd(&z);
    st = read_all((ByteSource) {pieces_read, &all}, "{}");
    is_place(&st, "gzip data is corrupt", line_of(plain, content, '\n'), content, label);
}

/* The same for zstd: blocks of all content before, then one of the reserved kind. */
static void
check_zstd_block(size_t content)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_inBuffer from = {plain, content, 0};
    ZSTD_outBuffer to = {packed, sizeof(packed), 0};
    Pieces all;
    Status st;
    char label[60];

    snprintf(label, sizeof(label), "zstd with a corrupt block at byte %zu", content);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    if (ZSTD_compressStream2(c, &to, &from, ZSTD_e_flush) != 0)
        abort();
    ZSTD_freeCCtx(c);
    memset(packed + to.pos, 0xff, 100);
    all = (Pieces) {(char *) packed, to.pos + 100, 0, to.pos + 100, 1};
    st = read_all((ByteSource) {pieces_read, &all}, "{}");
    is_place(&st, "zstd data is corrupt", line_of(plain, content, '\n'), content, label);
    all = (Pieces) {(char *) packed, to.pos, 0, 1000, 1000};
    st = read_all((ByteSource) {pieces_read, &all}, "{}");
    snprintf(label, sizeof(label), "zstd that is cut behind byte %zu", content);
    is_place(&st, "zstd data ends early", line_of(plain, content, '\n'), content, label);
}

static void
check_zstd(void)
{
    size_t n = write_plain('\n'), size = pack_zstd(plain, n, packed, sizeof(packed), 0);
    Pieces all = {(char *) packed, size, 0, size, 1};
    Status st;

    packed[size - 1] ^= 1;
    st = read_all((ByteSource) {pieces_read, &all}, "{}");
    is_place(&st, "zstd data is corrupt", 3 * ROWS + 2, n, "zstd with a wrong checksum");
    ok(strstr(st.hint, "checksum") != NULL, "%s", st.hint);
}

/* UTF-16 that ends within a unit, behind `rows` rows. */
static void
check_utf16(size_t rows)
{
    size_t n = write_plain('\n'), i, used = 0, content;
    const char *end = (char *) plain;
    Pieces all;
    Status st;
    char label[60];

    for (i = 0; i < 3 * rows + 1; i++)
        end = strchr(end, '\n') + 1;
    content = (size_t) (end - (char *) plain);
    if (content > n || 2 * content > sizeof(packed))
        abort();
    for (i = 0; i < content; i++)
    {
        packed[used++] = plain[i];
        packed[used++] = 0;
    }
    packed[used++] = '8';
    all = (Pieces) {(char *) packed, used, 0, 4000, 4000};
    st = read_all((ByteSource) {pieces_read, &all}, "{\"encoding\":\"UTF-16LE\"}");
    snprintf(label, sizeof(label), "UTF-16 that ends within a character, line %zu", 3 * rows + 2);
    is_place(&st, "text ends in the middle of a character", 3 * rows + 2, used - 1, label);
}

int
main(void)
{
    static const size_t places[] = {100, 5000, 200000, 262144, 300000, 1500000};
    size_t i;

    check_io('\n', "{}", "lines end with LF");
    check_io('\r', "{}", "lines end with CR");
    check_io('\r', "{\"newline\":\"cr\"}", "lines end with CR, said");
    check_io('\n', "{\"skipLines\":7}", "lines are skipped");
    check_io('\n', "{\"skipLines\":1000000}", "all lines are skipped");
    check_io('\n', "{\"footerLines\":50}", "a footer");
    check_io('\n', "{\"maxFieldBytes\":10}", "fields are too long");
    check_io('\n', "{\"delimiter\":\"auto\",\"skipLines\":\"auto\"}", "the dialect is found out");
    check_gzip();
    write_plain('\n');
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        check_gzip_block(places[i]);
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        check_zstd_block(places[i]);
    check_zstd();
    check_utf16(0);
    check_utf16(10);
    check_utf16(20000);
    return done();
}
