-- Links between schemas, and the summaries of collections.
--
-- A collection (many rows a customer) is linked to a customer schema by
-- join_mapping: {"field of the collection": "field of the customer"}.  With
-- summary_columns it has a summary table ds_<name>_summary besides, one row for
-- each value of the fields it is joined by:
--
--     the collection's join fields, which are the primary key
--     a column for each summary column
--     updated_at
--
-- This file makes the table and keeps its columns what the schema says.  Its
-- rows are made by runs with a summarize node (src/pg/node_summarize.c), which
-- find everything they need here:
--
--     kaireon_internal.schema.summary_relation   the table; null without one
--     kaireon_internal.summary_fields(schema_id) its columns, how each is computed
--     kaireon_internal.summary                   which of them are complete
--
-- A row of the collection with a null among its join fields belongs to nobody
-- and is not summarised.

-- The 6 functions, and for a number or a whole type what they give.
CREATE FUNCTION kaireon_internal.summary_type(function text, f kaireon_internal.field) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN function = 'count' THEN 'bigint'
        WHEN function = 'bool_or' AND f.data_type = 'boolean' THEN 'boolean'
        WHEN function IN ('sum', 'avg') AND kaireon_internal.type_family(f.data_type) = 'number' THEN
            CASE WHEN f.data_type IN ('float', 'real', 'double') THEN 'double precision'
                 WHEN function = 'sum' AND f.data_type IN ('smallint', 'integer') THEN 'bigint'
                 ELSE 'numeric' END
        WHEN function IN ('min', 'max') AND kaireon_internal.type_family(f.data_type) IN ('number', 'text', 'time') THEN
            kaireon_internal.column_type(f) END
$$;

