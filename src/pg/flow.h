/*
 * flow.h: what the compiler and the node types share; private to compile*.c,
 * condition.c and node_*.c.
 *
 * Along each edge flow fields, a Flow of FlowColumn.  The first walk finds out
 * which fields the sources must deliver and of which type (flow_...,
 * compile_fields.c): once over all nodes, in topological order; a branch gives
 * each of its edges a copy.  A flow has only the fields that were named so far;
 * others are asked of its feed when they are, so nothing is read or kept that
 * nobody uses.  The second walk writes the SQL (sql_..., compile_sql.c): lane
 * by lane, from the feed on, with all fields that were found.  Both call the
 * nodes' NodeOp, with the flow in Compiler.flow.
 */
#ifndef KAIREON_FLOW_H
#define KAIREON_FLOW_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"

#include "pg/compile.h"
#include "pg/exprsize.h"

/* How a source column is wanted, over all flows. */
typedef struct ColumnUse
{
    SourceColumn *column;
    bool fixed;              /* its type is what it is: a pseudo-column */
    Oid type;                /* the type the first wanted it in; InvalidOid: nobody did */
    int32 typmod;
    const GraphNode *by;     /* who that was */
    bool mixed;              /* another wanted another type: it is read as text */
    bool used;               /* by any node but a target */
} ColumnUse;

/*
 * A source column on one part of its way, between two forks.  A part on which
 * it is used, but neither there nor after is a type wanted, wants text: so a
 * cast beyond a fork can't change what is seen on its other side.
 */
typedef struct Trail
{
    struct Trail *before;
    ColumnUse *use;
    bool used;
    bool wanted;             /* a type was, here, before, or after */
} Trail;

/* A field between two nodes. */
typedef struct FlowColumn
{
    char *name;
    SourceColumn *source;    /* the source's column it is, unchanged; NULL when a node made it */
    Oid type;                /* of what a node made; a source column's type is in its row */
    const GraphNode *cast;   /* first walk: the cast node a source column has met */
    Oid cast_type;
    bool seen;               /* first walk: a node has looked at it, or chosen among rows: no later node can have it read as something else */
    Trail *trail;            /* first walk: of a source column */
    List *origins;           /* first walk: what it was made of (lineage.h) */
} FlowColumn;

/* What became of a name: so that a later use can be told. */
typedef struct GoneName { char *name; const GraphNode *by; } GoneName;

/* A field that a set node gives. */
typedef struct SetColumn
{
    FlowColumn *column;      /* as it flows out */
    int side;                /* the input it is taken from unchanged; -1: the node makes it */
    char *field;             /* its name there */
} SetColumn;

/* A key of a set node that is compared in another type than its field's: a column of the input's relation. */
typedef struct SetKey { int side; char *field; Oid type; char *column; } SetKey;

/* A node that gives rows, and what is known of their fields. */
typedef struct Feed
{
    const GraphNode *node;
    ProgramStage *stage;     /* second walk */
    /* a source */
    ProgramSource *source;
    ColumnUse *uses;         /* by place in source->columns */
    List *declared;          /* the source node's "columns", NIL when not said */
    List *known;             /* char *: fields that it has, as has been found out; NIL when nobody looked */
    /* a set node */
    int ninputs;
    struct Flow *inputs[SET_INPUTS];
    List *needed[SET_INPUTS]; /* char *: fields of the input that it needs */
    bool open;               /* fields of input 0 go through when somebody asks for them */
    bool mended;             /* second walk: its query is not its own, as compile_mend_set says */
    List *columns;           /* SetColumn *: what it gives, as far as somebody asked */
    Lane *lanes[SET_INPUTS]; /* second walk: what fills the inputs, */
    ProgramStage *lane_stages[SET_INPUTS]; /* the stages they are part of, */
    char *lane_sql[SET_INPUTS]; /* and their SELECT up to here */
    List *keys;              /* second walk: SetKey * */
    List *lookups;           /* const SchemaSpec *: tables the node looks up; NULL: one that there is not */
    List *marks;             /* second walk, char *: columns of the query's that only the node reads, behind its fields */
    ProgramAsk *ask;         /* of a node that asks a connector */
    const char *input_where[SET_INPUTS]; /* second walk: conditions of the node on rows that come in, */
    const char *result_where; /* and on those its query gives; NULL: none */
} Feed;

