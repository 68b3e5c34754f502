/*
 * engine.c: the functions of kaireon that start, stop and watch runs.
 *
 * run_pipeline asks the database's supervisor through a run slot and waits on
 * its latch; start_pipeline writes a queued row that counts once the caller
 * commits.  The work itself is in run.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

#include "pg/call.h"
#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/control.h"
#include "pg/guard.h"
#include "pg/instance.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/outbox.h"
#include "pg/shortage.h"
#include "pg/standstill.h"
#include "pg/target.h"
#include "pg/upload.h"
#include "pg/worker.h"

extern PGDLLEXPORT Datum kaireon_run_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_run_pipeline);
extern PGDLLEXPORT Datum kaireon_replay_dead_letters(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_replay_dead_letters);
extern PGDLLEXPORT Datum kaireon_upload_csv_text(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_upload_csv_text);
extern PGDLLEXPORT Datum kaireon_upload_csv_bytes(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_upload_csv_bytes);
extern PGDLLEXPORT Datum kaireon_start_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_start_pipeline);
extern PGDLLEXPORT Datum kaireon_cancel_run(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_cancel_run);
extern PGDLLEXPORT Datum kaireon_progress_slots(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_progress_slots);

/* A pipeline someone wants to run, checked. */
typedef struct Wanted
{
    pg_uuid_t id;
    char *name;
    Oid owner;
    int version;
    char *options;
    char upload[CONTROL_UPLOAD]; /* what it loads; empty: what its source has */
} Wanted;

static void
complain_option(void *arg, const char *code, const char *message, const char *hint)
{
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message), errdetail("Found in options."),
                    hint ? errhint("%s", hint) : 0));
}

static void
check_status(const Wanted *wanted)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(&wanted->id), Int32GetDatum(wanted->version)};
    char *status;
    bool null;

    catalog_execute("SELECT status, $2 = 0 OR EXISTS (SELECT FROM kaireon_internal.pipeline_version v WHERE v.pipeline_id = id AND v.version = $2) "
                    "FROM kaireon_internal.pipeline WHERE id = $1", 2, types, values, NULL, SPI_OK_SELECT);
    status = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (strcmp(status, "paused") == 0 || strcmp(status, "archived") == 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("pipeline \"%s\" is %s", wanted->name, status),
                        errdetail("Nothing starts it until somebody resumes it."),
                        errhint("kaireon.resume_pipeline makes it run again.")));
    if (!DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null)))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("pipeline \"%s\" has no version %d", wanted->name, wanted->version),
                        errdetail("Versions are numbered from 1, without gaps."),
                        errhint("The view kaireon.pipeline_versions has them.")));
    catalog_end(scope);
}

/* Which version runs, when the caller did not say. */
static int
running_version(const pg_uuid_t *id)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(id)};
    int version;
    bool null;

    catalog_execute("SELECT coalesce(published_version, draft_version) FROM kaireon_internal.pipeline WHERE id = $1", 1, types, values,
                    NULL, SPI_OK_SELECT);
    version = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    catalog_end(scope);
    return version;
}

/* Raises 22023 for a filter of dead letters that is none. */
static void
check_replay(const Jsonb *options)
{
    JsonbValue *filter = json_get(unconstify(JsonbContainer *, &options->root), "replay");
    Oid types[] = {JSONBOID};
    Datum values[1];

    if (filter == NULL)
        return;
    values[0] = JsonbPGetDatum(JsonbValueToJsonb(filter));
    call_internal("SELECT kaireon_internal.check_dead_letter_filter($1)", 1, types, values);
}

/* The first two arguments of the functions that run a pipeline; NULL: null. */
static char *
name_arg(FunctionCallInfo fcinfo)
{
    return PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
}

static Jsonb *
json_arg(FunctionCallInfo fcinfo)
{
    return PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
}

/* A run that begins anew where another one could go on loads rows again. */
static void
warn_of_resumable(const Wanted *wanted)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(&wanted->id), Int32GetDatum(wanted->version)};

    if (catalog_execute("SELECT run_id, rows FROM kaireon_internal.run_to_resume($1, $2)", 2, types, values, NULL, SPI_OK_SELECT) > 0)
    {
        char *run_id = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

        ereport(WARNING, (errcode(ERRCODE_WARNING), errmsg("pipeline \"%s\" begins anew: it loads again what run %s has committed", wanted->name, run_id),
                          errdetail("That run did not end well, and has left %s rows in the table.", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2)),
                          errhint("kaireon.resume_run('%s') goes on behind them.", run_id)));
    }
    catalog_end(scope);
}

