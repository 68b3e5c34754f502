/*
 * select_fields.c: the key "selectFields" of joins.  See select_fields.h.
 */
#include "postgres.h"

#include "pg/select_fields.h"

#include "pg/json.h"

static int
count_entries(const GraphNode *node)
{
    JsonbContainer *list = json_get_container(node->config, "selectFields");

    return list && JsonContainerIsArray(list) ? JsonContainerSize(list) : 0;
}

static JsonbValue *
get_entry(const GraphNode *node, int i)
{
    return getIthJsonbValueFromContainer(json_get_container(node->config, "selectFields"), i);
}

static bool
is_object(const JsonbValue *entry)
{
    return entry->type == jbvBinary && JsonContainerIsObject(entry->val.binary.data);
}

void
select_fields_check(const GraphNode *node, List **findings)
{
    static const JsonKey keys[] = {{"field", JSON_STRING, true, NULL}, {"alias", JSON_STRING, false, NULL}, {NULL, 0, false, NULL}};
    GraphComplaint complaint = {findings, node->id};

    for (int i = 0; i < count_entries(node); i++)
    {
        JsonbValue *entry = get_entry(node, i);
        char *name = psprintf("entry %d of \"selectFields\"", i + 1);

        if (is_object(entry))
            json_check(entry->val.binary.data, keys, name, graph_complain_config, &complaint);
        else if (entry->type != jbvString)
            graph_complain(findings, node->id, "wrong_type", "For example \"name\" or {\"field\": \"name\", \"alias\": \"customer\"}.",
                           "%s must be a field's name or an object", name);
    }
}

List *
select_fields(const GraphNode *node)
{
    List *fields = NIL;

    for (int i = 0; i < count_entries(node); i++)
    {
        JsonbValue *entry = get_entry(node, i);
        SelectedField *selected = palloc0(sizeof(SelectedField));

        if (entry->type == jbvString)
            selected->field = selected->alias = json_scalar_text(entry);
        else if (is_object(entry))
        {
            selected->field = json_get_text(entry->val.binary.data, "field");
            selected->alias = json_get_text(entry->val.binary.data, "alias");
            if (selected->alias == NULL)
                selected->alias = selected->field;
        }
        if (selected->field)
            fields = lappend(fields, selected);
    }
    return fields;
}

void
select_fields_describe(StringInfo out, const GraphNode *node)
{
    List *fields = select_fields(node);
    ListCell *lc;

    foreach(lc, fields)
    {
        const SelectedField *selected = lfirst(lc);

        appendStringInfo(out, "%s%s", lc == list_head(fields) ? "" : ", ", selected->field);
        if (strcmp(selected->field, selected->alias) != 0)
            appendStringInfo(out, " as %s", selected->alias);
    }
}
