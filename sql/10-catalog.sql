-- The catalog: what connectors, schemas, pipelines and runs are.
--
-- Tables live in kaireon_internal, which nobody but the extension's owner may
-- touch; users see the views and functions of schema kaireon.  Functions that
-- change the catalog run as the extension's owner and are told who called them
-- (see 15-call.sql).  A run's worker writes its own rows from C, in the
-- transaction that loads.
--
-- An owner is kept as regrole, a table as regclass: a dump carries their names,
-- and a rename is followed.

CREATE SCHEMA kaireon_internal;
REVOKE ALL ON SCHEMA kaireon_internal FROM PUBLIC;

-- CREATE EXTENSION takes a schema kaireon that is there already, whoever made
-- it: nothing of its maker's may be among what is called with others' rights.
DO $$
DECLARE
    found text;
BEGIN
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) INTO found
      FROM pg_catalog.pg_depend AS d
     WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
       AND d.refobjid OPERATOR(pg_catalog.=) 'kaireon'::pg_catalog.regnamespace
       AND NOT (d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass) LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'schema "kaireon" is not empty'
            USING ERRCODE = '55000', DETAIL = pg_catalog.format('It contains %s.', found), HINT = 'Drop or rename that schema first.';
    END IF;
    ALTER SCHEMA kaireon OWNER TO CURRENT_USER; -- 90-rights.sql takes away what he granted
END
$$;

-- Where the database was when its pipelines were allowed to run here; after a
-- restore a second row, of another place (18-instance.sql).
CREATE TABLE kaireon_internal.instance (
    system_identifier bigint NOT NULL,      -- of the cluster
    database      oid NOT NULL,
    extension     oid NOT NULL,             -- pg_extension's
    data_directory text NOT NULL,
    machine       text NOT NULL,            -- a hash of /etc/machine-id; empty where there is none
    name          text NOT NULL,            -- kaireon.instance_name
    confirmed_at  timestamptz NOT NULL DEFAULT now(),
    confirmed_by  text NOT NULL             -- a role's name: it need not be there any more
);
-- Without a key it could not be changed while a publication is FOR ALL TABLES.
ALTER TABLE kaireon_internal.instance REPLICA IDENTITY FULL;

CREATE TABLE kaireon_internal.connector_type (
    type          text PRIMARY KEY,
    spec          jsonb NOT NULL,           -- connectors/<type>/connector.json
    origin        text NOT NULL DEFAULT 'user' CHECK (origin IN ('built-in', 'user'))
);

