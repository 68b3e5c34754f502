/*
 * convert_time.c: dates and timestamps in ISO 8601 spellings; see convert.h.
 *
 * Taken are 2024-01-31 (also with slashes, and 20240131 for a date), then T
 * or one space, HH:MM or HH:MM:SS with up to fifteen digits of a second, then
 * nothing, Z, +hh, +hhmm or +hh:mm, with at most one space before it; and
 * white space around the whole.  Years 1 to 9999, days that exist, hours to
 * 23, seconds to 59.  All else is RAW: PostgreSQL's datetime.c takes far more
 * (names of months and zones, 24:00, leap seconds), and what it refuses has
 * SQLSTATEs the wire does not carry.
 *
 * As in PostgreSQL a date ignores the time of day behind it, and a timestamp
 * without time zone ignores a zone; a timestamptz without one is UTC.
 */
#include "format/convert.h"

#include <math.h>

#include "format/convert_swar.h"

#define MICROS_PER_SECOND INT64_C(1000000)
#define MICROS_PER_DAY (INT64_C(86400) * MICROS_PER_SECOND)
/* Days from 0000-01-01 to 2000-01-01. */
#define EPOCH_DAYS 730485
#define LONGEST_TIME 64

/* 'x' where a digit is, the separators as they are; xor leaves digit values and zeros. */
#define WORD8(a, b, c, d, e, f, g, h) \
    ((uint64_t) (a) | (uint64_t) (b) << 8 | (uint64_t) (c) << 16 | (uint64_t) (d) << 24 | \
     (uint64_t) (e) << 32 | (uint64_t) (f) << 40 | (uint64_t) (g) << 48 | (uint64_t) (h) << 56)

#define DATE_DASH WORD8('0', '0', '0', '0', '-', '0', '0', '-')
#define DATE_SLASH WORD8('0', '0', '0', '0', '/', '0', '0', '/')
/* Added to digit values it reaches the high bit for more than 9, and for separators more than 0. */
#define DATE_LIMIT WORD8(0x76, 0x76, 0x76, 0x76, 0x7f, 0x76, 0x76, 0x7f)
#define TIME_COLON WORD8('0', '0', ':', '0', '0', ':', '0', '0')
#define TIME_LIMIT WORD8(0x76, 0x76, 0x7f, 0x76, 0x76, 0x7f, 0x76, 0x76)

/* A point in time as written. */
typedef struct Moment
{
    int64_t days;    /* since 2000-01-01 */
    int64_t micros;  /* of the day */
    int64_t offset;  /* seconds east of Greenwich; 0 without a zone */
} Moment;

static const uint8_t month_days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
static const uint16_t days_before[13] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

/* False when the words and limits above find something else than digits and separators. */
static inline bool
shape_fits(uint64_t x, uint64_t limit)
{
    return (((x + limit) | x) & SWAR_HIGH) == 0;
}

/* Digit values to the numbers of two digits that begin at each byte: at most 99, so none carries. */
static inline uint64_t
pairs_of(uint64_t x)
{
    return x * 10 + (x >> 8);
}

static inline unsigned
pair_at(uint64_t pairs, unsigned at)
{
    return (unsigned) (pairs >> (8 * at)) & 0xff;
}

/* True when both are digits; *value is the number they spell. */
static inline bool
two_digits(const char *s, unsigned *value)
{
    unsigned tens = (unsigned) (uint8_t) s[0] - '0', ones = (unsigned) (uint8_t) s[1] - '0';

    *value = tens * 10 + ones;
    return tens <= 9 && ones <= 9;
}

/* The year comes as its first and last two digits, which makes the rules of leap years shifts. */
static inline bool
day_number(unsigned century, unsigned year, unsigned month, unsigned day, int64_t *days)
{
    bool leap = ((year != 0 ? year : century) & 3) == 0;
    unsigned number;

    if ((century | year) == 0 || month - 1 >= 12 ||
        day - 1 >= month_days[month] + (unsigned) (leap && month == 2))
        return false;
    /* days from 0000-01-01 to the year: year 0 is a leap year, and so is each fourth century's first */
    number = (century * 100 + year) * 365 + century * 24 + (century + 3) / 4 + (year + 3) / 4 -
        (year != 0 && (century & 3) != 0);
    *days = (int64_t) (number + days_before[month] + (leap && month > 2) + day - 1) - EPOCH_DAYS;
    return true;
}

/* Ten bytes: 2024-01-31 or 2024/01/31. */
static inline bool
date_at(const char *s, int64_t *days)
{
    uint64_t w = swar_load8(s), x = w ^ DATE_DASH;
    unsigned day;

    if (!two_digits(s + 8, &day))
        return false;
    if (!shape_fits(x, DATE_LIMIT))
    {
        x = w ^ DATE_SLASH;
        if (!shape_fits(x, DATE_LIMIT))
            return false;
    }
    x = pairs_of(x);
    return day_number(pair_at(x, 0), pair_at(x, 2), pair_at(x, 5), day, days);
}

