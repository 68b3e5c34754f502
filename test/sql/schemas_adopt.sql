-- Adopting tables that are there, and tables that somebody changed without
-- kaireon: every difference is named, and refresh_schema takes it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
SET datestyle = 'German';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

CREATE FUNCTION pg_temp.fields(name text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('%s %s: %s = %s%s%s%s%s', f.ordinal, f.name, f.data_type, f.column_type, CASE WHEN f.is_primary_key THEN ', key' END, CASE WHEN f.is_unique THEN ', unique' END,
                  CASE WHEN NOT f.is_nullable THEN ', not null' END, ', default ' || f.default_value)
      FROM kaireon.schema_fields AS f WHERE f.schema = fields.name ORDER BY f.ordinal
    $$;
SELECT kaireon.create_connector('sd_files', 'local_fs') IS NOT NULL;

-- Every type there is a field for, and others.
CREATE TYPE sd_mood AS ENUM ('fine');
CREATE DOMAIN sd_code AS text;
CREATE TABLE sd_all ("Id" bigint GENERATED ALWAYS AS IDENTITY, v varchar, v10 varchar(10) COLLATE "C" NOT NULL DEFAULT 'it''s', t text UNIQUE, s smallint DEFAULT -5, i integer DEFAULT 7, n numeric,
    n5_2 numeric(5,2) DEFAULT 1.5, nneg numeric(3,-2), r real, d double precision DEFAULT 'NaN', b boolean DEFAULT true, da date DEFAULT CURRENT_TIMESTAMP, ts timestamp(3), tz timestamptz DEFAULT now(),
    j jsonb DEFAULT '{"a": 1}', u uuid DEFAULT gen_random_uuid(), "order by" text, "Ünï ""q""" text, created_at date, updated_at timestamptz,
    plain json, c char(3), by bytea, iv interval, a int[], m sd_mood, co sd_code, twice bigint GENERATED ALWAYS AS (i * 2) STORED, must inet NOT NULL,
    PRIMARY KEY ("Id", s), UNIQUE (i, n));
CREATE UNIQUE INDEX ON sd_all (b);
CREATE UNIQUE INDEX ON sd_all (n) WHERE n > 0;
CREATE UNIQUE INDEX ON sd_all (lower(v));
INSERT INTO sd_all (v10, must) VALUES ('a', '::1');
SELECT pg_relation_filenode('sd_all') AS before \gset
SELECT kaireon.adopt_table('SD all', 'sd_all', entity_type => 'account', description => 'what there is') IS NOT NULL;
SELECT pg_temp.fields('sd_all');
SELECT name, display_name, table_name, table_schema, entity_type, schema_type, adopted, unmanaged_columns FROM kaireon.schemas WHERE name = 'sd_all';
SELECT pg_relation_filenode('sd_all') = :before, (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sd_all'::regclass);
SELECT kaireon.create_pipeline('sd_load', 'sd_files', 'sd_all', '[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}, {"id": "load", "type": "target"}]') IS NOT NULL;
SELECT * FROM kaireon.validate_pipeline('sd_load');
SELECT kaireon.refresh_schema('sd_all');
SELECT kaireon.delete_pipeline('sd_load');
-- It can be changed like any other.
SELECT kaireon.alter_field('sd_all', 'order by', '{"name": "Sort Key", "description": "x"}'), kaireon.alter_field('sd_all', 'Ünï "q"', '{"isNullable": true, "defaultValue": "''x''"}'),
       kaireon.alter_field('sd_all', 'v', '{"isNullable": true}'), kaireon.alter_field('sd_all', 'ts', '{"description": "ms"}'), kaireon.alter_field('sd_all', 'v10', '{"length": 12}'),
       kaireon.alter_field('sd_all', 'b', '{"isUnique": false}'), kaireon.add_field('sd_all', '{"name": "added", "dataType": "integer"}'), kaireon.drop_field('sd_all', 'tz', true);
SELECT pg_temp.fields('sd_all');
SELECT attcollation::regcollation FROM pg_attribute WHERE attrelid = 'sd_all'::regclass AND attname = 'v10';
SELECT pg_temp.try($$SELECT kaireon.add_field('sd_all', '{"name": "must"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('sd_all', 'must', '{"isNullable": true}')$$);
SELECT kaireon.update_schema('sd_all', new_name => 'sd_every');
SELECT name, table_name FROM kaireon.schemas WHERE name LIKE 'sd%';
-- Deleting the schema leaves the table, unless told otherwise.
SELECT kaireon.delete_schema('sd_every');
SELECT count(*) FROM sd_all;
SELECT kaireon.adopt_table('sd_all', 'sd_all', manage_updated_at => true) IS NOT NULL;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'sd_all'::regclass;
SELECT count(*) FROM kaireon.schema_fields WHERE schema = 'sd_all' AND name = 'updated_at';
UPDATE sd_all SET v = 'changed';
SELECT updated_at = max(updated_at) OVER (), updated_at > now() - interval '1 hour' FROM sd_all;
SELECT kaireon.adopt_table('sd_all', 'sd_all', if_not_exists => true) IS NOT NULL;
SELECT kaireon.delete_schema('sd_all');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sd_all'::regclass;
SELECT kaireon.adopt_table('sd_all', 'sd_all') IS NOT NULL;
SELECT kaireon.delete_schema('sd_all', keep_table => false);
SELECT to_regclass('sd_all');

-- What keeps pipelines from loading it is said.
CREATE TABLE sd_ruled (a int, b inet NOT NULL);
CREATE RULE sd_rule AS ON INSERT TO sd_ruled DO INSTEAD NOTHING;
CREATE RULE sd_off AS ON INSERT TO sd_ruled DO ALSO NOTHING;
CREATE RULE sd_update AS ON UPDATE TO sd_ruled DO ALSO NOTHING;
ALTER TABLE sd_ruled DISABLE RULE sd_off;
SELECT kaireon.adopt_table('sd_ruled', 'sd_ruled') IS NOT NULL;
SELECT kaireon.delete_schema('sd_ruled', keep_table => false);

-- Which tables can be adopted.
CREATE ROLE sd_other;
CREATE TABLE sd_t (a int, b text);
CREATE TABLE sd_none (a inet, b int[]);
CREATE VIEW sd_view AS SELECT 1 AS a;
CREATE SEQUENCE sd_seq;
CREATE TEMPORARY TABLE sd_temp (a int);
SELECT pg_temp.try(format('SELECT kaireon.adopt_table(%L, %L)', 'sd_bad', t)) FROM unnest('{sd_view,sd_seq,sd_temp,pg_class,kaireon_internal.schema,sd_none,nowhere}'::text[]) AS t;
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', 0)$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('', 'sd_t')$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', 'sd_t', manage_updated_at => true)$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', 'sd_t', entity_type => 'x')$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', 'sd_t', schema_type => 'x')$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', 'sd_t', join_mapping => '{"a": "b"}')$$);
ALTER TABLE sd_t OWNER TO sd_other;
GRANT kaireon_admin TO sd_other;
CREATE TABLE sd_mine (a int);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_bad', 'sd_mine')$$, 'sd_other');
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_theirs', 'sd_t')$$, 'sd_other');
SELECT owner FROM kaireon.schemas WHERE name = 'sd_theirs';
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_again', 'sd_t')$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_theirs', 'sd_mine')$$);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_theirs', 'sd_mine', if_not_exists => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('sd_theirs', '[{"name": "a"}]')$$);
SELECT kaireon.delete_schema('sd_theirs');
DROP TABLE sd_t, sd_none, sd_mine;
DROP VIEW sd_view;
DROP SEQUENCE sd_seq;
REVOKE kaireon_admin FROM sd_other;
DROP ROLE sd_other;

