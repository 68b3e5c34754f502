/*
 * codec.c: the input that all codecs read from; see codec.h.
 */
#include "format/codec.h"

#include <inttypes.h>
#include <string.h>

bool
codec_fill(CodecInput *in, Status *st)
{
    size_t got;

    if (in->at == in->end)
        in->at = in->end = 0;
    if (in->at_end || in->end == CODEC_INPUT_SIZE)
        return true;
    if (!byte_source_read(in->stored, in->data + in->end, CODEC_INPUT_SIZE - in->end, &got, st))
        return false;
    in->at_end = got == 0;
    in->end += got;
    in->read += got;
    return true;
}

bool
codec_need(CodecInput *in, size_t n, Status *st)
{
    if (codec_left(in) >= n)
        return true;
    memmove(in->data, in->data + in->at, codec_left(in));
    in->end -= in->at;
    in->at = 0;
    while (in->end < n && !in->at_end)
        if (!codec_fill(in, st))
            return false;
    return true;
}

bool
codec_skip(CodecInput *in, uint64_t n, bool *whole, Status *st)
{
    for (;;)
    {
        size_t some = codec_left(in) < n ? codec_left(in) : (size_t) n;

        in->at += some;
        n -= some;
        *whole = n == 0;
        if (n == 0 || in->at_end)
            return true;
        if (!codec_fill(in, st))
            return false;
    }
}

bool
codec_next_stream(CodecInput *in, const char *name, uint8_t first, bool any, bool *more, Status *st)
{
    for (;;)
    {
        while (any && codec_left(in) > 0 && *codec_bytes(in) == 0)
            in->at++;
        if (codec_left(in) > 0 || in->at_end)
            break;
        if (!codec_fill(in, st))
            return false;
    }
    *more = codec_left(in) > 0;
    if (!*more || *codec_bytes(in) == first)
        return true;
    return codec_fail(in, name, any ? "is followed by something else" : "is missing", st);
}

bool
codec_fail(const CodecInput *in, const char *name, const char *what, Status *st)
{
    status_fail(st, STATUS_BAD_FORMAT, "%s data %s", name, what);
    st->offset = in->given;
    return status_detail(st, "At byte %" PRIu64 " of the compressed object, after %" PRIu64 " bytes of content.",
                         codec_place(in), in->given);
}

bool
codec_corrupt(const CodecInput *in, const char *name, const char *reason, Status *st)
{
    codec_fail(in, name, "is corrupt", st);
    return reason != NULL && status_hint(st, "The decompressor says: %s.", reason);
}
