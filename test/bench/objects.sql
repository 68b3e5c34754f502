-- Connectors and pipelines over the same files, on the disk ("bench", of setup.sql) and
-- behind an S3 server.  psql variables: port, id, secret.
SELECT kaireon.create_connector('s3', 'amazon_s3', jsonb_build_object('bucket', 'data', 'endpoint', 'http://127.0.0.1:' || :'port'),
    'access_key', jsonb_build_object('accessKeyId', :'id', 'secretAccessKey', :'secret')) \g /dev/null

SELECT kaireon.create_pipeline(name => e.name, connector => e.connector, schema => 'bench', nodes => jsonb_build_array(
    jsonb_build_object('id', 'read', 'type', 'source', 'config', jsonb_build_object('resource', e.resource, 'format', 'csv', 'header', true, 'incremental', e.incremental)),
    '{"id": "load", "type": "target", "config": {"loadingStrategy": "append", "validation": "skip"}}'::jsonb),
    execution_config => '{"errorHandling": "skip"}')
  FROM (VALUES ('big_disk', 'bench', 'big/*.csv', false), ('big_s3', 's3', 'big/*.csv', false),
               ('small_disk', 'bench', 'small/*.csv', false), ('small_s3', 's3', 'small/*.csv', false),
               ('relist', 's3', 'many/*.csv', true)) AS e (name, connector, resource, incremental) \g /dev/null
