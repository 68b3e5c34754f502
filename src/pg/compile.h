/*
 * compile.h: from a graph to SQL.
 *
 * A pipeline becomes a program: row stages, one for each node that gives rows
 * (its feed): a source, or a set node.  All ways from the feed through row
 * nodes and branches to something that takes rows, a target or a set node, are
 * the stage's lanes; each is one statement, INSERT ... SELECT or SELECT over
 * the relation the feed's rows stand in.  PostgreSQL parses, type-checks and
 * plans it (stage.h runs it over batches); there is no other expression
 * language.  Each node wraps the SELECT of the node before it; of all together
 * one is made (flatten.h).  A set node is a query over relations that hold all
 * rows of its inputs.
 *
 * Which type a source field has, is decided here: the type of the first cast
 * node it meets, where nobody has seen it before, else that of the target column
 * it reaches unchanged, else text; text also when two ways of it want different
 * types.  The reader is
 * asked for that type, so most cells arrive converted.
 */
#ifndef KAIREON_COMPILE_H
#define KAIREON_COMPILE_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/queryenvironment.h"

#include "pg/graph.h"

/* The relations that stand for what the reader delivers, and for a set node's result. */
#define SOURCE_RELATION "source"
#define SET_RELATION "rows"

/* The relation of what a set node was told by a connector. */
#define ANSWERS_RELATION "answers"

/* The relation of the customers that a summary is written for. */
#define TOUCHED_RELATION "touched"

/* A set node has at most so many inputs. */
#define SET_INPUTS 2

typedef enum Validation { VALIDATION_STRICT, VALIDATION_SKIP, VALIDATION_COERCE } Validation;

/* What becomes of the rows that the table has already. */
typedef enum LoadStrategy { LOAD_APPEND, LOAD_UPSERT, LOAD_WATERMARK, LOAD_TRUNCATE, LOAD_BLUE_GREEN } LoadStrategy;

/* One column the reader is asked for. */
typedef struct SourceColumn
{
    char *name;              /* the source's field; sql_identifier(name) is the column of SOURCE_RELATION */
    Oid type;
    int32 typmod;
    char *pattern;           /* dateFormat or timestampFormat for its cells; NULL: as PostgreSQL reads them */
    bool required;           /* a source without it is an error */
    bool coerce;             /* the reader may try to mend a cell, and so may the server */
    const GraphNode *blame;  /* whose type it is: the node a bad cell is reported at */
} SourceColumn;

typedef struct ConnectorSpec ConnectorSpec; /* catalog.h */

/* What one source's reader is asked for. */
typedef struct ProgramSource
{
    const GraphNode *node;
    const ConnectorSpec *connector; /* that the node names; NULL: the pipeline's */
    int ncolumns;
    SourceColumn *columns;
} ProgramSource;

/* A column of a schema's table. */
typedef struct TargetField
{
    char *name;
    AttrNumber attnum;
    Oid type;
    int32 typmod;
    Oid collation;
    bool not_null;
    bool has_default;        /* or is an identity */
    bool always_identity;    /* which takes a value only where the statement says so */
} TargetField;

/* A schema, resolved against its table. */
typedef struct SchemaSpec
{
    char *name;
    Oid relid;
    int nfields;
    TargetField *fields;     /* in the schema's order */
    bool has_insert_rules, has_update_rules;
} SchemaSpec;

/* A target node. */
typedef struct ProgramTarget
{
    const GraphNode *node;
    const SchemaSpec *schema;
    Validation validation;
    LoadStrategy strategy;
    const struct TargetKey *key; /* where rows are updated: how the one is found that is there already (target_key.h); else NULL */
    int watermark;           /* of strategy incremental_watermark: place of the field; else -1 */
    bool allow_empty;        /* of a full refresh: nothing may come */
    bool swap_published;     /* and the table's storage be exchanged though it is in a publication */
    List **origins;          /* by place in the schema's fields: where values come from, whatever way rows come (lineage.h) */
} ProgramTarget;

