-- What is wrong with a pipeline: every finding of create_pipeline and
-- validate_pipeline once, with its node and key; which expressions are refused;
-- what explain_pipeline and pipeline_diagram say of sound ones.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

SELECT kaireon.create_connector('k_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_schema('k_target', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "name", "length": 20},
    {"name": "amount", "dataType": "numeric", "precision": 10, "scale": 2}, {"name": "day", "dataType": "date"}, {"name": "extra", "dataType": "json"}]') IS NOT NULL;

SET test.connector = 'k_files';
SET test.schema = 'k_target';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
-- One node between source and target.
CREATE FUNCTION pg_temp.node(type text, config jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings(jsonb_build_array('{"id": "r", "type": "source"}'::jsonb,
        jsonb_build_object('id', 'n', 'type', type, 'config', config), '{"id": "w", "type": "target"}'::jsonb))
$$;
CREATE FUNCTION pg_temp.source(config jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings(jsonb_build_array(jsonb_build_object('id', 'r', 'type', 'source', 'config', config), '{"id": "w", "type": "target"}'::jsonb))
$$;
CREATE FUNCTION pg_temp.target(config jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.findings(jsonb_build_array('{"id": "r", "type": "source"}'::jsonb, jsonb_build_object('id', 'w', 'type', 'target', 'config', config)))
$$;
CREATE FUNCTION pg_temp.expression(expression text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT pg_temp.node('add_field', jsonb_build_object('fieldName', 'e', 'fieldType', 'text', 'expression', expression))
$$;

-- ---- shape
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}]');
SELECT pg_temp.findings('[{"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "r", "type": "target"}]');
SELECT pg_temp.findings('[1, "x", {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"type": "source"}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": 1, "type": "source"}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r"}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source", "colour": "red"}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source", "config": []}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "x", "type": "explode"}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["name"]}}, {"id": "w", "type": "target"}]',
    '[{"sourceNodeId": "r", "targetNodeId": "w"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "w", "type": "target"}]', '[{"sourceNodeId": "r", "targetNodeId": "x"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "w", "type": "target"}]', '[{"sourceNodeId": "r"}, 7, {"sourceNodeId": "r", "targetNodeId": "w", "weight": 1}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "a", "type": "drop", "config": {"fields": ["x"]}}, {"id": "b", "type": "drop", "config": {"fields": ["y"]}},
    {"id": "w", "type": "target"}]', '[{"sourceNodeId": "r", "targetNodeId": "w"}, {"sourceNodeId": "a", "targetNodeId": "b"}, {"sourceNodeId": "b", "targetNodeId": "a"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "w", "type": "target"}]', '[{"sourceNodeId": "r", "targetNodeId": "r"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "w", "type": "target"}, {"id": "v", "type": "target"}]',
    '[{"sourceNodeId": "r", "targetNodeId": "w"}, {"sourceNodeId": "r", "targetNodeId": "v"}]');

-- ---- config keys, node by node
SELECT pg_temp.source('{"incremental": true, "rowLimit": 3}');
SELECT pg_temp.source('{"resorce": "x.csv"}') LIMIT 1;
SELECT pg_temp.source('{"resource": 7}');
SELECT pg_temp.source('{"resource": "a", "path": "b"}');
SELECT pg_temp.source('{"format": "parket"}') LIMIT 1;
SELECT pg_temp.source('{"delimiter": ""}');
SELECT pg_temp.source('{"quote": "ab"}');
SELECT pg_temp.source('{"delimiter": "|\"", "quote": "\""}');
SELECT pg_temp.source('{"header": "yes"}') LIMIT 1;
SELECT pg_temp.source('{"blankLines": "keep"}');
-- Characters that must differ, defaults included.
SELECT o, pg_temp.source(o::jsonb) FROM unnest(ARRAY['{"quote": ","}', '{"delimiter": "\""}', '{"quote": "\t"}', '{"quote": "\t", "format": "csv"}', '{"quote": ",", "format": "tsv"}',
    '{"escape": ","}', '{"delimiter": "\\", "escape": "\\"}', '{"delimiter": "auto", "quote": ","}', '{"comment": ","}', '{"comment": ",", "format": "tsv"}',
    '{"comment": "\t", "format": "tsv"}', '{"comment": "\t"}', '{"comment": "|", "delimiter": "auto"}', '{"comment": "#", "delimiter": "auto"}', '{"quote": "é"}', '{"decimalSeparator": "5"}',
    '{"decimalSeparator": " "}', '{"thousandsSeparator": "e"}', '{"thousandsSeparator": "\u00a0"}', '{"thousandsSeparator": "\u202f"}', '{"thousandsSeparator": "''"}',
    '{"thousandsSeparator": "."}', '{"thousandsSeparator": "..", "decimalSeparator": ","}']) AS o;
-- Options of which one would do nothing beside the other.
SELECT o, pg_temp.source(o::jsonb) FROM unnest(ARRAY['{"header": false, "headerLines": 1}', '{"header": true, "headerLines": 2}', '{"header": false, "columns": ["id", "name", "amount", "day", "extra"]}',
    '{"quote": "", "escape": "\\"}', '{"quote": "", "escape": ""}', '{"quote": "", "quotes": "lenient"}', '{"quote": "", "quotes": "strict"}', '{"quote": "auto", "quotes": "lenient"}',
    '{"maxFieldBytes": 100, "maxRowBytes": 99}', '{"maxFieldBytes": 100, "maxRowBytes": 100}', '{"maxFieldBytes": 1e30, "maxRowBytes": 100}', '{"quote": "''", "thousandsSeparator": "''"}',
    '{"quote": "", "decimalSeparator": ","}', '{"quote": "", "decimalSeparator": ",", "delimiter": ";"}', '{"decimalSeparator": ","}']) AS o;
SELECT pg_temp.source('{"columns": "a"}');
SELECT pg_temp.source('{"nullStrings": ["", 7]}');
SELECT pg_temp.source('{"rowLimit": -1}');
SELECT pg_temp.source('{"rowLimit": "many"}');
SELECT o, pg_temp.source(o::jsonb) FROM unnest(ARRAY['{"rowLimit": 9223372036854775807}', '{"rowLimit": 1000000000000000000}', '{"rowLimit": 9223372036854775808}',
    '{"rowLimit": 1.5}', '{"incremental": true, "rowLimit": 1e30}', '{"incremental": true, "rowLimit": 9223372036854775807}']) AS o;
SELECT pg_temp.source('{"maxFieldBytes": 0.5}');
SELECT pg_temp.source('{"incremental": "yes"}');
SELECT pg_temp.source('{"encoding": "EBCDIC"}') LIMIT 1;

SELECT pg_temp.node('filter', '{}');
SELECT pg_temp.node('filter', '{"field": "name"}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "~"}') LIMIT 1;
SELECT pg_temp.node('filter', '{"field": "name", "operator": "="}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "=", "value": null}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "=", "value": ["a"]}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "in", "value": "a"}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "in", "value": []}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "between", "value": [1, 2, 3]}');
SELECT pg_temp.node('filter', '{"field": "name", "operator": "is_null", "value": 1}');
SELECT pg_temp.node('filter', '{"conditions": []}');
SELECT pg_temp.node('filter', '{"conditions": [1]}');
SELECT pg_temp.node('filter', '{"conditions": [{"field": "name", "operator": "is_null"}, {"field": "id", "operator": "is_null", "not": true}]}') LIMIT 1;
SELECT pg_temp.node('filter', '{"field": "id", "conditions": [{"field": "name", "operator": "is_null"}]}');
SELECT pg_temp.node('filter', '{"match": "some", "conditions": [{"field": "name", "operator": "is_null"}]}') LIMIT 1;
SELECT pg_temp.node('filter', '{"field": "day", "operator": ">", "value": "soon"}');
SELECT pg_temp.node('filter', '{"field": "extra", "operator": ">", "value": true}');

SELECT pg_temp.node('rename', '{"sourceField": "a"}') LIMIT 1;
SELECT pg_temp.node('rename', '{"sourceField": "a", "targetField": "b", "also": 1}') LIMIT 1;
SELECT pg_temp.node('cast', '{"field": "a", "targetType": "money"}');
SELECT pg_temp.node('drop', '{"fields": []}');
SELECT pg_temp.node('drop', '{"fields": "a"}');
SELECT pg_temp.node('add_field', '{"fieldName": "a", "fieldType": "point"}');
SELECT pg_temp.node('add_field', '{"fieldName": "a", "fieldType": "text", "defaultValue": "x", "expression": "1"}');
SELECT pg_temp.node('add_field', '{"fieldName": "a", "fieldType": "integer", "defaultValue": "x"}');
SELECT pg_temp.node('mask_pii', '{"field": "a", "maskType": "name"}') LIMIT 1;
SELECT pg_temp.node('mask_pii', '{"field": "a", "maskType": "ssn", "preserveLength": "yes"}');
SELECT pg_temp.target('{"loadingStrategy": "prepend"}') LIMIT 1;
SELECT pg_temp.target('{"loadingStrategy": "truncate_and_load", "allowEmptySource": "yes"}') LIMIT 1;
SELECT pg_temp.target('{"loadingStrategy": "append", "allowEmptySource": true}') LIMIT 1;
SELECT pg_temp.target('{"swapPublished": false}') LIMIT 1;
-- Hooks are parsed, not run.
SELECT pg_temp.target('{"preHook": "DELETE FROM t WHER x"}') LIMIT 1;
SELECT pg_temp.target('{"preHook": "SELECT 1;\n SELEC 2"}') LIMIT 1;
SELECT pg_temp.target('{"preHook": " -- nothing"}') LIMIT 1;
SELECT pg_temp.target('{"postHook": "SELECT 1; COMMIT"}') LIMIT 1;
SELECT pg_temp.target('{"postHook": "SELECT kaireon.update_connector(name => ''c'', auth_config => ''{}'')"}') LIMIT 1;
SELECT pg_temp.target('{"postHook": ["SELECT 1"]}') LIMIT 1;
-- Their types.
SELECT pg_temp.target('{"postHook": [1, ["SELECT 1"]]}');
SELECT pg_temp.target('{"postHook": {"statement": "SELECT 1"}}');
SELECT pg_temp.target('{"preHook": {"type": "shell", "statement": "SELECT 1"}}');
SELECT pg_temp.target('{"preHook": ["SELECT 1", {"type": "sql", "statement": "SELECT 1;\n COMMIT", "on": "success"}]}');
SELECT pg_temp.target('{"preHook": ["SELECT 1", {"type": "sql", "statement": "SELECT 1;\n COMMIT"}]}');
SELECT pg_temp.target('{"postHook": {"type": "refresh"}}');
SELECT pg_temp.target('{"postHook": {"type": "refresh", "view": "a", "views": ["b"]}}');
SELECT pg_temp.target('{"postHook": {"type": "refresh", "views": ["a.b.c", "a; DROP TABLE b", "\"A; B\".c"]}}');
SELECT pg_temp.target('{"preHook": {"type": "webhook", "connector": "k_files"}}');
SELECT pg_temp.target('{"postHook": {"type": "webhook", "path": "/a", "method": "GET", "on": "monday", "secret": "x"}}');
SELECT pg_temp.target('{"postHook": {"type": "webhook", "connector": "nobodys"}}');
SELECT pg_temp.target('{"postHook": {"type": "webhook", "connector": "k_files", "path": "https://example.com/a"}}');
SELECT pg_temp.target('{"postHook": [{"type": "webhook", "connector": "k_files", "path": "../a"}, {"type": "webhook", "connector": "k_files", "path": "a/%2E.%5cb"}, {"type": "webhook", "connector": "k_files", "path": "a..b/...?../"}]}');
SELECT pg_temp.target('{"postHook": {"type": "webhook", "connector": "k_files", "headers": {"authorization": "x", "Cookie": "x", "Host": "x", "webhook-id": "x", "X Y": "x", "X-A": 1, "X-B": "a\r\nX-C: b"}}}');
SELECT pg_temp.target('{"preHook": "SELECT no.such(1)", "postHook": "DROP TABLE missing; REFRESH MATERIALIZED VIEW missing"}') LIMIT 1;
SELECT pg_temp.target('{"validation": "lenient"}') LIMIT 1;
SELECT pg_temp.target('{"schema": "k_other"}');
SELECT pg_temp.target('{"schema": "k_target"}');
SELECT pg_temp.target('{"fieldMapping": {"a": "nmae"}}');
SELECT pg_temp.target('{"fieldMapping": {"a": 7}}');
SELECT pg_temp.findings(NULL, NULL, '{"batchsize": 1}') LIMIT 1;
SELECT pg_temp.findings(NULL, NULL, '{"batchSize": 0}');
SELECT pg_temp.findings(NULL, NULL, '{"errorHandling": "hope"}') LIMIT 1;
SELECT pg_temp.findings(NULL, NULL, '{"parallelism": 4}');
SELECT pg_temp.findings(NULL, NULL, '{"batchSize": 1.5, "deadLetterRetentionDays": 0.5, "parallelism": 4294967297}');
SELECT pg_temp.findings(NULL, NULL, jsonb_build_object('errorHandling', 'skip', 'maxErrors', m)) FROM unnest('{0,"0%","0.5%","100%"}'::text[]) AS m;
SELECT pg_temp.findings(NULL, NULL, '{"errorHandling": "dlq", "maxErrors": 100}');
SELECT pg_temp.findings(NULL, NULL, jsonb_build_object('errorHandling', 'dlq', 'deadLetterRetentionDays', d)) FROM unnest('{1,36500,0,36501,-1}'::int[]) AS d;
SELECT pg_temp.findings(NULL, NULL, '{"deadLetterRetentionDays": "week"}');
-- Commits before the run's end, and retries.
SELECT pg_temp.findings(NULL, NULL, jsonb_build_object('commit', c)) FROM unnest('{run,file,batch,row}'::text[]) AS c;
SELECT pg_temp.findings(NULL, NULL, '{"retry": {}}');
SELECT pg_temp.findings(NULL, NULL, '{"retry": {"maxAttempts": 3, "backoff": "exponential", "pauseSeconds": 0}}');
SELECT pg_temp.findings(NULL, NULL, '{"retry": {"maxAttempts": 0, "backoff": "linear", "pauseSeconds": 86401}}');
SELECT pg_temp.findings(NULL, NULL, '{"retry": {"maxAttempts": 0, "pauseSeconds": 86401}}');
SELECT pg_temp.findings(NULL, NULL, '{"retry": {"maxAttempts": 1.5}}');
SELECT pg_temp.findings(NULL, NULL, '{"retry": {"attempts": 3}}');
SELECT pg_temp.findings(NULL, NULL, '{"retry": 3}');
SELECT pg_temp.findings(NULL, NULL, '{"commit": true}');
SELECT c, pg_temp.findings(jsonb_build_array(jsonb_build_object('id', 'r', 'type', 'source', 'config', source), jsonb_build_object('id', 'n', 'type', type, 'config', config),
                                             '{"id": "w", "type": "target"}'::jsonb), NULL, jsonb_build_object('commit', c))
  FROM (VALUES ('deduplicate', '{"keyFields": ["id"]}'::jsonb, '{}'::jsonb), ('aggregate', '{"groupByFields": ["id"], "aggregations": []}', '{}'),
               ('validate', '{"rules": [{"field": "id", "rule": "unique"}]}', '{}'), ('validate', '{"dataset": [{"check": "row_count", "min": 1}]}', '{}'),
               ('validate', '{"rules": [{"field": "id", "rule": "not_null"}]}', '{}'), ('drop', '{"fields": ["x"]}', '{"rowLimit": 5}')) AS v (type, config, source),
       unnest('{run,file,batch}'::text[]) AS c;
SELECT s, pg_temp.findings(jsonb_build_array('{"id": "r", "type": "source"}'::jsonb, jsonb_build_object('id', 'w', 'type', 'target',
                           'config', '{"watermarkField": "id"}'::jsonb - CASE WHEN s <> 'incremental_watermark' THEN 'watermarkField' ELSE '' END || jsonb_build_object('loadingStrategy', s))),
                           NULL, '{"commit": "file"}')
  FROM unnest('{append,upsert,incremental_watermark,truncate_and_load,blue_green}'::text[]) AS s;
SELECT pg_temp.findings(NULL, NULL, jsonb_build_object('errorHandling', 'skip', 'maxErrors', m))
  FROM unnest('{101%,5.5,-1,-1%,many,%,1.1.1%,1e3,99999999999999999999,""}'::text[]) AS m;
SELECT pg_temp.findings(NULL, NULL, '{"errorHandling": "skip", "maxErrors": true}');
SELECT pg_temp.findings(NULL, NULL, '{"errorHandling": "fail", "maxErrors": 1}');
SELECT pg_temp.findings(NULL, NULL, '{"maxErrors": 1}');
SELECT pg_temp.findings(NULL, NULL, '[]');

-- ---- fields on their way
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["a"]}},
    {"id": "f", "type": "filter", "config": {"field": "a", "operator": "is_null"}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "n", "type": "rename", "config": {"sourceField": "a", "targetField": "name"}},
    {"id": "m", "type": "mask_pii", "config": {"field": "a", "maskType": "ssn"}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source", "config": {"columns": ["id", "name"]}}, {"id": "c", "type": "cast", "config": {"field": "nmae", "targetType": "text"}},
    {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source", "config": {"columns": ["name"]}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "d", "type": "drop", "config": {"fields": ["id"]}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "f", "type": "filter", "config": {"field": "a", "operator": "is_null"}},
    {"id": "x", "type": "add_field", "config": {"fieldName": "a", "fieldType": "text"}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "f", "type": "filter", "config": {"field": "name", "operator": "is_null"}},
    {"id": "x", "type": "rename", "config": {"sourceField": "a", "targetField": "name"}}, {"id": "w", "type": "target"}]');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "x", "type": "cast", "config": {"field": "extra", "targetType": "boolean"}}, {"id": "w", "type": "target"}]');
