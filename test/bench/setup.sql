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

SELECT kaireon.create_pipeline(name => 'bench_append', connector => 'bench', schema => 'bench', nodes => '[
    {"id": "read", "type": "source", "config": {"resource": "bench.csv", "format": "csv", "header": true}},
    {"id": "load", "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null

SELECT kaireon.create_pipeline(name => 'bench_chain', connector => 'bench', schema => 'bench_chain', nodes => '[
    {"id": "read",  "type": "source", "config": {"resource": "bench.csv", "format": "csv", "header": true}},
    {"id": "money", "type": "filter", "config": {"field": "balance", "operator": ">", "value": 0}},
    {"id": "email", "type": "rename", "config": {"sourceField": "email_address", "targetField": "email"}},
    {"id": "cast",  "type": "cast", "config": {"field": "last_seen", "targetType": "timestamptz"}},
    {"id": "mask",  "type": "mask_pii", "config": {"field": "ssn", "maskType": "ssn"}},
    {"id": "load",  "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}]',
    execution_config => '{"errorHandling": "skip"}') \g /dev/null

CREATE TABLE copied (LIKE public.ds_bench);
CREATE TABLE staging (customer_id text, email_address text, name text, ssn text, tier text,
    balance text, signup_date text, last_seen text, note text, active text);
CREATE TABLE by_hand (LIKE public.ds_bench_chain);
