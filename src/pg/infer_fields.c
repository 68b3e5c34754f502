/*
 * infer_fields.c: kaireon.infer_fields: a fields array from a sample of a source.
 *
 * Reads the sample with all fields as text, feeds a Guess (infer.h) a column,
 * and names the fields so that create_schema takes the array unchanged: safe
 * names, no two alike, none that collides with a column every table has.  The
 * name in the source is kept as displayName where it differs, which is what
 * kaireon.field_mapping makes a target's fieldMapping of.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "pg/compat.h"
#include "pg/infer.h"
#include "pg/json.h"
#include "pg/probe.h"

extern PGDLLEXPORT Datum kaireon_infer_fields(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_infer_fields);

#define NAME_MAX_BYTES 63
/* As create_schema has it. */
#define SCHEMA_MAX_FIELDS 1500

typedef struct InferredField
{
    char *source;            /* its name there */
    char name[NAME_MAX_BYTES + 1];
    Guess guess;
    bool is_key;             /* named id, and no null was among its values */
    Tuplesortstate *keys;    /* then: a hash of each value, to see whether they are unique */
    bool plain_numbers;      /* every value is written as its number is */
} InferredField;

/* ---- names -------------------------------------------------------------------- */

/* As kaireon_internal.safe_name, cut to fit; "" when no letter or digit is left. */
static void
safe_name(const char *name, char *out)
{
    int length = 0, end = strlen(name);
    bool visible = false;

    while (*name == ' ')
        name++, end--;
    while (end > 0 && name[end - 1] == ' ')
        end--;
    for (const char *s = name; s < name + end && length < NAME_MAX_BYTES; s += pg_mblen(s))
    {
        char c = pg_mblen(s) == 1 ? *s : '_';

        if (c >= 'A' && c <= 'Z')
            c += 'a' - 'A';
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            c = '_';
        else
            visible = true;
        out[length++] = c;
    }
    out[visible ? length : 0] = '\0';
}

