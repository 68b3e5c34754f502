/*
 * standstill.c: a session that waits for a run, which waits for the session.  See standstill.h.
 *
 * A search, breadth first, along "waits for" from the run's worker: locks as
 * pg_blocking_pids tells them, and runs as the run slots do.
 */
#include "postgres.h"

#include "pg/standstill.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"

#include "pg/compat.h"
#include "pg/guc.h"

/* A process that was reached, and from where. */
typedef struct Step
{
    int pid;
    int from;                    /* the step before; -1: it is where the search began */
} Step;

typedef struct Search
{
    Step *steps;
    int count, capacity;
} Search;

static void
reach(Search *search, int pid, int from)
{
    if (pid == 0)                /* a prepared transaction, or nobody */
        return;
    for (int i = 0; i < search->count; i++)
    {
        if (search->steps[i].pid == pid)
            return;
    }
    if (search->count == search->capacity)
    {
        search->capacity *= 2;
        search->steps = repalloc(search->steps, sizeof(Step) * search->capacity);
    }
    search->steps[search->count++] = (Step) {pid, from};
}

/* The process that must do something next for a slot's run: its worker, else the supervisor.  The caller holds the lock. */
static int
responsible(const RunSlot *slot)
{
    if (slot->worker_pid != 0)
        return slot->worker_pid;
    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        if (control->databases[i].database == slot->database)
            return control->databases[i].pid;
    }
    return 0;
}

static void
follow(Search *search, int from)
{
    int pid = search->steps[from].pid, count;
    Datum blocking = DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid));
    Datum *pids;

    deconstruct_array(DatumGetArrayTypeP(blocking), INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, NULL, &count);
    for (int i = 0; i < count; i++)
        reach(search, DatumGetInt32(pids[i]), from);
    LWLockAcquire(control->lock, LW_SHARED);
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        const RunSlot *slot = &control->runs[i];

        if (slot->state != SLOT_FREE && slot->state != SLOT_ENDED && slot->waiter_pid == pid && pid != MyProcPid)
            reach(search, responsible(slot), from);
    }
    LWLockRelease(control->lock);
}

/* "Process 1 waits for process 2, which waits for this session." */
static char *
describe(const Search *search, int last)
{
    char *text = psprintf("this session, process %d.", search->steps[last].pid);

    for (int i = search->steps[last].from; i >= 0; i = search->steps[i].from)
    {
        text = search->steps[i].from < 0 ? psprintf("Process %d waits for %s", search->steps[i].pid, text)
                                         : psprintf("process %d, which waits for %s", search->steps[i].pid, text);
    }
    return text;
}

static char *
chain_from(int pid)
{
    Search search = {palloc(sizeof(Step) * 16), 0, 16};

    reach(&search, pid, -1);
    for (int i = 0; i < search.count; i++)
    {
        if (search.steps[i].pid == MyProcPid)
            return describe(&search, i);
        follow(&search, i);
    }
    return NULL;
}

/*
 * Does the run, or whoever must start it, wait for a lock of this session,
 * straight or through others?  Then the processes in between, for a message;
 * else NULL.  Looks at one process after the other: only what it says twice is so.
 */
static char *
find(const RunSlot *slot)
{
    int workers[CONTROL_RUNS], nworkers = 0, nstuck = 0, first, same = 0;
    char *chain, *other = NULL;
    bool queued;

    LWLockAcquire(control->lock, LW_SHARED);
    queued = slot->worker_pid == 0 && slot->state != SLOT_ENDED;
    first = slot->state == SLOT_ENDED ? 0 : responsible(slot);
    for (int i = 0; queued && i < CONTROL_RUNS; i++)
    {
        const RunSlot *run = &control->runs[i];

        if (run->worker_pid == 0 || run->state != SLOT_RUNNING)
            continue;
        workers[nworkers++] = run->worker_pid;
        if (run->database == slot->database && memcmp(&run->pipeline_id, &slot->pipeline_id, sizeof(pg_uuid_t)) == 0)
            same = run->worker_pid;
    }
    LWLockRelease(control->lock);
    if ((chain = chain_from(first)) != NULL || (chain = chain_from(same)) != NULL)
        return chain;
    /* no place in the pool, and nobody in it gets on */
    for (int i = 0; nworkers >= guc_max_workers && i < nworkers; i++)
    {
        if ((chain = chain_from(workers[i])) != NULL)
        {
            other = chain;
            nstuck++;
        }
    }
    return nstuck == nworkers ? other : NULL;
}

bool
standstill_wait(const RunSlot *slot, int *found)
{
    int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, DeadlockTimeout, compat_wait_event("KaireonRun"));
    char *chain;

    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if (!(events & WL_TIMEOUT))
        return false;
    chain = find(slot);
    *found = chain ? *found + 1 : 0;
    if (*found > 1)
        ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
                        errmsg("deadlock detected: this session and the run of pipeline \"%s\" wait for each other", slot->pipeline),
                        errdetail_internal("%s", chain),
                        errhint("End the transaction that holds the locks before a pipeline is run, or use kaireon.start_pipeline.")));
    return true;
}
