# Commits before a run's end ("commit" in execution_config), and going on behind
# them (resume_run): what dies between two commits leaves what was committed, and
# the run that is resumed ends as one that nobody disturbed.
use strict;
use warnings;
use Kaireon;
use Test::More;

my $k = Kaireon->new('commits', conf => "restart_after_crash = on\n");
my @fields = ({ name => 'n', dataType => 'integer' }, { name => 'name', dataType => 'varchar', length => 40 });

# Files of 1,000 rows each: of every hundred one is bad, one is filtered out, one has a line break.
sub row
{
    my ($i) = @_;
    return $i % 100 == 7 ? "bad$i,name $i" : $i % 100 == 8 ? "$i,drop" : $i % 100 == 9 ? "$i,\"name\n$i\"" : "$i,name $i";
}
my $files = 5;
mkdir $k->files . "/in";
for my $file (1 .. $files)
{
    $k->write_rows("in/f$file.csv", 1000, sub { row($_[0] + ($file - 1) * 1000) }, 'n,name');
}
my @drop = (nodes => [ { id => 'keep', type => 'filter', config => { field => 'name', operator => '!=', value => 'drop' } } ]);
my @source = (source => { resource => 'in/*.csv' });

# content(NAME): all that a run of it has left: rows, dead letters, errors, counters, counts of nodes.
sub content
{
    my ($name, $run) = @_;
    return {
        rows => $k->sql("SELECT count(*), count(DISTINCT n), md5(string_agg(n || name, ',' ORDER BY n)) FROM ds_$name"),
        letters => $k->sql("SELECT count(*), md5(string_agg(source || line || \"offset\" || record::text, ',' ORDER BY source, line)) FROM kaireon.dead_letters WHERE pipeline = '$name'"),
        errors => $k->sql("SELECT count(*), count(DISTINCT ordinal), md5(string_agg(source || line || reason, ',' ORDER BY source, line)) FROM kaireon.run_errors WHERE run_id = '$run'"),
        counts => $k->sql("SELECT status, rows_read, rows_loaded, rows_updated, rows_failed, rows_skipped, rows_filtered, rows_merged, bytes_read FROM kaireon.runs WHERE run_id = '$run'"),
        nodes => $k->sql("SELECT string_agg(concat_ws('/', node_id, rows_in, rows_out, rows_rejected), ' ' ORDER BY ordinal) FROM kaireon.run_nodes WHERE run_id = '$run'"),
        ledger => $k->sql("SELECT string_agg(concat_ws('/', path, rows_read, is_complete, run_id = '$run'), ' ' ORDER BY path) FROM kaireon.source_state WHERE pipeline = '$name'") };
}

# A trigger holds the load at a row, until the lock is given up.
sub gate
{
    my ($name) = @_;
    $k->sql(qq(CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        IF NEW.n = TG_ARGV[0]::int THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END\$\$;
        CREATE TRIGGER gate BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION gate('3555')));
    return;
}

sub hold
{
    my $session = $k->session;
    $session->query('SELECT pg_advisory_lock(42)');
    return $session;
}

sub at_gate
{
    my ($worker) = @_;
    return $k->poll('the run to reach the lock',
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $worker AND wait_event = 'advisory')");
}

# ---- undisturbed

my %undisturbed;
for my $policy (qw(run file batch))
{
    my $name = "plain_$policy";
    $k->make($name, fields => \@fields, @source, @drop, execution => { errorHandling => 'dlq', commit => $policy, batchSize => 300 });
    my $run = $k->run($name);
    is("$run->{status} $run->{rows_read} $run->{rows_loaded} $run->{rows_skipped} $run->{rows_filtered}", 'partial 5000 4900 50 50', "commit $policy: a run")
      or diag(explain($run));
    is($k->count_identity($run->{run_id}), 't', "commit $policy: the counters add up");
    $undisturbed{$policy} = content($name, $run->{run_id});
    is_deeply($undisturbed{$policy}, $undisturbed{run}, "commit $policy: it leaves what a run with one commit does");
    is($run->{commits}, { run => 0, file => 5, batch => 15 }->{$policy}, "commit $policy: so many commits");
    is($k->sql("SELECT count(DISTINCT xmin::text) FROM ds_$name"), { run => 1, file => 5, batch => 16 }->{$policy}, "commit $policy: so many transactions");
}
# ---- disturbed between two commits

