/*
 * probe.c: looking at a source: what it has, whether it can be reached.  See probe.h.
 *
 * Each function starts a reader, asks one thing and ends it.  A test catches
 * what goes wrong and tells it as a result, inside an internal subtransaction,
 * so that its outcome can be written down by the same transaction.
 */
#include "postgres.h"

#include "pg/probe.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/ability.h"
#include "pg/compat.h"
#include "pg/errors.h"
#include "pg/json.h"
#include "pg/guard.h"
#include "pg/upload.h"

extern PGDLLEXPORT Datum kaireon_list_objects(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_list_objects);
extern PGDLLEXPORT Datum kaireon_test_connector(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_test_connector);
extern PGDLLEXPORT Datum kaireon_test_connector_config(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_test_connector_config);
extern PGDLLEXPORT Datum kaireon_check_source(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_check_source);
extern PGDLLEXPORT Datum kaireon_describe(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_describe);
extern PGDLLEXPORT Datum kaireon_preview(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_preview);

/* ---- shared -------------------------------------------------------------------- */

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
    return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

ReadSource *
probe_arguments(FunctionCallInfo fcinfo, ReadOnError on_error)
{
    ReadSource *source = read_source(text_argument(fcinfo, 0), text_argument(fcinfo, 1),
                                     PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));

    if (json_get_text(source->node.config, "onError") == NULL)
        source->on_error = on_error;
    return source;
}

int64
probe_count(FunctionCallInfo fcinfo, int n, const char *name)
{
    int32 count = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);

    if (count < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be at least 1", name),
                        PG_ARGISNULL(n) ? errdetail("It is null.") : errdetail("It is %d.", count),
                        errhint("Leave it out for what is usual.")));
    return count;
}

List *
probe_readable(List *fields)
{
    List *readable = NIL;
    ListCell *a, *b;

    foreach(a, fields)
    {
        int same = 0, before = 0;

        CHECK_FOR_INTERRUPTS();
        foreach(b, fields)
        {
            bool equal = strcmp(lfirst(a), lfirst(b)) == 0;

            same += equal;
            before += equal && foreach_current_index(b) < foreach_current_index(a);
        }
        if (same == 1 && ((char *) lfirst(a))[0] != '\0' && !OidIsValid(compile_pseudo_type(lfirst(a))))
            readable = lappend(readable, lfirst(a));
        else if (before == 0)
            ereport(NOTICE, (same > 1 ? errmsg("left out field \"%s\", which the source has %d times", (char *) lfirst(a), same) :
                             ((char *) lfirst(a))[0] == '\0' ? errmsg("left out a field without a name") :
                             errmsg("left out field \"%s\", whose name stands for what every source tells about a row", (char *) lfirst(a)),
                             errhint("Give the fields names of your own with \"columns\" in options.")));
    }
    return readable;
}

ProbeDescription
probe_describe(ReadSource *source)
{
    ProbeDescription result = {NULL, NULL, NIL};
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kaireon probe", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    FetchObject *object = fetch_describe(link_open(), &source->connector, &source->node, NULL);

    MemoryContextSwitchTo(old);
    if (object)
    {
        result.path = pstrdup(object->path);
        result.dialect = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(object->dialect)));
        result.fields = json_get_texts(&result.dialect->root, "fields");
    }
    MemoryContextDelete(context);
    return result;
}

/* Rows of the sample that have more or fewer fields than there are, and what an option of the advice would do with them. */
static void
advise_rows(const ProbeDescription *description, JsonbContainer *sample, const char *option, const char *how)
{
    JsonbContainer *advice = json_get_container(sample, "advice");
    int64 count = json_get_int(sample, option, 0), footer = advice ? json_get_int(advice, "footerLines", 0) : 0;
    char *value = advice ? json_get_text(advice, option) : NULL;

    if (count == 0)
        return;
    ereport(NOTICE, (errmsg(INT64_FORMAT " of the first " INT64_FORMAT " rows of file \"%s\" %s %s than its %d field%s", count,
                            json_get_int(sample, "rows", 0), description->path, count == 1 ? "has" : "have", how,
                            list_length(description->fields), list_length(description->fields) == 1 ? "" : "s"),
                     footer > 0 ? errhint("What stands behind the table is left out with \"footerLines\": " INT64_FORMAT "; with \"shortRows\": \"pad\" it is read, too.", footer) :
                     value == NULL ? 0 :
                     strcmp(value, "pad") == 0 ? errhint("With \"%s\": \"%s\" the fields they lack are null.", option, value) :
                     strcmp(value, "truncate") == 0 ? errhint("With \"%s\": \"%s\" they are read without the further fields.", option, value) :
                     errhint("With \"%s\": \"%s\" they are read without the further fields, which are empty.", option, value)));
}

