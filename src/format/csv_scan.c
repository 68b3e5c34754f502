/*
 * csv_scan.c: the plain scanner, and what is the same for both; see csv_scan.h.
 *
 * A block of 64 bytes becomes three masks (delimiters, quotes, line ends), one
 * bit a byte.  The running parity of the quote mask says which bytes lie
 * inside quotes; that is right as long as quotes stand only where the rules
 * allow them, which two shifts check.  A block that fails the check, or begins
 * in a state that the masks can't express, goes through the state machine
 * byte by byte: so the state machine alone defines what CSV means, and the
 * masks only make it fast.
 *
 * block_step is written once and compiled twice: with AVX2 (masks by compare
 * and movemask, parity by a carry-less multiplication) and portably (eight
 * bytes at a time in a word, parity by shifts).
 */
#include "format/csv_scan.h"

#include <stdlib.h>
#include <string.h>

#include "format/csv_scan_step.h"

typedef struct Masks
{
    uint64_t delimiter, quote, newline;
    bool dirty;     /* some byte is zero or not ASCII */
} Masks;

static void
csv_scan_bytes(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end)
{
    csv_step_bytes(scan, data, at, end, end, false);
}

ALWAYS_INLINE Masks
masks_portable(const CsvScan *scan, const uint8_t *p)
{
    uint64_t delimiters = scan->dialect.delimiter[0] * UINT64_C(0x0101010101010101);
    uint64_t quotes = scan->dialect.quote * UINT64_C(0x0101010101010101);
    uint64_t newlines = '\n' * UINT64_C(0x0101010101010101);
    uint64_t high = 0, zeros = 0;
    Masks m = {0, 0, 0, false};
    int i;

    for (i = 0; i < 8; i++)
    {
        uint64_t word = load_word(p + 8 * i);

        m.delimiter |= zero_bytes(word ^ delimiters) << (8 * i);
        m.quote |= zero_bytes(word ^ quotes) << (8 * i);
        m.newline |= zero_bytes(word ^ newlines) << (8 * i);
        high |= word;
        zeros |= zero_bytes(word);
    }
    if (scan->dialect.quote == 0)
        m.quote = 0;
    m.dirty = (high & UINT64_C(0x8080808080808080)) != 0 || zeros != 0;
    return m;
}

#ifdef CSV_HAVE_AVX2
AVX2_INLINE Masks
masks_avx2(const CsvScan *scan, const uint8_t *p)
{
    __m256i low = _mm256_loadu_si256((const __m256i *) p);
    __m256i high = _mm256_loadu_si256((const __m256i *) (p + 32));
    /* Signed bytes above zero are exactly 1..127. */
    __m256i clean = _mm256_and_si256(_mm256_cmpgt_epi8(low, _mm256_setzero_si256()),
                                     _mm256_cmpgt_epi8(high, _mm256_setzero_si256()));
    Masks m;

    m.delimiter = equal_bytes_avx2(low, high, scan->dialect.delimiter[0]);
    m.newline = equal_bytes_avx2(low, high, '\n');
    m.quote = scan->dialect.quote == 0 ? 0 : equal_bytes_avx2(low, high, scan->dialect.quote);
    m.dirty = _mm256_movemask_epi8(clean) != -1;
    return m;
}

#endif

/* ---- one block --------------------------------------------------------- */

/*
 * True when every closing quote that is followed by neither a separator nor a
 * quote is followed by CR LF: `suspects` are those following bytes.
 */
ALWAYS_INLINE bool
only_crlf(const uint8_t *p, uint64_t suspects, uint64_t newline)
{
    uint64_t cr = equal_bytes_portable(p, '\r');

    /* The last bit: whether a LF follows is in the next block. */
    return (suspects & ~(cr & (newline >> 1))) == 0;
}

/*
 * One block by its masks, or by the state machine where the masks can't tell.
 * in: all ones when the block begins inside quotes, else 0.  Returns false,
 * having done nothing, in the second case.
 */
