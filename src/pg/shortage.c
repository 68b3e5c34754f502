/*
 * shortage.c: runs that can't begin because the server has no process for them.  See shortage.h.
 */
#include "postgres.h"

#include "pg/shortage.h"

#include "miscadmin.h"

/* Looks without a launcher after which none is expected any more.  The postmaster starts it as soon as it is ready. */
#define UNLAUNCHED_LOOKS 3

#define UNLAUNCHED_DETAIL "max_worker_processes is %d, and others may have taken them when the server was started; its log says so."
#define UNLAUNCHED_HINT "Increase max_worker_processes and restart the server."

/* As of now; true when there is a reason. */
static bool
find(bool *launched, bool *slotless)
{
    LWLockAcquire(control->lock, LW_SHARED);
    *launched = control->launched;
    *slotless = control->slotless;
    LWLockRelease(control->lock);
    return !*launched || *slotless;
}

void
shortage_look(const RunSlot *slot, ShortageLooks *looks)
{
    bool waits, launched, slotless;

    LWLockAcquire(control->lock, LW_SHARED);
    waits = slot->state == SLOT_REQUESTED || slot->state == SLOT_QUEUED;
    LWLockRelease(control->lock);
    if (!find(&launched, &slotless) || !waits)
        return;
    if (!launched && ++looks->unlaunched >= UNLAUNCHED_LOOKS)
        ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("no run of pipeline \"%s\" can begin: the server has not started kaireon's launcher", slot->pipeline),
                        errdetail(UNLAUNCHED_DETAIL, max_worker_processes), errhint(UNLAUNCHED_HINT)));
    if (!slotless || looks->told)
        return;
    looks->told = true;
    ereport(NOTICE, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the run of pipeline \"%s\" waits for a background worker slot of the server", slot->pipeline),
                     errdetail("max_worker_processes is %d, and all are taken.", max_worker_processes),
                     errhint("It begins when one is free.  Consider increasing max_worker_processes.")));
}

void
shortage_tell(const char *pipeline)
{
    bool launched, slotless;

    if (!find(&launched, &slotless))
        return;
    if (!launched)
        ereport(WARNING, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the run of pipeline \"%s\" waits: the server has not started kaireon's launcher yet", pipeline),
                          errdetail(UNLAUNCHED_DETAIL, max_worker_processes), errhint(UNLAUNCHED_HINT)));
    else
        ereport(NOTICE, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("the run of pipeline \"%s\" may have to wait for a background worker slot of the server", pipeline),
                         errdetail("max_worker_processes is %d, and when a worker was needed last all were taken.", max_worker_processes),
                         errhint("Consider increasing max_worker_processes.")));
}
