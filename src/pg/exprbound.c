/*
 * exprbound.c: results of expressions have a size.  See exprbound.h.
 */
#include "postgres.h"

#include "pg/exprbound.h"

#include "access/detoast.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "pg/compat.h"
#include "pg/exprwork.h"
#include "pg/guc.h"

/* ---- rewriting ----------------------------------------------------------------- */

static const struct { Oid function; const char *bounded; } replaced[] = {
    {F_LPAD_TEXT_INT4, "bounded_lpad"}, {F_LPAD_TEXT_INT4_TEXT, "bounded_lpad"}, {F_RPAD_TEXT_INT4, "bounded_rpad"},
    {F_RPAD_TEXT_INT4_TEXT, "bounded_rpad"}, {F_REPEAT, "bounded_repeat"}, {F_REPLACE, "bounded_replace"},
    {F_REGEXP_REPLACE_TEXT_TEXT_TEXT, "bounded_regexp_replace"}, {F_REGEXP_REPLACE_TEXT_TEXT_TEXT_TEXT, "bounded_regexp_replace"},
    {F_REGEXP_REPLACE_TEXT_TEXT_TEXT_INT4, "bounded_regexp_replace"},
    {F_REGEXP_REPLACE_TEXT_TEXT_TEXT_INT4_INT4, "bounded_regexp_replace"},
    {F_REGEXP_REPLACE_TEXT_TEXT_TEXT_INT4_INT4_TEXT, "bounded_regexp_replace"}};

static Oid
bounded_function(const char *name, int nargs, const Oid *types)
{
    return LookupFuncName(list_make2(makeString("kaireon"), makeString(unconstify(char *, name))), nargs, types, false);
}

/* The function in schema kaireon that takes what one of PostgreSQL's takes. */
static Oid
bounded_twin(const char *name, Oid function)
{
    Oid *types;
    int nargs;

    (void) get_func_signature(function, &types, &nargs);
    for (int i = 0; i < nargs; i++)
        types[i] = types[i] == BPCHAROID ? TEXTOID : types[i];
    return bounded_function(name, nargs, types);
}

/* The function to be called in place of one of PostgreSQL's; NULL: that is called. */
static const char *
find_bounded(Oid function)
{
    for (size_t i = 0; i < lengthof(replaced); i++)
    {
        if (replaced[i].function == function)
            return replaced[i].bounded;
    }
    return exprwork_function(function);
}

static Node *
replace_function(FuncExpr *call, const char *name)
{
    FuncExpr *bounded = copyObject(call);

    bounded->funcid = bounded_twin(name, call->funcid);
    bounded->funcformat = COERCE_EXPLICIT_CALL;
    return (Node *) bounded;
}

static Node *
replace_operator(OpExpr *op, const char *name)
{
    FuncExpr *call = makeFuncExpr(bounded_twin(name, op->opfuncid), op->opresulttype, op->args, op->opcollid, op->inputcollid, COERCE_EXPLICIT_CALL);

    call->location = exprLocation((Node *) op);
    return (Node *) call;
}

/* An operator over an array: in place of one that has a negator, the planner may call that; so it becomes a call. */
static Node *
replace_array_operator(ScalarArrayOpExpr *op, const char *name)
{
    FuncExpr *call;
    Oid *types;
    int nargs;

    if (!OidIsValid(get_negator(op->opno)))
    {
        op->opfuncid = bounded_twin(name, op->opfuncid);
        return (Node *) op;
    }
    (void) get_func_signature(op->opfuncid, &types, &nargs);
    types[0] = types[0] == BPCHAROID ? TEXTOID : types[0];
    call = makeFuncExpr(bounded_function(name, 3, (Oid[]) {types[0], get_array_type(types[1]), BOOLOID}), BOOLOID,
                        lappend(list_copy(op->args), makeBoolConst(op->useOr, false)), InvalidOid, op->inputcollid, COERCE_EXPLICIT_CALL);
    call->location = exprLocation((Node *) op);
    return (Node *) call;
}

static bool
can_grow(Oid type)
{
    return type == TEXTOID || type == VARCHAROID || type == BYTEAOID || type == JSONBOID || type == JSONOID ||
           OidIsValid(get_element_type(type));
}

static Node *
measured(Node *value)
{
    Oid any = ANYELEMENTOID, type = exprType(value), collation = exprCollation(value);
    FuncExpr *call = makeFuncExpr(bounded_function("bounded_size", 1, &any), type, list_make1(value), collation, collation,
                                  COERCE_EXPLICIT_CALL);

    call->location = exprLocation(value);
    return (Node *) call;
}