/* What a caller wants to run; name and options may be NULL, which stands for null. */
static void
find_wanted(const char *name, Jsonb *options, Wanted *wanted, bool fresh_is_wrong)
{
    static const JsonKey keys[] = {{"version", JSON_INTEGER, false, NULL}, {"dryRun", JSON_BOOL, false, NULL},
                                   {"replay", JSON_SCALAR | JSON_ARRAY | JSON_OBJECT, false, NULL}, {NULL, 0, false, NULL}};
    bool fresh;

    control_require();
    if (RecoveryInProgress())
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot run a pipeline on a standby server"),
                        errdetail("A run writes, and a standby can't."),
                        errhint("Run it on the primary.")));
    if (!IsUnderPostmaster)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("cannot run a pipeline in single-user mode"),
                        errdetail("A run has a process of its own, which nobody starts here."),
                        errhint("Run it when the server has been started.")));
    catalog_require_read_write("a pipeline's run");
    instance_require();
    if (name == NULL)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the pipeline's name must not be null"),
                        errhint("The view kaireon.pipelines has those there are.")));
    if (options == NULL)
        options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
    if (!JB_ROOT_IS_OBJECT(options))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("options must be a JSON object"),
                        errdetail("It is %s.", JsonbToCString(NULL, &options->root, VARSIZE(options))),
                        errhint("For example: {\"version\": 1}.")));
    json_check(&options->root, keys, "options", complain_option, NULL);
    check_replay(options);
    if (!catalog_find_pipeline(name, &wanted->id, &wanted->owner, &fresh))
        catalog_no_pipeline(name);
    if (!catalog_may_act(GetUserId(), wanted->owner) && !catalog_is_operator(GetUserId()))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for pipeline \"%s\"", name),
                        errdetail("It is another role's, and you are no operator."),
                        errhint("Its owner and members of kaireon_operator may run it.")));
    if (fresh_is_wrong && fresh)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("pipeline \"%s\" was created or changed in this transaction", name),
                        errdetail("It, its connector, its schema or what it has loaded.  A run happens in a session of its own, which can't see it yet."),
                        errhint("Commit first, or use kaireon.start_pipeline, which starts the run at commit.")));
    wanted->name = pstrdup(name);
    wanted->version = (int) json_get_int(&options->root, "version", 0);
    wanted->options = JsonbToCString(NULL, &options->root, VARSIZE(options));
    if (strlen(wanted->options) >= CONTROL_OPTIONS)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("options are too long"),
                        errdetail("They have %zu bytes.", strlen(wanted->options)), errhint("At most %d bytes are kept.", CONTROL_OPTIONS - 1)));
    check_status(wanted);
    if (wanted->version == 0)
        wanted->version = running_version(&wanted->id);
    if (json_get(&options->root, "replay") == NULL && !json_get_bool(&options->root, "dryRun", false))
        warn_of_resumable(wanted);
}

/* The table that a node writes; InvalidOid when it writes none. */
static Oid
written_table(const PipelineSpec *spec, const GraphNode *node)
{
    bool summary = node->op == &node_summarize;
    char *name = json_get_text(node->config, summary ? "collectionSchemaId" : "schema");
    const SchemaSpec *schema = &spec->schema;
    List *findings = NIL;

    if (!summary && node->op->kind != NODE_TARGET)
        return InvalidOid;
    if (name)
        schema = catalog_find_schema(name, spec->schema.relid, false, node, "", &findings);
    if (schema == NULL)
        return InvalidOid;
    return summary ? catalog_load_summary(schema->relid, NULL, node->id, &findings)->relid : schema->relid;
}

/* The tables a pipeline writes; *replaced: those whose rows it replaces as a whole. */
static List *
written_tables(const PipelineSpec *spec, List **replaced)
{
    List *findings = NIL, *tables = NIL;
    Graph *graph = graph_parse(spec->nodes, spec->edges, &findings);

    for (int i = 0; graph && i < graph->nnodes; i++)
    {
        Oid table = written_table(spec, &graph->nodes[i]);

        if (OidIsValid(table))
            tables = list_append_unique_oid(tables, table);
        if (OidIsValid(table) && graph->nodes[i].op->kind == NODE_TARGET && target_is_full_refresh(target_strategy(&graph->nodes[i])))
            *replaced = lappend_oid(*replaced, table);
    }
    return tables;
}

