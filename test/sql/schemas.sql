-- Schemas: the table that create_schema makes, and every error it can give.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- Columns of a table, as psql's \d has them, and its constraints.
CREATE FUNCTION pg_temp.describe(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s%s%s', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' ELSE '' END,
                  ' default ' || pg_get_expr(adbin, adrelid))
      FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = name AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    $$;
CREATE FUNCTION pg_temp.constraints(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = name AND contype <> 'n' ORDER BY conname COLLATE "C"
    $$;

-- Every type.
SELECT kaireon.create_schema('s_types', '[
    {"name": "v"}, {"name": "v10", "dataType": "varchar", "length": 10}, {"name": "t", "dataType": "text"},
    {"name": "i", "dataType": "integer"}, {"name": "b", "dataType": "bigint"}, {"name": "s", "dataType": "smallint"},
    {"name": "n", "dataType": "numeric"}, {"name": "n12", "dataType": "numeric", "precision": 12},
    {"name": "n12_2", "dataType": "numeric", "precision": 12, "scale": 2}, {"name": "d", "dataType": "decimal", "precision": 5, "scale": 5},
    {"name": "f", "dataType": "float"}, {"name": "r", "dataType": "real"}, {"name": "dp", "dataType": "double"},
    {"name": "bo", "dataType": "boolean"}, {"name": "da", "dataType": "date"}, {"name": "ts", "dataType": "timestamp"},
    {"name": "tz", "dataType": "timestamptz"}, {"name": "j", "dataType": "json"}, {"name": "u", "dataType": "uuid"}]') AS made \gset
SELECT id = :'made' FROM kaireon.schemas WHERE name = 's_types';
SELECT pg_temp.describe('ds_s_types');
SELECT pg_temp.constraints('ds_s_types');
SELECT ordinal, name, data_type, length, precision, scale, column_type FROM kaireon.schema_fields WHERE schema = 's_types' ORDER BY ordinal;

-- Keys, unique and not-null fields, defaults.
SELECT kaireon.create_schema('s_keys', '[
    {"name": "id", "dataType": "uuid", "isPrimaryKey": true, "isUnique": true, "isNullable": true},
    {"name": "region", "dataType": "varchar", "length": 2, "isPrimaryKey": true, "defaultValue": "''eu''"},
    {"name": "email", "isUnique": true, "isNullable": false, "displayName": "E-mail", "description": "where to write to"},
    {"name": "select", "defaultValue": "''it''''s \"here\"''"},
    {"name": "n", "dataType": "numeric", "defaultValue": -1.5e2}, {"name": "i", "dataType": "integer", "defaultValue": "7"},
    {"name": "t", "dataType": "boolean", "defaultValue": true}, {"name": "f", "dataType": "boolean", "defaultValue": "FALSE"},
    {"name": "none", "defaultValue": "null"}, {"name": "none2", "defaultValue": null}, {"name": "empty", "defaultValue": "''''"},
    {"name": "at", "dataType": "timestamptz", "defaultValue": "now()"},
    {"name": "today", "dataType": "date", "defaultValue": "CURRENT_TIMESTAMP"},
    {"name": "doc", "dataType": "json", "defaultValue": "''{\"a\": 1}''"}]',
    entity_type => 'customer', display_name => 'Keys', description => 'of all kinds') IS NOT NULL;
SELECT pg_temp.describe('ds_s_keys');
SELECT pg_temp.constraints('ds_s_keys');
INSERT INTO ds_s_keys (id, email) VALUES ('00000000-0000-0000-0000-000000000001', 'a@b.c');
SELECT region, email, "select", n, i, t, f, none, none2, empty = '', at = now(), today IS NOT NULL, doc, created_at = now() FROM ds_s_keys;
SELECT name, display_name, is_primary_key, is_unique, is_nullable, default_value, description
  FROM kaireon.schema_fields WHERE schema = 's_keys' ORDER BY ordinal;
ANALYZE ds_s_keys;
SELECT name, display_name, description, entity_type, schema_type, table_name, table_schema, status, linked_schema, row_estimate,
       size_bytes > 0, owner = current_user::regrole, jsonb_array_length(fields) FROM kaireon.schemas WHERE name = 's_keys';
