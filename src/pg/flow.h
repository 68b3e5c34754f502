/*
 * flow.h: what the compiler and the node types share; private to compile*.c,
 * condition.c and node_*.c.
 *
 * Between two nodes flows a list of FlowColumn.  The first walk finds out which
 * fields the source must deliver and of which type (flow_...,
 * compile_fields.c); the second writes the SQL (sql_..., compile_sql.c).  Both
 * go through the nodes in topological order and call their NodeOp.
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
    const bool *present;     /* as in compile_program */
    StringInfo sql;          /* second walk: the SELECT so far */
} Compiler;

/* ---- either walk ------------------------------------------------------------ */

/* The column of that name that the flow has; NULL when none has been named yet. */
extern FlowColumn *flow_find(Compiler *c, const char *name);
extern FlowColumn *flow_add(Compiler *c, const char *name, int source, Oid type);
/* A column's type; in the first walk of a source column not to be relied on. */
extern Oid flow_type(Compiler *c, const FlowColumn *column);

/* ---- first walk: fields ------------------------------------------------------- */

/*
 * The field a node reads; a name nothing is known of is a field of the source.
 * Complains and gives NULL when there can be none.  `as_read`: the node wants
 * the text that was read, not what a later cast makes of it.
 */
extern FlowColumn *flow_use(Compiler *c, const GraphNode *node, const char *name, bool as_read);

/* A field the node makes; complains when its name is not free.  A name that is not free gives NULL. */
extern FlowColumn *flow_make(Compiler *c, const GraphNode *node, const char *name, Oid type);

/* False, with a complaint, when the flow has a field of that name. */
extern bool flow_name_is_free(Compiler *c, const GraphNode *node, const char *name);

/* The node puts another value into the field. */
extern void flow_change(FlowColumn *column, Oid type);

/* The node wants the field as `type`: a source column is read in it, where nothing speaks against it. */
extern void flow_cast(Compiler *c, const GraphNode *node, FlowColumn *column, Oid type);

/* The node takes a field away; it need not have been named before. */
extern void flow_drop(Compiler *c, const GraphNode *node, const char *name);

/* From here on the name means no field, because of `by`. */
extern void flow_gone(Compiler *c, const GraphNode *by, const char *name);

/*
 * For a target's column: the source's field of that name comes into the flow if
 * it can; NULL without a complaint when it can't.  `required`: a source without
 * it is an error.
 */
extern FlowColumn *flow_reach(Compiler *c, const char *name, bool required);

/* A source column arrives unchanged at a target's column, and is read in its type where nothing speaks against it. */
extern void flow_assign(Compiler *c, const GraphNode *target, FlowColumn *column, const TargetField *field, bool needed);

/* After the last node: the source columns' types. */
extern void fields_settle(Compiler *c);

/* ---- second walk: SQL ---------------------------------------------------------- */

/* Names, literals and types are quoted by these, and nowhere else. */
extern const char *sql_name(const char *name);
extern char *sql_literal(const char *text);
extern const char *sql_type(Oid type);
extern const char *sql_type_with_typmod(Oid type, int32 typmod);
extern const char *sql_table(Oid relid);
extern bool sql_is_text(Oid type);          /* text, varchar or char */

/* A column as text: its name, or a cast of it. */
extern const char *sql_as_text(Compiler *c, const FlowColumn *column);

/* Appends every flow column as it is, but `except` (NULL: all) as `replacement`. */
extern void sql_columns(Compiler *c, StringInfo out, const char *except, const char *replacement);

/* Puts `SELECT <list> FROM (` before what there is and `) AS id <tail>` behind it. */
extern void sql_wrap(Compiler *c, const GraphNode *node, const char *list, const char *tail);

/* A field is replaced by an expression over the flow. */
extern void sql_replace(Compiler *c, const GraphNode *node, FlowColumn *column, const char *expression, Oid type);

/* A field is added. */
extern void sql_add(Compiler *c, const GraphNode *node, const char *name, const char *expression, Oid type);

#endif
