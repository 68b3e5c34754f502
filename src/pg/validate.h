/*
 * validate.h: what the two kinds of validate nodes share; private to node_validate*.c.
 *
 * Rules about a row alone are conditions of the row stage it is in.  A node
 * with rules about all rows (unique, reference) is a set node: those about a
 * row alone hold on the way into it, and what its query finds of the others is
 * tested on the way out.
 */
#ifndef KAIREON_VALIDATE_H
#define KAIREON_VALIDATE_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "pg/flow.h"
#include "pg/graph.h"
#include "pg/json.h"

/* How many values a rule takes. */
typedef enum RuleTakes { TAKES_NOTHING, TAKES_ONE, TAKES_TWO, TAKES_SOME, TAKES_BOUNDS, TAKES_TEXT, TAKES_FIELD } RuleTakes;

typedef struct RuleKind
{
    const char *name;
    RuleTakes takes;
    const char *operator;    /* of a comparison: a filter's */
    const char *pattern;     /* of a rule that is a regular expression */
    bool of_all;             /* decided by looking at all rows, or at a table */
    const char *example;
} RuleKind;

extern const JsonKey validate_keys[];

/* A node's rules: how many, and the i-th; NULL when it is no object. */
extern int validate_count(const GraphNode *node);
extern JsonbContainer *validate_rule(const GraphNode *node, int place);
extern const RuleKind *validate_kind(JsonbContainer *rule);

/* A rule's name in messages: "rule 3". */
extern const char *validate_name(int place);
/* Is the rule right as such?  One that is not is left out when the rest of the node is looked at. */
extern bool validate_is_sound(const GraphNode *node, int place);
/* Second walk: may it be written? */
extern bool validate_is_written(const Compiler *c, const GraphNode *node, int place);

/* The parts of a NodeOp that both have. */
extern void validate_check(const GraphNode *node, List **findings);
extern const struct NodeOp *validate_variant(const GraphNode *node);
extern void validate_describe(const GraphNode *node, StringInfo out);

/* First walk: the fields that rules about a row alone read, of Compiler.flow. */
extern void validate_walk_rows(Compiler *c, const GraphNode *node);

/* Second walk: adds a rule to conditions that are put together by AND. */
extern void validate_add_condition(StringInfo out, int place, const char *condition);

/* Second walk: adds those about a row alone, over Compiler.flow. */
extern void validate_row_conditions(Compiler *c, const GraphNode *node, StringInfo out);

/* The same for checks on all rows together (node_validate_dataset.c): the fields they read, and a condition for each. */
extern void dataset_check(const GraphNode *node, List **findings);
extern void dataset_walk(Compiler *c, const GraphNode *node);
extern void dataset_conditions(Compiler *c, const GraphNode *node, StringInfo out);
extern void dataset_describe(const GraphNode *node, StringInfo out);

#endif
