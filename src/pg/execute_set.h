/*
 * execute_set.h: a set node at work; private to execute*.c.
 */
#ifndef KAIREON_EXECUTE_SET_H
#define KAIREON_EXECUTE_SET_H

#include "postgres.h"

#include "executor/execdesc.h"
#include "utils/snapshot.h"

#include "pg/execute.h"

/* ---- a query over a set node's relations ------------------------------------------------ */

/* One that has begun; its struct is the caller's. */
typedef struct SetQuery { QueryDesc *desc; Snapshot snapshot; } SetQuery;

/*
 * Plans and begins it; `stores` and `rows` as in compile_set_environment, and
 * both live as long.  It sees nothing of this transaction.
 */
extern void set_query_begin(SetQuery *query, const ProgramSet *set, const char *sql, void *const *stores, const double *rows,
                            DestReceiver *receiver);

/* The next `count` rows (0: all) go to the receiver, fewer when that wants no more. */
extern void set_query_run(SetQuery *query, uint64 count);

extern void set_query_end(SetQuery *query);

/* ---- the node --------------------------------------------------------------------------- */

typedef struct SetNode SetNode;

/* With empty inputs; in the current context. */
extern SetNode *set_node_create(Execution *execution, const ProgramStage *stage);

/* Where the rows of an input's lane go. */
extern RowSink *set_node_input(SetNode *node, int side);

/*
 * Of a node that asks a connector: asks what the next rows of its input need,
 * which set_node_rows then gives.  Of any other node nothing.
 */
extern void set_node_ask(SetNode *node, int64 rows);

/*
 * The next rows of its query, which is planned and started when they are first
 * asked for; NULL at the end.  They live until the next call.
 */
extern const Rows *set_node_rows(SetNode *node);

/* Has it rows that were not asked for yet? */
extern bool set_node_has_more(const SetNode *node);

/* Rows that went in and, so far, came out or were rejected. */
extern int64 set_node_in(const SetNode *node);
extern int64 set_node_out(const SetNode *node);
extern int64 set_node_refused(const SetNode *node);

/* Ends it and gives back its memory and files. */
extern void set_node_end(SetNode *node);

#endif
