-- Changing the fields of a schema: add, alter, drop, with rows in the table.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_schema('sc', '[{"name": "k", "isPrimaryKey": true}, {"name": "v", "length": 5}, {"name": "n", "dataType": "smallint"},
    {"name": "d", "dataType": "numeric", "precision": 5, "scale": 2, "defaultValue": 1}]') IS NOT NULL;
INSERT INTO ds_sc (k, v, n) VALUES ('a', 'one', 1), ('b', NULL, NULL);
CREATE VIEW pg_temp.f AS SELECT ordinal, name, display_name, column_type, is_nullable, is_unique, default_value, description
  FROM kaireon.schema_fields WHERE schema = 'sc' ORDER BY ordinal;

-- Add.
SELECT kaireon.add_field('sc', '{"name": "Added", "dataType": "integer", "isNullable": false, "defaultValue": 7, "description": "d"}');
SELECT kaireon.add_field('SC', '{"name": "u", "isUnique": true}');
SELECT * FROM pg_temp.f;
SELECT k, v, n, d, added, u FROM ds_sc ORDER BY k;
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "v"}')$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "created_at"}')$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "xmin"}')$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "w", "isNullable": false}')$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "w", "isPrimaryKey": true}')$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "w", "type": "text"}')$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc_', '{"name": "w"}')$$);

-- Alter: what is kept in the catalog only, then the column.
SELECT kaireon.alter_field('sc', 'v', '{"displayName": "Value", "description": "what it is"}');
SELECT kaireon.alter_field('sc', 'v', '{"name": "val"}');
SELECT kaireon.alter_field('sc', 'val', '{"length": 10, "defaultValue": "''x''"}');
SELECT kaireon.alter_field('sc', 'n', '{"dataType": "bigint"}');
SELECT kaireon.alter_field('sc', 'd', '{"precision": 7, "scale": 3}');
SELECT kaireon.alter_field('sc', 'added', '{"dataType": "numeric", "precision": 12, "scale": 2, "isNullable": true}');
SELECT * FROM pg_temp.f;
INSERT INTO ds_sc (k) VALUES ('c');
SELECT k, val, n, d, added, u FROM ds_sc ORDER BY k;
SELECT kaireon.alter_field('sc', 'val', '{"dataType": "text", "defaultValue": null, "displayName": null}');
SELECT kaireon.alter_field('sc', 'd', '{"isNullable": false}');
SELECT kaireon.alter_field('sc', 'd', '{}');
SELECT kaireon.alter_field('sc', 'n', '{"name": null, "description": "count"}');
SELECT * FROM pg_temp.f WHERE name IN ('val', 'd');
SELECT attname, attnotnull, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attrelid = 'ds_sc'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"isNullable": false}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'k', '{"isNullable": true}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"name": "k"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"name": "updated_at"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"defaultValue": "x"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"isPrimaryKey": true}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'k', '{"isPrimaryKey": false}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"dataType": "varchr"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"scale": 1}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"nullable": true}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '[]')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'nn', '{}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('s_c', 'n', '{}')$$);

-- A script that runs twice.
SELECT kaireon.add_field('sc', '{"name": "U", "isUnique": true}', if_not_exists => true);
SELECT kaireon.drop_field('sc', 'gone', if_exists => true);
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "u"}')$$);
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'gone')$$);
-- The same default for every row is no key.
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "w", "isUnique": true, "defaultValue": 1, "dataType": "integer"}')$$);

-- Drop.
CREATE VIEW sc_view AS SELECT val FROM ds_sc;
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'val')$$);
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'val', force => true)$$);
DROP VIEW sc_view;
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'k', true)$$);
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'valu')$$);
SELECT kaireon.drop_field('sc', 'u');
SELECT kaireon.drop_field('sc', 'val', force => true);
SELECT * FROM pg_temp.f;
SELECT kaireon.create_schema('sc_one', '[{"name": "only"}]') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc_one', 'only')$$);

-- While a run is going on; and without the table.
SELECT kaireon.create_connector('sc_files', 'local_fs') IS NOT NULL, kaireon.create_pipeline('sc_load', 'sc_files', 'sc') IS NOT NULL;
INSERT INTO kaireon_internal.run (pipeline_id, pipeline, version, owner, status)
SELECT id, name, 1, owner, 'success' FROM kaireon_internal.pipeline WHERE name = 'sc_load';
BEGIN;
UPDATE kaireon_internal.run SET status = 'running' WHERE pipeline = 'sc_load';
SELECT pg_temp.try($$SELECT kaireon.add_field('sc', '{"name": "w"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sc', 'n', '{"name": "w"}')$$);
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'n')$$);
ROLLBACK;
-- An archived schema is loaded all the same, which is told.
SELECT kaireon.update_schema('sc', status => 'archived');
SELECT severity, node_id, code, message FROM kaireon.validate_pipeline('sc_load');
SELECT kaireon.update_pipeline('sc_load', nodes => '[{"id": "r", "type": "source", "config": {"resource": "x"}}, {"id": "w", "type": "target", "config": {"schema": "sc_one"}}]') > 1;
SELECT kaireon.update_schema('sc', status => 'active'), kaireon.update_schema('sc_one', status => 'archived');
SELECT severity, node_id, code, message FROM kaireon.validate_pipeline('sc_load');
SELECT kaireon.delete_pipeline('sc_load'), kaireon.delete_connector('sc_files');
DELETE FROM kaireon_internal.run WHERE pipeline = 'sc_load';
DROP TABLE ds_sc_one;
SELECT pg_temp.try($$SELECT kaireon.add_field('sc_one', '{"name": "w"}')$$);
SELECT kaireon.delete_schema('sc'), kaireon.delete_schema('sc_one');

-- With a schema's name, those of its table's key, unique constraints and sequence change; what others have made keeps its.
CREATE VIEW pg_temp.parts AS SELECT relkind, string_agg(relname, ' ' ORDER BY relname COLLATE "C") FROM pg_class WHERE relname ~ '^ds_sc_(old|new)' GROUP BY relkind ORDER BY relkind;
SELECT kaireon.create_schema('sc_old', '[{"name": "v", "isUnique": true}, {"name": "w"}]') IS NOT NULL;
SELECT kaireon.alter_field('sc_old', 'w', '{"isUnique": true}');
CREATE INDEX ds_sc_old_mine ON ds_sc_old (w);
CREATE TABLE ds_sc_new_w_key ();
SELECT kaireon.update_schema('sc_old', new_name => 'sc_new');
SELECT * FROM pg_temp.parts;
INSERT INTO ds_sc_new (v) VALUES ('a') RETURNING id;
DROP TABLE ds_sc_new_w_key;
SELECT kaireon.update_schema('sc_new', new_name => 'sc_old');
SELECT kaireon.delete_schema('sc_old');

-- What hints say.
SELECT pg_temp.try($$SELECT kaireon.create_schema('sc', '[{"name": "j", "dataType": "json", "defaultValue": "{}"}]')$$);
SELECT kaireon.create_schema('sc', '[{"name": "a"}, {"name": "b"}]') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.drop_field('sc', 'x')$$);
SELECT kaireon.delete_schema('sc');
