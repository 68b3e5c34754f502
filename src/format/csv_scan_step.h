/*
 * csv_scan_step.h: the parts that both scanners are made of.
 *
 * For csv_scan.c and csv_scan_general.c only.  The state machine
 * (csv_step_bytes) defines what CSV means.  It is written once and compiled
 * twice: `general` is a constant in each use, so the plain scanner pays for no
 * option it does not have.  Behind it the mask helpers: eight bytes at a time in
 * a word, or AVX2.
 */
#ifndef KAIREON_CSV_SCAN_STEP_H
#define KAIREON_CSV_SCAN_STEP_H

#include <string.h>

#include "format/csv_scan.h"

#if defined(__x86_64__)
#define CSV_HAVE_AVX2 1
#include <immintrin.h>
#define TARGET_AVX2 __attribute__((target("avx2,bmi,popcnt,pclmul")))
#define AVX2_INLINE static inline TARGET_AVX2 __attribute__((always_inline))
#endif

#define BLOCK 64
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* csv_scan_general.c's; the avx2 one is NULL where there is none. */
extern const CsvBlocksFn csv_blocks_general_portable;
extern const CsvBlocksFn csv_blocks_general_avx2;
/* The state machine over data[at, end) for any dialect; bytes up to `limit` may be looked at. */
void csv_scan_bytes_general(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end, uint32_t limit);

/* ---- the state machine ------------------------------------------------- */

static inline void
emit(CsvScan *scan, uint32_t at, bool row_end)
{
    scan->seps[scan->nseps++] = at;
    scan->state = CSV_FIELD_START;
    if (row_end)
    {
        scan->rows[scan->nrows++] = (uint32_t) scan->nseps - 1;
        scan->row_bad = scan->mid_row = false;
    }
}

static inline void
offend(CsvScan *scan, uint32_t at, CsvOffence kind)
{
    scan->state = CSV_UNQUOTED;
    if (scan->row_bad)
        return;
    scan->row_bad = true;
    scan->bad[scan->nbad].row = (uint32_t) scan->nrows;
    scan->bad[scan->nbad].at = at;
    scan->bad[scan->nbad].kind = (uint8_t) kind;
    scan->nbad++;
}

static inline void
inside_quotes(CsvScan *scan, uint8_t c)
{
    const CsvScanDialect *d = &scan->dialect;

    if (scan->state == CSV_ESCAPED && (c == d->quote || c == d->escape))
        scan->state = CSV_QUOTED;
    else if (c == d->quote)
        scan->state = CSV_AFTER_QUOTE;
    else if (c == d->escape)
        scan->state = CSV_ESCAPED;
    else
        scan->state = CSV_QUOTED;
}

/* The next byte begins a row. */
static inline bool
at_row_start(const CsvScan *scan)
{
    return scan->state == CSV_FIELD_START && scan->skip == 0 && !scan->mid_row &&
        scan->nseps - 1 == (scan->nrows == 0 ? 0 : scan->rows[scan->nrows - 1]);
}

static inline bool
bytes_match(const uint8_t *data, uint32_t at, uint32_t limit, const uint8_t *what, uint8_t length)
{
    return limit - at >= length && memcmp(data + at, what, length) == 0;
}

/* An editor would count a line that ends here. */
ALWAYS_INLINE bool
ends_line(const CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t limit, bool general)
{
    if (general && scan->dialect.newline == CSV_NEWLINE_ANY)
        return csv_ends_any_line(data, at, limit);
    return data[at] == (general && scan->dialect.newline == CSV_NEWLINE_CR ? '\r' : '\n');
}

/* A byte that is no separator, outside quotes, or what stands behind a quote. */
static inline void
plain_byte(CsvScan *scan, uint8_t c, uint32_t at)
{
    const CsvScanDialect *d = &scan->dialect;

    if (scan->state == CSV_FIELD_START)
        scan->state = d->quote != 0 && c == d->quote ? CSV_QUOTED : CSV_UNQUOTED;
    else if (scan->state == CSV_UNQUOTED)
    {
        if (d->quote != 0 && c == d->quote && !d->lenient)
            offend(scan, at, CSV_STRAY_QUOTE);
    }
    else if (scan->state == CSV_AFTER_QUOTE && c == d->quote && d->escape == d->quote)
        scan->state = CSV_QUOTED;
    else if (scan->state == CSV_AFTER_QUOTE && c == '\r' && d->newline != CSV_NEWLINE_LF && d->newline != CSV_NEWLINE_CR)
        scan->state = CSV_AFTER_QUOTE_CR;
    else if (scan->state == CSV_AFTER_QUOTE_CR && c == '\r' && d->newline == CSV_NEWLINE_ANY)
        return;     /* CR CR LF */
    else if (d->lenient)
        inside_quotes(scan, c);     /* the quote was text */
    else
        offend(scan, at, CSV_TEXT_AFTER_QUOTE);
}

