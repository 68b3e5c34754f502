-- Whose things are: change_owner, REASSIGN OWNED, DROP OWNED, DROP ROLE,
-- ALTER ROLE ... RENAME, and tables that are dropped behind our back.
BEGIN;
SELECT * FROM no_plan();

CREATE ROLE o_alice LOGIN;
CREATE ROLE o_team LOGIN;
CREATE ROLE o_bob LOGIN;
CREATE ROLE o_none;
GRANT kaireon_admin TO o_alice, o_bob, o_team;
GRANT o_team TO o_alice;
CREATE SCHEMA o_data;
GRANT CREATE, USAGE ON SCHEMA o_data TO o_alice, o_team, o_bob;

-- Runs a statement as a role: 'ok', or what the error says.
CREATE FUNCTION try_as(who name, sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    EXECUTE sql;
    RESET ROLE;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, message, NULLIF(detail, ''), NULLIF(hint, ''));
END
$$;
-- The same, and undoes it.
CREATE FUNCTION rehearse(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    answer := try_as(session_user, sql);
    RAISE SQLSTATE 'P0099' USING MESSAGE = answer;
EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN SQLERRM;
END
$$;
-- Everything of a name, with its owner.
CREATE VIEW owners AS
SELECT 'connector' AS kind, name, owner::text FROM kaireon_internal.connector UNION ALL
SELECT 'pipeline', name, owner::text FROM kaireon_internal.pipeline UNION ALL
SELECT 'schema', name, owner::text FROM kaireon_internal.schema UNION ALL
SELECT 'run', pipeline, owner::text FROM kaireon_internal.run UNION ALL
SELECT 'table', s.name, c.relowner::regrole::text FROM kaireon_internal.schema AS s JOIN pg_class AS c ON c.oid = s.relation;
CREATE FUNCTION owners(of text) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(kind || ' ' || owner, ', ' ORDER BY kind) FROM owners WHERE name = of $$;

CREATE FUNCTION make(who name, what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', who);
    PERFORM kaireon.create_connector(what, 'local_fs');
    PERFORM kaireon.create_schema(what, '[{"name": "a", "dataType": "bigint"}]', table_schema => 'o_data');
    PERFORM kaireon.create_pipeline(what, what, what);
    RESET ROLE;
    INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, status)
    SELECT gen_random_uuid(), id, name, 1, owner, 'success' FROM kaireon_internal.pipeline WHERE name = what;
    RETURN owners(what);
END
$$;

-- ---- change_owner

SELECT is(make('o_alice', 'mine'), 'connector o_alice, pipeline o_alice, run o_alice, schema o_alice, table o_alice', 'alice makes');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('folder', 'mine', 'o_team')$$),
    '22023 | invalid value "folder" for kind | Upper and lower case count. | Valid values: connector, schema, pipeline.', 'a kind there is not');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('connector', 'nine', 'o_team')$$),
    '42704 | connector "nine" does not exist | The view kaireon.connectors has those you can see. | Perhaps you meant "mine".', 'a name there is not');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('connector', NULL, 'o_team')$$),
    '22004 | the name of the connector must not be null | The view kaireon.connectors has those you can see. | Give a name.', 'no name');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('connector', 'mine', NULL)$$),
    '22004 | new_owner must not be null | It is the role that owns the connector afterwards. | Name a role, as in new_owner => ''alice''.', 'no role');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('connector', 'mine', 'o_nobody')$$), '42704 | role "o_nobody" does not exist', 'a role there is not');
SELECT matches(try_as('postgres', $$SELECT kaireon.change_owner('connector', 'mine', 123::regrole)$$), '^42704 \| role 123 was concurrently dropped', 'nor by number');
SELECT matches(try_as('o_alice', format($$SELECT kaireon.change_owner(%L, 'mine', 'o_bob')$$, kind)),
    '^42501 \| must be (member of role|able to SET ROLE) "o_bob"', format('a %s is not given to a role its owner could not become', kind))
  FROM unnest('{connector,schema,pipeline}'::text[]) AS kind;
