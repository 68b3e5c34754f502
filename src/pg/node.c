/*
 * node.c: the table of node types.  See node.h.
 */
#include "postgres.h"

#include "pg/node.h"

/* In strcmp order of their names. */
static const NodeOp *const ops[] = {
    &node_add_field,
    &node_aggregate, &node_archive,
    &node_branch,
    &node_cast,
    &node_deduplicate,
    &node_drop,
    &node_enrich,
    &node_expression,
    &node_filter,
    &node_hash,
    &node_join,
    &node_lookup_join,
    &node_map_values,
    &node_mask_pii,
    &node_merge,
    &node_rename,
    &node_source,
    &node_split,
    &node_summarize,
    &node_target,
    &node_validate,
};

const NodeOp node_unknown = {.name = "unknown", .kind = NODE_ROW};

static int
compare_names(const void *name, const void *op)
{
    return strcmp(name, (*(const NodeOp *const *) op)->name);
}

const NodeOp *
node_find(const char *name)
{
    const NodeOp *const *found = bsearch(name, ops, lengthof(ops), sizeof(ops[0]), compare_names);

    return found ? *found : NULL;
}

char *
node_list(void)
{
    StringInfoData out;

    initStringInfo(&out);
    for (size_t i = 0; i < lengthof(ops); i++)
        appendStringInfo(&out, "%s%s", i ? ", " : "", ops[i]->name);
    return out.data;
}

void
node_describe_value(StringInfo out, const JsonbValue *value)
{
    char *text = json_scalar_text(value);

    if (text == NULL)
        appendStringInfoString(out, "null");
    else if (value->type == jbvString)
        appendStringInfo(out, "'%s'", text);
    else
        appendStringInfoString(out, text);
}

void
node_describe_list(StringInfo out, List *texts)
{
    ListCell *lc;

    foreach(lc, texts)
        appendStringInfo(out, "%s%s", lc == list_head(texts) ? "" : ", ", (char *) lfirst(lc));
}
