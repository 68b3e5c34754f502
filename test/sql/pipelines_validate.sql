-- Validate nodes: what their rules may be, and what they compile to.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
\set include :abs_srcdir '/sql/include/compiled.psql'
\i :include
SELECT kaireon.create_connector('v_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('v_orders', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "customer"}, {"name": "code"}, {"name": "amount", "dataType": "numeric", "precision": 10, "scale": 2}]') IS NOT NULL;
SELECT kaireon.create_schema('v_customers', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "region"}, {"name": "since", "dataType": "date"}]') IS NOT NULL;
SET test.connector = 'v_files';
SET test.schema = 'v_orders';
-- A chain with one validate node of that config, and that node before it.
CREATE FUNCTION pg_temp.chain(config jsonb, before jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
    SELECT '[{"id": "read", "type": "source", "config": {"resource": "in.csv"}}]'::jsonb || coalesce(before, '[]')
           || jsonb_build_array(jsonb_build_object('id', 'check', 'type', 'validate', 'config', config)) || '[{"id": "load", "type": "target"}]'
$$;

-- ---- rules about all rows
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "unique"}, {"field": "customer", "rule": "reference", "schema": "v_customers", "schemaField": "id"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "length:4294967297"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "length:2,4294967298"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"rule": "unique"}, {"field": "code", "rule": "unique:x"}, {"field": "code", "rule": "unique", "value": 1, "schema": "v_customers"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "reference"}, {"field": "code", "rule": "reference:v_customers", "schema": "v_customers", "schemaField": "id"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "gt:1", "schema": "v_customers", "schemaField": "id"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "reference", "schema": "v_none", "schemaField": "id"}, {"field": "code", "rule": "reference", "schema": "v_customers", "schemaField": "key"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "amount", "rule": "reference", "schema": "v_customers", "schemaField": "since"}]}', '[{"id": "number", "type": "cast", "config": {"field": "amount", "targetType": "numeric"}}]'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "gone", "rule": "unique"}, {"field": "gone", "rule": "reference", "schema": "v_customers", "schemaField": "id"}, {"field": "gone", "rule": "not_null"}]}', '[{"id": "less", "type": "drop", "config": {"fields": ["gone"]}}]'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "unique"}, {"rule": "expression:pg_sleep(1) is null"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "code", "rule": "unique"}, {"rule": "expression:code"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [1, {"field": "code", "rule": "unique"}, {"rule": ["unique"]}]}'));

-- Values that are no numbers, or larger than any.
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"field": "amount", "rule": "gt:1.e5"}, {"field": "amount", "rule": "between:1,1e999999"}, {"field": "amount", "rule": "in:1,-1.5E+3,1e-99999"}, {"field": "id", "rule": "lt:5."}]}'));
SELECT kaireon.create_pipeline('v_numbers', 'v_files', 'v_orders', pg_temp.chain('{"rules": [{"field": "amount", "rule": "gt:-1.5e-3"}, {"field": "other", "rule": "between:.5,1.e2"}, {"field": "code", "rule": "in:1.e5,01,-"}, {"field": "other", "rule": "in:1,5."}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_numbers');
SELECT kaireon.delete_pipeline('v_numbers');

-- Positions are in the rule's own expression.
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"rule": "expression:amount > 0"}, {"rule": "expression:amount > 0 and and"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [{"rule": "expression:amount > 0"}, {"rule": "expression:amount > 0 and pg_sleep(1) is null"}]}'));

