/*
 * run_files.c: which of the files that were listed a run reads, and from where on.  See run_state.h.
 *
 * The ledger knows a version of a file by path, size and time.  Where the source
 * has etags a version with another etag is another one, and one that has that
 * of the version that was loaded last is the same, whatever its time: somebody
 * has written the same once more.  What becomes of a file of which another
 * version was loaded is the source node's to say ("changedFiles").
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "pg/errors.h"
#include "pg/json.h"

/* So many files that have changed are named. */
#define CHANGED_SHOWN 10

/*
 * What the ledger has of a file: of this run, else (of an incremental source) as it is now, else,
 * where that is asked for, the version that was loaded last.
 */
#define KNOWN_FILES \
    "SELECT l.place, f.own, f.whole, f.same, f.rows_read, f.next_offset, f.head_hash, f.size, f.modified_at::text, f.etag " \
    "FROM unnest($3, $4, $5, $6) WITH ORDINALITY AS l (path, size, modified_at, etag, place), " \
    "LATERAL (SELECT $8 AND s.run_id = $7 AS own, s.next_offset IS NULL AS whole, v.same, s.rows_read, s.next_offset, s.head_hash, s.size, s.modified_at, s.etag " \
    "FROM kaireon_internal.source_file AS s, LATERAL (SELECT CASE WHEN s.size <> l.size THEN false " \
    "WHEN s.modified_at = l.modified_at THEN s.etag = '' OR l.etag = '' OR s.etag = l.etag WHEN s.etag = '' OR s.etag <> l.etag THEN false " \
    "ELSE NOT EXISTS (SELECT FROM kaireon_internal.source_file AS n WHERE n.pipeline_id = $1 AND n.node_id = $2 AND md5(n.path) = md5(l.path) " \
    "AND n.path = l.path AND n.loaded_at > s.loaded_at) END AS same) AS v WHERE s.pipeline_id = $1 AND s.node_id = $2 AND md5(s.path) = md5(l.path) AND s.path = l.path " \
    "AND ($8 AND s.run_id = $7 OR $9 AND (v.same OR $10)) " \
    "ORDER BY s.run_id = $7 DESC, v.same DESC, s.next_offset DESC NULLS FIRST, s.loaded_at DESC LIMIT 1) AS f ORDER BY l.place"

/* Its columns. */
enum { KNOWN_PLACE = 1, KNOWN_OWN, KNOWN_WHOLE, KNOWN_SAME, KNOWN_ROWS, KNOWN_OFFSET, KNOWN_HASH, KNOWN_SIZE, KNOWN_TIME, KNOWN_ETAG };

/* ---- files of which a part was committed ---------------------------------------------------- */

void
run_refuse_file(const Run *run, const char *path, const char *what)
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
        run_refuse_file(run, part, "is not there any more");
}

/* ---- files that have changed ------------------------------------------------------------------ */

typedef enum ChangedFiles { CHANGED_RELOAD, CHANGED_IGNORE, CHANGED_FAIL } ChangedFiles;

static ChangedFiles
changed_files(const GraphNode *source)
{
    char *policy = json_get_text(source->config, "changedFiles");

    return policy && strcmp(policy, "ignore") == 0 ? CHANGED_IGNORE : policy && strcmp(policy, "fail") == 0 ? CHANGED_FAIL : CHANGED_RELOAD;
}

typedef struct Leaving
{
    const Run *run;
    ChangedFiles policy;
    bool met_part;           /* of a file of which the run has a part */
    StringInfoData changed;  /* files that fail the run: what they were and are */
    int nchanged;
    char *first;             /* path of one */
} Leaving;

static void
append_version(StringInfo out, const char *size, const char *time, const char *etag)
{
    appendStringInfo(out, "%s bytes", size);
    if (strcmp(time, "-infinity") != 0)     /* FETCH_NO_TIME */
        appendStringInfo(out, " of %s", time);
    if (etag[0])
        appendStringInfo(out, ", etag \"%s\"", etag);
}

