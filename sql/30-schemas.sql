-- Schemas: tables ds_<name> and what is known about their fields.
--
-- A table is made, changed and dropped with the caller's own rights (as_role),
-- the catalog with the extension's.  Both are in the caller's transaction, so a
-- table and its description never part.  31-tables.sql is what is done to the
-- tables, 32-schema-changes.sql changes the fields of one that is there.

CREATE VIEW kaireon.schemas WITH (security_barrier) AS
SELECT s.id, s.name, s.display_name, s.description, s.entity_type, s.schema_type, c.relname::text AS table_name,
       n.nspname::text AS table_schema,
       (SELECT COALESCE(jsonb_agg(jsonb_build_object('name', f.name, 'dataType', f.data_type, 'length', f.length,
                   'precision', f.precision, 'scale', f.scale, 'isPrimaryKey', f.is_primary_key,
                   'isUnique', f.is_unique, 'isNullable', f.is_nullable, 'defaultValue', f.default_value,
                   'displayName', f.display_name, 'description', f.description) ORDER BY f.ordinal), '[]')
          FROM kaireon_internal.field f WHERE f.schema_id = s.id) AS fields,
       s.status, l.name AS linked_schema, s.join_mapping, s.summary_columns, s.owner,
       CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END AS row_estimate,
       pg_total_relation_size(c.oid) AS size_bytes,
       s.created_at, s.updated_at, m.relname::text AS summary_table, s.adopted,
       ARRAY(SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
              WHERE a.attrelid = s.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (s.automatic)
                AND NOT EXISTS (SELECT FROM kaireon_internal.field f WHERE f.schema_id = s.id AND f.name = a.attname)
              ORDER BY a.attnum) AS unmanaged_columns
  FROM kaireon_internal.schema s
  LEFT JOIN pg_class c ON c.oid = s.relation
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN kaireon_internal.schema l ON l.id = s.linked_schema
  LEFT JOIN pg_class m ON m.oid = s.summary_relation
 WHERE kaireon_internal.may_see(s.owner);
COMMENT ON VIEW kaireon.schemas IS 'the tables that pipelines load, with size and estimated number of rows';
COMMENT ON COLUMN kaireon.schemas.table_name IS 'the table''s name; null when somebody dropped it';
COMMENT ON COLUMN kaireon.schemas.summary_table IS 'of a collection with summary_columns, in the same table_schema; null when somebody dropped it';
COMMENT ON COLUMN kaireon.schemas.adopted IS 'the table was there before: adopt_table made the schema';
COMMENT ON COLUMN kaireon.schemas.unmanaged_columns IS 'the table''s columns that are neither fields nor automatic, with their types';
COMMENT ON COLUMN kaireon.schemas.row_estimate IS 'as the planner has it; count(*) tells exactly';
COMMENT ON COLUMN kaireon.schemas.size_bytes IS 'table, indexes and TOAST together';

CREATE VIEW kaireon.schema_fields WITH (security_barrier) AS
SELECT s.name AS schema, f.ordinal, f.name, f.display_name, f.data_type, f.length, f.precision, f.scale,
       f.is_primary_key, f.is_unique, f.is_nullable, f.default_value, f.description,
       format_type(a.atttypid, a.atttypmod) AS column_type
  FROM kaireon_internal.field f
  JOIN kaireon_internal.schema s ON s.id = f.schema_id
  LEFT JOIN pg_attribute a ON a.attrelid = s.relation AND a.attname = f.name AND NOT a.attisdropped
 WHERE kaireon_internal.may_see(s.owner);
COMMENT ON VIEW kaireon.schema_fields IS 'the fields of each schema, in order; created_at, updated_at and an automatic id are not listed';
COMMENT ON COLUMN kaireon.schema_fields.data_type IS 'the abstract type, as given to create_schema';
COMMENT ON COLUMN kaireon.schema_fields.column_type IS 'the type the table''s column has; null when somebody dropped it';

-- ---- names and types

-- The machine-safe form of a name: lower case, and _ for all but a-z, 0-9 and _.
CREATE FUNCTION kaireon_internal.safe_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT regexp_replace(lower(btrim(name) COLLATE "C"), '[^a-z0-9_]', '_', 'g')
$$;

-- As safe_name; raises 42602 for what has no letter or digit left, 42622 for
-- what does not fit into max_bytes.
CREATE FUNCTION kaireon_internal.make_safe_name(kind text, name text, max_bytes int) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    safe text := kaireon_internal.safe_name(name);
BEGIN
    IF name IS NULL THEN
        PERFORM kaireon_internal.fail('22004', format('the name of a %s must not be null', kind), 'Other functions and pipelines call it by its name.',
            'A name is made of letters a to z, digits and underscores.');
    ELSIF safe IS NULL OR safe !~ '[a-z0-9]' THEN
        PERFORM kaireon_internal.fail('42602', format('invalid name "%s" for a %s', name, kind),
            'Other characters become underscores, and nothing else is left.',
            'A name is made of letters a to z, digits and underscores; it needs one letter or digit.');
    ELSIF length(safe) > max_bytes THEN
        PERFORM kaireon_internal.fail('42622', format('the name of %s "%s" is too long', kind, left(safe, 80)),
            format('It has %s characters.', length(safe)), format('A %s''s name has at most %s.', kind, max_bytes));
    END IF;
    RETURN safe;
