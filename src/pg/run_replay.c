/*
 * run_replay.c: a run whose rows are dead letters.  See run_state.h.
 *
 * A letter's record goes to a reader, which makes a row of it as it does of a
 * file's, and that takes the same way as any other.  So a letter is loaded as it
 * would be if its file were read again.  That is so only where what becomes of
 * a row does not depend on the others: letters of a source whose rows meet
 * others in a node (deduplicate, aggregate, join) are left alone.
 *
 * Which letters there are is found once, when the load begins, and kept in a
 * tuplestore; some at a time are locked and sent.  Those that can't be loaded
 * again are changed as they are found out (dead_letter.c), all others are
 * deleted at the end: in the transaction that loads them.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/injection.h"
#include "pg/json.h"
#include "pg/node.h"

/* Letters that are sent at once: so many, or of so many bytes. */
#define CHUNK_LETTERS 1000
#define CHUNK_BYTES (4 * 1024 * 1024)

/* A source's letters. */
typedef struct ReplaySource
{
    Tuplestorestate *ids;    /* of all, in their order; with about how many bytes each has */
    TupleTableSlot *slot;
    int64 sent[CHUNK_LETTERS]; /* ids of those that a reader has */
    int nsent;
    int nback;               /* of these, how many have come back as rows */
} ReplaySource;

/* ---- which letters can be replayed ------------------------------------------------------ */

/* The node in which rows of the stage meet others; NULL: none. */
static const GraphNode *
find_obstacle(const Program *program, const ProgramStage *stage)
{
    for (int i = 0; i < stage->nlanes; i++)
    {
        const ProgramInput *input = stage->lanes[i].input;
        const ProgramStage *next = input ? &program->stages[input->stage] : NULL;
        const GraphNode *obstacle;

        if (next && !next->set->row_by_row)
            return next->feed;
        if (next && (obstacle = find_obstacle(program, next)) != NULL)
            return obstacle;
    }
    return NULL;
}

static RunSource *
find_source(Run *run, const char *node)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (strcmp(run->program->sources[i].node->id, node) == 0)
            return &run->sources[i];
    }
    return NULL;
}

static const ProgramStage *
stage_of(const Run *run, const RunSource *source)
{
    for (int i = 0; i < run->program->nstages; i++)
    {
        if (run->program->stages[i].source == source->asked)
            return &run->program->stages[i];
    }
    elog(ERROR, "a source has no stage");
}

/* Letters of one source node, by whether they can be replayed at all. */
typedef struct Chosen { char *node; int64 records; int64 cut; int64 rows; } Chosen;

/* Some of the letters stay: says why. */
static void
leave(Run *run, const GraphNode *node, List **reasons, char *reason)
{
    Reject note = {.kind = REJECT_WARNS, .node = node ? node : &run->input.graph->nodes[0], .sqlstate = ERRCODE_FEATURE_NOT_SUPPORTED, .reason = reason};

    rejects_note(run->rejects, &note);
    *reasons = lappend(*reasons, reason);
}

/* The number of letters of the group that will be replayed. */
static int64
judge(Run *run, const Chosen *chosen, List **reasons)
{
    RunSource *source = find_source(run, chosen->node);
    const GraphNode *node = source ? source->asked->node : NULL, *obstacle = source ? find_obstacle(run->program, stage_of(run, source)) : NULL;

    if (chosen->rows > 0)
        leave(run, node, reasons, psprintf(INT64_FORMAT " dead letters are rows that a node made of several, and no records of source \"%s\"", chosen->rows, chosen->node));
    if (chosen->cut > 0)
        leave(run, node, reasons, psprintf(INT64_FORMAT " dead letters of source \"%s\" have only the beginning of a record", chosen->cut, chosen->node));
    if (chosen->records == 0)
        return 0;
    if (source == NULL)
        leave(run, NULL, reasons, psprintf(INT64_FORMAT " dead letters are of source \"%s\", which version %d of the pipeline does not have",
                                           chosen->records, chosen->node, run->spec->version));
    else if (obstacle)
        leave(run, obstacle, reasons, psprintf("for " INT64_FORMAT " dead letters of source \"%s\" node \"%s\" (%s) would need the rows that were loaded before",
                                               chosen->records, chosen->node, obstacle->id, obstacle->op->name));
    else
    {
        source->replayed = palloc0(sizeof(ReplaySource));
        return chosen->records;
    }
    return 0;
}

