-- Changing a field's type: every type to every other, with values that fit,
-- values that would change and values that can't be converted; unique and
-- not-null fields; and that a refused change leaves all as it was.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
-- What a change does must not depend on these.
SET datestyle = 'German';
SET timezone = 'Asia/Tokyo';
SET extra_float_digits = -10;

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- Changes the only field of a schema that holds these values, and undoes it.
CREATE FUNCTION pg_temp.change(held text, becomes text, "values" text[], force boolean = false) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    field jsonb;
    changes jsonb;
    d text;
    now_held text;
BEGIN
    field := jsonb_build_object('name', 'f', 'dataType', split_part(held, '(', 1))
        || CASE WHEN held ~ '^varchar.*\(' THEN jsonb_build_object('length', substring(held, '\((\d+)')::int)
                WHEN held ~ '\(' THEN jsonb_build_object('precision', substring(held, '\((\d+)')::int, 'scale', substring(held, ',(\d+)')::int)
                ELSE '{}' END;
    changes := jsonb_build_object('dataType', split_part(becomes, '(', 1))
        || CASE WHEN becomes ~ '^varchar.*\(' THEN jsonb_build_object('length', substring(becomes, '\((\d+)')::int)
                WHEN becomes ~ '\(' THEN jsonb_build_object('precision', substring(becomes, '\((\d+)')::int, 'scale', substring(becomes, ',(\d+)')::int)
                ELSE '{}' END;
    PERFORM kaireon.create_schema('st', jsonb_build_array(field));
    SET LOCAL timezone = 'UTC';
    SET LOCAL datestyle = 'ISO, MDY';
    EXECUTE format('INSERT INTO ds_st (f) SELECT v::%s FROM unnest(%L::text[]) AS v', (SELECT column_type FROM kaireon.schema_fields WHERE schema = 'st'), "values");
    SET LOCAL timezone = 'Asia/Tokyo';
    SET LOCAL datestyle = 'German';
    BEGIN
        PERFORM kaireon.alter_field('st', 'f', changes, force);
        SET LOCAL timezone = 'UTC';
        SET LOCAL datestyle = 'ISO, MDY';
        SET LOCAL extra_float_digits = 1;
        SELECT string_agg(COALESCE(f::text, 'null'), ' ' ORDER BY id) INTO now_held FROM ds_st;
        RETURN NEXT format('%s -> %s: %s', held, becomes, now_held);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
        RETURN NEXT format('%s -> %s: %s %s %s', held, becomes, SQLSTATE, CASE WHEN SQLSTATE IN ('22018', '55000') THEN '' ELSE SQLERRM END, d);
        IF (SELECT column_type FROM kaireon.schema_fields WHERE schema = 'st') IS DISTINCT FROM
           (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ds_st'::regclass AND attname = 'f') THEN
            RETURN NEXT 'table and catalog parted';
        END IF;
    END;
    PERFORM kaireon.delete_schema('st');
END
$$;

CREATE TEMP TABLE held (n serial, type text, "values" text[]);
INSERT INTO held (type, "values") VALUES
    ('varchar(10)', '{1,007,1.5,true,2024-02-29,abcdefghij,NULL}'), ('text', '{1,2}'), ('smallint', '{0,1,-3}'), ('integer', '{1,70000,20240229}'),
    ('bigint', '{1,3000000000,9223372036854775807}'), ('numeric', '{1,1.25,1e20,NaN}'), ('decimal(6,3)', '{1,1.125,-100.5}'),
    ('real', '{1,0.1,1.5e5}'), ('double', '{1,0.1,1e300,0.333333333333333314}'), ('boolean', '{true,false}'),
    ('date', '{2024-02-29,infinity}'), ('timestamp', '{2024-02-29 00:00:00,2024-02-29 10:20:30.123456}'),
    ('timestamptz', '{2024-02-29 00:00:00+00,2024-02-29 10:20:30.123456+02}'), ('json', '{"5","true","\"x\"","{\"a\": 1}"}'),
    ('uuid', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}');
SELECT pg_temp.change(o.type, w.type, o."values") FROM held AS o, held AS w WHERE o.n <> w.n ORDER BY o.n, w.n;

-- Texts, value by value.
SELECT pg_temp.change('text', t, v) FROM (VALUES
    ('integer', '{1,-5," 42 ",2147483647}'::text[]), ('integer', '{+7}'), ('integer', '{007,0,00}'), ('integer', '{2147483648,1.0,"",x,y}'),
    ('numeric(5,2)', '{1,1.5,-999.99,1e2,.5,5.}'), ('numeric(5,2)', '{1.234}'), ('numeric(5,2)', '{1000}'), ('numeric', '{01.5}'),
    ('double', '{0.1,1e300,NaN,-Infinity,1}'), ('double', '{0.10000000000000001,123456789012345678}'), ('real', '{0.1,16777216}'), ('real', '{16777217}'),
    ('boolean', '{yes,NO,t,1,off}'), ('date', '{2024-02-29,20240229,2/29/2024}'), ('date', '{2024-02-29 10:00}'), ('date', '{5874897-12-31,infinity}'),
    ('timestamp', '{2024-02-29,2024-02-29 10:00}'), ('timestamp', '{2024-02-29 10:00+02}'), ('timestamptz', '{2024-02-29,2024-02-29 10:00+02}'),
    ('json', '{"{\"a\":  1}",5}'), ('json', ARRAY['{"a": 1, "a": 2}', '[{"b": {"c": 1, "d": [], "c": 1}}]', '{"a\":\\": ":,", "b": {"a": ["x:y", null]}}', '"a:b"']), ('uuid', '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'), ('varchar(3)', '{abc,NULL}'), ('varchar(3)', '{"abc ",äöüß,"a long text that is longer than what an example shows"}')
    ) AS c (t, v);
-- Numbers that are none of the other type.
SELECT pg_temp.change(o, n, '{1,NaN,Infinity,-Infinity}', f) FROM unnest('{numeric,real,double}'::text[]) AS o, unnest('{smallint,bigint,"numeric(5,2)"}'::text[]) AS n, unnest('{f,t}'::boolean[]) AS f;
-- By force.
SELECT pg_temp.change(o, n, v, true) FROM (VALUES
    ('text', 'varchar(3)', '{abcd,äöüß,ab}'::text[]), ('text', 'integer', '{007,+1}'), ('text', 'integer', '{007,x}'), ('text', 'numeric(5,2)', '{1.234,1.235}'),
    ('text', 'json', ARRAY['{"a": 1, "a": 2}']), ('text', 'date', '{2024-02-29 10:00}'), ('numeric(6,3)', 'integer', '{1.5,2.5,-0.4}'), ('numeric(6,3)', 'numeric(4,1)', '{1.25}'), ('numeric(6,3)', 'numeric(3,1)', '{100}'),
    ('bigint', 'real', '{9223372036854775807}'), ('double', 'smallint', '{1.4}'), ('double', 'smallint', '{1e10}'), ('timestamp', 'date', '{2024-02-29 10:00}'),
    ('timestamptz', 'date', '{2024-02-29 23:00-05}'), ('integer', 'varchar(3)', '{1234}'), ('varchar(5)', 'varchar(2)', '{abc,NULL}'), ('date', 'integer', '{2024-02-29}')
    ) AS c (o, n, v);
-- An empty table takes any type.
SELECT pg_temp.change('date', 'uuid', '{}');
SELECT pg_temp.change('json', 'boolean', '{NULL}');
-- Examples are three at most.
SELECT pg_temp.change('integer', 'smallint', '{1,70000,70001,70002,70003}');
SELECT pg_temp.change('numeric', 'integer', '{0.1,0.2,0.3,0.4,0.5}');

-- Unique.
SELECT kaireon.create_schema('su', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true}, {"name": "u", "dataType": "text", "isUnique": true},
    {"name": "v", "dataType": "text"}, {"name": "d", "dataType": "numeric", "precision": 6, "scale": 2, "isUnique": true, "defaultValue": 5}]') IS NOT NULL;
