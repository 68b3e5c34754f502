/*
 * execute.h: a program at work.
 *
 * Takes the batches of its sources, runs them through the row stages and the
 * set nodes, and leaves what comes out in the sinks of its targets.  Where
 * batches come from and what is done with rows at the targets is the caller's:
 * a run loads them (run.c), a preview shows them (preview.c).  Counts rows, by
 * node.
 *
 * The caller goes through Program.stages in their order: a source's stage
 * wants its batches (execution_batch), a set node's is asked for its own
 * (execution_ask, and then execution_set until there are no more).
 */
#ifndef KAIREON_EXECUTE_H
#define KAIREON_EXECUTE_H

#include "postgres.h"
#include "portability/instr_time.h"

#include "pg/compile.h"
#include "pg/dataset.h"
#include "pg/fetch.h"
#include "pg/reject.h"
#include "pg/stage.h"

/* What happened at a node. */
typedef struct NodeCounts
{
    int64 in;
    int64 out;               /* of a target: rows its sink got */
    int64 filtered;
    int64 merged;            /* rows that a set node made fewer (negative: more), once it has given all */
    instr_time time;         /* of a row stage: at the first node behind its feed */
} NodeCounts;

/* A stage at work. */
typedef struct ExecutionStage
{
    Stage *stage;            /* NULL: not yet, or no more */
    MemoryContext context;   /* of the program it was compiled to, if that is its own */
    const bool **present;    /* columns it was compiled for, by source; NULL: all */
    struct SetNode *set;     /* execute_set.h: of a set node's stage, until it has given all */
} ExecutionStage;

typedef struct Execution
{
    MemoryContext context;   /* everything below */
    const CompileInput *input;
    const Program *program;
    Rejects *rejects;
    RowSink **sinks;         /* by place in Program.targets; then that of lanes that end without a target or set node */
    Relation *targets;       /* the same; NULL: nothing is loaded */
    ExecutionStage *stages;  /* by place in Program.stages */
    bool **seen;             /* by source: columns that some split had; NULL: no split yet */
    Dataset **datasets;      /* by GraphNode.ordinal: what checks on all rows have seen; NULL: nothing is loaded */
    Positions *positions;    /* of rows that wait in a set node; NULL: there is none */
    const GraphNode *querying; /* the set node whose query is running, or NULL */
    NodeCounts *nodes;       /* by GraphNode.ordinal: of stages that are gone; see execution_counts */
} Execution;

/* Lives in the current context, as the arguments must.  In a transaction, with a snapshot. */
extern Execution *execution_create(const CompileInput *input, const Program *program, Rejects *rejects, RowSink **sinks, Relation *targets);

/*
 * One batch of a source: evaluates its rows and has the sinks flush them.
 * `source` is its place in Program.sources, `split` is what they are of, `present`
 * says which of the source's columns the split has.
 */
extern void execution_batch(Execution *execution, int source, Cells *cells, const FetchObject *split, const bool *present);

/*
 * To be called before execution_set: a set node that asks a connector asks what
 * `rows` more rows of its input need, which execution_set then gives.  True when
 * there are further ones.  Any other node does nothing.  Waits for the reader;
 * needs no snapshot.
 */
extern bool execution_ask(Execution *execution, int stage, int64 rows);

/*
 * One batch of a set node's rows; false when it has no more.  `stage` is its
 * place in Program.stages.  Raises what its query does, and
 * Execution.querying is then the node.
 */
extern bool execution_set(Execution *execution, int stage);

/* Rows filtered out so far, and rows that set nodes made fewer (negative: more); of nodes that have given all. */
extern int64 execution_filtered(const Execution *execution);
extern int64 execution_merged(const Execution *execution);

/* What happened at each node so far, by GraphNode.ordinal; palloc'd.  Of a target: `out` without what its sink made of it. */
extern NodeCounts *execution_counts(const Execution *execution);

/* Ends it; the counts stay. */
extern void execution_end(Execution *execution);

#endif