ALWAYS_INLINE bool
block_step(CsvScan *scan, const uint8_t *p, uint32_t at, Masks m, uint64_t in)
{
    uint64_t sep = (m.delimiter | m.newline) & ~in;
    uint64_t row_ends = m.newline & ~in, inner = m.newline & in;
    uint64_t close = m.quote & ~in, last = UINT64_C(1) << 63;

    if (m.quote != 0 || scan->state == CSV_AFTER_QUOTE)
    {
        uint64_t open = m.quote & in;
        uint64_t before = (sep | close) << 1 |
            (scan->state == CSV_FIELD_START || scan->state == CSV_AFTER_QUOTE ? 1 : 0);
        uint64_t behind = (close << 1 | (scan->state == CSV_AFTER_QUOTE ? 1 : 0)) & ~(sep | m.quote);

        if ((open & ~before) != 0)
            return false;
        if (behind != 0 && !only_crlf(p, behind, m.newline & ~in))
            return false;
    }
    while (row_ends != 0)
    {
        uint64_t bit = row_ends & -row_ends;

        scan->rows[scan->nrows++] = (uint32_t) scan->nseps + (uint32_t) __builtin_popcountll(sep & (bit - 1));
        scan->row_bad = false;
        row_ends ^= bit;
    }
    for (; inner != 0; inner &= inner - 1)
        scan->inner[scan->ninner++] = at + (uint32_t) __builtin_ctzll(inner);
    write_positions(scan, at, sep);
    scan->state = (sep & last) != 0 ? CSV_FIELD_START
        : (close & last) != 0 ? CSV_AFTER_QUOTE
        : (in & last) != 0 ? CSV_QUOTED : CSV_UNQUOTED;
    return true;
}

/*
 * Lenient: takes quotes that are text out of the block's mask, the first one
 * first, since every other depends on it.  `in` as in block_step; it becomes
 * what the rest of the quotes say.  False when only the next block can tell.
 */
static bool
drop_text_quotes(const CsvScan *scan, const uint8_t *p, Masks *m, uint64_t *in)
{
    uint64_t after = scan->state == CSV_AFTER_QUOTE ? 1 : 0, cr = equal_bytes_portable(p, '\r');
    uint64_t start = scan->state == CSV_QUOTED ? ~UINT64_C(0) : 0;

    for (;;)
    {
        uint64_t inside = start ^ parity_portable(m->quote), open = m->quote & inside, close = m->quote & ~inside;
        uint64_t sep = (m->delimiter | m->newline) & ~inside, wrong;
        uint64_t before = (sep | close) << 1 | (scan->state == CSV_FIELD_START ? 1 : after);
        uint64_t behind = (close << 1 | after) & ~(sep | m->quote) & ~(cr & (m->newline & ~inside) >> 1);

        *in = inside;
        if ((behind & 1) != 0 || (behind & cr & UINT64_C(1) << 63) != 0)
            return false;
        wrong = (open & ~before) | behind >> 1;
        if (wrong == 0)
            return true;
        m->quote &= ~(wrong & -wrong);
    }
}

static void
blocks_portable(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end)
{
    for (; at < end; at += BLOCK)
    {
        Masks m = masks_portable(scan, data + at);
        uint64_t in = scan->state == CSV_QUOTED ? ~UINT64_C(0) : 0;

        if (m.quote != 0)
            in ^= parity_portable(m.quote);
        if (m.dirty)
            mark_dirty(scan, at, at + BLOCK);
        if (scan->state != CSV_AFTER_QUOTE_CR &&
            (block_step(scan, data + at, at, m, in) ||
             (scan->dialect.lenient && drop_text_quotes(scan, data + at, &m, &in) &&
              block_step(scan, data + at, at, m, in))))
            continue;
        csv_scan_bytes(scan, data, at, at + BLOCK);
    }
}

#ifdef CSV_HAVE_AVX2
static TARGET_AVX2 void
blocks_avx2(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end)
{
    for (; at < end; at += BLOCK)
    {
        Masks m = masks_avx2(scan, data + at);
        uint64_t in = scan->state == CSV_QUOTED ? ~UINT64_C(0) : 0;

        if (m.quote != 0)
            in ^= parity_avx2(m.quote);
        if (m.dirty)
            mark_dirty(scan, at, at + BLOCK);
        if (scan->state != CSV_AFTER_QUOTE_CR &&
            (block_step(scan, data + at, at, m, in) ||
             (scan->dialect.lenient && drop_text_quotes(scan, data + at, &m, &in) &&
              block_step(scan, data + at, at, m, in))))
            continue;
        csv_scan_bytes(scan, data, at, at + BLOCK);
    }
}
#endif

/* ---- the outside ------------------------------------------------------- */

static bool
any_dirty(const uint8_t *data, uint32_t n)
{
    uint32_t i;

    for (i = 0; i < n; i++)
        if (data[i] == 0 || data[i] >= 0x80)
            return true;
    return false;
}

/* No masks. */
static void
blocks_bytes(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end)
{
    if (any_dirty(data + at, end - at))
        mark_dirty(scan, at, end);
    if (scan->general)
        csv_scan_bytes_general(scan, data, at, end, end + CSV_LOOKAHEAD);
    else
        csv_scan_bytes(scan, data, at, end);
}

