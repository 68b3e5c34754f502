-- The wait policy of a source: what is wrong with one is said when the pipeline is made.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include

SELECT kaireon.create_connector('sw_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('sw_rows', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]') IS NOT NULL;
SET test.connector = 'sw_files';
SET test.schema = 'sw_rows';

CREATE FUNCTION pg_temp.policy(policy jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT '-- ' || policy::text
    UNION ALL SELECT pg_temp.findings(jsonb_build_array(jsonb_build_object('id', 'read', 'type', 'source', 'config', jsonb_build_object('resource', 'in', 'waitPolicy', policy)), '{"id": "load", "type": "target"}'::jsonb))
$$;

-- Sound ones.
SELECT pg_temp.policy('{}');
SELECT pg_temp.policy('{"maxRetries": 0, "intervalMinutes": 0.01, "onMissAction": "alert"}');
SELECT pg_temp.policy('{"maxRetries": 1000, "intervalMinutes": 1440, "onMissAction": "skip"}');

-- Mistakes.
SELECT pg_temp.policy('7');
SELECT pg_temp.policy('{"retries": 3, "onMissAction": "ignore"}');
SELECT pg_temp.policy('{"maxRetries": "3", "intervalMinutes": "5", "onMissAction": 1}');
SELECT pg_temp.policy('{"maxRetries": 2.5}');
SELECT pg_temp.policy('{"maxRetries": -1, "intervalMinutes": 0}');
SELECT pg_temp.policy('{"maxRetries": 1001, "intervalMinutes": 1440.5}');
SELECT kaireon.preview('sw_files', 'in', '{"waitPolicy": {}}');
