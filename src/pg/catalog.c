/*
 * catalog.c: the engine's way to the tables of kaireon_internal.  See catalog.h.
 */
#include "postgres.h"

#include "pg/catalog.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "pg/json.h"
#include "pg/settings.h"

#define CATALOG_SCHEMA "kaireon_internal"

bool
catalog_installed(void)
{
    AcceptInvalidationMessages(); /* since 18 extensions have a cache: one that was dropped while this session waited is in there */
    return OidIsValid(get_extension_oid("kaireon", true)) && OidIsValid(get_namespace_oid(CATALOG_SCHEMA, true));
}

Oid
catalog_table(const char *name)
{
    Oid relid = get_relname_relid(name, get_namespace_oid(CATALOG_SCHEMA, false));

    if (!OidIsValid(relid))
        elog(ERROR, "table %s.%s is missing", CATALOG_SCHEMA, name);
    return relid;
}

Oid
catalog_owner(void)
{
    HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(get_namespace_oid(CATALOG_SCHEMA, false)));
    Oid owner;

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "schema %s is missing", CATALOG_SCHEMA);
    owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
    ReleaseSysCache(tuple);
    return owner;
}

void
catalog_require_primary(const char *function)
{
    if (RecoveryInProgress())
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                        errmsg("cannot execute kaireon.%s on a standby server", function),
                        errdetail("It writes, and a standby can't."), errhint("Call it on the primary.")));
}

void
catalog_require_read_write(const char *what)
{
    if (XactReadOnly)
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute %s in a read-only transaction", what),
                        DefaultXactReadOnly ? errdetail("default_transaction_read_only is on, for this session, its role, its database or the server.")
                                            : errdetail("It writes."),
                        errhint("Call it in a transaction that may write: BEGIN READ WRITE.")));
}

CatalogScope
catalog_begin(void)
{
    CatalogScope scope;

    GetUserIdAndSecContext(&scope.user, &scope.sec_context);
    SetUserIdAndSecContext(catalog_owner(), scope.sec_context | SECURITY_LOCAL_USERID_CHANGE);
    scope.guc_level = NewGUCNestLevel();
    (void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    /* tables of a few rows, which the planner takes for large until they are analyzed: compiling takes longer than the query */
    (void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    if (SPI_connect() != SPI_OK_CONNECT)
        elog(ERROR, "SPI_connect failed");
    return scope;
}

void
catalog_end(CatalogScope scope)
{
    SPI_finish();
    AtEOXact_GUC(true, scope.guc_level);
    SetUserIdAndSecContext(scope.user, scope.sec_context);
}

uint64
catalog_execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls, int expect)
{
    int result = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

    if (result != expect)
        elog(ERROR, "unexpected result of a catalog statement: %s", SPI_result_code_string(result));
    return SPI_processed;
}

/* Copies of the first row's columns, in the context outside SPI. */
static Datum
row_datum(int column, bool *null, MemoryContext context)
{
    Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, null);
    Form_pg_attribute att = TupleDescAttr(SPI_tuptable->tupdesc, column - 1);
    MemoryContext old;

    if (*null)
        return (Datum) 0;
    old = MemoryContextSwitchTo(context);
    value = datumCopy(att->attlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM(value)) : value, att->attbyval, att->attlen);
    MemoryContextSwitchTo(old);
    return value;
}

static char *
row_text(int column, MemoryContext context)
{
    char *text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

    return text ? MemoryContextStrdup(context, text) : NULL;
}

void
catalog_auth(Auth *auth, int n, MemoryContext context)
{
    bool null;
    Datum sealed;

    auth->connector = *DatumGetUUIDP(row_datum(n, &null, context));
    auth->name = row_text(n + 1, context);
    auth->method = row_text(n + 2, context);
    sealed = row_datum(n + 3, &null, context);
    auth->sealed = null ? NULL : DatumGetByteaP(sealed);
    auth_set_owner(auth, DatumGetObjectId(row_datum(n + 4, &null, context)));
}

