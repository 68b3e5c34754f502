-- Dead letters: rows that runs could not load, kept whole.  Runs write them and
-- replays take them away (dead_letter.c, run_replay.c); here they are shown,
-- chosen, edited and purged.

CREATE VIEW kaireon.dead_letters WITH (security_barrier) AS
SELECT d.id, p.name AS pipeline, d.run_id, d.version, d.source_node, d.node_id, d.source, d.line, d."offset", d.field, d.constraint_name,
       d.reason, d.sqlstate, d.kind, d.record, d.attempts, d.created_at, d.last_run_id, d.last_tried_at, d.edited_at
  FROM kaireon_internal.dead_letter d
  JOIN kaireon_internal.pipeline p ON p.id = d.pipeline_id
 WHERE kaireon_internal.may_read(p.owner);
COMMENT ON VIEW kaireon.dead_letters IS 'bad rows kept whole, so that they can be loaded later';
COMMENT ON COLUMN kaireon.dead_letters.run_id IS 'the run that read the row, with version of the pipeline';
COMMENT ON COLUMN kaireon.dead_letters.source_node IS 'the source node that read it';
COMMENT ON COLUMN kaireon.dead_letters.node_id IS 'the node where it could not go on, at the last try; field, constraint_name, reason and sqlstate say why';
COMMENT ON COLUMN kaireon.dead_letters.kind IS 'record: the fields of the source''s record; raw: a record that could not be cut into fields; cut: the beginning of one that passed a limit; row: a row of a node that makes rows of several (source, line and offset are those of one of them)';
COMMENT ON COLUMN kaireon.dead_letters.record IS 'all fields as they were read, as texts ({"hex": ...}: bytes that are no text); of kind raw and cut a string';
COMMENT ON COLUMN kaireon.dead_letters.attempts IS 'replays that could not load it either';

-- ---- choosing

-- A value of a filter as a time; raises 22023.
CREATE FUNCTION kaireon_internal.filter_time(filter jsonb, key text) RETURNS timestamptz
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (filter ->> key)::timestamptz;
EXCEPTION WHEN data_exception THEN
    PERFORM kaireon_internal.fail('22023', format('invalid value %s for key "%s"', filter -> key, key), 'Found in filter.',
        'It is a time, such as "2026-05-31 12:00+00".');
END
$$;

-- Raises 22023 for a filter that is none.
CREATE FUNCTION kaireon_internal.check_dead_letter_filter(filter jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kaireon_internal.check_object(filter, '{
        "ids": {"kind": "array", "hint": "For example [17, 18]."},
        "runId": {"kind": "string", "pattern": "^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", "patternHint": "It is the run_id of a run."},
        "node": {"kind": "string"}, "sourceNode": {"kind": "string"}, "source": {"kind": "string"}, "field": {"kind": "string"},
        "constraint": {"kind": "string"},
        "sqlstate": {"kind": "string", "pattern": "^[0-9A-Z]{5}$", "patternHint": "It has five digits or capital letters."},
        "kind": {"kind": "string", "values": ["record", "raw", "cut", "row"]},
        "before": {"kind": "string"}, "after": {"kind": "string"}}', 'filter');
    PERFORM kaireon_internal.filter_time(filter, 'before'), kaireon_internal.filter_time(filter, 'after');
    IF jsonb_typeof(filter -> 'ids') = 'array' AND EXISTS (SELECT FROM jsonb_array_elements(filter -> 'ids') AS e
                                                           WHERE NOT kaireon_internal.is_kind(e, 'integer')) THEN
        PERFORM kaireon_internal.fail('22023', 'key "ids" must be an array of integers', format('Found %s in filter.', left((filter -> 'ids')::text, 100)),
            'The view kaireon.dead_letters has them.');
    END IF;
END
$$;

-- A pipeline's letters that a filter chooses, in the order in which their sources had them.
CREATE FUNCTION kaireon_internal.chosen_dead_letters(pipeline uuid, filter jsonb) RETURNS TABLE (id bigint, source_node text, kind text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, d.source_node, d.kind FROM kaireon_internal.dead_letter AS d
     WHERE d.pipeline_id = pipeline
       AND (filter ->> 'ids' IS NULL OR d.id = ANY (ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(filter -> 'ids') AS e)))
       AND (filter ->> 'runId' IS NULL OR d.run_id = (filter ->> 'runId')::uuid)
       AND (filter ->> 'node' IS NULL OR d.node_id = filter ->> 'node')
       AND (filter ->> 'sourceNode' IS NULL OR d.source_node = filter ->> 'sourceNode')
       AND (filter ->> 'source' IS NULL OR d.source = filter ->> 'source')
       AND (filter ->> 'field' IS NULL OR d.field = filter ->> 'field')
       AND (filter ->> 'constraint' IS NULL OR d.constraint_name = filter ->> 'constraint')
       AND (filter ->> 'sqlstate' IS NULL OR d.sqlstate = filter ->> 'sqlstate')
       AND (filter ->> 'kind' IS NULL OR d.kind = filter ->> 'kind')
       AND (filter ->> 'before' IS NULL OR d.created_at < (filter ->> 'before')::timestamptz)
       AND (filter ->> 'after' IS NULL OR d.created_at >= (filter ->> 'after')::timestamptz)
     ORDER BY d.created_at, d.run_id, d.source_node, d.file_number, d.line, d."offset", d.id
$$;

-- ---- purging

-- Those that a replay is working on stay.
CREATE FUNCTION kaireon_internal.purge_dead_letters(caller regrole, pipeline text, filter jsonb)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, pipeline);
    n bigint;
