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

/* The first step of a lane that begins at Compiler.set: SELECT of what it gives. */
extern void compile_write_result(Compiler *c);

#endif
