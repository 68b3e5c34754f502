/*
 * inspect.h: a pipeline, compiled, for the functions that look at one.
 *
 * They run in the calling session, with the rights of the pipeline's owner
 * (rights.h) where PostgreSQL sees what the owner wrote.
 */
#ifndef KAIREON_INSPECT_H
#define KAIREON_INSPECT_H

#include "postgres.h"

#include "pg/catalog.h"
#include "pg/compile.h"
#include "pg/rights.h"

typedef struct Inspected
{
    PipelineSpec *spec;
    CompileInput input;
    Program *program;
} Inspected;

/*
 * What runs of the pipeline of that name, or its draft.  Raises 42704, and
 * 42501 for one whom it does not concern: whoever will see its data must be
 * its owner, others may be operators too.
 */
extern Inspected *inspect_load(const char *name, bool data);

/* The same compiled for a preview of the rows behind a node of its graph. */
extern Program *inspect_shown(Inspected *inspected, const GraphNode *node);

/*
 * Compiling lets PostgreSQL parse and plan what somebody wrote, which can run
 * code (types of literals, constants): so it happens with the rights of the
 * pipeline's owner, whoever looks; nothing it could SET stays, and it can't
 * write or make anything in a session that is not his.  Until rights_resume.
 */
extern RightsScope inspect_as(Oid owner);

#endif
