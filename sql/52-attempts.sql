-- Attempts: a run that failed goes on, by itself (retries) or because somebody
-- says so (resume_run).  It stays the same run; how an attempt ended is kept
-- when the next one is queued.

CREATE VIEW kaireon.run_attempts WITH (security_barrier) AS
SELECT a.run_id, r.pipeline, a.attempt, a.started_at, a.finished_at, a.status, a.error_code,
       -- As in view runs.
       CASE WHEN NOT kaireon_internal.quotes_rows(a.error_node, a.error_code) OR kaireon_internal.may_read(r.owner) THEN a.error_message
            WHEN a.error_code IS NOT NULL THEN 'a row could not be loaded' END AS error_message,
       CASE WHEN kaireon_internal.may_read(r.owner) THEN a.error_detail END AS error_detail,
       CASE WHEN NOT kaireon_internal.quotes_rows(a.error_node, a.error_code) OR kaireon_internal.may_read(r.owner) THEN a.error_hint END AS error_hint,
       a.next_attempt_at
  FROM (SELECT o.run_id, o.attempt, o.started_at, o.finished_at, o.status, o.error_code, o.error_message, o.error_detail, o.error_hint, o.error_node,
               CASE WHEN o.attempt = q.attempt AND q.status = 'queued' THEN q.retry_at END AS next_attempt_at
          FROM kaireon_internal.run_attempt AS o
          JOIN kaireon_internal.run AS q ON q.run_id = o.run_id
        UNION ALL
        SELECT o.run_id, o.attempt, o.attempt_at, o.finished_at, o.status, o.error_code, o.error_message, o.error_detail, o.error_hint, o.error_node, NULL
          FROM kaireon_internal.run AS o
         WHERE o.attempt > 0 AND NOT EXISTS (SELECT FROM kaireon_internal.run_attempt AS e WHERE e.run_id = o.run_id AND e.attempt = o.attempt)) AS a
  JOIN kaireon_internal.run AS r ON r.run_id = a.run_id
 WHERE kaireon_internal.may_see(r.owner);
COMMENT ON VIEW kaireon.run_attempts IS 'each attempt of each run: one, unless the run was retried or resumed';
COMMENT ON COLUMN kaireon.run_attempts.next_attempt_at IS 'of the last attempt of a run that waits for its next: not before';

CREATE VIEW kaireon.run_waits WITH (security_barrier) AS
SELECT w.run_id, r.pipeline, w.node_id, w.resource, w.looks, w.since, CASE WHEN w.outcome IS NULL AND r.status = 'queued' THEN w.next_look_at END AS next_look_at, w.outcome
  FROM kaireon_internal.run_wait AS w
  JOIN kaireon_internal.run AS r ON r.run_id = w.run_id
 WHERE kaireon_internal.may_see(r.owner);
COMMENT ON VIEW kaireon.run_waits IS 'sources with a waitPolicy that have found no file: how often their run has looked';
COMMENT ON COLUMN kaireon.run_waits.looks IS 'in vain, so far';
COMMENT ON COLUMN kaireon.run_waits.next_look_at IS 'of a source that is waited for';
COMMENT ON COLUMN kaireon.run_waits.outcome IS 'found, or the onMissAction that was taken: fail, alert, skip; null: it waits, or the run was ended by something else';

-- The run waits for its next attempt, not before that time.
CREATE FUNCTION kaireon_internal.requeue_run(run uuid, at timestamptz) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO kaireon_internal.run_attempt AS a
    SELECT r.run_id, r.attempt, r.attempt_at, r.finished_at, r.status, r.error_code, r.error_message, r.error_detail, r.error_hint, r.error_node
      FROM kaireon_internal.run AS r WHERE r.run_id = run AND r.attempt > 0
        ON CONFLICT (run_id, attempt) DO UPDATE
       SET finished_at = excluded.finished_at, status = excluded.status, error_code = excluded.error_code, error_message = excluded.error_message,
           error_detail = excluded.error_detail, error_hint = excluded.error_hint, error_node = excluded.error_node;
    UPDATE kaireon_internal.run AS r SET status = 'queued', finished_at = NULL, retry_at = at WHERE r.run_id = run;
