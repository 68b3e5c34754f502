-- Expressions are put into one another: those that would grow without end are refused at the node where they pass the bound.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
-- for want of the bound, memory would be the end
SET statement_timeout = '30s';

SELECT kaireon.create_connector('g_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('g_rows', '[{"name": "a", "dataType": "text"}]') IS NOT NULL;
SET test.connector = 'g_files';
SET test.schema = 'g_rows';

-- A chain of nodes: the one of number i makes f<i> by an expression in which @ is the field of the one before.
CREATE FUNCTION pg_temp.chain(expression text, first integer, last integer, type text = 'text') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('id', 'n' || i, 'type', 'add_field', 'config',
               jsonb_build_object('fieldName', 'f' || i, 'fieldType', type, 'expression', replace(expression, '@', 'f' || i - 1))))
      FROM generate_series(first, last) AS i
$$;
-- What is wrong with a pipeline of these nodes that loads the field f<last>.
CREATE FUNCTION pg_temp.wrong(nodes jsonb, last integer) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings('[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}, {"id": "zero", "type": "cast", "config": {"field": "f0", "targetType": "integer"}}]' || nodes
               || jsonb_build_array(jsonb_build_object('id', 'load', 'type', 'target', 'config', jsonb_build_object('fieldMapping', jsonb_build_object('f' || last, 'a')))))
$$;

-- ---- what grows
SELECT pg_temp.wrong(pg_temp.chain('@ || ''-'' || @', 1, 40), 40);
SELECT pg_temp.wrong(pg_temp.chain('@ + @', 1, 40, 'integer'), 40);
SELECT pg_temp.wrong(pg_temp.chain('CASE WHEN @ > 0 THEN @ * @ ELSE - @ END', 1, 40, 'integer'), 40);
-- conditions, too, though no field that is loaded is large
SELECT pg_temp.wrong(pg_temp.chain('@ + @', 1, 12, 'integer') || (SELECT jsonb_agg(jsonb_build_object('id', 'where' || i, 'type', 'filter', 'config', jsonb_build_object('field', 'f12', 'operator', '!=', 'value', i)) ORDER BY i) FROM generate_series(1, 20) AS i), 1);
SELECT pg_temp.try(format('SELECT kaireon.create_pipeline(%L, %L, %L, %L)', 'g_grows', 'g_files', 'g_rows',
    '[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}]'::jsonb || pg_temp.chain('@ || @', 1, 40) || '[{"id": "load", "type": "target", "config": {"fieldMapping": {"f40": "a"}}}]'));

-- ---- what does not
SELECT pg_temp.wrong(pg_temp.chain('@ + @', 1, 13, 'integer'), 13);
SELECT pg_temp.wrong(pg_temp.chain('@ + 1', 1, 100, 'integer'), 100);
-- a field that is never used counts for nothing
SELECT pg_temp.wrong(pg_temp.chain('@ + @', 1, 12, 'integer') || pg_temp.chain('f0 + 1', 13, 60, 'integer'), 60);
-- behind a node that keeps rows it begins anew
SELECT pg_temp.wrong(pg_temp.chain('@ + @', 1, 12, 'integer') || '[{"id": "keep", "type": "deduplicate", "config": {"keyFields": ["key"]}}]' || pg_temp.chain('@ + @', 13, 24, 'integer'), 24);
-- as many columns as there may be, each with an expression
SELECT kaireon.create_schema('g_wide', (SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'dataType', 'text')) FROM generate_series(1, 1500) AS i)) IS NOT NULL;
SET test.schema = 'g_wide';
SELECT pg_temp.findings('[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}]'
    || (SELECT jsonb_agg(jsonb_build_object('id', 'x' || i, 'type', 'expression', 'config', jsonb_build_object('outputField', 'c' || i, 'expression', format('coalesce(nullif(upper(trim(a%s)), %L), left(a%s, 7) || %L)', i, '', i, '?'))))
          FROM generate_series(1, 30) AS i)
    || '[{"id": "load", "type": "target"}]');
-- and all made by one node
SELECT pg_temp.findings('[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}]'
    || jsonb_build_object('id', 'parts', 'type', 'split', 'config', jsonb_build_object('sourceField', 'c1', 'separator', '-',
          'outputFields', (SELECT jsonb_agg('c' || i) FROM generate_series(1, 1500) AS i)))
    || '[{"id": "load", "type": "target"}]');

SET test.schema = 'g_rows';

-- ---- long chains
-- each node of which makes a field of the one before, or the same one again
SELECT pg_temp.wrong(pg_temp.chain('left(@ || ''-'', 7)', 1, 200), 200);
SELECT pg_temp.findings('[{"id": "read", "type": "source", "config": {"resource": "x.csv"}}]'
    || (SELECT jsonb_agg(jsonb_build_object('id', 'n' || i, 'type', 'expression', 'config', '{"outputField": "a", "expression": "left(a, 7)"}'::jsonb)) FROM generate_series(1, 1000) AS i)
    || '[{"id": "load", "type": "target"}]');
-- what only goes wrong when nodes come together is told of the node where it does
SELECT pg_temp.wrong('[{"id": "naught", "type": "add_field", "config": {"fieldName": "z", "fieldType": "integer", "defaultValue": "0"}}, {"id": "other", "type": "drop", "config": {"fields": ["q"]}},
    {"id": "inverse", "type": "add_field", "config": {"fieldName": "f1", "fieldType": "integer", "expression": "f0 / z"}},
    {"id": "more", "type": "add_field", "config": {"fieldName": "f2", "fieldType": "integer", "expression": "1 / z"}}]', 2);

SELECT kaireon.delete_schema('g_wide'), kaireon.delete_schema('g_rows'), kaireon.delete_connector('g_files');
