/*
 * run_dry.c: the end of a run that is only to be tried.  See run_state.h.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"

#include "pg/injection.h"
#include "pg/worker.h"

/* Constraints and triggers that are deferred to the commit, which does not come. */
static void
fire_deferred(void)
{
    ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt); /* SET CONSTRAINTS ALL IMMEDIATE */

    AfterTriggerSetState(all);
}

void
run_undo(Run *run)
{
    run_report("rolling back");
    fire_deferred();
    injection_point("dry-run-checked");
    AbortCurrentTransaction();
    injection_point("dry-run-undone");
    worker_begin();
    MemoryContextSwitchTo(run->context);
}
