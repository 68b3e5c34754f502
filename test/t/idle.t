# Two hundred published pipelines that nothing runs cost nothing: one process,
# which nothing wakes but a run, whichever session commits it.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('idle', conf => "kaireon.supervisor_idle_timeout = 1\nmax_prepared_transactions = 1\nautovacuum = off\n");
$k->write_file('few.csv', "id,name\n1,a\n");
$k->make('p0', fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' } ], source => { resource => 'few.csv' });
$k->sql(q(SELECT kaireon.create_pipeline('p' || i, 'files', 'p0') FROM generate_series(1, 199) AS i; SELECT kaireon.publish_pipeline(name) FROM kaireon.pipelines));
is($k->sql("SELECT count(*) FROM kaireon.pipelines WHERE status = 'active'"), 200, 'two hundred published pipelines');
is($k->run('p0')->{status}, 'success', 'one runs');
my $processes = "SELECT string_agg(backend_type, ', ') FROM pg_stat_activity WHERE backend_type LIKE 'kaireon%'";
is($k->poll('the supervisor to go', $processes, 'kaireon launcher'), 'kaireon launcher', 'then only the launcher is left');

# How often the launcher has been on a processor because it wanted to.
my $launcher = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon launcher'");
sub wakeups
{
    my $status = PostgreSQL::Test::Utils::slurp_file("/proc/$launcher/status");
    return $status =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : die 'no count';
}
my $before = wakeups();
my $session = $k->session;
$session->query("SELECT count(*) FROM kaireon.$_") for (qw(pipelines runs progress schemas)) x 100;
$session->close;
is(wakeups(), $before, 'and nothing wakes it while others work');
is($k->sql($processes), 'kaireon launcher', 'nor is anything else started');

$k->sql('TRUNCATE ds_p0');
my $run = $k->sql("BEGIN; SELECT kaireon.start_pipeline('p0'); PREPARE TRANSACTION 'p'");
is($k->sql("SELECT count(*) FROM kaireon.runs WHERE run_id = '$run'"), 0, 'a run is prepared, by a session that is gone');
$k->sql("COMMIT PREPARED 'p'");
is($k->wait_run($run), 'success', 'another that commits it wakes who runs it');
done_testing;
