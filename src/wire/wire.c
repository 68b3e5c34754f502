/*
 * wire.c: checks and small messages of the protocol; see wire.h.
 *
 * Compiled into both the server's module and kaireon-reader.  It therefore
 * neither allocates nor prints, and uses nothing but memcpy: whoever calls it
 * owns the memory and words the error.  Whatever is read here came from
 * another process and is taken as hostile: every length is compared with what
 * is left before it is used, in 64 bits, so that no sum can wrap.
 */
#include "wire/wire.h"

#include <string.h>

_Static_assert(sizeof(WireHeader) == 16, "a batch's body follows its header at a multiple of 8");
_Static_assert(sizeof(WireBatchHeader) % 8 == 0, "arrays follow the batch header at multiples of 8");

const char *
wire_header_check(const WireHeader *header)
{
    if (header->magic != WIRE_MAGIC)
        return "wrong magic number";
    if (header->version != WIRE_VERSION)
        return "wrong protocol version";
    if (header->reserved != 0 || header->reserved2 != 0)
        return "reserved field is not zero";
    switch (header->type)
    {
        case WIRE_REQUEST:
            return header->length <= WIRE_MAX_REQUEST ? NULL : "request is too long";
        case WIRE_CREDIT:
            return header->length == sizeof(uint32_t) ? NULL : "wrong length of a credit message";
        case WIRE_END:
            return header->length == 0 ? NULL : "wrong length of an end message";
        case WIRE_SPLIT_END:
            return header->length == 20 ? NULL : "wrong length of a split end message";
        case WIRE_LOG:
        case WIRE_OBJECT:
        case WIRE_SPLIT:
        case WIRE_BATCH:
        case WIRE_ERROR:
        case WIRE_ANSWER:
            return header->length <= WIRE_MAX_MESSAGE ? NULL : "message is too long";
        default:
            return "unknown message type";
    }
}

/* ---- primitive fields -------------------------------------------------- */

static void
put_bytes(WireWriter *w, const void *data, size_t n)
{
    if (w->overflow || n > w->size - w->used)
    {
        w->overflow = true;
        return;
    }
    if (n > 0)
        memcpy(w->data + w->used, data, n);
    w->used += n;
}

static bool
get_bytes(WireReader *r, void *out, size_t n)
{
    if (r->bad || n > r->size - r->at)
    {
        r->bad = true;
        memset(out, 0, n);
        return false;
    }
    memcpy(out, r->data + r->at, n);
    r->at += n;
    return true;
}

void
wire_put_u8(WireWriter *w, uint8_t v)
{
    put_bytes(w, &v, sizeof(v));
}

void
wire_put_u32(WireWriter *w, uint32_t v)
{
    put_bytes(w, &v, sizeof(v));
}

void
wire_put_u64(WireWriter *w, uint64_t v)
{
    put_bytes(w, &v, sizeof(v));
}

void
wire_put_str(WireWriter *w, const char *data, size_t length)
{
    /* All or nothing: a length without its text would be a lie. */
    if (w->overflow || length > UINT32_MAX || w->size - w->used < sizeof(uint32_t) ||
        length > w->size - w->used - sizeof(uint32_t))
    {
        w->overflow = true;
        return;
    }
    wire_put_u32(w, (uint32_t) length);
    put_bytes(w, data, length);
}

uint8_t
wire_get_u8(WireReader *r)
{
    uint8_t v;

    get_bytes(r, &v, sizeof(v));
    return v;
}

uint32_t
wire_get_u32(WireReader *r)
{
    uint32_t v;

    get_bytes(r, &v, sizeof(v));
    return v;
}

uint64_t
wire_get_u64(WireReader *r)
{
    uint64_t v;

    get_bytes(r, &v, sizeof(v));
    return v;
}

WireStr
wire_get_str(WireReader *r)
{
    WireStr s = {"", 0};
    uint32_t length = wire_get_u32(r);

    if (r->bad || length > r->size - r->at)
    {
        r->bad = true;
        return s;
    }
    if (length > 0)
        s.data = (const char *) r->data + r->at;
    s.length = length;
    r->at += length;
    return s;
}

/* ---- small messages ---------------------------------------------------- */

void
wire_put_object(WireWriter *w, const WireObject *v)
{
    wire_put_str(w, v->path.data, v->path.length);
    wire_put_u64(w, v->size);
    wire_put_u64(w, (uint64_t) v->mtime);
    wire_put_str(w, v->etag.data, v->etag.length);
}

bool
wire_get_object(WireReader *r, WireObject *out)
{
    out->path = wire_get_str(r);
    out->size = wire_get_u64(r);
    out->mtime = (int64_t) wire_get_u64(r);
    out->etag = wire_get_str(r);
    return !r->bad;
}

