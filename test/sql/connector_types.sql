-- The connector types that come with the extension: what each takes, that the
-- registry is consistent, other names, and what a type that can't be read yet says.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- Each type: category, status, aliases; keys of config; each auth method with its keys.  A star: required.
CREATE FUNCTION pg_temp.keys(fields jsonb, method text) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(string_agg(f ->> 'name' || CASE WHEN f -> 'required' = 'true' THEN '*' ELSE '' END, ' ' ORDER BY i), '')
      FROM jsonb_array_elements(fields) WITH ORDINALITY AS e (f, i) WHERE method IS NULL OR NOT f ? 'methods' OR f -> 'methods' ? method
$$;
SELECT concat_ws(' ', type, category, status, NULLIF(array_to_string(aliases, ','), '')), E'\n  config: ' || pg_temp.keys(config_fields, NULL),
       (SELECT string_agg(E'\n  ' || m || ': ' || pg_temp.keys(auth_fields, m), '' ORDER BY i) FROM unnest(auth_methods) WITH ORDINALITY AS a (m, i))
  FROM kaireon.connector_types WHERE type IN (SELECT c.type FROM kaireon_internal.connector_type AS c WHERE origin = 'built-in')
 ORDER BY type COLLATE "C";

-- What would be a mistake in a connector.json.
CREATE TEMP VIEW built_in AS SELECT type, spec FROM kaireon_internal.connector_type WHERE origin = 'built-in';
CREATE TEMP VIEW fields AS
SELECT type, kind, f FROM built_in, (VALUES ('configFields'), ('authFields')) AS k (kind), jsonb_array_elements(spec -> kind) AS f;
SELECT type, 'its folder has another name' FROM built_in WHERE type <> spec ->> 'type';
SELECT type, 'unknown keys' FROM built_in WHERE spec - '{type,category,displayName,status,description,aliases,authMethods,configFields,authFields,resources,abilities,formats,compressions,network}'::text[] <> '{}';
SELECT type, 'category' FROM built_in WHERE (spec ->> 'category') NOT IN ('object_storage', 'streaming', 'warehouse', 'database', 'crm', 'cdp', 'messaging', 'api');
SELECT type, 'status' FROM built_in WHERE (spec ->> 'status') NOT IN ('ready', 'coming_soon');
SELECT type, 'no text' FROM built_in WHERE length(spec ->> 'displayName') < 3 OR length(spec ->> 'description') < 20 OR spec -> 'resources' ->> 'description' IS NULL;
SELECT type, 'ability ' || a FROM built_in, jsonb_array_elements_text(COALESCE(spec -> 'abilities', '[]')) AS a WHERE a NOT IN ('patterns', 'move', 'call');
SELECT type, 'method ' || m FROM built_in, jsonb_array_elements_text(spec -> 'authMethods') AS m
 WHERE m NOT IN ('iam_role', 'access_key', 'service_account_json', 'connection_string', 'oauth2', 'api_key', 'username_password', 'ssh_key', 'token', 'none');
SELECT type, f ->> 'name', 'unknown keys' FROM fields WHERE f - '{name,label,type,required,values,min,max,pattern,patternHint,suggestions,description,methods,secret,fields}'::text[] <> '{}';
SELECT type, f ->> 'name', 'has no type, label or description' FROM fields WHERE f ->> 'type' IS NULL OR f ->> 'label' IS NULL OR length(f ->> 'description') < 10;
SELECT type, f ->> 'name', 'type' FROM fields
 WHERE (f ->> 'type') NOT IN ('string', 'integer', 'number', 'boolean', 'object', 'array', 'any', 'password', 'url', 'select') OR (f ->> 'type' = 'select') <> (f ? 'values');
