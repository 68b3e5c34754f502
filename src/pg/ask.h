/*
 * ask.h: asking a connector what it has for one key after another.
 *
 * One reader answers all questions of an Ask; it is started with the first, and
 * again after an answer that was not read to its end.  It ends with the
 * Ask, and with the (sub)transaction the Ask was made in.
 */
#ifndef KAIREON_ASK_H
#define KAIREON_ASK_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "pg/compile.h"
#include "pg/graph.h"

typedef struct Ask Ask;

typedef struct Answer
{
    Jsonb *value;            /* NULL: the connector has nothing */
    int sqlstate;            /* 0: what there is could be read; else */
    char *reason;            /* what is wrong, */
    int key;                 /* with which of the key's values; -1: with the answer */
} Answer;

/* For a node of which compiled is the compilation; lives in the current context. */
extern Ask *ask_create(const GraphNode *node, const ProgramAsk *compiled);

/*
 * Asks for a key, of which `values` are the values, none of them null; waits for
 * the reader, noticing cancels.  What *answer points to lives until the next call.
 * Raises what is no matter of this key: a reader that died, memory that is
 * exhausted, credentials that do not open.  Needs no snapshot.
 */
extern void ask_key(Ask *ask, char *const *values, Answer *answer);

/* Ends the reader. */
extern void ask_end(Ask *ask);

#endif
