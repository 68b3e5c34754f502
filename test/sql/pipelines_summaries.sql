-- Summarize nodes: what is wrong with them, what they compile to, and how
-- schemas that are named by their ids travel.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

SELECT kaireon.create_connector('u_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('u_customers', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "region"}]') IS NOT NULL;
SELECT kaireon.create_schema('u_others', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]') IS NOT NULL;
SELECT kaireon.create_schema('u_accounts', '[{"name": "account", "dataType": "integer", "isPrimaryKey": true}, {"name": "customer_id", "dataType": "integer"},
        {"name": "balance", "dataType": "numeric", "precision": 10, "scale": 2}, {"name": "opened", "dataType": "date"}, {"name": "Note \"x\"", "length": 20}]',
    schema_type => 'collection', linked_schema => 'u_customers', join_mapping => '{"customer_id": "id"}',
    summary_columns => '[{"function": "count", "outputField": "accounts"}, {"function": "sum", "sourceField": "balance", "outputField": "total"}, {"function": "max", "sourceField": "note__x_", "outputField": "order"}]') IS NOT NULL;
SELECT kaireon.create_schema('u_visits', '[{"name": "customer_id", "dataType": "integer"}, {"name": "region"}, {"name": "at", "dataType": "timestamptz"}]',
    schema_type => 'collection', linked_schema => 'u_customers', join_mapping => '{"customer_id": "id", "region": "region"}',
    summary_columns => '[{"function": "max", "sourceField": "at", "outputField": "last_visit"}]') IS NOT NULL;
SELECT kaireon.create_schema('u_bare', '[{"name": "customer_id", "dataType": "integer"}]', schema_type => 'collection') IS NOT NULL;
SET test.connector = 'u_files';
SET test.schema = 'u_accounts';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
-- One node between source and target.
CREATE FUNCTION pg_temp.node(type text, config jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings(jsonb_build_array('{"id": "r", "type": "source"}'::jsonb,
        jsonb_build_object('id', 'n', 'type', type, 'config', config), '{"id": "w", "type": "target"}'::jsonb))
$$;

-- ---- keys
SELECT pg_temp.node('summarize', '{}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "U Accounts", "customerSchemaId": "u_customers", "joinKey": "customer_id", "aggregations": [{"function": "sum", "sourceField": "balance", "outputField": "total"}]}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": 7, "customerSchema": "u_customers", "joinKey": [1], "aggregations": {}}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts", "aggregations": []}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts", "aggregations": [1, {"function": "median", "outputField": "m"}, {"function": "sum", "sourceField": "balance", "alias": "total"}, {"function": "count", "outputField": "n"}, {"function": "count", "outputField": "n"}]}');
-- ---- the collection
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_nothing"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "00000000-0000-0000-0000-000000000000"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_bare"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_customers"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts", "customerSchemaId": "u_others", "joinKey": "account", "aggregations": [{"function": "max", "sourceField": "balance", "outputField": "total"}, {"function": "count", "sourceField": "*", "outputField": "accounts"},
    {"function": "count", "sourceField": "balance", "outputField": "accounts_"}]}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts", "customerSchemaId": "u_nobody"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_visits", "joinKey": "region"}');
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_visits", "joinKey": ["region", "customer_id"]}');
SELECT pg_temp.node('summarize', jsonb_build_object('collectionSchemaId', s.id, 'customerSchemaId', upper(c.id::text))) FROM kaireon.schemas AS s, kaireon.schemas AS c WHERE s.name = 'u_accounts' AND c.name = 'u_customers';
-- Its table, when somebody has changed that: what validation says, what refreshing says, and that it is content then.
CREATE FUNCTION pg_temp.change(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE what;
    RETURN NEXT '-- ' || what;
    RETURN QUERY SELECT f FROM pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts"}') AS f;
    RETURN QUERY SELECT 'refreshed: ' || x FROM unnest(kaireon.refresh_schema('u_accounts')) AS x;
    RETURN QUERY SELECT 'then: ' || f FROM pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts"}') AS f;
    RETURN QUERY SELECT 'has: ' || string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                   FROM pg_attribute AS a WHERE a.attrelid = 'ds_u_accounts_summary'::regclass AND a.attnum > 0 AND NOT a.attisdropped;
    RETURN QUERY SELECT 'incomplete: ' || u.incomplete::text FROM kaireon_internal.summary AS u JOIN kaireon.schemas AS s ON s.id = u.schema_id WHERE s.name = 'u_accounts';
    RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
    NULL;
END
$$;
UPDATE kaireon_internal.summary SET incomplete = '{}';
SELECT pg_temp.change('ALTER TABLE ds_u_accounts_summary ' || c) FROM unnest(ARRAY['ALTER total TYPE int', 'RENAME total TO sum', 'DROP COLUMN total', 'DROP COLUMN updated_at', 'DROP COLUMN customer_id',
    'ALTER customer_id TYPE bigint', 'DROP CONSTRAINT ds_u_accounts_summary_pkey', 'DROP COLUMN accounts, ADD accounts bigint GENERATED ALWAYS AS (customer_id) STORED', 'ADD more text', 'ADD more text NOT NULL']) AS c;
SELECT pg_temp.change('DROP TABLE ds_u_accounts_summary');
-- Who reads it learns of what is gone.
BEGIN;
ALTER TABLE ds_u_accounts_summary RENAME total TO sum;
SELECT pg_temp.node('enrich', '{"summary": "u_accounts", "joinField": "customer_id", "lookupField": "customer_id", "selectFields": ["total"]}');
ROLLBACK;
BEGIN;
ALTER TABLE ds_u_accounts DROP COLUMN balance;
SELECT pg_temp.node('summarize', '{"collectionSchemaId": "u_accounts"}');
ROLLBACK;
-- Rows go through: a field behind it is that before it, and it has one edge out.
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["balance"]}}, {"id": "s", "type": "summarize", "config": {"collectionSchemaId": "u_accounts"}},
    {"id": "f", "type": "filter", "config": {"field": "balance", "operator": "is_null"}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "w", "type": "target"}, {"id": "s", "type": "summarize", "config": {"collectionSchemaId": "u_accounts"}}]');

