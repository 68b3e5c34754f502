/*
 * supervisor.c: the supervisor of one database's runs.
 *
 * Makes rows of requests, starts workers for queued runs within the pool's
 * limit (and, when their time has come, for those that are tried again), and sees
 * to it that every run's row becomes true (run_row.c): a worker that ended
 * without finishing (crash, terminate, server restart) is marked failed here.
 * It holds no state of its own that a restart would lose: everything is in the
 * run table and the run slots.  Idle, it leaves.
 *
 * Slots are changed under control->lock, rows in short transactions outside
 * of it.
 */
#include "postgres.h"

#include "pg/supervisor.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/control.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/guc.h"
#include "pg/injection.h"
#include "pg/instance.h"
#include "pg/new_files.h"
#include "pg/retry.h"
#include "pg/run_row.h"
#include "pg/worker.h"

/* While runs wait for a worker slot, look again after so many ms. */
#define RETRY_MS 500
/* A worker that was registered but has not begun after so many ms is given up when its handle is unknown. */
#define START_MS 60000
/* While what outboxes have can't be written, as on a full disk, look again after so many ms. */
#define REST_MS 10000

static DatabaseSlot *self;
static bool done = false;    /* it ends because nothing is left to do */
static BackgroundWorkerHandle *handles[CONTROL_RUNS];

static TimestampTz outboxes_rest = 0; /* until then */

#define OWNER_HINT "A superuser can give the pipeline to another role with kaireon.change_owner."
#define CANCELLED_EARLY "the run was cancelled before it started"

/* ---- slots ------------------------------------------------------------------- */

/* The run is over: tell who waits, or free the slot. */
static void
end_slot(RunSlot *slot)
{
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    if (slot->waits && !slot->abandoned)
    {
        slot->state = SLOT_ENDED;
        if (slot->waiter)
            SetLatch(slot->waiter);
    }
    else
        slot->state = SLOT_FREE;
    control_offer_place();
    LWLockRelease(control->lock);
}

static bool
is_ours(const RunSlot *slot, SlotState state)
{
    return slot->state == state && slot->database == MyDatabaseId;
}

/* Requests of waiting sessions become rows. */
static void
take_requests(void)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];
        bool ours, gone;

        LWLockAcquire(control->lock, LW_SHARED);
        ours = is_ours(slot, SLOT_REQUESTED);
        gone = slot->abandoned || slot->cancel;
        LWLockRelease(control->lock);
        if (!ours)
            continue;
        injection_point("request-taken");
        run_row_make(slot, gone);
        injection_point("request-recorded");
        LWLockAcquire(control->lock, LW_EXCLUSIVE);
        slot->state = SLOT_QUEUED;
        LWLockRelease(control->lock);
        if (gone || slot->refused)
            end_slot(slot);
    }
}

/* Queued runs whose session has gone or that were cancelled. */
static void
drop_cancelled(void)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];
        CatalogScope scope;
        bool drop;

        LWLockAcquire(control->lock, LW_SHARED);
        drop = is_ours(slot, SLOT_QUEUED) && (slot->abandoned || slot->cancel);
        LWLockRelease(control->lock);
        if (!drop)
            continue;
        worker_begin();
        scope = catalog_begin();
        (void) run_row_end(&slot->run_id, "cancelled", ERRCODE_QUERY_CANCELED, slot->begun > 0 ? "the run was cancelled" : CANCELLED_EARLY, NULL);
        catalog_end(scope);
        worker_commit();
        end_slot(slot);
    }
}

/* Has the worker of a slot gone? */
static bool
worker_gone(int i)
{
    RunSlot *slot = &control->runs[i];
    bool running, starting, has_pid;
    TimestampTz since;
    pid_t pid;

    LWLockAcquire(control->lock, LW_SHARED);
    running = is_ours(slot, SLOT_RUNNING);
    starting = is_ours(slot, SLOT_STARTING);
    has_pid = slot->worker_pid != 0;
    since = slot->started_at;
    LWLockRelease(control->lock);
    if (running)
        return !has_pid;
    if (!starting)
        return false;
    if (handles[i] != NULL)
        return GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED;
    return TimestampDifferenceExceeds(since, GetCurrentTimestamp(), START_MS);
}

