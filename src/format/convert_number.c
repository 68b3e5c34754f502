/*
 * convert_number.c: integers, decimals and doubles; see convert.h.
 *
 * Each converter has two ways.  The quick one takes a sign, up to 19 digits
 * (16 with a point) and nothing else, a word at a time.  What it does not
 * take goes to the careful one, which knows the white space, leading zeros
 * and mistakes that PostgreSQL's numutils.c, numeric.c and float.c know, and
 * which need not be fast.
 *
 * Where versions differ the answer is RAW: 16 and later read 0x, 0o, 0b and
 * underscores in integers and numerics, and 15 finds a number too large
 * before it finds the letter behind it, the others not always.  A refusal of
 * syntax is only given for valid UTF-8 without zero bytes, because the server
 * would refuse the rest for its encoding first.
 */
#include "format/convert.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/convert_swar.h"

/* Fields longer than this are no numbers anybody means; they are left to the server. */
#define LONGEST_NUMBER 1000
/* Longest spelling handed to strtod. */
#define LONGEST_FLOAT 63

#define POW10_LAST 18
static const uint64_t pow10_table[POW10_LAST + 1] = {
    1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL, 100000000ULL,
    1000000000ULL, 10000000000ULL, 100000000000ULL, 1000000000000ULL, 10000000000000ULL,
    100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL, 100000000000000000ULL,
    1000000000000000000ULL
};

static const double pow10_double[] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16
};

/* A number as it was written, after the careful scan. */
typedef struct Numeral
{
    const char *whole;    /* digits before the point, leading zeros left out */
    size_t nwhole;
    const char *fraction; /* digits after it */
    size_t nfraction;
    bool negative;
} Numeral;

static uint8_t
bad_syntax(const char *s, size_t n)
{
    return convert_utf8_valid(s, n) ? WIRE_BAD_SYNTAX : WIRE_RAW;
}

static bool
only_space(const char *s, const char *end)
{
    while (s < end && is_space(*s))
        s++;
    return s == end;
}

