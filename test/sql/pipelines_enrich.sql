-- Enrich from a connector: what is wrong with its config, and what it compiles to.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

SELECT kaireon.create_connector('e_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_connector('e_soon', 'apache_kafka', '{"bootstrapServers": "host:9092"}', 'none') IS NOT NULL;
SELECT kaireon.create_schema('e_target', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "name", "length": 20}, {"name": "profile", "dataType": "json"}]') IS NOT NULL;
SET test.connector = 'e_files';
SET test.schema = 'e_target';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
\set include :abs_srcdir '/sql/include/compiled.psql'
\i :include
-- What is wrong with an enrich node of that config, between a source and a target.
CREATE FUNCTION pg_temp.enrich(config text, source jsonb DEFAULT '{}') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings(jsonb_build_array(jsonb_build_object('id', 'r', 'type', 'source', 'config', source), jsonb_build_object('id', 'e', 'type', 'enrich', 'config', config::jsonb),
        '{"id": "w", "type": "target"}'::jsonb))
$$;

-- ---- which kind it is
SELECT pg_temp.enrich('{}') LIMIT 2;
SELECT pg_temp.enrich('{"connector": "e_files", "schema": "e_target", "resource": "{id}.csv", "outputField": "profile"}');
SELECT pg_temp.enrich('{"schema": "e_target", "joinField": "id", "lookupField": "id", "selectFields": ["name"], "outputField": "profile"}');
SELECT pg_temp.enrich('{"connector": "e_files", "joinField": "id", "resource": "{id}.csv", "outputField": "profile"}');

-- ---- its keys
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}.csv", "outputField": "profile"}');
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "c/{x}-{month}.csv", "params": {"x": "id"}, "outputField": "profile", "result": "all", "maxCalls": 1000000, "delimiter": ";", "ordering": "latest_by_mtime"}');
SELECT pg_temp.enrich('{"connector": "e_files"}');
SELECT pg_temp.enrich('{"connector": 1, "resource": ["{id}"], "params": "id", "outputField": true, "result": "last", "maxCalls": "many"}');
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}.csv", "outputField": "", "maxCalls": 0}');
SELECT pg_temp.enrich(jsonb_build_object('connector', 'e_files', 'resource', '{id}.csv', 'outputField', 'profile', 'maxCalls', m)::text) FROM unnest('{1.5,1000001,1e3}'::numeric[]) AS m;
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}.csv", "outputField": "profile", "rowLimit": 1, "incremental": true, "onError": "skip"}');
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}.csv", "outputField": "profile", "quote": ";", "delimiter": ";"}');
SELECT r, pg_temp.enrich(jsonb_build_object('connector', 'e_files', 'resource', r, 'outputField', 'profile')::text)
  FROM unnest(ARRAY['all.csv', '', '{}.csv', '{id.csv', '{i{d}.csv', 'id}.csv', '{{id}}.csv', '{{{id}}}.csv', '}}{id}']) AS r;
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}/{id}.csv", "params": {"key": "id", "id": ""}, "outputField": "profile"}');
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}.csv", "params": {"id": ["name"]}, "outputField": "profile"}');

-- ---- what it needs
SELECT pg_temp.enrich('{"connector": "e_none", "resource": "{id}.csv", "outputField": "profile"}');
SELECT pg_temp.enrich('{"connector": "e_soon", "resource": "{id}.csv", "outputField": "profile"}');
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}/{month}.csv", "params": {"month": "name"}, "outputField": "profile"}', '{"columns": ["id"]}');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["key"]}},
    {"id": "e", "type": "enrich", "config": {"connector": "e_files", "resource": "{key}.csv", "outputField": "profile"}}, {"id": "w", "type": "target"}]');
-- A schema field that is no JSON gets it as text.
SELECT pg_temp.enrich('{"connector": "e_files", "resource": "{id}.csv", "outputField": "name"}');
-- A role that may not use the connector.
CREATE ROLE e_user;
GRANT kaireon_admin TO e_user;
GRANT CREATE ON SCHEMA public TO e_user;
SET ROLE e_user;
SELECT kaireon.create_connector('e_hers', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('e_hers', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "profile", "dataType": "json"}]') IS NOT NULL;
SELECT kaireon.create_pipeline('e_hers', 'e_hers', 'e_hers', '[{"id": "r", "type": "source"}, {"id": "e", "type": "enrich",
    "config": {"connector": "e_files", "resource": "{id}.csv", "outputField": "profile"}}, {"id": "w", "type": "target"}]');
RESET ROLE;

-- ---- what it compiles to
SELECT kaireon.create_pipeline('e_one', 'e_files', 'e_target', '[{"id": "read", "type": "source", "config": {"resource": "in.csv"}},
    {"id": "about", "type": "enrich", "config": {"connector": "e_files", "resource": "c/{customer}.csv", "outputField": "profile"}}, {"id": "load", "type": "target"}]') IS NOT NULL;
SELECT pg_temp.compiled('e_one');
SELECT kaireon.pipeline_diagram('e_one');
-- Keys of several fields, one of which is no text; the output takes the place of a field, and looks like one of the node's own.
SELECT kaireon.create_pipeline('e_two', 'e_files', 'e_target', '[{"id": "read", "type": "source", "config": {"resource": "in.csv"}},
    {"id": "day", "type": "cast", "config": {"field": "day", "targetType": "date"}},
    {"id": "about", "type": "enrich", "config": {"connector": "e_files", "resource": "{key}/{day}/*.csv", "params": {"key": "#problem"}, "outputField": "#problem", "result": "all", "maxCalls": 5}},
    {"id": "count", "type": "expression", "config": {"outputField": "name", "expression": "jsonb_array_length(\"#problem\") || '' records''"}}, {"id": "load", "type": "target", "config": {"fieldMapping": {"#problem": "profile"}}}]') IS NOT NULL;
SELECT pg_temp.compiled('e_two');
SELECT * FROM kaireon.pipeline_columns('e_two');
-- The connector is in use.
SELECT kaireon.create_connector('e_other', 'local_fs') IS NOT NULL;
SELECT kaireon.update_pipeline('e_one', nodes => '[{"id": "read", "type": "source", "config": {"resource": "in.csv"}},
    {"id": "about", "type": "enrich", "config": {"connector": "e_other", "resource": "{customer}.csv", "outputField": "profile"}}, {"id": "load", "type": "target"}]');
SELECT kaireon.delete_connector('e_other');
SELECT kaireon.update_connector('e_other', new_name => 'e_another');
SELECT c ->> 'name' FROM jsonb_array_elements(kaireon.export_pipeline('e_one') -> 'connectors') AS c;

SELECT kaireon.delete_pipeline('e_one'), kaireon.delete_pipeline('e_two'), kaireon.delete_schema('e_target'), kaireon.delete_schema('e_hers');
SELECT kaireon.delete_connector('e_files'), kaireon.delete_connector('e_soon'), kaireon.delete_connector('e_other'), kaireon.delete_connector('e_hers');
REVOKE CREATE ON SCHEMA public FROM e_user;
DROP ROLE e_user;
