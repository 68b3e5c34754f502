/*
 * launcher.c: finds the databases that have the extension and keeps a
 * supervisor where one is wanted.
 *
 * At server start every database that allows connections is asked, a few at a
 * time, since worker slots are scarce: its supervisor leaves at once where
 * there is no extension or nothing to do.  After that a supervisor is started
 * when a session, a worker or a schedule wants one, and leaves when it has been
 * idle: an idle database costs nothing, and nothing wakes this process.
 *
 * A supervisor that failed is started again, after a pause that grows, as long
 * as its database is there.
 *
 * The launcher itself only reads pg_database.  control->lock guards the
 * database slots; what it remembers of the processes is its own.
 */
#include "postgres.h"

#include "pg/launcher.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/control.h"
#include "pg/worker.h"

/* Where there is no worker slot, try again in so many ms; after failures in a row twice as long each, up to the second. */
#define RETRY_MS 1000
#define RETRY_MAX_MS 60000
/* Databases that are asked at the same time. */
#define ASK_AT_ONCE 2

/* The supervisor of a database slot. */
typedef struct Supervisor
{
    BackgroundWorkerHandle *handle; /* NULL: none was started, or it has ended */
    uint32 begun;            /* the slot's, when it was started */
    TimestampTz started_at;
    int failures;            /* in a row */
    TimestampTz not_before;  /* when to start it again */
} Supervisor;

static Supervisor supervisors[CONTROL_DATABASES];
static List *to_ask = NIL;   /* OIDs of databases */

void
launcher_register(void)
{
    BackgroundWorker worker = {0};

    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = 5;
    strlcpy(worker.bgw_library_name, "kaireon", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "kaireon_launcher_main", sizeof(worker.bgw_function_name));
    strlcpy(worker.bgw_name, "kaireon launcher", BGW_MAXLEN);
    strlcpy(worker.bgw_type, "kaireon launcher", BGW_MAXLEN);
    RegisterBackgroundWorker(&worker);
}

/* Every database that can be connected to will be asked. */
static void
list_databases(void)
{
    Relation rel;
    TableScanDesc scan;
    HeapTuple tuple;
    MemoryContext old;

    StartTransactionCommand();
    (void) GetTransactionSnapshot();
    rel = table_open(DatabaseRelationId, AccessShareLock);
    scan = table_beginscan_catalog(rel, 0, NULL);
    while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
    {
        Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

        if (!database->datallowconn || database->datistemplate)
            continue;
        old = MemoryContextSwitchTo(TopMemoryContext);
        to_ask = lappend_oid(to_ask, database->oid);
        MemoryContextSwitchTo(old);
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    CommitTransactionCommand();
}

/* Asks the next databases when those before have answered. */
static void
ask_databases(void)
{
    int asking = 0;

    LWLockAcquire(control->lock, LW_SHARED);
    for (int i = 0; i < CONTROL_DATABASES; i++)
        asking += OidIsValid(control->databases[i].database) && control->databases[i].asked;
    LWLockRelease(control->lock);
    for (; to_ask != NIL && asking < ASK_AT_ONCE; asking++)
    {
        if (!control_ask(linitial_oid(to_ask)))
            return;              /* when a slot is free again */
        to_ask = list_delete_first(to_ask);
    }
}

/* Nobody can look after a database that has gone or takes no connections: true when the slot's is such, and has been forgotten. */
static bool
forget_unusable(DatabaseSlot *slot)
{
    Oid database = slot->database;
    bool usable;

    StartTransactionCommand();
    usable = worker_can_connect(database);
    CommitTransactionCommand();
    if (usable)
        return false;
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    if (slot->database == database && slot->pid == 0)
    {
        control_clear_database(slot);
        control_forget(database);
    }
    LWLockRelease(control->lock);
    return true;
}

/* A supervisor has ended.  If it failed, another one is started after a while, unless the database can't have one. */
static void
note_end(Supervisor *supervisor, DatabaseSlot *slot)
{
    bool failed;

    pfree(supervisor->handle);
    supervisor->handle = NULL;
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    failed = slot->failed || slot->begun == supervisor->begun;
    slot->failed = false;
    LWLockRelease(control->lock);
    if (TimestampDifferenceExceeds(supervisor->started_at, GetCurrentTimestamp(), RETRY_MAX_MS))
        supervisor->failures = 0;
    supervisor->failures = failed ? supervisor->failures + 1 : 0;
    supervisor->not_before = 0;
    if (!failed)
        return;
    supervisor->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
                                                         Min(RETRY_MS << Min(supervisor->failures - 1, 10), RETRY_MAX_MS));
    if (!forget_unusable(slot))
        return;
    supervisor->failures = 0;
    supervisor->not_before = 0;
}

/* Starts what is wanted; in how many ms something has to be tried again, -1 when nothing has. */
static long
tend_supervisors(void)
{
    long again = -1;

    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        DatabaseSlot *slot = &control->databases[i];
        Supervisor *supervisor = &supervisors[i];
        long wait = 0;
        bool wanted;
        pid_t pid;

        if (supervisor->handle != NULL && GetBackgroundWorkerPid(supervisor->handle, &pid) == BGWH_STOPPED)
            note_end(supervisor, slot);
        if (supervisor->handle != NULL)
            continue;
        LWLockAcquire(control->lock, LW_SHARED);
        wanted = OidIsValid(slot->database) && slot->wanted && slot->pid == 0;
        LWLockRelease(control->lock);
        if (!wanted)
            continue;
        if (supervisor->not_before != 0)
            wait = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), supervisor->not_before);
        if (wait <= 0 && forget_unusable(slot))
            continue;
        if (wait <= 0)
        {
            supervisor->begun = slot->begun;
            supervisor->started_at = GetCurrentTimestamp();
            supervisor->handle = worker_start("kaireon_supervisor_main", "kaireon supervisor", "kaireon supervisor", i);
            if (supervisor->handle == NULL)
                wait = RETRY_MS;
        }
        if (wait > 0 && (again < 0 || wait < again))
            again = wait;
    }
    return again;
}

static void
leave(int code, Datum arg)
{
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    control->launcher = NULL;
    LWLockRelease(control->lock);
}

void
kaireon_launcher_main(Datum arg)
{
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(NULL, NULL, 0);
    worker_fix_settings();
    before_shmem_exit(leave, (Datum) 0);
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    control->launcher = MyLatch;
    control->launched = true;
    for (int i = 0; i < CONTROL_DATABASES; i++)
        control->databases[i].wanted |= OidIsValid(control->databases[i].database);
    LWLockRelease(control->lock);
    list_databases();
    pgstat_report_activity(STATE_IDLE, NULL);
    for (;;)
    {
        long again;

        ask_databases();
        again = tend_supervisors();
        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (again >= 0 ? WL_TIMEOUT : 0), again, compat_wait_event("KaireonLauncher"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending)
        {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
}