-- The columns of a schema's summary table, keys first; nothing without a
-- summary.  aggregate is SQL over the collection's columns, of column_type;
-- null for a key, whose name is that of the collection's column.
CREATE FUNCTION kaireon_internal.summary_fields(schema_id uuid)
    RETURNS TABLE (ordinal int, name text, column_type text, is_key boolean, function text, source_field text, aggregate text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH s AS (SELECT o.* FROM kaireon_internal.schema AS o WHERE o.id = schema_id AND o.summary_columns IS NOT NULL),
         c AS (SELECT true AS is_key, f.ordinal::bigint AS n, f.name, kaireon_internal.column_type(f) AS column_type, NULL AS function, NULL AS source
                 FROM s JOIN kaireon_internal.field AS f ON f.schema_id = s.id WHERE s.join_mapping ? f.name
                UNION ALL
               SELECT false, e.n, e.value ->> 'outputField', kaireon_internal.summary_type(e.value ->> 'function', f),
                      e.value ->> 'function', e.value ->> 'sourceField'
                 FROM s CROSS JOIN LATERAL jsonb_array_elements(s.summary_columns) WITH ORDINALITY AS e (value, n)
                 LEFT JOIN kaireon_internal.field AS f ON f.schema_id = s.id AND f.name = e.value ->> 'sourceField')
    SELECT row_number() OVER (ORDER BY NOT c.is_key, c.n)::int, c.name, c.column_type, c.is_key, c.function, c.source,
           CASE WHEN c.function IS NOT NULL THEN format('CAST(%I(%s) AS %s)', c.function, COALESCE(quote_ident(c.source), '*'), c.column_type) END
      FROM c ORDER BY 1
$$;

-- ---- checks

-- The customer schema that a collection is linked to; raises 42704, 22023, and
-- 42501 unless the caller may refer to its table: a link stands in the way of
-- changes to it, as a foreign key does.
-- Locked, so that delete_schema sees the link or the link sees the deletion.
CREATE FUNCTION kaireon_internal.get_linked(caller regrole, linked_schema text) RETURNS uuid
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    linked kaireon_internal.schema;
BEGIN
    SELECT s.* INTO linked FROM kaireon_internal.schema AS s
     WHERE s.name = kaireon_internal.safe_name(linked_schema) AND kaireon_internal.may_see_as(caller, s.owner) FOR KEY SHARE;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail_missing('schema', linked_schema,
            ARRAY(SELECT s.name FROM kaireon_internal.schema AS s WHERE kaireon_internal.may_see_as(caller, s.owner)));
    ELSIF linked.schema_type <> 'customer' THEN
        PERFORM kaireon_internal.fail('22023', format('linked_schema "%s" is not a customer schema', linked.name),
            format('Its schema_type is "%s".', linked.schema_type), 'Name one whose schema_type is "customer", or change that with kaireon.update_schema.');
    ELSIF NOT kaireon_internal.may_change(caller, linked.owner) AND has_table_privilege(caller::oid, linked.relation::oid, 'REFERENCES') IS NOT TRUE THEN
        PERFORM kaireon_internal.fail('42501', format('permission denied to link to schema "%s"', linked.name),
            format('It belongs to role %s, and a link stands in the way of changes to its key.', linked.owner),
            format('GRANT REFERENCES ON %s TO %s.', linked.relation::oid::regclass, caller));
    END IF;
    RETURN linked.id;
END
$$;

-- The field that a link names; raises 42703.  Of a customer an automatic id counts: it may have no other key.
CREATE FUNCTION kaireon_internal.link_field(schema_id uuid, schema_name text, name text, argument text, automatic_id boolean = false) RETURNS kaireon_internal.field
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    object kaireon_internal.field;
    known text[] := ARRAY(SELECT f.name FROM kaireon_internal.field AS f WHERE f.schema_id = schema_id ORDER BY f.ordinal);
    near text := kaireon_internal.closest(name, known);
BEGIN
    SELECT f.* INTO object FROM kaireon_internal.field AS f WHERE f.schema_id = link_field.schema_id AND f.name = link_field.name;
    IF NOT FOUND AND automatic_id AND name = 'id' AND
       (SELECT 'id' = ANY (s.automatic) FROM kaireon_internal.schema AS s WHERE s.id = link_field.schema_id) THEN
        object.name := 'id';
        object.data_type := 'bigint';
    ELSIF object.name IS NULL THEN
        PERFORM kaireon_internal.fail('42703', format('%s: schema "%s" has no field "%s"', argument, schema_name, name), 'Links name fields that are there.',
            COALESCE('Perhaps you meant "' || near || '".', format('It has: %s.', array_to_string(known, ', '))));
    END IF;
    RETURN object;
END
$$;

-- Checks join_mapping against the fields of both schemas; raises 22023, 42703, 42804.
CREATE FUNCTION kaireon_internal.check_join_mapping(s kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customer text := (SELECT o.name FROM kaireon_internal.schema AS o WHERE o.id = s.linked_schema);
    example text := 'For example: {"customer_id": "customer_id"}, the collection''s field to the left.';
    pair record;
    mine kaireon_internal.field;
    theirs kaireon_internal.field;
BEGIN
    IF jsonb_typeof(s.join_mapping) <> 'object' OR s.join_mapping = '{}' THEN
        PERFORM kaireon_internal.fail('22023', 'join_mapping must be a JSON object of at least one pair', format('It is %s.', left(s.join_mapping::text, 100)), example);
    END IF;
    FOR pair IN SELECT e.key, e.value FROM jsonb_each(s.join_mapping) AS e ORDER BY e.key COLLATE "C" LOOP
        IF jsonb_typeof(pair.value) <> 'string' THEN
            PERFORM kaireon_internal.fail('22023', format('join_mapping: key "%s" must be a string', pair.key),
                format('It is %s.', left(pair.value::text, 100)), example);
        END IF;
        mine := kaireon_internal.link_field(s.id, s.name, pair.key, 'join_mapping');
        theirs := kaireon_internal.link_field(s.linked_schema, customer, pair.value #>> '{}', 'join_mapping', true);
        IF kaireon_internal.type_family(mine.data_type) <> kaireon_internal.type_family(theirs.data_type) OR
           (kaireon_internal.type_family(mine.data_type) = 'time' AND mine.data_type <> theirs.data_type) THEN
            PERFORM kaireon_internal.fail('42804', format('join_mapping: fields "%s" and "%s" can''t be compared', mine.name, theirs.name),
                format('Field "%s" of schema "%s" is of type %s, field "%s" of schema "%s" of type %s.', mine.name, s.name,
                       kaireon_internal.type_name(mine), theirs.name, customer, kaireon_internal.type_name(theirs)),
                'Change the type of one with kaireon.alter_field.');
        END IF;
    END LOOP;
END
$$;

-- Checks summary_columns against the collection's fields; raises 22023, 42701, 42703, 42804.
CREATE FUNCTION kaireon_internal.check_summary_columns(s kaireon_internal.schema) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen text[] := ARRAY['updated_at'] || ARRAY(SELECT jsonb_object_keys(s.join_mapping));
    item record;
    place text;
    f kaireon_internal.field;
BEGIN
    IF jsonb_typeof(s.summary_columns) <> 'array' OR s.summary_columns = '[]' THEN
        PERFORM kaireon_internal.fail('22023', 'summary_columns must be a JSON array of at least one column', format('It is %s.', left(s.summary_columns::text, 100)),
            'For example: [{"sourceField": "balance", "function": "sum", "outputField": "total_balance"}].');
    END IF;
    FOR item IN SELECT e.value, e.n FROM jsonb_array_elements(s.summary_columns) WITH ORDINALITY AS e (value, n) LOOP
        place := format('summary column %s', COALESCE('"' || (item.value ->> 'outputField') || '"', item.n::text));
        PERFORM kaireon_internal.check_object(item.value, '{"sourceField": {"kind": "string"}, "outputField": {"kind": "string", "required": true},
            "function": {"kind": "string", "required": true, "values": ["count", "sum", "max", "min", "avg", "bool_or"]}}', place);
        IF item.value ->> 'sourceField' IS NOT NULL THEN
            f := kaireon_internal.link_field(s.id, s.name, item.value ->> 'sourceField', 'summary_columns');
            IF kaireon_internal.summary_type(item.value ->> 'function', f) IS NULL THEN
                PERFORM kaireon_internal.fail('42804', format('function "%s" does not apply to field "%s"', item.value ->> 'function', f.name),
                    format('The field is of type %s. Found in %s.', kaireon_internal.type_name(f), place),
                    'sum and avg are for numbers, max and min for numbers, texts and times, bool_or for booleans, count for all.');
            END IF;
        ELSIF item.value ->> 'function' <> 'count' THEN
            PERFORM kaireon_internal.fail('22023', 'key "sourceField" is missing', format('Found in %s.', place),
                'Only count works without: it counts rows then.');
        END IF;
        PERFORM kaireon_internal.check_reserved(item.value ->> 'outputField', '{}');
        IF item.value ->> 'outputField' = ANY (seen) THEN
            PERFORM kaireon_internal.fail('42701', format('summary column "%s" is there already', item.value ->> 'outputField'),
                'The summary table has the join fields, the summary columns and updated_at.', 'Choose another outputField.');
        END IF;
        seen := seen || (item.value ->> 'outputField');
    END LOOP;
END
$$;

-- A field's name as the schema has it: as given, else made safe.
CREATE FUNCTION kaireon_internal.known_name(schema_id uuid, given text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((SELECT f.name FROM kaireon_internal.field AS f WHERE f.schema_id = known_name.schema_id AND f.name = given),
                    kaireon_internal.safe_name(given))
$$;

-- Writes the names in a schema's links as the catalog has them.
CREATE FUNCTION kaireon_internal.settle_names(schema_id uuid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.schema AS s
       SET join_mapping = CASE WHEN jsonb_typeof(s.join_mapping) = 'object' AND s.join_mapping <> '{}' THEN (
               SELECT jsonb_object_agg(kaireon_internal.known_name(s.id, e.key), CASE jsonb_typeof(e.value)
                          WHEN 'string' THEN to_jsonb(kaireon_internal.known_name(s.linked_schema, e.value #>> '{}')) ELSE e.value END)
                 FROM jsonb_each(s.join_mapping) AS e) ELSE s.join_mapping END,
           summary_columns = CASE WHEN jsonb_typeof(s.summary_columns) = 'array' AND s.summary_columns <> '[]' THEN (
               SELECT jsonb_agg(CASE WHEN jsonb_typeof(e.value) <> 'object' THEN e.value
                          ELSE CASE WHEN e.value ->> 'sourceField' = '*' THEN e.value - 'sourceField' ELSE e.value END
                          || CASE WHEN jsonb_typeof(e.value -> 'outputField') = 'string' THEN
                                jsonb_build_object('outputField', kaireon_internal.make_safe_name('summary column', e.value ->> 'outputField', 63)) ELSE '{}' END
                          || CASE WHEN jsonb_typeof(e.value -> 'sourceField') = 'string' AND e.value ->> 'sourceField' <> '*' THEN
                                jsonb_build_object('sourceField', kaireon_internal.known_name(s.id, e.value ->> 'sourceField')) ELSE '{}' END END ORDER BY e.n)
                 FROM jsonb_array_elements(s.summary_columns) WITH ORDINALITY AS e (value, n)) ELSE s.summary_columns END
     WHERE s.id = settle_names.schema_id AND (s.join_mapping IS NOT NULL OR s.summary_columns IS NOT NULL)
$$;

-- Checks all that links a schema, as it is in the catalog.
CREATE FUNCTION kaireon_internal.check_links(schema_id uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s kaireon_internal.schema;
    given text;
BEGIN
    PERFORM kaireon_internal.settle_names(schema_id);
    SELECT o.* INTO s FROM kaireon_internal.schema AS o WHERE o.id = schema_id;
    given := CASE WHEN s.linked_schema IS NOT NULL THEN 'linked_schema' WHEN s.join_mapping IS NOT NULL THEN 'join_mapping'
                  WHEN s.summary_columns IS NOT NULL THEN 'summary_columns' END;
    IF given IS NULL THEN
        RETURN;
    ELSIF s.schema_type <> 'collection' THEN
        PERFORM kaireon_internal.fail('22023', format('%s is for collection schemas', given),
            format('Schema "%s" has schema_type "%s".', s.name, s.schema_type),
            'Pass schema_type => ''collection'', or linked_schema => '''' and summary_columns => ''[]''.');
    ELSIF s.linked_schema = s.id THEN
        PERFORM kaireon_internal.fail('22023', format('schema "%s" can''t be linked to itself', s.name), 'linked_schema is the customer schema whose customers the collection has rows of.',
            'Name another schema.');
    ELSIF s.linked_schema IS NULL THEN
        PERFORM kaireon_internal.fail('22023', format('%s needs linked_schema', given), format('Schema "%s" is linked to none.', s.name),
            'Pass linked_schema => the name of the customer schema.');
    ELSIF s.join_mapping IS NULL THEN
        PERFORM kaireon_internal.fail('22023', format('%s needs join_mapping', given), 'It says which field of the collection is which of the customer schema.',
            'For example: {"customer_id": "customer_id"}, the collection''s field to the left.');
    END IF;
    PERFORM kaireon_internal.check_join_mapping(s);
    IF s.summary_columns IS NOT NULL THEN
        PERFORM kaireon_internal.check_summary_columns(s);
    END IF;
END
$$;

-- ---- the summary table

CREATE FUNCTION kaireon_internal.make_summary(caller regrole, s kaireon_internal.schema) RETURNS regclass
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = s.relation);
    name text := 'ds_' || s.name || '_summary';
BEGIN
    IF octet_length(name) > 63 THEN
        PERFORM kaireon_internal.fail('42622', format('the name of schema "%s" is too long for a summary', s.name),
            format('The summary table would be %s.', name), 'With summary_columns a schema''s name has at most 52 characters.');
    END IF;
    RETURN kaireon_internal.make_table(caller, place, name, (
        SELECT format('(%s, updated_at pg_catalog.timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (%s))',
                      string_agg(format('%I %s', f.name, f.column_type), ', ' ORDER BY f.ordinal),
                      string_agg(quote_ident(f.name), ', ' ORDER BY f.ordinal) FILTER (WHERE f.is_key))
          FROM kaireon_internal.summary_fields(s.id) AS f));
END
$$;

-- Drops a summary table or columns of it; raises 2BP01 with what depends on them.
CREATE FUNCTION kaireon_internal.drop_of_summary(caller regrole, s kaireon_internal.schema, statement text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    detail text;
BEGIN
    PERFORM kaireon_internal.ddl(caller, s, statement);
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    PERFORM kaireon_internal.fail('2BP01', format('other objects depend on the summary of schema "%s"', s.name), detail, 'Drop them first.');
END
$$;

-- The columns of a summary's table, each with its type; of one that can't be
-- written that is no type a summary column has.
CREATE FUNCTION kaireon_internal.summary_held(relation oid) RETURNS TABLE (name text, column_type text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attgenerated <> '' OR a.attidentity = 'a' THEN ' GENERATED ALWAYS' ELSE '' END
      FROM pg_attribute AS a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- Every difference between a collection's summary and its table, which keeps
-- runs from writing it: as schema_drift (35-drift.sql) gives those of the schema.
CREATE FUNCTION kaireon_internal.summary_drift(schema_id uuid) RETURNS TABLE (severity text, message text, hint text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s kaireon_internal.schema := (SELECT o FROM kaireon_internal.schema AS o WHERE o.id = $1);
    refresh text := format('The table was changed outside of kaireon''s functions; kaireon.refresh_schema(''%s'') makes it what the schema says.', s.name);
    known text[] := ARRAY(SELECT f.name FROM kaireon_internal.summary_fields(s.id) AS f WHERE f.is_key ORDER BY f.name);
    held text[] := ARRAY(SELECT k FROM unnest(kaireon_internal.key_columns(s.summary_relation)) AS k ORDER BY k);
BEGIN
    IF s.summary_columns IS NULL THEN
        RETURN;
    ELSIF kaireon_internal.relation_name(s.summary_relation) IS NULL THEN
        RETURN QUERY SELECT 'error', format('the summary table of schema "%s" was dropped', s.name),
            format('kaireon.refresh_schema(''%s'') makes it anew.', s.name);
        RETURN;
    END IF;
    RETURN QUERY SELECT 'error', CASE WHEN h.name IS NULL THEN format('column "%s" of the summary of schema "%s" is not in its table', w.name, s.name)
                                      ELSE format('column "%s" of the summary of schema "%s" is %s, but %s in its table', w.name, s.name, w.column_type, h.column_type) END, refresh
      FROM (SELECT f.ordinal, f.name, f.column_type FROM kaireon_internal.summary_fields(s.id) AS f
             UNION ALL VALUES (NULL::int, 'updated_at', 'timestamp with time zone')) AS w
      LEFT JOIN kaireon_internal.summary_held(s.summary_relation) AS h ON h.name = w.name
     WHERE h.column_type IS DISTINCT FROM w.column_type ORDER BY w.ordinal;
    IF known <> held THEN
        RETURN QUERY SELECT 'error', format('the primary key of the summary of schema "%s" is (%s), but %s in its table', s.name,
            array_to_string(known, ', '), COALESCE('(' || NULLIF(array_to_string(held, ', '), '') || ')', 'none')), refresh;
    END IF;
    RETURN QUERY SELECT 'error', format('column "%s" of the summary table of schema "%s" is no summary column, must not be null and has no default', u.name, s.name),
            'Give it a default, or let it be null.'
      FROM kaireon_internal.unmanaged_columns(s.summary_relation, '{updated_at}', ARRAY(SELECT f.name FROM kaireon_internal.summary_fields(s.id) AS f)) AS u
     WHERE u.must_be_given;
END
$$;

-- Makes the summary table what the catalog says by now.  A column whose
-- definition is another than in old_columns is empty until the next summary;
-- with other keys all of the table is.
CREATE FUNCTION kaireon_internal.sync_summary(caller regrole, schema_id uuid, old_columns jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s kaireon_internal.schema := (SELECT o FROM kaireon_internal.schema AS o WHERE o.id = schema_id);
    table_name text := kaireon_internal.relation_name(s.summary_relation);
    keys_changed boolean;
    made regclass := s.summary_relation;
    actions text;
    added text[] := '{}';
BEGIN
    IF table_name IS NULL THEN
        made := NULL;
    ELSE
        keys_changed := EXISTS (
            SELECT FROM (SELECT f.name, f.column_type FROM kaireon_internal.summary_fields(s.id) AS f WHERE f.is_key) AS wanted
              FULL JOIN (SELECT c.* FROM kaireon_internal.summary_held(s.summary_relation) AS c
                          WHERE c.name = ANY (kaireon_internal.key_columns(s.summary_relation))) AS held
                     ON held.name = wanted.name AND held.column_type = wanted.column_type
             WHERE held.name IS NULL OR wanted.name IS NULL);
        IF s.summary_columns IS NULL OR keys_changed THEN
            PERFORM kaireon_internal.drop_of_summary(caller, s, 'DROP TABLE ' || table_name);
            made := NULL;
        END IF;
    END IF;
    IF s.summary_columns IS NULL THEN
        NULL;
    ELSIF made IS NULL THEN
        made := kaireon_internal.make_summary(caller, s);
        added := ARRAY(SELECT f.name FROM kaireon_internal.summary_fields(s.id) AS f WHERE NOT f.is_key);
        IF keys_changed THEN
            RAISE NOTICE 'summary table % was made anew; it is empty until the next summary', made;
        END IF;
    ELSE
        WITH held AS (
            SELECT c.*, (SELECT o.value FROM jsonb_array_elements(old_columns) AS o WHERE o.value ->> 'outputField' = c.name) AS definition
              FROM kaireon_internal.summary_held(s.summary_relation) AS c
        ), wanted AS (
            SELECT f.ordinal, f.name, f.column_type,
                   (SELECT o.value FROM jsonb_array_elements(s.summary_columns) AS o WHERE o.value ->> 'outputField' = f.name) AS definition, '' AS further
              FROM kaireon_internal.summary_fields(s.id) AS f WHERE NOT f.is_key
             UNION ALL VALUES (NULL::int, 'updated_at', 'timestamp with time zone', NULL::jsonb, ' NOT NULL DEFAULT now()')
        ), fitting AS (
            SELECT w.name FROM wanted AS w JOIN held AS h ON h.name = w.name AND h.definition IS NOT DISTINCT FROM w.definition
               AND h.column_type = w.column_type
        )
        SELECT string_agg(a.action, ', ' ORDER BY a.n, a.ordinal), array_agg(a.name) FILTER (WHERE a.n = 2 AND a.ordinal > 0) INTO actions, added FROM (
            SELECT 1 AS n, 0 AS ordinal, h.name, format('DROP COLUMN %I', h.name) AS action FROM held AS h
             WHERE h.name NOT IN (SELECT f.name FROM fitting AS f) AND (h.definition IS NOT NULL OR h.name IN (SELECT w.name FROM wanted AS w))
             UNION ALL
            SELECT 2, w.ordinal, w.name, format('ADD COLUMN %I %s%s', w.name, w.column_type, w.further) FROM wanted AS w WHERE w.name NOT IN (SELECT f.name FROM fitting AS f)) AS a;
        IF actions IS NOT NULL THEN
            PERFORM kaireon_internal.drop_of_summary(caller, s, format('ALTER TABLE %s %s', table_name, actions));
        END IF;
    END IF;
    UPDATE kaireon_internal.schema AS o SET summary_relation = made WHERE o.id = s.id AND o.summary_relation IS DISTINCT FROM made;
    IF made IS NULL THEN
        DELETE FROM kaireon_internal.summary AS u WHERE u.schema_id = s.id;
    ELSIF added <> '{}' THEN
        INSERT INTO kaireon_internal.summary AS u (schema_id, incomplete) VALUES (s.id, added)
        ON CONFLICT ON CONSTRAINT summary_pkey DO UPDATE SET incomplete = u.incomplete || excluded.incomplete;
    END IF;
END
$$;

-- ---- how complete it is; called by runs as they end

-- Locks what is known of the summaries of these collections, in an order that
-- all runs keep, and gives it.
CREATE FUNCTION kaireon_internal.lock_summaries(collections oid[]) RETURNS TABLE (collection oid, incomplete text[])
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.relation::oid, u.incomplete FROM kaireon_internal.summary AS u JOIN kaireon_internal.schema AS s ON s.id = u.schema_id
     WHERE s.relation::oid = ANY (collections) ORDER BY u.schema_id FOR UPDATE OF u
$$;

-- Rows came into the collections `loaded`; the pairs (written, columns) are
-- summary columns that a run has just made complete.
CREATE FUNCTION kaireon_internal.note_summaries(loaded oid[], written oid[], columns text[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.summary AS u
       SET incomplete = ARRAY(SELECT f.name FROM kaireon_internal.summary_fields(s.id) AS f
                               WHERE NOT f.is_key AND (s.relation::oid = ANY (loaded) OR f.name = ANY (u.incomplete))
                                 AND NOT EXISTS (SELECT FROM unnest(written, columns) AS w (collection, name)
                                                  WHERE w.collection = s.relation::oid AND w.name = f.name))
      FROM kaireon_internal.schema AS s
     WHERE s.id = u.schema_id AND s.relation::oid = ANY (loaded || written)
$$;

-- ---- fields that links use

-- Where a field is used: join_mapping, summary columns, the join_mapping of others.
CREATE FUNCTION kaireon_internal.field_uses(s kaireon_internal.schema, name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(u.text, ', ' ORDER BY u.n, u.text COLLATE "C") FROM (
        SELECT 1 AS n, 'join_mapping' AS text WHERE s.join_mapping ? name
         UNION ALL
        SELECT 2, format('summary column "%s"', e.value ->> 'outputField') FROM jsonb_array_elements(s.summary_columns) AS e
         WHERE e.value ->> 'sourceField' = name
         UNION ALL
        SELECT 3, format('join_mapping of schema "%s"', o.name) FROM kaireon_internal.schema AS o
         WHERE o.linked_schema = s.id AND EXISTS (SELECT FROM jsonb_each_text(o.join_mapping) AS e WHERE e.value = field_uses.name)) AS u
$$;

-- A field's new name in all links, and in the summary.
CREATE FUNCTION kaireon_internal.rename_in_links(caller regrole, schema_id uuid, old_name text, new_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s kaireon_internal.schema := (SELECT o FROM kaireon_internal.schema AS o WHERE o.id = schema_id);
    summary text := kaireon_internal.relation_name(s.summary_relation);
BEGIN
    IF s.join_mapping ? old_name AND summary IS NOT NULL THEN
        PERFORM kaireon_internal.ddl(caller, s, format('ALTER TABLE %s RENAME COLUMN %I TO %I', summary, old_name, new_name));
    END IF;
    UPDATE kaireon_internal.schema AS o
       SET join_mapping = CASE WHEN o.join_mapping ? old_name
                               THEN o.join_mapping - old_name || jsonb_build_object(new_name, o.join_mapping -> old_name) ELSE o.join_mapping END,
           summary_columns = (SELECT jsonb_agg(CASE WHEN e.value ->> 'sourceField' = old_name THEN e.value || jsonb_build_object('sourceField', new_name)
                                                    ELSE e.value END ORDER BY e.n) FROM jsonb_array_elements(o.summary_columns) WITH ORDINALITY AS e (value, n))
     WHERE o.id = s.id;
    UPDATE kaireon_internal.schema AS o
       SET join_mapping = (SELECT jsonb_object_agg(e.key, CASE e.value WHEN old_name THEN new_name ELSE e.value END) FROM jsonb_each_text(o.join_mapping) AS e)
     WHERE o.linked_schema = s.id;
END
$$;

-- After a change of fields: all links are checked, those of other schemas to
-- this one too, and the summary is adapted.
CREATE FUNCTION kaireon_internal.settle_links(caller regrole, schema_id uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    other uuid;
BEGIN
    PERFORM kaireon_internal.check_links(schema_id);
    PERFORM kaireon_internal.sync_summary(caller, schema_id, (SELECT o.summary_columns FROM kaireon_internal.schema AS o WHERE o.id = schema_id));
    FOR other IN SELECT o.id FROM kaireon_internal.schema AS o WHERE o.linked_schema = schema_id LOOP
        PERFORM kaireon_internal.check_links(other);
    END LOOP;
END
$$;
