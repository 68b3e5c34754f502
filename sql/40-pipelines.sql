-- Pipelines and their versions.
--
-- A version is written once: update_pipeline adds one, which is the draft;
-- publish_pipeline says which one schedules run.  Before a version is saved its
-- nodes and edges are normalised here and checked by the engine
-- (kaireon_internal.check_pipeline, 60-engine.sql), which also runs,
-- explains and draws them.

CREATE VIEW kaireon.pipelines WITH (security_barrier) AS
WITH held AS MATERIALIZED (SELECT i.reason FROM kaireon.instance i WHERE NOT i.is_confirmed AND NOT pg_is_in_recovery())
SELECT p.id, p.name, p.description, p.connector_id, c.name AS connector, p.schema_id, s.name AS schema,
       v.nodes, v.edges, p.schedule, p.timezone, v.execution_config,
       CASE WHEN h.reason IS NOT NULL AND p.status <> 'archived' THEN 'paused' ELSE p.status END AS status,
       COALESCE(r.started_at, r.queued_at) AS last_run_at, r.status AS last_run_status,
       p.draft_version, p.published_version, p.owner, p.created_at, p.updated_at,
       'this database is a copy: ' || h.reason AS held_because
  FROM kaireon_internal.pipeline p
  JOIN kaireon_internal.connector c ON c.id = p.connector_id
  JOIN kaireon_internal.schema s ON s.id = p.schema_id
  LEFT JOIN kaireon_internal.pipeline_version v
         ON v.pipeline_id = p.id AND v.version = COALESCE(p.published_version, p.draft_version)
  LEFT JOIN LATERAL (SELECT l.started_at, l.queued_at, l.status FROM kaireon_internal.run l
                      WHERE l.pipeline_id = p.id AND NOT l.options @> '{"dryRun": true}' ORDER BY l.queued_at DESC LIMIT 1) r ON true
  LEFT JOIN held h ON true
 WHERE kaireon_internal.may_see(p.owner);
COMMENT ON VIEW kaireon.pipelines IS 'pipelines, with the version that runs and how the last run went, dry runs aside';
COMMENT ON COLUMN kaireon.pipelines.nodes IS 'of the version that runs: the published one, else the draft';
COMMENT ON COLUMN kaireon.pipelines.status IS 'draft, active, paused or archived; paused also while the database is a copy that nobody has confirmed';
COMMENT ON COLUMN kaireon.pipelines.draft_version IS 'the newest version saved';
COMMENT ON COLUMN kaireon.pipelines.published_version IS 'the version that runs; null: the draft does';
COMMENT ON COLUMN kaireon.pipelines.owner IS 'runs have this role''s rights';
COMMENT ON COLUMN kaireon.pipelines.held_because IS 'why it is paused although nobody paused it; see kaireon.confirm_instance()';

CREATE VIEW kaireon.pipeline_versions WITH (security_barrier) AS
SELECT p.name AS pipeline, v.version, v.version = p.draft_version AS is_draft,
       COALESCE(v.version = p.published_version, false) AS is_published,
       v.nodes, v.edges, v.execution_config, v.author, v.created_at
  FROM kaireon_internal.pipeline_version v
  JOIN kaireon_internal.pipeline p ON p.id = v.pipeline_id
 WHERE kaireon_internal.may_see(p.owner);
COMMENT ON VIEW kaireon.pipeline_versions IS 'every version of every pipeline; a version is never changed';

-- ---- normal form

-- Nodes in normal form: each with id, type, label, config and position.  Null
-- makes source -> target.  What is not an object is left for the check.
CREATE FUNCTION kaireon_internal.normalise_nodes(nodes jsonb) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF nodes IS NULL OR jsonb_typeof(nodes) = 'null' THEN
        nodes := '[{"id": "source", "type": "source"},
                   {"id": "target", "type": "target", "config": {"loadingStrategy": "append"}}]';
    ELSIF jsonb_typeof(nodes) <> 'array' OR nodes = '[]' THEN
        PERFORM kaireon_internal.fail('22023', 'nodes must be a JSON array of at least one node',
            format('It is %s.', left(nodes::text, 100)),
            'For example: [{"id": "read", "type": "source"}, {"id": "load", "type": "target"}].');
    END IF;
    RETURN (SELECT jsonb_agg(CASE WHEN jsonb_typeof(n) = 'object'
                                  THEN '{"label": "", "config": {}, "position": null}' || n
                                       || CASE WHEN n -> 'label' = 'null' THEN '{"label": ""}' ELSE '{}'::jsonb END
                                       || CASE WHEN n -> 'config' = 'null' THEN '{"config": {}}' ELSE '{}'::jsonb END
                                  ELSE n END ORDER BY i)
              FROM jsonb_array_elements(nodes) WITH ORDINALITY AS e (n, i));
