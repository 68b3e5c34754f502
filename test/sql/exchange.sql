-- Pipelines as documents, to git and back; what differs between versions.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_connector('x_files', 'local_fs', description => 'files') IS NOT NULL;
SELECT kaireon.create_schema('x_target', '[{"name": "a", "dataType": "integer", "isPrimaryKey": true}, {"name": "b", "length": 20, "displayName": "The B"},
    {"name": "c", "dataType": "numeric", "precision": 8, "scale": 2, "defaultValue": 0}]', display_name => 'A target') IS NOT NULL;
SELECT kaireon.create_pipeline('x_pipe', 'x_files', 'x_target', '[{"id": "r", "type": "source", "config": {"resource": "x.csv"}},
    {"id": "f", "type": "filter", "config": {"field": "a", "operator": ">", "value": 0}}, {"id": "w", "type": "target"}]',
    execution_config => '{"errorHandling": "skip"}', description => 'described') IS NOT NULL;
SELECT kaireon.export_pipeline('x_pipe') AS document \gset
SELECT jsonb_pretty(:'document');

-- Again: nothing is new.
SELECT kaireon.import_pipeline(:'document') = (SELECT id FROM kaireon.pipelines WHERE name = 'x_pipe');
SELECT draft_version FROM kaireon.pipelines WHERE name = 'x_pipe';

-- Elsewhere: all of it is made, and what is exported then is the same.
SELECT kaireon.delete_pipeline('x_pipe'), kaireon.delete_connector('x_files'), kaireon.delete_schema('x_target');
SELECT kaireon.import_pipeline(:'document') IS NOT NULL;
SELECT kaireon.export_pipeline('x_pipe') = :'document';
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a WHERE attrelid = 'ds_x_target'::regclass AND attnum > 0 ORDER BY attnum;

-- Another version of it; versions can be exported.
SELECT kaireon.import_pipeline(jsonb_set(:'document', '{nodes,1,config,value}', '5')) IS NOT NULL;
SELECT draft_version FROM kaireon.pipelines WHERE name = 'x_pipe';
SELECT v, kaireon.export_pipeline('x_pipe', v) #> '{nodes,1,config,value}' FROM generate_series(1, 2) AS v;

-- What differs.
SELECT * FROM kaireon.pipeline_diff('x_pipe', 1, 2);
SELECT * FROM kaireon.pipeline_diff('x_pipe', 2, 2);
SELECT kaireon.update_pipeline('x_pipe', '[{"id": "r", "type": "source", "label": "the file", "config": {"resource": "x.csv"}},
    {"id": "n", "type": "rename", "config": {"sourceField": "x", "targetField": "b"}}, {"id": "w", "type": "target"}]', execution_config => '{"batchSize": 5}');
SELECT * FROM kaireon.pipeline_diff('x_pipe', 2, 3);
SELECT * FROM kaireon.pipeline_diff('x_pipe', 3, 2);

-- Back to the first, and what runs is what is exported.
SELECT kaireon.publish_pipeline('x_pipe', 1);
SELECT kaireon.export_pipeline('x_pipe') #> '{nodes,1,config,value}';

-- Credentials are not in it; a connector that needs some is made without.
SELECT kaireon.import_pipeline(jsonb_set(:'document', '{connectors}', '[{"name": "x_s3", "type": "aws_s3", "authMethod": "access_key", "config": {"bucket": "raw"}}]')) IS NOT NULL;
SELECT type, auth_method, config, status FROM kaireon.connectors WHERE name = 'x_s3';

-- What does not fit.
SELECT pg_temp.try($$SELECT kaireon.export_pipeline('x_pip')$$);
SELECT pg_temp.try($$SELECT kaireon.export_pipeline(NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.export_pipeline('x_pipe', 9)$$);
SELECT pg_temp.try($$SELECT * FROM kaireon.pipeline_diff('x_pipe', 1, 9)$$);
SELECT pg_temp.try($$SELECT * FROM kaireon.pipeline_diff('x_nothing', 1, 2)$$);
SELECT pg_temp.try($$SELECT kaireon.import_pipeline('{"name": "x"}')$$);
SELECT pg_temp.try($$SELECT kaireon.import_pipeline('[]')$$);
SELECT pg_temp.try($$SELECT kaireon.import_pipeline(NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.import_pipeline('{"kaireonPipeline": 1, "name": "x", "connector": "c", "schema": "s", "nodes": [], "edges": {}}')$$);
SELECT pg_temp.try($$SELECT kaireon.import_pipeline('{"kaireonPipeline": 1, "name": "x", "connector": "c", "schema": "s", "nodes": {}}')$$);
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', jsonb_set(:'document', '{kaireonPipeline}', '2')));
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', :'document'::jsonb || '{"colour": "red"}'));
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', jsonb_set(:'document', '{connectors,0,type}', '"http_pull"')));
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', jsonb_set(:'document', '{connectors,0,authConfig}', '{"a": 1}')));
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', jsonb_set(:'document', '{schemas,0,fields,1,length}', '10')));
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', jsonb_set(:'document', '{schemas,0,fields,5}', '{"name": "new"}')));
SELECT pg_temp.try(format('SELECT kaireon.import_pipeline(%L)', jsonb_set(:'document', '{nodes,1,type}', '"explode"'))) LIMIT 2;

SET client_min_messages = warning;
SELECT kaireon.delete_pipeline('x_pipe'), kaireon.delete_connector('x_files'), kaireon.delete_connector('x_s3'), kaireon.delete_schema('x_target');
