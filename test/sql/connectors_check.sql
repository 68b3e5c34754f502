-- What of a connector's config and credentials can only fail is refused when it
-- is made or changed, and nothing of a credential is shown.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS kaireon;
RESET client_min_messages;
\pset format unaligned
\pset tuples_only on
SET client_encoding = 'UTF8';
\getenv abs_srcdir PG_ABS_SRCDIR
\set include :abs_srcdir '/sql/include/try.psql'
\i :include

-- What is said of a type's config, method and credentials, without saving anything.
CREATE FUNCTION pg_temp.said(type text, config jsonb, method text = NULL, auth jsonb = '{}') RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE(concat_ws(E'\n  ', NULLIF(t.details ->> 'sqlstate', '') || ' ' || t.message, t.details ->> 'detail', t.details ->> 'hint'), 'ok')
      FROM kaireon.test_connector(type, config, method, auth) AS t
$$;

-- ---- URLs
SELECT c, pg_temp.said('amazon_s3', c::jsonb) FROM unnest(ARRAY[
    '{"bucket": "raw", "endpoint": "https://"}', '{"bucket": "raw", "endpoint": "https://ho st"}', '{"bucket": "raw", "endpoint": "https://host:99999"}', '{"bucket": "raw", "endpoint": "https://host/path"}',
    '{"bucket": "raw", "endpoint": "https://user@host"}', '{"bucket": "raw", "endpoint": "ftp://host"}', '{"bucket": "raw", "stsEndpoint": "http://:80"}',
    '{"bucket": "raw", "proxy": "http://proxy:3128/x"}', '{"bucket": "raw", "proxy": "http://"}']) AS c;
SELECT c, pg_temp.said('http_pull', c::jsonb) FROM unnest(ARRAY[
    '{"baseUrl": "https://"}', '{"baseUrl": "https://h\nost"}', '{"baseUrl": "https://host:x"}', '{"baseUrl": "https://[::1"}', '{"baseUrl": "host/data"}']) AS c;
SELECT pg_temp.said('google_cloud_storage', '{"bucket": "raw", "endpoint": "http://host:4443/storage"}');

-- ---- headers
SELECT c, pg_temp.said('http_pull', c::jsonb) FROM unnest(ARRAY[
    '{"headers": {"Host": "x"}}', '{"headers": {"content-length": "1"}}', '{"headers": {"Transfer-Encoding": "chunked"}}', '{"headers": {"X": "a\r\nY: b"}}', '{"headers": {"X Y": "a"}}', '{"headers": {"": "a"}}',
    '{"headers": {"X": 1}}']) AS c;

-- ---- names
SELECT c, pg_temp.said('amazon_s3', c::jsonb) FROM unnest(ARRAY[
    '{"bucket": "b"}', '{"bucket": "raw/daily"}', '{"bucket": "s3://raw"}', '{"bucket": "raw data"}', '{"bucket": "arn:aws:s3:eu-central-1:1:accesspoint:x"}', '{"bucket": "raw", "region": "Frankfurt (EU)"}']) AS c;
SELECT c, pg_temp.said('google_cloud_storage', c::jsonb) FROM unnest(ARRAY['{"bucket": "Raw"}', '{"bucket": "gs://raw"}']) AS c;
SELECT c, pg_temp.said('azure_blob_storage', c::jsonb, 'access_key', '{"accountKey": "a2V5"}') FROM unnest(ARRAY[
    '{"storageAccount": "My-Account", "container": "raw"}', '{"storageAccount": "account", "container": "Raw"}', '{"storageAccount": "account", "container": "-raw"}', '{"storageAccount": "account", "container": "a--b"}',
    '{"storageAccount": "account", "container": "raw/daily"}', '{"storageAccount": "account", "container": "ab"}']) AS c;
SELECT c, pg_temp.said('sftp', c::jsonb || '{"hostKeySha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}', 'username_password', '{"username": "u", "password": "s3cret"}') FROM unnest(ARRAY[
    '{"host": "sftp://host"}', '{"host": "u@host"}', '{"host": "host", "basePath": "in/../.."}']) AS c;
SELECT pg_temp.said('local_fs', '{"basePath": "/data/../etc"}');

