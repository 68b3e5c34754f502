/*
 * fuzz_decompress.c: bytes as a stored object in each compression, read in pieces.
 *
 * A bomb must not matter: output stops at 1 MB here.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit/memory_source.h"
#include "format/decompress.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[4096];
    static const Compression kinds[] = {COMPRESSION_AUTO, COMPRESSION_BZIP2, COMPRESSION_ZSTD, COMPRESSION_LZ4, COMPRESSION_GZIP,
        COMPRESSION_SNAPPY, COMPRESSION_ZIP, COMPRESSION_AUTO};
    static const DecompressLimits limits = {1 << 19, 1};
    size_t total = 0, got = 0;
    Decompress *d = NULL;
    const char *name;
    bool more = true;
    Memory memory;
    Status st;
    bool fine;

    if (size < 1)
        return 0;
    memory = (Memory) {data + 1, size - 1, 0, data[0] % 32 + 1};
    status_clear(&st);
    fine = decompress_open(&d, kinds[data[0] >> 5], &limits, (ByteSource) {memory_read, &memory}, &st);
    while (fine && more && total < (1 << 20))
    {
        if (got == 0)
            fine = decompress_next(d, &name, &more, &st);
        if (!fine || !more)
            break;
        fine = byte_source_read(decompress_source(d), out, sizeof(out), &got, &st);
        total += got;
    }
    if (!fine && strlen(st.sqlstate) != 5)
        abort();
    if (d != NULL && decompress_stored(d) > size)
        abort();
    decompress_close(d);
    return 0;
}
