/*
 * inspect.c: the functions of kaireon that look at a pipeline without loading:
 * validate, preview, explain, diagram.
 *
 * A preview reads through a reader of its own, in the calling session, with
 * the pipeline owner's rights, and stops as soon as it has enough rows.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/catalog.h"
#include "pg/cells.h"
#include "pg/compat.h"
#include "pg/compile.h"
#include "pg/diagram.h"
#include "pg/errors.h"
#include "pg/fetch.h"
#include "pg/json.h"
#include "pg/rights.h"
#include "pg/settings.h"
#include "pg/stage.h"

extern PGDLLEXPORT Datum kaireon_check_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_check_pipeline);
extern PGDLLEXPORT Datum kaireon_validate_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_validate_pipeline);
extern PGDLLEXPORT Datum kaireon_preview_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_preview_pipeline);
extern PGDLLEXPORT Datum kaireon_explain_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_explain_pipeline);
extern PGDLLEXPORT Datum kaireon_pipeline_diagram(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_pipeline_diagram);

/* ---- validation --------------------------------------------------------------- */

static void
complain_execution(void *arg, const char *code, const char *message, const char *hint)
{
    graph_complain(arg, NULL, code, hint, "%s", message);
}

static void
check_execution(Jsonb *config, List **findings)
{
    static const char *const modes[] = {"batch", NULL};
    static const char *const handling[] = {"fail", "skip", NULL};
    static const JsonKey keys[] = {
        {"mode", JSON_STRING, false, modes}, {"batchSize", JSON_NUMBER, false, NULL},
        {"errorHandling", JSON_STRING, false, handling}, {"parallelism", JSON_NUMBER, false, NULL}, {NULL, 0, false, NULL}};
    int64 batch;

    if (!JB_ROOT_IS_OBJECT(config))
    {
        graph_complain(findings, NULL, "wrong_type", NULL, "execution_config must be an object");
        return;
    }
    if (!json_check(&config->root, keys, "execution_config", complain_execution, findings))
        return;
    batch = json_get_int(&config->root, "batchSize", 10000);
    if (batch < 1 || batch > 1000000)
        graph_complain(findings, NULL, "wrong_value", "Valid values are 1 to 1000000.", "batchSize " INT64_FORMAT " is out of range", batch);
    if (json_get_int(&config->root, "parallelism", 1) != 1)
        graph_complain(findings, NULL, "wrong_value", "Leave it out.", "parallelism other than 1 is not supported in this version");
}

/* The target node may repeat the pipeline's schema, also by a name it had before; another one would be a surprise. */
static void
check_target_schema(const Graph *graph, const pg_uuid_t *schema_id, List **findings)
{
    const GraphNode *target = &graph->nodes[graph->nnodes - 1];
    char *named = json_get_text(target->config, "schema");
    CatalogScope scope;
    Oid types[] = {UUIDOID, TEXTOID};
    Datum values[2];
    char *name = NULL;

    if (named == NULL)
        return;
    values[0] = UUIDPGetDatum(schema_id);
    values[1] = CStringGetTextDatum(named);
    scope = catalog_begin();
    if (catalog_execute("SELECT name FROM kaireon_internal.schema WHERE id = $1 AND $2 <> ALL (name || former_names)", 2, types, values, NULL,
                        SPI_OK_SELECT) == 1)
        name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (name)
    {
        MemoryContext inner = MemoryContextSwitchTo(GetMemoryChunkContext(named));

        graph_complain(findings, target->id, "wrong_value", NULL, "the target's schema is \"%s\", but the pipeline's is \"%s\"", named, name);
        MemoryContextSwitchTo(inner);
    }
    catalog_end(scope);
}

/*
 * Compiling lets PostgreSQL parse and plan what somebody wrote, which can run
 * code (types of literals, constants): so it happens with the rights of the
 * pipeline's owner, whoever looks; nothing it could SET stays, and it can't
 * write or make anything in a session that is not his.
 */
static RightsScope
look_as(Oid owner)
{
    RightsScope scope = rights_assume(owner, SECURITY_RESTRICTED_OPERATION);

    (void) set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    return scope;
}

