-- Foreign keys, while a dump is restored.
--
-- pg_restore --jobs fills the catalog's tables in any order: for an extension's
-- own tables it knows no dependencies but on the extension.  So the inserting
-- side of the foreign keys does not look for its row.  The other side stays:
-- what is referred to can't be deleted, or takes along what refers to it.

DO $$
DECLARE
    check_trigger record;
BEGIN
    FOR check_trigger IN
        SELECT t.tgrelid::regclass AS relation, t.tgname AS name
          FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
         WHERE t.tgisinternal AND c.relnamespace OPERATOR(pg_catalog.=) 'kaireon_internal'::pg_catalog.regnamespace
           AND t.tgfoid OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog."RI_FKey_check_ins"()', 'pg_catalog."RI_FKey_check_upd"()']::pg_catalog.regprocedure[])
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER %I', check_trigger.relation, check_trigger.name);
    END LOOP;
END
$$;
