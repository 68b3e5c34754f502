-- What a script may do twice: if_not_exists, replace, if_exists, and calls that change nothing the second time.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- ---- both at once

SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs', if_not_exists => true, replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'c', 's', if_not_exists => true, replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('twice', '[{"name": "a"}]', if_not_exists => true, replace => true)$$);

-- ---- connectors

CREATE TEMP TABLE first (kind text, id uuid);
INSERT INTO first SELECT 'connector', kaireon.create_connector('twice', 'local_fs', '{"basePath": "/srv/a"}', description => 'first', replace => true);
CREATE VIEW pg_temp.connector AS SELECT name, type, auth_method, config, status, last_error, description, id = (SELECT id FROM first WHERE kind = 'connector') AS same
  FROM kaireon.connectors WHERE name = 'twice';
SELECT * FROM pg_temp.connector;
-- The same again, and the outcome of a test stays.
UPDATE kaireon_internal.connector SET status = 'error', last_error = 'x' WHERE name = 'twice';
SELECT kaireon.create_connector('twice', 'local_fs', '{"basePath": "/srv/a"}', description => 'first', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.connector;
-- Something else: it is as a new one would be.
SELECT kaireon.create_connector('twice', 'local_fs', '{"basePath": "/srv/b"}', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.connector;
SELECT kaireon.create_connector('twice', 'local_fs', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.connector;
-- It is checked all the same.
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs', '{"basepath": "/srv/b"}', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'csv_upload', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'nope', replace => true)$$);
SELECT kaireon.create_connector('twice', 'csv_upload', if_not_exists => true) IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs')$$);

-- ---- schemas

INSERT INTO first SELECT 'schema', kaireon.create_schema('again', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true}, {"name": "a", "length": 10}, {"name": "b", "dataType": "decimal", "precision": 8, "scale": 2}]',
    description => 'first', replace => true);
INSERT INTO ds_again (k, a, b) VALUES (1, 'one', 1.25), (2, 'two', 2);
CREATE VIEW pg_temp.schema AS SELECT s.display_name, s.description, s.entity_type, s.id = (SELECT id FROM first WHERE kind = 'schema') AS same,
       (SELECT string_agg(concat_ws(' ', f.name, f.data_type, f.column_type, CASE WHEN f.is_unique THEN 'unique' END, CASE WHEN NOT f.is_nullable THEN 'not null' END, f.default_value, f.display_name), ', ' ORDER BY f.ordinal)
          FROM kaireon.schema_fields AS f WHERE f.schema = s.name) AS fields, (SELECT count(*) FROM ds_again) AS rows
  FROM kaireon.schemas AS s WHERE s.name = 'again';
SELECT * FROM pg_temp.schema;
-- The same again, however it is written.
SELECT updated_at AS before FROM kaireon.schemas WHERE name = 'again' \gset
SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true, "isNullable": false, "displayName": ""}, {"name": "a", "dataType": "varchar", "length": 10}, {"name": "b", "dataType": "decimal", "precision": 8, "scale": 2}]',
    description => 'first', display_name => '', replace => true) IS NOT NULL;
SELECT updated_at = :'before' AS untouched FROM kaireon.schemas WHERE name = 'again';
SELECT * FROM pg_temp.schema;
-- Something else: fields come, change, go, and have the order given.
SELECT kaireon.create_schema('again', '[{"name": "c", "dataType": "boolean", "defaultValue": true}, {"name": "k", "dataType": "bigint", "isPrimaryKey": true}, {"name": "a", "length": 20, "isUnique": true, "isNullable": false, "displayName": "A"}, {"name": "b", "dataType": "numeric", "precision": 10, "scale": 2}, {"name": "d"}]',
    entity_type => 'customer', display_name => 'Again', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.schema;
SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "bigint", "isPrimaryKey": true}, {"name": "a", "length": 20}, {"name": "b", "dataType": "numeric", "precision": 10, "scale": 2}, {"name": "c", "dataType": "boolean"}]', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.schema;
SELECT k, a, b, c FROM ds_again ORDER BY k;
-- Nothing is lost: what stands in the way undoes all of it.
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "bigint", "isPrimaryKey": true}, {"name": "a", "length": 20}, {"name": "new"}]', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "bigint", "isPrimaryKey": true}, {"name": "a", "length": 2}, {"name": "b", "dataType": "numeric", "precision": 10, "scale": 2}, {"name": "c", "dataType": "boolean"}]', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "new", "isNullable": false}, {"name": "k", "dataType": "bigint", "isPrimaryKey": true}]', replace => true)$$);
-- What can't be replaced.
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "bigint"}]', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "isPrimaryKey": true}, {"name": "a", "isPrimaryKey": true}]', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "isPrimaryKey": true}]', table_schema => 'elsewhere', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "isPrimaryKey": true}, {"name": "K"}]', replace => true)$$);
SELECT * FROM pg_temp.schema;
ALTER TABLE ds_again RENAME a TO z;
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "bigint", "isPrimaryKey": true}]', replace => true)$$);
DROP VIEW pg_temp.schema;
SELECT kaireon.delete_schema('again');
CREATE TABLE adopted_again (k int PRIMARY KEY);
SELECT kaireon.adopt_table('again', 'adopted_again') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_schema('again', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true}]', replace => true)$$);
SELECT kaireon.delete_schema('again', keep_table => false);
-- A collection: links and summary columns may name fields that come, and leave those that go.
SELECT kaireon.create_schema('people', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true}]') IS NOT NULL;
CREATE FUNCTION pg_temp.calls(fields text, columns text) RETURNS boolean LANGUAGE sql AS $$
    SELECT kaireon.create_schema('calls', ('[{"name": "n", "dataType": "integer", "isPrimaryKey": true}, {"name": "k", "dataType": "integer"}' || fields || ']')::jsonb, schema_type => 'collection',
        linked_schema => 'people', join_mapping => '{"k": "k"}', summary_columns => columns::jsonb, replace => true) IS NOT NULL $$;
