/*
 * fuzz_decompress.c: bytes as a stored object, plain or gzip, read in pieces.
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
    size_t total = 0, got = 1;
    Decompress *d = NULL;
    Memory memory;
    Status st;
    bool fine;

    if (size < 1)
        return 0;
    memory = (Memory) {data + 1, size - 1, 0, data[0] % 64 + 1};
    status_clear(&st);
    fine = decompress_open(&d, data[0] & 0x80 ? COMPRESSION_GZIP : data[0] & 0x40 ? COMPRESSION_ZSTD : COMPRESSION_AUTO,
                           (ByteSource) {memory_read, &memory}, &st);
    while (fine && got > 0 && total < (1 << 20))
    {
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
