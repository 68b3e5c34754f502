/*
 * convert_swar.h: bytes of a short field as one machine word.
 *
 * Private to the converters (convert_number.c, convert_time.c,
 * convert_text.c).  A field of up to eight bytes is loaded into a uint64 with
 * its first byte lowest, and eight bytes are tested or multiplied at once;
 * that is what makes a cell cost a few nanoseconds.  Loads of fewer than eight
 * bytes are put together from smaller ones that may overlap, so that nothing
 * outside the field is ever read.
 *
 * Digits are kept as values 0..9 in a word (each byte xor '0'), the first
 * digit lowest; a word of fewer than eight digits is shifted up, which puts
 * zeros in front of it.
 */
#ifndef KAIREON_CONVERT_SWAR_H
#define KAIREON_CONVERT_SWAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SWAR_EACH(byte) ((uint64_t) (byte) * 0x0101010101010101ULL)
#define SWAR_ZEROS SWAR_EACH('0')
#define SWAR_HIGH SWAR_EACH(0x80)

/* Space as PostgreSQL's input functions see it: isspace() of the C locale. */
static inline bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly eight bytes. */
static inline uint64_t
swar_load8(const char *s)
{
    uint64_t w;

    memcpy(&w, s, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline uint64_t
swar_load4(const char *s)
{
    uint32_t w;

    memcpy(&w, s, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap32(w);
#endif
    return w;
}

/* One to eight bytes; those behind the field are zero. */
static inline uint64_t
swar_load(const char *s, size_t n)
{
    if (n >= 8)
        return swar_load8(s);
    if (n >= 4)
        return swar_load4(s) | swar_load4(s + n - 4) << (8 * (n - 4));
    return (uint64_t) (uint8_t) s[0] |
        (uint64_t) (uint8_t) s[n >> 1] << (8 * (n >> 1)) |
        (uint64_t) (uint8_t) s[n - 1] << (8 * (n - 1));
}

/* The high bit of each byte of `x` (digit values) that is more than 9. */
static inline uint64_t
swar_not_digits(uint64_t x)
{
    return (((x & ~SWAR_HIGH) + SWAR_EACH(0x76)) | x) & SWAR_HIGH;
}

/* The number that eight digit values spell; the first digit is the lowest byte. */
static inline uint64_t
swar_number(uint64_t x)
{
    const uint64_t pair = 0x000000FF000000FFULL;

    x = x * 10 + (x >> 8);
    return ((x & pair) * 0x000F424000000064ULL + ((x >> 16) & pair) * 0x0000271000000001ULL) >> 32;
}

/* One to eight digits.  False when there is anything else among them. */
static inline bool
swar_digits8(const char *s, size_t n, uint64_t *value)
{
    uint64_t x = (swar_load(s, n) ^ SWAR_ZEROS) << (64 - 8 * n);

    *value = swar_number(x);
    return swar_not_digits(x) == 0;
}

#endif
