-- Who may do what: the three roles, owners, members, strangers; and that
-- nobody gets more rights through the extension than he has.
BEGIN;
SELECT * FROM no_plan();

CREATE ROLE r_alice;
CREATE ROLE r_team;
CREATE ROLE r_bob;
CREATE ROLE r_member;
CREATE ROLE r_operator;
CREATE ROLE r_viewer;
CREATE ROLE r_nobody;
GRANT kaireon_admin TO r_alice, r_bob, r_member, r_team;
GRANT r_alice TO r_member;
GRANT kaireon_operator TO r_operator;
GRANT kaireon_viewer TO r_viewer;
CREATE SCHEMA r_data;
GRANT ALL ON SCHEMA r_data TO r_alice, r_member;

-- Runs a statement as a role: its first column, or the SQLSTATE.
CREATE FUNCTION as_user(who name, sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    EXECUTE sql INTO answer;
    RESET ROLE;
    RETURN COALESCE(answer, 'null');
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;

-- ---- PUBLIC

SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc WHERE pronamespace IN ('kaireon'::regnamespace, 'kaireon_internal'::regnamespace)
                     AND has_function_privilege('r_nobody', oid, 'EXECUTE')$$, 'PUBLIC may execute nothing');
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('kaireon'::regnamespace, 'kaireon_internal'::regnamespace)
                     AND relkind IN ('r', 'v') AND has_table_privilege('r_nobody', oid, 'SELECT, INSERT, UPDATE, DELETE')$$, 'PUBLIC may read nothing');