typedef struct Flow
{
    List *columns;           /* of FlowColumn * */
    List *gone;              /* of GoneName * */
    Feed *feed;              /* where fields come from that are not named yet; NULL: there are no more */
    /* behind what is wrong: */
    List *unknown;           /* char *: names of fields of which nothing is known */
    bool vague;              /* other names may be fields too */
} Flow;

/* What a node did in the first walk. */
typedef struct NodeNotes
{
    List *uses;              /* char *: fields it uses */
    bool doubtful;           /* one of them is unknown */
    bool failed;             /* walking or writing it found something wrong, */
    int in_parts;            /* but for so many errors that belong to parts of it, */
    Bitmapset *wrong_parts;  /* which are left out when it is written (check_part) */
} NodeNotes;

/* What of a node can be wrong on its own, as it stands in the node's SQL. */
typedef struct NodePart
{
    const char *name;        /* for messages: "rule 3", "key \"expression\""; NULL: key "operator" or "value" */
    const char *sql;
    const char *boolean;     /* the user's expression in it that has to be a boolean; NULL: none */
} NodePart;

typedef struct Compiler
{
    Program *program;
    List **findings;
    bool collect;            /* errors of parsing and analysis become findings too */
    const SchemaSpec *own;   /* the pipeline's schema */
    NodeNotes *notes;        /* by GraphNode.ordinal */
    const GraphNode *shown;  /* as in CompileInput, */
    List **fields;           /* as are these */
    const bool *const *present; /* as in compile_program */
    Feed **feeds;            /* by GraphNode.ordinal; NULL for nodes that give no rows */
    List *trails;            /* of Trail *: all of them */
    Flow **edge_flows;       /* first walk: by place in Graph.edges */
    Flow *flow;              /* at the node that is being walked or written */
    Feed *set;               /* that node, if it is a set node */
    List *expressions;       /* char *: users' expressions so far */
    const char *checked;     /* what is parsed or analysed: positions of errors are in it */
    const char *part;        /* what of the node is at hand, for messages; NULL: all of it */
    List *parts;             /* second walk: NodePart *, of the node's SQL; with `collect` only */
    const char *parts_from;  /* the SELECT they are over, */
    const char *parts_relation; /* and what that is over */
    TupleDesc parts_desc;
    List *used;              /* first walk: origins of the fields that the node has used, of which it makes others */
    /* second walk */
    ProgramStage *stage;
    Lane *lane;
    int step;                /* of the lane, which is being written */
    bool shared;             /* the lane before took this step too */
    bool mended;             /* what the flow has is not all that the nodes before make: one of them is wrong */
    StringInfo sql;          /* the SELECT so far */
    int before_at;           /* where in it the SELECT begins that there was before the node */
    TupleDesc behind;        /* what the SELECT of the node before gives; NULL: nobody knows */
    ExprSizes sizes;         /* and how large that is */
    bool oversized;          /* the lane is too large for the planner, and that has been said */
} Compiler;

/* ---- either walk ------------------------------------------------------------ */

/*
 * The field of that name; NULL when there is none, or in the first walk none
 * that was named before.
 */
extern FlowColumn *flow_find(Compiler *c, const char *name);
extern FlowColumn *flow_add(Compiler *c, const char *name, SourceColumn *source, Oid type);
/* A column's type; in the first walk of a source column not to be relied on. */
extern Oid flow_type(Compiler *c, const FlowColumn *column);

/* ---- first walk: fields ------------------------------------------------------- */

/*
 * The field a node reads; a name nothing is known of is a field of the source.
 * Complains and gives NULL when there can be none.  `as_read`: the node wants
 * the text that was read, not what a later cast makes of it.
 */
extern FlowColumn *flow_use(Compiler *c, const GraphNode *node, const char *name, bool as_read);
/* The same of a node that does not look at the value: it gives it another name, or another type from here on. */
extern FlowColumn *flow_carry(Compiler *c, const GraphNode *node, const char *name);

/* The fields an expression reads; raises what is wrong with its form. */
extern void flow_use_expression(Compiler *c, const GraphNode *node, const char *expression);

/* A field the node makes; complains and gives NULL when its name is not free. */
extern FlowColumn *flow_make(Compiler *c, const GraphNode *node, const char *name, Oid type);

