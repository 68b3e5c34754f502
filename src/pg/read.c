/*
 * read.c: reading a source row by row in the calling session.  See read.h.
 *
 * Data flow: a batch comes from the reader, cells_load lays it out, and rows
 * are given from it one by one.  With onError "fail" cells that are raw or bad
 * are settled when their row is reached, so that a LIMIT stops before a later
 * row's error.  With "null" and "skip" they are settled a batch at a time,
 * inside an internal subtransaction, because an input function may raise
 * anything; after an error a new subtransaction goes on behind the cell.
 */
#include "postgres.h"

#include "pg/read.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/ability.h"
#include "pg/compat.h"
#include "pg/guard.h"
#include "pg/errors.h"
#include "pg/file_pattern.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/reject.h"
#include "pg/source_options.h"

/* ---- the source ------------------------------------------------------------ */

pg_noreturn static void
no_connector(const char *name)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {TEXTOID, REGROLEOID};
    Datum values[] = {CStringGetTextDatum(name), ObjectIdGetDatum(scope.user)};
    char *near = NULL;

    if (catalog_execute("SELECT kaireon_internal.closest($1, ARRAY(SELECT c.name FROM kaireon_internal.connector c "
                        "WHERE kaireon_internal.may_see_as($2, c.owner)))", 2, types, values, NULL, SPI_OK_SELECT) == 1)
        near = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (near)
        near = MemoryContextStrdup(TopTransactionContext, near);
    catalog_end(scope);
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("connector \"%s\" does not exist", name),
                    errdetail("Upper and lower case count."),
                    near ? errhint("Perhaps you meant \"%s\".", near) : errhint("See the view kaireon.connectors for those there are.")));
    pg_unreachable();
}

static Jsonb *
empty_object(void)
{
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}

ReadSource *
read_connector(const char *name)
{
    MemoryContext context = CurrentMemoryContext;
    ReadSource *source = palloc0(sizeof(ReadSource));
    CatalogScope scope;
    Oid types[] = {TEXTOID}, owner = InvalidOid;
    Datum values[1];
    bool found, null;

    if (name == NULL)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the name of the connector must not be null"),
                        errdetail("The view kaireon.connectors has those you can see."), errhint("Give a name.")));
    values[0] = CStringGetTextDatum(name);
    scope = catalog_begin();
    found = catalog_execute("SELECT id, owner::pg_catalog.oid, type, config, id, name, auth_method, auth_sealed, owner::pg_catalog.oid "
                            "FROM kaireon_internal.connector WHERE name = $1",
                            1, types, values, NULL, SPI_OK_SELECT) == 1;
    if (found)
    {
        HeapTuple row = SPI_tuptable->vals[0];
        TupleDesc desc = SPI_tuptable->tupdesc;
        MemoryContext old = MemoryContextSwitchTo(context);

        source->connector_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &null));
        owner = DatumGetObjectId(SPI_getbinval(row, desc, 2, &null));
        source->connector.type = TextDatumGetCString(SPI_getbinval(row, desc, 3, &null));
        source->connector.config = (Jsonb *) PG_DETOAST_DATUM_COPY(SPI_getbinval(row, desc, 4, &null));
        MemoryContextSwitchTo(old);
        catalog_auth(&source->connector.auth, 5, context);
    }
    catalog_end(scope);
    if (!found)
        no_connector(name);
    if (!catalog_may_act(GetUserId(), owner))
    {
        char *role = DatumGetCString(DirectFunctionCall1(regroleout, ObjectIdGetDatum(owner))); /* it may be gone */

        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be owner of connector \"%s\"", name),
                        errdetail("It belongs to role %s.", role),
                        superuser_arg(owner) ? errhint("Ask a superuser, or make one of your own.")
                                             : errhint("Be a member of %s, or make one of your own.", role)));
    }
    source->name = pstrdup(name);
    return source;
}

static void
raise_complaint(void *arg, const char *code, const char *message, const char *hint)
{
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message), errdetail("Options say how the source is read."),
                    hint ? errhint("%s", hint) : errhint("They are those of a source node's config, and onError.")));
}

