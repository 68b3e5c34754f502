-- Dead letters: what a filter chooses, and what it may be; editing; purging; what
-- keeps a pipeline that has some.  Replaying needs runs: test/t/replay.t.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
SET timezone = 'UTC';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

SELECT kaireon.create_connector('d_files', 'local_fs') IS NOT NULL, kaireon.create_schema('d_target', '[{"name": "a"}]') IS NOT NULL;
SELECT kaireon.create_pipeline('d_one', 'd_files', 'd_target') IS NOT NULL, kaireon.create_pipeline('d_two', 'd_files', 'd_target') IS NOT NULL;
CREATE FUNCTION pg_temp.letter(n bigint, pipeline text, changes jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO kaireon_internal.dead_letter SELECT r.* FROM kaireon_internal.pipeline AS p, jsonb_populate_record(NULL::kaireon_internal.dead_letter,
        jsonb_build_object('id', n, 'pipeline_id', p.id, 'run_id', '00000000-0000-0000-0000-00000000000a', 'version', 1, 'source_node', 'read', 'node_id', 'load',
            'source', 'in/a.csv', 'modified_at', '2024-01-01 00:00+00', 'file_number', 0, 'line', n + 1, 'offset', 10 * n, 'sqlstate', '22P02', 'reason', 'bad',
            'kind', 'record', 'record', jsonb_build_object('a', n::text, 'b', 'x'), 'attempts', 0, 'created_at', '2024-02-01 00:00+00') || changes) AS r
     WHERE p.name = pipeline
$$;
CREATE FUNCTION pg_temp.letters() RETURNS void LANGUAGE sql AS $$
    DELETE FROM kaireon_internal.dead_letter;
    SELECT pg_temp.letter(1, 'd_one', '{"field": "a"}'), pg_temp.letter(2, 'd_one', '{"field": "b", "node_id": "check", "sqlstate": "23514"}'),
           pg_temp.letter(3, 'd_one', '{"constraint_name": "d_key", "sqlstate": "23505"}'),
           pg_temp.letter(4, 'd_one', '{"source": "in/b.csv", "source_node": "other", "created_at": "2024-03-01 00:00+00"}'),
           pg_temp.letter(5, 'd_one', '{"kind": "raw", "record": "1,2,3", "layout": {"fields": ["a", "b"]}, "run_id": "00000000-0000-0000-0000-00000000000b"}'),
           pg_temp.letter(6, 'd_one', '{"kind": "cut", "record": "1,2", "layout": {"fields": ["a", "b"]}}'),
           pg_temp.letter(7, 'd_one', '{"kind": "row", "record": {"total": "7"}}'), pg_temp.letter(8, 'd_two', '{}')
$$;
SELECT pg_temp.letters();
SELECT * FROM kaireon.dead_letters ORDER BY id LIMIT 1;

-- ---- what a filter chooses
CREATE FUNCTION pg_temp.chosen(filter jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT filter::text || ': ' || COALESCE(string_agg(d.id::text, ' '), 'none')
      FROM kaireon_internal.pipeline AS p, kaireon_internal.chosen_dead_letters(p.id, filter) AS d WHERE p.name = 'd_one'
$$;
SELECT pg_temp.chosen(f) FROM unnest(ARRAY['{}', '{"ids": [1, 7, 8, 99]}', '{"ids": []}', '{"ids": null}', '{"node": "check"}', '{"sourceNode": "other"}', '{"source": "in/b.csv"}',
    '{"field": "a"}', '{"constraint": "d_key"}', '{"sqlstate": "22P02"}', '{"kind": "raw"}', '{"runId": "00000000-0000-0000-0000-00000000000B"}',
    '{"before": "2024-03-01 00:00+00"}', '{"after": "2024-03-01 00:00+00"}', '{"after": "2024-02-01", "before": "2024-02-02"}', '{"field": "a", "sqlstate": "23514"}',
    '{"node": "load", "kind": "record", "ids": [1, 2, 3, 4]}']::jsonb[]) AS f;

-- ---- what a filter may be
SELECT pg_temp.try(format('SELECT kaireon.purge_dead_letters(%L, %L)', 'd_one', f)) FROM unnest(ARRAY['[]', '{"nodes": "x"}', '{"ids": 7}', '{"ids": ["7"]}', '{"ids": [1.5]}',
    '{"runId": "x"}', '{"runId": 7}', '{"sqlstate": "22p02"}', '{"kind": "broken"}', '{"before": "yesterday evening"}', '{"after": 7}', '{"node": ["a"]}']) AS f;
SELECT pg_temp.try($$SELECT kaireon.purge_dead_letters('d_none')$$);
SELECT pg_temp.try($$SELECT kaireon.purge_dead_letters(NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.purge_dead_letters('d_one', NULL)$$);

SELECT pg_temp.try(format('SELECT kaireon.replay_dead_letters(%L, %L)', 'd_one', f)) FROM unnest(ARRAY['[]', '7', '{"nodes": "x"}', '{"ids": ["7"]}', '{"before": "soon"}']) AS f;
SELECT pg_temp.try(format('SELECT kaireon.start_pipeline(%L, %L)', 'd_one', o)) FROM unnest(ARRAY['{"replay": []}', '{"replay": null}', '{"replay": {"id": 7}}', '{"replays": {}}']) AS o;
SELECT pg_temp.try($$SELECT kaireon.replay_dead_letters('d_none')$$);
SELECT pg_temp.try($$SELECT kaireon.replay_dead_letters(NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.replay_dead_letters('d_one', NULL)$$);

-- ---- editing
SELECT kaireon.edit_dead_letter(1, '{"a": "new"}');
SELECT kaireon.edit_dead_letter(1, '{"a": 12.50, "b": true}');
SELECT kaireon.edit_dead_letter(1, '{"b": null}');
SELECT kaireon.edit_dead_letter(1, '{"b": {"hex": "c3ff"}}');
SELECT kaireon.edit_dead_letter(1, '{}');
SELECT kaireon.edit_dead_letter(5, '"1,2"');
SELECT kaireon.edit_dead_letter(6, '{"b": "y", "a": null}');
SELECT id, kind, record, edited_at IS NOT NULL FROM kaireon.dead_letters WHERE id IN (1, 2, 5, 6) ORDER BY id;
SELECT id, raw IS NULL, layout IS NULL FROM kaireon_internal.dead_letter WHERE id IN (5, 6) ORDER BY id;
SELECT kaireon.edit_dead_letter(5, '{"a": "1", "b": "2"}');
SELECT pg_temp.letters();
SELECT pg_temp.try(format('SELECT kaireon.edit_dead_letter(1, %L)', r)) FROM unnest(ARRAY['null', '"a text"', '[]', '7', '{"c": 1}', '{"B": 1}', '{"a": [1]}', '{"a": {"hex": "c"}}', '{"a": {"hex": "C3"}}', '{"a": {}}', '{"a": {"hex": "c3", "b": 1}}']) AS r;
SELECT pg_temp.try(format('SELECT kaireon.edit_dead_letter(5, %L)', r)) FROM unnest(ARRAY['null', '[]', '{"a": 1}', '{"a": 1, "b": 2, "c": 3}', '{}']) AS r;
SELECT pg_temp.try($$SELECT kaireon.edit_dead_letter(7, '{"total": 8}')$$);
SELECT pg_temp.try($$SELECT kaireon.edit_dead_letter(99, '{}')$$);
SELECT pg_temp.try($$SELECT kaireon.edit_dead_letter(NULL, '{}')$$);
SELECT pg_temp.try($$SELECT kaireon.edit_dead_letter(1, NULL)$$);
SELECT id, kind, record, edited_at IS NOT NULL FROM kaireon.dead_letters WHERE id IN (1, 5, 7) ORDER BY id;

-- ---- purging
SELECT kaireon.purge_dead_letters('d_one', '{"ids": [1, 8]}');
SELECT kaireon.purge_dead_letters('d_one', '{"kind": "row"}');
SELECT kaireon.purge_dead_letters('d_one', '{"before": "2024-01-01"}');
SELECT string_agg(id::text, ' ' ORDER BY id) FROM kaireon.dead_letters;
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('d_one')$$);
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('d_two')$$);
SELECT kaireon.purge_dead_letters('d_one'), kaireon.purge_dead_letters('d_one');
SELECT string_agg(id::text, ' ' ORDER BY id) FROM kaireon.dead_letters;

-- What is expired at the end of a run.
SELECT pg_temp.letters();
UPDATE kaireon_internal.dead_letter SET created_at = now() - CASE id WHEN 1 THEN interval '30 days' ELSE '29 days 23:59' END WHERE id IN (1, 2);
UPDATE kaireon_internal.dead_letter SET created_at = now() WHERE id NOT IN (1, 2, 8);
SELECT kaireon_internal.expire_dead_letters(id, 30) FROM kaireon_internal.pipeline WHERE name = 'd_one';
SELECT string_agg(id::text, ' ' ORDER BY id) FROM kaireon.dead_letters;

SELECT kaireon.purge_dead_letters('d_one'), kaireon.purge_dead_letters('d_two');
SELECT kaireon.delete_pipeline('d_one'), kaireon.delete_pipeline('d_two'), kaireon.delete_schema('d_target'), kaireon.delete_connector('d_files');
