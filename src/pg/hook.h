/*
 * hook.h: what a target node has done besides: preHook before the first row,
 * postHook after the last.
 *
 * A hook is a text of SQL, an object of one of the types below, or an array of
 * these.  SQL and the refresh of materialized views happen in the load's
 * transaction.  They are the pipeline owner's and run with the owner's rights,
 * so SQL needs no other check than that it can be parsed.  Webhooks are called
 * after the commit: by the outbox (outbox.h), where the run puts them
 * (kaireon_internal.want_webhooks).
 */
#ifndef KAIREON_HOOK_H
#define KAIREON_HOOK_H

#include "postgres.h"

#include "pg/graph.h"

typedef enum HookKind { HOOK_PRE, HOOK_POST } HookKind;
typedef enum HookType { HOOK_SQL, HOOK_REFRESH, HOOK_WEBHOOK } HookType;

typedef struct Hook
{
    HookType type;
    char *label;             /* "postHook", "postHook 2" */
    char *sql;               /* what is run; NULL: of a webhook */
    JsonbContainer *given;   /* the object; NULL: it is a text */
} Hook;

/* The key it has in the node's config. */
extern const char *hook_key(HookKind kind);

/* The node's hooks (Hook *) in their order; what is wrong of them is left out. */
extern List *hook_list(const GraphNode *node, HookKind kind);

/* A hook for people: its SQL, or what is called. */
extern char *hook_shown(const Hook *hook);

/* Findings about the node's hooks: keys and values; SQL that can't be parsed, that would end the transaction, or that shows credentials. */
extern void hook_check(const GraphNode *node, List **findings);

/* The same about the connectors that they name, which must be the current user's. */
extern void hook_resolve(const GraphNode *node, List **findings);

/*
 * Runs a hook's SQL as the current user, statement by statement, and throws
 * rows away.  What it SETs and whom it acts as is the caller's to undo
 * (rights_assume).
 */
extern void hook_run(const char *text);

/* "line 2, column 8" of the hook that raised the error; NULL when the error does not say, or the SQL is not as somebody wrote it. */
extern char *hook_place(const Hook *hook, const ErrorData *error);

/* ---- webhook.c ------------------------------------------------------------------------ */

/* Findings about a webhook; label as in Hook. */
extern void webhook_check(const GraphNode *node, const char *label, JsonbContainer *given, List **findings);
extern void webhook_resolve(const GraphNode *node, const Hook *hook, List **findings);
extern char *webhook_shown(JsonbContainer *given);

#endif
