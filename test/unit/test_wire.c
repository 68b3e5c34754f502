/*
 * test_wire.c: messages survive the trip, broken ones are refused.
 */
#include "tap.h"

#include <stdlib.h>

#include "wire/wire.h"

static WireStr
str(const char *s)
{
    return (WireStr) {s, (uint32_t) strlen(s)};
}

static bool
same(WireStr a, const char *b)
{
    return a.length == strlen(b) && memcmp(a.data, b, a.length) == 0;
}

static void
check_header(void)
{
    WireHeader h = {.magic = WIRE_MAGIC, .version = WIRE_VERSION, .type = WIRE_END};

    is_str(wire_header_check(&h), NULL, "a good header");
    h.length = 1;
    ok(wire_header_check(&h) != NULL, "END has no body");
    h.type = WIRE_CREDIT;
    h.length = 4;
    is_str(wire_header_check(&h), NULL, "credit");
    h.length = 8;
    ok(wire_header_check(&h) != NULL, "credit of another length");
    h.type = WIRE_BATCH;
    h.length = WIRE_MAX_MESSAGE;
    is_str(wire_header_check(&h), NULL, "the longest batch");
    h.length++;
    ok(wire_header_check(&h) != NULL, "a longer one");
    h.length = 0;
    h.type = 3;
    ok(wire_header_check(&h) != NULL, "unknown type");
    h.type = WIRE_BATCH;
    h.reserved2 = 1;
    ok(wire_header_check(&h) != NULL, "reserved field");
    h.reserved2 = 0;
    h.version++;
    ok(wire_header_check(&h) != NULL, "other version");
    h.version--;
    h.magic ^= 1;
    ok(wire_header_check(&h) != NULL, "wrong magic");
}

static void
check_small(void)
{
    uint8_t memory[400], present[3] = {1, 0, 1};
    WireWriter w = {memory, sizeof(memory), 0, false};
    WireObject object = {str("a/b.csv"), 12, -5, str("")}, object2;
    WireSplit split = {3, str("b"), str("b!c"), 11, 7, 9, str("e"), str("00ff"), str("{}"), str("[\"a\"]"), 3, present}, split2;
    WireFailure failure = {"22P04", str("m"), str("d"), str("h"), str("p"), 4, 5}, failure2;
    WireReject reject = {2, 10, 20, "22P04", str("why"), true, str("raw")}, reject2;
    WireReader r;
    size_t n, refused = 0;

    wire_put_object(&w, &object);
    wire_put_split(&w, &split);
    wire_put_failure(&w, &failure);
    wire_put_reject(&w, &reject);
    ok(!w.overflow, "all fit");
    r = (WireReader) {memory, w.used, 0, false};
    ok(wire_get_object(&r, &object2) && same(object2.path, "a/b.csv") && object2.size == 12 &&
       object2.mtime == -5 && object2.etag.length == 0, "object");
    ok(wire_get_split(&r, &split2) && split2.split == 3 && same(split2.head_hash, "00ff") && same(split2.place, "b!c") && split2.base == 11 &&
       same(split2.dialect, "{}") && same(split2.fields, "[\"a\"]") && split2.ncols == 3 && split2.present[1] == 0, "split");
    ok(wire_get_failure(&r, &failure2) && strcmp(failure2.sqlstate, "22P04") == 0 && same(failure2.hint, "h") &&
       failure2.line == 4 && failure2.offset == 5, "failure");
    ok(wire_get_reject(&r, &reject2) && reject2.before_row == 2 && reject2.cut && same(reject2.raw, "raw"), "reject");
    is_int((int64_t) r.at, (int64_t) r.size, "nothing is left");
    for (n = 0; n < w.used; n++)
    {
        r = (WireReader) {memory, n, 0, false};
        if (!wire_get_object(&r, &object2) || !wire_get_split(&r, &split2) ||
            !wire_get_failure(&r, &failure2) || !wire_get_reject(&r, &reject2))
            refused++;
    }
    is_int((int64_t) refused, (int64_t) w.used, "every shorter message is refused");
    w = (WireWriter) {memory, 5, 0, false};
    wire_put_str(&w, "ab", 2);
    ok(w.overflow && w.used == 0, "a string that does not fit is not begun");
    memcpy(failure.sqlstate, "22p04", 5);
    w = (WireWriter) {memory, sizeof(memory), 0, false};
    wire_put_failure(&w, &failure);
    r = (WireReader) {memory, w.used, 0, false};
    ok(!wire_get_failure(&r, &failure2), "a code of small letters is refused");
}

