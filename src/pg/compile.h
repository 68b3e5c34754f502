/*
 * compile.h: from a graph to SQL.
 *
 * A pipeline becomes one INSERT ... SELECT over the relation "source", whose
 * columns are what the reader is asked for.  PostgreSQL parses, type-checks
 * and plans it (stage.h runs it over batches); there is no other expression
 * language.  Each node wraps the SELECT of the node before it, and the planner
 * flattens them.
 *
 * Which type a source field has, is decided here: the type of the first cast
 * node it meets, else that of the target column it reaches unchanged, else
 * text.  The reader is asked for that type, so most cells arrive converted.
 */
#ifndef KAIREON_COMPILE_H
#define KAIREON_COMPILE_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "nodes/parsenodes.h"
#include "utils/queryenvironment.h"

#include "pg/graph.h"

/* The relation that stands for what the reader delivers. */
#define SOURCE_RELATION "source"

typedef enum Validation { VALIDATION_STRICT, VALIDATION_SKIP, VALIDATION_COERCE } Validation;

/* One column the reader is asked for. */
typedef struct SourceColumn
{
    char *name;              /* the source's field, and the column of SOURCE_RELATION */
    Oid type;
    int32 typmod;
    char *pattern;           /* dateFormat or timestampFormat for its cells; NULL: as PostgreSQL reads them */
    bool required;           /* a source without it is an error */
    const GraphNode *blame;  /* whose type it is: the node a bad cell is reported at */
} SourceColumn;

/* A column of the target. */
typedef struct TargetField
{
    char *name;
    AttrNumber attnum;
    Oid type;
    int32 typmod;
    bool not_null;
    bool has_default;        /* or is an identity */
    int source;              /* the SourceColumn it takes unchanged, or -1 */
    bool left_out;           /* no field of the pipeline reaches it: it takes its default */
} TargetField;

/* Where in Program.sql a node's text stands; finds the node of a planned expression by its location. */
typedef struct NodeText { const GraphNode *node; int begin; int end; } NodeText;

typedef struct Program
{
    Graph *graph;
    Oid relid;               /* the target table */
    int nfields;
    TargetField *fields;     /* of the schema, in its order */
    int ncolumns;
    SourceColumn *columns;
    char *sql;               /* INSERT INTO target (...) SELECT ... */
    char *select_sql;        /* the SELECT alone, with the target's column names */
    int ntexts;
    NodeText *texts;         /* outermost first */
    Validation validation;
} Program;

/*
 * Compiles.  `fields` are the schema's, resolved against the table.  `present`
 * (one flag a column of an earlier compilation of the same graph, or NULL):
 * target columns that would take an absent source column are left to their default.
 * With `findings` errors are collected there and NULL is returned; without it
 * they are raised.  `fallback` is the validation when the target node names none.
 */
extern Program *compile_program(Graph *graph, Oid relid, TargetField *fields, int nfields,
                                Validation fallback, const bool *present, List **findings);

/* A tuple descriptor of SOURCE_RELATION for a program. */
extern TupleDesc compile_source_desc(const Program *program);

/* A query environment with an ephemeral relation of that descriptor and (maybe NULL) tuplestore. */
extern QueryEnvironment *compile_environment(const char *name, TupleDesc desc, void *tuplestore);

/* Parses and analyses one statement with search_path pg_catalog; the caller holds a snapshot. */
extern Query *compile_analyze(const char *sql, QueryEnvironment *env);

/* The type a field type's or cast's name stands for; InvalidOid when there is none. */
extern Oid compile_field_type(const char *name);
extern const char *compile_field_type_list(void);

/* The type of a column that every source offers beside its own fields (_source, _line...); InvalidOid for any other name. */
extern Oid compile_pseudo_type(const char *name);

/* The node of an expression of the program's statement, by its location; NULL when unknown. */
extern const GraphNode *compile_node_at(const Program *program, int location);

#endif
