-- Pipelines: versions, publishing, status, deleting, and every error these can give.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_connector('p_files', 'local_fs') IS NOT NULL, kaireon.create_connector('p_other', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('p_target', '[{"name": "a", "dataType": "integer"}, {"name": "b"}]') IS NOT NULL;
SELECT kaireon.create_schema('p_second', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;

-- The normal form.
SELECT kaireon.create_pipeline('p_plain', 'p_files', 'p_target') AS made \gset
SELECT id = :'made', connector_id = (SELECT id FROM kaireon.connectors WHERE name = 'p_files'),
       schema_id = (SELECT id FROM kaireon.schemas WHERE name = 'p_target') FROM kaireon.pipelines WHERE name = 'p_plain';
SELECT name, description, connector, schema, schedule, timezone, execution_config, status, last_run_at, last_run_status, draft_version,
       published_version, owner = current_user::regrole FROM kaireon.pipelines WHERE name = 'p_plain';
SELECT jsonb_array_elements(nodes) FROM kaireon.pipelines WHERE name = 'p_plain';
SELECT jsonb_array_elements(edges) FROM kaireon.pipelines WHERE name = 'p_plain';
SELECT kaireon.create_pipeline(name => 'P chain', connector => 'p_files', schema => 'P_Target', nodes => '[
    {"id": "r", "type": "source", "config": {"resource": "x.csv"}, "position": {"x": 1, "y": 2}},
    {"id": "f", "type": "filter", "label": null, "config": {"field": "a", "operator": ">", "value": 0}},
    {"id": "w", "type": "target", "label": "the table", "config": null}]', execution_config => '{"batchSize": 500, "errorHandling": "skip"}',
    description => 'three nodes') IS NOT NULL;
SELECT jsonb_array_elements(nodes) FROM kaireon.pipelines WHERE name = 'P chain';
SELECT jsonb_array_elements(edges) FROM kaireon.pipelines WHERE name = 'P chain';
SELECT kaireon.create_pipeline('p_edges', 'p_files', 'p_target', '[{"id": "w", "type": "target"}, {"id": "r", "type": "source"}]',
    '[{"sourceNodeId": "r", "targetNodeId": "w"}]') IS NOT NULL;
SELECT edges FROM kaireon.pipelines WHERE name = 'p_edges';

-- Again.
SELECT kaireon.create_pipeline('p_plain', 'p_files', 'p_target', if_not_exists => true) = :'made';
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_plain', 'p_files', 'p_target')$$);

-- Errors of its own.
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('', 'p_files', 'p_target')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_fils', 'p_target')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_targt')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', NULL, 'p_target')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target', schedule => '0 6 * * *')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target', timezone => 'UTC')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target', '{}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target', '[]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target', edges => '{}')$$);

-- The engine's findings: one, then several.  Their texts are its own.
SELECT left(line, 5) FROM pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target',
    '[{"id": "r", "type": "source"}, {"id": "t", "type": "targt"}]')$$) AS line LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target', '[{"id": "r", "type": "source"},
    {"id": "x", "type": "filter", "config": {"feld": "a"}}, {"id": "y", "type": "nothing"}, {"id": "w", "type": "target"}]')$$) LIMIT 1;
SELECT regexp_count(line, '^(  detail: )?node "[xy]": .', 1, 'n') FROM pg_temp.try($$SELECT kaireon.create_pipeline('p_bad', 'p_files', 'p_target',
    '[{"id": "r", "type": "source"}, {"id": "x", "type": "nothing"}, {"id": "y", "type": "nothing"}, {"id": "w", "type": "target"}]')$$) AS line
 WHERE line LIKE '  detail%';
SELECT count(*) FROM kaireon.pipelines WHERE name = 'p_bad';

-- Versions.
SELECT kaireon.update_pipeline('p_plain', execution_config => '{"batchSize": 10}');
SELECT kaireon.update_pipeline('p_plain', nodes => '[{"id": "s", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["b"]}},
    {"id": "t", "type": "target"}]');
