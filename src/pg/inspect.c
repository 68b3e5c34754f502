/*
 * inspect.c: looking at a pipeline without reading anything: what is wrong with
 * it, and its drawing.  See inspect.h; preview.c and explain.c read.
 */
#include "postgres.h"

#include "pg/inspect.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "pg/ability.h"
#include "pg/archive.h"
#include "pg/commit_policy.h"
#include "pg/diagram.h"
#include "pg/execution_config.h"
#include "pg/json.h"
#include "pg/replace.h"
#include "pg/target.h"

extern PGDLLEXPORT Datum kaireon_check_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_check_pipeline);
extern PGDLLEXPORT Datum kaireon_validate_pipeline(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_validate_pipeline);
extern PGDLLEXPORT Datum kaireon_pipeline_diagram(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(kaireon_pipeline_diagram);

/* ---- validation --------------------------------------------------------------- */

RightsScope
inspect_as(Oid owner)
{
    RightsScope scope = rights_assume(owner, SECURITY_RESTRICTED_OPERATION);

    XactReadOnly = true;         /* the setting behind it can't be saved and restored since 18 */
    return scope;
}

static Program *
compile_as(Oid owner, const CompileInput *input, List **findings)
{
    RightsScope scope = inspect_as(owner);
    Program *program = compile_program(input, NULL, findings);

    rights_resume(scope);
    return program;
}

/* Nothing comes of a pipeline whose source no reader knows. */
/* Its type; NULL: there is no such connector. */
static char *
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
    return type;
}

/* What replaces all rows of a table needs a right of its own, which depends on the table. */
static void
check_refreshes(Oid owner, const Program *program, List **findings)
{
    RightsScope scope = inspect_as(owner);

    for (int i = 0; i < program->ntargets; i++)
    {
        const ProgramTarget *target = &program->targets[i];

        if (target->schema && target_is_full_refresh(target->strategy))
            replace_check(target, findings);
    }
    rights_resume(scope);
}

/* A connector that is not the owner's is not looked at. */
static void
check_abilities(Oid owner, const Graph *graph, const char *type, List **findings)
{
    RightsScope scope = inspect_as(owner);

    ability_check(graph, type, findings);
    rights_resume(scope);
}

/* What is wrong with a pipeline of that owner. */
static List *
find_problems(Oid owner, const pg_uuid_t *connector_id, const pg_uuid_t *schema_id, Jsonb *nodes, Jsonb *edges, Jsonb *config)
{
    List *findings = NIL, *obstacles = NIL, *drift = NIL;
    SchemaSpec schema = {0};
    CompileInput input = {.schema = &schema};
    ErrorPolicy errors;
    Program *program;
    char *type = check_connector_type(connector_id, &findings);

    execution_config_check(config, &findings);
    input.graph = graph_mend(nodes, edges, &findings);
    if (input.graph == NULL)
        return findings;
    check_abilities(owner, input.graph, type, &findings);
    commit_policy_check(config, input.graph, &findings);
    archive_check_shared(input.graph, &findings);
    if (!catalog_load_schema(schema_id, true, &schema, &drift))
    {
        graph_complain(&findings, NULL, "missing_schema", "See the view kaireon.schemas for those there are.", "the schema does not exist or has no fields");
        return findings;
    }
    findings = list_concat(findings, drift);
    rights_find_obstacles(owner, connector_id, schema_id, input.graph, &obstacles);
    /* fields that are not there would be missed at the nodes; and compiling can run the table's code */
    if (!graph_has_errors(drift) && !(superuser_arg(owner) && obstacles != NIL))
    {
        if (JB_ROOT_IS_OBJECT(config))
        {
            errors = execution_config_errors(config);
            input.fallback = error_policy_validation(&errors);
        }
        program = compile_as(owner, &input, &findings);
        if (program)
            check_refreshes(owner, program, &findings);
    }
    return list_concat(findings, obstacles);
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
    bool fresh;

    if (!catalog_find_pipeline(name, id, &owner, &fresh))
        catalog_no_pipeline(name);
    if (!catalog_may_act(GetUserId(), owner) && (data || !catalog_is_operator(GetUserId())))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for pipeline \"%s\"", name),
                        data ? errdetail("It reads with its owner's rights what its owner may see.")
                             : errdetail("It is another role's, and you are no operator."),
                        data ? errhint("Its owner may look at its data.")
                             : errhint("Its owner and members of kaireon_operator may look at it.")));
    return owner;
}

