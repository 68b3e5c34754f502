-- Connectors: how to reach a source; and the types they are made of.
--
-- A type's spec is connectors/<type>/connector.json.  What is read here:
--   category, displayName, status, description   text
--   aliases         array of other names that create_connector takes for the type
--   authMethods     array of names
--   configFields    array of {name, type, required, values, ...}: the keys of config
--   authFields      the same, with "methods": [..] for fields of some methods only,
--                   and "secret": false for what an error may show: the keys of
--                   auth_config
--   resources       handed on as it is
--   abilities       what its reader can do besides reading, by the names of
--                   src/pg/ability.h
-- A field's type is string, integer, number, boolean, object, array or any; any
-- other (password, url, select, ...) is a kind of string.  It may have "values",
-- "min", "max", a "pattern" (a regular expression its text must match) with a
-- "patternHint", "suggestions" that a form may offer, and, of an object, "fields" of
-- its own.  Its "description" is the hint of errors about it.  The types themselves
-- are inserted by the generated part that follows this module.
--
-- Functions here never see what auth_config holds: they get its shape and ask
-- for the sealed whole (src/pg/auth.h).

CREATE VIEW kaireon.connector_types WITH (security_barrier) AS
SELECT t.type,
       t.spec ->> 'category' AS category,
       COALESCE(t.spec ->> 'displayName', t.type) AS display_name,
       COALESCE(t.spec ->> 'status', 'coming_soon') AS status,
       ARRAY(SELECT m FROM jsonb_array_elements_text(COALESCE(t.spec -> 'authMethods', '["none"]')) AS m) AS auth_methods,
       COALESCE(t.spec -> 'configFields', '[]') AS config_fields,
       COALESCE(t.spec -> 'authFields', '[]') AS auth_fields,
       COALESCE(t.spec -> 'resources', '[]') AS resources,
       t.spec ->> 'description' AS description,
       ARRAY(SELECT a FROM jsonb_array_elements_text(COALESCE(t.spec -> 'aliases', '[]')) AS a) AS aliases,
       ARRAY(SELECT a FROM jsonb_array_elements_text(COALESCE(t.spec -> 'abilities', '[]')) AS a) AS abilities
  FROM kaireon_internal.connector_type t;
COMMENT ON VIEW kaireon.connector_types IS 'what create_connector can make: one row for each registered type';
COMMENT ON COLUMN kaireon.connector_types.status IS 'ready: a pipeline really reads rows; coming_soon: not yet';
COMMENT ON COLUMN kaireon.connector_types.config_fields IS 'the keys of config';
COMMENT ON COLUMN kaireon.connector_types.auth_fields IS 'the keys of auth_config';
COMMENT ON COLUMN kaireon.connector_types.abilities IS 'patterns: finds files by patterns; move: archives them; call: takes webhooks';
COMMENT ON COLUMN kaireon.connector_types.aliases IS 'other names that create_connector takes for the type';

CREATE VIEW kaireon.connectors WITH (security_barrier) AS
SELECT c.id, c.name, c.type, t.spec ->> 'category' AS category, c.auth_method, c.config, c.status,
       c.last_tested_at, c.last_error, c.description, c.owner, c.created_at, c.updated_at
  FROM kaireon_internal.connector c
  LEFT JOIN kaireon_internal.connector_type t ON t.type = c.type
 WHERE kaireon_internal.may_see(c.owner);
COMMENT ON VIEW kaireon.connectors IS 'how to reach sources; credentials are never shown';
COMMENT ON COLUMN kaireon.connectors.config IS 'what the type''s config_fields hold; nothing of it is secret';
COMMENT ON COLUMN kaireon.connectors.status IS 'connected, disconnected, error or testing, by the last test';

