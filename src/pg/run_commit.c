/*
 * run_commit.c: commits before a run's end, and going on from one.  See run_state.h.
 *
 * Such a commit has all that the last one has but the run's end: rows, rejects,
 * dead letters, outbox, counters, and the ledger, in which a file that was not
 * read whole has the byte from which it is left (next_offset).  What the next
 * attempt of the run must know besides is a JSON text in the run's row.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/errors.h"
#include "pg/json.h"
#include "pg/node.h"

/* ---- when ------------------------------------------------------------------------------- */

/* Behind the last row or reject of a batch: where the next one begins, at the earliest. */
static int64
batch_end(const Cells *cells)
{
    WireReader rejects = cells->batch.rejects;
    WireReject reject;
    uint64 last = cells->nrows > 0 ? cells_offset(cells, cells->nrows - 1) : 0;

    for (uint32 i = 0; i < cells->batch.header->nrejects && wire_get_reject(&rejects, &reject); i++)
        last = Max(last, reject.offset);
    if (last >= PG_INT64_MAX)
        link_misbehaved("kaireon-reader sent a place out of range");
    return (int64) last + 1;
}

void
run_batch_done(Run *run, RunSource *source)
{
    if (run->policy != COMMIT_BATCH)
        return;
    source->split->from = source->split->base + batch_end(source->cells);
    if (run->counts.read - run->committed.counts.read >= commit_batch_rows(run->spec->execution_config))
        run_end_load(run, false);
}

void
run_file_done(Run *run)
{
    if (run->policy == COMMIT_FILE)
        run_end_load(run, false);
}

/* ---- what ------------------------------------------------------------------------------- */

NodeCounts *
run_count_nodes(const Run *run)
{
    NodeCounts *nodes = execution_counts(run->execution);

    for (int i = 0; i < run->program->graph->nnodes; i++)
    {
        const NodeCounts *before = &run->committed.nodes[i];

        nodes[i].in += before->in;
        nodes[i].out += before->out;
        nodes[i].filtered += before->filtered;
        nodes[i].merged += before->merged;
        INSTR_TIME_ADD(nodes[i].time, before->time);
    }
    return nodes;
}

/* Of a target the rows that its table got. */
static int64
rows_out(const Run *run, int node)
{
    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (run->program->targets[i].node->ordinal == node)
            return run->committed.nodes[node].out + loader_counts(run->loaders[i])->loaded + loader_counts(run->loaders[i])->updated;
    }
    return run->nodes[node].out;
}

/* What run_restore reads. */
static char *
describe_progress(const Run *run)
{
    const RunCounts *c = &run->counts;
    const Rejects *rejects = run->rejects;
    StringInfoData out;

    initStringInfo(&out);
    appendStringInfo(&out, "{\"rowsRead\":" INT64_FORMAT ",\"rowsLoaded\":" INT64_FORMAT ",\"rowsUpdated\":" INT64_FORMAT
                     ",\"rowsFiltered\":" INT64_FORMAT ",\"rowsMerged\":" INT64_FORMAT ",\"rowsFailed\":" INT64_FORMAT ",\"bytesRead\":" INT64_FORMAT,
                     c->read, c->loaded, c->updated, c->filtered, c->merged, c->failed, c->bytes);
    appendStringInfo(&out, ",\"rejects\":" INT64_FORMAT ",\"conflicts\":" INT64_FORMAT ",\"slow\":" INT64_FORMAT ",\"errors\":%d,\"someGood\":%s,\"nodes\":[",
                     rejects->count, rejects->conflicts, rejects->slow, rejects->earlier + list_length(rejects->kept), rejects->some_good ? "true" : "false");
    for (int i = 0; i < run->program->graph->nnodes; i++)
    {
        const NodeCounts *n = &run->nodes[i];

        appendStringInfo(&out, "%s{\"in\":" INT64_FORMAT ",\"out\":" INT64_FORMAT ",\"filtered\":" INT64_FORMAT ",\"merged\":" INT64_FORMAT
                         ",\"rejected\":" INT64_FORMAT ",\"ms\":%.3f}", i ? "," : "", n->in, rows_out(run, i), n->filtered, n->merged, rejects->per_node[i],
                         record_node_time(run, &run->program->graph->nodes[i]));
    }
    appendStringInfoString(&out, "]}");
    return out.data;
}