/* A pipeline may be made by a role that can't log in, but does not run as it. */
static void
check_login(Oid owner, List **findings)
{
    HeapTuple tuple = COMPAT_OWNER_NEEDS_LOGIN ? SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner)) : NULL;

    if (!HeapTupleIsValid(tuple))
        return;
    if (!((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin)
        graph_complain(findings, NULL, "permission_denied",
                       psprintf("ALTER ROLE %s LOGIN, or give the pipeline to another role with kaireon.change_owner.",
                                quote_identifier(GetUserNameFromId(owner, false))), "the pipeline's owner is not permitted to log in");
    ReleaseSysCache(tuple);
}

/* What a query finds of what a pipeline's runs have left, and its nodes, $2, do not go with any more. */
static void
check_state(const pg_uuid_t *pipeline, Jsonb *nodes, const char *query, const char *severity, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    Oid types[] = {UUIDOID, JSONBOID};
    Datum values[] = {UUIDPGetDatum(pipeline), JsonbPGetDatum(nodes)};
    CatalogScope scope = catalog_begin();
    uint64 count = catalog_execute(query, 2, types, values, NULL, SPI_OK_SELECT);

    for (uint64 i = 0; i < count; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        MemoryContext old = MemoryContextSwitchTo(context);

        graph_complain(findings, SPI_getvalue(row, desc, 1), "unused_state", SPI_getvalue(row, desc, 3), "%s", SPI_getvalue(row, desc, 2));
        ((Finding *) llast(*findings))->severity = severity;
        MemoryContextSwitchTo(old);
    }
    catalog_end(scope);
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
    check_login(owner, &findings);
    check_state(&id, documents[0], "SELECT node_id, message, hint FROM kaireon_internal.find_unused_marks($1, $2)", "error", &findings);
    check_state(&id, documents[0], "SELECT node_id, message, hint FROM kaireon_internal.find_unread_claims($1, $2)", "warning", &findings);
    return_findings(fcinfo, findings, false);
    return (Datum) 0;
}

static Graph *
parse_graph(const PipelineSpec *spec)
{
    List *findings = NIL;
    Graph *graph = graph_parse(spec->nodes, spec->edges, &findings);

    if (graph == NULL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", ((Finding *) linitial(findings))->message),
                        errdetail("The pipeline was saved by another version of kaireon."),
                        errhint("kaireon.validate_pipeline says all that is wrong with it.")));
    return graph;
}

Inspected *
inspect_load(const char *name, bool data)
{
    Inspected *inspected = palloc0(sizeof(Inspected));
    pg_uuid_t id;

    (void) find_visible(name, &id, data);
    inspected->spec = catalog_load_pipeline(&id, 0);
    if (inspected->spec == NULL)
        catalog_no_pipeline(name);
    inspected->input.graph = parse_graph(inspected->spec);
    inspected->input.schema = &inspected->spec->schema;
    inspected->input.fallback = error_policy_validation(&inspected->spec->errors);
    if (superuser_arg(inspected->spec->owner)) /* compiling can run the table's code */
    {
        RightsScope scope = inspect_as(inspected->spec->owner);

        rights_require_runnable(inspected->spec, inspected->input.graph);
        rights_resume(scope);
    }
    inspected->program = compile_as(inspected->spec->owner, &inspected->input, NULL);
    return inspected;
}

Program *
inspect_shown(Inspected *inspected, const GraphNode *node)
{
    inspected->input.shown = node;
    return compile_as(inspected->spec->owner, &inspected->input, NULL);
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

    (void) find_visible(name, &id, false);
    spec = catalog_load_pipeline(&id, 0);
    if (spec == NULL)
        catalog_no_pipeline(name);
    graph = parse_graph(spec);
    PG_RETURN_TEXT_P(cstring_to_text(diagram_draw(graph, text_to_cstring(PG_GETARG_TEXT_PP(1)), last_counts(&id, graph))));
}
