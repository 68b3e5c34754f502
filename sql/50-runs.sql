-- Runs: what became of them, row by row where rows were bad; and what sources
-- have been loaded.  The workers write all of this; here it is read.

CREATE TYPE kaireon.run AS (
    run_id uuid, pipeline text, version int, status text, trigger text, loading_strategy text,
    started_at timestamptz, finished_at timestamptz, duration interval,
    rows_read bigint, rows_loaded bigint, rows_updated bigint, rows_failed bigint, rows_skipped bigint,
    rows_filtered bigint, rows_merged bigint, bytes_read bigint, error_code text, error_message text, error_detail text, error_hint text,
    is_dry_run boolean, attempt int, commits int, waits_until timestamptz
);
COMMENT ON TYPE kaireon.run IS 'a row of view kaireon.runs';

-- May an error's text quote a row?  What triggers, rules and hooks raise may, whatever
-- SQLSTATE they choose; of what stops a run elsewhere the classes are known.
CREATE FUNCTION kaireon_internal.quotes_rows(error_node text, error_code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT error_node IS NOT NULL OR left(error_code, 2) <> ALL ('{KA,08,0A,25,28,2B,40,42,53,54,55,57,58}')
$$;

CREATE VIEW kaireon.runs WITH (security_barrier) AS
SELECT r.run_id, r.pipeline, r.version, r.status, r.trigger, r.loading_strategy, r.started_at, r.finished_at,
       COALESCE(r.finished_at, clock_timestamp()) - r.started_at AS duration,
       r.rows_read, r.rows_loaded, r.rows_updated, r.rows_failed, r.rows_skipped, r.rows_filtered, r.rows_merged, r.bytes_read,
       r.error_code,
       CASE WHEN NOT kaireon_internal.quotes_rows(r.error_node, r.error_code) OR kaireon_internal.may_read(r.owner) THEN r.error_message
            WHEN r.error_code IS NOT NULL THEN 'a row could not be loaded' END AS error_message,
       CASE WHEN kaireon_internal.may_read(r.owner) THEN r.error_detail END AS error_detail,
       CASE WHEN NOT kaireon_internal.quotes_rows(r.error_node, r.error_code) OR kaireon_internal.may_read(r.owner) THEN r.error_hint END AS error_hint,
       r.options @> '{"dryRun": true}' AS is_dry_run,
       r.attempt, r.commits, CASE r.status WHEN 'queued' THEN r.retry_at END AS waits_until
  FROM kaireon_internal.run r
 WHERE kaireon_internal.may_see(r.owner);
COMMENT ON VIEW kaireon.runs IS 'every run; while one is loading, view progress has its counters';
COMMENT ON COLUMN kaireon.runs.status IS 'queued, running, success, partial, failed or cancelled';
COMMENT ON COLUMN kaireon.runs.rows_failed IS 'rows read by a run that failed, since its last commit, and of files that were left out: none of them was loaded';
COMMENT ON COLUMN kaireon.runs.rows_skipped IS 'bad rows that were left out; run_errors says why';
COMMENT ON COLUMN kaireon.runs.rows_merged IS 'rows that set nodes (deduplicate, aggregate, joins) made fewer; negative where they made more';
COMMENT ON COLUMN kaireon.runs.error_code IS 'SQLSTATE of what ended the run';
COMMENT ON COLUMN kaireon.runs.error_message IS 'what ended the run; viewers are not told what is wrong with a row, because that quotes it';
COMMENT ON COLUMN kaireon.runs.error_detail IS 'where and with which value; not for viewers';
COMMENT ON COLUMN kaireon.runs.is_dry_run IS 'the run was to be tried only: nothing of it was kept, and rows_loaded and the like say what would have been';
COMMENT ON COLUMN kaireon.runs.attempt IS 'more than 1: the run was retried or resumed; run_attempts says how the others ended';
COMMENT ON COLUMN kaireon.runs.commits IS 'commits before the run''s end; what a run has committed that failed, stays: resume_run goes on behind it';
COMMENT ON COLUMN kaireon.runs.waits_until IS 'of a queued run that waits for files (run_waits) or for its next attempt: until then';

CREATE VIEW kaireon.run_nodes WITH (security_barrier) AS
SELECT n.run_id, r.pipeline, n.ordinal, n.node_id, n.node_type, n.rows_in, n.rows_out, n.rows_rejected, n.duration_ms, n.locked_ms, n.resource
  FROM kaireon_internal.run_node n
  JOIN kaireon_internal.run r ON r.run_id = n.run_id
 WHERE kaireon_internal.may_see(r.owner);
COMMENT ON VIEW kaireon.run_nodes IS 'rows in and out of each node of a run, and its time';
COMMENT ON COLUMN kaireon.run_nodes.locked_ms IS 'of a target whose table was exchanged for a new one: how long nobody else could use it';
COMMENT ON COLUMN kaireon.run_nodes.resource IS 'of a source: what it read, with the dates of its pattern as of the time at which the run was asked for';

CREATE VIEW kaireon.run_errors WITH (security_barrier) AS
SELECT e.run_id, r.pipeline, e.ordinal, e.node_id, e.source, e.line, e."offset", e.field, e.reason, e.sqlstate, e.value, e.severity, e.expression
  FROM kaireon_internal.run_error e
  JOIN kaireon_internal.run r ON r.run_id = e.run_id
 WHERE kaireon_internal.may_read(r.owner);
COMMENT ON VIEW kaireon.run_errors IS 'each bad row of a run: where it is, which field, and why; and warnings of rows that were loaded; not for viewers, who find their number in runs and run_nodes';
COMMENT ON COLUMN kaireon.run_errors.severity IS 'error: the row was left out; warning: it broke a rule and was loaded; of a check on all rows there is no line';
COMMENT ON COLUMN kaireon.run_errors.source IS 'the file or partition';
COMMENT ON COLUMN kaireon.run_errors.field IS 'the field as the source or the target calls it; of an error in a node, the field that the node makes';
COMMENT ON COLUMN kaireon.run_errors.value IS 'the field as it was read; of an expression of several fields all of them, as in "a=1, b=0"; the whole row where it could not be split';
COMMENT ON COLUMN kaireon.run_errors.expression IS 'of an error in a node, the expression, rule or condition that it was evaluating';

CREATE VIEW kaireon.source_state WITH (security_barrier) AS
SELECT p.name AS pipeline, f.node_id, 'file'::text AS kind, f.path, f.size, NULLIF(f.modified_at, '-infinity') AS modified_at, NULLIF(f.etag, '') AS etag,
       f.head_hash, f.rows_read, f.run_id, f.loaded_at, f.dialect, NULL::text AS field, NULL::text AS mark, f.next_offset IS NULL AS is_complete,
       NULL::int AS failures, NULL::text AS error_code, NULL::text AS error_message, NULL::text AS error_detail
  FROM kaireon_internal.source_file f
  JOIN kaireon_internal.pipeline p ON p.id = f.pipeline_id
 WHERE kaireon_internal.may_see(p.owner)
 UNION ALL
SELECT p.name, w.node_id, 'watermark', NULL, NULL, NULL, NULL, NULL, NULL, w.run_id, w.loaded_at, NULL, w.field,
       -- A value of a row.
       CASE WHEN kaireon_internal.may_read(p.owner) THEN w.mark END, true, NULL, NULL, NULL, NULL
  FROM kaireon_internal.watermark w
  JOIN kaireon_internal.pipeline p ON p.id = w.pipeline_id
 WHERE kaireon_internal.may_see(p.owner)
 UNION ALL
SELECT p.name, x.node_id, 'failure', x.path, x.size, NULLIF(x.modified_at, '-infinity'), NULLIF(x.etag, ''), NULL, NULL, x.run_id, NULL, NULL, NULL, NULL, false, x.failures, x.error_code,
       -- They may quote a row.
       CASE WHEN kaireon_internal.may_read(p.owner) THEN x.error_message END, CASE WHEN kaireon_internal.may_read(p.owner) THEN x.error_detail END
  FROM kaireon_internal.file_failure x
  JOIN kaireon_internal.pipeline p ON p.id = x.pipeline_id
 WHERE kaireon_internal.may_see(p.owner) AND NOT EXISTS (SELECT FROM kaireon_internal.source_file f
           WHERE f.pipeline_id = x.pipeline_id AND f.node_id = x.node_id AND md5(f.path) = md5(x.path) AND f.path = x.path AND f.next_offset IS NULL AND f.loaded_at > x.failed_at);
COMMENT ON VIEW kaireon.source_state IS 'what each pipeline has loaded: committed together with the rows';
COMMENT ON COLUMN kaireon.source_state.kind IS 'file, of a source node; failure, a file that was left out because it failed, until it is loaded; or watermark, of a target node';
COMMENT ON COLUMN kaireon.source_state.mark IS 'the greatest value that was loaded of the field; not for viewers';
COMMENT ON COLUMN kaireon.source_state.failures IS 'of a failure: the runs that this version of the file has failed in';
COMMENT ON COLUMN kaireon.source_state.error_message IS 'why it failed the last time; not for viewers, because it may quote a row';
COMMENT ON COLUMN kaireon.source_state.is_complete IS 'false: a run has committed a part of the file, and not gone on';

CREATE FUNCTION kaireon_internal.reset_source_state(caller regrole, pipeline text)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := kaireon_internal.get_pipeline(caller, pipeline);
    files bigint;
    failures bigint;
    marks bigint;
BEGIN
    PERFORM kaireon_internal.check_no_run(p);
    DELETE FROM kaireon_internal.source_file AS f WHERE f.pipeline_id = p.id;
    GET DIAGNOSTICS files = ROW_COUNT;
    DELETE FROM kaireon_internal.file_failure AS x WHERE x.pipeline_id = p.id;
    GET DIAGNOSTICS failures = ROW_COUNT;
    DELETE FROM kaireon_internal.watermark AS w WHERE w.pipeline_id = p.id;
    GET DIAGNOSTICS marks = ROW_COUNT;
    -- Nor is there anything to go on from.
    UPDATE kaireon_internal.run AS r SET progress = NULL WHERE r.pipeline_id = p.id AND r.progress IS NOT NULL;
    -- A run that this transaction would wait for does not see any of it.
    UPDATE kaireon_internal.pipeline AS o SET updated_at = now() WHERE o.id = p.id;
    RETURN files + failures + marks;
END
$$;

CREATE FUNCTION kaireon.reset_source_state(pipeline text) RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.reset_source_state IS 'forgets what a pipeline has loaded, so that its next run loads all of it; returns how many entries';
