-- Changing a field's type: what becomes of its values.
--
-- A widening keeps every value as it is.  Any other change is tried on the data
-- first, each value as a run would convert it: one that can't be converted
-- forbids the change, one that would come out different needs force => true.

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

-- Does PostgreSQL change the type of a column without writing its table anew?
CREATE FUNCTION kaireon_internal.is_in_place(old kaireon_internal.field, new kaireon_internal.field) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(kaireon_internal.is_widening(old, new), false) AND CASE
        WHEN kaireon_internal.column_type(new) = kaireon_internal.column_type(old) THEN true
        WHEN old.data_type = 'varchar' THEN true
        WHEN old.data_type IN ('numeric', 'decimal') THEN new.precision IS NULL OR COALESCE(new.scale, 0) = COALESCE(old.scale, 0)
        ELSE false END
$$;

-- A field's type for people: numeric(12,2).
CREATE FUNCTION kaireon_internal.type_name(f kaireon_internal.field) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.data_type || CASE WHEN f.length IS NOT NULL THEN format('(%s)', f.length)
                               WHEN f.scale IS NOT NULL THEN format('(%s,%s)', f.precision, f.scale)
                               WHEN f.precision IS NOT NULL THEN format('(%s)', f.precision) ELSE '' END
$$;

-- What kind of values a type has: text, number, time, boolean, json or uuid.
CREATE FUNCTION kaireon_internal.type_family(data_type text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN data_type IN ('varchar', 'text') THEN 'text'
                WHEN data_type IN ('date', 'timestamp', 'timestamptz') THEN 'time'
                WHEN data_type IN ('boolean', 'json', 'uuid') THEN data_type
                ELSE 'number' END
$$;

-- SQL that makes a value of the new type of one of the old (value is SQL too).
-- Fails for what can't be converted.  Between numbers, between times and
-- between texts it may round or cut; everything else goes through text, as a
-- cell of a file does.
CREATE FUNCTION kaireon_internal.conversion_sql(old kaireon_internal.field, new kaireon_internal.field, value text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_family text := kaireon_internal.type_family(old.data_type);
    new_family text := kaireon_internal.type_family(new.data_type);
    new_type text := kaireon_internal.column_type(new);
    as_text text := format('CAST(%s AS pg_catalog.text)', value);
BEGIN
    IF old_family = 'number' AND new.data_type IN ('numeric', 'decimal') AND old.data_type IN ('float', 'real', 'double') THEN
        RETURN format('CAST(%s AS %s)', as_text, new_type); -- as text a float has all its digits
    ELSIF old_family = new_family THEN
        RETURN format('CAST(%s AS %s)', value, new_type);
    ELSIF old_family = 'boolean' AND new_family = 'number' THEN
        RETURN format('CAST(CAST(%s AS pg_catalog.int4) AS %s)', value, new_type);
    ELSIF new_family = 'text' AND new.length IS NOT NULL THEN
        -- As in an assignment: the first digits of a number are not the number.
        RETURN format('pg_catalog."varchar"(CAST(%s AS pg_catalog.varchar), %s, false)', as_text, new.length + 4);
    END IF;
    RETURN format('CAST(%s AS %s)', as_text, new_type);
END
$$;

-- SQL that is true when the conversion changes the value.  Of a text only what
-- the new type can't hold counts (digits, leading zeros, a time, a zone, a key
-- that JSON has twice), not how it was written; anything else has to come back
-- as it was.
CREATE FUNCTION kaireon_internal.loss_sql(old kaireon_internal.field, new kaireon_internal.field, value text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old_family text := kaireon_internal.type_family(old.data_type);
    new_family text := kaireon_internal.type_family(new.data_type);
    converted text := kaireon_internal.conversion_sql(old, new, value);
BEGIN
    IF new_family = 'text' THEN
        RETURN CASE WHEN old_family = 'text' AND new.length IS NOT NULL
                    THEN format('pg_catalog.char_length(%s) OPERATOR(pg_catalog.>) %s', value, new.length) ELSE 'false' END;
    ELSIF old_family = 'text' THEN
        RETURN format(CASE
            WHEN new.data_type IN ('smallint', 'integer', 'bigint') THEN
                'pg_catalog.btrim(%1$s) OPERATOR(pg_catalog.<>) CAST(%2$s AS pg_catalog.text)'
            WHEN new_family = 'number' THEN
                'CAST(%1$s AS pg_catalog.numeric) OPERATOR(pg_catalog.<>) CAST(CAST(%2$s AS pg_catalog.text) AS pg_catalog.numeric)'
                ' OR pg_catalog.btrim(%1$s) OPERATOR(pg_catalog.~) ''^([+]|-?0[0-9])'''
            WHEN new.data_type = 'date' THEN -- a time stamp does not reach as far as a date
                'CASE WHEN %2$s OPERATOR(pg_catalog.<) CAST(''294276-01-01'' AS pg_catalog.date) THEN'
                ' CAST(%1$s AS pg_catalog.timestamp) OPERATOR(pg_catalog.<>) CAST(%2$s AS pg_catalog.timestamp) ELSE false END'
            WHEN new.data_type = 'timestamp' THEN
                'CAST(%1$s AS pg_catalog.timestamptz) OPERATOR(pg_catalog.<>) CAST(%2$s AS pg_catalog.timestamptz)'
            WHEN new.data_type = 'json' THEN -- fewer keys are kept than colons stand outside strings
                'pg_catalog.length(pg_catalog.regexp_replace(%1$s, ''"([^"\\]|\\.)*"|[^:]'', '''', ''g'')) OPERATOR(pg_catalog.<>)'
                ' (SELECT pg_catalog.count(*) FROM pg_catalog.jsonb_path_query(%2$s, ''strict $.** ? (@.type() == "object").keyvalue()'') AS k)'
            ELSE 'false' END, value, converted);
    ELSIF old_family = 'boolean' AND new_family = 'number' THEN
        RETURN 'false';
    ELSIF old_family = 'number' AND new_family = 'time' THEN
        RETURN format('CAST(%s AS pg_catalog.text) OPERATOR(pg_catalog.<>) ALL (ARRAY[pg_catalog.to_char(%2$s, ''YYYYMMDD''),'
                      ' pg_catalog.to_char(%2$s, ''YYYYMMDDHH24MISS'')])', value, converted);
    END IF;
    RETURN format('%s IS DISTINCT FROM %s', kaireon_internal.conversion_sql(new, old, converted), value);
END
$$;

CREATE FUNCTION kaireon_internal.try_values(role regrole, source text, convert text, loss text,
    OUT tried bigint, OUT failing bigint, OUT changing bigint, OUT failing_examples text[], OUT changing_examples text[])
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'kaireon_try_values';

-- '"a", "b", "c" and 2 more': the first of n things.
CREATE FUNCTION kaireon_internal.first_of(n bigint, examples text[]) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_to_string(examples, ', ') || CASE WHEN n > cardinality(examples) THEN format(' and %s more', n - cardinality(examples)) ELSE '' END
$$;

-- Raises 22018 when values of the field's column can't be converted, and 55000
-- when some would change and it is not forced.  old's name is the column's.
CREATE FUNCTION kaireon_internal.check_conversion(caller regrole, schema kaireon_internal.schema, old kaireon_internal.field,
                                                  new kaireon_internal.field, force boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rows_sql text := format('SELECT %I AS v FROM %s WHERE %1$I IS NOT NULL', old.name, kaireon_internal.table_name(schema));
    counts text;
    change text := format('from %s to %s', kaireon_internal.type_name(old), kaireon_internal.type_name(new));
    lossy boolean;
    t record;
BEGIN
    PERFORM kaireon_internal.lock_writers(caller, schema);
    BEGIN
        -- count() has every value converted, also where that is no question of loss.
        lossy := kaireon_internal.as_owner(caller, schema.relation, format('SELECT pg_catalog.bool_or(%s) AND pg_catalog.count(%s) OPERATOR(pg_catalog.>=) 0 FROM (%s) AS r',
            kaireon_internal.loss_sql(old, new, 'v'), kaireon_internal.conversion_sql(old, new, 'v'), rows_sql)) = 't';
        IF lossy IS NOT TRUE OR force THEN
            RETURN;
        END IF;
    EXCEPTION WHEN data_exception OR feature_not_supported THEN -- the latter says that a number is NaN or infinite
        NULL; -- one by one, then
    END;
    t := kaireon_internal.try_values(kaireon_internal.owner_or_caller(caller, schema.relation), rows_sql, format('CAST(%s AS pg_catalog.text)', kaireon_internal.conversion_sql(old, new, '$1')),
                                         kaireon_internal.loss_sql(old, new, '$1'));
    counts := concat_ws(' ', CASE WHEN t.failing > 0 THEN
            format('%s of %s values can''t be converted: %s.', t.failing, t.tried, kaireon_internal.first_of(t.failing, t.failing_examples)) END,
        CASE WHEN t.changing > 0 THEN
            format('%s of %s values would lose something: %s.', t.changing, t.tried, kaireon_internal.first_of(t.changing, t.changing_examples)) END);
    IF t.failing > 0 THEN
        PERFORM kaireon_internal.fail('22018', format('field "%s" can''t be changed %s', old.name, change), counts,
            format('Correct the values, or add a field of type %s and fill it from this one.', kaireon_internal.type_name(new)));
    ELSIF t.changing > 0 AND NOT force THEN
        PERFORM kaireon_internal.fail('55000', format('changing field "%s" %s would lose data', old.name, change),
            counts, 'kaireon.alter_field with force => true changes it all the same.');
    END IF;
END
$$;
