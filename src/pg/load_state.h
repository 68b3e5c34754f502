/*
 * load_state.h: what a loader consists of; private to load*.c.
 *
 * load.c is the sink, and knows what all ways of writing have in common.  Each
 * way has a file of its own: load_fast.c writes as COPY does, load_slow.c by
 * INSERT ... SELECT.
 */
#ifndef KAIREON_LOAD_STATE_H
#define KAIREON_LOAD_STATE_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

#include "pg/load.h"

/* How rows are written into the table. */
typedef struct LoadWay
{
    /* A slot for a row; in Loader.context. */
    TupleTableSlot *(*make_slot) (Relation rel);
    void (*open) (Loader *loader);
    /* The slots of a batch, at least one: each row is loaded or rejected.  The current context is Loader.batch. */
    void (*flush) (Loader *loader);
    void (*finish) (Loader *loader);
} LoadWay;

extern const LoadWay load_fast;
extern const LoadWay load_slow;

struct Loader
{
    RowSink sink;            /* first, so that a sink is its loader */
    Relation rel;
    const GraphNode *node;
    LoadStrategy strategy;
    Rejects *rejects;
    MemoryContext context;
    MemoryContext batch;     /* what one flush needs */
    const LoadWay *way;
    void *own;               /* the way's state */
    const Rows *batch_rows;  /* that are being loaded */
    int capacity;
    int count;               /* slots accepted */
    TupleTableSlot **slots;
    int *rows;               /* which row of the batch each is */
    int64 loaded;
    int64 suppressed;        /* rows a trigger of the table made away with */
    List *summaries;         /* Summary *: of the table, which is a collection */
};

/* The row in slot i can't be loaded: fills in where it is from. */
extern void load_reject(Loader *loader, int i, Reject *reject);

/* The join fields of the table's summaries, the same for all of them; NULL: it has none. */
extern const ProgramSummary *load_summary_keys(const Loader *loader);

/* Tells the summaries of a row that came in: the join fields; or of all rows in the slots, loaded or not. */
extern void load_touch(const Loader *loader, Datum *keys, bool *nulls);
extern void load_touch_slots(const Loader *loader);

#endif
