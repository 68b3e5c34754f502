-- Who may do what.  Nothing is granted to PUBLIC.
--
--   kaireon_admin      every function and view
--   kaireon_operator   runs and pauses pipelines, looks at them but not at
--                      their data; every view, with the bad rows of runs
--   kaireon_viewer     views; not the data that runs could not load
--
-- All of them may call what only computes: views and pipelines do.  A function
-- that is added needs a line in test/pgtap/rights_matrix.sql, too.
--
-- Roles belong to the cluster, not to the database: they are made when they
-- are missing, and stay when the extension is dropped.  Which objects a caller
-- may change is decided by who owns them (15-call.sql).

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY '{kaireon_admin,kaireon_operator,kaireon_viewer}'::text[] LOOP
        BEGIN
            IF pg_catalog.to_regrole(role) IS NULL THEN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database's CREATE EXTENSION was faster
        END;
    END LOOP;
END
$$;

-- Whatever ALTER DEFAULT PRIVILEGES, or who made schema kaireon, gave to others.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END
          FROM (SELECT n.nspacl, n.nspowner FROM pg_catalog.pg_namespace AS n
                 WHERE n.nspname OPERATOR(pg_catalog.=) ANY ('{kaireon,kaireon_internal}'::name[])
                UNION ALL SELECT c.relacl, c.relowner FROM pg_catalog.pg_class AS c
                 WHERE c.relnamespace OPERATOR(pg_catalog.=) ANY ('{kaireon,kaireon_internal}'::regnamespace[]::oid[])
                UNION ALL SELECT p.proacl, p.proowner FROM pg_catalog.pg_proc AS p
                 WHERE p.pronamespace OPERATOR(pg_catalog.=) ANY ('{kaireon,kaireon_internal}'::regnamespace[]::oid[])) AS o (acl, owner),
               pg_catalog.aclexplode(o.acl) AS a
         WHERE a.grantee OPERATOR(pg_catalog.<>) o.owner
        UNION SELECT 'PUBLIC'
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA kaireon, kaireon_internal FROM %s CASCADE', grantee);
        EXECUTE pg_catalog.format('REVOKE ALL ON ALL TABLES IN SCHEMA kaireon, kaireon_internal FROM %s CASCADE', grantee);
        EXECUTE pg_catalog.format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA kaireon, kaireon_internal FROM %s CASCADE', grantee);
        EXECUTE pg_catalog.format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA kaireon, kaireon_internal FROM %s CASCADE', grantee);
    END LOOP;
END
$$;
REVOKE ALL ON TYPE kaireon.run FROM PUBLIC;
GRANT USAGE ON SCHEMA kaireon TO kaireon_admin, kaireon_operator, kaireon_viewer;
GRANT USAGE ON TYPE kaireon.run TO kaireon_admin, kaireon_operator, kaireon_viewer;
GRANT SELECT ON ALL TABLES IN SCHEMA kaireon TO kaireon_admin, kaireon_operator, kaireon_viewer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA kaireon TO kaireon_admin;

-- Row-level security without policies: only the owner of a table sees its rows,
-- so that SELECT granted on one by mistake gives nothing away.  Users see what
-- is theirs through the views.
DO $$
DECLARE
    t regclass;
BEGIN
    FOR t IN SELECT c.oid FROM pg_catalog.pg_class AS c
              WHERE c.relnamespace OPERATOR(pg_catalog.=) 'kaireon_internal'::regnamespace
                AND c.relkind OPERATOR(pg_catalog.=) 'r' LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
    END LOOP;
END
$$;

-- Views call these with the rights of whoever selects; schema kaireon_internal
-- stays closed, so they can't be called by name.
GRANT EXECUTE ON FUNCTION kaireon_internal.may_see(regrole), kaireon_internal.may_read(regrole), kaireon_internal.quotes_rows(text, text),
    kaireon_internal.progress_slots(), kaireon_internal.expression_functions(), kaireon.version(), kaireon_internal.this_instance(),
    kaireon_internal.instance_differences(bigint, oid, oid, text, text, text)
    TO kaireon_admin, kaireon_operator, kaireon_viewer;

DO $$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_catalog.pg_proc AS p
              WHERE p.pronamespace OPERATOR(pg_catalog.=) 'kaireon'::regnamespace
                AND (p.provolatile OPERATOR(pg_catalog.=) 'i'
                     OR p.proname OPERATOR(pg_catalog.=) ANY ('{export_pipeline,pipeline_diff,rule,observe,keyed_hash}'::name[]))
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO kaireon_operator, kaireon_viewer', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_catalog.pg_proc AS p
              WHERE p.pronamespace OPERATOR(pg_catalog.=) 'kaireon'::regnamespace
                AND p.proname OPERATOR(pg_catalog.=) ANY ('{run_pipeline,start_pipeline,upload_csv,cancel_run,resume_run,replay_dead_letters,validate_pipeline,'
                    'explain_pipeline,pipeline_columns,pipeline_diagram,pause_pipeline,resume_pipeline,retry_outbox}'::name[])
    LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO kaireon_operator', f);
    END LOOP;
END
$$;
