-- Odd ways to call: past the public functions, in odd notations, through
-- functions, views, prepared statements and cursors of others, and from code
-- that somebody else's statement runs.  Who calls is always who is current.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include
CREATE ROLE regress_alice LOGIN IN ROLE kaireon_admin;
CREATE ROLE regress_bob LOGIN IN ROLE kaireon_admin;
CREATE ROLE regress_dave LOGIN;
CREATE SCHEMA calls;
GRANT ALL ON SCHEMA calls TO regress_alice, regress_bob;
GRANT USAGE ON SCHEMA calls TO PUBLIC;

-- ---- past the public functions

SELECT pg_temp.try($q$SELECT kaireon_internal.as_role('regress_alice', 'SELECT 1')$q$, 'regress_bob');
SELECT pg_temp.try($q$SELECT kaireon_internal.create_connector('regress_alice', 'x', 'local_fs', '{}', NULL, '{}', NULL, false, false)$q$, 'regress_bob');
SELECT pg_temp.try($q$SELECT kaireon_internal.may_see('regress_alice'::regrole)$q$, 'regress_bob');
SELECT pg_temp.try($q$SELECT kaireon_internal.progress_slots()$q$, 'regress_bob');
SELECT pg_temp.try($q$SELECT auth_sealed FROM kaireon_internal.connector$q$, 'regress_bob');
SELECT pg_temp.try($q$SELECT * FROM kaireon.connectors AS c, LATERAL kaireon_internal.fail('XX000', c.name, NULL, NULL)$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE FUNCTION calls.thief(regrole, text) RETURNS text LANGUAGE c AS '$libdir/kaireon', 'kaireon_as_role'$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE OPERATOR calls.@@ (FUNCTION = kaireon_internal.as_role, LEFTARG = regrole, RIGHTARG = text)$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE AGGREGATE calls.steal (text) (SFUNC = kaireon_internal.as_role, STYPE = regrole)$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE VIEW calls.peek AS SELECT * FROM kaireon_internal.connector$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE RULE r AS ON INSERT TO kaireon.connectors DO INSTEAD NOTHING$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE TRIGGER t INSTEAD OF INSERT ON kaireon.connectors FOR EACH ROW EXECUTE FUNCTION kaireon.touch_updated_at()$q$, 'regress_bob');
SELECT pg_temp.try($q$INSERT INTO kaireon.connectors (name) VALUES ('x')$q$, 'regress_bob');
SELECT pg_temp.try($q$DELETE FROM kaireon.runs$q$, 'regress_bob');
SELECT pg_temp.try($q$SELECT * FROM kaireon.pipelines FOR UPDATE$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE FUNCTION kaireon.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'$q$, 'regress_bob');
SELECT pg_temp.try($q$CREATE TABLE kaireon.mine ()$q$, 'regress_bob');
SELECT pg_temp.try($q$ALTER FUNCTION kaireon.create_connector SECURITY DEFINER$q$, 'regress_bob');
SELECT pg_temp.try($q$DROP FUNCTION kaireon.delete_connector$q$, 'regress_bob');
-- Nor does who may call it call it for somebody else.
SELECT * FROM pg_temp.try($$SELECT kaireon_internal.as_role('regress_alice', 'SELECT 1')$$) LIMIT 1;

-- ---- odd notations

SELECT pg_temp.try($q$SELECT kaireon.create_connector(type => 'local_fs', name => 'alices', config => NULL, auth_method => NULL, auth_config => NULL, description => NULL, if_not_exists => NULL, replace => NULL)$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_connector('alices', if_not_exists => true, type => 'local_fs')$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_connector(VARIADIC ARRAY['a', 'local_fs'])$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_connector('a')$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_connector('a', 'local_fs', caller => 'regress_bob')$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_connector('a', 'local_fs', '{}', 'none', '{}', 'd', false, false, 'regress_bob')$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_connector('a'::name, 'local_fs'::varchar)$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.delete_connector(unnest) FROM unnest(ARRAY['a'])$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.delete_connector(NULL)$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_schema('alices', '[{"name": "n", "dataType": "integer"}]', table_schema => 'calls')$q$, 'regress_alice');
SELECT pg_temp.try($q$SELECT kaireon.create_pipeline('alices', 'alices', 'alices')$q$, 'regress_alice');

-- ---- who calls is who is current

-- Is a statement refused?  Any other error comes from the source.
CREATE FUNCTION pg_temp.refused(sql text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; RETURN false; EXCEPTION WHEN insufficient_privilege THEN RETURN true; WHEN OTHERS THEN RETURN false; END $$;
CREATE VIEW pg_temp.owned AS SELECT name, owner FROM kaireon_internal.connector ORDER BY name;
-- A function that is its definer's.
SET SESSION AUTHORIZATION regress_alice;
CREATE FUNCTION calls.make(name text) RETURNS boolean SECURITY DEFINER LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT kaireon.create_connector(name, 'local_fs') IS NOT NULL $$;
CREATE FUNCTION calls.read(path text) RETURNS SETOF text SECURITY DEFINER LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT a FROM kaireon.read('alices', path) AS t(a text) $$;
CREATE FUNCTION calls.take_role(role name) RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SET ROLE %I', role); RETURN current_user; END $$;
CREATE VIEW calls.shown AS SELECT a FROM kaireon.read('alices', 'x.csv') AS t(a text);
CREATE VIEW calls.names AS SELECT name FROM kaireon.connectors;
GRANT SELECT ON calls.shown, calls.names TO PUBLIC;
SET SESSION AUTHORIZATION regress_dave;
SELECT calls.make('by_dave');
SELECT pg_temp.refused($$SELECT kaireon.create_connector('his_own', 'local_fs')$$), pg_temp.refused($$SELECT * FROM calls.read('x.csv')$$);
SELECT * FROM calls.shown;
SELECT * FROM calls.names;
SELECT calls.take_role('kaireon_admin');
SET SESSION AUTHORIZATION regress_bob;
SELECT calls.make('by_bob');
SELECT * FROM calls.shown;

-- A call site that was used by another before.
RESET SESSION AUTHORIZATION;
GRANT regress_alice, regress_bob TO regress_dave;
SET SESSION AUTHORIZATION regress_dave;
PREPARE make (text) AS SELECT kaireon.create_connector($1, 'local_fs') IS NOT NULL;
PREPARE look (text) AS SELECT a FROM kaireon.read($1, 'x.csv') AS t(a text);
SET plan_cache_mode = force_generic_plan;
SET ROLE regress_alice;
EXECUTE make ('first');
SELECT pg_temp.refused($$EXECUTE look ('alices')$$);
BEGIN;
DECLARE c CURSOR FOR SELECT a FROM kaireon.read('alices', 'x.csv') AS t(a text);
SET LOCAL ROLE regress_bob;
FETCH c;
ROLLBACK;
SET ROLE regress_bob;
EXECUTE make ('second');
SELECT pg_temp.refused($$EXECUTE look ('alices')$$);
RESET ROLE;
EXECUTE make ('third');
DO $$
DECLARE
    who name;
BEGIN
    FOREACH who IN ARRAY '{regress_alice,regress_bob}'::name[] LOOP
        EXECUTE format('SET LOCAL ROLE %I', who);
        PERFORM kaireon.create_connector('of ' || current_user, 'local_fs');
    END LOOP;
END $$;
RESET SESSION AUTHORIZATION;
SELECT * FROM pg_temp.owned;
-- A failure in the middle leaves nobody's rights behind.
SET SESSION AUTHORIZATION regress_bob;
DO $$
DECLARE
    call text;
BEGIN
    FOREACH call IN ARRAY ARRAY['delete_connector(''first'')', 'add_field(''alices'', ''{"name": "x"}'')', 'create_schema(''x'', ''[{"name": "a"}]'', table_schema => ''pg_toast'')',
                                'run_pipeline(''nope'')', 'preview_pipeline(''alices'')', 'read(''alices'')', 'change_owner(''pipeline'', ''alices'', ''regress_bob'')'] LOOP
        BEGIN
            EXECUTE 'SELECT kaireon.' || call;
            RAISE EXCEPTION 'went through: %', call;
        EXCEPTION WHEN insufficient_privilege OR undefined_object OR feature_not_supported OR invalid_parameter_value THEN
            IF current_user <> 'regress_bob' OR session_user <> 'regress_bob' OR current_setting('search_path') <> '"$user", public' THEN
                RAISE EXCEPTION '% left % behind', call, current_user;
            END IF;
        END;
    END LOOP;
END $$;
SELECT current_user, session_user, current_setting('role'), current_setting('search_path');
RESET SESSION AUTHORIZATION;

-- ---- code that somebody else's statement runs

CREATE TABLE calls.proof (who text, what text, note text);
GRANT ALL ON calls.proof TO PUBLIC;
SELECT session_user AS superuser \gset
-- Sessions of their own: RESET SESSION AUTHORIZATION is among the attempts.
\c - regress_alice
-- Says who it is, and tries to become somebody, or to leave something behind.
CREATE FUNCTION calls.try(what text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    attempt text;
BEGIN
    BEGIN
        INSERT INTO calls.proof VALUES (current_user, what, session_user);
    EXCEPTION WHEN read_only_sql_transaction THEN
        NULL;
    END;
    FOREACH attempt IN ARRAY ARRAY['SET ROLE NONE', 'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'ALTER ROLE regress_alice SUPERUSER', 'CREATE TEMP TABLE pg_class ()'] LOOP
        BEGIN
            EXECUTE attempt;
            INSERT INTO calls.proof VALUES (current_user, what, 'succeeded: ' || attempt);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    -- Where nothing may be written, nothing may be made either.
    IF current_setting('transaction_read_only')::boolean THEN
        FOREACH attempt IN ARRAY ARRAY['CREATE DOMAIN pg_temp.text AS pg_catalog.text', 'CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS ''SELECT $1''',
                                       'SET transaction_read_only = off', 'INSERT INTO calls.proof VALUES (current_user, ''written'')'] LOOP
            BEGIN
                EXECUTE attempt;
                RAISE WARNING 'succeeded: %', attempt;
            EXCEPTION WHEN read_only_sql_transaction OR active_sql_transaction OR feature_not_supported THEN
                NULL;
            END;
        END LOOP;
    END IF;
    PERFORM set_config('search_path', 'calls, pg_catalog', false), set_config('DateStyle', 'SQL, DMY', false), set_config('row_security', 'off', false);
    RETURN true;
END $$;
CREATE FUNCTION calls.try_now(what text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM calls.try(what); RETURN 1; END $$;
CREATE DOMAIN calls.checked AS bigint CHECK (calls.try('domain'));
ALTER TABLE calls.ds_alices ADD CHECK (calls.try('check') OR n > 0), ADD COLUMN d int DEFAULT calls.try_now('default'), ALTER COLUMN n TYPE calls.checked,
    ADD COLUMN g int GENERATED ALWAYS AS (calls.try_now('generated')) STORED;
CREATE INDEX ON calls.ds_alices (calls.try_now('index')) WHERE calls.try_now('predicate') > 0;
INSERT INTO calls.ds_alices (n) VALUES (1), (2);
ALTER TABLE calls.ds_alices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON calls.ds_alices USING (calls.try('policy'));
\c - :superuser
SET client_min_messages = warning;
TRUNCATE calls.proof;
-- A superuser and an operator look at it and change it; whatever runs is alice, and leaves nothing.
CREATE ROLE regress_operator LOGIN IN ROLE kaireon_operator;
\c - regress_operator
SELECT count(*) FROM kaireon.validate_pipeline('alices');
SELECT count(*) > 0 FROM kaireon.explain_pipeline('alices');
SELECT kaireon.pipeline_diagram('alices') IS NOT NULL;
SELECT current_user, current_setting('search_path'), current_setting('DateStyle'), current_setting('row_security'), current_setting('transaction_read_only');
\c - :superuser
SET client_min_messages = warning;
SELECT count(*) FROM kaireon.validate_pipeline('alices');
SELECT count(*) > 0 FROM kaireon.explain_pipeline('alices');
SELECT kaireon.update_pipeline('alices', execution_config => '{}');
SELECT kaireon.add_field('alices', '{"name": "more", "dataType": "smallint", "defaultValue": "1", "isNullable": false}');
SELECT kaireon.alter_field('alices', 'more', '{"dataType": "integer"}');
SELECT kaireon.alter_field('alices', 'more', '{"isUnique": true}', force => true);
SELECT kaireon.alter_field('alices', 'more', '{"isUnique": false, "dataType": "text"}', force => true);
SELECT kaireon.drop_field('alices', 'more', force => true);
SELECT current_user = session_user, current_setting('search_path'), current_setting('DateStyle'), current_setting('row_security'), current_setting('transaction_read_only');
SELECT who, string_agg(DISTINCT what, ', ' ORDER BY what) FROM calls.proof GROUP BY who ORDER BY who;
SELECT DISTINCT note FROM calls.proof WHERE note LIKE 'succeeded%' ORDER BY note;
SELECT (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()), (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema());
-- From an index's expression, as ANALYZE by a superuser has it run: what is made is alice's.
SET SESSION AUTHORIZATION regress_alice;
CREATE FUNCTION calls.make_quietly() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM kaireon.create_connector('by analyze', 'local_fs', if_not_exists => true); RETURN 1;
    EXCEPTION WHEN OTHERS THEN INSERT INTO calls.proof VALUES (current_user, 'analyze', SQLERRM); RETURN 1; END $$;
CREATE FUNCTION calls.make_immutably(bigint) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN calls.make_quietly(); END $$;
CREATE TABLE calls.analyzed (a bigint);
INSERT INTO calls.analyzed VALUES (1);
CREATE INDEX ON calls.analyzed (calls.make_immutably(a));
SELECT kaireon.delete_connector('by analyze', if_exists => true);
RESET SESSION AUTHORIZATION;
ANALYZE calls.analyzed;
SELECT owner FROM kaireon_internal.connector WHERE name = 'by analyze';
SELECT rolname, rolsuper FROM pg_roles WHERE rolname LIKE 'regress_%' AND rolsuper AND rolname IN ('regress_alice', 'regress_bob', 'regress_dave', 'regress_operator');

DROP OWNED BY regress_alice, regress_bob, regress_dave, regress_operator CASCADE;
DROP SCHEMA calls CASCADE;
DROP ROLE regress_alice, regress_bob, regress_dave, regress_operator;

-- What expressions are rewritten to call takes values of any type.
SELECT kaireon.bounded_size(1), kaireon.bounded_size(7::smallint), kaireon.bounded_size(1.5), kaireon.bounded_size('x'::text),
       kaireon.bounded_size('2026-01-01'::date), kaireon.bounded_size('x'::name), kaireon.bounded_size('x'::cstring), kaireon.bounded_size(12::oid);
