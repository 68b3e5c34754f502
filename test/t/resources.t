# What a run needs of the server besides a disk (resources_disk.t) and a
# connection (limits.t): a process, and a database that may be written.  Without
# them whoever asks is told, what was queued waits, and later it runs.
use strict;
use warnings;
use Kaireon;
use Test::More;

# launcher, PostgreSQL's logical replication launcher, and four more
my $k = Kaireon->new('resources', conf => "max_worker_processes = 6\nkaireon.supervisor_idle_timeout = 1\ndeadlock_timeout = 100ms\nautovacuum = off\n");
my @fields = ({ name => 'n', dataType => 'integer' }, { name => 'name', dataType => 'varchar' });
$k->write_rows('few.csv', 100, sub { "$_[0],name $_[0]" }, 'n,name');
$k->make('p', fields => \@fields, source => { resource => 'few.csv' });

# said(STATEMENT): what psql prints on stderr, all of it.
sub said
{
    my ($statement) = @_;
    my ($code, $out, $err) = $k->node->psql('postgres', "\\set VERBOSITY verbose\n$statement", on_error_stop => 0);
    return $err =~ s/^LOCATION:.*\n?//mgr;
}

sub lines_in_log
{
    my ($from, $what) = @_;
    my $log = PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $from);
    return scalar(() = $log =~ /$what/g);
}

# waits_for_slot(N): what run_pipeline says on a server with N worker slots, until it is cancelled.
sub waits_for_slot
{
    my ($slots) = @_;
    my $session = $k->session;
    $session->send(q(SELECT status FROM kaireon.run_pipeline('p')));
    $k->poll('a notice', sub { $session->{psql}->pump_nb; return $session->err =~ /HINT:/ });
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    my $said = $session->err =~ s/^LOCATION:.*\n?//mgr;
    $session->close;
    like($said, qr/^NOTICE:  53400: the run of pipeline "p" waits for a background worker slot of the server\nDETAIL:  max_worker_processes is $slots, and all are taken\.\nHINT:  It begins when one is free\.  Consider increasing max_worker_processes\.\nERROR:  57014: /, "of $slots worker slots none is left: run_pipeline says what it waits for");
    return;
}

# ---- others have all worker slots

