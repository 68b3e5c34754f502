-- Links between schemas and the summaries of collections; renaming and deleting
-- a schema, with all that hangs on its table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

CREATE FUNCTION pg_temp.describe(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s%s', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' ELSE '' END)
      FROM pg_attribute WHERE attrelid = name AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    $$;
SELECT kaireon.create_schema('sl_customers', '[{"name": "customer_id", "length": 20, "isPrimaryKey": true}, {"name": "region", "dataType": "smallint"},
    {"name": "since", "dataType": "date"}]') IS NOT NULL, kaireon.create_schema('sl_auto', '[{"name": "name"}]') IS NOT NULL;
CREATE FUNCTION pg_temp.link(mapping jsonb, columns jsonb = NULL, linked text = 'sl_customers', kind text = 'collection') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.try(format($f$SELECT kaireon.create_schema('sl_accounts', '[{"name": "account_id", "isPrimaryKey": true}, {"name": "customer_id"},
        {"name": "region", "dataType": "integer"}, {"name": "balance", "dataType": "numeric", "precision": 12, "scale": 2}, {"name": "opened", "dataType": "date"},
        {"name": "premium", "dataType": "boolean"}, {"name": "visits", "dataType": "integer"}, {"name": "score", "dataType": "real"},
        {"name": "big", "dataType": "bigint"}, {"name": "doc", "dataType": "json"}, {"name": "u", "dataType": "uuid"}, {"name": "note", "dataType": "text"}]',
        schema_type => %L, linked_schema => %L, join_mapping => %L, summary_columns => %L)$f$, kind, linked, mapping, columns))
    $$;

-- What a link needs.
SELECT pg_temp.link('{"customer_id": "customer_id"}', kind => 'customer');
SELECT pg_temp.link(NULL, '[{"function": "count", "outputField": "n"}]', kind => 'proposition', linked => NULL);
SELECT pg_temp.link('{"customer_id": "customer_id"}', linked => NULL);
SELECT pg_temp.link(NULL);
SELECT pg_temp.link(NULL, '[{"function": "count", "outputField": "n"}]', linked => NULL);
SELECT pg_temp.link('{"customer_id": "customer_id"}', linked => 'sl_custmers');
SELECT pg_temp.link('{}');
SELECT pg_temp.link('[]');
SELECT pg_temp.link('{"customer_id": 1}');
SELECT pg_temp.link('{"customr_id": "customer_id"}');
SELECT pg_temp.link('{"customer_id": "x"}');
SELECT pg_temp.link('{"id": "customer_id"}');
SELECT pg_temp.link('{"balance": "customer_id"}');
SELECT pg_temp.link('{"customer_id": "since"}');
SELECT pg_temp.link('{"doc": "since"}');
SELECT pg_temp.link('{"customer_id": "id"}', linked => 'sl_auto');

-- What a summary needs.
SELECT pg_temp.link('{"customer_id": "customer_id"}', c) FROM (VALUES ('{}'::jsonb), ('[]'), ('[1]'), ('[{}]'), ('[{"function": "count"}]'),
    ('[{"function": "median", "sourceField": "balance", "outputField": "m"}]'), ('[{"function": "sum", "outputField": "m"}]'),
    ('[{"function": "sum", "sourceField": "balanc", "outputField": "m"}]'), ('[{"function": "sum", "sourceField": "note", "outputField": "m"}]'),
    ('[{"function": "avg", "sourceField": "opened", "outputField": "m"}]'), ('[{"function": "max", "sourceField": "doc", "outputField": "m"}]'),
    ('[{"function": "min", "sourceField": "u", "outputField": "m"}]'), ('[{"function": "max", "sourceField": "premium", "outputField": "m"}]'),
    ('[{"function": "bool_or", "sourceField": "visits", "outputField": "m"}]'), ('[{"function": "count", "outputField": "Customer ID"}]'),
    ('[{"function": "count", "outputField": "updated_at"}]'), ('[{"function": "count", "outputField": "ctid"}]'), ('[{"function": "count", "outputField": "--"}]'),
    ('[{"function": "count", "outputField": "n"}, {"function": "count", "sourceField": "note", "outputField": "N"}]'),
    ('[{"function": "count", "outputField": "n", "filter": "x"}]')) AS v (c);
