-- Reading a source without a pipeline.  All of it is in C and runs in the
-- calling session: src/pg/scan.c, read.c, probe.c, infer.c.  A caller must own
-- the connector, as for making a pipeline with it.

CREATE FUNCTION kaireon.read(connector text, resource text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10000 AS 'MODULE_PATHNAME', 'kaireon_read';
COMMENT ON FUNCTION kaireon.read(text, text, jsonb) IS
    'Rows of a source, streamed: SELECT * FROM kaireon.read(''files'', ''orders/*.csv'') AS t(id bigint, amount numeric)';