/* What the filter chooses, by source node. */
static List *
count_chosen(Run *run)
{
    Oid types[] = {UUIDOID, JSONBOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), JsonbPGetDatum(run->replay->filter)};
    CatalogScope scope = catalog_begin();
    List *groups = NIL;
    uint64 count = catalog_execute("SELECT source_node, count(*) FILTER (WHERE kind IN ('record', 'raw')), count(*) FILTER (WHERE kind = 'cut'), "
                                   "count(*) FILTER (WHERE kind = 'row') FROM kaireon_internal.chosen_dead_letters($1, $2) GROUP BY 1 ORDER BY 1",
                                   2, types, values, NULL, SPI_OK_SELECT);

    for (uint64 i = 0; i < count; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(run->context);
        Chosen *chosen = palloc(sizeof(Chosen));
        bool null;

        chosen->node = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
        chosen->records = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &null));
        chosen->cut = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &null));
        chosen->rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &null));
        groups = lappend(groups, chosen);
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
    return groups;
}

void
replay_prepare(Run *run)
{
    List *groups = count_chosen(run), *reasons = NIL;
    StringInfoData detail;
    int64 possible = 0;
    ListCell *lc;

    MemoryContextSwitchTo(run->context);
    foreach(lc, groups)
        possible += judge(run, lfirst(lc), &reasons);
    if (possible > 0 || groups == NIL)
        return;
    initStringInfo(&detail);
    foreach(lc, reasons)
        appendStringInfo(&detail, "%s%s", lc == list_head(reasons) ? "" : "; ", (char *) lfirst(lc));
    detail.data[0] = pg_toupper(detail.data[0]);
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("none of the dead letters can be replayed"), errdetail("%s.", detail.data),
                    errhint("Mend the source and run the pipeline; kaireon.purge_dead_letters throws letters away.")));
}

/* ---- finding them ----------------------------------------------------------------------- */

static TupleDesc
ids_desc(void)
{
    TupleDesc desc = CreateTemplateTupleDesc(2);

    TupleDescInitEntry(desc, 1, "id", INT8OID, -1, 0);
    TupleDescInitEntry(desc, 2, "bytes", INT8OID, -1, 0);
    return desc;
}

/* The ids come through a cursor: there may be more of them than memory should hold. */
static void
find_letters(Run *run, RunSource *source)
{
    ReplaySource *replayed = source->replayed;
    Oid types[] = {UUIDOID, JSONBOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(&run->spec->id), JsonbPGetDatum(run->replay->filter), CStringGetTextDatum(source->asked->node->id)};
    CatalogScope scope;
    Portal cursor;

    replayed->ids = tuplestore_begin_heap(true, false, work_mem);
    replayed->slot = MakeSingleTupleTableSlot(ids_desc(), &TTSOpsMinimalTuple);
    scope = catalog_begin();
    cursor = SPI_cursor_open_with_args(NULL, "SELECT c.id, (SELECT CASE WHEN pg_column_size(d.record) < 2000 THEN 2000 "
                                       "ELSE octet_length(d.record::text) + 2 * COALESCE(octet_length(d.raw), 0) END::int8 "
                                       "FROM kaireon_internal.dead_letter AS d WHERE d.id = c.id) "
                                       "FROM kaireon_internal.chosen_dead_letters($1, $2) WITH ORDINALITY AS c (id, source_node, kind, place) "
                                       "WHERE c.source_node = $3 AND c.kind IN ('record', 'raw') ORDER BY c.place",
                                       3, types, values, NULL, true, 0);
    for (;;)
    {
        SPI_cursor_fetch(cursor, true, CHUNK_LETTERS);
        if (SPI_processed == 0)
            break;
        for (uint64 i = 0; i < SPI_processed; i++)
            tuplestore_puttuple(replayed->ids, SPI_tuptable->vals[i]);
        SPI_freetuptable(SPI_tuptable);
        CHECK_FOR_INTERRUPTS();
    }
    SPI_cursor_close(cursor);
    catalog_end(scope);
}