-- The rules for check_object of a list of fields.
CREATE FUNCTION kaireon_internal.field_rules(fields jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(jsonb_object_agg(f ->> 'name', jsonb_strip_nulls(jsonb_build_object(
               'kind', CASE WHEN f ->> 'type' IN ('integer', 'number', 'boolean', 'object', 'array', 'any')
                            THEN f ->> 'type' ELSE 'string' END,
               'required', (f -> 'required'), 'values', f -> 'values', 'min', f -> 'min', 'max', f -> 'max',
               'pattern', f -> 'pattern', 'patternHint', f -> 'patternHint', 'hint', COALESCE(f ->> 'description', format('Field "%s" is of type %s.', f ->> 'name', COALESCE(f ->> 'type', 'string'))),
               'keys', CASE WHEN f ? 'fields' THEN kaireon_internal.field_rules(f -> 'fields') END))), '{}')
      FROM jsonb_array_elements(fields) AS f
$$;

-- The type that a name or an alias stands for; a name that is neither stays.
CREATE FUNCTION kaireon_internal.real_type(type text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((SELECT t.type FROM kaireon_internal.connector_type AS t
                      WHERE t.type = $1 OR t.spec -> 'aliases' ? $1 ORDER BY t.type <> $1, t.type COLLATE "C" LIMIT 1), $1)
$$;

CREATE FUNCTION kaireon_internal.seal_auth(connector uuid, caller regrole, owner regrole) RETURNS bytea
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_seal_auth';

CREATE FUNCTION kaireon_internal.public_auth(keys text[]) RETURNS jsonb
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_public_auth';

-- A type's auth fields of a method.
CREATE FUNCTION kaireon_internal.auth_fields(type text, auth_method text) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(jsonb_agg(f - 'methods' ORDER BY i), '[]')
      FROM kaireon_internal.connector_type AS t,
           jsonb_array_elements(COALESCE(t.spec -> 'authFields', '[]')) WITH ORDINALITY AS e (f, i)
     WHERE t.type = $1 AND (NOT f ? 'methods' OR f -> 'methods' ? auth_method)
$$;

-- Checks the shape of credentials against a type's fields of that method.
CREATE FUNCTION kaireon_internal.check_auth(type text, auth_method text, auth_config jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fields jsonb := kaireon_internal.auth_fields(type, auth_method);
    shown text[] := ARRAY(SELECT f ->> 'name' FROM jsonb_array_elements(fields) AS f
                           WHERE f -> 'secret' = 'false' AND auth_config ->> (f ->> 'name') = '');
BEGIN
    IF fields = '[]' AND auth_config <> '{}' AND jsonb_typeof(auth_config) = 'object' THEN
        PERFORM kaireon_internal.fail('22023',
            format('auth_method "%s" of connector type "%s" takes no auth_config', auth_method, type),
            format('Found keys: %s.', (SELECT string_agg(k, ', ') FROM jsonb_object_keys(auth_config) AS k)),
            COALESCE((SELECT 'Pass auth_method as well; methods that take one: ' || string_agg(m, ', ' ORDER BY i) || '.'
                        FROM kaireon_internal.connector_type AS t,
                             jsonb_array_elements_text(t.spec -> 'authMethods') WITH ORDINALITY AS e (m, i)
                       WHERE t.type = check_auth.type AND kaireon_internal.auth_fields(t.type, m) <> '[]'),
                     'Leave it out: this type needs no credentials.'));
    END IF;
    IF shown <> '{}' THEN -- some of these are checked by their value
        auth_config := auth_config || kaireon_internal.public_auth(shown);
    END IF;
    PERFORM kaireon_internal.check_object(auth_config, kaireon_internal.field_rules(fields),
        format('auth_config of connector type %s', type), secret => true);
END
$$;

-- A config is shown to all who see the connector; the value is not quoted here.
CREATE FUNCTION kaireon_internal.check_no_password(config jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    key text;
BEGIN
    IF jsonb_typeof(config) = 'object' THEN
        SELECT e.k INTO key FROM jsonb_each(config) AS e (k, v)
         WHERE EXISTS (SELECT FROM jsonb_path_query(e.v, '$.** ? (@.type() == "string")') AS s
                        WHERE s #>> '{}' ~* '^\s*[a-z][a-z0-9+.-]*://[^/?#]*@') LIMIT 1;
    END IF;
    IF key IS NOT NULL THEN
        PERFORM kaireon_internal.fail('22023', format('key "%s" of config holds a URL with a user name or password', key),
            'A connector''s config is shown to all who may see the connector.', CASE key WHEN 'proxy' THEN 'Credentials for a proxy can''t be given: let it know this machine by its address.'
            ELSE 'Credentials belong into auth_config, which is encrypted.' END);
    END IF;
END
$$;

-- What the type's driver says of values, with the credentials of the call under
-- way if they are meant; it connects to nothing.
CREATE FUNCTION kaireon_internal.check_source(type text, config jsonb, auth_method text, with_auth boolean) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_check_source';

-- Checks a connector's config and credentials against its type; auth_config
-- null: those it has stay.
CREATE FUNCTION kaireon_internal.check_connector(type text, config jsonb, auth_method text, auth_config jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    spec jsonb := (SELECT t.spec FROM kaireon_internal.connector_type AS t WHERE t.type = check_connector.type);
    methods text[];
BEGIN
    IF spec IS NULL THEN
        PERFORM kaireon_internal.fail_missing('connector type', type,
            ARRAY(SELECT t.type FROM kaireon_internal.connector_type AS t),
            detail => 'The view kaireon.connector_types has those that are registered.');
    END IF;
    methods := ARRAY(SELECT m FROM jsonb_array_elements_text(COALESCE(spec -> 'authMethods', '["none"]')) AS m);
    IF auth_method <> ALL (methods) THEN
        PERFORM kaireon_internal.fail('22023', format('connector type "%s" has no auth_method "%s"', type, auth_method),
            'An auth_method says which keys auth_config has.', format('Valid values: %s.', array_to_string(methods, ', ')));
    END IF;
    PERFORM kaireon_internal.check_no_password(config);
    PERFORM kaireon_internal.check_object(config,
        kaireon_internal.field_rules(COALESCE(spec -> 'configFields', '[]')),
        format('config of connector type %s', type));
    IF auth_config IS NOT NULL THEN
        PERFORM kaireon_internal.check_auth(type, auth_method, auth_config);
    END IF;
    IF spec ->> 'status' = 'ready' THEN
        PERFORM kaireon_internal.check_source(type, config, auth_method, auth_config IS NOT NULL);
    END IF;
END
$$;

-- The sealed form of the call's auth_config; null when its shape holds nothing.
CREATE FUNCTION kaireon_internal.sealed(connector uuid, caller regrole, owner regrole, auth_config jsonb) RETURNS bytea
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN jsonb_strip_nulls(COALESCE(auth_config, '{}')) <> '{}'
                THEN kaireon_internal.seal_auth(connector, caller, owner) END
$$;

-- The connector of a name, locked; raises 42704, and 42501 unless the caller may change it.
CREATE FUNCTION kaireon_internal.get_connector(caller regrole, name text) RETURNS kaireon_internal.connector
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    object kaireon_internal.connector;
BEGIN
    SELECT c.* INTO object FROM kaireon_internal.connector AS c WHERE c.name = get_connector.name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM kaireon_internal.fail_missing('connector', name,
            ARRAY(SELECT c.name FROM kaireon_internal.connector AS c WHERE kaireon_internal.may_see_as(caller, c.owner)),
            detail => 'The view kaireon.connectors has those you can see.');
    END IF;
    PERFORM kaireon_internal.require_owner(caller, object.owner, 'connector', name);
    RETURN object;
END
$$;

-- Without a method given: the only one, or "none" where that is one.
CREATE FUNCTION kaireon_internal.default_auth_method(type text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN COALESCE(t.spec -> 'authMethods', '["none"]') ? 'none' THEN 'none'
                ELSE t.spec -> 'authMethods' ->> 0 END
      FROM kaireon_internal.connector_type AS t WHERE t.type = $1
$$;

-- Makes a connector that is there what create_connector would have made it; its
-- id, its owner and the outcome of its last test stay, the last if nothing else changes.
CREATE FUNCTION kaireon_internal.replace_connector(caller regrole, name text, type text, config jsonb, auth_method text,
                                                   auth_config jsonb, description text)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old kaireon_internal.connector := kaireon_internal.get_connector(caller, name);
BEGIN
    IF old.type <> type THEN
        PERFORM kaireon_internal.fail('42809', format('connector "%s" is of type "%s", not "%s"', name, old.type, type),
            'Pipelines that use it are made for its type.', 'Delete it first, or choose another name.');
    ELSIF old.config = config AND old.auth_method = auth_method AND old.auth_sealed IS NULL AND COALESCE(auth_config, '{}') = '{}' THEN
        PERFORM kaireon_internal.update_connector(caller, name, NULL, NULL, NULL, COALESCE(description, ''), NULL);
    ELSE
        PERFORM kaireon_internal.update_connector(caller, name, config, auth_method, COALESCE(auth_config, '{}'), COALESCE(description, ''), NULL);
    END IF;
    RETURN old.id;
END
$$;

CREATE FUNCTION kaireon_internal.create_connector(caller regrole, name text, type text, config jsonb, auth_method text,
                                                  auth_config jsonb, description text, if_not_exists boolean, replace boolean)
    RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    fresh uuid := gen_random_uuid();
    made uuid;
BEGIN
    PERFORM kaireon_internal.check_name('connector', name);
    PERFORM kaireon_internal.check_existing(if_not_exists, replace);
    IF if_not_exists THEN
        SELECT c.id INTO made FROM kaireon_internal.connector AS c WHERE c.name = create_connector.name;
        IF FOUND THEN
            RAISE NOTICE 'connector "%" already exists, skipping', name;
            RETURN made;
        END IF;
    END IF;
    config := COALESCE(config, '{}');
    type := kaireon_internal.real_type(type);
    auth_method := COALESCE(auth_method, kaireon_internal.default_auth_method(type), 'none');
    IF replace AND EXISTS (SELECT FROM kaireon_internal.connector AS c WHERE c.name = create_connector.name) THEN
        RETURN kaireon_internal.replace_connector(caller, name, type, config, auth_method, auth_config, description);
    END IF;
    PERFORM kaireon_internal.check_connector(type, config, auth_method, COALESCE(auth_config, '{}'));
    INSERT INTO kaireon_internal.connector (id, name, type, owner, config, auth_method, auth_sealed, description)
    VALUES (fresh, name, type, caller, config, auth_method, kaireon_internal.sealed(fresh, caller, caller, auth_config),
            NULLIF(description, ''))
    ON CONFLICT ON CONSTRAINT connector_name_key DO NOTHING RETURNING id INTO made;
    IF NOT FOUND THEN
        IF if_not_exists THEN -- somebody else has just made it
            RETURN (SELECT o.id FROM kaireon_internal.connector AS o WHERE o.name = create_connector.name);
        ELSIF replace THEN
            RETURN kaireon_internal.replace_connector(caller, name, type, config, auth_method, auth_config, description);
        END IF;
        PERFORM kaireon_internal.fail('42710', format('connector "%s" already exists', name),
            'Names of connectors are unique in a database, whoever owns them.',
            'Choose another name, or pass if_not_exists => true or replace => true.');
    END IF;
    RETURN made;
END
$$;

-- Does a node of the pipeline's draft, or of the version that runs, name this
-- connector, for itself or in a webhook?
CREATE FUNCTION kaireon_internal.names_connector(p kaireon_internal.pipeline, connector text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM kaireon_internal.pipeline_version AS v, jsonb_array_elements(v.nodes) AS n
                    WHERE v.pipeline_id = p.id AND v.version IN (p.draft_version, p.published_version)
                      AND (n -> 'config' ->> 'connector' = names_connector.connector
                           OR EXISTS (SELECT FROM jsonb_path_query(n, '$.config.postHook[*]') AS h WHERE h ->> 'connector' = names_connector.connector)))
$$;

CREATE FUNCTION kaireon_internal.update_connector(caller regrole, name text, config jsonb, auth_method text,
                                                  auth_config jsonb, description text, new_name text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kaireon_internal.connector := kaireon_internal.get_connector(caller, name);
    touched boolean := config IS NOT NULL OR auth_method IS NOT NULL OR auth_config IS NOT NULL;
    sealed bytea := old.auth_sealed;
    users text;
BEGIN
    IF touched THEN
        config := COALESCE(config, old.config);
        auth_method := COALESCE(auth_method, old.auth_method);
        -- Another method has other keys, as a rule: then what is there is of no use.
        IF auth_config IS NULL AND kaireon_internal.auth_fields(old.type, auth_method)
                                   <> kaireon_internal.auth_fields(old.type, old.auth_method) THEN
            auth_config := '{}';
        END IF;
        PERFORM kaireon_internal.check_connector(old.type, config, auth_method, auth_config);
        IF auth_config IS NOT NULL THEN
            sealed := kaireon_internal.sealed(old.id, caller, old.owner, auth_config);
        END IF;
    END IF;
    IF new_name IS NOT NULL THEN
        PERFORM kaireon_internal.check_name('connector', new_name);
        PERFORM FROM kaireon_internal.connector AS c WHERE c.name = new_name AND c.id <> old.id;
        IF FOUND THEN
            PERFORM kaireon_internal.fail('42710', format('connector "%s" already exists', new_name),
                'Names of connectors are unique in a database, whoever owns them.', 'Choose another name.');
        END IF;
    END IF;
    IF new_name <> old.name THEN
        SELECT string_agg(format('"%s"', p.name), ', ' ORDER BY p.name COLLATE "C") INTO users
          FROM kaireon_internal.pipeline AS p WHERE kaireon_internal.names_connector(p, old.name);
        IF users IS NOT NULL THEN
            PERFORM kaireon_internal.fail('2BP01', format('nodes of pipelines name connector "%s"', old.name),
                format('Those of the pipelines %s.', users), 'Change them first, or keep the name.');
        END IF;
    END IF;
    -- What was tested is not what is there now.
    UPDATE kaireon_internal.connector AS c
       SET name = COALESCE(new_name, c.name), config = COALESCE(update_connector.config, c.config),
           auth_method = COALESCE(update_connector.auth_method, c.auth_method), auth_sealed = sealed,
           description = CASE WHEN update_connector.description IS NULL THEN c.description
                              ELSE NULLIF(update_connector.description, '') END,
           status = CASE WHEN touched THEN 'disconnected' ELSE c.status END,
           last_error = CASE WHEN touched THEN NULL ELSE c.last_error END,
           updated_at = now()
     WHERE c.id = old.id;
END
$$;

CREATE FUNCTION kaireon_internal.delete_connector(caller regrole, name text, if_exists boolean)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    old kaireon_internal.connector;
    users text;
BEGIN
    IF if_exists AND name IS NOT NULL AND NOT EXISTS (SELECT FROM kaireon_internal.connector AS c WHERE c.name = delete_connector.name) THEN
        RAISE NOTICE 'connector "%" does not exist, skipping', name;
        RETURN;
    END IF;
    old := kaireon_internal.get_connector(caller, name);
    -- Waits for whoever is just making a pipeline with it.
    PERFORM FROM kaireon_internal.connector AS c WHERE c.id = old.id FOR UPDATE;
    SELECT string_agg(format('"%s"', p.name), ', ' ORDER BY p.name COLLATE "C") INTO users
      FROM kaireon_internal.pipeline AS p WHERE p.connector_id = old.id OR kaireon_internal.names_connector(p, old.name);
    IF users IS NOT NULL THEN
        PERFORM kaireon_internal.fail('2BP01', format('connector "%s" is in use', name),
            format('Pipelines that use it: %s.', users), 'Delete them, or give them another connector, first.');
    END IF;
    DELETE FROM kaireon_internal.connector AS c WHERE c.id = old.id;
END
$$;

CREATE FUNCTION kaireon.create_connector(name text, type text, config jsonb = '{}', auth_method text = NULL,
                                         auth_config jsonb = '{}', description text = NULL, if_not_exists boolean = false,
                                         replace boolean = false)
    RETURNS uuid LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.create_connector IS 'makes a connector and returns its id, or with replace makes one that is there as given; see view connector_types for the keys of config and auth_config';

CREATE FUNCTION kaireon.update_connector(name text, config jsonb = NULL, auth_method text = NULL, auth_config jsonb = NULL,
                                         description text = NULL, new_name text = NULL)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.update_connector IS
    'changes a connector; what is null stays, config and auth_config are replaced as a whole, {} takes credentials away';

CREATE FUNCTION kaireon.delete_connector(name text, if_exists boolean = false)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.delete_connector IS 'deletes a connector that no pipeline uses';

CREATE FUNCTION kaireon.rotate_master_key() RETURNS int
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_rotate_master_key';
COMMENT ON FUNCTION kaireon.rotate_master_key() IS
    'encrypts all credentials that are encrypted with the previous master key with the current one; how many';