-- Several at once, each with its node.
SELECT pg_temp.findings('[{"id": "r", "type": "source", "config": {"rowLimit": -1}}, {"id": "x", "type": "cast", "config": {"field": "a"}},
    {"id": "y", "type": "filter", "config": {"field": "a", "operator": "="}}, {"id": "w", "type": "target", "config": {"validation": 1}}]', NULL, '{"batchSize": 0}');
SELECT pg_temp.findings('[{"id": "r", "type": "source"}, {"id": "x", "type": "add_field", "config": {"fieldName": "p", "fieldType": "text", "expression": "nothing(1)"}},
    {"id": "y", "type": "add_field", "config": {"fieldName": "q", "fieldType": "text", "expression": "1 +"}}, {"id": "w", "type": "target"}]');

-- ---- expressions; any name is a field of the source, and a literal is a literal
SELECT e, pg_temp.expression(e) FROM unnest(ARRAY[
    'upper(name)', 'CASE WHEN amount > ''1'' THEN 1 ELSE 2 END', 'coalesce(name, ''x'') || id', 'nullif(name, '''')', 'name IN (''a'', ''b'')',
    '(name)::date + 1', 'extract(year FROM day::date)', 'name ~ ''^a''', 'greatest(1, 2)', 'name IS NULL', 'now()', 'current_date', '_line * 2', '"name"',
    'name COLLATE "C" < ''b''', '1 -- a comment', '1 /* another */', ''' || (SELECT 1) || ''', 'ctid || source']) AS e;