BEGIN
    PERFORM kaireon_internal.check_dead_letter_filter(filter);
    DELETE FROM kaireon_internal.dead_letter AS d
     WHERE d.id IN (SELECT l.id FROM kaireon_internal.dead_letter AS l
                     WHERE l.id IN (SELECT c.id FROM kaireon_internal.chosen_dead_letters(p.id, filter) AS c) FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;

-- Called at the end of runs.
CREATE FUNCTION kaireon_internal.expire_dead_letters(pipeline uuid, days int) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM kaireon_internal.dead_letter AS d
     WHERE d.id IN (SELECT l.id FROM kaireon_internal.dead_letter AS l
                     WHERE l.pipeline_id = pipeline AND l.created_at < now() - make_interval(days => days) FOR UPDATE SKIP LOCKED)
$$;

-- Called at the end of a run that has replaced all that the pipeline had loaded.
CREATE FUNCTION kaireon_internal.supersede_dead_letters(pipeline uuid, run uuid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM kaireon_internal.dead_letter AS d
     WHERE d.id IN (SELECT l.id FROM kaireon_internal.dead_letter AS l WHERE l.pipeline_id = pipeline AND l.run_id <> run FOR UPDATE SKIP LOCKED)
$$;

-- ---- editing

-- The letter of that id, locked, for its pipeline's owner; raises 42704, 42501, and 55006 while it is replayed.
CREATE FUNCTION kaireon_internal.get_dead_letter(caller regrole, id bigint) RETURNS kaireon_internal.dead_letter
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    letter kaireon_internal.dead_letter;
    p kaireon_internal.pipeline;
BEGIN
    SELECT o.* INTO p FROM kaireon_internal.pipeline AS o JOIN kaireon_internal.dead_letter AS d ON d.pipeline_id = o.id WHERE d.id = get_dead_letter.id;
    IF FOUND THEN
        PERFORM kaireon_internal.require_owner(caller, p.owner, 'pipeline', p.name);
        SELECT d.* INTO letter FROM kaireon_internal.dead_letter AS d WHERE d.id = get_dead_letter.id FOR UPDATE NOWAIT;
    END IF;
    IF letter.id IS NULL THEN
        PERFORM kaireon_internal.fail('42704', format('dead letter %s does not exist', COALESCE(id::text, 'null')),
            'It may have been replayed or purged.', 'The view kaireon.dead_letters has those there are.');
    END IF;
    RETURN letter;
EXCEPTION WHEN lock_not_available THEN
    PERFORM kaireon_internal.fail('55006', format('dead letter %s is being replayed', id), NULL, 'Wait for the replay to end, or cancel it with kaireon.cancel_run.');
END
$$;

-- A field's value as a record has it: text, null or bytes; raises 22023.
CREATE FUNCTION kaireon_internal.record_value(field text, value jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(value) IN ('string', 'null') OR
       (jsonb_typeof(value) = 'object' AND value - 'hex' = '{}' AND value ->> 'hex' ~ '^([0-9a-f]{2})*$') THEN
        RETURN value;
    ELSIF jsonb_typeof(value) IN ('number', 'boolean') THEN
        RETURN to_jsonb(value #>> '{}');
    END IF;
    PERFORM kaireon_internal.fail('22023', format('invalid value for field "%s"', field), format('Found %s.', left(value::text, 100)),
        'It is a text, a number, true, false, null, or bytes as {"hex": "c3a9"}; a JSON field is given as its text.');
END
$$;

-- The letter's record with these fields changed; raises 22023.
CREATE FUNCTION kaireon_internal.edited_record(letter kaireon_internal.dead_letter, changes jsonb) RETURNS jsonb
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_cut boolean := letter.kind = 'record';
    fields text[] := CASE WHEN is_cut THEN ARRAY(SELECT jsonb_object_keys(letter.record))
                          WHEN letter.layout -> 'fields' <> '{}' THEN ARRAY(SELECT jsonb_array_elements_text(letter.layout -> 'fields')) END;
    wrong text := (SELECT k FROM jsonb_object_keys(changes) AS k WHERE k <> ALL (fields) ORDER BY k COLLATE "C" LIMIT 1);
    missing text := (SELECT f FROM unnest(fields) WITH ORDINALITY AS u (f, n) WHERE NOT changes ? f ORDER BY n LIMIT 1);
    listed text := (SELECT string_agg(f, ', ' ORDER BY n) FROM unnest(fields) WITH ORDINALITY AS u (f, n) WHERE n <= 100);
    place text := format('Found in the record for dead letter %s.', letter.id);
BEGIN
    -- a JSON object has what fields it likes, and values of any kind
    IF letter.layout -> 'fields' = '{}' THEN
        RETURN CASE WHEN is_cut THEN letter.record ELSE '{}' END || changes;
    END IF;
    IF wrong IS NOT NULL THEN
        PERFORM kaireon_internal.fail('22023', format('unknown field "%s"', wrong), place,
            COALESCE('Perhaps you meant "' || kaireon_internal.closest(wrong, fields) || '". ', '') || format('Its fields: %s.', listed));
    ELSIF NOT is_cut AND missing IS NOT NULL THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is missing', missing), place,
            format('The row could not be cut into fields, so all of them are needed: %s.', listed));
    END IF;
    RETURN CASE WHEN is_cut THEN letter.record ELSE '{}' END
        || COALESCE((SELECT jsonb_object_agg(e.key, kaireon_internal.record_value(e.key, e.value)) FROM jsonb_each(changes) AS e), '{}');
END
$$;

CREATE FUNCTION kaireon_internal.edit_dead_letter(caller regrole, id bigint, record jsonb)
    RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    letter kaireon_internal.dead_letter := kaireon_internal.get_dead_letter(caller, id);
    as_fields boolean := jsonb_typeof(record) = 'object';
BEGIN
    IF letter.kind = 'row' THEN
        PERFORM kaireon_internal.fail('55000', format('dead letter %s is no record of a source', id),
            'It is a row that a node made of several, and can''t be replayed.', 'Correct the source, and run the pipeline.');
    ELSIF letter.kind = 'record' AND NOT COALESCE(as_fields, false) THEN
        PERFORM kaireon_internal.fail('22023', 'record must be a JSON object', format('It is %s.', COALESCE(left(record::text, 100), 'null')),
            'It has the fields that are to change: {"amount": "12.50"}.');
    ELSIF NOT COALESCE(as_fields OR jsonb_typeof(record) = 'string', false) THEN
        PERFORM kaireon_internal.fail('22023', 'record must be a JSON object or a string', format('It is %s.', COALESCE(left(record::text, 100), 'null')),
            'An object has all fields; a string is the row as it stands in the file.');
    END IF;
    IF as_fields THEN
        record := kaireon_internal.edited_record(letter, record);
    END IF;
    UPDATE kaireon_internal.dead_letter AS d
       SET record = edit_dead_letter.record, raw = NULL, edited_at = now(), kind = CASE WHEN as_fields THEN 'record' ELSE 'raw' END,
           layout = CASE WHEN NOT as_fields OR d.layout -> 'fields' = '{}' THEN d.layout END
     WHERE d.id = letter.id;
    RETURN record;
END
$$;

-- ---- what users call

CREATE FUNCTION kaireon.replay_dead_letters(pipeline text, filter jsonb DEFAULT '{}') RETURNS kaireon.run
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_replay_dead_letters';
COMMENT ON FUNCTION kaireon.replay_dead_letters(text, jsonb) IS
    'Runs dead letters through the version of a pipeline that runs now, and waits: those that are loaded are dead letters no more';

CREATE FUNCTION kaireon.edit_dead_letter(id bigint, record jsonb) RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.edit_dead_letter IS 'changes fields of a dead letter''s record before it is replayed, and returns the record; of a row that could not be cut into fields all of them, or its text';

CREATE FUNCTION kaireon.purge_dead_letters(pipeline text, filter jsonb = '{}') RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.purge_dead_letters IS 'throws dead letters of a pipeline away, and returns how many';
