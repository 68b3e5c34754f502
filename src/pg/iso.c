/*
 * iso.c: dates and times as ISO 8601 writes them.  See iso.h.
 */
#include "postgres.h"

#include "pg/iso.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Goes on behind what has the shape, in which 'd' is a digit; false when it has not. */
static bool
take(const char **text, const char *shape)
{
    const char *s = *text;

    for (; *shape; shape++, s++)
    {
        if (*shape == 'd' ? !isdigit((unsigned char) *s) : *s != *shape)
            return false;
    }
    *text = s;
    return true;
}

/* Behind a time: "Z", "+02", "+0200", "+02:00". */
static bool
take_zone(const char **text)
{
    if (take(text, "Z"))
        return true;
    if (**text != '+' && **text != '-')
        return false;
    (*text)++;
    if (!take(text, "dd"))
        return false;
    if (!take(text, ":dd"))
        (void) take(text, "dd");
    return true;
}

Oid
iso_type(const char *text)
{
    Oid type = DATEOID;

    while (*text == ' ')
        text++;
    if (!take(&text, "dddd-dd-dd"))
        return InvalidOid;
    if (take(&text, "Tdd:dd") || take(&text, " dd:dd"))
    {
        type = TIMESTAMPOID;
        if (take(&text, ":dd") && take(&text, ".d"))
            text += strspn(text, "0123456789");
        if (take_zone(&text))
            type = TIMESTAMPTZOID;
    }
    while (*text == ' ')
        text++;
    return *text == '\0' ? type : InvalidOid;
}

PG_FUNCTION_INFO_V1(kaireon_iso_time);
Datum
kaireon_iso_time(PG_FUNCTION_ARGS)
{
    char *value = text_to_cstring(PG_GETARG_TEXT_PP(0));
    Oid type = iso_type(value);

    if (!OidIsValid(type))
        ereport(ERROR, (errcode(ERRCODE_INVALID_DATETIME_FORMAT), errmsg("\"%s\" is no date or time as ISO 8601 writes them", value),
                        errdetail("It is compared with one."), errhint("For example 2024-01-31 or 2024-01-31T10:30:00Z.")));
    if (type != TIMESTAMPTZOID)
        value = psprintf(type == DATEOID ? "%s 00:00Z" : "%sZ", value);
    return DirectFunctionCall3(timestamptz_in, CStringGetDatum(value), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}
