/*
 * lineage.c: which source columns and nodes made a field.  See lineage.h.
 */
#include "postgres.h"

#include "pg/lineage.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "pg/catalog.h"
#include "pg/inspect.h"
#include "pg/node.h"

extern PGDLLEXPORT Datum kaireon_pipeline_columns(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_pipeline_columns);

List *
lineage_of_column(const GraphNode *node, const char *schema, const char *column)
{
    Origin *origin = palloc0(sizeof(Origin));

    origin->node = node;
    origin->schema = schema ? pstrdup(schema) : NULL;
    origin->column = pstrdup(column);
    return list_make1(origin);
}

char *
lineage_summary(const char *collection)
{
    /* no schema's name has a blank in it */
    return psprintf("%s summary", collection);
}

List *
lineage_of_nothing(void)
{
    return list_make1(palloc0(sizeof(Origin)));
}

/* One node looks up one table, so schemas need not be compared. */
static bool
same_place(const Origin *a, const Origin *b)
{
    return a->node == b->node && (a->node == NULL || strcmp(a->column, b->column) == 0);
}

List *
lineage_add(List *origins, const List *more)
{
    ListCell *lc, *other;

    foreach(lc, more)
    {
        Origin *added = lfirst(lc);

        foreach(other, origins)
        {
            Origin *known = lfirst(other);

            if (!same_place(known, added))
                continue;
            added = palloc(sizeof(Origin));
            *added = *known;
            added->made_by = bms_union(known->made_by, ((Origin *) lfirst(lc))->made_by);
            lfirst(other) = added;
            break;
        }
        if (other == NULL)
            origins = lappend(origins, added);
    }
    return origins;
}

List *
lineage_made(const List *origins, const GraphNode *node)
{
    List *made = NIL;
    ListCell *lc;

    foreach(lc, origins ? origins : lineage_of_nothing())
    {
        Origin *origin = palloc(sizeof(Origin));

        *origin = *(Origin *) lfirst(lc);
        origin->made_by = bms_add_member(bms_copy(origin->made_by), node->ordinal);
        made = lappend(made, origin);
    }
    return made;
}

/* ---- pipeline_columns ----------------------------------------------------------------- */

/* The nodes' ids, or what they do, as text[]. */
static Datum
nodes_array(const Graph *graph, const Bitmapset *nodes, bool describe)
{
    Datum *values = palloc(sizeof(Datum) * (graph->nnodes + 1));
    int count = 0, ordinal = -1;

    while ((ordinal = bms_next_member(nodes, ordinal)) >= 0)
    {
        const GraphNode *node = &graph->nodes[ordinal];
        StringInfoData text;

        initStringInfo(&text);
        if (describe)
            node->op->describe(node, &text);
        values[count++] = CStringGetTextDatum(describe ? text.data : node->id);
    }
    return PointerGetDatum(construct_array(values, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
put_text(Datum *value, bool *null, const char *text)
{
    *null = text == NULL;
    if (text)
        *value = CStringGetTextDatum(text);
}

static void
put_origin(ReturnSetInfo *result, const Graph *graph, const ProgramTarget *target, int place, const Origin *origin)
{
    Datum values[8];
    bool nulls[8] = {0};

    put_text(&values[0], &nulls[0], target->node->id);
    put_text(&values[1], &nulls[1], target->schema->name);
    put_text(&values[2], &nulls[2], target->schema->fields[place].name);
    put_text(&values[3], &nulls[3], origin->node ? origin->node->id : NULL);
    put_text(&values[4], &nulls[4], origin->schema);
    put_text(&values[5], &nulls[5], origin->column);
    values[6] = nodes_array(graph, origin->made_by, false);
    values[7] = nodes_array(graph, origin->made_by, true);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* A column of a summary table: of which column of the collection's it is made, and how. */
static void
put_summary(ReturnSetInfo *result, const ProgramSummary *summary, const SummaryField *field)
{
    char *how = field->is_key ? "key" : psprintf("%s of %s", field->function, field->source ? field->source : "rows");
    Datum id = CStringGetTextDatum(summary->node->id), step = CStringGetTextDatum(how);
    Datum values[8] = {id, CStringGetTextDatum(lineage_summary(summary->collection)), CStringGetTextDatum(field->name), id,
                       CStringGetTextDatum(summary->collection)};
    bool nulls[8] = {0};

    put_text(&values[5], &nulls[5], field->is_key ? field->name : field->source);
    values[6] = PointerGetDatum(construct_array(&id, 1, TEXTOID, -1, false, TYPALIGN_INT));
    values[7] = PointerGetDatum(construct_array(&step, 1, TEXTOID, -1, false, TYPALIGN_INT));
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
kaireon_pipeline_columns(PG_FUNCTION_ARGS)
{
    const Program *program = inspect_load(text_to_cstring(PG_GETARG_TEXT_PP(0)), false)->program;
    ListCell *lc;

    InitMaterializedSRF(fcinfo, 0);
    for (int t = 0; t < program->ntargets; t++)
    {
        const ProgramTarget *target = &program->targets[t];

        for (int i = 0; i < target->schema->nfields; i++)
        {
            foreach(lc, target->origins[i])
                put_origin((ReturnSetInfo *) fcinfo->resultinfo, program->graph, target, i, lfirst(lc));
        }
    }
    for (int i = 0; i < program->nsummaries; i++)
    {
        foreach(lc, program->summaries[i].fields)
            put_summary((ReturnSetInfo *) fcinfo->resultinfo, &program->summaries[i], lfirst(lc));
    }
    return (Datum) 0;
}
