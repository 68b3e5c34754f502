/*
 * run_staging.c: files that are moved out of the way before they are read.  See run_state.h.
 *
 * A source with a "stagingFolder" has its run claim each file in the outbox
 * (kind "stage"), in a transaction of its own, before it is moved: so whatever
 * dies behind that, the next attempt or run of the pipeline knows where the file
 * is.  Where it is goes into the claim once all are moved and the folders were
 * listed.  The transaction that loads the file's rows makes of its claim what
 * moves it on to the archive (staging_end).  Until then each run reads it, as
 * the file that it was: path, size, time and etag are those of the listing.
 *
 * The name in the folder is the claim's alone.  So of all who move a file only
 * one finds it there, whoever they are; a name that two claims share would be
 * found by both, since a move that was made before counts as made.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/archive.h"
#include "pg/compat.h"
#include "pg/injection.h"
#include "pg/worker.h"

/* Names have 255 bytes in most places, and one in front of them, as well as a number behind them when they are moved on. */
#define NAME_BYTES 200

typedef struct FileClaim
{
    int64 id;                /* of the outbox */
    char *target;            /* where the file is to be */
    bool earlier;            /* it was claimed before this attempt */
    bool elsewhere;          /* the connector was changed since: its base may be another one */
    bool noted;              /* the outbox has where it is: FetchObject.at */
    char *place;             /* where it is, as whoever has moved it says; NULL: it has gone, or is noted */
} FileClaim;

/* ---- claims of before ------------------------------------------------------------------- */

/* A row of the query in staging_claimed. */
static FetchObject *
read_claim(HeapTuple row, TupleDesc desc)
{
    FetchObject *file = palloc0(sizeof(FetchObject));
    FileClaim *claim = palloc0(sizeof(FileClaim));
    bool null;

    claim->id = DatumGetInt64(SPI_getbinval(row, desc, 1, &null));
    claim->target = SPI_getvalue(row, desc, 2);
    claim->earlier = true;
    file->claim = claim;
    file->path = SPI_getvalue(row, desc, 3);
    file->size = DatumGetInt64(SPI_getbinval(row, desc, 4, &null));
    file->modified = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &null));
    file->etag = SPI_getvalue(row, desc, 6);
    claim->noted = DatumGetBool(SPI_getbinval(row, desc, 7, &null));
    claim->elsewhere = DatumGetBool(SPI_getbinval(row, desc, 12, &null));
    if (!claim->noted)
        return file;
    file->at = palloc0(sizeof(FetchObject));
    file->at->path = SPI_getvalue(row, desc, 8);
    file->at->size = DatumGetInt64(SPI_getbinval(row, desc, 9, &null));
    file->at->modified = DatumGetTimestampTz(SPI_getbinval(row, desc, 10, &null));
    file->at->etag = SPI_getvalue(row, desc, 11);
    return file;
}

static bool
is_same_connector(const Run *run, const RunSource *one, const RunSource *other)
{
    return memcmp(&run_connector(run, one)->auth.connector, &run_connector(run, other)->auth.connector, UUID_LEN) == 0;
}

/* Does no other source read its connector?  Then what was claimed there is for it, whatever the source was called by then (kaireon_internal.find_unread_claims). */
static bool
reads_alone(const Run *run, const RunSource *source)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (&run->sources[i] != source && is_same_connector(run, source, &run->sources[i]))
            return false;
    }
    return true;
}

