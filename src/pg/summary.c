/*
 * summary.c: the summary of a collection, written by the run that loads it.  See summary.h.
 */
#include "postgres.h"

#include "pg/summary.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/flow.h"

struct Summary
{
    const ProgramSummary *compiled;
    Tuplestorestate *touched; /* keys, as often as they came */
    int64 count;             /* of them */
    bool all;                /* it is not known whose rows came */
};

Summary *
summary_create(const ProgramSummary *compiled)
{
    Summary *summary = palloc0(sizeof(Summary));

    summary->compiled = compiled;
    summary->touched = tuplestore_begin_heap(false, false, work_mem);
    summary->all = !compiled->loaded;
    return summary;
}

const ProgramSummary *
summary_compiled(const Summary *summary)
{
    return summary->compiled;
}

void
summary_touch(Summary *summary, Datum *keys, bool *nulls)
{
    TupleDesc desc = summary->compiled->keys;

    if (summary->all)
        return;
    for (int i = 0; i < desc->natts; i++)
    {
        if (nulls[i])            /* it belongs to nobody */
            return;
    }
    tuplestore_putvalues(summary->touched, desc, keys, nulls);
    summary->count++;
}

void
summary_touch_all(Summary *summary)
{
    summary->all = true;
}

/* The names in the statements are still those of the tables that were meant: a schema can be renamed while a table in it is locked. */
static void
check_names(const ProgramSummary *compiled)
{
    QueryEnvironment *env = compile_environment(TOUCHED_RELATION, compiled->keys, NULL);
    List *tables = list_make2_oid(compiled->relid, compiled->summary_relid);

    (void) compile_analyze(compiled->remove, env, tables);
    (void) compile_analyze(compiled->write, env, tables);
}

/* Runs a statement that the compiler wrote; gives how many rows it found or changed. */
static uint64
execute(const char *sql)
{
    int result = SPI_execute(sql, false, 0);

    if (result < 0)
        elog(ERROR, "could not write a summary: %s", SPI_result_code_string(result));
    return SPI_processed;
}

static void
register_touched(const Summary *summary)
{
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = TOUCHED_RELATION;
    enr->md.tupdesc = summary->compiled->keys;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = Max(summary->count, 1);
    enr->reldata = summary->touched;
    if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not prepare a summary");
}

void
summary_write(Summary *summary, bool incomplete)
{
    const ProgramSummary *compiled = summary->compiled;
    int level = NewGUCNestLevel();
    bool all = incomplete || summary->all;

    /* the statements name everything outside pg_catalog in full */
    (void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    PushActiveSnapshot(GetTransactionSnapshot());
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "could not prepare a summary");
    register_touched(summary);
    check_names(compiled);
    /* who empties the table wants it to be filled */
    all = all || execute(psprintf("SELECT FROM %s LIMIT 1", sql_table(compiled->summary_relid))) == 0;
    if (all || summary->count > 0)
    {
        (void) execute(all ? compiled->remove_all : compiled->remove);
        (void) execute(all ? compiled->write_all : compiled->write);
    }
    SPI_finish();
    PopActiveSnapshot();
    AtEOXact_GUC(true, level);
    tuplestore_end(summary->touched);
}
