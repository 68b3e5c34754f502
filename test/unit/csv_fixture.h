/*
 * csv_fixture.h: one input with the rows it gives, read in every way.
 *
 * Whole, in single bytes with batches of one row, and split in two at every
 * byte, by the portable scan and by the vector one; compressed by gzip and by
 * zstd in two members each, split at every byte of that; and as UTF-16, where
 * it is UTF-8: the dump must always be the same.
 */
#ifndef KAIREON_TEST_CSV_FIXTURE_H
#define KAIREON_TEST_CSV_FIXTURE_H

#include "csv_dump.h"
#include "format/convert.h"
#include "pack.h"
#include "tap.h"

typedef struct Fixture
{
    const char *name, *options, *input, *want;
    size_t length;  /* of the input; 0: strlen */
} Fixture;

/* Of the inputs; NULL: CSV. */
static const Format *fixture_format;

/* The n bytes of `input`, read in every way, give what the fixture wants. */
static void
check_fixture_input(const Fixture *f, const char *input, size_t n, DumpHow how, const char *label)
{
    size_t at, wrong = 0, first_wrong = 0;
    char *got = csv_dump(input, n, &how);

    is_str(got, f->want, "%s (%s)", f->name, label);
    free(got);
    for (at = 1; at <= n; at++)
    {
        how.first = at;
        got = csv_dump(input, n, &how);
        if (strcmp(got, f->want) != 0 && wrong++ == 0)
            first_wrong = at;
        free(got);
    }
    is_int((int64_t) wrong, 0, "%s (%s): split at every byte (first wrong: %zu)", f->name, label, first_wrong);
    how.first = how.step = 1;
    how.batch_rows = 1;
    got = csv_dump(input, n, &how);
    is_str(got, f->want, "%s (%s): byte by byte, batches of one row", f->name, label);
    free(got);
}

static void
check_fixture_packed(const Fixture *f, size_t n)
{
    DumpHow how = {.format = fixture_format, .options = f->options, .packed = true};
    size_t half = n / 2, size = 4 * n + 200, used;
    uint8_t *out = malloc(size);

    used = pack_gzip(f->input, half, out, size);
    used += pack_gzip(f->input + half, n - half, out + used, size - used);
    check_fixture_input(f, (char *) out, used, how, "gzip");
    used = pack_zstd(f->input, half, out, size, 0);
    used += pack_zstd(f->input + half, n - half, out + used, size - used, 0);
    check_fixture_input(f, (char *) out, used, how, "zstd");
    free(out);
}

/* As UTF-16 with a mark, whose bytes no offset counts. */
static void
check_fixture_utf16(const Fixture *f, size_t n, bool little)
{
    DumpHow how = {.format = fixture_format, .options = f->options};
    const uint8_t *in = (const uint8_t *) f->input, *end = in + n;
    uint8_t *out = malloc(2 * n + 2);
    size_t used = 0;
    uint32_t c = 0xFEFF;

    for (;;)
    {
        uint32_t units[2] = {c, 0};
        int i;

        if (c >= 0x10000)
        {
            units[0] = 0xD800 + ((c - 0x10000) >> 10);
            units[1] = 0xDC00 + (c & 0x3FF);
        }
        for (i = 0; i < 1 + (c >= 0x10000); i++, used += 2)
        {
            out[used + (little ? 0 : 1)] = (uint8_t) units[i];
            out[used + (little ? 1 : 0)] = (uint8_t) (units[i] >> 8);
        }
        if (in == end)
            break;
        c = *in++;
        if (c >= 0xC0)
        {
            int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;

            for (c &= 0x3FU >> more; more > 0; more--)
                c = c << 6 | (*in++ & 0x3FU);
        }
    }
    check_fixture_input(f, (char *) out, used, how, little ? "UTF-16LE" : "UTF-16BE");
    free(out);
}

__attribute__((unused)) static void
check_fixture(const Fixture *f)
{
    DumpHow how = {.format = fixture_format, .options = f->options, .path = CSV_SCAN_PORTABLE};
    size_t n = f->length ? f->length : strlen(f->input);
    bool other = f->options != NULL && strstr(f->options, "encoding") != NULL;

    check_fixture_input(f, f->input, n, how, "portable");
    how.path = CSV_SCAN_AVX2;
    if (csv_scan_has_avx2())
        check_fixture_input(f, f->input, n, how, "avx2");
    check_fixture_packed(f, n);
    if (other || n == 0 || (n >= 2 && memcmp(f->input, "\xFF\xFE", 2) == 0) || strncmp(f->input, "\xEF\xBB\xBF", 3) == 0 ||
        !convert_utf8_valid(f->input, n))
        return;
    check_fixture_utf16(f, n, true);
    check_fixture_utf16(f, n, false);
}

#endif