bool
catalog_find_pipeline(const char *name, pg_uuid_t *id, Oid *owner, bool *fresh)
{
    CatalogScope scope = catalog_begin();
    Oid types[] = {TEXTOID};
    Datum values[] = {CStringGetTextDatum(name)};
    bool found, null;

    /* a test of the connector changes its row, but not when it was updated */
    found = catalog_execute("SELECT p.id, p.owner::pg_catalog.oid, p.xmin, v.xmin, CASE WHEN c.updated_at = pg_catalog.now() THEN c.xmin ELSE v.xmin END, s.xmin FROM kaireon_internal.pipeline p "
                            "JOIN kaireon_internal.pipeline_version v ON v.pipeline_id = p.id AND v.version = coalesce(p.published_version, p.draft_version) "
                            "JOIN kaireon_internal.connector c ON c.id = p.connector_id JOIN kaireon_internal.schema s ON s.id = p.schema_id WHERE p.name = $1",
                            1, types, values, NULL, SPI_OK_SELECT) == 1;
    if (found)
    {
        memcpy(id, DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)), sizeof(*id));
        *owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null));
        *fresh = false;
        for (int i = 3; i <= 6; i++)
            *fresh |= TransactionIdIsCurrentTransactionId(DatumGetTransactionId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i, &null)));
    }
    catalog_end(scope);
    return found;
}

/* Can connectors of the type be read, and do what is said, if something is?  If not, *able lists the types. */
static bool
type_can(const char *type, const char *ability, char **able)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {TEXTOID, TEXTOID};
    Datum values[] = {CStringGetTextDatum(type), ability ? CStringGetTextDatum(ability) : (Datum) 0};
    char *nulls = ability ? NULL : " n";
    bool can;

    catalog_execute("SELECT coalesce(bool_or(type = $1), false), coalesce(string_agg(type, ', ' ORDER BY type COLLATE \"C\"), 'none') "
                    "FROM kaireon_internal.connector_type WHERE spec ->> 'status' = 'ready' AND ($2 IS NULL OR spec -> 'abilities' ? $2)",
                    2, types, values, nulls, SPI_OK_SELECT);
    can = strcmp(row_text(1, context), "t") == 0;
    *able = row_text(2, context);
    catalog_end(scope);
    return can;
}

bool
catalog_type_ready(const char *type, char **ready)
{
    return type_can(type, NULL, ready);
}

bool
catalog_type_can(const char *type, const char *ability, char **able)
{
    return type_can(type, ability, able);
}

ConnectorSpec *
catalog_find_connector(const char *name, const char *node_id, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    Oid types[] = {TEXTOID};
    Datum values[] = {CStringGetTextDatum(name)};
    CatalogScope scope = catalog_begin();
    ConnectorSpec *connector = NULL;
    Oid owner = InvalidOid;
    char *ready;
    bool null;

    if (catalog_execute("SELECT type, config, id, name, auth_method, auth_sealed, owner::pg_catalog.oid FROM kaireon_internal.connector "
                        "WHERE name = $1", 1, types, values, NULL, SPI_OK_SELECT) == 1)
    {
        connector = MemoryContextAllocZero(context, sizeof(ConnectorSpec));
        connector->type = row_text(1, context);
        connector->config = DatumGetJsonbP(row_datum(2, &null, context));
        catalog_auth(&connector->auth, 3, context);
        owner = DatumGetObjectId(row_datum(7, &null, context));
    }
    catalog_end(scope);
    if (connector == NULL)
        graph_complain(findings, node_id, "missing_connector", "See the view kaireon.connectors for those there are.",
                       "connector \"%s\" does not exist", name);
    else if (!catalog_may_act(GetUserId(), owner))
        graph_complain(findings, node_id, "permission_denied", "A pipeline reads through connectors of its owner.",
                       "permission denied for connector \"%s\"", name);
    else if (!catalog_type_ready(connector->type, &ready))
        graph_complain(findings, node_id, "connector_not_ready", psprintf("Types that can be read: %s.", ready),
                       "connectors of type \"%s\" can't be read in this version", connector->type);
    else
        return connector;
    return NULL;
}

