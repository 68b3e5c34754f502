/*
 * flow.h: what the compiler's two walks share; private to compile*.c.
 *
 * Between two nodes flows a list of FlowColumn.  The first walk (compile_fields.c)
 * finds out which fields the source must deliver and of which type; the second
 * (compile_sql.c) writes the SQL.
 */
#ifndef KAIREON_FLOW_H
#define KAIREON_FLOW_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "pg/compile.h"
#include "wire/wire.h"

/* A field between two nodes. */
typedef struct FlowColumn
{
    char *name;
    int source;              /* the SourceColumn it is, unchanged; -1 when a node made it */
    Oid type;                /* of what a node made; a source column's type is in its row */
} FlowColumn;

/* What became of a name: so that a later use can be told. */
typedef struct GoneName { char *name; const GraphNode *by; } GoneName;

/* What is known about a source column while its uses are found. */
typedef struct ColumnUse
{
    const GraphNode *cast;   /* the cast node it meets while unchanged */
    Oid cast_type;
    bool text_before;        /* a node used it as it was read, before any cast */
    bool used;               /* by any node but the target */
} ColumnUse;

typedef struct Compiler
{
    Program *program;
    List **findings;
    List *flow;              /* of FlowColumn * */
    List *gone;              /* of GoneName * */
    ColumnUse uses[WIRE_MAX_COLUMNS];
    List *declared;          /* the source node's "columns", NIL when not said */
    StringInfo sql;          /* second walk: the SELECT so far */
} Compiler;

/* compile.c */
extern FlowColumn *flow_find(Compiler *c, const char *name);
extern FlowColumn *flow_add(Compiler *c, const char *name, int source, Oid type);

/* compile_fields.c: one node of the first walk; then, after the last, the types. */
extern void fields_walk(Compiler *c, const GraphNode *node);
extern void fields_settle(Compiler *c);

/* compile_sql.c: one node of the second walk; `present` as in compile_program. */
extern void sql_write(Compiler *c, const GraphNode *node, const bool *present);

#endif