void
wire_put_split(WireWriter *w, const WireSplit *v)
{
    wire_put_u32(w, v->split);
    wire_put_str(w, v->path.data, v->path.length);
    wire_put_str(w, v->place.data, v->place.length);
    wire_put_u64(w, v->base);
    wire_put_u64(w, v->size);
    wire_put_u64(w, (uint64_t) v->mtime);
    wire_put_str(w, v->etag.data, v->etag.length);
    wire_put_str(w, v->head_hash.data, v->head_hash.length);
    wire_put_str(w, v->dialect.data, v->dialect.length);
    wire_put_str(w, v->fields.data, v->fields.length);
    wire_put_str(w, (const char *) v->present, v->ncols);
}

bool
wire_get_split(WireReader *r, WireSplit *out)
{
    WireStr present;
    uint32_t i;

    out->split = wire_get_u32(r);
    out->path = wire_get_str(r);
    out->place = wire_get_str(r);
    out->base = wire_get_u64(r);
    out->size = wire_get_u64(r);
    out->mtime = (int64_t) wire_get_u64(r);
    out->etag = wire_get_str(r);
    out->head_hash = wire_get_str(r);
    out->dialect = wire_get_str(r);
    out->fields = wire_get_str(r);
    present = wire_get_str(r);
    out->ncols = present.length;
    out->present = (const uint8_t *) present.data;
    if (present.length > WIRE_MAX_FIELDS)
        r->bad = true;
    for (i = 0; !r->bad && i < present.length; i++)
        if (out->present[i] > 1)
            r->bad = true;
    return !r->bad;
}

void
wire_put_answer(WireWriter *w, const WireAnswer *v)
{
    wire_put_u32(w, v->status);
    wire_put_u32(w, v->wait);
    wire_put_str(w, v->said.data, v->said.length);
}

bool
wire_get_answer(WireReader *r, WireAnswer *out)
{
    out->status = wire_get_u32(r);
    out->wait = wire_get_u32(r);
    out->said = wire_get_str(r);
    return !r->bad;
}

static void
put_sqlstate(WireWriter *w, const char *sqlstate)
{
    put_bytes(w, sqlstate, 5);
}

/* Five digits or capital letters, as the server's own codes are; else the message is bad. */
static void
get_sqlstate(WireReader *r, char *out)
{
    int i;

    get_bytes(r, out, 5);
    out[5] = '\0';
    for (i = 0; !r->bad && i < 5; i++)
        if (!((out[i] >= '0' && out[i] <= '9') || (out[i] >= 'A' && out[i] <= 'Z')))
            r->bad = true;
}

void
wire_put_failure(WireWriter *w, const WireFailure *v)
{
    put_sqlstate(w, v->sqlstate);
    wire_put_str(w, v->message.data, v->message.length);
    wire_put_str(w, v->detail.data, v->detail.length);
    wire_put_str(w, v->hint.data, v->hint.length);
    wire_put_str(w, v->path.data, v->path.length);
    wire_put_u64(w, v->line);
    wire_put_u64(w, v->offset);
}

bool
wire_get_failure(WireReader *r, WireFailure *out)
{
    get_sqlstate(r, out->sqlstate);
    out->message = wire_get_str(r);
    out->detail = wire_get_str(r);
    out->hint = wire_get_str(r);
    out->path = wire_get_str(r);
    out->line = wire_get_u64(r);
    out->offset = wire_get_u64(r);
    return !r->bad;
}

void
wire_put_reject(WireWriter *w, const WireReject *v)
{
    wire_put_u32(w, v->before_row);
    wire_put_u64(w, v->line);
    wire_put_u64(w, v->offset);
    put_sqlstate(w, v->sqlstate);
    wire_put_str(w, v->message.data, v->message.length);
    wire_put_u8(w, v->cut);
    wire_put_str(w, v->raw.data, v->raw.length);
}

bool
wire_get_reject(WireReader *r, WireReject *out)
{
    out->before_row = wire_get_u32(r);
    out->line = wire_get_u64(r);
    out->offset = wire_get_u64(r);
    get_sqlstate(r, out->sqlstate);
    out->message = wire_get_str(r);
    out->cut = wire_get_u8(r) != 0;
    out->raw = wire_get_str(r);
    return !r->bad;
}

bool
wire_get_field(WireReader *r, WireStr *out)
{
    uint32_t length = wire_get_u8(r);

    *out = (WireStr) {NULL, 0};
    if (length == WIRE_LONG_FIELD)
        length = wire_get_u32(r);
    else if (length == WIRE_NULL_FIELD)
        return !r->bad;
    if (r->bad || length > r->size - r->at)
    {
        r->bad = true;
        return false;
    }
    *out = (WireStr) {(const char *) r->data + r->at, length};
    r->at += length;
    return true;
}

/* ---- the batch --------------------------------------------------------- */

/*
 * An array of n elements at `at` lies behind everything before it (*end), inside
 * the body, and is aligned.  *end moves behind it: no two arrays share a byte,
 * so that a receiver may write length words into one without changing another.
 */