SELECT pg_temp.calls(', {"name": "cost", "dataType": "integer"}', '[{"function": "sum", "sourceField": "cost", "outputField": "cost"}]');
SELECT pg_temp.calls(', {"name": "length", "dataType": "integer"}', '[{"function": "sum", "sourceField": "length", "outputField": "length"}]');
SELECT pg_temp.calls(', {"name": "length", "dataType": "integer"}', '[{"function": "sum", "sourceField": "length", "outputField": "length"}]');
SELECT summary_columns, (SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = 'ds_calls_summary'::regclass AND a.attnum > 0 AND NOT a.attisdropped) FROM kaireon.schemas WHERE name = 'calls';
SELECT kaireon.create_schema('calls', '[{"name": "n", "dataType": "integer", "isPrimaryKey": true}, {"name": "k", "dataType": "integer"}, {"name": "length", "dataType": "integer"}]', replace => true) IS NOT NULL;
SELECT schema_type, linked_schema, join_mapping, summary_columns, summary_table FROM kaireon.schemas WHERE name = 'calls';
SELECT kaireon.delete_schema('calls'), kaireon.delete_schema('people');

-- ---- pipelines

SELECT kaireon.create_schema('twice', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;
SELECT kaireon.create_schema('twice2', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;
INSERT INTO first SELECT 'pipeline', kaireon.create_pipeline('twice', 'twice', 'twice', description => 'first', replace => true);
CREATE VIEW pg_temp.pipeline AS SELECT name, connector, schema, draft_version, published_version, status, description,
       jsonb_path_query_array(nodes, '$[*].id') AS nodes, id = (SELECT id FROM first WHERE kind = 'pipeline') AS same
  FROM kaireon.pipelines WHERE name = 'twice';
SELECT * FROM pg_temp.pipeline;
SELECT kaireon.publish_pipeline('twice');
-- The same again, however it is written.
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', description => 'first', replace => true) IS NOT NULL;
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', '[{"id": "source", "type": "source", "label": null}, {"type": "target", "id": "target", "config": {"loadingStrategy": "append"}}]',
                               '[{"sourceNodeId": "source", "targetNodeId": "target"}]', description => 'first', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.pipeline;
-- Something else is a new version, which does not run before it is published.
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', '[{"id": "in", "type": "source"}, {"id": "out", "type": "target"}]', replace => true) IS NOT NULL;
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', '[{"id": "in", "type": "source"}, {"id": "out", "type": "target"}]', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.pipeline;
SELECT kaireon.create_pipeline('twice', 'twice', 'twice2', '[{"id": "in", "type": "source"}, {"id": "out", "type": "target"}]', execution_config => '{"errorHandling": "skip"}', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.pipeline;
SELECT version, execution_config FROM kaireon.pipeline_versions WHERE pipeline = 'twice' ORDER BY version;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'twice', 'twice2', '[{"id": "in", "type": "source"}]', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'twise', 'twice2', replace => true)$$);
SELECT kaireon.create_pipeline('twice', 'nope', 'nope', if_not_exists => true) IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'twice', 'twice')$$);
-- What does nothing the second time.
SELECT kaireon.publish_pipeline('twice'), kaireon.publish_pipeline('twice');
SELECT kaireon.pause_pipeline('twice'), kaireon.pause_pipeline('twice');
SELECT kaireon.resume_pipeline('twice'), kaireon.resume_pipeline('twice');
SELECT kaireon.archive_pipeline('twice'), kaireon.archive_pipeline('twice');
SELECT kaireon.change_owner('pipeline', 'twice', CURRENT_USER::regrole), kaireon.change_owner('connector', 'twice', CURRENT_USER::regrole);

-- ---- replacing takes what changing takes

SET client_min_messages = warning;
CREATE ROLE regress_other IN ROLE kaireon_admin;
RESET client_min_messages;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs', replace => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_connector('hers', 'local_fs')$$, 'regress_other') AS t;
GRANT INSERT ON ds_twice TO regress_other;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'hers', 'twice', replace => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_schema('twice', '[{"name": "a", "dataType": "integer"}]', replace => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.delete_pipeline('twice', if_exists => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.delete_connector('twice', if_exists => true)$$, 'regress_other') AS t;

-- ---- away with it

SELECT pg_temp.try($$SELECT kaireon.delete_connector('twice', if_exists => true)$$);
SELECT kaireon.delete_pipeline('twice', if_exists => true), kaireon.delete_pipeline('twice', if_exists => true);
SELECT kaireon.delete_connector('twice', if_exists => true), kaireon.delete_connector('twice', if_exists => true);
SELECT kaireon.delete_schema('twice'), kaireon.delete_schema('twice2'), kaireon.delete_connector('hers');
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('twice')$$);
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline(NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.delete_connector(NULL, if_exists => true)$$);
DROP ROLE regress_other;
