/*
 * csv_scan_general.c: the scanner for every dialect; see csv_scan.h.
 *
 * Delimiters of several bytes, another escape than the quote, other line ends,
 * comments.  The way is that of csv_scan.c: masks for blocks that keep the
 * rules, the state machine for the rest.  What is new in the masks:
 *
 *   - a delimiter of L bytes is found at its first byte, by L compares of the
 *     block and the bytes behind it; its separator is its last byte.  `skip`
 *     carries a delimiter over the end of a block.  A delimiter that meets
 *     itself ("||" in "|||") needs an order, so such a block is the machine's
 *   - with another escape than the quote a block that has an escape, or two
 *     quotes in a row, is the machine's
 *   - a line that may begin with the comment prefix is the machine's
 */
#include "format/csv_scan_step.h"

typedef struct Masks
{
    uint64_t delimiter;     /* first bytes */
    uint64_t quote, escape, comment;
    uint64_t newline;       /* row ends, if outside quotes */
    uint64_t line;          /* what an editor would count */
    uint64_t cr;
} Masks;

void
csv_scan_bytes_general(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end, uint32_t limit)
{
    csv_step_bytes(scan, data, at, end, limit, true);
}

/* Quotes of the block stand where the rules allow them.  row_ends, sep: outside quotes. */
ALWAYS_INLINE bool
quotes_fit(const CsvScan *scan, const Masks *m, uint64_t in, uint64_t delimiters, uint64_t row_ends)
{
    const CsvScanDialect *d = &scan->dialect;
    bool pairs = d->escape == d->quote;
    uint64_t open = m->quote & in, close = m->quote & ~in, before, behind, allowed;
    uint64_t after = scan->state == CSV_AFTER_QUOTE ? 1 : 0;

    before = delimiters << (d->delimiter_length - 1) << 1 | row_ends << 1 |
        (pairs ? close << 1 | after : 0) |
        (scan->state == CSV_FIELD_START ? UINT64_C(1) << scan->skip : 0);
    behind = (close << 1 | after) & ~(delimiters | row_ends | (pairs ? m->quote : 0));
    allowed = d->newline != CSV_NEWLINE_LF && d->newline != CSV_NEWLINE_CR ? m->cr & row_ends >> 1 : 0;
    return (open & ~before) == 0 && (behind & ~allowed) == 0;
}

ALWAYS_INLINE void
set_state(CsvScan *scan, const Masks *m, uint64_t in, uint64_t delimiters, uint64_t row_ends)
{
    const uint64_t last = UINT64_C(1) << 63;
    uint32_t length = scan->dialect.delimiter_length;
    uint32_t behind = delimiters == 0 ? 0 : 64 - (uint32_t) __builtin_clzll(delimiters) + length - 1;

    scan->skip = behind > 64 ? (uint8_t) (behind - 64) : 0;
    scan->state = behind >= 64 || (row_ends & last) != 0 ? CSV_FIELD_START
        : (m->quote & ~in & last) != 0 ? CSV_AFTER_QUOTE
        : (in & last) != 0 ? CSV_QUOTED : CSV_UNQUOTED;
    scan->cr = (m->cr & last) != 0;
}

/* One block by its masks; false, having done nothing, where they can't tell. */
ALWAYS_INLINE bool
block_step(CsvScan *scan, uint32_t at, const Masks *m, uint64_t in)
{
    const CsvScanDialect *d = &scan->dialect;
    uint64_t row_ends = m->newline & ~in, inner = m->line & ~row_ends, sep, rest;
    uint64_t delimiters = m->delimiter & ~in & ~((UINT64_C(1) << scan->skip) - 1), covered = 0;
    uint32_t shift = d->delimiter_length - 1U, i;
    size_t first_row = scan->nrows;

    for (i = 1; i <= shift; i++)
        covered |= delimiters << i;
    if ((covered & delimiters) != 0)
        return false;
    if (d->escape != d->quote && (m->escape != 0 || scan->state == CSV_ESCAPED))
        return false;
    if (d->comment_length > 0 && ((row_ends << 1 | at_row_start(scan)) & m->comment) != 0)
        return false;
    if ((m->quote != 0 || scan->state == CSV_AFTER_QUOTE) && !quotes_fit(scan, m, in, delimiters, row_ends))
        return false;
    sep = delimiters | row_ends;
    for (rest = row_ends; rest != 0; rest &= rest - 1)
    {
        scan->rows[scan->nrows++] = (uint32_t) scan->nseps +
            (uint32_t) __builtin_popcountll(sep & ((rest & -rest) - 1));
        scan->row_bad = scan->mid_row = false;
    }
    for (; inner != 0; inner &= inner - 1)
        scan->inner[scan->ninner++] = at + (uint32_t) __builtin_ctzll(inner);
    write_positions(scan, at + shift, sep);
    /* Delimiters stand for their last byte, row ends for themselves. */
    if (shift > 0)
        for (; first_row < scan->nrows; first_row++)
            scan->seps[scan->rows[first_row]] -= shift;
    set_state(scan, m, in, delimiters, row_ends);
    return true;
}