/* Fields of a record: a text, an empty one, a null, a long one; and what is cut off. */
static void
check_record(void)
{
    uint8_t memory[400];
    WireWriter w = {memory, sizeof(memory), 0, false};
    WireReader r;
    WireStr field;
    size_t i, n, whole = 0;

    wire_put_u8(&w, 2);
    wire_put_u8(&w, 'x');
    wire_put_u8(&w, 'x');
    wire_put_u8(&w, 0);
    wire_put_u8(&w, WIRE_NULL_FIELD);
    wire_put_u8(&w, WIRE_LONG_FIELD);
    wire_put_u32(&w, 300);
    for (n = 0; n < 300; n++)
        wire_put_u8(&w, 'y');
    r = (WireReader) {memory, w.used, 0, false};
    ok(wire_get_field(&r, &field) && same(field, "xx"), "a field");
    ok(wire_get_field(&r, &field) && field.data != NULL && field.length == 0, "an empty one");
    ok(wire_get_field(&r, &field) && field.data == NULL, "a null");
    ok(wire_get_field(&r, &field) && field.length == 300 && field.data[299] == 'y' && r.at == r.size, "a long one");
    ok(!wire_get_field(&r, &field), "and no more");
    for (n = 0; n < w.used; n++)
    {
        r = (WireReader) {memory, n, 0, false};
        for (i = 0; i < 4 && wire_get_field(&r, &field); i++)
            continue;
        whole += i == 4;
    }
    is_int((int64_t) whole, 0, "a record that is cut has not all of its fields");
}

/* A batch of two rows: a decimal column with states, a text column, one reject. */
typedef struct Made
{
    WireBatchHeader header;
    WireColumnHeader columns[2];
    uint32_t lines[2], offsets[2];
    uint8_t states[8];
    uint64_t values[2];
    uint8_t scales[8];
    uint64_t slots[2];
    uint8_t arena[16];
    uint8_t rejects[64];
} Made;

#define AT(field) ((uint32_t) offsetof(Made, field))
static const uint8_t expected[] = {WIRE_DECIMAL, WIRE_TEXT};

static Made
make(void)
{
    Made m = {0};
    WireReject reject = {1, 5, 6, "22P04", {"w", 1}, false, {"r", 1}};
    WireWriter w = {m.rejects, sizeof(m.rejects), 0, false};

    wire_put_reject(&w, &reject);
    m.header = (WireBatchHeader) {.nrows = 2, .ncols = 2, .nrejects = 1, .first_line = 1,
        .columns_at = AT(columns), .lines_at = AT(lines), .offsets_at = AT(offsets),
        .rejects_at = AT(rejects), .rejects_length = (uint32_t) w.used};
    m.columns[0] = (WireColumnHeader) {WIRE_DECIMAL, AT(states), AT(values), AT(scales), 0, 0};
    m.columns[1] = (WireColumnHeader) {WIRE_TEXT, 0, AT(slots), 0, AT(arena), 12};
    m.scales[0] = 2;
    m.slots[0] = (uint64_t) 3 << 32;
    return m;
}

static const char *
opened(Made *m, size_t length)
{
    WireBatch batch;

    return wire_batch_open((uint8_t *) m, length, expected, 2, &batch);
}

