/*
 * exprsize.c: how large the expressions of a nested statement become.  See
 * exprsize.h.
 */
#include "postgres.h"

#include "pg/exprsize.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"

typedef struct SizeContext
{
    int nrelations;
    ExprSizes *relations;    /* by place in the range table; without columns each is one part */
    double size;
} SizeContext;

static double
var_size(const Var *var, const SizeContext *context)
{
    const ExprSizes *relation;

    if (var->varlevelsup > 0 || var->varno < 1 || var->varno > context->nrelations)
        return 1;
    relation = &context->relations[var->varno - 1];
    return var->varattno >= 1 && var->varattno <= relation->ncolumns ? relation->columns[var->varattno - 1] : 1;
}

static bool
size_walker(Node *node, SizeContext *context)
{
    if (node == NULL)
        return false;
    if (IsA(node, Var))
        context->size += var_size((Var *) node, context);
    else if (!IsA(node, List) && !IsA(node, TargetEntry))
        context->size++;
    return expression_tree_walker(node, size_walker, context);
}

static double
expression_size(Node *expression, SizeContext *context)
{
    context->size = 0;
    size_walker(expression, context);
    return context->size;
}

ExprSizes
exprsize_query(const Query *query, const ExprSizes *relation)
{
    SizeContext context = {list_length(query->rtable), palloc0(sizeof(ExprSizes) * Max(list_length(query->rtable), 1)), 0};
    ExprSizes result = {list_length(query->targetList), palloc(sizeof(double) * Max(list_length(query->targetList), 1)), 0};
    ListCell *lc;

    check_stack_depth();
    foreach(lc, query->rtable)
    {
        const RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);
        ExprSizes *sizes = &context.relations[foreach_current_index(lc)];

        if (entry->rtekind == RTE_SUBQUERY)
            *sizes = exprsize_query(entry->subquery, relation);
        else if (entry->rtekind == RTE_NAMEDTUPLESTORE && relation)
            *sizes = *relation;
        result.conditions += sizes->conditions;
    }
    foreach(lc, query->targetList)
        result.columns[foreach_current_index(lc)] = expression_size((Node *) lfirst_node(TargetEntry, lc)->expr, &context);
    if (query->jointree)
        result.conditions += expression_size(query->jointree->quals, &context);
    return result;
}

double
exprsize_total(const ExprSizes *sizes)
{
    double total = sizes->conditions;

    for (int i = 0; i < sizes->ncolumns; i++)
        total += sizes->columns[i];
    return total;
}

double
exprsize_largest(const ExprSizes *sizes)
{
    double largest = 0;

    for (int i = 0; i < sizes->ncolumns; i++)
        largest = Max(largest, sizes->columns[i]);
    return sizes->conditions + largest;
}
