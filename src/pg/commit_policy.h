/*
 * commit_policy.h: when a run commits: "commit" of execution_config.
 */
#ifndef KAIREON_COMMIT_POLICY_H
#define KAIREON_COMMIT_POLICY_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "pg/graph.h"

typedef enum CommitPolicy
{
    COMMIT_RUN,              /* once, at its end */
    COMMIT_FILE,             /* after each file as well */
    COMMIT_BATCH             /* whenever so many rows were read: batchSize */
} CommitPolicy;

/* The values of the key, ended by NULL. */
extern const char *const commit_policies[];

/* What a checked execution_config says. */
extern CommitPolicy commit_policy(Jsonb *config);

/* Rows that COMMIT_BATCH commits at once, at least. */
extern int64 commit_batch_rows(Jsonb *config);

/* Appends a finding for each node that needs all rows of the run before anything can be committed. */
extern void commit_policy_check(Jsonb *config, const Graph *graph, List **findings);

#endif