/* A node on a lane. */
typedef struct LaneStep
{
    const GraphNode *node;
    const char *route;       /* of a branch: the label of the edge the lane takes; else NULL */
    char *sql;               /* the SELECT up to here */
    int begin, end;          /* where that stands in the SELECT of the step before the last; empty where the node writes nothing */
} LaneStep;

/*
 * One way of a row from a stage's feed to where its rows go: a target, an input
 * of a set node, or in a preview neither.
 */
typedef struct Lane
{
    int nsteps;
    LaneStep *steps;         /* the feed first, the taker of its rows last */
    const ProgramTarget *target; /* of a lane to a target */
    struct ProgramInput *input;  /* of a lane to a set node */
    bool *left_out;          /* by place in the target's fields: no field reaches it, it takes its default */
    char *sql;               /* INSERT INTO target (...) SELECT ...; without a target the same as select_sql */
    char *on_conflict;       /* of an upsert: the end of it, what is done where the key is there already; stored is the table */
    int sql_at;              /* where in it the SELECT of the step before the last begins */
    char *select_sql;        /* the SELECT alone, with the names of the target's columns or of the input's */
    int select_at;
} Lane;

/*
 * One input of a set node: a relation with the rows of one lane.  Behind the
 * fields there are columns of the compiler's own: keys that are compared in
 * another type than their field's, and the last two: the place of the row in
 * this relation, from 0, and where it came from (positions.h); both bigint.
 */
typedef struct ProgramInput
{
    int stage;               /* its place in Program.stages, of the set node */
    int side;
    const char *relation;
    TupleDesc desc;
    char **fields;           /* by column, the field that it is of; NULL for the last two */
} ProgramInput;

/*
 * What a set node asks a connector, once for each key of its input.  A row of
 * ANSWERS_RELATION has a key's values as text (key1, key2...), the answer
 * (jsonb; a reference, answers.h), and what is wrong instead of one (text[]:
 * SQLSTATE, reason, field, value).  The query gives that as its last column but
 * one.
 */
typedef struct ProgramAsk
{
    const ConnectorSpec *connector;
    int64 max_calls;
    const char *keys_sql;    /* the keys that the relation does not have, each with the origin of a row that has it */
    int nkeys;
    char **fields;           /* of the input, by key, */
    const char *shown;       /* and for a person: "a, b" */
    TupleDesc keys_desc;     /* of what keys_sql gives */
    TupleDesc desc;          /* of the relation */
    int output;              /* place of the answer in what the query gives */
} ProgramAsk;

/*
 * A set node's query.  Its last column, of the compiler's own, is where a row
 * came from; before that may be others that only the node itself reads.
 */
typedef struct ProgramSet
{
    int ninputs;
    ProgramInput inputs[SET_INPUTS];
    bool of_input;           /* each row it gives is one of its input's, with other fields perhaps */
    bool row_by_row;         /* and what becomes of one does not depend on the others, nor does it come out twice */
    int nfields;             /* that it gives: behind them in its relation are columns of the compiler's own */
    char *sql;
    List *lookups;           /* OIDs of the tables that it reads as well */
    ProgramAsk *ask;         /* NULL: it asks nobody */
} ProgramSet;

/* A feed and its lanes: what becomes of a row is decided by one pass over it. */
typedef struct ProgramStage
{
    const GraphNode *feed;
    const ProgramSource *source; /* of a source node */
    ProgramSet *set;         /* of a set node */
    bool of_source;          /* each of its rows still is one row of a source */
    const char *relation;    /* what its lanes select from */
    TupleDesc desc;          /* of that relation */
    int nlanes;
    Lane *lanes;             /* by the order of branches' routes */
} ProgramStage;

