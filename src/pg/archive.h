/*
 * archive.h: folders to which files go once a run has read them.
 *
 * A folder is relative to the connector's base, "done/{YYYY}/{MM}"; its first
 * component is fixed, so that what lies there is never taken for a new file.
 */
#ifndef KAIREON_ARCHIVE_H
#define KAIREON_ARCHIVE_H

#include "postgres.h"
#include "utils/timestamp.h"

#include "pg/graph.h"

/* Complains of what is wrong with the "atomicity" of a source node. */
extern void archive_check_source(const GraphNode *source, List **findings);

/* The node that archives what a source gives: an archive node, or itself where it has an "atomicity"; NULL when none does. */
extern const GraphNode *archive_of(const Graph *graph, const GraphNode *source);

/* Where a file goes: its folder at that time (UTC), and its own name.  NULL when the node has no folder for that case. */
extern char *archive_target(const GraphNode *archive, bool success, const char *path, TimestampTz at);

/* Of a listing (FetchObject *) of a source, what does not lie in the folders to which its files go. */
extern List *archive_leave_out(const Graph *graph, const GraphNode *source, List *listed);

#endif