-- what is listed can be used as its example says
SELECT count(*) >= 80 AS many, count(DISTINCT category) AS categories, bool_and(description <> '' AND example <> '') AS told FROM kaireon.expression_functions;
SELECT name, example, f FROM kaireon.expression_functions, pg_temp.expression(example) AS f WHERE f <> 'sound';
-- results have a size, also those of constants
SELECT e, pg_temp.expression(e) FROM unnest(ARRAY[
    'repeat(''x'', 1000000000)', 'lpad(''x'', 1000000000)', 'rpad(''x'', 1000000000, ''ab'')', 'replace(repeat(''a'', 100000), ''a'', repeat(''b'', 100000))',
    'regexp_replace(repeat(''a'', 10000), ''.'', repeat(''b'', 100000), ''g'')', 'repeat(repeat(repeat(''x'', 5000), 5000), 5000)',
    'repeat(''x'', 16000000) || repeat(''y'', 16000000)', 'length(repeat(''x'', 16000000))', 'lpad(''x'', 5, ''-'')', 'regexp_replace(''abab'', ''a'', ''x'', 2)']) AS e;
-- refused
SELECT e, pg_temp.expression(e) FROM unnest(ARRAY[
    '(SELECT 1)', 'EXISTS (SELECT FROM pg_authid)', 'ARRAY(SELECT rolname FROM pg_authid)', 'name IN (SELECT rolname FROM pg_authid)',
    'random()', 'clock_timestamp()', 'nextval(''pg_class'')', 'pg_sleep(10)', 'pg_read_file(''/etc/passwd'')', 'current_setting(''data_directory'')', 'set_config(''a.b'', ''c'', false)',
    'query_to_xml(''select 1'', true, true, '''')', 'lo_import(''/etc/passwd'')', 'pg_catalog.pg_ls_dir(''.'')', 'version()', 'current_user', 'repeat(''x'', 1000000000)',
    'current_role', 'session_user', '1::regclass', 'name::xml', 'generate_series(1, 3)', 'unnest(ARRAY[1, 2])', 'count(*)', 'sum(1)', 'row_number() OVER ()', 'source.name', 'source.*', '*',
    'ROW(1, 2)', '1, 2', '1; SELECT 2', '1 AS x', '', '   ', '-- nothing', '1 FROM pg_authid', '1) FROM pg_authid --', '1)) AS text) FROM pg_authid; --',
    '1 /*', '$1', ':x', 'name = ANY (SELECT 1)', 'DEFAULT', 'k_user(1)', 'public.k_user(1)', '1::k_domain', '''a''::k_enum', '1 === 1',
    'kaireon.version()', 'kaireon.mask_ssn(name)', 'xmlelement(name foo)', '(name).x', 'GROUPING(name)']) AS e;