SELECT type, f ->> 'name', 'methods' FROM fields JOIN built_in USING (type) WHERE f ? 'methods' AND NOT spec -> 'authMethods' @> (f -> 'methods');
SELECT type, f ->> 'name', 'more than once' FROM fields GROUP BY type, kind, f ->> 'name' HAVING count(*) > 1;
SELECT type, f ->> 'name', 'config holds no secrets' FROM fields WHERE kind = 'configFields' AND (f ->> 'type' = 'password' OR f ? 'secret');
SELECT type, f ->> 'name', 'what is checked by its value is no secret' FROM fields
 WHERE kind = 'authFields' AND f ?| '{values,pattern,min,max}' AND f -> 'secret' IS DISTINCT FROM 'false';
SELECT a, 'alias of more than one' FROM built_in, jsonb_array_elements_text(COALESCE(spec -> 'aliases', '[]')) AS a
 GROUP BY a HAVING count(*) > 1 OR a IN (SELECT type FROM built_in);

-- An alias makes a connector of the real type.
SELECT kaireon.create_connector('ct_bucket', 'aws_s3', '{"bucket": "raw"}') IS NOT NULL;
SELECT type, category, auth_method, config FROM kaireon.connectors WHERE name = 'ct_bucket';
SELECT ok, message, details FROM kaireon.test_connector('aws_s3', '{"bucket": "b", "prefx": "a"}');
SELECT ok, message, details FROM kaireon.test_connector('rest_api', '{"baseUrl": "https://host"}');

-- One of a type that is not ready can be made and looked at, not read.
SELECT kaireon.create_connector('ct_soon', 'apache_kafka', '{"bootstrapServers": "host:9092"}') IS NOT NULL;
SELECT ok, message, details FROM kaireon.test_connector('ct_soon');
SELECT status, last_error FROM kaireon.connectors WHERE name = 'ct_soon';
SELECT pg_temp.try($$SELECT * FROM kaireon.read('ct_soon', 'x.csv') AS t (a text)$$);
SELECT pg_temp.try($$SELECT kaireon.preview('ct_soon', 'x.csv')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.list_objects('ct_soon')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.describe('ct_soon', 'x.csv')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.infer_fields('ct_soon', 'x.csv')$$) LIMIT 1;
SELECT kaireon.create_schema('ct_target', '[{"name": "a"}]') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('ct_load', 'ct_soon', 'ct_target')$$);
SELECT kaireon.create_connector('ct_files', 'local_fs', '{"basePath": "/data"}') IS NOT NULL;
SELECT kaireon.create_pipeline('ct_load', 'ct_files', 'ct_target') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.update_pipeline('ct_load', connector => 'ct_soon')$$);
UPDATE kaireon_internal.pipeline SET connector_id = (SELECT id FROM kaireon_internal.connector WHERE name = 'ct_soon') WHERE name = 'ct_load';
SELECT * FROM kaireon.validate_pipeline('ct_load');

-- A field of a field.
SELECT pg_temp.try($$SELECT kaireon.create_connector('ct_bad', 'rest_api', '{"baseUrl": "https://a", "rateLimit": {"perSecond": 1}}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('ct_bad', 'rest_api', '{"baseUrl": "ftp://a"}')$$);

SELECT kaireon.delete_pipeline('ct_load'), kaireon.delete_schema('ct_target'), kaireon.delete_connector('ct_files'), kaireon.delete_connector('ct_bucket'), kaireon.delete_connector('ct_soon');

-- ---- a config is seen by all who see the connector: no passwords in it, and none in the error
SELECT kaireon.create_connector('ct_url', 'rest_api', '{"baseUrl": "https://user:secret@host/x"}');
SELECT kaireon.create_connector('ct_url', 'postgresql', '{"host": " postgres://u:secret@h/d", "database": "d"}');
SELECT kaireon.create_connector('ct_url', 'http_pull', '{"baseUrl": "https://host", "headers": {"X": "ftp://secret@h"}}');
SELECT kaireon.create_connector('ct_url', 'rest_api', '{"baseUrl": "https://host/x?mail=a@b"}') IS NOT NULL;
SELECT kaireon.delete_connector('ct_url');
SELECT kaireon.run_pipeline(NULL);
SELECT kaireon.start_pipeline(NULL);