void
replay_begin(Run *run)
{
    run_begin_load(run);
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (run->sources[i].replayed)
            find_letters(run, &run->sources[i]);
    }
}

/* The next ids, in the order in which they are to be replayed; 0: there are no more. */
static int
next_ids(ReplaySource *replayed, Datum *ids, int64 most_bytes)
{
    int count = 0;
    int64 bytes = 0;
    bool null;

    while (count < CHUNK_LETTERS && bytes < most_bytes && tuplestore_gettupleslot(replayed->ids, true, false, replayed->slot))
    {
        ids[count++] = slot_getattr(replayed->slot, 1, &null);
        bytes += DatumGetInt64(slot_getattr(replayed->slot, 2, &null));
    }
    return count;
}

static Datum
id_array(Datum *ids, int count)
{
    return PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* ---- sending them ----------------------------------------------------------------------- */

static char *
json_column(HeapTuple row, int column, bool *null)
{
    Datum value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, null);
    Jsonb *json;

    if (*null)
        return NULL;
    json = DatumGetJsonbP(value);
    return JsonbToCString(NULL, &json->root, VARSIZE(json));
}

/* One letter for the reader, as wire.h has it. */
static void
append_letter(StringInfo out, HeapTuple row, bool first)
{
    TupleDesc desc = SPI_tuptable->tupdesc;
    bool null, raw = SPI_getvalue(row, desc, 6)[1] == 'a', whole;

    /* a record that is a JSON text goes as such, so that its format reads it */
    (void) SPI_getbinval(row, desc, 9, &null);
    whole = !raw && !null;
    appendStringInfo(out, "%s{\"id\":\"%s\",\"path\":", first ? "" : ",", SPI_getvalue(row, desc, 1));
    json_append_string(out, SPI_getvalue(row, desc, 2));
    appendStringInfo(out, ",\"mtime\":" INT64_FORMAT ",\"line\":%s,\"offset\":%s,\"%s\":",
                     fetch_reader_time(DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &null))), SPI_getvalue(row, desc, 4), SPI_getvalue(row, desc, 5),
                     raw || whole ? "raw" : "fields");
    (void) SPI_getbinval(row, desc, 8, &null);
    if (!null)                   /* bytes that are no text */
        appendStringInfo(out, "{\"hex\":\"%s\"}", SPI_getvalue(row, desc, 8));
    else if (whole)
        json_append_string(out, json_column(row, 7, &null));
    else
        appendStringInfoString(out, json_column(row, 7, &null));
    if (raw || whole)
        appendStringInfo(out, ",\"layout\":%s", json_column(row, 9, &null));
    appendStringInfoChar(out, '}');
}

