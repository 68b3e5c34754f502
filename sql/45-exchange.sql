-- Pipelines as one JSON document, to keep in git and to take elsewhere, and
-- what differs between two versions.
--
-- The document holds the pipeline, the connectors it reads from, without
-- credentials, and the schemas it names:
--   {"kaireonPipeline": 1, "name", "description", "connector", "schema", "nodes",
--    "edges", "executionConfig", "schedule", "timezone",
--    "connectors": [{"name", "type", "config", "authMethod", "description"}],
--    "schemas": [{"name", "displayName", "description", "entityType", "schemaType",
--                 "tableSchema", "linkedSchema", "joinMapping", "summaryColumns", "fields"}]}

-- The keys under which nodes name schemas.
CREATE FUNCTION kaireon_internal.schema_keys() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '{schema,lookupSchema,summary,collectionSchemaId,customerSchemaId}'::text[]
$$;

-- Names that nodes, the rules of validate nodes and webhooks give under one of the keys.
CREATE FUNCTION kaireon_internal.named_by_nodes(nodes jsonb, keys text[]) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT n -> 'config' ->> k FROM jsonb_array_elements(nodes) AS n, unnest(keys) AS k
     WHERE jsonb_typeof(n -> 'config' -> k) = 'string'
     UNION ALL
    SELECT r ->> k FROM jsonb_path_query(nodes, '$[*].config.rules[*]') AS r, unnest(keys) AS k
     WHERE jsonb_typeof(r -> k) = 'string'
     UNION ALL
    SELECT h ->> k FROM jsonb_path_query(nodes, '$[*].config.postHook[*]') AS h, unnest(keys) AS k
     WHERE jsonb_typeof(h -> k) = 'string'
$$;

-- A config, or a rule, that calls schemas by their names: ids, and names that they
-- had before, mean nothing in another database.  own: the table of the
-- pipeline's schema.
CREATE FUNCTION kaireon_internal.with_schema_names(config jsonb, own oid) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT config || COALESCE(jsonb_object_agg(k, s.name) FILTER (WHERE s.name <> kaireon_internal.safe_name(config ->> k)), '{}')
      FROM unnest(kaireon_internal.schema_keys()) AS k
      LEFT JOIN kaireon_internal.schema AS s ON jsonb_typeof(config -> k) = 'string' AND s.id = kaireon_internal.named_schema(config ->> k, own)
$$;

