-- Connectors: create, update, delete, and every error these can give.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- A type of its own, to test what local_fs does not have.
INSERT INTO kaireon_internal.connector_type VALUES ('test_store', '{"category": "object_storage", "displayName": "Test store",
    "status": "coming_soon", "authMethods": ["access_key", "token"],
    "configFields": [{"name": "bucket", "type": "string", "required": true},
                     {"name": "port", "type": "integer", "min": 1, "max": 65535},
                     {"name": "pathStyle", "type": "boolean"}, {"name": "headers", "type": "object"},
                     {"name": "ratio", "type": "number"}, {"name": "list", "type": "array"},
                     {"name": "sslMode", "type": "select", "values": ["prefer", "require"]}],
    "authFields": [{"name": "accessKeyId", "type": "string", "required": true, "methods": ["access_key"]},
                   {"name": "accessToken", "type": "password", "required": true, "methods": ["token"]},
                   {"name": "caCert", "type": "string"}]}', 'user');
INSERT INTO kaireon_internal.connector_type VALUES ('test_open', '{"authMethods": ["access_key", "none"],
    "configFields": [{"name": "bucket", "required": true}],
    "authFields": [{"name": "accessKeyId", "required": true, "methods": ["access_key"]}]}', 'user');

SELECT type, category, display_name, status, auth_methods, resources ->> 'kind', description IS NOT NULL
  FROM kaireon.connector_types WHERE type = 'local_fs';
SELECT f ->> 'name', f ->> 'type' FROM kaireon.connector_types, jsonb_array_elements(config_fields) AS f WHERE type = 'local_fs';
SELECT type, category, display_name, status, auth_methods, config_fields, auth_fields, resources
  FROM kaireon.connector_types WHERE type = 'test_open';

-- Create.
SELECT kaireon.create_connector(name => 'c_files', type => 'local_fs', config => '{"basePath": "/data"}',
                                description => 'some files') AS made \gset
SELECT id = :'made' FROM kaireon.connectors WHERE name = 'c_files';
SELECT kaireon.create_connector('c Ümläut / 2', 'local_fs') IS NOT NULL;
SELECT kaireon.create_connector('c_null', 'local_fs', NULL, NULL, NULL, NULL) IS NOT NULL;
SELECT kaireon.create_connector('c_open', 'test_open', '{"bucket": "b"}') IS NOT NULL;
SELECT name, type, category, auth_method, config, status, last_tested_at, last_error, description, owner = current_user::regrole,
       created_at = updated_at
  FROM kaireon.connectors WHERE name LIKE 'c%' ORDER BY name COLLATE "C";

-- Create again.
SELECT kaireon.create_connector('c_files', 'local_fs', if_not_exists => true) = (SELECT id FROM kaireon.connectors WHERE name = 'c_files');
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_files', 'local_fs')$$);

-- Names.
SELECT pg_temp.try($$SELECT kaireon.create_connector(NULL, 'local_fs')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('', 'local_fs')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector(' x', 'local_fs')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector(E'a\tb', 'local_fs')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector(repeat('x', 256), 'local_fs')$$);

-- Types and methods.
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_sf')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'no such thing')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', NULL)$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', auth_method => 'token')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b"}', 'tokn')$$);

-- config.
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', '{"basepath": "/data"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', '{"basePath": 1}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', '["basePath"]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', '{"basePath": "data/in"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', '"/data"')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', 'null')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_open', '{}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_open', '{"bucket": null}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "port": "80"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "port": 1.5}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "port": 65536}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "pathStyle": "yes"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "headers": []}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "list": {}}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "ratio": "x"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b", "sslMode": "off"}')$$);

-- auth_config: no value of it may come back in an error.
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', auth_config => '{"password": "s3cret"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'local_fs', auth_config => '["s3cret"]')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b"}', 'token', '{"accessKeyId": "s3cret"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b"}', 'token', '{"accessToken": 12345}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('c_bad', 'test_store', '{"bucket": "b"}', 'token', '{"accessToken": "s3cret", "caCert": "x"}')$$);

-- Update.
UPDATE kaireon_internal.connector SET status = 'connected', last_error = 'x' WHERE name = 'c_files';
SELECT kaireon.update_connector('c_files', description => 'other files');
SELECT name, config, status, description FROM kaireon.connectors WHERE name = 'c_files';
SELECT kaireon.update_connector('c_files', config => '{"basePath": "/other"}', description => '', new_name => 'c_renamed');
SELECT name, config, status, last_error, description, updated_at >= created_at FROM kaireon.connectors WHERE name = 'c_renamed';
SELECT kaireon.update_connector('c_renamed', new_name => 'c_renamed');
SELECT pg_temp.try($$SELECT kaireon.update_connector('c_renamed', config => '{"path": "/x"}')$$);
SELECT pg_temp.try($$SELECT kaireon.update_connector('c_renamed', auth_method => 'token')$$);
SELECT pg_temp.try($$SELECT kaireon.update_connector('c_renamed', new_name => 'c_open')$$);
SELECT pg_temp.try($$SELECT kaireon.update_connector('c_renamed', new_name => '')$$);
SELECT pg_temp.try($$SELECT kaireon.update_connector('c_renamd', description => 'x')$$);

-- Delete.
SELECT kaireon.create_schema('c_target', '[{"name": "a"}]') IS NOT NULL;
SELECT kaireon.create_pipeline('c_load', 'c_renamed', 'c_target') IS NOT NULL;
SELECT kaireon.create_pipeline('c_more', 'c_renamed', 'c_target') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.delete_connector('c_renamed')$$);
SELECT kaireon.delete_pipeline('c_load'), kaireon.delete_pipeline('c_more');
SELECT kaireon.delete_connector('c_renamed');
SELECT pg_temp.try($$SELECT kaireon.delete_connector('c_renamed')$$) LIMIT 1;
SELECT pg_temp.try($$SELECT kaireon.delete_connector(NULL)$$) LIMIT 1;

-- An error of ours inside somebody's function keeps that function's context, not ours.
CREATE FUNCTION connectors_outer() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM kaireon.delete_connector('c_nul');
END $$;
SELECT connectors_outer();
DROP FUNCTION connectors_outer;

-- Only what was said above is left.
SELECT kaireon.delete_connector('c Ümläut / 2'), kaireon.delete_connector('c_null'), kaireon.delete_connector('c_open');
SELECT kaireon.delete_schema('c_target');
DELETE FROM kaireon_internal.connector_type WHERE origin = 'user';
SELECT name FROM kaireon.connectors WHERE name LIKE 'c%';
