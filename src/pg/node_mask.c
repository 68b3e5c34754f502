/*
 * node_mask.c: the node that masks personal data; mask.c has the masks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "pg/flow.h"
#include "pg/node.h"

static const char *const mask_types[] = {"ssn", "email", "phone", "credit_card", NULL};

static const JsonKey mask_keys[] = {
    {"field", JSON_STRING, true, NULL},
    {"maskType", JSON_STRING, true, mask_types},
    {"preserveLength", JSON_BOOL, false, NULL},
    {NULL, 0, false, NULL}};

static void
mask_walk(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_use(c, node, json_get_text(node->config, "field"), true);

    if (column)
        flow_change(c, node, column, TEXTOID);
}

static void
mask_write(Compiler *c, const GraphNode *node)
{
    FlowColumn *column = flow_find(c, json_get_text(node->config, "field"));

    sql_replace(c, node, column,
                psprintf("kaireon.mask_%s(%s, %s)", json_get_text(node->config, "maskType"), sql_as_text(c, column),
                         json_get_bool(node->config, "preserveLength", false) ? "true" : "false"),
                TEXTOID);
}

static void
mask_describe(const GraphNode *node, StringInfo out)
{
    char *field = json_get_text(node->config, "field");
    char *type = json_get_text(node->config, "maskType");

    if (field == NULL || type == NULL)
        return;
    appendStringInfo(out, "mask %s", field);
    if (strcmp(field, type) != 0)
        appendStringInfo(out, " as %s", type);
}

static const char *const mask_pii_reads[] = {"maskType", NULL};

const NodeOp node_mask_pii = {
    .name = "mask_pii",
    .kind = NODE_ROW,
    .keys = mask_keys,
    .reads = mask_pii_reads,
    .output = "field",
    .walk = mask_walk,
    .write = mask_write,
    .describe = mask_describe,
};
