/*
 * upload.h: text that a session hands over, on its way to a run's reader.
 *
 * The session writes it to a temporary file and waits for the run, whose
 * reader opens that file (connectors/csv_upload).  Nothing of it is in shared
 * memory but the file's name.
 */
#ifndef KAIREON_UPLOAD_H
#define KAIREON_UPLOAD_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "pg/catalog.h"
#include "pg/graph.h"

/*
 * Writes a temporary file; its path, relative to the data directory, into
 * `path` of `size` bytes.  Counts for temp_file_limit.  The caller sees to
 * upload_drop, whatever happens; a crash of the server removes it, too.
 */
extern void upload_keep(const char *bytes, size_t length, char *path, size_t size);
extern void upload_drop(const char *path);

/* Findings about a source node that reads uploads as if they were files. */
extern void upload_check(const GraphNode *source, List **findings);

/* Is it the type of connectors that have what is uploaded? */
extern bool upload_is_type(const char *type);

/* The connector with that file to read, if it is of type csv_upload; else itself. */
extern const ConnectorSpec *upload_connector(const ConnectorSpec *connector, const char *path);

/* What the reader is told of such a connector: JSON. */
extern char *upload_config(const ConnectorSpec *connector);

/* A source node's config, with what its connector, if of that type, says about delimiter and header. */
extern JsonbContainer *upload_format(const ConnectorSpec *connector, JsonbContainer *config);

#endif
