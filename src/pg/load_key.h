/*
 * load_key.h: the key by which an upsert finds rows, and rows of a batch that
 * have the same.
 *
 * Whether keys are the same is the unique index's to say: its expressions, its
 * predicate, its order, and what it thinks of nulls.
 */
#ifndef KAIREON_LOAD_KEY_H
#define KAIREON_LOAD_KEY_H

#include "postgres.h"
#include "utils/rel.h"

#include "pg/load.h"

typedef struct LoadKey LoadKey;

/* Lives in the current context; opens the index. */
extern LoadKey *load_key_open(Relation rel, Oid index);
extern void load_key_close(LoadKey *key);

/*
 * The loader's batch: a row whose key is null or can't be computed is rejected.
 * Of those with equal keys that have the same clause the last stands for all:
 * earlier[i] is the one before, or -1, and the others are counted as merged.
 * gone[i], false at first: the row is rejected, or another stands for it.
 */
extern void load_key_merge(LoadKey *key, Loader *loader, int *earlier, bool *gone);

/* The batch is done. */
extern void load_key_reset(LoadKey *key);

#endif
