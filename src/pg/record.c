/*
 * record.c: a source's record, as it is kept of a row that could not be loaded.
 * See record.h.
 */
#include "postgres.h"

#include "pg/record.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "pg/compat.h"
#include "pg/encoding.h"
#include "pg/guard.h"
#include "pg/link.h"
#include "wire/wire.h"

pg_noreturn static void
broken(const char *what)
{
    link_misbehaved("kaireon-reader sent a record that breaks the protocol: %s", what);
}

/* Bytes as text of the database; NULL where they are none. */
static char *
text_of(const char *bytes, size_t length)
{
    if (memchr(bytes, '\0', length) != NULL || !pg_verify_mbstr(PG_UTF8, bytes, (int) length, true))
        return NULL;
    return encoding_text(bytes, length);
}

static char *
hex_of(const char *bytes, size_t length)
{
    char *hex = MemoryContextAllocHuge(CurrentMemoryContext, length * 2 + 1);

    hex_encode(bytes, length, hex);
    hex[length * 2] = '\0';
    return hex;
}

List *
record_names(const char *fields)
{
    Jsonb *list = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(fields)));
    List *names = NIL;

    if (!JB_ROOT_IS_ARRAY(list) || JB_ROOT_IS_SCALAR(list))
        broken("its fields are no list");
    for (uint32 i = 0; i < JB_ROOT_COUNT(list); i++)
    {
        JsonbValue *name = getIthJsonbValueFromContainer(&list->root, i);

        if (name->type != jbvString)
            broken("the name of a field is no text");
        names = lappend(names, pnstrdup(name->val.string.val, name->val.string.len));
    }
    return names;
}

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
    JsonbValue value;

    value.type = jbvString;
    value.val.string.val = unconstify(char *, text);
    value.val.string.len = (int) strlen(text);
    pushJsonbValue(state, token, &value);
}

static void
push_field(JsonbParseState **state, const WireStr *field)
{
    JsonbValue null = {.type = jbvNull};
    char *text;

    if (field->data == NULL)
        pushJsonbValue(state, WJB_VALUE, &null);
    else if ((text = text_of(field->data, field->length)) != NULL)
        push_text(state, WJB_VALUE, text);
    else
    {
        pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
        push_text(state, WJB_KEY, "hex");
        push_text(state, WJB_VALUE, hex_of(field->data, field->length));
        pushJsonbValue(state, WJB_END_OBJECT, NULL);
    }
}

Jsonb *
record_object(const RowRecord *record, List *names)
{
    WireReader r = {(const uint8_t *) record->data, record->length, 0, false};
    JsonbParseState *state = NULL;
    JsonbValue *object;
    ListCell *lc;

    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    foreach(lc, names)
    {
        WireStr field;

        if (!wire_get_field(&r, &field))
            broken("it has fewer fields than its split");
        push_text(&state, WJB_KEY, lfirst(lc));
        push_field(&state, &field);
    }
    if (r.at < r.size)
        broken("it has more fields than its split");
    object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
    return JsonbValueToJsonb(object);
}

bool
record_is_whole(const char *fields)
{
    return fields[0] == '{';
}

typedef struct Whole { char *text; Jsonb *value; } Whole;

static void
parse_whole(void *arg)
{
    Whole *whole = arg;

    whole->value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(whole->text)));
}

Jsonb *
record_whole(const RowRecord *record)
{
    Whole whole = {text_of(record->data, record->length), NULL};

    if (whole.text == NULL || guard_try(parse_whole, &whole, CurrentMemoryContext) != NULL)
        return NULL;
    return whole.value;
}

Jsonb *
record_string(const RowRecord *record, bytea **exact)
{
    char *text = text_of(record->data, record->length);
    JsonbValue value;

    *exact = NULL;
    if (text == NULL)
    {
        *exact = (bytea *) MemoryContextAllocHuge(CurrentMemoryContext, record->length + VARHDRSZ);
        SET_VARSIZE(*exact, record->length + VARHDRSZ);
        memcpy(VARDATA(*exact), record->data, record->length);
        text = record_shown(record->data, record->length, record->length);
    }
    value.type = jbvString;
    value.val.string.val = text;
    value.val.string.len = (int) strlen(text);
    return JsonbValueToJsonb(&value);
}

char *
record_shown(const char *bytes, size_t length, size_t most)
{
    StringInfoData out;
    size_t from = 0, at = 0;

    initStringInfo(&out);
    while (at < length && at < most)
    {
        size_t n = pg_utf_mblen((const unsigned char *) bytes + at);

        if (bytes[at] != '\0' && n <= length - at && pg_verify_mbstr(PG_UTF8, bytes + at, (int) n, true))
        {
            at += n;
            continue;
        }
        appendStringInfoString(&out, encoding_shown(bytes + from, at - from));
        appendStringInfo(&out, "\\x%02x", (unsigned char) bytes[at]);
        from = ++at;
    }
    appendStringInfoString(&out, encoding_shown(bytes + from, at - from));
    return out.data;
}
