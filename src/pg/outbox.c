/*
 * outbox.c: what is done outside of the database once a run has committed.  See outbox.h.
 *
 * What a run has claimed (kind "stage") is its own to move: run_staging.c.
 *
 * Two short transactions around each action, none while it is done: one says
 * what is due, one what became of it.
 */
#include "postgres.h"

#include "pg/outbox.h"

#include <time.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/catalog.h"
#include "pg/fetch.h"
#include "pg/guard.h"
#include "pg/injection.h"
#include "pg/json.h"
#include "pg/link.h"
#include "pg/worker.h"

/* So many are looked up at once. */
#define ROUND 500

typedef struct Action Action;

typedef struct ActionKind
{
    const char *name;        /* in the table */
    const char *what;        /* for the log: "could not <what> ..." */
    const char *gone;        /* why there is no connector, for people */
    void (*act) (Link *link, Action *action);            /* raises what went wrong */
    bool (*is_final) (const Action *action, int sqlstate); /* no other attempt would help */
} ActionKind;

struct Action
{
    int64 id;
    const ActionKind *kind;
    char *run_id;
    const ConnectorSpec *connector; /* NULL: it is not the owner's any more, or has gone */
    bool has_connector;      /* there is one, then it is not the owner's */
    FetchObject file;        /* of a call only its path */
    char *target;            /* of a move */
    bool claimed;            /* of a move: the file was moved to a staging folder before it was read */
    Jsonb *request;          /* of a call */
    /* what became of it: */
    char *place;             /* of a move: where the file is */
    FetchObject *found;      /* of one that was claimed, instead of the file that was read */
    FetchAnswer answer;      /* to a call; status 0: none came */
};

/* ---- moves ------------------------------------------------------------------------ */

static void
move_file(Link *link, Action *action)
{
    action->place = fetch_move(link, action->connector, &action->file, action->target);
}

/* A file that is not the one that was read, or is nowhere, will not come back, nor will URLs be moved; all else may be mended. */
static bool
move_is_final(const Action *action, int sqlstate)
{
    return (sqlstate == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE && !action->claimed) || sqlstate == ERRCODE_UNDEFINED_FILE || sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/* What is in the staging folder in the place of the file that was read. */
static void
look_again(Link *link, Action *action)
{
    char *folder = pstrdup(action->file.path), *slash = strrchr(folder, '/');
    ListCell *lc;

    if (slash == NULL)
        return;
    *slash = '\0';
    foreach(lc, fetch_list_folder(link, action->connector, folder))
    {
        if (strcmp(((FetchObject *) lfirst(lc))->path, action->file.path) == 0)
            action->found = lfirst(lc);
    }
}

/* ---- calls ------------------------------------------------------------------------- */

/* What goes to the reader.  Whoever is called knows a repetition by its id: that of Standard Webhooks, and of the draft on idempotency keys. */
static char *
call_request(const Action *action)
{
    JsonbContainer *request = &action->request->root, *headers = json_get_container(request, "headers");
    JsonbIterator *it = JsonbIteratorInit(headers);
    char *id = psprintf("msg_%s_" INT64_FORMAT, action->run_id, action->id);
    bool typed = false;
    StringInfoData out, body;
    JsonbIteratorToken token;
    JsonbValue item;

    initStringInfo(&out);
    initStringInfo(&body);
    appendStringInfoString(&out, "{\"method\":");
    json_append_string(&out, json_get_text(request, "method"));
    appendStringInfo(&out, ",\"headers\":{\"webhook-id\":\"%s\",\"webhook-timestamp\":\"" INT64_FORMAT "\",\"Idempotency-Key\":\"%s\"", id,
                     (int64) time(NULL), id);
    while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
        {
            char *name = json_scalar_text(&item);

            typed = typed || pg_strcasecmp(name, "content-type") == 0;
            appendStringInfoChar(&out, ',');
            json_append_string(&out, name);
            appendStringInfoChar(&out, ':');
        }
        else if (token == WJB_VALUE)
            json_append_value(&out, &item);
    }
    json_append_value(&body, json_get(request, "body"));
    appendStringInfo(&out, "%s},\"body\":", typed ? "" : ",\"Content-Type\":\"application/json\"");
    json_append_string(&out, body.data);
    appendStringInfoChar(&out, '}');
    return out.data;
}