ALWAYS_INLINE bool
masks_can_start(const CsvScan *scan)
{
    return scan->state != CSV_AFTER_QUOTE_CR && scan->state != CSV_COMMENT && scan->state != CSV_ESCAPED;
}

/* The loop over blocks, for a way to compare 64 bytes with one and a way to get the running parity. */
#define BLOCKS_LOOP(EQUAL, PARITY, DIRTY) \
    const CsvScanDialect *d = &scan->dialect; \
    for (; at < end; at += BLOCK) \
    { \
        const uint8_t *p = data + at; \
        Masks m = {0}; \
        uint64_t in = scan->state == CSV_QUOTED ? ~UINT64_C(0) : 0, lf; \
        uint32_t i; \
        m.delimiter = EQUAL(p, d->delimiter[0]); \
        for (i = 1; i < d->delimiter_length; i++) \
            m.delimiter &= EQUAL(p + i, d->delimiter[i]); \
        m.cr = EQUAL(p, '\r'); \
        lf = EQUAL(p, '\n'); \
        m.line = d->newline == CSV_NEWLINE_CR ? m.cr : lf; \
        if (d->newline == CSV_NEWLINE_ANY && m.cr != 0) \
            m.line |= m.cr & ~EQUAL(p + 1, '\n') & ~(EQUAL(p + 1, '\r') & EQUAL(p + 2, '\n')); \
        m.newline = d->newline == CSV_NEWLINE_CRLF ? lf & (m.cr << 1 | scan->cr) : m.line; \
        if (d->quote != 0) \
            m.quote = EQUAL(p, d->quote); \
        if (d->escape != d->quote) \
            m.escape = EQUAL(p, d->escape); \
        if (d->comment_length > 0) \
            m.comment = EQUAL(p, d->comment[0]); \
        if (m.quote != 0) \
            in ^= PARITY(m.quote); \
        if (DIRTY(p)) \
            mark_dirty(scan, at, at + BLOCK); \
        if (!masks_can_start(scan) || !block_step(scan, at, &m, in)) \
            csv_scan_bytes_general(scan, data, at, at + BLOCK, at + BLOCK + CSV_LOOKAHEAD); \
    }

ALWAYS_INLINE bool
dirty_portable(const uint8_t *p)
{
    uint64_t high = 0, zeros = 0;
    int i;

    for (i = 0; i < 8; i++)
    {
        uint64_t word = load_word(p + 8 * i);

        high |= word;
        zeros |= zero_bytes(word);
    }
    return (high & UINT64_C(0x8080808080808080)) != 0 || zeros != 0;
}

static void
blocks_portable(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end)
{
    BLOCKS_LOOP(equal_bytes_portable, parity_portable, dirty_portable)
}

const CsvBlocksFn csv_blocks_general_portable = blocks_portable;

#ifdef CSV_HAVE_AVX2
AVX2_INLINE uint64_t
equal_at_avx2(const uint8_t *p, uint8_t c)
{
    return equal_bytes_avx2(_mm256_loadu_si256((const __m256i *) p),
                            _mm256_loadu_si256((const __m256i *) (p + 32)), c);
}

AVX2_INLINE bool
dirty_avx2(const uint8_t *p)
{
    __m256i clean = _mm256_and_si256(
        _mm256_cmpgt_epi8(_mm256_loadu_si256((const __m256i *) p), _mm256_setzero_si256()),
        _mm256_cmpgt_epi8(_mm256_loadu_si256((const __m256i *) (p + 32)), _mm256_setzero_si256()));

    return _mm256_movemask_epi8(clean) != -1;
}

static TARGET_AVX2 void
blocks_avx2(CsvScan *scan, const uint8_t *data, uint32_t at, uint32_t end)
{
    BLOCKS_LOOP(equal_at_avx2, parity_avx2, dirty_avx2)
}

const CsvBlocksFn csv_blocks_general_avx2 = blocks_avx2;
#else
const CsvBlocksFn csv_blocks_general_avx2 = NULL;
#endif
