-- The benchmark's tables and pipelines.  psql variable "folder": where the CSV is.
SET client_min_messages = warning;
CREATE EXTENSION kaireon;

SELECT kaireon.create_connector(name => 'bench', type => 'local_fs',
    config => jsonb_build_object('basePath', :'folder')) \g /dev/null

-- Two schemas of one shape: the file's names, and the chain's target.
SELECT kaireon.create_schema(name => 'bench', fields => '[
    {"name": "customer_id",   "dataType": "bigint"},
    {"name": "email_address", "dataType": "text"},
    {"name": "name",          "dataType": "text"},
    {"name": "ssn",           "dataType": "text"},
    {"name": "tier",          "dataType": "text"},
    {"name": "balance",       "dataType": "numeric", "precision": 12, "scale": 2},
    {"name": "signup_date",   "dataType": "date"},
    {"name": "last_seen",     "dataType": "timestamptz"},
    {"name": "note",          "dataType": "text"},
    {"name": "active",        "dataType": "boolean"}]') \g /dev/null
SELECT kaireon.create_schema(name => 'bench_chain', fields => '[
    {"name": "customer_id",   "dataType": "bigint"},
    {"name": "email",         "dataType": "text"},
    {"name": "name",          "dataType": "text"},
    {"name": "ssn",           "dataType": "text"},
    {"name": "tier",          "dataType": "text"},
    {"name": "balance",       "dataType": "numeric", "precision": 12, "scale": 2},
    {"name": "signup_date",   "dataType": "date"},
    {"name": "last_seen",     "dataType": "timestamptz"},
    {"name": "note",          "dataType": "text"},
    {"name": "active",        "dataType": "boolean"}]') \g /dev/null

-- A schema's table has columns of the platform's own (id, created_at, ...).  What
-- is measured is the loading of the file's ten, without an index, as COPY does
-- it: plain tables take their places.  (adopt_table will do this by the book.)
CREATE TABLE plain (customer_id bigint, email_address text, name text, ssn text, tier text,
    balance numeric(12,2), signup_date date, last_seen timestamptz, note text, active boolean);
CREATE TABLE plain_chain (LIKE plain);
ALTER TABLE plain_chain RENAME email_address TO email;
DROP TABLE public.ds_bench, public.ds_bench_chain;
ALTER TABLE plain RENAME TO ds_bench;
ALTER TABLE plain_chain RENAME TO ds_bench_chain;
UPDATE kaireon_internal.schema SET relation = ('public.ds_' || name)::regclass;

SELECT kaireon.create_pipeline(name => 'bench_append', connector => 'bench', schema => 'bench', nodes => '[
    {"id": "read", "type": "source", "config": {"resource": "bench.csv", "format": "csv", "header": true}},
    {"id": "load", "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null

SELECT kaireon.create_pipeline(name => 'bench_jsonl', connector => 'bench', schema => 'bench', nodes => '[
    {"id": "read", "type": "source", "config": {"resource": "bench.jsonl"}},
    {"id": "load", "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null

SELECT kaireon.create_pipeline(name => 'bench_replace', connector => 'bench', schema => 'bench', nodes => '[
    {"id": "read", "type": "source", "config": {"resource": "bench.csv", "format": "csv", "header": true}},
    {"id": "load", "type": "target", "config": {"loadingStrategy": "blue_green", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null

SELECT kaireon.create_pipeline(name => 'bench_chain', connector => 'bench', schema => 'bench_chain', nodes => '[
    {"id": "read",  "type": "source", "config": {"resource": "bench.csv", "format": "csv", "header": true}},
    {"id": "money", "type": "filter", "config": {"field": "balance", "operator": ">", "value": 0}},
    {"id": "email", "type": "rename", "config": {"sourceField": "email_address", "targetField": "email"}},
    {"id": "cast",  "type": "cast", "config": {"field": "last_seen", "targetType": "timestamptz"}},
    {"id": "mask",  "type": "mask_pii", "config": {"field": "ssn", "maskType": "ssn"}},
    {"id": "load",  "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null

-- An expression, and one that fails for a row of a hundred.
SELECT kaireon.create_pipeline(name => 'bench_' || e.name, connector => 'bench', schema => 'bench', nodes => jsonb_build_array(
    '{"id": "read", "type": "source", "config": {"resource": "bench.csv", "format": "csv", "header": true}}'::jsonb,
    jsonb_build_object('id', 'share', 'type', 'expression', 'config', jsonb_build_object('outputField', 'note', 'expression', e.expression)),
    '{"id": "load", "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}'::jsonb),
    execution_config => '{"errorHandling": "skip"}')
  FROM (VALUES ('clean', '(1000000 / (customer_id % 100 + 1))::text'), ('failing', '(1000000 / (customer_id % 100))::text')) AS e (name, expression) \g /dev/null

-- Nodes that need all rows; nothing is loaded, so that it is theirs what is measured.
SELECT kaireon.create_schema(name => 'bench_keys', fields => '[{"name": "key", "dataType": "text"}, {"name": "n", "dataType": "bigint"}]') \g /dev/null
SELECT kaireon.create_pipeline(name => 'bench_' || e.name, connector => 'bench', schema => 'bench_keys', nodes => jsonb_build_array(
    '{"id": "read", "type": "source", "config": {"resource": "keys.csv", "format": "csv", "header": true}}'::jsonb,
    jsonb_build_object('id', 'all', 'type', e.type, 'config', e.config),
    '{"id": "none", "type": "filter", "config": {"field": "n", "operator": "<", "value": 0}}'::jsonb,
    '{"id": "load", "type": "target"}'::jsonb))
  FROM (VALUES ('deduplicate', 'deduplicate', '{"keyFields": ["key"]}'::jsonb),
               ('aggregate', 'aggregate', '{"groupByFields": ["key"], "aggregations": [{"field": "n", "function": "max", "alias": "n"}]}'),
               ('unique', 'validate', '{"rules": [{"field": "key", "rule": "unique"}]}')) AS e (name, type, config) \g /dev/null

CREATE TABLE copied (LIKE public.ds_bench);
CREATE TABLE staging (customer_id text, email_address text, name text, ssn text, tier text,
    balance text, signup_date text, last_seen text, note text, active text);
CREATE TABLE staging_json (doc jsonb);
CREATE TABLE by_hand (LIKE public.ds_bench_chain);