static Program *
compile_as(Oid role, Graph *graph, const PipelineSpec *spec, List **findings)
{
    RightsScope scope = look_as(role);
    Program *program;

    program = compile_program(graph, spec->relid, spec->fields, spec->nfields,
                              spec->error_skip ? VALIDATION_SKIP : VALIDATION_STRICT, NULL, findings);
    rights_resume(scope);
    return program;
}

/* Nothing comes of a pipeline whose source no reader knows. */
static void
check_connector_type(const pg_uuid_t *connector_id, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(connector_id)};
    char *type = NULL, *ready;

    if (catalog_execute("SELECT type FROM kaireon_internal.connector WHERE id = $1", 1, types, values, NULL, SPI_OK_SELECT) == 1)
        type = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
    catalog_end(scope);
    if (type && !catalog_type_ready(type, &ready))
        graph_complain(findings, NULL, "connector_not_ready", psprintf("Types that can be read: %s.", ready),
                       "connectors of type \"%s\" can't be read in this version", type);
}

/* What is wrong with a pipeline of that owner. */
static List *
find_problems(Oid owner, const pg_uuid_t *connector_id, const pg_uuid_t *schema_id, Jsonb *nodes, Jsonb *edges, Jsonb *config)
{
    List *findings = NIL;
    Graph *graph;
    PipelineSpec spec = {0};
    char *handling;

    check_connector_type(connector_id, &findings);
    check_execution(config, &findings);
    graph = graph_parse(nodes, edges, &findings);
    if (graph == NULL)
        return findings;
    check_target_schema(graph, schema_id, &findings);
    if (!catalog_load_fields(schema_id, &spec.relid, &spec.fields, &spec.nfields, &findings))
    {
        graph_complain(&findings, NULL, "missing_schema", NULL, "the schema does not exist or has no fields");
        return findings;
    }
    if (graph_has_errors(findings))
        return findings;
    handling = json_get_text(&config->root, "errorHandling");
    spec.error_skip = handling && strcmp(handling, "skip") == 0;
    (void) compile_as(owner, graph, &spec, &findings);
    return findings;
}

/* What the owner is not allowed, which would keep a run from beginning. */
static void
add_obstacles(const pg_uuid_t *id, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(id)};
    uint64 count = catalog_execute("SELECT o.message, o.hint, o.code FROM kaireon_internal.pipeline p, "
                                   "kaireon_internal.find_obstacles(p.owner, p.connector_id, p.schema_id) o WHERE p.id = $1",
                                   1, types, values, NULL, SPI_OK_SELECT);

    for (uint64 i = 0; i < count; i++)
    {
        char *message = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
        char *hint = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
        char *code = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
        MemoryContext old = MemoryContextSwitchTo(context);

        graph_complain(findings, NULL, strcmp(code, "42501") == 0 ? "permission_denied" : "missing_owner", pstrdup(hint), "%s", message);
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
}

static void
return_findings(FunctionCallInfo fcinfo, List *findings, bool with_hint)
{
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    ListCell *lc;

    InitMaterializedSRF(fcinfo, 0);
    foreach(lc, findings)
    {
        Finding *f = lfirst(lc);
        char *message = f->message;
        Datum values[5];
        bool nulls[5] = {0};

        if (!with_hint && f->hint)
            message = psprintf("%s (%s)", f->message, f->hint);
        nulls[0] = f->node_id == NULL;
        if (f->node_id)
            values[0] = CStringGetTextDatum(f->node_id);
        values[1] = CStringGetTextDatum(f->severity);
        values[2] = CStringGetTextDatum(f->code);
        values[3] = CStringGetTextDatum(message);
        nulls[4] = f->hint == NULL;
        if (f->hint)
            values[4] = CStringGetTextDatum(f->hint);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
}

/* check_pipeline(caller, connector_id, schema_id, nodes, edges, execution_config); the extension's owner calls it. */
Datum
kaireon_check_pipeline(PG_FUNCTION_ARGS)
{
    return_findings(fcinfo, find_problems(PG_GETARG_OID(0), PG_GETARG_UUID_P(1), PG_GETARG_UUID_P(2), PG_GETARG_JSONB_P(3),
                                          PG_GETARG_JSONB_P(4), PG_GETARG_JSONB_P(5)), true);
    return (Datum) 0;
}

/* The pipeline of a name that the caller may look at; whoever may not see its data: the owner only, else operators too. */
static Oid
find_visible(const char *name, pg_uuid_t *id, bool data)
{
    Oid owner;
    TransactionId xmin;

    if (!catalog_find_pipeline(name, id, &owner, &xmin))
        catalog_no_pipeline(name);
    if (!catalog_may_act(GetUserId(), owner) && (data || !catalog_is_operator(GetUserId())))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for pipeline \"%s\"", name),
                        data ? errdetail("It reads with its owner's rights what its owner may see.") : 0,
                        data ? errhint("Its owner may look at its data.")
                             : errhint("Its owner and members of kaireon_operator may look at it.")));
    return owner;
}

