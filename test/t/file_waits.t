# Runs that wait for files ("waitPolicy" of a source node): without a worker's
# slot, in each source's own rhythm, whatever happens to the server meanwhile;
# and what becomes of them when nothing comes.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('file_waits', conf => "restart_after_crash = on\nkaireon.max_workers = 1\nkaireon.supervisor_idle_timeout = 1\n");
my @fields = ({ name => 'n', dataType => 'integer' });
my $LATER = { maxRetries => 3, intervalMinutes => 600 };
mkdir $k->files . "/$_" for qw(in new left right);
$k->write_file('other.csv', "n\n1\n");
$k->make('other', fields => \@fields, source => { resource => 'other.csv' });

# waits(NAME, RUN = the pipeline's only one, LOOKS = 1): until it waits after so many looks in vain; the run.
sub waits
{
    my ($name, $looks) = @_;
    $looks ||= 1;
    $k->poll("$name to wait after look $looks",
        "SELECT EXISTS (SELECT FROM kaireon.runs JOIN kaireon.run_waits USING (run_id) WHERE runs.pipeline = '$name' AND status = 'queued' AND looks = $looks)");
    return $k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = '$name' AND status = 'queued'");
}

# look(RUN): it is time to look again.
sub look
{
    my ($run) = @_;
    $k->sql("UPDATE kaireon_internal.run_wait SET next_look_at = now() WHERE run_id = '$run';
        UPDATE kaireon_internal.run SET retry_at = now() WHERE run_id = '$run'; SELECT kaireon_internal.wake_supervisor()");
    return;
}

sub outcomes
{
    my ($run) = @_;
    return $k->sql("SELECT string_agg(concat_ws(' ', node_id, resource, looks, coalesce(outcome, 'waits')), ', ' ORDER BY node_id) FROM kaireon.run_waits WHERE run_id = '$run'");
}

sub row
{
    my ($run, @columns) = @_;
    my ($row) = $k->rows("SELECT * FROM kaireon.runs WHERE run_id = '$run'");
    return join(' ', map { $_ // '' } $row->@{@columns});
}

# ---- a file that comes

$k->make('comes', fields => \@fields, source => { resource => 'in/comes.csv', waitPolicy => $LATER }, execution => { retry => { maxAttempts => 2, pauseSeconds => 0 } });
my $run = $k->start('comes');
is(waits('comes'), $run, 'a run whose file is not there waits');
is(row($run, qw(status attempt error_code rows_read)), 'queued 0  0', 'it is queued, and that was no attempt');
is($k->sql("SELECT round(extract(epoch FROM waits_until - since) / 60) FROM kaireon.runs JOIN kaireon.run_waits USING (run_id) WHERE run_id = '$run'"), 600, 'runs says until when');
is($k->sql("SELECT waits_until = next_look_at FROM kaireon.runs JOIN kaireon.run_waits USING (run_id) WHERE run_id = '$run'"), 't', 'and run_waits of which source');
$k->poll('its worker to go', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'kaireon run')");
is($k->run('other')->{status}, 'success', 'meanwhile the only place for a run is free');
is($k->sql('SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL OR backend_type <> \'client backend\' AND xact_start IS NOT NULL AND backend_type LIKE \'kaireon%\''), 0, 'and no transaction is open');
like(PostgreSQL::Test::Utils::slurp_file($k->node->logfile), qr/source "read" of pipeline "comes" has found no new file: its run looks again at /, 'the log says so');
look($run);
waits('comes', 2);
is(outcomes($run), 'read in/comes.csv 2 waits', 'looks are counted');
is(row($run, 'attempt'), 0, 'and attempts are not');
$k->write_file('in/comes.csv', "n\n1\n2\n");
look($run);
is($k->wait_run($run), 'success', 'when the file is there the run loads it');
is(row($run, qw(attempt rows_read rows_loaded)) . ' ' . $k->sql('SELECT count(*) FROM ds_comes'), '1 2 2 2', 'all of it, at the first attempt');
is(outcomes($run), 'read in/comes.csv 2 found', 'run_waits says that it was found');
is(row($run, 'waits_until'), '', 'and nothing waits any more');

# ---- a session that waits

$k->make('session', fields => \@fields, source => { resource => 'in/session*.csv', waitPolicy => $LATER });
my $session = $k->session;
$session->send("SELECT status, rows_loaded FROM kaireon.run_pipeline('session')");
$run = waits('session');
$k->poll('its slot to be parked', "SELECT stage = 'waiting' AND waits_until > now() + interval '9 hours' FROM kaireon.progress WHERE run_id = '$run'");
is($k->sql("SELECT stage, percent, waits_until = (SELECT waits_until FROM kaireon.runs WHERE run_id = '$run') FROM kaireon.progress WHERE run_id = '$run'"), 'waiting|0.0|t', 'progress shows what it waits for');
is($k->run('other')->{status}, 'success', 'others run');
$k->write_file('in/session1.csv', "n\n1\n");
look($run);
is($session->result, 'success|1', 'run_pipeline waits until the file was loaded');
unlink $k->files . '/in/session1.csv';
$session->send("SELECT status FROM kaireon.run_pipeline('session')");
$run = waits('session');
$k->sql('SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->result, '', 'cancelling the statement that waits');
is($k->wait_run($run), 'cancelled', 'cancels the run');
$session->send("SELECT status, error_code, error_message FROM kaireon.run_pipeline('session')");
$run = waits('session');
is($k->sql("SELECT kaireon.cancel_run('$run')"), 't', 'cancel_run of a run that is waited for');
is($session->result, 'cancelled|57014|the run was cancelled', 'the session is told');
$run = $k->start('session');
waits('session');
my $second = $k->start('session');
is($k->run('other')->{status}, 'success', 'others run');
is(row($second, 'status'), 'queued', 'a later run of the pipeline waits behind it');
is($k->sql("SELECT kaireon.cancel_run('$run')"), 't', 'cancel_run of a run that waits alone');
is(row($run, qw(status error_code error_message)), 'cancelled 57014 the run was cancelled', 'it is cancelled at once');
waits('session');
is($k->sql("SELECT kaireon.cancel_run('$second')"), 't', 'and then the later one waits for files');
is(outcomes($run), 'read in/session*.csv 1 waits', 'what a cancelled run had waited for');
is($k->sql("SELECT count(*) FROM kaireon.run_waits WHERE next_look_at IS NOT NULL"), 0, 'no run looks again');
$session->close;

# ---- nothing comes

my %miss = (maxRetries => 2, intervalMinutes => 0.01);
$k->make('fails', fields => \@fields, source => { resource => 'in/fails_*.csv', waitPolicy => { %miss, onMissAction => 'fail' } }, execution => { retry => { pauseSeconds => 0 } });
my $ended = $k->run('fails');
is(join(' ', $ended->@{qw(status error_code attempt rows_read)}), 'failed KA015 1 0', 'fail: the run fails, and is not retried');
is($ended->{error_message}, 'source "read" has found no new file', 'fail: the message says which source');
like($ended->{error_detail}, qr{^"in/fails_\*\.csv" was looked for 3 times since \d{4}-\d\d-\d\d [\d:+]+, 0\.01 minutes apart\.$}, 'fail: the detail says what was looked for, how often and how long');
is(outcomes($ended->{run_id}), 'read in/fails_*.csv 3 fail', 'fail: run_waits has it');
$k->write_file('in/fails_1.csv', "n\n1\n");
is($k->sql("SELECT kaireon.resume_run('$ended->{run_id}') IS NOT NULL"), 't', 'fail: the run can be resumed');
is($k->wait_run($ended->{run_id}), 'success', 'and loads what has come since');

for my $action ('skip', 'alert')
{
    # what would be emptied, and what a hook would do
    $k->make($action, fields => \@fields, source => { resource => "in/${action}_*.csv", waitPolicy => { %miss, onMissAction => $action } },
        target => { loadingStrategy => 'truncate_and_load', preHook => "INSERT INTO hooked VALUES (1)" });
    $k->sql("CREATE TABLE IF NOT EXISTS hooked (n int); INSERT INTO ds_$action (n) VALUES (7)");
    $ended = $k->run($action);
    is(join(' ', map { $_ // '' } $ended->@{qw(status error_code rows_read rows_loaded attempt)}), 'success  0 0 1', "$action: the run succeeds");
    is($k->sql("SELECT n FROM ds_$action") . $k->sql('SELECT count(*) FROM hooked'), '70', "$action: the table is as it was, and no hook ran");
    is(outcomes($ended->{run_id}), "read in/${action}_*.csv 3 $action", "$action: run_waits has it");
    is($k->sql("SELECT count(*), min(severity || ' ' || sqlstate || ' ' || node_id) FROM kaireon.run_errors WHERE run_id = '$ended->{run_id}'"),
        $action eq 'alert' ? '1|warning KA015 read' : '0|', "$action: whether run_errors has a warning");
    my $level = $action eq 'alert' ? 'WARNING' : 'LOG';
    like(PostgreSQL::Test::Utils::slurp_file($k->node->logfile), qr/$level:  (?:\S+: )?source "read" of pipeline "$action" has found no new file\n/, "$action: the log has it as $level");
    is($k->sql("SELECT string_agg(concat_ws(' ', node_id, rows_in, rows_out), ', ' ORDER BY ordinal) FROM kaireon.run_nodes WHERE run_id = '$ended->{run_id}'"), 'read 0 0, load 0 0', "$action: run_nodes has its nodes");
}
$k->make('at_once', fields => \@fields, source => { resource => 'in/at_once.csv', waitPolicy => { maxRetries => 0, onMissAction => 'skip' } });
is($k->run('at_once')->{status} . ' ' . $k->sql("SELECT looks, outcome FROM kaireon.run_waits WHERE pipeline = 'at_once'"), 'success 1|skip', 'maxRetries 0: the run does not wait');
is($k->sql(q(SELECT status, is_dry_run FROM kaireon.run_pipeline('session', '{"dryRun": true}'))), 'success|t', 'a dry run does not wait');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('comes')"), 2, 'a preview has what there is');
is($k->sql("SELECT count(*) FROM kaireon.preview_pipeline('session')"), 0, 'or nothing');

# ---- sources that are incremental: what was loaded is not new

$k->make('new', fields => \@fields, source => { resource => 'new/*.csv', incremental => \1, waitPolicy => $LATER });
$k->write_file('new/1.csv', "n\n1\n");
is($k->run('new')->{rows_loaded}, 1, 'incremental: the first file');
$run = $k->start('new');
waits('new');
$k->write_file('new/2.csv', "n\n2\n");
look($run);
is($k->wait_run($run) . ' ' . row($run, 'rows_read'), 'success 1', 'incremental: a run waits for another one');

# ---- several sources, each with its policy

my $union = sub {
    my ($name, $left, $right) = @_;
    $k->sql("SELECT kaireon.create_schema('$name', " . $k->json(\@fields) . "); SELECT kaireon.create_pipeline('$name', 'files', '$name', "
          . $k->json([ { id => 'left', type => 'source', config => { resource => 'left/*.csv', %$left } }, { id => 'right', type => 'source', config => { resource => 'right/*.csv', %$right } },
                { id => 'load', type => 'target', config => {} } ]) . ', ' . $k->json([ map { { sourceNodeId => $_, targetNodeId => 'load' } } qw(left right) ]) . ')');
};
$union->('both', { waitPolicy => { maxRetries => 1, intervalMinutes => 600, onMissAction => 'skip' } }, { waitPolicy => { maxRetries => 5, intervalMinutes => 0.01, onMissAction => 'skip' } });
$run = $k->start('both');
$k->poll('the impatient source to be given up', "SELECT EXISTS (SELECT FROM kaireon.run_waits WHERE run_id = '$run' AND node_id = 'right' AND outcome = 'skip')");
is(outcomes($run), 'left left/*.csv 1 waits, right right/*.csv 6 skip', 'each source is looked at in its own rhythm');
$k->poll('the run to wait', "SELECT status = 'queued' AND waits_until > now() + interval '9 hours' FROM kaireon.runs WHERE run_id = '$run'");
$k->write_file('left/1.csv', "n\n1\n");
look($run);
is($k->wait_run($run) . ' ' . row($run, 'rows_loaded'), 'success 1', 'the run loads what came for the other one');
is(outcomes($run), 'left left/*.csv 1 found, right right/*.csv 7 skip', 'and what became of both');
$union->('strict', { waitPolicy => { %miss, onMissAction => 'fail' } }, { waitPolicy => $LATER });
unlink $k->files . '/left/1.csv';
is(join(' ', $k->run('strict')->@{qw(status error_code error_message)}), 'failed KA015 source "left" has found no new file', 'a source that fails the run does not wait for others');

# ---- retries beside it

$k->make('retried', fields => \@fields, source => { resource => 'in/retried.csv', waitPolicy => $LATER }, execution => { retry => { maxAttempts => 2, pauseSeconds => 0 } });
$k->sql(q(CREATE SEQUENCE times; CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF nextval('times') = 1 THEN RAISE 'not now' USING ERRCODE = '55P03'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER t BEFORE INSERT ON ds_retried FOR EACH ROW EXECUTE FUNCTION once()));
$run = $k->start('retried');
waits('retried', 1);
look($run);
waits('retried', 2);
look($run);
waits('retried', 3);
$k->write_file('in/retried.csv', "n\n1\n");
look($run);
is($k->wait_run($run) . ' ' . row($run, qw(attempt rows_loaded)), 'success 2 1', 'looks in vain take no attempt away');
is($k->sql("SELECT string_agg(concat_ws(' ', attempt, status, error_code), ', ' ORDER BY attempt) FROM kaireon.run_attempts WHERE run_id = '$run'"), '1 failed 55P03, 2 success', 'run_attempts has the attempts alone');

# ---- the server stops, and crashes

$k->make('outlasts', fields => \@fields, source => { resource => 'in/outlasts.csv', waitPolicy => $LATER });
$run = $k->start('outlasts');
waits('outlasts');
my $until = row($run, 'waits_until');
for my $how ('fast', 'immediate')
{
    $k->node->stop($how);
    $k->node->start;
    is(row($run, qw(status waits_until)), "queued $until", "server stopped ($how): the run waits as before");
}
$session = $k->session;
$session->send("SELECT status FROM kaireon.run_pipeline('session')");
my $waited = waits('session');
$k->node->stop('immediate');
$k->node->start;
is(row($waited, 'status'), 'queued', 'a run that a session has waited for waits without it');
is($k->sql("SELECT kaireon.cancel_run('$waited')"), 't', 'and can be cancelled');
eval { $session->close };
my $supervisor = $k->poll('a supervisor', sub { return $k->sql(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon supervisor')) });
$k->sql("SELECT pg_terminate_backend($supervisor)");
$k->gone($supervisor);
is(row($run, 'status'), 'queued', 'a supervisor is terminated: the run waits');
$k->write_file('in/outlasts.csv', "n\n1\n");
look($run);
is($k->wait_run($run) . ' ' . row($run, 'rows_loaded'), 'success 1', 'in the end it loads its file');
$k->remember_postmaster;
$k->settled('the end');
done_testing;