END
$$;

-- The abstract types, what they are in PostgreSQL (as format_type says it), and
-- what each may be given.
CREATE FUNCTION kaireon_internal.data_types() RETURNS TABLE (name text, column_type text, keys text[])
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('varchar', 'character varying', '{length}'::text[]), ('text', 'text', '{}'),
           ('integer', 'integer', '{}'), ('bigint', 'bigint', '{}'), ('smallint', 'smallint', '{}'),
           ('numeric', 'numeric', '{precision,scale}'), ('decimal', 'numeric', '{precision,scale}'),
           ('float', 'real', '{}'), ('real', 'real', '{}'), ('double', 'double precision', '{}'),
           ('boolean', 'boolean', '{}'), ('date', 'date', '{}'), ('timestamp', 'timestamp without time zone', '{}'),
           ('timestamptz', 'timestamp with time zone', '{}'), ('json', 'jsonb', '{}'), ('uuid', 'uuid', '{}')
$$;

-- The column's type in SQL, as format_type says it.
CREATE FUNCTION kaireon_internal.column_type(f kaireon_internal.field) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.column_type || CASE WHEN f.length IS NOT NULL THEN format('(%s)', f.length)
                                 WHEN f.precision IS NOT NULL AND t.column_type = 'numeric' THEN format('(%s,%s)', f.precision, COALESCE(f.scale, 0))
                                 ELSE '' END
      FROM (SELECT d.name, CASE WHEN f.precision IS NULL THEN d.column_type -- only adopted tables have timestamp(3)
                                ELSE replace(d.column_type, 'timestamp ', format('timestamp(%s) ', f.precision)) END AS column_type
              FROM kaireon_internal.data_types() AS d) AS t WHERE t.name = f.data_type
$$;

-- ---- defaults

-- A field's default as SQL, from its default_value; NULL when there is none.
-- A literal, a number, null, true, false, now() and current_timestamp are all
-- there is; what is made of them is quoted anew and cast, never pasted.
CREATE FUNCTION kaireon_internal.default_sql(f kaireon_internal.field) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given text := btrim(f.default_value, ' ');
    word text := lower(given COLLATE "C");
    literal text;
    place text := format('Found in field "%s".', f.name);
BEGIN
    IF given IS NULL OR word = 'null' THEN
        RETURN NULL;
    ELSIF word IN ('now()', 'current_timestamp') THEN
        IF f.data_type NOT IN ('date', 'timestamp', 'timestamptz') THEN
            PERFORM kaireon_internal.fail('22023', format('defaultValue %s does not fit dataType "%s"', word, f.data_type),
                place, 'It is for fields of type date, timestamp and timestamptz.');
        END IF;
        RETURN 'CURRENT_TIMESTAMP';
    ELSIF word IN ('true', 'false') OR given ~ '^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?$' THEN
        literal := word;
    ELSIF given ~ '^''([^''\\\x01-\x1f\x7f]|'''')*''$' THEN
        literal := replace(substr(given, 2, length(given) - 2), '''''', '''');
    ELSE
        PERFORM kaireon_internal.fail('22023', format('defaultValue %s is not allowed', left(given, 100)), place,
            CASE WHEN given LIKE '''%''' AND given ~ '[\\\x01-\x1f\x7f]' THEN 'A quoted literal has neither backslashes nor control characters in it.'
                 WHEN f.data_type = 'json' AND given ~ '^[[{]' THEN 'JSON is given as a quoted literal: ''{"a": 1}'' with the quotes.'
                 ELSE 'It may be a quoted literal (''text''), a number, null, true, false, now() or current_timestamp.' END);
    END IF;
    IF f.data_type IN ('date', 'timestamp', 'timestamptz') AND literal ~* 'now|today|tomorrow|yesterday' THEN
        PERFORM kaireon_internal.fail('22023', format('defaultValue %s is not allowed', left(given, 100)),
            place || ' It would stand for the moment of this call for ever.', 'Use now() or current_timestamp.');
    ELSIF length(literal) > f.length THEN
        PERFORM kaireon_internal.fail('22023', format('defaultValue of field "%s" is too long', f.name),
            format('It has %s characters, the field takes %s.', length(literal), f.length), 'Shorten it, or give the field a larger length.');
    END IF;
    BEGIN
        EXECUTE format('SELECT CAST(%L AS %s)', literal, kaireon_internal.column_type(f));
    EXCEPTION WHEN data_exception OR datetime_field_overflow THEN
        PERFORM kaireon_internal.fail('22023', format('defaultValue %s does not fit dataType "%s"', left(given, 100), f.data_type),
            place || format(' %s.', initcap(left(SQLERRM, 1)) || substr(SQLERRM, 2)), format('Give a value of type %s.', kaireon_internal.column_type(f)));
    END;
    RETURN format('CAST(%L AS %s)', literal, kaireon_internal.column_type(f));
