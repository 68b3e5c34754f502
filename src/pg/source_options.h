/*
 * source_options.h: the keys of a source: format options and the node's own.
 *
 * One table for the config of a source node, for the options of kaireon.read
 * and its kin, and for an enrich node that asks a connector.
 */
#ifndef KAIREON_SOURCE_OPTIONS_H
#define KAIREON_SOURCE_OPTIONS_H

#include "postgres.h"

#include "pg/json.h"

typedef enum SourceUse
{
    SOURCE_OF_NODE,          /* a source node's config */
    SOURCE_OF_READ,          /* options of kaireon.read: no resource, no incremental, but onError */
    SOURCE_OF_ASK            /* an enrich node's config: what it asks, and how the answers are read */
} SourceUse;

/* Checks an object; complains about everything that is wrong.  `what` names the object in messages. */
extern void source_check(JsonbContainer *config, SourceUse use, const char *what, JsonComplain complain, void *arg);

/* What a checked config says of how its answers are read, as options of a read. */
extern Jsonb *source_ask_options(JsonbContainer *config);

/* A key of a config besides: an object of what is said about CSV and TSV, where the format is found out (wire.h). */
#define SOURCE_IF_CSV "ifCsv"

/* The format options of a checked object as JSON for the reader's request. */
extern char *source_format(JsonbContainer *config);

#endif
