/*
 * fuzz_convert.c: any bytes through every converter.
 *
 * The field is a block of exactly its size, so that the address sanitizer
 * sees a read outside it.  What the converters answer is checked against what
 * must hold between them and against slow twins: the C library's strtoll and
 * strtod, a decimal rounded from its exact digits, a date from its timestamp,
 * UTF-8 decoded and encoded.
 *
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -Isrc \
 *       test/fuzz/fuzz_convert.c src/format/convert_*.c -lm -o build/fuzz/convert
 *
 * The first byte chooses precision and scale, the second a character limit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "does not hold: %s\n", #what); abort(); } } while (0)

static void
check_int(const char *s, size_t n, const char *text)
{
    int64_t v8 = 0, v4 = 0, v2 = 0;
    uint8_t s8 = convert_int(s, n, INT64_MIN, INT64_MAX, &v8);
    uint8_t s4 = convert_int(s, n, INT32_MIN, INT32_MAX, &v4);
    uint8_t s2 = convert_int(s, n, INT16_MIN, INT16_MAX, &v2);

    CHECK(s8 == WIRE_VALUE || s8 == WIRE_RAW || s8 == WIRE_BAD_SYNTAX || s8 == WIRE_BAD_RANGE);
    if (s8 == WIRE_VALUE)
    {
        CHECK(strtoll(text, NULL, 10) == v8);
        CHECK(s4 == (v8 >= INT32_MIN && v8 <= INT32_MAX ? WIRE_VALUE : WIRE_BAD_RANGE));
        CHECK(s2 == (v8 >= INT16_MIN && v8 <= INT16_MAX ? WIRE_VALUE : WIRE_BAD_RANGE));
    }
    CHECK(s4 != WIRE_VALUE || (s8 == WIRE_VALUE && v4 == v8));
    CHECK(s2 != WIRE_VALUE || (s8 == WIRE_VALUE && v2 == v8));
}

static void
check_decimal(const char *s, size_t n, uint8_t choice)
{
    int64_t u = 0, fitted = 0;
    uint8_t written = 0;
    int precision = 1 + choice % 20, scale = choice / 20 % (precision + 1);
    uint8_t state = convert_decimal(s, n, &u, &written);
    uint8_t state_to = convert_decimal_to(s, n, precision, scale, &fitted);
    __int128 exact = u, limit = 1;

    CHECK((state == WIRE_BAD_SYNTAX) == (state_to == WIRE_BAD_SYNTAX));
    CHECK(state == WIRE_VALUE || state == WIRE_RAW || state == WIRE_BAD_SYNTAX);
    if (state != WIRE_VALUE)
        return;
    CHECK(written <= 18);
    for (int i = 0; i < precision; i++)
        limit *= 10;
    for (int i = written; i < scale; i++)
        exact *= 10;
    if (written > scale)
    {
        __int128 unit = 1, rest;

        for (int i = scale; i < written; i++)
            unit *= 10;
        rest = exact % unit;
        exact /= unit;
        if (2 * (rest < 0 ? -rest : rest) >= unit)
            exact += rest < 0 ? -1 : 1;
    }
    if (exact >= limit || exact <= -limit)
        CHECK(state_to == WIRE_BAD_PRECISION || (state_to == WIRE_RAW && (n > 1000 || precision > 18)));
    else if (state_to == WIRE_VALUE)
        CHECK(fitted == exact);
    else
        CHECK(state_to == WIRE_RAW && (exact > INT64_MAX / 20 || exact < INT64_MIN / 20 || n > 1000 || scale > 18));
}

static void
check_float(const char *s, size_t n, const char *text)
{
    double d = 0, want;

    if (convert_float4(s, n, &d) == WIRE_VALUE)
    {
        want = (double) strtof(text, NULL);
        CHECK(memcmp(&d, &want, sizeof(d)) == 0 || want != want);
    }
    if (convert_float8(s, n, &d) != WIRE_VALUE)
        return;
    want = strtod(text, NULL);
    CHECK(memcmp(&d, &want, sizeof(d)) == 0);
}

static void
check_time(const char *s, size_t n)
{
    int64_t days = 0, micros = 0, utc = 0;
    uint8_t date = convert_date(s, n, &days);
    uint8_t plain = convert_timestamp(s, n, &micros);

    CHECK(convert_timestamptz(s, n, &utc) == plain);
    CHECK(date == WIRE_VALUE || date == WIRE_RAW);
    if (plain != WIRE_VALUE)
    {
        CHECK(plain == WIRE_RAW && (date == WIRE_RAW || n == 8));
        return;
    }
    CHECK(date == WIRE_VALUE && n >= 10);
    CHECK(micros - days * INT64_C(86400000000) >= 0 && micros - days * INT64_C(86400000000) < INT64_C(86400000000));
    CHECK(utc - micros < INT64_C(57600000000) && micros - utc < INT64_C(57600000000) && (utc - micros) % 60000000 == 0);
}

static void
check_text(const char *s, size_t n, size_t limit)
{
    size_t size = 4 * n, used, length = 0, cut = 0, chars = 0;
    char *out = malloc(size + 1), *little = malloc(limit + 1);

    if (out == NULL || little == NULL)
        abort();
    used = convert_utf8_escape(s, n, out, size);
    CHECK(used >= n && used <= size && convert_utf8_valid(out, used));
    CHECK(convert_utf8_valid(s, n) == (used == n && (n == 0 || memcmp(s, out, n) == 0)));
    used = convert_utf8_escape(s, n, little, limit);
    CHECK(used <= limit && memcmp(little, out, used) == 0 && convert_utf8_valid(little, used));
    if (convert_utf8_valid(s, n))
    {
        uint8_t state = convert_varchar(s, n, limit, false, &length);

        CHECK(convert_varchar(s, n, limit, true, &cut) == WIRE_VALUE);
        CHECK(cut <= n && convert_utf8_valid(s, cut));
        for (size_t i = 0; i < cut; i++)
            chars += ((uint8_t) s[i] & 0xc0) != 0x80;
        CHECK(chars <= limit && (chars == limit || cut == n));
        CHECK(length == (state == WIRE_VALUE ? cut : n) && (state == WIRE_VALUE || state == WIRE_BAD_LENGTH));
    }
    free(out);
    free(little);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size > 2 ? size - 2 : 0;
    char *s = malloc(n > 0 ? n : 1), *text = malloc(n + 1);
    int64_t v = 0;

    if (s == NULL || text == NULL)
        abort();
    if (n > 0)
    {
        memcpy(s, data + 2, n);
        memcpy(text, s, n);
    }
    text[n] = '\0';
    check_int(s, n, text);
    check_decimal(s, n, size > 0 ? data[0] : 0);
    check_float(s, n, text);
    check_time(s, n);
    check_text(s, n, size > 1 ? data[1] : 0);
    if (convert_bool(s, n, &v) == WIRE_VALUE)
        CHECK(v == 0 || v == 1);
    free(s);
    free(text);
    return 0;
}