/* Nothing, Z, +hh, +hhmm or +hh:mm. */
static inline bool
zone_at(const char *s, size_t n, int64_t *offset)
{
    unsigned hours, minutes = 0;

    *offset = 0;
    if (n == 0)
        return true;
    if (*s == ' ')
    {
        s++;
        n--;
    }
    if (n == 1)
        return *s == 'Z' || *s == 'z';
    if ((n != 3 && n != 5 && n != 6) || (*s != '+' && *s != '-') || !two_digits(s + 1, &hours))
        return false;
    if (n == 5 && !two_digits(s + 3, &minutes))
        return false;
    if (n == 6 && (s[3] != ':' || !two_digits(s + 4, &minutes)))
        return false;
    /* 15:59 is the largest displacement PostgreSQL takes */
    if (hours > 15 || minutes > 59)
        return false;
    *offset = (int64_t) (hours * 3600 + minutes * 60);
    if (*s == '-')
        *offset = -*offset;
    return true;
}

/* One to six digits at s, not more than n bytes: their number of microseconds; returns how many, or 0. */
static inline size_t
fraction_at(const char *s, size_t n, int64_t *micros)
{
    uint64_t x, marks;
    size_t digits;

    if (n == 0)
        return 0;
    x = swar_load(s, n) ^ SWAR_ZEROS;
    marks = swar_not_digits(x);
    digits = marks == 0 ? 8 : (size_t) __builtin_ctzll(marks) / 8;
    if (digits > n)
        digits = n;
    if (digits - 1 >= 6)
        return 0;
    x &= ((uint64_t) 1 << (8 * digits)) - 1;
    *micros += (int64_t) (swar_number(x) / 100);
    return digits;
}

/*
 * Seven to fifteen digits, as programs with finer clocks write them, rounded
 * as PostgreSQL does: in doubles, of which each step here gives the same as
 * its strtod, since the digits and the power of ten are exact.  Returns how
 * many, or 0, also when they round up to a whole second.
 */
static __attribute__((noinline)) size_t
long_fraction_at(const char *s, size_t n, int64_t *micros)
{
    double digits = 0, unit = 1;
    size_t count = 0;
    int64_t rounded;

    for (; count < n && is_digit(s[count]); count++)
    {
        if (count == 15)
            return 0;
        digits = digits * 10 + (s[count] - '0');
        unit *= 10;
    }
    if (count == 0)
        return 0;
    rounded = (int64_t) rint(digits / unit * 1000000);
    if (rounded >= MICROS_PER_SECOND)
        return 0;
    *micros += rounded;
    return count;
}

static inline __attribute__((always_inline)) bool
moment_at(const char *s, size_t n, Moment *out)
{
    unsigned hours, minutes, seconds = 0;
    size_t at;

    if (n < 10 || !date_at(s, &out->days))
        return false;
    out->micros = 0;
    out->offset = 0;
    if (n == 10)
        return true;
    if (n < 16 || (s[10] != ' ' && s[10] != 'T'))
        return false;
    if (n >= 19 && s[16] == ':')
    {
        uint64_t x = swar_load8(s + 11) ^ TIME_COLON;

        if (!shape_fits(x, TIME_LIMIT))
            return false;
        x = pairs_of(x);
        hours = pair_at(x, 0);
        minutes = pair_at(x, 3);
        seconds = pair_at(x, 6);
        at = 19;
    }
    else
    {
        if (!two_digits(s + 11, &hours) || s[13] != ':' || !two_digits(s + 14, &minutes))
            return false;
        at = 16;
    }
    if (hours > 23 || minutes > 59 || seconds > 59)
        return false;
    out->micros = (int64_t) (hours * 3600 + minutes * 60 + seconds) * MICROS_PER_SECOND;
    if (at == 19 && n > 19 && s[19] == '.')
    {
        size_t digits = fraction_at(s + 20, n - 20, &out->micros);

        if (digits == 0)
            digits = long_fraction_at(s + 20, n - 20, &out->micros);
        if (digits == 0)
            return false;
        at = 20 + digits;
    }
    return zone_at(s + at, n - at, &out->offset);
}

/* moment_at after white space around the field is taken off. */
static __attribute__((noinline)) bool
moment_trimmed(const char *s, size_t n, Moment *out)
{
    if (n == 0 || n > LONGEST_TIME || (!is_space(s[0]) && !is_space(s[n - 1])))
        return false;
    while (n > 0 && is_space(s[n - 1]))
        n--;
    while (n > 0 && is_space(*s))
    {
        s++;
        n--;
    }
    return moment_at(s, n, out);
}

uint8_t
convert_date(const char *s, size_t n, int64_t *days)
{
    Moment moment;
    uint64_t number;

    if (n == 10 && date_at(s, days))
        return WIRE_VALUE;
    if (n == 8 && swar_digits8(s, 8, &number))
        return day_number((unsigned) number / 1000000, (unsigned) number / 10000 % 100,
                          (unsigned) number / 100 % 100, (unsigned) number % 100, days) ?
            WIRE_VALUE : WIRE_RAW;
    if (!moment_at(s, n, &moment) && !moment_trimmed(s, n, &moment))
        return WIRE_RAW;
    *days = moment.days;
    return WIRE_VALUE;
}

uint8_t
convert_timestamp(const char *s, size_t n, int64_t *micros)
{
    Moment moment;

    if (!moment_at(s, n, &moment) && !moment_trimmed(s, n, &moment))
        return WIRE_RAW;
    *micros = moment.days * MICROS_PER_DAY + moment.micros;
    return WIRE_VALUE;
}

uint8_t
convert_timestamptz(const char *s, size_t n, int64_t *micros)
{
    Moment moment;

    if (!moment_at(s, n, &moment) && !moment_trimmed(s, n, &moment))
        return WIRE_RAW;
    *micros = moment.days * MICROS_PER_DAY + moment.micros - moment.offset * MICROS_PER_SECOND;
    return WIRE_VALUE;
}