CREATE FUNCTION pg_temp.constraints() RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT conname || ': ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ds_su'::regclass AND contype <> 'n' ORDER BY conname COLLATE "C" $$;
INSERT INTO ds_su SELECT i, 'u' || i, 'v' || i % 4, i * 0.25 FROM generate_series(1, 10) AS i;
INSERT INTO ds_su VALUES (11, NULL, NULL, NULL), (12, NULL, NULL, NULL);
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'v', '{"isUnique": true}')$$);
UPDATE ds_su SET v = k WHERE v IS NOT NULL AND k > 1;
SELECT kaireon.alter_field('su', 'v', '{"isUnique": true}');
SELECT kaireon.alter_field('su', 'k', '{"isUnique": true}');
SELECT pg_temp.constraints();
SELECT pg_temp.try($$INSERT INTO ds_su (k, v) VALUES (20, '2')$$);
SELECT kaireon.alter_field('su', 'v', '{"isUnique": true}'), kaireon.alter_field('su', 'u', '{"isUnique": false, "name": "renamed"}'), kaireon.alter_field('su', 'k', '{"isUnique": false}');
SELECT pg_temp.constraints();
CREATE TABLE su_child (v text REFERENCES ds_su (v));
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'v', '{"isUnique": false}')$$);
DROP TABLE su_child;
-- Values that become the same.
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'd', '{"dataType": "integer"}', force => true)$$);
SELECT kaireon.alter_field('su', 'd', '{"isUnique": false}');
SELECT kaireon.alter_field('su', 'd', '{"dataType": "integer"}', force => true);
SELECT string_agg(d::text, ' ' ORDER BY k) FROM ds_su;
SELECT column_default, data_type FROM information_schema.columns WHERE table_name = 'ds_su' AND column_name = 'd';
-- A default that does not fit the new type.
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'd', '{"dataType": "boolean"}')$$);
-- Names of constraints that are taken or too long.
CREATE TABLE ds_su_renamed_key ();
SELECT kaireon.alter_field('su', 'renamed', '{"isUnique": true}');
SELECT kaireon.add_field('su', jsonb_build_object('name', repeat('x', 60)));
SELECT kaireon.alter_field('su', repeat('x', 60), '{"isUnique": true}');
SELECT pg_temp.constraints();
DROP TABLE ds_su_renamed_key;
-- An index that is no constraint makes a field unique too.
CREATE UNIQUE INDEX su_more ON ds_su (v);
SELECT kaireon.alter_field('su', 'v', '{"isUnique": false}');
SELECT to_regclass('su_more');

