/*
 * lookup.h: a field of a flow that is looked up in a schema's table; private
 * to node_*.c.
 *
 * A key that is text is compared in the type of the table's field, and where
 * that is text, as text.
 */
#ifndef KAIREON_LOOKUP_H
#define KAIREON_LOOKUP_H

#include "postgres.h"

#include "pg/flow.h"

/*
 * The schema's field of that name; complains and gives NULL when there is none,
 * or its type is one that somebody made since: comparing and casting it could
 * run what he wrote.
 */
extern const TargetField *lookup_field(Compiler *c, const GraphNode *node, const SchemaSpec *schema, const char *name);

/* First walk: the type that a key for the field is wanted in; not a domain, which has checks. */
extern Oid lookup_type(const TargetField *field);

/* First walk: complains when reading the table would run what its owner wrote with the rights of the pipeline's. */
extern void lookup_check_table(Compiler *c, const GraphNode *node, const SchemaSpec *schema);

/* Does a unique index promise that the table has no value of the field twice? */
extern bool lookup_is_unique(const SchemaSpec *schema, const TargetField *field);

/* Second walk: the type in which a field of input 0 is compared with the table's; complains and gives InvalidOid when there is none. */
extern Oid lookup_common_type(Compiler *c, const GraphNode *node, const char *name, const TargetField *field);

#endif
