# pg_dump of a database with the extension, restored by psql and by pg_restore
# into another cluster and into other databases: what users made is all there
# (connectors with their sealed credentials, schemas with their tables, pipelines
# with their versions, runs with their errors, what was loaded).  The copy knows
# that it is one, holds its pipelines until it is confirmed, and then works.
use strict;
use warnings;
use Contents;
use Kaireon;
use Test::More;

my $k = Kaireon->new('dump');
Contents::make($k);
my $lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_hers IN SHARE MODE');
my @under_way = ($k->start('hers'), $k->start('hers'));
$k->poll('a run under way', "SELECT status = 'running' FROM kaireon.runs WHERE run_id = '$under_way[0]'");
my $before = Contents::remember($k);

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
Contents::same($r, 'restored', $before);
Contents::held($r, 'restored', 'system identifier, extension and data directory');
$restored->restart;
ok($r->poll('the supervisors to have looked', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'"), 'it starts anew');
Contents::same($r, 'restored and started anew', $before);

is($r->sql('SELECT kaireon.confirm_instance()'), 't', 'it can be confirmed');
is($r->sql('SELECT is_confirmed, reason IS NULL FROM kaireon.instance'), 't|t', 'and then is');
is($r->sql("SELECT string_agg(status || ' ' || error_code || ' ' || error_message, ', ') FROM kaireon.runs WHERE run_id IN ('$under_way[0]', '$under_way[1]')"),
    join(', ', ('cancelled KA005 the run belongs to the database that this one is a copy of') x 2), 'runs that were under way are not started by surprise');
Contents::same_pipelines($r, 'confirmed', $before);

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
is($r->sql(q(SELECT count(kaireon.edit_dead_letter(id, '{"amount": "2", "name": "again"}')) FROM kaireon.dead_letters WHERE record ->> 'id' = '7')), 1, 'a dead letter can be edited');
is($r->sql(q(SELECT status, rows_loaded, rows_skipped FROM kaireon.replay_dead_letters('letters'))), 'partial|1|2', 'and replayed');
is($r->sql('SELECT name FROM ds_plain WHERE id = 7'), 'again', 'it is there');
is($r->sql(q(SELECT string_agg(code, ' ') FROM kaireon.validate_pipeline('a "b" ''c'' \d'))), 'unused_state', 'a pipeline with an odd name is sound, but for the watermark that was made up for it');
$r->settled('restored');

# ---- pg_restore, in parallel, into another database; and only what is there without data

$restored->safe_psql('postgres', "CREATE DATABASE $_") for qw(parallel bare);
$restored->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', $restored->connstr('parallel'), "$dump.custom" ], 'pg_restore -j2 takes the dump');
Contents::same($r, 'restored in parallel', $before, 'parallel');
Contents::held($r, 'restored in parallel', 'system identifier, database and data directory', 'parallel');
is($r->sql('SELECT kaireon.confirm_instance()', 'parallel'), 't', 'and is confirmed alone');
is($r->sql("SELECT status, rows_loaded, rows_skipped FROM kaireon.run_pipeline('hers')", 'parallel'), 'partial|0|2', 'then it runs (and finds its keys there)');
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dump.schema", '-d', $restored->connstr('bare') ], 'psql takes a dump without data');
is($r->sql('SELECT is_confirmed, (SELECT count(*) FROM kaireon.pipelines), (SELECT count(*) FROM ds_plain) FROM kaireon.instance', 'bare'), 't|0|0',
    'which has tables but no pipelines: nothing is held');

# ---- into another database of the same cluster, and into the same database

$k->sql('CREATE DATABASE beside', 'template1');
$k->node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $k->node->connstr('beside'), "$dump.custom" ], 'pg_restore into the same cluster');
Contents::held($k, 'a restored database of the same cluster', 'database', 'beside');
is($k->sql("SELECT status FROM kaireon.run_pipeline('plain')"), 'success', 'its original goes on');
$k->sql('DROP EXTENSION kaireon; DROP SCHEMA kaireon; DROP TABLE ds_plain, ds_hers, ds_sales, ds_sales_summary');
$k->node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $k->node->connstr('postgres') ], 'a dump goes back to where it came from');
Contents::held($k, 'a database put back', 'extension');

# A second dump is as good as the first.
$restored->command_ok([ 'pg_dump', '-f', "$dump.again", $restored->connstr('postgres') ], 'what was restored can be dumped');
done_testing;
