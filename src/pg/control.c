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
                        errdetail("Runs are background workers, which need shared memory from the server's start."),
                        errhint("Add kaireon to shared_preload_libraries and restart the server.")));
}

/* The slot of a database: its own, or a free one that becomes its own; NULL when there is none. */
static DatabaseSlot *
database_slot(Oid database)
{
    DatabaseSlot *free_slot = NULL;

    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        DatabaseSlot *slot = &control->databases[i];

        if (slot->database == database)
            return slot;
        if (!OidIsValid(slot->database) && free_slot == NULL)
            free_slot = slot;
    }
    if (free_slot)
        free_slot->database = database;
    return free_slot;
}

void
control_clear_database(DatabaseSlot *slot)
{
    uint32 begun = slot->begun;

    memset(slot, 0, sizeof(*slot));
    slot->begun = begun;
}

bool
control_wake(Oid database)
{
    DatabaseSlot *slot;

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot = database_slot(database);
    if (slot)
    {
        slot->wanted = true;
        slot->asked = slot->stop = false; /* who had asked it to go has been overtaken */
        if (slot->supervisor)
            SetLatch(slot->supervisor);
    }
    if (control->launcher)
        SetLatch(control->launcher);
    LWLockRelease(control->lock);
    return slot != NULL;
}

bool
control_ask(Oid database)
{
    DatabaseSlot *slot;

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    slot = database_slot(database);
    if (slot && slot->pid == 0 && !slot->wanted)
        slot->wanted = slot->asked = true;
    LWLockRelease(control->lock);
    return slot != NULL;
}

static List *wake_at_commit = NIL; /* OIDs of databases; kept by PREPARE TRANSACTION */

static void
at_commit(XactEvent event, void *arg)
{
    ListCell *lc;

    foreach(lc, wake_at_commit)
    {
        if (event == XACT_EVENT_COMMIT)
            (void) control_wake(lfirst_oid(lc));
    }
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
    {
        list_free(wake_at_commit);
        wake_at_commit = NIL;
    }
}

void
control_wake_at_commit(Oid database)
{
    static bool registered = false;
    MemoryContext old;

    if (control == NULL)
        return;
    if (!registered)
        RegisterXactCallback(at_commit, NULL);
    registered = true;
    old = MemoryContextSwitchTo(TopMemoryContext);
    wake_at_commit = list_append_unique_oid(wake_at_commit, database);
    MemoryContextSwitchTo(old);
}

Datum
kaireon_wake_supervisor(PG_FUNCTION_ARGS)
{
    control_wake_at_commit(MyDatabaseId);
    PG_RETURN_VOID();
}

void
control_too_many(void)
{
    ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                    errmsg("kaireon is in use in too many databases of this server"),
                    errdetail("At most %d databases can have pipelines under way.", CONTROL_DATABASES),
                    errhint("Try again later: a database that has nothing under way gives its place back.")));
    pg_unreachable();
}

/* ---- the pool ------------------------------------------------------------------ */

/* A database that has not looked for so many ms is not waited for. */
#define PATIENCE_MS 5000

static int
count_active(Oid database)
{
    int count = 0;

    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        const RunSlot *slot = &control->runs[i];

        if ((slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING) && (slot->database == database || !OidIsValid(database)))
            count++;
    }
    return count;
}

bool
control_place_free(int max)
{
    TimestampTz now = GetCurrentTimestamp();
    DatabaseSlot *self = database_slot(MyDatabaseId);
    int own = count_active(MyDatabaseId);

    if (count_active(InvalidOid) >= max)
        return false;
    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        const DatabaseSlot *other = &control->databases[i];
        int theirs;

        if (other == self || !OidIsValid(other->database) || !other->waits ||
            TimestampDifferenceExceeds(other->looked_at, now, PATIENCE_MS))
            continue;
        theirs = count_active(other->database);
        if (theirs < own || (theirs == own && self && other->turn_at < self->turn_at))
            return false;
    }
    return true;
}

void
control_take_place(void)
{
    DatabaseSlot *self = database_slot(MyDatabaseId);

    if (self)
        self->turn_at = GetCurrentTimestamp();
}

void
control_wait_place(bool waits, bool starved)
{
    DatabaseSlot *self = database_slot(MyDatabaseId);

    if (self == NULL)
        return;
    self->looked_at = GetCurrentTimestamp();
    self->waits = waits;
    self->starved = starved;
}

void
control_offer_place(void)
{
    for (int i = 0; i < CONTROL_DATABASES; i++)
    {
        const DatabaseSlot *slot = &control->databases[i];

        if (OidIsValid(slot->database) && slot->waits && slot->supervisor)
            SetLatch(slot->supervisor);
    }
}

bool
control_must_yield(void)
{
    const DatabaseSlot *self = database_slot(MyDatabaseId);

    if (self == NULL || count_active(MyDatabaseId) > 0)
        return false;
    for (const DatabaseSlot *other = control->databases; other < self; other++)
    {
        if (OidIsValid(other->database) && other->pid != 0 && other->starved)
            return true;
    }
    return false;
}

/* That there is no worker slot is said at most once in so many ms. */
#define SLOTLESS_LOG_MS 60000

bool
control_note_slot(bool found)
{
    TimestampTz now = GetCurrentTimestamp();
    bool say;

    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    say = !found && !control->slotless && TimestampDifferenceExceeds(control->slotless_logged, now, SLOTLESS_LOG_MS);
    control->slotless = !found;
    if (say)
        control->slotless_logged = now;
    for (int i = 0; i < CONTROL_DATABASES && !found; i++)
    {
        DatabaseSlot *slot = &control->databases[i];

        if (slot->supervisor && slot->pid != MyProcPid && count_active(slot->database) == 0)
        {
            slot->stop = true;   /* which it does when it is idle */
            SetLatch(slot->supervisor);
        }
    }
    LWLockRelease(control->lock);
    return say;
}

/* ---- runs ---------------------------------------------------------------------- */

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

void
control_cancel(RunSlot *slot)
{
    slot->cancel = true;
    if (slot->worker_pid != 0)
        kill(slot->worker_pid, SIGINT);
}

void
control_cancel_all(Oid database)
{
    LWLockAcquire(control->lock, LW_EXCLUSIVE);
    for (int i = 0; i < CONTROL_RUNS; i++)
    {
        RunSlot *slot = &control->runs[i];

        if (slot->database == database && slot->state != SLOT_FREE && slot->state != SLOT_ENDED)
            control_cancel(slot);
    }
    LWLockRelease(control->lock);
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
        slot->outbox = slot->waits = slot->abandoned = slot->cancel = slot->connected = slot->refused = false;
        slot->waiter = slot->worker = NULL;
        slot->waiter_pid = slot->worker_pid = slot->reader_pid = 0;
        slot->started_at = 0;
        slot->options[0] = slot->upload[0] = slot->failure[0] = '\0';
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
