# Runs that are tried again ("retry" in execution_config): for what may be over
# soon, and for nothing else; from the last commit; without a worker's slot while
# they wait, and whatever happens to the server meanwhile.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('retries', conf => "restart_after_crash = on\nkaireon.max_workers = 1\n");
my @fields = ({ name => 'n', dataType => 'integer' }, { name => 'name', dataType => 'varchar', length => 40 });
$k->write_rows('rows.csv', 20_000, sub { "$_[0],name $_[0]" }, 'n,name');
$k->make('other', fields => \@fields, source => { resource => 'rows.csv' });

# pipeline(NAME, EXECUTION): loads rows.csv, which a reader can't have sent whole while a trigger waits for an
# advisory lock at rows 555, 5555, 10555 and 15555.
sub pipeline
{
    my ($name, %execution) = @_;
    $k->make($name, fields => \@fields, source => { resource => 'rows.csv' }, execution => { batchSize => 100, %execution });
    $k->sql(qq(CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        IF NEW.n % 5000 = 555 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END\$\$;
        CREATE TRIGGER gate BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION gate()));
    return $name;
}

sub hold
{
    my $session = $k->session;
    $session->query('SELECT pg_advisory_lock(42)');
    return $session;
}

# fail_reader(RUN): its reader is killed while the worker waits at the lock, so that this attempt fails with KA001.
sub fail_reader
{
    my ($run, $lock) = @_;
    my $worker = $k->worker_pid($run);
    $k->poll('the run to reach the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    kill 'KILL', $k->reader_pid($run);
    $lock->query('SELECT pg_advisory_unlock(42)');
    $k->gone($worker);
    $lock->query('SELECT pg_advisory_lock(42)');
    return;
}

sub attempts
{
    my ($run) = @_;
    return $k->sql("SELECT string_agg(concat_ws(' ', attempt, status, error_code), ', ' ORDER BY attempt) FROM kaireon.run_attempts WHERE run_id = '$run'");
}

# pauses(RUN, ATTEMPT): waits until the run waits for its next attempt.
sub pauses
{
    my ($run, $attempt) = @_;
    return $k->poll("the pause behind attempt $attempt", "SELECT status = 'queued' AND attempt = $attempt FROM kaireon.runs WHERE run_id = '$run'");
}

# at_once(RUN): its pause is over.
sub at_once
{
    my ($run) = @_;
    $k->sql("UPDATE kaireon_internal.run SET retry_at = now() WHERE run_id = '$run'; SELECT kaireon_internal.wake_supervisor()");
    return;
}

sub table
{
    my ($name) = @_;
    return $k->sql("SELECT count(*), count(DISTINCT n) FROM ds_$name");
}

my $lock = hold();

# ---- a session waits

pipeline('waited', retry => { maxAttempts => 3, pauseSeconds => 0 });
my $session = $k->session;
$session->send("SELECT status, attempt, rows_read, rows_loaded FROM kaireon.run_pipeline('waited')");
my $run;
$k->poll('the run', sub { $run = $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'waited' AND status = 'running'") });
fail_reader($run, $lock);
$k->poll('the second attempt', "SELECT attempt = 2 AND status = 'running' FROM kaireon.runs WHERE run_id = '$run'");
$lock->query('SELECT pg_advisory_unlock(42)');
is($session->result, 'success|2|20000|20000', 'run_pipeline waits for the second attempt');
is(attempts($run), '1 failed KA001, 2 success', 'how both ended');
is($k->sql("SELECT count(*) FROM kaireon.run_errors WHERE run_id = '$run'"), 0, 'nothing of the first is left');
is(table('waited'), '20000|20000', 'its rows are loaded once');
is($k->count_identity($run), 't', 'the counters add up');
like(PostgreSQL::Test::Utils::slurp_file($k->node->logfile), qr/kaireon will try run $run again in [\d.]+ s/, 'the log says so');
$lock->query('SELECT pg_advisory_lock(42)');

# ---- attempts come to an end

pipeline('used_up', retry => { maxAttempts => 2, pauseSeconds => 0, backoff => 'constant' });
$run = $k->start('used_up');
fail_reader($run, $lock);
$k->poll('the second attempt', "SELECT attempt = 2 AND status = 'running' FROM kaireon.runs WHERE run_id = '$run'");
fail_reader($run, $lock);
is($k->wait_run($run), 'failed', 'after the last attempt a run has failed');
is(attempts($run), '1 failed KA001, 2 failed KA001', 'how they ended');
is($k->sql("SELECT kaireon.resume_run('$run') = '$run'"), 't', 'it can be resumed all the same');
$lock->query('SELECT pg_advisory_unlock(42)');
is($k->wait_run($run) . ' ' . table('used_up'), 'success 20000|20000', 'and then is loaded');
$lock->query('SELECT pg_advisory_lock(42)');

# ---- a pipeline that is paused meanwhile

pipeline('stopped', retry => { maxAttempts => 3, pauseSeconds => 1000 });
$run = $k->start('stopped');
fail_reader($run, $lock);
pauses($run, 1);
$k->sql("SELECT kaireon.pause_pipeline('stopped')");
at_once($run);
is($k->wait_run($run), 'failed', 'a run whose pipeline is paused while it waits for its next attempt');
is(attempts($run), '1 failed KA001', 'does not begin it');
is($k->sql("SELECT error_message FROM kaireon.runs WHERE run_id = '$run'"), 'pipeline "stopped" was paused while its run waited', 'and says so');
$lock->query('SELECT pg_advisory_unlock(42)');
is($k->sql("SELECT kaireon.resume_pipeline('stopped'); SELECT kaireon.resume_run('$run') = '$run'"), "\nt", 'once it is resumed');
is($k->wait_run($run) . ' ' . table('stopped'), 'success 20000|20000', 'the run goes on');
$lock->query('SELECT pg_advisory_lock(42)');

# ---- pauses

pipeline('pauses', retry => { maxAttempts => 9, pauseSeconds => 1000 }, commit => 'batch');
$run = $k->start('pauses');
for my $attempt (1 .. 3)
{
    fail_reader($run, $lock);
    pauses($run, $attempt);
    my ($least, $most) = (0, [ 750, 1250 ], [ 1500, 2500 ], [ 2700, 4500 ])[$attempt]->@*;
    is($k->sql("SELECT extract(epoch FROM next_attempt_at - finished_at) BETWEEN $least - 1 AND $most + 60 FROM kaireon.run_attempts WHERE run_id = '$run' AND attempt = $attempt"),
        't', "attempt $attempt: the pause grows");
    last if $attempt == 3;
    at_once($run);
    $k->poll('the next attempt', "SELECT attempt = $attempt + 1 FROM kaireon.runs WHERE run_id = '$run'");
}
is($k->sql("SELECT error_code FROM kaireon.runs WHERE run_id = '$run'"), 'KA001', 'while it waits, runs says why');
is($k->run('other')->{status}, 'success', 'meanwhile the only worker slot is free');
is($k->sql("SELECT stage FROM kaireon.progress WHERE run_id = '$run'"), '', 'it is nobody\'s progress');
my $later = $k->start('pauses');
is($k->run('other')->{status}, 'success', 'others run');
is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$later'"), 'queued', 'a later run of the pipeline waits for it');
is($k->sql("SELECT kaireon.cancel_run('$later')"), 't', 'and can be cancelled');

# The server is stopped, and crashes.
for my $how ('fast', 'immediate')
{
    eval { $_->close } for grep { $_ } $lock, $session;
    $lock = $session = undef;
    $k->node->stop($how);
    $k->node->start;
    is($k->sql("SELECT status || ' ' || attempt FROM kaireon.runs WHERE run_id = '$run'"), 'queued 3', "server stopped ($how): the run waits as before");
}
at_once($run);
is($k->wait_run($run) . ' ' . table('pauses'), 'success 20000|20000', 'it goes on behind its last commit');
is($k->count_identity($run), 't', 'the counters of all attempts add up');
is($k->sql("SELECT rows_read, rows_loaded FROM kaireon.runs WHERE run_id = '$run'"), '20000|20000', 'and are those of one');
is(attempts($run), '1 failed KA001, 2 failed KA001, 3 failed KA001, 4 success', 'how the attempts ended');

# ---- cancelling in a pause

$lock = hold();
$session = $k->session;
pipeline('cancelled', retry => { pauseSeconds => 3600 });
$run = $k->start('cancelled');
fail_reader($run, $lock);
pauses($run, 1);
is($k->sql("SELECT kaireon.cancel_run('$run')"), 't', 'cancel_run in a pause');
is($k->sql("SELECT concat_ws(' ', status, error_code, error_message) FROM kaireon.runs WHERE run_id = '$run'"), 'cancelled 57014 the run was cancelled', 'it is cancelled at once');
$session->send("SELECT status FROM kaireon.run_pipeline('cancelled')");
$k->poll('the run', sub { $run = $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'cancelled' AND status = 'running'") });
fail_reader($run, $lock);
pauses($run, 1);
is($k->sql("SELECT stage FROM kaireon.progress WHERE run_id = '$run'"), 'queued', 'a run that is waited for has a slot');
$k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->result, '', 'cancelling the statement that waits');
like($session->err, qr/ERROR:  57014/, 'it is cancelled');
is($k->wait_run($run), 'cancelled', 'and so is its run');
$session->send("SELECT status, error_code FROM kaireon.run_pipeline('cancelled')");
$k->poll('the run', sub { $run = $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'cancelled' AND status = 'running'") });
fail_reader($run, $lock);
pauses($run, 1);
$k->sql("SELECT kaireon.cancel_run('$run')");
is($session->result, 'cancelled|57014', 'cancel_run tells the session that waits');

# ---- a session waits, and the server is restarted: the run goes on without it

pipeline('left', retry => { pauseSeconds => 3600 });
$session->send("SELECT status FROM kaireon.run_pipeline('left')");
$k->poll('the run', sub { $run = $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = 'left' AND status = 'running'") });
fail_reader($run, $lock);
pauses($run, 1);
$k->node->stop('immediate');
eval { $_->close } for $lock, $session; # only now is the session's statement at its end
$k->node->start;
at_once($run);
is($k->wait_run($run) . ' ' . table('left'), 'success 20000|20000', 'a run whose session is gone with the server goes on');

# ---- the server crashes

$lock = hold();
pipeline('crash', retry => { pauseSeconds => 0 }, commit => 'batch');
$run = $k->start('crash');
my $worker = $k->worker_pid($run);
$k->poll('the run to reach the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
kill 'KILL', $worker;
eval { $lock->close };
$k->poll('the server to be back', sub { return $k->gone($worker) && defined eval { $k->sql('SELECT 1') } });
$k->poll('the end of the run', sub { my ($code, $out) = $k->node->psql('postgres', "SELECT status FROM kaireon.runs WHERE run_id = '$run'"); return $code == 0 && $out eq 'success' });
is(attempts($run) . ' ' . table('crash'), '1 failed KA003, 2 success 20000|20000', 'a run that a crash has ended goes on by itself');

# ---- which errors

$k->sql('CREATE SEQUENCE tries');
for my $code (qw(55P03 40P01 40001 08006))
{
    my $name = 'code_' . lc $code;
    $k->make($name, fields => \@fields, source => { resource => 'rows.csv' }, execution => { errorHandling => 'dlq', retry => { pauseSeconds => 0 } });
    $k->sql(qq(ALTER SEQUENCE tries RESTART;
        CREATE FUNCTION $name() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        IF NEW.n = 555 AND nextval('tries') = 1 THEN RAISE 'not now' USING ERRCODE = '$code'; END IF; RETURN NEW; END\$\$;
        CREATE TRIGGER t BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION $name()));
    my $row = $k->run($name);
    is("$row->{status} $row->{attempt} $row->{rows_loaded}", 'success 2 20000', "$code is tried again, and no row's fault") or diag(explain($row));
}
$k->write_file('bad.csv', "n,name\n1,a\nx,b\n");
$k->make('bad', fields => \@fields, source => { resource => 'bad.csv' }, execution => { retry => { pauseSeconds => 0 } });
is(join(' ', $k->run('bad')->@{qw(status error_code attempt)}), 'failed 22P02 1', 'bad data are not');
$k->make('missing', fields => \@fields, source => { resource => 'none.csv' }, execution => { retry => { pauseSeconds => 0 } });
is(join(' ', $k->run('missing')->@{qw(status error_code attempt)}), 'failed 58P01 1', 'nor is a file that is not there');
$k->make('without', fields => \@fields, source => { resource => 'rows.csv' });
$k->sql(q(CREATE FUNCTION always() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not now' USING ERRCODE = '55P03'; END$$;
    CREATE TRIGGER t BEFORE INSERT ON ds_without FOR EACH ROW EXECUTE FUNCTION always()));
is(join(' ', $k->run('without')->@{qw(status error_code attempt)}), 'failed 55P03 1', 'without "retry" nothing is tried again');
ok($k->poll('the readers to end', sub { return !$k->readers }), 'no reader is left');
done_testing;
