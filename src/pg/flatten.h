/*
 * flatten.h: a statement of nested sub-selects as one SELECT.
 *
 * PostgreSQL's planner does that too, but level by level, and copies all that
 * there is at each: a chain of 400 nodes takes gigabytes.
 */
#ifndef KAIREON_FLATTEN_H
#define KAIREON_FLATTEN_H

#include "postgres.h"
#include "nodes/parsenodes.h"

/*
 * Changes an analysed SELECT, or the one that an INSERT inserts, as the planner
 * would, where it is a chain of SELECTs with conditions over one ephemeral
 * relation; others stay as they are, and so does what would be larger than
 * EXPRSIZE_LIMIT.  Locations stay, too.
 */
extern void flatten_query(Query *query);

#endif
