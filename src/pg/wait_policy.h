/*
 * wait_policy.h: runs that wait for files: "waitPolicy" of a source node.
 *
 * A source with a policy may find nothing that is new.  Then its run is queued
 * once more, and the supervisor starts it when it is time to look again; so a
 * run that waits takes no worker, and outlasts a restart of the server
 * (run_wait.c).
 */
#ifndef KAIREON_WAIT_POLICY_H
#define KAIREON_WAIT_POLICY_H

#include "postgres.h"

#include "pg/json.h"

/* What a run does when it has looked in vain for the last time. */
typedef enum MissAction { MISS_FAIL, MISS_ALERT, MISS_SKIP } MissAction;

typedef struct WaitPolicy
{
    int retries;             /* so often it looks again */
    double minutes;          /* before each time */
    MissAction action;
} WaitPolicy;

/* Complains of what is wrong with the policy of a source's config, which has only keys that are right in themselves. */
extern void wait_policy_check(JsonbContainer *config, JsonComplain complain, void *arg);

/* The policy of a checked config; false: it has none. */
extern bool wait_policy_get(JsonbContainer *config, WaitPolicy *policy);

/* "fail", "alert" or "skip". */
extern const char *wait_policy_action(MissAction action);

#endif
