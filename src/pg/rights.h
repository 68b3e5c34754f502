/*
 * rights.h: acting as another role, and what a pipeline's owner must be allowed.
 */
#ifndef KAIREON_RIGHTS_H
#define KAIREON_RIGHTS_H

#include "postgres.h"
#include "utils/uuid.h"

/* Who was current before rights_assume. */
typedef struct RightsScope { Oid user; int sec_context; int guc_level; } RightsScope;

/*
 * From here on the current user is `role`, which code that runs meanwhile
 * can't change by SET ROLE or SET SESSION AUTHORIZATION; and whatever it SETs
 * is undone by rights_resume.  `flags` are further SECURITY_ bits:
 * SECURITY_RESTRICTED_OPERATION in a session that is not the role's own.  An
 * error restores all of it with its (sub)transaction.
 */
extern RightsScope rights_assume(Oid role, int flags);
extern void rights_resume(RightsScope scope);

/*
 * Raises what keeps a pipeline from running as the current user, who must be
 * its owner: 42501 for missing rights, 42704 when the pipeline is gone, 55000
 * when it was given to another role.
 */
extern void rights_require_runnable(const pg_uuid_t *pipeline);

#endif
