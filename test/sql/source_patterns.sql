-- The pattern of a source: what is wrong with one is said when the pipeline is made.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_connector('sp_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('sp_rows', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]') IS NOT NULL;
SET test.connector = 'sp_files';
SET test.schema = 'sp_rows';

CREATE FUNCTION pg_temp.source(config jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT '-- ' || config::text
    UNION ALL SELECT pg_temp.findings(jsonb_build_array(jsonb_build_object('id', 'read', 'type', 'source', 'config', config), '{"id": "load", "type": "target"}'::jsonb))
$$;
CREATE FUNCTION pg_temp.pattern(type text, value text, resource text DEFAULT 'in', zone text DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.source(jsonb_build_object('resource', resource, 'pattern', jsonb_strip_nulls(jsonb_build_object('type', type, 'value', value, 'timezone', zone))))
$$;

-- Sound ones.
SELECT pg_temp.pattern('glob', '*.csv');
SELECT pg_temp.pattern('glob', '**/v\{YYYY\}/*.csv', 'a\*b/', 'Europe/Berlin');
SELECT pg_temp.pattern('regex', '(?i)[a-z]+_\d{8}\.csv');
SELECT pg_temp.source('{"pattern": {"type": "regex", "value": ".*"}, "ordering": "process_all"}');
SELECT replace(s, to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'), 'today') FROM pg_temp.pattern('dateGlob', 'orders_{YYYYMMDD}_*.csv') AS s;
SELECT replace(replace(s, to_char(now() AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD'), 'day'), to_char(now() AT TIME ZONE 'Asia/Tokyo', 'YYYY/MM/DD'), 'folders')
  FROM pg_temp.pattern('dateGlob', '{YYYY}/{MM}/{DD}/{YYYY-MM-DD}\{x\}.csv', '', 'Asia/Tokyo') AS s;

-- The object.
SELECT pg_temp.source('{"pattern": "*.csv"}');
SELECT pg_temp.source('{"pattern": {}}');
SELECT pg_temp.source('{"pattern": {"type": "globb", "value": "*", "zone": "UTC"}}');
SELECT pg_temp.source('{"pattern": {"type": "glob", "value": 7}}');
SELECT pg_temp.pattern('glob', '');
SELECT replace(s, repeat('x', 1001), 'x...') FROM pg_temp.pattern('glob', repeat('x', 1001)) AS s;
-- The resource beside it.
SELECT pg_temp.pattern('glob', '*.csv', 'in/*');
SELECT pg_temp.pattern('glob', '*.csv', 'v[1]');
SELECT pg_temp.pattern('regex', '.*', '/in');
-- Values.
SELECT pg_temp.pattern('glob', '/a*.csv');
SELECT pg_temp.pattern('glob', '../*.csv');
SELECT pg_temp.pattern('glob', 'orders_{YYYYMMDD}.csv');
SELECT pg_temp.pattern('dateGlob', 'orders_*.csv');
SELECT pg_temp.pattern('dateGlob', 'orders_{yyyy}_{MM}_{.csv');
SELECT pg_temp.pattern('regex', '[a-z');
SELECT pg_temp.pattern('regex', '*.csv');
SELECT pg_temp.pattern('regex', 'a)|(b');
SELECT pg_temp.pattern('regex', '(?n)a');
-- Time zones: those of the IANA, in any case; not what POSIX would take for one.
SELECT pg_temp.pattern('glob', '*', zone => z) FROM unnest('{europe/berlin,Etc/GMT+5,EST5EDT,UTC,Nowhere/City,XYZ5,Foo/Bar5,CEST,""}'::text[]) AS z;

-- Reading takes one too.
SELECT pg_temp.try($q$SELECT * FROM kaireon.read('sp_files', 'in', '{"pattern": {"type": "glob", "value": "{YYYY}.csv"}}') AS t(id int)$q$);
SELECT pg_temp.try($q$SELECT * FROM kaireon.preview('sp_files', 'in/*', '{"pattern": {"type": "glob", "value": "*.csv"}}')$q$);
SELECT pg_temp.try($q$SELECT kaireon.infer_fields('sp_files', 'in', '{"pattern": {"type": "dateGlob", "value": "{YYYY}.csv", "timezone": "Mars/North"}}')$q$);

-- A pipeline that is saved says what its pattern stands for; nobody is warned of it.
SELECT kaireon.create_pipeline('sp_daily', 'sp_files', 'sp_rows', '[{"id": "read", "type": "source", "config": {"path": "in/", "pattern": {"type": "dateGlob", "value": "{YYYY}.csv"}}}, {"id": "load", "type": "target"}]') IS NOT NULL;
SELECT node_id, severity, code, replace(message, to_char(now() AT TIME ZONE 'UTC', 'YYYY'), 'year') FROM kaireon.validate_pipeline('sp_daily');
SELECT substring(kaireon.pipeline_diagram('sp_daily') FROM 'in/[^ ]*');

SELECT kaireon.delete_pipeline('sp_daily');
SELECT kaireon.delete_schema('sp_rows', cascade => true);
SELECT kaireon.delete_connector('sp_files');
