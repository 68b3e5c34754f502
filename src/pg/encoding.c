/*
 * encoding.c: the reader's UTF-8 and the database's encoding.  See encoding.h.
 *
 * PostgreSQL's conversion functions (see pg_do_encoding_conversion_buf for their
 * arguments) raise at the first character they can't convert, or, asked not to,
 * stop before it and say how far they came.
 */
#include "postgres.h"

#include "pg/encoding.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"

/* Text of these databases is what the reader sends. */
static bool
takes_utf8(void)
{
    return GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII;
}

static bool
is_ascii(const char *s, size_t length)
{
    for (size_t i = 0; i < length; i++)
    {
        if (IS_HIGHBIT_SET(s[i]))
            return false;
    }
    return true;
}

/* The default conversions from UTF-8 and to it; fn_oid 0 where there is none. */
static FmgrInfo from_utf8, to_utf8;
static bool prepared = false;

static void
look_up(FmgrInfo *function, int from, int to)
{
    Oid found = FindDefaultConversionProc(from, to);

    function->fn_oid = InvalidOid;
    if (OidIsValid(found))
        fmgr_info_cxt(found, function, TopMemoryContext);
}

void
encoding_prepare(void)
{
    if (prepared || takes_utf8())
        return;
    look_up(&from_utf8, PG_UTF8, GetDatabaseEncoding());
    look_up(&to_utf8, GetDatabaseEncoding(), PG_UTF8);
    prepared = true;
}

/* Converts up to the first character with no equivalent; *used is how many bytes that were. */
static char *
convert(FmgrInfo *function, int from, int to, const char *text, size_t length, size_t *used)
{
    char *out = MemoryContextAllocHuge(CurrentMemoryContext, (Size) length * MAX_CONVERSION_GROWTH + 1);

    out[0] = '\0';
    *used = 0;
    if (OidIsValid(function->fn_oid))
        *used = DatumGetInt32(FunctionCall6(function, Int32GetDatum(from), Int32GetDatum(to), CStringGetDatum(text), CStringGetDatum(out),
                                            Int32GetDatum((int32) length), BoolGetDatum(true)));
    return out;
}

static char *
to_server(const char *utf8, size_t length, size_t *used)
{
    encoding_prepare();
    return convert(&from_utf8, PG_UTF8, GetDatabaseEncoding(), utf8, length, used);
}

char *
encoding_text(const char *utf8, size_t length)
{
    size_t used;
    char *text;

    if (takes_utf8() || is_ascii(utf8, length))
        return pnstrdup(utf8, length);
    text = to_server(utf8, length, &used);
    return used == length ? text : NULL;
}

char *
encoding_shown(const char *utf8, size_t length)
{
    StringInfoData out;
    size_t at = 0;

    if (takes_utf8() || is_ascii(utf8, length))
        return pnstrdup(utf8, length);
    initStringInfo(&out);
    while (at < length)
    {
        size_t used;
        char *text = to_server(utf8 + at, length - at, &used);

        appendStringInfoString(&out, text);
        pfree(text);
        at += used;
        if (at < length)
        {
            appendStringInfoChar(&out, '?');
            at += pg_utf_mblen((const unsigned char *) utf8 + at);
        }
    }
    return out.data;
}

const char *
encoding_utf8(const char *text)
{
    size_t length = strlen(text), used;
    char *converted;

    if (is_ascii(text, length))
        return text;
    if (takes_utf8())
        return pg_server_to_any(text, (int) length, PG_UTF8); /* checked where the database did not */
    encoding_prepare();
    converted = convert(&to_utf8, GetDatabaseEncoding(), PG_UTF8, text, length, &used);
    if (used < length)
        ereport(ERROR, (errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
                        errmsg("text has a character of encoding \"%s\" with no equivalent in encoding \"UTF8\"", GetDatabaseEncodingName()),
                        errdetail("The reader takes paths and options in UTF-8."), errhint("Write it without that character.")));
    return converted;
}

char *
encoding_complaint(const char *what)
{
    return psprintf("%s has a character with no equivalent in encoding \"%s\"", what, GetDatabaseEncodingName());
}
