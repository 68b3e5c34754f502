-- The engine: starting, stopping and looking at runs.  All of it is in C.

-- What compiled pipelines call.
CREATE FUNCTION kaireon.mask_ssn(value text, preserve_length boolean DEFAULT false) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_mask_ssn';
CREATE FUNCTION kaireon.mask_email(value text, preserve_length boolean DEFAULT false) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_mask_email';
CREATE FUNCTION kaireon.mask_phone(value text, preserve_length boolean DEFAULT false) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_mask_phone';
CREATE FUNCTION kaireon.mask_credit_card(value text, preserve_length boolean DEFAULT false) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_mask_credit_card';

COMMENT ON FUNCTION kaireon.mask_ssn(text, boolean) IS 'Hides a social security number but for its last four digits: ***-**-1234';
COMMENT ON FUNCTION kaireon.mask_email(text, boolean) IS 'Hides an e-mail address but for its first letter and domain: j***@example.com';
COMMENT ON FUNCTION kaireon.mask_phone(text, boolean) IS 'Hides a telephone number but for its last four digits: ***-***-5678';
COMMENT ON FUNCTION kaireon.mask_credit_card(text, boolean) IS 'Hides a card number but for its last four digits: ****-****-****-1234';

CREATE FUNCTION kaireon.map_value(value text, mappings jsonb) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_map_value';
CREATE FUNCTION kaireon.map_value(value text, mappings jsonb, fallback text) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_map_value';
CREATE FUNCTION kaireon.split_field(value text, separator text, part int, parts int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_split_field';

COMMENT ON FUNCTION kaireon.map_value(text, jsonb) IS 'What a JSON object has under a key; a value that is no key stays as it is';
COMMENT ON FUNCTION kaireon.map_value(text, jsonb, text) IS 'What a JSON object has under a key, or the fallback';
CREATE FUNCTION kaireon.iso_time(value text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_iso_time';
COMMENT ON FUNCTION kaireon.iso_time(text) IS 'The moment that a date or time stands for as ISO 8601 writes it; UTC without a zone';
CREATE FUNCTION kaireon.plain_number(value text, "decimal" text, thousands text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_plain_number';
COMMENT ON FUNCTION kaireon.plain_number(text, text, text) IS 'A number written with these separators, as PostgreSQL writes it';
COMMENT ON FUNCTION kaireon.split_field(text, text, int, int) IS 'One of so many parts of a text; the last is all that is left';

-- What a validate node's rules are compiled to; the stage takes the call apart.
CREATE FUNCTION kaireon.rule(place int, condition boolean) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_rule';
COMMENT ON FUNCTION kaireon.rule(int, boolean) IS 'For rules of validate nodes: true unless the condition is false';

-- What its checks on all rows together look at; the stage takes that call apart too.
CREATE FUNCTION kaireon.observe(place int, value anyelement) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_observe';
COMMENT ON FUNCTION kaireon.observe(int, anyelement) IS 'For checks of validate nodes on all rows: always true';

-- What a hash node with a "keySecret" is compiled to; the key is with the execution.
CREATE FUNCTION kaireon.keyed_hash(value text, node text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'kaireon_keyed_hash';
COMMENT ON FUNCTION kaireon.keyed_hash(text, text) IS 'For hash nodes: the keyed hash of a value; null outside of a pipeline';

-- What users' expressions are rewritten to call, so that their results have a size.
CREATE FUNCTION kaireon.bounded_size(value anyelement) RETURNS anyelement
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_size';
CREATE FUNCTION kaireon.bounded_lpad(value text, length int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_lpad';
CREATE FUNCTION kaireon.bounded_lpad(value text, length int, fill text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_lpad';
CREATE FUNCTION kaireon.bounded_rpad(value text, length int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_rpad';
CREATE FUNCTION kaireon.bounded_rpad(value text, length int, fill text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_rpad';
CREATE FUNCTION kaireon.bounded_repeat(value text, times int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_repeat';
CREATE FUNCTION kaireon.bounded_replace(value text, search text, replacement text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_replace';
CREATE FUNCTION kaireon.bounded_regexp_replace(value text, pattern text, replacement text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_regexp_replace';
CREATE FUNCTION kaireon.bounded_regexp_replace(value text, pattern text, replacement text, flags text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_regexp_replace';
CREATE FUNCTION kaireon.bounded_regexp_replace(value text, pattern text, replacement text, start int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_regexp_replace';
CREATE FUNCTION kaireon.bounded_regexp_replace(value text, pattern text, replacement text, start int, n int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_regexp_replace';
CREATE FUNCTION kaireon.bounded_regexp_replace(value text, pattern text, replacement text, start int, n int, flags text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_regexp_replace';
-- And these take a time.
CREATE FUNCTION kaireon.bounded_strpos(value text, search text) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_strpos';
CREATE FUNCTION kaireon.bounded_position(value bytea, search bytea) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_position';
CREATE FUNCTION kaireon.bounded_like(value text, pattern text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_like';
CREATE FUNCTION kaireon.bounded_like(value text, patterns text[], any_of boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_like';
CREATE FUNCTION kaireon.bounded_nlike(value text, pattern text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_nlike';
CREATE FUNCTION kaireon.bounded_nlike(value text, patterns text[], any_of boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_nlike';
CREATE FUNCTION kaireon.bounded_ilike(value text, pattern text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_ilike';
CREATE FUNCTION kaireon.bounded_ilike(value text, patterns text[], any_of boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_ilike';
CREATE FUNCTION kaireon.bounded_nilike(value text, pattern text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_nilike';
CREATE FUNCTION kaireon.bounded_nilike(value text, patterns text[], any_of boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_nilike';
CREATE FUNCTION kaireon.bounded_like(value bytea, pattern bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_like';
CREATE FUNCTION kaireon.bounded_like(value bytea, patterns bytea[], any_of boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_like';
CREATE FUNCTION kaireon.bounded_nlike(value bytea, pattern bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_nlike';
CREATE FUNCTION kaireon.bounded_nlike(value bytea, patterns bytea[], any_of boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_nlike';
CREATE FUNCTION kaireon.bounded_split_part(value text, separator text, part int) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_split_part';
CREATE FUNCTION kaireon.bounded_string_to_array(value text, separator text) RETURNS text[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_string_to_array';
CREATE FUNCTION kaireon.bounded_string_to_array(value text, separator text, null_text text) RETURNS text[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_string_to_array';
CREATE FUNCTION kaireon.bounded_translate(value text, from_characters text, to_characters text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_translate';
CREATE FUNCTION kaireon.bounded_btrim(value text, characters text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_btrim';
CREATE FUNCTION kaireon.bounded_btrim(value bytea, bytes bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_btrim';
CREATE FUNCTION kaireon.bounded_ltrim(value text, characters text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_ltrim';
CREATE FUNCTION kaireon.bounded_ltrim(value bytea, bytes bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_ltrim';
CREATE FUNCTION kaireon.bounded_rtrim(value text, characters text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_rtrim';
CREATE FUNCTION kaireon.bounded_rtrim(value bytea, bytes bytea) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_bytea_rtrim';
CREATE FUNCTION kaireon.bounded_contains(a anyarray, b anyarray) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_contains';
CREATE FUNCTION kaireon.bounded_contained(a anyarray, b anyarray) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_contained';
CREATE FUNCTION kaireon.bounded_overlaps(a anyarray, b anyarray) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_overlaps';
CREATE FUNCTION kaireon.bounded_contains(a jsonb, b jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_jsonb_contains';
CREATE FUNCTION kaireon.bounded_contained(a jsonb, b jsonb) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_jsonb_contained';
CREATE FUNCTION kaireon.bounded_without(value jsonb, keys text[]) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_jsonb_without';
CREATE FUNCTION kaireon.bounded_has_any(value jsonb, keys text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_jsonb_has_any';
CREATE FUNCTION kaireon.bounded_has_all(value jsonb, keys text[]) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_bounded_jsonb_has_all';

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_catalog.pg_proc AS p WHERE p.pronamespace OPERATOR(pg_catalog.=) 'kaireon'::regnamespace
                AND pg_catalog.starts_with(p.proname::text, 'bounded_') LOOP
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %s IS %L', f, 'For expressions: fails for a result larger than kaireon.max_field_bytes, or for work that would take too long');
    END LOOP;
END
$$;

CREATE FUNCTION kaireon_internal.expression_functions(OUT name text, OUT kind text, OUT category text, OUT description text, OUT example text)
    RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'kaireon_expression_functions';
CREATE VIEW kaireon.expression_functions WITH (security_barrier) AS
SELECT f.name, f.category, f.kind, f.description, f.example FROM kaireon_internal.expression_functions() AS f;
COMMENT ON VIEW kaireon.expression_functions IS 'what expressions in pipelines may call: functions, syntax and operators, each with an example';

-- Called by create_pipeline and update_pipeline, as the extension's owner.
CREATE FUNCTION kaireon_internal.check_pipeline(caller regrole, connector_id uuid, schema_id uuid, nodes jsonb, edges jsonb,
                                                execution_config jsonb)
    RETURNS TABLE (node_id text, severity text, code text, message text, hint text)
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_check_pipeline';

CREATE FUNCTION kaireon_internal.progress_slots(OUT run_id uuid, OUT pipeline text, OUT owner regrole, OUT stage text,
    OUT started_at timestamptz, OUT bytes_read int8, OUT bytes_total int8, OUT rows_read int8, OUT rows_loaded int8,
    OUT rows_updated int8, OUT rows_failed int8, OUT rows_skipped int8, OUT rows_filtered int8, OUT pid int, OUT waits_until timestamptz)
    RETURNS SETOF record LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_progress_slots';

CREATE FUNCTION kaireon.run_pipeline(name text, options jsonb DEFAULT '{}') RETURNS kaireon.run
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_run_pipeline';
COMMENT ON FUNCTION kaireon.run_pipeline(text, jsonb) IS
    'Runs a pipeline in a background worker and waits for it; cancelling the statement cancels the run';

CREATE FUNCTION kaireon.start_pipeline(name text, options jsonb DEFAULT '{}') RETURNS uuid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_start_pipeline';
COMMENT ON FUNCTION kaireon.start_pipeline(text, jsonb) IS
    'Queues a run of a pipeline, which starts once the calling transaction commits; gives its run_id';

CREATE FUNCTION kaireon.cancel_run(run_id uuid) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_cancel_run';
COMMENT ON FUNCTION kaireon.cancel_run(uuid) IS 'Cancels a queued or running run; false when it had ended already';

CREATE FUNCTION kaireon.validate_pipeline(name text)
    RETURNS TABLE (node_id text, severity text, code text, message text)
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_validate_pipeline';
COMMENT ON FUNCTION kaireon.validate_pipeline(text) IS 'Everything that is wrong with a pipeline''s newest version; no rows: nothing. Severity info: what a pattern with dates stands for now';

CREATE FUNCTION kaireon.preview_pipeline(name text, max_rows int DEFAULT 20, node text DEFAULT NULL) RETURNS SETOF jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_preview_pipeline';
COMMENT ON FUNCTION kaireon.preview_pipeline(text, int, text) IS
    'The first rows a pipeline would load, or as they are behind one of its nodes, without loading them';

CREATE FUNCTION kaireon.explain_pipeline(name text, "analyze" boolean DEFAULT false) RETURNS SETOF text
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_explain_pipeline';
COMMENT ON FUNCTION kaireon.explain_pipeline(text, boolean) IS
    'The SQL a pipeline compiles to, and its plan; with analyze the source is read and each node''s rows are counted';

CREATE FUNCTION kaireon.pipeline_columns(name text)
    RETURNS TABLE (target_node text, target_schema text, target_column text, source_node text, source_schema text, source_column text,
                   nodes text[], steps text[])
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_pipeline_columns';
COMMENT ON FUNCTION kaireon.pipeline_columns(text) IS
    'Which source columns each target column is made of, and the nodes that made it, with what they do; a source column of null is a default or a constant';

CREATE FUNCTION kaireon.pipeline_diagram(name text, format text DEFAULT 'text') RETURNS text
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'kaireon_pipeline_diagram';
COMMENT ON FUNCTION kaireon.pipeline_diagram(text, text) IS
    'A drawing of a pipeline with the last run''s row counts: text, mermaid or dot';

-- ---- text that a client hands over

-- The pipeline that loads what is uploaded to a name: the one of that name, else
-- the one that loads the schema of that name.
CREATE FUNCTION kaireon_internal.find_upload_pipeline(caller regrole, name text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    p kaireon_internal.pipeline := (SELECT o FROM kaireon_internal.pipeline AS o WHERE o.name = name);
    s kaireon_internal.schema;
    found text[];
    making text;
BEGIN
    IF p.id IS NOT NULL AND (kaireon_internal.reads_uploads(p, COALESCE(p.published_version, p.draft_version)) OR NOT kaireon_internal.may_see_as(caller, p.owner)) THEN
        RETURN name;
    END IF;
    SELECT o.* INTO s FROM kaireon_internal.schema AS o WHERE o.name = kaireon_internal.safe_name(name);
    -- Put together, so that this is no statement that may carry credentials (redact_text.c) and has its caller's blanked out.
    making := format('Make one: SELECT kaireon.create_%s(''uploads'', ''csv_upload''); SELECT kaireon.create_pipeline(%L, ''uploads'', %L);', 'connector',
                     'upload_' || COALESCE(s.name, 'customers'), COALESCE(s.name, 'customers'));
    IF s.id IS NULL AND p.id IS NOT NULL THEN
        PERFORM kaireon_internal.fail('42809', format('pipeline "%s" does not read what is uploaded', name), 'Its source is no connector of type "csv_upload".',
            'Run it with kaireon.run_pipeline, or upload to another one.');
    ELSIF s.id IS NULL THEN
        PERFORM kaireon_internal.fail('42704', format('there is no pipeline or schema "%s"', name), 'Text is uploaded to a pipeline that reads a connector of type "csv_upload", or to the schema that it loads.', making);
    END IF;
    found := ARRAY(SELECT o.name FROM kaireon_internal.pipeline AS o
                    WHERE o.schema_id = s.id AND o.status <> 'archived' AND kaireon_internal.may_see_as(caller, o.owner) AND kaireon_internal.reads_uploads(o, COALESCE(o.published_version, o.draft_version))
                    ORDER BY o.name COLLATE "C");
    IF found = '{}' THEN
        PERFORM kaireon_internal.fail('55000', format('no pipeline loads what is uploaded to schema "%s"', s.name), 'That takes a pipeline with a connector of type "csv_upload".', making);
    ELSIF cardinality(found) > 1 THEN
        PERFORM kaireon_internal.fail('42725', format('several pipelines load what is uploaded to schema "%s"', s.name), format('They are %s.', array_to_string(found, ', ')),
            'Name the pipeline instead of the schema.');
    END IF;
    RETURN found[1];
END
$$;

CREATE FUNCTION kaireon.upload_csv(schema text, content text, options jsonb DEFAULT '{}') RETURNS kaireon.run
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_upload_csv_text';
COMMENT ON FUNCTION kaireon.upload_csv(text, text, jsonb) IS
    'Loads text, as a file would be, by the pipeline of that name or the one of that schema, which reads a connector of type csv_upload';
CREATE FUNCTION kaireon.upload_csv(schema text, content bytea, options jsonb DEFAULT '{}') RETURNS kaireon.run
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kaireon_upload_csv_bytes';
COMMENT ON FUNCTION kaireon.upload_csv(text, bytea, jsonb) IS
    'The same of a file''s bytes, compressed or in another encoding too';