Datum
kaireon_validate_pipeline(PG_FUNCTION_ARGS)
{
    pg_uuid_t id;
    Oid types[] = {UUIDOID};
    Datum values[1];
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope;
    Jsonb *documents[3];
    pg_uuid_t connector_id, schema_id;
    List *findings;
    Oid owner;
    bool null;

    owner = find_visible(text_to_cstring(PG_GETARG_TEXT_PP(0)), &id, false);
    values[0] = UUIDPGetDatum(&id);
    scope = catalog_begin();
    catalog_execute("SELECT v.nodes, v.edges, v.execution_config, p.schema_id, p.connector_id FROM kaireon_internal.pipeline p "
                    "JOIN kaireon_internal.pipeline_version v ON v.pipeline_id = p.id AND v.version = p.draft_version WHERE p.id = $1",
                    1, types, values, NULL, SPI_OK_SELECT);
    for (int i = 0; i < 3; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(context);

        documents[i] = (Jsonb *) PG_DETOAST_DATUM_COPY(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &null));
        MemoryContextSwitchTo(old);
    }
    schema_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 4, &null));
    connector_id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5, &null));
    catalog_end(scope);
    findings = find_problems(owner, &connector_id, &schema_id, documents[0], documents[1], documents[2]);
    add_obstacles(&id, &findings);
    return_findings(fcinfo, findings, false);
    return (Datum) 0;
}