END
$$;

-- Edges in normal form; without any, the nodes form a chain in their order.
CREATE FUNCTION kaireon_internal.normalise_edges(edges jsonb, nodes jsonb) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF edges IS NULL OR jsonb_typeof(edges) = 'null' OR edges = '[]' THEN
        RETURN (SELECT COALESCE(jsonb_agg(jsonb_build_object('sourceNodeId', nodes -> i - 1 -> 'id',
                                                             'targetNodeId', nodes -> i -> 'id', 'label', '') ORDER BY i), '[]')
                  FROM generate_series(1, jsonb_array_length(nodes) - 1) AS i
                 WHERE nodes -> i - 1 ? 'id' AND nodes -> i ? 'id');
    ELSIF jsonb_typeof(edges) <> 'array' THEN
        PERFORM kaireon_internal.fail('22023', 'edges must be a JSON array', format('It is %s.', left(edges::text, 100)),
            'For example: [{"sourceNodeId": "read", "targetNodeId": "load"}].');
    END IF;
    RETURN (SELECT jsonb_agg(CASE WHEN jsonb_typeof(n) = 'object'
                                  THEN '{"label": ""}' || n
                                       || CASE WHEN n -> 'label' = 'null' THEN '{"label": ""}' ELSE '{}'::jsonb END
                                  ELSE n END ORDER BY i)
              FROM jsonb_array_elements(edges) WITH ORDINALITY AS e (n, i));
END
$$;

-- Raises one error for everything that keeps a version from running.
CREATE FUNCTION kaireon_internal.require_valid(owner regrole, name text, connector uuid, schema uuid, nodes jsonb, edges jsonb,
                                               execution_config jsonb)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    n bigint;
    state text;
    single text;
    details text;
    place text;
    first_hint text;
    doubts text[];
    doubt text;
BEGIN
    WITH f AS (SELECT * FROM kaireon_internal.check_pipeline(owner, connector, schema, nodes, edges, execution_config)
                             WITH ORDINALITY AS f (node_id, severity, code, message, hint, i)),
         e AS (SELECT * FROM f WHERE f.severity = 'error')
    SELECT count(*), CASE WHEN bool_and(e.code = 'permission_denied') THEN '42501' WHEN bool_and(e.code = 'too_complex') THEN '54001' ELSE '22023' END,
           min(e.message), string_agg(COALESCE('node "' || e.node_id || '": ', 'pipeline: ') || e.message || COALESCE(' (' || e.hint || ')', ''), E'\n' ORDER BY e.i),
           COALESCE('Found in node "' || min(e.node_id) || '".', 'It is about the pipeline as a whole.'),
           (array_agg(e.hint ORDER BY e.i) FILTER (WHERE e.hint IS NOT NULL))[1],
           ARRAY(SELECT format('node "%s": %s', f.node_id, f.message) FROM f WHERE f.severity = 'warning' AND f.node_id IS NOT NULL ORDER BY f.i)
      INTO n, state, single, details, place, first_hint, doubts
      FROM e;
    FOREACH doubt IN ARRAY doubts LOOP
        RAISE WARNING '%', doubt;
    END LOOP;
    IF n = 1 THEN
        PERFORM kaireon_internal.fail(state, single, place, first_hint);
    ELSIF n > 1 THEN
        PERFORM kaireon_internal.fail(state, format('pipeline "%s" has %s errors', name, n), details,
            'Nothing was saved; all of them have to be corrected.');
    END IF;
END
$$;

