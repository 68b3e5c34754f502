# Runs and others who want the same: two runs of a pipeline never overlap, one that
# was given up for dead can't commit, and who changes a table or a pipeline while it
# is loaded waits or is told so.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('overlap');
my @fields = ({ name => 'n', dataType => 'integer' }, { name => 'name', dataType => 'varchar', length => 40 });
$k->write_rows('rows.csv', 1000, sub { "$_[0],name $_[0]" }, 'n,name');
$k->write_rows('more.csv', 1000, sub { ($_[0] + 1000) . ",name $_[0]" }, 'n,name');

# pipeline(NAME, EXECUTION): a trigger holds its load at row 555.
sub pipeline
{
    my ($name, %execution) = @_;
    $k->make($name, fields => \@fields, source => { resource => 'rows.csv' }, execution => { batchSize => 100, %execution });
    $k->sql(qq(CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        IF NEW.n = 555 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END\$\$;
        CREATE TRIGGER gate BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION gate()));
    return $name;
}

my $lock = $k->session;
$lock->query('SELECT pg_advisory_lock(42)');

# begun(NAME): a run that waits at the gate; its id and its worker.
sub begun
{
    my ($name) = @_;
    my $run = $k->start($name);
    my $worker = $k->worker_pid($run);
    $k->poll('the run to reach the lock', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
    return ($run, $worker);
}

sub let_go
{
    $lock->query('SELECT pg_advisory_unlock(42)');
    return;
}

sub hold
{
    $lock->query('SELECT pg_advisory_lock(42)');
    return;
}

# ---- zombies

for my $case ([ 'run', 0 ], [ 'batch', 500 ])
{
    my ($policy, $committed) = @$case;
    my $name = pipeline("zombie_$policy", commit => $policy);
    my ($run, $worker) = begun($name);
    kill 'STOP', $worker;
    # as another run does that takes it for dead
    $k->sql("UPDATE kaireon_internal.lease SET epoch = epoch + 1 WHERE pipeline_id = (SELECT id FROM kaireon.pipelines WHERE name = '$name')");
    let_go();
    kill 'CONT', $worker;
    is($k->wait_run($run), 'failed', "commit $policy: a zombie fails");
    is($k->sql("SELECT error_code FROM kaireon.runs WHERE run_id = '$run'"), 'KA004', "commit $policy: with KA004");
    is($k->sql("SELECT count(*) FROM ds_$name"), $committed, "commit $policy: it leaves nothing but what it had committed before");
    is($k->sql("SELECT coalesce(sum(rows_read), 0) FROM kaireon.source_state WHERE pipeline = '$name'"), $committed, "commit $policy: nor does the list of files move");
    is($k->count_identity($run), 't', "commit $policy: its counters add up");
    hold();
}
{
    my $name = pipeline('ended', commit => 'batch');
    my ($run, $worker) = begun($name);
    kill 'STOP', $worker;
    $k->sql("UPDATE kaireon_internal.run SET status = 'failed', finished_at = now(), error_code = 'KA003' WHERE run_id = '$run'");
    let_go();
    kill 'CONT', $worker;
    $k->gone($worker);
    is($k->sql("SELECT status, error_code FROM kaireon.runs WHERE run_id = '$run'"), 'failed|KA003', 'a run that somebody has ended stays as it was ended');
    is($k->sql("SELECT count(*) FROM ds_$name"), 500, 'and commits nothing more');
    hold();
}

# ---- runs of one pipeline

pipeline('alone');
my ($run) = begun('alone');
my @later = map { $k->start('alone') } 1 .. 3;
my @sessions = map { my $session = $k->session; $session->send("SELECT status FROM kaireon.run_pipeline('alone')"); $session } 1 .. 2;
$k->poll('all to be there', "SELECT count(*) = 6 FROM kaireon.runs WHERE pipeline = 'alone'");
is($k->sql("SELECT count(*) FROM kaireon.runs WHERE pipeline = 'alone' AND status = 'running'"), 1, 'one runs, the others wait');
let_go();
is($k->wait_run($_), 'success', 'each has its turn') for $run, @later;
is($_->result, 'success', 'also those that are waited for') for @sessions;
$_->close for @sessions;
is($k->sql("SELECT count(*) FROM (SELECT started_at < lag(finished_at) OVER (ORDER BY started_at) AS too_early FROM kaireon.runs WHERE pipeline = 'alone') AS r WHERE too_early"),
    0, 'none began before the one before had ended');
is($k->sql('SELECT count(*) FROM ds_alone'), 6000, 'all of them have loaded');
hold();

# ---- others, while a table is loaded

pipeline('busy');
$k->make('beside', schema => 'busy', source => { resource => 'more.csv' });
($run) = begun('busy');
for my $statement ('ALTER TABLE ds_busy ADD extra int', 'ALTER TABLE ds_busy RENAME TO other', 'DROP TABLE ds_busy', 'TRUNCATE ds_busy', 'VACUUM FULL ds_busy',
    'CREATE INDEX ON ds_busy (n)', 'CREATE TRIGGER t BEFORE INSERT ON ds_busy FOR EACH ROW EXECUTE FUNCTION gate()')
{
    my $session = $k->session;
    $session->query("SET lock_timeout = '50ms'");
    $session->query($statement);
    like($session->err, qr/ERROR:  55P03/, "$statement waits for the run");
    $session->close;
}
for my $call (q(delete_schema('busy', cascade => true)), q(delete_pipeline('busy')), q(add_field('busy', '{"name": "c"}')), q(drop_field('busy', 'name', force => true)))
{
    like($k->sql_error("SELECT kaireon.$call"), qr/ERROR:  .*(being loaded|run|in use)/, "$call is refused");
}
is($k->sql_error('VACUUM ds_busy; ANALYZE ds_busy'), '', 'VACUUM and ANALYZE do not wait');
is($k->sql_error(q(SELECT kaireon.update_pipeline('busy', execution_config => '{"errorHandling": "skip"}'); SELECT kaireon.publish_pipeline('busy'))), '', 'nor does who publishes another version');
is($k->run('beside')->{status} . ' ' . $k->sql('SELECT count(*) FROM ds_busy'), 'success 1000', 'another pipeline loads into the same table meanwhile');
let_go();
is($k->wait_run($run) . ' ' . $k->sql('SELECT count(*) FROM ds_busy'), 'success 2000', 'then the run loads its own');
is($k->sql("SELECT version FROM kaireon.runs WHERE run_id = '$run'") . ' ' . $k->run('busy')->{version}, '1 2', 'of the version that it began with; the next has the new one');
ok($k->same_postmaster, 'the server lived through');
$k->settled('overlap');
done_testing;