CREATE TABLE kaireon_internal.connector (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name          text NOT NULL UNIQUE,
    type          text NOT NULL,
    owner         regrole NOT NULL,
    config        jsonb NOT NULL DEFAULT '{}',
    auth_method   text NOT NULL DEFAULT 'none',
    auth_sealed   bytea,                    -- auth_config, sealed; NULL when there is none
    status        text NOT NULL DEFAULT 'disconnected'
                  CHECK (status IN ('connected', 'disconnected', 'error', 'testing')),
    last_tested_at timestamptz,
    last_error    text,
    description   text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE kaireon_internal.schema (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name          text NOT NULL UNIQUE,
    owner         regrole NOT NULL,
    display_name  text,
    description   text,
    entity_type   text NOT NULL DEFAULT 'custom',
    schema_type   text NOT NULL DEFAULT 'customer',
    relation      regclass NOT NULL,        -- the ds_ table
    linked_schema uuid,                     -- another schema; no foreign key: pg_dump would warn of a cycle
    join_mapping  jsonb,
    summary_columns jsonb,
    summary_relation regclass,              -- the table of its summary; see 34-links.sql
    automatic     text[] NOT NULL DEFAULT '{}', -- columns of the table that are no fields: id, created_at, updated_at
    adopted       boolean NOT NULL DEFAULT false, -- the table was there before
    table_name    text,                     -- of relation when it last was what is said here, quoted; see 35-drift.sql
    attnums_of    oid,                      -- relation when field.attnum was noted: after a restore it is another
    former_names  text[] NOT NULL DEFAULT '{}', -- what it was called before; versions of pipelines may say so
    status        text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'draft', 'archived')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- A table belongs to one schema; 0 stands for a table that was dropped.
CREATE UNIQUE INDEX schema_relation_key ON kaireon_internal.schema (relation) WHERE relation <> 0::regclass;

CREATE TABLE kaireon_internal.field (
    schema_id     uuid NOT NULL REFERENCES kaireon_internal.schema (id) ON DELETE CASCADE,
    ordinal       int NOT NULL,             -- from 1, in the order given
    name          text NOT NULL,            -- also the column's name
    display_name  text,
    data_type     text NOT NULL,            -- the seed's abstract type
    length        int,
    precision     int,
    scale         int,
    is_primary_key boolean NOT NULL DEFAULT false,
    is_unique     boolean NOT NULL DEFAULT false,
    is_nullable   boolean NOT NULL DEFAULT true,
    default_value text,
    description   text,
    attnum        int2,                     -- of the column; see schema.attnums_of
    PRIMARY KEY (schema_id, name)
);

-- How far the summaries of collections can be trusted (34-links.sql).  A run that
-- has loaded a collection, or is about to summarise it, locks the row until it
-- commits: so no summary misses rows that another run commits meanwhile.
CREATE TABLE kaireon_internal.summary (
    schema_id     uuid PRIMARY KEY REFERENCES kaireon_internal.schema (id) ON DELETE CASCADE,
    incomplete    text[] NOT NULL           -- summary columns that may lack rows of the collection
);

CREATE TABLE kaireon_internal.pipeline (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name          text NOT NULL UNIQUE,
    owner         regrole NOT NULL,         -- runs have this role's rights
    connector_id  uuid NOT NULL REFERENCES kaireon_internal.connector (id),
    schema_id     uuid NOT NULL REFERENCES kaireon_internal.schema (id),
    description   text,
    status        text NOT NULL DEFAULT 'draft'
                  CHECK (status IN ('draft', 'active', 'paused', 'archived')),
    schedule      text,
    timezone      text,
    draft_version int NOT NULL DEFAULT 1,   -- the newest version saved
    published_version int,                  -- the one that runs; NULL: the draft does
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- Versions are written once and never changed.
CREATE TABLE kaireon_internal.pipeline_version (
    pipeline_id   uuid NOT NULL REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    version       int NOT NULL,
    nodes         jsonb NOT NULL,           -- normalised: every node has id, type, label, config, position
    edges         jsonb NOT NULL,           -- normalised: never empty for more than one node
    execution_config jsonb NOT NULL DEFAULT '{}',
    author        regrole NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline_id, version)
);

-- Who may load for a pipeline: the run that holds the newest epoch.  The load's
-- transaction locks the row and checks the epoch, so a run that was given up
-- for dead can't commit.
CREATE TABLE kaireon_internal.lease (
    pipeline_id   uuid PRIMARY KEY REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    epoch         bigint NOT NULL DEFAULT 0,
    run_id        uuid
);

-- A run outlives its pipeline: history keeps the name.
CREATE TABLE kaireon_internal.run (
    run_id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    pipeline_id   uuid NOT NULL,
    pipeline      text NOT NULL,
    version       int NOT NULL,
    owner         regrole NOT NULL,
    status        text NOT NULL DEFAULT 'queued'
                  CHECK (status IN ('queued', 'running', 'success', 'partial', 'failed', 'cancelled')),
    trigger       text NOT NULL DEFAULT 'manual',
    waits         boolean NOT NULL DEFAULT false, -- a session waits for it; pointless without
    options       jsonb NOT NULL DEFAULT '{}',
    loading_strategy text,
    queued_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at    timestamptz,
    finished_at   timestamptz,
    rows_read     bigint NOT NULL DEFAULT 0,
    rows_loaded   bigint NOT NULL DEFAULT 0,
    rows_updated  bigint NOT NULL DEFAULT 0,
    rows_failed   bigint NOT NULL DEFAULT 0,
    rows_skipped  bigint NOT NULL DEFAULT 0,
    rows_filtered bigint NOT NULL DEFAULT 0,
    rows_merged   bigint NOT NULL DEFAULT 0,  -- folded into others by a set operation
    bytes_read    bigint NOT NULL DEFAULT 0,
    error_code    text,
    error_message text,
    error_detail  text,
    error_hint    text,
    error_node    text,
    server_start  timestamptz NOT NULL DEFAULT pg_postmaster_start_time(), -- of the server that took it
    worker_pid    int,
    attempt       int NOT NULL DEFAULT 0,     -- that is under way, or was the last; 0: none has begun
    attempt_at    timestamptz,                -- when it began
    retry_at      timestamptz,                -- of a queued run: not before
    looks         int NOT NULL DEFAULT 0,     -- that found no file, so that it was queued again: they are no attempts
    commits       int NOT NULL DEFAULT 0,     -- before its end
    progress      jsonb                       -- how far it had come at the last of these (run_commit.c)
) WITH (fillfactor = 50); -- room for how a run ended, also where the disk has none
CREATE INDEX ON kaireon_internal.run (pipeline_id, queued_at);
CREATE INDEX ON kaireon_internal.run (status) WHERE status IN ('queued', 'running');

CREATE TABLE kaireon_internal.run_node (
    run_id        uuid NOT NULL REFERENCES kaireon_internal.run (run_id) ON DELETE CASCADE,
    ordinal       int NOT NULL,
    node_id       text NOT NULL,
    node_type     text NOT NULL,
    rows_in       bigint NOT NULL DEFAULT 0,
    rows_out      bigint NOT NULL DEFAULT 0,
    rows_rejected bigint NOT NULL DEFAULT 0,
    duration_ms   float8 NOT NULL DEFAULT 0,
    locked_ms     float8,                   -- of a target whose table was exchanged: how long nobody else could use it
    resource      text,                     -- of a source: what it read
    PRIMARY KEY (run_id, node_id)
);

-- How attempts before the last one ended.
CREATE TABLE kaireon_internal.run_attempt (
    run_id        uuid NOT NULL REFERENCES kaireon_internal.run (run_id) ON DELETE CASCADE,
    attempt       int NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    status        text NOT NULL,
    error_code    text,
    error_message text,
    error_detail  text,
    error_hint    text,
    error_node    text,
    PRIMARY KEY (run_id, attempt)
);

-- Sources of which a run has found no file, and for which it waits (run_wait.c).
CREATE TABLE kaireon_internal.run_wait (
    run_id        uuid NOT NULL REFERENCES kaireon_internal.run (run_id) ON DELETE CASCADE,
    node_id       text NOT NULL,
    resource      text NOT NULL,            -- with the dates it stands for
    looks         int NOT NULL DEFAULT 1,   -- in vain
    since         timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_look_at  timestamptz NOT NULL,
    outcome       text CHECK (outcome IN ('found', 'fail', 'alert', 'skip')), -- null: it waits, or something else has ended the run
    PRIMARY KEY (run_id, node_id)
);

CREATE TABLE kaireon_internal.run_error (
    run_id        uuid NOT NULL REFERENCES kaireon_internal.run (run_id) ON DELETE CASCADE,
    ordinal       bigint NOT NULL,
    node_id       text,
    source        text,                     -- file or partition
    line          bigint,
    "offset"      bigint,
    field         text,
    sqlstate      text NOT NULL,
    reason        text NOT NULL,
    value         text,                     -- the field as read; of a row that could not be split, the row
    severity      text NOT NULL DEFAULT 'error' CHECK (severity IN ('error', 'warning')),
    expression    text,                     -- what the node was evaluating
    PRIMARY KEY (run_id, ordinal)
);

-- Rows that runs could not load, kept whole: written in the transaction of the
-- run that left them out (dead_letter.c, which knows the columns by their order
-- up to created_at), taken away in the one that loads them.
CREATE TABLE kaireon_internal.dead_letter (
    id            bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    pipeline_id   uuid NOT NULL REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    run_id        uuid NOT NULL,            -- that read it
    version       int NOT NULL,             -- of that run
    source_node   text NOT NULL,            -- that read it
    node_id       text NOT NULL,            -- where it went wrong, last
    source        text NOT NULL,            -- file or partition,
    modified_at   timestamptz NOT NULL,     -- when that was changed, -infinity where nobody says,
    file_number   int NOT NULL,             -- and the how manieth of its run it was
    line          bigint NOT NULL,
    "offset"      bigint NOT NULL,
    field         text,
    constraint_name text,
    sqlstate      text NOT NULL,
    reason        text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('record', 'raw', 'cut', 'row')), -- see the view
    record        jsonb NOT NULL,
    raw           bytea,                    -- of kind raw: its bytes, where the database has no text for them
    layout        jsonb,                    -- of kind raw and cut, and of JSON: how its file was read, and its fields ({}: of JSON)
    attempts      int NOT NULL DEFAULT 0,   -- replays that could not load it either
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_run_id   uuid,                     -- the last of these,
    last_tried_at timestamptz,              -- and when
    edited_at     timestamptz
);
CREATE INDEX ON kaireon_internal.dead_letter (pipeline_id, id);