void
read_set_options(ReadSource *source, const char *resource, Jsonb *options)
{
    JsonbParseState *state = NULL;
    JsonbValue text;
    Jsonb *config;
    char *rule;

    if (options == NULL)
        options = empty_object();
    if (!JB_ROOT_IS_OBJECT(options))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("options must be a JSON object"),
                        errdetail("It is %s.", JsonbToCString(NULL, &options->root, VARSIZE(options))), errhint("For example: {\"delimiter\": \";\"}.")));
    source_check(&options->root, SOURCE_OF_READ, "options", raise_complaint, NULL);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    text.type = jbvString;
    text.val.string.val = "resource";
    text.val.string.len = strlen("resource");
    pushJsonbValue(&state, WJB_KEY, &text);
    text.val.string.val = pstrdup(resource ? resource : "");
    text.val.string.len = strlen(text.val.string.val);
    pushJsonbValue(&state, WJB_VALUE, &text);
    config = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
    config = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(options), JsonbPGetDatum(config)));
    file_pattern_check(&config->root, raise_complaint, NULL);
    rule = json_get_text(&config->root, "onError");
    if (rule)
        source->on_error = strcmp(rule, "null") == 0 ? READ_NULL : strcmp(rule, "skip") == 0 ? READ_SKIP : READ_FAIL;
    source->node.id = "read";
    source->node.op = &node_source;
    source->node.label = "";
    source->node.config = &config->root;
}

void
read_require_ready(const ReadSource *source)
{
    char *ready;

    if (catalog_type_ready(source->connector.type, &ready))
        return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("connectors of type \"%s\" can't be read in this version", source->connector.type),
                    errdetail("They can be made, and their credentials are kept, but no reader knows how to reach their source yet."),
                    errhint("Types that can be read: %s.", ready)));
}

ReadSource *
read_source(const char *connector, const char *resource, Jsonb *options)
{
    ReadSource *source = read_connector(connector);

    read_require_ready(source);
    read_set_options(source, resource, options);
    ability_check_resource(source->connector.type, source->node.config, raise_complaint, NULL);
    return source;
}

/* ---- a pass ------------------------------------------------------------------ */

/* What compile_fields.c does for a pipeline's columns. */
static void
set_pattern(const ReadSource *source, SourceColumn *column)
{
    column->required = true;
    column->coerce = false;
    column->pattern = NULL;
    if (strcmp(column->name, "_modified_at") == 0)
        return;
    if (column->type == DATEOID)
        column->pattern = json_get_text(source->node.config, "dateFormat");
    else if (column->type == TIMESTAMPOID || column->type == TIMESTAMPTZOID)
        column->pattern = json_get_text(source->node.config, "timestampFormat");
}

/* In the current context, which becomes the reading's. */
static Reading *
create_reading(ReadSource *source, SourceColumn *columns, int ncolumns)
{
    Reading *reading = palloc0(sizeof(Reading));

    reading->context = CurrentMemoryContext;
    reading->source = source;
    reading->asked.node = &source->node;
    reading->asked.columns = columns;
    reading->asked.ncolumns = ncolumns;
    for (int i = 0; i < ncolumns; i++)
        set_pattern(source, &columns[i]);
    reading->cells = cells_create(&reading->asked, false);
    reading->present = palloc0(sizeof(bool) * Max(ncolumns, 1));
    reading->split_context = AllocSetContextCreate(reading->context, "kaireon split", ALLOCSET_SMALL_SIZES);
    return reading;
}

Reading *
reading_open(ReadSource *source, SourceColumn *columns, int ncolumns, int64 row_limit)
{
    MemoryContext old = MemoryContextSwitchTo(AllocSetContextCreate(CurrentMemoryContext, "kaireon reading", ALLOCSET_DEFAULT_SIZES));
    Reading *reading = create_reading(source, columns, ncolumns);
    FetchLimits limits = {row_limit, 0, false};
    List *files;

    reading->link = link_open();
    files = fetch_list_now(reading->link, &source->connector, &source->node);
    fetch_read(reading->link, &source->connector, &reading->asked, files, &limits);
    MemoryContextSwitchTo(old);
    return reading;
}