void
probe_advise(const ProbeDescription *description)
{
    JsonbContainer *sample = json_get_container(&description->dialect->root, "sample");

    if (sample == NULL)
        return;
    advise_rows(description, sample, "shortRows", "fewer");
    advise_rows(description, sample, "longRows", "more");
}

SourceColumn *
probe_columns(List *fields)
{
    SourceColumn *columns = palloc0(sizeof(SourceColumn) * Max(list_length(fields), 1));
    ListCell *lc;

    foreach(lc, fields)
    {
        SourceColumn *column = &columns[foreach_current_index(lc)];

        column->name = lfirst(lc);
        column->type = TEXTOID;
        column->typmod = -1;
    }
    return columns;
}

Reading *
probe_open(ReadSource *source, List *fields, int64 row_limit)
{
    return reading_open(source, probe_columns(fields), list_length(fields), row_limit);
}

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
    JsonbValue value;

    value.type = text ? jbvString : jbvNull;
    if (text)
    {
        value.val.string.val = unconstify(char *, text);
        value.val.string.len = strlen(text);
    }
    pushJsonbValue(state, token, &value);
}

/* ---- list_objects ------------------------------------------------------------------ */

Datum
kaireon_list_objects(PG_FUNCTION_ARGS)
{
    ReadSource *source = read_source(text_argument(fcinfo, 0), text_argument(fcinfo, 1), NULL);
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    Link *link;
    ListCell *lc;

    InitMaterializedSRF(fcinfo, 0);
    link = link_open();
    foreach(lc, fetch_list_now(link, &source->connector, &source->node))
    {
        FetchObject *object = lfirst(lc);
        Datum values[4];
        bool nulls[4] = {0};

        values[0] = CStringGetTextDatum(object->path);
        values[1] = Int64GetDatum(object->size);
        nulls[2] = object->modified == FETCH_NO_TIME;
        values[2] = nulls[2] ? (Datum) 0 : TimestampTzGetDatum(object->modified);
        nulls[3] = object->etag[0] == '\0';
        values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(object->etag);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    link_close(link);
    return (Datum) 0;
}

/* ---- check_source ------------------------------------------------------------------ */

/*
 * check_source(type, config, auth_method, with_auth): raises what the type's
 * driver has against them, with the credentials of the call that is under way.
 * What the environment has of the machine's own it is not told.
 */
Datum
kaireon_check_source(PG_FUNCTION_ARGS)
{
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kaireon check", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    ConnectorSpec connector = {.type = text_argument(fcinfo, 0), .config = PG_GETARG_JSONB_P(1)};
    Jsonb *given = PG_GETARG_BOOL(3) ? auth_under_way() : NULL;

    connector.auth.name = connector.type;
    connector.auth.method = text_argument(fcinfo, 2);
    connector.auth.packed = given && JB_ROOT_IS_OBJECT(given) ? auth_pack_values(given) : NULL;
    fetch_check(link_open(), &connector);
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
    PG_RETURN_VOID();
}

/* ---- test_connector ------------------------------------------------------------------ */

typedef struct TestResult
{
    MemoryContext context;   /* of what it points to */
    bool ok;
    double latency_ms;
    char *message;
    char sqlstate[6];
    char *detail;            /* or NULL */
    char *hint;              /* or NULL */
    int objects, folders;    /* how many there are at the base, */
    List *names;             /* the first few of them (char *), */
    bool more;               /* and there may be others */
} TestResult;

#define SHOWN_NAMES 5

/* Cancels, exhausted memory and our own mistakes are no result of a test. */
static bool
must_pass(int code)
{
    int class = ERRCODE_TO_CATEGORY(code);

    return class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
           class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
           class == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR);
}

/* What is tested before it is made: the arguments of test_connector. */
typedef struct Unsaved { char *type; Jsonb *config; char *method; Jsonb *auth_config; } Unsaved;

