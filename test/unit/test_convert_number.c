/*
 * test_convert_number.c: integers, decimals and doubles, case by case.
 *
 * That the answers are PostgreSQL's is for test/diff/convert_diff.pl to show;
 * here are the cases that must stay, lengths at which the words of the quick
 * way meet, and fields that end where readable memory ends.
 */
#include "tap.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/convert.h"

#define V WIRE_VALUE
#define R WIRE_RAW
#define SYN WIRE_BAD_SYNTAX
#define RNG WIRE_BAD_RANGE
#define PRC WIRE_BAD_PRECISION

/* Two copies of a field: one begins, one ends at a page that cannot be read. */
static char *fenced;
static size_t page;

static void
fence(void)
{
    page = (size_t) sysconf(_SC_PAGESIZE);
    fenced = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fenced == MAP_FAILED || mprotect(fenced + page, page, PROT_READ | PROT_WRITE) != 0)
        exit(1);
    fenced += page;
}

static const char *
at_start(const char *s, size_t n)
{
    memcpy(fenced, s, n);
    return fenced;
}

static const char *
at_end(const char *s, size_t n)
{
    memcpy(fenced + page - n, s, n);
    return fenced + page - n;
}

static void
int_is(const char *s, int bits, uint8_t state, int64_t want)
{
    size_t n = strlen(s);
    int64_t max = INT64_MAX >> (64 - bits), v = 0;

    is_int(convert_int(at_start(s, n), n, -max - 1, max, &v), state, "int%d '%s': state", bits / 8, s);
    if (state == V)
        is_int(v, want, "int%d '%s': value", bits / 8, s);
    is_int(convert_int(at_end(s, n), n, -max - 1, max, &v), state, "int%d '%s': state at a page's end", bits / 8, s);
}

static void
test_int(void)
{
    int_is("0", 32, V, 0);
    int_is("-0", 32, V, 0);
    int_is("+5", 32, V, 5);
    int_is(" \t42 ", 32, V, 42);
    int_is("00000000000000000000000000000007", 16, V, 7);
    int_is("32767", 16, V, 32767);
    int_is("32768", 16, RNG, 0);
    int_is("-32768", 16, V, -32768);
    int_is("-32769", 16, RNG, 0);
    int_is("2147483647", 32, V, 2147483647);
    int_is("2147483648", 32, RNG, 0);
    int_is("-2147483648", 32, V, INT32_MIN);
    int_is("9223372036854775807", 64, V, INT64_MAX);
    int_is("9223372036854775808", 64, RNG, 0);
    int_is("-9223372036854775808", 64, V, INT64_MIN);
    int_is("-9223372036854775809", 64, RNG, 0);
    int_is("9999999999999999999", 64, RNG, 0);
    int_is("99999999999999999999", 64, RNG, 0);
    int_is("", 32, SYN, 0);
    int_is("  ", 32, SYN, 0);
    int_is("-", 32, SYN, 0);
    int_is("--1", 32, SYN, 0);
    int_is("- 1", 32, SYN, 0);
    int_is("abc", 32, SYN, 0);
    int_is("12a", 32, SYN, 0);
    int_is("12.5", 32, SYN, 0);
    int_is("1,234", 32, SYN, 0);
    int_is("1 2", 32, SYN, 0);
    int_is("12\xe2\x82\xac", 32, SYN, 0);
    /* the encoding is refused first, and versions differ on these */
    int_is("12\xff", 32, R, 0);
    int_is("1_000", 32, R, 0);
    int_is("0x1F", 32, R, 0);
    int_is("-0b1", 32, R, 0);
    int_is("99999999999x", 32, R, 0);
    int_is("00x1", 32, SYN, 0);
}

/* Numbers of each length, against the C library. */
static void
test_int_lengths(void)
{
    char s[32];
    int bad = 0;

    for (int length = 1; length <= 19; length++)
    {
        for (int round = 0; round < 200; round++)
        {
            int64_t v = 0, want;
            int at = round % 2;

            s[0] = '-';
            for (int i = 0; i < length; i++)
                s[at + i] = (char) ('0' + (i * 7 + round * 3 + length) % 10);
            s[at + length] = '\0';
            if (length == 19)
                s[at] = (char) ('0' + round % 9);
            want = strtoll(s, NULL, 10);
            bad += convert_int(at_end(s, strlen(s)), strlen(s), INT64_MIN, INT64_MAX, &v) != V || v != want;
            /* a letter in each place */
            s[at + round % length] = "/:;a.e\x7f\x01"[round % 8];
            bad += convert_int(at_end(s, strlen(s)), strlen(s), INT64_MIN, INT64_MAX, &v) == V;
        }
    }
    is_int(bad, 0, "integers of 1 to 19 digits, with and without a wrong byte");
}

