/*
 * load_state.h: what a loader consists of; private to load*.c.
 *
 * load.c is the sink, and knows what all ways of writing have in common.  Each
 * way has a file of its own: load_fast.c writes as COPY does, load_slow.c by
 * INSERT ... SELECT, load_upsert.c by INSERT ... ON CONFLICT, load_swap.c into a
 * new heap beside the table; load_staged.c and load_range.c have what
 * load_slow.c and load_upsert.c have in common.
 */
#ifndef KAIREON_LOAD_STATE_H
#define KAIREON_LOAD_STATE_H

#include "postgres.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "tcop/dest.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#include "pg/load.h"

/* How rows are written into the table. */
typedef struct LoadWay
{
    /* A slot for a row; in Loader.context. */
    TupleTableSlot *(*make_slot) (Relation rel);
    void (*open) (Loader *loader);
    /* The slots of a batch, at least one: each row is loaded or rejected.  The current context is Loader.batch. */
    void (*flush) (Loader *loader);
    /* Of a way whose rows may wait behind a flush, and that moves the mark itself, else NULL: loads those that wait. */
    void (*drain) (Loader *loader);
    void (*finish) (Loader *loader);
    /* Of a way that writes beside the table, else NULL: where to, and what puts it in the table's place. */
    Oid (*storage) (const Loader *loader);
    void (*swap) (Loader *loader);
} LoadWay;

extern const LoadWay load_fast;
extern const LoadWay load_slow;
extern const LoadWay load_upsert;
extern const LoadWay load_swap;

struct Loader
{
    RowSink sink;            /* first, so that a sink is its loader */
    Relation rel;
    const ProgramTarget *compiled;
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
    const char **clauses;    /* the lane's on_conflict of each */
    bool *rejected;          /* so far, of each */
    struct LoadMark *mark;   /* of a target with a watermark; else NULL */
    LoadCounts counts;
    int waiting;             /* rows of which it is not yet known whether they can be loaded */
    struct Course *course;   /* load_range.c's */
    bool rehearses;          /* what is being done will be undone */
    Loader **all;            /* of the run, by place: see loader_introduce */
    int nall;
    List *summaries;         /* Summary *: of the table, which is a collection */
};

/* The row in slot i can't be loaded: fills in where it is from. */
extern void load_reject(Loader *loader, int i, Reject *reject);

/* The same of a row that came from there, of whatever batch. */
extern void load_reject_at(Loader *loader, RowPosition at, Reject *reject);

/* What an error says of the row that it happened with. */
extern Reject load_reject_of(const ErrorData *error);

/* Where the rows of a table are: of one that a loader of the run writes anew beside it, there.  arg: any of these loaders. */
extern Oid load_storage_of(const void *arg, Oid table);

/* The row in slot i has a key that is in the index already. */
extern void load_reject_conflict(Loader *loader, int i, Relation index, const IndexInfo *info, Datum *values, bool *nulls);

/* The join fields of the table's summaries, the same for all of them; NULL: it has none. */
extern const ProgramSummary *load_summary_keys(const Loader *loader);

/* Tells the summaries of a row that came in: the join fields; or of all rows in the slots, loaded or not. */
extern void load_touch(const Loader *loader, Datum *keys, bool *nulls);
extern void load_touch_slots(const Loader *loader);

/* ---- load_mark.c: targets with a watermark -------------------------------------- */

/* Leaves out rows of the batch that are not new, and rejects those of which that is not known. */
extern void load_mark_filter(Loader *loader);

/* The batch is done: those that were loaded move the mark. */
extern void load_mark_advance(Loader *loader);

/* The row in the slot was loaded. */
extern void load_mark_see(Loader *loader, TupleTableSlot *slot);

/* ---- load_staged.c: statements over rows of the batch -------------------------- */

#define STAGED_RELATION "staged"

/* That relation, and what is common to the statements that read it. */
typedef struct LoadStaged
{
    Tuplestorestate *store;  /* its rows */
    Tuplestorestate *reads;  /* it has these instead, for a while */
    MemoryContext context;
    ResourceOwner owner;
    int cleared;             /* so often, since it was made */
    TupleDesc desc;          /* the table's */
    char *namespace;         /* that of the table when the statements were prepared */
    char *columns;           /* that take a value: "a, b" */
} LoadStaged;

/* In Loader.context. */
extern LoadStaged *load_staged_create(Loader *loader);
extern void load_staged_destroy(LoadStaged *staged);

/* Takes out its rows; also inside a subtransaction. */
extern void load_staged_clear(LoadStaged *staged);

/* The table's name in statements. */
extern char *load_staged_table(const Loader *loader, const LoadStaged *staged);

/* Connects SPI, with the relation; several loaders take turns, so none keeps it. */
extern void load_staged_connect(const LoadStaged *staged);

/*
 * After a statement that reads it has failed: at which row, if the first is
 * `first`; it had not read all of them then, or has only that one.  Else
 * LOAD_AT_UNKNOWN.
 */
extern int load_staged_failed_at(const LoadStaged *staged, int first);

/* A statement that reads the relation, prepared, until SPI_freeplan. */
extern SPIPlanPtr load_staged_prepare(const LoadStaged *staged, const char *sql);

/*
 * The same of an INSERT of its rows: `alias` stands behind the table's name,
 * `tail` behind the SELECT.  With summaries it gives back the join fields.
 */
extern SPIPlanPtr load_staged_insert(const Loader *loader, const LoadStaged *staged, const char *alias, const char *tail);

/*
 * The statement names the table, and a schema can be renamed while a table in
 * it is locked: raises 55000 when it means another one now.
 */
extern void load_staged_check(const Loader *loader, const LoadStaged *staged, SPIPlanPtr insert);

/* The join fields of the table's summaries: "a, b". */
extern char *load_staged_join_fields(const Loader *loader);

/* Takes the join fields that a statement gives back: load_touch; in the current context. */
extern DestReceiver *load_touch_receiver(const Loader *loader);

/* ---- load_range.c: rows of which some can't be loaded ----------------------------- */

/* Loads some of the rows: those from `from` to before `to`, of the way's own order. */
typedef void (*LoadRange) (Loader *loader, int from, int to);

/*
 * Calls `load` in a subtransaction.  NULL when it returned; else why not:
 * nothing of it is left, and the counts are as before.
 */
extern ErrorData *load_try(Loader *loader, LoadRange load, int from, int to);

#define LOAD_AT_UNKNOWN (-1)
#define LOAD_AGAIN (-2)      /* the next try does otherwise */

/* How rows that wait are loaded. */
typedef struct LoadRows
{
    LoadRange load;
    int (*failed_at) (Loader *loader); /* after that has raised an error: at which row it was, or: */
    void (*reject) (Loader *loader, int row, Reject *reject);
    /* Of row i, which can't be loaded: its number for `reject`; *again: another one is row i now.  NULL: it is i, and there is no other. */
    int (*refuse) (Loader *loader, int i, bool *again);
    void (*restore) (Loader *loader, int i, int row); /* the number is that of row i again */
    bool at_once;            /* if it is known, then those before it can be loaded */
    int piece;               /* so many are rehearsed at once, as experience shows; at first as many as there may be */
} LoadRows;

/*
 * Loads rows 0 to before `count`, but for those that can't be, which are
 * rejected, both in this order.  At most two subtransactions with a transaction
 * ID are left of it, but for triggers that do otherwise the second time, and one
 * more where what was found of bad rows fills kaireon.work_mem.
 */
extern void load_good_rows(Loader *loader, LoadRows *rows, int count);

#endif