Reading *
reading_open_file(Link *link, ReadSource *source, FetchObject *file, SourceColumn *columns, int ncolumns, int64 row_limit)
{
    MemoryContext old = MemoryContextSwitchTo(AllocSetContextCreate(CurrentMemoryContext, "kaireon reading", ALLOCSET_DEFAULT_SIZES));
    Reading *reading = create_reading(source, columns, ncolumns);
    FetchLimits limits = {row_limit, 0, false};

    reading->link = link;
    reading->shared = true;
    fetch_read(link, &source->connector, &reading->asked, list_make1(file), &limits);
    MemoryContextSwitchTo(old);
    return reading;
}

/* `File "a.csv", line 3, field "x": "value".`; field and value may be NULL. */
static char *
place_text(const Reading *reading, uint64 line, const char *field, const char *value)
{
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfo(&out, "File \"%s\", line " UINT64_FORMAT, reading->split->place, line);
    if (field)
        appendStringInfo(&out, ", field \"%s\"", field);
    if (value)
        appendStringInfo(&out, ": \"%s\"", reject_shown(value));
    appendStringInfoChar(&out, '.');
    return out.data;
}

/* ---- cells that are no values ------------------------------------------------- */

/* Remembers the first thing that was left out, for the NOTICE. */
static void
note_problem(Reading *reading, const char *message, char *place)
{
    if (reading->first_problem == NULL)
        reading->first_problem = MemoryContextStrdup(reading->context, psprintf("%s (%s)", place, message));
}

static void
note_reject(Reading *reading)
{
    const WireReject *reject = &reading->reject;
    MemoryContext old = MemoryContextSwitchTo(reading->cells->context);

    note_problem(reading, link_text(reject->message), place_text(reading, reject->line, NULL, link_text(reject->raw)));
    MemoryContextSwitchTo(old);
}

/* onError is fail: settles a row's cells, or raises the first error with its place. */
static void
settle_row(Reading *reading, int row)
{
    Cells *cells = reading->cells;
    MemoryContext context = CurrentMemoryContext;
    volatile int column = 0;

    PG_TRY();
    {
        for (; column < cells->ncolumns; column++)
        {
            CellError error;

            if (cells_is_pending(cells, row, column) && !cells_resolve(cells, row, column, 0, &error))
                ereport(ERROR, (errcode(error.sqlstate), errmsg_internal("%s", error.message),
                                error.sqlstate == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE ? errhint("%s", REJECT_ENCODING_HINT) : 0));
        }
    }
    PG_CATCH();
    {
        ErrorData *error;
        char *place;

        MemoryContextSwitchTo(context);
        if (compat_error_must_pass(geterrcode()))
            PG_RE_THROW();
        error = CopyErrorData();
        FlushErrorState();
        place = place_text(reading, cells_line(cells, row), reading->asked.columns[column].name,
                           cells_raw_text(cells, row, column));
        error->detail = error->detail ? psprintf("%s %s", place, error->detail) : place;
        ReThrowError(error);
    }
    PG_END_TRY();
}

/* In `settled`, beside numbers of cells. */
#define ROW_LEFT_OUT (-1)

/* Where settling a batch is; nulled: cells of the row made null so far. */
typedef struct CellPlace { int row; int column; int nulled; } CellPlace;

static void
next_row(CellPlace *at)
{
    at->row++;
    at->column = at->nulled = 0;
}

/* What reading_next finds in `settled` when it comes to the row. */
static void
set_settled(Reading *reading, int row, int what)
{
    if (reading->settled == NULL)
        reading->settled = MemoryContextAllocZero(reading->cells->context, sizeof(int) * reading->cells->nrows);
    reading->settled[row] = what;
}