static void
decimal_is(const char *s, uint8_t state, int64_t want, int want_scale)
{
    size_t n = strlen(s);
    int64_t v = 0;
    uint8_t scale = 0;

    is_int(convert_decimal(at_start(s, n), n, &v, &scale), state, "numeric '%s': state", s);
    is_int(convert_decimal(at_end(s, n), n, &v, &scale), state, "numeric '%s': state at a page's end", s);
    if (state == V)
    {
        is_int(v, want, "numeric '%s': digits", s);
        is_int(scale, want_scale, "numeric '%s': scale", s);
    }
}

static void
test_decimal(void)
{
    decimal_is("0", V, 0, 0);
    decimal_is("1.50", V, 150, 2);
    decimal_is("-0.00", V, 0, 2);
    decimal_is("007", V, 7, 0);
    decimal_is("+1", V, 1, 0);
    decimal_is(".5", V, 5, 1);
    decimal_is("5.", V, 5, 0);
    decimal_is("-.5", V, -5, 1);
    decimal_is(" 12.30 ", V, 1230, 2);
    decimal_is("1234567.", V, 1234567, 0);
    decimal_is("12345678.", V, 12345678, 0);
    decimal_is("123456.78", V, 12345678, 2);
    decimal_is("12345678.9", V, 123456789, 1);
    decimal_is("123456789.012345", V, 123456789012345, 6);
    decimal_is("1234567890123.45", V, 123456789012345, 2);
    decimal_is("1234567890123456", V, 1234567890123456, 0);
    decimal_is("9223372036854775807", R, 0, 0);
    decimal_is("123456789012345678", V, 123456789012345678, 0);
    decimal_is("0.123456789012345678", V, 123456789012345678, 18);
    decimal_is("0.1234567890123456789", R, 0, 0);
    decimal_is("99999999999999999999", R, 0, 0);
    decimal_is("1e5", V, 100000, 0);
    decimal_is("-1.5E+03", V, -1500, 0);
    decimal_is("1.50e-3", V, 150, 5);
    decimal_is("0e-5", V, 0, 5);
    decimal_is("1.2345e2", V, 12345, 2);
    decimal_is("1e18", V, 1000000000000000000, 0);
    decimal_is("1e19", R, 0, 0);
    decimal_is("1e-19", R, 0, 0);
    decimal_is("1e 5", R, 0, 0);
    decimal_is("1e1_0", R, 0, 0);
    decimal_is("NaN", R, 0, 0);
    decimal_is("-Infinity", R, 0, 0);
    decimal_is("1_000", R, 0, 0);
    decimal_is("0x1F", R, 0, 0);
    decimal_is("", SYN, 0, 0);
    decimal_is(".", SYN, 0, 0);
    decimal_is("-", SYN, 0, 0);
    decimal_is("-.", SYN, 0, 0);
    decimal_is("n/a", SYN, 0, 0);
    decimal_is("null", SYN, 0, 0);
    decimal_is("1,234.50", SYN, 0, 0);
    decimal_is("$12", SYN, 0, 0);
    decimal_is("1.2.3", SYN, 0, 0);
    decimal_is("12 EUR", SYN, 0, 0);
    decimal_is("12EUR", SYN, 0, 0);
    decimal_is("12e", SYN, 0, 0);
}

static void
decimal_to_is(const char *s, int precision, int scale, uint8_t state, int64_t want)
{
    size_t n = strlen(s);
    int64_t v = 0;

    is_int(convert_decimal_to(at_end(s, n), n, precision, scale, &v), state, "numeric(%d,%d) '%s': state", precision, scale, s);
    if (state == V)
        is_int(v, want, "numeric(%d,%d) '%s': value", precision, scale, s);
}

static void
test_decimal_to(void)
{
    decimal_to_is("1.5", 12, 2, V, 150);
    decimal_to_is("1.005", 12, 2, V, 101);
    decimal_to_is("-1.005", 12, 2, V, -101);
    decimal_to_is("1.00499999999", 12, 2, V, 100);
    decimal_to_is("9999999999.99", 12, 2, V, 999999999999);
    decimal_to_is("9999999999.995", 12, 2, PRC, 0);
    decimal_to_is("-10000000000", 12, 2, PRC, 0);
    decimal_to_is("000000000000000000000001.5", 3, 1, V, 15);
    decimal_to_is("0.33333333333333333333333333333", 12, 2, V, 33);
    decimal_to_is("0.99999999999999999999999999999", 2, 2, PRC, 0);
    decimal_to_is("99999999999999999999999", 12, 2, PRC, 0);
    decimal_to_is("0", 2, 2, V, 0);
    decimal_to_is("1", 18, 18, PRC, 0);
    decimal_to_is("0.5", 18, 18, V, 500000000000000000);
    decimal_to_is("123456789012345678", 18, 0, V, 123456789012345678);
    decimal_to_is("999999999999999999.5", 18, 0, PRC, 0);
    decimal_to_is("12.34", 25, 4, V, 123400);
    decimal_to_is("99999999999999999999", 25, 4, R, 0);
    decimal_to_is("1.5e3", 12, 2, V, 150000);
    decimal_to_is("5e-3", 12, 2, V, 1);
    decimal_to_is("-1e10", 12, 2, PRC, 0);
    decimal_to_is("12345", 3, -2, R, 0);
    decimal_to_is("abc", 3, -2, SYN, 0);
    decimal_to_is("", 12, 2, SYN, 0);
    decimal_to_is("12a", 12, 2, SYN, 0);
}

