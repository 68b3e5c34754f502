-- Who may call which function and read which view: every one of schema kaireon
-- for every kind of role, by its grants and by calling it.  A function or view
-- without a line here fails: somebody has to decide.  Each is called, with nulls
-- where it takes any, which nobody may answer with an internal error.
BEGIN;
SELECT * FROM no_plan();

-- The least role that may: viewer < operator < admin.
CREATE TABLE decision (name text PRIMARY KEY, least text NOT NULL);
INSERT INTO decision
SELECT 'kaireon.' || f, least FROM (VALUES
    ('viewer', ARRAY['version', 'progress_bar', 'export_pipeline', 'pipeline_diff', 'field_mapping', 'mask_ssn', 'mask_email', 'mask_phone', 'mask_credit_card', 'map_value', 'split_field', 'plain_number', 'iso_time', 'rule', 'observe', 'keyed_hash',
                     'bounded_size', 'bounded_lpad', 'bounded_rpad', 'bounded_repeat', 'bounded_replace', 'bounded_regexp_replace',
                     'bounded_btrim', 'bounded_contained', 'bounded_contains', 'bounded_has_all', 'bounded_has_any', 'bounded_ilike', 'bounded_like', 'bounded_ltrim', 'bounded_nilike', 'bounded_nlike', 'bounded_overlaps', 'bounded_position', 'bounded_rtrim', 'bounded_split_part', 'bounded_string_to_array', 'bounded_strpos', 'bounded_translate', 'bounded_without']),
    ('operator', ARRAY['run_pipeline', 'start_pipeline', 'upload_csv', 'replay_dead_letters', 'cancel_run', 'resume_run', 'retry_outbox', 'validate_pipeline', 'explain_pipeline', 'pipeline_columns', 'pipeline_diagram',
                       'pause_pipeline', 'resume_pipeline']),
    ('admin', ARRAY['confirm_instance', 'rotate_master_key', 'create_connector', 'update_connector', 'delete_connector', 'create_schema',
                    'update_schema', 'delete_schema', 'add_field', 'alter_field', 'drop_field', 'adopt_table', 'refresh_schema', 'create_pipeline', 'update_pipeline',
                    'publish_pipeline', 'import_pipeline', 'archive_pipeline', 'delete_pipeline', 'change_owner', 'reset_source_state', 'discard_outbox', 'purge_dead_letters', 'edit_dead_letter', 'preview_pipeline',
                    'read', 'describe', 'preview', 'list_objects', 'test_connector', 'infer_fields', 'touch_updated_at'])) AS d (least, names), unnest(names) AS f;
INSERT INTO decision
SELECT 'kaireon.' || v, 'viewer' FROM unnest(ARRAY['connector_types', 'connectors', 'schemas', 'schema_fields', 'pipelines', 'pipeline_versions', 'runs',
    'run_attempts', 'run_waits', 'run_nodes', 'run_errors', 'dead_letters', 'source_state', 'outbox', 'progress', 'instance', 'expression_functions']) AS v;

-- A strict function with nulls is not called at all: it gets values.
CREATE FUNCTION argument(type regtype, strict boolean) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN NOT strict THEN format('NULL::%s', type) WHEN type = 'anyelement'::regtype THEN quote_literal('x') || '::text'
                WHEN type = 'anyarray'::regtype THEN quote_literal('{}') || '::text[]' WHEN type::text LIKE '%[]' THEN format('%L::%s', '{}', type)
                ELSE format('%L::%s', CASE type::text WHEN 'text' THEN 'x' WHEN 'jsonb' THEN '{}' WHEN 'uuid' THEN '00000000-0000-0000-0000-000000000000'
                                            WHEN 'boolean' THEN 'f' ELSE '1' END, type) END
$$;
CREATE VIEW thing AS
SELECT 'function' AS kind, p.oid, 'kaireon.' || p.proname AS name, p.oid::regprocedure::text AS label,
       format(CASE WHEN p.proname = 'read' THEN 'SELECT * FROM kaireon.%I(%s) AS t(a text)' ELSE 'SELECT kaireon.%I(%s)' END, p.proname,
              (SELECT string_agg(argument(t, p.proisstrict), ', ' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n))) AS call
  FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace('kaireon')
UNION ALL
SELECT 'view', c.oid, c.oid::regclass::text, c.oid::regclass::text, format('SELECT count(*) FROM %s', c.oid::regclass)
  FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('kaireon') AND c.relkind <> 'c';

