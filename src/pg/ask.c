/*
 * ask.c: asking a connector what it has for one key after another.  See ask.h.
 *
 * An answer is what a preview of the resource would show: the fields of each
 * file as text, in an object a record.  The files are found, and for each in
 * turn its fields and then its records asked for.
 */
#include "postgres.h"

#include "pg/ask.h"

#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "pg/compat.h"
#include "pg/enrich.h"
#include "pg/errors.h"
#include "pg/fetch.h"
#include "pg/guard.h"
#include "pg/guc.h"
#include "pg/json.h"
#include "pg/link.h"
#include "pg/probe.h"
#include "pg/read.h"
#include "pg/source_options.h"

struct Ask
{
    const Resource *resource;
    Jsonb *options;          /* how it is read */
    bool all;                /* all records are wanted, not the first alone */
    ReadSource source;       /* of the key that is asked for */
    Link *link;              /* NULL: there is no reader */
    MemoryContext reader;    /* of the link: ends it when it is reset */
    MemoryContext answer;    /* of the last answer */
};

/* An answer that is being built. */
typedef struct Building
{
    Ask *ask;
    JsonbParseState *state;
    JsonbValue *value;       /* NULL: no record yet */
    int64 bytes;             /* about what it takes */
    Jsonb *result;
} Building;

Ask *
ask_create(const GraphNode *node, const ProgramAsk *compiled)
{
    Ask *ask = palloc0(sizeof(Ask));
    char *result = json_get_text(node->config, "result");

    ask->resource = enrich_resource(node);
    ask->options = source_ask_options(node->config);
    ask->all = result && strcmp(result, "all") == 0;
    ask->source.name = json_get_text(node->config, "connector");
    ask->source.connector = *compiled->connector;
    ask->reader = AllocSetContextCreate(CurTransactionContext, "kaireon asking", ALLOCSET_DEFAULT_SIZES);
    ask->answer = AllocSetContextCreate(CurrentMemoryContext, "kaireon answer", ALLOCSET_DEFAULT_SIZES);
    return ask;
}

/* The reader is in the middle of an answer. */
static void
end_reader(Ask *ask)
{
    ask->link = NULL;
    MemoryContextReset(ask->reader);
}

void
ask_end(Ask *ask)
{
    MemoryContextDelete(ask->reader);
}

/* ---- an answer -------------------------------------------------------------------------- */

/* The fields of a file that can be keys of an object. */
static List *
named_fields(const FetchObject *described)
{
    Jsonb *dialect = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(described->dialect)));
    List *named = NIL;
    ListCell *lc;

    foreach(lc, json_get_texts(&dialect->root, "fields"))
    {
        if (((char *) lfirst(lc))[0] != '\0')
            named = lappend(named, lfirst(lc));
    }
    if (list_length(named) > WIRE_MAX_FIELDS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS), errmsg("file \"%s\" has %d fields, of which at most %d can be read at once",
                                                                 described->path, list_length(named), WIRE_MAX_FIELDS)));
    return named;
}

/* Raises 54000 when the answer with this record would be larger than a field may be. */
static void
measure_record(Building *building, const Reading *reading)
{
    const Cells *cells = reading->cells;

    building->bytes += sizeof(JEntry) + sizeof(JsonbContainer);
    for (int i = 0; i < cells->ncolumns; i++)
    {
        int at = reading->row * cells->ncolumns + i;

        building->bytes += 2 * sizeof(JEntry) + strlen(reading->asked.columns[i].name);
        building->bytes += cells->nulls[at] ? 0 : VARSIZE_ANY_EXHDR(DatumGetPointer(cells->values[at]));
    }
    if (building->bytes > guc_max_field_bytes * INT64CONST(1024))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("it has more than the %d kB that kaireon.max_field_bytes allows", guc_max_field_bytes)));
}

static void
add_file(Building *building, FetchObject *file)
{
    Ask *ask = building->ask;
    FetchObject *described = fetch_describe(ask->link, &ask->source.connector, &ask->source.node, file);
    List *fields = described ? named_fields(described) : NIL;
    Reading *reading;

    if (fields == NIL)
        return;
    reading = reading_open_file(ask->link, &ask->source, file, probe_columns(fields), list_length(fields), ask->all ? 0 : 1);
    while (reading_next(reading))
    {
        measure_record(building, reading);
        building->value = probe_push_row(&building->state, reading);
    }
    MemoryContextDelete(reading->context);
}

/* Asks for the resource; an argument for guard_try. */
static void
build_answer(void *arg)
{
    Building *building = arg;
    Ask *ask = building->ask;
    ListCell *lc;

    if (ask->all)
        pushJsonbValue(&building->state, WJB_BEGIN_ARRAY, NULL);
    foreach(lc, fetch_find(ask->link, &ask->source.connector, &ask->source.node))
    {
        add_file(building, lfirst(lc));
        if (building->value && !ask->all)
            break;
    }
    if (building->value && ask->all)
        building->value = pushJsonbValue(&building->state, WJB_END_ARRAY, NULL);
    if (building->value)
        building->result = JsonbValueToJsonb(building->value);
}

/* ---- what is wrong ------------------------------------------------------------------------ */

/*
 * Errors that say nothing of the key.  Those of files (class 58) are the
 * reader's, since nothing else is done meanwhile; where the reader dies or its
 * credentials do not open, it is not the key's doing.
 */
static bool
ends_all(int sqlerrcode)
{
    int class = ERRCODE_TO_CATEGORY(sqlerrcode);

    return class == ERRCODE_TO_CATEGORY(ERRCODE_KAIREON_READER_ENDED) ||
           (compat_error_must_pass(sqlerrcode) && class != ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR));
}

static void
set_problem(Answer *answer, int sqlstate, int key, char *reason)
{
    answer->sqlstate = sqlstate;
    answer->key = key;
    answer->reason = reason;
}

/* False when a value can't be part of the resource. */
static bool
check_values(const Ask *ask, char *const *values, Answer *answer)
{
    for (int i = 0; i < list_length(ask->resource->names); i++)
    {
        const char *wrong = resource_bad_value(values[i]);

        if (wrong == NULL)
            continue;
        set_problem(answer, ERRCODE_INVALID_PARAMETER_VALUE, i, pstrdup(wrong));
        return false;
    }
    return true;
}

void
ask_key(Ask *ask, char *const *values, Answer *answer)
{
    MemoryContext old;
    Building building = {.ask = ask};
    ErrorData *error;

    memset(answer, 0, sizeof(*answer));
    MemoryContextReset(ask->answer);
    old = MemoryContextSwitchTo(ask->reader);
    if (ask->link == NULL)
        ask->link = link_open();
    MemoryContextSwitchTo(ask->answer);
    if (check_values(ask, values, answer))
    {
        read_set_options(&ask->source, resource_fill(ask->resource, values), ask->options);
        error = guard_try_but(build_answer, &building, ask->answer, ends_all);
        answer->value = building.result;
        if (error)
        {
            answer->value = NULL;
            if (!link_is_idle(ask->link))
                end_reader(ask);
            set_problem(answer, error->sqlerrcode, -1,
                        psprintf("resource \"%s\" can't be read: %s%s%s%s", resource_shown(ask->resource, values), error->message,
                                 error->detail ? " (" : "", error->detail ? error->detail : "", error->detail ? ")" : ""));
        }
    }
    MemoryContextSwitchTo(old);
}
