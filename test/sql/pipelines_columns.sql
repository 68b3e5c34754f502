-- pipeline_columns: which source columns and nodes made each target column.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/graph.psql'
\i :include

SELECT kaireon.create_connector('c_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('c_people', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "name"}, {"name": "email"}, {"name": "ssn"}, {"name": "city"},
    {"name": "country"}, {"name": "full_name"}, {"name": "digest"}, {"name": "amount", "dataType": "numeric"}, {"name": "note"}, {"name": "loaded", "dataType": "text", "defaultValue": "''now''"}]') IS NOT NULL;
SELECT kaireon.create_schema('c_sums', '[{"name": "city", "isPrimaryKey": true}, {"name": "n", "dataType": "bigint"}, {"name": "total", "dataType": "numeric"}, {"name": "population", "dataType": "integer"}]') IS NOT NULL;
SELECT kaireon.create_schema('c_cities', '[{"name": "name", "isPrimaryKey": true}, {"name": "people", "dataType": "integer"}]') IS NOT NULL;
-- A row each.
CREATE FUNCTION pg_temp.columns(pipeline text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s(%s).%s <- %s by %s: %s', target_node, target_schema, target_column, concat_ws('.', source_node, '(' || source_schema || ')', source_column), nodes, steps)
      FROM kaireon.pipeline_columns(pipeline)
$$;

-- ---- a chain of all row nodes
SELECT kaireon.create_pipeline('c_chain', 'c_files', 'c_people', pg_temp.nodes('read source {"resource": "in.csv"}', 'rich filter {"field": "amount", "operator": ">", "value": 10}',
    'email rename {"sourceField": "email_address", "targetField": "email"}', 'split split {"sourceField": "place", "separator": "/", "outputFields": ["city", "country"]}',
    'full merge {"sourceFields": ["first", "last"], "separator": " ", "outputField": "full_name"}', 'upper expression {"outputField": "full_name", "expression": "upper(full_name)"}',
    'hash hash {"field": "ssn", "algorithm": "md5", "outputField": "digest"}', 'mask mask_pii {"field": "ssn", "maskType": "ssn"}', 'map map_values {"field": "country", "mappings": {"DE": "Germany"}}',
    'number cast {"field": "amount", "targetType": "numeric"}', 'twice expression {"outputField": "amount", "expression": "amount * 2 + coalesce(extra::numeric, 0)"}', 'note add_field {"fieldName": "note", "fieldType": "text", "defaultValue": "x"}',
    'drop drop {"fields": ["loaded"]}', 'rules validate {"rules": [{"field": "id", "rule": "gt:0"}]}', 'load target')) IS NOT NULL;
SELECT pg_temp.columns('c_chain');
SELECT * FROM kaireon.pipeline_columns('c_chain') WHERE target_column = 'full_name';

-- ---- sets, joins, lookups, branches, several targets
SELECT kaireon.create_pipeline('c_graph', 'c_files', 'c_people', pg_temp.nodes('people source {"resource": "people.csv"}', 'orders source {"resource": "orders.csv"}',
    'typed cast {"field": "amount", "targetType": "numeric"}', 'once deduplicate {"keyFields": ["order_id"]}',
    'both join {"joinType": "full", "on": [{"left": "id", "right": "customer"}], "selectFields": ["amount", {"field": "remark", "alias": "note"}]}',
    'known validate {"rules": [{"field": "id", "rule": "unique", "onFail": "skip"}]}',
    'kind branch {"routes": [{"label": "big", "field": "amount", "operator": ">", "value": 100}, {"label": "small", "field": "amount", "operator": ">", "value": 10}]}',
    'tag expression {"outputField": "note", "expression": "note || ''!''"}', 'anonymous hash {"field": "name"}',
    'sums aggregate {"groupByFields": ["city"], "aggregations": [{"function": "count", "alias": "n"}, {"function": "sum", "field": "amount", "alias": "total"}]}',
    'size lookup_join {"lookupSchema": "c_cities", "joinField": "city", "lookupField": "name", "selectFields": [{"field": "people", "alias": "inhabitants"}]}',
    'more expression {"outputField": "inhabitants", "expression": "inhabitants + n"}',
    'load target {"fieldMapping": {"mail": "email"}}', 'cities target {"schema": "c_sums", "fieldMapping": {"inhabitants": "population"}}'),
    pg_temp.edges('people>both:left', 'orders>typed', 'typed>once', 'once>both:right', 'both>known', 'known>kind', 'kind>tag:big', 'tag>load', 'kind>anonymous:small', 'anonymous>load', 'kind>sums:otherwise', 'sums>size', 'size>more', 'more>cities')) IS NOT NULL;
SELECT pg_temp.columns('c_graph');

-- ---- summaries: what is written, and what is looked up in one
SELECT kaireon.create_schema('c_accounts', '[{"name": "account", "dataType": "integer", "isPrimaryKey": true}, {"name": "person", "dataType": "integer"}, {"name": "balance", "dataType": "numeric"}, {"name": "total", "dataType": "numeric"}]',
    schema_type => 'collection', linked_schema => 'c_people', join_mapping => '{"person": "id"}',
    summary_columns => '[{"function": "count", "outputField": "accounts"}, {"sourceField": "balance", "function": "sum", "outputField": "total_balance"}]') IS NOT NULL;
SELECT kaireon.create_pipeline('c_sum', 'c_files', 'c_accounts', pg_temp.nodes('read source', 'known enrich {"summary": "c_accounts", "joinField": "person", "lookupField": "person", "selectFields": [{"field": "total_balance", "alias": "total"}]}',
    'sums summarize {"collectionSchemaId": "c_accounts"}', 'load target')) IS NOT NULL;
SELECT * FROM kaireon.pipeline_columns('c_sum');
SELECT kaireon.delete_pipeline('c_sum'), kaireon.delete_schema('c_accounts');

-- ---- who may look
CREATE ROLE c_operator;
GRANT kaireon_operator TO c_operator;
CREATE ROLE c_viewer;
GRANT kaireon_viewer TO c_viewer;
\set include :abs_srcdir '/sql/include/try.psql'
\i :include
SELECT pg_temp.try($$SELECT kaireon.pipeline_columns('c_chain')$$, 'c_operator');
SELECT pg_temp.try($$SELECT kaireon.pipeline_columns('c_chain')$$, 'c_viewer');
SELECT pg_temp.try($$SELECT kaireon.pipeline_columns('c_chian')$$);
DROP ROLE c_operator, c_viewer;

SELECT kaireon.delete_pipeline('c_chain'), kaireon.delete_pipeline('c_graph'), kaireon.delete_schema('c_people'), kaireon.delete_schema('c_sums'), kaireon.delete_schema('c_cities'), kaireon.delete_connector('c_files');