$$;

-- Does a version of a pipeline read what is uploaded?  That is kept while its call waits, no longer.
CREATE FUNCTION kaireon_internal.reads_uploads(p kaireon_internal.pipeline, version int) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM kaireon_internal.pipeline_version AS v
                    CROSS JOIN jsonb_array_elements(v.nodes) AS n
                    JOIN kaireon_internal.connector AS c
                      ON CASE WHEN n -> 'config' ->> 'connector' IS NULL THEN c.id = p.connector_id ELSE c.name = n -> 'config' ->> 'connector' END
         WHERE v.pipeline_id = p.id AND v.version = reads_uploads.version
           AND n ->> 'type' = 'source' AND c.type = 'csv_upload')
$$;

-- The same of a run; a replay reads what is kept.
CREATE FUNCTION kaireon_internal.run_reads_uploads(run uuid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((SELECT kaireon_internal.reads_uploads(p, r.version) FROM kaireon_internal.run AS r JOIN kaireon_internal.pipeline AS p ON p.id = r.pipeline_id
                      WHERE r.run_id = run AND r.trigger <> 'replay'), false)
$$;

-- The attempt failed for something that may be over soon: when the pipeline
-- says so, the run waits for another one.  How long it waits; null: it does not.
CREATE FUNCTION kaireon_internal.retry_run(run uuid) RETURNS interval
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    attempts int;
    policy jsonb;
    lost boolean; -- what it is to load is gone with the session that waited
    seconds float8;
BEGIN
    SELECT r.attempt, v.execution_config -> 'retry', NOT r.waits AND kaireon_internal.run_reads_uploads(run) INTO attempts, policy, lost
      FROM kaireon_internal.run AS r
      JOIN kaireon_internal.pipeline_version AS v ON v.pipeline_id = r.pipeline_id AND v.version = r.version
     WHERE r.run_id = run AND r.status = 'failed';
    IF policy IS NULL OR lost OR attempts = 0 OR attempts >= COALESCE((policy ->> 'maxAttempts')::int, 3) THEN
        RETURN NULL;
    END IF;
    -- Twice as long each time, up to an hour or the first pause; and not all at once who failed at once.
    seconds := COALESCE((policy ->> 'pauseSeconds')::float8, 10);
    IF policy ->> 'backoff' IS DISTINCT FROM 'constant' THEN
        seconds := least(seconds * 2.0 ^ (attempts - 1), greatest(seconds, 3600));
    END IF;
    seconds := seconds * (0.75 + random() / 2);
    PERFORM kaireon_internal.requeue_run(run, clock_timestamp() + make_interval(secs => seconds));
    RETURN make_interval(secs => seconds);
END
$$;

-- A run of the pipeline that has begun since the last attempt of this one; null: there is none.
-- Replays and dry runs don't count: they leave alone what sources have loaded.
CREATE FUNCTION kaireon_internal.run_since(run uuid) RETURNS uuid
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT o.run_id FROM kaireon_internal.run AS r
      JOIN kaireon_internal.run AS o ON o.pipeline_id = r.pipeline_id AND o.run_id <> r.run_id AND o.trigger <> 'replay' AND NOT o.options @> '{"dryRun": true}'
                                    AND o.attempt_at > COALESCE(r.attempt_at, r.queued_at)
     WHERE r.run_id = run_since.run ORDER BY o.attempt_at DESC LIMIT 1
$$;

-- The run that a new run of a pipeline with such a version would load again: it
-- has committed something and can be resumed.  Incremental sources go on behind it.
CREATE FUNCTION kaireon_internal.run_to_resume(pipeline uuid, version int) RETURNS TABLE (run_id uuid, rows bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.run_id, r.rows_loaded + r.rows_updated FROM kaireon_internal.run AS r
     WHERE r.pipeline_id = run_to_resume.pipeline AND r.status IN ('failed', 'cancelled') AND r.progress IS NOT NULL
       AND kaireon_internal.run_since(r.run_id) IS NULL AND NOT kaireon_internal.run_reads_uploads(r.run_id)
       AND EXISTS (SELECT FROM kaireon_internal.pipeline_version AS v, jsonb_array_elements(v.nodes) AS n (node)
                    WHERE v.pipeline_id = r.pipeline_id AND v.version = run_to_resume.version AND n.node ->> 'type' = 'source'
                      AND n.node -> 'config' -> 'incremental' IS DISTINCT FROM 'true')
     ORDER BY r.attempt_at DESC LIMIT 1
$$;

CREATE FUNCTION kaireon_internal.resume_run(caller regrole, run_id uuid)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    r kaireon_internal.run;
    p kaireon_internal.pipeline;
    since uuid;
BEGIN
    SELECT o.* INTO r FROM kaireon_internal.run AS o WHERE o.run_id = resume_run.run_id;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail('42704', format('run %s does not exist', COALESCE(run_id::text, 'null')), 'Nothing is known of it in this database.',
            'The view kaireon.runs has those there are.');
    END IF;
    SELECT o.* INTO p FROM kaireon_internal.pipeline AS o WHERE o.id = r.pipeline_id;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail('42704', format('the pipeline of run %s does not exist any more', run_id), 'It was deleted.', NULL);
    END IF;
    p := kaireon_internal.get_pipeline(caller, p.name, operators => true);
    SELECT o.* INTO r FROM kaireon_internal.run AS o WHERE o.run_id = resume_run.run_id FOR UPDATE;
    IF r.status IN ('queued', 'running') THEN
        PERFORM kaireon_internal.fail('55000', format('run %s is %s', run_id, r.status), 'Only a run that has ended can be resumed.', 'See the view kaireon.runs.');
    ELSIF r.status NOT IN ('failed', 'cancelled') THEN
        PERFORM kaireon_internal.fail('55000', format('run %s has loaded all it was to load', run_id), format('Its status is %s.', r.status),
            'kaireon.run_pipeline runs the pipeline again.');
    ELSIF kaireon_internal.run_reads_uploads(run_id) THEN
        PERFORM kaireon_internal.fail('55000', format('run %s can''t be resumed', run_id), 'What was uploaded is kept while its call waits, no longer.',
            'Call kaireon.upload_csv again; what the run has committed is loaded.');
    ELSIF p.status IN ('paused', 'archived') THEN
        PERFORM kaireon_internal.fail('55000', format('pipeline "%s" is %s', p.name, p.status), 'Nothing starts it until somebody resumes it.',
            'kaireon.resume_pipeline makes it run again.');
    END IF;
    IF EXISTS (SELECT FROM kaireon.instance AS i WHERE NOT i.is_confirmed) THEN
        PERFORM kaireon_internal.fail('KA005', 'pipelines are held: this database is a copy', (SELECT i.reason FROM kaireon.instance AS i LIMIT 1),
            'When its original does not run them any more, call kaireon.confirm_instance().');
    END IF;
    since := kaireon_internal.run_since(run_id);
    IF since IS NOT NULL THEN
        PERFORM kaireon_internal.fail('55000', format('run %s can''t be resumed', run_id), format('Run %s of pipeline "%s" has begun since.', since, p.name),
            'kaireon.run_pipeline runs the pipeline anew.');
    END IF;
    DELETE FROM kaireon_internal.run_wait AS w WHERE w.run_id = r.run_id; -- it waits anew
    PERFORM kaireon_internal.requeue_run(run_id, clock_timestamp());
    UPDATE kaireon_internal.run AS o SET waits = false, owner = p.owner, pipeline = p.name WHERE o.run_id = r.run_id;
    PERFORM kaireon_internal.wake_supervisor();
    RETURN run_id;
END
$$;

CREATE FUNCTION kaireon.resume_run(run_id uuid) RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.resume_run IS 'a run that failed or was cancelled goes on behind its last commit, or begins again where it has none, once the calling transaction commits; gives its run_id';