List *
staging_claimed(Run *run, RunSource *source)
{
    Oid types[] = {UUIDOID, TEXTOID, UUIDOID, BOOLOID, BOOLOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), CStringGetTextDatum(source->asked->node->id), UUIDPGetDatum(&run_connector(run, source)->auth.connector),
                      BoolGetDatum(run->dry), BoolGetDatum(reads_alone(run, source))};
    CatalogScope scope;
    List *claimed = NIL;

    worker_begin();
    scope = catalog_begin();
    /* a dry run, which moves nothing, takes files that are still where they were listed for files that nobody has claimed */
    catalog_execute("SELECT id, target_path, path, size, modified_at, etag, status = 'staged', moved_to, staged_size, staged_modified_at, staged_etag, "
                    "config_hash IS DISTINCT FROM (SELECT md5(c.config::text) FROM kaireon_internal.connector AS c WHERE c.id = $3) "
                    "FROM kaireon_internal.outbox WHERE pipeline_id = $1 AND (node_id = $2 OR $5) AND connector_id = $3 AND kind = 'stage' AND status <> 'done' "
                    "AND NOT ($4 AND status = 'pending') ORDER BY path COLLATE \"C\", id", lengthof(types), types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < SPI_processed; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(run->context);

        claimed = lappend(claimed, read_claim(SPI_tuptable->vals[i], SPI_tuptable->tupdesc));
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
    worker_commit();
    MemoryContextSwitchTo(run->context);
    fetch_order(claimed, source->asked->node);
    return claimed;
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

List *
staging_leave_out(List *claimed, List *listed)
{
    char **taken = palloc(sizeof(char *) * list_length(claimed) * 2);
    size_t ntaken = 0;
    List *left = NIL;
    ListCell *lc;

    if (claimed == NIL)
        return listed;
    foreach(lc, claimed)
    {
        const FetchObject *file = lfirst(lc);

        taken[ntaken++] = file->path;
        taken[ntaken++] = file->at ? file->at->path : file->claim->target; /* the folder may be no staging folder any more */
    }
    qsort(taken, ntaken, sizeof(char *), compare_paths);
    foreach(lc, listed)
    {
        const FetchObject *file = lfirst(lc);

        if (bsearch(&file->path, taken, ntaken, sizeof(char *), compare_paths) == NULL)
            left = lappend(left, lfirst(lc));
    }
    return left;
}

/* ---- whether claims and sources go together ---------------------------------------------- */

/* What the run says of claims that it leaves alone, in run_errors and in the log. */
static void
warn(Run *run, const GraphNode *node, const char *what, const char *hint)
{
    Reject warning = {.kind = REJECT_WARNS, .node = node, .sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, .reason = psprintf("%s (%s)", what, hint)};

    rejects_note(run->rejects, &warning);
    ereport(WARNING, (errcode(warning.sqlstate), errmsg("pipeline \"%s\": %s", run->spec->name, what), errhint("%s", hint)));
}

/* Both would want the files, and get each but once, or not at all. */
pg_noreturn static void
refuse_shared(const RunSource *source, const RunSource *other, const char *path)
{
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("sources \"%s\" and \"%s\" would both read file \"%s\", which the \"stagingFolder\" of \"%s\" takes away", source->asked->node->id,
                           other->asked->node->id, path, source->asked->node->id),
                    errdetail("A file that is moved before it is read is read by one source. No file was claimed or moved."),
                    errhint("Read it with one source and several branches behind that, leave out the staging folders, or choose the files so that each is one source's.")));
    pg_unreachable();
}

/* The files of a source that are moved must be no other's. */
static void
check_shared(const Run *run, const RunSource *source)
{
    char **paths = palloc(sizeof(char *) * Max(list_length(source->listed), 1));
    ListCell *lc;

    foreach(lc, source->listed)
        paths[foreach_current_index(lc)] = ((FetchObject *) lfirst(lc))->path;
    qsort(paths, list_length(source->listed), sizeof(char *), compare_paths);
    for (int i = 0; i < run->program->nsources; i++)
    {
        const RunSource *other = &run->sources[i];

        if (other == source || !is_same_connector(run, source, other))
            continue;
        foreach(lc, other->listed)
        {
            char *path = ((FetchObject *) lfirst(lc))->path;

            if (bsearch(&path, paths, list_length(source->listed), sizeof(char *), compare_paths))
                refuse_shared(source, other, path);
        }
    }
    pfree(paths);
}

/* Claims for a source or connector that the pipeline does not have any more. */
static void
warn_of_unread(Run *run)
{
    Oid types[] = {UUIDOID, JSONBOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), JsonbPGetDatum(run->spec->nodes)};
    CatalogScope scope;

    worker_begin();
    scope = catalog_begin();
    catalog_execute("SELECT node_id, message, hint FROM kaireon_internal.find_unread_claims($1, $2)", lengthof(types), types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < SPI_processed; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        MemoryContext old = MemoryContextSwitchTo(run->context);
        GraphNode *gone = palloc0(sizeof(GraphNode));

        gone->id = SPI_getvalue(row, desc, 1);
        warn(run, gone, SPI_getvalue(row, desc, 2), SPI_getvalue(row, desc, 3));
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
    worker_commit();
    MemoryContextSwitchTo(run->context);
}