static void
note_changed(Leaving *leaving, const FetchObject *file, HeapTuple row)
{
    TupleDesc desc = SPI_tuptable->tupdesc;

    if (leaving->nchanged++ == 0)
        leaving->first = file->path;
    if (leaving->nchanged > CHANGED_SHOWN)
        return;
    appendStringInfo(&leaving->changed, "%s\"%s\" had ", leaving->nchanged > 1 ? "\n" : "", file->path);
    append_version(&leaving->changed, SPI_getvalue(row, desc, KNOWN_SIZE), SPI_getvalue(row, desc, KNOWN_TIME), SPI_getvalue(row, desc, KNOWN_ETAG));
    appendStringInfoString(&leaving->changed, " and has ");
    append_version(&leaving->changed, psprintf(INT64_FORMAT, file->size), DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(file->modified))), file->etag);
    appendStringInfoString(&leaving->changed, " now.");
}

static void
refuse_changed(Leaving *leaving)
{
    if (leaving->nchanged == 0)
        return;
    if (leaving->nchanged > CHANGED_SHOWN)
        appendStringInfo(&leaving->changed, "\nSo have %d more.", leaving->nchanged - CHANGED_SHOWN);
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    leaving->nchanged == 1 ? errmsg("file \"%s\" has changed since it was loaded", leaving->first)
                                           : errmsg("%d files have changed since they were loaded", leaving->nchanged),
                    errdetail("%s", leaving->changed.data),
                    errhint("With \"changedFiles\": \"reload\" in the source node they are loaded anew, with \"ignore\" they are left as they were.")));
}

/* ---- what is left ----------------------------------------------------------------------------- */

static bool
known_bool(HeapTuple row, int column)
{
    bool null;

    return DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, column, &null));
}

/* Is another version of the file, which the ledger has, left to be read? */
static bool
is_changed_left(Leaving *leaving, const FetchObject *file, HeapTuple row)
{
    bool whole = known_bool(row, KNOWN_WHOLE), own = known_bool(row, KNOWN_OWN);

    if (own && whole)
        return false;
    if (!whole && (own || leaving->policy == CHANGED_IGNORE))
        run_refuse_file(leaving->run, file->path, "was changed");
    if (leaving->policy == CHANGED_FAIL)
        note_changed(leaving, file, row);
    return leaving->policy != CHANGED_IGNORE;
}

/* Is the file, which the ledger has as `row` says, or not (NULL), left to be read? */
static bool
is_left(void *arg, FetchObject *file, HeapTuple row)
{
    Leaving *leaving = arg;
    bool null;

    if (row == NULL)
        return true;
    if (!known_bool(row, KNOWN_SAME))
        return is_changed_left(leaving, file, row);
    if (known_bool(row, KNOWN_WHOLE))
        return false;
    leaving->met_part = true;
    file->rows = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, KNOWN_ROWS, &null));
    file->from = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, KNOWN_OFFSET, &null));
    file->head_hash = SPI_getvalue(row, SPI_tuptable->tupdesc, KNOWN_HASH);
    return true;
}

List *
run_files_left(Run *run, RunSource *source, List *listed)
{
    const GraphNode *node = source->asked->node;
    Leaving leaving = {.run = run, .policy = changed_files(node)};
    CatalogScope scope;

    if (run->earlier == NULL && !fetch_is_incremental(node))
        return listed;
    initStringInfo(&leaving.changed);
    scope = catalog_begin();
    listed = run_ask_files(run, node, listed, KNOWN_FILES, leaving.policy != CHANGED_RELOAD, is_left, &leaving);
    refuse_changed(&leaving);
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
    if (strcmp(file->path, split->path) != 0)
        link_misbehaved("kaireon-reader began a split that was not asked for");
    split->at = file->at;
    split->claim = file->claim;
    if (file->from == 0)
        return;
    if (strcmp(file->head_hash, split->head_hash) != 0)
        run_refuse_file(run, file->path, "has another content");
    split->from = file->from;
    split->rows = file->rows;
}
