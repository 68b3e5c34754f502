# Nothing that dies leaves half a run: readers and workers killed, cancelled,
# terminated and out of memory, the server stopped and crashed, databases and the
# extension dropped while runs go on.  After each the row of the run is true, the
# table holds what committed and nothing else, no reader is left, and the next
# run works.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('kills', conf => "kaireon.max_workers = 4\nrestart_after_crash = on\n");
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });

# With one row a batch the reader has 32 rows under way and then waits, so that
# these files keep it alive as long as their worker is held.
$k->write_rows('many.csv', 100_000, sub { "$_[0],name $_[0]" }, 'id,name');
$k->write_rows('few.csv', 1500, sub { "$_[0],name $_[0]" }, 'id,name');
my @many = (source => { resource => 'many.csv' }, execution => { batchSize => 1 });
my @few = (source => { resource => 'few.csv' }, execution => { batchSize => 1 });
$k->make('many', fields => \@fields, @many);
$k->make('few', fields => \@fields, @few);
# Here a trigger waits for an advisory lock at row 500, when the first 1,000 rows were read.
$k->make('gate', fields => \@fields, @few);
my $gate = q(CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF NEW.id = 500 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END$$;
    CREATE TRIGGER gate BEFORE INSERT ON ds_gate FOR EACH ROW EXECUTE FUNCTION gate(););
$k->sql($gate);

# hold(): a session that keeps pipeline "gate" from getting past row 500.
sub hold
{
    my ($database) = @_;
    my $session = $k->session($database);
    $session->query('SELECT pg_advisory_lock(42)');
    return $session;
}

# started(NAME, DATABASE): a run that got as far as the lock; its id, worker and reader.
sub started
{
    my ($name, $database) = @_;
    my $run = $k->start($name, $database);
    my $reader = $k->reader_pid($run, $database);
    my $worker = $k->worker_pid($run, $database);
    at_gate($worker);
    return ($run, $worker, $reader);
}

