/*
 * launcher.c: finds the databases that have the extension and keeps a
 * supervisor where one is wanted.
 *
 * At server start every database that allows connections is asked once: its
 * supervisor leaves at once where there is no extension.  After that a
 * supervisor is started when a session, a worker or a schedule wants one, and
 * leaves when it has been idle: an idle database costs nothing.
 *
 * The launcher itself only reads pg_database.  control->lock guards the
 * database slots; the handles are the launcher's own.
 */
#include "postgres.h"

#include "pg/launcher.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/control.h"
#include "pg/worker.h"

/* After a supervisor failed or found no worker slot, try again in so many ms. */
#define RETRY_MS 1000

static BackgroundWorkerHandle *handles[CONTROL_DATABASES];
static ProcessUtility_hook_type previous_utility = NULL;

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

/* Every database that can be connected to gets asked. */
static void
ask_all_databases(void)
{
    Relation rel;
    TableScanDesc scan;
    HeapTuple tuple;
    Oid databases[CONTROL_DATABASES];
    int count = 0;

    StartTransactionCommand();
    (void) GetTransactionSnapshot();
    rel = table_open(DatabaseRelationId, AccessShareLock);
    scan = table_beginscan_catalog(rel, 0, NULL);
    while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL && count < CONTROL_DATABASES)
    {
        Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);

        if (database->datallowconn && !database->datistemplate)
            databases[count++] = database->oid;
    }
    table_endscan(scan);
    table_close(rel, AccessShareLock);
    CommitTransactionCommand();
    while (count > 0)
        (void) control_wake(databases[--count]);
}

static bool
database_exists(Oid database)
{
    bool exists;

    StartTransactionCommand();
    exists = SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));
    CommitTransactionCommand();
    return exists;
}

/* Starts what is wanted; true when something has to be tried again later. */
static bool
tend_supervisors(void)
{
    bool again = false;

    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        DatabaseSlot *slot = &control->databases[i];
        bool wanted;
        pid_t pid;
        Oid database;

        if (handles[i] != NULL && GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED)
        {
            pfree(handles[i]);
            handles[i] = NULL;
            LWLockAcquire(control->lock, LW_EXCLUSIVE);
            wanted = OidIsValid(slot->database) && slot->wanted;
            database = slot->database;
            LWLockRelease(control->lock);
            if (wanted && !database_exists(database))
            {
                LWLockAcquire(control->lock, LW_EXCLUSIVE);
                slot->database = InvalidOid;
                control_forget(database);
                LWLockRelease(control->lock);
                continue;
            }
        }
        if (handles[i] != NULL)
            continue;
        LWLockAcquire(control->lock, LW_SHARED);
        wanted = OidIsValid(slot->database) && slot->wanted && slot->pid == 0;
        LWLockRelease(control->lock);
        if (wanted && (handles[i] = worker_start("kaireon_supervisor_main", "kaireon supervisor", "kaireon supervisor", i)) == NULL)
            again = true;
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
    before_shmem_exit(leave, (Datum) 0);
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    control->launcher = MyLatch;
    for (int i = 0; i < CONTROL_DATABASES; i++)
        control->databases[i].wanted |= OidIsValid(control->databases[i].database);
    LWLockRelease(control->lock);
    ask_all_databases();
    pgstat_report_activity(STATE_IDLE, NULL);
    for (;;)
    {
        bool again = tend_supervisors();

        (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (again ? WL_TIMEOUT : 0), again ? RETRY_MS : -1L,
                         compat_wait_event("KaireonLauncher"));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending)
        {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
}

/* ---- DROP DATABASE and its kin ------------------------------------------------ */

/* An idle supervisor is connected: it is asked to go. */
static void
release_database(const char *name)
{
    Oid database = name ? get_database_oid(name, true) : InvalidOid;

    if (control == NULL || !OidIsValid(database))
        return;
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        DatabaseSlot *slot = &control->databases[i];

        if (slot->database == database && slot->supervisor)
        {
            slot->stop = true;
            SetLatch(slot->supervisor);
        }
    }
    LWLockRelease(control->lock);
}

static void
watch_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
              QueryEnvironment *env, DestReceiver *dest, QueryCompletion *completion)
{
    Node *statement = pstmt->utilityStmt;
    ListCell *lc;

    if (IsA(statement, DropdbStmt))
        release_database(((DropdbStmt *) statement)->dbname);
    else if (IsA(statement, RenameStmt) && ((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
        release_database(((RenameStmt *) statement)->subname);
    else if (IsA(statement, AlterDatabaseStmt))
        release_database(((AlterDatabaseStmt *) statement)->dbname);
    else if (IsA(statement, CreatedbStmt))
    {
        foreach(lc, ((CreatedbStmt *) statement)->options)
        {
            DefElem *option = lfirst_node(DefElem, lc);

            if (strcmp(option->defname, "template") == 0 && option->arg)
                release_database(defGetString(option));
        }
    }
    if (previous_utility)
        previous_utility(pstmt, query, read_only_tree, context, params, env, dest, completion);
    else
        standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, completion);
}

void
launcher_install_hook(void)
{
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = watch_utility;
}
