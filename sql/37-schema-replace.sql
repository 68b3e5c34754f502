-- create_schema(..., replace => true) of a schema that is there: it becomes as
-- given, by what add_field, alter_field, update_schema and drop_field do.
--
-- What those would lose only with force is refused: a column that holds data is
-- not dropped, a value not cut.  A field of another name is another field.

-- Raises what replacing can't change: another primary key, another place of the
-- table, a table that was adopted or is not what the schema says.
CREATE FUNCTION kaireon_internal.check_replaceable(s kaireon_internal.schema, fields kaireon_internal.field[], table_schema text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = s.relation);
    old_key text := (SELECT string_agg(f.name, ', ' ORDER BY f.name COLLATE "C") FROM kaireon_internal.field AS f WHERE f.schema_id = s.id AND f.is_primary_key);
    new_key text := (SELECT string_agg(f.name, ', ' ORDER BY f.name COLLATE "C") FROM unnest(fields) AS f WHERE f.is_primary_key);
    drift text := (SELECT d.message FROM kaireon_internal.schema_drift(s.id) AS d WHERE d.severity = 'error' LIMIT 1);
BEGIN
    IF s.adopted THEN
        PERFORM kaireon_internal.fail('42809', format('schema "%s" describes a table that was adopted', s.name),
            format('Its table is %s.', COALESCE(kaireon_internal.relation_name(s.relation), s.table_name)),
            'Change the table, then call kaireon.refresh_schema; or use kaireon.add_field and its like.');
    ELSIF drift IS NOT NULL THEN
        PERFORM kaireon_internal.fail('55000', format('the table of schema "%s" is not what the schema says', s.name),
            format('%s.', upper(left(drift, 1)) || substr(drift, 2)), format('kaireon.refresh_schema(''%s'') takes it as it is.', s.name));
    ELSIF place <> COALESCE(table_schema, 'public') THEN
        PERFORM kaireon_internal.fail('0A000', format('the table of schema "%s" is in schema "%s"', s.name, place), 'Replacing does not move it.',
            format('Pass table_schema => ''%s'', or use ALTER TABLE ... SET SCHEMA.', place));
    ELSIF old_key IS DISTINCT FROM new_key THEN
        PERFORM kaireon_internal.fail('0A000', format('the primary key of schema "%s" can''t be replaced', s.name),
            format('It is %s, and would be %s.', COALESCE('(' || old_key || ')', 'the automatic id'), COALESCE('(' || new_key || ')', 'the automatic id')),
            'Make a schema with the other key and load that, or change the table with ALTER TABLE and call kaireon.refresh_schema.');
    END IF;
END
$$;

CREATE FUNCTION kaireon_internal.replace_schema(caller regrole, name text, fields kaireon_internal.field[], entity_type text, schema_type text,
                                                display_name text, description text, linked_schema text, join_mapping jsonb,
                                                summary_columns jsonb, table_schema text)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    s kaireon_internal.schema := kaireon_internal.get_schema(caller, name);
    shown text := COALESCE(NULLIF(display_name, ''), CASE WHEN s.name <> name THEN name END);
    link uuid := CASE WHEN linked_schema IS NOT NULL THEN kaireon_internal.get_linked(caller, linked_schema) END;
    old kaireon_internal.field;
    f kaireon_internal.field;
    gone text;
BEGIN
    PERFORM kaireon_internal.check_replaceable(s, fields, table_schema);
    FOREACH f IN ARRAY fields LOOP
        f.schema_id := s.id;
        SELECT o.* INTO old FROM kaireon_internal.field AS o WHERE o.schema_id = s.id AND o.name = f.name;
        IF NOT FOUND THEN
            PERFORM kaireon_internal.add_parsed_field(caller, s, f);
            CONTINUE;
        END IF;
        f.ordinal := old.ordinal;
        f.attnum := old.attnum;
        IF f IS DISTINCT FROM old THEN
            PERFORM kaireon_internal.change_field(caller, s, old, f, false);
        END IF;
    END LOOP;
    -- Links may name fields that are new, and no more those that go.
    IF ROW(s.display_name, s.description, s.entity_type, s.schema_type, s.linked_schema, s.join_mapping, s.summary_columns) IS DISTINCT FROM
       ROW(shown, NULLIF(description, ''), entity_type, schema_type, link, NULLIF(join_mapping, '{}'), NULLIF(summary_columns, '[]')) THEN
        PERFORM kaireon_internal.update_schema(caller, name, COALESCE(shown, ''), COALESCE(description, ''), entity_type, COALESCE(linked_schema, ''),
                                               COALESCE(join_mapping, '{}'), COALESCE(summary_columns, '[]'), NULL, NULL, schema_type);
    END IF;
    FOR gone IN SELECT o.name FROM kaireon_internal.field AS o WHERE o.schema_id = s.id
                   AND NOT EXISTS (SELECT FROM unnest(fields) AS g WHERE g.name = o.name) ORDER BY o.ordinal LOOP
        PERFORM kaireon_internal.drop_field(caller, name, gone, false, false);
    END LOOP;
    UPDATE kaireon_internal.field AS o SET ordinal = g.ordinal FROM unnest(fields) AS g
     WHERE o.schema_id = s.id AND o.name = g.name AND o.ordinal <> g.ordinal;
    RETURN s.id;
END
$$;
