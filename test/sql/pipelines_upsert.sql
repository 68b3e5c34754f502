-- Loading strategies upsert and incremental_watermark: what is wrong with their
-- fields, what explain_pipeline and pipeline_diagram show of them.  What they do:
-- t/upsert.t, t/watermark.t.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on

SELECT kaireon.create_connector('up_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('up_rows', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "shop", "length": 20},
    {"name": "sku", "length": 20}, {"name": "email", "length": 20}, {"name": "price", "dataType": "numeric", "precision": 10, "scale": 2}]') IS NOT NULL;
SELECT kaireon.create_schema('up_keyless', '[{"name": "a", "dataType": "integer"}, {"name": "b", "dataType": "integer"}]') IS NOT NULL;
SET test.connector = 'up_files';
SET test.schema = 'up_rows';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
CREATE FUNCTION pg_temp.target(config jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings(jsonb_build_array('{"id": "r", "type": "source"}'::jsonb,
        jsonb_build_object('id', 'w', 'type', 'target', 'config', '{"loadingStrategy": "upsert"}'::jsonb || config)))
$$;

-- ---- keys
SELECT pg_temp.target('{}');
SELECT pg_temp.target('{"keyFields": ["id"]}');
SELECT pg_temp.target('{"keyFields": []}');
SELECT pg_temp.target('{"keyFields": "id"}');
SELECT pg_temp.target('{"keyFields": ["Id"]}');
SELECT pg_temp.target('{"keyFields": ["id", "id"]}');
SELECT pg_temp.target('{"keyFields": ["id", "shop"]}');
SELECT pg_temp.target('{"keyFields": ["sku", "shop"]}');
SELECT pg_temp.target('{"keyFields": ["id"], "loadingStrategy": "append"}');
SELECT pg_temp.target('{"schema": "up_keyless"}');
SELECT pg_temp.target('{"schema": "up_keyless", "keyFields": ["a"]}');
CREATE UNIQUE INDEX up_key ON ds_up_rows (shop, sku) WHERE price > 0;
CREATE UNIQUE INDEX up_mail ON ds_up_rows (lower(email));
ALTER TABLE ds_up_keyless ADD CONSTRAINT later UNIQUE (a) DEFERRABLE, ADD UNIQUE (a, b);
SELECT pg_temp.target('{"keyFields": ["sku"]}');
SELECT pg_temp.target('{"keyFields": ["sku", "shop"]}');
SELECT pg_temp.target('{"keyFields": ["email"]}');
SELECT pg_temp.target('{"schema": "up_keyless"}');
SELECT pg_temp.target('{"schema": "up_keyless", "keyFields": ["a"]}');
SELECT pg_temp.target('{"schema": "up_keyless", "keyFields": ["a", "b"]}');
CREATE UNIQUE INDEX up_mail_2 ON ds_up_rows (upper(email));
SELECT pg_temp.target('{"keyFields": ["email"]}');
CREATE UNIQUE INDEX up_mail_3 ON ds_up_rows (email);
SELECT pg_temp.target('{"keyFields": ["email"]}');

-- ---- fields that must come
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["shop"]}},
    {"id": "w", "type": "target", "config": {"loadingStrategy": "upsert", "keyFields": ["shop", "sku"]}}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["shop", "sku", "email", "price"]}},
    {"id": "w", "type": "target", "config": {"loadingStrategy": "upsert"}}]');
CREATE RULE no_update AS ON UPDATE TO ds_up_rows DO ALSO NOTHING;
SELECT pg_temp.target('{}');
DROP RULE no_update ON ds_up_rows;

-- ---- incremental_watermark
DROP INDEX up_mail_2, up_mail_3;
SELECT pg_temp.target('{"loadingStrategy": "incremental_watermark"}');
SELECT pg_temp.target('{"watermarkField": "price"}');
SELECT pg_temp.target('{"loadingStrategy": "incremental_watermark", "watermarkField": "Price"}');
SELECT pg_temp.target('{"loadingStrategy": "incremental_watermark", "watermarkField": "price", "keyFields": ["sku"]}');
SELECT pg_temp.target('{"loadingStrategy": "incremental_watermark", "watermarkField": "price"}');
SELECT pg_temp.target('{"loadingStrategy": "incremental_watermark", "watermarkField": "price", "keyFields": ["id"]}');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["price"]}},
    {"id": "w", "type": "target", "config": {"loadingStrategy": "incremental_watermark", "watermarkField": "price"}}]');

-- ---- what it looks like
SELECT kaireon.create_pipeline('up', 'up_files', 'up_rows', '[{"id": "r", "type": "source"},
    {"id": "w", "type": "target", "config": {"loadingStrategy": "upsert", "keyFields": ["sku", "shop"]}}]') IS NOT NULL;
SELECT kaireon.explain_pipeline('up');
SELECT kaireon.pipeline_diagram('up');
SELECT kaireon.create_pipeline('up_mark', 'up_files', 'up_rows', '[{"id": "r", "type": "source"},
    {"id": "w", "type": "target", "config": {"loadingStrategy": "incremental_watermark", "watermarkField": "price", "keyFields": ["id"]}}]') IS NOT NULL;
SELECT kaireon.pipeline_diagram('up_mark');
DROP INDEX up_key;
SELECT node_id, severity, code, message FROM kaireon.validate_pipeline('up');

SET client_min_messages = error;
SELECT kaireon.delete_pipeline('up'), kaireon.delete_pipeline('up_mark');
SELECT kaireon.delete_schema('up_rows', cascade => true), kaireon.delete_schema('up_keyless', cascade => true), kaireon.delete_connector('up_files');