-- What is done outside once a run has committed: files that are moved, webhooks that are called.
-- And, before a run reads them, files that it has claimed (run_staging.c): "stage", which
-- becomes "move" when they are loaded.
CREATE TABLE kaireon_internal.outbox (
    id              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    pipeline_id     uuid NOT NULL REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    run_id          uuid NOT NULL,
    node_id         text NOT NULL,
    kind            text NOT NULL DEFAULT 'move' CHECK (kind IN ('move', 'call', 'stage')), -- outbox.c knows what is done
    connector_id    uuid,                   -- null: there was none of that name
    path            text NOT NULL,          -- below the connector's base; of a move the file, as it was read: size, time and etag besides; of a claim as it was listed
    target_path     text,                   -- of a move or claim
    size            bigint,
    modified_at     timestamptz,
    etag            text NOT NULL DEFAULT '',
    request         jsonb,                  -- of a call: {"method", "headers", "body"}
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'staged', 'done', 'failed')), -- of a claim: pending, staged
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    error_code      text,
    error_message   text,
    moved_to        text,
    staged_size     bigint,                 -- of a claim: what is at moved_to
    staged_modified_at timestamptz,
    staged_etag     text,
    claimed_path    text,                   -- of a move that was a claim: its path
    config_hash     text,                   -- of a claim: md5 of the connector's config when it was made; another one may have another base
    created_at      timestamptz NOT NULL DEFAULT now(),
    done_at         timestamptz,
    CHECK (CASE kind WHEN 'call' THEN request IS NOT NULL ELSE num_nulls(connector_id, target_path, size, modified_at) = 0 END),
    CHECK (CASE status WHEN 'staged' THEN kind = 'stage' AND num_nulls(moved_to, staged_size, staged_modified_at, staged_etag) = 0 ELSE num_nonnulls(staged_size, staged_modified_at, staged_etag) = 0 END)
);
-- A file is claimed once, while it is where it was listed.
CREATE UNIQUE INDEX outbox_claim ON kaireon_internal.outbox (connector_id, md5(path), size, modified_at, etag) WHERE kind = 'stage' AND status = 'pending';
CREATE INDEX ON kaireon_internal.outbox (pipeline_id, md5(path)) WHERE status <> 'done';
CREATE INDEX ON kaireon_internal.outbox (pipeline_id, done_at) WHERE status = 'done';
CREATE INDEX ON kaireon_internal.outbox (next_attempt_at) WHERE status = 'pending';