static void
float_is(const char *s, uint8_t state, double want)
{
    size_t n = strlen(s);
    double d = -1;

    is_int(convert_float8(at_end(s, n), n, &d), state, "float8 '%s': state", s);
    if (state == V)
        ok(memcmp(&d, &want, sizeof(d)) == 0, "float8 '%s': the same bits (%.17g)", s, d);
}

static void
test_float(void)
{
    static const char *const same[] = {
        "0", "-0", "0.1", "1.5", "123456.789", "0.30000000000000004", "52.37403190000001", "9007199254740993",
        "9007199254740992.5", "9007199254740991.5", "1e5", "1E-5", "-2.5e+10", "4.9e-324", "2.2250738585072014e-308",
        "1.7976931348623157e308", "123456789012345678", "9223372036854775806", "0.000000000000000001", "5.", ".5", "+1",
        "0.1234567890123456789", "179769313486231570000000000000000000000000"
    };

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        float_is(same[i], V, strtod(same[i], NULL));
    float_is(" 2.5\t", V, 2.5);
    float_is("NaN", V, (double) NAN);
    float_is("-inf", V, -HUGE_VAL);
    float_is("Infinity", V, HUGE_VAL);
    float_is("1e400", RNG, 0);
    float_is("-1e-400", RNG, 0);
    float_is("0e400", V, 0);
    float_is("", SYN, 0);
    float_is("abc", SYN, 0);
    float_is("1,5", SYN, 0);
    float_is("1e", SYN, 0);
    float_is("1.2.3", SYN, 0);
    float_is("0x1p3", R, 0);
    float_is("infx", R, 0);
}

/* Doubles printed with 17 digits come back as the same bits. */
static void
test_float_round_trip(void)
{
    uint64_t seed = 88172645463325252ULL;
    int bad = 0;

    for (int i = 0; i < 100000; i++)
    {
        char s[64];
        double d, back = 0;

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        d = (double) (int64_t) seed / (double) (1ULL << (seed % 60));
        if (i % 2 == 0)
            snprintf(s, sizeof(s), "%.17g", d);
        else
            snprintf(s, sizeof(s), "%.*f", (int) (seed >> 40) % 17, d);
        if (convert_float8(s, strlen(s), &back) != V || back != strtod(s, NULL))
            bad++;
    }
    is_int(bad, 0, "100,000 doubles are those of strtod");
}

/* Floats rounded once: also right between two, where a double in between would decide wrongly. */
static void
test_float4(void)
{
    static const char *const same[] = {
        "0", "-0", "0.1", "16777217", "16777217.0000000001", "16777216.9999999999", "33554435", "33554434.00000000001",
        "1.000000059604644775390625", "1.0000000596046447753906251", "8589973504.5", "3.4028235e38", "1.4e-45", "1e-40", "5."
    };
    static const struct { const char *s; uint8_t state; } others[] = {
        {"3.4028236e38", RNG}, {"3.40282357e38", RNG}, {"1e39", RNG}, {"7e-46", RNG}, {"0e-99", V}, {"abc", SYN}, {"", SYN}, {"1x", SYN},
        {"123456789012345678901234567890123456789012x", R}
    };
    uint64_t seed = 2463534242;
    double d, bad = 0;

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        ok(convert_float4(at_end(same[i], strlen(same[i])), strlen(same[i]), &d) == V && d == (double) strtof(same[i], NULL),
            "float4 '%s': that of strtof", same[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        is_int(convert_float4(at_end(others[i].s, strlen(others[i].s)), strlen(others[i].s), &d), others[i].state,
            "float4 '%s': state", others[i].s);
    for (int i = 0; i < 100000; i++)
    {
        char s[64];

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        /* 25 bits, the last one set: halfway, or a digit beside it */
        snprintf(s, sizeof(s), "%.*f", (int) (seed >> 60), (double) ((seed & 0x1ffffff) | 0x1000001) / (double) (1 << (seed >> 40) % 8));
        bad += convert_float4(s, strlen(s), &d) != V || d != (double) strtof(s, NULL);
    }
    ok(bad == 0, "100,000 halves are rounded as by strtof");
}

int
main(void)
{
    fence();
    test_int();
    test_int_lengths();
    test_decimal();
    test_decimal_to();
    test_float();
    test_float_round_trip();
    test_float4();
    return done();
}
