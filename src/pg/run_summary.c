/*
 * run_summary.c: the summaries of what a run has loaded.  See run_state.h.
 *
 * The catalog knows of each summary which of its columns lack rows of the
 * collection (kaireon_internal.summary): those loaded without a summarize node,
 * or before the column was there.  The row is locked before the collection is
 * looked at, and by all who have loaded one, until they commit.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/rights.h"
#include "pg/target.h"

/* A collection, and its summary's columns that lack rows. */
typedef struct Incomplete { Oid collection; List *columns; } Incomplete;

static Datum
oid_array(List *oids)
{
    Datum *values = palloc(sizeof(Datum) * (list_length(oids) + 1));
    int count = 0;
    ListCell *lc;

    foreach(lc, oids)
        values[count++] = ObjectIdGetDatum(lfirst_oid(lc));
    return PointerGetDatum(construct_array(values, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

static Datum
text_array(List *texts)
{
    Datum *values = palloc(sizeof(Datum) * (list_length(texts) + 1));
    int count = 0;
    ListCell *lc;

    foreach(lc, texts)
        values[count++] = CStringGetTextDatum(lfirst(lc));
    return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The tables that rows came into, or went out of. */
static List *
loaded_tables(const Run *run)
{
    List *tables = NIL;

    for (int i = 0; i < run->program->ntargets; i++)
    {
        const LoadCounts *counts = loader_counts(run->loaders[i]);

        if (counts->loaded + counts->updated > 0 || target_is_full_refresh(run_strategy(run, i)))
            tables = list_append_unique_oid(tables, run->program->targets[i].schema->relid);
    }
    return tables;
}

/* Locks what is known of the summaries of these collections; a list of Incomplete *. */
static List *
lock_summaries(List *collections)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {OIDARRAYOID};
    Datum values[] = {oid_array(collections)};
    uint64 count = catalog_execute("SELECT l.collection, c.name FROM kaireon_internal.lock_summaries($1) l LEFT JOIN LATERAL unnest(l.incomplete) c (name) ON true "
                                   "ORDER BY l.collection", 1, types, values, NULL, SPI_OK_SELECT);
    List *found = NIL;
    bool null;

    for (uint64 i = 0; i < count; i++)
    {
        Oid collection = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
        MemoryContext inner = MemoryContextSwitchTo(context);
        char *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
        Incomplete *incomplete = found ? llast(found) : NULL;

        if (incomplete == NULL || incomplete->collection != collection)
        {
            incomplete = palloc0(sizeof(Incomplete));
            incomplete->collection = collection;
            found = lappend(found, incomplete);
        }
        if (name)
            incomplete->columns = lappend(incomplete->columns, name);
        MemoryContextSwitchTo(inner);
    }
    catalog_end(scope);
    return found;
}

/* Did a column that the summary is to have lack rows before this run? */
static bool
lacks_rows(const ProgramSummary *summary, List *found)
{
    ListCell *lc, *column, *name;

    foreach(lc, found)
    {
        const Incomplete *incomplete = lfirst(lc);

        if (incomplete->collection != summary->relid)
            continue;
        foreach(column, summary->columns)
        {
            foreach(name, incomplete->columns)
            {
                if (strcmp(lfirst(column), lfirst(name)) == 0)
                    return true;
            }
        }
    }
    return false;
}

static void
write_summary(Run *run, Summary *summary, List *found)
{
    const ProgramSummary *compiled = summary_compiled(summary);
    instr_time since, now;
    RightsScope scope = rights_assume(run->slot->owner, 0);

    run_report(psprintf("summarising %s", compiled->collection));
    INSTR_TIME_SET_CURRENT(since);
    run->execution->querying = compiled->node;
    summary_write(summary, lacks_rows(compiled, found));
    run->execution->querying = NULL;
    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_ACCUM_DIFF(run->nodes[compiled->node->ordinal].time, now, since);
    rights_resume(scope);
}

void
run_summarise(Run *run)
{
    List *loaded = loaded_tables(run), *collections = list_copy(loaded), *written = NIL, *columns = NIL, *found;
    Oid types[] = {OIDARRAYOID, OIDARRAYOID, TEXTARRAYOID};
    Datum values[3];
    CatalogScope scope;
    ListCell *lc, *column;

    foreach(lc, run->summaries)
        collections = list_append_unique_oid(collections, summary_compiled(lfirst(lc))->relid);
    if (collections == NIL)
        return;
    found = lock_summaries(collections);
    if (found == NIL)
        return;
    foreach(lc, run->summaries)
    {
        const ProgramSummary *compiled = summary_compiled(lfirst(lc));

        write_summary(run, lfirst(lc), found);
        foreach(column, compiled->columns)
        {
            written = lappend_oid(written, compiled->relid);
            columns = lappend(columns, lfirst(column));
        }
    }
    values[0] = oid_array(loaded);
    values[1] = oid_array(written);
    values[2] = text_array(columns);
    scope = catalog_begin();
    catalog_execute("SELECT kaireon_internal.note_summaries($1, $2, $3)", 3, types, values, NULL, SPI_OK_SELECT);
    catalog_end(scope);
}