/* Does the answer ask to come again? */
static bool
is_passing(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void
call_webhook(Link *link, Action *action)
{
    FetchAnswer *answer = &action->answer;

    fetch_call(link, action->connector, action->file.path, call_request(action), answer);
    if (answer->status >= 200 && answer->status < 300)
        return;
    ereport(ERROR, (errcode(is_passing(answer->status) ? ERRCODE_CONNECTION_FAILURE : ERRCODE_PROTOCOL_VIOLATION),
                    errmsg("the server answered with status %d%s%s", answer->status, answer->said[0] ? ": " : "", answer->said)));
}

/* What a server does not take, it will not take the next time either. */
static bool
call_is_final(const Action *action, int sqlstate)
{
    return action->answer.status != 0 && !is_passing(action->answer.status);
}

/* ---- the kinds ---------------------------------------------------------------------- */

static const ActionKind kinds[] = {
    {"move", "archive file", "Files are moved through connectors of the pipeline's owner.", move_file, move_is_final},
    {"call", "call webhook", "Webhooks are called through connectors of the pipeline's owner.", call_webhook, call_is_final}};

static const ActionKind *
find_kind(const char *name)
{
    for (int i = 0; i < lengthof(kinds); i++)
    {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    elog(ERROR, "unknown kind of action \"%s\"", name);
}

/* ---- what is due ------------------------------------------------------------------ */

/* The connectors of the last rows looked up, by name: an action more rarely needs another. */
typedef struct Connectors { char *name; const ConnectorSpec *connector; } Connectors;

static const ConnectorSpec *
find_connector(Connectors *last, char *name)
{
    List *findings = NIL;

    if (name == NULL)
        return NULL;
    if (last->name == NULL || strcmp(last->name, name) != 0)
    {
        last->name = name;
        last->connector = catalog_find_connector(name, NULL, &findings);
    }
    return last->connector;
}

/* A row of look_up's, in the current context; *name: the connector's, or NULL. */
static Action *
read_action(HeapTuple row, TupleDesc desc, char **name)
{
    Action *action = palloc0(sizeof(Action));
    bool null;
    Datum value;

    action->id = DatumGetInt64(SPI_getbinval(row, desc, 1, &null));
    *name = SPI_getvalue(row, desc, 2);
    action->has_connector = *name != NULL;
    action->file.path = SPI_getvalue(row, desc, 3);
    action->file.size = DatumGetInt64(SPI_getbinval(row, desc, 4, &null));
    action->file.modified = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &null));
    action->target = SPI_getvalue(row, desc, 6);
    action->file.etag = SPI_getvalue(row, desc, 7);
    action->kind = find_kind(SPI_getvalue(row, desc, 8));
    action->run_id = SPI_getvalue(row, desc, 9);
    value = SPI_getbinval(row, desc, 10, &null);
    action->request = null ? NULL : DatumGetJsonbPCopy(value);
    action->claimed = DatumGetBool(SPI_getbinval(row, desc, 11, &null));
    return action;
}

