-- Names that mean something else: functions, operators, types and tables of an
-- attacker's, called as what we use, in front of pg_catalog in the victim's
-- search_path and in pg_temp.  Whoever the victim is, none of it is called.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_evil LOGIN IN ROLE kaireon_admin;
CREATE ROLE regress_victim LOGIN IN ROLE kaireon_admin;
CREATE ROLE regress_dba LOGIN SUPERUSER;
CREATE SCHEMA evil AUTHORIZATION regress_evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE SCHEMA victims AUTHORIZATION regress_victim;

SET SESSION AUTHORIZATION regress_evil;
CREATE TABLE evil.proof (who text, what text);
GRANT INSERT, SELECT ON evil.proof TO PUBLIC;
-- In the middle of what it is made for it must not call itself.
CREATE FUNCTION evil.note(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS
    $$ BEGIN INSERT INTO evil.proof VALUES (current_user, what); RETURN true; END $$;

-- Every function and operator of pg_catalog that our SQL could mean, for its very types.
DO $$
DECLARE
    words text[] := (SELECT pg_catalog.array_agg(DISTINCT w) FROM (
        SELECT (pg_catalog.regexp_matches(p.prosrc, '[a-z_0-9]+', 'g'))[1] AS w FROM pg_catalog.pg_proc AS p
         WHERE p.pronamespace IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname IN ('kaireon', 'kaireon_internal'))
        UNION SELECT (pg_catalog.regexp_matches(pg_catalog.pg_get_viewdef(c.oid), '[a-z_0-9]+', 'g'))[1] FROM pg_catalog.pg_class AS c
         WHERE c.relkind = 'v' AND c.relnamespace IN (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'kaireon')
        UNION SELECT pg_catalog.unnest('{gen_random_uuid,now,clock_timestamp,md5,greatest,coalesce,uuid_out,regexp_like,nextval}'::text[])) AS s);
    f record;
    made int := 0;
BEGIN
    FOR f IN SELECT p.oid, p.proname, pg_catalog.oidvectortypes(p.proargtypes) AS args, p.prorettype::regtype AS result
               FROM pg_catalog.pg_proc AS p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.proname = ANY (words)
                AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proargtypes || p.prorettype) AS t (oid) JOIN pg_catalog.pg_type AS y ON y.oid = t.oid
                                 WHERE y.typtype = 'p' AND y.typname NOT IN ('anyelement', 'anyarray', 'anynonarray')) LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.note(%L); RETURN NULL; END $f$',
                                  f.proname, f.args, f.result, f.oid::regprocedure::text);
        made := made + 1;
    END LOOP;
    IF made < 100 THEN
        RAISE 'only % traps', made;
    END IF;
    made := 0;
    FOR f IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result, o.oid
               FROM pg_catalog.pg_operator AS o
              WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft <> 0
                AND o.oprright = ANY ('{text,name,uuid,jsonb,oid,int4,int8,int2,bool,timestamptz,float8,numeric,"text[]","oid[]",anyarray,anyelement}'::regtype[]) LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION evil.%I(l %s, r %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.note(%L); RETURN NULL; END $f$',
                                  'op_' || f.oid, f.l, f.r, f.result, f.oid::regoperator::text);
        EXECUTE pg_catalog.format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I, LEFTARG = %s, RIGHTARG = %s)', f.oprname, 'op_' || f.oid, f.l, f.r);
        made := made + 1;
    END LOOP;
    IF made < 100 THEN
        RAISE 'only % operators', made;
    END IF;
END $$;
-- Types that check what they are given.
DO $$
DECLARE
    n text;
BEGIN
    FOREACH n IN ARRAY '{text,jsonb,uuid,regrole,regclass,oid,int4,int8,xid,timestamptz,bool,name,numeric}'::text[] LOOP
        EXECUTE pg_catalog.format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (evil.note(%L))', n, n, 'type ' || n);
    END LOOP;
END $$;
RESET SESSION AUTHORIZATION;

-- The traps work.
SET SESSION AUTHORIZATION regress_dba;
SET search_path = evil, pg_temp, public, pg_catalog;
SELECT lower('A'::pg_catalog.text), 'a'::pg_catalog.text = 'a'::pg_catalog.text, 'a'::text;
RESET search_path;
SELECT * FROM evil.proof ORDER BY what COLLATE "C";
RESET SESSION AUTHORIZATION;
TRUNCATE evil.proof;

