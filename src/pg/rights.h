/*
 * rights.h: acting as another role, and what a pipeline's owner must be allowed.
 */
#ifndef KAIREON_RIGHTS_H
#define KAIREON_RIGHTS_H

#include "postgres.h"

#include "pg/catalog.h"

/* Who was current before rights_assume. */
typedef struct RightsScope { Oid user; int sec_context; int guc_level; bool read_only; } RightsScope;

/*
 * From here on the current user is `role`, which code that runs meanwhile
 * can't change by SET ROLE or SET SESSION AUTHORIZATION; and whatever it SETs
 * is undone by rights_resume.  `flags` are further SECURITY_ bits:
 * SECURITY_RESTRICTED_OPERATION in a session that is not the role's own.
 * Whoever makes it read only (XactReadOnly) does so until rights_resume.  An
 * error restores all of it with its (sub)transaction.
 */
extern RightsScope rights_assume(Oid role, int flags);
extern void rights_resume(RightsScope scope);

/*
 * Raises what keeps a pipeline from running as the current user, who must be
 * its owner: 42501 for missing rights, 42704 when the pipeline is gone, 55000
 * when it was given to another role.  Without a graph (NULL) the tables of
 * targets that name a schema of their own are not looked at.
 */
extern void rights_require_runnable(const PipelineSpec *spec, const Graph *graph);

/* The same as findings, for a pipeline of that owner which need not be saved. */
extern void rights_find_obstacles(Oid owner, const pg_uuid_t *connector_id, const pg_uuid_t *schema_id, const Graph *graph, List **findings);

#endif
