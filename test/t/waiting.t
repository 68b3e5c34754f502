# What a run costs the server while it waits for its source: no transaction and
# no snapshot before the first batch, no snapshot between batches, so that a slow
# source never holds back vacuum.  And what others see of it meanwhile.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip);
use Kaireon;
use Test::More;
use Time::HiRes qw(time);

my $k = Kaireon->new('waiting');
my @fields = ({ name => 'id', dataType => 'integer', isPrimaryKey => \1 }, { name => 'name', dataType => 'varchar' });
my $rows = 60_000;
$k->write_rows('rows.csv', $rows, sub { "$_[0],name $_[0]" }, 'id,name');
# One batch, behind 200 MB of comments, so that the reader works for a while before it sends anything.
my ($comments, $packed, $end) = (('#' . 'x' x 999 . "\n") x 4000, '', '');
gzip(\$comments => \$packed) or die;
gzip(\join('', "id,name\n", map { "$_,name $_\n" } 1 .. $rows) => \$end) or die;
$k->write_file('late.csv.gz', ($packed x 50) . $end);
$k->make('late', fields => \@fields, source => { resource => 'late.csv.gz', comment => '#' }, execution => { batchSize => 1_000_000 });
$k->make('slow', fields => \@fields, source => { resource => 'rows.csv' }, execution => { batchSize => 1 });

# activity(PID): how the process looks in pg_stat_activity.
sub activity
{
    my ($pid) = @_;
    return $k->sql("SELECT CASE WHEN xact_start IS NULL THEN 'no transaction' ELSE 'transaction' END || ', '"
          . " || CASE WHEN backend_xid IS NULL THEN 'no xid' ELSE 'xid' END || ', '"
          . " || CASE WHEN backend_xmin IS NULL THEN 'no xmin' ELSE 'xmin' END FROM pg_stat_activity WHERE pid = $pid");
}

# in_wait(PID): once the process waits for its reader, and nothing else, or is gone.
sub in_wait
{
    my ($pid) = @_;
    return $k->poll('the worker to wait for its reader',
        "SELECT coalesce((SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid), true)");
}

