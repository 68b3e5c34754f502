/*
 * run_row.c: what a supervisor writes into the rows of runs.  See run_row.h.
 */
#include "postgres.h"

#include "pg/run_row.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "pg/catalog.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/instance.h"
#include "pg/outbox.h"
#include "pg/retry.h"
#include "pg/worker.h"

#define ORPHAN_HINT "Nothing of the run was loaded; run the pipeline again."
#define UPLOAD_HINT "What the run has committed stays; call kaireon.upload_csv again with the rest."
#define RESUME_HINT "What the run has committed stays; kaireon.resume_run goes on behind that."

static bool
write_end(const pg_uuid_t *run_id, const char *status, int sqlstate, const char *message, const char *hint)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(run_id), CStringGetTextDatum(status), CStringGetTextDatum(unpack_sql_state(sqlstate)),
                      CStringGetTextDatum(message), hint ? CStringGetTextDatum(hint) : (Datum) 0};

    return catalog_execute("UPDATE kaireon_internal.run SET status = $2, finished_at = clock_timestamp(), error_code = $3, error_message = $4, "
                           "error_hint = $5 WHERE run_id = $1 AND status IN ('queued', 'running')",
                           5, types, values, hint ? "     " : "    n", SPI_OK_UPDATE) == 1;
}

/* What comes of it: another attempt, or webhooks. */
static void
follow_end(const pg_uuid_t *run_id, const char *status, int sqlstate)
{
    if (strcmp(status, "failed") != 0 || !retry_run(run_id, sqlstate))
        outbox_try_webhooks(run_id);
}

bool
run_row_end(const pg_uuid_t *run_id, const char *status, int sqlstate, const char *message, const char *hint)
{
    if (!write_end(run_id, status, sqlstate, message, hint))
        return false;
    follow_end(run_id, status, sqlstate);
    return true;
}

void
run_row_end_orphan(const pg_uuid_t *run_id, int sqlstate, const char *message, const char *hint)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(run_id), CStringGetTextDatum(psprintf("%s" RESUME_HINT, hint)), CStringGetTextDatum(psprintf("%s" UPLOAD_HINT, hint))};

    if (!write_end(run_id, "failed", sqlstate, message, psprintf("%s" ORPHAN_HINT, hint)))
        return;
    catalog_execute("UPDATE kaireon_internal.run SET error_hint = CASE WHEN kaireon_internal.run_reads_uploads($1) THEN $3 ELSE $2 END "
                    "WHERE run_id = $1 AND progress IS NOT NULL", 3, types, values, NULL, SPI_OK_UPDATE);
    follow_end(run_id, "failed", sqlstate);
}

/* One that was left behind.  Who waited for it is gone; a pause between two attempts goes on all the same. */
static void
recover_run(const pg_uuid_t *run_id)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(run_id)};

    catalog_execute("UPDATE kaireon_internal.run SET waits = false WHERE run_id = $1", 1, types, values, NULL, SPI_OK_UPDATE);
    /* what it was to upload is gone, too: why it failed is what is left to say */
    if (catalog_execute("SELECT FROM kaireon_internal.run WHERE run_id = $1 AND status = 'queued' AND retry_at IS NOT NULL AND kaireon_internal.run_reads_uploads($1)",
                        1, types, values, NULL, SPI_OK_SELECT) > 0)
        catalog_execute("UPDATE kaireon_internal.run SET status = 'failed', finished_at = clock_timestamp(), retry_at = NULL WHERE run_id = $1", 1, types, values, NULL, SPI_OK_UPDATE);
    else if (catalog_execute("SELECT FROM kaireon_internal.run WHERE run_id = $1 AND status = 'queued' AND retry_at IS NOT NULL", 1, types, values, NULL, SPI_OK_SELECT) == 0)
        run_row_end_orphan(run_id, ERRCODE_KAIREON_RUN_ORPHANED, "the run was ended by a crash or restart of the server", "");
}

void
run_row_recover(void)
{
    CatalogScope scope;
    uint64 count;
    pg_uuid_t *ids;

    worker_begin();
    if (!instance_confirmed())
    {
        worker_commit();
        return;
    }
    instance_follow();
    scope = catalog_begin();
    count = catalog_execute("SELECT run_id FROM kaireon_internal.run WHERE status = 'running' OR (status = 'queued' AND waits)",
                            0, NULL, NULL, NULL, SPI_OK_SELECT);
    ids = palloc(sizeof(pg_uuid_t) * Max(count, 1));
    for (uint64 i = 0; i < count; i++)
    {
        bool null;

        ids[i] = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
    }
    for (uint64 i = 0; i < count; i++)
    {
        bool known;

        LWLockAcquire(control->lock, LW_SHARED);
        known = control_find(&ids[i]) != NULL;
        LWLockRelease(control->lock);
        if (!known)
            recover_run(&ids[i]);
    }
    catalog_end(scope);
    worker_commit();
}

/* A session's request; it may be cancelled by now. */
typedef struct Request { const RunSlot *slot; bool gone; } Request;

static void
insert_row(void *arg)
{
    const RunSlot *slot = ((Request *) arg)->slot;
    bool cancelled = ((Request *) arg)->gone;
    CatalogScope scope;
    Oid types[] = {UUIDOID, UUIDOID, TEXTOID, INT4OID, OIDOID, TEXTOID, TEXTOID};
    Datum values[7];

    scope = catalog_begin();
    values[0] = UUIDPGetDatum(&slot->run_id);
    values[1] = UUIDPGetDatum(&slot->pipeline_id);
    values[2] = CStringGetTextDatum(slot->pipeline);
    values[3] = Int32GetDatum(slot->version);
    values[4] = ObjectIdGetDatum(slot->owner);
    values[5] = CStringGetTextDatum(slot->options);
    values[6] = CStringGetTextDatum(cancelled ? "cancelled" : "queued");
    catalog_execute("INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, options, trigger, waits, status, finished_at, error_code, error_message) "
                    "SELECT $1, $2, coalesce((SELECT name FROM kaireon_internal.pipeline WHERE id = $2), $3), $4, "
                    "coalesce((SELECT owner FROM kaireon_internal.pipeline WHERE id = $2), $5::regrole), $6::jsonb, CASE WHEN $6::jsonb ? 'replay' THEN 'replay' ELSE 'manual' END, true, $7, "
                    "CASE $7 WHEN 'cancelled' THEN clock_timestamp() END, CASE $7 WHEN 'cancelled' THEN '57014' END, "
                    "CASE $7 WHEN 'cancelled' THEN 'the run was cancelled before it started' END "
                    "ON CONFLICT (run_id) DO NOTHING", /* a supervisor that ended just behind this had made it */
                    7, types, values, NULL, SPI_OK_INSERT);
    if (cancelled)
        outbox_try_webhooks(&slot->run_id);
    catalog_end(scope);
}

void
run_row_make(RunSlot *slot, bool gone)
{
    Request request = {slot, gone};
    ErrorData *error;

    worker_begin();
    error = guard_try_all(insert_row, &request, CurrentMemoryContext);
    if (error)
    {
        ereport(LOG, (errcode(error->sqlerrcode), errmsg("kaireon could not record a run of pipeline \"%s\": %s", slot->pipeline, error->message)));
        strlcpy(slot->failure, error->message, CONTROL_FAILURE);
        slot->failure_code = error->sqlerrcode;
        slot->refused = true;
    }
    worker_commit();
}