-- Watermarks up to which a pipeline has loaded, and which these nodes do not
-- use: its runs will refuse to load.
CREATE FUNCTION kaireon_internal.find_unused_marks(pipeline uuid, nodes jsonb) RETURNS TABLE (node_id text, message text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.node_id, format('the pipeline has loaded up to a watermark of field "%s" at node "%s", which it does not use any more', w.field, w.node_id),
           format('It does not run until kaireon.reset_source_state(%L) has forgotten it; then the next run loads all that there is.', p.name)
      FROM kaireon_internal.watermark AS w JOIN kaireon_internal.pipeline AS p ON p.id = w.pipeline_id
     WHERE p.id = pipeline AND NOT EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(nodes) WHEN 'array' THEN nodes ELSE '[]' END) AS n
                                            WHERE n ->> 'id' = w.node_id AND n -> 'config' ->> 'loadingStrategy' = 'incremental_watermark'
                                              AND n -> 'config' ->> 'watermarkField' = w.field)
     ORDER BY w.node_id
$$;

-- Files that runs of a pipeline have claimed (run_staging.c) and that no source of
-- these nodes reads: neither the one that claimed them, nor, with that one gone, the
-- only one that reads their connector.
CREATE FUNCTION kaireon_internal.find_unread_claims(pipeline uuid, nodes jsonb) RETURNS TABLE (node_id text, message text, hint text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH sources AS (
        SELECT n ->> 'id' AS id, CASE WHEN n -> 'config' ->> 'connector' IS NULL THEN p.connector_id ELSE c.id END AS connector_id
          FROM kaireon_internal.pipeline AS p CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(nodes) WHEN 'array' THEN nodes ELSE '[]' END) AS n
          LEFT JOIN kaireon_internal.connector AS c ON c.name = n -> 'config' ->> 'connector'
         WHERE p.id = pipeline AND n ->> 'type' = 'source')
    SELECT o.node_id, format('%s, claimed for source "%s" and %s, %s read by no source any more',
               CASE count(*) WHEN 1 THEN '1 file in a staging folder' ELSE count(*) || ' files in staging folders' END, o.node_id,
               COALESCE('connector "' || c.name || '"', 'a connector that is gone'), CASE count(*) WHEN 1 THEN 'is' ELSE 'are' END),
           format('Have a source of that name read that connector again, or give up the claims with kaireon.discard_outbox(%L).', p.name)
      FROM kaireon_internal.outbox AS o
      JOIN kaireon_internal.pipeline AS p ON p.id = o.pipeline_id
      LEFT JOIN kaireon_internal.connector AS c ON c.id = o.connector_id
     WHERE o.pipeline_id = find_unread_claims.pipeline AND o.kind = 'stage'
       AND NOT EXISTS (SELECT FROM sources AS s WHERE s.connector_id = o.connector_id
                       AND (s.id = o.node_id OR (SELECT count(*) FROM sources AS t WHERE t.connector_id = o.connector_id) = 1))
     GROUP BY o.node_id, p.name, c.name, o.connector_id ORDER BY o.node_id, c.name
$$;