SELECT ok(NOT has_schema_privilege('r_nobody', 'kaireon', 'USAGE'), 'PUBLIC may not use schema kaireon');
SELECT is_empty($$SELECT oid::regclass FROM pg_class CROSS JOIN unnest('{kaireon_admin,kaireon_operator,kaireon_viewer}'::name[]) AS r
                   WHERE relnamespace = 'kaireon_internal'::regnamespace AND relkind = 'r'
                     AND has_table_privilege(r, oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')$$, 'no role may touch the catalog''s tables');
SELECT ok(NOT has_schema_privilege(r, 'kaireon_internal', 'USAGE'), r || ' may not use schema kaireon_internal')
  FROM unnest('{kaireon_admin,kaireon_operator,kaireon_viewer}'::name[]) AS r;
SELECT is(as_user('r_nobody', $$SELECT kaireon.create_connector('x', 'local_fs')$$), '42501', 'a stranger creates nothing');
SELECT is(as_user('r_nobody', 'SELECT count(*) FROM kaireon.connectors'), '42501', 'and sees nothing');

-- ---- alice makes what the others look at

SELECT isnt(as_user('r_alice', $$SELECT kaireon.create_connector('r_c', 'local_fs')$$), '42501', 'an admin makes a connector');
SELECT is(as_user('r_alice', $$SELECT kaireon.create_schema('r_s', '[{"name": "a"}]', table_schema => 'public')$$), '42501',
          'without CREATE on the schema there is no table');
SELECT is_empty($$SELECT FROM kaireon_internal.schema WHERE name = 'r_s'$$, 'nor a row of the catalog');
SELECT ok(as_user('r_alice', $$SELECT kaireon.create_schema('r_s', '[{"name": "a"}, {"name": "b"}]', table_schema => 'r_data')$$) LIKE '%-%', 'with it there is');
SELECT table_owner_is('r_data', 'ds_r_s', 'r_alice', 'the table is its maker''s');
SELECT ok(as_user('r_alice', $$SELECT kaireon.create_pipeline('r_p', 'r_c', 'r_s')$$) LIKE '%-%', 'an admin makes a pipeline');
SELECT results_eq($$SELECT owner::text FROM kaireon.connectors WHERE name = 'r_c' UNION ALL
                    SELECT owner::text FROM kaireon.schemas WHERE name = 'r_s' UNION ALL
                    SELECT owner::text FROM kaireon.pipelines WHERE name = 'r_p'$$, ARRAY['r_alice', 'r_alice', 'r_alice'], 'all of it is alice''s');
INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, status)
SELECT '00000000-0000-0000-0000-0000000000aa', id, name, 1, owner, 'partial' FROM kaireon_internal.pipeline WHERE name = 'r_p';
INSERT INTO kaireon_internal.run_error VALUES ('00000000-0000-0000-0000-0000000000aa', 1, 'n', 'f', 1, 0, 'a', '22P02', 'bad', 'secret');
INSERT INTO kaireon_internal.dead_letter (pipeline_id, run_id, version, source_node, node_id, source, modified_at, file_number, line, "offset", sqlstate, reason, kind, record)
SELECT id, '00000000-0000-0000-0000-0000000000aa', 1, 'n', 'n', 'f', now(), 0, 1, 0, '22P02', 'bad', 'record', '{"a": "secret"}' FROM kaireon_internal.pipeline WHERE name = 'r_p';
INSERT INTO kaireon_internal.run_node VALUES ('00000000-0000-0000-0000-0000000000aa', 1, 'n', 'source');

-- ---- what each of them sees

SELECT is(as_user(who, format('SELECT count(*) FROM kaireon.%I', view)), n::text, format('%s sees %s of %s', who, n, view))
  FROM (VALUES ('r_alice'), ('r_member'), ('r_bob'), ('r_operator'), ('r_viewer')) AS w (who),
       (VALUES ('connectors', 1), ('schemas', 1), ('schema_fields', 2), ('pipelines', 1), ('pipeline_versions', 1), ('runs', 1),
               ('run_nodes', 1), ('source_state', 0), ('progress', 0)) AS v (view, n);
SELECT is(as_user(who, format('SELECT count(*) FROM kaireon.%I', view)), n::text, format('%s sees %s of %s', who, n, view))
  FROM (VALUES ('r_alice', 1), ('r_member', 1), ('r_bob', 1), ('r_operator', 1), ('r_viewer', 0)) AS w (who, n),
       (VALUES ('run_errors'), ('dead_letters')) AS v (view);
SELECT ok(as_user('r_viewer', 'SELECT count(*) FROM kaireon.connector_types')::int >= 1, 'a viewer sees the types');
SELECT is(as_user('r_viewer', 'SELECT kaireon.version()'), '0.1.0', 'and the version');
-- Somebody who may only select sees his own objects.
GRANT USAGE ON SCHEMA kaireon TO r_nobody;
GRANT SELECT ON ALL TABLES IN SCHEMA kaireon TO r_nobody;
GRANT EXECUTE ON FUNCTION kaireon_internal.may_see(regrole), kaireon_internal.may_read(regrole), kaireon_internal.this_instance(),
    kaireon_internal.instance_differences(bigint, oid, oid, text, text, text) TO r_nobody;
SELECT is(as_user('r_nobody', format('SELECT count(*) FROM kaireon.%I', v)), '0', 'a stranger with SELECT sees nothing of ' || v)
  FROM unnest('{connectors,schemas,schema_fields,pipelines,pipeline_versions,runs,run_nodes,run_errors,dead_letters}'::name[]) AS v;
-- Nor through a function that the planner might push below the view's filter.
CREATE FUNCTION r_leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE EXCEPTION 'leaked %', $1 USING ERRCODE = 'P0099'; END$$;
SELECT is(as_user('r_nobody', 'SELECT count(*) FROM kaireon.connectors WHERE r_leak(name)'), '0', 'nor by a cheap function');

-- ---- what each of them may call

SELECT is(as_user(who, format('SELECT kaireon.%s', call)), '42501', format('%s may not: %s', who, call))
  FROM (VALUES ('r_operator'), ('r_viewer')) AS w (who),
       (VALUES ($$create_connector('x', 'local_fs')$$), ($$update_connector('r_c', description => 'x')$$), ($$delete_connector('r_c')$$), ($$rotate_master_key()$$),
               ($$create_schema('x', '[{"name": "a"}]')$$), ($$update_schema('r_s', description => 'x')$$), ($$delete_schema('r_s')$$),
               ($$add_field('r_s', '{"name": "x"}')$$), ($$alter_field('r_s', 'a', '{}')$$), ($$drop_field('r_s', 'a')$$),
               ($$adopt_table('x', 'r_data.ds_r_s')$$), ($$refresh_schema('r_s')$$),
               ($$create_pipeline('x', 'r_c', 'r_s')$$), ($$update_pipeline('r_p', description => 'x')$$), ($$publish_pipeline('r_p')$$),
               ($$archive_pipeline('r_p')$$), ($$delete_pipeline('r_p')$$), ($$reset_source_state('r_p')$$), ($$purge_dead_letters('r_p')$$), ($$edit_dead_letter(1, '{}')$$), ('confirm_instance()')) AS c (call);
SELECT is(as_user('r_bob', format('SELECT kaireon.%s', call)), '42501', format('an admin may not change what is another''s: %s', call))
  FROM (VALUES ($$update_connector('r_c', description => 'x')$$), ($$delete_connector('r_c')$$), ($$update_schema('r_s', description => 'x')$$),
               ($$delete_schema('r_s', true)$$), ($$add_field('r_s', '{"name": "x"}')$$), ($$alter_field('r_s', 'a', '{}')$$),
               ($$drop_field('r_s', 'a', true)$$), ($$refresh_schema('r_s')$$), ($$adopt_table('x', 'r_data.ds_r_s')$$), ($$create_pipeline('x', 'r_c', 'r_s')$$), ($$update_pipeline('r_p', description => 'x')$$),
               ($$publish_pipeline('r_p')$$), ($$archive_pipeline('r_p')$$), ($$delete_pipeline('r_p')$$), ($$reset_source_state('r_p')$$), ($$purge_dead_letters('r_p')$$),
               (format('edit_dead_letter(%s, %L)', (SELECT max(id) FROM kaireon_internal.dead_letter), '{"a": "mine"}')), ($$change_owner('connector', 'r_c', 'r_bob')$$), ($$change_owner('schema', 'r_s', 'r_bob')$$),
               ($$change_owner('pipeline', 'r_p', 'r_bob')$$)) AS c (call);
SELECT is(as_user('r_viewer', format('SELECT kaireon.%s', call)), '42501', format('a viewer may not: %s', call))
  FROM (VALUES ($$pause_pipeline('r_p')$$), ($$resume_pipeline('r_p')$$), ($$run_pipeline('r_p')$$), ($$start_pipeline('r_p')$$), ($$replay_dead_letters('r_p')$$)) AS c (call);
CREATE FUNCTION pauses(who name) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT is(as_user(who, $q$SELECT kaireon.pause_pipeline('r_p')$q$), '', who || ' pauses');
    RETURN NEXT is((SELECT status FROM kaireon.pipelines WHERE name = 'r_p'), 'paused', 'it is paused');
    RETURN NEXT is(as_user(who, $q$SELECT kaireon.resume_pipeline('r_p')$q$), '', who || ' resumes');
    UPDATE kaireon_internal.pipeline SET status = 'archived' WHERE name = 'r_p';
    RETURN NEXT is(as_user(who, $q$SELECT kaireon.resume_pipeline('r_p')$q$), '42501', 'but not what was archived');
    UPDATE kaireon_internal.pipeline SET status = 'draft' WHERE name = 'r_p';
END
$$;
SELECT pauses(who) FROM (VALUES ('r_operator'), ('r_bob')) AS w (who);
SELECT is(as_user('r_member', $$SELECT kaireon.update_connector('r_c', description => 'mine too')$$), '', 'a member of the owner changes it');
SELECT is(as_user('r_member', $$SELECT kaireon.add_field('r_s', '{"name": "c"}')$$), '', 'and the table');
SELECT lives_ok($$SELECT kaireon.update_schema('r_s', description => 'x')$$, 'so does a superuser');

-- ---- nobody gets more rights

SELECT is(as_user('r_alice', sql), '42501', 'past the public functions: ' || sql)
  FROM (VALUES ($$SELECT kaireon_internal.as_role('postgres', 'SELECT 1')$$), ('SELECT * FROM kaireon_internal.connector'),
               ($$SELECT kaireon_internal.delete_connector('r_bob', 'r_c')$$), ($$SELECT kaireon_internal.may_see('r_bob'::regrole)$$)) AS s (sql);
-- The table's schema and its privileges are those of the caller, not of the extension's owner.
SELECT is(as_user('r_bob', $$SELECT kaireon.create_schema('r_bob', '[{"name": "a"}]', table_schema => 'r_data')$$), '42501', 'no table where the caller may not create');
-- A table that was given to somebody else is not altered or dropped for its schema's owner.
ALTER TABLE r_data.ds_r_s OWNER TO r_team;
SELECT is(as_user('r_alice', $$SELECT kaireon.add_field('r_s', '{"name": "d"}')$$), '42501', 'no column on a table that is another''s');
SELECT is_empty($$SELECT FROM kaireon.schema_fields WHERE schema = 'r_s' AND name = 'd'$$, 'nor in the catalog');
ALTER TABLE r_data.ds_r_s OWNER TO r_alice;
-- What a caller puts into his search_path is not called.
CREATE SCHEMA r_evil;
GRANT USAGE ON SCHEMA r_evil TO PUBLIC;
CREATE FUNCTION r_evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END$$;
CREATE FUNCTION r_evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END$$;
CREATE FUNCTION r_evil.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'hijacked as %', current_user; END$$;
CREATE OPERATOR r_evil.= (FUNCTION = r_evil.eq, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION as_alice_led_astray(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    SET LOCAL ROLE r_alice;
    SET LOCAL search_path = r_evil, pg_catalog, public;
    EXECUTE sql INTO answer;
    RESET search_path;
    RESET ROLE;
    RETURN answer;
END
$$;
SELECT throws_ok($$SELECT as_alice_led_astray('SELECT lower(''A''::text)')$$, 'P0001', 'hijacked as r_alice', 'the trap works');
SELECT ok(as_alice_led_astray($$SELECT kaireon.create_schema('r_hijack', '[{"name": "a", "defaultValue": "''x''"}]', table_schema => 'r_data')$$) LIKE '%-%', 'search_path is pinned: create');
SELECT is(as_alice_led_astray($$SELECT kaireon.delete_schema('r_hijack')$$), '', 'search_path is pinned: delete');
SELECT is(as_alice_led_astray($$SELECT name FROM kaireon.connectors$$), 'r_c', 'search_path is pinned: views');
-- A failed call leaves the user as it was.
SELECT is(as_user('r_alice', $$SELECT current_user FROM (SELECT 1) AS o$$), 'r_alice', 'before');
CREATE FUNCTION r_after_failure() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        PERFORM kaireon.delete_connector('there is no such one');
    EXCEPTION WHEN undefined_object THEN
        NULL;
    END;
    BEGIN
        PERFORM kaireon.create_schema('r_x', '[{"name": "a"}]', table_schema => 'pg_toast');
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    RETURN current_user;
END
$$;
SELECT is(as_user('r_alice', 'SELECT r_after_failure()'), 'r_alice', 'after failures the user is who he was');

-- ---- owners that are gone

SELECT is(as_user('r_member', format('SELECT kaireon.edit_dead_letter(%s, %L)', (SELECT max(id) FROM kaireon_internal.dead_letter), '{"a": "b"}')), '{"a": "b"}', 'a member of the owner edits one');
SELECT is(as_user('r_member', $$SELECT kaireon.purge_dead_letters('r_p')$$), '1', 'a member of the owner purges dead letters');
SELECT lives_ok($$SELECT kaireon.delete_pipeline('r_p')$$, 'a superuser deletes the pipeline');
SELECT is(as_user('r_alice', $$SELECT kaireon.delete_connector('r_c')$$), '', 'an owner deletes her connector');
SELECT is(as_user('r_alice', $$SELECT kaireon.delete_schema('r_s')$$), '', 'and her schema');
SELECT is(to_regclass('r_data.ds_r_s')::text, NULL, 'with its table');
SELECT ok(as_user('r_bob', $$SELECT kaireon.create_connector('r_orphan', 'local_fs')$$) LIKE '%-%', 'bob makes a connector');
SELECT throws_ok('DROP ROLE r_bob', '2BP01', 'role "r_bob" cannot be dropped because some objects depend on it', 'bob can''t be dropped');
-- As if he had been dropped from another database.
UPDATE kaireon_internal.connector SET owner = 1 WHERE name = 'r_orphan';
DROP ROLE r_bob;
SELECT is((SELECT name FROM kaireon.connectors), 'r_orphan', 'an object whose owner was dropped is still seen');
SELECT is(as_user('r_alice', $$SELECT kaireon.delete_connector('r_orphan')$$), '42501', 'but changed only');
SELECT lives_ok($$SELECT kaireon.delete_connector('r_orphan')$$, 'by a superuser');

SELECT * FROM finish();
ROLLBACK;