SELECT matches(try_as('o_bob', format($$SELECT kaireon.change_owner(%L, 'mine', 'o_bob')$$, kind)), '^42501 \| must be owner of',
    format('a %s is not taken', kind)) FROM unnest('{connector,schema,pipeline}'::text[]) AS kind;
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('pipeline', 'mine', 'o_team')$$),
    '42501 | permission denied for connector "mine" | It belongs to role o_alice, of which the pipeline''s owner o_team is no member. | '
    'GRANT o_alice TO o_team, or give one of them to another role with kaireon.change_owner.', 'a pipeline''s new owner must be able to use its connector');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('connector', 'mine', 'o_team')$$), 'ok', 'a connector is given');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('pipeline', 'mine', 'o_team')$$),
    '42501 | permission denied for table ds_mine | Role o_team, who owns the pipeline, may not insert into it. | GRANT INSERT ON o_data.ds_mine TO o_team.',
    'and to write its table');
REVOKE CREATE ON SCHEMA o_data FROM o_team;
SELECT matches(try_as('o_alice', $$SELECT kaireon.change_owner('schema', 'mine', 'o_team')$$), '^42501 \| permission denied for schema o_data',
    'a table is not given to who may not create in its schema');
SELECT is(owners('mine'), 'connector o_team, pipeline o_alice, run o_alice, schema o_alice, table o_alice', 'nothing half');
GRANT CREATE ON SCHEMA o_data TO o_team;
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('schema', 'mine', 'o_team')$$), 'ok', 'a schema is given');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('pipeline', 'mine', 'o_team')$$), 'ok', 'and the pipeline');
SELECT is(owners('mine'), 'connector o_team, pipeline o_team, run o_team, schema o_team, table o_team', 'all of it, with the table and the runs');
SELECT is(try_as('o_alice', $$SELECT kaireon.update_pipeline('mine', description => 'still')$$), 'ok', 'members of the new owner go on with it');
SELECT is(try_as('o_alice', $$SELECT kaireon.change_owner('pipeline', 'mine', 'o_team')$$), 'ok', 'the same owner again is fine');
INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, status)
SELECT '00000000-0000-0000-0000-0000000000bb', id, name, 1, owner, 'queued' FROM kaireon_internal.pipeline WHERE name = 'mine';
SELECT is(try_as('postgres', $$SELECT kaireon.change_owner('pipeline', 'mine', 'o_bob')$$),
    '55006 | pipeline "mine" has a run that is not finished | Run 00000000-0000-0000-0000-0000000000bb is queued. | '
    'Wait for the run, or cancel it with kaireon.cancel_run.', 'not while a run is under way');
DELETE FROM kaireon_internal.run WHERE status = 'queued';
SELECT is(try_as('postgres', format($$SELECT kaireon.change_owner(%L, 'mine', 'o_alice')$$, kind)), 'ok', format('a superuser gives a %s to anybody', kind))
  FROM unnest('{connector,schema,pipeline}'::text[]) AS kind;
SELECT is(try_as('postgres', $$SELECT kaireon.change_owner('connector', 'mine', 'o_none')$$), 'ok', 'also to who may not run pipelines');
SELECT is(try_as('postgres', $$SELECT kaireon.change_owner('pipeline', 'mine', 'o_none')$$),
    '42501 | role o_none may not run pipelines | A run has the rights of the pipeline''s owner. | GRANT kaireon_operator TO o_none, or give the pipeline '
    'to another role with kaireon.change_owner.', 'but not the pipeline');
SELECT is(try_as('postgres', $$SELECT kaireon.change_owner('connector', 'mine', 'o_alice')$$), 'ok', 'back again');

-- ---- connectors of others

SELECT is(make('o_bob', 'his'), 'connector o_bob, pipeline o_bob, run o_bob, schema o_bob, table o_bob', 'bob makes');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('x', 'mine', 'his')$$), '42501 | must be owner of connector "mine" | It belongs to role o_alice. | Be a member of o_alice, or make one of your own.',
    'another''s connector is not for a pipeline');
SELECT is(try_as('o_bob', $$SELECT kaireon.update_pipeline('his', connector => 'mine')$$), '42501 | must be owner of connector "mine" | It belongs to role o_alice. | Be a member of o_alice, or make one of your own.', 'nor for one that is there');
SELECT is(try_as('postgres', $$SELECT kaireon.update_pipeline('his', connector => 'mine')$$),
    '42501 | permission denied for connector "mine" | It belongs to role o_alice, of which the pipeline''s owner o_bob is no member. | '
    'GRANT o_alice TO o_bob, or give one of them to another role with kaireon.change_owner.', 'not even if a superuser says so');