CREATE FUNCTION kaireon_internal.warn_of_unused_marks(pipeline uuid, nodes jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mark record;
BEGIN
    FOR mark IN SELECT m.message, m.hint FROM kaireon_internal.find_unused_marks(pipeline, nodes) AS m LOOP
        RAISE WARNING '%', mark.message USING HINT = mark.hint;
    END LOOP;
END
$$;

-- ---- pipelines

-- The pipeline of a name, locked; raises 42704, and 42501 unless the caller may
-- change it, or is an operator (or admin) where operators will do.
CREATE FUNCTION kaireon_internal.get_pipeline(caller regrole, name text, operators boolean = false)
    RETURNS kaireon_internal.pipeline LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    object kaireon_internal.pipeline;
BEGIN
    SELECT p.* INTO object FROM kaireon_internal.pipeline AS p WHERE p.name = get_pipeline.name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail_missing('pipeline', name,
            ARRAY(SELECT p.name FROM kaireon_internal.pipeline AS p WHERE kaireon_internal.may_see_as(caller, p.owner)),
            detail => 'The view kaireon.pipelines has those you can see.');
    END IF;
    IF NOT (operators AND kaireon_internal.is_operator(caller)) THEN
        PERFORM kaireon_internal.require_owner(caller, object.owner, 'pipeline', name);
    END IF;
    RETURN object;
END
$$;

-- The version of that number; raises 42704.
CREATE FUNCTION kaireon_internal.get_version(p kaireon_internal.pipeline, version int) RETURNS kaireon_internal.pipeline_version
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v kaireon_internal.pipeline_version;
BEGIN
    SELECT o.* INTO v FROM kaireon_internal.pipeline_version AS o WHERE o.pipeline_id = p.id AND o.version = get_version.version;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail('42704', format('pipeline "%s" has no version %s', p.name, version),
            CASE WHEN p.draft_version = 1 THEN 'It has version 1.' ELSE format('It has versions 1 to %s.', p.draft_version) END,
            'The view kaireon.pipeline_versions has them.');
    END IF;
    RETURN v;
END
$$;

-- The schema of a name, locked, to load into: that takes INSERT on its table,
-- where changing the schema takes its owner.
CREATE FUNCTION kaireon_internal.get_target_schema(caller regrole, name text) RETURNS kaireon_internal.schema
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    object kaireon_internal.schema;
BEGIN
    SELECT s.* INTO object FROM kaireon_internal.schema AS s
     WHERE s.name = kaireon_internal.safe_name(get_target_schema.name) FOR NO KEY UPDATE;
    IF has_any_column_privilege(caller::oid, object.relation::oid, 'INSERT') THEN
        RETURN object;
    END IF;
    RETURN kaireon_internal.get_schema(caller, name);
END
$$;

-- Schedules are for later: one that would never fire is refused.
CREATE FUNCTION kaireon_internal.refuse_schedule(schedule text, timezone text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF schedule IS NOT NULL OR timezone IS NOT NULL THEN
        PERFORM kaireon_internal.fail('0A000', 'this version does not fire schedules',
            'A schedule that is saved and never fires would be worse than none.',
            'Leave "schedule" and "timezone" out, and let pg_cron call kaireon.start_pipeline.');
    END IF;
END
$$;

-- Makes a pipeline that is there what create_pipeline would have made it: with a
-- new version if that differs from the draft, else with none.
CREATE FUNCTION kaireon_internal.replace_pipeline(caller regrole, name text, connector text, schema text, nodes jsonb, edges jsonb,
                                                  execution_config jsonb, description text)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, name);
    draft kaireon_internal.pipeline_version;
BEGIN
    SELECT v.* INTO draft FROM kaireon_internal.pipeline_version AS v WHERE v.pipeline_id = p.id AND v.version = p.draft_version;
    IF draft.nodes = nodes AND draft.edges = edges AND draft.execution_config = execution_config THEN
        nodes := NULL;
        edges := NULL;
        execution_config := NULL;
    END IF;
    PERFORM kaireon_internal.update_pipeline(caller, name, nodes, edges, execution_config, connector, schema, NULL, NULL,
                                             COALESCE(description, ''), NULL);
    RETURN p.id;
END
$$;

CREATE FUNCTION kaireon_internal.create_pipeline(caller regrole, name text, connector text, schema text, nodes jsonb, edges jsonb,
                                                 execution_config jsonb, schedule text, timezone text, description text,
                                                 if_not_exists boolean, replace boolean)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    made uuid;
    c kaireon_internal.connector;
    s kaireon_internal.schema;
BEGIN
    PERFORM kaireon_internal.check_name('pipeline', name);
    PERFORM kaireon_internal.check_existing(if_not_exists, replace);
    IF if_not_exists THEN
        SELECT p.id INTO made FROM kaireon_internal.pipeline AS p WHERE p.name = create_pipeline.name;
        IF FOUND THEN
            RAISE NOTICE 'pipeline "%" already exists, skipping', name;
            RETURN made;
        END IF;
    END IF;
    PERFORM kaireon_internal.refuse_schedule(schedule, timezone);
    c := kaireon_internal.get_connector(caller, connector);
    s := kaireon_internal.get_target_schema(caller, schema);
    execution_config := COALESCE(execution_config, '{}');
    nodes := kaireon_internal.normalise_nodes(nodes);
    edges := kaireon_internal.normalise_edges(edges, nodes);
    IF replace AND EXISTS (SELECT FROM kaireon_internal.pipeline AS p WHERE p.name = create_pipeline.name) THEN
        RETURN kaireon_internal.replace_pipeline(caller, name, connector, schema, nodes, edges, execution_config, description);
    END IF;
    PERFORM kaireon_internal.require_rights(caller, c.id, s.id);
    PERFORM kaireon_internal.require_valid(caller, name, c.id, s.id, nodes, edges, execution_config);

    INSERT INTO kaireon_internal.pipeline (name, owner, connector_id, schema_id, description)
    VALUES (name, caller, c.id, s.id, NULLIF(description, ''))
    ON CONFLICT ON CONSTRAINT pipeline_name_key DO NOTHING RETURNING id INTO made;
    IF NOT FOUND THEN
        IF if_not_exists THEN -- somebody else has just made it
            RETURN (SELECT o.id FROM kaireon_internal.pipeline AS o WHERE o.name = create_pipeline.name);
        ELSIF replace THEN
            RETURN kaireon_internal.replace_pipeline(caller, name, connector, schema, nodes, edges, execution_config, description);
        END IF;
        PERFORM kaireon_internal.fail('42710', format('pipeline "%s" already exists', name),
            'Names of pipelines are unique in a database, whoever owns them.',
            'Choose another name, or pass if_not_exists => true or replace => true.');
    END IF;
    INSERT INTO kaireon_internal.pipeline_version (pipeline_id, version, nodes, edges, execution_config, author)
    VALUES (made, 1, nodes, edges, execution_config, caller);
    INSERT INTO kaireon_internal.lease (pipeline_id) VALUES (made);
    RETURN made;
END
$$;

CREATE FUNCTION kaireon_internal.update_pipeline(caller regrole, name text, nodes jsonb, edges jsonb, execution_config jsonb,
                                                 connector text, schema text, schedule text, timezone text, description text,
                                                 new_name text)
    RETURNS int LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, name);
    c uuid := p.connector_id;
    s uuid := p.schema_id;
    draft kaireon_internal.pipeline_version;
    published kaireon_internal.pipeline_version;
    changed boolean := nodes IS NOT NULL OR edges IS NOT NULL OR execution_config IS NOT NULL;
    moved boolean := connector IS NOT NULL OR schema IS NOT NULL;
