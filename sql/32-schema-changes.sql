-- Changing the fields of a schema that is there: add, alter, drop.
--
-- Each is one ALTER TABLE with the caller's own rights and one change of the
-- catalog, in one transaction.  A change that loses data needs force => true.

-- The field of a schema; raises 42704.
CREATE FUNCTION kaireon_internal.get_field(schema kaireon_internal.schema, name text) RETURNS kaireon_internal.field
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    object kaireon_internal.field;
BEGIN
    SELECT f.* INTO object FROM kaireon_internal.field AS f
     WHERE f.schema_id = schema.id AND f.name = kaireon_internal.safe_name(get_field.name);
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail_missing('field', name,
            ARRAY(SELECT f.name FROM kaireon_internal.field AS f WHERE f.schema_id = schema.id),
            format(' of schema "%s"', schema.name));
    END IF;
    RETURN object;
END
$$;

-- Raises 55006 while a run of a pipeline into the schema is queued or running:
-- it was compiled for the fields as they are.
CREATE FUNCTION kaireon_internal.check_no_load(schema kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    busy text;
BEGIN
    SELECT string_agg(DISTINCT format('"%s"', p.name), ', ') INTO busy
      FROM kaireon_internal.pipeline AS p JOIN kaireon_internal.run AS r ON r.pipeline_id = p.id
     WHERE p.schema_id = schema.id AND r.status IN ('queued', 'running');
    IF busy IS NOT NULL THEN
        PERFORM kaireon_internal.fail('55006', format('schema "%s" is being loaded', schema.name),
            format('Pipelines with a run: %s.', busy), 'Wait for the run, or cancel it with kaireon.cancel_run.');
    END IF;
END
$$;

CREATE FUNCTION kaireon_internal.add_field(caller regrole, schema text, field jsonb)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, schema);
    f kaireon_internal.field;
    last int := (SELECT COALESCE(max(o.ordinal), 0) FROM kaireon_internal.field AS o WHERE o.schema_id = s.id);
BEGIN
    f := kaireon_internal.parse_field(field, last + 1);
    f.schema_id := s.id;
    IF f.is_primary_key THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" can''t become part of the primary key', f.name), NULL,
            'The primary key is chosen by create_schema; isUnique makes a field a key of its own.');
    END IF;
    PERFORM kaireon_internal.check_reserved(f.name, false);
    IF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = s.relation AND a.attname = f.name AND NOT a.attisdropped) THEN
        PERFORM kaireon_internal.fail('42701', format('schema "%s" already has a column "%s"', s.name, f.name), NULL, NULL);
    END IF;
    PERFORM kaireon_internal.check_no_load(s);
    BEGIN
        PERFORM kaireon_internal.alter_table(caller, s, 'ADD COLUMN ' || kaireon_internal.column_sql(f));
    EXCEPTION WHEN not_null_violation THEN
        PERFORM kaireon_internal.fail('23502', format('field "%s" can''t be without nulls: schema "%s" has rows', f.name, s.name),
            NULL, 'Give it a defaultValue, or let isNullable be true.');
    END;
    INSERT INTO kaireon_internal.field SELECT f.*;
    UPDATE kaireon_internal.schema AS t SET updated_at = now() WHERE t.id = s.id;
END
$$;

-- Can every value of the old type be kept as the new one, unchanged?
CREATE FUNCTION kaireon_internal.is_widening(old kaireon_internal.field, new kaireon_internal.field) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN kaireon_internal.column_type(new) = kaireon_internal.column_type(old) THEN true
        WHEN new.data_type = 'text' THEN old.data_type = 'varchar'
        WHEN new.data_type = 'varchar' THEN old.data_type = 'varchar' AND new.length >= old.length
        WHEN new.data_type = 'integer' THEN old.data_type = 'smallint'
        WHEN new.data_type = 'bigint' THEN old.data_type IN ('smallint', 'integer')
        WHEN new.data_type = 'double' THEN old.data_type IN ('float', 'real')
        WHEN new.data_type IN ('numeric', 'decimal') AND old.data_type IN ('numeric', 'decimal') THEN
            new.precision IS NULL OR (COALESCE(new.scale, 0) >= COALESCE(old.scale, 0) AND
                new.precision - COALESCE(new.scale, 0) >= old.precision - COALESCE(old.scale, 0))
        WHEN new.data_type IN ('numeric', 'decimal') AND old.data_type IN ('smallint', 'integer', 'bigint') THEN
            new.precision IS NULL OR new.precision - COALESCE(new.scale, 0) >=
                CASE old.data_type WHEN 'smallint' THEN 5 WHEN 'integer' THEN 10 ELSE 19 END
        ELSE false END