/*
 * A lock of this transaction that the run would wait for, while this waits for
 * the run: nobody would find that deadlock.  RowExclusiveLock does not conflict
 * itself, but rows this transaction has written may have the run's keys.  Of a
 * table that is replaced the run waits for readers, too.
 */
static void
check_own_locks(const Wanted *wanted)
{
    static const LOCKMODE conflicting[] = {AccessShareLock, RowShareLock, ShareUpdateExclusiveLock, RowExclusiveLock, ShareLock, ShareRowExclusiveLock,
                                           ExclusiveLock, AccessExclusiveLock};
    const int harmless = 3;      /* the first of them, where rows are only added */
    PipelineSpec *spec = catalog_load_pipeline(&wanted->id, wanted->version);
    List *replaced = NIL, *tables = written_tables(spec, &replaced);
    LOCKTAG tag;
    ListCell *lc;

    foreach(lc, tables)
    {
        SET_LOCKTAG_RELATION(tag, MyDatabaseId, lfirst_oid(lc));
        for (int i = list_member_oid(replaced, lfirst_oid(lc)) ? 0 : harmless; i < (int) lengthof(conflicting); i++)
        {
            if (compat_lock_held(&tag, conflicting[i]))
                ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                                errmsg(i < harmless ? "this transaction has read the table that pipeline \"%s\" replaces" :
                                       "this transaction has changed or locked the table that pipeline \"%s\" loads", wanted->name),
                                errdetail("The run would wait for this transaction, and this transaction for the run."),
                                errhint("Commit first, or use kaireon.start_pipeline.")));
        }
    }
}

/* ---- waiting for a run --------------------------------------------------------- */

/* This session waits no longer. */
static void
abandon(int code, Datum arg)
{
    RunSlot *slot = (RunSlot *) DatumGetPointer(arg);

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot->waiter = NULL;
    slot->waiter_pid = 0;
    if (slot->state == SLOT_ENDED || !control->launched) /* else a supervisor may be at it */
        slot->state = SLOT_FREE;
    else
    {
        slot->abandoned = true;
        control_cancel(slot);
    }
    LWLockRelease(control->lock);
    (void) control_wake(slot->database);
}

static RunSlot *
request_run(const Wanted *wanted, pg_uuid_t *run_id)
{
    RunSlot *slot;

    *run_id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot = control_take(SLOT_REQUESTED);
    if (slot)
    {
        slot->run_id = *run_id;
        slot->pipeline_id = wanted->id;
        strlcpy(slot->pipeline, wanted->name, CONTROL_NAME);
        slot->owner = wanted->owner;
        slot->version = wanted->version;
        slot->waits = true;
        slot->waiter = MyLatch;
        slot->waiter_pid = MyProcPid;
        strlcpy(slot->options, wanted->options, CONTROL_OPTIONS);
        strlcpy(slot->upload, wanted->upload, CONTROL_UPLOAD);
    }
    LWLockRelease(control->lock);
    if (slot == NULL)
        ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("too many runs are waiting"),
                        errdetail("At most %d runs can be under way or waited for.", CONTROL_RUNS),
                        errhint("kaireon.start_pipeline queues a run without waiting for it.")));
    return slot;
}

/* The run has no row. */
pg_noreturn static void
refuse_unrecorded(const Wanted *wanted, int sqlstate, const char *why)
{
    ereport(ERROR, (errcode(sqlstate), errmsg("could not record a run of pipeline \"%s\": %s", wanted->name, why),
                    errdetail("Nothing was run."),
                    sqlstate == ERRCODE_DISK_FULL ? errhint("Make room on the disk that the file is on, then run the pipeline again.") : 0));
    pg_unreachable();
}

static void
wait_for_run(const Wanted *wanted, RunSlot *slot)
{
    int standstills = 0;     /* found one after the other */
    ShortageLooks looks = {0};
    int refused;
    char failure[CONTROL_FAILURE];

    PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(slot));
    {
        if (!control_wake(MyDatabaseId))
            control_too_many();
        for (;;)
        {
            bool ended;

            LWLockAcquire(control->lock, LW_SHARED);
            ended = slot->state == SLOT_ENDED;
            LWLockRelease(control->lock);
            if (ended)
                break;
            if (standstill_wait(slot, &standstills))
                shortage_look(slot, &looks);
        }
    }
    PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(slot));
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    refused = slot->refused ? slot->failure_code : 0;
    strlcpy(failure, slot->failure, sizeof(failure));
    slot->state = SLOT_FREE;
    slot->waiter = NULL;
    slot->waiter_pid = 0;
    LWLockRelease(control->lock);
    if (refused != 0)
        refuse_unrecorded(wanted, refused, failure);
}

