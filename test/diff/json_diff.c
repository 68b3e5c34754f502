/*
 * json_diff.c: what the reader makes of JSON texts, for json_diff.pl.
 *
 * Reads lines "way<TAB>text in hex" from standard input; a way is how the text
 * is read:
 *   line      JSON Lines; the row is what the column is
 *   document  a document; so are its elements, or it itself
 *   record    a document; the column is "v" of the elements of "rows"
 *   fields    JSON Lines; the column is the key "v" of the row
 *   flat      JSON Lines; the column is the key "v" in "o"
 * Answers each with a line of what came out, in tabs: "row" and its cells (the
 * column as text, JSON, numeric, bigint, double precision and boolean, each a
 * state and in hex what it is: for a value its bytes, its number as the server
 * prints it or sends it; else the text it is made of), "reject SQLSTATE
 * MESSAGE", "error SQLSTATE MESSAGE".  Each text is read whole and by the byte,
 * by the portable scan, which must not differ.
 */
#include "../unit/csv_dump.h"

#define COLUMNS 6
#define LONGEST_LINE (4 << 20)

static const struct { const char *name; const Format *format; const char *options; } ways[] = {
    {"line", &format_jsonl, "{\"columns\":{\"v\":\"$\"}}"},
    {"document", &format_json, "{\"columns\":{\"v\":\"$\"}}"},
    {"record", &format_json, "{\"columns\":{\"v\":\"$.v\"},\"recordPath\":\"$.rows\"}"},
    {"fields", &format_jsonl, NULL},
    {"flat", &format_jsonl, "{\"flatten\":1}"},
};

static void
say_hex(Buf *out, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t at = 0; at < n; at++)
        say(out, "%02x", p[at]);
}

/* An unscaled decimal with `scale` digits behind the point, as the server prints it. */
static void
say_decimal(Buf *out, int64_t unscaled, int scale)
{
    char digits[48], text[64];
    uint64_t u = unscaled < 0 ? 0 - (uint64_t) unscaled : (uint64_t) unscaled;
    int n = snprintf(digits, sizeof(digits), "%0*" PRIu64, (scale & 31) + 1, u);

    snprintf(text, sizeof(text), "%s%.*s%s%s", unscaled < 0 ? "-" : "", n - scale, digits, scale > 0 ? "." : "", digits + n - scale);
    say_hex(out, text, strlen(text));
}

static void
say_value(Buf *out, const WireBatch *batch, const WireColumnHeader *column, uint32_t row)
{
    uint64_t slot = ((const uint64_t *) (batch->body + column->values_at))[row];
    uint8_t state = column->states_at == 0 ? 0 : batch->body[column->states_at + row];
    char text[32];

    if (state == WIRE_NULL)
        return;
    if (column->type == WIRE_TEXT || state >= WIRE_RAW)
    {
        uint32_t at = (uint32_t) slot, n = (uint32_t) (slot >> 32);

        say_hex(out, batch->body + column->arena_at + at + wire_text_room(n), n);
        return;
    }
    if (column->type == WIRE_DECIMAL)
    {
        say_decimal(out, (int64_t) slot, batch->body[column->scales_at + row]);
        return;
    }
    if (column->type == WIRE_FLOAT)
        snprintf(text, sizeof(text), "%016" PRIx64, slot);
    else if (column->type == WIRE_BOOL)
        snprintf(text, sizeof(text), "%s", slot ? "true" : "false");
    else
        snprintf(text, sizeof(text), "%" PRId64, (int64_t) slot);
    say_hex(out, text, strlen(text));
}

static void
say_row(Buf *out, const WireBatch *batch, uint32_t row)
{
    static const char *const names[WIRE_STATE_LAST + 1] = {"VALUE", "NULL", "RAW", "BAD", "BAD", "BAD", "BAD", "BAD", "BAD"};

    say(out, "row");
    for (uint32_t i = 0; i < COLUMNS; i++)
    {
        const WireColumnHeader *column = &batch->columns[i];

        say(out, " %s:", names[column->states_at == 0 ? 0 : batch->body[column->states_at + row]]);
        say_value(out, batch, column, row);
    }
    say(out, "\t");
}