/* What an outbox worker has left that is due: it could not connect, or died.  Not again at once. */
static void
postpone_entries(void *arg)
{
    const RunSlot *slot = arg;
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID, TEXTOID, TEXTOID};
    Datum values[] = {UUIDPGetDatum(&slot->pipeline_id),
                      CStringGetTextDatum(unpack_sql_state(slot->failure_code ? slot->failure_code : ERRCODE_KAIREON_RUN_ORPHANED)),
                      CStringGetTextDatum(slot->failure_code ? slot->failure : "the worker process ended before it was done")};

    catalog_execute("SELECT kaireon_internal.outbox_failed(id, $2, $3, false) FROM kaireon_internal.outbox "
                    "WHERE pipeline_id = $1 AND kind <> 'stage' AND status = 'pending' AND next_attempt_at <= clock_timestamp()", 3, types, values, NULL, SPI_OK_SELECT);
    catalog_end(scope);
}

static void
postpone_outbox(RunSlot *slot)
{
    ErrorData *error = guard_try_all(postpone_entries, slot, CurrentMemoryContext);

    if (error == NULL)
        return;
    outboxes_rest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), REST_MS);
    ereport(LOG, (errcode(error->sqlerrcode), errmsg("kaireon could not postpone what the outbox of pipeline \"%s\" has: %s", slot->pipeline, error->message),
                  errdetail("It is tried again in %d s, and so is what other outboxes have.", REST_MS / 1000)));
}

/*
 * How a run ended whose worker is gone: in most cases the worker has said it
 * itself.  True: it waits for its next attempt, or for files, as *pause says.
 */
static bool
end_run(const RunSlot *slot, RetryPause *pause)
{
    if (slot->cancel || slot->failure_code == ERRCODE_QUERY_CANCELED) /* it came while the worker was connecting, or when the run was to be tried again */
        (void) run_row_end(&slot->run_id, "cancelled", ERRCODE_QUERY_CANCELED, "the run was cancelled", NULL);
    else if (retry_waits(&slot->run_id, slot->begun, pause))
        return true;
    else if (slot->failure_code != 0 && slot->connected)
        run_row_end_orphan(&slot->run_id, slot->failure_code, slot->failure, "The run's worker could not record it. ");
    else if (slot->failure_code != 0)
    {
        (void) run_row_end(&slot->run_id, "failed", slot->failure_code, psprintf("could not connect as the pipeline's owner: %s", slot->failure),
                           slot->failure_code == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ? "Run the pipeline again when the database allows connections." : OWNER_HINT);
    }
    else
        run_row_end_orphan(&slot->run_id, ERRCODE_KAIREON_RUN_ORPHANED, "the run's worker process ended before the run did", "It was terminated or crashed; the server's log says why. ");
    return retry_waits(&slot->run_id, slot->begun, pause);
}

/* The run waits: so does its session, if there is one. */
static void
park_slot(RunSlot *slot, const RetryPause *pause)
{
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot->begun = pause->begun;
    slot->looks_at = pause->looks_at;
    slot->started_at = 0;
    /* one that is to be cancelled is by drop_cancelled */
    slot->state = slot->waits || slot->cancel ? SLOT_QUEUED : SLOT_FREE;
    control_offer_place();
    LWLockRelease(control->lock);
}

static void
reap_workers(void)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];
        CatalogScope scope;
        bool parked = false;
        RetryPause pause;

        if (!worker_gone(i))
            continue;
        injection_point("worker-gone");
        if (handles[i])
            pfree(handles[i]);
        handles[i] = NULL;
        new_files_settle(false);
        worker_begin();
        scope = catalog_begin();
        if (slot->outbox)
            postpone_outbox(slot);
        else
            parked = end_run(slot, &pause);
        catalog_end(scope);
        worker_commit();
        if (parked)
            park_slot(slot, &pause);
        else
            end_slot(slot);
    }
}

/* ---- starting runs ------------------------------------------------------------- */

/* Is a run of the pipeline under way?  The caller holds the lock. */
static bool
is_busy(const pg_uuid_t *pipeline)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        const RunSlot *slot = &control->runs[i];

        if ((slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING) && slot->database == MyDatabaseId &&
            memcmp(&slot->pipeline_id, pipeline, sizeof(*pipeline)) == 0)
            return true;
    }
    return false;
}