-- Partitioned and foreign tables; links and a summary with names that are not safe.
CREATE TABLE sd_parts ("Customer" text, at date NOT NULL, amount numeric, updated_at timestamptz, PRIMARY KEY ("Customer", at)) PARTITION BY RANGE (at);
CREATE TABLE sd_parts_1 PARTITION OF sd_parts DEFAULT;
SELECT kaireon.create_schema('sd_customers', '[{"name": "id", "isPrimaryKey": true}]') IS NOT NULL;
SELECT kaireon.adopt_table('sd_parts', 'sd_parts', schema_type => 'collection', linked_schema => 'sd_customers', join_mapping => '{"Customer": "ID"}', manage_updated_at => true,
    summary_columns => '[{"function": "sum", "sourceField": "amount", "outputField": "Total"}]') IS NOT NULL;
SELECT join_mapping, summary_columns, summary_table FROM kaireon.schemas WHERE name = 'sd_parts';
SELECT attname FROM pg_attribute WHERE attrelid = 'ds_sd_parts_summary'::regclass AND attnum > 0 ORDER BY attnum;
INSERT INTO sd_parts VALUES ('c', '2024-01-01', 1, '2000-01-01');
UPDATE sd_parts SET amount = 2;
SELECT updated_at > '2020-01-01' FROM sd_parts;
SELECT kaireon.alter_field('sd_parts', 'amount', '{"isUnique": true}') ;
SELECT kaireon.delete_schema('sd_parts'), kaireon.delete_schema('sd_customers');
SELECT to_regclass('ds_sd_parts_summary'), count(*) FROM sd_parts;
DROP TABLE sd_parts;

