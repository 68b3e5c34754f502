-- Which instance of a database this is: a restored or cloned copy is told from
-- its original, and holds its pipelines until somebody confirms it.
--
-- CREATE EXTENSION writes where the database is into kaireon_internal.instance;
-- a dump carries that row along, so after a restore there are two, and one of
-- them is not true.  What is compared is in src/pg/instance.c.

CREATE FUNCTION kaireon_internal.this_instance(OUT system_identifier bigint, OUT database oid, OUT extension oid,
                                               OUT data_directory text, OUT machine text, OUT name text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_this_instance';

CREATE FUNCTION kaireon_internal.instance_differences(system_identifier bigint, database oid, extension oid,
                                                      data_directory text, machine text, name text) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_instance_differences';

INSERT INTO kaireon_internal.instance (system_identifier, database, extension, data_directory, machine, name, confirmed_by)
SELECT t.*, current_user FROM kaireon_internal.this_instance() AS t;

CREATE VIEW kaireon.instance WITH (security_barrier) AS
SELECT COALESCE(cardinality(w.differences) = 0, false) AS is_confirmed,
       CASE WHEN w.differences IS NULL THEN 'It has never been confirmed.'
            WHEN cardinality(w.differences) > 0
            THEN format('It was restored, cloned, upgraded or taken over by a standby: since %s it has another %s.',
                        w.confirmed_at::timestamptz(0), regexp_replace(array_to_string(w.differences, ', '), ', (?=[^,]*$)', ' and '))
       END AS reason,
       NULLIF(t.name, '') AS name, w.confirmed_at, w.confirmed_by,
       CASE WHEN pg_has_role(to_regrole('kaireon_admin'), 'USAGE') THEN to_jsonb(t) END AS current,
       CASE WHEN pg_has_role(to_regrole('kaireon_admin'), 'USAGE') THEN w.place END AS confirmed
  FROM kaireon_internal.this_instance() AS t
  LEFT JOIN LATERAL (
       SELECT d.differences, i.confirmed_at, i.confirmed_by,
              to_jsonb(i) - '{confirmed_at,confirmed_by}'::text[] AS place
         FROM kaireon_internal.instance AS i,
              kaireon_internal.instance_differences(i.system_identifier, i.database, i.extension, i.data_directory,
                                                    i.machine, i.name) AS d (differences)
        ORDER BY cardinality(d.differences) DESC, i.confirmed_at DESC LIMIT 1) AS w ON true;
COMMENT ON VIEW kaireon.instance IS 'whether this database is a copy that holds its pipelines, and why; one row';
COMMENT ON COLUMN kaireon.instance.is_confirmed IS 'false: no pipeline runs until kaireon.confirm_instance() is called';
COMMENT ON COLUMN kaireon.instance.reason IS 'why it is not confirmed';
COMMENT ON COLUMN kaireon.instance.name IS 'the setting kaireon.instance_name';
COMMENT ON COLUMN kaireon.instance.current IS 'what tells it from its copies; for admins';
COMMENT ON COLUMN kaireon.instance.confirmed IS 'the same when it was confirmed; for admins';

-- Whoever waits for the supervisor's attention gets it when this transaction commits.
CREATE FUNCTION kaireon_internal.wake_supervisor() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_wake_supervisor';

CREATE FUNCTION kaireon_internal.confirm_instance(caller regrole)
    RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    held text;
BEGIN
    LOCK TABLE kaireon_internal.instance IN SHARE ROW EXCLUSIVE MODE;
    held := (SELECT i.reason FROM kaireon.instance AS i WHERE NOT i.is_confirmed);
    DELETE FROM kaireon_internal.instance;
    INSERT INTO kaireon_internal.instance (system_identifier, database, extension, data_directory, machine, name, confirmed_by)
    SELECT t.*, caller::text FROM kaireon_internal.this_instance() AS t;
    IF held IS NULL THEN
        RETURN false;
    END IF;
    -- Runs of the original go on there, if anywhere.
    UPDATE kaireon_internal.run AS r
       SET status = 'cancelled', finished_at = clock_timestamp(), error_code = 'KA005',
           error_message = 'the run belongs to the database that this one is a copy of'
     WHERE r.status IN ('queued', 'running')
       AND NOT EXISTS (SELECT FROM kaireon_internal.progress_slots() AS s WHERE s.run_id = r.run_id);
    RAISE LOG 'kaireon: role % confirmed database "%": its pipelines may run', caller, current_database()
        USING DETAIL = held;
    PERFORM kaireon_internal.wake_supervisor();
    RETURN true;
END
$$;

CREATE FUNCTION kaireon.confirm_instance() RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.confirm_instance() IS 'lets a restored or cloned copy run its pipelines from now on; false when there was nothing to confirm';