-- The nodes with such configs.
CREATE FUNCTION kaireon_internal.portable_nodes(nodes jsonb, own oid) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(n.value || jsonb_build_object('config', kaireon_internal.with_schema_names(n.value -> 'config', own)
                     || CASE WHEN jsonb_typeof(n.value #> '{config,rules}') = 'array' THEN
                            jsonb_build_object('rules', (SELECT jsonb_agg(kaireon_internal.with_schema_names(r.value, own) ORDER BY r.i)
                                FROM jsonb_array_elements(n.value #> '{config,rules}') WITH ORDINALITY AS r (value, i))) ELSE '{}' END) ORDER BY n.i)
      FROM jsonb_array_elements(nodes) WITH ORDINALITY AS n (value, i)
$$;

CREATE FUNCTION kaireon_internal.export_pipeline(caller regrole, name text, version int) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline;
    v kaireon_internal.pipeline_version;
    connectors text[];
    schemas text[];
BEGIN
    SELECT o.* INTO p FROM kaireon_internal.pipeline AS o
     WHERE o.name = export_pipeline.name AND kaireon_internal.may_see_as(caller, o.owner);
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail_missing('pipeline', name,
            ARRAY(SELECT o.name FROM kaireon_internal.pipeline AS o WHERE kaireon_internal.may_see_as(caller, o.owner)));
    END IF;
    v := kaireon_internal.get_version(p, COALESCE(version, p.published_version, p.draft_version));
    v.nodes := kaireon_internal.portable_nodes(v.nodes, (SELECT s.relation FROM kaireon_internal.schema AS s WHERE s.id = p.schema_id));
    connectors := ARRAY(SELECT c.name FROM kaireon_internal.connector AS c WHERE c.id = p.connector_id)
               || ARRAY(SELECT kaireon_internal.named_by_nodes(v.nodes, '{connector}'));
    schemas := ARRAY(SELECT s.name FROM kaireon_internal.schema AS s WHERE s.id = p.schema_id)
            || ARRAY(SELECT kaireon_internal.safe_name(n)
                       FROM kaireon_internal.named_by_nodes(v.nodes, kaireon_internal.schema_keys()) AS n);
    -- A collection needs what it is linked to.
    schemas := schemas || ARRAY(SELECT s.linked_schema FROM kaireon.schemas AS s WHERE s.name = ANY (schemas) AND s.linked_schema IS NOT NULL);
    RETURN jsonb_strip_nulls(jsonb_build_object('kaireonPipeline', 1, 'name', p.name, 'description', p.description,
            'connector', connectors[1], 'schema', schemas[1], 'schedule', p.schedule, 'timezone', p.timezone))
        || jsonb_build_object('nodes', v.nodes, 'edges', v.edges, 'executionConfig', v.execution_config, 'connectors',
            (SELECT COALESCE(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', c.name, 'type', c.type, 'authMethod', c.auth_method,
                        'description', c.description)) || jsonb_build_object('config', c.config) ORDER BY c.name COLLATE "C"), '[]')
               FROM kaireon_internal.connector AS c WHERE c.name = ANY (connectors) AND kaireon_internal.may_see_as(caller, c.owner)),
            'schemas',
            (SELECT COALESCE(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', s.name, 'displayName', s.display_name,
                        'description', s.description, 'entityType', s.entity_type, 'schemaType', s.schema_type, 'tableSchema', s.table_schema,
                        'linkedSchema', s.linked_schema, 'joinMapping', s.join_mapping, 'summaryColumns', s.summary_columns,
                        'fields', s.fields)) ORDER BY s.linked_schema IS NOT NULL, s.name COLLATE "C"), '[]')
               FROM kaireon.schemas AS s WHERE s.name = ANY (schemas) AND kaireon_internal.may_see_as(caller, s.owner)));
END
$$;

-- ---- import

