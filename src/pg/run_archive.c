/*
 * run_archive.c: what becomes of a run's files.  See run_state.h and archive.h.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "pg/archive.h"
#include "pg/errors.h"

static const GraphNode *
archive_node(const Run *run, const RunSource *source)
{
    return archive_of(run->input.graph, source->asked->node);
}

/* The file is to go to the node's folder, if it has one for that case.  One that was claimed is not any more; without such a folder one that fails still is. */
static void
want_moved(const Run *run, const RunSource *source, const FetchObject *file, bool success)
{
    const ConnectorSpec *connector = source->asked->connector ? source->asked->connector : &run->spec->connector;
    const GraphNode *node = archive_node(run, source);
    char *target = node ? archive_target(node, success ? ARCHIVE_SUCCESS : ARCHIVE_FAILURE, file->path, GetCurrentTimestamp()) : NULL;
    Oid types[] = {UUIDOID, UUIDOID, TEXTOID, UUIDOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID};
    Datum values[9];

    if (file->claim && (target || success))
        staging_end(run, source, file, target);
    if (target == NULL || file->claim)
        return;
    values[0] = UUIDPGetDatum(&run->spec->id);
    values[1] = UUIDPGetDatum(&run->slot->run_id);
    values[2] = CStringGetTextDatum(node->id);
    values[3] = UUIDPGetDatum(&connector->auth.connector);
    values[4] = CStringGetTextDatum(file->path);
    values[5] = CStringGetTextDatum(target);
    values[6] = Int64GetDatum(file->size);
    values[7] = TimestampTzGetDatum(file->modified);
    values[8] = CStringGetTextDatum(file->etag ? file->etag : "");
    catalog_execute("INSERT INTO kaireon_internal.outbox (pipeline_id, run_id, node_id, connector_id, path, target_path, size, modified_at, etag) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", 9, types, values, NULL, SPI_OK_INSERT);
}

void
archive_loaded(Run *run)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        const RunSource *source = &run->sources[i];

        for (int file = source->recorded; file < list_length(source->splits); file++)
            want_moved(run, source, list_nth(source->splits, file), true);
    }
}

/* Is it what the file holds that failed the run?  Another try may have more luck with a lock, a connection or a full disk. */
static bool
is_about_data(int sqlstate)
{
    int category = ERRCODE_TO_CATEGORY(sqlstate);

    return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION || sqlstate == ERRCODE_KAIREON_ALL_BAD;
}

void
archive_failed(Run *run, int sqlstate)
{
    /* a run that has a part of the file goes on with the rest where the file is */
    if (run->reading && run->reading->split && !run->reading->part_committed && is_about_data(sqlstate))
        want_moved(run, run->reading, run->reading->split, false);
}

void
archive_left_out(Run *run, const RunSource *source, const FetchObject *file, int sqlstate)
{
    if (file->from == 0 && is_about_data(sqlstate))
        want_moved(run, source, file, false);
}

void
archive_not_read(Run *run, const RunSource *source, const FetchObject *file)
{
    want_moved(run, source, file, true);
}

static bool
is_not_found(void *arg, FetchObject *file, HeapTuple row)
{
    return row == NULL;
}

List *
archive_not_waiting(Run *run, const RunSource *source, List *listed)
{
    CatalogScope scope;

    if (archive_node(run, source) == NULL)
        return listed;
    scope = catalog_begin();
    listed = run_ask_files(run, source->asked->node, listed,
                           "SELECT l.place FROM unnest($3, $4, $5, $6) WITH ORDINALITY AS l (path, size, modified_at, etag, place), "
                           "LATERAL (SELECT FROM kaireon_internal.outbox AS o WHERE o.pipeline_id = $1 AND o.kind = 'move' AND md5(o.path) = md5(l.path) AND o.path = l.path "
                           "AND o.size = l.size AND o.modified_at = l.modified_at AND o.status <> 'done' LIMIT 1) AS waits ORDER BY l.place",
                           false, is_not_found, NULL);
    catalog_end(scope);
    return listed;
}