sub at_gate
{
    my ($worker) = @_;
    return $k->poll('the run to reach the lock',
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
}

# ended(RUN, STATUS, CODE, WHAT, DATABASE): how it ended, and that nothing of it was loaded.
sub ended
{
    my ($run, $status, $code, $what, $table, $database) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $k->wait_run($run, $database);
    my $row = $k->run_row($run, $database);
    is("$row->{status} " . ($row->{error_code} // ''), "$status $code", "$what: $status with $code") or diag(explain($row));
    is($k->sql("SELECT count(*) FROM ds_$table", $database), 0, "$what: nothing is loaded");
    return $row;
}

# works(NAME): the next run loads everything.
sub works
{
    my ($name, $what, $database) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $run = $k->run($name, $database);
    is($run->{status} . ' ' . $k->sql("SELECT count(*), count(DISTINCT id) FROM ds_$name", $database), 'success 1500|1500', "$what: the next run loads all")
      or diag($run->{error_message});
    $k->sql("TRUNCATE ds_$name", $database);
    return;
}

# ---- the reader

for my $signal (qw(KILL SEGV))
{
    my $run = $k->start('many');
    my $reader = $k->reader_pid($run);
    $k->wait_rows_read($run, 10);
    kill $signal, $reader;
    my $row = ended($run, 'failed', 'KA001', "reader SIG$signal while loading", 'many');
    my ($number, $text) = $signal eq 'KILL' ? (9, 'Killed') : (11, 'Segmentation fault');
    is($row->{error_message}, "the reader process was ended by signal $number: $text", "reader SIG$signal: the error names the signal");
    ok($row->{rows_read} >= 10, "reader SIG$signal: what was read is counted");
    $k->gone($reader);
}
{
    my $lock = hold();
    my ($run, $worker, $reader) = started('gate');
    kill 'KILL', $reader;
    $lock->close;
    ended($run, 'failed', 'KA001', 'reader killed while its worker was busy', 'gate');
}
$k->settled('readers killed');
works('gate', 'readers killed');
ok($k->same_postmaster, 'readers killed: the server never noticed');

# Out of memory: the least a reader may have, and one field that has no end.
$k->write_file('huge.csv', "id,name\n1,a\n2,\"" . ('x' x 40_000_000) . "\"\n3,c\n");
$k->sql('ALTER SYSTEM SET kaireon.reader_memory_limit = 16');
$k->sql('SELECT pg_reload_conf()');
$k->poll('the new setting', 'SHOW kaireon.reader_memory_limit', '16MB');
my @text = ($fields[0], { name => 'name', dataType => 'text' });
$k->make('huge', fields => \@text, source => { resource => 'huge.csv', maxFieldBytes => 100_000_000 });
my $run = $k->run('huge');
is("$run->{status} $run->{error_code}", 'failed 53200', 'a reader out of memory fails its run') or diag($run->{error_message});
is($k->sql('SELECT count(*) FROM ds_huge'), 0, 'out of memory: nothing is loaded');
$k->make('large', fields => \@text, source => { resource => 'huge.csv', maxFieldBytes => 1_000_000 }, execution => { errorHandling => 'skip' });
$run = $k->run('large');
is("$run->{status} " . $k->sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM ds_large"), 'partial 1 3', 'a field over maxFieldBytes is a reject')
  or diag($run->{error_message});
works('few', 'out of memory');
$k->sql('ALTER SYSTEM RESET kaireon.reader_memory_limit');
$k->sql('SELECT pg_reload_conf()');
$k->settled('out of memory');

# ---- a reader that says nothing, and every way to be rid of its run

my %ways = (
    'pg_cancel_backend of the worker' => [ sub { $k->sql("SELECT pg_cancel_backend($_[1])") }, 'cancelled', '57014' ],
    'cancel_run' => [ sub { is($k->sql("SELECT kaireon.cancel_run('$_[0]')"), 't', 'cancel_run says that there was a run') }, 'cancelled', '57014' ],
    'pg_terminate_backend of the worker' => [ sub { $k->sql("SELECT pg_terminate_backend($_[1])") }, 'failed', 'KA003' ]);
for my $way (sort keys %ways)
{
    my ($act, $status, $code) = @{ $ways{$way} };
    my $run = $k->start('many');
    my $reader = $k->reader_pid($run);
    kill 'STOP', $reader;
    my $worker = $k->worker_pid($run);
    $act->($run, $worker);
    ended($run, $status, $code, $way, 'many');
    ok($k->gone($reader, $worker), "$way: its processes are gone");
}
is($k->sql("SELECT kaireon.cancel_run(run_id) FROM kaireon.runs WHERE status = 'cancelled' LIMIT 1"), 'f', 'cancel_run of a run that has ended says so');
for my $way (qw(pg_cancel_backend pg_terminate_backend))
{
    my $session = $k->session;
    $session->send("SELECT status FROM kaireon.run_pipeline('many')");
    my $run;
    $k->poll('the run', sub { $run = $k->sql("SELECT run_id FROM kaireon.runs WHERE status = 'running'") });
    my $reader = $k->reader_pid($run);
    kill 'STOP', $reader;
    $k->sql("SELECT $way(" . $session->pid . ')');
    ended($run, 'cancelled', '57014', "$way of the session that waits", 'many');
    if ($way eq 'pg_cancel_backend')
    {
        is($session->result, '', 'cancelling the statement: it gives nothing');
        like($session->err, qr/ERROR:  57014/, 'cancelling the statement: it is cancelled');
        is($session->query('SELECT 1'), '1', 'cancelling the statement: the session goes on');
    }
    $session->close;
    ok($k->gone($reader), "$way: the reader is gone");
}
$k->settled('cancelled');
works('gate', 'cancelled');
ok($k->same_postmaster, 'cancelled: the server never noticed');

# ---- the supervisor and the launcher

{
    my $lock = hold();
    my $session = $k->session;
    $session->send("SELECT status, rows_loaded FROM kaireon.run_pipeline('gate')");
    my $worker;
    $k->poll('the worker', sub { $worker = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon run'") });
    at_gate($worker);
    my $supervisor = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'");
    $k->sql("SELECT pg_terminate_backend($supervisor)");
    $k->gone($supervisor);
    $lock->close;
    is($session->result, 'success|1500', 'supervisor terminated: the run goes on, and who waits for it is told');
    $session->close;
    $k->sql('TRUNCATE ds_gate');
    my $launcher = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon launcher'");
    $k->sql("SELECT pg_terminate_backend($launcher)");
    $k->gone($launcher);
    works('gate', 'launcher terminated');
    $k->settled('supervisor and launcher terminated');
    ok($k->same_postmaster, 'supervisor and launcher terminated: the server lived through');
}

# ---- the server

# alive(): a server that restarted by itself takes connections, and its launcher is there.
sub alive
{
    return $k->poll('the server to be back', sub {
        return (eval { $k->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'kaireon launcher'") } // 0) == 1;
    });
}

for my $victim ('worker', 'supervisor')
{
    my $lock = hold();
    my ($run, $worker, $reader) = started('gate');
    my $before = $k->sql('SELECT pg_postmaster_start_time()');
    my $pid = $victim eq 'worker' ? $worker : $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'");
    # stopped: what dies with its worker must not need to be told by the socket
    kill 'STOP', $reader if $victim eq 'worker';
    kill 'KILL', $pid;
    ok($k->gone($pid) && $k->gone($reader, $worker), "$victim SIGKILL: worker and reader are gone");
    ok(alive(), "$victim SIGKILL: the server comes back by itself");
    is($k->sql('SELECT pg_postmaster_start_time()'), $before, "$victim SIGKILL: under the same postmaster");
    my $row = ended($run, 'failed', 'KA003', "$victim SIGKILL", 'gate');
    like($row->{error_hint}, qr/Nothing of the run was loaded/, "$victim SIGKILL: the hint says what to do");
    $k->settled("$victim SIGKILL");
    works('gate', "$victim SIGKILL");
    $lock->close;
}

# Immediate stop with runs running, queued, and waited for.
$k->sql('ALTER SYSTEM SET kaireon.max_workers = 1');
$k->sql('SELECT pg_reload_conf()');
$k->poll('the new setting', 'SHOW kaireon.max_workers', '1');
{
    my $lock = hold();
    my ($running, $worker, $reader) = started('gate');
    my $queued = $k->start('few');
    $k->make('other', fields => \@fields, @few);
    my $session = $k->session;
    $session->send("SELECT * FROM kaireon.run_pipeline('other')");
    ok($k->poll('the third run', "SELECT count(*) = 2 FROM kaireon.runs WHERE status = 'queued'"), 'immediate stop: one running, two queued');
    $k->node->stop('immediate');
    ok($k->gone($reader, $worker), 'immediate stop: worker and reader are gone');
    $k->node->start;
    ended($running, 'failed', 'KA003', 'immediate stop, the run that was running', 'gate');
    is($k->wait_run($queued) . ' ' . $k->sql('SELECT count(*) FROM ds_few'), 'success 1500', 'immediate stop: the run that was started runs after the restart');
    my ($waited) = $k->rows("SELECT * FROM kaireon.runs WHERE pipeline = 'other'");
    like($k->wait_run($waited->{run_id}), qr/^(failed|cancelled)$/, 'immediate stop: the run somebody waited for is ended');
    is($k->sql('SELECT count(*) FROM ds_other'), 0, 'immediate stop: and did not run');
    $k->settled('immediate stop');
    $k->sql('TRUNCATE ds_few');
    works('gate', 'immediate stop');
    eval { $lock->close };
    eval { $session->close };
}

# Fast stop.
{
    my $lock = hold();
    my ($running, $worker, $reader) = started('gate');
    my $queued = $k->start('few');
    kill 'STOP', $reader;
    $k->node->stop('fast');
    ok($k->gone($reader, $worker), 'fast stop: done while a run went on, and its processes are gone');
    $k->node->start;
    ended($running, 'failed', 'KA003', 'fast stop, the run that was running', 'gate');
    is($k->wait_run($queued) . ' ' . $k->sql('SELECT count(*) FROM ds_few'), 'success 1500', 'fast stop: the run that was started runs after the restart');
    $k->settled('fast stop');
    works('gate', 'fast stop');
    eval { $lock->close };
}
$k->remember_postmaster;

# ---- databases; there is still one place for a run, which nothing may leave taken

$k->sql('CREATE DATABASE second');
$k->sql('CREATE DATABASE third');
$k->sql('CREATE EXTENSION kaireon', $_) for qw(second third);
$k->make('gate', fields => \@fields, @few, database => $_) for qw(second third);
$k->sql($gate, 'third');
works('gate', 'a second database', 'second');
is($k->sql("SELECT count(*) FROM kaireon.runs WHERE pipeline = 'gate' AND status = 'success'", 'second'), 1, 'its runs are its own');
ok($k->sql("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'second' AND backend_type = 'kaireon supervisor')"), 'its supervisor is there');
is($k->sql_error('DROP DATABASE second'), '', 'DROP DATABASE with an idle supervisor');
{
    my $lock = hold('third');
    my ($run, $worker, $reader) = started('gate', 'third');
    like($k->sql_error('DROP DATABASE third'), qr/is being accessed by other users/, 'DROP DATABASE during a run is refused');
    is($k->sql_error('DROP DATABASE third WITH (FORCE)'), '', 'DROP DATABASE WITH (FORCE) during a run');
    ok($k->gone($reader, $worker), 'its processes are gone');
    eval { $lock->close };
}
ok($k->poll('the supervisors to go', "SELECT count(DISTINCT datname) <= 1 FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor'"),
    'no supervisor of a database that is gone');
works('gate', 'databases dropped');
is($k->sql_error('DROP EXTENSION kaireon CASCADE'), '', 'DROP EXTENSION with an idle supervisor');
is($k->sql("SELECT count(*) FROM ds_gate"), 0, 'the tables of data stay');
is($k->sql_error('CREATE EXTENSION kaireon'), '', 'and it can be created again');
$k->sql('DROP TABLE ds_gate');
$k->make('gate', fields => \@fields, @few);
works('gate', 'the extension anew');
ok($k->same_postmaster, 'databases and the extension dropped: the server lived through');
ok($k->poll('the readers to end', sub { return !$k->readers }), 'no reader is left');
done_testing;
