# pg_upgrade: everything is there, held until it is confirmed, and then works.
# From the server in KAIREON_OLD_BINDIR (15, where tools/test-matrix runs this on
# 17 and 18), else from the server under test to itself, which goes the same way.
use strict;
use warnings;
use Contents;
use Kaireon;
use Test::More;

# takes_from(PATH): does the server under test take what that one writes?  Since
# November 2026 a server before 18 notes versions of attributes as an option of
# columns, which a later major version of before that time does not know.
sub takes_from
{
    my ($path) = @_;
    my $old = PostgreSQL::Test::Cluster->new('probe_old', install_path => $path);
    my $new = PostgreSQL::Test::Cluster->new('probe_new');
    my ($said, $notes) = ('');

    for my $node ($old, $new) { $node->init; $node->start; $node->safe_psql('postgres', 'CREATE TABLE t (a int)'); }
    $notes = $old->safe_psql('postgres', "SELECT count(*) FROM pg_attribute WHERE attoptions::text LIKE '%pg_attver%'");
    $new->psql('postgres', 'ALTER TABLE t ALTER a SET (pg_attver = 1)', stderr => \$said);
    $_->stop('immediate') for $old, $new;
    return 1 unless $notes > 0 && $said =~ /unrecognized parameter/;
    SKIP: { skip "from $old->{_pg_version}: $new->{_pg_version} is of before November 2026 and does not know what that writes (pg_attver)", 1; }
    return 0;
}

(my $old_path = $ENV{KAIREON_OLD_BINDIR} || '') =~ s{/bin/?$}{};
$old_path = '' if $old_path && !takes_from($old_path);
my $k = Kaireon->new('old', $old_path ? (install_path => $old_path) : ());
my $from = $k->sql("SELECT current_setting('server_version_num')::int / 10000");
Contents::make($k);
$k->sql('CREATE DATABASE beside');
$k->sql('CREATE EXTENSION kaireon', 'beside');
$k->make('few', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 } ], source => { resource => 'in/a.csv' }, database => 'beside');
my $before = Contents::remember($k);
my $tables = $k->sql(q(SELECT string_agg(pg_get_constraintdef(oid), E'\n' ORDER BY conrelid::regclass::text, conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'));
my $supervisors = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'";
$k->node->stop;

my $node = PostgreSQL::Test::Cluster->new('new');
my $to = `"$ENV{KAIREON_PG_CONFIG}" --version` =~ /PostgreSQL (\d+)/ ? $1 : die;
# Since 18 a new cluster has checksums; they have to be as they were.
$node->init(extra => $to >= 18 && $from < 18 ? ['--no-data-checksums'] : []);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'kaireon'\nkaireon.local_fs_roots = '" . $k->files . "'\nmax_worker_processes = 16\n");
my $bin = sub { my $path = `"$ENV{KAIREON_PG_CONFIG}" --bindir`; chomp $path; return $path };
chdir $PostgreSQL::Test::Utils::tmp_check or die;
PostgreSQL::Test::Utils::command_ok([ $bin->() . '/pg_upgrade', '--no-sync', '-d', $k->node->data_dir, '-D', $node->data_dir, '-b', $old_path ? "$old_path/bin" : $bin->(), '-B', $bin->(),
        '-s', $node->host, '-p', $k->node->port, '-P', $node->port, '-U', 'postgres' ], "pg_upgrade from $from to $to");
$node->start;
my $new = bless { node => $node, files => $k->files }, 'Kaireon';
$new->remember_postmaster;

is($new->poll('the supervisors to have looked', $supervisors, 0), 0, 'nothing of it runs');
Contents::same($new, 'upgraded', $before);
is($new->sql(q(SELECT string_agg(pg_get_constraintdef(oid), E'\n' ORDER BY conrelid::regclass::text, conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n')),
    $tables, 'the tables have their keys');
Contents::held($new, 'upgraded', qr/system identifier(, extension)? and data directory/);
like($new->sql_error(q(SELECT kaireon.run_pipeline('few')), 'beside'), qr/pipelines are held/, 'so does another database');
is($new->sql('SELECT kaireon.confirm_instance()', $_), 't', "database $_ can be confirmed") for qw(postgres beside);
Contents::same_pipelines($new, 'confirmed', $before);

is($new->sql("SELECT status, rows_read FROM kaireon.run_pipeline('plain')"), 'success|0', 'an incremental pipeline knows what it has loaded');
$new->write_file('in/b.csv', "id,name,amount\n4,d,4\n");
is($new->sql("SELECT status, rows_read, rows_loaded FROM kaireon.run_pipeline('plain')"), 'success|1|1', 'and loads what is new');
is($new->sql("UPDATE ds_plain SET name = 'x' WHERE id = 4; SELECT updated_at > created_at FROM ds_plain WHERE id = 4"), 't', 'its table keeps time');
$new->sql('TRUNCATE ds_hers');
is($new->sql("SELECT status, rows_loaded FROM kaireon.run_pipeline('hers')"), 'partial|1', 'another owner\'s runs too');
is($new->sql(q(SELECT status FROM kaireon.run_pipeline('few')), 'beside'), 'success', 'and those of another database');
is($new->sql("SELECT kaireon.update_pipeline('plain', execution_config => '{}')"), 3, 'versions go on being numbered');
like($new->sql(q(SELECT kaireon.create_schema('more', '[{"name": "a"}]'))), qr/^[-0-9a-f]{36}$/, 'schemas can be made');
$new->settled('upgraded');

# What was upgraded can be dumped, restored and dropped like any other.
my $dump = "$PostgreSQL::Test::Utils::tmp_check/upgrade.custom";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'it can be dumped');
$new->sql('CREATE DATABASE again TEMPLATE template0');
$node->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', $node->connstr('again'), $dump ], 'and restored');
is($new->sql_error('DROP EXTENSION kaireon', 'again'), '', 'and dropped');
ok($new->same_postmaster, 'the server lived through');
done_testing;
