/*
 * run_record.c: what a run writes into the catalog about itself.  See run_state.h.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "pg/errors.h"
#include "pg/file_pattern.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/target.h"

void
record_no_pipeline(void)
{
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the pipeline or its version does not exist any more"),
                    errdetail("It was deleted after the run was asked for."),
                    errhint("The view kaireon.pipelines has those there are.")));
    pg_unreachable();
}

void
record_ended_by_other(void)
{
    ereport(ERROR, (errcode(ERRCODE_KAIREON_LEASE_LOST), errmsg("the run was ended by somebody else"),
                    errdetail("Its row in kaireon.runs is final; this one loads nothing."), errhint("See the view kaireon.runs.")));
    pg_unreachable();
}

/* A jsonb of SPI's first row, in the run's context; NULL for null. */
static Jsonb *
take_json(Run *run, int column)
{
    bool null;
    Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null);
    MemoryContext old;
    Jsonb *copy;

    if (null)
        return NULL;
    old = MemoryContextSwitchTo(run->context);
    copy = (Jsonb *) PG_DETOAST_DATUM_COPY(value);
    MemoryContextSwitchTo(old);
    return copy;
}

/* The run was asked for dead letters. */
static void
take_replay(Run *run, Jsonb *filter)
{
    if (filter == NULL)
        return;
    run->replay = MemoryContextAllocZero(run->context, sizeof(Replay));
    run->replay->filter = filter;
}

void
record_earlier(Run *run)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id)};

    if (catalog_execute("SELECT progress FROM kaireon_internal.run WHERE run_id = $1", 1, types, values, NULL, SPI_OK_SELECT) == 1)
        run->earlier = take_json(run, 1);
    run_restore_counts(run);
}

/* Raises 55000 when the files of the ledger that a run is to go on behind may be another run's by now. */
static void
check_not_outrun(const pg_uuid_t *run_id)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(run_id)};

    if (catalog_execute("SELECT since::text FROM kaireon_internal.run AS r, kaireon_internal.run_since(r.run_id) AS since "
                        "WHERE r.run_id = $1 AND r.progress IS NOT NULL AND since IS NOT NULL", 1, types, values, NULL, SPI_OK_SELECT) > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the run can't be resumed"),
                        errdetail("Run %s of the pipeline has begun since its last attempt.", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)),
                        errhint("Run the pipeline anew.")));
}

/* What an attempt that did not commit it has left. */
static void
forget_attempt(Run *run)
{
    Oid types[] = {UUIDOID, INT8OID};
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id), Int64GetDatum(run->earlier ? json_get_int(&run->earlier->root, "errors", 0) : 0)};

    catalog_execute("DELETE FROM kaireon_internal.run_error WHERE run_id = $1 AND ordinal > $2", 2, types, values, NULL, SPI_OK_DELETE);
    if (run->earlier == NULL)
        catalog_execute("DELETE FROM kaireon_internal.run_node WHERE run_id = $1", 1, types, values, NULL, SPI_OK_DELETE);
}

/* A run that waited, for its turn or for its next attempt. */
static void
refuse_stopped(const Run *run, const char *status)
{
    if (strcmp(status, "paused") == 0 || strcmp(status, "archived") == 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("pipeline \"%s\" was %s while its run waited", run->spec->name, status),
                        errdetail("Nothing starts it until somebody resumes it."),
                        errhint("Call kaireon.resume_pipeline, then run it again or call kaireon.resume_run.")));
}

void
record_running(Run *run)
{
    Oid types[] = {UUIDOID, UUIDOID, INT4OID};
    Datum values[3];
    bool null;

    values[0] = UUIDPGetDatum(&run->slot->run_id);
    values[1] = UUIDPGetDatum(&run->spec->id);
    values[2] = Int32GetDatum(MyProcPid);
    /* whoever is dropping it is waited for */
    if (catalog_execute("SELECT status FROM kaireon_internal.pipeline WHERE id = $2 FOR KEY SHARE", 2, types, values, NULL, SPI_OK_SELECT) != 1)
        record_no_pipeline();
    refuse_stopped(run, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
    check_not_outrun(&run->slot->run_id);
    if (catalog_execute("UPDATE kaireon_internal.run SET status = 'running', attempt = attempt + 1, attempt_at = clock_timestamp(), retry_at = NULL, "
                        "started_at = coalesce(started_at, clock_timestamp()), worker_pid = $3, error_code = NULL, error_message = NULL, "
                        "error_detail = NULL, error_hint = NULL, error_node = NULL, commits = CASE WHEN progress IS NULL THEN 0 ELSE commits END "
                        "WHERE run_id = $1 AND status = 'queued' RETURNING options -> 'replay', options @> '{\"dryRun\": true}', queued_at, attempt",
                        3, types, values, NULL, SPI_OK_UPDATE_RETURNING) != 1)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the run is not queued any more"),
                        errdetail("It was cancelled, or ended by another process, before it began."), errhint("Run the pipeline again.")));
    run->dry = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
    run->asked_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &null));
    run->attempt = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4, &null));
    take_replay(run, take_json(run, 1));
    record_earlier(run);
    forget_attempt(run);
    if (catalog_execute("INSERT INTO kaireon_internal.lease AS l (pipeline_id, epoch, run_id) VALUES ($2, 1, $1) "
                        "ON CONFLICT (pipeline_id) DO UPDATE SET epoch = l.epoch + 1, run_id = excluded.run_id RETURNING epoch",
                        2, types, values, NULL, SPI_OK_INSERT_RETURNING) != 1)
        elog(ERROR, "could not take the lease");
    run->epoch = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

