-- What connectors of a type can't do is refused when a pipeline is made, and
-- where a source is read.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/graph.psql'
\i :include
\set include :abs_srcdir '/sql/include/findings.psql'
\i :include
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT type, abilities FROM kaireon.connector_types WHERE abilities <> '{}' OR status = 'ready' ORDER BY type COLLATE "C";
INSERT INTO kaireon_internal.connector_type VALUES ('a_soon', '{"status": "coming_soon"}', 'user');
SELECT kaireon.create_connector('a_hook', 'a_soon') IS NOT NULL;
SELECT kaireon.create_connector('a_web', 'http_pull', '{"baseUrl": "https://example.com/data"}') IS NOT NULL, kaireon.create_connector('a_files', 'local_fs') IS NOT NULL,
       kaireon.create_connector('a_uploads', 'csv_upload') IS NOT NULL;
SELECT kaireon.create_schema('a_target', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}, {"name": "note", "dataType": "json"}]') IS NOT NULL;
SET test.schema = 'a_target';

-- ---- files behind URLs: not moved, nor found by patterns
SET test.connector = 'a_web';
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "a.csv"}', 'k archive {"successFolder": "done"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "a.csv", "atomicity": {"successFolder": true}}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "daily/*.csv"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "https://example.com/data/part*.csv"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"pattern": {"type": "glob", "value": "x.csv"}}', 'w target'));
SELECT regexp_replace(pg_temp.findings(pg_temp.nodes('r source {"resource": "in", "pattern": {"type": "dateGlob", "value": "{YYYY}*.csv"}}', 'w target')), '\d{4}', 'year');
-- one that is a name each day is none that chooses
SELECT regexp_replace(pg_temp.findings(pg_temp.nodes('r source {"pattern": {"type": "dateGlob", "value": "{YYYY}.csv"}}', 'w target')), '\d{4}', 'year');
-- what looks like one is none: a query, an address, an escape
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "rows?select=*&filter[x]=1", "incremental": true, "waitPolicy": {"maxRetries": 1}}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "https://[::1]:8080/a[1]%2A.csv?x=[1]"}', 'w target'));
-- two sources, each by its own connector: of the one whose files can't be moved it is said
SELECT pg_temp.findings(pg_temp.nodes('a source {"resource": "a.csv"}', 'b source {"connector": "a_files", "resource": "*.csv", "atomicity": {"successFolder": "done"}}', 'k archive {"successFolder": "done"}', 'w target'),
    pg_temp.edges('a>k', 'k>w', 'b>w'));
SET test.connector = 'a_files';
SELECT pg_temp.findings(pg_temp.nodes('a source {"connector": "a_web", "resource": "*.csv"}', 'b source {"resource": "*.csv"}', 'k archive {"successFolder": "done"}', 'w target'), pg_temp.edges('a>w', 'b>k', 'k>w'));

-- ---- what is asked, and what is called
SELECT pg_temp.findings(pg_temp.nodes('r source', 'e enrich {"connector": "a_web", "resource": "x/{id}/*.json", "outputField": "note"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'e enrich {"connector": "a_uploads", "resource": "{id}", "outputField": "note"}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'w target {"postHook": [{"type": "webhook", "connector": "a_files"}]}'));

-- ---- uploads
SET test.connector = 'a_uploads';
SELECT pg_temp.findings(pg_temp.nodes('r source {"resource": "a.csv", "pattern": {"type": "glob", "value": "*"}}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source {"atomicity": {"successFolder": "done"}}', 'w target'));
SELECT pg_temp.findings(pg_temp.nodes('r source', 'k archive {"successFolder": "done"}', 'w target'));

-- ---- a type that can't be read
SELECT pg_temp.findings(pg_temp.nodes('r source {"connector": "a_hook"}', 'w target'));
SET test.connector = 'a_hook';
SELECT pg_temp.findings(pg_temp.nodes('r source', 'w target'));

-- ---- it is refused where it is saved, and where the connector is changed
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('a_load', 'a_web', 'a_target', pg_temp.nodes('r source {"resource": "a.csv"}', 'k archive {"successFolder": "done"}', 'w target'))$$);
SELECT kaireon.create_pipeline('a_load', 'a_files', 'a_target', pg_temp.nodes('r source {"resource": "*.csv"}', 'k archive {"successFolder": "done"}', 'w target')) IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('a_load', connector => 'a_web')$$);

-- ---- without a pipeline
SELECT pg_temp.try($$SELECT kaireon.list_objects('a_web', '*.csv')$$);
SELECT pg_temp.try($$SELECT kaireon.preview('a_web', '', '{"pattern": {"type": "glob", "value": "*.csv"}}')$$);
SELECT pg_temp.try($$SELECT * FROM kaireon.read('a_web', 'part*.csv') AS t (a text)$$);

-- ---- connectors of others are not looked at
CREATE ROLE a_other LOGIN IN ROLE kaireon_admin;
GRANT CREATE ON SCHEMA public TO a_other;
SET ROLE a_other;
SELECT kaireon.create_schema('a_others', '[{"name": "id", "dataType": "integer", "isPrimaryKey": true}]') IS NOT NULL, kaireon.create_connector('a_theirs', 'local_fs') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('a_spy', 'a_theirs', 'a_others', pg_temp.nodes('r source {"connector": "a_web", "resource": "*.csv"}', 'k archive {"successFolder": "done"}', 'w target'))$$);
SELECT kaireon.delete_schema('a_others'), kaireon.delete_connector('a_theirs');
RESET ROLE;
REVOKE ALL ON SCHEMA public FROM a_other;
DROP ROLE a_other;
SELECT kaireon.delete_pipeline('a_load'), kaireon.delete_schema('a_target'), kaireon.delete_connector('a_web'), kaireon.delete_connector('a_files'), kaireon.delete_connector('a_uploads'), kaireon.delete_connector('a_hook');
DELETE FROM kaireon_internal.connector_type WHERE origin = 'user';
