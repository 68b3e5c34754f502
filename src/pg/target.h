/*
 * target.h: what a target node says about loading.
 */
#ifndef KAIREON_TARGET_H
#define KAIREON_TARGET_H

#include "postgres.h"

#include "pg/compile.h"

/* The node's loadingStrategy; append where it says nothing. */
extern LoadStrategy target_strategy(const GraphNode *node);

/* As target nodes name it. */
extern const char *target_strategy_name(LoadStrategy strategy);

#endif
