/*
 * outbox.c: what is done outside of the database once a run has committed.  See outbox.h.
 *
 * Two short transactions around each action, none while it is done: one says
 * what is due, one what became of it.
 */
#include "postgres.h"

#include "pg/outbox.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/catalog.h"
#include "pg/fetch.h"
#include "pg/injection.h"
#include "pg/link.h"
#include "pg/worker.h"

/* So many are looked up at once. */
#define ROUND 500

/* A file to be moved. */
typedef struct Action
{
    int64 id;
    const ConnectorSpec *connector; /* NULL: it is not the owner's any more, or has gone */
    FetchObject file;
    char *target;
} Action;

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

static char *
copy_text(HeapTuple row, TupleDesc desc, int column, MemoryContext context)
{
    return MemoryContextStrdup(context, SPI_getvalue(row, desc, column));
}

/* Actions that are due, oldest first, in `context`. */
static List *
look_up(const pg_uuid_t *pipeline, MemoryContext context)
{
    Oid types[] = {UUIDOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(pipeline), Int32GetDatum(ROUND)};
    Connectors last = {NULL, NULL};
    List *actions = NIL, *names = NIL;
    CatalogScope scope;
    ListCell *lc, *name;
    bool null;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("SELECT o.id, c.name, o.path, o.size, o.modified_at, o.target_path, o.etag FROM kaireon_internal.outbox o "
                    "LEFT JOIN kaireon_internal.connector c ON c.id = o.connector_id "
                    "WHERE o.pipeline_id = $1 AND o.status = 'pending' AND o.next_attempt_at <= clock_timestamp() ORDER BY o.id LIMIT $2",
                    2, types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < SPI_processed; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        Action *action = MemoryContextAllocZero(context, sizeof(Action));
        MemoryContext old;

        action->id = DatumGetInt64(SPI_getbinval(row, desc, 1, &null));
        action->file.path = copy_text(row, desc, 3, context);
        action->file.size = DatumGetInt64(SPI_getbinval(row, desc, 4, &null));
        action->file.modified = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &null));
        action->target = copy_text(row, desc, 6, context);
        action->file.etag = copy_text(row, desc, 7, context);
        old = MemoryContextSwitchTo(context);
        actions = lappend(actions, action);
        names = lappend(names, SPI_getvalue(row, desc, 2));
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

static char *
move_file(Link **link, const Action *action)
{
    if (action->connector == NULL)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("the connector is not the pipeline's owner's any more"),
                        errdetail("Files are moved through connectors of the pipeline's owner."),
                        errhint("Give it back with kaireon.change_owner, then call kaireon.retry_outbox.")));
    if (*link == NULL)
        *link = link_open();
    return fetch_move(*link, action->connector, &action->file, action->target);
}

/* NULL when it was done, and where the file is; else why not.  The link is closed by an error. */
static ErrorData *
attempt(Link **link, const Action *action, char **place)
{
    MemoryContext context = CurrentMemoryContext;
    ErrorData *volatile error = NULL;

    PG_TRY();
    {
        *place = move_file(link, action);
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
note_done(const Action *action, const char *place)
{
    Oid types[] = {INT8OID, TEXTOID};
    Datum values[] = {Int64GetDatum(action->id), CStringGetTextDatum(place)};
    CatalogScope scope;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("UPDATE kaireon_internal.outbox SET status = 'done', attempts = attempts + 1, done_at = clock_timestamp(), moved_to = $2, "
                    "error_code = NULL, error_message = NULL WHERE id = $1", 2, types, values, NULL, SPI_OK_UPDATE);
    catalog_end(scope);
    worker_commit();
}

/* A file that is not the one that was read, or is nowhere, will not come back; all else may be mended. */
static bool
is_final(int sqlstate)
{
    return sqlstate == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE || sqlstate == ERRCODE_UNDEFINED_FILE;
}

static void
note_failed(const Action *action, const ErrorData *error)
{
    Oid types[] = {INT8OID, TEXTOID, TEXTOID, BOOLOID};
    Datum values[] = {Int64GetDatum(action->id), CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
                      CStringGetTextDatum(error->message), BoolGetDatum(is_final(error->sqlerrcode))};
    CatalogScope scope;

    ereport(LOG, (errcode(error->sqlerrcode), errmsg("could not archive file \"%s\": %s", action->file.path, error->message),
                  error->hint ? errhint("%s", error->hint) : 0));
    worker_begin();
    scope = catalog_begin();
    catalog_execute("SELECT kaireon_internal.outbox_failed($1, $2, $3, $4)", 4, types, values, NULL, SPI_OK_SELECT);
    catalog_end(scope);
    worker_commit();
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
        const Action *action = lfirst(lc);
        char *place = NULL;
        ErrorData *error = attempt(&link, action, &place);

        injection_point("outbox-acted");
        cancelled = error && error->sqlerrcode == ERRCODE_QUERY_CANCELED;
        if (cancelled)
            break;
        if (error)
            note_failed(action, error);
        else
            note_done(action, place);
        injection_point("outbox-noted");
        MemoryContextSwitchTo(context);
    }
    if (link)
        link_close(link);
    return !cancelled;
}

void
outbox_work(const pg_uuid_t *pipeline)
{
    MemoryContext old = CurrentMemoryContext;
    MemoryContext context = AllocSetContextCreate(old, "kaireon outbox", ALLOCSET_DEFAULT_SIZES);
    bool more = true;

    while (more)
    {
        List *actions;

        MemoryContextReset(context);
        MemoryContextSwitchTo(context);
        actions = look_up(pipeline, context);
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