void
catalog_no_pipeline(const char *name)
{
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("pipeline \"%s\" does not exist", name),
                    errdetail("Upper and lower case count."),
                    errhint("See the view kaireon.pipelines for those there are.")));
    pg_unreachable();
}

/*
 * The column of a field; NULL when it has none of its name any more.  A column
 * whose number is known counts, so that names which were swapped are noticed;
 * else the one of the name, unless that is another field's (numbers[]: of all
 * fields, 0 for unknown).  column_of() in 35-drift.sql does the same.
 */
static Form_pg_attribute
find_column(TupleDesc desc, const char *name, AttrNumber number, const AttrNumber *numbers, int nnumbers)
{
    if (number > 0 && number <= desc->natts && !TupleDescAttr(desc, number - 1)->attisdropped)
    {
        Form_pg_attribute att = TupleDescAttr(desc, number - 1);

        return strcmp(NameStr(att->attname), name) == 0 ? att : NULL;
    }
    for (int i = 0; i < desc->natts; i++)
    {
        Form_pg_attribute att = TupleDescAttr(desc, i);

        if (att->attisdropped || strcmp(NameStr(att->attname), name) != 0)
            continue;
        for (int n = 0; n < nnumbers; n++)
        {
            if (numbers[n] == att->attnum)
                return NULL;
        }
        return att;
    }
    return NULL;
}

/* Resolves the fields that have a column to load; the others are left out.  Returns how many there are. */
static int
resolve_fields(TupleDesc desc, TargetField *fields, const AttrNumber *numbers, int count)
{
    int good = 0;

    for (int i = 0; i < count; i++)
    {
        Form_pg_attribute att = find_column(desc, fields[i].name, numbers[i], numbers, count);
        TargetField *field = &fields[good];

        if (att == NULL || att->attgenerated != '\0')
            continue;
        field->name = fields[i].name;
        field->attnum = att->attnum;
        field->type = att->atttypid;
        field->typmod = att->atttypmod;
        field->collation = att->attcollation;
        field->not_null = att->attnotnull;
        field->has_default = att->atthasdef || att->attidentity != '\0';
        field->always_identity = att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
        good++;
    }
    return good;
}

static bool
has_rules(Relation rel, CmdType event)
{
    for (int i = 0; rel->rd_rules && i < rel->rd_rules->numLocks; i++)
    {
        const RewriteRule *rule = rel->rd_rules->rules[i];

        if (rule->event == event && (rule->enabled == RULE_FIRES_ON_ORIGIN || rule->enabled == RULE_FIRES_ALWAYS))
            return true;
    }
    return false;
}

#define SCHEMA_DRIFT \
    "SELECT severity, message, hint, 'schema_drift' FROM kaireon_internal.schema_drift($1) UNION ALL " \
    "SELECT 'warning', pg_catalog.format('schema \"%s\" is archived', s.name), " \
    "pg_catalog.format('It is loaded all the same; kaireon.update_schema(''%s'', status => ''active'') ends that.', s.name), 'archived_schema' " \
    "FROM kaireon_internal.schema s WHERE s.id = $1 AND s.status = 'archived'"
#define SUMMARY_DRIFT "SELECT severity, message, hint, 'schema_drift' FROM kaireon_internal.summary_drift($1)"

/* Where the table of a schema or of its summary, as `sql` says, is another than the catalog says. */
static void
add_drift(const char *sql, Datum schema_id, const char *node_id, MemoryContext context, List **findings)
{
    Oid types[] = {UUIDOID};
    uint64 count = catalog_execute(sql, 1, types, &schema_id, NULL, SPI_OK_SELECT);

    for (uint64 i = 0; i < count; i++)
    {
        char *severity = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
        char *message = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
        char *hint = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3);
        char *code = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4);
        MemoryContext inner = MemoryContextSwitchTo(context);

        graph_complain(findings, node_id, pstrdup(code), hint, "%s", message);
        if (strcmp(severity, "error") != 0)
            ((Finding *) llast(*findings))->severity = "warning";
        MemoryContextSwitchTo(inner);
    }
}