#define REFUSES(change, label) \
    do { \
        Made m = make(); \
        const char *why; \
        change; \
        why = opened(&m, sizeof(m)); \
        ok(why != NULL, "%s: %s", label, why == NULL ? "accepted" : why); \
    } while (0)

static void
check_batch(void)
{
    _Alignas(8) static Made made;
    WireBatch batch;
    size_t n, accepted = 0;

    made = make();
    is_str(opened(&made, sizeof(made)), NULL, "a good batch");
    for (n = 0; n < sizeof(made); n++)
    {
        /* An exact copy, so that a read behind the end is found by a sanitizer. */
        uint8_t *copy = malloc(n + 1);

        memcpy(copy, &made, n);
        if (wire_batch_open(copy, n, expected, 2, &batch) == NULL)
            accepted++;
        free(copy);
    }
    is_int((int64_t) accepted, (int64_t) (sizeof(made) - AT(rejects) - made.header.rejects_length),
           "shorter ones are refused until all parts are there");
    ok(wire_batch_open((uint8_t *) &made, sizeof(made), (const uint8_t[]) {WIRE_INT, WIRE_TEXT}, 2, &batch) != NULL,
       "another type than asked for");
    ok(wire_batch_open((uint8_t *) &made, sizeof(made), expected, 1, &batch) != NULL, "another number of columns");
    ok(wire_batch_open((uint8_t *) &made + 4, sizeof(made) - 4, expected, 2, &batch) != NULL, "not aligned");
    REFUSES(m.header.nrows = WIRE_MAX_ROWS + 1, "rows");
    REFUSES(m.header.nrows = 100, "arrays shorter than the rows");
    REFUSES(m.header.columns_at = 8, "columns over the header");
    REFUSES(m.header.columns_at = 0xfffffff8, "columns far away");
    REFUSES(m.header.lines_at = 0, "lines over the header");
    REFUSES(m.header.lines_at += 4, "lines not aligned");
    REFUSES(m.header.offsets_at = sizeof(Made), "offsets behind the end");
    REFUSES(m.header.rejects_length = 0xffffffff, "rejects too long");
    REFUSES(m.header.rejects_length--, "a cut reject");
    REFUSES(m.header.nrejects = 0, "bytes behind the last reject");
    REFUSES(m.header.nrejects = 2, "more rejects than there are");
    REFUSES(m.rejects[0] = 3, "a reject behind the last row");
    REFUSES(m.header.reserved = 1, "reserved field");
    REFUSES(m.columns[0].values_at = AT(columns), "values over the headers");
    REFUSES(m.columns[0].values_at = 0xfffffff8, "values far away");
    REFUSES(m.columns[0].states_at = sizeof(Made), "states behind the end");
    REFUSES(m.states[1] = WIRE_STATE_LAST + 1, "unknown state");
    REFUSES(m.states[1] = 255, "unknown state, high bit");
    REFUSES(m.scales[1] = 19, "scale");
    REFUSES(m.columns[0].scales_at = 0, "no scales");
    REFUSES(m.columns[1].scales_at = AT(scales), "scales of text");
    REFUSES(m.columns[1].arena_length = 0x7fffffff, "arena too long");
    REFUSES(m.columns[1].arena_length = 0, "an empty arena with a place");
}

static void
check_slots(void)
{
    ok(wire_text_slot_ok((uint64_t) 3 << 32, 4), "short slot");
    ok(!wire_text_slot_ok((uint64_t) 4 << 32, 4), "short slot, too long");
    ok(wire_text_slot_ok((uint64_t) 127 << 32 | 4, 135), "long slot");
    ok(!wire_text_slot_ok((uint64_t) 127 << 32 | 5, 200), "long slot, not aligned");
    ok(!wire_text_slot_ok(UINT64_MAX, UINT32_MAX), "no sum wraps");
}

int
main(void)
{
    check_header();
    check_small();
    check_record();
    check_batch();
    check_slots();
    return done();
}