static void
say_batch(Buf *out, BatchBuilder *b)
{
    uint8_t types[WIRE_MAX_COLUMNS], *body;
    size_t length;
    uint32_t row = 0;
    WireBatch batch;
    WireReject reject;

    body = take_message(b, types, &length);
    if (wire_batch_open(body, length, types, COLUMNS, &batch) != NULL)
        abort();
    for (uint32_t left = batch.header->nrejects; left > 0; left--)
    {
        wire_get_reject(&batch.rejects, &reject);
        while (row < reject.before_row)
            say_row(out, &batch, row++);
        say(out, "reject %s %.*s\t", reject.sqlstate, (int) reject.message.length, reject.message.data);
    }
    while (row < batch.header->nrows)
        say_row(out, &batch, row++);
    free(body);
}

static void
say_rows(Buf *out, const Format *format, void *state, uint32_t batch_rows)
{
    static const ColumnKind kinds[COLUMNS] = {COLUMN_TEXT, COLUMN_JSON, COLUMN_NUMERIC, COLUMN_INT8, COLUMN_FLOAT8, COLUMN_BOOL};
    FormatSplit split = {.path = "file"};
    BatchBuilder builder;
    ColumnSpec specs[COLUMNS];
    int map[COLUMNS], field;
    bool end = false;
    Status st;

    if (!format->add_field(state, ((Json *) state)->options->flatten ? "o_v" : "v", &field, &st))
        abort();
    for (int i = 0; i < COLUMNS; i++)
    {
        specs[i] = (ColumnSpec) {.name = "v", .kind = kinds[i]};
        map[i] = field;
    }
    if (!batch_init(&builder, specs, COLUMNS, batch_rows, 1 << 20, &st))
        abort();
    while (!end)
    {
        bool fine = format->next(state, &split, &builder, map, UINT64_MAX, &end, &st);

        say_batch(out, &builder);
        if (!fine)
        {
            say(out, "error %s %s", st.sqlstate, st.message);
            break;
        }
    }
    batch_free(&builder);
}

/* What one way of reading says, to be freed. */
static char *
answer(const char *way, const char *text, size_t n, bool in_pieces)
{
    Pieces pieces = {text, n, 0, in_pieces ? 1 : n, in_pieces ? 1 : n + 1};
    DumpHow how = {.path = in_pieces ? CSV_SCAN_PORTABLE : CSV_SCAN_AUTO};
    Stages s = {0};
    Buf out;
    Status st;
    char *copy;

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].name, way) == 0)
        {
            how.format = s.format = ways[i].format;
            s.json = json_loads(ways[i].options ? ways[i].options : "{}", 0, NULL);
        }
    buf_init(&out, SIZE_MAX / 2);
    if (s.json == NULL || !s.format->options_parse(s.json, &s.options, &st))
        abort();
    if (stages_open(&s, (ByteSource) {pieces_read, &pieces}, &how, &st))
        say_rows(&out, s.format, s.state, in_pieces ? 1 : 1000);
    else
        say(&out, "error %s %s", st.sqlstate, st.message);
    stages_close(&s);
    say(&out, "%s", "");
    copy = strndup((char *) out.data, out.used);
    buf_free(&out);
    return copy;
}

/* The bytes of the line's second field, in a block of exactly their size. */
static char *
text_of(const char *hex, size_t *n)
{
    char *text;

    *n = strcspn(hex, "\n") / 2;
    text = malloc(*n > 0 ? *n : 1);
    for (size_t i = 0; text != NULL && i < *n; i++)
    {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        text[i] = (char) strtoul(byte, NULL, 16);
    }
    return text;
}

int
main(void)
{
    char *line = malloc(LONGEST_LINE);

    while (line != NULL && fgets(line, LONGEST_LINE, stdin) != NULL)
    {
        char *hex = strchr(line, '\t'), *text, *whole, *pieces;
        size_t n;

        if (hex == NULL)
            return 1;
        *hex++ = '\0';
        text = text_of(hex, &n);
        if (text == NULL)
            return 1;
        whole = answer(line, text, n, false);
        pieces = answer(line, text, n, true);
        if (strcmp(whole, pieces) != 0)
            printf("%s\tbut in pieces: %s\n", whole, pieces);
        else
            printf("%s\n", whole);
        free(whole);
        free(pieces);
        free(text);
    }
    free(line);
    return 0;
}