/* "append", or of targets that differ "append, upsert", in their order. */
static char *
list_strategies(const Run *run)
{
    StringInfoData out;

    initStringInfo(&out);
    for (int i = 0; i < run->program->ntargets; i++)
    {
        int first = 0;

        while (run_strategy(run, first) != run_strategy(run, i))
            first++;
        if (first == i)
            appendStringInfo(&out, "%s%s", i ? ", " : "", target_strategy_name(run_strategy(run, i)));
    }
    return out.data;
}

void
record_strategies(Run *run)
{
    Oid types[] = {UUIDOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id), CStringGetTextDatum(list_strategies(run))};

    catalog_execute("UPDATE kaireon_internal.run SET loading_strategy = $2 WHERE run_id = $1", 2, types, values, NULL, SPI_OK_UPDATE);
}

void
record_check_lease(Run *run)
{
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id)};
    bool null;

    if (catalog_execute("SELECT epoch FROM kaireon_internal.lease WHERE pipeline_id = $1 FOR UPDATE", 1, types, values, NULL, SPI_OK_SELECT) != 1 ||
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)) != run->epoch)
        ereport(ERROR, (errcode(ERRCODE_KAIREON_LEASE_LOST), errmsg("another run of pipeline \"%s\" has taken over", run->spec->name),
                        errdetail("It began while this one was given up for dead; this one loads nothing."), errhint("See the view kaireon.runs.")));
}

static void
record_file(Run *run, const GraphNode *node, const FetchObject *file, bool whole)
{
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID, INT8OID, INT8OID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(node->id),
                      CStringGetTextDatum(file->path), Int64GetDatum(file->size), TimestampTzGetDatum(file->modified),
                      CStringGetTextDatum(file->etag), CStringGetTextDatum(file->head_hash),
                      CStringGetTextDatum(file->dialect), UUIDPGetDatum(&run->slot->run_id), Int64GetDatum(file->rows), Int64GetDatum(file->from)};

    catalog_execute("INSERT INTO kaireon_internal.source_file (pipeline_id, node_id, path, size, modified_at, etag, head_hash, "
                    "dialect, run_id, rows_read, next_offset) VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, '')::jsonb, $9, $10, $11) "
                    "ON CONFLICT (pipeline_id, node_id, md5(path), size, modified_at, head_hash, etag) DO UPDATE SET run_id = excluded.run_id, "
                    "rows_read = excluded.rows_read, next_offset = excluded.next_offset, dialect = excluded.dialect, loaded_at = now()",
                    11, types, values, whole ? "          n" : NULL, SPI_OK_INSERT);
    if (whole)
        left_out_loaded(run, node, file);
}

void
record_ledger(Run *run)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        const RunSource *source = &run->sources[i];

        for (int file = source->recorded; file < list_length(source->splits); file++)
            record_file(run, source->asked->node, list_nth(source->splits, file), true);
        if (source->split)
            record_file(run, source->asked->node, source->split, false);
    }
}

double
record_node_time(const Run *run, const GraphNode *node)
{
    double earlier = run->committed.times[node->ordinal];

    for (int i = 0; i < run->program->nsources; i++)
    {
        if (run->program->sources[i].node == node)
            return earlier + INSTR_TIME_GET_MILLISEC(run->sources[i].waiting);
    }
    return earlier + INSTR_TIME_GET_MILLISEC(run->nodes[node->ordinal].time);
}

/* Rows a target's table got. */
static int64
loaded_by(const Run *run, const GraphNode *node)
{
    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (run->program->targets[i].node == node)
            return loader_counts(run->loaders[i])->loaded + loader_counts(run->loaders[i])->updated;
    }
    return 0;
}

