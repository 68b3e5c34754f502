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

/* Files go to one of these folders when they are loaded, when their rows have failed the run, and before they are read. */
typedef enum ArchiveFolder { ARCHIVE_SUCCESS, ARCHIVE_FAILURE, ARCHIVE_STAGING } ArchiveFolder;

/* Complains of what is wrong with the "atomicity" of a source node. */
extern void archive_check_source(const GraphNode *source, List **findings);

/* Complains of sources that would take each other's files away: that read the same, at least one with a staging folder. */
extern void archive_check_shared(const Graph *graph, List **findings);

/* The node that archives what a source gives: an archive node, or itself where it has an "atomicity"; NULL when none does. */
extern const GraphNode *archive_of(const Graph *graph, const GraphNode *source);

/* Where a file goes: that folder at that time (UTC), and its own name.  NULL when the node has no such folder. */
extern char *archive_target(const GraphNode *archive, ArchiveFolder folder, const char *path, TimestampTz at);

/* Are the source's files moved before they are read? */
extern bool archive_is_staged(const GraphNode *source);

/* Of a listing (FetchObject *) of a source, what does not lie in the folders to which its files go. */
extern List *archive_leave_out(const Graph *graph, const GraphNode *source, List *listed);

#endif