-- ---- tables that were changed

SELECT kaireon.create_schema('sd', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true}, {"name": "a", "dataType": "integer", "displayName": "The A"},
    {"name": "b", "dataType": "text", "isUnique": true}, {"name": "c", "length": 10, "isNullable": false, "defaultValue": "''x''"}, {"name": "d", "dataType": "decimal", "precision": 5, "scale": 2, "defaultValue": 1},
    {"name": "e", "dataType": "date", "defaultValue": "''01/02/2024''"}, {"name": "f", "dataType": "float"}]') IS NOT NULL;
SELECT kaireon.create_pipeline('sd_load', 'sd_files', 'sd', '[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}, {"id": "load", "type": "target"}]') IS NOT NULL;
SELECT * FROM kaireon.validate_pipeline('sd_load');
SELECT kaireon.refresh_schema('sd');
-- One change at a time: what validation says, what refreshing says, and that both are content then.
CREATE FUNCTION pg_temp.change(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    m text;
    before text := (SELECT string_agg(x, ', ') FROM pg_temp.fields('sd') AS x);
    table_name text;
BEGIN
    EXECUTE what;
    RETURN NEXT '-- ' || what;
    RETURN QUERY SELECT format('%s: %s', v.severity, v.message) FROM kaireon.validate_pipeline('sd_load') AS v;
    RETURN QUERY SELECT 'refreshed: ' || x FROM unnest(kaireon.refresh_schema('sd')) AS x;
    RETURN QUERY SELECT 'still: ' || v.message FROM kaireon.validate_pipeline('sd_load') AS v;
    RETURN QUERY SELECT x FROM pg_temp.fields('sd') AS x WHERE position(x IN before) = 0;
    RAISE EXCEPTION 'undo';
EXCEPTION WHEN raise_exception THEN
    IF (SELECT string_agg(x, ', ') FROM pg_temp.fields('sd') AS x) <> before THEN
        RETURN NEXT 'not undone';
    END IF;
END
$$;
SELECT pg_temp.change(c) FROM unnest(ARRAY[
    'ALTER TABLE ds_sd DROP COLUMN a', 'ALTER TABLE ds_sd RENAME a TO alpha', 'ALTER TABLE ds_sd RENAME a TO alpha; ALTER TABLE ds_sd RENAME b TO a', 'ALTER TABLE ds_sd ALTER a TYPE bigint',
    'ALTER TABLE ds_sd ALTER c TYPE varchar(20)', 'ALTER TABLE ds_sd ALTER c TYPE text', 'ALTER TABLE ds_sd ALTER d TYPE numeric(6,3)', 'ALTER TABLE ds_sd ALTER a TYPE inet USING NULL',
    'CREATE DOMAIN sd_whole AS integer; ALTER TABLE ds_sd ALTER a TYPE sd_whole; ALTER TABLE ds_sd RENAME a TO alpha',
    'ALTER TABLE ds_sd ALTER c DROP NOT NULL', 'ALTER TABLE ds_sd ALTER a SET NOT NULL', 'ALTER TABLE ds_sd DROP CONSTRAINT ds_sd_b_key', 'CREATE UNIQUE INDEX ON ds_sd (a)',
    'ALTER TABLE ds_sd DROP CONSTRAINT ds_sd_pkey', 'ALTER TABLE ds_sd DROP CONSTRAINT ds_sd_pkey, ADD PRIMARY KEY (k, c)', 'ALTER TABLE ds_sd ALTER c DROP DEFAULT',
    $$ALTER TABLE ds_sd ALTER c SET DEFAULT 'y'$$, 'ALTER TABLE ds_sd ALTER a SET DEFAULT 5', 'ALTER TABLE ds_sd ALTER a SET DEFAULT 5 + random()', 'ALTER TABLE ds_sd ALTER d SET DEFAULT 1.00',
    'ALTER TABLE ds_sd DROP COLUMN a, ADD COLUMN a integer GENERATED ALWAYS AS (k * 2) STORED', 'ALTER TABLE ds_sd ADD z text', 'ALTER TABLE ds_sd ADD z inet NOT NULL', 'ALTER TABLE ds_sd DROP COLUMN updated_at',
    'DROP TRIGGER kaireon_touch_updated_at ON ds_sd', 'ALTER TABLE ds_sd DISABLE TRIGGER kaireon_touch_updated_at', 'ALTER TABLE ds_sd RENAME TO sd_renamed', 'CREATE SCHEMA sd_place; ALTER TABLE ds_sd SET SCHEMA sd_place',
    'DROP TABLE ds_sd; CREATE TABLE ds_sd (k integer PRIMARY KEY, b text, g uuid)', 'DROP TABLE ds_sd; CREATE TABLE ds_sd (k integer, b text)',
    'ALTER TABLE ds_sd DROP CONSTRAINT ds_sd_pkey, DROP CONSTRAINT ds_sd_b_key']) AS c;
-- Pipelines load by name, unless they map: they are told of another one.
SELECT kaireon.create_pipeline('sd_mapped', 'sd_files', 'sd', '[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}, {"id": "load", "type": "target", "config": {"fieldMapping": {"x": "b", "d": "e"}}}]') IS NOT NULL,
    kaireon.create_pipeline('sd_away', 'sd_files', 'sd') IS NOT NULL, kaireon.archive_pipeline('sd_away');
BEGIN;
SELECT kaireon.alter_field('sd', 'a', '{"name": "alpha"}');
SELECT kaireon.alter_field('sd', 'b', '{"name": "beta"}');
SELECT kaireon.alter_field('sd', 'd', '{"name": "delta"}');
SELECT kaireon.alter_field('sd', 'f', '{"description": "the same name"}');
ALTER TABLE ds_sd RENAME c TO gamma;
SELECT kaireon.refresh_schema('sd');
ROLLBACK;
SELECT kaireon.delete_pipeline('sd_mapped'), kaireon.delete_pipeline('sd_away');
-- Without the table.
BEGIN;
DROP TABLE ds_sd;
SELECT * FROM kaireon.validate_pipeline('sd_load');
SELECT pg_temp.try($$SELECT kaireon.refresh_schema('sd')$$);
CREATE VIEW ds_sd AS SELECT 1 AS k;
SELECT pg_temp.try($$SELECT kaireon.refresh_schema('sd')$$);
ROLLBACK;
-- A field that links use does not just go.
SELECT kaireon.create_schema('sd_coll', '[{"name": "sd_k", "dataType": "integer"}, {"name": "v", "dataType": "integer"}]', schema_type => 'collection', linked_schema => 'sd', join_mapping => '{"sd_k": "k"}',
    summary_columns => '[{"function": "max", "sourceField": "v", "outputField": "most"}]') IS NOT NULL;
BEGIN;
ALTER TABLE ds_sd RENAME k TO key;
ALTER TABLE ds_sd_coll RENAME sd_k TO key;
ALTER TABLE ds_sd_coll RENAME v TO value;
ALTER TABLE ds_sd_coll ALTER value TYPE bigint;
SELECT unnest(kaireon.refresh_schema('sd')), unnest(kaireon.refresh_schema('sd_coll'));
SELECT join_mapping, summary_columns FROM kaireon.schemas WHERE name = 'sd_coll';
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ds_sd_coll_summary'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
ROLLBACK;
BEGIN;
ALTER TABLE ds_sd_coll RENAME v TO w;
ALTER TABLE ds_sd_coll RENAME sd_k TO v;
ALTER TABLE ds_sd_coll RENAME w TO sd_k;
SELECT unnest(kaireon.refresh_schema('sd_coll'));
SELECT join_mapping, summary_columns FROM kaireon.schemas WHERE name = 'sd_coll';
ROLLBACK;
BEGIN;
ALTER TABLE ds_sd_coll DROP COLUMN v;
SELECT pg_temp.try($$SELECT kaireon.refresh_schema('sd_coll')$$);
ALTER TABLE ds_sd_coll ADD COLUMN v text;
SELECT pg_temp.try($$SELECT kaireon.refresh_schema('sd_coll')$$);
ROLLBACK;
SELECT kaireon.delete_schema('sd_coll'), kaireon.delete_pipeline('sd_load'), kaireon.delete_schema('sd'), kaireon.delete_connector('sd_files');
DROP TYPE sd_mood;
DROP DOMAIN sd_code;

-- ---- a schema that a pipeline loads besides its own

SELECT kaireon.create_connector('sd_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('sd_own', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL, kaireon.create_schema('sd_two', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;
SELECT kaireon.create_pipeline('sd_both', 'sd_files', 'sd_own', '[{"id": "r", "type": "source", "config": {"resource": "x.csv"}},
    {"id": "b", "type": "branch", "config": {"routes": [{"label": "big", "field": "a", "operator": ">", "value": 10}]}}, {"id": "w", "type": "target"}, {"id": "v", "type": "target",
    "config": {"schema": "SD two", "fieldMapping": {"x": "a"}}}]', '[{"sourceNodeId": "r", "targetNodeId": "b"}, {"sourceNodeId": "b", "targetNodeId": "w", "label": "big"},
    {"sourceNodeId": "b", "targetNodeId": "v", "label": "otherwise"}]') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.delete_schema('sd_two', true)$$);
SELECT kaireon.alter_field('sd_two', 'a', '{"name": "b"}');
SELECT kaireon.alter_field('sd_two', 'b', '{"name": "a"}');
ALTER TABLE ds_sd_two ALTER a TYPE bigint;
SELECT * FROM kaireon.validate_pipeline('sd_both');
ALTER TABLE ds_sd_two RENAME a TO b;
SELECT * FROM kaireon.validate_pipeline('sd_both');
SELECT kaireon.refresh_schema('sd_two');
-- By a name it had; no other gets that name while pipelines mean this one by it.
SELECT kaireon.update_schema('sd_two', new_name => 'sd_second'), kaireon.alter_field('sd_second', 'b', '{"name": "a"}');
SELECT * FROM kaireon.validate_pipeline('sd_both');
SELECT pg_temp.try($$SELECT kaireon.delete_schema('sd_second')$$);
SELECT pg_temp.try($$SELECT kaireon.create_schema('sd_two', '[{"name": "a", "dataType": "integer"}]')$$);
SELECT pg_temp.try($$SELECT kaireon.update_schema('sd_own', new_name => 'SD two')$$);
CREATE TABLE sd_other (a integer);
SELECT pg_temp.try($$SELECT kaireon.adopt_table('sd_two', 'sd_other')$$);
DROP TABLE sd_other;
BEGIN;
SELECT kaireon.update_schema('sd_second', new_name => 'sd_two');
ROLLBACK;
SELECT kaireon.update_pipeline('sd_both', nodes => replace(nodes::text, 'SD two', 'SD second')::jsonb, edges => edges) FROM kaireon.pipelines WHERE name = 'sd_both';
SELECT kaireon.create_schema('sd_two', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.delete_schema('sd_second')$$);
BEGIN;
INSERT INTO kaireon_internal.run (pipeline_id, pipeline, version, owner, status) SELECT id, name, 1, owner, 'queued' FROM kaireon_internal.pipeline WHERE name = 'sd_both';
SELECT pg_temp.try($$SELECT kaireon.add_field('sd_two', '{"name": "w"}')$$);
ROLLBACK;
SELECT kaireon.delete_pipeline('sd_both'), kaireon.delete_schema('sd_two'), kaireon.delete_schema('sd_second'), kaireon.delete_schema('sd_own'), kaireon.delete_connector('sd_files');
