/*
 * hook.h: SQL of a target node that runs in the load's transaction: preHook
 * before the first row, postHook after the last.
 *
 * It is the SQL of the pipeline's owner and is run with the owner's rights, so
 * it needs no other check than that it can be parsed.
 */
#ifndef KAIREON_HOOK_H
#define KAIREON_HOOK_H

#include "postgres.h"

#include "pg/graph.h"

typedef enum HookKind { HOOK_PRE, HOOK_POST } HookKind;

/* The key it has in the node's config. */
extern const char *hook_key(HookKind kind);

/* The node's hook; NULL: it has none. */
extern char *hook_text(const GraphNode *node, HookKind kind);

/* Findings about the node's hooks: SQL that can't be parsed, that would end the transaction, or that shows credentials. */
extern void hook_check(const GraphNode *node, List **findings);

/*
 * Runs a hook as the current user, statement by statement, and throws rows
 * away.  What it SETs and whom it acts as is the caller's to undo
 * (rights_assume).
 */
extern void hook_run(const char *text);

/* "line 2, column 8" of the hook that raised the error; NULL when the error does not say. */
extern char *hook_place(const char *text, const ErrorData *error);

#endif
