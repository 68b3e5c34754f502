/*
 * fuzz_json.c: bytes as JSON and JSON Lines.
 *
 * The first byte chooses format and options, the second the size of the pieces
 * the rest is read in.  What comes out must be the same when the rest is read
 * whole without SSE2; batches must open as at a worker.  What jansson takes for
 * an object must not be rejected, and the reverse.
 */
#include "../unit/csv_dump.h"
#include "format/convert.h"

static const char *const options[] = {
    NULL,
    "{\"flatten\":2}",
    "{\"columns\":{\"a\":\"$.a\",\"b\":\"$.a[1].b\",\"c\":\"$\",\"d\":\"$.a.b\"}}",
    "{\"maxFieldBytes\":10,\"maxRowBytes\":30}",
    "{\"nullStrings\":[\"\",\"x\"],\"flatten\":1,\"maxRowBytes\":90}",
    "{\"encoding\":\"UTF-16\"}",
};

static const char *const paths[] = {
    "{\"recordPath\":\"$.a\"}", "{\"recordPath\":\"$[*].a[*]\",\"maxRowBytes\":20}", "{\"recordPath\":\"$.a.b[*]\",\"flatten\":1}",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One line, one value: taken exactly when jansson takes it. */
static void
compare(const char *text, size_t n, const char *dump)
{
    json_t *json;

    if (memchr(text, '\n', n) != NULL || memchr(text, '\0', n) != NULL || !convert_utf8_valid(text, n) || (n >= 2 && (uint8_t) text[0] >= 0xFE))
        return;
    /* as a double, since no integer of jansson's has more than 64 bits */
    json = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    /* jansson refuses more: halves of surrogate pairs, numbers beyond a double, some depth */
    if (json_is_object(json) && strstr(dump, "REJECT") != NULL)
    {
        fprintf(stderr, "refused:\n%s\n", dump);
        abort();
    }
    if (json == NULL && memchr(text, '{', n) != NULL && strstr(dump, "REJECT") == NULL && memchr(text, '\\', n) == NULL &&
        memchr(text, 'e', n) == NULL && memchr(text, 'E', n) == NULL && n < 200 && strncmp(text, "\xEF\xBB\xBF", 3) != 0)
    {
        fprintf(stderr, "taken:\n%s\n", dump);
        abort();
    }
    json_decref(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ColumnSpec specs[] = {
        {.name = "a", .kind = COLUMN_INT8}, {.name = "b", .kind = COLUMN_JSON}, {.name = "c", .kind = COLUMN_VARCHAR, .length = 5}, {.name = "d", .kind = COLUMN_TIMESTAMPTZ},
    };
    static const int places[] = {FIELD_ABSENT, FIELD_LINE, FIELD_OFFSET, FIELD_SOURCE};
    static const int first[] = {0, 0, 0, 0};
    const char *text = (const char *) data + 2;
    DumpHow how = {0};
    char *a, *b;

    if (size < 2 || size > 4096)
        return 0;
    size -= 2;
    how.format = data[0] & 1 ? &format_jsonl : &format_json;
    how.options = options[(data[0] >> 1) % COUNT(options)];
    if (!(data[0] & 1) && data[0] & 0x20)
        how.options = paths[(data[0] >> 1) % COUNT(paths)];
    if (data[0] & 0xC0)
    {
        how.specs = specs;
        how.map = data[0] & 0x80 ? places : first;
        how.ncols = 4;
        how.needs_field = !(data[0] & 0x80);
    }
    how.path = CSV_SCAN_PORTABLE;
    a = csv_dump(text, size, &how);
    if (how.format == &format_jsonl && how.options == NULL && how.specs == NULL)
        compare(text, size, a);
    how.path = CSV_SCAN_AUTO;
    how.first = how.step = data[1] % 100 + 1;
    how.batch_rows = data[1] % 3 + 1;
    b = csv_dump(text, size, &how);
    if (strcmp(a, b) != 0)
    {
        fprintf(stderr, "whole:\n%s\nin pieces:\n%s\n", a, b);
        abort();
    }
    free(a);
    free(b);
    return 0;
}