BEGIN
    PERFORM kaireon_internal.refuse_schedule(schedule, timezone);
    SELECT v.* INTO draft FROM kaireon_internal.pipeline_version AS v WHERE v.pipeline_id = p.id AND v.version = p.draft_version;
    IF connector IS NOT NULL THEN
        c := (kaireon_internal.get_connector(caller, connector)).id;
    END IF;
    IF schema IS NOT NULL THEN
        s := (kaireon_internal.get_target_schema(caller, schema)).id;
    END IF;
    IF moved THEN
        PERFORM kaireon_internal.require_rights(p.owner, c, s);
    END IF;
    IF new_name IS NOT NULL THEN
        PERFORM kaireon_internal.check_name('pipeline', new_name);
        PERFORM FROM kaireon_internal.pipeline AS o WHERE o.name = new_name AND o.id <> p.id;
        IF FOUND THEN
            PERFORM kaireon_internal.fail('42710', format('pipeline "%s" already exists', new_name),
                'Names of pipelines are unique in a database, whoever owns them.', 'Choose another name.');
        END IF;
    END IF;
    IF execution_config IS NOT NULL THEN
        draft.execution_config := execution_config;
    END IF;
    IF nodes IS NOT NULL THEN
        draft.nodes := kaireon_internal.normalise_nodes(nodes);
        draft.edges := kaireon_internal.normalise_edges(edges, draft.nodes);
    ELSIF edges IS NOT NULL THEN
        draft.edges := kaireon_internal.normalise_edges(edges, draft.nodes);
    END IF;
    IF changed OR moved THEN
        PERFORM kaireon_internal.require_valid(p.owner, name, c, s, draft.nodes, draft.edges, draft.execution_config);
    END IF;
    -- Connector and schema are not of a version: the published one has to fit them too.
    IF moved AND p.published_version IS NOT NULL THEN
        SELECT v.* INTO published FROM kaireon_internal.pipeline_version AS v
         WHERE v.pipeline_id = p.id AND v.version = p.published_version;
        PERFORM kaireon_internal.require_valid(p.owner, name, c, s, published.nodes, published.edges, published.execution_config);
    END IF;
    IF changed THEN
        p.draft_version := p.draft_version + 1;
        INSERT INTO kaireon_internal.pipeline_version (pipeline_id, version, nodes, edges, execution_config, author)
        VALUES (p.id, p.draft_version, draft.nodes, draft.edges, draft.execution_config, caller);
    END IF;
    UPDATE kaireon_internal.pipeline AS t
       SET name = COALESCE(new_name, t.name), connector_id = c, schema_id = s, draft_version = p.draft_version,
           description = CASE WHEN update_pipeline.description IS NULL THEN t.description
                              ELSE NULLIF(update_pipeline.description, '') END,
           updated_at = now()
     WHERE t.id = p.id;
    IF changed AND p.published_version IS NULL THEN
        PERFORM kaireon_internal.warn_of_unused_marks(p.id, draft.nodes);
    END IF;
    RETURN p.draft_version;
