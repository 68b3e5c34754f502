/*
 * condition.h: conditions on a row's fields, as filters have them.
 *
 * An object {field, operator, value}, or a group {conditions: [such objects or
 * groups], match: all or any}.  The functions are the parts a NodeOp is made of.
 */
#ifndef KAIREON_CONDITION_H
#define KAIREON_CONDITION_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "pg/flow.h"
#include "pg/graph.h"
#include "pg/json.h"

/* The keys of such an object, for a node's table of keys. */
#define CONDITION_KEYS \
    {"field", JSON_STRING, false, NULL}, \
    {"operator", JSON_STRING, false, condition_operators}, \
    {"value", JSON_SCALAR | JSON_ARRAY, false, NULL}, \
    {"conditions", JSON_ARRAY, false, NULL}, \
    {"match", JSON_STRING, false, condition_matches}

extern const char *const condition_operators[];
extern const char *const condition_matches[];

/* What the table of keys can't say, also where that found something wrong; `what` names the object: "a filter node". */
extern void condition_check(JsonbContainer *object, const char *what, const GraphNode *node, List **findings);

/* Marks the fields it reads. */
extern void condition_walk(Compiler *c, const GraphNode *node, JsonbContainer *object);

/* The condition as a boolean SQL expression over the flow; Compiler.part names it. */
extern char *condition_sql(Compiler *c, const GraphNode *node, JsonbContainer *object);

/* The condition for people; what is missing is left out. */
extern void condition_describe(StringInfo out, JsonbContainer *object);

#endif