/* A pipeline's draft, or what runs, compiled. */
static PipelineSpec *
load_compiled(const char *name, bool data, Graph **graph, Program **program)
{
    pg_uuid_t id;
    PipelineSpec *spec;
    List *findings = NIL;

    (void) find_visible(name, &id, data);
    spec = catalog_load_pipeline(&id, 0);
    if (spec == NULL)
        catalog_no_pipeline(name);
    *graph = graph_parse(spec->nodes, spec->edges, &findings);
    if (*graph == NULL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", ((Finding *) linitial(findings))->message)));
    *program = compile_as(spec->owner, *graph, spec, NULL);
    return spec;
}

/* ---- preview ---------------------------------------------------------------------- */

typedef struct PreviewSink
{
    RowSink sink;
    TupleTableSlot *slot;
    ReturnSetInfo *result;   /* gets the rows; NULL: they are only counted */
    int64 left;              /* rows still wanted */
    int64 taken;
    int64 read;
    Rejects *rejects;
    int64 *filtered_by;      /* by GraphNode.ordinal */
} PreviewSink;

static TupleTableSlot *
preview_next(RowSink *sink)
{
    return ((PreviewSink *) sink)->slot;
}

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

static void
preview_accept(RowSink *sink, int row)
{
    PreviewSink *preview = (PreviewSink *) sink;
    JsonbParseState *state = NULL;
    JsonbValue *object;
    Datum value;
    bool null = false;

    if (preview->left <= 0)
        return;
    preview->left--;
    preview->taken++;
    if (preview->result == NULL)
        return;
    slot_getallattrs(preview->slot);
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
    for (int i = 0; i < preview->slot->tts_tupleDescriptor->natts; i++)
        push_column(&state, preview->slot, i);
    object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
    value = JsonbPGetDatum(JsonbValueToJsonb(object));
    tuplestore_putvalues(preview->result->setResult, preview->result->setDesc, &value, &null);
}

/* Reads until the sink has enough or the source ends; bad rows are counted in sink->rejects. */
static void
preview_rows(const PipelineSpec *spec, const Program *program, PreviewSink *sink)
{
    Link *link = link_open();
    Cells *cells = cells_create(program);
    bool *present = palloc0(sizeof(bool) * Max(program->ncolumns, 1));
    Stage *stage = stage_create(program, NULL);
    FetchObject *split = NULL;
    LinkMessage message;

    sink->rejects = rejects_create(spec->name, program->graph, false, false);
    sink->slot = MakeSingleTupleTableSlot(stage->target_desc, &TTSOpsVirtual);
    fetch_read(link, spec, program, fetch_list(link, spec, program->graph), 0);
    while (sink->left > 0 && link_receive(link, &message, true) && message.type != WIRE_END)
    {
        if (message.type == WIRE_SPLIT)
            split = fetch_split(&message, program->ncolumns, present);
        if (message.type != WIRE_BATCH || split == NULL)
            continue;
        cells_load(cells, message.body, message.length);
        sink->read += cells->nrows + cells->batch.header->nrejects;
        stage_run(stage, cells, sink->rejects, split->path, &sink->sink);
    }
    sink->filtered_by = palloc(sizeof(int64) * program->graph->nnodes);
    memcpy(sink->filtered_by, stage->filtered_by, sizeof(int64) * program->graph->nnodes);
    ExecDropSingleTupleTableSlot(sink->slot);
    stage_destroy(stage);
    link_close(link);
}

/* The same with the owner's rights and nothing more, under a run's settings. */
static void
preview_as_owner(const PipelineSpec *spec, const Program *program, PreviewSink *sink)
{
    RightsScope scope = look_as(spec->owner);

    settings_fix_level();
    rights_require_runnable(&spec->id);
    preview_rows(spec, program, sink);
    rights_resume(scope);
}

Datum
kaireon_preview_pipeline(PG_FUNCTION_ARGS)
{
    Graph *graph;
    Program *program;
    PipelineSpec *spec = load_compiled(text_to_cstring(PG_GETARG_TEXT_PP(0)), true, &graph, &program);
    PreviewSink sink = {.sink = {preview_next, preview_accept}};

    sink.result = (ReturnSetInfo *) fcinfo->resultinfo;
    sink.left = PG_GETARG_INT32(1);
    if (sink.left < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be at least 1")));
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    preview_as_owner(spec, program, &sink);
    return (Datum) 0;
}

/* ---- explain -------------------------------------------------------------------------- */

static void
put_lines(ReturnSetInfo *result, const char *indent, const char *text)
{
    char *copy = pstrdup(text), *save = NULL;

    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
    {
        Datum value = CStringGetTextDatum(psprintf("%s%s", indent, line));
        bool null = false;

        tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
    }
}

static void
put_plan(ReturnSetInfo *result, const Program *program)
{
    Tuplestorestate *empty = tuplestore_begin_heap(false, false, 64);
    QueryEnvironment *env = compile_environment(SOURCE_RELATION, compile_source_desc(program), empty);
    Query *query = compile_analyze(program->sql, env);
    List *rewritten = pg_rewrite_query(query);
    PlannedStmt *plan = pg_plan_query(linitial_node(Query, rewritten), program->sql, 0, NULL);
    ExplainState *es = NewExplainState();
    QueryDesc *desc;

    es->verbose = true;
    es->costs = false;
    desc = CreateQueryDesc(plan, program->sql, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, NULL, env, 0);
    ExecutorStart(desc, EXEC_FLAG_EXPLAIN_ONLY);
    ExplainBeginOutput(es);
    ExplainPrintPlan(es, desc);
    ExplainEndOutput(es);
    ExecutorEnd(desc);
    FreeQueryDesc(desc);
    put_lines(result, "    ", es->str->data);
    tuplestore_end(empty);
}

/* Reads the whole source through the row stage, loads nothing, and says what each node did. */
static void
put_measured(ReturnSetInfo *result, const PipelineSpec *spec, const Program *program)
{
    PreviewSink sink = {.sink = {preview_next, preview_accept}};
    instr_time started, taken;
    int64 rows;

    sink.left = PG_INT64_MAX;
    INSTR_TIME_SET_CURRENT(started);
    preview_as_owner(spec, program, &sink);
    INSTR_TIME_SET_CURRENT(taken);
    INSTR_TIME_SUBTRACT(taken, started);
    put_lines(result, "", "  Measured (read and evaluated, not loaded):");
    rows = sink.read;
    for (int i = 0; i < program->graph->nnodes; i++)
    {
        int64 in = rows;

        rows -= sink.filtered_by[i] + sink.rejects->per_node[i];
        put_lines(result, "    ", psprintf("%s: rows in " INT64_FORMAT ", out " INT64_FORMAT ", rejected " INT64_FORMAT,
                                           program->graph->nodes[i].id, in, rows, sink.rejects->per_node[i]));
    }
    put_lines(result, "    ", psprintf("time: %.3f ms", INSTR_TIME_GET_MILLISEC(taken)));
}

Datum
kaireon_explain_pipeline(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    Graph *graph;
    Program *program;
    PipelineSpec *spec = load_compiled(text_to_cstring(PG_GETARG_TEXT_PP(0)), false, &graph, &program);
    StringInfoData nodes;
    RightsScope scope;

    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    initStringInfo(&nodes);
    for (int i = 0; i < graph->nnodes; i++)
        appendStringInfo(&nodes, "%s%s", i ? " -> " : "", graph->nodes[i].id);
    put_lines(result, "", psprintf("Stage 1 (row stage): %s", nodes.data));
    put_lines(result, "", "  Source columns:");
    for (int i = 0; i < program->ncolumns; i++)
        put_lines(result, "    ", psprintf("%s %s%s", quote_identifier(program->columns[i].name),
                                           format_type_with_typemod(program->columns[i].type, program->columns[i].typmod),
                                           program->columns[i].required ? "" : " (default when the source lacks it)"));
    put_lines(result, "", "  SQL:");
    put_lines(result, "    ", program->sql);
    put_lines(result, "", "  Plan:");
    scope = look_as(spec->owner);
    put_plan(result, program);
    rights_resume(scope);
    if (PG_GETARG_BOOL(1))
        put_measured(result, spec, program);
    return (Datum) 0;
}

/* ---- diagram --------------------------------------------------------------------------- */

static DiagramCounts *
last_counts(const pg_uuid_t *id, const Graph *graph)
{
    DiagramCounts *counts = palloc0(sizeof(DiagramCounts) * graph->nnodes);
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID};
    Datum values[] = {UUIDPGetDatum(id)};
    uint64 rows;
    bool null;

    rows = catalog_execute("SELECT node_id, rows_in, rows_out, rows_rejected FROM kaireon_internal.run_node WHERE run_id = "
                           "(SELECT run_id FROM kaireon_internal.run WHERE pipeline_id = $1 AND status IN ('success', 'partial') "
                           "ORDER BY queued_at DESC LIMIT 1)", 1, types, values, NULL, SPI_OK_SELECT);
    for (uint64 i = 0; i < rows; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        char *node = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);

        for (int n = 0; n < graph->nnodes; n++)
        {
            if (strcmp(graph->nodes[n].id, node) != 0)
                continue;
            counts[n].known = true;
            counts[n].rows_in = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &null));
            counts[n].rows_out = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &null));
            counts[n].rejected = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 4, &null));
        }
    }
    catalog_end(scope);
    return rows > 0 ? counts : NULL;
}

Datum
kaireon_pipeline_diagram(PG_FUNCTION_ARGS)
{
    char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    pg_uuid_t id;
    PipelineSpec *spec;
    Graph *graph;
    List *findings = NIL;

    (void) find_visible(name, &id, false);
    spec = catalog_load_pipeline(&id, 0);
    if (spec == NULL)
        catalog_no_pipeline(name);
    graph = graph_parse(spec->nodes, spec->edges, &findings);
    if (graph == NULL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", ((Finding *) linitial(findings))->message)));
    PG_RETURN_TEXT_P(cstring_to_text(diagram_draw(graph, text_to_cstring(PG_GETARG_TEXT_PP(1)), last_counts(&id, graph))));
}