/* False, with a complaint, when the flow has a field of that name. */
extern bool flow_name_is_free(Compiler *c, const GraphNode *node, const char *name);

/* The node puts another value into the field. */
extern void flow_change(Compiler *c, const GraphNode *node, FlowColumn *column, Oid type);

/* The node gives the field another name, which is free. */
extern void flow_rename(Compiler *c, const GraphNode *node, FlowColumn *column, const char *name);

/* What the node makes next is made of this column of a schema's table (NULL: of this resource), and of nothing else. */
extern void flow_use_table(Compiler *c, const GraphNode *node, const char *schema, const char *column);

/* A target's column, by its place in the schema, has its values from the field; NULL: from its default. */
extern void flow_arrive(const ProgramTarget *target, int place, const FlowColumn *column);

/* The node makes a `type` of the field: a source column that nobody has seen before is read in it, where nothing speaks against it. */
extern void flow_cast(Compiler *c, const GraphNode *node, FlowColumn *column, Oid type);

/* The node takes a field away; it need not have been named before. */
extern void flow_drop(Compiler *c, const GraphNode *node, const char *name);


/*
 * For a target's column: the field of that name, a source's if need be; NULL
 * without a complaint when there is none.  `required`: a source without it is
 * an error.
 */
extern FlowColumn *flow_reach(Compiler *c, const char *name, bool required);

/* For a preview: all fields that are known to be there are asked of the feeds. */
extern void flow_reach_all(Compiler *c);

/* A source column arrives unchanged at a target's column, and is read in its type where nothing speaks against it. */
extern void flow_assign(const GraphNode *target, FlowColumn *column, const TargetField *field);

/* A copy of a flow: what happens to it is not seen in the other. */
extern Flow *flow_fork(Compiler *c, const Flow *flow);

/* Could there be a field of that name if something that is wrong were right? */
extern bool flow_is_unknown(Compiler *c, const char *name);

/*
 * The node is wrong, or uses a field that is unknown: all fields that its config
 * names are unknown from here on, or just not there (second walk).
 */
extern void flow_doubt(Compiler *c, const GraphNode *node);

/* A source node becomes the feed of what follows. */
extern void flow_begin(Compiler *c, const GraphNode *node);

/* After the last node: the source columns' types. */
extern void fields_settle(Compiler *c);

/*
 * ---- first walk of a set node: Compiler.set is its feed, Compiler.flow what it
 * gives, with no fields at first
 */

/* A field of an input that the node looks at; as flow_use. */
extern FlowColumn *set_use(Compiler *c, const GraphNode *node, int side, const char *name);

/* The node compares or calculates with the field as `type`: a source column that nobody has seen before is read in it, where nothing speaks against it. */
extern void set_want(const GraphNode *node, FlowColumn *column, Oid type);

/* The node gives a field of an input, unchanged and under that name; complains when it can't. */
extern void set_take(Compiler *c, const GraphNode *node, int side, const char *field, const char *name);

/*
 * The node makes a field (or changes input 0's of that name, if `instead`) of
 * those it has used since it made the last; its type is found when the SQL is
 * parsed.
 */
extern void set_make(Compiler *c, const GraphNode *node, const char *name, bool instead);

/* The other fields of input 0 go through. */
extern void set_pass(Compiler *c);

/* ---- second walk: SQL ---------------------------------------------------------- */

/*
 * A field's name as an identifier.  A source's names may be longer than
 * PostgreSQL's identifiers are: such a name is cut and gets a hash of the whole.
 */
extern const char *sql_identifier(const char *name);

/* Names (as identifiers), literals and types are quoted by these, and nowhere else. */
extern const char *sql_name(const char *name);
extern char *sql_literal(const char *text);
extern const char *sql_type(Oid type);
extern const char *sql_type_with_typmod(Oid type, int32 typmod);
extern const char *sql_table(Oid relid);
extern bool sql_is_text(Oid type);          /* text, varchar or char */

/* A column as text: its name, or a cast of it. */
extern const char *sql_as_text(Compiler *c, const FlowColumn *column);

/* The source that delivers the column. */
extern const ProgramSource *sql_source(Compiler *c, const SourceColumn *column);

