/*
 * stage.h: a row stage: its lanes' flattened statements over batches.
 *
 * PostgreSQL plans each lane's statement; its sub-plan is one scan of the
 * stage's relation with one target list and a list of conditions.  The worker
 * evaluates those itself, row by row, so an error belongs to one row:
 * evaluation runs inside an internal subtransaction, which an error ends and a
 * new one follows.  A row goes along the first lane whose conditions it meets:
 * where a branch refuses it, the lane of the branch's next route is tried.
 * What passes is left in the slots of the lane's sink, in the target's shape.
 *
 * stage_plan.c makes stages, stage.c evaluates, stage_reject.c says what an
 * error was about.
 */
#ifndef KAIREON_STAGE_H
#define KAIREON_STAGE_H

#include "postgres.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"

#include "pg/compile.h"
#include "pg/dataset.h"
#include "pg/reject.h"
#include "pg/rows.h"
#include "pg/rule.h"

struct StageLane;

/*
 * Takes finished rows.  For each batch: begin, then the stage fills next's slot
 * and says with accept whose row it is, as often as there are such.  After
 * flush, once or several times in a batch, what was accepted so far may go.
 */
typedef struct RowSink
{
    void (*begin) (struct RowSink *sink, const Rows *rows);
    TupleTableSlot *(*next) (struct RowSink *sink, const struct StageLane *lane);
    void (*accept) (struct RowSink *sink, int row);
    void (*flush) (struct RowSink *sink);
} RowSink;

/* An expression and its state, which is made anew after an error, since that may have left it half-way. */
typedef struct StageExpr
{
    Expr *expr;              /* NULL: none */
    ExprState *state;
    MemoryContext context;   /* of the state */
} StageExpr;

/* What a check on all rows (dataset.h) sees of a batch. */
typedef struct StageObserver
{
    const GraphNode *node;
    int place;
    int step;                /* of the clause's lane */
    Oid type;
    bool pending;            /* the row at hand has given a value */
    int count;               /* values of rows that went out of the node */
    Datum *values;           /* and behind them the pending one */
    bool *nulls;
} StageObserver;

typedef struct StageClause
{
    StageExpr condition;
    int step;                /* of the lane: the filter or branch it is part of */
    Bitmapset *columns;      /* columns it reads, 0-based */
    int shown;               /* the column whose value is shown of a row it refuses; -1: none */
    Rule *rule;              /* of a validate node; NULL: a filter's or a branch's */
    StageObserver *observer; /* no condition, but what a check looks at; or NULL */
} StageClause;

/* A computed column of what a lane makes: what nodes made of the row, then its assignment to the column. */
typedef struct StageEntry
{
    int to;                  /* place in the slot */
    StageExpr value;
    StageExpr assignment;    /* over value, or of the whole where no node computes anything */
} StageEntry;

/* A condition of the target: a default for a not-null column (coerce), a check constraint. */
typedef struct StageNotNull { AttrNumber attnum; StageExpr fallback; } StageNotNull;
typedef struct StageCheck { char *name; StageExpr condition; } StageCheck;

typedef struct StageLane
{
    const Lane *lane;
    int at;                  /* as in compile_step_of, for the statement that was planned */
    RowSink *sink;           /* set by whoever made the stage */
    Relation target;         /* NULL for a preview */
    TupleDesc desc;          /* of what it makes */
    int nclauses;
    StageClause *clauses;    /* in the order of the steps */
    int ncopies;
    struct StageCopy { int16 from, to; } *copies;      /* columns that go on as they are */
    int nconstants;
    struct StageConstant { int to; Datum value; bool null; } *constants;
    int nentries;
    StageEntry *entries;
    Bitmapset *columns;      /* columns that what it makes reads */
    int nnot_null;
    StageNotNull *not_null;
    int nchecks;
    StageCheck *checks;
    int *next;               /* by step: the lane to try when a branch refuses; -1: none */
    int64 taken;             /* rows so far that its sink got */
    int64 *ended;            /* by step: rows so far that were filtered out or rejected there */
    int64 *filtered;         /* by step: of these, filtered out */
    int64 refused;           /* rows so far that the set node at its end did not take, for a reason of its own */
} StageLane;

typedef struct Stage
{
    const Program *program;
    const ProgramStage *compiled;
    MemoryContext context;
    TupleTableSlot *row_slot;
    EState *estate;
    ExprContext *econtext;
    int nlanes;
    StageLane *lanes;
    bool *settled;           /* columns of the row whose pending cell has been settled */
    struct StageBatch *batch; /* being evaluated */
    List *observers;         /* StageObserver * */
    Dataset **datasets;      /* as in Execution; set by whoever made the stage */
    int64 unreadable;        /* rows so far that the reader could not split */
} Stage;

/*
 * Plans the lanes of a stage and gets ready.  Inside a transaction, with an
 * active snapshot; checks the current user's rights.  `targets`: the open
 * tables by place in Program.targets; NULL: nothing will be loaded (preview).
 */
extern Stage *stage_create(const Program *program, const ProgramStage *compiled, Relation *targets);
extern void stage_destroy(Stage *stage);

/* Makes an expression's state, anew if there is one. */
extern void stage_init_expr(Stage *stage, StageExpr *e);

/* The columns of the stage's relation an expression reads, 0-based, added to *columns. */
extern void stage_columns(Node *expr, Bitmapset **columns);

/* A batch is to be evaluated, which lives until it is.  The sinks have begun it. */
extern void stage_begin(Stage *stage, const Rows *rows, Rejects *rejects);

/*
 * Evaluates its rows in source order, as far as what is made of them fits into
 * memory; then the sinks flush, and if it was true there are more.  Rows the
 * reader could not split go to rejects at their place.
 */
extern bool stage_run(Stage *stage);

/* ---- between stage.c and stage_reject.c ---------------------------------------- */

/* Where the evaluation of a row is: tells what an error was about. */
typedef struct RowState
{
    int row;
    int lane;
    int column;              /* the cell being settled, or -1 */
    int ended;               /* the step of its lane at which it ended; INT_MAX: at none */
    StageClause *clause;     /* the condition being evaluated, or NULL */
    StageEntry *entry;       /* the column being computed, or NULL */
    StageExpr *running;      /* being evaluated, or NULL */
    Bitmapset *retried;      /* cells of the row that coerce tries a second time */
    Reject reject;           /* of a bad row */
    Rejects *rejects;
    List *warned;            /* StageClause *: rules the row breaks, but which let it pass */
} RowState;

/* Says why a row is bad; the node is the one of the lane's step. */
extern void stage_bad_row(const Stage *stage, RowState *at, RejectKind kind, int step, int sqlstate, char *reason);

/* The same of a cell. */
extern void stage_bad_cell(const Stage *stage, const Rows *rows, RowState *at, int sqlstate, char *reason);

/* What becomes of a row that breaks the rule. */
extern RejectKind stage_rule_kind(const Rule *rule);

/* The row breaks a clause's rule: fills a reject, for a bad row or for a warning. */
extern void stage_broken_rule(const Stage *stage, const Rows *rows, const RowState *at, const StageClause *clause, Reject *reject);

/* An error raised while evaluating a row becomes the row's reject. */
extern void stage_error_to_reject(Stage *stage, const Rows *rows, RowState *at, const ErrorData *error);

#endif
