/*
 * preview.c: the rows a pipeline would load, without loading them.  See preview.h.
 */
#include "postgres.h"

#include "pg/preview.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/tuplestore.h"

#include "pg/archive.h"
#include "pg/cells.h"
#include "pg/compat.h"
#include "pg/fetch.h"
#include "pg/link.h"
#include "pg/node.h"
#include "pg/probe.h"
#include "pg/settings.h"

extern PGDLLEXPORT Datum kaireon_preview_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_preview_pipeline);

/* ---- rows as JSON --------------------------------------------------------------------- */

static void
push_key(JsonbParseState **state, const char *name)
{
    JsonbValue key;

    key.type = jbvString;
    key.val.string.val = unconstify(char *, name);
    key.val.string.len = strlen(name);
    pushJsonbValue(state, WJB_KEY, &key);
}

/* One column as JSON: numbers and booleans as such, the rest as text. */
static void
push_column(JsonbParseState **state, TupleTableSlot *slot, int i)
{
    Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, i);
    JsonbValue value;
    Oid output;
    bool varlena;
    char *text;

    push_key(state, NameStr(att->attname));
    value.type = jbvNull;
    if (slot->tts_isnull[i])
    {
        pushJsonbValue(state, WJB_VALUE, &value);
        return;
    }
    getTypeOutputInfo(att->atttypid, &output, &varlena);
    text = OidOutputFunctionCall(output, slot->tts_values[i]);
    switch (att->atttypid)
    {
        case BOOLOID:
            value.type = jbvBool;
            value.val.boolean = DatumGetBool(slot->tts_values[i]);
            break;
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case NUMERICOID:
        case FLOAT4OID:
        case FLOAT8OID:
            if (strspn(text, "+-0123456789.eE") == strlen(text))
            {
                value.type = jbvNumeric;
                value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
                break;
            }
            /* NaN and infinities are text in JSON */
            /* FALLTHROUGH */
        default:
            value.type = jbvString;
            value.val.string.val = text;
            value.val.string.len = strlen(text);
    }
    pushJsonbValue(state, WJB_VALUE, &value);
}

/* ---- the sink --------------------------------------------------------------------------- */

/* What rows go to: those of a target, or of lanes that end without one. */
typedef struct PreviewSink
{
    RowSink sink;            /* first, so that a sink is its preview's */
    Preview *preview;
    const GraphNode *target; /* or NULL */
    MemoryContext context;
    const StageLane *lane;   /* that last asked for a slot, and that slot */
    TupleTableSlot *slot;
} PreviewSink;

static void
preview_begin(RowSink *sink, const Rows *rows)
{
}

static void
preview_flush(RowSink *sink)
{
}

static TupleTableSlot *
preview_next(RowSink *sink, const StageLane *lane)
{
    PreviewSink *preview = (PreviewSink *) sink;

    preview->lane = lane;
    if (preview->slot == NULL || preview->slot->tts_tupleDescriptor != lane->desc)
    {
        MemoryContext old = MemoryContextSwitchTo(preview->context);

        preview->slot = MakeSingleTupleTableSlot(lane->desc, &TTSOpsVirtual);
        MemoryContextSwitchTo(old);
    }
    return preview->slot;
}

/* Are the sink's rows those that are looked for? */
static bool
is_shown(const PreviewSink *sink)
{
    const GraphNode *shown = sink->preview->input->shown;

    return shown == NULL || (sink->target ? sink->target == shown : sink->lane->lane->steps[sink->lane->lane->nsteps - 1].node == shown);
}

static void
preview_accept(RowSink *sink, int row)
{
    PreviewSink *at = (PreviewSink *) sink;
    Preview *preview = at->preview;
    JsonbParseState *state = NULL;
    JsonbValue *object, id;
    Datum value;
    bool null = false;

    if (preview->left <= 0 || !is_shown(at))
        return;
    preview->left--;
    if (preview->result == NULL)
        return;
    slot_getallattrs(at->slot);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    for (int i = 0; i < at->slot->tts_tupleDescriptor->natts; i++)
        push_column(&state, at->slot, i);
    if (preview->program->ntargets > 1 && preview->input->shown == NULL)
    {
        push_key(&state, "_target");
        id.type = jbvString;
        id.val.string.val = at->target->id;
        id.val.string.len = strlen(at->target->id);
        pushJsonbValue(&state, WJB_VALUE, &id);
    }
    object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
    value = JsonbPGetDatum(JsonbValueToJsonb(object));
    tuplestore_putvalues(preview->result->setResult, preview->result->setDesc, &value, &null);
}

