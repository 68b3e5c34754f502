-- What the surface is made of: views' columns, functions' arguments, that all of it is described, the progress bar.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.version();
SELECT p || ': ' || kaireon.progress_bar(p) FROM unnest(ARRAY[0, 0.4, 4.9, 5, 46, 99.9, 100, 123, -1]) AS p;
SELECT kaireon.progress_bar(NULL);

SELECT c.relname || ': ' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'kaireon'::regnamespace AND c.relname IN ('connector_types', 'connectors', 'schemas', 'schema_fields', 'pipelines',
       'pipeline_versions', 'run', 'runs', 'run_attempts', 'run_waits', 'run_nodes', 'run_errors', 'dead_letters', 'source_state', 'progress', 'instance')
 GROUP BY c.relname ORDER BY c.relname COLLATE "C";
SELECT proname || '(' || pg_get_function_arguments(oid) || ') -> ' || pg_get_function_result(oid)
  FROM pg_proc WHERE pronamespace = 'kaireon'::regnamespace AND (prosrc = 'kaireon_call' OR proname IN ('version', 'progress_bar'))
 ORDER BY 1;

-- Type run is a row of view runs.
SELECT a.attnum, a.attname, b.attname FROM (SELECT * FROM pg_attribute WHERE attrelid = 'kaireon.run'::regclass) AS a
  FULL JOIN (SELECT * FROM pg_attribute WHERE attrelid = 'kaireon.runs'::regclass AND attnum > 0) AS b USING (attnum, attname, atttypid)
 WHERE a.attnum IS NULL OR b.attnum IS NULL;

-- Whatever has no description, or a function of ours that is not behind a public one.
SELECT 'no comment: ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'kaireon'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL;
SELECT 'no comment: ' || oid::regclass FROM pg_class WHERE relnamespace = 'kaireon'::regnamespace AND relkind = 'v' AND obj_description(oid, 'pg_class') IS NULL;
SELECT 'no function behind: ' || p.oid::regprocedure FROM pg_proc AS p
 WHERE p.pronamespace = 'kaireon'::regnamespace AND p.prosrc = 'kaireon_call' AND NOT EXISTS (SELECT FROM pg_proc AS i
       WHERE i.pronamespace = 'kaireon_internal'::regnamespace AND i.proname = p.proname
         AND oidvectortypes(i.proargtypes) = concat_ws(', ', 'regrole', NULLIF(oidvectortypes(p.proargtypes), '')) AND i.prorettype = p.prorettype);
SELECT 'search_path not pinned: ' || oid::regprocedure FROM pg_proc
 WHERE pronamespace IN ('kaireon'::regnamespace, 'kaireon_internal'::regnamespace) AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')
   AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (proconfig), false);
SELECT 'security definer: ' || oid::regprocedure FROM pg_proc
 WHERE pronamespace IN ('kaireon'::regnamespace, 'kaireon_internal'::regnamespace) AND prosecdef;
SELECT 'not a security barrier: ' || oid::regclass FROM pg_class
 WHERE relnamespace = 'kaireon'::regnamespace AND relkind = 'v' AND NOT COALESCE('security_barrier=true' = ANY (reloptions), false);
SELECT 'can''t be changed where all tables are published: ' || c.oid::regclass FROM pg_class AS c
 WHERE c.relnamespace = 'kaireon_internal'::regnamespace AND c.relkind = 'r' AND c.relreplident <> 'f'
   AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary);
SELECT 'not in dumps: ' || oid::regclass FROM pg_class
 WHERE relnamespace = 'kaireon_internal'::regnamespace AND relkind = 'r'
   AND oid <> ALL (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'kaireon');