-- Makes a connector of a document, unless there is one of the name.
CREATE FUNCTION kaireon_internal.import_connector(caller regrole, spec jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old kaireon_internal.connector;
    real text;
    method text;
BEGIN
    PERFORM kaireon_internal.check_object(spec, '{"name": {"kind": "string", "required": true}, "type": {"kind": "string", "required": true},
        "config": {"kind": "object"}, "authMethod": {"kind": "string"}, "description": {"kind": "string"}}', 'connectors of the document');
    PERFORM kaireon_internal.check_name('connector', spec ->> 'name');
    real := kaireon_internal.real_type(spec ->> 'type');
    method := COALESCE(spec ->> 'authMethod', kaireon_internal.default_auth_method(real), 'none');
    SELECT c.* INTO old FROM kaireon_internal.connector AS c WHERE c.name = spec ->> 'name';
    IF FOUND AND old.type <> real THEN
        PERFORM kaireon_internal.fail('42710', format('connector "%s" already exists and is of another type', old.name),
            format('It is of type %s, the document''s of type %s.', old.type, real), 'Rename one of them.');
    ELSIF FOUND THEN
        IF old.config <> COALESCE(spec -> 'config', '{}') THEN
            RAISE NOTICE 'connector "%" already exists: its own config stays', old.name;
        END IF;
        RETURN;
    END IF;
    PERFORM kaireon_internal.check_connector(real, COALESCE(spec -> 'config', '{}'), method, NULL);
    INSERT INTO kaireon_internal.connector (name, type, owner, config, auth_method, description)
    VALUES (spec ->> 'name', real, caller, COALESCE(spec -> 'config', '{}'), method, spec ->> 'description');
    IF kaireon_internal.auth_fields(real, method) <> '[]' THEN
        RAISE NOTICE 'connector "%" was made without credentials', spec ->> 'name' USING HINT = 'Set them with kaireon.update_connector.';
    END IF;
END
$$;

-- Makes a schema of a document; one of the name that is there must have the
-- document's fields, and may have more.
CREATE FUNCTION kaireon_internal.import_schema(caller regrole, spec jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old jsonb;
    differences text;
BEGIN
    PERFORM kaireon_internal.check_object(spec, '{"name": {"kind": "string", "required": true}, "displayName": {"kind": "string"},
        "description": {"kind": "string"}, "entityType": {"kind": "string"}, "schemaType": {"kind": "string"}, "tableSchema": {"kind": "string"},
        "linkedSchema": {"kind": "string"}, "joinMapping": {"kind": "any"}, "summaryColumns": {"kind": "any"},
        "fields": {"kind": "array", "required": true}}', 'schemas of the document');
    SELECT s.fields INTO old FROM kaireon.schemas AS s WHERE s.name = kaireon_internal.safe_name(spec ->> 'name');
    IF NOT FOUND THEN
        PERFORM kaireon_internal.create_schema(caller, spec ->> 'name', spec -> 'fields', COALESCE(spec ->> 'entityType', 'custom'),
            COALESCE(spec ->> 'schemaType', 'customer'), spec ->> 'displayName', spec ->> 'description', spec ->> 'linkedSchema',
            spec -> 'joinMapping', spec -> 'summaryColumns', COALESCE(spec ->> 'tableSchema', 'public'), false, false);
        RETURN;
    END IF;
    SELECT string_agg(format('"%s"', f ->> 'name'), ', ') INTO differences
      FROM jsonb_array_elements(spec -> 'fields') AS f
     WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(old) AS o
                        WHERE o ->> 'name' = kaireon_internal.safe_name(f ->> 'name')
                          AND jsonb_strip_nulls(o) - '{displayName,description,defaultValue}'::text[]
                              @> jsonb_strip_nulls(f) - '{name,displayName,description,defaultValue}'::text[]);
    IF differences IS NOT NULL THEN
        PERFORM kaireon_internal.fail('42710', format('schema "%s" already exists with other fields', spec ->> 'name'),
            format('Fields that are missing or different: %s.', differences), 'Change them with kaireon.add_field or kaireon.alter_field first.');
    END IF;
END
$$;

CREATE FUNCTION kaireon_internal.import_pipeline(caller regrole, spec jsonb) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    item jsonb;
BEGIN
    PERFORM kaireon_internal.check_object(spec, '{"kaireonPipeline": {"kind": "integer", "required": true, "min": 1, "max": 1},
        "name": {"kind": "string", "required": true}, "description": {"kind": "string"}, "connector": {"kind": "string", "required": true},
        "schema": {"kind": "string", "required": true},
        "nodes": {"kind": "array", "required": true, "hint": "For example: [{\"id\": \"read\", \"type\": \"source\"}, {\"id\": \"load\", \"type\": \"target\"}]."},
        "edges": {"kind": "array", "hint": "For example: [{\"sourceNodeId\": \"read\", \"targetNodeId\": \"load\"}]; without edges the nodes form a chain."},
        "executionConfig": {"kind": "object", "hint": "For example: {\"errorHandling\": \"skip\"}."}, "schedule": {"kind": "string"}, "timezone": {"kind": "string"},
        "connectors": {"kind": "array", "hint": "kaireon.export_pipeline shows what stands there."},
        "schemas": {"kind": "array", "hint": "kaireon.export_pipeline shows what stands there."}}', 'the document of a pipeline');
    FOR item IN SELECT e FROM jsonb_array_elements(COALESCE(spec -> 'connectors', '[]')) AS e LOOP
        PERFORM kaireon_internal.import_connector(caller, item);
    END LOOP;
    FOR item IN SELECT e FROM jsonb_array_elements(COALESCE(spec -> 'schemas', '[]')) WITH ORDINALITY AS a (e, n)
                 ORDER BY e ? 'linkedSchema', n LOOP
        PERFORM kaireon_internal.import_schema(caller, item);
    END LOOP;
    RETURN kaireon_internal.create_pipeline(caller, spec ->> 'name', spec ->> 'connector', spec ->> 'schema', spec -> 'nodes', spec -> 'edges',
        COALESCE(spec -> 'executionConfig', '{}'), spec ->> 'schedule', spec ->> 'timezone', spec ->> 'description', false, true);
END
$$;

CREATE FUNCTION kaireon.export_pipeline(name text, version int = NULL) RETURNS jsonb LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.export_pipeline IS 'a pipeline, its connectors without credentials and its schemas as one document, to keep in git; the version that runs, or the one given';

CREATE FUNCTION kaireon.import_pipeline(spec jsonb) RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.import_pipeline IS 'makes what export_pipeline gave; of what is there already the pipeline gets a new version, if anything differs';

-- ---- versions

-- a and b as rows: what differs, one row a key of a node.
CREATE FUNCTION kaireon.pipeline_diff(name text, a int, b int)
    RETURNS TABLE (node_id text, change text, key text, old jsonb, new jsonb)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    missing int;
BEGIN
    SELECT v INTO missing FROM unnest(ARRAY[pipeline_diff.a, pipeline_diff.b]) AS v
     WHERE NOT EXISTS (SELECT FROM kaireon.pipeline_versions AS p WHERE p.pipeline = pipeline_diff.name AND p.version = v) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('pipeline "%s" has no version %s', pipeline_diff.name, COALESCE(missing::text, 'null')),
            DETAIL = 'Or there is no pipeline of the name that you may see.', HINT = 'View kaireon.pipeline_versions lists them.';
    END IF;
    RETURN QUERY
    WITH side AS (
        SELECT p.version, p.nodes, p.edges, p.execution_config FROM kaireon.pipeline_versions AS p WHERE p.pipeline = pipeline_diff.name
    ), part AS (   -- every key of every node, by version; a node's place in the array is no difference
        SELECT s.version, n.e ->> 'id' AS node_id, k.key, k.value
          FROM side AS s, jsonb_array_elements(s.nodes) AS n (e),
               LATERAL (SELECT 'config.' || c.key, c.value FROM jsonb_each(n.e -> 'config') AS c
                        UNION ALL SELECT o.key, o.value FROM jsonb_each(n.e - '{id,config}'::text[]) AS o) AS k (key, value)
        UNION ALL
        SELECT s.version, NULL, 'execution_config.' || c.key, c.value FROM side AS s, jsonb_each(s.execution_config) AS c
        UNION ALL
        SELECT s.version, NULL, format('edge %s -> %s', e ->> 'sourceNodeId', e ->> 'targetNodeId'), to_jsonb(string_agg(e ->> 'label', ', '))
          FROM side AS s, jsonb_array_elements(s.edges) AS e GROUP BY 1, 2, 3
    ), both_sides AS (
        SELECT COALESCE(x.node_id, y.node_id) AS node_id, COALESCE(x.key, y.key) AS key, x.value AS old, y.value AS new
          FROM (SELECT * FROM part AS p WHERE p.version = pipeline_diff.a) AS x
          FULL JOIN (SELECT * FROM part AS p WHERE p.version = pipeline_diff.b) AS y
            ON COALESCE(x.node_id, '') = COALESCE(y.node_id, '') AND x.key = y.key
    )
    SELECT d.node_id, CASE WHEN d.old IS NULL THEN 'added' WHEN d.new IS NULL THEN 'removed' ELSE 'changed' END, d.key, d.old, d.new
      FROM both_sides AS d WHERE d.old IS DISTINCT FROM d.new
     ORDER BY d.node_id COLLATE "C" NULLS LAST, d.key COLLATE "C";
END
$$;
COMMENT ON FUNCTION kaireon.pipeline_diff IS 'what differs between two versions of a pipeline, node by node and key by key; edges and execution_config without a node';
