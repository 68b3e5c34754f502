/*
 * preview.h: the rows a pipeline would load, without loading them.
 *
 * A preview reads through readers of its own, in the calling session, with the
 * pipeline owner's rights, and stops as soon as it has enough rows.
 */
#ifndef KAIREON_PREVIEW_H
#define KAIREON_PREVIEW_H

#include "postgres.h"
#include "nodes/execnodes.h"

#include "pg/execute.h"
#include "pg/inspect.h"

typedef struct Preview
{
    const PipelineSpec *spec;
    const CompileInput *input;
    const Program *program;
    ReturnSetInfo *result;   /* gets the rows as jsonb; NULL: they are only counted */
    int64 left;              /* rows still wanted */
    /* what came of it */
    Rejects *rejects;
    NodeCounts *counts;      /* by GraphNode.ordinal */
} Preview;

/* Reads the sources until there are enough rows or they end.  Bad rows stop nothing; they are counted. */
extern void preview_read(Preview *preview);

#endif