/* Says what create_connector would say about it, and makes a source of it. */
static void
take_unsaved(const Unsaved *unsaved, ReadSource *source)
{
    MemoryContext context = CurrentMemoryContext;
    AuthCall call;
    Jsonb *volatile shape = auth_begin(&call, unsaved->auth_config);

    PG_TRY();
    {
        CatalogScope scope = catalog_begin();
        Oid types[] = {TEXTOID, JSONBOID, TEXTOID, JSONBOID};
        Datum values[4] = {CStringGetTextDatum(unsaved->type), JsonbPGetDatum(unsaved->config),
                           unsaved->method ? CStringGetTextDatum(unsaved->method) : 0, JsonbPGetDatum(shape)};
        char *method;

        catalog_execute("SELECT t, coalesce($3, kaireon_internal.default_auth_method(t), 'none') FROM kaireon_internal.real_type($1) AS t",
                        4, types, values, unsaved->method ? NULL : "  n ", SPI_OK_SELECT);
        source->connector.type = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
        method = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
        values[0] = CStringGetTextDatum(source->connector.type);
        values[2] = CStringGetTextDatum(method);
        catalog_execute("SELECT kaireon_internal.check_connector($1, $2, $3, $4)", 4, types, values, NULL, SPI_OK_SELECT);
        catalog_end(scope);
        source->connector.auth.name = source->connector.type;
        source->connector.auth.method = method;
    }
    PG_FINALLY();
    {
        auth_end(&call);
    }
    PG_END_TRY();
    source->connector.auth.packed = auth_pack(unsaved->auth_config, GetUserId(), GetUserId());
    auth_set_owner(&source->connector.auth, GetUserId());
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
    return strcmp(lfirst(a), lfirst(b));
}

static void
count_found(TestResult *result, List *found)
{
    List *names = NIL;
    MemoryContext old;
    ListCell *lc;

    foreach(lc, found)
    {
        char *path = ((FetchObject *) lfirst(lc))->path;
        bool folder = path[0] && path[strlen(path) - 1] == '/';

        if (strcmp(path, "/") == 0)
        {
            result->more = true;
            continue;
        }
        result->folders += folder;
        result->objects += !folder;
        if (path[0])
            names = lappend(names, path);
    }
    list_sort(names, compare_names);
    old = MemoryContextSwitchTo(result->context);
    foreach(lc, list_truncate(names, SHOWN_NAMES))
        result->names = lappend(result->names, pstrdup(lfirst(lc)));
    MemoryContextSwitchTo(old);
}

/* The round trip: a reader opens the source and looks at its base. */
static void
try_source(ReadSource *source, TestResult *result)
{
    Link *link;

    if (upload_is_type(source->connector.type)) /* it has something while it is called, and needs no more */
        return;
    link = link_open();
    count_found(result, fetch_look(link, &source->connector));
    link_close(link);
}

static char *
counted(int count, bool more, const char *what)
{
    return psprintf("%s%d %s%s", more ? "at least " : "", count, what, count == 1 ? "" : "s");
}

/* What is said of a test that went well. */
static char *
success_message(const ReadSource *source, const TestResult *result)
{
    char *able;

    if (upload_is_type(source->connector.type))
        return pstrdup("it takes what kaireon.upload_csv brings");
    if (!catalog_type_can(source->connector.type, ABILITY_PATTERNS, &able))
        return pstrdup(json_get(&source->connector.config->root, "baseUrl") == NULL ? "there is no baseUrl to connect to; a resource has to be a whole URL" :
                       result->objects > 0 ? "connected; there is a file at the base itself" : "connected; there is no file at the base itself");
    if (result->objects + result->folders == 0)
        return pstrdup("connected; there is nothing at the base");
    if (result->folders == 0)
        return psprintf("connected; %s at the base", counted(result->objects, result->more, "object"));
    return psprintf("connected; %s and %s at the base", result->objects > 0 || result->more ? counted(result->objects, result->more, "object") : "no objects",
                    counted(result->folders, result->more, "folder"));
}

/* unsaved is NULL for a connector that has a name. */
typedef struct TestWork { ReadSource *source; const Unsaved *unsaved; TestResult *result; } TestWork;

static void
test_work(void *arg)
{
    TestWork *work = arg;
    if (work->unsaved)
        take_unsaved(work->unsaved, work->source);
    read_require_ready(work->source);
    read_set_options(work->source, NULL, NULL);
    try_source(work->source, work->result);
}