Node *
exprbound_measured(Node *expr)
{
    Oid any = ANYELEMENTOID;

    if (!IsA(expr, FuncExpr) || ((FuncExpr *) expr)->funcformat != COERCE_EXPLICIT_CALL ||
        ((FuncExpr *) expr)->funcid != bounded_function("bounded_size", 1, &any))
        return NULL;
    return linitial(((FuncExpr *) expr)->args);
}

static Node *
bound_mutator(Node *node, void *context)
{
    if (node == NULL)
        return NULL;
    if (IsA(node, Query))
        return (Node *) query_tree_mutator((Query *) node, bound_mutator, context, 0);
    node = expression_tree_mutator(node, bound_mutator, context);
    if (IsA(node, FuncExpr))
    {
        FuncExpr *call = (FuncExpr *) node;
        const char *bounded = find_bounded(call->funcid);

        if (bounded)
            node = replace_function(call, bounded);
        else if ((call->funcformat != COERCE_EXPLICIT_CALL && call->funcformat != COERCE_SQL_SYNTAX) ||
            get_func_namespace(call->funcid) != PG_CATALOG_NAMESPACE)
            return node;
    }
    else if (IsA(node, OpExpr))
    {
        const char *bounded = find_bounded(((OpExpr *) node)->opfuncid);

        if (bounded)
            node = replace_operator((OpExpr *) node, bounded);
    }
    else if (IsA(node, ScalarArrayOpExpr))
    {
        const char *bounded = find_bounded(((ScalarArrayOpExpr *) node)->opfuncid);

        return bounded ? replace_array_operator((ScalarArrayOpExpr *) node, bounded) : node;
    }
    else if (!IsA(node, CoerceViaIO))
        return node;
    return can_grow(exprType(node)) ? measured(node) : node;
}

void
exprbound_query(Query *query)
{
    (void) query_tree_mutator(query, bound_mutator, NULL, QTW_DONT_COPY_QUERY);
}

/* ---- the functions --------------------------------------------------------------- */

/* A row's expressions may make so many of the largest results. */
#define ROW_RESULTS 16

/*
 * What is computed for a row lies in the current context, which executors reset
 * for each row, and the worker when EXPRBOUND_ROWS_BYTES are in it.
 */
static void
require_memory(void)
{
    double allowed = (double) guc_max_field_bytes * 1024 * ROW_RESULTS + EXPRBOUND_ROWS_BYTES;

    if ((double) CurrentMemoryContext->mem_allocated > allowed)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("results of expressions for one row need too much memory"),
                        errdetail("They have taken %.0f kB, %.0f kB are allowed: %d times kaireon.max_field_bytes, and %d kB.",
                                  CurrentMemoryContext->mem_allocated / 1024.0, allowed / 1024, ROW_RESULTS, EXPRBOUND_ROWS_BYTES / 1024),
                        errhint("Shorten what goes in, as with left(), or let an administrator raise kaireon.max_field_bytes.")));
}

static void
require_bound(double bytes)
{
    CHECK_FOR_INTERRUPTS(); /* a long expression is interrupted between its parts */
    require_memory();
    if (bytes > (double) guc_max_field_bytes * 1024)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("result of an expression may be larger than kaireon.max_field_bytes"),
                        errdetail("It may have %.0f bytes, %d kB are allowed.", bytes, guc_max_field_bytes),
                        errhint("Shorten what goes in, as with left(), or let an administrator raise kaireon.max_field_bytes.")));
}

PG_FUNCTION_INFO_V1(kaireon_bounded_size);
Datum
kaireon_bounded_size(PG_FUNCTION_ARGS)
{
    FmgrInfo *call = fcinfo->flinfo;

    /* expressions call it for values that have a size; anybody may, for any */
    if (call->fn_extra == NULL)
    {
        bool *sized = MemoryContextAlloc(call->fn_mcxt, sizeof(bool));
        Oid type = get_fn_expr_argtype(call, 0);

        *sized = OidIsValid(type) && get_typlen(type) == -1;
        call->fn_extra = sized;
    }
    if (*(bool *) call->fn_extra)
        require_bound(toast_raw_datum_size(PG_GETARG_DATUM(0)));
    PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* A character has a byte at least; the result is measured where the filling has more. */
static Datum
pad(FunctionCallInfo fcinfo, PGFunction function)
{
    Datum fill = PG_NARGS() == 3 ? PG_GETARG_DATUM(2) : PointerGetDatum(cstring_to_text(" "));

    Datum result;

    require_bound(PG_GETARG_INT32(1));
    result = DirectFunctionCall3(function, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), fill);
    require_bound(toast_raw_datum_size(result));
    return result;
}