SELECT is(try_as('o_bob', $$SELECT kaireon.read('mine')$$) ~ '^0A000|^42501', true, 'nor for reading');
SELECT is(try_as('o_bob', format('SELECT * FROM kaireon.%s', f)), '42501 | must be owner of connector "mine" | It belongs to role o_alice. | Be a member of o_alice, or make one of your own.', f || ': nor')
  FROM unnest(ARRAY[$$read('mine', 'x') AS t(a text)$$, $$preview('mine')$$, $$list_objects('mine')$$, $$test_connector('mine')$$,
                    $$infer_fields('mine')$$, $$describe('mine')$$]) AS f;
SELECT is(try_as('o_bob', $$SELECT kaireon.preview_pipeline('mine')$$),
    '42501 | permission denied for pipeline "mine" | It reads with its owner''s rights what its owner may see. | Its owner may look at its data.',
    'nor through another''s pipeline');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('x', 'his', 'mine')$$), '42501 | must be owner of schema "mine" | It belongs to role o_alice. | Be a member of o_alice, or make one of your own.', 'another''s schema is not loaded');
GRANT INSERT ON o_data.ds_mine TO o_bob;
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('shared', 'his', 'mine')$$),
    '42501 | permission denied for sequence ds_mine_id_seq | Role o_bob, who owns the pipeline, may not take numbers from it, which column "id" of the table needs. | '
    'GRANT USAGE ON SEQUENCE o_data.ds_mine_id_seq TO o_bob.', 'with INSERT on its table only where no id is to be counted');
GRANT USAGE ON SEQUENCE o_data.ds_mine_id_seq TO o_bob;
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('shared', 'his', 'mine')$$), 'ok', 'but with INSERT on its table, and USAGE on the sequence');
REVOKE USAGE ON SEQUENCE o_data.ds_mine_id_seq FROM o_bob;
SELECT results_eq($$SELECT severity, code, message FROM kaireon.validate_pipeline('shared')$$, $$VALUES ('error', 'permission_denied',
    'permission denied for sequence ds_mine_id_seq (GRANT USAGE ON SEQUENCE o_data.ds_mine_id_seq TO o_bob.)')$$, 'validate_pipeline finds it');
GRANT UPDATE ON SEQUENCE o_data.ds_mine_id_seq TO o_bob;
SELECT is(try_as('o_bob', $$SELECT kaireon.add_field('mine', '{"name": "b"}')$$), '42501 | must be owner of schema "mine" | It belongs to role o_alice. | Be a member of o_alice, or make one of your own.', 'which changes nothing about the schema');
SELECT is(try_as('o_alice', $$SELECT kaireon.delete_schema('mine', true)$$), '2BP01 | schema "mine" is in use | Pipelines that load into it: "mine", "shared". | '
    'Delete them, or give them another schema, first.', 'whose owner is told who loads it');
SELECT is_empty($$SELECT * FROM kaireon.validate_pipeline('shared')$$, 'it is sound');
REVOKE INSERT ON o_data.ds_mine FROM o_bob;
GRANT INSERT (a) ON o_data.ds_mine TO o_bob;
SELECT is_empty($$SELECT * FROM kaireon.validate_pipeline('shared')$$, 'also with INSERT on its columns');
REVOKE INSERT (a) ON o_data.ds_mine FROM o_bob;
REVOKE kaireon_admin FROM o_bob;
SELECT results_eq($$SELECT code, message FROM kaireon.validate_pipeline('shared')$$, $$VALUES
    ('permission_denied', 'role o_bob may not run pipelines (GRANT kaireon_operator TO o_bob, or give the pipeline to another role with kaireon.change_owner.)'),
    ('permission_denied', 'permission denied for table ds_mine (GRANT INSERT ON o_data.ds_mine TO o_bob.)')$$, 'validate_pipeline finds rights that are gone');
