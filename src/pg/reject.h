/*
 * reject.h: what happens to rows that can't be loaded.
 *
 * A bad row is data: it becomes a Reject with its position and reason.  The
 * policy then either stops the run with exactly that information, or counts
 * it and keeps a bounded number of them for run_errors, to be written in the
 * load's transaction; where the policy or a rule wants it, the row is kept whole
 * as a dead letter.
 */
#ifndef KAIREON_REJECT_H
#define KAIREON_REJECT_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

#include "pg/compile.h"
#include "pg/execution_config.h"
#include "pg/positions.h"

typedef struct DeadLetters DeadLetters; /* dead_letter.h */

/*
 * Who decides: the target node's validation, the pipeline's errorHandling, or
 * a rule's onFail: it stops the run, the row is left out, it becomes a dead
 * letter, or it is loaded all the same.
 */
typedef enum RejectKind { REJECT_VALIDATION, REJECT_OTHER, REJECT_STOPS, REJECT_SKIPPED, REJECT_QUARANTINED, REJECT_WARNS } RejectKind;

typedef struct Reject
{
    RejectKind kind;
    const GraphNode *node;   /* where */
    RowPosition at;
    char *field;             /* or NULL */
    const char *constraint;  /* of the table; or NULL */
    int sqlstate;
    char *reason;
    char *value;             /* the field as read, "a=1, b=2" of several, or the row; or NULL */
    char *expression;        /* what a node was evaluating; or NULL */
} Reject;

typedef struct Rejects
{
    MemoryContext context;   /* of the run: keeps what is recorded */
    const char *pipeline;
    bool *validation_fails;  /* by GraphNode.ordinal: of target nodes */
    bool other_fails;
    const ErrorPolicy *policy; /* or NULL */
    bool never_stops;        /* nothing is loaded: not even a rule that says so */
    int64 count;             /* rows rejected so far */
    int64 conflicts;         /* of these, for a key that the table has already */
    int64 slow;              /* of these, for taking longer than kaireon.expression_timeout */
    bool some_good;          /* not all rows of the run were bad */
    int64 *per_node;         /* by GraphNode.ordinal */
    List *kept;              /* Reject *, at most `limit` with those of `earlier`, and of bounded size */
    int written;             /* of these, which the last commit had; */
    int earlier;             /* and those that earlier attempts of the run have committed */
    int64 kept_bytes;
    int limit;
    Reject *failure;         /* the row that stopped the run, if one did */
    int nnodes;
    int marked;              /* of those that are kept, as the last commit left them: */
    struct RejectsMark { int64 count, conflicts, slow, kept_bytes; bool some_good; int64 *per_node; } mark;
    DeadLetters *letters;    /* where rows are kept whole; NULL: none are */
    bool keeps_all;          /* every row that is left out becomes a dead letter */
} Rejects;

/* What helps with a value that is not in the encoding of its source. */
#define REJECT_ENCODING_HINT "Say how the source is encoded, for instance \"encoding\": \"WINDOWS-1252\" or \"LATIN1\"."

/* Of a value or a reason, run_errors keeps this much. */
#define REJECT_TEXT_BYTES 8192

/* A value as errors quote it: its beginning, with control characters but tabs and line feeds as \r or \x01. */
extern char *reject_shown(const char *value);

/* `File "a.csv", line 3, field "x": "value"`; may be empty. */
extern char *reject_place(const Reject *reject);

/*
 * Lives in the current context, as the policy must.  Where that says nothing, a
 * program whose targets are strict fails.  Without a policy no row stops anything.
 */
extern Rejects *rejects_create(const char *pipeline, const Program *program, const ErrorPolicy *policy);

/*
 * Takes one row.  Copies what it keeps.  Raises the reject's own SQLSTATE when
 * the policy is to stop (rejects->failure then has it), KA007 when it is one
 * more than maxErrors, and KA009 when too many rows took too long.
 */
extern void rejects_add(Rejects *rejects, const Reject *reject);

/* Would such a row stop the run? */
extern bool rejects_stop(const Rejects *rejects, const Reject *reject);

/*
 * After each batch: raises KA006 when all of the run's first rows are bad, since
 * then something is wrong with the pipeline and not with the rows.  `rows` is
 * how many there were.  A key that the table has already does not count: the
 * row may have been loaded by the run before.
 */
extern void rejects_check_all_bad(Rejects *rejects, int64 rows);

/* At the end: raises KA007 when more of the rows were bad than a maxErrors in percent allows. */
extern void rejects_check_share(Rejects *rejects, int64 rows);

/* Keeps what is wrong with a row that is loaded all the same; it is not counted. */
extern void rejects_warn(Rejects *rejects, const Reject *warning);

/* Keeps, in any case, what is wrong with the run as a whole. */
extern void rejects_note(Rejects *rejects, const Reject *reject);

/* Writes what was kept since the last commit (and the failure, if any) to run_error; inside a transaction. */
extern void rejects_write(Rejects *rejects, const pg_uuid_t *run_id);
/* That is where rejects_go_back goes back to; `written`: by that transaction, which has committed. */
extern void rejects_committed(Rejects *rejects, bool written);
/* What was rejected since then is not so any more. */
extern void rejects_go_back(Rejects *rejects);

#endif