/* onError is null or skip: what becomes of a bad cell, or of a null its domain refuses; moves `at` to where to go on. */
static void
take_bad_cell(Reading *reading, CellPlace *at, const char *message)
{
    Cells *cells = reading->cells;
    char *value = cells_raw_text(cells, at->row, at->column);

    if (reading->have_reject && (int) reading->reject.before_row <= at->row)
        note_reject(reading);
    note_problem(reading, message,
                 place_text(reading, cells_line(cells, at->row), reading->asked.columns[at->column].name, value));
    if (reading->source->on_error == READ_NULL && !cells->nulls[at->row * cells->ncolumns + at->column])
    {
        /* looked at once more: a domain may refuse the null too */
        cells_make_null(cells, at->row, at->column);
        at->nulled++;
        return;
    }
    set_settled(reading, at->row, ROW_LEFT_OUT);
    next_row(at);
}

static void
settle_cells(Reading *reading, CellPlace *at)
{
    Cells *cells = reading->cells;

    for (; at->row < cells->nrows; next_row(at))
    {
        while (at->row < cells->nrows && cells->pending[at->row] && at->column < cells->ncolumns)
        {
            CellError error;

            if (!cells_is_pending(cells, at->row, at->column) || cells_resolve(cells, at->row, at->column, 0, &error))
                at->column++;
            else
                take_bad_cell(reading, at, error.message);
        }
        if (at->nulled > 0)
            set_settled(reading, at->row, at->nulled);
        CHECK_FOR_INTERRUPTS();
    }
}

typedef struct SettleWork { Reading *reading; CellPlace *at; } SettleWork;

static void
settle_work(void *arg)
{
    SettleWork *work = arg;

    settle_cells(work->reading, work->at);
}

/* settle_cells in a subtransaction; false: an input function raised at that place, go on behind it. */
static bool
guarded_cells(Reading *reading, CellPlace *at)
{
    SettleWork work = {reading, at};
    ErrorData *error = guard_try(settle_work, &work, reading->cells->context);
    MemoryContext old;

    if (error == NULL)
        return true;
    old = MemoryContextSwitchTo(reading->cells->context);
    take_bad_cell(reading, at, error->message);
    MemoryContextSwitchTo(old);
    return false;
}

static void
settle_batch(Reading *reading)
{
    CellPlace at = {0, 0, 0};
    Cells *cells = reading->cells;

    while (at.row < cells->nrows && !cells->pending[at.row])
        at.row++;
    if (at.row == cells->nrows)
        return;
    while (!guarded_cells(reading, &at))
        ;
}

/* What helps with rows that are none, by the format of their file. */
static const char *
reject_hint(const FetchObject *split)
{
    Jsonb *dialect = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(split->dialect[0] == '{' ? split->dialect : "{}")));
    char *format = json_get_text(&dialect->root, "format");

    if (format && strcmp(format, "jsonl") == 0)
        return "\"onError\": \"skip\" leaves out what can't be read; a file that is one value on several lines, or an array, is of \"format\": \"json\".";
    if (format && strcmp(format, "json") == 0)
        return "\"onError\": \"skip\" leaves out what can't be read; \"recordPath\" says which values are rows, and \"columns\" makes fields of those that are no objects.";
    return "\"onError\": \"skip\" leaves out what can't be read; \"shortRows\", \"longRows\", \"quotes\", \"newline\", \"maxFieldBytes\" and \"maxRowBytes\" say how rows are.";
}

/* A row the reader could not split into fields. */
static void
take_reject(Reading *reading)
{
    const WireReject *reject = &reading->reject;

    if (reading->source->on_error == READ_FAIL)
        ereport(ERROR, (errcode(link_sqlstate(reject->sqlstate)), errmsg_internal("%s", link_text(reject->message)),
                        errdetail_internal("%s", place_text(reading, reject->line, NULL, link_text(reject->raw))),
                        errhint("%s", reject_hint(reading->split))));
    note_reject(reading);
    reading->left_out++;
    reading->rejects_left--;
    reading->have_reject = reading->rejects_left > 0 && wire_get_reject(&reading->cells->batch.rejects, &reading->reject);
}

/* ---- batches -------------------------------------------------------------------- */