/* Actions that are due, in `context`: moves first, which are short, then the oldest; of calls those that were tried less often. */
static List *
look_up(const pg_uuid_t *pipeline, OutboxPatience patience, MemoryContext context)
{
    Oid types[] = {UUIDOID, INT4OID, BOOLOID};
    Datum values[] = {UUIDPGetDatum(pipeline), Int32GetDatum(ROUND), BoolGetDatum(patience == OUTBOX_ALL)};
    Connectors last = {NULL, NULL};
    List *actions = NIL, *names = NIL;
    CatalogScope scope;
    ListCell *lc, *name;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("SELECT o.id, c.name, o.path, o.size, o.modified_at, o.target_path, o.etag, o.kind, o.run_id, o.request, o.claimed_path IS NOT NULL FROM kaireon_internal.outbox o "
                    "LEFT JOIN kaireon_internal.connector c ON c.id = o.connector_id "
                    "WHERE o.pipeline_id = $1 AND o.kind <> 'stage' AND o.status = 'pending' AND o.next_attempt_at <= clock_timestamp() AND ($3 OR o.kind <> 'call') "
                    "ORDER BY o.kind = 'call', CASE o.kind WHEN 'call' THEN o.attempts END, o.id LIMIT $2",
                    3, types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < SPI_processed; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(context);
        char *of;

        actions = lappend(actions, read_action(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &of));
        names = lappend(names, of);
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
    MemoryContextSwitchTo(context);
    forboth(lc, actions, name, names)
        ((Action *) lfirst(lc))->connector = find_connector(&last, lfirst(name));
    worker_commit();
    MemoryContextSwitchTo(context);
    return actions;
}

/* ---- doing it ---------------------------------------------------------------------- */

static void
act(Link **link, Action *action, void (*what) (Link *link, Action *action))
{
    if (!action->has_connector)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the connector does not exist any more"), errdetail("%s", action->kind->gone),
                        errhint("kaireon.discard_outbox gives up what can't be done.")));
    if (action->connector == NULL)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the connector is not the pipeline's owner's any more"),
                        errdetail("%s", action->kind->gone),
                        errhint("Give it back with kaireon.change_owner, then call kaireon.retry_outbox.")));
    if (*link == NULL)
        *link = link_open();
    what(*link, action);
}

/* NULL when it was done; else why not.  The link is closed by an error. */
static ErrorData *
attempt(Link **link, Action *action, void (*what) (Link *link, Action *action))
{
    MemoryContext context = CurrentMemoryContext;
    ErrorData *volatile error = NULL;

    PG_TRY();
    {
        act(link, action, what);
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        AbortOutOfAnyTransaction();
        MemoryContextSwitchTo(context);
        if (*link)
            link_close(*link);
        *link = NULL;
    }
    PG_END_TRY();
    return error;
}

static void
note_done(const Action *action)
{
    Oid types[] = {INT8OID, TEXTOID};
    Datum values[] = {Int64GetDatum(action->id), action->place ? CStringGetTextDatum(action->place) : (Datum) 0};
    CatalogScope scope;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("UPDATE kaireon_internal.outbox SET status = 'done', attempts = attempts + 1, done_at = clock_timestamp(), moved_to = $2, "
                    "error_code = NULL, error_message = NULL WHERE id = $1", 2, types, values, action->place ? NULL : " n", SPI_OK_UPDATE);
    catalog_end(scope);
    worker_commit();
}

/* Is a file that was claimed not the one that was read? */
static bool
is_changed(const Action *action, const ErrorData *error)
{
    return action->claimed && action->connector && error->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
}

/* Did nobody answer a call? */
static bool
is_unanswered(const Action *action)
{
    return action->request && action->connector && action->answer.status == 0;
}

static void
note_failed(const Action *action, const ErrorData *error)
{
    Oid types[] = {INT8OID, TEXTOID, TEXTOID, BOOLOID, INT4OID};
    Datum values[] = {Int64GetDatum(action->id), CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
                      CStringGetTextDatum(error->message), BoolGetDatum(action->kind->is_final(action, error->sqlerrcode)), Int32GetDatum(action->answer.wait)};
    CatalogScope scope;

    ereport(LOG, (errcode(error->sqlerrcode), errmsg("could not %s \"%s\": %s", action->kind->what, action->file.path, error->message),
                  error->hint ? errhint("%s", error->hint) : 0));
    worker_begin();
    scope = catalog_begin();
    catalog_execute("SELECT kaireon_internal.outbox_failed($1, $2, $3, $4, $5)", 5, types, values, NULL, SPI_OK_SELECT);
    if (is_unanswered(action))
        catalog_execute("SELECT kaireon_internal.outbox_unanswered($1)", 1, types, values, NULL, SPI_OK_SELECT);
    catalog_end(scope);
    worker_commit();
}

/*
 * A file that was claimed is another than the one that was read: who had it open
 * went on writing, say.  In its folder nobody would look for it, so it becomes a
 * claim again, for the next run.  False: it can't be said what it is, now.
 */