SELECT matches(try_as('postgres', $$SELECT kaireon.preview_pipeline('shared')$$), '^42501 \| role o_bob may not run pipelines', 'a preview too');
GRANT kaireon_admin TO o_bob;
SELECT is(try_as('o_bob', $$SELECT kaireon.delete_pipeline('shared')$$), 'ok', 'away with it');
-- A target node may name another schema: only one of the owner's own.
CREATE FUNCTION branched(target text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array('{"id": "s", "type": "source"}'::jsonb,
    '{"id": "b", "type": "branch", "config": {"routes": [{"label": "few", "field": "a", "operator": "<", "value": 10}]}}'::jsonb, '{"id": "t", "type": "target"}'::jsonb,
    jsonb_build_object('id', 'u', 'type', 'target', 'config', jsonb_build_object('schema', target))) $$;
CREATE FUNCTION edges() RETURNS text LANGUAGE sql AS $$ SELECT '[{"sourceNodeId": "s", "targetNodeId": "b"}, {"sourceNodeId": "b", "targetNodeId": "t", "label": "few"}, {"sourceNodeId": "b", "targetNodeId": "u", "label": "otherwise"}]' $$;
GRANT EXECUTE ON FUNCTION branched(text), edges() TO PUBLIC;
GRANT INSERT ON o_data.ds_mine TO o_bob;
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('branched', 'his', 'his', branched('mine'), edges()::jsonb)$$),
    '42501 | permission denied for schema "mine" | It is about the pipeline as a whole. | GRANT o_alice TO o_bob, or make it the pipeline''s own schema, not a target''s.',
    'a target can''t name the schema of another, who may give its name to what he likes');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_schema('second', '[{"name": "a", "dataType": "bigint"}]', table_schema => 'o_data')$$), 'ok', 'one of his own');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('branched', 'his', 'his', branched('second'), edges()::jsonb)$$), 'ok', 'it can');
SELECT is(try_as('o_bob', $$SELECT kaireon.delete_schema('second', true)$$) ~ '^ok|^2BP01', true, 'the name becomes free, or not');
DELETE FROM kaireon_internal.schema WHERE name = 'second';
DROP TABLE IF EXISTS o_data.ds_second;
SELECT is(try_as('o_alice', $$SELECT kaireon.create_schema('second', '[{"name": "a", "dataType": "bigint"}]', table_schema => 'o_data')$$), 'ok', 'alice takes it');
GRANT INSERT ON o_data.ds_second TO PUBLIC;
SELECT is((SELECT string_agg(message, '; ') FROM kaireon.validate_pipeline('branched')), 'permission denied for schema "second" (GRANT o_alice TO o_bob, or make it the pipeline''s own schema, not a target''s.)', 'and does not get the rows');
SELECT matches(try_as('o_bob', $$SELECT kaireon.publish_pipeline('branched')$$), '^42501 \| permission denied for schema "second"', 'nor is that published');
SELECT is(try_as('o_bob', $$SELECT kaireon.delete_pipeline('branched')$$) || try_as('o_alice', $$SELECT kaireon.delete_schema('second')$$), 'okok', 'away with both');
REVOKE INSERT ON o_data.ds_mine FROM o_bob;

-- ---- what a superuser's run would call

SELECT is(rehearse($$SELECT kaireon.create_pipeline('super', 'mine', 'mine')$$), '42501 | a superuser''s pipeline does not load a table that calls code of role o_alice | '
    'What the owner of table o_data.ds_mine makes part of it would have a superuser''s rights. | Give the pipeline to a role that is no superuser with kaireon.change_owner.',
    'a superuser does not load a table of alice');
ALTER TABLE o_data.ds_mine OWNER TO CURRENT_USER;
SELECT is(rehearse(format($$ %s SELECT kaireon.create_pipeline('super', 'mine', 'mine') $$, sql)), answer, what) FROM (VALUES
    ('', 'ok', 'but a superuser''s table'),
    ('CREATE FUNCTION o_data.f() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''; CREATE TRIGGER t BEFORE INSERT ON o_data.ds_mine FOR EACH ROW EXECUTE FUNCTION o_data.f();',
     'ok', 'and one with a superuser''s trigger'),
    ('ALTER TABLE o_data.ds_mine ADD UNIQUE (a), ADD CHECK (a > 0), ADD c text DEFAULT upper(''x''), ADD d bigint GENERATED ALWAYS AS (a + 1) STORED;'
     'CREATE INDEX ON o_data.ds_mine ((a + 1)) WHERE a > 0;', 'ok', 'and one with nothing but built-in functions')) AS c (sql, answer, what);
CREATE FUNCTION hers(args text, body text) RETURNS text LANGUAGE sql AS
    $$ SELECT format('CREATE FUNCTION o_data.f(%s) %s; ALTER FUNCTION o_data.f(%s) OWNER TO o_alice; ', args, body, args) $$;