/* ---- reading ------------------------------------------------------------------------------ */

static RowSink **
make_sinks(Preview *preview)
{
    int ntargets = preview->program->ntargets;
    RowSink **sinks = palloc(sizeof(RowSink *) * (ntargets + 1));

    for (int i = 0; i <= ntargets; i++)
    {
        PreviewSink *sink = palloc0(sizeof(PreviewSink));

        sink->sink = (RowSink) {preview_begin, preview_next, preview_accept, preview_flush};
        sink->preview = preview;
        sink->target = i < ntargets ? preview->program->targets[i].node : NULL;
        sink->context = CurrentMemoryContext;
        sinks[i] = &sink->sink;
    }
    return sinks;
}

/* A set node would want all rows before it gives the first: a preview that shows rows gives it so many of each source. */
#define SAMPLE_ROWS 10000

static bool
has_sets(const Program *program)
{
    for (int i = 0; i < program->nstages; i++)
    {
        if (program->stages[i].set)
            return true;
    }
    return false;
}

/* Reads a source until there are enough rows or it ends. */
static void
read_from(Preview *preview, Execution *execution, int number)
{
    const ProgramSource *source = &preview->program->sources[number];
    const ConnectorSpec *connector = source->connector ? source->connector : &preview->spec->connector;
    FetchLimits limits = {preview->result && has_sets(preview->program) ? SAMPLE_ROWS : 0, 0, false};
    int64 rows = 0;
    Link *link = link_open();
    Cells *cells = cells_create(source, false);
    bool *present = palloc0(sizeof(bool) * Max(source->ncolumns, 1));
    FetchObject *split = NULL;
    LinkMessage message;
    List *files;

    files = archive_leave_out(preview->program->graph, source->node, fetch_list_now(link, connector, source->node));
    fetch_read(link, connector, source, files, &limits);
    while (preview->left > 0 && link_receive(link, &message, true) && message.type != WIRE_END)
    {
        if (message.type == WIRE_SPLIT)
            split = fetch_split(&message, source->ncolumns, present);
        if (message.type != WIRE_BATCH || split == NULL)
            continue;
        cells_load(cells, message.body, message.length);
        rows += cells->nrows + cells->batch.header->nrejects;
        execution_batch(execution, number, cells, split, present);
    }
    link_close(link);
    if (limits.rows > 0 && rows >= limits.rows)
        ereport(NOTICE, (errmsg("only the first " INT64_FORMAT " rows of node \"%s\" are looked at", limits.rows, source->node->id),
                         errdetail("What a node makes of many rows is shown for these.")));
}

/* So many rows of a set node are looked at before there is another look at whether there are enough: all that a later one needs. */
static int64
rows_wanted(const Preview *preview, int stage)
{
    for (int i = stage + 1; i < preview->program->nstages; i++)
    {
        if (preview->program->stages[i].set)
            return PG_INT64_MAX;
    }
    return preview->left;
}

/* The rows of a set node, until there are enough. */
static void
read_set(Preview *preview, Execution *execution, int stage)
{
    bool more = true;

    while (preview->left > 0 && more)
    {
        more = execution_ask(execution, stage, rows_wanted(preview, stage));
        while (preview->left > 0 && execution_set(execution, stage))
            CHECK_FOR_INTERRUPTS();
    }
}

static void
read_sources(Preview *preview)
{
    Execution *execution;

    preview->rejects = rejects_create(preview->spec->name, preview->program, NULL);
    execution = execution_create(preview->input, preview->program, preview->rejects, make_sinks(preview), NULL);
    for (int i = 0; i < preview->program->nstages && preview->left > 0; i++)
    {
        const ProgramStage *stage = &preview->program->stages[i];

        if (stage->source)
            read_from(preview, execution, stage->source - preview->program->sources);
        else
            read_set(preview, execution, i);
    }
    execution_end(execution);
    preview->counts = execution_counts(execution);
}