END
$$;

CREATE FUNCTION kaireon_internal.publish_pipeline(caller regrole, name text, version int)
    RETURNS int LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, name);
    v kaireon_internal.pipeline_version;
BEGIN
    IF p.status = 'archived' THEN
        PERFORM kaireon_internal.fail('55000', format('pipeline "%s" is archived', name), 'No version of it runs.',
            'Use kaireon.resume_pipeline first.');
    END IF;
    version := COALESCE(version, p.draft_version);
    v := kaireon_internal.get_version(p, version);
    -- The table may have changed since the version was saved.
    PERFORM kaireon_internal.require_valid(p.owner, name, p.connector_id, p.schema_id, v.nodes, v.edges, v.execution_config);
    UPDATE kaireon_internal.pipeline AS t
       SET published_version = v.version, status = CASE t.status WHEN 'draft' THEN 'active' ELSE t.status END, updated_at = now()
     WHERE t.id = p.id;
    PERFORM kaireon_internal.warn_of_unused_marks(p.id, v.nodes);
    RETURN v.version;
END
$$;

CREATE FUNCTION kaireon_internal.set_pipeline_status(p kaireon_internal.pipeline, status text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.pipeline AS t SET status = $2, updated_at = now() WHERE t.id = p.id AND t.status <> $2
$$;

CREATE FUNCTION kaireon_internal.pause_pipeline(caller regrole, name text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, name, operators => true);
BEGIN
    IF p.status = 'archived' THEN
        PERFORM kaireon_internal.fail('55000', format('pipeline "%s" is archived', name), 'It does not run anyway.',
            'Its owner can call kaireon.resume_pipeline.');
    END IF;
    PERFORM kaireon_internal.set_pipeline_status(p, 'paused');
END
$$;

CREATE FUNCTION kaireon_internal.resume_pipeline(caller regrole, name text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, name, operators => true);
BEGIN
    IF p.status = 'archived' THEN
        PERFORM kaireon_internal.require_owner(caller, p.owner, 'pipeline', name);
    END IF;
    PERFORM kaireon_internal.set_pipeline_status(p, CASE WHEN p.published_version IS NULL THEN 'draft' ELSE 'active' END);
    PERFORM FROM kaireon.instance AS i WHERE NOT i.is_confirmed;
    IF FOUND THEN
        RAISE NOTICE 'pipeline "%" does not run yet: this database is a copy', name
            USING HINT = 'See kaireon.instance and kaireon.confirm_instance().';
    END IF;
END
$$;

CREATE FUNCTION kaireon_internal.archive_pipeline(caller regrole, name text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kaireon_internal.set_pipeline_status(kaireon_internal.get_pipeline(caller, name), 'archived');
END
$$;

-- Raises 55006 while a run of the pipeline is queued or running.
CREATE FUNCTION kaireon_internal.check_no_run(p kaireon_internal.pipeline) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    busy text := (SELECT format('Run %s is %s.', r.run_id, r.status) FROM kaireon_internal.run AS r
                   WHERE r.pipeline_id = p.id AND r.status IN ('queued', 'running') LIMIT 1);
BEGIN
    IF busy IS NOT NULL THEN
        PERFORM kaireon_internal.fail('55006', format('pipeline "%s" has a run that is not finished', p.name), busy,
            'Wait for the run, or cancel it with kaireon.cancel_run.');
    END IF;
END
$$;

CREATE FUNCTION kaireon_internal.delete_pipeline(caller regrole, name text, if_exists boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline;
    letters bigint;
    claims bigint;
BEGIN
    IF if_exists AND name IS NOT NULL AND NOT EXISTS (SELECT FROM kaireon_internal.pipeline AS t WHERE t.name = delete_pipeline.name) THEN
        RAISE NOTICE 'pipeline "%" does not exist, skipping', name;
        RETURN;
    END IF;
    p := kaireon_internal.get_pipeline(caller, name);
    PERFORM FROM kaireon_internal.pipeline AS t WHERE t.id = p.id FOR UPDATE;
    PERFORM kaireon_internal.check_no_run(p);
    SELECT count(*) INTO letters FROM kaireon_internal.dead_letter AS d WHERE d.pipeline_id = p.id;
    IF letters > 0 THEN
        PERFORM kaireon_internal.fail('55000', format('pipeline "%s" has %s dead letter%s', name, letters, CASE WHEN letters > 1 THEN 's' ELSE '' END),
            'Without the pipeline they could not be loaded any more.',
            'Load them with kaireon.replay_dead_letters, or throw them away with kaireon.purge_dead_letters.');
    END IF;
    SELECT count(*) INTO claims FROM kaireon_internal.outbox AS o WHERE o.pipeline_id = p.id AND o.kind = 'stage';
    IF claims > 0 THEN
        RAISE NOTICE 'pipeline "%" has % file% in staging folders that nobody loads any more', name, claims, CASE WHEN claims > 1 THEN 's' ELSE '' END;
    END IF;
    -- Versions, lease and file ledger go with it; runs are history and stay.
    DELETE FROM kaireon_internal.pipeline AS t WHERE t.id = p.id;
END
$$;

CREATE FUNCTION kaireon.create_pipeline(name text, connector text, schema text, nodes jsonb = NULL, edges jsonb = NULL,
                                        execution_config jsonb = '{}', schedule text = NULL, timezone text = NULL,
                                        description text = NULL, if_not_exists boolean = false, replace boolean = false)
    RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.create_pipeline IS 'makes a pipeline and returns its id, or with replace gives one that is there a new version; without nodes it appends the source to the schema''s table';

CREATE FUNCTION kaireon.update_pipeline(name text, nodes jsonb = NULL, edges jsonb = NULL, execution_config jsonb = NULL,
                                        connector text = NULL, schema text = NULL, schedule text = NULL, timezone text = NULL,
                                        description text = NULL, new_name text = NULL)
    RETURNS int LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.update_pipeline IS 'saves a new version as the draft and returns its number; what is null stays';

CREATE FUNCTION kaireon.publish_pipeline(name text, version int = NULL)
    RETURNS int LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.publish_pipeline IS 'makes a version (the draft, unless one is given) the one that runs, and returns its number';

CREATE FUNCTION kaireon.pause_pipeline(name text) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.pause_pipeline IS 'keeps a pipeline from starting new runs';

CREATE FUNCTION kaireon.resume_pipeline(name text) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.resume_pipeline IS 'lets a paused or archived pipeline run again';

CREATE FUNCTION kaireon.archive_pipeline(name text) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.archive_pipeline IS 'puts a pipeline away: it does not run, and its history stays';

CREATE FUNCTION kaireon.delete_pipeline(name text, if_exists boolean = false) RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.delete_pipeline IS 'deletes a pipeline with its versions and its record of loaded files; runs stay in the history';
