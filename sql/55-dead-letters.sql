-- Dead letters: rows that runs could not load, kept whole.  Runs write them
-- (dead_letter.c); here they are shown, chosen and purged.

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

-- The letters of a pipeline that a filter chooses, in the order in which their sources had them.
CREATE FUNCTION kaireon_internal.chosen_dead_letters(pipeline uuid, filter jsonb) RETURNS SETOF kaireon_internal.dead_letter
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.* FROM kaireon_internal.dead_letter AS d
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

CREATE FUNCTION kaireon_internal.purge_dead_letters(caller regrole, pipeline text, filter jsonb)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, pipeline);
    n bigint;
BEGIN
    PERFORM kaireon_internal.check_dead_letter_filter(filter);
    DELETE FROM kaireon_internal.dead_letter AS d
     WHERE d.id IN (SELECT c.id FROM kaireon_internal.chosen_dead_letters(p.id, filter) AS c);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;

-- Called at the end of runs.
CREATE FUNCTION kaireon_internal.expire_dead_letters(pipeline uuid, days int) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM kaireon_internal.dead_letter AS d WHERE d.pipeline_id = pipeline AND d.created_at < now() - make_interval(days => days)
$$;

-- ---- what users call

CREATE FUNCTION kaireon.purge_dead_letters(pipeline text, filter jsonb = '{}') RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.purge_dead_letters IS 'throws dead letters of a pipeline away, and returns how many';