/* The run that run_pipeline is asked for, and what it answers. */
typedef struct Request
{
    char *name;
    bool uploads;            /* the name may also be that of the schema that is loaded */
    Jsonb *options;
    Wanted wanted;
    pg_uuid_t run_id;
    Datum run;
} Request;

static void
refuse_closed(const Wanted *wanted)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("no run of pipeline \"%s\" can begin", wanted->name),
                    errdetail("The database allows no connections, and a worker needs one."),
                    errhint("Use ALTER DATABASE ... ALLOW_CONNECTIONS true, or kaireon.start_pipeline, which queues a run until then.")));
}

/* The pipeline that loads what is uploaded to that name, and nothing of replays. */
static void
find_upload(Request *request)
{
    static const JsonKey keys[] = {{"version", JSON_INTEGER, false, NULL}, {"dryRun", JSON_BOOL, false, NULL}, {NULL, 0, false, NULL}};
    Oid types[] = {REGROLEOID, TEXTOID};
    Datum values[2];

    if (request->options && JB_ROOT_IS_OBJECT(request->options))
        json_check(&request->options->root, keys, "options", complain_option, NULL);
    if (request->name == NULL)
        return; /* refused with the others */
    values[0] = ObjectIdGetDatum(GetUserId());
    values[1] = CStringGetTextDatum(request->name);
    request->name = call_internal("SELECT kaireon_internal.find_upload_pipeline($1, $2)", 2, types, values);
}

static void
look_at_wanted(void *arg)
{
    Request *request = arg;

    if (request->uploads)
        find_upload(request);
    find_wanted(request->name, request->options, &request->wanted, true);
    check_own_locks(&request->wanted);
    if (!worker_can_connect(MyDatabaseId))
        refuse_closed(&request->wanted);
}

/* The run's row as kaireon.run, as it is now whatever this transaction's snapshot. */
static void
read_run(void *arg)
{
    Request *request = arg;
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(&request->run_id)};
    MemoryContext context = CurrentMemoryContext, old;
    CatalogScope scope;
    Datum run;
    bool null;

    if (!catalog_installed())
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("extension kaireon was dropped while pipeline \"%s\" ran", request->wanted.name),
                        errdetail("What the run had not committed was undone."), errhint("CREATE EXTENSION kaireon makes it anew.")));
    scope = catalog_begin();

    PushActiveSnapshot(GetLatestSnapshot());
    if (SPI_execute_with_args("SELECT ROW(r.*)::kaireon.run FROM kaireon.runs r WHERE r.run_id = $1 AND r.status NOT IN ('queued', 'running')", 1, types, values, NULL, true, 0) != SPI_OK_SELECT ||
        SPI_processed != 1)
        refuse_closed(&request->wanted); /* it was closed before anybody took the request, or started the run */
    run = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
    old = MemoryContextSwitchTo(context);
    run = datumCopy(PointerGetDatum(PG_DETOAST_DATUM(run)), false, -1);
    MemoryContextSwitchTo(old);
    PopActiveSnapshot();
    catalog_end(scope);
    request->run = run;
}

/*
 * While it waits it holds no lock on the catalog: whoever wants such a table for
 * himself would wait for it, and the run for him.
 */
static void
begin_waiting(Request *request)
{
    if (worker_is_run())
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a run can't wait for a run"),
                        errdetail("It would keep its locks and a worker, which the other may need."),
                        errhint("kaireon.start_pipeline starts one when this one has committed.")));
    guard_look(look_at_wanted, request, CurrentMemoryContext);
}

static Datum
run_and_wait(char *name, Jsonb *options)
{
    Request request = {.name = name, .options = options};

    begin_waiting(&request);
    wait_for_run(&request.wanted, request_run(&request.wanted, &request.run_id));
    guard_look(read_run, &request, CurrentMemoryContext);
    return request.run;
}

Datum
kaireon_run_pipeline(PG_FUNCTION_ARGS)
{
    PG_RETURN_DATUM(run_and_wait(name_arg(fcinfo), json_arg(fcinfo)));
}

