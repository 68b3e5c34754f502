# A standby serves the views and everything that only reads, and refuses what
# would write, run or confirm; promoted, it does all of it.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('standby_primary', conf => "wal_level = replica\nmax_wal_senders = 4\nkaireon.instance_name = 'both'\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
$k->write_rows('few.csv', 100, sub { "$_[0],name $_[0]" }, 'id,name');
$k->make('c', fields => \@fields, source => { resource => 'few.csv' });
$k->sql(q(SELECT kaireon.publish_pipeline('c')));
$k->run('c');
$k->sql('ANALYZE ds_c');   # row_estimate is each server's own before
# One waits to be run while the backup is taken.
my $lock = $k->session;
$lock->query('BEGIN; LOCK TABLE ds_c IN SHARE MODE');
my $under_way = $k->start('c');
$k->poll('it to run', "SELECT status = 'running' FROM kaireon.runs WHERE run_id = '$under_way'");
$k->node->backup('base');
my $node = PostgreSQL::Test::Cluster->new('standby');
$node->init_from_backup($k->node, 'base', has_streaming => 1);
$node->start;
my $standby = bless { node => $node, files => $k->files }, 'Kaireon';
my $catch_up = sub { $k->node->wait_for_catchup($node, 'replay', $k->node->lsn('flush')) };
$catch_up->();

# error(STATEMENT): what the standby says to it.
sub error
{
    my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]");
    return $err;
}

# ---- what only reads

for my $view (split /\n/, $k->sql("SELECT oid::regclass FROM pg_class WHERE relnamespace = 'kaireon'::regnamespace AND relkind = 'v' ORDER BY 1"))
{
    next if $view =~ /progress|instance/;
    my $all = "SELECT q::text FROM (SELECT * FROM $view) AS q ORDER BY 1";
    $all = "SELECT q::text FROM (SELECT run_id, status FROM $view) AS q ORDER BY 1" if $view =~ /runs$/;   # durations go on
    is($standby->sql($all), $k->sql($all), "$view: as on the primary");
}
is($standby->sql('SELECT count(*) FROM kaireon.progress'), 0, 'progress is of its own runs');
is($standby->sql('SELECT is_confirmed FROM kaireon.instance'), 't', 'it would go on after a failover');
is($standby->sql("SELECT count(*) FROM kaireon.explain_pipeline('c') AS l WHERE l LIKE '%INSERT INTO public.ds_c%'"), 1, 'it explains');
is($standby->sql("SELECT count(*) FROM kaireon.preview_pipeline('c', 5)"), 5, 'and previews');
is($standby->sql("SELECT count(*) FROM kaireon.validate_pipeline('c')"), 0, 'and validates');
is($standby->sql("SELECT kaireon.export_pipeline('c') IS NOT NULL"), 't', 'and exports');
like($standby->sql("SELECT kaireon.pipeline_diagram('c')"), qr/few\.csv/, 'and draws');
is($standby->sql(q(SELECT count(*) FROM kaireon.read('files', 'few.csv') AS t(id int))), 100, 'and reads');
is($standby->sql(q(SELECT ok FROM kaireon.test_connector('files'))), 't', 'and tests connectors');
is($standby->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'kaireon%'"), 0, 'no process of ours runs there');

# ---- what does not

like(error("SELECT kaireon.$_('c')"), qr/^psql\S*: ERROR:  25006: cannot run a pipeline on a standby server\nDETAIL:  A run writes, and a standby can.t\.\nHINT:  Run it on the primary\.$/m, "it refuses $_")
    for qw(run_pipeline start_pipeline);
for my $call (split /\n/, $k->sql("SELECT format('%s(%s)', p.proname, (SELECT string_agg('NULL::' || format_type(t, NULL), ', ') FROM unnest(p.proargtypes) AS t))"
      . " FROM pg_proc AS p WHERE p.pronamespace = 'kaireon'::regnamespace AND p.prosrc = 'kaireon_call' AND p.provolatile = 'v' ORDER BY 1"))
{
    (my $name = $call) =~ s/\(.*//;
    like(error("SELECT kaireon.$call"), qr/^psql\S*: ERROR:  25006: cannot execute kaireon\.$name on a standby server\nDETAIL:  [^\n]*\nHINT:  Call it on the primary\.$/m, "it refuses $name");
}
like(error("SELECT kaireon.cancel_run('$under_way')"), qr/ERROR:  25006: cannot execute kaireon\.cancel_run on a standby server/, 'it refuses cancel_run');
is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$under_way'"), 'running', 'none of it touched the primary');

# ---- promoted, while the primary had a run under way

$k->node->stop('immediate');
$lock->close;
$node->promote;
is($standby->wait_run($under_way), 'failed', 'the run that was under way has failed');
is($standby->sql("SELECT error_code FROM kaireon.runs WHERE run_id = '$under_way'"), 'KA003', 'because its server has gone');
$standby->sql('TRUNCATE ds_c');
is($standby->run('c')->{status}, 'success', 'it runs pipelines');
like($standby->sql(q(SELECT kaireon.create_pipeline('d', 'files', 'c'))), qr/^[-0-9a-f]{36}$/, 'and makes them');
is($standby->sql('SELECT kaireon.confirm_instance()'), 'f', 'nothing was to be confirmed');
$standby->settled('promoted');
done_testing;
