/*
 * compile.c: from a graph to SQL.  See compile.h.
 *
 * Two walks over the nodes, both in topological order: the first finds the
 * source's fields and their types (compile_fields.c), the second writes the
 * SQL (compile_sql.c).  What a node does in them is in its NodeOp; what is here
 * brings them together and checks the SQL node by node.
 */
#include "postgres.h"

#include "pg/compile.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/exprbound.h"
#include "pg/exprcheck.h"
#include "pg/flow.h"
#include "pg/guard.h"
#include "pg/json.h"
#include "pg/node.h"
#include "pg/settings.h"

static const struct { const char *name; Oid type; } field_types[] = {
    {"string", TEXTOID}, {"text", TEXTOID}, {"varchar", VARCHAROID}, {"integer", INT4OID}, {"bigint", INT8OID},
    {"smallint", INT2OID}, {"numeric", NUMERICOID}, {"decimal", NUMERICOID}, {"float", FLOAT4OID},
    {"real", FLOAT4OID}, {"double", FLOAT8OID}, {"boolean", BOOLOID}, {"date", DATEOID},
    {"timestamp", TIMESTAMPOID}, {"timestamptz", TIMESTAMPTZOID}, {"json", JSONBOID}, {"uuid", UUIDOID}};

Oid
compile_field_type(const char *name)
{
    for (size_t i = 0; i < lengthof(field_types); i++)
    {
        if (strcmp(field_types[i].name, name) == 0)
            return field_types[i].type;
    }
    return InvalidOid;
}

const char *
compile_field_type_list(void)
{
    return "string, varchar, text, integer, bigint, smallint, numeric, decimal, float, real, double, boolean, date, "
           "timestamp, timestamptz, json, uuid";
}

/* ---- the relation "source" ---------------------------------------------- */

TupleDesc
compile_source_desc(const Program *program)
{
    TupleDesc desc = CreateTemplateTupleDesc(Max(program->ncolumns, 1));

    for (int i = 0; i < program->ncolumns; i++)
        TupleDescInitEntry(desc, i + 1, program->columns[i].name, program->columns[i].type,
                           program->columns[i].typmod, 0);
    if (program->ncolumns == 0)  /* a pipeline of constants still counts rows */
        TupleDescInitEntry(desc, 1, "_", TEXTOID, -1, 0);
    return desc;
}

QueryEnvironment *
compile_environment(const char *name, TupleDesc desc, void *tuplestore)
{
    QueryEnvironment *env = create_queryEnv();
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = pstrdup(name);
    enr->md.reliddesc = InvalidOid;
    enr->md.tupdesc = desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = 1000;
    enr->reldata = tuplestore;
    register_ENR(env, enr);
    return env;
}

Query *
compile_analyze(const char *sql, QueryEnvironment *env)
{
    int level = NewGUCNestLevel();
    List *statements;
    Query *query;

    settings_fix_level();
    /* generated SQL names everything outside pg_catalog in full */
    (void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql, NULL, 0, env);
    AtEOXact_GUC(true, level);
    exprbound_query(query);
    return query;
}

/* ---- checking ---------------------------------------------------------------- */

/* What the node made has the type that PostgreSQL finds it has. */
static void
take_types(Compiler *c, const Query *query)
{
    ListCell *lc;

    foreach(lc, query->targetList)
    {
        TargetEntry *te = lfirst_node(TargetEntry, lc);
        FlowColumn *column = te->resname ? flow_find(c, te->resname) : NULL;

        if (column && column->source < 0)
            column->type = exprType((Node *) te->expr);
    }
}

/* Parses, checks and plans what stands so far, so that an error is the node's own. */
static void
check_sql(Compiler *c, const GraphNode *node)
{
    const char *sql = node->op->kind == NODE_TARGET ? c->program->select_sql : c->sql->data;
    TupleDesc desc = compile_source_desc(c->program);
    QueryEnvironment *env = compile_environment(SOURCE_RELATION, desc, NULL);
    Query *query = compile_analyze(sql, env);

    exprcheck_query(query, sql);
    if (node->op->kind != NODE_TARGET)
        take_types(c, query);
    (void) pg_plan_query(query, sql, CURSOR_OPT_PARALLEL_OK & 0, NULL);
}

typedef struct NodeWork { Compiler *compiler; const GraphNode *node; void (*work) (Compiler *, const GraphNode *); } NodeWork;

static void
work_on_node(void *arg)
{
    NodeWork *work = arg;

    work->work(work->compiler, work->node);
}

/*
 * Where in the node's expression an error was found, in characters from 1; 0
 * when that is not known.  Checks of an expression alone, and then those of
 * all the SQL, put it between "(\n" and "\n)".
 */