SELECT count(*) FROM kaireon.schemas WHERE name = 'sl_accounts';

-- Every function and type.
SELECT pg_temp.link('{"Customer ID": "Customer_ID", "region": "region"}', '[{"function": "count", "outputField": "accounts"}, {"function": "count", "sourceField": "*", "outputField": "rows"},
    {"function": "count", "sourceField": "note", "outputField": "Notes"}, {"function": "sum", "sourceField": "balance", "outputField": "total_balance"},
    {"function": "sum", "sourceField": "visits", "outputField": "visits"}, {"function": "sum", "sourceField": "big", "outputField": "sum_big"},
    {"function": "sum", "sourceField": "score", "outputField": "sum_score"}, {"function": "avg", "sourceField": "visits", "outputField": "avg_visits"},
    {"function": "avg", "sourceField": "score", "outputField": "avg_score"}, {"function": "max", "sourceField": "balance", "outputField": "max_balance"},
    {"function": "min", "sourceField": "opened", "outputField": "oldest"}, {"function": "max", "sourceField": "note", "outputField": "last_note"},
    {"function": "max", "sourceField": "customer_id", "outputField": "max_id"}, {"function": "min", "sourceField": "score", "outputField": "worst"},
    {"function": "bool_or", "sourceField": "premium", "outputField": "has_premium"}]');
