/*
 * fuzz_replay.c: bytes as a record that is replayed.
 *
 * The first byte chooses the options.  Whatever the rest is, it becomes one row
 * or one reject, with the record's id; batches must open as at a worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/request.h"
#include "reader/session.h"

static const char *const options[] = {
    "{}",
    "{\"escape\":\"\\\\\"}",
    "{\"quote\":\"\",\"header\":false}",
    "{\"maxFieldBytes\":10,\"maxRowBytes\":30}",
    "{\"delimiter\":\";\",\"columns\":[\"a\",\"b\"],\"nullStrings\":[\"NULL\",\"x\"]}",
    "{\"delimiter\":\"auto\",\"quote\":\"auto\",\"skipLines\":\"auto\"}",
    "{\"delimiter\":\"||\",\"quotes\":\"lenient\",\"comment\":\"#\"}",
    "{\"delimiter\":\"aba\",\"shortRows\":\"pad\",\"longRows\":\"truncateEmpty\",\"header\":false,\"maxRowBytes\":90}",
    "{\"newline\":\"crlf\",\"quotes\":\"lenient\",\"trim\":\"all\",\"headerLines\":2}",
    "{\"newline\":\"cr\",\"skipLines\":1,\"footerLines\":2,\"blankLines\":\"rows\",\"longRows\":\"truncate\"}",
    "{\"trim\":\"unquoted\",\"decimalSeparator\":\",\",\"thousandsSeparator\":\".\",\"delimiter\":\";\"}",
};

static uint32_t outcomes;

static bool
take_split(void *context, const WireSplit *split, const ColumnSpec *columns, Status *st)
{
    (void) context, (void) columns, (void) st;
    if (split->ncols != 3)
        abort();
    return true;
}

static bool
take_batch(void *context, const struct iovec *pieces, int npieces, Status *st)
{
    static const uint8_t types[] = {WIRE_INT, WIRE_DECIMAL, WIRE_TEXT, WIRE_TEXT};
    size_t length = 0;
    uint8_t *body = NULL;
    WireReject reject;
    WireBatch batch;

    (void) context, (void) st;
    for (int i = 0; i < npieces; i++)
    {
        body = realloc(body, length + pieces[i].iov_len);
        memcpy(body + length, pieces[i].iov_base, pieces[i].iov_len);
        length += pieces[i].iov_len;
    }
    /* Behind its header the body is aligned, as at a worker. */
    if (wire_batch_open(body + sizeof(WireHeader), length - sizeof(WireHeader), types, 4, &batch) != NULL)
        abort();
    for (uint32_t i = 0; i < batch.header->nrejects; i++)
        if (!wire_get_reject(&batch.rejects, &reject) || reject.raw.length != 2 || memcmp(reject.raw.data, "17", 2) != 0 || reject.line < 5)
            abort();
    if (batch.header->nrows > 0 && batch.header->first_line < 5)
        abort();
    outcomes += batch.header->nrows + batch.header->nrejects;
    free(body);
    return true;
}

static bool
take_end(void *context, uint32_t split, uint64_t rows, uint64_t bytes, Status *st)
{
    (void) context, (void) split, (void) rows, (void) bytes, (void) st;
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const Sink sink = {NULL, NULL, take_split, take_batch, take_end};
    char *json = malloc(2 * size + 1000), *at = json;
    Request request;
    Status st;

    if (size < 1 || size > 4096)
    {
        free(json);
        return 0;
    }
    at += sprintf(at, "{\"operation\":\"replay\",\"format\":%s,\"columns\":[{\"name\":\"a\",\"type\":\"int4\",\"required\":false},"
                  "{\"name\":\"b\",\"type\":\"numeric\",\"required\":false},{\"name\":\"_line\"}],\"records\":[{\"id\":\"17\",\"path\":\"a\",\"mtime\":0,"
                  "\"line\":5,\"offset\":9,\"layout\":{\"fields\":[\"a\",\"b\"],\"delimiter\":\";\",\"quote\":\"'\",\"escape\":\"'\"},\"raw\":{\"hex\":\"",
                  options[data[0] % (sizeof(options) / sizeof(options[0]))]);
    for (size_t i = 1; i < size; i++)
        at += sprintf(at, "%02x", data[i]);
    at += sprintf(at, "\"}}]}");
    status_clear(&st);
    outcomes = 0;
    if (!request_parse(&request, json, (size_t) (at - json), false, &st) || !session_run(&request, &sink, &st))
    {
        fprintf(stderr, "%s %s\n", st.sqlstate, st.message);
        abort();
    }
    if (outcomes != 1)
        abort();
    request_free(&request);
    free(json);
    return 0;
}