# begun(NAME, POLICY): a run of that pipeline that waits in its fourth file, in a transaction after some commits.
sub begun
{
    my ($name, $policy, %execution) = @_;
    $k->make($name, fields => \@fields, @source, @drop, execution => { errorHandling => 'dlq', commit => $policy, batchSize => 300, %execution });
    gate($name);
    my $run = $k->start($name);
    at_gate($k->worker_pid($run));
    return $run;
}

# What was committed when the run stood at the gate: n - 1 of rows that are neither bad nor left out.
my %committed = (run => '0|0', file => '2940|30', batch => '3234|33');

sub stands
{
    my ($name) = @_;
    return $k->sql("SELECT (SELECT count(*) FROM ds_$name), (SELECT count(*) FROM kaireon.dead_letters WHERE pipeline = '$name')");
}

my %ways = (
    'reader killed' => [ sub { my ($run) = @_; kill 'KILL', $k->reader_pid($run) }, 'failed', 'KA001' ],
    'worker terminated' => [ sub { my ($run) = @_; kill 'TERM', $k->worker_pid($run) }, 'failed', 'KA003' ],
    'cancelled' => [ sub { my ($run) = @_; $k->sql("SELECT kaireon.cancel_run('$run')") }, 'cancelled', '57014' ],
    'worker killed' => [ sub { my ($run) = @_; kill 'KILL', $k->worker_pid($run) }, 'failed', 'KA003' ],
    'server stopped' => [ sub { $k->node->stop('immediate'); $k->node->start }, 'failed', 'KA003' ]);
my $count = 0;
for my $way ('reader killed', 'worker terminated', 'cancelled', 'worker killed', 'server stopped')
{
    my ($act, $status, $code) = @{ $ways{$way} };
    for my $policy ($way eq 'reader killed' ? qw(run file batch) : qw(file batch))
    {
        my $name = 'disturbed_' . ++$count;
        my $lock = hold();
        my $run = begun($name, $policy);
        is(stands($name), $committed{$policy}, "$way, $policy: what others see meanwhile");
        is($k->sql("SELECT rows_loaded FROM kaireon.runs WHERE run_id = '$run'") . '|', $committed{$policy} =~ s/\|.*/|/r, "$way, $policy: and what the run says");
        my ($worker, $reader) = ($k->worker_pid($run), $k->reader_pid($run));
        $act->($run);
        eval { $lock->close };
        $k->poll('the server', sub { my ($rc, $out) = $k->node->psql('postgres', 'SELECT 1'); return $rc == 0 });
        is($k->wait_run($run), $status, "$way, $policy: the run is $status");
        my ($row) = $k->rows("SELECT * FROM kaireon.runs WHERE run_id = '$run'");
        is("$row->{error_code} $row->{attempt}", "$code 1", "$way, $policy: with $code");
        # what a reader had sent before it died is loaded yet
        my $stays = $way eq 'reader killed' && $policy ne 'run' ? "$row->{rows_loaded}|" . $k->sql("SELECT count(*) FROM kaireon.dead_letters WHERE run_id = '$run'") : $committed{$policy};
        is(stands($name), $stays, "$way, $policy: what was committed stays");
        is("$row->{rows_loaded}|", $stays =~ s/\|.*/|/r, "$way, $policy: and counts as loaded");
        cmp_ok($row->{rows_loaded}, '>=', $committed{$policy} =~ s/\|.*//r, "$way, $policy: all of it");
        is($k->count_identity($run), 't', "$way, $policy: the counters add up");
        like($row->{error_hint}, $policy eq 'run' ? qr/^(?!.*resume_run)/ : qr/What (it|the run) has committed stays; kaireon\.resume_run goes on behind that/, "$way, $policy: the hint says what to do")
          if defined $row->{error_hint} || $policy ne 'run';
        is($k->sql("SELECT kaireon.resume_run('$run')"), $run, "$way, $policy: resume_run gives the run");
        is($k->wait_run($run), 'partial', "$way, $policy: it goes on to its end") or diag(explain($k->rows("SELECT * FROM kaireon.runs WHERE run_id = '$run'")));
        is_deeply(content($name, $run), $undisturbed{$policy}, "$way, $policy: and has left what an undisturbed run does")
          or diag(explain(content($name, $run)));
        is($k->count_identity($run), 't', "$way, $policy: the counters of the whole run add up");
        is($k->sql("SELECT string_agg(concat_ws(' ', attempt, status, error_code), ', ' ORDER BY attempt) FROM kaireon.run_attempts WHERE run_id = '$run'"),
            "1 $status $code, 2 partial", "$way, $policy: view run_attempts has both");
        ok($k->gone($worker, $reader), "$way, $policy: nothing is left of the first");
    }
}
$k->remember_postmaster;
done_testing;