-- What the victims do, with no function or operator of their own.
CREATE TABLE victims.statement (n serial PRIMARY KEY, sql text);
GRANT SELECT ON victims.statement TO PUBLIC;
INSERT INTO victims.statement (sql) VALUES
    ($$CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb CHECK (evil.note('temporary type jsonb'))$$),
    ($$CREATE DOMAIN pg_temp.uuid AS pg_catalog.uuid CHECK (evil.note('temporary type uuid'))$$),
    ($$CREATE DOMAIN pg_temp.regrole AS pg_catalog.regrole CHECK (evil.note('temporary type regrole'))$$),
    ($$CREATE TEMP TABLE pipeline (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE connector (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE schema (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE run (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE source (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE staged (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE ds_v (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE pg_class (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE pg_roles (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE pg_proc (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE pg_namespace (id pg_catalog.int4)$$),
    ($$CREATE TEMP TABLE pg_attribute (id pg_catalog.int4)$$),
    ($$SELECT kaireon.version() IS NOT NULL$$),
    ($$SELECT kaireon.create_connector('v', 'local_fs', '{"basePath": "/srv"}', description => 'd') IS NOT NULL$$),
    ($$SELECT kaireon.create_connector('v', 'local_fs', '{"basePath": "/srv"}', if_not_exists => true) IS NOT NULL$$),
    ($$SELECT kaireon.update_connector('v', '{}', description => 'e')$$),
    ($$SELECT kaireon.create_schema('v', '[{"name": "k", "dataType": "varchar", "length": 20, "isPrimaryKey": true}, {"name": "n", "dataType": "integer", "defaultValue": "7"}, {"name": "t", "dataType": "timestamptz", "defaultValue": "now()"}, {"name": "s", "dataType": "text", "isNullable": false, "defaultValue": "''x''"}]', table_schema => 'victims') IS NOT NULL$$),
    ($$SELECT kaireon.create_schema('w', '[{"name": "c", "dataType": "varchar", "length": 20}, {"name": "x", "dataType": "numeric", "precision": 8, "scale": 2}]', schema_type => 'collection', linked_schema => 'v', join_mapping => '{"c": "k"}', summary_columns => '[{"function": "sum", "sourceField": "x", "outputField": "total"}]', table_schema => 'victims') IS NOT NULL$$),
    ($$INSERT INTO victims.ds_v (k, n) VALUES ('a', 1), ('b', 2)$$),
    ($$SELECT kaireon.add_field('v', '{"name": "f", "dataType": "smallint"}')$$),
    ($$SELECT kaireon.alter_field('v', 'f', '{"dataType": "bigint", "defaultValue": 1}')$$),
    ($$SELECT kaireon.alter_field('v', 'n', '{"isNullable": false, "name": "m"}', force => true)$$),
    ($$SELECT kaireon.drop_field('v', 'f', force => true)$$),
    ($$SELECT kaireon.alter_field('v', 's', '{"dataType": "varchar", "length": 1, "isUnique": false}', force => true), kaireon.alter_field('w', 'x', '{"name": "y", "precision": 9, "isUnique": true}')$$),
    ($$SELECT kaireon.update_schema('w', new_name => 'w2'), kaireon.update_schema('w2', new_name => 'w')$$),
    ($$ALTER TABLE victims.ds_v RENAME s TO s2$$),
    ($$SELECT kaireon.refresh_schema('v')$$),
    ($$ALTER TABLE victims.ds_v RENAME s2 TO s$$),
    ($$SELECT kaireon.refresh_schema('v')$$),
    ($$SELECT kaireon.create_schema(name, fields OPERATOR(pg_catalog.||) '[{"name": "later"}]', linked_schema => linked_schema, join_mapping => join_mapping, summary_columns => summary_columns, table_schema => table_schema, replace => true) IS NOT NULL FROM kaireon.schemas WHERE name OPERATOR(pg_catalog.=) 'v'$$),
    ($$CREATE TABLE victims.there (a pg_catalog.int4 DEFAULT 5, b pg_catalog.text, updated_at pg_catalog.timestamptz)$$),
    ($$SELECT kaireon.adopt_table('there', 'victims.there', manage_updated_at => true) IS NOT NULL, kaireon.delete_schema('there', keep_table => false)$$),
    ($$SELECT kaireon.update_schema('v', description => 'd', display_name => 'V')$$),
    ($$SELECT kaireon.create_pipeline('v', 'v', 'v', '[{"id": "source", "type": "source", "config": {"resource": "x.csv"}}, {"id": "f", "type": "filter", "config": {"field": "k", "operator": "starts_with", "value": "a"}}, {"id": "e", "type": "expression", "config": {"outputField": "s", "expression": "upper(k) || coalesce(nullif(k, ''b''), ''c'')"}}, {"id": "c", "type": "cast", "config": {"field": "m", "targetType": "integer"}}, {"id": "m", "type": "mask_pii", "config": {"field": "s", "maskType": "email"}}, {"id": "staged", "type": "target", "config": {"validation": "skip"}}]', execution_config => '{"errorHandling": "skip"}') IS NOT NULL$$),
    ($$SELECT kaireon.update_pipeline('v', execution_config => '{}')$$),
    ($$SELECT kaireon.publish_pipeline('v', 1)$$),
    ($$SELECT kaireon.pause_pipeline('v'), kaireon.resume_pipeline('v'), kaireon.archive_pipeline('v'), kaireon.resume_pipeline('v')$$),
    ($$SELECT * FROM kaireon.validate_pipeline('v')$$),
    ($$SELECT FROM kaireon.explain_pipeline('v') LIMIT 1$$),
    ($$SELECT kaireon.pipeline_diagram('v') IS NOT NULL, kaireon.reset_source_state('v')$$),
    ($$SELECT name FROM kaireon.connectors$$),
    ($$SELECT name, table_name FROM kaireon.schemas ORDER BY name$$),
    ($$SELECT name, schema FROM kaireon.schema_fields$$),
    ($$SELECT name, nodes IS NOT NULL FROM kaireon.pipelines$$),
    ($$SELECT pipeline FROM kaireon.pipeline_versions$$),
    ($$SELECT status FROM kaireon.runs$$),
    ($$SELECT source FROM kaireon.run_errors$$),
    ($$SELECT node_id FROM kaireon.run_nodes$$),
    ($$SELECT record FROM kaireon.dead_letters$$),
    ($$SELECT path FROM kaireon.source_state$$),
    ($$SELECT bar FROM kaireon.progress$$),
    ($$SELECT is_confirmed FROM kaireon.instance$$),
    ($$SELECT name FROM kaireon.expression_functions WHERE name IS NULL$$),
    ($$SELECT type FROM kaireon.connector_types WHERE type IS NULL$$),
    ($$SELECT kaireon.progress_bar(46), kaireon.mask_email('ada@example.com'), kaireon.field_mapping('[{"name": "a", "displayName": "A"}]')$$),
    ($$SELECT * FROM kaireon.read('nope') AS t(a pg_catalog.text)$$),
    ($$SELECT kaireon.infer_fields('nope')$$),
    ($$SELECT kaireon.run_pipeline('nope')$$),
    ($$SELECT kaireon.create_pipeline('v', 'v', 'v')$$),
    ($$SELECT kaireon.create_pipeline('u', 'nope', 'v')$$),
    ($$SELECT kaireon.create_connector('u', 'local_fs', '{"basepath": 1}')$$),
    ($$SELECT kaireon.delete_connector('v')$$),
    ($$SELECT kaireon.change_owner('pipeline', 'v', 'nope')$$),
    ($$SELECT kaireon.delete_pipeline('v'), kaireon.delete_schema('w'), kaireon.delete_schema('v', cascade => true), kaireon.delete_connector('v')$$),
    ($$DROP DOMAIN pg_temp.jsonb, pg_temp.uuid, pg_temp.regrole$$),
    ($$DROP TABLE pg_temp.pipeline, pg_temp.connector, pg_temp.schema, pg_temp.run, pg_temp.source, pg_temp.staged, pg_temp.ds_v, pg_temp.pg_class, pg_temp.pg_roles, pg_temp.pg_proc, pg_temp.pg_namespace, pg_temp.pg_attribute$$);
SET SESSION AUTHORIZATION regress_victim;
SET search_path = evil, pg_temp, public, pg_catalog;
SELECT sql FROM victims.statement ORDER BY n \gexec
RESET search_path;
SET SESSION AUTHORIZATION regress_dba;
SET search_path = evil, pg_temp, public, pg_catalog;
SELECT sql FROM victims.statement ORDER BY n \gexec
RESET search_path;
RESET SESSION AUTHORIZATION;

-- Nothing was called, by nobody.
SELECT who, what FROM evil.proof;

SELECT pg_catalog.pg_has_role('regress_evil', 'pg_read_all_data', 'USAGE') AS gained, rolsuper FROM pg_roles WHERE rolname = 'regress_evil';
DROP SCHEMA evil, victims CASCADE;
DROP OWNED BY regress_evil, regress_victim, regress_dba;
DROP ROLE regress_evil, regress_victim, regress_dba;
