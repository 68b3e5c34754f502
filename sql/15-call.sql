-- What the modules of the SQL surface share: calling, rights, errors, names,
-- and the strict check of JSON arguments.
--
-- A public function that changes the catalog is a trampoline (src/pg/call.c):
-- kaireon.f(args) calls kaireon_internal.f(caller, args) as the extension's
-- owner.  What has to happen with the caller's own rights goes through as_role.
--
-- The functions of kaireon_internal are called by each other only; they pin
-- search_path and name everything of ours with its schema.

CREATE FUNCTION kaireon_internal.as_role(role regrole, sql text) RETURNS text
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'kaireon_as_role';

-- The same on a table that is there: as its owner, where the caller has the
-- owner's rights.  So a superuser who changes another's schema does not run
-- that table's constraints and policies himself.
CREATE FUNCTION kaireon_internal.owner_or_caller(caller regrole, relation oid) RETURNS regrole
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((SELECT c.relowner FROM pg_class AS c WHERE c.oid = relation AND pg_has_role(caller, c.relowner, 'USAGE'))::regrole, caller)
$$;

CREATE FUNCTION kaireon_internal.as_owner(caller regrole, relation oid, sql text) RETURNS text
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT kaireon_internal.as_role(kaireon_internal.owner_or_caller(caller, relation), sql)
$$;

CREATE FUNCTION kaireon_internal.fail(sqlstate text, message text, detail text, hint text) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_fail';

CREATE FUNCTION kaireon_internal.closest(word text, candidates text[]) RETURNS text
    LANGUAGE c IMMUTABLE STRICT AS 'MODULE_PATHNAME', 'kaireon_closest';

-- ---- rights