/*
 * Reads a schema.  A statement over $1 and $2 gives its table, its fields'
 * names in their order, its name, the fields' columns by number (0: by name),
 * and its id; drift: the statement that says what is different; thorough: see
 * catalog.h.
 */
static bool
load_schema(const char *sql, const char *drift, Oid *types, Datum *values, bool thorough, SchemaSpec *schema, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    AttrNumber *numbers;
    Relation rel;
    Datum id;
    int count;
    bool null;

    settings_fix_level(); /* defaults are compared as values */
    count = catalog_execute(sql, 2, types, values, NULL, SPI_OK_SELECT);
    if (count == 0)
    {
        catalog_end(scope);
        return false;
    }
    schema->relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    schema->name = row_text(3, context);
    schema->fields = MemoryContextAllocZero(context, sizeof(TargetField) * count);
    schema->nfields = 0;
    id = row_datum(5, &null, context);
    numbers = palloc(sizeof(AttrNumber) * count);
    for (int i = 0; i < count; i++)
    {
        schema->fields[i].name = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
        numbers[i] = DatumGetInt16(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &null));
    }
    rel = try_table_open(schema->relid, AccessShareLock);
    if (rel)
    {
        schema->nfields = resolve_fields(RelationGetDescr(rel), schema->fields, numbers, count);
        schema->has_insert_rules = has_rules(rel, CMD_INSERT);
    schema->has_update_rules = has_rules(rel, CMD_UPDATE);
        table_close(rel, AccessShareLock);
    }
    if (thorough || schema->nfields < count)
        add_drift(drift, id, NULL, context, findings);
    catalog_end(scope);
    if (schema->nfields < count && !graph_has_errors(*findings)) /* it is being changed right now */
        graph_complain(findings, NULL, "schema_drift", NULL, "the schema's table is not what the schema says");
    return true;
}

#define SCHEMA_FIELDS \
    "SELECT s.relation::pg_catalog.oid, f.name, s.name, CASE WHEN s.attnums_of = s.relation THEN coalesce(f.attnum, 0) ELSE 0 END::int2, s.id " \
    "FROM kaireon_internal.schema s JOIN kaireon_internal.field f ON f.schema_id = s.id "

bool
catalog_load_schema(const pg_uuid_t *schema_id, bool thorough, SchemaSpec *schema, List **findings)
{
    Oid types[] = {UUIDOID, OIDOID};
    Datum values[] = {UUIDPGetDatum(schema_id), ObjectIdGetDatum(InvalidOid)};

    return load_schema(SCHEMA_FIELDS "WHERE s.id = $1 ORDER BY f.ordinal", SCHEMA_DRIFT, types, values, thorough, schema, findings);
}

/* The schema that a statement finds by the name; its findings become the node's. */
static SchemaSpec *
find_schema(const char *sql, const char *drift, const char *name, Oid own, bool thorough, const char *node_id, List **findings)
{
    SchemaSpec *schema = palloc0(sizeof(SchemaSpec));
    Oid types[] = {TEXTOID, OIDOID};
    Datum values[] = {CStringGetTextDatum(name), ObjectIdGetDatum(own)};
    List *found = NIL;
    ListCell *lc;

    if (!load_schema(sql, drift, types, values, thorough, schema, &found))
        return NULL;
    foreach(lc, found)
    {
        Finding *f = lfirst(lc);

        graph_complain(findings, node_id, f->code, f->hint, "%s", f->message);
        ((Finding *) llast(*findings))->severity = f->severity;
    }
    return schema;
}