static void
guarded_test(ReadSource *source, const Unsaved *unsaved, TestResult *result)
{
    MemoryContext inner = AllocSetContextCreate(CurrentMemoryContext, "kaireon test", ALLOCSET_DEFAULT_SIZES);
    TestWork work = {source, unsaved, result};
    instr_time started, taken;
    ErrorData *error;

    result->context = CurrentMemoryContext;
    INSTR_TIME_SET_CURRENT(started);
    error = guard_try_but(test_work, &work, inner, must_pass);
    INSTR_TIME_SET_CURRENT(taken);
    INSTR_TIME_SUBTRACT(taken, started);
    result->latency_ms = INSTR_TIME_GET_MILLISEC(taken);
    result->ok = error == NULL;
    if (error)
    {
        result->message = pstrdup(error->message);
        result->detail = error->detail ? pstrdup(error->detail) : NULL;
        result->hint = error->hint ? pstrdup(error->hint) : NULL;
        strlcpy(result->sqlstate, unpack_sql_state(error->sqlerrcode), sizeof(result->sqlstate));
    }
    else
        result->message = success_message(source, result);
    /* ends a reader that an error left behind */
    MemoryContextDelete(inner);
}

static void
push_number(JsonbParseState **state, const char *key, int number)
{
    JsonbValue value;

    push_text(state, WJB_KEY, key);
    value.type = jbvNumeric;
    value.val.numeric = DatumGetNumeric(DirectFunctionCall1(int4_numeric, Int32GetDatum(number)));
    pushJsonbValue(state, WJB_VALUE, &value);
}

static Jsonb *
test_details(const TestResult *result)
{
    JsonbParseState *state = NULL;
    ListCell *lc;

    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    if (result->ok)
    {
        push_number(&state, "objects", result->objects);
        push_number(&state, "folders", result->folders);
        push_text(&state, WJB_KEY, "names");
        pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
        foreach(lc, result->names)
            push_text(&state, WJB_ELEM, lfirst(lc));
        pushJsonbValue(&state, WJB_END_ARRAY, NULL);
    }
    else
    {
        push_text(&state, WJB_KEY, "sqlstate");
        push_text(&state, WJB_VALUE, result->sqlstate);
        push_text(&state, WJB_KEY, "detail");
        push_text(&state, WJB_VALUE, result->detail);
        push_text(&state, WJB_KEY, "hint");
        push_text(&state, WJB_VALUE, result->hint);
    }
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static Datum
return_test(FunctionCallInfo fcinfo, const TestResult *result)
{
    TupleDesc desc;
    Datum values[4];
    bool nulls[4] = {0};

    if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    values[0] = BoolGetDatum(result->ok);
    values[1] = Float8GetDatum(result->latency_ms);
    values[2] = CStringGetTextDatum(result->message);
    values[3] = JsonbPGetDatum(test_details(result));
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

Datum
kaireon_test_connector(PG_FUNCTION_ARGS)
{
    ReadSource *source = read_connector(text_argument(fcinfo, 0));
    TestResult result = {0};
    CatalogScope scope;
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID};
    Datum values[3];

    guarded_test(source, NULL, &result);
    if (XactReadOnly) /* on a standby, too: it can be tested, but not written down */
        return return_test(fcinfo, &result);
    values[0] = UUIDPGetDatum(&source->connector_id);
    values[1] = CStringGetTextDatum(result.ok ? "connected" : "error");
    values[2] = CStringGetTextDatum(result.message);
    scope = catalog_begin();
    catalog_execute("UPDATE kaireon_internal.connector SET status = $2, last_tested_at = pg_catalog.clock_timestamp(), last_error = $3 "
                    "WHERE id = $1", 3, types, values, result.ok ? "  n" : NULL, SPI_OK_UPDATE);
    catalog_end(scope);
    return return_test(fcinfo, &result);
}

Datum
kaireon_test_connector_config(PG_FUNCTION_ARGS)
{
    ReadSource *source = palloc0(sizeof(ReadSource));
    Jsonb *nothing = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
    Unsaved unsaved = {text_argument(fcinfo, 0), PG_ARGISNULL(1) ? nothing : PG_GETARG_JSONB_P(1), text_argument(fcinfo, 2),
                       PG_ARGISNULL(3) ? nothing : PG_GETARG_JSONB_P(3)};
    TestResult result = {0};

    if (unsaved.type == NULL)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the connector's type must not be null"),
                        errdetail("The view kaireon.connector_types has those that are registered."), errhint("Give a type.")));
    source->connector.config = unsaved.config;
    guarded_test(source, &unsaved, &result);
    return return_test(fcinfo, &result);
}