-- A user's function, domain, type and operator are not built in.
BEGIN;
CREATE FUNCTION public.k_user(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE DOMAIN public.k_domain AS int CHECK (public.k_user(VALUE) > 0);
CREATE TYPE public.k_enum AS ENUM ('a');
CREATE OPERATOR public.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
SELECT e, pg_temp.expression(e) FROM unnest(ARRAY['k_user(1)', 'public.k_user(1)', '1::k_domain', '1::public.k_domain', '''a''::public.k_enum', '1 === 1',
    '1 OPERATOR(public.===) 1']) AS e;
-- Neither is what hides a built-in one.
CREATE SCHEMA k_hide;
CREATE FUNCTION k_hide.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT 'hidden'$$;
SET LOCAL search_path = k_hide, pg_catalog, public;
SELECT pg_temp.expression('upper(name)');
ROLLBACK;

-- ---- through the functions people call
SELECT kaireon.create_pipeline('k_bad', 'k_files', 'k_target', '[{"id": "r", "type": "source"}, {"id": "x", "type": "cast", "config": {"feild": "a", "targetType": "text"}},
    {"id": "w", "type": "target"}]');
SELECT kaireon.create_pipeline('k_bad', 'k_files', 'k_target', '[{"id": "r", "type": "source", "config": {"rowLimit": -1}}, {"id": "x", "type": "cast", "config": {"field": "a", "targetType": "money"}},
    {"id": "w", "type": "target"}]');
SELECT count(*) FROM kaireon.pipelines WHERE name = 'k_bad';
SELECT kaireon.create_pipeline('k_good', 'k_files', 'k_target', '[{"id": "r", "type": "source", "config": {"resource": "x.csv"}}, {"id": "w", "type": "target"}]') IS NOT NULL;
SELECT count(*) FROM kaireon.validate_pipeline('k_good');
SELECT kaireon.update_pipeline('k_good', nodes => '[{"id": "r", "type": "source"}]');
SELECT draft_version FROM kaireon.pipelines WHERE name = 'k_good';
-- What was sound when it was made need not stay so.
SELECT kaireon.update_pipeline('k_good', nodes => '[{"id": "r", "type": "source", "config": {"resource": "x.csv"}}, {"id": "w", "type": "target", "config": {"fieldMapping": {"a": "day"}}}]');
SELECT kaireon.drop_field('k_target', 'day');
SELECT * FROM kaireon.validate_pipeline('k_good');
SELECT kaireon.add_field('k_target', '{"name": "day", "dataType": "date"}');
SELECT count(*) FROM kaireon.validate_pipeline('k_good');
SELECT kaireon.validate_pipeline('k_none');

-- ---- explain and diagram: a chain is one stage, however long
SELECT kaireon.create_pipeline('k_chain', 'k_files', 'k_target', '[
    {"id": "read", "type": "source", "config": {"resource": "in/*.csv"}},
    {"id": "positive", "type": "filter", "config": {"field": "amount", "operator": ">", "value": 0}},
    {"id": "known", "type": "filter", "config": {"match": "any", "conditions": [{"field": "kind", "operator": "in", "value": ["a", "b''c"]}, {"field": "kind", "operator": "is_null"}]}},
    {"id": "named", "type": "rename", "config": {"sourceField": "full name", "targetField": "name"}},
    {"id": "typed", "type": "cast", "config": {"field": "day", "targetType": "date"}},
    {"id": "masked", "type": "mask_pii", "config": {"field": "ssn", "maskType": "ssn"}},
    {"id": "tagged", "type": "add_field", "config": {"fieldName": "tag", "fieldType": "text", "expression": "upper(left(ssn, 3)) || ''-'' || kind"}},
    {"id": "packed", "type": "add_field", "config": {"fieldName": "extra", "fieldType": "json", "defaultValue": "{}"}},
    {"id": "lean", "type": "drop", "config": {"fields": ["kind", "ssn"]}},
    {"id": "write", "type": "target", "config": {"validation": "skip", "fieldMapping": {"key": "id"}}}]') IS NOT NULL;
SELECT kaireon.explain_pipeline('k_chain');
SELECT count(*) FROM kaireon.explain_pipeline('k_chain') AS line WHERE line LIKE 'Stage %';
SELECT kaireon.pipeline_diagram('k_chain');
SELECT kaireon.pipeline_diagram('k_chain', 'mermaid');
SELECT kaireon.pipeline_diagram('k_chain', 'dot');
SELECT kaireon.pipeline_diagram('k_chain', 'svg');
SELECT kaireon.pipeline_diagram('k_none');
SELECT kaireon.explain_pipeline('k_none');

-- Hooks: whole in explain, their beginning in drawings.
SELECT kaireon.update_pipeline('k_chain', nodes => '[{"id": "read", "type": "source"}, {"id": "write", "type": "target", "config": {
    "preHook": "DELETE FROM ds_k_target\nWHERE day < current_date", "postHook": "REFRESH MATERIALIZED VIEW a; REFRESH MATERIALIZED VIEW \"b & c\"; NOTIFY done"}}]') > 1;
SELECT kaireon.explain_pipeline('k_chain');
SELECT kaireon.pipeline_diagram('k_chain');
SELECT kaireon.pipeline_diagram('k_chain', 'mermaid');
SELECT kaireon.pipeline_diagram('k_chain', 'dot');
SELECT kaireon.create_connector('k_web', 'http_pull', '{"baseUrl": "https://example.com/hooks"}') IS NOT NULL;
SELECT kaireon.update_pipeline('k_chain', nodes => '[{"id": "read", "type": "source"}, {"id": "write", "type": "target", "config": {
    "preHook": {"type": "sql", "statement": "DELETE FROM ds_k_target"}, "postHook": [{"type": "refresh", "views": ["Public.Totals", "\"A \"\"B\"\"\".c"], "concurrently": true},
    "NOTIFY done", {"type": "webhook", "connector": "k_web", "path": "loads?x=1", "method": "PUT", "on": "always"}]}}]') > 1;
SELECT kaireon.explain_pipeline('k_chain');
SELECT kaireon.pipeline_diagram('k_chain');

SELECT kaireon.delete_pipeline('k_chain'), kaireon.delete_pipeline('k_good'), kaireon.delete_schema('k_target'), kaireon.delete_connector('k_files'), kaireon.delete_connector('k_web');
