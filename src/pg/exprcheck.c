/*
 * exprcheck.c: which expressions a pipeline may contain.  See exprcheck.h.
 *
 * Data flow: text -> exprcheck_parse (shape, names) -> the compiler puts it
 * into a statement -> parse analysis -> exprcheck_query (OIDs).
 */
#include "postgres.h"

#include "pg/exprcheck.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/exprlist.h"
#include "pg/settings.h"

static bool
is_system(Oid namespace)
{
    return namespace == PG_CATALOG_NAMESPACE;
}

static Oid
type_namespace(Oid type)
{
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
    Oid namespace;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for type %u", type);
    namespace = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
    ReleaseSysCache(tuple);
    return namespace;
}

/* Is it one of our functions that nodes are compiled to? */
static bool
is_own(const char *name)
{
    static const char *const names[] = {"iso_time", "keyed_hash", "map_value", "observe", "plain_number", "rule", "split_field"};

    for (size_t i = 0; i < lengthof(names); i++)
    {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return strncmp(name, "mask_", 5) == 0 || strncmp(name, "bounded_", 8) == 0;
}

static bool
function_allowed(Oid funcid, bool by_name, char **name)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
    Form_pg_proc proc;
    bool good;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", funcid);
    proc = (Form_pg_proc) GETSTRUCT(tuple);
    *name = pstrdup(NameStr(proc->proname));
    good = proc->provolatile != PROVOLATILE_VOLATILE && !proc->proretset && proc->prokind == PROKIND_FUNCTION;
    if (good && is_system(proc->pronamespace))
    {
        if (by_name)
            good = exprlist_function(*name);
    }
    else if (good)
    {
        /* our own, which only the compiler can name */
        Oid extension = get_extension_oid("kaireon", true);

        good = OidIsValid(extension) && getExtensionOfObject(ProcedureRelationId, funcid) == extension && is_own(*name);
    }
    ReleaseSysCache(tuple);
    return good;
}

typedef struct CheckContext { const char *sql; } CheckContext;

static void
refuse(const CheckContext *context, int location, const char *what, const char *name)
{
    int pos = location >= 0 ? pg_mbstrlen_with_len(context->sql, location) + 1 : 0;

    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             name ? errmsg("%s \"%s\" is not allowed in a pipeline's expression", what, name)
                  : errmsg("%s is not allowed in a pipeline's expression", what),
             errdetail("An expression makes a value of a row's fields: it reads nothing else, and changes nothing."),
             errhint("View kaireon.expression_functions lists what expressions may use."),
             errposition(pos)));
}

static void
check_function(const CheckContext *context, Oid funcid, bool by_name, int location)
{
    char *name;

    if (!function_allowed(funcid, by_name, &name))
        refuse(context, location, "function", name);
}

static void
check_operator(const CheckContext *context, Oid opno, int location)
{
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opno));
    Form_pg_operator op;
    char *name;
    Oid code;
    bool good;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for operator %u", opno);
    op = (Form_pg_operator) GETSTRUCT(tuple);
    name = pstrdup(NameStr(op->oprname));
    code = op->oprcode;
    good = is_system(op->oprnamespace);
    ReleaseSysCache(tuple);
    if (!good)
        refuse(context, location, "operator", name);
    check_function(context, code, false, location);
}