void
staging_check(Run *run)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (archive_is_staged(run->sources[i].asked->node))
            check_shared(run, &run->sources[i]);
    }
    warn_of_unread(run);
}

/* ---- claiming ----------------------------------------------------------------------------- */

/* Where a file is to be: a name that no other claim has, and people recognise. */
static char *
make_target(const GraphNode *node, const FetchObject *file)
{
    const char *slash = strrchr(file->path, '/'), *name = slash ? slash + 1 : file->path;
    uint32 number[2];

    if (!pg_strong_random(number, sizeof(number)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
    name = pnstrdup(name, pg_mbcliplen(name, strlen(name), NAME_BYTES));
    return archive_target(node, ARCHIVE_STAGING, psprintf("%08x%08x-%s", number[0], number[1], name), GetCurrentTimestamp());
}

/*
 * Claims files from a place of the list on, in a transaction of its own; returns
 * how many were looked at.  One that is claimed already, for another pipeline, is
 * not.  In the order of their paths, so that two who claim the same wait for one
 * another once at most.
 */
static int
claim_some(Run *run, RunSource *source, List *files, int first)
{
    Oid types[] = {UUIDOID, UUIDOID, TEXTOID, UUIDOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
    Datum values[lengthof(types)] = {UUIDPGetDatum(&run->spec->id), UUIDPGetDatum(&run->slot->run_id), CStringGetTextDatum(source->asked->node->id),
                                     UUIDPGetDatum(&run_connector(run, source)->auth.connector)};
    CatalogScope scope;
    Datum *targets;
    int count;

    worker_begin();
    count = run_file_arrays(files, first, &values[4]);
    targets = palloc(sizeof(Datum) * count);
    for (int i = 0; i < count; i++)
        targets[i] = CStringGetTextDatum(make_target(source->asked->node, list_nth(files, first + i)));
    values[8] = PointerGetDatum(construct_array(targets, count, TEXTOID, -1, false, TYPALIGN_INT));
    scope = catalog_begin();
    record_check_lease(run);
    catalog_execute("WITH l AS (SELECT * FROM unnest($5, $6, $7, $8, $9) WITH ORDINALITY AS u (path, size, modified_at, etag, target_path, place)), "
                    "claimed AS (INSERT INTO kaireon_internal.outbox (kind, pipeline_id, run_id, node_id, connector_id, path, size, modified_at, etag, target_path, config_hash) "
                    "SELECT 'stage', $1, $2, $3, $4, path, size, modified_at, etag, target_path, "
                    "(SELECT md5(c.config::text) FROM kaireon_internal.connector AS c WHERE c.id = $4) FROM l ORDER BY path COLLATE \"C\" "
                    "ON CONFLICT (connector_id, md5(path), size, modified_at, etag) WHERE kind = 'stage' AND status = 'pending' DO NOTHING RETURNING id, target_path) "
                    "SELECT l.place, claimed.id, l.target_path FROM l JOIN claimed USING (target_path)", lengthof(types), types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < SPI_processed; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(run->context);
        FileClaim *claim = palloc0(sizeof(FileClaim));
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        FetchObject *file;
        bool null;

        file = list_nth(files, first + (int) DatumGetInt64(SPI_getbinval(row, desc, 1, &null)) - 1);
        claim->id = DatumGetInt64(SPI_getbinval(row, desc, 2, &null));
        claim->target = SPI_getvalue(row, desc, 3);
        file->claim = claim;
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
    worker_commit();
    MemoryContextSwitchTo(run->context);
    return count;
}

/* All that the source is about to read is claimed, or left out. */
static void
claim_files(Run *run, RunSource *source)
{
    List *files = NIL, *left = NIL;
    ListCell *lc;

    foreach(lc, source->files)
    {
        if (((FetchObject *) lfirst(lc))->claim == NULL)
            files = lappend(files, lfirst(lc));
    }
    for (int first = 0; first < list_length(files);)
        first += claim_some(run, source, files, first);
    foreach(lc, source->files)
    {
        if (((FetchObject *) lfirst(lc))->claim)
            left = lappend(left, lfirst(lc));
    }
    source->files = left;
}

/* ---- moving --------------------------------------------------------------------------------- */

static void
move_files(Run *run, RunSource *source)
{
    List *files = NIL, *targets = NIL, *places = NIL;
    ListCell *lc, *place;

    foreach(lc, source->files)
    {
        FetchObject *file = lfirst(lc);

        if (!file->claim->noted)
        {
            files = lappend(files, file);
            targets = lappend(targets, file->claim->target);
        }
    }
    for (int first = 0; first < list_length(files); first += RUN_FILES_AT_ONCE)
    {
        List *some = list_truncate(list_copy_tail(files, first), RUN_FILES_AT_ONCE);

        places = list_concat(places, fetch_move_all(source->link, run_connector(run, source), some, list_copy_tail(targets, first)));
        CHECK_FOR_INTERRUPTS();
    }
    forboth(lc, files, place, places)
    {
        FileClaim *claim = ((FetchObject *) lfirst(lc))->claim;

        claim->place = lfirst(place);
        if (claim->place && strncmp(claim->place, claim->target, strlen(claim->target)) != 0)
            link_misbehaved("kaireon-reader moved a file to another place than it was asked to");
    }
}

/* ---- where they are ------------------------------------------------------------------------- */

/* Where a claimed file should be. */
static char *
place_of(const FetchObject *file)
{
    return file->claim->noted ? file->at->path : file->claim->place ? file->claim->place : file->claim->target;
}

static int
compare_objects(const void *a, const void *b)
{
    return strcmp((*(FetchObject *const *) a)->path, (*(FetchObject *const *) b)->path);
}

/* What is in the folders in which the claimed files should be, by path. */
typedef struct Staged { FetchObject **objects; size_t count; } Staged;

static Staged
list_folders(Run *run, RunSource *source)
{
    List *folders = NIL, *objects = NIL;
    Staged staged;
    ListCell *lc;

    foreach(lc, source->files)
    {
        char *folder = pstrdup(place_of(lfirst(lc)));
        ListCell *known;
        bool is_known = false;

        *strrchr(folder, '/') = '\0';
        foreach(known, folders)
            is_known |= strcmp(lfirst(known), folder) == 0;
        if (!is_known)
            folders = lappend(folders, folder);
        else
            pfree(folder);
    }
    foreach(lc, folders)
        objects = list_concat(objects, fetch_list_folder(source->link, run_connector(run, source), lfirst(lc)));
    staged = (Staged){palloc(sizeof(FetchObject *) * Max(list_length(objects), 1)), list_length(objects)};
    foreach(lc, objects)
        staged.objects[foreach_current_index(lc)] = lfirst(lc);
    qsort(staged.objects, staged.count, sizeof(FetchObject *), compare_objects);
    return staged;
}

static FetchObject *
find_staged(const Staged *staged, char *path)
{
    FetchObject key = {.path = path}, *asked = &key;
    FetchObject **found = bsearch(&asked, staged->objects, staged->count, sizeof(FetchObject *), compare_objects);

    return found ? *found : NULL;
}

/*
 * The file was found there.  One that is another than it was (who had it open went
 * on writing, or somebody has mended it there) is a new version of the file.
 */
static void
take_found(const Run *run, FetchObject *file, FetchObject *found)
{
    bool changed = file->at ? found->size != file->at->size || found->modified != file->at->modified || strcmp(found->etag, file->at->etag) != 0
                            : found->size != file->size;

    file->claim->noted = file->claim->noted && !changed;
    file->at = found;
    if (!changed)
        return;
    if (file->from > 0)
        run_refuse_file(run, file->path, "was changed");
    file->size = found->size;
    file->modified = found->modified;
    file->etag = found->etag;
}

/* What is to be written of them. */
typedef struct Notes
{
    List *staged;            /* FetchObject * */
    List *gone;
    List *unseen;            /* may still be there */
    const FetchObject *missing; /* the first that was moved and has gone; NULL: none */
} Notes;

/*
 * The file is not there.  One that nobody has moved was taken away before, or
 * written anew; one that may have been is claimed for longer while nothing is
 * seen of the place, which may not be mounted, or the connector is not as it was
 * then.  False: it is not read.
 */
static bool
take_missing(Run *run, RunSource *source, FetchObject *file, bool anything, Notes *notes)
{
    FileClaim *claim = file->claim;

    if (claim->noted || claim->place)
    {
        if (!fetch_skips_failing(source->asked->node))
            notes->missing = notes->missing ? notes->missing : file;
        else if (!claim->noted)  /* opening it fails, as that of any file which is left out */
        {
            file->at = palloc(sizeof(FetchObject));
            *file->at = (FetchObject){.path = claim->place, .size = file->size, .modified = file->modified, .etag = file->etag};
        }
        return true;
    }
    if (file->from > 0)
        run_refuse_file(run, file->path, "is not there any more");
    if (claim->earlier && (claim->elsewhere || !anything))
        notes->unseen = lappend(notes->unseen, file);
    else
        notes->gone = lappend(notes->gone, file);
    return false;
}

/* Which of the claimed files are read, and what the outbox gets to know of them. */
static void
settle(Run *run, RunSource *source, Notes *notes)
{
    Staged staged = list_folders(run, source);
    List *left = NIL;
    ListCell *lc;

    foreach(lc, source->files)
    {
        FetchObject *file = lfirst(lc), *found = find_staged(&staged, place_of(file));

        if (found)
            take_found(run, file, found);
        else if (!take_missing(run, source, file, source->any_listed || staged.count > 0, notes))
            continue;
        if (found && !file->claim->noted)
            notes->staged = lappend(notes->staged, file);
        left = lappend(left, file);
    }
    source->files = left;
}

/* ---- noting it -------------------------------------------------------------------------------- */

static Datum
make_ids(List *files, int first, int count)
{
    Datum *ids = palloc(sizeof(Datum) * count);

    for (int i = 0; i < count; i++)
        ids[i] = Int64GetDatum(((FetchObject *) list_nth(files, first + i))->claim->id);
    return PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static int
note_staged(List *files, int first)
{
    Oid types[] = {INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID};
    Datum values[lengthof(types)];
    List *objects = NIL;
    int count;

    for (int i = first; i < list_length(files) && i < first + RUN_FILES_AT_ONCE; i++)
        objects = lappend(objects, ((FetchObject *) list_nth(files, i))->at);
    count = run_file_arrays(objects, 0, &values[1]);
    values[0] = make_ids(files, first, count);
    (void) run_file_arrays(files, first, &values[5]);
    catalog_execute("UPDATE kaireon_internal.outbox AS o SET status = 'staged', moved_to = n.moved_to, staged_size = n.staged_size, "
                    "staged_modified_at = n.staged_modified_at, staged_etag = n.staged_etag, size = n.size, modified_at = n.modified_at, etag = n.etag "
                    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS n (id, moved_to, staged_size, staged_modified_at, staged_etag, path, size, modified_at, etag) "
                    "WHERE o.id = n.id", lengthof(types), types, values, NULL, SPI_OK_UPDATE);
    return count;
}

static void
forget_gone(List *files)
{
    Oid types[] = {INT8ARRAYOID};
    Datum values[] = {make_ids(files, 0, list_length(files))};

    catalog_execute("DELETE FROM kaireon_internal.outbox WHERE id = ANY ($1)", 1, types, values, NULL, SPI_OK_DELETE);
}

static void
note(Run *run, const Notes *notes)
{
    CatalogScope scope;
    ListCell *lc;

    if (notes->staged == NIL && notes->gone == NIL)
        return;
    worker_begin();
    scope = catalog_begin();
    record_check_lease(run);
    for (int first = 0; first < list_length(notes->staged);)
        first += note_staged(notes->staged, first);
    if (notes->gone)
        forget_gone(notes->gone);
    catalog_end(scope);
    worker_commit();
    MemoryContextSwitchTo(run->context);
    foreach(lc, notes->staged)
        ((FetchObject *) lfirst(lc))->claim->noted = true;
}

pg_noreturn static void
refuse_missing(const Run *run, const FetchObject *file)
{
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FILE), errmsg("file \"%s\" is not in its staging folder any more", file->path),
                    errdetail("It was moved to \"%s\", and its rows were not loaded since.", place_of(file)),
                    errhint("Put it back there and run the pipeline again.  kaireon.discard_outbox('%s') gives up all files of the pipeline that are in staging folders.",
                            run->spec->name)));
    pg_unreachable();
}

/* Files that stay claimed although they were not found. */
static void
warn_of_unseen(Run *run, const RunSource *source, List *files)
{
    const FetchObject *first = linitial(files);
    int count = list_length(files);

    warn(run, source->asked->node, psprintf("%d file%s that earlier runs have claimed, the first \"%s\", can't be found%s", count, count == 1 ? "" : "s", first->path,
                                            first->claim->elsewhere ? " since the connector was changed" : ", nor is anything else"),
         psprintf("%s, or give up the claims with kaireon.discard_outbox('%s').",
                  first->claim->elsewhere ? "Change the connector back and run the pipeline again" : "Look whether the place is mounted", run->spec->name));
}

static void
stage_source(Run *run, RunSource *source)
{
    bool wanted = archive_is_staged(source->asked->node) && run->slot->upload[0] == '\0';
    Notes notes = {NIL, NIL, NIL, NULL};
    bool any = wanted;
    ListCell *lc;

    foreach(lc, source->files)
        any |= ((FetchObject *) lfirst(lc))->claim != NULL;
    if (!any || source->files == NIL)
        return;
    run_enter(run, STAGE_STAGING);
    run_report("moving files to their staging folder");
    if (wanted)
        claim_files(run, source);
    injection_point("staging-claimed");
    move_files(run, source);
    injection_point("staging-moved");
    settle(run, source, &notes);
    injection_point("staging-listed");
    note(run, &notes);
    injection_point("staging-noted");
    if (notes.unseen)
        warn_of_unseen(run, source, notes.unseen);
    if (notes.missing)
        refuse_missing(run, notes.missing);
}

void
run_stage_files(Run *run)
{
    for (int i = 0; i < run->program->nsources && !run->dry; i++)
        stage_source(run, &run->sources[i]);
}

/* ---- claims that are not read ------------------------------------------------------------------- */

void
staging_let_go(Run *run, RunSource *source, List *claimed)
{
    ListCell *lc;
    int place = 0;

    if (run->dry || run->earlier)
        return;
    foreach(lc, claimed)
    {
        const FetchObject *file = lfirst(lc);

        if (place < list_length(source->files) && list_nth(source->files, place) == file)
            place++;
        else if (file->claim->noted)
            archive_not_read(run, source, file);
    }
}

/* ---- the end of a claim ------------------------------------------------------------------------ */

void
staging_end(const Run *run, const RunSource *source, const FetchObject *file, const char *to)
{
    Oid types[] = {INT8OID, TEXTOID, UUIDOID, TEXTOID};
    Datum values[] = {Int64GetDatum(file->claim->id), to ? CStringGetTextDatum(to) : (Datum) 0, UUIDPGetDatum(&run->slot->run_id),
                      CStringGetTextDatum(source->asked->node->id)};

    if (to == NULL)
        catalog_execute("DELETE FROM kaireon_internal.outbox WHERE id = $1 AND kind = 'stage'", 1, types, values, NULL, SPI_OK_DELETE);
    else
        catalog_execute("UPDATE kaireon_internal.outbox SET kind = 'move', status = 'pending', run_id = $3, node_id = $4, claimed_path = path, path = moved_to, size = staged_size, "
                        "modified_at = staged_modified_at, etag = staged_etag, target_path = $2, moved_to = NULL, staged_size = NULL, staged_modified_at = NULL, "
                        "staged_etag = NULL, attempts = 0, next_attempt_at = clock_timestamp(), created_at = now() WHERE id = $1 AND kind = 'stage'",
                        lengthof(types), types, values, NULL, SPI_OK_UPDATE);
}