SELECT kaireon.update_pipeline('p_plain', description => 'described', new_name => 'p_named');
SELECT kaireon.update_pipeline('p_named', edges => '[{"sourceNodeId": "s", "targetNodeId": "d", "label": "one"}, {"sourceNodeId": "d", "targetNodeId": "t"}]');
SELECT pipeline, version, is_draft, is_published, jsonb_array_length(nodes), jsonb_path_query_array(edges, '$[*].label'), execution_config,
       author = current_user::regrole FROM kaireon.pipeline_versions WHERE pipeline = 'p_named' ORDER BY version;
SELECT name, description, draft_version, published_version, status FROM kaireon.pipelines WHERE name = 'p_named';
SELECT kaireon.update_pipeline('p_named', connector => 'p_other');
SELECT connector, draft_version FROM kaireon.pipelines WHERE name = 'p_named';
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('p_named', new_name => 'p_edges')$$);
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('p_named', new_name => 'x ')$$);
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('p_named', connector => 'p_othr')$$);
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('p_named', schema => 'p_secnd')$$);
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('p_named', schedule => '* * * * *')$$);
SELECT left(line, 5) FROM pg_temp.try($$SELECT kaireon.update_pipeline('p_named', execution_config => '{"batchsize": 1}')$$) AS line LIMIT 1;
SELECT left(line, 5) FROM pg_temp.try($$SELECT kaireon.update_pipeline('p_named', edges => '[{"sourceNodeId": "s", "targetNodeId": "zz"}]')$$) AS line LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('p_nmed')$$);
SELECT draft_version FROM kaireon.pipelines WHERE name = 'p_named';

-- Publish: the view shows the version that runs.
SELECT kaireon.publish_pipeline('p_named', 1);
SELECT status, published_version, draft_version, jsonb_array_length(nodes) FROM kaireon.pipelines WHERE name = 'p_named';
SELECT kaireon.publish_pipeline('p_named');
SELECT status, published_version, draft_version, jsonb_array_length(nodes) FROM kaireon.pipelines WHERE name = 'p_named';
SELECT pg_temp.try($$SELECT kaireon.publish_pipeline('p_named', 5)$$);
SELECT pg_temp.try($$SELECT kaireon.publish_pipeline('p_edges', 0)$$);
SELECT pg_temp.try($$SELECT kaireon.publish_pipeline('p_nmed')$$);

-- Status.
SELECT kaireon.pause_pipeline('p_named'), kaireon.pause_pipeline('p_named');
SELECT status FROM kaireon.pipelines WHERE name = 'p_named';
SELECT kaireon.publish_pipeline('p_named');
SELECT status FROM kaireon.pipelines WHERE name = 'p_named';
SELECT kaireon.resume_pipeline('p_named');
SELECT status FROM kaireon.pipelines WHERE name = 'p_named';
SELECT kaireon.pause_pipeline('p_edges'), kaireon.resume_pipeline('p_edges');
SELECT status FROM kaireon.pipelines WHERE name = 'p_edges';
SELECT kaireon.archive_pipeline('p_edges');
SELECT status FROM kaireon.pipelines WHERE name = 'p_edges';
SELECT pg_temp.try($$SELECT kaireon.publish_pipeline('p_edges')$$);
SELECT pg_temp.try($$SELECT kaireon.pause_pipeline('p_edges')$$);
SELECT kaireon.resume_pipeline('p_edges');
SELECT status FROM kaireon.pipelines WHERE name = 'p_edges';
SELECT pg_temp.try($$SELECT kaireon.pause_pipeline('p_edge')$$);
SELECT pg_temp.try($$SELECT kaireon.resume_pipeline('p_edge')$$);
SELECT pg_temp.try($$SELECT kaireon.archive_pipeline('p_edge')$$);

-- History: views of runs, and what is refused while one goes on.
INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, status, queued_at, started_at, finished_at, rows_read, error_code)
SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, id, name, 1, owner, s, t, t + interval '1 second', f, n, e
  FROM kaireon_internal.pipeline, (VALUES (1, 'success', timestamptz '2024-01-01 00:00+00', timestamptz '2024-01-01 00:01:01+00', NULL),
           (2, 'failed', '2024-01-02 00:00+00', '2024-01-02 00:00:03.5+00', '22P02')) AS v (n, s, t, f, e)
 WHERE name = 'p_named';
