/*
 * control.h: shared memory: run slots and the databases' supervisors.
 *
 * A RunSlot is a run that a session waits for or that has a worker.  The lock
 * guards states, pids and latches; counters are atomics that the run's worker
 * writes once a batch and anyone reads.  Only this extension's own processes
 * write here: nothing a source sent comes into shared memory but numbers.
 */
#ifndef KAIREON_CONTROL_H
#define KAIREON_CONTROL_H

#include "postgres.h"
#include "pg/compat.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define CONTROL_RUNS 128
#define CONTROL_DATABASES 128
#define CONTROL_OPTIONS 4096
#define CONTROL_NAME 1024    /* a pipeline's name: 255 characters */
#define CONTROL_FAILURE 512
#define CONTROL_UPLOAD 128

typedef enum SlotState
{
    SLOT_FREE = 0,
    SLOT_REQUESTED,          /* a session asks for a run; the supervisor makes its row */
    SLOT_QUEUED,             /* the row is there; waits for a worker */
    SLOT_STARTING,           /* a worker was registered */
    SLOT_RUNNING,            /* the worker has begun */
    SLOT_ENDED               /* the row is final; the waiting session frees the slot */
} SlotState;

typedef enum RunStage { STAGE_STARTING, STAGE_LISTING, STAGE_STAGING, STAGE_OPENING, STAGE_LOADING, STAGE_ENRICHING, STAGE_COMMITTING, STAGE_EXCHANGING } RunStage;

typedef struct RunSlot
{
    SlotState state;
    Oid database;
    pg_uuid_t run_id;
    pg_uuid_t pipeline_id;
    char pipeline[CONTROL_NAME];
    Oid owner;               /* of the pipeline: the worker's role */
    int version;
    int begun;               /* of the run, before its worker has: so many workers have */
    TimestampTz looks_at;    /* of a queued run that waits for files: when it looks again; else 0 */
    bool outbox;             /* not a run: its worker does what the pipeline's outbox has due */
    bool waits;              /* a session waits; it frees the slot */
    bool abandoned;          /* that session has gone */
    bool cancel;             /* cancel as soon as possible */
    Latch *waiter;
    pid_t waiter_pid;        /* of that session while it waits; 0: nobody */
    Latch *worker;
    pid_t worker_pid;
    pid_t reader_pid;
    TimestampTz started_at;
    char options[CONTROL_OPTIONS]; /* JSON */
    char upload[CONTROL_UPLOAD]; /* the temporary file with what the waiting session uploads; empty: nothing */
    bool connected;          /* the worker is the pipeline's owner */
    bool refused;            /* the row could not be made: the failure says why */
    int failure_code;        /* why the worker could not connect, or the first error after that; 0: none */
    char failure[CONTROL_FAILURE]; /* the server's message about it */
    pg_atomic_uint32 stage;  /* RunStage */
    pg_atomic_uint64 bytes_read;
    pg_atomic_uint64 bytes_total;
    pg_atomic_uint64 rows_read;
    pg_atomic_uint64 rows_loaded;
    pg_atomic_uint64 rows_updated;
    pg_atomic_uint64 rows_failed;
    pg_atomic_uint64 rows_skipped;
    pg_atomic_uint64 rows_filtered;
} RunSlot;

/* A database that has, or shall have, a supervisor. */
typedef struct DatabaseSlot
{
    Oid database;            /* InvalidOid: free */
    bool wanted;             /* a supervisor has something to do */
    bool asked;              /* whether it has is what is asked: it need not stay if not */
    bool failed;             /* its last supervisor ended without having been done */
    uint32 begun;            /* supervisors of this slot, of whatever database, that have begun */
    pid_t pid;               /* of the supervisor; 0: none */
    Latch *supervisor;
    bool stop;               /* it should end at once (DROP DATABASE) */
    bool waits;              /* its runs wait for a place in the pool */
    bool starved;            /* the server has no worker slot for them */
    TimestampTz turn_at;     /* when one had a place last; 0: none had */
    TimestampTz looked_at;   /* when it looked for a place last */
} DatabaseSlot;

typedef struct Control
{
    LWLock *lock;
    Latch *launcher;
    bool launched;           /* there has been one since the server was started */
    bool slotless;           /* the last try to start a worker found no worker slot */
    TimestampTz slotless_logged;
    DatabaseSlot databases[CONTROL_DATABASES];
    RunSlot runs[CONTROL_RUNS];
} Control;

extern Control *control;     /* NULL when the library was not preloaded */

extern void control_install_hooks(void);
/* Raises 55000 when the library was not preloaded. */
extern void control_require(void);
/* Makes sure that a supervisor of the database runs or wakes up.  Never raises; false when there are too many databases. */
extern bool control_wake(Oid database);
/* Has that database looked after if it has anything to be looked after; false when there are too many databases. */
extern bool control_ask(Oid database);
/* The slot is free; the caller holds the lock exclusively. */
extern void control_clear_database(DatabaseSlot *slot);
/* The same as control_wake, once the transaction commits. */
extern void control_wake_at_commit(Oid database);
/* Raises 53400 for that. */
pg_noreturn extern void control_too_many(void);
/* The slot of a run in this database, or NULL.  The caller holds the lock. */
extern RunSlot *control_find(const pg_uuid_t *run_id);
/* A free slot, cleared and taken in the given state; NULL when there is none.  The caller holds the lock exclusively. */
extern RunSlot *control_take(SlotState state);
/* The slot's run shall end as cancelled; the caller holds the lock exclusively. */
extern void control_cancel(RunSlot *slot);
/* So shall all of that database. */
extern void control_cancel_all(Oid database);
/*
 * Places in the pool; the caller holds the lock exclusively.
 *
 * May this database start a run now, of at most `max` in all?  A place goes to
 * the database with the fewest runs of those that wait for one, among them to
 * the one that had its turn the longest time ago.
 */
extern bool control_place_free(int max);
extern void control_take_place(void);           /* it does */
/* After a look at the queue: do runs wait for a place, and is that for want of a worker slot? */
extern void control_wait_place(bool waits, bool starved);
/* A place may have become free: whoever waits for one looks. */
extern void control_offer_place(void);
/*
 * Where supervisors have taken the last worker slots, no run could begin: all
 * but one of those that wait for a slot go.  True when it is this database's
 * turn to.
 */
extern bool control_must_yield(void);

/*
 * Whether a worker slot was found: if not, supervisors with nothing to do go.
 * True when the log should say that there is none: once while it lasts, and not
 * every time when slots come and go.
 */
extern bool control_note_slot(bool found);
/*
 * The database, or the extension in it, has gone: its runs give up their slots,
 * but for those whose worker is still there.  The caller holds the lock
 * exclusively.
 */
extern void control_forget(Oid database);

#endif