void
preview_read(Preview *preview)
{
    RightsScope scope = inspect_as(preview->spec->owner);

    settings_fix_level();
    rights_require_runnable(preview->spec, preview->input->graph);
    read_sources(preview);
    rights_resume(scope);
}

/* ---- what is shown -------------------------------------------------------------------------- */

/* So many fields of a source are shown; those that nodes use come in any case. */
#define SHOWN_FIELDS 800

static List *
fields_of(const FetchObject *file)
{
    Jsonb *dialect = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(file->dialect)));
    List *fields = probe_readable(json_get_texts(&dialect->root, "fields"));

    if (list_length(fields) > SHOWN_FIELDS)
        ereport(NOTICE, (errmsg("file \"%s\" has %d fields, of which the first %d and those that are used are shown", file->path, list_length(fields), SHOWN_FIELDS)));
    return list_truncate(fields, SHOWN_FIELDS);
}

/* Of each source in front of the node, the fields of its first file. */
static List **
find_fields(const Inspected *inspected, const GraphNode *shown)
{
    const Program *program = inspected->program;
    List **fields = palloc0(sizeof(List *) * program->graph->nnodes);
    RightsScope scope = inspect_as(inspected->spec->owner);

    settings_fix_level();
    rights_require_runnable(inspected->spec, inspected->input.graph);
    for (int i = 0; i < program->nsources; i++)
    {
        const ProgramSource *source = &program->sources[i];
        Link *link;
        FetchObject *file;

        if (!graph_leads_to(program->graph, source->node, shown))
            continue;
        link = link_open();
        file = fetch_describe(link, source->connector ? source->connector : &inspected->spec->connector, source->node, NULL);
        if (file)
            fields[source->node->ordinal] = fields_of(file);
        link_close(link);
    }
    rights_resume(scope);
    return fields;
}

/* Rows that are not shown because they are bad, among those that were looked at. */
static void
say_rejects(const Rejects *rejects)
{
    const Reject *first = NULL;
    ListCell *lc;

    foreach(lc, rejects->kept)
    {
        if (first == NULL && ((const Reject *) lfirst(lc))->kind != REJECT_WARNS)
            first = lfirst(lc);
    }
    if (rejects->count > 0)
        ereport(NOTICE, (errmsg("left out " INT64_FORMAT " bad row%s of those looked at", rejects->count, rejects->count == 1 ? "" : "s"),
                         first ? errdetail("The first, at node \"%s\": %s. %s.", first->node->id, first->reason, reject_place(first)) : 0,
                         errhint("What a run does with bad rows, \"validation\", \"errorHandling\" and \"onFail\" say.")));
}

/* The node of an id; raises 42704. */
static const GraphNode *
find_node(const Graph *graph, const char *id)
{
    StringInfoData ids;

    initStringInfo(&ids);
    for (int i = 0; i < graph->nnodes; i++)
    {
        if (strcmp(graph->nodes[i].id, id) == 0)
            return &graph->nodes[i];
        appendStringInfo(&ids, "%s%s", i ? ", " : "", graph->nodes[i].id);
    }
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the pipeline has no node \"%s\"", id),
                    errdetail("Rows are shown as they are behind a node."), errhint("Its nodes are: %s.", ids.data)));
}

Datum
kaireon_preview_pipeline(PG_FUNCTION_ARGS)
{
    Inspected *inspected;
    Preview preview = {0};

    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        return (Datum) 0;
    inspected = inspect_load(text_to_cstring(PG_GETARG_TEXT_PP(0)), true);
    preview.spec = inspected->spec;
    preview.input = &inspected->input;
    preview.program = inspected->program;
    preview.result = (ReturnSetInfo *) fcinfo->resultinfo;
    preview.left = PG_GETARG_INT32(1);
    if (preview.left < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be at least 1"),
                        errdetail("It is %d.", PG_GETARG_INT32(1)), errhint("Leave it out for 20 rows.")));
    if (!PG_ARGISNULL(2))
    {
        const GraphNode *shown = find_node(inspected->input.graph, text_to_cstring(PG_GETARG_TEXT_PP(2)));

        if (shown->op->kind != NODE_TARGET)
            inspected->input.fields = find_fields(inspected, shown);
        preview.program = inspect_shown(inspected, shown);
    }
    preview_read(&preview);
    say_rejects(preview.rejects);
    return (Datum) 0;
}
