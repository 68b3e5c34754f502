/*
 * rights.c: acting as another role, and what a pipeline's owner must be allowed.  See rights.h.
 */
#include "postgres.h"

#include "pg/rights.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "pg/json.h"
#include "pg/node.h"
#include "pg/target.h"

RightsScope
rights_assume(Oid role, int flags)
{
    RightsScope scope;

    scope.guc_level = NewGUCNestLevel();
    scope.read_only = XactReadOnly;
    GetUserIdAndSecContext(&scope.user, &scope.sec_context);
    SetUserIdAndSecContext(role, scope.sec_context | SECURITY_LOCAL_USERID_CHANGE | flags);
    return scope;
}

void
rights_resume(RightsScope scope)
{
    SetUserIdAndSecContext(scope.user, scope.sec_context);
    AtEOXact_GUC(false, scope.guc_level);
    XactReadOnly = scope.read_only;
}

/* The schemas that targets name, as text[]; or of upserts, with '' for the pipeline's own. */
static Datum
target_schemas(const Graph *graph, bool upserts)
{
    int count = 0;
    Datum *names = palloc(sizeof(Datum) * (graph ? graph->nnodes + 1 : 1));

    for (int i = 0; graph && i < graph->nnodes; i++)
    {
        const GraphNode *node = &graph->nodes[i];
        char *name;

        if (node->op->kind != NODE_TARGET || node->wrong_config || (upserts && !target_updates(node)))
            continue;
        name = json_get_text(node->config, "schema");
        if (name || upserts)
            names[count++] = CStringGetTextDatum(name ? name : "");
    }
    return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

void
rights_require_runnable(const PipelineSpec *spec, const Graph *graph)
{
    Oid types[] = {UUIDOID, OIDOID, TEXTARRAYOID, TEXTARRAYOID};
    CatalogScope scope = catalog_begin();
    Datum values[] = {UUIDPGetDatum(&spec->id), ObjectIdGetDatum(scope.user), target_schemas(graph, false), target_schemas(graph, true)};

    catalog_execute("SELECT kaireon_internal.require_runnable($1, $2::regrole, $3, $4)", 4, types, values, NULL, SPI_OK_SELECT);
    catalog_end(scope);
}

void
rights_find_obstacles(Oid owner, const pg_uuid_t *connector_id, const pg_uuid_t *schema_id, const Graph *graph, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {OIDOID, UUIDOID, UUIDOID, TEXTARRAYOID, TEXTARRAYOID};
    Datum values[] = {ObjectIdGetDatum(owner), UUIDPGetDatum(connector_id), UUIDPGetDatum(schema_id), target_schemas(graph, false),
                      target_schemas(graph, true)};
    uint64 count = catalog_execute("SELECT o.message, o.hint, o.code FROM kaireon_internal.find_obstacles($1::regrole, $2, $3, $4, $5) o",
                                   5, types, values, NULL, SPI_OK_SELECT);

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