/* Locks letters and makes a request of them.  Those that were purged meanwhile are left out. */
static char *
take_letters(ReplaySource *replayed, Datum *ids, int count)
{
    Oid types[] = {INT8ARRAYOID};
    Datum values[] = {id_array(ids, count)};
    MemoryContext context = CurrentMemoryContext;
    StringInfoData out;
    CatalogScope scope = catalog_begin();
    uint64 found = catalog_execute("SELECT d.id, d.source, d.modified_at, d.line, d.\"offset\", d.kind, d.record, encode(d.raw, 'hex'), d.layout "
                                   "FROM kaireon_internal.dead_letter AS d WHERE d.id = ANY ($1) ORDER BY array_position($1, d.id) FOR UPDATE",
                                   1, types, values, NULL, SPI_OK_SELECT);
    MemoryContext old = MemoryContextSwitchTo(context);

    initStringInfo(&out);
    appendStringInfoChar(&out, '[');
    replayed->nsent = (int) found;
    replayed->nback = 0;
    for (uint64 i = 0; i < found; i++)
    {
        bool null;

        replayed->sent[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
        append_letter(&out, SPI_tuptable->vals[i], i == 0);
    }
    appendStringInfoChar(&out, ']');
    MemoryContextSwitchTo(old);
    catalog_end(scope);
    return out.data;
}

pg_noreturn static void
other_rows(void)
{
    link_misbehaved("kaireon-reader gave back other rows than the dead letters it got");
}

void
replay_source(Run *run, RunSource *source)
{
    ReplaySource *replayed = source->replayed;
    int64 batch_rows = json_get_int(&run->spec->execution_config->root, "batchSize", 0);
    MemoryContext context;
    Datum ids[CHUNK_LETTERS];
    int count;

    if (replayed == NULL)
        return;
    run->reading = source;
    source->link = link_open();
    run->slot->reader_pid = link_pid(source->link);
    context = AllocSetContextCreate(run->context, "kaireon replay", ALLOCSET_DEFAULT_SIZES);
    while ((count = next_ids(replayed, ids, CHUNK_BYTES)) > 0)
    {
        MemoryContext old = MemoryContextSwitchTo(context);
        char *records = take_letters(replayed, ids, count);

        if (replayed->nsent > 0)
            fetch_replay(source->link, source->asked, records, batch_rows);
        MemoryContextSwitchTo(old);
        MemoryContextReset(context);
        injection_point("replay-sent");
        if (replayed->nsent > 0)
            run_take_answer(run, source);
        if (source->split || replayed->nback != replayed->nsent)
            other_rows();
    }
    MemoryContextDelete(context);
    link_close(source->link);
    source->link = NULL;
    run->reading = NULL;
}

/* ---- taking them back ------------------------------------------------------------------- */

/* The next row that came back is the next letter that was sent. */
static void
check_row(ReplaySource *replayed, const char *record, size_t length)
{
    char id[MAXINT8LEN + 1];

    if (replayed->nback >= replayed->nsent)
        other_rows();
    pg_lltoa(replayed->sent[replayed->nback++], id);
    if (strlen(id) != length || memcmp(id, record, length) != 0)
        other_rows();
}

void
replay_check_batch(Run *run, RunSource *source)
{
    const Cells *cells = source->cells;
    WireReader rejects = cells->batch.rejects;
    uint32 left = cells->batch.header->nrejects;
    WireReject reject;
    bool have = left > 0 && wire_get_reject(&rejects, &reject);

    for (int row = 0; row <= cells->nrows; row++)
    {
        RowRecord record;

        for (; have && reject.before_row <= (uint32) row; have = --left > 0 && wire_get_reject(&rejects, &reject))
            check_row(source->replayed, reject.raw.data, reject.raw.length);
        if (row == cells->nrows)
            break;
        record = cells_record(cells, row);
        check_row(source->replayed, record.data, record.length);
    }
}

/* ---- the end ------------------------------------------------------------------------------ */

static void
delete_loaded(Run *run, ReplaySource *replayed)
{
    Oid types[] = {INT8ARRAYOID, UUIDOID};
    Datum ids[CHUNK_LETTERS];
    int count;

    tuplestore_rescan(replayed->ids);
    while ((count = next_ids(replayed, ids, PG_INT64_MAX)) > 0)
    {
        Datum values[] = {id_array(ids, count), UUIDPGetDatum(&run->slot->run_id)};

        catalog_execute("DELETE FROM kaireon_internal.dead_letter WHERE id = ANY ($1) AND last_run_id IS DISTINCT FROM $2", 2, types, values, NULL, SPI_OK_DELETE);
    }
}

void
replay_end(Run *run)
{
    for (int i = 0; i < run->program->nsources; i++)
    {
        if (run->sources[i].replayed)
            delete_loaded(run, run->sources[i].replayed);
    }
    injection_point("replay-deleted");
}
