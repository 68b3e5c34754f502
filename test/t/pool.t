# Runs that have to wait: for a place in the pool, for a worker slot of the
# server, for another run of the same pipeline, for the transaction that starts
# them.  And those that must not wait but be refused.
use strict;
use warnings;
use Kaireon;
use Test::More;

# launcher, supervisor, PostgreSQL's logical replication launcher, and two runs
my $k = Kaireon->new('pool', conf => "max_worker_processes = 5\nkaireon.max_workers = 1\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
$k->write_rows('few.csv', 100, sub { "$_[0],name $_[0]" }, 'id,name');
my @few = (fields => \@fields, source => { resource => 'few.csv' });
$k->make($_, @few) for qw(a b c d);
$k->make('again', schema => 'a', source => { resource => 'few.csv' }, execution => { errorHandling => 'skip' });

# held(TABLE...): a session that keeps runs from writing to tables.
sub held
{
    my $session = $k->session;
    $session->query('BEGIN; LOCK TABLE ' . join(', ', map { "ds_$_" } @_) . ' IN SHARE MODE');
    return $session;
}

# waits(RUN): once the run waits for such a lock.
sub waits
{
    my ($run) = @_;
    my $worker = $k->worker_pid($run);
    return $k->poll('the run to wait for the table', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event_type = 'Lock')");
}

sub status { return $k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$_[0]'"); }

sub setting
{
    my ($name, $value) = @_;
    $k->sql("ALTER SYSTEM SET $name = $value");
    $k->sql('SELECT pg_reload_conf()');
    $k->poll("$name = $value", "SHOW $name", $value);
    return;
}

# ---- a pool of one

{
    my $lock = held('a');
    my @runs = map { $k->start($_) } qw(a b c d);
    ok(waits($runs[0]), 'the first run runs');
    my $session = $k->session;
    $session->send("SELECT status FROM kaireon.run_pipeline('b')");
    $k->poll('five runs', 'SELECT count(*) = 5 FROM kaireon.runs');
    is(join(' ', map { status($_) } @runs), 'running queued queued queued', 'the others wait');
    is($k->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kaireon run'"), 1, 'with one worker');
    is($k->sql("SELECT string_agg(stage, ' ' ORDER BY stage) FROM kaireon.progress"), 'loading queued',
        'progress shows the one that runs, and the one a session waits for') or diag($k->sql('SELECT pipeline, stage FROM kaireon.progress'));
    $lock->query('COMMIT');
    is(join(' ', map { $k->wait_run($_) } @runs), 'success success success success', 'then they run');
    is($k->sql("SELECT string_agg(pipeline, ' ' ORDER BY started_at) FROM kaireon.runs WHERE run_id IN ('" . join("', '", @runs) . "')"), 'a b c d', 'in their order');
    is($k->sql('SELECT count(*) FROM kaireon.runs r JOIN kaireon.runs s ON r.run_id < s.run_id WHERE (r.started_at, r.finished_at) OVERLAPS (s.started_at, s.finished_at)'),
        0, 'one at a time');
    is($session->result, 'failed', 'and so does the one that a session waits for (which finds its keys there)');
    $session->close;
    $lock->close;
    $k->settled('a pool of one');
}

# ---- one run of a pipeline at a time

setting('kaireon.max_workers', 4);
$k->sql('TRUNCATE ds_a, ds_b, ds_c, ds_d');
{
    my $lock = held('a');
    my $first = $k->start('again');
    waits($first);
    my $second = $k->start('again');
    my $other = $k->start('b');
    is($k->wait_run($other), 'success', 'another pipeline does not wait');
    is(status($second), 'queued', 'a second run of the same one does');
    $lock->query('COMMIT');
    $lock->close;
    is($k->wait_run($first) . ' ' . $k->wait_run($second), 'success partial', 'and runs after the first');
    is($k->sql("SELECT s.started_at >= f.finished_at FROM kaireon.runs f, kaireon.runs s WHERE f.run_id = '$first' AND s.run_id = '$second'"), 't', 'not before it has ended');
}

# ---- no worker slot left

$k->sql('TRUNCATE ds_a, ds_b, ds_c, ds_d');
{
    my $lock = held('a', 'b');
    my @holding = map { $k->start($_) } qw(a b);
    waits($_) for @holding;
    my $log_at = -s $k->node->logfile;
    my $count = sub { my $log = PostgreSQL::Test::Utils::slurp_file($k->node->logfile, $log_at); return scalar(() = $log =~ /kaireon has no background worker slot left/g) };
    my ($started, $cancelled) = ($k->start('c'), $k->start('d'));
    my $session = $k->session;
    $session->send("SELECT status FROM kaireon.run_pipeline('d')");
    my $asked;
    $k->poll('the run that is asked for', sub { $asked = $k->sql('SELECT run_id FROM kaireon_internal.run WHERE waits AND status = \'queued\'') });
    ok($k->poll('a line in the log', sub { return $count->() }), 'the log says that there is no worker slot');
    is(status($started), 'queued', 'the run waits');
    is($k->sql("SELECT kaireon.cancel_run('$cancelled')"), 't', 'a waiting run can be cancelled');
    is($k->wait_run($cancelled), 'cancelled', 'and then is');
    $k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
    $session->result;
    like($session->err, qr/ERROR:  57014/, 'a statement that waits for one too');
    is($k->wait_run($asked), 'cancelled', 'which ends its run');
    is($k->sql("SELECT error_code, rows_read FROM kaireon.runs WHERE run_id = '$asked'"), '57014|0', 'with the code that says so');
    $session->close;
    is($count->(), 1, 'one line in the log, however long it lasts');
    $lock->query('COMMIT');
    $lock->close;
    is(join(' ', map { $k->wait_run($_) } @holding, $started), 'success success success', 'when slots are free again the run starts');
    $k->settled('no worker slot left');
}

# ---- transactions

{
    my $runs = $k->sql('SELECT count(*) FROM kaireon.runs');
    my $session = $k->session;
    $session->query("BEGIN; SELECT kaireon.start_pipeline('c'); ROLLBACK");
    is($k->sql('SELECT count(*) FROM kaireon.runs'), $runs, 'start_pipeline in a transaction that is rolled back leaves nothing');
    $session->query('BEGIN');
    $session->query('SAVEPOINT s');
    $session->query("SELECT kaireon.start_pipeline('c')");
    $session->query('ROLLBACK TO s');
    $session->query('TRUNCATE ds_d');
    my $run = $session->query("SELECT kaireon.start_pipeline('d')");
    is($k->sql('SELECT count(*) FROM kaireon.runs'), $runs, 'before the commit there is no run');
    $session->query('COMMIT');
    is($k->wait_run($run), 'success', 'at commit it starts, and sees what was committed');
    is($k->sql('SELECT count(*) FROM kaireon.runs'), $runs + 1, 'and the one of the savepoint does not');

    my $refused = sub {
        my ($before, $what, $code, $message) = @_;
        $session->query('BEGIN');
        $session->query($before);
        is($session->err, '', "$what: its transaction") if $session->err;
        $session->query("SELECT kaireon.run_pipeline('c')");
        like($session->err, qr/ERROR:  $code: $message/, $what);
        $session->query('ROLLBACK');
    };
    $refused->("SELECT kaireon.delete_pipeline('c'); SELECT kaireon.create_pipeline('c', 'files', 'c')",
        'run_pipeline in the transaction that made the pipeline', '55000', 'pipeline "c" was created or changed in this transaction');
    $refused->("SELECT kaireon.update_pipeline('c', execution_config => '{}')", 'or changed it', '55000', 'pipeline "c" was created or changed in this transaction');
    $refused->($_, "or $_", '55000', 'pipeline "c" was created or changed in this transaction')
        for q(SELECT kaireon.update_connector('files', description => 'x')), q(SELECT kaireon.update_schema('c', description => 'x')), q(SELECT kaireon.reset_source_state('c'));
    is($session->query(q{BEGIN; SELECT ok FROM kaireon.test_connector('files'); SELECT count(*) FROM kaireon.run_pipeline('c', '{"dryRun": true}'); COMMIT}), "t\n1", 'a test of its connector is no change');
    for my $statement ('LOCK TABLE ds_c IN SHARE MODE', 'TRUNCATE ds_c', 'DELETE FROM ds_c', 'INSERT INTO ds_c (id) VALUES (1000)')
    {
        $refused->($statement, "run_pipeline after $statement", '55006', 'this transaction has changed or locked the table that pipeline "c" loads');
    }
    $refused->('SET TRANSACTION READ ONLY', 'run_pipeline in a read-only transaction', '25006', "cannot execute a pipeline's run in a read-only transaction");
    is($k->sql("SELECT count(*) FROM kaireon.runs"), $runs + 2, 'a refused run leaves no row');
    $k->sql('TRUNCATE ds_c');
    $session->query('BEGIN; SELECT count(*) FROM ds_c');
    is($session->query("SELECT status FROM kaireon.run_pipeline('c')"), 'success', 'a transaction that only read the table may run it');
    $session->query('COMMIT');
    $k->sql('TRUNCATE ds_c');
    $session->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    is($session->query("SELECT status, rows_loaded FROM kaireon.run_pipeline('c')"), 'success|100', 'a transaction with an older snapshot sees how its run ended');
    $session->query('COMMIT');
    $session->close;
    $k->sql(q(SELECT kaireon.pause_pipeline('c')));
    like($k->sql_error(q(SELECT kaireon.run_pipeline('c'))), qr/pipeline "c" is paused/, 'a paused pipeline is refused');
    like($k->sql_error(q(SELECT kaireon.start_pipeline('nope'))), qr/pipeline "nope" does not exist/, 'one that does not exist too');
    like($k->sql_error(q(SELECT kaireon.run_pipeline('d', '{"versoin": 1}'))), qr/versoin/, 'and an option that does not');
    for my $version (qw(4294967297 1.5 1e400))
    {
        like($k->sql_error(qq(SELECT kaireon.run_pipeline('d', '{"version": $version}'))), qr/key "version" of options must be a whole number/, "a version is a whole number, which $version is not");
    }
    like($k->sql_error(q(SELECT kaireon.run_pipeline('d', '{"version": 7}'))), qr/has no version 7/, 'and a version');
    $k->sql(q(SELECT kaireon.resume_pipeline('c')));
    $k->settled('transactions');
}
ok($k->same_postmaster, 'the server lived through');
done_testing;
