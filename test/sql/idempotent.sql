-- What a script may do twice: if_not_exists, replace, if_exists, and calls that change nothing the second time.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on

\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- ---- both at once

SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs', if_not_exists => true, replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'c', 's', if_not_exists => true, replace => true)$$);

-- ---- connectors

CREATE TEMP TABLE first (kind text, id uuid);
INSERT INTO first SELECT 'connector', kaireon.create_connector('twice', 'local_fs', '{"basePath": "/srv/a"}', description => 'first', replace => true);
CREATE VIEW pg_temp.connector AS SELECT name, type, auth_method, config, status, last_error, description, id = (SELECT id FROM first WHERE kind = 'connector') AS same
  FROM kaireon.connectors WHERE name = 'twice';
SELECT * FROM pg_temp.connector;
-- The same again, and the outcome of a test stays.
UPDATE kaireon_internal.connector SET status = 'error', last_error = 'x' WHERE name = 'twice';
SELECT kaireon.create_connector('twice', 'local_fs', '{"basePath": "/srv/a"}', description => 'first', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.connector;
-- Something else: it is as a new one would be.
SELECT kaireon.create_connector('twice', 'local_fs', '{"basePath": "/srv/b"}', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.connector;
SELECT kaireon.create_connector('twice', 'local_fs', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.connector;
-- It is checked all the same.
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs', '{"basepath": "/srv/b"}', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'csv_upload', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'nope', replace => true)$$);
SELECT kaireon.create_connector('twice', 'csv_upload', if_not_exists => true) IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs')$$);

-- ---- pipelines

SELECT kaireon.create_schema('twice', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;
SELECT kaireon.create_schema('twice2', '[{"name": "a", "dataType": "integer"}]') IS NOT NULL;
INSERT INTO first SELECT 'pipeline', kaireon.create_pipeline('twice', 'twice', 'twice', description => 'first', replace => true);
CREATE VIEW pg_temp.pipeline AS SELECT name, connector, schema, draft_version, published_version, status, description,
       jsonb_path_query_array(nodes, '$[*].id') AS nodes, id = (SELECT id FROM first WHERE kind = 'pipeline') AS same
  FROM kaireon.pipelines WHERE name = 'twice';
SELECT * FROM pg_temp.pipeline;
SELECT kaireon.publish_pipeline('twice');
-- The same again, however it is written.
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', description => 'first', replace => true) IS NOT NULL;
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', '[{"id": "source", "type": "source", "label": null}, {"type": "target", "id": "target", "config": {"loadingStrategy": "append"}}]',
                               '[{"sourceNodeId": "source", "targetNodeId": "target"}]', description => 'first', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.pipeline;
-- Something else is a new version, which does not run before it is published.
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', '[{"id": "in", "type": "source"}, {"id": "out", "type": "target"}]', replace => true) IS NOT NULL;
SELECT kaireon.create_pipeline('twice', 'twice', 'twice', '[{"id": "in", "type": "source"}, {"id": "out", "type": "target"}]', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.pipeline;
SELECT kaireon.create_pipeline('twice', 'twice', 'twice2', '[{"id": "in", "type": "source"}, {"id": "out", "type": "target"}]', execution_config => '{"errorHandling": "skip"}', replace => true) IS NOT NULL;
SELECT * FROM pg_temp.pipeline;
SELECT version, execution_config FROM kaireon.pipeline_versions WHERE pipeline = 'twice' ORDER BY version;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'twice', 'twice2', '[{"id": "in", "type": "source"}]', replace => true)$$);
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'twise', 'twice2', replace => true)$$);
SELECT kaireon.create_pipeline('twice', 'nope', 'nope', if_not_exists => true) IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'twice', 'twice')$$);
-- What does nothing the second time.
SELECT kaireon.publish_pipeline('twice'), kaireon.publish_pipeline('twice');
SELECT kaireon.pause_pipeline('twice'), kaireon.pause_pipeline('twice');
SELECT kaireon.resume_pipeline('twice'), kaireon.resume_pipeline('twice');
SELECT kaireon.archive_pipeline('twice'), kaireon.archive_pipeline('twice');
SELECT kaireon.change_owner('pipeline', 'twice', CURRENT_USER::regrole), kaireon.change_owner('connector', 'twice', CURRENT_USER::regrole);

-- ---- replacing takes what changing takes

SET client_min_messages = warning;
CREATE ROLE regress_other IN ROLE kaireon_admin;
RESET client_min_messages;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_connector('twice', 'local_fs', replace => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_connector('hers', 'local_fs')$$, 'regress_other') AS t;
GRANT INSERT ON ds_twice TO regress_other;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.create_pipeline('twice', 'hers', 'twice', replace => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.delete_pipeline('twice', if_exists => true)$$, 'regress_other') AS t;
SELECT replace(t, session_user, 'SUPERUSER') FROM pg_temp.try($$SELECT kaireon.delete_connector('twice', if_exists => true)$$, 'regress_other') AS t;

-- ---- away with it

SELECT pg_temp.try($$SELECT kaireon.delete_connector('twice', if_exists => true)$$);
SELECT kaireon.delete_pipeline('twice', if_exists => true), kaireon.delete_pipeline('twice', if_exists => true);
SELECT kaireon.delete_connector('twice', if_exists => true), kaireon.delete_connector('twice', if_exists => true);
SELECT kaireon.delete_schema('twice'), kaireon.delete_schema('twice2'), kaireon.delete_connector('hers');
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline('twice')$$);
SELECT pg_temp.try($$SELECT kaireon.delete_pipeline(NULL)$$);
SELECT pg_temp.try($$SELECT kaireon.delete_connector(NULL, if_exists => true)$$);
DROP ROLE regress_other;