SchemaSpec *
catalog_find_schema(const char *name, Oid own, bool thorough, const GraphNode *node, const char *part, List **findings)
{
    SchemaSpec *schema = find_schema(SCHEMA_FIELDS "WHERE s.id = kaireon_internal.named_schema($1, $2) ORDER BY f.ordinal", SCHEMA_DRIFT,
                                     name, own, thorough, node->id, findings);

    if (schema == NULL)
        graph_complain(findings, node->id, "missing_schema", "See the view kaireon.schemas for those there are.",
                       "%s: schema \"%s\" does not exist or has no fields", part, name);
    return schema;
}

SchemaSpec *
catalog_find_summary(const char *name, const char *node_id, List **findings)
{
    SchemaSpec *schema = find_schema("SELECT s.summary_relation::pg_catalog.oid, f.name, s.name, 0::int2, s.id FROM kaireon_internal.schema s, "
                                     "kaireon_internal.summary_fields(s.id) f WHERE s.summary_relation IS NOT NULL "
                                     "AND s.id = kaireon_internal.named_schema($1, $2) ORDER BY f.ordinal", SUMMARY_DRIFT, name, InvalidOid, false,
                                     node_id, findings);

    if (schema == NULL)
        graph_complain(findings, node_id, "missing_schema", "A collection has one when it has summary_columns.",
                       "key \"summary\": there is no schema \"%s\" with a summary", name);
    return schema;
}

SummarySpec *
catalog_load_summary(Oid collection, const char *customer, const char *node_id, List **findings)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {OIDOID, TEXTOID, OIDOID};
    Datum values[] = {ObjectIdGetDatum(collection), customer ? CStringGetTextDatum(customer) : (Datum) 0, ObjectIdGetDatum(scope.user)};
    SummarySpec *summary = MemoryContextAllocZero(context, sizeof(SummarySpec));
    Datum id = (Datum) 0;
    uint64 count;
    bool null;

    count = catalog_execute("SELECT coalesce(t.oid, 0)::pg_catalog.oid, s.owner::pg_catalog.oid, l.name, "
                            "kaireon_internal.named_schema($2, 0) IS DISTINCT FROM s.linked_schema, "
                            "CASE WHEN kaireon_internal.is_superuser($3::regrole) THEN (SELECT c.owner::text FROM unnest(ARRAY[t.oid, $1]) AS r, "
                            "LATERAL kaireon_internal.foreign_code(r) AS c LIMIT 1) END, "
                            "f.name, f.is_key, f.function, f.source_field, f.aggregate, s.id FROM kaireon_internal.schema s "
                            "LEFT JOIN kaireon_internal.schema l ON l.id = s.linked_schema LEFT JOIN pg_catalog.pg_class t ON t.oid = s.summary_relation "
                            "LEFT JOIN LATERAL kaireon_internal.summary_fields(s.id) f ON true WHERE s.relation = $1 ORDER BY f.ordinal",
                            3, types, values, customer ? NULL : " n ", SPI_OK_SELECT);
    if (count > 0)
        id = row_datum(11, &null, context);
    for (uint64 i = 0; i < count; i++)
    {
        HeapTuple row = SPI_tuptable->vals[i];
        TupleDesc desc = SPI_tuptable->tupdesc;
        MemoryContext inner = MemoryContextSwitchTo(context);
        SummaryField *field = palloc0(sizeof(SummaryField));

        summary->relid = DatumGetObjectId(SPI_getbinval(row, desc, 1, &null));
        summary->owner = DatumGetObjectId(SPI_getbinval(row, desc, 2, &null));
        summary->customer = SPI_getvalue(row, desc, 3);
        summary->other_customer = customer && DatumGetBool(SPI_getbinval(row, desc, 4, &null));
        summary->code_owner = SPI_getvalue(row, desc, 5);
        field->name = SPI_getvalue(row, desc, 6);
        field->is_key = DatumGetBool(SPI_getbinval(row, desc, 7, &null));
        field->function = SPI_getvalue(row, desc, 8);
        field->source = SPI_getvalue(row, desc, 9);
        field->aggregate = SPI_getvalue(row, desc, 10);
        if (field->name)
            summary->fields = lappend(summary->fields, field);
        MemoryContextSwitchTo(inner);
    }
    if (summary->fields != NIL)
        add_drift(SUMMARY_DRIFT, id, node_id, context, findings);
    catalog_end(scope);
    return summary;
}

