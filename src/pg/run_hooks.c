/*
 * run_hooks.c: when a run calls its targets' hooks.  See run_state.h and hook.h.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "utils/snapmgr.h"

#include "pg/rights.h"

bool
run_has_hooks(const Run *run, HookKind kind)
{
    for (int i = 0; i < run->program->ntargets; i++)
    {
        ListCell *lc;

        foreach(lc, hook_list(run->program->targets[i].node, kind))
        {
            if (((const Hook *) lfirst(lc))->type != HOOK_WEBHOOK)
                return true;
        }
    }
    return false;
}

static void
call_hook(Run *run, const GraphNode *node, const Hook *hook)
{
    RightsScope scope;

    run->hooked = node;
    run->hook = hook;
    run_report(psprintf("%s of node %s", hook->label, node->id));
    scope = rights_assume(run->slot->owner, 0);
    hook_run(hook->sql);
    rights_resume(scope);
    run->hooked = NULL;
}

void
run_call_hooks(Run *run, HookKind kind)
{
    if (!run_has_hooks(run, kind))
        return;
    for (int i = 0; i < run->program->ntargets; i++)
    {
        const GraphNode *node = run->program->targets[i].node;
        ListCell *lc;

        foreach(lc, hook_list(node, kind))
        {
            if (((const Hook *) lfirst(lc))->type != HOOK_WEBHOOK)
                call_hook(run, node, lfirst(lc));
        }
    }
    /* what comes now is to see what they have done */
    PopActiveSnapshot();
    PushActiveSnapshot(GetTransactionSnapshot());
}

void
run_blame_hook(const Run *run, ErrorData *error)
{
    char *place = hook_place(run->hook, error);
    char *where = psprintf("It happened in %s of node \"%s\"%s%s.", run->hook->label, run->hooked->id, place ? ", at " : "", place ? place : "");

    error->detail = error->detail ? psprintf("%s %s", error->detail, where) : where;
}
