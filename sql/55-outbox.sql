-- The outbox: what is done outside of the database once a run has committed.
-- The run's worker does it; what fails is done again by the supervisor, later
-- and later, until there is no more hope.

CREATE VIEW kaireon.outbox WITH (security_barrier) AS
SELECT o.id, p.name AS pipeline, o.run_id, o.node_id, o.kind AS action, c.name AS connector, o.path, o.target_path, o.moved_to,
       o.status, o.attempts, CASE WHEN o.status = 'pending' AND o.kind <> 'stage' THEN o.next_attempt_at END AS next_attempt_at,
       o.error_code, CASE WHEN kaireon_internal.may_read(p.owner) THEN o.error_message END AS error_message, o.created_at, o.done_at
  FROM kaireon_internal.outbox o
  JOIN kaireon_internal.pipeline p ON p.id = o.pipeline_id
  LEFT JOIN kaireon_internal.connector c ON c.id = o.connector_id
 WHERE kaireon_internal.may_see(p.owner);
COMMENT ON VIEW kaireon.outbox IS 'what is done outside of the database after runs have committed: files that archive nodes, or the atomicity of sources, have moved (move), webhooks (call); and the files that a run has claimed for itself (stage)';
COMMENT ON COLUMN kaireon.outbox.status IS 'pending, done or failed, which retry_outbox tries again; of a claim pending, then staged until its rows are loaded';
COMMENT ON COLUMN kaireon.outbox.moved_to IS 'where the file is: with a number behind it where the name was taken';

-- After an attempt in vain: again after 1 s, 4 s, 16 s... up to an hour, ten times in all; not before so many seconds, up to an hour.
CREATE FUNCTION kaireon_internal.outbox_failed(entry bigint, code text, message text, final boolean, wait int = 0)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.outbox
       SET attempts = attempts + 1, error_code = code, error_message = message,
           status = CASE WHEN final OR attempts >= 9 THEN 'failed' ELSE 'pending' END,
           next_attempt_at = clock_timestamp() + make_interval(secs => least(greatest(4.0 ^ attempts, wait), 3600))
     WHERE id = entry AND status = 'pending'
$$;

-- A call was not answered at all: others through the same connector wait as long, or each would be waited for.
CREATE FUNCTION kaireon_internal.outbox_unanswered(entry bigint)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.outbox AS o SET next_attempt_at = e.next_attempt_at
      FROM kaireon_internal.outbox AS e
     WHERE e.id = entry AND o.pipeline_id = e.pipeline_id AND o.connector_id = e.connector_id AND o.kind = e.kind
       AND o.status = 'pending' AND o.next_attempt_at < e.next_attempt_at
$$;

-- What webhooks tell of a run.
CREATE FUNCTION kaireon_internal.run_facts(r kaireon_internal.run)
    RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('pipeline', r.pipeline, 'runId', r.run_id, 'status', r.status, 'rowsRead', r.rows_read, 'rowsLoaded', r.rows_loaded,
        'rowsUpdated', r.rows_updated, 'rowsSkipped', r.rows_skipped, 'rowsFiltered', r.rows_filtered, 'errorCode', r.error_code, 'attempt', r.attempt,
        'startedAt', to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'finishedAt', to_char(r.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
$$;

-- A value in whose texts {name} stands for a fact.
CREATE FUNCTION kaireon_internal.fill_in(template jsonb, facts jsonb)
    RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    filled text := template::text;
    quoted text;
    fact record;
BEGIN
    -- Braces within a JSON text: those of objects are never followed by a name without quotes.
    -- The pipeline's name comes last, which may have braces itself.
    FOR fact IN SELECT key, COALESCE(value, '') AS value FROM jsonb_each_text(facts) ORDER BY key = 'pipeline' LOOP
        quoted := to_jsonb(fact.value)::text;
        filled := replace(filled, '{' || fact.key || '}', substr(quoted, 2, length(quoted) - 2));
    END LOOP;
    RETURN filled;
END
$$;

-- A run has ended as its row says: webhooks for that are to be called.  One that
-- waits for its next attempt has not ended, and a dry run calls nobody.
CREATE FUNCTION kaireon_internal.want_webhooks(run uuid)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO kaireon_internal.outbox (kind, pipeline_id, run_id, node_id, connector_id, path, request)
    SELECT 'call', r.pipeline_id, r.run_id, n.node ->> 'id', c.id, COALESCE(h.hook ->> 'path', ''),
           jsonb_build_object('method', COALESCE(h.hook ->> 'method', 'POST'), 'headers', COALESCE(h.hook -> 'headers', '{}'),
               'body', COALESCE(kaireon_internal.fill_in(h.hook -> 'body', f.facts), f.facts))
      FROM kaireon_internal.run AS r
      JOIN kaireon_internal.pipeline_version AS v ON v.pipeline_id = r.pipeline_id AND v.version = r.version,
           jsonb_array_elements(v.nodes) WITH ORDINALITY AS n (node, place),
           jsonb_path_query(n.node, '$.config.postHook[*] ? (@.type == "webhook")') WITH ORDINALITY AS h (hook, place)
      LEFT JOIN kaireon_internal.connector AS c ON c.name = h.hook ->> 'connector',
           LATERAL (SELECT kaireon_internal.run_facts(r) AS facts) AS f
     WHERE r.run_id = want_webhooks.run AND n.node ->> 'type' = 'target' AND NOT r.options @> '{"dryRun": true}'
       AND CASE COALESCE(h.hook ->> 'on', 'success')
               WHEN 'success' THEN r.status IN ('success', 'partial')
               WHEN 'failure' THEN r.status = 'failed'
               ELSE r.status IN ('success', 'partial', 'failed', 'cancelled') END
     ORDER BY n.place, h.place
$$;

CREATE FUNCTION kaireon_internal.retry_outbox(caller regrole, pipeline text)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, pipeline, operators => true);
    n bigint;
BEGIN
    UPDATE kaireon_internal.outbox AS o SET status = 'pending', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE o.pipeline_id = p.id AND o.kind <> 'stage' AND o.status <> 'done';
    GET DIAGNOSTICS n = ROW_COUNT;
    PERFORM kaireon_internal.wake_supervisor();
    RETURN n;
END
$$;

CREATE FUNCTION kaireon_internal.discard_outbox(caller regrole, pipeline text)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, pipeline);
    n bigint;
BEGIN
    PERFORM kaireon_internal.check_no_run(p);
    DELETE FROM kaireon_internal.outbox AS o WHERE o.pipeline_id = p.id AND o.status <> 'done';
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END
$$;

CREATE FUNCTION kaireon.retry_outbox(pipeline text) RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.retry_outbox IS 'tries at once what a pipeline''s outbox has that is not done; returns how many entries';
CREATE FUNCTION kaireon.discard_outbox(pipeline text) RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.discard_outbox IS 'gives up what a pipeline''s outbox has that is not done; files stay where they are, and the next run may read them again, but for those in a staging folder, which nobody reads any more; webhooks are not called';