void
run_record_commit(Run *run)
{
    Oid types[] = {UUIDOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
    const RunCounts *c = &run->counts;
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id), CStringGetTextDatum(describe_progress(run)), Int64GetDatum(c->read), Int64GetDatum(c->loaded),
                      Int64GetDatum(c->updated), Int64GetDatum(c->skipped), Int64GetDatum(c->filtered), Int64GetDatum(c->merged), Int64GetDatum(c->bytes),
                      Int64GetDatum(c->failed)};

    if (catalog_execute("UPDATE kaireon_internal.run SET commits = commits + 1, progress = $2::jsonb, rows_read = $3, rows_loaded = $4, rows_updated = $5, "
                        "rows_skipped = $6, rows_filtered = $7, rows_merged = $8, bytes_read = $9, rows_failed = $10 WHERE run_id = $1 AND status = 'running'",
                        lengthof(types), types, values, NULL, SPI_OK_UPDATE) != 1)
        record_ended_by_other();
}

void
run_committed(Run *run)
{
    RunCommitted *committed = &run->committed;

    for (int i = 0; i < run->program->graph->nnodes; i++)
    {
        run->nodes[i].out = rows_out(run, i);
        committed->nodes[i] = run->nodes[i];
    }
    committed->commits++;
    committed->counts = run->counts;
    committed->done_bytes = run->done_bytes;
    for (int i = 0; i < run->program->nsources; i++)
    {
        run->sources[i].recorded = list_length(run->sources[i].splits);
        run->sources[i].part_committed = run->sources[i].split != NULL;
    }
    rejects_committed(run->rejects, true);
    run->nodes = committed->nodes;
    run->execution = NULL;
    run->loading = false;
    run_enter(run, STAGE_LOADING);
}

/* ---- going on --------------------------------------------------------------------------- */

static void
restore_node(Run *run, int i, JsonbContainer *node)
{
    NodeCounts *counts = &run->committed.nodes[i];
    char *ms = json_get_text(node, "ms");

    counts->in = json_get_int(node, "in", 0);
    counts->out = json_get_int(node, "out", 0);
    counts->filtered = json_get_int(node, "filtered", 0);
    counts->merged = json_get_int(node, "merged", 0);
    run->rejects->per_node[i] = json_get_int(node, "rejected", 0);
    run->committed.times[i] = ms ? strtod(ms, NULL) : 0;
}

void
run_restore_counts(Run *run)
{
    RunCounts *counts = &run->committed.counts;
    JsonbContainer *earlier = run->earlier ? &run->earlier->root : NULL;

    if (earlier == NULL)
        return;
    counts->read = json_get_int(earlier, "rowsRead", 0);
    counts->loaded = json_get_int(earlier, "rowsLoaded", 0);
    counts->updated = json_get_int(earlier, "rowsUpdated", 0);
    counts->skipped = json_get_int(earlier, "rejects", 0);
    counts->filtered = json_get_int(earlier, "rowsFiltered", 0);
    counts->merged = json_get_int(earlier, "rowsMerged", 0);
    counts->failed = json_get_int(earlier, "rowsFailed", 0);
    counts->bytes = json_get_int(earlier, "bytesRead", 0);
    run->counts = *counts;
}

void
run_restore(Run *run)
{
    int nnodes = run->input.graph->nnodes;
    Rejects *rejects = run->rejects;
    JsonbContainer *earlier = run->earlier ? &run->earlier->root : NULL;

    run->committed.nodes = palloc0(sizeof(NodeCounts) * nnodes);
    run->committed.times = palloc0(sizeof(double) * nnodes);
    run->nodes = run->committed.nodes;
    if (earlier == NULL)
        return;
    rejects->count = json_get_int(earlier, "rejects", 0);
    rejects->conflicts = json_get_int(earlier, "conflicts", 0);
    rejects->slow = json_get_int(earlier, "slow", 0);
    rejects->earlier = (int) json_get_int(earlier, "errors", 0);
    rejects->some_good = json_get_bool(earlier, "someGood", false);
    for (int i = 0; i < nnodes && i < json_count(earlier, "nodes"); i++)
        restore_node(run, i, json_get_object(earlier, "nodes", i));
    rejects_committed(rejects, false);
}
