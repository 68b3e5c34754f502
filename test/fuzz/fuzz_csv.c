/*
 * fuzz_csv.c: bytes as CSV.
 *
 * The first byte chooses the options and the second the size of the pieces
 * the rest is read in.  What comes out must be the same when the rest is read
 * whole by the portable scan or by the state machine alone; batches must open as at a worker.
 */
#include "../unit/csv_dump.h"

static const char *const options[] = {
    NULL,
    "{\"escape\":\"\\\\\"}",
    "{\"quote\":\"\",\"header\":false}",
    "{\"maxFieldBytes\":10,\"maxRowBytes\":30}",
    "{\"delimiter\":\";\",\"columns\":[\"a\",\"b\"],\"nullStrings\":[\"NULL\",\"x\"]}",
    "{\"header\":false,\"maxFieldBytes\":100}",
    "{\"delimiter\":\"auto\",\"quote\":\"auto\",\"skipLines\":\"auto\"}",
    "{\"delimiter\":\"||\",\"quotes\":\"lenient\",\"comment\":\"#\"}",
    "{\"delimiter\":\"aba\",\"shortRows\":\"pad\",\"longRows\":\"truncateEmpty\",\"header\":false,\"maxRowBytes\":90}",
    "{\"newline\":\"crlf\",\"quotes\":\"lenient\",\"escape\":\"\\\\\",\"trim\":\"all\",\"headerLines\":2}",
    "{\"newline\":\"cr\",\"skipLines\":1,\"footerLines\":2,\"blankLines\":\"rows\",\"comment\":\"//\",\"longRows\":\"truncate\"}",
    "{\"encoding\":\"WINDOWS-1252\",\"trim\":\"unquoted\",\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\",\"delimiter\":\";\"}",
    "{\"encoding\":\"UTF-16\",\"newline\":\"lf\",\"footerLines\":1,\"delimiter\":\"auto\"}",
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ColumnSpec specs[] = {
        {.name = "a", .kind = COLUMN_INT8}, {.name = "b", .kind = COLUMN_VARCHAR, .length = 5},
        {.name = "c", .kind = COLUMN_NUMERIC, .precision = 10, .scale = 2}, {.name = "d", .kind = COLUMN_TIMESTAMPTZ},
    };
    static const int places[] = {FIELD_ABSENT, FIELD_LINE, FIELD_OFFSET, FIELD_SOURCE};
    static const int first[] = {0, 0, 0, 0};
    DumpHow how = {0};
    char *a, *b;

    /* Dumps take quadratic memory in nothing, but time in everything: keep inputs small. */
    if (size < 2 || size > 4096)
        return 0;
    how.options = options[data[0] % (sizeof(options) / sizeof(options[0]))];
    how.path = data[1] & 0x80 ? CSV_SCAN_PORTABLE : CSV_SCAN_BYTES;
    if (data[0] & 0x80)
    {
        how.specs = specs;
        how.map = places;
        how.ncols = 4;
    }
    /* Without a field nothing may ask for the first. */
    if (data[0] & 0x40)
    {
        how.specs = specs;
        how.map = first;
        how.ncols = 4;
        how.needs_field = true;
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