/* The same with the option {"replay": filter}. */
Datum
kaireon_replay_dead_letters(PG_FUNCTION_ARGS)
{
    Jsonb *filter = json_arg(fcinfo);
    char *options = psprintf("{\"replay\": %s}", filter ? JsonbToCString(NULL, &filter->root, VARSIZE(filter)) : "null");
    char *name = name_arg(fcinfo);
    Datum run = run_and_wait(name, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(options))));
    bool null;
    Datum rows = GetAttributeByName(DatumGetHeapTupleHeader(run), "rows_read", &null);

    if (!null && DatumGetInt64(rows) == 0)
        ereport(NOTICE, (errmsg("pipeline \"%s\" has no dead letter that is meant", name), errhint("See view kaireon.dead_letters.")));
    PG_RETURN_DATUM(run);
}

/* ---- loading what the caller hands over -------------------------------------------------- */

static void
drop_upload(int code, Datum path)
{
    upload_drop(DatumGetCString(path));
}

/* While the run is waited for, its reader has the bytes in a temporary file. */
static Datum
upload_and_wait(FunctionCallInfo fcinfo, const char *bytes, size_t length)
{
    Request request = {.name = name_arg(fcinfo), .uploads = true, .options = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2)};
    char *path = request.wanted.upload;

    begin_waiting(&request);
    PG_ENSURE_ERROR_CLEANUP(drop_upload, CStringGetDatum(path));
    {
        upload_keep(bytes, length, path, CONTROL_UPLOAD);
        wait_for_run(&request.wanted, request_run(&request.wanted, &request.run_id));
    }
    PG_END_ENSURE_ERROR_CLEANUP(drop_upload, CStringGetDatum(path));
    upload_drop(path);
    guard_look(read_run, &request, CurrentMemoryContext);
    return request.run;
}

static void
refuse_null_upload(void)
{
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the content must not be null"),
                    errhint("An empty text has no rows.")));
}

Datum
kaireon_upload_csv_text(PG_FUNCTION_ARGS)
{
    text *content;
    char *utf8;

    if (PG_ARGISNULL(1))
        refuse_null_upload();
    content = PG_GETARG_TEXT_PP(1);
    utf8 = pg_server_to_any(VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), PG_UTF8);
    PG_RETURN_DATUM(upload_and_wait(fcinfo, utf8, utf8 == VARDATA_ANY(content) ? VARSIZE_ANY_EXHDR(content) : strlen(utf8)));
}

Datum
kaireon_upload_csv_bytes(PG_FUNCTION_ARGS)
{
    bytea *content;

    if (PG_ARGISNULL(1))
        refuse_null_upload();
    content = PG_GETARG_BYTEA_PP(1);
    PG_RETURN_DATUM(upload_and_wait(fcinfo, VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content)));
}

/* ---- starting without waiting ------------------------------------------------------ */

Datum
kaireon_start_pipeline(PG_FUNCTION_ARGS)
{
    Wanted wanted;
    pg_uuid_t *run_id = palloc(sizeof(pg_uuid_t));
    CatalogScope scope;
    Oid types[] = {UUIDOID, UUIDOID, TEXTOID, INT4OID, OIDOID, TEXTOID};
    Datum values[6];

    find_wanted(name_arg(fcinfo), json_arg(fcinfo), &wanted, false);
    *run_id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
    scope = catalog_begin();
    values[0] = UUIDPGetDatum(run_id);
    values[1] = UUIDPGetDatum(&wanted.id);
    values[2] = CStringGetTextDatum(wanted.name);
    values[3] = Int32GetDatum(wanted.version);
    values[4] = ObjectIdGetDatum(wanted.owner);
    values[5] = CStringGetTextDatum(wanted.options);
    catalog_execute("INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, options, trigger) "
                    "VALUES ($1, $2, $3, $4, $5::regrole, $6::jsonb, CASE WHEN $6::jsonb ? 'replay' THEN 'replay' ELSE 'manual' END)", 6, types, values, NULL, SPI_OK_INSERT);
    catalog_end(scope);
    control_wake_at_commit(MyDatabaseId);
    shortage_tell(wanted.name);
    PG_RETURN_UUID_P(run_id);
}

/* ---- cancelling ---------------------------------------------------------------------- */