-- ---- what they compile to
SELECT kaireon.create_pipeline('u_load', 'u_files', 'u_accounts', jsonb_build_array('{"id": "read", "type": "source", "config": {"resource": "in.csv"}}'::jsonb,
    jsonb_build_object('id', 'sums', 'type', 'summarize', 'config', jsonb_build_object('collectionSchemaId', s.id, 'joinKey', 'customer_id')), '{"id": "load", "type": "target"}'::jsonb)) IS NOT NULL
  FROM kaireon.schemas AS s WHERE s.name = 'u_accounts';
SELECT line FROM kaireon.explain_pipeline('u_load') AS line WHERE line !~ '^ {6}';
SELECT kaireon.create_pipeline('u_all', 'u_files', 'u_others', '[{"id": "read", "type": "source"}, {"id": "one", "type": "summarize", "config": {"collectionSchemaId": "u_visits", "customerSchemaId": "u_customers"}},
    {"id": "two", "type": "summarize", "config": {"collectionSchemaId": "u_accounts", "aggregations": [{"function": "count", "outputField": "accounts"}, {"sourceField": "balance", "function": "sum", "outputField": "total"}]}},
    {"id": "load", "type": "target"}]') IS NOT NULL;
SELECT line FROM kaireon.explain_pipeline('u_all') AS line WHERE line !~ '^ {6}';
SELECT kaireon.pipeline_diagram('u_all');

-- ---- ids are names in a document, and keep the schema from being deleted
SELECT n -> 'config' FROM jsonb_array_elements(kaireon.export_pipeline('u_load') -> 'nodes') AS n;
SELECT jsonb_path_query_array(kaireon.export_pipeline('u_load'), '$.schemas[*].name');
SELECT kaireon.update_pipeline('u_load', nodes => (SELECT jsonb_set(p.nodes, '{2}', '{"id": "load", "type": "target", "config": {"schema": "u_others", "fieldMapping": {"account": "id"}}}') FROM kaireon.pipelines AS p WHERE name = 'u_load'), schema => 'u_others');
\set include :abs_srcdir '/sql/include/try.psql'
\i :include
SELECT pg_temp.try($$SELECT kaireon.delete_schema('u_accounts')$$);

-- A summary that is made, gets a column, and goes.
CREATE VIEW pg_temp.incomplete AS SELECT s.name, u.incomplete FROM kaireon_internal.summary AS u JOIN kaireon_internal.schema AS s ON s.id = u.schema_id WHERE s.name LIKE 'u\_%' ORDER BY 1;
SELECT * FROM pg_temp.incomplete;
UPDATE kaireon_internal.summary SET incomplete = '{}';
SELECT kaireon.update_schema('u_visits', summary_columns => '[{"function": "max", "sourceField": "at", "outputField": "last_visit"}, {"function": "count", "outputField": "visits"}]');
SELECT * FROM pg_temp.incomplete;
SELECT kaireon.alter_field('u_accounts', 'balance', '{"dataType": "double", "precision": null, "scale": null}', force => true);
SELECT * FROM pg_temp.incomplete;
SELECT kaireon.delete_pipeline('u_load'), kaireon.delete_pipeline('u_all'), kaireon.update_schema('u_accounts', summary_columns => '[]');
SELECT * FROM pg_temp.incomplete;
SELECT kaireon.delete_schema('u_visits'), kaireon.delete_schema('u_accounts'), kaireon.delete_schema('u_bare'), kaireon.delete_schema('u_customers'), kaireon.delete_schema('u_others'), kaireon.delete_connector('u_files');
SELECT * FROM pg_temp.incomplete;