static int
expression_position(Compiler *c, const GraphNode *node, const ErrorData *error)
{
    char *expression = json_get_text(node->config, "expression");
    char *written, *found;
    /* what runs SQL around us takes the position for one in its own text */
    int position = error->cursorpos > 0 ? error->cursorpos : error->internalpos;

    if (expression == NULL || position <= 0)
        return 0;
    written = psprintf("(\n%s\n)", expression);
    found = c->sql ? strstr(c->sql->data, written) : NULL;
    position -= (found ? pg_mbstrlen_with_len(c->sql->data, found - c->sql->data) : (int) strlen("SELECT ")) + (int) strlen("(\n");
    return position >= 1 && position <= pg_mbstrlen(expression) + 1 ? position : 0;
}

/*
 * Does something with a node; an error of parsing or analysis becomes the
 * node's finding.  Without `collect` errors are simply raised.
 */
static void
with_findings(Compiler *c, const GraphNode *node, bool collect, void (*work) (Compiler *, const GraphNode *))
{
    NodeWork node_work = {c, node, work};
    ErrorData *error;
    int position;

    if (!collect)
    {
        work(c, node);
        return;
    }
    error = guard_try(work_on_node, &node_work, CurrentMemoryContext);
    if (error == NULL)
        return;
    /* of an aggregate the parser says that all other fields are not grouped by */
    if (error->sqlerrcode == ERRCODE_GROUPING_ERROR)
        graph_complain(c->findings, node->id, "invalid_expression", NULL, "an aggregate is not allowed in a pipeline's expression");
    else if ((position = expression_position(c, node, error)) > 0)
        graph_complain(c->findings, node->id, "invalid_expression", error->hint, "%s, at character %d of the expression", error->message, position);
    else
        graph_complain(c->findings, node->id, "invalid_expression", error->hint, "%s", error->message);
}

/* Where each node's text ended up: the target's is outermost, the source's innermost. */
static void
locate_nodes(Compiler *c)
{
    Program *p = c->program;
    int begin = 0, end = strlen(p->sql);

    p->texts = palloc0(sizeof(NodeText) * p->graph->nnodes);
    for (int i = p->graph->nnodes - 1; i >= 0; i--)
    {
        const GraphNode *node = &p->graph->nodes[i];
        NodeText *text = &p->texts[p->ntexts];
        const char *closing = psprintf(") AS %s", quote_identifier(node->id));
        char *from, *close = NULL;

        text->node = node;
        text->begin = begin;
        text->end = end;
        p->ntexts++;
        if (i == 0)
            break;
        /* the inner text lies between the first "FROM (" and the last ") AS id" of this one */
        from = strstr(p->sql + begin, "\nFROM (");
        for (char *at = from; at && (at = strstr(at, closing)) != NULL && at < p->sql + end; at++)
            close = at;
        if (from == NULL || close == NULL)
        {
            p->ntexts--;         /* a node that writes nothing, such as a cast the reader does */
            continue;
        }
        begin = from + strlen("\nFROM (") - p->sql;
        end = close - p->sql;
    }
}

const GraphNode *
compile_node_at(const Program *program, int location)
{
    const GraphNode *found = NULL;

    if (location < 0)
        return NULL;
    for (int i = 0; i < program->ntexts; i++)
    {
        if (location >= program->texts[i].begin && location < program->texts[i].end)
            found = program->texts[i].node;
    }
    return found;
}

static Validation
target_validation(const GraphNode *target, Validation fallback)
{
    char *text = json_get_text(target->config, "validation");

    if (text == NULL)
        return fallback;
    return strcmp(text, "strict") == 0 ? VALIDATION_STRICT : strcmp(text, "skip") == 0 ? VALIDATION_SKIP : VALIDATION_COERCE;
}

Program *
compile_program(Graph *graph, Oid relid, TargetField *fields, int nfields, Validation fallback,
                const bool *present, List **findings)
{
    Compiler *c = palloc0(sizeof(Compiler));
    Program *p = palloc0(sizeof(Program));
    List *found = NIL;

    c->program = p;
    c->findings = findings ? findings : &found;
    c->present = present;
    p->graph = graph;
    p->relid = relid;
    p->fields = fields;
    p->nfields = nfields;
    p->columns = palloc0(sizeof(SourceColumn) * WIRE_MAX_COLUMNS);
    p->validation = target_validation(&graph->nodes[graph->nnodes - 1], fallback);
    for (int i = 0; i < graph->nnodes; i++)
        with_findings(c, &graph->nodes[i], findings != NULL, graph->nodes[i].op->walk);
    if (graph_has_errors(*c->findings))
        goto failed;
    fields_settle(c);
    c->sql = makeStringInfo();
    for (int i = 0; i < graph->nnodes; i++)
    {
        graph->nodes[i].op->write(c, &graph->nodes[i]);
        if (graph_has_errors(*c->findings))
            goto failed;
        with_findings(c, &graph->nodes[i], findings != NULL, check_sql);
        if (graph_has_errors(*c->findings))
            goto failed;
    }
    locate_nodes(c);
    return p;

failed:
    if (findings == NULL)
    {
        Finding *f = linitial(found);

        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("node \"%s\": %s", f->node_id ? f->node_id : "", f->message),
                        f->hint ? errhint("%s", f->hint) : 0));
    }
    return NULL;
}