SELECT schema_type, linked_schema, join_mapping, summary_table FROM kaireon.schemas WHERE name = 'sl_accounts';
SELECT jsonb_array_elements(summary_columns) FROM kaireon.schemas WHERE name = 'sl_accounts' LIMIT 3;
SELECT pg_temp.describe('ds_sl_accounts_summary');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ds_sl_accounts_summary'::regclass AND contype <> 'n';
SELECT f.* FROM kaireon_internal.schema AS s, kaireon_internal.summary_fields(s.id) AS f WHERE s.name = 'sl_accounts';
-- What the catalog gives is enough to make the rows.
INSERT INTO ds_sl_accounts (account_id, customer_id, region, balance, opened, premium, visits, score, big, note) VALUES
    ('a', 'c1', 1, 10.50, '2020-01-01', false, 3, 0.5, 1, NULL), ('b', 'c1', 1, 20.25, '2019-01-01', true, NULL, 1.5, 9223372036854775807, 'x'),
    ('c', 'c2', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('d', NULL, 1, 5, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT format('INSERT INTO ds_sl_accounts_summary (%s) SELECT %s FROM ds_sl_accounts WHERE (%s) IS NOT NULL GROUP BY %3$s', string_agg(quote_ident(f.name), ', ' ORDER BY f.ordinal),
       string_agg(COALESCE(f.aggregate, quote_ident(f.name)), ', ' ORDER BY f.ordinal), string_agg(quote_ident(f.name), ', ') FILTER (WHERE f.is_key))
  FROM kaireon_internal.schema AS s, kaireon_internal.summary_fields(s.id) AS f WHERE s.name = 'sl_accounts' \gexec
SELECT customer_id, region, accounts, rows, notes, total_balance, visits, sum_big, sum_score, avg_visits, avg_score, max_balance, oldest, last_note, max_id, worst, has_premium
  FROM ds_sl_accounts_summary ORDER BY 1;

-- Fields that links use.
SELECT pg_temp.try($$SELECT kaireon.drop_field('sl_accounts', 'balance', true)$$);
SELECT pg_temp.try($$SELECT kaireon.drop_field('sl_accounts', 'region', true)$$);
SELECT pg_temp.try($$SELECT kaireon.drop_field('sl_customers', 'region', true)$$);
SELECT kaireon.alter_field('sl_accounts', 'customer_id', '{"name": "customer"}'), kaireon.alter_field('sl_accounts', 'balance', '{"name": "saldo", "precision": 14}'),
       kaireon.alter_field('sl_customers', 'region', '{"name": "area", "dataType": "integer"}');
SELECT join_mapping, summary_columns -> 3 FROM kaireon.schemas WHERE name = 'sl_accounts';
SELECT customer, region, accounts, total_balance, max_balance, visits FROM ds_sl_accounts_summary ORDER BY 1;
SELECT pg_temp.describe('ds_sl_accounts_summary') AS d OFFSET 0 LIMIT 30;
SELECT pg_temp.try($$SELECT kaireon.alter_field('sl_accounts', 'saldo', '{"dataType": "text"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sl_customers', 'area', '{"dataType": "text"}')$$);
SELECT column_type FROM kaireon.schema_fields WHERE (schema, name) IN (('sl_accounts', 'saldo'), ('sl_customers', 'area')) ORDER BY schema;
-- A column whose values are of another type is empty until the next summary, and so is all of it with another key.
CREATE VIEW sl_totals AS SELECT customer, total_balance FROM ds_sl_accounts_summary;
SELECT kaireon.alter_field('sl_accounts', 'score', '{"dataType": "double"}');
SELECT customer, worst, sum_score, accounts FROM ds_sl_accounts_summary ORDER BY 1;
SELECT pg_temp.try($$SELECT kaireon.alter_field('sl_accounts', 'region', '{"dataType": "bigint"}')$$);
DROP VIEW sl_totals;
SELECT kaireon.alter_field('sl_accounts', 'region', '{"dataType": "bigint"}');
SELECT count(*) FROM ds_sl_accounts_summary;
SELECT pg_temp.describe('ds_sl_accounts_summary') LIMIT 2;

-- Other columns, other links.
INSERT INTO ds_sl_accounts_summary (customer, region, accounts, visits) VALUES ('c1', 1, 7, 8);
SELECT kaireon.update_schema('sl_accounts', summary_columns => '[{"function": "count", "outputField": "accounts"}, {"function": "max", "sourceField": "visits", "outputField": "visits"},
    {"function": "min", "sourceField": "saldo", "outputField": "least"}]');
SELECT pg_temp.describe('ds_sl_accounts_summary');
SELECT customer, region, accounts, visits, least FROM ds_sl_accounts_summary;
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', join_mapping => '{"visits": "customer_id"}')$$);
SELECT kaireon.update_schema('sl_accounts', join_mapping => '{"customer": "customer_id"}');
SELECT pg_temp.describe('ds_sl_accounts_summary');
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', linked_schema => 'sl_auto')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', linked_schema => '')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', linked_schema => 'sl_accounts')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', schema_type => 'customer')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_customers', schema_type => 'proposition')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_customers', schema_type => 'event')$$);
-- A summary table that somebody dropped comes back.
DROP TABLE ds_sl_accounts_summary;
SELECT summary_table FROM kaireon.schemas WHERE name = 'sl_accounts';
SELECT kaireon.update_schema('sl_accounts', description => 'd');
SELECT summary_table FROM kaireon.schemas WHERE name = 'sl_accounts';

-- A new name.
CREATE VIEW sl_view AS SELECT note FROM ds_sl_accounts;
SELECT kaireon.create_connector('sl_files', 'local_fs') IS NOT NULL, kaireon.create_pipeline('sl_load', 'sl_files', 'sl_accounts', '[{"id": "read", "type": "source",
    "config": {"resource": "x.csv"}}, {"id": "load", "type": "target", "config": {"schema": "sl_accounts"}}]') IS NOT NULL;
