/*
 * execute_ask.h: a set node that asks a connector, at work; private to execute*.c.
 *
 * Keeps the answers and turns away the rows of keys
 * that have none because something was wrong.
 */
#ifndef KAIREON_EXECUTE_ASK_H
#define KAIREON_EXECUTE_ASK_H

#include "postgres.h"
#include "utils/tuplestore.h"

#include "pg/execute.h"

typedef struct AskNode AskNode;

/* In the current context. */
extern AskNode *ask_node_create(Execution *execution, const ProgramStage *stage);

/*
 * Asks for the keys of these rows of the input that have not been asked for.
 * Raises 54000, before it asks for the first, when these make it more than
 * maxCalls in all; what is wrong with a key when bad rows are not left out; and
 * KA006 when something is wrong with all of the first keys.
 */
extern void ask_node_ask(AskNode *node, Tuplestorestate *input, double rows);

/* The relation of the answers so far. */
extern Tuplestorestate *ask_node_answers(AskNode *node, double *count);

/* A batch of rows of the node's result begins. */
extern void ask_node_begin_batch(AskNode *node);

/* The answer for what the query gives in its place, in the current context, which lives as long as the batch. */
extern Datum ask_node_answer(AskNode *node, Datum reference);

/* Is something wrong with the key of a row of the node's result?  Then the row is rejected. */
extern bool ask_node_refuses(AskNode *node, const Rows *rows, int row);

/* Ends its reader, and gives back its files. */
extern void ask_node_end(AskNode *node);

#endif