-- May the current user see an object of that owner?  Evaluated in views, which
-- leave current_user alone; a role that somebody dropped counts as not there.
-- The extension's owner sees all: the tables behind the views are his.
CREATE FUNCTION kaireon_internal.may_see(owner regrole) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(pg_catalog.pg_has_role(owner, 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(pg_catalog.to_regrole('kaireon_admin'), 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(pg_catalog.to_regrole('kaireon_operator'), 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(pg_catalog.to_regrole('kaireon_viewer'), 'USAGE'), false)
        OR COALESCE((SELECT pg_catalog.pg_has_role(n.nspowner, 'USAGE') FROM pg_catalog.pg_namespace AS n
                      WHERE n.nspname = 'kaireon_internal'), false)
$$;

-- May the current user read what a run could not load?  Viewers may not: that
-- is data, of the kind that masks are there for.
CREATE FUNCTION kaireon_internal.may_read(owner regrole) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(pg_catalog.pg_has_role(owner, 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(pg_catalog.to_regrole('kaireon_admin'), 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(pg_catalog.to_regrole('kaireon_operator'), 'USAGE'), false)
        OR COALESCE((SELECT pg_catalog.pg_has_role(n.nspowner, 'USAGE') FROM pg_catalog.pg_namespace AS n
                      WHERE n.nspname = 'kaireon_internal'), false)
$$;

-- As may_see, for a caller.
CREATE FUNCTION kaireon_internal.may_see_as(caller regrole, owner regrole) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(pg_catalog.pg_has_role(caller, owner, 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(caller, pg_catalog.to_regrole('kaireon_admin'), 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(caller, pg_catalog.to_regrole('kaireon_operator'), 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(caller, pg_catalog.to_regrole('kaireon_viewer'), 'USAGE'), false)
$$;

-- Is the caller an operator: may run and pause what is not its own.  Admins are.
CREATE FUNCTION kaireon_internal.is_operator(caller regrole) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(pg_catalog.pg_has_role(caller, pg_catalog.to_regrole('kaireon_admin'), 'USAGE'), false)
        OR COALESCE(pg_catalog.pg_has_role(caller, pg_catalog.to_regrole('kaireon_operator'), 'USAGE'), false)
$$;

-- May the caller change an object of that owner: the owner itself, members of
-- that role, superusers.
CREATE FUNCTION kaireon_internal.may_change(caller regrole, owner regrole) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(pg_catalog.pg_has_role(caller, owner, 'USAGE'), false)
$$;

-- Raises 42501 unless the caller may change an object of that owner.
CREATE FUNCTION kaireon_internal.require_owner(caller regrole, owner regrole, kind text, name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT kaireon_internal.may_change(caller, owner) THEN
        PERFORM kaireon_internal.fail('42501', format('must be owner of %s "%s"', kind, name),
            format('It belongs to role %s.', owner),
            CASE WHEN kaireon_internal.is_superuser(owner) THEN 'Ask a superuser, or make one of your own.' ELSE format('Be a member of %s, or make one of your own.', owner) END);
    END IF;
END
$$;

-- ---- names

-- The error for a name that is not there: 42704, with what was perhaps meant.
-- place, if given, follows the name: ' of schema "x"'.
CREATE FUNCTION kaireon_internal.fail_missing(kind text, name text, existing text[], place text = '', detail text = NULL) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    near text := kaireon_internal.closest(name, existing);
    shown text;
BEGIN
    IF name IS NULL THEN
        PERFORM kaireon_internal.fail('22004', format('the name of the %s must not be null', kind), COALESCE(detail, format('A %s is found by its name.', kind)), 'Give a name.');
    END IF;
    SELECT string_agg(format('"%s"', n), ', ' ORDER BY n COLLATE "C") INTO shown
      FROM (SELECT n FROM unnest(existing) AS n ORDER BY n COLLATE "C" LIMIT 10) AS e;
    PERFORM kaireon_internal.fail('42704', format('%s "%s"%s does not exist', kind, name, place), COALESCE(detail,
            CASE WHEN kind IN ('schema', 'field') THEN 'Upper and lower case do not count, and other characters are underscores.' ELSE 'Upper and lower case count.' END),
        CASE WHEN near IS NOT NULL THEN format('Perhaps you meant "%s".', near)
             WHEN shown IS NULL THEN format('There is no %s yet.', kind)
             WHEN cardinality(existing) > 10 THEN format('There are %s, and %s more.', shown, cardinality(existing) - 10)
             ELSE format('There are: %s.', shown) END);
END
$$;

-- Checks the name of a connector or pipeline: some visible text of at most 255
-- characters, without blanks at its ends.
CREATE FUNCTION kaireon_internal.check_name(kind text, name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name IS NULL OR name = '' THEN
        PERFORM kaireon_internal.fail('42602', format('the name of a %s must not be empty', kind),
            'It is what other functions call it by.', 'A name has 1 to 255 characters.');
    ELSIF length(name) > 255 THEN
        PERFORM kaireon_internal.fail('42622', format('the name of the %s is too long', kind),
            format('It has %s characters.', length(name)), 'A name has at most 255 characters.');
    ELSIF name ~ '^\s|\s$|[\x01-\x1f\x7f]' THEN
        PERFORM kaireon_internal.fail('42602', format('invalid name "%s" for a %s', name, kind),
            'It begins or ends with a blank, or holds a control character.', 'A name has no blanks at its ends and no control characters.');
    END IF;
END
$$;

-- What a create function does about an object that is there already; raises
-- 22023 for both at once.
CREATE FUNCTION kaireon_internal.check_existing(if_not_exists boolean, replace boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF if_not_exists AND replace THEN
        PERFORM kaireon_internal.fail('22023', 'if_not_exists and replace can''t both be true',
            'An object that is there already is either left as it is or made as given.', 'Pass one of them.');
    END IF;
END
$$;

-- ---- JSON arguments

-- The kinds of value that check_object knows, as a message calls them.
CREATE FUNCTION kaireon_internal.is_kind(value jsonb, kind text) RETURNS boolean
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind
        WHEN 'any' THEN true
        WHEN 'integer' THEN jsonb_typeof(value) = 'number' AND value::text ~ '^-?[0-9]{1,18}(\.0+)?$'
        WHEN 'scalar' THEN jsonb_typeof(value) IN ('string', 'number', 'boolean')
        ELSE jsonb_typeof(value) = kind END
$$;

-- Checks a JSON object strictly.  keys says what it may hold, for each key:
--   {"kind": string|integer|number|boolean|object|array|scalar|any,
--    "required": true, "values": ["a", ...], "min": 1, "max": 9,
--    "pattern": "^/", "patternHint": "...", "keys": {...} of an object in it,
--    "hint": what the key means, for an error about its kind}
-- place is where the object stands, as in 'field "email"'.  A JSON null counts
-- as a key left out.  Raises 22023 for the first thing that is wrong; if the
-- object is secret, no value is part of what the error says.
CREATE FUNCTION kaireon_internal.check_object(value jsonb, keys jsonb, place text, secret boolean = false) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The order of a jsonb object is by length; a person reads by alphabet.
    valid text := (SELECT string_agg(k, ', ' ORDER BY k COLLATE "C") FROM jsonb_object_keys(keys) AS k);
    found_in text := format('Found in %s.', place);
    near text;
    item record;
    rule jsonb;
    listed text;
BEGIN
    IF value IS NULL OR jsonb_typeof(value) <> 'object' THEN
        PERFORM kaireon_internal.fail('22023', format('%s must be a JSON object', place),
            CASE WHEN secret THEN format('It is of type %s.', COALESCE(jsonb_typeof(value), 'null'))
                 ELSE format('It is %s.', COALESCE(left(value::text, 100), 'null')) END,
            COALESCE('Valid keys: ' || valid || '.', 'No keys are valid here.'));
    END IF;
    FOR item IN SELECT e.key, e.value FROM jsonb_each(value) AS e ORDER BY e.key COLLATE "C" LOOP
        rule := keys -> item.key;
        IF rule IS NULL THEN
            near := kaireon_internal.closest(item.key, ARRAY(SELECT jsonb_object_keys(keys)));
            PERFORM kaireon_internal.fail('22023', format('unknown key "%s"', item.key), found_in,
                COALESCE('Perhaps you meant "' || near || '". ', '') ||
                COALESCE('Valid keys: ' || valid || '.', 'No keys are valid here.'));
        END IF;
        CONTINUE WHEN jsonb_typeof(item.value) = 'null';
        IF NOT kaireon_internal.is_kind(item.value, rule ->> 'kind') THEN
            PERFORM kaireon_internal.fail('22023',
                format('key "%s" must be %s', item.key, CASE rule ->> 'kind'
                    WHEN 'integer' THEN 'an integer' WHEN 'object' THEN 'an object' WHEN 'array' THEN 'an array'
                    WHEN 'boolean' THEN 'true or false' WHEN 'scalar' THEN 'a string, a number, true or false'
                    ELSE 'a ' || (rule ->> 'kind') END),
                CASE WHEN secret THEN found_in ELSE format('Found %s in %s.', left(item.value::text, 100), place) END, rule ->> 'hint');
        END IF;
        IF rule ? 'keys' THEN
            PERFORM kaireon_internal.check_object(item.value, rule -> 'keys', format('"%s" of %s', item.key, place), secret);
        END IF;
        IF rule ? 'values' AND NOT (rule -> 'values') @> jsonb_build_array(item.value) THEN
            SELECT string_agg(v, ', ' ORDER BY n) INTO listed
              FROM jsonb_array_elements_text(rule -> 'values') WITH ORDINALITY AS l (v, n);
            PERFORM kaireon_internal.fail('22023',
                format('invalid value %sfor key "%s"', CASE WHEN secret THEN '' ELSE left(item.value::text, 100) || ' ' END,
                       item.key), found_in,
                format('Valid values: %s.', listed));
        END IF;
        IF rule ? 'pattern' AND (item.value #>> '{}') !~ (rule ->> 'pattern') THEN
            -- the query of a URL may hold a signature
            PERFORM kaireon_internal.fail('22023',
                format('invalid value %sfor key "%s"', CASE WHEN secret THEN '' ELSE left(regexp_replace(item.value::text, '\?.*', '?..."'), 100) || ' ' END,
                       item.key), found_in, rule ->> 'patternHint');
        END IF;
        IF (rule ? 'min' AND (item.value #>> '{}')::numeric < (rule ->> 'min')::numeric) OR
           (rule ? 'max' AND (item.value #>> '{}')::numeric > (rule ->> 'max')::numeric) THEN
            PERFORM kaireon_internal.fail('22023',
                format('value %sfor key "%s" is out of range', CASE WHEN secret THEN '' ELSE item.value::text || ' ' END,
                       item.key), found_in,
                CASE WHEN NOT rule ? 'max' THEN format('It must be %s or more.', rule ->> 'min')
                     ELSE format('It must be from %s to %s.', rule ->> 'min', rule ->> 'max') END);
        END IF;
    END LOOP;
    FOR item IN SELECT e.key FROM jsonb_each(keys) AS e WHERE (e.value ->> 'required')::boolean ORDER BY e.key COLLATE "C" LOOP
        IF value -> item.key IS NULL OR jsonb_typeof(value -> item.key) = 'null' THEN
            PERFORM kaireon_internal.fail('22023', format('key "%s" is missing', item.key), found_in,
                'Valid keys: ' || valid || '.');
        END IF;
    END LOOP;
END
$$;

-- One of a list of words as an argument, e.g. entity_type; raises 22023.
CREATE FUNCTION kaireon_internal.check_choice(argument text, value text, choices text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF value IS NULL OR value <> ALL (choices) THEN
        PERFORM kaireon_internal.fail('22023', format('invalid value %s for %s',
            COALESCE('"' || value || '"', 'null'), argument), 'Upper and lower case count.',
            format('Valid values: %s.', array_to_string(choices, ', ')));
    END IF;
END
$$;

-- ---- the rest

CREATE FUNCTION kaireon.version() RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'kaireon'
$$;
COMMENT ON FUNCTION kaireon.version() IS 'the installed version of the extension';
