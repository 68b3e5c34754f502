-- Owners: what a pipeline's owner must be allowed, objects that change their
-- owner, and roles whose objects are reassigned or dropped.
--
-- REASSIGN OWNED, DROP OWNED, DROP ROLE and DROP TABLE are PostgreSQL's; after
-- each of them src/pg/ownership.c calls a function here, in the same transaction.

-- ---- what an owner must be allowed

-- May pipelines of that role run: the role could run them itself.
CREATE FUNCTION kaireon_internal.may_run(owner regrole) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE(has_schema_privilege(owner::oid, 'kaireon', 'USAGE') AND
                    has_function_privilege(owner::oid, 'kaireon.run_pipeline(text, jsonb)', 'EXECUTE'), false)
$$;

CREATE FUNCTION kaireon_internal.is_superuser(role regrole) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT COALESCE((SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = role), false)
$$;

-- That the table or a partition is somebody's who is no superuser: whatever it is
-- made of can change at any time.  Else a function of such a one that loading it would call:
-- by a trigger, default, constraint, index, rule or type, of the table or of a
-- partition; or such a type, which can get casts and checks at any time.  No row
-- when there is none.
CREATE FUNCTION kaireon_internal.foreign_code(relation regclass) RETURNS TABLE (owner regrole, what text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE tables AS (
        SELECT relation::oid AS oid
        UNION SELECT i.inhrelid FROM pg_inherits AS i JOIN tables AS t ON t.oid = i.inhparent
    ), parts (classid, objid) AS (
        SELECT 'pg_class'::regclass, t.oid FROM tables AS t
        UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i JOIN tables AS t ON t.oid = i.indrelid
        UNION ALL SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef AS d JOIN tables AS t ON t.oid = d.adrelid
        UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint AS c JOIN tables AS t ON t.oid = c.conrelid
        UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM pg_trigger AS g JOIN tables AS t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
        UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite AS r JOIN tables AS t ON t.oid = r.ev_class
    ), reached (classid, objid) AS (
        SELECT p.classid::oid, p.objid FROM parts AS p
        UNION SELECT n.classid, n.objid FROM reached AS r CROSS JOIN LATERAL (
            SELECT d.refclassid, d.refobjid FROM pg_depend AS d
             WHERE d.classid = r.classid AND d.objid = r.objid
               AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_opclass'::regclass)
            UNION ALL SELECT 'pg_class'::regclass, t.typrelid FROM pg_type AS t
             WHERE r.classid = 'pg_type'::regclass AND t.oid = r.objid AND t.typrelid <> 0
            UNION ALL SELECT 'pg_constraint'::regclass, c.oid FROM pg_constraint AS c
             WHERE r.classid = 'pg_type'::regclass AND c.contypid = r.objid) AS n (classid, objid)
    )
    -- few are reached, so that they are looked up first and asked about then
    SELECT f.owner, f.what
      FROM (SELECT 0 AS place, c.oid, c.relowner::regrole AS owner, format('What the owner of table %s makes part of it', c.oid::regclass) AS what
              FROM tables AS t JOIN pg_class AS c ON c.oid = t.oid
             UNION ALL
            SELECT 1, p.oid, p.proowner::regrole, format('Function %s', p.oid::regprocedure)
              FROM reached AS r JOIN pg_proc AS p ON p.oid = r.objid WHERE r.classid = 'pg_proc'::regclass
             UNION ALL
            SELECT 2, t.oid, t.typowner::regrole, format('Type %s', t.oid::regtype)
              FROM reached AS r JOIN pg_type AS t ON t.oid = r.objid WHERE r.classid = 'pg_type'::regclass OFFSET 0) AS f
     WHERE NOT kaireon_internal.is_superuser(f.owner)
     ORDER BY f.place, f.oid LIMIT 1
$$;

-- What keeps a pipeline of that owner from loading a schema's table.  A schema
-- that a target node names must be the owner's: whoever makes one of a name
-- that has become free would get the rows, and fire triggers as who loads.
CREATE FUNCTION kaireon_internal.find_target_obstacles(owner regrole, s kaireon_internal.schema, is_named boolean, is_upserted boolean)
    RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    target regclass := (SELECT t.oid FROM pg_class AS t WHERE t.oid = s.relation);
BEGIN
    IF is_named AND NOT kaireon_internal.may_change(owner, s.owner) THEN
        RETURN QUERY VALUES ('42501', format('permission denied for schema "%s"', s.name),
            format('It belongs to role %s, of which the pipeline''s owner %s is no member.', s.owner, owner),
            format('GRANT %s TO %s, or make it the pipeline''s own schema, not a target''s.', s.owner, owner));
    ELSE
        RETURN QUERY SELECT '42501', format('permission denied for table %s', c.relname), format('Role %s, who owns the pipeline, may not insert into it.', owner),
            format('GRANT INSERT ON %s TO %s.', target, owner)
          FROM pg_class AS c WHERE c.oid = target AND NOT has_any_column_privilege(owner::oid, target::oid, 'INSERT');
        RETURN QUERY SELECT '42501', format('permission denied for table %s', c.relname),
            format('Role %s, who owns the pipeline, may not read and update its rows, as loading strategy upsert does.', owner),
            format('GRANT SELECT, UPDATE ON %s TO %s.', target, owner)
          FROM pg_class AS c WHERE c.oid = target AND is_upserted
           AND NOT (has_any_column_privilege(owner::oid, target::oid, 'SELECT') AND has_any_column_privilege(owner::oid, target::oid, 'UPDATE'));
        -- What no pipeline fills, as the automatic id, takes its default each time.
        RETURN QUERY SELECT '42501', format('permission denied for sequence %s', q.relname),
            format('Role %s, who owns the pipeline, may not take numbers from it, which column "%s" of the table needs.', owner, a.attname),
            format('GRANT USAGE ON SEQUENCE %s TO %s.', kaireon_internal.relation_name(q.oid), owner)
          FROM pg_attrdef AS e JOIN pg_attribute AS a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
          JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass
          JOIN pg_class AS q ON q.oid = d.refobjid
         WHERE e.adrelid = target AND NOT EXISTS (SELECT FROM kaireon_internal.field AS f WHERE f.schema_id = s.id AND f.name = a.attname)
           AND CASE WHEN q.relkind = 'S' THEN NOT has_sequence_privilege(owner::oid, q.oid, 'USAGE, UPDATE') END;
    END IF;
    -- What others wrote must not become a superuser's doing.
    IF kaireon_internal.is_superuser(owner) THEN
        RETURN QUERY SELECT '42501', format('a superuser''s pipeline does not load a table that calls code of role %s', f.owner),
            format('%s would have a superuser''s rights.', f.what), 'Give the pipeline to a role that is no superuser with kaireon.change_owner.'
          FROM kaireon_internal.foreign_code(target) AS f;
    END IF;
END
$$;

-- What keeps a pipeline of that owner from running; targets are the schemas
-- that its nodes name besides the pipeline's own, upserts those whose rows are
-- updated ('': the pipeline's own).
CREATE FUNCTION kaireon_internal.find_obstacles(owner regrole, connector_id uuid, schema_id uuid, targets text[], upserts text[])
    RETURNS TABLE (code text, message text, detail text, hint text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c kaireon_internal.connector := (SELECT o FROM kaireon_internal.connector AS o WHERE o.id = connector_id);
    ours regrole := (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'kaireon_internal');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = owner) THEN
        RETURN QUERY VALUES ('42704', 'the pipeline''s owner does not exist any more', format('It was the role with OID %s.', owner),
            'A superuser can give the pipeline to another role with kaireon.change_owner.');
        RETURN;
    END IF;
    IF NOT kaireon_internal.may_run(owner) THEN
        RETURN QUERY VALUES ('42501', format('role %s may not run pipelines', owner), 'A run has the rights of the pipeline''s owner.',
            format('GRANT kaireon_operator TO %s, or give the pipeline to another role with kaireon.change_owner.', owner));
    END IF;
    IF NOT kaireon_internal.may_change(owner, c.owner) THEN
        RETURN QUERY VALUES ('42501', format('permission denied for connector "%s"', c.name),
            format('It belongs to role %s, of which the pipeline''s owner %s is no member.', c.owner, owner),
            format('GRANT %s TO %s, or give one of them to another role with kaireon.change_owner.', c.owner, owner));
    END IF;
    IF kaireon_internal.is_superuser(owner) AND NOT kaireon_internal.is_superuser(ours) THEN
        RETURN QUERY VALUES ('42501', format('a superuser''s pipeline does not run while the extension belongs to role %s', ours),
            'That role can change whose pipeline it is, and is no superuser.',
            'Give the pipeline to a role that is no superuser with kaireon.change_owner, or the extension to a superuser with REASSIGN OWNED.');
    END IF;
    RETURN QUERY SELECT o.* FROM kaireon_internal.schema AS own, kaireon_internal.schema AS s,
                         kaireon_internal.find_target_obstacles(owner, s, s.id <> schema_id, s.id IN (
                             SELECT CASE WHEN u = '' THEN schema_id ELSE kaireon_internal.named_schema(u, own.relation) END FROM unnest(upserts) AS u)) AS o
                  WHERE own.id = schema_id AND (s.id = schema_id OR s.id IN (SELECT kaireon_internal.named_schema(t, own.relation) FROM unnest(targets) AS t))
                  ORDER BY s.id <> schema_id, s.name;
END
$$;

-- Raises the first of them.
CREATE FUNCTION kaireon_internal.require_rights(owner regrole, connector_id uuid, schema_id uuid, targets text[] = '{}', upserts text[] = '{}') RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT f.* FROM kaireon_internal.find_obstacles(owner, connector_id, schema_id, targets, upserts) AS f LOOP
        PERFORM kaireon_internal.fail(o.code, o.message, o.detail, o.hint);
    END LOOP;
END
$$;

-- The same for a pipeline whose run has begun as that role.
CREATE FUNCTION kaireon_internal.require_runnable(pipeline_id uuid, role regrole, targets text[], upserts text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    p kaireon_internal.pipeline := (SELECT o FROM kaireon_internal.pipeline AS o WHERE o.id = pipeline_id);
BEGIN
    IF p.id IS NULL THEN
        PERFORM kaireon_internal.fail('42704', 'the pipeline does not exist any more', 'It was deleted after the run was asked for.',
            'The view kaireon.pipelines has those there are.');
    ELSIF p.owner <> role THEN
        PERFORM kaireon_internal.fail('55000', format('pipeline "%s" was given to role %s while its run began', p.name, p.owner),
            format('The run has the rights of role %s.', role), 'Run the pipeline again.');
    END IF;
    PERFORM kaireon_internal.require_rights(p.owner, p.connector_id, p.schema_id, targets, upserts);
END
$$;

-- ---- another owner

-- Raises PostgreSQL's error unless the caller could become the role; and holds
-- the role, so that it is not dropped before this transaction ends.
CREATE FUNCTION kaireon_internal.require_can_become(caller regrole, role regrole) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'kaireon_require_can_become';

CREATE FUNCTION kaireon_internal.change_owner(caller regrole, kind text, name text, new_owner regrole)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c kaireon_internal.connector;
    s kaireon_internal.schema;
    p kaireon_internal.pipeline;
    table_name text;
BEGIN
    PERFORM kaireon_internal.check_choice('kind', kind, '{connector,schema,pipeline}');
    IF kind = 'connector' THEN
        c := kaireon_internal.get_connector(caller, name);
    ELSIF kind = 'schema' THEN
        s := kaireon_internal.get_schema(caller, name);
    ELSE
        p := kaireon_internal.get_pipeline(caller, name);
    END IF;
    IF new_owner IS NULL THEN
        PERFORM kaireon_internal.fail('22004', 'new_owner must not be null', format('It is the role that owns the %s afterwards.', kind), 'Name a role, as in new_owner => ''alice''.');
    END IF;
    PERFORM kaireon_internal.require_can_become(caller, new_owner);
    IF kind = 'connector' THEN
        UPDATE kaireon_internal.connector AS t SET owner = new_owner, updated_at = now() WHERE t.id = c.id AND t.owner <> new_owner;
    ELSIF kind = 'schema' THEN
        FOR table_name IN SELECT kaireon_internal.relation_name(t.oid) FROM pg_class AS t
                           WHERE t.oid IN (s.relation, s.summary_relation) AND t.relowner <> new_owner ORDER BY t.oid LOOP
            PERFORM kaireon_internal.as_role(caller, format('ALTER TABLE %s OWNER TO %s', table_name, new_owner));
        END LOOP;
        UPDATE kaireon_internal.schema AS t SET owner = new_owner, updated_at = now() WHERE t.id = s.id AND t.owner <> new_owner;
    ELSIF p.owner <> new_owner THEN
        PERFORM kaireon_internal.check_no_run(p);
        PERFORM kaireon_internal.require_rights(new_owner, p.connector_id, p.schema_id);
        UPDATE kaireon_internal.pipeline AS t SET owner = new_owner, updated_at = now() WHERE t.id = p.id;
        -- Who sees a pipeline sees what became of its runs.
        UPDATE kaireon_internal.run AS r SET owner = new_owner WHERE r.pipeline_id = p.id;
    END IF;
END
$$;

CREATE FUNCTION kaireon.change_owner(kind text, name text, new_owner regrole)
    RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'kaireon_call';
COMMENT ON FUNCTION kaireon.change_owner IS 'gives a connector, a schema with its table, or a pipeline to another role, as ALTER ... OWNER TO does';

-- ---- roles that go

-- After REASSIGN OWNED: what the roles own here belongs to the new owner, runs too.
CREATE FUNCTION kaireon_internal.reassign_owned(roles oid[], new_owner oid) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.connector SET owner = new_owner, updated_at = now() WHERE owner = ANY (roles);
    UPDATE kaireon_internal.schema SET owner = new_owner, updated_at = now() WHERE owner = ANY (roles);
    UPDATE kaireon_internal.pipeline SET owner = new_owner, updated_at = now() WHERE owner = ANY (roles);
    UPDATE kaireon_internal.run SET owner = new_owner WHERE owner = ANY (roles);
$$;

-- After DROP OWNED: what the roles own here goes, and their tables have gone.
-- What others own and needs it goes with cascade.  Runs are history and stay.
CREATE FUNCTION kaireon_internal.drop_owned(roles oid[], cascade boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    connectors uuid[] := ARRAY(SELECT c.id FROM kaireon_internal.connector AS c WHERE c.owner = ANY (roles));
    schemas uuid[] := ARRAY(SELECT s.id FROM kaireon_internal.schema AS s WHERE s.owner = ANY (roles));
    pipelines uuid[];
    what text;
BEGIN
    SELECT string_agg(f.line, E'\n' ORDER BY f.line COLLATE "C") INTO what FROM (
        SELECT format('pipeline "%s" depends on connector "%s"', p.name, c.name)
          FROM kaireon_internal.pipeline AS p JOIN kaireon_internal.connector AS c ON c.id = p.connector_id
         WHERE c.id = ANY (connectors) AND p.owner <> ALL (roles)
        UNION ALL SELECT format('pipeline "%s" depends on schema "%s"', p.name, s.name)
          FROM kaireon_internal.pipeline AS p JOIN kaireon_internal.schema AS s ON s.id = p.schema_id
         WHERE s.id = ANY (schemas) AND p.owner <> ALL (roles)
        UNION ALL SELECT format('schema "%s" depends on schema "%s"', l.name, s.name)
          FROM kaireon_internal.schema AS l JOIN kaireon_internal.schema AS s ON s.id = l.linked_schema
         WHERE s.id = ANY (schemas) AND l.owner <> ALL (roles)) AS f (line);
    IF what IS NOT NULL AND NOT cascade THEN
        PERFORM kaireon_internal.fail('2BP01', 'cannot drop desired object(s) because other objects depend on them', what,
            'Use DROP ... CASCADE to drop the dependent objects too.');
    END IF;
    SELECT array_agg(l.id) INTO pipelines FROM (
        SELECT p.id FROM kaireon_internal.pipeline AS p
         WHERE p.owner = ANY (roles) OR p.connector_id = ANY (connectors) OR p.schema_id = ANY (schemas) FOR UPDATE) AS l;
    SELECT format('Run %s of pipeline "%s" is running.', r.run_id, r.pipeline) INTO what FROM kaireon_internal.run AS r
     WHERE r.pipeline_id = ANY (pipelines) AND r.status = 'running' ORDER BY r.queued_at LIMIT 1;
    IF what IS NOT NULL THEN
        PERFORM kaireon_internal.fail('55006', 'cannot drop a pipeline with a run that is not finished', what,
            'Wait for the run, or cancel it with kaireon.cancel_run.');
    END IF;
    UPDATE kaireon_internal.run AS r
       SET status = 'cancelled', finished_at = clock_timestamp(), error_code = '57014',
           error_message = 'the pipeline was dropped before the run started', error_detail = 'DROP OWNED dropped what its owner had.'
     WHERE r.pipeline_id = ANY (pipelines) AND r.status = 'queued';
    DELETE FROM kaireon_internal.pipeline AS p WHERE p.id = ANY (pipelines);
    DELETE FROM kaireon_internal.connector AS c WHERE c.id = ANY (connectors);
    -- A collection without what it was linked to; its summary table is left behind.
    UPDATE kaireon_internal.schema AS s SET linked_schema = NULL, join_mapping = NULL, summary_columns = NULL, summary_relation = NULL
     WHERE s.linked_schema = ANY (schemas);
    DELETE FROM kaireon_internal.schema AS s WHERE s.id = ANY (schemas);
END
$$;

-- After DROP ROLE: raises 2BP01, which undoes it, when the role still owns
-- something here.  History forgets whose it was: the OID may become another role's.
CREATE FUNCTION kaireon_internal.drop_role(role oid, name text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    what text := (SELECT string_agg(f.line, E'\n' ORDER BY f.line COLLATE "C") FROM (
        SELECT format('owner of connector "%s"', c.name) FROM kaireon_internal.connector AS c WHERE c.owner = role
        UNION ALL SELECT format('owner of pipeline "%s"', p.name) FROM kaireon_internal.pipeline AS p WHERE p.owner = role
        UNION ALL SELECT format('owner of schema "%s"', s.name) FROM kaireon_internal.schema AS s WHERE s.owner = role) AS f (line));
BEGIN
    IF what IS NOT NULL THEN
        PERFORM kaireon_internal.fail('2BP01', format('role "%s" cannot be dropped because some objects depend on it', name), what,
            format('Use REASSIGN OWNED BY %I TO another role, or DROP OWNED BY %I.', name, name));
    END IF;
    UPDATE kaireon_internal.run AS r SET owner = 0 WHERE r.owner = role;
    UPDATE kaireon_internal.pipeline_version AS v SET author = 0 WHERE v.author = role;
END
$$;

-- After tables were dropped: their OIDs may become other tables'.
CREATE FUNCTION kaireon_internal.forget_tables(dropped oid[]) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE kaireon_internal.schema AS s
       SET relation = CASE WHEN s.relation = ANY (dropped) THEN 0 ELSE s.relation END,
           summary_relation = CASE WHEN s.summary_relation = ANY (dropped) THEN NULL ELSE s.summary_relation END, updated_at = now()
     WHERE s.relation = ANY (dropped) OR s.summary_relation = ANY (dropped)
$$;