/* The rules, byte by byte.  Bytes up to `limit` may be looked at. */
ALWAYS_INLINE void
csv_step_bytes(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end, uint32_t limit, bool general)
{
    const CsvScanDialect *d = &scan->dialect;
    uint32_t length = general ? d->delimiter_length : 1;

    for (; at < end; at++)
    {
        uint8_t c = data[at];
        bool line = ends_line(scan, data, at, limit, general), delimiter;
        bool newline = line && (!general || d->newline != CSV_NEWLINE_CRLF || scan->cr);

        if (general && scan->skip > 0)
        {
            scan->skip--;
            continue;
        }
        if (general && d->comment_length > 0 && at_row_start(scan) &&
            bytes_match(data, at, limit, d->comment, d->comment_length))
            scan->state = CSV_COMMENT;
        delimiter = c == d->delimiter[0] && (length == 1 || bytes_match(data, at, limit, d->delimiter, (uint8_t) length));
        if (scan->state == CSV_QUOTED || scan->state == CSV_ESCAPED)
            newline = delimiter = false, inside_quotes(scan, c);
        else if (scan->state == CSV_AFTER_QUOTE_CR && !newline && (!delimiter || d->lenient))
            newline = delimiter = false, plain_byte(scan, c, at);
        else if (newline)
            emit(scan, at, true);
        else if (general && scan->state == CSV_COMMENT)
            delimiter = false;
        else if (delimiter)
        {
            /* A stray CR behind a quote; the delimiter still ends the field. */
            if (scan->state == CSV_AFTER_QUOTE_CR)
                offend(scan, at, CSV_TEXT_AFTER_QUOTE);
            emit(scan, at + length - 1, false);
            if (general)
                scan->skip = (uint8_t) (length - 1);
        }
        else
            plain_byte(scan, c, at);
        if (!newline && line)
            scan->inner[scan->ninner++] = at;
        if (general)
            scan->cr = c == '\r';
    }
}

/* Notes that bytes of [from, to) are zero or not ASCII. */
static inline void
mark_dirty(CsvScan *scan, uint32_t from, uint32_t to)
{
    if (scan->dirty_to == 0)
        scan->dirty_from = from;
    scan->dirty_to = to;
}

/* ---- masks ------------------------------------------------------------- */

/* Bit i of the result: byte i of the word is zero. */
ALWAYS_INLINE uint64_t
zero_bytes(uint64_t word)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t high = ~(((word & low7) + low7) | word | low7);

    return ((high >> 7) * UINT64_C(0x0102040810204080)) >> 56;
}

ALWAYS_INLINE uint64_t
load_word(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

ALWAYS_INLINE uint64_t
equal_bytes_portable(const uint8_t *p, uint8_t c)
{
    uint64_t pattern = c * UINT64_C(0x0101010101010101), mask = 0;
    int i;

    for (i = 0; i < 8; i++)
        mask |= zero_bytes(load_word(p + 8 * i) ^ pattern) << (8 * i);
    return mask;
}

/* Bit i of the result: the parity of bits 0..i. */
ALWAYS_INLINE uint64_t
parity_portable(uint64_t x)
{
    x ^= x << 1;
    x ^= x << 2;
    x ^= x << 4;
    x ^= x << 8;
    x ^= x << 16;
    x ^= x << 32;
    return x;
}

#ifdef CSV_HAVE_AVX2
AVX2_INLINE uint64_t
equal_bytes_avx2(__m256i low, __m256i high, uint8_t c)
{
    __m256i pattern = _mm256_set1_epi8((char) c);
    uint32_t a = (uint32_t) _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, pattern));
    uint32_t b = (uint32_t) _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, pattern));

    return a | (uint64_t) b << 32;
}

AVX2_INLINE uint64_t
parity_avx2(uint64_t x)
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long) x), _mm_set1_epi8(-1), 0);

    return (uint64_t) _mm_cvtsi128_si64(product);
}
#endif

/* Writes the positions of a mask's bits; up to 8 behind the last are overwritten (there is room). */
ALWAYS_INLINE void
write_positions(CsvScan *scan, uint32_t at, uint64_t mask)
{
    uint32_t *out = scan->seps + scan->nseps;
    int count = __builtin_popcountll(mask), i;

    for (i = 0; i < 8; i++)
    {
        /* Without bits left the value is not used; the test-free form is faster. */
        out[i] = at + (uint32_t) __builtin_ctzll(mask | UINT64_C(1) << 63);
        mask &= mask - 1;
    }
    for (; i < count; i++)
    {
        out[i] = at + (uint32_t) __builtin_ctzll(mask);
        mask &= mask - 1;
    }
    scan->nseps += (size_t) count;
}

#endif
