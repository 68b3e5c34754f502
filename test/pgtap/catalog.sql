-- The extension's objects, and that what two sessions' worth of steps leave in
-- the catalog is consistent: foreign keys, dumps, names, automatic columns.
BEGIN;
SELECT plan(34);

SELECT has_schema('kaireon');
SELECT has_schema('kaireon_internal');
SELECT has_type('kaireon', 'run', 'type kaireon.run');
SELECT has_view('kaireon', v, 'view ' || v)
  FROM unnest('{connector_types,connectors,schemas,schema_fields,pipelines,pipeline_versions,runs,run_nodes,run_errors,dead_letters,
                source_state,progress,instance}'::name[]) AS v;
SELECT is(kaireon.version(), '0.1.0', 'version()');
SELECT hasnt_column('kaireon', 'connectors', c, 'no credentials in view connectors: ' || c)
  FROM unnest('{auth_config,auth_sealed}'::name[]) AS c;

-- A whole life.
SELECT kaireon.create_connector('cat_c', 'local_fs') AS c, kaireon.create_schema('cat_s', '[{"name": "a"}]') AS s \gset
SELECT kaireon.create_pipeline('cat_p', 'cat_c', 'cat_s') AS p \gset
SELECT has_table('public', 'ds_cat_s', 'the table');
SELECT columns_are('public', 'ds_cat_s', '{id,a,created_at,updated_at}'::name[], 'its columns');
SELECT col_is_pk('public', 'ds_cat_s', 'id', 'its key');
SELECT col_not_null('public', 'ds_cat_s', 'created_at', 'created_at');
SELECT col_not_null('public', 'ds_cat_s', 'updated_at', 'updated_at');
SELECT results_eq($$SELECT connector_id, schema_id FROM kaireon.pipelines WHERE name = 'cat_p'$$,
                  format('VALUES (%L::uuid, %L::uuid)', :'c', :'s'), 'ids in views are those that create gave');
SELECT is((SELECT count(*) FROM kaireon_internal.lease WHERE pipeline_id = :'p'), 1::bigint, 'a pipeline has its lease');

-- A failed step leaves nothing.
SELECT throws_ok($$SELECT kaireon.create_schema('cat_bad', '[{"name": "a"}, {"name": "a"}]')$$, '42701', NULL, 'a bad schema is refused');
SELECT hasnt_table('public', 'ds_cat_bad', 'and has no table');
SELECT is_empty($$SELECT FROM kaireon_internal.schema WHERE name = 'cat_bad'$$, 'nor a row');
SELECT throws_ok($$SELECT kaireon.delete_schema('cat_s')$$, '2BP01', NULL, 'a schema in use stays');
SELECT has_table('public', 'ds_cat_s', 'and its table');

-- Deleting takes all with it.
SELECT kaireon.delete_pipeline('cat_p'), kaireon.delete_schema('cat_s'), kaireon.delete_connector('cat_c') \gset ignored_
SELECT hasnt_table('public', 'ds_cat_s', 'the table goes with its schema');
SELECT is((SELECT count(*) FROM kaireon_internal.field), 0::bigint, 'fields go with it');
SELECT is((SELECT count(*) FROM kaireon_internal.pipeline_version) + (SELECT count(*) FROM kaireon_internal.lease), 0::bigint,
          'versions and leases go with their pipeline');

SELECT * FROM finish();
ROLLBACK;
