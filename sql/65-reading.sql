-- Reading a source without a pipeline.  All of it is in C and runs in the
-- calling session: src/pg/scan.c, read.c, probe.c, infer.c.  A caller must own
-- the connector, as for making a pipeline with it.

CREATE FUNCTION kaireon.read(connector text, resource text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10000 AS 'MODULE_PATHNAME', 'kaireon_read';
COMMENT ON FUNCTION kaireon.read(text, text, jsonb) IS
    'Rows of a source, streamed: SELECT * FROM kaireon.read(''files'', ''orders/*.csv'') AS t(id bigint, amount numeric)';

CREATE FUNCTION kaireon.describe(connector text, resource text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS jsonb
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'kaireon_describe';
COMMENT ON FUNCTION kaireon.describe(text, text, jsonb) IS
    'How a source''s first file is read: its fields, its dialect and, where that was found out, why; how many of its first rows are bad, and what helps; null without a file';

CREATE FUNCTION kaireon.preview(connector text, resource text DEFAULT NULL, options jsonb DEFAULT '{}', max_rows int DEFAULT 20)
    RETURNS SETOF jsonb LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20 AS 'MODULE_PATHNAME', 'kaireon_preview';
COMMENT ON FUNCTION kaireon.preview(text, text, jsonb, int) IS
    'The first rows of a source with all fields, as text; rows that can not be read are left out unless options say onError';

CREATE FUNCTION kaireon.list_objects(connector text, path text DEFAULT NULL)
    RETURNS TABLE (path text, size bigint, modified_at timestamptz, etag text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'kaireon_list_objects';
COMMENT ON FUNCTION kaireon.list_objects(text, text) IS 'The objects of a source: files of a folder, or what a pattern matches';

CREATE FUNCTION kaireon.test_connector(name text, OUT ok boolean, OUT latency_ms float8, OUT message text, OUT details jsonb)
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'kaireon_test_connector';
COMMENT ON FUNCTION kaireon.test_connector(text) IS
    'Reaches a connector''s source and keeps the outcome in view connectors; what goes wrong is the result, not an error';

CREATE FUNCTION kaireon.test_connector(type text, config jsonb, auth_method text DEFAULT NULL, auth_config jsonb DEFAULT '{}',
                                       OUT ok boolean, OUT latency_ms float8, OUT message text, OUT details jsonb)
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'kaireon_test_connector_config';
COMMENT ON FUNCTION kaireon.test_connector(text, jsonb, text, jsonb) IS 'The same for a connector that is not made yet';

CREATE FUNCTION kaireon.infer_fields(connector text, resource text DEFAULT NULL, options jsonb DEFAULT '{}', sample_rows int DEFAULT 1000)
    RETURNS jsonb LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'kaireon_infer_fields';
COMMENT ON FUNCTION kaireon.infer_fields(text, text, jsonb, int) IS
    'Fields for create_schema, with types that hold every value of the first rows; displayName is the name in the source where it differs';

CREATE FUNCTION kaireon.field_mapping(fields jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    IF jsonb_typeof(fields) <> 'array' THEN
        RAISE EXCEPTION 'fields must be a JSON array' USING ERRCODE = '22023', DETAIL = format('It is %s.', left(fields::text, 100)),
            HINT = 'For example: kaireon.field_mapping(kaireon.infer_fields(''files'', ''orders.csv'')).';
    END IF;
    SELECT format('%s %s', n, left(f::text, 100)) INTO wrong FROM jsonb_array_elements(fields) WITH ORDINALITY AS a (f, n) WHERE jsonb_typeof(f) <> 'object' ORDER BY n LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'field % must be a JSON object', split_part(wrong, ' ', 1) USING ERRCODE = '22023', DETAIL = format('It is %s.', substr(wrong, strpos(wrong, ' ') + 1)),
            HINT = 'For example: {"name": "e_mail", "displayName": "E-Mail"}.';
    END IF;
    RETURN (SELECT COALESCE(jsonb_object_agg(f ->> 'displayName', f ->> 'name'), '{}')
              FROM jsonb_array_elements(fields) AS f WHERE f ->> 'displayName' <> f ->> 'name');
END
$$;
COMMENT ON FUNCTION kaireon.field_mapping(jsonb) IS
    'A target node''s fieldMapping for fields that infer_fields had to give another name';