CREATE TABLE ds_sl_taken ();
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', new_name => 'sl_taken')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', new_name => 'SL customers')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', new_name => '')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', new_name => repeat('x', 53))$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', new_name => repeat('x', 61), summary_columns => '[]')$$);
DROP TABLE ds_sl_taken;
SELECT kaireon.update_schema('sl_accounts', new_name => 'SL Konten', status => 'draft');
SELECT name, display_name, table_name, summary_table, status FROM kaireon.schemas WHERE name LIKE 'sl\_k%';
SELECT pg_get_viewdef('sl_view') LIKE '%FROM ds_sl_konten%';
SELECT schema FROM kaireon.pipelines WHERE name = 'sl_load';
SELECT * FROM kaireon.validate_pipeline('sl_load');
SELECT pg_temp.try($$SELECT kaireon.add_field('sl_accounts', '{"name": "x"}')$$);
SELECT kaireon.update_schema('sl_konten', new_name => 'sl_accounts'), kaireon.update_schema('sl_accounts', new_name => 'sl_accounts');
SELECT name, table_name, summary_table FROM kaireon.schemas WHERE name LIKE 'sl\_a%' ORDER BY 1;
-- A table that was called something else keeps that.
ALTER TABLE ds_sl_auto RENAME TO sl_my_own;
SELECT kaireon.update_schema('sl_auto', new_name => 'sl_other');
SELECT name, table_name FROM kaireon.schemas WHERE name = 'sl_other';
SELECT kaireon.delete_schema('sl_other');
SELECT kaireon.delete_pipeline('sl_load'), kaireon.delete_connector('sl_files');

-- Delete: everything that depends on the table is named.
SELECT pg_temp.try($$SELECT kaireon.delete_schema('sl_customers', cascade => true)$$);
CREATE TABLE sl_child (account varchar REFERENCES ds_sl_accounts, whole ds_sl_accounts);
CREATE FUNCTION sl_count() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM ds_sl_accounts; END;
CREATE MATERIALIZED VIEW sl_stored AS SELECT accounts FROM ds_sl_accounts_summary;
SET client_min_messages = error;
CREATE PUBLICATION sl_published FOR TABLE ds_sl_accounts;
RESET client_min_messages;
SELECT pg_temp.try($$SELECT kaireon.delete_schema('sl_accounts')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sl_accounts', summary_columns => '[]')$$);
DROP VIEW sl_view;
DROP MATERIALIZED VIEW sl_stored;
DROP FUNCTION sl_count;
DROP TABLE sl_child;
SELECT pg_temp.try($$SELECT kaireon.delete_schema('sl_accounts')$$);
SELECT count(*) FROM kaireon.schemas WHERE name = 'sl_accounts';
CREATE VIEW sl_view AS SELECT note FROM ds_sl_accounts;
SET client_min_messages = warning;
SELECT kaireon.delete_schema('sl_accounts', cascade => true);
RESET client_min_messages;
SELECT to_regclass('ds_sl_accounts'), to_regclass('ds_sl_accounts_summary'), to_regclass('sl_view');
DROP PUBLICATION sl_published;
-- A summary that is taken away; a link that is taken away.
SELECT pg_temp.link('{"customer_id": "customer_id"}', '[{"function": "count", "outputField": "n"}]');
SELECT kaireon.update_schema('sl_accounts', summary_columns => '[]', linked_schema => '');
SELECT linked_schema, join_mapping, summary_columns, summary_table FROM kaireon.schemas WHERE name = 'sl_accounts';
SELECT to_regclass('ds_sl_accounts_summary');
SELECT kaireon.delete_schema('sl_accounts'), kaireon.delete_schema('sl_customers'), kaireon.delete_schema('sl_customers', if_exists => true);
-- Room for the summary's name, and a table that is in its place.
SELECT kaireon.create_schema('sl_c', '[{"name": "id", "isPrimaryKey": true}]') IS NOT NULL, kaireon.create_schema('sl_x_summary', '[{"name": "a"}]') IS NOT NULL;
SELECT pg_temp.try(format($$SELECT kaireon.create_schema(%L, '[{"name": "c"}]', schema_type => 'collection', linked_schema => 'sl_c', join_mapping => '{"c": "id"}',
    summary_columns => '[{"function": "count", "outputField": "n"}]')$$, n)) FROM unnest(ARRAY[repeat('x', 53), 'sl_x']) AS n;
SELECT kaireon.delete_schema('sl_c'), kaireon.delete_schema('sl_x_summary');
