/*
 * rule.h: the rules of validate nodes.
 *
 * A rule {field, rule, value, onFail} becomes a condition of the row stage,
 * kaireon.rule(place, condition), whose first argument is the rule's place in
 * the node's config.  The stage takes the call apart: a condition that is
 * false does what onFail says, one that is true or null lets the row pass.
 */
#ifndef KAIREON_RULE_H
#define KAIREON_RULE_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/primnodes.h"

#include "pg/graph.h"

typedef enum RuleOnFail { RULE_FAIL, RULE_SKIP, RULE_QUARANTINE, RULE_WARN } RuleOnFail;

typedef struct Rule
{
    char *field;             /* NULL: of an expression */
    char *rule;              /* as it was given: "gt:0"; "reference:customers.id" */
    RuleOnFail on_fail;
    int place;               /* in the node's config, from 0 */
    bool of_all;             /* its condition is a mark of the node's query, not one of the row's fields, */
    const char *column;      /* and this is the field's column in what the query gives */
} Rule;

/* The second argument of a planned call of kaireon.<name>(place, ...), and the place; NULL when the expression is no such call. */
extern Expr *rule_call(Expr *expr, const char *name, int *place);

/* The condition in a planned call of kaireon.rule, and the rule's place; NULL when the expression is no such call. */
extern Expr *rule_condition(Expr *expr, int *place);

/* A rule of a validate node whose config has been checked, in the current context. */
extern Rule *rule_of(const GraphNode *node, int place);

/* Does a rule of the pipeline keep rows as dead letters, whatever errorHandling says? */
extern bool rule_quarantines(const Graph *graph);

/* rule(place int, condition boolean): never called but when a plan is explained by running it. */
extern PGDLLEXPORT Datum kaireon_rule(PG_FUNCTION_ARGS);

#endif
