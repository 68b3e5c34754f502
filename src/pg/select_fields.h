/*
 * select_fields.h: the key "selectFields" of joins: which fields a node takes
 * from its other side, as "name" or {"field": ..., "alias": ...}.
 */
#ifndef KAIREON_SELECT_FIELDS_H
#define KAIREON_SELECT_FIELDS_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "pg/graph.h"

/* A field taken; alias is what it is called from there on. */
typedef struct SelectedField { char *field; char *alias; } SelectedField;

/* For a NodeOp's check: complains of entries that are neither. */
extern void select_fields_check(const GraphNode *node, List **findings);

/* The entries of a checked node, SelectedField *. */
extern List *select_fields(const GraphNode *node);

/* Appends "a, b as c". */
extern void select_fields_describe(StringInfo out, const GraphNode *node);

#endif