$$;

-- A field's type for people: numeric(12,2).
CREATE FUNCTION kaireon_internal.type_name(f kaireon_internal.field) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.data_type || CASE WHEN f.length IS NOT NULL THEN format('(%s)', f.length)
                               WHEN f.scale IS NOT NULL THEN format('(%s,%s)', f.precision, f.scale)
                               WHEN f.precision IS NOT NULL THEN format('(%s)', f.precision) ELSE '' END
$$;

-- What ALTER TABLE has to do to make the old field the new one; '' for nothing.
-- Renaming is apart: ALTER TABLE can't combine it.
CREATE FUNCTION kaireon_internal.field_actions(old kaireon_internal.field, new kaireon_internal.field) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actions text[] := '{}';
    new_default text := kaireon_internal.default_sql(new);
    new_type text := kaireon_internal.column_type(new);
    retyped boolean := new_type <> kaireon_internal.column_type(old);
BEGIN
    IF retyped AND old.default_value IS NOT NULL THEN
        actions := actions || format('ALTER COLUMN %I DROP DEFAULT', new.name);
    END IF;
    IF retyped THEN
        actions := actions || format('ALTER COLUMN %I TYPE %s', new.name, new_type);
    END IF;
    IF new_default IS NOT NULL AND (retyped OR new.default_value IS DISTINCT FROM old.default_value) THEN
        actions := actions || format('ALTER COLUMN %I SET DEFAULT %s', new.name, new_default);
    ELSIF new_default IS NULL AND old.default_value IS NOT NULL AND NOT retyped THEN
        actions := actions || format('ALTER COLUMN %I DROP DEFAULT', new.name);
    END IF;
    IF new.is_nullable <> old.is_nullable THEN
        actions := actions || format('ALTER COLUMN %I %s NOT NULL', new.name, CASE WHEN new.is_nullable THEN 'DROP' ELSE 'SET' END);
    END IF;
    RETURN array_to_string(actions, ', ');
END
$$;

CREATE FUNCTION kaireon_internal.alter_field(caller regrole, schema text, field text, changes jsonb)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, schema);
    old kaireon_internal.field := kaireon_internal.get_field(s, field);
    new kaireon_internal.field;
    merged jsonb;
    actions text;
