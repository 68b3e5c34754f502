/*
 * target_key.h: how an upsert finds the row that is there already: by a unique
 * index of the target's table.
 *
 * A target's keyFields name the fields that the index is over, in any order:
 * as they are, in its expressions, or in the expression of a generated column.
 * Of several such indexes one over the fields as they are goes before one with
 * expressions, and a whole one before a partial one; what PostgreSQL can't use
 * for ON CONFLICT (deferrable ones) does not count.
 */
#ifndef KAIREON_TARGET_KEY_H
#define KAIREON_TARGET_KEY_H

#include "postgres.h"
#include "nodes/bitmapset.h"

#include "pg/compile.h"

typedef struct TargetKey
{
    Oid index;
    Bitmapset *columns;      /* of the table, by attnum: those the index is over as they are */
    Bitmapset *fields;       /* by place in the schema's fields: all that it is made of */
    char *expressions;       /* "a, lower(b)", */
    char *predicate;         /* of a partial index; else NULL: */
    char *arbiter;           /* "(a, lower(b)) WHERE c": what stands behind ON CONFLICT */
} TargetKey;

/*
 * The key of a schema's table; `names` (char *) are its fields, NIL: those of
 * the primary key.  NULL, with a finding of the node that lists the keys there
 * are, when there is none.
 */
extern TargetKey *target_key_find(const SchemaSpec *schema, List *names, const GraphNode *node, List **findings);

/* The place of a schema's field; -1: it has none of that name.  And all of them, for a hint: "a, b". */
extern int target_key_field(const SchemaSpec *schema, const char *name);
extern char *target_key_fields(const SchemaSpec *schema);

#endif