static bool
claim_again(Link **link, Action *action)
{
    Oid types[] = {INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID};
    Datum values[lengthof(types)];
    ErrorData *error = attempt(link, action, look_again);
    CatalogScope scope;

    if (error || action->found == NULL)
        return false;
    ereport(LOG, (errmsg("file \"%s\" has changed since it was read: the next run reads it", action->file.path)));
    worker_begin();
    values[0] = Int64GetDatum(action->id);
    values[1] = Int64GetDatum(action->found->size);
    values[2] = TimestampTzGetDatum(action->found->modified);
    values[3] = CStringGetTextDatum(action->found->etag);
    scope = catalog_begin();
    catalog_execute("UPDATE kaireon_internal.outbox SET kind = 'stage', status = 'staged', path = claimed_path, claimed_path = NULL, target_path = path, moved_to = path, "
                    "size = $2, modified_at = $3, etag = $4, staged_size = $2, staged_modified_at = $3, staged_etag = $4, attempts = 0, error_code = NULL, error_message = NULL "
                    "WHERE id = $1 AND kind = 'move' AND status = 'pending'", lengthof(types), types, values, NULL, SPI_OK_UPDATE);
    catalog_end(scope);
    worker_commit();
    return true;
}

/* What was done is kept for a while, to be looked at. */
static void
forget_old(const pg_uuid_t *pipeline)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(pipeline)};
    CatalogScope scope;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("DELETE FROM kaireon_internal.outbox WHERE pipeline_id = $1 AND status = 'done' AND done_at < clock_timestamp() - interval '30 days'",
                    1, types, values, NULL, SPI_OK_DELETE);
    catalog_end(scope);
    worker_commit();
}

/* False when it was cancelled. */
static bool
work_off(List *actions)
{
    MemoryContext context = CurrentMemoryContext;
    Link *link = NULL;
    bool cancelled = false;
    ListCell *lc;

    foreach(lc, actions)
    {
        Action *action = lfirst(lc);
        ErrorData *error = attempt(&link, action, action->kind->act);

        injection_point("outbox-acted");
        cancelled = error && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
        if (cancelled)
            break;
        if (error == NULL)
            note_done(action);
        else if (!is_changed(action, error) || !claim_again(&link, action))
            note_failed(action, error);
        injection_point("outbox-noted");
        MemoryContextSwitchTo(context);
        if (error && is_unanswered(action)) /* others wait with it: what is due now is looked up anew */
            break;
    }
    if (link)
        link_close(link);
    return !cancelled;
}

void
outbox_work(const pg_uuid_t *pipeline, OutboxPatience patience)
{
    MemoryContext old = CurrentMemoryContext;
    MemoryContext context = AllocSetContextCreate(old, "kaireon outbox", ALLOCSET_DEFAULT_SIZES);
    bool more = true;

    while (more)
    {
        List *actions;

        MemoryContextReset(context);
        MemoryContextSwitchTo(context);
        actions = look_up(pipeline, patience, context);
        if (actions != NIL)
            forget_old(pipeline);
        MemoryContextSwitchTo(context);
        more = actions != NIL && work_off(actions);
        if (actions != NIL && !more)
            QueryCancelPending = InterruptPending = true; /* it was for the run as well */
    }
    MemoryContextSwitchTo(old);
    MemoryContextDelete(context);
}

void
outbox_want_webhooks(const pg_uuid_t *run_id)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(run_id)};

    catalog_execute("SELECT kaireon_internal.want_webhooks($1)", 1, types, values, NULL, SPI_OK_SELECT);
}

static void
want_webhooks(void *arg)
{
    CatalogScope scope = catalog_begin();

    outbox_want_webhooks(arg);
    catalog_end(scope);
}

void
outbox_try_webhooks(const pg_uuid_t *run_id)
{
    ErrorData *error = guard_try_all(want_webhooks, unconstify(pg_uuid_t *, run_id), CurrentMemoryContext);

    if (error)
        ereport(LOG, (errcode(error->sqlerrcode), errmsg("kaireon could not put the webhooks of run %s into the outbox: %s",
                                                         DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id))), error->message)));
}