static bool
register_worker(RunSlot *slot)
{
    int i = slot - control->runs;

    handles[i] = worker_start("kaireon_run_main", "kaireon run", psprintf("kaireon run %s", slot->pipeline), i);
    injection_point("worker-registered");
    return handles[i] != NULL;
}

/* Why a worker could not connect as that role, as far as can be told without trying. */
typedef enum OwnerState { OWNER_FINE, OWNER_GONE, OWNER_NO_LOGIN } OwnerState;

static OwnerState
owner_state(Oid owner)
{
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
    OwnerState state = OWNER_FINE;

    if (!HeapTupleIsValid(tuple))
        return OWNER_GONE;
    if (COMPAT_OWNER_NEEDS_LOGIN && !((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin)
        state = OWNER_NO_LOGIN;
    ReleaseSysCache(tuple);
    return state;
}

typedef struct QueuedRun
{
    pg_uuid_t run_id, pipeline_id;
    char *pipeline;
    int version, begun;
    Oid owner;
    bool waits;
    bool outbox;             /* not a run: what its pipeline's outbox has due */
    OwnerState owner_state;
} QueuedRun;

/* Rows that wait and whose time has come, oldest first.  A run that will be tried again keeps its place before later ones of its pipeline. */
static int
read_queue(MemoryContext context, QueuedRun **queue)
{
    CatalogScope scope;
    int count;

    worker_begin();
    scope = catalog_begin();
    count = (int) catalog_execute("SELECT run_id, pipeline_id, pipeline, version, owner::pg_catalog.oid, waits, attempt + looks FROM kaireon_internal.run AS r "
                                  "WHERE status = 'queued' AND NOT EXISTS (SELECT FROM kaireon_internal.run AS o WHERE o.pipeline_id = r.pipeline_id "
                                  "AND o.status = 'queued' AND o.queued_at <= r.queued_at AND o.retry_at > clock_timestamp()) ORDER BY queued_at", 0, NULL, NULL, NULL, SPI_OK_SELECT);
    *queue = MemoryContextAllocZero(context, sizeof(QueuedRun) * Max(count, 1));
    for (int i = 0; i < count; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        QueuedRun *run = &(*queue)[i];
        bool null;

        run->run_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &null));
        run->pipeline_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 2, &null));
        run->pipeline = MemoryContextStrdup(context, SPI_getvalue(row, desc, 3));
        run->version = DatumGetInt32(SPI_getbinval(row, desc, 4, &null));
        run->owner = DatumGetObjectId(SPI_getbinval(row, desc, 5, &null));
        run->waits = DatumGetBool(SPI_getbinval(row, desc, 6, &null));
        run->begun = DatumGetInt32(SPI_getbinval(row, desc, 7, &null));
        run->owner_state = owner_state(run->owner);
    }
    catalog_end(scope);
    worker_commit();
    return count;
}

static void
refuse_owner(const QueuedRun *run)
{
    CatalogScope scope;
    RunSlot *slot;

    worker_begin();
    scope = catalog_begin();
    if (run->owner_state == OWNER_GONE)
        (void) run_row_end(&run->run_id, "failed", ERRCODE_UNDEFINED_OBJECT, "the pipeline's owner does not exist any more", OWNER_HINT);
    else
        (void) run_row_end(&run->run_id, "failed", ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "the pipeline's owner is not permitted to log in",
                "Before PostgreSQL 17 a run needs an owner with LOGIN; no password is needed.");
    catalog_end(scope);
    worker_commit();
    LWLockAcquire(control->lock, LW_SHARED);
    slot = control_find(&run->run_id);
    LWLockRelease(control->lock);
    if (slot)
        end_slot(slot);
}

typedef enum StartResult { START_DONE, START_LATER, START_FULL, START_STARVED, START_GONE } StartResult;