SELECT matches(rehearse(format($$ %s SELECT kaireon.create_pipeline('super', 'mine', 'mine') $$, sql)),
    '^42501 \| a superuser''s pipeline does not load a table that calls code of role o_alice \| Function o_data.f\(.*\) would have a superuser''s rights', what) FROM (VALUES
    (hers('', 'RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''') || 'CREATE TRIGGER t BEFORE INSERT ON o_data.ds_mine FOR EACH ROW EXECUTE FUNCTION o_data.f();', 'nor one with alice''s trigger'),
    (hers('bigint', 'RETURNS boolean LANGUAGE sql AS ''SELECT true''') || 'ALTER TABLE o_data.ds_mine ADD CHECK (o_data.f(a));', 'check constraint'),
    (hers('bigint', 'RETURNS boolean LANGUAGE sql AS ''SELECT true''') || 'CREATE DOMAIN o_data.d AS bigint CHECK (o_data.f(value)); ALTER TABLE o_data.ds_mine ALTER a TYPE o_data.d;', 'domain'),
    (hers('bigint', 'RETURNS boolean LANGUAGE sql AS ''SELECT true''') || 'CREATE DOMAIN o_data.d AS bigint CHECK (o_data.f(value)); ALTER TABLE o_data.ds_mine ADD b o_data.d[];', 'domain in an array'),
    (hers('bigint', 'RETURNS boolean LANGUAGE sql AS ''SELECT true''') || 'CREATE DOMAIN o_data.d AS bigint CHECK (o_data.f(value)); CREATE TYPE o_data.c AS (x o_data.d); ALTER TABLE o_data.ds_mine ADD b o_data.c;', 'domain in a composite type'),
    (hers('', 'RETURNS bigint LANGUAGE sql AS ''SELECT 1::bigint''') || 'ALTER TABLE o_data.ds_mine ALTER a SET DEFAULT o_data.f();', 'default'),
    (hers('bigint', 'RETURNS bigint IMMUTABLE LANGUAGE sql AS ''SELECT 1::bigint''') || 'ALTER TABLE o_data.ds_mine ADD b bigint GENERATED ALWAYS AS (o_data.f(a)) STORED;', 'generated column'),
    (hers('bigint', 'RETURNS bigint IMMUTABLE LANGUAGE sql AS ''SELECT 1::bigint''') || 'CREATE INDEX ON o_data.ds_mine (o_data.f(a));', 'index expression'),
    (hers('bigint', 'RETURNS boolean IMMUTABLE LANGUAGE sql AS ''SELECT true''') || 'CREATE INDEX ON o_data.ds_mine (a) WHERE o_data.f(a);', 'index predicate'),
    (hers('bigint, bigint', 'RETURNS boolean IMMUTABLE LANGUAGE sql AS ''SELECT true''') || 'CREATE OPERATOR o_data.=== (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = o_data.f);'
        'ALTER TABLE o_data.ds_mine ADD CHECK (a OPERATOR(o_data.===) 1);', 'operator'),
    (hers('bigint', 'RETURNS boolean LANGUAGE sql AS ''SELECT true''') || 'CREATE RULE r AS ON INSERT TO o_data.ds_mine DO ALSO SELECT o_data.f(new.a);', 'rule')) AS c (sql, what);
ALTER TABLE o_data.ds_mine OWNER TO o_alice;
SELECT is(rehearse(hers('bigint', 'RETURNS boolean LANGUAGE sql AS ''SELECT true''') || 'ALTER TABLE o_data.ds_mine ADD CHECK (o_data.f(a));'
    'SELECT kaireon.update_pipeline(''mine'', execution_config => ''{}'')'), 'ok', 'alice''s own pipeline may call it');

-- A link stands in the way of changes to the customer's key, so that it takes a right.
SELECT is(rehearse($$SET LOCAL ROLE o_bob; SELECT kaireon.create_schema('stands', '[{"name": "a", "dataType": "bigint"}]', schema_type => 'collection', linked_schema => 'mine',
        join_mapping => '{"a": "id"}', summary_columns => '[{"function": "count", "outputField": "n"}]', table_schema => 'o_data')$$),
    '42501 | permission denied to link to schema "mine" | It belongs to role o_alice, and a link stands in the way of changes to its key. | GRANT REFERENCES ON o_data.ds_mine TO o_bob.',
    'who may not refer to a table does not link to it');

-- ---- REASSIGN OWNED