-- ---- who an SSH server is
SELECT c, pg_temp.said('sftp', c::jsonb || '{"host": "files.example.com"}', 'username_password', '{"username": "u", "password": "s3cret"}') FROM unnest(ARRAY[
    '{}', '{"hostKeySha256": "short"}', '{"hostKeySha256": "MD5:aa:bb"}', '{"knownHosts": "files.example.com"}', '{"knownHosts": "# a comment\nfiles.example.com ssh-ed25519 !!!"}',
    '{"knownHosts": "other.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}',
    '{"port": 2222, "knownHosts": "files.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"}']) AS c;

-- ---- certificates
SELECT c, pg_temp.said('http_pull', jsonb_build_object('caCert', c)) FROM unnest(ARRAY[
    '/etc/ssl/ca.pem', '', E'-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----', E'-----BEGIN CERTIFICATE-----\nMIIB']) AS c;

-- ---- credentials
SELECT c, pg_temp.said('amazon_s3', '{"bucket": "raw"}', 'access_key', c::jsonb) FROM unnest(ARRAY[
    '{"accessKeyId": "AKIA\n", "secretAccessKey": "s3cret"}', '{"accessKeyId": "AKIA", "secretAccessKey": "s3cret\n"}', '{"accessKeyId": "AKIA", "secretAccessKey": ""}', '{"accessKeyId": " AKIA", "secretAccessKey": "s3cret"}',
    '{"accessKeyId": "AKIA", "secretAccessKey": "s3cret", "sessionToken": "tok\ren"}']) AS c;
SELECT c, pg_temp.said('amazon_s3', '{"bucket": "raw"}', 'iam_role', c::jsonb) FROM unnest(ARRAY[
    '{"roleArn": "reader"}', '{"roleArn": "arn:aws:iam::123456789012:user/reader"}', '{"roleArn": "arn:aws:iam::123456789012:role/reader", "sessionName": "my session"}']) AS c;
SELECT c, pg_temp.said('azure_blob_storage', '{"storageAccount": "account", "container": "raw"}', 'access_key', c::jsonb) FROM unnest(ARRAY['{"accountKey": "s3cret!"}', '{"accountKey": ""}', '{"accountKey": "c2VjcmV0=="}']) AS c;
SELECT c, pg_temp.said('azure_blob_storage', '{"storageAccount": "account", "container": "raw"}', 'token', c::jsonb) FROM unnest(ARRAY[
    '{"sasToken": "sv=2021&se=2030"}', '{"sasToken": "https://account.blob.core.windows.net/raw?sv=2021&sig="}', '{"sasToken": "sv=2021 &sig=s3cret"}']) AS c;
SELECT c, pg_temp.said('azure_blob_storage', '{"storageAccount": "account", "container": "raw"}', 'connection_string', c::jsonb) FROM unnest(ARRAY[
    '{"connectionString": "s3cret"}', '{"connectionString": "AccountName=account"}', '{"connectionString": "AccountName=account;AccountKey=s3cret!"}', '{"connectionString": "AccountName=account;AccountKey=a2V5;SharedAccessSignature=sig=x"}',
    '{"connectionString": "AccountName=another;AccountKey=a2V5"}', '{"connectionString": "AccountName=account;AccountKy=a2V5"}']) AS c;
-- Azure's account: in one place, or in both and the same.
SELECT pg_temp.said('azure_blob_storage', '{"container": "raw"}', 'access_key', '{"accountKey": "a2V5"}');
SELECT c, pg_temp.said('azure_blob_storage', '{"container": "raw"}', 'connection_string', c::jsonb) FROM unnest(ARRAY[
    '{"connectionString": "AccountKey=a2V5"}', '{"connectionString": "AccountName=My-Account;AccountKey=a2V5"}', '{"connectionString": "SharedAccessSignature=sig=x"}']) AS c;
SELECT c, pg_temp.said('azure_blob_storage', '{"container": "raw", "storageAccount": "account"}', 'connection_string', c::jsonb) FROM unnest(ARRAY[
    '{"connectionString": "BlobEndpoint=https://another.blob.core.windows.net/;SharedAccessSignature=sig=x"}']) AS c;
