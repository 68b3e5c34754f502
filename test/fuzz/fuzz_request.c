/*
 * fuzz_request.c: bytes as a request.
 */
#include <stdlib.h>
#include <string.h>

#include "reader/request.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Request request;
    Status st;

    status_clear(&st);
    if (request_parse(&request, (const char *) data, size, false, &st))
    {
        if (request.driver == NULL || request.ncolumns > WIRE_MAX_COLUMNS)
            abort();
        request_free(&request);
    }
    else if (strlen(st.sqlstate) != 5 || st.message[0] == '\0')
        abort();
    return 0;
}
