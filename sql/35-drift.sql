-- What a schema's table really is: as fields, and where it is another than the
-- catalog says because somebody changed it with ALTER TABLE.
--
-- A field remembers the number of its column, which stays when the column is
-- renamed; the numbers are those of the table whose OID is attnums_of, for
-- after a restore both are others.

-- Notes that catalog and table are at one: after every change of a schema.
CREATE FUNCTION kaireon_internal.note_table(schema_id uuid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.field AS f SET attnum = a.attnum
      FROM kaireon_internal.schema AS s JOIN pg_attribute AS a ON a.attrelid = s.relation AND NOT a.attisdropped
     WHERE s.id = $1 AND f.schema_id = $1 AND a.attname = f.name AND f.attnum IS DISTINCT FROM a.attnum;
    UPDATE kaireon_internal.schema AS s SET attnums_of = s.relation, table_name = kaireon_internal.relation_name(s.relation), updated_at = now()
     WHERE s.id = $1;
$$;

-- A column's default as defaultValue says it; NULL for none and for any other
-- expression.  A default has no columns in it, so pg_get_expr does not need the
-- table, whose columns it would all look at.
CREATE FUNCTION kaireon_internal.default_value(relation oid, attnum int2) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN e.sql IN ('now()', 'CURRENT_TIMESTAMP') THEN lower(e.sql)
                WHEN e.sql ~ '^(true|false|[0-9]+(\.[0-9]+)?|''([^''\\\x01-\x1f\x7f]|'''')*'')$' THEN e.sql END
      FROM (SELECT regexp_replace(pg_get_expr(d.adbin, 0), '::[a-z ]+(\([0-9,]+\)[a-z ]*)?$', '') AS sql
              FROM pg_attrdef AS d WHERE d.adrelid = relation AND d.adnum = default_value.attnum) AS e
$$;

-- The columns of a table that can be fields, as such; not those in automatic.
-- Of the types that the abstract types stand for; a generated column is none.
CREATE FUNCTION kaireon_internal.table_fields(relation oid, automatic text[]) RETURNS SETOF kaireon_internal.field
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH u AS (SELECT o.columns[1] AS name FROM kaireon_internal.unique_indexes(relation) AS o WHERE cardinality(o.columns) = 1 AND NOT o.is_primary),
         p AS (SELECT unnest(i.indkey) AS attnum FROM pg_index AS i WHERE i.indrelid = relation AND i.indisprimary)
    SELECT NULL::uuid, row_number() OVER (ORDER BY a.attnum)::int, a.attname::text, NULL::text, t.name,
           CASE WHEN t.name = 'varchar' AND a.atttypmod >= 0 THEN a.atttypmod - 4 END,
           CASE WHEN a.atttypmod < 0 THEN NULL WHEN t.name = 'numeric' THEN ((a.atttypmod - 4) >> 16) & 65535
                WHEN t.name IN ('timestamp', 'timestamptz') THEN a.atttypmod END,
           CASE WHEN t.name = 'numeric' AND a.atttypmod >= 0 THEN (((a.atttypmod - 4) & 2047) # 1024) - 1024 END,
           p.attnum IS NOT NULL, EXISTS (SELECT FROM u WHERE u.name = a.attname), NOT a.attnotnull,
           kaireon_internal.default_value(relation, a.attnum), NULL::text, a.attnum
      FROM pg_attribute AS a
      JOIN (SELECT DISTINCT ON (d.column_type) d.name, d.column_type FROM kaireon_internal.data_types() AS d
             ORDER BY d.column_type, d.name IN ('decimal', 'float')) AS t ON t.column_type = format_type(a.atttypid, NULL)
      LEFT JOIN p ON p.attnum = a.attnum
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attname <> ALL (automatic)
     ORDER BY a.attnum
$$;

-- The columns of a schema's table that are neither fields nor automatic, with their types.
CREATE FUNCTION kaireon_internal.unmanaged_columns(relation oid, automatic text[], fields text[])
    RETURNS TABLE (name text, column_type text, must_be_given boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
      FROM pg_attribute AS a
     WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (automatic || fields)
     ORDER BY a.attnum
$$;

-- The columns of a table's primary key, in its order; NULL without one.
CREATE FUNCTION kaireon_internal.key_columns(relation oid) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.columns FROM kaireon_internal.unique_indexes(relation) AS u WHERE u.is_primary
$$;

-- The name that a field's column has now; NULL when it is gone.  The column's
-- number counts as long as it is known, for names can be swapped; one of its
-- name that is no other field's was made after the old one was dropped.
-- (catalog.c decides in the same way whether there is something to be said.)
CREATE FUNCTION kaireon_internal.column_of(s kaireon_internal.schema, f kaireon_internal.field) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(
        (SELECT a.attname::text FROM pg_attribute AS a
          WHERE s.attnums_of = s.relation AND a.attrelid = s.relation AND a.attnum = f.attnum AND NOT a.attisdropped),
        (SELECT a.attname::text FROM pg_attribute AS a
          WHERE a.attrelid = s.relation AND a.attname = f.name AND a.attnum > 0 AND NOT a.attisdropped
            AND (s.attnums_of IS DISTINCT FROM s.relation OR
                 NOT EXISTS (SELECT FROM kaireon_internal.field AS o WHERE o.schema_id = s.id AND o.attnum = a.attnum))))
$$;

-- The columns of the primary key as the catalog has them, by the names they have
-- now, sorted; NULL without one.
CREATE FUNCTION kaireon_internal.known_key(s kaireon_internal.schema) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((SELECT array_agg(COALESCE(kaireon_internal.column_of(s, f), f.name) ORDER BY COALESCE(kaireon_internal.column_of(s, f), f.name))
                       FROM kaireon_internal.field AS f WHERE f.schema_id = s.id AND f.is_primary_key),
                    CASE WHEN 'id' = ANY (s.automatic) THEN '{id}'::text[] END)
$$;

-- Does the table keep its updated_at current?
CREATE FUNCTION kaireon_internal.has_touch_trigger(relation oid) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
                    WHERE t.tgrelid = relation AND p.prosrc = 'kaireon_touch_updated_at' AND t.tgenabled <> 'D')
$$;

-- Do two defaults of the second field's type give the same value?  It may be written in several ways.
CREATE FUNCTION kaireon_internal.same_default(one kaireon_internal.field, other kaireon_internal.field) RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    same boolean;
BEGIN
    one.data_type := other.data_type;
    one.length := other.length;
    one.precision := other.precision;
    one.scale := other.scale;
    EXECUTE format('SELECT (%s) IS NOT DISTINCT FROM (%s)', COALESCE(kaireon_internal.default_sql(one), 'NULL'),
                   COALESCE(kaireon_internal.default_sql(other), 'NULL')) INTO same;
    RETURN same;
EXCEPTION WHEN data_exception THEN -- of another type it is no default
    RETURN false;
END
$$;

-- Every difference between a field and the column it has; t: that column as a
-- field, null where it can't be one.  hint: null where refresh_schema helps.
CREATE FUNCTION kaireon_internal.field_drift(s kaireon_internal.schema, f kaireon_internal.field, column_name text, t kaireon_internal.field)
    RETURNS TABLE (severity text, message text, hint text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c record;
BEGIN
    IF column_name IS DISTINCT FROM f.name THEN
        RETURN QUERY SELECT 'error', format('field "%s" of the schema is not in its table', f.name)
            || COALESCE(': its column is called "' || column_name || '" now', ''), NULL;
    END IF;
    SELECT format_type(a.atttypid, a.atttypmod) AS column_type, a.atthasdef, a.attgenerated <> '' AS generated INTO c
      FROM pg_attribute AS a WHERE a.attrelid = s.relation AND a.attname = column_name AND NOT a.attisdropped AND a.attnum > 0;
    IF NOT FOUND THEN
        RETURN;
    ELSIF c.generated THEN
        RETURN QUERY SELECT 'error', format('the column of field "%s" is generated and can''t be loaded', f.name), NULL;
        RETURN;
    END IF;
    IF t.name IS NULL THEN
        RETURN QUERY SELECT 'warning', format('field "%s" is %s in the schema, but %s in its table, which no field can be', f.name,
                                              kaireon_internal.column_type(f), c.column_type),
            'Runs still load it, as far as its type takes the values. Give the column a type that a field can have, or take the field out with kaireon.drop_field.';
        RETURN;
    ELSIF kaireon_internal.column_type(t) <> kaireon_internal.column_type(f) THEN
        RETURN QUERY SELECT 'warning', format('field "%s" is %s in the schema, but %s in its table', f.name, kaireon_internal.column_type(f), c.column_type), NULL;
    END IF;
    IF t.is_nullable <> f.is_nullable THEN
        RETURN QUERY SELECT 'warning', format(CASE WHEN f.is_nullable THEN 'field "%s" may be null in the schema, but not in its table'
                                                   ELSE 'field "%s" may not be null in the schema, but may in its table' END, f.name), NULL;
    END IF;
    IF t.is_unique <> f.is_unique AND NOT (f.is_unique AND kaireon_internal.key_columns(s.relation) IS NOT DISTINCT FROM ARRAY[column_name]) THEN
        RETURN QUERY SELECT 'warning', format(CASE WHEN f.is_unique THEN 'field "%s" is unique in the schema, but not in its table'
                                                   ELSE 'field "%s" is unique in its table, but not in the schema' END, f.name), NULL;
    END IF;
    IF NOT c.atthasdef AND kaireon_internal.default_sql(f) IS NOT NULL THEN
        RETURN QUERY SELECT 'warning', format('field "%s" has default %s in the schema, but none in its table', f.name, f.default_value), NULL;
    ELSIF c.atthasdef AND NOT kaireon_internal.same_default(f, t) THEN
        RETURN QUERY SELECT 'warning', format('field "%s" has %s in the schema, but %s in its table', f.name,
            COALESCE('default ' || f.default_value, 'no default'), COALESCE(t.default_value, 'another')), NULL;
    END IF;
END
$$;

-- Every difference between a schema and its table.  An error keeps runs from
-- loading; a warning says that the catalog is wrong.
CREATE FUNCTION kaireon_internal.schema_drift(schema_id uuid) RETURNS TABLE (severity text, message text, hint text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s kaireon_internal.schema := (SELECT o FROM kaireon_internal.schema AS o WHERE o.id = $1);
    refresh text := format('The table was changed outside of kaireon''s functions; kaireon.refresh_schema(''%s'') takes it as it is.', s.name);
    known text[] := kaireon_internal.known_key(s);
    held text[] := kaireon_internal.key_columns(s.relation);
BEGIN
    IF kaireon_internal.relation_name(s.relation) IS NULL THEN
        IF EXISTS (SELECT FROM pg_class AS o WHERE o.relkind IN ('r', 'p', 'f') AND kaireon_internal.relation_name(o.oid) = s.table_name) THEN
            RETURN QUERY SELECT 'error', format('the schema''s table was dropped, and %s is another one now', s.table_name),
                format('kaireon.refresh_schema(''%s'') takes that one.', s.name);
        ELSE
            RETURN QUERY SELECT 'error', format('the schema''s table %s does not exist', s.table_name),
                format('Make it again and call kaireon.refresh_schema(''%s''), or delete the schema.', s.name);
        END IF;
        RETURN;
    END IF;
    RETURN QUERY SELECT 'warning', format('the schema belongs to role %s, but its table to %s: nobody can change both', s.owner, c.relowner::regrole),
        format('Give both to one role: kaireon.change_owner(''schema'', ''%s'', %L), or ALTER TABLE %s OWNER TO %s.', s.name, c.relowner::regrole,
               kaireon_internal.relation_name(c.oid), s.owner)
      FROM pg_class AS c WHERE c.oid = s.relation AND NOT kaireon_internal.may_change(s.owner, c.relowner)
       AND EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = s.owner);
    RETURN QUERY SELECT d.severity, d.message, COALESCE(d.hint, refresh)
      FROM (SELECT o AS f, kaireon_internal.column_of(s, o) AS column_name FROM kaireon_internal.field AS o WHERE o.schema_id = s.id) AS h
           LEFT JOIN kaireon_internal.table_fields(s.relation, '{}') AS t ON t.name = h.column_name
           CROSS JOIN LATERAL kaireon_internal.field_drift(s, h.f, h.column_name, t) WITH ORDINALITY AS d (severity, message, hint, n)
     ORDER BY (h.f).ordinal, d.n;
    IF known IS DISTINCT FROM (SELECT array_agg(h ORDER BY h) FROM unnest(held) AS h) THEN
        RETURN QUERY SELECT 'warning', format('the primary key is %s in the schema, but %s in its table',
            COALESCE('(' || array_to_string(known, ', ') || ')', 'none'), COALESCE('(' || array_to_string(held, ', ') || ')', 'none')), refresh;
    END IF;
    RETURN QUERY SELECT 'warning', format('the table has no column "%s" any more', n), refresh FROM unnest(s.automatic) AS n
     WHERE NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = s.relation AND a.attname = n AND NOT a.attisdropped);
    IF 'updated_at' = ANY (s.automatic) AND NOT kaireon_internal.has_touch_trigger(s.relation) THEN
        RETURN QUERY SELECT 'warning', 'updated_at is not kept current: its trigger was dropped or disabled', refresh;
    END IF;
    RETURN QUERY SELECT 'warning', format('column "%s" of the table is no field, must not be null and has no default', u.name), 'Give it a default, or let it be null.'
      FROM kaireon_internal.unmanaged_columns(s.relation, s.automatic, ARRAY(SELECT COALESCE(kaireon_internal.column_of(s, o), o.name)
                                                                                FROM kaireon_internal.field AS o WHERE o.schema_id = s.id)) AS u
     WHERE u.must_be_given;
END
$$;

-- ---- taking the table as it is

-- Raises unless the caller may have the relation as a schema's table: 42P01,
-- 42809, 42501, 42710.  schema_id: the schema that may have it already.
CREATE FUNCTION kaireon_internal.check_table(caller regrole, relation oid, schema_id uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    name text := kaireon_internal.relation_name(relation);
    c pg_class := (SELECT o FROM pg_class AS o WHERE o.oid = relation);
    taken text := (SELECT s.name FROM kaireon_internal.schema AS s
                    WHERE relation IN (s.relation, s.summary_relation) AND s.id IS DISTINCT FROM schema_id);
BEGIN
    IF name IS NULL THEN
        PERFORM kaireon_internal.fail('42P01', format('table %s does not exist', relation), 'Nothing has that OID.', 'Name another table.');
    ELSIF c.relkind NOT IN ('r', 'p', 'f') THEN
        PERFORM kaireon_internal.fail('42809', format('%s is not a table', name), 'Pipelines load tables, and schemas describe them.',
            'Ordinary, partitioned and foreign tables can belong to a schema.');
    ELSIF c.relpersistence = 't' THEN
        PERFORM kaireon_internal.fail('42809', format('%I is a temporary table', c.relname), 'A run is a session of its own and does not see it.', 'Name a table that is not temporary.');
    ELSIF split_part(name, '.', 1) ~ '^(pg_|information_schema$|kaireon(_internal)?$)' THEN
        PERFORM kaireon_internal.fail('22023', format('%s is no table of data', name), 'It belongs to PostgreSQL or to kaireon.', 'Name a table of another schema.');
    ELSIF NOT kaireon_internal.may_change(caller, c.relowner::regrole) THEN
        PERFORM kaireon_internal.fail('42501', format('must be owner of table %s', name), format('It belongs to role %s.', c.relowner::regrole),
            format('Its owner, or a member of %s, can make a schema of it.', c.relowner::regrole));
    ELSIF taken IS NOT NULL THEN
        PERFORM kaireon_internal.fail('42710', format('table %s is that of schema "%s" already', name, taken), 'A table belongs to one schema.',
            format('Use schema "%s", or delete it first with kaireon.delete_schema(''%s'', keep_table => true).', taken, taken));
    END IF;
END
$$;

-- Nobody may alter the table until the transaction ends.
CREATE FUNCTION kaireon_internal.hold_table(caller regrole, s kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT c.relkind <> 'f' FROM pg_class AS c WHERE c.oid = s.relation) THEN -- LOCK TABLE is not for foreign tables
        PERFORM kaireon_internal.ddl(caller, s, format('LOCK TABLE %s IN ACCESS SHARE MODE', kaireon_internal.table_name(s)));
    END IF;
END
$$;

-- Puts the fields that the table has in place of those in the catalog.  They
-- keep their place, display name and description, and a default that is the
-- same the way it was written.  One whose column has a type that no field has
-- stays: without it pipelines would leave the column null and say nothing.
-- Links follow; gives the names of new fields.
CREATE FUNCTION kaireon_internal.replace_fields(caller regrole, schema_id uuid) RETURNS text[]
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := (SELECT o FROM kaireon_internal.schema AS o WHERE o.id = schema_id);
    key text[] := kaireon_internal.key_columns(s.relation);
    held kaireon_internal.field[] := ARRAY(SELECT t FROM kaireon_internal.table_fields(s.relation, s.automatic) AS t);
    kept kaireon_internal.field[] := '{}';
    old kaireon_internal.field;
    new kaireon_internal.field;
    pair record;
    renamed text[] := '{}';
    added text[];
BEGIN
    FOR pair IN SELECT f, h, a.attname::text AS column_name
                  FROM kaireon_internal.field AS f
                       LEFT JOIN pg_attribute AS a ON a.attrelid = s.relation AND a.attname = kaireon_internal.column_of(s, f) AND a.attgenerated = ''
                       LEFT JOIN unnest(held) AS h ON h.name = a.attname
                 WHERE f.schema_id = s.id ORDER BY f.ordinal LOOP
        old := pair.f;
        new := pair.h;
        IF new.name IS NULL AND pair.column_name IS NOT NULL THEN -- of a type that no field has, as a domain: it is loaded as before
            new := old;
            new.name := pair.column_name;
        ELSIF new.name IS NULL THEN
            IF kaireon_internal.field_uses(s, old.name) IS NOT NULL THEN
                PERFORM kaireon_internal.fail('2BP01', format('field "%s" of schema "%s" is gone, but in use', old.name, s.name),
                    format('Used in %s.', kaireon_internal.field_uses(s, old.name)), 'Change that with kaireon.update_schema first.');
            END IF;
            CONTINUE;
        END IF;
        new.display_name := old.display_name;
        new.description := old.description;
        IF kaireon_internal.column_type(new) = kaireon_internal.column_type(old) THEN
            new.data_type := old.data_type; -- decimal is numeric, float is real
        END IF;
        IF kaireon_internal.same_default(old, new) THEN
            new.default_value := old.default_value;
        END IF;
        new.is_unique := new.is_unique OR (old.is_unique AND key IS NOT DISTINCT FROM ARRAY[new.name]);
        kept := kept || new;
        IF new.name <> old.name THEN -- by way of a third name, for two may have been swapped
            PERFORM kaireon_internal.rename_in_links(caller, s.id, old.name, 'kaireon ' || old.ordinal);
            renamed := renamed || ARRAY[['kaireon ' || old.ordinal, new.name]];
            PERFORM kaireon_internal.warn_renamed(s, old.name, new.name);
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(renamed) / 2 LOOP
        PERFORM kaireon_internal.rename_in_links(caller, s.id, renamed[i][1], renamed[i][2]);
    END LOOP;
    added := ARRAY(SELECT h.name FROM unnest(held) AS h WHERE h.name NOT IN (SELECT k.name FROM unnest(kept) AS k) ORDER BY h.ordinal);
    IF held = '{}' THEN
        PERFORM kaireon_internal.fail('42P16', format('table %s has no column that can be a field', kaireon_internal.relation_name(s.relation)),
            'Its columns are generated, or of types that no field has.', format('Columns of these types can: %s.', (SELECT string_agg(DISTINCT t.column_type, ', ') FROM kaireon_internal.data_types() AS t)));
    END IF;
    DELETE FROM kaireon_internal.field AS f WHERE f.schema_id = s.id;
    INSERT INTO kaireon_internal.field
    SELECT s.id, row_number() OVER (ORDER BY n.place, n.n), n.name, n.display_name, n.data_type, n.length, n.precision, n.scale, n.is_primary_key,
           n.is_unique, n.is_nullable, n.default_value, n.description, n.attnum
      FROM (SELECT 1 AS place, k.* FROM unnest(kept) WITH ORDINALITY AS k (schema_id, ordinal, name, display_name, data_type, length, precision, scale,
                   is_primary_key, is_unique, is_nullable, default_value, description, attnum, n)
             UNION ALL
            SELECT 2, h.*, h.ordinal FROM unnest(held) AS h WHERE h.name = ANY (added)) AS n;
    PERFORM kaireon_internal.settle_links(caller, s.id);
    RETURN added;
END
$$;

CREATE FUNCTION kaireon_internal.refresh_schema(caller regrole, name text)
    RETURNS text[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, name);
    held oid := COALESCE((SELECT c.oid FROM pg_class AS c WHERE c.oid = s.relation),
                         (SELECT c.oid FROM pg_class AS c WHERE kaireon_internal.relation_name(c.oid) = s.table_name));
    changes text[];
BEGIN
    PERFORM kaireon_internal.check_no_load(s);
    IF held IS NULL THEN
        PERFORM kaireon_internal.fail('42P01', format('table %s of schema "%s" does not exist', s.table_name, s.name), 'It was dropped, and none of its name is there.',
            'Make it again, or use kaireon.delete_schema.');
    END IF;
    PERFORM kaireon_internal.check_table(caller, held, s.id);
    changes := ARRAY(SELECT d.message FROM kaireon_internal.schema_drift(s.id) AS d)
            || ARRAY(SELECT d.message FROM kaireon_internal.summary_drift(s.id) AS d);
    s.relation := held;
    PERFORM kaireon_internal.hold_table(caller, s);
    UPDATE kaireon_internal.schema AS o SET relation = held::regclass, automatic = ARRAY(
               SELECT n FROM unnest(o.automatic) WITH ORDINALITY AS u (n, i) WHERE EXISTS (
                   SELECT FROM pg_attribute AS a WHERE a.attrelid = held AND a.attname = n AND NOT a.attisdropped) ORDER BY i)
     WHERE o.id = s.id RETURNING o.* INTO s;
    changes := changes || ARRAY(SELECT format('field "%s" is new', n) FROM unnest(kaireon_internal.replace_fields(caller, s.id)) AS n);
    IF 'updated_at' = ANY (s.automatic) AND NOT kaireon_internal.has_touch_trigger(held) THEN
        PERFORM kaireon_internal.ddl(caller, s, format('DROP TRIGGER IF EXISTS kaireon_touch_updated_at ON %s', kaireon_internal.table_name(s)));
        PERFORM kaireon_internal.add_touch_trigger(caller, kaireon_internal.table_name(s));
    END IF;
    PERFORM kaireon_internal.note_table(s.id);
    PERFORM kaireon_internal.warn_pipelines(s);
    RETURN changes;
END
$$;

CREATE FUNCTION kaireon.refresh_schema(name text)
    RETURNS text[] LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.refresh_schema IS 'takes a schema''s table as it is, after somebody changed it with ALTER TABLE or made it anew, and returns what was different';