INSERT INTO kaireon_internal.run (run_id, pipeline_id, pipeline, version, owner, status)
SELECT gen_random_uuid(), id, name, 1, owner, 'queued' FROM kaireon_internal.pipeline WHERE name = 'mine';
SELECT matches(try_as('o_bob', 'REASSIGN OWNED BY o_alice TO o_bob'), '^42501', 'who may not reassign');
SELECT is(owners('mine'), 'connector o_alice, pipeline o_alice, run o_alice, run o_alice, schema o_alice, table o_alice', 'changes nothing');
SELECT is(try_as('postgres', 'REASSIGN OWNED BY o_alice, o_bob TO o_team'), 'ok', 'REASSIGN OWNED');
SELECT is(owners('mine'), 'connector o_team, pipeline o_team, run o_team, run o_team, schema o_team, table o_team', 'takes everything along, runs that wait too');
SELECT is(owners('his'), 'connector o_team, pipeline o_team, run o_team, schema o_team, table o_team', 'of each role');
SELECT is(try_as('postgres', 'REASSIGN OWNED BY o_none TO o_bob'), 'ok', 'REASSIGN OWNED of nothing');
SELECT is(try_as('o_alice', 'REASSIGN OWNED BY o_team TO o_alice'), 'ok', 'by a member of both');
SELECT is(owners('his'), 'connector o_alice, pipeline o_alice, run o_alice, schema o_alice, table o_alice', 'too');
SELECT is(rehearse('REASSIGN OWNED BY CURRENT_USER TO o_bob'), '2BP01 | cannot reassign ownership of objects owned by role postgres because they are required by the database system',
    'PostgreSQL''s own refusals stay');

-- ---- DROP ROLE and ALTER ROLE ... RENAME

SELECT is(try_as('postgres', 'ALTER ROLE o_alice RENAME TO "o Al""ice"'), 'ok', 'a role is renamed');
SELECT is(owners('his'), 'connector "o Al""ice", pipeline "o Al""ice", run "o Al""ice", schema "o Al""ice", table "o Al""ice"', 'its things follow');
SELECT is(try_as('o Al"ice', $$SELECT kaireon.update_connector('his', description => 'x')$$), 'ok', 'and are its own');
ALTER ROLE "o Al""ice" RENAME TO o_alice;
ALTER TABLE o_data.ds_his OWNER TO o_bob;
ALTER TABLE o_data.ds_mine OWNER TO o_bob;
REVOKE ALL ON SCHEMA o_data FROM o_alice;
SELECT is(try_as('postgres', 'DROP ROLE o_alice'), E'2BP01 | role "o_alice" cannot be dropped because some objects depend on it | owner of connector "his"\n'
    'owner of connector "mine"\nowner of pipeline "his"\nowner of pipeline "mine"\nowner of schema "his"\nowner of schema "mine" | '
    'Use REASSIGN OWNED BY o_alice TO another role, or DROP OWNED BY o_alice.', 'DROP ROLE names what the role owns');
SELECT isnt((SELECT oid FROM pg_roles WHERE rolname = 'o_alice'), NULL, 'it is still there');
SELECT is(split_part(try_as('o_bob', 'DROP ROLE o_alice'), ' | Only roles', 1), '42501 | permission denied to drop role', 'and tells it to nobody who may not drop it');
SELECT is(try_as('postgres', 'DROP ROLE IF EXISTS o_nobody, o_alice'), try_as('postgres', 'DROP ROLE o_alice'), 'with IF EXISTS');
SELECT is(try_as('postgres', 'DROP ROLE o_none, o_alice'), try_as('postgres', 'DROP ROLE o_alice'), 'with others');
SELECT is(try_as('postgres', 'DROP ROLE o_nobody'), '42704 | role "o_nobody" does not exist', 'PostgreSQL''s own errors stay');
-- A table that was given away without its schema.
SELECT make('o_bob', 'parted');
ALTER TABLE o_data.ds_parted OWNER TO o_none;
GRANT INSERT ON o_data.ds_parted TO o_bob;
GRANT USAGE ON SEQUENCE o_data.ds_parted_id_seq TO o_bob;
SELECT results_eq($$SELECT severity, code, message FROM kaireon.validate_pipeline('parted')$$, $$VALUES ('warning', 'schema_drift',
    'the schema belongs to role o_bob, but its table to o_none: nobody can change both (Give both to one role: '
    'kaireon.change_owner(''schema'', ''parted'', ''o_none''), or ALTER TABLE o_data.ds_parted OWNER TO o_bob.)')$$, 'validate_pipeline names both owners');
