/*
 * target.h: what a target node says about loading.
 */
#ifndef KAIREON_TARGET_H
#define KAIREON_TARGET_H

#include "postgres.h"

#include "pg/compile.h"

/* The node's loadingStrategy; append where it says nothing. */
extern LoadStrategy target_strategy(const GraphNode *node);

/*
 * Fills in what the strategy needs of the schema's table, key and watermark.
 * Complains when it can't be had.
 */
extern void target_resolve(ProgramTarget *target, List **findings);

/* Does it update rows that are there already? */
extern bool target_updates(const GraphNode *node);

/* Do its rows take the place of all that the table has? */
extern bool target_is_full_refresh(LoadStrategy strategy);

/* As target nodes name it. */
extern const char *target_strategy_name(LoadStrategy strategy);

#endif
