/*
 * test_batch.c: cells into the batch: types, states, the arena, rejects, reuse.
 *
 * What each converter accepts is tested beside it (test_convert_*); here only
 * that its answer lands in the right place.
 */
#include "tap.h"

#include "csv_dump.h"
#include "format/convert.h"

static const struct { ColumnSpec spec; const char *text, *want; } cells[] = {
    {{.kind = COLUMN_TEXT}, "x", "[x]"},
    {{.kind = COLUMN_TEXT}, "", "[]"},
    {{.kind = COLUMN_TEXT}, NULL, "<null>"},
    {{.kind = COLUMN_RAW}, "x", "[x]!2"},
    {{.kind = COLUMN_RAW}, NULL, "<null>"},
    {{.kind = COLUMN_VARCHAR, .length = 3}, "äöü", "[äöü]"},
    {{.kind = COLUMN_VARCHAR, .length = 3}, "abcd", "[abcd]!5"},
    {{.kind = COLUMN_VARCHAR, .length = 3}, "abc  ", "[abc]"},
    {{.kind = COLUMN_VARCHAR, .length = 3, .coerce = true}, "abcd", "[abc]"},
    {{.kind = COLUMN_BOOL}, "true", "[1]"},
    {{.kind = COLUMN_INT2}, "-32768", "[-32768]"},
    {{.kind = COLUMN_INT2}, "32768", "[32768]!4"},
    {{.kind = COLUMN_INT4}, "2147483648", "[2147483648]!4"},
    {{.kind = COLUMN_INT4, .coerce = true}, "2147483648", "[2147483648]!2"},
    {{.kind = COLUMN_INT8}, "2147483648", "[2147483648]"},
    {{.kind = COLUMN_INT8}, "abc", "[abc]!3"},
    {{.kind = COLUMN_INT8}, NULL, "<null>"},
    {{.kind = COLUMN_NUMERIC}, "1.50", "[150e-2]"},
    {{.kind = COLUMN_NUMERIC, .precision = 5, .scale = 1}, "12.25", "[123e-1]"},
    {{.kind = COLUMN_NUMERIC, .precision = 3, .scale = 1}, "123.4", "[123.4]!6"},
    {{.kind = COLUMN_NUMERIC, .precision = 30, .scale = 20}, "1", "[1]!2"},
    {{.kind = COLUMN_NUMERIC}, NULL, "<null>"},
    {{.kind = COLUMN_DATE}, "2000-01-03", "[2]"},
    {{.kind = COLUMN_TIMESTAMP}, "2000-01-01 00:00:01", "[1000000]"},
    {{.kind = COLUMN_TIMESTAMPTZ}, "2000-01-01 01:00:00+01", "[0]"},
    {{.kind = COLUMN_INT8}, "\xFF", "[\\xff]!7"},
    {{.kind = COLUMN_TEXT, .coerce = true}, "a\xFF", "[a\\xff]!7"},
};

/* A cell with the slack that a format gives. */
static Cell
cell(const char *text, char *memory)
{
    size_t n;

    if (text == NULL)
        return (Cell) {NULL, 0};
    n = strlen(text);
    memcpy(memory, text, n);
    return (Cell) {memory, n};
}

static void
check_cells(void)
{
    char memory[256] = {0};
    size_t i;
    Status st;

    for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
    {
        Cell c = cell(cells[i].text, memory);
        char want[100];
        BatchBuilder b;
        Buf out;

        buf_init(&out, 1 << 20);
        snprintf(want, sizeof(want), "1@0 %s\n", cells[i].want);
        if (!batch_init(&b, &cells[i].spec, 1, 10, 1000, &st))
            abort();
        batch_row(&b, 1, 0);
        if (!batch_cells(&b, 0, &c, 1, c.s == NULL || convert_utf8_valid(c.s, c.n), &st))
            abort();
        dump_builder(&out, &b);
        out.data[out.used] = '\0';
        is_str((char *) out.data, want, "kind %d, \"%s\"", cells[i].spec.kind, cells[i].text ? cells[i].text : "null");
        buf_free(&out);
        batch_free(&b);
    }
}

/* What is no text is escaped; a long one with one such byte takes about its own length. */
static void
check_bad_text(void)
{
    static const ColumnSpec spec = {.kind = COLUMN_TEXT};
    static const struct { const char *text; size_t n; const char *plain, *json; } cells[] = {
        {"", 1, "1@0 [\\x00]!7\n", "1@0 [\\u0000]!8\n"}, {"a\0\xC3\xA9\0\0", 6, "1@0 [a\\x00\xC3\xA9\\x00\\x00]!7\n", "1@0 [a\\u0000\xC3\xA9\\u0000\\u0000]!8\n"},
        {"\xED\xA0\x80\xED\xBF\xBF", 6, "1@0 [\\xed\\xa0\\x80\\xed\\xbf\\xbf]!7\n", "1@0 [\\ud800\\udfff]!8\n"}, {"\xED\xA0", 2, "1@0 [\\xed\\xa0]!7\n", "1@0 [\\xed\\xa0]!7\n"},
        {"\xFF\0\x80", 3, "1@0 [\\xff\\x00\\x80]!7\n", "1@0 [\\xff\\u0000\\x80]!8\n"}};
    size_t length = 1 << 20;
    char *text = malloc(length + BUF_SLACK);
    BatchBuilder b;
    Status st;

    if (!batch_init(&b, &spec, 1, 10, 1 << 22, &st))
        abort();
    for (size_t i = 0; i < 2 * sizeof(cells) / sizeof(cells[0]); i++)
    {
        bool json = i % 2 == 1;
        Cell c = {text, cells[i / 2].n};
        Buf out;

        buf_init(&out, 1 << 20);
        memcpy(text, cells[i / 2].text, c.n);
        batch_row(&b, 1, 0);
        if (!(json ? batch_cells_json(&b, 0, &c, 1, &st) : batch_cells(&b, 0, &c, 1, false, &st)))
            abort();
        dump_builder(&out, &b);
        is_str((char *) out.data, json ? cells[i / 2].json : cells[i / 2].plain, "no text %zu", i);
        buf_free(&out);
    }
    memset(text, 'x', length);
    text[100] = '\0';
    batch_row(&b, 1, 0);
    if (!batch_cells_json(&b, 0, &(Cell) {text, length}, 1, &st))
        abort();
    ok(b.columns[0].arena.size < 2 * length, "a long one: %zu bytes for %zu", b.columns[0].arena.size, length);
    batch_free(&b);
    free(text);
}