GRANT o_none TO o_bob;
SELECT is_empty($$SELECT * FROM kaireon.validate_pipeline('parted')$$, 'a member of the table''s owner has both');
REVOKE o_none FROM o_bob;
SELECT is(try_as('postgres', $$SELECT kaireon.change_owner('schema', 'parted', 'o_none')$$), 'ok', 'and the hint works');
SELECT is(owners('parted'), 'connector o_bob, pipeline o_bob, run o_bob, schema o_none, table o_none', 'with it they are one owner''s');
SELECT is_empty($$SELECT * FROM kaireon.validate_pipeline('parted')$$, 'as they should be');
GRANT USAGE ON SCHEMA o_data TO o_none;
SELECT is(try_as('postgres', $$SELECT kaireon.delete_pipeline('parted'), kaireon.delete_schema('parted'), kaireon.delete_connector('parted')$$), 'ok', 'away with them');
REVOKE USAGE ON SCHEMA o_data FROM o_none;
DELETE FROM kaireon_internal.run WHERE pipeline = 'parted';

ALTER TABLE o_data.ds_his OWNER TO o_alice;
ALTER TABLE o_data.ds_mine OWNER TO o_alice;

-- ---- DROP OWNED

SELECT is(try_as('o_bob', 'DROP OWNED BY o_alice') ~ '^42501', true, 'who may not drop');
GRANT o_alice TO o_bob;
SELECT make('o_bob', 'bobs');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('uses', 'mine', 'bobs')$$), 'ok', 'a member uses the owner''s connector');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_pipeline('fills', 'bobs', 'his')$$), 'ok', 'and fills the owner''s table');
SELECT is(try_as('o_bob', $$SELECT kaireon.create_schema('links', '[{"name": "a", "dataType": "bigint"}, {"name": "b", "dataType": "bigint"}]', schema_type => 'collection',
    linked_schema => 'his', join_mapping => '{"a": "id"}', summary_columns => '[{"function": "count", "outputField": "n"}]', table_schema => 'o_data')$$), 'ok', 'and links to it');
SELECT is(try_as('postgres', 'DROP OWNED BY o_alice'), E'2BP01 | cannot drop desired object(s) because other objects depend on them | '
    'pipeline "fills" depends on schema "his"\npipeline "uses" depends on connector "mine"\nschema "links" depends on schema "his" | '
    'Use DROP ... CASCADE to drop the dependent objects too.', 'DROP OWNED names what would go with it');
SELECT isnt(to_regclass('o_data.ds_mine'), NULL, 'and drops nothing');
UPDATE kaireon_internal.run SET status = 'running' WHERE status = 'queued';
SELECT matches(try_as('postgres', 'DROP OWNED BY o_alice CASCADE'), '^55006 \| cannot drop a pipeline with a run that is not finished \| Run .* of pipeline "mine" is running. \| '
    'Wait for the run, or cancel it with kaireon.cancel_run.', 'nor a pipeline that is running');
UPDATE kaireon_internal.run SET status = 'queued' WHERE status = 'running';
SELECT is(try_as('postgres', 'DROP OWNED BY o_alice CASCADE'), 'ok', 'DROP OWNED ... CASCADE');
SELECT is(owners('mine'), 'run o_alice, run o_alice', 'of what alice had her runs stay');
SELECT results_eq($$SELECT status, error_code, error_message FROM kaireon_internal.run WHERE pipeline = 'mine' ORDER BY queued_at$$, $$VALUES
    ('success', NULL, NULL), ('cancelled', '57014', 'the pipeline was dropped before the run started')$$, 'the one that waited is cancelled');
SELECT is(to_regclass('o_data.ds_his')::text, NULL, 'tables are gone');
SELECT is(owners('bobs'), 'connector o_bob, pipeline o_bob, run o_bob, schema o_bob, table o_bob', 'what bob has stays');
SELECT is(owners('uses') || owners('fills'), NULL, 'but not what needed hers');
SELECT is((SELECT linked_schema FROM kaireon.schemas WHERE name = 'links'), NULL, 'nor the link');
SELECT is(try_as('postgres', 'DROP ROLE o_alice'), 'ok', 'now the role can go');
SELECT is(owners('mine'), 'run -, run -', 'and history does not say whose it was');
SELECT is(try_as('o_bob', $$SELECT kaireon.update_schema('links', description => 'alone')$$), 'ok', 'what was linked goes on without');
SELECT is(try_as('o_bob', 'DROP OWNED BY o_bob'), 'ok', 'a role drops its own');
SELECT is_empty('SELECT * FROM owners WHERE kind <> ''run''', 'all of it');

