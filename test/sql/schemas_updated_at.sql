-- updated_at of a schema's table: which statements move it, and what becomes of
-- the trigger when the column or the extension goes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_schema('su', '[{"name": "k", "dataType": "integer", "isPrimaryKey": true}, {"name": "v", "dataType": "text"},
    {"name": "j", "dataType": "json"}, {"name": "n", "dataType": "double"}]') IS NOT NULL;
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'ds_su'::regclass;
INSERT INTO ds_su (k, v, j, n, created_at, updated_at)
SELECT i, CASE i WHEN 4 THEN repeat(md5('long'), 1000) ELSE 'v' || i END, '{"a": 1}', i, '2000-01-01', '2000-01-01' FROM generate_series(1, 5) AS i;
CREATE VIEW pg_temp.moved AS SELECT string_agg(k::text, ' ' ORDER BY k) AS moved FROM ds_su WHERE updated_at > '2001-01-01';
CREATE FUNCTION pg_temp.update(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE 'UPDATE ds_su SET ' || what;
    SELECT moved INTO answer FROM pg_temp.moved;
    RAISE EXCEPTION 'rows moved: %', COALESCE(answer, 'none'); -- and undone
EXCEPTION WHEN raise_exception THEN
    RETURN what || ': ' || SQLERRM;
END
$$;
SELECT pg_temp.update(w) FROM unnest(ARRAY[
    $$v = 'x' WHERE k = 1$$, $$v = NULL WHERE k < 3$$, $$v = 'v1'$$, $$v = v$$, $$v = v || ''$$, $$j = '{"a":   1}'$$, $$j = '{"a": 2}'$$,
    $$n = n + 0$$, $$n = 3$$, $$updated_at = '1999-01-01', v = 'x'$$, $$updated_at = '2024-01-01' WHERE k = 2$$,
    $$updated_at = updated_at, v = 'x' WHERE k = 5$$, $$created_at = '1999-01-01' WHERE k = 1$$]) AS w;
-- It is the transaction's time.
BEGIN;
UPDATE ds_su SET v = 'now' WHERE k = 1;
SELECT updated_at = now(), created_at < now() FROM ds_su WHERE k = 1;
ROLLBACK;
INSERT INTO ds_su (k, v) VALUES (1, 'upserted'), (6, 'new') ON CONFLICT (k) DO UPDATE SET v = excluded.v;
SELECT moved FROM pg_temp.moved;
MERGE INTO ds_su USING (VALUES (2, 'merged')) AS s (k, v) ON ds_su.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v;
SELECT moved FROM pg_temp.moved;

-- Columns that are computed; a column dropped or added.
ALTER TABLE ds_su ADD twice double precision GENERATED ALWAYS AS (n * 2) STORED;
SELECT kaireon.add_field('su', '{"name": "added", "dataType": "integer", "defaultValue": 1}'), kaireon.drop_field('su', 'j', true);
UPDATE ds_su SET updated_at = '2000-01-01';
SELECT pg_temp.update(w) FROM unnest(ARRAY[$$v = v$$, $$n = 3$$, $$added = 1$$, $$added = 2 WHERE k = 3$$]) AS w;

-- Without the column an update is an update.
ALTER TABLE ds_su RENAME updated_at TO changed;
UPDATE ds_su SET v = 'y';
SELECT count(*) FROM ds_su WHERE v = 'y' AND changed = '2000-01-01';
ALTER TABLE ds_su RENAME changed TO updated_at;

-- The function is for this trigger only.
CREATE TRIGGER wrong_a BEFORE INSERT ON ds_su FOR EACH ROW EXECUTE FUNCTION kaireon.touch_updated_at();
SELECT pg_temp.try('INSERT INTO ds_su (k) VALUES (7)');
DROP TRIGGER wrong_a ON ds_su;
CREATE TRIGGER wrong_b AFTER UPDATE ON ds_su FOR EACH ROW EXECUTE FUNCTION kaireon.touch_updated_at();
SELECT pg_temp.try($$UPDATE ds_su SET v = 'z'$$);
DROP TRIGGER wrong_b ON ds_su;
CREATE TRIGGER wrong_c BEFORE UPDATE ON ds_su FOR EACH STATEMENT EXECUTE FUNCTION kaireon.touch_updated_at();
SELECT pg_temp.try($$UPDATE ds_su SET v = 'z'$$);
DROP TRIGGER wrong_c ON ds_su;
DROP VIEW pg_temp.moved;
SELECT kaireon.delete_schema('su');
