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
    utime 1_700_000_000, 1_700_000_000, $k->files . "/in/f$file.csv";
}
my @drop = (nodes => [ { id => 'keep', type => 'filter', config => { field => 'name', operator => '!=', value => 'drop' } } ]);
our @source = (source => { resource => 'in/*.csv' });

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

# A trigger holds the load at a row, one of the fourth file or that one, until the lock is given up.
sub gate
{
    my ($name, $row) = @_;
    $row ||= 3555;
    $k->sql(qq(CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        IF NEW.n = TG_ARGV[0]::int THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN NEW; END\$\$;
        CREATE TRIGGER gate BEFORE INSERT ON ds_$name FOR EACH ROW EXECUTE FUNCTION gate('$row')));
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

# begun(NAME, POLICY): a run of that pipeline that waits in its fourth file, in a transaction after some commits;
# with one commit among the first rows, since later ones are loaded when all files were read.
sub begun
{
    my ($name, $policy, %execution) = @_;
    $k->make($name, fields => \@fields, @source, @drop, execution => { errorHandling => 'dlq', commit => $policy, batchSize => 300, %execution });
    gate($name, $policy eq 'run' ? 555 : 0);
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
    # with a row a batch the reader can't have sent everything before it is killed
    for my $policy ($way eq 'reader killed' ? qw(run file) : qw(file batch))
    {
        my $name = 'disturbed_' . ++$count;
        my $lock = hold();
        my $run = begun($name, $policy, $way eq 'reader killed' ? (batchSize => 1) : ());
        is(stands($name), $committed{$policy}, "$way, $policy: what others see meanwhile");
        is($k->sql("SELECT rows_loaded FROM kaireon.runs WHERE run_id = '$run'") . '|', $committed{$policy} =~ s/\|.*/|/r, "$way, $policy: and what the run says");
        my ($worker, $reader) = ($k->worker_pid($run), $k->reader_pid($run));
        $act->($run);
        eval { $lock->close };
        $k->gone($worker);
        $k->poll('the server', sub { return defined eval { $k->sql('SELECT 1') } });
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

# stopped(NAME, POLICY, ...): a run that was cancelled at the gate.
sub stopped
{
    my ($name, $policy, %execution) = @_;
    my $lock = hold();
    my $run = begun($name, $policy, %execution);
    $k->sql("SELECT kaireon.cancel_run('$run')");
    $lock->close;
    $k->wait_run($run);
    return $run;
}

sub resume
{
    my ($run) = @_;
    return $k->sql_error("SELECT kaireon.resume_run('$run')");
}

# ---- files that are not what they were

my $run = stopped('files', 'batch');
my ($size, $mtime) = (stat($k->files . '/in/f4.csv'))[ 7, 9 ];
rename $k->files . '/in/f4.csv', $k->files . '/f4.csv';
is(resume($run), '', 'a file that has gone: the run is queued');
is($k->wait_run($run), 'failed', 'and fails');
is($k->sql("SELECT error_code || ' ' || error_message FROM kaireon.runs WHERE run_id = '$run'"), '55000 file "in/f4.csv" is not there any more', 'because a part of it is loaded');
is($k->sql("SELECT rows_loaded FROM kaireon.runs WHERE run_id = '$run'"), 3234, 'what was loaded is still counted');
$k->write_rows('in/f4.csv', 1000, sub { row($_[0] + 3000) }, 'n,name');
utime $mtime + 10, $mtime + 10, $k->files . '/in/f4.csv';
resume($run);
$k->wait_run($run);
is($k->sql("SELECT error_code || ' ' || error_message FROM kaireon.runs WHERE run_id = '$run'"), '55000 file "in/f4.csv" was changed', 'nor one of another time');
$k->write_rows('in/f4.csv', 1000, sub { $_[0] == 1 ? 'x001,name x001' : row($_[0] + 3000) }, 'n,name');
utime $mtime, $mtime, $k->files . '/in/f4.csv';
is((stat($k->files . '/in/f4.csv'))[7], $size, 'a file of the same size and time');
resume($run);
$k->wait_run($run);
is($k->sql("SELECT error_code || ' ' || error_message FROM kaireon.runs WHERE run_id = '$run'"), '55000 file "in/f4.csv" has another content', 'nor one with another beginning');
rename $k->files . '/f4.csv', $k->files . '/in/f4.csv';
is(resume($run), '', 'once it is back');
is($k->wait_run($run), 'partial', 'the run goes on');
is_deeply(content('files', $run), $undisturbed{batch}, 'to the same end');
is($k->sql("SELECT count(*), max(attempt) FROM kaireon.run_attempts WHERE run_id = '$run'"), '5|5', 'every attempt is told of');

# ---- what can't be resumed

like(resume($run), qr/ERROR:  run $run has loaded all it was to load/, 'a run that ended well');
like(resume('00000000-0000-0000-0000-000000000000'), qr/ERROR:  run 00000000-0000-0000-0000-000000000000 does not exist/, 'a run that there is not');
my $first = stopped('again', 'file');
my ($code, $out, $err) = $k->node->psql('postgres', "SELECT rows_loaded FROM kaireon.run_pipeline('again')");
is($out, 4900, 'a new run loads everything');
like($err, qr/WARNING:  pipeline "again" begins anew: it loads again what run $first has committed.*left 2940 rows.*kaireon\.resume_run\('$first'\)/s, 'and warns of it');
like(resume($first), qr/ERROR:  run $first can't be resumed.*has begun since/s, 'then the other can not be resumed');
($code, $out, $err) = $k->node->psql('postgres', "SELECT rows_loaded FROM kaireon.run_pipeline('again')");
is($err, '', 'nor is it warned of any more');
my $second = stopped('reset', 'file');
$k->sql("SELECT kaireon.reset_source_state('reset'); TRUNCATE ds_reset; DELETE FROM kaireon_internal.dead_letter");
resume($second);
is($k->wait_run($second) . ' ' . $k->sql("SELECT count(*) FROM ds_reset"), 'partial 4900', 'where the state was reset a run begins again');

# ---- incremental sources

for my $policy (qw(file batch))
{
    my $name = "incremental_$policy";
    my $lock = hold();
    local @source = (source => { resource => 'in/*.csv', incremental => \1 });
    begun($name, $policy);
    kill 'KILL', $k->worker_pid($k->sql("SELECT run_id FROM kaireon.runs WHERE pipeline = '$name'"));
    eval { $lock->close };
    $k->poll('the end of the run', sub { return (eval { $k->sql("SELECT status = 'failed' FROM kaireon.runs WHERE pipeline = '$name'") } // '') eq 't' });
    ($code, $out, $err) = $k->node->psql('postgres', "SELECT rows_read FROM kaireon.run_pipeline('$name')");
    is("$out $err", ($policy eq 'file' ? 2000 : 1700) . ' ', "incremental, $policy: a new run reads the rest, without a warning");
    is($k->sql("SELECT count(*), count(DISTINCT n) FROM ds_$name"), '4900|4900', "incremental, $policy: nothing is loaded twice");
    is($k->sql("SELECT string_agg(concat_ws('/', rows_read, is_complete), ' ' ORDER BY path) FROM kaireon.source_state WHERE pipeline = '$name'"),
        join(' ', ('1000/t') x 5), "incremental, $policy: the list of files is whole");
}
$k->remember_postmaster;

# ---- the table changes between two commits

$run = undef;
{
    my $lock = hold();
    $run = begun('altered', 'file');
    my $other = $k->session;
    $other->send('ALTER TABLE ds_altered ALTER n TYPE bigint');
    $k->poll('the change to wait', 'SELECT wait_event_type = \'Lock\' FROM pg_stat_activity WHERE pid = ' . $other->pid);
    $lock->close;
    $other->result;
    is($other->err, '', 'a table is changed when the next commit has come');
    is($k->wait_run($run), 'failed', 'the run that goes on behind it fails');
    is($k->sql("SELECT error_code, commits, rows_loaded FROM kaireon.runs WHERE run_id = '$run'"), '55000|4|3920', 'with what was committed')
      or diag($k->sql("SELECT error_message FROM kaireon.runs WHERE run_id = '$run'"));
    $other->query('ALTER TABLE ds_altered ALTER n TYPE integer');
    $other->close;
    resume($run);
    is($k->wait_run($run), 'partial', 'once the table is as it was the run can be resumed');
    is_deeply(content('altered', $run), $undisturbed{file}, 'to the same end');
}

# ---- upsert, maxErrors

{
    my @target = (target => { loadingStrategy => 'upsert', keyFields => ['n'] });
    $k->make('keyed', fields => [ { %{ $fields[0] }, isUnique => \1 }, $fields[1] ], @source, @drop, @target, execution => { errorHandling => 'dlq', commit => 'batch', batchSize => 300 });
    $k->sql("INSERT INTO ds_keyed (n, name) SELECT i, 'old' FROM generate_series(1, 2000) AS i");
    gate('keyed');
    my $lock = hold();
    my $run = $k->start('keyed');
    at_gate($k->worker_pid($run));
    $k->sql("SELECT kaireon.cancel_run('$run')");
    $lock->close;
    $k->wait_run($run);
    is($k->sql("SELECT status, rows_updated, rows_loaded + rows_updated FROM kaireon.runs WHERE run_id = '$run'"), 'cancelled|1960|3234', 'upsert: what was committed counts');
    resume($run);
    is($k->wait_run($run), 'partial', 'upsert: the run is resumed');
    is($k->sql("SELECT rows_updated, rows_loaded FROM kaireon.runs WHERE run_id = '$run'"), '1960|2940', 'upsert: rows that were updated, and new ones');
    is($k->sql("SELECT count(*), count(*) FILTER (WHERE name = 'old') FROM ds_keyed"), '4940|40', 'upsert: the table');
    is($k->count_identity($run), 't', 'upsert: the counters add up');
}
$run = stopped('bounded', 'file', maxErrors => 45);
resume($run);
is($k->wait_run($run), 'failed', 'maxErrors is about all attempts of a run');
is($k->sql("SELECT error_code, rows_loaded, rows_skipped FROM kaireon.runs WHERE run_id = '$run'"), 'KA007|3920|40', 'and counts what was loaded before');
is($k->count_identity($run), 't', 'the counters add up');
ok($k->same_postmaster, 'the server lived through');
done_testing;
