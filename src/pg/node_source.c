/*
 * node_source.c: the node that gives what a connector has; source_options.c knows its keys.
 */
#include "postgres.h"

#include "pg/archive.h"
#include "pg/file_pattern.h"
#include "pg/flow.h"
#include "pg/node.h"
#include "pg/source_options.h"

static void
source_node_check(const GraphNode *node, List **findings)
{
    GraphComplaint complaint = {findings, node->id};

    source_check(node->config, SOURCE_OF_NODE, "config of a source node", graph_complain_config, &complaint);
    archive_check_source(node, findings);
    if (file_pattern_has_dates(node->config) && !graph_is_wrong(*findings, node))
    {
        TimestampTz now = GetCurrentTimestamp();

        graph_tell(findings, node->id, "pattern_expands", psprintf("the pattern stands for \"%s\" now", file_pattern_shown(node->config, &now)));
    }
}

static void
source_write(Compiler *c, const GraphNode *node)
{
    const ProgramSource *source = c->feeds[node->ordinal]->source;

    for (int i = 0; i < source->ncolumns; i++)
        flow_add(c, source->columns[i].name, &source->columns[i], InvalidOid);
    appendStringInfoString(c->sql, "SELECT ");
    sql_columns(c, c->sql, NULL, NULL);
    appendStringInfo(c->sql, " FROM %s", SOURCE_RELATION);
}

static void
source_describe(const GraphNode *node, StringInfo out)
{
    appendStringInfoString(out, file_pattern_shown(node->config, NULL));
}

const NodeOp node_source = {
    .name = "source",
    .kind = NODE_SOURCE,
    .keeps_fields = true,
    .check = source_node_check,
    .walk = flow_begin,
    .write = source_write,
    .describe = source_describe,
};
