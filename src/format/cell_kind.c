/*
 * cell_kind.c: numbers, dates and words by their looks; see cell_kind.h.
 *
 * Each recogniser takes the field without its surrounding spaces and must
 * accept all of it.  They are generous where regions differ (separators, order
 * of day and month) and strict where it tells delimiters apart: groups of a
 * number have three digits, a time has two digits behind each colon.
 */
#include "format/cell_kind.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Longer fields are words without looking closer. */
#define LONGEST_NUMBER 60
#define LONGEST_TIME 40

static inline bool
digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
letter(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static inline bool
space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static bool
is_word(const char *s, size_t n, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strlen(*words) == n && strncasecmp(s, *words, n) == 0)
            return true;
    return false;
}

/* Length of a currency sign or code at p, 0 when there is none. */
static size_t
currency(const char *p, const char *end)
{
    static const char *const signs[] = {
        "$", "\xe2\x82\xac", "\xc2\xa3", "\xc2\xa5", "\xe2\x82\xb9", "\xe2\x82\xbd", "\xe2\x82\xa9", "\xe2\x82\xba",
        "EUR", "USD", "GBP", "CHF", "JPY", "INR", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "CAD", "AUD", "BRL", "kr", "R$", NULL};

    for (int i = 0; signs[i] != NULL; i++)
    {
        size_t n = strlen(signs[i]);

        if ((size_t) (end - p) >= n && memcmp(p, signs[i], n) == 0)
            return n;
    }
    return 0;
}

/* Bytes of a separator of thousands at p that three digits follow: , . ' space, or a no-break space. */
static size_t
group_separator(const char *p, const char *end)
{
    size_t n = 0;

    if (p < end && (*p == ',' || *p == '.' || *p == '\'' || *p == ' '))
        n = 1;
    else if (end - p >= 2 && memcmp(p, "\xc2\xa0", 2) == 0)
        n = 2;
    else if (end - p >= 3 && (memcmp(p, "\xe2\x80\xaf", 3) == 0 || memcmp(p, "\xe2\x80\x89", 3) == 0))
        n = 3;
    if (n == 0 || (size_t) (end - p) < n + 3 || !digit(p[n]) || !digit(p[n + 1]) || !digit(p[n + 2]))
        return 0;
    return (size_t) (end - p) > n + 3 && digit(p[n + 3]) ? 0 : n;
}

/* Digits, in groups perhaps, then perhaps a decimal part and an exponent; moves *p behind them. */
static bool
number_body(const char **p, const char *end)
{
    const char *q = *p;
    size_t whole = 0, step;
    char group = 0;

    for (; q < end && digit(*q); q++)
        whole++;
    while (whole > 0 && whole <= 3 && (step = group_separator(q, end)) > 0 && (group == 0 || group == *q))
    {
        group = *q;
        q += step + 3;
    }
    if (q < end && (*q == '.' || *q == ',') && *q != group)
    {
        const char *fraction = ++q;

        while (q < end && digit(*q))
            q++;
        if (q == fraction && whole == 0)
            return false;
        whole += (size_t) (q - fraction);
    }
    if (whole == 0)
        return false;
    if (q < end && (*q == 'e' || *q == 'E'))
    {
        const char *exponent = q + 1;

        exponent += exponent < end && (*exponent == '-' || *exponent == '+');
        if (exponent < end && digit(*exponent))
        {
            for (q = exponent; q < end && digit(*q); q++)
                ;
        }
    }
    *p = q;
    return true;
}

static void
skip_spaces(const char **p, const char *end)
{
    while (*p < end && (**p == ' ' || (end - *p >= 2 && memcmp(*p, "\xc2\xa0", 2) == 0)))
        *p += **p == ' ' ? 1 : 2;
}

static bool
is_number(const char *p, size_t n)
{
    const char *end = p + n;
    bool paren;

    if (n > LONGEST_NUMBER)
        return false;
    paren = *p == '(' && end[-1] == ')';
    p += paren;
    end -= paren;
    p += p < end && (*p == '-' || *p == '+');
    p += currency(p, end);
    skip_spaces(&p, end);
    p += p < end && (*p == '-' || *p == '+');
    if (!number_body(&p, end))
        return false;
    skip_spaces(&p, end);
    if (p < end && (*p == '%' || *p == '-'))
        p++;
    else
        p += currency(p, end);
    return p == end;
}

/* ---- dates and times --------------------------------------------------- */

/* Up to `most` digits at *p; how many there were. */
static int
take_digits(const char **p, const char *end, int most)
{
    int n = 0;

    while (*p < end && n < most && digit(**p))
    {
        (*p)++;
        n++;
    }
    return n;
}

/* The name of a month, or its first letters, at *p. */
static bool
take_month(const char **p, const char *end)
{
    static const char *const months[] = {
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        "m\xc3\xa4r", "mai", "okt", "dez", "f\xc3\xa9v", "avr", "ao\xc3\xbb", "d\xc3\xa9" "c", "ene", "abr", "ago", "dic", NULL};

    for (int i = 0; months[i] != NULL; i++)
    {
        size_t n = strlen(months[i]);

        if ((size_t) (end - *p) >= n && strncasecmp(*p, months[i], n) == 0)
        {
            *p += n;
            while (*p < end && (letter(**p) || (uint8_t) **p >= 0x80))
                (*p)++;
            *p += *p < end && **p == '.';
            return true;
        }
    }
    return false;
}

