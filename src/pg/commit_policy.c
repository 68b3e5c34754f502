/*
 * commit_policy.c: when a run commits.  See commit_policy.h.
 *
 * A run that commits before its end can't take back what it has loaded, and goes
 * on behind it when it is resumed.  So nothing may depend on rows that come
 * later, nor on rows that came before the last commit: whatever nodes or
 * strategies look at the run as a whole is refused here.
 */
#include "postgres.h"

#include "pg/commit_policy.h"

#include "pg/fetch.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/target.h"

/* Of execution_config's batchSize. */
#define DEFAULT_BATCH 10000

/* By CommitPolicy. */
const char *const commit_policies[] = {"run", "file", "batch", NULL};

CommitPolicy
commit_policy(Jsonb *config)
{
    char *name = json_get_text(&config->root, "commit");

    for (int i = 0; name && commit_policies[i]; i++)
    {
        if (strcmp(commit_policies[i], name) == 0)
            return i;
    }
    return COMMIT_RUN;
}

int64
commit_batch_rows(Jsonb *config)
{
    return json_get_int(&config->root, "batchSize", DEFAULT_BATCH);
}

/* Why the node needs the whole run; NULL: it does not. */
static const char *
needs_run(const GraphNode *node)
{
    if (node->op->kind == NODE_SET)
        return "gives its first row when it has all rows of the run";
    if (json_count(node->config, "dataset") > 0)
        return "has checks on all rows of the run, which say whether it may be committed";
    if (node->op->kind == NODE_SOURCE && fetch_row_limit(node) > 0)
        return "has a \"rowLimit\", which is counted from the run's beginning";
    if (node->op->kind == NODE_TARGET && target_is_full_refresh(target_strategy(node)))
        return "replaces all rows of the table by those of the run";
    if (node->op->kind == NODE_TARGET && target_strategy(node) == LOAD_WATERMARK)
        return "compares its rows with those of the run before";
    return NULL;
}

void
commit_policy_check(Jsonb *config, const Graph *graph, List **findings)
{
    CommitPolicy policy = JB_ROOT_IS_OBJECT(config) ? commit_policy(config) : COMMIT_RUN;

    for (int i = 0; i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        const char *reason = policy == COMMIT_RUN ? NULL : needs_run(node);

        if (reason)
            graph_complain(findings, node->id, "wrong_commit", "Leave \"commit\" out of execution_config: the run then commits once, at its end.",
                           "node \"%s\" (%s) %s, but the pipeline commits after each %s", node->id, node->op->name, reason, commit_policies[policy]);
        if (node->op->kind == NODE_SOURCE && policy != COMMIT_FILE && fetch_skips_failing(node))
            graph_complain(findings, node->id, "wrong_commit", "Say \"commit\": \"file\" in execution_config, so that each file is loaded whole or not at all.",
                           "\"onFileError\": \"skip\" of node \"%s\" needs a pipeline that commits after each file", node->id);
    }
}