static bool
check_walker(Node *node, CheckContext *context)
{
    if (node == NULL)
        return false;
    switch (nodeTag(node))
    {
        case T_Var:
            if (((Var *) node)->varlevelsup == 0 && ((Var *) node)->varattno <= 0)
                refuse(context, exprLocation(node),
                       ((Var *) node)->varattno == 0 ? "a whole row" : "a system column", NULL);
            break;
        case T_FuncExpr:
            check_function(context, ((FuncExpr *) node)->funcid,
                           ((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CALL ||
                               ((FuncExpr *) node)->funcformat == COERCE_SQL_SYNTAX,
                           exprLocation(node));
            break;
        case T_OpExpr:
        case T_DistinctExpr:
        case T_NullIfExpr:
            check_operator(context, ((OpExpr *) node)->opno, exprLocation(node));
            break;
        case T_ScalarArrayOpExpr:
            check_operator(context, ((ScalarArrayOpExpr *) node)->opno, exprLocation(node));
            break;
        case T_SubLink:
        case T_SubPlan:
        case T_Query:
            refuse(context, exprLocation(node), "a sub-select", NULL);
            break;
        case T_Aggref:
        case T_GroupingFunc:
            refuse(context, exprLocation(node), "an aggregate", NULL);
            break;
        case T_WindowFunc:
            refuse(context, exprLocation(node), "a window function", NULL);
            break;
        case T_CoerceToDomain:
            if (!is_system(type_namespace(((CoerceToDomain *) node)->resulttype)))
                refuse(context, exprLocation(node), "a cast to a domain", NULL);
            break;
        case T_CoerceViaIO:
            if (!is_system(type_namespace(((CoerceViaIO *) node)->resulttype)))
                refuse(context, exprLocation(node), "a cast to a type that is not built in", NULL);
            break;
        case T_Const:
        case T_BoolExpr:
        case T_RelabelType:
        case T_ArrayCoerceExpr:
        case T_CaseExpr:
        case T_CaseWhen:
        case T_CaseTestExpr:
        case T_ArrayExpr:
        case T_CoalesceExpr:
        case T_MinMaxExpr:
        case T_NullTest:
        case T_BooleanTest:
        case T_CollateExpr:
        case T_NamedArgExpr:
        case T_SubscriptingRef:
        case T_List:
        case T_TargetEntry:
            break;
        case T_SQLValueFunction:
            if (((SQLValueFunction *) node)->op > SVFOP_LOCALTIMESTAMP_N)
                refuse(context, exprLocation(node), "what tells about the session", NULL);
            break;
        default:
            refuse(context, exprLocation(node), "this kind of expression", NULL);
    }
    return expression_tree_walker(node, check_walker, context);
}

void
exprcheck_query(Query *query, const char *sql)
{
    CheckContext context = {sql};

    check_walker((Node *) query->targetList, &context);
    if (query->jointree)
        check_walker(query->jointree->quals, &context);
}

typedef struct ParseContext { const char *sql; List *names; } ParseContext;

/* The position of an error that is found before parse analysis. */
static int
place(const ParseContext *context, int location)
{
    return location >= 0 ? errposition(pg_mbstrlen_with_len(context->sql, location) + 1) : 0;
}

/*
 * A name the parser will look up must mean something of pg_catalog: parse
 * analysis itself runs code, the input functions of types that literals have,
 * and with them the constraints of domains inside.
 */
static void
check_schema(const ParseContext *context, List *name, const char *what, int location)
{
    if (list_length(name) == 1 || (list_length(name) == 2 && strcmp(strVal(linitial(name)), "pg_catalog") == 0))
        return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("%s \"%s\" is not allowed in a pipeline's expression", what, NameListToString(name)),
                    errdetail("It could run somebody else's code."), errhint("Only what is built into PostgreSQL is."), place(context, location)));
}

static void
check_type_name(const ParseContext *context, const TypeName *type)
{
    const char *name;
    Oid oid;

    if (type->names == NIL)
        return;
    check_schema(context, type->names, "type", type->location);
    name = strVal(llast(type->names));
    oid = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name), ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
    if (type->pct_type || type->setof || !OidIsValid(oid) || !exprlist_type(oid))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("type \"%s\" is not allowed in a pipeline's expression", name),
                        errdetail("Its values could reach beyond the row, or nothing could be made of them."), errhint("Types of fields, intervals, times and arrays of them are."), place(context, type->location)));
}

/* The kind of a function of pg_catalog that has the name; '\0' when there is none. */
static char
system_function_kind(const char *name)
{
    CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
    char kind = '\0';

    for (int i = 0; i < list->n_members && kind == '\0'; i++)
    {
        Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

        if (is_system(proc->pronamespace))
            kind = proc->prokind;
    }
    ReleaseSysCacheList(list);
    return kind;
}

