# pg_dump of a database with the extension, restored by psql and by pg_restore
# into another cluster and into other databases: what users made is all there
# (connectors with their sealed credentials, schemas with their tables, pipelines
# with their versions, runs with their errors, what was loaded).  The copy knows
# that it is one, holds its pipelines until it is confirmed, and then works.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('dump');
my @fields = (
    { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar', isNullable => \0, defaultValue => "'none'" },
    { name => 'amount', dataType => 'numeric', precision => 8, scale => 2 });
$k->sql('CREATE ROLE loader LOGIN; GRANT kaireon_admin TO loader; GRANT CREATE ON SCHEMA public TO loader');
mkdir $k->files . '/in';
$k->write_file('in/a.csv', "id,name,amount\n1,a,1\n2,b,two\n3,c,3\n");
$k->make('plain', fields => \@fields, source => { resource => 'in/*.csv', incremental => \1 }, target => { validation => 'skip' });
$k->run('plain');
$k->sql(q(SELECT kaireon.update_pipeline('plain', execution_config => '{"errorHandling": "skip"}'); SELECT kaireon.publish_pipeline('plain', 2)));
$k->sql('SET SESSION AUTHORIZATION loader; SELECT kaireon.create_schema(\'hers\', ' . $k->json(\@fields) . ');'
      . "SELECT kaireon.create_connector('hers', 'local_fs', " . $k->json({ basePath => $k->files }) . ', description => \'her files\');'
      . "SELECT kaireon.create_pipeline('hers', 'hers', 'hers', " . $k->json([ { id => 's', type => 'source', config => { resource => 'in/a.csv' } },
            { id => 'f', type => 'filter', config => { field => 'id', operator => '>', value => 1 } }, { id => 't', type => 'target', config => { validation => 'skip' } } ]) . ')');
$k->run('hers');
$k->sql(q(SELECT kaireon.create_schema('orders', '[{"name": "customer", "dataType": "integer"}, {"name": "amount", "dataType": "numeric"}]', schema_type => 'collection',
    linked_schema => 'plain', join_mapping => '{"customer": "id"}', summary_columns => '[{"function": "sum", "sourceField": "amount", "outputField": "total"}]');
    INSERT INTO ds_orders_summary (customer, total) VALUES (1, 2.5); SELECT kaireon.update_schema('orders', new_name => 'sales')));
# The least readable of names has to come through too.
$k->sql(q(SELECT kaireon.create_pipeline('a "b" ''c'' \d', 'files', 'plain')));

# Credentials stay sealed (vault.t opens them there), dead letters are data, and runs may be under way.
$k->sql("SELECT kaireon.create_connector('sealed', 'local_fs', " . $k->json({ basePath => $k->files }) . ')');
$k->sql(q(UPDATE kaireon_internal.connector SET auth_sealed = decode('00ff2781c0de0a5c', 'hex') WHERE name = 'sealed'));
$k->sql(q(INSERT INTO kaireon_internal.dead_letter (pipeline_id, run_id, version, node_id, source, line, "offset", field, sqlstate, reason, record)
          SELECT pipeline_id, run_id, version, 'read', 'in/a.csv', 3, 20, 'amount', '22P02', 'bad', E'2,"b\\\\\n",two' FROM kaireon_internal.run LIMIT 1));
my $lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_hers IN SHARE MODE');
my @under_way = ($k->start('hers'), $k->start('hers'));
$k->poll('a run under way', "SELECT status = 'running' FROM kaireon.runs WHERE run_id = '$under_way[0]'");

my @queries = (
    'SELECT * FROM kaireon.connectors', 'SELECT name, auth_sealed FROM kaireon_internal.connector WHERE auth_sealed IS NOT NULL',
    'SELECT id, name, table_schema, table_name, fields, owner, status, created_at FROM kaireon.schemas', 'SELECT * FROM kaireon.schema_fields',
    'SELECT name, linked_schema, join_mapping, summary_columns, summary_table FROM kaireon.schemas', 'SELECT automatic, former_names FROM kaireon_internal.schema',
    'SELECT * FROM ds_sales_summary',
    'SELECT * FROM kaireon.pipeline_versions', 'SELECT * FROM kaireon_internal.run', 'SELECT * FROM kaireon.run_nodes',
    'SELECT * FROM kaireon.run_errors', 'SELECT * FROM kaireon.dead_letters', 'SELECT * FROM kaireon.source_state', 'SELECT * FROM kaireon_internal.lease',
    'SELECT * FROM kaireon_internal.source_file', 'SELECT * FROM ds_plain', 'SELECT * FROM ds_hers', 'SELECT * FROM kaireon_internal.pipeline',
    # the trigger of updated_at goes with the extension there too
    q(SELECT t.tgrelid::regclass, t.tgname, d.deptype FROM pg_trigger AS t JOIN pg_depend AS d ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
       WHERE d.refclassid = 'pg_extension'::regclass));
my %before = map { $_ => $k->sql("SELECT q::text FROM ($_) AS q ORDER BY 1") } @queries, 'SELECT * FROM kaireon.pipelines';
isnt($before{$_}, '', "$_: there is something") for @queries;

# same(NODE, WHAT, DATABASE): the restored database has all of it.
sub same
{
    my ($node, $what, $database) = @_;
    is($node->sql("SELECT q::text FROM ($_) AS q ORDER BY 1", $database), $before{$_}, "$what: $_") for @queries;
    return;
}

# held(NODE, WHAT, REASON, DATABASE): it is a copy, and says why.
sub held
{
    my ($node, $what, $reason, $database) = @_;
    my $because = $node->sql('SELECT is_confirmed, reason FROM kaireon.instance', $database);
    like($because, qr/^f\|It was restored, .* it has another $reason\.$/, "$what knows that it is a copy");
    is($node->sql("SELECT DISTINCT status, held_because LIKE '%$reason.' FROM kaireon.pipelines", $database), 'paused|t', "$what: its pipelines are paused and say why");
    like($node->sql_error("SELECT kaireon.$_('plain')", $database), qr/ERROR:  pipelines are held: this database is a copy/, "$what refuses $_") for qw(run_pipeline start_pipeline);
    return;
}

# ---- psql into a new cluster

my $restored = PostgreSQL::Test::Cluster->new('dump_restored');
$restored->init;
$restored->append_conf('postgresql.conf', "shared_preload_libraries = 'kaireon'\nkaireon.local_fs_roots = '" . $k->files . "'\nmax_worker_processes = 16\n");
$restored->start;
my $r = bless { node => $restored, files => $k->files }, 'Kaireon';
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$k->node->command_ok([ 'pg_dumpall', '--globals-only', '-f', "$dump.globals", '-h', $k->node->host, '-p', $k->node->port ], 'pg_dumpall of the roles');
$k->node->command_ok([ 'pg_dump', '-f', $dump, $k->node->connstr('postgres') ], 'pg_dump');
$k->node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", $k->node->connstr('postgres') ], 'pg_dump -Fc');
$k->node->command_ok([ 'pg_dump', '--schema-only', '-f', "$dump.schema", $k->node->connstr('postgres') ], 'pg_dump --schema-only');
$lock->query('COMMIT');
$lock->close;
$k->wait_run($_) for @under_way;
# The bootstrap role is there already; every other statement has to succeed.
my (undef, undef, $complaints) = $restored->psql('postgres', "\\i $dump.globals", on_error_stop => 0);
is(join("\n", grep { !/role "postgres" already exists/ } split /\n/, $complaints), '', 'the roles are restored');
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $restored->connstr('postgres') ], 'psql takes the dump');
same($r, 'restored');
held($r, 'restored', 'system identifier, extension and data directory');
$restored->restart;
ok($r->poll('the supervisors to have looked', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'"), 'it starts anew');
same($r, 'restored and started anew');

is($r->sql('SELECT kaireon.confirm_instance()'), 't', 'it can be confirmed');
is($r->sql('SELECT is_confirmed, reason IS NULL FROM kaireon.instance'), 't|t', 'and then is');
is($r->sql("SELECT string_agg(status || ' ' || error_code || ' ' || error_message, ', ') FROM kaireon.runs WHERE run_id IN ('$under_way[0]', '$under_way[1]')"),
    join(', ', ('cancelled KA005 the run belongs to the database that this one is a copy of') x 2), 'runs that were under way are not started by surprise');
(my $pipelines = $before{'SELECT * FROM kaireon.pipelines'}) =~ s/,(running|queued),/,cancelled,/g;
is($r->sql('SELECT q::text FROM (SELECT * FROM kaireon.pipelines) AS q ORDER BY 1'), $pipelines, 'the pipelines are what they were: published, paused, draft');

# It works there: with its owner, its ledger and its numbering of versions.
is($r->sql("SELECT status, rows_read FROM kaireon.run_pipeline('plain')"), 'success|0', 'an incremental pipeline knows what it has loaded');
$k->write_file('in/b.csv', "id,name,amount\n4,d,4\n");
is($r->sql("SELECT status, rows_read, rows_loaded FROM kaireon.run_pipeline('plain')"), 'success|1|1', 'and loads what is new');
is($r->sql('SELECT string_agg(id::text, \' \' ORDER BY id) FROM ds_plain'), '1 3 4', 'into its table');
$r->sql('TRUNCATE ds_hers');
is($r->sql("SELECT status, rows_loaded FROM kaireon.run_pipeline('hers')"), 'partial|1', 'another owner\'s runs too');
is($r->sql("SELECT owner FROM kaireon_internal.run WHERE pipeline = 'hers' ORDER BY queued_at DESC LIMIT 1"), 'loader', 'as its owner');
is($r->sql(q(SELECT kaireon.alter_field('sales', 'customer', '{"name": "buyer"}'); SELECT buyer, total FROM ds_sales_summary)), "\n1|2.5", 'a summary follows its schema');
is($r->sql(q(SELECT kaireon.delete_schema('sales'); SELECT to_regclass('ds_sales'), to_regclass('ds_sales_summary'))), "\n|", 'and goes with it');
is($r->sql("SELECT kaireon.update_pipeline('plain', execution_config => '{}')"), 3, 'versions go on being numbered');
is($r->sql("SELECT kaireon.reset_source_state('plain')"), 2, 'what it loaded can be forgotten');
is($r->sql(q(SELECT count(*) FROM kaireon.validate_pipeline('a "b" ''c'' \d'))), 0, 'a pipeline with an odd name is sound');
$r->settled('restored');

# ---- pg_restore, in parallel, into another database; and only what is there without data

$restored->safe_psql('postgres', "CREATE DATABASE $_") for qw(parallel bare);
$restored->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', $restored->connstr('parallel'), "$dump.custom" ], 'pg_restore -j2 takes the dump');
same($r, 'restored in parallel', 'parallel');
held($r, 'restored in parallel', 'system identifier, database and data directory', 'parallel');
is($r->sql('SELECT kaireon.confirm_instance()', 'parallel'), 't', 'and is confirmed alone');
is($r->sql("SELECT status, rows_loaded, rows_skipped FROM kaireon.run_pipeline('hers')", 'parallel'), 'partial|0|2', 'then it runs (and finds its keys there)');
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dump.schema", '-d', $restored->connstr('bare') ], 'psql takes a dump without data');
is($r->sql('SELECT is_confirmed, (SELECT count(*) FROM kaireon.pipelines), (SELECT count(*) FROM ds_plain) FROM kaireon.instance', 'bare'), 't|0|0',
    'which has tables but no pipelines: nothing is held');

# ---- into another database of the same cluster, and into the same database

$k->sql('CREATE DATABASE beside', 'template1');
$k->node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $k->node->connstr('beside'), "$dump.custom" ], 'pg_restore into the same cluster');
held($k, 'a restored database of the same cluster', 'database', 'beside');
is($k->sql("SELECT status FROM kaireon.run_pipeline('plain')"), 'success', 'its original goes on');
$k->sql('DROP EXTENSION kaireon; DROP SCHEMA kaireon; DROP TABLE ds_plain, ds_hers, ds_sales, ds_sales_summary');
$k->node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $k->node->connstr('postgres') ], 'a dump goes back to where it came from');
held($k, 'a database put back', 'extension');

# A second dump is as good as the first.
$restored->command_ok([ 'pg_dump', '-f', "$dump.again", $restored->connstr('postgres') ], 'what was restored can be dumped');
done_testing;