-- ---- tables that are dropped behind our back

GRANT CREATE, USAGE ON SCHEMA o_data TO o_bob;
GRANT kaireon_admin TO o_bob;
CREATE FUNCTION lost(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM make('o_bob', 'lost');
    EXECUTE sql;
    SELECT concat_ws(' ', s.relation, v.table_name, v.size_bytes) INTO answer
      FROM kaireon_internal.schema AS s JOIN kaireon.schemas AS v ON v.name = s.name WHERE s.name = 'lost';
    answer := concat_ws('; ', answer, (SELECT string_agg(message, ' ') FROM kaireon.validate_pipeline('lost')),
        try_as('o_bob', $q$SELECT kaireon.add_field('lost', '{"name": "x"}')$q$), try_as('o_bob', $q$SELECT kaireon.preview_pipeline('lost')$q$),
        try_as('o_bob', $q$SELECT kaireon.delete_pipeline('lost'), kaireon.delete_schema('lost')$q$));
    RAISE SQLSTATE 'P0099' USING MESSAGE = answer;
EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(lost(sql), $$-; the schema's table o_data.ds_lost does not exist (Make it again and call kaireon.refresh_schema('lost'), or delete the schema.); 42P01 | the table of schema "lost" was dropped | It was o_data.ds_lost. | Make it again and call kaireon.refresh_schema, or use kaireon.delete_schema.; $$
    || $$42P01 | the schema's table o_data.ds_lost does not exist | Found in the schema of pipeline "lost". | Make it again and call kaireon.refresh_schema('lost'), or delete the schema.; ok$$, sql)
  FROM unnest(ARRAY['DROP TABLE o_data.ds_lost', 'DROP SCHEMA o_data CASCADE', 'DO $q$BEGIN DROP TABLE o_data.ds_lost CASCADE; END$q$',
                    'ALTER TABLE o_data.ds_lost OWNER TO o_team; DROP OWNED BY o_team', 'CREATE TEMP TABLE t (); DROP TABLE t, o_data.ds_lost']) AS sql;
CREATE FUNCTION lost_summary() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM make('o_bob', 'hub');
    answer := try_as('o_bob', $q$SELECT kaireon.create_schema('spoke', '[{"name": "a", "dataType": "bigint"}]', schema_type => 'collection',
        linked_schema => 'hub', join_mapping => '{"a": "id"}', summary_columns => '[{"function": "count", "outputField": "n"}]', table_schema => 'o_data')$q$);
    answer := answer || '; ' || try_as('postgres', $q$SELECT kaireon.change_owner('schema', 'spoke', 'o_team')$q$);
    answer := answer || '; ' || (SELECT string_agg(relname || ' ' || relowner::regrole, ', ' ORDER BY relname) FROM pg_class WHERE relname ~ '^ds_spoke' AND relkind = 'r');
    answer := answer || '; ' || try_as('postgres', 'DROP TABLE o_data.ds_spoke_summary');
    answer := answer || '; ' || (SELECT concat_ws(' ', relation, COALESCE(summary_relation::text, 'none')) FROM kaireon_internal.schema WHERE name = 'spoke');
    RAISE SQLSTATE 'P0099' USING MESSAGE = answer;
EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN SQLERRM;
END
$$;
SELECT is(lost_summary(), 'ok; ok; ds_spoke o_team, ds_spoke_summary o_team; ok; o_data.ds_spoke none', 'a summary table changes hands with its schema, and is forgotten');
SELECT is(lost($$DO $q$BEGIN DROP TABLE o_data.ds_lost; RAISE 'x'; EXCEPTION WHEN OTHERS THEN NULL; END$q$;$$) ~ '^o_data.ds_lost ds_lost 8192; ok; ', true,
    'a table whose dropping is undone is not forgotten');


-- ---- an owner who has lost the namespace

SELECT make('o_bob', 'outside');
REVOKE ALL ON SCHEMA o_data FROM o_bob;
SELECT is(try_as('postgres', $$SELECT kaireon.delete_pipeline('outside'), kaireon.delete_schema('outside')$$), 'ok', 'a superuser deletes a schema whose owner has lost the namespace of its table');
SELECT hasnt_table('o_data', 'ds_outside', 'with the table');

SELECT * FROM finish();
ROLLBACK;
