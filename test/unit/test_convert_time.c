/*
 * test_convert_time.c: dates and timestamps, case by case.
 *
 * Every day of the years taken is compared with one counted by hand; the
 * spellings are compared with PostgreSQL's by test/diff/convert_diff.pl.
 */
#include "tap.h"

#include <stdlib.h>

#include "format/convert.h"

#define V WIRE_VALUE
#define R WIRE_RAW
#define DAY INT64_C(86400000000)
/* Days from 2000-01-01 to 2024-01-31. */
#define D20240131 8796

/* A copy of exactly the field's size, so that the address sanitizer sees a read behind it. */
static char *
copy_of(const char *s, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1);

    if (copy == NULL)
        exit(1);
    memcpy(copy, s, n);
    return copy;
}

static void
date_is(const char *s, uint8_t state, int64_t want)
{
    size_t n = strlen(s);
    char *copy = copy_of(s, n);
    int64_t v = 0;

    is_int(convert_date(copy, n, &v), state, "date '%s': state", s);
    if (state == V)
        is_int(v, want, "date '%s': value", s);
    free(copy);
}

/* Both kinds of timestamp; `zone` is what the one with a zone is less than the other. */
static void
moment_is(const char *s, uint8_t state, int64_t want, int64_t zone_seconds)
{
    size_t n = strlen(s);
    char *copy = copy_of(s, n);
    int64_t v = 0, with_zone = 0;

    is_int(convert_timestamp(copy, n, &v), state, "timestamp '%s': state", s);
    is_int(convert_timestamptz(copy, n, &with_zone), state, "timestamptz '%s': state", s);
    if (state == V)
    {
        is_int(v, want, "timestamp '%s': value", s);
        is_int(with_zone, want - zone_seconds * 1000000, "timestamptz '%s': value", s);
    }
    free(copy);
}

static void
test_every_day(void)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t expected = -730119;
    int bad = 0;

    for (int year = 0; year <= 9999; year++)
    {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

        for (int month = 0; month <= 13; month++)
        {
            int last = month < 1 || month > 12 || year == 0 ? 0 : lengths[month - 1] + (leap && month == 2);

            for (int day = 0; day <= 32; day++)
            {
                bool valid = day >= 1 && day <= last;
                char s[12];
                int64_t v = 0;

                s[0] = (char) ('0' + year / 1000);
                s[1] = (char) ('0' + year / 100 % 10);
                s[2] = (char) ('0' + year / 10 % 10);
                s[3] = (char) ('0' + year % 10);
                s[4] = s[7] = '-';
                s[5] = (char) ('0' + month / 10);
                s[6] = (char) ('0' + month % 10);
                s[8] = (char) ('0' + day / 10);
                s[9] = (char) ('0' + day % 10);
                if (convert_date(s, 10, &v) != (valid ? V : R) || (valid && v != expected++))
                    bad++;
            }
        }
    }
    is_int(bad, 0, "every day of the years 1 to 9999, and the days that are none");
    is_int(expected, 2921940, "as many days as there are");
}

/* No byte may be anything but what stands there. */
static void
test_wrong_bytes(void)
{
    static const char right[] = "2024-01-31 23:59:58.123456+05:30";
    char s[sizeof(right)];
    int taken = 0;

    for (size_t at = 0; at + 1 < sizeof(right); at++)
    {
        for (int byte = 0; byte < 256; byte++)
        {
            int64_t v;
            bool digit = right[at] >= '0' && right[at] <= '9' && byte >= '0' && byte <= '9';

            memcpy(s, right, sizeof(right));
            s[at] = (char) byte;
            if (convert_timestamptz(s, sizeof(right) - 1, &v) == V && !digit && s[at] != right[at])
                taken++;
        }
    }
    /* T for the first space, minus for plus, and a space for the last digit of the fraction */
    is_int(taken, 3, "a timestamp with one wrong byte is a value only where that byte has a meaning");
}

int
main(void)
{
    const int64_t midnight = D20240131 * DAY;

    date_is("2000-01-01", V, 0);
    date_is("2024-01-31", V, D20240131);
    date_is("1999-12-31", V, -1);
    date_is("2024/01/31", V, D20240131);
    date_is("20240131", V, D20240131);
    date_is(" 2024-01-31\t", V, D20240131);
    date_is("2024-01-31 23:59:59", V, D20240131);
    date_is("2024-01-31T23:59:59-10:00", V, D20240131);
    date_is("2024-02-29", V, D20240131 + 29);
    date_is("2023-02-29", R, 0);
    date_is("2024-02-30", R, 0);
    date_is("20240230", R, 0);
    date_is("2024-13-01", R, 0);
    date_is("2024-00-01", R, 0);
    date_is("0000-01-01", R, 0);
    date_is("00000101", R, 0);
    date_is("10000-01-01", R, 0);
    date_is("2024-01/31", R, 0);
    date_is("01/31/2024", R, 0);
    date_is("2024-1-31", R, 0);
    date_is("", R, 0);
    date_is(" ", R, 0);
    date_is("abc", R, 0);
    date_is("infinity", R, 0);

    moment_is("2024-01-31", V, midnight, 0);
    moment_is("2024-01-31 23:59", V, midnight + 86340 * INT64_C(1000000), 0);
    moment_is("2024-01-31 23:59:58", V, midnight + 86398 * INT64_C(1000000), 0);
    moment_is("2024-01-31T23:59:58Z", V, midnight + 86398 * INT64_C(1000000), 0);
    moment_is("2024-01-31T23:59:58.5Z", V, midnight + INT64_C(86398500000), 0);
    moment_is("2024-01-31 23:59:58.000001", V, midnight + INT64_C(86398000001), 0);
    moment_is("2024-01-31 23:59:58.123456+00", V, midnight + INT64_C(86398123456), 0);
    moment_is("2024-01-31 23:59:58.123456-08", V, midnight + INT64_C(86398123456), -8 * 3600);
    moment_is("2024-01-31 23:59:58.12+0530", V, midnight + INT64_C(86398120000), 19800);
    moment_is("2024-01-31 23:59:58 +05:30", V, midnight + 86398 * INT64_C(1000000), 19800);
    moment_is("2024-01-31 00:00Z", V, midnight, 0);
    moment_is("  2024-01-31 00:00:00 ", V, midnight, 0);
    moment_is("2024-01-31 24:00:00", R, 0, 0);
    moment_is("2024-01-31 23:60:00", R, 0, 0);
    moment_is("2024-01-31 23:59:60", R, 0, 0);
    moment_is("2024-01-31 23:59:58.", R, 0, 0);
    moment_is("2024-01-31T23:59:58.1234567Z", V, midnight + INT64_C(86398123457), 0);
    moment_is("2024-01-31T23:59:58.123456499+01", V, midnight + INT64_C(86398123456), 3600);
    moment_is("2024-01-31 23:59:58.9999995", R, 0, 0);
    moment_is("2024-01-31 23:59:58.0000000000000000", R, 0, 0);
    moment_is("2024-01-31 23:59:58+16", R, 0, 0);
    moment_is("2024-01-31 23:59:58+0560", R, 0, 0);
    moment_is("2024-01-31 23:59:58+5", R, 0, 0);
    moment_is("2024-01-31 23:59:58 UTC", R, 0, 0);
    moment_is("2024-01-31 23", R, 0, 0);
    moment_is("2024-01-31Z", R, 0, 0);
    moment_is("2024-02-30 10:00:00", R, 0, 0);
    moment_is("now", R, 0, 0);

    test_every_day();
    test_wrong_bytes();
    return done();
}
