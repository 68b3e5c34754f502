/*
 * fuzz_csv.c: bytes as CSV.
 *
 * The first byte chooses the options and the second the size of the pieces
 * the rest is read in.  What comes out must be the same when the rest is read
 * whole by the portable scan; batches must open as at a worker.
 */
#include "../unit/csv_dump.h"

static const char *const options[] = {
    NULL,
    "{\"escape\":\"\\\\\"}",
    "{\"quote\":\"\",\"header\":false}",
    "{\"maxFieldBytes\":10,\"maxRowBytes\":30}",
    "{\"delimiter\":\";\",\"columns\":[\"a\",\"b\"],\"nullStrings\":[\"NULL\",\"x\"]}",
    "{\"header\":false,\"maxFieldBytes\":100}",
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ColumnSpec specs[] = {
        {.name = "a", .kind = COLUMN_INT8}, {.name = "b", .kind = COLUMN_VARCHAR, .length = 5},
        {.name = "c", .kind = COLUMN_NUMERIC, .precision = 10, .scale = 2}, {.name = "d", .kind = COLUMN_TIMESTAMPTZ},
    };
    static const int absent[] = {FIELD_ABSENT, FIELD_LINE, FIELD_OFFSET, FIELD_SOURCE};
    DumpHow how = {0};
    char *a, *b;

    /* Dumps take quadratic memory in nothing, but time in everything: keep inputs small. */
    if (size < 2 || size > 4096)
        return 0;
    how.options = options[data[0] % (sizeof(options) / sizeof(options[0]))];
    how.path = CSV_SCAN_PORTABLE;
    if (data[0] & 0x80)
    {
        how.specs = specs;
        how.map = absent;
        how.ncols = 4;
    }
    a = csv_dump((const char *) data + 2, size - 2, &how);
    how.path = CSV_SCAN_AUTO;
    how.first = how.step = data[1] % 100 + 1;
    how.batch_rows = data[1] % 3 + 1;
    b = csv_dump((const char *) data + 2, size - 2, &how);
    if (strcmp(a, b) != 0)
    {
        fprintf(stderr, "whole:\n%s\nin pieces:\n%s\n", a, b);
        abort();
    }
    free(a);
    free(b);
    return 0;
}
