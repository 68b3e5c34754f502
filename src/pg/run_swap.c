/*
 * run_swap.c: the last step of a run whose targets are replaced as a whole.  See run_state.h.
 *
 * What takes long is done before: rows and indexes are there, foreign keys are
 * checked, the catalog is written.  Only then are the tables locked against
 * everybody; their storage is exchanged, and the transaction commits.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "pg/replace.h"
#include "pg/rights.h"

static double
locked_ms(const instr_time *since)
{
    instr_time now;

    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_SUBTRACT(now, *since);
    return INSTR_TIME_GET_MILLISEC(now);
}

void
run_check_references(Run *run)
{
    RightsScope scope = rights_assume(run->slot->owner, 0);

    for (int i = 0; i < run->program->ntargets; i++)
        loader_check_references(run->loaders[i]);
    rights_resume(scope);
}

void
run_swap(Run *run)
{
    if (run->swapped)
        return;
    run->swapped = palloc0(sizeof(instr_time) * Max(run->program->ntargets, 1));
    run_enter(run, STAGE_EXCHANGING);
    run_report("exchanging tables");
    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (!loader_swaps(run->loaders[i]))
            continue;
        replace_lock(run->program->targets[i].schema->relid, run->slot->owner, &run->swapped[i]);
        replace_recheck(&run->program->targets[i]);
    }
    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (loader_swaps(run->loaders[i]))
            loader_swap(run->loaders[i]);
    }
}

void
record_locks(Run *run)
{
    Oid types[] = {UUIDOID, TEXTOID, FLOAT8OID};

    for (int i = 0; i < run->program->ntargets; i++)
    {
        Datum values[] = {UUIDPGetDatum(&run->slot->run_id), CStringGetTextDatum(run->program->targets[i].node->id), (Datum) 0};

        if (!loader_swaps(run->loaders[i]))
            continue;
        values[2] = Float8GetDatum(locked_ms(&run->swapped[i]));
        catalog_execute("UPDATE kaireon_internal.run_node SET locked_ms = $3 WHERE run_id = $1 AND node_id = $2", 3, types, values, NULL, SPI_OK_UPDATE);
    }
}

void
run_tell_locks(const Run *run)
{
    for (int i = 0; i < run->program->ntargets; i++)
    {
        if (loader_swaps(run->loaders[i]))
            ereport(LOG, (errmsg("schema \"%s\" has a new table: it was locked for %.1f ms", run->program->targets[i].schema->name,
                                 locked_ms(&run->swapped[i]))));
    }
}
