-- Adopting a table that is there: it becomes a schema's table as it is.
--
-- Columns of the abstract types become fields, others are left alone and
-- listed (unmanaged_columns of view schemas).  Nothing of the table is changed,
-- but that manage_updated_at adds the trigger.  delete_schema leaves it, unless
-- told otherwise.

CREATE FUNCTION kaireon_internal.adopt_table(caller regrole, name text, table_name regclass, entity_type text, schema_type text,
                                             display_name text, description text, linked_schema text, join_mapping jsonb,
                                             summary_columns jsonb, manage_updated_at boolean, if_not_exists boolean)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    safe text := kaireon_internal.make_safe_name('schema', name, 60);
    s kaireon_internal.schema;
    left_alone text;
    in_the_way text;
BEGIN
    IF table_name IS NULL THEN
        PERFORM kaireon_internal.fail('22004', 'table_name must not be null', 'It is the table that becomes a schema.', 'For example: table_name => ''crm.contacts''.');
    END IF;
    IF if_not_exists THEN
        SELECT o.* INTO s FROM kaireon_internal.schema AS o WHERE o.name = safe;
        IF FOUND AND s.relation <> table_name THEN
            PERFORM kaireon_internal.fail('42710', format('schema "%s" already exists', safe),
                format('Its table is %s.', COALESCE(kaireon_internal.relation_name(s.relation), 'gone')), 'Choose another name.');
        ELSIF FOUND THEN
            RAISE NOTICE 'schema "%" already exists, skipping', safe;
            RETURN s.id;
        END IF;
    END IF;
    PERFORM kaireon_internal.check_entity_type(entity_type);
    PERFORM kaireon_internal.check_choice('schema_type', schema_type, '{customer,collection,proposition}');
    PERFORM kaireon_internal.check_table(caller, table_name, NULL);
    PERFORM kaireon_internal.check_former_name(safe, NULL);
    -- Waits for whoever is just adopting it under another name.
    BEGIN
        INSERT INTO kaireon_internal.schema (name, owner, display_name, description, entity_type, schema_type, relation, linked_schema,
                                             join_mapping, summary_columns, automatic, adopted)
        VALUES (safe, caller, COALESCE(NULLIF(display_name, ''), CASE WHEN safe <> name THEN name END), NULLIF(description, ''), entity_type, schema_type,
                table_name, CASE WHEN linked_schema IS NOT NULL THEN kaireon_internal.get_linked(caller, linked_schema) END,
                join_mapping, summary_columns, CASE WHEN manage_updated_at THEN '{updated_at}' ELSE '{}'::text[] END, true)
        ON CONFLICT ON CONSTRAINT schema_name_key DO NOTHING RETURNING * INTO s;
    EXCEPTION WHEN unique_violation THEN
        PERFORM kaireon_internal.check_table(caller, table_name, NULL);
        RAISE;
    END;
    IF s.id IS NULL THEN
        PERFORM kaireon_internal.fail_schema_exists(safe, name, 'Choose another name, or pass if_not_exists => true.');
    END IF;
    PERFORM kaireon_internal.hold_table(caller, s);
    IF manage_updated_at THEN
        PERFORM FROM pg_attribute AS a WHERE a.attrelid = table_name AND a.attname = 'updated_at' AND a.atttypid = 'timestamptz'::regtype AND a.attgenerated = '';
        IF NOT FOUND THEN
            PERFORM kaireon_internal.fail('42703', format('table %s has no column updated_at of type timestamptz', kaireon_internal.relation_name(table_name)),
                'manage_updated_at keeps such a column current.', 'Leave manage_updated_at out, or add the column.');
        ELSIF NOT kaireon_internal.has_touch_trigger(table_name) THEN
            PERFORM kaireon_internal.add_touch_trigger(caller, kaireon_internal.table_name(s));
        END IF;
    END IF;
    PERFORM kaireon_internal.replace_fields(caller, s.id);
    PERFORM kaireon_internal.note_table(s.id);
    SELECT string_agg(format('%s %s', u.name, u.column_type), ', '), string_agg(u.name, ', ') FILTER (WHERE u.must_be_given) INTO left_alone, in_the_way
      FROM kaireon_internal.unmanaged_columns(table_name, s.automatic, ARRAY(SELECT f.name FROM kaireon_internal.field AS f WHERE f.schema_id = s.id)) AS u;
    IF left_alone IS NOT NULL THEN
        RAISE NOTICE 'columns that are left alone: %', left_alone USING DETAIL = 'They are generated, or of a type that no field has.';
    END IF;
    IF in_the_way IS NOT NULL THEN
        RAISE WARNING 'pipelines can''t load table %', table_name
            USING DETAIL = format('They don''t fill these columns, which must not be null and have no default: %s.', in_the_way),
                  HINT = 'Give them defaults, or let them be null.';
    END IF;
    SELECT string_agg(r.rulename, ', ' ORDER BY r.rulename) INTO in_the_way
      FROM pg_rewrite AS r WHERE r.ev_class = table_name AND r.ev_type = '3' AND r.ev_enabled IN ('O', 'A');
    IF in_the_way IS NOT NULL THEN
        RAISE WARNING 'pipelines can''t load table %', table_name
            USING DETAIL = format('It has rules for INSERT: %s.', in_the_way), HINT = 'Drop them, or use a trigger.';
    END IF;
    RETURN s.id;
END
$$;

CREATE FUNCTION kaireon.adopt_table(name text, table_name regclass, entity_type text = 'custom', schema_type text = 'customer',
                                    display_name text = NULL, description text = NULL, linked_schema text = NULL,
                                    join_mapping jsonb = NULL, summary_columns jsonb = NULL, manage_updated_at boolean = false,
                                    if_not_exists boolean = false)
    RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.adopt_table IS 'makes a schema of a table that is there, without changing it, and returns its id; with manage_updated_at its column updated_at follows updates from now on';