/* What a summarize node writes when everything is loaded (summary.h). */
typedef struct ProgramSummary
{
    const GraphNode *node;
    const char *collection;  /* the schema's name */
    Oid relid;               /* the collection's table, */
    Oid summary_relid;       /* and its summary's */
    TupleDesc keys;          /* the join fields: the columns of TOUCHED_RELATION */
    AttrNumber *attnums;     /* of them in the collection's table */
    List *columns;           /* char *: the summary columns it writes */
    List *fields;            /* SummaryField * (catalog.h): the join fields, and those columns */
    bool loaded;             /* a target of the pipeline loads the collection */
    /* for the customers in TOUCHED_RELATION, and for all: */
    char *remove, *remove_all; /* DELETE of those without rows, */
    char *write, *write_all; /* and INSERT of the others */
} ProgramSummary;

typedef struct Program
{
    Graph *graph;
    int nsources;
    ProgramSource *sources;  /* in the order of the nodes */
    int ntargets;
    ProgramTarget *targets;  /* in the order of the nodes */
    int nstages;
    ProgramStage *stages;    /* in the order of their feeds */
    int nsummaries;
    ProgramSummary *summaries; /* in the order of the nodes */
} Program;

/* What is compiled. */
typedef struct CompileInput
{
    Graph *graph;
    const SchemaSpec *schema; /* of target nodes that name none */
    Validation fallback;      /* of those that name none */
    const GraphNode *shown;   /* a preview of the rows behind this node, with all fields: ways end there; NULL: a whole program */
    List **fields;            /* of such a preview: by GraphNode.ordinal, the fields (char *) a source is known to have; NIL: nothing is known */
} CompileInput;

/*
 * Compiles.  `present` (by place in Program.sources one flag a column of an
 * earlier compilation of the same graph; NULL, of all or of one source: all
 * are there): target columns that would take an absent source column are left
 * to their default.  With `findings` errors are collected there and NULL is
 * returned; without it they are raised.
 */
extern Program *compile_program(const CompileInput *input, const bool *const *present, List **findings);

/* Do two programs of one graph ask their sources for the same, and load and summarise the same tables? */
extern bool compile_same(const Program *a, const Program *b);

/*
 * A query environment with an ephemeral relation of that descriptor and (maybe
 * NULL) tuplestore, and a further one; `rows`: how many the planner should
 * expect.
 */
extern QueryEnvironment *compile_environment(const char *name, TupleDesc desc, void *tuplestore);
extern void compile_add_relation(QueryEnvironment *env, const char *name, TupleDesc desc, void *tuplestore, double rows);

/* A query environment for a set node's queries; `stores` and `rows` by input, and then of the answers, or NULL. */
extern QueryEnvironment *compile_set_environment(const ProgramSet *set, void *const *stores, const double *rows);

/* The plan of one of a set node's queries, for the current user. */
extern PlannedStmt *compile_plan_set(const ProgramSet *set, const char *sql, QueryEnvironment *env);

/*
 * Parses and analyses one statement with search_path pg_catalog; the caller
 * holds a snapshot.  `tables` (OIDs) are those that may be in it: a schema can
 * be renamed while a table in it is locked.
 */
extern Query *compile_analyze(const char *sql, QueryEnvironment *env, List *tables);

/* The type a field type's or cast's name stands for; InvalidOid when there is none. */
extern Oid compile_field_type(const char *name);
extern const char *compile_field_type_list(void);

/* The type of a column that every source offers beside its own fields (_source, _line...); InvalidOid for any other name. */
extern Oid compile_pseudo_type(const char *name);

/*
 * Which step of a lane a planned expression belongs to: the latest one that
 * wrote a part of it; -1 when it has no locations.  `at`: where in the planned
 * statement the SELECT of the step before the last begins.
 */
extern int compile_step_of(const Lane *lane, int at, Node *expression);

/* The same of a location in the statement. */
extern int compile_step_at(const Lane *lane, int at, int location);

#endif