/* Text of every length around the two kinds of room; the arena is clean between. */
static void
check_arena(void)
{
    static const ColumnSpec spec = {.kind = COLUMN_TEXT};
    static char text[400 + BUF_SLACK];
    struct iovec *pieces;
    BatchBuilder b;
    uint32_t i, good = 0, at = 0;
    int npieces;
    Status st;

    memset(text, 'x', sizeof(text));
    if (!batch_init(&b, &spec, 1, 400, 1 << 20, &st))
        abort();
    for (i = 0; i < 400; i++)
    {
        Cell c = {text, (i * 7) % 300};

        batch_row(&b, i + 1, i);
        if (!batch_cells(&b, 0, &c, 1, true, &st))
            abort();
    }
    for (i = 0; i < 400; i++)
    {
        uint64_t slot = b.columns[0].values[i];
        uint32_t n = (uint32_t) (slot >> 32), room = wire_text_room(n), start = (uint32_t) slot;
        const uint8_t *arena = b.columns[0].arena.data;
        bool fine = wire_text_slot_ok(slot, (uint32_t) b.columns[0].arena.used) && n == (i * 7) % 300;

        for (; fine && at < start + room; at++)
            fine = arena[at] == WIRE_ROOM_FILL;
        for (; fine && at < start + room + n; at++)
            fine = arena[at] == 'x';
        good += fine;
    }
    is_int(good, 400, "texts of 0 to 299 bytes lie in the arena with clean room");
    is_int(at, (int64_t) b.columns[0].arena.used, "and nothing else does");
    ok(batch_finish(&b, 7, 99, &pieces, &npieces, &st), "finish");
    is_int(b.columns[0].any_state, 0, "no states where every cell is a value");
    batch_free(&b);
}

static void
check_rejects(void)
{
    static const ColumnSpec spec = {.kind = COLUMN_TEXT};
    static char raw[100000];
    char memory[100] = "abc";
    Cell c = {memory, 3}, bad = {raw, sizeof(raw)};
    BatchBuilder b;
    Buf out;
    Status st;
    int round;

    memset(raw, '\xFF', sizeof(raw));
    buf_init(&out, 1 << 24);
    if (!batch_init(&b, &spec, 1, 10, 1000, &st))
        abort();
    ok(!batch_full(&b), "a new batch is not full");
    for (round = 0; round < 2; round++)
    {
        out.used = 0;
        if (!batch_reject(&b, 5, 50, "22P04", "first", c, false, &st))
            abort();
        batch_row(&b, 6, 60);
        if (!batch_reject(&b, 7, 70, "54000", "second", (Cell) {"", 0}, true, &st) || !batch_cells(&b, 0, &c, 1, true, &st))
            abort();
        ok(!batch_full(&b), "not full yet");
        dump_builder(&out, &b);
        out.data[out.used] = '\0';
        is_str((char *) out.data, "5@50 REJECT 22P04 first {abc}\n6@60 [abc]\n7@70 REJECT 54000 second {}\n",
               "rejects stand where they stood (round %d)", round);
    }
    if (!batch_reject(&b, 1, 0, "22P04", "long", bad, false, &st))
        abort();
    ok(batch_full(&b), "text of rejects counts");
    ok(b.rejects.used <= BATCH_RAW_MAX + 100, "raw text of a reject is cut");
    out.used = 0;
    dump_builder(&out, &b);
    ok(out.used > 60000, "and what is left is sent");
    ok(!batch_full(&b), "empty again");
    batch_nulls(&b, 0, 0);
    batch_row(&b, 1, 0);
    ok(!batch_complete(&b), "a row without its cells");
    batch_nulls(&b, 0, 1);
    ok(batch_complete(&b), "a null fills it");
    ok(batch_place_fits(&b, 1, UINT32_MAX) && !batch_place_fits(&b, 1, UINT64_C(1) << 32), "places have 32 bits");
    buf_free(&out);
    batch_free(&b);
}

int
main(void)
{
    BatchBuilder b;
    Buf out;
    Status st;

    check_cells();
    check_bad_text();
    check_arena();
    check_rejects();
    buf_init(&out, 1 << 20);
    ok(batch_init(&b, NULL, 0, 3, 10, &st), "no columns");
    batch_row(&b, 2, 5);
    batch_row(&b, 3, 6);
    batch_row(&b, 4, 9);
    ok(batch_full(&b), "full by rows");
    dump_builder(&out, &b);
    out.data[out.used] = '\0';
    is_str((char *) out.data, "2@5 \n3@6 \n4@9 \n", "rows without columns");
    buf_free(&out);
    batch_free(&b);
    return done();
}