SELECT c, pg_temp.said('google_cloud_storage', '{"bucket": "raw"}', 'service_account_json', jsonb_build_object('json', c)) FROM unnest(ARRAY[
    '"s3cret"', '"{\"type\": 1"', '{}', '{"type": "authorized_user"}', '{"type": "service_account", "private_key": "s3cret"}', '{"type": "service_account", "client_email": "a@b"}',
    '{"type": "service_account", "client_email": "a@b", "private_key": "s3cret"}', '{"type": "service_account", "client_email": "a@b", "private_key": "s3cret", "token_uri": "none"}']::jsonb[]) AS c;
SELECT pg_temp.said('google_cloud_storage', '{"bucket": "raw"}', 'token', '{"accessToken": "s3cret\n"}');
SELECT c, pg_temp.said('sftp', '{"host": "files.example.com", "hostKeySha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}', 'ssh_key', jsonb_build_object('username', 'u', 'privateKey', c)) FROM unnest(ARRAY[
    's3cret', '/home/u/.ssh/id_ed25519', 'ssh-ed25519 AAAAC3Nz u@host', E'-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA', E'PuTTY-User-Key-File-3: ssh-ed25519\n', '']) AS c;
SELECT c, pg_temp.said('http_pull', '{"baseUrl": "https://example.com"}', 'api_key', c::jsonb) FROM unnest(ARRAY['{"header": "X-Key", "value": "s3cret\r\nX: y"}', '{"header": "Host", "value": "s3cret"}', '{"header": "X Key", "value": "s3cret"}']) AS c;
SELECT pg_temp.said('http_pull', '{"baseUrl": "https://example.com"}', 'token', '{"token": "s3cret\n"}');
SELECT pg_temp.said('http_pull', '{"baseUrl": "https://example.com"}', 'username_password', '{"username": "a:b", "password": "s3cret"}');

-- ---- where connectors are made and changed
SELECT pg_temp.try($$SELECT kaireon.create_connector('v_one', 'amazon_s3', '{"bucket": "raw/daily"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('v_one', 'amazon_s3', '{"bucket": "raw"}', 'access_key', '{"accessKeyId": "AKIA", "secretAccessKey": "s3cret\n"}')$$);
-- what stores do allow; a null is a key that was left out
SELECT kaireon.create_connector('v_null', 'amazon_s3', '{"bucket": "raw", "region": null, "endpoint": null, "maxAttempts": null}', 'access_key', '{"accessKeyId": null, "secretAccessKey": null}');
SELECT kaireon.create_connector('v_null', 'amazon_s3', '{"bucket": "raw", "region": null, "endpoint": null, "maxAttempts": null}') IS NOT NULL;
SELECT kaireon.create_connector('v_one', 'amazon_s3', '{"bucket": "Old_Bucket.name", "region": "US_east", "endpoint": "http://[::1]:9000", "proxy": "http://proxy:3128"}') IS NOT NULL;
SELECT kaireon.create_connector('v_web', 'http_pull', '{"baseUrl": "https://example.com/rows?select=*", "headers": {"X-Team": "a b"}}') IS NOT NULL;
SELECT kaireon.create_connector('v_role', 'amazon_s3', '{"bucket": "raw"}', 'iam_role') IS NOT NULL, kaireon.create_connector('v_gcs', 'google_cloud_storage', '{"bucket": "example.com_raw"}', 'iam_role') IS NOT NULL,
       kaireon.create_connector('v_files', 'local_fs', '{"basePath": "/not/there/yet"}') IS NOT NULL;
SELECT pg_temp.try($$SELECT kaireon.update_connector('v_one', config => '{"bucket": "x"}')$$);
SELECT pg_temp.try($$SELECT kaireon.update_connector('v_one', auth_method => 'access_key', auth_config => '{"accessKeyId": "AK IA\n", "secretAccessKey": "s3cret"}')$$);
SELECT pg_temp.try($$SELECT kaireon.create_connector('v_web', 'http_pull', '{"baseUrl": "https://"}', replace => true)$$);
SELECT config, auth_method FROM kaireon.connectors WHERE name = 'v_one';
SELECT kaireon.delete_connector(name) FROM kaireon.connectors WHERE name LIKE 'v\_%';
