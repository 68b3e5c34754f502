/*
 * execute_set.h: a set node at work; private to execute*.c.
 */
#ifndef KAIREON_EXECUTE_SET_H
#define KAIREON_EXECUTE_SET_H

#include "postgres.h"

#include "pg/execute.h"

typedef struct SetNode SetNode;

/* With empty inputs; in the current context. */
extern SetNode *set_node_create(Execution *execution, const ProgramStage *stage);

/* Where the rows of an input's lane go. */
extern RowSink *set_node_input(SetNode *node, int side);

/*
 * The next rows of its query, which is planned and started when they are first
 * asked for; NULL at the end.  They live until the next call.
 */
extern const Rows *set_node_rows(SetNode *node);

/* Rows that went in and, so far, came out. */
extern int64 set_node_in(const SetNode *node);
extern int64 set_node_out(const SetNode *node);

/* Ends it and gives back its memory and files. */
extern void set_node_end(SetNode *node);

#endif
