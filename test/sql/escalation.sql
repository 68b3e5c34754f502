-- What a role with kaireon_admin and no more can't do: get its own code run
-- with the rights of the extension's owner, or of whoever looks at its pipeline.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
CREATE ROLE regress_attacker LOGIN;
GRANT kaireon_admin TO regress_attacker;
CREATE SCHEMA attack AUTHORIZATION regress_attacker;
GRANT CREATE ON SCHEMA public TO regress_attacker;
CREATE TABLE attack.proof (who text);
GRANT ALL ON attack.proof TO PUBLIC;

SET SESSION AUTHORIZATION regress_attacker;
CREATE FUNCTION attack.note(v int) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO attack.proof VALUES (current_user); RETURN true; END $$;
CREATE DOMAIN attack.dom AS int CHECK (attack.note(value));
CREATE TYPE attack.comp AS (a attack.dom);
CREATE FUNCTION attack.plus(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
CREATE OPERATOR attack.+ (leftarg = bigint, rightarg = bigint, procedure = attack.plus);
SELECT kaireon.create_connector('attack', 'local_fs', '{"basePath": "/srv"}') IS NOT NULL AS made;
SELECT kaireon.create_schema('attack', '[{"name": "n", "dataType": "bigint"}]') IS NOT NULL AS made;

-- Input functions run while PostgreSQL parses: domains inside of literals.
CREATE FUNCTION attack.try(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
BEGIN
    PERFORM kaireon.create_pipeline('attack', 'attack', 'attack', jsonb_build_array(
        '{"id": "read", "type": "source", "config": {"path": "x.csv"}}'::jsonb,
        jsonb_build_object('id', 'e', 'type', 'add_field', 'config', jsonb_build_object(
            'fieldName', 'made', 'fieldType', 'bigint', 'expression', expression)),
        '{"id": "load", "type": "target", "config": {}}'::jsonb));
    RAISE EXCEPTION 'accepted'; -- and undone
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RETURN message;
END $$;
SELECT e AS expression, attack.try(e) AS answer FROM unnest(ARRAY[
    $$length('{1}'::attack.dom[]::text)$$,
    $$length('(1)'::attack.comp::text)$$,
    $$attack.dom('1')$$,
    $$attack.note(1)::int$$,
    $$n OPERATOR(attack.+) n$$,
    $$CAST('1' AS attack.dom)$$,
    $$(SELECT attack.note(1))::int$$,
    $$n + (SELECT 1)$$,
    $$1) FROM pg_authid --$$,
    $$1), (2$$,
    $$pg_sleep(1)::text::bigint$$,
    $$length(pg_read_file('/etc/passwd'))$$,
    $$length(set_config('search_path', 'attack', false))$$,
    $$nextval('attack.s')$$,
    $$count(*)$$,
    $$generate_series(1, n)$$,
    $$row_number() OVER ()$$,
    $$read.n$$]) AS e;
CREATE TYPE pg_temp.upper AS (a attack.dom);
SELECT attack.try($$length('(1)'::upper::text)$$) AS temporary_type;
SELECT attack.try($$length(upper('(1)'))$$) AS temporary_cast;

-- Code of the caller's that as_role has to run may SET what it likes.
CREATE FUNCTION attack.policy() RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('search_path', 'attack, pg_catalog', false); RETURN false; END $$;
CREATE FUNCTION attack.same(a uuid, b uuid) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO attack.proof VALUES (current_user); RETURN pg_catalog.uuid_eq(a, b); END $$;
CREATE OPERATOR attack.= (leftarg = uuid, rightarg = uuid, procedure = attack.same);
SELECT kaireon.create_schema('attack2', '[{"name": "k", "dataType": "bigint"}, {"name": "j", "dataType": "smallint"}]') IS NOT NULL AS made;
INSERT INTO public.ds_attack2 (k, j) VALUES (1, 2);
ALTER TABLE public.ds_attack2 ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON public.ds_attack2 USING (attack.policy());
DO $$ BEGIN PERFORM kaireon.drop_field('attack2', 'j'); EXCEPTION WHEN OTHERS THEN NULL; END $$;
DO $$
DECLARE
    changes jsonb;
BEGIN
    FOREACH changes IN ARRAY '{"{\"dataType\": \"smallint\"}","{\"dataType\": \"uuid\"}","{\"isUnique\": true}","{\"isNullable\": false}"}'::jsonb[] LOOP
        BEGIN
            PERFORM kaireon.alter_field('attack2', 'k', changes, force => true);
            RAISE EXCEPTION 'undo';
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END $$;
SHOW search_path;
RESET search_path;

-- What is internal is closed.
SELECT kaireon_internal.as_role('regress_attacker', 'SELECT 1');
SELECT * FROM kaireon_internal.connector;
RESET SESSION AUTHORIZATION;

-- Nothing ran as anybody else.
SELECT DISTINCT who FROM attack.proof WHERE who <> 'regress_attacker';
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_attacker';

SET SESSION AUTHORIZATION regress_attacker;
SELECT kaireon.delete_schema('attack'), kaireon.delete_schema('attack2'), kaireon.delete_connector('attack');
RESET SESSION AUTHORIZATION;
DROP SCHEMA attack CASCADE;
REVOKE CREATE ON SCHEMA public FROM regress_attacker;
DROP OWNED BY regress_attacker;
DROP ROLE regress_attacker;
