# pg_dump of a database with the extension, restored into another cluster: what
# users made is all there (connectors, schemas with their tables, pipelines with
# their versions, runs with their errors, what was loaded), and it works there.
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
# The least readable of names has to come through too.
$k->sql(q(SELECT kaireon.create_pipeline('a "b" ''c'' \d', 'files', 'plain')));

my $restored = PostgreSQL::Test::Cluster->new('dump_restored');
$restored->init;
$restored->append_conf('postgresql.conf', "shared_preload_libraries = 'kaireon'\nkaireon.local_fs_roots = '" . $k->files . "'\nmax_worker_processes = 16\n");
$restored->start;
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$k->node->command_ok([ 'pg_dumpall', '--globals-only', '-f', "$dump.globals", '-h', $k->node->host, '-p', $k->node->port ], 'pg_dumpall of the roles');
$k->node->command_ok([ 'pg_dump', '-f', $dump, $k->node->connstr('postgres') ], 'pg_dump');
# The bootstrap role is there already; every other statement has to succeed.
$restored->psql('postgres', "\\i $dump.globals");
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $restored->connstr('postgres') ], 'psql takes the dump');

for my $query (
    'SELECT * FROM kaireon.connectors', 'SELECT id, name, table_schema, table_name, fields, owner, status, created_at FROM kaireon.schemas', 'SELECT * FROM kaireon.schema_fields',
    'SELECT * FROM kaireon.pipelines', 'SELECT * FROM kaireon.pipeline_versions', 'SELECT * FROM kaireon.runs', 'SELECT * FROM kaireon.run_nodes',
    'SELECT * FROM kaireon.run_errors', 'SELECT * FROM kaireon.source_state', 'SELECT * FROM kaireon_internal.lease', 'SELECT * FROM kaireon_internal.source_file',
    'SELECT * FROM ds_plain', 'SELECT * FROM ds_hers',
    # the trigger of updated_at goes with the extension there too
    q(SELECT t.tgrelid::regclass, t.tgname, d.deptype FROM pg_trigger AS t JOIN pg_depend AS d ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid
       WHERE d.refclassid = 'pg_extension'::regclass))
{
    my $all = "SELECT q::text FROM ($query) AS q ORDER BY 1";
    my $before = $k->sql($all);
    isnt($before, '', "$query: there is something");
    is($restored->safe_psql('postgres', $all), $before, "$query: it is the same");
}

# It works there: with its owner, its ledger and its numbering of versions.
my $r = bless { node => $restored, files => $k->files }, 'Kaireon';
is($r->sql("SELECT status, rows_read FROM kaireon.run_pipeline('plain')"), 'success|0', 'an incremental pipeline knows what it has loaded');
$k->write_file('in/b.csv', "id,name,amount\n4,d,4\n");
is($r->sql("SELECT status, rows_read, rows_loaded FROM kaireon.run_pipeline('plain')"), 'success|1|1', 'and loads what is new');
is($r->sql('SELECT string_agg(id::text, \' \' ORDER BY id) FROM ds_plain'), '1 3 4', 'into its table');
$r->sql('TRUNCATE ds_hers');
is($r->sql("SELECT status, rows_loaded FROM kaireon.run_pipeline('hers')"), 'partial|1', 'another owner\'s runs too');
is($r->sql("SELECT owner FROM kaireon_internal.run WHERE pipeline = 'hers' ORDER BY queued_at DESC LIMIT 1"), 'loader', 'as its owner');
is($r->sql("SELECT kaireon.update_pipeline('plain', execution_config => '{}')"), 3, 'versions go on being numbered');
is($r->sql("SELECT kaireon.reset_source_state('plain')"), 2, 'what it loaded can be forgotten');
is($r->sql(q(SELECT count(*) FROM kaireon.validate_pipeline('a "b" ''c'' \d'))), 0, 'a pipeline with an odd name is sound');
$r->settled('restored');

# A second dump is as good as the first.
$restored->command_ok([ 'pg_dump', '-f', "$dump.again", $restored->connstr('postgres') ], 'what was restored can be dumped');
done_testing;
