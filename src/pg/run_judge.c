/*
 * run_judge.c: whether what a run has loaded may be committed: the checks of
 * its validate nodes on all rows together.  See run_state.h and dataset.h.
 */
#include "postgres.h"

#include "pg/run_state.h"

#include "pg/dataset.h"
#include "pg/errors.h"

/* Keeps a check that failed for run_errors. */
static void
note_failure(Run *run, const GraphNode *node, const DatasetFailure *failure)
{
    Reject reject = {.kind = failure->warns ? REJECT_WARNS : REJECT_STOPS, .node = node, .field = failure->field,
                     .sqlstate = ERRCODE_KAIREON_DATASET, .reason = failure->reason, .value = failure->seen};

    rejects_note(run->rejects, &reject);
}

pg_noreturn static void
fail(const GraphNode *node, List *reasons)
{
    StringInfoData others;

    initStringInfo(&others);
    for (int i = 1; i < list_length(reasons); i++)
        appendStringInfo(&others, "%s%s", i == 1 ? " Others failed too: " : "; ", (char *) list_nth(reasons, i));
    ereport(ERROR, (errcode(ERRCODE_KAIREON_DATASET), errmsg("%s", (char *) linitial(reasons)),
                    errdetail("It is a check of node \"%s\"; nothing was loaded.%s%s", node->id, others.data, others.len ? "." : ""),
                    errhint("Mend the source, or give the check another bound, or \"onFail\": \"warn\".")));
    pg_unreachable();
}

/* A node whose rows are compared with those of runs before. */
typedef struct Compared { Run *run; const GraphNode *node; } Compared;

static int64
rows_before(void *arg, int runs)
{
    const Compared *compared = arg;

    return record_rows_before(compared->run, compared->node, runs);
}

void
run_judge(Run *run)
{
    const Graph *graph = run->program->graph;
    List *reasons = NIL;

    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        Dataset *dataset = run->execution->datasets[i];
        Compared compared = {run, node};
        ListCell *lc;

        if (dataset == NULL)
            continue;
        foreach(lc, dataset_judge(dataset, run->nodes[i].out, rows_before, &compared))
        {
            const DatasetFailure *failure = lfirst(lc);

            note_failure(run, node, failure);
            if (failure->warns)
                continue;
            if (reasons == NIL)
                run->judged = node;
            reasons = lappend(reasons, failure->reason);
        }
    }
    if (reasons)
        fail(run->judged, reasons);
}