static bool
is_taken(const InferredField *fields, int count, const char *name)
{
    for (int i = 0; i < count; i++)
    {
        if (strcmp(fields[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Names a table has anyway; "id" only when it is no key of ours. */
static bool
is_reserved(const char *name, bool is_key)
{
    static const char *const names[] = {"created_at", "updated_at", "tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"};

    for (size_t i = 0; i < lengthof(names); i++)
    {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return strcmp(name, "id") == 0 && !is_key;
}

/* The field's name, unlike those before it. */
static void
name_field(InferredField *fields, int i)
{
    InferredField *field = &fields[i];
    char base[NAME_MAX_BYTES + 1];

    safe_name(field->source, base);
    if (base[0] == '\0')
        snprintf(base, sizeof(base), "column_%d", i + 1);
    if (is_reserved(base, field->is_key))
    {
        char renamed[NAME_MAX_BYTES + 8];

        snprintf(renamed, sizeof(renamed), "source_%s", base);
        strlcpy(base, renamed, sizeof(base));
    }
    strlcpy(field->name, base, sizeof(field->name));
    for (int n = 2; is_taken(fields, i, field->name); n++)
    {
        char suffix[16];

        snprintf(suffix, sizeof(suffix), "_%d", n);
        snprintf(field->name, sizeof(field->name), "%.*s%s", (int) (NAME_MAX_BYTES - strlen(suffix)), base, suffix);
    }
}

/* ---- the sample ------------------------------------------------------------------ */

/*
 * Two values that are equal have equal hashes, so equal hashes are all that has
 * to be looked for; that different values share one costs a key that could
 * have been, once in 300,000 samples of ten million rows.  Sorting takes
 * work_mem and goes on on disk, however long the sample.
 */
static void
keep_key(InferredField *field, const char *value)
{
    /* a uuid is the same in capitals */
    char *folded = asc_tolower(value, strlen(value));
    uint64 hash = hash_bytes_extended((unsigned char *) folded, strlen(folded), 0);

    tuplesort_putdatum(field->keys, Int64GetDatum((int64) hash), false);
    /* 7, not 07, +7 or -0 */
    field->plain_numbers &= value[0] == '0' ? value[1] == '\0' : value[0] == '-' ? value[1] >= '1' && value[1] <= '9'
                                                                            : value[0] >= '1' && value[0] <= '9';
}

static bool
all_differ(Tuplesortstate *keys)
{
    Datum now, before = 0;
    bool first = true;

    tuplesort_performsort(keys);
    while (compat_tuplesort_getdatum(keys, &now))
    {
        if (!first && DatumGetInt64(now) == DatumGetInt64(before))
            return false;
        before = now;
        first = false;
        CHECK_FOR_INTERRUPTS();
    }
    return true;
}

/* Can the field named id be the key: never null, never twice? */
static void
settle_key(InferredField *field, int64 rows)
{
    const char *type;

    if (field->keys == NULL)
        return;
    /* equal values must be equal texts: of other types one value has several spellings */
    type = guess_type(&field->guess, true).name;
    field->is_key = field->is_key && rows > 0 &&
                    (strcmp(type, "varchar") == 0 || strcmp(type, "text") == 0 || strcmp(type, "uuid") == 0 ||
                     ((strcmp(type, "integer") == 0 || strcmp(type, "bigint") == 0) && field->plain_numbers)) &&
                    all_differ(field->keys);
    tuplesort_end(field->keys);
    field->keys = NULL;
}

static void
take_row(const Reading *reading, InferredField *fields)
{
    const Cells *cells = reading->cells;
    Datum *values = &cells->values[reading->row * cells->ncolumns];
    bool *nulls = &cells->nulls[reading->row * cells->ncolumns];

    for (int i = 0; i < cells->ncolumns; i++)
    {
        char *value;

        if (nulls[i])
        {
            fields[i].is_key = false;
            continue;
        }
        value = TextDatumGetCString(values[i]);
        guess_add(&fields[i].guess, value);
        if (fields[i].is_key)
            keep_key(&fields[i], value);
    }
}

/* Feeds the sample's rows to the guesses. */
static void
take_sample(Reading *reading, InferredField *fields)
{
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kaireon sample", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);

    while (reading_next(reading))
    {
        take_row(reading, fields);
        MemoryContextReset(context);
    }
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
    reading_close(reading);
}

static void
set_rules(ReadSource *source, GuessRules *rules)
{
    char *decimal = json_get_text(source->node.config, "decimalSeparator");
    char *thousands = json_get_text(source->node.config, "thousandsSeparator");

    rules->decimal = decimal ? decimal[0] : '.';
    rules->thousands = thousands ? thousands[0] : 0;
    rules->date_format = json_get_text(source->node.config, "dateFormat");
    rules->time_format = json_get_text(source->node.config, "timestampFormat");
}

/* ---- the answer -------------------------------------------------------------------- */

static char *
type_text(const GuessType *type)
{
    if (type->length > 0)
        return psprintf("%s(%d)", type->name, type->length);
    if (type->precision > 0)
        return psprintf("%s(%d,%d)", type->name, type->precision, type->scale);
    return pstrdup(type->name);
}

/* What options would make a better type of the field. */
static void
advise(const InferredField *field)
{
    const Guess *guess = &field->guess;
    GuessType now = guess_type(guess, false), then = guess_type(guess, true);

    if (guess->null_like > 0 && guess->null_like < guess->values && strcmp(now.name, then.name) != 0)
        ereport(NOTICE, (errmsg("field \"%s\" is %s because of \"%s\" in " INT64_FORMAT " of " INT64_FORMAT " values", field->source,
                                type_text(&now), guess->null_word, guess->null_like, guess->values),
                         errhint("With this word in \"nullStrings\" it would be %s.", type_text(&then))));
    else if (!guess->number && guess->foreign_number && guess->comma && guess->null_like == 0)
        ereport(NOTICE, (errmsg("field \"%s\" is %s because of its decimal commas", field->source, type_text(&now)),
                         errhint("With \"decimalSeparator\": \",\" and \"thousandsSeparator\": \".\" it would be a number.")));
    else if (guess->null_like == 0 && guess->values > 0 && guess->time && guess->finer)
        ereport(NOTICE, (errmsg("field \"%s\" is %s because its times are finer than a microsecond", field->source, type_text(&now)),
                         errhint("As timestamptz they would be rounded; give the field that type if they may be.")));
    else if (guess->null_like == 0 && guess->values > 0 && guess->json && guess->repeats)
        ereport(NOTICE, (errmsg("field \"%s\" is %s because its JSON has keys twice in an object", field->source, type_text(&now)),
                         errhint("As json only the last of them would stay; give the field that type if that is right.")));
}

static void
append_field(StringInfo out, const InferredField *field)
{
    GuessType type = guess_type(&field->guess, false);

    appendStringInfoString(out, out->len > 1 ? ",{\"name\":" : "{\"name\":");
    json_append_string(out, field->name);
    appendStringInfo(out, ",\"dataType\":\"%s\"", type.name);
    if (type.length > 0)
        appendStringInfo(out, ",\"length\":%d", type.length);
    if (type.precision > 0)
        appendStringInfo(out, ",\"precision\":%d,\"scale\":%d", type.precision, type.scale);
    if (field->is_key)
        appendStringInfoString(out, ",\"isPrimaryKey\":true");
    if (strcmp(field->name, field->source) != 0)
    {
        appendStringInfoString(out, ",\"displayName\":");
        json_append_string(out, field->source);
    }
    appendStringInfoChar(out, '}');
}

static InferredField *
begin_fields(List *names, const GuessRules *rules)
{
    InferredField *fields = palloc0(sizeof(InferredField) * list_length(names));
    bool have_id = false;
    ListCell *lc;

    foreach(lc, names)
    {
        InferredField *field = &fields[foreach_current_index(lc)];

        field->source = lfirst(lc);
        guess_begin(&field->guess, rules);
        safe_name(field->source, field->name);
        field->plain_numbers = true;
        field->is_key = !have_id && strcmp(field->name, "id") == 0;
        have_id |= field->is_key;
        if (field->is_key)
            field->keys = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false, work_mem, NULL, TUPLESORT_NONE);
    }
    return fields;
}

Datum
kaireon_infer_fields(PG_FUNCTION_ARGS)
{
    ReadSource *source = probe_arguments(fcinfo, READ_SKIP);
    int64 sample = probe_count(fcinfo, 3, "sample_rows");
    ProbeDescription description;
    InferredField *fields;
    GuessRules rules;
    Reading *reading;
    StringInfoData out;
    int count;

    description = probe_describe(source);
    description.fields = probe_readable(description.fields);
    count = list_length(description.fields);
    if (count == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        description.path ? errmsg("file \"%s\" has no fields", description.path) : errmsg("the source has no file"),
                        errdetail("There is nothing to infer fields from."),
                        errhint("Fields are inferred from a file's header and rows; kaireon.list_objects shows which files there are.")));
    if (count > SCHEMA_MAX_FIELDS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("file \"%s\" has %d fields, but a schema can have at most %d", description.path, count, SCHEMA_MAX_FIELDS),
                        errdetail("A table of PostgreSQL has at most 1600 columns."),
                        errhint("kaireon.describe lists them; give create_schema those that are wanted.")));
    probe_advise(&description);
    set_rules(source, &rules);
    fields = begin_fields(description.fields, &rules);
    reading = probe_open(source, description.fields, sample);
    take_sample(reading, fields);
    initStringInfo(&out);
    appendStringInfoChar(&out, '[');
    for (int i = 0; i < count; i++)
        settle_key(&fields[i], reading->rows);
    for (int i = 0; i < count; i++)
    {
        name_field(fields, i);
        advise(&fields[i]);
        append_field(&out, &fields[i]);
    }
    appendStringInfoChar(&out, ']');
    PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
}