void
record_nodes(Run *run, bool failed)
{
    Oid types[] = {UUIDOID, INT4OID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, FLOAT8OID, TEXTOID};
    const Graph *graph = run->program->graph;

    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        int64 out = run->nodes[i].out;
        bool reads = node->op->kind == NODE_SOURCE && run->replay == NULL;
        Datum values[9];

        if (node->op->kind == NODE_TARGET)
            out = run->committed.nodes[i].out + (failed ? 0 : loaded_by(run, node));
        values[0] = UUIDPGetDatum(&run->slot->run_id);
        values[1] = Int32GetDatum(i + 1);
        values[2] = CStringGetTextDatum(node->id);
        values[3] = CStringGetTextDatum(node->op->name);
        values[4] = Int64GetDatum(run->nodes[i].in);
        values[5] = Int64GetDatum(out);
        values[6] = Int64GetDatum(run->rejects->per_node[i]);
        values[7] = Float8GetDatum(record_node_time(run, node));
        values[8] = reads ? CStringGetTextDatum(file_pattern_shown(node->config, &run->asked_at)) : (Datum) 0;
        catalog_execute("INSERT INTO kaireon_internal.run_node (run_id, ordinal, node_id, node_type, rows_in, rows_out, rows_rejected, duration_ms, resource) "
                        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (run_id, node_id) DO UPDATE SET rows_in = excluded.rows_in, "
                        "rows_out = excluded.rows_out, rows_rejected = excluded.rows_rejected, duration_ms = excluded.duration_ms",
                        9, types, values, reads ? NULL : "        n", SPI_OK_INSERT);
    }
}

int64
record_rows_before(Run *run, const GraphNode *node, int runs)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID, TEXTOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(node->id), Int32GetDatum(runs)};
    int64 rows = 0;
    bool null;

    if (catalog_execute("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY b.rows_out) FROM (SELECT n.rows_out FROM kaireon_internal.run AS r JOIN kaireon_internal.run_node AS n USING (run_id) "
                        "WHERE r.pipeline_id = $1 AND r.status IN ('success', 'partial') AND r.trigger <> 'replay' AND NOT r.options @> '{\"dryRun\": true}' AND n.node_id = $2 AND n.rows_out > 0 "
                        "ORDER BY r.queued_at DESC LIMIT $3) AS b HAVING count(*) > 0", 3, types, values, NULL, SPI_OK_SELECT) == 1)
        rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    catalog_end(scope);
    return rows;
}

void
record_expiry(Run *run)
{
    Oid types[] = {UUIDOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), Int32GetDatum(run->spec->errors.keep_days)};

    if (run->spec->errors.keep_days > 0)
        catalog_execute("SELECT kaireon_internal.expire_dead_letters($1, $2)", 2, types, values, NULL, SPI_OK_SELECT);
}

/* A run that replaces all rows that the pipeline has loaded has read anew what earlier runs could not load. */
void
record_superseded(Run *run)
{
    Oid types[] = {UUIDOID, UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), UUIDPGetDatum(&run->slot->run_id)};

    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (!target_is_full_refresh(run_strategy(run, i)))
            return;
    }
    catalog_execute("SELECT kaireon_internal.supersede_dead_letters($1, $2)", 2, types, values, NULL, SPI_OK_SELECT);
}

static Datum
optional_text(const char *text, char *null)
{
    *null = text ? ' ' : 'n';
    return text ? CStringGetTextDatum(text) : (Datum) 0;
}

void
record_end(Run *run, const char *status, const ErrorData *error, const char *node)
{
    Oid types[] = {UUIDOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID,
                   INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
    Datum values[15];
    char nulls[16] = "               ";
    const RunCounts *c = &run->counts;

    values[0] = UUIDPGetDatum(&run->slot->run_id);
    values[1] = CStringGetTextDatum(status);
    values[2] = Int64GetDatum(c->read);
    values[3] = Int64GetDatum(c->loaded);
    values[4] = Int64GetDatum(c->updated);
    values[5] = Int64GetDatum(c->failed);
    values[6] = Int64GetDatum(c->skipped);
    values[7] = Int64GetDatum(c->filtered);
    values[8] = Int64GetDatum(c->merged);
    values[9] = Int64GetDatum(c->bytes);
    values[10] = optional_text(error ? unpack_sql_state(error->sqlerrcode) : NULL, &nulls[10]);
    values[11] = optional_text(error ? error->message : NULL, &nulls[11]);
    values[12] = optional_text(error ? error->detail : NULL, &nulls[12]);
    values[13] = optional_text(error ? error->hint : NULL, &nulls[13]);
    values[14] = optional_text(node, &nulls[14]);
    if (catalog_execute("UPDATE kaireon_internal.run SET status = $2, finished_at = clock_timestamp(), rows_read = $3, rows_loaded = $4, "
                        "rows_updated = $5, rows_failed = $6, rows_skipped = $7, rows_filtered = $8, rows_merged = $9, bytes_read = $10, "
                        "error_code = $11, error_message = $12, error_detail = $13, error_hint = $14, error_node = $15, "
                        "progress = CASE WHEN $2 IN ('failed', 'cancelled') THEN progress END "
                        "WHERE run_id = $1 AND status IN ('queued', 'running')",
                        15, types, values, nulls, SPI_OK_UPDATE) != 1)
        record_ended_by_other();
}