/* Takes a slot for the run and registers its worker. */
static StartResult
start_run(const QueuedRun *run)
{
    RunSlot *slot;
    StartResult result = START_DONE;

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot = control_find(&run->run_id);
    if (slot == NULL && run->waits)
        result = START_GONE;
    else if (is_busy(&run->pipeline_id) || (slot && slot->state != SLOT_QUEUED))
        result = START_LATER;
    else if (!control_place_free(guc_max_workers))
        result = START_FULL;
    else if (slot == NULL && (slot = control_take(SLOT_QUEUED)) == NULL)
        result = START_FULL;
    if (result == START_DONE)
    {
        slot->run_id = run->run_id;
        slot->pipeline_id = run->pipeline_id;
        strlcpy(slot->pipeline, run->pipeline, CONTROL_NAME);
        slot->version = run->version;
        slot->begun = run->begun;
        slot->looks_at = 0;
        slot->owner = run->owner;
        slot->outbox = run->outbox;
        slot->connected = false;
        slot->failure_code = 0;
        slot->started_at = GetCurrentTimestamp();
        slot->state = SLOT_STARTING;
        control_take_place();
    }
    LWLockRelease(control->lock);
    if (result != START_DONE || register_worker(slot))
        return result;
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot->state = slot->waits ? SLOT_QUEUED : SLOT_FREE;
    LWLockRelease(control->lock);
    return START_STARVED;
}

/*
 * Starts workers for what outboxes have due and no run is about to do.  How many
 * ms until something is due, or a worker may be had; -1: nothing is left to do.
 */
static long
start_outboxes(MemoryContext context)
{
    long next = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), outboxes_rest);
    QueuedRun *due;
    CatalogScope scope;
    int count;

    if (next > 0)
        return next;
    next = -1;
    worker_begin();
    scope = catalog_begin();
    count = (int) catalog_execute("SELECT p.id, p.name, p.owner::pg_catalog.oid, "
                                  "greatest(0, ceil(extract(epoch FROM min(o.next_attempt_at) - clock_timestamp()) * 1000))::int8 "
                                  "FROM kaireon_internal.outbox o JOIN kaireon_internal.pipeline p ON p.id = o.pipeline_id "
                                  "WHERE o.kind <> 'stage' AND o.status = 'pending' GROUP BY p.id ORDER BY min(o.id)", 0, NULL, NULL, NULL, SPI_OK_SELECT);
    due = MemoryContextAllocZero(context, sizeof(QueuedRun) * Max(count, 1));
    for (int i = 0; i < count; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        bool null;
        long wait = DatumGetInt64(SPI_getbinval(row, desc, 4, &null));

        due[i].pipeline_id = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &null));
        due[i].pipeline = MemoryContextStrdup(context, SPI_getvalue(row, desc, 2));
        due[i].owner = DatumGetObjectId(SPI_getbinval(row, desc, 3, &null));
        due[i].outbox = wait == 0;
        if (wait > 0 && (next < 0 || wait < next))
            next = wait;
    }
    catalog_end(scope);
    worker_commit();
    for (int i = 0; i < count; i++)
    {
        StartResult result = due[i].outbox ? start_run(&due[i]) : START_DONE;

        if (result == START_FULL || result == START_STARVED)
            return RETRY_MS;
    }
    return next;
}

/* The sooner of two times in ms; -1: never. */
static long
sooner(long a, long b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Runs stay queued in a copy that nobody has confirmed, and while the database allows no connections. */
static bool
may_run(void)
{
    bool may;

    worker_begin();
    may = instance_confirmed() && worker_can_connect(MyDatabaseId);
    worker_commit();
    return may;
}

/* True when runs are left that wait for a worker slot: look again soon. */
static bool
start_queued(MemoryContext context, bool *waiting)
{
    QueuedRun *queue;
    int count = may_run() ? read_queue(context, &queue) : 0;
    bool again = false, starved = false, yield;

    *waiting = count > 0;
    for (int i = 0; i < count; i++)
    {
        StartResult result;

        if (queue[i].owner_state != OWNER_FINE)
        {
            refuse_owner(&queue[i]);
            continue;
        }
        result = start_run(&queue[i]);
        again = result == START_FULL || result == START_STARVED;
        starved = result == START_STARVED;
        if (again)
            break;
        if (result == START_GONE)
        {
            CatalogScope scope;

            worker_begin();
            scope = catalog_begin();
            (void) run_row_end(&queue[i].run_id, "cancelled", ERRCODE_QUERY_CANCELED, "the session that waited for the run has gone", NULL);
            catalog_end(scope);
            worker_commit();
        }
    }
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    control_wait_place(again, starved);
    yield = starved && control_must_yield();
    LWLockRelease(control->lock);
    if (yield)
        proc_exit(0);            /* the launcher starts another one after a while */
    return again;
}

/* ---- the process ----------------------------------------------------------------- */

static void
leave(int code, Datum arg)
{
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    if (!done)                   /* else the slot may be another's by now */
    {
        self->pid = 0;
        self->supervisor = NULL;
        self->stop = false;
        self->waits = self->starved = false;
        self->failed = self->wanted = true;
        self->asked = false;
    }
    if (control->launcher)
        SetLatch(control->launcher);
    LWLockRelease(control->lock);
}

static bool
has_runs(void)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        if (control->runs[i].database == MyDatabaseId && control->runs[i].state != SLOT_FREE && control->runs[i].state != SLOT_ENDED)
            return true;
    }
    return false;
}

