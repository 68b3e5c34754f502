-- The outbox: what is done outside of the database once a run has committed.
-- The run's worker does it; what fails is done again by the supervisor, later
-- and later, until there is no more hope.

CREATE VIEW kaireon.outbox WITH (security_barrier) AS
SELECT o.id, p.name AS pipeline, o.run_id, o.node_id, 'move'::text AS action, c.name AS connector, o.path, o.target_path, o.moved_to,
       o.status, o.attempts, CASE o.status WHEN 'pending' THEN o.next_attempt_at END AS next_attempt_at,
       o.error_code, CASE WHEN kaireon_internal.may_read(p.owner) THEN o.error_message END AS error_message, o.created_at, o.done_at
  FROM kaireon_internal.outbox o
  JOIN kaireon_internal.pipeline p ON p.id = o.pipeline_id
  LEFT JOIN kaireon_internal.connector c ON c.id = o.connector_id
 WHERE kaireon_internal.may_see(p.owner);
COMMENT ON VIEW kaireon.outbox IS 'what is done outside of the database after runs have committed: files that archive nodes have moved';
COMMENT ON COLUMN kaireon.outbox.status IS 'pending, done or failed; retry_outbox tries what failed again';
COMMENT ON COLUMN kaireon.outbox.moved_to IS 'where the file is: with a number behind it where the name was taken';

-- After an attempt in vain: again after 1 s, 4 s, 16 s... up to an hour, ten times in all.
CREATE FUNCTION kaireon_internal.outbox_failed(entry bigint, code text, message text, final boolean)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.outbox
       SET attempts = attempts + 1, error_code = code, error_message = message,
           status = CASE WHEN final OR attempts >= 9 THEN 'failed' ELSE 'pending' END,
           next_attempt_at = clock_timestamp() + least(make_interval(secs => 4.0 ^ attempts), interval '1 hour')
     WHERE id = entry AND status = 'pending'
$$;

CREATE FUNCTION kaireon_internal.retry_outbox(caller regrole, pipeline text)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, pipeline, operators => true);
    n bigint;
BEGIN
    UPDATE kaireon_internal.outbox AS o SET status = 'pending', attempts = 0, next_attempt_at = clock_timestamp()
     WHERE o.pipeline_id = p.id AND o.status <> 'done';
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
COMMENT ON FUNCTION kaireon.discard_outbox IS 'gives up what a pipeline''s outbox has that is not done; the files stay where they are, and the next run may read them again';