PipelineSpec *
catalog_load_pipeline(const pg_uuid_t *id, int version)
{
    MemoryContext context = CurrentMemoryContext;
    CatalogScope scope = catalog_begin();
    Oid types[] = {UUIDOID, INT4OID};
    Datum values[] = {UUIDPGetDatum(id), Int32GetDatum(version)};
    PipelineSpec *spec;
    pg_uuid_t schema_id;
    List *findings = NIL;
    ListCell *lc;
    bool null;

    if (catalog_execute("SELECT p.name, v.version, p.owner::pg_catalog.oid, c.type, c.config, v.nodes, v.edges, v.execution_config, p.schema_id, "
                        "c.id, c.name, c.auth_method, c.auth_sealed, c.owner::pg_catalog.oid FROM kaireon_internal.pipeline p JOIN kaireon_internal.connector c ON c.id = p.connector_id "
                        "JOIN kaireon_internal.pipeline_version v ON v.pipeline_id = p.id "
                        "AND v.version = CASE WHEN $2 > 0 THEN $2 ELSE coalesce(p.published_version, p.draft_version) END "
                        "WHERE p.id = $1", 2, types, values, NULL, SPI_OK_SELECT) == 0)
    {
        catalog_end(scope);
        return NULL;
    }
    spec = MemoryContextAllocZero(context, sizeof(PipelineSpec));
    spec->id = *id;
    spec->name = row_text(1, context);
    spec->version = DatumGetInt32(row_datum(2, &null, context));
    spec->owner = DatumGetObjectId(row_datum(3, &null, context));
    spec->connector.type = row_text(4, context);
    spec->connector.config = DatumGetJsonbP(row_datum(5, &null, context));
    spec->nodes = DatumGetJsonbP(row_datum(6, &null, context));
    spec->edges = DatumGetJsonbP(row_datum(7, &null, context));
    spec->execution_config = DatumGetJsonbP(row_datum(8, &null, context));
    schema_id = *DatumGetUUIDP(row_datum(9, &null, context));
    catalog_auth(&spec->connector.auth, 10, context);
    catalog_end(scope);
    spec->errors = execution_config_errors(spec->execution_config);
    if (!catalog_load_schema(&schema_id, false, &spec->schema, &findings))
        elog(ERROR, "the schema of pipeline \"%s\" is missing", spec->name);
    foreach(lc, findings)
    {
        Finding *f = lfirst(lc);

        if (strcmp(f->severity, "error") == 0)
            ereport(ERROR, (errcode(get_rel_name(spec->schema.relid) ? ERRCODE_UNDEFINED_COLUMN : ERRCODE_UNDEFINED_TABLE),
                            errmsg("%s", f->message), errdetail("Found in the schema of pipeline \"%s\".", spec->name),
                            f->hint ? errhint("%s", f->hint) : 0));
    }
    return spec;
}

bool
catalog_may_act(Oid role, Oid owner)
{
    return has_privs_of_role(role, owner) || superuser_arg(role);
}

bool
catalog_may_trust(Oid role, Oid owner)
{
    return superuser_arg(owner) || (!superuser_arg(role) && has_privs_of_role(role, owner));
}

bool
catalog_is_operator(Oid role)
{
    static const char *const names[] = {"kaireon_operator", "kaireon_admin"};

    for (size_t i = 0; i < lengthof(names); i++)
    {
        Oid group = get_role_oid(names[i], true);

        if (OidIsValid(group) && has_privs_of_role(role, group))
            return true;
    }
    return false;
}
