-- What is done to the tables of schemas, always with the caller's own rights.
--
-- Locks are short: nothing waits for one longer than kaireon.ddl_lock_timeout
-- (src/pg/call.c sets it for the whole call), because all who come later wait
-- behind who waits.  Data is looked at while readers may go on (lock_writers);
-- the ALTER TABLE that follows needs the table for itself.

-- ---- locks

-- A server process for people.  What it does is shown to whom PostgreSQL shows it.
CREATE FUNCTION kaireon_internal.process_name(caller regrole, pid int) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((
        SELECT format('process %s%s', a.pid, CASE
                   WHEN pg_has_role(caller, a.usesysid, 'USAGE') OR pg_has_role(caller, 'pg_read_all_stats', 'USAGE')
                   THEN format(' (%s, %s: %s)', CASE WHEN a.backend_type = 'client backend' THEN a.usename::text ELSE a.backend_type END,
                               a.state, left(regexp_replace(a.query, '\s+', ' ', 'g'), 60)) END)
          FROM pg_stat_activity AS a WHERE a.pid = process_name.pid), 'process ' || pid, 'a prepared transaction')
$$;

CREATE FUNCTION kaireon_internal.lock_hint() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('Try again later, or raise %s, which is %s.',
                  CASE current_setting('lock_timeout') WHEN current_setting('kaireon.ddl_lock_timeout') THEN 'kaireon.ddl_lock_timeout' ELSE 'lock_timeout' END,
                  current_setting('lock_timeout'))
$$;

