/*
 * transform.c: the SQL functions behind some nodes.  See transform.h.
 *
 * map_value and split_field stand for what would be a CASE of many arms or a nest of split_part
 * calls: the value is an expression that the planner would repeat in each.
 */
#include "postgres.h"

#include "pg/transform.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "pg/compat.h"
#include "pg/json.h"
#include "wire/spelling.h"

PG_FUNCTION_INFO_V1(kaireon_map_value);
PG_FUNCTION_INFO_V1(kaireon_split_field);
PG_FUNCTION_INFO_V1(kaireon_plain_number);

Datum
kaireon_map_value(PG_FUNCTION_ARGS)
{
    text *value;
    Jsonb *mappings;
    JsonbValue found;
    char *mapped;

    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        PG_RETURN_NULL();
    value = PG_GETARG_TEXT_PP(0);
    mappings = PG_GETARG_JSONB_P(1);
    if (!JB_ROOT_IS_OBJECT(mappings))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("mappings must be a JSON object"),
                        errdetail("It maps values to values."), errhint("For example: {\"M\": \"male\", \"F\": \"female\"}.")));
    if (getKeyJsonValueFromContainer(&mappings->root, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), &found) == NULL)
    {
        if (PG_NARGS() == 2)
            PG_RETURN_TEXT_P(value);
        if (PG_ARGISNULL(2))
            PG_RETURN_NULL();
        PG_RETURN_TEXT_P(PG_GETARG_TEXT_PP(2));
    }
    mapped = json_scalar_text(&found);
    if (mapped == NULL)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(mapped));
}

Datum
kaireon_split_field(PG_FUNCTION_ARGS)
{
    text *value = PG_GETARG_TEXT_PP(0), *separator = PG_GETARG_TEXT_PP(1);
    int part = PG_GETARG_INT32(2), parts = PG_GETARG_INT32(3);
    const char *at = VARDATA_ANY(value), *end = at + VARSIZE_ANY_EXHDR(value);
    int length = VARSIZE_ANY_EXHDR(separator);

    if (length == 0 || part < 1 || part > parts)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no such part"),
                        errdetail("Parts are counted from 1; a separator has a character at least."), errhint("A split node calls this function.")));
    for (int i = 1;; i++)
    {
        /* in UTF-8 no character's bytes begin inside another's */
        const char *next = memmem(at, end - at, VARDATA_ANY(separator), length);

        if (i == part)
            PG_RETURN_TEXT_P(cstring_to_text_with_len(at, (next && part < parts ? next : end) - at));
        if (next == NULL)
            PG_RETURN_NULL();
        at = next + length;
    }
}

Datum
kaireon_plain_number(PG_FUNCTION_ARGS)
{
    text *value = PG_GETARG_TEXT_PP(0);
    char *decimal = text_to_cstring(PG_GETARG_TEXT_PP(1)), *thousands = text_to_cstring(PG_GETARG_TEXT_PP(2));
    char *plain = palloc(VARSIZE_ANY_EXHDR(value) + 1);
    size_t length;

    switch (spelling_of_number(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), decimal[0], thousands, plain, &length))
    {
        case SPELLING_NEW:
            PG_RETURN_TEXT_P(cstring_to_text_with_len(plain, length));
        case SPELLING_BAD:
            ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("invalid input syntax for a number: \"%s\"", text_to_cstring(value)),
                            errdetail("Its separators are in other places than the source's \"decimalSeparator\" and \"thousandsSeparator\" say."),
                            errhint("Mend the value, or the source's options.")));
            break;
        case SPELLING_SAME:
            break;
    }
    PG_RETURN_TEXT_P(value);
}
