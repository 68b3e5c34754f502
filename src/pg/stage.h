/*
 * stage.h: the row stage: a program's flattened SELECT over a batch.
 *
 * PostgreSQL plans the program's INSERT; its sub-plan is one scan of "source"
 * with one target list and a list of conditions.  The worker evaluates those
 * itself, row by row, so an error belongs to one row: evaluation runs inside an
 * internal subtransaction, which an error ends and a new one follows.  Rows
 * that pass are left in the slots of a sink, in the target table's shape.
 */
#ifndef KAIREON_STAGE_H
#define KAIREON_STAGE_H

#include "postgres.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"

#include "pg/cells.h"
#include "pg/compile.h"
#include "pg/reject.h"

/* Takes finished rows: the stage fills sink->next(sink), then says whose row it is with sink->accept. */
typedef struct RowSink
{
    TupleTableSlot *(*next) (struct RowSink *sink);
    void (*accept) (struct RowSink *sink, int row);
} RowSink;

typedef struct StageClause
{
    Expr *expr;
    ExprState *state;
    const GraphNode *node;   /* the filter it is part of */
    Bitmapset *columns;      /* source columns it reads, 0-based */
} StageClause;

typedef struct Stage
{
    const Program *program;
    MemoryContext context;
    PlannedStmt *plan;
    List *target_list;       /* of TargetEntry, the target table's columns in order */
    StageClause *clauses;
    int nclauses;
    bool nothing_passes;     /* a condition is false for every row */
    Bitmapset *target_columns; /* source columns the target list reads */
    TupleDesc source_desc;
    TupleTableSlot *source_slot;
    Relation target;         /* open while the stage is; NULL for a preview */
    TupleDesc target_desc;
    EState *estate;
    ExprContext *econtext;
    ProjectionInfo *projection;
    AttrNumber *not_null;    /* target columns that may not be null */
    int nnot_null;
    ExprState **defaults;    /* coerce: default of each not-null column, by place in not_null; NULL: none */
    struct StageCheck { char *name; Expr *expr; ExprState *state; } *checks;
    int nchecks;
    int64 filtered;          /* rows so far that a condition kept out */
    int64 *filtered_by;      /* the same by GraphNode.ordinal */
} Stage;

/*
 * Plans the program for its target and gets ready.  Inside a transaction, with
 * an active snapshot; checks the current user's right to insert.  target may
 * be NULL: then the SELECT is planned (preview).
 */
extern Stage *stage_create(const Program *program, Relation target);
extern void stage_destroy(Stage *stage);

/*
 * Evaluates all rows of a loaded batch in source order.  Rows the reader could
 * not split go to rejects at their place.  `source` names the split.
 */
extern void stage_run(Stage *stage, Cells *cells, Rejects *rejects, const char *source, RowSink *sink);

#endif