SELECT is_empty($$SELECT label FROM thing WHERE name NOT IN (SELECT name FROM decision)$$, 'everything in schema kaireon has a line in test/pgtap/rights_matrix.sql');
SELECT is_empty($$SELECT name FROM decision WHERE name NOT IN (SELECT name FROM thing)$$, 'and there is no line for what is gone');
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kaireon'::regnamespace AND relkind NOT IN ('v', 'c')$$, 'users see views, not tables');

CREATE ROLE m_super SUPERUSER;
CREATE ROLE m_admin IN ROLE kaireon_admin;
CREATE ROLE m_operator IN ROLE kaireon_operator;
CREATE ROLE m_viewer IN ROLE kaireon_viewer;
CREATE ROLE m_none;
CREATE ROLE m_all IN ROLE pg_read_all_data, pg_write_all_data, pg_monitor, pg_signal_backend CREATEROLE CREATEDB;
-- What owns the extension need not stay a superuser.
CREATE ROLE m_owner SUPERUSER;
CREATE TABLE kind (role name, rank int);
INSERT INTO kind VALUES ('m_super', 9), ('m_owner', 9), ('m_admin', 3), ('m_operator', 2), ('m_viewer', 1), ('m_none', 0);

-- What a statement comes to: 'allowed' or 'refused', which is an error about
-- rights on the thing itself or its schema; 'broken' for an internal error.
CREATE FUNCTION outcome(who name, sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    EXECUTE sql;
    RAISE SQLSTATE 'P0099';
EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN 'allowed';
WHEN OTHERS THEN
    RETURN CASE WHEN SQLSTATE = '42501' AND SQLERRM ~ '^permission denied for (function|view|schema) ' THEN 'refused'
                WHEN SQLSTATE LIKE 'XX%' THEN 'broken: ' || SQLERRM ELSE 'allowed' END;
END
$$;
CREATE FUNCTION matrix(title text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT k.role, k.rank, t.kind, t.label, t.call,
                    CASE d.least WHEN 'viewer' THEN 1 WHEN 'operator' THEN 2 ELSE 3 END AS needed,
                    CASE t.kind WHEN 'function' THEN has_function_privilege(k.role, t.oid, 'EXECUTE') ELSE has_table_privilege(k.role, t.oid, 'SELECT') END
                    AND has_schema_privilege(k.role, 'kaireon', 'USAGE') AS granted
               FROM kind AS k CROSS JOIN thing AS t JOIN decision AS d ON d.name = t.name ORDER BY k.rank DESC, k.role, t.kind, t.label LOOP
        RETURN NEXT is(r.granted || ' ' || outcome(r.role, r.call), (r.rank >= r.needed) || ' ' || CASE WHEN r.rank >= r.needed THEN 'allowed' ELSE 'refused' END,
                       format('%s: %s, %s %s', title, r.role, r.kind, r.label));
    END LOOP;
END
$$;

SELECT matrix('made by a superuser');

-- ---- nothing else is open

CREATE FUNCTION closed(title text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT is_empty($q$SELECT r, c.oid::regclass, p FROM pg_class AS c, unnest('{m_admin,m_operator,m_viewer,m_none,kaireon_admin}'::name[]) AS r,
                             unnest('{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER,REFERENCES}'::text[]) AS p
                           WHERE c.relnamespace = 'kaireon'::regnamespace AND c.relkind = 'v' AND has_table_privilege(r, c.oid, p)$q$, title || ': views are read only');
    RETURN NEXT is_empty($q$SELECT r, c.oid::regclass FROM pg_class AS c, unnest('{m_admin,m_operator,m_viewer,m_none}'::name[]) AS r
                           WHERE c.relnamespace = 'kaireon_internal'::regnamespace AND c.relkind IN ('r', 'v', 'S')
                             AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(r, c.oid, 'USAGE, SELECT, UPDATE')
                                      ELSE has_table_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege(r, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') END$q$,
                         title || ': the catalog''s tables are closed');
    RETURN NEXT is_empty($q$SELECT r, n FROM unnest('{m_admin,m_operator,m_viewer,m_none}'::name[]) AS r, (VALUES ('kaireon_internal', 'USAGE'), ('kaireon_internal', 'CREATE'), ('kaireon', 'CREATE')) AS s (n, p)
                           WHERE has_schema_privilege(r, n, p)$q$, title || ': so is their schema; nobody makes anything in either');
    RETURN NEXT is_empty($q$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kaireon_internal'::regnamespace AND relkind = 'r' AND NOT relrowsecurity$q$, title || ': each table has row-level security');
    RETURN NEXT is_empty($q$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace IN ('kaireon'::regnamespace, 'kaireon_internal'::regnamespace)
                             AND (p.prosecdef OR has_function_privilege('m_none', p.oid, 'EXECUTE'))$q$, title || ': PUBLIC executes nothing, and nothing is SECURITY DEFINER');
    RETURN NEXT set_eq($q$SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'kaireon_internal'::regnamespace AND has_function_privilege('m_admin', p.oid, 'EXECUTE')$q$,
                       ARRAY['kaireon_internal.may_see(regrole)', 'kaireon_internal.may_read(regrole)', 'kaireon_internal.quotes_rows(text,text)', 'kaireon_internal.progress_slots()', 'kaireon_internal.expression_functions()',
                             'kaireon_internal.this_instance()', 'kaireon_internal.instance_differences(bigint,oid,oid,text,text,text)'], title || ': what views call, and nothing else');
END
$$;
SELECT closed('made by a superuser');

-- SELECT granted by mistake, and the rights to read all: the rows stay hidden.
SELECT kaireon.create_connector('m_c', 'local_fs') IS NOT NULL AS made \gset
CREATE SCHEMA m_data;
SELECT kaireon.create_schema('m_s', '[{"name": "a"}]', table_schema => 'm_data') IS NOT NULL AS made \gset
SELECT kaireon.create_pipeline('m_p', 'm_c', 'm_s') IS NOT NULL AS made \gset
INSERT INTO kaireon_internal.run (pipeline_id, pipeline, version, owner, status) SELECT id, name, 1, owner, 'success' FROM kaireon_internal.pipeline;
GRANT USAGE ON SCHEMA kaireon_internal TO m_none;
GRANT SELECT ON ALL TABLES IN SCHEMA kaireon_internal TO m_none;
CREATE FUNCTION rows_seen(who name, t regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    EXECUTE format('SELECT count(*) FROM %s', t) INTO n;
    RESET ROLE;
    RETURN n;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN 0;
END
$$;
SELECT is(rows_seen(who, c.oid), '0', format('%s sees no row of %s', who, c.oid::regclass))
  FROM pg_class AS c, unnest('{m_none,m_all}'::name[]) AS who WHERE c.relnamespace = 'kaireon_internal'::regnamespace AND c.relkind = 'r' ORDER BY who, c.relname;
SELECT cmp_ok((SELECT sum(rows_seen('m_super', c.oid)::bigint) FROM pg_class AS c WHERE c.relnamespace = 'kaireon_internal'::regnamespace AND c.relkind = 'r'), '>', 5::numeric, 'though there are some');
SELECT is(rows_seen('m_all', 'kaireon.connectors'), '0', 'a role that may read all data sees none of it by a view');

-- ---- an owner that is no superuser any more; default privileges and a schema that was there

DROP EXTENSION kaireon CASCADE;
DROP SCHEMA m_data CASCADE;
DROP SCHEMA kaireon;
CREATE SCHEMA kaireon AUTHORIZATION m_admin;
GRANT ALL ON SCHEMA kaireon TO PUBLIC, m_none;
ALTER DEFAULT PRIVILEGES FOR ROLE m_owner GRANT ALL ON TABLES TO PUBLIC, m_viewer;
ALTER DEFAULT PRIVILEGES FOR ROLE m_owner GRANT ALL ON FUNCTIONS TO PUBLIC, m_viewer;
ALTER DEFAULT PRIVILEGES FOR ROLE m_owner GRANT ALL ON SEQUENCES TO PUBLIC, m_viewer;
ALTER DEFAULT PRIVILEGES FOR ROLE m_owner GRANT ALL ON SCHEMAS TO PUBLIC, m_viewer;
SET ROLE m_owner;
CREATE EXTENSION kaireon;
RESET ROLE;
ALTER ROLE m_owner NOSUPERUSER;
SELECT is(nspowner::regrole::text, 'm_owner', nspname || ' is the extension''s owner''s') FROM pg_namespace WHERE nspname IN ('kaireon', 'kaireon_internal');
UPDATE kind SET rank = 9 WHERE role = 'm_owner';
SELECT matrix('its owner is no superuser');
SELECT closed('its owner is no superuser');

-- A schema with something in it is not taken over.
DROP EXTENSION kaireon;
CREATE FUNCTION kaireon.mask_more(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
SELECT throws_ok('CREATE EXTENSION kaireon', '55000', 'schema "kaireon" is not empty', 'CREATE EXTENSION refuses a schema that others filled');
DROP FUNCTION kaireon.mask_more(text);
SET LOCAL plpgsql.extra_errors = 'all';
SELECT lives_ok('CREATE EXTENSION kaireon', 'and takes it when it is empty; no function of it has what extra_errors complain about');

SELECT * FROM finish();
ROLLBACK;