/* True when `s` begins with the lower-case word, in any case. */
static bool
starts_with(const char *s, const char *end, const char *word)
{
    for (; *word != '\0'; word++, s++)
    {
        if (s >= end || (*s | 0x20) != *word || !((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z')))
            return false;
    }
    return true;
}

/* Newer versions read a leading zero and one of these letters as another base. */
static bool
is_base_letter(char c)
{
    c |= 0x20;
    return c == 'x' || c == 'o' || c == 'b';
}

/* ---- integers ---------------------------------------------------------- */

static uint8_t
int_careful(const char *s, size_t n, int64_t min, int64_t max, int64_t *value)
{
    const char *p = s, *end = s + n, *digits;
    bool negative = false, over = false;
    uint64_t u = 0, limit;

    while (p < end && is_space(*p))
        p++;
    if (p < end && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    limit = negative ? 0 - (uint64_t) min : (uint64_t) max;
    for (digits = p; p < end && is_digit(*p); p++)
    {
        unsigned digit = (unsigned) (*p - '0');

        /* limit is below 2^63 + 1, so the sum cannot wrap while u <= limit / 10 */
        if (over || u > limit / 10 || u * 10 + digit > limit)
            over = true;
        else
            u = u * 10 + digit;
    }
    if (p > digits && only_space(p, end))
    {
        *value = (int64_t) (negative ? 0 - u : u);
        return over ? WIRE_BAD_RANGE : WIRE_VALUE;
    }
    if (over)
        return WIRE_RAW;
    if (p < end && (*p == '_' || (p == digits + 1 && *digits == '0' && is_base_letter(*p))))
        return WIRE_RAW;
    return bad_syntax(s, n);
}

uint8_t
convert_int(const char *s, size_t n, int64_t min, int64_t max, int64_t *value)
{
    const char *p = s;
    size_t left = n;
    bool negative = n > 0 && *s == '-';
    uint64_t u, head, tail;

    p += negative;
    left -= negative;
    /* one of left = 0 and left > 19 is large after the subtraction */
    if (left - 1 >= 19)
        return int_careful(s, n, min, max, value);
    if (left <= 8)
    {
        if (!swar_digits8(p, left, &u))
            return int_careful(s, n, min, max, value);
    }
    else
    {
        size_t ahead = left - 8;

        if (!swar_digits8(p + ahead, 8, &tail))
            return int_careful(s, n, min, max, value);
        u = tail;
        if (ahead > 8)
        {
            if (!swar_digits8(p + ahead - 8, 8, &head))
                return int_careful(s, n, min, max, value);
            u += head * 100000000;
            ahead -= 8;
            if (!swar_digits8(p, ahead, &head))
                return int_careful(s, n, min, max, value);
            u += head * 10000000000000000ULL;
        }
        else
        {
            if (!swar_digits8(p, ahead, &head))
                return int_careful(s, n, min, max, value);
            u += head * 100000000;
        }
    }
    if (u > (negative ? 0 - (uint64_t) min : (uint64_t) max))
        return WIRE_BAD_RANGE;
    *value = (int64_t) (negative ? 0 - u : u);
    return WIRE_VALUE;
}

/* ---- decimals ---------------------------------------------------------- */

/* The bytes of a word below the one at `at` (0..7). */
static inline uint64_t
bytes_below(unsigned at)
{
    return ((uint64_t) 1 << (8 * at)) - 1;
}

/* plain_decimal for 1 to 8 bytes. */
static inline bool
plain_decimal8(const char *s, size_t n, uint64_t *digits, unsigned *scale)
{
    uint64_t word = swar_load(s, n) ^ SWAR_ZEROS, marks;

    /* the bytes behind the field must look like digits */
    if (n < 8)
        word &= bytes_below((unsigned) n);
    marks = swar_not_digits(word);
    *scale = 0;
    if (marks != 0)
    {
        unsigned at = (unsigned) __builtin_ctzll(marks) / 8;

        if ((marks & (marks - 1)) != 0 || s[at] != '.' || n == 1)
            return false;
        word = (word & bytes_below(at)) | ((word >> 8) & ~bytes_below(at));
        n--;
        *scale = (unsigned) n - at;
    }
    *digits = swar_number(word << (64 - 8 * n));
    return true;
}

/* plain_decimal for 9 to 16 bytes: two words, `low` with the first eight. */
static inline bool
plain_decimal16(const char *s, size_t n, uint64_t *digits, unsigned *scale)
{
    uint64_t low = swar_load8(s) ^ SWAR_ZEROS, high = swar_load(s + 8, n - 8) ^ SWAR_ZEROS;
    uint64_t marks_low, marks_high;
    unsigned at, bits;

    if (n < 16)
        high &= bytes_below((unsigned) n - 8);
    marks_low = swar_not_digits(low);
    marks_high = swar_not_digits(high);
    *scale = 0;
    if ((marks_low | marks_high) != 0)
    {
        if (marks_low != 0)
        {
            at = (unsigned) __builtin_ctzll(marks_low) / 8;
            low = (low & bytes_below(at)) | (((low >> 8) | (high << 56)) & ~bytes_below(at));
            high >>= 8;
        }
        else
        {
            at = (unsigned) __builtin_ctzll(marks_high) / 8;
            high = (high & bytes_below(at)) | ((high >> 8) & ~bytes_below(at));
            at += 8;
        }
        /* one mark in all, and it is the point */
        if ((marks_low != 0 && marks_high != 0) || s[at] != '.' ||
            ((marks_low | marks_high) & ((marks_low | marks_high) - 1)) != 0)
            return false;
        n--;
        *scale = (unsigned) n - at;
    }
    /* 8 to 16 digits now: moved up, so that sixteen places end with the last */
    bits = 8 * (16 - (unsigned) n);
    if (bits == 64)
    {
        high = low;
        low = 0;
    }
    else if (bits > 0)
    {
        high = high << bits | low >> (64 - bits);
        low <<= bits;
    }
    *digits = swar_number(low) * 100000000 + swar_number(high);
    return true;
}

/*
 * Digits with at most one point among them, no sign, n at least 1: the digits
 * as one number, and how many follow the point.  False for all else and for
 * more than 16 bytes.
 */
static inline bool
plain_decimal(const char *s, size_t n, uint64_t *digits, unsigned *scale)
{
    if (n <= 8)
        return plain_decimal8(s, n, digits, scale);
    return n <= 16 && plain_decimal16(s, n, digits, scale);
}

/*
 * Takes a number without exponent apart.  WIRE_VALUE when it is one,
 * WIRE_BAD_SYNTAX when numeric_in and float8in surely refuse it, and WIRE_RAW
 * for exponents (see scan_exponent), other bases, underscores, NaN and infinities.
 */
static uint8_t
scan_numeral(const char *s, size_t n, Numeral *out)
{
    const char *p = s, *end = s + n, *digits;
    bool point = false;

    while (p < end && is_space(*p))
        p++;
    out->negative = false;
    if (p < end && (*p == '-' || *p == '+'))
        out->negative = *p++ == '-';
    digits = p;
    if (starts_with(p, end, "nan") || starts_with(p, end, "inf"))
        return WIRE_RAW;
    while (p < end && is_digit(*p))
        p++;
    out->whole = digits;
    out->nwhole = (size_t) (p - digits);
    out->fraction = p;
    out->nfraction = 0;
    if (p < end && *p == '.')
    {
        point = true;
        out->fraction = ++p;
        while (p < end && is_digit(*p))
            p++;
        out->nfraction = (size_t) (p - out->fraction);
    }
    if (out->nwhole + out->nfraction == 0)
        return bad_syntax(s, n);
    if (!only_space(p, end))
    {
        if (*p == '_' || (!point && p == digits + 1 && *digits == '0' && is_base_letter(*p)))
            return WIRE_RAW;
        /* an exponent, unless what follows cannot be one ("12 EUR" and "12EUR" are common) */
        if ((*p | 0x20) == 'e' && p + 1 < end &&
            (is_digit(p[1]) || p[1] == '-' || p[1] == '+' || p[1] == '_' || is_space(p[1])))
            return WIRE_RAW;
        return bad_syntax(s, n);
    }
    while (out->nwhole > 0 && *out->whole == '0')
    {
        out->whole++;
        out->nwhole--;
    }
    return WIRE_VALUE;
}

/*
 * [p, end) without surrounding space: sign, digits with a point, exponent.
 * True when that is all of it; *zero says that every digit is 0.
 */
static bool
number_grammar(const char *p, const char *end, bool *zero)
{
    size_t digits = 0;
    const char *exponent;
    bool point = false;

    *zero = true;
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && (is_digit(*p) || (*p == '.' && !point)); p++)
    {
        if (*p == '.')
        {
            point = true;
            continue;
        }
        digits++;
        if (*p != '0')
            *zero = false;
    }
    if (digits == 0 || p == end)
        return digits > 0;
    if ((*p | 0x20) != 'e')
        return false;
    p++;
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (exponent = p; p < end && is_digit(*p); p++)
        ;
    return p == end && p > exponent;
}

/* Appends digits to *u.  False when it would pass INT64_MAX. */
static bool
append_digits(uint64_t *u, const char *digits, size_t n)
{
    for (size_t i = 0; i < n; i++)
    {
        if (*u > (uint64_t) (INT64_MAX - 9) / 10)
            return false;
        *u = *u * 10 + (uint64_t) (digits[i] - '0');
    }
    return true;
}

/*
 * A number with an exponent: 1.5e3 is 1500 and 1.5e-3 is 0.0015, the exponent
 * taken off the digits after the point.  False when it is none, or too long.
 */
static bool
scan_exponent(const char *s, size_t n, bool *negative, uint64_t *u, unsigned *scale)
{
    const char *p = s, *end = s + n;
    bool zero, below, point = false;
    int after = 0, exponent = 0;

    while (p < end && is_space(*p))
        p++;
    while (end > p && is_space(end[-1]))
        end--;
    if (end - p > LONGEST_FLOAT || !number_grammar(p, end, &zero))
        return false;
    *u = 0;
    *negative = *p == '-';
    p += *p == '-' || *p == '+';
    for (; p < end && (*p | 0x20) != 'e'; p++)
    {
        if (*p == '.')
            point = true;
        else if (!append_digits(u, p, 1))
            return false;
        else
            after += point;
    }
    if (p == end)
        return false;
    p++;
    below = *p == '-';
    p += *p == '-' || *p == '+';
    if (end - p > 3)
        return false;
    for (; p < end; p++)
        exponent = exponent * 10 + (*p - '0');
    after -= below ? -exponent : exponent;
    if (after > POW10_LAST || after < -POW10_LAST)
        return false;
    if (after < 0 && (__builtin_mul_overflow(*u, pow10_table[-after], u) || *u > INT64_MAX))
        return false;
    *scale = after < 0 ? 0 : (unsigned) after;
    return true;
}

static uint8_t
decimal_careful(const char *s, size_t n, int64_t *unscaled, uint8_t *scale)
{
    Numeral number;
    uint64_t u = 0;
    unsigned after;
    uint8_t state = scan_numeral(s, n, &number);

    if (state == WIRE_RAW && scan_exponent(s, n, &number.negative, &u, &after))
    {
        *unscaled = number.negative ? -(int64_t) u : (int64_t) u;
        *scale = (uint8_t) after;
        return WIRE_VALUE;
    }
    if (state != WIRE_VALUE)
        return state;
    if (number.nfraction > POW10_LAST || !append_digits(&u, number.whole, number.nwhole) ||
        !append_digits(&u, number.fraction, number.nfraction))
        return WIRE_RAW;
    *unscaled = number.negative ? -(int64_t) u : (int64_t) u;
    *scale = (uint8_t) number.nfraction;
    return WIRE_VALUE;
}

uint8_t
convert_decimal(const char *s, size_t n, int64_t *unscaled, uint8_t *scale)
{
    bool negative = n > 0 && *s == '-';
    uint64_t u;
    unsigned digits_after;

    if (n - negative - 1 >= 16 || !plain_decimal(s + negative, n - negative, &u, &digits_after))
        return decimal_careful(s, n, unscaled, scale);
    *unscaled = negative ? -(int64_t) u : (int64_t) u;
    *scale = (uint8_t) digits_after;
    return WIRE_VALUE;
}

/* The number u / 10^written as numeric(precision, scale), scale 0 to 18; RAW when that passes 64 bits. */
static inline uint8_t
fit_decimal(uint64_t u, unsigned written, int precision, unsigned scale, uint64_t *fitted)
{
    if (written < scale)
    {
        if (__builtin_mul_overflow(u, pow10_table[scale - written], &u))
            return precision <= POW10_LAST ? WIRE_BAD_PRECISION : WIRE_RAW;
    }
    else if (written > scale)
    {
        uint64_t unit = pow10_table[written - scale];
        uint64_t rest = u % unit;

        u = u / unit + (rest >= unit - rest);
    }
    *fitted = u;
    if (precision <= POW10_LAST)
        return u >= pow10_table[precision] ? WIRE_BAD_PRECISION : WIRE_VALUE;
    /* below 10^19, so it fits any such precision */
    return u > INT64_MAX ? WIRE_RAW : WIRE_VALUE;
}

static uint8_t
decimal_to_careful(const char *s, size_t n, int precision, int scale, int64_t *unscaled)
{
    Numeral number;
    uint64_t u = 0;
    size_t kept;
    unsigned written;
    uint8_t state = scan_numeral(s, n, &number);

    if (state == WIRE_RAW && scale >= 0 && scale <= POW10_LAST && precision >= scale &&
        scan_exponent(s, n, &number.negative, &u, &written))
    {
        state = fit_decimal(u, written, precision, (unsigned) scale, &u);
        *unscaled = number.negative ? -(int64_t) u : (int64_t) u;
        return state;
    }
    if (state != WIRE_VALUE)
        return state;
    if (n > LONGEST_NUMBER || scale < 0 || scale > POW10_LAST || precision < scale)
        return WIRE_RAW;
    if (number.nwhole > (size_t) (precision - scale))
        return WIRE_BAD_PRECISION;
    kept = number.nfraction < (size_t) scale ? number.nfraction : (size_t) scale;
    if (!append_digits(&u, number.whole, number.nwhole) ||
        !append_digits(&u, number.fraction, kept))
        return WIRE_RAW;
    for (size_t i = kept; i < (size_t) scale; i++)
    {
        if (!append_digits(&u, "0", 1))
            return WIRE_RAW;
    }
    if (number.nfraction > kept && number.fraction[kept] >= '5')
        u++;
    if (precision <= POW10_LAST && u >= pow10_table[precision])
        return WIRE_BAD_PRECISION;
    if (u > INT64_MAX)
        return WIRE_RAW;
    *unscaled = number.negative ? -(int64_t) u : (int64_t) u;
    return WIRE_VALUE;
}

uint8_t
convert_decimal_to(const char *s, size_t n, int precision, int scale, int64_t *unscaled)
{
    bool negative = n > 0 && *s == '-';
    uint64_t u;
    unsigned written;
    uint8_t state;

    if (n - negative - 1 >= 16 || (unsigned) scale > POW10_LAST || precision < scale ||
        !plain_decimal(s + negative, n - negative, &u, &written))
        return decimal_to_careful(s, n, precision, scale, unscaled);
    state = fit_decimal(u, written, precision, (unsigned) scale, &u);
    /* by its digits it may be too large for a precision beyond 64 bits as well */
    if (state == WIRE_RAW)
        return decimal_to_careful(s, n, precision, scale, unscaled);
    *unscaled = negative ? -(int64_t) u : (int64_t) u;
    return state;
}

/* ---- doubles ----------------------------------------------------------- */

/* nan, inf and infinity in any case; a sign only before the latter two. */
static bool
float_word(const char *p, const char *end, double *value)
{
    bool sign = p < end && (*p == '-' || *p == '+'), negative = sign && *p == '-';
    size_t n;

    p += sign;
    n = (size_t) (end - p);
    if (n == 3 && !sign && starts_with(p, end, "nan"))
        *value = (double) NAN;
    else if ((n == 3 && starts_with(p, end, "inf")) || (n == 8 && starts_with(p, end, "infinity")))
        *value = negative ? -HUGE_VAL : HUGE_VAL;
    else
        return false;
    return true;
}

/*
 * The double nearest to u / 10^scale, scale 0..18, ties to even: 64 bits of
 * the quotient and whether anything is left are enough to round by.
 */
static double
nearest_quotient(uint64_t u, unsigned scale)
{
    uint64_t d = pow10_table[scale], q, mantissa, bits, rest;
    unsigned __int128 numerator;
    int shift_u, shift_d, exponent;
    double result;

    if (u == 0)
        return 0;
    shift_u = __builtin_clzll(u);
    shift_d = __builtin_clzll(d);
    u <<= shift_u;
    d <<= shift_d;
    exponent = shift_d - shift_u - 1;
    numerator = (unsigned __int128) u << 64;
    if (u >= d)
    {
        numerator >>= 1;
        exponent++;
    }
    /* 2^63 <= q < 2^64, and the value is q * 2^(exponent - 63) */
    q = (uint64_t) (numerator / d);
    rest = q & 0x7ff;
    mantissa = q >> 11;
    if (rest > 0x400 || (rest == 0x400 && ((mantissa & 1) != 0 || (unsigned __int128) q * d != numerator)))
        mantissa++;
    /* the mantissa's leading bit adds one to the exponent, and so does a carry out of it */
    bits = ((uint64_t) (1022 + exponent) << 52) + mantissa;
    memcpy(&result, &bits, 8);
    return result;
}

/* Digits with a point and a minus that fit 64 bits, as a double is usually printed.  False for all else. */
static bool
float_digits(const char *p, const char *end, double *value)
{
    bool negative = p < end && *p == '-';
    const char *point = NULL;
    unsigned scale;
    uint64_t u = 0;
    double d;

    p += negative;
    /* more would not fit; fewer than two may be a point alone */
    if (end - p < 2 || end - p > 20)
        return false;
    for (; p < end; p++)
    {
        unsigned digit = (unsigned) (uint8_t) *p - '0';

        if (digit <= 9 && u <= (uint64_t) (INT64_MAX - 9) / 10)
            u = u * 10 + digit;
        else if (*p == '.' && point == NULL)
            point = p;
        else
            return false;
    }
    scale = point != NULL ? (unsigned) (end - point - 1) : 0;
    if (scale > POW10_LAST)
        return false;
    d = nearest_quotient(u, scale);
    *value = negative ? -d : d;
    return true;
}

/*
 * A double that was rounded once, to the float that rounding once would have
 * given.  False when it may not: right between two floats, the digits decide.
 * For what is 0 or from 1e-18 to 1e19.
 */
static inline bool
narrow(double *value)
{
    uint64_t bits;

    memcpy(&bits, value, 8);
    if ((bits & 0x1fffffff) == 0x10000000)
        return false;
    *value = (double) (float) *value;
    return true;
}

static uint8_t
float_careful(const char *s, size_t n, bool single, double *value)
{
    const char *p = s, *end = s + n;
    char spelling[LONGEST_FLOAT + 1], *stop;
    Numeral number;
    bool zero;
    double d, huge = single ? (double) HUGE_VALF : HUGE_VAL;
    uint8_t state;

    while (p < end && is_space(*p))
        p++;
    while (end > p && is_space(end[-1]))
        end--;
    if (float_word(p, end, value) || (float_digits(p, end, value) && (!single || narrow(value))))
        return WIRE_VALUE;
    if (!number_grammar(p, end, &zero))
    {
        state = scan_numeral(s, n, &number);
        /* a huge number before the letter is refused for its size */
        return state == WIRE_BAD_SYNTAX && n <= (single ? 30 : 300) ? WIRE_BAD_SYNTAX : WIRE_RAW;
    }
    if (end - p > LONGEST_FLOAT)
        return WIRE_RAW;
    /* The server calls the same function of the same library. */
    memcpy(spelling, p, (size_t) (end - p));
    spelling[end - p] = '\0';
    errno = 0;
    d = single ? (double) strtof(spelling, &stop) : strtod(spelling, &stop);
    /* another locale's decimal point would stop it early */
    if (stop != spelling + (end - p))
        return WIRE_RAW;
    if (errno == ERANGE && (d == huge || d == -huge || (d == 0 && !zero)))
        return WIRE_BAD_RANGE;
    *value = d;
    return WIRE_VALUE;
}

/* Digits below 2^53 and a power of ten below 10^22 are both exact, so one division rounds once. */
static inline bool
float_plain(const char *s, size_t n, double *value)
{
    bool negative = n > 0 && *s == '-';
    uint64_t u;
    unsigned scale;
    double d;

    if (n - negative - 1 >= 16 || !plain_decimal(s + negative, n - negative, &u, &scale) || u > (uint64_t) 1 << 53)
        return false;
    d = (double) u;
    if (scale > 0)
        d /= pow10_double[scale];
    *value = negative ? -d : d;
    return true;
}

uint8_t
convert_float8(const char *s, size_t n, double *value)
{
    return float_plain(s, n, value) ? WIRE_VALUE : float_careful(s, n, false, value);
}

uint8_t
convert_float4(const char *s, size_t n, double *value)
{
    return float_plain(s, n, value) && narrow(value) ? WIRE_VALUE : float_careful(s, n, true, value);
}