BEGIN
    PERFORM kaireon_internal.check_object(changes, '{"name": {"kind": "string"}, "dataType": {"kind": "string"},
        "length": {"kind": "integer"}, "precision": {"kind": "integer"}, "scale": {"kind": "integer"},
        "isNullable": {"kind": "boolean"}, "defaultValue": {"kind": "scalar"},
        "displayName": {"kind": "string"}, "description": {"kind": "string"}}',
        format('changes of field "%s"', old.name));
    -- A new type does not keep the old one's length.
    merged := jsonb_build_object('name', old.name, 'dataType', old.data_type, 'isPrimaryKey', old.is_primary_key,
                  'isUnique', old.is_unique, 'isNullable', old.is_nullable, 'defaultValue', old.default_value,
                  'displayName', old.display_name, 'description', old.description)
           || CASE WHEN COALESCE(changes ->> 'dataType', old.data_type) <> old.data_type THEN '{}'
                   ELSE jsonb_build_object('length', old.length, 'precision', old.precision, 'scale', old.scale) END
           || CASE WHEN changes -> 'name' = 'null' THEN changes - 'name' ELSE changes END;
    new := kaireon_internal.parse_field(merged, old.ordinal);
    new.schema_id := old.schema_id;
    IF old.is_primary_key AND changes -> 'isNullable' = 'true' THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is part of the primary key and takes no nulls', old.name), NULL, NULL);
    ELSIF NOT COALESCE(kaireon_internal.is_widening(old, new), false) THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" can''t be changed from %s to %s without losing data', old.name,
            kaireon_internal.type_name(old), kaireon_internal.type_name(new)), NULL, 'A field can be made wider: longer, of more digits, varchar to text, or to a larger number type.');
    END IF;
    IF new.name <> old.name THEN
        PERFORM kaireon_internal.check_reserved(new.name, false);
        IF EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = s.relation AND a.attname = new.name AND NOT a.attisdropped) THEN
            PERFORM kaireon_internal.fail('42701', format('schema "%s" already has a column "%s"', s.name, new.name), NULL, NULL);
        END IF;
    END IF;
    PERFORM kaireon_internal.check_no_load(s);
    IF new.name <> old.name THEN
        PERFORM kaireon_internal.alter_table(caller, s, format('RENAME COLUMN %I TO %I', old.name, new.name));
    END IF;
    actions := kaireon_internal.field_actions(old, new);
    IF actions <> '' THEN
        BEGIN
            PERFORM kaireon_internal.alter_table(caller, s, actions);
        EXCEPTION WHEN not_null_violation THEN
            PERFORM kaireon_internal.fail('23502', format('field "%s" holds nulls', new.name), NULL,
                'Fill them before you set isNullable to false.');
        END;
    END IF;
    DELETE FROM kaireon_internal.field AS f WHERE f.schema_id = old.schema_id AND f.name = old.name;
    INSERT INTO kaireon_internal.field SELECT new.*;
    UPDATE kaireon_internal.schema AS t SET updated_at = now() WHERE t.id = s.id;
END
$$;

CREATE FUNCTION kaireon_internal.drop_field(caller regrole, schema text, field text, force boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, schema);
    old kaireon_internal.field := kaireon_internal.get_field(s, field);
    held boolean := false;
    detail text;
BEGIN
    IF old.is_primary_key THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is part of the primary key and can''t be dropped', old.name),
            NULL, NULL);
    ELSIF (SELECT count(*) = 1 FROM kaireon_internal.field AS f WHERE f.schema_id = s.id) THEN
        PERFORM kaireon_internal.fail('22023', format('field "%s" is the only one of schema "%s"', old.name, s.name), NULL,
            'Use delete_schema to drop the whole schema.');
    END IF;
    PERFORM kaireon_internal.check_no_load(s);
    IF NOT COALESCE(force, false) THEN
        -- No value may come in between looking and dropping.
        PERFORM kaireon_internal.lock_writers(caller, s);
        held := kaireon_internal.as_role(caller, format('SELECT 1 FROM %s WHERE %I IS NOT NULL LIMIT 1',
                                                        kaireon_internal.table_name(s), old.name)) IS NOT NULL;
    END IF;
    IF held THEN
        PERFORM kaireon_internal.fail('55000', format('field "%s" of schema "%s" holds data', old.name, s.name), NULL,
            'Pass force => true to lose it.');
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
    UPDATE kaireon_internal.schema AS t SET updated_at = now() WHERE t.id = s.id;
END
$$;

CREATE FUNCTION kaireon.add_field(schema text, field jsonb)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.add_field IS 'adds a field to a schema and a column to its table; the keys are those of create_schema';

CREATE FUNCTION kaireon.alter_field(schema text, field text, changes jsonb)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.alter_field IS 'changes a field: name, displayName, description, isNullable, defaultValue, or a wider type';

CREATE FUNCTION kaireon.drop_field(schema text, field text, force boolean = false)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.drop_field IS 'drops a field and its column; one that holds data needs force => true';
