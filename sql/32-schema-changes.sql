-- Changing the fields of a schema that is there: add, alter, drop.
--
-- Table and catalog change in one transaction, the table with the caller's own
-- rights.  What the data does not allow is found out before, and the error says
-- how many rows stand in the way; a change that loses data needs force => true.
-- 33-field-types.sql is about changes of a type.

-- The field of a schema; raises 42704.
CREATE FUNCTION kaireon_internal.get_field(schema kaireon_internal.schema, name text) RETURNS kaireon_internal.field
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    object kaireon_internal.field;
BEGIN
    -- A table that was adopted may have names of any kind.
    SELECT f.* INTO object FROM kaireon_internal.field AS f
     WHERE f.schema_id = schema.id AND f.name IN (get_field.name, kaireon_internal.safe_name(get_field.name))
     ORDER BY f.name = get_field.name DESC LIMIT 1;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail_missing('field', name,
            ARRAY(SELECT f.name FROM kaireon_internal.field AS f WHERE f.schema_id = schema.id),
            format(' of schema "%s"', schema.name));
    END IF;
    RETURN object;
END
$$;

-- Is the field all of its schema's primary key?
CREATE FUNCTION kaireon_internal.is_whole_key(f kaireon_internal.field) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.is_primary_key AND NOT EXISTS (SELECT FROM kaireon_internal.field AS o
                                             WHERE o.schema_id = f.schema_id AND o.is_primary_key AND o.name <> f.name)
$$;