static void
check_may_cancel(const pg_uuid_t *run_id)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(run_id)};
    Oid owner;
    bool null;

    if (catalog_execute("SELECT owner::pg_catalog.oid FROM kaireon_internal.run WHERE run_id = $1", 1, types, values, NULL, SPI_OK_SELECT) == 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("run %s does not exist", DatumGetCString(DirectFunctionCall1(uuid_out, values[0]))),
                        errdetail("Nothing is known of it in this database."),
                        errhint("The view kaireon.runs has those there are.")));
    owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    catalog_end(scope);
    if (!catalog_may_act(GetUserId(), owner) && !catalog_is_operator(GetUserId()))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for this run"),
                        errdetail("It is another role's, and you are no operator."),
                        errhint("Its owner and members of kaireon_operator may cancel it.")));
}

/* True when there was something to cancel. */
Datum
kaireon_cancel_run(PG_FUNCTION_ARGS)
{
    pg_uuid_t *run_id = PG_GETARG_UUID_P(0);
    RunSlot *slot;
    bool found = false;

    control_require();
    catalog_require_primary("cancel_run");
    check_may_cancel(run_id);
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot = control_find(run_id);
    if (slot && slot->state != SLOT_ENDED)
    {
        control_cancel(slot);
        found = true;
    }
    LWLockRelease(control->lock);
    if (!found)
    {
        CatalogScope scope = catalog_begin();
        Oid types[] = {UUIDOID};
        Datum values[] = {UUIDPGetDatum(run_id)};

        found = catalog_execute("UPDATE kaireon_internal.run SET status = 'cancelled', finished_at = clock_timestamp(), error_code = '57014', "
                                "error_message = CASE WHEN attempt + looks > 0 THEN 'the run was cancelled' ELSE 'the run was cancelled before it started' END WHERE run_id = $1 AND status = 'queued'",
                                1, types, values, NULL, SPI_OK_UPDATE) == 1;
        if (found)
            outbox_try_webhooks(run_id);
        catalog_end(scope);
    }
    (void) control_wake(MyDatabaseId);
    PG_RETURN_BOOL(found);
}

/* ---- watching ------------------------------------------------------------------------- */

static const char *
stage_name(const RunSlot *slot)
{
    static const char *const names[] = {"starting", "listing", "staging", "opening", "loading", "enriching", "committing", "exchanging"};
    uint32 stage = pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &slot->stage));

    if (slot->state == SLOT_REQUESTED || slot->state == SLOT_QUEUED)
        return slot->looks_at != 0 ? "waiting" : "queued";
    return stage < lengthof(names) ? names[stage] : "loading";
}

static void
put_slot(ReturnSetInfo *result, RunSlot *slot)
{
    Datum values[15];
    bool nulls[15] = {0};

    values[0] = UUIDPGetDatum(&slot->run_id);
    values[1] = CStringGetTextDatum(slot->pipeline);
    values[2] = ObjectIdGetDatum(slot->owner);
    values[3] = CStringGetTextDatum(stage_name(slot));
    values[4] = TimestampTzGetDatum(slot->started_at);
    nulls[4] = slot->started_at == 0;
    values[5] = Int64GetDatum(pg_atomic_read_u64(&slot->bytes_read));
    values[6] = Int64GetDatum(pg_atomic_read_u64(&slot->bytes_total));
    values[7] = Int64GetDatum(pg_atomic_read_u64(&slot->rows_read));
    values[8] = Int64GetDatum(pg_atomic_read_u64(&slot->rows_loaded));
    values[9] = Int64GetDatum(pg_atomic_read_u64(&slot->rows_updated));
    values[10] = Int64GetDatum(pg_atomic_read_u64(&slot->rows_failed));
    values[11] = Int64GetDatum(pg_atomic_read_u64(&slot->rows_skipped));
    values[12] = Int64GetDatum(pg_atomic_read_u64(&slot->rows_filtered));
    values[13] = Int32GetDatum(slot->worker_pid);
    nulls[13] = slot->worker_pid == 0;
    values[14] = TimestampTzGetDatum(slot->looks_at);
    nulls[14] = slot->looks_at == 0;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
kaireon_progress_slots(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

    InitMaterializedSRF(fcinfo, 0);
    if (control == NULL)
        return (Datum) 0;
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];
        RunSlot *copy;

        LWLockAcquire(control->lock, LW_SHARED);
        if (slot->state == SLOT_FREE || slot->state == SLOT_ENDED || slot->database != MyDatabaseId || slot->outbox)
        {
            LWLockRelease(control->lock);
            continue;
        }
        copy = palloc(sizeof(RunSlot));
        memcpy(copy, slot, sizeof(RunSlot));
        LWLockRelease(control->lock);
        put_slot(result, copy);
        pfree(copy);
    }
    return (Datum) 0;
}