static void
take_batch(Reading *reading, const LinkMessage *message)
{
    if (reading->split == NULL)
        link_misbehaved("kaireon-reader sent a batch before its file");
    cells_load(reading->cells, message->body, message->length);
    reading->loaded = true;
    reading->next = 0;
    reading->settled = NULL;
    reading->bytes = reading->bytes_before + (int64) reading->cells->batch.header->bytes_read;
    reading->rejects_left = reading->cells->batch.header->nrejects;
    reading->have_reject = reading->rejects_left > 0 && wire_get_reject(&reading->cells->batch.rejects, &reading->reject);
    if (reading->source->on_error != READ_FAIL)
        settle_batch(reading);
}

static void
take_split(Reading *reading, const LinkMessage *message)
{
    MemoryContext old;

    MemoryContextReset(reading->split_context);
    old = MemoryContextSwitchTo(reading->split_context);
    reading->split = fetch_split(message, reading->asked.ncolumns, reading->present);
    MemoryContextSwitchTo(old);
}

/* The next batch; false when the source has ended. */
static bool
receive_batch(Reading *reading)
{
    reading->loaded = false;
    while (reading->link)
    {
        LinkMessage message;
        WireReader r;

        (void) link_receive(reading->link, &message, true);
        switch (message.type)
        {
            case WIRE_BATCH:
                take_batch(reading, &message);
                return true;
            case WIRE_SPLIT:
                take_split(reading, &message);
                break;
            case WIRE_SPLIT_END:
                r = (WireReader){message.body, message.length, 0, false};
                (void) wire_get_u32(&r);
                (void) wire_get_u64(&r);
                reading->bytes = reading->bytes_before += (int64) wire_get_u64(&r);
                if (r.bad)
                    link_misbehaved("kaireon-reader sent the end of a file that can't be read");
                break;
            case WIRE_END:
                reading_close(reading);
                break;
            default:
                link_misbehaved("kaireon-reader sent something else than rows");
        }
    }
    return false;
}

bool
reading_next(Reading *reading)
{
    for (;;)
    {
        while (reading->loaded)
        {
            int row = reading->next;

            if (reading->have_reject && (int) reading->reject.before_row <= row)
            {
                take_reject(reading);
                continue;
            }
            if (row >= reading->cells->nrows)
                break;
            reading->next++;
            if ((row & 255) == 0)
                CHECK_FOR_INTERRUPTS();
            if (reading->settled && reading->settled[row] == ROW_LEFT_OUT)
            {
                reading->left_out++;
                continue;
            }
            if (reading->settled)
                reading->nulled += reading->settled[row];
            if (reading->cells->pending[row] && reading->source->on_error == READ_FAIL)
                settle_row(reading, row);
            reading->row = row;
            reading->rows++;
            return true;
        }
        if (!receive_batch(reading))
            return false;
    }
}

static int64
peak_memory(pid_t pid)
{
    char path[64], line[256];
    FILE *file;
    long kb = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
    file = fopen(path, "r");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) && sscanf(line, "VmHWM: %ld", &kb) != 1)
        ;
    fclose(file);
    return kb;
}

int64
reading_peak(const Reading *reading)
{
    return reading->link ? peak_memory(link_pid(reading->link)) : reading->reader_kb;
}

void
reading_close(Reading *reading)
{
    Link *link = reading->link;
    StringInfoData done;

    if (link == NULL)
        return;
    reading->link = NULL;
    if (!reading->shared)
    {
        reading->reader_kb = peak_memory(link_pid(link));
        link_close(link);
    }
    if (reading->left_out == 0 && reading->nulled == 0)
        return;
    initStringInfo(&done);
    if (reading->left_out > 0)
        appendStringInfo(&done, "left out " INT64_FORMAT " row%s", reading->left_out, reading->left_out == 1 ? "" : "s");
    if (reading->nulled > 0)
        appendStringInfo(&done, "%sread " INT64_FORMAT " cell%s as null", done.len > 0 ? " and " : "", reading->nulled,
                         reading->nulled == 1 ? "" : "s");
    ereport(NOTICE, (errmsg("%s that could not be converted", done.data), errdetail("The first: %s", reading->first_problem)));
}
