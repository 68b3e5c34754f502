/*
 * ability.h: what connectors of a type can do, where a pipeline wants it of them.
 *
 * A type's connector.json says it ("abilities"); the reader's drivers
 * (src/reader/driver.h) are what does it, and a unit test compares the two.
 */
#ifndef KAIREON_ABILITY_H
#define KAIREON_ABILITY_H

#include "postgres.h"

#include "pg/graph.h"
#include "pg/json.h"

#define ABILITY_PATTERNS "patterns" /* has folders, among whose files patterns choose */
#define ABILITY_MOVE "move"         /* moves files */
#define ABILITY_CALL "call"         /* can be sent something */

/* Findings about source nodes that want what their connector's type can't do; type: that of the pipeline's connector, or NULL. */
extern void ability_check(const Graph *graph, const char *type, List **findings);

/* The same of an enrich node that asks a connector of that type. */
extern void ability_check_ask(const GraphNode *node, const char *type, List **findings);

/* Complains of a resource that is a pattern where the type knows none. */
extern void ability_check_resource(const char *type, JsonbContainer *config, JsonComplain complain, void *arg);

#endif