-- ---- checks on all rows together
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "row_count", "min": 1}, {"check": "row_count_change", "min": -20, "max": 50, "onFail": "warn"}, {"check": "null_share", "field": "code", "max": 0.1}, {"check": "distinct_share", "field": "code", "min": 0.9}, {"check": "sum", "field": "amount", "max": 100}, {"check": "avg", "field": "code", "min": 1}, {"check": "freshness", "field": "code", "maxAge": "1 day"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "row_count_change", "min": -20, "runs": 7}, {"check": "row_count_change", "min": -20, "runs": 0}, {"check": "row_count", "min": 1, "runs": 7}]}'));
SELECT pg_temp.findings(pg_temp.chain('{}'));
SELECT pg_temp.findings(pg_temp.chain('{"rules": [], "dataset": []}'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [1, {"chek": "avg"}, {"check": "median"}, {"check": "row_count", "min": "1"}, {"check": "row_count", "min": 1, "onFail": "skip"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "row_count", "field": "code"}, {"check": "avg", "min": 1}, {"check": "avg", "field": "code", "min": 1, "maxAge": "1 day"}, {"check": "freshness", "field": "code", "min": 1}, {"check": "sum", "field": "code", "min": 2, "max": 1}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "freshness", "field": "code", "maxAge": "soon"}]}'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "avg", "field": "gone", "min": 1}]}', '[{"id": "less", "type": "drop", "config": {"fields": ["gone"]}}]'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "avg", "field": "day", "min": 1}]}', '[{"id": "day", "type": "cast", "config": {"field": "day", "targetType": "date"}}]'));
SELECT pg_temp.findings(pg_temp.chain('{"dataset": [{"check": "distinct_share", "field": "j", "min": 1}]}', '[{"id": "make", "type": "expression", "config": {"outputField": "j", "expression": "code::json"}}]'));

-- ---- what they compile to
SELECT kaireon.create_pipeline('v_rows', 'v_files', 'v_orders', pg_temp.chain('{"rules": [{"field": "code", "rule": "not_null"}, {"field": "amount", "rule": "between:0,100", "onFail": "warn"}, {"rule": "expression:amount < length(code)"}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_rows');
SELECT kaireon.create_pipeline('v_unique', 'v_files', 'v_orders', pg_temp.chain('{"rules": [{"field": "code", "rule": "unique", "onFail": "skip"}, {"field": "amount", "rule": "gt:0", "onFail": "skip"}, {"field": "id", "rule": "unique", "onFail": "warn"}, {"field": "customer", "rule": "unique"}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_unique');
SELECT kaireon.create_pipeline('v_reference', 'v_files', 'v_orders', pg_temp.chain('{"rules": [{"field": "customer", "rule": "reference", "schema": "v_customers", "schemaField": "id", "onFail": "skip"}, {"field": "code", "rule": "unique"}, {"field": "code", "rule": "reference", "schema": "v_customers", "schemaField": "region", "onFail": "warn"}]}',
    '[{"id": "upper", "type": "expression", "config": {"outputField": "code", "expression": "upper(code)"}}]')) IS NOT NULL;
SELECT pg_temp.compiled('v_reference');
SELECT kaireon.pipeline_diagram('v_reference');
SELECT * FROM kaireon.pipeline_columns('v_reference');
-- Names that are also those of the compiler's own columns, and such that need quotes.
SELECT kaireon.create_pipeline('v_names', 'v_files', 'v_orders', pg_temp.chain('{"rules": [{"field": "#rule1", "rule": "unique"}, {"field": "#ordinal", "rule": "unique"}, {"field": "#key1", "rule": "reference", "schema": "v_customers", "schemaField": "id"}, {"field": "a\"b''c", "rule": "not_null"}], "dataset": [{"check": "null_share", "field": "a\"b''c", "max": 0}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_names');
SELECT kaireon.create_pipeline('v_dataset', 'v_files', 'v_orders', pg_temp.chain('{"dataset": [{"check": "row_count", "min": 1}, {"check": "avg", "field": "amount", "max": 9}, {"check": "null_share", "field": "customer", "max": 0.1}], "rules": [{"field": "code", "rule": "not_null"}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_dataset');
SELECT kaireon.pipeline_diagram('v_dataset');
SELECT kaireon.create_pipeline('v_count', 'v_files', 'v_orders', pg_temp.chain('{"dataset": [{"check": "row_count", "min": 1}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_count');
SELECT kaireon.create_pipeline('v_both', 'v_files', 'v_orders', pg_temp.chain('{"dataset": [{"check": "freshness", "field": "day", "maxAge": "2 days"}, {"check": "distinct_share", "field": "code", "min": 0.5}], "rules": [{"field": "code", "rule": "unique"}, {"field": "id", "rule": "gt:0"}]}')) IS NOT NULL;
SELECT pg_temp.compiled('v_both');

SELECT kaireon.delete_pipeline(n) FROM unnest('{v_rows,v_unique,v_reference,v_names,v_dataset,v_count,v_both}'::text[]) AS n;
SELECT kaireon.delete_schema('v_orders'), kaireon.delete_schema('v_customers'), kaireon.delete_connector('v_files');