$k->sql(q(CREATE FUNCTION dawdle(n int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$BEGIN PERFORM pg_sleep(600); RETURN n; END$$;
    CREATE TABLE wide AS SELECT generate_series(1, 10000) AS n; ALTER TABLE wide SET (parallel_workers = 4); ANALYZE wide));
my $processes = q(SELECT string_agg(backend_type, ', ') FROM pg_stat_activity WHERE backend_type LIKE 'kaireon%');
is($k->run('p')->{status}, 'success', 'a run with worker slots');
$k->poll('the supervisor to go', $processes, 'kaireon launcher');
{
    my $log_at = -s $k->node->logfile;
    my $others = $k->session;
    $others->query('SET max_parallel_workers_per_gather = 4; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0');
    $others->send('SELECT sum(dawdle(n)) FROM wide');
    $k->poll('others to have all slots', q(SELECT count(*) = 4 FROM pg_stat_activity WHERE backend_type = 'parallel worker'));
    my $session = $k->session;
    $session->send(q(SELECT status, rows_loaded FROM kaireon.run_pipeline('p')));
    ok($k->poll('the log', sub { return lines_in_log($log_at, 'kaireon has no background worker slot left') }), 'the log says that there is no worker slot');
    is($k->sql(q(SELECT stage FROM kaireon.progress)), 'queued', 'the run waits');
    my $queued;
    like(said(q(SELECT kaireon.start_pipeline('p'))), qr/^psql:\S* NOTICE:  53400: the run of pipeline "p" may have to wait for a background worker slot/, 'start_pipeline says that it may');
    $queued = $k->sql(q(SELECT run_id FROM kaireon.runs WHERE status = 'queued'));
    waits_for_slot(6);
    is($k->sql($processes), 'kaireon launcher', 'nothing of ours has begun');
    $k->sql('SELECT pg_cancel_backend(' . $others->pid . ')');
    is($session->result, 'success|100', 'when slots are free the run begins');
    like($session->err, qr/^NOTICE:  53400: the run of pipeline "p" waits for a background worker slot/, 'its session knew why it waited');
    is($k->wait_run($queued), 'success', 'and so does what was queued');
    is(lines_in_log($log_at, 'kaireon has no background worker slot left'), 1, 'one line in the log');
    $others->result;
    $_->close for $others, $session;
    ok($k->same_postmaster, 'the server lived through');
    $k->settled('others have all worker slots');
}

# ---- there are too few for us at all

sub restart_with
{
    my ($processes) = @_;
    $k->node->append_conf('postgresql.conf', "max_worker_processes = $processes\n");
    $k->node->restart;
    return;
}

restart_with(0);
like(said(q(SELECT status FROM kaireon.run_pipeline('p'))), qr/ERROR:  53400: no run of pipeline "p" can begin: the server has not started kaireon's launcher\nDETAIL:  max_worker_processes is 0, [^\n]*\nHINT:  Increase max_worker_processes and restart the server\.$/,
    'without a launcher run_pipeline fails');
is($k->sql('SELECT count(*) FROM kaireon.progress'), 0, 'and leaves nothing');
like(said(q(SELECT kaireon.start_pipeline('p'))), qr/WARNING:  53400: the run of pipeline "p" waits: the server has not started kaireon's launcher yet\nDETAIL:  max_worker_processes is 0/, 'start_pipeline warns');
my @queued = ($k->sql(q(SELECT run_id FROM kaireon.runs WHERE status = 'queued')));
is(@queued, 1, 'and queues the run');
for my $few (2, 3)
{
    my $log_at = -s $k->node->logfile;
    restart_with($few);
    waits_for_slot($few);
    push @queued, $k->start('p');
    is(lines_in_log($log_at, 'kaireon has no background worker slot left'), 1, 'one line in the log');
}
restart_with(8);
$k->remember_postmaster;
is(join(' ', map { $k->wait_run($_) } @queued), 'success success success', 'with enough of them what was queued runs');
is($k->run('p')->{status}, 'success', 'and what comes');
$k->settled('too few worker slots');

# ---- a database that is read only

$k->sql('ALTER DATABASE postgres SET default_transaction_read_only = on');
my $hint = qr/HINT:  Call it in a transaction that may write: BEGIN READ WRITE\.$/;
my $because = qr/DETAIL:  default_transaction_read_only is on, for this session, its role, its database or the server\.\n$hint/;
like(said("SELECT kaireon.$_('p')"), qr/ERROR:  25006: cannot execute a pipeline's run in a read-only transaction\n$because/, "read only: it refuses $_") for qw(run_pipeline start_pipeline replay_dead_letters);
for my $call (split /\n/, $k->sql("SELECT format('%s(%s)', p.proname, (SELECT string_agg('NULL::' || format_type(t, NULL), ', ') FROM unnest(p.proargtypes) AS t))"
      . " FROM pg_proc AS p WHERE p.pronamespace = 'kaireon'::regnamespace AND p.prosrc = 'kaireon_call' AND p.provolatile = 'v' ORDER BY 1"))
{
    my ($name) = $call =~ /^(\w+)/;
    like(said("SELECT kaireon.$call"), qr/ERROR:  25006: cannot execute kaireon\.$name in a read-only transaction\nDETAIL:  [^\n]*\n$hint/, "it refuses $name");
}
like(said('SET default_transaction_read_only = off; BEGIN READ ONLY; ' . q(SELECT kaireon.publish_pipeline('p'))), qr/ERROR:  25006: cannot execute kaireon\.publish_pipeline in a read-only transaction\nDETAIL:  It writes\./,
    'also in a transaction that is read only by itself');
is($k->sql(q(SELECT count(*) FROM kaireon.read('files', 'few.csv') AS t(n int))), 100, 'it reads');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('p', 5)"), 5, 'and previews');
is($k->sql("SELECT count(*) FROM kaireon.validate_pipeline('p')"), 0, 'and validates');
is($k->sql(q(BEGIN READ WRITE; SELECT status FROM kaireon.run_pipeline('p'); COMMIT)), 'success', 'a transaction that may write may run it, and the run writes');
$k->sql(q(BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT));
is($k->run('p')->{status}, 'success', 'without the setting so may all');

# ---- timeouts that are the run's own

$k->make('h', fields => \@fields, source => { resource => 'few.csv' }, target => { preHook => q(SET LOCAL lock_timeout = '100ms'; LOCK TABLE ds_p) });
{
    my $lock = $k->session;
    $lock->query('BEGIN; LOCK TABLE ds_p IN SHARE MODE');
    my $row = $k->run('h');
    is("$row->{status} $row->{error_code}: $row->{error_message}; $row->{error_detail}", 'failed 55P03: canceling statement due to lock timeout; It happened in preHook of node "load".', 'a lock_timeout that a hook has set');
    is($k->sql('SELECT count(*) FROM ds_h'), 0, 'fails the run, which loads nothing');
    $lock->close;
    is($k->run('h')->{status}, 'success', 'the next run succeeds');
}
ok($k->same_postmaster, 'the server lived through');
$k->settled('resources');

# ---- a server without processes

$k->node->stop;
my ($out, $err) = ('', '');
my $statements = "SELECT status FROM kaireon.run_pipeline('p')\nSELECT kaireon.start_pipeline('p')\n";
IPC::Run::run([ $k->node->config_data('--bindir') . '/postgres', '--single', '-D', $k->node->data_dir, 'postgres' ], '<', \$statements, '>', \$out, '2>', \$err);
is(scalar(() = $err =~ /ERROR:  cannot run a pipeline in single-user mode/g), 2, 'single-user mode: it refuses to run pipelines');
done_testing;
