/*
 * convert_bench.c: what one call of a converter costs.
 *
 * Not a test: prints nanoseconds a call, the best of several rounds over 4,096
 * fields that differ (so that branches are not learned by heart) and lie one
 * behind the other as in a CSV.  Build and run:
 *
 *   gcc -std=gnu11 -O2 -Isrc test/bench/convert_bench.c src/format/convert_*.c -lm -o /tmp/convert_bench && /tmp/convert_bench
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/convert.h"

#define FIELDS 4096
#define ROUNDS 200

static char text[FIELDS * 128];
static const char *fields[FIELDS];
static size_t lengths[FIELDS];
static uint64_t seed = 88172645463325252ULL;

static unsigned
random_below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned) (seed >> 20) % n;
}

static size_t
spell(const char *what, char *out)
{
    static const char *const words[] = {"true", "false", "t", "f", "yes", "no", "1", "0"};
    static const char latin[] = "M\xc3\xbcller-L\xc3\xbc" "denscheidt, Stra\xc3\x9f" "e 17";
    unsigned year = 1970 + random_below(60), month = 1 + random_below(12), day = 1 + random_below(28);

    if (strcmp(what, "int 1-7 digits") == 0)
        return (size_t) sprintf(out, "%u", random_below(10000000) >> random_below(20));
    if (strcmp(what, "int 8-10 digits") == 0)
        return (size_t) sprintf(out, "%u", 10000000 + random_below(2000000000));
    if (strcmp(what, "int8 18 digits") == 0)
        return (size_t) sprintf(out, "%u%09u", 100000000 + random_below(899999999), random_below(999999999));
    if (strcmp(what, "int 'abc'") == 0)
        return (size_t) sprintf(out, "n/a");
    if (strncmp(what, "decimal long", 12) == 0)
        return (size_t) sprintf(out, "%u.%06u", 100000 + random_below(10000000), random_below(1000000));
    if (strncmp(what, "decimal", 7) == 0)
        return (size_t) sprintf(out, "%s%u.%02u", random_below(8) ? "" : "-", random_below(100000) >> random_below(9), random_below(100));
    if (strcmp(what, "float 5-12 digits") == 0)
        return (size_t) sprintf(out, "%u.%06u", random_below(1000), random_below(1000000));
    if (strcmp(what, "float 17 digits") == 0)
        return (size_t) sprintf(out, "%.17g", random_below(1000000) / 997.0);
    if (strcmp(what, "bool") == 0)
        return (size_t) sprintf(out, "%s", words[random_below(8)]);
    if (strcmp(what, "date") == 0)
        return (size_t) sprintf(out, "%04u-%02u-%02u", year, month, day);
    if (strncmp(what, "timestamp", 9) == 0)
    {
        const char *tail = strcmp(what, "timestamp to seconds") == 0 ? "" :
            strcmp(what, "timestamptz Z") == 0 ? "Z" : ".123456+00";

        return (size_t) sprintf(out, "%04u-%02u-%02u %02u:%02u:%02u%s", year, month, day, random_below(24),
                                random_below(60), random_below(60), tail);
    }
    if (strcmp(what, "utf8 ascii 5-20") == 0 || strncmp(what, "varchar", 7) == 0)
        return (size_t) sprintf(out, "%.*s", 5 + (int) random_below(16), "customer@example.com");
    if (strcmp(what, "utf8 ascii 100") == 0)
        return (size_t) sprintf(out, "%0100u", random_below(1000));
    return (size_t) sprintf(out, "%s", latin);
}

/* Which converter a row of the table measures; the switch on it below is always predicted. */
static int
converter_of(const char *what)
{
    static const char *const prefixes[] = {
        "int8", "int", "decimal", "float", "bool", "date", "timestamp", "varchar", "utf8"
    };
    int at = 0;

    if (strstr(what, "(12,2)") != NULL)
        return -1;
    while (strncmp(what, prefixes[at], strlen(prefixes[at])) != 0)
        at++;
    return at;
}

static uint64_t
convert_all(int converter)
{
    uint64_t sum = 0;

    for (int i = 0; i < FIELDS; i++)
    {
        const char *s = fields[i];
        size_t n = lengths[i], keep = 0;
        int64_t v = 0;
        double d = 0;
        uint8_t scale = 0;

        switch (converter)
        {
            case -1: sum += convert_decimal_to(s, n, 12, 2, &v); break;
            case 0: sum += convert_int(s, n, INT64_MIN, INT64_MAX, &v); break;
            case 1: sum += convert_int(s, n, INT32_MIN, INT32_MAX, &v); break;
            case 2: sum += convert_decimal(s, n, &v, &scale); break;
            case 3: sum += convert_float8(s, n, &d) + (uint64_t) d; break;
            case 4: sum += convert_bool(s, n, &v); break;
            case 5: sum += convert_date(s, n, &v); break;
            case 6: sum += convert_timestamptz(s, n, &v); break;
            case 7: sum += convert_varchar(s, n, 255, false, &keep); break;
            default: sum += convert_utf8_valid(s, n); break;
        }
        sum += (uint64_t) v;
    }
    return sum;
}

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

int
main(void)
{
    static const char *const all[] = {
        "int 1-7 digits", "int 8-10 digits", "int8 18 digits", "int 'abc'", "decimal", "decimal (12,2)",
        "decimal long", "decimal long (12,2)", "float 5-12 digits", "float 17 digits", "bool", "date",
        "timestamp to seconds", "timestamptz Z", "timestamptz with micros", "varchar(255)",
        "utf8 ascii 5-20", "utf8 ascii 100", "utf8 latin 38"
    };

    for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
    {
        char *at = text;
        double best = 1e9;
        uint64_t sum = 0;

        for (int i = 0; i < FIELDS; i++)
        {
            fields[i] = at;
            lengths[i] = spell(all[k], at);
            at += lengths[i] + 1;
        }
        for (int round = 0; round < ROUNDS; round++)
        {
            double from = seconds(), took;

            sum += convert_all(converter_of(all[k]));
            took = seconds() - from;
            best = took < best ? took : best;
        }
        printf("%-26s %6.1f ns a call   (%" PRIu64 ")\n", all[k], best / FIELDS * 1e9, sum % 1000);
    }
    return 0;
}