END
$$;

-- ---- fields

-- One element of a fields array as a row, checked; raises 22023 and others.
-- ordinal counts from 1.  With an old field, what the element leaves out stays
-- as it is there; a null then takes a text or the default away.
CREATE FUNCTION kaireon_internal.parse_field(field jsonb, ordinal int, old kaireon_internal.field = NULL) RETURNS kaireon_internal.field
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    f kaireon_internal.field := old;
    place text := CASE WHEN old.name IS NOT NULL THEN format('changes of field "%s"', old.name)
                       WHEN jsonb_typeof(field -> 'name') = 'string' THEN format('field "%s"', field ->> 'name')
                       ELSE format('field %s', ordinal) END;
    types text[] := ARRAY(SELECT t.name FROM kaireon_internal.data_types() AS t);
BEGIN
    PERFORM kaireon_internal.check_object(field, jsonb_build_object(
        'name', jsonb_build_object('kind', 'string', 'required', old.name IS NULL),
        'dataType', jsonb_build_object('kind', 'string', 'values', types),
        'length', '{"kind": "integer", "min": 1, "max": 10485760}'::jsonb,
        'precision', '{"kind": "integer", "min": 1, "max": 1000}'::jsonb,
        'scale', '{"kind": "integer", "min": 0, "max": 1000}'::jsonb,
        'isPrimaryKey', '{"kind": "boolean"}'::jsonb, 'isUnique', '{"kind": "boolean"}'::jsonb,
        'isNullable', '{"kind": "boolean"}'::jsonb, 'defaultValue', '{"kind": "scalar"}'::jsonb,
        'displayName', '{"kind": "string"}'::jsonb, 'description', '{"kind": "string"}'::jsonb), place);

    f.ordinal := ordinal;
    f.is_primary_key := COALESCE((field ->> 'isPrimaryKey')::boolean, old.is_primary_key, false);
    f.is_unique := COALESCE((field ->> 'isUnique')::boolean, old.is_unique, false);
    f.is_nullable := COALESCE((field ->> 'isNullable')::boolean, old.is_nullable, true) AND NOT f.is_primary_key;
    IF f.is_primary_key AND field -> 'isNullable' = 'true' AND old.name IS NULL THEN
        RAISE WARNING '% is part of the primary key and takes no nulls, though isNullable is true', place;
    END IF;
    f.default_value := CASE WHEN field ? 'defaultValue' THEN NULLIF(field ->> 'defaultValue', '') ELSE old.default_value END;
    f.description := CASE WHEN field ? 'description' THEN NULLIF(field ->> 'description', '') ELSE old.description END;
    f.display_name := CASE WHEN field ? 'displayName' THEN NULLIF(field ->> 'displayName', '') ELSE old.display_name END;
    IF field ->> 'name' IS NOT NULL AND field ->> 'name' IS DISTINCT FROM old.name THEN
        f.name := kaireon_internal.make_safe_name('field', field ->> 'name', 63);
        -- A name that had to be changed is still what people know it by.
        f.display_name := COALESCE(f.display_name, CASE WHEN f.name <> field ->> 'name' THEN field ->> 'name' END);
    END IF;
    IF old.name IS NULL OR field ?| '{dataType,length,precision,scale}' THEN
        f := kaireon_internal.parse_field_type(field, f, old, place);
    END IF;
    PERFORM kaireon_internal.default_sql(f);
    RETURN f;
END
$$;

-- The type of parse_field: data_type, length, precision, scale.  A new type
-- keeps none of the old one's.
CREATE FUNCTION kaireon_internal.parse_field_type(field jsonb, f kaireon_internal.field, old kaireon_internal.field, place text)
    RETURNS kaireon_internal.field LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    extra text;
BEGIN
    f.data_type := COALESCE(field ->> 'dataType', old.data_type, 'varchar');
    IF f.data_type IS DISTINCT FROM old.data_type THEN
        old := NULL;
    END IF;
    f.length := CASE WHEN field ? 'length' THEN (field ->> 'length')::numeric ELSE old.length END;
    f.precision := CASE WHEN field ? 'precision' THEN (field ->> 'precision')::numeric ELSE old.precision END;
    f.scale := CASE WHEN field ? 'scale' THEN (field ->> 'scale')::numeric ELSE old.scale END;

    SELECT k INTO extra FROM unnest('{length,precision,scale}'::text[]) AS k, kaireon_internal.data_types() AS t
     WHERE t.name = f.data_type AND k <> ALL (t.keys) AND COALESCE(jsonb_typeof(field -> k), 'null') <> 'null' LIMIT 1;
    IF extra IS NOT NULL THEN
        PERFORM kaireon_internal.fail('22023', format('key "%s" does not apply to dataType "%s"', extra, f.data_type),
            format('Found in %s.', place), 'length is for varchar, precision and scale are for numeric and decimal.');
    ELSIF f.scale IS NOT NULL AND f.precision IS NULL THEN
        PERFORM kaireon_internal.fail('22023', 'key "scale" needs key "precision"', format('Found in %s.', place), 'For example: {"precision": 12, "scale": 2}.');
    ELSIF f.scale > f.precision THEN
        PERFORM kaireon_internal.fail('22023', format('scale %s is larger than precision %s', f.scale, f.precision),
            format('Found in %s.', place), 'precision is the number of all digits, scale of those behind the point.');
    END IF;
    IF f.data_type = 'varchar' AND f.length IS NULL THEN
        f.length := 255;
    END IF;
    RETURN f;