SELECT jsonb_pretty(fields -> 1) FROM kaireon.schemas WHERE name = 's_keys';

-- Names become safe ones; what a person called it is kept.
SELECT kaireon.create_schema('  S Ünsafe; Näme"--', '[{"name": "E-Mail Address"}, {"name": "e_mail"}]') IS NOT NULL;
SELECT name, display_name, table_name FROM kaireon.schemas WHERE name LIKE 's__nsafe%';
SELECT name, display_name FROM kaireon.schema_fields WHERE schema LIKE 's__nsafe%' ORDER BY ordinal;
SELECT kaireon.delete_schema('S Ünsafe; Näme"--');
SELECT kaireon.create_schema(repeat('s', 60), '[{"name": "a"}]') IS NOT NULL;
SELECT length(table_name) FROM kaireon.schemas WHERE name LIKE 'sss%';
SELECT kaireon.delete_schema(repeat('s', 60));
SELECT pg_temp.try($$SELECT kaireon.create_schema(repeat('s', 61), '[{"name": "a"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('', '[{"name": "a"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema(NULL, '[{"name": "a"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('--', '[{"name": "a"}]')$$);

-- Again.
SELECT kaireon.create_schema('S_KEYS', '[{"name": "a"}]', if_not_exists => true) = id FROM kaireon.schemas WHERE name = 's_keys';
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_keys', '[{"name": "a"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('S keys', '[{"name": "a"}]')$$);
CREATE TABLE ds_s_taken ();
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_taken', '[{"name": "a"}]')$$);
DROP TABLE ds_s_taken;

-- The array of fields.
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '{"name": "a"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}, 1]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}, {"dataType": "text"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "lenght": 3}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "dataType": "varchr"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "length": "3"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "length": 0}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "length": 99999999999}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "dataType": "text", "length": 3}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "dataType": "integer", "precision": 3}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "dataType": "numeric", "scale": 3}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "dataType": "numeric", "precision": 2, "scale": 3}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "dataType": "numeric", "precision": 1001}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "isNullable": "no"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": ""}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', jsonb_build_array(jsonb_build_object('name', repeat('x', 64))))$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a b"}, {"name": "A_b"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "ID"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "created at"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "updated_at", "isPrimaryKey": true}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "ctid"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i)) FROM generate_series(1, 1501) AS i))$$);

-- Defaults that are more than a literal.
SELECT 'default ' || d, pg_temp.try(format($$SELECT kaireon.create_schema('s_bad', %L)$$,
           jsonb_build_array(jsonb_build_object('name', 'a', 'dataType', t, 'defaultValue', d))))
  FROM (VALUES ('gold', 'text'), ('''a'' || current_user', 'text'), ('''a''; DROP TABLE x', 'text'), ('''a', 'text'), ('''', 'text'),
               ('''a''b''', 'text'), ('''a\''', 'text'), (E'''a\n''', 'text'), ('E''a''', 'text'), ('$$a$$', 'text'), ('1; SELECT 2', 'integer'),
               ('1 2', 'integer'), ('--1', 'integer'), ('0x10', 'integer'), ('nextval(''s'')', 'bigint'), ('now() + 1', 'date'),
               ('now()', 'text'), ('abc()', 'text'), ('''abc''', 'integer'), ('1.5', 'integer'), ('99999', 'smallint'), ('12', 'boolean'),
               ('''a'' -- x', 'text'), ('''a'' /* x */', 'text'), ('/**/''a''', 'text'), ('1/**/', 'integer'), ('''a''::text', 'text'),
               ('''a''||''b''', 'text'), (E'''a''\n''b''', 'text'), ('U&''\0061''', 'text'), ('B''1''', 'text'), ('X''1F''', 'text'), ('N''a''', 'text'),
               ('CAST(''a'' AS text)', 'text'), ('text ''a''', 'text'), ('DATE ''2024-01-01''', 'date'), ('(1)', 'integer'), ('- 1', 'integer'), ('1::int', 'integer'),
               ('1e', 'double'), ('.', 'double'), ('1_000', 'integer'), ('Infinity', 'double'), ('current_date', 'date'), ('now ()', 'timestamptz'),
               ('pg_catalog.now()', 'timestamptz'), ('now()::date', 'date'), ('current_timestamp(3)', 'timestamptz'), ('localtimestamp', 'timestamp'),
               ('clock_timestamp()', 'timestamptz'), ('true AND false', 'boolean'), ('NOT true', 'boolean'), ('true--', 'boolean'), ('null::text', 'text'),
               (E'1\u00a0', 'integer'), (E'\uff11', 'integer'), (E'\u2019a\u2019', 'text'), (E'1\t', 'integer'), (E'now()\u200b', 'date'), ('ARRAY[1]', 'json'), ('"a"', 'text'),
               ('''2024-02-31''', 'date'), ('''Today''', 'date'), ('true', 'date'), ('''{''', 'json'), ('current_user', 'text')) AS v (d, t);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "length": 3, "defaultValue": "''abcd''"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a", "defaultValue": ["x"]}]')$$);

-- The schema as a whole.
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', entity_type => 'client')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', entity_type => NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', schema_type => 'event')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', linked_schema => 's_kays')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', table_schema => 'nowhere')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', table_schema => 'pg_catalog')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', table_schema => 'kaireon_internal')$$);
SELECT count(*) FROM kaireon.schemas WHERE name = 's_bad';
SELECT to_regclass('ds_s_bad');

-- Another place for the table; a collection.
CREATE SCHEMA "Odd Place";
SELECT kaireon.create_schema('s_orders', '[{"name": "a", "dataType": "uuid"}]', entity_type => 'transaction', schema_type => 'collection', linked_schema => 's_keys',
    join_mapping => '{"a": "id"}', summary_columns => '[{"sourceField": "a", "function": "count", "outputField": "n"}]',
    table_schema => 'Odd Place') IS NOT NULL;
SELECT name, table_schema, table_name, linked_schema, join_mapping, summary_columns FROM kaireon.schemas WHERE name = 's_orders';
SELECT pg_temp.try($$SELECT kaireon.create_schema('s_bad', '[{"name": "a"}]', linked_schema => 's_orders')$$);

-- Update.
SELECT kaireon.update_schema('s_orders', display_name => 'Orders', description => 'd', entity_type => 'event', status => 'archived');
SELECT display_name, description, entity_type, status, linked_schema FROM kaireon.schemas WHERE name = 's_orders';
SELECT kaireon.update_schema('s_orders', display_name => '');
SELECT display_name, description FROM kaireon.schemas WHERE name = 's_orders';
SELECT pg_temp.try($$SELECT kaireon.update_schema('s_orders', entity_type => 'x')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('s_orders', status => 'x')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('s_order')$$);

-- Delete.
SELECT pg_temp.try($$SELECT kaireon.delete_schema('s_keys')$$);
CREATE VIEW s_orders_view AS SELECT a FROM "Odd Place".ds_s_orders;
SELECT pg_temp.try($$SELECT kaireon.delete_schema('s_orders')$$);
SELECT count(*) FROM kaireon.schemas WHERE name = 's_orders';
SET client_min_messages = warning;
SELECT kaireon.delete_schema('s_orders', cascade => true);
RESET client_min_messages;
SELECT to_regclass('s_orders_view'), to_regclass('"Odd Place".ds_s_orders');
DROP SCHEMA "Odd Place";
SELECT kaireon.create_connector('s_files', 'local_fs') IS NOT NULL, kaireon.create_pipeline('s_load', 's_files', 's_types') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.delete_schema('s_types', true)$$);
SELECT kaireon.delete_pipeline('s_load'), kaireon.delete_connector('s_files');
-- A table that somebody dropped or renamed.
DROP TABLE ds_s_types;
SELECT name, table_name, row_estimate, size_bytes FROM kaireon.schemas WHERE name = 's_types';
SELECT DISTINCT column_type FROM kaireon.schema_fields WHERE schema = 's_types';
SELECT kaireon.delete_schema('s_types');
ALTER TABLE ds_s_keys RENAME TO "Renamed";
SELECT table_name FROM kaireon.schemas WHERE name = 's_keys';
SELECT kaireon.delete_schema('s_keys');
SELECT to_regclass('"Renamed"');
SELECT pg_temp.try($$SELECT kaireon.delete_schema('s_keys')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.delete_schema(NULL)$$);
SELECT name FROM kaireon.schemas WHERE name LIKE 's\_%';
