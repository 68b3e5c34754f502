/*
 * fuzz_csv_detect.c: bytes as the sample of a file nobody has described.
 *
 * The first byte says what is asked for and whether the sample is whole.  The
 * answer must keep its contract, be the same the second time, and have a
 * reason that can be shown to people.
 */
#include <stdlib.h>
#include <string.h>

#include "format/convert.h"
#include "format/csv_detect.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CsvDialect given = {.delimiter = ",", .delimiter_length = 1, .quote = '"', .escape = '"', .header = true}, first, second;
    CsvDetectAsk ask;
    bool whole;

    if (size == 0)
        return 0;
    ask = (CsvDetectAsk) {data[0] & 1, data[0] & 2, data[0] & 4, data[0] & 8};
    whole = data[0] & 16;
    if (data[0] & 32)
        strcpy(given.comment, "#");
    if (data[0] & 64)
        given.escape = '\\';
    given.skip_lines = ask.skip_lines ? 0 : data[0] >> 7;
    first = second = given;
    csv_detect((const char *) data + 1, size - 1, whole, &ask, &first);
    csv_detect((const char *) data + 1, size - 1, whole, &ask, &second);
    if (memcmp(&first, &second, sizeof(first)) != 0 || !(first.confidence >= 0 && first.confidence <= 1) ||
        first.delimiter_length < 1 || first.delimiter_length > CSV_DELIMITER_MAX || first.skip_lines > size ||
        first.reason[0] == '\0' || !convert_utf8_valid(first.reason, strlen(first.reason)))
        abort();
    if ((!ask.delimiter && first.delimiter[0] != ',') || (!ask.quote && first.quote != '"') ||
        (!ask.header && !first.header) || (!ask.skip_lines && first.skip_lines != given.skip_lines))
        abort();
    return 0;
}
