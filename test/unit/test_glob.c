/*
 * test_glob.c: names with wildcards.
 *
 * A table, and random patterns of ASCII against the C library's fnmatch, which
 * knows the same wildcards.
 */
#include "tap.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "core/glob.h"

static void
check_table(void)
{
    static const struct { const char *pattern, *name; bool match; } cases[] = {
        {"a.csv", "a.csv", true}, {"a.csv", "A.csv", false}, {"a.csv", "a.csv2", false}, {"", "", true}, {"", "a", false},
        {"*", "", true}, {"*", "abc", true}, {"*.csv", "a.csv", true}, {"*.csv", ".csv", false}, {".*", ".csv", true},
        {"*a*b*c*", "xxaxxbxxcxx", true}, {"*a*b*c*", "xxaxxcxxbxx", false}, {"**", "abc", true}, {"a**b", "ab", true},
        {"?", "a", true}, {"?", "", false}, {"?", "ab", false}, {"?", "ä", true}, {"??", "ä", false}, {"?", "😀", true},
        {"?", "\xE4", true}, {"??", "\xC3\xE4", true}, {"\\?", "\xC0\xBF", false}, {"??", "\xC0\xBF", true},
        {"\x80", "\xF4\x90\x82\x80", false}, {"😀", "\xF8\x9F\x98\x80", false}, {"?x", ".x", false}, {"a?c", "a.c", true},
        {"[abc]x", "bx", true}, {"[abc]x", "dx", false}, {"[a-c]x", "bx", true}, {"[a-c]x", "-x", false}, {"[ac-]x", "-x", true},
        {"[!a-c]x", "dx", true}, {"[^a-c]x", "ax", false}, {"[]]x", "]x", true}, {"[]a]x", "ax", true}, {"[!]]x", "]x", false},
        {"[ä-ü]", "ö", true}, {"[a-z]", "ö", false}, {"[\xE4]", "\xE4", true}, {"[\xE4]", "\xE5", false}, {"[.]x", ".x", false}, {"a[.]x", "a.x", true},
        {"[", "[", true}, {"[a", "[a", true}, {"a[b", "a[b", true}, {"[]", "[]", true}, {"[!", "[!", true},
        {"\\*", "*", true}, {"\\*", "a", false}, {"\\a", "a", true}, {"a\\", "a\\", true}, {"\\\\", "\\", true}, {"\\[a]", "[a]", true},
        {"[\\]]", "]", true}, {"[\\\\]", "\\", true}, {"[a\\-c]", "b", false}, {"[a\\-c]", "-", true}, {"\\.x", ".x", true},
        {"{a,b}", "{a,b}", true}, {"{a,b}", "a", false}, {"*[", "x[", true}, {"*\\", "x\\", true},
        {"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ok(glob_match(cases[i].pattern, strlen(cases[i].pattern), cases[i].name) == cases[i].match, "\"%s\" %s \"%s\"", cases[i].pattern,
           cases[i].match ? "is" : "is not", cases[i].name);
    ok(glob_match("a*/b", 2, "abc"), "a pattern has a length");
}

static void
check_names(void)
{
    static const struct { const char *text, *name; } cases[] = {
        {"plain", "plain"}, {"\\*\\?\\[x\\]", "*?[x]"}, {"a\\\\b", "a\\b"}, {"end\\", "end\\"}, {"a]b{c}", "a]b{c}"},
    };
    char name[40];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    {
        glob_unescape(cases[i].text, strlen(cases[i].text), name);
        is_str(name, cases[i].name, "\"%s\" stands for one name", cases[i].text);
        ok(!glob_is_pattern(cases[i].text, strlen(cases[i].text)), "and is no pattern");
    }
    ok(glob_is_pattern("a*", 2) && glob_is_pattern("?", 1) && glob_is_pattern("[", 1) && glob_is_pattern("\\\\*", 3), "patterns");
    ok(!glob_has_pattern("a]{}b", 5) && glob_has_pattern("a\\b", 3), "what has a meaning");
    ok(glob_has_escape("a\\*b", 4) && glob_has_escape("\\\\", 2) && !glob_has_escape("a\\b", 3) && !glob_has_escape("*\\", 2), "an escape");
    ok(glob_is_deep("**", 2) && !glob_is_deep("***", 3) && !glob_is_deep("*", 1) && !glob_is_deep("*\\", 2), "any depth");
}

static uint32_t seed = 42;

static uint32_t
dice(uint32_t sides)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % sides;
}

static void
random_text(char *out, size_t most, const char *const *alphabet, uint32_t n)
{
    size_t length = dice((uint32_t) most);

    for (out[0] = '\0'; length > 0; length--)
        strcat(out, alphabet[dice(n)]);
}

/* The C library lets a backslash at the end match nothing, and so the bracket before it. */
static bool
ends_in_escape(const char *pattern)
{
    size_t n = strlen(pattern);

    return n > 0 && pattern[n - 1] == '\\';
}

static void
check_random(void)
{
    static const char *const pattern_parts[] = {"a", "b", "c", ".", "*", "*", "?", "[ab]", "[!b]", "[^c]", "[a-c]", "[]x]", "\\a", "\\*", "[\\]]", "]", "-"};
    static const char *const name_parts[] = {"a", "b", "c", ".", "*", "]", "-", "x"};
    char pattern[200], name[100];
    int round, wrong = 0;

    for (round = 0; round < 300000; round++)
    {
        bool got, want;

        random_text(pattern, 8, pattern_parts, sizeof(pattern_parts) / sizeof(pattern_parts[0]));
        random_text(name, 8, name_parts, sizeof(name_parts) / sizeof(name_parts[0]));
        if (ends_in_escape(pattern))
            continue;
        got = glob_match(pattern, strlen(pattern), name);
        want = fnmatch(pattern, name, FNM_PERIOD) == 0;
        if (got != want && wrong++ < 5)
            printf("# \"%s\" and \"%s\": %d, should be %d\n", pattern, name, got, want);
    }
    is_int(wrong, 0, "300000 random patterns: as fnmatch");
}

int
main(void)
{
    check_table();
    check_names();
    check_random();
    return done();
}