-- The file ledger: each version of each file that was loaded, written in the
-- transaction that holds its rows.
CREATE TABLE kaireon_internal.source_file (
    pipeline_id   uuid NOT NULL REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    node_id       text NOT NULL,
    path          text NOT NULL,
    size          bigint NOT NULL,
    modified_at   timestamptz NOT NULL,
    etag          text NOT NULL DEFAULT '',
    head_hash     text NOT NULL,            -- sha256 of the first 64 kB
    dialect       jsonb,                    -- how it was read
    run_id        uuid NOT NULL,
    rows_read     bigint NOT NULL,
    loaded_at     timestamptz NOT NULL DEFAULT now(),
    next_offset   bigint                    -- of a file of which a part was loaded: the first byte of the rest, in the decompressed file
);
-- By the path's hash: a path may be longer than an index entry.
CREATE UNIQUE INDEX source_file_key ON kaireon_internal.source_file
    (pipeline_id, node_id, md5(path), size, modified_at, head_hash, etag);
ALTER TABLE kaireon_internal.source_file REPLICA IDENTITY FULL; -- as of instance

-- Files that were left out because they failed ("onFileError"), until they are loaded.
CREATE TABLE kaireon_internal.file_failure (
    pipeline_id   uuid NOT NULL REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    node_id       text NOT NULL,
    path          text NOT NULL,
    size          bigint NOT NULL,          -- of the version that failed last, as listed
    modified_at   timestamptz NOT NULL,
    etag          text NOT NULL DEFAULT '',
    run_id        uuid NOT NULL,            -- that tried it last
    failures      int NOT NULL DEFAULT 1,   -- runs that this version has failed in
    failed_at     timestamptz NOT NULL DEFAULT now(),
    error_code    text NOT NULL,
    error_message text NOT NULL,
    error_detail  text
);
CREATE UNIQUE INDEX file_failure_key ON kaireon_internal.file_failure (pipeline_id, node_id, md5(path));
ALTER TABLE kaireon_internal.file_failure REPLICA IDENTITY FULL; -- as of instance

-- Up to where targets with a watermark have loaded, written with the rows.
CREATE TABLE kaireon_internal.watermark (
    pipeline_id   uuid NOT NULL REFERENCES kaireon_internal.pipeline (id) ON DELETE CASCADE,
    node_id       text NOT NULL,            -- of the target
    field         text NOT NULL,            -- of its schema
    mark          text NOT NULL,            -- the greatest value that was loaded
    type_class    text NOT NULL,            -- of its column, as far as the order of values depends on it
    run_id        uuid NOT NULL,            -- by
    loaded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline_id, node_id)
);

SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.instance', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.connector_type', $$WHERE origin = 'user'$$);
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.connector', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.schema', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.field', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.summary', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.pipeline', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.pipeline_version', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.lease', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.run', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.run_node', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.run_attempt', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.run_wait', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.run_error', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.dead_letter', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.outbox', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.outbox_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.source_file', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.file_failure', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.watermark', '');
SELECT pg_catalog.pg_extension_config_dump('kaireon_internal.dead_letter_id_seq', '');
