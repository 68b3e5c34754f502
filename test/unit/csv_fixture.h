/*
 * csv_fixture.h: one input with the rows it gives, read in every way.
 *
 * Whole, in single bytes with batches of one row, and split in two at every
 * byte, by the portable scan and by the vector one: the dump must always be
 * the same.
 */
#ifndef KAIREON_TEST_CSV_FIXTURE_H
#define KAIREON_TEST_CSV_FIXTURE_H

#include "csv_dump.h"
#include "tap.h"

typedef struct Fixture
{
    const char *name, *options, *input, *want;
    size_t length;  /* of the input; 0: strlen */
} Fixture;

static void
check_fixture_path(const Fixture *f, CsvScanPath path, const char *label)
{
    size_t n = f->length ? f->length : strlen(f->input), at, wrong = 0, first_wrong = 0;
    DumpHow how = {.options = f->options, .path = path};
    char *got = csv_dump(f->input, n, &how);

    is_str(got, f->want, "%s (%s)", f->name, label);
    free(got);
    for (at = 1; at <= n; at++)
    {
        how.first = at;
        got = csv_dump(f->input, n, &how);
        if (strcmp(got, f->want) != 0 && wrong++ == 0)
            first_wrong = at;
        free(got);
    }
    is_int((int64_t) wrong, 0, "%s (%s): split at every byte (first wrong: %zu)", f->name, label, first_wrong);
    how.first = how.step = 1;
    how.batch_rows = 1;
    got = csv_dump(f->input, n, &how);
    is_str(got, f->want, "%s (%s): byte by byte, batches of one row", f->name, label);
    free(got);
}

__attribute__((unused)) static void
check_fixture(const Fixture *f)
{
    check_fixture_path(f, CSV_SCAN_PORTABLE, "portable");
    if (csv_scan_has_avx2())
        check_fixture_path(f, CSV_SCAN_AVX2, "avx2");
}

#endif
