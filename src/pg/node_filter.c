/*
 * node_filter.c: the node that keeps rows by a condition.
 */
#include "postgres.h"

#include "pg/condition.h"
#include "pg/node.h"

static const JsonKey filter_keys[] = {CONDITION_KEYS, {NULL, 0, false, NULL}};

static void
filter_check(const GraphNode *node, List **findings)
{
    condition_check(node->given, "a filter node", node, findings);
}

static void
filter_walk(Compiler *c, const GraphNode *node)
{
    condition_walk(c, node, node->config);
}

static void
filter_write(Compiler *c, const GraphNode *node)
{
    sql_wrap(c, node, "*", psprintf("\nWHERE %s", condition_sql(c, node, node->config)));
}

static void
filter_describe(const GraphNode *node, StringInfo out)
{
    condition_describe(out, node->config);
}

const NodeOp node_filter = {
    .name = "filter",
    .kind = NODE_ROW,
    .keeps_fields = true,
    .keys = filter_keys,
    .check = filter_check,
    .walk = filter_walk,
    .write = filter_write,
    .describe = filter_describe,
};