SET timezone = 'UTC';
SELECT last_run_at, last_run_status FROM kaireon.pipelines WHERE name = 'p_named';
SELECT run_id, pipeline, version, status, trigger, loading_strategy, started_at, duration, rows_read, error_code
  FROM kaireon.runs WHERE pipeline = 'p_named' ORDER BY run_id;
INSERT INTO kaireon_internal.run_node VALUES ('00000000-0000-0000-0000-000000000002', 1, 's', 'source', 0, 5, 1, 2.5);
INSERT INTO kaireon_internal.run_error VALUES ('00000000-0000-0000-0000-000000000002', 1, 's', 'f.csv', 7, 99, 'a', '22P02', 'bad', 'x');
INSERT INTO kaireon_internal.source_file SELECT id, 's', 'f.csv', 10, '2024-01-01 00:00+00', '', 'hash', NULL,
    '00000000-0000-0000-0000-000000000001', 3, '2024-01-01 00:01+00' FROM kaireon_internal.pipeline WHERE name = 'p_named';
INSERT INTO kaireon_internal.dead_letter (pipeline_id, run_id, version, source_node, node_id, source, modified_at, file_number, line, "offset", field, sqlstate, reason, kind, record)
SELECT id, '00000000-0000-0000-0000-000000000002', 1, 's', 't', 'f.csv', '2024-01-01 00:00+00', 0, 7, 99, 'a', '22P02', 'bad', 'record', '{"a": "x", "b": "y"}'
  FROM kaireon_internal.pipeline WHERE name = 'p_named';
SELECT * FROM kaireon.run_nodes WHERE pipeline = 'p_named';
SELECT * FROM kaireon.run_errors WHERE pipeline = 'p_named';
SELECT * FROM kaireon.source_state WHERE pipeline = 'p_named';
SELECT pipeline, run_id, version, source_node, node_id, source, line, "offset", field, reason, sqlstate, kind, record, attempts FROM kaireon.dead_letters WHERE pipeline = 'p_named';
BEGIN;
UPDATE kaireon_internal.run SET status = 'queued' WHERE run_id = '00000000-0000-0000-0000-000000000002';
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('p_named')$$);
SELECT pg_temp.try($$SELECT kaireon.reset_source_state('p_named')$$);
ROLLBACK;
SELECT kaireon.reset_source_state('p_named');
SELECT kaireon.reset_source_state('p_named');
SELECT pg_temp.try($$SELECT kaireon.reset_source_state('p_nmed')$$);

-- A schema that no longer fits keeps a version from being published.
SELECT kaireon.update_pipeline('p_edges', nodes => '[{"id": "r", "type": "source"},
    {"id": "w", "type": "target", "config": {"fieldMapping": {"x": "b"}}}]');
SELECT kaireon.drop_field('p_target', 'b');
SELECT left(line, 5) FROM pg_temp.try($$SELECT kaireon.publish_pipeline('p_edges')$$) AS line LIMIT 1;

-- Delete: history stays, and so does a pipeline with data that could still be loaded.
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('p_named')$$);
SELECT kaireon.purge_dead_letters('p_named');
SELECT kaireon.delete_pipeline('p_named'), kaireon.delete_pipeline('p_edges'), kaireon.delete_pipeline('P chain');
SELECT pipeline, status FROM kaireon.runs WHERE pipeline = 'p_named' ORDER BY run_id;
SELECT count(*) FROM kaireon.pipeline_versions WHERE pipeline LIKE 'p\_%';
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('p_named')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline(NULL)$$);
DELETE FROM kaireon_internal.run WHERE pipeline = 'p_named';
SELECT kaireon.delete_schema('p_target'), kaireon.delete_schema('p_second'), kaireon.delete_connector('p_files'), kaireon.delete_connector('p_other');