/* ---- describe and preview ---------------------------------------------------------------- */

/* Keys of the reader's dialect that describe shows beside it. */
static const char *const beside[] = {"fields", "confidence", "reason", "sample"};

Datum
kaireon_describe(PG_FUNCTION_ARGS)
{
    ReadSource *source = probe_arguments(fcinfo, READ_FAIL);
    ProbeDescription description = probe_describe(source);
    JsonbParseState *state = NULL;
    Datum dialect;

    if (description.path == NULL)
        PG_RETURN_NULL();
    dialect = JsonbPGetDatum(description.dialect);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    push_text(&state, WJB_KEY, "path");
    push_text(&state, WJB_VALUE, description.path);
    for (size_t i = 0; i < lengthof(beside); i++)
    {
        JsonbValue *value = json_get(&description.dialect->root, beside[i]);

        if (value == NULL)
            continue;
        push_text(&state, WJB_KEY, beside[i]);
        pushJsonbValue(&state, WJB_VALUE, value);
        dialect = DirectFunctionCall2(jsonb_delete, dialect, CStringGetTextDatum(beside[i]));
    }
    push_text(&state, WJB_KEY, "dialect");
    {
        JsonbValue value;

        value.type = jbvBinary;
        value.val.binary.data = &DatumGetJsonbP(dialect)->root;
        value.val.binary.len = VARSIZE(DatumGetJsonbP(dialect)) - VARHDRSZ;
        pushJsonbValue(&state, WJB_VALUE, &value);
    }
    PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* How a file is read, when that was found out and not said. */
static void
tell_detection(const ProbeDescription *description)
{
    JsonbContainer *dialect = &description->dialect->root;
    char *confidence = json_get_text(dialect, "confidence"), *reason = json_get_text(dialect, "reason");

    if (confidence && reason)
        ereport(INFO, (errmsg("file \"%s\": %s", description->path, reason),
                       errdetail("Confidence %.2f. kaireon.describe tells how it is read.", atof(confidence))));
}

/* The fields a preview shows: as many as a reader gives at once. */
static List *
preview_fields(const ProbeDescription *description)
{
    List *fields = probe_readable(description->fields);
    int count = list_length(fields);

    if (count <= WIRE_MAX_FIELDS)
        return fields;
    ereport(NOTICE, (errmsg("file \"%s\" has %d fields, of which the first %d are shown", description->path, count, WIRE_MAX_FIELDS),
                     errhint("kaireon.describe lists all of them, and kaireon.read reads those that its column definition list names.")));
    return list_truncate(fields, WIRE_MAX_FIELDS);
}

JsonbValue *
probe_push_row(JsonbParseState **state, const Reading *reading)
{
    const Cells *cells = reading->cells;

    pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
    for (int i = 0; i < cells->ncolumns; i++)
    {
        int at = reading->row * cells->ncolumns + i;

        push_text(state, WJB_KEY, reading->asked.columns[i].name);
        push_text(state, WJB_VALUE, cells->nulls[at] ? NULL : TextDatumGetCString(cells->values[at]));
    }
    return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* The current row as an object of texts. */
static Datum
row_object(const Reading *reading)
{
    JsonbParseState *state = NULL;

    return JsonbPGetDatum(JsonbValueToJsonb(probe_push_row(&state, reading)));
}

Datum
kaireon_preview(PG_FUNCTION_ARGS)
{
    ReadSource *source = probe_arguments(fcinfo, READ_SKIP);
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    int64 left = probe_count(fcinfo, 3, "max_rows");
    ProbeDescription description;
    Reading *reading;

    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    description = probe_describe(source);
    if (description.path == NULL)
        return (Datum) 0;
    tell_detection(&description);
    probe_advise(&description);
    reading = probe_open(source, preview_fields(&description), 0);
    while (left-- > 0 && reading_next(reading))
    {
        Datum value = row_object(reading);
        bool null = false;

        tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
        pfree(DatumGetPointer(value));
    }
    reading_close(reading);
    return (Datum) 0;
}
