/*
 * compile_statement.c: statements that the compiler wrote, as PostgreSQL reads
 * them, and which node wrote what of them.  See compile.h.
 */
#include "postgres.h"

#include "pg/compile.h"

#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "utils/guc.h"

#include "pg/exprbound.h"
#include "pg/flatten.h"
#include "pg/settings.h"

/* ---- statements ------------------------------------------------------------- */

void
compile_add_relation(QueryEnvironment *env, const char *name, TupleDesc desc, void *tuplestore, double rows)
{
    EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

    enr->md.name = pstrdup(name);
    enr->md.reliddesc = InvalidOid;
    enr->md.tupdesc = desc;
    enr->md.enrtype = ENR_NAMED_TUPLESTORE;
    enr->md.enrtuples = rows;
    enr->reldata = tuplestore;
    register_ENR(env, enr);
}

QueryEnvironment *
compile_environment(const char *name, TupleDesc desc, void *tuplestore)
{
    QueryEnvironment *env = create_queryEnv();

    compile_add_relation(env, name, desc, tuplestore, 1000);
    return env;
}

static bool
has_other_table(Node *node, List *tables)
{
    if (node == NULL)
        return false;
    if (IsA(node, RangeTblEntry))
        return ((RangeTblEntry *) node)->rtekind == RTE_RELATION && !list_member_oid(tables, ((RangeTblEntry *) node)->relid);
    if (IsA(node, Query))
        return query_tree_walker((Query *) node, has_other_table, tables, QTW_EXAMINE_RTES_BEFORE);
    return expression_tree_walker(node, has_other_table, tables);
}

Query *
compile_analyze(const char *sql, QueryEnvironment *env, List *tables)
{
    int level = NewGUCNestLevel();
    List *statements;
    Query *query;
    OnConflictExpr *on_conflict;

    settings_fix_level();
    /* generated SQL names everything outside pg_catalog in full */
    (void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql, NULL, 0, env);
    AtEOXact_GUC(true, level);
    if (has_other_table((Node *) query, tables))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("another table has taken the name of one of the pipeline's"),
                        errdetail("It happened while the pipeline was compiled or ran."), errhint("Try again.")));
    /* how an upsert finds rows is the table's to say, and must read as its index does */
    on_conflict = query->onConflict;
    query->onConflict = NULL;
    exprbound_query(query);
    flatten_query(query);
    query->onConflict = on_conflict;
    return query;
}

/* ---- places in statements ----------------------------------------------------- */

/* Where an expression itself stands in the statement, whatever its arguments; -1 when nobody knows. */
static int
own_location(Node *node)
{
    switch (nodeTag(node))
    {
        case T_Var:
            return ((Var *) node)->location;
        case T_Const:
            return ((Const *) node)->location;
        case T_FuncExpr:
            return ((FuncExpr *) node)->location;
        case T_OpExpr:
        case T_DistinctExpr:
        case T_NullIfExpr:
            return ((OpExpr *) node)->location;
        case T_ScalarArrayOpExpr:
            return ((ScalarArrayOpExpr *) node)->location;
        case T_BoolExpr:
            return ((BoolExpr *) node)->location;
        case T_RelabelType:
            return ((RelabelType *) node)->location;
        case T_CoerceViaIO:
            return ((CoerceViaIO *) node)->location;
        case T_ArrayCoerceExpr:
            return ((ArrayCoerceExpr *) node)->location;
        case T_CoerceToDomain:
            return ((CoerceToDomain *) node)->location;
        case T_CaseExpr:
            return ((CaseExpr *) node)->location;
        case T_ArrayExpr:
            return ((ArrayExpr *) node)->location;
        case T_CoalesceExpr:
            return ((CoalesceExpr *) node)->location;
        case T_MinMaxExpr:
            return ((MinMaxExpr *) node)->location;
        case T_SQLValueFunction:
            return ((SQLValueFunction *) node)->location;
        case T_NullTest:
            return ((NullTest *) node)->location;
        case T_BooleanTest:
            return ((BooleanTest *) node)->location;
        default:
            return -1;
    }
}

int
compile_step_at(const Lane *lane, int at, int location)
{
    int step = 0;

    if (location < 0)
        return -1;
    /* ranges lie within one another, the feed's innermost; outside of all is the last step */
    while (step < lane->nsteps - 1 && (location - at < lane->steps[step].begin || location - at >= lane->steps[step].end))
        step++;
    return step;
}

typedef struct StepSearch { const Lane *lane; int at; int step; } StepSearch;

static bool
search_step(Node *node, StepSearch *search)
{
    int step;

    if (node == NULL)
        return false;
    step = compile_step_at(search->lane, search->at, own_location(node));
    search->step = Max(search->step, step);
    return expression_tree_walker(node, search_step, search);
}

int
compile_step_of(const Lane *lane, int at, Node *expression)
{
    StepSearch search = {lane, at, -1};

    search_step(expression, &search);
    return search.step;
}