-- A table's name, quoted, with its schema; NULL when there is no such table.
CREATE FUNCTION kaireon_internal.relation_name(relation oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = relation
$$;

-- A schema's table, quoted; raises 42P01 when somebody has dropped it.
CREATE FUNCTION kaireon_internal.table_name(schema kaireon_internal.schema) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := kaireon_internal.relation_name(schema.relation);
BEGIN
    IF name IS NULL THEN
        PERFORM kaireon_internal.fail('42P01', format('the table of schema "%s" was dropped', schema.name), format('It was %s.', schema.table_name),
            'Make it again and call kaireon.refresh_schema, or use kaireon.delete_schema.');
    END IF;
    RETURN name;
END
$$;

-- Who holds one of these relations: 'process 1 (ann, active: SELECT ...), process 2'; NULL when nobody else does.
CREATE FUNCTION kaireon_internal.holders(caller regrole, VARIADIC relations oid[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(kaireon_internal.process_name(caller, h.pid), ', ' ORDER BY h.pid)
      FROM (SELECT DISTINCT l.pid FROM pg_locks AS l
             WHERE l.locktype = 'relation' AND l.relation = ANY (relations) AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
               AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())) AS h
$$;

-- Runs a statement on a schema's table as a role whose rights the caller has.
-- Raises 55P03 with those who hold the table when it can't be had in time.
CREATE FUNCTION kaireon_internal.ddl_as(role regrole, caller regrole, schema kaireon_internal.schema, statement text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kaireon_internal.as_role(role, statement);
EXCEPTION WHEN lock_not_available THEN
    PERFORM kaireon_internal.fail('55P03', format('the table of schema "%s" is in use', schema.name),
        'By ' || kaireon_internal.holders(caller, schema.relation, schema.summary_relation) || '.', kaireon_internal.lock_hint());
END
$$;

-- The same as the table's owner.
CREATE FUNCTION kaireon_internal.ddl(caller regrole, schema kaireon_internal.schema, statement text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT kaireon_internal.ddl_as(kaireon_internal.owner_or_caller(caller, schema.relation), caller, schema, statement)
$$;

CREATE FUNCTION kaireon_internal.alter_table(caller regrole, schema kaireon_internal.schema, actions text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT kaireon_internal.ddl(caller, schema, format('ALTER TABLE %s %s', kaireon_internal.table_name(schema), actions))
$$;

-- Keeps everybody from writing to the table until the transaction ends; readers go on.
CREATE FUNCTION kaireon_internal.lock_writers(caller regrole, schema kaireon_internal.schema) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT kaireon_internal.ddl(caller, schema, format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', kaireon_internal.table_name(schema)))
$$;

-- ---- what PostgreSQL knows of a table

-- The indexes that keep columns unique for every row, with the names of those columns.
CREATE FUNCTION kaireon_internal.unique_indexes(relation regclass)
    RETURNS TABLE (index_id oid, columns text[], is_primary boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.indexrelid, (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
                            JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.n <= i.indnkeyatts),
           i.indisprimary
      FROM pg_index AS i
     WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
$$;

-- ---- making a table

CREATE FUNCTION kaireon.touch_updated_at() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_touch_updated_at';
COMMENT ON FUNCTION kaireon.touch_updated_at IS 'the trigger that keeps updated_at of a schema''s table current: now() for each row that an UPDATE changes, unless it sets updated_at itself';

-- The trigger goes with the extension and leaves the table behind.
CREATE FUNCTION kaireon_internal.add_touch_trigger(caller regrole, table_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kaireon_internal.as_role(caller, format('CREATE TRIGGER kaireon_touch_updated_at BEFORE UPDATE ON %s '
        'FOR EACH ROW EXECUTE FUNCTION kaireon.touch_updated_at()', table_name));
    PERFORM kaireon_internal.as_role(caller, format('ALTER TRIGGER kaireon_touch_updated_at ON %s DEPENDS ON EXTENSION kaireon', table_name));
END
$$;

-- A column's definition for CREATE TABLE or ADD COLUMN; is_key: it is the whole
-- primary key, which makes it unique already.
CREATE FUNCTION kaireon_internal.column_sql(f kaireon_internal.field, is_key boolean) RETURNS text
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%I %s', f.name, kaireon_internal.column_type(f))
        || COALESCE(' DEFAULT ' || kaireon_internal.default_sql(f), '')
        || CASE WHEN f.is_nullable THEN '' ELSE ' NOT NULL' END
        || CASE WHEN f.is_unique AND NOT is_key THEN ' UNIQUE' ELSE '' END
$$;

-- The table of checked fields: what stands behind CREATE TABLE x.
CREATE FUNCTION kaireon_internal.table_sql(fields kaireon_internal.field[]) RETURNS text
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('(%s%s, created_at pg_catalog.timestamptz NOT NULL DEFAULT now(), '
                  'updated_at pg_catalog.timestamptz NOT NULL DEFAULT now()%s)',
                  CASE WHEN k.n > 0 THEN '' ELSE 'id bigserial PRIMARY KEY, ' END,
                  string_agg(kaireon_internal.column_sql(f, f.is_primary_key AND k.n = 1), ', ' ORDER BY f.ordinal),
                  COALESCE(', PRIMARY KEY (' || string_agg(quote_ident(f.name), ', ' ORDER BY f.ordinal)
                                                            FILTER (WHERE f.is_primary_key) || ')', ''))
      FROM unnest(fields) AS f, (SELECT count(*) FILTER (WHERE o.is_primary_key) AS n FROM unnest(fields) AS o) AS k
     GROUP BY k.n
$$;

-- Raises 42P07 for the name of a table that a schema can't have; a table that an
-- extension that was dropped has left can be taken back.
CREATE FUNCTION kaireon_internal.fail_relation_exists(caller regrole, place oid, table_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c pg_class := (SELECT o FROM pg_class AS o WHERE o.relnamespace = place AND o.relname = table_name);
    shown text := format('%I.%I', place::regnamespace::text, table_name);
    taken text := (SELECT s.name FROM kaireon_internal.schema AS s WHERE c.oid IN (s.relation, s.summary_relation));
    mine boolean := c.relkind IN ('r', 'p', 'f') AND kaireon_internal.may_change(caller, c.relowner::regrole);
    managed text := (SELECT ', manage_updated_at => true' FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'updated_at' AND a.atttypid = 'timestamptz'::regtype);
BEGIN
    PERFORM kaireon_internal.fail('42P07', format('relation "%s" already exists in schema "%s"', table_name, place::regnamespace),
        CASE WHEN taken IS NOT NULL THEN format('It belongs to schema "%s" of kaireon.', taken)
             ELSE 'No schema of kaireon has it; a kaireon that was dropped leaves its tables.' END,
        CASE WHEN taken IS NULL AND mine
             THEN format('kaireon.adopt_table(''%s'', ''%s''%s) makes a schema of it. Or rename it, or choose another name for the schema.',
                         regexp_replace(table_name, '^ds_', ''), shown, managed)
             ELSE 'Rename it, or choose another name for the schema.' END);
END
$$;

-- Makes a table, as the caller, with a column updated_at; gives its OID.
CREATE FUNCTION kaireon_internal.make_table(caller regrole, table_schema text, table_name text, definition text)
    RETURNS regclass LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place oid := (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = table_schema);
BEGIN
    IF place IS NULL THEN
        PERFORM kaireon_internal.fail('3F000', format('schema "%s" for the table does not exist', table_schema), format('The table %s would be created there.', table_name),
            'Pass table_schema => the name of a schema of this database.');
    ELSIF table_schema ~ '^(pg_|information_schema$|kaireon(_internal)?$)' THEN
        PERFORM kaireon_internal.fail('22023', format('tables of data can''t be in schema "%s"', table_schema),
            'It belongs to PostgreSQL or to kaireon.', 'Pass table_schema => another one.');
    ELSIF NOT has_schema_privilege(caller, place, 'CREATE') THEN
        PERFORM kaireon_internal.fail('42501', format('permission denied for schema %s', quote_ident(table_schema)),
            format('The table %s would be created there.', table_name),
            format('GRANT CREATE ON SCHEMA %I TO %s, or pass table_schema => another one.', table_schema, caller));
    ELSIF EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = place AND c.relname = table_name) THEN
        PERFORM kaireon_internal.fail_relation_exists(caller, place, table_name);
    END IF;
    PERFORM kaireon_internal.as_role(caller, format('CREATE TABLE %I.%I %s', table_schema, table_name, definition));
    PERFORM kaireon_internal.add_touch_trigger(caller, format('%I.%I', table_schema, table_name));
    RETURN format('%I.%I', table_schema, table_name)::regclass;
END
$$;
