/*
 * flatten.c: a statement of nested sub-selects as one SELECT.  See flatten.h.
 *
 * From the outermost level on, each Var is replaced by the expression that
 * makes it one level further in, down to the relation's columns, so that every
 * node of the result is made once.  Conditions stay in a FromExpr for each
 * level, innermost in the middle, as the planner leaves them.
 */
#include "postgres.h"

#include "pg/flatten.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "pg/exprsize.h"

typedef struct Level { List *levels; int at; } Level; /* Query *, the outermost first; and one of them */

/* Is it SELECT ... FROM one relation or sub-select WHERE ..., and nothing else? */
static bool
is_plain(const Query *query)
{
    return query->commandType == CMD_SELECT && list_length(query->rtable) == 1 && query->jointree && list_length(query->jointree->fromlist) == 1 &&
           IsA(linitial(query->jointree->fromlist), RangeTblRef) && !query->hasAggs && !query->hasWindowFuncs && !query->hasTargetSRFs &&
           !query->hasSubLinks && !query->cteList && !query->groupClause && !query->groupingSets && !query->havingQual && !query->windowClause &&
           !query->distinctClause && !query->sortClause && !query->limitOffset && !query->limitCount && !query->rowMarks && !query->setOperations;
}

/* The levels of a chain that can be one SELECT; NIL when it is none. */
static List *
find_levels(Query *query)
{
    List *levels = NIL;

    for (;;)
    {
        const RangeTblEntry *entry;

        if (!is_plain(query))
            return NIL;
        levels = lappend(levels, query);
        entry = linitial_node(RangeTblEntry, query->rtable);
        if (entry->rtekind == RTE_NAMEDTUPLESTORE)
            return levels;
        if (entry->rtekind != RTE_SUBQUERY || entry->lateral)
            return NIL;
        query = entry->subquery;
    }
}

/* The expression of a level over the innermost level's relation. */
static Node *
replace_vars(Node *node, const Level *level)
{
    Level inner = *level;

    while (node && IsA(node, Var) && inner.at < list_length(inner.levels) - 1)
    {
        const Query *query = list_nth_node(Query, inner.levels, ++inner.at);

        node = (Node *) list_nth_node(TargetEntry, query->targetList, castNode(Var, node)->varattno - 1)->expr;
    }
    if (node == NULL)
        return NULL;
    return expression_tree_mutator(node, replace_vars, &inner);
}

/* The range of the result: the innermost level's relation, and the conditions of all. */
static FromExpr *
nest_conditions(List *levels)
{
    FromExpr *from = NULL;

    for (int i = list_length(levels) - 1; i >= 0; i--)
    {
        const FromExpr *own = list_nth_node(Query, levels, i)->jointree;
        Level level = {levels, i};

        if (from == NULL)
            from = makeFromExpr(own->fromlist, replace_vars(own->quals, &level));
        else if (own->quals)
            from = makeFromExpr(list_make1(from), replace_vars(own->quals, &level));
    }
    return from;
}

void
flatten_query(Query *query)
{
    List *levels = find_levels(query);
    Level outermost = {levels, 0};
    ExprSizes sizes;

    if (query->commandType == CMD_INSERT)
    {
        ListCell *lc;

        foreach(lc, query->rtable)
        {
            if (lfirst_node(RangeTblEntry, lc)->rtekind == RTE_SUBQUERY)
                flatten_query(lfirst_node(RangeTblEntry, lc)->subquery);
        }
        return;
    }
    if (list_length(levels) < 2)
        return;
    sizes = exprsize_query(query, NULL);
    if (exprsize_total(&sizes) > EXPRSIZE_LIMIT)
        return;
    query->jointree = nest_conditions(levels);
    query->targetList = castNode(List, replace_vars((Node *) query->targetList, &outermost));
    query->rtable = llast_node(Query, levels)->rtable;
}