-- Raises 55006 while a run of a pipeline that uses the schema is queued or
-- running: it was compiled for the fields as they are.
CREATE FUNCTION kaireon_internal.check_no_load(schema kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    busy text;
BEGIN
    SELECT string_agg(DISTINCT format('"%s"', u.name), ', ') INTO busy
      FROM kaireon_internal.schema_users(schema) AS u JOIN kaireon_internal.run AS r ON r.pipeline_id = u.pipeline_id AND r.version = u.version
     WHERE r.status IN ('queued', 'running');
    IF busy IS NOT NULL THEN
        PERFORM kaireon_internal.fail('55006', format('schema "%s" is being loaded', schema.name),
            format('Pipelines with a run: %s.', busy), 'Wait for the run, or cancel it with kaireon.cancel_run.');
    END IF;
END
$$;

-- Raises 42701 when the schema's table has, or will have, a column of that name.
CREATE FUNCTION kaireon_internal.check_new_column(schema kaireon_internal.schema, name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM kaireon_internal.check_reserved(name, schema.automatic);
    PERFORM FROM pg_attribute AS a WHERE a.attrelid = schema.relation AND a.attname = name AND NOT a.attisdropped;
    IF FOUND THEN
        PERFORM kaireon_internal.fail('42701', format('schema "%s" already has a column "%s"', schema.name, name),
            'Its table has it, as a field or besides.', 'Choose another name; kaireon.alter_field changes a field.');
    END IF;
END
$$;

-- Says of which pipelines that use the schema the version that runs does not fit any more.
CREATE FUNCTION kaireon_internal.warn_pipelines(schema kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT o.name, (SELECT min(f.message) FROM kaireon_internal.check_pipeline(o.owner, o.connector_id, o.schema_id, v.nodes,
                                     v.edges, v.execution_config) AS f WHERE f.severity = 'error') AS message
               FROM kaireon_internal.pipeline AS o JOIN kaireon_internal.pipeline_version AS v
                    ON v.pipeline_id = o.id AND v.version = COALESCE(o.published_version, o.draft_version)
              WHERE o.status <> 'archived' AND EXISTS (SELECT FROM kaireon_internal.schema_users(schema) AS u
                                                        WHERE u.pipeline_id = o.id AND u.version = v.version) ORDER BY o.name COLLATE "C"
    LOOP
        IF p.message IS NOT NULL THEN
            RAISE WARNING 'pipeline "%" does not fit schema "%" any more', p.name, schema.name
                USING DETAIL = p.message, HINT = 'Use kaireon.update_pipeline; kaireon.validate_pipeline shows all that is wrong.';
        END IF;
    END LOOP;
END
$$;

-- Says which pipelines have loaded a field by its name, which is another now: a
-- target takes the pipeline's field of the same name, unless it maps one.
CREATE FUNCTION kaireon_internal.warn_renamed(schema kaireon_internal.schema, old_name text, new_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT DISTINCT o.name, o.name COLLATE "C" AS place
               FROM kaireon_internal.pipeline AS o JOIN kaireon_internal.schema AS own ON own.id = o.schema_id
               JOIN kaireon_internal.pipeline_version AS v ON v.pipeline_id = o.id AND v.version = COALESCE(o.published_version, o.draft_version)
              CROSS JOIN LATERAL jsonb_array_elements(v.nodes) AS n (node)
              WHERE o.status <> 'archived' AND n.node ->> 'type' = 'target'
                AND schema.id = COALESCE(kaireon_internal.named_schema(n.node #>> '{config,schema}', own.relation), own.id)
                AND NOT COALESCE(n.node #> '{config,fieldMapping}' ? old_name, false)
                AND NOT EXISTS (SELECT FROM jsonb_path_query(n.node, '$.config.fieldMapping.*') AS t (field) WHERE t.field #>> '{}' IN (old_name, new_name))
              ORDER BY place
    LOOP
        RAISE WARNING 'pipeline "%" may not load field "%" of schema "%" any more', p.name, new_name, schema.name
            USING DETAIL = format('It loads its own field "%s" into it now, and loaded "%s".', new_name, old_name),
                  HINT = format('If it has a field "%s", map that with kaireon.update_pipeline: "fieldMapping": {"%1$s": "%s"} of its target node.', old_name, new_name);
    END LOOP;
END
$$;

-- Adds a field that was checked.
CREATE FUNCTION kaireon_internal.add_parsed_field(caller regrole, s kaireon_internal.schema, f kaireon_internal.field) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    value text := kaireon_internal.default_sql(f);
    n bigint;
BEGIN
    IF f.is_primary_key THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" can''t become part of the primary key', f.name), format('Schema "%s" has its key already.', s.name),
            'The primary key is chosen by create_schema; isUnique makes a field a key of its own.');
    END IF;
    PERFORM kaireon_internal.check_new_column(s, f.name);
    PERFORM kaireon_internal.check_no_load(s);
    -- All rows get the default, and without one null.
    IF (value IS NULL AND NOT f.is_nullable) OR (value IS NOT NULL AND f.is_unique) THEN
        PERFORM kaireon_internal.lock_writers(caller, s);
        n := kaireon_internal.as_owner(caller, s.relation, format('SELECT count(*) FROM %s', kaireon_internal.table_name(s)));
        IF value IS NULL AND n > 0 THEN
            PERFORM kaireon_internal.fail('23502', format('field "%s" can''t be without nulls: schema "%s" has rows', f.name, s.name),
                format('Rows without a value: %s.', n), 'Give it a defaultValue, or let isNullable be true.');
        ELSIF n > 1 THEN
            PERFORM kaireon_internal.fail('23505', format('field "%s" can''t be unique: schema "%s" has rows', f.name, s.name),
                format('Each of its %s rows would get the default value.', n), 'Leave the defaultValue out, fill the field, then set isUnique.');
        END IF;
    END IF;
    PERFORM kaireon_internal.alter_table(caller, s, 'ADD COLUMN ' || kaireon_internal.column_sql(f, false));
    INSERT INTO kaireon_internal.field SELECT f.*;
    PERFORM kaireon_internal.note_table(s.id);
END
$$;

CREATE FUNCTION kaireon_internal.add_field(caller regrole, schema text, field jsonb, if_not_exists boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, schema);
    f kaireon_internal.field;
    last int := (SELECT COALESCE(max(o.ordinal), 0) FROM kaireon_internal.field AS o WHERE o.schema_id = s.id);
BEGIN
    f := kaireon_internal.parse_field(field, last + 1);
    f.schema_id := s.id;
    PERFORM FROM kaireon_internal.field AS o WHERE o.schema_id = s.id AND o.name = f.name;
    IF FOUND AND if_not_exists THEN
        RAISE NOTICE 'field "%" of schema "%" already exists, skipping', f.name, s.name;
        RETURN;
    END IF;
    PERFORM kaireon_internal.add_parsed_field(caller, s, f);
END
$$;

-- ---- alter_field, step by step

-- A big table that is written anew is out of reach for as long as that takes.
CREATE FUNCTION kaireon_internal.note_rewrite(schema kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    size bigint := pg_total_relation_size(schema.relation);
BEGIN
    IF size >= 10 * 1024 * 1024 THEN
        RAISE NOTICE 'table % (%) is written anew; nobody else can use it until this transaction ends',
            kaireon_internal.table_name(schema), pg_size_pretty(size);
    END IF;
END
$$;

CREATE FUNCTION kaireon_internal.change_type(caller regrole, schema kaireon_internal.schema, old kaireon_internal.field,
                                             new kaireon_internal.field, force boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    action text := format('ALTER COLUMN %I TYPE %s', new.name, kaireon_internal.column_type(new));
    -- A text keeps the collation that somebody gave it.
    collate_sql text := (SELECT format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_attribute AS a JOIN pg_collation AS l ON l.oid = a.attcollation
                         JOIN pg_namespace AS n ON n.oid = l.collnamespace
                        WHERE a.attrelid = schema.relation AND a.attname = new.name AND l.collname <> 'default' AND kaireon_internal.type_family(new.data_type) = 'text');
    detail text;
BEGIN
    action := action || COALESCE(collate_sql, '');
    IF NOT COALESCE(kaireon_internal.is_widening(old, new), false) THEN
        PERFORM kaireon_internal.check_conversion(caller, schema, old, new, force);
        action := format('%s USING %s', action, kaireon_internal.conversion_sql(old, new, quote_ident(new.name)));
    END IF;
    IF NOT kaireon_internal.is_in_place(old, new) THEN
        PERFORM kaireon_internal.note_rewrite(schema);
    END IF;
    IF old.default_value IS NOT NULL THEN -- it is of the old type; alter_field makes it anew
        PERFORM kaireon_internal.alter_table(caller, schema, format('ALTER COLUMN %I DROP DEFAULT', new.name));
    END IF;
    PERFORM kaireon_internal.alter_table(caller, schema, action);
EXCEPTION
    WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        PERFORM kaireon_internal.fail('23505', format('values of field "%s" would be the same as %s', new.name, kaireon_internal.type_name(new)),
            detail, 'The field is unique, or part of a key.');
    WHEN feature_not_supported THEN -- a view, a rule, a policy, a generated column
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        PERFORM kaireon_internal.fail('0A000', format('the type of field "%s" can''t be changed while other objects use it', new.name),
            NULLIF(detail, ''), 'Drop them, change the field, and make them again.');
END
$$;

-- Makes a column unique.  Readers go on while the index is built.
CREATE FUNCTION kaireon_internal.set_unique(caller regrole, schema kaireon_internal.schema, f kaireon_internal.field) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = schema.relation);
    -- The name that CREATE TABLE would give, unless it is taken or too long.
    index_name text := format('%s_%s_key', t.relname, f.name);
    doubles jsonb;
BEGIN
    PERFORM kaireon_internal.lock_writers(caller, schema);
    doubles := kaireon_internal.as_owner(caller, schema.relation, format($sql$
        SELECT jsonb_build_object('values', count(*), 'rows', sum(d.n), 'examples', (array_agg(d.v ORDER BY d.n DESC, d.v))[1:3])
          FROM (SELECT format('"%%s"', left(%1$I::text, 40)) AS v, count(*) AS n FROM %2$s WHERE %1$I IS NOT NULL
                 GROUP BY %1$I HAVING count(*) > 1) AS d $sql$, f.name, kaireon_internal.table_name(schema)));
    IF (doubles ->> 'values')::bigint > 0 THEN
        PERFORM kaireon_internal.fail('23505', format('field "%s" holds values more than once', f.name),
            format('%s rows share their value with another: %s.', doubles ->> 'rows', kaireon_internal.first_of((doubles ->> 'values')::bigint,
                   ARRAY(SELECT e FROM jsonb_array_elements_text(doubles -> 'examples') WITH ORDINALITY AS x (e, i) ORDER BY i))),
            'Leave one row of each before you set isUnique to true.');
    END IF;
    IF t.relkind <> 'r' OR octet_length(index_name) > 63 OR
       EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = t.relnamespace AND c.relname = index_name) THEN
        PERFORM kaireon_internal.alter_table(caller, schema, format('ADD UNIQUE (%I)', f.name));
    ELSE
        PERFORM kaireon_internal.ddl(caller, schema, format('CREATE UNIQUE INDEX %I ON %s (%I)', index_name,
                                                            kaireon_internal.table_name(schema), f.name));
        PERFORM kaireon_internal.alter_table(caller, schema, format('ADD CONSTRAINT %1$I UNIQUE USING INDEX %1$I', index_name));
    END IF;
END
$$;

-- Drops all that makes a column alone unique, but not a primary key.
CREATE FUNCTION kaireon_internal.drop_unique(caller regrole, schema kaireon_internal.schema, f kaireon_internal.field) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    i record;
    detail text;
BEGIN
    FOR i IN SELECT format('%I.%I', n.nspname, c.relname) AS index_name, k.conname
               FROM kaireon_internal.unique_indexes(schema.relation) AS u JOIN pg_class AS c ON c.oid = u.index_id
               JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN pg_constraint AS k ON k.conindid = u.index_id AND k.contype = 'u'
              WHERE u.columns = ARRAY[f.name] AND NOT u.is_primary
    LOOP
        IF i.conname IS NOT NULL THEN
            PERFORM kaireon_internal.alter_table(caller, schema, format('DROP CONSTRAINT %I', i.conname));
        ELSE
            PERFORM kaireon_internal.ddl(caller, schema, 'DROP INDEX ' || i.index_name);
        END IF;
    END LOOP;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    PERFORM kaireon_internal.fail('2BP01', format('other objects need field "%s" of schema "%s" to be unique', f.name, schema.name),
        detail, 'Drop them first.');
END
$$;

CREATE FUNCTION kaireon_internal.set_not_null(caller regrole, schema kaireon_internal.schema, f kaireon_internal.field) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    nulls jsonb;
BEGIN
    PERFORM kaireon_internal.lock_writers(caller, schema);
    nulls := kaireon_internal.as_owner(caller, schema.relation, format('SELECT jsonb_build_array(count(*) FILTER (WHERE %I IS NULL), count(*)) FROM %s',
                                                     f.name, kaireon_internal.table_name(schema)));
    IF (nulls ->> 0)::bigint > 0 THEN
        PERFORM kaireon_internal.fail('23502', format('field "%s" holds nulls', f.name),
            format('Rows without a value: %s of %s.', nulls ->> 0, nulls ->> 1), 'Fill them before you set isNullable to false.');
    END IF;
    PERFORM kaireon_internal.alter_table(caller, schema, format('ALTER COLUMN %I SET NOT NULL', f.name));
END
$$;

-- Makes the table's column what the new field says.
CREATE FUNCTION kaireon_internal.alter_column(caller regrole, schema kaireon_internal.schema, old kaireon_internal.field,
                                              new kaireon_internal.field, force boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    retyped boolean := kaireon_internal.column_type(new) <> kaireon_internal.column_type(old);
    value text := kaireon_internal.default_sql(new);
    new_name text := new.name;
BEGIN
    new.name := old.name; -- renamed at last: until then readers may be let in
    IF old.is_unique AND NOT new.is_unique THEN
        PERFORM kaireon_internal.drop_unique(caller, schema, new);
    END IF;
    IF retyped THEN
        PERFORM kaireon_internal.change_type(caller, schema, old, new, force);
    END IF;
    IF value IS NOT NULL AND (retyped OR new.default_value IS DISTINCT FROM old.default_value) THEN
        PERFORM kaireon_internal.alter_table(caller, schema, format('ALTER COLUMN %I SET DEFAULT %s', new.name, value));
    ELSIF value IS NULL AND old.default_value IS NOT NULL AND NOT retyped THEN
        PERFORM kaireon_internal.alter_table(caller, schema, format('ALTER COLUMN %I DROP DEFAULT', new.name));
    END IF;
    IF new.is_unique AND NOT old.is_unique AND NOT kaireon_internal.is_whole_key(new) THEN
        PERFORM kaireon_internal.set_unique(caller, schema, new);
    END IF;
    IF old.is_nullable AND NOT new.is_nullable THEN
        PERFORM kaireon_internal.set_not_null(caller, schema, new);
    ELSIF new.is_nullable AND NOT old.is_nullable THEN
        PERFORM kaireon_internal.alter_table(caller, schema, format('ALTER COLUMN %I DROP NOT NULL', new.name));
    END IF;
    IF new_name <> old.name THEN
        PERFORM kaireon_internal.alter_table(caller, schema, format('RENAME COLUMN %I TO %I', old.name, new_name));
    END IF;
END
$$;

-- Makes a field, and its column, what the new one says.
CREATE FUNCTION kaireon_internal.change_field(caller regrole, s kaireon_internal.schema, old kaireon_internal.field, new kaireon_internal.field, force boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new.name <> old.name THEN
        PERFORM kaireon_internal.check_new_column(s, new.name);
    END IF;
    PERFORM kaireon_internal.check_no_load(s);
    PERFORM kaireon_internal.alter_column(caller, s, old, new, COALESCE(force, false));
    DELETE FROM kaireon_internal.field AS f WHERE f.schema_id = old.schema_id AND f.name = old.name;
    INSERT INTO kaireon_internal.field SELECT new.*;
    IF new.name <> old.name THEN
        PERFORM kaireon_internal.rename_in_links(caller, s.id, old.name, new.name);
        PERFORM kaireon_internal.warn_renamed(s, old.name, new.name);
    END IF;
    PERFORM kaireon_internal.settle_links(caller, s.id);
    PERFORM kaireon_internal.note_table(s.id);
    PERFORM kaireon_internal.warn_pipelines(s);
END
$$;

CREATE FUNCTION kaireon_internal.alter_field(caller regrole, schema text, field text, changes jsonb, force boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, schema);
    old kaireon_internal.field := kaireon_internal.get_field(s, field);
    new kaireon_internal.field := kaireon_internal.parse_field(changes, old.ordinal, old);
BEGIN
    IF new.is_primary_key <> old.is_primary_key THEN
        PERFORM kaireon_internal.fail('0A000', format('the primary key of schema "%s" can''t be changed by alter_field', s.name), format('Field "%s" is %s of it.', old.name, CASE WHEN old.is_primary_key THEN 'part' ELSE 'no part' END),
            'Make a schema with the other key and load that, or change the table with ALTER TABLE and call kaireon.refresh_schema.');
    ELSIF old.is_primary_key AND changes -> 'isNullable' = 'true' THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is part of the primary key and takes no nulls', old.name),
            format('Found in changes of field "%s" of schema "%s".', old.name, s.name), 'Leave isNullable out.');
    END IF;
    PERFORM kaireon_internal.change_field(caller, s, old, new, force);
END
$$;

CREATE FUNCTION kaireon_internal.drop_field(caller regrole, schema text, field text, force boolean, if_exists boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, schema);
    old kaireon_internal.field;
    held jsonb;
    detail text;
BEGIN
    IF if_exists AND NOT EXISTS (SELECT FROM kaireon_internal.field AS f
                                  WHERE f.schema_id = s.id AND f.name IN (field, kaireon_internal.safe_name(field))) THEN
        RAISE NOTICE 'field "%" of schema "%" does not exist, skipping', field, s.name;
        RETURN;
    END IF;
    old := kaireon_internal.get_field(s, field);
    IF old.is_primary_key THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is part of the primary key and can''t be dropped', old.name),
            format('The rows of schema "%s" are told apart by it.', s.name), 'Make a schema with another key, or change the table with ALTER TABLE and call kaireon.refresh_schema.');
    ELSIF (SELECT count(*) = 1 FROM kaireon_internal.field AS f WHERE f.schema_id = s.id) THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is the only one of schema "%s"', old.name, s.name), 'A schema has at least one field.',
            'Use delete_schema to drop the whole schema.');
    ELSIF kaireon_internal.field_uses(s, old.name) IS NOT NULL THEN
        PERFORM kaireon_internal.fail('2BP01', format('field "%s" of schema "%s" is in use', old.name, s.name),
            format('Used in %s.', kaireon_internal.field_uses(s, old.name)), 'Change that with kaireon.update_schema first.');
    END IF;
    PERFORM kaireon_internal.check_no_load(s);
    IF NOT COALESCE(force, false) THEN
        -- No value may come in between looking and dropping.
        PERFORM kaireon_internal.lock_writers(caller, s);
        held := kaireon_internal.as_owner(caller, s.relation, format('SELECT jsonb_build_array(count(%I), count(*)) FROM %s',
                                                        old.name, kaireon_internal.table_name(s)));
        IF (held ->> 0)::bigint > 0 THEN
            PERFORM kaireon_internal.fail('55000', format('field "%s" of schema "%s" holds data', old.name, s.name),
                format('Rows with a value: %s of %s.', held ->> 0, held ->> 1), format('kaireon.drop_field(''%s'', ''%s'', force => true) loses it.', s.name, old.name));
        END IF;
    END IF;
    BEGIN
        PERFORM kaireon_internal.alter_table(caller, s, format('DROP COLUMN %I', old.name));
    EXCEPTION WHEN dependent_objects_still_exist THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        PERFORM kaireon_internal.fail('2BP01', format('other objects depend on field "%s" of schema "%s"', old.name, s.name),
            detail, 'Drop them first.');
    END;
    DELETE FROM kaireon_internal.field AS f WHERE f.schema_id = s.id AND f.name = old.name;
    -- Ordinals count without gaps.
    UPDATE kaireon_internal.field AS f SET ordinal = f.ordinal - 1 WHERE f.schema_id = s.id AND f.ordinal > old.ordinal;
    PERFORM kaireon_internal.note_table(s.id);
    PERFORM kaireon_internal.warn_pipelines(s);
END
$$;

CREATE FUNCTION kaireon.add_field(schema text, field jsonb, if_not_exists boolean = false)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.add_field IS 'adds a field to a schema and a column to its table; the keys are those of create_schema';

CREATE FUNCTION kaireon.alter_field(schema text, field text, changes jsonb, force boolean = false)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.alter_field IS 'changes a field; changes holds those keys of create_schema that are to change. A type can change when every value can be converted; where that loses something it needs force => true';

CREATE FUNCTION kaireon.drop_field(schema text, field text, force boolean = false, if_exists boolean = false)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.drop_field IS 'drops a field and its column; one that holds data needs force => true';
