/*
 * compile_set.h: the compiler's second walk at a set node; private to compile*.c.
 */
#ifndef KAIREON_COMPILE_SET_H
#define KAIREON_COMPILE_SET_H

#include "postgres.h"

#include "pg/flow.h"

/*
 * Writes the query of Compiler.set, whose inputs' lanes have been written, and
 * finishes these; the stage gets its relation.
 */
extern void compile_write_set(Compiler *c, const GraphNode *node);

/* Have its inputs all fields that it needs?  Where something before it is wrong they may lack some. */
extern bool compile_set_is_whole(const Feed *feed);

/*
 * Instead of compile_write_set where the node is wrong, so that what comes
 * behind it can be checked: the fields of its first input go through, as far as
 * they are there.
 */
extern void compile_mend_set(Compiler *c, const GraphNode *node);

/* The first step of a lane that begins at Compiler.set: SELECT of what it gives. */
extern void compile_write_result(Compiler *c);

#endif