/* The database has no supervisor from here on; the caller holds the lock. */
static void
give_up_slot(void)
{
    done = true;
    control_clear_database(self);
}

/* Nothing to do: may this process go?  Decided under the lock, so that no wake is missed. */
static bool
retire(void)
{
    bool go;

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    go = !has_runs() && (!self->wanted || self->stop);
    if (go)
        give_up_slot();
    LWLockRelease(control->lock);
    return go;
}

/*
 * Ends this process when there is no extension in the database, or not any
 * more.  From here on a wake means that there is something new to look at.
 */
static void
check_installed(void)
{
    for (;;)
    {
        bool installed, gone;

        LWLockAcquire(control->lock, LW_EXCLUSIVE);
        self->wanted = false;
        LWLockRelease(control->lock);
        worker_begin();
        installed = catalog_installed();
        worker_commit();
        if (installed)
            return;
        LWLockAcquire(control->lock, LW_EXCLUSIVE);
        gone = !self->wanted;    /* else the extension may be there by now */
        if (gone)
        {
            give_up_slot();
            control_forget(MyDatabaseId);
        }
        LWLockRelease(control->lock);
        if (gone)
            proc_exit(0);
    }
}

static void
supervise(MemoryContext context)
{
    for (;;)
    {
        bool again, waiting, idle, stop;
        long due;                /* something is to be done again then */
        int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
        long timeout = -1;

        pgstat_report_activity(STATE_IDLE, NULL);
        MemoryContextReset(context);
        MemoryContextSwitchTo(context);
        check_installed();
        take_requests();
        drop_cancelled();
        reap_workers();
        due = may_run() ? retry_due() : -1; /* first: what comes due meanwhile is seen below */
        again = start_queued(context, &waiting);
        due = sooner(due, may_run() ? start_outboxes(context) : -1);
        LWLockAcquire(control->lock, LW_EXCLUSIVE);
        idle = !waiting && !has_runs() && (due < 0 || self->stop);
        if (self->asked && !idle)
        {
            self->asked = false; /* the launcher can ask the next */
            if (control->launcher)
                SetLatch(control->launcher);
        }
        stop = self->stop || self->asked;
        LWLockRelease(control->lock);
        if (idle && stop && retire())
            return;
        if (again || idle)
        {
            events |= WL_TIMEOUT;
            timeout = again ? RETRY_MS : guc_supervisor_idle * 1000L;
        }
        if (due >= 0)
        {
            events |= WL_TIMEOUT;
            timeout = sooner(timeout, due);
        }
        events = WaitLatch(MyLatch, events, timeout, compat_wait_event("KaireonSupervisor"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending)
        {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
        if (idle && (events & WL_TIMEOUT) && retire())
            return;
    }
}

void
kaireon_supervisor_main(Datum arg)
{
    Oid database;

    self = &control->databases[DatumGetInt32(arg)];
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    database = self->pid == 0 ? self->database : InvalidOid;
    if (OidIsValid(database))
    {
        self->pid = MyProcPid;
        self->supervisor = MyLatch;
    }
    self->begun++;
    LWLockRelease(control->lock);
    if (!OidIsValid(database))   /* it was not started for what the slot holds now */
        proc_exit(0);
    before_shmem_exit(leave, (Datum) 0);
    BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    worker_fix_settings();
    new_files_settle(true);      /* also where the extension has been dropped */
    check_installed();
    injection_point("supervisor-begun");
    run_row_recover();
    supervise(AllocSetContextCreate(TopMemoryContext, "kaireon supervisor", ALLOCSET_DEFAULT_SIZES));
    proc_exit(0);
}
