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
                     ",\"rowsFiltered\":" INT64_FORMAT ",\"rowsMerged\":" INT64_FORMAT ",\"bytesRead\":" INT64_FORMAT,
                     c->read, c->loaded, c->updated, c->filtered, c->merged, c->bytes);
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
    Oid types[] = {UUIDOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
    const RunCounts *c = &run->counts;
    Datum values[] = {UUIDPGetDatum(&run->slot->run_id), CStringGetTextDatum(describe_progress(run)), Int64GetDatum(c->read), Int64GetDatum(c->loaded),
                      Int64GetDatum(c->updated), Int64GetDatum(c->skipped), Int64GetDatum(c->filtered), Int64GetDatum(c->merged), Int64GetDatum(c->bytes)};

    if (catalog_execute("UPDATE kaireon_internal.run SET commits = commits + 1, progress = $2::jsonb, rows_read = $3, rows_loaded = $4, rows_updated = $5, "
                        "rows_skipped = $6, rows_filtered = $7, rows_merged = $8, bytes_read = $9, rows_failed = 0 WHERE run_id = $1 AND status = 'running'",
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
    for (int i = 0; i < run->program->nsources; i++)
    {
        run->sources[i].recorded = list_length(run->sources[i].splits);
        run->sources[i].part_committed = run->sources[i].split != NULL;
    }
    rejects_committed(run->rejects);
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
}

/* ---- files ------------------------------------------------------------------------------ */

/* What the ledger has of a file, of this run or (of an incremental source) as it is now. */
#define KNOWN_FILES \
    "SELECT l.place, f.whole, f.same, f.rows_read, f.next_offset, f.head_hash " \
    "FROM unnest($3, $4, $5) WITH ORDINALITY AS l (path, size, modified_at, place), " \
    "LATERAL (SELECT next_offset IS NULL AS whole, size = l.size AND modified_at = l.modified_at AS same, rows_read, next_offset, head_hash " \
    "FROM kaireon_internal.source_file AS s WHERE s.pipeline_id = $1 AND s.node_id = $2 AND md5(s.path) = md5(l.path) AND s.path = l.path " \
    "AND ($7 AND s.run_id = $6 OR $8 AND s.size = l.size AND s.modified_at = l.modified_at) " \
    "ORDER BY s.run_id = $6 DESC, s.next_offset DESC NULLS FIRST LIMIT 1) AS f ORDER BY l.place"

pg_noreturn static void
refuse_file(const Run *run, const char *path, const char *what)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("file \"%s\" %s", path, what),
                    errdetail("An attempt or run before this one has committed a part of it, and it can't be told where the rest begins."),
                    errhint("Put the file back as it was and resume or run again; or remove what was loaded, call kaireon.reset_source_state('%s') and run the pipeline.",
                            run->spec->name)));
    pg_unreachable();
}

/* How many files the run has committed whole, and that a part of another is in the listing. */
static void
take_stock(Run *run, RunSource *source, bool met_part)
{
    Oid types[] = {UUIDOID, TEXTOID, UUIDOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(source->asked->node->id), UUIDPGetDatum(&run->slot->run_id)};
    HeapTuple row;
    char *part;
    bool null;

    catalog_execute("SELECT count(*) FILTER (WHERE next_offset IS NULL), coalesce(sum(size) FILTER (WHERE next_offset IS NULL), 0)::int8, "
                    "max(path) FILTER (WHERE next_offset IS NOT NULL) FROM kaireon_internal.source_file WHERE pipeline_id = $1 AND node_id = $2 AND run_id = $3",
                    lengthof(types), types, values, NULL, SPI_OK_SELECT);
    row = SPI_tuptable->vals[0];
    source->earlier = (int) DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null));
    run->done_bytes += DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &null));
    part = SPI_getvalue(row, SPI_tuptable->tupdesc, 3);
    if (part && !met_part)
        refuse_file(run, part, "is not there any more");
}

typedef struct Leaving { const Run *run; bool met_part; } Leaving;

/* Is the file, which the ledger has as `row` says, or not (NULL), left to be read? */
static bool
is_left(void *arg, FetchObject *file, HeapTuple row)
{
    Leaving *leaving = arg;
    TupleDesc desc;
    bool null;

    if (row == NULL)
        return true;
    desc = SPI_tuptable->tupdesc;
    if (DatumGetBool(SPI_getbinval(row, desc, 2, &null)))
        return false;
    if (!DatumGetBool(SPI_getbinval(row, desc, 3, &null)))
        refuse_file(leaving->run, file->path, "was changed");
    leaving->met_part = true;
    file->rows = DatumGetInt64(SPI_getbinval(row, desc, 4, &null));
    file->from = DatumGetInt64(SPI_getbinval(row, desc, 5, &null));
    file->head_hash = SPI_getvalue(row, desc, 6);
    return true;
}

List *
run_files_left(Run *run, RunSource *source, List *listed)
{
    const GraphNode *node = source->asked->node;
    Leaving leaving = {run, false};
    CatalogScope scope;

    if (run->earlier == NULL && !fetch_is_incremental(node))
        return listed;
    scope = catalog_begin();
    listed = run_ask_files(run, node, listed, KNOWN_FILES, is_left, &leaving);
    if (run->earlier)
        take_stock(run, source, leaving.met_part);
    catalog_end(scope);
    return listed;
}

void
run_begin_file(Run *run, RunSource *source)
{
    const FetchObject *file = list_nth(source->files, list_length(source->splits));
    FetchObject *split = source->split;

    split->number += source->earlier;
    source->part_committed = file->from > 0;
    if (file->from == 0)
        return;
    if (strcmp(file->path, split->path) != 0)
        link_misbehaved("kaireon-reader began a split that was not asked for");
    if (strcmp(file->head_hash, split->head_hash) != 0)
        refuse_file(run, file->path, "has another content");
    split->from = file->from;
    split->rows = file->rows;
}
