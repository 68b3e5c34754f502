/*
 * control.c: shared memory: run slots and the databases' supervisors.  See control.h.
 */
#include "postgres.h"

#include "pg/control.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

PG_FUNCTION_INFO_V1(kaireon_wake_supervisor);
extern PGDLLEXPORT Datum kaireon_wake_supervisor(PG_FUNCTION_ARGS);

Control *control = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request(void)
{
    if (previous_request)
        previous_request();
    RequestAddinShmemSpace(sizeof(Control));
    RequestNamedLWLockTranche("kaireon", 1);
}

static void
startup(void)
{
    bool found;

    if (previous_startup)
        previous_startup();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    control = ShmemInitStruct("kaireon", sizeof(Control), &found);
    if (!found)
    {
        memset(control, 0, sizeof(Control));
        control->lock = &GetNamedLWLockTranche("kaireon")->lock;
        for (int i = 0; i < CONTROL_RUNS; i++)
        {
            RunSlot *slot = &control->runs[i];

            pg_atomic_init_u32(&slot->stage, 0);
            pg_atomic_init_u64(&slot->bytes_read, 0);
            pg_atomic_init_u64(&slot->bytes_total, 0);
            pg_atomic_init_u64(&slot->rows_read, 0);
            pg_atomic_init_u64(&slot->rows_loaded, 0);
            pg_atomic_init_u64(&slot->rows_updated, 0);
            pg_atomic_init_u64(&slot->rows_failed, 0);
            pg_atomic_init_u64(&slot->rows_skipped, 0);
            pg_atomic_init_u64(&slot->rows_filtered, 0);
        }
    }
    LWLockRelease(AddinShmemInitLock);
}

void
control_install_hooks(void)
{
    previous_request = shmem_request_hook;
    shmem_request_hook = request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = startup;
}

void
control_require(void)
{
    if (control == NULL)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("kaireon must be loaded by the server to run pipelines"),
                        errhint("Add kaireon to shared_preload_libraries and restart the server.")));
}

bool
control_wake(Oid database)
{
    DatabaseSlot *free_slot = NULL;
    bool woken = false;

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    for (int i = 0; i < CONTROL_DATABASES && !woken; i++)
    {
        DatabaseSlot *slot = &control->databases[i];

        if (slot->database == database)
        {
            slot->wanted = true;
            if (slot->supervisor)
                SetLatch(slot->supervisor);
            woken = true;
        }
        else if (!OidIsValid(slot->database) && free_slot == NULL)
            free_slot = slot;
    }
    if (!woken && free_slot)
    {
        memset(free_slot, 0, sizeof(*free_slot));
        free_slot->database = database;
        free_slot->wanted = true;
        woken = true;
    }
    if (control->launcher)
        SetLatch(control->launcher);
    LWLockRelease(control->lock);
    return woken;
}

static bool wake_at_commit = false;

static void
at_commit(XactEvent event, void *arg)
{
    if (wake_at_commit && event == XACT_EVENT_COMMIT)
        (void) control_wake(MyDatabaseId);
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
        wake_at_commit = false;
}

void
control_wake_at_commit(void)
{
    static bool registered = false;

    if (control == NULL)
        return;
    if (!registered)
        RegisterXactCallback(at_commit, NULL);
    registered = true;
    wake_at_commit = true;
}

Datum
kaireon_wake_supervisor(PG_FUNCTION_ARGS)
{
    control_wake_at_commit();
    PG_RETURN_VOID();
}

void
control_too_many(void)
{
    ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                    errmsg("kaireon is in use in too many databases of this server"),
                    errdetail("At most %d databases can have pipelines under way.", CONTROL_DATABASES)));
    pg_unreachable();
}

RunSlot *
control_find(const pg_uuid_t *run_id)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];

        if (slot->state != SLOT_FREE && slot->database == MyDatabaseId &&
            memcmp(&slot->run_id, run_id, sizeof(*run_id)) == 0)
            return slot;
    }
    return NULL;
}

RunSlot *
control_take(SlotState state)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];

        if (slot->state != SLOT_FREE)
            continue;
        slot->state = state;
        slot->database = MyDatabaseId;
        slot->waits = slot->abandoned = slot->cancel = false;
        slot->waiter = slot->worker = NULL;
        slot->worker_pid = slot->reader_pid = 0;
        slot->started_at = 0;
        slot->options[0] = slot->failure[0] = '\0';
        slot->failure_code = 0;
        pg_atomic_write_u32(&slot->stage, STAGE_STARTING);
        pg_atomic_write_u64(&slot->bytes_read, 0);
        pg_atomic_write_u64(&slot->bytes_total, 0);
        pg_atomic_write_u64(&slot->rows_read, 0);
        pg_atomic_write_u64(&slot->rows_loaded, 0);
        pg_atomic_write_u64(&slot->rows_updated, 0);
        pg_atomic_write_u64(&slot->rows_failed, 0);
        pg_atomic_write_u64(&slot->rows_skipped, 0);
        pg_atomic_write_u64(&slot->rows_filtered, 0);
        return slot;
    }
    return NULL;
}

void
control_forget(Oid database)
{
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];

        if (slot->state == SLOT_FREE || slot->database != database || slot->worker_pid != 0)
            continue;
        slot->state = slot->waits && !slot->abandoned ? SLOT_ENDED : SLOT_FREE;
        if (slot->state == SLOT_ENDED && slot->waiter)
            SetLatch(slot->waiter);
    }
}