PG_FUNCTION_INFO_V1(kaireon_bounded_lpad);
Datum
kaireon_bounded_lpad(PG_FUNCTION_ARGS)
{
    return pad(fcinfo, lpad);
}

PG_FUNCTION_INFO_V1(kaireon_bounded_rpad);
Datum
kaireon_bounded_rpad(PG_FUNCTION_ARGS)
{
    return pad(fcinfo, rpad);
}

PG_FUNCTION_INFO_V1(kaireon_bounded_repeat);
Datum
kaireon_bounded_repeat(PG_FUNCTION_ARGS)
{
    require_bound((double) VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)) * PG_GETARG_INT32(1));
    return DirectFunctionCall2(repeat, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
}

/* How often the one lies in the other; never called with nothing to look for. */
static int64
count_of(const text *in, const text *what)
{
    const char *at = VARDATA_ANY(in), *end = at + VARSIZE_ANY_EXHDR(in);
    int64 count = 0;

    while ((at = memmem(at, end - at, VARDATA_ANY(what), VARSIZE_ANY_EXHDR(what))) != NULL)
    {
        at += VARSIZE_ANY_EXHDR(what);
        count++;
    }
    return count;
}

PG_FUNCTION_INFO_V1(kaireon_bounded_replace);
Datum
kaireon_bounded_replace(PG_FUNCTION_ARGS)
{
    text *value = PG_GETARG_TEXT_PP(0), *from = PG_GETARG_TEXT_PP(1), *to = PG_GETARG_TEXT_PP(2);
    double grows = (double) VARSIZE_ANY_EXHDR(to) - VARSIZE_ANY_EXHDR(from);

    if (VARSIZE_ANY_EXHDR(from) > 0 && grows > 0)
        require_bound(VARSIZE_ANY_EXHDR(value) + grows * count_of(value, from));
    return exprwork_replace(fcinfo);
}

/*
 * There may be a match before, between and after all characters; each is
 * replaced by the replacement, in which each \1 may stand for all of the text,
 * but all matches together for no more than the text.
 */
static double
replaced_bytes(const text *value, const text *replacement)
{
    const char *p = VARDATA_ANY(replacement), *end = p + VARSIZE_ANY_EXHDR(replacement);
    double length = VARSIZE_ANY_EXHDR(value), references = 0;

    for (; p < end; p++)
        references += *p == '\\';
    return length + references * length + (length + 1) * VARSIZE_ANY_EXHDR(replacement);
}

PG_FUNCTION_INFO_V1(kaireon_bounded_regexp_replace);
Datum
kaireon_bounded_regexp_replace(PG_FUNCTION_ARGS)
{
    Datum a[6] = {0};
    double bytes = replaced_bytes(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(2));

    /* what may be is rarely so: only what would hurt is refused */
    if (bytes > Max((double) guc_max_field_bytes * 1024, 64.0 * 1024 * 1024))
        require_bound(bytes);
    for (int i = 0; i < PG_NARGS() && i < (int) lengthof(a); i++)
        a[i] = PG_GETARG_DATUM(i);
    switch (PG_NARGS())
    {
        case 3:
            a[0] = DirectFunctionCall3Coll(textregexreplace_noopt, PG_GET_COLLATION(), a[0], a[1], a[2]);
            break;
        case 4:
            a[0] = DirectFunctionCall4Coll(get_fn_expr_argtype(fcinfo->flinfo, 3) == INT4OID ? textregexreplace_extended_no_n : textregexreplace,
                                           PG_GET_COLLATION(), a[0], a[1], a[2], a[3]);
            break;
        case 5:
            a[0] = DirectFunctionCall5Coll(textregexreplace_extended_no_flags, PG_GET_COLLATION(), a[0], a[1], a[2], a[3], a[4]);
            break;
        default:
            a[0] = DirectFunctionCall6Coll(textregexreplace_extended, PG_GET_COLLATION(), a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    require_bound(toast_raw_datum_size(a[0]));
    return a[0];
}