-- Several at once, in one transaction: all or nothing.
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'v', '{"name": "w", "isUnique": true, "defaultValue": "''x''", "isNullable": false}')$$);
SELECT name, is_unique, default_value FROM kaireon.schema_fields WHERE schema = 'su' AND ordinal = 3;
SELECT pg_temp.constraints();
UPDATE ds_su SET v = k;
SELECT kaireon.alter_field('su', 'v', '{"name": "w", "isUnique": true, "defaultValue": "''0''", "isNullable": false, "length": 20, "dataType": "varchar"}');
SELECT name, column_type, is_unique, is_nullable, default_value FROM kaireon.schema_fields WHERE schema = 'su' AND ordinal = 3;
SELECT pg_temp.constraints();

-- What uses the column.
CREATE VIEW su_view AS SELECT w FROM ds_su;
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'w', '{"dataType": "integer"}')$$);
SELECT pg_temp.try($$SELECT kaireon.alter_field('su', 'w', '{"name": "ww", "isNullable": true}')$$);
SELECT * FROM su_view LIMIT 0;
DROP VIEW su_view;
-- Keys change their type too.
SELECT kaireon.alter_field('su', 'k', '{"dataType": "bigint"}');
SELECT pg_temp.constraints();

-- A pipeline that does not fit any more is named.
SELECT kaireon.create_connector('su_files', 'local_fs') IS NOT NULL;
SELECT kaireon.create_pipeline('su_load', 'su_files', 'su', '[{"id": "read", "type": "source", "config": {"resource": "x.csv"}},
    {"id": "load", "type": "target", "config": {"fieldMapping": {"a": "ww", "b": "d"}}}]') IS NOT NULL;
SELECT kaireon.alter_field('su', 'ww', '{"name": "v"}');
SELECT kaireon.alter_field('su', 'v', '{"name": "ww"}');
SELECT kaireon.drop_field('su', 'd', true);
SELECT kaireon.delete_pipeline('su_load'), kaireon.delete_connector('su_files'), kaireon.delete_schema('su');