/*
 * A function that is not on the list is refused by its name: analysis of the
 * call may fail in the input function of an argument's type, or run it.  What
 * there is not, or is a cast that looks like a call, is left to that.
 */
static void
check_function_name(const ParseContext *context, const FuncCall *call)
{
    CheckContext check = {context->sql};
    const char *name;
    Oid type;
    char kind;

    check_schema(context, call->funcname, "function", call->location);
    name = strVal(llast(call->funcname));
    type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name), ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
    if (exprlist_function(name) || (OidIsValid(type) && exprlist_type(type)))
        return;
    kind = system_function_kind(name);
    if (call->over || kind == PROKIND_WINDOW)
        refuse(&check, call->location, "a window function", NULL);
    else if (kind == PROKIND_AGGREGATE)
        refuse(&check, call->location, "an aggregate", NULL);
    else if (kind)
        refuse(&check, call->location, "function", name);
}

/* What is refused before parse analysis; gathers the columns meanwhile. */
static bool
collect_columns(Node *node, ParseContext *context)
{
    if (node == NULL)
        return false;
    if (IsA(node, SubLink))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a sub-select is not allowed in a pipeline's expression"),
                        errdetail("An expression has the fields of one row."), errhint("A lookup_join node adds fields of another table."),
                        place(context, ((SubLink *) node)->location)));
    if (IsA(node, TypeName))
        check_type_name(context, (TypeName *) node);
    if (IsA(node, TypeCast))
        check_type_name(context, ((TypeCast *) node)->typeName);
    if (IsA(node, FuncCall))
        check_function_name(context, (FuncCall *) node);
    if (IsA(node, GroupingFunc))
        refuse(&(CheckContext) {context->sql}, ((GroupingFunc *) node)->location, "an aggregate", NULL);
    if (IsA(node, A_Expr))
        check_schema(context, ((A_Expr *) node)->name, "operator", ((A_Expr *) node)->location);
    if (IsA(node, ColumnRef))
    {
        ColumnRef *ref = (ColumnRef *) node;
        Node *last = (Node *) linitial(ref->fields);
        ListCell *lc;

        if (list_length(ref->fields) != 1 || !IsA(last, String))
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("an expression names fields without a table or a star"),
                            errdetail("The row's fields are all there is."), errhint("For example: amount, or \"Order Id\"."), place(context, ref->location)));
        foreach(lc, context->names)
        {
            if (strcmp(lfirst(lc), strVal(last)) == 0)
                return false;
        }
        context->names = lappend(context->names, pstrdup(strVal(last)));
        return false;
    }
    return raw_expression_tree_walker(node, collect_columns, context);
}

pg_noreturn static void
refuse_statement(void)
{
    ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("an expression must be one expression"),
                    errdetail("It is a statement, several expressions, or none."), errhint("For example: price * quantity.")));
    pg_unreachable();
}

List *
exprcheck_parse(const char *text)
{
    char *sql = psprintf("SELECT (\n%s\n)", text);
    int level = NewGUCNestLevel();
    List *statements;
    SelectStmt *select;
    ParseContext context = {sql, NIL};

    settings_fix_level(); /* as where it is compiled: the two must see the same */
    statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    AtEOXact_GUC(true, level);
    if (list_length(statements) != 1 || !IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt))
        refuse_statement();
    select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
    if (list_length(select->targetList) != 1 || linitial_node(ResTarget, select->targetList)->name != NULL ||
        select->fromClause || select->whereClause || select->groupClause || select->havingClause ||
        select->windowClause || select->sortClause || select->limitOffset || select->limitCount ||
        select->lockingClause || select->withClause || select->intoClause || select->distinctClause ||
        select->op != SETOP_NONE || select->valuesLists)
        refuse_statement();
    collect_columns(linitial_node(ResTarget, select->targetList)->val, &context);
    return context.names;
}
