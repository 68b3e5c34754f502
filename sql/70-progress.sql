-- Progress of runs that are loading, from shared memory: to be read while the
-- load's transaction is still open.

-- [#########...........]  46%
CREATE FUNCTION kaireon.progress_bar(percent numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN percent IS NULL THEN format('[%s]    ?', repeat('.', 20))
                ELSE format('[%s%s] %s%%', repeat('#', cells), repeat('.', 20 - cells), lpad(trunc(p)::text, 3)) END
      FROM (SELECT p, trunc(p / 5)::int AS cells FROM (SELECT least(greatest(percent, 0), 100) AS p) AS i) AS o
$$;
COMMENT ON FUNCTION kaireon.progress_bar IS 'draws a bar of 20 cells';

-- A file's size is known at once, its number of rows never: percent is of bytes.
CREATE VIEW kaireon.progress WITH (security_barrier) AS
SELECT s.run_id, s.pipeline, s.stage, s.percent, kaireon.progress_bar(s.percent) AS bar,
       s.rows_read, s.rows_loaded, s.rows_updated, s.rows_failed, s.rows_skipped, s.rows_filtered,
       s.bytes_read, s.bytes_total,
       round(s.rows_read / nullif(s.seconds, 0)) AS rows_per_second,
       CASE WHEN s.bytes_read > 0 AND s.bytes_total > 0
            THEN make_interval(secs => round(s.seconds * greatest(s.bytes_total - s.bytes_read, 0) / s.bytes_read)::float8) END AS eta,
       s.started_at, s.waits_until
  FROM (SELECT p.*, CASE WHEN p.bytes_total > 0 THEN round(least(100.0 * p.bytes_read / p.bytes_total, 100), 1)
                         WHEN p.stage IN ('queued', 'waiting', 'starting', 'listing', 'staging', 'opening') THEN 0.0 END AS percent,
               extract(epoch FROM clock_timestamp() - p.started_at) AS seconds
          FROM kaireon_internal.progress_slots() AS p
         WHERE kaireon_internal.may_see(p.owner)) AS s;
COMMENT ON VIEW kaireon.progress IS 'the runs that are going on now, in this database';
COMMENT ON COLUMN kaireon.progress.percent IS 'of the bytes to be read; null when their number is not known';
COMMENT ON COLUMN kaireon.progress.eta IS 'time left if it goes on as until now';
COMMENT ON COLUMN kaireon.progress.waits_until IS 'of a run that waits for files: when it looks again';
