/*
 * fuzz_wire.c: bytes as what the reader sends: a batch and the small messages.
 *
 * It is the part of the server's side that needs no server: what link.c and
 * cells.c do with it then is tested by running them.
 *
 * The first byte says how many columns are expected; after wire_batch_open
 * everything it promised is touched, so a lie is found by the sanitizers.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

static volatile uint64_t seen;

static void
touch(const uint8_t *data, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        seen += data[i];
}

static void
touch_column(const WireBatch *batch, const WireColumnHeader *column)
{
    uint32_t nrows = batch->header->nrows, row;
    const uint64_t *values = (const uint64_t *) (batch->body + column->values_at);

    if (column->states_at != 0)
        touch(batch->body + column->states_at, nrows);
    if (column->type == WIRE_DECIMAL && nrows > 0)
        touch(batch->body + column->scales_at, nrows);
    touch(batch->body + column->arena_at, column->arena_length);
    for (row = 0; row < nrows; row++)
    {
        uint64_t slot = values[row];

        if (wire_text_slot_ok(slot, column->arena_length))
            touch(batch->body + column->arena_at + (uint32_t) slot,
                  wire_text_room((uint32_t) (slot >> 32)) + (slot >> 32));
    }
}

static void
small_messages(const uint8_t *data, size_t size)
{
    WireObject object;
    WireSplit split;
    WireFailure failure;
    WireHeader header;
    WireReader r = {data, size, 0, false};
    WireStr log;

    if (wire_get_object(&r, &object))
        touch((const uint8_t *) object.path.data, object.path.length);
    r = (WireReader) {data, size, 0, false};
    if (wire_get_split(&r, &split))
        touch(split.present, split.ncols);
    r = (WireReader) {data, size, 0, false};
    if (wire_get_failure(&r, &failure))
        touch((const uint8_t *) failure.path.data, failure.path.length);
    r = (WireReader) {data, size, 0, false};
    seen += wire_get_u8(&r);
    log = wire_get_str(&r);
    touch((const uint8_t *) log.data, log.length);
    r = (WireReader) {data, size, 0, false};
    seen += wire_get_u32(&r) + wire_get_u64(&r) + wire_get_u64(&r);
    if (r.at > size || r.bad != (size < 20))
        abort();
    if (size >= sizeof(header))
    {
        memcpy(&header, data, sizeof(header));
        seen += wire_header_check(&header) == NULL;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t types[4] = {WIRE_TEXT, WIRE_DECIMAL, WIRE_INT, WIRE_TEXT};
    uint32_t ncols, i;
    WireReject reject;
    WireBatch batch;
    uint8_t *body;

    small_messages(data, size);
    if (size < 1)
        return 0;
    ncols = data[0] % 5;
    body = malloc(size);
    memcpy(body, data + 1, size - 1);
    if (wire_batch_open(body, size - 1, types, ncols, &batch) == NULL)
    {
        touch((const uint8_t *) batch.lines, batch.header->nrows * sizeof(uint32_t));
        touch((const uint8_t *) batch.offsets, batch.header->nrows * sizeof(uint32_t));
        for (i = 0; i < ncols; i++)
            touch_column(&batch, &batch.columns[i]);
        for (i = 0; i < batch.header->nrejects; i++)
        {
            if (!wire_get_reject(&batch.rejects, &reject))
                abort();
            touch((const uint8_t *) reject.raw.data, reject.raw.length);
        }
    }
    free(body);
    return 0;
}