static bool
array_ok(size_t length, uint64_t *end, uint32_t at, uint64_t n, uint64_t element)
{
    if (n == 0)
        return true;
    if (at % 8 != 0 || at < *end || at > length || n * element > length - at)
        return false;
    *end = at + n * element;
    return true;
}

/* True when no byte is above `last`.  Eight at a time: this runs over every state of every batch. */
static bool
bytes_at_most(const uint8_t *bytes, uint32_t n, uint8_t last)
{
    uint64_t high = 0;
    uint32_t i = 0;

    /*
     * Adding 127 - last to a byte below 128 sets its high bit exactly when the
     * byte is above last; a byte of 128 or more has the bit already (and may
     * carry into its neighbour, which changes nothing: the answer is no).
     */
    for (; n - i >= 8; i += 8)
    {
        uint64_t word;

        memcpy(&word, bytes + i, 8);
        high |= (word + UINT64_C(0x0101010101010101) * (uint64_t) (127 - last)) | word;
    }
    for (; i < n; i++)
        high |= bytes[i] > last ? 0x80 : 0;
    return (high & UINT64_C(0x8080808080808080)) == 0;
}

static const char *
column_check(const uint8_t *body, size_t length, uint64_t *end,
             const WireColumnHeader *column, uint32_t nrows)
{
    if (column->states_at != 0)
    {
        if (!array_ok(length, end, column->states_at, nrows, 1))
            return "states lie outside the batch or out of order";
        if (nrows > 0 && !bytes_at_most(body + column->states_at, nrows, WIRE_STATE_LAST))
            return "unknown cell state";
    }
    if (!array_ok(length, end, column->values_at, nrows, 8))
        return "values lie outside the batch or out of order";
    if (column->type != WIRE_DECIMAL)
    {
        if (column->scales_at != 0)
            return "scales in a column that is not decimal";
    }
    else if (nrows > 0)
    {
        if (!array_ok(length, end, column->scales_at, nrows, 1))
            return "scales lie outside the batch or out of order";
        if (!bytes_at_most(body + column->scales_at, nrows, 18))
            return "scale is out of range";
    }
    if (column->arena_length == 0)
        return column->arena_at == 0 ? NULL : "an empty arena has a place";
    if (!array_ok(length, end, column->arena_at, column->arena_length, 1))
        return "arena lies outside the batch or out of order";
    return NULL;
}

static const char *
rejects_check(WireReader rejects, uint32_t nrejects, uint32_t nrows)
{
    uint32_t i, before = 0;

    for (i = 0; i < nrejects; i++)
    {
        WireReject reject;

        if (!wire_get_reject(&rejects, &reject))
            return "broken reject record";
        if (reject.before_row < before || reject.before_row > nrows)
            return "reject out of order";
        before = reject.before_row;
    }
    return rejects.at == rejects.size ? NULL : "bytes behind the last reject";
}

const char *
wire_batch_open(uint8_t *body, size_t length, const uint8_t *expected,
                uint32_t ncols, WireBatch *out)
{
    const WireBatchHeader *h = (const WireBatchHeader *) body;
    const char *wrong;
    uint64_t end = sizeof(WireBatchHeader);
    uint32_t i;

    if ((uintptr_t) body % 8 != 0)
        return "batch is not aligned";
    if (length < sizeof(WireBatchHeader))
        return "batch is shorter than its header";
    if (h->nrows > WIRE_MAX_ROWS)
        return "too many rows";
    if (h->ncols != ncols || ncols > WIRE_MAX_COLUMNS)
        return "wrong number of columns";
    if (h->reserved != 0)
        return "reserved field is not zero";
    if (!array_ok(length, &end, h->columns_at, ncols, sizeof(WireColumnHeader)))
        return "column headers lie outside the batch";
    if (!array_ok(length, &end, h->lines_at, h->nrows, 4))
        return "lines lie outside the batch or out of order";
    if (!array_ok(length, &end, h->offsets_at, h->nrows, 4))
        return "offsets lie outside the batch or out of order";

    out->header = h;
    out->columns = (const WireColumnHeader *) (body + h->columns_at);
    out->lines = (const uint32_t *) (body + h->lines_at);
    out->offsets = (const uint32_t *) (body + h->offsets_at);
    out->rejects.size = h->rejects_length;
    out->rejects.at = 0;
    out->rejects.bad = false;
    out->body = body;
    out->length = length;

    for (i = 0; i < ncols; i++)
    {
        if (out->columns[i].type != expected[i])
            return "column has another type than asked for";
        wrong = column_check(body, length, &end, &out->columns[i], h->nrows);
        if (wrong != NULL)
            return wrong;
    }
    if (!array_ok(length, &end, h->rejects_at, h->rejects_length, 1))
        return "rejects lie outside the batch or out of order";
    out->rejects.data = body + (h->rejects_length > 0 ? h->rejects_at : 0);
    return rejects_check(out->rejects, h->nrejects, h->nrows);
}
