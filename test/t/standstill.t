# A session that waits for a run while others want the tables: nobody waits for
# ever, whether the session, the run or a third holds what another needs.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('standstill');
my $rows = 40_000;
$k->write_rows('rows.csv', $rows, sub { "$_[0],name $_[0]" }, 'id,name');
my @how = (fields => [ { name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' } ],
    source => { resource => 'rows.csv' }, execution => { batchSize => 1 });
$k->make($_, @how) for qw(one two);

# loading(SESSION, NAME): the session waits for a run that is between two batches: run, worker, reader.
sub loading
{
    my ($session, $name) = @_;
    $session->send("SELECT status, error_code FROM kaireon.run_pipeline('$name')");
    my $run = $k->poll('the run', sub { $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = '$name' AND status = 'running'") });
    my $reader = $k->reader_pid($run);
    $k->wait_rows_read($run, 1);
    kill 'STOP', $reader;
    return ($run, $k->worker_pid($run), $reader);
}

# waits(SESSION): until it waits for a lock.
sub waits
{
    my ($session) = @_;
    my $pid = ref $session ? $session->pid : $session;
    return $k->poll("process $pid to wait for a lock", "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $pid");
}

my $session = $k->session;
$session->query('\set VERBOSITY verbose');

# ---- it holds no lock that the run could need

{
    my ($run, $worker, $reader) = loading($session, 'one');
    is($k->sql('SELECT string_agg(relation::regclass::text, \' \') FROM pg_locks WHERE locktype = \'relation\' AND pid = ' . $session->pid), '',
        'while it waits it holds no lock on a table');
    my $other = $k->session;
    $other->send('REINDEX TABLE kaireon_internal.pipeline');
    waits($other);
    kill 'CONT', $reader;
    is($session->result, 'success|', 'who wants a table of the catalog meanwhile does not keep the run from its end');
    is($other->result . $other->err, '', 'and has it then');
    $other->close;
}
is($session->query("BEGIN; TRUNCATE ds_one; COMMIT; BEGIN; SELECT status FROM kaireon.run_pipeline('one')"), 'success', 'nor after a first run in the same transaction');
is($k->sql('SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace '
      . 'WHERE nspname LIKE \'kaireon%\' AND pid = ' . $session->pid), 0, 'what it has looked at stays free until the transaction ends');
$session->query('COMMIT');

# ---- the transaction has read the target, and a third wants it for himself

# blocked(SESSION, NAME, SQL): a run that begins once `SQL` waits for this session.
sub blocked
{
    my ($name, $sql) = @_;
    my ($lease, $other) = ($k->session, $k->session);
    $lease->query("BEGIN; SELECT FROM kaireon_internal.lease l JOIN kaireon_internal.pipeline p ON p.id = l.pipeline_id WHERE p.name = '$name' FOR UPDATE OF l");
    $session->query("BEGIN; SELECT count(*) FROM ds_$name");
    $session->send("SELECT status FROM kaireon.run_pipeline('$name')");
    my $worker = $k->poll('the worker', sub {
        $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND wait_event_type = 'Lock'") });
    $other->send($sql);
    waits($other);
    $lease->query('COMMIT');
    $lease->close;
    return ($worker, $other);
}

{
    my ($worker, $other) = blocked('two', 'ALTER TABLE ds_two ADD extra int');
    is($session->result, '', 'a session whose run waits for it gets no answer');
    my ($me, $third) = ($session->pid, $other->pid);
    like($session->err, qr/^ERROR:  40P01: deadlock detected: this session and the run of pipeline "two" wait for each other
DETAIL:  Process $worker waits for process $third, which waits for this session, process $me\.
HINT:  End the transaction/,
        'but an error that says who waits for whom');
    is($other->result . $other->err, '', 'the third has the table then');
    is($k->poll('the run to end', "SELECT status FROM kaireon.runs WHERE pipeline = 'two' AND status <> 'running' ORDER BY started_at DESC LIMIT 1", 'cancelled'), 'cancelled', 'and the run is cancelled');
    $session->query('ROLLBACK');
    $other->query('ALTER TABLE ds_two DROP extra');
    $other->close;
    is($session->query("SELECT status FROM kaireon.run_pipeline('two')"), 'success', 'the next one succeeds');
}

# A chain through another session that waits for a run itself.
{
    $k->sql('TRUNCATE ds_one, ds_two');
    my $other = $k->session;
    $other->query('\set VERBOSITY verbose');
    $session->query('BEGIN; LOCK TABLE ds_one IN ROW SHARE MODE; LOCK TABLE ds_two IN ROW SHARE MODE');
    $other->query('BEGIN; LOCK TABLE ds_one IN ROW SHARE MODE; LOCK TABLE ds_two IN ROW SHARE MODE');
    my @third = map { $k->session } 1, 2;
    $third[0]->send('BEGIN; LOCK TABLE ds_one IN EXCLUSIVE MODE');
    $third[1]->send('BEGIN; LOCK TABLE ds_two IN EXCLUSIVE MODE');
    waits($_) for @third;
    $session->send("SELECT status FROM kaireon.run_pipeline('two')");
    $other->send("SELECT status FROM kaireon.run_pipeline('one')");
    $session->result;
    $other->result;
    like($session->err . $other->err, qr/40P01: deadlock detected: this session and the run/, 'also when two sessions and two runs are in it');
    $_->query('ROLLBACK') for $session, $other;
    $_->result for @third;
    $_->query('ROLLBACK') for @third;
    $_->close for $other, @third;
    $k->settled('two sessions and two runs');
}

# ---- the extension goes

{
    $k->sql('TRUNCATE ds_one');
    my ($run, $worker, $reader) = loading($session, 'one');
    my $queued = $k->start('one');
    # the run's end may meet it, and PostgreSQL choose this one
    my $error = $k->sql_error('DROP EXTENSION kaireon CASCADE');
    $error = $k->sql_error('DROP EXTENSION kaireon CASCADE') if $error =~ /deadlock detected/;
    is($error, '', 'DROP EXTENSION CASCADE while a session waits for a run that loads');
    # the run may be over before the extension is gone, or the session be about to look at it
    my $end = $session->result . $session->err;
    like($end, qr/^success\|$|^cancelled\|57014$|ERROR:  40P01: deadlock detected|ERROR:  55000: extension kaireon was dropped while pipeline "one" ran/, 'which ends the run, and says so');
    ok($k->gone($worker, $reader), 'worker and reader end');
    is($k->sql('SELECT count(*) FROM ds_one'), $end =~ /^success/ ? 40000 : 0, 'all of it was loaded, or nothing');
}
$session->close;
ok($k->same_postmaster, 'the server lived through');
done_testing;
