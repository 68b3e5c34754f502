/*
 * load_key.h: the key by which an upsert finds rows, and rows that have the same.
 *
 * Whether keys are the same is the unique index's to say: its expressions, its
 * predicate, its order, and what it thinks of nulls.
 */
#ifndef KAIREON_LOAD_KEY_H
#define KAIREON_LOAD_KEY_H

#include "postgres.h"
#include "access/htup_details.h"
#include "utils/rel.h"

#include "pg/load.h"

typedef struct LoadKey LoadKey;

/* A row that waits to be loaded. */
typedef struct KeyedRow
{
    MinimalTuple tuple;
    const char *clause;      /* its lane's on_conflict; the same pointer for the same clause */
    int64 position;          /* where it came from (positions.h) */
    int earlier;             /* the row before it that it is in place of; -1: none */
    bool gone;               /* it was rejected, or another is in its place */
    bool bad;                /* it was rejected */
} KeyedRow;

/* A row can't be loaded. */
typedef void (*KeyReject) (Loader *loader, int row, Reject *reject);

/* Lives in the current context; opens the index. */
extern LoadKey *load_key_open(Relation rel, Oid index);
extern void load_key_close(LoadKey *key);

/*
 * Of rows in the order they came: rejects those whose key is null or can't be
 * computed.  Of those with equal keys that have the same clause the last stands
 * for all.  Fills in `earlier` and `gone`, and `order` with the rows that are
 * left: by key, where equal ones stand in the order they came, and before them
 * those that have no key.  Returns how many.
 */
extern int load_key_merge(LoadKey *key, Loader *loader, KeyedRow *rows, int count, int *order, KeyReject reject);

/* The rows are done. */
extern void load_key_reset(LoadKey *key);

#endif