END
$$;

-- Raises 42701 for a name that the table has, or will have, anyway.
CREATE FUNCTION kaireon_internal.check_reserved(name text, automatic text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name = ANY (automatic) THEN
        PERFORM kaireon_internal.fail('42701', format('field "%s" collides with an automatic column', name),
            CASE WHEN name = 'id' THEN 'A schema without a primary key gets a column "id".'
                 ELSE 'Every schema has columns "created_at" and "updated_at".' END,
            CASE WHEN name = 'id' THEN 'Mark it isPrimaryKey, or rename it.' ELSE 'Rename or leave out the field.' END);
    ELSIF name IN ('tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid') THEN
        PERFORM kaireon_internal.fail('42701', format('"%s" collides with a system column', name), 'Every table of PostgreSQL has it.', 'Choose another name.');
    END IF;
END
$$;

-- The columns that a table gets besides its fields.
CREATE FUNCTION kaireon_internal.automatic_columns(fields kaireon_internal.field[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN bool_or(f.is_primary_key) THEN '{created_at,updated_at}' ELSE '{id,created_at,updated_at}'::text[] END FROM unnest(fields) AS f
$$;

-- A whole fields array, checked; raises 22023, 42701 and others.
CREATE FUNCTION kaireon_internal.parse_fields(fields jsonb) RETURNS SETOF kaireon_internal.field
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    all_fields kaireon_internal.field[] := '{}';
    f kaireon_internal.field;
    seen jsonb := '{}';
    item record;
BEGIN
    IF fields IS NULL OR jsonb_typeof(fields) <> 'array' OR fields = '[]' THEN
        PERFORM kaireon_internal.fail('22023', 'fields must be a JSON array of at least one field', format('It is %s.', COALESCE(left(fields::text, 100), 'null')),
            'For example: [{"name": "email", "dataType": "varchar", "length": 255}].');
    END IF;
    FOR item IN SELECT e.value, e.n FROM jsonb_array_elements(fields) WITH ORDINALITY AS e (value, n) LOOP
        f := kaireon_internal.parse_field(item.value, item.n::int);
        IF seen ? f.name THEN
            PERFORM kaireon_internal.fail('42701', format('field "%s" is given twice', f.name),
                format('Names "%s" and "%s" are the same column.', seen ->> f.name, item.value ->> 'name'), 'Leave one of them out, or give it another name.');
        END IF;
        seen := seen || jsonb_build_object(f.name, item.value ->> 'name');
        all_fields := all_fields || f;
    END LOOP;
    IF cardinality(all_fields) > 1500 THEN
        PERFORM kaireon_internal.fail('54011', 'a schema can have at most 1500 fields', format('These are %s.', cardinality(all_fields)),
            'A table of PostgreSQL has at most 1600 columns; leave fields out, or make two schemas.');
    END IF;
    FOREACH f IN ARRAY all_fields LOOP
        PERFORM kaireon_internal.check_reserved(f.name, kaireon_internal.automatic_columns(all_fields));
        RETURN NEXT f;
    END LOOP;
END
$$;

-- ---- schemas

-- The schema of a name (or of what its name came from); raises 42704, and 42501
-- unless the caller may change it.  Locks its row, so that changes of a schema
-- come one after the other; 55P03 when another's takes too long.
CREATE FUNCTION kaireon_internal.get_schema(caller regrole, name text) RETURNS kaireon_internal.schema
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    object kaireon_internal.schema;
    safe text := kaireon_internal.safe_name(name);
    holders text;
BEGIN
    -- Not in a block of its own, so that the lock is found under this transaction's ID.
    SELECT s.* INTO object FROM kaireon_internal.schema AS s WHERE s.name = safe FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        BEGIN
            SELECT s.* INTO object FROM kaireon_internal.schema AS s WHERE s.name = safe FOR NO KEY UPDATE;
        EXCEPTION WHEN lock_not_available THEN
            SELECT string_agg(kaireon_internal.process_name(caller, l.pid), ', ' ORDER BY l.pid) INTO holders
              FROM kaireon_internal.schema AS s JOIN pg_locks AS l ON l.locktype = 'transactionid' AND l.transactionid = s.xmax
             WHERE s.name = safe AND l.granted;
            PERFORM kaireon_internal.fail('55P03', format('schema "%s" is being changed by another session', safe),
                'By ' || holders || '.', kaireon_internal.lock_hint());
        END;
    END IF;
    IF object.id IS NULL THEN
        PERFORM kaireon_internal.fail_missing('schema', name,
            ARRAY(SELECT s.name FROM kaireon_internal.schema AS s WHERE kaireon_internal.may_see_as(caller, s.owner)));
    END IF;
    PERFORM kaireon_internal.require_owner(caller, object.owner, 'schema', object.name);
    RETURN object;
END
$$;

-- The schema that a node means by its id, its name, or a name it had: the one of
-- table own (the pipeline's) where that is it.
CREATE FUNCTION kaireon_internal.named_schema(name text, own oid) RETURNS uuid
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id FROM kaireon_internal.schema AS s, kaireon_internal.safe_name($1) AS n
     WHERE n = ANY (s.name || s.former_names) OR s.id::text = lower($1)
     ORDER BY s.id::text = lower($1) DESC, s.relation = own DESC, s.name = n DESC, s.updated_at DESC LIMIT 1
$$;

-- The versions of pipelines that load into a schema or read it: those that run,
-- drafts, and those that a run under way has.  names: what their nodes call it.
CREATE FUNCTION kaireon_internal.schema_users(s kaireon_internal.schema)
    RETURNS TABLE (pipeline_id uuid, name text, version int, loads boolean, names text[])
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.pipeline_id, u.name, u.version, bool_or(u.loads), array_agg(kaireon_internal.safe_name(u.given)) FROM (
        SELECT p.id AS pipeline_id, p.name, v.version, true AS loads, NULL AS given
          FROM kaireon_internal.pipeline AS p JOIN kaireon_internal.pipeline_version AS v ON v.pipeline_id = p.id WHERE p.schema_id = s.id
         UNION ALL
        SELECT p.id, p.name, v.version, n.value ->> 'type' = 'target', c.name
          FROM kaireon_internal.pipeline AS p JOIN kaireon_internal.schema AS own ON own.id = p.schema_id
          JOIN kaireon_internal.pipeline_version AS v ON v.pipeline_id = p.id
         CROSS JOIN LATERAL jsonb_array_elements(v.nodes) AS n (value)
         CROSS JOIN LATERAL (VALUES (n.value #>> '{config,schema}'), (n.value #>> '{config,lookupSchema}'), (n.value #>> '{config,collectionSchemaId}'),
                                    (n.value #>> '{config,customerSchemaId}'), (n.value #>> '{config,summary}')
                             UNION ALL SELECT r #>> '{}' FROM jsonb_path_query(n.value, '$.config.rules[*].schema') AS r) AS c (name)
         WHERE (kaireon_internal.safe_name(c.name) = ANY (s.name || s.former_names) OR lower(c.name) = s.id::text)
           AND kaireon_internal.named_schema(c.name, own.relation) = s.id) AS u
      JOIN kaireon_internal.pipeline AS p ON p.id = u.pipeline_id
     WHERE u.version IN (p.draft_version, p.published_version) OR EXISTS (
           SELECT FROM kaireon_internal.run AS r WHERE r.pipeline_id = p.id AND r.version = u.version AND r.status IN ('queued', 'running'))
     GROUP BY 1, 2, 3
$$;

CREATE FUNCTION kaireon_internal.check_entity_type(entity_type text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT kaireon_internal.check_choice('entity_type', entity_type, '{customer,account,transaction,product,event,'
        'interaction,segment,campaign,subscription,custom}')
$$;

-- Raises 42710 when pipelines mean another schema by a name, because it had that
-- before: what they read and load must not change by who takes the name.
CREATE FUNCTION kaireon_internal.check_former_name(safe text, schema_id uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o record;
BEGIN
    SELECT s.name, string_agg(DISTINCT format('"%s"', u.name), ', ') AS users INTO o
      FROM kaireon_internal.schema AS s CROSS JOIN LATERAL kaireon_internal.schema_users(s) AS u
     WHERE safe = ANY (s.former_names) AND s.name <> safe AND s.id IS DISTINCT FROM schema_id AND safe = ANY (u.names) GROUP BY s.id, s.name LIMIT 1;
    IF FOUND THEN
        PERFORM kaireon_internal.fail('42710', format('pipelines mean schema "%s" by the name "%s", which it had before', o.name, safe),
            format('Pipelines: %s.', o.users), format('Let their nodes say "%s", or choose another name.', o.name));
    END IF;
END
$$;

-- The name of a schema that does not have it yet; raises 42710.
CREATE FUNCTION kaireon_internal.fail_schema_exists(safe text, given text, hint text) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT kaireon_internal.fail('42710', format('schema "%s" already exists', safe),
        CASE WHEN given <> safe THEN format('"%s" becomes "%s".', given, safe) ELSE 'Names of schemas are unique in a database, whoever owns them.' END, hint)
$$;

CREATE FUNCTION kaireon_internal.create_schema(caller regrole, name text, fields jsonb, entity_type text, schema_type text,
                                               display_name text, description text, linked_schema text, join_mapping jsonb,
                                               summary_columns jsonb, table_schema text, if_not_exists boolean, replace boolean)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    safe text := kaireon_internal.make_safe_name('schema', name, 60);
    made uuid;
    parsed kaireon_internal.field[];
    made_relation regclass;
BEGIN
    PERFORM kaireon_internal.check_existing(if_not_exists, replace);
    IF if_not_exists THEN
        SELECT s.id INTO made FROM kaireon_internal.schema AS s WHERE s.name = safe;
        IF FOUND THEN
            RAISE NOTICE 'schema "%" already exists, skipping', safe;
            RETURN made;
        END IF;
    END IF;
    PERFORM kaireon_internal.check_entity_type(entity_type);
    PERFORM kaireon_internal.check_choice('schema_type', schema_type, '{customer,collection,proposition}');
    parsed := ARRAY(SELECT f FROM kaireon_internal.parse_fields(fields) AS f);
    IF replace AND EXISTS (SELECT FROM kaireon_internal.schema AS s WHERE s.name = safe) THEN
        RETURN kaireon_internal.replace_schema(caller, name, parsed, entity_type, schema_type, display_name, description, linked_schema, join_mapping,
                                               summary_columns, table_schema);
    END IF;

    PERFORM kaireon_internal.check_former_name(safe, NULL);
    -- The name first: whoever else is making this schema waits here.
    INSERT INTO kaireon_internal.schema (name, owner, display_name, description, entity_type, schema_type, relation, linked_schema,
                                         join_mapping, summary_columns, automatic)
    VALUES (safe, caller, COALESCE(NULLIF(display_name, ''), CASE WHEN safe <> name THEN name END),
            NULLIF(description, ''), entity_type, schema_type, 0,
            CASE WHEN linked_schema IS NOT NULL THEN kaireon_internal.get_linked(caller, linked_schema) END,
            join_mapping, summary_columns, kaireon_internal.automatic_columns(parsed))
    ON CONFLICT ON CONSTRAINT schema_name_key DO NOTHING RETURNING id INTO made;
    IF NOT FOUND THEN
        IF if_not_exists THEN -- somebody else has just made it
            RETURN (SELECT o.id FROM kaireon_internal.schema AS o WHERE o.name = safe);
        ELSIF replace THEN
            RETURN kaireon_internal.replace_schema(caller, name, parsed, entity_type, schema_type, display_name, description, linked_schema, join_mapping,
                                                   summary_columns, table_schema);
        END IF;
        PERFORM kaireon_internal.fail_schema_exists(safe, name, 'Choose another name, or pass if_not_exists => true or replace => true.');
    END IF;
    INSERT INTO kaireon_internal.field
    SELECT made, f.ordinal, f.name, f.display_name, f.data_type, f.length, f.precision, f.scale, f.is_primary_key,
           f.is_unique, f.is_nullable, f.default_value, f.description, NULL
      FROM unnest(parsed) AS f;
    PERFORM kaireon_internal.check_links(made);
    made_relation := kaireon_internal.make_table(caller, COALESCE(table_schema, 'public'), 'ds_' || safe, kaireon_internal.table_sql(parsed));
    UPDATE kaireon_internal.schema AS s SET relation = made_relation WHERE s.id = made;
    PERFORM kaireon_internal.sync_summary(caller, made, NULL);
    PERFORM kaireon_internal.note_table(made);
    RETURN made;
END
$$;

-- The indexes of keys and the sequences of a table that has been renamed, which
-- PostgreSQL called after it, follow; what has no room or whose name is taken stays.
CREATE FUNCTION kaireon_internal.rename_parts(caller regrole, s kaireon_internal.schema, relation oid, old_name text, new_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT c.oid, c.relkind, p.name FROM pg_class AS c, LATERAL (SELECT new_name || substr(c.relname, length(old_name) + 1) AS name) AS p
                 WHERE c.oid IN (SELECT k.conindid FROM pg_constraint AS k WHERE k.conrelid = relation AND k.contype IN ('p', 'u')
                                 UNION ALL SELECT d.objid FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                                                                              AND d.refobjid = relation AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))
                   AND c.relname ~ format('^%s_(pkey|.*_key[0-9]*|.*_seq[0-9]*)$', old_name) AND octet_length(p.name) <= 63
                   AND NOT EXISTS (SELECT FROM pg_class AS o WHERE o.relnamespace = c.relnamespace AND o.relname = p.name)
    LOOP
        PERFORM kaireon_internal.ddl(caller, s, format('ALTER %s %s RENAME TO %I', CASE part.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END,
            kaireon_internal.relation_name(part.oid), part.name));
    END LOOP;
END
$$;

-- Gives a schema and, where they are called after it, its tables another name.
CREATE FUNCTION kaireon_internal.rename_schema(caller regrole, s kaireon_internal.schema, new_name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    safe text := kaireon_internal.make_safe_name('schema', new_name, 60);
    t record;
BEGIN
    IF safe = s.name THEN
        RETURN;
    ELSIF EXISTS (SELECT FROM kaireon_internal.schema AS o WHERE o.name = safe) THEN
        PERFORM kaireon_internal.fail_schema_exists(safe, new_name, 'Choose another name.');
    ELSIF s.summary_relation IS NOT NULL AND length(safe) > 52 THEN
        PERFORM kaireon_internal.fail('42622', format('the name of schema "%s" is too long for a summary', safe),
            format('The summary table would be ds_%s_summary.', safe), 'With summary_columns a schema''s name has at most 52 characters.');
    END IF;
    PERFORM kaireon_internal.check_former_name(safe, s.id);
    PERFORM kaireon_internal.check_no_load(s);
    UPDATE kaireon_internal.schema AS o
       SET name = safe, former_names = array_append(array_remove(o.former_names, safe), o.name),
           display_name = COALESCE(o.display_name, CASE WHEN safe <> new_name THEN new_name END)
     WHERE o.id = s.id;
    FOR t IN SELECT c.oid, c.relnamespace, r.old_name, r.new_name FROM pg_class AS c JOIN (VALUES
                    (s.relation, 'ds_' || s.name, 'ds_' || safe), (s.summary_relation, 'ds_' || s.name || '_summary', 'ds_' || safe || '_summary')
                    ) AS r (relation, old_name, new_name) ON c.oid = r.relation AND c.relname = r.old_name LOOP
        IF EXISTS (SELECT FROM pg_class AS o WHERE o.relnamespace = t.relnamespace AND o.relname = t.new_name) THEN
            PERFORM kaireon_internal.fail('42P07', format('relation "%s" already exists', t.new_name),
                'The schema''s tables are renamed with it.', 'Rename it, or choose another name for the schema.');
        END IF;
        PERFORM kaireon_internal.ddl(caller, s, format('ALTER TABLE %s RENAME TO %I', kaireon_internal.relation_name(t.oid), t.new_name));
        PERFORM kaireon_internal.rename_parts(caller, s, t.oid, t.old_name, t.new_name);
    END LOOP;
END
$$;

CREATE FUNCTION kaireon_internal.update_schema(caller regrole, name text, display_name text, description text, entity_type text,
                                               linked_schema text, join_mapping jsonb, summary_columns jsonb, status text,
                                               new_name text, schema_type text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kaireon_internal.schema := kaireon_internal.get_schema(caller, name);
    users text;
BEGIN
    IF entity_type IS NOT NULL THEN
        PERFORM kaireon_internal.check_entity_type(entity_type);
    END IF;
    IF status IS NOT NULL THEN
        PERFORM kaireon_internal.check_choice('status', status, '{active,draft,archived}');
    END IF;
    IF schema_type IS NOT NULL THEN
        PERFORM kaireon_internal.check_choice('schema_type', schema_type, '{customer,collection,proposition}');
        users := kaireon_internal.linked_to(old);
        IF schema_type <> 'customer' AND users IS NOT NULL THEN
            PERFORM kaireon_internal.fail('2BP01', format('schema "%s" must stay a customer schema', old.name),
                format('Schemas that are linked to it: %s.', users), 'Pass linked_schema => '''' and summary_columns => ''[]'' to update_schema of each first.');
        END IF;
    END IF;
    UPDATE kaireon_internal.schema AS s
       SET display_name = CASE WHEN update_schema.display_name IS NULL THEN s.display_name
                               ELSE NULLIF(update_schema.display_name, '') END,
           description = CASE WHEN update_schema.description IS NULL THEN s.description
                              ELSE NULLIF(update_schema.description, '') END,
           entity_type = COALESCE(update_schema.entity_type, s.entity_type),
           schema_type = COALESCE(update_schema.schema_type, s.schema_type),
           linked_schema = CASE WHEN update_schema.linked_schema IS NULL THEN s.linked_schema
                                WHEN update_schema.linked_schema <> '' THEN kaireon_internal.get_linked(caller, update_schema.linked_schema) END,
           -- Without a link there is nothing to map.
           join_mapping = NULLIF(CASE WHEN update_schema.join_mapping IS NOT NULL THEN update_schema.join_mapping
                                      WHEN update_schema.linked_schema = '' THEN '{}' ELSE s.join_mapping END, '{}'),
           summary_columns = NULLIF(COALESCE(update_schema.summary_columns, s.summary_columns), '[]'),
           status = COALESCE(update_schema.status, s.status),
           updated_at = now()
     WHERE s.id = old.id;
    PERFORM kaireon_internal.check_links(old.id);
    PERFORM kaireon_internal.sync_summary(caller, old.id, old.summary_columns);
    IF new_name IS NOT NULL THEN
        SELECT s.* INTO old FROM kaireon_internal.schema AS s WHERE s.id = old.id;
        PERFORM kaireon_internal.rename_schema(caller, old, new_name);
        PERFORM kaireon_internal.note_table(old.id);
    END IF;
END
$$;

-- Schemas that are linked to one, for people; NULL when there is none.
CREATE FUNCTION kaireon_internal.linked_to(s kaireon_internal.schema) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('"%s"', o.name), ', ' ORDER BY o.name COLLATE "C")
      FROM kaireon_internal.schema AS o WHERE o.linked_schema = s.id AND o.id <> s.id
$$;

-- Drops tables of a schema, as the caller: nothing of theirs runs, and their
-- owner may have lost the namespace they are in.  What depends on them, and publications that name
-- them, is listed in an error (2BP01) unless it may go too.
CREATE FUNCTION kaireon_internal.drop_tables(caller regrole, s kaireon_internal.schema, tables text[], cascade boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- PostgreSQL takes a table out of a publication without a word.
    published text := (SELECT string_agg(format('publication %I publishes %s', p.pubname, kaireon_internal.relation_name(r.prrelid)), E'\n'
                                         ORDER BY p.pubname, r.prrelid)
                         FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid WHERE kaireon_internal.relation_name(r.prrelid) = ANY (tables));
    detail text;
BEGIN
    IF tables = '{}' THEN
        RETURN;
    END IF;
    PERFORM kaireon_internal.ddl_as(caller, caller, s, format('DROP TABLE %s %s', array_to_string(tables, ', '), CASE WHEN cascade THEN 'CASCADE' ELSE 'RESTRICT' END));
    IF published IS NOT NULL AND NOT COALESCE(cascade, false) THEN
        RAISE SQLSTATE '2BP01';
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    PERFORM kaireon_internal.fail('2BP01', format('other objects depend on schema "%s"', s.name),
        concat_ws(E'\n', NULLIF(detail, ''), published), 'Pass cascade => true to drop them too.');
END
$$;

CREATE FUNCTION kaireon_internal.delete_schema(caller regrole, name text, cascade boolean, if_exists boolean, keep_table boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kaireon_internal.schema;
    users text;
    table_name text;
BEGIN
    IF if_exists AND NOT EXISTS (SELECT FROM kaireon_internal.schema AS s WHERE s.name = kaireon_internal.safe_name(delete_schema.name)) THEN
        RAISE NOTICE 'schema "%" does not exist, skipping', name;
        RETURN;
    END IF;
    old := kaireon_internal.get_schema(caller, name);
    -- Waits for whoever is just making a pipeline for it.
    PERFORM FROM kaireon_internal.schema AS s WHERE s.id = old.id FOR UPDATE;
    SELECT concat_ws(' ', 'Pipelines that load into it: ' || string_agg(format('"%s"', p.name), ', ' ORDER BY p.name COLLATE "C") FILTER (WHERE p.loads) || '.',
                          'Pipelines that read it: ' || string_agg(format('"%s"', p.name), ', ' ORDER BY p.name COLLATE "C") FILTER (WHERE NOT p.loads) || '.') INTO users
      FROM (SELECT u.name, bool_or(u.loads) AS loads FROM kaireon_internal.schema_users(old) AS u GROUP BY u.name) AS p;
    IF users <> '' THEN
        PERFORM kaireon_internal.fail('2BP01', format('schema "%s" is in use', old.name), users, 'Delete them, or give them another schema, first.');
    END IF;
    users := kaireon_internal.linked_to(old);
    IF users IS NOT NULL THEN
        PERFORM kaireon_internal.fail('2BP01', format('schema "%s" is in use', old.name),
            format('Schemas that are linked to it: %s.', users), 'Delete them, or pass linked_schema => '''' and summary_columns => ''[]'' to update_schema of each, first.');
    END IF;
    DELETE FROM kaireon_internal.schema AS s WHERE s.id = old.id;
    table_name := kaireon_internal.relation_name(old.relation);
    IF table_name IS NOT NULL AND COALESCE(keep_table, old.adopted) THEN
        RAISE NOTICE 'table % stays', table_name;
        IF old.adopted AND 'updated_at' = ANY (old.automatic) THEN
            PERFORM kaireon_internal.ddl_as(caller, caller, old, format('DROP TRIGGER IF EXISTS kaireon_touch_updated_at ON %s', table_name));
        END IF;
        table_name := NULL;
    END IF;
    PERFORM kaireon_internal.drop_tables(caller, old, array_remove(ARRAY[table_name, kaireon_internal.relation_name(old.summary_relation)], NULL), cascade);
END
$$;

CREATE FUNCTION kaireon.create_schema(name text, fields jsonb, entity_type text = 'custom', schema_type text = 'customer',
                                      display_name text = NULL, description text = NULL, linked_schema text = NULL,
                                      join_mapping jsonb = NULL, summary_columns jsonb = NULL,
                                      table_schema text = 'public', if_not_exists boolean = false, replace boolean = false)
    RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.create_schema IS 'makes a schema and its table ds_<name>, and returns its id, or with replace makes one that is there as given, unless that would lose data; each field: name, dataType, length, precision, scale, isPrimaryKey, isUnique, isNullable, defaultValue, displayName, description';

CREATE FUNCTION kaireon.update_schema(name text, display_name text = NULL, description text = NULL, entity_type text = NULL,
                                      linked_schema text = NULL, join_mapping jsonb = NULL, summary_columns jsonb = NULL,
                                      status text = NULL, new_name text = NULL, schema_type text = NULL)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.update_schema IS 'changes what is known about a schema; what is null stays, an empty text, object or array takes away; a new name is its table''s too';

CREATE FUNCTION kaireon.delete_schema(name text, cascade boolean = false, if_exists boolean = false, keep_table boolean = NULL)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.delete_schema IS 'deletes a schema and drops its table, unless it was adopted or keep_table is true; with cascade also what depends on the table';
