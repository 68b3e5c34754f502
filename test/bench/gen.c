/*
 * gen.c: writes the benchmark's CSV, the same bytes every time.
 *
 * Ten columns: a bigint key, four texts (one in five names is quoted and holds a
 * comma), numeric(12,2), date, timestamptz, text, boolean; about 110 bytes a
 * row, one row in ten with a balance of 0.00 for the filter to drop.  Output
 * goes to stdout through a buffer of its own: two million rows in about a
 * second, so that making the file is no part of a benchmark's patience.
 * Nothing here depends on Kaireon.
 *
 * usage: gen ROWS [DELIMITER] > bench.csv
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 20260101;
static const char *delimiter = ",";

/* Numbers below `below`; Lehmer's generator, so that the file never changes. */
static unsigned
below(unsigned limit)
{
    seed = seed * 48271 % 2147483647;
    return (unsigned) (seed % limit);
}

static char *
put_text(char *to, const char *text)
{
    size_t length = strlen(text);

    memcpy(to, text, length);
    return to + length;
}

/* `digits` digits, with leading zeros; 0 for as many as it takes. */
static char *
put_number(char *to, uint64_t value, int digits)
{
    char text[24];
    int at = sizeof(text);

    do
    {
        text[--at] = (char) ('0' + value % 10);
        value /= 10;
        digits--;
    } while (value > 0 || digits > 0);
    memcpy(to, text + at, sizeof(text) - (size_t) at);
    return to + (sizeof(text) - (size_t) at);
}

static char *
put_date(char *to)
{
    to = put_number(to, 2005 + below(20), 4);
    *to++ = '-';
    to = put_number(to, 1 + below(12), 2);
    *to++ = '-';
    return put_number(to, 1 + below(28), 2);
}

static char *
put_mark(char *to)
{
    return put_text(to, delimiter);
}

static char *
put_header(char *to)
{
    static const char *const names[] = {"customer_id", "email_address", "name", "ssn", "tier", "balance", "signup_date", "last_seen", "note", "active"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        to = put_text(i > 0 ? put_mark(to) : to, names[i]);
    return put_text(to, "\n");
}

static char *
put_row(char *to, uint64_t id)
{
    static const char *const firsts[] = {"Ada", "Bruno", "Chiara", "Deniz", "Elena", "Farid", "Grace", "Hugo"};
    static const char *const lasts[] = {"Almeida", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad"};
    static const char *const tiers[] = {"bronze", "silver", "gold", "platinum"};
    const char *first = firsts[below(8)], *last = lasts[below(8)];

    to = put_number(to, id, 0);
    to = put_text(put_mark(to), "user");
    to = put_number(to, id, 0);
    to = put_mark(put_text(to, "@example.com"));
    if (id % 5 == 0)
    {
        *to++ = '"';
        to = put_text(put_text(put_text(to, last), ", "), first);
        *to++ = '"';
    }
    else
        to = put_text(put_text(put_text(to, first), " "), last);
    to = put_mark(to);
    to = put_number(to, 100 + below(800), 3);
    *to++ = '-';
    to = put_number(to, 10 + below(89), 2);
    *to++ = '-';
    to = put_number(to, below(10000), 4);
    to = put_mark(to);
    to = put_text(to, tiers[below(4)]);
    to = put_mark(to);
    if (below(10) == 0)
        to = put_text(to, "0.00");
    else
    {
        to = put_number(to, 1 + below(90000), 0);
        *to++ = '.';
        to = put_number(to, below(100), 2);
    }
    to = put_mark(to);
    to = put_date(to);
    to = put_mark(to);
    to = put_date(to);
    *to++ = ' ';
    to = put_number(to, below(24), 2);
    *to++ = ':';
    to = put_number(to, below(60), 2);
    *to++ = ':';
    to = put_number(to, below(60), 2);
    to = put_text(put_mark(put_text(to, "+00")), "note ");
    to = put_number(to, below(1000000), 0);
    return put_text(put_mark(to), below(4) ? "true\n" : "false\n");
}

int
main(int argc, char **argv)
{
    static char buffer[1 << 20];
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    char *to;

    if (argc > 2)
        delimiter = argv[2];
    to = put_header(buffer);
    for (uint64_t id = 1; id <= rows; id++)
    {
        to = put_row(to, id);
        if (to > buffer + sizeof(buffer) - 4096)
        {
            if (fwrite(buffer, 1, (size_t) (to - buffer), stdout) != (size_t) (to - buffer))
                return 1;
            to = buffer;
        }
    }
    return fwrite(buffer, 1, (size_t) (to - buffer), stdout) == (size_t) (to - buffer) && fflush(stdout) == 0 ? 0 : 1;
}