/* A column as another type: text that a source delivers is read as the source's options say (dateFormat, decimalSeparator...). */
extern char *sql_cast(Compiler *c, const FlowColumn *column, Oid type, int32 typmod);

/* Does a source that delivers the column say how it writes values of the type? */
extern bool sql_is_spelled(Compiler *c, const FlowColumn *column, Oid type);

/* In SQL a name stands for one field: what the flow has of that name, but nobody uses here, is left out from now on. */
extern void sql_hide(Compiler *c, const char *name);

/* Appends every flow column as it is, but `except` (NULL: all) as `replacement`. */
extern void sql_columns(Compiler *c, StringInfo out, const char *except, const char *replacement);

/* Puts `SELECT <list> FROM (` before what there is and `) AS id <tail>` behind it. */
extern void sql_wrap(Compiler *c, const GraphNode *node, const char *list, const char *tail);

/* A field is replaced by an expression over the flow. */
extern void sql_replace(Compiler *c, const GraphNode *node, FlowColumn *column, const char *expression, Oid type);

/* A field is added. */
extern void sql_add(Compiler *c, const GraphNode *node, const char *name, const char *expression, Oid type);

/*
 * ---- checking (compile_check.c)
 */

/*
 * Does something with a node; an error of parsing or analysis becomes the
 * node's finding.  Without `collect` errors are simply raised.
 */
extern void check_with_findings(Compiler *c, const GraphNode *node, void (*work) (Compiler *, const GraphNode *));

/*
 * First walk: does something with a part of a node, of which an error is a
 * finding that names the part.  False when anything was found wrong: then
 * check_is_wrong_part(place), and the rest of the node is looked at as if the
 * part was not there.  With `collect` only; else errors are raised.
 */
extern bool check_part(Compiler *c, const GraphNode *node, int place, void (*work) (Compiler *, const GraphNode *, int place), const char *name);
extern bool check_is_wrong_part(const Compiler *c, const GraphNode *node, int place);

/* Second walk: notes a part of the node's SQL; when that is wrong, it is looked for which parts are. */
extern void check_note_part(Compiler *c, const char *name, const char *sql, const char *boolean);

/* What the parts that will be noted are over: a SELECT from a relation. */
extern void check_begin_parts(Compiler *c, const char *from, const char *relation, TupleDesc desc);

/*
 * Parses, checks and plans what the node has written around `before`; columns
 * that it made get their types.  What an earlier lane has written the same way
 * is only parsed, for the types.
 */
extern void check_node(Compiler *c, const GraphNode *node, const StringInfoData *before);

/* Plans the lane that has been written: an error that only shows in nodes together is that of the node it first shows at. */
extern void check_lane(Compiler *c);

/* Raises 54001 unless the query can be planned when all of it is used. */
extern void check_size(Compiler *c, const GraphNode *node, const Query *query);

/*
 * ---- second walk of a set node: it writes a query into Compiler.sql that gives
 * the columns of Compiler.set in their order, and then the origin of each row
 */

/* The compiler's own columns of an input, quoted: place and origin of a row. */
extern const char *set_ordinal(Compiler *c, int side);
extern const char *set_origin(Compiler *c, int side);

/* Each row the node gives is one of input 0's; row_by_row: as many as come in, and each whatever the others are. */
extern void set_keeps_rows(Compiler *c, bool row_by_row);

/* The type of a field of an input: one that the first walk used. */
extern Oid set_type(Compiler *c, int side, const char *name);

/* A field of an input as another type, in the lane that leads there; as sql_cast. */
extern char *set_cast(Compiler *c, int side, const char *name, Oid type);

/* The type in which fields of two types are compared: text in the other's; InvalidOid when there is none. */
extern Oid set_common_type(Oid one, Oid other);

/* The quoted column of an input in which a field of it is to be found as `type`. */
extern const char *set_key(Compiler *c, int side, const char *name, Oid type);

/* A field of an input to sort and group by: texts by their bytes, which is what equality needs and far faster than a locale. */
extern const char *set_group_key(Compiler *c, int side, const char *name);

/*
 * A column that the query gives behind its fields, quoted.  Nobody reads it but
 * the node's own conditions on the result (Feed.result_where), or what runs it.
 */
extern const char *set_mark(Compiler *c, const char *name);

#endif
