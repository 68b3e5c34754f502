/*
 * test_convert_text.c: booleans, character limits and UTF-8, case by case.
 *
 * The check of UTF-8 is compared with one that decodes code points, for every
 * sequence of up to three bytes and for four bytes at the borders, and at
 * each place among ASCII that the words of the quick way can have.
 */
#include "tap.h"

#include <stdlib.h>

#include "format/convert.h"

#define V WIRE_VALUE
#define SYN WIRE_BAD_SYNTAX

static void
bool_is(const char *s, uint8_t state, int64_t want)
{
    int64_t v = -1;

    is_int(convert_bool(s, strlen(s), &v), state, "bool '%s': state", s);
    if (state == V)
        is_int(v, want, "bool '%s': value", s);
}

static void
test_bool(void)
{
    static const char *const yes[] = {"t", "tr", "tru", "true", "TRUE", "True", "y", "ye", "yes", "YES", "on", "ON", "1", " t ", "\ttrue "};
    static const char *const no[] = {"f", "fa", "fal", "fals", "false", "FALSE", "n", "no", "No", "of", "off", "OFF", "0", " 0"};
    static const char *const bad[] = {"", " ", "o", "truee", "falsee", "yess", "noo", "onn", "offf", "10", "2", "-1", "n/a", "maybe",
        "t\x01", "\x11", "@", "t rue", "\xc3\xa9"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        bool_is(yes[i], V, 1);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        bool_is(no[i], V, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        bool_is(bad[i], SYN, 0);
    bool_is("t\xff", WIRE_RAW, 0);
}

static void
varchar_is(const char *s, size_t max, bool coerce, uint8_t state, size_t want)
{
    size_t length = 9999;

    is_int(convert_varchar(s, strlen(s), max, coerce, &length), state, "varchar(%zu)%s '%s': state", max, coerce ? " coerced" : "", s);
    is_int((int64_t) length, (int64_t) want, "varchar(%zu)%s '%s': bytes", max, coerce ? " coerced" : "", s);
}

static void
test_varchar(void)
{
    varchar_is("", 3, false, V, 0);
    varchar_is("abc", 3, false, V, 3);
    varchar_is("abcd", 3, false, WIRE_BAD_LENGTH, 4);
    varchar_is("abcd", 3, true, V, 3);
    varchar_is("abc  ", 3, false, V, 3);
    varchar_is("ab   ", 3, false, V, 3);
    varchar_is("abc d", 3, false, WIRE_BAD_LENGTH, 5);
    varchar_is("abc\t", 3, false, WIRE_BAD_LENGTH, 4);
    varchar_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 3, false, V, 9);
    varchar_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 ", 3, false, V, 9);
    varchar_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80x", 3, true, V, 9);
    varchar_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 2, true, V, 5);
    varchar_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 2, false, WIRE_BAD_LENGTH, 9);
}

/* Decodes code points and encodes each again: slow, and plainly right. */
static bool
slowly_valid(const uint8_t *s, size_t n)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};

    for (size_t at = 0; at < n;)
    {
        uint32_t lead = s[at], code;
        size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;

        if (length == 0 || at + length > n)
            return false;
        code = length == 1 ? lead : lead & (0x7fu >> length);
        for (size_t i = 1; i < length; i++)
        {
            if (s[at + i] >> 6 != 2)
                return false;
            code = code << 6 | (s[at + i] & 0x3f);
        }
        if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        at += length;
    }
    return true;
}

static int
disagrees(const uint8_t *s, size_t n)
{
    return convert_utf8_valid((const char *) s, n) != slowly_valid(s, n);
}

static void
test_utf8(void)
{
    static const uint8_t borders[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    uint8_t s[4];
    int bad = 0;

    for (uint32_t i = 0; i < 1u << 24; i++)
    {
        s[0] = (uint8_t) (i >> 16);
        s[1] = (uint8_t) (i >> 8);
        s[2] = (uint8_t) i;
        bad += disagrees(s, 3);
        if ((i & 0xff) == 0)
            bad += disagrees(s, 2);
        if ((i & 0xffff) == 0)
            bad += disagrees(s, 1);
    }
    is_int(bad, 0, "every sequence of one to three bytes");
    for (int lead = 0; lead < 256; lead++)
    {
        for (size_t k = 0; k < 11 * 11 * 11; k++)
        {
            s[0] = (uint8_t) lead;
            s[1] = borders[k / 121];
            s[2] = borders[k / 11 % 11];
            s[3] = borders[k % 11];
            bad += disagrees(s, 4);
        }
    }
    is_int(bad, 0, "four bytes at the borders");
    ok(convert_utf8_valid("", 0), "nothing is valid");
}

/* Valid and broken sequences at each place of fields up to 80 bytes. */
static void
test_utf8_places(void)
{
    static const char *const sequences[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\x80"};
    int bad = 0;

    for (size_t n = 1; n <= 80; n++)
    {
        for (size_t at = 0; at <= n; at++)
        {
            for (size_t k = 0; k < 9; k++)
            {
                size_t length = k < 8 ? strlen(sequences[k]) : 1;
                uint8_t *s;

                if (at + length > n || (s = malloc(n)) == NULL)
                    continue;
                memset(s, 'x', n);
                memcpy(s + at, k < 8 ? sequences[k] : "", length);
                bad += disagrees(s, n);
                free(s);
            }
        }
    }
    is_int(bad, 0, "sequences at each place of 1 to 80 bytes");
}

static void
escape_is(const char *s, size_t n, size_t size, const char *want)
{
    char out[64];
    size_t used = convert_utf8_escape(s, n, out, size);

    out[used] = '\0';
    ok(used <= size, "escape to %zu bytes keeps within them", size);
    is_str(out, want, "escape to %zu bytes gives %s", size, want);
}

static void
test_escape(void)
{
    escape_is("", 0, 10, "");
    escape_is("abc", 3, 10, "abc");
    escape_is("a\0b", 3, 10, "a\\x00b");
    escape_is("a\xff\xc3\xa9", 4, 10, "a\\xff\xc3\xa9");
    escape_is("\xed\xa0\x80", 3, 12, "\\xed\\xa0\\x80");
    escape_is("\xed\xa0\x80", 3, 11, "\\xed\\xa0");
    escape_is("ab\xc3\xa9", 4, 3, "ab");
    escape_is("ab\xc3\xa9", 4, 4, "ab\xc3\xa9");
    escape_is("\xe2\x82", 2, 20, "\\xe2\\x82");
    escape_is("abc", 3, 0, "");
}

int
main(void)
{
    test_bool();
    test_varchar();
    test_utf8();
    test_utf8_places();
    test_escape();
    return done();
}
