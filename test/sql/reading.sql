-- Reading without a pipeline: signatures, plans and errors that need no file.  Rows are read in test/t/reading.t.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

-- What a call's error says: SQLSTATE, message, detail, hint.
CREATE FUNCTION pg_temp.try(sql text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    m text; d text; h text;
BEGIN
    EXECUTE sql;
    RETURN NEXT 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    RETURN NEXT SQLSTATE || ' ' || m;
    IF d <> '' THEN RETURN NEXT '  detail: ' || d; END IF;
    IF h <> '' THEN RETURN NEXT '  hint: ' || h; END IF;
END
$$;

SELECT proname || '(' || pg_get_function_arguments(oid) || ') -> ' || pg_get_function_result(oid) || ', parallel ' || proparallel::text
  FROM pg_proc WHERE pronamespace = 'kaireon'::regnamespace
   AND proname IN ('read', 'preview', 'describe', 'list_objects', 'test_connector', 'infer_fields', 'field_mapping') ORDER BY 1;

-- Plans: only what is used is read; arguments that are not constant; the whole row needs every column.
EXPLAIN (COSTS OFF) SELECT name FROM kaireon.read('none', 'a.csv', '{"delimiter": ";"}') AS t(id bigint, name varchar(10), x numeric(8,2)) WHERE id > 1;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kaireon.read('none') AS t(id bigint);
EXPLAIN (COSTS OFF) SELECT t FROM kaireon.read('none', 'a.csv') AS t(id bigint, "Full Name" text) LIMIT 1;
EXPLAIN (COSTS OFF) SELECT * FROM (VALUES ('a'), ('b')) AS v (f), LATERAL kaireon.read('none', f || '.csv') AS t(id int);
PREPARE p (text) AS SELECT id FROM kaireon.read($1, 'a.csv') AS t(id bigint);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p ('none');
RESET plan_cache_mode;

-- A function of that name in another schema is none of ours.
CREATE SCHEMA mine;
CREATE FUNCTION mine.read(connector text, resource text, options jsonb) RETURNS SETOF record LANGUAGE sql AS 'SELECT 1';
SELECT * FROM mine.read('a', 'b', '{}') AS t(id int);
DROP FUNCTION mine.read;
DROP SCHEMA mine;

-- Errors.
SELECT pg_temp.try($q$SELECT kaireon.read('none')$q$);
SELECT pg_temp.try($q$SELECT * FROM ROWS FROM (kaireon.read('none') AS (id int), generate_series(1, 2))$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('none') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read(NULL) AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT kaireon.preview('none')$q$);
SELECT pg_temp.try($q$SELECT kaireon.describe('none')$q$);
SELECT pg_temp.try($q$SELECT kaireon.infer_fields('none')$q$);
SELECT pg_temp.try($q$SELECT kaireon.list_objects('none')$q$);
SELECT pg_temp.try($q$SELECT kaireon.test_connector('none')$q$);
SELECT kaireon.create_connector('reading_files', 'local_fs', '{"basePath": "/nowhere"}') IS NOT NULL;
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('reading_filez') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('reading_files', 'a', '[]') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('reading_files', 'a', '{"incremental": true}') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('reading_files', 'a', '{"onError": "ignore"}') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('reading_files', 'a', '{"delimiter": 1}') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('reading_files', 'a', '{"header": false, "headerLines": 2}') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT kaireon.preview('reading_files', 'a', '{"quote": "", "escape": "\\"}')$q$);
SELECT pg_temp.try($q$SELECT kaireon.preview('reading_files', max_rows => 0)$q$);
SELECT pg_temp.try($q$SELECT kaireon.infer_fields('reading_files', sample_rows => 0)$q$);
SELECT ok, details ->> 'sqlstate' FROM kaireon.test_connector('reading_files');
SELECT status, last_error IS NOT NULL FROM kaireon.connectors WHERE name = 'reading_files';
SELECT ok, message, details FROM kaireon.test_connector('local_fs', '{"basPath": "/nowhere"}');
SELECT ok, message, details FROM kaireon.test_connector('local_sf', '{}');
SELECT pg_temp.try($q$SELECT kaireon.test_connector(NULL, '{}')$q$);
SELECT kaireon.delete_connector('reading_files') IS NOT NULL;

-- What infer_fields gives goes into create_schema; field_mapping makes fieldMapping of it.
SELECT kaireon.field_mapping('[{"name": "a"}, {"name": "full_name", "displayName": "Full Name"}, {"name": "b", "displayName": "b"}]');
SELECT kaireon.field_mapping('[]');
SELECT kaireon.field_mapping('1');
SELECT kaireon.field_mapping('[{"name": "a"}, 5]');