# stopped(NAME): a run whose reader was stopped before it sent a batch: run, worker, reader.
# The worker is held by a lock on its lease until we look for its child, as often
# and fast as we can; if the reader was faster, again.
sub stopped
{
    my ($name) = @_;
    for my $try (1 .. 20)
    {
        my $lock = $k->session;
        $lock->query("BEGIN; SELECT FROM kaireon_internal.lease l JOIN kaireon_internal.pipeline p ON p.id = l.pipeline_id WHERE p.name = '$name' FOR UPDATE OF l");
        my $run = $k->start($name);
        my $worker;
        $k->poll('the worker', sub {
            $worker = $k->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND wait_event_type = 'Lock'") });
        $lock->send('COMMIT');
        my ($reader, $until) = (undef, time + 10);
        $reader = first_child($worker) until $reader || time > $until;
        kill 'STOP', $reader if $reader;
        $lock->result;
        $lock->close;
        in_wait($worker);
        my $stage = $k->sql("SELECT stage FROM kaireon.progress WHERE run_id = '$run'");
        return ($run, $worker, $reader) if $stage =~ /^(listing|opening)$/ && activity($worker) !~ /^transaction/;
        kill 'CONT', $reader if $reader;
        $k->sql("SELECT kaireon.cancel_run('$run')");
        $k->wait_run($run);
        diag("try $try: the reader was faster ($stage)");
        $k->sql("TRUNCATE ds_$name");
    }
    die 'the reader was always faster';
}

# first_child(PID): its reader, once that runs its own program: before, the
# worker is held by the spawning and would stop with it.
sub first_child
{
    my ($pid) = @_;
    my @children;
    if (open my $in, '<', "/proc/$pid/task/$pid/children")
    {
        @children = split ' ', <$in> // '';
    }
    else
    {
        @children = Kaireon::children($pid);
    }
    return (grep { Kaireon::_comm($_) =~ /^kaireon-reader/ } @children)[0];
}

{
    my ($run, $worker, $reader) = stopped('late');
    is(activity($worker), 'no transaction, no xid, no xmin', 'while the source is waited for: no transaction, no snapshot');
    is($k->sql("SELECT status FROM kaireon.runs WHERE run_id = '$run'"), 'running', 'the run is seen as running');
    is($k->sql("SELECT count(*) FROM pg_locks WHERE pid = $worker AND locktype = 'relation'"), 0, 'it holds no lock on any table');
    is($k->sql('ALTER TABLE ds_late ADD extra int; ALTER TABLE ds_late DROP extra; SELECT 1'), 1, 'so that nobody waits for it');
    is($k->sql("SELECT rows_read, bytes_read FROM kaireon.progress WHERE run_id = '$run'"), '0|0', 'progress says that nothing was read yet');
    kill 'CONT', $reader;
    is($k->wait_run($run) . ' ' . $k->sql('SELECT count(*) FROM ds_late'), "success $rows", 'then it loads');
}

# A pipeline, and a table, that change while the source is waited for.
{
    my ($run, $worker, $reader) = stopped('late');
    $k->sql('TRUNCATE ds_late; ALTER TABLE ds_late ALTER name TYPE int USING NULL');
    kill 'CONT', $reader;
    is($k->wait_run($run) . ' ' . $k->sql("SELECT error_code FROM kaireon.runs WHERE run_id = '$run'"), 'failed 55000', 'a table that changed meanwhile fails the run');
    like($k->sql("SELECT error_message FROM kaireon.runs WHERE run_id = '$run'"), qr/table "ds_late" was changed/, 'with an error that says so');
    $k->sql('ALTER TABLE ds_late ALTER name TYPE varchar');
}

# One that goes.
{
    $k->sql('TRUNCATE ds_late');
    my ($run, $worker, $reader) = stopped('late');
    $k->sql('DROP TABLE ds_late');
    kill 'CONT', $reader;
    is($k->wait_run($run), 'failed', 'a table that is dropped meanwhile fails the run');
    is($k->sql("SELECT error_code, error_message FROM kaireon.runs WHERE run_id = '$run'"),
        '42P01|the table of schema "late" was dropped while the run began', 'with an error that names the schema');
    $k->sql("SET client_min_messages = warning; SELECT kaireon.delete_pipeline('late'); SELECT kaireon.delete_schema('late')");
    $k->make('late', fields => \@fields, source => { resource => 'late.csv.gz', comment => '#' }, execution => { batchSize => 1_000_000 });
}

# One that goes while the run is compiled: the run waits for the table, and then has none.
{
    my $lock = $k->session;
    $lock->query('BEGIN; DROP TABLE ds_slow');
    my $run = $k->start('slow');
    $k->poll('the worker to wait for the table', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kaireon run' AND wait_event_type = 'Lock'");
    $lock->query('COMMIT');
    $lock->close;
    is($k->wait_run($run), 'failed', 'a table that is dropped while the run is compiled fails it');
    like($k->sql("SELECT error_message FROM kaireon.runs WHERE run_id = '$run'"), qr/^the schema's table public\.ds_slow does not exist/, 'and the error names it');
    $k->sql("SET client_min_messages = warning; SELECT kaireon.delete_pipeline('slow'); SELECT kaireon.delete_schema('slow')");
    $k->make('slow', fields => \@fields, source => { resource => 'rows.csv' }, execution => { batchSize => 1 });
}

# ---- between batches

{
    my $run = $k->start('slow');
    my $reader = $k->reader_pid($run);
    $k->wait_rows_read($run, 1000);
    kill 'STOP', $reader;
    my $worker = $k->worker_pid($run);
    in_wait($worker);
    is(activity($worker), 'transaction, xid, no xmin', 'between batches: the load\'s transaction, but no snapshot');
    my ($row) = $k->rows("SELECT * FROM kaireon.progress WHERE run_id = '$run'");
    is("$row->{pipeline} $row->{stage}", 'slow loading', 'another session sees the run in progress');
    cmp_ok($row->{rows_read}, '>=', 1000, 'with its rows');
    cmp_ok($row->{rows_read}, '<', $rows, 'which are not all');
    is($row->{rows_loaded}, $row->{rows_read}, 'loaded as they are read');
    is($row->{bytes_total}, -s $k->files . '/rows.csv', 'the bytes there are');
    cmp_ok($row->{percent}, '>', 0, 'percent has begun');
    cmp_ok($row->{percent}, '<', 100, 'and is not at its end');
    like($row->{bar}, qr/^\[#*\.+\] +\d+%$/, 'the bar shows it');
    is(($row->{bar} =~ tr/#.//), 20, 'in twenty cells');
    cmp_ok($row->{rows_per_second}, '>', 0, 'rows per second');
    like($row->{eta}, qr/^\d\d:\d\d:\d\d/, 'time left');
    is($k->sql('SELECT count(*) FROM ds_slow'), 0, 'though nothing can be seen in the table');

    kill 'CONT', $reader;
    is($k->wait_run($run), 'success', 'then it goes on to its end');
    is($k->sql("SELECT count(*) FROM kaireon.progress WHERE run_id = '$run'"), 0, 'and is in progress no more');
    is($k->sql("SELECT bytes_read FROM kaireon.runs WHERE run_id = '$run'"), -s $k->files . '/rows.csv', 'it read all bytes');
}

# Who may see a run, and who may end it.
{
    $k->sql('TRUNCATE ds_slow');
    my $run = $k->start('slow');
    my $reader = $k->reader_pid($run);
    kill 'STOP', $reader;
    $k->sql('CREATE ROLE stranger; CREATE ROLE viewer; GRANT kaireon_viewer TO viewer; CREATE ROLE operator; GRANT kaireon_operator TO operator');
    isnt($k->sql_error('SET ROLE stranger; SELECT count(*) FROM kaireon.progress'), '', 'a role without rights sees nothing');
    is($k->sql('SET ROLE viewer; SELECT count(*) FROM kaireon.progress'), 1, 'a viewer sees the run');
    like($k->sql_error("SET ROLE viewer; SELECT kaireon.cancel_run('$run')"), qr/permission denied/, 'but may not cancel it');
    is($k->sql("SET ROLE operator; SELECT kaireon.cancel_run('$run')"), 't', 'an operator may');
    is($k->wait_run($run), 'cancelled', 'which ends it');
    $k->gone($reader);
}
$k->settled('waiting');

# The extension is dropped while a run waits for its source.
{
    my ($run, $worker, $reader) = stopped('late');
    my $session = $k->session;
    is($k->sql_error('DROP EXTENSION kaireon CASCADE'), '', 'DROP EXTENSION while a run waits for its source');
    kill 'CONT', $reader;
    ok($k->gone($worker, $reader), 'worker and reader end');
    is($k->sql_error('CREATE EXTENSION kaireon'), '', 'it can be created again');
    $k->sql('DROP TABLE ds_late, ds_slow');
    $k->make('late', fields => \@fields, source => { resource => 'late.csv.gz', comment => '#' });
    is($k->run('late')->{status}, 'success', 'and works');
    $k->settled('the extension anew');
    is($k->sql('SELECT count(*) FROM kaireon.progress'), 0, 'no run of before is in progress');
}
ok($k->same_postmaster, 'the server lived through');
done_testing;