bool
csv_scan_has_avx2(void)
{
#ifdef CSV_HAVE_AVX2
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul");
#else
    return false;
#endif
}

void
csv_scan_init(CsvScan *scan, const CsvScanDialect *dialect, CsvScanPath path)
{
    bool avx2 = (path == CSV_SCAN_AUTO || path == CSV_SCAN_AVX2) && csv_scan_has_avx2();

    memset(scan, 0, sizeof(*scan));
    scan->dialect = *dialect;
    if (dialect->quote == 0)
        scan->dialect.escape = 0;
    scan->state = CSV_FIELD_START;
    scan->general = dialect->delimiter_length > 1 || scan->dialect.escape != dialect->quote ||
        dialect->newline != CSV_NEWLINE_AUTO || dialect->comment_length > 0;
    if (path == CSV_SCAN_BYTES)
        scan->blocks = blocks_bytes;
    else if (scan->general)
        scan->blocks = avx2 ? csv_blocks_general_avx2 : csv_blocks_general_portable;
#ifdef CSV_HAVE_AVX2
    else if (avx2)
        scan->blocks = blocks_avx2;
#endif
    else
        scan->blocks = blocks_portable;
}

void
csv_scan_free(CsvScan *scan)
{
    free(scan->seps);
    free(scan->rows);
    free(scan->inner);
    free(scan->bad);
    memset(scan, 0, sizeof(*scan));
}

static bool
grow(void **array, size_t *size, size_t want, size_t element, Status *st)
{
    void *grown;

    if (*size >= want)
        return true;
    want += want / 2;
    grown = realloc(*array, want * element);
    if (grown == NULL)
        return status_out_of_memory(st, want * element);
    *array = grown;
    *size = want;
    return true;
}

bool
csv_scan_reserve(CsvScan *scan, size_t n, Status *st)
{
    /* One more for the end at the end of the file, BLOCK for write_positions. */
    n += BLOCK + 1;
    if (!grow((void **) &scan->seps, &scan->seps_size, scan->nseps + n + 1, sizeof(uint32_t), st) ||
        !grow((void **) &scan->rows, &scan->rows_size, scan->nrows + n, sizeof(uint32_t), st) ||
        !grow((void **) &scan->inner, &scan->inner_size, scan->ninner + n, sizeof(uint32_t), st) ||
        !grow((void **) &scan->bad, &scan->bad_size, scan->nbad + n, sizeof(CsvBad), st))
        return false;
    if (scan->nseps == 0)
        scan->seps[scan->nseps++] = UINT32_MAX;     /* the row before the first ends at -1 */
    return true;
}

uint32_t
csv_scan(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end, bool last)
{
    /* Blocks are looked at beyond their end; only real bytes may decide. */
    uint32_t ahead = scan->general ? CSV_LOOKAHEAD : 0;
    uint32_t whole = end - at < ahead ? at : at + (end - at - ahead) / BLOCK * BLOCK;

    scan->blocks(scan, data, at, whole);
    if (!last || whole == end)
        return whole;
    if (any_dirty(data + whole, end - whole))
        mark_dirty(scan, whole, end);
    if (scan->general)
        csv_scan_bytes_general(scan, data, whole, end, end);
    else
        csv_scan_bytes(scan, data, whole, end);
    return end;
}

void
csv_scan_forget(CsvScan *scan, size_t row, uint32_t shift)
{
    size_t sep = row == 0 ? 0 : scan->rows[row - 1];
    uint32_t start = scan->nseps == 0 ? 0 : scan->seps[sep] + 1;
    size_t i, n;

    for (i = sep; i < scan->nseps; i++)
        scan->seps[i - sep] = scan->seps[i] - shift;
    scan->nseps -= sep;
    for (i = row; i < scan->nrows; i++)
        scan->rows[i - row] = scan->rows[i] - (uint32_t) sep;
    scan->nrows -= row;
    for (i = 0, n = 0; i < scan->ninner; i++)
        if (scan->inner[i] >= start)
            scan->inner[n++] = scan->inner[i] - shift;
    scan->ninner = n;
    for (i = 0, n = 0; i < scan->nbad; i++)
        if (scan->bad[i].row >= row)
        {
            scan->bad[n] = scan->bad[i];
            scan->bad[n].row -= (uint32_t) row;
            scan->bad[n++].at -= shift;
        }
    scan->nbad = n;
    if (scan->dirty_to <= start)
        scan->dirty_from = scan->dirty_to = 0;
    else
    {
        scan->dirty_from = scan->dirty_from < shift ? 0 : scan->dirty_from - shift;
        scan->dirty_to -= shift;
    }
}