/* 31.12.2024, 2024-12-31, 12/31/24, 31-Dec-2024, Dec 31, 2024: moves *p behind it. */
static bool
take_date(const char **p, const char *end)
{
    const char *q = *p;
    int first = take_digits(&q, end, 4), second, third;
    char mark = q < end ? *q : 0;

    if (first == 0)
    {
        if (!take_month(&q, end) || q == end)
            return false;
        q += *q == ' ';
        if ((first = take_digits(&q, end, 2)) == 0)
            return false;
        q += q < end && *q == ',';
        q += q < end && *q == ' ';
        if (take_digits(&q, end, 4) != 4)
            return false;
        *p = q;
        return true;
    }
    if (mark != '.' && mark != '-' && mark != '/' && mark != ' ')
        return false;
    q++;
    q += mark == '.' && q < end && *q == ' ';
    second = take_digits(&q, end, 2);
    if (second == 0 && !take_month(&q, end))
        return false;
    if (second > 0 && mark == ' ')
        return false;
    if (q == end || (*q != mark && !(second == 0 && *q == ' ')))
        return false;
    q++;
    third = take_digits(&q, end, 4);
    if (third == 0 || third == 3 || first == 3 || (first == 4) == (third == 4))
    {
        /* 31.12.24 and 24-12-31: two digits in both places */
        if (!(first <= 2 && third == 2))
            return false;
    }
    *p = q;
    return true;
}

/* 9:05, 09:05:30.123, 9:05 PM, with a zone; moves *p behind it. */
static bool
take_time(const char **p, const char *end)
{
    const char *q = *p;

    if (take_digits(&q, end, 2) == 0 || q == end || *q++ != ':' || take_digits(&q, end, 2) != 2)
        return false;
    if (q < end && *q == ':')
    {
        q++;
        if (take_digits(&q, end, 2) != 2)
            return false;
        if (q + 1 < end && (*q == '.' || *q == ',') && digit(q[1]))
        {
            q++;
            take_digits(&q, end, 9);
        }
    }
    if (end - q >= 3 && *q == ' ' && (q[2] | 0x20) == 'm' && ((q[1] | 0x20) == 'a' || (q[1] | 0x20) == 'p'))
        q += 3;
    else if (end - q >= 2 && (q[1] | 0x20) == 'm' && ((*q | 0x20) == 'a' || (*q | 0x20) == 'p'))
        q += 2;
    if (end - q >= 4 && memcmp(q, " UTC", 4) == 0)
        q += 4;
    else if (q < end && *q == 'Z')
        q++;
    else
    {
        const char *zone = q;

        zone += zone < end && *zone == ' ';
        if (zone < end && (*zone == '+' || *zone == '-'))
        {
            zone++;
            if (take_digits(&zone, end, 4) >= 2)
                q = zone;
            if (q == zone && zone + 1 < end && *zone == ':' && digit(zone[1]))
            {
                q++;
                take_digits(&q, end, 2);
            }
        }
    }
    *p = q;
    return true;
}

static bool
is_time(const char *p, size_t n)
{
    const char *end = p + n;

    if (n > LONGEST_TIME)
        return false;
    if (take_date(&p, end))
    {
        if (p == end)
            return true;
        if (*p == ',')
            p++;
        if (p == end || (*p != ' ' && *p != 'T' && *p != 't'))
            return false;
        p++;
    }
    return take_time(&p, end) && p == end;
}

/* ---- all together ------------------------------------------------------ */

int
cell_year(const char *s, size_t n)
{
    int year = 0;

    if (n != 4)
        return 0;
    for (size_t i = 0; i < 4; i++)
    {
        if (!digit(s[i]))
            return 0;
        year = year * 10 + (s[i] - '0');
    }
    return year >= 1900 && year <= 2099 ? year : 0;
}

CellKind
cell_kind(const char *s, size_t n)
{
    static const char *const nulls[] = {"null", "na", "n/a", "#n/a", "nan", "none", "nil", "-", "--", "\\N", "?", ".", NULL};
    static const char *const bools[] = {"true", "false", "yes", "no", "ja", "nein", "oui", "non", NULL};
    bool blank = false;

    while (n > 0 && space(*s))
        s++, n--;
    while (n > 0 && space(s[n - 1]))
        n--;
    if (n == 0)
        return CELL_EMPTY;
    if (n <= 5 && is_word(s, n, nulls))
        return CELL_NULLISH;
    if (n <= 5 && is_word(s, n, bools))
        return CELL_BOOL;
    if (is_number(s, n))
        return CELL_NUMBER;
    if (is_time(s, n))
        return CELL_TIME;
    for (size_t i = 0; i < n; i++)
    {
        if (((uint8_t) s[i] < 0x20 && !space(s[i])) || s[i] == 0x7f)
            return CELL_ODD;
        blank |= space(s[i]);
    }
    return blank ? CELL_TEXT : CELL_TOKEN;
}
